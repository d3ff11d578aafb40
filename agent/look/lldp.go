package look

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"

	"berth/inventory"
)

// LLDP as IEEE 802.1AB-2016 has it. Clause numbers are its own.

const (
	lldpEtherType = 0x88cc
	vlanEtherType = 0x8100
	// LLDPFrameLimit is the most bytes of a frame that are looked at.
	LLDPFrameLimit = 9000
)

var errNoLLDP = errors.New("not an LLDP frame")

// ParseLLDP reads an LLDP frame, Ethernet header included.
func ParseLLDP(frame []byte) (inventory.NeighborFacts, error) {
	var n inventory.NeighborFacts
	if len(frame) < 14 || len(frame) > LLDPFrameLimit {
		return n, errNoLLDP
	}
	kind, body := binary.BigEndian.Uint16(frame[12:]), frame[14:]
	if kind == vlanEtherType && len(body) >= 4 { // some switches tag it with VLAN 0, some networks with theirs
		kind, body = binary.BigEndian.Uint16(body[2:]), body[4:]
	}
	if kind != lldpEtherType {
		return n, errNoLLDP
	}
	for len(body) >= 2 {
		header := binary.BigEndian.Uint16(body)
		tlv, length := header>>9, int(header&0x1ff) // 8.4: seven bits of type, nine of length
		if 2+length > len(body) {
			return n, errors.New("LLDP: a field is longer than the frame")
		}
		if tlv == 0 { // end of LLDPDU
			break
		}
		lldpField(tlv, body[2:2+length], &n)
		body = body[2+length:]
	}
	if n.ChassisID == "" || n.PortID == "" { // 8.2: both are mandatory
		return n, errors.New("LLDP: chassis or port is missing")
	}
	return n, nil
}

func lldpField(tlv uint16, value []byte, n *inventory.NeighborFacts) {
	switch tlv {
	case 1:
		n.ChassisID = lldpID(value, 4, 5)
	case 2:
		n.PortID = lldpID(value, 3, 4)
	case 4:
		n.PortDescription = text(string(value))
	case 5:
		n.SystemName = text(string(value))
	case 6:
		n.SystemDescription = text(string(value))
	case 127:
		// Annex D.2.1: organisation 00-80-C2, subtype 1 is the VLAN that untagged frames belong to.
		if len(value) == 6 && [4]byte(value[:4]) == [4]byte{0x00, 0x80, 0xc2, 0x01} {
			n.VLAN = int(binary.BigEndian.Uint16(value[4:])) & 0xfff
		}
	}
}

// lldpID writes a chassis or port identifier (8.5.2, 8.5.3), whose subtypes number MAC and network addresses differently. What is
// neither is text by the standard, and hexadecimal where it is not in fact.
func lldpID(value []byte, macSubtype, addressSubtype byte) string {
	if len(value) < 2 {
		return ""
	}
	subtype, id := value[0], value[1:]
	switch {
	case subtype == macSubtype && len(id) == 6:
		return net.HardwareAddr(id).String()
	case subtype == addressSubtype:
		// One byte of address family (IANA), then the address.
		if address, ok := netip.AddrFromSlice(id[1:]); ok {
			return address.String()
		}
		return hex.EncodeToString(id[:min(len(id), 64)])
	}
	for _, b := range id {
		if b < ' ' || b > '~' {
			return hex.EncodeToString(id[:min(len(id), 64)])
		}
	}
	return text(string(id))
}
