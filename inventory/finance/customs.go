package finance

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"berth/inventory"
	"berth/inventory/paper"
)

// ReturnedMonths is how long after their export goods may come back without duty, in the same state (returned-goods relief of the EU, Ireland and the
// United Kingdom).
const ReturnedMonths = 36

// Customs is a shipment as customs want to see it.
type Customs struct {
	Shipment *inventory.Shipment
	From, To Place
	Lines    []CustomsLine
	Parcels  []*inventory.Parcel
	// Return is the import declaration that claims relief for returned goods, Export the proof that they left; nil where there is none.
	Return, Export *inventory.CustomsDeclaration
	// Left are the serials of the export's own packing list; nil where it is not on record.
	Left map[string]bool
}

// Place is one end of a shipment.
type Place struct {
	Organization *inventory.Organization
	Site         *inventory.Site
	Address      string
}

// Country is where it is; "" is not known.
func (p Place) Country() string { return countryOf(p.Organization) }

// text is the place's name and address, line by line.
func (p Place) text() string {
	var lines []string
	switch {
	case p.Organization != nil:
		lines = append(lines, p.Organization.Name)
	case p.Site != nil:
		lines = append(lines, p.Site.Name)
	}
	switch {
	case p.Address != "":
		lines = append(lines, p.Address)
	case p.Site != nil && cmp.Or(p.Site.ShippingAddress, p.Site.PhysicalAddress) != "":
		lines = append(lines, cmp.Or(p.Site.ShippingAddress, p.Site.PhysicalAddress))
	case p.Organization != nil:
		lines = append(lines, p.Organization.Address)
	}
	if c := p.Country(); c != "" {
		lines = append(lines, c)
	}
	return strings.Join(slices.DeleteFunc(lines, func(s string) bool { return s == "" }), "\n")
}

// CustomsLine is one line of the invoice and of the packing list.
type CustomsLine struct {
	Description string
	Serial      string
	Quantity    int
	HSCode      string
	Origin      string // ISO 3166-1 alpha-2
	WeightGrams int64  // of the line, net
	Value       int64  // of the line
	Currency    string
	Parcel      string
}

// LoadCustoms gathers what the papers of a shipment need, in a fixed number of statements.
func LoadCustoms(ctx context.Context, r Lister, s *inventory.Shipment) (*Customs, error) {
	c := &Customs{Shipment: s}
	var err error
	if c.From, err = placeOf(ctx, r, s.FromOrganization, s.Origin, s.FromAddress); err != nil {
		return nil, err
	}
	if c.To, err = placeOf(ctx, r, s.ToOrganization, s.Destination, s.ToAddress); err != nil {
		return nil, err
	}
	if c.Parcels, err = all[inventory.Parcel](ctx, r, inventory.Is("shipment", s.UID)); err != nil {
		return nil, err
	}
	slices.SortFunc(c.Parcels, func(a, b *inventory.Parcel) int { return cmp.Compare(a.Label, b.Label) })
	if err := c.loadLines(ctx, r); err != nil {
		return nil, err
	}
	return c, c.loadReturn(ctx, r)
}

func placeOf(ctx context.Context, r Lister, organization, site inventory.UID, address string) (Place, error) {
	p := Place{Address: address}
	organizations, err := allOf[inventory.Organization](ctx, r, "uid", []inventory.UID{organization})
	if err != nil {
		return p, err
	}
	sites, err := allOf[inventory.Site](ctx, r, "uid", []inventory.UID{site})
	if len(organizations) > 0 {
		p.Organization = organizations[0]
	}
	if len(sites) > 0 {
		p.Site = sites[0]
	}
	return p, err
}

