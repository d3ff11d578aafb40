package logistics

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"berth/inventory"
)

// box is what a look at a server sees: two DIMMs, two disks, one port.
func box(serial string, n int) inventory.Facts {
	f := inventory.Facts{Source: inventory.SourceAgent, System: inventory.SystemFacts{Manufacturer: "Dell Inc.", Product: "R640", Serial: serial,
		UUID: fmt.Sprintf("4c4c4544-0039-3010-8048-b7c04f38%04x", n)}, NICs: []inventory.NICFacts{{MAC: fmt.Sprintf("ac:1f:6b:00:00:%02x", n)}}}
	for i := range 2 {
		f.DIMMs = append(f.DIMMs, inventory.DIMMFacts{Slot: fmt.Sprint("A", i+1), Serial: fmt.Sprintf("03C7%02X%02X", n, i), SizeMiB: 16384})
		f.Disks = append(f.Disks, inventory.DiskFacts{Slot: fmt.Sprint(i), Serial: fmt.Sprintf("S3Z8NB%02d%02d", n, i), SizeBytes: 960e9})
	}
	return f
}

// boots is what provision does with a first boot: it keeps the look and the evidence, and asks logistics.
func (g *rig) boots(name string, f inventory.Facts) *inventory.Device {
	g.Helper()
	d := &inventory.Device{Name: name, ProvisionState: inventory.StateDiscovered}
	d.UID = inventory.NewUID()
	g.edit(func(tx inventory.Tx) error {
		now := tx.Now()
		d.SeenAt = &now
		if err := tx.Create(d); err != nil {
			return err
		}
		if err := tx.Create(&inventory.Observation{Device: d.UID, Source: f.Source, Facts: f}); err != nil {
			return err
		}
		for _, e := range inventory.Evidence(f) {
			if err := tx.Create(&inventory.Identifier{Device: d.UID, Kind: e.Kind, Value: e.Value}); err != nil {
				return err
			}
		}
		if err := Observed(tx, d, f); err != nil {
			return err
		}
		return tx.Update(d)
	})
	return d
}

// accept is what provision does when a person accepts the machine; one that nobody expected gets an asset of its own.
func (g *rig) accept(d *inventory.Device, f inventory.Facts) {
	g.Helper()
	g.edit(func(tx inventory.Tx) error {
		if err := d.Become(inventory.StateReady, ""); err != nil {
			return err
		}
		if d.Asset == "" {
			a := &inventory.Asset{AssetTag: MadeTag(d.UID), Serial: f.System.Serial, Custody: "installed"}
			if err := tx.Create(a); err != nil {
				return err
			}
			d.Asset = a.UID
		}
		if err := Verify(tx, "anna", d, f); err != nil {
			return err
		}
		return tx.Update(d)
	})
}

func (g *rig) deviations(item inventory.UID) []string {
	g.Helper()
	list, err := inventory.List[inventory.Deviation](context.Background(), g.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("shipment_item", item), inventory.Is("verdict", "open")}})
	if err != nil {
		g.Fatal(err)
	}
	var out []string
	for _, v := range list {
		out = append(out, v.Field+" "+v.Part)
	}
	slices.Sort(out)
	return out
}

