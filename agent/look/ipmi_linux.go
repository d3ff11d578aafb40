package look

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The interface of linux/ipmi.h to the BMC of this machine.

type ipmiRequest struct {
	function, command byte
	data              []byte
}

// ipmiMessage is struct ipmi_msg.
type ipmiMessage struct {
	function, command byte
	size              uint16
	data              unsafe.Pointer
}

// ipmiAddress is struct ipmi_system_interface_addr: the BMC itself, not what it bridges to.
type ipmiAddress struct {
	kind    int32
	channel int16
	lun     byte
	_       byte
}

type ipmiSend struct { // struct ipmi_req
	address     unsafe.Pointer
	addressSize uint32
	id          int64
	message     ipmiMessage
}

type ipmiReceive struct { // struct ipmi_recv
	kind        int32
	address     unsafe.Pointer
	addressSize uint32
	id          int64
	message     ipmiMessage
}

const (
	ipmiSystemInterface = 0x0c // IPMI_SYSTEM_INTERFACE_ADDR_TYPE
	ipmiBMCChannel      = 0x0f // IPMI_BMC_CHANNEL
	ipmiReplyLimit      = 272  // IPMI_MAX_MSG_LENGTH
	ipmiSendCommand     = 2<<30 | unsafe.Sizeof(ipmiSend{})<<16 | 'i'<<8 | 13
	ipmiReceiveTruncate = 3<<30 | unsafe.Sizeof(ipmiReceive{})<<16 | 'i'<<8 | 11
)

// askIPMI sends one request to the BMC and returns its reply without the completion code.
func askIPMI(device string, request ipmiRequest) ([]byte, error) {
	file, err := openDevice(device)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	// The file is only used through its number here, and closed after.
	fd := file.Fd()
	var pin runtime.Pinner
	defer pin.Unpin()

	address := &ipmiAddress{kind: ipmiSystemInterface, channel: ipmiBMCChannel}
	pin.Pin(address)
	send := &ipmiSend{address: unsafe.Pointer(address), addressSize: uint32(unsafe.Sizeof(*address)), id: 1}
	send.message = ipmiMessage{function: request.function, command: request.command, size: uint16(len(request.data))}
	if len(request.data) > 0 {
		pin.Pin(&request.data[0])
		send.message.data = unsafe.Pointer(&request.data[0])
	}
	if err := ioctl(fd, ipmiSendCommand, unsafe.Pointer(send)); err != nil {
		return nil, fmt.Errorf("send IPMI request %02x %02x: %w", request.function, request.command, err)
	}
	if err := waitReadable(int(fd), deviceTimeout); err != nil {
		return nil, fmt.Errorf("wait for the reply to IPMI request %02x %02x: %w", request.function, request.command, err)
	}

	reply := make([]byte, ipmiReplyLimit)
	pin.Pin(&reply[0])
	receive := &ipmiReceive{address: unsafe.Pointer(address), addressSize: uint32(unsafe.Sizeof(*address))}
	receive.message = ipmiMessage{size: ipmiReplyLimit, data: unsafe.Pointer(&reply[0])}
	if err := ioctl(fd, ipmiReceiveTruncate, unsafe.Pointer(receive)); err != nil {
		return nil, fmt.Errorf("receive the reply to IPMI request %02x %02x: %w", request.function, request.command, err)
	}
	reply = reply[:min(int(receive.message.size), len(reply))]
	if len(reply) == 0 {
		return nil, errors.New("the BMC's reply is empty")
	}
	if reply[0] != 0 {
		return nil, fmt.Errorf("the BMC answered IPMI request %02x %02x with code %#02x", request.function, request.command, reply[0])
	}
	return reply[1:], nil
}

// waitReadable waits until a descriptor has something to read.
func waitReadable(fd int, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return errors.New("no answer in time")
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left/time.Millisecond)+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if n > 0 {
			return nil
		}
	}
}

// lanChannels are where BMCs keep their LAN port: 1 by custom, else 2 (a dedicated one), 8 (Supermicro and Quanta), 3.
var lanChannels = []byte{1, 2, 8, 3}

// askLAN reads a parameter of Get LAN Configuration Parameters (IPMI 2.0, 23.2) of the first channel that has it.
func askLAN(device string, parameter byte) ([]byte, error) {
	var reply []byte
	var err error
	for _, channel := range lanChannels {
		reply, err = askIPMI(device, ipmiRequest{function: 0x0c, command: 0x02, data: []byte{channel, parameter, 0, 0}})
		if err == nil {
			return reply, nil
		}
	}
	return nil, err
}
