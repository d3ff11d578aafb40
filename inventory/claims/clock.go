package claims

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // days are those of the place, also on a host without a database of time zones

	"berth/inventory"
)

// Facts are what the clock of one shipment is computed from.
type Facts struct {
	Shipment *inventory.Shipment
	Carrier  *inventory.Organization    // nil: not known
	Policy   *inventory.InsurancePolicy // nil: none
	// OriginZone and DestinationZone are IANA names: a day is that of the place where it happened. Empty takes UTC.
	OriginZone, DestinationZone string
	// FromCountry and ToCountry are ISO 3166-1 alpha-2; empty is not known.
	FromCountry, ToCountry string
}

// Due is one day that a rule yields for a shipment.
type Due struct {
	Rule     *Rule
	DueOn    inventory.Date
	StartsOn inventory.Date
	// NotBefore is the day before which the carrier does not hear it; empty is none.
	NotBefore inventory.Date
	// Assumes are sentences: what was taken for granted.
	Assumes []string
}

// Title says in a few words what must be done.
func (d Due) Title() string {
	verb := map[What]string{Notice: "Give notice of", Claim: "Claim for", Suit: "Sue for", Lost: "Counts as lost:", Earliest: "May be claimed from now:"}[d.Rule.What]
	return fmt.Sprintf("%s %s (%s)", verb, d.Rule.About, d.Rule.Regime)
}

// Clock computes every day that the rules yield for a shipment, earliest first. A rule whose starting day is not known yields none.
func (rules *Rules) Clock(f Facts) []Due {
	var out []Due
	for i := range rules.Rows {
		rule := &rules.Rows[i]
		assumes, applies := rule.applies(f)
		if !applies {
			continue
		}
		if due, ok := rule.count(f); ok {
			due.Assumes = append(due.Assumes, assumes...)
			out = append(out, due)
		}
	}
	slices.SortStableFunc(out, func(a, b Due) int { return strings.Compare(string(a.DueOn), string(b.DueOn)) })
	return out
}

// applies tells whether a rule is about this carriage, and what had to be assumed to say so.
func (r *Rule) applies(f Facts) (assumes []string, ok bool) {
	switch {
	case len(r.Carriers) > 0 && !r.isCarrier(f.Carrier):
		return nil, false
	case len(r.Modes) > 0 && !slices.Contains(r.Modes, f.Shipment.Mode):
		return nil, false
	case r.DaysFrom == "policy" && (f.Policy == nil || f.Policy.NoticeDays <= 0):
		return nil, false
	case r.What == Lost && arrived(f.Shipment):
		return nil, false
	}
	if r.Unless != "" {
		if _, known := f.day(r.Unless); known {
			return nil, false
		}
	}
	if r.Scope == "" {
		return nil, true
	}
	if f.FromCountry == "" || f.ToCountry == "" {
		return []string{fmt.Sprintf("The countries are not known; this counts if the carriage is %s.", r.Scope)}, true
	}
	return nil, (r.Scope == "domestic") == strings.EqualFold(f.FromCountry, f.ToCountry)
}

// arrived tells whether the goods came, so that they cannot count as lost.
func arrived(s *inventory.Shipment) bool {
	return s.DeliveredAt != nil || s.ReceivedAt != nil
}

// isCarrier compares carrier codes as people write them: "DHL_Express" is dhl-express.
func (r *Rule) isCarrier(carrier *inventory.Organization) bool {
	if carrier == nil {
		return false
	}
	for _, code := range r.Carriers {
		if code == inventory.Slug(carrier.CarrierCode) || carrier.CarrierCode == "" && code == carrier.Slug {
			return true
		}
	}
	return false
}

// count counts a rule's days from the first of its starts that is known.
func (r *Rule) count(f Facts) (Due, bool) {
	for i, start := range r.From {
		day, known := f.day(start)
		if !known {
			continue
		}
		due := Due{Rule: r, StartsOn: day.date, DueOn: r.after(f, day.date)}
		if due.DueOn == "" {
			return Due{}, false
		}
		if i > 0 {
			due.Assumes = append(due.Assumes, fmt.Sprintf("%s is not known; counted from %s.", firstUpper(startWords[r.From[0]]), startWords[start]))
		}
		if day.assumes != "" {
			due.Assumes = append(due.Assumes, day.assumes)
		}
		if r.Except != "" {
			due.Assumes = append(due.Assumes, "Public holidays are not taken out.")
		}
		if r.NotBefore > 0 {
			due.NotBefore = day.date.AddDays(r.NotBefore)
		}
		return due, true
	}
	return Due{}, false
}

