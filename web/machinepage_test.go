package web

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"berth/api"
	"berth/inventory"
	"berth/storage"
)

var hiddenField = regexp.MustCompile(`<input type="hidden" name="(digest|serial)" value="([^"]*)"`)

// typedPlan reads from the confirmation what it would send.
func typedPlan(t *testing.T, page string) url.Values {
	t.Helper()
	v := url.Values{}
	for _, m := range hiddenField.FindAllStringSubmatch(page, -1) {
		v.Add(m[1], strings.ReplaceAll(m[2], "&#43;", "+"))
	}
	if v.Get("digest") == "" || v.Get("serial") == "" {
		t.Fatalf("the page shows no plan: %s", around(page, "What would happen", `role="alert"`))
	}
	return v
}

// TestReimageByForm goes through the confirmation without JavaScript: the name, the plan and the level are all checked by the server.
func TestReimageByForm(t *testing.T) {
	g := newRig(t)
	w := g.world(plainText)
	b := g.browser("otto")
	const path = "/machines/node-1/reimage"
	_, page := b.get(path + "?image=" + w.Image.Name)
	for _, text := range []string{"S3Z8NB0KA04001", "a filesystem of type ext4", "This needs your consent", "osd.3"} {
		if !strings.Contains(page, text) {
			t.Errorf("the plan does not say %q", text)
		}
	}
	plan := typedPlan(t, page)
	send := func(change func(v url.Values)) (*http.Response, string) {
		v := url.Values{"image": {w.Image.Name}, "digest": plan["digest"], "serial": plan["serial"], "must_type": {"true"}, "typed": {"node-1"}, "why": {"new kernel"}}
		change(v)
		return b.post(path, v)
	}
	for name, change := range map[string]func(url.Values){
		"no name typed":      func(v url.Values) { v.Del("typed") },
		"another name typed": func(v url.Values) { v.Set("typed", "node-2") },
		"another plan":       func(v url.Values) { v.Set("digest", "sha256:"+strings.Repeat("0", 64)) },
		"another disk":       func(v url.Values) { v.Set("serial", "S3Z8NB0KA04002") },
		"no plan":            func(v url.Values) { v.Del("digest"); v.Del("serial") },
		"an unknown image":   func(v url.Values) { v.Set("image", "none") },
	} {
		resp, page := send(change)
		if resp.StatusCode != http.StatusConflict && resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(page, `role="alert"`) {
			t.Errorf("%s: %s", name, resp.Status)
		}
		if d := g.machineNamed("node-1"); d.Operation != "" {
			t.Fatalf("%s: the reimage began", name)
		}
	}
	// An image that nobody vouches for needs an admin.
	w.Image.Verified = false
	g.update(w.Image)
	if resp, page := send(func(url.Values) {}); resp.StatusCode == http.StatusSeeOther || !strings.Contains(page, "admin") {
		t.Errorf("an unverified image: %s", resp.Status)
	}
	w.Image.Verified = true
	g.update(w.Image)
	resp, page := send(func(url.Values) {})
	if resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("the reimage: %s %s", resp.Status, around(page, `role="alert"`))
	}
	op, err := inventory.Get[inventory.Operation](g.ctx(), g.store, string(g.machineNamed("node-1").Operation))
	g.must(err)
	if op.Kind != "reimage" || op.Owner != "otto" || resp.Header.Get("Location") != "/operations/"+string(op.UID) {
		t.Errorf("the operation is %+v, the page %s", op, resp.Header.Get("Location"))
	}
	if resp, _ := send(func(url.Values) {}); resp.StatusCode != http.StatusConflict {
		t.Errorf("a second reimage at once: %s", resp.Status)
	}
	// Cancel works from the page of the operation.
	if resp, _ := b.post("/operations/"+string(op.UID)+"/cancel", url.Values{"why": {"wrong machine"}}); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("cancel: %s", resp.Status)
	}
	op, err = inventory.Get[inventory.Operation](g.ctx(), g.store, string(op.UID))
	g.must(err)
	if op.CancelBy != "otto" {
		t.Errorf("after the cancel the operation is %+v", op)
	}
}

func (g *rig) machineNamed(name string) *inventory.Device {
	g.Helper()
	d, err := inventory.Get[inventory.Device](g.ctx(), g.store, name)
	g.must(err)
	return d
}

// TestConsentOverREST: the same over REST, where the program repeats what the plan showed.
func TestConsentOverREST(t *testing.T) {
	g := newRig(t)
	w := g.world(plainText)
	c, ctx := g.client("otto"), g.ctx()
	plan, err := c.Plan(ctx, "node-1", api.DeployRequest{Image: w.Image.Name})
	g.must(err)
	if plan.Disk == nil || plan.Disk.Serial != "S3Z8NB0KA04001" || len(plan.NeedsConsent) == 0 || len(plan.Kept) != 1 {
		t.Fatalf("the plan is %+v", plan)
	}
	_, err = c.Reimage(ctx, "node-1", api.DeployRequest{Image: w.Image.Name})
	wantProblem(t, err, http.StatusConflict, api.CodeConsent)
	op, err := c.Reimage(ctx, "node-1", api.DeployRequest{Image: w.Image.Name, Consent: &storage.Consent{Machine: plan.Machine, Serials: plan.Serials, PlanDigest: plan.Digest}})
	g.must(err)
	if op.State != inventory.OpQueued {
		t.Errorf("the operation is %+v", op)
	}
	_, err = g.client("vera").Reimage(ctx, "node-1", api.DeployRequest{})
	wantProblem(t, err, http.StatusForbidden, api.CodeForbidden)
}

