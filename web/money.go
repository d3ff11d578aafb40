package web

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"berth/api"
	"berth/inventory"
)

// Amounts of money are seen by those alone whose account has the right (inventory.Actor.SeesMoney). It is not left to each page to
// remember that: what a request reads of the record goes through moneyGuard, which empties the amounts for everybody else. Pages and
// answers then leave the empty fields out, so that nobody takes them for zero.

// reader is on whose behalf a request reads, and what it was given without its amounts.
type reader struct {
	seesMoney bool
	mu        sync.Mutex
	emptied   map[inventory.Object]bool
}

func (r *reader) note(obj inventory.Object) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.emptied[obj] = true
}

func (r *reader) wasEmptied(obj inventory.Object) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.emptied[obj]
}

type readerKey struct{}

// withReader lets the guard know who reads by this context.
func withReader(r *http.Request, who caller) *http.Request {
	return r.WithContext(readingContext(r.Context(), who.SeesMoney()))
}

func readingContext(ctx context.Context, seesMoney bool) context.Context {
	return context.WithValue(ctx, readerKey{}, &reader{seesMoney: seesMoney, emptied: map[inventory.Object]bool{}})
}

// SeesMoney is for templates too: a column of amounts is not shown to those who may not see them.
func (c caller) SeesMoney() bool { return c.known() && c.Actor.SeesMoney() }

// readerOf is the reader of a request's context. Without one it is the server's own work, on nobody's behalf.
func readerOf(ctx context.Context) *reader {
	if r, ok := ctx.Value(readerKey{}).(*reader); ok {
		return r
	}
	return &reader{seesMoney: true}
}

// moneyGuard is the record as a request may see it.
type moneyGuard struct{ inventory.Record }

// guardMoney puts the guard before a record, once.
func guardMoney(r inventory.Record) inventory.Record {
	if _, guarded := r.(moneyGuard); guarded || r == nil {
		return r
	}
	return moneyGuard{r}
}

// List refuses to compare or sort by amounts that the reader may not see: with a few questions one would know them.
func (g moneyGuard) List(ctx context.Context, n *inventory.Noun, q inventory.Query) (inventory.Page, error) {
	who := readerOf(ctx)
	if who.seesMoney {
		return g.Record.List(ctx, n, q)
	}
	if err := asksForMoney(n, q); err != nil {
		return inventory.Page{}, err
	}
	hidden, err := g.hiddenValues(ctx, n)
	if err != nil {
		return inventory.Page{}, err
	}
	if n.Name == "custom-value" && (q.Search != "" || slices.ContainsFunc(q.Filters, func(f inventory.Filter) bool { return f.Field == "value" })) {
		for uid := range hidden {
			q.Filters = append(slices.Clone(q.Filters), inventory.Filter{Field: "custom_field", Op: inventory.OpNot, Value: string(uid)})
		}
	}
	page, err := g.Record.List(ctx, n, q)
	for _, obj := range page.Items {
		who.empty(n, obj, hidden)
	}
	return page, err
}

// Get empties the amounts of what it finds.
func (g moneyGuard) Get(ctx context.Context, n *inventory.Noun, ref string) (inventory.Object, error) {
	obj, err := g.Record.Get(ctx, n, ref)
	who := readerOf(ctx)
	if err != nil || who.seesMoney {
		return obj, err
	}
	hidden, err := g.hiddenValues(ctx, n)
	if err != nil {
		return nil, err
	}
	who.empty(n, obj, hidden)
	return obj, nil
}

// Search leaves out the values of custom fields that are money, and empties the amounts of the rest. No amount is a field that is searched.
func (g moneyGuard) Search(ctx context.Context, q inventory.SearchQuery) (inventory.Hits, error) {
	hits, err := g.Record.Search(ctx, q)
	who := readerOf(ctx)
	if err != nil || who.seesMoney {
		return hits, err
	}
	hidden, err := g.hiddenValues(ctx, inventory.NounFor[inventory.CustomValue]())
	if err != nil {
		return inventory.Hits{}, err
	}
	hits.Hits = slices.DeleteFunc(hits.Hits, func(h inventory.Hit) bool {
		value, ok := h.Object.(*inventory.CustomValue)
		return ok && hidden[value.CustomField]
	})
	for _, h := range hits.Hits {
		who.empty(h.Noun, h.Object, hidden)
	}
	return hits, nil
}

// Edit hands on a transaction that sees everything, because rules compute with amounts also for those who may not see them. What was read
// without its amounts and is stored again keeps those that are stored.
func (g moneyGuard) Edit(ctx context.Context, req inventory.Request, fn func(tx inventory.Tx) error) error {
	who := readerOf(ctx)
	if who.seesMoney {
		return g.Record.Edit(ctx, req, fn)
	}
	return g.Record.Edit(ctx, req, func(tx inventory.Tx) error { return fn(keepMoney{tx, who}) })
}

// Undo refuses to turn back amounts on behalf of somebody who could not have changed them.
func (g moneyGuard) Undo(ctx context.Context, req inventory.Request, ref inventory.UID) error {
	if req.By.SeesMoney() {
		return g.Record.Undo(ctx, req, ref)
	}
	of, err := g.Record.List(ctx, changeNoun, inventory.Query{Filters: []inventory.Filter{inventory.Is("request", ref)}, Limit: inventory.MaxPage, NoNames: true})
	if err != nil {
		return err
	}
	if one, err := g.Record.Get(ctx, changeNoun, string(ref)); err == nil {
		of.Items = append(of.Items, one)
	}
	for _, c := range inventory.Items[inventory.Change](of) {
		if touchesMoney(c) {
			return forbiddenMoney(c.Noun)
		}
	}
	return g.Record.Undo(ctx, req, ref)
}

