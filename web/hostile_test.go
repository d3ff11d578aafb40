package web

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"berth/inventory"
)

// TestHostileTextOfEveryNoun puts a hostile text into every text field of every noun, and looks at every place that a noun is shown in by
// the one mechanism: list, page, form, bulk edit with its preview, search, and the change log.
func TestHostileTextOfEveryNoun(t *testing.T) {
	g := newRig(t)
	i := 0
	made := g.everyNoun(func(string) string { i++; return marker + hostile[i%len(hostile)] })
	b := g.browser("ada")
	shown := map[string]int{}
	look := func(noun, where string, resp *http.Response, body string) {
		t.Helper()
		if resp.StatusCode >= 500 || resp.StatusCode == http.StatusNotFound {
			t.Errorf("%s: %s", where, resp.Status)
		}
		shown[noun] += strings.Count(body, marker)
		if text := cameThrough(body); text != "" {
			t.Errorf("%s: %q came through as it was", where, text)
		}
		if inline.MatchString(body) {
			t.Errorf("%s has inline script or style: %s", where, inline.FindString(body))
		}
		if csp := resp.Header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%s: the policy is %q", where, csp)
		}
	}
	for _, n := range inventory.Nouns {
		obj := made[n.Name]
		if obj == nil {
			continue
		}
		one := "/" + n.Plural + "/" + string(obj.Head().UID)
		paths := []string{"/" + n.Plural, "/" + n.Plural + "?columns=all", one}
		if n.Edit != inventory.LevelNone {
			paths = append(paths, one+"/edit")
		}
		for _, path := range paths {
			resp, body := b.get(path)
			look(n.Name, path, resp, body)
		}
		if n.Edit == inventory.LevelNone || n.AppendOnly {
			continue
		}
		form := url.Values{"uid": {string(obj.Head().UID)}, "step": {"preview"}, "why": {marker + hostile[0]}}
		for _, f := range settable(n, true) {
			if f.Kind == inventory.KindText {
				form.Add("set", f.Name)
				form.Set(f.Name, marker+hostile[i%len(hostile)]+" 2")
			}
		}
		for _, step := range []string{"choose", "preview", "delete"} {
			form.Set("step", step)
			resp, body := b.post("/"+n.Plural+"/bulk", form)
			look(n.Name, "/"+n.Plural+"/bulk "+step, resp, body)
		}
	}
	changes, err := inventory.List[inventory.Change](g.ctx(), g.store, inventory.Query{Limit: inventory.MaxPage})
	g.must(err)
	for _, c := range changes {
		resp, body := b.get("/changes/" + string(c.UID))
		look(c.Noun, "the change of a "+c.Noun, resp, body)
	}
	for _, path := range []string{"/search?q=" + marker, "/search?q=" + url.QueryEscape(hostile[0]), "/sites?q=" + url.QueryEscape(hostile[1]), "/sites?name__contains=" + url.QueryEscape(marker+hostile[0]), "/all", "/"} {
		resp, body := b.get(path)
		look("search", path, resp, body)
	}
	for _, n := range inventory.Nouns {
		texts := 0
		for _, f := range n.Fields {
			if f.Kind == inventory.KindText && !f.Hidden && !isMeta(f) && f.GoName != "Object" && f.Name != n.Natural {
				texts++
			}
		}
		if made[n.Name] != nil && texts > 3 && shown[n.Name] == 0 {
			t.Errorf("no hostile text of a %s was shown: the test looks past it", n.Name)
		}
	}
}

// Every cell of every export that a spreadsheet could take for a formula is told that it is none.
func TestNoExportHasFormulas(t *testing.T) {
	g := newRig(t)
	formulas := []string{"=cmd|' /C calc'!A0", "+1+1", "-2", "@SUM(A1)"}
	i, neutral := 0, 0
	g.everyNoun(func(string) string { i++; return formulas[i%len(formulas)] })
	b := g.browser("ada")
	for _, n := range inventory.Nouns {
		resp, body := b.get("/" + n.Plural + ".csv?columns=all")
		if resp.StatusCode != 200 {
			t.Errorf("/%s.csv: %s", n.Plural, resp.Status)
			continue
		}
		rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		g.must(err)
		for _, row := range rows[1:] {
			for j, cell := range row {
				f, _ := n.Field(rows[0][j])
				if inventory.NeutralCell(cell) != cell && !strings.HasPrefix(cell, "'") && f.Kind != inventory.KindInt && f.Kind != inventory.KindFloat {
					t.Errorf("%s.%s comes out as %q", n.Name, f.Name, cell)
				}
				if strings.HasPrefix(cell, "'") {
					neutral++
				}
				if strings.Contains(cell, "hunter2") || f.Kind == inventory.KindSecret {
					t.Errorf("%s.%s is a secret", n.Name, f.Name)
				}
			}
		}
	}
	if neutral < 100 {
		t.Errorf("only %d cells held a formula: the test looks past them", neutral)
	}
}
