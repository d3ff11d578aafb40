package inventory

import (
	"fmt"
	"strconv"
)

// Components lists the parts that facts name, as the record would hold them.
func Components(device UID, f Facts) []Component {
	var out []Component
	add := func(c Component, attributes map[string]string) {
		c.Device, c.Attributes = device, attributes
		out = append(out, c)
	}
	for _, c := range f.CPUs {
		add(Component{Kind: "cpu", Slot: c.Socket, Manufacturer: c.Manufacturer, Model: c.Model, Serial: c.Serial},
			attributes("cores", c.Cores, "threads", c.Threads, "speed_mhz", c.SpeedMHz))
	}
	for _, d := range f.DIMMs {
		add(Component{Kind: "memory", Slot: d.Slot, Manufacturer: d.Manufacturer, PartNumber: d.PartNumber, Serial: d.Serial, SizeBytes: d.SizeMiB << 20, Model: d.Type},
			attributes("speed_mts", d.SpeedMTs))
	}
	for _, d := range f.Disks {
		add(Component{Kind: "disk", Slot: d.Slot, Manufacturer: d.Manufacturer, Model: d.Model, Serial: d.Serial, WWN: d.WWN, SizeBytes: d.SizeBytes, Firmware: d.Firmware},
			map[string]string{"type": d.Type})
	}
	for _, n := range f.NICs {
		add(Component{Kind: "nic", Slot: n.Name, Manufacturer: n.Manufacturer, Model: n.Model, Serial: n.MAC, Firmware: n.Firmware}, nil)
	}
	for _, p := range f.PSUs {
		add(Component{Kind: "psu", Slot: p.Slot, Manufacturer: p.Manufacturer, Model: p.Model, Serial: p.Serial}, attributes("wattage", p.CapacityW))
	}
	return out
}

func attributes(pairs ...any) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		if n := pairs[i+1].(int); n != 0 {
			out[pairs[i].(string)] = strconv.Itoa(n)
		}
	}
	return out
}

// PartName is what a part is called in a deviation: its kind, and its serial where it has one, else its slot.
func PartName(c Component) string {
	if c.Serial != "" && !Junk(IDDiskSerial, c.Serial) {
		return c.Kind + " " + c.Serial
	}
	return c.Kind + " in " + c.Slot
}

// Differences holds what was seen against what is intended. A kind of part that the source did not report at all is unknown, and
// deviates from nothing.
func Differences(intended []Component, d *Device, f Facts) []Deviation {
	observed := Components(d.UID, f)
	reported := map[string]bool{}
	there := map[string]Component{}
	for _, c := range observed {
		reported[c.Kind] = true
		there[PartName(c)] = c
	}
	var out []Deviation
	expected := map[string]bool{}
	for _, c := range intended {
		name := PartName(c)
		expected[name] = true
		now, ok := there[name]
		switch {
		case !reported[c.Kind]:
		case !ok:
			out = append(out, Deviation{Part: name, Field: "presence", Intended: describePart(c), Observed: "missing"})
		case now.SizeBytes != 0 && c.SizeBytes != 0 && now.SizeBytes != c.SizeBytes:
			out = append(out, Deviation{Part: name, Field: "size", Intended: fmt.Sprint(c.SizeBytes), Observed: fmt.Sprint(now.SizeBytes)})
		}
	}
	for _, c := range observed {
		if name := PartName(c); !expected[name] {
			expected[name] = true
			out = append(out, Deviation{Part: name, Field: "presence", Intended: "not there", Observed: describePart(c)})
		}
	}
	return out
}

func describePart(c Component) string {
	text := c.Model
	if text == "" {
		text = c.PartNumber
	}
	if text == "" {
		text = c.Kind
	}
	if c.Slot != "" {
		text += " in " + c.Slot
	}
	return text
}