// TestTheFirstBootVerifiesItsLine is the story of the issue: the label says 790H8D2, the list 79OH8D2, a DIMM and a disk are not as packed.
func TestTheFirstBootVerifiesItsLine(t *testing.T) {
	onBoth(t, func(g *rig) {
		g.create(&inventory.Shipment{Reference: "S-1", Direction: "inbound"})
		g.edit(func(tx inventory.Tx) error { _, err := Add(tx, "S-1", Adding{Text: "79OH8D2\n7B0H8D2"}); return err })
		line := g.load("S-1").Items[0]
		line.Manifest = map[string]string{"memory": "3 × 16 GiB", "disk S3Z8NB0100": "960 GB", "disk S3Z8NB9999": "960 GB", "note": "from the old farm"}
		g.edit(func(tx inventory.Tx) error { return tx.Update(line) })

		f := box("790H8D2", 1)
		d := g.boots("machine-1", f)
		if d.Asset != line.Asset {
			g.Fatalf("it is taken for %q, not for %q", d.Asset, line.Asset)
		}
		if i := get[inventory.ShipmentItem](g, line.UID); i.VerifiedAt != nil {
			g.Error("the line is verified before a person accepted the machine")
		}
		g.accept(d, f)
		i := get[inventory.ShipmentItem](g, line.UID)
		if i.State != "verified" || i.VerifiedBy != "boot" || i.Device != d.UID || i.VerifiedAt == nil || i.ReceivedAt == nil {
			g.Errorf("the line: %+v", i)
		}
		if got := g.deviations(line.UID); !slices.Equal(got, []string{"missing memory", "serial system", "swapped disk S3Z8NB9999"}) {
			g.Errorf("deviations: %q", got)
		}
		if a := get[inventory.Asset](g, line.Asset); a.Custody != "installed" || a.SystemUUID != f.System.UUID || a.Serial != "79OH8D2" {
			g.Errorf("the asset: %+v", a)
		}
		if l := g.load("S-1"); l.Shipment.Phase != "received" || g.states("S-1") != "verified listed" {
			g.Errorf("the shipment is %s, %s", l.Shipment.Phase, g.states("S-1"))
		}
		// The list is corrected: what it got wrong is no deviation any more.
		i.Serial, i.Manifest = "790H8D2", map[string]string{"memory": "2 × 16 GiB"}
		g.edit(func(tx inventory.Tx) error {
			if err := tx.Update(i); err != nil {
				return err
			}
			return Corrected(tx, i)
		})
		if got := g.deviations(line.UID); len(got) != 0 {
			g.Errorf("after the correction: %q", got)
		}
	})
}

// TestASerialIsCorrected: the machine came first and was taken for a stranger; then somebody puts the list right.
func TestASerialIsCorrected(t *testing.T) {
	g := onSQLite(t)
	g.create(&inventory.Shipment{Reference: "S-1", Direction: "inbound"})
	g.edit(func(tx inventory.Tx) error {
		_, err := Add(tx, "S-1", Adding{Text: "WRONG-77\nCZ3407M8CD"})
		return err
	})
	f := box("790H8D2", 1)
	d := g.boots("machine-1", f)
	if d.Asset != "" {
		t.Fatalf("it is taken for %q", d.Asset)
	}
	g.accept(d, f)
	made := d.Asset
	line := g.load("S-1").Items[0]
	line.Serial = "790H8D2"
	g.edit(func(tx inventory.Tx) error {
		if err := tx.Update(line); err != nil {
			return err
		}
		return Corrected(tx, line)
	})
	if i := get[inventory.ShipmentItem](g, line.UID); i.State != "verified" || i.Device != d.UID {
		t.Errorf("the line: %+v", i)
	}
	if got := get[inventory.Device](g, d.UID); got.Asset != line.Asset {
		t.Errorf("the machine is the asset %s, not that of the line", got.Asset)
	}
	if _, err := inventory.Get[inventory.Asset](context.Background(), g.store, string(made)); err == nil {
		t.Error("the asset that was made up is still there")
	}
	// The other way round: the asset of a machine whose firmware has no serial is given the one from its label.
	blank := box("To be filled by O.E.M.", 2)
	other := g.boots("machine-2", blank)
	g.accept(other, blank)
	a := get[inventory.Asset](g, other.Asset)
	a.Serial = "CZ3407M8CD"
	g.edit(func(tx inventory.Tx) error {
		if err := tx.Update(a); err != nil {
			return err
		}
		return Corrected(tx, a)
	})
	if got := g.states("S-1"); got != "verified verified" {
		t.Errorf("lines: %s", got)
	}
}

