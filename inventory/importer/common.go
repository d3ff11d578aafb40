package importer

import (
	"fmt"
	"math"
	"regexp"
	"strings"

	"berth/inventory"
)

// What the formats have in common: places, makers, types, suppliers and things are mentioned in each of them by name.

// site mentions a site by its slug or name; without one, the option's site is taken.
func (r *row) site(name string) *draft {
	if name == "" {
		name = r.opt.Site
	}
	slug := inventory.Slug(name)
	if slug == "" {
		return nil
	}
	d := r.mention("site", slug).imply("name", name).imply("slug", slug)
	if len(d.finds) == 0 {
		d.found([]clue{is("slug", slug)}, []clue{is("name", name)})
	}
	return d
}

// location mentions a room of a site. Slugs are unique to berth, and only within a site elsewhere: a second one is called for its site too.
func (r *row) location(site *draft, name string, parent *draft) *draft {
	slug := inventory.Slug(name)
	if site == nil || slug == "" {
		return nil
	}
	d := r.mention("location", site.key+"/"+slug).imply("name", name).imply("slug", slug)
	if len(d.finds) == 0 {
		d.fallback = inventory.Slug(site.key + "-" + slug)
		d.to("site", site).to("parent", parent)
		d.found([]clue{is("slug", slug), at("site", site)}, []clue{is("slug", d.fallback), at("site", site)}, []clue{is("name", name), at("site", site)})
	}
	return d
}

// rack mentions a rack. Names are unique to berth, and only within a site elsewhere.
func (r *row) rack(site, location *draft, name string) *draft {
	if site == nil || name == "" {
		return nil
	}
	d := r.mention("rack", site.key+"/"+name).imply("name", name)
	if len(d.finds) == 0 {
		d.fallback = site.key + "-" + name
		d.to("site", site).to("location", location)
		d.found([]clue{is("name", name), at("site", site)}, []clue{is("name", d.fallback), at("site", site)})
	}
	return d
}

// manufacturer mentions who built something.
func (r *row) manufacturer(name string) *draft { return r.maker(r.table.file, r.line, name) }

func (b *builder) maker(file string, line int, name string) *draft {
	slug := inventory.Slug(name)
	if slug == "" {
		return nil
	}
	d := b.mention("manufacturer", slug, file, line).imply("name", strings.TrimSpace(name)).imply("slug", slug)
	if len(d.finds) == 0 {
		d.found([]clue{is("slug", slug)}, []clue{is("name", name)})
	}
	return d
}

// unknownMaker stands for who built a thing of which only the model is known: a type belongs to somebody.
const unknownMaker = "Unknown"

// deviceType mentions a model. height is in units and 0 where nobody says.
func (r *row) deviceType(maker, model string, height float64) *draft {
	if model == "" {
		return nil
	}
	if maker == "" {
		maker = unknownMaker
	}
	return r.typeOf(r.manufacturer(maker), model, height)
}

func (r *row) typeOf(maker *draft, model string, height float64) *draft {
	slug := typeSlug(maker.key, model)
	if slug == "" {
		return nil
	}
	d := r.mention("device-type", slug).imply("model", model).imply("slug", slug).to("manufacturer", maker)
	if len(d.finds) == 0 {
		d.imply("u_height", math.Max(height, 1)).imply("is_full_depth", true)
		d.found([]clue{is("model", model), at("manufacturer", maker)}, []clue{is("slug", slug)})
	}
	return d
}

// typeSlug is what the device-type library calls a model: maker and model, once.
func typeSlug(maker, model string) string {
	slug := inventory.Slug(model)
	if !strings.HasPrefix(slug, maker) {
		slug = inventory.Slug(maker + "-" + slug)
	}
	return cutSlug(slug)
}

func cutSlug(slug string) string { return strings.Trim(slug[:min(len(slug), 100)], "-") }

// moduleType mentions a model of part.
func (r *row) moduleType(maker *draft, model string) *draft {
	if model == "" {
		return nil
	}
	if maker == nil {
		maker = r.manufacturer(unknownMaker)
	}
	slug := typeSlug(maker.key, model)
	d := r.mention("module-type", slug).imply("model", model).imply("slug", slug).to("manufacturer", maker)
	if len(d.finds) == 0 {
		d.imply("kind", "other").found([]clue{is("model", model), at("manufacturer", maker)}, []clue{is("slug", slug)})
	}
	return d
}

// organization mentions a supplier, owner or tenant.
func (r *row) organization(name string, roles ...string) *draft {
	slug := inventory.Slug(name)
	if slug == "" {
		return nil
	}
	slug = cutSlug(slug)
	d := r.mention("organization", slug).imply("name", name).imply("slug", slug)
	if len(roles) > 0 {
		d.imply("roles", roles)
	}
	if len(d.finds) == 0 {
		d.found([]clue{is("slug", slug)}, []clue{is("name", name)})
	}
	return d
}

// purchase mentions how something was bought: by the number of the order, else by supplier and day.
func (r *row) purchase(supplier, order string, date cell) *draft {
	if supplier == "" && order == "" {
		return nil
	}
	day := inventory.Date("")
	if date.text != "" {
		var err error
		if day, err = parseDate(date.text, r.opt.Dates); err != nil {
			r.fail(date, "%v", err)
			return nil
		}
	}
	reference := order
	if reference == "" {
		reference = strings.TrimSuffix(inventory.Slug(supplier)+" "+string(day), " ")
	}
	d := r.mention("acquisition", reference).imply("reference", reference).imply("kind", "purchase").imply("status", "received").imply("order_no", order).imply("ordered_on", day)
	if len(d.finds) == 0 {
		d.to("organization", r.organization(supplier, "supplier")).found([]clue{is("reference", reference)})
	}
	return d
}

