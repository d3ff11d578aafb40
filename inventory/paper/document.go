package paper

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
)

// Size is a sheet.
type Size string

// The sheets. A4 is ISO 216, Letter is ANSI/ASME Y14.1 A.
const (
	A4     Size = "A4"
	Letter Size = "Letter"
)

// SizeFor is the sheet that is usual in a country (ISO 3166-1 alpha-2): Letter in North America and the Philippines, A4 everywhere else.
func SizeFor(country string) Size {
	switch strings.ToUpper(country) {
	case "US", "CA", "MX", "PH", "PR", "CL", "CO", "VE":
		return Letter
	}
	return A4
}

// Options are what a paper may have of its own. The zero value is A4 upright.
type Options struct {
	Size      Size
	Landscape bool
	// Footer stands at the left of every page's foot; the page number stands at the right.
	Footer string
	// Date is the date in the file's metadata. It is never the clock's, so that the same paper has the same bytes; zero is left at a
	// date that nobody takes for real (1 January 2000).
	Date time.Time
}

// The measures of a page, in millimetres and points.
const (
	margin     = 18.0 // mm, left and right
	marginTop  = 16.0
	marginFoot = 20.0 // the footer stands in it
	sizeText   = 10.0 // pt
	sizeSmall  = 8.0
	leading    = 1.32      // of the size of the letters
	point      = 25.4 / 72 // mm
	gap        = 2.5       // mm between blocks
	maxPages   = 5000      // a paper that is longer is a mistake, and nobody's printer should find out
	maxText    = 1 << 20   // bytes of one text
	creator    = "berth"   // what the file says made it
)

// Document is a paper that is being set. Its methods do not fail one by one: the first error is kept, and Bytes returns it.
type Document struct {
	pdf      *fpdf.Fpdf
	opt      Options
	title    string
	width    float64 // mm between the margins
	foot     float64 // y, in mm, that text must not pass
	family   string
	style    string
	size     float64
	images   int
	replaced map[rune]bool
	err      error
}

