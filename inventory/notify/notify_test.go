package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/internal/pgtest"
	"berth/inventory"
	"berth/inventory/store"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// bench is a record that tells webhooks, with a clock that tests set.
type bench struct {
	*testing.T
	*store.Store
	mu  sync.Mutex
	now time.Time
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) later(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func both(t *testing.T, story func(b *bench)) {
	t.Helper()
	play := func(t *testing.T, opt store.Options) {
		b := &bench{T: t, now: time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)}
		key, err := store.CreateKey(filepath.Join(t.TempDir(), "key"))
		b.must(err)
		opt.Now, opt.OnChange, opt.Sealer = b.clock, Enqueue, key
		b.Store, err = store.Open(context.Background(), opt)
		b.must(err)
		t.Cleanup(func() { b.must(b.Store.Close()) })
		story(b)
	}
	t.Run("sqlite", func(t *testing.T) { play(t, store.Options{Dir: t.TempDir()}) })
	t.Run("postgres", func(t *testing.T) { play(t, store.Options{DSN: pgtest.Database(t)}) })
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

var anna = inventory.Actor{Name: "anna", Account: "0123456789abcdef0123456789abcdef", Level: inventory.LevelAdmin}

func (b *bench) edit(fn func(tx inventory.Tx) error) {
	b.Helper()
	b.must(b.Store.Edit(context.Background(), inventory.NewRequest(anna, "test"), fn))
}

func (b *bench) create(objects ...inventory.Object) {
	b.Helper()
	b.edit(func(tx inventory.Tx) error {
		for _, obj := range objects {
			if err := tx.Create(obj); err != nil {
				return err
			}
		}
		return nil
	})
}

func list[T any](b *bench, sort string, filters ...inventory.Filter) []*T {
	b.Helper()
	rows, err := inventory.List[T](context.Background(), b.Store, inventory.Query{Sort: sort, Filters: filters, Limit: inventory.MaxPage})
	b.must(err)
	return rows
}

// A notice is raised, told again, grows worse, is put aside, comes back, and goes.
func TestNotificationsOfOneThing(t *testing.T) {
	both(t, func(b *bench) {
		raise := func(severity, text string) {
			t.Helper()
			b.edit(func(tx inventory.Tx) error {
				return Raise(tx, Notice{Kind: "silent_parcel", Key: "silent/1", Severity: severity, Title: "S-1 is silent", Text: text})
			})
		}
		only := func() *inventory.Notification {
			t.Helper()
			rows := list[inventory.Notification](b, "created_at")
			if len(rows) != 1 {
				t.Fatalf("%d notifications", len(rows))
			}
			return rows[0]
		}
		raise(Warning, "6 days")
		raise(Warning, "7 days")
		if n := only(); n.Text != "7 days" || n.State != "open" || n.Revision != 2 {
			t.Errorf("told twice: %+v", n)
		}
		raise(Warning, "7 days")
		if n := only(); n.Revision != 2 {
			t.Error("the same again is a change")
		}
		aside := func(until inventory.Date) error {
			return b.Store.Edit(t.Context(), inventory.NewRequest(anna, ""), func(tx inventory.Tx) error {
				n, err := inventory.TxGet[inventory.Notification](tx, string(only().UID))
				if err != nil {
					return err
				}
				return PutAside(tx, n, until, "anna")
			})
		}
		for _, bad := range []inventory.Date{"", "2026-11-22", "2026-11-21", "2030-01-01", "soon"} {
			if err := aside(bad); err == nil {
				t.Errorf("put aside until %q", bad)
			}
		}
		b.must(aside("2026-11-25"))
		raise(Warning, "8 days")
		if n := only(); n.State != "put_aside" || n.By != "anna" {
			t.Errorf("it does not stay aside: %+v", n)
		}
		raise(Urgent, "9 days")
		if n := only(); n.State != "open" {
			t.Error("what became urgent stays aside")
		}
		b.must(aside("2026-11-25"))
		b.later(3 * 24 * time.Hour)
		raise(Urgent, "9 days")
		if n := only(); n.State != "open" {
			t.Error("it stays aside on its day")
		}
		b.edit(func(tx inventory.Tx) error { return Clear(tx, "silent/1") })
		b.edit(func(tx inventory.Tx) error { return Clear(tx, "silent/1") })
		if n := only(); n.State != "gone" {
			t.Errorf("after its cause is gone it is %s", n.State)
		}
		if err := aside("2026-12-01"); err == nil {
			t.Error("what is gone was put aside")
		}
		raise(Warning, "again")
		if rows := list[inventory.Notification](b, "created_at"); len(rows) != 2 {
			t.Errorf("the second time is %d notifications, want one that is gone and one that is open", len(rows))
		}
	})
}

func TestSettleRaisesAndClears(t *testing.T) {
	both(t, func(b *bench) {
		settle := func(n int) {
			t.Helper()
			var wanted []Notice
			for i := range n {
				wanted = append(wanted, Notice{Kind: "deadline", Key: fmt.Sprintf("deadline/%d", i), Severity: Warning, Title: fmt.Sprint(i)})
			}
			b.edit(func(tx inventory.Tx) error { return Settle(tx, "deadline", wanted) })
		}
		open := func() int { return len(list[inventory.Notification](b, "created_at", inventory.Is("state", "open"))) }
		b.edit(func(tx inventory.Tx) error { return Raise(tx, Notice{Kind: "other", Key: "other/1", Title: "x"}) })
		for _, test := range []struct{ n, want int }{{3, 4}, {3, 4}, {1, 2}, {0, 1}, {205, 202}, {2, 3}} {
			settle(test.n)
			if got := open(); got != test.want {
				t.Errorf("%d wanted, %d open, want %d", test.n, got, test.want)
			}
		}
	})
}

func TestMachinesThatNeedSomebody(t *testing.T) {
	both(t, func(b *bench) {
		site := &inventory.Site{Name: "fra", Slug: "fra"}
		b.create(site)
		d := &inventory.Device{Name: "node-1", Site: site.UID, ProvisionState: inventory.StateQuarantined, StateReason: "the read-back differs"}
		b.create(d)
		for i := range 3 {
			b.create(&inventory.Deviation{Device: d.UID, Part: fmt.Sprintf("memory %d", i), Field: "size", Intended: "32 GiB", Verdict: "open"})
		}
		b.create(&inventory.Deviation{Device: d.UID, Part: "disk", Verdict: "ignore"})
		var quarantine, deviations []Notice
		b.edit(func(tx inventory.Tx) (err error) { quarantine, deviations, err = Machines(tx); return err })
		if len(quarantine) != 1 || quarantine[0].Title != "node-1 is in quarantine" || quarantine[0].Text != "the read-back differs" {
			t.Errorf("quarantine %+v", quarantine)
		}
		if len(deviations) != 1 || deviations[0].Title != "node-1: 3 deviations" || !strings.Contains(deviations[0].Text, "memory 1 size: 32 GiB intended, nothing seen") {
			t.Errorf("deviations %+v", deviations)
		}
	})
}

// wire is a receiver that answers as it is told to.
type wire struct {
	mu   sync.Mutex
	got  []Message
	fail error
}

func (w *wire) Send(_ context.Context, m Message) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, m)
	if w.fail != nil {
		return 500, w.fail
	}
	return 200, nil
}

