package redfish

import (
	"encoding/json"
	"strings"

	"berth/bmc"
)

// drives gathers disks from all the places that list them: Storage (the standard since 2016), the chassis they sit in, HPE's
// SmartStorage, and SimpleStorage, which names neither serial nor bay and is taken only where nothing else has any.
func (w *walk) drives() {
	seen := map[string]bool{}
	add := func(n node, path string) {
		disk := diskOf(n)
		key := strings.TrimRight(path, "/")
		if n.absent() || seen[key] || disk.Serial != "" && seen["serial "+disk.Serial] {
			return
		}
		seen[key] = true
		seen["serial "+disk.Serial] = disk.Serial != ""
		w.out.Disks = append(w.out.Disks, disk)
	}
	var paths []string
	for _, s := range w.all(w.computer.link("Storage")) {
		paths = append(paths, s.links("Drives")...)
	}
	for _, box := range w.chassis {
		paths = append(paths, box.links("Links", "Drives")...)
		if c := box.link("Drives"); c != "" {
			more, err := w.members(c)
			w.note(err)
			paths = append(paths, more...)
		}
	}
	for _, p := range append(paths, w.smartDrives()...) {
		if n := w.read(p); n != nil {
			add(n, p)
		}
	}
	if len(w.out.Disks) > 0 {
		return
	}
	for _, s := range w.all(w.computer.link("SimpleStorage")) {
		for _, n := range s.list("Devices") {
			// A bay without a disk is listed with a name alone.
			if n.num("CapacityBytes") > 0 || n.str("Model") != "" {
				add(n, s.str("Id")+" "+n.str("Name"))
			}
		}
	}
}

// smartDrives lists the drives behind Smart Array controllers, which iLO 4 and 5 have under their own schema alone.
func (w *walk) smartDrives() []string {
	smart := w.read(w.computer.link("Oem", "Hpe", "Links", "SmartStorage"))
	if smart == nil {
		smart = w.read(w.computer.link("Oem", "Hp", "links", "SmartStorage"))
	}
	either := func(n node, name string) string {
		if path := n.link("Links", name); path != "" {
			return path
		}
		return n.link("links", name)
	}
	var paths []string
	for _, controller := range w.all(either(smart, "ArrayControllers")) {
		if drives := either(controller, "PhysicalDrives"); drives != "" {
			more, err := w.members(drives)
			w.note(err)
			paths = append(paths, more...)
		}
	}
	return paths
}

func diskOf(n node) bmc.Disk {
	d := bmc.Disk{
		Slot: n.slot(), Manufacturer: n.str("Manufacturer"), Model: n.str("Model"), Serial: n.str("SerialNumber"), PartNumber: n.str("PartNumber"),
		WWN: wwnOf(n), SizeBytes: n.num("CapacityBytes"), Media: n.str("MediaType"), Protocol: n.str("Protocol"), Firmware: n.first("Revision", "FirmwareVersion"),
		FailurePredict: n.truth("FailurePredicted"), Health: n.health(),
	}
	if d.SizeBytes == 0 {
		d.SizeBytes = n.num("CapacityMiB") << 20 // SmartStorage, here and below
	}
	if bay := n.str("Location"); bay != "" {
		d.Slot = bay
	}
	fill(&d.Protocol, n.str("InterfaceType"))
	fill(&d.Firmware, n.str("FirmwareVersion", "Current", "VersionString"))
	if used, ok := n["SSDEnduranceUtilizationPercentage"].(json.Number); ok && used != "" {
		left := max(0, 100-n.small("SSDEnduranceUtilizationPercentage"))
		d.LifeLeftPercent = &left
	}
	if _, ok := n["PredictedMediaLifeLeftPercent"].(json.Number); ok {
		if left := n.small("PredictedMediaLifeLeftPercent"); left <= 100 {
			d.LifeLeftPercent = &left
		}
	}
	return d
}

// wwnOf reads the drive's world-wide name in the form /dev/disk/by-id and sysfs have: naa.5000c500..., eui.0025385...
func wwnOf(n node) string {
	for _, id := range n.list("Identifiers") {
		name := lower(id.str("DurableName"))
		if name == "" {
			continue
		}
		switch id.str("DurableNameFormat") {
		case "NAA", "FC_WWN":
			return "naa." + hexDigits(strings.TrimPrefix(name, "naa."))
		case "EUI":
			return "eui." + hexDigits(strings.TrimPrefix(name, "eui."))
		case "NQN":
			return name
		}
	}
	return ""
}

// hexDigits drops what people put between and before digits.
func hexDigits(s string) string {
	s = strings.TrimPrefix(s, "0x")
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'f' {
			return r
		}
		return -1
	}, s)
}
