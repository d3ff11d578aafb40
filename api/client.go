package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Client speaks to a berth server. The zero values of all but URL are good; it may be used by several goroutines, and is not copied
// after first use.
type Client struct {
	// URL is the server's, https://host:port without a path; http+unix:///path/berth.sock is its administration socket.
	URL string
	// Token is an API token; the socket needs none.
	Token string
	// TLS says whom to trust: Pinned, TrustCA, or nil for the system's authorities.
	TLS *tls.Config
	// UserAgent names the program.
	UserAgent string

	once sync.Once
	http *http.Client
	base string
	err  error
}

// answerLimit bounds an answer that is read into memory.
const answerLimit = 64 << 20

// Pinned trusts the one server whose public key has this SHA-256 (lower-case hexadecimal, of the SubjectPublicKeyInfo), whatever its
// certificate says otherwise.
func Pinned(pin string) *tls.Config {
	pin = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(pin), ":", ""))
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// The chain is not verified because the key itself is: VerifyConnection runs for every connection, resumed ones too.
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			if got := PinOf(cs.PeerCertificates[0]); got != pin {
				return fmt.Errorf("the server's key is %s, but %s is trusted: it is another server, or its key was replaced", got, pin)
			}
			return nil
		},
	}
}

// PinOf is the SHA-256 of a certificate's public key, as Pinned wants it.
func PinOf(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// TrustCA trusts servers whose certificate one of these authorities signed (PEM).
func TrustCA(pem []byte) (*tls.Config, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in the file of authorities")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, nil
}

func (c *Client) init() error {
	c.once.Do(func() {
		u, err := url.Parse(c.URL)
		if err != nil || u.Scheme == "" {
			c.err = fmt.Errorf("%q is not the address of a server: it looks like https://host:8443", c.URL)
			return
		}
		transport := &http.Transport{TLSClientConfig: c.TLS, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 15 * time.Second,
			IdleConnTimeout: 90 * time.Second, Proxy: http.ProxyFromEnvironment}
		c.base = strings.TrimSuffix(c.URL, "/")
		if path, ok := strings.CutPrefix(c.URL, "http+unix://"); ok {
			transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", path)
			}
			transport.Proxy = nil
			c.base = "http://berth.socket"
		}
		c.http = &http.Client{Transport: transport, CheckRedirect: refuseRedirect}
	})
	return c.err
}

// refuseRedirect keeps the token with the server it was given for.
func refuseRedirect(req *http.Request, _ []*http.Request) error {
	return fmt.Errorf("the server redirects to %s; give that address instead", req.URL.Redacted())
}

// Call sends in as JSON (nil sends nothing) and decodes the answer into out (nil throws it away). path begins with /api/v1 or the
// like. Errors: *Problem for an answer that is not a success.
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(text)
	}
	return c.send(ctx, method, path, nil, "application/json", body, out)
}

func (c *Client) send(ctx context.Context, method, path string, header http.Header, contentType string, body io.Reader, out any) error {
	resp, err := c.open(ctx, method, path, header, contentType, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil || resp.StatusCode == http.StatusNoContent {
		_, err := io.Copy(io.Discard, io.LimitReader(resp.Body, answerLimit))
		return err
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, answerLimit)).Decode(out); err != nil {
		return fmt.Errorf("%s %s: the answer cannot be read: %w", method, path, err)
	}
	return nil
}

// open sends a request and returns the answer if it is a success; the caller closes its body.
func (c *Client) open(ctx context.Context, method, path string, header http.Header, contentType string, body io.Reader) (*http.Response, error) {
	if err := c.init(); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	for key, values := range header {
		req.Header[key] = values
	}
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if c.UserAgent != "" {
		req.Header.Set("User-Agent", c.UserAgent)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the server at %s: %w", c.URL, errors.Unwrap(err))
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, readProblem(resp)
	}
	return resp, nil
}

func readProblem(resp *http.Response) error {
	p := &Problem{}
	err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(p)
	if err != nil || p.Code == "" {
		p = &Problem{Detail: fmt.Sprintf("the server answered %s, which is not how berth answers: is the address right?", resp.Status)}
	}
	p.Status, p.Title = resp.StatusCode, http.StatusText(resp.StatusCode)
	return p
}
