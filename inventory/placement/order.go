package placement

import (
	"fmt"

	"berth/inventory"
)

// order finds a sequence in which nothing is put where something still stands. Each round takes the first line, as people walk, whose
// place is free by then. When there is none, what is left goes in a circle, and one device must wait elsewhere: it is taken out first,
// to units that nobody wants, or onto a cart.
func (p *Plan) order() {
	w := p.newWalk()
	for len(w.waiting) > 0 {
		if i := w.next(); i >= 0 {
			w.place(i)
			continue
		}
		w.takeOut()
	}
	p.Steps = w.steps
}

// walk is a plan being carried out on paper.
type walk struct {
	plan    *Plan
	waiting []*Line
	now     map[inventory.UID]inventory.Placement // where the devices that still wait stand
	in      map[inventory.UID]inventory.UID       // in which rack
	aside   map[inventory.UID]string              // devices that were taken out, and where they wait
	steps   []Step
}

func (p *Plan) newWalk() *walk {
	w := &walk{plan: p, now: map[inventory.UID]inventory.Placement{}, in: map[inventory.UID]inventory.UID{}, aside: map[inventory.UID]string{}, steps: []Step{}}
	for i := range p.Lines {
		l := &p.Lines[i]
		if !l.Move.Open() {
			continue
		}
		w.waiting = append(w.waiting, l)
		if l.Move.State == "removed" {
			w.aside[l.Device.UID] = "where it was put"
		} else if place, mounted := inventory.PlaceOf(l.Device, l.kind); mounted {
			w.now[l.Device.UID], w.in[l.Device.UID] = place, l.Device.Rack
		}
	}
	return w
}

// next is the first line whose place is free, or -1.
func (w *walk) next() int {
	for i, l := range w.waiting {
		if w.blocker(l) == nil {
			return i
		}
	}
	return -1
}

// blocker is a device that still has to leave the place a line goes to.
func (w *walk) blocker(l *Line) *Line {
	want, mounted := inventory.PlaceOf(l.Move.Placed(l.Device), l.kind)
	if !mounted {
		return nil
	}
	for _, other := range w.waiting {
		if place, stands := w.now[other.Device.UID]; stands && other != l && w.in[other.Device.UID] == l.Move.ToRack && place.Meets(want) {
			return other
		}
	}
	return nil
}

func (w *walk) place(i int) {
	l := w.waiting[i]
	w.waiting = append(w.waiting[:i:i], w.waiting[i+1:]...)
	step := Step{Action: "move", From: l.From, To: l.To}
	if aside, waits := w.aside[l.Device.UID]; waits {
		step.Action, step.From = "put in", aside
	}
	w.leave(l)
	w.add(l, step)
}

func (w *walk) leave(l *Line) {
	delete(w.now, l.Device.UID)
	delete(w.in, l.Device.UID)
}

func (w *walk) add(l *Line, s Step) {
	s.Number, s.Move, s.Device = len(w.steps)+1, l.Move.UID, l.Device.Name
	w.steps = append(w.steps, s)
}

// takeOut opens a circle at its lightest device.
func (w *walk) takeOut() {
	var lightest *Line
	for _, l := range w.waiting {
		if _, stands := w.now[l.Device.UID]; stands && (lightest == nil || l.Weight < lightest.Weight) {
			lightest = l
		}
	}
	if lightest == nil { // nothing stands in the way of anything: cannot be, since then a line would have been free
		w.waiting = nil
		return
	}
	blocks := ""
	for _, l := range w.waiting {
		if w.blocker(l) == lightest {
			blocks = l.Device.Name
			break
		}
	}
	to := w.refuge(lightest)
	w.aside[lightest.Device.UID] = to
	w.leave(lightest)
	w.add(lightest, Step{Action: "take out", From: lightest.From, To: to, Why: fmt.Sprintf("it stands where %s goes, and the moves go in a circle", blocks)})
}

// refuge is a place to wait: units of a rack of the plan that are free now and wanted by nobody.
func (w *walk) refuge(l *Line) string {
	for i, c := range w.plan.Before {
		if c.Rack.Site != l.Device.Site {
			continue
		}
		for _, p := range c.FreeAt(heightOf(l), l.kind.Slots(), w.plan.today) {
			if !w.wanted(w.plan.After[i], p) {
				return fmt.Sprintf("%s, %s (free meanwhile)", c.Rack.Name, p.Units())
			}
		}
	}
	return "a cart: no rack of the plan has room meanwhile"
}

func heightOf(l *Line) float64 {
	if l.kind == nil {
		return 1
	}
	return l.kind.UHeight
}

func (w *walk) wanted(after inventory.RackContents, p inventory.Placement) bool {
	placed, _ := after.Occupancy()
	for _, q := range placed {
		if q.Meets(p) {
			return true
		}
	}
	return false
}
