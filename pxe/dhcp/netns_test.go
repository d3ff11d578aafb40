package dhcp

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The tests that need a wire run in network namespaces that have no name and
// end with their processes, so nothing is left behind whatever happens: as root
// the whole test binary starts itself again in a namespace of its own, which is
// the server's host; the clients' host is the namespace of an idle child.
const inNamespace = "BERTH_TEST_DHCP_NETNS"

func TestMain(m *testing.M) {
	if os.Getenv(inNamespace) != "" || os.Geteuid() != 0 {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig is about the thread
	err := cmd.Run()
	if exit, ok := err.(*exec.ExitError); ok {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the tests in a network namespace:", err)
		os.Exit(1)
	}
}

// skip skips a test that cannot run here; in CI that is a failure.
func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal("must not be skipped in CI: " + why)
	}
	t.Skip("SKIPPED: " + why)
}

// cable is a veth pair: srv in this namespace, cli in the clients'.
type cable struct {
	srv, cli string
	pid      int // of the child that holds the clients' namespace
}

var cables struct {
	sync.Mutex
	n int
}

// lay makes a cable, with the server's end at addr ("10.9.0.1/24").
func lay(t testing.TB, addr string) *cable {
	t.Helper()
	if os.Getenv(inNamespace) == "" {
		skip(t, "network namespaces need root")
	}
	for _, tool := range []string{"ip", "nsenter", "cat"} {
		if _, err := exec.LookPath(tool); err != nil {
			skip(t, tool+" is not installed")
		}
	}
	pid := holdNamespace(t)
	cables.Lock()
	cables.n++
	c := &cable{srv: fmt.Sprintf("srv%d", cables.n), cli: fmt.Sprintf("cli%d", cables.n), pid: pid}
	cables.Unlock()
	run(t, "ip", "link", "set", "lo", "up")
	run(t, "ip", "link", "add", c.srv, "type", "veth", "peer", "name", c.cli)
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", c.srv).Run() })
	run(t, "ip", "link", "set", c.cli, "netns", fmt.Sprint(c.pid))
	run(t, "ip", "addr", "add", addr, "dev", c.srv)
	run(t, "ip", "link", "set", c.srv, "up")
	c.run(t, "ip", "link", "set", "lo", "up")
	c.run(t, "ip", "link", "set", c.cli, "up")
	return c
}

// holdNamespace makes a host: a network namespace, held by an idle child.
func holdNamespace(t testing.TB) (pid int) {
	t.Helper()
	holder := exec.Command("cat") // ends with its standard input, that is with us
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = holder.Wait()
	})
	return holder.Process.Pid
}

func run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// run runs a program on the clients' host.
func (c *cable) run(t testing.TB, args ...string) string {
	t.Helper()
	return run(t, append([]string{"nsenter", "-t", fmt.Sprint(c.pid), "-n"}, args...)...)
}

// in calls f on the clients' host. Sockets that f opens stay there.
func (c *cable) in(t testing.TB, f func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		// Not unlocked: a thread in a foreign namespace must not run anything else.
		runtime.LockOSThread()
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", c.pid))
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal("enter the clients' namespace:", err)
	}
}

// mac is the hardware address of the client's end.
func (c *cable) mac(t testing.TB) (mac net.HardwareAddr) {
	t.Helper()
	c.in(t, func() {
		if ifi, err := net.InterfaceByName(c.cli); err == nil {
			mac = ifi.HardwareAddr
		}
	})
	if mac == nil {
		t.Fatal("no client interface")
	}
	return mac
}
