package importer

import (
	"strings"

	"berth/inventory"
)

// NetBox: the fields that its forms import (netbox/dcim/forms/bulk_import.py) and the titles under which its tables are exported, which
// NetBox itself does not take back (netbox-community/netbox#12215). The order is that of reference: sites before racks before devices.
var netboxKinds = []kind{
	{name: "tag", rank: 1, needs: [][]string{{"name"}, {"slug"}, {"color"}}, lacks: []string{"vm role", "manufacturer", "site", "model"}, helps: []string{"items", "weight"}, column: (*row).netboxTag},
	{name: "tenant", rank: 2, needs: [][]string{{"name"}, {"slug"}}, lacks: []string{"color", "site", "status", "device types", "platforms"}, helps: []string{"group"}, column: (*row).netboxTenant},
	{name: "contact", rank: 3, needs: [][]string{{"name"}, {"email"}, {"phone", "title"}}, column: (*row).netboxContact},
	{name: "site", rank: 4, needs: [][]string{{"name"}, {"status"}, {"facility", "region", "time zone", "physical address", "asns", "site group"}}, lacks: []string{"site", "rack", "device", "u height", "device type"}, helps: []string{"slug", "latitude", "shipping address"}, column: (*row).netboxSite},
	{name: "location", rank: 5, needs: [][]string{{"site"}, {"name", "location"}, {"slug", "parent"}}, lacks: []string{"rack", "u height", "device type", "vid", "id"}, column: (*row).netboxLocation},
	{name: "manufacturer", rank: 6, needs: [][]string{{"name", "manufacturer"}, {"slug", "device types", "inventory items"}}, lacks: []string{"color", "site", "status", "device", "group", "model"}, helps: []string{"slug", "device types", "inventory items", "platforms"}, column: (*row).netboxManufacturer},
	{name: "device role", rank: 7, needs: [][]string{{"name"}, {"color"}, {"vm role"}}, helps: []string{"slug"}, column: (*row).netboxWord},
	{name: "rack role", rank: 7, needs: [][]string{{"name"}, {"color"}, {"racks"}}, helps: []string{"slug"}, column: (*row).netboxWord},
	{name: "platform", rank: 7, needs: [][]string{{"name"}, {"config template", "virtual machines", "vms"}}, lacks: []string{"color", "site"}, column: (*row).netboxWord},
	{name: "rack type", rank: 8, needs: [][]string{{"manufacturer"}, {"model", "rack type"}, {"form factor"}}, lacks: []string{"site"}, helps: []string{"u height", "width"}, column: (*row).netboxRackType},
	{name: "device type", rank: 9, needs: [][]string{{"manufacturer"}, {"model", "device type"}, {"u height", "is full depth", "full depth", "height u"}}, lacks: []string{"site", "form factor", "serial"}, column: (*row).netboxDeviceType},
	{name: "module type", rank: 10, needs: [][]string{{"manufacturer"}, {"model", "module type"}}, lacks: []string{"site", "device", "u height", "height u", "is full depth", "full depth", "form factor", "serial", "device type", "kind", "hardware kind"}, helps: []string{"profile", "attributes", "part number"}, column: (*row).netboxModuleType},
	{name: "rack", rank: 11, needs: [][]string{{"site"}, {"name", "rack"}, {"u height", "width", "height", "rack type", "desc units"}}, lacks: []string{"device type", "device", "power panel"}, helps: []string{"facility id", "outer width"}, column: (*row).netboxRack},
	{name: "power panel", rank: 12, needs: [][]string{{"site"}, {"name", "power panel"}}, lacks: []string{"slug", "status", "device", "u height", "vid", "prefix", "device type", "model"}, helps: []string{"location", "power feeds"}, column: (*row).netboxPowerPanel},
	{name: "power feed", rank: 13, needs: [][]string{{"power panel"}, {"name", "power feed"}, {"voltage", "amperage", "supply", "phase"}}, column: (*row).netboxPowerFeed},
	{name: "device", rank: 14, needs: [][]string{{"name", "device"}, {"role", "device role"}, {"site"}, {"device type", "type"}}, lacks: []string{"power panel", "vid"}, helps: []string{"position", "face", "platform", "asset tag", "serial", "parent device"}, column: (*row).netboxDevice},
	{name: "module bay", rank: 15, needs: [][]string{{"device"}, {"name", "module bay"}, {"position"}}, lacks: []string{"module type", "rack", "side a device"}, column: (*row).netboxModuleBay},
	{name: "module", rank: 16, needs: [][]string{{"device"}, {"module bay"}, {"module type"}}, column: (*row).netboxModule},
	{name: "inventory item", rank: 17, needs: [][]string{{"device"}, {"name", "inventory item"}, {"part id", "discovered", "component type", "asset tag"}}, lacks: []string{"module bay", "side a device"}, column: (*row).netboxItem},
	{name: "interface", rank: 18, needs: [][]string{{"device"}, {"name", "interface"}, {"type"}}, lacks: []string{"part id", "maximum draw", "allocated draw", "feed leg", "power port", "module bay", "side a device"}, helps: []string{"enabled", "mtu", "mgmt only", "management only", "lag", "mac address", "mark connected", "wwn"}, column: (*row).netboxInterface},
	{name: "power port", rank: 19, needs: [][]string{{"device"}, {"name", "power port"}, {"maximum draw", "allocated draw", "maximum draw w", "allocated draw w"}}, column: (*row).netboxPowerPort},
	{name: "power outlet", rank: 20, needs: [][]string{{"device"}, {"name", "power outlet"}, {"feed leg"}}, column: (*row).netboxPowerOutlet},
	{name: "vlan", rank: 21, needs: [][]string{{"vid", "id"}, {"name"}}, lacks: []string{"device", "prefix", "address", "rack", "slug", "serial", "email", "asset tag"}, helps: []string{"group", "site", "role", "qinq role"}, column: (*row).netboxVLAN},
	{name: "prefix", rank: 22, needs: [][]string{{"prefix"}}, lacks: []string{"address", "device"}, helps: []string{"vrf", "is pool", "mark utilized", "vlan"}, column: (*row).netboxPrefix},
	{name: "ip address", rank: 23, needs: [][]string{{"address", "ip address"}, {"vrf", "dns name", "nat inside", "assigned", "interface", "is primary"}}, lacks: []string{"prefix", "device type"}, column: (*row).netboxAddress},
	{name: "cable", rank: 24, needs: [][]string{{"side a device", "device a", "side a type"}, {"side b device", "device b", "side b type"}}, column: (*row).netboxCable},
}

