package web

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"berth/inventory"
)

// listView is a list of any noun.
type listView struct {
	Noun    *inventory.Noun
	Columns []inventory.Field
	Page    inventory.Page
	Query   url.Values
	Search  string
	// Narrowed: some condition holds, so an empty list does not mean that there is nothing.
	Narrowed  bool
	CanCreate bool
	CanBulk   bool // rows can be chosen, to be changed or deleted together
	NextURL   string
	FirstURL  string // set on later pages

	Filters    []filterView // a control for each field with its usual comparison
	Conditions []condition  // those that no such control shows, and an empty one
	Fields     []fieldChoice
	Choices    []columnChoice
	Saved      []savedView
	Canonical  string // the query that this list's address stands for, without the place in it
	MayShare   bool
	CSVURL     string
	WholeURL   string // CSV of every column
	JSONURL    string
	Sizes      []option
	ListPath   string
}

// filterView is one control of the filter form.
type filterView struct {
	Field inventory.Field
	Name  string // of the form's field, with its operator
	Value string
}

// reserved are the parameters of a list's address that are no conditions.
var reserved = []string{"q", "sort", "limit", "cursor", "columns", "tag", "format"}

// FiltersOpen tells whether the form of filters shows: when a condition is in force that is to be seen nowhere else on the page.
func (l listView) FiltersOpen() bool {
	for name := range l.Query {
		if name != "provision_state" && (name == "tag" || !slices.Contains(reserved, name)) {
			return true
		}
	}
	return false
}

// Searchable tells whether quick search has anything to look into.
func (l listView) Searchable() bool { return searchable(l.Noun) }

// Keep are the parameters that the filter form hands on as they are.
func (l listView) Keep() []option {
	var list []option
	for _, name := range []string{"sort", "limit", "columns"} {
		if value := l.Query.Get(name); value != "" {
			list = append(list, option{Value: value, Text: name})
		}
	}
	return list
}

// KeepAll are all of the list's parameters, for forms that change another.
func (l listView) KeepAll() []option {
	var list []option
	for _, name := range slices.Sorted(maps.Keys(l.Query)) {
		if name == "cursor" || name == "columns" {
			continue
		}
		for _, value := range l.Query[name] {
			list = append(list, option{Value: value, Text: name})
		}
	}
	return list
}

// Tags are the slugs of the tags that all rows have.
func (l listView) Tags() string { return strings.Join(l.Query["tag"], ",") }

// Taggable tells whether objects of the noun can have tags.
func (l listView) Taggable() bool { return attachable(l.Noun) }

// Sortable tells whether the list can be sorted by a column.
func (l listView) Sortable(f inventory.Field) bool { return sortable(l.Noun, f) }

func sortable(n *inventory.Noun, f inventory.Field) bool {
	switch f.Kind {
	case inventory.KindSecret, inventory.KindList, inventory.KindData:
		return false
	}
	return f.Filter || f.Name == n.Natural || f.Name == "created_at" || f.Name == "updated_at" || f.Name == strings.TrimPrefix(n.Sort, "-")
}

// SortURL is the list sorted by a column, the other way round when it already is.
func (l listView) SortURL(f inventory.Field) string {
	v := maps.Clone(l.Query)
	v.Del("cursor")
	to := f.Name
	if l.sort() == to {
		to = "-" + to
	}
	v.Set("sort", to)
	return "?" + v.Encode()
}

func (l listView) sort() string {
	if sort := l.Query.Get("sort"); sort != "" {
		return sort
	}
	return l.Noun.Sort
}

// SortMark shows which way a column is sorted.
func (l listView) SortMark(f inventory.Field) string {
	switch l.sort() {
	case f.Name:
		return "↑"
	case "-" + f.Name:
		return "↓"
	}
	return ""
}

// SortState is the same for those who hear the page.
func (l listView) SortState(f inventory.Field) string {
	return map[string]string{"↑": "ascending", "↓": "descending", "": "none"}[l.SortMark(f)]
}

