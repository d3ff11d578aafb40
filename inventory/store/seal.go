package store

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"berth/inventory"

	"filippo.io/age"
)

// Key seals secrets with age: to the server's own key, and to the recovery recipients named when it was made, whose keys are elsewhere.
// It satisfies inventory.Sealer.
type Key struct {
	identity   *age.X25519Identity
	recipients []age.Recipient
}

// sealedPrefix marks the form of a sealed secret: base64 of an age file.
const sealedPrefix = "age:"

const (
	recoveryPrefix = "# recovery: "
	maxKeyFile     = 64 << 10
	maxSealed      = 1 << 20
)

// CreateKey makes a key and writes it to a new file that only its owner reads. recovery are age recipients (age1…) that can open the
// secrets too, should the server and its key be lost. It never overwrites a file.
func CreateKey(path string, recovery ...string) (*Key, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "# The key of a berth server. Whoever reads it can read the passwords in its record.\n# public key: %s\n", identity.Recipient())
	for _, r := range recovery {
		fmt.Fprintf(&text, "%s%s\n", recoveryPrefix, strings.TrimSpace(r))
	}
	fmt.Fprintf(&text, "%s\n", identity)
	key, err := parseKey([]byte(text.String()))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the key: %w", err)
	}
	if err := writeNew(path, text.String()); err != nil {
		return nil, fmt.Errorf("write the key: %w", err)
	}
	return key, nil
}

func writeNew(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		return err
	}
	return file.Sync()
}

// LoadKey reads a key that CreateKey wrote. It refuses a file that others may read, that is empty, or that holds anything but one key:
// a key that cannot be trusted is an error, never an empty key.
func LoadKey(path string) (*Key, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the key %s must be a file that only its owner reads: chmod 600 it", path)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("the key %s: %w", path, err)
	}
	return key, nil
}

func parseKey(text []byte) (*Key, error) {
	key := &Key{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, recoveryPrefix); ok {
			recipient, err := age.ParseX25519Recipient(strings.TrimSpace(name))
			if err != nil {
				return nil, fmt.Errorf("%q is not an age recipient: %w", name, err)
			}
			key.recipients = append(key.recipients, recipient)
			continue
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		identity, err := age.ParseX25519Identity(line)
		if err != nil || key.identity != nil {
			return nil, errors.New("is not one age key") // err might show what stands there
		}
		key.identity = identity
	}
	if key.identity == nil {
		return nil, errors.New("holds no key")
	}
	key.recipients = append(key.recipients, key.identity.Recipient())
	return key, nil
}

// Recipient is the public half.
func (k *Key) Recipient() string { return k.identity.Recipient().String() }

// String shows the public half only.
func (k *Key) String() string { return k.Recipient() }

// GoString shows the public half only.
func (k *Key) GoString() string { return k.Recipient() }

// Seal encrypts a secret.
func (k *Key) Seal(plain string) (string, error) {
	var out bytes.Buffer
	out.WriteString(sealedPrefix)
	encoder := base64.NewEncoder(base64.RawStdEncoding, &out)
	w, err := age.Encrypt(encoder, k.recipients...)
	if err != nil {
		return "", fmt.Errorf("encrypt a secret: %w", err)
	}
	if _, err := io.WriteString(w, plain); err != nil {
		return "", fmt.Errorf("encrypt a secret: %w", err)
	}
	if err := errors.Join(w.Close(), encoder.Close()); err != nil {
		return "", fmt.Errorf("encrypt a secret: %w", err)
	}
	return out.String(), nil
}

// Open decrypts what Seal made.
func (k *Key) Open(sealed string) (string, error) {
	body, ok := strings.CutPrefix(sealed, sealedPrefix)
	if !ok || len(sealed) > maxSealed {
		return "", errors.New("a stored secret is not in the form this berth writes")
	}
	r, err := age.Decrypt(base64.NewDecoder(base64.RawStdEncoding, strings.NewReader(body)), k.identity)
	if err != nil {
		return "", fmt.Errorf("decrypt a secret: %w", err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return "", fmt.Errorf("decrypt a secret: %w", err)
	}
	return string(plain), nil
}

// The canary is a known text, sealed at the first start with a key. It tells at the next start whether the key is still the same.
const (
	canaryName = "key.canary"
	canaryText = "the key of this record"
)

// ErrKey is returned when the record cannot be opened with the key that was given, or without one.
var ErrKey error = refusal("this record was sealed with another key")

// checkKey refuses to open a record whose secrets the key cannot open: a server that went on would store secrets that nobody who has
// the right key can read, and take machines for unreachable.
func (s *Store) checkKey(ctx context.Context) error {
	canary, err := inventory.Get[inventory.Setting](ctx, s, canaryName)
	if errors.Is(err, inventory.ErrNotFound) {
		return s.plantCanary(ctx)
	}
	if err != nil {
		return fmt.Errorf("look for the canary of the key: %w", err)
	}
	if s.opt.Sealer == nil {
		return fmt.Errorf("%w, and none was given", ErrKey)
	}
	if plain, err := s.opt.Sealer.Open(canary.Value); err != nil || plain != canaryText {
		return fmt.Errorf("%w than the one given; restore the key from its backup, or open the record with a recovery key", ErrKey)
	}
	return nil
}

func (s *Store) plantCanary(ctx context.Context) error {
	if s.opt.Sealer == nil {
		return nil
	}
	sealed, err := s.opt.Sealer.Seal(canaryText)
	if err != nil {
		return fmt.Errorf("try the key: %w", err)
	}
	if plain, err := s.opt.Sealer.Open(sealed); err != nil || plain != canaryText {
		return fmt.Errorf("%w: it does not open what it sealed", ErrKey)
	}
	err = s.Edit(ctx, inventory.NewRequest(inventory.Berth, ""), func(tx inventory.Tx) error {
		return tx.Create(&inventory.Setting{Name: canaryName, Value: sealed})
	})
	var conflict *inventory.Conflict
	if errors.As(err, &conflict) {
		return s.checkKey(ctx) // another server was quicker
	}
	return err
}
