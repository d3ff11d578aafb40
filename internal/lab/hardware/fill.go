package hardware

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
)

// Sizes that Fill gives to what is not said.
const (
	defaultMemoryMiB = 1024
	defaultDiskSize  = 4 << 30
)

// Fill returns a copy in which everything left empty has a plausible value:
// one processor core, 1 GiB in the first of two memory slots, one network
// port, one 4 GiB disk, two power supplies, and names, serial numbers and
// addresses derived from the server's name. With Blank set, identities stay
// as they are.
func (s Server) Fill() Server {
	s = s.Clone()
	if s.Firmware == "" {
		s.Firmware = BIOS
	}
	if s.Order == "" {
		s.Order = NetworkFirst
	}
	if s.UUID == "" {
		s.UUID = s.uuid()
	}
	s.fillIdentity()
	s.fillCPU()
	s.fillDIMMs()
	s.fillNICs()
	s.fillDisks()
	if s.PSUs == nil {
		s.PSUs = []PSU{
			{Name: "PSU1", Model: "LAB-750W", Serial: s.serial("PS", "1"), Watts: 750, Firmware: "1.0"},
			{Name: "PSU2", Absent: true},
		}
	}
	return s
}

func (s *Server) fillIdentity() {
	if s.Blank {
		return
	}
	def(&s.System.Manufacturer, "Lab Servers")
	def(&s.System.Product, "Virtual Server One")
	def(&s.System.Version, "1.0")
	def(&s.System.Serial, s.serial("SY", ""))
	def(&s.Board.Manufacturer, s.System.Manufacturer)
	def(&s.Board.Product, "LB-1")
	def(&s.Board.Version, "1.0")
	def(&s.Board.Serial, s.serial("MB", ""))
	def(&s.Chassis.Manufacturer, s.System.Manufacturer)
	def(&s.Chassis.Version, "1.0")
	def(&s.Chassis.Serial, s.serial("CH", ""))
	def(&s.BIOS.Vendor, "Lab Firmware")
	def(&s.BIOS.Version, "1.2.3")
	def(&s.BIOS.Date, "02/28/2026")
}

func (s *Server) fillCPU() {
	if s.CPU.Cores < 1 {
		s.CPU.Cores = 1
	}
	def(&s.CPU.Manufacturer, "AuthenticAMD")
	def(&s.CPU.Model, "Lab Virtual CPU")
}

func (s *Server) fillDIMMs() {
	if s.DIMMs == nil {
		s.DIMMs = []DIMM{{SizeMiB: defaultMemoryMiB}, {}}
	}
	for i := range s.DIMMs {
		d := &s.DIMMs[i]
		def(&d.Slot, fmt.Sprintf("DIMM_A%d", i+1))
		if d.SizeMiB == 0 {
			continue
		}
		def(&d.Manufacturer, "Lab Memory")
		def(&d.Part, fmt.Sprintf("LM-%dM", d.SizeMiB))
		def(&d.Serial, s.serial("DM", d.Slot))
		if d.SpeedMTs == 0 {
			d.SpeedMTs = 3200
		}
	}
}

func (s *Server) fillNICs() {
	if s.NICs == nil {
		s.NICs = []NIC{{}}
	}
	for i := range s.NICs {
		n := &s.NICs[i]
		def(&n.Name, fmt.Sprintf("nic%d", i+1))
		def(&n.Model, "virtio")
		if n.MAC == nil {
			n.MAC = s.MAC(n.Name)
		}
	}
}

func (s *Server) fillDisks() {
	if s.Disks == nil {
		s.Disks = []Disk{{}}
	}
	for i := range s.Disks {
		d := &s.Disks[i]
		def(&d.Slot, fmt.Sprintf("bay%d", i+1))
		*d = s.FillDisk(*d)
	}
}

// FillDisk gives a disk what it lacks; see Fill. Slot must be set.
func (s Server) FillDisk(d Disk) Disk {
	if d.Kind == "" {
		d.Kind = NVMe
	}
	if d.Size == 0 {
		d.Size = defaultDiskSize
	}
	def(&d.Serial, s.serial("DK", d.Slot))
	// No name for NVMe by default: Linux knows that old versions of QEMU's NVMe
	// device made names up, and ignores what this controller says.
	if d.WWN == "" && (d.Kind == SCSI || d.Kind == SATA) {
		sum := s.hash("wwn " + d.Serial)
		// NAA 5, the locally chosen rest: the form of SAS and SATA names.
		d.WWN = fmt.Sprintf("5%015x", binary.BigEndian.Uint64(sum[:8])>>4)
	}
	def(&d.Model, "LAB SSD")
	return d
}

// MAC derives a hardware address of QEMU's range (52:54:00) for a named port
// of this server, such as "nic1" or "bmc".
func (s Server) MAC(port string) net.HardwareAddr {
	sum := s.hash("mac " + port)
	return net.HardwareAddr{0x52, 0x54, 0x00, sum[0], sum[1], sum[2]}
}

// serial derives a serial number such as "SY4F2A91C3".
func (s Server) serial(prefix, part string) string {
	sum := s.hash(prefix + " " + part)
	return prefix + strings.ToUpper(fmt.Sprintf("%x", sum[:4]))
}

func (s Server) uuid() string {
	sum := s.hash("uuid")
	// Version 4, as if random: by RFC 9562 a UUID made from a hash of our own
	// would be version 8, but ipmitool tells the byte order of a GUID by finding
	// a version that it knows.
	sum[6] = sum[6]&0x0f | 0x40
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

func (s Server) hash(what string) [sha256.Size]byte {
	return sha256.Sum256([]byte("berth lab " + s.Name + " " + what))
}

// def sets an empty string.
func def(field *string, value string) {
	if *field == "" {
		*field = value
	}
}
