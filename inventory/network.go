package inventory

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
