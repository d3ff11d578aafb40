package placement

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"berth/inventory"
)

// Plan is a move plan with all that follows from it.
type Plan struct {
	Plan  *inventory.MovePlan `json:"plan"`
	Lines []Line              `json:"lines"` // as people walk: by rack, from the top down
	// Problems are why the plan cannot be carried out as it stands.
	Problems []string `json:"problems"`
	// Steps is an order in which nothing is ever put where something still stands.
	Steps   []Step       `json:"steps"`
	Cables  []CableLine  `json:"cables"`
	Parcels []ParcelLine `json:"parcels"`
	// Before and After are the racks that the plan touches, as they are and as they are to be, in the same order.
	Before []inventory.RackContents `json:"-"`
	After  []inventory.RackContents `json:"-"`

	today inventory.Date
}

// Line is one device of a plan: the pick list's row.
type Line struct {
	Move     *inventory.Move   `json:"move"`
	Device   *inventory.Device `json:"device"`
	Type     string            `json:"type"`
	AssetTag string            `json:"asset_tag"`
	Serial   string            `json:"serial"`
	Weight   int64             `json:"weight_grams"`
	From     string            `json:"from"` // "r12, unit 3, front"
	To       string            `json:"to"`
	Cables   []string          `json:"cables"` // what to unplug

	kind  *inventory.DeviceType
	asset *inventory.Asset
}

// Step is one thing to do. A cycle (two devices that change places) is opened by taking one out first: Action is then "take out", and
// later "put in".
type Step struct {
	Number int           `json:"number"`
	Action string        `json:"action"` // move, take out, put in
	Move   inventory.UID `json:"move"`
	Device string        `json:"device"`
	From   string        `json:"from"`
	To     string        `json:"to"`
	Why    string        `json:"why,omitempty"`
}

// ParcelLine says in which parcel of the plan's shipment a device goes.
type ParcelLine struct {
	Device string        `json:"device"`
	Asset  string        `json:"asset"`
	Parcel string        `json:"parcel"`
	Item   inventory.UID `json:"item,omitempty"` // of the packing list; empty while it is not on it
	Weight int64         `json:"weight_grams"`
	State  string        `json:"state"`
}

// maxMoves bounds what is planned as one.
const maxMoves = 2000

// Read works out a plan as of a day.
func Read(ctx context.Context, r Reader, plan *inventory.MovePlan, today inventory.Date) (*Plan, error) {
	p := &Plan{Plan: plan, Lines: []Line{}, Problems: []string{}, Steps: []Step{}, Cables: []CableLine{}, Parcels: []ParcelLine{}, today: today}
	moves, err := all[inventory.Move](ctx, r, inventory.Query{Filters: []inventory.Filter{inventory.Is("move_plan", plan.UID)}})
	if err != nil {
		return nil, fmt.Errorf("read the moves of plan %s: %w", plan.Name, err)
	}
	if len(moves) > maxMoves {
		return nil, inventory.NotAllowed("move-plan", "", "has more than %d moves: make several plans of it", maxMoves)
	}
	for _, step := range []func(context.Context, Reader, []*inventory.Move) error{p.readLines, p.readRacks, p.readCables, p.readParcels} {
		if err := step(ctx, r, moves); err != nil {
			return nil, err
		}
	}
	p.judge()
	p.order()
	return p, nil
}

func (p *Plan) readLines(ctx context.Context, r Reader, moves []*inventory.Move) error {
	devices, err := among[inventory.Device](ctx, r, "uid", uidsOf(moves, func(m *inventory.Move) inventory.UID { return m.Device }))
	if err != nil {
		return fmt.Errorf("read the devices of plan %s: %w", p.Plan.Name, err)
	}
	types, err := typesOf(ctx, r, devices)
	if err != nil {
		return err
	}
	assets, err := among[inventory.Asset](ctx, r, "uid", uidsOf(devices, func(d *inventory.Device) inventory.UID { return d.Asset }))
	if err != nil {
		return fmt.Errorf("read the assets of plan %s: %w", p.Plan.Name, err)
	}
	known, owned := byUID(devices), byUID(assets)
	for _, m := range moves {
		if d := known[m.Device]; d != nil {
			p.Lines = append(p.Lines, lineOf(m, d, types[d.DeviceType], owned[d.Asset]))
		}
	}
	return nil
}

func lineOf(m *inventory.Move, d *inventory.Device, kind *inventory.DeviceType, asset *inventory.Asset) Line {
	l := Line{Move: m, Device: d, Serial: d.Serial, Cables: []string{}, kind: kind, asset: asset}
	if kind != nil {
		l.Type, l.Weight = kind.Model, kind.WeightGrams
	}
	if asset != nil {
		l.AssetTag = asset.AssetTag
		l.Serial = cmp.Or(asset.Serial, l.Serial)
		l.Weight = cmp.Or(asset.WeightGrams, l.Weight)
	}
	return l
}