// received decodes the last message.
func (w *wire) received(t *testing.T) (m Message, b body) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.got) == 0 {
		t.Fatal("nothing was sent")
	}
	m = w.got[len(w.got)-1]
	if err := json.Unmarshal(m.Body, &b); err != nil {
		t.Fatal(err)
	}
	return m, b
}

// A change that matches is sent, without secrets and amounts; one that does not is not.
func TestWebhook(t *testing.T) {
	both(t, func(b *bench) {
		receiver := &wire{}
		courier := &Courier{Record: b.Store, Sender: receiver, Now: b.clock}
		deliver := func() int {
			t.Helper()
			n, err := courier.Deliver(t.Context())
			b.must(err)
			return n
		}
		hook := &inventory.Webhook{Name: "pager", URL: "https://example.org/in", Secret: inventory.PlainSecret("geheim"), NounNames: []string{"asset", "bmc"}, Actions: []string{"update", "create"},
			Conditions: "custody changed\ncustody in missing, gone", Enabled: true}
		b.create(hook)
		a := &inventory.Asset{AssetTag: "A-1", Custody: "installed", Currency: "EUR", CostAmount: 5000_00}
		b.create(a)
		if deliver() != 0 {
			t.Error("a change that does not match was sent")
		}
		a.Custody = "missing"
		a.Revision = 0
		b.edit(func(tx inventory.Tx) error { return tx.Update(a) })
		err := b.Store.Edit(t.Context(), inventory.NewRequest(anna, ""), func(tx inventory.Tx) error {
			other := &inventory.Asset{AssetTag: "A-2", Custody: "missing"}
			return errors.Join(tx.Create(other), errors.New("and back"))
		})
		if err == nil || deliver() != 1 {
			t.Fatal("one message was to be sent, and none of what was rolled back")
		}
		m, got := receiver.received(t)
		if m.Secret != "geheim" || m.URL != hook.URL || m.Event != got.ID || got.Event != "updated" || got.Model != "asset" || got.Username != "anna" || got.RequestID == "" || got.Timestamp.IsZero() {
			t.Errorf("the message %+v with %+v", m, got)
		}
		if got.Data["custody"] != "missing" || got.Snapshots.Before["custody"] != "installed" || got.Snapshots.After["custody"] != "missing" {
			t.Errorf("the snapshots %+v", got.Snapshots)
		}
		if strings.Contains(string(m.Body), "cost_amount") || strings.Contains(string(m.Body), "500000") {
			t.Errorf("an amount was sent: %s", m.Body)
		}
		if deliver() != 0 {
			t.Error("it was sent twice")
		}

		hook = list[inventory.Webhook](b, "name")[0]
		hook.Conditions, hook.Actions, hook.SendMoney = "", nil, true
		b.edit(func(tx inventory.Tx) error { return tx.Update(hook) })
		site := &inventory.Site{Name: "fra", Slug: "fra"}
		b.create(site)
		d := &inventory.Device{Name: "node-1", Site: site.UID}
		b.create(d)
		b.create(&inventory.BMC{Device: d.UID, Kind: "redfish", Address: "10.0.0.1", Password: inventory.PlainSecret("hunter2")})
		b.later(time.Second)
		a.CostAmount++
		a.Revision = 0
		b.edit(func(tx inventory.Tx) error { return tx.Update(a) })
		b.later(time.Second)
		b.edit(func(tx inventory.Tx) error { return tx.Delete(a) })
		if n := deliver(); n != 3 {
			t.Fatalf("%d messages, want those of a BMC and an asset twice", n)
		}
		for _, m := range receiver.got {
			if strings.Contains(string(m.Body), "hunter2") || strings.Contains(string(m.Body), "password") {
				t.Errorf("a secret was sent: %s", m.Body)
			}
		}
		if _, last := receiver.received(t); last.Event != "deleted" || last.Snapshots.After != nil || last.Data["asset_tag"] != "A-1" || fmt.Sprint(last.Data["cost_amount"]) != "500001" {
			t.Errorf("the last message %+v", last)
		}
	})
}

