package inventory

import "time"

// Shipment is things on their way from one place to another, under one waybill.
type Shipment struct {
	Meta
	Reference        string `json:"reference" berth:"list,filter,search,required" help:"Made up if left empty."`
	Title            string `json:"title" berth:"list,search"`
	Direction        string `json:"direction" berth:"list,filter,enum=inbound|outbound|transfer|return"`
	Purpose          string `json:"purpose" berth:"filter,enum=purchase|donation|relocation|rma|disposal|loan"`
	Phase            string `json:"phase" berth:"list,filter,readonly,enum=draft|packed|handed_over|received|reconciled|closed|cancelled|lost|written_off"`
	Status           string `json:"status" berth:"list,filter,readonly,enum=unknown|pre_transit|in_transit|out_for_delivery|available_for_pickup|delivered|return_to_sender|failure|cancelled|error|silent"`
	StatusDetail     string `json:"status_detail" berth:"readonly"`
	Origin           UID    `json:"origin" berth:"filter,ref=site"`
	Destination      UID    `json:"destination" berth:"list,filter,ref=site"`
	FromOrganization UID    `json:"from_organization" berth:"filter,ref=organization"`
	ToOrganization   UID    `json:"to_organization" berth:"filter,ref=organization"`
	FromAddress      string `json:"from_address" berth:"long"`
	ToAddress        string `json:"to_address" berth:"long"`
	Carrier          UID    `json:"carrier" berth:"list,filter,ref=organization"`
	Service          string `json:"service"`
	Mode             string `json:"mode" berth:"filter,enum=|air|road|sea|rail|post"`
	Incoterm         string `json:"incoterm" berth:"enum=|EXW|FCA|CPT|CIP|DAP|DPU|DDP|FAS|FOB|CFR|CIF"`
	// Lithium is the answer to the question of every packing checklist, whether batteries travel along, and how.
	Lithium      string     `json:"lithium" berth:"title=Lithium batteries,enum=|none|coin_cells|installed|separate" help:"coin_cells: on boards only; installed: packs in equipment; separate: packed beside it or alone."`
	TrackingCode string     `json:"tracking_code" berth:"list,filter,search"`
	TrackingURL  string     `json:"tracking_url"`
	HandedOverAt *time.Time `json:"handed_over_at" berth:"filter"`
	HandedOverBy string     `json:"handed_over_by"`
	PromisedOn   Date       `json:"promised_on" berth:"list,filter"`
	DeliveredAt  *time.Time `json:"delivered_at" berth:"filter"`
	SignedBy     string     `json:"signed_by"`
	ReceivedAt   *time.Time `json:"received_at" berth:"filter,readonly"`
	// DeclaredValueAmount is what the waybill says, InsuredAmount what the policy covers of it.
	Currency            string     `json:"currency" help:"ISO 4217; of every amount on this page."`
	DeclaredValueAmount int64      `json:"declared_value_amount" berth:"money=currency"`
	InsuredAmount       int64      `json:"insured_amount" berth:"money=currency"`
	Policy              UID        `json:"policy" berth:"filter,ref=insurance-policy"`
	GrossWeightGrams    int64      `json:"gross_weight_grams" berth:"unit=g"`
	SilentAfterDays     int        `json:"silent_after_days" berth:"unit=d" help:"Days without an event after which it counts as silent; 5 when left empty."`
	LastEventAt         *time.Time `json:"last_event_at" berth:"list,filter,readonly"`
	// OverrideReason is why it was handed over although something was missing (photo, seal, weight, cover).
	OverrideReason string `json:"override_reason" berth:"readonly"`
	Notes          string `json:"notes" berth:"long"`
}

// Parcel is one box of a shipment.
type Parcel struct {
	Meta
	Shipment     UID        `json:"shipment" berth:"list,filter,required,ref=shipment"`
	Label        string     `json:"label" berth:"list,filter,search,required" help:"What is written on the box: 1 of 3, or an SSCC."`
	TrackingCode string     `json:"tracking_code" berth:"list,filter,search"`
	Status       string     `json:"status" berth:"list,filter,readonly,enum=unknown|pre_transit|in_transit|out_for_delivery|available_for_pickup|delivered|return_to_sender|failure|cancelled|error|silent"`
	LengthMM     int        `json:"length_mm" gorm:"column:length_mm" berth:"unit=mm"`
	WidthMM      int        `json:"width_mm" gorm:"column:width_mm" berth:"unit=mm"`
	HeightMM     int        `json:"height_mm" gorm:"column:height_mm" berth:"unit=mm"`
	WeightGrams  int64      `json:"weight_grams" berth:"list,unit=g"`
	SealNo       string     `json:"seal_no" berth:"search"`
	Photo        UID        `json:"photo" berth:"ref=document"`
	Contents     string     `json:"contents" berth:"long"`
	ReceivedAt   *time.Time `json:"received_at" berth:"filter,readonly"`
	ReceivedBy   string     `json:"received_by" berth:"readonly"`
	Damage       string     `json:"damage" berth:"long" help:"What was seen of damage on arrival."`
	LastEventAt  *time.Time `json:"last_event_at" berth:"filter,readonly"`
}

