package importer

import (
	"fmt"
	"strings"
)

// The asset managers: netbox-inventory, Snipe-IT, Ralph, openDCIM, Homebox. The columns are those of VOCABULARY's sources; all titles are
// compared in the normal form ("Purchase Date" is "purchase date").

var inventoryKind = kind{name: "asset", rank: 60, needs: [][]string{{"hardware kind", "kind"}, {"serial", "serial number"}, {"status"}},
	helps: []string{"storage location", "storage site", "owning tenant", "purchase", "delivery", "warranty start", "model name"}, column: (*row).netboxInventory}

func (r *row) netboxInventory() {
	maker := r.manufacturer(r.text("manufacturer"))
	name := r.cell("name")
	a, ok := r.asset(thing{tag: r.cell("asset tag"), serial: r.cell("serial", "serial number"), maker: maker, ref: "netbox-inventory:" + name.text})
	if !ok {
		return
	}
	r.give(a, "name", name)
	kinds := map[string]string{"device": "device", "module": "component", "inventory item": "component", "inventoryitem": "component", "rack": "rack"}
	r.choose(a, "kind", r.cell("hardware kind", "kind"), kinds)
	model := r.text("model name", "hardware type", "device type")
	if r.text("hardware kind", "kind") == "device" {
		a.to("device_type", r.deviceType(r.text("manufacturer"), model, 0))
	} else if model != "" {
		a.note("Model: %s", model)
	}
	r.give(a, "part_number", r.cell("part number"))
	r.settle(r.cell("status"), netboxAsset, a, nil)
	site := r.site(r.text("storage site", "site"))
	inPlace(a, site, r.location(site, r.text("storage location", "location"), nil))
	a.to("owner", r.organization(r.text("owning tenant", "owner")))
	a.to("acquisition", r.purchase(r.text("supplier"), r.text("purchase"), r.cell("purchase date")))
	r.give(a, "acquired_at", r.cell("delivery date", "purchase date"))
	r.give(a, "warranty_start", r.cell("warranty start"))
	r.give(a, "warranty_end", r.cell("warranty end"))
	r.titled(a, "role", "delivery", "receiving contact", "tenant", "contact", "bom")
	r.comment(a, "description", "comments")
	r.tags(a, r.cell("tags"))
	r.ignore("id", "url", "created", "last updated", "model description")
}

var snipeKind = kind{name: "asset", rank: 60, needs: [][]string{{"asset tag"}, {"model", "model name", "model number", "asset model"}},
	helps: []string{"category", "company", "checked out to username", "checkout type", "order number", "purchase cost", "requestable", "byod", "item name", "serial number", "asset eol date"},
	lacks: []string{"device type", "hardware kind", "hb name", "position"}, column: (*row).snipe}

func (r *row) snipe() {
	maker := r.manufacturer(r.text("manufacturer"))
	a, ok := r.asset(thing{tag: r.cell("asset tag"), serial: r.cell("serial number", "serial"), maker: maker})
	if !ok {
		return
	}
	r.give(a, "name", r.cell("name", "item name", "asset name"))
	a.to("device_type", r.deviceType(r.text("manufacturer"), r.text("model", "model name", "asset model", "model number"), 0))
	r.give(a, "part_number", r.cell("model number"))
	r.settle(r.cell("status", "status type", "status label"), snipe, a, nil)
	r.snipeWhere(a)
	a.to("owner", r.organization(r.text("company")))
	a.to("acquisition", r.purchase(r.text("supplier"), r.text("order number"), r.cell("purchase date")))
	r.give(a, "acquired_at", r.cell("purchase date"))
	r.give(a, "currency", r.cell("currency"))
	r.give(a, "cost_amount", r.cell("purchase cost"))
	r.give(a, "eol_date", r.cell("asset eol date", "eol date", "eol"))
	r.snipeWarranty(a)
	r.titled(a, "category", "checked out to username", "checked out to first name", "checked out to last name", "checked out to email", "checked out to full name",
		"last audit date", "next audit date", "byod", "requestable")
	r.comment(a, "asset notes", "notes", "model notes")
	r.ignore("image", "id", "created at", "updated at", "checkout type", "checkout date", "expected checkin")
}

// snipeWhere says where a thing is: with a person, at a place, or on the shelf of its location.
func (r *row) snipeWhere(a *draft) {
	place := r.text("checked out to location", "location", "default location")
	site := r.site(place)
	if place != "" {
		a.to("site", site)
	}
	out := normal(r.text("checkout type", "checked out to type"))
	custody, _ := a.find("custody"), out
	if custody != nil && custody.v != "storage" && custody.v != "received" {
		return // broken, sold, archived: stronger than who had it last
	}
	switch {
	case out == "user" || r.text("checked out to username", "checked out to email", "checked out to full name") != "":
		a.set("custody", "on_loan")
	case out == "location" || out == "asset" || r.text("checked out to location") != "":
		a.set("custody", "installed")
	}
}

