package disk

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"

	"berth/storage"
)

// seedLabel is the filesystem label by which cloud-init's NoCloud data source finds its seed.
const seedLabel = "CIDATA"

// Seed is what cloud-init on the installed system is to be told: the files of a NoCloud seed, byte for byte. Together
// they may have about 3.9 MB. An empty NetworkConfig is not written at all, since an empty file means something else.
type Seed struct {
	MetaData      []byte
	UserData      []byte
	NetworkConfig []byte
}

type seedFile struct {
	name  string
	short string // 8.3, as the directory stores it
	data  []byte
}

func (s Seed) files() []seedFile {
	files := []seedFile{{"meta-data", "META-D~1   ", s.MetaData}, {"user-data", "USER-D~1   ", s.UserData}}
	if len(s.NetworkConfig) > 0 {
		files = append(files, seedFile{"network-config", "NETWOR~1   ", s.NetworkConfig})
	}
	return files
}

// seedGUID derives the partition's GUID from that of the disk, so that writing the same image twice gives the same
// bytes. Version and variant say "random" (RFC 9562, 5.4).
func seedGUID(diskGUID []byte) []byte {
	sum := sha256.Sum256(append([]byte("berth seed partition\x00"), diskGUID...))
	g := sum[:16]
	g[7] = g[7]&0x0f | 0x40 // stored little-endian: the version is in the high byte of the third group
	g[8] = g[8]&0x3f | 0x80
	return g
}

// fat is the geometry of a FAT12 filesystem of SeedSize bytes.
type fat struct {
	sector   int // bytes
	cluster  int // bytes
	fatSize  int // bytes of one FAT
	dataAt   int
	clusters int
}

const (
	fatReserved    = 1   // sectors
	fatRootEntries = 512 // of 32 bytes
	fatEnd         = 0xfff
)

// newFAT lays the filesystem out. The sector is the disk's logical block, since the kernel mounts no smaller one.
func newFAT(sector int) fat {
	f := fat{sector: sector, cluster: max(2048, sector)}
	clusters := int(storage.SeedSize) / f.cluster // an upper bound; below 4085 by construction, hence FAT12
	f.fatSize = ((clusters+2)*3/2 + 1 + sector - 1) / sector * sector
	f.dataAt = fatReserved*sector + 2*f.fatSize + fatRootEntries*32
	f.clusters = (int(storage.SeedSize) - f.dataAt) / f.cluster
	return f
}

// image returns the seed as a FAT12 filesystem labelled CIDATA, as Microsoft's "FAT: General Overview of On-Disk
// Format" 1.03 describes it, with long names (VFAT), because cloud-init looks for lower case ones.
func (s Seed) image(sector int) ([]byte, error) {
	f := newFAT(sector)
	b := make([]byte, storage.SeedSize)
	f.boot(b, s)
	table, root := make([]uint16, f.clusters+2), b[fatReserved*sector+2*f.fatSize:f.dataAt]
	table[0], table[1] = 0xff8, fatEnd
	copy(root, dirEntry(fmt.Sprintf("%-11s", seedLabel), 0x08, 0, 0))
	root = root[32:]
	next := 2
	for _, file := range s.files() {
		n := (len(file.data) + f.cluster - 1) / f.cluster
		if next+n > len(table) {
			return nil, fmt.Errorf("%s with %d bytes does not fit on the seed partition: %w", file.name, len(file.data), ErrSeed)
		}
		copy(b[f.dataAt+(next-2)*f.cluster:], file.data)
		first := 0 // an empty file has no cluster
		for i := range n {
			table[next+i] = uint16(next + i + 1)
		}
		if n > 0 {
			first = next
			table[next+n-1] = fatEnd
		}
		entries := append(longName(file), dirEntry(file.short, 0x20, first, len(file.data))...)
		root = root[copy(root, entries):]
		next += n
	}
	for i := range 2 {
		packFAT12(b[fatReserved*sector+i*f.fatSize:], table)
	}
	return b, nil
}

