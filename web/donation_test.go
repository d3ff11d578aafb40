package web

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"berth/api"
	"berth/inventory"
	"berth/inventory/paper/papertest"
)

func (g *rig) download(account, path string) string {
	g.Helper()
	body, err := g.client(account).Download(g.ctx(), path)
	g.must(err)
	defer body.Close()
	text, err := io.ReadAll(body)
	g.must(err)
	return string(text)
}

// donation is a gift of which two things were announced.
func (g *rig) donation() (*inventory.Acquisition, *inventory.Organization) {
	g.Helper()
	donor := &inventory.Organization{Name: "Render Farm GmbH", Slug: "render-farm", Roles: []string{"donor"}}
	g.create(donor, &inventory.Organization{Name: "Open Rack e.V.", Slug: "us", Roles: []string{"ourselves"}})
	gift := &inventory.Acquisition{Reference: "D-7", Kind: "donation", Organization: donor.UID, Title: "Old render farm", Story: "They drew <i>Nordwind</i>.", Currency: "EUR", DonorStatedValueAmount: 7654321, AppraisedValueAmount: 8765432}
	g.create(gift)
	return gift, donor
}

// A donation from offer to letter, on its pages.
func TestDonationOnItsPages(t *testing.T) {
	g := newRig(t)
	g.donation()
	otto := g.browser("otto")
	resp, page := otto.post("/acquisitions/D-7/expect", url.Values{"items": {"79OH8D2\n0 x R640\n<script>"}})
	if resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(page, "Line 2") || !strings.Contains(page, "79OH8D2\n0 x R640\n&lt;script&gt;") {
		t.Errorf("%s\n%s", resp.Status, page)
	}
	step := func(path string, form url.Values) {
		t.Helper()
		if resp, page := otto.post("/acquisitions/D-7/"+path, form); resp.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s: %s\n%s", path, resp.Status, page)
		}
	}
	step("expect", url.Values{"items": {"79OH8D2\n2 x ThinkSystem SR630"}})
	step("advance", url.Values{"status": {"accepted"}})
	if resp, page := otto.post("/acquisitions/D-7/advance", url.Values{"status": {"closed"}}); resp.StatusCode != http.StatusConflict || !strings.Contains(page, "does not become") {
		t.Errorf("closed before it came: %s", resp.Status)
	}
	step("advance", url.Values{"status": {"received"}, "on": {"2026-01-15"}})
	if _, page = otto.get("/acquisitions/D-7"); !strings.Contains(page, "Held until 2029-01-15") || !strings.Contains(page, "They drew &lt;i&gt;Nordwind") || strings.Contains(page, "76,543.21") {
		t.Errorf("the page, for an operator:\n%s", page)
	}
	step("acknowledged", url.Values{"on": {"2026-01-20"}})
	gift, err := inventory.Get[inventory.Acquisition](t.Context(), g.store, "D-7")
	if err != nil || gift.AcknowledgedAt == nil || inventory.DateOf(*gift.AcknowledgedAt) != "2026-01-20" || gift.DonorStatedValueAmount != 7654321 {
		t.Fatalf("%+v, %v", gift, err)
	}
	for _, account := range []string{"otto", "ada"} { // whoever prints it: no amounts
		text := papertest.Text([]byte(g.download(account, "/api/v1/acquisitions/D-7/acknowledgement")))
		if !strings.Contains(text, "79OH8D2") || !strings.Contains(text, "20 January 2026") || strings.Contains(text, "7654") || strings.Contains(text, "76,5") || strings.Contains(text, "8765") {
			t.Errorf("the letter for %s:\n%s", account, text)
		}
	}
	docs, err := inventory.List[inventory.Document](t.Context(), g.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("kind", "acknowledgement")}})
	if err != nil || len(docs) != 1 || docs[0].Date != "2026-01-20" {
		t.Errorf("the letter as it was sent: %+v, %v", docs, err)
	}
	if _, page = g.browser("ada").get("/acquisitions/D-7"); !strings.Contains(page, "76,543.21 EUR") {
		t.Error("an admin does not see what the donor says")
	}
	for path, want := range map[string]string{"/donations?year=2026": "Render Farm GmbH", "/donations?year=2020": "No donation was received in 2020", "/donations?year=": "D-7"} {
		if resp, page := otto.get(path); resp.StatusCode != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("%s: %s, without %q", path, resp.Status, want)
		}
	}
	if text := g.download("otto", "/api/v1/donations?year=2026&donor=render-farm&format=csv"); !strings.Contains(text, "Render Farm GmbH,D-7,2026-01-15,Old render farm,3,2026-01-20,2029-01-15,") {
		t.Error(text)
	}
	if text := papertest.Text([]byte(g.download("otto", "/api/v1/donations?year=2026&format=pdf"))); !strings.Contains(text, "Donations received in 2026") {
		t.Error(text)
	}
	list, err := g.client("otto").Donations(t.Context(), 2026, "")
	if err != nil || len(list.Items) != 1 || list.Items[0].Things != 3 || list.Items[0].AcknowledgedOn != "2026-01-20" {
		t.Errorf("%+v, %v", list, err)
	}
}

