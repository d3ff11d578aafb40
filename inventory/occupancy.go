package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Placement is the room that a mounted device takes in its rack.
type Placement struct {
	Device *Device
	// From is its lowest unit, and To the unit above its highest, in the rack's own numbers; both in steps of 0.5.
	From, To float64
	// Front and Rear tell which faces it takes: both for a device of full depth.
	Front, Rear bool
}

func (p Placement) meets(q Placement) bool {
	return p.From < q.To && q.From < p.To && (p.Front && q.Front || p.Rear && q.Rear)
}

// Units says the place in words: "unit 3", "units 3 to 4".
func (p Placement) Units() string {
	if p.To-p.From <= 1 {
		return fmt.Sprintf("unit %g", p.From)
	}
	return fmt.Sprintf("units %g to %g", p.From, p.To-min(1, p.To-p.From))
}

// Clash is two devices in one place.
type Clash struct{ A, B Placement }

// Occupancy says what room the devices of a rack take, from the bottom up, and which of them are in each other's way. Devices without a
// position, and those of types without height, take none. A device whose type is not known counts as one unit of full depth.
func Occupancy(rack *Rack, devices []*Device, types map[UID]*DeviceType) (placed []Placement, clashes []Clash) {
	for _, d := range devices {
		if p, ok := placeOf(d, types[d.DeviceType]); ok && d.Rack == rack.UID {
			placed = append(placed, p)
		}
	}
	slices.SortFunc(placed, func(a, b Placement) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Device.Face, b.Device.Face), cmp.Compare(a.Device.UID, b.Device.UID))
	})
	for i, a := range placed {
		for _, b := range placed[i+1:] {
			if b.From >= a.To {
				break // what follows begins higher still
			}
			if a.meets(b) {
				clashes = append(clashes, Clash{a, b})
			}
		}
	}
	return placed, clashes
}

func placeOf(d *Device, kind *DeviceType) (Placement, bool) {
	if d.Position == nil {
		return Placement{}, false
	}
	height, deep := 1.0, true
	if kind != nil {
		height, deep = kind.UHeight, kind.IsFullDepth
	}
	return Placement{Device: d, From: *d.Position, To: *d.Position + height, Front: deep || d.Face != "rear", Rear: deep || d.Face == "rear"}, height > 0
}

// Fits tells whether a placement lies within the rack, and if not, why.
func (r *Rack) Fits(p Placement) (why string, ok bool) {
	first, last := float64(r.StartingUnit), float64(r.StartingUnit+r.UHeight)
	if p.From < first || p.To > last {
		return fmt.Sprintf("%s is not in rack %s, which has the units %g to %g", p.Units(), r.Name, first, last-1), false
	}
	return "", true
}

// CheckIn holds a device against the place it is put in: within the rack, and where nothing else is. A device in a rack is where the rack
// is. Errors: *Invalid, *Conflict.
func (d *Device) CheckIn(tx Tx, before Object) error {
	if old, ok := before.(*Device); ok && old.Rack == d.Rack && old.Face == d.Face && old.DeviceType == d.DeviceType && samePosition(old.Position, d.Position) && old.Site == d.Site {
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

func samePosition(a, b *float64) bool { return a == b || (a != nil && b != nil && *a == *b) }

func (d *Device) checkRoom(tx Tx, rack *Rack) error {
	devices, err := TxList[Device](tx, Query{Filters: []Filter{Is("rack", d.Rack)}, Limit: MaxPage})
	if err != nil {
		return fmt.Errorf("look into rack %s: %w", rack.Name, err)
	}
	devices = append(slices.DeleteFunc(devices, func(o *Device) bool { return o.UID == d.UID }), d)
	types, err := typesOf(tx, devices)
	if err != nil {
		return err
	}
	if place, ok := placeOf(d, types[d.DeviceType]); ok {
		if why, ok := rack.Fits(place); !ok {
			return NotAllowed("device", "position", "%s", why)
		}
	}
	_, clashes := Occupancy(rack, devices, types)
	for _, clash := range clashes {
		other := clash.A
		if other.Device == d {
			other = clash.B
		}
		if clash.A.Device == d || clash.B.Device == d {
			return &Conflict{Noun: "device", UID: other.Device.UID, Why: fmt.Sprintf("%s of rack %s is taken by %s", other.Units(), rack.Name, other.Device.Name)}
		}
	}
	return nil
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

// CheckIn holds a rack against its location. Errors: *Invalid.
func (r *Rack) CheckIn(tx Tx, before Object) error {
	if old, ok := before.(*Rack); r.Location == "" || ok && old.Location == r.Location && old.Site == r.Site {
		return nil
	}
	location, err := TxGet[Location](tx, string(r.Location))
	if err != nil {
		return unknownRef(err, "rack", "location")
	}
	if location.Site != r.Site {
		return NotAllowed("rack", "location", "%s is at another site", location.Name)
	}
	return nil
}
