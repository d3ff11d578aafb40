package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"berth/api"
	"berth/inventory"
	"berth/inventory/claims"
	"berth/inventory/notify"
)

// The agenda: every day on which something must be done or ends, as a page, in REST, and as a calendar and feeds to subscribe to.

func (s *Server) agendaRoutes() []route {
	rows := []route{
		{method: "GET", pattern: "/api/v1/agenda", need: "viewer", handle: s.getAgenda, out: api.Agenda{}, query: []string{"days", "format"},
			summary: "What falls due in the next days (90), and what was due and is open: deadlines of claims, warranties, leases, loans, holds, policies, returned goods; format=ics gives a calendar"},
		{method: "POST", pattern: "/api/v1/deadlines/{ref}/finish", need: "operator", handle: s.postFinish, in: api.FinishRequest{}, out: inventory.Deadline{},
			summary: "Say that a deadline was met, does not matter, or is open again"},
		{method: "GET", pattern: "/api/v1/shipments/{ref}/clock", need: "viewer", handle: s.getClock, out: api.Agenda{},
			summary: "The claim clock of a shipment, computed now from its mode, carrier and dates"},
	}
	for i := range rows {
		rows[i].surface = surfaceAPI
	}
	return rows
}

func (s *Server) agendaPages() []route {
	return []route{
		{method: "GET", pattern: "/agenda", need: "viewer", handle: s.agendaPage},
		{method: "POST", pattern: "/deadlines/{ref}/finish", need: "operator", handle: s.finishForm},
	}
}

// agendaDays is how far an agenda looks ahead by default, and the most it does.
const (
	agendaDays    = 90
	agendaMaxDays = 3660
)

// overdueDays is for how long what ended by itself (a warranty, a lease) stays on the agenda.
const overdueDays = 7

func (s *Server) agendaOf(ctx context.Context, days int) (*api.Agenda, error) {
	today := s.today()
	list, err := claims.Agenda(s.reading(ctx), today, today.AddDays(-overdueDays), today.AddDays(days))
	if err != nil {
		return nil, err
	}
	return &api.Agenda{Today: today, Until: today.AddDays(days), Items: agendaEntries(list)}, nil
}

func agendaEntries(list []claims.Entry) []api.AgendaEntry {
	items := make([]api.AgendaEntry, len(list))
	for i, e := range list {
		items[i] = api.AgendaEntry{Key: e.Key, DueOn: e.DueOn, DaysLeft: e.DaysLeft, Kind: e.Kind, Title: e.Title, Milestone: e.Milestone, State: e.State, Source: e.Source,
			Assumes: e.Assumes, Cap: e.Cap, Unsure: e.Unsure, Noun: e.Noun, Object: e.Object, About: e.About}
		if e.Deadline != nil {
			items[i].Deadline = *e.Deadline
		}
	}
	return items
}

func (s *Server) getAgenda(w http.ResponseWriter, r *http.Request, _ caller) error {
	days, err := daysOf(r.URL.Query().Get("days"))
	if err != nil {
		return err
	}
	a, err := s.agendaOf(r.Context(), days)
	if err != nil {
		return err
	}
	switch r.URL.Query().Get("format") {
	case "", "json":
		return writeJSON(w, http.StatusOK, a)
	case "ics":
		return s.calendar(w, r, a)
	}
	return invalid("format", "json or ics")
}

func daysOf(text string) (int, error) {
	if text == "" {
		return agendaDays, nil
	}
	var days int
	if _, err := fmt.Sscan(text, &days); err != nil || days < 0 || days > agendaMaxDays {
		return 0, invalid("days", "must be a number from 0 to %d", agendaMaxDays)
	}
	return days, nil
}

// calendar answers with an agenda as iCalendar.
func (s *Server) calendar(w http.ResponseWriter, r *http.Request, a *api.Agenda) error {
	var out bytes.Buffer
	if err := notify.Calendar(&out, "berth: deadlines", s.agendaItems(r, a), s.now()); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/calendar; charset=utf-8")
	_, _ = w.Write(out.Bytes()) // the reader has gone: nobody is left to tell
	return nil
}

// agendaItems are an agenda's entries as a calendar or feed has them. The day is part of a feed's time: an entry that moved is news.
func (s *Server) agendaItems(r *http.Request, a *api.Agenda) []notify.Item {
	var items []notify.Item
	for _, e := range a.Items {
		items = append(items, notify.Item{Key: e.Key, Title: strings.TrimPrefix(e.About+": "+e.Title, ": "), Text: entryText(e), URL: s.ownURL(r) + e.Path(), Day: e.DueOn, Kind: e.Kind, Updated: e.DueOn.Time()})
	}
	return items
}

// ownURL is the server's own address as the reader wrote it.
func (s *Server) ownURL(r *http.Request) string { return "https://" + r.Host }