// hiddenValues are the custom fields whose values are money; nil where the noun holds none.
func (g moneyGuard) hiddenValues(ctx context.Context, n *inventory.Noun) (map[inventory.UID]bool, error) {
	if n.Name != "custom-value" && n.Name != "change" {
		return nil, nil
	}
	fields, err := inventory.List[inventory.CustomField](ctx, g.Record, inventory.Query{Limit: inventory.MaxPage})
	hidden := map[inventory.UID]bool{}
	for _, f := range fields {
		if f.Money {
			hidden[f.UID] = true
		}
	}
	return hidden, err
}

// empty takes the amounts out of obj.
func (r *reader) empty(n *inventory.Noun, obj inventory.Object, hidden map[inventory.UID]bool) {
	switch o := obj.(type) {
	case *inventory.Change:
		o.Before, o.After = withoutMoney(o.Noun, o.Before, hidden), withoutMoney(o.Noun, o.After, hidden)
		return
	case *inventory.CustomValue:
		if hidden[o.CustomField] {
			o.Value = ""
			r.note(obj)
		}
		return
	}
	if len(n.MoneyFields()) > 0 {
		n.HideMoney(obj)
		r.note(obj)
	}
}

// keepMoney is a transaction of somebody who may not see amounts.
type keepMoney struct {
	inventory.Tx
	who *reader
}

// Update puts back the amounts that obj was read without.
func (t keepMoney) Update(obj inventory.Object) error {
	if !t.who.wasEmptied(obj) {
		return t.Tx.Update(obj)
	}
	n := inventory.Describe(obj)
	stored, err := t.Get(n, string(obj.Head().UID))
	if err != nil {
		return err
	}
	for _, f := range n.MoneyFields() {
		f.Set(obj, f.Value(stored))
	}
	if value, ok := obj.(*inventory.CustomValue); ok && value.Value == "" {
		value.Value = stored.(*inventory.CustomValue).Value
	}
	return t.Tx.Update(obj)
}

// asksForMoney refuses a query that compares or sorts by an amount.
func asksForMoney(n *inventory.Noun, q inventory.Query) error {
	names := []string{q.Sort, "-" + q.Sort}
	for _, f := range q.Filters {
		names = append(names, f.Field)
	}
	for _, f := range n.MoneyFields() {
		if slices.Contains(names, f.Name) || slices.Contains(names, "-"+f.Name) {
			return forbiddenMoney(n.Name)
		}
	}
	return nil
}

func forbiddenMoney(noun string) error {
	return &api.Problem{Status: http.StatusForbidden, Code: api.CodeForbidden, Detail: fmt.Sprintf("Your account may not see or change amounts of money of a %s.", noun)}
}

// noAmount tells whether a value says no more than what somebody is shown who may not see amounts: a client that sends a whole object back
// changes nothing by it.
func noAmount(text json.RawMessage) bool {
	s := strings.TrimSpace(string(text))
	return s == "null" || s == "0"
}

// withoutMoney takes the amounts out of an object as the change log keeps it. A text that is not understood is not shown at all.
func withoutMoney(noun string, picture json.RawMessage, hidden map[inventory.UID]bool) json.RawMessage {
	n, ok := inventory.NounOf(noun)
	if !ok || len(picture) == 0 {
		return picture
	}
	if len(n.MoneyFields()) == 0 && n.Name != "custom-value" {
		return picture
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(picture, &fields) != nil {
		return nil
	}
	if fields == nil { // null: there was nothing
		return picture
	}
	for _, f := range n.MoneyFields() {
		delete(fields, f.Name)
	}
	var field inventory.UID
	if n.Name == "custom-value" && (json.Unmarshal(fields["custom_field"], &field) != nil || hidden[field]) {
		delete(fields, "value")
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil
	}
	return text
}

// touchesMoney tells whether a change made an amount another.
func touchesMoney(c *inventory.Change) bool {
	n, ok := inventory.NounOf(c.Noun)
	if !ok {
		return true // what is not understood may hold anything
	}
	before, after := fieldTexts(c.Before), fieldTexts(c.After)
	for _, f := range n.MoneyFields() {
		if a, b := orZero(before[f.Name]), orZero(after[f.Name]); a != b {
			return true
		}
	}
	return false
}

func orZero(text string) string {
	if text == "" || text == "null" {
		return "0"
	}
	return text
}

// visible are the fields of n that who may see.
func visible(n *inventory.Noun, who caller) []inventory.Field {
	return slices.DeleteFunc(slices.Clone(n.Fields), func(f inventory.Field) bool { return f.Hidden || f.Money && !who.SeesMoney() })
}

// withheld names the fields of n that an answer to who leaves out.
func withheld(n *inventory.Noun, who caller) []string {
	if who.SeesMoney() {
		return nil
	}
	var names []string
	for _, f := range n.MoneyFields() {
		names = append(names, f.Name)
	}
	return names
}

// shown is obj as JSON for who: without the fields it may not see.
func shown(n *inventory.Noun, obj inventory.Object, who caller) (any, error) {
	names := withheld(n, who)
	if len(names) == 0 {
		return obj, nil
	}
	text, err := json.Marshal(obj)
	if err != nil {
		return nil, fmt.Errorf("write a %s: %w", n.Name, err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, fmt.Errorf("write a %s: %w", n.Name, err)
	}
	maps.DeleteFunc(fields, func(name string, _ json.RawMessage) bool { return slices.Contains(names, name) })
	return fields, nil
}
