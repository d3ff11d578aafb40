package logistics

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"berth/inventory"
)

// Tracked is what came of a batch of events.
type Tracked struct {
	New     int `json:"new"`
	Repeats int `json:"repeats"` // known already
	// Unclaimed are codes that stand on no shipment. Their events are kept, and go to the shipment that gets the code.
	Unclaimed []string `json:"unclaimed,omitempty"`
	// Shipments are the references of those whose status was looked at again.
	Shipments []string `json:"shipments,omitempty"`
}

// maxEvents is how many events one message may tell.
const maxEvents = 1000

// Track takes in what a carrier or a person said, in any order and as often as it is said. An event belongs to the parcel with its code,
// else to the shipment; one that names a shipment needs no code. The status of a parcel is that of its newest event by the time at which
// it happened, whenever it was told. Errors: *inventory.Invalid.
func Track(tx inventory.Tx, by string, events []inventory.TrackingEvent) (*Tracked, error) {
	if len(events) > maxEvents {
		return nil, inventory.NotAllowed("tracking event", "", "at most %d events in one message", maxEvents)
	}
	out, touched := &Tracked{}, []inventory.UID{}
	for _, e := range events {
		e.Meta = inventory.Meta{UID: inventory.NewUID()}
		owners, err := claim(tx, &e)
		if err != nil {
			return nil, err
		}
		fresh, err := keepEvent(tx, &e)
		if err != nil {
			return nil, err
		}
		if !fresh {
			out.Repeats++
			continue
		}
		out.New++
		if e.Shipment == "" && !slices.Contains(out.Unclaimed, e.TrackingCode) {
			out.Unclaimed = append(out.Unclaimed, e.TrackingCode)
		}
		for _, s := range owners {
			if !slices.Contains(touched, s) {
				touched = append(touched, s)
			}
		}
	}
	for _, uid := range touched {
		l, err := Read(tx, string(uid))
		if err != nil {
			return nil, err
		}
		if err := l.restate(tx, by); err != nil {
			return nil, err
		}
		out.Shipments = append(out.Shipments, l.Shipment.Reference)
	}
	return out, nil
}

// claim finds whose event it is by its code.
func claim(tx inventory.Tx, e *inventory.TrackingEvent) ([]inventory.UID, error) {
	e.TrackingCode = inventory.NormalTracking(e.TrackingCode)
	if e.TrackingCode != "" {
		parcels, err := inventory.TxList[inventory.Parcel](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("tracking_code", e.TrackingCode)}, Sort: "-created_at", Limit: 20})
		if err != nil {
			return nil, err
		}
		for _, p := range parcels {
			if e.Shipment == "" || e.Shipment == p.Shipment {
				e.Shipment, e.Parcel = p.Shipment, p.UID
				return []inventory.UID{p.Shipment}, nil
			}
		}
	}
	if e.Shipment == "" && e.TrackingCode != "" {
		list, err := inventory.TxList[inventory.Shipment](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("tracking_code", e.TrackingCode)}, Sort: "-created_at", Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(list) > 0 {
			e.Shipment = list[0].UID
		}
	}
	if e.Shipment == "" {
		return nil, nil
	}
	if e.TrackingCode == "" { // a person's word: it is known by the shipment
		s, err := inventory.TxGet[inventory.Shipment](tx, string(e.Shipment))
		if err != nil {
			return nil, err
		}
		e.TrackingCode = cmp.Or(s.TrackingCode, inventory.NormalTracking(s.Reference))
	}
	return []inventory.UID{e.Shipment}, nil
}

// keepEvent stores an event that is not known yet.
func keepEvent(tx inventory.Tx, e *inventory.TrackingEvent) (fresh bool, err error) {
	key := inventory.TrackingKey(e.TrackingCode, e.OccurredAt, e.CarrierCode, cmp.Or(e.Status, "unknown"))
	known, err := inventory.TxList[inventory.TrackingEvent](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("key", key)}, Limit: 1})
	if err != nil || len(known) > 0 {
		return false, err
	}
	return true, tx.Create(e)
}

