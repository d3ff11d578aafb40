package carrier

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"berth/inventory"
)

// Poll asks the address of a source what it knows of a parcel. client decides where requests may go; secret is the source's, opened. The
// answer may have any of the shapes that are known. An answer 404 is none: the carrier has not heard of the code yet.
func Poll(ctx context.Context, client *http.Client, source *inventory.TrackingSource, secret, code string) ([]inventory.TrackingEvent, error) {
	address := strings.ReplaceAll(source.URL, "{tracking_code}", url.QueryEscape(code))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", source.Name, err)
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "berth")
	switch {
	case secret == "":
	case source.Header == "":
		request.Header.Set("Authorization", "Bearer "+secret)
	default:
		request.Header.Set(source.Header, secret)
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", source.Name, withoutAddress(err))
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask %s: it answers %s", source.Name, answer.Status)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", source.Name, withoutAddress(err))
	}
	events, err := Decode("poll", body)
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", source.Name, err)
	}
	for i := range events {
		events[i].Source, events[i].TrackingSource = "carrier_poll", source.UID
	}
	return ofCode(events, code), nil
}

// ofCode leaves out what an answer tells of other parcels than the one that was asked for.
func ofCode(events []inventory.TrackingEvent, code string) []inventory.TrackingEvent {
	var out []inventory.TrackingEvent
	for _, e := range events {
		if e.TrackingCode == inventory.NormalTracking(code) {
			out = append(out, e)
		}
	}
	return out
}

// withoutAddress takes the address out of an error of the client: its query may hold a key.
func withoutAddress(err error) error {
	if wrapped, ok := err.(*url.Error); ok {
		return wrapped.Err
	}
	return err
}

// anyShape tells by its keys what shape an answer has.
func anyShape(body []byte) ([]inventory.TrackingEvent, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(body, &keys); err != nil {
		return nil, err
	}
	for _, shape := range []struct {
		key    string
		decode func([]byte) ([]inventory.TrackingEvent, error)
	}{{"shipments", fromDHL}, {"trackResponse", fromUPS}, {"tracking_details", fromEasyPost}, {"result", fromEasyPost}, {"msg", fromAfterShip}, {"tracking_history", fromShippo}, {"events", fromPlain}, {"data", fromData}} {
		if _, ok := keys[shape.key]; ok {
			return shape.decode(body)
		}
	}
	return nil, ErrShape
}

// fromData: both AfterShip and Shippo put what they know under data.
func fromData(body []byte) ([]inventory.TrackingEvent, error) {
	if events, err := fromAfterShip(body); err == nil && len(events) > 0 {
		return events, nil
	}
	return fromShippo(body)
}

// fromDHL reads DHL's Shipment Tracking API (unified).
func fromDHL(body []byte) ([]inventory.TrackingEvent, error) {
	var m struct {
		Shipments []struct {
			ID     text       `json:"id"`
			Status *dhlEvent  `json:"status"`
			Events []dhlEvent `json:"events"`
		} `json:"shipments"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	var out []inventory.TrackingEvent
	for _, s := range m.Shipments {
		list := s.Events
		if s.Status != nil {
			list = append(list, *s.Status)
		}
		for _, e := range list {
			st := of(dhl, string(e.Code))
			out = append(out, inventory.TrackingEvent{TrackingCode: string(s.ID), OccurredAt: instant(e.Timestamp), Status: st.status, Reason: reasonOf(st, string(e.Description)), Description: first(e.Description, e.Status),
				CarrierCode: first(e.Code), City: string(e.Location.Address.City), Country: string(e.Location.Address.Country)})
		}
	}
	return dedupe(out), nil
}

type dhlEvent struct {
	Timestamp   text `json:"timestamp"`
	Code        text `json:"statusCode"`
	Status      text `json:"status"`
	Description text `json:"description"`
	Location    struct {
		Address struct {
			City    text `json:"addressLocality"`
			Country text `json:"countryCode"`
		} `json:"address"`
	} `json:"location"`
}

// fromUPS reads UPS's Track API.
func fromUPS(body []byte) ([]inventory.TrackingEvent, error) {
	var m struct {
		Response struct {
			Shipment []struct {
				Package []struct {
					Code     text `json:"trackingNumber"`
					Activity []struct {
						Date     text `json:"date"`
						Time     text `json:"time"`
						Location struct {
							Address struct {
								City    text `json:"city"`
								Country text `json:"countryCode"`
								Other   text `json:"country"`
							} `json:"address"`
						} `json:"location"`
						Status struct {
							Type        text `json:"type"`
							Code        text `json:"code"`
							Description text `json:"description"`
						} `json:"status"`
					} `json:"activity"`
				} `json:"package"`
			} `json:"shipment"`
		} `json:"trackResponse"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	var out []inventory.TrackingEvent
	for _, s := range m.Response.Shipment {
		for _, p := range s.Package {
			for _, a := range p.Activity {
				st := of(ups, string(a.Status.Type)).refine(ups, string(a.Status.Code))
				out = append(out, inventory.TrackingEvent{TrackingCode: string(p.Code), OccurredAt: instant(a.Date + " " + a.Time), Status: st.status, StatusDetail: st.detail, Reason: reasonOf(st, string(a.Status.Description)),
					Description: string(a.Status.Description), CarrierCode: first(a.Status.Code, a.Status.Type), City: string(a.Location.Address.City), Country: first(a.Location.Address.Country, a.Location.Address.Other)})
			}
		}
	}
	return out, nil
}

// fromPlain reads the plain shape, for those who write their own bridge, and Karrio's, which is like it: a tracking_code (or tracking_number)
// and events with occurred_at (or date and time), status, description, carrier_code (or code), city (or location) and country.
func fromPlain(body []byte) ([]inventory.TrackingEvent, error) {
	var m struct {
		Code   text `json:"tracking_code"`
		Number text `json:"tracking_number"`
		Events []struct {
			At          text `json:"occurred_at"`
			Timestamp   text `json:"timestamp"`
			Date        text `json:"date"`
			Time        text `json:"time"`
			Status      text `json:"status"`
			Description text `json:"description"`
			CarrierCode text `json:"carrier_code"`
			Code        text `json:"code"`
			City        text `json:"city"`
			Location    text `json:"location"`
			Country     text `json:"country"`
			Reason      text `json:"reason"`
		} `json:"events"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	var out []inventory.TrackingEvent
	for _, e := range m.Events {
		s := of(easypost, string(e.Status)).refine(karrio, string(e.Status))
		at := instant(text(first(e.At, e.Timestamp)))
		if at.IsZero() {
			at = instant(text(strings.TrimSpace(string(e.Date) + " " + string(e.Time))))
		}
		out = append(out, inventory.TrackingEvent{TrackingCode: first(m.Code, m.Number), OccurredAt: at, Status: s.status, StatusDetail: s.detail, Reason: first(e.Reason, text(reasonOf(s, string(e.Description)))),
			Description: string(e.Description), CarrierCode: first(e.CarrierCode, e.Code), City: first(e.City, e.Location), Country: string(e.Country)})
	}
	return out, nil
}
