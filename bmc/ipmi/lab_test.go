package ipmi_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/bmc"
	"berth/bmc/bmctest"
	"berth/bmc/ipmi"
	"berth/internal/lab/hardware"
	"berth/internal/lab/vbmc"
)

// brisk is timing for a BMC on the loopback interface; a run of ipmitool takes about a tenth of a second.
func brisk() bmc.Commands {
	return bmc.Commands{
		PowerTimeout: time.Second, ShutdownTimeout: time.Second, BootTimeout: time.Second, Interval: 20 * time.Millisecond, OffTime: time.Millisecond,
	}
}

func virtual(t *testing.T) (*vbmc.BMC, *vbmc.Bare) {
	t.Helper()
	host := vbmc.NewBare(hardware.Server{Name: "n1"})
	b, err := vbmc.New(vbmc.Config{Protocol: vbmc.IPMI}, host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b, host
}

func targetOf(b *vbmc.BMC) bmc.Target {
	user, password := b.Credentials()
	return bmc.Target{Kind: bmc.KindIPMI, Address: b.Endpoint(vbmc.IPMI).String(), Username: user, Password: bmc.NewSecret(password)}
}

// nobody is an address where nothing listens: one that was just given back.
func nobody(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().String()
}

// tool is ipmitool, which these tests need; its absence is no reason to pass.
func tool(t *testing.T) string {
	t.Helper()
	path := ipmi.FindIpmitool()
	if path == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("ipmitool is not installed (Debian package ipmitool)")
		}
		t.Skip("SKIPPED: ipmitool is not installed (Debian package ipmitool)")
	}
	return path
}

func injector(b *vbmc.BMC) func(*testing.T, bmctest.Fault) bool {
	kinds := map[bmctest.Fault]vbmc.FaultKind{
		bmctest.IgnorePower: vbmc.PowerIgnored, bmctest.IgnoreBoot: vbmc.OverrideIgnored, bmctest.Silent: vbmc.NoAnswer,
		bmctest.ServerError: vbmc.ServerError, bmctest.Busy: vbmc.SessionLimit, bmctest.RefuseLogin: vbmc.Unauthorized,
	}
	return func(t *testing.T, f bmctest.Fault) bool {
		kind, ok := kinds[f]
		if ok {
			t.Cleanup(b.Inject(vbmc.Fault{Kind: kind}))
		}
		return ok
	}
}

// TestContract runs the suite twice: with commands through bmclib and ipmitool, and with our own session alone.
func TestContract(t *testing.T) {
	for name, path := range map[string]func(*testing.T) string{
		"bmclib": tool, "own session": func(*testing.T) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			open := ipmi.Opener(path(t))
			bmctest.Run(t, func(t *testing.T) bmctest.Subject {
				b, host := virtual(t)
				return bmctest.Subject{
					Open: open, Target: targetOf(b), Elsewhere: nobody(t),
					Boots: []bmc.Boot{
						bmc.Once(bmc.BootPXE, bmc.BootModeUEFI), bmc.Once(bmc.BootPXE, bmc.BootModeLegacy), bmc.Once(bmc.BootDisk, bmc.BootModeAny),
						{Device: bmc.BootDisk, Mode: bmc.BootModeUEFI, Persistent: true}, bmc.Once(bmc.BootCDROM, bmc.BootModeAny), bmc.Once(bmc.BootBIOS, bmc.BootModeUEFI),
					},
					Unsupported: []bmc.Boot{bmc.Once(bmc.BootHTTP, bmc.BootModeUEFI)},
					Serial:      host.Server().System.Serial,
					Shutdown:    true, Inject: injector(b), Commands: brisk(), Patience: 2 * time.Second,
				}
			})
		})
	}
}