// bookkeeping are columns that every export of NetBox has and that say nothing a person entered.
var bookkeeping = []string{"id", "url", "created", "last updated", "display", "display url", "owner group"}

func (r *row) netboxCommon(d *draft) {
	r.ignore(bookkeeping...)
	r.tags(d, r.cell("tags"))
	r.comment(d, "description", "comments")
	r.titled(d, "owner", "tenant group")
}

func (r *row) netboxTag() {
	slug := defaultText(r.text("slug"), inventory.Slug(r.text("name")))
	if d, ok := r.define("tag", slug); ok {
		r.give(d, "name", r.cell("name"))
		r.give(d, "slug", r.cell("slug"))
		r.give(d, "color", r.cell("color"))
		r.give(d, "description", r.cell("description"))
		d.found([]clue{is("slug", slug)})
	}
	r.ignore(append(bookkeeping, "items", "weight", "object types")...)
}

func (r *row) netboxTenant() {
	slug := defaultText(r.text("slug"), inventory.Slug(r.text("name")))
	if d, ok := r.define("organization", cutSlug(slug)); ok {
		r.give(d, "name", r.cell("name"))
		r.give(d, "slug", r.cell("slug"))
		d.found([]clue{is("slug", slug)}, []clue{is("name", r.text("name"))})
		r.alias(d, cutSlug(inventory.Slug(r.text("name"))))
		r.titled(d, "group")
		r.netboxCommon(d)
	}
}

func (r *row) netboxContact() {
	name := r.text("name")
	if d, ok := r.define("contact", name+" "+r.text("email")); ok {
		for _, field := range []string{"name", "email", "phone", "address"} {
			r.give(d, field, r.cell(field))
		}
		r.give(d, "role", r.cell("title"))
		d.found([]clue{is("name", name), softText("email", r.text("email"))})
		r.titled(d, "group", "groups", "link")
		r.netboxCommon(d)
	}
}

func softText(field, text string) clue { return clue{field: field, text: text, soft: true} }

func (r *row) netboxSite() {
	slug := defaultText(r.text("slug"), inventory.Slug(r.text("name", "site")))
	d, ok := r.define("site", slug)
	if !ok {
		return
	}
	r.give(d, "name", r.cell("name", "site"))
	d.set("slug", slug)
	for _, field := range []string{"status", "facility", "time_zone", "physical_address", "shipping_address", "latitude", "longitude"} {
		r.give(d, field, r.cell(normal(field)))
	}
	d.found([]clue{is("slug", slug)}, []clue{is("name", r.text("name", "site"))})
	r.alias(d, inventory.Slug(r.text("name", "site")))
	r.titled(d, "region", "group", "site group", "tenant", "asns")
	r.netboxCommon(d)
}

