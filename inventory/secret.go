package inventory

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
)

// Secret is a password, key or token that a person gave. It has two forms: plain, as it was typed, and sealed, as it is stored. It
// prints as ***, whatever the verb; only Reveal gives the plain text, and only the sealed form goes to a database.
type Secret struct {
	plain  string
	sealed string
	kept   bool // "***" came back from a form: leave what is stored
}

const stars = "***"

// PlainSecret wraps a text that has just been given.
func PlainSecret(text string) Secret { return Secret{plain: text} }

// SealedSecret wraps what a Sealer made.
func SealedSecret(text string) Secret { return Secret{sealed: text} }

// IsZero tells whether there is no secret at all.
func (s Secret) IsZero() bool { return s.plain == "" && s.sealed == "" && !s.kept }

// Kept tells whether a form handed back the stars: the stored secret stays.
func (s Secret) Kept() bool { return s.kept }

// IsPlain tells whether the secret is not sealed yet.
func (s Secret) IsPlain() bool { return s.plain != "" }

// Reveal gives the plain text, of a secret that is not sealed.
func (s Secret) Reveal() string { return s.plain }

// Sealed gives the sealed text.
func (s Secret) Sealed() string { return s.sealed }

// String hides the secret from %v, %s and the like.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return stars
}

// GoString hides it from %#v.
func (s Secret) GoString() string { return s.String() }

// Format hides it from every other verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue hides it from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON writes stars, or an empty text.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// UnmarshalJSON reads a plain text; stars keep what is stored.
func (s *Secret) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return errors.New("a secret is a text")
	}
	*s = Secret{plain: text}
	if text == stars {
		*s = Secret{kept: true}
	}
	return nil
}

// Value gives the database the sealed form, and refuses a plain one: a secret that was not sealed is never stored.
func (s Secret) Value() (driver.Value, error) {
	if s.plain != "" {
		return nil, errors.New("inventory: a secret was about to be stored without being sealed")
	}
	return s.sealed, nil
}

// Scan reads the sealed form.
func (s *Secret) Scan(src any) error {
	switch v := src.(type) {
	case string:
		*s = Secret{sealed: v}
	case []byte:
		*s = Secret{sealed: string(v)}
	case nil:
		*s = Secret{}
	default:
		return fmt.Errorf("inventory: a secret cannot be read from %T", src)
	}
	return nil
}

// GormDataType names the column type, for the library the store is built on.
func (Secret) GormDataType() string { return "text" }

// Sealer turns plain secrets into sealed ones and back.
type Sealer interface {
	Seal(plain string) (sealed string, err error)
	Open(sealed string) (plain string, err error)
}
