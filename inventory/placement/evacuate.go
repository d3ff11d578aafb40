package placement

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"berth/inventory"
)

// Evacuation is what is inside a site, as one would carry it out: what belongs to others first, then rack by rack from the top down, then
// what lies about.
type Evacuation struct {
	Site *inventory.Site `json:"site"`
	Rows []Leaving       `json:"rows"`
	// Weight is of everything whose weight is known; Unweighed counts the rest.
	Weight    int64 `json:"weight_grams"`
	Unweighed int   `json:"unweighed"`
	// Values are sums by currency; Unvalued counts what nobody put a value on.
	Values   map[string]int64 `json:"values"`
	Unvalued int              `json:"unvalued"`
}

// Leaving is one thing to carry out.
type Leaving struct {
	Rack     string  `json:"rack"`
	Unit     float64 `json:"unit"` // the lowest it takes; 0 is none
	Place    string  `json:"place"`
	Name     string  `json:"name"`
	Model    string  `json:"model"`
	AssetTag string  `json:"asset_tag"`
	Serial   string  `json:"serial"`
	Owner    string  `json:"owner"` // empty is ourselves
	// Terms is loan or lease for what must go back to its owner.
	Terms    string `json:"terms"`
	Value    int64  `json:"value_amount"` // minor units; landed cost, else cost, else fair value
	Currency string `json:"currency"`
	Weight   int64  `json:"weight_grams"`
	// OffAt is when it is switched off: 1 first. 0 is what has no power.
	OffAt int    `json:"off_at"`
	Hint  string `json:"hint"` // why then

	Device inventory.UID `json:"device"`
	Asset  inventory.UID `json:"asset"`
}

// Evacuate lists what is inside a site.
func Evacuate(ctx context.Context, r Reader, site *inventory.Site) (*Evacuation, error) {
	e := &evacuation{ctx: ctx, r: r, site: site, out: &Evacuation{Site: site, Rows: []Leaving{}, Values: map[string]int64{}}}
	for _, step := range []func() error{e.read, e.readOwners} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("list what is inside %s: %w", site.Name, err)
		}
	}
	e.list()
	return e.out, nil
}

type evacuation struct {
	ctx          context.Context
	r            Reader
	site         *inventory.Site
	racks        map[inventory.UID]*inventory.Rack
	places       map[inventory.UID]*inventory.Location
	devices      []*inventory.Device
	types        map[inventory.UID]*inventory.DeviceType
	assets       map[inventory.UID]*inventory.Asset
	acquisitions map[inventory.UID]*inventory.Acquisition
	owners       map[inventory.UID]*inventory.Organization
	out          *Evacuation
}

func (e *evacuation) read() error {
	here := inventory.Query{Filters: []inventory.Filter{inventory.Is("site", e.site.UID)}}
	racks, err := all[inventory.Rack](e.ctx, e.r, here)
	if err != nil {
		return err
	}
	places, err := all[inventory.Location](e.ctx, e.r, here)
	if err != nil {
		return err
	}
	if e.devices, err = all[inventory.Device](e.ctx, e.r, here); err != nil {
		return err
	}
	e.devices = slices.DeleteFunc(e.devices, func(d *inventory.Device) bool { return d.ProvisionState == inventory.StateRetired && d.Rack == "" })
	if e.types, err = typesOf(e.ctx, e.r, e.devices); err != nil {
		return err
	}
	assets, err := all[inventory.Asset](e.ctx, e.r, here)
	if err != nil {
		return err
	}
	more, err := among[inventory.Asset](e.ctx, e.r, "uid", uidsOf(e.devices, func(d *inventory.Device) inventory.UID { return d.Asset }))
	e.racks, e.places, e.assets = byUID(racks), byUID(places), byUID(append(assets, more...))
	return err
}

func (e *evacuation) readOwners() error {
	var owners, papers []inventory.UID
	for _, a := range e.assets {
		owners, papers = append(owners, a.Owner), append(papers, a.Acquisition)
	}
	organizations, err := among[inventory.Organization](e.ctx, e.r, "uid", owners)
	if err != nil {
		return err
	}
	acquisitions, err := among[inventory.Acquisition](e.ctx, e.r, "uid", papers)
	e.owners, e.acquisitions = byUID(organizations), byUID(acquisitions)
	return err
}

