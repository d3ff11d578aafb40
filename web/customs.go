package web

import (
	"net/http"

	"berth/api"
	"berth/inventory"
	"berth/inventory/finance"
)

// The papers of a shipment for customs.

// customsRoutes are REST for the customs pack.
func (s *Server) customsRoutes() []route {
	return []route{
		{method: "GET", pattern: "/api/v1/shipments/{ref}/customs", need: "viewer", surface: surfaceAPI, handle: s.customs, out: api.CustomsPack{},
			summary: "What customs would ask for that is missing, and which papers can be printed"},
		{method: "GET", pattern: "/api/v1/shipments/{ref}/customs/{paper}", need: "viewer", surface: surfaceAPI, handle: s.customsPaper, query: []string{"on"},
			summary: "A paper for customs as PDF: invoice, packing-list or returned-goods"},
	}
}

func (s *Server) customsPages() []route {
	return []route{
		{method: "GET", pattern: "/shipments/{ref}/customs", need: "viewer", handle: s.customsPage},
		{method: "GET", pattern: "/shipments/{ref}/customs/{paper}", need: "viewer", handle: s.customsPaper},
	}
}

// customsPapers are the papers of a pack, by the names in their addresses.
var customsPapers = map[string]struct {
	title string
	money bool // it holds amounts
	print func(*finance.Customs, inventory.Date) ([]byte, error)
}{
	"invoice":        {"Pro-forma invoice", true, (*finance.Customs).Invoice},
	"packing-list":   {"Packing list", false, (*finance.Customs).PackingList},
	"returned-goods": {"Statement on returned goods", false, (*finance.Customs).ReturnedGoods},
}

// papersFor are the papers that can be printed of a shipment for who, in the order in which they are asked for.
func papersFor(c *finance.Customs, who caller) []string {
	var names []string
	for _, name := range []string{"invoice", "packing-list", "returned-goods"} {
		if customsPapers[name].money && !who.SeesMoney() || name == "returned-goods" && (c.Return == nil || c.Export == nil) {
			continue
		}
		names = append(names, name)
	}
	return names
}

func (s *Server) loadCustoms(r *http.Request) (*finance.Customs, error) {
	shipment, err := inventory.Get[inventory.Shipment](r.Context(), s.Record, r.PathValue("ref"))
	if err != nil {
		return nil, err
	}
	return finance.LoadCustoms(r.Context(), s.Record, shipment)
}

// missingFor is what is missing, as far as who may know: without the right to see money every value looks like none.
func missingFor(c *finance.Customs, who caller) []string {
	if who.SeesMoney() {
		return c.Missing()
	}
	for i := range c.Lines {
		c.Lines[i].Value, c.Lines[i].Currency = 1, "XXX" // ISO 4217's code for no currency; it is printed nowhere
	}
	return c.Missing()
}

func (s *Server) customs(w http.ResponseWriter, r *http.Request, who caller) error {
	c, err := s.loadCustoms(r)
	if err != nil {
		return err
	}
	pack := api.CustomsPack{Shipment: c.Shipment.UID, Papers: papersFor(c, who), Missing: missingFor(c, who), LastReturn: c.LastReturn()}
	if pack.Missing == nil {
		pack.Missing = []string{}
	}
	return writeJSON(w, http.StatusOK, pack)
}

func (s *Server) customsPaper(w http.ResponseWriter, r *http.Request, who caller) error {
	kind, ok := customsPapers[r.PathValue("paper")]
	if !ok {
		return inventory.ErrNotFound
	}
	if kind.money {
		if err := seeing(who, "shipment"); err != nil {
			return err
		}
	}
	day, err := inventory.ParseDate(r.URL.Query().Get("on"))
	if err != nil {
		return invalid("on", "%v", err)
	}
	if day == "" {
		day = inventory.DateOf(s.now().UTC())
	}
	c, err := s.loadCustoms(r)
	if err != nil {
		return err
	}
	pdf, err := kind.print(c, day)
	if err != nil {
		return err
	}
	return sendPDF(w, r.PathValue("paper")+"-"+c.Shipment.Reference+".pdf", pdf)
}

// customsView is the page of a shipment's customs pack.
type customsView struct {
	*finance.Customs
	Problems []string
	Papers   []option
	CanEdit  bool
}

func (s *Server) customsPage(w http.ResponseWriter, r *http.Request, who caller) error {
	c, err := s.loadCustoms(r)
	if err != nil {
		return err
	}
	v := customsView{Customs: c, Problems: missingFor(c, who), CanEdit: who.Can(shipmentNoun.Edit)}
	for _, name := range papersFor(c, who) {
		v.Papers = append(v.Papers, option{Value: name, Text: customsPapers[name].title})
	}
	return s.render(w, r, who, "customs", view{Title: "Customs papers of " + c.Shipment.Reference, Live: "shipments,shipment-items,parcels,customs-declarations", Data: v})
}
