package web

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"berth/api"
	"berth/inventory"
	"berth/inventory/elevation"
	"berth/inventory/placement"
)

// furnished is a world whose rack has something of each kind in it, and a second rack to move to.
type furnished struct {
	*world
	Other *inventory.Rack
	Plan  *inventory.MovePlan
	Moves []*inventory.Move
}

func (g *rig) furnish(say texter) *furnished {
	g.Helper()
	f := &furnished{world: g.world(say)}
	f.Other = &inventory.Rack{Site: f.Site.UID, Name: "r13", UHeight: 24}
	maker := f.Type.Manufacturer
	half := &inventory.DeviceType{Manufacturer: maker, Model: "Half switch", Slug: "half-switch", UHeight: 1, RackWidth: "half", WeightGrams: 2100}
	pdu := &inventory.DeviceType{Manufacturer: maker, Model: "Metered PDU", Slug: "pdu"}
	panel := &inventory.PowerPanel{Site: f.Site.UID, Name: "P1"}
	g.create(f.Other, half, pdu, panel)
	put := func(name string, kind inventory.UID, position *float64, slot int, side string) *inventory.Device {
		d := &inventory.Device{Name: name, DeviceType: kind, Site: f.Site.UID, Rack: f.Rack.UID, Position: position, Slot: slot, Side: side, Role: "switch", Serial: say("SW-" + name)}
		if side != "" {
			d.Face, d.Role = "rear", "pdu"
		}
		return d
	}
	swA, swB, pduA := put("sw-a", half.UID, ptr(20.0), 0, ""), put("sw-b", half.UID, ptr(20.0), 1, ""), put("pdu-a", pdu.UID, nil, 0, "left")
	g.create(swA, swB, pduA)
	feedA := &inventory.PowerFeed{PowerPanel: panel.UID, Rack: f.Rack.UID, Name: say("A1")}
	in := &inventory.PowerPort{Device: pduA.UID, Name: "in"}
	g.create(feedA, &inventory.PowerFeed{PowerPanel: panel.UID, Rack: f.Rack.UID, Name: "B1", Type: "redundant"}, in)
	outlet := &inventory.PowerOutlet{Device: pduA.UID, Name: "1", PowerPort: in.UID}
	psu := &inventory.PowerPort{Device: f.Machines["node-1"].UID, Name: "PSU1", MaximumDrawW: 750, AllocatedDrawW: 400, MeasuredDrawW: ptr(212)}
	port := &inventory.Interface{Device: swA.UID, Name: "swp4"}
	g.create(outlet, psu, port)
	eno, err := inventory.List[inventory.Interface](g.ctx(), g.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("device", f.Machines["node-1"].UID)}})
	g.must(err)
	g.create(&inventory.Cable{Label: say("17"), Type: "cat6a", LengthMM: 3000, AInterface: eno[0].UID, BInterface: port.UID},
		&inventory.Cable{Label: "P1", Type: "power", APowerPort: psu.UID, BPowerOutlet: outlet.UID}, &inventory.Cable{Label: "F1", Type: "power", APowerFeed: feedA.UID, BPowerPort: in.UID},
		&inventory.RackReservation{Rack: f.Rack.UID, FromUnit: 22, Height: 2, Description: say("for the eight from Utrecht"), Until: "2099-01-31"})
	g.plan(f, say)
	return f
}

// plan makes a plan in which two machines change places and a third goes to the other rack.
func (g *rig) plan(f *furnished, say texter) {
	g.Helper()
	shipment := &inventory.Shipment{Title: "r12 to Utrecht", Origin: f.Site.UID}
	g.create(shipment)
	for i, name := range []string{"node-1", "node-2", "node-3"} {
		a := &inventory.Asset{AssetTag: "A-000" + string(rune('1'+i)), Name: say(name), Serial: say("7XK20Z" + name), WeightGrams: 15900, Site: f.Site.UID, CostAmount: 120000, Currency: "EUR", Custody: "installed"}
		g.create(a)
		d, err := inventory.Get[inventory.Device](g.ctx(), g.store, name)
		g.must(err)
		d.Asset = a.UID
		g.update(d)
		f.Machines[name] = d
	}
	f.Plan = &inventory.MovePlan{Name: "Make room", Status: "agreed", PlannedOn: "2026-12-01", Shipment: shipment.UID, Description: say("The north side is handed back.")}
	g.create(f.Plan)
	move := func(device string, rack inventory.UID, position float64) {
		m := &inventory.Move{MovePlan: f.Plan.UID, Device: f.Machines[device].UID, ToRack: rack, ToPosition: &position}
		g.create(m)
		f.Moves = append(f.Moves, m)
	}
	move("node-1", f.Rack.UID, 3)
	move("node-2", f.Rack.UID, 2)
	move("node-3", f.Other.UID, 1)
}

