//go:build linux

package disk

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"berth/storage"
)

// at makes a reply of n bytes with some parts set.
func reply(n int, parts map[int]string) []byte {
	b := make([]byte, n)
	for i, s := range parts {
		copy(b[i:], s)
	}
	return b
}

func designate(codeSet, association, kind byte, value string) string {
	return string([]byte{codeSet, association<<4 | kind, 0, byte(len(value))}) + value
}

func vpd(page byte, content string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0, page}, uint16(len(content)))
	return append(b, content...)
}

// TestDecodeIdentity decodes replies made after those of real disks: their padding, byte order and oddities.
func TestDecodeIdentity(t *testing.T) {
	ata := reply(512, map[int]string{20: swap("     WD-WCC4E1234567"), 54: swap("WDC WD40EFRX-68WT0N0                    "), 216: swap("\x50\x01\x4e\xe2\x61\x23\x45\x67")})
	binary.LittleEndian.PutUint16(ata[174:], 0x4163)
	noWWN := append([]byte{}, ata...)
	binary.LittleEndian.PutUint16(noWWN[174:], 0x4063)
	eui := "\x00\x25\x38\x5b\x71\xb0\x0a\x3c"
	for _, tt := range []struct {
		name string
		got  identity
		want identity
	}{
		{"NVMe controller", decodeNVMeController(reply(4096, map[int]string{4: "S4EWNX0R123456      ", 24: "Samsung SSD 970 EVO Plus 1TB            "})),
			identity{serial: "S4EWNX0R123456", model: "Samsung SSD 970 EVO Plus 1TB"}},
		{"NVMe controller, cut", decodeNVMeController(make([]byte, 20)), identity{}},
		{"NVMe namespace with EUI64", decodeNVMeNamespace(reply(4096, map[int]string{120: eui})), identity{wwn: "eui.0025385b71b00a3c"}},
		{"NVMe namespace with NGUID", decodeNVMeNamespace(reply(4096, map[int]string{104: "\x36\x34\x47\x30\x4d\x10\x00\x11" + eui, 120: eui})),
			identity{wwn: "eui.363447304d1000110025385b71b00a3c"}},
		{"NVMe namespace with neither", decodeNVMeNamespace(make([]byte, 4096)), identity{}},
		{"NVMe descriptors", decodeNVMeDescriptors([]byte("\x01\x08\x00\x00" + eui + "\x03\x10\x00\x00" + sixteen + strings.Repeat("\x00", 64))), identity{wwn: "uuid." + sixteenUUID}},
		{"NVMe descriptors, length lies", decodeNVMeDescriptors([]byte("\x03\xff\x00\x00abc")), identity{}},
		{"INQUIRY of SAS", decodeInquiry(reply(96, map[int]string{8: "SEAGATE ", 16: "ST4000NM0023    "})), identity{model: "SEAGATE ST4000NM0023"}},
		{"INQUIRY of SATA", decodeInquiry(reply(96, map[int]string{8: "ATA     ", 16: "WDC WD40EFRX-68W"})), identity{model: "WDC WD40EFRX-68W"}},
		{"serial page", decodeVPDSerial(vpd(0x80, "   Z1Z0ABCD0000R612XXXX")), identity{serial: "Z1Z0ABCD0000R612XXXX"}},
		{"serial page of a bridge", decodeVPDSerial(vpd(0x80, "000000000000")), identity{}},
		{"another page", decodeVPDSerial(vpd(0x00, "\x00\x80\x83")), identity{}},
		{"serial page, length lies", decodeVPDSerial([]byte{0, 0x80, 0xff, 0xff, 'A', 'B'}), identity{serial: "AB"}},
		{"names: of the unit, not of its port", decodeVPDNames(vpd(0x83,
			designate(1, 1, 3, "\x50\x00\xc5\x00\x11\x11\x11\x11")+designate(1, 0, 3, "\x50\x00\xc5\x00\xa1\xb2\xc3\xd4")+designate(1, 2, 3, "\x50\x00\xc5\x00\x22\x22\x22\x22"))),
			identity{wwn: "naa.5000c500a1b2c3d4"}},
		{"names: the long NAA wins", decodeVPDNames(vpd(0x83, designate(1, 0, 3, "\x50\x00\xc5\x00\xa1\xb2\xc3\xd4")+designate(1, 0, 3, "\x60"+sixteen[1:]))),
			identity{wwn: "naa.6002030405060708090a0b0c0d0e0f10"}},
		{"names: T10 vendor id is no WWN", decodeVPDNames(vpd(0x83, designate(2, 0, 1, "ATA     WDC WD40"))), identity{}},
		{"names: text", decodeVPDNames(vpd(0x83, designate(3, 0, 8, "naa.5000C500A1B2C3D4\x00\x00\x00\x00"))), identity{wwn: "naa.5000c500a1b2c3d4"}},
		{"names: length lies", decodeVPDNames(vpd(0x83, "\x01\x03\x00\xff\x50")), identity{}},
		{"ATA", decodeATAIdentify(ata), identity{serial: "WD-WCC4E1234567", model: "WDC WD40EFRX-68WT0N0", wwn: "naa.50014ee261234567"}},
		{"ATA without a WWN", decodeATAIdentify(noWWN), identity{serial: "WD-WCC4E1234567", model: "WDC WD40EFRX-68WT0N0"}},
		{"ATA, cut", decodeATAIdentify(ata[:511]), identity{}},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, tt.got, tt.want)
		}
	}
}

