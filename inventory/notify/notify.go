package notify

import (
	"fmt"
	"slices"
	"strings"

	"berth/inventory"
)

// The severities of a notification.
const (
	Info    = "info"
	Warning = "warning"
	Urgent  = "urgent"
)

// Notice is something that a person should know.
type Notice struct {
	Kind     string // silent_parcel, deadline, claim, quarantine, deviation, webhook, …
	Key      string // the same for every report of the same thing
	Severity string
	Title    string
	Text     string
	Noun     string // of what it is about
	Object   inventory.UID
	DueOn    inventory.Date
}

// Raise makes a notice known, or brings the open notification of its key up to date. One that was put aside stays aside until its day, unless
// it became urgent meanwhile.
func Raise(tx inventory.Tx, n Notice) error {
	old, err := living(tx, n.Key)
	if err != nil {
		return err
	}
	if old == nil {
		row := &inventory.Notification{State: "open"}
		n.fill(row)
		if err := tx.Create(row); err != nil {
			return fmt.Errorf("raise %s: %w", n.Key, err)
		}
		return announce(tx, "create", nil, row)
	}
	before := *old
	n.fill(old)
	today := inventory.DateOf(tx.Now().UTC())
	worse := old.Severity == Urgent && before.Severity != Urgent
	if old.State == "put_aside" && (worse || old.PutAsideUntil <= today) {
		old.State, old.PutAsideUntil, old.By = "open", "", ""
	}
	if worse {
		old.MailedAt = nil
	}
	return change(tx, &before, old)
}

func (n Notice) fill(row *inventory.Notification) {
	row.Kind, row.Key, row.Severity, row.Title, row.Text = n.Kind, n.Key, n.Severity, n.Title, n.Text
	row.Noun, row.Object, row.DueOn = n.Noun, n.Object, n.DueOn
}

// change stores a notification that differs from what it was, and tells the webhooks that want notifications.
func change(tx inventory.Tx, before, after *inventory.Notification) error {
	noun := inventory.NounFor[inventory.Notification]()
	if err := noun.Accept(after); err != nil {
		return err
	}
	if len(noun.Differing(before, after)) == 0 {
		return nil
	}
	if err := tx.Update(after); err != nil {
		return fmt.Errorf("change the notification %s: %w", after.Key, err)
	}
	return announce(tx, "update", before, after)
}

// Clear says that the cause of a notification is gone. Clearing what was never raised does nothing.
func Clear(tx inventory.Tx, key string) error {
	old, err := living(tx, key)
	if err != nil || old == nil {
		return err
	}
	before := *old
	old.State = "gone"
	return change(tx, &before, old)
}

// PutAside hides a notification until a day. Errors: *inventory.Invalid, *inventory.Conflict.
func PutAside(tx inventory.Tx, n *inventory.Notification, until inventory.Date, by string) error {
	today := inventory.DateOf(tx.Now().UTC())
	if _, err := inventory.ParseDate(string(until)); err != nil || until <= today {
		return inventory.NotAllowed("notification", "until", "is a day after today, such as %s", today.AddDays(7))
	}
	if until > today.AddDays(366) {
		return inventory.NotAllowed("notification", "until", "is at most a year away: what is put aside for ever should be dealt with")
	}
	if n.State == "gone" {
		return &inventory.Conflict{Noun: "notification", UID: n.UID, Why: "its cause is gone already"}
	}
	before := *n
	n.State, n.PutAsideUntil, n.By = "put_aside", until, by
	return change(tx, &before, n)
}

// living is the notification of a key that is not gone; nil when there is none.
func living(tx inventory.Tx, key string) (*inventory.Notification, error) {
	rows, err := inventory.TxList[inventory.Notification](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("key", key), notGone}, Limit: 1})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}

var notGone = inventory.Filter{Field: "state", Op: inventory.OpIn, Value: "open,put_aside"}

// maxOfKind bounds the notifications of one kind that are open at once; beyond, one says how many more there are.
const maxOfKind = 200

// Settle makes the notifications of a kind those that are wanted now: it raises what is new and clears what is gone.
func Settle(tx inventory.Tx, kind string, wanted []Notice) error {
	rows, err := inventory.TxList[inventory.Notification](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("kind", kind), notGone}, Limit: inventory.MaxPage})
	if err != nil {
		return err
	}
	wanted = bounded(kind, wanted)
	still := map[string]bool{}
	for _, n := range wanted {
		still[n.Key] = true
	}
	for _, row := range rows {
		if still[row.Key] {
			continue
		}
		if err := Clear(tx, row.Key); err != nil {
			return err
		}
	}
	// What nothing changed of is left alone, without looking at it one by one.
	same := unchanged(rows, inventory.DateOf(tx.Now().UTC()))
	for _, n := range wanted {
		if n == same[n.Key] {
			continue
		}
		if err := Raise(tx, n); err != nil {
			return err
		}
	}
	return nil
}