// snipeWarranty reads a warranty that is given in months from the day of purchase.
func (r *row) snipeWarranty(a *draft) {
	c := r.cell("warranty", "warranty months")
	if c.text == "" {
		return
	}
	months, err := parseInt(strings.TrimSuffix(strings.TrimSuffix(normal(c.text), " months"), " month"))
	if err != nil || months < 0 || months > 1200 {
		r.fail(c, "is not a number of months")
		return
	}
	if bought, err := parseDate(r.text("purchase date"), r.opt.Dates); err == nil && bought != "" && months > 0 {
		a.set("warranty_start", bought).set("warranty_end", bought.AddMonths(int(months)))
		return
	}
	r.titled(a, "warranty", "warranty months")
}

var ralphKind = kind{name: "data center asset", rank: 60, needs: [][]string{{"hostname"}, {"sn", "serial number"}, {"barcode"}},
	helps: []string{"niw", "service env", "slot no", "orientation", "budget info", "depreciation rate", "property of", "management ip"}, column: (*row).ralph}

func (r *row) ralph() {
	model, maker := r.text("model"), r.text("manufacturer", "model manufacturer")
	// Ralph writes a model as "[data center asset] Maker Model".
	if _, after, ok := strings.Cut(model, "] "); ok {
		model = after
	}
	if first, rest, ok := strings.Cut(model, " "); ok && maker == "" {
		maker, model = first, rest
	}
	host := r.cell("hostname")
	a, ok := r.asset(thing{tag: r.cell("barcode"), serial: r.cell("sn", "serial number"), maker: r.manufacturer(maker), ref: "ralph:" + r.text("id", "niw", "hostname")})
	if !ok {
		return
	}
	kindOf := r.deviceType(maker, model, 0)
	a.to("device_type", kindOf)
	d, isDevice := r.device(host, a)
	site, rack := r.ralphPlace()
	inPlace(a, site, nil)
	if isDevice {
		d.to("device_type", kindOf)
		r.place(d, site, nil, rack, r.cell("position"), r.cell("orientation"))
		if side := normal(r.text("orientation")); side == "left" || side == "right" {
			d.set("side", side).set("position", (*float64)(nil))
		}
		r.titled(d, "service env", "slot no", "management ip", "management hostname", "firmware version", "bios version", "production use date")
		r.tags(d, r.cell("tags"))
		r.settle(r.cell("status"), ralph, a, d)
	} else {
		r.settle(r.cell("status"), ralph, a, nil)
		r.titled(a, "service env", "rack", "position", "orientation")
	}
	r.ralphMoney(a)
	r.titled(a, "niw", "parent", "source", "depreciation rate", "depreciation end date", "budget info", "task url", "invoice no")
	r.comment(a, "remarks")
	r.ignore("id", "created", "modified", "baseobject ptr", "asset ptr")
}

func (r *row) ralphPlace() (site, rack *draft) {
	room, dc := r.text("server room", "rack server room"), r.text("data center", "dc", "rack server room data center")
	name := r.text("rack")
	site = r.site(dc)
	location := r.location(site, room, nil)
	return site, r.rack(site, location, name)
}

func (r *row) ralphMoney(a *draft) {
	a.to("owner", r.organization(r.text("property of")))
	a.to("acquisition", r.purchase(r.text("provider"), r.text("order no"), r.cell("invoice date")))
	r.give(a, "acquired_at", r.cell("delivery date", "invoice date"))
	r.give(a, "currency", r.cell("price currency", "currency"))
	r.give(a, "cost_amount", r.cell("price"))
	r.ignore("invoice date")
}

var opendcimKind = kind{name: "device", rank: 60, needs: [][]string{{"datacenterid", "data center", "datacenter"}, {"cabinet"}, {"label"}},
	helps: []string{"hostname", "serialno", "assettag", "backside", "halfdepth", "hypervisor", "installdate", "customtags"}, column: (*row).opendcim}

