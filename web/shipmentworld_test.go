package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"berth/inventory"
	"berth/inventory/logistics"
)

// shipments adds to the world: one that was packed, one under way that fell silent, and one of which a machine has spoken.
func (g *rig) shipments(w *world, say texter) {
	g.Helper()
	ago := func(days int) time.Time { return time.Now().UTC().AddDate(0, 0, -days) }
	dhl := &inventory.Organization{Name: say("DHL Express"), Slug: "dhl-express", Roles: []string{"carrier"}, CarrierCode: "dhl-express"}
	g.create(dhl)
	g.create(&inventory.Shipment{Reference: "S-2026-14", Title: say("Three nodes to Leipzig"), Direction: "transfer", Mode: "air", Currency: "EUR", Origin: w.Site.UID, Carrier: dhl.UID, InsuredAmount: 200000},
		&inventory.Shipment{Reference: "S-2026-15", Title: say("Eight servers of the old render farm"), Direction: "inbound", Purpose: "donation", Mode: "road", Currency: "EUR", Destination: w.Site.UID, Carrier: dhl.UID, TrackingCode: "JJD000390007827541234"},
		&inventory.Shipment{Reference: "S-2026-16", Title: say("Spare parts"), Direction: "inbound", Destination: w.Site.UID, Phase: "received", ReceivedAt: ptr(ago(1))})
	g.edit(func(tx inventory.Tx) error {
		for _, ref := range []string{"S-2026-14", "S-2026-15"} {
			text := "790H8D2-" + ref[7:] + "; " + strings.ReplaceAll(say("Dell R640"), ";", "") + "; 1200 EUR\nCZ3407M8C-" + ref[7:] + "; HPE DL360; 900 EUR\nS316846X0A2870-" + ref[7:] + "; Supermicro; 1500 EUR"
			if _, err := logistics.Add(tx, ref, logistics.Adding{Text: text}); err != nil {
				return err
			}
		}
		packing := logistics.Packing{Parcels: []inventory.Packed{{Label: "1 of 2", WeightGrams: 41500, LengthMM: 900, WidthMM: 600, HeightMM: 400, SealNo: say("A-0099113"), Items: []string{"790H8D2-14", "CZ3407M8C-14"}}, {Label: "2 of 2", Items: []string{"S316846X0A2870-14"}}}}
		if _, err := logistics.Pack(tx, "anna", "S-2026-14", packing); err != nil {
			return err
		}
		s, err := inventory.TxGet[inventory.Shipment](tx, "S-2026-15")
		if err != nil {
			return err
		}
		_, err = logistics.Track(tx, "x", []inventory.TrackingEvent{
			{Shipment: s.UID, TrackingCode: s.TrackingCode, OccurredAt: ago(12), Status: "pre_transit", Description: say("Shipment information received"), Source: "carrier_webhook"},
			{Shipment: s.UID, TrackingCode: s.TrackingCode, OccurredAt: ago(11), Status: "in_transit", StatusDetail: "picked_up", Description: say("Shipment picked up"), City: say("Leipzig"), Country: "DE", Source: "paste"},
			{Shipment: s.UID, TrackingCode: s.TrackingCode, OccurredAt: ago(9), Status: "in_transit", Description: say("Processed at the hub"), City: say("Köln"), Country: "DE", Source: "manual"}})
		if err != nil {
			return err
		}
		_, err = logistics.Silent(tx, tx.Now())
		return err
	})
	d := w.Machines["node-2"]
	late, err := logistics.Read(g.server.reading(g.ctx()), "S-2026-16")
	g.must(err)
	now := time.Now()
	item := &inventory.ShipmentItem{Shipment: late.Shipment.UID, Serial: say("S316846X0A28701"), Description: say("Supermicro 1029P"), State: "verified", VerifiedAt: &now, VerifiedBy: "boot", Device: d.UID, Note: say("as listed")}
	g.create(item, &inventory.ShipmentItem{Shipment: late.Shipment.UID, Serial: say("S316846X0A28799"), State: "damaged", ReceivedAt: &now})
	g.create(&inventory.Deviation{Device: d.UID, ShipmentItem: item.UID, Part: say("memory P1-DIMMC1"), Field: "missing", Intended: say("32 GiB"), Observed: "missing", Source: inventory.SourceAgent, Verdict: "open", Note: say("x")},
		&inventory.Deviation{Device: d.UID, ShipmentItem: item.UID, Part: say("disk S3Z8NB0KA04"), Field: "swapped", Intended: say("960 GB"), Observed: say("480 GB"), Source: inventory.SourceAgent, Verdict: "open"})
}

func (g *rig) edit(fn func(tx inventory.Tx) error) {
	g.Helper()
	g.must(g.store.Edit(g.ctx(), inventory.NewRequest(inventory.Berth, "test"), fn))
}

