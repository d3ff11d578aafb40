package qemu

import (
	"encoding/binary"
	"strings"

	"berth/internal/lab/hardware"
)

// memoryHandle is the first handle that QEMU itself gives to memory devices;
// memoryArray is that of the physical memory array they belong to.
const (
	memoryHandle = 0x1100
	memoryArray  = 0x1000
)

// memoryDevice is one SMBIOS structure of type 17, version 2.8 (DSP0134 section
// 7.18). QEMU can only make slots that are all alike and all filled; a real
// board has empty ones and a serial number in each of the others, so the lab
// gives it the bytes.
func memoryDevice(i int, d hardware.DIMM) []byte {
	const size, widthBits, dimm, ddr4, unknown16 = 0x28, 64, 0x09, 0x1a, 0xffff
	var texts []string
	text := func(s string) byte {
		if s == "" {
			return 0
		}
		texts = append(texts, s)
		return byte(len(texts))
	}
	le := binary.LittleEndian
	b := []byte{17, size}
	b = le.AppendUint16(b, uint16(memoryHandle+i))
	b = le.AppendUint16(b, memoryArray)
	b = le.AppendUint16(b, 0xfffe) // no error information
	width, kind, speed := uint16(widthBits), byte(ddr4), uint16(d.SpeedMTs)
	if d.SizeMiB == 0 {
		width, kind, speed = unknown16, 0x02, 0 // unknown
	}
	b = le.AppendUint16(b, width)
	b = le.AppendUint16(b, width)
	short, long := memorySize(d.SizeMiB)
	b = le.AppendUint16(b, short)
	b = append(b, dimm, 0, text(d.Slot), text("BANK 0"), kind)
	b = le.AppendUint16(b, 0x0080) // synchronous
	b = le.AppendUint16(b, speed)
	b = append(b, text(d.Manufacturer), text(d.Serial), 0, text(d.Part), 0)
	b = le.AppendUint32(b, long)
	b = le.AppendUint16(b, speed)
	b = append(b, 0, 0, 0, 0, 0, 0) // voltages unknown
	for _, s := range texts {
		b = append(b, strings.ReplaceAll(s, "\x00", " ")...)
		b = append(b, 0)
	}
	if len(texts) == 0 {
		b = append(b, 0)
	}
	return append(b, 0)
}

// memorySize is the size field in MiB, and the extended one for what does not
// fit it.
func memorySize(mib int) (short uint16, long uint32) {
	const extended = 0x7fff
	if mib >= extended {
		return extended, uint32(mib)
	}
	return uint16(mib), 0
}
