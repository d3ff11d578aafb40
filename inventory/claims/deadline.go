package claims

import (
	"maps"
	"slices"
	"strings"

	"berth/inventory"
)

// Running tells whether the clock of a shipment still matters: it left, and it is neither closed nor cancelled.
func Running(s *inventory.Shipment) bool {
	return s.Phase != "closed" && s.Phase != "cancelled"
}

// Settle makes the stored deadlines of a shipment what the rules say today, and reports how many it changed. Those that are done or
// waived stay as they are; open ones whose rule no longer applies go. It is idempotent: a second call changes nothing.
func Settle(tx inventory.Tx, rules *Rules, s *inventory.Shipment, today inventory.Date) (changed int, err error) {
	facts, err := FactsOf(tx, s)
	if err != nil {
		return 0, err
	}
	stored, err := all[inventory.Deadline](tx, maxPerShipment, "due_on", inventory.Is("shipment", s.UID))
	if err != nil {
		return 0, err
	}
	var due []Due
	if Running(s) {
		due = rules.Clock(facts)
	}
	byRule := map[string]*inventory.Deadline{}
	for _, d := range stored {
		if d.Rule != "" && d.Claim == "" {
			byRule[d.Rule] = d
		}
	}
	for _, d := range due {
		old := byRule[d.Rule.Name]
		delete(byRule, d.Rule.Name)
		n, err := put(tx, d, s, old, today)
		if err != nil {
			return changed, err
		}
		changed += n
	}
	n, err := drop(tx, byRule)
	return changed + n, err
}

// maxPerShipment bounds the deadlines of one shipment.
const maxPerShipment = 1000

// put stores one day, if it differs from what is stored.
func put(tx inventory.Tx, d Due, s *inventory.Shipment, old *inventory.Deadline, today inventory.Date) (int, error) {
	if old != nil && (old.State == "done" || old.State == "waived") {
		return 0, nil
	}
	row := d.row(s, today)
	if old == nil {
		return 1, tx.Create(row)
	}
	row.Meta, row.Note = old.Meta, old.Note
	n := inventory.NounFor[inventory.Deadline]()
	n.Tidy(row)
	if len(n.Differing(old, row)) == 0 {
		return 0, nil
	}
	return 1, tx.Update(row)
}

// row is a day as it is stored.
func (d Due) row(s *inventory.Shipment, today inventory.Date) *inventory.Deadline {
	row := &inventory.Deadline{Title: d.Title(), DueOn: d.DueOn, State: "open", Kind: string(d.Rule.What), Rule: d.Rule.Name, StartsOn: d.StartsOn,
		Source: d.Rule.Source, Cap: d.Rule.Cap, Unsure: d.Rule.Unsure, Shipment: s.UID}
	if d.Rule.CheckedOn != "" {
		row.Source += ", looked at on " + string(d.Rule.CheckedOn)
	}
	assumes := d.Assumes
	if d.NotBefore != "" {
		assumes = append(slices.Clone(assumes), "Not heard before "+string(d.NotBefore)+".")
	}
	row.Assumes = strings.Join(assumes, " ")
	if d.Rule.DaysFrom == "policy" {
		row.Policy = s.Policy
	}
	if d.DueOn < today && !d.Rule.What.Milestone() {
		row.State = "missed"
	}
	return row
}

// drop deletes what no rule yields any more, unless somebody dealt with it.
func drop(tx inventory.Tx, rows map[string]*inventory.Deadline) (int, error) {
	n := 0
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		row := rows[name]
		if row.State == "done" || row.State == "waived" {
			continue
		}
		if err := tx.Delete(row); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// Merge is the clock of a shipment as its page shows it: computed now, with what people said about a deadline, and with the deadlines that
// people made by hand. It changes nothing.
func Merge(rules *Rules, facts Facts, stored []*inventory.Deadline, today inventory.Date) []Entry {
	var due []Due
	if Running(facts.Shipment) {
		due = rules.Clock(facts)
	}
	computed := map[string]Due{}
	for _, d := range due {
		computed[d.Rule.Name] = d
	}
	var out []Entry
	for _, row := range stored {
		d, again := computed[row.Rule]
		settled := row.State == "done" || row.State == "waived"
		switch {
		case row.Rule == "" || settled:
			out = append(out, EntryOf(row, today))
		case again:
			fresh := d.row(facts.Shipment, today)
			fresh.Meta = row.Meta
			out = append(out, EntryOf(fresh, today))
		}
		delete(computed, row.Rule)
	}
	for _, d := range due {
		if _, missing := computed[d.Rule.Name]; missing {
			e := EntryOf(d.row(facts.Shipment, today), today)
			e.Key, e.Deadline = "rule/"+d.Rule.Name, nil // not stored yet
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b Entry) int { return strings.Compare(string(a.DueOn), string(b.DueOn)) })
	return out
}