// TestAPersonAnswers: two lines have one serial; the machine is asked about, and a person says which it is.
func TestAPersonAnswers(t *testing.T) {
	g := onSQLite(t)
	g.create(&inventory.Shipment{Reference: "S-1", Direction: "inbound"})
	s := g.load("S-1").Shipment
	g.create(&inventory.ShipmentItem{Shipment: s.UID, Serial: "790H8D2", Line: 1}, &inventory.ShipmentItem{Shipment: s.UID, Serial: "790H8D2", Line: 2, Description: "the second"})
	f := box("790H8D2", 1)
	d := g.boots("machine-1", f)
	if d.Asset != "" {
		t.Error("it was guessed")
	}
	v, err := Propose(look{g.store}, d, f)
	if err != nil || v.Kind != inventory.MatchQuestion || len(v.Ranked) != 2 {
		t.Fatalf("proposed: %+v, %v", v, err)
	}
	second := g.load("S-1").Items[1]
	g.edit(func(tx inventory.Tx) error {
		_, err := Confirm(tx, "anna", "S-1", string(second.UID), "machine-1", "person")
		return err
	})
	d = get[inventory.Device](g, d.UID)
	g.accept(d, f)
	if got := g.states("S-1"); got != "listed verified" {
		t.Errorf("lines: %s", got)
	}
	g.edit(func(tx inventory.Tx) error {
		_, err := Confirm(tx, "anna", "S-1", string(g.load("S-1").Items[0].UID), "", "scan")
		return err
	})
	if i := g.load("S-1").Items[0]; i.State != "verified" || i.VerifiedBy != "scan" {
		t.Errorf("the first: %+v", i)
	}
}

// TestARelocation: a server of ours is packed with its parts as the record knows them, and boots elsewhere with one disk less. First its BMC
// speaks, which shows no disks; then the machine itself.
func TestARelocation(t *testing.T) {
	g := onSQLite(t)
	f := box("790H8D2", 1)
	d := g.boots("node-1", f)
	g.accept(d, f)
	g.edit(func(tx inventory.Tx) error {
		for _, c := range inventory.Components(d.UID, f) {
			if err := tx.Create(&c); err != nil {
				return err
			}
		}
		if err := tx.Create(&inventory.Shipment{Reference: "S-2", Direction: "transfer"}); err != nil {
			return err
		}
		a, err := inventory.TxGet[inventory.Asset](tx, string(d.Asset))
		if err != nil {
			return err
		}
		if _, err := Add(tx, "S-2", Adding{Assets: []string{a.AssetTag}}); err != nil {
			return err
		}
		_, err = Pack(tx, "anna", "S-2", Packing{})
		return err
	})
	looks := func(f inventory.Facts) {
		g.edit(func(tx inventory.Tx) error { return Observed(tx, get[inventory.Device](g, d.UID), f) })
	}
	if looks(f); g.states("S-2") != "packed" {
		t.Errorf("it is %s, though it has not left", g.states("S-2"))
	}
	g.edit(func(tx inventory.Tx) error {
		_, err := HandOver(tx, "anna", "S-2", Handing{Override: "test"})
		return err
	})
	line := g.load("S-2").Items[0]
	if len(line.Manifest) != 5 {
		t.Errorf("the manifest: %v", line.Manifest)
	}
	looks(inventory.Facts{Source: inventory.SourceBMC, System: f.System})
	if i := get[inventory.ShipmentItem](g, line.UID); i.VerifiedBy != "bmc" || len(g.deviations(line.UID)) != 0 {
		t.Errorf("by its BMC: %+v, %v", i, g.deviations(line.UID))
	}
	less := f
	less.Disks = f.Disks[:1]
	looks(less)
	if i := get[inventory.ShipmentItem](g, line.UID); i.VerifiedBy != "boot" || !slices.Equal(g.deviations(line.UID), []string{"missing disk S3Z8NB0101"}) {
		t.Errorf("by its boot: %+v, %v", i, g.deviations(line.UID))
	}
}
