package inventory

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestRackRules is a table of racks, power, cables and moves, and of the fields for which each is refused.
func TestRackRules(t *testing.T) {
	one, other := someUID, UID(strings.Repeat("cd", 16))
	w := -1
	for _, test := range []struct {
		obj  Object
		want string // fields, separated by blanks; * is the object as a whole
	}{
		{&RackType{Manufacturer: one, Model: "TS IT"}, ""},
		{&RackType{Manufacturer: one, Model: "TS IT", UHeight: 101, Width: 20, StartingUnit: -1, WeightGrams: -1}, "u_height width starting_unit weight_grams"},
		{&Rack{Name: "R1", Site: one, RackType: other}, ""}, // filled in from the type
		{&Rack{Name: "R1", Site: one, RackType: other, UHeight: 101, StartingUnit: 1, Width: 19}, "u_height"},
		{&Rack{Name: "R1", Site: one, MaxWeightGrams: -1}, "max_weight_grams"},
		{&RackReservation{Rack: one, FromUnit: 3.5, Height: 0.5, Description: "x"}, ""},
		{&RackReservation{Rack: one, FromUnit: 3.25, Height: 0.3, Description: "x"}, "from_unit height"},
		{&RackReservation{Rack: one, Description: "x"}, "from_unit"},
		{&Device{Name: "a", Slot: 4}, "slot"},
		{&Device{Name: "a", Side: "left"}, "side"},
		{&PowerFeed{PowerPanel: one, Name: "A1"}, ""},
		{&PowerFeed{PowerPanel: one, Name: "A1", VoltageV: 1001, AmperageA: -1, MaxUtilizationPercent: 101}, "voltage_v amperage_a max_utilization_percent"},
		{&PowerFeed{PowerPanel: one, Name: "A1", VoltageV: -48}, "voltage_v"},
		{&PowerFeed{PowerPanel: one, Name: "A1", VoltageV: -48, Supply: "dc"}, ""},
		{&PowerFeed{PowerPanel: one, Name: "A1", Supply: "dc", Phase: "three-phase"}, "phase"},
		{&PowerPort{Device: one, Name: "PSU1", MaximumDrawW: 750, AllocatedDrawW: 751}, "allocated_draw_w"},
		{&PowerPort{Device: one, Name: "PSU1", MaximumDrawW: -1, MeasuredDrawW: &w}, "maximum_draw_w measured_draw_w"},
		{&Cable{AInterface: one, BInterface: other, Color: "#AA1409"}, ""},
		{&Cable{AInterface: one, BInterface: one}, "*"},
		{&Cable{AInterface: one}, "*"},
		{&Cable{AInterface: one, Status: "planned"}, ""},
		{&Cable{AInterface: one, APowerPort: other, BInterface: other}, "*"},
		{&Cable{AInterface: one, BPowerPort: other}, "*"},
		{&Cable{APowerOutlet: one, BPowerOutlet: other}, "*"},
		{&Cable{APowerFeed: one, BPowerPort: other}, ""},
		{&Cable{AInterface: one, BInterface: other, Color: "red", LengthMM: -1}, "color length_mm"},
		{&ModuleType{Manufacturer: one, Model: "x", WeightGrams: -1}, "weight_grams"},
		{&VLAN{Name: "boot", VID: 4095}, "vid"},
		{&VLAN{Name: "boot", VID: 4094}, ""},
		{&Prefix{Prefix: "10.77.0.1/24"}, "prefix"},
		{&Prefix{Prefix: "10.77.0.0"}, "prefix"},
		{&Prefix{Prefix: "2001:DB8::/32"}, ""},
		{&Move{MovePlan: one, Device: other, ToPosition: at(3.3), ToSlot: 4}, "to_position to_slot"},
		{&Move{MovePlan: one, Device: other, ToPosition: at(3)}, "to_position"},
		{&Move{MovePlan: one, Device: other, ToRack: one, ToPosition: at(3)}, ""},
	} {
		got := invalid(t, test.obj)
		want := strings.Fields(strings.ReplaceAll(test.want, "*", "-whole-"))
		missing := false
		for _, field := range want {
			missing = missing || got[strings.ReplaceAll(field, "-whole-", "")] == ""
		}
		if missing || len(got) != len(want) {
			t.Errorf("%.200s: refused for %v, want %v", fmt.Sprintf("%+v", test.obj), got, want)
		}
	}
}

