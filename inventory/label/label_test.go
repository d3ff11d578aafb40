package label

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"berth/inventory"
)

func items(n int) []Item {
	list := make([]Item, n)
	for i := range list {
		list[i] = Item{URL: Address("https://berth.example.org", inventory.UID(fmt.Sprintf("%032x", i))), Tag: fmt.Sprintf("A-%04d", i), Name: "PowerEdge R640", Serial: "7XK20Z2", Detail: "R640"}
	}
	return list
}

var when = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// box is a rectangle in millimetres from the upper left corner.
type box struct{ x, y, w, h float64 }

var (
	mediaBox = regexp.MustCompile(`/MediaBox \[0 0 ([0-9.]+) ([0-9.]+)\]`)
	drawn    = regexp.MustCompile(`(?m)^(-?[0-9.]+) (-?[0-9.]+) (-?[0-9.]+) (-?[0-9.]+) re f`)
	shown    = regexp.MustCompile(`(?m)BT (-?[0-9.]+) (-?[0-9.]+) Td`)
	streams  = regexp.MustCompile(`(?s)stream\n(.*?)\nendstream`)
)

// readPDF finds what the pages of a document draw: their sizes, rectangles and the points at which texts begin, in millimetres.
func readPDF(t *testing.T, pdf []byte) (sizes []box, rects, texts [][]box) {
	t.Helper()
	mm := func(b []byte) float64 {
		x, err := strconv.ParseFloat(string(b), 64)
		if err != nil {
			t.Fatal(err)
		}
		return x * 25.4 / 72
	}
	for _, m := range mediaBox.FindAllSubmatch(pdf, -1) {
		sizes = append(sizes, box{w: mm(m[1]), h: mm(m[2])})
	}
	for _, s := range streams.FindAllSubmatch(pdf, -1) {
		if !bytes.Contains(s[1], []byte(" re f")) {
			continue
		}
		height := sizes[len(rects)].h
		var page, words []box
		for _, m := range drawn.FindAllSubmatch(s[1], -1) {
			b := box{mm(m[1]), height - mm(m[2]), mm(m[3]), mm(m[4])}
			if b.h < 0 { // fpdf draws downwards
				b.h = -b.h
			}
			page = append(page, b)
		}
		for _, m := range shown.FindAllSubmatch(s[1], -1) {
			words = append(words, box{x: mm(m[1]), y: height - mm(m[2])})
		}
		rects, texts = append(rects, page), append(texts, words)
	}
	return sizes, rects, texts
}

// TestMillimetres reads the document's drawing operators: each code and each text lies in its label, and labels are as far apart as
// the sheet's.
func TestMillimetres(t *testing.T) {
	const slack = 0.01 // the document is written in hundredths of a point, 0.0035 mm
	for _, f := range Formats {
		n := f.PerPage()
		pages, err := Layout(f, items(n), 1)
		if err != nil {
			t.Fatal(err)
		}
		pdf, err := writePDF(pages, when, false)
		if err != nil {
			t.Fatal(err)
		}
		sizes, rects, texts := readPDF(t, pdf)
		if len(sizes) != 1 || len(rects) != 1 || math.Abs(sizes[0].w-pages[0].W) > slack || math.Abs(sizes[0].h-f.PageH) > slack {
			t.Fatalf("%s: %d pages, %v, want one of %g × %g mm", f.Name, len(sizes), sizes, pages[0].W, f.PageH)
		}
		width := f.W
		if f.Tape() {
			width = pages[0].W
		}
		first := make([]box, n) // the upper left corner of each label's code
		for i := range first {
			first[i] = box{x: math.Inf(1), y: math.Inf(1)}
		}
		for _, r := range rects[0] {
			i := labelAt(f, width, r)
			if i < 0 {
				t.Fatalf("%s: a module at %+v is in no label", f.Name, r)
			}
			first[i].x, first[i].y = min(first[i].x, r.x), min(first[i].y, r.y)
		}
		for i := range n {
			_, x, y := f.slot(i)
			if dx, dy := first[i].x-first[0].x-(x-f.Left), first[i].y-first[0].y-(y-f.Top); math.Abs(dx) > slack || math.Abs(dy) > slack {
				t.Errorf("%s: the code of label %d is off by %.3f, %.3f mm", f.Name, i+1, dx, dy)
			}
		}
		words := map[int]int{}
		for _, w := range texts[0] {
			words[labelAt(f, width, w)]++
		}
		if words[-1] > 0 || len(words) != n {
			t.Errorf("%s: texts by label: %v", f.Name, words)
		}
	}
}

