package web

import (
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

func (s *Server) movePages() []route {
	return []route{
		{method: "GET", pattern: "/move-plans/{ref}", need: "viewer", handle: s.movePlanPage},
		{method: "POST", pattern: "/move-plans/{ref}/lines", need: "operator", handle: s.moveLineForm},
		{method: "POST", pattern: "/move-plans/{ref}/pack", need: "operator", handle: s.movePackForm},
		{method: "POST", pattern: "/moves/{ref}/apply", need: "operator", handle: s.moveApplyForm},
	}
}

func (s *Server) moveRoutes() []route {
	return []route{
		{method: "GET", pattern: "/api/v1/move-plans/{ref}/plan", need: "viewer", handle: s.readMovePlan, out: placement.Plan{},
			summary: "A move plan worked out: what conflicts, an order that works, what to pick, cables, parcels"},
		{method: "POST", pattern: "/api/v1/move-plans/{ref}/pack", need: "operator", handle: s.packMovePlan, in: api.WhyRequest{}, out: api.Packed{},
			summary: "Put what a plan moves on the packing list of its shipment"},
		{method: "POST", pattern: "/api/v1/moves/{ref}/apply", need: "operator", handle: s.applyMove, in: api.MoveRequest{}, out: inventory.Move{},
			summary: "Make one line of a plan true: removed, done, planned (put back) or cancelled"},
	}
}

func (s *Server) planOfMoves(r *http.Request) (*placement.Plan, error) {
	plan, err := inventory.Get[inventory.MovePlan](r.Context(), s.Record, r.PathValue("ref"))
	if err != nil {
		return nil, err
	}
	return placement.Read(r.Context(), s.Record, plan, s.today())
}

func (s *Server) readMovePlan(w http.ResponseWriter, r *http.Request, _ caller) error {
	p, err := s.planOfMoves(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, p)
}

// movePlanView is the page of a plan.
type movePlanView struct {
	oneView
	*placement.Plan
	Racks []beforeAfter
	Face  string
	Open  int
	Typed url.Values
}

// beforeAfter is one rack twice: as it is, and as it is to be.
type beforeAfter struct {
	Rack          *inventory.Rack
	Before, After template.HTML
}

func (s *Server) movePlanPage(w http.ResponseWriter, r *http.Request, who caller) error {
	return s.drawMovePlan(w, r, who, url.Values{}, nil)
}

func (s *Server) drawMovePlan(w http.ResponseWriter, r *http.Request, who caller, typed url.Values, problem *api.Problem) error {
	o, err := s.one(r, who, nounNamed("move-plan"))
	if err != nil {
		return err
	}
	p, err := s.planOfMoves(r)
	if err != nil {
		return err
	}
	v := movePlanView{oneView: o, Plan: p, Face: "front", Typed: typed}
	if r.URL.Query().Get("face") == "rear" {
		v.Face = "rear"
	}
	leaves, arrives := map[inventory.UID]string{}, map[inventory.UID]string{}
	for _, l := range p.Lines {
		if l.Move.Open() {
			v.Open++
			leaves[l.Device.UID], arrives[l.Device.UID] = "leaves", "comes"
		}
	}
	for i := range p.Before {
		v.Racks = append(v.Racks, beforeAfter{Rack: p.Before[i].Rack,
			Before: drawFace(p.Before[i], elevation.Options{Face: v.Face, Today: s.today(), Note: leaves}).Drawing,
			After:  drawFace(p.After[i], elevation.Options{Face: v.Face, Today: s.today(), Note: arrives}).Drawing})
	}
	return s.render(w, r, who, "moveplan", view{Title: p.Plan.Name, Live: "move-plans,moves,machines", Problem: problem, Data: v})
}

// moveLineForm adds a device to a plan.
func (s *Server) moveLineForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	err = s.Record.Edit(r.Context(), edit(r, who, v.Get("why")), func(tx inventory.Tx) error {
		plan, err := inventory.TxGet[inventory.MovePlan](tx, r.PathValue("ref"))
		if err != nil {
			return err
		}
		return addMove(tx, plan, v)
	})
	if p, ok := again(err); ok {
		return s.drawMovePlan(w, r, who, v, p)
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/move-plans/"+url.PathEscape(r.PathValue("ref"))+"#plan")
}

func addMove(tx inventory.Tx, plan *inventory.MovePlan, v url.Values) error {
	device, err := named(tx, "move", "device", v.Get("device"))
	if err != nil {
		return err
	}
	rack, err := named(tx, "move", "to_rack", v.Get("rack"))
	if err != nil {
		return err
	}
	if device == "" {
		return invalid("device", "say which")
	}
	m := &inventory.Move{MovePlan: plan.UID, Device: device, ToRack: rack, ToSite: plan.ToSite, ToFace: v.Get("face"), ToSide: v.Get("side"), Note: v.Get("note")}
	if position, err := strconv.ParseFloat(v.Get("position"), 64); err == nil {
		m.ToPosition = &position
	}
	m.ToSlot, _ = strconv.Atoi(v.Get("slot")) // empty is the first
	return tx.Create(m)
}

// named finds what a field of a noun is to refer to, by uid or name.
func named(tx inventory.Tx, noun, field, ref string) (inventory.UID, error) {
	f, _ := nounNamed(noun).Field(field)
	uid, err := resolve(tx.Get, f, strings.TrimSpace(ref))
	if err != nil {
		return "", err
	}
	return uid, nil
}

func (s *Server) applyMove(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusOK, func(in api.MoveRequest) (*inventory.Move, error) { return s.moveTo(r, who, in) })
}

