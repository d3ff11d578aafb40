package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"berth/api"
	"berth/inventory"
	"berth/inventory/blob"
	"berth/inventory/finance"
)

// How things came to us: the page of an acquisition, letters of thanks, and the report of donations.

var (
	acquisitionNoun = inventory.NounFor[inventory.Acquisition]()
	assetNoun       = inventory.NounFor[inventory.Asset]()
)

// acquisitionRoutes are REST for what is done with an acquisition.
func (s *Server) acquisitionRoutes() []route {
	rows := []route{
		{method: "POST", pattern: "/api/v1/acquisitions/{ref}/expect", need: acquisitionNoun.Edit, handle: s.postExpect, in: api.ExpectRequest{}, out: api.Page[inventory.Asset]{}, status: http.StatusCreated,
			summary: "Announce what is to come: on each line a serial, SERIAL, MODEL or 8 x MODEL. All lines that are wrong are named, and then nothing is written"},
		{method: "POST", pattern: "/api/v1/acquisitions/{ref}/advance", need: acquisitionNoun.Edit, handle: s.postAdvance, in: api.AdvanceRequest{}, out: inventory.Acquisition{},
			summary: "Lead an acquisition on: accepted, ordered, received, closed, declined, cancelled"},
		{method: "GET", pattern: "/api/v1/acquisitions/{ref}/acknowledgement", need: "viewer", handle: s.acknowledgement, query: []string{"on"},
			summary: "The letter of thanks for a donation, as PDF; it describes and does not value"},
		{method: "POST", pattern: "/api/v1/acquisitions/{ref}/acknowledged", need: acquisitionNoun.Edit, handle: s.postAcknowledged, in: api.AcknowledgedRequest{}, out: inventory.Acquisition{},
			summary: "Note that the letter of thanks was sent, and keep it among the documents"},
		{method: "GET", pattern: "/api/v1/donations", need: "viewer", handle: s.donations, out: api.Page[api.Donation]{}, query: []string{"year", "donor", "format"},
			summary: "What was donated in a year, by donor; format=csv or pdf gives a file"},
	}
	for i := range rows {
		rows[i].surface = surfaceAPI
	}
	return rows
}

// acquisitionPages are the pages of acquisitions, assets and donations.
func (s *Server) acquisitionPages() []route {
	return []route{
		{method: "GET", pattern: "/acquisitions/{ref}", need: "viewer", handle: s.acquisitionPage},
		{method: "GET", pattern: "/acquisitions/{ref}/acknowledgement.pdf", need: "viewer", handle: s.acknowledgement},
		{method: "POST", pattern: "/acquisitions/{ref}/expect", need: acquisitionNoun.Edit, handle: s.expectForm},
		{method: "POST", pattern: "/acquisitions/{ref}/advance", need: acquisitionNoun.Edit, handle: s.advanceForm},
		{method: "POST", pattern: "/acquisitions/{ref}/acknowledged", need: acquisitionNoun.Edit, handle: s.acknowledgedForm},
		{method: "POST", pattern: "/acquisitions/{ref}/land", need: acquisitionNoun.Edit, handle: s.landForm(acquisitionNoun)},
		{method: "GET", pattern: "/assets/{ref}", need: "viewer", handle: s.assetPage},
		{method: "GET", pattern: "/donations", need: "viewer", handle: s.donationsPage},
		{method: "GET", pattern: "/donations/report.csv", need: "viewer", handle: s.donationsAs("csv")},
		{method: "GET", pattern: "/donations/report.pdf", need: "viewer", handle: s.donationsAs("pdf")},
	}
}

// originView is how a thing came to us, for the page of the thing: the donor's story stays with the machine.
type originView struct {
	Acquisition *inventory.Acquisition
	From        string // the donor, supplier or lender
}

// originOf finds how an asset came to us; nil when nobody wrote it down.
func (s *Server) originOf(ctx context.Context, asset inventory.UID) (*originView, error) {
	if asset == "" {
		return nil, nil
	}
	a, err := inventory.Get[inventory.Asset](ctx, s.Record, string(asset))
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.cameFrom(ctx, a)
}

