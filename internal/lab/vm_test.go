package lab

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"berth/internal/lab/hardware"
	"berth/internal/lab/vbmc"
	"berth/internal/lab/wire"
)

// needVM skips what starts machines, unless make asked for it.
func needVM(t *testing.T) {
	t.Helper()
	if os.Getenv("BERTH_TEST_VM") == "" {
		t.Skip("SKIPPED: BERTH_TEST_VM is not set; NO virtual machine is tested")
	}
}

// needRack skips without root or QEMU, and fails in CI.
func needRack(t *testing.T, spec Spec) {
	t.Helper()
	filled, err := spec.fill()
	if err != nil {
		t.Fatal(err)
	}
	if err := filled.Missing(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("CI never skips: %v", err)
		}
		t.Skipf("SKIPPED: the lab is NOT tested: %v", err)
	}
}

// startRack starts a rack for a test and ends it, holding that nothing is left.
func startRack(t *testing.T, spec Spec) *Rack {
	t.Helper()
	needRack(t, spec)
	if testing.Verbose() {
		spec.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	r, err := Start(t.Context(), spec, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
		for _, left := range []string{"/run/netns/" + r.Namespace(), r.run} {
			if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is left: %v", left, err)
			}
		}
	})
	return r
}

// firstDHCP waits for the first DHCP message of a machine on its wire.
func firstDHCP(t *testing.T, m *Machine, tap *wire.Tap) *dhcpv4.DHCPv4 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var seen *dhcpv4.DHCPv4
	err := tap.Frames(ctx, func(frame []byte) bool {
		const ethernet, udp, serverPort = 14, 8, 67
		if len(frame) < ethernet+20 || frame[12] != 0x08 || frame[13] != 0x00 || frame[ethernet+9] != 17 {
			return true
		}
		payload := frame[ethernet+int(frame[ethernet]&0x0f)*4:]
		if len(payload) < udp || payload[2] != 0 || payload[3] != serverPort {
			return true
		}
		packet, err := dhcpv4.FromBytes(payload[udp:])
		if err != nil {
			t.Errorf("a DHCP message that is none: %v", err)
			return true
		}
		seen = packet
		return false
	})
	if err != nil {
		console, _ := m.Console()
		t.Fatalf("no DHCP message of %s: %v; its console:\n%s", m.Name(), err, console)
	}
	return seen
}

// TestVMFirmwareAsksTheNetwork boots each firmware by its controller until it
// asks for an address.
func TestVMFirmwareAsksTheNetwork(t *testing.T) {
	needVM(t)
	cases := []struct {
		name     string
		server   hardware.Server
		protocol vbmc.Protocol
		class    string
	}{
		{"bios", hardware.Server{Name: "one", Firmware: hardware.BIOS}, vbmc.IPMI, "PXEClient:Arch:00000"},
		{"uefi", hardware.Server{Name: "two", Firmware: hardware.UEFI}, vbmc.Redfish, "PXEClient:Arch:00007"},
		{"uefi-http", hardware.Server{Name: "three", Firmware: hardware.UEFI, HTTP: true}, vbmc.Redfish, "HTTPClient:Arch:00016"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := startRack(t, Spec{Machines: []MachineSpec{{Server: c.server, BMC: vbmc.Config{Protocol: c.protocol}}}})
			m := r.Machines()[0]
			tap, err := r.Capture(m.Taps()[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Act(t.Context(), hardware.PowerOn); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			packet := firstDHCP(t, m, tap)
			t.Logf("first DHCP message after %s, %s of CPU", time.Since(begin).Round(time.Millisecond), m.CPUTime())
			if got := packet.ClassIdentifier(); len(got) < len(c.class) || got[:len(c.class)] != c.class {
				t.Errorf("vendor class is %q, want %q", got, c.class)
			}
			if got, want := packet.ClientHWAddr.String(), m.Server().NICs[0].MAC.String(); got != want {
				t.Errorf("it comes from %s, want %s", got, want)
			}
		})
	}
}