// labelAt is the label that a mark lies in, edges left free.
func labelAt(f Format, width float64, m box) int {
	for i := range f.PerPage() {
		_, x, y := f.slot(i)
		if m.x >= x+f.PadX-0.01 && m.x+m.w <= x+width-f.PadX+0.01 && m.y >= y+f.PadY-0.01 && m.y+m.h <= y+f.H-f.PadY+0.01 {
			return i
		}
	}
	return -1
}

// TestSheetsOnTheBox holds the table against what is printed on the boxes, in millimetres.
func TestSheetsOnTheBox(t *testing.T) {
	for name, want := range map[string]struct {
		per  int
		w, h float64
	}{"L7162": {16, 99.1, 33.9}, "L7163": {14, 99.1, 38.1}, "5520": {30, 66.7, 25.4}, "30252": {1, 88.9, 28.6}, "2112283": {1, 54, 25}} {
		f, err := FormatOf(name)
		if err != nil {
			t.Fatal(err)
		}
		if f.PerPage() != want.per || math.Abs(f.W-want.w) > 0.15 || math.Abs(f.H-want.h) > 0.1 {
			t.Errorf("%s: %d labels of %.2f × %.2f mm, want %+v", name, f.PerPage(), f.W, f.H, want)
		}
		_, x, y := f.slot(f.PerPage() - 1)
		if right, bottom := f.PageW-x-f.W, f.PageH-y-f.H; math.Abs(right-f.Left) > 1.0 || math.Abs(bottom-f.Top) > 0.5 {
			t.Errorf("%s: the sheet is not even: %.2f mm at the left and %.2f at the right, %.2f at the top and %.2f at the bottom", name, f.Left, right, f.Top, bottom)
		}
	}
	for _, f := range Formats {
		if f.Source == "" || f.Title == "" {
			t.Errorf("%s does not say where its measures are from", f.Name)
		}
	}
}

// TestUsedSheets: labels begin where the sheet is still whole, and go on on the next.
func TestUsedSheets(t *testing.T) {
	f, _ := FormatOf("L7162") // it is in the table
	pages, err := Layout(f, items(16), 16)
	if err != nil || len(pages) != 2 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	if m := pages[0].Marks[0]; m.X < f.Left+f.PitchX || m.Y < f.Top+7*f.PitchY {
		t.Errorf("the first label is at %+v, not the last of the sheet", m)
	}
	for _, start := range []int{0, 17, -1} {
		if _, err := Layout(f, items(1), start); err == nil {
			t.Errorf("start %d was accepted", start)
		}
	}
	if _, err := Layout(f, nil, 1); err == nil {
		t.Error("nothing was printed")
	}
	if _, err := Layout(f, items(MaxItems+1), 1); err == nil {
		t.Error("too many were printed")
	}
	if _, err := FormatOf("A4"); err == nil || !strings.Contains(err.Error(), "L7162") {
		t.Errorf("an unknown format: %v", err)
	}
}

