package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"berth/internal/lab"
)

// packet is what is read of one frame: who sent it, through which ports, and how much it carried.
type packet struct {
	at          time.Time
	fromMachine bool
	udp         bool
	client      uint16 // the machine's port
	server      uint16 // the other one's
	payload     int    // bytes above UDP or TCP
}

// sniffer notes every packet between a machine and the network. The kernel stamps the packets: on a busy host this process may read
// them late.
type sniffer struct {
	file *os.File
	mac  net.HardwareAddr
	done chan error
	seen []packet
}

// sniffBuffer holds what arrives while this process does not run.
const sniffBuffer = 256 << 20

func sniff(m *lab.Machine, rack *lab.Rack) (*sniffer, error) {
	s := &sniffer{mac: m.Server().NICs[0].MAC, done: make(chan error, 1)}
	err := rack.Do(func() error {
		ifi, err := net.InterfaceByName(m.Taps()[0])
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		s.file = os.NewFile(uintptr(fd), "capture")
		protocol := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, sniffBuffer),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: ifi.Index}))
	})
	if err != nil {
		return nil, fmt.Errorf("listen on the wire of %s: %w", m.Name(), err)
	}
	go func() { s.done <- s.read() }()
	return s, nil
}

// read runs until the socket is closed.
func (s *sniffer) read() error {
	raw, err := s.file.SyscallConn()
	if err != nil {
		return err
	}
	frame, control := make([]byte, 128), make([]byte, 128)
	for {
		var n, nControl int
		var got error
		err := raw.Read(func(fd uintptr) bool {
			n, nControl, _, _, got = unix.Recvmsg(int(fd), frame, control, unix.MSG_DONTWAIT)
			return got != unix.EAGAIN
		})
		switch {
		case err != nil: // closed
			return nil
		case got == unix.ENETDOWN, got == unix.EINTR: // a machine that is off has no carrier
			continue
		case got != nil:
			return got
		}
		if p, ok := parse(frame[:n], s.mac); ok {
			p.at = stamp(control[:nControl])
			s.seen = append(s.seen, p)
		}
	}
}

// stamp is the kernel's time of a packet.
func stamp(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err == nil {
		for _, m := range messages {
			if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
				return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
			}
		}
	}
	return time.Now()
}

// stop ends the capture and returns what was seen.
func (s *sniffer) stop(ctx context.Context) ([]packet, error) {
	s.file.Close()
	select {
	case err := <-s.done:
		return s.seen, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// parse reads the headers of an Ethernet frame with IPv4 in it; lengths come from the headers, since the frame may be cut.
func parse(frame []byte, machine net.HardwareAddr) (packet, bool) {
	var p packet
	if len(frame) < 14+20 || binary.BigEndian.Uint16(frame[12:]) != unix.ETH_P_IP {
		return p, false
	}
	p.fromMachine = string(frame[6:12]) == string(machine)
	ip := frame[14:]
	header, total := int(ip[0]&0x0f)*4, int(binary.BigEndian.Uint16(ip[2:]))
	if header < 20 || len(ip) < header+14 {
		return p, false
	}
	if binary.BigEndian.Uint16(ip[6:])&0x1fff != 0 { // not the first fragment
		return p, false
	}
	above := ip[header:]
	from, to := binary.BigEndian.Uint16(above), binary.BigEndian.Uint16(above[2:])
	switch ip[9] {
	case unix.IPPROTO_UDP:
		p.udp, p.payload = true, total-header-8
	case unix.IPPROTO_TCP:
		p.payload = total - header - int(above[12]>>4)*4
	default:
		return p, false
	}
	p.client, p.server = to, from
	if p.fromMachine {
		p.client, p.server = from, to
	}
	return p, true
}