// ShipmentItem is one line of a packing list: an asset by its serial, or a number of loose things.
type ShipmentItem struct {
	Meta
	Shipment            UID        `json:"shipment" berth:"list,filter,required,ref=shipment"`
	Parcel              UID        `json:"parcel" berth:"list,filter,ref=parcel"`
	Line                int        `json:"line" berth:"readonly" help:"Its number on the list."`
	Asset               UID        `json:"asset" berth:"list,filter,ref=asset"`
	Acquisition         UID        `json:"acquisition" berth:"filter,ref=acquisition" help:"The order or donation it belongs to."`
	Description         string     `json:"description" berth:"list,search"`
	Serial              string     `json:"serial" berth:"list,filter,search" help:"As on the packing list."`
	Quantity            int        `json:"quantity"`
	State               string     `json:"state" berth:"list,filter,readonly,enum=listed|packed|sent|received|verified|missing|damaged|substituted|not_expected"`
	DeclaredValueAmount int64      `json:"declared_value_amount" berth:"list,money=currency"`
	Currency            string     `json:"currency"`
	HSCode              string     `json:"hs_code" berth:"title=HS code" help:"Harmonized System, for example 8471.50."`
	CountryOfOrigin     string     `json:"country_of_origin" help:"ISO 3166-1 alpha-2."`
	WeightGrams         int64      `json:"weight_grams" berth:"unit=g"`
	PackedAt            *time.Time `json:"packed_at" berth:"readonly"`
	PackedBy            string     `json:"packed_by" berth:"readonly"`
	ReceivedAt          *time.Time `json:"received_at" berth:"readonly"`
	ReceivedBy          string     `json:"received_by" berth:"readonly"`
	VerifiedAt          *time.Time `json:"verified_at" berth:"readonly"`
	VerifiedBy          string     `json:"verified_by" berth:"filter,readonly,enum=|boot|bmc|scan|person"`
	Device              UID        `json:"device" berth:"filter,readonly,ref=device" help:"The machine whose boot verified it."`
	// Manifest is what the box should hold of parts, as far as anybody wrote it down: "memory" = "12 × 16 GiB", "disk S3Z8" = "…".
	Manifest map[string]string `json:"manifest" gorm:"serializer:json"`
	Note     string            `json:"note" berth:"long"`
}

// TrackingEvent is what a carrier, or a person, said about a parcel.
type TrackingEvent struct {
	Meta
	Shipment       UID       `json:"shipment" berth:"list,filter,ref=shipment" help:"Empty while no shipment has its tracking code."`
	Parcel         UID       `json:"parcel" berth:"filter,ref=parcel"`
	OccurredAt     time.Time `json:"occurred_at" berth:"list,filter,required"`
	Status         string    `json:"status" berth:"list,filter,enum=unknown|pre_transit|in_transit|out_for_delivery|available_for_pickup|delivered|return_to_sender|failure|cancelled|error|silent"`
	StatusDetail   string    `json:"status_detail" berth:"list"`
	Reason         string    `json:"reason" help:"carrier_*, consignee_*, customs_*, weather_* or other."`
	Description    string    `json:"description" berth:"list,search"`
	CarrierCode    string    `json:"carrier_code" help:"The carrier's own code for it."`
	TrackingCode   string    `json:"tracking_code" berth:"filter"`
	City           string    `json:"city" berth:"list"`
	Country        string    `json:"country"`
	Source         string    `json:"source" berth:"list,filter,enum=manual|paste|email|carrier_webhook|carrier_poll"`
	TrackingSource UID       `json:"tracking_source" berth:"filter,ref=tracking-source"`
	// Key tells repeats: the tracking code, the time and the carrier's code of the event.
	Key string `json:"key" berth:"filter,readonly"`
	// Raw is what was received, as it came; of a message that tells several events it stands with the first that was new.
	Raw string `json:"raw" berth:"readonly,long"`
}

