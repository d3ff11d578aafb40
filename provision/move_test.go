package provision_test

import (
	"testing"

	"berth/api"
	"berth/inventory"
	"berth/inventory/placement"
)

// TestABootEndsAMove: a machine was taken out of its rack; when it comes up again it stands where its plan wanted it. Where something
// else stands there on record, the look at the machine is kept and the move waits for a person.
func TestABootEndsAMove(t *testing.T) {
	r := newRig(t)
	r.report(mac, "key-1", box("1", mac))
	d := r.device()
	if _, err := r.service.Accept(ctx, admin(), string(d.UID), api.AcceptRequest{Name: "node-1"}); err != nil {
		t.Fatal(err)
	}
	site := &inventory.Site{Name: "Here"}
	r.create(site)
	rack := &inventory.Rack{Name: "r1", Site: site.UID}
	r.create(rack)
	unit := 5.0
	squatter := &inventory.Device{Name: "squatter", Rack: rack.UID, Position: &unit}
	r.create(squatter)
	plan := &inventory.MovePlan{Name: "plan"}
	r.create(plan)
	move := &inventory.Move{MovePlan: plan.UID, Device: d.UID, ToRack: rack.UID, ToPosition: &unit}
	r.create(move)
	edit := func(fn func(tx inventory.Tx) error) {
		t.Helper()
		if err := r.store.Edit(ctx, admin(), fn); err != nil {
			t.Fatal(err)
		}
	}
	edit(func(tx inventory.Tx) error {
		_, err := placement.ApplyMove(tx, string(move.UID), "removed", "person")
		return err
	})
	look := func() (inventory.Move, inventory.Device) {
		t.Helper()
		if err := r.service.Report(ctx, "key-1", box("1", mac)); err != nil {
			t.Fatal(err)
		}
		m, err := inventory.Get[inventory.Move](ctx, r.store, string(move.UID))
		if err != nil {
			t.Fatal(err)
		}
		now, err := inventory.Get[inventory.Device](ctx, r.store, string(d.UID))
		if err != nil {
			t.Fatal(err)
		}
		return *m, *now
	}
	if m, now := look(); m.State != "removed" || now.Rack != "" {
		t.Errorf("with somebody in its place: the move is %s, the device in rack %q", m.State, now.Rack)
	}
	edit(func(tx inventory.Tx) error {
		s, err := inventory.TxGet[inventory.Device](tx, "squatter")
		if err != nil {
			return err
		}
		return tx.Delete(s)
	})
	if m, now := look(); m.State != "done" || m.DoneBy != "boot" || now.Rack != rack.UID || now.Position == nil || *now.Position != unit {
		t.Errorf("the move is %s by %s, the device in rack %q", m.State, m.DoneBy, now.Rack)
	}
}
