package redfish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"berth/bmc"
)

// Limits on one conversation. The biggest honest answers (Dell's registries aside, which nobody here asks for) are some
// hundred kB; a full server's inventory takes 100 to 300 requests.
const (
	maxBody     = 4 << 20
	maxHeader   = 64 << 10
	maxRequests = 3000
	// requestTime bounds one request. BMCs of the ASPEED class take up to ten seconds for a page they have to collect.
	requestTime = 30 * time.Second
	dialTime    = 10 * time.Second
)

// wire is the http.RoundTripper under gofish and bmclib. Neither passes a caller's context on, bounds a body, or minds
// where a link points; so all of that happens here, below both, together with the login: whatever credentials a library
// puts into a request are replaced by those of the one session that Open made.
type wire struct {
	base *http.Transport
	host string // host:port that requests may go to, and no other

	mu       sync.Mutex
	call     context.Context // of the driver method that is running
	token    string
	username string // basic authentication, where the BMC has no session service
	password bmc.Secret
	requests int
	limit    int
	writes   []write
	instead  map[string][]byte // answers that are given without asking the BMC, by path without a slash at the end
	tls      *tls.ConnectionState
}

// write is a request that may have changed something.
type write struct {
	method, path string
	status       int // 0 when no answer came
}

func (w write) ok() bool { return w.status >= 200 && w.status < 300 }

func newWire(host string, port uint16, check func(tls.ConnectionState) error) *wire {
	address := net.JoinHostPort(host, strconv.Itoa(int(port)))
	return &wire{
		host:  address,
		call:  context.Background(),
		limit: maxRequests,
		base: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: dialTime}).DialContext,
			TLSHandshakeTimeout:    dialTime * 2,
			ResponseHeaderTimeout:  requestTime,
			MaxResponseHeaderBytes: maxHeader,
			MaxConnsPerHost:        1, // BMCs have few sockets, and one caller at a time asks one thing at a time
			IdleConnTimeout:        time.Minute,
			DisableCompression:     true, // so that maxBody bounds what comes in as well as what it unfolds to
			TLSClientConfig: &tls.Config{
				// Not unchecked: VerifyConnection below runs for every connection and knows about pins.
				InsecureSkipVerify: true,
				VerifyConnection:   check,
				ServerName:         host,
				MinVersion:         tls.VersionTLS12,
				CipherSuites:       cipherSuites(),
			},
		},
	}
}

// cipherSuites adds the RSA key exchange to Go's list: second-hand BMCs (Supermicro X10, early iLO 4) offer nothing else.
// What it lacks is forward secrecy, on a management network, against the alternative of plain IPMI.
func cipherSuites() []uint16 {
	ids := []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA}
	for i := range tls.CipherSuites() {
		ids = append(ids, tls.CipherSuites()[i].ID)
	}
	return ids
}

// pinOf is the form of Target.Pin.
func pinOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// checkPin is the judgement on a BMC's certificate: the pinned key or nothing; without a pin what the system's roots vouch
// for, or anything at all where the caller said so.
func checkPin(t bmc.Target) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return &bmc.CertificateError{Want: t.Pin}
		}
		leaf := s.PeerCertificates[0]
		got := pinOf(leaf)
		switch {
		case t.Pin != "":
			if !strings.EqualFold(t.Pin, got) {
				return &bmc.CertificateError{Want: t.Pin, Got: got}
			}
			return nil
		case t.Insecure:
			return nil
		}
		between := x509.NewCertPool()
		for _, c := range s.PeerCertificates[1:] {
			between.AddCert(c)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: s.ServerName, Intermediates: between}); err != nil {
			return &bmc.CertificateError{Got: got}
		}
		return nil
	}
}

// client is an http.Client on the wire. Redirects are followed only while they stay on the BMC, because every hop comes
// through RoundTrip.
func (w *wire) client() *http.Client {
	return &http.Client{Transport: w, Timeout: requestTime}
}

// during makes ctx the context of all requests until the returned function is called, and forgets earlier writes.
func (w *wire) during(ctx context.Context) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.call
	w.call, w.writes = ctx, nil
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.call = before
	}
}

