package vbmc

import (
	"berth/internal/lab/hardware"
)

// encodeFRU writes the server's labels as an IPMI FRU: the Platform Management
// FRU Information Storage Definition, version 1.0 revision 1.3. Areas are
// multiples of eight bytes, each with a checksum that makes its sum zero.
func encodeFRU(s hardware.Server) []byte {
	const english, rackMount = 25, 0x17
	chassis := fruArea([]byte{rackMount}, s.Chassis.Product, s.Chassis.Serial)
	board := fruArea([]byte{english, 0, 0, 0}, s.Board.Manufacturer, s.Board.Product, s.Board.Serial, s.Board.Version, "")
	product := fruArea([]byte{english}, s.System.Manufacturer, s.System.Product, "", s.System.Version,
		s.System.Serial, s.System.Asset, "")

	const header = 8
	at := func(n int) byte { return byte(n / 8) } // offsets count in eight bytes
	data := []byte{
		0x01, 0x00,
		at(header),
		at(header + len(chassis)),
		at(header + len(chassis) + len(board)),
		0x00, 0x00,
	}
	data = append(data, checksum(data))
	data = append(data, chassis...)
	data = append(data, board...)
	return append(data, product...)
}

// fruArea frames an area: version, length, head, fields, end mark, padding and
// checksum.
func fruArea(head []byte, fields ...string) []byte {
	const endOfFields = 0xc1
	area := append([]byte{0x01, 0x00}, head...)
	for _, f := range fields {
		area = append(area, fruField(f)...)
	}
	area = append(area, endOfFields)
	for len(area)%8 != 7 {
		area = append(area, 0)
	}
	area[1] = byte((len(area) + 1) / 8)
	return append(area, checksum(area))
}

// fruField is an 8-bit text field: the type in two bits, the length in six. A
// text of one byte would read as the end mark, so it is padded with a blank.
func fruField(text string) []byte {
	const text8, longest = 0xc0, 63
	if len(text) == 1 {
		text += " "
	}
	if len(text) > longest {
		text = text[:longest]
	}
	return append([]byte{text8 | byte(len(text))}, text...)
}

func checksum(data []byte) byte {
	var sum byte
	for _, b := range data {
		sum += b
	}
	return -sum
}
