package finance

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"berth/inventory"
	"berth/inventory/paper"
)

// Parties are who a paper is from and to, and who signs it. What is not known is left out, or left open to be written by hand.
type Parties struct {
	Us      *inventory.Organization // the organization with the role ourselves
	Them    *inventory.Organization
	Contact *inventory.Contact
	Signed  string
}

// addressOf is a name and an address, line by line.
func addressOf(o *inventory.Organization, c *inventory.Contact) string {
	var lines []string
	if o != nil {
		lines = append(lines, o.Name)
	}
	if c != nil && !c.Forgotten {
		lines = append(lines, c.Name)
	}
	switch {
	case c != nil && c.Address != "":
		lines = append(lines, c.Address)
	case o != nil:
		lines = append(lines, o.Address)
		if o.Country != "" && !strings.Contains(o.Address, o.Country) {
			lines = append(lines, o.Country)
		}
	}
	return strings.Join(lines, "\n")
}

func countryOf(o *inventory.Organization) string {
	if o == nil {
		return ""
	}
	return o.Country
}

// Acknowledgement is the letter that thanks for a donation. It describes what was given and does not value it: no amount of the record is ever handed
// to it. on is the date of the letter; types names the models of the assets.
func Acknowledgement(a *inventory.Acquisition, p Parties, assets []*inventory.Asset, types map[inventory.UID]string, on inventory.Date) ([]byte, error) {
	doc := paper.New("Acknowledgement of donation "+a.Reference, paper.Options{Size: paper.SizeFor(countryOf(p.Us)), Date: dated(on)})
	doc.Letter(paper.Message{
		From: addressOf(p.Us, nil), To: addressOf(p.Them, p.Contact), Date: LongDate(on),
		Refs:    []paper.Pair{{Label: "Our reference", Value: a.Reference}, {Label: "Tax id", Value: taxOf(p.Us)}},
		Subject: cmp.Or(subjectOf(a), "Your donation"),
		Body:    thanks(a, p, len(assets)),
		Signed:  p.Signed,
	})
	if len(assets) > 0 {
		doc.Heading(2, "What was given")
		things(doc, assets, types)
	}
	return doc.Bytes()
}

func taxOf(o *inventory.Organization) string {
	if o == nil {
		return ""
	}
	return o.TaxID
}

func subjectOf(a *inventory.Acquisition) string {
	if a.Title == "" {
		return ""
	}
	return "Your donation: " + a.Title
}

// thanks are the paragraphs of the letter.
func thanks(a *inventory.Acquisition, p Parties, count int) []string {
	received := "Thank you for your donation"
	if p.Us != nil {
		received += " to " + p.Us.Name
	}
	if a.ReceivedOn != "" {
		received += ", which we received on " + LongDate(a.ReceivedOn)
	}
	goods := "No goods or services were given in return for it."
	if a.GoodsOrServicesGiven != "" {
		goods = "In return for it you were given: " + a.GoodsOrServicesGiven
	}
	body := []string{"Dear " + salutation(p) + ",", received + ".", a.Description, goods}
	if count > 0 {
		body = append(body, "The list below names each thing that arrived.")
	}
	if a.Restriction != "" {
		body = append(body, "You asked of us, and we agreed: "+a.Restriction)
	}
	return append(body, "This letter describes what was given. It does not state what it is worth; that is for the donor to determine. Please keep it with your tax papers.")
}

func salutation(p Parties) string {
	switch {
	case p.Contact != nil && !p.Contact.Forgotten:
		return p.Contact.Name
	case p.Them != nil:
		return p.Them.Name
	}
	return "donor"
}

