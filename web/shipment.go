package web

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"berth/api"
	"berth/inventory"
	"berth/inventory/carrier"
	"berth/inventory/logistics"
)

// shipmentRoutes are REST for what is done to shipments.
func (s *Server) shipmentRoutes() []route {
	act := func(name string, in any, h handler, summary string) route {
		return route{method: "POST", pattern: "/api/v1/shipments/{ref}/" + name, need: "operator", handle: h, in: in, out: api.ShipmentStatus{}, summary: summary}
	}
	rows := []route{
		{method: "GET", pattern: "/api/v1/shipments/{ref}/status", need: "viewer", handle: s.getShipment, out: api.ShipmentStatus{},
			summary: "A shipment with its boxes, lines, events, open deviations and its gap in cover"},
		act("items", api.AddItemsRequest{}, shipmentAct(s, s.addItems), "Put things on the packing list: pasted lines, assets, or what an acquisition brought"),
		act("pack", api.PackRequest{}, shipmentAct(s, s.pack), "Close the boxes"),
		act("hand-over", api.HandOverRequest{}, shipmentAct(s, s.handOver), "Give it to the carrier; refused without photo, seal, weight and value, or with a gap in cover, unless override says why"),
		act("reconcile", api.ReconcileRequest{}, shipmentAct(s, s.reconcile), "Say that every line is accounted for"),
		act("verify", api.VerifyItemRequest{}, shipmentAct(s, s.verifyItem), "Say that a line is a machine, or that somebody looked at it"),
		act("close", api.WhyRequest{}, s.endShipment("close"), "End a reconciled shipment"),
		act("cancel", api.WhyRequest{}, s.endShipment("cancel"), "End a shipment that does not take place"),
		act("lose", api.WhyRequest{}, s.endShipment("lose"), "Say that a shipment, or what is left of it, is lost"),
		act("reopen", api.WhyRequest{}, s.endShipment("reopen"), "Take it one step back"),
		{method: "POST", pattern: "/api/v1/shipments/{ref}/receive", need: "operator", handle: s.postReceive, in: api.ReceiveRequest{}, out: api.ReceiveResult{},
			summary: "Take in what came: by box, or by serials"},
		{method: "POST", pattern: "/api/v1/shipments/{ref}/track", need: "operator", handle: s.postTrack, in: api.TrackRequest{}, out: api.TrackResult{},
			summary: "Tell where it is: one event, or a pasted e-mail or text; preview only reads the text"},
		{method: "POST", pattern: "/webhooks/{name}", need: accessOpen, handle: s.carrierWebhook, out: api.WebhookResult{}, query: []string{"token"},
			summary: "What a tracker says, signed with the secret of the tracking source of that name"},
	}
	for i := range rows {
		rows[i].surface = surfaceAPI
	}
	return rows
}

// shipmentAct is a handler that reads an In, does it in one edit, and answers with the shipment as it is then.
func shipmentAct[In any](s *Server, do func(tx inventory.Tx, who caller, ref string, in In) error) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		var in In
		if err := readJSON(r, &in); err != nil {
			return err
		}
		err := s.Record.Edit(r.Context(), edit(r, who, whyOf(in)), func(tx inventory.Tx) error { return do(tx, who, r.PathValue("ref"), in) })
		if err != nil {
			return err
		}
		return s.getShipment(w, r, who)
	}
}

// whyOf is the reason that a request gives for the change log.
func whyOf(in any) string {
	switch in := in.(type) {
	case api.AddItemsRequest:
		return in.Why
	case api.PackRequest:
		return in.Why
	case api.HandOverRequest:
		if in.Why == "" {
			return in.Override
		}
		return in.Why
	case api.ReconcileRequest:
		return in.Why
	case api.VerifyItemRequest:
		return in.Why
	}
	return ""
}

func (s *Server) addItems(tx inventory.Tx, _ caller, ref string, in api.AddItemsRequest) error {
	_, err := logistics.Add(tx, ref, logistics.Adding{Text: in.Text, Assets: in.Assets, Acquisition: in.Acquisition, Parcel: in.Parcel})
	return err
}

func (s *Server) pack(tx inventory.Tx, who caller, ref string, in api.PackRequest) error {
	_, err := logistics.Pack(tx, who.Actor.Name, ref, logistics.Packing{Parcels: in.Parcels})
	return err
}

func (s *Server) handOver(tx inventory.Tx, who caller, ref string, in api.HandOverRequest) error {
	_, err := logistics.HandOver(tx, who.Actor.Name, ref, logistics.Handing{Carrier: in.Carrier, Service: in.Service, TrackingCode: in.TrackingCode, To: in.To,
		Override: strings.TrimSpace(in.Override), Amounts: who.SeesMoney()})
	return err
}

func (s *Server) reconcile(tx inventory.Tx, who caller, ref string, in api.ReconcileRequest) error {
	_, err := logistics.Reconcile(tx, who.Actor.Name, ref, in.Missing)
	return err
}

func (s *Server) verifyItem(tx inventory.Tx, who caller, ref string, in api.VerifyItemRequest) error {
	_, err := logistics.Confirm(tx, who.Actor.Name, ref, in.Item, in.Device, in.How)
	return err
}

