package disk

import (
	"encoding/binary"
	"encoding/hex"
	"strings"

	"berth/storage"
)

// The decoders of what disks say about themselves. Their input is as long as the disk or its bridge chose to make it,
// and says what it likes.

// identity is what one way of asking yields.
type identity struct {
	serial, wwn, model string
}

// or completes i by what another way of asking yielded.
func (i identity) or(o identity) identity {
	if i.serial == "" {
		i.serial = o.serial
	}
	if i.wwn == "" {
		i.wwn = o.wwn
	}
	if i.model == "" {
		i.model = o.model
	}
	return i
}

// text makes a fixed-length, blank-padded field of printable ASCII a string.
func text(b []byte) string {
	s := strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return ' '
		}
		return r
	}, string(b))
	return strings.Join(strings.Fields(s), " ")
}

// hexName returns kind.digits, or "" if all bytes are zero or ones, as unprogrammed devices have them.
func hexName(kind string, b []byte) string {
	digits := hex.EncodeToString(b)
	if strings.Trim(digits, "0") == "" || strings.Trim(digits, "f") == "" {
		return ""
	}
	return kind + "." + digits
}

// decodeNVMeController reads the Identify Controller data structure (NVMe base specification 2.0, figure 276).
func decodeNVMeController(b []byte) identity {
	if len(b) < 64 {
		return identity{}
	}
	return identity{serial: storage.NormalizeSerial(text(b[4:24])), model: text(b[24:64])}
}

// decodeNVMeNamespace reads NGUID and EUI64 of the Identify Namespace data structure. As in the kernel's wwid, the
// NGUID comes first.
func decodeNVMeNamespace(b []byte) identity {
	if len(b) < 128 {
		return identity{}
	}
	if wwn := hexName("eui", b[104:120]); wwn != "" {
		return identity{wwn: wwn}
	}
	return identity{wwn: hexName("eui", b[120:128])}
}

// decodeNVMeDescriptors reads the UUID from the Namespace Identification Descriptor list (CNS 03h). The kernel prefers
// it to the older names, so a WWN copied from a running system is this one.
func decodeNVMeDescriptors(b []byte) identity {
	for len(b) >= 4 && b[0] != 0 {
		kind, n := b[0], int(b[1])
		if n == 0 || len(b) < 4+n {
			break
		}
		if kind == 3 && n == 16 && hexName("uuid", b[4:20]) != "" {
			return identity{wwn: "uuid." + formatUUID(b[4:20])}
		}
		b = b[4+n:]
	}
	return identity{}
}

// decodeInquiry reads vendor and product of the standard INQUIRY data (SPC-4, 6.4.2).
func decodeInquiry(b []byte) identity {
	if len(b) < 32 {
		return identity{}
	}
	vendor := text(b[8:16])
	if vendor == "ATA" { // libata's word for "no SCSI disk": it is no manufacturer
		vendor = ""
	}
	return identity{model: strings.TrimSpace(vendor + " " + text(b[16:32]))}
}

// decodeVPDSerial reads the Unit Serial Number page, 80h (SPC-4, 7.8.16).
func decodeVPDSerial(b []byte) identity {
	b = vpdPage(b, 0x80)
	return identity{serial: storage.NormalizeSerial(text(b))}
}

// vpdPage returns the content of a vital product data page if it is the one asked for: old disks answer with another.
func vpdPage(b []byte, page byte) []byte {
	if len(b) < 4 || b[1] != page {
		return nil
	}
	return b[4:min(len(b), 4+int(binary.BigEndian.Uint16(b[2:])))]
}

// decodeVPDNames reads the Device Identification page, 83h (SPC-4, 7.8.6), and returns the best name of the logical
// unit itself. Names of ports and targets are shared between disks and are passed over.
func decodeVPDNames(b []byte) identity {
	b = vpdPage(b, 0x83)
	best, wwn := 0, ""
	for len(b) >= 4 {
		n := int(b[3])
		if len(b) < 4+n {
			break
		}
		codeSet, association, kind, value := b[0]&0x0f, b[1]>>4&3, b[1]&0x0f, b[4:4+n]
		if association == 0 {
			if rank, name := designator(kind, codeSet, value); rank > best && name != "" {
				best, wwn = rank, name
			}
		}
		b = b[4+n:]
	}
	return identity{wwn: wwn}
}

// designator returns a name and how good it is, more being better. The order is the kernel's (scsi_vpd_lun_id).
func designator(kind, codeSet byte, value []byte) (rank int, name string) {
	n := len(value)
	switch {
	case kind == 3 && n == 16:
		return 5, hexName("naa", value)
	case kind == 3 && n == 8:
		return 4, hexName("naa", value)
	case kind == 2 && (n == 8 || n == 12 || n == 16):
		return 3, hexName("eui", value)
	case kind == 10 && n == 18:
		return 2, hexName("uuid", value[2:])
	case kind == 8 && codeSet == 3:
		s := storage.NormalizeWWN(text(value))
		if strings.HasPrefix(s, "naa.") || strings.HasPrefix(s, "eui.") {
			return 1, s
		}
	}
	return 0, ""
}

// decodeATAIdentify reads the IDENTIFY DEVICE data (ACS-3, 7.12.7): 256 little-endian words, with the bytes of its
// strings swapped within each word.
func decodeATAIdentify(b []byte) identity {
	if len(b) < 512 {
		return identity{}
	}
	id := identity{serial: storage.NormalizeSerial(text(swapped(b[20:40]))), model: text(swapped(b[54:94]))}
	// Word 87 is valid with bits 15:14 = 01, and its bit 8 says that words 108-111 hold a WWN.
	if w := binary.LittleEndian.Uint16(b[174:]); w&0xc100 == 0x4100 {
		id.wwn = hexName("naa", swapped(b[216:224]))
	}
	return id
}

func swapped(b []byte) []byte {
	s := make([]byte, len(b))
	for i := 0; i+1 < len(b); i += 2 {
		s[i], s[i+1] = b[i+1], b[i]
	}
	return s
}

// formatUUID writes 16 bytes as they come in the usual groups.
func formatUUID(b []byte) string {
	h := hex.EncodeToString(b[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// formatGUID writes 16 bytes as a GUID, the first three groups of which are little-endian (UEFI, appendix A).
func formatGUID(b []byte) string {
	g := []byte{b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6]}
	return formatUUID(append(g, b[8:16]...))
}
