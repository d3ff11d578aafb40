package inventory

import "time"

// Facts is what one look at a machine saw: by the agent from inside, by a BMC from outside, or by a person who typed it from
// a label. An empty string or a nil pointer means "not seen", never "none": an absent fact is unknown.
// Everything in it is the machine's own word, and so hostile input wherever it is shown.
type Facts struct {
	Source     FactSource `json:"source"`
	ObservedAt time.Time  `json:"observed_at"`

	System   SystemFacts   `json:"system"`
	Board    BoardFacts    `json:"board"`
	Chassis  ChassisFacts  `json:"chassis"`
	BIOS     BIOSFacts     `json:"bios"`
	Firmware FirmwareFacts `json:"firmware"`

	CPUs  []CPUFacts  `json:"cpus,omitempty"`
	DIMMs []DIMMFacts `json:"dimms,omitempty"`
	// MemoryMiB is the memory the running kernel or the BMC counts, to hold against the sum of the DIMMs.
	MemoryMiB int64       `json:"memory_mib,omitempty"`
	Disks     []DiskFacts `json:"disks,omitempty"`
	NICs      []NICFacts  `json:"nics,omitempty"`
	PSUs      []PSUFacts  `json:"psus,omitempty"`
	PCI       []PCIFacts  `json:"pci,omitempty"`
	BMC       *BMCFacts   `json:"bmc,omitempty"`
	TPM       *TPMFacts   `json:"tpm,omitempty"`

	// Problems are sentences about what could not be read; they do not make the rest less true.
	Problems []string `json:"problems,omitempty"`
}

// FactSource says whose word a fact is.
type FactSource string

// The sources of facts.
const (
	SourceAgent  FactSource = "agent"  // the agent in RAM, from inside
	SourceBMC    FactSource = "bmc"    // the management controller, from outside
	SourcePerson FactSource = "person" // typed or imported
	SourceSystem FactSource = "system" // the installed operating system
)

// SystemFacts is SMBIOS type 1 or a Redfish ComputerSystem.
type SystemFacts struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Product      string `json:"product,omitempty"`
	Version      string `json:"version,omitempty"`
	Serial       string `json:"serial,omitempty"`
	SKU          string `json:"sku,omitempty"`
	Family       string `json:"family,omitempty"`
	// UUID is in the byte order of SMBIOS 2.6 and later, as `dmidecode` and /sys print it, in lower case.
	UUID     string `json:"uuid,omitempty"`
	AssetTag string `json:"asset_tag,omitempty"`
	// Arch is the Go name of the architecture: amd64, arm64.
	Arch string `json:"arch,omitempty"`
}

// BoardFacts is SMBIOS type 2.
type BoardFacts struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Product      string `json:"product,omitempty"`
	Version      string `json:"version,omitempty"`
	Serial       string `json:"serial,omitempty"`
	AssetTag     string `json:"asset_tag,omitempty"`
}

// ChassisFacts is SMBIOS type 3 or a Redfish Chassis.
type ChassisFacts struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Type         string `json:"type,omitempty"`
	Serial       string `json:"serial,omitempty"`
	AssetTag     string `json:"asset_tag,omitempty"`
}

// BIOSFacts is SMBIOS type 0.
type BIOSFacts struct {
	Vendor  string `json:"vendor,omitempty"`
	Version string `json:"version,omitempty"`
	Date    string `json:"date,omitempty"`
}

// FirmwareFacts is how the machine was booted this time.
type FirmwareFacts struct {
	// BootMode is "uefi" or "bios", or empty when not known.
	BootMode   string `json:"boot_mode,omitempty"`
	SecureBoot *bool  `json:"secure_boot,omitempty"`
}

// CPUFacts is one socket that holds a processor.
type CPUFacts struct {
	Socket       string `json:"socket,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Serial       string `json:"serial,omitempty"`
	Cores        int    `json:"cores,omitempty"`
	Threads      int    `json:"threads,omitempty"`
	SpeedMHz     int    `json:"speed_mhz,omitempty"`
}

// DIMMFacts is one memory module that is there; an empty slot is none.
type DIMMFacts struct {
	Slot         string `json:"slot,omitempty"`
	Bank         string `json:"bank,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	PartNumber   string `json:"part_number,omitempty"`
	Serial       string `json:"serial,omitempty"`
	SizeMiB      int64  `json:"size_mib,omitempty"`
	Type         string `json:"type,omitempty"` // DDR3, DDR4, DDR5
	SpeedMTs     int    `json:"speed_mts,omitempty"`
	ECC          *bool  `json:"ecc,omitempty"`
}

