package pxe_test

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"golang.org/x/sys/unix"

	"berth/pxe"
)

// host is another host on the wire: a network namespace held by an idle child.
type host struct {
	pid   int
	iface string
	mac   net.HardwareAddr
}

// plugIn makes a host and a cable to it, with 10.9.0.1/24 at our end.
func plugIn(t testing.TB, ours, theirs string) *host {
	t.Helper()
	h := newHost(t, ours, theirs)
	run(t, "ip", "addr", "add", "10.9.0.1/24", "dev", ours)
	return h
}

// newHost makes a host and a cable to it, without addresses.
func newHost(t testing.TB, ours, theirs string) *host {
	t.Helper()
	if os.Getenv(inNamespace) == "" {
		skip(t, "network namespaces need root")
	}
	for _, tool := range []string{"ip", "nsenter", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			skip(t, tool+" is not installed")
		}
	}
	holder := exec.Command("cat") // ends with its standard input, that is with us
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	stdin, err := holder.StdinPipe()
	if err == nil {
		err = holder.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = holder.Wait()
	})
	h := &host{pid: holder.Process.Pid, iface: theirs}
	run(t, "ip", "link", "set", "lo", "up")
	run(t, "ip", "link", "add", ours, "type", "veth", "peer", "name", theirs)
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", ours).Run() })
	run(t, "ip", "link", "set", theirs, "netns", fmt.Sprint(h.pid))
	run(t, "ip", "link", "set", ours, "up")
	h.run(t, "ip", "link", "set", theirs, "up")
	h.in(t, func() error {
		ifi, err := net.InterfaceByName(theirs)
		if err == nil {
			h.mac = ifi.HardwareAddr
		}
		return err
	})
	return h
}

func (h *host) run(t testing.TB, args ...string) string {
	t.Helper()
	return run(t, append([]string{"nsenter", "-t", fmt.Sprint(h.pid), "-n"}, args...)...)
}

// in calls f on the host. Sockets that f opens stay there.
func (h *host) in(t testing.TB, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		// Not unlocked: a thread in a foreign namespace must not run anything else.
		runtime.LockOSThread()
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", h.pid))
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// A machine's way from the first packet to its kernel, asked by clients that
// share no code with the servers, with leases on disk.
func TestTogether(t *testing.T) {
	h := plugIn(t, "srv0", "cli0")
	loaders := t.TempDir()
	for _, l := range pxe.Loaders() {
		if err := os.WriteFile(filepath.Join(loaders, l), []byte(strings.Repeat(l, 9000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, "srv0", loaders, pxe.ModeServer)
	s.mu.Lock()
	s.sit = pxe.Situation{Machine: "m", Boot: pxe.BootAgent, Reason: "deploy n1"}
	s.mu.Unlock()
	var client *nclient4.Client
	h.in(t, func() (err error) {
		client, err = nclient4.New(h.iface, nclient4.WithTimeout(2*time.Second), nclient4.WithRetry(5))
		return err
	})
	defer client.Close()
	arch := dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClientSystemArchitectureType, []byte{0, 7}))
	class := dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00007:UNDI:003016"))

	firmware, err := client.Request(t.Context(), arch, class)
	if err != nil {
		t.Fatal(err)
	}
	got := firmware.ACK
	h.run(t, "ip", "addr", "add", got.YourIPAddr.String()+"/24", "dev", h.iface)
	loader := h.run(t, "curl", "-sS", "--max-time", "20", fmt.Sprintf("tftp://%v/%s", got.ServerIPAddr, got.BootFileName))
	if loader != strings.Repeat("snponly.efi", 9000) {
		t.Errorf("the loader has %d bytes", len(loader))
	}

	ipxe, err := client.Request(t.Context(), arch, class, dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionUserClassInformation, []byte("iPXE"))))
	if err != nil {
		t.Fatal(err)
	}
	if !ipxe.ACK.YourIPAddr.Equal(got.YourIPAddr) {
		t.Errorf("iPXE got %v, the firmware had %v", ipxe.ACK.YourIPAddr, got.YourIPAddr)
	}
	script := h.run(t, "curl", "-sS", "--max-time", "20", ipxe.ACK.BootFileName)
	kernel, initrd := "", ""
	for line := range strings.Lines(script) {
		f := strings.Fields(line)
		switch {
		case len(f) > 1 && f[0] == "kernel":
			kernel = f[1]
		case len(f) > 1 && f[0] == "initrd":
			initrd = f[1]
		}
	}
	for _, file := range []string{kernel, initrd} {
		u, err := url.Parse(file)
		if err != nil || u.Host != "10.9.0.1:8081" {
			t.Fatalf("script:\n%s", script)
		}
		if body := h.run(t, "curl", "-sSf", "--max-time", "20", file); len(body) < 10_000 {
			t.Errorf("%s has %d bytes", file, len(body))
		}
	}
	if !strings.Contains(script, "berth.token=one-time") || s.minted != 1 {
		t.Errorf("%d tickets, script:\n%s", s.minted, script)
	}

	// Its neighbour asks for the script in its name, and then in his own.
	h.run(t, "ip", "addr", "add", "10.9.0.77/24", "dev", h.iface)
	for _, mac := range []string{h.mac.String(), "52:54:00:00:00:99"} {
		out := h.run(t, "curl", "-sS", "--max-time", "20", "--interface", "10.9.0.77", "http://10.9.0.1:8081/ipxe?arch=7&mac="+mac)
		if strings.Contains(out, "one-time") || !strings.HasPrefix(out, "no script") {
			t.Errorf("a stranger got\n%s", out)
		}
	}

	// Accepted and done: the firmware is told to boot its disk.
	s.mu.Lock()
	s.sit = pxe.Situation{Machine: "m"}
	s.mu.Unlock()
	done, err := client.Request(t.Context(), arch, class)
	if err != nil || done.ACK.BootFileName != "" {
		t.Errorf("a machine that boots its disk got %q, %v", done.ACK.BootFileName, err)
	}
	for _, line := range []string{"dhcp.offer snponly.efi deploy", "fetch.end snponly.efi", "script agent deploy", "fetch.end vmlinuz", "refused not leased"} {
		s.await(t, 10*time.Second, strings.Fields(line)...)
	}
	if strings.Contains(s.timeline(), "one-time") {
		t.Error("the timeline has the token")
	}
}