// adopt gives the load the events that were told of its codes before it had them, and brings its status up to date.
func adopt(tx inventory.Tx, l *Load) error {
	codes := map[string]inventory.UID{l.Shipment.TrackingCode: ""}
	for _, p := range l.Parcels {
		codes[p.TrackingCode] = p.UID
	}
	found := false
	for code, parcel := range codes {
		if code == "" {
			continue
		}
		events, err := all[inventory.TrackingEvent](tx, maxEvents, "occurred_at", inventory.Is("tracking_code", code))
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.Shipment != "" {
				continue
			}
			found = true
			e.Shipment, e.Parcel = l.Shipment.UID, parcel
			if err := tx.Update(e); err != nil {
				return err
			}
		}
	}
	if !found {
		return nil
	}
	return l.restate(tx, "berth")
}

// Refresh gives a shipment the events of its codes that came before it had them, and reads its status out of all of them again.
func Refresh(tx inventory.Tx, ref string) (*Load, error) {
	l, err := Read(tx, ref)
	if err != nil {
		return nil, err
	}
	if err := adopt(tx, l); err != nil {
		return nil, err
	}
	return l, l.restate(tx, "berth")
}

// restate works out the statuses of parcels and shipment from their events, and what follows from them.
func (l *Load) restate(tx inventory.Tx, by string) error {
	events, err := all[inventory.TrackingEvent](tx, 5*maxEvents, "occurred_at", inventory.Is("shipment", l.Shipment.UID))
	if err != nil || len(events) == 0 {
		return err
	}
	latest := l.latest(events)
	for _, p := range l.Parcels {
		e := latest[p.UID]
		if e == nil {
			continue
		}
		p.Status, p.LastEventAt = e.Status, &e.OccurredAt
		if l.quiet(tx.Now(), p.Status, p.LastEventAt) {
			p.Status = "silent"
		}
		if err := tx.Update(p); err != nil {
			return err
		}
	}
	l.speak(tx.Now(), latest)
	return l.consequences(tx, by, events)
}

// latest is the newest event of each parcel, and under the empty uid that of the shipment. What is said of the shipment is said of every
// parcel that has no code of its own. Events that say nothing of where the parcel is do not count.
func (l *Load) latest(events []*inventory.TrackingEvent) map[inventory.UID]*inventory.TrackingEvent {
	out := map[inventory.UID]*inventory.TrackingEvent{}
	newer := func(of inventory.UID, e *inventory.TrackingEvent) {
		if was := out[of]; was == nil || !e.OccurredAt.Before(was.OccurredAt) {
			out[of] = e
		}
	}
	for _, e := range events {
		if e.Status == "unknown" || e.Status == "error" {
			continue
		}
		newer("", e)
		if e.Parcel != "" {
			newer(e.Parcel, e)
			continue
		}
		for _, p := range l.Parcels {
			if p.TrackingCode == "" || p.TrackingCode == e.TrackingCode {
				newer(p.UID, e)
			}
		}
	}
	return out
}

// speak is the shipment's own status: that of the parcel that most asks for a person.
func (l *Load) speak(now time.Time, latest map[inventory.UID]*inventory.TrackingEvent) {
	s, newest := l.Shipment, latest[""]
	if newest == nil {
		return
	}
	s.Status, s.StatusDetail, s.LastEventAt = newest.Status, cmp.Or(newest.StatusDetail, newest.Reason), &newest.OccurredAt
	rank := len(inventory.TrackingStatuses)
	for _, p := range l.Parcels {
		if p.LastEventAt == nil || p.ReceivedAt != nil {
			continue // nobody spoke of it yet, or it is here and needs nobody's word
		}
		if at := slices.Index(inventory.TrackingStatuses, p.Status); at >= 0 && at < rank {
			rank, s.Status = at, p.Status
			if e := latest[p.UID]; e != nil {
				s.StatusDetail = cmp.Or(e.StatusDetail, e.Reason)
			}
		}
	}
	if inventory.Phase(s.Phase) == inventory.PhaseHandedOver && l.quiet(now, s.Status, s.LastEventAt) {
		s.Status = "silent"
	}
}

// quiet tells whether a parcel with this status has said nothing for too long. What is delivered or called off has nothing left to say. Of a
// shipment that was received in part, the other boxes still have.
func (l *Load) quiet(now time.Time, status string, last *time.Time) bool {
	if p := inventory.Phase(l.Shipment.Phase); p != inventory.PhaseHandedOver && p != inventory.PhaseReceived || status == "delivered" || status == "cancelled" || last == nil {
		return false
	}
	return now.Sub(*last) > l.Shipment.SilentAfter()
}

// moving are the statuses by which a carrier says that it has the parcel, or had it.
var moving = []string{"in_transit", "out_for_delivery", "available_for_pickup", "delivered", "return_to_sender", "failure"}