// TestSideBySide: parts of a unit's width are in each other's way only where they meet.
func TestSideBySide(t *testing.T) {
	types := map[UID]*DeviceType{"half": {UHeight: 1, RackWidth: "half"}, "third": {UHeight: 1, RackWidth: "third"}, "quarter": {UHeight: 2, RackWidth: "quarter"}, "full": {UHeight: 1}}
	put := func(name string, kind UID, slot int) *Device {
		return &Device{Meta: Meta{UID: UID(name)}, Name: name, Rack: "rack", DeviceType: kind, Position: at(1), Slot: slot}
	}
	for _, test := range []struct {
		devices []*Device
		want    []string
	}{
		{[]*Device{put("a", "half", 0), put("b", "half", 1)}, nil},
		{[]*Device{put("a", "half", 1), put("b", "half", 1)}, []string{"a b"}},
		{[]*Device{put("a", "third", 0), put("b", "third", 1), put("c", "third", 2)}, nil},
		{[]*Device{put("a", "half", 0), put("b", "third", 1)}, []string{"a b"}}, // the middle third begins before the middle
		{[]*Device{put("a", "half", 0), put("b", "quarter", 2), put("c", "quarter", 3)}, nil},
		{[]*Device{put("a", "half", 0), put("b", "full", 0)}, []string{"a b"}},
	} {
		_, clashes := Occupancy(&Rack{Meta: Meta{UID: "rack"}}, test.devices, types)
		var got []string
		for _, c := range clashes {
			got = append(got, c.A.Device.Name+" "+c.B.Device.Name)
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%d devices: clashes %v, want %v", len(test.devices), got, test.want)
		}
	}
}

// contents is a rack of ten units with something of each kind in it.
func contents() RackContents {
	types := map[UID]*DeviceType{"2u": {UHeight: 2, IsFullDepth: true}, "half": {UHeight: 1, RackWidth: "half"}, "blank": {UHeight: 1, NotCounted: true}, "pdu": {}}
	put := func(name string, kind UID, position *float64, slot int) *Device {
		return &Device{Meta: Meta{UID: UID(name)}, Name: name, Rack: "rack", DeviceType: kind, Position: position, Slot: slot}
	}
	pdu := put("pdu", "pdu", nil, 0)
	pdu.Side = "left"
	return RackContents{Rack: &Rack{Meta: Meta{UID: "rack"}, Name: "R1", StartingUnit: 1, UHeight: 10}, Types: types,
		Devices:      []*Device{put("big", "2u", at(1), 0), put("small", "half", at(3), 1), put("blank", "blank", at(4), 0), pdu, put("loose", "2u", nil, 0)},
		Reservations: []*RackReservation{{FromUnit: 3, Height: 2}, {FromUnit: 8, Height: 1, Status: "stale"}, {FromUnit: 9, Height: 1, Until: "2026-11-21"}}}
}

func TestUtilization(t *testing.T) {
	c := contents()
	// Two units, half of a third; reserved is the other half, and the unit behind the blank panel.
	if got, want := c.Utilization("2026-11-22"), (Utilization{Taken: 2.5, Reserved: 1.5, Total: 10}); got != want || got.Percent() != 40 {
		t.Errorf("got %+v (%d %%), want %+v", got, got.Percent(), want)
	}
	if len(c.Loose()) != 1 || c.Loose()[0].Name != "loose" || len(c.AtSide("left")) != 1 || len(c.AtSide("right")) != 0 {
		t.Errorf("loose %v, left %v, right %v", c.Loose(), c.AtSide("left"), c.AtSide("right"))
	}
}

func TestProblems(t *testing.T) {
	c := contents()
	c.Devices = append(c.Devices, &Device{Meta: Meta{UID: "x"}, Name: "x", Rack: "rack", DeviceType: "2u", Position: at(2)}, &Device{Meta: Meta{UID: "y"}, Name: "y", Rack: "rack", Position: at(11)})
	got := strings.Join(c.Problems("2026-11-22"), "\n")
	for _, want := range []string{"big and x overlap at unit 2", "x and small overlap at unit 3", "y: unit 11 is not in rack R1", "small stands where units 3 to 4 of rack R1 are reserved"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not among\n%s", want, got)
		}
	}
}

// TestFreeAt: nothing put at a free place meets anything.
func TestFreeAt(t *testing.T) {
	c := contents()
	var units []string
	for _, p := range c.FreeAt(2, 1, "2026-11-22") {
		units = append(units, fmt.Sprint(p.From))
	}
	if got := strings.Join(units, " "); got != "5 6 7 8 9" {
		t.Errorf("two units are free from %s", got)
	}
	if got := c.FreeAt(1, 2, "2026-11-23"); len(got) != 12 {
		t.Errorf("%d half units are free, want 12: %v", len(got), got)
	}
}

