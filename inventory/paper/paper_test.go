package paper_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/inventory/paper"
	"berth/inventory/paper/papertest"
)

// sample uses everything once.
func sample(t testing.TB, opt paper.Options) []byte {
	t.Helper()
	d := paper.New("Claim dossier C-1F04A7", opt)
	d.Heading(1, "Claim dossier C-1F04A7")
	d.Paragraph("Five servers were handed to the carrier on 3 March 2026 and have not arrived.\nÜber Größe, Ελληνικά, Кириллица, €, £, 1 000,00.")
	d.Fields(paper.Pair{Label: "Waybill", Value: "79OH8D2-2241"}, paper.Pair{Label: "Left out"}, paper.Pair{Label: "Handed over", Value: "2026-03-03 by Anna, with a very long note that has to be broken over more than one line of the second column of the page"})
	d.Heading(2, "What is missing")
	table := d.Table(paper.Column{Title: "Serial", Width: 2, Mono: true}, paper.Column{Title: "What", Width: 4}, paper.Column{Title: "Value", Width: 1.5, Align: paper.Right})
	for i := range 70 {
		table.Row(fmt.Sprintf("S3Z8NB0K%06d", i), "Server of the old render farm, with two processors and rails, number "+fmt.Sprint(i), fmt.Sprintf("%d.00 EUR", 1000+i))
	}
	table.Total("", "70 servers", "72,415.00 EUR")
	table.End()
	img := image.NewRGBA(image.Rect(0, 0, 120, 80))
	for y := range 80 {
		for x := range 120 {
			img.Set(x, y, color.RGBA{uint8(2 * x), uint8(3 * y), 90, 255})
		}
	}
	d.Picture(img, 60, "The box as it was handed over.")
	d.Small("Printed by berth.")
	return finish(t, d)
}

func finish(t testing.TB, d *paper.Document) []byte {
	t.Helper()
	data, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("BERTH_PAPERS"); dir != "" { // to be looked at
		name := filepath.Join(dir, strings.NewReplacer("/", "-").Replace(t.(interface{ Name() string }).Name())+".pdf")
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

func TestSamePaperSameBytes(t *testing.T) {
	date := time.Date(2026, 3, 19, 12, 0, 0, 0, time.UTC)
	for _, opt := range []paper.Options{{Date: date}, {Size: paper.Letter, Landscape: true, Footer: "Example GmbH, Berlin"}} {
		one, two := sample(t, opt), sample(t, opt)
		if !bytes.Equal(one, two) {
			t.Errorf("%+v: two runs differ (%d and %d bytes)", opt, len(one), len(two))
		}
		if !bytes.HasPrefix(one, []byte("%PDF-1.")) || papertest.Pages(one) < 3 {
			t.Errorf("%+v: %d pages, begins with %q", opt, papertest.Pages(one), one[:10])
		}
	}
}

func TestWhatStandsOnIt(t *testing.T) {
	text := papertest.Text(sample(t, paper.Options{}))
	for _, want := range []string{"Claim dossier C-1F04A7", "Über Größe, Ελληνικά, Кириллица, €, £", "79OH8D2-2241", "S3Z8NB0K000069", "72,415.00 EUR", "The box as it was handed over.", "page 2 of "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not stand on the paper", want)
		}
	}
	if strings.Contains(text, "Left out") {
		t.Error("a pair without a value was printed")
	}
	if heads := strings.Count(text, "Serial\n"); heads < 2 {
		t.Errorf("the head of the table stands on %d pages", heads)
	}
	if strings.Contains(text, "no sign for") {
		t.Error("the paper says that characters are missing, and none is")
	}
}

func TestCharactersWithoutASign(t *testing.T) {
	d := paper.New("Name 服务器", paper.Options{})
	d.Paragraph("服务器 \U0001F600 abc\u202Etxt.exe \x07 \xff end")
	text := papertest.Text(finish(t, d))
	for _, want := range []string{"□□□ □ abc□txt.exe □ □ end", "U+0007", "U+202E", "U+670D", "U+1F600"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not stand on the paper:\n%s", want, text)
		}
	}
}

