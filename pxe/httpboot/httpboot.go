// Package httpboot is the plain-HTTP listener on the boot network: loaders,
// boot scripts, the agent's kernel and initramfs, and image blobs.
//
//	GET|HEAD /loader/<name>            network boot loaders
//	GET      /ipxe?arch=&mac=&uuid=    the script of a machine
//	GET|HEAD /agent/<cpu>/<name>       kernel and initramfs
//	GET|HEAD /image/<digest>/<name>    image blobs
//
// It moves bytes and holds no rule: what a machine boots is said by pxe.Decide,
// from what the Book says. Names are keys in tables, never paths. There is no
// TLS, because firmware and iPXE have no keys to check; so nothing here is
// secret but the one-time token in a script, and a script goes only to the
// address that is leased to the machine it is for.
//
// The client may be firmware with a weak HTTP stack: answers always carry a
// Content-Length equal to their body, doubled slashes in a path are taken as
// one without a redirect, and there is no chunked encoding.
package httpboot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"berth/pxe"
)

// Files is a table of files.
type Files interface {
	// Open returns the file of that exact name, or an error that wraps
	// fs.ErrNotExist. The name is hostile text. A result that is an *os.File is
	// sent by the kernel without a copy (sendfile).
	Open(name string) (io.ReadSeekCloser, error)
}

// Blobs is a store of images by digest.
type Blobs interface {
	// Open returns a part of the image with that digest, or an error that wraps
	// fs.ErrNotExist. Both arguments are hostile text.
	Open(ctx context.Context, digest, name string) (io.ReadSeekCloser, error)
}

// Paths is a table of names and the paths of their files.
type Paths map[string]string

// Open implements Files.
func (p Paths) Open(name string) (io.ReadSeekCloser, error) {
	path, ok := p[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return os.Open(path)
}

// Server is the boot listener. Its fields are set before Serve and not changed
// after. A nil table serves nothing.
type Server struct {
	Book    pxe.Book
	Tickets pxe.Tickets // nil: no script starts the agent
	Loaders Files       // by loader name
	Agent   Files       // by "<cpu>/<name>"
	Blobs   Blobs

	// Owner tells who holds an address by a lease of ours (pxe.Client.Key).
	Owner func(netip.Addr) (key string, held bool)
	// Neighbour tells the hardware address that answers for an IP address on the
	// wire. It is asked where another server gives the addresses (mode proxy);
	// nil means the kernel's table.
	Neighbour func(netip.Addr) (net.HardwareAddr, bool)

	Addr      string // "addr:port"; "" means ":8081"
	Interface string // listen on this interface only; "" for all

	MaxConns     int // at once; 0 means 1024
	MaxPerClient int // at once from one address; 0 means 32

	Log *slog.Logger // nil for none
}

// Limits of a request and of an answer.
const (
	maxHeader     = 8 << 10
	headerTimeout = 10 * time.Second
	idleTimeout   = 30 * time.Second
	ticketTimeout = 10 * time.Second
	maxName       = 256

	// stride bytes must be taken within strideTimeout, or the client is given up.
	stride        = 1 << 20
	strideTimeout = 60 * time.Second
)

// Serve serves until ctx ends, and returns nil then. It returns an error when
// the port cannot be opened; the sentence says what can be done.
func (s *Server) Serve(ctx context.Context) error {
	ln, err := s.listen(ctx)
	if err != nil {
		return err
	}
	return s.serve(ctx, ln)
}

func (s *Server) addr() string { return or(s.Addr, ":8081") }

func (s *Server) listen(ctx context.Context) (net.Listener, error) {
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
	ln, err := lc.Listen(ctx, "tcp4", s.addr())
	if err == nil {
		return newLimited(ln, or(s.MaxConns, 1024), or(s.MaxPerClient, 32)), nil
	}
	hint := ""
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		hint = ": another server listens there (ss -tlpn shows it); stop it, or choose another port"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		hint = ": choose a port above 1023, or start berth as root"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		hint = ": no interface of this host has that address"
	}
	return nil, fmt.Errorf("open the boot listener on %s%s: %w", s.addr(), hint, err)
}

func (s *Server) serve(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.logger().Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve the boot listener on %s: %w", s.addr(), err)
	case <-ctx.Done():
	}
	// A machine in the middle of its initramfs is not waited for: it asks again.
	err := srv.Close()
	<-done
	return err
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

func (s *Server) logger() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// ServeHTTP implements http.Handler. It is a switch and not a http.ServeMux,
// which would redirect a path with doubled slashes; firmware follows no redirects.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{Server: s, w: &meter{ResponseWriter: w}, r: r, began: time.Now()}
	x.from = remote(r)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		x.fail(http.StatusMethodNotAllowed, "only GET and HEAD are served here")
		return
	}
	if r.ContentLength != 0 {
		// There is no read timeout for whole requests, since it would go on during
		// a long answer; so a body is not waited for.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
		w.Header().Set("Connection", "close")
		x.fail(http.StatusRequestEntityTooLarge, "no body is taken here")
		return
	}
	path := squeeze(r.URL.Path)
	x.file = pxe.Printable(path, maxName)
	kind, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case len(path) > maxName:
		x.notFound()
	case kind == "ipxe" && rest == "":
		x.script()
	case kind == "loader" && s.Loaders != nil:
		x.send(s.Loaders.Open(rest))
	case kind == "agent" && s.Agent != nil:
		x.send(s.Agent.Open(rest))
	case kind == "image" && s.Blobs != nil:
		digest, name, _ := strings.Cut(rest, "/")
		x.send(s.Blobs.Open(r.Context(), digest, name))
	default:
		x.notFound()
	}
}

