package web

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"berth/api"
	"berth/inventory"
	"berth/inventory/elevation"
	"berth/inventory/placement"
)

// rackPages are the racks as pictures, and the form that moves a device where there is no script to drag it.
func (s *Server) rackPages() []route {
	return []route{
		{method: "GET", pattern: "/racks/{ref}", need: "viewer", handle: s.rackPage},
		{method: "GET", pattern: "/racks/{ref}/elevation.svg", need: "viewer", handle: s.rackSVG},
		{method: "POST", pattern: "/racks/{ref}/place", need: "operator", handle: s.placeForm},
		{method: "GET", pattern: "/racks/wall", need: "viewer", handle: s.wallPage},
	}
}

// rackRoutes are the same for programs.
func (s *Server) rackRoutes() []route {
	return []route{
		{method: "GET", pattern: "/api/v1/racks/{ref}/elevation", need: "viewer", handle: s.rackElevation, out: elevation.Elevation{},
			query: []string{"face", "render", "unit_width", "unit_height", "include_images"}, summary: "One face of a rack: laid out as JSON, or with render=svg as a picture"},
		{method: "GET", pattern: "/api/v1/racks/{ref}/power", need: "viewer", handle: s.rackPower, out: inventory.Power{},
			summary: "What a rack draws, measured, allocated and at most, against what its feeds may give"},
		{method: "GET", pattern: "/api/v1/sites/{ref}/wall.svg", need: "viewer", handle: s.siteWall, query: []string{"face"},
			summary: "All racks of a site side by side, as a picture"},
		{method: "POST", pattern: "/api/v1/devices/{ref}/place", need: "operator", handle: s.placeDevice, in: api.PlaceDeviceRequest{}, out: inventory.Device{},
			summary: "Stand a device somewhere else: in a rack's units, at its side, or in none"},
		{method: "GET", pattern: "/api/v1/devices/{ref}/cables", need: "viewer", handle: s.deviceCables, out: []placement.CableLine{},
			summary: "Every cable at a device, with what is at its other end, and for power the way to its feed"},
	}
}

// svgPolicy allows a drawing that stands alone its one style, which is a constant, by its hash; and pictures of this server.
var svgPolicy = func() string {
	sum := sha256.Sum256([]byte(elevation.Style))
	return "default-src 'none'; img-src 'self'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}()

func writeSVG(w http.ResponseWriter, svg []byte) error {
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Content-Security-Policy", svgPolicy)
	_, _ = w.Write(svg) // the client has gone: nobody is left to tell
	return nil
}

// today is the civil date, UTC, where no site says otherwise.
func (s *Server) today() inventory.Date { return inventory.DateOf(s.now().UTC()) }

// rackOf finds the rack a request names, and what is in it.
func (s *Server) rackOf(r *http.Request) (inventory.RackContents, error) {
	rack, err := inventory.Get[inventory.Rack](r.Context(), s.Record, r.PathValue("ref"))
	if err != nil {
		return inventory.RackContents{}, err
	}
	list, err := placement.Contents(r.Context(), s.Record, []*inventory.Rack{rack})
	if err != nil {
		return inventory.RackContents{}, err
	}
	return list[0], nil
}

// drawingOptions reads how a picture is wanted from an address. Errors: *inventory.Invalid, *api.Problem.
func (s *Server) drawingOptions(v url.Values) (elevation.Options, error) {
	o := elevation.Options{Face: v.Get("face"), Today: s.today()}
	for name, into := range map[string]*int{"unit_width": &o.UnitWidth, "unit_height": &o.UnitHeight} {
		if v.Get(name) == "" {
			continue
		}
		n, err := strconv.Atoi(v.Get(name))
		if err != nil {
			return o, invalid(name, "is a number of pixels")
		}
		*into = n
	}
	return o, o.Settle()
}

func (s *Server) rackSVG(w http.ResponseWriter, r *http.Request, who caller) error {
	e, err := s.elevation(r, who)
	if err != nil {
		return err
	}
	return writeSVG(w, e.File())
}

func (s *Server) elevation(r *http.Request, who caller) (*elevation.Elevation, error) {
	o, err := s.drawingOptions(r.URL.Query())
	if err != nil {
		return nil, err
	}
	c, err := s.rackOf(r)
	if err != nil {
		return nil, err
	}
	o.CanEdit = who.Can(inventory.LevelOperator)
	if include, _ := strconv.ParseBool(r.URL.Query().Get("include_images")); include { // what is no truth value is none
		if o.Picture, err = s.typePictures(r.Context(), c.Types); err != nil {
			return nil, err
		}
	}
	return elevation.Of(c, o), nil
}

// typePictures finds the pictures attached to device types whose caption is a face: front or rear.
func (s *Server) typePictures(ctx context.Context, types map[inventory.UID]*inventory.DeviceType) (func(*inventory.DeviceType, string) string, error) {
	var uids []string
	for uid := range types {
		uids = append(uids, string(uid))
	}
	at := map[string]string{}
	if len(uids) > 0 {
		list, err := inventory.List[inventory.Attachment](ctx, s.Record, inventory.Query{Limit: inventory.MaxPage,
			Filters: []inventory.Filter{inventory.Is("noun", "device-type"), {Field: "object", Op: inventory.OpIn, Value: strings.Join(uids, ",")}}})
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			at[string(a.Object)+strings.ToLower(a.Caption)] = "/documents/" + string(a.Document) + "/thumbnail"
		}
	}
	return func(t *inventory.DeviceType, face string) string { return at[string(t.UID)+face] }, nil
}