func entryText(e api.AgendaEntry) string {
	var lines []string
	for _, text := range []string{e.Cap, e.Source, e.Assumes} {
		if text != "" {
			lines = append(lines, text)
		}
	}
	if e.Unsure {
		lines = append(lines, "This rule was not held against a source yet.")
	}
	return strings.Join(lines, "\n")
}

func (s *Server) postFinish(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusOK, func(in api.FinishRequest) (*inventory.Deadline, error) { return s.finish(r, who, in) })
}

func (s *Server) finish(r *http.Request, who caller, in api.FinishRequest) (d *inventory.Deadline, err error) {
	if in.On == "" && in.State == "done" {
		in.On = s.today()
	}
	err = s.Record.Edit(r.Context(), edit(r, who, in.Note), func(tx inventory.Tx) error {
		if d, err = inventory.TxGet[inventory.Deadline](tx, r.PathValue("ref")); err != nil {
			return err
		}
		return claims.Finish(tx, d, in.State, in.On, strings.TrimSpace(in.Note))
	})
	return d, err
}

func (s *Server) finishForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	d, err := s.finish(r, who, api.FinishRequest{State: v.Get("state"), On: inventory.Date(v.Get("on")), Note: v.Get("note")})
	if err != nil {
		return err
	}
	flash(w, "%s: %s.", d.Title, d.State)
	return seeOther(w, r, localPath(v.Get("back"), "/agenda"))
}

// shipmentDeadlines is the claim clock of a shipment, computed now, with what people said about its deadlines. The page of a shipment shows
// it with the template "clock".
func (s *Server) shipmentDeadlines(ctx context.Context, shipment *inventory.Shipment) ([]api.AgendaEntry, error) {
	reader, today := s.reading(ctx), s.today()
	facts, err := claims.FactsOf(reader, shipment)
	if err != nil {
		return nil, err
	}
	stored, err := inventory.List[inventory.Deadline](ctx, s.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("shipment", shipment.UID)}, Sort: "due_on", Limit: inventory.MaxPage})
	if err != nil {
		return nil, err
	}
	list := claims.Merge(s.rules(), facts, stored, today)
	entries := agendaEntries(list)
	for i := range entries {
		entries[i].Noun, entries[i].Object, entries[i].About = "shipment", shipment.UID, shipment.Reference
	}
	return entries, nil
}

// rules are those of the claim clock.
func (s *Server) rules() *claims.Rules {
	if s.Rules != nil {
		return s.Rules
	}
	return defaultRules
}

var defaultRules = claims.Default()

func (s *Server) getClock(w http.ResponseWriter, r *http.Request, _ caller) error {
	shipment, err := inventory.Get[inventory.Shipment](r.Context(), s.Record, r.PathValue("ref"))
	if err != nil {
		return err
	}
	items, err := s.shipmentDeadlines(r.Context(), shipment)
	if err != nil {
		return err
	}
	if items == nil {
		items = []api.AgendaEntry{}
	}
	return writeJSON(w, http.StatusOK, api.Agenda{Today: s.today(), Items: items})
}

// agendaView is the page of the agenda.
type agendaView struct {
	*api.Agenda
	Late  []api.AgendaEntry
	Soon  []api.AgendaEntry // within the week
	Later []api.AgendaEntry
	Days  int
}

func (s *Server) agendaPage(w http.ResponseWriter, r *http.Request, who caller) error {
	days, err := daysOf(r.URL.Query().Get("days"))
	if err != nil {
		return err
	}
	a, err := s.agendaOf(r.Context(), days)
	if err != nil {
		return err
	}
	v := agendaView{Agenda: a, Days: days}
	for _, e := range a.Items {
		switch {
		case e.DaysLeft < 0:
			v.Late = append(v.Late, e)
		case e.DaysLeft <= 7:
			v.Soon = append(v.Soon, e)
		default:
			v.Later = append(v.Later, e)
		}
	}
	return s.render(w, r, who, "agenda", view{Title: "Agenda", Live: "deadlines,shipments,claims", Data: v})
}

// notificationPages are what needs a person, in one list.
func (s *Server) notificationPages() []route {
	return []route{
		{method: "GET", pattern: "/notifications", need: "viewer", handle: s.notificationsPage},
		{method: "POST", pattern: "/notifications/{ref}/aside", need: "operator", handle: s.asideForm},
		{method: "POST", pattern: "/webhook-deliveries/{ref}/retry", need: "admin", handle: s.retryForm},
		{method: "POST", pattern: "/me/feeds", need: "viewer", handle: s.feedForm},
	}
}

func (s *Server) notificationRoutes() []route {
	rows := []route{
		{method: "POST", pattern: "/api/v1/notifications/{ref}/aside", need: "operator", handle: s.postAside, in: api.AsideRequest{}, out: inventory.Notification{},
			summary: "Put a notification aside until a day"},
		{method: "POST", pattern: "/api/v1/webhook-deliveries/{ref}/retry", need: "admin", handle: s.postRetry, out: inventory.WebhookDelivery{},
			summary: "Send a message to a webhook again"},
		{method: "POST", pattern: "/api/v1/me/feeds", need: "viewer", handle: s.postFeeds, out: api.FeedCreated{}, status: http.StatusCreated,
			summary: "Make addresses for one's calendar and feeds; they end the ones before, and can read nothing else"},
	}
	for i := range rows {
		rows[i].surface = surfaceAPI
	}
	return rows
}

