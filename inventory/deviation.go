package inventory

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Verdicts on a deviation. An open one waits for a person; take_observed makes the record what was seen, keep_intended leaves it because
// the machine is to change, task asks somebody to look, ignore is for what is known to be read wrongly. resolved is berth's own: the
// difference is gone.
const (
	VerdictOpen     = "open"
	VerdictTake     = "take_observed"
	VerdictKeep     = "keep_intended"
	VerdictTask     = "task"
	VerdictIgnore   = "ignore"
	VerdictResolved = "resolved"
)

// Fields of a deviation that are no field of a component.
const (
	// FieldPresence is for parts that are missing or extra.
	FieldPresence = "presence"
	missing       = "missing"
	notRecorded   = "not on record"
)

// Components lists the parts that facts show, in the form in which they are kept when a machine is accepted. Slots that a machine names
// twice get a number, so that each part has a name of its own that is the same at the next look.
func Components(device UID, f Facts) []Component {
	var out []Component
	for _, c := range f.CPUs {
		out = append(out, Component{Kind: "cpu", Slot: c.Socket, Manufacturer: c.Manufacturer, Model: c.Model, Serial: c.Serial,
			Attributes: attributes("cores", c.Cores, "threads", c.Threads, "speed_mhz", c.SpeedMHz)})
	}
	for _, d := range f.DIMMs {
		out = append(out, Component{Kind: "memory", Slot: d.Slot, Manufacturer: d.Manufacturer, PartNumber: d.PartNumber, Serial: d.Serial, SizeBytes: d.SizeMiB << 20,
			Attributes: attributes("type", d.Type, "speed_mts", d.SpeedMTs, "ecc", d.ECC, "bank", d.Bank)})
	}
	for _, d := range f.Disks {
		out = append(out, Component{Kind: "disk", Slot: d.Slot, Manufacturer: d.Manufacturer, Model: d.Model, Serial: d.Serial, WWN: d.WWN, SizeBytes: d.SizeBytes,
			Firmware: d.Firmware, Attributes: attributes("type", d.Type, "transport", d.Transport, "rotational", d.Rotational, "logical_block_bytes", d.LogicalBlockBytes)})
	}
	for _, n := range f.NICs {
		// A port is known by its address; the kernel's name for it is of the moment.
		out = append(out, Component{Kind: "nic", Slot: n.PCIAddress, Manufacturer: n.Manufacturer, Model: n.Model, Serial: n.MAC, Firmware: n.Firmware,
			Attributes: attributes("driver", n.Driver)})
	}
	for _, p := range f.PSUs {
		if p.Present == nil || *p.Present {
			out = append(out, Component{Kind: "psu", Slot: p.Slot, Manufacturer: p.Manufacturer, Model: p.Model, Serial: p.Serial, Attributes: attributes("wattage", p.CapacityW)})
		}
	}
	if f.TPM != nil {
		out = append(out, Component{Kind: "tpm", Serial: f.TPM.EKHash, Attributes: attributes("version", f.TPM.Version)})
	}
	numberSlots(out)
	for i := range out {
		out[i].Device = device
		if Junk(IDDIMMSerial, out[i].Serial) {
			out[i].Serial = ""
		}
	}
	return out
}

// attributes keeps the pairs that say something.
func attributes(pairs ...any) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		name, text := pairs[i].(string), ""
		switch v := pairs[i+1].(type) {
		case string:
			text = v
		case int:
			if v != 0 {
				text = strconv.Itoa(v)
			}
		case *bool:
			if v != nil {
				text = strconv.FormatBool(*v)
			}
		}
		if text != "" {
			out[name] = clean(text, maxText, false)
		}
	}
	return out
}

// numberSlots tells parts of one kind with the same slot apart: by their memory bank if they have one, else by their number.
func numberSlots(parts []Component) {
	taken := map[string]int{}
	for _, p := range parts {
		taken[p.Kind+"\x00"+p.Slot]++
	}
	used := map[string]int{}
	for i := range parts {
		p := &parts[i]
		if p.Slot == "" || taken[p.Kind+"\x00"+p.Slot] < 2 {
			continue
		}
		if bank := p.Attributes["bank"]; bank != "" {
			p.Slot += " " + bank
		}
		key := p.Kind + "\x00" + p.Slot
		if used[key]++; used[key] > 1 {
			p.Slot += " #" + strconv.Itoa(used[key])
		}
	}
}

