package qemu

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/u-root/u-root/pkg/smbios"

	"berth/internal/lab/hardware"
)

func testServer() hardware.Server {
	return hardware.Server{
		Name:   "tables",
		System: hardware.Identity{Manufacturer: "Lab, Servers", Serial: "To Be Filled By O.E.M."},
		DIMMs:  []hardware.DIMM{{SizeMiB: 192, Serial: "AA11"}, {}, {SizeMiB: 64, Serial: "BB22"}},
		NICs:   []hardware.NIC{},
		Disks:  []hardware.Disk{},
	}.Fill()
}

func TestMemoryDevice(t *testing.T) {
	server := testServer()
	server.DIMMs = append(server.DIMMs, hardware.DIMM{Slot: "DIMM_B1", SizeMiB: 64 << 10, SpeedMTs: 4800})
	for i, want := range server.DIMMs {
		table, rest, err := smbios.ParseTable(memoryDevice(i, want))
		if err != nil || len(rest) != 0 {
			t.Fatalf("slot %d: %v, %d bytes are left", i, err, len(rest))
		}
		got, err := smbios.NewMemoryDevice(table)
		if err != nil {
			t.Fatalf("slot %d: %v", i, err)
		}
		mib := int(got.Size)
		if got.Size == 0x7fff {
			mib = int(got.ExtendedSize)
		}
		if mib != want.SizeMiB || got.DeviceLocator != want.Slot || int(got.Speed) != want.SpeedMTs {
			t.Errorf("slot %d is %d MiB %q %d, want %+v", i, mib, got.DeviceLocator, got.Speed, want)
		}
		if want.Serial != "" && (got.SerialNumber != want.Serial || got.Manufacturer != want.Manufacturer || got.PartNumber != want.Part) {
			t.Errorf("slot %d is %q %q %q, want %+v", i, got.SerialNumber, got.Manufacturer, got.PartNumber, want)
		}
	}
}

// option finds the value that follows an option and begins with prefix.
func option(args []string, name, prefix string) string {
	for i := 0; i+1 < len(args); i++ {
		if args[i] == name && strings.HasPrefix(args[i+1], prefix) {
			return args[i+1]
		}
	}
	return ""
}

func TestArgsBootOrder(t *testing.T) {
	cases := []struct {
		name  string
		order hardware.BootOrder
		boot  hardware.Device
		nic   string
	}{
		{"standing network", hardware.NetworkFirst, hardware.None, "bootindex=1"},
		{"standing disk", hardware.DiskFirst, hardware.None, "bootindex=3"},
		{"pxe before disks", hardware.DiskFirst, hardware.PXE, "bootindex=1"},
		{"disk before network", hardware.NetworkFirst, hardware.HDD, "bootindex=3"},
		{"setup is the standing order", hardware.DiskFirst, hardware.Setup, "bootindex=3"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := hardware.Server{Name: "one", Order: c.order, Disks: []hardware.Disk{{}, {}}}.Fill()
			l := Launch{Server: s, Boot: c.boot, Dir: "/run/x", Disks: []string{"a", "b"}, Taps: []string{"tap0"}}
			nic := option(l.Args(), "-device", "virtio-net-pci")
			if !strings.HasSuffix(nic, ","+c.nic) {
				t.Errorf("the port is %q, want %s", nic, c.nic)
			}
		})
	}
}

func TestArgsOfDisks(t *testing.T) {
	disks := []hardware.Disk{
		{Kind: hardware.NVMe, Serial: "N1", WWN: "0011223344556677"},
		{Kind: hardware.SCSI, Serial: "S1", WWN: "5000000000000001", Model: "BIG"},
		{Kind: hardware.SATA, Serial: "A1", WWN: "5000000000000002"},
		{Kind: hardware.Virtio, Serial: "V1"},
		{Kind: hardware.SCSI, Serial: "S2", WWN: "5000000000000003"},
	}
	s := hardware.Server{Name: "one", Disks: disks}.Fill()
	args := Launch{Server: s, Dir: "/run/x", Disks: []string{"a", "b", "c", "d", "e,f"}, Taps: []string{"tap0"}}.Args()
	all := strings.Join(args, " ")
	for _, want := range []string{
		"nvme,id=nvme0,serial=N1", "nvme-ns,bus=nvme0,nsid=1,drive=disk0,bootindex=2,eui64=0x0011223344556677",
		"scsi-hd,bus=scsi0.0,scsi-id=0,vendor=LAB,product=BIG,drive=disk1,bootindex=3,serial=S1,wwn=0x5000000000000001",
		"ide-hd,bus=sata0.0,model=LAB SSD,drive=disk2,bootindex=4,serial=A1,wwn=0x5000000000000002",
		"virtio-blk-pci,drive=disk3,bootindex=5,serial=V1",
		"scsi-id=1", "discard=unmap", "file=e,,f",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing in\n%s", want, all)
		}
	}
	if n := strings.Count(all, "virtio-scsi-pci"); n != 1 {
		t.Errorf("%d SCSI controllers, want one", n)
	}
}

