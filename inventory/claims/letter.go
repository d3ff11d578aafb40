package claims

import (
	"fmt"
	"strings"

	"berth/inventory/paper"
)

// Letter is the letter to the other side: the claim itself while nothing was sent, a reminder afterwards. It says what the record knows and
// nothing else.
func (d *Dossier) Letter() paper.Message {
	c := d.Claim
	m := paper.Message{To: d.address(), Date: d.At.UTC().Format("2 January 2006"), Subject: d.subject()}
	m.Refs = append(m.Refs, paper.Pair{Label: "Our reference", Value: c.Reference})
	if c.TheirReference != "" {
		m.Refs = append(m.Refs, paper.Pair{Label: "Your reference", Value: c.TheirReference})
	}
	if d.Against != nil && d.Against.AccountNo != "" {
		m.Refs = append(m.Refs, paper.Pair{Label: "Account", Value: d.Against.AccountNo})
	}
	if d.Policy != nil {
		m.Refs = append(m.Refs, paper.Pair{Label: "Policy", Value: d.Policy.PolicyNo})
	}
	m.Body = d.body()
	return m
}

func (d *Dossier) address() string {
	var lines []string
	if d.Against != nil {
		lines = append(lines, d.Against.Name)
	}
	if d.Contact != nil && !d.Contact.Forgotten {
		lines = append(lines, d.Contact.Name)
	}
	if d.Against != nil && d.Against.Address != "" {
		lines = append(lines, d.Against.Address)
	}
	return strings.Join(lines, "\n")
}

func (d *Dossier) subject() string {
	text := "Claim for " + words(d.Claim.Kind)
	if d.reminders() > 0 {
		text = "Reminder: claim for " + words(d.Claim.Kind)
	}
	if d.Shipment != nil && d.Shipment.TrackingCode != "" {
		return text + ", waybill " + d.Shipment.TrackingCode
	}
	if d.Shipment != nil {
		return text + ", shipment " + d.Shipment.Reference
	}
	return text
}

// reminders is how often we have written already.
func (d *Dossier) reminders() int {
	n := 0
	for _, e := range d.Chase {
		if e.Direction == "out" {
			n++
		}
	}
	return n
}

