package inventory

import (
	"strings"
	"time"
)

// Device is an asset in a role: it has a name, a place, interfaces. A device with a ProvisionState is a machine: berth can boot it.
type Device struct {
	Meta
	Name       string   `json:"name" berth:"list,filter,search,required" help:"The host name; letters, digits, dots and hyphens."`
	Asset      UID      `json:"asset" berth:"filter,ref=asset"`
	DeviceType UID      `json:"device_type" berth:"filter,ref=device-type"`
	Role       string   `json:"role" berth:"list,filter,search" help:"What it is for, in a word: k8s-node, ceph-host, libvirt, router."`
	Status     string   `json:"status" berth:"list,filter,enum=planned|staged|active|offline|failed|decommissioning"`
	Site       UID      `json:"site" berth:"list,filter,ref=site"`
	Location   UID      `json:"location" berth:"filter,ref=location"`
	Rack       UID      `json:"rack" berth:"list,filter,ref=rack"`
	Position   *float64 `json:"position" berth:"unit=U" help:"The lowest unit it takes, in steps of 0.5."`
	Face       string   `json:"face" berth:"enum=|front|rear"`
	Slot       int      `json:"slot" help:"Of what takes a part of a unit's width: which part, from 0 at the left as seen from the front."`
	Side       string   `json:"side" berth:"enum=|left|right" help:"Of what takes no unit: the side of the rack it is mounted on, as seen from the front."`
	// OverReservation is why it may stand in units that are kept free for something else; it must say so for as long as it stands there.
	OverReservation string `json:"over_reservation" help:"Why it may stand in reserved units."`

	ProvisionState State `json:"provision_state" berth:"list,filter,readonly,enum=|unknown|discovered|ready|foreign|deployed|quarantined|retired"`
	// StateReason says why, in a sentence: always set for quarantined.
	StateReason string `json:"state_reason" berth:"readonly"`
	// Operation is the one that works on the machine now; empty when none does.
	Operation UID    `json:"operation" berth:"filter,readonly,ref=operation"`
	Profile   UID    `json:"profile" berth:"filter,ref=profile"`
	Image     UID    `json:"image" berth:"filter,readonly,ref=image" help:"What berth wrote last."`
	Power     string `json:"power" berth:"list,filter,volatile,enum=|on|off" help:"As the BMC said last; empty is not known."`
	// NetbootOffer is true while the machine is offered the agent; else it is given its local disk.
	NetbootOffer bool `json:"netboot_offer" berth:"volatile"`
	// OfferedUntil ends an offer to a machine that nobody accepted: afterwards it is left alone until a person says so.
	OfferedUntil *time.Time `json:"offered_until" berth:"volatile"`

	// The facts shown in lists, as the last observation had them.
	Manufacturer string     `json:"manufacturer" berth:"list,filter,search,readonly"`
	Product      string     `json:"product" berth:"list,filter,search,readonly"`
	Serial       string     `json:"serial" berth:"list,filter,search,readonly"`
	SystemUUID   string     `json:"system_uuid" berth:"filter,search,readonly"`
	Arch         string     `json:"arch" berth:"readonly"`
	BootMode     string     `json:"boot_mode" berth:"readonly,enum=|bios|uefi"`
	CPUCores     int        `json:"cpu_cores" berth:"readonly"`
	MemoryMiB    int64      `json:"memory_mib" gorm:"column:memory_mib" berth:"readonly,unit=MiB,title=Memory"`
	DiskBytes    int64      `json:"disk_bytes" berth:"readonly,unit=B,title=Disk space"`
	SeenAt       *time.Time `json:"seen_at" berth:"list,filter,volatile"`
	// HostKeys and Addresses are what the installed system reported.
	HostKeys  []string `json:"host_keys" gorm:"serializer:json" berth:"readonly"`
	Addresses []string `json:"addresses" gorm:"serializer:json" berth:"readonly"`
	Notes     string   `json:"notes" berth:"long"`
}

