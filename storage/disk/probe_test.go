//go:build linux

package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"berth/storage"
)

// patch is bytes at an offset; a negative offset counts from the end.
type patch struct {
	at int64
	b  string
}

// patched is a disk of this size in bytes that is zero but for the patches. Reading is counted.
type patched struct {
	size    int64
	patches []patch
	fail    int64 // an offset that cannot be read; 0 is none
	read    int64
}

func (p *patched) ReadAt(b []byte, off int64) (int, error) {
	p.read += int64(len(b))
	if p.fail != 0 && off <= p.fail && p.fail < off+int64(len(b)) {
		return 0, errors.New("medium error")
	}
	clear(b)
	for _, x := range p.patches {
		at := x.at
		if at < 0 {
			at += p.size
		}
		overlay(b, off, []byte(x.b), at)
	}
	return len(b), nil
}

func le32(v uint32) string { return string(binary.LittleEndian.AppendUint32(nil, v)) }
func be32(v uint32) string { return string(binary.BigEndian.AppendUint32(nil, v)) }
func lstr(s string) string { return le32(uint32(len(s))) + s }

var sixteen = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"

const sixteenUUID = "01020304-0506-0708-090a-0b0c0d0e0f10"

// blueStoreLabel is a label as ceph-osd writes it.
func blueStoreLabel(fsid, cluster, whoami string) string {
	body := sixteen + strings.Repeat("\x00", 16) + lstr("main") + le32(4) +
		lstr("ceph_fsid") + lstr(cluster) + lstr("osd_key") + lstr("AQBsecret==") + lstr("ready") + lstr("ready") + lstr("whoami") + lstr(whoami)
	return blueStoreMagic + fsid + "\n" + "\x02\x01" + le32(uint32(len(body))) + body
}

func xdrPair(name string, kind uint32, value string) string {
	pad := strings.Repeat("\x00", (4-len(name)%4)%4)
	body := be32(uint32(len(name))) + name + pad + be32(kind) + be32(1) + value
	return be32(uint32(len(body)+8)) + be32(0) + body
}

