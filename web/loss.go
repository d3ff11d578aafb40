package web

import (
	"net/http"
	"net/url"
	"strings"

	"berth/api"
	"berth/inventory"
	"berth/inventory/claims"
	"berth/inventory/finance"
)

// Losses: many assets written off in one act, and brought back.

var dispositionNoun = inventory.NounFor[inventory.Disposition]()

// lossRoutes are REST for losses and their way back.
func (s *Server) lossRoutes() []route {
	rows := []route{
		{method: "POST", pattern: "/api/v1/losses/preview", need: dispositionNoun.Edit, handle: s.postLoss(true), in: api.LossRequest{}, out: api.LossResult{},
			summary: "What a loss would take, free and freeze, down to each refusal; nothing is changed"},
		{method: "POST", pattern: "/api/v1/losses", need: dispositionNoun.Edit, handle: s.postLoss(false), in: api.LossRequest{}, out: api.LossResult{}, status: http.StatusCreated,
			summary: "Write off many assets in one act: book values frozen at a day, racks and addresses freed, places remembered"},
		{method: "POST", pattern: "/api/v1/dispositions/{ref}/reverse", need: dispositionNoun.Edit, handle: s.postReverse, in: api.ReverseRequest{}, out: api.ReverseResult{},
			summary: "Take a disposition back: everything where it was, or a sentence for each thing that cannot be"},
		{method: "GET", pattern: "/api/v1/dispositions/{ref}/schedule.csv", need: "viewer", handle: s.schedule,
			summary: "What a disposition took, with values, as CSV"},
	}
	for i := range rows {
		rows[i].surface = surfaceAPI
	}
	return rows
}

func (s *Server) lossPages() []route {
	return []route{
		{method: "GET", pattern: "/losses/new", need: dispositionNoun.Edit, handle: s.lossPage},
		{method: "POST", pattern: "/losses/new", need: dispositionNoun.Edit, handle: s.lossForm},
		{method: "GET", pattern: "/dispositions/{ref}", need: "viewer", handle: s.dispositionPage},
		{method: "GET", pattern: "/dispositions/{ref}/schedule.csv", need: "viewer", handle: s.schedule},
		{method: "POST", pattern: "/dispositions/{ref}/reverse", need: dispositionNoun.Edit, handle: s.reverseForm},
	}
}

// bookValue is what a book holds of an asset on a day; without a book, what it cost.
func bookValue(tx inventory.Tx, book *inventory.Book, asset *inventory.Asset, on inventory.Date) (claims.Value, error) {
	if book == nil {
		return claims.Cost(tx, book, asset, on)
	}
	entries, err := inventory.TxList[inventory.BookEntry](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("asset", asset.UID), inventory.Is("book", book.UID)}, Limit: 1})
	if err != nil {
		return claims.Value{}, err
	}
	var entry *inventory.BookEntry
	if len(entries) > 0 {
		entry = entries[0]
	}
	v := finance.BookValue(book, asset, entry, on)
	return claims.Value{BasisAmount: v.Basis, BookAmount: v.Amount, Currency: v.Currency}, nil
}

// lossOf finds what a request names.
func (s *Server) lossOf(r *http.Request, in api.LossRequest) (claims.Loss, error) {
	loss := claims.Loss{Kind: in.Kind, OnDate: in.OnDate, Reason: strings.TrimSpace(in.Reason)}
	var errs []error
	find := func(into *inventory.UID, noun, field, ref string) {
		uid, err := s.refOfNoun(r.Context(), noun, field, ref)
		*into = uid
		errs = append(errs, err)
	}
	find(&loss.Shipment, "shipment", "shipment", in.Shipment)
	find(&loss.Parcel, "parcel", "parcel", in.Parcel)
	find(&loss.Site, "site", "site", in.Site)
	find(&loss.Book, "book", "book", in.Book)
	find(&loss.Recipient, "organization", "recipient", in.Recipient)
	for _, ref := range in.Assets {
		if strings.TrimSpace(ref) == "" {
			continue
		}
		var uid inventory.UID
		find(&uid, "asset", "assets", ref)
		loss.Assets = append(loss.Assets, uid)
	}
	for _, err := range errs {
		if err != nil {
			return loss, err
		}
	}
	return loss, nil
}

