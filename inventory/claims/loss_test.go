package claims

import (
	"errors"
	"strings"
	"testing"

	"berth/inventory"
)

// lostParcel is the record before the parcel got lost: two servers under way that have places waiting, and one that stays.
type lostParcel struct {
	*bench
	site     *inventory.Site
	rack     *inventory.Rack
	shipment *inventory.Shipment
	assets   []*inventory.Asset
	devices  []*inventory.Device
	lines    []*inventory.ShipmentItem
	address  *inventory.Address
	book     *inventory.Book
}

func newLostParcel(b *bench) *lostParcel {
	w := &lostParcel{bench: b}
	w.site = &inventory.Site{Name: "Frankfurt", Slug: "fra1", TimeZone: "Europe/Berlin"}
	carrier := &inventory.Organization{Name: "DHL Express", Slug: "dhl", CarrierCode: "dhl-express", Roles: []string{"carrier"}}
	w.book = &inventory.Book{Name: "Tax", Slug: "tax", Currency: "EUR"}
	b.create(w.site, carrier, w.book)
	w.rack = &inventory.Rack{Site: w.site.UID, Name: "r12"}
	w.shipment = &inventory.Shipment{Reference: "S-7", Phase: "handed_over", Carrier: carrier.UID, Destination: w.site.UID, Currency: "EUR", InsuredAmount: 100_00}
	b.create(w.rack, w.shipment)
	for i, name := range []string{"node-1", "node-2"} {
		a := &inventory.Asset{AssetTag: "A-" + name, Serial: "S" + name, Custody: "in_transit", Site: w.site.UID, Currency: "EUR", CostAmount: int64(1000_00 * (i + 1))}
		b.create(a)
		d := &inventory.Device{Name: name, Asset: a.UID, Site: w.site.UID, Rack: w.rack.UID, Position: ptr(float64(4 + i)), Face: "front", Status: "planned"}
		line := &inventory.ShipmentItem{Shipment: w.shipment.UID, Asset: a.UID, Serial: a.Serial, State: "sent", DeclaredValueAmount: int64(1000_00 * (i + 1)), Currency: "EUR"}
		b.create(d, line)
		w.assets, w.devices, w.lines = append(w.assets, a), append(w.devices, d), append(w.lines, line)
	}
	port := &inventory.Interface{Device: w.devices[0].UID, Name: "eno1"}
	b.create(port)
	w.address = &inventory.Address{Address: "10.0.0.7", Interface: port.UID}
	b.create(w.address)
	return w
}

func (w *lostParcel) lose() *WrittenOff {
	w.Helper()
	var out *WrittenOff
	w.must(w.edit(func(tx inventory.Tx) (err error) {
		out, err = Lose(tx, w.loss(), Cost, "anna")
		return err
	}))
	return out
}

func (w *lostParcel) loss() Loss {
	return Loss{Selection: Selection{Shipment: w.shipment.UID}, Kind: "lost", OnDate: "2026-11-20", Reason: "no word for a month"}
}

func (w *lostParcel) reverse(d *inventory.Disposition, storage bool) (out *Returned, err error) {
	w.Helper()
	err = w.edit(func(tx inventory.Tx) error {
		stored, err := inventory.TxGet[inventory.Disposition](tx, string(d.UID))
		if err != nil {
			return err
		}
		out, err = Reverse(tx, stored, "the box stood at customs", "anna", storage)
		return err
	})
	return out, err
}

// state is everything that a loss touches, in a text that two moments can be compared by.
func (w *lostParcel) state() string {
	w.Helper()
	var lines []string
	for i := range w.assets {
		a, d, line := get[inventory.Asset](w.bench, w.assets[i].UID), get[inventory.Device](w.bench, w.devices[i].UID), get[inventory.ShipmentItem](w.bench, w.lines[i].UID)
		place, err := rackName(Reading(w.Context(), w.Store), d)
		w.must(err)
		lines = append(lines, strings.Join([]string{a.AssetTag, a.Custody, a.Disposition, string(a.Site), place, d.Face, d.Status, string(d.Site), line.State}, " "))
	}
	lines = append(lines, string(get[inventory.Address](w.bench, w.address.UID).Interface), get[inventory.Shipment](w.bench, w.shipment.UID).Phase)
	return strings.Join(lines, "\n")
}

