package hook

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"berth/inventory/notify"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func TestSend(t *testing.T) {
	var got *http.Request
	var body string
	status := http.StatusAccepted
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got, body = r, string(text)
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, strings.Repeat("an answer nobody reads ", 10_000))
	}))
	defer server.Close()
	s := &Sender{Allow: loopback, UserAgent: "berth/test"}
	m := notify.Message{URL: server.URL + "/in?token=hush", Body: []byte(`{"id":"1"}`), Secret: "geheim", Event: "0123"}
	code, err := s.Send(t.Context(), m)
	if err != nil || code != http.StatusAccepted {
		t.Fatalf("%d, %v", code, err)
	}
	// Computed with: printf '{"id":"1"}' | openssl dgst -sha512 -hmac geheim
	const signature = "6263635c75fa8cfa77b993853a41b00b2f7dadae24ab7877e02488cac186b095f9646249a43860ff200ead225b24736081f09721cb68c115003fc16ec26bb2d2"
	if h := got.Header; body != `{"id":"1"}` || h.Get("X-Hook-Signature") != signature || h.Get("X-Berth-Event") != "0123" || h.Get("Content-Type") != "application/json" || got.Method != "POST" {
		t.Errorf("%s %q with %v", got.Method, body, h)
	}
	for _, status = range []int{http.StatusInternalServerError, http.StatusFound, http.StatusNotModified} {
		if code, err := s.Send(t.Context(), m); err == nil || code != status || strings.Contains(err.Error(), "hush") {
			t.Errorf("an answer %d is %d, %v", status, code, err)
		}
		if got.URL.Path != "/in" {
			t.Error("a redirect was followed")
		}
	}
	m.Secret = ""
	status = http.StatusOK
	if _, err := s.Send(t.Context(), m); err != nil || got.Header.Get("X-Hook-Signature") != "" {
		t.Errorf("without a secret: %v, signed %q", err, got.Header.Get("X-Hook-Signature"))
	}
}

// What is near is not spoken to, by whatever name or spelling.
func TestNearIsRefused(t *testing.T) {
	asked := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer server.Close()
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "127.9.9.9"} {
		_, err := (&Sender{}).Send(t.Context(), notify.Message{URL: "http://" + host + port + "/?token=hush"})
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", host, err)
		}
	}
	forbidding := &Sender{Allow: nil, Forbid: func(a netip.Addr) bool { return a == netip.MustParseAddr("192.0.2.7") }}
	if err := forbidding.control("tcp", "192.0.2.7:443", nil); err == nil || !strings.Contains(err.Error(), "BMC") {
		t.Errorf("a BMC: %v", err)
	}
	for _, address := range []string{"[64:ff9b::7f00:1]:80", "[fe80::1%eth0]:80", "169.254.169.254:80", "224.0.0.1:80", "[::]:80", "nonsense"} {
		if err := (&Sender{}).control("tcp", address, nil); err == nil {
			t.Errorf("%s was let through", address)
		}
	}
	if err := (&Sender{}).control("tcp", "10.0.0.7:443", nil); err != nil {
		t.Errorf("an address of our own network: %v", err)
	}
	if asked {
		t.Error("the server was asked after all")
	}
	if _, err := (&Sender{}).Send(t.Context(), notify.Message{URL: ":"}); err == nil {
		t.Error("an address that is none was taken")
	}
}

func TestParseAllow(t *testing.T) {
	got, err := ParseAllow([]string{"127.0.0.1", " fe80::/10"})
	if err != nil || len(got) != 2 || got[0].String() != "127.0.0.1/32" || got[1].String() != "fe80::/10" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := ParseAllow([]string{"localhost"}); err == nil {
		t.Error("a name was taken for an address")
	}
}