// TestMachineForms presses the other buttons of a machine's page.
func TestMachineForms(t *testing.T) {
	g := newRig(t)
	w := g.world(plainText)
	b := g.browser("otto")
	press := func(path string, v url.Values, want int) string {
		t.Helper()
		resp, page := b.post(path, v)
		if resp.StatusCode != want {
			t.Fatalf("%s: %s, want %d: %s", path, resp.Status, want, around(page, `role="alert"`))
		}
		return resp.Header.Get("Location")
	}
	press("/machines/node-4/accept", url.Values{"name": {"NOT A NAME"}}, http.StatusUnprocessableEntity)
	press("/machines/node-4/accept", url.Values{"name": {"node-40"}, "position": {"x"}}, http.StatusUnprocessableEntity)
	if to := press("/machines/node-4/accept", url.Values{"name": {"node-40"}, "rack": {"r12"}, "position": {"20"}, "face": {"front"}, "profile": {"k8s-worker"}}, http.StatusSeeOther); to != "/machines/node-40" {
		t.Errorf("accepting leads to %s", to)
	}
	if d := g.machineNamed("node-40"); d.ProvisionState != inventory.StateReady || d.Position == nil || *d.Position != 20 {
		t.Errorf("accepted is %+v", d)
	}
	press("/machines/node-5/clear", url.Values{"to": {"ready"}, "why": {"the disk was replaced"}}, http.StatusSeeOther)
	if d := g.machineNamed("node-5"); d.ProvisionState != inventory.StateReady {
		t.Errorf("cleared is %s", d.ProvisionState)
	}
	press("/machines/node-1/power", url.Values{"action": {"explode"}}, http.StatusUnprocessableEntity)
	if to := press("/machines/node-1/power", url.Values{"action": {"cycle"}, "back": {"https://evil.example/"}}, http.StatusSeeOther); to != "/machines/node-1" {
		t.Errorf("the power button leads to %s", to)
	}
	press("/machines/node-1/inspect", nil, http.StatusConflict) // it is busy with the power
	press("/machines/legacy-db/inspect", nil, http.StatusSeeOther)
	press("/machines/node-9/retire", url.Values{"typed": {"node-8"}}, http.StatusUnprocessableEntity)
	press("/machines/node-9/retire", url.Values{"typed": {"node-9"}}, http.StatusSeeOther)
	press("/machines/adopt", url.Values{"name": {"nas-1"}, "macs": {"52:54:00:aa:bb:cc"}, "bmc_kind": {"none"}}, http.StatusSeeOther)
	if d := g.machineNamed("nas-1"); d.ProvisionState != inventory.StateForeign {
		t.Errorf("adopted is %s", d.ProvisionState)
	}
	press("/operations/"+string(w.Task.UID)+"/steps/power-on/done", url.Values{"back": {"/"}}, http.StatusSeeOther)
	press("/operations/"+string(w.Task.UID)+"/steps/power-on/done", nil, http.StatusConflict) // it was done
	open, err := inventory.List[inventory.Deviation](g.ctx(), g.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("verdict", "open")}})
	g.must(err)
	press("/deviations/"+string(open[0].UID)+"/verdict", url.Values{"verdict": {"ignore"}}, http.StatusSeeOther)
	press("/deviations/"+string(open[0].UID)+"/verdict", url.Values{"verdict": {"perhaps"}}, http.StatusUnprocessableEntity)
}

// TestIdentityQuestion: a machine that may be another one's double asks, in words, and offers the better answer first.
func TestIdentityQuestion(t *testing.T) {
	g := newRig(t)
	w := g.world(plainText)
	g.create(&inventory.Deviation{Device: w.Machines["node-4"].UID, Part: "identity", Field: "device", Intended: string(w.Machines["node-3"].UID),
		Observed: string(w.Machines["node-4"].UID), Source: inventory.SourceAgent, Verdict: "open", Note: "the board serial is node-3's, the system UUID is not"})
	for account, buttons := range map[string]bool{"otto": true, "vera": false} {
		_, page := g.browser(account).get("/machines/node-4")
		for _, want := range []string{"Is this node-3?", "the board serial is node-3&#39;s", "S316846X0A28702"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s does not read %q", account, want)
			}
		}
		if got := strings.Contains(page, "Yes, it is node-3") && strings.Contains(page, "No, it is another machine"); got != buttons {
			t.Errorf("%s may answer: %v, want %v", account, got, buttons)
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	for _, seed := range []string{"/", "/machines?q=1", "//evil", "https://evil", "/\\evil", "\\\\evil", "/a\r\nSet-Cookie: x", "javascript:alert(1)", "/%2f/evil", "///"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, to string) {
		got := localPath(to, "/")
		base, err := url.Parse("https://berth.example/login")
		if err != nil {
			t.Fatal(err)
		}
		at, err := base.Parse(got)
		if err != nil || at.Host != "berth.example" || at.Scheme != "https" || strings.ContainsAny(got, "\r\n\\") {
			t.Errorf("%q leads to %q (%v)", to, got, err)
		}
	})
}

func FuzzCredential(f *testing.F) {
	uid := inventory.NewUID()
	good, hash := newCredential(uid)
	f.Add(good)
	f.Add("")
	f.Add(strings.ToUpper(good))
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := splitCredential(text)
		if ok && !got.Valid() {
			t.Errorf("%q is taken for the credential of %q", text, got)
		}
		if matches(hash, text) != (text == good) {
			t.Errorf("%q matches the hash of another", text)
		}
		if matches("", text) || matches(text, text) {
			t.Errorf("%q matches what is no hash", text)
		}
	})
}
