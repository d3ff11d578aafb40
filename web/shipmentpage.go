package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"berth/api"
	"berth/inventory"
	"berth/inventory/logistics"
)

// shipmentPages are the page of a shipment, drawn by hand, and its forms.
func (s *Server) shipmentPages() []route {
	return []route{
		{method: "GET", pattern: "/shipments/{ref}", need: "viewer", handle: s.shipmentPage},
		{method: "POST", pattern: "/shipments/{ref}/items", need: "operator", handle: s.itemsForm},
		{method: "POST", pattern: "/shipments/{ref}/pack", need: "operator", handle: s.packForm},
		{method: "POST", pattern: "/shipments/{ref}/hand-over", need: "operator", handle: s.handOverForm},
		{method: "GET", pattern: "/shipments/{ref}/receive", need: "operator", handle: s.receivePage},
		{method: "POST", pattern: "/shipments/{ref}/receive", need: "operator", handle: s.receiveForm},
		{method: "GET", pattern: "/shipments/{ref}/track", need: "operator", handle: s.trackPage},
		{method: "POST", pattern: "/shipments/{ref}/track", need: "operator", handle: s.trackForm},
		{method: "POST", pattern: "/shipments/{ref}/step", need: "operator", handle: s.stepForm},
		{method: "POST", pattern: "/shipments/{ref}/verify", need: "operator", handle: s.verifyForm},
	}
}

// shipmentView is everything about one shipment.
type shipmentView struct {
	oneView
	*api.ShipmentStatus
	Names    map[inventory.UID]string // of all that the page refers to
	Way      []station
	Boxes    []boxView
	Loose    []inventory.ShipmentItem // in no box
	Here     int                      // lines that have arrived
	Verified int
	Clock    []api.AgendaEntry
	Claims   []*inventory.Claim
	Carriers []option
	Orders   []option
	Photos   []option
	In       url.Values // what was typed into the form that was refused
	Form     string     // which one that is
}

// boxView is a parcel with what lies in it.
type boxView struct {
	inventory.Parcel
	Items []inventory.ShipmentItem
}

// Size is the box's measures, in centimetres.
func (b boxView) Size() string {
	if b.LengthMM == 0 && b.WidthMM == 0 && b.HeightMM == 0 {
		return ""
	}
	return fmt.Sprintf("%s × %s × %s cm", trimZero(float64(b.LengthMM)/10), trimZero(float64(b.WidthMM)/10), trimZero(float64(b.HeightMM)/10))
}

// Weight is in kilograms; empty where nobody weighed it.
func (b boxView) Weight() string { return kilograms(b.WeightGrams) }

// station is a stop on a shipment's way.
type station struct {
	Name  string
	State string // done, here, bad or todo
	At    *time.Time
	Note  string
}

// Phase is the shipment's phase, for the template to compare.
func (v shipmentView) Phase() string { return v.Shipment.Phase }

// UnderWay tells whether the goods are still to come.
func (v shipmentView) UnderWay() bool { return inventory.Phase(v.Shipment.Phase).UnderWay() }

// Typed is what a person had typed into the form that was refused.
func (v shipmentView) Typed(form, field string) string {
	if v.Form != form {
		return ""
	}
	return v.In.Get(field)
}

// way draws the shipment's way as a row of stops. What the carrier says lies between what we did.
func way(st *api.ShipmentStatus, here, verified int) []station {
	s := &st.Shipment
	heard := map[string]*time.Time{}
	var left *time.Time
	for i := range st.Events { // newest first: the first time of each status is kept last
		e := &st.Events[i]
		heard[e.Status] = &e.OccurredAt
		if slices.Contains([]string{"in_transit", "out_for_delivery", "available_for_pickup"}, e.Status) {
			left = &e.OccurredAt
		}
	}
	order := inventory.Phase(s.Phase)
	stops := []station{
		{Name: "Listed", State: "done", At: &s.CreatedAt, Note: plural(len(st.Items), "line", "lines")},
		{Name: "Packed", State: doneIf(order != inventory.PhaseDraft && order != inventory.PhaseCancelled), At: packedAt(st.Items)},
		{Name: "Handed over", State: doneIf(s.HandedOverAt != nil), At: s.HandedOverAt, Note: s.HandedOverBy},
		{Name: "In transit", State: doneIf(left != nil), At: left},
		{Name: "Delivered", State: doneIf(s.DeliveredAt != nil), At: s.DeliveredAt},
		{Name: "Received", State: doneIf(here == len(st.Items) && here > 0), At: s.ReceivedAt, Note: fmt.Sprintf("%d of %d here", here, len(st.Items))},
		{Name: "Verified", State: doneIf(verified == len(st.Items) && verified > 0), Note: fmt.Sprintf("%d of %d have spoken", verified, len(st.Items))},
	}
	if len(st.Parcels) > 0 {
		stops[1].Note = plural(len(st.Parcels), "box", "boxes")
	}
	switch {
	case s.DeliveredAt != nil:
		stops[4].Note = "by the carrier's word"
	case s.ReceivedAt != nil:
		stops[4].Note = "the carrier did not say so"
	}
	markHere(stops, st)
	return stops
}

