package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"berth/storage"
)

// Partition tables: GPT (UEFI 2.10, chapter 5) and MBR. They are read for two purposes, to look into the partitions of
// a disk that is examined, and to append the seed partition to an image's table before it is written.

const (
	gptSignature  = "EFI PART"
	gptMinHeader  = 92
	gptMinEntry   = 128
	gptMaxEntries = 1024
	gptMaxTable   = 512 << 10 // bytes of all entries
	mbrEntries    = 446
	mbrSignature  = 510
	mbrProtective = 0xee
)

// partition is one entry of a table, in bytes.
type partition struct {
	number       int
	offset, size int64
}

// gpt is a checked GUID partition table.
type gpt struct {
	sector  int
	header  []byte // the header's own bytes, as long as it says
	entries []byte
	stride  int // bytes per entry
}

func (g *gpt) u64(at int) uint64      { return binary.LittleEndian.Uint64(g.header[at:]) }
func (g *gpt) put64(at int, v uint64) { binary.LittleEndian.PutUint64(g.header[at:], v) }
func (g *gpt) guid() string           { return formatGUID(g.header[56:72]) }
func (g *gpt) firstUsable() uint64    { return g.u64(40) }
func (g *gpt) count() int             { return len(g.entries) / g.stride }
func (g *gpt) entry(i int) []byte     { return g.entries[i*g.stride : (i+1)*g.stride] }
func (g *gpt) used(i int) bool        { return !bytes.Equal(g.entry(i)[:16], make([]byte, 16)) }
func (g *gpt) span(i int) (a, b uint64) {
	e := g.entry(i)
	return binary.LittleEndian.Uint64(e[32:]), binary.LittleEndian.Uint64(e[40:])
}

// entrySectors returns how many sectors the entries take.
func (g *gpt) entrySectors() uint64 {
	return uint64((len(g.entries) + g.sector - 1) / g.sector)
}

var errNoGPT = errors.New("no valid GUID partition table")

// readGPT reads and checks the table whose header is at sector lba of a disk of this size in bytes.
func readGPT(r io.ReaderAt, size int64, sector int, lba uint64) (*gpt, error) {
	sectors := uint64(size / int64(sector))
	if lba == 0 || lba >= sectors {
		return nil, errNoGPT
	}
	b := make([]byte, sector)
	if _, err := r.ReadAt(b, int64(lba)*int64(sector)); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(b[12:])
	if string(b[:8]) != gptSignature || length < gptMinHeader || length > uint32(sector) {
		return nil, errNoGPT
	}
	g := &gpt{sector: sector, header: b[:length]}
	if headerCRC(g.header) != binary.LittleEndian.Uint32(b[16:]) || g.u64(24) != lba {
		return nil, errNoGPT
	}
	return g, g.readEntries(r, sectors)
}

func (g *gpt) readEntries(r io.ReaderAt, sectors uint64) error {
	lba, count, stride := g.u64(72), binary.LittleEndian.Uint32(g.header[80:]), binary.LittleEndian.Uint32(g.header[84:])
	total := uint64(count) * uint64(stride)
	switch {
	case stride < gptMinEntry || stride&(stride-1) != 0, count == 0 || count > gptMaxEntries, total > gptMaxTable:
		return errNoGPT
	case lba < 2 || lba >= sectors || total > (sectors-lba)*uint64(g.sector):
		return errNoGPT
	}
	g.stride, g.entries = int(stride), make([]byte, total)
	if _, err := r.ReadAt(g.entries, int64(lba)*int64(g.sector)); err != nil {
		return err
	}
	if crc32.ChecksumIEEE(g.entries) != binary.LittleEndian.Uint32(g.header[88:]) {
		return errNoGPT
	}
	return nil
}

// headerCRC returns the checksum of a header, in which its own field counts as zero.
func headerCRC(header []byte) uint32 {
	h := bytes.Clone(header)
	clear(h[16:20])
	return crc32.ChecksumIEEE(h)
}

