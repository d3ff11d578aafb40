package inventory

import (
	"encoding/json"
	"strings"
	"time"
)

// Account is a person who may log in.
type Account struct {
	Meta
	Name     string `json:"name" berth:"list,filter,search,required"`
	FullName string `json:"full_name" berth:"list,search"`
	Email    string `json:"email" berth:"search"`
	Level    Level  `json:"level" berth:"list,filter,required,enum=viewer|operator|admin"`
	Disabled bool   `json:"disabled" berth:"list,filter"`
	// Money lets a viewer or operator see amounts; an admin always does.
	Money bool `json:"money" berth:"list,filter" help:"May see and change amounts of money; an admin always may."`
	// PasswordHash is an argon2id hash in the PHC format.
	PasswordHash string `json:"-" column:"password_hash"`
	// PasswordUntil ends a first password that must be changed.
	PasswordUntil *time.Time `json:"password_until" berth:"volatile"`
	SeenAt        *time.Time `json:"seen_at" berth:"list,volatile"`
}

// Token lets a program in. Only the SHA-256 of it is kept.
type Token struct {
	Meta
	Name      string     `json:"name" berth:"list,filter,search,required"`
	Account   UID        `json:"account" berth:"list,filter,owned,ref=account"`
	Level     Level      `json:"level" berth:"list,enum=viewer|operator|admin"`
	Prefix    string     `json:"prefix" berth:"list" help:"Its first characters, to tell tokens apart."`
	Hash      string     `json:"-" column:"hash" berth:"filter"`
	ExpiresAt *time.Time `json:"expires_at" berth:"list"`
	UsedAt    *time.Time `json:"used_at" berth:"list"`
}

// Session is a browser that is logged in. Only the SHA-256 of its cookie is kept.
type Session struct {
	Meta
	Account   UID       `json:"account" berth:"list,filter,owned,ref=account"`
	Hash      string    `json:"-" column:"hash" berth:"filter"`
	ExpiresAt time.Time `json:"expires_at" berth:"list,filter"`
	Agent     string    `json:"agent" berth:"list"`
}

// Change is an entry of the change log, kept for ever. Secrets appear as *** or not at all.
type Change struct {
	Meta
	Request UID             `json:"request" berth:"list,filter"`
	Actor   string          `json:"actor" berth:"list,filter,search"`
	Account UID             `json:"account" berth:"filter,ref=account"`
	Why     string          `json:"why" berth:"list,search"`
	Action  string          `json:"action" berth:"list,filter,enum=create|update|delete"`
	Noun    string          `json:"noun" berth:"list,filter"`
	Object  UID             `json:"object" berth:"list,filter"`
	Display string          `json:"display" berth:"list,search"`
	Before  json.RawMessage `json:"before" gorm:"serializer:json"`
	After   json.RawMessage `json:"after" gorm:"serializer:json"`
	Undoes  UID             `json:"undoes" berth:"filter"`
}

// Setting is a value that berth keeps for itself.
type Setting struct {
	Meta
	Name  string `json:"name" berth:"list,filter,required"`
	Value string `json:"-" column:"value"`
}

// Check brings the name into its stored form and judges it. Errors: *Invalid.
func (a *Account) Check() error {
	bad := &findings{noun: "account"}
	a.Name = strings.ToLower(a.Name)
	if a.Name != "" && (len(a.Name) > 100 || !accountForm.MatchString(a.Name)) {
		bad.add("name", "may hold lower-case letters, digits and . _ @ - only, at most 100")
	}
	if a.Email != "" && (!strings.Contains(a.Email, "@") || strings.ContainsAny(a.Email, " <>")) {
		bad.add("email", "is not an e-mail address")
	}
	return bad.err()
}

// Check gives a token without a level the lowest.
func (t *Token) Check() error {
	setDefault(&t.Level, LevelViewer)
	return nil
}