// after is the last day of the rule's span: the day it counts from is not counted.
func (r *Rule) after(f Facts, day inventory.Date) inventory.Date {
	switch {
	case r.DaysFrom == "policy":
		return day.AddDays(f.Policy.NoticeDays)
	case r.Months > 0:
		return day.AddMonths(r.Months)
	case r.Years > 0:
		return day.AddMonths(12 * r.Years)
	case r.Except == "":
		return day.AddDays(r.Days)
	}
	for left := r.Days; left > 0; {
		day = day.AddDays(1)
		if !r.skips(day.Time().Weekday()) {
			left--
		}
	}
	return day
}

func (r *Rule) skips(d time.Weekday) bool {
	return d == time.Sunday || d == time.Saturday && r.Except == "weekends"
}

var startWords = map[Start]string{HandedOver: "the day it was handed over", Promised: "the promised day", Delivered: "the day it was delivered", Disposal: "the day it could be had"}

func firstUpper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// known is a day, with what was assumed for it.
type known struct {
	date    inventory.Date
	assumes string
}

// day is the civil date of a start, in the zone of the place where it happened.
func (f Facts) day(start Start) (known, bool) {
	s := f.Shipment
	switch start {
	case HandedOver:
		return civil(s.HandedOverAt, f.OriginZone)
	case Promised:
		return known{date: s.PromisedOn}, s.PromisedOn != ""
	}
	if s.DeliveredAt == nil && s.ReceivedAt != nil {
		day, ok := civil(s.ReceivedAt, f.DestinationZone)
		day.assumes = strings.TrimSpace("The carrier's day of delivery is not known; the day we received it is taken. " + day.assumes)
		return day, ok
	}
	return civil(s.DeliveredAt, f.DestinationZone)
}

func civil(at *time.Time, zone string) (known, bool) {
	if at == nil || at.IsZero() {
		return known{}, false
	}
	place, err := time.LoadLocation(zone)
	if zone == "" || err != nil {
		return known{date: inventory.DateOf(at.UTC()), assumes: "The time zone of the place is not known; the day is that in UTC."}, true
	}
	return known{date: inventory.DateOf(at.In(place))}, true
}

// FactsOf gathers what the clock of a shipment needs.
func FactsOf(r Reader, s *inventory.Shipment) (Facts, error) {
	f := Facts{Shipment: s}
	var origin, destination *inventory.Site
	var from, to *inventory.Organization
	err := errors.Join(
		find(r, s.Carrier, &f.Carrier), find(r, s.Policy, &f.Policy),
		find(r, s.Origin, &origin), find(r, s.Destination, &destination),
		find(r, s.FromOrganization, &from), find(r, s.ToOrganization, &to),
	)
	if origin != nil {
		f.OriginZone = origin.TimeZone
	}
	if destination != nil {
		f.DestinationZone = destination.TimeZone
	}
	if from != nil {
		f.FromCountry = from.Country
	}
	if to != nil {
		f.ToCountry = to.Country
	}
	return f, err
}

// Reader is what is read from: a transaction, or the record through Reading.
type Reader interface {
	Get(n *inventory.Noun, ref string) (inventory.Object, error)
	List(n *inventory.Noun, q inventory.Query) (inventory.Page, error)
}

// find reads the object of a reference; none, and one that is gone, leave into nil.
func find[T any](r Reader, uid inventory.UID, into **T) error {
	if uid == "" {
		return nil
	}
	obj, err := r.Get(inventory.NounFor[T](), string(uid))
	if errors.Is(err, inventory.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	*into = any(obj).(*T)
	return nil
}

// all reads every object that matches, a page at a time, up to limit.
func all[T any](r Reader, limit int, sort string, filters ...inventory.Filter) ([]*T, error) {
	return inventory.ListAll[T](r.List, inventory.Query{Filters: filters, Sort: sort}, limit)
}
