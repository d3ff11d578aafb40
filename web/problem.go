package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"syscall"

	"berth/api"
	"berth/inventory"
	"berth/provision"
	"berth/storage"
)

var (
	errUnauthorized = &api.Problem{Status: http.StatusUnauthorized, Code: api.CodeUnauthorized,
		Detail: "Log in first, or send an API token as \"Authorization: Bearer …\"."}
	errBadCredential = &api.Problem{Status: http.StatusUnauthorized, Code: api.CodeUnauthorized,
		Detail: "This token or session is not valid: it has ended, was revoked, or never was."}
	errMustChange = &api.Problem{Status: http.StatusForbidden, Code: api.CodePassword,
		Detail: "The first password must be changed before anything else."}
)

func forbidden(have, need inventory.Level) error {
	return &api.Problem{Status: http.StatusForbidden, Code: api.CodeForbidden,
		Detail: fmt.Sprintf("This needs the access level %s; yours is %s.", need, have)}
}

func malformed(format string, args ...any) error {
	return &api.Problem{Status: http.StatusBadRequest, Code: api.CodeMalformed, Detail: fmt.Sprintf(format, args...)}
}

func invalid(field, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	return &api.Problem{Status: http.StatusUnprocessableEntity, Code: api.CodeInvalid, Detail: "Something cannot be accepted.", Fields: map[string]string{field: text}}
}

// problemOf turns any error into what the asker may know. What is not known here is internal: the asker learns only where to look.
func problemOf(err error) *api.Problem {
	var (
		problem  *api.Problem
		notValid *inventory.Invalid
		conflict *inventory.Conflict
		refusal  *storage.Refusal
		tooLarge *http.MaxBytesError
	)
	switch {
	case errors.As(err, &problem):
		return problem
	case errors.As(err, &notValid):
		return &api.Problem{Status: http.StatusUnprocessableEntity, Code: api.CodeInvalid, Detail: invalidSentence(notValid), Fields: notValid.Fields}
	case errors.As(err, &conflict):
		return &api.Problem{Status: http.StatusConflict, Code: api.CodeConflict, Detail: conflict.Why, Details: conflict.Details}
	case errors.As(err, &refusal):
		return &api.Problem{Status: http.StatusConflict, Code: refusalCode(refusal), Detail: refusal.Sentence}
	case errors.As(err, &tooLarge):
		return &api.Problem{Status: http.StatusRequestEntityTooLarge, Code: api.CodeTooLarge, Detail: fmt.Sprintf("The body is larger than the %d bytes allowed here.", tooLarge.Limit)}
	case errors.Is(err, inventory.ErrNotFound):
		return &api.Problem{Status: http.StatusNotFound, Code: api.CodeNotFound, Detail: "There is no such object."}
	case errors.Is(err, inventory.ErrFenced):
		return &api.Problem{Status: http.StatusConflict, Code: api.CodeConflict, Detail: "This is no longer yours to do: the operation went on without you, or ended."}
	case errors.Is(err, provision.ErrRevoked):
		return &api.Problem{Status: http.StatusConflict, Code: api.CodeConflict, Detail: "This assignment is no longer yours: stop."}
	case errors.Is(err, provision.ErrToken):
		return &api.Problem{Status: http.StatusForbidden, Code: api.CodeForbidden, Detail: "This token is not that of a living boot."}
	case errors.Is(err, provision.ErrAgent):
		// By this status an agent learns that the server lost its session, and registers again.
		return &api.Problem{Status: http.StatusUnauthorized, Code: api.CodeUnauthorized, Detail: "This key is not that of a living boot: register first."}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &api.Problem{Status: http.StatusInsufficientStorage, Code: api.CodeUnavailable,
			Detail: "The server's disk is full, and nothing of this was stored. Make room for its state directory, then try again.", RetryAfterSeconds: 30}
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.Canceled):
		return &api.Problem{Status: http.StatusRequestTimeout, Code: api.CodeUnavailable, Detail: "The request took too long to arrive."}
	case errors.Is(err, context.DeadlineExceeded):
		return &api.Problem{Status: http.StatusServiceUnavailable, Code: api.CodeUnavailable, Detail: "This took too long; try again.", RetryAfterSeconds: 5}
	}
	return nil
}

func invalidSentence(e *inventory.Invalid) string {
	if whole := e.Fields[""]; whole != "" {
		return whole
	}
	return fmt.Sprintf("This %s cannot be accepted as it is.", e.Noun)
}

func refusalCode(r *storage.Refusal) string {
	if r.Reason == storage.NeedsConsent {
		return api.CodeConsent
	}
	return api.CodeRefused
}

// fail answers an error, in the form of the route's surface.
func (s *Server) fail(w *recorder, r *http.Request, rt route, who caller, err error) {
	known := problemOf(err)
	if known == nil {
		s.log().Error("request failed", "route", rt.method+" "+rt.pattern, "by", who.Actor.Name, "request", requestOf(r.Context()), "error", err)
		known = &api.Problem{Status: http.StatusInternalServerError, Code: api.CodeInternal, Detail: "Something went wrong inside berth. Its log has the details under this request's id."}
	}
	if w.status != 0 {
		return // the answer has begun: the connection just ends
	}
	p := *known
	p.Title, p.Request = http.StatusText(p.Status), string(requestOf(r.Context()))
	retryAfter(w, p)
	switch rt.surface {
	case surfacePage:
		s.failPage(w, r, who, p)
	case surfacePlain:
		http.Error(w, p.Detail, p.Status)
	default:
		if p.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		writeJSONAs(w, "application/problem+json", p.Status, p)
	}
}

func retryAfter(w http.ResponseWriter, p api.Problem) {
	if p.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfterSeconds))
	}
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	return writeJSONAs(w, "application/json", status, v)
}

func writeJSONAs(w http.ResponseWriter, contentType string, status int, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %T as JSON: %w", v, err)
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the client has gone: nobody is left to tell
	return nil
}

// readJSON decodes a body that must be exactly one JSON value of known fields.
func readJSON(r *http.Request, into any) error {
	if !isJSON(r.Header.Get("Content-Type")) {
		return &api.Problem{Status: http.StatusUnsupportedMediaType, Code: api.CodeMalformed, Detail: "Send JSON, with Content-Type: application/json."}
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return jsonProblem(err)
	}
	if d.More() {
		return malformed("The body goes on after its JSON value.")
	}
	return nil
}

// jsonProblem keeps what must not be hidden behind "not JSON", such as a body that is too large.
func jsonProblem(err error) error {
	if p := problemOf(err); p != nil {
		return p
	}
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) && wrongType.Field != "" {
		return invalid(wrongType.Field, "cannot be a JSON %s", wrongType.Value)
	}
	return malformed("The body cannot be read as JSON: %v.", err)
}