// TestProbeSignatures looks at each kind of content, as its bytes stand on a disk.
func TestProbeSignatures(t *testing.T) {
	const size = 100 << 20
	osdFSID, cluster := "a3b1c5d7-0000-4000-8000-000000000001", "c1c1c1c1-0000-4000-8000-000000000002"
	seven := 7
	luks := "LUKS\xba\xbe\x00\x02" + strings.Repeat("\x00", 16) + "vault" + strings.Repeat("\x00", 168-29) + sixteenUUID
	zfsList := "\x01\x01\x00\x00" + be32(0) + be32(1) + xdrPair("version", 8, "\x00\x00\x00\x00\x00\x00\x13\x88") +
		xdrPair("name", 9, be32(4)+"tank") + xdrPair("pool_guid", 8, "\x11\x22\x33\x44\x55\x66\x77\x88")
	md := func(minor string) string {
		return "\xfc\x4e\x2b\xa9" + le32(1) + le32(0) + le32(0) + sixteen + "host:data" + strings.Repeat("\x00", 64)
	}
	for _, tt := range []struct {
		name    string
		patches []patch
		want    []storage.Finding
	}{
		{"blank", nil, nil},
		{"unknown data at the beginning", []patch{{600, "x"}}, []storage.Finding{{Kind: storage.KindUnknown}}},
		{"unknown data at the end", []patch{{-3, "x"}}, []storage.Finding{{Kind: storage.KindUnknown}}},
		{"xfs", []patch{{0, "XFSB"}, {32, sixteen}, {108, "data"}}, []storage.Finding{{Kind: fs, Type: "xfs", UUID: sixteenUUID, Label: "data"}}},
		{"btrfs", []patch{{0x10040, "_BHRfS_M"}, {0x10020, sixteen}, {0x1012b, "pool"}},
			[]storage.Finding{{Kind: fs, Type: "btrfs", UUID: sixteenUUID, Label: "pool", Offset: 0x10040}}},
		{"btrfs with its first superblock gone", []patch{{64<<20 + 0x40, "_BHRfS_M"}, {64<<20 + 0x20, sixteen}},
			[]storage.Finding{{Kind: fs, Type: "btrfs", UUID: sixteenUUID, Offset: 64<<20 + 0x40}}},
		{"iso9660", []patch{{0x8001, "CD001"}, {0x8028, "DEBIAN 12       "}}, []storage.Finding{{Kind: fs, Type: "iso9660", Label: "DEBIAN 12", Offset: 0x8001}}},
		{"swap of 4 KiB pages", []patch{{4086, "SWAPSPACE2"}, {1036, sixteen}, {1052, "swap"}},
			[]storage.Finding{{Kind: storage.KindSwap, Type: "swap", UUID: sixteenUUID, Label: "swap", Offset: 4086}}},
		{"swap of 64 KiB pages", []patch{{65526, "SWAPSPACE2"}, {1036, sixteen}},
			[]storage.Finding{{Kind: storage.KindSwap, Type: "swap", UUID: sixteenUUID, Offset: 65526}}},
		{"LVM in sector 1", []patch{{512, "LABELONE"}, {512 + 20, le32(32)}, {512 + 24, "LVM2 001"}, {512 + 32, "abcdefGHIJklmnOPQRstuvWXYZ012345"}},
			[]storage.Finding{{Kind: storage.KindLVM, Type: "lvm2", UUID: "abcdef-GHIJ-klmn-OPQR-stuv-WXYZ-012345", Offset: 512}}},
		{"md 1.2", []patch{{4096, md("2")}}, []storage.Finding{{Kind: storage.KindMD, Type: "1.2", UUID: sixteenUUID, Label: "host:data", Offset: 4096}}},
		{"md 1.1", []patch{{0, md("1")}}, []storage.Finding{{Kind: storage.KindMD, Type: "1.1", UUID: sixteenUUID, Label: "host:data"}}},
		{"md 1.0", []patch{{size - 8192, md("0")}}, []storage.Finding{{Kind: storage.KindMD, Type: "1.0", UUID: sixteenUUID, Label: "host:data", Offset: size - 8192}}},
		{"md 0.90", []patch{{size - 0x10000, "\xfc\x4e\x2b\xa9" + le32(0)}, {size - 0x10000 + 20, sixteen[:4]}, {size - 0x10000 + 52, sixteen[4:]}},
			[]storage.Finding{{Kind: storage.KindMD, Type: "0.90", UUID: sixteenUUID, Offset: size - 0x10000}}},
		{"LUKS 2", []patch{{0, luks}}, []storage.Finding{{Kind: storage.KindLUKS, Type: "2", UUID: sixteenUUID, Label: "vault"}}},
		{"LUKS 2, second header only", []patch{{0x4000, "SKUL\xba\xbe"}}, []storage.Finding{{Kind: other, Type: "a LUKS header backup", Offset: 0x4000}}},
		{"ZFS, last label only", []patch{{size - 256<<10 + 16<<10, zfsList}, {size - 128<<10, "\x0c\xb1\xba\x00\x00\x00\x00\x00"}},
			[]storage.Finding{{Kind: storage.KindZFS, Type: "zfs", Label: "tank", UUID: "1122334455667788", Offset: size - 256<<10}}},
		{"BlueStore", []patch{{0, blueStoreLabel(osdFSID, cluster, "7")}},
			[]storage.Finding{{Kind: storage.KindCeph, Type: "bluestore", UUID: osdFSID, OSD: &storage.OSD{FSID: osdFSID, ID: &seven, Cluster: cluster}}}},
		{"BlueStore cut after its first line", []patch{{0, blueStoreMagic + osdFSID + "\n"}},
			[]storage.Finding{{Kind: storage.KindCeph, Type: "bluestore", UUID: osdFSID, OSD: &storage.OSD{FSID: osdFSID}}}},
		{"NTFS", []patch{{3, "NTFS    "}, {72, "\x01\x02\x03\x04\x05\x06\x07\x08"}, {510, "\x55\xaa"}},
			[]storage.Finding{{Kind: fs, Type: "ntfs", UUID: "0807060504030201"}}},
		{"Intel RAID", []patch{{-1024, "Intel Raid ISM Cfg Sig. 1.3.00"}},
			[]storage.Finding{{Kind: other, Type: "a member of an Intel firmware RAID", Offset: size - 1024}}},
		{"an MBR without partitions", []patch{{440, "\x78\x56\x34\x12"}, {510, "\x55\xaa"}}, []storage.Finding{{Kind: storage.KindTable, Type: "mbr", UUID: "12345678"}}},
		{"a mark that is no table", []patch{{450, "junk"}, {446, "\x13"}, {510, "\x55\xaa"}}, []storage.Finding{{Kind: storage.KindUnknown}}},
		{"a protective MBR without its GPT", []patch{{446, "\x00\x00\x02\x00\xee\xff\xff\xff\x01\x00\x00\x00\xff\xff\x00\x00"}, {510, "\x55\xaa"}},
			[]storage.Finding{{Kind: storage.KindTable, Type: "mbr", UUID: "00000000", Partitions: 1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &patched{size: size, patches: tt.patches}
			c := probe(t.Context(), d, size, 512)
			if !reflect.DeepEqual(c.Findings, tt.want) || c.Incomplete != "" {
				t.Errorf("got %+v\nwant %+v", c, tt.want)
			}
			if strings.Contains(fmt.Sprintf("%+v", c), "secret") {
				t.Error("the key of the OSD was read out")
			}
			if d.read > 6<<20 {
				t.Errorf("%d bytes were read", d.read)
			}
		})
	}
}

// TestProbeFarLabel finds a BlueStore label's copy where the first was wiped.
func TestProbeFarLabel(t *testing.T) {
	d := &patched{size: 4e12, patches: []patch{{1000 * storage.GiB, blueStoreLabel("a3b1c5d7-0000-4000-8000-000000000001", "c", "0")}}}
	if osds := probe(t.Context(), d, d.size, 4096).OSDs(); len(osds) != 1 || osds[0].ID == nil || *osds[0].ID != 0 {
		t.Errorf("got %v", osds)
	}
}

func TestProbeUnreadable(t *testing.T) {
	d := &patched{size: 100 << 20, fail: 70000, patches: []patch{{size100 - 8192, "\xfc\x4e\x2b\xa9" + le32(1) + strings.Repeat("\x00", 100)}}}
	c := probe(t.Context(), d, d.size, 512)
	if !strings.Contains(c.Incomplete, "medium error") || !c.Foreign() || len(c.Findings) != 1 {
		t.Errorf("got %+v", c)
	}
}

const size100 = 100 << 20

// TestProbeReal lets the system's own tools make what is then found, in partitions of a real table.
func TestProbeReal(t *testing.T) {
	for _, label := range []string{"gpt", "dos"} {
		file := sparse(t, "real.img", size100)
		tool(t, "sfdisk")
		cmd := exec.Command("sfdisk", "--no-tell-kernel", "-q", file)
		script := "label: " + label + "\nstart=1MiB, size=10MiB\nstart=11MiB, size=10MiB\nstart=21MiB, size=10MiB\n"
		if label == "dos" {
			script += "start=31MiB, size=60MiB, type=5\nstart=32MiB, size=10MiB\nstart=43MiB, size=10MiB\n"
		} else {
			script += "start=32MiB, size=10MiB\nstart=43MiB, size=10MiB\n"
		}
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("sfdisk: %v\n%s", err, out)
		}
		for _, make := range [][]string{
			{"mkfs.ext4", "-q", "-L", "root", "-U", sixteenUUID, "-E", "offset=1048576", file, "10240k"},
			{"mkfs.ext2", "-q", "-L", "boot", "-E", "offset=11534336", file, "10240k"},
			{"mkfs.ext3", "-q", "-L", "home", "-E", "offset=22020096", file, "10240k"},
		} {
			run(t, make[0], make[1:]...)
		}
		inject(t, file, 32<<20, "mkfs.vfat", "-n", "EFI", "-i", "1234ABCD")
		inject(t, file, 43<<20, "mkswap", "-L", "swap", "-U", sixteenUUID)
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var got []string
		c := probe(t.Context(), f, size100, 512)
		for _, x := range c.Findings {
			got = append(got, fmt.Sprintf("%d %s %s %q %v", x.Partition, x.Kind, x.Type, x.Label, x.UUID != ""))
		}
		first := 4
		if label == "dos" {
			first = 5
		}
		want := []string{
			map[string]string{"gpt": `0 table gpt "" true`, "dos": `0 table mbr "" true`}[label],
			`1 filesystem ext4 "root" true`, `2 filesystem ext2 "boot" true`, `3 filesystem ext3 "home" true`,
			fmt.Sprintf(`%d filesystem vfat "EFI" true`, first), fmt.Sprintf(`%d swap swap "swap" true`, first+1),
		}
		if !reflect.DeepEqual(got, want) || c.Incomplete != "" {
			t.Errorf("%s: got %q\nwant %q", label, got, want)
		}
	}
}

