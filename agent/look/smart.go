package look

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"berth/inventory"
)

// judgeNVMe reads the SMART / Health Information log page (NVMe base specification 2.0, 5.16.1.3). Counters have 128 bits.
func judgeNVMe(log []byte, f *inventory.SMARTFacts) {
	if len(log) < 512 {
		return
	}
	passed := log[0] == 0 // critical warnings, one bit each
	f.Passed = &passed
	if kelvin := int(binary.LittleEndian.Uint16(log[1:])); kelvin > 0 {
		celsius := kelvin - 273
		f.TemperatureCelsius = &celsius
	}
	used := int(log[5]) // may be above 100
	f.PercentUsed = &used
	const unit = 512 * 1000 // data is counted in thousands of 512 bytes, rounded up
	f.WrittenBytes = counter128(log[48:64], unit)
	f.PowerCycles = counter128(log[112:128], 1)
	f.PowerOnHours = counter128(log[128:144], 1)
	f.MediaErrors = counter128(log[160:176], 1)
}

// counter128 is a little-endian counter times unit, or the largest number there is.
func counter128(b []byte, unit int64) *int64 {
	low, high := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	value := int64(math.MaxInt64)
	if high == 0 && low <= uint64(math.MaxInt64/unit) {
		value = int64(low) * unit
	}
	return &value
}

// The SMART attributes whose meaning and unit vendors agree on. Others (wear, data written) mean something else on each.
const (
	ataReallocated   = 5
	ataPowerOnHours  = 9
	ataPowerCycles   = 12
	ataUncorrectable = 187
	ataAirflow       = 190
	ataTemperature   = 194
	ataPending       = 197
)

// judgeATA reads the data of SMART READ DATA: a revision, then 30 attributes of 12 bytes, the sixth to eleventh of which are the
// raw value; all 512 bytes sum to zero. The layout never became part of the standard, but every disk follows it.
func judgeATA(data []byte, f *inventory.SMARTFacts) {
	if len(data) != 512 {
		return
	}
	var sum byte
	for _, b := range data {
		sum += b
	}
	if sum != 0 {
		return
	}
	for i := range 30 {
		a := data[2+12*i:]
		raw := int64(a[5]) | int64(a[6])<<8 | int64(a[7])<<16 | int64(a[8])<<24
		switch a[0] {
		case ataReallocated:
			f.ReallocatedSectors = &raw
		case ataPowerOnHours:
			hours := raw & 0xffffff // some keep minutes or milliseconds in the upper bytes
			f.PowerOnHours = &hours
		case ataPowerCycles:
			f.PowerCycles = &raw
		case ataUncorrectable:
			f.MediaErrors = &raw
		case ataPending:
			f.PendingSectors = &raw
		case ataTemperature, ataAirflow:
			if celsius := int(int8(a[5])); celsius != 0 && (a[0] == ataTemperature || f.TemperatureCelsius == nil) {
				f.TemperatureCelsius = &celsius
			}
		}
	}
}

// ataVerdict finds the SMART verdict in the sense data of SMART RETURN STATUS (ACS-4, 7.44; SAT-4, 12.2.5): the middle and high
// bytes of the address are unchanged when all is well, and f4, 2c when a threshold was passed.
func ataVerdict(sense []byte) (bool, error) {
	mid, high, err := ataAddressBytes(sense)
	switch {
	case err != nil:
		return false, err
	case mid == 0x4f && high == 0xc2:
		return true, nil
	case mid == 0xf4 && high == 0x2c:
		return false, nil
	}
	return false, fmt.Errorf("registers %02x %02x mean nothing", mid, high)
}

func ataAddressBytes(sense []byte) (mid, high byte, err error) {
	if len(sense) < 8 {
		return 0, 0, errors.New("no registers came back")
	}
	switch sense[0] & 0x7f {
	case 0x72: // descriptors
		for at := 8; at+2 <= len(sense); at += 2 + int(sense[at+1]) {
			if sense[at] == 0x09 && sense[at+1] >= 12 && at+14 <= len(sense) {
				return sense[at+9], sense[at+11], nil
			}
		}
	case 0x70: // fixed: command-specific information holds the address
		if len(sense) >= 12 {
			return sense[10], sense[11], nil
		}
	}
	return 0, 0, errors.New("no registers came back")
}

// scsiPages are the log pages that are read of a SCSI disk.
var scsiPages = []Question{AskSCSIHealth, AskSCSITemperature, AskSCSICycles, AskSCSIBackground, AskSCSIWear, AskSCSIReads, AskSCSIWrites}

// judgeSCSI reads any of scsiPages (SPC-5, 7.3; SBC-4, 6.4): a header of page, subpage and length, then parameters of a code, a
// control byte, a length and a value.
func judgeSCSI(log []byte, f *inventory.SMARTFacts) {
	if len(log) < 4 {
		return
	}
	page, rest := log[0]&0x3f, log[4:]
	rest = rest[:min(len(rest), int(binary.BigEndian.Uint16(log[2:])))]
	for len(rest) >= 4 {
		code, size := binary.BigEndian.Uint16(rest), int(rest[3])
		if 4+size > len(rest) {
			return
		}
		judgeSCSIParameter(page, code, rest[4:4+size], f)
		rest = rest[4+size:]
	}
}

func judgeSCSIParameter(page byte, code uint16, value []byte, f *inventory.SMARTFacts) {
	switch {
	case page == 0x2f && code == 0 && len(value) >= 3: // informational exceptions: additional sense code, qualifier, temperature
		passed := value[0] != 0x5d && value[0] != 0x0b // failure predicted; warning
		f.Passed = &passed
		setTemperature(value[2], f)
	case page == 0x0d && code == 0 && len(value) >= 2:
		setTemperature(value[1], f)
	case page == 0x0e && code == 4 && len(value) >= 4: // accumulated start-stop cycles
		cycles := int64(binary.BigEndian.Uint32(value))
		f.PowerCycles = &cycles
	case page == 0x15 && code == 0 && len(value) >= 4: // background scan status begins with the minutes powered on
		hours := int64(binary.BigEndian.Uint32(value)) / 60
		f.PowerOnHours = &hours
	case page == 0x11 && code == 1 && len(value) >= 4: // percentage used endurance indicator
		used := int(value[3])
		f.PercentUsed = &used
	case page == 0x02 && code == 5: // total bytes written
		if written := bigEndian(value); written != nil {
			f.WrittenBytes = written
		}
	case (page == 0x02 || page == 0x03) && code == 6: // total uncorrected errors, of writes and of reads
		if errors := bigEndian(value); errors != nil {
			if f.MediaErrors != nil {
				*errors = min(*errors, math.MaxInt64-*f.MediaErrors) + *f.MediaErrors
			}
			f.MediaErrors = errors
		}
	}
}

func setTemperature(b byte, f *inventory.SMARTFacts) {
	if b == 0 || b == 0xff { // not known
		return
	}
	celsius := int(b)
	f.TemperatureCelsius = &celsius
}

// bigEndian is a counter of up to eight bytes, nil when it is none or all ones.
func bigEndian(b []byte) *int64 {
	if len(b) == 0 || len(b) > 8 {
		return nil
	}
	var value uint64
	for _, digit := range b {
		value = value<<8 | uint64(digit)
	}
	if value > math.MaxInt64 {
		return nil
	}
	signed := int64(value)
	return &signed
}