// readRacks reads the racks the plan touches, and puts its devices into a copy of them where they shall stand.
func (p *Plan) readRacks(ctx context.Context, r Reader, moves []*inventory.Move) error {
	var uids []inventory.UID
	for _, l := range p.Lines {
		uids = append(uids, l.Device.Rack, l.Move.ToRack, inventory.UID(l.Move.From["rack"]))
	}
	racks, err := among[inventory.Rack](ctx, r, "uid", uids)
	if err != nil {
		return fmt.Errorf("read the racks of plan %s: %w", p.Plan.Name, err)
	}
	slices.SortFunc(racks, func(a, b *inventory.Rack) int {
		return cmp.Or(cmp.Compare(a.Site, b.Site), cmp.Compare(a.Name, b.Name))
	})
	if p.Before, err = Contents(ctx, r, racks); err != nil {
		return err
	}
	names := map[inventory.UID]string{"": ""}
	for _, rack := range racks {
		names[rack.UID] = rack.Name
	}
	for i := range p.Lines {
		l := &p.Lines[i]
		l.From = at(names, l.Device, l.kind)
		if was := inventory.UID(l.Move.From["rack"]); was != "" && l.Device.Rack == "" {
			l.From = "taken out of " + names[was]
		}
		l.To = at(names, l.Move.Placed(l.Device), l.kind)
	}
	slices.SortFunc(p.Lines, func(a, b Line) int {
		return cmp.Or(cmp.Compare(names[a.Device.Rack], names[b.Device.Rack]), cmp.Compare(height(b.Device), height(a.Device)), cmp.Compare(a.Device.Name, b.Device.Name))
	})
	p.After = p.after()
	return nil
}

func height(d *inventory.Device) float64 {
	if d.Position == nil {
		return 0
	}
	return *d.Position
}

// at says where a device stands: "r12, units 3 to 4, front, slot 1".
func at(racks map[inventory.UID]string, d *inventory.Device, kind *inventory.DeviceType) string {
	if d.Rack == "" {
		return "in no rack"
	}
	place, mounted := inventory.PlaceOf(d, kind)
	switch {
	case d.Side != "" && !mounted:
		return racks[d.Rack] + ", " + d.Side + " side"
	case !mounted:
		return racks[d.Rack] + ", at no unit"
	}
	text := racks[d.Rack] + ", " + place.Units()
	if d.Face == "rear" {
		text += ", rear"
	}
	if kind.Slots() > 1 {
		text += fmt.Sprintf(", slot %d", d.Slot)
	}
	return text
}

func (p *Plan) after() []inventory.RackContents {
	moving := map[inventory.UID]*inventory.Device{}
	types := map[inventory.UID]*inventory.DeviceType{}
	for _, c := range p.Before {
		for uid, t := range c.Types {
			types[uid] = t
		}
	}
	for _, l := range p.Lines {
		if l.Move.Open() {
			moving[l.Device.UID] = l.Move.Placed(l.Device)
			types[l.Device.DeviceType] = l.kind
		}
	}
	list := make([]inventory.RackContents, len(p.Before))
	for i, c := range p.Before {
		list[i] = inventory.RackContents{Rack: c.Rack, Types: types, Reservations: c.Reservations}
		for _, d := range c.Devices {
			if moving[d.UID] == nil {
				list[i].Devices = append(list[i].Devices, d)
			}
		}
		for _, d := range moving {
			if d.Rack == c.Rack.UID {
				list[i].Devices = append(list[i].Devices, d)
			}
		}
	}
	return list
}

// judge looks for what cannot be in the planned end.
func (p *Plan) judge() {
	moves := map[inventory.UID]bool{}
	for _, l := range p.Lines {
		if l.Move.Open() {
			moves[l.Device.UID] = true
		}
	}
	for _, c := range p.After {
		placed, clashes := c.Occupancy()
		for _, clash := range clashes {
			a, b := clash.A.Device, clash.B.Device
			switch {
			case moves[a.UID] && moves[b.UID]:
				p.problem("%s and %s both go to %s of %s", a.Name, b.Name, shared(clash).Units(), c.Rack.Name)
			case moves[a.UID]:
				p.problem("%s goes to %s of %s, where %s stays", a.Name, clash.A.Units(), c.Rack.Name, b.Name)
			case moves[b.UID]:
				p.problem("%s goes to %s of %s, where %s stays", b.Name, clash.B.Units(), c.Rack.Name, a.Name)
			}
		}
		for _, place := range placed {
			if moves[place.Device.UID] {
				p.judgePlace(c, place)
			}
		}
	}
	slices.Sort(p.Problems)
}

func (p *Plan) problem(format string, args ...any) {
	p.Problems = append(p.Problems, fmt.Sprintf(format, args...))
}

func shared(c inventory.Clash) inventory.Placement {
	return inventory.Placement{From: max(c.A.From, c.B.From), To: min(c.A.To, c.B.To)}
}

func (p *Plan) judgePlace(c inventory.RackContents, place inventory.Placement) {
	if why, ok := c.Rack.Fits(place); !ok {
		p.problem("%s: %s", place.Device.Name, why)
	}
	for _, v := range c.Reservations {
		if v.Holds(p.today) && v.Place().Meets(place) {
			p.problem("%s goes to %s of %s, which is reserved: %s", place.Device.Name, place.Units(), c.Rack.Name, v.Description)
		}
	}
}
