package inventory

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestJunk is a table of what firmware and vendors leave in place of a serial, and of values that are real though odd.
func TestJunk(t *testing.T) {
	for _, test := range []struct {
		kind  IdentifierKind
		value string
		junk  bool
	}{
		{IDSystemSerial, "", true},
		{IDSystemSerial, "To Be Filled By O.E.M.", true},
		{IDSystemSerial, "to be filled by OEM", true},
		{IDSystemSerial, "Default string", true},
		{IDSystemSerial, "System Serial Number", true},
		{IDSystemSerial, "0123456789", true},
		{IDSystemSerial, "123456789", true},
		{IDSystemSerial, "0123456789ABCDEF", true},
		{IDSystemSerial, "01234567890123456789", true},
		{IDSystemSerial, "Not Specified", true},
		{IDSystemSerial, "N/A", true},
		{IDSystemSerial, "none", true},
		{IDSystemSerial, "XXXXXXXXXX", true},
		{IDSystemSerial, ".......", true},
		{IDSystemSerial, "00000000", true},
		{IDSystemSerial, "-", true},
		{IDSystemSerial, "HUAWEI", true},
		{IDSystemSerial, "123-1234-123", true},
		{IDBoardSerial, "Base Board Serial Number", true},
		{IDDiskSerial, "QM00001", true},
		{IDDIMMSerial, "A1_SerNum0", true},
		{IDDIMMSerial, "NO DIMM", true},
		{IDDIMMSerial, "00000000", true},
		{IDSystemUUID, "03000200-0400-0500-0006-000700080009", true},
		{IDSystemUUID, "00000000-0000-0000-0000-000000000000", true},
		{IDSystemUUID, "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", true},
		{IDSystemUUID, "20202020-2020-2020-2020-202020202020", true},
		{IDSystemUUID, "fefefefe-fefe-fefe-fefe-fefefefefefe", true},
		{IDSystemUUID, "Not Settable", true},
		{IDNICMAC, "00:00:00:00:00:00", true},
		{IDNICMAC, "ff:ff:ff:ff:ff:ff", true},
		{IDNICMAC, "01:00:5e:00:00:01", true},
		{IDNICMAC, "eth0", true},
		{IDSystemSerial, "790H8D2", false},
		{IDSystemSerial, "S299076X1234567", false},
		{IDSystemSerial, "CZ3407M8CD", false},
		{IDSystemSerial, "A0123456789", false},
		{IDBoardSerial, "/790H8D2/CN7475155B0123/", false},
		{IDSystemUUID, "4c4c4544-0039-3010-8048-b7c04f384432", false},
		{IDSystemUUID, "00000000-0000-0000-0000-ac1f6b000001", false},
		{IDNICMAC, "52:54:00:12:34:56", false},
		{IDNICMAC, "AC-1F-6B-00-00-01", false},
		{IDDiskWWN, "naa.5000c500a1b2c3d4", false},
		{IDDiskSerial, "S3Z8NB0K123456", false},
		{IDDIMMSerial, "373C5B0E", false},
		{IDTPM, strings.Repeat("0a1b2c3d", 8), false},
	} {
		if got := Junk(test.kind, test.value); got != test.junk {
			t.Errorf("%s %q: junk is %v", test.kind, test.value, got)
		}
	}
}

// TestSimilar is a table of serials as they are typed.
func TestSimilar(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"790H8D2", "79OH8D2", true}, // the zero that is an O
		{"790H8D2", "790h8d2 ", true},
		{"CZ3407M8CD", "C23407M8CD", true},
		{"S299076X", "5299O76X", true},
		{"790H8D2", "709H8D2", true},  // exchanged
		{"790H8D2", "790H8D", true},   // one missing
		{"790H8D2", "7900H8D2", true}, // one too many
		{"790H8D2", "790H8D3", false}, // the next machine of the batch
		{"790H8D2", "890H8D2", false},
		{"790H8D2", "CZ3407M8CD", false},
		{"SN-0001", "SN-0002", false},
		{"AB1", "A81", false}, // too short to say
		{"", "", true},
		{"", "790H8D2", false},
	} {
		if got, back := Similar(test.a, test.b), Similar(test.b, test.a); got != test.want || back != got {
			t.Errorf("%q and %q: %v, and the other way %v", test.a, test.b, got, back)
		}
	}
}