func (r *row) netboxLocation() {
	site := r.site(r.text("site"))
	if site == nil {
		r.fail(r.cell("site"), "is needed: a location is in a site")
		return
	}
	slug := defaultText(r.text("slug"), inventory.Slug(r.text("name", "location")))
	d, ok := r.define("location", site.key+"/"+slug)
	if !ok {
		return
	}
	r.give(d, "name", r.cell("name", "location"))
	d.imply("slug", slug).to("site", site)
	r.alias(d, site.key+"/"+inventory.Slug(r.text("name", "location")))
	r.give(d, "status", r.cell("status"))
	d.fallback = inventory.Slug(site.key + "-" + slug)
	name := r.text("name", "location")
	d.found([]clue{is("slug", slug), at("site", site)}, []clue{is("slug", d.fallback), at("site", site)}, []clue{is("name", name), at("site", site)})
	if parent := r.text("parent"); parent != "" {
		d.to("parent", r.location(site, parent, nil))
	}
	r.titled(d, "tenant", "facility")
	r.ignore("racks", "devices")
	r.netboxCommon(d)
}

func (r *row) netboxManufacturer() {
	slug := defaultText(r.text("slug"), inventory.Slug(r.text("name", "manufacturer")))
	if d, ok := r.define("manufacturer", slug); ok {
		r.give(d, "name", r.cell("name", "manufacturer"))
		d.set("slug", slug).found([]clue{is("slug", slug)}, []clue{is("name", r.text("name", "manufacturer"))})
		r.alias(d, inventory.Slug(r.text("name", "manufacturer")))
		r.ignore("device types", "module types", "inventory items", "platforms")
		r.netboxCommon(d)
	}
}

// netboxWord is a table of what is a word on another object here: roles and platforms. There is nothing to create for it.
func (r *row) netboxWord() {
	r.ignore(append(bookkeeping, r.table.names...)...)
	if key := "word " + r.table.file; !r.told[key] {
		r.told[key] = true
		r.report.warn(RowError{File: r.table.file, Why: "roles and platforms are words on a device here, not objects of their own; they come with the devices"})
	}
}

func (r *row) netboxRackType() {
	maker := r.manufacturer(defaultText(r.text("manufacturer"), unknownMaker))
	model := r.text("model", "rack type")
	slug := defaultText(r.text("slug"), typeSlug(maker.key, model))
	d, ok := r.define("rack-type", slug)
	if !ok {
		return
	}
	r.give(d, "model", r.cell("model", "rack type"))
	d.to("manufacturer", maker).set("slug", slug)
	d.found([]clue{is("slug", slug)}, []clue{is("model", model), at("manufacturer", maker)})
	r.rackShape(d)
	r.give(d, "starting_unit", r.cell("starting unit"))
	r.give(d, "form_factor", r.cell("form factor"))
	r.netboxCommon(d)
}

// rackShape reads what racks and rack types have in common.
func (r *row) rackShape(d *draft) {
	r.give(d, "u_height", r.cell("u height", "height", "height u"))
	r.give(d, "width", r.cell("width"))
	r.give(d, "desc_units", r.cell("desc units", "descending units"))
	unit := r.text("outer unit")
	for _, side := range []string{"width", "height", "depth"} {
		r.measured(d, "outer_"+side+"_mm", r.cell("outer "+side), unit, millimetres)
	}
	r.measured(d, "mounting_depth_mm", r.cell("mounting depth"), "mm", millimetres)
	r.measured(d, "weight_grams", r.cell("weight"), r.text("weight unit"), grams)
	r.measured(d, "max_weight_grams", r.cell("max weight"), r.text("weight unit"), grams)
}

// measured sets a field in base units from a number and the unit beside it.
func (r *row) measured(d *draft, field string, c cell, unit string, units map[string]float64) {
	if c.text == "" {
		return
	}
	number := c.text
	// Exports write both into one cell: "12 kg".
	if a, b, ok := strings.Cut(number, " "); ok && unit == "" {
		number, unit = a, b
	}
	if unit == "" && units["mm"] == 1 {
		unit = "mm"
	}
	n, err := measure(number, unit, units)
	if err != nil {
		r.fail(c, "%v", err)
		return
	}
	d.put(value{field: d.field(field), v: convert(goType(d.noun, d.field(field)), n), column: c.column, text: c.text})
}