// TableName keeps the machine view on the same table.
func (Device) TableName() string { return "devices" }

// Interface is a network port of a device, as intended.
type Interface struct {
	Meta
	Device   UID    `json:"device" berth:"list,filter,required,ref=device"`
	Name     string `json:"name" berth:"list,filter,search,required"`
	Kind     string `json:"kind" berth:"list,enum=physical|bond|vlan|bridge|bmc"`
	MAC      string `json:"mac" berth:"list,filter,search" help:"aa:bb:cc:dd:ee:ff"`
	Enabled  bool   `json:"enabled"`
	MTU      int    `json:"mtu" berth:"unit=B"`
	Parent   UID    `json:"parent" berth:"ref=interface" help:"Of a VLAN: the port it runs on. Of a bond's or bridge's member: the bond or bridge."`
	VLAN     int    `json:"vlan"`
	BootFrom bool   `json:"boot_from" berth:"list" help:"The port that asks the network when the machine starts."`
	// Neighbor is the switch and port on the other end, as LLDP said last.
	Neighbor    string `json:"neighbor" berth:"readonly"`
	Type        string `json:"type" help:"As NetBox calls it: 10gbase-x-sfpp, 1000base-t."`
	Description string `json:"description"`
}

// BMC is the management controller of a device.
type BMC struct {
	Meta
	Device   UID    `json:"device" berth:"list,filter,required,ref=device"`
	Kind     string `json:"kind" berth:"list,filter,required,enum=redfish|ipmi|wol|none" help:"wol: it has none, but wakes on LAN. none: a person presses the button."`
	Address  string `json:"address" berth:"list,filter,search" help:"Host or host:port; for wol the MAC address to wake."`
	Username string `json:"username"`
	Password Secret `json:"password"`
	// SystemID chooses a system where the BMC has several.
	SystemID string `json:"system_id"`
	// Pin is the SHA-256 of the public key of its certificate, taken at first contact.
	Pin      string     `json:"pin"`
	MAC      string     `json:"mac" berth:"search"`
	Firmware string     `json:"firmware" berth:"readonly"`
	State    string     `json:"state" berth:"list,filter,volatile,enum=|ok|unreachable|refused|changed" help:"refused: wrong password; changed: another certificate than the one pinned."`
	Problem  string     `json:"problem" berth:"volatile"`
	SeenAt   *time.Time `json:"seen_at" berth:"volatile"`
}

// Observation is what one look at a machine saw. The newest of each source is what the machine page shows.
type Observation struct {
	Meta
	Device UID        `json:"device" berth:"list,filter,required,ref=device"`
	Source FactSource `json:"source" berth:"list,filter,enum=agent|bmc|person|system"`
	Facts  Facts      `json:"facts" gorm:"serializer:json"`
}

// Identifier is one piece of evidence for a machine's identity.
type Identifier struct {
	Meta
	Device UID            `json:"device" berth:"list,filter,required,owned,ref=device"`
	Kind   IdentifierKind `json:"kind" berth:"list,filter,enum=system_uuid|system_serial|board_serial|chassis_serial|bmc_mac|nic_mac|disk_serial|disk_wwn|dimm_serial|tpm_ek"`
	Value  string         `json:"value" berth:"list,filter,search,required"`
}

// IdentifierKind is a kind of evidence.
type IdentifierKind string

// The kinds of evidence, strongest first.
const (
	IDTPM           IdentifierKind = "tpm_ek"
	IDSystemUUID    IdentifierKind = "system_uuid"
	IDBMCMAC        IdentifierKind = "bmc_mac"
	IDBoardSerial   IdentifierKind = "board_serial"
	IDSystemSerial  IdentifierKind = "system_serial"
	IDChassisSerial IdentifierKind = "chassis_serial"
	IDNICMAC        IdentifierKind = "nic_mac"
	IDDiskWWN       IdentifierKind = "disk_wwn"
	IDDiskSerial    IdentifierKind = "disk_serial"
	IDDIMMSerial    IdentifierKind = "dimm_serial"
)

