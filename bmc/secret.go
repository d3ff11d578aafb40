package bmc

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// Secret holds a password. It prints as *** by every verb of fmt, in JSON and other text encodings, and in slog; the value
// comes out by Reveal only. The zero Secret is empty.
//
// The value stands behind a pointer on purpose: fmt reaches into unexported fields of a surrounding struct without
// calling any method, and then prints the pointer, not what it points to.
type Secret struct{ value *string }

const hidden = "***"

// NewSecret wraps a password.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{value: &s}
}

// Reveal returns the password, for the one line that needs it.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether there is no password.
func (s Secret) IsZero() bool { return s.value == nil }

// Equal compares two secrets in a time that does not depend on where they differ.
func (s Secret) Equal(t Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(t.Reveal())) == 1
}

// String hides the value.
func (s Secret) String() string { return hidden }

// GoString hides the value from %#v.
func (s Secret) GoString() string { return hidden }

// Format hides the value from every verb, also from those that would not ask String, such as %d.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// MarshalText hides the value in JSON, YAML, XML and as a map key. There is no way back: a Secret cannot be unmarshalled.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the value in slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }
