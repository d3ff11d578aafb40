package inventory

import "time"

// Acquisition is how things came to us: one purchase, donation, loan, lease or transfer. The assets that came by it refer to it.
type Acquisition struct {
	Meta
	Reference    string `json:"reference" berth:"list,filter,search,required" help:"Made up if left empty."`
	Kind         string `json:"kind" berth:"list,filter,required,enum=purchase|donation|loan|lease|transfer"`
	Status       string `json:"status" berth:"list,filter,enum=offered|accepted|ordered|received|closed|declined|cancelled"`
	Organization UID    `json:"organization" berth:"list,filter,ref=organization" help:"The donor, supplier, lender or lessor."`
	Contact      UID    `json:"contact" berth:"filter,ref=contact"`
	Title        string `json:"title" berth:"list,search" help:"Eight servers of the old render farm."`
	// Description is what an acknowledgement says was given: it describes and never values.
	Description string `json:"description" berth:"long"`
	// Story is where the things come from, in the donor's words; it stays with each machine.
	Story       string `json:"story" berth:"long"`
	OfferedOn   Date   `json:"offered_on" berth:"filter"`
	OrderedOn   Date   `json:"ordered_on"`
	ReceivedOn  Date   `json:"received_on" berth:"list,filter"`
	OrderNo     string `json:"order_no" berth:"filter,search"`
	InvoiceNo   string `json:"invoice_no" berth:"filter,search"`
	Currency    string `json:"currency" help:"ISO 4217, for example EUR; of every amount on this page."`
	TotalAmount int64  `json:"total_amount" berth:"money=currency" help:"What it cost in all, before freight and duty."`
	// What a donor says or an appraiser found is kept, and never printed on an acknowledgement.
	DonorStatedValueAmount int64      `json:"donor_stated_value_amount" berth:"money=currency"`
	AppraisedValueAmount   int64      `json:"appraised_value_amount" berth:"money=currency"`
	GoodsOrServicesGiven   string     `json:"goods_or_services_given" berth:"long" help:"What the donor got in return; empty says: nothing."`
	AcknowledgedAt         *time.Time `json:"acknowledged_at" berth:"filter" help:"When the acknowledgement was sent."`
	Restriction            string     `json:"restriction" berth:"long" help:"What the donor asked for: not to be resold, to be used for, to be named."`
	HoldUntil              Date       `json:"hold_until" berth:"filter" help:"Disposing of it before this day has consequences for donor or us; three years after receipt for a donation."`
	// Of a loan or a lease.
	StartsOn      Date   `json:"starts_on"`
	EndsOn        Date   `json:"ends_on" berth:"filter"`
	MonthlyAmount int64  `json:"monthly_amount" berth:"money=currency"`
	Terms         string `json:"terms" berth:"long"`
	Notes         string `json:"notes" berth:"long"`
}

// CostLine is what it cost to get things here beside their price: freight, duty, tax, insurance, hands. It is shared out over the items
// of its shipment, or over the assets of its acquisition; of a shipment with several orders in it a line that names both is shared out over the
// items of that order.
type CostLine struct {
	Meta
	Shipment    UID    `json:"shipment" berth:"list,filter,ref=shipment"`
	Acquisition UID    `json:"acquisition" berth:"list,filter,ref=acquisition"`
	Kind        string `json:"kind" berth:"list,filter,required,enum=freight|duty|vat|insurance|handling|storage|other"`
	Description string `json:"description" berth:"list,search"`
	Amount      int64  `json:"amount" berth:"list,required,money=currency"`
	Currency    string `json:"currency" berth:"required"`
	ShareBy     string `json:"share_by" berth:"list,enum=value|weight|count"`
	OnDate      Date   `json:"on_date" berth:"filter"`
	InvoiceNo   string `json:"invoice_no" berth:"search"`
	// Recoverable cost, such as VAT that is paid back, adds nothing to what a thing is worth.
	Recoverable bool `json:"recoverable"`
	// A cost in another currency than the things is shared out once somebody says what it was in theirs; no rate is ever guessed.
	ConvertedAmount   *int64 `json:"converted_amount" berth:"money=converted_currency" help:"What it was in the currency of the things, where that is another."`
	ConvertedCurrency string `json:"converted_currency"`
}

