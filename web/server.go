package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"

	"berth/api"
	"berth/inventory"
	"berth/inventory/blob"
	"berth/inventory/claims"
	"berth/inventory/importer"
)

// Server answers people, programs and agents. Record, Machines and Agents must be set before Handler or a Serve is called; the zero
// values of the rest are good.
type Server struct {
	Record   inventory.Record
	Machines Machines
	Agents   Agents
	// Documents keeps the files of the record; nil keeps none.
	Documents *blob.Store
	// Rules are those of the claim clock; nil takes the ones that come with berth.
	Rules *claims.Rules

	// Archive is the record as a whole, for export, backup and their like; nil offers none of them.
	Archive Archive

	// Certificate is what Serve shows; see OwnCertificate.
	Certificate tls.Certificate
	// Ready says what is not ready yet, or nil; it is what /readyz asks.
	Ready func(context.Context) error
	// Metrics is the registry that /metrics shows and this server adds to; nil makes one.
	Metrics *prometheus.Registry
	Log     *slog.Logger
	// Now is the clock; nil is the real one.
	Now func() time.Time
	// MaxStreams bounds the streams of events open at once; 200 when 0.
	MaxStreams int
	// Version is shown at the foot of pages and in /api/v1.
	Version string

	once    sync.Once
	handler http.Handler
	metrics *metrics
	pages   *pages
	pause   pauses
	hooks   bucket
	argon   chan struct{}
	streams chan struct{}
	openapi []byte

	importer importer.Importer
	pendings pendings
	// stop is closed when the server is told to end, so that streams end before the connections are shut.
	stop     chan struct{}
	stopOnce sync.Once
}

// Connections open at once; more wait in the kernel's queue.
const maxConnections = 4096

// Handler is the whole service without its listener.
func (s *Server) Handler() http.Handler {
	s.once.Do(func() {
		s.argon = make(chan struct{}, 2)
		s.stop = make(chan struct{})
		if s.MaxStreams == 0 {
			s.MaxStreams = 200
		}
		s.streams = make(chan struct{}, s.MaxStreams)
		if s.Metrics == nil {
			s.Metrics = prometheus.NewRegistry()
		}
		s.metrics = newMetrics(s.Metrics)
		s.Record = guardMoney(s.Record)
		s.importer.Record, s.importer.Now = s.Record, s.Now
		s.pages = loadPages(s)
		s.openapi = s.describe()
		s.handler = s.mux()
	})
	return s.handler
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *Server) log() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.New(slog.DiscardHandler)
}

// Serve answers on l over TLS until ctx ends; then it lets requests end for up to ten seconds.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	tlsListener := tls.NewListener(netutil.LimitListener(l, maxConnections), s.tlsConfig())
	return s.serve(ctx, s.httpServer(), tlsListener)
}

// ServeSocket answers on a Unix socket, where root and the server's own user are administrators without a credential.
func (s *Server) ServeSocket(ctx context.Context, l net.Listener) error {
	server := s.httpServer()
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		uid, err := peerUID(c)
		if err != nil {
			s.log().Warn("a client of the socket cannot be told", "error", err)
		}
		return context.WithValue(ctx, peerKey{}, peer{uid: uid, err: err, own: os.Geteuid()})
	}
	return s.serve(ctx, server, l)
}

// ListenSocket opens the administration socket, which its owner alone may use. A socket that a dead server left is replaced.
func ListenSocket(path string) (net.Listener, error) {
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return nil, fmt.Errorf("open the socket %s: another server is listening on it", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open the socket %s: %w", path, err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("open the socket %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("open the socket %s: %w", path, err)
	}
	return l, nil
}

func (s *Server) httpServer() *http.Server {
	return &http.Server{
		Handler: s.Handler(),
		// Also the limit of a TLS handshake. Bodies and answers have limits by route (limitRequest).
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.log().Handler(), slog.LevelDebug),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 100, PingTimeout: 15 * time.Second, SendPingTimeout: 30 * time.Second},
	}
}

func (s *Server) serve(ctx context.Context, server *http.Server, l net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	s.stopOnce.Do(func() { close(s.stop) })
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := server.Shutdown(last)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	<-failed
	return err
}

// tlsConfig asks for a client certificate under the agent's name for the server and under no other, so that a browser never pops up a
// dialogue about certificates. An agent's certificate is made for one boot and signed by itself: what counts is that it proves its key.
func (s *Server) tlsConfig() *tls.Config {
	people := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{s.Certificate}, NextProtos: []string{"h2", "http/1.1"}}
	agents := people.Clone()
	agents.ClientAuth = tls.RequireAnyClientCert
	// A resumed session would carry the old proof into a new connection.
	agents.SessionTicketsDisabled = true
	people.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.ServerName == api.AgentServerName {
			return agents, nil
		}
		return nil, nil
	}
	return people
}
