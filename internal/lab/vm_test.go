package lab

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
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

// waitGuest waits until the test guest runs, and returns the number of the boot.
func waitGuest(t *testing.T, m *Machine, first int) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	boot, err := m.WaitConsole(ctx, first, guestSays)
	if err != nil {
		console, _ := m.Console()
		t.Fatalf("%v; its console:\n%s", err, console)
	}
	return boot
}

func waitPower(t *testing.T, m *Machine, want hardware.PowerState) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if err := m.WaitPower(ctx, want); err != nil {
		t.Fatal(err)
	}
}

// typeAt types on the console of a machine.
func typeAt(t *testing.T, m *Machine, text string) {
	t.Helper()
	c, err := m.AttachConsole(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// listens makes the running guest obey the power button.
func listens(t *testing.T, m *Machine) {
	t.Helper()
	typeAt(t, m, guestListen)
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		text, err := m.Console()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(text, guestSays) > 1 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the guest does not answer; its console:\n%s", text)
		}
	}
}

// TestVMBootsFromEachDisk boots a disk of every kind, and from the first one of
// several.
func TestVMBootsFromEachDisk(t *testing.T) {
	needVM(t)
	for _, kind := range []hardware.DiskKind{hardware.NVMe, hardware.SCSI, hardware.SATA, hardware.Virtio} {
		t.Run(string(kind), func(t *testing.T) {
			disks := []hardware.Disk{{Kind: kind, Size: 1 << 20}}
			server := hardware.Server{Name: "one", Order: hardware.DiskFirst, Disks: disks}
			m := startRack(t, Spec{Machines: []MachineSpec{{Server: server}}}).Machines()[0]
			install(t, m.Server().Disks[0].File)
			if err := m.PressPowerButton(t.Context()); err != nil {
				t.Fatal(err)
			}
			waitGuest(t, m, 1)
		})
	}
}

