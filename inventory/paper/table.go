package paper

import (
	"fmt"
	"slices"
)

// Align is where a cell's text stands.
type Align int

// The alignments; numbers and amounts stand at the right.
const (
	Left Align = iota
	Right
	Center
)

func (a Align) letter() string {
	switch a {
	case Right:
		return "R"
	case Center:
		return "C"
	}
	return "L"
}

// Column is one column of a table.
type Column struct {
	Title string
	// Width is a share: the columns' widths are scaled to the page. 0 counts as 1.
	Width float64
	Align Align
	Mono  bool // for serials and digests, where 0 and O must be told apart
}

// Table is a table being set row by row, so that a long one is never held twice.
type Table struct {
	doc     *Document
	columns []Column
	widths  []float64 // mm
	rows    int
}

const (
	cellX = 1.2 // mm free at the left and right of a cell's text
	cellY = 0.8 // above and below
)

// Table begins a table. Its head is repeated on each page.
func (d *Document) Table(columns ...Column) *Table {
	t := &Table{doc: d, columns: columns}
	sum := 0.0
	for _, c := range columns {
		sum += width(c)
	}
	for _, c := range columns {
		t.widths = append(t.widths, d.width*width(c)/sum)
	}
	t.head()
	return t
}

func width(c Column) float64 {
	if c.Width <= 0 {
		return 1
	}
	return c.Width
}

// head sets the titles, with room for at least one row below them.
func (t *Table) head() {
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = c.Title
	}
	t.set(titles, "B", true)
}

// Row sets one row; missing cells are empty. A row is kept together on a page where it fits on one at all.
func (t *Table) Row(cells ...string) {
	t.rows++
	t.set(cells, "", false)
}

// Total sets a row in bold below a line: the sums.
func (t *Table) Total(cells ...string) {
	d := t.doc
	d.room(8)
	y := d.pdf.GetY()
	d.pdf.SetDrawColor(60, 60, 60)
	d.pdf.SetLineWidth(0.3)
	d.pdf.Line(margin, y, margin+d.width, y)
	t.set(cells, "B", false)
}

// End closes the table; an empty one says so in a row of its own.
func (t *Table) End() {
	if t.rows == 0 {
		t.doc.font(familyText, "", sizeSmall+1)
		t.doc.lines([]string{"nothing"}, margin+cellX, t.doc.width, Left)
	}
	t.doc.Space(gap + 1)
	t.doc.font(familyText, "", sizeText)
}

const sizeCell = 8.5 // pt

// set draws one row: its cells wrapped to their columns, on a new page when it does not fit below.
func (t *Table) set(cells []string, style string, head bool) {
	d := t.doc
	if len(cells) > len(t.columns) {
		d.fail(fmt.Errorf("a row of the paper %q has %d cells for %d columns", d.title, len(cells), len(t.columns)))
	}
	if d.err != nil {
		return
	}
	wrapped := make([][]string, len(t.columns))
	most := 1
	for i, text := range cells {
		t.letters(i, style)
		wrapped[i] = d.wrap(text, t.widths[i]-2*cellX)
		most = max(most, len(wrapped[i]))
	}
	h := sizeCell * point * leading
	page := d.foot - marginTop - 12 // what a row may take of a page that has a head
	need := float64(most)*h + 2*cellY
	if head {
		need += 2 * h
	}
	if d.room(min(need, page)) && !head {
		t.head()
	}
	t.draw(wrapped, style, head, h)
}

// letters puts the letters of a column's cells in force.
func (t *Table) letters(column int, style string) {
	if t.columns[column].Mono && style == "" {
		t.doc.font(familyMono, "", sizeCell-0.5)
		return
	}
	t.doc.font(familyText, style, sizeCell)
}

// draw sets the lines of a row side by side. A row longer than a page goes on, under another head.
func (t *Table) draw(cells [][]string, style string, head bool, h float64) {
	d := t.doc
	y := d.pdf.GetY()
	fits := max(1, int((d.foot-y-2*cellY)/h))
	most, rest := 1, false
	later := slices.Clone(cells)
	for i, lines := range cells {
		if len(lines) > fits {
			cells[i], later[i], rest = lines[:fits], lines[fits:], true
		} else {
			later[i] = nil
		}
		most = max(most, len(cells[i]))
	}
	height := float64(most)*h + 2*cellY
	if head {
		d.pdf.SetFillColor(235, 238, 242)
		d.pdf.Rect(margin, y, d.width, height, "F")
	}
	x := margin
	for i, lines := range cells {
		t.letters(i, style)
		for n, line := range lines {
			d.pdf.SetXY(x+cellX, y+cellY+float64(n)*h)
			d.pdf.SetCellMargin(0)
			d.pdf.CellFormat(t.widths[i]-2*cellX, h, line, "", 0, t.columns[i].Align.letter(), false, 0, "")
		}
		x += t.widths[i]
	}
	d.pdf.SetDrawColor(205, 210, 216)
	d.pdf.SetLineWidth(0.15)
	d.pdf.Line(margin, y+height, margin+d.width, y+height)
	d.pdf.SetXY(margin, y+height)
	if rest && d.err == nil {
		d.PageBreak()
		if !head {
			t.head()
		}
		t.draw(later, style, head, h)
	}
}
