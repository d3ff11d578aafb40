//go:build linux

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/agent/agenttest"
	"berth/api"
	"berth/inventory"
)

// bootFiles finds the kernel and initramfs that the build made, or skips aloud; in CI it never skips.
func bootFiles(t *testing.T) (kernel, initramfs string) {
	t.Helper()
	skip := t.Skipf
	if os.Getenv("CI") != "" {
		skip = t.Fatalf
	}
	if os.Getenv("BERTH_TEST_VM") == "" {
		t.Skip("SKIPPED: boots a virtual machine; set BERTH_TEST_VM=1 to run it")
	}
	dir := os.Getenv("BERTH_TEST_BOOT")
	if dir == "" {
		dir = "../../build/boot/amd64"
	}
	kernel, initramfs = filepath.Join(dir, "vmlinuz"), filepath.Join(dir, "initramfs")
	for _, file := range []string{kernel, initramfs} {
		if _, err := os.Stat(file); err != nil {
			skip("SKIPPED: %v; make agent builds it", err)
		}
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		skip("SKIPPED: %v", err)
	}
	return kernel, initramfs
}

// startVM boots the agent in a machine with one NVMe, one SATA and one SCSI disk. It is killed at the end of the test; the serial
// console is logged when the test fails.
func startVM(t *testing.T, dir, args string, more ...string) <-chan error {
	t.Helper()
	kernel, initramfs := bootFiles(t)
	console := filepath.Join(dir, "console")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	command := []string{
		"-accel", "tcg,thread=multi", "-machine", "q35,graphics=off", "-m", "768", "-nodefaults", "-display", "none",
		"-no-reboot", "-serial", "file:" + console, "-device", "virtio-rng-pci",
		"-kernel", kernel, "-initrd", initramfs, "-append", "console=ttyS0 quiet panic=-1 " + args,
		"-smbios", "type=1,manufacturer=Berth Lab,product=Virtual Server,serial=LAB-0007,uuid=6f1d7a52-9a39-4c5e-8f0c-1a2b3c4d5e6f",
		"-smbios", "type=17,loc_pfx=DIMM,manufacturer=Sample,serial=D1M-77,part=PART-9,speed=3200",
	}
	for _, disk := range []struct{ name, device string }{
		{"nvme.raw", "nvme,serial=NVME-0001"},
		{"sata.raw", "ide-hd,bus=ide.0,serial=SATA-0001,wwn=0x5000c50015ea71aa"},
		{"scsi.raw", "scsi-hd,bus=scsi0.0,serial=SCSI-0001,wwn=0x5000c50015ea71ab"},
	} {
		file := filepath.Join(dir, disk.name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, vmDisk); err != nil {
			t.Fatal(err)
		}
		if disk.name == "scsi.raw" {
			command = append(command, "-device", "virtio-scsi-pci,id=scsi0")
		}
		command = append(command, "-drive", "if=none,format=raw,id="+disk.name+",file="+file, "-device", disk.device+",drive="+disk.name)
	}
	vm := exec.CommandContext(ctx, "qemu-system-x86_64", append(command, more...)...)
	var complaints bytes.Buffer
	vm.Stderr = &complaints
	if err := vm.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	done := make(chan struct{})
	go func() { ended <- vm.Wait(); close(done) }()
	t.Cleanup(func() {
		cancel()
		<-done
		if text, _ := os.ReadFile(console); t.Failed() || testing.Verbose() {
			t.Logf("console:\n%s\nqemu: %s", text, &complaints)
		}
	})
	return ended
}

// vmDisk is the size of each disk.
const vmDisk = 64 << 20

// userNetwork is QEMU's user-mode network, in which the loopback of this host is at 10.0.2.2.
var userNetwork = []string{"-netdev", "user,id=n0,restrict=off", "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:12:34:56"}

func commandLine(s *agenttest.Server) string {
	return "berth.url=https://10.0.2.2:" + s.Port() + " berth.pin=sha256:" + s.Pin + " berth.token=" + s.Token
}

func waitEnd(t *testing.T, ended <-chan error) {
	t.Helper()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("qemu: %v", err)
		}
	case <-time.After(2 * time.Minute):
		t.Error("the machine did not end")
	}
}