// cameFrom is originOf for an asset that was read already.
func (s *Server) cameFrom(ctx context.Context, a *inventory.Asset) (*originView, error) {
	if a.Acquisition == "" {
		return nil, nil
	}
	how, err := inventory.Get[inventory.Acquisition](ctx, s.Record, string(a.Acquisition))
	if err != nil {
		return nil, err
	}
	from, err := s.organizationName(ctx, how.Organization)
	return &originView{Acquisition: how, From: from}, err
}

// organizationName is what an organization is called in full; "" when it is not there.
func (s *Server) organizationName(ctx context.Context, uid inventory.UID) (string, error) {
	if uid == "" {
		return "", nil
	}
	o, err := inventory.Get[inventory.Organization](ctx, s.Record, string(uid))
	if isNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return o.Name, nil
}

// assetView is the page of a physical thing.
type assetView struct {
	oneView
	Asset  *inventory.Asset
	Origin *originView
	Worth  []worth // what it counts as today, in each book; for those who may see amounts
	Hold   string  // why it should not be disposed of today
	Device *inventory.Device
}

// worth is what a book holds of an asset.
type worth struct {
	Book  *inventory.Book
	Value finance.Value
}

func (s *Server) assetPage(w http.ResponseWriter, r *http.Request, who caller) error {
	o, err := s.one(r, who, assetNoun)
	if err != nil {
		return err
	}
	v := assetView{oneView: o, Asset: o.Object.(*inventory.Asset)}
	if v.Origin, err = s.cameFrom(r.Context(), v.Asset); err != nil {
		return err
	}
	today := inventory.DateOf(s.now().UTC())
	if v.Origin != nil && v.Asset.Disposition == "" {
		v.Hold = finance.HoldWarning(v.Asset, v.Origin.Acquisition, today)
	}
	devices, err := inventory.List[inventory.Device](r.Context(), s.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("asset", v.Asset.UID)}, Limit: 1})
	if err != nil {
		return err
	}
	if len(devices) > 0 {
		v.Device = devices[0]
	}
	if who.SeesMoney() {
		if v.Worth, err = s.worthOf(r.Context(), v.Asset, today); err != nil {
			return err
		}
	}
	return s.render(w, r, who, "asset", view{Title: v.Asset.AssetTag, Live: "assets,documents,attachments", Data: v})
}

// worthOf is what each book holds of an asset on a day.
func (s *Server) worthOf(ctx context.Context, a *inventory.Asset, on inventory.Date) ([]worth, error) {
	books, err := inventory.List[inventory.Book](ctx, s.Record, inventory.Query{Sort: "name", Limit: 20})
	if err != nil || len(books) == 0 {
		return nil, err
	}
	entries, err := inventory.List[inventory.BookEntry](ctx, s.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("asset", a.UID)}, Limit: 100})
	if err != nil {
		return nil, err
	}
	var list []worth
	for _, book := range books {
		var entry *inventory.BookEntry
		if i := slices.IndexFunc(entries, func(e *inventory.BookEntry) bool { return e.Book == book.UID }); i >= 0 {
			entry = entries[i]
		}
		list = append(list, worth{book, finance.BookValue(book, a, entry, on)})
	}
	return list, nil
}

// acquisitionView is the page of an acquisition.
type acquisitionView struct {
	oneView
	Acquisition *inventory.Acquisition
	From        string // the donor, supplier or lender
	Items       []acquiredThing
	Counts      []thingCount
	Next        []string // statuses that it may take
	Costs       []*inventory.CostLine
	Typed       string // a list that was not accepted
	Wrong       []finance.LineError
	Back        string
	Worth       finance.Totals // the fair value of what was given, for those who may see amounts
}

// Donation tells whether it is one.
func (v acquisitionView) Donation() bool { return v.Acquisition.Kind == "donation" }

// acquiredThing is one asset of an acquisition and how far it has come.
type acquiredThing struct {
	*inventory.Asset
	Type   string
	Device *inventory.Device
}

// State is how far a thing has come: expected, received, or verified by its own boot.
func (t acquiredThing) State() string {
	switch {
	case t.Disposition != "":
		return t.Disposition
	case t.Device != nil && t.Device.SeenAt != nil:
		return "verified"
	}
	return t.Custody
}

// thingCount is how many things have come how far.
type thingCount struct {
	State string
	Count int
}

// maxThings is how many things the page of an acquisition shows; the list of assets has all.
const maxThings = 500

