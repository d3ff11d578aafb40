package look

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"berth/inventory"
)

// checkStrings asserts of every string in a report what its reader may rely on: bounded, valid, no control characters.
func checkStrings(t *testing.T, f inventory.Facts) {
	t.Helper()
	raw, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			if len(v) > textLimit || !utf8.ValidString(v) || text(v) != v {
				t.Errorf("string %q", v)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(tree)
}

func TestIsPCIAddress(t *testing.T) {
	for name, want := range map[string]bool{
		"0000:3b:00.1": true, "10000:01:00.0": true, "0000:3b:00": false, "virtio1": false, "nvme0": false, "0000:3b:00.1x": false, "": false, "pci0000:00": false,
	} {
		if got := isPCIAddress(name); got != want {
			t.Errorf("isPCIAddress(%q) = %t", name, got)
		}
	}
}

func TestATAVerdict(t *testing.T) {
	descriptor := func(mid, high byte) []byte {
		s := make([]byte, 22)
		s[0], s[7], s[8], s[9], s[17], s[19] = 0x72, 14, 0x09, 12, mid, high
		return s
	}
	fixed := func(mid, high byte) []byte {
		s := make([]byte, 18)
		s[0], s[10], s[11] = 0x70, mid, high
		return s
	}
	for name, c := range map[string]struct {
		sense         []byte
		passed, fails bool
	}{
		"passed":             {descriptor(0x4f, 0xc2), true, false},
		"failed":             {descriptor(0xf4, 0x2c), false, false},
		"passed, fixed":      {fixed(0x4f, 0xc2), true, false},
		"failed, fixed":      {fixed(0xf4, 0x2c), false, false},
		"means nothing":      {descriptor(1, 2), false, true},
		"nothing":            {nil, false, true},
		"cut":                {descriptor(0x4f, 0xc2)[:15], false, true},
		"another descriptor": {[]byte{0x72, 0, 0, 0, 0, 0, 0, 4, 0x00, 2, 0, 0}, false, true},
	} {
		passed, err := ataVerdict(c.sense)
		if passed != c.passed || (err != nil) != c.fails {
			t.Errorf("%s: %t, %v", name, passed, err)
		}
	}
}

func FuzzATAVerdict(f *testing.F) {
	f.Add([]byte{0x72, 0, 0, 0, 0, 0, 0, 14, 0x09, 12, 0, 0, 0, 0, 0, 0, 0, 0x4f, 0, 0xc2, 0, 0})
	f.Fuzz(func(_ *testing.T, sense []byte) { ataVerdict(sense) })
}

func TestJudgeBMCDevice(t *testing.T) {
	// A Dell iDRAC: firmware 2.63, IPMI 2.0, enterprise 674.
	got := judgeBMCDevice([]byte{0x20, 0x01, 0x02, 0x63, 0x02, 0xdf, 0xa2, 0x02, 0x00, 0x00, 0x01, 0, 0, 0, 0})
	if got == nil || *got != (inventory.BMCFacts{Manufacturer: "Dell", Firmware: "2.63", IPMIVersion: "2.0"}) {
		t.Errorf("BMC %+v", got)
	}
	if got := judgeBMCDevice([]byte{0x20, 1, 2}); got != nil {
		t.Errorf("a cut answer is %+v", got)
	}
	for reply, want := range map[string]string{"\x11\x0a\x00\x00\x07": "10.0.0.7", "\x11\x00\x00\x00\x00": "", "\x11": "", "": ""} {
		if got := lanAddress([]byte(reply)); got != want {
			t.Errorf("lanAddress(%x) = %q", reply, got)
		}
	}
}

func TestPublicArea(t *testing.T) {
	reply := append([]byte{0x80, 0x01, 0, 0, 0, 18, 0, 0, 0, 0, 0, 4}, "key!nm"...)
	if got, err := publicArea(reply); err != nil || string(got) != "key!" {
		t.Errorf("%q, %v", got, err)
	}
	refused := append([]byte{}, reply...)
	refused[8] = 1
	for name, raw := range map[string][]byte{"refused": refused, "cut": reply[:14], "nothing": nil, "no key": {0x80, 1, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0}} {
		if got, err := publicArea(raw); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// bay is a machine of words only.
func bay(entries map[string]string) *Recording {
	r := &Recording{entries: map[string][]byte{}}
	for name, value := range entries {
		r.entries[name] = []byte(value)
	}
	return r
}

func TestSlot(t *testing.T) {
	s := bay(map[string]string{
		"dir/sys/block/sda/device":           "block\nenclosure_device:Slot 05\nvendor",
		"dir/sys/block/nvme0n1/device":       "model\nserial",
		"link/sys/block/nvme0n1":             "../devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/nvme/nvme0/nvme0n1",
		"dir/sys/bus/pci/slots":              "160\n161",
		"file/sys/bus/pci/slots/160/address": "0000:3c:00\n",
		"file/sys/bus/pci/slots/161/address": "0000:3b:00\n",
		"dir/sys/block/sdb/device":           "vendor",
		"link/sys/block/sdb":                 "../devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sdb",
	})
	for name, want := range map[string]string{"sda": "Slot 05", "nvme0n1": "161", "sdb": "", "gone": ""} {
		if got := slot(s, name); got != want {
			t.Errorf("slot of %s is %q, want %q", name, got, want)
		}
	}
}