// The agent as /init writes the one disk that is named, out of three on three kinds of controller, and powers off.
func TestInitWritesTheNamedDisk(t *testing.T) {
	bootFiles(t)
	server, img, dir := agenttest.Start(t), agenttest.NewImage(t, 32<<20, 5), t.TempDir()
	write := img.Write("w-1", api.DiskRef{WWN: "naa.5000c50015ea71ab", SizeBytes: vmDisk})
	write.Write.ImageURL = strings.Replace(img.URL, "127.0.0.1", "10.0.2.2", 1)
	write.Write.Protect = []api.DiskRef{{Serial: "NVME-0001"}}
	server.Assign(write)
	server.Assign(api.Assignment{ID: "off", Verb: api.VerbPowerOff})
	ended := startVM(t, dir, commandLine(server), userNetwork...)
	result := server.Result(t, "w-1", 4*time.Minute)
	if result.Error != "" || result.Write == nil || result.Write.Disk.Serial != "SCSI-0001" {
		t.Fatalf("result %+v", result)
	}
	t.Logf("written and read back in %.2f s", result.Write.Seconds)
	waitEnd(t, ended)
	for name, want := range map[string][]byte{"scsi.raw": img.Raw, "sata.raw": nil, "nvme.raw": nil} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(raw[:len(want)], want) || len(bytes.Trim(raw[len(want):], "\x00")) > 0 {
			t.Errorf("%s does not hold what it should", name)
		}
	}
}

// A machine without a way to the server says so on its console.
func TestInitWithoutNetworkSaysWhy(t *testing.T) {
	bootFiles(t)
	dir := t.TempDir()
	startVM(t, dir, "berth.url=https://10.0.2.2:1")
	deadline := time.Now().Add(3 * time.Minute)
	for {
		text, err := os.ReadFile(filepath.Join(dir, "console"))
		if err == nil && bytes.Contains(text, []byte("no network port was found")) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the console says nothing of it: %s", text)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// The agent as /init finds the machine's parts, registers, reports, obeys and restarts the machine.
func TestInitReportsAndReboots(t *testing.T) {
	bootFiles(t)
	server := agenttest.Start(t)
	server.Assign(api.Assignment{ID: "a-1", Verb: api.VerbInspect})
	server.Assign(api.Assignment{ID: "a-2", Verb: api.VerbReboot})
	ended := startVM(t, t.TempDir(), commandLine(server)+" berth.mac=52:54:00:12:34:56", userNetwork...)

	state := server.Wait(t, "the report", 4*time.Minute, func(s agenttest.State) bool { return len(s.Facts) > 0 })
	facts, registration := state.Facts[0], state.Registrations[0]
	t.Logf("registered %.2f s after the kernel started", registration.UptimeSeconds)
	if registration.UUID != "6f1d7a52-9a39-4c5e-8f0c-1a2b3c4d5e6f" || registration.BootMAC != "52:54:00:12:34:56" {
		t.Errorf("registered as %+v", registration)
	}
	if facts.System.Serial != "LAB-0007" || len(facts.CPUs) != 1 || len(facts.DIMMs) != 1 || facts.DIMMs[0].Serial != "D1M-77" {
		t.Errorf("system %+v, CPUs %+v, DIMMs %+v", facts.System, facts.CPUs, facts.DIMMs)
	}
	if len(facts.NICs) != 1 || !facts.NICs[0].BootedFrom || facts.NICs[0].Driver != "virtio_net" {
		t.Errorf("ports %+v", facts.NICs)
	}
	checkDisks(t, facts.Disks)
	for _, id := range []string{"a-1", "a-2"} {
		if result := server.Result(t, id, time.Minute); result.Error != "" {
			t.Errorf("%s: %+v", id, result)
		}
	}
	waitEnd(t, ended) // -no-reboot makes a restart the end of QEMU
	var timeline []string
	for _, line := range server.State().Log {
		timeline = append(timeline, line.Text)
	}
	if !strings.Contains(strings.Join(timeline, "\n"), "registered: this is rack1-u7") {
		t.Errorf("the timeline is %q", timeline)
	}
}

// checkDisks holds what the agent found against what startVM plugged in.
func checkDisks(t *testing.T, disks []inventory.DiskFacts) {
	t.Helper()
	got := map[string]inventory.DiskFacts{}
	for _, d := range disks {
		got[d.Serial] = d
	}
	for serial, want := range map[string]struct{ transport, wwn string }{
		"NVME-0001": {"nvme", ""}, "SATA-0001": {"sata", "naa.5000c50015ea71aa"}, "SCSI-0001": {"scsi", "naa.5000c50015ea71ab"},
	} {
		d := got[serial]
		if d.Transport != want.transport || want.wwn != "" && d.WWN != want.wwn || d.SizeBytes != vmDisk || !d.ContentRead {
			t.Errorf("disk %s is %+v", serial, d)
		}
	}
	for _, serial := range []string{"NVME-0001", "SATA-0001"} { // QEMU's SCSI disks keep no health
		if s := got[serial].SMART; s == nil || s.Passed == nil || !*s.Passed {
			t.Errorf("health of %s: %+v", serial, s)
		}
	}
}
