package look

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"
)

// nvmeAdmin is struct nvme_passthru_cmd of linux/nvme_ioctl.h.
type nvmeAdmin struct {
	opcode, flags byte
	_             uint16
	namespace     uint32
	_, _          uint32
	_             uint64
	address       uint64
	_             uint32
	size          uint32
	words         [6]uint32 // command dwords 10 to 15
	timeoutMS     uint32
	_             uint32
}

const nvmeAdminCommand = 3<<30 | unsafe.Sizeof(nvmeAdmin{})<<16 | 'N'<<8 | 0x41

// nvmeLog reads a log page of the controller (NVMe base 2.0, 5.16).
func nvmeLog(device string, page byte, size uint32) ([]byte, error) {
	file, err := openDevice(device)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	reply := make([]byte, size)
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&reply[0])
	command := &nvmeAdmin{
		opcode: 0x02, namespace: 0xffffffff, address: uint64(uintptr(unsafe.Pointer(&reply[0]))), size: size,
		timeoutMS: uint32(deviceTimeout / time.Millisecond),
	}
	command.words[0] = (size/4-1)<<16 | uint32(page)
	if err := ioctl(file.Fd(), nvmeAdminCommand, unsafe.Pointer(command)); err != nil {
		return nil, fmt.Errorf("read NVMe log page %#02x of %s: %w", page, device, err)
	}
	return reply, nil
}

// scsiHeader is struct sg_io_hdr of scsi/sg.h.
type scsiHeader struct {
	kind         int32
	direction    int32
	commandSize  byte
	senseSize    byte
	_            uint16
	size         uint32
	data         unsafe.Pointer
	command      unsafe.Pointer
	sense        unsafe.Pointer
	timeoutMS    uint32
	flags        uint32
	_            int32
	_            unsafe.Pointer
	status       byte
	_, _         byte
	senseWritten byte
	hostStatus   uint16
	driverStatus uint16
	residual     int32
	_, _         uint32
}

const (
	scsiIO         = 0x2285 // SG_IO
	scsiNoData     = -1
	scsiFromDevice = -3
	checkCondition = 0x02
	driverSense    = 0x08
)

// scsiReply is what came of one command.
type scsiReply struct {
	data, sense []byte
	status      byte
}

// scsiCommand sends a command that reads at most size bytes.
func scsiCommand(device string, command []byte, size uint32) (scsiReply, error) {
	file, err := openDevice(device)
	if err != nil {
		return scsiReply{}, err
	}
	defer file.Close()
	sense, data := make([]byte, 64), make([]byte, max(size, 1))
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&command[0])
	pin.Pin(&sense[0])
	pin.Pin(&data[0])
	header := &scsiHeader{
		kind: 'S', direction: scsiFromDevice, size: size, timeoutMS: uint32(deviceTimeout / time.Millisecond),
		command: unsafe.Pointer(&command[0]), commandSize: byte(len(command)),
		sense: unsafe.Pointer(&sense[0]), senseSize: byte(len(sense)), data: unsafe.Pointer(&data[0]),
	}
	if size == 0 {
		header.direction, header.data = scsiNoData, nil
	}
	if err := ioctl(file.Fd(), scsiIO, unsafe.Pointer(header)); err != nil {
		return scsiReply{}, fmt.Errorf("send SCSI command %#02x to %s: %w", command[0], device, err)
	}
	if header.hostStatus != 0 || header.driverStatus&^driverSense != 0 {
		return scsiReply{}, fmt.Errorf("SCSI command %#02x did not reach %s: host status %#x, driver status %#x", command[0], device, header.hostStatus, header.driverStatus)
	}
	got := min(max(int(size)-int(header.residual), 0), int(size))
	return scsiReply{data: data[:got], sense: sense[:min(int(header.senseWritten), len(sense))], status: header.status}, nil
}

// logSense reads a log page with its current values (SPC-4, 6.6).
func logSense(page byte) func(string) ([]byte, error) {
	return func(device string) ([]byte, error) {
		const size = 512
		reply, err := scsiCommand(device, []byte{0x4d, 0, 1<<6 | page, 0, 0, 0, 0, size >> 8, size & 0xff, 0}, size)
		if err == nil && reply.status != 0 {
			err = fmt.Errorf("%s has no log page %#02x: %w", device, page, errNotAsked)
		}
		return reply.data, err
	}
}

// ataPassThrough wraps an ATA command that reads one sector, or nothing (SAT-4, 12.2.2).
func ataPassThrough(sector bool, command, feature byte) []byte {
	protocol, flags, count := byte(3<<1), byte(0x20), byte(0) // no data; ask for the registers in any case
	if sector {
		protocol, flags, count = 4<<1, 0x0e, 1 // PIO in; from the device, the count in sectors
	}
	const signatureMid, signatureHigh = 0x4f, 0xc2 // every SMART command carries them
	return []byte{0x85, protocol, flags, 0, feature, 0, count, 0, 0, 0, signatureMid, 0, signatureHigh, 0, command, 0}
}

func ataSector(command, feature byte) func(string) ([]byte, error) {
	return func(device string) ([]byte, error) {
		reply, err := scsiCommand(device, ataPassThrough(true, command, feature), 512)
		if err == nil && (reply.status != 0 || len(reply.data) != 512) {
			err = fmt.Errorf("%s does not answer ATA command %#02x %#02x: %w", device, command, feature, errNotAsked)
		}
		return reply.data, err
	}
}

// ataSmartStatus asks for the verdict, which comes back in the registers that the signature went out in.
func ataSmartStatus(device string) ([]byte, error) {
	reply, err := scsiCommand(device, ataPassThrough(false, 0xb0, 0xda), 0)
	if err != nil {
		return nil, err
	}
	passed, err := ataVerdict(reply.sense)
	if err != nil {
		return nil, fmt.Errorf("ask %s for its SMART status: %w", device, err)
	}
	if passed {
		return []byte{1}, nil
	}
	return []byte{0}, nil
}

// scsiQuestions are put through SG_IO.
var scsiQuestions = map[Question]func(device string) ([]byte, error){
	AskATASmartData:    ataSector(0xb0, 0xd0),
	AskATASmartStatus:  ataSmartStatus,
	AskSCSIHealth:      logSense(0x2f),
	AskSCSITemperature: logSense(0x0d),
	AskSCSICycles:      logSense(0x0e),
	AskSCSIBackground:  logSense(0x15),
	AskSCSIWear:        logSense(0x11),
	AskSCSIReads:       logSense(0x03),
	AskSCSIWrites:      logSense(0x02),
}