func (r *row) netboxDeviceType() {
	maker := r.manufacturer(defaultText(r.text("manufacturer"), unknownMaker))
	model := r.text("model", "device type")
	slug := defaultText(r.text("slug"), typeSlug(maker.key, model))
	d, ok := r.define("device-type", slug)
	if !ok {
		return
	}
	r.give(d, "model", r.cell("model", "device type"))
	d.to("manufacturer", maker).set("slug", slug)
	d.found([]clue{is("slug", slug)}, []clue{is("model", model), at("manufacturer", maker)})
	r.alias(d, typeSlug(maker.key, model))
	d.imply("u_height", 1.0).imply("is_full_depth", true)
	r.give(d, "u_height", r.cell("u height", "height u", "height"))
	r.give(d, "is_full_depth", r.cell("is full depth", "full depth"))
	r.give(d, "not_counted", r.cell("exclude from utilization"))
	for _, field := range []string{"part_number", "airflow", "subdevice_role"} {
		r.give(d, field, r.cell(normal(field)))
	}
	r.measured(d, "weight_grams", r.cell("weight"), r.text("weight unit"), grams)
	r.titled(d, "default platform")
	r.ignore("instances", "device count", "devices", "front image", "rear image")
	r.netboxCommon(d)
}

func (r *row) netboxModuleType() {
	maker := r.manufacturer(defaultText(r.text("manufacturer"), unknownMaker))
	model := r.text("model", "module type")
	slug := typeSlug(maker.key, model)
	d, ok := r.define("module-type", slug)
	if !ok {
		return
	}
	r.give(d, "model", r.cell("model", "module type"))
	d.to("manufacturer", maker).imply("slug", slug)
	d.found([]clue{is("model", model), at("manufacturer", maker)}, []clue{is("slug", slug)})
	r.give(d, "part_number", r.cell("part number"))
	if c := r.cell("profile"); c.text != "" {
		r.choose(d, "kind", c, moduleKinds)
	}
	r.give(d, "attributes", r.cell("attributes"))
	r.measured(d, "weight_grams", r.cell("weight"), r.text("weight unit"), grams)
	r.titled(d, "airflow")
	r.ignore("instances", "modules", "module count")
	r.netboxCommon(d)
}

// moduleKinds are NetBox's profiles of module types, and words that people use for the same.
var moduleKinds = map[string]string{"cpu": "cpu", "processor": "cpu", "memory": "memory", "ram": "memory", "dimm": "memory", "hard disk": "disk", "disk": "disk", "drive": "disk", "ssd": "disk",
	"nic": "nic", "network": "nic", "gpu": "gpu", "power supply": "psu", "psu": "psu", "fan": "fan", "expansion card": "expansion_card", "controller": "controller", "raid": "controller", "raid controller": "controller", "tpm": "tpm"}

// kindOfPart guesses what a part is from words about it; "other" is no guess.
func kindOfPart(words ...string) string {
	for _, text := range words {
		n := normal(text)
		if k := moduleKinds[n]; k != "" {
			return k
		}
		for word := range strings.FieldsSeq(n) {
			if k := moduleKinds[strings.TrimRight(word, "0123456789s")]; k != "" {
				return k
			}
		}
	}
	return "other"
}

func (r *row) netboxRack() {
	site := r.site(r.text("site"))
	if site == nil {
		r.fail(r.cell("site"), "is needed: a rack is in a site")
		return
	}
	name := r.text("name", "rack")
	d, ok := r.define("rack", site.key+"/"+name)
	if !ok {
		return
	}
	location := r.location(site, r.text("location"), nil)
	d.imply("name", name).to("site", site).to("location", location)
	d.find("name").column, d.find("name").text = r.cell("name", "rack").column, name
	d.fallback = site.key + "-" + name
	d.found([]clue{is("name", name), at("site", site)}, []clue{is("name", d.fallback), at("site", site)})
	r.give(d, "facility_id", r.cell("facility id"))
	r.choose(d, "status", r.cell("status"), rackStatus)
	r.give(d, "serial", r.cell("serial", "serial number"))
	r.give(d, "asset_tag", r.cell("asset tag"))
	r.rackShape(d)
	r.give(d, "airflow", r.cell("airflow"))
	if model := r.text("rack type", "type"); model != "" {
		d.put(value{field: d.field("rack_type"), ref: model, column: r.cell("rack type", "type").column, text: model})
	}
	r.titled(d, "group", "tenant", "role", "form factor", "contacts")
	r.ignore("devices", "utilization", "space", "power", "available units", "power utilization", "space utilization")
	r.netboxCommon(d)
}