// TestVMPowerStory tells the life of one machine: who switches it on and off, and
// what it boots from each time.
func TestVMPowerStory(t *testing.T) {
	needVM(t)
	server := hardware.Server{Name: "one", Order: hardware.DiskFirst, Disks: []hardware.Disk{{Size: 1 << 20}}}
	r := startRack(t, Spec{LLDP: true, Machines: []MachineSpec{{Server: server, BMC: vbmc.Config{Protocol: vbmc.Both}, WakeOnLAN: true}}})
	m := r.Machines()[0]
	install(t, m.Server().Disks[0].File)
	act := func(a hardware.Action) {
		t.Helper()
		if err := m.Act(t.Context(), a); err != nil {
			t.Fatalf("%s: %v", a, err)
		}
	}
	tap, err := r.Capture(m.Taps()[0])
	if err != nil {
		t.Fatal(err)
	}

	act(hardware.PowerOn)
	waitGuest(t, m, 1)
	t.Log("the switch announces itself on its wire")
	neighbour(t, r, m)
	t.Log("a guest that does not listen stays on when it is asked to shut down")
	act(hardware.Shutdown)
	if m.PowerState() != hardware.On {
		t.Error("it is off")
	}

	t.Log("the guest resets: a new boot, which obeys an override once")
	m.SetOverride(hardware.Override{Device: hardware.PXE})
	typeAt(t, m, guestReset)
	firstDHCP(t, m, tap)
	if m.Override().Active() {
		t.Errorf("the override %s is left", m.Override())
	}

	t.Log("the next boot follows the standing order again")
	act(hardware.Reset)
	if boot := waitGuest(t, m, 3); boot != 3 {
		t.Errorf("the guest came up in boot %d, want 3", boot)
	}

	t.Log("the guest switches off")
	typeAt(t, m, guestOff)
	waitPower(t, m, hardware.Off)
	if err := m.Act(t.Context(), hardware.Reset); !errors.Is(err, hardware.ErrOff) {
		t.Errorf("reset while off: %v", err)
	}

	t.Log("a magic packet wakes it")
	out, err := r.ListenPacket("udp", "10.77.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := sendMagic(out, m.Server().NICs[0].MAC); err != nil {
		t.Fatal(err)
	}
	waitGuest(t, m, 4)

	t.Log("a guest that listens reboots and shuts down when it is asked to")
	listens(t, m)
	act(hardware.Reboot)
	waitGuest(t, m, 5)
	listens(t, m)
	act(hardware.Shutdown)
	waitPower(t, m, hardware.Off)
	act(hardware.PowerOn)
	waitGuest(t, m, 6)

	t.Log("the plug is pulled, and the power button pressed")
	m.PowerCut()
	if m.PowerState() != hardware.Off {
		t.Error("it is on without power")
	}
	if err := m.PressPowerButton(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitGuest(t, m, 7)

	t.Log("a persistent override holds over boots")
	m.SetOverride(hardware.Override{Device: hardware.HDD, Persistent: true})
	pulled := m.SetLink(t.Context(), "nic1", false)
	act(hardware.Cycle)
	waitGuest(t, m, 8)
	if err := errors.Join(pulled, m.SetLink(t.Context(), "nic1", true)); err != nil {
		t.Errorf("the cable: %v", err)
	}
	if !m.Override().Persistent {
		t.Error("a persistent override was used up")
	}

	want := []hardware.Device{hardware.None, hardware.PXE, hardware.None, hardware.None, hardware.None, hardware.None, hardware.None, hardware.HDD}
	var got []hardware.Device
	for _, b := range m.Boots() {
		got = append(got, b.Device)
	}
	if !slices.Equal(got, want) {
		t.Errorf("it booted from %v, want %v", got, want)
	}
	used := m.CPUTime()
	act(hardware.PowerOff)
	if used == 0 || m.CPUTime() < used {
		t.Errorf("CPU time was %s and is %s", used, m.CPUTime())
	}
}

// neighbour waits for the switch's announcement on a machine's wire.
func neighbour(t *testing.T, r *Rack, m *Machine) {
	t.Helper()
	tap, err := r.Capture(m.Taps()[0])
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = tap.Frames(ctx, func(frame []byte) bool {
		return !bytes.HasPrefix(frame, []byte("\x01\x80\xc2\x00\x00\x0e")) || !bytes.Contains(frame, []byte(switchName))
	})
	if err != nil {
		t.Errorf("no announcement: %v", err)
	}
}

// sendMagic broadcasts a magic packet from a socket inside a rack.
func sendMagic(c net.PacketConn, mac net.HardwareAddr) error {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var optErr error
	err = raw.Control(func(fd uintptr) {
		optErr = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_BROADCAST, 1)
	})
	if err := errors.Join(err, optErr); err != nil {
		return err
	}
	packet := append(bytes.Repeat([]byte{0xff}, 6), bytes.Repeat(mac, 16)...)
	_, err = c.WriteTo(packet, &net.UDPAddr{IP: net.IPv4(10, 77, 0, 255), Port: 9})
	return err
}

// TestVMDiskMovesWithItsContent takes a disk from one machine to another.
func TestVMDiskMovesWithItsContent(t *testing.T) {
	needVM(t)
	server := func(name string) MachineSpec {
		return MachineSpec{Server: hardware.Server{Name: name, Order: hardware.DiskFirst, Disks: []hardware.Disk{{Size: 1 << 20}}}}
	}
	r := startRack(t, Spec{Machines: []MachineSpec{server("one"), server("two")}})
	one, two := r.Machine("one"), r.Machine("two")
	install(t, one.Server().Disks[0].File)
	if err := one.Act(t.Context(), hardware.PowerOn); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Unplug("bay1"); !errors.Is(err, errOn) {
		t.Errorf("a disk was taken out of a running machine: %v", err)
	}
	one.PowerCut()
	d, err := one.Unplug("bay1")
	if err != nil {
		t.Fatal(err)
	}
	if err := two.Plug(d); err == nil {
		t.Error("two disks sit in one bay")
	}
	if _, err := two.Unplug("bay1"); err != nil {
		t.Fatal(err)
	}
	if err := two.Plug(d); err != nil {
		t.Fatal(err)
	}
	if err := one.Plug(hardware.Disk{Slot: "bay1", Size: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if one.Server().Disks[0].File == d.File {
		t.Error("the new disk has the content of the old one")
	}
	if err := two.Act(t.Context(), hardware.PowerOn); err != nil {
		t.Fatal(err)
	}
	waitGuest(t, two, 1)
}