// TestTextStaysInside: whatever stands on a label, and however long it is, no text is wider or higher than its label.
func TestTextStaysInside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Z0-9-]{0,80}`), rapid.Just(strings.Repeat("W", 300)))
		item := Item{URL: Address("https://berth", "ab"), Tag: text.Draw(t, "tag"), Name: text.Draw(t, "name"), Serial: text.Draw(t, "serial"), Detail: text.Draw(t, "detail")}
		f := rapid.SampledFrom(Formats).Draw(t, "format")
		pages, err := Layout(f, []Item{item}, 1)
		if err != nil {
			t.Fatal(err)
		}
		width := f.W
		if f.Tape() {
			width = pages[0].W
		}
		_, x, y := f.slot(0)
		for _, m := range pages[0].Marks {
			if m.Text == "" {
				continue
			}
			if m.X+m.W > x+width-f.PadX+0.01 || m.Y > y+f.H-f.PadY+0.01 || m.Y-0.75*m.Size < y+f.PadY-0.01 {
				t.Fatalf("%s: %q at %+v is outside the label of %g × %g mm", f.Name, m.Text, m, width, f.H)
			}
			if strings.ContainsAny(m.Text, "\x00\n\x1b") {
				t.Fatalf("%q holds controls", m.Text)
			}
		}
	})
}

// TestShortTextsAreLargeAndWhole: nothing is cut or small without need.
func TestShortTextsAreLargeAndWhole(t *testing.T) {
	for _, f := range Formats {
		pages, err := Layout(f, []Item{{URL: Address("https://b.example", "ab"), Tag: "A-0017", Name: "PowerEdge R640", Serial: "7XK20Z2"}}, 1)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range pages[0].Marks {
			if m.Text != "" {
				got = append(got, m.Text)
			}
			if m.Text == "A-0017" && m.Size < 2 {
				t.Errorf("%s: the tag is %.2f mm high", f.Name, m.Size)
			}
		}
		if strings.Join(got, "|") != "A-0017|PowerEdge R640|S/N 7XK20Z2" {
			t.Errorf("%s: %q", f.Name, got)
		}
	}
}

// TestModules: a code on a label can be read: no module is below a quarter of a millimetre on the narrowest tape.
func TestModules(t *testing.T) {
	code, err := codeOf(Address("https://berth.example.org", inventory.NewUID()))
	if err != nil || len(code) != 29 {
		t.Fatalf("%d modules, %v: capitals should need 29 (version 3)", len(code), err)
	}
	for _, f := range Formats {
		if module, _ := f.codeSize(len(code)); module < 0.25 {
			t.Errorf("%s: a module is %.3f mm", f.Name, module)
		}
	}
	if _, err := codeOf(strings.Repeat("x", maxURL+1)); err == nil {
		t.Error("an endless address became a code")
	}
}

// TestSVG is XML whose page has the sheet's millimetres, and says the same as the PDF.
func TestSVG(t *testing.T) {
	f, _ := FormatOf("5520") // it is in the table
	pages, err := Layout(f, []Item{{URL: "https://x", Tag: `<b>&"1"`, Name: "漢字 Ä"}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	svg, err := SVG(pages, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(svg, []byte(`width="215.9mm" height="279.4mm" viewBox="0 0 215.9 279.4"`)) {
		t.Errorf("%.200s", svg)
	}
	var text strings.Builder
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := token.(xml.CharData); ok {
			text.Write(data)
		}
	}
	if got := strings.TrimSpace(text.String()); got != `<b>&"1"?? Ä` {
		t.Errorf("it says %q", got)
	}
	if _, err := SVG(pages, 2); err == nil {
		t.Error("a page that is not there was drawn")
	}
}

// TestOf: every kind of thing that gets a sticker.
func TestOf(t *testing.T) {
	uid := inventory.UID(strings.Repeat("0f", 16))
	for _, obj := range []inventory.Object{&inventory.Asset{AssetTag: "x"}, &inventory.Device{Name: "x"}, &inventory.Rack{Name: "x"}, &inventory.Parcel{Label: "x"}, &inventory.Component{Model: "x"}, &inventory.Location{Name: "x"}} {
		obj.Head().UID = uid
		item, err := Of(obj, "https://berth.example")
		if err != nil || item.Tag != "x" || item.URL != "HTTPS://BERTH.EXAMPLE/Q/"+strings.Repeat("0F", 16) {
			t.Errorf("%T: %+v, %v", obj, item, err)
		}
	}
	if _, err := Of(&inventory.Account{}, ""); err == nil {
		t.Error("an account got a label")
	}
}

// TestSameLabelsSameBytes: a print can be repeated.
func TestSameLabelsSameBytes(t *testing.T) {
	pages, err := Layout(Formats[0], items(20), 3)
	if err != nil {
		t.Fatal(err)
	}
	a, errA := PDF(pages, when)
	b, errB := PDF(pages, when)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("%d and %d bytes, %v, %v", len(a), len(b), errA, errB)
	}
}

func BenchmarkHundredLabels(b *testing.B) {
	list := items(100)
	for b.Loop() {
		pages, err := Layout(Formats[0], list, 1)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := PDF(pages, when); err != nil {
			b.Fatal(err)
		}
	}
}
