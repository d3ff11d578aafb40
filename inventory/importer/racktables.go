package importer

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"berth/inventory"
)

// RackTables has no export: people move in with a dump of its MySQL database. Everything in it is an Object with a type of the dictionary;
// racks, rows and locations are objects too, and EntityLink says what is in what. The numbers below are those of its dictionary and of
// its list of attributes, of version 0.20 and later.
var racktablesTables = []string{"Object", "AttributeValue", "Dictionary", "RackSpace", "EntityLink", "Port", "PortOuterInterface", "Link", "TagStorage", "TagTree", "IPv4Allocation", "IPv4Network"}

const (
	rtRack, rtRow, rtLocation = "1560", "1561", "1562"

	rtSerial, rtHWType, rtFQDN, rtContact, rtSerial2, rtWarranty, rtUUID, rtHeight = "1", "2", "3", "14", "20", "22", "25", "27"
)

// rackTables is a dump, sorted by what it is about.
type rackTables struct {
	*row
	dump       map[string]*dumped
	objects    map[string]map[string]string // by id, then column
	attributes map[string]map[string]string // by object, then attribute: the text, or the number
	dictionary map[string]string            // by key
	parents    map[string]string            // "rack 12" to "row 3"
	spaces     map[string][]space           // by object
	heights    map[string]float64           // by hardware type
	devices    map[string]*draft            // by object
	tagNames   map[string][]string          // by entity
}

// space is one atom of one unit that an object takes.
type space struct {
	rack, atom string
	unit       int
}

// readDump reads a dump of RackTables into drafts. Reports name objects by their id, as rows.
func (b *builder) readDump(f File) error {
	dump, err := parseDump(f.Name, f.Data, racktablesTables)
	if err != nil {
		return err
	}
	if dump["Object"] == nil {
		return unreadable(f.Name, "has no table Object: it is no dump of RackTables 0.20 or later")
	}
	t := &rackTables{row: &row{builder: b, table: &table{file: f.Name}}, dump: dump, objects: map[string]map[string]string{}, attributes: map[string]map[string]string{},
		dictionary: map[string]string{}, parents: map[string]string{}, spaces: map[string][]space{}, heights: map[string]float64{}, devices: map[string]*draft{}}
	t.gather()
	for _, id := range t.ids() {
		t.line = atoi(id)
		b.report.Rows++
		t.object(id)
	}
	t.ports()
	t.addresses()
	for _, name := range slices.Sorted(maps.Keys(dump)) {
		b.report.Files = append(b.report.Files, FileReport{Name: f.Name, Kind: name, Rows: len(dump[name].rows)})
	}
	return nil
}

// each calls fn with a getter for every row of a table.
func (t *rackTables) each(name string, fn func(get func(column string) string)) {
	d := t.dump[name]
	if d == nil {
		return
	}
	for _, r := range d.rows {
		fn(func(column string) string { return d.get(r, column) })
	}
}

func (t *rackTables) gather() {
	t.each("Object", func(get func(string) string) {
		t.objects[get("id")] = map[string]string{"name": get("name"), "label": get("label"), "type": get("objtype_id"), "asset_no": get("asset_no"), "comment": get("comment"), "problems": get("has_problems")}
	})
	t.each("Dictionary", func(get func(string) string) { t.dictionary[get("dict_key")] = get("dict_value") })
	t.each("AttributeValue", func(get func(string) string) {
		id := get("object_id")
		if t.attributes[id] == nil {
			t.attributes[id] = map[string]string{}
		}
		t.attributes[id][get("attr_id")] = cmp.Or(get("string_value"), get("uint_value"), get("float_value"))
	})
	t.each("EntityLink", func(get func(string) string) {
		t.parents[get("child_entity_type")+" "+get("child_entity_id")] = get("parent_entity_type") + " " + get("parent_entity_id")
	})
	t.each("RackSpace", func(get func(string) string) {
		if id := get("object_id"); id != "" && id != "0" {
			t.spaces[id] = append(t.spaces[id], space{get("rack_id"), get("atom"), atoi(get("unit_no"))})
		}
	})
	t.measureTypes()
}