func (c *Customs) loadLines(ctx context.Context, r Lister) error {
	items, err := all[inventory.ShipmentItem](ctx, r, inventory.Is("shipment", c.Shipment.UID))
	if err != nil {
		return err
	}
	var uids, models []inventory.UID
	for _, item := range items {
		uids = append(uids, item.Asset)
	}
	list, err := allOf[inventory.Asset](ctx, r, "uid", uids)
	if err != nil {
		return err
	}
	assets := map[inventory.UID]*inventory.Asset{}
	for _, a := range list {
		assets[a.UID], models = a, append(models, a.DeviceType)
	}
	types, err := allOf[inventory.DeviceType](ctx, r, "uid", models)
	if err != nil {
		return err
	}
	of := map[inventory.UID]*inventory.DeviceType{}
	for _, t := range types {
		of[t.UID] = t
	}
	labels := map[inventory.UID]string{}
	for _, p := range c.Parcels {
		labels[p.UID] = p.Label
	}
	for _, item := range items {
		if item.State == "not_expected" {
			continue // it came without being sent by us
		}
		asset := assets[item.Asset]
		if asset == nil {
			asset = &inventory.Asset{}
		}
		model := of[asset.DeviceType]
		if model == nil {
			model = &inventory.DeviceType{}
		}
		c.Lines = append(c.Lines, customsLine(item, asset, model, labels[item.Parcel], c.Shipment.Currency))
	}
	slices.SortStableFunc(c.Lines, func(a, b CustomsLine) int {
		return cmp.Or(cmp.Compare(a.Parcel, b.Parcel), cmp.Compare(a.Description, b.Description), cmp.Compare(a.Serial, b.Serial))
	})
	return nil
}

// customsLine takes each fact from where it stands nearest: the line itself, the thing, its model.
func customsLine(item *inventory.ShipmentItem, a *inventory.Asset, t *inventory.DeviceType, parcel, currency string) CustomsLine {
	quantity := max(item.Quantity, 1)
	return CustomsLine{
		Description: cmp.Or(item.Description, t.Model, a.Name, a.Kind), Serial: cmp.Or(item.Serial, a.Serial), Quantity: quantity,
		HSCode: cmp.Or(item.HSCode, t.HSCode), Origin: cmp.Or(item.CountryOfOrigin, t.CountryOfOrigin),
		WeightGrams: cmp.Or(item.WeightGrams, a.WeightGrams, t.WeightGrams*int64(quantity)),
		Value:       item.DeclaredValueAmount, Currency: cmp.Or(item.Currency, currency, a.Currency), Parcel: parcel,
	}
}

// loadReturn finds whether the shipment claims relief for returned goods, and the proof that they left.
func (c *Customs) loadReturn(ctx context.Context, r Lister) error {
	own, err := all[inventory.CustomsDeclaration](ctx, r, inventory.Is("shipment", c.Shipment.UID))
	if err != nil {
		return err
	}
	i := slices.IndexFunc(own, func(d *inventory.CustomsDeclaration) bool { return d.ReturnedGoods })
	if i < 0 {
		return nil
	}
	c.Return = own[i]
	exports, err := allOf[inventory.CustomsDeclaration](ctx, r, "uid", []inventory.UID{c.Return.Export})
	if err != nil || len(exports) == 0 {
		return err
	}
	c.Export = exports[0]
	items, err := all[inventory.ShipmentItem](ctx, r, inventory.Is("shipment", c.Export.Shipment))
	c.Left = map[string]bool{}
	for _, item := range items {
		if item.Serial != "" {
			c.Left[strings.ToUpper(item.Serial)] = true
		}
	}
	return err
}

// LastReturn is the last day on which what was exported may come back without duty; "" where the export is not known.
func (c *Customs) LastReturn() inventory.Date {
	if c.Export == nil {
		return ""
	}
	return c.Export.DeclaredOn.AddMonths(ReturnedMonths)
}

