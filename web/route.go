package web

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"berth/api"
	"berth/inventory"
)

// access says who may use a route: a level, or one of the two below.
type access = inventory.Level

const (
	accessOpen  access = "open"  // anybody; the list of these routes is short
	accessAgent access = "agent" // the holder of a key that a boot registered; the handler's service checks which
)

// surface is who a route speaks to, and so how it fails.
type surface string

const (
	surfaceAPI   surface = "api"   // JSON
	surfacePage  surface = "page"  // HTML; asks to log in
	surfaceAgent surface = "agent" // JSON
	surfacePlain surface = "plain" // text, for probes and files
)

// handler answers a request that was let in, or says why not.
type handler func(w http.ResponseWriter, r *http.Request, who caller) error

// route is one row of the table that feeds the mux, the OpenAPI document and the access test.
type route struct {
	method, pattern string
	need            access
	surface         surface
	handle          handler

	summary string
	in, out any // examples of the body's types; nil is none
	status  int // of success; 200 if 0
	noun    *inventory.Noun
	query   []string // names of query parameters
	stream  bool     // the body or the answer is longer than limits for ordinary requests allow
}

// Limits of an ordinary request.
const (
	bodyLimit   = 1 << 20
	readTimeout = 30 * time.Second
	// writeTimeout covers the work and the answer; long polls and streams set their own.
	writeTimeout = 60 * time.Second
)

func (s *Server) routes() []route {
	rows := slices.Concat(s.serviceRoutes(), s.agentRoutes(), s.actionRoutes(), s.rackRoutes(), s.labelRoutes(), s.moveRoutes(), s.siteRoutes(), s.textRoutes(), s.archiveRoutes(), s.documentRoutes(), s.bookRoutes(), s.acquisitionRoutes(), s.customsRoutes(), s.shipmentRoutes(), s.scanActions(), s.importRoutes(), s.claimRoutes(), s.lossRoutes(), s.agendaRoutes(), s.notificationRoutes(), s.feedRoutes(), s.nounRoutes(), s.pageRoutes())
	for i := range rows {
		if rows[i].surface == "" {
			rows[i].surface = surfaceAPI // what does not say otherwise speaks to programs
		}
	}
	return rows
}

// mux builds the handler of the whole table.
func (s *Server) mux() http.Handler {
	mux := http.NewServeMux()
	for _, rt := range s.routes() {
		mux.Handle(rt.method+" "+rt.pattern, s.bind(rt))
	}
	mux.Handle("/", s.bind(route{pattern: "/", need: accessOpen, surface: surfacePage, handle: s.noSuchPage}))
	mux.Handle("/api/", s.bind(route{pattern: "/api/", need: accessOpen, surface: surfaceAPI, handle: s.noSuchPage}))
	mux.Handle("/agent/", s.bind(route{pattern: "/agent/", need: accessOpen, surface: surfaceAPI, handle: s.noSuchPage}))
	return http.NewCrossOriginProtection().Handler(secureHeaders(mux))
}

func (s *Server) noSuchPage(http.ResponseWriter, *http.Request, caller) error {
	return &api.Problem{Status: http.StatusNotFound, Code: api.CodeNotFound, Detail: "There is nothing at this address, or not for this method."}
}

// bind leads a request through limits, identification and access to the route's handler, and answers its error.
func (s *Server) bind(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := s.now()
		rw := &recorder{ResponseWriter: w}
		request := inventory.NewUID()
		ctx := context.WithValue(r.Context(), requestKey{}, request)
		r = r.WithContext(ctx)
		limitRequest(rw, r, rt)
		who, err := s.identify(r)
		if err = admit(rt, who, err); err == nil {
			r = withReader(r, who)
			err = rt.handle(rw, r, who)
		}
		if err != nil {
			s.fail(rw, r, rt, who, err)
		}
		s.observe(r, rt, rw, who, s.now().Sub(start))
	})
}

// limitRequest bounds body and time of a request; a slow client loses its connection, not the server a place. A stream begins with the
// same limits on time and renews them itself.
func limitRequest(w http.ResponseWriter, r *http.Request, rt route) {
	switch {
	case rt.stream:
	case rt.surface == surfaceAgent:
		r.Body = http.MaxBytesReader(w, r.Body, api.AgentBodyLimit)
	default:
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
	}
	rc := http.NewResponseController(w)
	// Errors mean that the connection has no deadlines (a test's recorder): then there is nothing to bound.
	_ = rc.SetReadDeadline(time.Now().Add(readTimeout))
	_ = rc.SetWriteDeadline(time.Now().Add(writeTimeout))
}

// admit decides whether who may use rt. Whatever is not plainly allowed is refused.
func admit(rt route, who caller, identifyErr error) error {
	switch {
	case rt.need == accessOpen || rt.need == accessAgent:
		return nil
	case identifyErr != nil:
		return identifyErr
	case !who.known():
		return errUnauthorized
	case who.MustChange && !rt.forPasswordChange():
		return errMustChange
	case rt.need == inventory.LevelNone || !who.Actor.Level.Includes(rt.need):
		return forbidden(who.Actor.Level, rt.need)
	}
	return nil
}

// forPasswordChange tells whether an account whose first password is still in force may use the route.
func (rt route) forPasswordChange() bool {
	return rt.pattern == "/me/password" || rt.pattern == "/logout" || rt.pattern == "/api/v1/whoami"
}

type requestKey struct{}

// requestOf is the id under which the log and the change log know this request.
func requestOf(ctx context.Context) inventory.UID {
	id, _ := ctx.Value(requestKey{}).(inventory.UID)
	return id
}

// edit is the inventory request of a handler.
func edit(r *http.Request, who caller, why string) inventory.Request {
	return inventory.Request{ID: requestOf(r.Context()), By: who.Actor, Why: truncate(strings.TrimSpace(why), 200)}
}

func truncate(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return string(runes[:n-1]) + "…"
}

// secureHeaders sets what every answer carries. Scripts, styles and pictures come from this server alone, as files; nothing inline runs.
// Strict-Transport-Security is not among them: it would rule every port of the host, also those that berth does not own, and nothing
// here is ever answered without TLS.
func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// recorder remembers the status for the log and the metrics.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// observe writes the request to the metrics, and to the log what changed something or failed.
func (s *Server) observe(r *http.Request, rt route, rw *recorder, who caller, took time.Duration) {
	if rw.status == 0 {
		rw.status = http.StatusOK
	}
	s.metrics.request(rt, rw.status, took)
	if r.Method == http.MethodGet && rw.status < 400 || rt.surface == surfaceAgent && rw.status < 400 {
		return
	}
	// The path may hold a token (/agent/v1/booted/…): the pattern is logged instead.
	s.log().LogAttrs(r.Context(), slog.LevelInfo, "request", slog.String("route", rt.method+" "+rt.pattern), slog.Int("status", rw.status),
		slog.String("by", who.Actor.Name), slog.String("from", remoteIP(r)), slog.Duration("took", took), slog.String("request", string(requestOf(r.Context()))))
}
