package carrier

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"berth/inventory"
)

// MaxBody is the largest message that is read, in bytes: what the record keeps of one as it came.
const MaxBody = 64 << 10

// maxEvents is how many events one message may tell.
const maxEvents = 500

// ErrShape means that a message is none that berth can read.
var ErrShape = errors.New("the message has none of the shapes that are known")

// Decode reads the message of a source of one of the kinds easypost, aftership and shippo, or of kind poll, whose shape is told by its keys.
// The events have a tracking code, and no shipment. Errors: ErrShape, or what is wrong with the JSON.
func Decode(kind string, body []byte) ([]inventory.TrackingEvent, error) {
	if len(body) > MaxBody {
		return nil, fmt.Errorf("the message is larger than %d bytes", MaxBody)
	}
	decoders := map[string]func([]byte) ([]inventory.TrackingEvent, error){"easypost": fromEasyPost, "aftership": fromAfterShip, "shippo": fromShippo, "poll": anyShape}
	decode, ok := decoders[kind]
	if !ok {
		return nil, fmt.Errorf("there is no kind of source %q", kind)
	}
	events, err := decode(body)
	if err != nil {
		return nil, err
	}
	return settle(events, body)
}

// settle bounds and completes what a decoder found, and keeps the message with the first event.
func settle(events []inventory.TrackingEvent, body []byte) ([]inventory.TrackingEvent, error) {
	out := make([]inventory.TrackingEvent, 0, len(events))
	for _, e := range events {
		if e.OccurredAt.IsZero() || e.OccurredAt.Year() < 1990 || e.OccurredAt.Year() > 2200 || e.TrackingCode == "" {
			continue // without its time or its parcel an event says nothing
		}
		e.TrackingCode, e.CarrierCode, e.Country = cut(inventory.NormalTracking(e.TrackingCode), 100), cut(e.CarrierCode, 100), cut(strings.ToUpper(e.Country), 60)
		e.Description, e.City, e.StatusDetail, e.Reason = cut(e.Description, 900), cut(e.City, 200), cut(e.StatusDetail, 200), cut(e.Reason, 100)
		if out = append(out, e); len(out) > maxEvents {
			return nil, fmt.Errorf("the message tells more than %d events", maxEvents)
		}
	}
	if len(out) > 0 {
		out[0].Raw = strings.ToValidUTF8(string(body), "\uFFFD")
	}
	return out, nil
}

// cut makes a foreign text one that is stored: valid, without controls, and not too long.
func cut(text string, n int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if runes := []rune(strings.TrimSpace(text)); len(runes) > n {
		return string(runes[:n])
	}
	return strings.TrimSpace(text)
}

// text is a JSON value that should be a text; carriers also send numbers and null.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) > 0 && b[0] == '"':
		return json.Unmarshal(b, (*string)(t))
	case bytes.Equal(b, []byte("null")):
		return nil
	case len(b) > 0 && (b[0] == '{' || b[0] == '['):
		return nil // something that is no text says nothing
	}
	*t = text(b)
	return nil
}

// instants are the ways in which times are written. Those without a zone are taken for UTC: the local time of a place that nobody names.
var instants = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02", "20060102 150405", "20060102"}

func instant(t text) time.Time {
	for _, form := range instants {
		if at, err := time.Parse(form, strings.TrimSpace(string(t))); err == nil {
			return at.UTC()
		}
	}
	return time.Time{}
}

