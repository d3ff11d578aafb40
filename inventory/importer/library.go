package importer

import (
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

// The device-type library: one YAML file per model (netbox-community/devicetype-library, schema/*.json).

// model is one file of the library. Optional numbers are pointers: an absent weight is not a weight of nothing.
type model struct {
	Manufacturer string         `yaml:"manufacturer"`
	Model        string         `yaml:"model"`
	Slug         string         `yaml:"slug"`
	PartNumber   string         `yaml:"part_number"`
	UHeight      *float64       `yaml:"u_height"`
	IsFullDepth  *bool          `yaml:"is_full_depth"`
	Airflow      string         `yaml:"airflow"`
	Weight       *float64       `yaml:"weight"`
	WeightUnit   string         `yaml:"weight_unit"`
	Subdevice    string         `yaml:"subdevice_role"`
	IsPowered    *bool          `yaml:"is_powered"`
	NotCounted   bool           `yaml:"exclude_from_utilization"`
	Description  string         `yaml:"description"`
	Comments     string         `yaml:"comments"`
	Profile      string         `yaml:"profile"`
	Attributes   map[string]any `yaml:"attributes"`
	FormFactor   string         `yaml:"form_factor"`
	Width        int            `yaml:"width"`
	StartingUnit int            `yaml:"starting_unit"`
	DescUnits    bool           `yaml:"desc_units"`
	OuterWidth   *float64       `yaml:"outer_width"`
	OuterHeight  *float64       `yaml:"outer_height"`
	OuterDepth   *float64       `yaml:"outer_depth"`
	OuterUnit    string         `yaml:"outer_unit"`
	Mounting     *float64       `yaml:"mounting_depth"`
	MaxWeight    *float64       `yaml:"max_weight"`
	Rest         map[string]any `yaml:",inline"` // the lists of parts, and what we do not know
}

// partLists are the lists of parts that a device type keeps, as the library names them.
var partLists = []string{"console-ports", "console-server-ports", "power-ports", "power-outlets", "interfaces", "front-ports", "rear-ports", "module-bays", "device-bays", "inventory-items"}

// notOurs are keys that concern pictures; the library's pictures are a gigabyte, and not imported.
var notOurs = []string{"front_image", "rear_image", "rear-image", "front-image"}

// readLibrary reads the files side by side and makes a draft of each.
func (b *builder) readLibrary(files []File) {
	models := make([]model, len(files))
	errs := make([]error, len(files))
	var wg sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				models[i], errs[i] = readModel(files[i])
			}
		})
	}
	for i := range files {
		next <- i
	}
	close(next)
	wg.Wait()
	counts := map[string]int{}
	for i, f := range files {
		b.report.Rows++
		if errs[i] != nil {
			b.report.fail(RowError{File: f.Name, Why: errs[i].Error()})
			continue
		}
		counts[b.addModel(f.Name, models[i])]++
	}
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		b.report.Files = append(b.report.Files, FileReport{Name: "(library)", Kind: kind, Rows: counts[kind]})
	}
}

