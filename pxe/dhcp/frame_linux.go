package dhcp

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

type rawConn = syscall.RawConn

// control runs f on the descriptor of c and returns the first error.
func control(c rawConn, f func(fd int) error) error {
	var err error
	if cerr := c.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}

// frameConn is a packet socket of one interface. The kernel writes and strips
// the link header, so that it works alike on Ethernet and InfiniBand.
type frameConn struct {
	*os.File
	index int
}

// openFrameConn opens a packet socket for IPv4. Without a filter it only sends.
func openFrameConn(index int, filter []bpf.Instruction) (*frameConn, error) {
	proto := 0 // none: nothing is received, so nothing piles up
	if filter != nil {
		proto = unix.ETH_P_IP
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	f := &frameConn{os.NewFile(uintptr(fd), "packet socket"), index}
	// The filter comes before the bind that turns reception on, so that nothing
	// unfiltered is ever in the queue.
	if filter != nil {
		err = attach(fd, filter)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: hostToNet(uint16(proto)), Ifindex: index})
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("bind a packet socket: %w", err)
	}
	return f, nil
}

func hostToNet(n uint16) uint16 {
	return binary.NativeEndian.Uint16([]byte{byte(n >> 8), byte(n)})
}

func attach(fd int, filter []bpf.Instruction) error {
	raw, err := bpf.Assemble(filter)
	if err != nil {
		return err
	}
	prog := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		prog[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]})
}

// fromServerPort passes unfragmented IPv4 UDP packets from this source port.
func fromServerPort(port uint16) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.IPPROTO_UDP, SkipFalse: 6},
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 4},
		bpf.LoadMemShift{Off: 0},
		bpf.LoadIndirect{Off: 0, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipFalse: 1},
		bpf.RetConstant{Val: maxPacket},
		bpf.RetConstant{Val: 0},
	}
}

// sendUDP sends a UDP datagram to a station by its hardware address. It is for
// clients that have been promised an address and cannot answer ARP for it yet.
func (f *frameConn) sendUDP(mac net.HardwareAddr, from, to netip.AddrPort, payload []byte) error {
	return f.send(mac, unix.ETH_P_IP, udpPacket(from, to, payload))
}

// send sends a packet to a station.
func (f *frameConn) send(mac net.HardwareAddr, proto uint16, packet []byte) error {
	to := &unix.SockaddrLinklayer{Protocol: hostToNet(proto), Ifindex: f.index, Halen: uint8(len(mac))}
	if copy(to.Addr[:], mac) < len(mac) {
		return fmt.Errorf("send to %v: the address is too long for a packet socket", mac)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return control(raw, func(fd int) error { return unix.Sendto(fd, packet, 0, to) })
}

// udpPacket is an IPv4 packet (RFC 791) with a UDP datagram (RFC 768).
func udpPacket(from, to netip.AddrPort, payload []byte) []byte {
	b := make([]byte, headers, headers+len(payload))
	b[0] = 0x45
	binary.BigEndian.PutUint16(b[2:], uint16(headers+len(payload)))
	b[6] = 0x40 // do not fragment
	b[8] = 64
	b[9] = unix.IPPROTO_UDP
	putAddr(b[12:], from.Addr())
	putAddr(b[16:], to.Addr())
	binary.BigEndian.PutUint16(b[10:], ^sum(0, b[:20]))
	udp := b[20:]
	binary.BigEndian.PutUint16(udp[0:], from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(payload)))
	pseudo := uint32(unix.IPPROTO_UDP) + uint32(8+len(payload))
	check := ^sum(uint32(sum(uint32(sum(pseudo, b[12:20])), udp)), payload)
	if check == 0 {
		check = 0xffff // 0 means that there is none
	}
	binary.BigEndian.PutUint16(udp[6:], check)
	return append(b, payload...)
}

// sum is the Internet checksum (RFC 1071) before its complement. All parts but
// the last must have even length.
func sum(acc uint32, b []byte) uint16 {
	for ; len(b) >= 2; b = b[2:] {
		acc += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		acc += uint32(b[0]) << 8
	}
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return uint16(acc)
}

// udpPayload is the inverse of udpPacket, for packets that passed fromServerPort.
func udpPayload(b []byte) (from netip.Addr, payload []byte, ok bool) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return from, nil, false
	}
	ihl := int(b[0]&15) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	if ihl < 20 || total < ihl+8 || total > len(b) {
		return from, nil, false
	}
	return netip.AddrFrom4([4]byte(b[12:16])), b[ihl+8 : total], true
}
