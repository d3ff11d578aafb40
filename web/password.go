package web

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"berth/api"
	"berth/inventory"
)

// The cost of a password, as OWASP advises for argon2id: 19 MiB, two passes, one lane.
const (
	argonMemoryKiB = 19 * 1024
	argonPasses    = 2
	argonLanes     = 1
	argonKeyBytes  = 32
	argonSaltBytes = 16

	passwordMin = 10
	passwordMax = 256 // bytes; more would only be work for the server
	// firstPasswordLife ends a first password that nobody changed.
	firstPasswordLife = time.Hour
	givenPasswordLife = 72 * time.Hour
)

// hashPassword returns an argon2id hash in the PHC string format.
func hashPassword(password string) string {
	salt := make([]byte, argonSaltBytes)
	rand.Read(salt)
	key := argon2.IDKey([]byte(password), salt, argonPasses, argonMemoryKiB, argonLanes, argonKeyBytes)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemoryKiB, argonPasses, argonLanes, b64.EncodeToString(salt), b64.EncodeToString(key))
}

// checkPassword tells whether password is the one that hash was made from. A hash that is empty, broken or absurdly dear matches nothing.
func checkPassword(hash, password string) bool {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return false
	}
	var memory, passes uint32
	var lanes uint8
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &lanes); err != nil {
		return false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if errors.Join(err1, err2) != nil || len(salt) < 8 || len(want) < 16 || len(want) > 64 || len(password) > passwordMax {
		return false
	}
	if passes < 1 || passes > 10 || lanes < 1 || lanes > 8 || memory < 8 || memory > 128*1024 {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, lanes, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}

// decoyHash costs a login for an account that does not exist as much as one that does.
var decoyHash = "$argon2id$v=19$m=19456,t=2,p=1$YmVydGhiZXJ0aGJlcnRo$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func checkNewPassword(password string) error {
	switch {
	case utf8.RuneCountInString(password) < passwordMin:
		return invalid("new", "at least %d characters", passwordMin)
	case len(password) > passwordMax:
		return invalid("new", "at most %d bytes", passwordMax)
	case strings.Trim(password, password[:1]) == "":
		return invalid("new", "one character over and over is no password")
	}
	return nil
}

var errWrongPassword = &api.Problem{Status: http.StatusUnauthorized, Code: api.CodeUnauthorized, Detail: "Account or password is wrong."}

// verify returns the account if the password is right, whatever else is the matter taking as long. The work of several logins at once
// is bounded, because each takes 19 MiB.
func (s *Server) verify(ctx context.Context, name, password string) (*inventory.Account, error) {
	select {
	case s.argon <- struct{}{}:
		defer func() { <-s.argon }()
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(10 * time.Second):
		return nil, &api.Problem{Status: http.StatusServiceUnavailable, Code: api.CodeUnavailable, Detail: "Too many people are logging in at once; try again.", RetryAfterSeconds: 5}
	}
	account, err := inventory.Get[inventory.Account](ctx, s.Record, name)
	if err != nil && !errors.Is(err, inventory.ErrNotFound) {
		return nil, fmt.Errorf("look up an account: %w", err)
	}
	hash := decoyHash
	if err == nil && account.Name == name && account.PasswordHash != "" {
		hash = account.PasswordHash
	}
	right := checkPassword(hash, password)
	switch {
	case !right || hash == decoyHash || account.Disabled || !account.Level.Includes(inventory.LevelViewer):
		return nil, errWrongPassword
	case account.PasswordUntil != nil && !s.now().Before(*account.PasswordUntil):
		return nil, &api.Problem{Status: http.StatusUnauthorized, Code: api.CodeUnauthorized,
			Detail: "This first password was good for a limited time, which is over. An admin, or `berth account password` on the server, gives a new one."}
	}
	return account, nil
}

// setPassword stores a new password. until is nil for one that the person chose; else it must be changed before then. Every session of
// the account but keep ends.
func (s *Server) setPassword(ctx context.Context, req inventory.Request, account inventory.UID, password string, until *time.Time, keep inventory.UID) error {
	hash := hashPassword(password)
	return s.Record.Edit(ctx, req, func(tx inventory.Tx) error {
		a, err := inventory.TxGet[inventory.Account](tx, string(account))
		if err != nil {
			return err
		}
		a.PasswordHash, a.PasswordUntil = hash, until
		if err := tx.Update(a); err != nil {
			return err
		}
		return endSessions(tx, account, keep)
	})
}

// endSessions logs an account out everywhere but in one browser.
func endSessions(tx inventory.Tx, account, keep inventory.UID) error {
	sessions, err := inventory.TxList[inventory.Session](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("account", account)}, Limit: inventory.MaxPage})
	if err != nil {
		return err
	}
	for _, session := range sessions {
		if session.UID == keep {
			continue
		}
		if err := tx.Delete(session); err != nil {
			return err
		}
	}
	return nil
}

// FirstAdmin makes the account admin with a random password, which is good for an hour and must be changed at the first login, if there
// is no account at all. It returns "" when there is one.
func FirstAdmin(ctx context.Context, record inventory.Record, now time.Time) (password string, err error) {
	password = randomPassword()
	until := now.UTC().Add(firstPasswordLife)
	hash := hashPassword(password)
	made := false
	err = record.Edit(ctx, inventory.NewRequest(inventory.Berth, "first run"), func(tx inventory.Tx) error {
		made = false
		accounts, err := inventory.TxList[inventory.Account](tx, inventory.Query{Limit: 2})
		if err != nil {
			return err
		}
		// A first admin who never logged in and whose password is over gets another: the server's own terminal is proof enough.
		if len(accounts) == 1 && unusedAdmin(accounts[0], now) {
			accounts[0].PasswordHash, accounts[0].PasswordUntil, made = hash, &until, true
			return tx.Update(accounts[0])
		}
		if len(accounts) > 0 {
			return nil
		}
		made = true
		return tx.Create(&inventory.Account{Name: "admin", FullName: "Administrator", Level: inventory.LevelAdmin, PasswordHash: hash, PasswordUntil: &until})
	})
	if err != nil {
		return "", fmt.Errorf("make the first account: %w", err)
	}
	if !made {
		return "", nil
	}
	return password, nil
}

func unusedAdmin(a *inventory.Account, now time.Time) bool {
	return a.Name == "admin" && a.SeenAt == nil && a.PasswordUntil != nil && now.After(*a.PasswordUntil)
}

// randomPassword is 100 bits in groups that can be typed.
func randomPassword() string {
	raw := make([]byte, 13)
	rand.Read(raw)
	text := encoding.EncodeToString(raw)[:20]
	return strings.Join([]string{text[:5], text[5:10], text[10:15], text[15:]}, "-")
}
