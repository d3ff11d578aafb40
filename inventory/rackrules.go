package inventory

import "fmt"

// The rules of racks, and of what keeps their units free.

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (t *RackType) Check() error {
	bad := &findings{noun: "rack-type"}
	settleSlug(&t.Slug, t.Model, bad)
	setDefault(&t.UHeight, 42)
	setDefault(&t.StartingUnit, 1)
	setDefault(&t.Width, 19)
	judgeFrame(t.UHeight, t.StartingUnit, t.Width, bad)
	judgeMeasures(bad, map[string]int64{"outer_width_mm": int64(t.OuterWidthMM), "outer_height_mm": int64(t.OuterHeightMM), "outer_depth_mm": int64(t.OuterDepthMM),
		"mounting_depth_mm": int64(t.MountingDepthMM), "weight_grams": t.WeightGrams, "max_weight_grams": t.MaxWeightGrams})
	return bad.err()
}

// Check fills in what is left empty and judges the rest. What a rack with a type leaves empty is filled in from the type, by CheckIn.
// Errors: *Invalid.
func (r *Rack) Check() error {
	bad := &findings{noun: "rack"}
	setDefault(&r.Status, "active")
	typed := r.RackType != ""
	if !typed {
		r.settleFrame(42, 1, 19)
	}
	if !typed || r.UHeight != 0 && r.StartingUnit != 0 && r.Width != 0 {
		judgeFrame(r.UHeight, r.StartingUnit, r.Width, bad)
	}
	judgeMeasures(bad, map[string]int64{"outer_width_mm": int64(r.OuterWidthMM), "outer_height_mm": int64(r.OuterHeightMM), "outer_depth_mm": int64(r.OuterDepthMM),
		"mounting_depth_mm": int64(r.MountingDepthMM), "weight_grams": r.WeightGrams, "max_weight_grams": r.MaxWeightGrams})
	return bad.err()
}

func (r *Rack) settleFrame(height, start, width int) {
	setDefault(&r.UHeight, height)
	setDefault(&r.StartingUnit, start)
	setDefault(&r.Width, width)
}

func judgeFrame(height, start, width int, bad *findings) {
	if height < 1 || height > 100 {
		bad.add("u_height", "is from 1 to 100 U")
	}
	if start < 1 || start > 100 {
		bad.add("starting_unit", "is from 1 to 100")
	}
	switch width {
	case 10, 19, 21, 23:
	default:
		bad.add("width", "is 10, 19, 21 or 23 in")
	}
}

func judgeMeasures(bad *findings, measures map[string]int64) {
	for field, value := range measures {
		if value < 0 {
			bad.add(field, "cannot be negative")
		}
	}
}

// CheckIn holds a rack against its location, its type and what stands in it. Errors: *Invalid, *Conflict.
func (r *Rack) CheckIn(tx Tx, before Object) error {
	old, _ := before.(*Rack)
	if r.RackType != "" && (old == nil || old.RackType != r.RackType || r.UHeight == 0 || r.StartingUnit == 0 || r.Width == 0) {
		if err := r.takeFromType(tx); err != nil {
			return err
		}
	}
	if old != nil && (old.UHeight != r.UHeight || old.StartingUnit != r.StartingUnit) {
		if err := r.checkContents(tx); err != nil {
			return err
		}
	}
	if old != nil && old.Location == r.Location && old.Site == r.Site {
		return nil
	}
	return checkLocation(tx, "rack", r.Site, r.Location)
}

func (r *Rack) takeFromType(tx Tx) error {
	kind, err := TxGet[RackType](tx, string(r.RackType))
	if err != nil {
		return unknownRef(err, "rack", "rack_type")
	}
	r.settleFrame(kind.UHeight, kind.StartingUnit, kind.Width)
	bad := &findings{noun: "rack"}
	judgeFrame(r.UHeight, r.StartingUnit, r.Width, bad)
	return bad.err()
}

// checkContents sees that everything mounted is still within a rack whose units change.
func (r *Rack) checkContents(tx Tx) error {
	devices, err := devicesIn(tx, r)
	if err != nil {
		return err
	}
	types, err := typesOf(tx, devices)
	if err != nil {
		return err
	}
	placed, _ := Occupancy(r, devices, types)
	for _, p := range placed {
		if why, ok := r.Fits(p); !ok {
			return &Conflict{Noun: "rack", UID: r.UID, Why: fmt.Sprintf("%s stands in it: %s", p.Device.Name, why)}
		}
	}
	return nil
}

