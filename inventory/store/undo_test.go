package store

import (
	"context"
	"errors"
	"strings"
	"testing"

	"berth/inventory"
)

func undo(s *Store, ref inventory.UID) error {
	return s.Undo(context.Background(), inventory.NewRequest(anna, "undo"), ref)
}

// TestUndo turns back creations, updates and deletions, one by one and by request, and turns an undo back too.
func TestUndo(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		site := create(t, s, &inventory.Site{Name: "Berlin"})

		moved := mustEdit(t, s, func(tx inventory.Tx) error {
			site.Facility, site.Description = "DC 1", "first floor"
			return tx.Update(site)
		})
		// Somebody else changes another field, and berth what is its own: neither is in the way.
		mustEdit(t, s, func(tx inventory.Tx) error { site.TimeZone = "Europe/Berlin"; return tx.Update(site) })
		if err := undo(s, moved); err != nil {
			t.Fatal(err)
		}
		got := find[inventory.Site](t, s, "berlin")
		if got.Facility != "" || got.Description != "" || got.TimeZone != "Europe/Berlin" {
			t.Errorf("after undo: %+v", got)
		}
		back := all[inventory.Change](t, s, inventory.Filter{Field: "undoes", Op: inventory.OpEmpty, Value: "false"})
		if len(back) != 1 || back[0].Why != "undo" {
			t.Fatalf("the undo is logged as %v", back)
		}
		if err := undo(s, back[0].UID); err != nil {
			t.Fatal(err)
		}
		if got := find[inventory.Site](t, s, "berlin"); got.Facility != "DC 1" {
			t.Errorf("after the undo of the undo: %+v", got)
		}

		// A request that made a rack and put a device into it goes as a whole, in the right order.
		rack := &inventory.Rack{Name: "R1", Site: site.UID}
		position := 3.0
		both := mustEdit(t, s, func(tx inventory.Tx) error {
			if err := tx.Create(rack); err != nil {
				return err
			}
			return tx.Create(&inventory.Device{Name: "node-1", Rack: rack.UID, Position: &position})
		})
		if err := undo(s, both); err != nil {
			t.Fatal(err)
		}
		if n := len(all[inventory.Device](t, s)) + len(all[inventory.Rack](t, s)); n != 0 {
			t.Errorf("%d objects stayed", n)
		}
		// Undoing the undo brings both back, under their uids.
		request := all[inventory.Change](t, s, inventory.Filter{Field: "action", Op: inventory.OpIs, Value: "delete"})[0].Request
		if err := undo(s, request); err != nil {
			t.Fatal(err)
		}
		if node := find[inventory.Device](t, s, "node-1"); node.Rack != rack.UID || *node.Position != 3 || node.Revision < 2 {
			t.Errorf("came back as %+v", node)
		}
	})
}

// TestUndoConflicts: what was changed since is named and stays; nothing of the request is turned back then.
func TestUndoConflicts(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		site := create(t, s, &inventory.Site{Name: "Berlin"})
		made := all[inventory.Change](t, s)[0].UID
		other := create(t, s, &inventory.Site{Name: "Ulm"})
		request := mustEdit(t, s, func(tx inventory.Tx) error {
			site.Facility, other.Facility = "DC 1", "DC 2"
			if err := tx.Update(other); err != nil {
				return err
			}
			return tx.Update(site)
		})
		mustEdit(t, s, func(tx inventory.Tx) error { other.Facility = "DC 3"; return tx.Update(other) })

		c := asConflict(undo(s, request))
		if c == nil || c.UID != other.UID || !strings.Contains(c.Why, "facility") {
			t.Errorf("a field that was changed since: %v", c)
		}
		if got := find[inventory.Site](t, s, "berlin"); got.Facility != "DC 1" {
			t.Errorf("half of the request was turned back: %+v", got)
		}
		if c := asConflict(undo(s, made)); c == nil || !strings.Contains(c.Why, "facility") {
			t.Errorf("the creation of what was changed since: %v", c)
		}
		device := create(t, s, &inventory.Device{Name: "node-1", Site: other.UID})
		deleted := mustEdit(t, s, func(tx inventory.Tx) error {
			if err := tx.Delete(device); err != nil {
				return err
			}
			return tx.Delete(other)
		})
		ulm := create(t, s, &inventory.Site{Name: "Ulm"})
		if c := asConflict(undo(s, deleted)); c == nil || c.UID != ulm.UID {
			t.Errorf("a name that was taken since: %v", c)
		}
	})
}

// TestUndoLimits: the machine's own fields, secrets and journals are not turned back, nor what the actor may not edit.
func TestUndoLimits(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		opt.Sealer = testKey(t)
		s := openTest(t, opt)
		account := create(t, s, &inventory.Account{Name: "ben", Level: inventory.LevelOperator})
		ben := inventory.Actor{Account: account.UID, Name: "ben", Level: inventory.LevelOperator}
		device := create(t, s, &inventory.Device{Name: "node-1", ProvisionState: inventory.StateReady})
		bmc := create(t, s, &inventory.BMC{Device: device.UID, Kind: "redfish", Password: inventory.PlainSecret("first")})

		req := inventory.NewRequest(ben, "")
		if err := s.Edit(context.Background(), req, func(tx inventory.Tx) error {
			device.Role, device.ProvisionState = "router", inventory.StateForeign
			return tx.Update(device)
		}); err != nil {
			t.Fatal(err)
		}
		if err := undo(s, req.ID); err != nil {
			t.Fatal(err)
		}
		if got := find[inventory.Device](t, s, "node-1"); got.Role != "" || got.ProvisionState != inventory.StateForeign {
			t.Errorf("after undo: role %q, state %q", got.Role, got.ProvisionState)
		}
		secret := mustEdit(t, s, func(tx inventory.Tx) error { bmc.Password = inventory.PlainSecret("second"); return tx.Update(bmc) })
		if c := asConflict(undo(s, secret)); c == nil {
			t.Error("a secret was turned back")
		}
		deleted := mustEdit(t, s, func(tx inventory.Tx) error { return tx.Delete(bmc) })
		if err := undo(s, deleted); err != nil {
			t.Fatal(err)
		}
		if got := find[inventory.BMC](t, s, string(bmc.UID)); !got.Password.IsZero() || got.Kind != "redfish" {
			t.Errorf("came back as %+v with password %q", got, got.Password.Sealed())
		}
		made := all[inventory.Change](t, s, inventory.Is("object", account.UID))[0].UID
		if err := s.Undo(context.Background(), inventory.NewRequest(ben, ""), made); !errors.Is(err, inventory.ErrForbidden) {
			t.Errorf("an operator undid what an admin did: %v", err)
		}
		for _, ref := range []inventory.UID{inventory.NewUID(), "", "node-1"} {
			if err := undo(s, ref); !errors.Is(err, inventory.ErrNotFound) {
				t.Errorf("%q: got %v", ref, err)
			}
		}
	})
}
