package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/inventory"
	"berth/inventory/blob"
	"berth/inventory/claims"
	"berth/inventory/notify"
	"berth/inventory/notify/hook"
	"berth/inventory/store"
)

// receiver keeps what a webhook sends and what a poll asks.
type receiver struct {
	mu     sync.Mutex
	bodies []string
	signed []string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodGet { // a carrier that is asked about a parcel
		fmt.Fprintf(w, `{"tracking_code":%q,"events":[{"occurred_at":"2026-11-21T10:00:00Z","status":"in_transit","description":"found in Leipzig","code":"PU"}]}`, req.URL.Query().Get("code"))
		return
	}
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies, r.signed = append(r.bodies, string(body)), append(r.signed, req.Header.Get("X-Hook-Signature"))
}

// mailbox is a Mailer in memory.
type mailbox struct{ subjects []string }

func (m *mailbox) Send(_ context.Context, _, subject, _ string, _ time.Time) error {
	m.subjects = append(m.subjects, subject)
	return nil
}

// What the server does by itself, from a parcel that falls silent to the mail and the message about it, and back.
func TestUpkeep(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	key, err := store.CreateKey(filepath.Join(t.TempDir(), "key"))
	must(t, err)
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Sealer: key, OnChange: notify.Enqueue, Now: func() time.Time { return now }})
	must(t, err)
	defer s.Close()
	documents, err := blob.Open(t.TempDir(), 1<<20)
	must(t, err)
	there := &receiver{}
	server := httptest.NewServer(there)
	defer server.Close()
	box := &mailbox{}
	u := &upkeep{record: s, rules: claims.Default(), documents: documents, log: slog.New(slog.DiscardHandler), now: func() time.Time { return now },
		sender: &hook.Sender{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
	u.courier = &notify.Courier{Record: s, Sender: u.sender, Now: u.now, Log: u.log}
	u.post = &notify.Post{Record: s, Mailer: box, Now: u.now, Home: "https://berth.example.org"}

	create := func(objects ...inventory.Object) {
		t.Helper()
		must(t, u.edit(t.Context(), "test", func(tx inventory.Tx) error {
			for _, obj := range objects {
				if err := tx.Create(obj); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	turn := func() {
		t.Helper()
		for _, r := range u.routines() {
			for _, c := range r.Chores {
				if err := c.Do(t.Context()); err != nil {
					t.Errorf("%s, %s: %v", r.Kind, c.Name, err)
				}
			}
		}
	}
	open := func() []string {
		t.Helper()
		rows, err := inventory.List[inventory.Notification](t.Context(), s, inventory.Query{Filters: []inventory.Filter{inventory.Is("state", "open")}})
		must(t, err)
		var titles []string
		for _, n := range rows {
			titles = append(titles, n.Severity+" "+n.Title)
		}
		slices.Sort(titles)
		return titles
	}

	carrier := &inventory.Organization{Name: "DHL Express", Slug: "dhl", CarrierCode: "dhl-express"}
	site := &inventory.Site{Name: "fra", Slug: "fra", TimeZone: "Europe/Berlin"}
	create(carrier, site, &inventory.Webhook{Name: "pager", URL: server.URL, Secret: inventory.PlainSecret("geheim"), NounNames: []string{"notification"}, Conditions: "severity = urgent", Enabled: true})
	handed := now.AddDate(0, 0, -25)
	shipment := &inventory.Shipment{Reference: "S-1", Phase: "handed_over", Status: "in_transit", Carrier: carrier.UID, Origin: site.UID, TrackingCode: "JD0146", HandedOverAt: &handed}
	create(shipment, &inventory.Claim{Reference: "C-1", Against: carrier.UID, Kind: "loss", Status: "filed", Currency: "EUR", NextChaseOn: "2026-11-20", LastChaseAt: &handed},
		&inventory.Device{Name: "node-5", Site: site.UID, ProvisionState: inventory.StateQuarantined, StateReason: "the read-back differs"})
	turn()
	want := []string{"urgent Claim C-1: they do not answer", "urgent S-1 is silent", "urgent S-1: Claim for loss or damage; the trace must be finished first (DHL Express terms)", "urgent node-5 is in quarantine"}
	if got := open(); !slices.Equal(got, want) {
		t.Errorf("what goes loud:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(box.subjects) != 4 {
		t.Errorf("mails %q", box.subjects)
	}
	if len(there.bodies) != 4 {
		t.Errorf("%d messages arrived, want 4", len(there.bodies))
	}
	for i, body := range there.bodies {
		mac := hmac.New(sha512.New, []byte("geheim"))
		mac.Write([]byte(body))
		if there.signed[i] != hex.EncodeToString(mac.Sum(nil)) || !strings.Contains(body, `"model":"notification"`) {
			t.Errorf("the message %s is signed %q", body, there.signed[i])
		}
	}
	turn()
	if got := open(); !slices.Equal(got, want) || len(box.subjects) != 4 || len(there.bodies) != 4 {
		t.Errorf("a second turn changes things: %q, %d mails, %d messages", got, len(box.subjects), len(there.bodies))
	}

	// The carrier is asked, and the parcel speaks again.
	create(&inventory.TrackingSource{Name: "carrier", Kind: "poll", URL: server.URL + "/?code={tracking_code}", Enabled: true})
	turn()
	if got := open(); slices.Contains(got, "urgent S-1 is silent") {
		t.Errorf("the parcel spoke and is silent still: %q", got)
	}
	if u.upkeepDue(t.Context()) {
		t.Error("the next turn is due right after the last")
	}
	now = now.Add(time.Minute)
	turn()
	now = now.Add(time.Minute)
	if u.upkeepDue(t.Context()) {
		t.Error("a turn is due although nothing changed")
	}
	create(&inventory.Shipment{Reference: "S-2"})
	now = now.Add(time.Minute)
	if !u.upkeepDue(t.Context()) {
		t.Error("a new shipment waits for the regular turn")
	}
	now = now.AddDate(0, 0, 40)
	turn()
	if got := open(); slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "Claim for loss") }) {
		t.Errorf("a day that passed a month ago is still told: %q", got)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A wrong setting stops the start, with a sentence that names it.
func TestUpkeepSettings(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "rules.yaml")
	must(t, os.WriteFile(bad, []byte("version: 1\nrules:\n  - rule: mine\n"), 0o600))
	for _, test := range []struct {
		want string
		o    upkeepOptions
	}{
		{"", upkeepOptions{}},
		{"--deadline-rules", upkeepOptions{rules: bad}},
		{"--deadline-rules", upkeepOptions{rules: bad + "x"}},
		{"--webhook-allow", upkeepOptions{webhookAllow: []string{"localhost"}}},
		{"--mail-hour", upkeepOptions{mailHour: 24}},
		{"need --smtp", upkeepOptions{mailTo: []string{"a@example.org"}}},
		{"nobody to write to", upkeepOptions{smtp: "mail:25", smtpSecurity: "none", mailFrom: "b@example.org"}},
		{"not sent in the clear", upkeepOptions{smtp: "mail:25", smtpSecurity: "none", smtpUser: "b", mailFrom: "b@example.org", mailTo: []string{"a@example.org"}}},
		{"--smtp-password-file", upkeepOptions{smtp: "mail:25", smtpPassword: bad + "x"}},
		{"", upkeepOptions{smtp: "mail:25", smtpSecurity: "starttls", mailFrom: "b@example.org", mailTo: []string{"a@example.org"}}},
	} {
		s := &server{serveOptions: serveOptions{data: t.TempDir(), upkeepOptions: test.o}}
		err := s.checkUpkeep()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want something about %q", test.o, err, test.want)
		}
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "deadline-rules.yaml"), []byte("version: 1\nrules: []\n"), 0o600))
	s := &server{serveOptions: serveOptions{data: dir}}
	if err := s.checkUpkeep(); err != nil || len(s.clock.Rows) != 0 {
		t.Errorf("the rules in the state directory were not taken: %v", err)
	}
}
