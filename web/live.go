package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"berth/api"
	"berth/inventory"
)

const (
	heartbeat = 15 * time.Second
	// streamPause bounds how often a stream says something: changes in between are told together.
	streamPause = 200 * time.Millisecond
	// streamLife ends a stream, so that a credential that was taken back does not live on; clients come again by themselves.
	streamLife = time.Hour
)

// stream is an answer of server-sent events (WHATWG HTML, section 9.2).
type stream struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// openStream begins a stream, if there is a place left. The caller calls leave.
func (s *Server) openStream(w http.ResponseWriter) (st *stream, leave func(), err error) {
	select {
	case s.streams <- struct{}{}:
	default:
		return nil, nil, &api.Problem{Status: http.StatusServiceUnavailable, Code: api.CodeUnavailable, Detail: "Too many streams of events are open.", RetryAfterSeconds: 10}
	}
	s.metrics.streams.Inc()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	st = &stream{w: w, rc: http.NewResponseController(w)}
	_ = st.rc.SetReadDeadline(time.Time{})
	return st, func() { <-s.streams; s.metrics.streams.Dec() }, nil
}

// send writes an event; an empty name is a comment that keeps the connection alive. Data has no line breaks.
func (st *stream) send(event string, data []byte) error {
	text := fmt.Appendf(nil, "event: %s\ndata: %s\n\n", event, data)
	if event == "" {
		text = []byte(": alive\n\n")
	}
	if err := st.rc.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := st.w.Write(text); err != nil {
		return err
	}
	return st.rc.Flush()
}

// follow calls tell after each change, and at once; between calls it keeps the stream alive. It ends with the request, with the server,
// when tell says done, or after an hour. An error after the first byte can only end the stream.
func (s *Server) follow(ctx context.Context, st *stream, changes <-chan struct{}, tell func() (done bool, err error)) error {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	end := time.After(streamLife)
	for {
		if done, err := tell(); done || err != nil {
			return err
		}
		if err := s.pauseStream(ctx); err != nil {
			return nil
		}
		for changed := false; !changed; {
			select {
			case _, open := <-changes:
				if !open {
					return nil
				}
				changed = true
			case <-beat.C:
				if err := st.send("", nil); err != nil {
					return nil
				}
			case <-s.stop:
				return nil
			case <-end:
				return nil
			case <-ctx.Done():
				return nil
			}
		}
	}
}

func (s *Server) pauseStream(ctx context.Context) error {
	select {
	case <-time.After(streamPause):
		return nil
	case <-s.stop:
		return context.Canceled
	case <-ctx.Done():
		return ctx.Err()
	}
}

var (
	machineNoun   = nounNamed("machine")
	deviceNoun    = nounNamed("device")
	operationNoun = nounNamed("operation")
	stepNoun      = nounNamed("step")
	eventNoun     = nounNamed("event")
	changeNoun    = nounNamed("change")
)

func nounNamed(name string) *inventory.Noun {
	n, ok := inventory.NounOf(name)
	if !ok {
		panic("web: no noun " + name) // the first test run meets it
	}
	return n
}

// watchOperation streams one operation until it has ended.
func (s *Server) watchOperation(w http.ResponseWriter, r *http.Request, _ caller) error {
	ref := r.PathValue("ref")
	changes := s.Record.Watch(r.Context(), operationNoun, stepNoun)
	status, err := s.operation(r.Context(), ref) // before the stream begins, so that an unknown one is a plain 404
	if err != nil {
		return err
	}
	st, leave, err := s.openStream(w)
	if err != nil {
		return err
	}
	defer leave()
	var last []byte
	return s.follow(r.Context(), st, changes, func() (bool, error) {
		if status == nil {
			if status, err = s.operation(r.Context(), ref); err != nil {
				return true, err
			}
		}
		text, err := json.Marshal(status)
		ended := status.Operation.State.Ended()
		status = nil
		if err != nil || bytes.Equal(text, last) {
			return ended, err
		}
		last = text
		return ended, st.send("operation", text)
	})
}

// watchNouns streams the names of nouns that were touched.
func (s *Server) watchNouns(w http.ResponseWriter, r *http.Request, who caller) error {
	nouns, err := watchable(who, r.URL.Query().Get("noun"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	touched, changes := merge(ctx, s.Record, nouns)
	st, leave, err := s.openStream(w)
	if err != nil {
		return err
	}
	defer leave()
	if err := st.send("", nil); err != nil {
		return nil
	}
	return s.follow(ctx, st, changes, func() (bool, error) {
		for {
			select {
			case plural := <-touched:
				if err := st.send("changed", []byte(plural)); err != nil {
					return true, nil
				}
			default:
				return false, nil
			}
		}
	})
}

func watchable(who caller, list string) ([]*inventory.Noun, error) {
	if list == "" {
		list = "machines,operations,steps,deviations"
	}
	names := strings.Split(list, ",")
	if len(names) > 12 {
		return nil, invalid("noun", "at most 12 at once")
	}
	var nouns []*inventory.Noun
	for _, name := range names {
		n, ok := inventory.NounOf(strings.TrimSpace(name))
		if !ok || !who.Can(n.Read) {
			return nil, invalid("noun", "there is no noun %q to be watched", truncate(name, 40))
		}
		nouns = append(nouns, n)
	}
	return nouns, nil
}

// merge watches several nouns; touched yields their plurals, and changes something whenever touched may have one. Each of its goroutines
// ends when ctx does, because the channel it reads is closed then.
func merge(ctx context.Context, record inventory.Record, nouns []*inventory.Noun) (touched <-chan string, changes <-chan struct{}) {
	names, wake := make(chan string, len(nouns)), make(chan struct{}, 1)
	for _, n := range nouns {
		watch := record.Watch(ctx, n)
		go func() {
			for range watch {
				select {
				case names <- n.Plural:
				case <-ctx.Done():
					return
				}
				select {
				case wake <- struct{}{}:
				default:
				}
			}
		}()
	}
	return names, wake
}

// operation reads an operation with its steps.
func (s *Server) operation(ctx context.Context, ref string) (*api.OperationStatus, error) {
	op, err := inventory.Get[inventory.Operation](ctx, s.Record, ref)
	if err != nil {
		return nil, err
	}
	steps, err := inventory.List[inventory.Step](ctx, s.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("operation", op.UID)}, Sort: "position", Limit: 200})
	if err != nil {
		return nil, err
	}
	status := &api.OperationStatus{Operation: *op, Steps: make([]inventory.Step, len(steps))}
	for i, step := range steps {
		status.Steps[i] = *step
	}
	return status, nil
}

func (s *Server) operationStatus(w http.ResponseWriter, r *http.Request, _ caller) error {
	status, err := s.operation(r.Context(), r.PathValue("ref"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, status)
}
