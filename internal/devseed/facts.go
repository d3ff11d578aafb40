package devseed

import (
	"fmt"
	"strings"

	"berth/inventory"
)

// facts are what the agent would see in machine i of a model.
func (m maker) facts(kind *model, i int) inventory.Facts {
	serial := m.code(7)
	f := inventory.Facts{Source: inventory.SourceAgent, ObservedAt: m.past(72 * 60 * 60 * 1e9)}
	u := m.hex()
	f.System = inventory.SystemFacts{Manufacturer: kind.maker, Product: kind.name, Serial: serial, SKU: kind.part, Arch: "amd64",
		UUID: u[:8] + "-" + u[8:12] + "-4" + u[13:16] + "-8" + u[17:20] + "-" + u[20:]}
	f.Board = inventory.BoardFacts{Manufacturer: kind.maker, Serial: "CN7475" + m.code(10)}
	f.Chassis = inventory.ChassisFacts{Manufacturer: kind.maker, Type: "Rack Mount Chassis", Serial: serial}
	f.BIOS = inventory.BIOSFacts{Vendor: kind.maker, Version: kind.bios, Date: "03/14/2025"}
	f.Firmware.BootMode = kind.boot
	f.BMC = &inventory.BMCFacts{Manufacturer: kind.maker, Firmware: fmt.Sprintf("%d.%02d", 4+m.random.IntN(3), m.random.IntN(60)), IPMIVersion: "2.0", MAC: m.mac(kind, i, 0)}
	m.boards(kind, &f)
	m.drives(kind, &f)
	for n := range 2 {
		up := n == 0
		f.NICs = append(f.NICs, inventory.NICFacts{Name: fmt.Sprintf("eno%d", n+1), MAC: m.mac(kind, i, n+1), Manufacturer: "Intel", Model: "Ethernet Controller X710", Driver: "i40e",
			PCIAddress: fmt.Sprintf("0000:18:00.%d", n), Link: &up, SpeedMbps: 10000, BootedFrom: up,
			LLDP: &inventory.NeighborFacts{SystemName: fmt.Sprintf("sw-%d", i/perRack+1), PortID: fmt.Sprintf("Ethernet%d", i%perRack+1+n*perRack)}})
	}
	return f
}

// mac is a port's address: unique for a machine and port, in the maker's range.
func (m maker) mac(kind *model, i, port int) string {
	n := i*4 + port
	return fmt.Sprintf("%s:%02x:%02x:%02x", kind.oui, n>>16&255, n>>8&255, n&255)
}

func (m maker) boards(kind *model, f *inventory.Facts) {
	for n := range kind.sockets {
		f.CPUs = append(f.CPUs, inventory.CPUFacts{Socket: fmt.Sprintf("CPU%d", n+1), Manufacturer: strings.Fields(kind.cpu)[0], Model: kind.cpu, Cores: kind.cores, Threads: 2 * kind.cores, SpeedMHz: 2400})
	}
	ecc := true
	for n := range kind.dimms {
		f.DIMMs = append(f.DIMMs, inventory.DIMMFacts{Slot: fmt.Sprintf("DIMM_%c%d", 'A'+n%8, 1+n/8), Manufacturer: "Samsung", PartNumber: "M393A4K40CB2-CTD", Serial: strings.ToUpper(m.hex()[:8]),
			SizeMiB: kind.dimmGiB << 10, Type: kind.dimmType, SpeedMTs: 2666, ECC: &ecc})
	}
	f.MemoryMiB = int64(kind.dimms)*kind.dimmGiB<<10 - 900
	for n := range 2 {
		f.PSUs = append(f.PSUs, inventory.PSUFacts{Slot: fmt.Sprintf("PSU%d", n+1), Manufacturer: "Delta", Model: "DPS-750AB", Serial: "PS" + m.code(10), CapacityW: 750})
	}
}

func (m maker) drives(kind *model, f *inventory.Facts) {
	for n := range kind.disks {
		u := m.hex()
		disk := inventory.DiskFacts{Name: fmt.Sprintf("sd%c", 'a'+n), Model: kind.diskModel, Serial: m.code(14), WWN: "naa.5000c500" + u[:8], SizeBytes: kind.diskBytes, Type: kind.diskKind,
			Transport: "sata", Firmware: "HXT7404Q", Slot: fmt.Sprintf("Bay %d", n), LogicalBlockBytes: 512}
		if kind.diskKind == "NVME" {
			disk.Name, disk.Transport, disk.WWN = fmt.Sprintf("nvme%dn1", n), "nvme", "eui."+u[:16]
		}
		hours, passed := int64(m.random.IntN(50_000)), !m.chance(1)
		worn := m.random.IntN(60)
		disk.SMART = &inventory.SMARTFacts{Passed: &passed, PowerOnHours: &hours, PercentUsed: &worn}
		f.Disks = append(f.Disks, disk)
	}
}