// listOf reads a list's address and answers it.
func (s *Server) listOf(r *http.Request, who caller, n *inventory.Noun) (listView, error) {
	v := withoutEmpty(r.URL.Query())
	q, err := s.parseQuery(r.Context(), n, v)
	if err != nil {
		return listView{}, err
	}
	l := listView{Noun: n, Query: v, Search: v.Get("q"), CanCreate: n.Edit != inventory.LevelNone && who.Can(n.Edit) && (byHand[n.Name].create == "" || byHand[n.Name].page), ListPath: "/" + n.Plural}
	if l.Columns, err = chosenColumns(n, who, v.Get("columns")); err != nil {
		return l, err
	}
	if l.Page, err = s.Record.List(r.Context(), n, q); err != nil {
		return l, err
	}
	redactAll(l.Page.Items, who)
	if l.Saved, err = s.savedViews(r.Context(), who, n, v); err != nil {
		return l, err
	}
	l.Narrowed = len(q.Filters) > 0 || q.Search != "" || len(q.Tags) > 0
	l.CanBulk = n.Edit != inventory.LevelNone && !n.AppendOnly && who.Can(n.Edit)
	l.MayShare = who.Can(inventory.LevelOperator)
	l.Choices = columnChoices(n, who, l.Columns)
	l.conditions(who)
	l.addresses()
	return l, nil
}

// withoutEmpty drops what was left empty: an empty field of the filter form is no filter.
func withoutEmpty(v url.Values) url.Values {
	out := url.Values{}
	for name, values := range v {
		for _, value := range values {
			if value != "" {
				out.Add(name, value)
			}
		}
	}
	return out
}

// addresses works out where the list's other forms are.
func (l *listView) addresses() {
	base := maps.Clone(l.Query)
	base.Del("cursor")
	l.Canonical = base.Encode()
	if l.Query.Get("cursor") != "" {
		l.FirstURL = "?" + l.Canonical
	}
	with := func(name, value string) string {
		v := maps.Clone(base)
		v.Set(name, value)
		return v.Encode()
	}
	if l.Page.Next != "" {
		l.NextURL = "?" + with("cursor", l.Page.Next)
	}
	l.CSVURL, l.WholeURL = l.ListPath+".csv?"+l.Canonical, l.ListPath+".csv?"+with("columns", allColumns)
	rest := maps.Clone(base)
	rest.Del("columns")
	l.JSONURL = "/api/v1/" + l.Noun.Plural + "?" + rest.Encode()
	for _, size := range []int{25, inventory.DefaultPage, 100, 250, inventory.MaxPage} {
		text := strconv.Itoa(size)
		l.Sizes = append(l.Sizes, option{Value: "?" + with("limit", text), Text: text, Selected: text == l.size()})
	}
}

func (l *listView) size() string {
	if size := l.Query.Get("limit"); size != "" {
		return size
	}
	return strconv.Itoa(inventory.DefaultPage)
}

// liveNouns refreshes a derived list when its noun changes.
func liveNouns(n *inventory.Noun) string { return n.Plural }

func (s *Server) nounList(n *inventory.Noun) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		l, err := s.listOf(r, who, n)
		if err != nil {
			return err
		}
		return s.render(w, r, who, "list", view{Title: pluralTitle(n), Live: liveNouns(n), Data: l})
	}
}

// listForms leads what a list's forms send to the address that says the same: rows of the filter builder become conditions, ticked
// columns a list of them. Then the address is all there is to a view, to be kept, sent or saved.
func listForms(n *inventory.Noun, next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		v := r.URL.Query()
		switch {
		case v.Get("format") == "csv":
			v.Del("format")
			return seeOther(w, r, "/"+n.Plural+".csv?"+v.Encode())
		case v.Has("f") || v.Has("column"):
			settled, err := settleForm(n, v)
			if err != nil {
				return err
			}
			return seeOther(w, r, "/"+n.Plural+"?"+settled.Encode())
		}
		return next(w, r, who)
	}
}

// settleForm turns the rows of a list's forms into parameters.
func settleForm(n *inventory.Noun, v url.Values) (url.Values, error) {
	out := withoutEmpty(v)
	for _, name := range []string{"f", "op", "v", "column", "cursor"} {
		out.Del(name)
	}
	if v.Has("column") {
		out.Set("columns", strings.Join(v["column"], ","))
	}
	for i, name := range v["f"] {
		if name == "" {
			continue
		}
		f, ok := n.Field(name)
		if !ok && name != "tag" {
			return nil, invalid("f", "%s have no field %q", n.Plural, truncate(name, 60))
		}
		op, value := at(v["op"], i), strings.TrimSpace(at(v["v"], i))
		key, value, ok := asParameter(f, name, op, value)
		if ok {
			out.Add(key, value)
		}
	}
	return out, nil
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

// asParameter is a row of the filter builder as an address has it; ok is false for a row without a value.
func asParameter(f inventory.Field, name, op, value string) (key, text string, ok bool) {
	switch op {
	case "", "is":
		key = name
	case "filled":
		return name + "__empty", "false", true
	case "empty":
		return name + "__empty", "true", true
	default:
		key = name + "__" + op
	}
	if f.Kind == inventory.KindBool && value == "" {
		value = "true"
	}
	return key, value, value != ""
}