// Eight machines fill a donation in by booting: one was announced, and one was not.
func TestMachinesFillADonationIn(t *testing.T) {
	g := newRig(t)
	gift, _ := g.donation()
	otto := g.client("otto")
	_, err := otto.Expect(t.Context(), "D-7", api.ExpectRequest{Items: "79OH8D2, PowerEdge R640"})
	g.must(err)
	seen := time.Now().UTC()
	for name, serial := range map[string]string{"node-1": "79OH8D2", "node-2": "UNKNOWN-1"} {
		d := &inventory.Device{Name: name, ProvisionState: inventory.StateDiscovered, Serial: serial, SeenAt: &seen}
		g.create(d)
		g.create(&inventory.Observation{Device: d.UID, Source: inventory.SourceAgent, Facts: inventory.Facts{Source: inventory.SourceAgent, ObservedAt: seen, System: inventory.SystemFacts{Serial: serial, Product: "PowerEdge R640"}}})
		if _, err := otto.Accept(t.Context(), name, api.AcceptRequest{Acquisition: "D-7"}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	assets, err := inventory.List[inventory.Asset](t.Context(), g.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("acquisition", gift.UID)}, Sort: "serial"})
	if err != nil || len(assets) != 2 || assets[0].Serial != "79OH8D2" || assets[0].Custody != "installed" || assets[1].Serial != "UNKNOWN-1" {
		t.Fatalf("%d assets: %+v, %v", len(assets), assets, err)
	}
	browser := g.browser("otto")
	if _, page := browser.get("/acquisitions/D-7"); strings.Count(page, ">verified<") < 2 || !strings.Contains(page, "node-2") {
		t.Errorf("the things that booted are not verified:\n%s", page)
	}
	for _, path := range []string{"/machines/node-1", "/assets/" + assets[0].AssetTag} {
		if _, page := browser.get(path); !strings.Contains(page, "They drew &lt;i&gt;Nordwind") || !strings.Contains(page, "Render Farm GmbH") {
			t.Errorf("%s does not tell the donor's story", path)
		}
	}
	_, err = otto.Accept(t.Context(), "node-2", api.AcceptRequest{Acquisition: "D-99"})
	if err == nil {
		t.Error("a machine came by an acquisition that is not there")
	}
}

func TestBooksOnPagesAndAPI(t *testing.T) {
	g := newRig(t)
	ada := g.browser("ada")
	if resp, page := ada.get("/money"); resp.StatusCode != http.StatusOK || !strings.Contains(page, "Make the first book") {
		t.Errorf("without a book: %s", resp.Status)
	}
	book := &inventory.Book{Name: "Tax", Slug: "tax", Currency: "EUR", LifeMonths: 36}
	came := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC)
	site := &inventory.Site{Name: "Frankfurt <b>", Slug: "fra1", Currency: "EUR", MonthlyAmount: 250_000}
	g.create(book, site)
	g.create(&inventory.Asset{AssetTag: "B-1", Kind: "device", Site: site.UID, Currency: "EUR", CostAmount: 360_000, AcquiredAt: &came}, &inventory.Rack{Site: site.UID, Name: "r1"})
	values, err := g.client("ada").BookValues(t.Context(), "tax", "2026-12-31")
	if err != nil || len(values.Totals) != 1 || values.Totals[0].Amount != 240_000 || values.BySite[0].Name != site.Name || values.ByKind[0].Kind != "device" {
		t.Fatalf("%+v, %v", values, err)
	}
	roll, err := g.client("ada").RollForward(t.Context(), "tax", 2026)
	if err != nil || roll.Totals[0] != (api.Roll{Currency: "EUR", Additions: 360_000, Depreciation: 120_000, Closing: 240_000}) {
		t.Fatalf("%+v, %v", roll, err)
	}
	for path, want := range map[string]string{"/api/v1/books/tax/roll-forward?year=2027&format=csv": "total,,,,,,tax,2027-01-01,2027-12-31,EUR,2400.00,0.00,0.00,1200.00,1200.00", "/api/v1/books/tax/values?as_of=2026-12-31&format=csv": "B-1,device,,,tax,2026-12-31,counted,EUR,3600.00,2400.00"} {
		if text := g.download("ada", path); !strings.Contains(text, want) {
			t.Errorf("%s:\n%s", path, text)
		}
	}
	if resp, page := ada.get("/money?book=tax&as_of=2026-12-31"); resp.StatusCode != http.StatusOK || !strings.Contains(page, "2,400.00 EUR") || !strings.Contains(page, "Frankfurt &lt;b&gt;") || !strings.Contains(page, "2,500.00 EUR") {
		t.Errorf("%s\n%s", resp.Status, page)
	}
	if resp, page := ada.get("/assets/B-1"); resp.StatusCode != http.StatusOK || !strings.Contains(page, "Worth today") {
		t.Errorf("the asset's page: %s", resp.Status)
	}
	for _, path := range []string{"/money?as_of=yesterday", "/money/roll-forward.csv?book=tax&year=12"} {
		if resp, _ := ada.get(path); resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	otto := g.browser("otto")
	for _, path := range []string{"/money", "/money/values.csv?book=tax", "/money/roll-forward.csv?book=tax"} {
		if resp, _ := otto.get(path); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s for who may not see money: %s", path, resp.Status)
		}
	}
	_, err = g.client("otto").BookValues(t.Context(), "tax", "")
	wantProblem(t, err, http.StatusForbidden, api.CodeForbidden)
	if _, page := otto.get("/assets/B-1"); strings.Contains(page, "Worth today") || strings.Contains(page, "3,600.00") {
		t.Error("the asset's page shows amounts to who may not see them")
	}
}

