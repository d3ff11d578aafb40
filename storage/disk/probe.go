package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"berth/storage"
)

// The limits of one examination.
const (
	maxPartitions = 256
	maxFindings   = 512
	// headSize reaches over everything that is looked for at the beginning of a disk or partition: the last is the
	// end of the first ZFS label.
	headSize = 256 << 10
)

// prober collects what is found. Reading goes on after an error, because what lies behind it may matter more.
type prober struct {
	ctx     context.Context
	r       io.ReaderAt
	size    int64
	sector  int
	content storage.Content
}

func probe(ctx context.Context, r io.ReaderAt, size int64, sector int) storage.Content {
	p := &prober{ctx: ctx, r: r, size: size, sector: sector}
	p.region(0, 0, size)
	for _, part := range p.table() {
		p.region(part.number, part.offset, part.size)
	}
	p.remainder()
	return p.content
}

// note records a reading error, the first of which is told.
func (p *prober) note(err error) {
	if err != nil && p.content.Incomplete == "" {
		p.content.Incomplete = fmt.Sprintf("reading the disk failed: %v", err)
	}
}

func (p *prober) add(f storage.Finding) {
	if len(p.content.Findings) >= maxFindings {
		p.note(fmt.Errorf("more than %d findings", maxFindings))
		return
	}
	p.content.Findings = append(p.content.Findings, f)
}

// read returns n bytes at an offset, shortened at the end of the disk; nil when there are none.
func (p *prober) read(at, n int64) []byte {
	if at < 0 || at >= p.size || n <= 0 {
		return nil
	}
	if err := p.ctx.Err(); err != nil {
		p.note(err)
		return nil
	}
	b := make([]byte, min(n, p.size-at))
	got, err := p.r.ReadAt(b, at)
	if err != nil && !errors.Is(err, io.EOF) {
		p.note(err)
	}
	return b[:got]
}

// table finds the partition table and returns its partitions.
func (p *prober) table() []partition {
	for _, sector := range []int{p.sector, 512, 4096} {
		for _, lba := range []uint64{1, uint64(p.size/int64(sector)) - 1} {
			g, err := readGPT(p.r, p.size, sector, lba)
			if err != nil {
				if !errors.Is(err, errNoGPT) && !errors.Is(err, io.EOF) {
					p.note(err)
				}
				continue
			}
			p.add(storage.Finding{Kind: storage.KindTable, Type: "gpt", UUID: g.guid(), Partitions: g.usedCount()})
			return limit(g.partitions(p.size))
		}
	}
	head := p.read(0, 512)
	m, ok := readMBR(head)
	if !ok || isFilesystem(head) {
		return nil
	}
	parts := mbrPartitions(p.r, p.size, p.sector, m)
	used := 0
	for _, e := range m {
		if !e.empty() {
			used++
		}
	}
	p.add(storage.Finding{Kind: storage.KindTable, Type: "mbr", UUID: mbrUUID(head), Partitions: max(used, len(parts))})
	return limit(parts)
}

func limit(parts []partition) []partition { return parts[:min(len(parts), maxPartitions)] }

// remainder looks for data that nothing so far explains: anything but zero in the first and the last MiB, where a
// partition table without partitions explains itself.
func (p *prober) remainder() {
	var skipHead, skipTail int64
	for _, f := range p.content.Findings {
		if f.Kind != storage.KindTable || f.Partitions > 0 {
			return
		}
		skipHead, skipTail = 512, 0
		if f.Type == "gpt" {
			// Both copies with 128 entries, whichever sector size the table was made for.
			skipHead, skipTail = 6*4096, 5*4096
		}
	}
	head, tail := p.read(skipHead, storage.MiB-skipHead), []byte(nil)
	if p.size > storage.MiB {
		tail = p.read(p.size-storage.MiB, storage.MiB-skipTail)
	}
	for _, b := range [][]byte{head, tail} {
		if len(bytes.Trim(b, "\x00")) > 0 {
			p.add(storage.Finding{Kind: storage.KindUnknown})
			return
		}
	}
}

