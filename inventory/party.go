package inventory

// Organization is whom we deal with: who gives, sells, carries, insures, lets or receives.
type Organization struct {
	Meta
	Name           string   `json:"name" berth:"list,filter,search,required"`
	Slug           string   `json:"slug" berth:"list,filter,search,required"`
	Roles          []string `json:"roles" gorm:"serializer:json" berth:"list,filter" help:"Any of donor, supplier, carrier, insurer, landlord, recipient, broker, repairer, customer, manufacturer, lender, lessor; ourselves marks our own, which signs letters. One per line."`
	CarrierCode    string   `json:"carrier_code" berth:"filter" help:"Of a carrier: what its rules and its tracking events call it, for example dhl-express."`
	Email          string   `json:"email" berth:"search"`
	Phone          string   `json:"phone"`
	Website        string   `json:"website"`
	Address        string   `json:"address" berth:"long"`
	Country        string   `json:"country" help:"ISO 3166-1 alpha-2, for example DE."`
	TaxID          string   `json:"tax_id"`
	EORI           string   `json:"eori" gorm:"column:eori" berth:"title=EORI" help:"The number by which customs in the EU and the UK know it."`
	AccountNo      string   `json:"account_no" berth:"search" help:"Our customer number there."`
	ChaseEveryDays int      `json:"chase_every_days" berth:"unit=d" help:"After how long without an answer they are asked again; 7 when left empty."`
	Notes          string   `json:"notes" berth:"long"`
}

// Contact is a person at an organization, or one of ours. Logs and hashes refer to contacts and never copy them, so that a person can be
// forgotten.
type Contact struct {
	Meta
	Name         string `json:"name" berth:"list,filter,search,required"`
	Organization UID    `json:"organization" berth:"list,filter,ref=organization"`
	Role         string `json:"role" berth:"list,search" help:"What they do there: claims desk, smart hands, owner."`
	Email        string `json:"email" berth:"list,search"`
	Phone        string `json:"phone" berth:"list"`
	Address      string `json:"address" berth:"long"`
	Notes        string `json:"notes" berth:"long"`
	Forgotten    bool   `json:"forgotten" berth:"filter,readonly" help:"Blanked by berth forget."`
}