func doneIf(done bool) string {
	if done {
		return "done"
	}
	return "todo"
}

func packedAt(items []inventory.ShipmentItem) *time.Time {
	for _, i := range items {
		if i.PackedAt != nil {
			return i.PackedAt
		}
	}
	return nil
}

// markHere marks the last stop that was reached, in red where something is wrong. Stops that nobody spoke of but that must have been passed
// count as passed.
func markHere(stops []station, st *api.ShipmentStatus) {
	last := 0
	for i, stop := range stops {
		if stop.State == "done" {
			last = i
		}
	}
	for i := range last {
		stops[i].State = "done"
	}
	stops[last].State = "here"
	switch s := st.Shipment; {
	case s.Phase == "lost" || s.Phase == "written_off" || s.Phase == "cancelled":
		stops[last].State, stops[last].Note = "bad", strings.ReplaceAll(s.Phase, "_", " ")
	case s.ReceivedAt == nil && slices.Contains([]string{"silent", "failure", "return_to_sender", "error"}, s.Status):
		stops[last].State, stops[last].Note = "bad", strings.ReplaceAll(s.Status, "_", " ")
	case last == len(stops)-1:
		stops[last].State = "done"
	}
}

func (s *Server) shipmentPage(w http.ResponseWriter, r *http.Request, who caller) error {
	return s.drawShipment(w, r, who, "", nil, nil)
}

// drawShipment draws the page of a shipment, with what was typed into a form of it that was refused.
func (s *Server) drawShipment(w http.ResponseWriter, r *http.Request, who caller, formName string, typed url.Values, problem *api.Problem) error {
	v, err := s.shipmentView(r, who)
	if err != nil {
		return err
	}
	v.Form, v.In = formName, typed
	title := v.Shipment.Reference
	if v.Shipment.Title != "" {
		title += " · " + v.Shipment.Title
	}
	return s.render(w, r, who, "shipment", view{Title: title, Live: "shipments,parcels,shipment-items,tracking-events,deviations,claims", Problem: problem, Data: v})
}

func (s *Server) shipmentView(r *http.Request, who caller) (*shipmentView, error) {
	o, err := s.one(r, who, nounNamed("shipment"))
	if err != nil {
		return nil, err
	}
	status, err := s.shipmentStatus(r, who)
	if err != nil {
		return nil, err
	}
	v := &shipmentView{oneView: o, ShipmentStatus: status, Names: status.Names}
	v.oneView.Names = status.Names
	v.arrange()
	v.Way = way(status, v.Here, v.Verified)
	if v.Clock, err = s.shipmentDeadlines(r.Context(), &status.Shipment); err != nil {
		return nil, err
	}
	of := []inventory.Filter{inventory.Is("shipment", status.Shipment.UID)}
	if v.Claims, err = inventory.List[inventory.Claim](r.Context(), s.Record, inventory.Query{Filters: of, Sort: "-created_at", Limit: 20}); err != nil {
		return nil, err
	}
	if !v.UnderWay() || !v.CanEdit {
		return v, nil
	}
	return v, s.shipmentChoices(r, v)
}

// arrange puts the lines into their boxes and counts them.
func (v *shipmentView) arrange() {
	at := map[inventory.UID]int{}
	for i, p := range v.Parcels {
		v.Boxes = append(v.Boxes, boxView{Parcel: p})
		at[p.UID] = i + 1
	}
	for _, i := range v.Items {
		if inventory.ItemState(i.State).Here() {
			v.Here++
		}
		if i.VerifiedAt != nil {
			v.Verified++
		}
		if n := at[i.Parcel]; n > 0 {
			v.Boxes[n-1].Items = append(v.Boxes[n-1].Items, i)
		} else {
			v.Loose = append(v.Loose, i)
		}
	}
}