// checkLocation sees that a location is at the site.
func checkLocation(tx Tx, noun string, site, location UID) error {
	if location == "" {
		return nil
	}
	l, err := TxGet[Location](tx, string(location))
	if err != nil {
		return unknownRef(err, noun, "location")
	}
	if l.Site != site {
		return NotAllowed(noun, "location", "%s is at another site", l.Name)
	}
	return nil
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (v *RackReservation) Check() error {
	bad := &findings{noun: "rack-reservation"}
	setDefault(&v.Height, 1)
	setDefault(&v.Status, "active")
	if v.FromUnit < 1 || v.FromUnit > 200 || !inSteps(v.FromUnit) {
		bad.add("from_unit", "is a unit of the rack, in steps of 0.5")
	}
	if v.Height <= 0 || v.Height > 100 || !inSteps(v.Height) {
		bad.add("height", "is from 0.5 to 100 U, in steps of 0.5")
	}
	return bad.err()
}

// Place is the room that a reservation keeps free.
func (v *RackReservation) Place() Placement {
	return Placement{From: v.FromUnit, To: v.FromUnit + v.Height, Right: FullWidth, Front: v.Face != "rear", Rear: v.Face != "front"}
}

// Holds tells whether a reservation still keeps its units free on a day: not when it is stale, nor after its last day.
func (v *RackReservation) Holds(on Date) bool {
	return v.Status != "stale" && (v.Until == "" || on <= v.Until)
}

// CheckIn holds a reservation against its rack, other reservations and what stands there already: what keeps units free that are taken
// would say something untrue, and could not be stored again after the devices. Errors: *Invalid, *Conflict.
func (v *RackReservation) CheckIn(tx Tx, before Object) error {
	if old, ok := before.(*RackReservation); ok && old.Rack == v.Rack && old.Place() == v.Place() && old.Status == v.Status && old.Until == v.Until {
		return nil
	}
	rack, err := TxGet[Rack](tx, string(v.Rack))
	if err != nil {
		return unknownRef(err, "rack-reservation", "rack")
	}
	if why, ok := rack.Fits(v.Place()); !ok {
		return NotAllowed("rack-reservation", "from_unit", "%s", why)
	}
	if !v.Holds(DateOf(tx.Now())) {
		return nil
	}
	if err := v.checkOthers(tx, rack); err != nil {
		return err
	}
	return v.checkDevices(tx, rack)
}

func (v *RackReservation) checkOthers(tx Tx, rack *Rack) error {
	others, err := reservationsIn(tx, rack)
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.UID != v.UID && o.Holds(DateOf(tx.Now())) && o.Place().Meets(v.Place()) {
			return &Conflict{Noun: "rack-reservation", UID: o.UID, Why: o.sentence(rack)}
		}
	}
	return nil
}

func (v *RackReservation) checkDevices(tx Tx, rack *Rack) error {
	devices, err := devicesIn(tx, rack)
	if err != nil {
		return err
	}
	types, err := typesOf(tx, devices)
	if err != nil {
		return err
	}
	placed, _ := Occupancy(rack, devices, types)
	for _, p := range placed {
		if p.Meets(v.Place()) && p.Device.OverReservation == "" {
			return &Conflict{Noun: "rack-reservation", UID: p.Device.UID, Why: fmt.Sprintf("%s of rack %s %s taken by %s: reserve the free units around it, or say on the device why it may stand there",
				p.Units(), rack.Name, p.are(), p.Device.Name)}
		}
	}
	return nil
}

func reservationsIn(tx Tx, rack *Rack) ([]*RackReservation, error) {
	list, err := TxList[RackReservation](tx, Query{Filters: []Filter{Is("rack", rack.UID)}, Limit: MaxPage})
	if err != nil {
		return nil, fmt.Errorf("look for what is reserved in rack %s: %w", rack.Name, err)
	}
	return list, nil
}

// sentence says what is reserved, for whom a reservation stands in the way.
func (v *RackReservation) sentence(rack *Rack) string {
	until := ""
	if v.Until != "" {
		until = " until " + string(v.Until)
	}
	return fmt.Sprintf("%s of rack %s %s reserved%s: %s", v.Place().Units(), rack.Name, v.Place().are(), until, abbreviate(v.Description, 200))
}

// checkReservations sees that nothing keeps the place free for something else.
func (p Placement) checkReservations(tx Tx, rack *Rack) error {
	list, err := reservationsIn(tx, rack)
	if err != nil {
		return err
	}
	for _, v := range list {
		if v.Holds(DateOf(tx.Now())) && v.Place().Meets(p) {
			return &Conflict{Noun: "rack-reservation", UID: v.UID, Why: v.sentence(rack) + ". To put something there all the same, say why in over_reservation."}
		}
	}
	return nil
}