// guide leads a library until the returned function is called: it may make so many requests, and gets the given answers
// instead of the BMC's. The requests are forgotten afterwards.
func (w *wire) guide(n int, instead map[string][]byte) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	before, limit := w.requests, w.limit
	w.limit, w.instead = min(limit, w.requests+n), instead
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.requests, w.limit, w.instead = min(w.requests, before+n), limit, nil
	}
}

// given is the answer to a request that the BMC is not asked, nil for others.
func (w *wire) given(req *http.Request) *http.Response {
	w.mu.Lock()
	defer w.mu.Unlock()
	body, ok := w.instead[strings.TrimRight(req.URL.Path, "/")]
	if !ok || req.Method != http.MethodGet {
		return nil
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}

// sent returns the writes since during.
func (w *wire) sent() []write {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes
}

func (w *wire) login(token, username string, password bmc.Secret) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.token, w.username, w.password = token, username, password
}

// RoundTrip sends one request and reads the answer whole.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	// gofish glues a link behind the endpoint as it stands: "@evil.example/x" would make the BMC a user name.
	host := req.URL.Host
	if req.URL.Port() == "" { // a redirect may leave the standard port out
		host = net.JoinHostPort(req.URL.Hostname(), "443")
	}
	if req.URL.Scheme != "https" || host != w.host || req.URL.User != nil {
		return nil, fmt.Errorf("%w: a link leaves the BMC for %q", bmc.ErrMalformed, req.URL.Host)
	}
	call, err := w.admit()
	if err != nil {
		return nil, err
	}
	if resp := w.given(req); resp != nil {
		return resp, nil
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	defer cancel(nil)
	defer context.AfterFunc(call, func() { cancel(context.Cause(call)) })()

	req = req.Clone(ctx)
	w.prepare(req)
	resp, err := w.base.RoundTrip(req)
	if resp != nil && resp.TLS != nil {
		w.mu.Lock()
		w.tls = resp.TLS
		w.mu.Unlock()
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.record(req, resp)
	}
	if err != nil {
		return nil, refine(err, ctx)
	}
	return whole(resp, ctx)
}

// admit counts the request and returns the context of the method that is running.
func (w *wire) admit() (context.Context, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests++
	if w.requests > w.limit {
		return nil, fmt.Errorf("%w: its tree has no end (%d requests)", bmc.ErrMalformed, w.requests-1)
	}
	if err := w.call.Err(); err != nil {
		return nil, context.Cause(w.call)
	}
	return w.call, nil
}

// prepare replaces what a library thinks of login and connection.
func (w *wire) prepare(req *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// gofish closes the connection after each request unless it made the client itself. A TLS handshake costs a BMC about
	// a second.
	req.Close = false
	req.Header.Del("Connection")
	req.Header.Del("Authorization")
	req.Header.Del("X-Auth-Token")
	// DSP0266 6.5: without it a service may answer in an older dialect.
	req.Header.Set("OData-Version", "4.0")
	switch {
	case w.token != "":
		req.Header.Set("X-Auth-Token", w.token)
	case w.username != "":
		req.SetBasicAuth(w.username, w.password.Reveal())
	}
}

func (w *wire) record(req *http.Request, resp *http.Response) {
	entry := write{method: req.Method, path: req.URL.Path}
	if resp != nil {
		entry.status = resp.StatusCode
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes = append(w.writes, entry)
}

// refine gives a transport failure its name. The reason why a context ended is kept beside it.
func refine(err error, ctx context.Context) error {
	var cert *bmc.CertificateError
	if errors.As(err, &cert) {
		return cert
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", bmc.ErrUnreachable, context.Cause(ctx))
	}
	return fmt.Errorf("%w: %w", bmc.ErrUnreachable, err)
}

// whole reads the body to its end and puts it back, so that a context may end and a library may forget to close it.
func whole(resp *http.Response, ctx context.Context) (*http.Response, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, refine(err, ctx)
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("%w: an answer of more than %d MiB", bmc.ErrMalformed, maxBody>>20)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	return resp, nil
}