func fromEasyPost(body []byte) ([]inventory.TrackingEvent, error) {
	var m struct {
		Result  *easypostTracker `json:"result"`
		Details json.RawMessage  `json:"tracking_details"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	t := m.Result
	if t == nil && m.Details != nil { // a tracker that was asked for, not an event about it
		t = &easypostTracker{}
		if err := json.Unmarshal(body, t); err != nil {
			return nil, err
		}
	}
	if t == nil {
		return nil, ErrShape
	}
	var out []inventory.TrackingEvent
	for _, d := range t.Details {
		s := of(easypost, string(d.Status))
		out = append(out, inventory.TrackingEvent{TrackingCode: string(t.Code), OccurredAt: instant(d.Datetime), Status: s.status, StatusDetail: string(d.Detail), Reason: reasonOf(s, string(d.Message)),
			Description: string(d.Message), CarrierCode: string(d.CarrierCode), City: string(d.Location.City), Country: string(d.Location.Country)})
	}
	if len(t.Details) == 0 && t.Updated != "" {
		s := of(easypost, string(t.Status))
		out = append(out, inventory.TrackingEvent{TrackingCode: string(t.Code), OccurredAt: instant(t.Updated), Status: s.status, StatusDetail: string(t.Detail)})
	}
	return out, nil
}

type easypostTracker struct {
	Code    text `json:"tracking_code"`
	Status  text `json:"status"`
	Detail  text `json:"status_detail"`
	Updated text `json:"updated_at"`
	Details []struct {
		Message     text `json:"message"`
		Status      text `json:"status"`
		Detail      text `json:"status_detail"`
		Datetime    text `json:"datetime"`
		CarrierCode text `json:"carrier_code"`
		Location    struct {
			City    text `json:"city"`
			Country text `json:"country"`
		} `json:"tracking_location"`
	} `json:"tracking_details"`
}

type aftershipTracking struct {
	Code        text `json:"tracking_number"`
	Checkpoints []struct {
		Tag     text `json:"tag"`
		Subtag  text `json:"subtag"`
		Message text `json:"message"`
		Time    text `json:"checkpoint_time"`
		Raw     text `json:"raw_tag"`
		City    text `json:"city"`
		Place   text `json:"location"`
		Country text `json:"country_iso3"`
		Region  text `json:"country_region"`
	} `json:"checkpoints"`
}

func fromAfterShip(body []byte) ([]inventory.TrackingEvent, error) {
	var m struct {
		Msg  *aftershipTracking `json:"msg"`
		Data *struct {
			aftershipTracking
			Tracking *aftershipTracking `json:"tracking"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	t := m.Msg
	switch {
	case t != nil:
	case m.Data != nil && m.Data.Tracking != nil:
		t = m.Data.Tracking
	case m.Data != nil && m.Data.Code != "":
		t = &m.Data.aftershipTracking
	default:
		return nil, ErrShape
	}
	var out []inventory.TrackingEvent
	for _, c := range t.Checkpoints {
		s := of(aftership, string(c.Tag)).refine(aftershipSubtags, string(c.Subtag))
		out = append(out, inventory.TrackingEvent{TrackingCode: string(t.Code), OccurredAt: instant(c.Time), Status: s.status, StatusDetail: s.detail, Reason: reasonOf(s, string(c.Message)),
			Description: string(c.Message), CarrierCode: first(c.Raw, c.Subtag), City: first(c.City, c.Place), Country: first(c.Country, c.Region)})
	}
	return out, nil
}

// first is the first text that says something.
func first(list ...text) string {
	for _, t := range list {
		if t != "" {
			return string(t)
		}
	}
	return ""
}

type shippoStatus struct {
	Status    text `json:"status"`
	Details   text `json:"status_details"`
	Date      text `json:"status_date"`
	Substatus struct {
		Code text `json:"code"`
		Text text `json:"text"`
	} `json:"substatus"`
	Location struct {
		City    text `json:"city"`
		Country text `json:"country"`
	} `json:"location"`
}

type shippoTrack struct {
	Code    text           `json:"tracking_number"`
	Current *shippoStatus  `json:"tracking_status"`
	History []shippoStatus `json:"tracking_history"`
}

func fromShippo(body []byte) ([]inventory.TrackingEvent, error) {
	var m struct {
		Data *shippoTrack `json:"data"`
		shippoTrack
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	t := m.Data
	if t == nil {
		t = &m.shippoTrack
	}
	if t.Code == "" {
		return nil, ErrShape
	}
	list := t.History
	if t.Current != nil {
		list = append(list, *t.Current) // also the last of the history, as a rule: a repeat does no harm
	}
	var out []inventory.TrackingEvent
	for _, c := range list {
		s := of(shippo, string(c.Status)).refine(shippoSubstatuses, string(c.Substatus.Code))
		out = append(out, inventory.TrackingEvent{TrackingCode: string(t.Code), OccurredAt: instant(c.Date), Status: s.status, StatusDetail: s.detail, Reason: reasonOf(s, string(c.Details)),
			Description: first(c.Details, c.Substatus.Text), CarrierCode: string(c.Substatus.Code), City: string(c.Location.City), Country: string(c.Location.Country)})
	}
	return dedupe(out), nil
}

// dedupe leaves out events that a message tells twice.
func dedupe(events []inventory.TrackingEvent) []inventory.TrackingEvent {
	seen := map[string]bool{}
	var out []inventory.TrackingEvent
	for _, e := range events {
		if key := inventory.TrackingKey(e.TrackingCode, e.OccurredAt, e.CarrierCode, e.Status); !seen[key] {
			seen[key] = true
			out = append(out, e)
		}
	}
	return out
}
