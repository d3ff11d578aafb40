package web

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"berth/inventory"
)

// pagesOf lists the addresses of every page there is something on.
func pagesOf(g *rig, w *world) []string {
	g.Helper()
	paths := []string{"/", "/me", "/me/password", "/search?q=node", "/search?q=nothing-like-this", "/search", "/machines/adopt", "/images/import",
		"/racks/r12", "/machines/node-3/deploy?image=debian-12-20261101", "/machines?q=node&provision_state=deployed", "/devices/new?rack=" + string(w.Rack.UID) + "&position=9"}
	for _, n := range inventory.Nouns {
		paths = append(paths, "/"+n.Plural)
		if searchable(n) {
			paths = append(paths, "/"+n.Plural+"?q=zzz-no-such")
		}
		if n.Edit != "" && byHand[n.Name].create == "" {
			paths = append(paths, "/"+n.Plural+"/new")
		}
		page, err := g.store.List(g.ctx(), n, inventory.Query{Limit: 20})
		g.must(err)
		for _, obj := range page.Items {
			one := "/" + n.Plural + "/" + string(obj.Head().UID)
			paths = append(paths, one)
			if n.Edit != "" {
				paths = append(paths, one+"/edit")
			}
			if n.Name == "machine" {
				paths = append(paths, one+"/timeline", one+"/accept", one+"/deploy", one+"/reimage", one+"/release", one+"/retire", one+"/reimage?image=debian-12-20261101")
			}
		}
	}
	return paths
}

// TestEveryPageIsDrawn asks for every page of a filled record, and of an empty one.
func TestEveryPageIsDrawn(t *testing.T) {
	g := newRig(t)
	b := g.browser("ada")
	for _, n := range inventory.Nouns {
		if resp, body := b.get("/" + n.Plural); resp.StatusCode != 200 {
			t.Errorf("%s, empty: %s\n%.400s", n.Plural, resp.Status, body)
		}
	}
	w := g.world(plainText)
	for _, path := range pagesOf(g, w) {
		resp, body := b.get(path)
		// A plan that cannot be made, because nothing is known of the machine, is a conflict that the page explains.
		planned := strings.Contains(path, "?image=") && resp.StatusCode == http.StatusConflict
		if resp.StatusCode != 200 && !planned {
			t.Errorf("%s: %s: %s", path, resp.Status, around(body, `role="alert"`))
		}
		if strings.Contains(body, "ZgotmplZ") || strings.Contains(body, "%!") || strings.Contains(body, "&lt;nil&gt;") {
			t.Errorf("%s: a template did not understand a value: %s", path, around(body, "ZgotmplZ", "%!", "&lt;nil&gt;"))
		}
	}
	if strings.Contains(g.log.String(), "level=ERROR") {
		t.Errorf("errors in the log:\n%s", g.log)
	}
}

func around(text string, marks ...string) string {
	for _, mark := range marks {
		if i := strings.Index(text, mark); i >= 0 {
			return text[max(0, i-150):min(len(text), i+80)]
		}
	}
	return ""
}

// hostile are what a serial number may be when its maker means harm.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `javascript:alert(1)`, `{{.Who}}`, `</title><svg onload=alert(1)>`, `]]><script>1</script>`, `<!--`, "`${1}`",
}

// marker stands before every hostile text, to find it again.
const marker = "zzMARKzz"

// cameThrough finds a hostile text that is shown as it is.
func cameThrough(body string) string {
	for _, part := range strings.Split(body, marker)[1:] {
		for _, text := range hostile {
			if strings.ContainsAny(text, `<>"'`) && strings.HasPrefix(part, text[:min(4, len(text))]) {
				return part[:min(60, len(part))]
			}
		}
	}
	return ""
}

// A hostile text must come out escaped, wherever it is shown.
func TestHostileTextIsEscapedEverywhere(t *testing.T) {
	g := newRig(t)
	n := 0
	w := g.world(func(string) string { n++; return marker + hostile[n%len(hostile)] })
	b := g.browser("ada")
	shown := 0
	paths := append(pagesOf(g, w), "/racks/r12/elevation.svg?face=rear", "/racks/r12/elevation.svg")
	for _, path := range paths {
		resp, body := b.get(path)
		shown += strings.Count(body, marker)
		if text := cameThrough(body); text != "" {
			t.Errorf("%s: %q came through as it was", path, text)
		}
		csp := resp.Header.Get("Content-Security-Policy")
		if strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%s: the policy is %q", path, csp)
		}
		if inline.MatchString(body) && !strings.HasSuffix(strings.SplitN(path, "?", 2)[0], ".svg") {
			t.Errorf("%s has inline script or style: %s", path, inline.FindString(body))
		}
	}
	if shown < 200 {
		t.Errorf("only %d hostile texts were shown: the test looks at too little", shown)
	}
}

var inline = regexp.MustCompile(`<style|<script>|<script [^>]*>[^<]|\son[a-z]+="|\sstyle="|href="javascript:`)

