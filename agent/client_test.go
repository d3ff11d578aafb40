package agent

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"berth/agent/agenttest"
	"berth/api"
	"berth/inventory"
)

func TestClientTrustsOneKeyOnly(t *testing.T) {
	server, other := agenttest.Start(t), agenttest.Start(t)
	client, err := NewClient(server.URL(), other.Pin)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Register(context.Background(), api.Registration{Token: server.Token}); !errors.Is(err, ErrPin) {
		t.Errorf("register at a server with another key: %v", err)
	}
	if state := server.State(); len(state.Registrations)+state.Refused != 0 {
		t.Errorf("the other server heard %+v", state)
	}
}

func TestNewClientRefuses(t *testing.T) {
	good := strings.Repeat("ab", 32)
	for _, c := range []struct{ base, pin string }{
		{"http://10.0.0.1:1", good},
		{"https://", good},
		{"https://10.0.0.1/path", good},
		{"https://10.0.0.1", "abc"},
		{"https://10.0.0.1", strings.Repeat("zz", 32)},
		{"https://10.0.0.1", "sha1:" + good},
		{":", good},
	} {
		if _, err := NewClient(c.base, c.pin); err == nil {
			t.Errorf("NewClient(%q, %q) is content", c.base, c.pin)
		}
	}
	for _, pin := range []string{good, "sha256:" + good, strings.ToUpper(good)} {
		if _, err := NewClient("https://[fd00::1]:8443/", pin); err != nil {
			t.Errorf("NewClient with pin %q: %v", pin, err)
		}
	}
}

func TestClientBoundsWhatItSendsAndReads(t *testing.T) {
	server := agenttest.Start(t)
	client, err := NewClient(server.URL(), server.Pin)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	huge := inventory.Facts{Problems: []string{strings.Repeat("x", api.AgentBodyLimit)}}
	if err := client.Report(context.Background(), huge); err == nil || !strings.Contains(err.Error(), "the protocol allows") {
		t.Errorf("report of more than the limit: %v", err)
	}
	server.Fault = func(int, string) agenttest.Fault { return agenttest.Endless }
	if _, err := client.Register(context.Background(), api.Registration{Token: server.Token}); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("an answer without an end: %v", err)
	}
}

func TestErrorText(t *testing.T) {
	for body, want := range map[string]string{
		`{"title":"Conflict","detail":"that is over"}`: "that is over",
		`{"title":"Conflict"}`:                         "Conflict",
		"plain\nwords\x1b[2J":                          "plain words[2J",
		"":                                             "",
		strings.Repeat("long ", 100):                   strings.TrimSpace(strings.Repeat("long ", 40)),
	} {
		if got := errorText([]byte(body)); got != want {
			t.Errorf("errorText(%.40q) = %q, want %q", body, got, want)
		}
	}
}

func TestFinal(t *testing.T) {
	for code, want := range map[int]bool{
		http.StatusConflict: true, http.StatusNotFound: true, http.StatusBadRequest: true, http.StatusGone: true,
		http.StatusTooManyRequests: false, http.StatusInternalServerError: false, http.StatusServiceUnavailable: false, http.StatusFound: false,
	} {
		if got := final(&StatusError{Code: code}); got != want {
			t.Errorf("final(%d) = %t", code, got)
		}
	}
	if final(errors.New("connection refused")) {
		t.Error("a refused connection is final")
	}
}