// partitions returns those that lie on a disk of this size in bytes.
func (g *gpt) partitions(size int64) []partition {
	var out []partition
	for i := range g.count() {
		a, b := g.span(i)
		if !g.used(i) || a > b || b >= uint64(size/int64(g.sector)) {
			continue
		}
		out = append(out, partition{number: i + 1, offset: int64(a) * int64(g.sector), size: int64(b-a+1) * int64(g.sector)})
	}
	return out
}

// usedCount returns how many entries are in use, whether or not they make sense.
func (g *gpt) usedCount() int {
	n := 0
	for i := range g.count() {
		if g.used(i) {
			n++
		}
	}
	return n
}

// mbrEntry is one of the four entries of a master boot record.
type mbrEntry struct {
	kind         byte
	first, count uint32
}

// readMBR returns the entries of a boot sector, if it is a plausible master boot record.
func readMBR(b []byte) ([4]mbrEntry, bool) {
	var m [4]mbrEntry
	if len(b) < 512 || b[mbrSignature] != 0x55 || b[mbrSignature+1] != 0xaa {
		return m, false
	}
	for i := range m {
		e := b[mbrEntries+16*i:]
		if e[0]&0x7f != 0 { // the flag is 0 or 80h; anything else is a filesystem's boot code
			return m, false
		}
		m[i] = mbrEntry{kind: e[4], first: binary.LittleEndian.Uint32(e[8:]), count: binary.LittleEndian.Uint32(e[12:])}
	}
	return m, true
}

func mbrUUID(b []byte) string { return fmt.Sprintf("%08x", binary.LittleEndian.Uint32(b[440:])) }

func (e mbrEntry) empty() bool    { return e.kind == 0 || e.count == 0 }
func (e mbrEntry) extended() bool { return e.kind == 0x05 || e.kind == 0x0f || e.kind == 0x85 }

// mbrPartitions returns primary and logical partitions. The chain of extended boot records is followed for 64 links.
func mbrPartitions(r io.ReaderAt, size int64, sector int, m [4]mbrEntry) []partition {
	var out []partition
	add := func(number int, base uint64, e mbrEntry) {
		p := partition{number: number, offset: int64(base+uint64(e.first)) * int64(sector), size: int64(e.count) * int64(sector)}
		if !e.empty() && p.offset < size && p.size <= size-p.offset {
			out = append(out, p)
		}
	}
	for i, e := range m {
		if !e.extended() {
			add(i+1, 0, e)
			continue
		}
		base, at := uint64(e.first), uint64(e.first)
		b := make([]byte, 512)
		for n := range 64 {
			if _, err := r.ReadAt(b, int64(at)*int64(sector)); err != nil {
				break
			}
			link, ok := readMBR(b)
			if !ok {
				break
			}
			add(5+n, at, link[0])
			if link[1].empty() {
				break
			}
			at = base + uint64(link[1].first)
		}
	}
	return out
}

// layout is how an image lies on a disk: what is written last at both ends, and where the seed goes.
type layout struct {
	diskSize int64
	sector   int
	// kind is gpt, mbr or "" for an image without a partition table.
	kind string
	uuid string
	// edited is set when the table written is not that of the image byte for byte.
	edited bool
	// seedOffset and seedNumber are 0 without a seed.
	seedOffset int64
	seedNumber int

	gpt *gpt
	mbr []byte // the edited boot sector, if the table is an MBR and edited
}