func (r *row) netboxPowerPanel() {
	site := r.site(r.text("site"))
	if d := r.powerPanel(site, r.text("name", "power panel")); d != nil {
		d.implied = false
		d.to("location", r.location(site, r.text("location"), nil))
		r.ignore("power feeds", "feeds")
		r.netboxCommon(d)
	}
}

func (r *row) powerPanel(site *draft, name string) *draft {
	if site == nil || name == "" {
		return nil
	}
	d := r.mention("power-panel", site.key+"/"+name).imply("name", name).to("site", site)
	if len(d.finds) == 0 {
		d.found([]clue{is("name", name), at("site", site)})
	}
	return d
}

func (r *row) netboxPowerFeed() {
	site := r.site(r.text("site"))
	panel := r.powerPanel(site, r.text("power panel"))
	if panel == nil {
		r.fail(r.cell("power panel"), "and its site are needed: a feed begins at a panel")
		return
	}
	name := r.text("name", "power feed")
	d, ok := r.define("power-feed", panel.key+"/"+name)
	if !ok {
		return
	}
	r.give(d, "name", r.cell("name", "power feed"))
	d.to("power_panel", panel).found([]clue{is("name", name), at("power_panel", panel)})
	d.to("rack", r.rack(site, r.location(site, r.text("location"), nil), r.text("rack")))
	for _, field := range []string{"status", "type", "supply", "phase"} {
		r.give(d, field, r.cell(field))
	}
	r.give(d, "voltage_v", r.cell("voltage", "voltage v"))
	r.give(d, "amperage_a", r.cell("amperage", "amperage a"))
	r.give(d, "max_utilization_percent", r.cell("max utilization", "maximum utilization"))
	r.titled(d, "tenant")
	r.ignore("mark connected", "cable", "connection", "available power", "available power va", "link peer")
	r.netboxCommon(d)
}

func (r *row) netboxDevice() {
	maker, model := r.text("manufacturer"), r.text("device type", "type")
	// Exports write the type with its maker: "Dell PowerEdge R640".
	if maker != "" && len(model) > len(maker) && strings.EqualFold(model[:len(maker)], maker) && model[len(maker)] == ' ' {
		model = model[len(maker)+1:]
	}
	site := r.site(r.text("site"))
	location := r.location(site, r.text("location"), nil)
	rack := r.rack(site, location, r.text("rack"))
	name := r.cell("name", "device")
	ref := name.text
	if site != nil {
		ref = site.key + "/" + ref
	}
	if name.text == "" {
		name = cell{name.column, strings.TrimSpace(inventory.Slug(model) + " " + r.text("serial", "serial number", "asset tag", "id"))}
	}
	asset, ok := r.asset(thing{tag: r.cell("asset tag"), serial: r.cell("serial", "serial number"), maker: r.manufacturer(maker), ref: "netbox:" + ref})
	if !ok {
		return
	}
	d, ok := r.device(name, asset)
	if !ok {
		if d == nil {
			r.fail(name, "has nothing of which a host name could be made")
		}
		return
	}
	// The subject of the row is the device: what has no field goes there.
	kindOf := r.deviceType(maker, model, 0)
	asset.to("device_type", kindOf)
	d.to("device_type", kindOf)
	inPlace(asset, site, location)
	r.give(d, "role", r.cell("role", "device role"))
	r.settle(r.cell("status"), netboxDevice, asset, d)
	r.place(d, site, location, rack, r.cell("position"), r.cell("face", "rack face"))
	r.titled(d, "tenant", "platform", "parent", "parent device", "device bay", "cluster", "virtual chassis", "vc position", "vc priority", "airflow", "ip address", "primary ip", "primary ip4", "primary ip6", "oob ip", "config template", "latitude", "longitude", "contacts")
	r.ignore("region", "site group", "u height", "ipv4 address", "ipv6 address", "position device bay", "console ports", "console server ports", "power ports", "power outlets", "interfaces", "front ports", "rear ports", "device bays", "module bays", "inventory items", "local context data", "config template")
	r.netboxCommon(d)
	if r.opt.Parts {
		r.withParts = append(r.withParts, d)
	}
}

// ofDevice mentions the device that a part belongs to; it must exist, in this import or in the record.
func (r *row) ofDevice(d *draft, c cell) bool {
	if c.text == "" {
		r.fail(c, "is needed")
		return false
	}
	host, _ := hostName(c.text)
	d.put(value{field: d.field("device"), ref: host, column: c.column, text: c.text})
	return true
}

