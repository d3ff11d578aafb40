// Package mail sends plain-text mail over SMTP (RFC 5321), with TLS from the start or by STARTTLS.
package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"strings"
	"time"
)

// Security is how a connection is protected.
type Security string

// The kinds of protection.
const (
	StartTLS Security = "starttls" // begun in the clear, and given up unless the server takes TLS
	TLS      Security = "tls"      // from the first byte (port 465)
	None     Security = "none"     // in the clear; no password is sent
)

// Server is where mail goes first.
type Server struct {
	Addr     string // host:port
	Security Security
	Username string // empty sends without logging in
	Password string
	From     string   // name <address>, or an address
	To       []string // the same
	// Trust says whom to believe; nil takes the system's authorities.
	Trust *tls.Config
}

// timeout bounds the whole of one mail.
const timeout = 30 * time.Second

// Check judges the settings, so that a mistake is found at the start and not with the first mail.
func (s *Server) Check() error {
	if _, _, err := net.SplitHostPort(s.Addr); err != nil {
		return fmt.Errorf("%q is not host:port", s.Addr)
	}
	switch s.Security {
	case StartTLS, TLS, None:
	default:
		return fmt.Errorf("the security is starttls, tls or none, not %q", s.Security)
	}
	if s.Username != "" && s.Security == None {
		return errors.New("a password is not sent in the clear: use starttls or tls")
	}
	if _, err := mail.ParseAddress(s.From); err != nil {
		return fmt.Errorf("the sender %q is not an address", s.From)
	}
	if len(s.To) == 0 {
		return errors.New("there is nobody to write to")
	}
	for _, to := range s.To {
		if _, err := mail.ParseAddress(to); err != nil {
			return fmt.Errorf("the recipient %q is not an address", to)
		}
	}
	return nil
}

// Send delivers one mail to all recipients. id makes its Message-ID, so that a mail that is sent twice after a crash is known as one.
func (s *Server) Send(ctx context.Context, id, subject, text string, at time.Time) error {
	if err := s.Check(); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	client, err := s.dial(ctx)
	if err != nil {
		return fmt.Errorf("reach the mail server %s: %w", s.Addr, err)
	}
	defer client.Close()
	if err := s.submit(client, compose(s.From, s.To, id, subject, text, at)); err != nil {
		return fmt.Errorf("send mail through %s: %w", s.Addr, err)
	}
	return nil
}

func (s *Server) dial(ctx context.Context) (*smtp.Client, error) {
	host, _, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		conn.Close()
		return nil, err
	}
	if s.Security == TLS {
		conn = tls.Client(conn, s.trust(host))
	}
	client, err := smtp.NewClient(conn, host)
	if err != nil {
		conn.Close()
		return nil, err
	}
	if err := s.protect(client, host); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

func (s *Server) trust(host string) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.Trust != nil {
		config = s.Trust.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	return config
}

// protect switches to TLS where that is asked for, and logs in.
func (s *Server) protect(client *smtp.Client, host string) error {
	if s.Security == StartTLS {
		if ok, _ := client.Extension("STARTTLS"); !ok {
			return errors.New("it offers no STARTTLS, and nothing is sent in the clear")
		}
		if err := client.StartTLS(s.trust(host)); err != nil {
			return err
		}
	}
	if s.Username == "" {
		return nil
	}
	return client.Auth(smtp.PlainAuth("", s.Username, s.Password, host))
}

func (s *Server) submit(client *smtp.Client, message []byte) error {
	if err := client.Mail(bare(s.From)); err != nil {
		return err
	}
	for _, to := range s.To {
		if err := client.Rcpt(bare(to)); err != nil {
			return fmt.Errorf("recipient %s: %w", to, err)
		}
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(message); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return client.Quit()
}

// bare is the address without the name; Check has parsed it.
func bare(text string) string {
	a, err := mail.ParseAddress(text)
	if err != nil {
		return ""
	}
	return a.Address
}

// compose writes a message (RFC 5322) with UTF-8 text. Nothing of the record gets into a header unencoded: a line break in a title would be
// another header.
func compose(from string, to []string, id, subject, text string, at time.Time) []byte {
	var b bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	sender, _ := mail.ParseAddress(from)
	var names []string
	for _, t := range to {
		if a, err := mail.ParseAddress(t); err == nil {
			names = append(names, a.String())
		}
	}
	_, domain, _ := strings.Cut(sender.Address, "@")
	header("From", sender.String())
	header("To", strings.Join(names, ",\r\n "))
	header("Subject", mime.QEncoding.Encode("utf-8", oneLine(subject)))
	header("Date", at.UTC().Format(time.RFC1123Z))
	header("Message-ID", "<"+oneLine(id)+"@"+domain+">")
	// Mail of a program asks for no answer of another (RFC 3834).
	header("Auto-Submitted", "auto-generated")
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	body := quotedprintable.NewWriter(&b)
	_, _ = body.Write([]byte(strings.ReplaceAll(text, "\r\n", "\n"))) // a buffer takes everything
	_ = body.Close()
	return b.Bytes()
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
