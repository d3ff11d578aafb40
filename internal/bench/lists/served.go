package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// served is what the server says of the requests it answered, from its histogram of /metrics.
type served struct {
	count, seconds float64
	quick          float64 // within 30 ms
}

const histogram = "berth_http_request_seconds"

func (s *subject) served(ctx context.Context) (served, error) {
	text, _, err := s.Get(ctx, "/metrics")
	if err != nil {
		return served{}, err
	}
	return parseServed(string(text))
}

// parseServed adds up all routes but that of the metrics themselves.
func parseServed(text string) (served, error) {
	var all served
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, "{")
		labels, value, ok := strings.Cut(rest, "} ")
		if !ok || !strings.HasPrefix(name, histogram) || strings.Contains(labels, `route="/metrics"`) {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return all, fmt.Errorf("read the server's metrics: %w", err)
		}
		switch {
		case name == histogram+"_count":
			all.count += n
		case name == histogram+"_sum":
			all.seconds += n
		case strings.Contains(labels, `le="0.03"`):
			all.quick += n
		}
	}
	return all, nil
}
