package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// FullWidth is the width of a rack in the parts that Placement counts in: a half, a third and a quarter of it are whole numbers.
const FullWidth = 12

// Placement is the room that a mounted device takes in its rack.
type Placement struct {
	Device *Device
	// From is its lowest unit, and To the unit above its highest, in the rack's own numbers; both in steps of 0.5.
	From, To float64
	// Left and Right bound the part of the width it takes, in twelfths from the left as seen from the front: 0 and FullWidth for most.
	Left, Right int
	// Front and Rear tell which faces it takes: both for a device of full depth.
	Front, Rear bool
}

// Meets tells whether two placements want the same room.
func (p Placement) Meets(q Placement) bool {
	return p.From < q.To && q.From < p.To && p.Left < q.Right && q.Left < p.Right && (p.Front && q.Front || p.Rear && q.Rear)
}

// Units says the place in words: "unit 3", "units 3 to 4".
func (p Placement) Units() string { return unitsText(p.From, p.To) }

// are is the verb for Units.
func (p Placement) are() string {
	if p.To-p.From <= 1 {
		return "is"
	}
	return "are"
}

func unitsText(from, to float64) string {
	if to-from <= 1 {
		return fmt.Sprintf("unit %g", from)
	}
	return fmt.Sprintf("units %g to %g", from, to-min(1, to-from))
}

// Clash is two devices in one place.
type Clash struct{ A, B Placement }

// Occupancy says what room the devices of a rack take, from the bottom up, and which of them are in each other's way. Devices without a
// position, and those of types without height, take none. A device whose type is not known counts as one unit of full depth.
func Occupancy(rack *Rack, devices []*Device, types map[UID]*DeviceType) (placed []Placement, clashes []Clash) {
	for _, d := range devices {
		if p, ok := PlaceOf(d, types[d.DeviceType]); ok && d.Rack == rack.UID {
			placed = append(placed, p)
		}
	}
	slices.SortFunc(placed, func(a, b Placement) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Device.Face, b.Device.Face), cmp.Compare(a.Left, b.Left), cmp.Compare(a.Device.UID, b.Device.UID))
	})
	for i, a := range placed {
		for _, b := range placed[i+1:] {
			if b.From >= a.To {
				break // what follows begins higher still
			}
			if a.Meets(b) {
				clashes = append(clashes, Clash{a, b})
			}
		}
	}
	return placed, clashes
}

// Slots is how many devices of the type stand side by side in one unit.
func (t *DeviceType) Slots() int {
	if t == nil {
		return 1
	}
	switch t.RackWidth {
	case "half":
		return 2
	case "third":
		return 3
	case "quarter":
		return 4
	}
	return 1
}

// PlaceOf is the room that a device of the given type takes; false when it takes none. A type that is not known counts as one unit of
// full depth.
func PlaceOf(d *Device, kind *DeviceType) (Placement, bool) {
	if d.Position == nil {
		return Placement{}, false
	}
	height, deep := 1.0, true
	if kind != nil {
		height, deep = kind.UHeight, kind.IsFullDepth
	}
	part := FullWidth / kind.Slots()
	left := min(max(d.Slot, 0), kind.Slots()-1) * part
	return Placement{Device: d, From: *d.Position, To: *d.Position + height, Left: left, Right: left + part,
		Front: deep || d.Face != "rear", Rear: deep || d.Face == "rear"}, height > 0
}

// Fits tells whether a placement lies within the rack, and if not, why.
func (r *Rack) Fits(p Placement) (why string, ok bool) {
	first, last := float64(r.StartingUnit), float64(r.StartingUnit+r.UHeight)
	if p.From < first || p.To > last {
		return fmt.Sprintf("%s %s not in rack %s, which has the units %g to %g", p.Units(), p.are(), r.Name, first, last-1), false
	}
	return "", true
}

// checkPlaceIn is CheckIn, without what an edit remembers.
func (d *Device) checkPlaceIn(tx Tx, before Object) error {
	if old, ok := before.(*Device); ok && d.standsAs(old) {
		return nil
	}
	if d.Rack == "" {
		return nil
	}
	rack, err := TxGet[Rack](tx, string(d.Rack))
	if err != nil {
		return unknownRef(err, "device", "rack")
	}
	setDefault(&d.Site, rack.Site)
	setDefault(&d.Location, rack.Location)
	if d.Site != rack.Site {
		return NotAllowed("device", "site", "is another than that of rack %s", rack.Name)
	}
	if d.Position == nil {
		return nil
	}
	return d.checkRoom(tx, rack)
}