// DiskFacts is one physical disk.
type DiskFacts struct {
	// Name is the kernel's name of the moment (sda, nvme0n1). It identifies nothing across boots.
	Name         string `json:"name,omitempty"`
	Model        string `json:"model,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	Serial       string `json:"serial,omitempty"`
	// WWN is naa.…, eui.… or nvme.… in lower case.
	WWN       string `json:"wwn,omitempty"`
	SizeBytes int64  `json:"size_bytes,omitempty"`
	// Type is HD, SSD or NVME.
	Type       string `json:"type,omitempty"`
	Transport  string `json:"transport,omitempty"` // nvme, sata, sas, virtio, usb, loop
	Firmware   string `json:"firmware,omitempty"`
	Slot       string `json:"slot,omitempty"`
	Rotational *bool  `json:"rotational,omitempty"`
	// LogicalBlockBytes is 512 or 4096.
	LogicalBlockBytes int         `json:"logical_block_bytes,omitempty"`
	SMART             *SMARTFacts `json:"smart,omitempty"`
	// Contents are findings such as "gpt", "ext4 root", "ceph bluestore osd.3", in a form a person can read.
	Contents []ContentFact `json:"contents,omitempty"`
	// ContentRead is true when the disk was looked at: only then does an empty Contents mean an empty disk.
	ContentRead bool `json:"content_read,omitempty"`
	ReadOnly    bool `json:"read_only,omitempty"`
	Removable   bool `json:"removable,omitempty"`
}

// ContentFact is one thing found on a disk.
type ContentFact struct {
	// Kind is one of storage's finding kinds: table, filesystem, swap, lvm, md, zfs, luks, ceph, other, unknown.
	Kind  string `json:"kind"`
	Type  string `json:"type,omitempty"`
	Label string `json:"label,omitempty"`
	UUID  string `json:"uuid,omitempty"`
	// Partition is 0 for the whole disk.
	Partition int `json:"partition,omitempty"`
	// Partitions is, for a table, how many it has.
	Partitions int `json:"partitions,omitempty"`
	// Offset is where on the disk it begins, in bytes.
	Offset int64 `json:"offset,omitempty"`
	// OSD is set for Ceph.
	OSD      *OSDFact `json:"osd,omitempty"`
	Sentence string   `json:"sentence,omitempty"`
}

// OSDFact names an object storage daemon of a Ceph cluster.
type OSDFact struct {
	FSID    string `json:"fsid,omitempty"`
	ID      *int   `json:"id,omitempty"`
	Cluster string `json:"cluster,omitempty"` // fsid of the cluster
}

// SMARTFacts is the summary of a disk's own health report. Nil means not reported.
type SMARTFacts struct {
	Passed             *bool  `json:"passed,omitempty"`
	TemperatureCelsius *int   `json:"temperature_celsius,omitempty"`
	PowerOnHours       *int64 `json:"power_on_hours,omitempty"`
	PowerCycles        *int64 `json:"power_cycles,omitempty"`
	ReallocatedSectors *int64 `json:"reallocated_sectors,omitempty"`
	PendingSectors     *int64 `json:"pending_sectors,omitempty"`
	PercentUsed        *int   `json:"percent_used,omitempty"`
	MediaErrors        *int64 `json:"media_errors,omitempty"`
	WrittenBytes       *int64 `json:"written_bytes,omitempty"`
}

// NICFacts is one network port.
type NICFacts struct {
	// Name is the kernel's or the BMC's name of the moment.
	Name         string `json:"name,omitempty"`
	MAC          string `json:"mac,omitempty"` // permanent address, aa:bb:cc:dd:ee:ff
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Driver       string `json:"driver,omitempty"`
	Firmware     string `json:"firmware,omitempty"`
	PCIAddress   string `json:"pci_address,omitempty"`
	Link         *bool  `json:"link,omitempty"`
	SpeedMbps    int    `json:"speed_mbps,omitempty"`
	// BootedFrom marks the port the agent's own boot came through.
	BootedFrom bool           `json:"booted_from,omitempty"`
	LLDP       *NeighborFacts `json:"lldp,omitempty"`
}

// NeighborFacts is what a switch says of itself on the other end (IEEE 802.1AB).
type NeighborFacts struct {
	ChassisID         string `json:"chassis_id,omitempty"`
	PortID            string `json:"port_id,omitempty"`
	PortDescription   string `json:"port_description,omitempty"`
	SystemName        string `json:"system_name,omitempty"`
	SystemDescription string `json:"system_description,omitempty"`
	VLAN              int    `json:"vlan,omitempty"`
}

// PSUFacts is one power supply (SMBIOS type 39 or Redfish).
type PSUFacts struct {
	Slot         string `json:"slot,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Serial       string `json:"serial,omitempty"`
	CapacityW    int    `json:"capacity_w,omitempty"`
	Present      *bool  `json:"present,omitempty"`
}

// PCIFacts is a device on the PCI bus that is no bridge.
type PCIFacts struct {
	Address string `json:"address"`
	Vendor  string `json:"vendor"` // four hexadecimal digits
	Device  string `json:"device"`
	Class   string `json:"class"`
	Name    string `json:"name,omitempty"`
}

// BMCFacts is the management controller, from inside (IPMI over KCS) or from outside.
type BMCFacts struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Firmware     string `json:"firmware,omitempty"`
	IPMIVersion  string `json:"ipmi_version,omitempty"`
	MAC          string `json:"mac,omitempty"`
	Address      string `json:"address,omitempty"`
}

// TPMFacts identifies the trusted platform module.
type TPMFacts struct {
	Version string `json:"version,omitempty"`
	// EKHash is the SHA-256 of the endorsement key's public area, in hexadecimal.
	EKHash string `json:"ek_hash,omitempty"`
}