// TrackingSource is who tells us about parcels: a tracker's webhook with its secret, or an address to ask.
type TrackingSource struct {
	Meta
	Name         string     `json:"name" berth:"list,filter,search,required"`
	Kind         string     `json:"kind" berth:"list,filter,required,enum=easypost|aftership|shippo|poll"`
	Secret       Secret     `json:"secret" help:"What the sender signs with, or the key to ask with."`
	URL          string     `json:"url" help:"To poll: {tracking_code} stands for the code."`
	Header       string     `json:"header" help:"To poll: the header that carries the secret, such as DHL-API-Key. Left empty it is sent as Authorization: Bearer."`
	EveryMinutes int        `json:"every_minutes" berth:"unit=min" help:"60 when left empty."`
	Enabled      bool       `json:"enabled" berth:"list,filter"`
	SeenAt       *time.Time `json:"seen_at" berth:"list,volatile"`
	Problem      string     `json:"problem" berth:"list,volatile"`
}

// InsurancePolicy covers transport or property.
type InsurancePolicy struct {
	Meta
	PolicyNo         string `json:"policy_no" berth:"list,filter,search,required"`
	Insurer          UID    `json:"insurer" berth:"list,filter,required,ref=organization"`
	Covers           string `json:"covers" berth:"list,filter,enum=transport|property|both"`
	StartsOn         Date   `json:"starts_on" berth:"list"`
	EndsOn           Date   `json:"ends_on" berth:"list,filter"`
	Currency         string `json:"currency" berth:"required"`
	LimitAmount      int64  `json:"limit_amount" berth:"money=currency" help:"Most that is paid for one shipment or event."`
	DeductibleAmount int64  `json:"deductible_amount" berth:"money=currency"`
	NoticeDays       int    `json:"notice_days" berth:"unit=d" help:"Days within which a loss must be reported."`
	ClaimContact     UID    `json:"claim_contact" berth:"ref=contact"`
	Terms            string `json:"terms" berth:"long"`
}

// Claim is what we ask of a carrier or an insurer.
type Claim struct {
	Meta
	Reference       string     `json:"reference" berth:"list,filter,search,required" help:"Made up if left empty."`
	Shipment        UID        `json:"shipment" berth:"list,filter,ref=shipment"`
	Parcel          UID        `json:"parcel" berth:"filter,ref=parcel"`
	Against         UID        `json:"against" berth:"list,filter,required,ref=organization"`
	Party           string     `json:"party" berth:"filter,enum=carrier|insurer|supplier|other"`
	Policy          UID        `json:"policy" berth:"filter,ref=insurance-policy"`
	Kind            string     `json:"kind" berth:"list,filter,required,enum=loss|damage|delay|theft|shortage"`
	Status          string     `json:"status" berth:"list,filter,enum=draft|filed|acknowledged|unresponsive|approved|partly_approved|rejected|paid|withdrawn|closed"`
	TheirReference  string     `json:"their_reference" berth:"search"`
	Currency        string     `json:"currency" berth:"required"`
	RequestedAmount int64      `json:"requested_amount" berth:"list,money=currency"`
	ApprovedAmount  int64      `json:"approved_amount" berth:"money=currency"`
	PaidAmount      int64      `json:"paid_amount" berth:"money=currency"`
	SalvageAmount   int64      `json:"salvage_amount" berth:"money=currency"`
	FiledOn         Date       `json:"filed_on" berth:"list,filter"`
	LastContactAt   *time.Time `json:"last_contact_at" berth:"list,filter,readonly"` // the last word from them
	LastChaseAt     *time.Time `json:"last_chase_at" berth:"readonly"`               // the last word to them
	NextChaseOn     Date       `json:"next_chase_on" berth:"list,filter"`
	Contact         UID        `json:"contact" berth:"ref=contact"`
	Summary         string     `json:"summary" berth:"long"`
}

// ClaimEntry is one word to or from the other side. It is never changed; a correcting entry is written.
type ClaimEntry struct {
	Meta
	Claim     UID       `json:"claim" berth:"list,filter,required,ref=claim"`
	At        time.Time `json:"at" berth:"list,filter,required"`
	Direction string    `json:"direction" berth:"list,filter,enum=out|in|note"`
	Channel   string    `json:"channel" berth:"list,enum=email|phone|letter|web|other"`
	Contact   UID       `json:"contact" berth:"list,ref=contact"`
	Text      string    `json:"text" berth:"list,long,required"`
	Document  UID       `json:"document" berth:"ref=document"`
	By        string    `json:"by" berth:"list,readonly"`
	Corrects  UID       `json:"corrects" berth:"filter,ref=claim-entry"`
}