// measureTypes finds how many units a hardware type takes: what most of its objects take. RackTables keeps heights with objects.
func (t *rackTables) measureTypes() {
	votes := map[string]map[float64]int{}
	for id, spaces := range t.spaces {
		hw := t.attributes[id][rtHWType]
		if hw == "" {
			continue
		}
		if votes[hw] == nil {
			votes[hw] = map[float64]int{}
		}
		_, height, _ := block(spaces)
		votes[hw][height]++
	}
	for hw, heights := range votes {
		best := 0.0
		for _, h := range slices.Sorted(maps.Keys(heights)) {
			if best == 0 || heights[h] > heights[best] {
				best = h
			}
		}
		t.heights[hw] = best
	}
}

// block is the lowest unit that spaces take and how many in a row; whole is false when there are others apart from them.
func block(spaces []space) (lowest int, height float64, whole bool) {
	units := map[int]bool{}
	lowest = spaces[0].unit
	for _, s := range spaces {
		units[s.unit] = true
		lowest = min(lowest, s.unit)
	}
	n := 0
	for units[lowest+n] {
		n++
	}
	return lowest, float64(n), n == len(units)
}

// ids are the objects in an order in which containers come first.
func (t *rackTables) ids() []string {
	ids := slices.Collect(maps.Keys(t.objects))
	rank := map[string]int{rtLocation: -3, rtRow: -2, rtRack: -1}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(cmp.Compare(rank[t.objects[a]["type"]], rank[t.objects[b]["type"]]), cmp.Compare(atoi(a), atoi(b)))
	})
	return ids
}

func (t *rackTables) object(id string) {
	switch o := t.objects[id]; o["type"] {
	case rtLocation, rtRow: // they come with their racks
	case rtRack:
		t.rackObject(id, o)
	default:
		t.thing(id, o)
	}
}

// where climbs from a rack to its site and room. The topmost location is the site; what is between are rooms.
func (t *rackTables) where(entity string) (site, location *draft) {
	var path []string
	for range 20 { // a circle of links ends here
		entity = t.parents[entity]
		kind, id, _ := strings.Cut(entity, " ")
		if kind != "row" && kind != "location" {
			break
		}
		path = append(path, t.objects[id]["name"])
	}
	slices.Reverse(path)
	if len(path) == 0 || t.opt.Site != "" {
		path = append([]string{defaultText(t.opt.Site, "RackTables")}, path...)
	}
	return t.path(strings.Join(path, "/"))
}

func (t *rackTables) rackObject(id string, o map[string]string) {
	site, location := t.where("rack " + id)
	d := t.rack(site, location, o["name"])
	if d == nil {
		t.report.fail(RowError{File: t.table.file, Row: atoi(id), Column: "name", Why: "a rack without a name cannot be kept"})
		return
	}
	d.implied, d.row = false, atoi(id)
	if h, err := strconv.Atoi(t.attributes[id][rtHeight]); err == nil && h > 0 {
		d.set("u_height", h)
	}
	if o["asset_no"] != "" {
		d.set("asset_tag", o["asset_no"])
	}
	d.note("%s", o["comment"])
	t.tagged("rack", id, d)
}

// virtual are words in the names of object types that are no hardware.
var virtual = regexp.MustCompile(`(?i)^(vm\b|virtual|resource pool)`)

func (t *rackTables) thing(id string, o map[string]string) {
	kind := t.dictionary[o["type"]]
	if virtual.MatchString(kind) {
		t.report.warn(RowError{File: t.table.file, Row: atoi(id), Value: o["name"], Why: "is a " + kind + ", which is no hardware, and was left out"})
		return
	}
	maker, model := hardware(t.dictionary[t.attributes[id][rtHWType]])
	if digits := t.attributes[id][rtHWType]; maker == "" && strings.Trim(digits, "0123456789") != "" {
		maker, model = hardware(digits)
	}
	serial := cmp.Or(t.attributes[id][rtSerial], t.attributes[id][rtSerial2])
	a, ok := t.asset(thing{tag: cell{"asset_no", o["asset_no"]}, serial: cell{"OEM S/N 1", serial}, maker: t.manufacturer(maker), ref: "racktables:" + id})
	if !ok {
		return
	}
	a.imply("name", defaultText(o["label"], o["name"]))
	if strings.Contains(strings.ToLower(kind), "pdu") {
		a.set("kind", "pdu")
	}
	t.facts(id, a)
	spaces := t.spaces[id]
	kindOf := t.hardwareType(id, kind, maker, model, spaces)
	a.to("device_type", kindOf)
	name := defaultText(o["name"], t.attributes[id][rtFQDN])
	if name == "" {
		a.imply("custody", "storage").note("RackTables: %s without a name", kind)
		return
	}
	d, ok := t.device(cell{"name", name}, a)
	if !ok {
		return
	}
	t.devices[id] = d
	d.to("device_type", kindOf).set("role", shorten(strings.ToLower(kind)))
	d.note("%s", o["comment"])
	if o["problems"] == "yes" {
		d.note("RackTables: has problems")
	}
	t.put(id, a, d, spaces)
	t.tagged("object", id, d)
}

