package inventory

import "time"

// RackType is a model of rack.
type RackType struct {
	Meta
	Manufacturer    UID    `json:"manufacturer" berth:"list,filter,required,ref=manufacturer"`
	Model           string `json:"model" berth:"list,filter,search,required"`
	Slug            string `json:"slug" berth:"list,filter,search,required"`
	FormFactor      string `json:"form_factor" berth:"enum=|2-post-frame|4-post-frame|4-post-cabinet|wall-frame|wall-frame-vertical|wall-cabinet|wall-cabinet-vertical"`
	Width           int    `json:"width" berth:"unit=in" help:"10, 19, 21 or 23; 19 when left empty."`
	UHeight         int    `json:"u_height" berth:"list,unit=U"`
	StartingUnit    int    `json:"starting_unit"`
	DescUnits       bool   `json:"desc_units"`
	OuterWidthMM    int    `json:"outer_width_mm" gorm:"column:outer_width_mm" berth:"unit=mm"`
	OuterHeightMM   int    `json:"outer_height_mm" gorm:"column:outer_height_mm" berth:"unit=mm"`
	OuterDepthMM    int    `json:"outer_depth_mm" gorm:"column:outer_depth_mm" berth:"unit=mm"`
	MountingDepthMM int    `json:"mounting_depth_mm" gorm:"column:mounting_depth_mm" berth:"unit=mm"`
	WeightGrams     int64  `json:"weight_grams" berth:"unit=g"`
	MaxWeightGrams  int64  `json:"max_weight_grams" berth:"unit=g"`
	Description     string `json:"description" berth:"long"`
}

// RackReservation keeps units of a rack free for something.
type RackReservation struct {
	Meta
	Rack         UID     `json:"rack" berth:"list,filter,required,ref=rack"`
	FromUnit     float64 `json:"from_unit" berth:"list,required,unit=U" help:"The lowest unit, in steps of 0.5."`
	Height       float64 `json:"height" berth:"list,unit=U" help:"In steps of 0.5; 1 when left empty."`
	Face         string  `json:"face" berth:"enum=|front|rear" help:"Empty is both."`
	Status       string  `json:"status" berth:"list,filter,enum=pending|active|stale"`
	Organization UID     `json:"organization" berth:"filter,ref=organization"`
	Until        Date    `json:"until" berth:"list,filter"`
	Description  string  `json:"description" berth:"list,search,required" help:"What for."`
}

// PowerPanel is where feeds begin.
type PowerPanel struct {
	Meta
	Site        UID    `json:"site" berth:"list,filter,required,ref=site"`
	Location    UID    `json:"location" berth:"filter,ref=location"`
	Name        string `json:"name" berth:"list,filter,search,required"`
	Description string `json:"description" berth:"long"`
}

// PowerFeed is one circuit from a panel to a rack. Its power is V × A × the part that may be used, × √3 with three phases, in VA.
type PowerFeed struct {
	Meta
	PowerPanel            UID    `json:"power_panel" berth:"list,filter,required,ref=power-panel"`
	Rack                  UID    `json:"rack" berth:"list,filter,ref=rack"`
	Name                  string `json:"name" berth:"list,filter,search,required"`
	Status                string `json:"status" berth:"list,filter,enum=offline|active|planned|failed"`
	Type                  string `json:"type" berth:"list,enum=primary|redundant"`
	Supply                string `json:"supply" berth:"enum=ac|dc"`
	Phase                 string `json:"phase" berth:"enum=single-phase|three-phase"`
	VoltageV              int    `json:"voltage_v" gorm:"column:voltage_v" berth:"list,unit=V" help:"The site's when left empty, else 230."`
	AmperageA             int    `json:"amperage_a" gorm:"column:amperage_a" berth:"list,unit=A" help:"16 when left empty."`
	MaxUtilizationPercent int    `json:"max_utilization_percent" berth:"unit=%" help:"80 when left empty."`
	Description           string `json:"description" berth:"long"`
}

