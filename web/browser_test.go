package web

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"berth/inventory"
)

// chromium starts a browser that asks nothing of the world, and returns the context of a tab.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("chromium is not installed, and CI tests everything")
		}
		t.Skip("SKIPPED: chromium is not installed (make deps), so the pages are not tried in a browser")
	}
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.NoFirstRun, chromedp.Headless, chromedp.UserDataDir(t.TempDir())}
	for _, flag := range []string{"no-sandbox", "disable-gpu", "disable-quic", "disable-background-networking", "disable-component-update", "disable-sync",
		"disable-extensions", "disable-dev-shm-usage", "ignore-certificate-errors", "no-proxy-server", "no-default-browser-check", "hide-scrollbars"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	tab, closeTab := chromedp.NewContext(allocator)
	if err := chromedp.Do(tab); err != nil {
		stop()
		t.Fatalf("start chromium: %v", err)
	}
	limited, cancel := context.WithTimeout(tab, 10*time.Minute)
	t.Cleanup(func() {
		cancel()
		if err := chromedp.Cancel(tab); err != nil {
			t.Logf("chromium did not end well: %v", err)
		}
		closeTab()
		stop()
	})
	return limited
}

// screen is a person in front of a browser.
type screen struct {
	*rig
	tab context.Context
}

func (g *rig) screen(t *testing.T) *screen {
	t.Helper()
	return &screen{rig: g, tab: chromium(t)}
}

func (s *screen) do(steps ...chromedp.Action[chromedp.Void]) {
	s.Helper()
	if err := chromedp.Do(s.tab, steps...); err != nil {
		s.Fatalf("in the browser: %v\nthe page says: %.600s", err, s.text())
	}
}

func (s *screen) open(path string) {
	s.Helper()
	s.do(chromedp.Navigate("https://" + s.addr + path))
}

