package importer

import (
	"fmt"
	"slices"
	"strings"

	"berth/inventory"
)

// plainNoun is the noun of a plain table: the one named, else the one whose name the file bears, else the one noun that has all columns.
func plainNoun(t *table, named string) (*inventory.Noun, error) {
	if named != "" {
		return mustNoun(named), nil
	}
	if n, ok := namedByFile(t); ok {
		return n, nil
	}
	var fits []string
	for _, n := range inventory.Nouns {
		if n.Edit == inventory.LevelNone || n.Where != nil {
			continue
		}
		if allFields(t, n) {
			fits = append(fits, n.Name)
		}
	}
	if len(fits) == 1 {
		return mustNoun(fits[0]), nil
	}
	return nil, unreadable(t.file, "it cannot be told what its rows are: choose a format, or say the noun (noun=asset). Its columns are %s", shorten(strings.Join(t.header, ", ")))
}

// namedByFile is the noun whose name the file bears: "assets.csv".
func namedByFile(t *table) (*inventory.Noun, bool) {
	n, ok := inventory.NounOf(strings.ReplaceAll(stem(t.file), " ", "-"))
	return n, ok && n.Edit != inventory.LevelNone && n.Where == nil
}

// allFields tells whether every column is a field of n.
func allFields(t *table, n *inventory.Noun) bool {
	return !slices.ContainsFunc(t.names, func(name string) bool { return name != "" && fieldFor(n, name) == "" })
}

// fieldFor is the field that a column names: by its name, or by its title as pages show it.
func fieldFor(n *inventory.Noun, column string) string {
	for _, f := range n.Fields {
		if f.Hidden {
			continue
		}
		if normal(f.Name) == column || normal(f.Title) == column || f.Unit != "" && normal(f.Title+" "+f.Unit) == column {
			return f.Name
		}
	}
	return ""
}

// plainKind reads a table of any noun.
func plainKind(t *table, n *inventory.Noun) kind {
	fields := map[string]inventory.Field{} // by column
	for _, name := range t.names {
		if field := fieldFor(n, name); field != "" {
			fields[name] = mustField(n, field)
		}
	}
	return kind{name: n.Name, rank: slices.Index(inventory.Nouns, n), column: func(r *row) { r.plain(n, fields) }}
}

// plain reads one row: each column is a field. References are by uid, natural key or name.
func (r *row) plain(n *inventory.Noun, fields map[string]inventory.Field) {
	cells := map[string]cell{}
	for name, f := range fields {
		i := r.table.column[name]
		r.table.known[i] = true
		if i < len(r.cells) && r.cells[i] != "" {
			cells[f.Name] = cell{r.table.header[i], inventory.PlainCell(r.cells[i])}
		}
	}
	if len(cells) == 0 {
		return
	}
	d, ok := r.define(n.Name, plainKey(n, cells, r.line))
	if !ok {
		return
	}
	for _, f := range n.Fields {
		c, given := cells[f.Name]
		switch {
		case !given || meta(f.Name) || f.ReadOnly:
		case f.Kind == inventory.KindRef:
			d.put(value{field: f, ref: c.text, column: c.column, text: c.text})
		default:
			r.give(d, f.Name, c)
		}
	}
	r.plainFinds(d, cells)
}

func meta(field string) bool {
	switch field {
	case "uid", "revision", "created_at", "updated_at":
		return true
	}
	return false
}

// natural pairs are by what a row is found that has neither uid nor natural key: the second field within the object of the first.
var pairs = map[string][2]string{
	"interface": {"device", "name"}, "power-port": {"device", "name"}, "power-outlet": {"device", "name"}, "module-bay": {"device", "name"},
	"component": {"device", "slot"}, "power-feed": {"power_panel", "name"}, "power-panel": {"site", "name"}, "vlan": {"site", "vid"},
	"rack-reservation": {"rack", "from_unit"}, "parcel": {"shipment", "label"}, "shipment-item": {"shipment", "serial"}, "contact": {"organization", "name"},
	"bmc": {"device", "address"}, "book-entry": {"asset", "book"},
}

// plainKey tells rows of one table apart.
func plainKey(n *inventory.Noun, cells map[string]cell, line int) string {
	if c := cells["uid"]; c.text != "" {
		return c.text
	}
	if c := cells[n.Natural]; c.text != "" {
		return naturalText(n, c.text)
	}
	if n.Natural == "slug" && cells["name"].text != "" {
		return inventory.Slug(cells["name"].text)
	}
	if pair, ok := pairs[n.Name]; ok && cells[pair[0]].text != "" && cells[pair[1]].text != "" {
		return cells[pair[0]].text + "\x00" + cells[pair[1]].text
	}
	for _, name := range []string{"import_ref", "serial", "name", "label"} {
		if c := cells[name]; c.text != "" && !(name == "serial" && junkSerial(c.text)) {
			return name + " " + cells["manufacturer"].text + " " + c.text
		}
	}
	return fmt.Sprintf("row %d", line)
}

// plainFinds says how a row's object is found in the record.
func (r *row) plainFinds(d *draft, cells map[string]cell) {
	n := d.noun
	if c := cells["uid"]; c.text != "" {
		d.found([]clue{is("uid", strings.ToLower(c.text))})
		if inventory.UID(strings.ToLower(c.text)).Valid() {
			d.wantUID = inventory.UID(strings.ToLower(c.text))
		} else {
			r.fail(c, "is not a uid: 32 hexadecimal digits")
		}
	}
	if v := d.find(n.Natural); v != nil {
		d.found([]clue{is(n.Natural, naturalText(n, cells[n.Natural].text))})
	} else if n.Natural == "slug" && cells["name"].text != "" {
		d.found([]clue{is("slug", inventory.Slug(cells["name"].text))})
	}
	if pair, ok := pairs[n.Name]; ok && d.has(pair[0]) && d.has(pair[1]) {
		d.found([]clue{byValue(d, pair[0]), byValue(d, pair[1])})
	}
	if c := cells["import_ref"]; c.text != "" {
		d.found([]clue{is("import_ref", c.text)})
	}
	if c := cells["serial"]; c.text != "" && !junkSerial(c.text) && (n.Name == "asset" || n.Name == "component") {
		way := []clue{is("serial", c.text)}
		if n.Name == "asset" && d.has("manufacturer") {
			way = append(way, clue{field: "manufacturer", of: d, soft: true})
		}
		d.found(way)
	}
	if f, ok := n.Field("name"); ok && f.Filter && len(d.finds) == 0 && d.has("name") {
		d.found([]clue{is("name", cells["name"].text)})
	}
}

// byValue is the clue that a field has what this draft says of it.
func byValue(d *draft, field string) clue {
	if v := d.find(field); v.ref == "" {
		return is(field, fmt.Sprint(v.v))
	}
	return clue{field: field, of: d}
}

// junkSerials are what firmware and people write where no serial is.
var junkSerials = map[string]bool{"0": true, "na": true, "n a": true, "none": true, "unknown": true, "default string": true, "to be filled by o e m": true, "not specified": true,
	"system serial number": true, "serial": true, "tbd": true, "xxxxxxxx": true, "0123456789": true, "123456789": true, "1234567890": true, "empty": true, "null": true}

func junkSerial(s string) bool {
	n := normal(s)
	return n == "" || junkSerials[n] || strings.Trim(n, "0") == "" || strings.Trim(n, "x") == ""
}
