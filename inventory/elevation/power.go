package elevation

import (
	"fmt"

	"berth/inventory"
)

// PowerBar draws what is drawn against what may be: measured filled, allocated and the most there could be as outlines behind it, and a
// line where the feeds end. It is for a page, and says the same in words for who cannot see it.
func PowerBar(p inventory.Power) []byte {
	const width, height = 320.0, 34.0
	full := max(p.AvailableVA, p.MaximumW, p.AllocatedW, p.UsedW(), 1)
	scale := func(w int) float64 { return (width - 4) * float64(w) / float64(full) }
	k := &ink{}
	k.s(`<svg class="power" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 `).f(width).s(" ").f(height).s(`" width="`).f(width).s(`" height="`).f(height).s(`" role="img" aria-label="`).t(PowerText(p)).s(`">`)
	k.s(`<title>`).t(PowerText(p)).s(`</title><rect class="bar"`).rect(2, 8, scale(p.AvailableVA), 18).s(` rx="2"/>`)
	over := ""
	if p.AvailableVA > 0 && p.UsedW() > p.AvailableVA {
		over = " over"
	}
	k.s(`<rect class="maximum"`).rect(2, 14, scale(p.MaximumW), 6).s(`/><rect class="allocated"`).rect(2, 11, scale(p.AllocatedW), 12).s(`/>`)
	if p.MeasuredW != nil {
		k.s(`<rect class="used`, over, `"`).rect(2, 8, scale(*p.MeasuredW), 18).s(` rx="2"/>`)
	}
	if p.AvailableVA > 0 {
		x := 2 + scale(p.AvailableVA)
		k.s(`<path class="limit" d="M`).f(x).s(` 3V31"/>`)
	}
	k.s("</svg>")
	return k.b
}

// PowerText says in a line what a rack draws.
func PowerText(p inventory.Power) string {
	text := "nothing measured"
	if p.MeasuredW != nil {
		text = fmt.Sprintf("%d W measured", *p.MeasuredW)
	}
	text += fmt.Sprintf(", %d W allocated, %d W at most", p.AllocatedW, p.MaximumW)
	if p.AvailableVA > 0 {
		return text + fmt.Sprintf(", of %d VA", p.AvailableVA)
	}
	return text + ", no feed on record"
}
