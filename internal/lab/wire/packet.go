package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// maxFrame is the largest frame the wire carries, with room for offloads.
const maxFrame = 65536

// Tap is a raw socket on a link: it sees every frame, in both directions, and
// can send.
type Tap struct {
	file  *os.File
	index int
}

// OpenTap opens a raw socket on a link of the namespace. Close it.
func (n *Namespace) OpenTap(link string) (t *Tap, err error) {
	err = n.Do(func() error {
		ifi, err := net.InterfaceByName(link)
		if err != nil {
			return fmt.Errorf("find %s: %w", link, err)
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_ALL)))
		if err != nil {
			return fmt.Errorf("raw socket: %w", err)
		}
		at := &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: ifi.Index}
		if err := unix.Bind(fd, at); err != nil {
			unix.Close(fd)
			return fmt.Errorf("raw socket on %s: %w", link, err)
		}
		// A file of a non-blocking descriptor waits in Go's poller, and Close
		// ends a Read.
		t = &Tap{file: os.NewFile(uintptr(fd), "raw socket on "+link), index: ifi.Index}
		return nil
	})
	return t, err
}

func htons(v uint16) uint16 { return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v)) }

// Close ends the socket, and a Read that waits on it.
func (t *Tap) Close() error { return t.file.Close() }

// Read returns the next frame.
func (t *Tap) Read(frame []byte) (int, error) { return t.file.Read(frame) }

// Write sends a frame out of the link.
func (t *Tap) Write(frame []byte) (int, error) { return t.file.Write(frame) }

// Frames calls see with each frame until it returns false or ctx ends, which is
// then the error. The frame is see's only during the call.
func (t *Tap) Frames(ctx context.Context, see func(frame []byte) bool) error {
	stop := context.AfterFunc(ctx, func() { t.Close() })
	defer stop()
	buf := make([]byte, maxFrame)
	for {
		n, err := t.file.Read(buf)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, unix.ENETDOWN) { // the link went down and may come up again
				continue
			}
			return fmt.Errorf("read frames: %w", err)
		}
		if !see(buf[:n]) {
			return nil
		}
	}
}

// WakeTarget finds a magic packet in a frame: six bytes of ones and then the
// sleeper's address sixteen times, anywhere in it, so that it may come by UDP to
// any port, or bare with Ethernet type 0842h.
func WakeTarget(frame []byte) (net.HardwareAddr, bool) {
	const times, size = 16, 6
	run := 0
	for i, b := range frame {
		if b != 0xff {
			run = 0
			continue
		}
		if run++; run < size || len(frame)-i-1 < times*size {
			continue
		}
		rest := frame[i+1:]
		mac := rest[:size]
		same := true
		for j := 1; j < times && same; j++ {
			same = string(rest[j*size:(j+1)*size]) == string(mac)
		}
		if same && string(mac) != "\xff\xff\xff\xff\xff\xff" {
			return append(net.HardwareAddr(nil), mac...), true
		}
	}
	return nil, false
}