// newLayout reads the partition table from the first MiB of an image (or as much as there is) of this size in bytes,
// and plans it for a disk: the backup of a GPT goes to the end of the disk, and with a seed a partition is appended.
func newLayout(head []byte, imageSize, diskSize int64, sector int, seed bool) (*layout, error) {
	l := &layout{diskSize: diskSize, sector: sector}
	if seed {
		l.seedOffset = (diskSize&^(storage.MiB-1) - storage.MiB) - storage.SeedSize
	}
	room := diskSize
	if seed {
		room = l.seedOffset
	}
	if imageSize > room || diskSize < 4*storage.MiB {
		return nil, fmt.Errorf("an image of %d bytes on a disk of %d bytes, of which %d are free for it: %w", imageSize, diskSize, room, ErrTooSmall)
	}
	g, err := readGPT(bytes.NewReader(head), int64(len(head)), sector, 1)
	if err == nil {
		l.kind, l.gpt, l.uuid = "gpt", g, g.guid()
		return l, l.planGPT(head, imageSize, seed)
	}
	if err := otherSectorSize(head, sector); err != nil {
		return nil, err
	}
	m, ok := readMBR(head)
	if ok && !isFilesystem(head) {
		return l, l.planMBR(head, m, imageSize, seed)
	}
	if seed {
		return nil, fmt.Errorf("the image has no partition table to append the seed to: %w", ErrTable)
	}
	return l, nil
}

// otherSectorSize refuses an image whose GPT was made for disks of another logical block size: the firmware would not
// find it.
func otherSectorSize(head []byte, sector int) error {
	other := 512
	if sector == 512 {
		other = 4096
	}
	if g, err := readGPT(bytes.NewReader(head), int64(len(head)), other, 1); err == nil {
		return fmt.Errorf("the image is made for disks with blocks of %d bytes, this one has %d: %w", g.sector, sector, ErrTable)
	}
	if m, ok := readMBR(head); ok && m[0].kind == mbrProtective {
		return fmt.Errorf("the image's GUID partition table is damaged: %w", ErrTable)
	}
	return nil
}

func isFilesystem(head []byte) bool {
	return len(head) >= 512 && fatType(head) != ""
}

// planGPT moves the backup table to the end of the disk and appends the seed. Nothing else of the table changes.
func (l *layout) planGPT(head []byte, imageSize int64, seed bool) error {
	g := l.gpt
	sectors := uint64(l.diskSize / int64(l.sector))
	lastUsable := sectors - 2 - g.entrySectors()
	for i := range g.count() {
		if a, b := g.span(i); g.used(i) && (a > b || a < g.firstUsable() || b > lastUsable || seed && b >= uint64(l.seedOffset)/uint64(l.sector)) {
			return fmt.Errorf("partition %d of the image does not fit on the disk: %w", i+1, ErrTable)
		}
	}
	if uint64(g.u64(72))*uint64(l.sector)+uint64(len(g.entries)) > uint64(len(head)) {
		return fmt.Errorf("the image's partition entries lie outside of its first MiB: %w", ErrTable)
	}
	if seed {
		if err := l.appendGPT(lastUsable); err != nil {
			return err
		}
	}
	l.edited = seed || imageSize != l.diskSize
	if !l.edited {
		return nil
	}
	g.put64(32, sectors-1) // the backup header
	g.put64(48, lastUsable)
	binary.LittleEndian.PutUint32(g.header[88:], crc32.ChecksumIEEE(g.entries))
	return nil
}

// basicData is EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, the type of partitions with a FAT filesystem, as stored.
var basicData = []byte{0xa2, 0xa0, 0xd0, 0xeb, 0xe5, 0xb9, 0x33, 0x44, 0x87, 0xc0, 0x68, 0xb6, 0xb7, 0x26, 0x99, 0xc7}

// appendGPT takes the entry after the last used one, so that no partition of the image changes its number.
func (l *layout) appendGPT(lastUsable uint64) error {
	g, slot := l.gpt, 0
	for i := range g.count() {
		if g.used(i) {
			slot = i + 1
		}
	}
	first := uint64(l.seedOffset) / uint64(l.sector)
	last := first + uint64(storage.SeedSize)/uint64(l.sector) - 1
	switch {
	case slot >= g.count():
		return fmt.Errorf("the image's partition table has no entry free for the seed: %w", ErrTable)
	case first < g.firstUsable() || last > lastUsable:
		return fmt.Errorf("no room for the seed between sectors %d and %d: %w", g.firstUsable(), lastUsable, ErrTable)
	}
	e := g.entry(slot)
	copy(e, basicData)
	copy(e[16:32], seedGUID(g.header[56:72]))
	binary.LittleEndian.PutUint64(e[32:], first)
	binary.LittleEndian.PutUint64(e[40:], last)
	for i, c := range seedLabel {
		binary.LittleEndian.PutUint16(e[56+2*i:], uint16(c))
	}
	l.seedNumber = slot + 1
	return nil
}

