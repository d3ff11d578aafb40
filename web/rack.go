package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"berth/inventory"
)

// The measures of an elevation, in pixels (NetBox's).
const (
	unitWidth  = 220
	unitHeight = 22
	legend     = 30 // the numbers of the units, at the left
	margin     = 15 // for reservations, at the right
	border     = 2
)

// elevation is one face of a rack as it is drawn.
type elevation struct {
	Rack   *inventory.Rack
	Face   string // front or rear
	Width  int
	Height int
	Units  []unitBox
	Boxes  []deviceBox
	// CanEdit makes the free units links to a form.
	CanEdit bool
}

// unitBox is one unit; Number is what is written beside it.
type unitBox struct {
	Number int
	Y      int
	URL    string // the form for a device there
}

// deviceBox is a device, or the back of one.
type deviceBox struct {
	Device *inventory.Device
	Type   string
	Y, H   int
	URL    string
	// Blocked: it is mounted at the other face and is as deep as the rack.
	Blocked bool
}

// X, Y and so on of what is inside the border.
func (e elevation) InnerX() int { return legend + border }

// Text is the box's label, cut to what fits.
func (b deviceBox) Text() string { return truncate(b.Device.Name, 30) }

// Title is what hovering tells.
func (b deviceBox) Title() string {
	d := b.Device
	parts := []string{d.Name}
	for _, text := range []string{d.Role, d.Status, string(d.ProvisionState), b.Type, d.Serial} {
		if text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, ", ")
}

// Middle is the baseline of the label.
func (b deviceBox) Middle() int { return b.Y + b.H/2 + 4 }

// Class is the box's colour: what state the device is in.
func (b deviceBox) Class() string {
	if b.Blocked {
		return "blocked"
	}
	word := string(b.Device.ProvisionState)
	if word == "" {
		word = b.Device.Status
	}
	if c := colours[word]; c != "" {
		return c
	}
	return "gray"
}

// top is the y of the upper edge of something at unit position that is height units high. U1 is at the bottom, unless the rack counts
// its units from the top.
func top(r *inventory.Rack, position, height float64) int {
	start, units := float64(firstUnit(r)), float64(heightOf(r))
	if r.DescUnits {
		return border + int((position-start)*unitHeight)
	}
	return border + int((units-position+start)*unitHeight-height*unitHeight)
}

func firstUnit(r *inventory.Rack) int { return max(r.StartingUnit, 1) }

func heightOf(r *inventory.Rack) int {
	if r.UHeight <= 0 {
		return 42
	}
	return min(r.UHeight, 100)
}

// draw lays out one face.
func draw(r *inventory.Rack, face string, devices []*inventory.Device, types map[inventory.UID]*inventory.DeviceType) elevation {
	units := heightOf(r)
	e := elevation{Rack: r, Face: face, Width: legend + unitWidth + margin + 2*border, Height: units*unitHeight + 2*border}
	for i := range units {
		number := firstUnit(r) + i
		e.Units = append(e.Units, unitBox{Number: number, Y: top(r, float64(number), 1), URL: newDeviceURL(r, face, number)})
	}
	for _, d := range devices {
		if box, ok := boxOf(r, face, d, types[d.DeviceType]); ok {
			e.Boxes = append(e.Boxes, box)
		}
	}
	return e
}

func newDeviceURL(r *inventory.Rack, face string, unit int) string {
	v := url.Values{"rack": {string(r.UID)}, "site": {string(r.Site)}, "face": {face}, "position": {fmt.Sprint(unit)}, "back": {"/racks/" + url.PathEscape(r.Name)}}
	return "/devices/new?" + v.Encode()
}

// boxOf places a device on a face; false when it is not to be seen there.
func boxOf(r *inventory.Rack, face string, d *inventory.Device, t *inventory.DeviceType) (deviceBox, bool) {
	if d.Position == nil {
		return deviceBox{}, false
	}
	height, full, name := 1.0, true, ""
	if t != nil {
		height, full, name = t.UHeight, t.IsFullDepth, t.Model
	}
	mounted := d.Face
	if mounted == "" {
		mounted = "front"
	}
	if height <= 0 || mounted != face && !full {
		return deviceBox{}, false
	}
	noun := deviceNoun
	if d.ProvisionState != inventory.StateNone {
		noun = machineNoun
	}
	return deviceBox{Device: d, Type: name, Y: top(r, *d.Position, height), H: int(height * unitHeight), URL: pageOf(noun, d), Blocked: mounted != face}, true
}

// rackView is the page of a rack.
type rackView struct {
	oneView
	Rack    *inventory.Rack
	Faces   []elevation
	Devices []*inventory.Device
	Loose   []*inventory.Device // in the rack, but at no unit
	Used    float64             // units taken
	Units   int
}