func (r *row) opendcim() {
	maker, model := r.text("manufacturer"), r.text("model")
	label, host := r.cell("label"), r.cell("hostname")
	if host.text == "" {
		host = label
	}
	centre, cabinet := r.text("datacenterid", "data center", "datacenter"), r.text("cabinet")
	a, ok := r.asset(thing{tag: r.cell("assettag", "asset tag"), serial: r.cell("serialno", "serial no", "serial"), maker: r.manufacturer(maker), ref: "opendcim:" + centre + "/" + cabinet + "/" + label.text})
	if !ok {
		return
	}
	r.give(a, "name", label)
	height, err := parseFloat(defaultText(r.text("height"), "1"))
	if err != nil || height < 0 || height > 100 {
		r.fail(r.cell("height"), "is not a number of units")
	}
	half := r.isTrue("halfdepth", "half depth")
	kindOf := r.deviceType(maker, model, height)
	if kindOf == nil && height != 1 {
		kindOf = r.deviceType("Generic", fmt.Sprintf("%gU device", height), height)
	}
	if kindOf != nil && half {
		kindOf.set("is_full_depth", false)
		if kindOf.implied {
			kindOf.find("is_full_depth").onNew = true
		}
	}
	a.to("device_type", kindOf)
	site := r.site(centre)
	rack := r.rack(site, nil, cabinet)
	inPlace(a, site, nil)
	d, isDevice := r.device(host, a)
	if isDevice {
		face := cell{"BackSide", "front"}
		if r.isTrue("backside", "back side") {
			face.text = "rear"
		}
		d.to("device_type", kindOf)
		r.place(d, site, nil, rack, r.cell("position"), face)
		r.titled(d, "hypervisor", "primarycontact", "primary contact")
		r.tags(d, r.cell("customtags", "custom tags"))
	}
	r.settle(r.cell("status"), opendcim, a, d)
	a.to("owner", r.organization(r.text("owner")))
	r.give(a, "acquired_at", r.cell("installdate", "install date"))
	r.comment(a, "notes")
}

func defaultText(s, standard string) string {
	if s == "" {
		return standard
	}
	return s
}

// isTrue reads a truth value where nothing is false.
func (r *row) isTrue(names ...string) bool {
	c := r.cell(names...)
	if c.text == "" {
		return false
	}
	b, err := parseBool(c.text)
	if err != nil {
		r.fail(c, "%v", err)
	}
	return b
}

var homeboxKind = kind{name: "item", rank: 60, needs: [][]string{{"hb name"}, {"hb location", "hb import ref", "hb asset id"}}, column: (*row).homebox}

func (r *row) homebox() {
	ref, name := r.cell("hb import ref"), r.cell("hb name")
	key := "homebox:" + defaultText(ref.text, name.text+" @ "+r.text("hb location"))
	tag := r.cell("hb asset id")
	if strings.Trim(tag.text, "0-") == "" {
		tag.text = "" // Homebox numbers what has no number with zeros
	}
	a, ok := r.asset(thing{tag: tag, serial: r.cell("hb serial number"), ref: key})
	if !ok {
		return
	}
	r.byKey["asset:homebox:"+ref.text] = a
	maker := r.manufacturer(r.text("hb manufacturer"))
	a.to("manufacturer", maker)
	a.to("device_type", r.deviceType(r.text("hb manufacturer"), r.text("hb model number"), 0))
	r.give(a, "name", name)
	site, location := r.path(r.text("hb location"))
	inPlace(a, site, location)
	a.imply("custody", "storage")
	r.homeboxParent(a)
	r.homeboxMoney(a)
	r.titled(a, "hb quantity", "hb lifetime warranty", "hb warranty details", "hb insured", "hb purchase from", "hb sold to", "hb sold notes", "hb url")
	for i, column := range r.table.names {
		if field, ok := strings.CutPrefix(column, "hb field "); ok {
			r.table.known[i] = true
			if i < len(r.cells) && !blank(r.cells[i]) {
				a.note("%s: %s", field, r.cells[i])
			}
		}
	}
	r.comment(a, "hb description", "hb notes")
	r.tags(a, r.cell("hb tags", "hb labels"))
	r.ignore("hb archived", "hb sync child items locations")
}

// homeboxParent ties a thing to the box it is in. The parent may stand further down.
func (r *row) homeboxParent(a *draft) {
	if parent := r.cell("hb parent import ref", "hb parent"); parent.text != "" {
		a.put(value{field: a.field("parent"), ref: "homebox:" + parent.text, column: parent.column, text: parent.text})
	}
}

func (r *row) homeboxMoney(a *draft) {
	r.give(a, "cost_amount", zeroIsNothing(r.cell("hb purchase price")))
	r.give(a, "acquired_at", r.cell("hb purchase date", "hb purchase time"))
	r.give(a, "warranty_end", r.cell("hb warranty expires"))
	if sold := r.cell("hb sold date", "hb sold time"); sold.text != "" || r.text("hb sold to") != "" {
		a.set("custody", "gone").set("disposition", "sold")
		r.titled(a, "hb sold date", "hb sold time")
		if r.opt.by.SeesMoney() {
			r.titled(a, "hb sold price")
		}
	}
	r.ignore("hb sold price")
}

func zeroIsNothing(c cell) cell {
	if strings.Trim(c.text, "0.") == "" {
		c.text = ""
	}
	return c
}

// path reads places within places, "House / Cellar / Shelf 2": the first is a site, the others rooms of it.
func (r *row) path(text string) (site, location *draft) {
	for i, part := range strings.Split(text, "/") {
		part = strings.TrimSpace(part)
		switch {
		case part == "":
		case i == 0 || site == nil:
			site = r.site(part)
		default:
			location = r.location(site, part, location)
		}
	}
	if site == nil {
		site = r.site("")
	}
	return site, location
}
