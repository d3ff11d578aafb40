package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"berth/api"
	"berth/inventory"
	"berth/inventory/stocktake"
)

// scanPages are what one does with a phone or a scanner in the hand. Each is a form with one field that has the focus, so that a scanner
// that types like a keyboard needs nothing else; where the browser can read codes with its camera, a script fills the same field.
func (s *Server) scanPages() []route {
	return []route{
		{method: "GET", pattern: "/scan", need: "viewer", handle: s.scanPage},
		{method: "GET", pattern: "/scan/place", need: "operator", handle: s.scanPlacePage},
		{method: "POST", pattern: "/scan/place", need: "operator", handle: s.scanPlaceForm},
		{method: "GET", pattern: "/stock-takes/{ref}", need: "viewer", handle: s.walkPage},
		{method: "POST", pattern: "/stock-takes/{ref}/scan", need: "operator", handle: s.walkScan},
		{method: "POST", pattern: "/stock-takes/{ref}/close", need: "operator", handle: s.walkClose},
	}
}

// scanActions are the same over REST.
func (s *Server) scanActions() []route {
	return []route{
		{method: "GET", pattern: "/api/v1/scan", need: "viewer", handle: s.scan, out: []api.ScanHit{}, query: []string{"code"},
			summary: "What a code on a label means: the likeliest first, none for an unknown one"},
		{method: "POST", pattern: "/api/v1/scan/place", need: "operator", handle: s.scanPlace, in: api.PlaceRequest{}, status: 204,
			summary: "Put what a code means in a site, location or rack"},
		{method: "POST", pattern: "/api/v1/stock-takes/{ref}/scan", need: "operator", handle: s.stockTakeScan, in: api.ScanRequest{}, out: inventory.StockTakeItem{},
			summary: "Note on a stock-take that a code was seen: expected, unexpected or new"},
		{method: "GET", pattern: "/api/v1/stock-takes/{ref}/report", need: "viewer", handle: s.stockTakeReport, out: api.StockTakeReport{},
			summary: "What a stock-take found so far, and what is missing"},
		{method: "POST", pattern: "/api/v1/stock-takes/{ref}/close", need: "operator", handle: s.stockTakeClose, in: api.CloseRequest{}, out: api.StockTakeReport{},
			summary: "End a stock-take; what was not found is written down as missing"},
	}
}

func scanHits(hits []stocktake.Hit) []api.ScanHit {
	out := make([]api.ScanHit, 0, len(hits))
	for _, h := range hits {
		out = append(out, api.ScanHit{Noun: h.Noun.Name, UID: h.Object.Head().UID, Display: h.Noun.Display(h.Object), Field: h.Field})
	}
	return out
}

func (s *Server) scan(w http.ResponseWriter, r *http.Request, _ caller) error {
	hits, err := stocktake.Resolve(s.reading(r.Context()), r.URL.Query().Get("code"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, scanHits(hits))
}

func (s *Server) scanPlace(w http.ResponseWriter, r *http.Request, who caller) error {
	var in api.PlaceRequest
	if err := readJSON(r, &in); err != nil {
		return err
	}
	_, err := s.place(r, who, in)
	return noContent(w, err)
}

// place resolves code and place, and puts the thing there. It returns what it was.
func (s *Server) place(r *http.Request, who caller, in api.PlaceRequest) (hit stocktake.Hit, err error) {
	err = s.Record.Edit(r.Context(), edit(r, who, orElse(in.Why, "placed by scan")), func(tx inventory.Tx) error {
		hits, err := stocktake.Resolve(tx, in.Code)
		if err != nil {
			return err
		}
		if len(hits) == 0 {
			return invalid("code", "nothing on record bears %q", truncate(in.Code, 80))
		}
		hit = hits[0]
		site, location, rack, err := placeOf(tx, in)
		if err != nil {
			return err
		}
		return stocktake.Place(tx, hit, site, location, rack, in.Position, in.Face)
	})
	return hit, err
}

// placeOf finds where a request means; of a rack or location the site is known.
func placeOf(tx inventory.Tx, in api.PlaceRequest) (site, location, rack inventory.UID, err error) {
	if in.Rack != "" {
		r, err := inventory.TxGet[inventory.Rack](tx, in.Rack)
		if err != nil {
			return "", "", "", noSuch(err, "rack", in.Rack)
		}
		return r.Site, r.Location, r.UID, nil
	}
	if in.Location != "" {
		l, err := inventory.TxGet[inventory.Location](tx, in.Location)
		if err != nil {
			return "", "", "", noSuch(err, "location", in.Location)
		}
		return l.Site, l.UID, "", nil
	}
	if in.Site == "" {
		return "", "", "", invalid("rack", "say where: a rack, a location or a site")
	}
	found, err := inventory.TxGet[inventory.Site](tx, in.Site)
	if err != nil {
		return "", "", "", noSuch(err, "site", in.Site)
	}
	return found.UID, "", "", nil
}

// noSuch turns a reference that leads nowhere into a word beside its field.
func noSuch(err error, field, ref string) error {
	if errors.Is(err, inventory.ErrNotFound) {
		return invalid(field, "there is no %s %q", field, truncate(ref, 80))
	}
	return err
}

func orElse(text, standard string) string {
	if text == "" {
		return standard
	}
	return text
}

// stockTake runs fn on the stock-take that the request names.
func (s *Server) stockTake(r *http.Request, who caller, why string, fn func(inventory.Tx, *inventory.StockTake) error) error {
	return s.Record.Edit(r.Context(), edit(r, who, why), func(tx inventory.Tx) error {
		st, err := inventory.TxGet[inventory.StockTake](tx, r.PathValue("ref"))
		if err != nil {
			return err
		}
		return fn(tx, st)
	})
}

func (s *Server) stockTakeScan(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusOK, func(in api.ScanRequest) (item *inventory.StockTakeItem, err error) {
		err = s.stockTake(r, who, "", func(tx inventory.Tx, st *inventory.StockTake) error {
			item, err = stocktake.Scan(tx, st, in.Code, in.Place, who.Actor.Name)
			return err
		})
		return item, err
	})
}

