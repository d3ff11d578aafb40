package mail

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"
)

// office is a small SMTP server (RFC 5321) that keeps what it is given.
type office struct {
	listener net.Listener
	config   *tls.Config
	implicit bool   // TLS from the first byte
	noTLS    bool   // offers no STARTTLS
	refuse   string // a recipient it refuses
	got      chan letter
}

type letter struct {
	from, auth, data string
	to               []string
	secure           bool
}

func newOffice(t *testing.T, settle func(*office)) *office {
	t.Helper()
	o := &office{got: make(chan letter, 10)}
	var err error
	if o.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	o.config = certificate(t)
	settle(o)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := o.listener.Accept()
			if err != nil {
				return
			}
			o.serve(conn)
		}
	}()
	t.Cleanup(func() { o.listener.Close(); <-done })
	return o
}

func certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, RootCAs: pool}
}

// serve holds one conversation.
func (o *office) serve(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	var l letter
	if o.implicit {
		conn, l.secure = tls.Server(conn, o.config), true
	}
	r := bufio.NewReader(conn)
	say := func(format string, args ...any) { fmt.Fprintf(conn, format+"\r\n", args...) }
	say("220 office")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-office")
			if !l.secure && !o.noTLS {
				say("250-STARTTLS")
			}
			say("250-AUTH PLAIN")
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go on")
			conn, l.secure = tls.Server(conn, o.config), true
			r = bufio.NewReader(conn)
		case "AUTH":
			text, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			l.auth = string(text)
			say("235 welcome")
		case "MAIL":
			l.from = rest
			say("250 fine")
		case "RCPT":
			if o.refuse != "" && strings.Contains(rest, o.refuse) {
				say("550 nobody of this name")
				continue
			}
			l.to = append(l.to, rest)
			say("250 fine")
		case "DATA":
			say("354 go on")
			var data strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				data.WriteString(strings.TrimPrefix(line, "."))
			}
			l.data = data.String()
			o.got <- l
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("502 what")
		}
	}
}

func (o *office) server() *Server {
	return &Server{Addr: o.listener.Addr().String(), Security: StartTLS, From: "berth <berth@example.org>", To: []string{"Anna Ä <anna@example.org>", "otto@example.org"}, Trust: &tls.Config{RootCAs: o.config.RootCAs, MinVersion: tls.VersionTLS12}}
}

var sent = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

func TestSend(t *testing.T) {
	for _, test := range []struct {
		name   string
		office func(*office)
		server func(*Server)
	}{
		{"starttls", func(*office) {}, func(s *Server) { s.Username, s.Password = "berth", "hunter2" }},
		{"tls", func(o *office) { o.implicit = true }, func(s *Server) { s.Security = TLS }},
		{"in the clear", func(o *office) { o.noTLS = true }, func(s *Server) { s.Security = None }},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newOffice(t, test.office)
			s := o.server()
			test.server(s)
			text := "Grüße\n.\nA line that begins with a dot\n" + strings.Repeat("long ", 100)
			if err := s.Send(t.Context(), "abc.1", "S-1 ist still\r\nBcc: eve@example.org ä", text, sent); err != nil {
				t.Fatal(err)
			}
			l := <-o.got
			if l.from != "FROM:<berth@example.org> BODY=8BITMIME" || len(l.to) != 2 || l.to[0] != "TO:<anna@example.org>" || l.secure != (s.Security != None) {
				t.Errorf("the envelope %+v", l)
			}
			if want := map[bool]string{true: "\x00berth\x00hunter2"}[s.Username != ""]; l.auth != want {
				t.Errorf("logged in as %q", l.auth)
			}
			check(t, l.data, text)
		})
	}
}

// check reads a mail as a mail program does.
func check(t *testing.T, data, text string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != "S-1 ist still  Bcc: eve@example.org ä" || m.Header.Get("Bcc") != "" {
		t.Errorf("the subject is %q, Bcc %q, %v", subject, m.Header.Get("Bcc"), err)
	}
	to, err := m.Header.AddressList("To")
	if err != nil || len(to) != 2 || to[0].Name != "Anna Ä" {
		t.Errorf("to %v, %v", to, err)
	}
	if m.Header.Get("Message-ID") != "<abc.1@example.org>" || m.Header.Get("Date") != "Sun, 22 Nov 2026 09:00:00 +0000" {
		t.Errorf("headers %v", m.Header)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil || strings.TrimRight(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n") != text {
		t.Errorf("the text is %q, %v", body, err)
	}
	for line := range strings.SplitSeq(data, "\r\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
}

func TestSendRefuses(t *testing.T) {
	o := newOffice(t, func(o *office) { o.noTLS, o.refuse = true, "otto" })
	for _, test := range []struct {
		want   string
		settle func(*Server)
	}{
		{"offers no STARTTLS", func(*Server) {}},
		{"recipient otto@example.org", func(s *Server) { s.Security = None }},
		{"not sent in the clear", func(s *Server) { s.Security, s.Username = None, "berth" }},
		{"not host:port", func(s *Server) { s.Addr = "mail" }},
		{"starttls, tls or none", func(s *Server) { s.Security = "maybe" }},
		{"the sender", func(s *Server) { s.From = "nobody" }},
		{"nobody to write to", func(s *Server) { s.To = nil }},
		{"the recipient", func(s *Server) { s.To = []string{"a@b", "x\r\ny"} }},
		{"reach the mail server", func(s *Server) { s.Addr = "127.0.0.1:1" }},
	} {
		s := o.server()
		test.settle(s)
		if err := s.Send(t.Context(), "1", "x", "y", sent); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want something about %q", err, test.want)
		}
	}
	trusting := newOffice(t, func(*office) {})
	s := trusting.server()
	s.Trust = nil
	if err := s.Send(t.Context(), "1", "x", "y", sent); err == nil {
		t.Error("a certificate of nobody we trust was taken")
	}
}
