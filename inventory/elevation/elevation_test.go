package elevation

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"

	"berth/inventory"
)

// rack is one with something of each kind that can be drawn.
func rack(name func(string) string) inventory.RackContents {
	at := func(f float64) *float64 { return &f }
	uid := func(s string) inventory.Meta { return inventory.Meta{UID: inventory.UID(fmt.Sprintf("%032x", s))} }
	types := map[inventory.UID]*inventory.DeviceType{
		"deep": {Model: name("deep"), UHeight: 2, IsFullDepth: true}, "flat": {Model: "flat", UHeight: 1.5}, "half": {Model: "half", UHeight: 1, RackWidth: "half"},
		"third": {Model: "third", UHeight: 0.5, RackWidth: "third"}, "quarter": {Model: "quarter", UHeight: 1, RackWidth: "quarter"}, "pdu": {Model: "pdu"}}
	c := inventory.RackContents{Rack: &inventory.Rack{Meta: uid("r"), Name: name("r1"), StartingUnit: 1, UHeight: 10}, Types: types}
	add := func(n, kind string, position *float64, face string, slot int, state inventory.State) *inventory.Device {
		d := &inventory.Device{Meta: uid(n), Name: name(n), DeviceType: inventory.UID(kind), Rack: c.Rack.UID, Position: position, Face: face, Slot: slot, ProvisionState: state, Status: "active", Serial: name("serial")}
		c.Devices = append(c.Devices, d)
		return d
	}
	add("bottom", "deep", at(1), "front", 0, inventory.StateDeployed)
	add("back", "flat", at(3.5), "rear", 0, inventory.StateReady)
	add("h0", "half", at(5), "front", 0, inventory.StateQuarantined)
	add("h1", "half", at(5), "front", 1, "")
	for slot := range 3 {
		add(fmt.Sprint("t", slot), "third", at(6.5), "front", slot, inventory.StateForeign)
	}
	add("q3", "quarter", at(7), "front", 3, inventory.StateUnknown)
	add("pdu", "pdu", nil, "rear", 0, "").Side = "left"
	add("loose", "deep", nil, "", 0, "")
	c.Reservations = []*inventory.RackReservation{{Meta: uid("v"), Rack: c.Rack.UID, FromUnit: 8, Height: 2, Description: name("for later")}}
	return c
}

func plain(s string) string { return s }

func draw(t testing.TB, c inventory.RackContents, o Options) *Elevation {
	t.Helper()
	if err := o.Settle(); err != nil {
		t.Fatal(err)
	}
	return Of(c, o)
}

// places are the boxes of a drawing by name: x, y, width and height.
func places(e *Elevation) map[string][4]float64 {
	m := map[string][4]float64{}
	for _, b := range append(append([]Box{}, e.Boxes...), e.Sides...) {
		m[b.Name] = [4]float64{b.X, b.Y, b.W, b.H}
	}
	return m
}

// TestPlaces: units are counted from the bottom, half units and parts of the width are exact, and from behind left is right.
func TestPlaces(t *testing.T) {
	for _, test := range []struct {
		what string
		o    Options
		desc bool
		want map[string][4]float64
	}{
		{"front", Options{}, false, map[string][4]float64{"bottom": {32, 2 + 8*22, 220, 44}, "h0": {32, 2 + 5*22, 110, 22}, "h1": {142, 2 + 5*22, 110, 22},
			"t0": {32, 2 + 4*22 - 11 + 0, 220.0 / 3, 11}, "q3": {32 + 165, 2 + 3*22, 55, 22}}},
		{"rear", Options{Face: "rear"}, false, map[string][4]float64{"bottom": {32, 2 + 8*22, 220, 44}, "back": {32, 2 + 6*22, 220, 33},
			"pdu": {32 + 220 + 2 + 1, 2, 20, 220}}},
		{"counted from the top", Options{}, true, map[string][4]float64{"bottom": {32, 2, 220, 44}}},
		{"small", Options{UnitWidth: 120, UnitHeight: 10, Small: true}, false, map[string][4]float64{"bottom": {6, 2 + 80, 120, 20}, "h1": {66, 2 + 50, 60, 10}}},
	} {
		c := rack(plain)
		c.Rack.DescUnits = test.desc
		got := places(draw(t, c, test.o))
		for name, want := range test.want {
			if name == "t0" {
				want[1] = 2 + (11-7)*22 // units 6.5 to 7
			}
			if got[name] != want {
				t.Errorf("%s: %s is at %v, want %v", test.what, name, got[name], want)
			}
		}
		for _, name := range map[string][]string{"front": {"back", "pdu", "loose"}, "rear": {"h0", "q3", "loose"}}[test.what] {
			if at, seen := got[name]; seen {
				t.Errorf("%s: %s is seen at %v", test.what, name, at)
			}
		}
	}
}