// standsAs tells whether nothing changed that decides where a device may stand.
func (d *Device) standsAs(old *Device) bool {
	return old.Rack == d.Rack && old.Face == d.Face && old.Slot == d.Slot && old.DeviceType == d.DeviceType &&
		samePosition(old.Position, d.Position) && old.Site == d.Site && old.OverReservation == d.OverReservation
}

func samePosition(a, b *float64) bool { return a == b || (a != nil && b != nil && *a == *b) }

func (d *Device) checkRoom(tx Tx, rack *Rack) error {
	devices, err := devicesIn(tx, rack)
	if err != nil {
		return err
	}
	devices = append(slices.DeleteFunc(devices, func(o *Device) bool { return o.UID == d.UID }), d)
	types, err := typesOf(tx, devices)
	if err != nil {
		return err
	}
	kind := types[d.DeviceType]
	if slots := kind.Slots(); d.Slot >= slots {
		return NotAllowed("device", "slot", "%s", slotProblem(kind, slots))
	}
	place, ok := PlaceOf(d, kind)
	if !ok {
		return nil
	}
	if why, ok := rack.Fits(place); !ok {
		return NotAllowed("device", "position", "%s", why)
	}
	_, clashes := Occupancy(rack, devices, types)
	for _, clash := range clashes {
		other := clash.A
		if other.Device == d {
			other = clash.B
		}
		if clash.A.Device == d || clash.B.Device == d {
			return &Conflict{Noun: "device", UID: other.Device.UID, Why: fmt.Sprintf("%s of rack %s %s taken by %s", other.Units(), rack.Name, other.are(), other.Device.Name)}
		}
	}
	if d.OverReservation != "" {
		return nil
	}
	return place.checkReservations(tx, rack)
}

func slotProblem(kind *DeviceType, slots int) string {
	if slots == 1 {
		return "is for what takes a part of a unit's width, and this takes all of it"
	}
	return fmt.Sprintf("is from 0 to %d for a %s, which takes a %s of the width", slots-1, kind.Model, kind.RackWidth)
}

func devicesIn(tx Tx, rack *Rack) ([]*Device, error) {
	devices, err := TxList[Device](tx, Query{Filters: []Filter{Is("rack", rack.UID)}, Limit: MaxPage})
	if err != nil {
		return nil, fmt.Errorf("look into rack %s: %w", rack.Name, err)
	}
	return devices, nil
}

func typesOf(tx Tx, devices []*Device) (map[UID]*DeviceType, error) {
	var uids []string
	seen := map[UID]bool{"": true}
	for _, d := range devices {
		if !seen[d.DeviceType] {
			seen[d.DeviceType] = true
			uids = append(uids, string(d.DeviceType))
		}
	}
	out := map[UID]*DeviceType{}
	if len(uids) == 0 {
		return out, nil
	}
	list, err := TxList[DeviceType](tx, Query{Filters: []Filter{{Field: "uid", Op: OpIn, Value: strings.Join(uids, ",")}}, Limit: MaxPage})
	if err != nil {
		return nil, fmt.Errorf("look up device types: %w", err)
	}
	for _, t := range list {
		out[t.UID] = t
	}
	return out, nil
}

// unknownRef makes of ErrNotFound that the field refers to nothing. Other errors are the database's, and stay what they are: it may ask
// for the edit to be run again.
func unknownRef(err error, noun, field string) error {
	if errors.Is(err, ErrNotFound) {
		return NotAllowed(noun, field, "refers to nothing that is on record")
	}
	return fmt.Errorf("look up the %s of a %s: %w", field, noun, err)
}

// maxDepth bounds how deep locations lie in each other.
const maxDepth = 20

// CheckIn holds a location against the one it lies in: of the same site, and not within itself. Errors: *Invalid.
func (l *Location) CheckIn(tx Tx, before Object) error {
	if old, ok := before.(*Location); ok && old.Parent == l.Parent && old.Site == l.Site {
		return nil
	}
	for above, depth := l.Parent, 0; above != ""; depth++ {
		if above == l.UID || depth == maxDepth {
			return NotAllowed("location", "parent", "lies within the location itself")
		}
		parent, err := TxGet[Location](tx, string(above))
		if err != nil {
			return unknownRef(err, "location", "parent")
		}
		if parent.Site != l.Site {
			return NotAllowed("location", "parent", "is at another site")
		}
		above = parent.Parent
	}
	return nil
}