func TestOverIPv6(t *testing.T) {
	c, err := net.ListenPacket("udp", "[::1]:0")
	if err != nil {
		t.Skipf("SKIPPED: no IPv6 loopback: %v", err)
	}
	c.Close()
	host := vbmc.NewBare(hardware.Server{Name: "n1"})
	b, err := vbmc.New(vbmc.Config{Protocol: vbmc.IPMI, Addr: netip.IPv6Loopback()}, host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	ctx := context.Background()
	for _, path := range []string{"", tool(t)} {
		d, err := ipmi.Opener(path)(ctx, targetOf(b))
		if err != nil {
			t.Fatal(err)
		}
		commands := brisk()
		if _, err := commands.Power(ctx, d, bmc.ActionCycle); err != nil {
			t.Errorf("with ipmitool %q: %v", path, err)
		}
		_ = d.Close(ctx)
	}
}

func TestThePasswordIsInNoArgument(t *testing.T) {
	real := tool(t)
	b, host := virtual(t)
	dir := t.TempDir()
	log, script := filepath.Join(dir, "args"), filepath.Join(dir, "ipmitool")
	// It stands in for ipmitool, writes down what it was called with, and calls it.
	text := fmt.Sprintf("#!/bin/sh\nfor a in \"$@\"; do printf '%%s\\n' \"$a\"; done >> %s\nexec %s \"$@\"\n", log, real)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	target := targetOf(b)
	d, err := ipmi.Opener(script)(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	commands := brisk()
	if _, err := commands.Boot(ctx, d, bmc.Once(bmc.BootPXE, bmc.BootModeUEFI)); err != nil {
		t.Fatal(err)
	}
	if _, err := commands.Power(ctx, d, bmc.ActionOn); err != nil {
		t.Fatal(err)
	}
	if _, err := d.(bmc.EventLog).Events(ctx); err != nil {
		t.Fatal(err)
	}
	args, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(args); strings.Contains(s, target.Password.Reveal()) || !strings.Contains(s, "power\non\n") || !strings.Contains(s, "bootdev\npxe\n") {
		t.Errorf("arguments of ipmitool:\n%s", s)
	}
	if host.PowerState() != hardware.On {
		t.Error("the machine is off")
	}
}

func TestInventoryAgainstTheHardware(t *testing.T) {
	b, host := virtual(t)
	want := host.Server()
	d, err := ipmi.Open(context.Background(), targetOf(b))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(context.Background())
	got, err := d.Inventory(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Problems) > 0 {
		t.Errorf("problems: %q", got.Problems)
	}
	got.Problems = nil
	expected := bmc.Inventory{
		System: bmc.SystemInfo{
			Manufacturer: want.System.Manufacturer, Model: want.System.Product, Serial: want.System.Serial, AssetTag: want.System.Asset,
			UUID: strings.ToLower(want.UUID), PartNumber: got.System.PartNumber,
		},
		Board:   bmc.BoardInfo{Manufacturer: want.Board.Manufacturer, Model: want.Board.Product, Serial: want.Board.Serial, PartNumber: got.Board.PartNumber},
		Chassis: bmc.ChassisInfo{Type: got.Chassis.Type, Serial: want.Chassis.Serial, PartNumber: got.Chassis.PartNumber},
		BMC:     bmc.Controller{Manufacturer: got.BMC.Manufacturer, Firmware: "2.17", Protocol: "IPMI 2.0", MAC: b.MAC().String()},
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", expected) {
		t.Errorf("got  %+v\nwant %+v", got, expected)
	}
	b.Inject(vbmc.Fault{Kind: vbmc.EmptyInventory})
	if got, err := d.Inventory(context.Background()); !errors.Is(err, bmc.ErrEmptyInventory) {
		t.Errorf("an empty one: %+v, %v", got, err)
	}
}

func TestBothSuites(t *testing.T) {
	b, _ := virtual(t)
	found, err := ipmi.Detect(context.Background(), b.Endpoint(vbmc.IPMI).String())
	if err != nil {
		t.Fatal(err)
	}
	if !found.V20 {
		t.Errorf("%+v: want IPMI 2.0", found)
	}
	for _, id := range []byte{3, 17} {
		if slices.Contains(found.CipherSuites, int(id)) {
			if err := ipmi.LoginWith(context.Background(), targetOf(b), id); err != nil {
				t.Errorf("suite %d: %v", id, err)
			}
		} else {
			t.Errorf("suite %d is not among %v", id, found.CipherSuites)
		}
	}
}

func TestDetectPresentsNoCredentials(t *testing.T) {
	b, _ := virtual(t)
	if _, err := ipmi.Detect(context.Background(), b.Endpoint(vbmc.IPMI).String()); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.Requests() {
		if !strings.HasPrefix(r, "ipmi Get Channel ") {
			t.Errorf("detection sent %q", r)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := ipmi.Detect(ctx, nobody(t)); !errors.Is(err, bmc.ErrUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
}

func TestPasswordRotation(t *testing.T) {
	b, _ := virtual(t)
	ctx := context.Background()
	target := targetOf(b)
	d, err := ipmi.Open(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	accounts := d.(bmc.Accounts)
	fresh := bmc.NewSecret("twenty-characters-xx")
	for _, c := range []struct {
		user     string
		password bmc.Secret
	}{{"nobody", fresh}, {target.Username, bmc.NewSecret("twenty-one-characters")}, {target.Username, bmc.Secret{}}} {
		if err := accounts.SetPassword(ctx, c.user, c.password); !errors.Is(err, bmc.ErrRefused) {
			t.Errorf("user %q: %v, want ErrRefused", c.user, err)
		}
	}
	if err := accounts.SetPassword(ctx, target.Username, fresh); err != nil {
		t.Fatal(err)
	}
	if _, err := ipmi.Open(ctx, target); !errors.Is(err, bmc.ErrAuth) {
		t.Errorf("the old password: %v", err)
	}
	target.Password = fresh
	again, err := ipmi.Open(ctx, target)
	if err != nil {
		t.Fatalf("the new password: %v", err)
	}
	_ = again.Close(ctx)
}

func TestTheEventLogHasWords(t *testing.T) {
	b, _ := virtual(t)
	ctx := context.Background()
	d, err := ipmi.Opener(tool(t))(ctx, targetOf(b))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	commands := brisk()
	if _, err := commands.Power(ctx, d, bmc.ActionOn); err != nil {
		t.Fatal(err)
	}
	events, err := d.(bmc.EventLog).Events(ctx)
	if err != nil || len(events) == 0 {
		t.Fatalf("%v, %v", events, err)
	}
	for _, e := range events {
		if e.ID == "" || e.Message == "" {
			t.Errorf("an event without words: %+v", e)
		}
	}
	bare, err := ipmi.Opener("")(ctx, targetOf(b))
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close(ctx)
	if _, err := bare.(bmc.EventLog).Events(ctx); !errors.Is(err, bmc.ErrUnsupported) || !strings.Contains(err.Error(), "Debian package ipmitool") {
		t.Errorf("without ipmitool: %v, want ErrUnsupported and the package's name", err)
	}
}

func TestABMCThatRestarts(t *testing.T) {
	b, _ := virtual(t)
	ctx := context.Background()
	d, err := ipmi.Open(ctx, targetOf(b))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.(bmc.Restarter).RestartBMC(ctx); err != nil {
		t.Fatal(err)
	}
	// The session dies with it: sooner or later a command gets no answer, and that is no reason to doubt the password.
	for deadline := time.Now().Add(30 * time.Second); ; {
		brief, cancel := context.WithTimeout(ctx, time.Second)
		_, err := d.Power(brief)
		cancel()
		if err != nil {
			if !errors.Is(err, bmc.ErrUnreachable) || errors.Is(err, bmc.ErrAuth) {
				t.Fatalf("after the restart: %v, want ErrUnreachable", err)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the session outlives the restart")
		}
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		again, err := ipmi.Open(ctx, targetOf(b))
		if err == nil {
			_ = again.Close(ctx)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not come back: %v", err)
		}
	}
}