func swap(s string) string { return string(swapped([]byte(s))) }

func FuzzIdentity(f *testing.F) {
	f.Add(vpd(0x83, designate(1, 0, 3, "\x50\x00\xc5\x00\xa1\xb2\xc3\xd4")))
	f.Add(vpd(0x80, "ABC"))
	f.Add([]byte("\x01\x08\x00\x00abcdefgh\x03\x10\x00\x00" + sixteen))
	f.Add(make([]byte, 4096))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, decode := range []func([]byte) identity{decodeNVMeController, decodeNVMeNamespace, decodeNVMeDescriptors,
			decodeInquiry, decodeVPDSerial, decodeVPDNames, decodeATAIdentify} {
			id := decode(b)
			for _, s := range []string{id.serial, id.wwn, id.model} {
				for _, c := range s {
					if c < 0x20 || c > 0x7e {
						t.Fatalf("%q in %+v", c, id)
					}
				}
			}
		}
	})
}

// TestStructSizes holds the layouts that the kernel expects.
func TestStructSizes(t *testing.T) {
	if n := unsafe.Sizeof(nvmeCommand{}); n != 72 {
		t.Errorf("struct nvme_admin_cmd has 72 bytes, not %d", n)
	}
	if n := unsafe.Sizeof(sgHeader{}); n != 88 {
		t.Errorf("struct sg_io_hdr has 88 bytes, not %d", n)
	}
}

