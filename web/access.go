package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"berth/api"
	"berth/inventory"
)

// caller is who sends a request. The zero value is nobody.
type caller struct {
	Actor   inventory.Actor
	account *inventory.Account // nil for the socket
	session *inventory.Session // of a browser
	via     string             // session, token, socket
	// MustChange: the first password is still in force, and nothing but changing it is allowed.
	MustChange bool
}

func (c caller) known() bool { return c.via != "" }

// Can is for templates too: what is not allowed is not offered.
func (c caller) Can(level inventory.Level) bool { return c.known() && c.Actor.Level.Includes(level) }

const (
	tokenPrefix   = "berth_"
	sessionCookie = "__Host-berth"
	sessionLife   = 14 * 24 * time.Hour
	tokenLife     = 90 * 24 * time.Hour
	tokenMaxLife  = 2 * 366 * 24 * time.Hour
	// usedEvery bounds how often the use of a token is written down.
	usedEvery = 10 * time.Minute
)

// Secrets given out are the uid of their row and 20 random bytes, so that the row is found by its key and the secret is compared in
// constant time. Lower-case base32 survives being read aloud and every shell.
var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newCredential makes a secret for the row uid, and the hash that is kept of it.
func newCredential(uid inventory.UID) (text, hash string) {
	id, err := hex.DecodeString(string(uid))
	if err != nil {
		panic("web: a uid that is not hexadecimal: " + string(uid)) // NewUID made it
	}
	secret := make([]byte, 20)
	rand.Read(secret)
	text = encoding.EncodeToString(append(id, secret...))
	return text, hashCredential(text)
}

func hashCredential(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// splitCredential finds whose secret a text claims to be.
func splitCredential(text string) (inventory.UID, bool) {
	raw, err := encoding.DecodeString(text)
	if err != nil || len(raw) != 36 {
		return "", false
	}
	return inventory.UID(hex.EncodeToString(raw[:16])), true
}

// matches compares in constant time; a row without a hash matches nothing.
func matches(hash, text string) bool {
	return len(hash) == sha256.Size*2 && subtle.ConstantTimeCompare([]byte(hash), []byte(hashCredential(text))) == 1
}

// identify finds out who sends r. No credential at all is nobody, without an error; a wrong one is an error, so that a program with an
// old token learns it instead of being taken for a stranger.
func (s *Server) identify(r *http.Request) (caller, error) {
	if peer, ok := r.Context().Value(peerKey{}).(peer); ok {
		return peer.caller(), nil
	}
	if header := r.Header.Get("Authorization"); header != "" {
		return s.byToken(r.Context(), header)
	}
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		return s.bySession(r.Context(), cookie.Value)
	}
	return caller{}, nil
}

func (s *Server) byToken(ctx context.Context, header string) (caller, error) {
	scheme, text, _ := strings.Cut(header, " ")
	text, prefixed := strings.CutPrefix(strings.TrimSpace(text), tokenPrefix)
	uid, ok := splitCredential(text)
	if !strings.EqualFold(scheme, "Bearer") || !prefixed || !ok {
		return caller{}, errBadCredential
	}
	token, err := inventory.Get[inventory.Token](ctx, s.Record, string(uid))
	if err != nil {
		return caller{}, credentialError(err)
	}
	if !matches(token.Hash, text) || token.ExpiresAt == nil || !s.now().Before(*token.ExpiresAt) {
		return caller{}, errBadCredential
	}
	account, err := s.account(ctx, token.Account)
	if err != nil {
		return caller{}, err
	}
	level := lower(token.Level, account.Level)
	s.noteUse(ctx, token)
	return caller{Actor: inventory.Actor{Account: account.UID, Name: account.Name, Level: level, Money: seesMoney(account)}, account: account, via: "token"}, nil
}

func (s *Server) bySession(ctx context.Context, text string) (caller, error) {
	uid, ok := splitCredential(text)
	if !ok {
		return caller{}, errBadCredential
	}
	session, err := inventory.Get[inventory.Session](ctx, s.Record, string(uid))
	if err != nil {
		return caller{}, credentialError(err)
	}
	if !matches(session.Hash, text) || !s.now().Before(session.ExpiresAt) {
		return caller{}, errBadCredential
	}
	account, err := s.account(ctx, session.Account)
	if err != nil {
		return caller{}, err
	}
	return caller{Actor: inventory.Actor{Account: account.UID, Name: account.Name, Level: account.Level, Money: seesMoney(account)}, account: account,
		session: session, via: "session", MustChange: account.PasswordUntil != nil}, nil
}

