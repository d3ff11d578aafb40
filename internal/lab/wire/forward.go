package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Limits of a forwarder.
const (
	maxForwarded = 256 // connections at once; more wait
	dialTime     = 10 * time.Second
)

// Forwarder takes TCP connections on the host's loopback and carries them to an
// address inside a namespace.
type Forwarder struct {
	listener net.Listener
	dial     func(ctx context.Context) (net.Conn, error)
	idle     time.Duration
	log      *slog.Logger
	cancel   context.CancelFunc
	work     sync.WaitGroup
}

// Forward listens on a loopback address of the host, such as "127.0.0.1:0", and
// forwards to target, an IP literal and a port inside the namespace. A
// connection is closed when nothing moves in it for idle. Close ends it.
func (n *Namespace) Forward(listen, target string, idle time.Duration, log *slog.Logger) (*Forwarder, error) {
	host, _, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("forward from %q: not a loopback address: %v", listen, err)
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("forward from %s: %w", listen, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &Forwarder{
		listener: l,
		dial:     func(ctx context.Context) (net.Conn, error) { return n.DialContext(ctx, "tcp", target) },
		idle:     idle,
		log:      log,
		cancel:   cancel,
	}
	f.work.Go(func() { f.accept(ctx) })
	return f, nil
}

// Addr is where it listens.
func (f *Forwarder) Addr() string { return f.listener.Addr().String() }

// Close stops listening, drops every connection and waits for them.
func (f *Forwarder) Close() error {
	f.cancel()
	err := f.listener.Close()
	f.work.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (f *Forwarder) accept(ctx context.Context) {
	slots := make(chan struct{}, maxForwarded)
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			conn.Close()
			return
		}
		f.work.Go(func() {
			defer func() { <-slots }()
			f.carry(ctx, conn)
		})
	}
}

// carry joins one connection to a new one inside, until both directions have
// ended.
func (f *Forwarder) carry(ctx context.Context, outer net.Conn) {
	defer outer.Close()
	dialCtx, cancel := context.WithTimeout(ctx, dialTime)
	inner, err := f.dial(dialCtx)
	cancel()
	if err != nil {
		f.log.Warn("forwarder", "err", err)
		return
	}
	defer inner.Close()
	f.alive(outer, inner)
	stop := context.AfterFunc(ctx, func() { outer.Close(); inner.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { f.pump(inner, outer) })
	both.Go(func() { f.pump(outer, inner) })
	both.Wait()
}

// alive gives both ends another idle time: traffic in one direction keeps the
// other.
func (f *Forwarder) alive(a, b net.Conn) {
	deadline := time.Now().Add(f.idle)
	a.SetDeadline(deadline)
	b.SetDeadline(deadline)
}

// pump copies one direction and then ends it, leaving the other open: HTTP
// clients may close their half after a request.
func (f *Forwarder) pump(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			f.alive(to, from)
			if _, werr := to.Write(buf[:n]); werr != nil {
				from.Close()
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				to.Close()
				return
			}
			if half, ok := to.(interface{ CloseWrite() error }); ok {
				half.CloseWrite()
			}
			return
		}
	}
}
