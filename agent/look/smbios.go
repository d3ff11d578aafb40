package look

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"berth/inventory"
)

// The SMBIOS tables as the DMTF specification DSP0134 (3.7) has them. Section numbers below are its own.

// structureLimit bounds the structures of one table; machines with 24 TiB have some hundreds.
const structureLimit = 8192

// structure is one SMBIOS structure: its formatted area, header included, and its strings.
type structure struct {
	kind    byte
	data    []byte
	strings []string
}

// parseSMBIOS splits the table into structures (6.1.2). What stands before a fault is kept, for half a table tells more than none.
func parseSMBIOS(table []byte) ([]structure, error) {
	var all []structure
	for len(table) >= 4 {
		size := int(table[1])
		if size < 4 || size > len(table) {
			return all, fmt.Errorf("SMBIOS structure %d of type %d has length %d with %d bytes left", len(all), table[0], size, len(table))
		}
		s := structure{kind: table[0], data: table[:size]}
		rest, err := s.takeStrings(table[size:])
		if err != nil {
			return all, err
		}
		all = append(all, s)
		if s.kind == 127 { // end of table
			return all, nil
		}
		if len(all) == structureLimit {
			return all, fmt.Errorf("SMBIOS table has more than %d structures", structureLimit)
		}
		table = rest
	}
	return all, nil
}

// takeStrings reads the strings after a formatted area: each ends with a null, the set with one more; an empty set is two nulls (6.1.3).
func (s *structure) takeStrings(rest []byte) ([]byte, error) {
	if len(rest) >= 2 && rest[0] == 0 && rest[1] == 0 {
		return rest[2:], nil
	}
	for len(rest) > 0 && rest[0] != 0 {
		end := strings.IndexByte(string(rest[:min(len(rest), 4096)]), 0)
		if end < 0 {
			return nil, errors.New("SMBIOS string without an end")
		}
		s.strings = append(s.strings, text(string(rest[:end])))
		rest = rest[end+1:]
	}
	if len(rest) == 0 {
		return nil, errors.New("SMBIOS strings without an end")
	}
	return rest[1:], nil
}

// Fields that lie beyond the structure's own length belong to a later version of the specification than the firmware's: they are
// zero, which the specification uses for "not given" throughout.

func (s structure) byte(offset int) byte {
	if offset >= len(s.data) {
		return 0
	}
	return s.data[offset]
}

func (s structure) word(offset int) uint16 {
	if offset+2 > len(s.data) {
		return 0
	}
	return binary.LittleEndian.Uint16(s.data[offset:])
}

func (s structure) dword(offset int) uint32 {
	if offset+4 > len(s.data) {
		return 0
	}
	return binary.LittleEndian.Uint32(s.data[offset:])
}

// str is the string whose number stands at offset; number 0 is none.
func (s structure) str(offset int) string {
	n := int(s.byte(offset))
	if n == 0 || n > len(s.strings) {
		return ""
	}
	return s.strings[n-1]
}

// judgeSMBIOS fills in what the tables know. The version is of the entry point, as in 0x0206 for 2.6.
func judgeSMBIOS(all []structure, version int, f *inventory.Facts) {
	boards := 0
	for _, s := range all {
		switch s.kind {
		case 0:
			f.BIOS = inventory.BIOSFacts{Vendor: s.str(4), Version: s.str(5), Date: s.str(8)}
		case 1:
			f.System = smbiosSystem(s, version)
		case 2:
			// A blade or a riser is a board too: the one that hosts the others is marked (7.3.2, bit 0; type 0x0a).
			if boards == 0 || s.byte(9)&1 == 1 && s.byte(13) == 0x0a {
				f.Board = inventory.BoardFacts{Manufacturer: s.str(4), Product: s.str(5), Version: s.str(6), Serial: s.str(7), AssetTag: s.str(8)}
			}
			boards++
		case 3:
			if f.Chassis == (inventory.ChassisFacts{}) {
				f.Chassis = inventory.ChassisFacts{Manufacturer: s.str(4), Type: chassisType(s.byte(5)), Serial: s.str(7), AssetTag: s.str(8)}
			}
		case 4:
			if cpu, there := smbiosCPU(s); there {
				f.CPUs = append(f.CPUs, cpu)
			}
		case 17:
			if dimm, there := smbiosDIMM(s); there {
				f.DIMMs = append(f.DIMMs, dimm)
			}
		case 39:
			f.PSUs = append(f.PSUs, smbiosPSU(s))
		}
	}
}

func smbiosSystem(s structure, version int) inventory.SystemFacts {
	f := inventory.SystemFacts{
		Manufacturer: s.str(4), Product: s.str(5), Version: s.str(6), Serial: s.str(7), SKU: s.str(0x19), Family: s.str(0x1a),
	}
	if len(s.data) >= 0x18 {
		f.UUID = smbiosUUID([16]byte(s.data[8:0x18]), version)
	}
	return f
}

