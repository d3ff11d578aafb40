package web

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"berth/api"
	"berth/inventory"
	"berth/pxe"
)

// fields types into the form on the page, by the names of its controls, and presses its first button.
func (s *screen) fields(form string, values ...string) {
	s.Helper()
	s.put(form, values...)
	s.leave(form + " button:not([type=button])")
}

// put types into a form: name, value, name, value. A choice is made by its text where no option has that value.
func (s *screen) put(form string, values ...string) {
	s.Helper()
	for i := 0; i < len(values); i += 2 {
		script := `(() => { const c = document.querySelector(%q); if (!c) return "no control";
			if (c.type === "checkbox") { c.checked = %[2]q === "true"; return ""; }
			if (c.tagName === "SELECT") { const o = [...c.options].find(o => o.value === %[2]q || o.text.includes(%[2]q)); if (!o) return "no such choice among " + [...c.options].map(o => o.text); c.value = o.value; return ""; }
			c.value = %[2]q; return ""; })()`
		control := fmt.Sprintf(`%s [name=%q]`, form, values[i])
		said, err := chromedp.Run(s.tab, chromedp.Evaluate[string](fmt.Sprintf(script, control, values[i+1])))
		if err != nil || said != "" {
			s.Fatalf("%s = %q: %s %v\nthe page says: %.600s\nthe server: %s", control, values[i+1], said, err, s.text(), lastLines(s.log.String(), 3))
		}
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// leave clicks and waits until another page has come.
func (s *screen) leave(selector string) {
	s.Helper()
	s.do(void(`window.stillHere = true`), chromedp.Click(selector))
	s.until(`window.stillHere !== true && document.readyState === "complete"`)
}

// where is the path of the page that is open.
func (s *screen) where() string {
	s.Helper()
	path, err := chromedp.Run(s.tab, chromedp.Evaluate[string](`location.pathname`))
	s.must(err)
	return path
}

// boots plays a machine from its first packet to its report.
func (g *rig) boots(serial string, n int) {
	g.Helper()
	hw := net.HardwareAddr{0x52, 0x54, 0, 0xe1, 0, byte(n)}
	client := pxe.Client{MAC: hw, Arch: pxe.ArchBIOS, Stage: pxe.StageIPXE, Interface: "eno2"}
	key := fmt.Sprintf("boot-of-%d", n)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			g.Fatalf("%s is not offered the agent: %+v", serial, g.service.Book().Situation(client))
		}
		at := g.service.Book().Situation(client)
		if at.Boot != pxe.BootAgent {
			continue
		}
		ticket, err := g.service.Ticket(g.ctx(), client, at)
		if err != nil {
			continue
		}
		_, err = g.service.Register(g.ctx(), api.Registration{Token: ticket.Token, MACs: []string{hw.String()}}, key, netip.MustParseAddr("10.77.0.101"))
		g.must(err)
		break
	}
	f := facts(plainText, n)
	f.System.Serial, f.System.UUID = serial, fmt.Sprintf("4c4c4544-0042-3510-8054-b7c04f4d51%02x", n)
	f.Board.Serial, f.Chassis.Serial, f.TPM, f.BMC = "", "", nil, nil
	f.NICs = []inventory.NICFacts{{Name: "eth0", MAC: hw.String(), BootedFrom: true}}
	f.Disks = []inventory.DiskFacts{{Name: "sda", Serial: fmt.Sprintf("DISK-%d", n), SizeBytes: 960 << 30, ContentRead: true}}
	f.DIMMs = []inventory.DIMMFacts{{Slot: "A1", Serial: fmt.Sprintf("DIMM-%d", n), SizeMiB: 32768}}
	g.must(g.service.Report(g.ctx(), key, f))
}

// serves runs the service behind the server, as `berth serve` does.
func (g *rig) serves() {
	g.Helper()
	g.service.AgentURL, g.service.Pin = "https://192.0.2.1:8443", "00"
	done := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() { done <- g.service.Serve(ctx) }()
	<-g.service.Book().Ready()
	g.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			g.Errorf("the service ended with: %v", err)
		}
	})
}

