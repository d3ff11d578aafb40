package inventory

import (
	"fmt"
	"math"
)

// RackContents is a rack with all that decides how it looks: what stands in it, of which types, and what is kept free.
type RackContents struct {
	Rack         *Rack
	Devices      []*Device
	Types        map[UID]*DeviceType
	Reservations []*RackReservation
}

// Occupancy is what room the devices take; see the function of this name.
func (c RackContents) Occupancy() (placed []Placement, clashes []Clash) {
	return Occupancy(c.Rack, c.Devices, c.Types)
}

// Loose are the devices in the rack that are mounted neither in a unit nor at a side.
func (c RackContents) Loose() []*Device { return c.AtSide("") }

// AtSide are the devices that take no unit and hang at the side of the rack, as seen from the front.
func (c RackContents) AtSide(side string) []*Device {
	var list []*Device
	for _, d := range c.Devices {
		if _, mounted := PlaceOf(d, c.Types[d.DeviceType]); !mounted && d.Side == side {
			list = append(list, d)
		}
	}
	return list
}

// Problems says in sentences what cannot be true of the rack: two devices in one place, a device outside it, one in reserved units that
// does not say why.
func (c RackContents) Problems(on Date) []string {
	var list []string
	placed, clashes := c.Occupancy()
	for _, p := range placed {
		if why, ok := c.Rack.Fits(p); !ok {
			list = append(list, p.Device.Name+": "+why)
		}
		for _, v := range c.Reservations {
			if p.Device.OverReservation == "" && v.Holds(on) && v.Place().Meets(p) {
				list = append(list, p.Device.Name+" stands where "+v.sentence(c.Rack))
			}
		}
	}
	for _, clash := range clashes {
		list = append(list, fmt.Sprintf("%s and %s overlap at %s", clash.A.Device.Name, clash.B.Device.Name, clash.common()))
	}
	return list
}

func (c Clash) common() string { return unitsText(max(c.A.From, c.B.From), min(c.A.To, c.B.To)) }

// Utilization is how much of a rack is spoken for, in units.
type Utilization struct {
	Taken    float64 `json:"taken"`
	Reserved float64 `json:"reserved"` // and not taken
	Total    float64 `json:"total"`
}

// Percent is the part that is taken or reserved.
func (u Utilization) Percent() int {
	if u.Total <= 0 {
		return 0
	}
	return int(math.Round(100 * (u.Taken + u.Reserved) / u.Total))
}

// Utilization measures the rack in half units and twelfths of its width. A place counts as taken when it is at either face. Blank panels,
// cable managers and whatever else its type leaves out of the count take nothing, and neither does what takes no unit.
func (c RackContents) Utilization(on Date) Utilization {
	grid := newUnitGrid(c.Rack)
	placed, _ := c.Occupancy()
	for _, v := range c.Reservations {
		if v.Holds(on) {
			grid.mark(v.Place(), cellReserved)
		}
	}
	for _, p := range placed {
		if t := c.Types[p.Device.DeviceType]; t == nil || !t.NotCounted {
			grid.mark(p, cellTaken)
		}
	}
	return Utilization{Taken: grid.count(cellTaken), Reserved: grid.count(cellReserved), Total: float64(c.Rack.UHeight)}
}

const (
	cellReserved = 1
	cellTaken    = 2
)

// unitGrid is a rack in half units by twelfths of its width.
type unitGrid struct {
	first float64
	cells [][FullWidth]uint8
}

func newUnitGrid(r *Rack) *unitGrid {
	return &unitGrid{first: float64(r.StartingUnit), cells: make([][FullWidth]uint8, 2*max(r.UHeight, 0))}
}

func (g *unitGrid) mark(p Placement, as uint8) {
	for half := max(0, int(2*(p.From-g.first))); half < min(len(g.cells), int(2*(p.To-g.first))); half++ {
		for x := p.Left; x < p.Right; x++ {
			g.cells[half][x] = as
		}
	}
}

func (g *unitGrid) count(what uint8) float64 {
	n := 0
	for _, row := range g.cells {
		for _, cell := range row {
			if cell == what {
				n++
			}
		}
	}
	return float64(n) / (2 * FullWidth)
}

// FreeAt lists, from the bottom up, the lowest units at which something of the given height and width would stand alone: over both faces,
// so that it fits whatever its depth.
func (c RackContents) FreeAt(height float64, slots int, on Date) []Placement {
	var free []Placement
	placed, _ := c.Occupancy()
	part := FullWidth / max(slots, 1)
	first, end := float64(c.Rack.StartingUnit), float64(c.Rack.StartingUnit+c.Rack.UHeight)
	for from := first; height > 0 && from+height <= end; from++ {
		for left := 0; left < FullWidth; left += part {
			p := Placement{From: from, To: from + height, Left: left, Right: left + part, Front: true, Rear: true}
			if !c.meetsAny(p, placed, on) {
				free = append(free, p)
			}
		}
	}
	return free
}

func (c RackContents) meetsAny(p Placement, placed []Placement, on Date) bool {
	for _, q := range placed {
		if p.Meets(q) {
			return true
		}
	}
	for _, v := range c.Reservations {
		if v.Holds(on) && v.Place().Meets(p) {
			return true
		}
	}
	return false
}
