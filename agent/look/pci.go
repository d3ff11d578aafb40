package look

import (
	"bytes"
	"strings"

	"berth/inventory"
)

// pciNamePaths are where distributions keep the list of names, some 1.4 MB.
var pciNamePaths = []string{"usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids"}

// pciDevices lists what is on the bus and is no bridge.
func pciDevices(s Source, p *problems) []inventory.PCIFacts {
	addresses, err := s.ReadDir("sys/bus/pci/devices")
	p.note("list the PCI bus", err)
	var all []inventory.PCIFacts
	for _, address := range addresses {
		dir := "sys/bus/pci/devices/" + address + "/"
		d := inventory.PCIFacts{
			Address: text(address),
			Vendor:  strings.TrimPrefix(word(s, dir+"vendor"), "0x"),
			Device:  strings.TrimPrefix(word(s, dir+"device"), "0x"),
			Class:   strings.TrimPrefix(word(s, dir+"class"), "0x"),
		}
		if len(d.Vendor) != 4 || len(d.Device) != 4 || strings.HasPrefix(d.Class, "06") {
			continue
		}
		all = append(all, d)
	}
	namePCI(s, all)
	return all
}

// namePCI fills in names from pci.ids, which stays a file and is gone through once: it is sorted, but only lines without a tab begin
// a vendor, so a scan by line is as good.
func namePCI(s Source, all []inventory.PCIFacts) {
	wanted := map[string]map[string]string{}
	for _, d := range all {
		if wanted[d.Vendor] == nil {
			wanted[d.Vendor] = map[string]string{}
		}
		wanted[d.Vendor][d.Device] = ""
	}
	vendors := map[string]string{}
	for _, path := range pciNamePaths {
		if raw, err := s.ReadFile(path); err == nil {
			scanPCINames(raw, wanted, vendors)
			break
		}
	}
	for i, d := range all {
		all[i].Name = text(vendors[d.Vendor] + " " + wanted[d.Vendor][d.Device])
	}
}

func scanPCINames(raw []byte, wanted map[string]map[string]string, vendors map[string]string) {
	var devices map[string]string
	for line := range bytes.Lines(raw) {
		switch {
		case len(line) > 6 && line[0] == '\t' && line[1] != '\t' && devices != nil:
			if _, want := devices[string(line[1:5])]; want {
				devices[string(line[1:5])] = text(string(line[7:]))
			}
		case line[0] == 'C' && len(line) > 2 && line[1] == ' ':
			return // the classes follow the vendors
		case len(line) > 6 && line[0] != '\t' && line[0] != '#':
			vendor := string(line[:4])
			if devices = wanted[vendor]; devices != nil {
				vendors[vendor] = text(string(line[6:]))
			}
		}
	}
}