// Missing lists what customs would ask for, in sentences; empty when nothing is.
func (c *Customs) Missing() []string {
	var list []string
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	add(len(c.Lines) == 0, "There is nothing on the packing list.")
	add(c.Shipment.Incoterm == "", "The incoterm is not agreed: who pays freight, duty and insurance.")
	for _, end := range []struct {
		name  string
		place Place
	}{{"sender", c.From}, {"receiver", c.To}} {
		add(end.place.text() == "", "The %s has no address.", end.name)
		add(end.place.Organization == nil, "No organization is named as the %s, so its EORI and tax numbers are missing.", end.name)
		if o := end.place.Organization; o != nil {
			add(o.EORI == "" && o.TaxID == "", "%s has neither an EORI number nor a tax number.", o.Name)
			add(o.Country == "", "The country of %s is not known.", o.Name)
		}
	}
	lines := map[string]int{}
	for _, l := range c.Lines {
		for what, wrong := range map[string]bool{"HS code": l.HSCode == "", "country of origin": l.Origin == "", "weight": l.WeightGrams == 0, "declared value": l.Value == 0, "currency": l.Value != 0 && l.Currency == ""} {
			if wrong {
				lines[what]++
			}
		}
	}
	for _, what := range []string{"HS code", "country of origin", "weight", "declared value", "currency"} {
		add(lines[what] > 0, "%d of %d lines have no %s.", lines[what], len(c.Lines), what)
	}
	add(c.Shipment.Lithium == "", "Nobody said whether there are lithium batteries in it: coin cells on boards, packs of RAID controllers, a UPS.")
	if c.Return != nil {
		add(c.Export == nil, "Relief for returned goods is claimed, and no export declaration is named as proof that they left.")
		add(c.LastReturn() != "" && cmp.Or(c.Return.DeclaredOn, inventory.Date("")) > c.LastReturn(), "The goods came back after %s, three years from their export.", c.LastReturn())
		for _, l := range c.Lines {
			add(c.Export != nil && l.Serial != "" && !c.Left[strings.ToUpper(l.Serial)], "%s is not on the packing list of the export.", l.Serial)
		}
	}
	return list
}

// lithium is what each answer about batteries comes to (IATA Dangerous Goods Regulations: packing instructions 965 to 970).
var lithium = map[string]string{
	"none":       "Contains no lithium batteries.",
	"coin_cells": "Contains lithium metal cells installed in equipment (coin cells on boards): UN3091, packing instruction 970, section II.",
	"installed":  "Contains lithium-ion batteries installed in equipment: UN3481, packing instruction 967.",
	"separate":   "Contains lithium batteries packed beside equipment or alone: UN3480 or UN3481, packing instructions 965 and 966. Agreed with the carrier before handing over.",
}

// totals sums the lines up by currency, in the order of the currencies.
func (c *Customs) totals() []Total {
	t := Totals{}
	for _, l := range c.Lines {
		t.Add(Value{Currency: l.Currency, Amount: l.Value})
	}
	return t.Sorted()
}

func (c *Customs) weight() (grams int64) {
	for _, l := range c.Lines {
		grams += l.WeightGrams
	}
	return grams
}

func (c *Customs) pieces() (n int) {
	for _, l := range c.Lines {
		n += l.Quantity
	}
	return n
}

// Kilograms writes grams as customs read them.
func Kilograms(grams int64) string {
	if grams == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(grams)/1000, 'f', -1, 64) + " kg"
}

func (c *Customs) begin(title string, landscape bool, on inventory.Date) *paper.Document {
	doc := paper.New(title+" "+c.Shipment.Reference, paper.Options{Size: paper.SizeFor(c.From.Country()), Landscape: landscape, Date: dated(on)})
	doc.Heading(1, title)
	doc.Fields(
		paper.Pair{Label: "Number", Value: c.Shipment.Reference}, paper.Pair{Label: "Date", Value: LongDate(on)},
		paper.Pair{Label: "Sender", Value: c.From.text()}, paper.Pair{Label: "Sender's EORI, tax id", Value: numbers(c.From.Organization)},
		paper.Pair{Label: "Receiver", Value: c.To.text()}, paper.Pair{Label: "Receiver's EORI, tax id", Value: numbers(c.To.Organization)},
		paper.Pair{Label: "Waybill", Value: c.Shipment.TrackingCode}, paper.Pair{Label: "Incoterm", Value: c.Shipment.Incoterm},
		paper.Pair{Label: "Reason", Value: strings.ReplaceAll(c.Shipment.Purpose, "_", " ")},
	)
	return doc
}