// facts are what attributes say.
func (t *rackTables) facts(id string, a *draft) {
	at := t.attributes[id]
	if at[rtUUID] != "" {
		a.set("system_uuid", strings.ToLower(at[rtUUID]))
	}
	if seconds, err := strconv.ParseInt(at[rtWarranty], 10, 64); err == nil && seconds > 0 && seconds < 1<<33 {
		a.set("warranty_end", inventory.DateOf(time.Unix(seconds, 0).UTC()))
	}
	if at[rtContact] != "" {
		a.note("Contact person: %s", at[rtContact])
	}
	if at[rtSerial] != "" && at[rtSerial2] != "" {
		a.note("OEM S/N 2: %s", at[rtSerial2])
	}
}

// gmarks are how RackTables writes a product within its family: "PowerEdge%GPASS%R640", "%GSKIP%", "%L2,1H%".
var gmarks = regexp.MustCompile(`%G(PASS|SKIP)%|%L[0-9]+,[0-9]+[HV]*%`)

// hardware splits a value of the dictionary into maker and model. It may be a link: "[[Dell PowerEdge R640 | https://…]]".
func hardware(text string) (maker, model string) {
	text = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(text), "[["), "]]")
	text, _, _ = strings.Cut(text, " | ")
	text = strings.Join(strings.Fields(gmarks.ReplaceAllString(text, " ")), " ")
	maker, model, ok := strings.Cut(text, " ")
	if !ok {
		return "", text
	}
	return maker, model
}

func (t *rackTables) hardwareType(id, kind, maker, model string, spaces []space) *draft {
	height := 1.0
	if len(spaces) > 0 {
		_, height, _ = block(spaces)
	}
	if model == "" {
		if height == 1 {
			return nil
		}
		return t.deviceType("Generic", fmt.Sprintf("%gU %s", height, defaultText(kind, "object")), height)
	}
	usual := t.heights[t.attributes[id][rtHWType]]
	if len(spaces) > 0 && usual != 0 && usual != height {
		t.report.warn(RowError{File: t.table.file, Row: atoi(id), Value: t.objects[id]["name"], Why: fmt.Sprintf("takes %g units where its type mostly takes %g; the type's height counts", height, usual)})
	}
	if usual == 0 {
		usual = height
	}
	d := t.deviceType(maker, model, usual)
	if d != nil && len(spaces) > 0 && !takes(spaces, "rear") && !takes(spaces, "interior") {
		d.put(value{field: d.field("is_full_depth"), v: false, onNew: true})
	}
	return d
}

func takes(spaces []space, atom string) bool {
	return slices.ContainsFunc(spaces, func(s space) bool { return s.atom == atom })
}

// put gives asset and device their place: units of a rack, or a rack alone for what is on its sides.
func (t *rackTables) put(id string, a, d *draft, spaces []space) {
	rackID := ""
	switch kind, parent, _ := strings.Cut(t.parents["object "+id], " "); {
	case len(spaces) > 0:
		rackID = spaces[0].rack
	case kind == "rack":
		rackID = parent
	case kind == "object" && t.objects[parent] != nil:
		d.note("In: %s", t.objects[parent]["name"])
	}
	if rackID == "" {
		a.imply("custody", "storage")
		d.imply("status", "offline")
		return
	}
	site, location := t.where("rack " + rackID)
	rack := t.rack(site, location, t.objects[rackID]["name"])
	a.imply("custody", "installed").to("site", site).to("location", location)
	d.to("site", site).to("location", location).to("rack", rack)
	if len(spaces) == 0 || rack == nil {
		return
	}
	lowest, _, whole := block(spaces)
	if !whole || slices.ContainsFunc(spaces, func(s space) bool { return s.rack != rackID }) {
		t.report.warn(RowError{File: t.table.file, Row: atoi(id), Value: t.objects[id]["name"], Why: "takes units that do not lie together; it is put where the lowest of them begin"})
	}
	position := float64(lowest)
	d.put(value{field: d.field("position"), v: &position, column: "RackSpace", text: fmt.Sprint(lowest)})
	face := "front"
	if takes(spaces, "rear") && !takes(spaces, "front") {
		face = "rear"
	}
	d.set("face", face)
}