func (s *Server) acquisitionPage(w http.ResponseWriter, r *http.Request, who caller) error {
	return s.drawAcquisition(w, r, who, "", nil, nil)
}

func (s *Server) drawAcquisition(w http.ResponseWriter, r *http.Request, who caller, typed string, wrong []finance.LineError, p *api.Problem) error {
	o, err := s.one(r, who, acquisitionNoun)
	if err != nil {
		return err
	}
	a := o.Object.(*inventory.Acquisition)
	v := acquisitionView{oneView: o, Acquisition: a, Next: finance.NextStatuses(a), Typed: typed, Wrong: wrong, Back: pageOf(acquisitionNoun, a), Worth: finance.Totals{}}
	if v.From, err = s.organizationName(r.Context(), a.Organization); err != nil {
		return err
	}
	if v.Items, err = s.thingsOf(r.Context(), a.UID); err != nil {
		return err
	}
	for _, t := range v.Items {
		v.count(t.State())
		if t.FairValueAmount != nil {
			v.Worth.Add(finance.Value{Currency: t.Currency, Amount: *t.FairValueAmount})
		}
	}
	if who.SeesMoney() {
		if v.Costs, err = inventory.List[inventory.CostLine](r.Context(), s.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("acquisition", a.UID)}, Limit: 200}); err != nil {
			return err
		}
	}
	return s.render(w, r, who, "acquisition", view{Title: a.Reference, Live: "acquisitions,assets,devices,documents,attachments", Problem: p, Data: v})
}

func (v *acquisitionView) count(state string) {
	for i := range v.Counts {
		if v.Counts[i].State == state {
			v.Counts[i].Count++
			return
		}
	}
	v.Counts = append(v.Counts, thingCount{state, 1})
}

// thingsOf lists the assets of an acquisition, their models and the machines they are, in four statements.
func (s *Server) thingsOf(ctx context.Context, acquisition inventory.UID) ([]acquiredThing, error) {
	page, err := s.Record.List(ctx, assetNoun, inventory.Query{Filters: []inventory.Filter{inventory.Is("acquisition", acquisition)}, Sort: "asset_tag", Limit: maxThings, NoNames: true})
	if err != nil || len(page.Items) == 0 {
		return nil, err
	}
	assets := inventory.Items[inventory.Asset](page)
	uids := make([]string, len(assets))
	for i, a := range assets {
		uids[i] = string(a.UID)
	}
	devices, err := inventory.List[inventory.Device](ctx, s.Record, inventory.Query{Filters: []inventory.Filter{{Field: "asset", Op: inventory.OpIn, Value: strings.Join(uids, ",")}}, Limit: inventory.MaxPage})
	if err != nil {
		return nil, err
	}
	of := map[inventory.UID]*inventory.Device{}
	for _, d := range devices {
		of[d.Asset] = d
	}
	var models []inventory.UID
	for _, a := range assets {
		models = append(models, a.DeviceType)
	}
	types, err := s.byUID(ctx, inventory.NounFor[inventory.DeviceType](), models)
	if err != nil {
		return nil, err
	}
	things := make([]acquiredThing, len(assets))
	for i, a := range assets {
		things[i] = acquiredThing{Asset: a, Device: of[a.UID]}
		if t, ok := types[a.DeviceType].(*inventory.DeviceType); ok {
			things[i].Type = t.Model
		}
	}
	return things, nil
}

// wrongLines is the refusal of a pasted list.
func wrongLines(wrong []finance.LineError) error {
	fields := map[string]string{}
	for _, w := range wrong {
		fields["line "+strconv.Itoa(w.Line)] = w.Why
	}
	return &api.Problem{Status: http.StatusUnprocessableEntity, Code: api.CodeInvalid, Detail: "Nothing was written: some lines cannot be read.", Fields: fields}
}

// expect writes down what a pasted list announces.
func (s *Server) expect(r *http.Request, who caller, in api.ExpectRequest) (made []*inventory.Asset, wrong []finance.LineError, err error) {
	list, wrong := finance.ParseExpected(in.Items)
	if len(wrong) > 0 {
		return nil, wrong, wrongLines(wrong)
	}
	if len(list) == 0 {
		return nil, nil, invalid("items", "name at least one thing")
	}
	err = s.change(r, who, acquisitionNoun, in.Why, func(tx inventory.Tx, obj inventory.Object) error {
		made, err = finance.Expect(tx, obj.(*inventory.Acquisition), list)
		return err
	})
	return made, nil, err
}

