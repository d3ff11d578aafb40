package inventory

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// The rules of power, cables, module types and networks.

// CheckIn holds a panel against its location. Errors: *Invalid.
func (p *PowerPanel) CheckIn(tx Tx, before Object) error {
	if old, ok := before.(*PowerPanel); ok && old.Site == p.Site && old.Location == p.Location {
		return nil
	}
	return checkLocation(tx, "power-panel", p.Site, p.Location)
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (f *PowerFeed) Check() error {
	bad := &findings{noun: "power-feed"}
	setDefault(&f.Status, "active")
	setDefault(&f.Supply, "ac")
	setDefault(&f.AmperageA, 16)
	setDefault(&f.MaxUtilizationPercent, 80)
	lowest := 0
	if f.Supply == "dc" {
		lowest = -1000 // telecom plants supply -48 V
	}
	if f.VoltageV < lowest || f.VoltageV > 1000 {
		bad.add("voltage_v", "is from 1 to 1000 V, or from -1000 V for direct current")
	}
	if f.AmperageA < 1 || f.AmperageA > 5000 {
		bad.add("amperage_a", "is from 1 to 5000 A")
	}
	if f.MaxUtilizationPercent < 1 || f.MaxUtilizationPercent > 100 {
		bad.add("max_utilization_percent", "is from 1 to 100 %%")
	}
	if f.Supply == "dc" && f.Phase == "three-phase" {
		bad.add("phase", "direct current has none")
	}
	return bad.err()
}

// AvailableVA is what may be drawn from the feed: V × A × the part that may be used, times √3 with three phases, where V is the voltage
// between two of them.
func (f *PowerFeed) AvailableVA() int {
	va := math.Abs(float64(f.VoltageV)) * float64(f.AmperageA) * float64(f.MaxUtilizationPercent) / 100
	if f.Phase == "three-phase" {
		va *= math.Sqrt(3)
	}
	return int(math.Round(va))
}

// CheckIn fills in the site's voltage, and sees that panel and rack are at one site. Errors: *Invalid.
func (f *PowerFeed) CheckIn(tx Tx, before Object) error {
	if old, ok := before.(*PowerFeed); ok && old.PowerPanel == f.PowerPanel && old.Rack == f.Rack && f.VoltageV != 0 {
		return nil
	}
	panel, err := TxGet[PowerPanel](tx, string(f.PowerPanel))
	if err != nil {
		return unknownRef(err, "power-feed", "power_panel")
	}
	if err := f.settleVoltage(tx, panel); err != nil || f.Rack == "" {
		return err
	}
	rack, err := TxGet[Rack](tx, string(f.Rack))
	if err != nil {
		return unknownRef(err, "power-feed", "rack")
	}
	if rack.Site != panel.Site {
		return NotAllowed("power-feed", "rack", "%s is at another site than panel %s", rack.Name, panel.Name)
	}
	return nil
}

func (f *PowerFeed) settleVoltage(tx Tx, panel *PowerPanel) error {
	if f.VoltageV != 0 {
		return nil
	}
	site, err := TxGet[Site](tx, string(panel.Site))
	if err != nil {
		return unknownRef(err, "power-feed", "power_panel")
	}
	f.VoltageV = site.SupplyVoltageV
	setDefault(&f.VoltageV, 230)
	return nil
}

// Check judges the draws. Errors: *Invalid.
func (p *PowerPort) Check() error {
	bad := &findings{noun: "power-port"}
	judgeMeasures(bad, map[string]int64{"maximum_draw_w": int64(p.MaximumDrawW), "allocated_draw_w": int64(p.AllocatedDrawW)})
	if p.MaximumDrawW > 0 && p.AllocatedDrawW > p.MaximumDrawW {
		bad.add("allocated_draw_w", "is more than the port draws at most")
	}
	if p.MeasuredDrawW != nil && *p.MeasuredDrawW < 0 {
		bad.add("measured_draw_w", "cannot be negative")
	}
	return bad.err()
}

// CheckIn sees that an outlet is fed from a port of its own device. Errors: *Invalid.
func (o *PowerOutlet) CheckIn(tx Tx, before Object) error {
	if old, ok := before.(*PowerOutlet); o.PowerPort == "" || ok && old.PowerPort == o.PowerPort && old.Device == o.Device {
		return nil
	}
	port, err := TxGet[PowerPort](tx, string(o.PowerPort))
	if err != nil {
		return unknownRef(err, "power-outlet", "power_port")
	}
	if port.Device != o.Device {
		return NotAllowed("power-outlet", "power_port", "%s belongs to another device", port.Name)
	}
	return nil
}

// CableEnd is one of the two ends of a cable: an object of one of four nouns.
type CableEnd struct {
	Noun string // interface, power-port, power-outlet, power-feed; "" while the end lies loose
	UID  UID
}

// cableEnds are the kinds of thing a cable may end at, and the fields that say so on its side A and B.
var cableEnds = []struct {
	noun, a, b string
	at         func(c *Cable) (a, b UID)
}{
	{"interface", "a_interface", "b_interface", func(c *Cable) (UID, UID) { return c.AInterface, c.BInterface }},
	{"power-port", "a_power_port", "b_power_port", func(c *Cable) (UID, UID) { return c.APowerPort, c.BPowerPort }},
	{"power-outlet", "a_power_outlet", "b_power_outlet", func(c *Cable) (UID, UID) { return c.APowerOutlet, c.BPowerOutlet }},
	{"power-feed", "a_power_feed", "b_power_feed", func(c *Cable) (UID, UID) { return c.APowerFeed, c.BPowerFeed }},
}

// Ends are what a cable joins.
func (c *Cable) Ends() (a, b CableEnd) {
	for _, kind := range cableEnds {
		atA, atB := kind.at(c)
		if atA != "" {
			a = CableEnd{kind.noun, atA}
		}
		if atB != "" {
			b = CableEnd{kind.noun, atB}
		}
	}
	return a, b
}

// CableFields are the two fields of a cable that can name an object of the noun; "" when a cable cannot end there.
func CableFields(noun string) (a, b string) {
	for _, kind := range cableEnds {
		if kind.noun == noun {
			return kind.a, kind.b
		}
	}
	return "", ""
}

// plugs says what may be joined with what: networks with networks, and power downhill from a feed to an outlet's user.
var plugs = map[string][]string{
	"interface": {"interface"}, "power-port": {"power-outlet", "power-feed"}, "power-outlet": {"power-port"}, "power-feed": {"power-port"},
}

// Check judges the ends: one thing at each, two different ones, of kinds that go together. A planned cable may still lack an end.
// Errors: *Invalid.
func (c *Cable) Check() error {
	bad := &findings{noun: "cable"}
	setDefault(&c.Status, "connected")
	c.Color = strings.TrimPrefix(strings.ToLower(c.Color), "#")
	if c.Color != "" && (len(c.Color) != 6 || strings.Trim(c.Color, "0123456789abcdef") != "") {
		bad.add("color", "is six hexadecimal digits, such as aa1409")
	}
	judgeMeasures(bad, map[string]int64{"length_mm": int64(c.LengthMM)})
	countA, countB := 0, 0
	for _, kind := range cableEnds {
		a, b := kind.at(c)
		if a != "" {
			countA++
		}
		if b != "" {
			countB++
		}
	}
	c.judgeEnds(countA, countB, bad)
	return bad.err()
}

func (c *Cable) judgeEnds(countA, countB int, bad *findings) {
	a, b := c.Ends()
	switch {
	case countA > 1 || countB > 1:
		bad.add("", "A cable has one thing at each of its ends: an interface, a power port, an outlet or a feed.")
	case c.Status == "connected" && (countA == 0 || countB == 0):
		bad.add("", "A connected cable has something at both ends; one that is planned may lack an end.")
	case countA == 0 || countB == 0:
	case a == b:
		bad.add("", "A cable does not lead back to where it comes from.")
	case !slices.Contains(plugs[a.Noun], b.Noun):
		bad.add("", "A cable from a %s does not fit a %s.", strings.ReplaceAll(a.Noun, "-", " "), strings.ReplaceAll(b.Noun, "-", " "))
	}
}

// CheckIn sees that no other cable is at either end. Errors: *Conflict.
func (c *Cable) CheckIn(tx Tx, before Object) error {
	a, b := c.Ends()
	if old, ok := before.(*Cable); ok {
		oldA, oldB := old.Ends()
		if oldA == a && oldB == b {
			return nil
		}
	}
	for _, end := range []CableEnd{a, b} {
		if end.UID == "" {
			continue
		}
		other, err := cableAt(tx, end, c.UID)
		if err != nil {
			return err
		}
		if other != nil {
			return &Conflict{Noun: "cable", UID: other.UID, Why: fmt.Sprintf("cable %s is plugged into this %s already", Describe(other).Display(other), strings.ReplaceAll(end.Noun, "-", " "))}
		}
	}
	return nil
}

// cableAt finds the cable at an end, but for the one named; nil when there is none.
func cableAt(tx Tx, end CableEnd, but UID) (*Cable, error) {
	a, b := CableFields(end.Noun)
	for _, field := range []string{a, b} {
		list, err := TxList[Cable](tx, Query{Filters: []Filter{Is(field, end.UID)}, Limit: 2})
		if err != nil {
			return nil, fmt.Errorf("look for the cable at a %s: %w", end.Noun, err)
		}
		for _, other := range list {
			if other.UID != but {
				return other, nil
			}
		}
	}
	return nil, nil
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (t *ModuleType) Check() error {
	bad := &findings{noun: "module-type"}
	settleSlug(&t.Slug, t.Model, bad)
	judgeMeasures(bad, map[string]int64{"weight_grams": t.WeightGrams})
	return bad.err()
}

// Check judges the number. Errors: *Invalid.
func (v *VLAN) Check() error {
	bad := &findings{noun: "vlan"}
	if v.VID < 1 || v.VID > 4094 {
		bad.add("vid", "is from 1 to 4094 (IEEE 802.1Q)")
	}
	return bad.err()
}

// Check brings the block of addresses into its one form and judges it. Errors: *Invalid.
func (p *Prefix) Check() error {
	bad := &findings{noun: "prefix"}
	if p.Prefix == "" {
		return nil // required, which Accept says
	}
	block, err := netip.ParsePrefix(p.Prefix)
	switch {
	case err != nil:
		bad.add("prefix", "is not a block of addresses such as 10.77.0.0/24 or 2001:db8::/64")
	case block.Masked() != block:
		bad.add("prefix", "is an address within %s: write the block itself", block.Masked())
	default:
		p.Prefix = block.String()
	}
	return bad.err()
}

// CheckIn sees that a prefix and its VLAN are at one site. Errors: *Invalid.
func (p *Prefix) CheckIn(tx Tx, before Object) error {
	if old, ok := before.(*Prefix); p.VLAN == "" || p.Site == "" || ok && old.VLAN == p.VLAN && old.Site == p.Site {
		return nil
	}
	vlan, err := TxGet[VLAN](tx, string(p.VLAN))
	if err != nil {
		return unknownRef(err, "prefix", "vlan")
	}
	if vlan.Site != "" && vlan.Site != p.Site {
		return NotAllowed("prefix", "vlan", "%s is at another site", vlan.Name)
	}
	return nil
}
