package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics counts requests by route pattern, never by path: a path holds names and tokens, and there is no end of them.
type metrics struct {
	requests *prometheus.HistogramVec
	streams  prometheus.Gauge
}

func newMetrics(registry *prometheus.Registry) *metrics {
	m := &metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "berth_http_request_seconds",
			Help: "Time to answer a request, by route and status.", Buckets: []float64{.005, .03, .1, .5, 2, 10, 60}}, []string{"method", "route", "status"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "berth_http_streams", Help: "Streams of events that are open."}),
	}
	registry.MustRegister(m.requests, m.streams)
	return m
}

func (m *metrics) request(rt route, status int, took time.Duration) {
	m.requests.WithLabelValues(rt.method, rt.pattern, strconv.Itoa(status)).Observe(took.Seconds())
}

// serviceRoutes are those of the server itself.
func (s *Server) serviceRoutes() []route {
	show := promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 20 * time.Second})
	return []route{
		{method: http.MethodGet, pattern: "/healthz", need: accessOpen, surface: surfacePlain, handle: s.healthz},
		{method: http.MethodGet, pattern: "/readyz", need: accessOpen, surface: surfacePlain, handle: s.readyz},
		// A loopback address is no credential (a forwarder has one too), so a scraper brings a viewer's token.
		{method: http.MethodGet, pattern: "/metrics", need: "viewer", surface: surfacePlain, handle: func(w http.ResponseWriter, r *http.Request, _ caller) error {
			show.ServeHTTP(w, r)
			return nil
		}},
		{method: http.MethodGet, pattern: "/openapi.json", need: accessOpen, surface: surfacePlain, handle: s.serveOpenAPI},
	}
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request, _ caller) error {
	_, _ = w.Write([]byte("alive\n"))
	return nil
}

// readyz tells probes that the server can do its work. What is wrong stands in the log: anybody may ask this.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request, _ caller) error {
	if s.Ready != nil {
		if err := s.Ready(r.Context()); err != nil {
			s.log().Warn("not ready", "error", err)
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return nil
		}
	}
	_, _ = w.Write([]byte("ready\n"))
	return nil
}

func (s *Server) serveOpenAPI(w http.ResponseWriter, _ *http.Request, _ caller) error {
	w.Header().Set("Content-Type", "application/vnd.oai.openapi+json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(s.openapi)
	return nil
}
