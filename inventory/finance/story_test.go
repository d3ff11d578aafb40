package finance_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/inventory"
	"berth/inventory/finance"
	"berth/inventory/paper/papertest"
	"berth/inventory/store"
)

// ledger is a record on SQLite, on whose behalf Anna edits.
type ledger struct {
	*testing.T
	record *store.Store
}

func open(t *testing.T) ledger {
	t.Helper()
	now := func() time.Time { return time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC) }
	record, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { record.Close() })
	return ledger{t, record}
}

func (l ledger) try(fn func(tx inventory.Tx) error) error {
	actor := inventory.Actor{Account: inventory.NewUID(), Name: "anna", Level: inventory.LevelAdmin}
	return l.record.Edit(l.Context(), inventory.NewRequest(actor, "test"), fn)
}

func (l ledger) edit(fn func(tx inventory.Tx) error) {
	l.Helper()
	if err := l.try(fn); err != nil {
		l.Fatal(err)
	}
}

func (l ledger) create(objects ...inventory.Object) {
	l.Helper()
	l.edit(func(tx inventory.Tx) error {
		for _, obj := range objects {
			if err := tx.Create(obj); err != nil {
				return fmt.Errorf("%T: %w", obj, err)
			}
		}
		return nil
	})
}

func get[T any](l ledger, ref inventory.UID) *T {
	l.Helper()
	obj, err := inventory.Get[T](l.Context(), l.record, string(ref))
	if err != nil {
		l.Fatal(err)
	}
	return obj
}

func minor(n int64) *int64 { return &n }

// look keeps a paper for who wants to see it.
func look(t *testing.T, name string, pdf []byte) {
	t.Helper()
	if dir := os.Getenv("BERTH_PAPERS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".pdf"), pdf, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestParseExpected(t *testing.T) {
	list, wrong := finance.ParseExpected("\ufeff# from the donor's mail\n79OH8D2\n\n79OH8D3, PowerEdge R640\n79OH8D4\tPowerEdge R640\r\n8 x ThinkSystem SR630\n3× Supermicro 1029P\nPowerEdge R740\n2x2025AB")
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	want := []finance.Expected{{2, 1, "79OH8D2", ""}, {4, 1, "79OH8D3", "PowerEdge R640"}, {5, 1, "79OH8D4", "PowerEdge R640"}, {6, 8, "", "ThinkSystem SR630"},
		{7, 3, "", "Supermicro 1029P"}, {8, 1, "", "PowerEdge R740"}, {9, 1, "2x2025AB", ""}}
	if fmt.Sprint(list) != fmt.Sprint(want) {
		t.Errorf("%v\nnot\n%v", list, want)
	}
	_, wrong = finance.ParseExpected("A1\na1\n0 x R640\n9999 x R640\n, R640\nB 1, R640\n" + strings.Repeat("x", 400))
	var lines []int
	for _, w := range wrong {
		lines = append(lines, w.Line)
	}
	if fmt.Sprint(lines) != "[2 3 4 5 6 7]" {
		t.Errorf("wrong are the lines %v: %v", lines, wrong)
	}
}

func FuzzParseExpected(f *testing.F) {
	f.Add("8 x R640\n79OH8D2, R640\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, wrong := finance.ParseExpected(text)
		total := 0
		for _, e := range list {
			total += e.Count
			if e.Count < 1 || e.Serial == "" && e.Model == "" || strings.ContainsAny(e.Serial, " \n") {
				t.Fatalf("%+v", e)
			}
		}
		if total > 2000 || len(list)+len(wrong) > strings.Count(text, "\n")+1 {
			t.Fatalf("%d things of %d lines", total, len(list))
		}
	})
}

// amounts that must never stand on a letter; each is nowhere else in the record.
var secretAmounts = []string{"7654", "8765", "9876", "6543"}

