package paper

import (
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
)

// The families as fpdf knows them.
const (
	familyText = "go"
	familyMono = "gomono"
)

// missing is what stands for a character that the fonts do not have (WGL4's white square, which they do have).
const missing = '□'

// coverage answers which characters every one of the fonts has. A paper may set any text in any of them.
type coverage struct {
	fonts []*sfnt.Font
	mu    sync.Mutex
	buf   sfnt.Buffer
	known map[rune]bool
}

// theCoverage is read once; the fonts are constants of the program.
var theCoverage = sync.OnceValue(func() *coverage {
	c := &coverage{known: map[rune]bool{}}
	for _, ttf := range [][]byte{goregular.TTF, gobold.TTF, gomono.TTF} {
		f, err := sfnt.Parse(ttf)
		if err != nil {
			panic("paper: a font of the program cannot be read: " + err.Error())
		}
		c.fonts = append(c.fonts, f)
	}
	return c
})

// has tells whether r can be printed as itself.
func (c *coverage) has(r rune) bool {
	if r > 0xFFFF || unicode.IsControl(r) || (r >= 0x202A && r <= 0x202E) || (r >= 0x2066 && r <= 0x2069) {
		return false // the PDF library's fonts end with the basic plane
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if yes, ok := c.known[r]; ok {
		return yes
	}
	yes := true
	for _, f := range c.fonts {
		i, err := f.GlyphIndex(&c.buf, r)
		yes = yes && err == nil && i != 0
	}
	c.known[r] = yes
	return yes
}

// ordinary characters of ours that the fonts lack, and what reads the same.
var substitutes = strings.NewReplacer("\u00a0", " ", "\u202f", " ", "\u2009", " ", "\u2011", "-", "\u2212", "−", "\t", "    ", "\r\n", "\n", "\r", "\n")

// printable is text as the fonts can print it. Line ends stay. What has to be replaced is remembered for the note on the last page.
func (d *Document) printable(text string) string {
	text = substitutes.Replace(strings.ToValidUTF8(text, string(missing)))
	return strings.Map(func(r rune) rune {
		if r == '\n' || theCoverage().has(r) {
			return r
		}
		d.replaced[r] = true
		return missing
	}, text)
}