// PartName is how deviations and people call a part: "memory DIMM_A2", "disk S3Z8NB0K". Disks and ports go by what they carry with them,
// everything else by its place.
func PartName(c Component) string {
	names := []string{c.Slot, c.Serial, c.Model, c.PartNumber}
	if c.Kind == "disk" || c.Kind == "nic" || c.Kind == "tpm" {
		names = []string{c.Serial, c.WWN, c.Slot, c.Model, c.PartNumber}
	}
	for _, name := range names {
		if name != "" {
			return c.Kind + " " + name
		}
	}
	return c.Kind
}

// Differences holds what is intended against what was seen, and returns what differs, each with a Part and Field that are the same at
// the next look. What the facts do not show is unknown and never a difference: a kind of part that a source does not list at all, a
// serial it cannot read, a slot it does not name.
func Differences(components []Component, device *Device, f Facts) []Deviation {
	d := differ{source: f.Source, device: device.UID, said: map[string]bool{}}
	d.system(device, f)
	seen := Components(device.UID, f)
	for _, kind := range []string{"cpu", "memory", "disk", "nic", "psu", "tpm"} {
		d.kind(kind, ofKind(components, kind), ofKind(seen, kind))
	}
	return d.out
}

func ofKind(parts []Component, kind string) []*Component {
	var out []*Component
	for i := range parts {
		if parts[i].Kind == kind {
			out = append(out, &parts[i])
		}
	}
	slices.SortStableFunc(out, func(a, b *Component) int { return cmp.Compare(PartName(*a), PartName(*b)) })
	return out
}

type differ struct {
	source FactSource
	device UID
	out    []Deviation
	said   map[string]bool
}

func (d *differ) say(part, field, intended, observed, note string) {
	part = clean(part, maxText, false)
	if d.said[part+"\x00"+field] {
		return
	}
	d.said[part+"\x00"+field] = true
	d.out = append(d.out, Deviation{Device: d.device, Part: part, Field: field, Source: d.source, Verdict: VerdictOpen,
		Intended: clean(intended, maxText, false), Observed: clean(observed, maxText, false), Note: note})
}

// system compares what names the machine itself. The UUID changes with the board, or when the cable leads to another machine.
func (d *differ) system(device *Device, f Facts) {
	was, is := NormalIdentity(IDSystemUUID, device.SystemUUID), NormalIdentity(IDSystemUUID, f.System.UUID)
	if Junk(IDSystemUUID, was) || Junk(IDSystemUUID, is) || agree(IDSystemUUID, was, is) {
		return
	}
	d.say("system", "system_uuid", was, is, "the board was changed, or this is another machine")
}

// kind compares all parts of one kind. They are paired by serial first, then by place, then by what they are; a pair may differ in
// fields, and what is left over is missing or extra.
func (d *differ) kind(kind string, intended, seen []*Component) {
	if len(seen) == 0 {
		return // not looked at
	}
	pairs := pairUp(intended, seen)
	for _, p := range intended {
		if q := pairs[p]; q != nil {
			d.pair(p, q)
		}
	}
	// A BMC names slots in its own way and does not see every part: only where serials speak on both sides is a part that it does not
	// list missing.
	if d.source == SourceBMC && !(allSerials(intended) && allSerials(seen) && kind != "disk" && kind != "nic") {
		return
	}
	paired := map[*Component]bool{}
	for _, q := range pairs {
		paired[q] = true
	}
	for _, p := range intended {
		if pairs[p] == nil {
			d.say(PartName(*p), FieldPresence, summary(*p), missing, "")
		}
	}
	for _, q := range seen {
		if !paired[q] {
			d.say(PartName(*q), FieldPresence, notRecorded, summary(*q), "")
		}
	}
}

func allSerials(parts []*Component) bool {
	for _, p := range parts {
		if p.Serial == "" {
			return false
		}
	}
	return true
}

