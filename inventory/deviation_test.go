package inventory

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// whole is a machine with four DIMMs, two disks, a port and a power supply.
func whole() Facts {
	f := Facts{Source: SourceAgent}
	f.System.UUID = "4c4c4544-0039-3010-8048-b7c04f380001"
	f.CPUs = []CPUFacts{{Socket: "CPU0", Model: "EPYC 7302P", Cores: 16}}
	for i := range 4 {
		f.DIMMs = append(f.DIMMs, DIMMFacts{Slot: fmt.Sprint("A", i+1), Serial: fmt.Sprintf("373C5B0%d", i), SizeMiB: 16384, PartNumber: "M393A2K43CB2"})
	}
	f.Disks = []DiskFacts{
		{Name: "sda", Serial: "S3Z8NB0K0001", SizeBytes: 480103981056, Model: "SAMSUNG MZ7LH480", Slot: "Bay 0"},
		{Name: "sdb", Serial: "S3Z8NB0K0002", SizeBytes: 480103981056, Model: "SAMSUNG MZ7LH480", Slot: "Bay 1"},
	}
	f.NICs = []NICFacts{{Name: "eno1", MAC: "d0:94:66:00:10:01"}}
	f.PSUs = []PSUFacts{{Slot: "PSU1", Serial: "PSU0001X", CapacityW: 750}}
	return f
}

// said writes deviations as short lines.
func said(list []Deviation) []string {
	out := []string{}
	for _, d := range list {
		out = append(out, fmt.Sprintf("%s %s: %s, seen %s", d.Part, d.Field, d.Intended, d.Observed))
	}
	slices.Sort(out)
	return out
}

// TestDifferences is a table of what may differ, and how it is said.
func TestDifferences(t *testing.T) {
	for _, test := range []struct {
		what   string
		change func(f *Facts)
		want   []string
	}{
		{"nothing", func(*Facts) {}, nil},
		{"the parts in another order", func(f *Facts) { slices.Reverse(f.DIMMs); slices.Reverse(f.Disks) }, nil},
		{"the kernel calls the disks otherwise", func(f *Facts) { f.Disks[0].Name, f.Disks[1].Name = "sdb", "sda" }, nil},
		{"a DIMM is missing", func(f *Facts) { f.DIMMs = f.DIMMs[:3] }, []string{"memory A4 presence: 16 GiB M393A2K43CB2, serial 373C5B03, in A4, seen missing"}},
		{"a DIMM more", func(f *Facts) { f.DIMMs = append(f.DIMMs, DIMMFacts{Slot: "B1", SizeMiB: 8192}) }, []string{"memory B1 presence: not on record, seen 8 GiB, in B1"}},
		{"a DIMM was changed for a smaller one", func(f *Facts) { f.DIMMs[1].Serial, f.DIMMs[1].SizeMiB = "99887766", 8192 }, []string{
			"memory A2 serial: 373C5B01, seen 99887766", "memory A2 size_bytes: 16 GiB, seen 8 GiB"}},
		{"two DIMMs changed places", func(f *Facts) { f.DIMMs[0].Slot, f.DIMMs[1].Slot = "A2", "A1" }, []string{
			"memory A1 slot: A1, seen A2", "memory A2 slot: A2, seen A1"}},
		{"the serials of DIMMs cannot be read", func(f *Facts) {
			for i := range f.DIMMs {
				f.DIMMs[i].Serial = "00000000"
			}
		}, nil},
		{"the memory was not looked at", func(f *Facts) { f.DIMMs = nil }, nil},
		{"the sizes cannot be read", func(f *Facts) { f.DIMMs[0].SizeMiB, f.Disks[0].SizeBytes = 0, 0 }, nil},
		{"a disk was changed", func(f *Facts) { f.Disks[1].Serial = "WD-WCC4N0000001" }, []string{
			"disk S3Z8NB0K0002 presence: 480.1 GB SAMSUNG MZ7LH480, serial S3Z8NB0K0002, in Bay 1, seen missing",
			"disk WD-WCC4N0000001 presence: not on record, seen 480.1 GB SAMSUNG MZ7LH480, serial WD-WCC4N0000001, in Bay 1"}},
		{"a disk rounds its size", func(f *Facts) { f.Disks[0].SizeBytes = 480000000000 }, nil},
		{"the serial was typed wrongly", func(f *Facts) { f.Disks[0].Serial = "S3Z8NBOK0001" }, []string{"disk S3Z8NB0K0001 serial: S3Z8NB0K0001, seen S3Z8NBOK0001"}},
		{"the serial is spelled otherwise", func(f *Facts) { f.Disks[0].Serial = " s3z8nb0k0001" }, nil},
		{"a port was changed", func(f *Facts) { f.NICs[0].MAC = "0c:c4:7a:00:00:01" }, []string{
			"nic 0c:c4:7a:00:00:01 presence: not on record, seen serial 0c:c4:7a:00:00:01", "nic d0:94:66:00:10:01 presence: serial d0:94:66:00:10:01, seen missing"}},
		{"the board was changed", func(f *Facts) { f.System.UUID = "4c4c4544-0039-3010-8048-ffffffffff01" }, []string{
			"system system_uuid: 4c4c4544-0039-3010-8048-b7c04f380001, seen 4c4c4544-0039-3010-8048-ffffffffff01"}},
		{"the UUID cannot be read", func(f *Facts) { f.System.UUID = "03000200-0400-0500-0006-000700080009" }, nil},
		{"a BMC sees other slots and fewer disks", func(f *Facts) {
			f.Source, f.Disks = SourceBMC, f.Disks[:1]
			for i := range f.DIMMs {
				f.DIMMs[i].Slot = "DIMM.Socket." + f.DIMMs[i].Slot
			}
		}, nil},
		{"a BMC misses a DIMM by its serial", func(f *Facts) { f.Source, f.DIMMs = SourceBMC, f.DIMMs[:3] }, []string{
			"memory A4 presence: 16 GiB M393A2K43CB2, serial 373C5B03, in A4, seen missing"}},
		{"a BMC without serials misses a DIMM", func(f *Facts) {
			f.Source, f.DIMMs = SourceBMC, []DIMMFacts{{Slot: "1", SizeMiB: 16384}}
		}, nil},
	} {
		device := &Device{Meta: Meta{UID: someUID}, Name: "node-1", SystemUUID: whole().System.UUID}
		intended := Components(someUID, whole())
		f := whole()
		test.change(&f)
		got := said(Differences(intended, device, f))
		if test.want == nil {
			test.want = []string{}
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s:\n got %v\nwant %v", test.what, strings.Join(got, "\n     "), strings.Join(test.want, "\n     "))
		}
	}
}

