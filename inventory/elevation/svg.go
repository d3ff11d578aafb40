package elevation

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Style is the style of a drawing that stands alone. It is a constant, so that who sends it can allow exactly this text by its hash. In a
// page the same classes are styled by the page's own sheet.
const Style = `text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#1b2733}.unit{fill:#fff;stroke:#d5dce3}.grid{fill:none;stroke:#d5dce3}.back{fill:#fff}.number{font-size:11px;fill:#66727f}
.frame{fill:none;stroke:#4a5663;stroke-width:2}.box>rect{stroke:#fff;stroke-width:1}.box text{fill:#fff;font-weight:600;pointer-events:none}.box .type{font-weight:400;font-size:10px}.box .mark{font-size:10px;text-anchor:middle}
.box .tab{fill:#000;fill-opacity:.28;stroke:none}.box .veil{fill:#000;fill-opacity:.5;stroke:none}
.green>.body{fill:#1e7d45}.blue>.body{fill:#1f5fae}.cyan>.body{fill:#0b7285}.red>.body{fill:#b3261e}.yellow>.body{fill:#8a6100}.purple>.body{fill:#6b3fa0}.gray>.body{fill:#5c6670}
.blocked>.body{stroke:#b9c1c9}.blocked text{fill:#4a5663;font-weight:400}.hatch{stroke:#ccd3da}.hatchback{fill:#fff}.wrong>.body{stroke:#ff3b30;stroke-width:3;stroke-dasharray:5 3}
.reserved{fill:#1f5fae;fill-opacity:.18;stroke:#1f5fae;stroke-width:1.5}.caption{font-weight:600}.soft{fill:#66727f;font-size:11px}.bad{fill:#b3261e;font-weight:600}
.bar{fill:#d5dce3}.used{fill:#1f5fae}.over{fill:#b3261e}
@media(prefers-color-scheme:dark){text{fill:#dde4ec}.unit,.back{fill:#1a222b}.unit,.grid{stroke:#2d3843}.frame{stroke:#8b97a4}.box>rect{stroke:#11171d}.number,.soft{fill:#98a5b3}.blocked text{fill:#98a5b3}.hatch{stroke:#3b4855}.hatchback{fill:#1a222b}.reserved{stroke:#7cb2f0;fill:#7cb2f0}.bad{fill:#ff8f86}.bar{fill:#2d3843}.used{fill:#3a7bd0}}
@media print{*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}`

// ink is text under way to becoming SVG.
type ink struct{ b []byte }

// s writes text of ours as it is.
func (k *ink) s(texts ...string) *ink {
	for _, t := range texts {
		k.b = append(k.b, t...)
	}
	return k
}

// f writes a length: two decimals at most.
func (k *ink) f(x float64) *ink {
	if x == float64(int64(x)) {
		k.b = strconv.AppendInt(k.b, int64(x), 10)
		return k
	}
	k.b = strconv.AppendFloat(k.b, math.Round(x*100)/100, 'f', -1, 64)
	return k
}

func (k *ink) i(n int) *ink {
	k.b = strconv.AppendInt(k.b, int64(n), 10)
	return k
}

// t writes text of others, in an element or a quoted attribute. Characters that XML 1.0 does not know become the replacement mark.
func (k *ink) t(text string) *ink {
	for _, r := range text {
		switch {
		case r == '&':
			k.b = append(k.b, "&amp;"...)
		case r == '<':
			k.b = append(k.b, "&lt;"...)
		case r == '>':
			k.b = append(k.b, "&gt;"...)
		case r == '"':
			k.b = append(k.b, "&#34;"...)
		case r == '\'':
			k.b = append(k.b, "&#39;"...)
		case r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF:
			k.b = utf8.AppendRune(k.b, utf8.RuneError)
		default:
			k.b = utf8.AppendRune(k.b, r)
		}
	}
	return k
}

// rect writes the geometry of a rectangle as attributes.
func (k *ink) rect(x, y, w, h float64) *ink {
	return k.s(` x="`).f(x).s(`" y="`).f(y).s(`" width="`).f(w).s(`" height="`).f(h).s(`"`)
}

// SVG writes the drawing for a page: the element alone, styled by the page.
func (e *Elevation) SVG() []byte {
	k := &ink{b: make([]byte, 0, 4096+600*(len(e.Units)+len(e.Boxes)))}
	e.open(k, false)
	e.body(k)
	k.s("</svg>")
	return k.b
}

// File writes the drawing so that it stands alone.
func (e *Elevation) File() []byte {
	k := &ink{b: make([]byte, 0, 8192+600*(len(e.Units)+len(e.Boxes)))}
	e.open(k, true)
	e.body(k)
	k.s("</svg>\n")
	return k.b
}

