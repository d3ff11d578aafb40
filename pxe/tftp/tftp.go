// Package tftp serves boot loaders by TFTP: RFC 1350 with the options of RFC
// 2347 to 2349. It reads only, octet mode is what firmware asks for, and a name
// is a key in a table, never a path: whatever a client sends, it gets a file
// that was put there to be given, or "not found".
//
// The protocol is spoken by github.com/pin/tftp in its normal mode, with a port
// for each transfer; its single-port mode is an order of magnitude slower. What
// this package adds are the limits and the timeline.
package tftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	pin "github.com/pin/tftp/v3"
	"golang.org/x/sys/unix"

	"berth/pxe"
)

// Files is what the server serves.
type Files interface {
	// Open returns the file of that exact name and its size in bytes, or an
	// error that wraps fs.ErrNotExist. The name is hostile text.
	Open(name string) (io.ReadSeekCloser, int64, error)
}

// Paths is a table of names and the paths of their files.
type Paths map[string]string

// Open implements Files.
func (p Paths) Open(name string) (io.ReadSeekCloser, int64, error) {
	path, ok := p[name]
	if !ok {
		return nil, 0, fs.ErrNotExist
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, st.Size(), nil
}

// Server serves files by TFTP. Its fields are set before Serve and not changed
// after.
type Server struct {
	Files     Files
	Addr      string // "addr:port" to listen on; "" means ":69"
	Interface string // listen on this interface only; "" for all

	Note  func(pxe.Event)                          // takes events for the timeline, never blocks; nil for none
	Owner func(netip.Addr) (key string, held bool) // who holds an address (pxe.Client.Key); nil when unknown

	MaxTransfers int           // at once; 0 means 256. Addresses without an Owner share half of them
	MaxPerClient int           // at once for one address; 0 means 8
	MaxDuration  time.Duration // of one transfer; 0 means 10 minutes
	Timeout      time.Duration // until a block is sent again; 0 means 1 second
	Retries      int           // of one block; 0 means 6

	Log *slog.Logger // nil for none
}

// maxBlock is the largest block that fits an Ethernet frame: 1500 bytes less
// the headers of IP (20), UDP (8) and TFTP (4). Clients that ask for more get
// this: firmware loses IP fragments.
const maxBlock = 1468

// Serve serves until ctx ends, and returns nil then. It returns an error when
// the port cannot be opened; the sentence says what can be done.
func (s *Server) Serve(ctx context.Context) error {
	conn, err := s.listen(ctx)
	if err != nil {
		return err
	}
	return s.serve(ctx, conn)
}

func (s *Server) addr() string { return or(s.Addr, ":69") }

func (s *Server) listen(ctx context.Context) (net.PacketConn, error) {
	var lc net.ListenConfig
	if s.Interface != "" {
		lc.Control = func(_, _ string, c syscall.RawConn) error {
			var err error
			if cerr := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), s.Interface) }); cerr != nil {
				return cerr
			}
			return err
		}
	}
	conn, err := lc.ListenPacket(ctx, "udp4", s.addr())
	if err == nil {
		return conn, nil
	}
	hint := ""
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		hint = ": another TFTP server runs on this host (ss -ulpn shows it); stop it, or listen on another address"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		hint = ": start berth as root, or give it CAP_NET_BIND_SERVICE"
	case errors.Is(err, unix.ENODEV):
		hint = ": there is no interface " + s.Interface
	}
	return nil, fmt.Errorf("open the TFTP port %s%s: %w", s.addr(), hint, err)
}

