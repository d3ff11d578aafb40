package web

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"berth/api"
	"berth/inventory"
)

func (s *Server) showLogin(w http.ResponseWriter, r *http.Request, who caller) error {
	next := localPath(r.URL.Query().Get("next"), "/")
	if who.known() {
		return seeOther(w, r, next)
	}
	return s.render(w, r, who, "login", view{Title: "Log in", Data: map[string]string{"Next": next}})
}

// login opens a session. Everything that is wrong looks the same from outside: which accounts exist is nobody's business.
func (s *Server) login(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	name, next := truncate(v.Get("name"), 200), localPath(v.Get("next"), "/")
	account, err := s.checkLogin(r, name, v.Get("password"))
	if err != nil {
		p := problemOf(err)
		if p == nil {
			return err
		}
		shown := *p
		return s.render(w, r, caller{}, "login", view{Title: "Log in", Problem: &shown, Data: map[string]string{"Next": next, "Name": name}})
	}
	text, err := s.openSession(r, account)
	if err != nil {
		return err
	}
	setSession(w, text, s.now().Add(sessionLife))
	s.log().Info("logged in", "account", account.Name, "from", remoteIP(r))
	return seeOther(w, r, next)
}

func (s *Server) checkLogin(r *http.Request, name, password string) (*inventory.Account, error) {
	address := remoteIP(r)
	if wait := s.pause.wait(s.now(), name, address); wait > 0 {
		return nil, slowDown(wait)
	}
	account, err := s.verify(r.Context(), name, password)
	if errors.Is(err, errWrongPassword) {
		s.pause.failed(s.now(), name, address)
		s.log().Warn("wrong password", "account", s.loggable(r, name), "from", address)
	}
	if err == nil {
		s.pause.passed(name, address)
	}
	return account, err
}

// loggable is the name of an account for the log. What is no account's name may be a password in the wrong field.
func (s *Server) loggable(r *http.Request, name string) string {
	account, err := inventory.Get[inventory.Account](r.Context(), s.Record, name)
	if err != nil {
		return "(none of that name)"
	}
	return account.Name
}

// openSession stores a session and clears the account's sessions that are over.
func (s *Server) openSession(r *http.Request, account *inventory.Account) (string, error) {
	now := s.now().UTC()
	session := inventory.Session{Account: account.UID, ExpiresAt: now.Add(sessionLife), Agent: truncate(r.UserAgent(), 200)}
	session.UID = inventory.NewUID()
	text, hash := newCredential(session.UID)
	session.Hash = hash
	by := inventory.Actor{Account: account.UID, Name: account.Name, Level: account.Level}
	err := s.Record.Edit(r.Context(), edit(r, caller{Actor: by}, "log in"), func(tx inventory.Tx) error {
		fresh := session
		if err := tx.Create(&fresh); err != nil {
			return err
		}
		if err := endExpired(tx, account.UID, now); err != nil {
			return err
		}
		a, err := inventory.TxGet[inventory.Account](tx, string(account.UID))
		if err != nil {
			return err
		}
		a.SeenAt = &now
		return tx.Update(a)
	})
	if err != nil {
		return "", fmt.Errorf("open a session: %w", err)
	}
	return text, nil
}

func endExpired(tx inventory.Tx, account inventory.UID, now time.Time) error {
	old, err := inventory.TxList[inventory.Session](tx, inventory.Query{Limit: 100, Filters: []inventory.Filter{
		inventory.Is("account", account), {Field: "expires_at", Op: inventory.OpLess, Value: now.Format(time.RFC3339)}}})
	if err != nil {
		return err
	}
	for _, session := range old {
		if err := tx.Delete(session); err != nil {
			return err
		}
	}
	return nil
}

