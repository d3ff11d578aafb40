// Package hook sends webhook messages over HTTP.
//
// A message is a POST of JSON. Where the webhook has a secret, X-Hook-Signature is the hexadecimal HMAC-SHA512 of the body, as NetBox
// signs; X-Berth-Event is the same at each try of one message. Addresses of this host and of the local link are not spoken to unless they
// are listed, whatever name leads there; redirects are not followed, because a signed message is for the receiver it was made for.
package hook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha512"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"berth/inventory/notify"
)

// Limits of one message on the wire.
const (
	timeout     = 10 * time.Second
	answerLimit = 64 << 10 // bytes of an answer that are read, and thrown away
)

// Sender sends over HTTP and HTTPS. Its zero value speaks to the world and to nothing near.
type Sender struct {
	// Allow lists networks that are spoken to although they are near: loopback and link-local ones.
	Allow []netip.Prefix
	// Forbid names further addresses that are not spoken to, BMCs; nil is none.
	Forbid func(netip.Addr) bool
	// TLS says whom to trust; nil takes the system's authorities.
	TLS *tls.Config
	// UserAgent names the program.
	UserAgent string
}

// Sign is the hexadecimal HMAC-SHA512 of a body.
func Sign(body []byte, secret string) string {
	mac := hmac.New(sha512.New, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// Send posts a message. The error says what the receiver answered, or why there was none; it holds no part of the answer's body, which is
// a stranger's text.
func (s *Sender) Send(ctx context.Context, m notify.Message) (int, error) {
	ctx, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, bytes.NewReader(m.Body))
	if err != nil {
		return 0, fmt.Errorf("the address cannot be read: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", s.UserAgent)
	req.Header.Set("X-Berth-Event", string(m.Event))
	if m.Secret != "" {
		req.Header.Set("X-Hook-Signature", Sign(m.Body, m.Secret))
	}
	client := s.Client()
	defer client.CloseIdleConnections()
	answer, err := client.Do(req)
	if err != nil {
		return 0, told(err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, answerLimit)) // what it says does not matter, only that it answered
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return answer.StatusCode, fmt.Errorf("the receiver answered %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	return answer.StatusCode, nil
}

// told takes the address out of an error: it may hold a token in its query, and the webhook shows it anyway.
func told(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s", timeout)
	}
	return err
}

// Client is an HTTP client that dials by the same rules. It is made anew for each message: a webhook is spoken to now and then, and must not
// keep a connection over a change of its address.
func (s *Sender) Client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: timeout, Control: s.control}).DialContext,
			TLSClientConfig:        s.TLS,
			TLSHandshakeTimeout:    timeout,
			MaxResponseHeaderBytes: answerLimit,
			DisableKeepAlives:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// control looks at the address that is really dialled, after names were resolved.
func (s *Sender) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("the address %s cannot be read: %w", address, err)
	}
	a := plain(ap.Addr())
	switch {
	case slices.ContainsFunc(s.Allow, func(p netip.Prefix) bool { return p.Contains(a) }):
		return nil
	case near(a):
		return fmt.Errorf("%s is an address of this host or of the local link, which webhooks do not reach unless --webhook-allow lists it", a)
	case s.Forbid != nil && s.Forbid(a):
		return fmt.Errorf("%s is a BMC on record, which webhooks do not reach", a)
	}
	return nil
}

// plain is an address without the zone, and out of the forms in which IPv6 carries IPv4: mapped, and NAT64 (RFC 6052).
func plain(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

func near(a netip.Addr) bool {
	return a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsMulticast() || thisNetwork.Contains(a)
}

var (
	nat64       = netip.MustParsePrefix("64:ff9b::/96")
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8") // RFC 1122 §3.2.1.3: "this host on this network"
)

// ParseAllow reads addresses and networks, separated by commas.
func ParseAllow(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range list {
		text = strings.TrimSpace(text)
		if a, err := netip.ParseAddr(text); err == nil {
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a network such as 127.0.0.1 or fe80::/10", text)
		}
		out = append(out, p)
	}
	return out, nil
}
