package web

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"berth/api"
	"berth/inventory"
)

// gifts fills the record with what came to us and what it is worth, for pages to show.
func (g *rig) gifts() {
	g.Helper()
	donor := &inventory.Organization{Name: "Render Farm GmbH", Slug: "render-farm", Roles: []string{"donor"}, Address: "Am Hafen 3\n20457 Hamburg", Country: "DE"}
	us := &inventory.Organization{Name: "Open Rack e.V.", Slug: "open-rack", Roles: []string{"ourselves"}, Address: "Hauptstraße 1\n10115 Berlin", Country: "DE", EORI: "DE1234567"}
	lessor := &inventory.Organization{Name: "Leasing AG", Slug: "leasing", Roles: []string{"lessor"}}
	site := &inventory.Site{Name: "Berlin, Kellerstraße", Slug: "ber1", Currency: "EUR", MonthlyAmount: 184_000}
	maker := &inventory.Manufacturer{Name: "Dell", Slug: "dell"}
	g.create(donor, us, lessor, site, maker)
	model := &inventory.DeviceType{Manufacturer: maker.UID, Model: "PowerEdge R640", Slug: "r640", HSCode: "8471.50", CountryOfOrigin: "PL", WeightGrams: 21_900}
	gift := &inventory.Acquisition{Reference: "D-2026-3", Kind: "donation", Status: "accepted", Organization: donor.UID, Title: "Eight servers of the old render farm", Currency: "EUR", DonorStatedValueAmount: 900_000,
		Description: "Eight rack servers with rails, two processors and 256 GiB of memory each.", Story: "They drew the whole of “Nordwind” in 2019, in a cellar in Hamburg that was flooded twice.", Restriction: "Not to be resold within five years."}
	g.create(model, gift, &inventory.Rack{Site: site.UID, Name: "k1"}, &inventory.Rack{Site: site.UID, Name: "k2"},
		&inventory.Book{Name: "Management", Slug: "management", Currency: "EUR", LifeMonths: 60, SalvagePercent: 5}, &inventory.Book{Name: "Tax", Slug: "tax", Currency: "EUR", LifeMonths: 36, DonatedAt: "nil"},
		&inventory.Acquisition{Reference: "LS-1", Kind: "lease", Status: "received", Organization: lessor.UID, Title: "Two storage servers", Currency: "EUR", MonthlyAmount: 64_000, StartsOn: "2025-01-01"})
	otto := g.client("otto")
	_, err := otto.Expect(g.ctx(), gift.Reference, api.ExpectRequest{Items: "79OH8D2, PowerEdge R640\n79OH8D3, PowerEdge R640\n6 x PowerEdge R640"})
	g.must(err)
	came := time.Date(2024, 5, 2, 0, 0, 0, 0, time.UTC)
	for i := range 6 {
		g.create(&inventory.Asset{AssetTag: fmt.Sprintf("B-%04d", 40+i), Kind: []string{"device", "device", "pdu"}[i%3], Name: "bought", Site: site.UID, Currency: []string{"EUR", "EUR", "EUR", "USD"}[i%4], CostAmount: int64(240_000 + 10_000*i), AcquiredAt: &came})
	}
	seen := time.Now().UTC()
	for name, serial := range map[string]string{"render-1": "79OH8D2", "render-2": "79OH8D3"} {
		d := &inventory.Device{Name: name, ProvisionState: inventory.StateDiscovered, Serial: serial, SeenAt: &seen}
		g.create(d)
		g.create(&inventory.Observation{Device: d.UID, Source: inventory.SourceAgent, Facts: inventory.Facts{Source: inventory.SourceAgent, ObservedAt: seen, System: inventory.SystemFacts{Serial: serial, Product: "PowerEdge R640"}}})
		_, err := otto.Accept(g.ctx(), name, api.AcceptRequest{Acquisition: gift.Reference})
		g.must(err)
	}
	_, err = otto.Advance(g.ctx(), gift.Reference, api.AdvanceRequest{Status: "received"})
	g.must(err)
	photo := jpegFile(g)
	for _, file := range []api.DocumentRequest{{Name: "offer.pdf", Kind: "letter"}, {Name: "the pallet as it came.jpg", Kind: "photo", Caption: "the pallet, as it came"}} {
		file.Attach = []string{"acquisition/" + gift.Reference}
		data := photo
		if file.Kind == "letter" {
			data = []byte("%PDF-1.7 …")
		}
		_, err := otto.UploadDocument(g.ctx(), file, strings.NewReader(string(data)))
		g.must(err)
	}
	s := &inventory.Shipment{Reference: "S-2026-90", Direction: "outbound", Purpose: "loan", FromOrganization: us.UID, ToOrganization: donor.UID, Currency: "EUR", Incoterm: "DAP"}
	g.create(s)
	box := &inventory.Parcel{Shipment: s.UID, Label: "1 of 1", WeightGrams: 26_400}
	g.create(box)
	things, err := inventory.List[inventory.Asset](g.ctx(), g.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("serial", "79OH8D2")}})
	g.must(err)
	g.create(&inventory.ShipmentItem{Shipment: s.UID, Parcel: box.UID, Asset: things[0].UID, DeclaredValueAmount: 120_000}, &inventory.ShipmentItem{Shipment: s.UID, Parcel: box.UID, Description: "Rails", Quantity: 2})
	g.create(&inventory.CostLine{Acquisition: gift.UID, Kind: "freight", Amount: 38_000, Currency: "EUR", ShareBy: "count"})
}

// TestPaperScreenshots draws the pages about documents, donations and money, to be judged by eye.
func TestPaperScreenshots(t *testing.T) {
	dir := os.Getenv("BERTH_SCREENSHOTS")
	if dir == "" {
		t.Skip("set BERTH_SCREENSHOTS=directory to have every page drawn")
	}
	g := newRig(t)
	g.gifts()
	things, err := inventory.List[inventory.Asset](t.Context(), g.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("serial", "79OH8D2")}})
	g.must(err)
	docs, err := inventory.List[inventory.Document](t.Context(), g.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("kind", "photo")}})
	g.must(err)
	s := g.screen(t)
	s.do(media("light"), chromedp.EmulateViewport(1440, 900))
	s.logIn("ada")
	pages := map[string]string{
		"acquisition": "/acquisitions/D-2026-3", "donations": "/donations?year=", "money": "/money?book=management", "asset": "/assets/" + url.PathEscape(things[0].AssetTag), "documents": "/documents",
		"document": "/documents/" + string(docs[0].UID), "upload": "/documents/new", "customs": "/shipments/S-2026-90/customs",
	}
	for name, path := range pages {
		for _, view := range []struct {
			name, scheme  string
			width, height int64
		}{{"light", "light", 1440, 900}, {"dark", "dark", 1440, 900}, {"phone", "light", 390, 844}} {
			s.do(media(view.scheme), chromedp.EmulateViewport(view.width, view.height))
			s.open(path)
			picture, err := chromedp.Run(s.tab, chromedp.FullScreenshot(100))
			g.must(err)
			g.must(os.WriteFile(filepath.Join(dir, name+"-"+view.name+".png"), picture, 0o644))
		}
	}
}