func setSession(w http.ResponseWriter, text string, until time.Time) {
	c := &http.Cookie{Name: sessionCookie, Value: text, Path: "/", Expires: until, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if text == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request, who caller) error {
	if who.session != nil {
		err := s.Record.Edit(r.Context(), edit(r, who, "log out"), func(tx inventory.Tx) error {
			err := tx.Delete(who.session)
			if isNotFound(err) {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	setSession(w, "", time.Unix(1, 0))
	return seeOther(w, r, "/login")
}

// mePage is one's own account: sessions, tokens, password.
type mePage struct {
	Tokens   []*inventory.Token
	Sessions []*inventory.Session
	// Created is a token just made, shown this once.
	Created *api.TokenCreated
}

func (s *Server) showMe(w http.ResponseWriter, r *http.Request, who caller) error {
	return s.drawMe(w, r, who, nil, nil)
}

func (s *Server) drawMe(w http.ResponseWriter, r *http.Request, who caller, created *api.TokenCreated, problem *api.Problem) error {
	mine := inventory.Query{Filters: []inventory.Filter{inventory.Is("account", who.Actor.Account)}, Limit: 200}
	tokens, err := inventory.List[inventory.Token](r.Context(), s.Record, mine)
	if err != nil {
		return err
	}
	sessions, err := inventory.List[inventory.Session](r.Context(), s.Record, mine)
	if err != nil {
		return err
	}
	return s.render(w, r, who, "me", view{Title: "My account", Problem: problem, Data: mePage{Tokens: tokens, Sessions: sessions, Created: created}})
}

func (s *Server) makeToken(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	account, err := s.tokenAccount(r, who, "")
	if err != nil {
		return err
	}
	in := api.TokenRequest{Name: v.Get("name"), Level: inventory.Level(v.Get("level"))}
	if days := v.Get("days"); days != "" {
		n := 0
		if _, err := fmt.Sscan(days, &n); err != nil || n < 1 || n > 730 {
			return s.drawMe(w, r, who, nil, problemOf(invalid("days", "from 1 to 730")))
		}
		end := s.now().Add(time.Duration(n) * 24 * time.Hour)
		in.ExpiresAt = &end
	}
	created, err := s.createToken(r.Context(), edit(r, who, ""), account, in)
	if p, ok := again(err); ok {
		return s.drawMe(w, r, who, nil, p)
	}
	if err != nil {
		return err
	}
	return s.drawMe(w, r, who, created, nil)
}

func (s *Server) dropToken(w http.ResponseWriter, r *http.Request, who caller) error {
	if err := s.endToken(r, who, r.PathValue("ref")); err != nil {
		return err
	}
	flash(w, "The token was revoked.")
	return seeOther(w, r, "/me")
}

func (s *Server) dropSession(w http.ResponseWriter, r *http.Request, who caller) error {
	err := s.Record.Edit(r.Context(), edit(r, who, ""), func(tx inventory.Tx) error {
		session, err := inventory.TxGet[inventory.Session](tx, r.PathValue("ref"))
		if err != nil {
			return err
		}
		if session.Account != who.Actor.Account && !who.Can(inventory.LevelAdmin) {
			return inventory.ErrNotFound
		}
		return tx.Delete(session)
	})
	if err != nil {
		return err
	}
	flash(w, "That browser was logged out.")
	return seeOther(w, r, "/me")
}

func (s *Server) showPassword(w http.ResponseWriter, r *http.Request, who caller) error {
	return s.render(w, r, who, "password", view{Title: "Change password"})
}

func (s *Server) changePassword(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	if who.account == nil {
		return forbidden(who.Actor.Level, inventory.LevelViewer)
	}
	if err = s.changeOwnPasswordTwice(r, who, v.Get("current"), v.Get("new"), v.Get("repeat")); err != nil {
		p, ok := again(err)
		if !ok {
			return err
		}
		return s.render(w, r, who, "password", view{Title: "Change password", Problem: p})
	}
	flash(w, "The password was changed. Every other browser of yours was logged out.")
	return seeOther(w, r, "/")
}

func (s *Server) changeOwnPasswordTwice(r *http.Request, who caller, current, next, repeat string) error {
	if next != repeat {
		return invalid("repeat", "is not the same as the new password")
	}
	return s.changeOwnPassword(r, who, current, next)
}