// A receiver that is down is asked again with growing pauses, people are told, and in the end the message is given up.
func TestWebhookIsTriedAgain(t *testing.T) {
	both(t, func(b *bench) {
		receiver := &wire{fail: errors.New("the receiver answered 500 Internal Server Error")}
		courier := &Courier{Record: b.Store, Sender: receiver, Now: b.clock}
		deliver := func() {
			t.Helper()
			_, err := courier.Deliver(t.Context())
			b.must(err)
		}
		// It wants notifications too, and must not be told of its own failing by new messages.
		b.create(&inventory.Webhook{Name: "down", URL: "https://example.org/in", NounNames: []string{"site", "notification"}, Enabled: true})
		b.create(&inventory.Site{Name: "fra", Slug: "fra"})
		b.create(&inventory.Site{Name: "ber", Slug: "ber"})
		deliver()
		if len(receiver.got) != 1 {
			t.Errorf("%d tries of a receiver that failed at the first", len(receiver.got))
		}
		event := receiver.got[0].Event
		if rows := list[inventory.Notification](b, "created_at"); len(rows) != 0 {
			t.Error("one failed try is no news")
		}
		for range 40 {
			b.later(25 * time.Hour)
			deliver()
		}
		rows := list[inventory.WebhookDelivery](b, "created_at")
		if len(rows) != 2 || rows[0].State != "failed" || rows[1].State != "failed" || rows[0].Attempts != len(pauses)+1 {
			t.Fatalf("%d deliveries, the first %+v", len(rows), rows[0])
		}
		if receiver.got[2].Event != event && receiver.got[1].Event != event {
			t.Error("a second try has another event")
		}
		if w := list[inventory.Webhook](b, "name")[0]; !strings.Contains(w.Problem, "500") {
			t.Errorf("the webhook's problem is %q", w.Problem)
		}
		told := list[inventory.Notification](b, "created_at")
		if len(told) != 1 || told[0].Title != "Webhook down does not arrive" || told[0].State != "open" {
			t.Errorf("told: %+v", told)
		}
		receiver.fail = nil
		b.edit(func(tx inventory.Tx) error { return Retry(tx, rows[0]) })
		deliver()
		if got := list[inventory.WebhookDelivery](b, "created_at")[0]; got.State != "delivered" || got.SentAt == nil || got.Problem != "" {
			t.Errorf("after a retry by hand: %+v", got)
		}
		if told = list[inventory.Notification](b, "created_at"); told[0].State != "gone" {
			t.Error("the notification stays although it works again")
		}
		b.later(31 * 24 * time.Hour)
		b.edit(func(tx inventory.Tx) error { _, err := Forget(tx, 100); return err })
		if rows := list[inventory.WebhookDelivery](b, "created_at"); len(rows) > 1 { // that the webhook works again is a message too
			t.Errorf("%d deliveries are left of two months ago", len(rows))
		}
	})
}

