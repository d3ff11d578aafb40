package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"berth/api"
	"berth/inventory"
)

// stock adds assets to the world: two that stand in the rack, one on a shelf, one that the record has elsewhere.
func (g *rig) stock(w *world) map[string]*inventory.Asset {
	g.Helper()
	shelf := &inventory.Location{Site: w.Site.UID, Name: "Shelf 3", Slug: "shelf-3"}
	cellar := &inventory.Site{Name: "Cellar", Slug: "cellar"}
	g.create(shelf, cellar)
	assets := map[string]*inventory.Asset{
		"A-1": {AssetTag: "A-1", Serial: "SN-1", Custody: "installed", Site: w.Site.UID},
		"A-2": {AssetTag: "A-2", Serial: "SN-2", Custody: "installed", Site: w.Site.UID},
		"A-3": {AssetTag: "A-3", Serial: "SN-3", Custody: "storage", Site: w.Site.UID, Location: shelf.UID},
		"A-4": {AssetTag: "A-4", Serial: "SN-4", Custody: "missing", Site: cellar.UID},
	}
	for _, a := range assets {
		g.create(a)
	}
	for tag, name := range map[string]string{"A-1": "node-1", "A-2": "node-2"} {
		d := g.machineNamed(name)
		d.Asset = assets[tag].UID
		g.update(d)
	}
	return assets
}

