package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The kernel must unpack both archives, find every module its index names, load a
// driver, and do it in 256 MiB of memory, a quarter of the smallest machine
// berth means to enrol.
func TestBoots(t *testing.T) {
	if os.Getenv("BERTH_TEST_VM") == "" {
		t.Skip("SKIPPED: BERTH_TEST_VM is not set; the boot image is NOT booted")
	}
	for _, program := range []string{"qemu-system-x86_64", "depmod", "apt-get"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("CI never skips: %v", err)
			}
			t.Skipf("SKIPPED: the boot image is NOT booted: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	dir := t.TempDir()
	agent := filepath.Join(dir, "init")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", agent, "./testdata/init")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	if err := run(ctx, []string{"-agent", agent, "-out", dir}, log); err != nil {
		t.Fatal(err)
	}
	console := boot(t, ctx, filepath.Join(dir, "amd64"))
	for _, want := range []string{"INIT DONE", "INIT LINKS 2"} {
		if !strings.Contains(console, want) {
			t.Errorf("the console does not say %q", want)
		}
	}
	if t.Failed() {
		t.Log(console)
	}
}

func boot(t *testing.T, ctx context.Context, dir string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg,thread=multi",
		"-machine", "q35,graphics=off", "-m", "256", "-nodefaults", "-display", "none",
		"-serial", "stdio", "-no-reboot", "-device", "virtio-rng-pci",
		"-netdev", "hubport,id=n0,hubid=0", "-device", "virtio-net-pci,netdev=n0",
		"-netdev", "hubport,id=n1,hubid=0", "-device", "e1000e,netdev=n1",
		"-kernel", filepath.Join(dir, "vmlinuz"), "-initrd", filepath.Join(dir, "initramfs"),
		"-append", "console=ttyS0 quiet panic=-1")
	var console bytes.Buffer
	cmd.Stdout, cmd.Stderr = &console, &console
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, console.String())
	}
	return console.String()
}