// readModel reads one file. Aliases are refused: the library has none, and a few bytes of them unfold to gigabytes.
func readModel(f File) (model, error) {
	var m model
	if len(f.Data) > maxYAML {
		return m, fmt.Errorf("is larger than %d KiB", maxYAML>>10)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(f.Data, &doc); err != nil {
		return m, fmt.Errorf("is not YAML: %v", shorten(err.Error()))
	}
	if why := yamlProblem(&doc, 0); why != "" {
		return m, fmt.Errorf("%s", why)
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return m, fmt.Errorf("is no device type, module type or rack type")
	}
	if err := doc.Decode(&m); err != nil {
		return m, fmt.Errorf("does not follow the schema: %v", shorten(err.Error()))
	}
	if m.Manufacturer == "" || m.Model == "" {
		return m, fmt.Errorf("has no manufacturer or no model")
	}
	return m, nil
}

func yamlProblem(n *yaml.Node, depth int) string {
	if depth > maxYAMLDeep {
		return "is nested too deeply"
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return "uses anchors and aliases, which the library does not have"
	}
	for _, child := range n.Content {
		if why := yamlProblem(child, depth+1); why != "" {
			return why
		}
	}
	return ""
}

// addModel makes the draft of a file and says what kind it is.
func (b *builder) addModel(file string, m model) string {
	b.tellUnknown(file, m)
	switch {
	case strings.Contains("/"+file, "/module-types/"):
		b.moduleModel(file, m)
		return "module type"
	case strings.Contains("/"+file, "/rack-types/") || m.FormFactor != "":
		b.rackModel(file, m)
		return "rack type"
	case m.UHeight == nil && m.IsFullDepth == nil && !strings.Contains("/"+file, "/device-types/"):
		b.moduleModel(file, m)
		return "module type"
	}
	b.deviceModel(file, m)
	return "device type"
}

// tellUnknown lists once what keys there is no field for.
func (b *builder) tellUnknown(file string, m model) {
	for key := range m.Rest {
		if slices.Contains(partLists, key) || slices.Contains(notOurs, key) || b.told["key "+key] {
			continue
		}
		b.told["key "+key] = true
		b.report.Unknown = append(b.report.Unknown, UnknownColumn{File: file, Column: shorten(key), Rows: 1, Example: shorten(fmt.Sprint(m.Rest[key]))})
	}
}

// typed begins the draft of a model of any kind.
func (b *builder) typed(noun, file string, m model) (*draft, bool) {
	maker := b.maker(file, 0, m.Manufacturer)
	if maker == nil {
		b.report.fail(RowError{File: file, Column: "manufacturer", Value: m.Manufacturer, Why: "has no letter or digit"})
		return nil, false
	}
	slug := strings.ToLower(m.Slug)
	if slug == "" {
		slug = typeSlug(maker.key, m.Model)
	}
	d, ok := b.define(noun, slug, file, 0)
	if !ok {
		return d, false
	}
	b.alias(d, typeSlug(maker.key, m.Model))
	d.set("slug", slug).set("model", m.Model).to("manufacturer", maker)
	d.found([]clue{is("slug", slug)}, []clue{is("model", m.Model), at("manufacturer", maker)})
	b.lib(d, "weight_grams", "weight", m.Weight, m.WeightUnit, grams)
	if m.Description != "" {
		d.set("description", m.Description)
	}
	d.note("%s", m.Comments)
	return d, true
}

func (b *builder) lib(d *draft, field, key string, x *float64, unit string, units map[string]float64) {
	if x == nil {
		return
	}
	n, err := measure(fmt.Sprintf("%f", *x), unit, units)
	if err != nil {
		b.report.fail(RowError{File: d.file, Column: key, Value: fmt.Sprint(*x), Why: err.Error()})
		return
	}
	d.set(field, convert(goType(d.noun, d.field(field)), n))
}

// choice sets an enumerated field, or says which words there are.
func (b *builder) choice(d *draft, field, text string) {
	if text == "" {
		return
	}
	v, err := parse(d.noun, d.field(field), text, b.opt)
	if err != nil {
		b.report.fail(RowError{File: d.file, Column: field, Value: text, Why: err.Error()})
		return
	}
	d.set(field, v)
}

func (b *builder) deviceModel(file string, m model) {
	d, ok := b.typed("device-type", file, m)
	if !ok {
		return
	}
	height, deep, powered := 1.0, true, true
	if m.UHeight != nil {
		height = *m.UHeight
	}
	if m.IsFullDepth != nil {
		deep = *m.IsFullDepth
	}
	if m.IsPowered != nil {
		powered = *m.IsPowered
	}
	d.set("u_height", height).set("is_full_depth", deep).set("is_powered", powered).set("not_counted", m.NotCounted)
	if m.PartNumber != "" {
		d.set("part_number", m.PartNumber)
	}
	b.choice(d, "airflow", m.Airflow)
	b.choice(d, "subdevice_role", m.Subdevice)
	parts := map[string]any{}
	for _, list := range partLists {
		if v, ok := m.Rest[list]; ok {
			parts[list] = v
		}
	}
	text, err := json.Marshal(parts)
	if err != nil {
		b.report.fail(RowError{File: file, Why: "has a list of parts that cannot be kept: " + shorten(err.Error())})
		return
	}
	if len(parts) > 0 {
		d.set("parts", json.RawMessage(text))
	}
}

func (b *builder) moduleModel(file string, m model) {
	d, ok := b.typed("module-type", file, m)
	if !ok {
		return
	}
	kindOf := kindOfPart(m.Profile, m.Model, m.Description)
	d.set("kind", kindOf)
	if m.PartNumber != "" {
		d.set("part_number", m.PartNumber)
	}
	attributes := map[string]string{}
	for key, v := range m.Attributes {
		attributes[shorten(key)] = shorten(fmt.Sprint(v))
	}
	for _, list := range partLists {
		if entries, ok := m.Rest[list].([]any); ok {
			attributes[list] = shorten(nameList(entries))
		}
	}
	if m.Airflow != "" {
		attributes["airflow"] = shorten(m.Airflow)
	}
	if len(attributes) > 0 {
		d.set("attributes", attributes)
	}
}

// nameList names the parts of a list.
func nameList(entries []any) string {
	var out []string
	for _, e := range entries {
		if m, ok := e.(map[string]any); ok {
			out = append(out, fmt.Sprint(m["name"]))
		}
	}
	return strings.Join(out, ", ")
}

func (b *builder) rackModel(file string, m model) {
	d, ok := b.typed("rack-type", file, m)
	if !ok {
		return
	}
	b.choice(d, "form_factor", m.FormFactor)
	if m.UHeight != nil {
		d.set("u_height", int(*m.UHeight))
	}
	d.set("starting_unit", max(m.StartingUnit, 1)).set("desc_units", m.DescUnits)
	if m.Width != 0 {
		d.set("width", m.Width)
	}
	b.lib(d, "outer_width_mm", "outer_width", m.OuterWidth, m.OuterUnit, millimetres)
	b.lib(d, "outer_height_mm", "outer_height", m.OuterHeight, m.OuterUnit, millimetres)
	b.lib(d, "outer_depth_mm", "outer_depth", m.OuterDepth, m.OuterUnit, millimetres)
	b.lib(d, "mounting_depth_mm", "mounting_depth", m.Mounting, "mm", millimetres)
	b.lib(d, "max_weight_grams", "max_weight", m.MaxWeight, m.WeightUnit, grams)
}