// shipmentEnds are the steps that need nothing but a reason.
var shipmentEnds = map[string]func(tx inventory.Tx, by, ref, why string) (*logistics.Load, error){
	"close":  func(tx inventory.Tx, _, ref, _ string) (*logistics.Load, error) { return logistics.Close(tx, ref) },
	"cancel": logistics.Cancel,
	"lose":   logistics.Lose,
	"reopen": func(tx inventory.Tx, by, ref, _ string) (*logistics.Load, error) {
		return logistics.Reopen(tx, by, ref)
	},
}

func (s *Server) endShipment(name string) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		var in api.WhyRequest
		if err := readJSON(r, &in); err != nil {
			return err
		}
		if err := s.stepShipment(r, who, name, in.Why); err != nil {
			return err
		}
		return s.getShipment(w, r, who)
	}
}

func (s *Server) stepShipment(r *http.Request, who caller, name, why string) error {
	return s.Record.Edit(r.Context(), edit(r, who, why), func(tx inventory.Tx) error {
		_, err := shipmentEnds[name](tx, who.Actor.Name, r.PathValue("ref"), strings.TrimSpace(why))
		return err
	})
}

func (s *Server) postReceive(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusOK, func(in api.ReceiveRequest) (*api.ReceiveResult, error) {
		out, err := s.receive(r, who, in)
		if err != nil {
			return nil, err
		}
		result := &api.ReceiveResult{Items: []inventory.ShipmentItem{}, Doubtful: out.Doubtful, Unknown: out.Unknown, Open: out.Open}
		for _, i := range out.Items {
			if !who.SeesMoney() {
				inventory.Describe(i).HideMoney(i)
			}
			result.Items = append(result.Items, *i)
		}
		return result, nil
	})
}

func (s *Server) receive(r *http.Request, who caller, in api.ReceiveRequest) (out *logistics.Received, err error) {
	err = s.Record.Edit(r.Context(), edit(r, who, in.Why), func(tx inventory.Tx) error {
		out, err = logistics.Receive(tx, who.Actor.Name, r.PathValue("ref"), logistics.Receipt{Parcel: in.Parcel, Scans: in.Scans, Damaged: in.Damaged, Damage: in.Damage,
			NotExpected: in.NotExpected, SignedBy: in.SignedBy})
		return err
	})
	return out, err
}

func (s *Server) postTrack(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusOK, func(in api.TrackRequest) (*api.TrackResult, error) { return s.track(r, who, in) })
}

// track takes in one event, or what a pasted text tells; with Preview it only reads the text.
func (s *Server) track(r *http.Request, who caller, in api.TrackRequest) (*api.TrackResult, error) {
	shipment, err := inventory.Get[inventory.Shipment](r.Context(), s.Record, r.PathValue("ref"))
	if err != nil {
		return nil, err
	}
	out, err := s.understood(shipment, in)
	if err != nil || in.Preview {
		return out, err
	}
	if len(out.Events) == 0 {
		return nil, invalid("text", "nothing was found in it that says what happened to the parcel")
	}
	var done *logistics.Tracked
	err = s.Record.Edit(r.Context(), edit(r, who, in.Why), func(tx inventory.Tx) error {
		load, err := logistics.Read(tx, string(shipment.UID))
		if err != nil {
			return err
		}
		events, err := ofShipment(load, out.Events, in.Parcel)
		if err != nil {
			return err
		}
		if done, err = logistics.Track(tx, who.Actor.Name, events); err != nil || out.Promised == "" {
			return err
		}
		load.Shipment, err = inventory.TxGet[inventory.Shipment](tx, string(shipment.UID))
		if err != nil {
			return err
		}
		load.Shipment.PromisedOn = out.Promised
		return tx.Update(load.Shipment)
	})
	if err == nil {
		out.New, out.Repeats = done.New, done.Repeats
	}
	return out, err
}

// understood is what a request tells, before anything is stored.
func (s *Server) understood(shipment *inventory.Shipment, in api.TrackRequest) (*api.TrackResult, error) {
	if in.Text != "" {
		reading, err := carrier.Read(in.Text, s.now().UTC())
		if err != nil {
			return nil, invalid("text", "%v", err)
		}
		return &api.TrackResult{Carrier: reading.Carrier, Codes: reading.Codes, Events: reading.Events, Promised: reading.Promised, Notes: reading.Notes}, nil
	}
	if in.Status == "" {
		return nil, invalid("status", "say what happened, or paste what the carrier wrote")
	}
	at := s.now().UTC()
	if in.OccurredAt != nil {
		at = *in.OccurredAt
	}
	e := inventory.TrackingEvent{OccurredAt: at, Status: in.Status, Description: in.Description, City: in.City, Country: in.Country, TrackingCode: in.TrackingCode, Source: "manual"}
	if e.TrackingCode == "" {
		e.TrackingCode = shipment.TrackingCode
	}
	return &api.TrackResult{Events: []inventory.TrackingEvent{e}}, nil
}

