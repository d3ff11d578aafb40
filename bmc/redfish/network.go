package redfish

import (
	"net"
	"strings"

	"berth/bmc"
)

// network gathers ports from the system's interfaces and from the adapters in the chassis, and merges them by MAC. Some
// vendors list a port in one place, some in the other, most in both with other facts in each.
func (w *walk) network() {
	ports := &portList{byMAC: map[string]*bmc.NIC{}}
	for _, n := range w.all(w.computer.link("EthernetInterfaces")) {
		if n.absent() || isVLAN(n) || n.str("Id") == "ToManager" {
			continue // the last is a line to the BMC over USB, with the same address in every machine of a series
		}
		p := ports.at(macOf(n, "PermanentMACAddress", "MACAddress"))
		fill(&p.Name, n.first("Id", "Name"))
		p.SpeedMbps = max(p.SpeedMbps, n.small("SpeedMbps"))
		link(&p.Link, n.str("LinkStatus"))
	}
	for _, a := range w.adapters() {
		w.adapterPorts(a, ports)
	}
	for _, p := range ports.order {
		w.out.NICs = append(w.out.NICs, *p)
	}
}

// isVLAN reports a VLAN on top of a port, which is no port.
func isVLAN(n node) bool {
	on := n.truth("VLAN", "VLANEnable")
	return on != nil && *on && n.num("VLAN", "VLANId") > 0
}

// portList is ports in the order they were found.
type portList struct {
	byMAC map[string]*bmc.NIC
	order []*bmc.NIC
}

// at finds or makes the port with that address; without an address it is a port of its own that nobody keeps.
func (l *portList) at(mac string) *bmc.NIC {
	if mac == "" {
		return &bmc.NIC{}
	}
	p := l.byMAC[mac]
	if p == nil {
		p = &bmc.NIC{MAC: mac}
		l.byMAC[mac] = p
		l.order = append(l.order, p)
	}
	return p
}

// adapters reads the network adapters of the chassis, and those that only the system's interfaces or HPE's own links name.
func (w *walk) adapters() []node {
	var paths []string
	collect := func(collection string) {
		if collection == "" {
			return
		}
		more, err := w.members(collection)
		w.note(err)
		paths = append(paths, more...)
	}
	for _, box := range w.chassis {
		collect(box.link("NetworkAdapters"))
	}
	for _, i := range w.all(w.computer.link("NetworkInterfaces")) {
		paths = append(paths, i.link("Links", "NetworkAdapter"))
	}
	collect(w.computer.link("Oem", "Hpe", "Links", "NetworkAdapters"))
	collect(w.computer.link("Oem", "Hp", "links", "NetworkAdapters"))

	var out []node
	seen := map[string]bool{}
	for _, p := range paths {
		key := strings.TrimRight(p, "/")
		if n := w.read(p); n != nil && !seen[key] && !n.absent() {
			seen[key] = true
			out = append(out, n)
		}
	}
	return out
}

// adapterPorts adds one adapter's ports, from its functions (which have the addresses) and its ports (which have the link).
func (w *walk) adapterPorts(a node, ports *portList) {
	card := bmc.NIC{
		Slot: a.str("Location", "PartLocation", "ServiceLabel"), Manufacturer: a.str("Manufacturer"), Model: a.first("Model", "Name"),
		Serial: a.str("SerialNumber"), PartNumber: a.str("PartNumber"), Firmware: a.str("Firmware", "Current", "VersionString"),
	}
	for _, c := range a.list("Controllers") {
		fill(&card.Firmware, c.str("FirmwarePackageVersion"))
		fill(&card.Slot, c.str("Location", "PartLocation", "ServiceLabel"))
	}
	add := func(mac, name, status string, mbps int) {
		p := ports.at(mac)
		fill(&p.Name, name)
		fill(&p.Slot, card.Slot)
		fill(&p.Manufacturer, card.Manufacturer)
		fill(&p.Model, card.Model)
		fill(&p.Serial, card.Serial)
		fill(&p.PartNumber, card.PartNumber)
		fill(&p.Firmware, card.Firmware)
		p.SpeedMbps = max(p.SpeedMbps, mbps)
		link(&p.Link, status)
	}
	for _, f := range w.all(a.link("NetworkDeviceFunctions")) {
		if !f.absent() {
			add(macOf(f.obj("Ethernet"), "PermanentMACAddress", "MACAddress"), f.str("Id"), "", 0)
		}
	}
	for _, collection := range []string{a.link("Ports"), a.link("NetworkPorts")} {
		for _, p := range w.all(collection) {
			mbps := max(p.small("CurrentLinkSpeedMbps"), p.small("CurrentSpeedGbps")*1000)
			for _, mac := range append(p.words("Ethernet", "AssociatedMACAddresses"), p.words("AssociatedNetworkAddresses")...) {
				add(cleanMAC(mac), p.str("Id"), p.str("LinkStatus"), mbps)
			}
		}
	}
	for _, p := range a.list("PhysicalPorts") { // HPE's BaseNetworkAdapter
		add(macOf(p, "MacAddress"), p.str("Name"), p.str("LinkStatus"), p.small("SpeedMbps"))
	}
}

func fill(field *string, s string) {
	if *field == "" {
		*field = s
	}
}

// link notes a port's state from the words of the three schemas that have one: LinkUp, Up, Starting, LinkDown, Down, NoLink.
func link(field **bool, status string) {
	if *field != nil {
		return
	}
	var up bool
	switch strings.ToLower(status) {
	case "linkup", "up", "ok":
		up = true
	case "linkdown", "down", "nolink":
	default:
		return
	}
	*field = &up
}

// macOf is the first of several properties that is a usable address.
func macOf(n node, keys ...string) string {
	for _, k := range keys {
		if mac := cleanMAC(n.str(k)); mac != "" {
			return mac
		}
	}
	return ""
}

// cleanMAC is aa:bb:cc:dd:ee:ff, or empty for what is no address of a port: all zeros, broadcast, multicast.
func cleanMAC(s string) string {
	digits := hexDigits(lower(strings.TrimSpace(s)))
	if len(digits) != 12 || len(s) > 20 {
		return ""
	}
	var parts []string
	for i := 0; i < 12; i += 2 {
		parts = append(parts, digits[i:i+2])
	}
	mac, err := net.ParseMAC(strings.Join(parts, ":"))
	if err != nil || mac[0]&1 != 0 || mac.String() == "00:00:00:00:00:00" {
		return ""
	}
	return mac.String()
}