// part defines something with a name in a device.
func (r *row) part(noun string, names ...string) (*draft, bool) {
	device, name := r.cell("device"), r.cell(names...)
	host, _ := hostName(device.text)
	d, ok := r.define(noun, host+"/"+name.text)
	if !ok || !r.ofDevice(d, device) {
		return d, false
	}
	r.give(d, "name", name)
	d.found([]clue{{field: "device", of: d}, is("name", name.text)})
	return d, true
}

func (r *row) netboxModuleBay() {
	if d, ok := r.part("module-bay", "name", "module bay"); ok {
		r.give(d, "position", r.cell("position"))
		d.imply("kind", kindOfPart(r.text("name", "module bay")))
		r.titled(d, "label")
		r.ignore("installed module", "module", "module status", "module serial", "module asset tag")
		r.netboxCommon(d)
	}
}

func (r *row) netboxModule() {
	device, bay := r.cell("device"), r.text("module bay")
	host, _ := hostName(device.text)
	d, ok := r.define("component", host+"/"+bay)
	if !ok || !r.ofDevice(d, device) {
		return
	}
	model, maker := r.text("module type"), r.manufacturer(r.text("manufacturer"))
	kindOf := r.moduleType(maker, model)
	d.to("module_type", kindOf).set("slot", bay).imply("kind", kindOfPart(bay, model)).set("model", model)
	if maker != nil {
		d.set("manufacturer", r.text("manufacturer"))
	}
	r.serial(d, r.cell("serial", "serial number"))
	d.found([]clue{{field: "device", of: d}, is("slot", bay)})
	slot := r.mention("module-bay", host+"/"+bay).imply("name", bay)
	if len(slot.finds) == 0 {
		r.ofDevice(slot, device)
		slot.found([]clue{{field: "device", of: slot}, is("name", bay)})
	}
	d.to("module_bay", slot)
	r.settleOther(d, r.cell("status"), netboxPart)
	r.attribute(d, "asset tag", "status", "comments", "description")
	r.ignore(append(bookkeeping, "replicate components", "adopt components", "tags")...)
}

// serial gives a component its serial, if that is one, and lets it be found by it.
func (r *row) serial(d *draft, c cell) {
	if c.text == "" || junkSerial(c.text) {
		return
	}
	r.give(d, "serial", c)
	d.found([]clue{is("serial", c.text), {field: "device", of: d, soft: true}})
}

// settleOther puts a status on what has only a condition.
func (r *row) settleOther(d *draft, c cell, words map[string]axes) {
	if a, ok := words[normal(c.text)]; ok && a.condition != "" {
		d.put(value{field: d.field("condition"), v: a.condition, column: c.column, text: c.text})
	}
}

// attribute keeps values of a component that has neither notes nor a field for them.
func (r *row) attribute(d *draft, names ...string) {
	m := map[string]string{}
	for _, name := range names {
		if c := r.cell(name); c.text != "" {
			m[strings.ReplaceAll(name, " ", "_")] = shorten(c.text)
		}
	}
	if len(m) > 0 {
		d.merge = m
	}
}

func (r *row) netboxItem() {
	device, name := r.cell("device"), r.text("name", "inventory item")
	host, _ := hostName(device.text)
	d, ok := r.define("component", host+"/"+name)
	if !ok || !r.ofDevice(d, device) {
		return
	}
	d.set("slot", name).imply("kind", kindOfPart(r.text("role"), name))
	r.give(d, "manufacturer", r.cell("manufacturer"))
	r.give(d, "part_number", r.cell("part id", "part number"))
	r.serial(d, r.cell("serial", "serial number"))
	d.found([]clue{{field: "device", of: d}, is("slot", name)})
	r.settleOther(d, r.cell("status"), netboxPart)
	r.attribute(d, "label", "role", "asset tag", "parent", "description", "component type", "component name", "status")
	r.ignore(append(bookkeeping, "discovered", "component", "tags")...)
}

