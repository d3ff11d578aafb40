package hardware

import (
	"net"
	"slices"
)

// Firmware is what a server runs before its operating system.
type Firmware string

// The firmware the lab has.
const (
	BIOS Firmware = "bios" // SeaBIOS; network boot by QEMU's own iPXE ROM
	UEFI Firmware = "uefi" // OVMF; network boot by its own PXE or HTTP stack
)

// DiskKind is the bus a disk hangs on, which decides how Linux names it and
// where its serial number is read.
type DiskKind string

// The buses the lab has.
const (
	NVMe   DiskKind = "nvme"
	SCSI   DiskKind = "scsi" // virtio-scsi, seen as a SAS disk
	SATA   DiskKind = "sata" // AHCI
	Virtio DiskKind = "virtio"
)

// BootOrder is what a server tries by itself when nobody told it otherwise.
type BootOrder string

// The standing orders.
const (
	NetworkFirst BootOrder = "network-first" // the default, as servers are shipped
	DiskFirst    BootOrder = "disk-first"
)

// Identity is what stands on the label of a part: a chassis, a board, a system.
type Identity struct {
	Manufacturer string
	Product      string
	Version      string
	Serial       string // free text, also junk such as "To Be Filled By O.E.M."
	Asset        string
}

// Server describes one virtual server. The zero value of every field but Name
// is filled by Fill; identifiers are derived from the name, so the same
// description gives the same serial numbers and addresses on every run.
type Server struct {
	Name     string // unique in a rack; letters, digits and dashes
	Firmware Firmware
	System   Identity
	UUID     string // RFC 9562 text form
	Board    Identity
	Chassis  Identity
	BIOS     BIOSInfo

	CPU   Processor
	DIMMs []DIMM
	NICs  []NIC
	Disks []Disk
	PSUs  []PSU
	Order BootOrder
	HTTP  bool // UEFI only: boot by HTTP instead of PXE over TFTP
	Blank bool // keep empty identities empty, as on a board nobody labelled
}

// BIOSInfo is the firmware's own label, SMBIOS type 0.
type BIOSInfo struct {
	Vendor  string
	Version string
	Date    string // mm/dd/yyyy, as SMBIOS writes it
}

// Processor is the processor of a server.
type Processor struct {
	Manufacturer string
	Model        string
	Cores        int // at least 1
	Serial       string
}

// DIMM is one memory slot. SizeMiB 0 is an empty slot, which real boards have
// and which must not be counted as memory.
type DIMM struct {
	Slot         string // "DIMM_A1"
	SizeMiB      int
	Manufacturer string
	Part         string
	Serial       string
	SpeedMTs     int // mega-transfers per second
}

// NIC is one network port.
type NIC struct {
	Name  string // "nic1"; unique in the server
	MAC   net.HardwareAddr
	Model string // "virtio" (default) or "e1000"
}

// Disk is one drive.
type Disk struct {
	Slot   string // "bay1"; unique in the server
	Kind   DiskKind
	Size   int64  // bytes, a multiple of 512
	Serial string // at most 20 characters, as the buses allow
	WWN    string // 16 hex digits: a NAA name, or an EUI-64 for NVMe; SCSI and SATA have one by default
	Model  string // at most 16 characters; ignored by NVMe and virtio, which have their own
	// File holds the content, as a sparse raw file that the host can read at any
	// time. It moves with the disk from slot to slot and machine to machine. The
	// rack names and makes it when it is empty.
	File string
}

// PSU is one power supply. It exists only in the management controller's
// answers: QEMU has no such part.
type PSU struct {
	Name     string
	Model    string
	Serial   string
	Watts    int
	Absent   bool // an empty bay
	Unplug   bool // present, but without input power
	Firmware string
}

// MemoryMiB is the sum over all slots.
func (s Server) MemoryMiB() int {
	sum := 0
	for _, d := range s.DIMMs {
		sum += d.SizeMiB
	}
	return sum
}

// Clone returns a deep copy, which its receiver may change freely.
func (s Server) Clone() Server {
	s.DIMMs = slices.Clone(s.DIMMs)
	s.Disks = slices.Clone(s.Disks)
	s.PSUs = slices.Clone(s.PSUs)
	s.NICs = slices.Clone(s.NICs)
	for i := range s.NICs {
		s.NICs[i].MAC = slices.Clone(s.NICs[i].MAC)
	}
	return s
}