// A parcel is lost, everything it held is written off in one act, and then it turns up.
func TestLostParcelComesBack(t *testing.T) {
	both(t, func(b *bench) {
		w := newLostParcel(b)
		before := w.state()
		lost := w.lose()
		if got := get[inventory.Asset](b, w.assets[0].UID); got.Custody != "missing" || got.Disposition != "lost" || got.Site != "" {
			t.Errorf("the asset is %s, %s, at %q", got.Custody, got.Disposition, got.Site)
		}
		if got := get[inventory.Device](b, w.devices[0].UID); got.Rack != "" || got.Position != nil || got.Status != "offline" {
			t.Errorf("the device is in rack %q at %v, %s", got.Rack, got.Position, got.Status)
		}
		if got := get[inventory.Address](b, w.address.UID); got.Interface != "" {
			t.Error("the address still belongs to the port")
		}
		if got := get[inventory.ShipmentItem](b, w.lines[0].UID).State; got != "missing" {
			t.Errorf("the line is %s", got)
		}
		if got := get[inventory.Shipment](b, w.shipment.UID).Phase; got != "written_off" {
			t.Errorf("the shipment is %s", got)
		}
		if v := lost.Totals(); len(v) != 1 || v[0] != (Value{3000_00, 3000_00, "EUR"}) {
			t.Errorf("totals %v", v)
		}
		if a, z := lost.Items[0].Item.InsuredAmount, lost.Items[1].Item.InsuredAmount; a != 33_33 || z != 66_67 {
			t.Errorf("100.00 EUR of cover were shared into %d and %d", a, z)
		}
		if lost.Items[0].Stood != "unit 4 of rack r12" || strings.Join(lost.Items[0].Frees, ", ") != "unit 4 of rack r12, 10.0.0.7" {
			t.Errorf("stood at %q, frees %q", lost.Items[0].Stood, lost.Items[0].Frees)
		}
		entries, err := inventory.List[inventory.BookEntry](t.Context(), b.Store, inventory.Query{})
		b.must(err)
		if len(entries) != 2 || entries[0].FrozenOn != "2026-11-20" {
			t.Errorf("%d book entries are frozen", len(entries))
		}

		back, err := w.reverse(lost.Disposition, false)
		b.must(err)
		if c := back.Conflicts(); len(c) > 0 {
			t.Errorf("conflicts: %q", c)
		}
		if got := w.state(); got != before {
			t.Errorf("after the reversal:\n%s\nbefore the loss:\n%s", got, before)
		}
		entries, err = inventory.List[inventory.BookEntry](t.Context(), b.Store, inventory.Query{})
		b.must(err)
		if len(entries) != 0 {
			t.Errorf("%d book entries are left frozen", len(entries))
		}
		if report, err := inventory.VerifyCustody(t.Context(), b.Store); err != nil || report.Problem != "" || report.Links != 4 {
			t.Errorf("the chain of custody: %+v, %v", report, err)
		}
		if _, err := w.reverse(lost.Disposition, false); err == nil || !strings.Contains(err.Error(), "reversed already") {
			t.Errorf("a second reversal: %v", err)
		}
		w.lose() // and it can be lost again
	})
}

// Meanwhile somebody put another server into the rack unit, and gave the address away.
func TestReversalNamesWhatConflicts(t *testing.T) {
	both(t, func(b *bench) {
		w := newLostParcel(b)
		lost := w.lose()
		taker := &inventory.Device{Name: "usurper", Site: w.site.UID, Rack: w.rack.UID, Position: ptr(4.0), Face: "front"}
		b.create(taker)
		port := &inventory.Interface{Device: taker.UID, Name: "eno1"}
		b.create(port)
		address := get[inventory.Address](b, w.address.UID)
		address.Interface = port.UID
		b.update(address)
		frozen := w.state()

		_, err := w.reverse(lost.Disposition, false)
		var conflict *inventory.Conflict
		if !errors.As(err, &conflict) || !strings.Contains(conflict.Why, "unit 4 of rack r12 is taken by usurper") || !strings.Contains(conflict.Why, "10.0.0.7 was given to another port") {
			t.Fatalf("the reversal answered %v", err)
		}
		if got := w.state(); got != frozen {
			t.Errorf("a refused reversal changed the record:\n%s", got)
		}

		back, err := w.reverse(lost.Disposition, true)
		b.must(err)
		if len(back.Conflicts()) != 2 {
			t.Errorf("conflicts %q", back.Conflicts())
		}
		first, second := get[inventory.Asset](b, w.assets[0].UID), get[inventory.Asset](b, w.assets[1].UID)
		if first.Custody != "storage" || second.Custody != "in_transit" {
			t.Errorf("custody is %s and %s, want storage and in_transit", first.Custody, second.Custody)
		}
		if d := get[inventory.Device](b, w.devices[0].UID); d.Rack != "" || d.Position != nil {
			t.Error("the device without a place stands somewhere")
		}
		if d := get[inventory.Device](b, w.devices[1].UID); d.Rack != w.rack.UID || *d.Position != 5 {
			t.Error("the other device is not back in its place")
		}
		if got := get[inventory.Address](b, w.address.UID); got.Interface != port.UID {
			t.Error("the address was taken from its new owner")
		}
	})
}