// Book is a way of counting what things are worth: tax and management may differ.
type Book struct {
	Meta
	Name            string  `json:"name" berth:"list,filter,search,required"`
	Slug            string  `json:"slug" berth:"list,filter,search,required"`
	Method          string  `json:"method" berth:"list,filter,enum=straight_line|declining_balance|none"`
	LifeMonths      int     `json:"life_months" berth:"list,unit=months" help:"36 when left empty."`
	RatePercent     float64 `json:"rate_percent" berth:"unit=%" help:"Of the declining balance, per year."`
	SalvagePercent  float64 `json:"salvage_percent" berth:"unit=%" help:"Of the basis; below it nothing is depreciated."`
	DonatedAt       string  `json:"donated_at" berth:"enum=fair_value|nil" help:"What a donated thing counts as when it arrives."`
	FiscalYearStart int     `json:"fiscal_year_start" help:"The month in which a fiscal year begins, 1 to 12."`
	Currency        string  `json:"currency" berth:"list,required"`
	Description     string  `json:"description" berth:"long"`
}

// BookEntry is what one book holds of one asset where it differs from the book's own rules, and the value frozen by a loss or sale.
type BookEntry struct {
	Meta
	Book          UID    `json:"book" berth:"list,filter,required,ref=book"`
	Asset         UID    `json:"asset" berth:"list,filter,required,ref=asset"`
	BasisAmount   *int64 `json:"basis_amount" berth:"list,money=currency" help:"Empty takes the asset's landed cost, or fair value if it was donated."`
	SalvageAmount *int64 `json:"salvage_amount" berth:"money=currency"`
	Currency      string `json:"currency"`
	LifeMonths    int    `json:"life_months" berth:"unit=months"`
	StartsOn      Date   `json:"starts_on" help:"Empty takes the day it was acquired."`
	FrozenOn      Date   `json:"frozen_on" berth:"filter,readonly"`
	FrozenAmount  *int64 `json:"frozen_amount" berth:"readonly,money=currency"`
	Note          string `json:"note" berth:"long"`
}

// Disposition is one ending of one or many assets: sold, given away, lost with a parcel, left in a dead data centre. It can be reversed
// when the box turns up.
type Disposition struct {
	Meta
	Reference   string     `json:"reference" berth:"list,filter,search,required" help:"Made up if left empty."`
	Kind        string     `json:"kind" berth:"list,filter,required,enum=sold|donated|recycled|returned|traded_in|scrapped|lost|stolen|destroyed|abandoned"`
	State       string     `json:"state" berth:"list,filter,readonly,enum=draft|done|reversed"`
	OnDate      Date       `json:"on_date" berth:"list,filter,required" help:"The day whose book value counts."`
	Reason      string     `json:"reason" berth:"list,long,required"`
	Shipment    UID        `json:"shipment" berth:"filter,ref=shipment"`
	Recipient   UID        `json:"recipient" berth:"filter,ref=organization"`
	DoneBy      string     `json:"done_by" berth:"readonly"`
	ReversedAt  *time.Time `json:"reversed_at" berth:"readonly"`
	ReversedBy  string     `json:"reversed_by" berth:"readonly"`
	ReversedWhy string     `json:"reversed_why" berth:"readonly"`
}

// DispositionItem is one asset in a disposition: what it was worth, and where it stood, for the schedule and for the way back.
type DispositionItem struct {
	Meta
	Disposition    UID    `json:"disposition" berth:"list,filter,required,ref=disposition"`
	Asset          UID    `json:"asset" berth:"list,filter,required,ref=asset"`
	Serial         string `json:"serial" berth:"list,search"`
	Book           UID    `json:"book" berth:"ref=book"`
	BasisAmount    int64  `json:"basis_amount" berth:"list,money=currency"`
	BookAmount     int64  `json:"book_amount" berth:"list,money=currency" help:"Frozen at the date of the disposition."`
	InsuredAmount  int64  `json:"insured_amount" berth:"money=currency"`
	ProceedsAmount int64  `json:"proceeds_amount" berth:"money=currency" help:"Sale price or salvage."`
	Currency       string `json:"currency"`
	// Before is what the disposition changed, for its reversal: custody, device, rack, position, addresses.
	Before map[string]string `json:"before" gorm:"serializer:json" berth:"readonly"`
}