// TestStockTake walks a rack with a scanner: what is expected, unexpected, missing and new, and what closing it says of each.
func TestStockTake(t *testing.T) {
	g := newRig(t)
	w := g.world(plainText)
	assets := g.stock(w)
	g.create(&inventory.StockTake{Name: "autumn", Rack: w.Rack.UID})
	c, ctx := g.client("otto"), g.ctx()
	for code, want := range map[string]string{"sn-1": "expected", "A-4": "unexpected", "WHAT-IS-THIS": "new", "https://berth.example/q/" + string(assets["A-3"].UID): "unexpected"} {
		item, err := c.StockTakeScan(ctx, "autumn", api.ScanRequest{Code: code, Place: "U7"})
		g.must(err)
		if item.Result != want || item.By != "otto" || item.Place != "U7" {
			t.Errorf("%s is %+v, want %s", code, item, want)
		}
		again, err := c.StockTakeScan(ctx, "autumn", api.ScanRequest{Code: code})
		if err != nil || again.UID != item.UID {
			t.Errorf("%s twice: %+v, %v", code, again, err)
		}
	}
	_, err := g.client("vera").StockTakeScan(ctx, "autumn", api.ScanRequest{Code: "A-1"})
	wantProblem(t, err, http.StatusForbidden, api.CodeForbidden)
	_, page := g.browser("vera").get("/stock-takes/autumn")
	for _, want := range []string{"WHAT-IS-THIS", "A-4", "A-2", "rack r12"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	report, err := c.CloseStockTake(ctx, "autumn", api.CloseRequest{MarkMissing: true, Why: "counted"})
	g.must(err)
	if len(report.Expected) != 1 || len(report.Unexpected) != 2 || len(report.New) != 1 || len(report.Missing) != 1 || report.Missing[0].AssetTag != "A-2" {
		t.Errorf("the report is %+v", report)
	}
	for tag, want := range map[string]string{"A-1": "installed", "A-2": "missing", "A-4": "storage"} {
		a, err := api.Get[inventory.Asset](ctx, c, tag)
		if err != nil || a.Custody != want {
			t.Errorf("%s is %s (%v), want %s", tag, a.Custody, err, want)
		}
	}
	_, err = c.StockTakeScan(ctx, "autumn", api.ScanRequest{Code: "A-2"})
	wantProblem(t, err, http.StatusConflict, api.CodeConflict)
}

// TestWalkReadsInLists: looking at a walk costs as many statements for thirty machines as for three.
func TestWalkReadsInLists(t *testing.T) {
	g := newRig(t)
	w := g.world(plainText)
	g.stock(w)
	g.create(&inventory.StockTake{Name: "autumn", Site: w.Site.UID})
	b := g.browser("vera")
	statements := func() int64 {
		before := g.sql.Load()
		if resp, _ := b.get("/stock-takes/autumn"); resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
		return g.sql.Load() - before
	}
	few := statements()
	for i := range 30 {
		a := &inventory.Asset{AssetTag: fmt.Sprintf("M-%d", i), Custody: "installed"}
		g.create(a)
		g.create(&inventory.Device{Name: fmt.Sprintf("many-%d", i), Asset: a.UID, Site: w.Site.UID})
	}
	if many := statements(); many != few {
		t.Errorf("%d statements for three machines, %d for thirty more", few, many)
	}
	_, page := b.get("/stock-takes/autumn")
	if !strings.Contains(page, "M-29") {
		t.Error("the thirtieth is not missed")
	}
}

// TestPlaceByScan puts a device into a rack and a loose part on a shelf.
func TestPlaceByScan(t *testing.T) {
	g := newRig(t)
	w := g.world(plainText)
	g.stock(w)
	b := g.browser("otto")
	post := func(want int, v url.Values) string {
		t.Helper()
		resp, page := b.post("/scan/place", v)
		if resp.StatusCode != want {
			t.Fatalf("%v: %s, want %d: %s", v, resp.Status, want, around(page, `role="alert"`))
		}
		return page
	}
	post(http.StatusSeeOther, url.Values{"code": {"SN-1"}, "rack": {"r12"}, "position": {"20"}})
	if d := g.machineNamed("node-1"); d.Position == nil || *d.Position != 20 || d.Rack != w.Rack.UID {
		t.Errorf("node-1 stands at %v", d.Position)
	}
	post(http.StatusSeeOther, url.Values{"code": {"A-4"}, "location": {"shelf-3"}})
	if a, err := api.Get[inventory.Asset](g.ctx(), g.client("otto"), "A-4"); err != nil || a.Custody != "storage" || a.Site != w.Site.UID {
		t.Errorf("A-4 is %+v, %v", a, err)
	}
	for _, v := range []url.Values{{"code": {"A-1"}}, {"code": {"nobody"}, "rack": {"r12"}}, {"code": {"A-1"}, "rack": {"r13"}}, {"code": {"A-1"}, "rack": {"r12"}, "position": {"x"}},
		{"code": {"r12"}, "rack": {"r12"}}, {"code": {"A-2"}, "rack": {"r12"}, "position": {"20"}}} {
		page := post(map[bool]int{true: http.StatusConflict, false: http.StatusUnprocessableEntity}[v.Get("code") == "A-2"], v)
		if !strings.Contains(page, `value="`+v.Get("code")+`"`) {
			t.Errorf("%v: what was typed is gone", v)
		}
	}
}

// TestScan looks codes up, hostile ones among them.
func TestScan(t *testing.T) {
	g := newRig(t)
	w := g.world(plainText)
	assets := g.stock(w)
	c, ctx := g.client("vera"), g.ctx()
	for code, want := range map[string]string{"a-2": "A-2", "r12": "r12", "node-3": "node-3", string(assets["A-3"].UID): "A-3", "nothing": "", "a,b": ""} {
		hits, err := c.Scan(ctx, code)
		g.must(err)
		if got := append(hits, api.ScanHit{})[0].Display; got != want {
			t.Errorf("%q is %q, want %q", code, got, want)
		}
	}
	for _, code := range []string{"", " ", strings.Repeat("x", 600), "a\x00b"} {
		_, err := c.Scan(ctx, code)
		wantProblem(t, err, http.StatusUnprocessableEntity, api.CodeInvalid)
	}
	resp, page := g.browser("vera").get("/scan?code=" + url.QueryEscape(`"><script>alert(1)</script>`))
	if strings.Contains(page, "<script>alert") || !strings.Contains(resp.Header.Get("Permissions-Policy"), "camera=(self)") {
		t.Error("the page repeats markup, or cannot ask for the camera")
	}
	if resp, _ := g.browser("vera").get("/machines"); strings.Contains(resp.Header.Get("Permissions-Policy"), "camera=(self)") {
		t.Error("other pages may ask for the camera")
	}
}
