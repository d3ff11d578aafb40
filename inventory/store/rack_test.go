package store

import (
	"context"
	"strings"
	"testing"

	"berth/inventory"
)

// refused makes an edit that must be refused with a sentence that holds the words.
func refused(t *testing.T, s *Store, words string, fn func(tx inventory.Tx) error) {
	t.Helper()
	err := s.Edit(context.Background(), inventory.NewRequest(anna, "test"), fn)
	if err == nil || asConflict(err) == nil && asInvalid(err) == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v, want a refusal that says %q", err, words)
	}
}

func creates(obj inventory.Object) func(inventory.Tx) error {
	return func(tx inventory.Tx) error { return tx.Create(obj) }
}

// TestRoomInARack is a story of who may stand where, on both databases.
func TestRoomInARack(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		site, elsewhere := create(t, s, &inventory.Site{Name: "Here"}), create(t, s, &inventory.Site{Name: "There"})
		maker := create(t, s, &inventory.Manufacturer{Name: "Maker"})
		frame := create(t, s, &inventory.RackType{Manufacturer: maker.UID, Model: "Short", UHeight: 12, StartingUnit: 5})
		rack := create(t, s, &inventory.Rack{Name: "r1", Site: site.UID, RackType: frame.UID})
		if rack.UHeight != 12 || rack.StartingUnit != 5 || rack.Width != 19 {
			t.Fatalf("the rack did not take its measures from its type: %+v", rack)
		}
		half := create(t, s, &inventory.DeviceType{Manufacturer: maker.UID, Model: "Half", UHeight: 1, RackWidth: "half"})
		full := create(t, s, &inventory.DeviceType{Manufacturer: maker.UID, Model: "Full", UHeight: 2, IsFullDepth: true})
		put := func(name string, kind inventory.UID, position float64, slot int) *inventory.Device {
			return &inventory.Device{Name: name, DeviceType: kind, Rack: rack.UID, Position: &position, Slot: slot}
		}
		left := create(t, s, put("left", half.UID, 5, 0))
		create(t, s, put("right", half.UID, 5, 1))
		refused(t, s, "is taken by right", creates(put("third", half.UID, 5, 1)))
		refused(t, s, "from 0 to 1", creates(put("third", half.UID, 6, 2)))
		refused(t, s, "all of it", creates(put("third", full.UID, 6, 1)))
		refused(t, s, "units 5 to 16", creates(put("third", full.UID, 16, 0)))

		kept := create(t, s, &inventory.RackReservation{Rack: rack.UID, FromUnit: 8, Height: 2, Description: "for the eight from Utrecht"})
		refused(t, s, "for the eight from Utrecht", creates(put("third", full.UID, 9, 0)))
		refused(t, s, "for the eight from Utrecht", creates(&inventory.RackReservation{Rack: rack.UID, FromUnit: 9, Description: "other"}))
		refused(t, s, "taken by left", creates(&inventory.RackReservation{Rack: rack.UID, FromUnit: 5, Description: "other"}))
		third := put("third", full.UID, 9, 0)
		third.OverReservation = "Utrecht agreed, until Friday"
		create(t, s, third)
		mustEdit(t, s, func(tx inventory.Tx) error { kept.Status = "stale"; return tx.Update(kept) })
		mustEdit(t, s, func(tx inventory.Tx) error { third.OverReservation = ""; return tx.Update(third) })
		refused(t, s, "taken by third", func(tx inventory.Tx) error { k := *kept; k.Status = "active"; return tx.Update(&k) })

		refused(t, s, "third stands in it", func(tx inventory.Tx) error { r := *rack; r.UHeight = 5; return tx.Update(&r) })
		mustEdit(t, s, func(tx inventory.Tx) error { left.Slot = 1; left.Position = nil; return tx.Update(left) })
		panel := create(t, s, &inventory.PowerPanel{Site: elsewhere.UID, Name: "P"})
		refused(t, s, "at another site", creates(&inventory.PowerFeed{PowerPanel: panel.UID, Rack: rack.UID, Name: "A"}))
	})
}

