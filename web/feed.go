package web

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"berth/api"
	"berth/inventory"
	"berth/inventory/notify"
)

// Feeds are read by programs that can send neither cookie nor header: a calendar, a feed reader. Their address holds a credential of its
// own, which opens the feeds and nothing else. Each account has at most one; making another ends the one before. It is kept, as a hash, in
// a setting named for the account.

const (
	feedPrefix  = "feed_"
	feedSetting = "feed:"
)

func (s *Server) feedRoutes() []route {
	rows := []route{
		{method: "GET", pattern: "/feeds/deadlines.ics", handle: s.feed(s.deadlinesICS)},
		{method: "GET", pattern: "/feeds/deadlines.atom", handle: s.feed(s.deadlinesAtom)},
		{method: "GET", pattern: "/feeds/notifications.atom", handle: s.feed(s.notificationsAtom)},
	}
	for i := range rows {
		rows[i].need, rows[i].surface, rows[i].query = accessOpen, surfacePlain, []string{"token"}
	}
	return rows
}

// makeFeed makes the credential of an account's feeds, and their addresses.
func (s *Server) makeFeed(r *http.Request, who caller) (*api.FeedCreated, error) {
	if who.account == nil {
		return nil, &api.Problem{Status: http.StatusConflict, Code: api.CodeRefused, Detail: "Feeds belong to an account; on the server's socket there is none. Use a token."}
	}
	text, hash := newCredential(who.account.UID)
	err := s.Record.Edit(r.Context(), edit(r, who, ""), func(tx inventory.Tx) error {
		return notify.WriteSetting(tx, feedSetting+string(who.account.UID), hash)
	})
	if err != nil {
		return nil, err
	}
	address := func(path string) string {
		return s.ownURL(r) + path + "?token=" + url.QueryEscape(feedPrefix+text)
	}
	return &api.FeedCreated{Calendar: address("/feeds/deadlines.ics"), Deadlines: address("/feeds/deadlines.atom"), Notifications: address("/feeds/notifications.atom")}, nil
}

func (s *Server) postFeeds(w http.ResponseWriter, r *http.Request, who caller) error {
	made, err := s.makeFeed(r, who)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, made)
}

func (s *Server) feedForm(w http.ResponseWriter, r *http.Request, who caller) error {
	made, err := s.makeFeed(r, who)
	if err != nil {
		return err
	}
	return s.drawNotifications(w, r, who, made, nil)
}

// feed lets the holder of a feed's credential in, and nobody else: neither a session nor an API token opens a feed, so that no address with
// one in it is ever made.
func (s *Server) feed(answer handler) handler {
	return func(w http.ResponseWriter, r *http.Request, _ caller) error {
		who, err := s.byFeed(r.Context(), r.URL.Query().Get("token"))
		if err != nil {
			return err
		}
		return answer(w, withReader(r, who), who)
	}
}

// byFeed finds whose feed a credential opens. Whatever their access level, a feed is read as a viewer, without amounts.
func (s *Server) byFeed(ctx context.Context, token string) (caller, error) {
	text, prefixed := strings.CutPrefix(strings.TrimSpace(token), feedPrefix)
	uid, ok := splitCredential(text)
	if !prefixed || !ok {
		return caller{}, errBadCredential
	}
	kept, err := inventory.Get[inventory.Setting](ctx, s.Record, feedSetting+string(uid))
	if errors.Is(err, inventory.ErrNotFound) || err == nil && !matches(kept.Value, text) {
		return caller{}, errBadCredential
	}
	if err != nil {
		return caller{}, err
	}
	account, err := s.account(ctx, uid)
	if err != nil {
		return caller{}, err
	}
	return caller{Actor: inventory.Actor{Account: account.UID, Name: account.Name, Level: inventory.LevelViewer}, account: account, via: "feed"}, nil
}

// feedDays is how far a subscribed calendar looks ahead.
const feedDays = 366

func (s *Server) deadlinesICS(w http.ResponseWriter, r *http.Request, _ caller) error {
	a, err := s.agendaOf(r.Context(), feedDays)
	if err != nil {
		return err
	}
	return s.calendar(w, r, a)
}

func (s *Server) deadlinesAtom(w http.ResponseWriter, r *http.Request, _ caller) error {
	a, err := s.agendaOf(r.Context(), agendaDays)
	if err != nil {
		return err
	}
	return s.atom(w, r, "berth: deadlines", "/agenda", s.agendaItems(r, a))
}

func (s *Server) notificationsAtom(w http.ResponseWriter, r *http.Request, _ caller) error {
	rows, err := inventory.List[inventory.Notification](r.Context(), s.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("state", "open")}, Sort: "-created_at", Limit: 200})
	if err != nil {
		return err
	}
	var items []notify.Item
	for _, n := range rows {
		items = append(items, notify.Item{Key: "notification/" + string(n.UID), Title: n.Title, Text: n.Text, URL: s.ownURL(r) + notify.PathOf(n), Kind: n.Kind, Updated: n.UpdatedAt, Day: n.DueOn})
	}
	return s.atom(w, r, "berth: notifications", "/notifications", items)
}

func (s *Server) atom(w http.ResponseWriter, r *http.Request, name, home string, items []notify.Item) error {
	var out bytes.Buffer
	if err := notify.Feed(&out, name, s.ownURL(r)+home, items, s.now()); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/atom+xml; charset=utf-8")
	_, _ = w.Write(out.Bytes()) // the reader has gone: nobody is left to tell
	return nil
}
