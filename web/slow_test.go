package web

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/api"
	"berth/inventory"
)

func TestBodyLimit(t *testing.T) {
	g := newRig(t)
	b, token := g.browser("otto"), g.client("otto").Token
	resp, body := b.send("POST", "/api/v1/sites", token, `{"name":"`+strings.Repeat("x", bodyLimit)+`"}`)
	if resp.StatusCode != http.StatusRequestEntityTooLarge || decode[api.Problem](t, body).Code != api.CodeTooLarge {
		t.Errorf("REST: %s", resp.Status)
	}
	req := b.request("POST", "/sites/new", strings.NewReader("name="+strings.Repeat("x", bodyLimit)))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if resp, _ := b.do(req); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a form: %s", resp.Status)
	}
	req = b.request("GET", "/login", nil)
	req.Header.Set("X-Long", strings.Repeat("x", 64<<10))
	if resp, err := b.http.Do(req); err == nil && resp.StatusCode < 400 {
		t.Errorf("a header of 64 KiB: %s", resp.Status)
	}
}

// TestIdleConnectionsHarmNobody opens many connections that say nothing, or half a request, and asks for something all the same.
func TestIdleConnectionsHarmNobody(t *testing.T) {
	g := newRig(t)
	idle := 300
	for i := range idle {
		conn, err := net.Dial("tcp", g.addr)
		g.must(err)
		t.Cleanup(func() { conn.Close() })
		if i%3 == 0 {
			continue // not even a handshake
		}
		secure := tls.Client(conn, insecure("localhost"))
		g.must(secure.Handshake())
		if i%3 == 1 {
			_, err = io.WriteString(secure, "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n")
			g.must(err)
		}
	}
	b := g.browser("vera")
	for range 20 {
		if resp, _ := b.get("/machines"); resp.StatusCode != 200 {
			t.Fatalf("among %d idle connections: %s", idle, resp.Status)
		}
	}
}

// TestSlowClientsAreCut: every limit on time is set on the server's own struct; here one of them is seen to work on a real connection.
func TestSlowClientsAreCut(t *testing.T) {
	g := newRig(t)
	server := g.server.httpServer()
	if server.ReadHeaderTimeout <= 0 || server.IdleTimeout <= 0 || server.MaxHeaderBytes <= 0 {
		t.Fatalf("the server has a limit missing: %+v", server)
	}
	server.ReadHeaderTimeout = 200 * time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	g.must(err)
	ctx, stop := context.WithCancel(g.ctx())
	done := make(chan error, 1)
	go func() { done <- g.server.serve(ctx, server, l) }()
	defer func() { stop(); <-done }()
	conn, err := net.Dial("tcp", l.Addr().String())
	g.must(err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost:")
	g.must(err)
	g.must(conn.SetReadDeadline(time.Now().Add(30 * time.Second)))
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("a connection that stops within its header is not closed: %v", err)
	}
}

