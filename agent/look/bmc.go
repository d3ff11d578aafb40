package look

import (
	"fmt"
	"net"
	"net/netip"

	"berth/inventory"
)

// controller asks the management controller about itself, over the interface inside the machine.
func controller(s Source, p *problems) *inventory.BMCFacts {
	device, err := s.Ask(AskBMCDevice, "ipmi0")
	if err != nil {
		p.note("ask the BMC", err)
		return nil
	}
	f := judgeBMCDevice(device)
	if f == nil {
		return nil
	}
	if address, err := s.Ask(AskBMCAddress, "ipmi0"); err == nil {
		f.Address = lanAddress(address)
	}
	if mac, err := s.Ask(AskBMCMAC, "ipmi0"); err == nil && len(mac) == 7 && usable(mac[1:]) {
		f.MAC = net.HardwareAddr(mac[1:]).String()
	}
	return f
}

// manufacturers are private enterprise numbers (IANA) that server makers put into their BMCs.
var manufacturers = map[uint32]string{
	2: "IBM", 11: "HPE", 343: "Intel", 674: "Dell", 2011: "Huawei", 5771: "Cisco", 6653: "Tyan", 7244: "Quanta", 10368: "Fujitsu",
	10876: "Supermicro", 15370: "Gigabyte", 19046: "Lenovo", 20301: "Lenovo", 20974: "American Megatrends", 47196: "HPE",
	47488: "Supermicro", 49622: "ASRock Rack", 49769: "OpenBMC", 2623: "ASUS", 42: "Sun", 111: "Oracle", 37945: "Inspur", 4128: "Arm",
}

// judgeBMCDevice reads the answer to Get Device ID (IPMI 2.0, 20.1) after the completion code: device id, its revision, firmware
// major (seven bits) and minor (BCD), IPMI version (BCD, the digits swapped), support, manufacturer in three bytes, and so on.
func judgeBMCDevice(b []byte) *inventory.BMCFacts {
	if len(b) < 9 {
		return nil
	}
	id := uint32(b[6]) | uint32(b[7])<<8 | uint32(b[8]&0x0f)<<16
	f := &inventory.BMCFacts{
		Firmware:     fmt.Sprintf("%d.%02x", b[2]&0x7f, b[3]),
		IPMIVersion:  fmt.Sprintf("%d.%d", b[4]&0x0f, b[4]>>4),
		Manufacturer: manufacturers[id],
	}
	if f.Manufacturer == "" && id != 0 {
		f.Manufacturer = fmt.Sprintf("enterprise %d", id)
	}
	return f
}

// lanAddress reads LAN parameter 3 (23.2): the parameter's revision, then four bytes. 0.0.0.0 is a port that is not set up.
func lanAddress(b []byte) string {
	if len(b) != 5 {
		return ""
	}
	address := netip.AddrFrom4([4]byte(b[1:]))
	if address.IsUnspecified() {
		return ""
	}
	return address.String()
}