// TestStoryEightDonatedServers walks the whole way of a donation in a browser: somebody offers eight servers, they are announced and shipped,
// received, and each is recognised when it boots, also the one whose serial was mistyped; then the donor is thanked.
func TestStoryEightDonatedServers(t *testing.T) {
	g := newRig(t)
	g.world(plainText)
	g.serves()
	s := g.screen(t)
	s.logIn("otto")

	s.open("/organizations/new")
	s.fields("form.form", "name", "Lovelace Render Farm", "roles", "donor")
	s.open("/acquisitions/new?kind=donation")
	s.fields("form.form", "kind", "donation", "reference", "D-8", "organization", "lovelace-render-farm", "title", "Eight servers of the old render farm",
		"description", "Eight rack servers, used", "story", "They drew three films")
	s.see("D-8")

	serials := []string{"79OH8D2", "79OH8D3", "8BX2KL4", "8BX2KL5", "9C4M7Q1", "9C4M7Q2", "AZ71PP3", "BT93RR8"}
	announced := append([]string{"790H8D2"}, serials[1:]...) // a zero for the letter, as on the list that came by mail
	s.fields(`form[action$="/expect"]`, "items", strings.Join(announced, ", PowerEdge R640\n")+", PowerEdge R640")
	s.see("790H8D2")
	s.see("BT93RR8")

	s.open("/shipments/new")
	s.fields("form.form", "reference", "S-8", "title", "From the render farm", "direction", "inbound", "purpose", "donation", "destination", "fra1", "mode", "road")
	s.fields("#add", "acquisition", "D-8")
	s.see("790H8D2")
	s.fields("#pack", "label", "pallet 1", "weight", "168", "seal_no", "SEAL-77")
	s.see("pallet 1")
	s.fields("#handover", "to", "the driver", "override", "a friend drives it, and it was given to us")
	s.see("handed over")

	s.open("/shipments/S-8/receive")
	s.fields("form.big", "scans", strings.Join(serials, "\n"), "signed_by", "Otto")
	s.see("8 of 8 here")
	s.see("typing error") // the scan says O where the list says 0

	for n, serial := range serials {
		g.boots(serial, n+1)
	}
	for n, serial := range serials {
		device := g.discovered(serial)
		s.open("/machines/" + string(device.UID) + "/accept")
		s.fields("form.form", "name", fmt.Sprintf("render-%d", n+1))
		s.see("render-")
	}
	s.open("/shipments/S-8")
	items, err := inventory.List[inventory.ShipmentItem](g.ctx(), g.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("shipment", g.shipment("S-8").UID)}, Limit: 50})
	g.must(err)
	for _, i := range items {
		if i.State != "verified" || i.VerifiedBy != "boot" || i.Device == "" {
			t.Errorf("line %s is %s by %q, of machine %q", i.Serial, i.State, i.VerifiedBy, i.Device)
		}
	}
	if len(items) != 8 {
		t.Errorf("%d lines", len(items))
	}

	s.open("/machines/render-1") // the story stays with the machine
	s.see("They drew three films")
	s.open("/acquisitions/D-8")
	s.fields(`form[action$="/advance"]`, "status", "accepted")
	s.fields(`form[action$="/advance"]`, "status", "received")
	s.fields(`form[action$="/acknowledged"]`)
	s.see("The letter was sent")
	s.open("/donations")
	s.see("Lovelace Render Farm")
	if assets, err := inventory.List[inventory.Asset](g.ctx(), g.store, inventory.Query{Limit: 100, Filters: []inventory.Filter{{Field: "acquisition", Op: inventory.OpEmpty, Value: "false"}}}); err != nil || len(assets) != 8 {
		t.Errorf("%d assets came by the donation, %v", len(assets), err)
	}
}

// discovered waits for the machine with a serial to be known and at rest.
func (g *rig) discovered(serial string) *inventory.Device {
	g.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		list, err := inventory.List[inventory.Device](g.ctx(), g.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("serial", serial)}})
		g.must(err)
		if len(list) == 1 && list[0].ProvisionState == inventory.StateDiscovered && list[0].Operation == "" {
			return list[0]
		}
	}
	g.Fatalf("the machine with the serial %s is not discovered", serial)
	return nil
}

