package look

import (
	"bytes"
	"net"
	"strconv"
	"strings"

	"berth/inventory"
)

// Ports lists the permanent addresses of the network ports, for the first word to the server.
func Ports(s Source) []string {
	var all []string
	for _, nic := range ports(s, nil, "", &problems{}) {
		if nic.MAC != "" {
			all = append(all, nic.MAC)
		}
	}
	return all[:min(len(all), nicLimit)]
}

// SystemUUID is the SMBIOS UUID, in lower case, or "".
func SystemUUID(s Source) string {
	var f inventory.Facts
	tables(s, &f, &problems{})
	return f.System.UUID
}

// ports lists the network ports that a piece of hardware stands behind: those with a device. Bridges, bonds, tunnels and the
// loopback have none.
func ports(s Source, pci []inventory.PCIFacts, bootMAC string, p *problems) []inventory.NICFacts {
	names, err := s.ReadDir("sys/class/net")
	p.note("list network ports", err)
	var all []inventory.NICFacts
	for _, name := range names {
		dir := "sys/class/net/" + name
		if _, err := s.ReadLink(dir + "/device"); err != nil {
			continue
		}
		kind := word(s, dir+"/type")
		if kind != "1" && kind != "32" { // ARPHRD_ETHER, ARPHRD_INFINIBAND
			continue
		}
		all = append(all, port(s, name, pci, bootMAC))
	}
	return all
}

func port(s Source, name string, pci []inventory.PCIFacts, bootMAC string) inventory.NICFacts {
	dir := "sys/class/net/" + name
	n := inventory.NICFacts{Name: text(name), MAC: permanentAddress(s, name), Driver: linkBase(s, dir+"/device/driver")}
	if info, err := s.Ask(AskDriverInfo, name); err == nil {
		judgeDriverInfo(info, &n)
	}
	n.PCIAddress = pciAddress(s, dir)
	for _, d := range pci {
		if d.Address == n.PCIAddress && n.PCIAddress != "" {
			n.Model = d.Name
		}
	}
	n.BootedFrom = bootMAC != "" && strings.EqualFold(bootMAC, n.MAC)
	// Both files answer "invalid argument" while the port is down: then the link is unknown.
	if carrier := word(s, dir+"/carrier"); carrier != "" {
		link := carrier == "1"
		n.Link = &link
	}
	if speed, err := strconv.Atoi(word(s, dir+"/speed")); err == nil && speed > 0 {
		n.SpeedMbps = speed
	}
	if frame, err := s.Ask(AskLLDP, name); err == nil {
		if neighbor, err := ParseLLDP(frame); err == nil {
			n.LLDP = &neighbor
		}
	}
	return n
}

// permanentAddress is the address the port was made with. A bond or a person may have given it another; then the one in use is
// only taken when the driver does not tell.
func permanentAddress(s Source, name string) string {
	if raw, err := s.Ask(AskPermanentAddress, name); err == nil && usable(raw) {
		return net.HardwareAddr(raw).String()
	}
	address, err := net.ParseMAC(word(s, "sys/class/net/"+name+"/address"))
	if err != nil || !usable(address) {
		return ""
	}
	return address.String()
}

// usable refuses lengths that are no address, and the addresses all zero and all one.
func usable(address []byte) bool {
	if len(address) < 6 || len(address) > 20 {
		return false
	}
	only := func(b byte) bool { return bytes.Count(address, []byte{b}) == len(address) }
	return !only(0x00) && !only(0xff)
}

// judgeDriverInfo reads struct ethtool_drvinfo of linux/ethtool.h: cmd, driver[32], version[32], fw_version[32], bus_info[32], ...
func judgeDriverInfo(info []byte, n *inventory.NICFacts) {
	if len(info) < 4+4*32 {
		return
	}
	field := func(i int) string {
		value, _, _ := strings.Cut(string(info[4+32*i:4+32*(i+1)]), "\x00")
		return text(value)
	}
	n.Driver = or(n.Driver, field(0))
	if firmware := field(2); firmware != "N/A" {
		n.Firmware = firmware
	}
}

// pciAddress finds the function a device hangs on in the path its link of /sys/class points to: the last element that looks like
// 0000:3b:00.1. Between it and the device may stand others, such as virtio1 or nvme0.
func pciAddress(s Source, classDir string) string {
	target, err := s.ReadLink(classDir)
	if err != nil {
		return ""
	}
	address := ""
	for element := range strings.SplitSeq(target, "/") {
		if isPCIAddress(element) {
			address = element
		}
	}
	return address
}

// isPCIAddress knows domain:bus:device.function; a domain has four digits, or more behind some bridges.
func isPCIAddress(s string) bool {
	domain, rest, ok := strings.Cut(s, ":")
	if !ok || len(domain) < 4 || len(domain) > 8 || len(rest) != 7 || rest[2] != ':' || rest[5] != '.' {
		return false
	}
	return strings.Trim(domain+rest, "0123456789abcdef:.") == ""
}
