package agent

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"berth/api"
	"berth/inventory"
)

const (
	// callTimeout bounds a request that the server answers at once, from dialling to the last byte of the answer.
	callTimeout = 20 * time.Second
	// pollTime is how long the server is asked to hold a request for work; pollSlack is what the network may add to it.
	pollTime  = 30 * time.Second
	pollSlack = 15 * time.Second
	// answerLimit bounds the body of an answer. The largest honest one is an assignment with a cloud-init seed.
	answerLimit = 2 << 20
)

// ErrPin says that something answered at the server's address without holding the server's key.
var ErrPin = errors.New("the server's key is not the pinned one")

// StatusError is an answer of the server that is not a success.
type StatusError struct {
	Code    int    // HTTP status
	Message string // what the server said, cut short
}

func (e *StatusError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("server answered %d", e.Code)
	}
	return fmt.Sprintf("server answered %d: %s", e.Code, e.Message)
}

// Client speaks the agent protocol (package api) to one server. Its key pair is made for this process and never stored.
type Client struct {
	base string
	http *http.Client
}

// NewClient returns a client for the server at base, an https URL without a path, whose public key has the SHA-256 pin, 64
// hexadecimal digits with or without sha256: before them. No certificate authority and no date is consulted: a machine that has just been switched on may believe it
// is 1970.
func NewClient(base, pin string) (*Client, error) {
	u, err := url.Parse(strings.TrimSuffix(base, "/"))
	if err != nil {
		return nil, fmt.Errorf("server address: %w", err)
	}
	if u.Scheme != "https" || u.Host == "" || u.Path != "" {
		return nil, fmt.Errorf("server address %q is not of the form https://host:port", base)
	}
	want, err := hex.DecodeString(strings.TrimPrefix(pin, "sha256:"))
	if err != nil || len(want) != sha256.Size {
		return nil, fmt.Errorf("pin %q is not sha256: and 64 hexadecimal digits", pin)
	}
	cert, err := bootCertificate(time.Now())
	if err != nil {
		return nil, fmt.Errorf("make a key for this boot: %w", err)
	}
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig:     pinned(want, cert),
		MaxIdleConnsPerHost: 3, // the long poll, the progress, and a report
		IdleConnTimeout:     time.Minute,
	}
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{base: u.String(), http: &http.Client{Transport: transport, CheckRedirect: refuse}}, nil
}

// pinned is a TLS configuration that trusts one public key. InsecureSkipVerify turns off names and dates only: VerifyConnection
// runs on every handshake, a resumed one included.
func pinned(pin []byte, cert tls.Certificate) *tls.Config {
	return &tls.Config{
		ServerName:         api.AgentServerName,
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{cert},
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return fmt.Errorf("%w: it showed none", ErrPin)
			}
			got := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
			if subtle.ConstantTimeCompare(got[:], pin) != 1 {
				return fmt.Errorf("%w: got %x", ErrPin, got)
			}
			return nil
		},
	}
}

// bootCertificate makes a key pair and a certificate over it that only carries the key: its dates and names mean nothing.
func bootCertificate(now time.Time) (tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    now.Add(-24 * time.Hour),
		NotAfter:     now.AddDate(50, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, nil
}

// Register spends the one-time token and binds the session to this client's key. The same client may repeat it when an answer was lost.
func (c *Client) Register(ctx context.Context, r api.Registration) (api.Session, error) {
	var s api.Session
	err := c.post(ctx, "register", callTimeout, r, &s)
	return s, err
}

// Report sends what a look at the hardware saw.
func (c *Client) Report(ctx context.Context, f inventory.Facts) error {
	return c.post(ctx, "report", callTimeout, f, nil)
}

// Next asks for work and waits for it up to pollTime.
func (c *Client) Next(ctx context.Context, done string) (api.Assignment, error) {
	var a api.Assignment
	request := api.NextRequest{Done: done, WaitSeconds: int(pollTime / time.Second)}
	err := c.post(ctx, "next", pollTime+pollSlack, request, &a)
	return a, err
}

// Progress says how far an assignment is and hears whether it is still wanted.
func (c *Client) Progress(ctx context.Context, id string, p api.Progress) (api.ProgressAnswer, error) {
	var answer api.ProgressAnswer
	err := c.post(ctx, "assignments/"+url.PathEscape(id)+"/progress", progressTimeout, p, &answer)
	return answer, err
}

// Result ends an assignment.
func (c *Client) Result(ctx context.Context, id string, r api.Result) error {
	return c.post(ctx, "assignments/"+url.PathEscape(id)+"/result", callTimeout, r, nil)
}

// Log sends lines for the timeline of this boot.
func (c *Client) Log(ctx context.Context, lines []api.LogLine) error {
	return c.post(ctx, "log", callTimeout, api.LogLines{Lines: lines}, nil)
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// post sends in as JSON and decodes the answer into out, which may be nil, within limit.
func (c *Client) post(ctx context.Context, path string, limit time.Duration, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(body) > api.AgentBodyLimit {
		return fmt.Errorf("%s: the message has %d bytes, the protocol allows %d", path, len(body), api.AgentBodyLimit)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/agent/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer response.Body.Close()
	if err := decodeAnswer(response, out); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// decodeAnswer reads the whole body, so that the connection can be used again, but never more than answerLimit of it.
func decodeAnswer(response *http.Response, out any) error {
	body, err := io.ReadAll(io.LimitReader(response.Body, answerLimit+1))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > answerLimit {
		return fmt.Errorf("the answer has more than %d bytes", answerLimit)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return &StatusError{Code: response.StatusCode, Message: errorText(body)}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("decode the answer: %w", err)
	}
	return nil
}

// errorText is the sentence in an error answer: the detail of a problem document (RFC 9457), or the start of what else was said.
func errorText(body []byte) string {
	var problem struct{ Detail, Title string }
	text := string(body)
	if json.Unmarshal(body, &problem) == nil && problem.Detail+problem.Title != "" {
		text = problem.Detail
		if text == "" {
			text = problem.Title
		}
	}
	return Clean(text, 200)
}

// Clean is text as it may be shown and stored: valid UTF-8 of at most limit bytes, without padding or control characters, which could
// move a terminal's cursor.
func Clean(text string, limit int) string {
	printable := strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r == 0x7f || r == 0xfffd:
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if len(printable) > limit {
		printable = strings.ToValidUTF8(printable[:limit], "")
	}
	return strings.TrimSpace(printable)
}