// smbiosUUID writes a UUID as the kernel and dmidecode do: since 2.6 the first three fields are little-endian on the wire (7.2.1).
// All zeros and all ones mean that there is none.
func smbiosUUID(b [16]byte, version int) string {
	if b == [16]byte{} || strings.Count(string(b[:]), "\xff") == 16 {
		return ""
	}
	if version >= 0x0206 {
		b[0], b[1], b[2], b[3] = b[3], b[2], b[1], b[0]
		b[4], b[5] = b[5], b[4]
		b[6], b[7] = b[7], b[6]
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// chassisTypes are the names of 7.4.1 that servers, and what is used as one, carry.
var chassisTypes = map[byte]string{
	1: "other", 2: "unknown", 3: "desktop", 4: "low profile desktop", 5: "pizza box", 6: "mini tower", 7: "tower", 8: "portable",
	9: "laptop", 10: "notebook", 11: "hand held", 12: "docking station", 13: "all in one", 14: "sub notebook", 15: "space-saving",
	16: "lunch box", 17: "main server chassis", 18: "expansion chassis", 19: "sub chassis", 20: "bus expansion chassis",
	21: "peripheral chassis", 22: "raid chassis", 23: "rack mount chassis", 24: "sealed-case pc", 25: "multi-system chassis",
	26: "compact pci", 27: "advanced tca", 28: "blade", 29: "blade enclosure", 30: "tablet", 31: "convertible", 32: "detachable",
	33: "iot gateway", 34: "embedded pc", 35: "mini pc", 36: "stick pc",
}

// chassisType names a type; bit 7 says only whether there is a lock.
func chassisType(b byte) string { return chassisTypes[b&0x7f] }

// smbiosCPU is a processor, if the socket holds one (7.5, status bit 6) and it is a central one (type 3).
func smbiosCPU(s structure) (inventory.CPUFacts, bool) {
	if s.byte(0x18)&0x40 == 0 || s.byte(5) != 3 {
		return inventory.CPUFacts{}, false
	}
	return inventory.CPUFacts{
		Socket: s.str(4), Manufacturer: s.str(7), Model: s.str(0x10), Serial: s.str(0x20),
		Cores:    smbiosCount(s, 0x23, 0x2a),
		Threads:  smbiosCount(s, 0x25, 0x2e),
		SpeedMHz: int(s.word(0x16)),
	}, true
}

// smbiosCount reads a count of one byte, whose value 0xff refers to the word of a later version (7.5.6 to 7.5.9).
func smbiosCount(s structure, short, long int) int {
	if n := s.byte(short); n != 0xff {
		return int(n)
	}
	if n := s.word(long); n != 0xffff {
		return int(n)
	}
	return 0
}

// memoryTypes are the names of 7.18.2 that are still met.
var memoryTypes = map[byte]string{
	0x0f: "SDRAM", 0x12: "DDR", 0x13: "DDR2", 0x14: "DDR2 FB-DIMM", 0x18: "DDR3", 0x19: "FBD2", 0x1a: "DDR4", 0x1b: "LPDDR",
	0x1c: "LPDDR2", 0x1d: "LPDDR3", 0x1e: "LPDDR4", 0x1f: "Logical non-volatile", 0x20: "HBM", 0x21: "HBM2", 0x22: "DDR5",
	0x23: "LPDDR5", 0x24: "HBM3", 0x03: "DRAM", 0x07: "RAM",
}

// smbiosDIMM is a memory module, if the slot holds one (7.18: a size of zero is an empty slot).
func smbiosDIMM(s structure) (inventory.DIMMFacts, bool) {
	if s.word(0x0c) == 0 {
		return inventory.DIMMFacts{}, false
	}
	d := inventory.DIMMFacts{
		Slot: s.str(0x10), Bank: s.str(0x11), Manufacturer: s.str(0x17), Serial: s.str(0x18), PartNumber: s.str(0x1a),
		SizeMiB: dimmSize(s), Type: memoryTypes[s.byte(0x12)], SpeedMTs: dimmSpeed(s),
	}
	// The bus is wider than the data by the bits that check it; 0xffff is unknown.
	total, data := s.word(8), s.word(0x0a)
	if total != 0 && total != 0xffff && data != 0 && data != 0xffff {
		ecc := total > data
		d.ECC = &ecc
	}
	return d, true
}

// dimmSize is in MiB: the word holds MiB, or KiB when bit 15 is set; 0x7fff refers to the extended size, 0xffff is unknown.
func dimmSize(s structure) int64 {
	switch size := s.word(0x0c); {
	case size == 0xffff:
		return 0
	case size == 0x7fff:
		return int64(s.dword(0x1c) & 0x7fffffff)
	case size&0x8000 != 0:
		return int64(size&0x7fff) / 1024
	default:
		return int64(size)
	}
}

// dimmSpeed is what the module runs at, or could, in MT/s; 0xffff refers to the extended field.
func dimmSpeed(s structure) int {
	for _, field := range []struct{ short, long int }{{0x20, 0x58}, {0x15, 0x54}} {
		switch speed := s.word(field.short); speed {
		case 0:
		case 0xffff:
			if long := s.dword(field.long) & 0x7fffffff; long != 0 {
				return int(long)
			}
		default:
			return int(speed)
		}
	}
	return 0
}

// smbiosPSU is a power supply (7.40); its capacity is in watts, 0x8000 is unknown, bit 1 of the characteristics says it is there.
func smbiosPSU(s structure) inventory.PSUFacts {
	f := inventory.PSUFacts{Slot: s.str(5), Manufacturer: s.str(7), Model: s.str(0x0a), Serial: s.str(8)}
	if f.Model == "" {
		f.Model = s.str(6)
	}
	if capacity := s.word(0x0c); capacity != 0x8000 {
		f.CapacityW = int(capacity)
	}
	if len(s.data) >= 0x10 {
		present := s.word(0x0e)&2 != 0
		f.Present = &present
	}
	return f
}

// smbiosVersion reads the version from an entry point (5.2.1, 5.2.2), 0x0300 for 3.0; 0 when it is none.
func smbiosVersion(entry []byte) int {
	switch {
	case len(entry) >= 9 && string(entry[:5]) == "_SM3_":
		return int(entry[7])<<8 | int(entry[8])
	case len(entry) >= 8 && string(entry[:4]) == "_SM_":
		return int(entry[6])<<8 | int(entry[7])
	}
	return 0
}
