package importer

import (
	"fmt"
	"slices"
	"strings"

	"berth/inventory"
)

// draft is one object as a source describes it: values for some of its fields, and how it is found again in the record. References point
// to other drafts; which of them exist already turns out when the plan is made.
type draft struct {
	noun   *inventory.Noun
	key    string // that tells it from others of this import
	values []value
	finds  [][]clue // ways to find it in the record, the surest first; all clues of one way must fit
	file   string
	row    int
	// implied drafts are only mentioned (the manufacturer of a device): created where they lack, never changed where they are.
	implied bool
	notes   []string          // lines that its notes shall hold
	merge   map[string]string // attributes to add to those it has
	// fallback replaces the natural key where another object has it: rack "R1" of a second site.
	fallback string

	uid, wantUID  inventory.UID // wantUID is what the source says it shall be, of our own export
	before, after inventory.Object
	failed        bool
}

// value is one field of a draft.
type value struct {
	field  inventory.Field
	v      any    // of the field's Go type; nil where target or text is set
	target *draft // of a reference
	ref    string // of a reference to what only the record has: a uid or name
	column string // where it stands
	text   string // as it stands there
	onNew  bool   // only for an object that does not exist yet
	amount bool   // text is an amount, read when the currency is known
}

// clue is one field by which an object is found: a text, the object of another draft, or what the draft "of" has in that field. A soft
// clue also fits where one side has nothing.
type clue struct {
	field, text string
	target, of  *draft
	soft        bool
}

func is(field, text string) clue                   { return clue{field: field, text: text} }
func at(field string, target *draft) clue          { return clue{field: field, target: target} }
func softly(field string, target *draft) clue      { return clue{field: field, target: target, soft: true} }
func (d *draft) found(ways ...[]clue) *draft       { d.finds = append(d.finds, ways...); return d }
func (d *draft) has(field string) bool             { return d.find(field) != nil }
func (d *draft) field(name string) inventory.Field { return mustField(d.noun, name) }

func (d *draft) find(field string) *value {
	for i := range d.values {
		if d.values[i].field.Name == field {
			return &d.values[i]
		}
	}
	return nil
}

func mustField(n *inventory.Noun, name string) inventory.Field {
	f, ok := n.Field(name)
	if !ok {
		panic("importer: " + n.Name + " has no field " + name) // a test walks every format
	}
	return f
}

func mustNoun(name string) *inventory.Noun {
	n, ok := inventory.NounOf(name)
	if !ok {
		panic("importer: there is no noun " + name)
	}
	return n
}

// put sets a field; an earlier value of it is replaced.
func (d *draft) put(v value) {
	if old := d.find(v.field.Name); old != nil {
		*old = v
		return
	}
	d.values = append(d.values, v)
}

// set gives a field a value of its Go type.
func (d *draft) set(field string, v any) *draft {
	d.put(value{field: d.field(field), v: v})
	return d
}

// imply gives a field a value for the case that the object is new.
func (d *draft) imply(field string, v any) *draft {
	if !d.has(field) {
		d.put(value{field: d.field(field), v: v, onNew: true})
	}
	return d
}

// to lets a reference point at another draft; a nil one is left out.
func (d *draft) to(field string, target *draft) *draft {
	if target != nil {
		d.put(value{field: d.field(field), target: target})
	}
	return d
}

// note adds a line to the notes, if it is not empty.
func (d *draft) note(format string, args ...any) {
	line := strings.TrimSpace(fmt.Sprintf(format, args...))
	if line != "" && !slices.Contains(d.notes, line) {
		d.notes = append(d.notes, line)
	}
}

// notesField is where a noun keeps free text.
func notesField(n *inventory.Noun) (inventory.Field, bool) {
	for _, name := range []string{"notes", "description"} {
		if f, ok := n.Field(name); ok && f.Kind == inventory.KindText && !f.ReadOnly {
			return f, true
		}
	}
	return inventory.Field{}, false
}

// builder gathers the drafts of an import.
type builder struct {
	opt    Options
	report *Report
	drafts []*draft
	byKey  map[string]*draft
	// told keeps a warning that concerns a whole column from being said for each row.
	told map[string]bool
	// withParts are the devices that get the parts of their types.
	withParts []*draft
}

func newBuilder(opt Options, report *Report) *builder {
	return &builder{opt: opt, report: report, byKey: map[string]*draft{}, told: map[string]bool{}}
}

// mention returns the draft that the key names within this import, and makes an implied one if there is none.
func (b *builder) mention(noun, key, file string, line int) *draft {
	if d := b.byKey[noun+":"+key]; d != nil {
		return d
	}
	d := &draft{noun: mustNoun(noun), key: key, implied: true, file: file, row: line}
	b.byKey[noun+":"+key] = d
	b.drafts = append(b.drafts, d)
	return d
}

// define is mention for what a row is about; a second row about the same thing is an error.
func (b *builder) define(noun, key, file string, line int) (*draft, bool) {
	d := b.mention(noun, key, file, line)
	if !d.implied {
		b.report.fail(RowError{File: file, Row: line, Value: key, Why: fmt.Sprintf("row %d of %s is about the same %s", d.row, d.file, d.noun.Name)})
		return d, false
	}
	d.implied, d.file, d.row = false, file, line
	for i := range d.values {
		d.values[i].onNew = false
	}
	return d, true
}