// pairUp finds for each intended part the one that was seen.
func pairUp(intended, seen []*Component) map[*Component]*Component {
	pairs, taken := map[*Component]*Component{}, map[*Component]bool{}
	for _, same := range []func(p, q *Component) bool{
		func(p, q *Component) bool { return p.Serial != "" && sameSerial(p.Serial, q.Serial) },
		func(p, q *Component) bool { return p.WWN != "" && strings.EqualFold(p.WWN, q.WWN) },
		func(p, q *Component) bool { return p.Serial != "" && q.Serial != "" && Similar(p.Serial, q.Serial) },
		func(p, q *Component) bool { return inPlace(p, q) },
		func(p, q *Component) bool { return (p.Serial == "" || q.Serial == "") && alike(p, q) },
	} {
		for _, p := range intended {
			if pairs[p] != nil {
				continue
			}
			if i := slices.IndexFunc(seen, func(q *Component) bool { return !taken[q] && same(p, q) }); i >= 0 {
				pairs[p], taken[seen[i]] = seen[i], true
			}
		}
	}
	return pairs
}

func sameSerial(a, b string) bool {
	return NormalIdentity(IDSystemSerial, a) == NormalIdentity(IDSystemSerial, b)
}

// inPlace pairs parts by their slot, but never two disks or ports of which both are known: another disk in the same bay is another disk.
func inPlace(p, q *Component) bool {
	if p.Slot == "" || !strings.EqualFold(p.Slot, q.Slot) {
		return false
	}
	return (p.Kind != "disk" && p.Kind != "nic") || p.Serial == "" || q.Serial == ""
}

// alike pairs parts that nothing but their sort tells apart: typed from an order ("4 × 16 GiB"), or without a serial.
func alike(p, q *Component) bool {
	if p.Slot != "" && q.Slot != "" {
		return false
	}
	return (p.SizeBytes == 0 || q.SizeBytes == 0 || p.SizeBytes == q.SizeBytes) && (p.Model == "" || q.Model == "" || strings.EqualFold(p.Model, q.Model))
}

// pair compares the fields of one part. Names of makers and models are spelled differently by every source, and are left alone where a
// serial tells that the part is the same.
func (d *differ) pair(p, q *Component) {
	name := PartName(*p)
	if p.Serial != "" && q.Serial != "" && !sameSerial(p.Serial, q.Serial) {
		note := "the part was changed"
		if Similar(p.Serial, q.Serial) {
			note = "it looks like a typing error"
		}
		d.say(name, "serial", p.Serial, q.Serial, note)
	}
	if sizesDiffer(p.SizeBytes, q.SizeBytes) {
		d.say(name, "size_bytes", bytesText(p.SizeBytes), bytesText(q.SizeBytes), "")
	}
	if d.source != SourceBMC && p.Slot != "" && q.Slot != "" && !strings.EqualFold(p.Slot, q.Slot) && p.Kind != "nic" {
		d.say(name, "slot", p.Slot, q.Slot, "the part sits in another place")
	}
	if p.Serial == "" && p.Model != "" && q.Model != "" && !strings.EqualFold(p.Model, q.Model) && d.source != SourceBMC {
		d.say(name, "model", p.Model, q.Model, "")
	}
}

// sizesDiffer allows for 1 %: BMCs round, and drives keep a little to themselves.
func sizesDiffer(a, b int64) bool {
	if a == 0 || b == 0 {
		return false
	}
	return max(a, b)-min(a, b) > max(a, b)/100
}

// summary says what a part is: "16 GiB M393A2K43CB2, serial 12345678".
func summary(c Component) string {
	var parts []string
	for _, text := range []string{bytesText(c.SizeBytes), cmp.Or(c.Model, c.PartNumber, c.Manufacturer)} {
		if text != "" {
			parts = append(parts, text)
		}
	}
	text := strings.Join(parts, " ")
	if c.Serial != "" {
		text = strings.TrimPrefix(text+", serial "+c.Serial, ", ")
	}
	if c.Slot != "" {
		text = strings.TrimPrefix(text+", in "+c.Slot, ", ")
	}
	return cmp.Or(text, c.Kind)
}

// bytesText writes a size as people do: in binary units where it is a whole number of them, as memory is, else in decimal ones.
func bytesText(n int64) string {
	switch {
	case n == 0:
		return ""
	case n%(1<<30) == 0:
		return fmt.Sprintf("%d GiB", n>>30)
	case n%(1<<20) == 0 && n < 1<<40:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1e12:
		return fmt.Sprintf("%.2f TB", float64(n)/1e12)
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	}
	return fmt.Sprintf("%d B", n)
}
