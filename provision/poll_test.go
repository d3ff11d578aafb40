package provision_test

import (
	"encoding/json"
	"testing"
	"time"

	"berth/bmc"
	"berth/inventory"
)

// thePoll is the one poll that a rig with one BMC has.
func (r *rig) thePoll() *inventory.Operation {
	r.Helper()
	list, err := inventory.List[inventory.Operation](ctx, r.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("kind", "poll-bmc")}})
	if err != nil || len(list) != 1 {
		r.Fatalf("%d polls, %v", len(list), err)
	}
	return list[0]
}

func (r *rig) theBMC() *inventory.BMC {
	r.Helper()
	list, err := inventory.List[inventory.BMC](ctx, r.store, inventory.Query{})
	if err != nil || len(list) != 1 {
		r.Fatalf("%d BMCs, %v", len(list), err)
	}
	return list[0]
}

// TestPollsOfTheSilentAreRare: a BMC that does not let us in is asked less often the longer that lasts, until its record is changed.
func TestPollsOfTheSilentAreRare(t *testing.T) {
	r := newRig(t)
	r.withBMC()
	r.eventually("the BMC answers", func() bool { return r.theBMC().State == "ok" })
	r.eventually("the poll rests", func() bool { return r.thePoll().State == inventory.OpWaiting })
	if rest := time.Until(r.thePoll().NextTryAt); rest > 61*time.Second {
		t.Errorf("a BMC that answers is left alone for %v", rest)
	}
	r.machine.SetPassword("another")
	due := func(tx inventory.Tx) error {
		op, err := inventory.TxGet[inventory.Operation](tx, string(r.thePoll().UID))
		if err != nil {
			return err
		}
		op.NextTryAt = time.Time{}
		return tx.Update(op)
	}
	if err := r.store.Edit(ctx, admin(), due); err != nil {
		t.Fatal(err)
	}
	r.eventually("the BMC refuses", func() bool { return r.theBMC().State == "refused" })
	r.eventually("the poll rests", func() bool { return r.thePoll().State == inventory.OpWaiting })
	// As if it had been so for two hours, seen by a server whose next round is far.
	if err := r.store.Edit(ctx, admin(), func(tx inventory.Tx) error {
		op, err := inventory.TxGet[inventory.Operation](tx, string(r.thePoll().UID))
		if err != nil {
			return err
		}
		op.NextTryAt = tx.Now().Add(50 * time.Minute)
		return tx.Update(op)
	}); err != nil {
		t.Fatal(err)
	}
	if err := r.store.Edit(ctx, admin(), func(tx inventory.Tx) error {
		b, err := inventory.TxGet[inventory.BMC](tx, string(r.theBMC().UID))
		if err != nil {
			return err
		}
		b.Password = inventory.PlainSecret("another")
		return tx.Update(b)
	}); err != nil {
		t.Fatal(err)
	}
	r.eventually("the new password is tried at once", func() bool { return r.theBMC().State == "ok" })
}

// TestNoPollWithoutPassword: a BMC that nobody can log in to is not asked.
func TestNoPollWithoutPassword(t *testing.T) {
	r := newRig(t)
	d := r.withBMC()
	r.eventually("the BMC answers", func() bool { return r.theBMC().State == "ok" })
	if err := r.store.Edit(ctx, admin(), func(tx inventory.Tx) error {
		return tx.Create(&inventory.BMC{Device: d.UID, Kind: bmc.KindIPMI, Address: "192.0.2.77"})
	}); err != nil {
		t.Fatal(err)
	}
	// The poll of the first is woken after the watcher has looked at both.
	r.machine.SetPassword("third")
	if err := r.store.Edit(ctx, admin(), func(tx inventory.Tx) error {
		bmcs, err := inventory.TxList[inventory.BMC](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("address", "machine.test")}})
		if err != nil {
			return err
		}
		op, err := inventory.TxGet[inventory.Operation](tx, string(r.thePoll().UID))
		if err != nil {
			return err
		}
		op.NextTryAt = tx.Now().Add(50 * time.Minute)
		if err := tx.Update(op); err != nil {
			return err
		}
		bmcs[0].Password = inventory.PlainSecret("third")
		return tx.Update(bmcs[0])
	}); err != nil {
		t.Fatal(err)
	}
	r.eventually("the first is asked again", func() bool { return time.Until(r.thePoll().NextTryAt) < 10*time.Minute })
	var args struct {
		BMC inventory.UID `json:"bmc"`
	}
	if err := json.Unmarshal(r.thePoll().Args, &args); err != nil { // fails if there are two
		t.Fatal(err)
	}
	if b, err := inventory.Get[inventory.BMC](ctx, r.store, string(args.BMC)); err != nil || b.Address != "machine.test" {
		t.Errorf("polled is %+v, %v", b, err)
	}
}
