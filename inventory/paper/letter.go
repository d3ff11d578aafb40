package paper

import "strings"

// Message is a letter: who writes to whom, when, about what.
type Message struct {
	From    string // name and address, line by line
	To      string // name and address, line by line
	Date    string // as it is to be read: 3 March 2026
	Refs    []Pair // our reference, their account number
	Subject string
	Body    []string // paragraphs
	Closing string   // "Kind regards" when left empty
	Signed  string   // the name below; empty leaves a line to sign on
}

// Letter sets a letter from the top of a page. What follows it (a list of things, a table) stands below the signature.
func (d *Document) Letter(m Message) {
	d.font(familyText, "", sizeSmall+1)
	half := d.width * 0.45
	top := d.pdf.GetY()
	d.lines(d.wrap(m.From, half), margin+d.width-half, half, Left)
	below := d.pdf.GetY()
	// The address stands where the window of an envelope shows it (DIN 5008 form B: 45 mm from the top edge).
	d.pdf.SetY(max(top, 45))
	d.font(familyText, "", sizeText)
	d.lines(d.wrap(m.To, half), margin, half, Left)
	d.pdf.SetY(max(below, d.pdf.GetY(), 80))
	d.lines([]string{d.printable(m.Date)}, margin, d.width, Right)
	d.Space(4)
	d.Fields(m.Refs...)
	if m.Subject != "" {
		d.Strong(m.Subject)
		d.Space(1)
	}
	for _, p := range m.Body {
		if strings.TrimSpace(p) != "" {
			d.Paragraph(p)
		}
	}
	d.sign(m)
}

func (d *Document) sign(m Message) {
	closing := m.Closing
	if closing == "" {
		closing = "Kind regards"
	}
	d.room(30)
	d.Space(2)
	d.Paragraph(closing)
	d.Space(12)
	if m.Signed == "" {
		d.pdf.SetDrawColor(90, 90, 90)
		d.pdf.SetLineWidth(0.2)
		y := d.pdf.GetY()
		d.pdf.Line(margin, y, margin+70, y)
		d.Space(1)
		d.Small("Name, date, signature")
		return
	}
	d.Paragraph(m.Signed)
}