// signature is a magic number at a fixed place and where label and UUID stand.
type signature struct {
	kind  storage.Kind
	name  string
	at    int64 // in bytes from the beginning, or if negative from the end
	magic string
	// uuid and label are offsets from at; 0 is none.
	uuid, label, labelLen int64
}

const (
	fs    = storage.KindFilesystem
	other = storage.KindOther
)

var signatures = []signature{
	{kind: fs, name: "xfs", magic: "XFSB", uuid: 32, label: 108, labelLen: 12},
	{kind: fs, name: "btrfs", at: 0x10040, magic: "_BHRfS_M", uuid: -0x20, label: 0xeb, labelLen: 256},
	{kind: fs, name: "btrfs", at: 64<<20 + 0x40, magic: "_BHRfS_M", uuid: -0x20, label: 0xeb, labelLen: 256},
	{kind: fs, name: "iso9660", at: 0x8001, magic: "CD001", label: 39, labelLen: 32},
	{kind: fs, name: "udf", at: 0x8001, magic: "BEA01"},
	{kind: fs, name: "f2fs", at: 1024, magic: "\x10\x20\xf5\xf2", uuid: 108},
	{kind: fs, name: "jfs", at: 0x8000, magic: "JFS1", uuid: 136, label: 152, labelLen: 16},
	{kind: fs, name: "reiserfs", at: 0x10034, magic: "ReIsEr"},
	{kind: fs, name: "hfsplus", at: 1024, magic: "H+\x00\x04"},
	{kind: fs, name: "hfsx", at: 1024, magic: "HX\x00\x05"},
	{kind: fs, name: "apfs", at: 32, magic: "NXSB", uuid: 40},
	{kind: fs, name: "squashfs", magic: "hsqs"},
	{kind: fs, name: "erofs", at: 1024, magic: "\xe2\xe1\xf5\xe0", uuid: 48, label: 64, labelLen: 16},
	{kind: fs, name: "bcachefs", at: 4096 + 24, magic: "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef"},
	{kind: fs, name: "gfs2", at: 64 << 10, magic: "\x01\x16\x19\x70\x00\x00\x00\x01"},
	{kind: fs, name: "ocfs2", at: 8192, magic: "OCFSV2"},
	{kind: fs, name: "ufs2", at: 64<<10 + 1372, magic: "\x19\x01\x54\x19"},
	{kind: storage.KindSwap, name: "swap", at: 4096 - 10, magic: "SWAPSPACE2", uuid: 1036 - 4086, label: 1052 - 4086, labelLen: 16},
	{kind: storage.KindSwap, name: "swap", at: 16384 - 10, magic: "SWAPSPACE2", uuid: 1036 - 16374, label: 1052 - 16374, labelLen: 16},
	{kind: storage.KindSwap, name: "swap", at: 65536 - 10, magic: "SWAPSPACE2", uuid: 1036 - 65526, label: 1052 - 65526, labelLen: 16},
	{kind: storage.KindSwap, name: "hibernation", at: 4096 - 10, magic: "S1SUSPEND"},
	{kind: other, name: "a bcache device", at: 4096 + 24, magic: "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", uuid: 16},
	{kind: other, name: "a VMFS volume", at: 1 << 20, magic: "\x0d\xd0\x01\xc0"},
	{kind: other, name: "a Stratis pool member", at: 512 + 4, magic: "!Stra0tis\x86\xff\x02^\x41rh"},
	{kind: other, name: "a VDO volume", magic: "dmvdo001"},
	{kind: other, name: "a BitLocker volume", at: 3, magic: "-FVE-FS-"},
	{kind: other, name: "a member of an Intel firmware RAID", at: -1024, magic: "Intel Raid ISM Cfg Sig. "},
	{kind: other, name: "a member of a DDF RAID", at: -512, magic: "\xde\x11\xde\x11"},
	{kind: other, name: "a member of a DDF RAID", at: -512, magic: "\x11\xde\x11\xde"},
	{kind: other, name: "a LUKS header backup", at: 0x4000, magic: "SKUL\xba\xbe"},
	{kind: other, name: "a LUKS header backup", at: 0x8000, magic: "SKUL\xba\xbe"},
}