// TestTypedParts: parts that a person typed without serials or slots are found among those that were seen, and only the rest differs.
func TestTypedParts(t *testing.T) {
	var typed []Component
	for range 4 {
		typed = append(typed, Component{Kind: "memory", SizeBytes: 16 << 30})
	}
	device := &Device{Meta: Meta{UID: someUID}}
	if got := said(Differences(typed, device, whole())); len(filterPart(got, "memory")) != 0 {
		t.Errorf("all are there: %v", got)
	}
	f := whole()
	f.DIMMs = f.DIMMs[:2]
	got := filterPart(said(Differences(typed, device, f)), "memory")
	if want := []string{"memory presence: 16 GiB, seen missing"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func filterPart(lines []string, kind string) []string {
	return slices.DeleteFunc(lines, func(s string) bool { return !strings.HasPrefix(s, kind) })
}

// TestSlotsNamedTwice: boards that call two sockets' slots the same do not lose parts, and the names stay at the next look.
func TestSlotsNamedTwice(t *testing.T) {
	f := Facts{Source: SourceAgent, DIMMs: []DIMMFacts{
		{Slot: "DIMM 0", Bank: "P0 CHANNEL A"}, {Slot: "DIMM 0", Bank: "P0 CHANNEL B"}, {Slot: "DIMM 1"}, {Slot: "DIMM 1"}}}
	var names []string
	for _, c := range Components(someUID, f) {
		names = append(names, PartName(c))
	}
	want := []string{"memory DIMM 0 P0 CHANNEL A", "memory DIMM 0 P0 CHANNEL B", "memory DIMM 1", "memory DIMM 1 #2"}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

// TestDifferencesProperties: a machine does not differ from itself, however odd it is; each difference has a name of its own; and a
// second look gives the same names. What comes out can be stored.
func TestDifferencesProperties(t *testing.T) {
	text := rapid.OneOf(rapid.Just(""), rapid.SampledFrom([]string{"A1", "A2", "373C5B00", "373C5BO0", "none", "00000000"}), rapid.String())
	facts := rapid.Custom(func(t *rapid.T) Facts {
		f := Facts{Source: rapid.SampledFrom([]FactSource{SourceAgent, SourceBMC, SourceSystem}).Draw(t, "source")}
		f.System.UUID = text.Draw(t, "uuid")
		for range rapid.IntRange(0, 5).Draw(t, "dimms") {
			f.DIMMs = append(f.DIMMs, DIMMFacts{Slot: text.Draw(t, "slot"), Serial: text.Draw(t, "serial"), SizeMiB: int64(rapid.IntRange(0, 2).Draw(t, "size")) << 13})
		}
		for range rapid.IntRange(0, 4).Draw(t, "disks") {
			f.Disks = append(f.Disks, DiskFacts{Slot: text.Draw(t, "slot"), Serial: text.Draw(t, "serial"), WWN: text.Draw(t, "wwn"), Model: text.Draw(t, "model")})
		}
		return f
	})
	rapid.Check(t, func(t *rapid.T) {
		before, after := facts.Draw(t, "before"), facts.Draw(t, "after")
		device := &Device{Meta: Meta{UID: someUID}, SystemUUID: before.System.UUID}
		intended := Components(someUID, before)
		if got := Differences(intended, device, before); len(got) != 0 {
			t.Fatalf("it differs from itself: %v", said(got))
		}
		first, second := Differences(intended, device, after), Differences(intended, device, after)
		if !reflect.DeepEqual(first, second) {
			t.Fatalf("a second look says otherwise:\n%v\n%v", said(first), said(second))
		}
		names := map[string]bool{}
		for i := range first {
			key := first[i].Part + "\x00" + first[i].Field
			if names[key] {
				t.Fatalf("%q twice in %v", key, said(first))
			}
			names[key] = true
			stored := first[i]
			if err := NounFor[Deviation]().Accept(&stored); err != nil {
				t.Fatalf("%+v cannot be stored: %v", first[i], err)
			}
		}
	})
}