// TestShipmentPages walks a shipment through its page's forms, without JavaScript.
func TestShipmentPages(t *testing.T) {
	g := newRig(t)
	b := g.browser("ada")
	post := func(path string, v url.Values, says string) {
		t.Helper()
		resp, body := b.post(path, v)
		if resp.StatusCode == http.StatusSeeOther {
			_, body = b.get(resp.Header.Get("Location"))
		}
		if !strings.Contains(body, says) {
			t.Fatalf("%s %v: %s, and it does not say %q:\n%.600s", path, v, resp.Status, says, around(body, `role="alert"`, "<h1>"))
		}
	}
	post("/shipments/new", url.Values{"reference": {"S-1"}, "mode": {"air"}, "currency": {"EUR"}}, "S-1")
	post("/shipments/S-1/items", url.Values{"text": {strings.Repeat("x", 1100)}}, "longer than 1000")
	post("/shipments/S-1/items", url.Values{"text": {"790H8D2; R640; 1200 EUR\r\nCZ3407M8CD; DL360; 900 EUR"}}, "790H8D2")
	post("/shipments/S-1/pack", url.Values{"label": {"1 of 1"}, "weight": {"a lot"}}, "must be a number")
	post("/shipments/S-1/pack", url.Values{"label": {"1 of 1"}, "weight": {"20,5"}, "length": {"90"}, "seal_no": {"77"}}, "20.5 kg")
	post("/shipments/S-1/hand-over", url.Values{"to": {"Mr Brown"}}, "no photo")
	post("/shipments/S-1/hand-over", url.Values{"to": {"Mr Brown"}, "override": {"a short way"}}, "a short way")
	post("/shipments/S-1/track", url.Values{"text": {"05.11.2026 14:55 Uhr zugestellt"}}, "This was understood")
	post("/shipments/S-1/track", url.Values{"text": {"05.11.2026 14:55 Uhr zugestellt"}, "store": {"true"}}, "delivered")
	post("/shipments/S-1/track", url.Values{"status": {"in_transit"}, "occurred_at": {"yesterday"}}, "must be a date")
	post("/shipments/S-1/receive", url.Values{"scans": {"79OH8D2\nQQQQ-1234"}}, "Taken for a typing error")
	post("/shipments/S-1/receive", url.Values{"scans": {"QQQQ-1234"}, "not_expected": {"true"}}, "1 still to come")
	post("/shipments/S-1/step", url.Values{"step": {"reconcile"}}, "did not come")
	post("/shipments/S-1/step", url.Values{"step": {"reconcile"}, "missing": {"true"}}, "reconciled")
	post("/shipments/S-1/step", url.Values{"step": {"close"}}, "closed")
	if _, body := g.browser("vera").get("/shipments/S-1"); strings.Contains(body, "1,200.00") || strings.Contains(body, "If all of it were lost") {
		t.Error("a viewer without the right sees amounts")
	}
}

// TestACorrectedSerialFindsItsMachine: the machine reported long ago; then somebody corrects the list by the API.
func TestACorrectedSerialFindsItsMachine(t *testing.T) {
	g := newRig(t)
	d := &inventory.Device{Name: "node-1", ProvisionState: inventory.StateReady, SeenAt: ptr(time.Now())}
	f := inventory.Facts{Source: inventory.SourceAgent, System: inventory.SystemFacts{Serial: "790H8D2"}}
	s := &inventory.Shipment{Reference: "S-1", Direction: "inbound"}
	g.create(d, s)
	line := &inventory.ShipmentItem{Shipment: s.UID, Serial: "XXXX-77"}
	g.create(&inventory.Observation{Device: d.UID, Source: f.Source, Facts: f}, &inventory.Identifier{Device: d.UID, Kind: inventory.IDSystemSerial, Value: "790H8D2"}, line)
	_, err := g.client("otto").UpdateFields(t.Context(), nounNamed("shipment-item"), string(line.UID), 0, map[string]any{"serial": "790h8d2"})
	g.must(err)
	got, err := inventory.Get[inventory.ShipmentItem](t.Context(), g.store, string(line.UID))
	g.must(err)
	if got.State != "verified" || got.Device != d.UID || got.Asset == "" {
		t.Errorf("the line: %+v", got)
	}
}

// TestWhichLineIsIt: a machine that may be one of two lines is asked about on its page, and a person answers there.
func TestWhichLineIsIt(t *testing.T) {
	g := newRig(t)
	w := g.world(plainText)
	g.create(&inventory.Shipment{Reference: "S-1", Direction: "inbound"})
	g.edit(func(tx inventory.Tx) error {
		s, err := inventory.TxGet[inventory.Shipment](tx, "S-1")
		if err != nil {
			return err
		}
		for range 2 {
			if err := tx.Create(&inventory.ShipmentItem{Shipment: s.UID, Serial: "S316846X0A28701"}); err != nil {
				return err
			}
		}
		return nil
	})
	b := g.browser("otto")
	if _, body := b.get("/machines/node-4/accept"); strings.Count(body, "It is this one") != 2 || !strings.Contains(body, "the serial agrees") {
		t.Fatalf("the page does not ask: %s", around(body, "announced"))
	}
	load, err := logistics.Read(g.server.reading(g.ctx()), "S-1")
	g.must(err)
	resp, _ := b.post("/shipments/S-1/verify", url.Values{"item": {string(load.Items[0].UID)}, "device": {string(w.Machines["node-4"].UID)}, "back": {"/machines/node-4/accept"}})
	if resp.Header.Get("Location") != "/machines/node-4/accept" {
		t.Errorf("%s to %q", resp.Status, resp.Header.Get("Location"))
	}
	if _, body := b.get("/machines/node-4/accept"); !strings.Contains(body, "proposed") {
		t.Error("the answer does not stand on the page")
	}
	if resp, body := b.post("/machines/node-4/accept", url.Values{"name": {"node-4"}}); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("accept: %s %s", resp.Status, around(body, `role="alert"`))
	}
	load, err = logistics.Read(g.server.reading(g.ctx()), "S-1")
	g.must(err)
	if load.Items[0].State != "verified" || load.Items[1].State != "listed" {
		t.Errorf("lines: %s, %s", load.Items[0].State, load.Items[1].State)
	}
}