// things lists assets without amounts.
func things(doc *paper.Document, assets []*inventory.Asset, types map[inventory.UID]string) {
	table := doc.Table(paper.Column{Title: "No.", Width: 0.5, Align: paper.Right}, paper.Column{Title: "What", Width: 3}, paper.Column{Title: "Serial number", Width: 2, Mono: true}, paper.Column{Title: "Our tag", Width: 1.3}, paper.Column{Title: "Condition", Width: 1})
	for i, asset := range assets {
		what := cmp.Or(types[asset.DeviceType], asset.Name, asset.Kind)
		condition := strings.ReplaceAll(asset.Condition, "_", " ")
		if condition == "unknown" {
			condition = ""
		}
		table.Row(strconv.Itoa(i+1), what, asset.Serial, asset.AssetTag, condition)
	}
	table.End()
}

// reportTitle is that of a year's donations.
func reportTitle(year int, donor string) string {
	title := "Donations received"
	if year != 0 {
		title += " in " + strconv.Itoa(year)
	}
	if donor != "" {
		title += " from " + donor
	}
	return title
}

// DonationReport prints the donations of a year, by donor. Like the letters it holds no amounts.
func DonationReport(lines []DonationLine, year int, donor string, us *inventory.Organization, on inventory.Date) ([]byte, error) {
	doc := paper.New(reportTitle(year, donor), paper.Options{Size: paper.SizeFor(countryOf(us)), Landscape: true, Date: dated(on)})
	doc.Heading(1, reportTitle(year, donor))
	doc.Fields(paper.Pair{Label: "Received by", Value: strings.Split(addressOf(us, nil), "\n")[0]}, paper.Pair{Label: "As of", Value: LongDate(on)})
	table := doc.Table(paper.Column{Title: "Donor", Width: 2}, paper.Column{Title: "Reference", Width: 1}, paper.Column{Title: "Received", Width: 1}, paper.Column{Title: "What", Width: 3},
		paper.Column{Title: "Things", Width: 0.7, Align: paper.Right}, paper.Column{Title: "Acknowledged", Width: 1.1}, paper.Column{Title: "Held until", Width: 1})
	sum := 0
	for _, l := range lines {
		sum += l.Things
		table.Row(l.Donor, l.Acquisition.Reference, string(l.Acquisition.ReceivedOn), cmp.Or(l.Acquisition.Title, l.Acquisition.Description), strconv.Itoa(l.Things), acknowledged(l.Acquisition), string(l.Acquisition.HoldUntil))
	}
	if len(lines) > 0 {
		table.Total("", fmt.Sprintf("%d", len(lines)), "", "", strconv.Itoa(sum))
	}
	table.End()
	doc.Small("This report describes what was given and states no values.")
	return doc.Bytes()
}

func acknowledged(a *inventory.Acquisition) string {
	if a.AcknowledgedAt == nil {
		return "not yet"
	}
	return string(inventory.DateOf(a.AcknowledgedAt.UTC()))
}

// WriteDonations writes the donations of a year as CSV; withMoney adds the fair values of what was given, for those who may see amounts.
func WriteDonations(w io.Writer, lines []DonationLine, withMoney bool) error {
	out := csv.NewWriter(w)
	head := []string{"donor", "reference", "received_on", "title", "things", "acknowledged_on", "hold_until", "restriction"}
	if withMoney {
		head = append(head, "currency", "fair_value")
	}
	if err := out.Write(head); err != nil {
		return err
	}
	for _, l := range lines {
		a := l.Acquisition
		on := acknowledged(a)
		if a.AcknowledgedAt == nil {
			on = ""
		}
		row := []string{inventory.NeutralCell(l.Donor), inventory.NeutralCell(a.Reference), string(a.ReceivedOn), inventory.NeutralCell(a.Title), strconv.Itoa(l.Things), on, string(a.HoldUntil), inventory.NeutralCell(a.Restriction)}
		sums := l.Fair.Sorted()
		if !withMoney || len(sums) == 0 {
			if withMoney {
				row = append(row, "", "")
			}
			if err := out.Write(row); err != nil {
				return err
			}
			continue
		}
		for _, sum := range sums { // a line for each currency: they are never added up
			if err := out.Write(append(row[:8:8], sum.Currency, inventory.FormatAmount(sum.Amount, sum.Currency))); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}