// inject runs a tool on a file of 10 MiB and copies that into the disk.
func inject(t *testing.T, disk string, at int64, name string, args ...string) {
	t.Helper()
	part := sparse(t, "part.img", 10<<20)
	run(t, name, append(args, part)...)
	b, err := os.ReadFile(part)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// TestProbeBackupTable finds a GPT of which only the backup is left.
func TestProbeBackupTable(t *testing.T) {
	m := oldDisk(t)
	clear(m.b[:mib])
	c := probe(t.Context(), bytes.NewReader(m.b), int64(len(m.b)), 512)
	if c.TableUUID() != "6d2a1b9c-1111-4222-8333-444455556666" || !c.Foreign() {
		t.Errorf("got %+v", c)
	}
}

func FuzzProbe(f *testing.F) {
	f.Add([]byte(blueStoreLabel("a3b1c5d7-0000-4000-8000-000000000001", "c", "7")), []byte("tail"), int64(2<<20))
	f.Add(rawImage(f, "gpt", 512)[:20<<10], []byte{}, int64(40<<20))
	f.Add(rawImage(f, "dos", 512)[:512], []byte{}, int64(40<<20))
	f.Add([]byte{}, bytes.Repeat([]byte("\x0c\xb1\xba\x00\x00\x00\x00\x00"), 8192), int64(8<<20))
	f.Fuzz(func(t *testing.T, head, tail []byte, size int64) {
		if size < 512 || size > 1<<41 {
			return
		}
		d := &patched{size: size, patches: []patch{{0, string(head)}, {size - int64(len(tail)), string(tail)}}}
		c := probe(t.Context(), d, size, 512)
		if len(c.Findings) > maxFindings {
			t.Errorf("%d findings", len(c.Findings))
		}
		if d.read > 400<<20 {
			t.Errorf("%d bytes were read", d.read)
		}
		for _, f := range c.Findings {
			if strings.ContainsAny(f.Label, "\n\x1b\x00") || strings.ContainsAny(f.UUID, "\n\x1b\x00") {
				t.Errorf("control characters in %+v", f)
			}
		}
		nonZero := len(bytes.Trim(head[:min(len(head), int(min(size, 512)))], "\x00")) > 0
		if nonZero && c.Empty() {
			t.Error("a disk whose first sector is not zero is called empty")
		}
	})
}