// ofShipment gives events to the shipment whose page they were entered on: to the parcel that is named, else to the one that has the code.
func ofShipment(load *logistics.Load, events []inventory.TrackingEvent, parcel string) ([]inventory.TrackingEvent, error) {
	var chosen *inventory.Parcel
	if parcel != "" {
		if chosen = load.Parcel(parcel); chosen == nil {
			return nil, invalid("parcel", "the shipment has no parcel %q", truncate(parcel, 80))
		}
	}
	out := make([]inventory.TrackingEvent, len(events))
	for i, e := range events {
		if e.Shipment = load.Shipment.UID; chosen != nil {
			e.Parcel = chosen.UID
			if chosen.TrackingCode != "" {
				e.TrackingCode = chosen.TrackingCode
			}
		}
		out[i] = e
	}
	return out, nil
}

// shownEvents is how many tracking events a shipment's page and status have.
const shownEvents = 200

func (s *Server) getShipment(w http.ResponseWriter, r *http.Request, who caller) error {
	status, err := s.shipmentStatus(r, who)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, status)
}

// shipmentStatus reads a shipment with what a page about it needs.
func (s *Server) shipmentStatus(r *http.Request, who caller) (*api.ShipmentStatus, error) {
	reader := s.reading(r.Context())
	load, err := logistics.Read(reader, r.PathValue("ref"))
	if err != nil {
		return nil, err
	}
	out := &api.ShipmentStatus{Shipment: *load.Shipment, Parcels: []inventory.Parcel{}, Items: []inventory.ShipmentItem{}, Events: []inventory.TrackingEvent{}, Deviations: []inventory.Deviation{}, Names: map[inventory.UID]string{}}
	for _, p := range load.Parcels {
		out.Parcels = append(out.Parcels, *p)
	}
	for _, i := range load.Items {
		out.Items = append(out.Items, *i)
	}
	of := inventory.Is("shipment", load.Shipment.UID)
	err = errors.Join(
		collect(r.Context(), s.Record, inventory.Query{Filters: []inventory.Filter{of}, Sort: "-occurred_at", Limit: shownEvents}, &out.Events, out.Names),
		s.namesIn(r.Context(), "shipment-item", of, out.Names),
		s.namesIn(r.Context(), "shipment", inventory.Is("uid", load.Shipment.UID), out.Names),
		s.lineDeviations(r.Context(), load, out),
	)
	if err != nil {
		return nil, err
	}
	return out, coverOf(reader, load, who, out)
}

// namesIn adds what the objects that the filter finds refer to is called.
func (s *Server) namesIn(ctx context.Context, noun string, of inventory.Filter, names map[inventory.UID]string) error {
	page, err := s.Record.List(ctx, nounNamed(noun), inventory.Query{Filters: []inventory.Filter{of}, Limit: inventory.MaxPage})
	for uid, name := range page.Names {
		names[uid] = name
	}
	return err
}

// lineDeviations are the open deviations of the lines.
func (s *Server) lineDeviations(ctx context.Context, load *logistics.Load, out *api.ShipmentStatus) error {
	var uids []string
	for _, i := range load.Items {
		if i.Device != "" {
			uids = append(uids, string(i.UID))
		}
	}
	for len(uids) > 0 {
		n := min(len(uids), 200)
		q := inventory.Query{Filters: []inventory.Filter{{Field: "shipment_item", Op: inventory.OpIn, Value: strings.Join(uids[:n], ",")}, inventory.Is("verdict", inventory.VerdictOpen)}, Limit: inventory.MaxPage}
		if err := collect(ctx, s.Record, q, &out.Deviations, out.Names); err != nil {
			return err
		}
		uids = uids[n:]
	}
	return nil
}

// coverOf adds the gap in cover, for those who may see amounts, and what else stands in the way of a hand-over.
func coverOf(reader logistics.Reader, load *logistics.Load, who caller, out *api.ShipmentStatus) error {
	if !who.SeesMoney() {
		return nil
	}
	c, err := logistics.CoverOf(reader, load)
	if err != nil {
		return err
	}
	out.Cover = &api.Cover{Currency: c.Currency, Value: c.Value, Carrier: c.Carrier, Insured: c.Insured, Gap: c.Gap, Arithmetic: c.Arithmetic(), Notes: c.Notes}
	if c.Cap != nil {
		out.Cover.Regime, out.Cover.Source, out.Cover.CheckedOn = c.Cap.Regime, c.Cap.Source, c.Cap.CheckedOn
	}
	if c.Rate != nil {
		out.Cover.RateSource = c.Rate.Source
	}
	if phase := inventory.Phase(load.Shipment.Phase); phase == inventory.PhaseDraft || phase == inventory.PhasePacked {
		out.Lacks = logistics.Lacks(load, c, true)
	}
	return nil
}

// correct stores an object that a person changed. A packing list or asset with another serial than before is held anew against the machines
// that have reported: the right line may have spoken already.
func correct(tx inventory.Tx, obj inventory.Object) error {
	if err := tx.Update(obj); err != nil {
		return err
	}
	return logistics.Corrected(tx, obj)
}
