package blob

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"berth/inventory"
)

// DefaultLimit is the largest file that is taken where no other limit is set.
const DefaultLimit = 50 << 20

// ErrNotFound is returned for bytes that are not here.
var ErrNotFound = fmt.Errorf("the bytes of this file: %w", inventory.ErrNotFound)

// TooLarge is returned for a file above the limit.
type TooLarge struct{ Limit int64 }

func (e *TooLarge) Error() string { return fmt.Sprintf("the file is larger than %s", Size(e.Limit)) }

// Size writes a number of bytes for people, in binary units.
func Size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, i := float64(n)/unit, 0
	for value >= unit && i < 4 {
		value, i = value/unit, i+1
	}
	return strings.Replace(fmt.Sprintf("%.1f %ciB", value, "KMGTP"[i]), ".0 ", " ", 1)
}

// Store is a directory of files by digest. It may be used by many goroutines, and by one process.
type Store struct {
	dir   string
	limit int64
}

// Open makes dir if it is not there, and takes away what uploads left that a crash ended. limit is that of a file, in bytes; 0 is DefaultLimit.
func Open(dir string, limit int64) (*Store, error) {
	if limit <= 0 {
		limit = DefaultLimit
	}
	s := &Store{dir: dir, limit: limit}
	if err := os.RemoveAll(s.arriving()); err != nil {
		return nil, fmt.Errorf("clear what uploads left: %w", err)
	}
	if err := os.MkdirAll(s.arriving(), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of documents: %w", err)
	}
	return s, nil
}

// Limit is the largest file that is taken, in bytes.
func (s *Store) Limit() int64 { return s.limit }

// arriving is where a file lies until all of it is here.
func (s *Store) arriving() string { return filepath.Join(s.dir, "arriving") }

// path is where the bytes of a digest lie; false when digest is not one. Only hexadecimal digits of ours get into a path.
func (s *Store) path(digest string) (string, bool) {
	if !ValidDigest(digest) {
		return "", false
	}
	return filepath.Join(s.dir, digest[:2], digest[2:4], digest), true
}

// ValidDigest tells whether digest is a SHA-256 in lower-case hexadecimal digits.
func ValidDigest(digest string) bool {
	return len(digest) == 2*sha256.Size && strings.Trim(digest, "0123456789abcdef") == ""
}

// Put keeps what r holds, and returns its digest and size. When it returns, the bytes are on the disk and under their name, or nothing is left of
// them. Errors: *TooLarge; those of r and of the disk.
func (s *Store) Put(r io.Reader) (digest string, size int64, err error) {
	f, err := os.CreateTemp(s.arriving(), "upload-")
	if err != nil {
		return "", 0, fmt.Errorf("keep a file: %w", err)
	}
	defer os.Remove(f.Name()) // gone by then if all went well
	defer f.Close()
	sum := sha256.New()
	size, err = io.Copy(io.MultiWriter(f, sum), io.LimitReader(r, s.limit+1))
	if err != nil {
		return "", 0, fmt.Errorf("keep a file: %w", err)
	}
	if size > s.limit {
		return "", 0, &TooLarge{Limit: s.limit}
	}
	digest = hex.EncodeToString(sum.Sum(nil))
	return digest, size, s.settle(f, digest)
}

// settle gives a file that has arrived its name. If the same bytes are here already they are only marked as wanted again, so that
// a sweep that is on its way leaves them.
func (s *Store) settle(f *os.File, digest string) error {
	path, _ := s.path(digest)
	now := time.Now()
	if err := os.Chtimes(path, now, now); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep a file: %w", err)
	}
	if err := errors.Join(f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keep a file: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("keep a file: %w", err)
	}
	// The name of a file is in its directory, whose own name is in the one above: all of them have to reach the disk.
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(filepath.Dir(path)), s.dir} {
		if err := syncDir(dir); err != nil {
			return fmt.Errorf("keep a file: %w", err)
		}
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Open gives the bytes of a digest; the caller closes it. Errors: ErrNotFound.
func (s *Store) Open(digest string) (*os.File, error) {
	path, ok := s.path(digest)
	if !ok {
		return nil, ErrNotFound
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open a file: %w", err)
	}
	return f, nil
}

// Read gives all bytes of a digest, which are at most the limit's. Errors: ErrNotFound.
func (s *Store) Read(digest string) ([]byte, error) {
	f, err := s.Open(digest)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}