// TestUtilizationIsBounded: whatever stands where, no more than the rack is taken.
func TestUtilizationIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := RackContents{Rack: &Rack{Meta: Meta{UID: "rack"}, StartingUnit: rapid.IntRange(1, 9).Draw(t, "start"), UHeight: rapid.IntRange(1, 8).Draw(t, "units")}, Types: map[UID]*DeviceType{}}
		for i := range rapid.IntRange(0, 6).Draw(t, "devices") {
			name := UID(fmt.Sprint(i))
			c.Types[name] = &DeviceType{UHeight: float64(rapid.IntRange(0, 9).Draw(t, "height")) / 2, RackWidth: rapid.SampledFrom([]string{"full", "half", "third", "quarter"}).Draw(t, "width")}
			c.Devices = append(c.Devices, &Device{Meta: Meta{UID: name}, Rack: "rack", DeviceType: name, Slot: rapid.IntRange(-1, 9).Draw(t, "slot"), Position: at(float64(rapid.IntRange(-4, 40).Draw(t, "at")) / 2)})
		}
		if u := c.Utilization(""); u.Taken < 0 || u.Taken > u.Total || u.Percent() > 100 {
			t.Fatalf("%+v", u)
		}
	})
}

// TestPowerOf: a rack with two feeds, a PDU on each, a server with two supplies, and a switch with one.
func TestPowerOf(t *testing.T) {
	watts := func(n int) *int { return &n }
	meta := func(uid string) Meta { return Meta{UID: UID(uid)} }
	parts := PowerParts{
		Feeds: []*PowerFeed{{Meta: meta("fa"), Status: "active", Type: "primary", VoltageV: 230, AmperageA: 16, MaxUtilizationPercent: 80},
			{Meta: meta("fb"), Status: "active", Type: "redundant", VoltageV: 230, AmperageA: 16, MaxUtilizationPercent: 80}},
		Ports: []*PowerPort{
			{Meta: meta("pdu-a-in"), Device: "pdu-a", MaximumDrawW: 3680}, {Meta: meta("pdu-b-in"), Device: "pdu-b", MaximumDrawW: 3680},
			{Meta: meta("s1"), Device: "server", MaximumDrawW: 750, AllocatedDrawW: 400, MeasuredDrawW: watts(120)},
			{Meta: meta("s2"), Device: "server", MaximumDrawW: 750, AllocatedDrawW: 400, MeasuredDrawW: watts(130)},
			{Meta: meta("sw"), Device: "switch", MaximumDrawW: 150, AllocatedDrawW: 100}},
		Outlets: []*PowerOutlet{{Meta: meta("oa"), Device: "pdu-a", PowerPort: "pdu-a-in"}, {Meta: meta("ob"), Device: "pdu-b", PowerPort: "pdu-b-in"}, {Meta: meta("oa2"), Device: "pdu-a", PowerPort: "pdu-a-in"}},
		Cables: []*Cable{{Status: "connected", APowerFeed: "fa", BPowerPort: "pdu-a-in"}, {Status: "connected", APowerPort: "pdu-b-in", BPowerFeed: "fb"},
			{Status: "connected", APowerPort: "s1", BPowerOutlet: "oa"}, {Status: "connected", APowerOutlet: "ob", BPowerPort: "s2"}, {Status: "connected", APowerPort: "sw", BPowerOutlet: "oa2"}},
	}
	p := PowerOf(parts)
	if p.AvailableVA != 2944 || p.MaximumW != 900 || p.AllocatedW != 500 || p.MeasuredW == nil || *p.MeasuredW != 250 || p.Unmeasured != 1 {
		t.Errorf("got %+v", p)
	}
	if a, b := p.Feeds[0], p.Feeds[1]; a.AllocatedW != 500 || b.AllocatedW != 400 || a.MeasuredW != 120 || b.MeasuredW != 130 {
		t.Errorf("by feed: %+v and %+v", a, b)
	}
	parts.Feeds[0].Status = "failed"
	parts.Ports[0].MeasuredDrawW = watts(300)
	if p := PowerOf(parts); p.AvailableVA != 2944 || *p.MeasuredW != 300 || p.Unmeasured != 0 {
		t.Errorf("on the redundant feed alone, with a PDU that measures: %+v", p)
	}
	three := PowerFeed{VoltageV: 400, AmperageA: 32, MaxUtilizationPercent: 80, Phase: "three-phase"}
	if got := three.AvailableVA(); got != 17736 {
		t.Errorf("400 V × 32 A × 0.8 × √3 is %d VA, want 17736", got)
	}
}
