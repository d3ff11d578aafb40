package web

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"berth/api"
	"berth/inventory"
	"berth/inventory/blob"
	"berth/inventory/finance"
)

// What books hold, for those who may see money.

var bookNoun = inventory.NounFor[inventory.Book]()

// bookRoutes are REST for the values of books and the sharing out of cost.
func (s *Server) bookRoutes() []route {
	return []route{
		{method: "GET", pattern: "/api/v1/books/{ref}/values", need: "viewer", surface: surfaceAPI, handle: s.bookValues, out: api.BookValues{}, query: []string{"as_of", "format"}, stream: true,
			summary: "What a book holds at the end of a day, past or future; today without as_of. format=csv has a line for each asset"},
		{method: "GET", pattern: "/api/v1/books/{ref}/roll-forward", need: "viewer", surface: surfaceAPI, handle: s.rollForward, out: api.RollForward{}, query: []string{"year", "format"}, stream: true,
			summary: "A book's fiscal year: opening, additions, disposals, depreciation, closing. format=csv has a line for each asset"},
		{method: "POST", pattern: "/api/v1/shipments/{ref}/land", need: "operator", surface: surfaceAPI, handle: s.land(shipmentNoun), in: api.LandRequest{}, out: api.Landed{},
			summary: "Share the cost of a shipment out over its assets"},
		{method: "POST", pattern: "/api/v1/acquisitions/{ref}/land", need: "operator", surface: surfaceAPI, handle: s.land(acquisitionNoun), in: api.LandRequest{}, out: api.Landed{},
			summary: "Share the cost of an acquisition out over its assets"},
	}
}

// moneyPages are the pages about what things are worth.
func (s *Server) moneyPages() []route {
	return []route{
		{method: "GET", pattern: "/money", need: "viewer", handle: s.moneyPage, stream: true},
		{method: "GET", pattern: "/money/values.csv", need: "viewer", handle: s.valuesFile, stream: true},
		{method: "GET", pattern: "/money/roll-forward.csv", need: "viewer", handle: s.rollFile, stream: true},
	}
}

var shipmentNoun = inventory.NounFor[inventory.Shipment]()

// reportTime is how long a report over the whole record may take to be written.
const reportTime = 10 * time.Minute

// slowAnswer gives a handler that reads the whole record time to write its answer.
func slowAnswer(w http.ResponseWriter) {
	// An error means that the connection has no deadlines, as under a test's recorder.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(reportTime))
}

// seeing refuses whoever may not see money.
func seeing(who caller, what string) error {
	if who.SeesMoney() {
		return nil
	}
	return forbiddenMoney(what)
}

// asOf reads a day; today when none is given.
func (s *Server) asOf(v url.Values) (inventory.Date, error) {
	text := v.Get("as_of")
	if text == "" {
		return inventory.DateOf(s.now().UTC()), nil
	}
	day, err := inventory.ParseDate(text)
	if err != nil {
		return "", invalid("as_of", "%v", err)
	}
	return day, nil
}

// yearOf reads a fiscal year; the one that today is in when none is given.
func (s *Server) yearOf(v url.Values, book *inventory.Book) (int, error) {
	text := v.Get("year")
	if text == "" {
		return currentYear(book, inventory.DateOf(s.now().UTC())), nil
	}
	year, err := strconv.Atoi(text)
	if err != nil || year < 1950 || year > 2200 {
		return 0, invalid("year", "is from 1950 to 2200")
	}
	return year, nil
}

func currentYear(book *inventory.Book, today inventory.Date) int {
	year := today.Time().Year()
	if from, _ := finance.FiscalYear(book, year); today < from {
		return year - 1
	}
	return year
}

func (s *Server) bookValues(w http.ResponseWriter, r *http.Request, who caller) error {
	book, day, err := s.bookAndDay(r, who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	if r.URL.Query().Get("format") == "csv" {
		return s.writeValues(w, r, book, day)
	}
	slowAnswer(w)
	values, err := s.values(r.Context(), book, day)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, values)
}

