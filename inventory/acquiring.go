package inventory

import (
	"slices"
	"strings"
)

// The rules of how things come to us, what they cost and what they count as.

// donationHoldMonths is how long a donated thing is held before disposing of it has consequences: in the United States whoever was
// given it files Form 8282 when it goes within three years (26 U.S.C. 6050L).
const donationHoldMonths = 36

// organizationRoles are what an organization may be to us.
var organizationRoles = []string{"donor", "supplier", "carrier", "insurer", "landlord", "recipient", "broker", "repairer", "customer", "manufacturer", "lender", "lessor", "ourselves"}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (o *Organization) Check() error {
	bad := &findings{noun: "organization"}
	settleSlug(&o.Slug, o.Name, bad)
	for i, role := range o.Roles {
		o.Roles[i] = strings.ToLower(strings.TrimSpace(role))
		if !slices.Contains(organizationRoles, o.Roles[i]) {
			bad.add("roles", "%q is none of %s", abbreviate(role, 40), strings.Join(organizationRoles, ", "))
		}
	}
	checkCountry(&o.Country, "country", bad)
	if o.ChaseEveryDays < 0 || o.ChaseEveryDays > 3650 {
		bad.add("chase_every_days", "is from 1 to 3650 days")
	}
	return bad.err()
}

// checkCountry holds an ISO 3166-1 alpha-2 code against its form.
func checkCountry(code *string, field string, bad *findings) {
	*code = strings.ToUpper(strings.TrimSpace(*code))
	if *code != "" && (len(*code) != 2 || strings.Trim(*code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
		bad.add(field, "is not a country code such as DE")
	}
}

// acquisitionPrefix is what the reference of each kind begins with, where it is made up.
var acquisitionPrefix = map[string]string{"purchase": "P", "donation": "D", "loan": "LN", "lease": "LS", "transfer": "T"}

// Check fills in what is left empty and judges the rest. A purchase begins as ordered, everything else as offered; a donation is held for
// three years from its receipt unless it says otherwise. Errors: *Invalid.
func (a *Acquisition) Check() error {
	bad := &findings{noun: "acquisition"}
	settleReference(&a.Reference, acquisitionPrefix[a.Kind], a.UID)
	if a.Status == "" && a.Kind == "purchase" {
		a.Status = "ordered"
	}
	if a.Kind == "donation" && a.HoldUntil == "" {
		a.HoldUntil = a.ReceivedOn.AddMonths(donationHoldMonths)
	}
	if a.StartsOn != "" && a.EndsOn != "" && a.EndsOn < a.StartsOn {
		bad.add("ends_on", "is before it starts")
	}
	for field, amount := range map[string]int64{"total_amount": a.TotalAmount, "donor_stated_value_amount": a.DonorStatedValueAmount,
		"appraised_value_amount": a.AppraisedValueAmount, "monthly_amount": a.MonthlyAmount} {
		checkAmount(field, amount, a.Currency, bad)
	}
	return bad.err()
}

// checkAmount refuses an amount below zero, and one without a currency.
func checkAmount(field string, amount int64, currency string, bad *findings) {
	switch {
	case amount < 0:
		bad.add(field, "is below zero")
	case amount != 0 && currency == "":
		bad.add("currency", "is needed beside an amount")
	}
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (c *CostLine) Check() error {
	bad := &findings{noun: "cost-line"}
	if c.ConvertedAmount != nil && c.ConvertedCurrency == "" {
		bad.add("converted_currency", "is needed beside an amount")
	}
	if c.ConvertedAmount == nil && c.ConvertedCurrency != "" {
		bad.add("converted_amount", "say how much it was in %s", abbreviate(c.ConvertedCurrency, 10))
	}
	return bad.err()
}

// maxLifeMonths bounds a life: nothing is depreciated for longer than a century.
const maxLifeMonths = 1200

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (b *Book) Check() error {
	bad := &findings{noun: "book"}
	settleSlug(&b.Slug, b.Name, bad)
	setDefault(&b.LifeMonths, 36)
	setDefault(&b.FiscalYearStart, 1)
	if b.LifeMonths < 1 || b.LifeMonths > maxLifeMonths {
		bad.add("life_months", "is from 1 to %d months", maxLifeMonths)
	}
	if b.FiscalYearStart < 1 || b.FiscalYearStart > 12 {
		bad.add("fiscal_year_start", "is a month, from 1 to 12")
	}
	if !(b.RatePercent >= 0 && b.RatePercent <= 100) {
		bad.add("rate_percent", "is from 0 to 100 %%")
	}
	if b.Method == "declining_balance" && b.RatePercent == 0 {
		bad.add("rate_percent", "say how much of the balance is taken off each year")
	}
	if !(b.SalvagePercent >= 0 && b.SalvagePercent <= 100) {
		bad.add("salvage_percent", "is from 0 to 100 %%")
	}
	b.Currency = strings.ToUpper(b.Currency)
	if b.Currency != "" && !ValidCurrency(b.Currency) {
		bad.add("currency", "is not a currency code such as EUR")
	}
	return bad.err()
}

// Check judges what differs from the book's rules. Errors: *Invalid.
func (e *BookEntry) Check() error {
	bad := &findings{noun: "book-entry"}
	if e.LifeMonths < 0 || e.LifeMonths > maxLifeMonths {
		bad.add("life_months", "is from 1 to %d months; 0 takes the book's", maxLifeMonths)
	}
	for field, amount := range map[string]*int64{"basis_amount": e.BasisAmount, "salvage_amount": e.SalvageAmount, "frozen_amount": e.FrozenAmount} {
		if amount != nil {
			checkAmount(field, *amount, e.Currency, bad)
		}
	}
	return bad.err()
}

// CheckIn sees that a book has one entry of an asset. Errors: *Conflict.
func (e *BookEntry) CheckIn(tx Tx, before Object) error {
	if before != nil {
		if was := before.(*BookEntry); was.Book == e.Book && was.Asset == e.Asset {
			return nil
		}
	}
	others, err := TxList[BookEntry](tx, Query{Filters: []Filter{Is("asset", e.Asset), Is("book", e.Book)}, Limit: 2})
	if err != nil {
		return err
	}
	for _, other := range others {
		if other.UID != e.UID {
			return &Conflict{Noun: "book-entry", UID: other.UID, Why: "this book has an entry of this asset already"}
		}
	}
	return nil
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (d *CustomsDeclaration) Check() error {
	bad := &findings{noun: "customs-declaration"}
	settleReference(&d.Reference, "CD", d.UID)
	checkCountry(&d.Country, "country", bad)
	if d.Export != "" && d.Export == d.UID {
		bad.add("export", "is the declaration of another journey")
	}
	checkAmount("duty_amount", d.DutyAmount, d.Currency, bad)
	checkAmount("vat_amount", d.VATAmount, d.Currency, bad)
	return bad.err()
}