// tagged puts the tags of an entity on its draft.
func (t *rackTables) tagged(realm, id string, d *draft) {
	if t.tagNames == nil {
		t.tagNames = map[string][]string{}
		words := map[string]string{}
		t.each("TagTree", func(get func(string) string) { words[get("id")] = get("tag") })
		t.each("TagStorage", func(get func(string) string) {
			if w := words[get("tag_id")]; w != "" {
				key := get("entity_realm") + " " + get("entity_id")
				t.tagNames[key] = append(t.tagNames[key], w)
			}
		})
	}
	if names := t.tagNames[realm+" "+id]; len(names) > 0 {
		t.tags(d, cell{"TagStorage", strings.Join(names, "\n")})
	}
}

// ports makes interfaces of ports, and cables of links between them.
func (t *rackTables) ports() {
	ports := map[string]*draft{}
	t.each("Port", func(get func(string) string) {
		d := t.devices[get("object_id")]
		if d == nil || get("name") == "" {
			return
		}
		t.line = atoi(get("object_id"))
		port := t.port(d.key, cell{"Port", d.key}, get("name"))
		ports[get("id")] = port
		if l2 := get("l2address"); l2 != "" && port.implied {
			if mac, err := inventory.CanonicalMAC(l2); err == nil {
				port.imply("mac", mac)
			} else {
				t.report.warn(RowError{File: t.table.file, Row: t.line, Column: "Port.l2address", Value: l2, Why: "is no MAC address and was left out"})
			}
		}
		port.note("%s", cmp.Or(get("label"), get("reservation_comment")))
		port.implied = false
	})
	t.each("Link", func(get func(string) string) {
		a, b := ports[get("porta")], ports[get("portb")]
		if a == nil || b == nil || a == b {
			return
		}
		t.line = a.row
		if d, ok := t.define("cable", "interface/"+a.key+" interface/"+b.key); ok {
			d.to("a_interface", a).to("b_interface", b).set("status", "connected")
			if get("cable") != "" {
				d.set("label", shorten(get("cable")))
			}
			d.found([]clue{at("a_interface", a), at("b_interface", b)}, []clue{at("b_interface", a), at("a_interface", b)})
		}
	})
}

// addresses makes prefixes of networks, and addresses of allocations; RackTables keeps both as numbers.
func (t *rackTables) addresses() {
	t.each("IPv4Network", func(get func(string) string) {
		ip, ok := ipv4(get("ip"))
		if !ok {
			return
		}
		prefix := netip.PrefixFrom(ip, atoi(get("mask"))).String()
		t.line = atoi(get("id"))
		if d, ok := t.define("prefix", prefix); ok {
			d.set("prefix", prefix).found([]clue{is("prefix", prefix)})
			d.note("%s", strings.Join(strings.Fields(get("name")+" "+get("comment")), " "))
		}
	})
	t.each("IPv4Allocation", func(get func(string) string) {
		ip, ok := ipv4(get("ip"))
		device := t.devices[get("object_id")]
		if !ok || device == nil || t.byKey["address:"+ip.String()] != nil {
			return // a shared address belongs to the first that has it
		}
		t.line = atoi(get("object_id"))
		d, _ := t.define("address", ip.String())
		d.set("address", ip.String()).found([]clue{is("address", ip.String())})
		if get("name") != "" {
			d.to("interface", t.port(device.key, cell{"IPv4Allocation", device.key}, get("name")))
		}
	})
}

func ipv4(text string) (netip.Addr, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}), true
}
