package provision

import (
	"berth/bmc"
	"berth/inventory"
)

// factsOf turns a BMC's word into the record's.
func factsOf(i bmc.Inventory) inventory.Facts {
	f := inventory.Facts{
		Source: inventory.SourceBMC,
		System: inventory.SystemFacts{Manufacturer: i.System.Manufacturer, Product: i.System.Model, Serial: i.System.Serial,
			SKU: i.System.SKU, UUID: i.System.UUID, AssetTag: i.System.AssetTag},
		Board:     inventory.BoardFacts{Manufacturer: i.Board.Manufacturer, Product: i.Board.Model, Serial: i.Board.Serial},
		Chassis:   inventory.ChassisFacts{Manufacturer: i.Chassis.Manufacturer, Type: i.Chassis.Type, Serial: i.Chassis.Serial, AssetTag: i.Chassis.AssetTag},
		BIOS:      inventory.BIOSFacts{Version: i.BIOS.Version},
		MemoryMiB: i.MemoryMiB,
		BMC:       &inventory.BMCFacts{Manufacturer: i.BMC.Manufacturer, Firmware: i.BMC.Firmware, MAC: i.BMC.MAC},
		Problems:  i.Problems,
	}
	for _, c := range i.CPUs {
		f.CPUs = append(f.CPUs, inventory.CPUFacts{Socket: c.Socket, Manufacturer: c.Manufacturer, Model: c.Model, Serial: c.Serial,
			Cores: c.Cores, Threads: c.Threads, SpeedMHz: c.SpeedMHz})
	}
	for _, d := range i.DIMMs {
		f.DIMMs = append(f.DIMMs, inventory.DIMMFacts{Slot: d.Slot, Manufacturer: d.Manufacturer, PartNumber: d.PartNumber, Serial: d.Serial,
			SizeMiB: d.SizeMiB, Type: d.Type, SpeedMTs: d.SpeedMTs, ECC: d.ECC})
	}
	for _, d := range i.Disks {
		f.Disks = append(f.Disks, diskOf(d))
	}
	for _, n := range i.NICs {
		f.NICs = append(f.NICs, inventory.NICFacts{Name: n.Name, MAC: n.MAC, Manufacturer: n.Manufacturer, Model: n.Model,
			Firmware: n.Firmware, Link: n.Link, SpeedMbps: n.SpeedMbps})
	}
	for _, p := range i.PSUs {
		f.PSUs = append(f.PSUs, inventory.PSUFacts{Slot: p.Slot, Manufacturer: p.Manufacturer, Model: p.Model, Serial: p.Serial, CapacityW: p.CapacityW})
	}
	return f
}

func diskOf(d bmc.Disk) inventory.DiskFacts {
	f := inventory.DiskFacts{Slot: d.Slot, Manufacturer: d.Manufacturer, Model: d.Model, Serial: d.Serial, WWN: d.WWN, SizeBytes: d.SizeBytes, Firmware: d.Firmware}
	switch {
	case d.Protocol == "NVMe":
		f.Type = "NVME"
	case d.Media == "HDD":
		f.Type = "HD"
	case d.Media == "SSD":
		f.Type = "SSD"
	}
	if d.LifeLeftPercent != nil {
		used := 100 - *d.LifeLeftPercent
		f.SMART = &inventory.SMARTFacts{PercentUsed: &used}
	}
	return f
}
