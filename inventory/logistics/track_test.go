package logistics

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"berth/inventory"
)

var start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

func event(code string, hours int, status, carrierCode string) inventory.TrackingEvent {
	return inventory.TrackingEvent{TrackingCode: code, OccurredAt: start.Add(time.Duration(hours) * time.Hour), Status: status, CarrierCode: carrierCode, Source: "carrier_webhook"}
}

func (g *rig) track(events ...inventory.TrackingEvent) (out *Tracked) {
	g.Helper()
	g.edit(func(tx inventory.Tx) (err error) { out, err = Track(tx, "carrier", events); return err })
	return out
}

// journey is a shipment of two parcels with a code each, and what their carrier tells in the end.
func (g *rig) journey(ref, a, b string) []inventory.TrackingEvent {
	g.Helper()
	s := &inventory.Shipment{Reference: ref, Direction: "inbound"}
	g.create(s)
	g.create(&inventory.Parcel{Shipment: s.UID, Label: "A", TrackingCode: a}, &inventory.Parcel{Shipment: s.UID, Label: "B", TrackingCode: b})
	g.edit(func(tx inventory.Tx) error { _, err := Add(tx, ref, Adding{Text: "SN-1111\nSN-2222"}); return err })
	return []inventory.TrackingEvent{
		event(a, 0, "pre_transit", "M"), event(b, 0, "pre_transit", "M"), event(a, 5, "in_transit", "I"), event(b, 6, "in_transit", "I"),
		event(a, 30, "out_for_delivery", "OD"), event(a, 33, "delivered", "D"), event(b, 34, "failure", "X"), event(b, 34, "unknown", "?"),
	}
}

// TestEventsInAnyOrder: whatever the order in which events come, and however often, the record is the same in the end.
func TestEventsInAnyOrder(t *testing.T) {
	g := onSQLite(t)
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 12 {
		ref := string(rune('A' + round))
		events := g.journey("S-"+ref, "1Z"+ref+"1", "1Z"+ref+"2")
		told := slices.Concat(events, events[:4], events[5:7])
		random.Shuffle(len(told), func(i, j int) { told[i], told[j] = told[j], told[i] })
		fresh := 0
		for len(told) > 0 {
			n := 1 + random.IntN(len(told))
			out := g.track(told[:n]...)
			fresh, told = fresh+out.New, told[n:]
		}
		l := g.load("S-" + ref)
		a, b := l.Parcel("A"), l.Parcel("B")
		if fresh != len(events) || a.Status != "delivered" || b.Status != "failure" || l.Shipment.Status != "failure" || l.Shipment.DeliveredAt != nil {
			t.Errorf("round %d: %d new, parcels %s and %s, shipment %s", round, fresh, a.Status, b.Status, l.Shipment.Status)
		}
		if l.Shipment.Phase != "handed_over" || !l.Shipment.HandedOverAt.Equal(start.Add(5*time.Hour)) || g.states("S-"+ref) != "sent sent" {
			t.Errorf("round %d: it is %s since %s, lines %s", round, l.Shipment.Phase, l.Shipment.HandedOverAt, g.states("S-"+ref))
		}
	}
}

// An older event that comes late does not take back a delivery; a newer one does.
func TestDeliveredStaysDelivered(t *testing.T) {
	g := onSQLite(t)
	g.create(&inventory.Shipment{Reference: "S-1", TrackingCode: "JD01"})
	g.track(event("jd 01", 10, "delivered", "OK"))
	g.track(event("JD01", 5, "in_transit", "IT"), event("JD01", 9, "out_for_delivery", "OD"))
	s := g.load("S-1").Shipment
	if s.Status != "delivered" || s.DeliveredAt == nil || !s.DeliveredAt.Equal(start.Add(10*time.Hour)) {
		t.Errorf("it is %s since %v", s.Status, s.DeliveredAt)
	}
	g.track(event("JD01", 20, "return_to_sender", "RT"))
	if s := g.load("S-1").Shipment; s.Status != "return_to_sender" || s.DeliveredAt != nil {
		t.Errorf("it is %s since %v", s.Status, s.DeliveredAt)
	}
}

