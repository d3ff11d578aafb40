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

	Latitude           *float64 `json:"latitude"`
	Longitude          *float64 `json:"longitude"`
	Landlord           UID      `json:"landlord" berth:"filter,ref=organization"`
	LeaseRef           string   `json:"lease_ref" berth:"search"`
	LeaseStart         Date     `json:"lease_start"`
	LeaseEnd           Date     `json:"lease_end" berth:"filter"`
	NoticeDays         int      `json:"notice_days" berth:"unit=d"`
	Currency           string   `json:"currency"`
	MonthlyAmount      int64    `json:"monthly_amount" berth:"money=currency"`
	ContractedVA       int      `json:"contracted_va" gorm:"column:contracted_va" berth:"unit=VA,title=Contracted power"`
	AccessProcedure    string   `json:"access_procedure" berth:"long" help:"How to get in: whom to call, what to bring."`
	ShipToInstructions string   `json:"ship_to_instructions" berth:"long" help:"What the loading dock wants to know: ticket number, hours, height of the ramp."`
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
	UHeight      int    `json:"u_height" berth:"list,unit=U" help:"1 to 100; the rack type's or 42 when left empty."`
	StartingUnit int    `json:"starting_unit" help:"The number of the lowest unit; the rack type's or 1 when left empty."`
	DescUnits    bool   `json:"desc_units" help:"Units are counted from the top."`
	Width        int    `json:"width" berth:"unit=in" help:"10, 19, 21 or 23; the rack type's or 19 when left empty."`
	Serial       string `json:"serial" berth:"search"`
	AssetTag     string `json:"asset_tag" berth:"search"`
	Description  string `json:"description" berth:"long"`

	RackType        UID    `json:"rack_type" berth:"filter,ref=rack-type"`
	Airflow         string `json:"airflow" berth:"enum=|front-to-rear|rear-to-front"`
	OuterWidthMM    int    `json:"outer_width_mm" gorm:"column:outer_width_mm" berth:"unit=mm"`
	OuterHeightMM   int    `json:"outer_height_mm" gorm:"column:outer_height_mm" berth:"unit=mm"`
	OuterDepthMM    int    `json:"outer_depth_mm" gorm:"column:outer_depth_mm" berth:"unit=mm"`
	MountingDepthMM int    `json:"mounting_depth_mm" gorm:"column:mounting_depth_mm" berth:"unit=mm"`
	WeightGrams     int64  `json:"weight_grams" berth:"unit=g"`
	MaxWeightGrams  int64  `json:"max_weight_grams" berth:"unit=g"`
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
