package vbmc

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"berth/internal/lab/hardware"
)

// newBMC starts a controller for a bare server and ends it with the test.
func newBMC(t *testing.T, cfg Config) (*BMC, *Bare) {
	t.Helper()
	host := NewBare(hardware.Server{Name: "testbox", System: hardware.Identity{Asset: "A-17"}})
	b, err := New(cfg, host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b, host
}

// needIPMITool skips without the independent client, and fails in CI.
func needIPMITool(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("ipmitool"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("ipmitool is not installed, and CI never skips")
		}
		t.Skip("SKIPPED: ipmitool is not installed; the IPMI side of the virtual BMC is NOT tested")
	}
}

// ipmitool runs the real client against a controller.
func ipmitool(t *testing.T, b *BMC, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	user, password := b.Credentials()
	at := b.Endpoint(IPMI)
	all := append([]string{"-I", "lanplus", "-N", "1", "-R", "2", "-H", at.Addr().String(),
		"-p", strconv.Itoa(int(at.Port())), "-U", user, "-P", password}, args...)
	out, err := exec.CommandContext(ctx, "ipmitool", all...).CombinedOutput()
	return string(out), err
}

// want runs ipmitool and asks for texts in what it prints.
func want(t *testing.T, b *BMC, command string, texts ...string) {
	t.Helper()
	out, err := ipmitool(t, b, strings.Fields(command)...)
	if err != nil {
		t.Fatalf("ipmitool %s: %v\n%s", command, err, out)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Fatalf("ipmitool %s lacks %q:\n%s", command, text, out)
		}
	}
}

func TestIPMIPower(t *testing.T) {
	needIPMITool(t)
	b, host := newBMC(t, Config{Protocol: IPMI})
	want(t, b, "chassis power status", "Chassis Power is off")
	want(t, b, "chassis power on", "Up/On")
	want(t, b, "chassis status", "System Power         : on")
	want(t, b, "chassis power reset", "Reset")
	want(t, b, "chassis power cycle", "Cycle")
	if n := len(host.Boots()); n != 3 {
		t.Errorf("the server was started %d times, want 3", n)
	}
	host.SetDeaf(true)
	want(t, b, "chassis power soft")
	want(t, b, "chassis power status", "Chassis Power is on")
	host.SetDeaf(false)
	want(t, b, "chassis power soft")
	want(t, b, "chassis power status", "Chassis Power is off")
	for _, c := range []string{"reset", "cycle"} {
		if out, err := ipmitool(t, b, "chassis", "power", c); err == nil {
			t.Errorf("power %s of a server that is off succeeded:\n%s", c, out)
		}
	}
	want(t, b, "chassis power off")
	if n := len(host.Boots()); n != 3 {
		t.Errorf("the server was started %d times, want still 3", n)
	}
}

func TestIPMIBootDevice(t *testing.T) {
	needIPMITool(t)
	b, host := newBMC(t, Config{Protocol: IPMI})
	cases := []struct {
		command string
		want    hardware.Override
		reads   []string
	}{
		{"chassis bootdev pxe", hardware.Override{Device: hardware.PXE, Mode: hardware.ModeLegacy},
			[]string{"Boot Flag Valid", "apply to only next boot", "PC Compatible", "Force PXE"}},
		{"chassis bootdev pxe options=efiboot", hardware.Override{Device: hardware.PXE, Mode: hardware.ModeUEFI},
			[]string{"BIOS EFI boot", "Force PXE"}},
		{"chassis bootdev disk options=persistent", hardware.Override{Device: hardware.HDD, Mode: hardware.ModeLegacy, Persistent: true},
			[]string{"apply to all future boots", "Force Boot from default Hard-Drive"}},
		{"chassis bootdev disk options=efiboot,persistent", hardware.Override{Device: hardware.HDD, Mode: hardware.ModeUEFI, Persistent: true}, nil},
		{"chassis bootdev bios", hardware.Override{Device: hardware.Setup, Mode: hardware.ModeLegacy}, []string{"BIOS Setup"}},
		{"chassis bootdev cdrom", hardware.Override{Device: hardware.CD, Mode: hardware.ModeLegacy}, nil},
		{"chassis bootdev none", hardware.Override{}, []string{"No override"}},
	}
	for _, c := range cases {
		t.Run(c.command, func(t *testing.T) {
			want(t, b, c.command)
			if got := host.Override(); got != c.want {
				t.Errorf("override is %v, want %v", got, c.want)
			}
			want(t, b, "chassis bootparam get 5", c.reads...)
		})
	}
	want(t, b, "chassis bootdev pxe")
	want(t, b, "chassis power on")
	if got := host.Boots(); len(got) != 1 || got[0] != hardware.PXE {
		t.Errorf("booted from %v, want pxe", got)
	}
	want(t, b, "chassis bootparam get 5", "Boot Flag Invalid")
}

func TestIPMIIdentity(t *testing.T) {
	needIPMITool(t)
	b, host := newBMC(t, Config{Protocol: IPMI})
	s := host.Server()
	want(t, b, "mc info", "Firmware Revision         : 2.17", "IPMI Version              : 2.0")
	want(t, b, "fru print", s.System.Serial, s.Board.Serial, s.Chassis.Serial, s.System.Manufacturer, s.System.Product, "A-17")
	want(t, b, "lan print", "127.0.0.1", b.MAC().String(), "255.255.255.0")
	want(t, b, "user list 1", "admin", "ADMINISTRATOR")
	want(t, b, "mc guid", strings.ToLower(s.UUID))
}