// TestCableEnds: an end has one cable, and a feed takes its voltage from the site.
func TestCableEnds(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		site := create(t, s, &inventory.Site{Name: "Here", SupplyVoltageV: 208})
		panel := create(t, s, &inventory.PowerPanel{Site: site.UID, Name: "P"})
		if feed := create(t, s, &inventory.PowerFeed{PowerPanel: panel.UID, Name: "A"}); feed.VoltageV != 208 || feed.AvailableVA() != 2662 {
			t.Errorf("the feed has %d V and %d VA, want the site's 208 V and 2662 VA", feed.VoltageV, feed.AvailableVA())
		}
		a, b := create(t, s, &inventory.Device{Name: "a"}), create(t, s, &inventory.Device{Name: "b"})
		eno1, eno2 := create(t, s, &inventory.Interface{Device: a.UID, Name: "eno1"}), create(t, s, &inventory.Interface{Device: a.UID, Name: "eno2"})
		port := create(t, s, &inventory.Interface{Device: b.UID, Name: "swp1"})
		cable := create(t, s, &inventory.Cable{Label: "17", AInterface: eno1.UID, BInterface: port.UID})
		refused(t, s, "cable 17 is plugged", creates(&inventory.Cable{AInterface: port.UID, BInterface: eno2.UID}))
		mustEdit(t, s, func(tx inventory.Tx) error { cable.AInterface = eno2.UID; return tx.Update(cable) })
		psu := create(t, s, &inventory.PowerPort{Device: a.UID, Name: "PSU1"})
		refused(t, s, "belongs to another device", creates(&inventory.PowerOutlet{Device: b.UID, Name: "1", PowerPort: psu.UID}))
	})
}

// TestMoveRules: a plan moves a device once, to a rack that is where the move says.
func TestMoveRules(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		site, elsewhere := create(t, s, &inventory.Site{Name: "Here"}), create(t, s, &inventory.Site{Name: "There"})
		rack := create(t, s, &inventory.Rack{Name: "r1", Site: site.UID})
		device := create(t, s, &inventory.Device{Name: "a"})
		plan := create(t, s, &inventory.MovePlan{Name: "out"})
		move := create(t, s, &inventory.Move{MovePlan: plan.UID, Device: device.UID, ToRack: rack.UID})
		if move.ToSite != site.UID {
			t.Error("the move did not take its site from the rack")
		}
		refused(t, s, "moves the device already", creates(&inventory.Move{MovePlan: plan.UID, Device: device.UID}))
		refused(t, s, "is another than that of rack r1", func(tx inventory.Tx) error { m := *move; m.ToSite = elsewhere.UID; return tx.Update(&m) })
	})
}

// TestOnly: a query that wants few fields gets these and what it is sorted by, page after page, and no field that there is not.
func TestOnly(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		for _, name := range []string{"a", "b", "c"} {
			create(t, s, &inventory.Device{Name: name, Role: "node", Notes: "long"})
		}
		q := inventory.Query{Only: []string{"role"}, Sort: "name", Limit: 2}
		var names string
		for range 2 {
			page, err := s.List(context.Background(), inventory.NounFor[inventory.Device](), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range inventory.Items[inventory.Device](page) {
				if names += d.Name; d.Role != "node" || d.Notes != "" || d.Status != "" || d.UID == "" {
					t.Errorf("%+v", d)
				}
			}
			q.Cursor = page.Next
		}
		if names != "abc" {
			t.Errorf("listed %q", names)
		}
		q = inventory.Query{Only: []string{"role", "no_such"}}
		if _, err := s.List(context.Background(), inventory.NounFor[inventory.Device](), q); asInvalid(err) == nil {
			t.Errorf("got %v", err)
		}
	})
}
