package importer

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"berth/inventory"
)

// What becomes of columns for which a format has no field.
const (
	KeepNothing = ""       // they are listed in the report
	KeepNotes   = "notes"  // "Title: value" becomes a line of the notes
	KeepFields  = "fields" // they become custom fields, which needs an admin
)

// Options say how a source is to be read. The zero value looks at the source and finds out.
type Options struct {
	Format string            // one of Formats; empty is found out from the headers
	Noun   string            // of a plain table: what its rows are
	Map    map[string]string // titles of columns to fields, or to the title that the format knows: "Seriennummer" = "serial"
	// KeepUnknown is KeepNothing, KeepNotes or KeepFields.
	KeepUnknown string
	Currency    string // ISO 4217, of amounts that have no currency beside them
	Site        string // slug or name of the site of what has none
	Dates       string // "dmy" or "mdy", for dates such as 03/04/2024
	Parts       bool   // new devices get the interfaces, ports and bays that their types list

	by inventory.Actor
}

// mapping is Map in the normal form of headers.
func (o Options) mapping() map[string]string {
	m := make(map[string]string, len(o.Map))
	for from, to := range o.Map {
		m[normal(from)] = normal(to)
	}
	return m
}

// salt is what of the options belongs to an import's identity.
func (o Options) salt() string {
	text, err := json.Marshal(o) // maps are written in the order of their keys
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(text)
}

// check judges the options. Errors: *inventory.Invalid.
func (o *Options) check() error {
	bad := map[string]string{}
	o.Currency = strings.ToUpper(strings.TrimSpace(o.Currency))
	if o.Currency != "" && !inventory.ValidCurrency(o.Currency) {
		bad["currency"] = "is not a currency code such as EUR"
	}
	if !slices.Contains([]string{"", "dmy", "mdy"}, o.Dates) {
		bad["dates"] = "is dmy or mdy"
	}
	if !slices.Contains([]string{KeepNothing, KeepNotes, KeepFields}, o.KeepUnknown) {
		bad["keep_unknown"] = "is notes or fields, or empty"
	}
	if _, ok := formatNamed(o.Format); o.Format != "" && !ok {
		bad["format"] = "is none of " + strings.Join(formatNames(), ", ")
	}
	if o.Noun != "" {
		n, ok := inventory.NounOf(o.Noun)
		switch {
		case !ok:
			bad["noun"] = "there is no such noun"
		case n.Edit == inventory.LevelNone || n.Where != nil && n.Name != "machine":
			bad["noun"] = "is written by berth itself, not imported"
		}
	}
	if len(bad) > 0 {
		return &inventory.Invalid{Noun: "import", Fields: bad}
	}
	return nil
}

// Format is one system that people move in from.
type Format struct {
	Name, Title string
	// Seen says whether the reader was tried on exports of real installations, or is made from the published schema alone.
	Seen  bool
	Help  string
	kinds []kind
}

// kind is one shape of table within a format.
type kind struct {
	name   string
	needs  [][]string // headers: one of each group must be there
	lacks  []string   // and none of these
	helps  []string   // headers that speak for this kind
	column func(r *row)
	rank   int // kinds with lower ranks are read first
}

// Formats are all formats, in the order in which people are offered them.
var Formats = []Format{
	{Name: "netbox", Title: "NetBox CSV", Help: "Sites, racks, devices, interfaces, cables and more: files to import, and what NetBox exports.", kinds: netboxKinds},
	{Name: "devicetypes", Title: "Device-type library", Help: "YAML of device types, module types and rack types: a directory, a zip or a tar."},
	{Name: "netbox-inventory", Title: "netbox-inventory CSV", Help: "Assets of the NetBox plugin.", kinds: []kind{inventoryKind}},
	{Name: "snipeit", Title: "Snipe-IT CSV", Help: "Assets; the titles of columns may be mapped.", kinds: []kind{snipeKind}},
	{Name: "ralph", Title: "Ralph CSV", Help: "Data center assets.", kinds: []kind{ralphKind}},
	{Name: "racktables", Title: "RackTables dump", Help: "What mysqldump writes of its database: objects, racks, ports, links, addresses."},
	{Name: "opendcim", Title: "openDCIM", Help: "Devices, as xlsx or CSV.", kinds: []kind{opendcimKind}},
	{Name: "homebox", Title: "Homebox CSV", Help: "Items, by their import reference.", kinds: []kind{homeboxKind}},
	{Name: "csv", Title: "Plain table", Seen: true, Help: "Any noun: a table whose titles are names of fields, or mapped to them; also what berth itself exports."},
}

func formatNamed(name string) (Format, bool) {
	i := slices.IndexFunc(Formats, func(f Format) bool { return f.Name == name })
	if i < 0 {
		return Format{}, false
	}
	return Formats[i], true
}

func formatNames() []string {
	var names []string
	for _, f := range Formats {
		names = append(names, f.Name)
	}
	return names
}

// score tells how well a kind fits a table; 0 is not at all. The file's name counts most: NetBox names its exports for what is in them.
func (k kind) score(t *table) int {
	for _, group := range k.needs {
		if !t.has(group...) {
			return 0
		}
	}
	if t.has(k.lacks...) {
		return 0
	}
	score := 10 * len(k.needs)
	for _, h := range k.helps {
		if t.has(h) {
			score += 3
		}
	}
	if file := stem(t.file); file != "" && (file == k.name || file == k.name+"s" || strings.HasSuffix(file, " "+k.name) || strings.HasSuffix(file, " "+k.name+"s")) {
		score += 1000
	}
	return score
}

// detect finds the format and kind of a table.
func detect(t *table, format string) (Format, kind, bool) {
	var best Format
	var bestKind kind
	top := 0
	for _, f := range Formats {
		if format != "" && f.Name != format {
			continue
		}
		for _, k := range f.kinds {
			if score := k.score(t); score > top {
				best, bestKind, top = f, k, score
			}
		}
	}
	return best, bestKind, top > 0
}

// byRank orders tables so that what is referred to is read first.
func byRank(a, b recognized) int { return cmp.Compare(a.kind.rank, b.kind.rank) }
