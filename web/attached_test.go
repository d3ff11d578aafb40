package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"berth/inventory"
)

func (b *browser) attach(path string, form url.Values) (*http.Response, string) {
	b.Helper()
	form.Set("back", "/sites/ber1")
	return b.post(path, form)
}

// Tags, fields of one's own and comments of an object, by the forms of its page.
func TestAttachedThings(t *testing.T) {
	g := newRig(t)
	g.sites()
	site, err := inventory.Get[inventory.Site](g.ctx(), g.store, "ber1")
	g.must(err)
	g.create(&inventory.CustomField{Name: "badge_no", Label: "Badge number", Noun: "site", Kind: "int"}, &inventory.CustomField{Name: "portal", Noun: "site", Kind: "url"},
		&inventory.CustomField{Name: "tier", Noun: "site", Kind: "choice", Choices: []string{"I", "II"}, Required: true})
	b, at := g.browser("otto"), "/attached/site/"+string(site.UID)
	ok := func(resp *http.Response, body string) {
		t.Helper()
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/sites/ber1#attached" {
			t.Fatalf("%s to %q: %s", resp.Status, resp.Header.Get("Location"), around(body, `role="alert"`))
		}
	}
	ok(b.attach(at+"/tags", url.Values{"tag": {"Loud Fans!"}}))
	ok(b.attach(at+"/tags", url.Values{"tag": {"loud-fans"}})) // again is no second one
	ok(b.attach(at+"/custom", url.Values{"badge_no": {"17"}, "portal": {"https://example.org/badge"}, "tier": {"II"}}))
	ok(b.attach(at+"/comments", url.Values{"text": {"The lift is out of order.\r\nRing."}, "kind": {"warning"}}))
	comments, err := inventory.List[inventory.Comment](g.ctx(), g.store, inventory.Query{})
	g.must(err)
	if len(comments) != 1 || comments[0].By != "otto" || comments[0].Text != "The lift is out of order.\nRing." || comments[0].Kind != "warning" {
		t.Fatalf("stored is %+v", comments)
	}
	view, err := g.server.attached(readingContext(g.ctx(), true), caller{Actor: inventory.Actor{Name: "x", Level: inventory.LevelAdmin}, via: "test"}, site, "/")
	g.must(err)
	if len(view.Tags) != 2 || view.Tags[0].Slug != "loud-fans" || view.Tags[0].Name != "Loud Fans!" || len(view.Custom) != 3 || view.Custom[0].Value != "17" || view.Custom[1].Link() == "" {
		t.Errorf("the block shows %+v", view)
	}
	for _, bad := range []url.Values{{"badge_no": {"many"}}, {"portal": {"javascript:alert(1)"}}, {"tier": {"III"}}, {"tier": {""}}} {
		if resp, _ := b.attach(at+"/custom", bad); resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%v was taken: %s", bad, resp.Status)
		}
	}
	ok(b.attach(at+"/custom", url.Values{"badge_no": {""}}))
	if values, err := inventory.List[inventory.CustomValue](g.ctx(), g.store, inventory.Query{}); err != nil || len(values) != 2 {
		t.Errorf("%d values are left, %v", len(values), err)
	}
	ok(b.attach(at+"/tags", url.Values{"remove": {string(view.Tags[0].Tagging)}}))
	ok(b.attach(at+"/comments", url.Values{"remove": {string(comments[0].UID)}}))
	// What belongs to another object is not taken off by the form of this one.
	other, err := inventory.Get[inventory.Site](g.ctx(), g.store, "fra1")
	g.must(err)
	if resp, _ := b.attach("/attached/site/"+string(other.UID)+"/tags", url.Values{"remove": {string(view.Tags[1].Tagging)}}); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a tag of another object: %s", resp.Status)
	}
	if resp, _ := b.attach("/attached/comment/"+string(other.UID)+"/tags", url.Values{"tag": {"x"}}); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a tag on a comment: %s", resp.Status)
	}
	if resp, _ := g.browser("vera").attach(at+"/tags", url.Values{"tag": {"x"}}); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer tags: %s", resp.Status)
	}
}

// The page of an object shows its parts with a way to add one, and what points to it.
func TestPageShowsWhatBelongsToIt(t *testing.T) {
	g := newRig(t)
	carrier := &inventory.Organization{Name: "Fast Feet", Slug: "fast-feet"}
	g.create(carrier)
	claim := &inventory.Claim{Reference: "C-9", Against: carrier.UID, Kind: "loss", Currency: "EUR"}
	g.create(claim)
	_, body := g.browser("vera").get("/organizations/fast-feet")
	if !strings.Contains(body, "Referred to by") || !strings.Contains(body, ">C-9</a>") {
		t.Error("the page of the organization does not show the claim against it")
	}
	take := &inventory.StockTake{Name: "autumn"}
	g.create(take)
	children, err := g.server.children(g.browser("").request("GET", "/x", nil).WithContext(readingContext(g.ctx(), true)), caller{Actor: inventory.Actor{Level: inventory.LevelOperator}, via: "test"}, nounNamed("stock-take"), take)
	g.must(err)
	if len(children) == 0 || !children[0].Part || !strings.HasPrefix(children[0].AddURL, "/stock-take-items/new?") {
		t.Errorf("the parts of a stock-take are %+v", children)
	}
}