// lose writes a loss off, or looks at what it would take.
func (s *Server) lose(r *http.Request, who caller, in api.LossRequest, preview bool) (*claims.WrittenOff, error) {
	loss, err := s.lossOf(r, in)
	if err != nil {
		return nil, err
	}
	why := in.Why
	if why == "" {
		why = in.Kind + ": " + in.Reason
	}
	var out *claims.WrittenOff
	do := func(tx inventory.Tx) (err error) {
		out, err = claims.Lose(tx, loss, bookValue, who.Actor.Name)
		return err
	}
	change := func(fn func(inventory.Tx) error) error { return s.Record.Edit(r.Context(), edit(r, who, why), fn) }
	if preview {
		err = claims.Look(change, do)
	} else {
		err = change(do)
	}
	return out, err
}

func (s *Server) postLoss(preview bool) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		status := http.StatusCreated
		if preview {
			status = http.StatusOK
		}
		return act(w, r, status, func(in api.LossRequest) (*api.LossResult, error) {
			out, err := s.lose(r, who, in, preview)
			if err != nil {
				return nil, err
			}
			return lossResult(out, who, preview), nil
		})
	}
}

func lossResult(out *claims.WrittenOff, who caller, preview bool) *api.LossResult {
	result := &api.LossResult{Items: []api.LossItem{}, Totals: []api.LossTotal{}, Notes: out.Notes}
	if !preview {
		result.Disposition = out.Disposition
	}
	for _, item := range out.Items {
		line := api.LossItem{Asset: item.Asset.UID, AssetTag: item.Asset.AssetTag, Name: item.Asset.Name, Serial: item.Asset.Serial, Stood: item.Stood, Frees: item.Frees}
		if who.SeesMoney() {
			line.BasisAmount, line.BookAmount, line.InsuredAmount, line.Currency = &item.Item.BasisAmount, &item.Item.BookAmount, &item.Item.InsuredAmount, item.Item.Currency
		}
		result.Items = append(result.Items, line)
	}
	if who.SeesMoney() {
		for _, v := range out.Totals() {
			result.Totals = append(result.Totals, api.LossTotal{Currency: v.Currency, BasisAmount: v.BasisAmount, BookAmount: v.BookAmount})
		}
	}
	return result
}

// lossView is the form for a loss, and what it would take.
type lossView struct {
	Typed   url.Values
	Kinds   []option
	Books   []option
	Preview *api.LossResult
	Subject string // what was named in the address, in words
}

func (s *Server) lossPage(w http.ResponseWriter, r *http.Request, who caller) error {
	typed := r.URL.Query()
	if typed.Get("on_date") == "" {
		typed.Set("on_date", string(s.today()))
	}
	return s.drawLoss(w, r, who, typed, nil, nil)
}

func (s *Server) drawLoss(w http.ResponseWriter, r *http.Request, who caller, typed url.Values, preview *api.LossResult, problem *api.Problem) error {
	kind, _ := dispositionNoun.Field("kind")
	if typed.Get("kind") == "" {
		typed.Set("kind", "lost")
	}
	item, _ := inventory.NounFor[inventory.DispositionItem]().Field("book")
	v := lossView{Typed: typed, Kinds: enumOptions(kind, typed.Get("kind")), Preview: preview}
	var err error
	if v.Books, err = s.refOptions(r, item, typed.Get("book")); err != nil {
		return err
	}
	return s.render(w, r, who, "loss", view{Title: "Write off a loss", Problem: problem, Data: v})
}

func lossTyped(v url.Values) api.LossRequest {
	return api.LossRequest{Shipment: v.Get("shipment"), Parcel: v.Get("parcel"), Site: v.Get("site"), Assets: strings.Fields(strings.ReplaceAll(strings.Join(v["asset"], " "), ",", " ")),
		Kind: v.Get("kind"), OnDate: inventory.Date(v.Get("on_date")), Reason: v.Get("reason"), Book: v.Get("book"), Recipient: v.Get("recipient")}
}

// lossForm shows what would happen, and does it when a person has seen that.
func (s *Server) lossForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	preview := v.Get("do") != "write-off"
	out, err := s.lose(r, who, lossTyped(v), preview)
	if p, ok := again(err); ok {
		return s.drawLoss(w, r, who, v, nil, p)
	}
	if err != nil {
		return err
	}
	if preview {
		return s.drawLoss(w, r, who, v, lossResult(out, who, true), nil)
	}
	flash(w, "%s was written off as %s. It can be reversed on this page.", plural(len(out.Items), "asset", "assets"), strings.ReplaceAll(out.Disposition.Kind, "_", " "))
	return seeOther(w, r, pageOf(dispositionNoun, out.Disposition))
}

