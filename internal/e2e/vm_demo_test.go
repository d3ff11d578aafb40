package e2e

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// needMachines skips a test that boots virtual machines where that was not asked for, and says what is missing where it was.
func needMachines(t *testing.T) (build string) {
	t.Helper()
	if os.Getenv("BERTH_TEST_VM") == "" {
		t.Skip("SKIPPED: boots virtual machines; BERTH_TEST_VM=1 runs it, as `make test` does")
	}
	build, err := filepath.Abs("../../build")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"berth", "boot/amd64/vmlinuz", "boot/loaders/snponly.efi", "image/debian-12-demo.raw"} {
		if _, err := os.Stat(filepath.Join(build, name)); err != nil {
			t.Fatalf("%v: `make build agent image` makes it", err)
		}
	}
	return build
}

// TestTheDemoLeadsBothMachinesToTheEnd is the product as a newcomer meets it: BIOS and UEFI firmware, IPMI and Redfish, from the first
// packet to an installed system that reports, and then a cold start without berth.
func TestTheDemoLeadsBothMachinesToTheEnd(t *testing.T) {
	build := needMachines(t)
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Minute)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(build, "berth"), "lab", "demo", "--once", "--keep", "--dir", dir, "--listen", "127.0.0.1:0")
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, t.Output()), t.Output()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Run(); err != nil {
		t.Fatalf("make demo ONCE=1: %v", err)
	}
	for _, machine := range []string{"anna", "berta"} {
		for _, want := range []string{": discovered as", ": accepted", ": deployed and reporting", ": booted from its own disk, without berth"} {
			if !strings.Contains(out.String(), machine+want) {
				t.Errorf("the demo never said %q", machine+want)
			}
		}
	}
	leftOver(t, dir)
}

// leftOver finds processes that still work in dir.
func leftOver(t *testing.T, dir string) {
	t.Helper()
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range commands {
		text, err := os.ReadFile(path)
		if err == nil && bytes.Contains(text, []byte(dir)) {
			t.Errorf("left running: %s", bytes.ReplaceAll(text, []byte{0}, []byte{' '}))
		}
	}
}