// New begins a paper. The title is that of the file; what stands on the first page is said by Heading.
func New(title string, opt Options) *Document {
	if opt.Size == "" {
		opt.Size = A4
	}
	orientation := "P"
	if opt.Landscape {
		orientation = "L"
	}
	if opt.Date.IsZero() {
		opt.Date = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	d := &Document{pdf: fpdf.New(orientation, "mm", string(opt.Size), ""), opt: opt, replaced: map[rune]bool{}}
	d.title = d.printable(title)
	d.prepare()
	return d
}

func (d *Document) prepare() {
	p := d.pdf
	p.SetCatalogSort(true) // else fonts and pictures are written in the order of a map
	p.SetCreationDate(d.opt.Date.UTC())
	p.SetModificationDate(d.opt.Date.UTC())
	p.SetTitle(d.title, true)
	p.SetCreator(creator, true)
	p.SetProducer(creator, true)
	p.SetLang("en")
	// Copies: the library writes into the bytes of a font while it makes a subset of it.
	p.AddUTF8FontFromBytes(familyText, "", bytes.Clone(goregular.TTF))
	p.AddUTF8FontFromBytes(familyText, "B", bytes.Clone(gobold.TTF))
	p.AddUTF8FontFromBytes(familyMono, "", bytes.Clone(gomono.TTF))
	p.AliasNbPages("{pages}")
	p.SetMargins(margin, marginTop, margin)
	p.SetAutoPageBreak(false, 0) // pages break between lines, where this package says
	p.SetFooterFunc(d.footer)
	w, h := p.GetPageSize()
	d.width, d.foot = w-2*margin, h-marginFoot
	p.AddPage()
	d.font(familyText, "", sizeText)
}

// footer is called by the library at the end of each page.
func (d *Document) footer() {
	p := d.pdf
	p.SetFont(familyText, "", sizeSmall)
	p.SetTextColor(110, 110, 110)
	_, h := p.GetPageSize()
	p.SetDrawColor(190, 190, 190)
	p.SetLineWidth(0.2)
	p.Line(margin, h-marginFoot+5, margin+d.width, h-marginFoot+5)
	text := d.opt.Footer
	if text == "" {
		text = d.title
	}
	const numberWidth = 30
	p.SetXY(margin, h-marginFoot+6)
	p.CellFormat(d.width-numberWidth, 5, d.fit(d.printable(text), d.width-numberWidth), "", 0, "L", false, 0, "")
	// The placeholder is wider than what takes its place, so the number is set from the left of a box of its own.
	p.SetXY(margin+d.width-numberWidth+6, h-marginFoot+6)
	p.CellFormat(numberWidth-6, 5, fmt.Sprintf("page %d of {pages}", p.PageNo()), "", 0, "L", false, 0, "")
	p.SetTextColor(0, 0, 0)
	p.SetFont(d.family, d.style, d.size)
}

func (d *Document) font(family, style string, size float64) {
	if family == d.family && style == d.style && size == d.size {
		return
	}
	d.family, d.style, d.size = family, style, size
	d.pdf.SetFont(family, style, size)
}

// lineHeight is that of the letters in force, in mm.
func (d *Document) lineHeight() float64 { return d.size * point * leading }

// room sees that h millimetres are left on the page, or begins another. It tells whether it did.
func (d *Document) room(h float64) bool {
	if d.pdf.GetY()+h <= d.foot {
		return false
	}
	d.PageBreak()
	return true
}

// PageBreak begins a page.
func (d *Document) PageBreak() {
	if d.err != nil {
		return
	}
	if d.pdf.PageNo() >= maxPages {
		d.fail(fmt.Errorf("the paper %q is longer than %d pages", d.title, maxPages))
		return
	}
	d.pdf.AddPage()
	d.pdf.SetXY(margin, marginTop)
}

func (d *Document) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// Space leaves mm millimetres free; at the head of a page it does nothing.
func (d *Document) Space(mm float64) {
	if y := d.pdf.GetY(); y > marginTop {
		d.pdf.SetY(min(y+mm, d.foot))
	}
}

// Heading sets a heading. Level 1 is the paper's own, 2 and 3 stand within it. It never stands alone at the foot of a page.
func (d *Document) Heading(level int, text string) {
	size, before := 18.0, 0.0
	switch {
	case level == 2:
		size, before = 13, 4
	case level > 2:
		size, before = 11, 3
	}
	d.Space(before)
	d.font(familyText, "B", size)
	lines := d.wrap(text, d.width)
	d.room(float64(len(lines)+3) * d.lineHeight())
	d.lines(lines, margin, d.width, Left)
	d.Space(1.2)
	d.font(familyText, "", sizeText)
}

// Paragraph sets text across the page. Line ends in it are kept.
func (d *Document) Paragraph(text string) { d.block(text, "", sizeText) }

// Strong is a paragraph in bold letters.
func (d *Document) Strong(text string) { d.block(text, "B", sizeText) }

// Small is a paragraph in small letters: a note, a source.
func (d *Document) Small(text string) { d.block(text, "", sizeSmall) }

func (d *Document) block(text, style string, size float64) {
	d.font(familyText, style, size)
	d.lines(d.wrap(text, d.width), margin, d.width, Left)
	d.Space(gap)
	d.font(familyText, "", sizeText)
}

// Pair is a name and its value.
type Pair struct{ Label, Value string }

// Fields sets names and values in two columns; pairs without a value are left out.
func (d *Document) Fields(pairs ...Pair) {
	labelWidth := d.width * 0.28
	for _, pair := range pairs {
		if strings.TrimSpace(pair.Value) == "" {
			continue
		}
		d.font(familyText, "", sizeText)
		value := d.wrap(pair.Value, d.width-labelWidth)
		d.pdf.SetTextColor(90, 90, 90)
		label := d.wrap(pair.Label, labelWidth-3)
		d.room(float64(min(max(len(label), len(value)), 4)) * d.lineHeight())
		y, page := d.pdf.GetY(), d.pdf.PageNo()
		d.lines(label, margin, labelWidth, Left)
		below := d.pdf.GetY()
		d.pdf.SetTextColor(0, 0, 0)
		if d.pdf.PageNo() == page {
			d.pdf.SetY(y)
		}
		d.lines(value, margin+labelWidth, d.width-labelWidth, Left)
		if d.pdf.PageNo() == page {
			d.pdf.SetY(max(below, d.pdf.GetY()))
		}
		d.Space(0.6)
	}
	d.Space(gap)
}

// lines sets lines of text in a column that begins at x, and moves below them.
func (d *Document) lines(lines []string, x, width float64, align Align) {
	h := d.lineHeight()
	for _, line := range lines {
		if d.err != nil {
			return
		}
		d.room(h)
		y := d.pdf.GetY()
		d.put(line, x, y, width, align)
		d.pdf.SetXY(margin, y+h)
	}
}

// put sets one line at a place.
func (d *Document) put(line string, x, y, width float64, align Align) {
	d.pdf.SetXY(x, y)
	d.pdf.SetCellMargin(0)
	d.pdf.CellFormat(width, d.lineHeight(), line, "", 0, align.letter(), false, 0, "")
}

// Bytes ends the paper and returns the file. A second call returns the same.
func (d *Document) Bytes() ([]byte, error) {
	if d.err != nil {
		return nil, d.err
	}
	if d.pdf.PageNo() > 0 && len(d.replaced) > 0 {
		d.noteReplaced()
	}
	var out bytes.Buffer
	if err := d.pdf.Output(&out); err != nil {
		return nil, fmt.Errorf("set the paper %q: %w", d.title, err)
	}
	return out.Bytes(), nil
}

// noteReplaced says on the last page which characters stand as □, so that whoever must know them can look them up.
func (d *Document) noteReplaced() {
	const most = 40
	var names []string
	for _, r := range slices.Sorted(maps.Keys(d.replaced)) {
		if len(names) == most {
			names = append(names, fmt.Sprintf("and %d more", len(d.replaced)-most))
			break
		}
		names = append(names, fmt.Sprintf("U+%04X", r))
	}
	clear(d.replaced)
	d.Space(gap)
	d.Small("The letters of this paper have no sign for some characters of the record; each is printed as □. They are " + strings.Join(names, ", ") + ".")
}