func TestLandOnTheAPI(t *testing.T) {
	g := newRig(t)
	order := &inventory.Acquisition{Reference: "P-1", Kind: "purchase", Currency: "EUR"}
	g.create(order)
	g.create(&inventory.Asset{AssetTag: "B-1", Acquisition: order.UID, Currency: "EUR", CostAmount: 100}, &inventory.CostLine{Acquisition: order.UID, Kind: "freight", Amount: 50, Currency: "EUR"})
	done, err := g.client("ada").Land(t.Context(), "acquisitions", "P-1", api.LandRequest{Why: "the bill came"})
	if err != nil || done.Changed != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	a, err := inventory.Get[inventory.Asset](t.Context(), g.store, "B-1")
	if err != nil || a.LandedCostAmount != 150 {
		t.Errorf("%+v, %v", a, err)
	}
	_, err = g.client("otto").Land(t.Context(), "acquisitions", "P-1", api.LandRequest{})
	wantProblem(t, err, http.StatusForbidden, api.CodeForbidden)
}

func TestCustomsPackOnPagesAndAPI(t *testing.T) {
	g := newRig(t)
	s := &inventory.Shipment{Reference: "S-1", Currency: "EUR"}
	g.create(s)
	g.create(&inventory.ShipmentItem{Shipment: s.UID, Description: "Server <b>", Serial: "79OH8D2", DeclaredValueAmount: 123_456, WeightGrams: 20_000})
	pack, err := g.client("ada").Customs(t.Context(), "S-1")
	if err != nil || strings.Join(pack.Papers, " ") != "invoice packing-list" || !strings.Contains(strings.Join(pack.Missing, "\n"), "lithium") {
		t.Fatalf("%+v, %v", pack, err)
	}
	if text := papertest.Text([]byte(g.download("ada", "/api/v1/shipments/S-1/customs/invoice?on=2026-11-22"))); !strings.Contains(text, "1,234.56 EUR") || !strings.Contains(text, "22 November 2026") {
		t.Error(text)
	}
	pack, err = g.client("otto").Customs(t.Context(), "S-1")
	if err != nil || strings.Join(pack.Papers, " ") != "packing-list" || strings.Contains(strings.Join(pack.Missing, "\n"), "declared value") {
		t.Errorf("for who may not see money: %+v, %v", pack, err)
	}
	_, err = g.client("otto").CustomsPaper(t.Context(), "S-1", "invoice")
	wantProblem(t, err, http.StatusForbidden, api.CodeForbidden)
	_, err = g.client("ada").CustomsPaper(t.Context(), "S-1", "returned-goods")
	wantProblem(t, err, http.StatusConflict, api.CodeConflict)
	_, err = g.client("ada").CustomsPaper(t.Context(), "S-1", "..%2f..%2fetc")
	wantProblem(t, err, http.StatusNotFound, api.CodeNotFound)
	if resp, page := g.browser("otto").get("/shipments/S-1/customs"); resp.StatusCode != http.StatusOK || !strings.Contains(page, "Server &lt;b&gt;") || strings.Contains(page, "1,234.56") {
		t.Errorf("%s\n%s", resp.Status, page)
	}
}