func (s *Server) rackElevation(w http.ResponseWriter, r *http.Request, who caller) error {
	e, err := s.elevation(r, who)
	if err != nil {
		return err
	}
	switch r.URL.Query().Get("render") {
	case "svg":
		return writeSVG(w, e.File())
	case "", "json":
		return writeJSON(w, http.StatusOK, e)
	}
	return invalid("render", "is svg or json")
}

func (s *Server) rackPower(w http.ResponseWriter, r *http.Request, _ caller) error {
	c, err := s.rackOf(r)
	if err != nil {
		return err
	}
	power, err := placement.Power(r.Context(), s.Record, c.Rack, c.Devices)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, power)
}

func (s *Server) deviceCables(w http.ResponseWriter, r *http.Request, _ caller) error {
	d, err := inventory.Get[inventory.Device](r.Context(), s.Record, r.PathValue("ref"))
	if err != nil {
		return err
	}
	lines, err := placement.Cables(r.Context(), s.Record, []inventory.UID{d.UID})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, lines)
}

// rackView is the page of a rack.
type rackView struct {
	oneView
	Rack     *inventory.Rack
	Faces    []faceView
	Loose    []looseView // in the rack, but at no unit
	Problems []string
	Use      inventory.Utilization
	Power    inventory.Power
	PowerBar template.HTML
	Looks    []elevation.Look
	Form     moveForm
}

// faceView is one picture on a page. Its drawing is escaped by the package that made it.
type faceView struct {
	Title   string
	Face    string
	Drawing template.HTML
}

// looseView is a device that can be dragged to a unit.
type looseView struct {
	Device *inventory.Device
	Height float64
	Slots  int
}

// moveForm is the form that moves a device, with what was typed.
type moveForm struct {
	Devices []option
	Racks   []option
	Typed   url.Values
}

func (s *Server) rackPage(w http.ResponseWriter, r *http.Request, who caller) error {
	return s.drawRackPage(w, r, who, url.Values{}, nil)
}