// pillar is a mailbox in memory.
type pillar struct {
	ids, subjects, texts []string
	fail                 error
}

func (p *pillar) Send(_ context.Context, id, subject, text string, _ time.Time) error {
	if p.fail != nil {
		return p.fail
	}
	p.ids, p.subjects, p.texts = append(p.ids, id), append(p.subjects, subject), append(p.texts, text)
	return nil
}

// What is urgent is mailed at once, the rest once a day.
func TestPost(t *testing.T) {
	both(t, func(b *bench) {
		box := &pillar{}
		post := &Post{Record: b.Store, Mailer: box, Now: b.clock, Home: "https://berth.example.org", Hour: 6}
		round := func() {
			t.Helper()
			_, err := post.Round(t.Context())
			b.must(err)
		}
		raise := func(key, severity string) {
			t.Helper()
			b.edit(func(tx inventory.Tx) error {
				return Raise(tx, Notice{Kind: "k", Key: key, Severity: severity, Title: "about " + key, Text: "two\nlines", DueOn: "2026-12-01"})
			})
		}
		raise("a", Warning)
		raise("b", Urgent)
		box.fail = errors.New("no mail today")
		if _, err := post.Round(t.Context()); err == nil {
			t.Error("a mail that cannot be sent is no error")
		}
		box.fail = nil
		round()
		round()
		if strings.Join(box.subjects, "; ") != "[berth] about b" {
			t.Fatalf("mails %q", box.subjects)
		}
		if want := "URGENT: about b\n  due on 2026-12-01\n  two\n  lines\n  https://berth.example.org/notifications/"; !strings.HasPrefix(box.texts[0], want) {
			t.Errorf("the mail says\n%s", box.texts[0])
		}
		b.later(90 * time.Minute) // past six
		round()
		round()
		if len(box.subjects) != 2 || box.subjects[1] != "[berth] 2 matters need somebody, 1 of them new" || box.ids[1] != "digest.2026-11-22" {
			t.Fatalf("mails %q", box.subjects)
		}
		raise("c", Info)
		round()
		if len(box.subjects) != 2 {
			t.Error("a second digest on one day")
		}
		b.later(24 * time.Hour)
		round()
		b.later(24 * time.Hour)
		round()
		if len(box.subjects) != 3 {
			t.Errorf("mails %q: the third day had nothing new", box.subjects)
		}
		for i := range atOnce + 2 {
			raise(fmt.Sprintf("fire %d", i), Urgent)
		}
		round()
		if len(box.subjects) != 4 || box.subjects[3] != "[berth] 7 urgent matters" {
			t.Errorf("mails %q", box.subjects[3:])
		}
	})
}
