package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Problem is the body of every answer that is not a success (RFC 9457, application/problem+json), and the error the client returns.
// Code is for programs and never changes its meaning; Detail is a sentence for people.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	// Fields says what is wrong with which field, by JSON name; "" is the object as a whole.
	Fields map[string]string `json:"errors,omitempty"`
	// Objects says which of many objects cannot be changed, and why.
	Objects []BulkError `json:"objects,omitempty"`
	// Details are the sentences of Detail, one for each thing that stands in the way, where there can be several.
	Details []string `json:"details,omitempty"`
	// Request finds the details of an internal error in the server's log.
	Request string `json:"request,omitempty"`
	// RetryAfterSeconds is how long to wait before the same may be asked again; 0 where waiting does not help.
	RetryAfterSeconds int `json:"retry_after_seconds,omitempty"`
}

// The codes.
const (
	CodeUnauthorized = "unauthorized"  // 401: no credential, or one that is not valid
	CodeForbidden    = "forbidden"     // 403: the access level is too low
	CodePassword     = "password"      // 403: the first password must be changed before anything else
	CodeNotFound     = "not_found"     // 404
	CodeConflict     = "conflict"      // 409: the record is not as the request supposes
	CodePrecondition = "precondition"  // 412: somebody else changed the object since (If-Match)
	CodeTooLarge     = "too_large"     // 413
	CodeInvalid      = "invalid"       // 422: Fields says which and why
	CodeRefused      = "refused"       // 409: a rule of safety forbids it, the sentence says which
	CodeConsent      = "needs-consent" // 409: data would be lost, and nobody consented
	CodeSlowDown     = "slow_down"     // 429
	CodeMalformed    = "malformed"     // 400: not JSON, or not what the route expects
	CodeInternal     = "internal"      // 500
	CodeUnavailable  = "unavailable"   // 503
)

// Error returns the sentence, and the fields where there are any.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = fmt.Sprintf("the server answered %d %s", p.Status, p.Title)
	}
	var fields []string
	for _, name := range slices.Sorted(maps.Keys(p.Fields)) {
		if name != "" {
			fields = append(fields, name+": "+p.Fields[name])
		}
	}
	if len(fields) > 0 {
		text += " (" + strings.Join(fields, "; ") + ")"
	}
	return text
}

// Is makes errors.Is(err, &api.Problem{Code: api.CodeConflict}) compare codes.
func (p *Problem) Is(target error) bool {
	t, ok := target.(*Problem)
	return ok && t.Code == p.Code
}