func (s *Server) drawRackPage(w http.ResponseWriter, r *http.Request, who caller, typed url.Values, problem *api.Problem) error {
	o, err := s.one(r, who, nounNamed("rack"))
	if err != nil {
		return err
	}
	c, err := s.rackOf(r)
	if err != nil {
		return err
	}
	v := rackView{oneView: o, Rack: c.Rack, Use: c.Utilization(s.today()), Problems: c.Problems(s.today()), Looks: looksIn(c)}
	for _, face := range []string{"front", "rear"} {
		v.Faces = append(v.Faces, drawFace(c, elevation.Options{Face: face, Today: s.today(), CanEdit: o.CanEdit, Drag: o.CanEdit}))
	}
	for _, d := range c.Loose() {
		v.Loose = append(v.Loose, loose(d, c.Types[d.DeviceType]))
	}
	if v.Power, err = placement.Power(r.Context(), s.Record, c.Rack, c.Devices); err != nil {
		return err
	}
	v.PowerBar = template.HTML(elevation.PowerBar(v.Power))
	if o.CanEdit {
		if v.Form, err = s.moveForm(r.Context(), c, typed); err != nil {
			return err
		}
	}
	return s.render(w, r, who, "rack", view{Title: c.Rack.Name, Live: "racks,machines,rack-reservations,power-ports", Problem: problem, Data: v})
}

func drawFace(c inventory.RackContents, o elevation.Options) faceView {
	if err := o.Settle(); err != nil {
		panic("web: " + err.Error()) // the options are ours
	}
	return faceView{Title: o.Face, Face: o.Face, Drawing: template.HTML(elevation.Of(c, o).SVG())}
}

func loose(d *inventory.Device, t *inventory.DeviceType) looseView {
	l := looseView{Device: d, Height: 1, Slots: t.Slots()}
	if t != nil {
		l.Height = t.UHeight
	}
	return l
}

// looksIn are the states in racks: a legend need not explain the others.
func looksIn(racks ...inventory.RackContents) []elevation.Look {
	seen := map[string]bool{}
	for _, c := range racks {
		for _, d := range c.Devices {
			state := string(d.ProvisionState)
			if state == "" {
				state = d.Status
			}
			seen[state] = true
		}
	}
	var list []elevation.Look
	for _, l := range elevation.Looks {
		if seen[l.State] {
			list = append(list, l)
		}
	}
	return list
}

func (s *Server) moveForm(ctx context.Context, c inventory.RackContents, typed url.Values) (moveForm, error) {
	f := moveForm{Typed: typed}
	for _, d := range c.Devices {
		f.Devices = append(f.Devices, option{Value: string(d.UID), Text: d.Name, Selected: typed.Get("device") == string(d.UID)})
	}
	racks, err := inventory.List[inventory.Rack](ctx, s.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("site", c.Rack.Site)}, Sort: "name", Limit: maxOptions})
	if err != nil {
		return f, err
	}
	to := typed.Get("rack")
	if to == "" {
		to = string(c.Rack.UID)
	}
	for _, rack := range racks {
		f.Racks = append(f.Racks, option{Value: string(rack.UID), Text: rack.Name, Selected: to == string(rack.UID)})
	}
	return f, nil
}

// placeForm moves a device of this rack, and comes back to it.
func (s *Server) placeForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	d, err := s.standDevice(r, who, v.Get("device"), placeTyped(v))
	if p, ok := again(err); ok {
		return s.drawRackPage(w, r, who, v, p)
	}
	if err != nil {
		return err
	}
	flash(w, "%s was moved.", d.Name)
	return seeOther(w, r, localPath(v.Get("back"), "/racks/"+url.PathEscape(r.PathValue("ref"))))
}

func placeTyped(v url.Values) api.PlaceDeviceRequest {
	in := api.PlaceDeviceRequest{Rack: v.Get("rack"), Face: v.Get("face"), Side: v.Get("side"), OverReservation: strings.TrimSpace(v.Get("over_reservation")), Why: v.Get("why")}
	if position, err := strconv.ParseFloat(v.Get("position"), 64); err == nil {
		in.Position = &position
	}
	in.Slot, _ = strconv.Atoi(v.Get("slot")) // empty is the first
	return in
}

func (s *Server) placeDevice(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusOK, func(in api.PlaceDeviceRequest) (*inventory.Device, error) {
		return s.standDevice(r, who, r.PathValue("ref"), in)
	})
}

