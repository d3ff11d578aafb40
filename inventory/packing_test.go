package inventory

import (
	"fmt"
	"slices"
	"testing"
)

func TestParseManifest(t *testing.T) {
	for name, test := range map[string]struct {
		manifest map[string]string
		want     []Component
	}{
		"counted":       {map[string]string{"memory": "2 × 16 GiB"}, []Component{{Kind: "memory", SizeBytes: 16 << 30}, {Kind: "memory", SizeBytes: 16 << 30}}},
		"as sold":       {map[string]string{"RAM": "1x 32GB M393A4K40"}, []Component{{Kind: "memory", SizeBytes: 32 << 30, Model: "M393A4K40"}}},
		"disk":          {map[string]string{"disk S3Z8NB0K": "960 GB MZ1LB960"}, []Component{{Kind: "disk", Serial: "S3Z8NB0K", SizeBytes: 960e9, Model: "MZ1LB960"}}},
		"nvme, comma":   {map[string]string{"NVMe X1": "1,92 TB"}, []Component{{Kind: "disk", Serial: "X1", SizeBytes: 1_920_000_000_000}}},
		"wwn":           {map[string]string{"disk naa.5000C500A1B2C3D4": ""}, []Component{{Kind: "disk", WWN: "naa.5000c500a1b2c3d4"}}},
		"port":          {map[string]string{"mac AC-1F-6B-00-00-01": ""}, []Component{{Kind: "nic", Serial: "ac:1f:6b:00:00:01"}}},
		"slot":          {map[string]string{"dimm A1": "16 GiB, serial 03C7"}, []Component{{Kind: "memory", Slot: "A1", Serial: "03C7", SizeBytes: 16 << 30}}},
		"no part":       {map[string]string{"rails": "yes", "note": "2 × 16 GiB"}, nil},
		"one of a kind": {map[string]string{"disk S1": "99 × 1 TB"}, []Component{{Kind: "disk", Serial: "S1", SizeBytes: 1e12}}},
	} {
		if got := ParseManifest(test.manifest); !slices.EqualFunc(got, test.want, samePart) {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
	if n := len(ParseManifest(map[string]string{"memory": "999999 × 1 GiB"})); n != maxManifest {
		t.Errorf("a hostile number gave %d parts", n)
	}
}

func samePart(a, b Component) bool {
	return a.Kind == b.Kind && a.Serial == b.Serial && a.Slot == b.Slot && a.SizeBytes == b.SizeBytes && a.Model == b.Model && a.WWN == b.WWN
}

// What is written down of a machine's parts is read back as those parts: nothing of it differs from the machine.
func TestManifestOfAMachineMatchesIt(t *testing.T) {
	f := packedServer()
	manifest := ManifestOf(Components("", f))
	findings := ComparePacked(ParseManifest(manifest), f)
	if len(findings) != 9 {
		t.Errorf("%d findings of %v", len(findings), manifest)
	}
	for _, v := range findings {
		if v.Finding != PartMatched {
			t.Errorf("%+v", v)
		}
	}
}

// packedServer has two processors, three DIMMs, two disks and two ports.
func packedServer() Facts {
	f := server(1)
	f.CPUs = []CPUFacts{{Socket: "CPU1", Model: "Xeon 4216"}, {Socket: "CPU2", Model: "Xeon 4216"}}
	f.DIMMs = nil
	for i := range 3 {
		f.DIMMs = append(f.DIMMs, DIMMFacts{Slot: fmt.Sprint("A", i+1), Serial: fmt.Sprint("03C7A1F", i), SizeMiB: 16384})
	}
	for i := range f.Disks {
		f.Disks[i].SizeBytes = 960e9
	}
	return f
}

// TestComparePacked changes the machine of packedServer in one way each and says which lines that must give.
func TestComparePacked(t *testing.T) {
	failing, pending := false, int64(8)
	for name, test := range map[string]struct {
		change func(f *Facts)
		want   []string
	}{
		"as packed":      {func(*Facts) {}, nil},
		"DIMM gone":      {func(f *Facts) { f.DIMMs = f.DIMMs[:2] }, []string{"missing memory A3"}},
		"DIMM more":      {func(f *Facts) { f.DIMMs = append(f.DIMMs, DIMMFacts{Slot: "B1", Serial: "FFC7A1F9", SizeMiB: 8192}) }, []string{"extra memory B1"}},
		"DIMM exchanged": {func(f *Facts) { f.DIMMs[1].Serial = "99AA88BB" }, []string{"swapped memory A2"}},
		"DIMM smaller":   {func(f *Facts) { f.DIMMs[1].SizeMiB = 8192 }, []string{"swapped memory A2"}},
		"disk gone":      {func(f *Facts) { f.Disks = f.Disks[:1] }, []string{"missing disk S3Z8NB0K0101"}},
		"all disks gone": {func(f *Facts) { f.Disks = nil }, []string{"missing disk S3Z8NB0K0100", "missing disk S3Z8NB0K0101"}},
		"disk exchanged": {func(f *Facts) { f.Disks[1].Serial, f.Disks[1].WWN = "ZZ11QQ77", "naa.1" }, []string{"swapped disk S3Z8NB0K0101"}},
		"disk mistyped":  {func(f *Facts) { f.Disks[1].Serial, f.Disks[1].WWN = "S3Z8NBOK0101", "" }, nil},
		"disk dying":     {func(f *Facts) { f.Disks[0].SMART = &SMARTFacts{Passed: &failing} }, []string{"damaged disk S3Z8NB0K0100"}},
		"disk unread":    {func(f *Facts) { f.Disks[0].SMART = &SMARTFacts{PendingSectors: &pending} }, []string{"damaged disk S3Z8NB0K0100"}},
		"CPU gone":       {func(f *Facts) { f.CPUs = f.CPUs[:1] }, []string{"missing cpu CPU2"}},
		"not looked":     {func(f *Facts) { f.DIMMs = nil }, nil},
		"a BMC's word":   {func(f *Facts) { f.Source, f.Disks = SourceBMC, f.Disks[:1] }, nil},
	} {
		packed := ParseManifest(ManifestOf(Components("", packedServer())))
		f := packedServer()
		test.change(&f)
		var got []string
		for _, v := range ComparePacked(packed, f) {
			if v.Finding != PartMatched {
				got = append(got, v.Finding+" "+v.Part)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestMatchExpected(t *testing.T) {
	f := Facts{System: SystemFacts{Serial: "790H8D2"}, BMC: &BMCFacts{MAC: "d0:94:66:00:01:02"}}
	line := func(name string, serial string, evidence ...Identity) Expected {
		e := Expected{Item: UID(name), Evidence: evidence}
		if serial != "" {
			e.Serials = []string{serial}
		}
		return e
	}
	for name, test := range map[string]struct {
		lines []Expected
		kind  MatchKind
		first string
	}{
		"nothing is expected":      {nil, MatchNew, ""},
		"just this":                {[]Expected{line("a", "790H8D2"), line("b", "7B0H8D2")}, MatchSame, "a"},
		"the zero that is an O":    {[]Expected{line("a", "79OH8D2"), line("b", "CZ3407M8CD")}, MatchSame, "a"},
		"a B that may be an 8":     {[]Expected{line("a", "790HBD2")}, MatchQuestion, "a"},
		"two exchanged":            {[]Expected{line("a", "709H8D2")}, MatchQuestion, "a"},
		"two, and the BMC agrees":  {[]Expected{line("a", "709H8D2", Identity{IDBMCMAC, "D0-94-66-00-01-02"})}, MatchSame, "a"},
		"an address alone":         {[]Expected{line("a", "", Identity{IDNICMAC, "d0:94:66:00:01:02"})}, MatchQuestion, "a"},
		"its serial, other BMC":    {[]Expected{line("a", "790H8D2", Identity{IDBMCMAC, "d0:94:66:00:01:ff"})}, MatchQuestion, "a"},
		"listed twice":             {[]Expected{line("a", "790H8D2"), line("b", "790H8D2")}, MatchQuestion, "a"},
		"listed twice, one is it":  {[]Expected{line("a", "790H8D2"), line("b", "790H8D2", Identity{IDBMCMAC, "d0:94:66:00:01:02"})}, MatchQuestion, "b"},
		"the neighbour":            {[]Expected{line("a", "790H8D3"), line("b", "790H8D1")}, MatchNew, ""},
		"the only one like it":     {[]Expected{line("a", "790H8D3")}, MatchQuestion, "a"},
		"junk on both sides":       {[]Expected{line("a", "To be filled by O.E.M.")}, MatchNew, ""},
		"something else":           {[]Expected{line("a", "CZ3407M8CD")}, MatchNew, ""},
		"exact goes before a typo": {[]Expected{line("a", "79OH8D2"), line("b", "790H8D2")}, MatchSame, "b"},
	} {
		v := MatchExpected(f, test.lines)
		if v.Kind != test.kind || test.first != "" && string(v.Ranked[0].Item) != test.first {
			t.Errorf("%s: %s %+v", name, v.Kind, v.Ranked)
		}
		if (v.Sentence() == "") != (v.Kind == MatchNew) {
			t.Errorf("%s: it says %q", name, v.Sentence())
		}
	}
}
