package inventory

import (
	"encoding/json"
	"strings"
	"time"
)

// Manufacturer is who built a thing.
type Manufacturer struct {
	Meta
	Name        string `json:"name" berth:"list,filter,search,required"`
	Slug        string `json:"slug" berth:"list,filter,search,required"`
	Description string `json:"description" berth:"long"`
}

// DeviceType is a model.
type DeviceType struct {
	Meta
	Manufacturer UID     `json:"manufacturer" berth:"list,filter,required,ref=manufacturer"`
	Model        string  `json:"model" berth:"list,filter,search,required"`
	Slug         string  `json:"slug" berth:"list,filter,search,required"`
	PartNumber   string  `json:"part_number" berth:"search"`
	UHeight      float64 `json:"u_height" berth:"list,unit=U" help:"In steps of 0.5; 0 takes no unit."`
	IsFullDepth  bool    `json:"is_full_depth"`
	WeightGrams  int64   `json:"weight_grams" berth:"unit=g"`
	Description  string  `json:"description" berth:"long"`

	RackWidth       string `json:"rack_width" berth:"enum=full|half|third|quarter" help:"How much of a unit's width it takes."`
	SubdeviceRole   string `json:"subdevice_role" berth:"enum=|parent|child"`
	Airflow         string `json:"airflow" berth:"enum=|front-to-rear|rear-to-front|left-to-right|right-to-left|side-to-rear|rear-to-side|bottom-to-top|top-to-bottom|passive|mixed"`
	IsPowered       bool   `json:"is_powered"`
	CountryOfOrigin string `json:"country_of_origin" help:"ISO 3166-1 alpha-2."`
	HSCode          string `json:"hs_code" berth:"title=HS code" help:"Harmonized System, for example 8471.50."`
	EOLDate         Date   `json:"eol_date" gorm:"column:eol_date" berth:"filter"`
	NotCounted      bool   `json:"not_counted" help:"Left out of a rack's utilization: blank panels, cable managers."`
	// Parts are what each device of the type has: interfaces, power ports and outlets, bays, as the device-type library lists them.
	Parts json.RawMessage `json:"parts" gorm:"serializer:json"`
}

// Asset is the physical thing, from the day it is promised to its end. What it does meanwhile is a Device.
type Asset struct {
	Meta
	AssetTag     string     `json:"asset_tag" berth:"list,filter,search,required" help:"What the sticker says; made up if left empty."`
	Kind         string     `json:"kind" berth:"list,filter,enum=device|component|rack|pdu|cable|consumable"`
	Name         string     `json:"name" berth:"list,filter,search"`
	Manufacturer UID        `json:"manufacturer" berth:"list,filter,ref=manufacturer"`
	DeviceType   UID        `json:"device_type" berth:"filter,ref=device-type"`
	PartNumber   string     `json:"part_number" berth:"search"`
	Serial       string     `json:"serial" berth:"list,filter,search"`
	SystemUUID   string     `json:"system_uuid" berth:"filter,search"`
	Custody      string     `json:"custody" berth:"list,filter,enum=expected|in_transit|received|storage|installed|on_loan|at_vendor|missing|gone"`
	Disposition  string     `json:"disposition" berth:"filter,enum=|sold|donated|recycled|returned|traded_in|scrapped|lost|stolen|destroyed|abandoned"`
	Condition    string     `json:"condition" berth:"list,filter,enum=unknown|new|used_good|degraded|damaged|for_parts"`
	AcquiredAt   *time.Time `json:"acquired_at" berth:"filter"`
	Site         UID        `json:"site" berth:"filter,ref=site"`
	Location     UID        `json:"location" berth:"filter,ref=location"`
	Notes        string     `json:"notes" berth:"long"`

	Acquisition      UID    `json:"acquisition" berth:"filter,ref=acquisition"`
	Parent           UID    `json:"parent" berth:"filter,ref=asset" help:"The box, chassis or rack it is in."`
	Owner            UID    `json:"owner" berth:"filter,ref=organization" help:"Empty is ourselves."`
	Holder           UID    `json:"holder" berth:"filter,ref=organization" help:"Who has it now, where that is not us: on loan, at the vendor's."`
	Currency         string `json:"currency" help:"ISO 4217; of every amount on this page."`
	CostAmount       int64  `json:"cost_amount" berth:"money=currency" help:"What was paid for it."`
	LandedCostAmount int64  `json:"landed_cost_amount" berth:"readonly,money=currency" help:"With its share of freight, duty and handling."`
	FairValueAmount  *int64 `json:"fair_value_amount" berth:"money=currency" help:"Of a donated thing, on the day it came."`
	SalvageAmount    *int64 `json:"salvage_amount" berth:"money=currency"`
	InServiceOn      Date   `json:"in_service_on" berth:"filter" help:"Depreciation counts from here, or from the day it was acquired."`
	WarrantyStart    Date   `json:"warranty_start"`
	WarrantyEnd      Date   `json:"warranty_end" berth:"filter"`
	EOLDate          Date   `json:"eol_date" gorm:"column:eol_date" berth:"filter"`
	HoldUntil        Date   `json:"hold_until" berth:"filter" help:"Not to be disposed of before; of a donation, three years after receipt."`
	WeightGrams      int64  `json:"weight_grams" berth:"unit=g"`
	// ImportRef is what the system it came from calls it: the key that makes an import safe to repeat.
	ImportRef string `json:"import_ref" berth:"filter,search"`
}

