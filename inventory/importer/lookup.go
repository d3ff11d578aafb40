package importer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"berth/inventory"
)

// lookup reads objects of the record by the values of a field, many at a time, and remembers them.
type lookup struct {
	ctx   context.Context
	rec   Reader
	index map[string]map[string][]inventory.Object // by noun and field, then value; an empty list says that there is none
	byUID map[inventory.UID]inventory.Object
}

// perQuery is how many values one query asks for.
const perQuery = 500

// load reads what has one of the values, as far as it is not known yet.
func (l *lookup) load(n *inventory.Noun, field string, values []string) error {
	key := n.Table + "." + field
	have := l.index[key]
	if have == nil {
		have = map[string][]inventory.Object{}
		l.index[key] = have
	}
	var batch []string
	for _, v := range values {
		if _, known := have[v]; known || v == "" {
			continue
		}
		have[v] = nil
		if strings.Contains(v, ",") || strings.TrimSpace(v) != v {
			if err := l.query(n, field, inventory.Filter{Field: field, Op: inventory.OpIs, Value: v}, have); err != nil {
				return err
			}
			continue
		}
		if batch = append(batch, v); len(batch) == perQuery {
			if err := l.query(n, field, in(field, batch), have); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return l.query(n, field, in(field, batch), have)
}

func in(field string, values []string) inventory.Filter {
	return inventory.Filter{Field: field, Op: inventory.OpIn, Value: strings.Join(values, ",")}
}

func (l *lookup) query(n *inventory.Noun, field string, filter inventory.Filter, have map[string][]inventory.Object) error {
	objs, err := l.all(n, inventory.Query{Filters: []inventory.Filter{filter}, Sort: field})
	if err != nil {
		return err
	}
	f := mustField(n, field)
	for _, obj := range objs {
		v := fmt.Sprint(f.Value(obj))
		have[v] = append(have[v], obj)
	}
	return nil
}

// all reads every page of a query. A value that cannot be one of the field's finds nothing.
func (l *lookup) all(n *inventory.Noun, q inventory.Query) ([]inventory.Object, error) {
	q.Limit, q.NoNames = inventory.MaxPage, true
	var out []inventory.Object
	for {
		page, err := l.rec.List(l.ctx, n, q)
		var invalid *inventory.Invalid
		if errors.As(err, &invalid) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("look up %s: %w", n.Plural, err)
		}
		for _, obj := range page.Items {
			l.byUID[obj.Head().UID] = obj
		}
		out = append(out, page.Items...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return out, nil
		}
	}
}

func (l *lookup) get(n *inventory.Noun, field, value string) []inventory.Object {
	return l.index[n.Table+"."+field][value]
}

// refFields are the fields by which a reference in a table may name an object of n, in the order of trust.
func refFields(n *inventory.Noun) []string {
	out := []string{"uid"}
	for _, name := range []string{n.Natural, "slug", "name", "reference", "import_ref"} {
		if f, ok := n.Field(name); ok && f.Filter && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

func (l *lookup) loadRefs(n *inventory.Noun, texts []string) error {
	for _, field := range refFields(n) {
		var wanted []string
		for _, t := range texts {
			if t = refText(field, t); inventory.UID(t).Valid() == (field == "uid") {
				wanted = append(wanted, t)
			}
		}
		if err := l.load(n, field, wanted); err != nil {
			return err
		}
	}
	return nil
}

func refText(field, text string) string {
	if field == "slug" {
		return inventory.Slug(text)
	}
	return text
}

func (l *lookup) refs(n *inventory.Noun, text string) []inventory.Object {
	for _, field := range refFields(n) {
		if found := l.get(n, field, refText(field, text)); len(found) > 0 {
			return found
		}
	}
	return nil
}

// view is the record as it would be after the import: what is stored, with what is planned laid over it. The rules of the nouns are asked
// in it (inventory.TxChecker), so that a dry run finds what the real one would. It writes nothing.
type view struct {
	ctx     context.Context
	look    *lookup
	now     time.Time
	planned map[inventory.UID]inventory.Object
	byNoun  map[string][]inventory.Object
	index   map[string]map[string][]inventory.Object // of what is planned, by table and field, then value
	lists   map[string][]inventory.Object            // what the record answered to a query
}

func newView(ctx context.Context, look *lookup, now time.Time) *view {
	return &view{ctx: ctx, look: look, now: now, planned: map[inventory.UID]inventory.Object{}, byNoun: map[string][]inventory.Object{},
		index: map[string]map[string][]inventory.Object{}, lists: map[string][]inventory.Object{}}
}

func (v *view) plan(n *inventory.Noun, after inventory.Object) {
	if _, twice := v.planned[after.Head().UID]; twice {
		return
	}
	v.planned[after.Head().UID] = after
	v.byNoun[n.Table] = append(v.byNoun[n.Table], after)
}

func (v *view) Context() context.Context { return v.ctx }
func (v *view) Now() time.Time           { return v.now }

var errReadOnly = errors.New("a check writes nothing")

func (v *view) Create(inventory.Object) error { return errReadOnly }
func (v *view) Update(inventory.Object) error { return errReadOnly }
func (v *view) Delete(inventory.Object) error { return errReadOnly }

func (v *view) Get(n *inventory.Noun, ref string) (inventory.Object, error) {
	if obj := v.planned[inventory.UID(ref)]; obj != nil {
		return obj, nil
	}
	if obj := v.look.byUID[inventory.UID(ref)]; obj != nil {
		return obj, nil
	}
	obj, err := v.look.rec.Get(v.ctx, n, ref)
	if err == nil {
		v.look.byUID[obj.Head().UID] = obj
	}
	return obj, err
}

// List answers a query of plain comparisons from the record and what is planned; any other from the record alone. There are no pages: it
// serves rules, which ask for few.
func (v *view) List(n *inventory.Noun, q inventory.Query) (inventory.Page, error) {
	if !plainly(q) {
		return v.look.rec.List(v.ctx, n, q)
	}
	if len(q.Filters) == 1 && q.Filters[0].Field == "uid" {
		return v.byUIDs(n, q.Filters[0].Value)
	}
	key := fmt.Sprint(n.Table, q.Filters)
	stored, ok := v.lists[key]
	if !ok {
		var err error
		if stored, err = v.look.all(n, inventory.Query{Filters: q.Filters, Sort: q.Sort}); err != nil {
			return inventory.Page{}, err
		}
		v.lists[key] = stored
	}
	var page inventory.Page
	for _, obj := range stored {
		if v.planned[obj.Head().UID] == nil {
			page.Items = append(page.Items, obj)
		}
	}
	for _, obj := range v.candidates(n, q.Filters[0]) {
		if fitsAll(n, obj, q.Filters[1:]) {
			page.Items = append(page.Items, obj)
		}
	}
	page.Total, page.Exact = int64(len(page.Items)), true
	return page, nil
}

func plainly(q inventory.Query) bool {
	if q.Search != "" || q.Cursor != "" || len(q.Filters) == 0 {
		return false
	}
	return !slices.ContainsFunc(q.Filters, func(f inventory.Filter) bool { return f.Op != inventory.OpIs && f.Op != inventory.OpIn })
}

func (v *view) byUIDs(n *inventory.Noun, list string) (inventory.Page, error) {
	var page inventory.Page
	for uid := range strings.SplitSeq(list, ",") {
		obj, err := v.Get(n, strings.TrimSpace(uid))
		if errors.Is(err, inventory.ErrNotFound) {
			continue
		}
		if err != nil {
			return page, err
		}
		page.Items = append(page.Items, obj)
	}
	return page, nil
}

// candidates are the planned objects that fit one filter.
func (v *view) candidates(n *inventory.Noun, filter inventory.Filter) []inventory.Object {
	key := n.Table + "." + filter.Field
	byValue := v.index[key]
	if byValue == nil {
		byValue = map[string][]inventory.Object{}
		f := mustField(n, filter.Field)
		for _, obj := range v.byNoun[n.Table] {
			text := fmt.Sprint(f.Value(obj))
			byValue[text] = append(byValue[text], obj)
		}
		v.index[key] = byValue
	}
	if filter.Op == inventory.OpIs {
		return byValue[filter.Value]
	}
	var out []inventory.Object
	for part := range strings.SplitSeq(filter.Value, ",") {
		out = append(out, byValue[strings.TrimSpace(part)]...)
	}
	return out
}

func fitsAll(n *inventory.Noun, obj inventory.Object, filters []inventory.Filter) bool {
	for _, filter := range filters {
		have := fmt.Sprint(mustField(n, filter.Field).Value(obj))
		fits := have == filter.Value
		if filter.Op == inventory.OpIn {
			fits = slices.Contains(strings.Split(filter.Value, ","), have)
		}
		if !fits {
			return false
		}
	}
	return true
}
