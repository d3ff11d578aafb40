package wire

import (
	"encoding/binary"
	"net"
	"time"
)

// LLDP says to a machine which port of which switch it is plugged into: IEEE
// 802.1AB, section 8 and 9.
type LLDP struct {
	Switch      string // system name
	ChassisMAC  net.HardwareAddr
	Port        string // interface name
	Description string // of the port
	TTL         time.Duration
}

// lldpGroup is the "nearest bridge" group, which no bridge forwards; it is sent
// on the tap itself and not through the lab's bridge.
var lldpGroup = []byte{0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e}

// The types of the fields, table 8-1, and subtypes of identifiers.
const (
	tlvEnd, tlvChassis, tlvPort, tlvTTL, tlvPortText, tlvName, tlvText = 0, 1, 2, 3, 4, 5, 6

	chassisByMAC, portByInterface = 4, 5
	lldpType                      = 0x88cc
	minFrame                      = 60
)

// Frame is the announcement as it goes over the wire.
func (l LLDP) Frame() []byte {
	f := append([]byte(nil), lldpGroup...)
	f = append(f, l.ChassisMAC...)
	f = binary.BigEndian.AppendUint16(f, lldpType)
	f = appendTLV(f, tlvChassis, append([]byte{chassisByMAC}, l.ChassisMAC...))
	f = appendTLV(f, tlvPort, append([]byte{portByInterface}, l.Port...))
	f = appendTLV(f, tlvTTL, binary.BigEndian.AppendUint16(nil, uint16(l.TTL/time.Second)))
	f = appendTLV(f, tlvPortText, []byte(l.Description))
	f = appendTLV(f, tlvName, []byte(l.Switch))
	f = appendTLV(f, tlvText, []byte("berth lab virtual switch"))
	f = appendTLV(f, tlvEnd, nil)
	for len(f) < minFrame {
		f = append(f, 0)
	}
	return f
}

// appendTLV writes type (7 bits), length (9 bits) and value.
func appendTLV(f []byte, kind int, value []byte) []byte {
	const longest = 511
	if len(value) > longest {
		value = value[:longest]
	}
	f = binary.BigEndian.AppendUint16(f, uint16(kind<<9|len(value)))
	return append(f, value...)
}
