package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"berth/inventory"

	"gorm.io/gorm"
)

// Bounds of a query that comes from outside.
const (
	maxFilters    = 50
	maxFilterText = 4000
	maxCursor     = 16_000
	maxIn         = 1000
	exactUpTo     = 10_000
)

// List returns one page. See inventory.Record.
func (s *Store) List(ctx context.Context, n *inventory.Noun, q inventory.Query) (inventory.Page, error) {
	page, err := s.list(s.read.WithContext(ctx), n, q)
	return page, s.driver.explain(err)
}

// Get finds one object by its uid or its natural key. See inventory.Record.
func (s *Store) Get(ctx context.Context, n *inventory.Noun, ref string) (inventory.Object, error) {
	obj, err := get(s.read.WithContext(ctx), n, ref)
	return obj, s.driver.explain(err)
}

func get(db *gorm.DB, n *inventory.Noun, ref string) (inventory.Object, error) {
	column := n.Natural
	if inventory.UID(ref).Valid() {
		column = "uid"
	}
	if column == "" || ref == "" || len(ref) > maxFilterText || badText(ref) {
		return nil, notFound(n, ref)
	}
	where, err := conditions(n, inventory.Query{}, "")
	if err != nil {
		return nil, err
	}
	where.add(quote(column)+" = ?", ref)
	items, err := fetch(db.Where(where.sql(), where.args...).Limit(1), n)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, notFound(n, ref)
	}
	return items[0], nil
}

// list does it in at most three statements, however many rows and references there are, and one more for each part of a text that is
// looked for.
func (s *Store) list(db *gorm.DB, n *inventory.Noun, q inventory.Query) (inventory.Page, error) {
	var page inventory.Page
	where, err := conditions(n, q, "")
	if err != nil {
		return page, err
	}
	unsearched := where.clone()
	searched, err := s.narrow(db, n, q, &where)
	if err != nil {
		return page, err
	}
	if q.Count {
		if searched != nil && searched.many {
			page.Total, err = s.countFound(db, n, searched.text, unsearched)
		} else {
			page.Total, err = count(db, n, where)
		}
		if err != nil {
			return page, err
		}
		page.Exact = page.Total <= exactUpTo
		page.Total = min(page.Total, exactUpTo)
	}
	order, err := orderOf(n, q)
	if err != nil {
		return page, err
	}
	if q.Count && (len(q.Filters) > 0 || n.Where != nil || searched != nil) {
		if where, err = s.steer(n, q, page.Total, searched, where, &order); err != nil {
			return page, err
		}
	}
	if err := order.after(n, q.Cursor, &where); err != nil {
		return page, err
	}
	limit := q.Limit
	if limit <= 0 {
		limit = inventory.DefaultPage
	}
	limit = min(limit, inventory.MaxPage)
	rows := db.Where(where.sql(), where.args...).Order(order.sql()).Limit(limit + 1)
	if len(q.Only) > 0 {
		columns, err := only(n, q.Only, order.field, order.extra)
		if err != nil {
			return page, err
		}
		rows = rows.Select(columns)
	}
	if page.Items, err = fetch(rows, n); err != nil {
		return page, err
	}
	if len(page.Items) > limit {
		page.Items = page.Items[:limit]
		page.Next = order.cursor(n, page.Items[limit-1])
	}
	if !q.NoNames {
		page.Names, err = names(db, page.Items)
	}
	return page, err
}

// only is which columns are read of a query that wants few: they are names of descriptors.
func only(n *inventory.Noun, fields []string, sorts ...inventory.Field) ([]string, error) {
	columns := []string{"uid"}
	for _, f := range sorts {
		if f.Name != "" {
			columns = append(columns, f.Name)
		}
	}
	for _, name := range fields {
		f, ok := n.Field(name)
		if !ok || f.Hidden {
			return nil, inventory.NotAllowed(n.Name, name, "is not a field of %s", n.Plural)
		}
		columns = append(columns, f.Name)
	}
	slices.Sort(columns)
	return slices.Compact(columns), nil
}

