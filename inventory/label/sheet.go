package label

import (
	"fmt"
	"strings"

	"github.com/skip2/go-qrcode"

	"berth/inventory"
)

// Item is what stands on one label.
type Item struct {
	URL    string // what the code holds
	Tag    string // the largest line
	Name   string
	Serial string
	Detail string
}

// Bounds of one print.
const (
	MaxItems = 2000
	maxURL   = 300 // bytes; a code of more is too fine for a label
)

// Address is what the code of a thing holds: the server's address, and the uid after /Q/, in capitals, for which a QR code needs fewer and
// so larger modules than for small letters. Hosts do not tell them apart, and neither does berth. base is https://host[:port].
func Address(base string, uid inventory.UID) string {
	return strings.ToUpper(strings.TrimSuffix(base, "/") + "/Q/" + string(uid))
}

// Of is the label of an object: an asset, device, rack, parcel, component or location. Errors: *inventory.Invalid for another noun.
func Of(obj inventory.Object, base string) (Item, error) {
	item := Item{URL: Address(base, obj.Head().UID)}
	switch o := obj.(type) {
	case *inventory.Asset:
		item.Tag, item.Name, item.Serial, item.Detail = o.AssetTag, o.Name, o.Serial, o.PartNumber
	case *inventory.Device:
		item.Tag, item.Name, item.Serial = o.Name, strings.TrimSpace(o.Manufacturer+" "+o.Product), o.Serial
	case *inventory.Rack:
		item.Tag, item.Name, item.Serial, item.Detail = o.Name, o.FacilityID, o.Serial, o.AssetTag
	case *inventory.Parcel:
		item.Tag, item.Name, item.Detail = o.Label, o.TrackingCode, sealed(o.SealNo)
	case *inventory.Component:
		item.Tag, item.Name, item.Serial, item.Detail = firstOf(o.Model, o.PartNumber, o.Kind), strings.TrimSpace(o.Kind+" "+o.Slot), o.Serial, o.Box
	case *inventory.Location:
		item.Tag, item.Name = o.Name, o.Slug
	default:
		return item, inventory.NotAllowed("label", "noun", "has no labels; asset, device, machine, rack, parcel, component and location have")
	}
	return item, nil
}

func sealed(no string) string {
	if no == "" {
		return ""
	}
	return "seal " + no
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// Mark is one thing to print, in millimetres from the upper left corner of its page: a black rectangle, or a text at its baseline.
type Mark struct {
	X, Y, W, H float64
	Text       string // empty is a rectangle
	Size       float64
	Bold       bool
}

// Page is a sheet, or a piece of tape.
type Page struct {
	W, H  float64
	Marks []Mark
}

// Layout puts items on sheets, beginning at the label of number start, from 1: the sheet may have been used before.
// Errors: *inventory.Invalid.
func Layout(f Format, items []Item, start int) ([]Page, error) {
	switch {
	case len(items) == 0:
		return nil, inventory.NotAllowed("label", "uid", "names nothing to print a label for")
	case len(items) > MaxItems:
		return nil, inventory.NotAllowed("label", "uid", "names more than %d things", MaxItems)
	case start < 1 || start > f.PerPage():
		return nil, inventory.NotAllowed("label", "start", "is from 1 to %d, the labels of a sheet", f.PerPage())
	}
	var pages []Page
	for i, item := range items {
		code, err := codeOf(item.URL)
		if err != nil {
			return nil, err
		}
		number, x, y := f.slot(i + start - 1)
		width := f.W
		if f.Tape() {
			width = tapeLength(f, item, len(code))
		}
		for len(pages) <= number {
			pages = append(pages, Page{W: f.PageW, H: f.PageH})
		}
		if f.Tape() {
			pages[number].W = width
		}
		pages[number].Marks = append(pages[number].Marks, drawLabel(f, item, code, x, y, width)...)
	}
	return pages, nil
}

// codeOf makes the QR code of an address, without its quiet zone: rows of modules.
func codeOf(url string) ([][]bool, error) {
	if len(url) > maxURL {
		return nil, inventory.NotAllowed("label", "url", "is longer than %d bytes: too fine for a label", maxURL)
	}
	code, err := qrcode.New(url, qrcode.Medium)
	if err != nil {
		return nil, fmt.Errorf("make a QR code: %w", err)
	}
	code.DisableBorder = true
	return code.Bitmap(), nil
}

// quiet is the free zone a QR code needs around it, in modules (ISO/IEC 18004).
const quiet = 4

// codeSize is the width of a module, and of the code with as much of its quiet zone as must lie within the printed part. On a tape the
// edges that cannot be printed are the rest of it.
func (f Format) codeSize(modules int) (module, side float64) {
	inner := f.H - 2*f.PadY
	free := max(0, quiet-f.PadY/(inner/float64(modules)))
	module = inner / (float64(modules) + 2*free)
	return module, inner
}

// drawLabel lays out one label: the code at the left, the text beside it.
func drawLabel(f Format, item Item, code [][]bool, x, y, width float64) []Mark {
	module, side := f.codeSize(len(code))
	edge := (side - module*float64(len(code))) / 2
	left := x + max(f.PadX, quiet*module-edge)
	marks := modules(code, left+edge, y+f.PadY+edge, module)
	textX := left + side - edge + quiet*module
	for _, l := range fit(item, width-(textX-x)-f.PadX, side) {
		marks = append(marks, Mark{X: round(textX), Y: round(y + f.PadY + l.y), W: round(l.width), Text: l.text, Size: l.size, Bold: l.bold})
	}
	return marks
}

// modules draws a code as bars: neighbours in a row are one rectangle, so that no hairline shows between them.
func modules(code [][]bool, x, y, module float64) []Mark {
	var marks []Mark
	for row, cells := range code {
		for from := 0; from < len(cells); from++ {
			if !cells[from] {
				continue
			}
			to := from
			for to < len(cells) && cells[to] {
				to++
			}
			marks = append(marks, Mark{X: x + float64(from)*module, Y: y + float64(row)*module, W: float64(to-from) * module, H: module})
			from = to
		}
	}
	return marks
}

// tapeLength is how long a piece of tape must be for its text at a size that is read easily.
func tapeLength(f Format, item Item, modules int) float64 {
	module, side := f.codeSize(modules)
	widest := 0.0
	for _, l := range linesOf(item) {
		widest = max(widest, measure(l.text, l.bold)*l.scale)
	}
	size := side / 3.6
	return round(min(f.TapeMax, max(f.TapeMin, 2*max(f.PadX, quiet*module)+side+quiet*module+widest*size)))
}