func TestLossIsRefused(t *testing.T) {
	both(t, func(b *bench) {
		w := newLostParcel(b)
		op := &inventory.Operation{Kind: "deploy", State: inventory.OpRunning, Device: w.devices[0].UID, Deadline: b.now, NextTryAt: b.now}
		b.must(b.edit(func(tx inventory.Tx) error {
			if err := tx.Create(op); err != nil {
				return err
			}
			d, err := inventory.TxGet[inventory.Device](tx, string(w.devices[0].UID))
			if err != nil {
				return err
			}
			d.Operation = op.UID
			return tx.Update(d)
		}))
		before := w.state()
		for _, test := range []struct {
			want   string
			change func(*Loss)
		}{
			{"cancel the operation on node-1 first", func(*Loss) {}},
			{"must be one of", func(l *Loss) { l.Kind = "vanished" }},
			{"on_date", func(l *Loss) { l.OnDate = "" }},
			{"on_date", func(l *Loss) { l.OnDate = "tomorrow" }},
			{"reason", func(l *Loss) { l.Reason = " " }},
			{"Nothing was selected", func(l *Loss) { l.Selection = Selection{} }},
			{"no such book", func(l *Loss) { l.Book = inventory.NewUID() }},
			{"not found", func(l *Loss) { l.Selection = Selection{Assets: []inventory.UID{inventory.NewUID()}} }},
			{"nothing to write off", func(l *Loss) { l.Selection = Selection{Parcel: inventory.NewUID()} }},
		} {
			loss := w.loss()
			test.change(&loss)
			err := b.edit(func(tx inventory.Tx) error { _, err := Lose(tx, loss, Cost, "anna"); return err })
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want something about %q", err, test.want)
			}
		}
		if got := w.state(); got != before {
			t.Errorf("a refused loss changed the record:\n%s", got)
		}
	})
}

// Looking at a loss shows it whole and changes nothing.
func TestLookAtLoss(t *testing.T) {
	both(t, func(b *bench) {
		w := newLostParcel(b)
		before := w.state()
		var seen *WrittenOff
		b.must(Look(b.edit, func(tx inventory.Tx) (err error) {
			seen, err = Lose(tx, w.loss(), Cost, "anna")
			return err
		}))
		if len(seen.Items) != 2 || w.state() != before {
			t.Errorf("%d items were seen; the record is\n%s", len(seen.Items), w.state())
		}
		if changes, err := inventory.List[inventory.Disposition](t.Context(), b.Store, inventory.Query{}); err != nil || len(changes) != 0 {
			t.Errorf("a look left %d dispositions, %v", len(changes), err)
		}
		if err := Look(b.edit, func(inventory.Tx) error { return errors.New("no") }); err == nil || err.Error() != "no" {
			t.Errorf("a look that is refused answers %v", err)
		}
	})
}

// A dead data centre takes everything at the site, and what is built into it, but not what was sold before.
func TestLossOfSite(t *testing.T) {
	both(t, func(b *bench) {
		w := newLostParcel(b)
		chassis := &inventory.Asset{AssetTag: "C-1", Custody: "installed", Site: w.site.UID}
		sold := &inventory.Asset{AssetTag: "X-1", Custody: "gone", Disposition: "sold", Site: w.site.UID}
		elsewhere := &inventory.Asset{AssetTag: "E-1", Custody: "storage"}
		part := &inventory.Asset{AssetTag: "P-1", Kind: "component", Custody: "installed"}
		b.create(chassis, sold, elsewhere, part)
		blade := &inventory.Asset{AssetTag: "B-1", Custody: "installed", Parent: chassis.UID}
		b.create(blade, &inventory.Component{Device: w.devices[0].UID, Asset: part.UID, Kind: "disk"})
		var out *WrittenOff
		b.must(b.edit(func(tx inventory.Tx) (err error) {
			out, err = Lose(tx, Loss{Selection: Selection{Site: w.site.UID}, Kind: "abandoned", OnDate: "2026-11-20", Reason: "the landlord locked the door"}, Cost, "anna")
			return err
		}))
		var tags []string
		for _, item := range out.Items {
			tags = append(tags, item.Asset.AssetTag)
		}
		if got, want := strings.Join(tags, " "), "A-node-1 A-node-2 B-1 C-1 P-1"; got != want {
			t.Errorf("written off: %s, want %s", got, want)
		}
		if got := get[inventory.Asset](b, blade.UID); got.Custody != "gone" || got.Disposition != "abandoned" {
			t.Errorf("the blade is %s, %s", got.Custody, got.Disposition)
		}
		if got := get[inventory.Asset](b, elsewhere.UID); got.Disposition != "" {
			t.Error("what was elsewhere was written off too")
		}
	})
}

func TestMulDiv(t *testing.T) {
	for _, test := range []struct{ a, b, c, want int64 }{{100, 1, 3, 33}, {1 << 60, 1 << 60, 1 << 61, 1 << 59}, {7, 0, 5, 0}, {9, 5, 5, 9}} {
		if got := mulDiv(test.a, test.b, test.c); got != test.want {
			t.Errorf("%d×%d/%d is %d, want %d", test.a, test.b, test.c, got, test.want)
		}
	}
}
