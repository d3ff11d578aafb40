package logistics

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"berth/inventory"
)

// Cap is what a carrier owes at most for a loss, by the law of a mode of transport.
type Cap struct {
	Regime string `json:"regime"`
	Mode   string `json:"mode"`
	// In thousandths of an SDR. Where there is one for the parcel too, the higher of the two sums counts.
	MilliPerKG     int64          `json:"sdr_milli_per_kg"`
	MilliPerParcel int64          `json:"sdr_milli_per_parcel,omitempty"`
	Since          inventory.Date `json:"since,omitempty"`
	Source         string         `json:"source"`
	CheckedOn      inventory.Date `json:"checked_on"`
}

// Rate is what an SDR was worth in a currency on a day.
type Rate struct {
	Currency    string         `json:"currency"`
	MinorPerSDR int64          `json:"minor_per_sdr"`
	CheckedOn   inventory.Date `json:"checked_on"`
	Source      string         `json:"source"`
}

// Terms are the figures by which a cover gap is computed.
type Terms struct {
	Caps  []Cap  `json:"caps"`
	Rates []Rate `json:"rates"`
}

//go:embed terms.json
var termsFile []byte

// standardTerms are those that come with berth. The file is part of the program: a broken one is a panic, which the first test meets.
var standardTerms = func() Terms {
	var t Terms
	if err := json.Unmarshal(termsFile, &t); err != nil {
		panic("logistics: terms.json: " + err.Error())
	}
	return t
}()

// StandardTerms are the figures that come with berth, each with its source and the day on which it was read there.
func StandardTerms() Terms { return standardTerms }

// Cover is what a loss of the whole shipment would cost, and who would pay for it. Amounts are in minor units of Currency.
type Cover struct {
	Currency string `json:"currency"`
	Value    int64  `json:"value"`   // of everything on the list
	Carrier  int64  `json:"carrier"` // by law, at most
	Insured  int64  `json:"insured"` // by the policy, less what we bear ourselves
	Gap      int64  `json:"gap"`     // what nobody would pay
	// Grams is what the boxes weigh, or the shipment as a whole; Parcels how many boxes there are.
	Grams   int64 `json:"grams"`
	Parcels int   `json:"parcels"`
	// Cap and Rate are what the carrier's part rests on; nil when there is none on record.
	Cap  *Cap  `json:"cap,omitempty"`
	Rate *Rate `json:"rate,omitempty"`
	// Unvalued are lines of which nobody said what they are worth.
	Unvalued []string `json:"unvalued,omitempty"`
	// Notes say what was taken for granted, or left out.
	Notes []string `json:"notes,omitempty"`
}

// Arithmetic shows how the carrier's part was computed: "20 kg × 26 SDR/kg × 1.26 EUR/SDR = 655.20 EUR".
func (c Cover) Arithmetic() string {
	if c.Cap == nil || c.Rate == nil || c.Grams == 0 && c.Cap.MilliPerParcel == 0 {
		return ""
	}
	limit := fmt.Sprintf("%s kg × %s SDR/kg", decimals(c.Grams, 3), decimals(c.Cap.MilliPerKG, 3))
	if c.perParcel() {
		limit = fmt.Sprintf("%d × %s SDR per parcel", c.Parcels, decimals(c.Cap.MilliPerParcel, 3))
	}
	return fmt.Sprintf("%s × %s %s/SDR = %s", limit, decimals(c.Rate.MinorPerSDR, inventory.MinorDigits(c.Currency)), c.Currency, money(c.limit(), c.Currency))
}

// perParcel tells whether the sum by the parcel is the higher one.
func (c Cover) perParcel() bool {
	return c.Cap.MilliPerParcel*int64(c.Parcels)*1000 > c.Grams*c.Cap.MilliPerKG
}

// limit is what the carrier owes at most, whatever the goods are worth. At most 50 t in 5000 boxes fits in 64 bits with room to spare.
func (c Cover) limit() int64 {
	if c.Cap == nil || c.Rate == nil {
		return 0
	}
	milli := c.Grams * c.Cap.MilliPerKG / 1000
	if c.perParcel() {
		milli = c.Cap.MilliPerParcel * int64(c.Parcels)
	}
	return milli * c.Rate.MinorPerSDR / 1000
}

// decimals writes n with its last places behind a point, and no zeros at the end: decimals(8330, 3) is 8.33.
func decimals(n int64, places int) string {
	text := fmt.Sprintf("%0*d", places+1, n)
	return strings.TrimRight(strings.TrimRight(text[:len(text)-places]+"."+text[len(text)-places:], "0"), ".")
}

// CoverOf computes what a loss of the shipment would cost and who would pay, by the standard terms.
func CoverOf(r Reader, l *Load) (Cover, error) { return CoverBy(r, l, standardTerms) }

// CoverBy is CoverOf by other terms.
func CoverBy(r Reader, l *Load, terms Terms) (Cover, error) {
	grams, unweighed := l.grams()
	c := Cover{Currency: l.currency(), Parcels: max(1, len(l.Parcels)), Grams: grams}
	if unweighed > 0 && grams > 0 {
		c.Notes = append(c.Notes, fmt.Sprintf("%d of %d boxes are not weighed, and count as nothing.", unweighed, len(l.Parcels)))
	}
	l.value(&c)
	c.law(l.Shipment.Mode, terms)
	if c.Value > 0 {
		c.Carrier = min(c.limit(), c.Value)
	}
	if err := c.insurance(r, l.Shipment); err != nil {
		return c, err
	}
	c.Gap = max(0, c.Value-c.Carrier-c.Insured)
	if l.Shipment.DeclaredValueAmount > 0 && c.Gap > 0 {
		c.Notes = append(c.Notes, "A value on the waybill raises what the carrier owes only where a surcharge was paid for it; enter it as insured if it was.")
	}
	return c, nil
}

