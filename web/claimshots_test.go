package web

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"berth/inventory"
)

// TestClaimScreenshots draws the pages of claims, losses and notifications, as TestScreenshots does the others.
func TestClaimScreenshots(t *testing.T) {
	dir := os.Getenv("BERTH_SCREENSHOTS")
	if dir == "" {
		t.Skip("set BERTH_SCREENSHOTS=directory to have every page drawn")
	}
	g := newRig(t)
	g.lostShipment(plainText)
	b := g.browser("ada")
	for _, word := range []url.Values{{"direction": {"out"}, "channel": {"email"}, "text": {"Where is parcel JD0146? It was last seen in Leipzig."}}, {"direction": {"note"}, "channel": {"phone"}, "text": {"Nobody picks up; 25 minutes in the queue."}}} {
		b.post("/claims/C-LOST/say", word)
	}
	box := &inventory.Asset{AssetTag: "T-200", Serial: "79OH8D2", Custody: "storage", Currency: "EUR", CostAmount: 900_00}
	g.create(box, &inventory.Book{Name: "Tax", Slug: "tax", Currency: "EUR"}, &inventory.Asset{AssetTag: "T-300", Name: "R640", WarrantyEnd: g.server.today().AddDays(21)}, &inventory.Site{Name: "Cage 4", Slug: "cage4", LeaseEnd: g.server.today().AddDays(70), NoticeDays: 60})
	resp, _ := b.post("/losses/new", url.Values{"asset": {"T-200"}, "kind": {"stolen"}, "on_date": {"2026-11-20"}, "reason": {"The van was open."}, "do": {"write-off"}})
	disposition := resp.Header.Get("Location")
	s := g.screen(t)
	s.logIn("ada")
	for name, path := range map[string]string{"claim": "/claims/C-LOST", "agenda": "/agenda", "notifications": "/notifications", "loss": "/losses/new?shipment=S-LOST&reason=no+word", "disposition": disposition} {
		for _, look := range []struct {
			suffix, scheme string
			width, height  int64
		}{{"light", "light", 1440, 900}, {"dark", "dark", 1440, 900}, {"phone", "light", 390, 844}} {
			s.do(media(look.scheme), chromedp.EmulateViewport(look.width, look.height))
			s.open(path)
			if name == "loss" {
				s.do(chromedp.Click(`button[value="preview"]`), chromedp.WaitVisible("#preview"))
			}
			picture, err := chromedp.Run(s.tab, chromedp.FullScreenshot(100))
			g.must(err)
			g.must(os.WriteFile(filepath.Join(dir, name+"-"+look.suffix+".png"), picture, 0o644))
		}
	}
}