// fetch reads rows into objects of the noun.
func fetch(db *gorm.DB, n *inventory.Noun) ([]inventory.Object, error) {
	rows := reflect.New(reflect.SliceOf(reflect.TypeOf(n.New())))
	if err := db.Table(n.Table).Find(rows.Interface()).Error; err != nil {
		return nil, fmt.Errorf("read %s: %w", n.Plural, err)
	}
	items := make([]inventory.Object, rows.Elem().Len())
	for i := range items {
		items[i] = rows.Elem().Index(i).Interface().(inventory.Object)
	}
	return items, nil
}

func count(db *gorm.DB, n *inventory.Noun, where clause) (total int64, err error) {
	sql := "SELECT COUNT(*) FROM (SELECT 1 FROM " + quote(n.Table) + " WHERE " + where.sql() + " LIMIT " + strconv.Itoa(exactUpTo+1) + ") AS matches"
	if err := db.Raw(sql, where.args...).Scan(&total).Error; err != nil {
		return 0, fmt.Errorf("count %s: %w", n.Plural, err)
	}
	return total, nil
}

// names finds in one statement what to call everything the items refer to.
func names(db *gorm.DB, items []inventory.Object) (map[inventory.UID]string, error) {
	wanted := map[*inventory.Noun][]inventory.UID{}
	seen := map[inventory.UID]bool{}
	for _, item := range items {
		for _, f := range inventory.Describe(item).Fields {
			if f.Kind != inventory.KindRef || nounOf(f.Ref).Label() == "" {
				continue
			}
			if uid := f.Value(item).(inventory.UID); uid != "" && !seen[uid] {
				seen[uid] = true
				wanted[nounOf(f.Ref)] = append(wanted[nounOf(f.Ref)], uid)
			}
		}
	}
	out := make(map[inventory.UID]string, len(seen))
	var parts []string
	var args []any
	for _, noun := range inventory.Nouns {
		if uids := wanted[noun]; len(uids) > 0 {
			parts = append(parts, `SELECT "uid", `+quote(noun.Label())+` AS "label" FROM `+quote(noun.Table)+` WHERE "uid" IN (?)`)
			args = append(args, uids)
		}
	}
	if len(parts) == 0 {
		return out, nil
	}
	var rows []struct {
		UID   inventory.UID
		Label string
	}
	if err := db.Raw(strings.Join(parts, " UNION ALL "), args...).Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("find the names that a list refers to: %w", err)
	}
	for _, row := range rows {
		out[row.UID] = row.Label
	}
	return out, nil
}

// clause is a condition: texts of this file's with question marks, names of descriptors, and values beside them. Nothing that came from
// outside gets into the text.
type clause struct {
	parts []string
	args  []any
}

func (c *clause) add(sql string, args ...any) {
	c.parts = append(c.parts, "("+sql+")")
	c.args = append(c.args, args...)
}

func (c *clause) clone() clause { return clause{slices.Clone(c.parts), slices.Clone(c.args)} }

func (c *clause) sql() string {
	if len(c.parts) == 0 {
		return "1 = 1"
	}
	return strings.Join(c.parts, " AND ")
}

// steer tells SQLite, which does not know how many rows a condition leaves, which index a list shall lead with, now that they are counted:
// of few rows those are found and then sorted; among many it is quicker to read in the list's order until the page is full. A plus before
// a column keeps its index out of it (https://sqlite.org/optoverview.html, 2.1). PostgreSQL knows by itself.
func (s *Store) steer(n *inventory.Noun, q inventory.Query, total int64, searched *found, where clause, o *order) (clause, error) {
	plus := s.driver.plus()
	if plus == "" {
		return where, nil
	}
	if total <= fewEnough {
		o.plus = plus
		return where, nil
	}
	where, err := conditions(n, q, plus)
	if err == nil && searched != nil { // many hits: see narrow
		search(n, strings.TrimSpace(q.Search), &where)
	}
	return where, err
}

// conditions is what a noun's view and a query's filters ask for. plus goes before the columns whose index would not yield the list's
// order.
func conditions(n *inventory.Noun, q inventory.Query, plus string) (clause, error) {
	var where clause
	if len(q.Filters) > maxFilters {
		return where, inventory.NotAllowed(n.Name, "", "a query may have %d filters at most", maxFilters)
	}
	for _, filter := range n.Where {
		f, _ := n.Field(filter.Field)
		// A view has indexes of its own, over its rows alone.
		if err := compare(n, f, filter, "", &where); err != nil {
			return where, err
		}
	}
	for _, filter := range q.Filters {
		f, err := filterField(n, filter)
		if err != nil {
			return where, err
		}
		free := plus
		if filter.Op == inventory.OpIs && (q.Sort == "" || strings.TrimPrefix(q.Sort, "-") == strings.TrimPrefix(n.Sort, "-") || strings.TrimPrefix(q.Sort, "-") == f.Name) {
			free = "" // the index on the field has the list's order behind it
		}
		if err := compare(n, f, filter, free, &where); err != nil {
			return where, err
		}
	}
	return where, tagged(n, q.Tags, &where)
}