// boot writes the boot sector.
func (f fat) boot(b []byte, s Seed) {
	le := binary.LittleEndian
	copy(b, "\xeb\x3c\x90BERTH   ")
	le.PutUint16(b[11:], uint16(f.sector))
	b[13] = byte(f.cluster / f.sector)
	le.PutUint16(b[14:], fatReserved)
	b[16] = 2 // FATs
	le.PutUint16(b[17:], fatRootEntries)
	le.PutUint16(b[19:], uint16(int(storage.SeedSize)/f.sector))
	b[21] = 0xf8 // fixed disk
	le.PutUint16(b[22:], uint16(f.fatSize/f.sector))
	le.PutUint16(b[24:], 32) // sectors and heads: of no use, but some tools divide by them
	le.PutUint16(b[26:], 64)
	b[36], b[38] = 0x80, 0x29
	h := sha256.New()
	for _, file := range s.files() {
		h.Write(file.data)
	}
	copy(b[39:43], h.Sum(nil)) // the volume's number
	copy(b[43:], fmt.Sprintf("%-11s%-8s", seedLabel, "FAT12"))
	b[510], b[511] = 0x55, 0xaa
}

// packFAT12 writes entries of 12 bits, two in three bytes.
func packFAT12(b []byte, table []uint16) {
	for i, v := range table {
		at := i * 3 / 2
		if i%2 == 0 {
			b[at] = byte(v)
			b[at+1] = b[at+1]&0xf0 | byte(v>>8)
		} else {
			b[at] = b[at]&0x0f | byte(v<<4)
			b[at+1] = byte(v >> 4)
		}
	}
}

// dirEntry is a short directory entry, dated 1 January 1980: the epoch of FAT, and the same in every build.
func dirEntry(name string, attr byte, cluster, size int) []byte {
	e := make([]byte, 32)
	copy(e, name)
	e[11] = attr
	for _, at := range []int{16, 18, 24} { // created, accessed, written
		binary.LittleEndian.PutUint16(e[at:], 1<<5|1)
	}
	binary.LittleEndian.PutUint16(e[26:], uint16(cluster))
	binary.LittleEndian.PutUint32(e[28:], uint32(size))
	return e
}

// longName returns the entries that carry a long name; they stand before the short entry, last part first.
func longName(f seedFile) []byte {
	var sum byte
	for _, c := range []byte(f.short) {
		sum = sum>>1 | sum<<7
		sum += c
	}
	name := append(utf16.Encode([]rune(f.name)), 0)
	for len(name)%13 != 0 {
		name = append(name, 0xffff)
	}
	if len(f.name)%13 == 0 {
		name = name[:len(f.name)] // a full last part has no terminator
	}
	var out []byte
	parts := len(name) / 13
	for i := parts - 1; i >= 0; i-- {
		e := make([]byte, 32)
		e[0] = byte(i + 1)
		if i == parts-1 {
			e[0] |= 0x40
		}
		e[11], e[13] = 0x0f, sum
		for k, at := range [13]int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30} {
			binary.LittleEndian.PutUint16(e[at:], name[i*13+k])
		}
		out = append(out, e...)
	}
	return out
}

// fatType returns vfat, exfat or ntfs if b begins with the boot sector of one, else "".
func fatType(b []byte) string {
	if len(b) < 512 || b[510] != 0x55 || b[511] != 0xaa {
		return ""
	}
	switch {
	case string(b[3:11]) == "NTFS    ":
		return "ntfs"
	case string(b[3:11]) == "EXFAT   ":
		return "exfat"
	case strings.HasPrefix(string(b[54:]), "FAT"), strings.HasPrefix(string(b[82:]), "FAT32"):
	default:
		return ""
	}
	sector, cluster := binary.LittleEndian.Uint16(b[11:]), b[13]
	if sector < 512 || sector > 4096 || sector&(sector-1) != 0 || cluster == 0 || cluster&(cluster-1) != 0 || b[16] == 0 || b[16] > 4 {
		return ""
	}
	return "vfat"
}
