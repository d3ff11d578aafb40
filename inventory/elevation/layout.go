// Package elevation draws racks: objects in, a picture out. It asks nobody for anything.
//
// [Of] lays one face of a rack out as boxes with sizes in pixels, which is also the JSON form of the drawing; [Elevation.SVG] writes it as
// SVG, with everything that people or machines said escaped, and [Wall] sets many racks side by side. The measures and conventions are
// NetBox's (netbox/dcim/svg/racks.py), so that eyes need not learn: a unit is 220 × 22 px, numbers stand at the left, reservations at the
// right, unit 1 is at the bottom unless the rack counts from the top. What is ours: the state of a machine as colour and letter, parts of
// a unit's width side by side, what takes no unit at the sides, and errors drawn instead of hidden.
package elevation

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"berth/inventory"
)

// The measures of an elevation, in pixels.
const (
	DefaultUnitWidth  = 220
	DefaultUnitHeight = 22

	legendWidth = 30 // the numbers of the units
	margin      = 15 // reservations
	border      = 2
	sideWidth   = 22 // a device that takes no unit
	// beyond is how many units past the rack's ends a device is still drawn at its true place; what is further away stands at the edge.
	beyond = 3.0
)

// Bounds of what may be asked for.
const (
	minUnitWidth, maxUnitWidth   = 60, 800
	minUnitHeight, maxUnitHeight = 8, 80
)

// Options say how to draw.
type Options struct {
	Face                  string         // front or rear
	UnitWidth, UnitHeight int            // px; 0 is the default
	Today                 inventory.Date // reservations end
	CanEdit               bool           // free units are links to a form for a new device
	Drag                  bool           // boxes say what they are, for the script that moves them
	Small                 bool           // a thumbnail: no numbers, no links of free units
	// Picture is the address of a picture of a device type's face; nil or "" draws none.
	Picture func(t *inventory.DeviceType, face string) string
	// Note marks devices with a word, such as those that a plan moves.
	Note map[inventory.UID]string
}

// Settle fills in what is left empty, and refuses what cannot be drawn. Errors: *inventory.Invalid.
func (o *Options) Settle() error {
	if o.Face == "" {
		o.Face = "front"
	}
	if o.UnitWidth == 0 {
		o.UnitWidth = DefaultUnitWidth
	}
	if o.UnitHeight == 0 {
		o.UnitHeight = DefaultUnitHeight
	}
	switch {
	case o.Face != "front" && o.Face != "rear":
		return inventory.NotAllowed("elevation", "face", "is front or rear")
	case o.UnitWidth < minUnitWidth || o.UnitWidth > maxUnitWidth:
		return inventory.NotAllowed("elevation", "unit_width", "is from %d to %d px", minUnitWidth, maxUnitWidth)
	case o.UnitHeight < minUnitHeight || o.UnitHeight > maxUnitHeight:
		return inventory.NotAllowed("elevation", "unit_height", "is from %d to %d px", minUnitHeight, maxUnitHeight)
	}
	return nil
}

// Elevation is one face of a rack, laid out. Lengths are in pixels from the upper left corner.
type Elevation struct {
	Rack         inventory.UID         `json:"rack"`
	Name         string                `json:"name"`
	Face         string                `json:"face"`
	Width        int                   `json:"width"`
	Height       float64               `json:"height"`
	Units        []Unit                `json:"units"`
	Boxes        []Box                 `json:"boxes"`
	Sides        []Box                 `json:"sides"`
	Reservations []Band                `json:"reservations"`
	Problems     []string              `json:"problems"`
	Utilization  inventory.Utilization `json:"utilization"`

	options Options
	rack    *inventory.Rack
	x       float64 // of the inside of the frame
	above   float64 // room over the frame, for what stands beyond the rack's end
	prefix  string  // of ids within the drawing
}

// Unit is one unit of the frame.
type Unit struct {
	Number int     `json:"number"`
	Y      float64 `json:"y"`
	Taken  bool    `json:"taken"` // over its whole width, at this face
	URL    string  `json:"url,omitempty"`
}