// currency is the one of the shipment, else the first that a line names.
func (l *Load) currency() string {
	if l.Shipment.Currency != "" {
		return l.Shipment.Currency
	}
	for _, i := range l.Items {
		if i.Currency != "" {
			return i.Currency
		}
	}
	return "EUR"
}

// grams is what the boxes weigh. Where one is not weighed, the weight of the whole counts that stands on the waybill, if it does.
func (l *Load) grams() (sum int64, unweighed int) {
	for _, p := range l.Parcels {
		sum += p.WeightGrams
		if p.WeightGrams == 0 {
			unweighed++
		}
	}
	if unweighed > 0 && l.Shipment.GrossWeightGrams > 0 || len(l.Parcels) == 0 {
		return l.Shipment.GrossWeightGrams, 0
	}
	return sum, unweighed
}

// value adds up what the lines are worth.
func (l *Load) value(c *Cover) {
	for _, i := range l.Items {
		switch {
		case inventory.ItemState(i.State) == inventory.ItemNotExpected:
		case i.DeclaredValueAmount == 0:
			c.Unvalued = append(c.Unvalued, i.Name())
		case i.Currency != "" && i.Currency != c.Currency:
			c.Unvalued = append(c.Unvalued, i.Name())
			c.Notes = append(c.Notes, fmt.Sprintf("%s is valued in %s, not in %s, and not counted.", i.Name(), i.Currency, c.Currency))
		default:
			c.Value += i.DeclaredValueAmount
		}
	}
}

// law finds the cap of a mode and the rate of the currency.
func (c *Cover) law(mode string, terms Terms) {
	for n, limit := range terms.Caps {
		if limit.Mode == mode {
			c.Cap = &terms.Caps[n]
			break
		}
	}
	for n, rate := range terms.Rates {
		if rate.Currency == c.Currency {
			c.Rate = &terms.Rates[n]
		}
	}
	switch {
	case mode == "":
		c.Notes = append(c.Notes, "The mode of transport is not known; the carrier's part is counted as nothing.")
	case c.Cap == nil:
		c.Notes = append(c.Notes, "What a carrier owes by "+mode+" is not on record; it is counted as nothing.")
	case c.Rate == nil:
		c.Notes = append(c.Notes, "What an SDR is worth in "+c.Currency+" is not on record; the carrier's part is counted as nothing.")
	case c.Grams == 0:
		c.Notes = append(c.Notes, "The weight is not known.")
	}
}

// insurance is what the policy pays of the value: what was insured, or the policy's limit where the shipment names only the policy; less
// what we bear ourselves.
func (c *Cover) insurance(r Reader, s *inventory.Shipment) error {
	insured := s.InsuredAmount
	if s.Policy != "" {
		obj, err := r.Get(inventory.NounFor[inventory.InsurancePolicy](), string(s.Policy))
		if err != nil && !errors.Is(err, inventory.ErrNotFound) {
			return err
		}
		if p, ok := obj.(*inventory.InsurancePolicy); ok && err == nil {
			insured = c.policy(p, insured)
		}
	}
	c.Insured = max(0, min(insured, c.Value))
	return nil
}

func (c *Cover) policy(p *inventory.InsurancePolicy, insured int64) int64 {
	if p.Currency != c.Currency {
		c.Notes = append(c.Notes, fmt.Sprintf("Policy %s counts in %s, not in %s: its limit and deductible are left out.", p.PolicyNo, p.Currency, c.Currency))
		return insured
	}
	if insured == 0 && p.LimitAmount > 0 {
		insured = p.LimitAmount
		c.Notes = append(c.Notes, fmt.Sprintf("Nothing is entered as insured: the limit of policy %s was taken.", p.PolicyNo))
	}
	if p.LimitAmount > 0 {
		insured = min(insured, p.LimitAmount)
	}
	if p.DeductibleAmount > 0 {
		c.Notes = append(c.Notes, fmt.Sprintf("Of each loss we bear %s ourselves (policy %s).", money(p.DeductibleAmount, p.Currency), p.PolicyNo))
	}
	return min(insured, c.Value) - p.DeductibleAmount
}

func money(amount int64, currency string) string { return inventory.FormatMoney(amount, currency) }

// Lacks says what is missing for a claim to stand, and what would not be paid; with amounts only for somebody who may see them. Nothing is
// missing when it is empty.
func Lacks(l *Load, c Cover, amounts bool) []string {
	var out []string
	for _, p := range l.Parcels {
		for _, test := range []struct {
			missing bool
			what    string
		}{{p.Photo == "", "photo"}, {p.SealNo == "", "seal number"}, {p.WeightGrams == 0, "weight"}} {
			if test.missing {
				out = append(out, fmt.Sprintf("parcel %s has no %s", p.Label, test.what))
			}
		}
	}
	if len(c.Unvalued) > 0 {
		out = append(out, fmt.Sprintf("%d of %d lines have no declared value", len(c.Unvalued), len(l.Items)))
	}
	switch {
	case c.Gap > 0 && amounts:
		out = append(out, fmt.Sprintf("a loss of %s would leave %s that nobody pays", money(c.Value, c.Currency), money(c.Gap, c.Currency)))
	case c.Gap > 0:
		out = append(out, "a loss would not be paid in full")
	}
	return out
}

func sentences(list []string) string { return strings.Join(list, "; ") }
