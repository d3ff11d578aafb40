package look

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A switch on the other end of a cable is heard, once for each thing it says anew.
func TestListenerHearsTheOtherEnd(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("networks need root")
		}
		t.Skip("SKIPPED: networks need root")
	}
	const limit = 30 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	l := NewListener()
	type wire struct {
		socket int
		err    error
	}
	ready, ended := make(chan wire, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the network of its own ends with the thread
		socket, err := cable()
		ready <- wire{socket, err}
		if err == nil {
			ended <- l.Listen(ctx, []string{"wire-a"})
		}
	}()
	w := <-ready
	if w.err != nil {
		t.Fatal(w.err)
	}
	defer unix.Close(w.socket)
	first := frame(t, chassisMAC, portName, timeToLive, sysName, endOfFrame)
	second := frame(t, chassisMAC, portName, timeToLive, portText, endOfFrame)
	for i, raw := range [][]byte{first, second} {
		for heard := false; !heard; { // the first may be sent before anybody listens
			if _, err := unix.Write(w.socket, []byte("too short to be anything, but sent")); err != nil {
				t.Fatal(err)
			}
			if _, err := unix.Write(w.socket, raw); err != nil {
				t.Fatal(err)
			}
			select {
			case <-l.Heard():
				heard = true
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				t.Fatalf("frame %d is not heard", i)
			}
		}
		got, err := l.frame("wire-a")
		if err != nil || string(got) != string(raw) {
			t.Errorf("frame %d is kept as %x, %v", i, got, err)
		}
	}
	if got, err := l.frame("wire-b"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("on the other port %x, %v", got, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("listen: %v", err)
	}
}

// cable gives the calling thread a network with two ports that are the ends of one cable, and a socket that sends from wire-b.
func cable() (int, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return 0, fmt.Errorf("make a network: %w", err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "wire-a"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "wire-b"}); err != nil {
		return 0, fmt.Errorf("make a cable: %w", err)
	}
	index := 0
	for _, name := range []string{"wire-a", "wire-b"} {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			return 0, fmt.Errorf("bring %s up: %w", name, err)
		}
		index = link.Attrs().Index
	}
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open a socket: %w", err)
	}
	return socket, unix.Bind(socket, &unix.SockaddrLinklayer{Ifindex: index})
}