// The story of eight donated servers: offered, accepted, announced in part, booted, received, thanked for.
func TestEightDonatedServers(t *testing.T) {
	l := open(t)
	us := &inventory.Organization{Name: "Open Rack e.V.", Slug: "us", Roles: []string{"ourselves"}, Country: "DE", TaxID: "DE123456789", Address: "Hauptstraße 1\n10115 Berlin"}
	donor := &inventory.Organization{Name: "Render Farm GmbH", Slug: "render-farm", Roles: []string{"donor"}, Address: "Am Hafen 3\n20457 Hamburg", Country: "DE"}
	gift := &inventory.Acquisition{Kind: "donation", Organization: donor.UID, Title: "Eight servers of the old render farm", Description: "Eight rack servers with rails, two processors and 256 GiB of memory each.",
		Story: "They drew the whole of “Nordwind” in 2019.", Restriction: "Not to be resold within five years.", Currency: "EUR", TotalAmount: 765400, DonorStatedValueAmount: 876500, AppraisedValueAmount: 987600}
	model := &inventory.DeviceType{Model: "PowerEdge R640", Slug: "r640"}
	maker := &inventory.Manufacturer{Name: "Dell", Slug: "dell"}
	l.create(us, donor, maker)
	gift.Organization, model.Manufacturer = donor.UID, maker.UID
	l.create(gift, model)
	if !strings.HasPrefix(gift.Reference, "D-") || gift.Status != "offered" || gift.HoldUntil != "" {
		t.Fatalf("%+v", gift)
	}
	advance := func(to string, on inventory.Date) error {
		return l.try(func(tx inventory.Tx) error {
			a, err := inventory.TxGet[inventory.Acquisition](tx, string(gift.UID))
			if err != nil {
				return err
			}
			return finance.Advance(tx, a, to, on)
		})
	}
	var conflict *inventory.Conflict
	if err := advance("received", ""); !errors.As(err, &conflict) {
		t.Errorf("an offer was received before it was accepted: %v", err)
	}
	if err := advance("accepted", ""); err != nil {
		t.Fatal(err)
	}
	list, wrong := finance.ParseExpected("79OH8D2, PowerEdge R640\n6 x PowerEdge R640")
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	l.edit(func(tx inventory.Tx) error {
		made, err := finance.Expect(tx, gift, list)
		if len(made) != 7 || made[0].DeviceType != model.UID || made[0].Custody != "expected" {
			t.Errorf("%d things: %+v", len(made), made)
		}
		return err
	})
	if err := l.try(func(tx inventory.Tx) error { _, err := finance.Expect(tx, gift, list[:1]); return err }); !errors.As(err, &conflict) {
		t.Errorf("a serial was expected twice: %v", err)
	}

	// Machines boot: one is known by its serial, one by its model, and one was not announced.
	boot := func(serial, product, want string) {
		t.Helper()
		l.edit(func(tx inventory.Tx) error {
			a, err := finance.TakeIn(tx, gift, serial, product)
			switch {
			case err != nil:
				return err
			case want == "" && a == nil:
				return nil
			case a == nil || a.Serial != want:
				t.Errorf("%s %s is %+v", serial, product, a)
				return nil
			}
			if a.Custody = "installed"; a.Serial == "" {
				a.Serial = serial
			}
			return tx.Update(a)
		})
	}
	boot("79oh8d2", "PowerEdge R640", "79OH8D2")
	boot("XYZ1", "Dell Inc. PowerEdge R640", "")
	boot("XYZ2", "ProLiant DL360", "")
	l.create(&inventory.Asset{AssetTag: "B-9", Kind: "device", Name: "ProLiant DL360", Serial: "XYZ2", Custody: "installed", Acquisition: gift.UID, FairValueAmount: minor(654300), Currency: "EUR"})

	if err := advance("received", "2026-12-24"); err == nil {
		t.Error("it was received in the future")
	}
	if err := advance("received", "2026-11-20"); err != nil {
		t.Fatal(err)
	}
	gift = get[inventory.Acquisition](l, gift.UID)
	if gift.HoldUntil != "2029-11-20" {
		t.Errorf("held until %s", gift.HoldUntil)
	}
	assets, err := inventory.List[inventory.Asset](t.Context(), l.record, inventory.Query{Filters: []inventory.Filter{inventory.Is("acquisition", gift.UID)}})
	if err != nil || len(assets) != 8 {
		t.Fatalf("%d assets: %v", len(assets), err)
	}
	for _, a := range assets {
		if a.HoldUntil != "2029-11-20" || a.AcquiredAt == nil || a.Custody != "received" && a.Custody != "installed" {
			t.Errorf("%+v", a)
		}
	}
	if text := finance.HoldWarning(assets[0], gift, "2028-01-01"); !strings.Contains(text, "2029-11-20") || !strings.Contains(text, "8282") || !strings.Contains(text, "Not to be resold") {
		t.Errorf("disposing too early: %q", text)
	}
	if text := finance.HoldWarning(assets[0], gift, "2029-11-20"); text != "" {
		t.Errorf("disposing in time: %q", text)
	}

	pdf, err := finance.Acknowledgement(gift, finance.Parties{Us: us, Them: donor, Signed: "Anna Example"}, assets, map[inventory.UID]string{model.UID: model.Model}, "2026-11-22")
	if err != nil {
		t.Fatal(err)
	}
	look(t, "acknowledgement", pdf)
	text := strings.Join(strings.Fields(papertest.Text(pdf)), " ")
	for _, want := range []string{"Render Farm GmbH", "22 November 2026", "received on 20 November 2026", "Eight rack servers with rails", "No goods or services were given", "Not to be resold", "79OH8D2", "XYZ2", "does not state what it is worth", "DE123456789"} {
		if !strings.Contains(text, want) {
			t.Errorf("the letter does not say %q:\n%s", want, text)
		}
	}
	digits := strings.NewReplacer(",", "", ".", "", " ", "").Replace(text)
	for _, amount := range secretAmounts {
		if strings.Contains(digits, amount) {
			t.Errorf("the letter names the amount %s", amount)
		}
	}
	if strings.Contains(text, "EUR") || strings.Contains(text, "€") {
		t.Error("the letter names a currency")
	}
	report(t, l, us, donor)
}