// shipmentChoices are what the forms of a shipment that is being prepared choose from.
func (s *Server) shipmentChoices(r *http.Request, v *shipmentView) (err error) {
	if v.Carriers, err = s.refOptions(r, inventory.Field{Name: "carrier", Ref: "organization"}, string(v.Shipment.Carrier)); err != nil {
		return err
	}
	if v.Orders, err = s.refOptions(r, inventory.Field{Name: "acquisition", Ref: "acquisition"}, ""); err != nil {
		return err
	}
	photos, err := inventory.List[inventory.Document](r.Context(), s.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("kind", "photo")}, Sort: "-created_at", Limit: 50})
	v.Photos = []option{{Text: "–"}}
	for _, d := range photos {
		v.Photos = append(v.Photos, option{Value: string(d.UID), Text: d.Name})
	}
	return err
}

// shipmentForm runs what a form of the page asks for, and draws the page again where it is refused.
func (s *Server) shipmentForm(w http.ResponseWriter, r *http.Request, who caller, name, why string, typed url.Values, do func(tx inventory.Tx) error, said string) error {
	err := s.Record.Edit(r.Context(), edit(r, who, why), do)
	if p, ok := again(err); ok {
		return s.drawShipment(w, r, who, name, typed, p)
	}
	if err != nil {
		return err
	}
	flash(w, "%s", said)
	return seeOther(w, r, joinPath("/shipments", r.PathValue("ref")))
}

func (s *Server) itemsForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	in := api.AddItemsRequest{Text: v.Get("text"), Acquisition: v.Get("acquisition"), Parcel: v.Get("parcel")}
	return s.shipmentForm(w, r, who, "items", v.Get("why"), v, func(tx inventory.Tx) error { return s.addItems(tx, who, r.PathValue("ref"), in) }, "The list is longer.")
}

func (s *Server) packForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	in := api.PackRequest{}
	box, err := packedBox(v)
	if p, ok := again(err); ok {
		return s.drawShipment(w, r, who, "pack", v, p)
	}
	if !emptyBox(box) {
		in.Parcels = []inventory.Packed{box}
	}
	return s.shipmentForm(w, r, who, "pack", v.Get("why"), v, func(tx inventory.Tx) error { return s.pack(tx, who, r.PathValue("ref"), in) }, "Packed.")
}

func emptyBox(p inventory.Packed) bool {
	return p.Label == "" && p.WeightGrams == 0 && p.SealNo == "" && p.Photo == "" && p.TrackingCode == "" && p.LengthMM == 0 && len(p.Items) == 0
}

// packedBox reads a box out of the form: kilograms and centimetres, as people measure them.
func packedBox(v url.Values) (p inventory.Packed, err error) {
	p = inventory.Packed{Label: strings.TrimSpace(v.Get("label")), TrackingCode: v.Get("tracking_code"), SealNo: strings.TrimSpace(v.Get("seal_no")), Photo: v.Get("photo"), Contents: v.Get("contents"),
		Items: strings.FieldsFunc(v.Get("items"), func(r rune) bool { return strings.ContainsRune("\r\n,; ", r) })}
	grams, err := scaled(v, "weight", 1000)
	p.WeightGrams = grams
	for field, into := range map[string]*int{"length": &p.LengthMM, "width": &p.WidthMM, "height": &p.HeightMM} {
		mm, wrong := scaled(v, field, 10)
		if wrong != nil {
			return p, wrong
		}
		*into = int(mm)
	}
	return p, err
}

// scaled reads a number with decimals as a whole number of a smaller unit.
func scaled(v url.Values, field string, factor float64) (int64, error) {
	text := strings.TrimSpace(strings.ReplaceAll(v.Get(field), ",", "."))
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || n > 1e6 {
		return 0, invalid(field, "must be a number")
	}
	return int64(n*factor + 0.5), nil
}

func (s *Server) handOverForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	in := api.HandOverRequest{Carrier: v.Get("carrier"), Service: v.Get("service"), TrackingCode: v.Get("tracking_code"), To: v.Get("to"), Override: v.Get("override")}
	return s.shipmentForm(w, r, who, "hand-over", whyOf(in), v, func(tx inventory.Tx) error { return s.handOver(tx, who, r.PathValue("ref"), in) }, "Handed over. From here on the carrier's silence is counted.")
}

