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

// leaks finds a canary amount in a text.
func leaks(text string) string {
	for _, canary := range canaries {
		if strings.Contains(text, canary) {
			return around(text, canary)
		}
	}
	return ""
}

// readableRoutes are the addresses of every GET route, with the objects of everyNoun put into them.
func readableRoutes(g *rig, made map[string]inventory.Object) []string {
	g.Helper()
	var paths []string
	for _, rt := range g.server.routes() {
		if rt.method != http.MethodGet || rt.stream || strings.HasPrefix(rt.pattern, "/agent/") {
			continue
		}
		path := strings.ReplaceAll(rt.pattern, "{$}", "")
		noun, ok := inventory.NounOf(strings.Split(strings.TrimPrefix(strings.TrimPrefix(path, "/api/v1"), "/"), "/")[0])
		if strings.Contains(path, "{ref}") {
			if !ok || made[noun.Name] == nil {
				continue
			}
			path = strings.ReplaceAll(path, "{ref}", string(made[noun.Name].Head().UID))
		}
		if !strings.Contains(path, "{") {
			paths = append(paths, path)
		}
	}
	return paths
}

// TestMoneyIsForThoseWhoMaySeeIt walks every route that shows something with an operator without the right, and finds no amount.
func TestMoneyIsForThoseWhoMaySeeIt(t *testing.T) {
	g := newRig(t)
	made := g.everyNoun(plainText)
	money := &inventory.CustomField{Name: "resale", Noun: "site", Kind: "int", Money: true}
	g.create(money)
	g.create(&inventory.CustomValue{CustomField: money.UID, Noun: "site", Object: made["site"].Head().UID, Value: fmt.Sprint(canaryAmount)})
	g.touchMoney(made)
	paths := readableRoutes(g, made)
	for _, n := range inventory.Nouns {
		if len(n.MoneyFields()) > 0 {
			paths = append(paths, "/"+n.Plural+"?columns=all", "/"+n.Plural+".csv?columns=all")
		}
	}
	paths = append(paths, "/search?q="+fmt.Sprint(canaryAmount)[:8], "/api/v1/search?q="+fmt.Sprint(canaryAmount)[:8], "/custom-values?q=98765432", "/api/v1/changes?limit=1000")
	changes, err := inventory.List[inventory.Change](g.ctx(), g.store, inventory.Query{Limit: inventory.MaxPage})
	g.must(err)
	for _, c := range changes {
		paths = append(paths, "/changes/"+string(c.UID))
	}
	operator, admin := g.browser("otto"), g.browser("ada")
	seen := 0
	for _, path := range paths {
		_, body := operator.get(path)
		// What the asker typed may come back.
		asked := strings.ReplaceAll(body, fmt.Sprint(canaryAmount)[:8], "")
		if strings.Contains(path, "q=") {
			body = asked
		}
		if leak := leaks(body); leak != "" {
			t.Errorf("%s shows an amount: %s", path, leak)
		}
		if strings.Contains(path, "columns=all") {
			if _, body := admin.get(path); leaks(body) != "" {
				seen++
			}
		}
	}
	if seen < 10 {
		t.Errorf("an admin saw amounts at only %d addresses: the test looks past them", seen)
	}
}

// touchMoney edits every noun that has amounts, so that the change log has them before and after.
func (g *rig) touchMoney(made map[string]inventory.Object) {
	g.Helper()
	for name, obj := range made {
		n := nounNamed(name)
		if len(n.MoneyFields()) == 0 || n.AppendOnly {
			continue
		}
		stored, err := g.store.Get(g.ctx(), n, string(obj.Head().UID))
		g.must(err)
		for _, f := range n.MoneyFields() {
			if _, ok := f.Value(stored).(int64); ok {
				f.Set(stored, int64(canaryAmount+1))
			}
		}
		g.update(stored)
		for _, f := range n.MoneyFields() {
			if _, ok := f.Value(stored).(int64); ok {
				f.Set(stored, int64(canaryAmount))
			}
		}
		g.update(stored)
	}
}

// Whoever may not see amounts may not set, compare, sort or turn them back either; and an edit of something else leaves them alone.
func TestMoneyIsForThoseWhoMayChangeIt(t *testing.T) {
	g := newRig(t)
	made := g.everyNoun(plainText)
	token, b := g.client("otto").Token, g.browser("otto")
	for _, n := range inventory.Nouns {
		obj := made[n.Name]
		if obj == nil || len(n.MoneyFields()) == 0 || n.Edit == inventory.LevelNone {
			continue
		}
		path := "/api/v1/" + n.Plural + "/" + string(obj.Head().UID)
		for _, f := range n.MoneyFields() {
			if f.ReadOnly {
				continue
			}
			resp, body := b.send("PATCH", path, token, fmt.Sprintf(`{%q: 5}`, f.Name))
			if resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s.%s was set: %s %s", n.Name, f.Name, resp.Status, body)
			}
			for _, query := range []string{"?" + f.Name + "__gt=1", "?sort=" + f.Name, "?columns=" + f.Name} {
				if resp, _ := b.get("/" + n.Plural + query); resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusUnprocessableEntity {
					t.Errorf("/%s%s: %s", n.Plural, query, resp.Status)
				}
			}
			resp, _ = b.post("/"+n.Plural+"/bulk", url.Values{"uid": {string(obj.Head().UID)}, "set": {f.Name}, f.Name: {"5"}, "step": {"apply"}})
			stored, err := g.store.Get(g.ctx(), n, string(obj.Head().UID))
			g.must(err)
			if minor, _ := f.AmountOf(stored); minor != canaryAmount {
				t.Errorf("after the bulk edit (%s) %s.%s is %d", resp.Status, n.Name, f.Name, minor)
			}
		}
		_, one := b.send("GET", path, token, "")
		for _, f := range n.MoneyFields() {
			if _, there := decode[map[string]any](t, one)[f.Name]; there {
				t.Errorf("%s shows %s", path, f.Name)
			}
		}
	}
}