func (s *Server) stockTakeReport(w http.ResponseWriter, r *http.Request, _ caller) error {
	report, err := s.walkSoFar(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, wireWalk(report))
}

// walkSoFar sums up the stock-take that the request names.
func (s *Server) walkSoFar(r *http.Request) (*stocktake.Report, error) {
	st, err := inventory.Get[inventory.StockTake](r.Context(), s.Record, r.PathValue("ref"))
	if err != nil {
		return nil, err
	}
	return stocktake.Look(s.reading(r.Context()), st)
}

func wireWalk(r *stocktake.Report) api.StockTakeReport {
	return api.StockTakeReport{StockTake: r.StockTake, Expected: list(r.Expected), Unexpected: list(r.Unexpected), New: list(r.New), Missing: list(r.Missing)}
}

// list is never null on the wire.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

func (s *Server) stockTakeClose(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusOK, func(in api.CloseRequest) (out api.StockTakeReport, err error) {
		err = s.stockTake(r, who, in.Why, func(tx inventory.Tx, st *inventory.StockTake) error {
			report, err := stocktake.Close(tx, st, in.MarkMissing)
			if err == nil {
				out = wireWalk(report)
			}
			return err
		})
		return out, err
	})
}

// allowCamera lets a page with a scanner ask the browser for the camera; no other page may.
func allowCamera(w http.ResponseWriter) {
	w.Header().Set("Permissions-Policy", "camera=(self), geolocation=(), microphone=()")
}

type scanView struct {
	Code  string
	Asked bool
	Hits  []api.ScanHit
	Walks []*inventory.StockTake // open ones
}

// URL is where a hit leads.
func (scanView) URL(h api.ScanHit) string {
	n, _ := inventory.NounOf(h.Noun)
	return "/" + n.Plural + "/" + string(h.UID)
}

func (s *Server) scanPage(w http.ResponseWriter, r *http.Request, who caller) error {
	allowCamera(w)
	v := scanView{Code: strings.TrimSpace(r.URL.Query().Get("code"))}
	var problem *api.Problem
	if v.Code != "" {
		hits, err := stocktake.Resolve(s.reading(r.Context()), v.Code)
		if p, ok := again(err); ok {
			problem = p
		} else if err != nil {
			return err
		}
		v.Hits, v.Asked = scanHits(hits), problem == nil
	}
	var err error
	if v.Walks, err = inventory.List[inventory.StockTake](r.Context(), s.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("state", "open")}, Limit: 10}); err != nil {
		return err
	}
	return s.render(w, r, who, "scan", view{Title: "Scan", Problem: problem, Data: v})
}

// placeView is the form for putting things away; what was typed last is kept, because the next thing often goes to the same place.
type placeView struct {
	Code, Rack, Location, Position, Face string
}

func (s *Server) scanPlacePage(w http.ResponseWriter, r *http.Request, who caller) error {
	allowCamera(w)
	q := r.URL.Query()
	return s.render(w, r, who, "place", view{Title: "Put in its place", Data: placeView{q.Get("code"), q.Get("rack"), q.Get("location"), q.Get("position"), q.Get("face")}})
}

func (s *Server) scanPlaceForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	typed := placeView{v.Get("code"), v.Get("rack"), v.Get("location"), v.Get("position"), v.Get("face")}
	hit, err := s.placeTyped(r, who, typed)
	if p, ok := again(err); ok {
		allowCamera(w)
		return s.render(w, r, who, "place", view{Title: "Put in its place", Problem: p, Data: typed})
	}
	if err != nil {
		return err
	}
	flash(w, "%s %s is in its place.", hit.Noun.Title, hit.Noun.Display(hit.Object))
	return seeOther(w, r, "/scan/place?"+url.Values{"rack": {typed.Rack}, "location": {typed.Location}, "face": {typed.Face}}.Encode())
}

