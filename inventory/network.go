package inventory

import (
	"net/netip"
	"strings"
)

// Subnet is a network that berth listens on or serves. Flags seed the first; afterwards it is a record like any other.
type Subnet struct {
	Meta
	Name      string   `json:"name" berth:"list,filter,search,required"`
	Prefix    string   `json:"prefix" berth:"list,filter,search,required" help:"10.77.0.0/24"`
	Site      UID      `json:"site" berth:"list,filter,ref=site"`
	Interface string   `json:"interface" berth:"list,filter" help:"The server's own interface on it; empty for a subnet behind a DHCP relay."`
	Mode      string   `json:"mode" berth:"list,filter,enum=listen|server|proxy|off" help:"listen hears and answers nothing; server gives addresses; proxy adds the boot answer beside another DHCP server."`
	Enrol     bool     `json:"enrol" berth:"list,filter" help:"Offer the agent to machines that berth does not know."`
	Pools     []string `json:"pools" gorm:"serializer:json" help:"10.77.0.100-10.77.0.200"`
	Gateway   string   `json:"gateway"`
	DNS       []string `json:"dns" gorm:"serializer:json"`
	NTP       []string `json:"ntp" gorm:"serializer:json"`
	Domain    string   `json:"domain"`
	// LeaseSeconds is how long an address is lent; 3600 when 0.
	LeaseSeconds int    `json:"lease_seconds" berth:"unit=s"`
	BootURL      string `json:"boot_url" help:"Where machines on it reach the boot listener; worked out from --boot when empty."`
	VLAN         int    `json:"vlan"`
	Description  string `json:"description" berth:"long"`
}

// Address is an IP address of an interface.
type Address struct {
	Meta
	Address     string `json:"address" berth:"list,filter,search,required"`
	Subnet      UID    `json:"subnet" berth:"list,filter,ref=subnet"`
	Interface   UID    `json:"interface" berth:"list,filter,ref=interface"`
	DNSName     string `json:"dns_name" berth:"list,search"`
	Description string `json:"description"`
}

// TableName spells the table of addresses.
func (Address) TableName() string { return "addresses" }

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (s *Subnet) Check() error {
	bad := &findings{noun: "subnet"}
	setDefault(&s.Mode, "listen")
	s.checkAddresses(bad)
	judgeServers("dns", s.DNS, false, bad)
	judgeServers("ntp", s.NTP, true, bad)
	if s.Domain = strings.ToLower(s.Domain); s.Domain != "" {
		if why := hostProblem(s.Domain); why != "" {
			bad.add("domain", "%s", why)
		}
	}
	if s.LeaseSeconds != 0 && (s.LeaseSeconds < 10 || s.LeaseSeconds > 366*24*3600) {
		bad.add("lease_seconds", "is from 10 s to a year, or 0 for an hour")
	}
	if s.BootURL != "" {
		if why := urlProblem(s.BootURL, "http", "https"); why != "" {
			bad.add("boot_url", "%s", why)
		}
	}
	if why := vlanProblem(s.VLAN); why != "" {
		bad.add("vlan", "%s", why)
	}
	return bad.err()
}

func (s *Subnet) checkAddresses(bad *findings) {
	prefix, err := netip.ParsePrefix(s.Prefix)
	if err != nil {
		if s.Prefix != "" {
			bad.add("prefix", "%q is not a prefix such as 10.77.0.0/24", abbreviate(s.Prefix, 60))
		}
		return
	}
	if prefix.Masked() != prefix {
		bad.add("prefix", "has bits set behind its length; %s is the network", prefix.Masked())
		return
	}
	s.Prefix = prefix.String()
	judgePools(prefix, s.Pools, bad)
	if s.Gateway == "" {
		return
	}
	gateway, err := netip.ParseAddr(s.Gateway)
	if err != nil || !(prefix.Contains(gateway) || gateway.IsLinkLocalUnicast()) {
		bad.add("gateway", "%q is not an address within %s", abbreviate(s.Gateway, 60), prefix)
		return
	}
	s.Gateway = gateway.String()
}

// Check brings the address into its usual spelling. Errors: *Invalid.
func (a *Address) Check() error {
	bad := &findings{noun: "address"}
	if ip, err := netip.ParseAddr(a.Address); err == nil && ip.Zone() == "" {
		a.Address = ip.Unmap().String()
	} else if a.Address != "" {
		bad.add("address", "%q is not an IP address", abbreviate(a.Address, 60))
	}
	if a.DNSName = strings.ToLower(a.DNSName); a.DNSName != "" {
		if why := hostProblem(a.DNSName); why != "" {
			bad.add("dns_name", "%s", why)
		}
	}
	return bad.err()
}

// CheckIn holds the address against its subnet. Errors: *Invalid.
func (a *Address) CheckIn(tx Tx, before Object) error {
	if a.Subnet == "" {
		return nil
	}
	if old, ok := before.(*Address); ok && old.Subnet == a.Subnet && old.Address == a.Address {
		return nil
	}
	subnet, err := TxGet[Subnet](tx, string(a.Subnet))
	if err != nil {
		return unknownRef(err, "address", "subnet")
	}
	prefix, err := netip.ParsePrefix(subnet.Prefix)
	ip, err2 := netip.ParseAddr(a.Address)
	if err == nil && err2 == nil && !prefix.Contains(ip) {
		return NotAllowed("address", "address", "%s is not within %s, the prefix of subnet %s", ip, prefix, subnet.Name)
	}
	return nil
}