// carriersWord stands for a person where nobody wrote down that a shipment was handed over.
const carriersWord = "the carrier's word"

// consequences: a parcel that the carrier moves was handed over, whatever we wrote down; one that is delivered is delivered, but not
// received.
func (l *Load) consequences(tx inventory.Tx, by string, events []*inventory.TrackingEvent) error {
	s := l.Shipment
	first := slices.IndexFunc(events, func(e *inventory.TrackingEvent) bool { return slices.Contains(moving, e.Status) })
	if first >= 0 && (s.Phase == string(inventory.PhaseDraft) || s.Phase == string(inventory.PhasePacked)) {
		s.HandedOverAt, s.HandedOverBy = &events[first].OccurredAt, carriersWord
		if err := l.send(tx, by, ""); err != nil {
			return err
		}
	}
	if first >= 0 && s.HandedOverBy == carriersWord {
		s.HandedOverAt = &events[first].OccurredAt // an earlier one may have come late
	}
	was := s.DeliveredAt
	s.DeliveredAt = nil
	if s.Status == "delivered" {
		s.DeliveredAt = s.LastEventAt
	}
	if was == nil && s.DeliveredAt != nil {
		if err := custody(tx, by, inventory.CustodyEvent{Kind: "delivered", Shipment: s.UID, At: *s.DeliveredAt, FromOrganization: s.Carrier, Site: s.Destination,
			Place: place(l.lastOf(events)), Note: "by the carrier's word"}); err != nil {
			return err
		}
	}
	return tx.Update(s)
}

func (l *Load) lastOf(events []*inventory.TrackingEvent) *inventory.TrackingEvent {
	return events[len(events)-1]
}

func place(e *inventory.TrackingEvent) string {
	return strings.Trim(e.City+", "+e.Country, ", ")
}

// Fallen is a parcel that fell silent.
type Fallen struct {
	Shipment *inventory.Shipment
	Parcel   *inventory.Parcel // nil where the shipment as a whole is meant
	Since    time.Time         // its last word
	Days     int
}

// Silent looks for parcels under way that have said nothing for as long as their shipment allows, calls them silent, and returns those
// that were not called so before. They are never called expired: the day on which a tracker gives up is the day on which a person must
// not. A later event makes them speak again.
func Silent(tx inventory.Tx, now time.Time) ([]Fallen, error) {
	shipments, err := all[inventory.Shipment](tx, maxUnderWay, "created_at", inventory.Filter{Field: "phase", Op: inventory.OpIn, Value: "handed_over,received"})
	if err != nil {
		return nil, err
	}
	var out []Fallen
	for _, s := range shipments {
		fell, err := fallSilent(tx, s, now)
		if err != nil {
			return nil, err
		}
		out = append(out, fell...)
	}
	return out, nil
}

// maxUnderWay bounds the shipments that are looked at in one go.
const maxUnderWay = 10_000

// lastWord is when something was heard of a shipment last: its last event, or else that it was handed over.
func lastWord(s *inventory.Shipment) *time.Time {
	if s.LastEventAt != nil {
		return s.LastEventAt
	}
	return s.HandedOverAt
}

func fallSilent(tx inventory.Tx, s *inventory.Shipment, now time.Time) ([]Fallen, error) {
	l, err := Read(tx, string(s.UID))
	if errors.Is(err, inventory.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s = l.Shipment
	var out []Fallen
	fell := func(p *inventory.Parcel, since time.Time) {
		out = append(out, Fallen{Shipment: s, Parcel: p, Since: since, Days: int(now.Sub(since).Hours() / 24)})
	}
	for _, p := range l.Parcels {
		since := p.LastEventAt
		if since == nil {
			since = s.HandedOverAt
		}
		if p.ReceivedAt != nil || p.Status == "silent" || !l.quiet(now, p.Status, since) {
			continue
		}
		p.Status = "silent"
		if err := tx.Update(p); err != nil {
			return nil, err
		}
		fell(p, *since)
	}
	since := lastWord(s)
	whole := len(l.Parcels) == 0 && s.Phase == string(inventory.PhaseHandedOver) && s.Status != "silent" && l.quiet(now, s.Status, since)
	if whole {
		fell(nil, *since)
	}
	if (len(out) > 0 || whole) && s.Status != "silent" {
		s.Status = "silent"
		return out, tx.Update(s)
	}
	return out, nil
}
