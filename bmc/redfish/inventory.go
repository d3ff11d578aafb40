package redfish

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"berth/bmc"
)

// Inventory walks the tree from the chosen system, its chassis and its manager. A branch that cannot be read is named in
// Problems; only what ends the conversation ends the walk.
func (d *driver) Inventory(ctx context.Context) (bmc.Inventory, error) {
	end, err := d.begin(ctx)
	if err != nil {
		return bmc.Inventory{}, err
	}
	defer end()
	n, _, err := d.computer()
	if err != nil {
		return bmc.Inventory{}, d.expired(err)
	}
	w := &walk{driver: d, computer: n, seen: map[string]node{}, quirk: quirksOf(n.str("Manufacturer")+" "+d.root.str("Vendor"), n.str("Model"))}
	w.system()
	w.processors()
	w.memory()
	w.boxes()
	w.drives()
	w.network()
	w.supplies()
	w.controller()
	w.firmware()
	switch {
	case w.fatal != nil:
		return bmc.Inventory{}, d.expired(fmt.Errorf("read the inventory: %w", w.fatal))
	case w.out.Empty():
		return bmc.Inventory{}, fmt.Errorf("%w (problems: %q)", bmc.ErrEmptyInventory, w.out.Problems)
	}
	return w.out, nil
}

// walk is one reading of a tree.
type walk struct {
	*driver
	computer node
	chassis  []node
	quirk    quirk
	seen     map[string]node // what was read, by path without a slash at the end; a nil node is a failure
	out      bmc.Inventory
	fatal    error
}

// maxProblems bounds the list; a BMC that fails everywhere fails the same way everywhere.
const maxProblems = 50

// read reads a resource once. It returns nil where there is nothing, having noted why.
func (w *walk) read(path string) node {
	if path == "" || w.fatal != nil {
		return nil
	}
	key := strings.TrimRight(path, "/")
	if n, ok := w.seen[key]; ok {
		return n
	}
	n, err := w.get(path)
	w.note(err)
	w.seen[key] = n
	return n
}

// all reads the members of a collection, in its order.
func (w *walk) all(path string) []node {
	if path == "" || w.fatal != nil {
		return nil
	}
	paths, err := w.members(path)
	w.note(err)
	return w.each(paths)
}

func (w *walk) each(paths []string) []node {
	var out []node
	for _, p := range paths {
		if n := w.read(p); n != nil {
			out = append(out, n)
		}
	}
	return out
}

// note files an error: one that ends the conversation, or a gap.
func (w *walk) note(err error) {
	switch {
	case err == nil:
	case errors.Is(err, bmc.ErrUnreachable), errors.Is(err, bmc.ErrAuth), w.exhausted():
		w.fatal = err
	case len(w.out.Problems) < maxProblems:
		w.out.Problems = append(w.out.Problems, clip(err.Error(), 300))
	}
}

// exhausted reports that the wire admits no more requests.
func (w *walk) exhausted() bool {
	w.wire.mu.Lock()
	defer w.wire.mu.Unlock()
	return w.wire.requests > w.wire.limit
}

func (w *walk) system() {
	n := w.computer
	w.out.System = bmc.SystemInfo{
		Manufacturer: n.str("Manufacturer"), Model: n.str("Model"), Serial: n.str("SerialNumber"), SKU: n.str("SKU"),
		PartNumber: n.str("PartNumber"), UUID: lower(n.str("UUID")), AssetTag: n.str("AssetTag"), HostName: n.str("HostName"), Health: n.health(),
	}
	if w.quirk.tagSerial && w.out.System.SKU != "" {
		w.out.Board.Serial = w.out.System.Serial
		w.out.Board.PartNumber = w.out.System.PartNumber
		w.out.System.Serial = w.out.System.SKU
	}
	w.out.BIOS.Version = n.str("BiosVersion")
	w.out.MemoryMiB = n.num("MemorySummary", "TotalSystemMemoryGiB") * 1024
}