func (d *Dossier) body() []string {
	body := []string{"To whom it may concern,"}
	if n := d.reminders(); n > 0 {
		text := fmt.Sprintf("We wrote to you %s about the matter below", times(n))
		if last := d.Claim.LastChaseAt; last != nil {
			text += ", last on " + last.UTC().Format("2 January 2006")
		}
		if d.Claim.LastContactAt == nil {
			text += ", and have had no answer"
		}
		body = append(body, text+".")
	}
	body = append(body, d.facts(), d.Claim.Summary, d.demand())
	if n := len(d.Items); n > 0 {
		body = append(body, fmt.Sprintf("The %s concerned, with serial numbers, stand on the list below.", plural(n, "item", "items")))
	}
	return append(body, "Please confirm that you have received this letter, and tell us your reference and the next step.")
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// facts tells the course of the shipment in a paragraph.
func (d *Dossier) facts() string {
	s := d.Shipment
	if s == nil {
		return ""
	}
	var parts []string
	say := func(ok bool, format string, args ...any) {
		if ok {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	if s.HandedOverAt != nil {
		by := "the carrier"
		if d.Carrier != nil {
			by = d.Carrier.Name
		}
		parts = append(parts, fmt.Sprintf("The shipment was handed over to %s on %s", by, s.HandedOverAt.UTC().Format("2 January 2006")))
	}
	say(len(d.Parcels) > 0, "it consisted of %s", plural(len(d.Parcels), "parcel", "parcels"))
	say(s.GrossWeightGrams > 0, "with a gross weight of %.1f kg", float64(s.GrossWeightGrams)/1000)
	say(s.PromisedOn != "", "delivery was promised for %s", s.PromisedOn)
	if s.DeliveredAt != nil {
		parts = append(parts, "it was delivered on "+s.DeliveredAt.UTC().Format("2 January 2006"))
	} else {
		parts = append(parts, "it has not been delivered")
	}
	if n := len(d.Tracking); n > 0 && s.DeliveredAt == nil {
		last := d.Tracking[n-1]
		parts = append(parts, fmt.Sprintf("the last event in your tracking is of %s UTC (%s)", moment(last.OccurredAt), orWord(last.Description, words(last.Status))))
	}
	return firstUpper(strings.Join(parts, "; ")) + "."
}

func (d *Dossier) demand() string {
	amount := d.amount(d.Claim.RequestedAmount, d.Claim.Currency)
	switch {
	case amount != "":
		return fmt.Sprintf("We hold you liable for the %s and claim %s.", words(d.Claim.Kind), amount)
	case d.Claim.Party == "insurer":
		return fmt.Sprintf("We report the %s under the policy named above.", words(d.Claim.Kind))
	}
	return fmt.Sprintf("We hold you liable for the %s; the amount follows.", words(d.Claim.Kind))
}

// LetterText is the letter as plain text, for an e-mail.
func (d *Dossier) LetterText() string {
	m := d.Letter()
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n\n", m.To, m.Date)
	for _, ref := range m.Refs {
		fmt.Fprintf(&b, "%s: %s\n", ref.Label, ref.Value)
	}
	fmt.Fprintf(&b, "\n%s\n", m.Subject)
	for _, p := range m.Body {
		if p = strings.TrimSpace(p); p != "" {
			fmt.Fprintf(&b, "\n%s\n", p)
		}
	}
	for i, row := range d.items().rows {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "- %s\n", strings.Join(nonEmpty(row), ", "))
	}
	b.WriteString("\nKind regards\n")
	return b.String()
}

func nonEmpty(list []string) []string {
	var out []string
	for _, s := range list {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// LetterPDF is the letter on paper, with the list of things below the signature.
func (d *Dossier) LetterPDF() ([]byte, error) {
	p := paper.New(d.subject(), d.options())
	p.Letter(d.Letter())
	d.set(p, d.items())
	return p.Bytes()
}

// PDF is the dossier as one paper: the course of things, every list, and where the documents are.
func (d *Dossier) PDF() ([]byte, error) {
	c := d.Claim
	p := paper.New("Claim "+c.Reference, d.options())
	p.Heading(1, fmt.Sprintf("Claim %s for %s", c.Reference, words(c.Kind)))
	p.Fields(d.head()...)
	if c.Summary != "" {
		p.Paragraph(c.Summary)
	}
	for _, l := range d.lists() {
		d.set(p, l)
	}
	p.Small("Days are computed from rules whose sources are named; they are information and not legal advice.")
	return p.Bytes()
}

func (d *Dossier) options() paper.Options {
	opt := paper.Options{Footer: "Claim " + d.Claim.Reference, Date: d.At}
	if d.Against != nil {
		opt.Size = paper.SizeFor(d.Against.Country)
	}
	return opt
}

func (d *Dossier) head() []paper.Pair {
	c := d.Claim
	var out []paper.Pair
	say := func(name, value string) {
		if value != "" {
			out = append(out, paper.Pair{Label: name, Value: value})
		}
	}
	if d.Against != nil {
		say("Against", d.Against.Name+" ("+c.Party+")")
	}
	say("Status", words(c.Status))
	say("Their reference", c.TheirReference)
	say("Filed on", string(c.FiledOn))
	say("Claimed", d.amount(c.RequestedAmount, c.Currency))
	say("Granted", d.amount(c.ApprovedAmount, c.Currency))
	say("Paid", d.amount(c.PaidAmount, c.Currency))
	say("Salvage", d.amount(c.SalvageAmount, c.Currency))
	if s := d.Shipment; s != nil {
		say("Shipment", strings.TrimSpace(s.Reference+" "+s.Title))
		say("Waybill", s.TrackingCode)
		say("Declared value", d.amount(s.DeclaredValueAmount, s.Currency))
		say("Insured", d.amount(s.InsuredAmount, s.Currency))
	}
	if d.Policy != nil {
		say("Policy", d.Policy.PolicyNo)
	}
	say("Gathered on", moment(d.At)+" UTC")
	return out
}

// set sets one list; one without rows is said to be empty, because a missing list would be taken for a forgotten one.
func (d *Dossier) set(p *paper.Document, l list) {
	p.Heading(2, l.title)
	if len(l.rows) == 0 {
		p.Paragraph("None on record.")
		return
	}
	columns := make([]paper.Column, len(l.columns))
	for i, title := range l.columns {
		columns[i] = paper.Column{Title: title, Width: l.wide[i], Mono: title == "Hash" || title == "SHA-256" || title == "Serial"}
		if title == "Declared value" || title == "Link" {
			columns[i].Align = paper.Right
		}
	}
	t := p.Table(columns...)
	for _, row := range l.rows {
		t.Row(row...)
	}
	t.End()
}

// LetterWord is the letter as a word for the chase log.
func (d *Dossier) LetterWord(channel string) Word {
	return Word{Direction: "out", Channel: channel, Text: d.LetterText(), Contact: d.Claim.Contact, At: d.At}
}