// stepForm is one of the steps that need nothing but a reason.
func (s *Server) stepForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	name, why := v.Get("step"), strings.TrimSpace(v.Get("why"))
	said := map[string]string{"close": "Closed.", "cancel": "Cancelled.", "lose": "It is lost. Claims can be made; it can still turn up.", "reopen": "One step back.", "reconcile": "Every line is accounted for."}[name]
	if said == "" {
		return malformed("There is no such step.")
	}
	return s.shipmentForm(w, r, who, "step", why, v, func(tx inventory.Tx) error {
		if name == "reconcile" {
			return s.reconcile(tx, who, r.PathValue("ref"), api.ReconcileRequest{Missing: v.Get("missing") == "true"})
		}
		_, err := shipmentEnds[name](tx, who.Actor.Name, r.PathValue("ref"), why)
		return err
	}, said)
}

// verifyForm is a person's word on a line, from the shipment's page or from that of a machine that may be it.
func (s *Server) verifyForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	in := api.VerifyItemRequest{Item: v.Get("item"), Device: v.Get("device"), How: "person"}
	err = s.Record.Edit(r.Context(), edit(r, who, v.Get("why")), func(tx inventory.Tx) error { return s.verifyItem(tx, who, r.PathValue("ref"), in) })
	if p, ok := again(err); ok {
		return s.drawShipment(w, r, who, "verify", v, p)
	}
	if err != nil {
		return err
	}
	flash(w, "Noted.")
	return seeOther(w, r, back(r, v, joinPath("/shipments", r.PathValue("ref"))))
}

// receiveView is the page at the door: what came, and what is still to come.
type receiveView struct {
	*api.ShipmentStatus
	Open   []inventory.ShipmentItem
	Done   []inventory.ShipmentItem
	Boxes  []option
	In     url.Values
	Result *logistics.Received
}

func (s *Server) receivePage(w http.ResponseWriter, r *http.Request, who caller) error {
	return s.drawReceive(w, r, who, r.URL.Query(), nil, nil)
}

func (s *Server) drawReceive(w http.ResponseWriter, r *http.Request, who caller, typed url.Values, result *logistics.Received, problem *api.Problem) error {
	status, err := s.shipmentStatus(r, who)
	if err != nil {
		return err
	}
	v := receiveView{ShipmentStatus: status, In: typed, Result: result, Boxes: []option{{Text: "any, or none"}}}
	for _, i := range status.Items {
		if inventory.ItemState(i.State).Here() {
			v.Done = append(v.Done, i)
		} else {
			v.Open = append(v.Open, i)
		}
	}
	for _, p := range status.Parcels {
		v.Boxes = append(v.Boxes, option{Value: string(p.UID), Text: p.Label, Selected: typed.Get("parcel") == string(p.UID)})
	}
	return s.render(w, r, who, "receive", view{Title: "Receive " + status.Shipment.Reference, Problem: problem, Data: v})
}

// receiveForm takes in what was scanned and stays, for the next box.
func (s *Server) receiveForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	lines := func(field string) []string {
		return strings.FieldsFunc(v.Get(field), func(r rune) bool { return r == '\n' || r == '\r' || r == ',' || r == ';' })
	}
	in := api.ReceiveRequest{Parcel: v.Get("parcel"), Scans: lines("scans"), Damaged: lines("damaged"), Damage: v.Get("damage"), NotExpected: v.Get("not_expected") == "true", SignedBy: v.Get("signed_by"), Why: v.Get("why")}
	out, err := s.receive(r, who, in)
	if p, ok := again(err); ok {
		return s.drawReceive(w, r, who, v, nil, p)
	}
	if err != nil {
		return err
	}
	v.Set("scans", strings.Join(out.Unknown, "\n")) // what was not found stays to be looked at
	v.Del("damaged")
	v.Del("damage")
	return s.drawReceive(w, r, who, v, out, nil)
}

// trackView is the page on which a person tells where a shipment is, or pastes what the carrier wrote.
type trackView struct {
	*api.ShipmentStatus
	In       url.Values
	Statuses []option
	Boxes    []option
	Read     *api.TrackResult // what was understood of the text, before it is stored
}