// filterField finds the field of a filter. Hidden fields can only be asked for as a whole, so that nobody gets at a hash by halves.
func filterField(n *inventory.Noun, filter inventory.Filter) (inventory.Field, error) {
	f, ok := n.Field(filter.Field)
	if !ok || !(f.Filter || builtin(n, f.Name)) || (f.Hidden && filter.Op != inventory.OpIs) {
		return f, inventory.NotAllowed(n.Name, filter.Field, "%s cannot be filtered by it", n.Plural)
	}
	return f, nil
}

func builtin(n *inventory.Noun, name string) bool {
	switch name {
	case "uid", "created_at", "updated_at", n.Natural, strings.TrimPrefix(n.Sort, "-"):
		return name != ""
	}
	return false
}

// compare adds one filter's condition; plus goes before the column.
func compare(n *inventory.Noun, f inventory.Field, filter inventory.Filter, plus string, where *clause) error {
	bad := func(why string, args ...any) error { return inventory.NotAllowed(n.Name, f.Name, why, args...) }
	if len(filter.Value) > maxFilterText && filter.Op != inventory.OpIn || badText(filter.Value) {
		return bad("the value to compare with is too long or not a text")
	}
	column := plus + quote(f.Name)
	switch filter.Op {
	case inventory.OpContains, inventory.OpStarts:
		if !textual(f) {
			return bad("%s compares texts only", filter.Op)
		}
		pattern := likeEscape(filter.Value) + "%"
		if filter.Op == inventory.OpContains {
			pattern = "%" + pattern
		}
		where.add("LOWER("+column+`) LIKE ? ESCAPE '!'`, pattern)
		return nil
	case inventory.OpEmpty:
		return compareEmpty(f, column, filter.Value, where, bad)
	case inventory.OpIn:
		return compareIn(f, column, filter.Value, where, bad)
	}
	value, err := parse(f, filter.Value)
	if err != nil {
		return bad("%v", err)
	}
	switch filter.Op {
	case inventory.OpIs:
		where.add(column+" = ?", value)
	case inventory.OpNot:
		where.add(column+" <> ?"+orNull(f, column), value)
	case inventory.OpLess, inventory.OpMore:
		if !ordered(f) {
			return bad("has no order to compare by")
		}
		where.add(column+map[inventory.Op]string{inventory.OpLess: " < ?", inventory.OpMore: " > ?"}[filter.Op], value)
	default:
		return bad("there is no operator %q", filter.Op)
	}
	return nil
}

func orNull(f inventory.Field, column string) string {
	if f.Nullable {
		return " OR " + column + " IS NULL"
	}
	return ""
}

func compareEmpty(f inventory.Field, column, value string, where *clause, bad func(string, ...any) error) error {
	empty, err := strconv.ParseBool(value)
	if err != nil {
		return bad("empty is compared with true or false")
	}
	not := map[bool]string{true: "", false: "NOT "}[empty]
	switch {
	case f.Nullable:
		where.add(not + "(" + column + " IS NULL)")
	case f.Kind == inventory.KindList:
		where.add(not + "(" + column + " = '[]')")
	case f.Kind == inventory.KindInt || f.Kind == inventory.KindFloat:
		where.add(not + "(" + column + " = 0)")
	case textual(f) && empty:
		where.add(column + " = ''")
	case textual(f):
		where.add(column + " > ''") // and not <>, which no index helps
	default:
		return bad("is never empty")
	}
	return nil
}

func compareIn(f inventory.Field, column, list string, where *clause, bad func(string, ...any) error) error {
	parts := strings.Split(list, ",")
	if len(parts) > maxIn {
		return bad("is compared with more than %d values", maxIn)
	}
	values := make([]any, len(parts))
	for i, part := range parts {
		value, err := parse(f, strings.TrimSpace(part))
		if err != nil {
			return bad("%v", err)
		}
		values[i] = value
	}
	where.add(column+" IN ?", values)
	return nil
}

