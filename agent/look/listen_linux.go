package look

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Listener keeps the last LLDP frame heard on each port. It only listens.
type Listener struct {
	mu     sync.Mutex
	frames map[string][]byte
	heard  chan struct{}
}

// NewListener returns a Listener that has heard nothing.
func NewListener() *Listener {
	return &Listener{frames: map[string][]byte{}, heard: make(chan struct{}, 1)}
}

// Heard says that a neighbour was heard that was not known or says something new.
func (l *Listener) Heard() <-chan struct{} { return l.heard }

// Listen hears LLDP on the named ports, which must be up, until ctx ends.
func (l *Listener) Listen(ctx context.Context, ports []string) error {
	protocol := int(uint16(lldpEtherType&0xff)<<8 | lldpEtherType>>8) // network order
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return fmt.Errorf("listen for LLDP: %w", err)
	}
	defer unix.Close(socket)
	for _, name := range ports {
		if err := joinLLDP(socket, name); err != nil {
			return fmt.Errorf("listen for LLDP on %s: %w", name, err)
		}
	}
	frame := make([]byte, LLDPFrameLimit)
	for ctx.Err() == nil {
		if waitReadable(socket, 500*time.Millisecond) != nil {
			continue
		}
		size, from, err := unix.Recvfrom(socket, frame, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.ENETDOWN) || errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return fmt.Errorf("hear LLDP: %w", err)
		}
		if link, ok := from.(*unix.SockaddrLinklayer); ok && link.Pkttype != unix.PACKET_OUTGOING {
			l.keep(link.Ifindex, frame[:size])
		}
	}
	return nil
}

// joinLLDP makes a port deliver the frames sent to the nearest bridge (802.1AB, 7.1), which it would else drop.
func joinLLDP(socket int, name string) error {
	port, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	group := unix.PacketMreq{Ifindex: int32(port.Index), Type: unix.PACKET_MR_MULTICAST, Alen: 6}
	copy(group.Address[:], []byte{0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e})
	return unix.SetsockoptPacketMreq(socket, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &group)
}

// keep stores a frame and tells of it if it is one and is news.
func (l *Listener) keep(index int, frame []byte) {
	port, err := net.InterfaceByIndex(index)
	if err != nil {
		return
	}
	if _, err := ParseLLDP(frame); err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.Equal(l.frames[port.Name], frame) || len(l.frames) >= nicLimit {
		return
	}
	l.frames[port.Name] = slices.Clone(frame)
	select {
	case l.heard <- struct{}{}:
	default:
	}
}

func (l *Listener) frame(port string) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	frame, heard := l.frames[port]
	if !heard {
		return nil, fs.ErrNotExist
	}
	return frame, nil
}