// Deadline is a day by which something must be done. The rules file makes those of shipments; people make others.
type Deadline struct {
	Meta
	Title       string `json:"title" berth:"list,search,required"`
	DueOn       Date   `json:"due_on" berth:"list,filter,required"`
	State       string `json:"state" berth:"list,filter,enum=open|done|missed|waived"`
	Kind        string `json:"kind" berth:"list,filter,enum=|notice|claim|suit|lost|earliest|other" help:"What must be done by then. lost: from that day it counts as lost. earliest: from that day one may claim."`
	Rule        string `json:"rule" berth:"filter" help:"The rule it was computed by; empty for one made by hand."`
	StartsOn    Date   `json:"starts_on" help:"The day the rule counts from."`
	Source      string `json:"source" help:"Where the rule stands."`
	Assumes     string `json:"assumes" berth:"long" help:"What was taken for granted for want of a date."`
	Cap         string `json:"cap" help:"What is paid at most, in words."`
	Unsure      bool   `json:"unsure" berth:"filter" help:"The rule was not held against a source yet."`
	Shipment    UID    `json:"shipment" berth:"list,filter,ref=shipment"`
	Claim       UID    `json:"claim" berth:"filter,ref=claim"`
	Acquisition UID    `json:"acquisition" berth:"filter,ref=acquisition"`
	Asset       UID    `json:"asset" berth:"filter,ref=asset"`
	Site        UID    `json:"site" berth:"filter,ref=site"`
	Policy      UID    `json:"policy" berth:"filter,ref=insurance-policy"`
	Declaration UID    `json:"declaration" berth:"filter,ref=customs-declaration"`
	DoneOn      Date   `json:"done_on"`
	Note        string `json:"note" berth:"long"`
}

// CustomsDeclaration is what was said to customs about a shipment.
type CustomsDeclaration struct {
	Meta
	Reference    string `json:"reference" berth:"list,filter,search,required" help:"The MRN, or a name of ours."`
	Shipment     UID    `json:"shipment" berth:"list,filter,required,ref=shipment"`
	Kind         string `json:"kind" berth:"list,filter,required,enum=export|import|transit|ata_carnet"`
	DeclaredOn   Date   `json:"declared_on" berth:"list,filter"`
	Country      string `json:"country" berth:"list"`
	Office       string `json:"office"`
	Broker       UID    `json:"broker" berth:"ref=organization"`
	ContentsType string `json:"contents_type" berth:"enum=merchandise|documents|gift|sample|return_merchandise|other"`
	// ReturnedGoods claims relief for goods that come back within three years in the same state; Export is the proof that they left.
	ReturnedGoods bool   `json:"returned_goods" berth:"filter"`
	Export        UID    `json:"export" berth:"ref=customs-declaration"`
	Currency      string `json:"currency"`
	DutyAmount    int64  `json:"duty_amount" berth:"money=currency"`
	VATAmount     int64  `json:"vat_amount" gorm:"column:vat_amount" berth:"money=currency,title=VAT"`
	Statement     string `json:"statement" berth:"long"`
	Document      UID    `json:"document" berth:"ref=document"`
}

// CustodyEvent says who answered for a thing from an instant on. It is never changed; each holds the hash of the one before, so that none
// can be taken out or put in later unseen.
type CustodyEvent struct {
	Meta
	Sequence         int64     `json:"sequence" berth:"list,filter,readonly"`
	At               time.Time `json:"at" berth:"list,filter,required"`
	Asset            UID       `json:"asset" berth:"list,filter,ref=asset"`
	Parcel           UID       `json:"parcel" berth:"list,filter,ref=parcel"`
	Shipment         UID       `json:"shipment" berth:"filter,ref=shipment"`
	Kind             string    `json:"kind" berth:"list,filter,enum=packed|handed_over|in_transit|delivered|received|placed|moved|lent|returned|lost|found|disposed|corrected"`
	FromOrganization UID       `json:"from_organization" berth:"filter,ref=organization"`
	ToOrganization   UID       `json:"to_organization" berth:"list,filter,ref=organization"`
	Contact          UID       `json:"contact" berth:"ref=contact" help:"Who signed or took it. Hashed as a reference only."`
	Site             UID       `json:"site" berth:"list,filter,ref=site"`
	Place            string    `json:"place" berth:"list"`
	Document         UID       `json:"document" berth:"ref=document"`
	Note             string    `json:"note" berth:"long"`
	By               string    `json:"by" berth:"list,readonly"`
	Corrects         UID       `json:"corrects" berth:"filter,ref=custody-event"`
	PreviousHash     string    `json:"previous_hash" berth:"readonly"`
	Hash             string    `json:"hash" berth:"filter,readonly"`
}