func report(t *testing.T, l ledger, us, donor *inventory.Organization) {
	t.Helper()
	for year, want := range map[int]int{2026: 1, 2025: 0, 0: 1} {
		lines, err := finance.Donations(t.Context(), l.record, year, donor.UID)
		if err != nil || len(lines) != want {
			t.Fatalf("%d: %d donations, %v", year, len(lines), err)
		}
	}
	lines, err := finance.Donations(t.Context(), l.record, 2026, "")
	if err != nil || lines[0].Things != 8 || lines[0].Donor != "Render Farm GmbH" {
		t.Fatalf("%+v, %v", lines, err)
	}
	pdf, err := finance.DonationReport(lines, 2026, "", us, "2026-11-22")
	if err != nil {
		t.Fatal(err)
	}
	look(t, "donations", pdf)
	if text := papertest.Text(pdf); !strings.Contains(text, "Donations received in 2026") || !strings.Contains(text, "not yet") || strings.Contains(text, "6543") {
		t.Errorf("the report:\n%s", text)
	}
	for withMoney, want := range map[bool]string{true: "EUR,6543.00", false: "2029-11-20,Not to be resold within five years.\n"} {
		var out bytes.Buffer
		if err := finance.WriteDonations(&out, lines, withMoney); err != nil || !strings.Contains(out.String(), want) || !withMoney && strings.Contains(out.String(), "6543") {
			t.Errorf("%v\n%s", err, out.String())
		}
	}
}