func numbers(o *inventory.Organization) string {
	if o == nil {
		return ""
	}
	return strings.Trim(o.EORI+", "+o.TaxID, ", ")
}

// Invoice is the pro-forma invoice: every line with its code, origin, weight and value.
func (c *Customs) Invoice(on inventory.Date) ([]byte, error) {
	doc := c.begin("Pro-forma invoice", true, on)
	table := doc.Table(paper.Column{Title: "No.", Width: 0.5, Align: paper.Right}, paper.Column{Title: "Description", Width: 3}, paper.Column{Title: "Serial number", Width: 2, Mono: true},
		paper.Column{Title: "HS code", Width: 1}, paper.Column{Title: "Origin", Width: 0.7}, paper.Column{Title: "Quantity", Width: 0.9, Align: paper.Right}, paper.Column{Title: "Net weight", Width: 1, Align: paper.Right}, paper.Column{Title: "Value", Width: 1.5, Align: paper.Right})
	for i, l := range c.Lines {
		table.Row(strconv.Itoa(i+1), l.Description, l.Serial, l.HSCode, l.Origin, strconv.Itoa(l.Quantity), Kilograms(l.WeightGrams), inventory.FormatMoney(l.Value, l.Currency))
	}
	for i, sum := range c.totals() {
		if i == 0 {
			table.Total("", "Total", "", "", "", strconv.Itoa(c.pieces()), Kilograms(c.weight()), inventory.FormatMoney(sum.Amount, sum.Currency))
			continue
		}
		table.Total("", "", "", "", "", "", "", inventory.FormatMoney(sum.Amount, sum.Currency))
	}
	table.End()
	doc.Fields(paper.Pair{Label: "Parcels", Value: strconv.Itoa(max(len(c.Parcels), 1))}, paper.Pair{Label: "Gross weight", Value: Kilograms(c.gross())}, paper.Pair{Label: "Batteries", Value: lithium[c.Shipment.Lithium]})
	doc.Paragraph("Values are stated for customs only. We declare that what stands on this invoice is true and correct.")
	doc.Space(14)
	doc.Small("Place, date, name, signature: ____________________________________________")
	return doc.Bytes()
}

// gross is what the shipment weighs with its boxes.
func (c *Customs) gross() int64 {
	sum := int64(0)
	for _, p := range c.Parcels {
		sum += p.WeightGrams
	}
	return cmp.Or(c.Shipment.GrossWeightGrams, sum)
}