// Box is a device, or the back of one.
type Box struct {
	Device inventory.UID `json:"device"`
	Name   string        `json:"name"`
	Type   string        `json:"type,omitempty"`
	State  string        `json:"state"`  // its provision state, else its status
	Colour string        `json:"colour"` // green, blue, cyan, red, yellow, purple, gray
	Mark   string        `json:"mark"`   // a letter for the state, for who cannot tell the colours
	Title  string        `json:"title"`
	Note   string        `json:"note,omitempty"`
	URL    string        `json:"url"`
	X      float64       `json:"x"`
	Y      float64       `json:"y"`
	W      float64       `json:"w"`
	H      float64       `json:"h"`
	From   float64       `json:"from"` // units
	To     float64       `json:"to"`
	Slot   int           `json:"slot"`
	// Blocked: it is mounted at the other face and is as deep as the rack.
	Blocked bool `json:"blocked"`
	// Wrong: it overlaps another, or is outside the rack.
	Wrong bool `json:"wrong"`
	// Side is left or right of what takes no unit, as drawn.
	Side    string `json:"side,omitempty"`
	Picture string `json:"picture,omitempty"`

	slots int
}

// Band is a reservation in the margin.
type Band struct {
	UID   inventory.UID `json:"uid"`
	Title string        `json:"title"`
	Y     float64       `json:"y"`
	H     float64       `json:"h"`
	URL   string        `json:"url"`
}

// Of lays out one face. The options must have been settled.
func Of(c inventory.RackContents, o Options) *Elevation {
	e := &Elevation{Rack: c.Rack.UID, Name: c.Rack.Name, Face: o.Face, options: o, rack: c.Rack, prefix: o.Face[:1] + c.Rack.UID.Short(),
		Units: []Unit{}, Boxes: []Box{}, Sides: []Box{}, Reservations: []Band{}}
	placed, clashes := c.Occupancy()
	left, right := c.AtSide("left"), c.AtSide("right")
	if o.Face == "rear" {
		left, right = right, left // one walks round the rack, and what was at the left is at the right
	}
	e.frame(len(visibleAt(left, o.Face)), len(visibleAt(right, o.Face)), placed)
	e.placeUnits(placed)
	e.placeBoxes(c, placed, clashes)
	e.placeSides(c, visibleAt(left, o.Face), visibleAt(right, o.Face))
	e.placeReservations(c.Reservations)
	e.Problems = append([]string{}, c.Problems(o.Today)...)
	e.Utilization = c.Utilization(o.Today)
	return e
}

// visibleAt leaves out what is mounted at the other face. What names no face is seen from both.
func visibleAt(devices []*inventory.Device, face string) []*inventory.Device {
	return slices.DeleteFunc(slices.Clone(devices), func(d *inventory.Device) bool { return d.Face != "" && d.Face != face })
}

// frame works out the size of the drawing, and how much room what stands beyond the rack needs.
func (e *Elevation) frame(left, right int, placed []inventory.Placement) {
	above, below := 0.0, 0.0
	first, end := float64(e.rack.StartingUnit), float64(e.rack.StartingUnit+e.rack.UHeight)
	for _, p := range placed {
		below = max(below, min(beyond, first-p.From))
		above = max(above, min(beyond, p.To-end))
	}
	if e.rack.DescUnits {
		above, below = below, above
	}
	uh := float64(e.options.UnitHeight)
	e.above = above * uh
	legend := legendWidth
	if e.options.Small {
		legend = 4
	}
	e.x = float64(legend + left*sideWidth + border)
	e.Width = legend + (left+right)*sideWidth + 2*border + e.options.UnitWidth + margin
	e.Height = float64(e.rack.UHeight)*uh + 2*border + (above+below)*uh
}

// y is the upper edge of what takes the units from one number up to another. Unit 1 is at the bottom, unless units count from the top.
func (e *Elevation) y(from, to float64) float64 {
	first, end := float64(e.rack.StartingUnit), float64(e.rack.StartingUnit+e.rack.UHeight)
	uh := float64(e.options.UnitHeight)
	if e.rack.DescUnits {
		return border + e.above + (from-first)*uh
	}
	return border + e.above + (end-to)*uh
}