func (s *Server) postExpect(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusCreated, func(in api.ExpectRequest) (api.Page[*inventory.Asset], error) {
		made, _, err := s.expect(r, who, in)
		return api.Page[*inventory.Asset]{Items: made, Total: int64(len(made)), Exact: true}, err
	})
}

func (s *Server) expectForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	made, wrong, err := s.expect(r, who, api.ExpectRequest{Items: v.Get("items"), Why: v.Get("why")})
	if p, ok := again(err); ok {
		return s.drawAcquisition(w, r, who, v.Get("items"), wrong, p)
	}
	if err != nil {
		return err
	}
	flash(w, "%s written down as expected.", plural(len(made), "thing is", "things are"))
	return seeOther(w, r, joinPath("/acquisitions", r.PathValue("ref")))
}

func (s *Server) advance(r *http.Request, who caller, in api.AdvanceRequest) (a *inventory.Acquisition, err error) {
	on, err := inventory.ParseDate(in.On)
	if err != nil {
		return nil, invalid("on", "%v", err)
	}
	err = s.change(r, who, acquisitionNoun, in.Why, func(tx inventory.Tx, obj inventory.Object) error {
		a = obj.(*inventory.Acquisition)
		return finance.Advance(tx, a, in.Status, on)
	})
	return a, err
}

func (s *Server) postAdvance(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusOK, func(in api.AdvanceRequest) (any, error) {
		a, err := s.advance(r, who, in)
		if err != nil {
			return nil, err
		}
		return shown(acquisitionNoun, a, who)
	})
}

func (s *Server) advanceForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	a, err := s.advance(r, who, api.AdvanceRequest{Status: v.Get("status"), On: v.Get("on"), Why: v.Get("why")})
	if p, ok := again(err); ok {
		return s.drawAcquisition(w, r, who, "", nil, p)
	}
	if err != nil {
		return err
	}
	flash(w, "%s is %s.", a.Reference, a.Status)
	return seeOther(w, r, pageOf(acquisitionNoun, a))
}

func (s *Server) landForm(n *inventory.Noun) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		v, err := form(r)
		if err != nil {
			return err
		}
		changed, err := s.shareOut(r, who, n, v.Get("why"))
		if p, ok := again(err); ok && n == acquisitionNoun {
			return s.drawAcquisition(w, r, who, "", nil, p)
		}
		if err != nil {
			return err
		}
		flash(w, "The landed cost of %s changed.", plural(changed, "asset", "assets"))
		return seeOther(w, r, joinPath("/"+n.Plural, r.PathValue("ref")))
	}
}

// parties finds who a paper is from and to.
func (s *Server) parties(ctx context.Context, them, contact inventory.UID) (p finance.Parties, err error) {
	if p.Us, err = s.ourselves(ctx); err != nil {
		return p, err
	}
	if them != "" {
		if p.Them, err = inventory.Get[inventory.Organization](ctx, s.Record, string(them)); err != nil && !isNotFound(err) {
			return p, err
		}
	}
	if contact != "" {
		if p.Contact, err = inventory.Get[inventory.Contact](ctx, s.Record, string(contact)); err != nil && !isNotFound(err) {
			return p, err
		}
	}
	return p, nil
}