// server is a machine as a look at it sees it.
func server(n int) Facts {
	f := Facts{Source: SourceAgent}
	f.System = SystemFacts{Manufacturer: "Dell Inc.", Serial: fmt.Sprintf("7Q%dH8D2", n), UUID: fmt.Sprintf("4c4c4544-0039-3010-8048-b7c04f38%04x", n)}
	f.Board.Serial = fmt.Sprintf(".7Q%dH8D2.CN74751%05d.", n, 1000+n)
	f.Chassis.Serial = f.System.Serial
	f.BMC = &BMCFacts{MAC: fmt.Sprintf("d0:94:66:00:01:%02x", n)}
	for i := range 2 {
		f.NICs = append(f.NICs, NICFacts{Name: fmt.Sprint("eno", i), MAC: fmt.Sprintf("d0:94:66:00:%02x:%02x", 16+i, n)})
		f.Disks = append(f.Disks, DiskFacts{Serial: fmt.Sprintf("S3Z8NB0K%02d%02d", n, i), WWN: fmt.Sprintf("naa.5002538d0000%02x%02x", n, i)})
		f.DIMMs = append(f.DIMMs, DIMMFacts{Slot: fmt.Sprint("A", i+1), Serial: fmt.Sprintf("373C%02X%02X", n, 0x50+i)})
	}
	return f
}

// onRecord are two other servers and server 1.
func onRecord() []Candidate {
	var out []Candidate
	for n := range 3 {
		out = append(out, Candidate{Device: deviceOf(n), Evidence: Evidence(server(n))})
	}
	return out
}

func deviceOf(n int) UID { return UID(fmt.Sprintf("%032x", n)) }

// TestMatch is a table of what happens to a machine between two looks, and of what is to be thought of it.
func TestMatch(t *testing.T) {
	for _, test := range []struct {
		what     string
		change   func(f *Facts)
		kind     MatchKind
		sentence string // a part of it
	}{
		{"nothing", func(*Facts) {}, MatchSame, "system UUID"},
		{"a disk was replaced", func(f *Facts) { f.Disks[0] = DiskFacts{Serial: "NEWDISK001"} }, MatchSame, ""},
		{"all disks and DIMMs were taken out", func(f *Facts) { f.Disks, f.DIMMs = nil, nil }, MatchSame, ""},
		{"a network card was added", func(f *Facts) { f.NICs = append(f.NICs, NICFacts{MAC: "0c:c4:7a:00:00:01"}) }, MatchSame, ""},
		{"one of two ports is new", func(f *Facts) { f.NICs[0].MAC = "0c:c4:7a:00:00:01" }, MatchSame, ""},
		{"only the UUID could be read", func(f *Facts) { *f = Facts{System: SystemFacts{UUID: f.System.UUID}} }, MatchSame, ""},
		{"the UUID is printed in the other byte order", func(f *Facts) { f.System.UUID = swapUUID(f.System.UUID) }, MatchSame, "system UUID"},
		{"the board serial without its wrapping", func(f *Facts) { f.Board.Serial = "CN7475101001" }, MatchSame, "board serial"},
		{"the NICs were changed", func(f *Facts) { f.NICs = []NICFacts{{MAC: "0c:c4:7a:00:00:01"}} }, MatchQuestion, "network card differ"},
		{"the board was changed", func(f *Facts) {
			f.System.UUID, f.Board.Serial, f.BMC.MAC = "4c4c4544-0000-4810-8052-aaaaaaaaaaaa", "CN0000000099", "d0:94:66:00:99:99"
			f.NICs = []NICFacts{{MAC: "0c:c4:7a:00:00:01"}}
		}, MatchQuestion, "system UUID"},
		{"the board was changed for one without a service tag", func(f *Facts) {
			f.System.UUID, f.Board.Serial, f.BMC.MAC, f.System.Serial = "4c4c4544-0000-4810-8052-aaaaaaaaaaaa", "CN0000000099", "d0:94:66:00:99:99", "To be filled by O.E.M."
			f.NICs = nil
		}, MatchQuestion, "disk"},
		{"only the serial could be read", func(f *Facts) { *f = Facts{System: SystemFacts{Serial: f.System.Serial}} }, MatchQuestion, "system serial"},
		{"only a network card could be read", func(f *Facts) { *f = Facts{NICs: f.NICs[:1]} }, MatchQuestion, "network card"},
		{"a new machine", func(f *Facts) { *f = server(77) }, MatchNew, ""},
		{"a new machine with an old disk", func(f *Facts) { old := f.Disks[0]; *f = server(77); f.Disks[0] = old }, MatchNew, ""},
		{"a new machine with an old network card", func(f *Facts) { old := f.NICs[0]; *f = server(77); f.NICs[0] = old }, MatchNew, ""},
		{"a machine that says nothing", func(f *Facts) { *f = Facts{} }, MatchNew, ""},
		{"a machine full of junk", func(f *Facts) {
			*f = Facts{System: SystemFacts{Serial: "Default string", UUID: "03000200-0400-0500-0006-000700080009"}}
		}, MatchNew, ""},
	} {
		f := server(1)
		test.change(&f)
		v := Match(Evidence(f), onRecord())
		want := deviceOf(1)
		if test.kind == MatchNew {
			want = ""
		}
		if v.Kind != test.kind || v.Device != want || !strings.Contains(v.Sentence(), test.sentence) {
			t.Errorf("%s: %s %s %q, of %+v", test.what, v.Kind, v.Device, v.Sentence(), v.Ranked)
		}
	}
}