func (e *Elevation) placeUnits(placed []inventory.Placement) {
	covered := make([][inventory.FullWidth]bool, 2*e.rack.UHeight) // by half units
	first := float64(e.rack.StartingUnit)
	for _, p := range placed {
		if !e.hides(p) {
			continue
		}
		for half := max(0, int(2*(p.From-first))); half < min(len(covered), int(2*(p.To-first))); half++ {
			for x := p.Left; x < p.Right; x++ {
				covered[half][x] = true
			}
		}
	}
	for i := range e.rack.UHeight {
		number := e.rack.StartingUnit + i
		u := Unit{Number: number, Y: e.y(float64(number), float64(number+1)), Taken: !slices.Contains(covered[2*i][:], false) && !slices.Contains(covered[2*i+1][:], false)}
		if e.options.CanEdit && !u.Taken {
			u.URL = newDeviceURL(e.rack, e.Face, number)
		}
		e.Units = append(e.Units, u)
	}
}

// hides tells whether a device takes something of this face.
func (e *Elevation) hides(p inventory.Placement) bool {
	if e.Face == "rear" {
		return p.Rear
	}
	return p.Front
}

func newDeviceURL(r *inventory.Rack, face string, unit int) string {
	v := url.Values{"rack": {string(r.UID)}, "site": {string(r.Site)}, "face": {face}, "position": {fmt.Sprint(unit)}, "back": {"/racks/" + url.PathEscape(r.Name)}}
	return "/devices/new?" + v.Encode()
}

func (e *Elevation) placeBoxes(c inventory.RackContents, placed []inventory.Placement, clashes []inventory.Clash) {
	lanes := laneOf(clashes, e.hides)
	for _, p := range placed {
		if !e.hides(p) {
			continue
		}
		kind := c.Types[p.Device.DeviceType]
		b := e.describe(p.Device, kind)
		b.From, b.To, b.Slot, b.slots = p.From, p.To, p.Device.Slot, kind.Slots()
		b.Blocked = mountedAt(p.Device) != e.Face
		_, fits := e.rack.Fits(p)
		lane, clashing := lanes[p.Device.UID]
		b.Wrong = clashing || !fits
		e.put(&b, p, lane)
		if e.options.Picture != nil && kind != nil && !b.Blocked {
			b.Picture = e.options.Picture(kind, e.Face)
		}
		e.Boxes = append(e.Boxes, b)
	}
	slices.SortStableFunc(e.Boxes, func(a, b Box) int { return cmp.Or(cmp.Compare(a.Y, b.Y), cmp.Compare(a.X, b.X)) })
}

// mountedAt is the face that a device is screwed to.
func mountedAt(d *inventory.Device) string {
	if d.Face == "" {
		return "front"
	}
	return d.Face
}

// lane is one of several strips that devices in one place share, so that each of them is seen.
type lane struct{ number, of int }

func laneOf(clashes []inventory.Clash, hides func(inventory.Placement) bool) map[inventory.UID]lane {
	numbers := map[inventory.UID]int{}
	most := 0
	for _, c := range clashes {
		if !hides(c.A) || !hides(c.B) {
			continue
		}
		a := numbers[c.A.Device.UID]
		if b, known := numbers[c.B.Device.UID]; !known || b == a {
			numbers[c.B.Device.UID] = (a + 1) % 4
		}
		numbers[c.A.Device.UID] = a
		most = max(most, numbers[c.A.Device.UID], numbers[c.B.Device.UID])
	}
	lanes := map[inventory.UID]lane{}
	for uid, number := range numbers {
		lanes[uid] = lane{number, most + 1}
	}
	return lanes
}