func (s *Server) placeTyped(r *http.Request, who caller, typed placeView) (stocktake.Hit, error) {
	in := api.PlaceRequest{Code: typed.Code, Rack: strings.TrimSpace(typed.Rack), Location: strings.TrimSpace(typed.Location), Face: typed.Face}
	if text := strings.TrimSpace(typed.Position); text != "" {
		unit, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return stocktake.Hit{}, invalid("position", "must be a number")
		}
		in.Position = &unit
	}
	return s.place(r, who, in)
}

type walkView struct {
	*stocktake.Report
	Place string
	Names map[inventory.UID]string // tags of assets, by uid
	Where string
}

func (s *Server) walkPage(w http.ResponseWriter, r *http.Request, who caller) error {
	return s.drawWalk(w, r, who, nil)
}

func (s *Server) drawWalk(w http.ResponseWriter, r *http.Request, who caller, problem *api.Problem) error {
	allowCamera(w)
	v := walkView{Place: r.FormValue("place"), Names: map[inventory.UID]string{}}
	var err error
	if v.Report, err = s.walkSoFar(r); err != nil {
		return err
	}
	if v.Where, err = s.whereOf(r.Context(), v.StockTake); err != nil {
		return err
	}
	if err := s.tagsOf(r.Context(), &v); err != nil {
		return err
	}
	return s.render(w, r, who, "walk", view{Title: v.StockTake.Name, Live: "stock-takes,stock-take-items", Problem: problem, Data: v})
}

// shownItems is how many lines of each kind a walk's page shows; the report over REST has all.
const shownItems = 200

// Shown cuts a list to what a page shows.
func (walkView) Shown(items []*inventory.StockTakeItem) []*inventory.StockTakeItem {
	return items[max(0, len(items)-shownItems):]
}

// ShownAssets cuts the missing to what a page shows.
func (v walkView) ShownAssets() []*inventory.Asset {
	return v.Missing[:min(len(v.Missing), shownItems)]
}

// tagsOf finds what to call the assets that the page shows, in one list.
func (s *Server) tagsOf(ctx context.Context, v *walkView) error {
	var uids []string
	for _, items := range [][]*inventory.StockTakeItem{v.Shown(v.Expected), v.Shown(v.Unexpected)} {
		for _, item := range items {
			uids = append(uids, string(item.Asset))
		}
	}
	if len(uids) == 0 {
		return nil
	}
	assets, err := inventory.List[inventory.Asset](ctx, s.Record, inventory.Query{Filters: []inventory.Filter{{Field: "uid", Op: inventory.OpIn, Value: strings.Join(uids, ",")}}, Limit: inventory.MaxPage})
	for _, a := range assets {
		v.Names[a.UID] = a.AssetTag
	}
	return err
}

// whereOf says in words where a stock-take walks.
func (s *Server) whereOf(ctx context.Context, st *inventory.StockTake) (string, error) {
	for _, place := range []struct {
		noun string
		uid  inventory.UID
	}{{"rack", st.Rack}, {"location", st.Location}, {"site", st.Site}} {
		if place.uid == "" {
			continue
		}
		n, _ := inventory.NounOf(place.noun)
		obj, err := s.Record.Get(ctx, n, string(place.uid))
		if err != nil {
			return "", err
		}
		return strings.ToLower(n.Title) + " " + n.Display(obj), nil
	}
	return "everything there is", nil
}

func (s *Server) walkScan(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	var item *inventory.StockTakeItem
	err = s.stockTake(r, who, "", func(tx inventory.Tx, st *inventory.StockTake) (err error) {
		item, err = stocktake.Scan(tx, st, v.Get("code"), strings.TrimSpace(v.Get("place")), who.Actor.Name)
		return err
	})
	if p, ok := again(err); ok {
		return s.drawWalk(w, r, who, p)
	}
	if err != nil {
		return err
	}
	flash(w, "%s: %s.", truncate(item.Code, 80), resultWords[item.Result])
	return seeOther(w, r, joinPath("/stock-takes", r.PathValue("ref"))+"?"+url.Values{"place": {v.Get("place")}}.Encode())
}

var resultWords = map[string]string{"expected": "expected here", "unexpected": "on record, but not here", "new": "not on record", "missing": "was missing"}

func (s *Server) walkClose(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	err = s.stockTake(r, who, v.Get("why"), func(tx inventory.Tx, st *inventory.StockTake) error {
		_, err := stocktake.Close(tx, st, v.Get("mark_missing") == "true")
		return err
	})
	if p, ok := again(err); ok {
		return s.drawWalk(w, r, who, p)
	}
	if err != nil {
		return err
	}
	flash(w, "The stock-take is closed.")
	return seeOther(w, r, joinPath("/stock-takes", r.PathValue("ref")))
}
