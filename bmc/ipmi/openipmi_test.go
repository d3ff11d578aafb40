package ipmi_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"berth/bmc"
	"berth/bmc/bmctest"
	"berth/bmc/ipmi"
)

// simulator starts OpenIPMI's ipmi_sim, which shares no code with anything here, with a machine made of files behind it.
func simulator(t *testing.T) bmc.Target {
	t.Helper()
	const binary = "/usr/bin/ipmi_sim"
	if _, err := os.Stat(binary); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("ipmi_sim is not installed (Debian package openipmi): %v", err)
		}
		t.Skipf("SKIPPED: ipmi_sim is not installed (Debian package openipmi): %v", err)
	}
	dir := t.TempDir()
	_, port, err := net.SplitHostPort(nobody(t))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, mode os.FileMode, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// Called as "chassis 0x20 get power" or "chassis 0x20 set power 1".
	chassis := write("chassis", 0o755, fmt.Sprintf(`#!/bin/sh
cd %s || exit 1
case "$2" in
get) echo "$3:$(cat "is-$3" 2>/dev/null || echo 0)" ;;
set) if [ "$3" = shutdown ]; then echo 0 >is-power; else echo "$4" >"is-$3"; fi ;;
esac
`, dir))
	config := write("lan.conf", 0o600, fmt.Sprintf(`name "berth"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 %s
    priv_limit admin
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "%s 0x20"
  user 1 false "" "" user 10 none md2 md5 straight
  user 2 true "admin" "berth-lab" admin 10 none md2 md5 straight
`, port, chassis))
	commands := write("cmd.emu", 0o600, "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nsel_enable 0x20 1000 0x0a\nmc_enable 0x20\n")

	cmd := exec.Command(binary, "-c", config, "-f", commands, "-s", dir, "-n")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	target := bmc.Target{Kind: bmc.KindIPMI, Address: "127.0.0.1:" + port, Username: "admin", Password: bmc.NewSecret("berth-lab")}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		_, err := ipmi.Detect(ctx, target.Address)
		if err == nil {
			return target
		}
		if ctx.Err() != nil {
			t.Fatalf("ipmi_sim does not start: %v", err)
		}
	}
}

// TestContractAgainstOpenIPMI is for power alone: ipmi_sim forgets the valid bit of boot flags and has no FRU.
func TestContractAgainstOpenIPMI(t *testing.T) {
	for name, path := range map[string]func(*testing.T) string{
		"bmclib": tool, "own session": func(*testing.T) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			open := ipmi.Opener(path(t))
			bmctest.Run(t, func(t *testing.T) bmctest.Subject {
				return bmctest.Subject{
					Open: open, Target: simulator(t), Elsewhere: nobody(t), Unsupported: []bmc.Boot{bmc.Once(bmc.BootHTTP, bmc.BootModeUEFI)},
					NoReset: true, Commands: brisk(),
				}
			})
		})
	}
}

// TestOpenIPMIForgetsTheOverride: success, and nothing to read back, from a peer that means no harm.
func TestOpenIPMIForgetsTheOverride(t *testing.T) {
	target := simulator(t)
	ctx := context.Background()
	d, err := ipmi.Opener("")(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	commands := brisk()
	if _, err := commands.Boot(ctx, d, bmc.Once(bmc.BootPXE, bmc.BootModeUEFI)); !errors.Is(err, bmc.ErrNoEffect) {
		t.Errorf("%v, want ErrNoEffect", err)
	}
}