// squeeze takes runs of slashes as one. A shim that was loaded from
// http://host/a.efi asks for http://host//b.efi.
func squeeze(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}

func remote(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// exchange is one request on its way to its answer.
type exchange struct {
	*Server
	w     *meter
	r     *http.Request
	from  netip.Addr
	file  string
	began time.Time
}

// client is who asks, as far as the lease tells, or else the wire.
func (x *exchange) client() pxe.Client {
	c := pxe.Client{Addr: x.from, Interface: x.Interface, Arch: pxe.ArchUnknown}
	if x.Owner != nil {
		if key, ok := x.Owner(x.from); ok {
			c.MAC = pxe.KeyMAC(key)
			return c
		}
	}
	c.MAC, _ = x.neighbour(x.from)
	return c
}

func (x *exchange) neighbour(a netip.Addr) (net.HardwareAddr, bool) {
	if x.Neighbour != nil {
		return x.Neighbour(a)
	}
	return KernelNeighbour(a)
}

func (x *exchange) note(e pxe.Event) {
	e.Time, e.Wire, e.File = time.Now(), "http", x.file
	x.Book.Note(e)
}

// fail answers with an error and a body of known length.
func (x *exchange) fail(code int, text string) {
	h := x.w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)+1))
	x.w.WriteHeader(code)
	if x.r.Method != http.MethodHead {
		_, _ = io.WriteString(x.w, text+"\n")
	}
}

func (x *exchange) notFound() {
	if strings.HasSuffix(x.file, "/autoexec.ipxe") {
		x.fail(http.StatusNotFound, "not found") // iPXE of 2023 and later looks for it first of all; it need not be there
		return
	}
	c := x.client()
	x.note(pxe.Event{Kind: pxe.EventRefused, Client: c, Size: -1, Text: fmt.Sprintf("%v asked by HTTP for %s, which is not a file of ours", c, x.file)})
	x.fail(http.StatusNotFound, "not found")
}

// send serves a file that was opened.
func (x *exchange) send(f io.ReadSeekCloser, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		x.notFound()
		return
	}
	if err != nil {
		x.logger().Error("open a boot file", "file", x.file, "err", err)
		x.fail(http.StatusInternalServerError, "the file cannot be read")
		return
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		x.logger().Error("size of a boot file", "file", x.file, "err", err)
		x.fail(http.StatusInternalServerError, "the file cannot be read")
		return
	}
	x.serveFile(f, size)
}

func (x *exchange) serveFile(f io.ReadSeeker, size int64) {
	rng := x.r.Header.Get("Range")
	if strings.Contains(rng, ",") {
		// Several ranges make a multipart body, which nobody here asks for and
		// which would be the only answer whose length is not that of a file part.
		x.r.Header.Del("Range")
		rng = ""
	}
	// An image may be fetched in thousands of parts; the first one tells.
	told := x.r.Method == http.MethodGet && (rng == "" || strings.HasPrefix(rng, "bytes=0-"))
	e := pxe.Event{Client: x.client(), Size: size}
	if told {
		e.Kind, e.Text = pxe.EventFetch, fmt.Sprintf("%v fetches %s by HTTP", e.Client, x.file)
		x.note(e)
	}
	x.w.Header().Set("Content-Type", contentType(x.file))
	http.ServeContent(x.w, x.r, "", time.Time{}, f)
	if told {
		x.fetched(e)
	}
}

func (x *exchange) fetched(e pxe.Event) {
	e.Bytes, e.Took = x.w.sent, time.Since(x.began)
	want, _ := strconv.ParseInt(x.w.Header().Get("Content-Length"), 10, 64)
	if x.w.err == nil && e.Bytes == want {
		e.Kind, e.Text = pxe.EventFetched, fmt.Sprintf("%v has %s, %d bytes in %v", e.Client, x.file, e.Bytes, e.Took.Round(time.Millisecond))
	} else {
		e.Kind, e.Text = pxe.EventFetchFailed, fmt.Sprintf("%v did not get %s: the connection ended after %d of %d bytes", e.Client, x.file, e.Bytes, want)
	}
	x.note(e)
}

// contentType keeps net/http from guessing by the content. UEFI HTTP boot (UEFI
// 2.10 §24.7) tells an application by this type or by the name.
func contentType(name string) string {
	if strings.HasSuffix(name, ".efi") {
		return "application/efi"
	}
	return "application/octet-stream"
}
