package placement

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"berth/inventory"
)

// CableLine is a cable at a device, with both of its ends in words.
type CableLine struct {
	Cable *inventory.Cable `json:"cable"`
	Near  string           `json:"near"` // "node-1 eno1"
	Far   string           `json:"far"`
	// Path is what comes after the far end, up to the feed: "pdu-a in", "feed A1".
	Path []string `json:"path,omitempty"`
	// Device is whose near end it is.
	Device inventory.UID `json:"device"`
	// FarDevice is empty for a feed.
	FarDevice inventory.UID `json:"far_device"`
}

// Text is the cable in a line: "17, cat6a, 3 m: eno1 to sw-1 swp4".
func (c CableLine) Text() string {
	words := []string{}
	for _, word := range []string{c.Cable.Label, c.Cable.Type, meters(c.Cable.LengthMM)} {
		if word != "" {
			words = append(words, word)
		}
	}
	text := c.Near + " to " + c.Far
	if len(words) == 0 {
		return text
	}
	return strings.Join(words, ", ") + ": " + text
}

func meters(mm int) string {
	if mm == 0 {
		return ""
	}
	return fmt.Sprintf("%g m", float64(mm)/1000)
}

// Cables follows every cable at the devices to its other end, and power on to its feed.
func Cables(ctx context.Context, r Reader, devices []inventory.UID) ([]CableLine, error) {
	t := &tracer{ctx: ctx, r: r, ends: map[inventory.UID]end{}}
	near, err := t.portsOf(devices)
	if err != nil {
		return nil, err
	}
	cables, err := t.cablesAt(near)
	if err != nil {
		return nil, err
	}
	if err := t.learnFar(cables); err != nil {
		return nil, err
	}
	mine := map[inventory.UID]bool{}
	for _, d := range devices {
		mine[d] = true
	}
	lines := []CableLine{}
	for _, c := range cables {
		lines = append(lines, t.line(c, mine))
	}
	if err := t.follow(lines); err != nil {
		return nil, err
	}
	slices.SortStableFunc(lines, func(a, b CableLine) int { return strings.Compare(a.Near, b.Near) })
	return lines, nil
}

// end is a place where a cable can be plugged.
type end struct {
	device   inventory.UID
	name     string        // of the port
	upstream inventory.UID // of an outlet: the port it is fed from
}

type tracer struct {
	ctx   context.Context
	r     Reader
	ends  map[inventory.UID]end
	names map[inventory.UID]string // of devices
}

// portsOf learns every port of the devices, by the noun.
func (t *tracer) portsOf(devices []inventory.UID) (map[string][]inventory.UID, error) {
	return t.learn("device", map[string][]inventory.UID{"interface": devices, "power-port": devices, "power-outlet": devices})
}

// learn reads ports whose field is one of the uids, for each noun.
func (t *tracer) learn(field string, uids map[string][]inventory.UID) (map[string][]inventory.UID, error) {
	found := map[string][]inventory.UID{}
	note := func(noun string, uid inventory.UID, e end) {
		t.ends[uid] = e
		found[noun] = append(found[noun], uid)
	}
	interfaces, err := among[inventory.Interface](t.ctx, t.r, field, uids["interface"])
	if err != nil {
		return nil, fmt.Errorf("read interfaces: %w", err)
	}
	for _, i := range interfaces {
		note("interface", i.UID, end{device: i.Device, name: i.Name})
	}
	ports, err := among[inventory.PowerPort](t.ctx, t.r, field, uids["power-port"])
	if err != nil {
		return nil, fmt.Errorf("read power ports: %w", err)
	}
	for _, p := range ports {
		note("power-port", p.UID, end{device: p.Device, name: p.Name})
	}
	outlets, err := among[inventory.PowerOutlet](t.ctx, t.r, field, uids["power-outlet"])
	if err != nil {
		return nil, fmt.Errorf("read outlets: %w", err)
	}
	for _, o := range outlets {
		note("power-outlet", o.UID, end{device: o.Device, name: o.Name, upstream: o.PowerPort})
	}
	if field == "uid" {
		feeds, err := among[inventory.PowerFeed](t.ctx, t.r, field, uids["power-feed"])
		if err != nil {
			return nil, fmt.Errorf("read feeds: %w", err)
		}
		for _, f := range feeds {
			note("power-feed", f.UID, end{name: "feed " + f.Name})
		}
	}
	return found, t.nameDevices()
}