func TestIPMIEventLog(t *testing.T) {
	needIPMITool(t)
	b, _ := newBMC(t, Config{Protocol: IPMI})
	want(t, b, "chassis power on")
	want(t, b, "chassis power off")
	want(t, b, "sel info", "Entries          : 3")
	want(t, b, "sel list", "System Boot Initiated", "Power off/down")
	want(t, b, "sel clear")
	want(t, b, "sel list", "SEL has no entries")
}

func TestIPMIPasswordChange(t *testing.T) {
	needIPMITool(t)
	b, _ := newBMC(t, Config{Protocol: IPMI})
	want(t, b, "user set password 2 another-one 20")
	if _, password := b.Credentials(); password != "another-one" {
		t.Fatalf("the password is %q", password)
	}
	want(t, b, "mc info")
	b.SetCredentials("root", "third")
	want(t, b, "mc info")
}

func TestIPMIColdReset(t *testing.T) {
	needIPMITool(t)
	b, host := newBMC(t, Config{Protocol: IPMI})
	want(t, b, "chassis power on")
	port := b.Endpoint(IPMI)
	want(t, b, "mc reset cold")
	eventually(t, "the restart", func() bool { return b.sel.count(eventBMCReady) == 2 })
	want(t, b, "chassis power status", "is on")
	if b.Endpoint(IPMI) != port {
		t.Errorf("it came back on %v, want %v", b.Endpoint(IPMI), port)
	}
	if len(host.Boots()) != 1 {
		t.Error("the reset of the controller reset the server")
	}
}

// eventually waits for what happens in the background, at most a minute.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("waited a minute for %s", what)
}

func (l *eventLog) count(kind eventKind) int {
	n := 0
	for _, e := range l.list() {
		if e.kind == kind {
			n++
		}
	}
	return n
}

func TestIPMIFaults(t *testing.T) {
	needIPMITool(t)
	b, host := newBMC(t, Config{Protocol: IPMI})
	refused := []struct {
		fault Fault
		says  string
	}{
		{Fault{Kind: Unauthorized}, "Unable to establish"},
		{Fault{Kind: ServerError}, ""},
		{Fault{Kind: NoAnswer}, ""},
		{Fault{Kind: SessionLimit}, "insufficient resources"},
	}
	for _, c := range refused {
		t.Run(string(c.fault.Kind), func(t *testing.T) {
			remove := b.Inject(c.fault)
			out, err := ipmitool(t, b, "chassis", "power", "status")
			if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
				t.Errorf("ipmitool succeeded: %v\n%s", err, out)
			}
			if !strings.Contains(out, c.says) {
				t.Errorf("ipmitool does not say %q:\n%s", c.says, out)
			}
			remove()
			want(t, b, "chassis power status")
		})
	}
	t.Run("power-ignored", func(t *testing.T) {
		defer b.Inject(Fault{Kind: PowerIgnored})()
		want(t, b, "chassis power on")
		want(t, b, "chassis power status", "is off")
	})
	t.Run("stuck-on", func(t *testing.T) {
		defer b.Inject(Fault{Kind: StuckOn})()
		want(t, b, "chassis power off")
		want(t, b, "chassis power status", "is on")
	})
	t.Run("override-ignored", func(t *testing.T) {
		defer b.Inject(Fault{Kind: OverrideIgnored})()
		want(t, b, "chassis bootdev pxe")
		want(t, b, "chassis bootparam get 5", "Boot Flag Invalid")
	})
	t.Run("override-reverted", func(t *testing.T) {
		defer b.Inject(Fault{Kind: OverrideReverted})()
		want(t, b, "chassis bootdev pxe")
		want(t, b, "chassis bootparam get 5", "Force PXE")
		want(t, b, "chassis power on")
		if got := host.Boots(); got[len(got)-1] != hardware.None {
			t.Errorf("booted from %s, want the standing order", got[len(got)-1])
		}
	})
	t.Run("slow", func(t *testing.T) {
		defer b.Inject(Fault{Kind: Slow, Delay: 50 * time.Millisecond})()
		want(t, b, "chassis power status", "is on")
	})
	t.Run("empty-inventory", func(t *testing.T) {
		defer b.Inject(Fault{Kind: EmptyInventory})()
		out, _ := ipmitool(t, b, "fru", "print")
		if strings.Contains(out, host.Server().System.Serial) {
			t.Errorf("the FRU still tells the serial number:\n%s", out)
		}
		want(t, b, "chassis power status", "is on")
	})
	t.Run("malformed", func(t *testing.T) {
		b.ForgetRequests()
		defer b.Inject(Fault{Kind: Malformed, Only: "Get Device ID"})()
		out, err := ipmitool(t, b, "mc", "info")
		if err == nil && strings.Contains(out, "2.17") {
			t.Errorf("half an answer was understood:\n%s", out)
		}
	})
	t.Run("resetting", func(t *testing.T) {
		restarts := b.sel.count(eventBMCReady)
		b.Inject(Fault{Kind: Resetting, Delay: time.Millisecond})
		want(t, b, "chassis power status", "is on") // ipmitool asks again by itself
		eventually(t, "the restart", func() bool { return b.sel.count(eventBMCReady) == restarts+1 })
	})
	if left := b.Injected(); len(left) != 0 {
		t.Errorf("faults are left: %v", left)
	}
}

func TestIPMIRequestsAreRecordedWithoutPasswords(t *testing.T) {
	needIPMITool(t)
	b, _ := newBMC(t, Config{Protocol: IPMI})
	want(t, b, "chassis power on")
	want(t, b, "user set password 2 secret-word 20")
	all := strings.Join(b.Requests(), "\n")
	if !strings.Contains(all, "ipmi Chassis Control 01") {
		t.Errorf("the power command was not recorded:\n%s", all)
	}
	if strings.Contains(all, "7365637265742d776f7264") { // "secret-word"
		t.Errorf("a password was recorded:\n%s", all)
	}
}