// region is the window through which one partition, or the whole disk, is looked at.
type region struct {
	p          *prober
	part       int
	base, size int64
	head       []byte
	findings   []storage.Finding
}

// region examines one partition; number 0 is the whole disk.
func (p *prober) region(number int, base, size int64) {
	size = min(size, p.size-base)
	if size <= 0 {
		return
	}
	r := &region{p: p, part: number, base: base, size: size, head: p.read(base, min(headSize, size))}
	for _, look := range []func(){r.ceph, r.luks, r.lvm, r.md, r.zfs, r.ext, r.fat, r.plain} {
		look()
	}
	for _, f := range r.findings {
		p.add(f)
	}
}

// at returns n bytes at an offset of the region, from the head where it reaches; nil if they are not all there.
func (r *region) at(offset, n int64) []byte {
	if offset < 0 {
		offset += r.size
	}
	if offset < 0 || offset > r.size-n {
		return nil
	}
	if offset+n <= int64(len(r.head)) {
		return r.head[offset : offset+n]
	}
	b := r.p.read(r.base+offset, n)
	if int64(len(b)) < n {
		return nil
	}
	return b
}

// is reports whether the magic stands at the offset.
func (r *region) is(offset int64, magic string) bool {
	return string(r.at(offset, int64(len(magic)))) == magic
}

// found records a finding at an offset of the region. The same thing found twice, by a copy of it, counts once.
func (r *region) found(f storage.Finding, offset int64) {
	if offset < 0 {
		offset += r.size
	}
	f.Partition, f.Offset, f.Label = r.part, r.base+offset, printable(f.Label)
	for _, g := range r.findings {
		if g.Kind == f.Kind && g.Type == f.Type && (g.UUID == f.UUID || f.UUID == "") {
			return
		}
	}
	r.findings = append(r.findings, f)
}

func (r *region) uuid(offset int64) string {
	b := r.at(offset, 16)
	if b == nil || bytes.Equal(b, make([]byte, 16)) {
		return ""
	}
	return formatUUID(b)
}

func (r *region) label(offset, n int64) string { return cstring(r.at(offset, n)) }

func cstring(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return strings.TrimSpace(string(b))
}

// printable keeps a label from a disk short and free of control characters and broken UTF-8.
func printable(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < 0x20 || c == 0x7f || c == '\uFFFD' {
			return -1
		}
		return c
	}, s)
	return strings.ToValidUTF8(s[:min(len(s), 256)], "")
}

// plain works through the table of signatures.
func (r *region) plain() {
	for _, s := range signatures {
		if !r.is(s.at, s.magic) {
			continue
		}
		f := storage.Finding{Kind: s.kind, Type: s.name}
		if s.uuid != 0 {
			f.UUID = r.uuid(s.at + s.uuid)
		}
		if s.label != 0 {
			f.Label = r.label(s.at+s.label, s.labelLen)
		}
		r.found(f, s.at)
	}
}

// ext tells ext2, 3 and 4 apart by their features, as the kernel does.
func (r *region) ext() {
	b := r.at(1024, 264)
	if b == nil || b[56] != 0x53 || b[57] != 0xef {
		return
	}
	le := binary.LittleEndian
	compat, incompat, rocompat := le.Uint32(b[92:]), le.Uint32(b[96:]), le.Uint32(b[100:])
	name := "ext2"
	switch {
	case incompat&0x8 != 0:
		name = "ext journal"
	case incompat&^0x16 != 0 || rocompat&^0x7 != 0:
		name = "ext4"
	case compat&0x4 != 0:
		name = "ext3"
	}
	f := storage.Finding{Kind: fs, Type: name, Label: cstring(b[120:136])}
	if !bytes.Equal(b[104:120], make([]byte, 16)) {
		f.UUID = formatUUID(b[104:120])
	}
	r.found(f, 1024)
}