func TestArgsOfFirmware(t *testing.T) {
	launch := func(f hardware.Firmware, http bool, boot hardware.Device) string {
		s := hardware.Server{Name: "one", Firmware: f, HTTP: http}.Fill()
		return strings.Join(Launch{Server: s, Boot: boot, Dir: "/run/x", Disks: []string{"a"}, Taps: []string{"tap0"}}.Args(), " ")
	}
	const noPXE = "IPv4PXESupport,string=n"
	cases := []struct {
		name  string
		args  string
		has   []string
		lacks []string
	}{
		{"bios", launch(hardware.BIOS, false, hardware.None), nil, []string{"pflash", "romfile", noPXE}},
		{"uefi", launch(hardware.UEFI, false, hardware.None), []string{"pflash", "romfile="}, []string{noPXE}},
		{"uefi http", launch(hardware.UEFI, true, hardware.None), []string{noPXE}, nil},
		{"uefi http once", launch(hardware.UEFI, false, hardware.HTTP), []string{noPXE}, nil},
		{"uefi http, pxe once", launch(hardware.UEFI, true, hardware.PXE), nil, []string{noPXE}},
	}
	for _, c := range cases {
		for _, want := range append(c.has, "virtio-rng-pci", "reboot=shutdown") {
			if !strings.Contains(c.args, want) {
				t.Errorf("%s: %q is missing in\n%s", c.name, want, c.args)
			}
		}
		for _, bad := range c.lacks {
			if strings.Contains(c.args, bad) {
				t.Errorf("%s: %q is in\n%s", c.name, bad, c.args)
			}
		}
	}
}

func TestStartTimeTellsProcessesApart(t *testing.T) {
	mine, err := StartTime(os.Getpid())
	if err != nil || mine == 0 {
		t.Fatalf("%d, %v", mine, err)
	}
	if first, err := StartTime(1); err != nil || first == mine {
		t.Errorf("process 1 started at %d, this one at %d, %v", first, mine, err)
	}
	if _, err := StartTime(1 << 30); err == nil {
		t.Error("a process that is not has a start time")
	}
}

func TestStartSaysWhatQEMUSaid(t *testing.T) {
	if _, err := exec.LookPath(Binary); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	l := Launch{Server: testServer(), Dir: t.TempDir(), CPU: "no-such-cpu"}
	l.Console = filepath.Join(l.Dir, "console.log")
	p, err := Start(t.Context(), l, (*exec.Cmd).Start)
	if err == nil {
		p.Kill()
		t.Fatal("it started")
	}
	if !strings.Contains(err.Error(), "no-such-cpu") {
		t.Errorf("the error does not say why: %v", err)
	}
}

// TestVMTables boots SeaBIOS and reads the SMBIOS tables in the guest's memory.
func TestVMTables(t *testing.T) {
	if os.Getenv("BERTH_TEST_VM") == "" {
		t.Skip("SKIPPED: BERTH_TEST_VM is not set; NO virtual machine is tested")
	}
	server := testServer()
	l := Launch{Server: server, Dir: t.TempDir()}
	l.Console = filepath.Join(l.Dir, "console.log")
	p, err := Start(t.Context(), l, (*exec.Cmd).Start)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	info := biosTables(t, p, l)
	system, err := info.GetSystemInfo()
	if err != nil {
		t.Fatal(err)
	}
	if system.SerialNumber != server.System.Serial || system.Manufacturer != "Lab, Servers" || !strings.EqualFold(system.UUID.String(), server.UUID) {
		t.Errorf("system is %q %q %s, want %+v %s", system.SerialNumber, system.Manufacturer, system.UUID, server.System, server.UUID)
	}
	boards, err := info.GetBaseboardInfo()
	if err != nil || len(boards) != 1 || boards[0].SerialNumber != server.Board.Serial {
		t.Errorf("boards: %v, %v", boards, err)
	}
	chassis, err := info.GetChassisInfo()
	if err != nil || len(chassis) != 1 || chassis[0].SerialNumber != server.Chassis.Serial {
		t.Errorf("chassis: %v, %v", chassis, err)
	}
	slots, err := info.GetMemoryDevices()
	if err != nil || len(slots) != 3 {
		t.Fatalf("%d memory slots, %v", len(slots), err)
	}
	if slots[0].SerialNumber != "AA11" || slots[1].Size != 0 || slots[2].SerialNumber != "BB22" || slots[2].Size != 64 {
		t.Errorf("memory is %v", slots)
	}
	if p.CPUTime() == 0 {
		t.Error("it used no time")
	}
	p.Quit()
	if p.CPUTime() == 0 {
		t.Error("its time is forgotten")
	}
}

// biosTables waits for the tables and reads them: the entry point is in the BIOS
// segment, and says where the rest is.
func biosTables(t *testing.T, p *Process, l Launch) *smbios.Info {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		const segment, size = 0xf0000, 0x10000
		memory := guestMemory(t, p, segment, size)
		for i := 0; i+32 <= len(memory); i += 16 { // where an entry point may stand
			entry := memory[i : i+31]
			e32, _, err := smbios.ParseEntry(entry)
			if err != nil || e32 == nil {
				continue
			}
			table := guestMemory(t, p, int(e32.StructTableAddr), int(e32.StructTableLength))
			if info, err := smbios.ParseInfo(entry, table); err == nil {
				return info
			}
		}
		select {
		case <-ctx.Done():
			console, _ := os.ReadFile(l.Console)
			t.Fatalf("no SMBIOS tables: %v\n%s", ctx.Err(), console)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// guestMemory reads physical memory of a running machine.
func guestMemory(t *testing.T, p *Process, at, size int) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "memory.bin")
	if err := p.monitor.do(t.Context(), "pmemsave", map[string]any{"val": at, "size": size, "filename": file}); err != nil {
		t.Fatal(err)
	}
	memory, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return memory
}
