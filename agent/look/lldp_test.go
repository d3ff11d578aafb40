package look

import (
	"encoding/hex"
	"strings"
	"testing"

	"berth/inventory"
)

// frame is an LLDP frame from its hexadecimal fields.
func frame(t testing.TB, fields ...string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(strings.ReplaceAll("0180c200000e 525400aabbcc 88cc"+strings.Join(fields, ""), " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

const (
	chassisMAC = "0207 04 001122334455"
	portName   = "0408 05 45746831322f31" // interface name Eth12/1
	timeToLive = "0602 0078"
	sysName    = "0a06 6c6561662d31"   // leaf-1
	portText   = "0804 75706c6b"       // uplk
	vlan100    = "fe06 0080c2 01 0064" // port VLAN 100
	endOfFrame = "0000"
	tagged     = "0180c200000e 525400aabbcc 8100 0005 88cc"
)

func TestParseLLDP(t *testing.T) {
	for name, c := range map[string]struct {
		raw  []byte
		want inventory.NeighborFacts
	}{
		"a switch": {
			frame(t, chassisMAC, portName, timeToLive, portText, sysName, vlan100, endOfFrame),
			inventory.NeighborFacts{ChassisID: "00:11:22:33:44:55", PortID: "Eth12/1", PortDescription: "uplk", SystemName: "leaf-1", VLAN: 100},
		},
		"no end": {
			frame(t, chassisMAC, portName, timeToLive),
			inventory.NeighborFacts{ChassisID: "00:11:22:33:44:55", PortID: "Eth12/1"},
		},
		"addresses": {
			frame(t, "0206 05 01 0a000001", "0407 03 aabbccddeeff", timeToLive),
			inventory.NeighborFacts{ChassisID: "10.0.0.1", PortID: "aa:bb:cc:dd:ee:ff"},
		},
		"text that is none": {
			frame(t, "0204 07 0102ff", "0403 07 4131", timeToLive),
			inventory.NeighborFacts{ChassisID: "0102ff", PortID: "A1"},
		},
	} {
		got, err := ParseLLDP(c.raw)
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	raw, _ := hex.DecodeString(strings.ReplaceAll(tagged+chassisMAC+portName+timeToLive, " ", ""))
	if got, err := ParseLLDP(raw); err != nil || got.PortID != "Eth12/1" {
		t.Errorf("tagged: %+v, %v", got, err)
	}
}

func TestParseLLDPRefuses(t *testing.T) {
	for name, raw := range map[string][]byte{
		"nothing":       nil,
		"short":         {1, 2, 3},
		"another kind":  append(make([]byte, 12), 0x08, 0x00),
		"field too big": frame(t, "0230 04 0011"),
		"no port":       frame(t, chassisMAC, timeToLive),
		"giant":         make([]byte, LLDPFrameLimit+1),
	} {
		if got, err := ParseLLDP(raw); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func FuzzLLDP(f *testing.F) {
	f.Add(frame(f, chassisMAC, portName, timeToLive, portText, sysName, vlan100, endOfFrame))
	f.Add(frame(f, "0206 05 01 0a000001", "0403 07 4131"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		n, err := ParseLLDP(raw)
		if err == nil {
			checkStrings(t, inventory.Facts{NICs: []inventory.NICFacts{{LLDP: &n}}})
		}
	})
}
