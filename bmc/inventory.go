package bmc

import "strings"

// Inventory is what a BMC says the machine consists of. An empty string, a zero or a nil pointer means "the BMC did not
// say", never "there is none". All of it is the word of a small, often careless computer: input from outside.
type Inventory struct {
	System  SystemInfo  `json:"system"`
	Board   BoardInfo   `json:"board"`
	Chassis ChassisInfo `json:"chassis"`
	BIOS    BIOSInfo    `json:"bios"`
	BMC     Controller  `json:"bmc"`

	CPUs         []CPU         `json:"cpus,omitempty"`
	Accelerators []Accelerator `json:"accelerators,omitempty"`
	DIMMs        []DIMM        `json:"dimms,omitempty"`
	// EmptySlots are the memory slots without a module, by label; they are no parts.
	EmptySlots []string `json:"empty_slots,omitempty"`
	// MemoryMiB is the sum the BMC itself names, to hold against the modules.
	MemoryMiB int64      `json:"memory_mib,omitempty"`
	Disks     []Disk     `json:"disks,omitempty"`
	NICs      []NIC      `json:"nics,omitempty"`
	PSUs      []PSU      `json:"psus,omitempty"`
	Firmware  []Firmware `json:"firmware,omitempty"`

	// Problems are sentences about branches that could not be read; what was read is no less true.
	Problems []string `json:"problems,omitempty"`
}

// Empty reports whether an inventory says nothing that identifies a machine: no serial number or UUID, no processor and
// no network port. Some BMCs answer so before the machine's first boot, and some libraries when they did not log in.
func (i Inventory) Empty() bool {
	identified := i.System.Serial != "" || i.System.UUID != "" || i.Board.Serial != "" || i.Chassis.Serial != ""
	return !identified && len(i.CPUs) == 0 && len(i.NICs) == 0
}

// SystemInfo names the machine as its maker does.
type SystemInfo struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Serial       string `json:"serial,omitempty"`
	SKU          string `json:"sku,omitempty"`
	PartNumber   string `json:"part_number,omitempty"`
	UUID         string `json:"uuid,omitempty"` // lower case
	AssetTag     string `json:"asset_tag,omitempty"`
	HostName     string `json:"host_name,omitempty"`
	Health       string `json:"health,omitempty"` // OK, Warning, Critical
}

// BoardInfo is the main board.
type BoardInfo struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Serial       string `json:"serial,omitempty"`
	PartNumber   string `json:"part_number,omitempty"`
}

// ChassisInfo is the box around it.
type ChassisInfo struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Type         string `json:"type,omitempty"` // RackMount, Blade, StandAlone, ...
	Serial       string `json:"serial,omitempty"`
	PartNumber   string `json:"part_number,omitempty"`
	AssetTag     string `json:"asset_tag,omitempty"`
}

// BIOSInfo is the machine's firmware.
type BIOSInfo struct {
	Version string `json:"version,omitempty"`
}

// Controller is the BMC itself.
type Controller struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Firmware     string `json:"firmware,omitempty"`
	Protocol     string `json:"protocol,omitempty"` // "Redfish 1.11.0", "IPMI 2.0"
	MAC          string `json:"mac,omitempty"`
	UUID         string `json:"uuid,omitempty"`
}

// CPU is a processor in its socket.
type CPU struct {
	Socket       string `json:"socket,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Serial       string `json:"serial,omitempty"`
	Architecture string `json:"architecture,omitempty"`
	Cores        int    `json:"cores,omitempty"`
	Threads      int    `json:"threads,omitempty"`
	SpeedMHz     int    `json:"speed_mhz,omitempty"`
}

// Accelerator is a GPU, FPGA or other processor that runs no operating system.
type Accelerator struct {
	Slot         string `json:"slot,omitempty"`
	Kind         string `json:"kind,omitempty"` // GPU, FPGA, Accelerator, ...
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Serial       string `json:"serial,omitempty"`
	PartNumber   string `json:"part_number,omitempty"`
}

// DIMM is a memory module that is there.
type DIMM struct {
	Slot         string `json:"slot,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	PartNumber   string `json:"part_number,omitempty"`
	Serial       string `json:"serial,omitempty"`
	SizeMiB      int64  `json:"size_mib,omitempty"`
	Type         string `json:"type,omitempty"` // DDR4, DDR5, ...
	SpeedMTs     int    `json:"speed_mts,omitempty"`
	ECC          *bool  `json:"ecc,omitempty"`
	Health       string `json:"health,omitempty"`
}

// Disk is a physical drive.
type Disk struct {
	Slot         string `json:"slot,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Serial       string `json:"serial,omitempty"`
	PartNumber   string `json:"part_number,omitempty"`
	// WWN is naa.…, eui.… or nqn.… in lower case.
	WWN       string `json:"wwn,omitempty"`
	SizeBytes int64  `json:"size_bytes,omitempty"`
	Media     string `json:"media,omitempty"`    // HDD, SSD
	Protocol  string `json:"protocol,omitempty"` // NVMe, SATA, SAS, ...
	Firmware  string `json:"firmware,omitempty"`
	// LifeLeftPercent is the predicted rest of a flash drive's life, 0 to 100. Zero is a worn-out drive, nil is "not said".
	LifeLeftPercent *int   `json:"life_left_percent,omitempty"`
	FailurePredict  *bool  `json:"failure_predicted,omitempty"`
	Health          string `json:"health,omitempty"`
}

// NIC is one network port.
type NIC struct {
	Name         string `json:"name,omitempty"`
	MAC          string `json:"mac,omitempty"` // aa:bb:cc:dd:ee:ff
	Slot         string `json:"slot,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Serial       string `json:"serial,omitempty"` // of the adapter the port is on
	PartNumber   string `json:"part_number,omitempty"`
	Firmware     string `json:"firmware,omitempty"`
	Link         *bool  `json:"link,omitempty"`
	SpeedMbps    int    `json:"speed_mbps,omitempty"`
}

// PSU is a power supply that is there.
type PSU struct {
	Slot         string `json:"slot,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Serial       string `json:"serial,omitempty"`
	PartNumber   string `json:"part_number,omitempty"`
	Firmware     string `json:"firmware,omitempty"`
	CapacityW    int    `json:"capacity_w,omitempty"`
	Health       string `json:"health,omitempty"`
}

// Firmware is one installed piece of firmware by the BMC's own list.
type Firmware struct {
	Component string `json:"component"`
	Version   string `json:"version"`
}

// Clean trims what BMCs pad and drops what makers print where they have nothing to say. A field that reads "To Be Filled
// By O.E.M." is unknown, not a name two machines share.
func Clean(s string) string {
	s = strings.TrimFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xfffd })
	switch strings.ToLower(s) {
	case "", "n/a", "na", "none", "null", "unknown", "not specified", "not available", "not present", "no dimm", "default string",
		"to be filled by o.e.m.", "to be filled by oem", "o.e.m.", "oem", "empty", "-", "undefined", "not applicable":
		return ""
	}
	return s
}