func (e *Elevation) open(k *ink, alone bool) {
	k.s(`<svg class="elevation`)
	if e.options.Small {
		k.s(" small")
	}
	k.s(`" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 `).i(e.Width).s(" ").f(e.Height).s(`" width="`).i(e.Width).s(`" height="`).f(e.Height).s(`" role="group" aria-label="`).
		t(e.Name).s(`, `, e.Face, `"`)
	if e.options.Drag {
		k.s(` data-rack="`).t(string(e.Rack)).s(`" data-face="`, e.Face, `" data-first="`).i(e.rack.StartingUnit).s(`" data-units="`).i(e.rack.UHeight).
			s(`" data-top="`).f(border + e.above).s(`" data-x="`).f(e.x).s(`" data-unit-height="`).i(e.options.UnitHeight).s(`" data-unit-width="`).i(e.options.UnitWidth).s(`"`)
		if e.rack.DescUnits {
			k.s(` data-desc="1"`)
		}
	}
	k.s(">")
	if alone {
		k.s("<style>", Style, "</style>")
	}
}

// body draws from the back to the front: the frame's inside, units, devices, the frame, what is beside it.
func (e *Elevation) body(k *ink) {
	k.s(`<defs><pattern id="h`, e.prefix, `" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="hatchback" width="8" height="8"/><path class="hatch" d="M0 0V8" stroke-width="5"/></pattern></defs>`)
	e.units(k)
	for i := range e.Boxes {
		e.box(k, &e.Boxes[i])
	}
	k.s(`<rect class="frame"`).rect(e.x-1, border+e.above-1, float64(e.options.UnitWidth+2), float64(e.rack.UHeight*e.options.UnitHeight)+2).s(` rx="3"/>`)
	for i := range e.Sides {
		e.side(k, &e.Sides[i])
	}
	x := float64(e.Width - margin + 2)
	for _, v := range e.Reservations {
		k.s(`<a href="`).t(v.URL).s(`"><title>`).t(v.Title).s(`</title><rect class="reserved"`).rect(x, v.Y+1, margin-4, v.H-2).s(` rx="2"/></a>`)
	}
}

func (e *Elevation) units(k *ink) {
	uw, uh := float64(e.options.UnitWidth), float64(e.options.UnitHeight)
	top, height := border+e.above, float64(e.rack.UHeight)*uh
	k.s(`<rect class="back"`).rect(e.x, top, uw, height).s(`/>`)
	for _, u := range e.Units {
		if !e.options.Small {
			k.s(`<text class="number" x="14" y="`).f(u.Y + uh/2 + 4).s(`" text-anchor="middle">`).i(u.Number).s(`</text>`)
		}
		if u.URL != "" && !e.options.Small {
			k.s(`<a href="`).t(u.URL).s(`" aria-label="Free unit `).i(u.Number).s(`"><rect class="unit"`).rect(e.x, u.Y, uw, uh).s(`/></a>`)
		}
	}
	k.s(`<path class="grid" d="`)
	for i := 1; i < e.rack.UHeight; i++ {
		k.s("M").f(e.x).s(" ").f(top + float64(i)*uh).s("h").f(uw)
	}
	k.s(`"/>`)
}

func (e *Elevation) box(k *ink, b *Box) {
	e.openBox(k, b)
	k.s(`<title>`).t(b.Title).s(`</title>`)
	inset := 0.5
	k.s(`<rect class="body"`)
	if b.Blocked {
		k.s(` fill="url(#h`, e.prefix, `)"`)
	}
	k.rect(b.X+inset, b.Y+inset, max(1, b.W-2*inset), max(1, b.H-2*inset)).s(` rx="2"/>`)
	if b.Picture != "" {
		k.s(`<image href="`).t(b.Picture).s(`"`).rect(b.X+inset, b.Y+inset, b.W-2*inset, b.H-2*inset).s(` preserveAspectRatio="none"/><rect class="veil"`).
			rect(b.X+inset, b.Y+b.H/2-9, b.W-2*inset, min(18, b.H)).s(`/>`)
	}
	e.words(k, b)
	k.s(`</a>`)
}

func (e *Elevation) openBox(k *ink, b *Box) {
	look := b.Colour
	if b.Blocked {
		look = "blocked"
	}
	k.s(`<a class="box `, look)
	if b.Wrong {
		k.s(" wrong")
	}
	if b.Note != "" {
		k.s(" noted")
	}
	k.s(`" href="`).t(b.URL).s(`"`)
	if e.options.Drag {
		if b.Blocked {
			k.s(` data-fixed="1"`)
		}
		k.s(` data-device="`).t(string(b.Device)).s(`" data-name="`).t(b.Name).s(`" data-height="`).f(b.To - b.From).s(`" data-slots="`).i(b.slots).s(`" data-slot="`).i(b.Slot).s(`"`)
		if b.Side != "" {
			k.s(` data-side="`, b.Side, `"`)
		}
	}
	k.s(">")
}