func (s *Server) rackPage(w http.ResponseWriter, r *http.Request, who caller) error {
	o, err := s.one(r, who, nounNamed("rack"))
	if err != nil {
		return err
	}
	rack := o.Object.(*inventory.Rack)
	devices, types, err := s.rackContents(r.Context(), rack)
	if err != nil {
		return err
	}
	v := rackView{oneView: o, Rack: rack, Devices: devices, Units: heightOf(rack)}
	for _, face := range []string{"front", "rear"} {
		e := draw(rack, face, devices, types)
		e.CanEdit = o.CanEdit
		v.Faces = append(v.Faces, e)
	}
	for _, d := range devices {
		if d.Position == nil {
			v.Loose = append(v.Loose, d)
		} else if t := types[d.DeviceType]; t != nil {
			v.Used += t.UHeight
		} else {
			v.Used++
		}
	}
	return s.render(w, r, who, "rack", view{Title: rack.Name, Live: "racks,machines", Data: v})
}

// rackContents lists what is in a rack, and the models of it.
func (s *Server) rackContents(ctx context.Context, rack *inventory.Rack) ([]*inventory.Device, map[inventory.UID]*inventory.DeviceType, error) {
	devices, err := inventory.List[inventory.Device](ctx, s.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("rack", rack.UID)}, Sort: "name", Limit: inventory.MaxPage})
	if err != nil {
		return nil, nil, err
	}
	types := map[inventory.UID]*inventory.DeviceType{}
	var uids []string
	for _, d := range devices {
		if d.DeviceType != "" && types[d.DeviceType] == nil {
			types[d.DeviceType] = &inventory.DeviceType{}
			uids = append(uids, string(d.DeviceType))
		}
	}
	if len(uids) == 0 {
		return devices, types, nil
	}
	list, err := inventory.List[inventory.DeviceType](ctx, s.Record, inventory.Query{Filters: []inventory.Filter{{Field: "uid", Op: inventory.OpIn, Value: strings.Join(uids, ",")}}, Limit: inventory.MaxPage})
	for _, t := range list {
		types[t.UID] = t
	}
	return devices, types, err
}

// svgStyle is the style of an elevation that stands alone. It is the one inline style berth sends, and the answer's policy allows
// exactly this text by its hash.
const svgStyle = `text{font:12px system-ui,sans-serif;fill:#1b2733}.unit{fill:#fff;stroke:#d5dce3}.number{font-size:11px;fill:#66727f}
.frame{fill:none;stroke:#4a5663;stroke-width:2}.box rect{stroke:#fff;stroke-width:1}.box text{fill:#fff;text-anchor:middle}
.green rect{fill:#1e7d45}.blue rect{fill:#1f5fae}.cyan rect{fill:#0b7285}.red rect{fill:#b3261e}.yellow rect{fill:#8a6100}.purple rect{fill:#6b3fa0}.gray rect{fill:#5c6670}
.blocked>rect{fill:url(#hatch);stroke:#b9c1c9}.blocked text{fill:#66727f}.hatch{stroke:#b9c1c9}.hatchback{fill:#fff}
@media(prefers-color-scheme:dark){text{fill:#dde4ec}.unit{fill:#1a222b;stroke:#2d3843}.frame{stroke:#8b97a4}.box rect{stroke:#11171d}.number,.blocked text{fill:#8b97a4}.hatch{stroke:#3b4855}.hatchback{fill:#1a222b}}`

var svgPolicy = func() string {
	sum := sha256.Sum256([]byte(svgStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}()

// rackSVG answers with one face as a picture: ?face=front or rear.
func (s *Server) rackSVG(w http.ResponseWriter, r *http.Request, _ caller) error {
	obj, err := s.Record.Get(r.Context(), nounNamed("rack"), r.PathValue("ref"))
	if err != nil {
		return err
	}
	face := r.URL.Query().Get("face")
	if face == "" {
		face = "front"
	}
	if face != "front" && face != "rear" {
		return invalid("face", "front or rear")
	}
	rack := obj.(*inventory.Rack)
	devices, types, err := s.rackContents(r.Context(), rack)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	// The style is a constant of ours: html/template would escape it inside <style>, and the hash would not hold.
	picture := map[string]any{"Elevation": draw(rack, face, devices, types), "Style": template.HTML("<style>" + svgStyle + "</style>")}
	if err := s.pages.templates["rack"].ExecuteTemplate(&out, "elevation-file", picture); err != nil {
		return fmt.Errorf("draw rack %s: %w", rack.UID, err)
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Content-Security-Policy", svgPolicy)
	_, _ = w.Write(out.Bytes())
	return nil
}