// checkSearch refuses what cannot be looked for in a list.
func checkSearch(n *inventory.Noun, text string) error {
	fields, _ := n.SearchFields()
	switch {
	case len(text) > inventory.MaxSearch || badText(text) || strings.Contains(text, "\n"):
		return inventory.NotAllowed(n.Name, "", "the text to search for is too long or not a text")
	case len(fields) == 0:
		return inventory.NotAllowed(n.Name, "", "%s cannot be searched", n.Plural)
	}
	return nil
}

// search looks for a part of the text in every search field of every row.
func search(n *inventory.Noun, text string, where *clause) {
	var columns []string
	fields, _ := n.SearchFields()
	for _, f := range fields {
		columns = append(columns, quote(f.Name))
	}
	// One comparison for all fields costs less than one for each. The line break keeps a match from spanning two: the text has none.
	where.add("LOWER("+strings.Join(columns, " || '\n' || ")+`) LIKE ? ESCAPE '!'`, "%"+likeEscape(text)+"%")
}

// likeEscape writes text for LIKE, with ! as the escape: a backslash would need escaping in some modes of PostgreSQL.
func likeEscape(text string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(strings.ToLower(text))
}

func badText(s string) bool { return !utf8.ValidString(s) || strings.ContainsRune(s, 0) }

func textual(f inventory.Field) bool {
	switch f.Kind {
	case inventory.KindText, inventory.KindEnum, inventory.KindRef, inventory.KindList, inventory.KindDate:
		return true
	}
	return false
}

func ordered(f inventory.Field) bool {
	switch f.Kind {
	case inventory.KindSecret, inventory.KindList, inventory.KindData:
		return false
	}
	return !f.Hidden
}

// parse reads a filter's or cursor's value as the kind of the field.
func parse(f inventory.Field, text string) (any, error) {
	switch f.Kind {
	case inventory.KindInt:
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not a whole number", text)
		}
		return v, nil
	case inventory.KindFloat:
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || v != v {
			return nil, fmt.Errorf("%q is not a number", text)
		}
		return v, nil
	case inventory.KindBool:
		v, err := strconv.ParseBool(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not true or false", text)
		}
		return v, nil
	case inventory.KindTime:
		for _, form := range []string{time.RFC3339Nano, time.DateOnly} {
			if v, err := time.Parse(form, text); err == nil && v.Year() >= 0 && v.Year() <= 9999 {
				return v.UTC(), nil
			}
		}
		return nil, fmt.Errorf("%q is not a time such as 2026-11-22T10:00:00Z", text)
	case inventory.KindDate:
		date, err := inventory.ParseDate(text)
		return string(date), err
	case inventory.KindEnum:
		if !slices.Contains(f.Values, text) {
			return nil, fmt.Errorf("%q is not one of %s", text, strings.Join(f.Values, ", "))
		}
	case inventory.KindSecret, inventory.KindData:
		return nil, fmt.Errorf("cannot be compared")
	}
	return text, nil
}

// order is by what a list is sorted: a field, behind it what the list is sorted by when nobody says, and uid among equals. The first of
// both databases' opinions on NULL is taken: SQLite's, which holds NULL for less than any value, because SQLite then uses its index.
type order struct {
	name  string // as asked for, with its sign
	field inventory.Field
	then  []string // further columns; the last is uid
	desc  bool
	plus  string          // see steer
	extra inventory.Field // of then, where it has two
}

func orderOf(n *inventory.Noun, q inventory.Query) (order, error) {
	name := q.Sort
	if name == "" {
		name = n.Sort
	}
	field, desc := strings.CutPrefix(name, "-")
	f, ok := n.Field(field)
	if !ok || !(f.Filter || builtin(n, field)) || !ordered(f) {
		return order{}, inventory.NotAllowed(n.Name, field, "%s cannot be sorted by it", n.Plural)
	}
	o := order{name: name, field: f, desc: desc}
	if extra, ok := secondOrder(n, f); ok {
		o.extra, o.then = extra, append(o.then, extra.Name)
	}
	if f.Name != "uid" {
		o.then = append(o.then, "uid")
	}
	return o, nil
}

