package placement

import (
	"context"
	"os"
	"strings"
	"testing"

	"berth/internal/pgtest"
	"berth/inventory"
	"berth/inventory/store"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// both runs a test on a record in SQLite and on one in PostgreSQL.
func both(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Helper()
	for name, opt := range map[string]func(t *testing.T) store.Options{
		"sqlite":   func(t *testing.T) store.Options { return store.Options{Dir: t.TempDir()} },
		"postgres": func(t *testing.T) store.Options { return store.Options{DSN: pgtest.Database(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := store.Open(t.Context(), opt(t))
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			test(t, s)
		})
	}
}

var anna = inventory.Actor{Name: "anna", Level: inventory.LevelAdmin}

func edit(t *testing.T, s *store.Store, fn func(tx inventory.Tx) error) inventory.UID {
	t.Helper()
	req := inventory.NewRequest(anna, "test")
	if err := s.Edit(context.Background(), req, fn); err != nil {
		t.Fatal(err)
	}
	return req.ID
}

// site is one with two racks of ten units, and four servers in the first.
type site struct {
	*inventory.Site
	racks   [2]*inventory.Rack
	kind    *inventory.DeviceType
	servers []*inventory.Device
	plan    *inventory.MovePlan
}

func build(t *testing.T, s *store.Store) *site {
	t.Helper()
	x := &site{Site: &inventory.Site{Name: "Here"}, plan: &inventory.MovePlan{Name: "plan"}}
	edit(t, s, func(tx inventory.Tx) error {
		maker := &inventory.Manufacturer{Name: "Maker"}
		if err := createAll(tx, x.Site, maker, x.plan); err != nil {
			return err
		}
		x.kind = &inventory.DeviceType{Manufacturer: maker.UID, Model: "1U", UHeight: 1, IsFullDepth: true, WeightGrams: 15000}
		x.racks = [2]*inventory.Rack{{Name: "r1", Site: x.UID, UHeight: 10}, {Name: "r2", Site: x.UID, UHeight: 10}}
		return createAll(tx, x.kind, x.racks[0], x.racks[1])
	})
	for i, name := range []string{"a", "b", "c", "d"} {
		at := float64(i + 1)
		x.servers = append(x.servers, &inventory.Device{Name: name, DeviceType: x.kind.UID, Rack: x.racks[0].UID, Position: &at})
	}
	edit(t, s, func(tx inventory.Tx) error {
		return createAll(tx, x.servers[0], x.servers[1], x.servers[2], x.servers[3])
	})
	return x
}

func createAll(tx inventory.Tx, objects ...inventory.Object) error {
	for _, obj := range objects {
		if err := tx.Create(obj); err != nil {
			return err
		}
	}
	return nil
}

// move plans that a server goes to a unit of one of the racks.
func (x *site) move(t *testing.T, s *store.Store, server, rack int, unit float64) *inventory.Move {
	t.Helper()
	m := &inventory.Move{MovePlan: x.plan.UID, Device: x.servers[server].UID, ToRack: x.racks[rack].UID, ToPosition: &unit}
	edit(t, s, func(tx inventory.Tx) error { return tx.Create(m) })
	return m
}

func (x *site) read(t *testing.T, s *store.Store) *Plan {
	t.Helper()
	p, err := Read(t.Context(), s, x.plan, "2026-11-22")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func steps(p *Plan) string {
	var list []string
	for _, s := range p.Steps {
		list = append(list, s.Action+" "+s.Device)
	}
	return strings.Join(list, ", ")
}

// TestOrder: chains are walked from their free end, and circles are opened.
func TestOrder(t *testing.T) {
	both(t, func(t *testing.T, s *store.Store) {
		x := build(t, s)
		x.move(t, s, 0, 0, 2) // a pushes b, b pushes c, c goes to the other rack
		x.move(t, s, 1, 0, 3)
		x.move(t, s, 2, 1, 1)
		if got := steps(x.read(t, s)); got != "move c, move b, move a" {
			t.Errorf("a chain: %s", got)
		}
		x.move(t, s, 3, 0, 1) // d takes a's place: no circle, since nobody wants d's
		if got := steps(x.read(t, s)); got != "move c, move b, move a, move d" {
			t.Errorf("a longer chain: %s", got)
		}
	})
}

func TestCircle(t *testing.T) {
	both(t, func(t *testing.T, s *store.Store) {
		x := build(t, s)
		x.move(t, s, 0, 0, 2)
		x.move(t, s, 1, 0, 3)
		last := x.move(t, s, 2, 0, 1)
		p := x.read(t, s)
		if got := steps(p); got != "take out c, move b, move a, put in c" || !strings.Contains(p.Steps[0].To, "free meanwhile") {
			t.Errorf("%s, and meanwhile to %q", got, p.Steps[0].To)
		}
		edit(t, s, func(tx inventory.Tx) error {
			_, err := ApplyMove(tx, string(last.UID), "removed", "person")
			return err
		})
		if got := steps(x.read(t, s)); got != "move b, move a, put in c" {
			t.Errorf("after the first step: %s", got)
		}
	})
}

// TestConflicts: what cannot be is said of the planned end, and never of what was so before.
func TestConflicts(t *testing.T) {
	both(t, func(t *testing.T, s *store.Store) {
		x := build(t, s)
		edit(t, s, func(tx inventory.Tx) error {
			return tx.Create(&inventory.RackReservation{Rack: x.racks[1].UID, FromUnit: 8, Description: "for later"})
		})
		x.move(t, s, 0, 0, 4) // where d stays
		x.move(t, s, 1, 1, 8) // reserved
		m := x.move(t, s, 2, 1, 5)
		p := x.read(t, s)
		got := strings.Join(p.Problems, "\n")
		for _, want := range []string{"a goes to unit 4 of r1, where d stays", "b goes to unit 8 of r2, which is reserved: for later"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is not among\n%s", want, got)
			}
		}
		if len(p.Problems) != 2 || len(p.Before) != 2 || len(p.Before[0].Devices) != 4 || len(p.After[0].Devices) != 2 || len(p.After[1].Devices) != 2 {
			t.Errorf("%d problems, before %d, after %d and %d", len(p.Problems), len(p.Before[0].Devices), len(p.After[0].Devices), len(p.After[1].Devices))
		}
		edit(t, s, func(tx inventory.Tx) error { _, err := ApplyMove(tx, string(m.UID), "cancelled", "person"); return err })
		if p := x.read(t, s); len(p.Steps) != 2 || len(p.Lines) != 3 {
			t.Errorf("a cancelled move: %d steps, %d lines", len(p.Steps), len(p.Lines))
		}
	})
}

// TestApplyAndUndo: taken out, arrived by its first boot, and back by undoing what was done.
func TestApplyAndUndo(t *testing.T) {
	both(t, func(t *testing.T, s *store.Store) {
		x := build(t, s)
		m := x.move(t, s, 0, 1, 5)
		apply := func(state string) inventory.UID {
			return edit(t, s, func(tx inventory.Tx) error { _, err := ApplyMove(tx, string(m.UID), state, "person"); return err })
		}
		where := func() string {
			d, err := inventory.Get[inventory.Device](t.Context(), s, "a")
			if err != nil {
				t.Fatal(err)
			}
			if d.Rack == "" {
				return "out"
			}
			return at(map[inventory.UID]string{x.racks[0].UID: "r1", x.racks[1].UID: "r2"}, d, x.kind)
		}
		apply("removed")
		if where() != "out" {
			t.Errorf("after taking it out it stands at %s", where())
		}
		apply("planned")
		if where() != "r1, unit 1" {
			t.Errorf("after putting it back it stands at %s", where())
		}
		apply("removed")
		done := edit(t, s, func(tx inventory.Tx) error {
			got, err := Arrived(tx, x.servers[0].UID)
			if err == nil && (got == nil || got.DoneBy != "boot") {
				t.Errorf("the boot did %+v", got)
			}
			return err
		})
		plan, err := inventory.Get[inventory.MovePlan](t.Context(), s, "plan")
		if err != nil || where() != "r2, unit 5" || plan.Status != "done" {
			t.Errorf("after its boot it stands at %s, the plan is %s, %v", where(), plan.Status, err)
		}
		if err := s.Undo(t.Context(), inventory.NewRequest(anna, "not there yet"), done); err != nil {
			t.Fatal(err)
		}
		if where() != "out" {
			t.Errorf("after undoing that it stands at %s", where())
		}
		edit(t, s, func(tx inventory.Tx) error {
			got, err := Arrived(tx, x.servers[1].UID)
			if got != nil {
				t.Errorf("what was never taken out arrived: %+v", got)
			}
			return err
		})
	})
}

// TestEvacuate: what is borrowed first, then from the top down, then what lies about; and when to switch off.
func TestEvacuate(t *testing.T) {
	both(t, func(t *testing.T, s *store.Store) {
		x := build(t, s)
		edit(t, s, func(tx inventory.Tx) error {
			owner, lease := &inventory.Organization{Name: "Lessor"}, &inventory.Acquisition{Kind: "lease"}
			if err := createAll(tx, owner, lease); err != nil {
				return err
			}
			leased := &inventory.Asset{AssetTag: "A-1", Owner: owner.UID, Acquisition: lease.UID, Site: x.UID, WeightGrams: 20000, Currency: "EUR", CostAmount: 5000, LandedCostAmount: 6000, Custody: "installed"}
			fair := int64(700)
			spare := &inventory.Asset{AssetTag: "A-2", Site: x.UID, Custody: "storage", Currency: "EUR", FairValueAmount: &fair}
			if err := createAll(tx, leased, spare, &inventory.Asset{AssetTag: "A-3", Site: x.UID, Custody: "gone"}); err != nil {
				return err
			}
			b := *x.servers[1]
			b.Asset, b.Role, b.Revision = leased.UID, "ceph-host", 0
			return tx.Update(&b)
		})
		e, err := Evacuate(t.Context(), s, x.Site)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range e.Rows {
			got = append(got, strings.TrimSpace(l.Name+" "+l.AssetTag+" "+l.Terms))
		}
		if strings.Join(got, "|") != "b A-1 lease|d|c|a|A-2" {
			t.Errorf("in the order %q", got)
		}
		if first := e.Rows[0]; first.Owner != "Lessor" || first.Value != 6000 || first.OffAt != 3 || e.Rows[1].OffAt != 1 {
			t.Errorf("%+v and %+v", first, e.Rows[1])
		}
		if e.Weight != 65000 || e.Unweighed != 1 || e.Values["EUR"] != 6700 || e.Unvalued != 3 {
			t.Errorf("%d g, %d unweighed, %v, %d unvalued", e.Weight, e.Unweighed, e.Values, e.Unvalued)
		}
	})
}

// TestPut: a device takes its asset along to another site.
func TestPut(t *testing.T) {
	both(t, func(t *testing.T, s *store.Store) {
		x := build(t, s)
		there := &inventory.Site{Name: "There"}
		asset := &inventory.Asset{AssetTag: "A-1", Site: x.UID}
		rack := &inventory.Rack{Name: "r9"}
		edit(t, s, func(tx inventory.Tx) error {
			if err := createAll(tx, there, asset); err != nil {
				return err
			}
			rack.Site = there.UID
			a := *x.servers[0]
			a.Asset, a.Revision = asset.UID, 0
			if err := tx.Create(rack); err != nil {
				return err
			}
			return tx.Update(&a)
		})
		unit := 3.0
		edit(t, s, func(tx inventory.Tx) error {
			_, err := Put(tx, "a", Place{Rack: rack.UID, Position: &unit})
			return err
		})
		moved, err := inventory.Get[inventory.Asset](t.Context(), s, "A-1")
		if err != nil || moved.Site != there.UID {
			t.Errorf("the asset is at %s, %v", moved.Site, err)
		}
	})
}