// Two orders in one box, an order in two boxes, freight in another currency, and a tax that comes back.
func TestLandedCost(t *testing.T) {
	l := open(t)
	first := &inventory.Acquisition{Reference: "P-1", Kind: "purchase", Currency: "EUR"}
	second := &inventory.Acquisition{Reference: "P-2", Kind: "purchase", Currency: "EUR"}
	box := &inventory.Shipment{Reference: "S-1", Direction: "inbound", Currency: "EUR"}
	out := &inventory.Shipment{Reference: "S-2", Direction: "transfer"}
	l.create(first, second, box, out)
	var assets []*inventory.Asset
	for i, order := range []*inventory.Acquisition{first, first, second} {
		a := &inventory.Asset{AssetTag: fmt.Sprintf("B-%d", i), Kind: "device", Acquisition: order.UID, Currency: "EUR", CostAmount: int64(100_000 * (i + 1)), WeightGrams: 20_000}
		assets = append(assets, a)
		l.create(a)
		l.create(&inventory.ShipmentItem{Shipment: box.UID, Asset: a.UID, Acquisition: order.UID}, &inventory.ShipmentItem{Shipment: out.UID, Asset: a.UID})
	}
	l.create(&inventory.ShipmentItem{Shipment: box.UID, Description: "cables", WeightGrams: 20_000})
	l.create(
		&inventory.CostLine{Shipment: box.UID, Kind: "freight", Amount: 10_001, Currency: "EUR", ShareBy: "weight"},
		&inventory.CostLine{Shipment: box.UID, Kind: "vat", Amount: 999_999, Currency: "EUR", ShareBy: "value", Recoverable: true},
		&inventory.CostLine{Shipment: box.UID, Acquisition: first.UID, Kind: "handling", Amount: 300, Currency: "EUR", ShareBy: "value"},
		&inventory.CostLine{Acquisition: second.UID, Kind: "duty", Amount: 5_000, Currency: "USD", ShareBy: "count", ConvertedAmount: minor(4_321), ConvertedCurrency: "EUR"},
		&inventory.CostLine{Shipment: out.UID, Kind: "freight", Amount: 77_777, Currency: "EUR", ShareBy: "count"},
	)
	land := func() (changed int, err error) {
		err = l.try(func(tx inventory.Tx) error {
			uids, err := finance.AssetsOf(tx, box.UID, "")
			if err != nil {
				return err
			}
			changed, err = finance.Land(tx, uids)
			return err
		})
		return changed, err
	}
	if changed, err := land(); err != nil || changed != 3 {
		t.Fatalf("%d changed, %v", changed, err)
	}
	// 10,001 by weight over four equal lines is 2,501 and three times 2,500, in the order of the items' uids; 300 by value 1:2 is 100 and 200.
	extra := int64(0)
	for i, a := range assets {
		landed := get[inventory.Asset](l, a.UID).LandedCostAmount - a.CostAmount
		want := []int64{2_500 + 100, 2_500 + 200, 2_500 + 4_321}[i]
		if landed != want && landed != want+1 {
			t.Errorf("%s: %d, not %d", a.AssetTag, landed, want)
		}
		extra += landed
	}
	if loose := 7_500 + 300 + 4_321; extra != int64(loose) && extra != int64(loose)+1 {
		t.Errorf("%d was shared out", extra)
	}
	if changed, err := land(); err != nil || changed != 0 {
		t.Errorf("again: %d changed, %v", changed, err)
	}
	l.create(&inventory.CostLine{Acquisition: first.UID, Kind: "duty", Amount: 5_000, Currency: "USD"})
	var invalid *inventory.Invalid
	if _, err := land(); !errors.As(err, &invalid) || !strings.Contains(err.Error(), "USD") {
		t.Errorf("dollars were added to euros: %v", err)
	}
}

