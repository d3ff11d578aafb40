package inventory

// PowerParts is what the power of a rack is worked out from: the feeds that end in it, the ports and outlets of its devices, and the
// cables at those ports.
type PowerParts struct {
	Feeds   []*PowerFeed
	Ports   []*PowerPort
	Outlets []*PowerOutlet
	Cables  []*Cable
}

// Power is what a rack draws against what its feeds may give. A power factor of 1 is taken for granted, so that W stand beside VA.
type Power struct {
	// AvailableVA is what the primary feeds give. Redundant ones stand in for them and add nothing; only where there is no primary feed in
	// service are they what there is.
	AvailableVA int `json:"available_va"`
	// MeasuredW is the sum of what was measured; nil when nothing was.
	MeasuredW  *int `json:"measured_w"`
	AllocatedW int  `json:"allocated_w"`
	MaximumW   int  `json:"maximum_w"`
	// Unmeasured is how many devices that take power have no measured port.
	Unmeasured int         `json:"unmeasured"`
	Feeds      []FeedPower `json:"feeds"`
}

// FeedPower is one feed and what hangs on it.
type FeedPower struct {
	Feed        *PowerFeed `json:"feed"`
	AvailableVA int        `json:"available_va"`
	MeasuredW   int        `json:"measured_w"`
	AllocatedW  int        `json:"allocated_w"`
	MaximumW    int        `json:"maximum_w"`
}

// Known tells whether there is anything to show.
func (p Power) Known() bool {
	return len(p.Feeds) > 0 || p.AllocatedW > 0 || p.MaximumW > 0 || p.MeasuredW != nil
}

// UsedW is the best figure there is for what is drawn: measured, else allocated, else the most it could be.
func (p Power) UsedW() int {
	switch {
	case p.MeasuredW != nil && p.Unmeasured == 0:
		return *p.MeasuredW
	case p.AllocatedW > 0:
		return p.AllocatedW
	case p.MeasuredW != nil:
		return *p.MeasuredW
	}
	return p.MaximumW
}

// PowerOf adds up the power of a rack.
//
// A device with two supplies on two feeds can draw all of its power through either: what is allocated and the most it can draw count
// once, on the side where they are larger. What was measured is what flows now, through all ports together. A PDU passes on what hangs
// on it, so its own ports count only for a measurement: the larger of its and its devices'.
func PowerOf(parts PowerParts) Power {
	w := newWiring(parts)
	var p Power
	feeds := map[UID]*FeedPower{}
	for _, f := range parts.Feeds {
		p.Feeds = append(p.Feeds, FeedPower{Feed: f, AvailableVA: f.AvailableVA()})
	}
	for i := range p.Feeds {
		feeds[p.Feeds[i].Feed.UID] = &p.Feeds[i]
	}
	p.AvailableVA = availableVA(parts.Feeds)
	devices, inlets := map[UID]*deviceDraw{}, 0
	metered := false
	for _, port := range parts.Ports {
		feed := w.feedOf(port.UID)
		if w.passes[port.Device] {
			if port.MeasuredDrawW != nil {
				inlets, metered = inlets+*port.MeasuredDrawW, true
			}
			continue
		}
		if devices[port.Device] == nil {
			devices[port.Device] = &deviceDraw{}
		}
		devices[port.Device].add(port, feed)
		if fp := feeds[feedUID(feed)]; fp != nil {
			fp.add(port)
		}
	}
	p.sum(devices, inlets, metered)
	return p
}

func feedUID(f *PowerFeed) UID {
	if f == nil {
		return ""
	}
	return f.UID
}

func (f *FeedPower) add(port *PowerPort) {
	f.AllocatedW += port.AllocatedDrawW
	f.MaximumW += port.MaximumDrawW
	if port.MeasuredDrawW != nil {
		f.MeasuredW += *port.MeasuredDrawW
	}
}

func availableVA(feeds []*PowerFeed) int {
	primary, redundant := 0, 0
	for _, f := range feeds {
		switch {
		case f.Status != "active":
		case f.Type == "redundant":
			redundant += f.AvailableVA()
		default:
			primary += f.AvailableVA()
		}
	}
	if primary > 0 {
		return primary
	}
	return redundant
}

// deviceDraw is what one device draws, by the kind of feed its ports hang on. What hangs on a feed nobody recorded counts as primary.
type deviceDraw struct {
	allocated, maximum [2]int
	measured           int
	known              bool
}

func (d *deviceDraw) add(port *PowerPort, feed *PowerFeed) {
	side := 0
	if feed != nil && feed.Type == "redundant" {
		side = 1
	}
	d.allocated[side] += port.AllocatedDrawW
	d.maximum[side] += port.MaximumDrawW
	if port.MeasuredDrawW != nil {
		d.measured, d.known = d.measured+*port.MeasuredDrawW, true
	}
}

func (p *Power) sum(devices map[UID]*deviceDraw, inlets int, metered bool) {
	measured, known := 0, false
	for _, d := range devices {
		p.AllocatedW += max(d.allocated[0], d.allocated[1])
		p.MaximumW += max(d.maximum[0], d.maximum[1])
		measured += d.measured
		known = known || d.known
		if !d.known {
			p.Unmeasured++
		}
	}
	if metered {
		p.Unmeasured = 0 // the PDU has measured all of them
	}
	if known || metered {
		most := max(measured, inlets)
		p.MeasuredW = &most
	}
}

// wiring follows power from a device's port upstream to its feed.
type wiring struct {
	feeds   map[UID]*PowerFeed
	outlets map[UID]*PowerOutlet
	passes  map[UID]bool     // devices that have outlets
	far     map[UID]CableEnd // a port's cable: what is at its other end
}

func newWiring(parts PowerParts) wiring {
	w := wiring{feeds: map[UID]*PowerFeed{}, outlets: map[UID]*PowerOutlet{}, passes: map[UID]bool{}, far: map[UID]CableEnd{}}
	for _, f := range parts.Feeds {
		w.feeds[f.UID] = f
	}
	for _, o := range parts.Outlets {
		w.outlets[o.UID], w.passes[o.Device] = o, true
	}
	for _, c := range parts.Cables {
		a, b := c.Ends()
		if c.Status == "connected" {
			w.far[a.UID], w.far[b.UID] = b, a
		}
	}
	return w
}

// feedOf finds the feed that a port hangs on, through PDUs, one behind another at most this often.
func (w wiring) feedOf(port UID) *PowerFeed {
	for range 5 {
		end := w.far[port]
		switch end.Noun {
		case "power-feed":
			return w.feeds[end.UID]
		case "power-outlet":
			o := w.outlets[end.UID]
			if o == nil {
				return nil
			}
			port = o.PowerPort
		default:
			return nil
		}
	}
	return nil
}
