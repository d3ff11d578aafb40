package web

import (
	"encoding/csv"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"berth/inventory"
	"berth/inventory/elevation"
	"berth/inventory/paper"
	"berth/inventory/placement"
)

func (s *Server) sitePages() []route {
	return []route{
		{method: "GET", pattern: "/sites/{ref}", need: "viewer", handle: s.sitePage},
		{method: "GET", pattern: "/sites/{ref}/evacuation", need: "viewer", handle: s.evacuationPage},
		{method: "GET", pattern: "/sites/{ref}/evacuation.csv", need: "viewer", handle: s.evacuationCSV},
		{method: "GET", pattern: "/sites/{ref}/evacuation.pdf", need: "viewer", handle: s.evacuationPDF},
	}
}

func (s *Server) siteRoutes() []route {
	return []route{
		{method: "GET", pattern: "/api/v1/sites/{ref}/evacuation", need: "viewer", handle: s.siteEvacuation, out: placement.Evacuation{},
			summary: "What is inside a site, in the order of carrying it out, with weight, value, owner and when to switch it off"},
	}
}

// siteView is the page of a site.
type siteView struct {
	oneView
	Site     *inventory.Site
	Racks    []wallRack
	Devices  int
	Many     bool // more devices than are added up here
	Power    inventory.Power
	PowerBar template.HTML
	Notice   inventory.Date // the last day on which notice can be given
	Today    inventory.Date
}

// maxSummed is how many devices a site's page adds up the power of.
const maxSummed = inventory.MaxPage

func (s *Server) sitePage(w http.ResponseWriter, r *http.Request, who caller) error {
	o, err := s.one(r, who, nounNamed("site"))
	if err != nil {
		return err
	}
	site := o.Object.(*inventory.Site)
	v := siteView{oneView: o, Site: site, Today: s.today()}
	if site.LeaseEnd != "" && site.NoticeDays > 0 {
		v.Notice = site.LeaseEnd.AddDays(-site.NoticeDays)
	}
	if err := s.siteRacks(r, &v); err != nil {
		return err
	}
	return s.render(w, r, who, "site", view{Title: site.Name, Live: "sites,racks,machines", Data: v})
}

func (s *Server) siteRacks(r *http.Request, v *siteView) error {
	here := []inventory.Filter{inventory.Is("site", v.Site.UID)}
	racks, err := inventory.List[inventory.Rack](r.Context(), s.Record, inventory.Query{Filters: here, Sort: "name", Limit: maxWall})
	if err != nil {
		return err
	}
	list, err := placement.Contents(r.Context(), s.Record, racks)
	if err != nil {
		return err
	}
	o := elevation.WallOptions("front", v.Today)
	if err := o.Settle(); err != nil {
		return err
	}
	for _, c := range list {
		v.Racks = append(v.Racks, wallRack{Rack: c.Rack, Use: c.Utilization(v.Today), Problems: c.Problems(v.Today), Drawing: template.HTML(elevation.Of(c, o).SVG())})
	}
	devices, err := inventory.List[inventory.Device](r.Context(), s.Record, inventory.Query{Filters: here, Limit: maxSummed})
	if err != nil {
		return err
	}
	v.Devices, v.Many = len(devices), len(devices) == maxSummed
	if v.Power, err = placement.SitePower(r.Context(), s.Record, v.Site.UID, devices); err != nil {
		return err
	}
	shown := v.Power
	if v.Site.ContractedVA > 0 {
		shown.AvailableVA = v.Site.ContractedVA // what is paid for is the limit, whatever the feeds could carry
	}
	v.PowerBar = template.HTML(elevation.PowerBar(shown))
	return nil
}

func (s *Server) evacuation(r *http.Request) (*placement.Evacuation, error) {
	site, err := inventory.Get[inventory.Site](r.Context(), s.Record, r.PathValue("ref"))
	if err != nil {
		return nil, err
	}
	return placement.Evacuate(r.Context(), s.Record, site)
}

func (s *Server) siteEvacuation(w http.ResponseWriter, r *http.Request, _ caller) error {
	e, err := s.evacuation(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, e)
}

// evacuationView is the list as a page. Money is shown to those alone who may see it; the record leaves it out for the others.
type evacuationView struct {
	*placement.Evacuation
	Money  bool
	Totals []string
}

func (s *Server) evacuationPage(w http.ResponseWriter, r *http.Request, who caller) error {
	e, err := s.evacuation(r)
	if err != nil {
		return err
	}
	v := evacuationView{Evacuation: e, Money: who.Actor.SeesMoney(), Totals: totals(e)}
	return s.render(w, r, who, "evacuation", view{Title: "What is inside " + e.Site.Name, Data: v})
}

func totals(e *placement.Evacuation) []string {
	var list []string
	for currency, amount := range e.Values {
		list = append(list, inventory.FormatMoney(amount, currency))
	}
	slices.Sort(list)
	return list
}