func TestBooksOfARecord(t *testing.T) {
	l := open(t)
	tax := &inventory.Book{Name: "Tax", Slug: "tax", Currency: "EUR", LifeMonths: 36, FiscalYearStart: 4, DonatedAt: "nil"}
	site := &inventory.Site{Name: "=cmd|' /C calc'!A0", Slug: "fra1"}
	l.create(tax, site)
	came := func(day string) *time.Time { at := inventory.Date(day).Time(); return &at }
	lost := &inventory.Asset{AssetTag: "B-3", Kind: "device", Currency: "EUR", CostAmount: 36_000, AcquiredAt: came("2025-01-01"), Disposition: "lost", Custody: "gone"}
	l.create(
		&inventory.Asset{AssetTag: "B-1", Name: "=1+1", Kind: "device", Site: site.UID, Currency: "EUR", CostAmount: 360_000, AcquiredAt: came("2026-04-10")},
		&inventory.Asset{AssetTag: "B-2", Kind: "pdu", Currency: "USD", CostAmount: 72_000, AcquiredAt: came("2026-10-01")},
		lost,
		&inventory.Asset{AssetTag: "B-4", Kind: "device", Currency: "EUR", FairValueAmount: minor(500_000), AcquiredAt: came("2026-04-10")},
	)
	gone := &inventory.Disposition{Kind: "lost", OnDate: "2026-06-15", Reason: "the parcel never came", State: "done"}
	l.create(gone)
	l.create(&inventory.DispositionItem{Disposition: gone.UID, Asset: lost.UID, Currency: "EUR"})

	sum, err := finance.Summarize(t.Context(), l.record, tax, "2026-12-31")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(sum.All.Sorted()); got != "[{EUR 2 360000 270000} {USD 1 72000 66000}]" {
		t.Errorf("on 31 December 2026 the book holds %s", got)
	}
	if got := sum.BySite[site.UID]["EUR"].Amount; got != 270_000 {
		t.Errorf("at the site: %d", got)
	}
	var out bytes.Buffer
	if err := finance.WriteRolls(t.Context(), &out, l.record, tax, 2026); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"B-1":   "EUR 0.00 3600.00 0.00 1200.00 2400.00",
		"B-2":   "USD 0.00 720.00 0.00 120.00 600.00",
		"B-3":   "EUR 210.00 0.00 190.00 20.00 0.00", // 15 of 36 months on 31 March, 17 on 15 June
		"total": "EUR 210.00 3600.00 190.00 1220.00 2400.00",
	}
	for _, row := range rows[1:] {
		if w, ok := want[row[0]]; ok && strings.Join(row[9:], " ") != w && row[9] != "USD" {
			t.Errorf("%s: %v, not %s", row[0], row[9:], w)
		}
		if row[0] == "B-1" && row[2] != "'=1+1" {
			t.Errorf("a formula got into the file: %q", row[2])
		}
	}
	if len(rows) != 1+3+2 {
		t.Errorf("%d lines:\n%v", len(rows), rows)
	}
	out.Reset()
	if err := finance.WriteValues(t.Context(), &out, l.record, tax, "2026-12-31"); err != nil || !strings.Contains(out.String(), "total,,,,tax,2026-12-31,,USD,720.00,660.00\n") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestRents(t *testing.T) {
	l := open(t)
	lease := &inventory.Acquisition{Reference: "LS-1", Kind: "lease", Currency: "EUR", MonthlyAmount: 100_000, StartsOn: "2026-01-01", EndsOn: "2026-12-31"}
	site := &inventory.Site{Name: "Frankfurt", Slug: "fra1", Currency: "EUR", MonthlyAmount: 250_000}
	l.create(lease, site)
	l.create(&inventory.Rack{Site: site.UID, Name: "r1"}, &inventory.Rack{Site: site.UID, Name: "r2"})
	for i := range 3 {
		l.create(&inventory.Asset{AssetTag: fmt.Sprintf("B-%d", i), Kind: "device", Acquisition: lease.UID})
	}
	rents, err := finance.Rents(t.Context(), l.record, "2026-06-01")
	if err != nil || len(rents) != 2 || rents[0].PerThing != 33_333 || rents[1].PerThing != 125_000 {
		t.Errorf("%+v, %v", rents, err)
	}
	if rents, err := finance.Rents(t.Context(), l.record, "2027-01-01"); err != nil || len(rents) != 1 {
		t.Errorf("after the lease: %+v, %v", rents, err)
	}
}

