package claims

import (
	"fmt"
	"time"

	"berth/inventory"
)

// Word is one word to or from the other side of a claim.
type Word struct {
	Direction string // out, in, note
	Channel   string // email, phone, letter, web, other
	Text      string
	Contact   inventory.UID
	Document  inventory.UID
	At        time.Time // zero is now
}

// chaseDays is after how many days without an answer somebody is asked again, where their organization does not say.
const chaseDays = 7

// Say keeps a word of a claim and lets the claim follow: what we send files a draft and sets the day of the next chase, an answer ends their
// silence. Errors: *inventory.Invalid.
func Say(tx inventory.Tx, c *inventory.Claim, w Word, by string) (*inventory.ClaimEntry, error) {
	if w.At.IsZero() {
		w.At = tx.Now()
	}
	if w.At.After(tx.Now().Add(24 * time.Hour)) {
		return nil, inventory.NotAllowed("claim-entry", "at", "is in the future")
	}
	entry := &inventory.ClaimEntry{Claim: c.UID, At: w.At, Direction: w.Direction, Channel: w.Channel, Text: w.Text, Contact: w.Contact, Document: w.Document, By: by}
	if err := tx.Create(entry); err != nil {
		return nil, err
	}
	if entry.Direction == "note" {
		return entry, nil
	}
	every, err := chaseEvery(tx, c)
	if err != nil {
		return nil, err
	}
	follow(c, entry, every)
	return entry, tx.Update(c)
}

// chaseEvery is after how many days the other side is asked again.
func chaseEvery(r Reader, c *inventory.Claim) (int, error) {
	var against *inventory.Organization
	if err := find(r, c.Against, &against); err != nil {
		return 0, err
	}
	if against != nil && against.ChaseEveryDays > 0 {
		return against.ChaseEveryDays, nil
	}
	return chaseDays, nil
}

// follow brings the claim up to a word. One that is told late does not turn back what newer words did.
func follow(c *inventory.Claim, e *inventory.ClaimEntry, every int) {
	at, day := e.At, inventory.DateOf(e.At.UTC())
	last := &c.LastChaseAt
	if e.Direction == "in" {
		last = &c.LastContactAt
	}
	if *last != nil && (*last).After(at) {
		return
	}
	*last = &at
	if next := day.AddDays(every); next > c.NextChaseOn {
		c.NextChaseOn = next
	}
	switch {
	case e.Direction == "out" && c.Status == "draft":
		c.Status, c.FiledOn = "filed", day
	case e.Direction == "in" && (c.Status == "filed" || c.Status == "unresponsive"):
		c.Status = "acknowledged"
	}
}

// Waiting are the statuses of claims in which an answer is awaited.
var Waiting = []string{"filed", "acknowledged", "unresponsive"}

// Unanswered tells whether the other side was asked last, and the day by which they should have answered is over.
func Unanswered(c *inventory.Claim, today inventory.Date) bool {
	if c.NextChaseOn == "" || c.NextChaseOn >= today || c.LastChaseAt == nil {
		return false
	}
	return c.LastContactAt == nil || c.LastContactAt.Before(*c.LastChaseAt)
}

// Chase marks the claims to which nothing came back as unresponsive, and returns them.
func Chase(tx inventory.Tx, today inventory.Date) ([]*inventory.Claim, error) {
	waiting, err := all[inventory.Claim](tx, inventory.MaxPage, "next_chase_on", inventory.Filter{Field: "status", Op: inventory.OpIn, Value: "filed,acknowledged"},
		inventory.Filter{Field: "next_chase_on", Op: inventory.OpLess, Value: string(today)})
	if err != nil {
		return nil, err
	}
	var out []*inventory.Claim
	for _, c := range waiting {
		if !Unanswered(c, today) {
			continue
		}
		c.Status = "unresponsive"
		if err := tx.Update(c); err != nil {
			return out, fmt.Errorf("claim %s: %w", c.Reference, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// Finish says that a deadline was met, or that nobody needs to. Errors: *inventory.Invalid, *inventory.Conflict.
func Finish(tx inventory.Tx, d *inventory.Deadline, state string, on inventory.Date, note string) error {
	switch state {
	case "done", "waived", "open":
	default:
		return inventory.NotAllowed("deadline", "state", "must be done, waived or open")
	}
	if _, err := inventory.ParseDate(string(on)); err != nil {
		return inventory.NotAllowed("deadline", "done_on", "%v", err)
	}
	if state == "waived" && note == "" && d.Note == "" {
		return inventory.NotAllowed("deadline", "note", "is required: why does it not matter?")
	}
	d.State, d.DoneOn = state, on
	if note != "" {
		d.Note = note
	}
	if state == "done" && on == "" {
		return inventory.NotAllowed("deadline", "done_on", "is required")
	}
	return tx.Update(d)
}
