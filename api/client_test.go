package api

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"berth/inventory"
)

// The client is tried against the real handlers in package web. Here are the answers that the real server does not give.

func server(t *testing.T, h http.HandlerFunc) (*httptest.Server, *Client) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, &Client{URL: s.URL, Token: "berth_secret", TLS: Pinned(PinOf(s.Certificate()))}
}

func TestWhomToTrust(t *testing.T) {
	s, pinned := server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"name":"x"}`) })
	authority, err := TrustCA(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	if err != nil {
		t.Fatal(err)
	}
	colons := strings.ToUpper(PinOf(s.Certificate())[:2]) + ":" + PinOf(s.Certificate())[2:]
	for name, c := range map[string]struct {
		tls  *tls.Config
		good bool
	}{
		"pinned":           {pinned.TLS, true},
		"pin with colons":  {Pinned(colons), true},
		"another pin":      {Pinned(strings.Repeat("0", 64)), false},
		"no pin":           {Pinned(""), false},
		"an authority":     {authority, true},
		"the system alone": {nil, false},
	} {
		_, err := (&Client{URL: s.URL, TLS: c.tls}).WhoAmI(t.Context())
		if (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := TrustCA([]byte("no PEM")); err == nil {
		t.Error("a file without a certificate is taken for authorities")
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"another server's error": {502, "<html>Bad Gateway</html>", "is the address right"},
		"no JSON":                {200, "<html>", "cannot be read"},
		"a problem":              {409, `{"code":"conflict","detail":"node-1 is busy","errors":{"name":"is taken","":"x"}}`, "node-1 is busy (name: is taken)"},
		"a redirect":             {302, "", "redirects"},
	} {
		_, client := server(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://evil.example/")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		_, err := client.WhoAmI(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want something with %q", name, err, c.want)
		}
		if strings.Contains(err.Error(), "berth_secret") {
			t.Errorf("%s: the error tells the token: %v", name, err)
		}
	}
	for _, url := range []string{"", "berth.example:8443", "://x"} {
		if _, err := (&Client{URL: url}).WhoAmI(t.Context()); err == nil {
			t.Errorf("the address %q is taken", url)
		}
	}
}

func TestProblemsAreToldApart(t *testing.T) {
	var err error = &Problem{Status: 409, Code: CodeConsent}
	if !errors.Is(err, &Problem{Code: CodeConsent}) || errors.Is(err, &Problem{Code: CodeConflict}) {
		t.Error("errors.Is does not go by the code")
	}
}

// TestWatchComesAgain: a stream that breaks is taken up again, and one that a problem ends is not.
func TestWatchComesAgain(t *testing.T) {
	var asked atomic.Int32
	_, c := server(t, func(w http.ResponseWriter, _ *http.Request) {
		status := OperationStatus{Operation: inventory.Operation{State: inventory.OpRunning}}
		switch asked.Add(1) {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"code":"unavailable","detail":"later"}`)
			return
		case 2:
			_, _ = io.WriteString(w, ": alive\n\nevent: something-new\ndata: x\n\nevent: operation\ndata: "+text(t, status)+"\n\nevent: operation\ndata: {")
			return // in the middle of an event
		}
		status.Operation.State = inventory.OpDone
		_, _ = io.WriteString(w, "event: operation\ndata: "+text(t, status)+"\n\n")
	})
	var seen []inventory.OperationState
	err := c.Watch(t.Context(), "x", func(s OperationStatus) error {
		seen = append(seen, s.Operation.State)
		return nil
	})
	if err != nil || len(seen) != 2 || seen[1] != inventory.OpDone {
		t.Errorf("saw %v, ended with %v after %d tries", seen, err, asked.Load())
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWatchEndsWithItsContext(t *testing.T) {
	_, c := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := c.Watch(ctx, "x", func(OperationStatus) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ended with %v", err)
	}
}

// TestSettable: what a program sends is what people may set; a secret goes only when it is new.
func TestSettable(t *testing.T) {
	n := inventory.NounFor[inventory.BMC]()
	for secret, want := range map[inventory.Secret]any{inventory.PlainSecret("x"): "x", inventory.SealedSecret("y"): nil, {}: nil} {
		body := settable(n, &inventory.BMC{Kind: "ipmi", Password: secret})
		if body["password"] != want || body["kind"] != "ipmi" {
			t.Errorf("sent is %v", body)
		}
		for _, name := range []string{"uid", "revision", "state"} {
			if _, ok := body[name]; ok {
				t.Errorf("%s is sent, and only berth sets it", name)
			}
		}
	}
}

// A secret writes itself as stars everywhere but on its way to the server that it is for.
func TestAdoptSendsThePassword(t *testing.T) {
	var sent map[string]any
	_, client := server(t, func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, `{}`)
	})
	in := AdoptRequest{Name: "node-1", MACs: []string{"52:54:00:00:00:01"},
		BMC: &AdoptBMC{Kind: "redfish", Address: "192.0.2.1", Username: "root", Password: inventory.PlainSecret("calvin")}}
	if _, err := client.Adopt(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	bmc, _ := sent["bmc"].(map[string]any)
	if sent["name"] != "node-1" || bmc["kind"] != "redfish" || bmc["username"] != "root" || bmc["password"] != "calvin" {
		t.Errorf("sent %v", sent)
	}
	if text, err := json.Marshal(in); err != nil || strings.Contains(string(text), "calvin") {
		t.Errorf("the request tells the password to whoever writes it: %s, %v", text, err)
	}
}