func (r *row) netboxInterface() {
	d, ok := r.part("interface", "name", "interface")
	if !ok {
		return
	}
	kindOf := normal(r.text("type"))
	switch {
	case strings.Contains(kindOf, "lag"):
		d.set("kind", "bond")
	case strings.HasPrefix(kindOf, "virtual"):
		d.imply("kind", "vlan")
	case strings.HasPrefix(kindOf, "bridge"):
		d.set("kind", "bridge")
	case r.isTrue("mgmt only", "management only"):
		d.imply("kind", "bmc")
	}
	r.give(d, "type", r.cell("type"))
	d.imply("enabled", true)
	r.give(d, "enabled", r.cell("enabled"))
	r.give(d, "mac", r.cell("mac address", "primary mac address", "mac"))
	r.give(d, "mtu", r.cell("mtu"))
	host := d.find("device").ref
	for _, name := range []string{"lag", "bridge", "parent"} {
		if c := r.cell(name); c.text != "" {
			d.put(value{field: d.field("parent"), target: r.port(host, r.cell("device"), c.text), column: c.column, text: c.text})
			break
		}
	}
	r.give(d, "vlan", number(r.cell("untagged vlan")))
	r.joined(d, "label", "speed", "duplex", "wwn", "mode", "tagged vlans", "rf role", "rf channel", "tx power", "poe mode", "poe type", "description")
	r.ignore(append(bookkeeping, "mark connected", "cable", "connection", "link peer", "ip addresses", "fhrp groups", "module", "vrf", "vdcs", "l2vpn", "tunnel", "qinq svlan", "vlan translation policy", "vlan group", "wireless lans", "wireless link", "inventory items", "cable color")...)
	r.tags(d, r.cell("tags"))
}

// number keeps a cell only if it begins with a number, as "77" or "storage (77)" do; names of VLANs alone are none.
func number(c cell) cell {
	if i := strings.LastIndex(c.text, "("); i >= 0 && strings.HasSuffix(c.text, ")") {
		c.text = c.text[i+1 : len(c.text)-1]
	}
	if strings.Trim(c.text, "0123456789") != "" {
		c.text = ""
	}
	return c
}

// joined keeps several values in the description of what has no notes.
func (r *row) joined(d *draft, names ...string) {
	for _, name := range names {
		c := r.cell(name)
		switch {
		case c.text == "":
		case name == "description":
			d.note("%s", strings.ReplaceAll(c.text, "\n", " "))
		default:
			d.note("%s: %s", c.column, strings.ReplaceAll(c.text, "\n", " "))
		}
	}
}

// port mentions an interface by device and name.
func (r *row) port(host string, device cell, name string) *draft {
	return r.endOf("interface", host, device, name)
}

// endOf mentions something in a device where a cable may end.
func (r *row) endOf(noun, host string, device cell, name string) *draft {
	d := r.mention(noun, host+"/"+name).imply("name", name)
	if len(d.finds) == 0 {
		r.ofDevice(d, device)
		d.found([]clue{{field: "device", of: d}, is("name", name)})
		if noun == "interface" {
			d.imply("enabled", true)
		}
	}
	return d
}

func (r *row) netboxPowerPort() {
	if d, ok := r.part("power-port", "name", "power port"); ok {
		r.give(d, "type", r.cell("type"))
		r.give(d, "maximum_draw_w", r.cell("maximum draw", "maximum draw w"))
		r.give(d, "allocated_draw_w", r.cell("allocated draw", "allocated draw w"))
		r.ignore(append(bookkeeping, "mark connected", "cable", "connection", "link peer", "module", "inventory items")...)
	}
}

func (r *row) netboxPowerOutlet() {
	d, ok := r.part("power-outlet", "name", "power outlet")
	if !ok {
		return
	}
	r.give(d, "type", r.cell("type"))
	r.give(d, "feed_leg", r.cell("feed leg"))
	if port := r.text("power port"); port != "" {
		d.to("power_port", r.endOf("power-port", d.find("device").ref, r.cell("device"), port))
	}
	r.ignore(append(bookkeeping, "mark connected", "cable", "connection", "link peer", "module", "inventory items", "color", "status")...)
}

func (r *row) netboxVLAN() {
	vid, site := r.text("vid", "id"), r.site(r.text("site"))
	key := vid + "/" + r.text("group")
	if site != nil {
		key += "/" + site.key
	}
	d, ok := r.define("vlan", key)
	if !ok {
		return
	}
	r.give(d, "vid", r.cell("vid", "id"))
	r.give(d, "name", r.cell("name"))
	r.give(d, "status", r.cell("status"))
	r.give(d, "role", r.cell("role"))
	d.to("site", site)
	way := []clue{is("vid", vid)}
	if site != nil {
		way = append(way, at("site", site))
	}
	d.found(append(way, is("name", r.text("name"))), way)
	r.joined(d, "group", "tenant", "description")
	r.ignore(append(bookkeeping, "prefixes", "qinq role", "qinq svlan", "l2vpn")...)
}