// The guard empties what a request reads; what is stored again from it keeps its amounts.
func TestAmountsSurviveThoseWhoDoNotSeeThem(t *testing.T) {
	g := newRig(t)
	deal := &inventory.Acquisition{Reference: "P-1", Kind: "purchase", Currency: "EUR", TotalAmount: canaryAmount, Title: "before"}
	g.create(deal)
	ctx := readingContext(g.ctx(), false)
	read, err := inventory.Get[inventory.Acquisition](ctx, g.server.Record, "P-1")
	g.must(err)
	if read.TotalAmount != 0 {
		t.Fatalf("the guard let %d through", read.TotalAmount)
	}
	read.Title = "after"
	g.must(g.server.Record.Edit(ctx, inventory.NewRequest(inventory.Actor{Name: "otto", Level: inventory.LevelOperator}, ""), func(tx inventory.Tx) error { return tx.Update(read) }))
	stored, err := inventory.Get[inventory.Acquisition](g.ctx(), g.store, "P-1")
	g.must(err)
	if stored.TotalAmount != canaryAmount || stored.Title != "after" {
		t.Errorf("stored is %d, %q", stored.TotalAmount, stored.Title)
	}
	b := g.browser("otto")
	resp, body := b.post("/acquisitions/P-1/edit", url.Values{"title": {"third"}, "reference": {"P-1"}, "kind": {"purchase"}, "total_amount": {"0"}, "revision": {fmt.Sprint(stored.Revision)}})
	if resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("the form: %s %.300s", resp.Status, body)
	}
	if stored, err = inventory.Get[inventory.Acquisition](g.ctx(), g.store, "P-1"); err != nil || stored.TotalAmount != canaryAmount || stored.Title != "third" {
		t.Errorf("after the form %d, %q, %v", stored.TotalAmount, stored.Title, err)
	}
}

// A change of an amount is not undone by somebody who could not have made it.
func TestUndoOfMoneyNeedsTheRight(t *testing.T) {
	g := newRig(t)
	deal := &inventory.Acquisition{Reference: "P-1", Kind: "purchase", Currency: "EUR", TotalAmount: 5}
	g.create(deal)
	deal.TotalAmount = 7
	g.update(deal)
	changes, err := inventory.List[inventory.Change](g.ctx(), g.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("object", deal.UID), inventory.Is("action", "update")}})
	g.must(err)
	wantProblem(t, g.client("otto").Undo(g.ctx(), changes[0].UID, api.UndoRequest{}), http.StatusForbidden, api.CodeForbidden)
	g.must(g.client("ada").Undo(g.ctx(), changes[0].UID, api.UndoRequest{}))
}

// An operator whose account has the right sees amounts, also by a token.
func TestTheRightToSeeMoney(t *testing.T) {
	g := newRig(t)
	g.create(&inventory.Acquisition{Reference: "P-1", Kind: "purchase", Currency: "KWD", TotalAmount: 1234567})
	otto, err := inventory.Get[inventory.Account](g.ctx(), g.store, "otto")
	g.must(err)
	otto.Money = true
	g.update(otto)
	b, c := g.browser("otto"), g.client("otto")
	deal, err := api.Get[inventory.Acquisition](g.ctx(), c, "P-1")
	g.must(err)
	if deal.TotalAmount != 1234567 {
		t.Errorf("REST says %d", deal.TotalAmount)
	}
	if who, err := c.WhoAmI(g.ctx()); err != nil || !who.Money {
		t.Errorf("whoami says %+v, %v", who, err)
	}
	if _, body := b.get("/acquisitions/P-1"); !strings.Contains(body, "1,234.567 KWD") {
		t.Error("the page does not show 1,234.567 KWD")
	}
	_, body := b.get("/acquisitions/P-1/edit")
	if !strings.Contains(body, `value="1234.567"`) {
		t.Errorf("the form shows %s", around(body, `name="total_amount"`))
	}
	form := url.Values{"reference": {"P-1"}, "kind": {"purchase"}, "currency": {"JPY"}, "total_amount": {"1,250"}, "revision": {"1"}}
	if resp, body := b.post("/acquisitions/P-1/edit", form); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s %.300s", resp.Status, around(body, `role="alert"`))
	}
	if deal, err = api.Get[inventory.Acquisition](g.ctx(), c, "P-1"); err != nil || deal.TotalAmount != 1250 || deal.Currency != "JPY" {
		t.Errorf("stored is %d %s, %v", deal.TotalAmount, deal.Currency, err)
	}
	form.Set("total_amount", "12,50")
	form.Set("revision", fmt.Sprint(deal.Revision))
	if resp, body := b.post("/acquisitions/P-1/edit", form); resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, `value="12,50"`) {
		t.Errorf("a decimal comma: %s, and the form keeps what was typed: %t", resp.Status, strings.Contains(body, `value="12,50"`))
	}
}
