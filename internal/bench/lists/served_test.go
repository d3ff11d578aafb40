package main

import "testing"

func TestParseServed(t *testing.T) {
	got, err := parseServed(`# HELP berth_http_request_seconds Time to answer a request, by route and status.
# TYPE berth_http_request_seconds histogram
berth_http_request_seconds_bucket{method="GET",route="/machines",status="200",le="0.005"} 1
berth_http_request_seconds_bucket{method="GET",route="/machines",status="200",le="0.03"} 4
berth_http_request_seconds_bucket{method="GET",route="/machines",status="200",le="+Inf"} 6
berth_http_request_seconds_sum{method="GET",route="/machines",status="200"} 0.25
berth_http_request_seconds_count{method="GET",route="/machines",status="200"} 6
berth_http_request_seconds_bucket{method="GET",route="/metrics",status="200",le="0.03"} 9
berth_http_request_seconds_sum{method="GET",route="/metrics",status="200"} 9
berth_http_request_seconds_count{method="GET",route="/metrics",status="200"} 9
berth_http_request_seconds_bucket{method="GET",route="/api/v1/machines",status="200",le="0.03"} 2
berth_http_request_seconds_sum{method="GET",route="/api/v1/machines",status="200"} 0.5
berth_http_request_seconds_count{method="GET",route="/api/v1/machines",status="200"} 2
berth_http_streams 3
`)
	if want := (served{count: 8, seconds: 0.75, quick: 6}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := parseServed(histogram + `_count{route="/"} many`); err == nil {
		t.Error("a count that is no number was taken")
	}
}
