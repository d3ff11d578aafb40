package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"
)

func TestPickTakesDependencies(t *testing.T) {
	tree := t.TempDir()
	deps := `kernel/drivers/net/ethernet/intel/ice/ice.ko: kernel/drivers/ptp/ptp.ko kernel/drivers/pps/pps_core.ko
kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko: kernel/drivers/ptp/ptp.ko
kernel/drivers/ptp/ptp.ko: kernel/drivers/pps/pps_core.ko
kernel/drivers/pps/pps_core.ko:
kernel/drivers/char/hw_random/virtio-rng.ko:
kernel/sound/core/snd.ko:
kernel/drivers/net/ethernet/intelligent/not.ko:
`
	if err := os.WriteFile(filepath.Join(tree, "modules.dep"), []byte(deps), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := pick(tree, false)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"kernel/drivers/char/hw_random/virtio-rng.ko",
		"kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko",
		"kernel/drivers/net/ethernet/intel/ice/ice.ko",
		"kernel/drivers/pps/pps_core.ko",
		"kernel/drivers/ptp/ptp.ko",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if _, err := pick(tree, true); err == nil || !strings.Contains(err.Error(), "nvme") {
		t.Errorf("a kernel without NVMe passed: %v", err)
	}
}

func TestPickRefusesBrokenIndex(t *testing.T) {
	tree := t.TempDir()
	if err := os.WriteFile(filepath.Join(tree, "modules.dep"), []byte("no colon here\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := pick(tree, false); err == nil {
		t.Error("a line without a module passed")
	}
}

func TestArchiveIsReproducibleAndOrdered(t *testing.T) {
	src := t.TempDir()
	for _, name := range []string{"b/two.ko", "a/one.ko", "modules.dep", "modules.dep.bin"} {
		file := filepath.Join(src, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ids := filepath.Join(t.TempDir(), "pci.ids")
	if err := os.WriteFile(ids, []byte("8086  Intel\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	one, err := modulesArchive(src, "6.1.0", ids)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(src, "a/one.ko"), testTime, testTime); err != nil {
		t.Fatal(err)
	}
	two, err := modulesArchive(src, "6.1.0", ids)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, two) {
		t.Error("a file's time changed the archive")
	}
	names := recordNames(t, one)
	for _, want := range []string{"lib/modules/6.1.0/a/one.ko", "lib/modules/6.1.0/modules.dep", "usr/share/misc/pci.ids", "proc"} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s in %q", want, names)
		}
	}
	if slices.Contains(names, "lib/modules/6.1.0/modules.dep.bin") {
		t.Error("kmod's binary index was packed")
	}
	for i, name := range names {
		if dir := filepath.Dir(name); dir != "." && !slices.Contains(names[:i], dir) {
			t.Errorf("%s comes before its directory", name)
		}
	}
}

// The kernel takes archives one after the other, each one zstd frame; a reader of
// frames must find both.
func TestPartsConcatenate(t *testing.T) {
	dir := t.TempDir()
	agent := filepath.Join(dir, "agent")
	if err := os.WriteFile(agent, bytes.Repeat([]byte("agent "), 1000), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "fw/bnx2x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "fw/bnx2x/e2.fw"), []byte("blob"), 0o644); err != nil {
		t.Fatal(err)
	}
	firmware, err := packPart(dir, "firmware", func() ([]byte, error) { return firmwareArchive(filepath.Join(dir, "fw")) })
	if err != nil {
		t.Fatal(err)
	}
	init, err := packPart(dir, "agent", func() ([]byte, error) { return agentArchive(agent) })
	if err != nil {
		t.Fatal(err)
	}
	whole := filepath.Join(dir, "out/initramfs")
	if err := install(whole, firmware, init); err != nil {
		t.Fatal(err)
	}
	packed, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	dec, err := zstd.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	plain, err := io.ReadAll(dec)
	if err != nil {
		t.Fatal(err)
	}
	end := bytes.Index(plain, []byte(cpio.Trailer))
	if end < 0 {
		t.Fatal("no end of the first archive")
	}
	second := bytes.TrimLeft(plain[end+len(cpio.Trailer):], "\x00")
	if got := recordNames(t, plain); !slices.Contains(got, "lib/firmware/bnx2x/e2.fw") {
		t.Errorf("first archive: %q", got)
	}
	if got := recordNames(t, second); !slices.Equal(got, []string{"init"}) {
		t.Errorf("second archive: %q", got)
	}
}

func TestCopyLoaders(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for _, name := range []string{"undionly.kpxe", "snponly.efi", "ipxe.efi", "ipxe.iso"} {
		if err := os.WriteFile(filepath.Join(from, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	taken, err := copyLoaders(from, to)
	if err != nil || !slices.Equal(taken, []string{"undionly.kpxe", "snponly.efi", "ipxe-amd64.efi"}) {
		t.Errorf("an older package: took %q, %v", taken, err)
	}
	if got, err := os.ReadFile(filepath.Join(to, "ipxe-amd64.efi")); err != nil || string(got) != "ipxe.efi" {
		t.Errorf("ipxe-amd64.efi is %q, %v", got, err)
	}
	if _, err := copyLoaders(t.TempDir(), to); err == nil {
		t.Error("a package without loaders passed")
	}
}

var testTime = time.Unix(1, 0)

func recordNames(t *testing.T, archive []byte) []string {
	t.Helper()
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(archive)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range records {
		if r.Name != cpio.Trailer {
			names = append(names, r.Name)
		}
	}
	return names
}