// ourselves is the organization that is marked as our own; nil when none is.
func (s *Server) ourselves(ctx context.Context) (*inventory.Organization, error) {
	list, err := inventory.List[inventory.Organization](ctx, s.Record, inventory.Query{Filters: []inventory.Filter{{Field: "roles", Op: inventory.OpContains, Value: "ourselves"}}, Sort: "created_at", Limit: 1})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

// letter makes the letter of thanks for a donation.
func (s *Server) letter(ctx context.Context, a *inventory.Acquisition, on inventory.Date) ([]byte, error) {
	if a.Kind != "donation" {
		return nil, &inventory.Conflict{Noun: "acquisition", UID: a.UID, Why: "only a donation is acknowledged; this is a " + a.Kind}
	}
	p, err := s.parties(ctx, a.Organization, a.Contact)
	if err != nil {
		return nil, err
	}
	things, err := s.thingsOf(ctx, a.UID)
	if err != nil {
		return nil, err
	}
	var assets []*inventory.Asset
	types := map[inventory.UID]string{}
	for _, t := range things {
		if t.Custody != "expected" && t.Custody != "in_transit" {
			assets = append(assets, t.Asset)
			types[t.DeviceType] = t.Type
		}
	}
	return finance.Acknowledgement(a, p, assets, types, on)
}

// letterDay is the date of a letter: the one asked for, that on which it was sent, or today.
func (s *Server) letterDay(a *inventory.Acquisition, text string) (inventory.Date, error) {
	day, err := inventory.ParseDate(text)
	switch {
	case err != nil:
		return "", invalid("on", "%v", err)
	case day != "":
		return day, nil
	case a.AcknowledgedAt != nil:
		return inventory.DateOf(a.AcknowledgedAt.UTC()), nil
	}
	return inventory.DateOf(s.now().UTC()), nil
}

func (s *Server) acknowledgement(w http.ResponseWriter, r *http.Request, _ caller) error {
	a, err := inventory.Get[inventory.Acquisition](r.Context(), s.Record, r.PathValue("ref"))
	if err != nil {
		return err
	}
	day, err := s.letterDay(a, r.URL.Query().Get("on"))
	if err != nil {
		return err
	}
	pdf, err := s.letter(r.Context(), a, day)
	if err != nil {
		return err
	}
	return sendPDF(w, "acknowledgement-"+a.Reference+".pdf", pdf)
}

// sendPDF answers with a paper of ours, to be saved.
func sendPDF(w http.ResponseWriter, name string, pdf []byte) error {
	fileOf(w, "application/pdf", name)
	w.Header().Set("Content-Length", strconv.Itoa(len(pdf)))
	_, _ = w.Write(pdf) // the client has gone: nobody is left to tell
	return nil
}

// acknowledged notes that the letter was sent, and keeps the letter as it was.
func (s *Server) acknowledged(r *http.Request, who caller, in api.AcknowledgedRequest) (a *inventory.Acquisition, err error) {
	if a, err = inventory.Get[inventory.Acquisition](r.Context(), s.Record, r.PathValue("ref")); err != nil {
		return nil, err
	}
	day, err := s.letterDay(a, in.On)
	if err != nil {
		return nil, err
	}
	pdf, err := s.letter(r.Context(), a, day)
	if err != nil {
		return nil, err
	}
	var doc *inventory.Document
	if s.Documents != nil {
		if doc, err = s.Documents.Receive(bytes.NewReader(pdf), "acknowledgement-"+a.Reference+".pdf"); err != nil {
			return nil, err
		}
		doc.Kind, doc.Date, doc.UploadedBy = "acknowledgement", day, who.Actor.Name
	}
	err = s.change(r, who, acquisitionNoun, in.Why, func(tx inventory.Tx, obj inventory.Object) error {
		a = obj.(*inventory.Acquisition)
		at := day.Time()
		a.AcknowledgedAt = &at
		if err := tx.Update(a); err != nil || doc == nil {
			return err
		}
		kept := *doc // the edit may run again
		return blob.File(tx, &kept, blob.Target{Noun: acquisitionNoun, Object: a.UID, Caption: "as sent"})
	})
	return a, err
}

func (s *Server) postAcknowledged(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusOK, func(in api.AcknowledgedRequest) (any, error) {
		a, err := s.acknowledged(r, who, in)
		if err != nil {
			return nil, err
		}
		return shown(acquisitionNoun, a, who)
	})
}

func (s *Server) acknowledgedForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	a, err := s.acknowledged(r, who, api.AcknowledgedRequest{On: v.Get("on"), Why: v.Get("why")})
	if p, ok := again(err); ok {
		return s.drawAcquisition(w, r, who, "", nil, p)
	}
	if err != nil {
		return err
	}
	flash(w, "Noted as sent; the letter is among the documents.")
	return seeOther(w, r, pageOf(acquisitionNoun, a))
}

// donationQuery is which donations a report is about.
type donationQuery struct {
	Year  int
	Donor *inventory.Organization // nil is all
}