// PowerPort is where a device takes its power.
type PowerPort struct {
	Meta
	Device         UID        `json:"device" berth:"list,filter,required,ref=device"`
	Name           string     `json:"name" berth:"list,filter,search,required"`
	Type           string     `json:"type" help:"iec-60320-c14, …"`
	MaximumDrawW   int        `json:"maximum_draw_w" gorm:"column:maximum_draw_w" berth:"list,unit=W"`
	AllocatedDrawW int        `json:"allocated_draw_w" gorm:"column:allocated_draw_w" berth:"list,unit=W"`
	MeasuredDrawW  *int       `json:"measured_draw_w" gorm:"column:measured_draw_w" berth:"list,unit=W" help:"As the BMC or a person measured it."`
	MeasuredAt     *time.Time `json:"measured_at" berth:"readonly"`
}

// PowerOutlet is where a PDU gives power.
type PowerOutlet struct {
	Meta
	Device    UID    `json:"device" berth:"list,filter,required,ref=device"`
	Name      string `json:"name" berth:"list,filter,search,required"`
	Type      string `json:"type" help:"iec-60320-c13, …"`
	PowerPort UID    `json:"power_port" berth:"filter,ref=power-port" help:"The PDU's own port it is fed from."`
	FeedLeg   string `json:"feed_leg" berth:"enum=|A|B|C"`
}

// Cable joins two ends; each end is one of four kinds of thing.
type Cable struct {
	Meta
	Label        string `json:"label" berth:"list,filter,search"`
	Type         string `json:"type" berth:"list,filter,enum=|cat3|cat5|cat5e|cat6|cat6a|cat7|cat7a|cat8|dac-active|dac-passive|mmf-om1|mmf-om2|mmf-om3|mmf-om4|mmf-om5|smf|smf-os1|smf-os2|aoc|coaxial|power|usb"`
	Status       string `json:"status" berth:"list,filter,enum=planned|connected|decommissioning"`
	Color        string `json:"color" help:"Six hexadecimal digits, as in NetBox: aa1409."`
	LengthMM     int    `json:"length_mm" gorm:"column:length_mm" berth:"list,unit=mm"`
	AInterface   UID    `json:"a_interface" berth:"list,filter,ref=interface"`
	APowerPort   UID    `json:"a_power_port" berth:"filter,ref=power-port"`
	APowerOutlet UID    `json:"a_power_outlet" berth:"filter,ref=power-outlet"`
	APowerFeed   UID    `json:"a_power_feed" berth:"filter,ref=power-feed"`
	BInterface   UID    `json:"b_interface" berth:"list,filter,ref=interface"`
	BPowerPort   UID    `json:"b_power_port" berth:"filter,ref=power-port"`
	BPowerOutlet UID    `json:"b_power_outlet" berth:"filter,ref=power-outlet"`
	BPowerFeed   UID    `json:"b_power_feed" berth:"filter,ref=power-feed"`
	Description  string `json:"description" berth:"search"`
}

// ModuleType is a model of part: a processor, a DIMM, a disk.
type ModuleType struct {
	Meta
	Manufacturer UID               `json:"manufacturer" berth:"list,filter,required,ref=manufacturer"`
	Model        string            `json:"model" berth:"list,filter,search,required"`
	Slug         string            `json:"slug" berth:"list,filter,search,required"`
	Kind         string            `json:"kind" berth:"list,filter,enum=cpu|memory|disk|nic|gpu|psu|fan|expansion_card|controller|tpm|other"`
	PartNumber   string            `json:"part_number" berth:"list,search"`
	WeightGrams  int64             `json:"weight_grams" berth:"unit=g"`
	Attributes   map[string]string `json:"attributes" gorm:"serializer:json"`
	Description  string            `json:"description" berth:"long"`
}

// ModuleBay is a place for a part in a device.
type ModuleBay struct {
	Meta
	Device      UID    `json:"device" berth:"list,filter,required,ref=device"`
	Name        string `json:"name" berth:"list,filter,search,required"`
	Position    string `json:"position" berth:"list" help:"As the machine labels it: DIMM_A2, Bay 4."`
	Kind        string `json:"kind" berth:"list,filter,enum=cpu|memory|disk|nic|gpu|psu|fan|expansion_card|controller|tpm|other"`
	Description string `json:"description"`
}