// TestEventsBeforeTheShipment: a carrier may speak of a code before anybody entered it.
func TestEventsBeforeTheShipment(t *testing.T) {
	g := onSQLite(t)
	if out := g.track(event("LATE-1", 0, "in_transit", "I"), event("LATE-1", 3, "delivered", "D")); !slices.Equal(out.Unclaimed, []string{"LATE1"}) {
		t.Errorf("unclaimed: %+v", out)
	}
	g.create(&inventory.Shipment{Reference: "S-1", TrackingCode: "late-1"})
	g.edit(func(tx inventory.Tx) error { _, err := Refresh(tx, "S-1"); return err })
	if s := g.load("S-1").Shipment; s.Status != "delivered" || s.Phase != "handed_over" {
		t.Errorf("it is %s, %s", s.Status, s.Phase)
	}
}

// TestSilence: a parcel that says nothing for five days is silent, is told of once, and speaks again with its next event.
func TestSilence(t *testing.T) {
	g := onSQLite(t)
	g.journey("S-1", "AA1", "BB2")
	silent := func() (out []Fallen) {
		t.Helper()
		g.edit(func(tx inventory.Tx) (err error) { out, err = Silent(tx, tx.Now()); return err })
		return out
	}
	g.track(event("AA1", 0, "in_transit", "I"))
	g.now = start.Add(5*24*time.Hour - time.Minute)
	if out := silent(); len(out) != 0 {
		t.Errorf("silent too early: %+v", out)
	}
	g.track(event("BB2", 100, "in_transit", "I"))
	g.later(time.Hour)
	out := silent()
	if len(out) != 1 || out[0].Parcel.Label != "A" || out[0].Days != 5 || out[0].Shipment.Status != "silent" {
		t.Fatalf("silent: %+v", out)
	}
	if out := silent(); len(out) != 0 {
		t.Errorf("told twice: %+v", out)
	}
	// What was told late does not break the silence; what happened now does.
	g.track(event("AA1", -3, "in_transit", "I"))
	if s := g.load("S-1"); s.Shipment.Status != "silent" || s.Parcel("A").Status != "silent" {
		t.Errorf("an old event broke the silence: %s", s.Shipment.Status)
	}
	g.track(event("AA1", 120, "out_for_delivery", "OD"))
	if s := g.load("S-1"); s.Parcel("A").Status != "out_for_delivery" || s.Shipment.Status != "in_transit" {
		t.Errorf("it spoke: %s, shipment %s", s.Parcel("A").Status, s.Shipment.Status)
	}
	// Half of it is received: the other half may still fall silent.
	g.edit(func(tx inventory.Tx) error {
		_, err := Receive(tx, "a", "S-1", Receipt{Parcel: "A", Scans: []string{"SN-1111"}})
		return err
	})
	g.later(20 * 24 * time.Hour)
	if out := silent(); len(out) != 1 || out[0].Parcel.Label != "B" {
		t.Errorf("the other half: %+v", out)
	}
	// One that was handed over and never scanned at all.
	g.create(&inventory.Shipment{Reference: "S-2", SilentAfterDays: 2})
	g.edit(func(tx inventory.Tx) error {
		if _, err := Add(tx, "S-2", Adding{Text: "SN-9"}); err != nil {
			return err
		}
		if _, err := Pack(tx, "a", "S-2", Packing{}); err != nil {
			return err
		}
		_, err := HandOver(tx, "a", "S-2", Handing{Override: "test"})
		return err
	})
	g.later(49 * time.Hour)
	if out := silent(); len(out) != 1 || out[0].Shipment.Reference != "S-2" || out[0].Days != 2 {
		t.Errorf("never scanned: %+v", out)
	}
}

func TestTooManyEventsAreRefused(t *testing.T) {
	g := onSQLite(t)
	refused(t, g.try(func(tx inventory.Tx) error {
		_, err := Track(tx, "x", make([]inventory.TrackingEvent, maxEvents+1))
		return err
	}), "at most")
}
