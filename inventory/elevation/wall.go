package elevation

import (
	"math"
	"net/url"
	"strings"

	"berth/inventory"
)

// The measures of a wall, in pixels.
const (
	wallGap     = 14
	wallCaption = 40 // name, and the bar of what is taken, over each rack
	wallWidth   = 1600
)

// WallOptions are those of the thumbnails on a wall.
func WallOptions(face string, today inventory.Date) Options {
	return Options{Face: face, UnitWidth: 150, UnitHeight: 13, Small: true, Today: today}
}

// Wall sets racks side by side in rows, all standing on the floor of their row, as one drawing that stands alone.
func Wall(racks []*Elevation) []byte {
	rows, width, height := arrange(racks)
	k := &ink{b: make([]byte, 0, 16384*(1+len(racks)))}
	k.s(`<svg class="elevation wall" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 `).f(width).s(" ").f(height).s(`" width="`).f(width).s(`" height="`).f(height).s(`"><style>`, Style, `</style>`)
	y := 0.0
	for _, row := range rows {
		x := 0.0
		for _, e := range row.racks {
			top := y + row.height - e.Height
			k.s(`<g transform="translate(`).f(x).s(" ").f(top).s(`)">`)
			e.caption(k)
			e.body(k)
			k.s(`</g>`)
			x += float64(e.Width) + wallGap
		}
		y += row.height + wallGap
	}
	k.s("</svg>\n")
	return k.b
}

type wallRow struct {
	racks  []*Elevation
	height float64
}

func arrange(racks []*Elevation) (rows []wallRow, width, height float64) {
	x := math.Inf(1)
	for _, e := range racks {
		if x+float64(e.Width) > wallWidth {
			rows, x = append(rows, wallRow{}), 0
		}
		row := &rows[len(rows)-1]
		row.racks = append(row.racks, e)
		row.height = max(row.height, e.Height+wallCaption)
		x += float64(e.Width) + wallGap
		width = max(width, x-wallGap)
	}
	for _, row := range rows {
		height += row.height + wallGap
	}
	return rows, max(width, 1), max(height-wallGap, 1)
}

// caption names a rack over its drawing, and shows how much of it is spoken for.
func (e *Elevation) caption(k *ink) {
	width := float64(e.options.UnitWidth)
	k.s(`<a href="/racks/`).t(url.PathEscape(e.Name)).s(`"><text class="caption" x="`).f(e.x).s(`" y="-18">`).t(fitted(e.Name, width/12)).s(`</text></a>`)
	if len(e.Problems) > 0 {
		k.s(`<text class="bad" x="`).f(e.x + width).s(`" y="-18" text-anchor="end"><title>`).t(strings.Join(e.Problems, "\n")).s(`</title>⚠ `).i(len(e.Problems)).s(`</text>`)
	}
	bar := width - 40
	k.s(`<rect class="bar"`).rect(e.x, -11, bar, 6).s(` rx="3"/><rect class="used"`).rect(e.x, -11, bar*min(1, float64(e.Utilization.Percent())/100), 6).
		s(` rx="3"/><text class="soft" x="`).f(e.x + width).s(`" y="-5" text-anchor="end">`).i(e.Utilization.Percent()).s(` %</text>`)
}
