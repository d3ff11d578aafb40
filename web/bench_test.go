package web

import (
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"berth/internal/devseed"
)

// BenchmarkTenThousandMachines measures the server's time for lists of a fleet of 10,000, TLS left out.
func BenchmarkTenThousandMachines(b *testing.B) {
	g := newRig(b)
	g.must(devseed.Seed(b.Context(), g.store, 10_000, 1))
	token := g.client("vera").Token
	handler := g.server.Handler()
	for _, path := range []string{"/", "/machines", "/machines?provision_state=deployed&sort=-seen_at", "/machines?q=node-0042", "/machines?limit=1000", "/devices", "/components", "/api/v1/machines", "/api/v1/machines?q=node-0042", "/api/v1/machines?limit=1000"} {
		b.Run(path, func(b *testing.B) {
			before := cpuTime()
			defer func() { b.ReportMetric(float64((cpuTime()-before).Microseconds())/1000/float64(b.N), "cpu-ms/op") }()
			for b.Loop() {
				r := httptest.NewRequest("GET", path, nil)
				r.Header.Set("Authorization", "Bearer "+token)
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code != 200 {
					b.Fatalf("%s: %d %.300s", path, w.Code, w.Body)
				}
			}
		})
	}
}

// cpuTime is what this process has used: on a machine that does other things too, it says more than the clock.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
