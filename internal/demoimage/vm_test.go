package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The seed partition of the test, in sectors at the end of a disk larger than
// the image, as a deployment appends it.
const (
	testDisk  = 2 << 30
	seedSize  = 8 << 20
	seedStart = (testDisk-1<<20)/sector - seedSize/sector
)

const (
	metaData = "instance-id: test-1\nlocal-hostname: node-seven\n"
	userData = `#cloud-config
ssh_authorized_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKq1l0OzKbVbTTdFg6WqX7yE9a0a1Ohk7jhOYf9hG0nT test"]
write_files:
  - {path: /etc/seeded, content: written}
runcmd:
  - [sh, -c, "echo SEEN host=$(hostname) file=$(cat /etc/seeded) keys=$(grep -c test /home/debian/.ssh/authorized_keys) address=$(ip -o -4 address show scope global | grep -c 10.77.0.50/24) mib=$(df -m --output=size / | tail -1 | tr -d ' ') > /dev/ttyS0"]
  - [systemctl, --no-block, poweroff]
`
	networkConfig = `version: 2
ethernets:
  lan:
    match: {macaddress: "52:54:00:77:00:01"}
    addresses: [10.77.0.50/24]
    routes: [{to: 0.0.0.0/0, via: 10.77.0.1}]
`
)

// The image starts from both firmwares on every kind of disk it promises, takes its
// name, key, files and address from the seed, and grows into the disk. The
// stories of package e2e boot it on two of them; this one holds the others.
func TestBoots(t *testing.T) {
	if os.Getenv("BERTH_TEST_VM") == "" || os.Getenv("BERTH_TEST_FULL") == "" {
		t.Skip("SKIPPED: BERTH_TEST_VM and BERTH_TEST_FULL are not both set; the image is NOT booted here")
	}
	if missing := missing(); missing != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("CI never skips: %v", missing)
		}
		t.Skipf("SKIPPED: the image is NOT booted: %v", missing)
	}
	image := t.TempDir()
	if err := run(t.Context(), []string{"-out", image}, slog.New(slog.NewTextHandler(t.Output(), nil))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		uefi   bool
		device []string
	}{
		{"BIOS, virtio-blk", false, []string{"-device", "virtio-blk-pci,drive=d0"}},
		{"BIOS, SATA", false, []string{"-device", "ide-hd,bus=ide.0,drive=d0"}},
		{"UEFI, NVMe", true, []string{"-device", "nvme,drive=d0,serial=N1"}},
		{"UEFI, virtio-scsi", true, []string{"-device", "virtio-scsi-pci", "-device", "scsi-hd,drive=d0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := seeded(t, filepath.Join(image, name+".raw"))
			console := boot(t, disk, c.uefi, c.device)
			seen := regexp.MustCompile(`SEEN host=(\S*) file=(\S*) keys=(\d*) address=(\d*) mib=(\d+)`).FindStringSubmatch(console)
			if seen == nil {
				t.Fatalf("cloud-init did not run the seed's command:\n%s", console)
			}
			if got := strings.Join(seen[1:5], " "); got != "node-seven written 1 1" {
				t.Errorf("host, file, keys, address: %s", got)
			}
			if len(seen[5]) != 4 { // the disk has 2048 MiB, the image not 800
				t.Errorf("the root file system has %s MiB", seen[5])
			}
		})
	}
}

func missing() error {
	var faults []error
	if os.Geteuid() != 0 {
		faults = append(faults, errors.New("not root"))
	}
	for _, program := range []string{"qemu-system-x86_64", "mmdebstrap", "grub-mkimage", "sfdisk", "mkfs.vfat", "mcopy"} {
		if _, err := exec.LookPath(program); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// seeded copies the image to a larger disk and appends a seed.
func seeded(t *testing.T, image string) string {
	t.Helper()
	dir := t.TempDir()
	disk, seed := filepath.Join(dir, "disk.raw"), filepath.Join(dir, "seed.img")
	for file, content := range map[string]string{"meta-data": metaData, "user-data": userData, "network-config": networkConfig} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	steps := [][]string{
		{"cp", "--sparse=always", image, disk},
		{"truncate", "-s", fmt.Sprint(testDisk), disk},
		{"sfdisk", "-q", "--relocate", "gpt-bak-std", disk},
		{"mkfs.vfat", "-n", "CIDATA", "-C", seed, fmt.Sprint(seedSize >> 10)},
		{"mcopy", "-i", seed, filepath.Join(dir, "meta-data"), filepath.Join(dir, "user-data"), filepath.Join(dir, "network-config"), "::/"},
	}
	for _, s := range steps {
		if err := command(t.Context(), s[0], s[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	add := exec.CommandContext(t.Context(), "sfdisk", "-q", "--append", disk)
	add.Stdin = strings.NewReader(fmt.Sprintf("start=%d, size=%d, type=L, name=CIDATA\n", seedStart, seedSize/sector))
	if err := finish(add); err != nil {
		t.Fatal(err)
	}
	if err := writeAt(disk, seedStart*sector, seed); err != nil {
		t.Fatal(err)
	}
	return disk
}

// boot runs the machine until it powers itself off and returns its console.
func boot(t *testing.T, disk string, uefi bool, device []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	args := []string{"-accel", "tcg,thread=multi", "-machine", "q35,graphics=off", "-m", "1024", "-nodefaults",
		"-display", "none", "-serial", "stdio", "-no-reboot", "-device", "virtio-rng-pci",
		"-netdev", "hubport,id=n0,hubid=0", "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:77:00:01,romfile=",
		"-drive", "if=none,id=d0,format=raw,cache=unsafe,discard=unmap,file=" + disk}
	if uefi {
		vars := filepath.Join(filepath.Dir(disk), "vars.fd")
		if err := command(ctx, "cp", "/usr/share/OVMF/OVMF_VARS_4M.fd", vars); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-drive", "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
			"-drive", "if=pflash,format=raw,unit=1,file="+vars)
	}
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", append(args, device...)...)
	var console bytes.Buffer
	cmd.Stdout, cmd.Stderr = &console, &console
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, console.String())
	}
	return console.String()
}
