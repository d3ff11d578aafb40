package claims

import (
	"fmt"

	"berth/inventory"
)

// Warning is something about a day or a claim that a person should be told of.
type Warning struct {
	Kind     string // deadline or claim
	Key      string
	Severity string // urgent, warning, info
	Title    string
	Text     string
	Noun     string
	Object   inventory.UID
	DueOn    inventory.Date
}

// ahead is how many days before an entry of each kind people are told, and from when on it is urgent; 0 is never urgent.
var ahead = map[string]struct{ tell, urgent int }{
	"notice": {21, 7}, "claim": {21, 7}, "suit": {90, 30}, "lost": {0, 0}, "earliest": {0, 0}, "other": {14, 2},
	"warranty": {30, 0}, "lease": {90, 14}, "notice_day": {60, 14}, "loan": {30, 7}, "hold": {0, 0}, "policy": {30, 7}, "returned_goods": {90, 30},
}

const (
	maxAhead = 90 // the greatest of them
	// lateDays is for how long a day that passed is still told of; it stays on the agenda.
	lateDays = 14
)

// Warnings lists what of the agenda people should be told today, and the claims that wait for somebody.
func Warnings(r Reader, today inventory.Date) ([]Warning, error) {
	entries, err := Agenda(r, today, today.AddDays(-lateDays), today.AddDays(maxAhead))
	if err != nil {
		return nil, err
	}
	settled, err := settledShipments(r, entries)
	if err != nil {
		return nil, err
	}
	var out []Warning
	for _, e := range entries {
		if e.Noun == "shipment" && settled[e.Object].skips(e) {
			continue
		}
		if w, ok := e.warning(); ok {
			out = append(out, w)
		}
	}
	claims, err := claimWarnings(r, today)
	return append(out, claims...), err
}

// warning is what an entry tells today, if anything.
func (e Entry) warning() (Warning, bool) {
	limit := ahead[e.Kind]
	if e.DaysLeft > limit.tell || e.DaysLeft < -lateDays {
		return Warning{}, false
	}
	w := Warning{Kind: "deadline", Key: "deadline/" + e.Key, Severity: "warning", Title: e.Title, Noun: e.Noun, Object: e.Object, DueOn: e.DueOn, Text: e.Assumes}
	if e.About != "" {
		w.Title = e.About + ": " + e.Title
	}
	switch {
	case e.Milestone:
		w.Severity = "info"
	case e.DaysLeft <= limit.urgent && limit.urgent > 0:
		w.Severity = "urgent"
	}
	if e.Unsure {
		w.Text = "This rule was not held against a source yet. " + w.Text
	}
	return w, true
}

// settledShipment is what makes deadlines of a shipment nobody's worry.
type settledShipment struct {
	well  bool           // everything came, and was verified
	filed inventory.Date // the day on which a claim was filed; empty is not
}

// skips: nobody must give notice of damage to what came well, and who has claimed in time has met the days for it.
func (s settledShipment) skips(e Entry) bool {
	return s.well || s.filed != "" && s.filed <= e.DueOn && (e.Kind == string(Notice) || e.Kind == string(Claim) || e.Milestone)
}

func settledShipments(r Reader, entries []Entry) (map[inventory.UID]settledShipment, error) {
	out := map[inventory.UID]settledShipment{}
	for _, e := range entries {
		if _, known := out[e.Object]; known || e.Noun != "shipment" {
			continue
		}
		var shipment *inventory.Shipment
		if err := find(r, e.Object, &shipment); err != nil {
			return nil, err
		}
		var s settledShipment
		if shipment != nil {
			phase := inventory.Phase(shipment.Phase)
			s.well = phase == inventory.PhaseReconciled || phase == inventory.PhaseClosed || phase == inventory.PhaseCancelled
		}
		filed, err := all[inventory.Claim](r, 100, "created_at", inventory.Is("shipment", e.Object))
		if err != nil {
			return nil, err
		}
		for _, c := range filed {
			s.well = s.well && (c.Status == "closed" || c.Status == "withdrawn" || c.Status == "paid")
			if c.FiledOn != "" && (s.filed == "" || c.FiledOn < s.filed) {
				s.filed = c.FiledOn
			}
		}
		out[e.Object] = s
	}
	return out, nil
}

// claimWarnings are the claims to which nobody answers, and the drafts that nobody sent.
func claimWarnings(r Reader, today inventory.Date) ([]Warning, error) {
	list, err := all[inventory.Claim](r, inventory.MaxPage, "created_at", inventory.Filter{Field: "status", Op: inventory.OpIn, Value: "draft,unresponsive"})
	if err != nil {
		return nil, err
	}
	var out []Warning
	for _, c := range list {
		w := Warning{Kind: "claim", Key: "claim/" + string(c.UID), Severity: "urgent", Noun: "claim", Object: c.UID, DueOn: c.NextChaseOn,
			Title: fmt.Sprintf("Claim %s: they do not answer", c.Reference), Text: "Ask again, and keep what was said; the letter on the claim's page is a reminder."}
		if c.Status == "draft" {
			if c.CreatedAt.AddDate(0, 0, 2).After(today.Time()) {
				continue
			}
			w.Severity, w.Title, w.Text, w.DueOn = "warning", fmt.Sprintf("Claim %s was never sent", c.Reference), "It is a draft for more than two days; the clock of the carrier runs.", ""
		}
		out = append(out, w)
	}
	return out, nil
}
