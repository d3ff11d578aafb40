// Package qemu runs one virtual server in a QEMU process: it writes the command
// line from the server's description, and talks to the process by QMP.
package qemu

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"berth/internal/lab/hardware"
)

// The programs and firmware of Debian's packages qemu-system-x86 and ovmf.
const (
	Binary   = "qemu-system-x86_64"
	OVMFCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	OVMFVars = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

// Launch is everything that one start of a server needs.
type Launch struct {
	Server hardware.Server
	// Boot is what it boots from: None or PXE and HTTP the network and then the
	// disks when the server's order says so, HDD the disks first.
	Boot hardware.Device
	Dir  string // for sockets and tables; short, as socket paths have 107 bytes
	// Disks and Taps are the files and links of the server's disks and ports, in
	// their order.
	Disks, Taps []string
	Vars        string // the server's copy of OVMFVars; UEFI only
	Console     string // file for the serial port's output
	Inband      string // socket of the controller's system interface; "" for none
	Cache       string // QEMU's cache mode for disks: "writeback" or "unsafe"
	Accel       string // "tcg" or "kvm"
	CPU         string // QEMU's CPU model
}

// sockets of a launch.
func (l Launch) qmpSocket() string { return filepath.Join(l.Dir, "qmp.sock") }

// ConsoleSocket is where the serial port can be read and written live, by one
// client at a time.
func (l Launch) ConsoleSocket() string { return filepath.Join(l.Dir, "console.sock") }

func (l Launch) memoryTable(i int) string {
	return filepath.Join(l.Dir, fmt.Sprintf("dimm%d.bin", i))
}

// networkFirst reports whether the network comes before the disks at this boot.
func (l Launch) networkFirst() bool {
	switch l.Boot {
	case hardware.PXE, hardware.HTTP:
		return true
	case hardware.HDD:
		return false
	default:
		return l.Server.Order == hardware.NetworkFirst
	}
}

// Args is the command line.
func (l Launch) Args() []string {
	s := l.Server
	a := []string{
		"-name", s.Name,
		"-nodefaults", "-no-user-config", "-display", "none",
		// graphics=off puts SeaBIOS and iPXE on the serial port.
		"-machine", "q35,graphics=off",
		"-accel", l.accel(), "-cpu", l.cpu(),
		"-smp", strconv.Itoa(s.CPU.Cores),
		"-m", strconv.Itoa(s.MemoryMiB()),
		"-uuid", s.UUID,
		// A reset from inside ends in a SHUTDOWN event, after which the lab starts
		// the server again: a reset within QEMU would keep the boot order, and
		// "boot once from the network" would last for ever.
		"-action", "reboot=shutdown", "-no-shutdown",
		"-chardev", "socket,id=qmp,server=on,wait=off,path=" + escape(l.qmpSocket()),
		"-mon", "chardev=qmp,mode=control",
		"-chardev", "socket,id=console,server=on,wait=off,path=" + escape(l.ConsoleSocket()) + ",logfile=" + escape(l.Console),
		"-serial", "chardev:console",
		// Without a source of entropy a program in a small initramfs can wait for
		// ever for its first random byte.
		"-device", "virtio-rng-pci",
	}
	if s.Firmware == hardware.UEFI {
		a = append(a, l.uefi()...)
	}
	if l.Inband != "" {
		a = append(a, "-chardev", "socket,id=ipmi,reconnect=1,path="+escape(l.Inband),
			"-device", "ipmi-bmc-extern,id=bmc,chardev=ipmi", "-device", "isa-ipmi-kcs,bmc=bmc")
	}
	a = append(a, l.smbios()...)
	// The lower index is tried first.
	nicIndex, diskIndex := 1+len(s.Disks), 1
	if l.networkFirst() {
		nicIndex, diskIndex = 1, 1+len(s.NICs)
	}
	for i, n := range s.NICs {
		a = append(a, l.nic(i, n, nicIndex+i)...)
	}
	return append(a, l.disks(diskIndex)...)
}

func (l Launch) accel() string {
	if l.Accel == "" || l.Accel == "tcg" {
		return "tcg,thread=multi"
	}
	return l.Accel
}

func (l Launch) cpu() string {
	model := l.CPU
	if model == "" {
		// TCG has all that Debian wants and more in qemu64; the additions are what
		// newer images and crypto/rand ask for.
		model = "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+aes,+pclmulqdq,+rdrand"
	}
	return model + ",model-id=" + escape(l.Server.CPU.Model)
}

// uefi is the firmware and its variables, and which network boot it does.
func (l Launch) uefi() []string {
	a := []string{
		"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + OVMFCode,
		"-drive", "if=pflash,format=raw,unit=1,file=" + escape(l.Vars),
		// No DHCPv6 round after each IPv4 one that went unanswered.
		"-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n",
		"-fw_cfg", "name=opt/org.tianocore/IPv6Support,string=n",
	}
	if l.Boot == hardware.HTTP || l.Server.HTTP && l.Boot != hardware.PXE {
		a = append(a, "-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n")
	}
	return a
}

// smbios labels the machine. An empty value is not given, and then QEMU's own
// stands there, as on a board that nobody labelled.
func (l Launch) smbios() []string {
	s := l.Server
	var a []string
	table := func(kind int, pairs ...string) {
		option := fmt.Sprintf("type=%d", kind)
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i+1] != "" {
				option += "," + pairs[i] + "=" + escape(pairs[i+1])
			}
		}
		a = append(a, "-smbios", option)
	}
	table(0, "vendor", s.BIOS.Vendor, "version", s.BIOS.Version, "date", s.BIOS.Date)
	table(1, "manufacturer", s.System.Manufacturer, "product", s.System.Product, "version", s.System.Version,
		"serial", s.System.Serial, "uuid", s.UUID)
	table(2, "manufacturer", s.Board.Manufacturer, "product", s.Board.Product, "version", s.Board.Version,
		"serial", s.Board.Serial, "asset", s.Board.Asset)
	table(3, "manufacturer", s.Chassis.Manufacturer, "version", s.Chassis.Version,
		"serial", s.Chassis.Serial, "asset", s.Chassis.Asset)
	table(4, "manufacturer", s.CPU.Manufacturer, "version", s.CPU.Model, "serial", s.CPU.Serial)
	for i := range s.DIMMs {
		a = append(a, "-smbios", "file="+escape(l.memoryTable(i)))
	}
	return a
}