func (s *Server) donationQuery(ctx context.Context, v url.Values) (q donationQuery, err error) {
	if text := v.Get("year"); text != "" {
		if q.Year, err = strconv.Atoi(text); err != nil || q.Year < 1950 || q.Year > 2200 {
			return q, invalid("year", "is from 1950 to 2200")
		}
	}
	if ref := v.Get("donor"); ref != "" {
		if q.Donor, err = inventory.Get[inventory.Organization](ctx, s.Record, ref); isNotFound(err) {
			return q, invalid("donor", "there is no organization %q", truncate(ref, 60))
		}
	}
	return q, err
}

func (q donationQuery) uid() inventory.UID {
	if q.Donor == nil {
		return ""
	}
	return q.Donor.UID
}

func (q donationQuery) name() string {
	if q.Donor == nil {
		return ""
	}
	return q.Donor.Name
}

func (s *Server) donations(w http.ResponseWriter, r *http.Request, who caller) error {
	switch format := r.URL.Query().Get("format"); format {
	case "csv", "pdf":
		return s.donationsAs(format)(w, r, who)
	case "", "json":
	default:
		return invalid("format", "json, csv or pdf")
	}
	q, err := s.donationQuery(r.Context(), r.URL.Query())
	if err != nil {
		return err
	}
	lines, err := finance.Donations(r.Context(), s.Record, q.Year, q.uid())
	if err != nil {
		return err
	}
	out := api.Page[api.Donation]{Items: []api.Donation{}, Total: int64(len(lines)), Exact: true}
	for _, l := range lines {
		a := l.Acquisition
		d := api.Donation{Donor: l.Donor, Organization: a.Organization, Acquisition: a.UID, Reference: a.Reference, Title: a.Title, ReceivedOn: a.ReceivedOn, Things: l.Things, HoldUntil: a.HoldUntil}
		if a.AcknowledgedAt != nil {
			d.AcknowledgedOn = inventory.DateOf(a.AcknowledgedAt.UTC())
		}
		out.Items = append(out.Items, d)
	}
	return writeJSON(w, http.StatusOK, out)
}

// donationsAs answers with the report as a file.
func (s *Server) donationsAs(format string) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		q, err := s.donationQuery(r.Context(), r.URL.Query())
		if err != nil {
			return err
		}
		lines, err := finance.Donations(r.Context(), s.Record, q.Year, q.uid())
		if err != nil {
			return err
		}
		name := "donations"
		if q.Year != 0 {
			name += fmt.Sprintf("-%d", q.Year)
		}
		if format == "csv" {
			fileOf(w, "text/csv; charset=utf-8", name+".csv")
			return finance.WriteDonations(w, lines, who.SeesMoney())
		}
		us, err := s.ourselves(r.Context())
		if err != nil {
			return err
		}
		pdf, err := finance.DonationReport(lines, q.Year, q.name(), us, inventory.DateOf(s.now().UTC()))
		if err != nil {
			return err
		}
		return sendPDF(w, name+".pdf", pdf)
	}
}

// donationsView is the page of a year's donations.
type donationsView struct {
	Year   int
	Years  []int
	Donor  *inventory.Organization
	Lines  []finance.DonationLine
	Things int
	CSV    string
	PDF    string
}

func (s *Server) donationsPage(w http.ResponseWriter, r *http.Request, who caller) error {
	query := r.URL.Query()
	if !query.Has("year") {
		query.Set("year", strconv.Itoa(s.now().UTC().Year()))
	}
	if query.Get("year") == "" {
		query.Del("year")
	}
	q, err := s.donationQuery(r.Context(), query)
	if err != nil {
		return err
	}
	v := donationsView{Year: q.Year, Donor: q.Donor, CSV: "/donations/report.csv?" + query.Encode(), PDF: "/donations/report.pdf?" + query.Encode()}
	if v.Lines, err = finance.Donations(r.Context(), s.Record, q.Year, q.uid()); err != nil {
		return err
	}
	for _, l := range v.Lines {
		v.Things += l.Things
	}
	for i := range 6 {
		v.Years = append(v.Years, s.now().UTC().Year()-i)
	}
	return s.render(w, r, who, "donations", view{Title: "Donations", Live: "acquisitions,assets", Data: v})
}