// TestStoryLostParcel: five servers in two boxes, one box never comes. The parcel falls silent, the clock runs, a claim is made and chased,
// what is lost is written off; then the box turns up, and everything is as it was.
func TestStoryLostParcel(t *testing.T) {
	g := newRig(t)
	w := g.world(plainText)
	shelf := w.Machines["legacy-db"]
	s := g.screen(t)
	g.create(&inventory.Organization{Name: "Global Parcel", Slug: "global-parcel", Roles: []string{"carrier"}, CarrierCode: "dhl-express"},
		&inventory.Site{Name: "Far away", Slug: "far"}, &inventory.Book{Name: "Tax", Slug: "tax", Currency: "EUR", LifeMonths: 36})
	for i := range 5 {
		g.create(&inventory.Asset{AssetTag: fmt.Sprintf("L-%d", i+1), Serial: fmt.Sprintf("LOST%04d", i+1), Name: "Server", Custody: "storage", Site: w.Site.UID, Currency: "EUR", CostAmount: 360000,
			AcquiredAt: ptr(time.Now().AddDate(-1, 0, 0)), InServiceOn: inventory.DateOf(time.Now().AddDate(-1, 0, 0))})
	}
	placed, err := inventory.Get[inventory.Asset](g.ctx(), g.store, "L-5")
	g.must(err)
	shelf.Asset = placed.UID
	g.update(shelf)
	s.logIn("ada")

	s.open("/shipments/new")
	s.fields("form.form", "reference", "S-5", "title", "Five servers to the new site", "direction", "transfer", "origin", "fra1", "destination", "far", "mode", "air", "carrier", "global-parcel", "currency", "EUR")
	s.fields("#add", "text", "LOST0001; Server; 1200 EUR; 20 kg\nLOST0002; Server; 1200 EUR; 20 kg\nLOST0003; Server; 1200 EUR; 20 kg\nLOST0004; Server; 1200 EUR; 20 kg\nLOST0005; Server; 1200 EUR; 20 kg")
	s.see("LOST0005")
	s.fields("#pack", "label", "1 of 2", "weight", "60", "seal_no", "A1", "items", "LOST0001\nLOST0002\nLOST0003", "tracking_code", "GP001")
	s.fields("#pack", "label", "2 of 2", "weight", "40", "seal_no", "A2", "items", "LOST0004\nLOST0005", "tracking_code", "GP002")
	s.see("2 of 2")
	s.see("Nobody pays") // the gap in cover is shown before anything leaves the house
	s.fields("#handover", "carrier", "global-parcel", "to", "the driver", "override", "no insurer takes it")
	s.see("Handed over although something was missing")

	s.open("/shipments/S-5/receive")
	s.fields("form.big", "scans", "LOST0001\nLOST0002\nLOST0003", "signed_by", "Zoe")
	s.see("3 of 5 here")

	s.open("/shipments/S-5")
	s.see("30 days") // the carrier's own limit
	s.open("/claims/new?" + url.Values{"shipment": {string(g.shipment("S-5").UID)}}.Encode())
	s.fields("form.form", "reference", "C-5", "shipment", "S-5", "against", "global-parcel", "kind", "loss", "status", "filed", "currency", "EUR", "party", "carrier", "requested_amount", "2400")
	s.see("C-5")
	s.fields(`form[action$="/say"]`, "text", "Where is box 2 of 2?")
	s.see("Where is box 2 of 2?")

	s.open("/losses/new?shipment=" + string(g.shipment("S-5").UID))
	s.put("form.form", "kind", "lost", "on_date", string(inventory.DateOf(time.Now())), "reason", "the carrier cannot find box 2 of 2")
	s.leave(`form.form button[value=preview]`)
	s.see("L-4")
	s.see("L-5")
	s.leave(`#preview button.danger`)
	lost := strings.TrimPrefix(s.where(), "/dispositions/")
	for tag, want := range map[string]string{"L-1": "", "L-3": "", "L-4": "lost", "L-5": "lost"} {
		if a, err := inventory.Get[inventory.Asset](g.ctx(), g.store, tag); err != nil || a.Disposition != want {
			t.Errorf("%s is %q (%v), want %q", tag, a.Disposition, err, want)
		}
	}
	if d := g.machineNamed("legacy-db"); d.Rack != "" || d.Position != nil {
		t.Errorf("its place in the rack is not free: %+v", d)
	}

	s.open("/dispositions/" + lost)
	s.put(`form[action$="/reverse"]`, "why", "box 2 of 2 stood in another hall")
	s.leave(`form[action$="/reverse"] button[value=preview]`)
	s.leave(`form[action$="/reverse"] button[value=reverse]`)
	for _, tag := range []string{"L-4", "L-5"} {
		if a, err := inventory.Get[inventory.Asset](g.ctx(), g.store, tag); err != nil || a.Disposition != "" {
			t.Errorf("%s is %q after the box turned up (%v)", tag, a.Disposition, err)
		}
	}
	if d := g.machineNamed("legacy-db"); d.Rack == "" || d.Position == nil {
		t.Error("the machine did not get its place back")
	}
}

func (g *rig) shipment(ref string) *inventory.Shipment {
	g.Helper()
	found, err := inventory.Get[inventory.Shipment](g.ctx(), g.store, ref)
	g.must(err)
	return found
}