// notificationsView is the page of notifications.
type notificationsView struct {
	Open  []*inventory.Notification
	Aside []*inventory.Notification
	More  bool // there are more than a page shows
	Today inventory.Date
	Feeds *api.FeedCreated // just made, shown this once
}

// Week is the day until which things are put aside unless somebody says otherwise.
func (v notificationsView) Week() inventory.Date { return v.Today.AddDays(7) }

// Path is the page of what a notification is about.
func (v notificationsView) Path(n *inventory.Notification) string { return notify.PathOf(n) }

// notificationsPage shows what is open, the worst first. With a condition in the address it is the derived list, which also has what is gone.
func (s *Server) notificationsPage(w http.ResponseWriter, r *http.Request, who caller) error {
	if r.URL.RawQuery != "" {
		return s.nounList(nounNamed("notification"))(w, r, who)
	}
	return s.drawNotifications(w, r, who, nil, nil)
}

func (s *Server) drawNotifications(w http.ResponseWriter, r *http.Request, who caller, feeds *api.FeedCreated, problem *api.Problem) error {
	rows, err := s.loudest(r.Context())
	if err != nil {
		return err
	}
	v := notificationsView{Today: s.today(), Feeds: feeds}
	if v.More = len(rows) > inventory.DefaultPage; v.More {
		rows = rows[:inventory.DefaultPage]
	}
	aside, err := inventory.List[inventory.Notification](r.Context(), s.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("state", "put_aside")}, Limit: inventory.DefaultPage})
	if err != nil {
		return err
	}
	for _, row := range append(rows, aside...) {
		if row.State == "put_aside" && row.PutAsideUntil > v.Today {
			v.Aside = append(v.Aside, row)
		} else {
			v.Open = append(v.Open, row)
		}
	}
	notify.Worst(v.Open)
	slices.SortFunc(v.Aside, func(a, b *inventory.Notification) int {
		return strings.Compare(string(a.PutAsideUntil), string(b.PutAsideUntil))
	})
	return s.render(w, r, who, "notifications", view{Title: "Notifications", Live: "notifications", Problem: problem, Data: v})
}

// loudest lists what is open, one more than a page shows at most: the urgent first, since with many only they are read.
func (s *Server) loudest(ctx context.Context) ([]*inventory.Notification, error) {
	var rows []*inventory.Notification
	for _, severity := range []string{"urgent", "warning", "info"} {
		room := inventory.DefaultPage + 1 - len(rows)
		if room == 0 {
			break
		}
		found, err := inventory.List[inventory.Notification](ctx, s.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("state", "open"), inventory.Is("severity", severity)}, Sort: "-created_at", Limit: room})
		if err != nil {
			return nil, err
		}
		rows = append(rows, found...)
	}
	return rows, nil
}

func (s *Server) aside(r *http.Request, who caller, until inventory.Date) (n *inventory.Notification, err error) {
	err = s.Record.Edit(r.Context(), edit(r, who, ""), func(tx inventory.Tx) error {
		if n, err = inventory.TxGet[inventory.Notification](tx, r.PathValue("ref")); err != nil {
			return err
		}
		return notify.PutAside(tx, n, until, who.Actor.Name)
	})
	return n, err
}

func (s *Server) postAside(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusOK, func(in api.AsideRequest) (*inventory.Notification, error) { return s.aside(r, who, in.Until) })
}

func (s *Server) asideForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	n, err := s.aside(r, who, inventory.Date(v.Get("until")))
	if p, ok := again(err); ok {
		return s.drawNotifications(w, r, who, nil, p)
	}
	if err != nil {
		return err
	}
	flash(w, "“%s” is put aside until %s.", truncate(n.Title, 100), n.PutAsideUntil)
	return seeOther(w, r, localPath(v.Get("back"), "/notifications"))
}

func (s *Server) retry(r *http.Request, who caller) (d *inventory.WebhookDelivery, err error) {
	err = s.Record.Edit(r.Context(), edit(r, who, ""), func(tx inventory.Tx) error {
		if d, err = inventory.TxGet[inventory.WebhookDelivery](tx, r.PathValue("ref")); err != nil {
			return err
		}
		return notify.Retry(tx, d)
	})
	return d, err
}

func (s *Server) postRetry(w http.ResponseWriter, r *http.Request, who caller) error {
	d, err := s.retry(r, who)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, d)
}

func (s *Server) retryForm(w http.ResponseWriter, r *http.Request, who caller) error {
	d, err := s.retry(r, who)
	if err != nil {
		return err
	}
	flash(w, "The message is sent again within half a minute.")
	return seeOther(w, r, "/webhook-deliveries/"+string(d.UID))
}