// fat finds FAT, exFAT and NTFS by their boot sectors.
func (r *region) fat() {
	name := fatType(r.head)
	f := storage.Finding{Kind: fs, Type: name}
	serial := func(at int) string {
		return fmt.Sprintf("%04X-%04X", binary.LittleEndian.Uint16(r.head[at+2:]), binary.LittleEndian.Uint16(r.head[at:]))
	}
	switch name {
	case "":
		return
	case "vfat":
		at := 39
		if binary.LittleEndian.Uint16(r.head[22:]) == 0 { // FAT32
			at = 67
		}
		f.UUID, f.Label = serial(at), strings.TrimSpace(cstring(r.head[at+4:at+15]))
		if f.Label == "NO NAME" {
			f.Label = ""
		}
	case "exfat":
		f.UUID = serial(100)
	case "ntfs":
		f.UUID = fmt.Sprintf("%016X", binary.LittleEndian.Uint64(r.head[72:]))
	}
	r.found(f, 0)
}

// lvm finds the label of an LVM2 physical volume, which may stand in any of the first four sectors.
func (r *region) lvm() {
	for sector := range int64(4) {
		b := r.at(sector*512, 512)
		if b == nil || string(b[:8]) != "LABELONE" || string(b[24:32]) != "LVM2 001" {
			continue
		}
		id := ""
		if at := binary.LittleEndian.Uint32(b[20:]); at <= 512-32 {
			id = lvmUUID(b[at : at+32])
		}
		r.found(storage.Finding{Kind: storage.KindLVM, Type: "lvm2", UUID: id}, sector*512)
	}
}

func lvmUUID(b []byte) string {
	s := printable(string(b))
	if len(s) != 32 {
		return ""
	}
	return strings.Join([]string{s[:6], s[6:10], s[10:14], s[14:18], s[18:22], s[22:26], s[26:]}, "-")
}

// md finds the superblock of a Linux software RAID: 1.1 at the beginning, 1.2 after 4 KiB, 1.0 and 0.90 near the end.
func (r *region) md() {
	const magic = "\xfc\x4e\x2b\xa9"
	for _, v := range []struct {
		name string
		at   int64
	}{{"1.1", 0}, {"1.2", 4096}, {"1.0", (r.size - 8192) &^ 4095}} {
		b := r.at(v.at, 96)
		if v.at >= 0 && b != nil && string(b[:4]) == magic && binary.LittleEndian.Uint32(b[4:]) == 1 {
			r.found(storage.Finding{Kind: storage.KindMD, Type: v.name, UUID: formatUUID(b[16:32]), Label: cstring(b[32:64])}, v.at)
		}
	}
	at := r.size&^0xffff - 0x10000
	if b := r.at(at, 64); at >= 0 && b != nil && string(b[:4]) == magic && binary.LittleEndian.Uint32(b[4:]) == 0 {
		id := append(append([]byte{}, b[20:24]...), b[52:64]...)
		r.found(storage.Finding{Kind: storage.KindMD, Type: "0.90", UUID: formatUUID(id)}, at)
	}
}

// luks finds an encrypted volume of either version.
func (r *region) luks() {
	b := r.at(0, 208)
	if b == nil || string(b[:6]) != "LUKS\xba\xbe" {
		return
	}
	version := binary.BigEndian.Uint16(b[6:])
	f := storage.Finding{Kind: storage.KindLUKS, Type: fmt.Sprint(version), UUID: printable(cstring(b[168:208]))}
	if version == 2 {
		f.Label = cstring(b[24:72])
	}
	r.found(f, 0)
}

// ceph finds a BlueStore label, or one of the copies that newer releases keep further back.
func (r *region) ceph() {
	for _, at := range []int64{0, 1 * storage.GiB, 10 * storage.GiB, 100 * storage.GiB, 1000 * storage.GiB} {
		if b := r.at(at, 4096); b != nil && bytes.HasPrefix(b, []byte(blueStoreMagic)) {
			osd := decodeBlueStore(b)
			r.found(storage.Finding{Kind: storage.KindCeph, Type: "bluestore", UUID: osd.FSID, OSD: &osd}, at)
		}
	}
}

const blueStoreMagic = "bluestore block device\n"