// TestNothingIsHidden: what overlaps shares its place, and what stands outside the rack is drawn outside, both marked.
func TestNothingIsHidden(t *testing.T) {
	c := rack(plain)
	at := func(f float64) *float64 { return &f }
	c.Devices = append(c.Devices, &inventory.Device{Meta: inventory.Meta{UID: "x"}, Name: "twin", DeviceType: "deep", Rack: c.Rack.UID, Position: at(1), Face: "front"},
		&inventory.Device{Meta: inventory.Meta{UID: "y"}, Name: "over", DeviceType: "deep", Rack: c.Rack.UID, Position: at(11), Face: "front"},
		&inventory.Device{Meta: inventory.Meta{UID: "z"}, Name: "far", DeviceType: "deep", Rack: c.Rack.UID, Position: at(60), Face: "front"})
	e := draw(t, c, Options{})
	got := places(e)
	if a, b := got["bottom"], got["twin"]; a[2] != 110 || b[2] != 110 || a[0] == b[0] || a[1] != b[1] {
		t.Errorf("bottom at %v and twin at %v do not share their place", a, b)
	}
	if frame := e.y(10, 11); got["over"][1] >= frame {
		t.Errorf("over is at %v, not above the frame at %v", got["over"], frame)
	}
	for _, b := range e.Boxes {
		wrong := map[string]bool{"bottom": true, "twin": true, "over": true, "far": true}[b.Name]
		if b.Wrong != wrong {
			t.Errorf("%s: wrong is %v", b.Name, b.Wrong)
		}
		if b.X < 0 || b.Y < 0 || b.X+b.W > float64(e.Width) || b.Y+b.H > e.Height || b.H <= 0 {
			t.Errorf("%s is outside the drawing: %+v in %d × %g", b.Name, b, e.Width, e.Height)
		}
	}
	if len(e.Problems) != 3 {
		t.Errorf("problems: %q", e.Problems)
	}
}

// TestFreeUnitsAreLinks: a unit that is taken over its whole width is none.
func TestFreeUnitsAreLinks(t *testing.T) {
	e := draw(t, rack(plain), Options{CanEdit: true})
	for _, u := range e.Units {
		taken := u.Number <= 2 || u.Number == 5
		if u.Taken != taken || (u.URL == "") != taken {
			t.Errorf("unit %d: taken %v, link %q", u.Number, u.Taken, u.URL)
		}
	}
	if want := "face=front&position=9&rack="; !strings.Contains(e.Units[8].URL, want) {
		t.Errorf("%q does not hold %q", e.Units[8].URL, want)
	}
	if svg := string(draw(t, rack(plain), Options{}).SVG()); strings.Contains(svg, "/devices/new") {
		t.Error("who may not edit is offered a form")
	}
}

// wellFormed reads a drawing as XML and returns the text in it.
func wellFormed(t testing.TB, svg []byte) string {
	t.Helper()
	var text strings.Builder
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return text.String()
		}
		if err != nil {
			t.Fatalf("%v in %.300s", err, svg)
		}
		switch x := token.(type) {
		case xml.CharData:
			text.Write(x)
		case xml.StartElement:
			switch x.Name.Local {
			case "svg", "style", "g", "a", "rect", "path", "text", "title", "defs", "pattern", "image":
			default:
				t.Fatalf("the drawing has an element %s", x.Name.Local)
			}
			for _, attr := range x.Attr {
				if strings.HasPrefix(attr.Name.Local, "on") || attr.Name.Local == "style" {
					t.Fatalf("the drawing has an attribute %s", attr.Name.Local)
				}
			}
		}
	}
}

