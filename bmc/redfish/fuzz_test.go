package redfish

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/bmc"
)

// FuzzNode reads any document as each kind of resource.
func FuzzNode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no trees: %v", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var resources map[string]json.RawMessage
		if json.Unmarshal(raw, &resources) == nil {
			for _, r := range resources {
				f.Add([]byte(r))
			}
		}
	}
	f.Add([]byte(`{"Boot": 1, "CapacityBytes": 1e999, "Identifiers": [{"DurableName": {}}], "Members": {"a": []}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		n, err := decode(bytes.NewReader(raw))
		if err != nil {
			return
		}
		disk := diskOf(n)
		if disk.SizeBytes < 0 || disk.LifeLeftPercent != nil && (*disk.LifeLeftPercent < 0 || *disk.LifeLeftPercent > 100) {
			t.Errorf("a disk of %d bytes with %v %% left", disk.SizeBytes, disk.LifeLeftPercent)
		}
		for _, want := range []bmc.Boot{bmc.Once(bmc.BootPXE, bmc.BootModeUEFI), {Device: bmc.BootNone}, {Device: bmc.BootDisk, Persistent: true}} {
			bodies, err := overrides(n.obj("Boot"), want, quirk{alwaysMode: true})
			if err == nil && len(bodies) == 0 {
				t.Error("nothing to write, and no error")
			}
		}
		_ = readBoot(n.obj("Boot"))
		for _, link := range append(n.links("Members"), n.link("Links", "Sessions")) {
			if checkPath(link) == nil && (!strings.HasPrefix(link, "/redfish/") || strings.Contains(link, "..")) {
				t.Errorf("the link %q was taken", link)
			}
		}
		if mac := macOf(n, "MACAddress"); mac != "" && len(mac) != 17 {
			t.Errorf("the address %q", mac)
		}
		_, _, _, _ = n.slot(), n.small("TotalCores"), n.truth("Inserted"), n.words("MediaTypes")
	})
}

func TestEachQuirkHasItsReason(t *testing.T) {
	for _, q := range quirkTable {
		if q.vendor == "" || q.vendor != strings.ToLower(q.vendor) || q.reason == "" || q.evidence == "" {
			t.Errorf("a row without vendor, reason or evidence: %+v", q)
		}
		if got := quirksOf("The "+strings.ToUpper(q.vendor)+" Company", "X1"); got == (quirk{}) {
			t.Errorf("the row for %q does not apply to it", q.vendor)
		}
	}
	if got := quirksOf("Lenovo", "SR630"); got != (quirk{}) {
		t.Errorf("a vendor without a row has %+v", got)
	}
}

func TestAddressesOfPorts(t *testing.T) {
	for said, want := range map[string]string{
		"E4:43:4B:0A:00:10": "e4:43:4b:0a:00:10", "e4-43-4b-0a-00-10": "e4:43:4b:0a:00:10", "18C04D000010": "18:c0:4d:00:00:10",
		"00:00:00:00:00:00": "", "ff:ff:ff:ff:ff:ff": "", "01:00:5e:00:00:01": "", "": "", "N/A": "", "e4:43:4b:0a:00": "",
		"e4:43:4b:0a:00:10:11:12": "", "e4:43:4b:0a:00:10 and more": "",
	} {
		if got := cleanMAC(said); got != want {
			t.Errorf("%q is %q, want %q", said, got, want)
		}
	}
}
