package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"berth/api"
	"berth/inventory"
)

var digestField = regexp.MustCompile(`name="digest" value="([0-9a-f]+)"`)

func (g *rig) manufacturers(n int) []string {
	g.Helper()
	var made []inventory.Object
	for i := range n {
		m := &inventory.Manufacturer{Name: fmt.Sprintf("maker %d", i), Slug: fmt.Sprintf("maker-%d", i)}
		m.UID = inventory.NewUID()
		made = append(made, m)
	}
	g.create(made...)
	uids := make([]string, n)
	for i, obj := range made {
		uids[i] = string(obj.Head().UID)
	}
	return uids
}

// A bulk edit by forms alone: choose rows, choose values, look, apply, and undo all of it as one.
func TestBulkEditByForms(t *testing.T) {
	g := newRig(t)
	g.sites()
	b := g.browser("otto")
	berlin, err := inventory.Get[inventory.Site](g.ctx(), g.store, "ber1")
	g.must(err)
	bern, err := inventory.Get[inventory.Site](g.ctx(), g.store, "brn1")
	g.must(err)
	chosen := []string{string(berlin.UID), string(bern.UID)}
	resp, body := b.post("/sites/bulk", url.Values{"uid": chosen, "step": {"choose"}})
	if resp.StatusCode != 200 || !strings.Contains(body, "Edit 2 sites") || strings.Contains(body, `name="set" value="slug"`) {
		t.Fatalf("choose: %s, or the key can be set for many", resp.Status)
	}
	set := url.Values{"uid": chosen, "set": {"status", "facility"}, "status": {"active"}, "facility": {"F-1"}, "step": {"preview"}}
	_, body = b.post("/sites/bulk", set)
	for _, want := range []string{"2 would change", "=HYPERLINK(1)", "F-1", ">planned</span>"} {
		if !strings.Contains(body, want) {
			t.Errorf("the preview does not show %q", want)
		}
	}
	if now, _ := inventory.Get[inventory.Site](g.ctx(), g.store, "brn1"); now.Status != "planned" || now.Revision != bern.Revision {
		t.Error("the preview changed something")
	}
	apply := url.Values{"uid": chosen, "set": set["set"], "status": {"active"}, "facility": {"F-1"}, "step": {"apply"}, "why": {"tidy up"}, "digest": {digestField.FindStringSubmatch(body)[1]}}
	resp, body = b.post("/sites/bulk", apply)
	if resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(resp.Header.Get("Location"), "/changes?request=") {
		t.Fatalf("apply: %s %s", resp.Status, around(body, `role="alert"`))
	}
	for _, slug := range []string{"ber1", "brn1"} {
		if now, err := inventory.Get[inventory.Site](g.ctx(), g.store, slug); err != nil || now.Status != "active" || now.Facility != "F-1" {
			t.Errorf("%s is %+v, %v", slug, now, err)
		}
	}
	if resp, _ := b.post("/sites/bulk", apply); resp.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("what was previewed is not what is there any more, and it is applied: %s", resp.Status)
	}
	changes, err := inventory.List[inventory.Change](g.ctx(), g.store, inventory.Query{Search: "tidy up"})
	g.must(err)
	if len(changes) != 2 || changes[0].Request != changes[1].Request {
		t.Fatalf("the change log has %d entries, of more than one request", len(changes))
	}
	g.must(g.client("otto").Undo(g.ctx(), changes[0].UID, api.UndoRequest{Request: true}))
	if now, _ := inventory.Get[inventory.Site](g.ctx(), g.store, "brn1"); now.Status != "planned" {
		t.Error("the undo of the request did not turn back all of it")
	}
}