// TestUploadsAreStreamed sends far more than an ordinary body may have, and more than the test's memory would like to hold.
func TestUploadsAreStreamed(t *testing.T) {
	g := newRig(t)
	const size = 96 << 20
	image, err := g.client("otto").ImportImage(g.ctx(), api.ImportRequest{Name: "zeros", OS: "none", Format: "raw"}, io.LimitReader(zeros{}, size))
	g.must(err)
	if image.SizeBytes != size || image.State != "ready" || image.OS != "none" {
		t.Errorf("the image is %+v", image)
	}
	_, err = g.client("otto").ImportImage(g.ctx(), api.ImportRequest{Name: "../../etc/passwd"}, strings.NewReader("x"))
	wantProblem(t, err, http.StatusUnprocessableEntity, api.CodeInvalid)
	_, err = g.client("vera").ImportImage(g.ctx(), api.ImportRequest{Name: "mine"}, strings.NewReader("x"))
	wantProblem(t, err, http.StatusForbidden, api.CodeForbidden)

	b := g.browser("otto")
	body, boundary := strings.Builder{}, "xyz"
	for name, value := range map[string]string{"name": "from-a-form", "os": "debian", "format": "raw"} {
		fmt.Fprintf(&body, "--%s\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", boundary, name, value)
	}
	fmt.Fprintf(&body, "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"disk.img\"\r\n\r\n%s\r\n--%s--\r\n", boundary, strings.Repeat("x", 3<<20), boundary)
	req := b.request("POST", "/images/upload", strings.NewReader(body.String()))
	req.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
	if resp, text := b.do(req); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("upload by a form: %s %.300s", resp.Status, text)
	}
	stored, err := inventory.Get[inventory.Image](g.ctx(), g.store, "from-a-form")
	g.must(err)
	if stored.SizeBytes != 3<<20 {
		t.Errorf("%d bytes of the form's file arrived", stored.SizeBytes)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestCertificateOfOneselfStays(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	first, err := OwnCertificate(dir, []string{"berth.example", "10.0.0.1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	again, err := OwnCertificate(dir, nil, now)
	if err != nil || again.Fingerprint != first.Fingerprint || len(first.Pin) != 64 || !first.Own {
		t.Errorf("a second start: %v, %v and %v", err, first.Fingerprint, again.Fingerprint)
	}
	renewed, err := OwnCertificate(dir, nil, now.Add(ownLife))
	if err != nil || renewed.Fingerprint == first.Fingerprint || renewed.Pin != first.Pin {
		t.Errorf("at its end the certificate is not renewed with the same key: %v", err)
	}
	for _, name := range []string{certificateFile, keyFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	// A key that cannot be read is never replaced by a new one: agents and clients hold its pin.
	for _, text := range []string{"", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if err := os.WriteFile(filepath.Join(dir, keyFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OwnCertificate(dir, nil, now); err == nil {
			t.Errorf("the key %q is replaced in silence", text)
		}
	}
}

// TestSocket: root and the server's user are administrators on it; it is nobody else's business.
func TestSocket(t *testing.T) {
	g := newRig(t)
	path := filepath.Join(t.TempDir(), "berth.sock")
	l, err := ListenSocket(path)
	g.must(err)
	info, err := os.Stat(path)
	g.must(err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has the mode %v", info.Mode())
	}
	ctx, stop := context.WithCancel(g.ctx())
	done := make(chan error, 1)
	go func() { done <- g.server.ServeSocket(ctx, l) }()
	c := &api.Client{URL: "http+unix://" + path}
	who, err := c.WhoAmI(g.ctx())
	g.must(err)
	if who.Level != inventory.LevelAdmin || who.Via != "socket" {
		t.Errorf("over the socket we are %+v", who)
	}
	created, err := c.CreateToken(g.ctx(), api.TokenRequest{Name: "first", Account: "ada"})
	g.must(err)
	token := g.client("")
	token.Token = created.Token
	if who, err := token.WhoAmI(g.ctx()); err != nil || who.Name != "ada" {
		t.Errorf("the token made over the socket: %+v, %v", who, err)
	}
	if _, err := ListenSocket(path); err == nil {
		t.Error("a second server takes the socket of a living one")
	}
	stop()
	g.must(<-done)
	for _, p := range []peer{{uid: 1000, own: 500}, {uid: -1, own: -1, err: os.ErrInvalid}} {
		if p.caller().known() {
			t.Errorf("%+v is let in", p)
		}
	}
}

func TestProbes(t *testing.T) {
	var wrong error
	g := newRig(t, func(s *Server) { s.Ready = func(context.Context) error { return wrong } })
	b := g.browser("")
	for path, want := range map[string]string{"/healthz": "alive\n", "/readyz": "ready\n"} {
		if resp, body := b.get(path); resp.StatusCode != 200 || body != want {
			t.Errorf("%s: %s %q", path, resp.Status, body)
		}
	}
	wrong = os.ErrClosed
	if resp, body := b.get("/readyz"); resp.StatusCode != http.StatusServiceUnavailable || strings.Contains(body, "closed") {
		t.Errorf("not ready: %s %q", resp.Status, body)
	}
	token := g.client("vera").Token
	if _, body := b.send("GET", "/metrics", token, ""); !strings.Contains(body, `berth_http_request_seconds_count{method="GET",route="/healthz",status="200"}`) {
		t.Errorf("the metrics do not count requests by route:\n%.500s", body)
	}
}