// Deviation is one difference between what is intended and what was observed.
type Deviation struct {
	Meta
	Device UID `json:"device" berth:"list,filter,owned,ref=device"`
	// ShipmentItem is the line of a packing list that it speaks about; Object is what differs from a text in git, of noun Noun.
	ShipmentItem UID    `json:"shipment_item" berth:"filter,owned,ref=shipment-item"`
	Noun         string `json:"noun" berth:"filter"`
	Object       UID    `json:"object" berth:"filter"`
	Part         string `json:"part" berth:"list" help:"memory DIMM_A2, disk S3Z8NB0K, identity, …"`
	Field        string `json:"field" berth:"list"`
	Intended     string `json:"intended" berth:"list"`
	Observed     string `json:"observed" berth:"list"`
	// Source is whose observation it rests on.
	Source  FactSource `json:"source" berth:"filter"`
	Verdict string     `json:"verdict" berth:"list,filter,enum=open|take_observed|keep_intended|task|ignore|resolved"`
	Note    string     `json:"note"`
	By      string     `json:"by" berth:"readonly"`
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (d *Device) Check() error {
	bad := &findings{noun: "device"}
	d.Name = strings.ToLower(d.Name)
	if d.Name != "" {
		if why := hostProblem(d.Name); why != "" {
			bad.add("name", "%s", why)
		}
	}
	setDefault(&d.Status, "active")
	d.SystemUUID = strings.ToLower(d.SystemUUID)
	d.checkPlace(bad)
	return bad.err()
}

func (d *Device) checkPlace(bad *findings) {
	if d.Slot < 0 || d.Slot > 3 {
		bad.add("slot", "is from 0 to 3")
	}
	if d.Side != "" && d.Rack == "" {
		bad.add("side", "needs a rack")
	}
	if d.Position == nil {
		return
	}
	setDefault(&d.Face, "front")
	if d.Rack == "" {
		bad.add("position", "needs a rack")
	}
	if *d.Position < 1 || *d.Position > 200 || !inSteps(*d.Position) {
		bad.add("position", "is a unit of the rack, in steps of 0.5")
	}
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (i *Interface) Check() error {
	bad := &findings{noun: "interface"}
	setDefault(&i.Kind, "physical")
	settleMAC("mac", &i.MAC, bad)
	if i.MTU != 0 && (i.MTU < 68 || i.MTU > 65536) {
		bad.add("mtu", "is from 68 to 65536 B, or 0 for the default")
	}
	if why := vlanProblem(i.VLAN); why != "" {
		bad.add("vlan", "%s", why)
	}
	if i.Parent != "" && i.Parent == i.UID {
		bad.add("parent", "is the interface itself")
	}
	return bad.err()
}

// Check judges how the controller is reached. Errors: *Invalid.
func (b *BMC) Check() error {
	bad := &findings{noun: "bmc"}
	switch {
	case b.Address == "":
	case b.Kind == "wol":
		settleMAC("address", &b.Address, bad)
	case !bmcHostForm.MatchString(b.Address):
		bad.add("address", "is a host or host:port, without https:// or a path")
	}
	settleMAC("mac", &b.MAC, bad)
	b.Pin = strings.ToLower(b.Pin)
	digits := strings.TrimPrefix(b.Pin, "sha256:")
	if b.Pin != "" && !hex64Form.MatchString(digits) {
		bad.add("pin", "is the SHA-256 of a public key: sha256: and 64 hexadecimal digits")
	}
	if b.Pin != "" {
		b.Pin = "sha256:" + digits
	}
	return bad.err()
}

// Check fills in the verdict. Errors: *Invalid.
func (d *Deviation) Check() error {
	setDefault(&d.Verdict, "open")
	return nil
}