// put gives a box its place. Seen from the rear, left is right.
func (e *Elevation) put(b *Box, p inventory.Placement, in lane) {
	uw, uh := float64(e.options.UnitWidth), float64(e.options.UnitHeight)
	left, right := p.Left, p.Right
	if e.Face == "rear" {
		left, right = inventory.FullWidth-right, inventory.FullWidth-left
	}
	b.X, b.W = e.x+uw*float64(left)/inventory.FullWidth, uw*float64(right-left)/inventory.FullWidth
	if in.of > 1 {
		b.W /= float64(in.of)
		b.X += b.W * float64(in.number)
	}
	b.Y, b.H = e.y(p.From, p.To), (p.To-p.From)*uh
	b.Y = min(max(b.Y, border), e.Height-border-min(b.H, uh/2)) // what is far outside stands at the edge
	b.H = min(b.H, e.Height-border-b.Y)
}

func (e *Elevation) describe(d *inventory.Device, kind *inventory.DeviceType) Box {
	state := string(d.ProvisionState)
	noun := "/machines/"
	if state == "" {
		state, noun = d.Status, "/devices/"
	}
	look := LookOf(state)
	b := Box{Device: d.UID, Name: d.Name, State: state, Colour: look.Colour, Mark: look.Mark, URL: noun + url.PathEscape(d.Name), Note: e.options.Note[d.UID]}
	if d.Name == "" || d.Name == "new" {
		b.URL = noun + string(d.UID)
	}
	height := ""
	if kind != nil {
		b.Type = kind.Model
		height = fmt.Sprintf("%s, %g U", kind.Model, kind.UHeight)
	}
	b.Title = joined(d.Name, d.Role, strings.ReplaceAll(state, "_", " "), height, d.Serial, b.Note)
	return b
}

func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

// placeSides draws what takes no unit as upright bars beside the frame, the first of each side next to it.
func (e *Elevation) placeSides(c inventory.RackContents, left, right []*inventory.Device) {
	for i, d := range left {
		e.placeSide(c, d, "left", e.x-border-float64((i+1)*sideWidth))
	}
	for i, d := range right {
		e.placeSide(c, d, "right", e.x+float64(e.options.UnitWidth)+border+float64(i*sideWidth))
	}
}

func (e *Elevation) placeSide(c inventory.RackContents, d *inventory.Device, side string, x float64) {
	b := e.describe(d, c.Types[d.DeviceType])
	b.Side, b.X, b.W, b.slots = side, x+1, sideWidth-2, 1
	b.Y = border + e.above
	b.H = float64(e.rack.UHeight * e.options.UnitHeight)
	e.Sides = append(e.Sides, b)
}

func (e *Elevation) placeReservations(list []*inventory.RackReservation) {
	for _, v := range list {
		p := v.Place()
		if !v.Holds(e.options.Today) || !e.hides(p) {
			continue
		}
		title := "Reserved, " + p.Units() + ": " + v.Description
		if v.Until != "" {
			title += ", until " + string(v.Until)
		}
		e.Reservations = append(e.Reservations, Band{UID: v.UID, Title: title, Y: e.y(p.From, p.To), H: (p.To - p.From) * float64(e.options.UnitHeight),
			URL: "/rack-reservations/" + string(v.UID)})
	}
}

// Look is how a state is shown: a colour, and a letter for who cannot tell the colours or prints without them.
type Look struct{ State, Colour, Mark string }

// Looks are all of them, in the order of a legend: first what berth knows of machines, then what people intend with other devices.
var Looks = []Look{
	{"deployed", "green", "D"}, {"ready", "blue", "R"}, {"discovered", "cyan", "N"}, {"foreign", "purple", "F"}, {"quarantined", "red", "!"},
	{"unknown", "gray", "?"}, {"retired", "gray", "X"},
	{"active", "green", "A"}, {"planned", "cyan", "P"}, {"staged", "blue", "S"}, {"offline", "gray", "O"}, {"failed", "red", "!"},
	{"decommissioning", "yellow", "E"},
}

// LookOf is how a state is shown; one that is not known is gray.
func LookOf(state string) Look {
	for _, l := range Looks {
		if l.State == state {
			return l
		}
	}
	return Look{state, "gray", "·"}
}
