package boot

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"golang.org/x/sys/unix"
)

// ack is a lease as a server gives it.
func ack(t *testing.T, modifiers ...dhcpv4.Modifier) *Lease {
	t.Helper()
	packet, err := dhcpv4.New(modifiers...)
	if err != nil {
		t.Fatal(err)
	}
	return &Lease{Port: "eth0", lease: &nclient4.Lease{ACK: packet, CreationTime: time.Now()}}
}

func TestLeaseAddress(t *testing.T) {
	good := []dhcpv4.Modifier{dhcpv4.WithYourIP(net.IPv4(10, 77, 0, 100)), dhcpv4.WithNetmask(net.CIDRMask(24, 32))}
	if l := ack(t, good...); l.String() != "10.77.0.100/24 on eth0" {
		t.Errorf("lease %s", l)
	}
	for name, l := range map[string]*Lease{
		"no mask":    ack(t, good[0]),
		"no address": ack(t, good[1]),
		"zero mask":  ack(t, good[0], dhcpv4.WithNetmask(net.CIDRMask(0, 32))),
		"odd mask":   ack(t, good[0], dhcpv4.WithNetmask(net.IPv4Mask(255, 0, 255, 0))),
	} {
		if address, err := l.address(); err == nil {
			t.Errorf("%s: %s", name, address)
		}
	}
}

func TestRenewAfter(t *testing.T) {
	for name, c := range map[string]struct {
		modifiers []dhcpv4.Modifier
		want      time.Duration
	}{
		"half of the lease": {[]dhcpv4.Modifier{dhcpv4.WithLeaseTime(7200)}, time.Hour},
		"as told": {[]dhcpv4.Modifier{dhcpv4.WithLeaseTime(7200),
			dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionRenewTimeValue, []byte{0, 0, 2, 88}))}, 10 * time.Minute},
		"nothing told": {nil, 30 * time.Minute},
		"no time":      {[]dhcpv4.Modifier{dhcpv4.WithLeaseTime(0)}, shortestHold},
		"for ever":     {[]dhcpv4.Modifier{dhcpv4.WithLeaseTime(0xffffffff)}, longestHold},
	} {
		if got := renewAfter(ack(t, c.modifiers...).lease).Round(time.Second); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// sysfs makes ports with a device, and whether they have a link.
func sysfs(t *testing.T, links map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, carrier := range links {
		dir := filepath.Join(root, "sys/class/net", name)
		if err := os.MkdirAll(filepath.Join(dir, "device"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "carrier"), []byte(carrier+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "sys/class/net/lo"), 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestPortsWithALinkAreAsked(t *testing.T) {
	n := &Network{Root: sysfs(t, map[string]string{"test-a": "1", "test-b": "0", "test-c": "1"})}
	if got := strings.Join(n.Ports(), " "); got != "test-a test-b test-c" {
		t.Errorf("ports %q", got)
	}
	if got := strings.Join(n.askable(false), " "); got != "test-a test-c" {
		t.Errorf("with no boot port known, %q are asked", got)
	}
	if got := n.describeLinks(); got != "waiting for an address: test-a link, test-b no link, test-c link" {
		t.Errorf("said %q", got)
	}
	n.BootMAC = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	if got := n.askable(false); len(got) != 0 {
		t.Errorf("before the boot port is there, %q are asked", got)
	}
	if got := strings.Join(n.askable(true), " "); got != "test-a test-c" {
		t.Errorf("when the boot port gave nothing, %q are asked", got)
	}
	if got := (&Network{Root: t.TempDir()}).describeLinks(); !strings.Contains(got, "no network port") {
		t.Errorf("without ports: %q", got)
	}
}

func TestWriteResolvers(t *testing.T) {
	n := &Network{Root: t.TempDir()}
	servers := []net.IP{net.IPv4(10, 0, 0, 1), net.IPv4(10, 0, 0, 2), net.IPv4(10, 0, 0, 3), net.IPv4(10, 0, 0, 4)}
	if err := n.writeResolvers(servers); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(n.Root, "etc/resolv.conf"))
	if err != nil || string(got) != "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// A console that takes nothing holds up neither who speaks nor, for long, the others.
func TestStuckConsole(t *testing.T) {
	var stuck, good [2]int
	for _, pipe := range []*[2]int{&stuck, &good} {
		if err := unix.Pipe2(pipe[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(pipe[0])
		defer unix.Close(pipe[1])
	}
	for full := bytes.Repeat([]byte("x"), 4096); ; {
		if _, err := unix.Write(stuck[1], full); err != nil {
			break
		}
	}
	c := &Console{lines: make(chan string, 2), fds: []int{stuck[1], good[1]}}
	for range 5 { // more than the queue holds
		c.Say("a sentence")
	}
	go c.write()
	c.Flush(testLimit)
	got := make([]byte, 4096)
	size, err := unix.Read(good[0], got)
	if lines := bytes.Count(got[:max(size, 0)], []byte("a sentence\r\n")); err != nil || lines != 2 {
		t.Errorf("the other console has %d lines, %v", lines, err)
	}
}

const testLimit = 30 * time.Second

func TestParseKernelRecord(t *testing.T) {
	for record, want := range map[string]string{
		"3,1205,9876543,-;blk_update_request: I/O error, dev sda\n SUBSYSTEM=block\n": "blk_update_request: I/O error, dev sda",
		"0,1,0,-;Kernel panic":           "Kernel panic",
		"4,1206,9876543,-;a warning\n":   "",
		"6,1207,9876543,-;information\n": "",
		"11,1208,1,-;a daemon's error\n": "",
		"-1,1,1,-;nonsense":              "",
		"x;y":                            "",
		"3,1":                            "",
		"":                               "",
		"3,1,1,-;\n":                     "",
	} {
		if got, bad := parseKernelRecord(record); got != want || bad != (want != "") {
			t.Errorf("parseKernelRecord(%q) = %q, %t", record, got, bad)
		}
	}
}

func FuzzKernelRecord(f *testing.F) {
	f.Add("3,1205,9876543,-;text\n KEY=value\n")
	f.Fuzz(func(_ *testing.T, record string) { parseKernelRecord(record) })
}