var placementPages = []string{"/racks/r12", "/racks/r13", "/racks/wall", "/racks/wall?site=fra1&face=rear", "/move-plans/Make%20room", "/move-plans/Make%20room?face=rear", "/sites/fra1", "/sites/fra1/evacuation",
	"/labels", "/labels?noun=asset&uid=A-0001%0AA-0002&format=TZe-12", "/labels?noun=machine&rack=r12"}

func TestRackPagesAreDrawn(t *testing.T) {
	g := newRig(t)
	g.furnish(plainText)
	for _, account := range []string{"ada", "vera"} {
		b := g.browser(account)
		for _, path := range placementPages {
			resp, body := b.get(path)
			if resp.StatusCode != http.StatusOK || strings.Contains(body, "ZgotmplZ") || strings.Contains(body, "%!") || inline.MatchString(body) {
				t.Errorf("%s for %s: %s %s", path, account, resp.Status, around(body, `role="alert"`, "ZgotmplZ", "%!", "style="))
			}
		}
		_, body := b.get("/sites/fra1/evacuation")
		if seen := strings.Contains(body, "1,200.00") || strings.Contains(body, "1200.00"); seen != (account == "ada") {
			t.Errorf("%s sees the value: %v", account, seen)
		}
	}
	if strings.Contains(g.log.String(), "level=ERROR") {
		t.Errorf("errors in the log:\n%s", g.log)
	}
}

func TestHostileWordsInRacks(t *testing.T) {
	g := newRig(t)
	n := 0
	g.furnish(func(string) string { n++; return marker + hostile[n%len(hostile)] })
	b := g.browser("ada")
	shown := 0
	for _, path := range append(placementPages, "/racks/r12/elevation.svg", "/api/v1/sites/fra1/wall.svg", "/api/v1/racks/r12/elevation?render=svg&face=rear", "/api/v1/labels.svg?noun=asset&uid=A-0001", "/sites/fra1/evacuation.csv") {
		_, body := b.get(path)
		shown += strings.Count(body, marker)
		if text := cameThrough(body); text != "" && !strings.HasSuffix(path, ".csv") {
			t.Errorf("%s: %q came through as it was", path, text)
		}
	}
	if shown < 30 {
		t.Errorf("only %d hostile texts were shown", shown)
	}
}