// text is what the page shows.
func (s *screen) text() string {
	text, err := chromedp.Run(s.tab, chromedp.Evaluate[string](`document.querySelector("main").innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

// see waits until the page shows a text.
func (s *screen) see(what string) {
	s.Helper()
	s.until(fmt.Sprintf(`document.querySelector("main").innerText.includes(%q)`, what))
}

// until waits until an expression is true. A page that is just being left is asked again.
func (s *screen) until(expression string) {
	s.Helper()
	var last error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		ok, err := chromedp.Run(s.tab, chromedp.Evaluate[bool](`!!(`+expression+`)`))
		if ok {
			return
		}
		last = err
	}
	s.Fatalf("waiting for %s: %v\nthe page says: %.800s", expression, last, s.text())
}

func (s *screen) logIn(account string) {
	s.Helper()
	s.open("/login")
	s.do(chromedp.SendKeys(`input[name=name]`, account), chromedp.SendKeys(`input[name=password]`, testAccounts[account].password), chromedp.Click(`main button.primary`))
	s.until(`location.pathname === "/"`)
}

// TestBrowserSeesChanges: a list and an operation stay true without a reload.
func TestBrowserSeesChanges(t *testing.T) {
	g := newRig(t)
	w := g.world(plainText)
	s := g.screen(t)
	s.logIn("vera")

	s.open("/machines")
	s.see("node-2")
	s.until(`!document.getElementById("live-state").hidden`)
	s.do(void(`window.notReloaded = true`))
	g.create(&inventory.Device{Name: "newcomer", ProvisionState: inventory.StateUnknown})
	s.see("newcomer")
	s.until(`window.notReloaded === true`)

	s.open("/operations/" + string(w.Working.UID))
	s.see("59 %")
	s.until(`!document.getElementById("live-state").hidden`)
	steps, err := inventory.List[inventory.Step](g.ctx(), g.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("operation", w.Working.UID), inventory.Is("state", inventory.StepRunning)}})
	g.must(err)
	steps[0].Done = steps[0].Total*87/100 + 1
	g.update(steps[0])
	s.see("87 %")
	steps[0].State, w.Working.State, w.Working.EndedAt = inventory.StepDone, inventory.OpDone, ptr(time.Now())
	g.update(steps[0], w.Working)
	s.until(`document.querySelector("#head .badge").innerText === "done"`)
}

func void(script string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](script + `;undefined`)
}

// TestBrowserReimages goes from a machine's page through the plan and its confirmation to the running operation.
func TestBrowserReimages(t *testing.T) {
	g := newRig(t)
	w := g.world(plainText)
	s := g.screen(t)
	s.logIn("otto")
	s.open("/machines/node-1")
	s.do(chromedp.Click(`#head a.primary`))
	s.until(`location.pathname.endsWith("/reimage")`)
	s.do(chromedp.SetValue(`#image`, w.Image.Name), chromedp.Click(`form.form button`))
	s.see("On machine node-1, disk S3Z8NB0KA04001")
	s.see("filesystem of type ext4")
	s.see("osd.3") // among what is kept
	s.until(`document.querySelector("[data-confirm]").disabled`)
	s.do(chromedp.SendKeys(`#typed`, "node-2"))
	s.until(`document.querySelector("[data-confirm]").disabled`)
	s.do(void(`document.querySelector("#typed").value = ""`), chromedp.SendKeys(`#typed`, "node-1"), chromedp.SendKeys(`#why`, "new kernel"))
	s.until(`!document.querySelector("[data-confirm]").disabled`)
	s.do(chromedp.Click(`[data-confirm]`))
	s.until(`location.pathname.startsWith("/operations/")`)
	s.see("Reimage node-1")

	device, err := inventory.Get[inventory.Device](g.ctx(), g.store, "node-1")
	g.must(err)
	op, err := inventory.Get[inventory.Operation](g.ctx(), g.store, string(device.Operation))
	g.must(err)
	if op.Kind != "reimage" || op.Owner != "otto" || op.Why != "new kernel" || !strings.Contains(string(op.Args), "S3Z8NB0KA04001") {
		t.Errorf("the record has the operation %+v with %s", op, op.Args)
	}
}

// TestScreenshots draws every page that is judged by eye. It runs when BERTH_SCREENSHOTS names a directory.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("BERTH_SCREENSHOTS")
	if dir == "" {
		t.Skip("set BERTH_SCREENSHOTS=directory to have every page drawn")
	}
	g := newRig(t)
	w := g.world(plainText)
	s := g.screen(t)
	shot := func(name, path, scheme string, width, height int64) {
		s.do(media(scheme), chromedp.EmulateViewport(width, height))
		s.open(path)
		picture, err := chromedp.Run(s.tab, chromedp.FullScreenshot(100))
		g.must(err)
		g.must(os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644))
	}
	shot("login", "/login", "light", 1280, 800)
	s.logIn("ada")
	pages := map[string]string{
		"home": "/", "machines": "/machines", "machine": "/machines/node-2", "discovered": "/machines/node-4", "quarantined": "/machines/node-5", "accept": "/machines/node-4/accept",
		"reimage": "/machines/node-1/reimage?image=" + w.Image.Name, "operation": "/operations/" + string(w.Working.UID), "task": "/operations/" + string(w.Task.UID), "operations": "/operations",
		"rack": "/racks/r12", "racks": "/racks", "images": "/images", "import": "/images/import", "subnets": "/subnets", "form": "/devices/new", "site": "/sites/fra1", "me": "/me",
		"changes": "/changes", "search": "/search?q=node", "missing": "/machines/none", "adopt": "/machines/adopt", "shipments": "/shipments", "shipment": "/shipments/S-2026-14", "silent": "/shipments/S-2026-15", "verified": "/shipments/S-2026-16", "receive": "/shipments/S-2026-15/receive", "track": "/shipments/S-2026-15/track", "filters": "/machines?provision_state=deployed",
	}
	only := os.Getenv("BERTH_SCREENSHOT")
	for name, path := range pages {
		if only != "" && !strings.Contains(","+only+",", ","+name+",") {
			continue
		}
		shot(name+"-light", path, "light", 1440, 900)
		shot(name+"-dark", path, "dark", 1440, 900)
		shot(name+"-phone", path, "light", 390, 844)
	}
}

// TestDocumentationPictures draws the pictures of the documentation: what one sees of the main pages without scrolling. `make pictures` runs it.
func TestDocumentationPictures(t *testing.T) {
	dir := os.Getenv("BERTH_PICTURES")
	if dir == "" {
		t.Skip("make pictures draws the pictures of the documentation")
	}
	g := newRig(t)
	w := g.world(plainText)
	g.stock(w)
	s := g.screen(t)
	s.logIn("ada")
	for _, p := range []struct {
		name, path, scheme string
		width              int64
	}{
		{"home", "/", "light", 1360}, {"machine", "/machines/node-2", "light", 1360}, {"machines-dark", "/machines", "dark", 1360}, {"rack", "/racks/r12", "light", 1360},
		{"reimage", "/machines/node-1/reimage?image=" + w.Image.Name, "light", 1360}, {"operation", "/operations/" + string(w.Working.UID), "light", 1360},
		{"shipments", "/shipments", "light", 1360}, {"shipment", "/shipments/S-2026-15", "light", 1360}, {"agenda", "/agenda", "light", 1360}, {"money", "/money", "light", 1360},
		{"search", "/search?q=node", "light", 1360}, {"scan-phone", "/scan?code=A-3", "light", 390},
	} {
		height := int64(1000)
		if p.width < 500 {
			height = 780
		}
		s.do(media(p.scheme), chromedp.EmulateViewport(p.width, height))
		s.open(p.path)
		picture, err := chromedp.Run(s.tab, chromedp.CaptureScreenshot())
		g.must(err)
		g.must(os.WriteFile(filepath.Join(dir, p.name+".png"), picture, 0o644))
	}
}

// media sets the colour scheme that the page is asked for.
func media(scheme string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return chromedp.Void{}, err
	}
}