// alias lets other rows of this import call d by another key too.
func (b *builder) alias(d *draft, key string) {
	if full := d.noun.Name + ":" + key; key != "" && b.byKey[full] == nil {
		b.byKey[full] = d
	}
}

// row is one row of a table while its format reads it.
type row struct {
	*builder
	table *table
	record
}

// cell is one cell with the title of its column.
type cell struct{ column, text string }

// cell returns the first of the columns that has something; asking marks all of them as known.
func (r *row) cell(names ...string) cell {
	var out cell
	for _, name := range names {
		i, ok := r.table.column[name]
		if !ok {
			continue
		}
		r.table.known[i] = true
		if out.column == "" {
			out.column = r.table.header[i]
		}
		if i < len(r.cells) && out.text == "" && !blank(r.cells[i]) {
			out = cell{r.table.header[i], r.cells[i]}
		}
	}
	return out
}

// blank tells what exports write for nothing.
func blank(s string) bool {
	switch s {
	case "", "—", "-", "–", "None", "null", "NULL", "N/A", "n/a":
		return true
	}
	return false
}

func (r *row) text(names ...string) string { return r.cell(names...).text }

// ignore marks columns that say nothing berth does not know otherwise: numbers of rows, times of last change.
func (r *row) ignore(names ...string) {
	for _, name := range names {
		if i, ok := r.table.column[name]; ok {
			r.table.known[i] = true
		}
	}
}

func (r *row) fail(c cell, why string, args ...any) {
	r.report.fail(RowError{File: r.table.file, Row: r.line, Column: c.column, Value: c.text, Why: fmt.Sprintf(why, args...)})
}

func (r *row) warn(c cell, why string, args ...any) {
	r.report.warn(RowError{File: r.table.file, Row: r.line, Column: c.column, Value: c.text, Why: fmt.Sprintf(why, args...)})
}

func (r *row) mention(noun, key string) *draft {
	return r.builder.mention(noun, key, r.table.file, r.line)
}

func (r *row) define(noun, key string) (*draft, bool) {
	return r.builder.define(noun, key, r.table.file, r.line)
}

// give sets a field of d from a cell, if the cell has something. What cannot be read as the field's kind is an error of the row.
func (r *row) give(d *draft, field string, c cell) *draft {
	if c.text == "" {
		return d
	}
	f := d.field(field)
	if f.Money {
		r.amount(d, f, c)
		return d
	}
	v, err := parse(d.noun, f, c.text, r.opt)
	if err != nil {
		r.fail(c, "%v", err)
		return d
	}
	d.put(value{field: f, v: v, column: c.column, text: c.text})
	return d
}

// amount keeps an amount until the currency of its object is known.
func (r *row) amount(d *draft, f inventory.Field, c cell) {
	if !r.opt.by.SeesMoney() {
		if key := "money " + r.table.file + c.column; !r.told[key] {
			r.told[key] = true
			r.report.fail(RowError{File: r.table.file, Column: c.column, Why: "holds amounts of money, which your account may not see or change; leave the column out"})
		}
		return
	}
	d.put(value{field: f, text: c.text, column: c.column, amount: true})
}

// choose sets an enumerated field through a table of the words that the source uses. A word that is not in it is an error.
func (r *row) choose(d *draft, field string, c cell, words map[string]string) {
	if c.text == "" {
		return
	}
	if v, ok := words[normal(c.text)]; ok {
		if v != "" {
			d.put(value{field: d.field(field), v: v, column: c.column, text: c.text})
		}
		return
	}
	r.give(d, field, c)
}

// readAmounts reads the amounts of a draft, now that its currency is known.
func (b *builder) readAmounts(d *draft) {
	currency := false
	for i := range d.values {
		if v := &d.values[i]; v.amount {
			b.readAmount(d, v)
			currency = currency || v.v != nil
		}
	}
	d.values = slices.DeleteFunc(d.values, func(v value) bool { return v.amount })
	for _, f := range d.noun.MoneyFields() {
		if v := d.find(f.Name); currency && v != nil && !d.has(f.Currency) && b.opt.Currency != "" {
			d.set(f.Currency, b.opt.Currency)
		}
	}
}

// readAmount reads one amount; what cannot be read stays marked as such.
func (b *builder) readAmount(d *draft, v *value) {
	currency := b.opt.Currency
	if c := d.find(v.field.Currency); c != nil && c.v != nil {
		currency = strings.ToUpper(fmt.Sprint(c.v))
	}
	fail := func(why string) {
		b.report.fail(RowError{File: d.file, Row: d.row, Column: v.column, Value: v.text, Why: why})
	}
	if currency == "" {
		if minor, err := inventory.ParseMoney(v.text, ""); err == nil && minor == 0 {
			d.zero(v)
			return
		}
		fail("has no currency: name one for the whole import (currency=EUR), or add a column with it")
		return
	}
	minor, err := inventory.ParseMoney(plainAmount(v.text), currency)
	if err != nil {
		fail(err.Error())
		return
	}
	v.v, v.amount = minor, false
	if v.field.Nullable {
		v.v = &minor
	}
}

// zero is nothing in any currency.
func (d *draft) zero(v *value) {
	v.v, v.amount = int64(0), false
	if v.field.Nullable {
		v.v = new(int64)
	}
}

// plainAmount takes off the signs of currencies that exports put beside amounts; which currency it is stands elsewhere.
func plainAmount(s string) string {
	return strings.TrimSpace(strings.Trim(strings.TrimSpace(s), "$€£¥"))
}
