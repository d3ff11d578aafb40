package web

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"berth/inventory"
)

// siteCodes are the slugs of the sites that a list's page shows, in its order.
func siteCodes(body string) []string {
	var out []string
	for _, part := range strings.Split(body, `href="/sites/`)[1:] {
		slug := part[:strings.IndexByte(part, '"')]
		if !slices.Contains(out, slug) && len(slug) < 20 && slug != "new" {
			out = append(out, slug)
		}
	}
	return out
}

func (g *rig) sites() {
	g.Helper()
	g.create(&inventory.Site{Name: "Berlin", Slug: "ber1", Status: "active", Facility: "=HYPERLINK(1)"}, &inventory.Site{Name: "Bern", Slug: "brn1", Status: "planned"},
		&inventory.Site{Name: "Frankfurt", Slug: "fra1", Status: "active", Facility: "FRA-14"})
	berlin, err := inventory.Get[inventory.Site](g.ctx(), g.store, "ber1")
	g.must(err)
	tag := &inventory.Tag{Name: "Old", Slug: "old"}
	g.create(tag)
	g.create(&inventory.Tagging{Tag: tag.UID, Noun: "site", Object: berlin.UID})
}

// What the forms of a list send becomes an address that says the same, and nothing else is needed to see it again.
func TestListFormsBecomeAnAddress(t *testing.T) {
	g := newRig(t)
	g.sites()
	b := g.browser("vera")
	for _, c := range []struct {
		form    string
		address string
		want    []string
	}{
		{"f=name&op=starts&v=Ber", "name__starts=Ber", []string{"ber1", "brn1"}},
		{"f=name&op=contains&v=ER&f=status&op=is&v=active&f=&op=is&v=", "name__contains=ER&status=active", []string{"ber1"}},
		{"f=status&op=not&v=active&sort=-name", "sort=-name&status__not=active", []string{"brn1"}},
		{"f=name&op=filled&v=&q=furt", "name__empty=false&q=furt", []string{"fra1"}},
		{"f=name&op=contains&v=", "", []string{"ber1", "brn1", "fra1"}},
		{"column=slug&column=facility", "columns=slug%2Cfacility", []string{"ber1", "brn1", "fra1"}},
		{"f=tag&op=is&v=old", "tag=old", []string{"ber1"}},
	} {
		resp, _ := b.get("/sites?" + c.form)
		if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || to != "/sites?"+c.address {
			t.Errorf("%s leads to %q (%s), want %q", c.form, to, resp.Status, c.address)
			continue
		}
		resp, body := b.get("/sites?" + c.address)
		main := body[strings.Index(body, `<section id="list"`):]
		if got := siteCodes(main); resp.StatusCode != 200 || !slices.Equal(got, c.want) {
			t.Errorf("/sites?%s shows %v (%s), want %v", c.address, got, resp.Status, c.want)
		}
	}
	for _, bad := range []string{"columns=nonsense", "columns=password_hash", "nonsense=1", "tag=" + strings.Repeat("a,", 30), "f=nonsense&op=is&v=1"} {
		if resp, _ := b.get("/sites?" + bad); resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("/sites?%s: %s", bad, resp.Status)
		}
	}
}

func TestColumnsAreThoseOfTheAddress(t *testing.T) {
	g := newRig(t)
	g.sites()
	b := g.browser("vera")
	_, body := b.get("/sites?columns=status,name,updated_at")
	head := body[strings.Index(body, "<thead>"):strings.Index(body, "</thead>")]
	if i, j, k := strings.Index(head, "Status"), strings.Index(head, "Name"), strings.Index(head, "Updated at"); i < 0 || j < i || k < j {
		t.Errorf("the columns are not status, name, updated at: %s", head)
	}
	if strings.Contains(head, "Slug") {
		t.Error("a column is shown that was not asked for")
	}
}

// A view that was saved is its address; a private one is seen by its owner alone.
func TestSavedViews(t *testing.T) {
	g := newRig(t)
	g.sites()
	vera, otto := g.browser("vera"), g.browser("otto")
	save := func(b *browser, name, query, shared string) {
		t.Helper()
		resp, body := b.post("/views/site/save", url.Values{"name": {name}, "query": {query}, "shared": {shared}})
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/sites?"+query {
			t.Fatalf("save %s: %s to %q %s", name, resp.Status, resp.Header.Get("Location"), around(body, `role="alert"`))
		}
	}
	save(vera, "Mine", "status=active", "true") // a viewer cannot share
	save(otto, "Ours", "sort=-name", "true")
	save(otto, "Ours", "columns=name&q=b", "")
	for who, b := range map[string]*browser{"vera": vera, "otto": otto} {
		_, body := b.get("/sites")
		for name, want := range map[string]bool{"Mine": who == "vera", "sort=-name": true, "columns=name&amp;q=b": who == "otto"} {
			if strings.Contains(body, name) != want {
				t.Errorf("%s sees %q: %t", who, name, !want)
			}
		}
	}
	if resp, _ := vera.post("/views/site/save", url.Values{"name": {"Bad"}, "query": {"nonsense=1"}}); resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a view that means nothing was saved: %s", resp.Status)
	}
	views, err := inventory.List[inventory.SavedFilter](g.ctx(), g.store, inventory.Query{})
	g.must(err)
	if len(views) != 3 {
		t.Fatalf("there are %d views", len(views))
	}
	for _, v := range views {
		want := map[bool]int{true: http.StatusSeeOther, false: http.StatusForbidden}[v.Name == "Mine"]
		if resp, _ := vera.post("/views/"+string(v.UID)+"/drop", nil); resp.StatusCode != want {
			t.Errorf("a viewer removes %s: %s, want %d", v.Name, resp.Status, want)
		}
	}
}