// decodeBlueStore reads what identifies an OSD in a BlueStore label: 60 bytes of text, then the encoded
// bluestore_bdev_label_t (src/os/bluestore/bluestore_types.h), whose map of strings holds whoami and ceph_fsid. The map
// holds the OSD's secret key as well, which is skipped here and never leaves the disk.
func decodeBlueStore(b []byte) storage.OSD {
	var osd storage.OSD
	if len(b) < 60 {
		return osd
	}
	osd.FSID = printable(strings.TrimSpace(cstring(b[len(blueStoreMagic) : len(blueStoreMagic)+36])))
	c := cursor{b[60:]}
	c.skip(1 + 1 + 4 + 16 + 8 + 8) // version, compat, length, osd uuid, size, birth time
	c.str()                        // description
	for range min(c.u32(), 64) {
		key, value := c.str(), c.str()
		switch key {
		case "whoami":
			var id int
			if _, err := fmt.Sscanf(value, "%d", &id); err == nil && id >= 0 {
				osd.ID = &id
			}
		case "ceph_fsid":
			osd.Cluster = printable(value)
		}
	}
	return osd
}

// cursor reads little-endian numbers and counted strings; past the end it yields zero and "".
type cursor struct{ b []byte }

func (c *cursor) skip(n int) { c.b = c.b[min(n, len(c.b)):] }

func (c *cursor) u32() uint32 {
	if len(c.b) < 4 {
		c.b = nil
		return 0
	}
	v := binary.LittleEndian.Uint32(c.b)
	c.b = c.b[4:]
	return v
}

func (c *cursor) str() string {
	n := c.u32()
	if uint64(n) > uint64(len(c.b)) {
		c.b = nil
		return ""
	}
	s := string(c.b[:n])
	c.b = c.b[n:]
	return s
}

// zfs looks at the four labels of a pool member, two at each end. Each is 256 KiB: a list of names and values after
// 16 KiB, and from 128 KiB a ring of uberblocks, one of which with its magic number is the evidence.
func (r *region) zfs() {
	const label = 256 << 10
	aligned := r.size &^ (label - 1)
	for _, at := range []int64{0, label, aligned - 2*label, aligned - label} {
		if at < 0 || aligned < 4*label {
			continue
		}
		b := r.at(at, label)
		if b == nil || !hasUberblock(b[label/2:]) {
			continue
		}
		name, guid := zfsNames(b[16<<10 : 128<<10])
		r.found(storage.Finding{Kind: storage.KindZFS, Type: "zfs", Label: name, UUID: guid}, at)
		return
	}
}

// hasUberblock looks for 00bab10ch, as a 64-bit number of either order, at every place an uberblock can begin.
func hasUberblock(ring []byte) bool {
	for at := 0; at+8 <= len(ring); at += 1024 {
		if binary.LittleEndian.Uint64(ring[at:]) == 0x00bab10c || binary.BigEndian.Uint64(ring[at:]) == 0x00bab10c {
			return true
		}
	}
	return false
}

// zfsNames reads pool name and GUID from the XDR form of the label's list (RFC 4506): after a header of 12 bytes, pairs
// of encoded size, decoded size, name, type, number of elements, and value.
func zfsNames(b []byte) (name, guid string) {
	be := binary.BigEndian
	for at := 12; at+12 <= len(b); {
		size := int(be.Uint32(b[at:]))
		if size < 24 || size > len(b)-at {
			return name, guid
		}
		pair := b[at+8 : at+size]
		at += size
		n := int(be.Uint32(pair))
		padded := (n + 3) &^ 3
		if n > 64 || 4+padded+8 > len(pair) {
			continue
		}
		key, kind, value := string(pair[4:4+n]), be.Uint32(pair[4+padded:]), pair[4+padded+8:]
		switch {
		case key == "name" && kind == 9 && len(value) >= 4 && int64(be.Uint32(value)) <= int64(len(value)-4):
			name = string(value[4 : 4+be.Uint32(value)])
		case key == "pool_guid" && kind == 8 && len(value) >= 8:
			guid = hex.EncodeToString(value[:8])
		}
	}
	return name, guid
}