// TestTypedSerial: what was typed from a packing list finds the machine as a question, also with a typing error; never as a certainty.
func TestTypedSerial(t *testing.T) {
	expected := []Candidate{
		{deviceOf(1), []Identity{{IDSystemSerial, "790H8D2"}}},
		{deviceOf(2), []Identity{{IDSystemSerial, "791H8D2"}}},
	}
	for _, serial := range []string{"790H8D2", "79OH8D2", " 790h8d2"} {
		f := server(1)
		f.System.Serial, f.Chassis.Serial = serial, ""
		if v := Match(Evidence(f), expected); v.Kind != MatchQuestion || v.Device != deviceOf(1) {
			t.Errorf("%q: %s %s", serial, v.Kind, v.Device)
		}
	}
	f := server(1)
	f.System.Serial = "ZZZZZZ9"
	if v := Match(Evidence(f), expected); v.Kind != MatchNew {
		t.Errorf("another serial: %+v", v)
	}
}

// TestSameJunkSerialStaysTwo: of machines that share a serial or a UUID that no list knows, none is taken for another.
func TestSameJunkSerialStaysTwo(t *testing.T) {
	for what, share := range map[string]func(f *Facts){
		"a listed serial":   func(f *Facts) { f.System.Serial, f.Chassis.Serial = "Default string", "Default string" },
		"an unknown serial": func(f *Facts) { f.System.Serial, f.Chassis.Serial = "SMC-2U-BATCH", "SMC-2U-BATCH" },
		"one UUID":          func(f *Facts) { f.System.UUID = "d1b2c3d4-0001-0002-0003-000400050006" },
	} {
		var known []Candidate
		for n := range 4 {
			f := server(n)
			share(&f)
			v := Match(Evidence(f), known)
			if v.Kind == MatchSame {
				t.Errorf("%s: machine %d is taken for %s: %s", what, n, v.Device, v.Sentence())
			}
			if what != "one UUID" && v.Kind != MatchNew {
				t.Errorf("%s: machine %d raises a question: %s", what, n, v.Sentence())
			}
			known = append(known, Candidate{deviceOf(n), Evidence(f)})
		}
		for n := range 4 {
			f := server(n)
			share(&f)
			if v := Match(Evidence(f), known); v.Kind != MatchSame || v.Device != deviceOf(n) {
				t.Errorf("%s: machine %d is not known again: %s %s %q", what, n, v.Kind, v.Device, v.Sentence())
			}
		}
	}
}

// TestSharedValuesWeighLess: a serial that many devices have does not make rivals of them for the one that has a UUID of its own.
func TestSharedValuesWeighLess(t *testing.T) {
	batch := Identity{IDSystemSerial, "SMC-2U-BATCH"}
	own := Identity{IDSystemUUID, "4c4c4544-0039-3010-8048-b7c04f380001"}
	candidates := []Candidate{{deviceOf(1), []Identity{own, batch}}, {deviceOf(2), []Identity{batch}}, {deviceOf(3), []Identity{batch}}}
	if v := Match([]Identity{own, batch}, candidates); v.Kind != MatchSame || v.Device != deviceOf(1) {
		t.Errorf("%s %s: %+v", v.Kind, v.Device, v.Ranked)
	}
}