// sysTree makes the tree that a recording in testdata describes: "path = value" is a file, "path -> target" a link.
func sysTree(t *testing.T, recording string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", recording))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, target, isLink := strings.Cut(line, " -> ")
		if !isLink {
			name, target, _ = strings.Cut(line, " = ")
		}
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if isLink {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(target+"\n"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestList(t *testing.T) {
	yes, no := true, false
	for _, tt := range []struct {
		recording string
		loop      bool
		want      []Found
	}{
		{"virtio.txt", false, []Found{
			{Name: "vda", Disk: storage.Disk{Serial: "VD0001", Size: 274877906944, BlockSize: 512, Path: "/dev/vda", Transport: storage.TransportVirtio, Rotational: &yes}},
		}},
		{"server.txt", true, []Found{
			{Name: "loop1", Disk: storage.Disk{Size: 104857600, BlockSize: 512, Path: "/dev/loop1", Transport: storage.TransportLoop, Rotational: &no}},
			{Name: "nvme0n1", Disk: storage.Disk{Serial: "S4EWNX0R123456", WWN: "eui.0025385b71b00a3c", Model: "Samsung SSD 970 EVO Plus 1TB", Size: 1000204886016,
				BlockSize: 512, Path: "/dev/nvme0n1", Transport: storage.TransportNVMe, Rotational: &no}},
			{Name: "sda", Disk: storage.Disk{WWN: "naa.50014ee261234567", Model: "WDC WD40EFRX-68W", Size: 4000787030016, BlockSize: 512, Path: "/dev/sda",
				Transport: storage.TransportSATA, Rotational: &yes}},
			{Name: "sdb", Disk: storage.Disk{WWN: "naa.5000c500a1b2c3d4", Model: "ST4000NM0023", Size: 4000787030016, BlockSize: 512, Path: "/dev/sdb",
				Transport: storage.TransportSAS, Rotational: &yes}},
			{Name: "sdc", Disk: storage.Disk{Model: "USB Flash", Size: 8004304896, BlockSize: 512, Path: "/dev/sdc", Transport: storage.TransportUSB, Rotational: &yes}, Removable: true},
			{Name: "sdd", Disk: storage.Disk{WWN: "naa.5002538e40123456", Model: "SAMSUNG MZ7LH480", Size: 480103981056, BlockSize: 4096, Path: "/dev/sdd",
				Transport: storage.TransportSATA, Rotational: &no}, ReadOnly: true},
		}},
	} {
		got, err := List(t.Context(), ListOptions{Sys: sysTree(t, tt.recording), Loop: tt.loop})
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(tt.want) {
			t.Errorf("%s: %d disks, want %d: %+v", tt.recording, len(got), len(tt.want), got)
			continue
		}
		for i := range got {
			if !reflect.DeepEqual(got[i], tt.want[i]) {
				t.Errorf("%s: got %+v (rotational %v)\nwant %+v", tt.recording, got[i], *got[i].Rotational, tt.want[i])
			}
		}
	}
}

func TestListMissing(t *testing.T) {
	if _, err := List(t.Context(), ListOptions{Sys: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a machine without sysfs has disks")
	}
}

// TestRecordedReplies decodes what disks answered in a virtual machine that was told their serials and WWNs.
func TestRecordedReplies(t *testing.T) {
	text, err := os.ReadFile("testdata/replies.txt")
	if err != nil {
		t.Fatal(err)
	}
	decoders := map[string]func([]byte) identity{"ctrl": decodeNVMeController, "desc": decodeNVMeDescriptors, "ns": decodeNVMeNamespace,
		"inq": decodeInquiry, "vpd80": decodeVPDSerial, "vpd83": decodeVPDNames, "ata": decodeATAIdentify}
	sizes := map[string]int{"ctrl": 4096, "desc": 4096, "ns": 4096, "inq": 96, "vpd80": 256, "vpd83": 1024, "ata": 512}
	got := map[string]identity{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if f[0] == "#" {
			continue
		}
		b, err := hex.DecodeString(f[2])
		if err != nil {
			t.Fatal(err)
		}
		padded := make([]byte, sizes[f[1]])
		copy(padded, b)
		got[f[0]+" "+f[1]] = decoders[f[1]](padded)
	}
	for key, want := range map[string]identity{
		"nvme0n1 ctrl": {serial: "NVME-SER-1", model: "QEMU NVMe Ctrl"},
		"nvme0n1 ns":   {}, // this disk has no lasting name
		"nvme0n1 desc": {},
		"sda inq":      {model: "QEMU QEMU HARDDISK"},
		"sda vpd80":    {serial: "SCSI-SER-1"},
		"sda vpd83":    {wwn: "naa.5000c500a1b2c3d4"},
		"sdb vpd83":    {},
		"sdc inq":      {model: "TESTDISK"},
		"sdc vpd80":    {serial: "SATA-SER-1"},
		"sdc vpd83":    {wwn: "naa.50014ee261234567"},
		"sdc ata":      {serial: "SATA-SER-1", model: "TESTDISK", wwn: "naa.50014ee261234567"},
		"sdd vpd80":    {serial: "USB-SER-1"},
	} {
		if have, ok := got[key]; !ok || have != want {
			t.Errorf("%s: got %+v, want %+v", key, have, want)
		}
	}
}