func (s *Server) bookAndDay(r *http.Request, who caller, ref string) (*inventory.Book, inventory.Date, error) {
	if err := seeing(who, "book"); err != nil {
		return nil, "", err
	}
	book, err := inventory.Get[inventory.Book](r.Context(), s.Record, ref)
	if err != nil {
		return nil, "", err
	}
	day, err := s.asOf(r.URL.Query())
	return book, day, err
}

// values sums a book up and names its sites.
func (s *Server) values(ctx context.Context, book *inventory.Book, day inventory.Date) (*api.BookValues, error) {
	sum, err := finance.Summarize(ctx, s.Record, book, day)
	if err != nil {
		return nil, err
	}
	out := &api.BookValues{Book: book.UID, Name: book.Name, AsOf: day, Totals: amountsOf(sum.All), BySite: []api.SiteAmounts{}, ByKind: []api.KindAmounts{}, Foreign: sum.Foreign, Undated: sum.Undated}
	sites, err := s.byUID(ctx, inventory.NounFor[inventory.Site](), slices.Collect(maps.Keys(sum.BySite)))
	if err != nil {
		return nil, err
	}
	for uid, totals := range sum.BySite {
		name := ""
		if site, ok := sites[uid].(*inventory.Site); ok {
			name = site.Name
		}
		for _, a := range amountsOf(totals) {
			out.BySite = append(out.BySite, api.SiteAmounts{Site: uid, Name: name, Amounts: a})
		}
	}
	slices.SortFunc(out.BySite, func(a, b api.SiteAmounts) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Site, b.Site), cmp.Compare(a.Currency, b.Currency))
	})
	for _, kind := range slices.Sorted(maps.Keys(sum.ByKind)) {
		for _, a := range amountsOf(sum.ByKind[kind]) {
			out.ByKind = append(out.ByKind, api.KindAmounts{Kind: kind, Amounts: a})
		}
	}
	return out, nil
}

func amountsOf(t finance.Totals) []api.Amounts {
	out := []api.Amounts{}
	for _, sum := range t.Sorted() {
		out = append(out, api.Amounts(sum))
	}
	return out
}

func (s *Server) rollForward(w http.ResponseWriter, r *http.Request, who caller) error {
	book, year, err := s.bookAndYear(r, who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	if r.URL.Query().Get("format") == "csv" {
		return s.writeRolls(w, r, book, year)
	}
	slowAnswer(w)
	from, to := finance.FiscalYear(book, year)
	out := api.RollForward{Book: book.UID, Name: book.Name, Year: year, From: from, To: to, Totals: []api.Roll{}}
	sums, err := finance.EachRoll(r.Context(), s.Record, book, year, func(finance.Holding, finance.Roll) error { return nil })
	if err != nil {
		return err
	}
	for _, sum := range sums {
		out.Totals = append(out.Totals, api.Roll(sum))
	}
	return writeJSON(w, http.StatusOK, out)
}

func (s *Server) bookAndYear(r *http.Request, who caller, ref string) (*inventory.Book, int, error) {
	if err := seeing(who, "book"); err != nil {
		return nil, 0, err
	}
	book, err := inventory.Get[inventory.Book](r.Context(), s.Record, ref)
	if err != nil {
		return nil, 0, err
	}
	year, err := s.yearOf(r.URL.Query(), book)
	return book, year, err
}

// fileOf begins an answer that is a file to be saved.
func fileOf(w http.ResponseWriter, mediaType, name string) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Disposition", blob.Disposition(name))
	slowAnswer(w)
}

func (s *Server) writeValues(w http.ResponseWriter, r *http.Request, book *inventory.Book, day inventory.Date) error {
	fileOf(w, "text/csv; charset=utf-8", "values-"+book.Slug+"-"+string(day)+".csv")
	return finance.WriteValues(r.Context(), w, s.Record, book, day)
}

func (s *Server) writeRolls(w http.ResponseWriter, r *http.Request, book *inventory.Book, year int) error {
	fileOf(w, "text/csv; charset=utf-8", "roll-forward-"+book.Slug+"-"+strconv.Itoa(year)+".csv")
	return finance.WriteRolls(r.Context(), w, s.Record, book, year)
}