func (e *evacuation) list() {
	seen := map[inventory.UID]bool{}
	for _, d := range e.devices {
		seen[d.Asset] = true
		e.add(e.ofDevice(d), e.assets[d.Asset])
	}
	for _, a := range e.assets {
		if !seen[a.UID] && a.Site == e.site.UID && a.Disposition == "" && inside(a.Custody) {
			e.add(e.ofAsset(a), a)
		}
	}
	slices.SortFunc(e.out.Rows, func(a, b Leaving) int {
		return cmp.Or(cmp.Compare(btoi(a.Terms == ""), btoi(b.Terms == "")), cmp.Compare(btoi(a.Rack == ""), btoi(b.Rack == "")), strings.Compare(a.Rack, b.Rack),
			cmp.Compare(b.Unit, a.Unit), strings.Compare(a.Place, b.Place), strings.Compare(a.Name, b.Name), strings.Compare(string(a.Asset), string(b.Asset)))
	})
}

// inside tells whether something in that custody can be in the building.
func inside(custody string) bool {
	switch custody {
	case "received", "storage", "installed", "missing":
		return true
	}
	return false
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (e *evacuation) ofDevice(d *inventory.Device) Leaving {
	kind := e.types[d.DeviceType]
	row := Leaving{Name: d.Name, Serial: d.Serial, Device: d.UID}
	if kind != nil {
		row.Model, row.Weight = kind.Model, kind.WeightGrams
	}
	names := map[inventory.UID]string{}
	if rack := e.racks[d.Rack]; rack != nil {
		row.Rack, row.Unit, names[rack.UID] = rack.Name, height(d), rack.Name
	}
	row.Place = at(names, d, kind)
	if place := e.places[d.Location]; place != nil && d.Rack == "" {
		row.Place = place.Name
	}
	row.OffAt, row.Hint = offAt(d)
	return row
}

func (e *evacuation) ofAsset(a *inventory.Asset) Leaving {
	row := Leaving{Name: a.Name, Model: a.PartNumber, Place: "somewhere at the site"}
	if place := e.places[a.Location]; place != nil {
		row.Place = place.Name
	}
	return row
}

func (e *evacuation) add(row Leaving, a *inventory.Asset) {
	if a != nil {
		row.Asset, row.AssetTag, row.Currency = a.UID, a.AssetTag, a.Currency
		row.Serial = cmp.Or(a.Serial, row.Serial)
		row.Weight = cmp.Or(a.WeightGrams, row.Weight)
		row.Value = worth(a)
		if o := e.owners[a.Owner]; o != nil {
			row.Owner = o.Name
		}
		if paper := e.acquisitions[a.Acquisition]; paper != nil && (paper.Kind == "loan" || paper.Kind == "lease") {
			row.Terms = paper.Kind
		}
	}
	e.out.Weight += row.Weight
	if row.Weight == 0 {
		e.out.Unweighed++
	}
	if row.Value > 0 {
		e.out.Values[row.Currency] += row.Value
	} else {
		e.out.Unvalued++
	}
	e.out.Rows = append(e.out.Rows, row)
}

// worth is what a thing stands for in a list of losses: what it cost here, else what it cost, else what it was worth when it was given.
func worth(a *inventory.Asset) int64 {
	if a.FairValueAmount != nil && a.LandedCostAmount == 0 && a.CostAmount == 0 {
		return *a.FairValueAmount
	}
	return cmp.Or(a.LandedCostAmount, a.CostAmount)
}

// offAt orders the switching off: what uses others before what others use. The role is a word that people chose, so it is a hint.
func offAt(d *inventory.Device) (int, string) {
	role := strings.ToLower(d.Role)
	is := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(role, w) })
	}
	switch {
	case d.Power == "off":
		return 0, "is off"
	case is("pdu", "ups"):
		return 6, "power last"
	case is("switch", "router", "firewall"):
		return 5, "the network after all that uses it"
	case is("boot", "berth", "dns", "ntp"):
		return 4, "the others were switched off through it"
	case is("ceph", "storage", "nas", "san"):
		return 3, "storage after its clients; set noout first"
	case is("control", "etcd", "master"):
		return 2, "control planes after the workers"
	}
	return 1, "first: nothing depends on it that is known"
}