// nameDevices learns what the devices of all known ends are called.
func (t *tracer) nameDevices() error {
	var unknown []inventory.UID
	for _, e := range t.ends {
		if t.names[e.device] == "" {
			unknown = append(unknown, e.device)
		}
	}
	devices, err := among[inventory.Device](t.ctx, t.r, "uid", unknown)
	if err != nil {
		return fmt.Errorf("read devices at the ends of cables: %w", err)
	}
	if t.names == nil {
		t.names = map[inventory.UID]string{}
	}
	for _, d := range devices {
		t.names[d.UID] = d.Name
	}
	return nil
}

// cablesAt finds the cables plugged into ports, each once.
func (t *tracer) cablesAt(ports map[string][]inventory.UID) ([]*inventory.Cable, error) {
	seen := map[inventory.UID]bool{}
	var list []*inventory.Cable
	for _, noun := range []string{"interface", "power-port", "power-outlet"} {
		a, b := inventory.CableFields(noun)
		for _, field := range []string{a, b} {
			cables, err := among[inventory.Cable](t.ctx, t.r, field, ports[noun])
			if err != nil {
				return nil, fmt.Errorf("read cables: %w", err)
			}
			for _, c := range cables {
				if !seen[c.UID] {
					seen[c.UID] = true
					list = append(list, c)
				}
			}
		}
	}
	return list, nil
}

// learnFar learns the ends of cables that are not known yet.
func (t *tracer) learnFar(cables []*inventory.Cable) error {
	unknown := map[string][]inventory.UID{}
	for _, c := range cables {
		a, b := c.Ends()
		for _, e := range []inventory.CableEnd{a, b} {
			if _, known := t.ends[e.UID]; !known && e.UID != "" {
				unknown[e.Noun] = append(unknown[e.Noun], e.UID)
			}
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	_, err := t.learn("uid", unknown)
	return err
}

func (t *tracer) line(c *inventory.Cable, mine map[inventory.UID]bool) CableLine {
	a, b := c.Ends()
	if !mine[t.ends[a.UID].device] {
		a, b = b, a
	}
	return CableLine{Cable: c, Near: t.text(a.UID), Far: t.text(b.UID), Device: t.ends[a.UID].device, FarDevice: t.ends[b.UID].device}
}

func (t *tracer) text(uid inventory.UID) string {
	e, known := t.ends[uid]
	if !known {
		return "a loose end"
	}
	return strings.TrimSpace(t.names[e.device] + " " + e.name)
}

// follow leads power from the far ends on to its feed, a few PDUs deep.
func (t *tracer) follow(lines []CableLine) error {
	at := make([]inventory.UID, len(lines)) // the port each line is to be followed from
	for i, l := range lines {
		a, b := l.Cable.Ends()
		far := b
		if t.ends[a.UID].device == l.FarDevice && t.text(a.UID) == l.Far {
			far = a
		}
		at[i] = t.ends[far.UID].upstream
	}
	for range 3 {
		var ports []inventory.UID
		for _, uid := range at {
			if uid != "" {
				ports = append(ports, uid)
			}
		}
		if len(ports) == 0 {
			return nil
		}
		next, err := t.upstream(ports)
		if err != nil {
			return err
		}
		for i, uid := range at {
			at[i] = ""
			if uid != "" {
				lines[i].Path = append(lines[i].Path, t.text(uid))
				if far, plugged := next[uid]; plugged {
					lines[i].Path = append(lines[i].Path, t.text(far))
					at[i] = t.ends[far].upstream
				}
			}
		}
	}
	return nil
}

// upstream finds what is at the other end of the cables of power ports.
func (t *tracer) upstream(ports []inventory.UID) (map[inventory.UID]inventory.UID, error) {
	if _, err := t.learn("uid", map[string][]inventory.UID{"power-port": ports}); err != nil {
		return nil, err
	}
	cables, err := t.cablesAt(map[string][]inventory.UID{"power-port": ports})
	if err != nil {
		return nil, err
	}
	if err := t.learnFar(cables); err != nil {
		return nil, err
	}
	next := map[inventory.UID]inventory.UID{}
	for _, c := range cables {
		a, b := c.Ends()
		next[a.UID], next[b.UID] = b.UID, a.UID
	}
	return next, nil
}

func (p *Plan) readCables(ctx context.Context, r Reader, _ []*inventory.Move) error {
	var devices []inventory.UID
	for _, l := range p.Lines {
		if l.Move.Open() {
			devices = append(devices, l.Device.UID)
		}
	}
	lines, err := Cables(ctx, r, devices)
	if err != nil {
		return err
	}
	p.Cables = lines
	for i := range p.Lines {
		for _, c := range lines {
			if uid := p.Lines[i].Device.UID; c.Device == uid || c.FarDevice == uid {
				p.Lines[i].Cables = append(p.Lines[i].Cables, c.Text())
			}
		}
	}
	return nil
}