func (s *Server) valuesFile(w http.ResponseWriter, r *http.Request, who caller) error {
	book, day, err := s.bookAndDay(r, who, r.URL.Query().Get("book"))
	if err != nil {
		return err
	}
	return s.writeValues(w, r, book, day)
}

func (s *Server) rollFile(w http.ResponseWriter, r *http.Request, who caller) error {
	book, year, err := s.bookAndYear(r, who, r.URL.Query().Get("book"))
	if err != nil {
		return err
	}
	return s.writeRolls(w, r, book, year)
}

// land shares out the cost of a shipment or of an acquisition.
func (s *Server) land(n *inventory.Noun) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		return act(w, r, http.StatusOK, func(in api.LandRequest) (api.Landed, error) {
			changed, err := s.shareOut(r, who, n, in.Why)
			return api.Landed{Changed: changed}, err
		})
	}
}

func (s *Server) shareOut(r *http.Request, who caller, n *inventory.Noun, why string) (changed int, err error) {
	if err := seeing(who, n.Name); err != nil {
		return 0, err
	}
	err = s.change(r, who, n, why, func(tx inventory.Tx, obj inventory.Object) error {
		var shipment, acquisition inventory.UID
		if n == shipmentNoun {
			shipment = obj.Head().UID
		} else {
			acquisition = obj.Head().UID
		}
		assets, err := finance.AssetsOf(tx, shipment, acquisition)
		if err != nil {
			return err
		}
		changed, err = finance.Land(tx, assets)
		return err
	})
	return changed, err
}

// moneyView is the page of what things are worth.
type moneyView struct {
	Books  []option
	Book   *inventory.Book
	AsOf   inventory.Date
	Values *api.BookValues
	Years  []int // fiscal years to roll forward, the newest first
	Rents  []finance.Rent
	// CanCreate: whoever looks may make a book.
	CanCreate bool
}

// Link is the address of a file for the book and the day.
func (v moneyView) Link(file string) string {
	return "/money/" + file + "?" + url.Values{"book": {v.Book.Slug}, "as_of": {string(v.AsOf)}}.Encode()
}

// YearLink is the address of the roll-forward of a year.
func (v moneyView) YearLink(year int) string {
	return "/money/roll-forward.csv?" + url.Values{"book": {v.Book.Slug}, "year": {strconv.Itoa(year)}}.Encode()
}

func (s *Server) moneyPage(w http.ResponseWriter, r *http.Request, who caller) error {
	if err := seeing(who, "book"); err != nil {
		return err
	}
	day, err := s.asOf(r.URL.Query())
	if err != nil {
		return err
	}
	v := moneyView{AsOf: day, CanCreate: who.Can(bookNoun.Edit)}
	books, err := inventory.List[inventory.Book](r.Context(), s.Record, inventory.Query{Sort: "name", Limit: 200})
	if err != nil {
		return err
	}
	if v.Book, v.Books, err = chooseBook(books, r.URL.Query().Get("book")); err != nil {
		return err
	}
	slowAnswer(w)
	if v.Book != nil {
		if v.Values, err = s.values(r.Context(), v.Book, day); err != nil {
			return err
		}
		for i := range 4 {
			v.Years = append(v.Years, currentYear(v.Book, inventory.DateOf(s.now().UTC()))-i)
		}
	}
	if v.Rents, err = finance.Rents(r.Context(), s.Record, day); err != nil {
		return err
	}
	return s.render(w, r, who, "money", view{Title: "Money", Data: v})
}

// chooseBook finds the book that is asked for by slug; the first when none is.
func chooseBook(books []*inventory.Book, slug string) (*inventory.Book, []option, error) {
	var chosen *inventory.Book
	var list []option
	for _, b := range books {
		if b.Slug == slug || slug == "" && chosen == nil {
			chosen = b
		}
		list = append(list, option{Value: b.Slug, Text: b.Name, Selected: b == chosen})
	}
	if chosen == nil && slug != "" {
		return nil, nil, inventory.ErrNotFound
	}
	return chosen, list, nil
}