// TestMatchProperties: the order of evidence and of candidates does not matter; a machine is not the same as two; junk and hostile bytes
// decide nothing and break nothing.
func TestMatchProperties(t *testing.T) {
	kinds := []IdentifierKind{IDTPM, IDSystemUUID, IDBMCMAC, IDBoardSerial, IDSystemSerial, IDChassisSerial, IDNICMAC, IDDiskWWN, IDDiskSerial, IDDIMMSerial, "unheard of"}
	identity := rapid.Custom(func(t *rapid.T) Identity {
		kind := rapid.SampledFrom(kinds).Draw(t, "kind")
		value := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"790H8D2", "79OH8D2", "CZ3407M8CD", "none", "d0:94:66:00:01:02", "d0:94:66:00:01:03",
			"4c4c4544-0039-3010-8048-b7c04f380001", "4445444c-3900-1030-8048-b7c04f380001", "naa.5002538d00000001"})).Draw(t, "value")
		return Identity{kind, value}
	})
	rapid.Check(t, func(t *rapid.T) {
		seen := rapid.SliceOfN(identity, 0, 8).Draw(t, "seen")
		var candidates []Candidate
		for i := range rapid.IntRange(0, 4).Draw(t, "candidates") {
			candidates = append(candidates, Candidate{deviceOf(i), rapid.SliceOfN(identity, 0, 8).Draw(t, "evidence")})
		}
		v := Match(seen, candidates)
		slices.Reverse(seen)
		slices.Reverse(candidates)
		if again := Match(seen, candidates); again.Kind != v.Kind || again.Device != v.Device {
			t.Fatalf("%s %s became %s %s in another order", v.Kind, v.Device, again.Kind, again.Device)
		}
		if (v.Kind == MatchNew) != (v.Device == "") || (v.Kind == MatchNew) != (v.Sentence() == "") {
			t.Fatalf("%+v says %q", v, v.Sentence())
		}
		if v.Kind == MatchSame {
			twin := append(slices.Clone(candidates), Candidate{deviceOf(99), candidateOf(candidates, v.Device).Evidence})
			if w := Match(seen, twin); w.Kind == MatchSame {
				t.Fatalf("of two devices with the same evidence, %s was chosen", w.Device)
			}
		}
	})
}

func candidateOf(candidates []Candidate, device UID) Candidate {
	for _, c := range candidates {
		if c.Device == device {
			return c
		}
	}
	return Candidate{}
}

// TestEvidenceIsBounded: a machine that says very much is heard out to a limit.
func TestEvidenceIsBounded(t *testing.T) {
	var f Facts
	for i := range 5000 {
		f.Disks = append(f.Disks, DiskFacts{Serial: fmt.Sprintf("SERIAL%06dX", i), WWN: strings.Repeat("a1", 5000)})
	}
	f.System.UUID = "4c4c4544-0039-3010-8048-b7c04f380001"
	got := Evidence(f)
	if len(got) != maxEvidence || got[0].Kind != IDSystemUUID {
		t.Errorf("%d pieces, the first %v", len(got), got[0])
	}
	for _, id := range got {
		if len(id.Value) > maxEvidenceValue {
			t.Errorf("a value of %d bytes", len(id.Value))
		}
	}
}

// TestEvidence: what does not stay with a machine is no evidence, and each piece comes once.
func TestEvidence(t *testing.T) {
	f := Facts{
		System: SystemFacts{Serial: " 790h8d2 "},
		NICs:   []NICFacts{{MAC: "D0:94:66:00:10:01"}, {MAC: "d0-94-66-00-10-01"}, {MAC: "02:00:00:00:00:07", Driver: "cdc_ether"}},
		Disks:  []DiskFacts{{Serial: "S3Z8NB0K0001"}, {Serial: "STICK000001", Transport: "usb"}},
		BMC:    &BMCFacts{MAC: "00:00:00:00:00:00"},
	}
	want := []Identity{{IDSystemSerial, "790H8D2"}, {IDNICMAC, "d0:94:66:00:10:01"}, {IDDiskSerial, "S3Z8NB0K0001"}}
	if got := Evidence(f); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