// secondOrder is by what a list is sorted among rows that are equal in f: as always, unless f tells them apart well enough (an instant, a key)
// or the noun has no order of its own that is always known.
func secondOrder(n *inventory.Noun, f inventory.Field) (inventory.Field, bool) {
	usual, ok := n.Field(strings.TrimPrefix(n.Sort, "-"))
	if !ok || usual.Nullable || usual.Name == "uid" || f.Name == usual.Name || f.Name == "uid" || f.Name == n.Natural || f.Kind == inventory.KindTime {
		return inventory.Field{}, false
	}
	return usual, true
}

func (o order) sql() string {
	direction, nulls := " ASC", " NULLS FIRST"
	if o.desc {
		direction, nulls = " DESC", " NULLS LAST"
	}
	if !o.field.Nullable {
		nulls = ""
	}
	sql := o.plus + quote(o.field.Name) + direction + nulls
	for _, column := range o.then {
		sql += ", " + o.plus + quote(column) + direction
	}
	return sql
}

// cursorData is where a page ended. It names the order it belongs to.
type cursorData struct {
	Noun  string        `json:"n"`
	Sort  string        `json:"s"`
	Value *string       `json:"v"`           // nil is NULL
	Then  *string       `json:"t,omitempty"` // of the second field
	UID   inventory.UID `json:"u"`
}

func (o order) cursor(n *inventory.Noun, last inventory.Object) string {
	c := cursorData{Noun: n.Plural, Sort: o.name, Value: textOf(o.field.Value(last)), UID: last.Head().UID}
	if o.extra.Name != "" {
		c.Then = textOf(o.extra.Value(last))
	}
	data, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings always marshal
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// textOf writes a value as parse reads it.
func textOf(value any) *string {
	v := reflect.ValueOf(value)
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	text := fmt.Sprint(v.Interface())
	if t, ok := v.Interface().(time.Time); ok {
		text = t.UTC().Format(time.RFC3339Nano)
	}
	return &text
}

// after adds the condition that rows come after the cursor.
func (o order) after(n *inventory.Noun, cursor string, where *clause) error {
	if cursor == "" {
		return nil
	}
	bad := inventory.NotAllowed(n.Name, "", "the cursor does not belong to this list in this order")
	var c cursorData
	data, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(cursor) > maxCursor || json.Unmarshal(data, &c) != nil || c.Noun != n.Plural || c.Sort != o.name || !c.UID.Valid() {
		return bad
	}
	rest, ok := o.restOf(c)
	if !ok || c.Value == nil && !o.field.Nullable {
		return bad
	}
	column, sign := o.plus+quote(o.field.Name), " > "
	if o.desc {
		sign = " < "
	}
	switch {
	case c.Value == nil && o.desc:
		where.add(column+" IS NULL AND "+o.row(o.then)+sign+marks(rest), rest...)
		return nil
	case c.Value == nil:
		where.add(column+" IS NOT NULL OR "+o.row(o.then)+sign+marks(rest), rest...)
		return nil
	}
	value, err := parse(o.field, *c.Value)
	if err != nil || badText(*c.Value) {
		return bad
	}
	values := append([]any{value}, rest...)
	row := o.row(append([]string{o.field.Name}, o.then...)) + sign + marks(values)
	if o.desc && o.field.Nullable {
		row += " OR " + column + " IS NULL"
	}
	where.add(row, values...)
	return nil
}

// restOf are the cursor's values behind the first.
func (o order) restOf(c cursorData) (rest []any, ok bool) {
	if o.extra.Name != "" {
		if c.Then == nil || badText(*c.Then) {
			return nil, false
		}
		value, err := parse(o.extra, *c.Then)
		if err != nil {
			return nil, false
		}
		rest = append(rest, value)
	}
	if o.field.Name == "uid" {
		return nil, true
	}
	return append(rest, c.UID), true
}

// row is columns as a row value; marks are as many question marks.
func (o order) row(columns []string) string {
	quoted := make([]string, len(columns))
	for i, column := range columns {
		quoted[i] = o.plus + quote(column)
	}
	return "(" + strings.Join(quoted, ", ") + ")"
}

func marks(values []any) string {
	return "(" + strings.TrimSuffix(strings.Repeat("?, ", len(values)), ", ") + ")"
}
