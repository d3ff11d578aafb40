package provision_test

import (
	"testing"

	"berth/api"
	"berth/inventory"
	"berth/inventory/logistics"
	"berth/provision"
)

// TestADonatedServerVerifiesItsLine: it was announced with a mistyped serial and one disk more; it boots, a person accepts what berth
// proposes, and its line says what is missing. Another that nobody announced gets an asset of its own.
func TestADonatedServerVerifiesItsLine(t *testing.T) {
	r := newRig(t)
	r.create(&inventory.Shipment{Reference: "S-1", Direction: "inbound", Purpose: "donation"})
	err := r.store.Edit(ctx, admin(), func(tx inventory.Tx) error {
		items, err := logistics.Add(tx, "S-1", logistics.Adding{Text: "CZ34O7AB1; HPE DL360"})
		if err != nil {
			return err
		}
		items[0].Manifest = map[string]string{"disk S3Z8NB0K1": "8 GiB", "disk S3Z8NB0K7": "8 GiB"}
		return tx.Update(items[0])
	})
	if err != nil {
		t.Fatal(err)
	}
	r.report(mac, "key-1", box("1", mac))
	d := r.device()
	item := func() *inventory.ShipmentItem {
		list, err := inventory.List[inventory.ShipmentItem](ctx, r.store, inventory.Query{})
		if err != nil || len(list) != 1 {
			t.Fatalf("lines: %v, %v", list, err)
		}
		return list[0]
	}
	if d.Asset == "" || d.Asset != item().Asset {
		t.Fatalf("proposed for %s: %q", d.Name, d.Asset)
	}
	if _, err := r.service.Accept(ctx, admin(), string(d.UID), api.AcceptRequest{Name: "node-1"}); err != nil {
		t.Fatal(err)
	}
	if i := item(); i.State != "verified" || i.VerifiedBy != "boot" || i.Device != d.UID {
		t.Errorf("the line: %+v", i)
	}
	open := func() map[string]*inventory.Deviation {
		list, err := inventory.List[inventory.Deviation](ctx, r.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("shipment_item", item().UID), inventory.Is("verdict", "open")}})
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]*inventory.Deviation{}
		for _, v := range list {
			out[v.Field+" "+v.Part] = v
		}
		return out
	}
	if got := open(); len(got) != 2 || got["missing disk S3Z8NB0K7"] == nil || got["serial system"] == nil {
		t.Fatalf("deviations: %v", got)
	}
	// The next look does not take them away: what was not in the box stays evidence.
	if err := r.service.Report(ctx, "key-1", box("1", mac)); err != nil {
		t.Fatal(err)
	}
	if got := open(); len(got) != 2 {
		t.Errorf("after the next look: %v", got)
	}
	if err := r.service.Verdict(ctx, admin(), string(open()["serial system"].UID), "take_observed", "typing error"); err != nil {
		t.Fatal(err)
	}
	if i := item(); i.Serial != "CZ3407AB1" || len(open()) != 1 {
		t.Errorf("after the decision: %q, %v", i.Serial, open())
	}
	s, err := inventory.Get[inventory.Shipment](ctx, r.store, "S-1")
	if err != nil || s.Phase != "received" {
		t.Errorf("the shipment is %s, %v", s.Phase, err)
	}
}

// TestAProposalCanBeRefused: a person says that the machine is not what was announced.
func TestAProposalCanBeRefused(t *testing.T) {
	r := newRig(t)
	r.create(&inventory.Asset{AssetTag: "A-1", Serial: "CZ3407AB1", Custody: "expected"})
	r.report(mac, "key-1", box("1", mac))
	d := r.device()
	if a, err := inventory.Get[inventory.Asset](ctx, r.store, "A-1"); err != nil || d.Asset != a.UID {
		t.Fatalf("proposed: %q, %v", d.Asset, err)
	}
	d, err := r.service.Accept(ctx, admin(), string(d.UID), api.AcceptRequest{Name: "node-1", Asset: provision.NewAsset})
	if err != nil {
		t.Fatal(err)
	}
	a, err := inventory.Get[inventory.Asset](ctx, r.store, string(d.Asset))
	if err != nil || a.AssetTag == "A-1" {
		t.Errorf("it became %+v, %v", a, err)
	}
}