// What cannot be changed is told object by object; nothing is changed unless those are left out.
func TestBulkErrorsAreByObject(t *testing.T) {
	g := newRig(t)
	uids := g.manufacturers(3)
	g.create(&inventory.DeviceType{Manufacturer: inventory.UID(uids[1]), Model: "X", Slug: "x", UHeight: 1})
	c, n := g.client("otto"), inventory.NounFor[inventory.Manufacturer]()
	dry, err := c.Bulk(g.ctx(), n, api.BulkRequest{UIDs: append(uids, "no-such"), Delete: true, DryRun: true})
	g.must(err)
	if dry.Applied || dry.Matched != 4 || dry.Changed != 2 || len(dry.Errors) != 2 || dry.Errors[0].Index != 1 || dry.Errors[1].Index != 3 {
		t.Errorf("the dry run says %+v", dry)
	}
	_, err = c.Bulk(g.ctx(), n, api.BulkRequest{UIDs: uids, Delete: true})
	var p *api.Problem
	if !errors.As(err, &p) || p.Status != http.StatusUnprocessableEntity || len(p.Objects) != 1 || p.Objects[0].Index != 1 || !strings.Contains(p.Objects[0].Detail, "device-type") {
		t.Fatalf("got %v, %+v", err, p)
	}
	left := func() int {
		all, err := inventory.List[inventory.Manufacturer](g.ctx(), g.store, inventory.Query{})
		g.must(err)
		return len(all)
	}
	if left() != 3 {
		t.Error("some were deleted although one could not be")
	}
	done, err := c.Bulk(g.ctx(), n, api.BulkRequest{UIDs: uids, Delete: true, Skip: true})
	if err != nil || !done.Applied || done.Changed != 2 || left() != 1 {
		t.Errorf("with skip: %+v, %v; %d left", done, err, left())
	}
	for _, bad := range []string{`{}`, `{"uids":["x"]}`, `{"uids":["x"],"delete":true,"set":{"name":"y"}}`, `{"uids":["x"],"all":true,"delete":true}`, `{"query":"nonsense=1","delete":true}`} {
		if resp, body := g.browser("otto").send("POST", "/api/v1/manufacturers/bulk", c.Token, bad); resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %s %s", bad, resp.Status, body)
		}
	}
	_, err = g.client("vera").Bulk(g.ctx(), n, api.BulkRequest{UIDs: uids, Delete: true})
	wantProblem(t, err, http.StatusForbidden, api.CodeForbidden)
}

// All that match are changed under one request, also when they need more than one transaction.
func TestBulkOfAllThatMatch(t *testing.T) {
	g := newRig(t)
	const many = bulkSlice + 20
	g.manufacturers(many)
	c, n := g.client("otto"), inventory.NounFor[inventory.Manufacturer]()
	done, err := c.Bulk(g.ctx(), n, api.BulkRequest{Query: "name__contains=maker", Set: map[string]json.RawMessage{"name": json.RawMessage(`"one name"`)}, Why: "all"})
	g.must(err)
	if !done.Applied || done.Changed != many || done.Matched != many {
		t.Fatalf("%+v", done)
	}
	page, err := g.store.List(g.ctx(), n, inventory.Query{Filters: []inventory.Filter{inventory.Is("name", "one name")}, Count: true, Limit: 1})
	g.must(err)
	changes, err := g.store.List(g.ctx(), changeNoun, inventory.Query{Filters: []inventory.Filter{inventory.Is("request", done.Request)}, Count: true, Limit: 1})
	g.must(err)
	if page.Total != many || changes.Total != many {
		t.Errorf("%d have the name, %d changes of the request", page.Total, changes.Total)
	}
	again, err := c.Bulk(g.ctx(), n, api.BulkRequest{All: true, Set: map[string]json.RawMessage{"name": json.RawMessage(`"one name"`)}})
	g.must(err)
	if again.Changed != 0 || again.Unchanged != many {
		t.Errorf("a second time: %+v", again)
	}
	// The same by the pages: the rows of every page of the list.
	b := g.browser("otto")
	_, body := b.post("/manufacturers/bulk", url.Values{"all": {"true"}, "query": {"name=one name"}, "set": {"name"}, "name": {"another"}, "step": {"preview"}})
	if !strings.Contains(body, fmt.Sprintf("and %s more", count(many-maxShownRows))) {
		t.Errorf("the preview does not say that it goes on: %s", around(body, "more, which"))
	}
}