func (s *Server) serve(ctx context.Context, conn net.PacketConn) error {
	h := &handler{Server: s, ctx: ctx, active: map[netip.Addr]int{}}
	engine := pin.NewServer(h.read, nil)
	engine.SetTimeout(or(s.Timeout, time.Second))
	engine.SetRetries(or(s.Retries, 6))
	// The engine's own reckoning from the interface forgets the TFTP header.
	engine.SetBlockSizeNegotiation(false)
	engine.SetBlockSize(maxBlock)
	// The timeout is pause enough: by default the engine sleeps up to a second on top.
	engine.SetBackoff(func(int) time.Duration { return 0 })
	done := make(chan error, 1)
	go func() { done <- engine.Serve(conn) }()
	<-ctx.Done()
	// Transfers end by themselves: their reader fails when ctx has ended, and a
	// silent client is given up after the retries of one block.
	engine.Shutdown()
	return <-done
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// handler is the state of one Serve.
type handler struct {
	*Server
	ctx context.Context

	mu        sync.Mutex
	total     int
	strangers int // transfers to addresses without an owner, which are easily made up
	active    map[netip.Addr]int
}

var (
	errBusy     = errors.New("server is busy, try again")
	errNotFound = errors.New("file not found")
	errInternal = errors.New("server cannot read the file")
	errSlow     = errors.New("transfer took too long")
	errEnding   = errors.New("server is shutting down")
)

// read serves one transfer; its error goes to the client, so it never holds
// more than a word of our own.
func (h *handler) read(name string, to io.ReaderFrom) error {
	began := time.Now()
	from := remote(to)
	e := pxe.Event{Client: h.client(from), File: pxe.Printable(name, 128), Size: -1}
	known := len(e.Client.MAC) > 0
	if !h.enter(from, known) {
		h.note(e, pxe.EventRefused, fmt.Sprintf("refused %s to %v: too many transfers", e.File, e.Client))
		return errBusy
	}
	defer h.leave(from, known)
	f, size, err := h.Files.Open(key(name))
	if err != nil {
		return h.notOpened(e, err)
	}
	defer f.Close()
	e.Size = size
	// Told at the first block: firmware asks for the size with a request of its
	// own, which it breaks off.
	tell := sync.OnceFunc(func() {
		h.note(e, pxe.EventFetch, fmt.Sprintf("%v fetches %s by TFTP", e.Client, e.File))
	})
	n, err := to.ReadFrom(&bounded{ReadSeeker: f, ctx: h.ctx, end: began.Add(or(h.MaxDuration, 10*time.Minute)), tell: tell})
	e.Bytes, e.Took = n, time.Since(began)
	h.ended(e, err)
	return nil // the engine has told the client
}

// key is the name as the table has it: clients ask with and without a slash,
// and some ROMs forget to end the string.
func key(name string) string {
	name = strings.TrimLeft(name, "/")
	for strings.HasSuffix(name, "\xff") {
		name = name[:len(name)-1]
	}
	return name
}

func (h *handler) notOpened(e pxe.Event, err error) error {
	if key(e.File) == "autoexec.ipxe" {
		return errNotFound // iPXE of 2023 and later looks for it first of all; it need not be there
	}
	if errors.Is(err, fs.ErrNotExist) {
		h.note(e, pxe.EventRefused, fmt.Sprintf("%v asked by TFTP for %q, which is not a file of ours", e.Client, e.File))
		return errNotFound
	}
	h.logger().Error("open a file for TFTP", "file", e.File, "err", err)
	h.note(e, pxe.EventFetchFailed, fmt.Sprintf("%s could not be read for %v", e.File, e.Client))
	return errInternal
}

func (h *handler) ended(e pxe.Event, err error) {
	switch {
	case err == nil:
		h.note(e, pxe.EventFetched, fmt.Sprintf("%v has %s, %d bytes in %v", e.Client, e.File, e.Bytes, e.Took.Round(time.Millisecond)))
	case e.Bytes == 0 && strings.Contains(err.Error(), "sending block 0: code="):
		// Firmware asks for the size with a first request, which it breaks off at
		// once with an error packet. Nothing went wrong.
		h.logger().Debug("size asked by TFTP", "file", e.File, "client", e.Client.String())
	default:
		h.note(e, pxe.EventFetchFailed, fmt.Sprintf("%v did not get %s: %s after %d bytes", e.Client, e.File, pxe.Printable(err.Error(), 160), e.Bytes))
	}
}

func (h *handler) note(e pxe.Event, kind pxe.EventKind, text string) {
	if h.Note == nil {
		return
	}
	e.Kind, e.Text, e.Wire, e.Time = kind, text, "tftp", time.Now()
	h.Note(e)
}

func (h *handler) logger() *slog.Logger {
	if h.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return h.Log
}

func (h *handler) client(addr netip.Addr) pxe.Client {
	c := pxe.Client{Addr: addr, Stage: pxe.StageFirmware, Arch: pxe.ArchUnknown, Interface: h.Interface}
	if h.Owner != nil {
		if k, ok := h.Owner(addr); ok {
			c.MAC = pxe.KeyMAC(k)
		}
	}
	return c
}

func remote(to io.ReaderFrom) netip.Addr {
	if t, ok := to.(pin.OutgoingTransfer); ok {
		a := t.RemoteAddr()
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// enter takes a place for a transfer, if there is one.
func (h *handler) enter(from netip.Addr, known bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	most := or(h.MaxTransfers, 256)
	if h.total >= most || h.active[from] >= or(h.MaxPerClient, 8) || !known && h.strangers >= (most+1)/2 {
		return false
	}
	h.total++
	h.active[from]++
	if !known {
		h.strangers++
	}
	return true
}

func (h *handler) leave(from netip.Addr, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.total--
	if !known {
		h.strangers--
	}
	if h.active[from]--; h.active[from] == 0 {
		delete(h.active, from)
	}
}

// bounded is a file that cannot be read for longer than a transfer may take.
type bounded struct {
	io.ReadSeeker
	ctx  context.Context
	end  time.Time
	tell func()
}

func (b *bounded) Read(p []byte) (int, error) {
	b.tell()
	switch {
	case b.ctx.Err() != nil:
		return 0, errEnding
	case time.Now().After(b.end):
		return 0, errSlow
	}
	return b.ReadSeeker.Read(p)
}
