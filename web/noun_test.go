package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"berth/api"
	"berth/inventory"
)

// send is a JSON request with a token, below the Go client: for what the client would never send.
func (b *browser) send(method, path, token, body string, header ...string) (*http.Response, string) {
	b.Helper()
	req := b.request(method, path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return b.do(req)
}

func TestNounsOverREST(t *testing.T) {
	g := newRig(t)
	c, ctx := g.client("otto"), g.ctx()
	site, err := api.Create(ctx, c, &inventory.Site{Name: "Frankfurt", Slug: "fra1", Status: "active"})
	g.must(err)
	if site.UID == "" || site.Revision != 1 {
		t.Fatalf("created %+v", site)
	}
	rack, err := api.Create(ctx, c, &inventory.Rack{Name: "r1", Site: site.UID, Status: "active", UHeight: 42})
	g.must(err)

	byName, err := api.Get[inventory.Rack](ctx, c, "r1")
	g.must(err)
	if *byName != *rack {
		t.Errorf("by name %+v, created %+v", byName, rack)
	}
	byName.FacilityID = "FRA-1"
	updated, err := api.Update(ctx, c, byName)
	g.must(err)
	if updated.Revision != 2 || updated.FacilityID != "FRA-1" {
		t.Errorf("updated %+v", updated)
	}
	_, err = api.Update(ctx, c, byName) // of the revision before
	wantProblem(t, err, http.StatusPreconditionFailed, api.CodePrecondition)
	wantProblem(t, api.Delete[inventory.Rack](ctx, c, "r1", 1), http.StatusPreconditionFailed, api.CodePrecondition)

	page, err := api.List[inventory.Rack](ctx, c, api.Query{Filters: map[string]string{"site": "fra1", "name__starts": "r"}})
	g.must(err)
	if len(page.Items) != 1 || page.Names[site.UID] != "fra1" || page.Total != 1 || !page.Exact {
		t.Errorf("the list is %+v", page)
	}
	err = api.Delete[inventory.Site](ctx, c, "fra1", 0)
	p := wantProblem(t, err, http.StatusConflict, api.CodeConflict)
	if !strings.Contains(p.Detail, "rack") {
		t.Errorf("the conflict %q does not name what refers to the site", p.Detail)
	}
	g.must(api.Delete[inventory.Rack](ctx, c, "r1", 2))
	_, err = api.Get[inventory.Rack](ctx, c, "r1")
	wantProblem(t, err, http.StatusNotFound, api.CodeNotFound)
}

func TestPagesOfAList(t *testing.T) {
	g := newRig(t)
	c, ctx := g.client("vera"), g.ctx()
	var made []inventory.Object
	for i := range 25 {
		made = append(made, &inventory.Manufacturer{Name: fmt.Sprintf("Maker %02d", i), Slug: fmt.Sprintf("maker-%02d", i)})
	}
	g.create(made...)
	var names []string
	for m, err := range api.All[inventory.Manufacturer](ctx, c, api.Query{Limit: 10, Sort: "-name"}) {
		g.must(err)
		names = append(names, m.Name)
	}
	if len(names) != 25 || names[0] != "Maker 24" || names[24] != "Maker 00" {
		t.Errorf("all pages gave %v", names)
	}
}

// TestWhatRESTRefuses: each refusal has the right status, a code, and names the field.
func TestWhatRESTRefuses(t *testing.T) {
	g := newRig(t)
	b, token := g.browser(""), g.client("ada").Token
	g.create(&inventory.Site{Name: "Frankfurt", Slug: "fra1", Status: "active"})
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		code, field              string
	}{
		{"no JSON", "POST", "/api/v1/sites", "{", 400, api.CodeMalformed, ""},
		{"two values", "POST", "/api/v1/sites", `{"name":"x"} {}`, 400, api.CodeMalformed, ""},
		{"a list", "POST", "/api/v1/sites", `[1]`, 400, api.CodeMalformed, ""},
		{"deep", "POST", "/api/v1/sites", `{"name":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, 400, api.CodeMalformed, ""},
		{"unknown field", "POST", "/api/v1/sites", `{"nam":"x"}`, 422, api.CodeInvalid, "nam"},
		{"read-only field", "POST", "/api/v1/sites", `{"name":"x","slug":"x","revision":7}`, 422, api.CodeInvalid, "revision"},
		{"wrong type", "POST", "/api/v1/sites", `{"name":7,"slug":"x"}`, 422, api.CodeInvalid, "name"},
		{"missing field", "POST", "/api/v1/sites", `{"slug":"x"}`, 422, api.CodeInvalid, "name"},
		{"no such choice", "POST", "/api/v1/sites", `{"name":"x","slug":"x","status":"nice"}`, 422, api.CodeInvalid, "status"},
		{"no such reference", "POST", "/api/v1/racks", `{"name":"x","site":"nowhere"}`, 422, api.CodeInvalid, "site"},
		{"the key is taken", "POST", "/api/v1/sites", `{"name":"x","slug":"fra1"}`, 409, api.CodeConflict, ""},
		{"a hidden field", "PATCH", "/api/v1/accounts/otto", `{"password_hash":"x"}`, 422, api.CodeInvalid, "password_hash"},
		{"a filter that is none", "GET", "/api/v1/sites?nam=x", "", 422, api.CodeInvalid, "nam"},
		{"a filter by a hash", "GET", "/api/v1/tokens?hash=x", "", 422, api.CodeInvalid, "hash"},
		{"an operator that is none", "GET", "/api/v1/sites?name__like=x", "", 422, api.CodeInvalid, "name__like"},
		{"a cursor that is none", "GET", "/api/v1/sites?cursor=x", "", 422, api.CodeInvalid, ""},
		{"too many rows", "GET", "/api/v1/sites?limit=100000", "", 422, api.CodeInvalid, "limit"},
		{"nothing there", "GET", "/api/v1/sites/none", "", 404, api.CodeNotFound, ""},
		{"no such noun", "GET", "/api/v1/nouns", "", 404, api.CodeNotFound, ""},
		{"a wrong method", "DELETE", "/api/v1/sites", "", 404, api.CodeNotFound, ""},
		{"a machine by hand", "POST", "/api/v1/machines", `{"name":"x"}`, 404, api.CodeNotFound, ""},
		{"a wrong ETag", "PATCH", "/api/v1/sites/fra1", `{}`, 400, api.CodeMalformed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var header []string
			if c.name == "a wrong ETag" {
				header = []string{"If-Match", `"x"`}
			}
			resp, body := b.send(c.method, c.path, token, c.body, header...)
			p := decode[api.Problem](t, body)
			if resp.StatusCode != c.status || p.Code != c.code || resp.Header.Get("Content-Type") != "application/problem+json" {
				t.Fatalf("%s %s: %s %s", c.method, c.path, resp.Status, body)
			}
			if c.field != "" && p.Fields[c.field] == "" {
				t.Errorf("the fields are %v, want %s among them", p.Fields, c.field)
			}
			if p.Detail == "" || strings.Contains(strings.ToLower(body), "sqlite") || strings.Contains(body, "SELECT") {
				t.Errorf("the sentence is no good: %s", body)
			}
		})
	}
}

func TestOnlyJSONIsTaken(t *testing.T) {
	g := newRig(t)
	b := g.browser("")
	req := b.request("POST", "/api/v1/sites", strings.NewReader(`{"name":"x","slug":"x"}`))
	req.Header.Set("Content-Type", "text/plain")
	req.Header.Set("Authorization", "Bearer "+g.client("ada").Token)
	if resp, _ := b.do(req); resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("a body of text/plain: %s", resp.Status)
	}
}

// TestSecretsOverREST: a password goes in and never comes out; stars put back leave it as it is.
func TestSecretsOverREST(t *testing.T) {
	g := newRig(t)
	c, ctx := g.client("otto"), g.ctx()
	device := &inventory.Device{Name: "node-1"}
	g.create(device)
	bmc, err := api.Create(ctx, c, &inventory.BMC{Device: device.UID, Kind: "redfish", Address: "10.0.0.1", Username: "root", Password: inventory.PlainSecret("calvin-7")})
	g.must(err)
	if got := bmc.Password.String(); got != "***" {
		t.Errorf("the password comes back as %q", got)
	}
	bmc.Address = "10.0.0.2"
	bmc, err = api.Update(ctx, c, bmc)
	g.must(err)
	stored, err := inventory.Get[inventory.BMC](ctx, g.store, string(bmc.UID))
	g.must(err)
	if plain, err := g.store.Reveal(stored.Password); err != nil || plain != "calvin-7" {
		t.Errorf("after an edit of something else the password is %q (%v)", plain, err)
	}
}

func TestUndoNeedsTheRightsOfTheEdit(t *testing.T) {
	g := newRig(t)
	ctx := g.ctx()
	_, err := api.Create(ctx, g.client("ada"), &inventory.Account{Name: "newcomer", Level: inventory.LevelViewer})
	g.must(err)
	changes, err := inventory.List[inventory.Change](ctx, g.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("noun", "account"), inventory.Is("actor", "ada")}})
	g.must(err)
	if len(changes) != 1 {
		t.Fatalf("the change log has %d entries of it", len(changes))
	}
	wantProblem(t, g.client("otto").Undo(ctx, changes[0].UID, api.UndoRequest{}), http.StatusForbidden, api.CodeForbidden)
	g.must(g.client("ada").Undo(ctx, changes[0].UID, api.UndoRequest{}))
	_, err = api.Get[inventory.Account](ctx, g.client("ada"), "newcomer")
	wantProblem(t, err, http.StatusNotFound, api.CodeNotFound)
	// And an operator does not read in the change log what the noun itself would not show.
	seen, err := api.Get[inventory.Change](ctx, g.client("otto"), string(changes[0].UID))
	g.must(err)
	if seen.After != nil && string(seen.After) != "null" {
		t.Errorf("an operator sees %s of an account", seen.After)
	}
}

// TestStatementsAreConstant counts SQL statements of pages at two sizes of the fleet.
func TestStatementsAreConstant(t *testing.T) {
	g := newRig(t)
	site := &inventory.Site{Name: "x", Slug: "x", Status: "active"}
	rack := &inventory.Rack{Name: "r", Site: "", Status: "active", UHeight: 42}
	g.create(site)
	rack.Site = site.UID
	g.create(rack)
	b := g.browser("vera")
	measure := func() map[string]int64 {
		counts := map[string]int64{}
		for _, path := range []string{"/machines", "/machines?limit=1000", "/operations?limit=1000", "/", "/api/v1/machines?limit=1000", "/racks/r", "/devices?limit=1000"} {
			before := g.sql.Load()
			if resp, body := b.get(path); resp.StatusCode != 200 {
				t.Fatalf("%s: %s %.200s", path, resp.Status, body)
			}
			counts[path] = g.sql.Load() - before
		}
		return counts
	}
	grow := func(from, to int) {
		var made []inventory.Object
		for i := from; i < to; i++ {
			d := &inventory.Device{Name: fmt.Sprintf("m%05d", i), ProvisionState: inventory.StateReady, Site: site.UID, Rack: rack.UID}
			d.UID = inventory.NewUID()
			op := &inventory.Operation{Kind: "deploy", Device: d.UID, State: inventory.OpRunning}
			op.UID = inventory.NewUID()
			d.Operation = op.UID
			made = append(made, op, d, &inventory.Step{Operation: op.UID, Name: "write-image", State: inventory.StepRunning, Total: 10, Done: 5})
		}
		g.must(g.store.Edit(g.ctx(), inventory.NewRequest(inventory.Berth, ""), func(tx inventory.Tx) error {
			for i := range made { // the device first: the others refer to it
				j := i/3*3 + []int{1, 0, 2}[i%3]
				if d, ok := made[j].(*inventory.Device); ok {
					op := d.Operation
					d.Operation = ""
					if err := tx.Create(d); err != nil {
						return err
					}
					d.Operation = op
					continue
				}
				if err := tx.Create(made[j]); err != nil {
					return err
				}
			}
			for i := 1; i < len(made); i += 3 {
				if err := tx.Update(made[i]); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	grow(0, 3)
	few := measure()
	grow(3, 400)
	many := measure()
	for path, n := range few {
		t.Logf("%s: %d statements", path, n)
		if many[path] != n {
			t.Errorf("%s takes %d statements with 3 machines and %d with 400", path, n, many[path])
		}
	}
}