// TestPictures: SVG by URL is XML under a policy without anything inline but its own style, and JSON says the same.
func TestPictures(t *testing.T) {
	g := newRig(t)
	g.furnish(plainText)
	b := g.browser("vera")
	for _, path := range []string{"/racks/r12/elevation.svg?face=rear&unit_width=300&unit_height=30", "/api/v1/racks/r12/elevation?render=svg&include_images=true", "/api/v1/sites/fra1/wall.svg", "/api/v1/labels.svg?noun=rack&uid=r12&uid=r13&format=30252&page=2"} {
		resp, body := b.get(path)
		if resp.Header.Get("Content-Type") != "image/svg+xml" || !strings.HasPrefix(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %s %v", path, resp.Status, resp.Header)
		}
		d := xml.NewDecoder(strings.NewReader(body))
		for err := error(nil); err != io.EOF; _, err = d.Token() {
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
	}
	_, body := b.get("/api/v1/racks/r12/elevation")
	var e elevation.Elevation
	if err := json.Unmarshal([]byte(body), &e); err != nil || e.Name != "r12" || len(e.Units) != 24 || len(e.Boxes) != 9 || e.Boxes[0].URL == "" {
		t.Errorf("%v, %d boxes in %.300s", err, len(e.Boxes), body)
	}
	for path, status := range map[string]int{"/api/v1/racks/r12/elevation?face=left": 422, "/api/v1/racks/r12/elevation?unit_width=wide": 422, "/api/v1/racks/r12/elevation?render=png": 422, "/api/v1/racks/none/elevation": 404,
		"/api/v1/labels.pdf?noun=account": 422, "/api/v1/labels.pdf?noun=asset": 422, "/api/v1/labels.pdf?noun=asset&uid=none": 422, "/api/v1/labels.pdf?noun=asset&uid=A-0001&start=99": 422, "/api/v1/labels.pdf?noun=asset&uid=A-0001&start=x": 422,
		"/api/v1/labels.pdf?noun=asset&uid=A-0001&format=A4": 422, "/api/v1/labels.svg?noun=asset&uid=A-0001&page=2": 422, "/q/nothing": 404, "/q/" + strings.Repeat("0", 32): 404, "/racks/wall?site=none": 404} {
		if resp, _ := b.get(path); resp.StatusCode != status {
			t.Errorf("%s: %s, want %d", path, resp.Status, status)
		}
	}
}

// TestCodes: what a label's code says leads to the thing, in capitals too.
func TestCodes(t *testing.T) {
	g := newRig(t)
	f := g.furnish(plainText)
	b := g.browser("vera")
	for path, want := range map[string]string{"/q/" + string(f.Other.UID): "/racks/r13", "/Q/" + strings.ToUpper(string(f.Machines["node-1"].UID)): "/machines/node-1"} {
		if resp, _ := b.get(path); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != want {
			t.Errorf("%s leads to %q (%s)", path, resp.Header.Get("Location"), resp.Status)
		}
	}
}

// TestPlaceADevice by REST and by the form: what is refused says why, and moves nothing.
func TestPlaceADevice(t *testing.T) {
	g := newRig(t)
	f := g.furnish(plainText)
	c := g.client("otto")
	_, err := c.Place(g.ctx(), "node-1", api.PlaceDeviceRequest{Rack: "r12", Position: ptr(3.0)})
	if p := wantProblem(t, err, http.StatusConflict, api.CodeConflict); !strings.Contains(p.Detail, "taken by node-2") {
		t.Errorf("%q", p.Detail)
	}
	_, err = c.Place(g.ctx(), "node-1", api.PlaceDeviceRequest{Rack: "r12", Position: ptr(22.0)})
	wantProblem(t, err, http.StatusConflict, api.CodeConflict)
	d, err := c.Place(g.ctx(), "node-1", api.PlaceDeviceRequest{Rack: "r12", Position: ptr(22.0), OverReservation: "agreed"})
	g.must(err)
	if *d.Position != 22 || d.Face != "front" {
		t.Errorf("%+v", d)
	}
	_, err = g.client("vera").Place(g.ctx(), "node-1", api.PlaceDeviceRequest{Rack: "r13"})
	wantProblem(t, err, http.StatusForbidden, api.CodeForbidden)

	b := g.browser("otto")
	move := url.Values{"device": {string(f.Machines["node-1"].UID)}, "rack": {string(f.Other.UID)}, "position": {"25"}, "why": {"cooler"}}
	resp, body := b.post("/racks/r12/place", move)
	if resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "units 1 to 24") || !strings.Contains(body, `value="25"`) {
		t.Errorf("%s: %s", resp.Status, around(body, `role="alert"`))
	}
	move.Set("position", "4")
	if resp, body := b.post("/racks/r12/place", move); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("%s: %s", resp.Status, around(body, `role="alert"`))
	}
	moved, err := inventory.Get[inventory.Device](g.ctx(), g.store, "node-1")
	g.must(err)
	if moved.Rack != f.Other.UID || *moved.Position != 4 || moved.OverReservation != "" {
		t.Errorf("%+v", moved)
	}
}