// FuzzWords: whatever people and machines call themselves, the drawing is XML of our own elements and says what they said.
func FuzzWords(f *testing.F) {
	for _, seed := range []string{"node-1", `"><script>alert(1)</script>`, "a\x00b\x1b", "\xff\xfe", "]]>", "漢字漢字漢字漢字漢字漢字", strings.Repeat("w", 500), "&amp;", "' onload='x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, word string) {
		c := rack(func(string) string { return word })
		for _, face := range []string{"front", "rear"} {
			e := draw(t, c, Options{Face: face, CanEdit: true, Drag: true, Note: map[inventory.UID]string{c.Devices[0].UID: word}})
			wellFormed(t, e.SVG())
			wellFormed(t, Wall([]*Elevation{e, e}))
		}
	})
}

func TestSaysWhatIsThere(t *testing.T) {
	text := wellFormed(t, draw(t, rack(plain), Options{Face: "rear"}).File())
	for _, want := range []string{"bottom, deployed, deep, 2 U, serial", "back", "pdu", "Reserved, units 8 to 9: for later"} {
		if !strings.Contains(text, want) {
			t.Errorf("the drawing does not say %q", want)
		}
	}
}

// TestNamesFit: a name is made smaller, then cut, and never wider than its box.
func TestNamesFit(t *testing.T) {
	k := &ink{}
	writeFitted(k, strings.Repeat("wide-name-", 9), 50, 10, 12, 100, "")
	text := wellFormed(t, k.b)
	if !strings.HasSuffix(text, "…") || Width(text)*8.5 > 100 {
		t.Errorf("%q is %g px wide at the smallest size", text, Width(text)*8.5)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Face: "left"}, {UnitWidth: 1}, {UnitWidth: 100000}, {UnitHeight: 1000}, {UnitHeight: -1}} {
		if o.Settle() == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

// TestMarksDiffer: states of one colour are told apart by their letters.
func TestMarksDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, l := range Looks {
		key := l.Colour + l.Mark
		if seen[key] != "" && l.Mark != "!" {
			t.Errorf("%s and %s look alike", l.State, seen[key])
		}
		seen[key] = l.State
	}
	if got := LookOf("no such"); got.Colour != "gray" || got.Mark == "" {
		t.Errorf("%+v", got)
	}
}

// full is a rack of so many units with a server in each.
func full(units int) inventory.RackContents {
	c := inventory.RackContents{Rack: &inventory.Rack{Meta: inventory.Meta{UID: inventory.NewUID()}, Name: "r1", StartingUnit: 1, UHeight: units},
		Types: map[inventory.UID]*inventory.DeviceType{"t": {Model: "PowerEdge R640", UHeight: 1, IsFullDepth: true}}}
	for i := range units {
		at := float64(i + 1)
		c.Devices = append(c.Devices, &inventory.Device{Meta: inventory.Meta{UID: inventory.NewUID()}, Name: fmt.Sprintf("node-%d", i), Serial: "ABC1234", Role: "k8s-node", DeviceType: "t",
			Rack: c.Rack.UID, Position: &at, Face: "front", ProvisionState: inventory.StateDeployed})
	}
	return c
}

func BenchmarkRack48(b *testing.B) {
	c := full(48)
	o := Options{CanEdit: true}
	_ = o.Settle() // of zero values: nothing can be wrong
	b.ReportAllocs()
	for b.Loop() {
		Of(c, o).File()
	}
}

func BenchmarkWall20(b *testing.B) {
	c := full(48)
	o := WallOptions("front", "2026-11-22")
	_ = o.Settle()
	b.ReportAllocs()
	for b.Loop() {
		var racks []*Elevation
		for range 20 {
			racks = append(racks, Of(c, o))
		}
		Wall(racks)
	}
}