func TestHeaders(t *testing.T) {
	g := newRig(t)
	for _, path := range []string{"/login", "/api/v1/machines", "/nowhere", "/healthz", "/static/berth.css"} {
		resp, _ := g.browser("").get(path)
		for name, want := range map[string]string{"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff"} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

// TestSecretsStayInside looks for the BMC passwords on every page, in REST and in the log.
func TestSecretsStayInside(t *testing.T) {
	g := newRig(t)
	w := g.world(plainText)
	b := g.browser("ada")
	for _, path := range append(pagesOf(g, w), "/api/v1/bmcs", "/api/v1/accounts", "/api/v1/changes?limit=1000", "/api/v1/tokens", "/api/v1/sessions", "/metrics") {
		_, body := b.get(path)
		for _, secret := range []string{"hunter2", "argon2id", "AGE-SECRET", adminPassword} {
			if strings.Contains(body, secret) {
				t.Errorf("%s shows %q: %s", path, secret, around(body, secret))
			}
		}
	}
	if log := g.log.String(); strings.Contains(log, "hunter2") || strings.Contains(log, adminPassword) {
		t.Error("a secret stands in the log")
	}
}

func TestPagesAreNotFoundKindly(t *testing.T) {
	g := newRig(t)
	b := g.browser("vera")
	for path, want := range map[string]int{"/nowhere": 404, "/machines/none": 404, "/operations/" + string(inventory.NewUID()): 404, "/accounts": 403, "/machines/adopt": 403, "/machines?no_such_field=1": 422} {
		resp, body := b.get(path)
		if resp.StatusCode != want || !strings.Contains(body, `role="alert"`) {
			t.Errorf("%s: %s, want %d with a sentence", path, resp.Status, want)
		}
	}
}

func TestForms(t *testing.T) {
	g := newRig(t)
	b := g.browser("otto")
	resp, body := b.post("/sites/new", url.Values{"name": {"Berlin"}, "slug": {"ber1"}, "status": {"active"}, "why": {"new place"}})
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/sites/ber1" {
		t.Fatalf("create: %s to %q\n%.600s", resp.Status, resp.Header.Get("Location"), body)
	}
	if _, body := b.get("/sites/ber1"); !strings.Contains(body, "was created") || !strings.Contains(body, "new place") {
		t.Error("the page does not say that it was created, and why")
	}
	resp, body = b.post("/sites/new", url.Values{"name": {"Bern"}, "slug": {"ber1"}, "status": {"nonsense"}})
	if resp.StatusCode < 400 || !strings.Contains(body, `value="Bern"`) {
		t.Errorf("a form that is not accepted answers %s, and does not keep what was typed", resp.Status)
	}
	resp, body = b.post("/sites/ber1/edit", url.Values{"name": {"Berlin 2"}, "slug": {"ber1"}, "revision": {"1"}})
	if resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("edit: %s\n%.400s", resp.Status, body)
	}
	resp, body = b.post("/sites/ber1/edit", url.Values{"name": {"Berlin 3"}, "slug": {"ber1"}, "revision": {"1"}})
	if resp.StatusCode != http.StatusPreconditionFailed || !strings.Contains(body, "Somebody else changed this") {
		t.Errorf("an edit of what somebody else changed: %s", resp.Status)
	}
	site, err := inventory.Get[inventory.Site](g.ctx(), g.store, "ber1")
	g.must(err)
	if site.Name != "Berlin 2" || site.Revision != 2 {
		t.Errorf("stored is %q, revision %d", site.Name, site.Revision)
	}
	resp, _ = b.post("/sites/ber1/delete", url.Values{"why": {"never existed"}})
	if resp.StatusCode != http.StatusSeeOther {
		t.Errorf("delete: %s", resp.Status)
	}
	changes, err := inventory.List[inventory.Change](g.ctx(), g.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("object", site.UID), inventory.Is("action", "delete")}})
	g.must(err)
	if len(changes) != 1 || changes[0].Why != "never existed" || changes[0].Actor != "otto" {
		t.Fatalf("the change log has %+v", changes)
	}
	if resp, body := b.post("/changes/"+string(changes[0].UID)+"/undo", nil); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("undo: %s\n%.300s", resp.Status, body)
	}
	if _, err := inventory.Get[inventory.Site](g.ctx(), g.store, "ber1"); err != nil {
		t.Errorf("after the undo: %v", err)
	}
}

// TestCrossSite: a page elsewhere cannot make a logged-in browser do anything.
func TestCrossSite(t *testing.T) {
	g := newRig(t)
	b := g.browser("otto")
	for _, header := range []http.Header{{"Sec-Fetch-Site": {"cross-site"}}, {"Origin": {"https://evil.example"}}} {
		req := b.request("POST", "/sites/new", strings.NewReader("name=x&slug=x"))
		req.Header = header
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if resp, _ := b.do(req); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%v: %s, want 403", header, resp.Status)
		}
	}
}