// TestMovePlan is a plan carried out by its pages: planned and actual stand side by side, a circle is opened, and done is done.
func TestMovePlan(t *testing.T) {
	g := newRig(t)
	f := g.furnish(plainText)
	b := g.browser("otto")
	c := g.client("otto")
	var p placement.Plan
	g.must(c.Call(g.ctx(), "GET", "/api/v1/move-plans/Make%20room/plan", nil, &p))
	var steps []string
	for _, s := range p.Steps {
		steps = append(steps, s.Action+" "+s.Device)
	}
	if got := strings.Join(steps, ", "); got != "move node-3, take out node-2, move node-1, put in node-2" || len(p.Problems) > 0 {
		t.Fatalf("steps %s, problems %q", got, p.Problems)
	}
	if len(p.Cables) != 2 || len(p.Parcels) != 3 || p.Parcels[0].Item != "" {
		t.Errorf("cables %+v, parcels %+v", p.Cables, p.Parcels)
	}
	apply := func(move int, state string, status int) string {
		t.Helper()
		resp, body := b.post("/moves/"+string(f.Moves[move].UID)+"/apply", url.Values{"state": {state}})
		if resp.StatusCode != status {
			t.Errorf("%s: %s, want %d: %s", state, resp.Status, status, around(body, `role="alert"`))
		}
		return body
	}
	if body := apply(0, "done", http.StatusConflict); !strings.Contains(body, "taken by node-2") {
		t.Error("the page does not say who stands there")
	}
	apply(2, "done", http.StatusSeeOther)
	apply(1, "removed", http.StatusSeeOther)
	apply(0, "done", http.StatusSeeOther)
	apply(1, "planned", http.StatusConflict) // its old place is taken now
	apply(1, "done", http.StatusSeeOther)
	apply(1, "done", http.StatusConflict)
	apply(1, "elsewhere", http.StatusConflict)
	plan, err := inventory.Get[inventory.MovePlan](g.ctx(), g.store, "Make room")
	g.must(err)
	node2, err := inventory.Get[inventory.Device](g.ctx(), g.store, "node-2")
	g.must(err)
	if plan.Status != "done" || *node2.Position != 2 {
		t.Errorf("the plan is %s, node-2 at %v", plan.Status, *node2.Position)
	}
	if resp, body := b.post("/move-plans/Make%20room/lines", url.Values{"device": {"none"}, "rack": {"r13"}, "position": {"7"}}); resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, `value="7"`) {
		t.Errorf("%s", resp.Status)
	}
	if resp, _ := b.post("/move-plans/Make%20room/lines", url.Values{"device": {"node-5"}, "rack": {"r13"}, "position": {"7"}}); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("%s", resp.Status)
	}
}

func TestPackingAPlan(t *testing.T) {
	g := newRig(t)
	g.furnish(plainText)
	for _, want := range []int{3, 0} { // the second time everything is on the list
		var packed api.Packed
		g.must(g.client("otto").Call(g.ctx(), "POST", "/api/v1/move-plans/Make%20room/pack", api.WhyRequest{}, &packed))
		if packed.Added != want {
			t.Errorf("%d lines added, want %d", packed.Added, want)
		}
	}
}

func TestEvacuationFiles(t *testing.T) {
	g := newRig(t)
	g.furnish(plainText)
	b := g.browser("vera")
	resp, body := b.get("/sites/fra1/evacuation.csv")
	if resp.StatusCode != http.StatusOK || strings.Contains(body, "Value") || !strings.HasPrefix(body, "Rack,Place,Name") || !strings.Contains(body, "node-1") {
		t.Errorf("%s %.300s", resp.Status, body)
	}
	if resp, body := b.get("/sites/fra1/evacuation.pdf"); resp.Header.Get("Content-Type") != "application/pdf" || !strings.HasPrefix(body, "%PDF-") {
		t.Errorf("%s %.60q", resp.Status, body)
	}
	if resp, body := g.browser("ada").get("/sites/fra1/evacuation.csv"); resp.StatusCode != http.StatusOK || !strings.Contains(body, "1200.00,EUR") {
		t.Errorf("%s %.300s", resp.Status, body)
	}
	if resp, body := b.get("/api/v1/labels.pdf?noun=asset&uid=A-0001&uid=A-0002&format=L7162&start=16"); resp.Header.Get("Content-Type") != "application/pdf" || !strings.HasPrefix(body, "%PDF-") {
		t.Errorf("%s %.60q", resp.Status, body)
	}
}

// TestRackSQL: however much is in a rack, its picture takes a handful of statements.
func TestRackSQL(t *testing.T) {
	g := newRig(t)
	g.furnish(plainText)
	b := g.browser("ada")
	for path, most := range map[string]int64{"/racks/r12/elevation.svg": 7, "/racks/wall": 8, "/api/v1/sites/fra1/wall.svg": 8} {
		b.get(path)
		before := g.sql.Load()
		b.get(path)
		if n := g.sql.Load() - before; n > most {
			t.Errorf("%s took %d statements, want %d at most", path, n, most)
		}
	}
}

