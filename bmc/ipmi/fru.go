package ipmi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"berth/bmc"
)

// The FRU inventory of the system itself is device 0 (IPMI Platform Management FRU Information Storage Definition 1.3).

const (
	maxFRU   = 8 << 10 // real ones have 256 to 2048 bytes
	chunkFRU = 32      // what every BMC gives at once
)

// readFRU reads and files it.
func (d *driver) readFRU(ctx context.Context, in *bmc.Inventory) error {
	raw, err := d.fru(ctx)
	if err != nil {
		return err
	}
	f, err := parseFRU(raw)
	if err != nil {
		return fmt.Errorf("read the FRU: %w: %w", bmc.ErrMalformed, err)
	}
	in.Chassis = bmc.ChassisInfo{Type: f.chassisType, PartNumber: f.chassis[0], Serial: f.chassis[1]}
	in.Board = bmc.BoardInfo{Manufacturer: f.board[0], Model: f.board[1], Serial: f.board[2], PartNumber: f.board[3]}
	in.System = bmc.SystemInfo{Manufacturer: f.product[0], Model: f.product[1], PartNumber: f.product[2], Serial: f.product[4], AssetTag: f.product[5]}
	return nil
}

// fru reads the raw bytes: Get FRU Inventory Area Info and Read FRU Data (34.1, 34.2).
func (d *driver) fru(ctx context.Context) ([]byte, error) {
	out, err := d.command(ctx, "read the FRU's size", 0x0a, 0x10, 0)
	if out, err = needs(2, out, err, "read the FRU's size"); err != nil {
		return nil, err
	}
	size := min(int(binary.LittleEndian.Uint16(out)), maxFRU)
	var raw []byte
	for len(raw) < size {
		count := byte(min(chunkFRU, size-len(raw)))
		at := binary.LittleEndian.AppendUint16([]byte{0}, uint16(len(raw)))
		out, err := d.command(ctx, "read the FRU", 0x0a, 0x11, append(at, count)...)
		if out, err = needs(1, out, err, "read the FRU"); err != nil {
			return nil, err
		}
		n := int(out[0])
		if n == 0 || n > int(count) || len(out) < 1+n {
			return nil, fmt.Errorf("read the FRU: %w: %d bytes that are %d", bmc.ErrMalformed, n, len(out)-1)
		}
		raw = append(raw, out[1:1+n]...)
	}
	return raw, nil
}

// fru is the predefined fields of the three areas that name things, in their order.
type fru struct {
	chassisType string
	chassis     [2]string // part number, serial
	board       [4]string // manufacturer, product, serial, part number
	product     [6]string // manufacturer, name, part number, version, serial, asset tag
}

var errFRU = errors.New("no FRU inventory of version 1")

// parseFRU reads what is there. An area that is damaged is left out; its fields stay empty.
func parseFRU(raw []byte) (fru, error) {
	var f fru
	if len(raw) < 8 || raw[0]&0x0f != 1 || checksum(raw[:8]) != 0 {
		return f, errFRU
	}
	if a := area(raw, raw[2]); a != nil {
		f.chassisType = chassisTypes[a[2]]
		fields(a[3:], f.chassis[:])
	}
	if a := area(raw, raw[3]); len(a) > 6 {
		fields(a[6:], f.board[:])
	}
	if a := area(raw, raw[4]); a != nil {
		fields(a[3:], f.product[:])
	}
	return f, nil
}

// area cuts out one area; offset and length are in units of eight bytes, and its bytes add up to zero.
func area(raw []byte, offset byte) []byte {
	start := int(offset) * 8
	if start == 0 || start+2 > len(raw) {
		return nil
	}
	n := int(raw[start+1]) * 8
	if n < 8 || start+n > len(raw) || checksum(raw[start:start+n]) != 0 {
		return nil
	}
	return raw[start : start+n]
}

// fields reads type/length fields until C1h or the end (13 of the FRU definition).
func fields(b []byte, into []string) {
	for i := range into {
		if len(b) == 0 || b[0] == 0xc1 {
			return
		}
		kind, n := b[0]>>6, int(b[0]&0x3f)
		if n > len(b)-1 {
			return
		}
		into[i] = bmc.Clean(text(kind, b[1:1+n]))
		b = b[1+n:]
	}
}

// text decodes one field by its type: binary, BCD plus, six-bit ASCII, or Latin 1.
func text(kind byte, b []byte) string {
	var s strings.Builder
	switch kind {
	case 0:
		for _, c := range b {
			fmt.Fprintf(&s, "%02x", c)
		}
	case 1:
		const digits = "0123456789 -.???"
		for _, c := range b {
			s.WriteByte(digits[c>>4])
			s.WriteByte(digits[c&0x0f])
		}
	case 2:
		var bits, have uint
		for _, c := range b {
			bits |= uint(c) << have
			for have += 8; have >= 6; have -= 6 {
				s.WriteByte(byte(bits&0x3f) + 0x20)
				bits >>= 6
			}
		}
	default:
		for _, c := range b {
			if c >= ' ' && c != 0x7f { // the rest is padding, or an attempt on somebody's terminal
				s.WriteRune(rune(c))
			}
		}
	}
	return s.String()
}

// chassisTypes are those of SMBIOS type 3 (DSP0134, 7.4.1), in the words Redfish has for them where it has any.
var chassisTypes = map[byte]string{
	0x03: "Desktop", 0x04: "LowProfileDesktop", 0x05: "PizzaBox", 0x06: "MiniTower", 0x07: "Tower", 0x11: "MainServerChassis", 0x17: "RackMount",
	0x1c: "Blade", 0x1d: "BladeEnclosure", 0x23: "MiniPC",
}