func (s *Server) standDevice(r *http.Request, who caller, device string, in api.PlaceDeviceRequest) (d *inventory.Device, err error) {
	rack, _ := nounNamed("device").Field("rack")
	err = s.Record.Edit(r.Context(), edit(r, who, in.Why), func(tx inventory.Tx) error {
		to, err := resolve(tx.Get, rack, in.Rack)
		if err != nil {
			return err
		}
		d, err = placement.Put(tx, device, placement.Place{Rack: to, Position: in.Position, Face: in.Face, Slot: in.Slot, Side: in.Side, OverReservation: in.OverReservation})
		return err
	})
	return d, err
}

// maxWall is how many racks a wall shows.
const maxWall = 200

// wallView is a page of racks side by side.
type wallView struct {
	Site  *inventory.Site
	Sites []option
	Face  string
	Racks []wallRack
	More  bool
	Looks []elevation.Look
}

type wallRack struct {
	Rack     *inventory.Rack
	Use      inventory.Utilization
	Problems []string
	Drawing  template.HTML
}

func (s *Server) wallPage(w http.ResponseWriter, r *http.Request, who caller) error {
	v := wallView{Face: r.URL.Query().Get("face")}
	o := elevation.WallOptions(v.Face, s.today())
	o.Drag = who.Can(inventory.LevelOperator)
	if err := o.Settle(); err != nil {
		return err
	}
	v.Face = o.Face
	list, err := s.wallRacks(r.Context(), &v, r.URL.Query().Get("site"))
	if err != nil {
		return err
	}
	v.Looks = looksIn(list...)
	for _, c := range list {
		v.Racks = append(v.Racks, wallRack{Rack: c.Rack, Use: c.Utilization(s.today()), Problems: c.Problems(s.today()), Drawing: template.HTML(elevation.Of(c, o).SVG())})
	}
	return s.render(w, r, who, "wall", view{Title: "Wall of racks", Live: "racks,machines", Data: v})
}

// wallRacks reads the racks of a site, or of all, and the sites to choose from.
func (s *Server) wallRacks(ctx context.Context, v *wallView, site string) ([]inventory.RackContents, error) {
	sites, err := inventory.List[inventory.Site](ctx, s.Record, inventory.Query{Sort: "slug", Limit: maxOptions})
	if err != nil {
		return nil, err
	}
	q := inventory.Query{Sort: "name", Limit: maxWall + 1}
	for _, x := range sites {
		here := site != "" && (x.Slug == site || string(x.UID) == site)
		v.Sites = append(v.Sites, option{Value: x.Slug, Text: x.Name, Selected: here})
		if here {
			v.Site, q.Filters = x, []inventory.Filter{inventory.Is("site", x.UID)}
		}
	}
	if site != "" && v.Site == nil {
		return nil, inventory.ErrNotFound
	}
	racks, err := inventory.List[inventory.Rack](ctx, s.Record, q)
	if err != nil {
		return nil, err
	}
	v.More = len(racks) > maxWall
	return placement.Contents(ctx, s.Record, racks[:min(len(racks), maxWall)])
}

// siteWall answers with all racks of a site as one picture.
func (s *Server) siteWall(w http.ResponseWriter, r *http.Request, _ caller) error {
	site, err := inventory.Get[inventory.Site](r.Context(), s.Record, r.PathValue("ref"))
	if err != nil {
		return err
	}
	o := elevation.WallOptions(r.URL.Query().Get("face"), s.today())
	if err := o.Settle(); err != nil {
		return err
	}
	racks, err := inventory.List[inventory.Rack](r.Context(), s.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("site", site.UID)}, Sort: "name", Limit: maxWall})
	if err != nil {
		return err
	}
	list, err := placement.Contents(r.Context(), s.Record, racks)
	if err != nil {
		return err
	}
	var drawings []*elevation.Elevation
	for _, c := range list {
		drawings = append(drawings, elevation.Of(c, o))
	}
	return writeSVG(w, elevation.Wall(drawings))
}