// TestDragADevice moves a device with the mouse, and is told what does not fit.
func TestDragADevice(t *testing.T) {
	g := newRig(t)
	g.furnish(plainText)
	s := g.screen(t)
	s.logIn("otto")
	s.do(chromedp.EmulateViewport(1400, 1000)) // what is out of sight cannot be pointed at
	s.open("/racks/r12")
	drag := func(name string, unit int) {
		t.Helper()
		s.do(void(`(() => {
			const box = document.querySelector('svg[data-face=front] a[data-name="` + name + `"] .body'), svg = box.closest("svg");
			const at = (x, y) => { const p = svg.createSVGPoint(); p.x = x; p.y = y; const q = p.matrixTransform(svg.getScreenCTM()); return { clientX: q.x, clientY: q.y, bubbles: true, cancelable: true, button: 0, pointerType: "mouse" }; };
			const d = svg.dataset, x = +box.getAttribute("x") + 30, y = +box.getAttribute("y") + 5, to = +d.top + (+d.units - ` + string(rune('0'+unit/10)) + string(rune('0'+unit%10)) + `) * +d.unitHeight + 5;
			box.dispatchEvent(new PointerEvent("pointerdown", at(x, y)));
			document.dispatchEvent(new PointerEvent("pointermove", at(x, (y + to) / 2)));
			document.dispatchEvent(new PointerEvent("pointermove", at(x, to)));
			document.dispatchEvent(new PointerEvent("pointerup", at(x, to)));
		})()`))
	}
	drag("node-1", 3)
	s.until(`document.getElementById("said").textContent.includes("taken by node-2")`)
	drag("node-1", 18)
	s.until(`document.querySelector('svg[data-face=front] a[data-name="node-1"] .body')?.getAttribute("y") === String(2 + 6*22 + 0.5)`)
	d, err := inventory.Get[inventory.Device](g.ctx(), g.store, "node-1")
	g.must(err)
	if *d.Position != 18 {
		t.Errorf("node-1 is at unit %g", *d.Position)
	}
}

// TestRackScreenshots draws the pages of racks that are judged by eye; see TestScreenshots.
func TestRackScreenshots(t *testing.T) {
	dir := os.Getenv("BERTH_SCREENSHOTS")
	if dir == "" {
		t.Skip("set BERTH_SCREENSHOTS=directory to have every page drawn")
	}
	g := newRig(t)
	f := g.furnish(plainText)
	f.Site.LeaseEnd, f.Site.NoticeDays, f.Site.LeaseRef, f.Site.ContractedVA = "2027-06-30", 90, "K-2231", 11000
	f.Site.AccessProcedure, f.Site.ShipToInstructions = "Call +49 69 5550 at least 24 h before.\nBring an identity card.", "Ticket number on every box; the ramp is 1.2 m high."
	g.update(f.Site)
	s := g.screen(t)
	s.logIn("ada")
	for name, path := range map[string]string{"rack": "/racks/r12", "wall": "/racks/wall", "moveplan": "/move-plans/Make%20room", "site": "/sites/fra1", "evacuation": "/sites/fra1/evacuation", "labels": "/labels?noun=asset&uid=A-0001&uid=A-0002&uid=A-0003&start=3"} {
		for _, look := range []struct {
			name, scheme  string
			width, height int64
		}{{"light", "light", 1440, 900}, {"dark", "dark", 1440, 900}, {"phone", "light", 390, 844}} {
			s.do(media(look.scheme), chromedp.EmulateViewport(look.width, look.height))
			s.open(path)
			picture, err := chromedp.Run(s.tab, chromedp.FullScreenshot(100))
			g.must(err)
			g.must(os.WriteFile(filepath.Join(dir, name+"-"+look.name+".png"), picture, 0o644))
		}
	}
}

func BenchmarkElevationPage(b *testing.B) {
	g := newRig(b)
	w := g.world(plainText)
	rack := &inventory.Rack{Site: w.Site.UID, Name: "full", UHeight: 48}
	g.create(rack)
	for i := range 48 {
		g.create(&inventory.Device{Name: "full-" + string(rune('a'+i/26)) + string(rune('a'+i%26)), DeviceType: w.Type.UID, Rack: rack.UID, Position: ptr(float64(i + 1)), ProvisionState: inventory.StateDeployed, Serial: "S1"})
	}
	c := g.browser("vera")
	for b.Loop() {
		c.get("/racks/full/elevation.svg")
	}
}