func (s *Server) moveTo(r *http.Request, who caller, in api.MoveRequest) (m *inventory.Move, err error) {
	switch in.By {
	case "":
		in.By = "person"
	case "person", "scan":
	default:
		return nil, invalid("by", "is person or scan; a first boot says so itself")
	}
	err = s.Record.Edit(r.Context(), edit(r, who, in.Why), func(tx inventory.Tx) error {
		m, err = placement.ApplyMove(tx, r.PathValue("ref"), in.State, in.By)
		return err
	})
	return m, err
}

// moveApplyForm is a button of the pick list. What cannot be done is said on the plan's page.
func (s *Server) moveApplyForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	m, err := s.moveTo(r, who, api.MoveRequest{State: v.Get("state"), Why: v.Get("why")})
	if p, ok := again(err); ok {
		move, err := inventory.Get[inventory.Move](r.Context(), s.Record, r.PathValue("ref"))
		if err != nil {
			return err
		}
		r.SetPathValue("ref", string(move.MovePlan))
		return s.drawMovePlan(w, r, who, url.Values{}, p)
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/move-plans/"+string(m.MovePlan)+"#plan")
}

func (s *Server) packMovePlan(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusOK, func(in api.WhyRequest) (api.Packed, error) {
		added, err := s.packMoves(r, who, in.Why)
		return api.Packed{Added: added}, err
	})
}

func (s *Server) packMoves(r *http.Request, who caller, why string) (added int, err error) {
	err = s.Record.Edit(r.Context(), edit(r, who, why), func(tx inventory.Tx) error {
		plan, err := inventory.TxGet[inventory.MovePlan](tx, r.PathValue("ref"))
		if err != nil {
			return err
		}
		added, err = placement.Pack(tx, plan, s.today())
		return err
	})
	return added, err
}

func (s *Server) movePackForm(w http.ResponseWriter, r *http.Request, who caller) error {
	added, err := s.packMoves(r, who, "")
	if p, ok := again(err); ok {
		return s.drawMovePlan(w, r, who, url.Values{}, p)
	}
	if err != nil {
		return err
	}
	flash(w, "%s added to the packing list.", plural(added, "line was", "lines were"))
	return seeOther(w, r, "/move-plans/"+url.PathEscape(r.PathValue("ref")))
}