func bounded(kind string, wanted []Notice) []Notice {
	if len(wanted) <= maxOfKind {
		return wanted
	}
	rest := Notice{Kind: kind, Key: kind + "/more", Severity: wanted[0].Severity, Title: fmt.Sprintf("%d more of the same kind", len(wanted)-maxOfKind)}
	return append(slices.Clone(wanted[:maxOfKind]), rest)
}

// unchanged are the notices that stand in rows, but for those whose time aside is over.
func unchanged(rows []*inventory.Notification, today inventory.Date) map[string]Notice {
	out := map[string]Notice{}
	for _, row := range rows {
		if row.State == "put_aside" && row.PutAsideUntil <= today {
			continue
		}
		out[row.Key] = Notice{row.Kind, row.Key, row.Severity, row.Title, row.Text, row.Noun, row.Object, row.DueOn}
	}
	return out
}

// Machines are the notices about machines in quarantine and about what was seen and not intended.
func Machines(tx inventory.Tx) (quarantine, deviations []Notice, err error) {
	held, err := inventory.TxList[inventory.Device](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("provision_state", inventory.StateQuarantined)}, Sort: "name", Limit: inventory.MaxPage})
	if err != nil {
		return nil, nil, err
	}
	for _, d := range held {
		quarantine = append(quarantine, Notice{Kind: "quarantine", Key: "quarantine/" + string(d.UID), Severity: Urgent, Title: d.Name + " is in quarantine", Text: d.StateReason, Noun: "machine", Object: d.UID})
	}
	page, err := tx.List(inventory.NounFor[inventory.Deviation](), inventory.Query{Filters: []inventory.Filter{inventory.Is("verdict", "open")}, Limit: inventory.MaxPage})
	if err != nil {
		return nil, nil, err
	}
	return quarantine, gather(inventory.Items[inventory.Deviation](page), page.Names), nil
}

// gather makes one notice of all deviations of a machine or of a packing list's line: eight missing DIMMs are one thing to look at.
func gather(rows []*inventory.Deviation, names map[inventory.UID]string) []Notice {
	type subject struct {
		noun string
		uid  inventory.UID
	}
	lines := map[subject][]string{}
	for _, d := range rows {
		at := subject{"device", d.Device}
		switch {
		case d.Device != "":
		case d.ShipmentItem != "":
			at = subject{"shipment-item", d.ShipmentItem}
		default:
			at = subject{d.Noun, d.Object}
		}
		lines[at] = append(lines[at], fmt.Sprintf("%s %s: %s intended, %s seen", d.Part, d.Field, orNothing(d.Intended), orNothing(d.Observed)))
	}
	var out []Notice
	for at, texts := range lines {
		slices.Sort(texts)
		name := names[at.uid]
		if name == "" {
			name = at.noun + " " + at.uid.Short()
		}
		title := fmt.Sprintf("%s: %d deviations", name, len(texts))
		if len(texts) == 1 {
			title = name + ": one deviation"
		}
		out = append(out, Notice{Kind: "deviation", Key: "deviation/" + string(at.uid), Severity: Warning, Title: title, Text: strings.Join(texts[:min(len(texts), 20)], "\n"), Noun: at.noun, Object: at.uid})
	}
	slices.SortFunc(out, func(a, b Notice) int { return strings.Compare(a.Key, b.Key) })
	return out
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// severities in their order, the worst first.
var severities = map[string]int{Urgent: 0, Warning: 1, Info: 2}

// Worst sorts notifications for reading: the worst first, then by the day they are due, then the oldest.
func Worst(rows []*inventory.Notification) {
	far := inventory.Date("9999-12-31")
	slices.SortStableFunc(rows, func(a, b *inventory.Notification) int {
		if d := severities[a.Severity] - severities[b.Severity]; d != 0 {
			return d
		}
		dueA, dueB := a.DueOn, b.DueOn
		if dueA == "" {
			dueA = far
		}
		if dueB == "" {
			dueB = far
		}
		if dueA != dueB {
			return strings.Compare(string(dueA), string(dueB))
		}
		return a.CreatedAt.Compare(b.CreatedAt)
	})
}
