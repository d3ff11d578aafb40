package web

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"berth/api"
	"berth/inventory"
	"berth/inventory/blob"
	"berth/inventory/store"
	"berth/provision"
)

// rig is a whole server on a real store and a real provision service, listening on loopback with a certificate of its own.
type rig struct {
	testing.TB
	store   *store.Store
	service *provision.Service
	server  *Server
	images  *memoryImages
	cert    Certificate
	addr    string
	log     *syncBuffer
	sql     atomic.Int64
}

// syncBuffer is a log that tests read while it is written.
type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// memoryImages keeps images' digests, for tests that are about pages and not about bytes.
type memoryImages struct {
	mu    sync.Mutex
	blobs map[string]provision.Blob
}

func (m *memoryImages) Import(_ context.Context, r io.Reader, _ provision.BlobOptions) (provision.Blob, error) {
	sum := sha256.New()
	n, err := io.Copy(sum, r)
	if err != nil {
		return provision.Blob{}, err
	}
	b := provision.Blob{Digest: "sha256:" + hex.EncodeToString(sum.Sum(nil)), TreeHash: "tree", SizeBytes: n, StoredBytes: n, Format: "raw"}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blobs[b.Digest] = b
	return b, nil
}

func (m *memoryImages) Stat(digest string) (provision.Blob, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.blobs[digest]
	if !ok {
		return b, errors.New("not here")
	}
	return b, nil
}

func (m *memoryImages) Path(digest string) string { return "image/" + digest }
func (m *memoryImages) Remove(string) error       { return nil }

// Passwords of the accounts that every rig has.
const (
	adminPassword    = "correct horse battery"
	operatorPassword = "staple gun and glue"
	viewerPassword   = "look but do not touch"
)

var testAccounts = map[string]struct {
	level    inventory.Level
	password string
}{
	"ada":  {inventory.LevelAdmin, adminPassword},
	"otto": {inventory.LevelOperator, operatorPassword},
	"vera": {inventory.LevelViewer, viewerPassword},
}

// hashes are made once: each takes 19 MiB and some time.
var hashes = sync.OnceValue(func() map[string]string {
	m := map[string]string{}
	for name, a := range testAccounts {
		m[name] = hashPassword(a.password)
	}
	return m
})

// newRig starts a server; settle changes it before it serves.
func newRig(t testing.TB, settle ...func(*Server)) *rig {
	t.Helper()
	dir := t.TempDir()
	g := &rig{TB: t, log: &syncBuffer{}}
	key, err := store.CreateKey(filepath.Join(t.TempDir(), "key"))
	g.must(err)
	g.store, err = store.Open(t.Context(), store.Options{Dir: dir, Sealer: key, OnSQL: func(string) { g.sql.Add(1) }})
	g.must(err)
	t.Cleanup(func() { g.must(g.store.Close()) })
	for name, a := range testAccounts {
		g.create(&inventory.Account{Name: name, Level: a.level, PasswordHash: hashes()[name]})
	}
	g.images = &memoryImages{blobs: map[string]provision.Blob{}}
	logger := slog.New(slog.NewTextHandler(g.log, nil))
	g.service = provision.New(provision.Config{Ledger: g.store, Images: g.images, Holder: "test", Logger: logger})
	g.cert, err = OwnCertificate(dir, []string{"127.0.0.1", "localhost"}, time.Now())
	g.must(err)
	documents, err := blob.Open(filepath.Join(dir, "documents"), 0)
	g.must(err)
	g.server = &Server{Record: g.store, Archive: g.store, Machines: g.service, Agents: g.service, Documents: documents, Certificate: g.cert.TLS, Log: logger, Version: "test"}
	for _, fn := range settle {
		fn(g.server)
	}
	g.listen()
	return g
}

// listen serves on a free port until the test ends.
func (g *rig) listen() {
	g.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	g.must(err)
	g.addr = l.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	g.server.Handler() // made before it is served, because tests look into it
	go func() { done <- g.server.Serve(ctx, l) }()
	g.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			g.Errorf("serve: %v", err)
		}
	})
}

// ctx lives as long as the test.
func (g *rig) ctx() context.Context { return g.Context() }

func (g *rig) must(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

// create stores objects on behalf of the server.
func (g *rig) create(objects ...inventory.Object) {
	g.Helper()
	g.must(g.store.Edit(context.Background(), inventory.NewRequest(inventory.Berth, "test"), func(tx inventory.Tx) error {
		for _, obj := range objects {
			if err := tx.Create(obj); err != nil {
				return err
			}
		}
		return nil
	}))
}

// client is a Go client with a token of the account; "" has none.
func (g *rig) client(account string) *api.Client {
	g.Helper()
	c := &api.Client{URL: "https://" + g.addr, TLS: api.Pinned(g.cert.Pin)}
	if account == "" {
		return c
	}
	a, err := inventory.Get[inventory.Account](context.Background(), g.store, account)
	g.must(err)
	created, err := g.server.createToken(context.Background(), inventory.NewRequest(inventory.Berth, "test"), a, api.TokenRequest{Name: "test"})
	g.must(err)
	c.Token = created.Token
	return c
}

// transport trusts the rig's server.
func (g *rig) transport() *http.Transport {
	return &http.Transport{TLSClientConfig: api.Pinned(g.cert.Pin), ForceAttemptHTTP2: true}
}

// browser is a client with cookies, logged in as the account; "" is not. It does not follow redirects.
type browser struct {
	*rig
	http *http.Client
}

func (g *rig) browser(account string) *browser {
	g.Helper()
	jar, err := cookiejar.New(nil)
	g.must(err)
	transport := g.transport()
	g.Cleanup(transport.CloseIdleConnections)
	b := &browser{rig: g, http: &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if account != "" {
		resp, _ := b.post("/login", url.Values{"name": {account}, "password": {testAccounts[account].password}})
		if resp.StatusCode != http.StatusSeeOther {
			g.Fatalf("log in as %s: %s", account, resp.Status)
		}
	}
	return b
}

func (b *browser) do(req *http.Request) (*http.Response, string) {
	b.Helper()
	resp, err := b.http.Do(req)
	b.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	b.must(err)
	return resp, string(body)
}

func (b *browser) request(method, path string, body io.Reader) *http.Request {
	b.Helper()
	req, err := http.NewRequest(method, "https://"+b.addr+path, body)
	b.must(err)
	return req
}

func (b *browser) get(path string) (*http.Response, string) {
	b.Helper()
	return b.do(b.request("GET", path, nil))
}

func (b *browser) post(path string, form url.Values) (*http.Response, string) {
	b.Helper()
	req := b.request("POST", path, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", "https://"+b.addr)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(req)
}

func wantProblem(t testing.TB, err error, status int, code string) *api.Problem {
	t.Helper()
	var p *api.Problem
	if !errors.As(err, &p) || p.Status != status || p.Code != code {
		t.Fatalf("got %v (%T), want a problem %d %s", err, err, status, code)
	}
	return p
}

func decode[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %.200s", err, text)
	}
	return v
}

// insecure is for connections below HTTP, where the certificate is not the matter.
func insecure(serverName string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: serverName, MinVersion: tls.VersionTLS12}
}
