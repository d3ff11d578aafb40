package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"berth/inventory"
)

// axeFile is where `make axe` puts axe-core.
const axeFile = "../build/axe/axe-core-4.11.0.js"

// axeSource is the program that looks for faults which keep people from using a page.
func axeSource(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile(axeFile)
	if err == nil {
		return string(source)
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("axe-core is not there, and CI tests everything: %v", err)
	}
	t.Skipf("SKIPPED: axe-core is not there (make axe): %v", err)
	return ""
}

// fault is one of axe's findings.
type fault struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML string }
}

// faults asks axe about the page that is open, for WCAG 2.1 at levels A and AA.
func (s *screen) faults(axe string) []fault {
	s.Helper()
	s.do(chromedp.Evaluate[chromedp.Void](axe + ";undefined"))
	s.do(void(`window.axeDone = null; axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], resultTypes: ["violations"]})
		.then(r => { window.axeDone = JSON.stringify(r.violations.map(v => ({ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.map(n => ({HTML: n.html}))}))); }, e => { window.axeDone = JSON.stringify([{ID: "axe", Impact: "critical", Help: String(e)}]); })`))
	s.until(`window.axeDone !== null`)
	text, err := chromedp.Run(s.tab, chromedp.Evaluate[string](`window.axeDone`))
	s.must(err)
	var found []fault
	s.must(json.Unmarshal([]byte(text), &found))
	return found
}

// judge reports the serious faults of a page.
func (s *screen) judge(axe, path, how string) {
	s.Helper()
	s.open(path)
	for _, f := range s.faults(axe) {
		if f.Impact != "serious" && f.Impact != "critical" {
			continue
		}
		var where []string
		for _, n := range f.Nodes[:min(3, len(f.Nodes))] {
			where = append(where, truncate(n.HTML, 160))
		}
		s.Errorf("%s (%s): %s, %s: %s (%d times): %s", path, how, f.Impact, f.ID, f.Help, len(f.Nodes), strings.Join(where, " | "))
	}
}

// everyPage lists the pages that a person can open: those without a name in their address, and of every noun the page and the form of the
// first object that there is.
func (g *rig) everyPage() []string {
	g.Helper()
	first := map[string]string{}
	for _, n := range inventory.Nouns {
		page, err := g.store.List(g.ctx(), n, inventory.Query{Limit: 1})
		g.must(err)
		if len(page.Items) > 0 {
			first["/"+n.Plural+"/{ref}"] = pageOf(n, page.Items[0])
		}
	}
	var paths []string
	for _, rt := range g.server.routes() {
		if rt.surface != surfacePage || rt.method != http.MethodGet || rt.stream || notHTML(rt.pattern) {
			continue
		}
		path := strings.TrimSuffix(rt.pattern, "{$}")
		for prefix, page := range first {
			if rest, ok := strings.CutPrefix(path, prefix); ok && (rest == "" || rest[0] == '/') {
				path = page + rest
			}
		}
		if !strings.Contains(path, "{") {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// notHTML tells the addresses that answer with files.
func notHTML(pattern string) bool {
	for _, part := range []string{".svg", ".csv", ".pdf", ".ics", ".xml", ".rss", ".atom", ".zip", "/content", "/thumbnail", "/static/", "/q/"} {
		if strings.Contains(pattern, part) {
			return true
		}
	}
	return false
}

// TestNoSeriousFaultOnAnyPage asks axe-core about every page: in light, and those that people use most also in dark and on a phone.
func TestNoSeriousFaultOnAnyPage(t *testing.T) {
	axe := axeSource(t)
	g := newRig(t)
	g.world(plainText)
	paths := g.everyPage()
	if len(paths) < len(inventory.Nouns) {
		t.Fatalf("only %d pages were found", len(paths))
	}
	const tabs = 2 // as many as cores are likely
	for tab := range tabs {
		t.Run(fmt.Sprint(tab), func(t *testing.T) {
			t.Parallel()
			s := &screen{rig: &rig{TB: t, log: g.log, addr: g.addr, server: g.server, store: g.store}, tab: chromium(t)}
			s.judge(axe, "/login", "light")
			s.logIn("ada")
			for i := tab; i < len(paths); i += tabs {
				s.judge(axe, paths[i], "light")
			}
			for _, path := range []string{"/", "/machines", "/machines/node-2", "/racks/r12", "/operations", "/shipments", "/scan", "/devices/new"}[tab*4 : tab*4+4] {
				s.do(media("dark"), chromedp.EmulateViewport(1280, 800))
				s.judge(axe, path, "dark")
				s.do(media("light"), chromedp.EmulateViewport(390, 844))
				s.judge(axe, path, "phone")
			}
		})
	}
}