func (b *browser) csv(path string) [][]string {
	b.Helper()
	resp, body := b.get(path)
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/csv") || !strings.Contains(resp.Header.Get("Content-Disposition"), "attachment") {
		b.Fatalf("%s: %s %v %.300s", path, resp.Status, resp.Header, body)
	}
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	b.must(err)
	return rows
}

func TestExportIsTheView(t *testing.T) {
	g := newRig(t)
	g.sites()
	b := g.browser("vera")
	rows := b.csv("/sites.csv?status=active&columns=name,facility&sort=-name")
	if len(rows) != 3 || strings.Join(rows[0], ",") != "uid,name,facility" || rows[1][1] != "Frankfurt" || rows[2][1] != "Berlin" {
		t.Fatalf("the file is %q", rows)
	}
	if rows[2][2] != "'=HYPERLINK(1)" || inventory.PlainCell(rows[2][2]) != "=HYPERLINK(1)" {
		t.Errorf("a formula came out as %q", rows[2][2])
	}
	if resp, _ := b.get("/sites?format=csv&status=active"); resp.Header.Get("Location") != "/sites.csv?status=active" {
		t.Errorf("format=csv leads to %q", resp.Header.Get("Location"))
	}
	deal := &inventory.Acquisition{Reference: "P-1", Kind: "purchase", Currency: "EUR", TotalAmount: 123456}
	g.create(deal)
	rows = g.browser("ada").csv("/acquisitions.csv?columns=reference,total_amount")
	if strings.Join(rows[0], ",") != "uid,reference,total_amount,currency" || rows[1][2] != "1234.56" || rows[1][3] != "EUR" {
		t.Errorf("amounts came out as %q", rows)
	}
}

// An export has every row, also beyond one page of the record, once.
func TestExportHasEveryRow(t *testing.T) {
	g := newRig(t)
	const many = inventory.MaxPage + 37
	var made []inventory.Object
	for i := range many {
		made = append(made, &inventory.Manufacturer{Name: fmt.Sprintf("m%04d", i%10), Slug: fmt.Sprintf("m%04d", i)})
	}
	g.create(made...)
	seen := map[string]bool{}
	for _, row := range g.browser("vera").csv("/manufacturers.csv?sort=name&limit=7")[1:] {
		seen[row[0]] = true
	}
	if len(seen) != many {
		t.Errorf("%d of %d rows came out", len(seen), many)
	}
}

// TestStatementsOfEveryList counts the SQL statements behind the first page and the next of every list, as page and over REST.
func TestStatementsOfEveryList(t *testing.T) {
	g := newRig(t)
	made := g.everyNoun(plainText)
	for _, n := range inventory.Nouns { // a second one of each, so that there is a next page
		if first := made[n.Name]; first != nil && n.Where == nil && !n.AppendOnly {
			again := filled(n, made, func(s string) string { return s + " 2" })
			if f, ok := n.Field(n.Natural); ok && n.Natural != "" && f.Kind == inventory.KindText && formats[n.Name+"."+f.Name] == nil {
				f.Set(again, "two-"+n.Name)
				_ = g.settle(n, again) // a noun of which there can be but one has no next page
			}
		}
	}
	for account, paths := range map[string][]string{"ada": {"/%s", "/api/v1/%s"}, "vera": {"/%s", "/api/v1/%s"}} {
		b := g.browser(account)
		for _, n := range inventory.Nouns {
			if n.Read == inventory.LevelAdmin && account != "ada" {
				continue
			}
			for _, path := range paths {
				for _, query := range []string{"", "?limit=1"} {
					address := fmt.Sprintf(path, n.Plural) + query
					before := g.sql.Load()
					if resp, body := b.get(address); resp.StatusCode != 200 {
						t.Errorf("%s: %s %s", address, resp.Status, around(body, `role="alert"`))
					}
					if count := g.sql.Load() - before; count > 8 {
						t.Errorf("%s takes %d statements", address, count)
					}
				}
			}
		}
	}
}