var evacuationHeader = []string{"Rack", "Place", "Name", "Model", "Tag", "Serial", "Owner", "Terms", "Weight", "Off at", "Hint"}

func evacuationRow(l placement.Leaving) []string {
	off := ""
	if l.OffAt > 0 {
		off = strconv.Itoa(l.OffAt)
	}
	return []string{l.Rack, l.Place, l.Name, l.Model, l.AssetTag, l.Serial, l.Owner, l.Terms, kilograms(l.Weight), off, l.Hint}
}

func (s *Server) evacuationCSV(w http.ResponseWriter, r *http.Request, who caller) error {
	e, err := s.evacuation(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="evacuation-%s.csv"`, e.Site.Slug))
	out := csv.NewWriter(w)
	header := evacuationHeader
	if who.Actor.SeesMoney() {
		header = append(header[:len(header):len(header)], "Value", "Currency")
	}
	_ = out.Write(header) // an error is kept and told by Error, and then the client has gone
	for _, l := range e.Rows {
		row := evacuationRow(l)
		if who.Actor.SeesMoney() {
			row = append(row, inventory.FormatAmount(l.Value, l.Currency), l.Currency)
		}
		for i := range row {
			row[i] = inventory.NeutralCell(row[i])
		}
		_ = out.Write(row)
	}
	out.Flush()
	return nil
}

func (s *Server) evacuationPDF(w http.ResponseWriter, r *http.Request, who caller) error {
	e, err := s.evacuation(r)
	if err != nil {
		return err
	}
	pdf, err := s.evacuationPaper(e, who.Actor.SeesMoney())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/pdf")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="evacuation-%s.pdf"`, e.Site.Slug))
	_, _ = w.Write(pdf) // the client has gone: nobody is left to tell
	return nil
}

// evacuationPaper is the list to take along: there may be no light in the building, and no network.
func (s *Server) evacuationPaper(e *placement.Evacuation, money bool) ([]byte, error) {
	doc := paper.New("What is inside "+e.Site.Name, paper.Options{Landscape: true, Footer: "As of " + s.now().UTC().Format("2006-01-02 15:04") + " UTC", Date: s.now().UTC()})
	fields := []paper.Pair{{Label: "Things", Value: strconv.Itoa(len(e.Rows))}, {Label: "Weight", Value: weightText(e)}}
	if money {
		fields = append(fields, paper.Pair{Label: "Value", Value: valueText(e)})
	}
	doc.Fields(append(fields, paper.Pair{Label: "Access", Value: e.Site.AccessProcedure}, paper.Pair{Label: "Shipping", Value: e.Site.ShipToInstructions})...)
	columns := []paper.Column{{Title: "Place", Width: 3}, {Title: "Name", Width: 2.4}, {Title: "Model", Width: 2.2}, {Title: "Tag", Width: 1.6, Mono: true}, {Title: "Serial", Width: 2.2, Mono: true},
		{Title: "Owner", Width: 1.8}, {Title: "Weight", Width: 1.1, Align: paper.Right}, {Title: "Off at", Width: 0.8, Align: paper.Right}}
	if money {
		columns = append(columns, paper.Column{Title: "Value", Width: 1.5, Align: paper.Right})
	}
	table := doc.Table(columns...)
	for _, l := range e.Rows {
		row := evacuationRow(l)
		owner := strings.TrimSpace(l.Owner + " " + l.Terms)
		cells := []string{l.Place, l.Name, l.Model, l.AssetTag, l.Serial, owner, row[8], row[9]}
		if money {
			cells = append(cells, worthText(l))
		}
		table.Row(cells...)
	}
	table.End()
	doc.Small("What is borrowed or leased stands first, then rack by rack from the top down. Off at: the order of switching off, 1 first.")
	return doc.Bytes()
}

func worthText(l placement.Leaving) string {
	if l.Value == 0 {
		return ""
	}
	return inventory.FormatMoney(l.Value, l.Currency)
}

func weightText(e *placement.Evacuation) string {
	text := kilograms(e.Weight)
	if e.Unweighed > 0 {
		text += ", and " + plural(e.Unweighed, "thing", "things") + " nobody weighed"
	}
	return strings.TrimPrefix(text, ", and ")
}

func valueText(e *placement.Evacuation) string {
	text := strings.Join(totals(e), " + ")
	if e.Unvalued > 0 {
		text += ", and " + plural(e.Unvalued, "thing", "things") + " without a value"
	}
	return strings.TrimPrefix(text, ", and ")
}

// kilograms is a weight as people lift it; nothing when it is not known.
func kilograms(grams int64) string {
	if grams <= 0 {
		return ""
	}
	return trimZero(float64(grams)/1000) + " kg"
}