// Component is a part installed in a device, or in storage: intended fact, as a person or an accepted observation put it.
type Component struct {
	Meta
	Device       UID    `json:"device" berth:"list,filter,ref=device"`
	Asset        UID    `json:"asset" berth:"filter,ref=asset"`
	Kind         string `json:"kind" berth:"list,filter,enum=cpu|memory|disk|nic|gpu|psu|fan|expansion_card|controller|tpm|other"`
	Slot         string `json:"slot" berth:"list,filter" help:"The bay as the machine labels it."`
	Manufacturer string `json:"manufacturer" berth:"list,search"`
	Model        string `json:"model" berth:"list,search"`
	PartNumber   string `json:"part_number" berth:"search"`
	Serial       string `json:"serial" berth:"list,filter,search"`
	WWN          string `json:"wwn" berth:"filter,search"`
	SizeBytes    int64  `json:"size_bytes" berth:"list,unit=B"`
	Firmware     string `json:"firmware"`
	// DiskRole is what a disk is for: root, ceph-osd, keep, scratch, or empty while nobody said.
	DiskRole string `json:"disk_role" berth:"list,filter,enum=|root|ceph-osd|keep|scratch"`
	// WrittenImage is the digest of the image that berth wrote to this disk; empty means that what is on it is not ours.
	WrittenImage string `json:"written_image" berth:"readonly"`
	ModuleType   UID    `json:"module_type" berth:"filter,ref=module-type"`
	ModuleBay    UID    `json:"module_bay" berth:"filter,ref=module-bay"`
	// A component that is in no device lies somewhere: in a parcel, or in a box at a location.
	Parcel    UID    `json:"parcel" berth:"filter,ref=parcel"`
	Location  UID    `json:"location" berth:"filter,ref=location"`
	Box       string `json:"box" berth:"filter,search" help:"What is written on the box it lies in."`
	Condition string `json:"condition" berth:"filter,enum=unknown|new|used_good|degraded|damaged|for_parts"`
	// Attributes are the facts that only this kind has (cores, speed_mhz, type, …).
	Attributes map[string]string `json:"attributes" gorm:"serializer:json"`
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (m *Manufacturer) Check() error {
	bad := &findings{noun: "manufacturer"}
	settleSlug(&m.Slug, m.Name, bad)
	return bad.err()
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (t *DeviceType) Check() error {
	bad := &findings{noun: "device-type"}
	settleSlug(&t.Slug, t.Model, bad)
	if t.UHeight < 0 || t.UHeight > 100 || !inSteps(t.UHeight) {
		bad.add("u_height", "is from 0 to 100 U, in steps of 0.5")
	}
	if t.WeightGrams < 0 {
		bad.add("weight_grams", "cannot be negative")
	}
	return bad.err()
}

// Check fills in what is left empty and judges the rest; an asset without a tag gets one made of its uid. Errors: *Invalid.
func (a *Asset) Check() error {
	bad := &findings{noun: "asset"}
	if a.AssetTag == "" && a.UID != "" {
		a.AssetTag = "B-" + strings.ToUpper(a.UID.Short())
	}
	setDefault(&a.Kind, "device")
	setDefault(&a.Custody, "expected")
	setDefault(&a.Condition, "unknown")
	a.SystemUUID = strings.ToLower(a.SystemUUID)
	return bad.err()
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (c *Component) Check() error {
	bad := &findings{noun: "component"}
	setDefault(&c.Kind, "other")
	setDefault(&c.Condition, "unknown")
	c.WWN = strings.ToLower(c.WWN)
	if c.SizeBytes < 0 {
		bad.add("size_bytes", "cannot be negative")
	}
	if c.DiskRole != "" && c.Kind != "disk" {
		bad.add("disk_role", "is for disks only")
	}
	return bad.err()
}