func (r *row) netboxPrefix() {
	prefix := r.cell("prefix")
	d, ok := r.define("prefix", prefix.text)
	if !ok {
		return
	}
	r.give(d, "prefix", prefix)
	d.found([]clue{is("prefix", prefix.text)})
	site := r.site(r.text("site", "scope"))
	d.to("site", site)
	r.give(d, "status", r.cell("status"))
	r.give(d, "role", r.cell("role"))
	r.give(d, "is_pool", r.cell("is pool", "pool"))
	r.joined(d, "vrf", "tenant", "vlan", "vlan group", "description")
	r.ignore(append(bookkeeping, "utilization", "children", "depth", "mark utilized", "scope type", "scope id", "prefix flat", "prefix flat", "vlan site")...)
}

func (r *row) netboxAddress() {
	c := r.cell("address", "ip address")
	ip, _, _ := strings.Cut(c.text, "/")
	d, ok := r.define("address", ip)
	if !ok {
		return
	}
	r.give(d, "address", cell{c.column, ip})
	d.found([]clue{is("address", ip)})
	r.give(d, "dns_name", r.cell("dns name"))
	device, port := r.cell("device", "parent"), r.text("interface", "assigned object")
	if host, _ := hostName(device.text); host != "" && port != "" {
		d.to("interface", r.port(host, device, port))
	}
	r.joined(d, "vrf", "tenant", "status", "role", "description")
	r.ignore(append(bookkeeping, "assigned", "is primary", "is oob", "nat inside", "nat outside", "virtual machine", "fhrp group", "dns")...)
}

// ends are the kinds of cable end that there is a field for.
var ends = map[string]string{"dcim interface": "interface", "interface": "interface", "dcim powerport": "power_port", "powerport": "power_port", "power port": "power_port",
	"dcim poweroutlet": "power_outlet", "poweroutlet": "power_outlet", "power outlet": "power_outlet", "dcim powerfeed": "power_feed", "powerfeed": "power_feed", "power feed": "power_feed"}

func (r *row) netboxCable() {
	a, b := r.cableEnd("a"), r.cableEnd("b")
	if a.draft == nil || b.draft == nil {
		return
	}
	d, ok := r.define("cable", a.field+"/"+a.draft.key+" "+b.field+"/"+b.draft.key)
	if !ok {
		return
	}
	d.to("a_"+a.field, a.draft).to("b_"+b.field, b.draft)
	d.found([]clue{at("a_"+a.field, a.draft), at("b_"+b.field, b.draft)}, []clue{at("b_"+a.field, a.draft), at("a_"+b.field, b.draft)})
	r.give(d, "type", r.cell("type"))
	r.give(d, "status", r.cell("status"))
	r.give(d, "label", r.cell("label"))
	r.give(d, "color", r.cell("color"))
	r.measured(d, "length_mm", r.cell("length"), r.text("length unit"), millimetres)
	r.joined(d, "tenant", "profile", "bundle", "description")
	r.comment(d, "comments")
	r.ignore(append(bookkeeping, "rack a", "rack b", "location a", "location b", "site a", "site b", "side a site", "side b site", "side a power panel", "side b power panel", "color name", "tags")...)
}

type cableEnd struct {
	field string
	draft *draft
}

// cableEnd reads one end of a cable, by the columns of an import ("side a device") or of an export ("device a").
func (r *row) cableEnd(side string) cableEnd {
	device, name := r.cell("side "+side+" device", "device "+side), r.cell("side "+side+" name", "termination "+side)
	kindOf := r.cell("side " + side + " type")
	field := "interface"
	if kindOf.text != "" {
		var ok bool
		if field, ok = ends[normal(kindOf.text)]; !ok {
			r.fail(kindOf, "is a kind of end that a cable cannot have here")
			return cableEnd{}
		}
	}
	if field == "power_feed" {
		site := r.site(r.text("side "+side+" site", "site "+side))
		panel := r.powerPanel(site, r.text("side "+side+" power panel", "power panel "+side))
		if panel == nil {
			r.fail(name, "needs the site and the power panel of the feed")
			return cableEnd{}
		}
		feed := r.mention("power-feed", panel.key+"/"+name.text).imply("name", name.text).to("power_panel", panel)
		if len(feed.finds) == 0 {
			feed.found([]clue{is("name", name.text), at("power_panel", panel)})
		}
		return cableEnd{field, feed}
	}
	host, _ := hostName(device.text)
	if host == "" || name.text == "" {
		r.fail(device, "side %s needs a device and the name of the port", strings.ToUpper(side))
		return cableEnd{}
	}
	return cableEnd{field, r.endOf(strings.ReplaceAll(field, "_", "-"), host, device, name.text)}
}