// VLAN is a network by its number.
type VLAN struct {
	Meta
	Site        UID    `json:"site" berth:"list,filter,ref=site"`
	VID         int    `json:"vid" gorm:"column:vid" berth:"list,filter,required,title=VID" help:"1 to 4094 (IEEE 802.1Q)."`
	Name        string `json:"name" berth:"list,filter,search,required"`
	Status      string `json:"status" berth:"list,filter,enum=active|reserved|deprecated"`
	Role        string `json:"role" berth:"list,search"`
	Description string `json:"description"`
}

// Prefix is a block of addresses, whether berth serves it or not.
type Prefix struct {
	Meta
	Prefix      string `json:"prefix" berth:"list,filter,search,required" help:"10.77.0.0/24"`
	Site        UID    `json:"site" berth:"list,filter,ref=site"`
	VLAN        UID    `json:"vlan" gorm:"column:vlan" berth:"list,filter,ref=vlan"`
	Status      string `json:"status" berth:"list,filter,enum=container|active|reserved|deprecated"`
	Role        string `json:"role" berth:"list,search"`
	IsPool      bool   `json:"is_pool"`
	Description string `json:"description" berth:"search"`
}

// MovePlan is a set of moves that belong together: a rack rearranged, a site left.
type MovePlan struct {
	Meta
	Name        string `json:"name" berth:"list,filter,search,required"`
	Status      string `json:"status" berth:"list,filter,enum=draft|agreed|under_way|done|cancelled"`
	FromSite    UID    `json:"from_site" berth:"list,filter,ref=site"`
	ToSite      UID    `json:"to_site" berth:"list,filter,ref=site"`
	Shipment    UID    `json:"shipment" berth:"filter,ref=shipment"`
	PlannedOn   Date   `json:"planned_on" berth:"list,filter"`
	Description string `json:"description" berth:"long"`
}

// Move is one device's planned place. Until it is done the device's own place stays true: planned and actual stand side by side.
type Move struct {
	Meta
	MovePlan   UID      `json:"move_plan" berth:"list,filter,required,ref=move-plan"`
	Device     UID      `json:"device" berth:"list,filter,required,ref=device"`
	State      string   `json:"state" berth:"list,filter,readonly,enum=planned|removed|done|cancelled" help:"Set by taking it out, by putting it in, and by calling it off."`
	ToSite     UID      `json:"to_site" berth:"filter,ref=site"`
	ToLocation UID      `json:"to_location" berth:"ref=location"`
	ToRack     UID      `json:"to_rack" berth:"list,filter,ref=rack"`
	ToPosition *float64 `json:"to_position" berth:"list,unit=U"`
	ToFace     string   `json:"to_face" berth:"enum=|front|rear"`
	ToSlot     int      `json:"to_slot"`
	ToSide     string   `json:"to_side" berth:"enum=|left|right"`
	// From is where it stood when it was taken out, kept for the way back.
	From   map[string]string `json:"from" gorm:"serializer:json" berth:"readonly"`
	DoneAt *time.Time        `json:"done_at" berth:"readonly"`
	DoneBy string            `json:"done_by" berth:"readonly,enum=|person|scan|boot"`
	Note   string            `json:"note"`
}

// StockTake is a walk along shelves and racks to see what is really there.
type StockTake struct {
	Meta
	Name     string     `json:"name" berth:"list,filter,search,required"`
	State    string     `json:"state" berth:"list,filter,enum=open|closed"`
	Site     UID        `json:"site" berth:"list,filter,ref=site"`
	Location UID        `json:"location" berth:"filter,ref=location"`
	Rack     UID        `json:"rack" berth:"filter,ref=rack"`
	ClosedAt *time.Time `json:"closed_at" berth:"list,filter,readonly"`
	Notes    string     `json:"notes" berth:"long"`
}

// StockTakeItem is one thing that was scanned, or that should have been.
type StockTakeItem struct {
	Meta
	StockTake UID        `json:"stock_take" berth:"list,filter,required,ref=stock-take"`
	Asset     UID        `json:"asset" berth:"list,filter,ref=asset"`
	Code      string     `json:"code" berth:"list,filter,search" help:"What was scanned."`
	Result    string     `json:"result" berth:"list,filter,enum=expected|unexpected|missing|new"`
	ScannedAt *time.Time `json:"scanned_at" berth:"list,filter"`
	Place     string     `json:"place" berth:"list"`
	Note      string     `json:"note"`
	By        string     `json:"by" berth:"readonly"`
}