// planMBR appends the seed in a free primary entry. Without a seed an MBR needs no change.
func (l *layout) planMBR(head []byte, m [4]mbrEntry, imageSize int64, seed bool) error {
	l.kind, l.uuid = "mbr", mbrUUID(head)
	if !seed {
		return nil
	}
	return l.appendMBR(head, m, imageSize)
}

func (l *layout) appendMBR(head []byte, m [4]mbrEntry, imageSize int64) error {
	if limit := int64(1<<32) * int64(l.sector); l.diskSize > limit {
		l.seedOffset = limit - storage.SeedSize // the table cannot say more
	}
	if imageSize > l.seedOffset {
		return fmt.Errorf("an image of %d bytes leaves no room for the seed where an MBR can point to it: %w", imageSize, ErrTable)
	}
	first, slot := uint64(l.seedOffset)/uint64(l.sector), -1
	for i, e := range m {
		if e.empty() && slot < 0 {
			slot = i
		}
		if !e.empty() && uint64(e.first)+uint64(e.count) > first {
			return fmt.Errorf("partition %d of the image does not fit on the disk beside the seed: %w", i+1, ErrTable)
		}
	}
	if slot < 0 {
		return fmt.Errorf("all four primary partitions of the image's MBR are in use, there is none for the seed: %w", ErrTable)
	}
	l.mbr = bytes.Clone(head[:512])
	e := l.mbr[mbrEntries+16*slot:]
	clear(e[:16])
	copy(e[1:8], "\xfe\xff\xff\x0e\xfe\xff\xff") // FAT with LBA; the cylinders say "see LBA"
	binary.LittleEndian.PutUint32(e[8:], uint32(first))
	binary.LittleEndian.PutUint32(e[12:], uint32(storage.SeedSize/int64(l.sector)))
	l.seedNumber, l.edited = slot+1, true
	return nil
}

// apply edits the first and the last MiB of the disk as the image has them into what is to be written.
func (l *layout) apply(head, tail []byte) {
	switch {
	case !l.edited:
	case l.kind == "mbr":
		copy(head, l.mbr)
	case l.kind == "gpt":
		l.applyGPT(head, tail)
	}
}

func (l *layout) applyGPT(head, tail []byte) {
	g, sectors := l.gpt, uint64(l.diskSize/int64(l.sector))
	seal := func(self, other, entries uint64) []byte {
		h := &gpt{header: bytes.Clone(g.header)}
		h.put64(24, self)
		h.put64(32, other)
		h.put64(72, entries)
		binary.LittleEndian.PutUint32(h.header[16:], headerCRC(h.header))
		return h.header
	}
	copy(head[l.sector:], seal(1, sectors-1, g.u64(72)))
	copy(head[g.u64(72)*uint64(l.sector):], g.entries)
	backup := sectors - 1 - g.entrySectors()
	tailAt := uint64(l.diskSize) - uint64(len(tail))
	clear(tail[backup*uint64(l.sector)-tailAt:])
	copy(tail[backup*uint64(l.sector)-tailAt:], g.entries)
	copy(tail[len(tail)-l.sector:], seal(sectors-1, 1, backup))
	coverDisk(head, sectors)
}

// coverDisk makes the protective MBR cover the whole disk, as the specification wants it; a hybrid MBR keeps its others.
func coverDisk(head []byte, sectors uint64) {
	m, ok := readMBR(head)
	if !ok {
		return
	}
	for i, e := range m {
		if e.kind == mbrProtective && e.first == 1 {
			binary.LittleEndian.PutUint32(head[mbrEntries+16*i+12:], uint32(min(sectors-1, 0xffffffff)))
		}
	}
}
