// Package wire is the network of a lab: a namespace of its own, a bridge as the
// switch, a tap per port, link-layer announcements, magic packets, and a way in
// from the host's loopback.
package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Prefix begins the name of every namespace the lab makes, so that a cleaner
// never touches another's.
const Prefix = "berth-lab-"

// runDir is where ip netns keeps names, so that people can look inside with it.
const runDir = "/run/netns"

// Namespace is a network namespace with a name.
type Namespace struct {
	name   string
	handle netns.NsHandle
	spawn  chan func()
	done   chan struct{} // closed when the spawning thread has ended
	once   sync.Once
}

// NewNamespace makes a namespace. It needs root.
func NewNamespace(name string) (*Namespace, error) {
	if !strings.HasPrefix(name, Prefix) || strings.ContainsAny(name, "/.") {
		return nil, fmt.Errorf("namespace %q does not begin with %s", name, Prefix)
	}
	n := &Namespace{name: name, handle: netns.None(), spawn: make(chan func()), done: make(chan struct{})}
	made := make(chan error)
	go offMain(func() { n.run(made) })
	if err := <-made; err != nil {
		return nil, fmt.Errorf("make network namespace %s: %w", name, err)
	}
	return n, nil
}

// offMain runs f in a goroutine that is not on the process's main thread: the
// main thread stands for the whole process in /proc/self and /proc/net, and must
// not change its namespace.
func offMain(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if unix.Gettid() != os.Getpid() {
		f()
		return
	}
	done := make(chan struct{})
	go func() { // on another thread, as this one is taken
		defer close(done)
		offMain(f)
	}()
	<-done
}

// run makes the namespace and stays in it on a thread of its own, from which
// processes are started: their parent-death signal follows the thread that
// made them, and this one stays as long as the namespace. It is given back at
// the end and not thrown away, since before it came here it may have started
// processes that are to live on.
func (n *Namespace) run(made chan<- error) {
	defer close(n.done)
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		made <- fmt.Errorf("remember the network namespace: %w", err)
		return
	}
	defer home.Close()
	n.handle, err = netns.NewNamed(n.name)
	if err == nil {
		err = loopbackUp()
	}
	made <- err
	if err == nil {
		for f := range n.spawn {
			f()
		}
	}
	if netns.Set(home) == nil {
		runtime.UnlockOSThread()
	}
}

func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	return netlink.LinkSetUp(lo)
}

// Name is the name under /run/netns.
func (n *Namespace) Name() string { return n.name }

// Path is the file that stands for the namespace.
func (n *Namespace) Path() string { return filepath.Join(runDir, n.name) }

// Close removes the name and ends the thread. The namespace itself, with its
// links, goes when the last process and socket in it are gone.
func (n *Namespace) Close() error {
	var err error
	n.once.Do(func() {
		close(n.spawn)
		<-n.done
		err = errors.Join(n.handle.Close(), Remove(n.name))
	})
	return err
}

// Remove deletes the name of a namespace that a dead process left, and is no
// error when there is none.
func Remove(name string) error {
	if !strings.HasPrefix(name, Prefix) || strings.ContainsAny(name, "/.") {
		return fmt.Errorf("namespace %q is not the lab's", name)
	}
	path := filepath.Join(runDir, name)
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove namespace: %w", err)
	}
	return nil
}

// Do runs f on a thread that is inside the namespace: sockets and links made by
// f belong to it. Goroutines that f starts are outside.
func (n *Namespace) Do(f func() error) error {
	errs := make(chan error, 1)
	go offMain(func() { errs <- n.inside(f) })
	return <-errs
}

func (n *Namespace) inside(f func() error) error {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("remember the network namespace: %w", err)
	}
	defer home.Close()
	if err := netns.Set(n.handle); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace %s: %w", n.name, err)
	}
	err = f()
	if back := netns.Set(home); back != nil {
		// The thread stays locked and ends with its goroutine: no other work
		// may ever run on it.
		return errors.Join(err, fmt.Errorf("leave network namespace %s: %w", n.name, back))
	}
	runtime.UnlockOSThread()
	return err
}

// Start starts a command inside the namespace, and has it killed when this
// process dies, however it dies. It is in a process group of its own: a Ctrl-C
// at the terminal is for the lab, which ends it in order.
func (n *Namespace) Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig, cmd.SysProcAttr.Setpgid = syscall.SIGKILL, true
	errs := make(chan error, 1)
	select {
	case n.spawn <- func() { errs <- cmd.Start() }:
		return <-errs
	case <-n.done:
		return fmt.Errorf("start %s: network namespace %s is closed", cmd.Path, n.name)
	}
}

// Command is exec.CommandContext for a program that runs inside the namespace.
// It gets SIGTERM when this process dies.
func (n *Namespace) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	all := append([]string{"--net=" + n.Path(), "--", name}, args...)
	cmd := exec.CommandContext(ctx, "nsenter", all...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	return cmd
}

// Listen opens a stream listener inside. The address is an IP literal and a port.
func (n *Namespace) Listen(network, address string) (l net.Listener, err error) {
	err = n.Do(func() error {
		l, err = (&net.ListenConfig{}).Listen(context.Background(), network, address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen on %s %s in %s: %w", network, address, n.name, err)
	}
	return l, nil
}

// ListenPacket opens a packet socket inside. The address is an IP literal and a
// port.
func (n *Namespace) ListenPacket(network, address string) (c net.PacketConn, err error) {
	err = n.Do(func() error {
		c, err = (&net.ListenConfig{}).ListenPacket(context.Background(), network, address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen on %s %s in %s: %w", network, address, n.name, err)
	}
	return c, nil
}

// DialContext connects from inside. The address is an IP literal and a port:
// with a name, or with several addresses, the dialer would leave the thread.
func (n *Namespace) DialContext(ctx context.Context, network, address string) (c net.Conn, err error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	if net.ParseIP(host) == nil {
		return nil, fmt.Errorf("dial %s: not an IP address", address)
	}
	err = n.Do(func() error {
		c, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("dial from %s: %w", n.name, err)
	}
	return c, nil
}