func (s *Server) postReverse(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusOK, func(in api.ReverseRequest) (*api.ReverseResult, error) {
		out, err := s.reverse(r, who, in)
		if err != nil {
			return nil, err
		}
		return reverseResult(out, in.Preview), nil
	})
}

// reverse takes a disposition back, or looks at what that would do. A look shows the conflicts instead of being refused by them.
func (s *Server) reverse(r *http.Request, who caller, in api.ReverseRequest) (*claims.Returned, error) {
	var out *claims.Returned
	do := func(tx inventory.Tx) error {
		d, err := inventory.TxGet[inventory.Disposition](tx, r.PathValue("ref"))
		if err != nil {
			return err
		}
		out, err = claims.Reverse(tx, d, in.Why, who.Actor.Name, in.Storage || in.Preview)
		return err
	}
	change := func(fn func(inventory.Tx) error) error { return s.Record.Edit(r.Context(), edit(r, who, in.Why), fn) }
	var err error
	if in.Preview {
		err = claims.Look(change, do)
	} else {
		err = change(do)
	}
	return out, err
}

func reverseResult(out *claims.Returned, preview bool) *api.ReverseResult {
	result := &api.ReverseResult{Items: []api.ReverseItem{}}
	if !preview {
		result.Disposition = out.Disposition
	}
	for _, item := range out.Items {
		result.Items = append(result.Items, api.ReverseItem{Asset: item.Asset.UID, AssetTag: item.Asset.AssetTag, To: item.To, Conflicts: item.Conflicts})
	}
	return result
}

// dispositionView is the page of a disposition.
type dispositionView struct {
	oneView
	Disposition *inventory.Disposition
	Items       []*inventory.DispositionItem
	Assets      map[inventory.UID]string
	Reversal    *api.ReverseResult // what a reversal would do
	Typed       url.Values
}

// Conflicts tells whether the reversal that is looked at meets any.
func (v dispositionView) Conflicts() bool {
	if v.Reversal == nil {
		return false
	}
	for _, item := range v.Reversal.Items {
		if len(item.Conflicts) > 0 {
			return true
		}
	}
	return false
}

func (s *Server) dispositionPage(w http.ResponseWriter, r *http.Request, who caller) error {
	return s.drawDisposition(w, r, who, nil, url.Values{}, nil)
}

func (s *Server) drawDisposition(w http.ResponseWriter, r *http.Request, who caller, reversal *api.ReverseResult, typed url.Values, problem *api.Problem) error {
	o, err := s.one(r, who, dispositionNoun)
	if err != nil {
		return err
	}
	d := o.Object.(*inventory.Disposition)
	page, err := s.Record.List(r.Context(), nounNamed("disposition-item"), inventory.Query{Filters: []inventory.Filter{inventory.Is("disposition", d.UID)}, Limit: inventory.MaxPage})
	if err != nil {
		return err
	}
	o.Children = nil // its items stand on the page
	v := dispositionView{oneView: o, Disposition: d, Items: inventory.Items[inventory.DispositionItem](page), Assets: page.Names, Reversal: reversal, Typed: typed}
	return s.render(w, r, who, "disposition", view{Title: d.Reference, Live: "dispositions", Problem: problem, Data: v})
}

func (s *Server) reverseForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	in := api.ReverseRequest{Why: strings.TrimSpace(v.Get("why")), Storage: v.Get("storage") == "true", Preview: v.Get("do") != "reverse"}
	out, err := s.reverse(r, who, in)
	if p, ok := again(err); ok {
		return s.drawDisposition(w, r, who, nil, v, p)
	}
	if err != nil {
		return err
	}
	if in.Preview {
		return s.drawDisposition(w, r, who, reverseResult(out, true), v, nil)
	}
	flash(w, "%s was reversed: %s back.", out.Disposition.Reference, plural(len(out.Items), "asset is", "assets are"))
	return seeOther(w, r, pageOf(dispositionNoun, out.Disposition))
}