// nic is one port. OVMF gets no option ROM, else that would boot in its place;
// SeaBIOS needs QEMU's own, which is iPXE.
func (l Launch) nic(i int, n hardware.NIC, bootIndex int) []string {
	model := map[string]string{"virtio": "virtio-net-pci", "e1000": "e1000"}[n.Model]
	device := fmt.Sprintf("%s,id=%s,netdev=net%d,mac=%s,bootindex=%d", model, n.Name, i, n.MAC, bootIndex)
	if l.Server.Firmware == hardware.UEFI {
		device += ",romfile="
	}
	return []string{
		"-netdev", fmt.Sprintf("tap,id=net%d,ifname=%s,script=no,downscript=no", i, l.Taps[i]),
		"-device", device,
	}
}

// disks is every disk with its controller.
func (l Launch) disks(bootIndex int) []string {
	var a []string
	buses := map[hardware.DiskKind]string{
		hardware.SCSI: "virtio-scsi-pci,id=scsi0",
		hardware.SATA: "ich9-ahci,id=sata0",
	}
	ports := map[hardware.DiskKind]int{}
	for i, d := range l.Server.Disks {
		if bus, ok := buses[d.Kind]; ok && ports[d.Kind] == 0 {
			a = append(a, "-device", bus)
		}
		a = append(a, "-drive", fmt.Sprintf("if=none,id=disk%d,format=raw,cache=%s,discard=unmap,detect-zeroes=off,file=%s",
			i, l.cache(), escape(l.Disks[i])))
		a = append(a, disk(i, d, ports[d.Kind], bootIndex+i)...)
		ports[d.Kind]++
	}
	return a
}

func (l Launch) cache() string {
	if l.Cache == "" {
		return "writeback"
	}
	return l.Cache
}

// disk is the device of one disk.
func disk(i int, d hardware.Disk, port, bootIndex int) []string {
	common := fmt.Sprintf("drive=disk%d,bootindex=%d", i, bootIndex)
	serial := ",serial=" + escape(d.Serial)
	wwn := ""
	if d.WWN != "" {
		wwn = ",wwn=0x" + d.WWN
	}
	switch d.Kind {
	case hardware.NVMe:
		controller := fmt.Sprintf("nvme,id=nvme%d%s", i, serial)
		space := fmt.Sprintf("nvme-ns,bus=nvme%d,nsid=1,%s", i, common)
		if d.WWN != "" {
			space += ",eui64=0x" + d.WWN
		}
		return []string{"-device", controller, "-device", space}
	case hardware.SCSI:
		return []string{"-device", fmt.Sprintf("scsi-hd,bus=scsi0.0,scsi-id=%d,vendor=LAB,product=%s,%s%s%s,rotation_rate=1",
			port, escape(d.Model), common, serial, wwn)}
	case hardware.SATA:
		return []string{"-device", fmt.Sprintf("ide-hd,bus=sata0.%d,model=%s,%s%s%s,rotation_rate=1",
			port, escape(d.Model), common, serial, wwn)}
	default:
		return []string{"-device", "virtio-blk-pci," + common + serial}
	}
}

// escape doubles commas, which separate options.
func escape(s string) string { return strings.ReplaceAll(s, ",", ",,") }
