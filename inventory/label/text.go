package label

import (
	"slices"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// The Go fonts are in the program: what is measured is what is printed. They know Latin, Greek and Cyrillic; another character is printed
// as a question mark, and the code still holds who it is.

// typeface measures texts of one font, and remembers the characters it was asked for.
type typeface struct {
	mu     sync.Mutex
	font   *sfnt.Font
	buffer sfnt.Buffer
	known  map[rune]float64 // -1 for what the font does not know
}

// maxKnown bounds what is remembered, since texts come from anybody.
const maxKnown = 5000

var regular, bold = sync.OnceValue(func() *typeface { return parse(goregular.TTF) }), sync.OnceValue(func() *typeface { return parse(gobold.TTF) })

func parse(ttf []byte) *typeface {
	f, err := sfnt.Parse(ttf)
	if err != nil {
		panic("label: " + err.Error()) // the font is part of the program
	}
	return &typeface{font: f, known: map[rune]float64{}}
}

func face(heavy bool) *typeface {
	if heavy {
		return bold()
	}
	return regular()
}

// advance is the width of a character for a font size of 1; false when the font does not know it.
func (t *typeface) advance(r rune) (float64, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, seen := t.known[r]
	if !seen {
		a = t.look(r)
		if len(t.known) < maxKnown {
			t.known[r] = a
		}
	}
	return max(a, 0), a >= 0
}

func (t *typeface) look(r rune) float64 {
	const em = 1000
	glyph, err := t.font.GlyphIndex(&t.buffer, r)
	if err != nil || glyph == 0 {
		return -1
	}
	a, err := t.font.GlyphAdvance(&t.buffer, glyph, fixed.I(em), font.HintingNone)
	if err != nil {
		return -1
	}
	return float64(a) / 64 / em
}

// measure is the width of a printable text for a font size of 1.
func measure(text string, heavy bool) float64 {
	width := 0.0
	for _, r := range text {
		a, _ := face(heavy).advance(r)
		width += a
	}
	return width
}

// printable puts a question mark in place of what the font does not know, and a blank in place of what is none.
func printable(text string, heavy bool) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		if _, known := face(heavy).advance(r); !known {
			return '?'
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// line is one line of a label: first as wished, then as placed.
type line struct {
	text  string
	bold  bool
	scale float64 // against the largest line
	rows  int     // that it may be wrapped into
	size  float64 // mm
	y     float64 // of the baseline, mm from the top of the text
	width float64
}

// linesOf are the lines of a label, without empty ones and without saying a thing twice.
func linesOf(item Item) []line {
	serial := item.Serial
	if serial != "" {
		serial = "S/N " + serial
	}
	all := []line{{text: item.Tag, bold: true, scale: 1, rows: 2}, {text: item.Name, scale: 0.72, rows: 2}, {text: serial, scale: 0.72, rows: 2}, {text: item.Detail, scale: 0.62, rows: 1}}
	var lines []line
	seen := map[string]bool{"": true}
	for _, l := range all {
		l.text = printable(l.text, l.bold)
		if !seen[l.text] {
			seen[l.text] = true
			lines = append(lines, l)
		}
	}
	return lines
}

const (
	largest  = 6.5  // mm of the first line's font
	smallest = 1.5  // mm, about 4 points: below, a text is cut
	leading  = 1.18 // from one baseline to the next
	ascent   = 0.93 // of Go's fonts, with room for accents
)

// fit makes the lines as large as the room allows: smaller where they are too long or too many, wrapped where that lets them be larger,
// and cut with an ellipsis where nothing else helps. Nothing is ever wider or higher than the room.
func fit(item Item, width, height float64) []line {
	wished := linesOf(item)
	whole, size := grow(wished, width, height, 1)
	wrapped, larger := grow(wished, width, height, 2)
	switch {
	case whole != nil && size >= 0.65*larger: // a line that is whole reads better than one that is a little larger
		return whole
	case wrapped != nil:
		return wrapped
	}
	for n := len(wished); n > 0; n-- {
		if placed, ok := arrange(wished[:n], smallest, width, height, true); ok {
			return placed
		}
	}
	return nil
}

// grow finds the largest size at which the lines fit when each may be wrapped into so many rows; nil when there is none.
func grow(wished []line, width, height float64, rows int) ([]line, float64) {
	limited := slices.Clone(wished)
	for i := range limited {
		limited[i].rows = min(limited[i].rows, rows)
	}
	for size := largest; size >= smallest; size *= 0.96 {
		if placed, ok := arrange(limited, size, width, height, false); ok {
			return placed, size
		}
	}
	return nil, 0
}

// arrange sets the lines at a size; with cut, what is too long is shortened. False when they do not fit.
func arrange(wished []line, size, width, height float64, cut bool) ([]line, bool) {
	var placed []line
	y := 0.0
	for _, l := range wished {
		l.size = max(size*l.scale, smallest*0.8)
		rows := wrap(l, width)
		for least := max(smallest, 0.55*l.size); len(rows) > l.rows && l.size*0.95 > least; rows = wrap(l, width) {
			l.size *= 0.95 // a long line shrinks by itself before all of them do
		}
		if len(rows) > l.rows {
			if !cut {
				return nil, false
			}
			rows = []string{shorten(l, width)}
		}
		for _, row := range rows {
			l.text, l.width = row, measure(row, l.bold)*l.size
			l.y = y + ascent*l.size
			y += leading * l.size
			placed = append(placed, l)
		}
	}
	if y > height {
		return nil, false
	}
	for i := range placed { // in the middle of the height
		placed[i].y += (height - y) / 2
	}
	return placed, true
}

// wrap breaks a text into rows that are no wider than the room: after a blank, a hyphen, a dot or a slash if there is one, else anywhere.
func wrap(l line, width float64) []string {
	var rows []string
	rest := []rune(l.text)
	for len(rest) > 0 {
		n := longest(rest, l, width)
		if n == 0 {
			return append(rows, string(rest), "", "") // not even one character fits: too many rows for anybody
		}
		if n < len(rest) {
			if at := strings.LastIndexAny(string(rest[:n]), " -./_"); at > 0 {
				n = len([]rune(string(rest[:n])[:at+1]))
			}
		}
		rows = append(rows, strings.TrimSpace(string(rest[:n])))
		rest = []rune(strings.TrimSpace(string(rest[n:])))
	}
	return rows
}

// longest is how many characters fit.
func longest(text []rune, l line, width float64) int {
	used := 0.0
	for i, r := range text {
		a, _ := face(l.bold).advance(r)
		if used += a * l.size; used > width {
			return i
		}
	}
	return len(text)
}

func shorten(l line, width float64) string {
	text := []rune(l.text)
	dots := measure("…", l.bold) * l.size
	n := longest(text, l, width-dots)
	if n == len(text) {
		return l.text
	}
	if n == 0 {
		return ""
	}
	return strings.TrimSpace(string(text[:n])) + "…"
}
