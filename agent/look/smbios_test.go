package look

import (
	"strings"
	"testing"

	"berth/inventory"
)

// build writes a structure as firmware does: type, length, handle, the formatted area and the strings.
func build(kind byte, formatted []byte, strs ...string) []byte {
	b := append([]byte{kind, byte(4 + len(formatted)), 0, 1}, formatted...)
	for _, s := range strs {
		b = append(append(b, s...), 0)
	}
	if len(strs) == 0 {
		b = append(b, 0)
	}
	return append(b, 0)
}

// at makes a formatted area of size bytes beyond the header, with values at offsets counted from the header.
func at(size int, values map[int]byte) []byte {
	b := make([]byte, size-4)
	for offset, v := range values {
		b[offset-4] = v
	}
	return b
}

func judge(t *testing.T, version int, table ...[]byte) inventory.Facts {
	t.Helper()
	all, err := parseSMBIOS([]byte(strings.Join(func() (s []string) {
		for _, b := range table {
			s = append(s, string(b))
		}
		return
	}(), "")))
	if err != nil {
		t.Fatal(err)
	}
	var f inventory.Facts
	judgeSMBIOS(all, version, &f)
	return f
}

func TestDIMM(t *testing.T) {
	// A 32 GiB ECC module: 72 bits on the bus, 64 of data, size in the extended field, 3200 MT/s.
	full := at(0x22, map[int]byte{
		8: 72, 0x0a: 64, 0x0c: 0xff, 0x0d: 0x7f, 0x10: 1, 0x11: 2, 0x12: 0x1a, 0x17: 3, 0x18: 4, 0x1a: 5, 0x1d: 0x80, 0x20: 0x80, 0x21: 0x0c,
	})
	empty := at(0x22, map[int]byte{0x10: 1})
	kib := at(0x15, map[int]byte{8: 0xff, 9: 0xff, 0x0c: 0x00, 0x0d: 0x88, 0x10: 1, 0x12: 0x18})
	unknown := at(0x15, map[int]byte{0x0c: 0xff, 0x0d: 0xff})
	f := judge(t, 0x0300, build(17, full, "A1", "Bank 1", "Micron", "F0F1", "36ASF4G"), build(17, empty, "A2"), build(17, kib, "A3"), build(17, unknown))
	yes := true
	want := []inventory.DIMMFacts{
		{Slot: "A1", Bank: "Bank 1", Manufacturer: "Micron", Serial: "F0F1", PartNumber: "36ASF4G", SizeMiB: 32768, Type: "DDR4", SpeedMTs: 3200, ECC: &yes},
		{Slot: "A3", SizeMiB: 2, Type: "DDR3"},
		{},
	}
	if len(f.DIMMs) != len(want) {
		t.Fatalf("DIMMs %+v", f.DIMMs)
	}
	for i, got := range f.DIMMs {
		if got.ECC != nil && want[i].ECC != nil && *got.ECC == *want[i].ECC {
			got.ECC = want[i].ECC
		}
		if got != want[i] {
			t.Errorf("DIMM %d is %+v, want %+v", i, got, want[i])
		}
	}
}

func TestProcessorAndSupply(t *testing.T) {
	cpu := at(0x30, map[int]byte{4: 1, 5: 3, 7: 2, 0x10: 3, 0x16: 0xc4, 0x17: 0x09, 0x18: 0x41, 0x20: 0, 0x23: 0xff, 0x25: 0xff, 0x2a: 0x40, 0x2e: 0x80})
	unpopulated := at(0x28, map[int]byte{4: 1, 5: 3, 0x18: 0x01})
	psu := at(0x16, map[int]byte{5: 1, 7: 2, 8: 3, 0x0a: 4, 0x0c: 0x20, 0x0d: 0x03, 0x0e: 0x02})
	f := judge(t, 0x0300, build(4, cpu, "CPU1", "AMD", "EPYC 7713"), build(4, unpopulated, "CPU2"), build(39, psu, "PSU 1", "Delta", "S9", "DPS-800"))
	if len(f.CPUs) != 1 || f.CPUs[0] != (inventory.CPUFacts{Socket: "CPU1", Manufacturer: "AMD", Model: "EPYC 7713", Cores: 64, Threads: 128, SpeedMHz: 2500}) {
		t.Errorf("CPUs %+v", f.CPUs)
	}
	if p := f.PSUs[0]; p.Slot != "PSU 1" || p.Manufacturer != "Delta" || p.Serial != "S9" || p.Model != "DPS-800" || p.CapacityW != 800 || p.Present == nil || !*p.Present {
		t.Errorf("PSU %+v", p)
	}
}

func TestUUIDByteOrder(t *testing.T) {
	raw := [16]byte{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	for version, want := range map[int]string{
		0x0204: "00112233-4455-6677-8899-aabbccddeeff",
		0x0206: "33221100-5544-7766-8899-aabbccddeeff",
		0x0300: "33221100-5544-7766-8899-aabbccddeeff",
	} {
		if got := smbiosUUID(raw, version); got != want {
			t.Errorf("version %#x: %s, want %s", version, got, want)
		}
	}
	if got := smbiosUUID([16]byte{}, 0x0300); got != "" {
		t.Errorf("all zeros: %q", got)
	}
}

func TestTheHostingBoardIsTheBoard(t *testing.T) {
	riser := build(2, at(0x0f, map[int]byte{4: 1, 7: 2, 13: 0x08}), "Dell", "RISER")
	host := build(2, at(0x0f, map[int]byte{4: 1, 7: 2, 9: 1, 13: 0x0a}), "Dell", "HOST")
	if f := judge(t, 0x0300, riser, host); f.Board.Serial != "HOST" {
		t.Errorf("board %+v", f.Board)
	}
	if f := judge(t, 0x0300, riser); f.Board.Serial != "RISER" {
		t.Errorf("the only board %+v", f.Board)
	}
}

func TestBrokenTables(t *testing.T) {
	good := build(1, at(0x1b, map[int]byte{4: 1}), "Maker")
	for name, table := range map[string][]byte{
		"length below the header":   append(append([]byte{}, good...), 2, 3, 0, 0, 0, 0),
		"length beyond the table":   append(append([]byte{}, good...), 2, 200, 0, 0, 0, 0),
		"strings without an end":    append(append([]byte{}, good...), 2, 4, 0, 0, 'x', 'y'),
		"string set without an end": append(append([]byte{}, good...), 2, 4, 0, 0, 'x', 0),
	} {
		all, err := parseSMBIOS(table)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if len(all) != 1 || all[0].str(4) != "Maker" {
			t.Errorf("%s: what stood before it is %+v", name, all)
		}
	}
}

func FuzzSMBIOS(f *testing.F) {
	f.Add(build(17, at(0x22, map[int]byte{0x0c: 1}), "A1"), 0x0300)
	f.Add(build(4, at(0x30, map[int]byte{0x18: 0x40, 5: 3}), "CPU"), 0x0206)
	f.Add([]byte{127, 4, 0, 0, 0, 0}, 0)
	f.Fuzz(func(t *testing.T, table []byte, version int) {
		all, _ := parseSMBIOS(table)
		var facts inventory.Facts
		judgeSMBIOS(all, version, &facts)
		bound(&facts)
		checkStrings(t, facts)
	})
}