// PackingList says what lies in which parcel. It holds no amounts.
func (c *Customs) PackingList(on inventory.Date) ([]byte, error) {
	doc := c.begin("Packing list", false, on)
	if len(c.Parcels) > 0 {
		doc.Heading(2, "Parcels")
		table := doc.Table(paper.Column{Title: "Parcel", Width: 1.2}, paper.Column{Title: "Size", Width: 1.6}, paper.Column{Title: "Gross weight", Width: 1, Align: paper.Right}, paper.Column{Title: "Seal", Width: 1}, paper.Column{Title: "Tracking code", Width: 1.6, Mono: true})
		for _, p := range c.Parcels {
			size := ""
			if p.LengthMM > 0 && p.WidthMM > 0 && p.HeightMM > 0 {
				size = fmt.Sprintf("%d × %d × %d mm", p.LengthMM, p.WidthMM, p.HeightMM)
			}
			table.Row(p.Label, size, Kilograms(p.WeightGrams), p.SealNo, p.TrackingCode)
		}
		table.Total("", parcels(len(c.Parcels)), Kilograms(c.gross()))
		table.End()
	}
	doc.Heading(2, "Contents")
	table := doc.Table(paper.Column{Title: "No.", Width: 0.5, Align: paper.Right}, paper.Column{Title: "Parcel", Width: 1}, paper.Column{Title: "Description", Width: 3}, paper.Column{Title: "Serial number", Width: 2, Mono: true},
		paper.Column{Title: "HS code", Width: 1}, paper.Column{Title: "Origin", Width: 0.7}, paper.Column{Title: "Quantity", Width: 1, Align: paper.Right}, paper.Column{Title: "Net weight", Width: 1.1, Align: paper.Right})
	for i, l := range c.Lines {
		table.Row(strconv.Itoa(i+1), l.Parcel, l.Description, l.Serial, l.HSCode, l.Origin, strconv.Itoa(l.Quantity), Kilograms(l.WeightGrams))
	}
	if len(c.Lines) > 0 {
		table.Total("", "", "Total", "", "", "", strconv.Itoa(c.pieces()), Kilograms(c.weight()))
	}
	table.End()
	doc.Heading(3, "Before the boxes are closed")
	doc.Fields(paper.Pair{Label: "Batteries", Value: cmp.Or(lithium[c.Shipment.Lithium], "Not answered: are there lithium batteries in it (coin cells on boards, packs of RAID controllers, a UPS)?")},
		paper.Pair{Label: "Photo and seal", Value: "Each box photographed open and closed, weighed, and its seal number written down."})
	return doc.Bytes()
}

// ReturnedGoods is the statement with which goods come back without duty. Errors: *inventory.Conflict where the shipment does not claim that, or the export is not named.
func (c *Customs) ReturnedGoods(on inventory.Date) ([]byte, error) {
	if c.Return == nil || c.Export == nil {
		return nil, &inventory.Conflict{Noun: "shipment", UID: c.Shipment.UID, Why: "it has no customs declaration that claims relief for returned goods and names the export they left by"}
	}
	doc := c.begin("Statement on returned goods", false, on)
	doc.Heading(2, "Their export")
	doc.Fields(paper.Pair{Label: "Export declaration", Value: c.Export.Reference}, paper.Pair{Label: "Declared on", Value: LongDate(c.Export.DeclaredOn)}, paper.Pair{Label: "Country, office", Value: strings.Trim(c.Export.Country+", "+c.Export.Office, ", ")},
		paper.Pair{Label: "May return until", Value: LongDate(c.LastReturn())}, paper.Pair{Label: "Import declaration", Value: c.Return.Reference})
	doc.Paragraph("The goods below left under the export declaration named above and return within three years of it. They return in the state in which they left: nothing was done to them but what keeps them in working order. We ask for relief from import duty as returned goods.")
	if c.Return.Statement != "" {
		doc.Paragraph(c.Return.Statement)
	}
	table := doc.Table(paper.Column{Title: "No.", Width: 0.5, Align: paper.Right}, paper.Column{Title: "Description", Width: 3}, paper.Column{Title: "Serial number", Width: 2, Mono: true}, paper.Column{Title: "HS code", Width: 1}, paper.Column{Title: "Origin", Width: 0.7}, paper.Column{Title: "On the export's list", Width: 1.4})
	for i, l := range c.Lines {
		proof := "no"
		switch {
		case l.Serial == "":
			proof = "no serial number"
		case c.Left[strings.ToUpper(l.Serial)]:
			proof = "yes"
		}
		table.Row(strconv.Itoa(i+1), l.Description, l.Serial, l.HSCode, l.Origin, proof)
	}
	table.End()
	doc.Space(14)
	doc.Small("Place, date, name, signature: ____________________________________________")
	return doc.Bytes()
}

// Weight is that of the line, for people.
func (l CustomsLine) Weight() string { return Kilograms(l.WeightGrams) }

func parcels(n int) string {
	if n == 1 {
		return "1 parcel"
	}
	return strconv.Itoa(n) + " parcels"
}
