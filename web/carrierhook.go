package web

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"berth/api"
	"berth/inventory"
	"berth/inventory/carrier"
	"berth/inventory/logistics"
)

// errNotSigned is the one answer to what is not let in: it does not tell whether there is a source of that name.
var errNotSigned = &api.Problem{Status: http.StatusUnauthorized, Code: api.CodeUnauthorized, Detail: "This message is not signed by a tracking source that is enabled here."}

// carrierWebhook takes in what a tracker says. The route is open; its guard is the signature, made with the secret of the tracking source
// that the address names. What comes twice, late or out of order does no harm; what is about a code that nobody entered yet is kept.
func (s *Server) carrierWebhook(w http.ResponseWriter, r *http.Request, _ caller) error {
	name := strings.ToLower(r.PathValue("name"))
	if wait := s.hooks.wait(s.now(), remoteIP(r)); wait > 0 {
		return slowDown(wait)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, carrier.MaxBody))
	if err != nil {
		return err
	}
	source, err := s.signedSource(r, name, body)
	if err != nil {
		return err
	}
	events, err := carrier.Decode(source.Kind, body)
	if err != nil {
		return malformed("The message cannot be read as one of %s: %v.", source.Kind, err)
	}
	for i := range events {
		events[i].Source, events[i].TrackingSource = "carrier_webhook", source.UID
	}
	done, err := s.keepTracking(r, source, events)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, api.WebhookResult{New: done.New, Repeats: done.Repeats, Unclaimed: done.Unclaimed})
}

// signedSource is the source that a message names, if it is signed with its secret.
func (s *Server) signedSource(r *http.Request, name string, body []byte) (*inventory.TrackingSource, error) {
	source, err := inventory.Get[inventory.TrackingSource](r.Context(), s.Record, name)
	if errors.Is(err, inventory.ErrNotFound) {
		return nil, errNotSigned
	}
	if err != nil {
		return nil, err
	}
	if !source.Enabled || source.Secret.IsZero() {
		return nil, errNotSigned
	}
	secret, err := s.Record.Reveal(source.Secret)
	if err != nil {
		return nil, err
	}
	if !carrier.Signed(source.Kind, r.Header, r.URL.Query().Get("token"), body, secret, s.now()) {
		return nil, errNotSigned
	}
	return source, nil
}

// keepTracking stores events of a source, and that it was heard.
func (s *Server) keepTracking(r *http.Request, source *inventory.TrackingSource, events []inventory.TrackingEvent) (done *logistics.Tracked, err error) {
	by := inventory.Actor{Name: "tracking source " + source.Name, Level: inventory.LevelOperator}
	req := inventory.Request{ID: requestOf(r.Context()), By: by, Why: "a carrier's message"}
	err = s.Record.Edit(r.Context(), req, func(tx inventory.Tx) error {
		if done, err = logistics.Track(tx, by.Name, events); err != nil {
			return err
		}
		now, err := inventory.TxGet[inventory.TrackingSource](tx, string(source.UID))
		if err != nil {
			return err
		}
		at := tx.Now()
		now.SeenAt, now.Problem = &at, ""
		if len(done.Unclaimed) > 0 {
			now.Problem = "no shipment has the code " + truncate(strings.Join(done.Unclaimed, ", "), 200)
		}
		return tx.Update(now)
	})
	return done, err
}

// bucket lets so many messages through in a minute, by the address from which they come. A tracker that is told to slow down tries again.
type bucket struct {
	mu   sync.Mutex
	from map[string]*window
}

type window struct {
	began time.Time
	count int
}

const (
	hooksPerMinute = 120
	hookAddresses  = 10_000
)

// wait counts a message, and says how long its sender has to wait; 0 when it may pass.
func (b *bucket) wait(now time.Time, address string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.from == nil || len(b.from) >= hookAddresses {
		b.from = map[string]*window{} // memory is bounded; forgetting lets a few more through
	}
	w := b.from[address]
	if w == nil || now.Sub(w.began) >= time.Minute {
		w = &window{began: now}
		b.from[address] = w
	}
	if w.count++; w.count > hooksPerMinute {
		return time.Minute - now.Sub(w.began)
	}
	return 0
}