// thing is what names a physical thing in a row.
type thing struct {
	tag, serial cell
	ref         string // an import reference for what has neither, and the key of Homebox
	maker       *draft
}

// asset defines the asset of a row: found by tag, by serial and maker, or by its import reference.
func (r *row) asset(t thing) (*draft, bool) {
	if junkSerial(t.serial.text) {
		t.serial.text = ""
	}
	key := t.ref
	switch {
	case t.tag.text != "":
		key = "tag " + t.tag.text
	case t.serial.text != "":
		key = "serial " + t.serial.text
		if t.maker != nil {
			key += " " + t.maker.key
		}
	}
	d, ok := r.define("asset", key)
	if !ok {
		return d, false
	}
	r.give(d, "asset_tag", t.tag)
	r.give(d, "serial", t.serial)
	d.to("manufacturer", t.maker)
	if t.tag.text != "" {
		d.found([]clue{is("asset_tag", t.tag.text)})
	}
	if t.ref != "" {
		d.imply("import_ref", t.ref)
		d.found([]clue{is("import_ref", t.ref)})
	}
	if t.serial.text != "" {
		way := []clue{is("serial", t.serial.text)}
		if t.maker != nil {
			way = append(way, softly("manufacturer", t.maker))
		}
		d.found(way)
	}
	return d, true
}

// device defines the device of a row, in the role that asset plays.
func (r *row) device(name cell, asset *draft) (*draft, bool) {
	host, changed := hostName(name.text)
	if host == "" {
		return nil, false
	}
	d, ok := r.define("device", host)
	if !ok {
		return d, false
	}
	d.put(value{field: d.field("name"), v: host, column: name.column, text: name.text})
	d.to("asset", asset)
	d.found([]clue{is("name", host)})
	if changed {
		r.warn(name, "is no host name; it is called %s here, and the notes keep the old name", host)
		d.note("Name before berth: %s", name.text)
	}
	return d, true
}

var notInHost = regexp.MustCompile(`[^a-z0-9.-]+`)

// hostName makes a host name of what people call a device, and tells whether that changed more than upper case.
func hostName(name string) (host string, changed bool) {
	lower := strings.ToLower(strings.TrimSpace(name))
	host = notInHost.ReplaceAllString(lower, "-")
	var labels []string
	for label := range strings.SplitSeq(host, ".") {
		if label = strings.Trim(label, "-"); label != "" {
			labels = append(labels, strings.Trim(label[:min(len(label), 63)], "-"))
		}
	}
	host = strings.Join(labels, ".")
	if strings.Trim(host, "0123456789.") == "" && strings.Contains(host, ".") {
		host = strings.ReplaceAll(host, ".", "-") // an IP address is no name
	}
	host = strings.Trim(host[:min(len(host), 253)], ".-")
	return host, host != lower
}

// place puts a device into a rack. position is in the rack's own units; 0 or nothing is in the rack and not mounted.
func (r *row) place(d, site, location, rack *draft, position, face cell) {
	d.to("site", site).to("location", location).to("rack", rack)
	if rack == nil || position.text == "" {
		return
	}
	r.give(d, "position", position)
	if v := d.find("position"); v != nil {
		if p, ok := v.v.(*float64); ok && *p == 0 {
			d.put(value{field: v.field, v: (*float64)(nil), column: v.column, text: v.text})
			return
		}
	}
	r.choose(d, "face", face, map[string]string{"front": "front", "rear": "rear", "back": "rear", "middle": "front", "left": "", "right": "", "0": "front", "1": "rear"})
}

// inPlace gives the asset the place of its device.
func inPlace(asset, site, location *draft) { asset.to("site", site).to("location", location) }

// comment notes a text of several lines.
func (r *row) comment(d *draft, names ...string) {
	for _, name := range names {
		if c := r.cell(name); c.text != "" {
			d.note("%s", c.text)
		}
	}
}

// titled notes a value under its title, for what has no field of its own.
func (r *row) titled(d *draft, names ...string) {
	for _, name := range names {
		if c := r.cell(name); c.text != "" {
			d.note("%s", fmt.Sprintf("%s: %s", c.column, strings.ReplaceAll(c.text, "\n", " ")))
		}
	}
}

// link mentions a table's choices where the source has a word and berth has two axes.
type axes struct{ status, custody, condition, disposition string }

// settle puts the axes that a word stands for onto asset and device. A word that is not in the table is an error of the row.
func (r *row) settle(c cell, words map[string]axes, asset, device *draft) {
	if c.text == "" {
		return
	}
	a, ok := words[normal(c.text)]
	if !ok {
		r.fail(c, "is a status that is not known; map the value's meaning before the import, or leave it out")
		return
	}
	if asset != nil {
		for field, v := range map[string]string{"custody": a.custody, "condition": a.condition, "disposition": a.disposition} {
			if v != "" {
				asset.put(value{field: asset.field(field), v: v, column: c.column, text: c.text})
			}
		}
	}
	if device != nil && a.status != "" {
		device.put(value{field: device.field("status"), v: a.status, column: c.column, text: c.text})
	}
}
