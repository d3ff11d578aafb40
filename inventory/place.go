package inventory

// Site is a place with an address.
type Site struct {
	Meta
	Name            string `json:"name" berth:"list,filter,search,required"`
	Slug            string `json:"slug" berth:"list,filter,search,required" help:"Short name in lower case, used in addresses and files."`
	Status          string `json:"status" berth:"list,filter,enum=planned|staging|active|decommissioning|retired"`
	Facility        string `json:"facility" berth:"search"`
	PhysicalAddress string `json:"physical_address" berth:"long"`
	ShippingAddress string `json:"shipping_address" berth:"long"`
	TimeZone        string `json:"time_zone" help:"IANA name, for example Europe/Berlin; deadlines are dates in it."`
	Description     string `json:"description" berth:"long"`
	DefaultProfile  UID    `json:"default_profile" berth:"ref=profile"`
	SupplyVoltageV  int    `json:"supply_voltage_v" berth:"unit=V"`
}

// Location is a room, cage or shelf within a site.
type Location struct {
	Meta
	Site        UID    `json:"site" berth:"list,filter,required,ref=site"`
	Parent      UID    `json:"parent" berth:"filter,ref=location"`
	Name        string `json:"name" berth:"list,filter,search,required"`
	Slug        string `json:"slug" berth:"list,filter,search,required"`
	Status      string `json:"status" berth:"list,filter,enum=planned|staging|active|decommissioning|retired"`
	Description string `json:"description" berth:"long"`
}

// Rack has UHeight units, counted from StartingUnit at the bottom unless DescUnits.
type Rack struct {
	Meta
	Site         UID    `json:"site" berth:"list,filter,required,ref=site"`
	Location     UID    `json:"location" berth:"list,filter,ref=location"`
	Name         string `json:"name" berth:"list,filter,search,required"`
	FacilityID   string `json:"facility_id" berth:"search"`
	Status       string `json:"status" berth:"list,filter,enum=reserved|available|planned|active|deprecated"`
	UHeight      int    `json:"u_height" berth:"list,unit=U" help:"1 to 100; 42 when left empty."`
	StartingUnit int    `json:"starting_unit" help:"The number of the lowest unit; 1 when left empty."`
	DescUnits    bool   `json:"desc_units" help:"Units are counted from the top."`
	Width        int    `json:"width" berth:"unit=in" help:"10, 19, 21 or 23; 19 when left empty."`
	Serial       string `json:"serial" berth:"search"`
	AssetTag     string `json:"asset_tag" berth:"search"`
	Description  string `json:"description" berth:"long"`
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (s *Site) Check() error {
	bad := &findings{noun: "site"}
	settleSlug(&s.Slug, s.Name, bad)
	setDefault(&s.Status, "active")
	if s.TimeZone != "" && !zoneForm.MatchString(s.TimeZone) {
		bad.add("time_zone", "is not an IANA name such as Europe/Berlin")
	}
	if s.SupplyVoltageV < 0 || s.SupplyVoltageV > 1000 {
		bad.add("supply_voltage_v", "is from 0 (not known) to 1000 V")
	}
	return bad.err()
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (l *Location) Check() error {
	bad := &findings{noun: "location"}
	settleSlug(&l.Slug, l.Name, bad)
	setDefault(&l.Status, "active")
	return bad.err()
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (r *Rack) Check() error {
	bad := &findings{noun: "rack"}
	setDefault(&r.Status, "active")
	setDefault(&r.UHeight, 42)
	setDefault(&r.StartingUnit, 1)
	setDefault(&r.Width, 19)
	if r.UHeight < 1 || r.UHeight > 100 {
		bad.add("u_height", "is from 1 to 100 U")
	}
	if r.StartingUnit < 1 || r.StartingUnit > 100 {
		bad.add("starting_unit", "is from 1 to 100")
	}
	switch r.Width {
	case 10, 19, 21, 23:
	default:
		bad.add("width", "is 10, 19, 21 or 23 in")
	}
	return bad.err()
}
