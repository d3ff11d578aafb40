package label

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"

	"berth/inventory"
)

// PDF writes pages as a document in which a millimetre is a millimetre: printed at its actual size, not fitted to the page. at is the
// time that it says it was made.
func PDF(pages []Page, at time.Time) ([]byte, error) { return writePDF(pages, at, true) }

func writePDF(pages []Page, at time.Time, compress bool) ([]byte, error) {
	doc := fpdf.NewCustom(&fpdf.InitType{UnitStr: "mm", Size: fpdf.SizeType{Wd: pages[0].W, Ht: pages[0].H}})
	doc.SetCompression(compress)
	doc.SetCreationDate(at)
	doc.SetModificationDate(at)
	doc.SetCatalogSort(true)
	doc.SetTitle("Labels", true)
	doc.SetMargins(0, 0, 0)
	doc.SetAutoPageBreak(false, 0)
	doc.AddUTF8FontFromBytes("go", "", goregular.TTF)
	doc.AddUTF8FontFromBytes("go", "B", gobold.TTF)
	for _, p := range pages {
		// "P" keeps width and height as they are given, "L" would turn them.
		doc.AddPageFormat("P", fpdf.SizeType{Wd: p.W, Ht: p.H})
		for _, m := range p.Marks {
			if m.Text == "" {
				doc.Rect(m.X, m.Y, m.W, m.H, "F")
				continue
			}
			style := ""
			if m.Bold {
				style = "B"
			}
			doc.SetFont("go", style, m.Size*72/25.4)
			doc.Text(m.X, m.Y, m.Text)
		}
	}
	var out bytes.Buffer
	if err := doc.Output(&out); err != nil {
		return nil, fmt.Errorf("write labels as PDF: %w", err)
	}
	return out.Bytes(), nil
}

// SVG writes one page, whose number counts from 1, as a drawing in millimetres. The length of each text is given, so that a browser without
// the Go fonts keeps it within its label. Errors: *inventory.Invalid for a page that is not there.
func SVG(pages []Page, number int) ([]byte, error) {
	if number < 1 || number > len(pages) {
		return nil, inventory.NotAllowed("label", "page", "is from 1 to %d", len(pages))
	}
	p := pages[number-1]
	var b bytes.Buffer
	w, h := length(p.W), length(p.H)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%smm" height="%smm" viewBox="0 0 %s %s"><rect width="%s" height="%s" fill="#fff"/><path fill="#000" d="`, w, h, w, h, w, h)
	for _, m := range p.Marks {
		if m.Text == "" {
			fmt.Fprintf(&b, "M%s %sh%sv%sh-%sz", length(m.X), length(m.Y), length(m.W), length(m.H), length(m.W))
		}
	}
	b.WriteString(`"/>`)
	for _, m := range p.Marks {
		if m.Text == "" {
			continue
		}
		weight := "400"
		if m.Bold {
			weight = "700"
		}
		fmt.Fprintf(&b, `<text x="%s" y="%s" font-family="Go, DejaVu Sans, Arial, sans-serif" font-size="%s" font-weight="%s" textLength="%s" lengthAdjust="spacingAndGlyphs">`,
			length(m.X), length(m.Y), length(m.Size), weight, length(m.W))
		escape(&b, m.Text)
		b.WriteString("</text>")
	}
	b.WriteString("</svg>\n")
	return b.Bytes(), nil
}

func length(mm float64) string { return strconv.FormatFloat(round(mm), 'f', -1, 64) }

// escape writes text of others. Controls are gone from it already.
func escape(b *bytes.Buffer, text string) {
	for _, r := range text {
		switch r {
		case '&':
			b.WriteString("&amp;")
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		case '"':
			b.WriteString("&#34;")
		case '\'':
			b.WriteString("&#39;")
		default:
			b.WriteRune(r)
		}
	}
}
