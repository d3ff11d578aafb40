// Package label prints stickers: a QR code with the address of a thing, its tag, its name and its serial number, true to the millimetre.
//
// A label is first laid out as rectangles and texts in millimetres ([Sheet]), measured with the font that is printed with, and then written
// as PDF or SVG; both say the same. The code holds the thing's uid, so that it can be resolved without a server, from an export.
package label

import (
	"math"

	"berth/inventory"
)

// Format is a sheet of labels, or a tape, with its measures in millimetres.
type Format struct {
	Name  string // as on the box: L7162
	Title string
	// PageW and PageH are of the sheet; of a tape PageH is its width, and PageW is made as long as the text needs, between TapeMin and TapeMax.
	PageW, PageH     float64
	TapeMin, TapeMax float64
	Columns, Rows    int
	Left, Top        float64 // of the first label's corner
	PitchX, PitchY   float64 // from one label's corner to the next one's
	W, H             float64 // of a label
	// PadX and PadY are what stays free at each edge of a label: cutting is not exact, and tape printers cannot print to the edge.
	PadX, PadY float64
	// Source is where the measures were taken from.
	Source string
}

// PerPage is how many labels a sheet has.
func (f Format) PerPage() int { return f.Columns * f.Rows }

// Tape tells whether the format is a tape, with a page for each label.
func (f Format) Tape() bool { return f.TapeMax > 0 }

// points are millimetres: the makers' templates for word processors are in points of 1/72 inch.
func points(pt float64) float64 { return pt * 25.4 / 72 }

const inch = 25.4

// Formats are the sheets and tapes that are known. Measures in points are those of Avery's Word templates, which place the labels to a
// hundredth; 96 points are the 33.9 mm on the box. Tapes: what Brother's machines with a head of 128 dots at 180 dpi print of each width.
var Formats = []Format{
	{Name: "L7162", Title: "Avery L7162, A4, 16 labels of 99.1 × 33.9 mm", PageW: 210, PageH: 297, Columns: 2, Rows: 8, Left: points(13.25), Top: points(37), PitchX: points(288), PitchY: points(96),
		W: points(280.8), H: points(96), PadX: 2.5, PadY: 2.5, Source: "Avery's Word template L7162: columns at 13.25 and 301.25 pt, rows at 37 and 133 pt, 280.8 × 96 pt"},
	{Name: "L7163", Title: "Avery L7163, A4, 14 labels of 99.1 × 38.1 mm", PageW: 210, PageH: 297, Columns: 2, Rows: 7, Left: points(13.25), Top: points(43.05), PitchX: points(288), PitchY: points(108),
		W: points(280.8), H: points(108), PadX: 2.5, PadY: 2.5, Source: "Avery's Word template L7163: columns at 13.25 and 301.25 pt, rows at 43.05 and 151.05 pt, 280.8 × 108 pt"},
	{Name: "5520", Title: "Avery 5520 (as 5160), US Letter, 30 labels of 2 5/8 × 1 in", PageW: 8.5 * inch, PageH: 11 * inch, Columns: 3, Rows: 10, Left: points(13.55), Top: points(36.1), PitchX: points(198), PitchY: points(72),
		W: points(189.35), H: points(72), PadX: 2, PadY: 1.8, Source: "Avery's Word template 5520: columns at 13.55 and 211.55 pt, rows at 36.1 and 108.1 pt, 189.35 × 72 pt"},
	{Name: "TZe-12", Title: "Brother TZe tape, 12 mm", PageH: 12, TapeMin: 25, TapeMax: 90, Columns: 1, Rows: 1, H: 12, PadX: 3, PadY: 2, Source: "drivers of the PT-2450DX: 57 of 85 dots, 2 mm at each edge"},
	{Name: "TZe-18", Title: "Brother TZe tape, 18 mm", PageH: 18, TapeMin: 30, TapeMax: 110, Columns: 1, Rows: 1, H: 18, PadX: 3, PadY: 3, Source: "drivers of the PT-2450DX: 85 of 127 dots, 3 mm at each edge"},
	{Name: "TZe-24", Title: "Brother TZe tape, 24 mm", PageH: 24, TapeMin: 35, TapeMax: 120, Columns: 1, Rows: 1, H: 24, PadX: 3, PadY: 3, Source: "drivers of the PT-2450DX: 128 of 170 dots, 3 mm at each edge"},
	{Name: "30252", Title: "Dymo 30252, 3 1/2 × 1 1/8 in", PageW: 3.5 * inch, PageH: 1.125 * inch, Columns: 1, Rows: 1, PitchX: 3.5 * inch, PitchY: 1.125 * inch, W: 3.5 * inch, H: 1.125 * inch, PadX: 4, PadY: 2, Source: "Dymo's name for it: address label, 1 1/8 × 3 1/2 in"},
	{Name: "2112283", Title: "Dymo 2112283, 54 × 25 mm", PageW: 54, PageH: 25, Columns: 1, Rows: 1, PitchX: 54, PitchY: 25, W: 54, H: 25, PadX: 3, PadY: 1.8, Source: "Dymo's name for it: durable label, 25 × 54 mm"},
}

// FormatOf finds a format by its name. Errors: *inventory.Invalid.
func FormatOf(name string) (Format, error) {
	for _, f := range Formats {
		if f.Name == name {
			return f, nil
		}
	}
	names := ""
	for _, f := range Formats {
		names += " " + f.Name
	}
	return Format{}, inventory.NotAllowed("label", "format", "is one of%s", names)
}

// slot is where the label of a number (from 0) is on its page.
func (f Format) slot(number int) (page int, x, y float64) {
	per := f.PerPage()
	page, number = number/per, number%per
	return page, f.Left + float64(number%f.Columns)*f.PitchX, f.Top + float64(number/f.Columns)*f.PitchY
}

func round(mm float64) float64 { return math.Round(mm*1000) / 1000 }