// seesMoney is the account's right to amounts; its tokens have it too, whatever their level.
func seesMoney(a *inventory.Account) bool { return a.Money || a.Level.Includes(inventory.LevelAdmin) }

// account finds an account that may still come in.
func (s *Server) account(ctx context.Context, uid inventory.UID) (*inventory.Account, error) {
	account, err := inventory.Get[inventory.Account](ctx, s.Record, string(uid))
	if err != nil {
		return nil, credentialError(err)
	}
	if account.Disabled || !account.Level.Includes(inventory.LevelViewer) {
		return nil, errBadCredential
	}
	return account, nil
}

// credentialError keeps "there is no such row" from looking different from "wrong", and a broken database from looking like either.
func credentialError(err error) error {
	if errors.Is(err, inventory.ErrNotFound) {
		return errBadCredential
	}
	return fmt.Errorf("look up a credential: %w", err)
}

func lower(a, b inventory.Level) inventory.Level {
	if a.Includes(b) {
		return b
	}
	return a
}

// noteUse writes down that a token is used, now and then. The request does not fail for it.
func (s *Server) noteUse(ctx context.Context, token *inventory.Token) {
	now := s.now()
	if token.UsedAt != nil && now.Sub(*token.UsedAt) < usedEvery {
		return
	}
	token.UsedAt = &now
	err := s.Record.Edit(ctx, inventory.NewRequest(inventory.Berth, ""), func(tx inventory.Tx) error { return tx.Update(token) })
	var conflict *inventory.Conflict
	if err != nil && !errors.As(err, &conflict) {
		s.log().Warn("the use of a token was not written down", "token", token.UID, "error", err)
	}
}

// peer is the process at the other end of the administration socket.
type peer struct {
	uid int
	err error
	own int // the server's own user
}

type peerKey struct{}

// caller lets in root and the server's own user as administrators, and nobody else. The socket's mode says the same; this holds when
// somebody loosens it.
func (p peer) caller() caller {
	if p.err != nil || p.uid != 0 && p.uid != p.own {
		return caller{}
	}
	name := "root"
	if p.uid != 0 {
		name = "the server's user"
	}
	return caller{Actor: inventory.Actor{Name: name + ", on the server", Level: inventory.LevelAdmin}, via: "socket"}
}

func remoteIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "socket"
	}
	return host
}

// createToken makes a token for account and returns it with its record; the text is never to be had again.
func (s *Server) createToken(ctx context.Context, req inventory.Request, account *inventory.Account, in api.TokenRequest) (*api.TokenCreated, error) {
	level, err := tokenLevel(account.Level, in.Level)
	if err != nil {
		return nil, err
	}
	expires, err := s.tokenEnd(in.ExpiresAt)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(in.Name) == "" {
		return nil, invalid("name", "say what it is for")
	}
	token := inventory.Token{Name: strings.TrimSpace(in.Name), Account: account.UID, Level: level, ExpiresAt: &expires}
	token.UID = inventory.NewUID()
	text, hash := newCredential(token.UID)
	token.Hash, token.Prefix = hash, tokenPrefix+text[:6]
	if err := s.Record.Edit(ctx, req, func(tx inventory.Tx) error {
		copied := token
		return tx.Create(&copied)
	}); err != nil {
		return nil, err
	}
	return &api.TokenCreated{Token: tokenPrefix + text, Record: token}, nil
}

func tokenLevel(have, want inventory.Level) (inventory.Level, error) {
	if want == inventory.LevelNone {
		return have, nil
	}
	if !want.Includes(inventory.LevelViewer) {
		return "", invalid("level", "%q is not one of viewer, operator, admin", want)
	}
	if !have.Includes(want) {
		return "", invalid("level", "the account is only %s", have)
	}
	return want, nil
}

func (s *Server) tokenEnd(want *time.Time) (time.Time, error) {
	now := s.now().UTC()
	if want == nil {
		return now.Add(tokenLife), nil
	}
	if !want.After(now) || want.After(now.Add(tokenMaxLife)) {
		return time.Time{}, invalid("expires_at", "must lie between now and two years from now")
	}
	return want.UTC(), nil
}