func TestCustomsPapers(t *testing.T) {
	l := open(t)
	us := &inventory.Organization{Name: "Open Rack e.V.", Slug: "us", EORI: "DE1234567", Country: "DE", Address: "Hauptstraße 1\n10115 Berlin"}
	them := &inventory.Organization{Name: "Exampel AG", Slug: "them", TaxID: "CHE-123", Country: "CH", Address: "Bahnhofstrasse 1\n8001 Zürich"}
	maker := &inventory.Manufacturer{Name: "Dell", Slug: "dell"}
	l.create(us, them, maker)
	model := &inventory.DeviceType{Manufacturer: maker.UID, Model: "PowerEdge R640", Slug: "r640", HSCode: "8471.50", CountryOfOrigin: "PL", WeightGrams: 21_900}
	out := &inventory.Shipment{Reference: "S-1", Direction: "outbound", FromOrganization: us.UID, ToOrganization: them.UID, Currency: "EUR"}
	back := &inventory.Shipment{Reference: "S-2", Direction: "return", Purpose: "loan", Incoterm: "DAP", FromOrganization: them.UID, ToOrganization: us.UID, Currency: "EUR", TrackingCode: "1Z999", Lithium: "coin_cells"}
	l.create(model, out, back)
	box := &inventory.Parcel{Shipment: back.UID, Label: "1 of 1", WeightGrams: 48_500, LengthMM: 900, WidthMM: 600, HeightMM: 250, SealNo: "77120"}
	l.create(box)
	for i := range 2 {
		a := &inventory.Asset{AssetTag: fmt.Sprintf("B-%d", i), Kind: "device", DeviceType: model.UID, Serial: fmt.Sprintf("79OH8D%d", i)}
		l.create(a)
		l.create(&inventory.ShipmentItem{Shipment: back.UID, Parcel: box.UID, Asset: a.UID, DeclaredValueAmount: 123_456})
		if i == 0 {
			l.create(&inventory.ShipmentItem{Shipment: out.UID, Asset: a.UID, Serial: a.Serial})
		}
	}
	l.create(&inventory.ShipmentItem{Shipment: back.UID, Parcel: box.UID, Description: "Rails", Quantity: 2, DeclaredValueAmount: 5_000, Currency: "CHF"})
	export := &inventory.CustomsDeclaration{Reference: "24DE0001", Shipment: out.UID, Kind: "export", DeclaredOn: "2024-02-29", Country: "DE", Office: "DE002103"}
	l.create(export)
	l.create(&inventory.CustomsDeclaration{Reference: "26DE0002", Shipment: back.UID, Kind: "import", ReturnedGoods: true, Export: export.UID, DeclaredOn: "2026-11-22"})

	c, err := finance.LoadCustoms(t.Context(), l.record, back)
	if err != nil {
		t.Fatal(err)
	}
	if c.LastReturn() != "2027-02-28" {
		t.Errorf("three years from 29 February end on %s", c.LastReturn())
	}
	missing := strings.Join(c.Missing(), "\n")
	for _, want := range []string{"1 of 3 lines have no HS code.", "1 of 3 lines have no weight.", "79OH8D1 is not on the packing list of the export."} {
		if !strings.Contains(missing, want) {
			t.Errorf("%q is not missed:\n%s", want, missing)
		}
	}
	if strings.Contains(missing, "incoterm") || strings.Contains(missing, "79OH8D0") || strings.Contains(missing, "lithium") {
		t.Errorf("missed without a reason:\n%s", missing)
	}
	papers := map[string][]string{
		"invoice":        {"Pro-forma invoice", "79OH8D0", "8471.50", "PL", "21.9 kg", "1,234.56 EUR", "2,469.12 EUR", "50.00 CHF", "DE1234567", "CHE-123", "DAP", "UN3091", "48.5 kg"},
		"packing-list":   {"Packing list", "79OH8D1", "1 of 1", "900 × 600 × 250 mm", "77120", "Rails"},
		"returned-goods": {"24DE0001", "29 February 2024", "28 February 2027", "26DE0002", "yes", "no serial number"},
	}
	print := map[string]func(inventory.Date) ([]byte, error){"invoice": c.Invoice, "packing-list": c.PackingList, "returned-goods": c.ReturnedGoods}
	for name, wants := range papers {
		pdf, err := print[name]("2026-11-22")
		if err != nil {
			t.Fatal(err)
		}
		look(t, name, pdf)
		text := papertest.Text(pdf)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q does not stand on it:\n%s", name, want, text)
			}
		}
		if name == "packing-list" && (strings.Contains(text, "EUR") || strings.Contains(text, "1,234")) {
			t.Error("the packing list names amounts")
		}
	}
	bare, err := finance.LoadCustoms(t.Context(), l.record, out)
	if err != nil {
		t.Fatal(err)
	}
	var conflict *inventory.Conflict
	if _, err := bare.ReturnedGoods("2026-11-22"); !errors.As(err, &conflict) {
		t.Errorf("a statement without an export: %v", err)
	}
	if len(bare.Missing()) < 3 {
		t.Errorf("of a bare shipment is missing: %v", bare.Missing())
	}
}