func (w *walk) processors() {
	for _, n := range w.all(w.computer.link("Processors")) {
		if n.absent() {
			continue
		}
		if kind := n.str("ProcessorType"); kind != "" && kind != "CPU" && kind != "Core" && kind != "Thread" {
			w.out.Accelerators = append(w.out.Accelerators, bmc.Accelerator{
				Slot: n.slot("Socket"), Kind: kind, Manufacturer: n.str("Manufacturer"), Model: n.first("Model", "Name"),
				Serial: n.str("SerialNumber"), PartNumber: n.str("PartNumber"),
			})
			continue
		}
		w.out.CPUs = append(w.out.CPUs, bmc.CPU{
			Socket: n.slot("Socket"), Manufacturer: n.str("Manufacturer"), Model: n.first("Model", "Name"), Serial: n.str("SerialNumber"),
			Architecture: n.first("ProcessorArchitecture", "InstructionSet"),
			Cores:        n.small("TotalCores"), Threads: n.small("TotalThreads"), SpeedMHz: n.small("MaxSpeedMHz"),
		})
	}
}

func (w *walk) memory() {
	path := w.computer.link("Memory")
	for _, old := range [][]string{{"Oem", "Hp", "links", "Memory"}, {"Oem", "Hp", "Links", "Memory"}} {
		if path == "" {
			path = w.computer.link(old...) // iLO 4
		}
	}
	for _, n := range w.all(path) {
		slot := n.first("DeviceLocator", "SocketLocator")
		if slot == "" {
			slot = n.slot()
		}
		size := n.num("CapacityMiB")
		if size == 0 {
			size = n.num("SizeMB") // iLO 4
		}
		if n.absent() || size == 0 {
			w.out.EmptySlots = append(w.out.EmptySlots, slot)
			continue
		}
		m := bmc.DIMM{
			Slot: slot, Manufacturer: n.first("Manufacturer", "VendorID"), PartNumber: n.str("PartNumber"), Serial: n.str("SerialNumber"), SizeMiB: size,
			Type: n.first("MemoryDeviceType", "DIMMType"), SpeedMTs: n.small("OperatingSpeedMhz"), Health: n.health(),
		}
		if m.SpeedMTs == 0 {
			m.SpeedMTs = n.small("MaximumFrequencyMHz") // iLO 4
		}
		if c := n.str("ErrorCorrection"); c != "" {
			ecc := c != "NoECC"
			m.ECC = &ecc
		}
		w.out.DIMMs = append(w.out.DIMMs, m)
	}
}

// boxes reads the chassis of the system, or all there are when it names none, and describes the outermost that is a box.
func (w *walk) boxes() {
	if paths := w.computer.links("Links", "Chassis"); len(paths) > 0 {
		w.chassis = w.each(paths)
	} else {
		w.chassis = w.all(w.root.link("Chassis"))
	}
	best := -1
	for i, n := range w.chassis {
		if best < 0 || rank(n) > rank(w.chassis[best]) {
			best = i
		}
		w.oemBoard(n)
	}
	if best < 0 {
		return
	}
	n := w.chassis[best]
	w.out.Chassis = bmc.ChassisInfo{
		Manufacturer: n.str("Manufacturer"), Model: n.str("Model"), Type: n.str("ChassisType"), Serial: n.str("SerialNumber"),
		PartNumber: n.str("PartNumber"), AssetTag: n.str("AssetTag"),
	}
}

// rank prefers what a person would call the box over the boards and backplanes within it that are chassis too.
func rank(n node) int {
	switch n.str("ChassisType") {
	case "RackMount", "Blade", "StandAlone", "Sled", "Cartridge", "Desktop", "Tower":
		return 3
	case "Enclosure", "Shelf", "Drawer":
		return 2
	case "Module", "Component", "Card", "Zone", "StorageEnclosure", "Backplane":
		return 0
	}
	return 1
}