func (s *Server) trackPage(w http.ResponseWriter, r *http.Request, who caller) error {
	return s.drawTrack(w, r, who, url.Values{}, nil, nil)
}

func (s *Server) drawTrack(w http.ResponseWriter, r *http.Request, who caller, typed url.Values, read *api.TrackResult, problem *api.Problem) error {
	status, err := s.shipmentStatus(r, who)
	if err != nil {
		return err
	}
	v := trackView{ShipmentStatus: status, In: typed, Read: read, Boxes: []option{{Text: "the whole shipment"}}}
	field, _ := nounNamed("tracking-event").Field("status")
	chosen := cmp.Or(typed.Get("status"), "in_transit")
	for _, word := range field.Values {
		if word != "silent" { // that is what we say, not a carrier
			v.Statuses = append(v.Statuses, option{Value: word, Text: strings.ReplaceAll(word, "_", " "), Selected: word == chosen})
		}
	}
	for _, p := range status.Parcels {
		v.Boxes = append(v.Boxes, option{Value: string(p.UID), Text: p.Label, Selected: typed.Get("parcel") == string(p.UID)})
	}
	return s.render(w, r, who, "track", view{Title: "Where is " + status.Shipment.Reference + "?", Problem: problem, Data: v})
}

func (s *Server) trackForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	in := api.TrackRequest{Text: strings.ReplaceAll(v.Get("text"), "\r\n", "\n"), Preview: v.Get("store") != "true" && v.Get("text") != "", Status: v.Get("status"), Description: v.Get("description"), City: v.Get("city"), Country: v.Get("country"), Parcel: v.Get("parcel")}
	if text := v.Get("occurred_at"); text != "" {
		at, err := time.Parse(formTime, text)
		if err != nil {
			return s.drawTrack(w, r, who, v, nil, problemOf(invalid("occurred_at", "must be a date and time (UTC)")))
		}
		in.OccurredAt = &at
	}
	out, err := s.track(r, who, in)
	if p, ok := again(err); ok {
		return s.drawTrack(w, r, who, v, nil, p)
	}
	if err != nil {
		return err
	}
	if in.Preview {
		return s.drawTrack(w, r, who, v, out, nil)
	}
	flash(w, "%s kept, %s known already.", plural(out.New, "event was", "events were"), plural(out.Repeats, "was", "were"))
	return seeOther(w, r, joinPath("/shipments", r.PathValue("ref")))
}

// expectedRow is something that was announced and that a machine may be.
type expectedRow struct {
	Name     string // the line's or asset's
	Why      string // what speaks for and against it
	Shipment *inventory.Shipment
	Item     inventory.UID
	Asset    inventory.UID
	Taken    bool // it is proposed already
}

// maxExpectedRows is how many candidates a machine's page shows.
const maxExpectedRows = 5

// expectedRows ranks what was announced for a machine that nobody accepted yet, the likeliest first.
func (s *Server) expectedRows(ctx context.Context, d *inventory.Device, f *inventory.Facts) ([]expectedRow, error) {
	if f == nil || d.ProvisionState.Accepted() {
		return nil, nil
	}
	own := *d
	verdict, err := logistics.Propose(s.reading(ctx), &own, *f)
	if err != nil {
		return nil, err
	}
	var rows []expectedRow
	for _, ranked := range verdict.Ranked[:min(len(verdict.Ranked), maxExpectedRows)] {
		row := expectedRow{Why: ranked.Sentence(), Item: ranked.Item, Asset: ranked.Asset, Taken: d.Asset != "" && d.Asset == ranked.Asset}
		if ranked.Item != "" {
			i, err := inventory.Get[inventory.ShipmentItem](ctx, s.Record, string(ranked.Item))
			if err != nil {
				return nil, err
			}
			if row.Shipment, err = inventory.Get[inventory.Shipment](ctx, s.Record, string(i.Shipment)); err != nil {
				return nil, err
			}
			row.Name = i.Name()
		} else if a, err := inventory.Get[inventory.Asset](ctx, s.Record, string(ranked.Asset)); err == nil {
			row.Name = strings.TrimSpace(a.AssetTag + " " + a.Serial)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Fielded is the view for the table of all fields: of the two things that have names and an object, it takes those of the page.
func (v shipmentView) Fielded() oneView { return v.oneView }