func TestLongWordsAndRows(t *testing.T) {
	d := paper.New("Long", paper.Options{})
	d.Paragraph(strings.Repeat("0123456789", 60))
	table := d.Table(paper.Column{Title: "A", Width: 1}, paper.Column{Title: "B", Width: 5})
	table.Row("x", strings.Repeat("a row longer than a page ", 700))
	table.Row("y", "after it")
	table.End()
	data := finish(t, d)
	text := papertest.Text(data)
	if got := strings.Count(strings.ReplaceAll(text, "\n", ""), "0123456789"); got != 60 {
		t.Errorf("%d of 60 parts of a long word were printed", got)
	}
	if got := strings.Count(strings.Join(strings.Fields(text), " "), "row longer"); got < 690 {
		t.Errorf("%d of 700 parts of a long row were printed", got)
	}
	if papertest.Pages(data) < 3 || !strings.Contains(text, "after it") {
		t.Errorf("%d pages:\n%s", papertest.Pages(data), text[len(text)-200:])
	}
}

func TestEmptyTable(t *testing.T) {
	d := paper.New("Empty", paper.Options{})
	d.Table(paper.Column{Title: "Serial"}).End()
	if text := papertest.Text(finish(t, d)); !strings.Contains(text, "nothing") {
		t.Error("an empty table does not say that it is empty")
	}
}

func TestTooManyCells(t *testing.T) {
	d := paper.New("Cells", paper.Options{})
	d.Table(paper.Column{Title: "A"}).Row("1", "2")
	if _, err := d.Bytes(); err == nil {
		t.Error("a row with more cells than columns was accepted")
	}
}

func TestLetter(t *testing.T) {
	d := paper.New("Acknowledgement D-1", paper.Options{Size: paper.SizeFor("US")})
	d.Letter(paper.Message{
		From: "Example Foundation\n1 Main Street\nSpringfield", To: "Jane Donor\n2 Side Street\nShelbyville", Date: "3 March 2026",
		Refs: []paper.Pair{{Label: "Our reference", Value: "D-1"}}, Subject: "Thank you for your gift",
		Body: []string{"We received eight servers.", "", "No goods or services were given in return."}, Signed: "Anna Example, Treasurer",
	})
	text := papertest.Text(finish(t, d))
	var at []int
	for _, want := range []string{"Example Foundation", "Jane Donor", "3 March 2026", "Thank you for your gift", "eight servers", "Kind regards", "Anna Example"} {
		i := strings.Index(text, want)
		if i < 0 || len(at) > 0 && i < at[len(at)-1] {
			t.Errorf("%q does not stand where it should:\n%s", want, text)
		}
		at = append(at, i)
	}
}

func TestPicturesFromFiles(t *testing.T) {
	img := image.NewGray16(image.Rect(0, 0, 40, 30)) // of a kind that the PDF library itself cannot read
	var pngFile, jpegFile bytes.Buffer
	if err := png.Encode(&pngFile, img); err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&jpegFile, img, nil); err != nil {
		t.Fatal(err)
	}
	huge := bytes.Clone(pngFile.Bytes())
	copy(huge[16:24], []byte{0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff}) // width and height in IHDR; the checksum is then wrong as well
	cases := []struct {
		name string
		data []byte
		ok   bool
	}{
		{"png", pngFile.Bytes(), true}, {"jpeg", jpegFile.Bytes(), true}, {"empty", nil, false}, {"text", []byte("<svg/>"), false},
		{"cut", jpegFile.Bytes()[:len(jpegFile.Bytes())/3], false}, {"huge", huge, false},
	}
	d := paper.New("Pictures", paper.Options{})
	for _, c := range cases {
		if err := d.Image(c.data, 500, "caption "+c.name); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	text := papertest.Text(finish(t, d))
	if !strings.Contains(text, "caption png") || strings.Contains(text, "caption huge") {
		t.Errorf("captions:\n%s", text)
	}
}

func BenchmarkTable(b *testing.B) {
	for b.Loop() {
		sample(b, paper.Options{})
	}
}
