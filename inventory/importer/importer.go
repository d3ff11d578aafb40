package importer

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"berth/inventory"
)

// recognized is a table and what it was taken for.
type recognized struct {
	table  *table
	kind   kind
	format string
}

// Check reads a source and makes the plan of its import, without changing anything. What is wrong with rows stands in the plan's report;
// errors are *inventory.Invalid for options and *Unreadable for the source as a whole.
func Check(ctx context.Context, rec Reader, now time.Time, by inventory.Actor, src Source, opt Options) (*Plan, error) {
	if err := opt.check(); err != nil {
		return nil, err
	}
	digest, err := src.Digest(opt.salt())
	if err != nil {
		return nil, err
	}
	opt.by = by
	report := &Report{Format: opt.Format, DryRun: true, Digest: digest}
	b := newBuilder(opt, report)
	if err := b.read(src); err != nil {
		return nil, err
	}
	p, err := plan(ctx, rec, now, by, b)
	if err != nil {
		return nil, err
	}
	p.digest, p.name = digest, src.Name
	return p, nil
}

// read reads every file of the source into drafts.
func (b *builder) read(src Source) error {
	if src.Size > MaxUpload {
		return unreadable(src.Name, "is larger than the %d MiB that an import may have", MaxUpload>>20)
	}
	var tables []recognized
	var library []File
	err := src.each(wanted, func(f File) error {
		switch {
		case isYAML(f.Name) && (b.opt.Format == "" || b.opt.Format == "devicetypes"):
			library = append(library, f)
			return nil
		case b.opt.Format == "devicetypes":
			b.report.warn(RowError{File: f.Name, Why: "is no YAML and was left out"})
			return nil
		case b.opt.Format == "racktables" || b.opt.Format == "" && isDump(f):
			b.is("racktables")
			return b.readDump(f)
		}
		t, err := readTable(f, b.opt, b.report)
		if err != nil {
			return err
		}
		known, err := b.recognize(t)
		if err == nil && known.table != nil {
			tables = append(tables, known)
		}
		return err
	})
	if err != nil {
		return err
	}
	if len(library) > 0 {
		b.is("devicetypes")
		b.readLibrary(library)
	}
	slices.SortStableFunc(tables, byRank)
	for _, t := range tables {
		b.readRows(t)
	}
	if len(b.drafts) == 0 && !b.report.Failed() && b.report.Rows == 0 {
		return unreadable(src.Name, "holds nothing that can be imported")
	}
	return nil
}

// is notes the format that was found.
func (b *builder) is(format string) {
	if b.report.Format == "" {
		b.report.Format = format
	}
}

// wanted leaves out of an archive what is certainly no table and no library: pictures, documentation.
func wanted(name string) bool {
	for _, end := range []string{".csv", ".tsv", ".txt", ".xlsx", ".sql", ".yaml", ".yml"} {
		if strings.HasSuffix(strings.ToLower(name), end) {
			return true
		}
	}
	return false
}

func isYAML(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

// isDump tells a dump of MySQL from a table.
func isDump(f File) bool {
	head := f.Data[:min(len(f.Data), 64<<10)]
	return strings.HasSuffix(strings.ToLower(f.Name), ".sql") || bytes.Contains(head, []byte("CREATE TABLE `")) || bytes.Contains(head, []byte("INSERT INTO `"))
}

// recognize finds out what a table is. A table that is nothing known is an error, unless it came with others that are.
func (b *builder) recognize(t *table) (recognized, error) {
	if b.opt.Format == "csv" || b.opt.Format == "" && b.opt.Noun != "" {
		return b.plain(t)
	}
	// Our own exports have uids, and are named for their noun.
	if n, ok := namedByFile(t); ok && b.opt.Format == "" && allFields(t, n) && t.has("uid") {
		return b.plain(t)
	}
	f, k, ok := detect(t, b.opt.Format)
	if ok {
		b.is(f.Name)
		return recognized{t, k, f.Name}, nil
	}
	if b.opt.Format != "" {
		return recognized{}, &Unreadable{File: t.file, Why: "its columns are not those of " + b.opt.Format + ": " + shorten(strings.Join(t.header, ", "))}
	}
	return b.plain(t)
}

func (b *builder) plain(t *table) (recognized, error) {
	n, err := plainNoun(t, b.opt.Noun)
	if err != nil {
		return recognized{}, err
	}
	b.is("csv")
	return recognized{t, plainKind(t, n), "csv"}, nil
}

// readRows lets the kind of a table read its rows, and then deals with the columns that it has no field for.
func (b *builder) readRows(t recognized) {
	b.report.Files = append(b.report.Files, FileReport{Name: t.table.file, Kind: t.kind.name, Rows: len(t.table.rows)})
	for _, rec := range t.table.rows {
		b.report.Rows++
		from := len(b.drafts)
		r := &row{builder: b, table: t.table, record: rec}
		t.kind.column(r)
		r.keepUnknown(from)
	}
	for _, u := range t.table.unknown() {
		u.Kept = b.opt.KeepUnknown
		b.report.Unknown = append(b.report.Unknown, u)
	}
}

// keepUnknown puts what the row has in columns without a field where the user wants it: on the first object that the row is about.
func (r *row) keepUnknown(from int) {
	if r.opt.KeepUnknown == KeepNothing {
		return
	}
	d := r.subject(from)
	if d == nil {
		return
	}
	for i, text := range r.cells {
		if r.table.known[i] || text == "" {
			continue
		}
		if _, ok := notesField(d.noun); ok && r.opt.KeepUnknown == KeepNotes {
			d.note("%s: %s", r.table.header[i], strings.ReplaceAll(text, "\n", " "))
			continue
		}
		r.custom(d, r.table.header[i], text)
	}
}

// subject is what a row is about: the first thing it defines.
func (r *row) subject(from int) *draft {
	for _, d := range r.drafts[from:] {
		if !d.implied && d.row == r.line {
			return d
		}
	}
	return nil
}

// custom keeps a value in a custom field of the noun, which is made if it does not exist.
func (r *row) custom(d *draft, title, text string) {
	name := strings.ReplaceAll(d.noun.Name+" "+normal(title), " ", "_")
	name = strings.ReplaceAll(name, "-", "_")
	field := r.mention("custom-field", name)
	field.imply("name", name).imply("label", shorten(title)).imply("noun", d.noun.Name).imply("kind", "text")
	if len(field.finds) == 0 {
		field.found([]clue{is("name", name)})
	}
	value, ok := r.define("custom-value", name+":"+d.noun.Name+":"+d.key)
	if !ok {
		return
	}
	value.to("custom_field", field).to("object", d).set("noun", d.noun.Name).set("value", shorten(text))
	value.found([]clue{at("object", d), at("custom_field", field)})
}

// tag puts tags on what a row is about. What NetBox writes of colours and slugs beside them is not there: a tag is its name.
func (r *row) tags(d *draft, c cell) {
	for _, name := range splitList(c.text) {
		slug := inventory.Slug(name)
		if slug == "" {
			continue
		}
		tag := r.mention("tag", slug).imply("name", name).imply("slug", slug)
		if len(tag.finds) == 0 {
			tag.found([]clue{is("slug", slug)})
		}
		key := slug + ":" + d.noun.Name + ":" + d.key
		if r.byKey["tagging:"+key] != nil {
			continue
		}
		tagging, _ := r.define("tagging", key)
		tagging.to("tag", tag).to("object", d).set("noun", d.noun.Name).found([]clue{at("object", d), at("tag", tag)})
	}
}