// words writes the mark and as much of the names as fits, measured and not guessed at by their number.
func (e *Elevation) words(k *ink, b *Box) {
	size := min(12, b.H*0.8)
	tab := 0.0
	if !b.Blocked && b.W >= 40 {
		tab = 14
		k.s(`<rect class="tab"`).rect(b.X+0.5, b.Y+0.5, tab, b.H-1).s(`/>`)
		markSize := min(10, b.H*0.75)
		writeFitted(k, b.Mark, b.X+0.5+tab/2, b.Y+b.H/2+markSize*0.35, markSize, tab, "mark")
	}
	room := b.W - tab - 6
	middle := b.X + tab + (b.W-tab)/2
	name := b.Name
	if b.Note != "" {
		name += " · " + b.Note
	}
	second := b.Type
	two := second != "" && !b.Blocked && b.H >= 34 && b.Picture == ""
	y := b.Y + b.H/2 + size*0.35
	if two {
		y -= 7
	}
	writeFitted(k, name, middle, y, size, room, "")
	if two {
		writeFitted(k, second, middle, y+14, 10, room, "type")
	}
}

// writeFitted writes a text in the middle of the room it has: smaller if it must be, and cut only below the size that can be read.
func writeFitted(k *ink, text string, x, y, size, room float64, class string) {
	const least = 8.5
	wide := Width(text)
	if wide*size > room {
		size = max(min(least, size), room/wide)
	}
	if wide*size > room {
		text = cut(text, room/size)
	}
	if text == "" {
		return
	}
	k.s(`<text`)
	if class != "" {
		k.s(` class="`, class, `"`)
	}
	k.s(` x="`).f(x).s(`" y="`).f(y).s(`" text-anchor="middle"`)
	if size != base(class) {
		// An attribute would lose against the style sheet, and a style attribute against the page's policy: so the text is scaled.
		k.s(` transform="translate(`).f(x).s(` `).f(y).s(`) scale(`).s(strconv.FormatFloat(size/base(class), 'f', 3, 64)).s(`) translate(`).f(-x).s(` `).f(-y).s(`)"`)
	}
	k.s(`>`).t(text).s(`</text>`)
}

// base is the size that the style sheets give a text of the class.
func base(class string) float64 {
	if class != "" {
		return 10
	}
	return 12
}

func cut(text string, room float64) string {
	runes := []rune(text)
	for len(runes) > 1 {
		runes = runes[:len(runes)-1]
		if Width(string(runes))+Width("…") <= room {
			return strings.TrimRight(string(runes), " .-") + "…"
		}
	}
	return ""
}

// Width is about how wide a text is, for a font size of 1. Whose fonts a browser has is not known; the classes are those of DejaVu Sans
// Bold, which is wider than most, so that what is said to fit does.
func Width(text string) float64 {
	w := 0.0
	for _, r := range text {
		switch {
		case strings.ContainsRune("iljI.,:;'|! ", r):
			w += 0.38
		case strings.ContainsRune("frt-()[]/\"", r):
			w += 0.46
		case strings.ContainsRune("mwMW@%…", r):
			w += 1.02
		case r >= 'A' && r <= 'Z':
			w += 0.78
		case r >= 0x1100:
			w += 1.1 // writing systems of whole squares, and pictures
		default:
			w += 0.70
		}
	}
	return w
}

// side draws an upright bar with its name from the bottom up.
func (e *Elevation) side(k *ink, b *Box) {
	e.openBox(k, b)
	x, y := b.X+b.W/2+4, b.Y+b.H-20
	k.s(`<title>`).t(b.Title).s(`</title><rect class="body"`).rect(b.X, b.Y, b.W, b.H).s(` rx="2"/><rect class="tab"`).rect(b.X, b.Y+b.H-15, b.W, 15).
		s(`/><text class="mark" x="`).f(b.X + b.W/2).s(`" y="`).f(b.Y + b.H - 4).s(`">`).t(b.Mark).s(`</text>`)
	text := b.Name
	if Width(text)*12 > b.H-40 {
		text = cut(text, (b.H-40)/12)
	}
	k.s(`<text x="`).f(x).s(`" y="`).f(y).s(`" transform="rotate(-90 `).f(x).s(` `).f(y).s(`)">`).t(text).s(`</text></a>`)
}

// fitted cuts a text to what has room for a font size of 1.
func fitted(text string, room float64) string {
	if Width(text) <= room {
		return text
	}
	return cut(text, room)
}