// oemBoard finds the main board where a vendor puts it; the standard has no place for it.
func (w *walk) oemBoard(n node) {
	if s := n.str("Oem", "Supermicro", "BoardSerialNumber"); s != "" {
		w.out.Board = bmc.BoardInfo{Manufacturer: n.str("Manufacturer"), Model: n.str("Oem", "Supermicro", "BoardID"), Serial: s}
	}
}

func (w *walk) supplies() {
	seen := map[string]bool{}
	for _, box := range w.chassis {
		var found []node
		if sub := w.read(box.link("PowerSubsystem")); sub != nil {
			found = w.all(sub.link("PowerSupplies"))
		}
		if len(found) == 0 {
			if old := w.read(box.link("Power")); old != nil {
				found = old.list("PowerSupplies")
			}
		}
		for _, n := range found {
			p := bmc.PSU{
				Slot: n.slot("MemberId"), Manufacturer: n.str("Manufacturer"), Model: n.first("Model", "Name"), Serial: n.str("SerialNumber"),
				PartNumber: n.first("PartNumber", "SparePartNumber"), Firmware: n.str("FirmwareVersion"), CapacityW: n.small("PowerCapacityWatts"), Health: n.health(),
			}
			key := p.Serial
			if key == "" {
				key = p.Slot
			}
			if n.absent() || seen[key] {
				continue
			}
			seen[key] = true
			w.out.PSUs = append(w.out.PSUs, p)
		}
	}
}

func (w *walk) controller() {
	m, err := w.manager()
	if err != nil {
		w.note(err)
		return
	}
	w.out.BMC = bmc.Controller{
		Manufacturer: m.str("Manufacturer"), Model: m.str("Model"), Firmware: m.str("FirmwareVersion"), UUID: lower(m.first("UUID", "ServiceEntryPointUUID")),
	}
	if w.out.BMC.Manufacturer == "" {
		w.out.BMC.Manufacturer = w.root.str("Vendor")
	}
	if v := w.root.str("RedfishVersion"); v != "" {
		w.out.BMC.Protocol = "Redfish " + v
	}
	w.out.BMC.MAC = w.ownMAC(w.all(m.link("EthernetInterfaces")))
}

// ownMAC picks the port we are talking to by its address, then one with an address of any network, then the first. The
// others are the line to the host's USB and the second, unplugged port.
func (w *walk) ownMAC(ports []node) string {
	host, _, _ := w.target.HostPort(443)
	best, score := "", -1
	for _, n := range ports {
		mac := macOf(n, "PermanentMACAddress", "MACAddress", "MacAddress") // the last is iLO 4's
		if mac == "" {
			continue
		}
		s := 0
		for _, a := range append(n.list("IPv4Addresses"), n.list("IPv6Addresses")...) {
			switch address := a.str("Address"); {
			case address == host:
				s = 2
			case address != "" && address != "0.0.0.0" && !strings.HasPrefix(address, "169.254.") && !strings.HasPrefix(lower(address), "fe80"):
				s = max(s, 1)
			}
		}
		if s > score {
			best, score = mac, s
		}
	}
	return best
}

// firmware lists what is installed. Dell keeps former and staged versions in the same list, under other names.
func (w *walk) firmware() {
	service := w.read(w.root.link("UpdateService"))
	if service == nil {
		return
	}
	seen := map[bmc.Firmware]bool{}
	for _, n := range w.all(service.link("FirmwareInventory")) {
		id := n.str("Id")
		if n.absent() || strings.HasPrefix(id, "Previous-") || strings.HasPrefix(id, "Available-") || strings.HasPrefix(id, "Staged-") {
			continue
		}
		f := bmc.Firmware{Component: n.first("Name", "Id"), Version: n.str("Version")}
		if f.Version != "" && !seen[f] {
			seen[f] = true
			w.out.Firmware = append(w.out.Firmware, f)
		}
	}
}
