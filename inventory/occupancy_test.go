package inventory

import (
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// TestOccupancy is a table of what stands in a rack of 10 units, and of who is in whose way.
func TestOccupancy(t *testing.T) {
	types := map[UID]*DeviceType{
		"1u":   {UHeight: 1, IsFullDepth: true},
		"2u":   {UHeight: 2, IsFullDepth: true},
		"half": {UHeight: 0.5, IsFullDepth: true},
		"flat": {UHeight: 1},
		"0u":   {},
	}
	put := func(name string, kind UID, position float64, face string) *Device {
		return &Device{Meta: Meta{UID: UID(name)}, Name: name, Rack: "rack", DeviceType: kind, Position: &position, Face: face}
	}
	for _, test := range []struct {
		what    string
		devices []*Device
		placed  int
		clashes []string
	}{
		{"nothing", nil, 0, nil},
		{"one above the other", []*Device{put("b", "2u", 3, "front"), put("a", "2u", 1, "front"), put("c", "half", 5, "front"), put("d", "half", 5.5, "front")}, 4, nil},
		{"two in one unit", []*Device{put("a", "1u", 1, "front"), put("b", "1u", 1, "front")}, 2, []string{"a b"}},
		{"one reaches into the other", []*Device{put("a", "2u", 1, "front"), put("b", "1u", 2, "front"), put("c", "1u", 3, "front")}, 3, []string{"a b"}},
		{"by half a unit", []*Device{put("a", "1u", 1, "front"), put("b", "1u", 1.5, "front")}, 2, []string{"a b"}},
		{"front and rear", []*Device{put("a", "flat", 1, "front"), put("b", "flat", 1, "rear")}, 2, nil},
		{"a deep one behind", []*Device{put("a", "flat", 1, "front"), put("b", "1u", 1, "rear")}, 2, []string{"a b"}},
		{"without height", []*Device{put("a", "1u", 1, "front"), put("pdu", "0u", 1, "rear")}, 1, nil},
		{"of unknown type", []*Device{put("a", "", 1, "front"), put("b", "flat", 1, "rear")}, 2, []string{"a b"}},
		{"without a position", []*Device{put("a", "1u", 1, "front"), {Name: "b", Rack: "rack", DeviceType: "1u"}}, 1, nil},
		{"in another rack", []*Device{put("a", "1u", 1, "front"), {Name: "b", Rack: "other", DeviceType: "1u", Position: at(1)}}, 1, nil},
	} {
		placed, clashes := Occupancy(&Rack{Meta: Meta{UID: "rack"}}, test.devices, types)
		var got []string
		for _, c := range clashes {
			got = append(got, c.A.Device.Name+" "+c.B.Device.Name)
		}
		if len(placed) != test.placed || !reflect.DeepEqual(got, test.clashes) {
			t.Errorf("%s: %d placed, clashes %v, want %d and %v", test.what, len(placed), got, test.placed, test.clashes)
		}
	}
}

// TestFits is about the ends of a rack.
func TestFits(t *testing.T) {
	rack := &Rack{Name: "R1", UHeight: 10, StartingUnit: 5}
	for _, test := range []struct {
		from, height float64
		fits         bool
	}{{5, 1, true}, {14, 1, true}, {4.5, 1, false}, {14.5, 1, false}, {13, 2, true}, {14, 2, false}, {14.5, 0.5, true}} {
		why, ok := rack.Fits(Placement{From: test.from, To: test.from + test.height})
		if ok != test.fits || ok != (why == "") {
			t.Errorf("%g U at %g: %v %q", test.height, test.from, ok, why)
		}
	}
}

// TestOccupancyAgainstUnits: the sweep over sorted devices finds the same clashes as counting every half unit does.
func TestOccupancyAgainstUnits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		types := map[UID]*DeviceType{}
		var devices []*Device
		for i := range rapid.IntRange(0, 8).Draw(t, "devices") {
			name := UID(fmt.Sprint(i))
			types[name] = &DeviceType{UHeight: float64(rapid.IntRange(0, 6).Draw(t, "height")) / 2, IsFullDepth: rapid.Bool().Draw(t, "deep")}
			devices = append(devices, &Device{Meta: Meta{UID: name}, Rack: "rack", DeviceType: name, Position: at(1 + float64(rapid.IntRange(0, 12).Draw(t, "at"))/2),
				Face: rapid.SampledFrom([]string{"front", "rear"}).Draw(t, "face")})
		}
		want := map[[2]UID]bool{}
		for i, a := range devices {
			for _, b := range devices[:i] {
				for half := range 40 {
					for _, face := range []string{"front", "rear"} {
						if covers(a, types[a.UID], half, face) && covers(b, types[b.UID], half, face) {
							want[[2]UID{min(a.UID, b.UID), max(a.UID, b.UID)}] = true
						}
					}
				}
			}
		}
		got := map[[2]UID]bool{}
		_, clashes := Occupancy(&Rack{Meta: Meta{UID: "rack"}}, devices, types)
		for _, c := range clashes {
			a, b := c.A.Device.UID, c.B.Device.UID
			got[[2]UID{min(a, b), max(a, b)}] = true
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func covers(d *Device, kind *DeviceType, half int, face string) bool {
	u := float64(half) / 2
	return u >= *d.Position && u < *d.Position+kind.UHeight && (kind.IsFullDepth || d.Face == face)
}
