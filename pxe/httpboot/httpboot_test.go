package httpboot

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/pxe"
)

var (
	mac       = net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 1}
	loopback  = netip.MustParseAddr("127.0.0.1")
	secretTok = "token-4711"
)

// book is a Book for one subnet, 127.0.0.0/8.
type book struct {
	mode pxe.Mode
	sit  pxe.Situation

	mu     sync.Mutex
	events []pxe.Event
}

func (b *book) Situation(pxe.Client) pxe.Situation { return b.sit }
func (b *book) Subnet(_ string, a netip.Addr) (pxe.Subnet, bool) {
	n := pxe.Subnet{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Mode: b.mode, BootURL: "http://127.0.0.1:8081"}
	return n, n.Prefix.Contains(a)
}
func (b *book) Reservation(pxe.Client, pxe.Subnet) (netip.Addr, bool) { return netip.Addr{}, false }
func (b *book) Reserved(pxe.Subnet, netip.Addr) bool                  { return false }
func (b *book) Note(e pxe.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
}

func (b *book) kinds() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, e := range b.events {
		all = append(all, string(e.Kind))
	}
	return strings.Join(all, " ")
}

type tickets struct {
	mu    sync.Mutex
	given int
	err   error
}

func (t *tickets) Ticket(context.Context, pxe.Client, pxe.Situation) (pxe.Ticket, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.given++
	return pxe.Ticket{Token: secretTok, AgentURL: "https://127.0.0.1:8443", Pin: "p"}, t.err
}

// blobs is one image, "d1", of one part, "disk".
type blobs struct{ path string }

func (b blobs) Open(_ context.Context, digest, name string) (io.ReadSeekCloser, error) {
	if digest != "d1" || name != "disk" {
		return nil, fs.ErrNotExist
	}
	return os.Open(b.path)
}

func start(t testing.TB, s *Server) string {
	t.Helper()
	s.Addr = "127.0.0.1:0"
	ln, err := s.listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error("serve:", err)
		}
	})
	return ln.Addr().String()
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

// site is a server with one file of each kind.
func site(t testing.TB, b *book) (*Server, map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	files := map[string][]byte{
		"/loader/snponly.efi": random(5000), "/agent/amd64/vmlinuz": random(3<<20 + 17), "/agent/amd64/empty": nil, "/image/d1/disk": random(1 << 20),
	}
	paths := map[string]string{}
	for name, data := range files {
		p := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(p, data, 0o600); err != nil {
			t.Fatal(err)
		}
		paths[name] = p
	}
	return &Server{
		Book:    b,
		Loaders: Paths{"snponly.efi": paths["/loader/snponly.efi"]},
		Agent:   Paths{"amd64/vmlinuz": paths["/agent/amd64/vmlinuz"], "amd64/empty": paths["/agent/amd64/empty"]},
		Blobs:   blobs{paths["/image/d1/disk"]},
		Owner:   func(a netip.Addr) (string, bool) { return mac.String(), a == loopback },
	}, files
}

// raw sends a request as it stands and reads the answer with an independent
// count of the body: until the server closes.
func raw(t testing.TB, addr, request string) (status int, h http.Header, body []byte) {
	t.Helper()
	c, err := net.Dial("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, request+"\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(c)
	if err != nil && len(all) == 0 {
		t.Fatal(err)
	}
	head, body, ok := bytes.Cut(all, []byte("\r\n\r\n"))
	if !ok {
		t.Fatalf("no answer to %q: %q", request, all)
	}
	resp, err := http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader(head), strings.NewReader("\r\n\r\n"))), &http.Request{Method: http.MethodHead})
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, body
}

// Every answer says its true length: a loader that trusted a false one has been
// a hole in Secure Boot.
func TestAnswers(t *testing.T) {
	b := &book{mode: pxe.ModeServer}
	s, files := site(t, b)
	addr := start(t, s)
	kernel := files["/agent/amd64/vmlinuz"]
	for _, tc := range []struct {
		request string
		status  int
		body    []byte // nil: not compared
	}{
		{"GET /loader/snponly.efi HTTP/1.1\r\nHost: x", 200, files["/loader/snponly.efi"]},
		{"HEAD /loader/snponly.efi HTTP/1.1\r\nHost: x", 200, []byte{}},
		{"GET //loader//snponly.efi HTTP/1.1\r\nHost: x", 200, files["/loader/snponly.efi"]},
		{"GET ///loader/snponly.efi?x=y HTTP/1.0", 200, files["/loader/snponly.efi"]},
		{"GET /agent/amd64/vmlinuz HTTP/1.1\r\nHost: x", 200, kernel},
		{"GET /agent/amd64/vmlinuz HTTP/1.0", 200, kernel},
		{"GET /agent/amd64/empty HTTP/1.1\r\nHost: x", 200, []byte{}},
		{"HEAD /agent/amd64/empty HTTP/1.1\r\nHost: x", 200, []byte{}},
		{"GET /image/d1/disk HTTP/1.1\r\nHost: x", 200, files["/image/d1/disk"]},
		{"GET /agent/amd64/vmlinuz HTTP/1.1\r\nHost: x\r\nRange: bytes=10-19", 206, kernel[10:20]},
		{"GET /agent/amd64/vmlinuz HTTP/1.1\r\nHost: x\r\nRange: bytes=-7", 206, kernel[len(kernel)-7:]},
		{"GET /agent/amd64/vmlinuz HTTP/1.1\r\nHost: x\r\nRange: bytes=2097152-", 206, kernel[2<<20:]},
		{"HEAD /agent/amd64/vmlinuz HTTP/1.1\r\nHost: x\r\nRange: bytes=10-19", 206, []byte{}},
		{"GET /agent/amd64/vmlinuz HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1,5-6", 200, kernel},
		{"GET /agent/amd64/vmlinuz HTTP/1.1\r\nHost: x\r\nRange: bytes=99999999-", 416, nil},
		{"GET /agent/amd64/vmlinuz HTTP/1.1\r\nHost: x\r\nRange: bytes=18446744073709551616-", 416, nil},
		{"GET /agent/amd64/vmlinuz HTTP/1.1\r\nHost: x\r\nRange: lines=1", 416, nil},
		{"GET /loader/../loader/snponly.efi HTTP/1.1\r\nHost: x", 404, nil},
		{"GET /loader/..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: x", 404, nil},
		{"GET /loader/ HTTP/1.1\r\nHost: x", 404, nil},
		{"GET / HTTP/1.1\r\nHost: x", 404, nil},
		{"HEAD /nothing HTTP/1.1\r\nHost: x", 404, []byte{}},
		{"GET /image/d2/disk HTTP/1.1\r\nHost: x", 404, nil},
		{"GET /image/d1 HTTP/1.1\r\nHost: x", 404, nil},
		{"GET /" + strings.Repeat("a", 4000) + " HTTP/1.1\r\nHost: x", 404, nil},
		{"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 20_000), 431, nil},
		{"POST /ipxe HTTP/1.1\r\nHost: x\r\nContent-Length: 0", 405, nil},
		{"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5", 413, nil},
		{"HEAD /ipxe HTTP/1.1\r\nHost: x", 405, []byte{}},
	} {
		status, h, body := raw(t, addr, tc.request)
		name := tc.request[:min(len(tc.request), 90)]
		if status != tc.status {
			t.Errorf("%q: status %d, want %d", name, status, tc.status)
		}
		if tc.body != nil && !bytes.Equal(body, tc.body) {
			t.Errorf("%q: %d bytes, want %d", name, len(body), len(tc.body))
		}
		length, err := strconv.Atoi(h.Get("Content-Length"))
		if status != 431 && err != nil {
			t.Errorf("%q: Content-Length %q", name, h.Get("Content-Length"))
		}
		if status != 431 && !strings.HasPrefix(tc.request, "HEAD") && length != len(body) {
			t.Errorf("%q: Content-Length %d, body %d", name, length, len(body))
		}
		if h.Get("Transfer-Encoding") != "" {
			t.Errorf("%q: is chunked", name)
		}
	}
	if !strings.Contains(b.kinds(), "fetch.start fetch.end") || !strings.Contains(b.kinds(), "refused") {
		t.Errorf("timeline: %s", b.kinds())
	}
}

func TestScripts(t *testing.T) {
	query := "/ipxe?arch=7&mac=" + mac.String()
	agent := pxe.Situation{Machine: "m", Boot: pxe.BootAgent, Reason: "deploy"}
	for _, tc := range []struct {
		name   string
		path   string
		mode   pxe.Mode
		sit    pxe.Situation
		change func(*Server)
		status int
		has    string
		minted int
	}{
		{"agent", query, pxe.ModeServer, agent, nil, 200, "berth.token=" + secretTok, 1},
		{"local", query, pxe.ModeServer, pxe.Situation{Machine: "m"}, nil, 200, "exit", 0},
		{"another machine's lease", "/ipxe?arch=7&mac=52:54:00:77:00:02", pxe.ModeServer, agent, nil, 403, "another machine", 0},
		{"no lease", query, pxe.ModeServer, agent, func(s *Server) { s.Owner = nil }, 403, "not leased", 0},
		{"proxy, right neighbour", query, pxe.ModeProxy, agent, func(s *Server) {
			s.Owner = nil
			s.Neighbour = func(netip.Addr) (net.HardwareAddr, bool) { return mac, true }
		}, 200, secretTok, 1},
		{"proxy, wrong neighbour", query, pxe.ModeProxy, agent, func(s *Server) {
			s.Owner = nil
			s.Neighbour = func(netip.Addr) (net.HardwareAddr, bool) { return net.HardwareAddr{1, 2, 3, 4, 5, 6}, true }
		}, 403, "is 01:02:03:04:05:06", 0},
		{"proxy, a neighbour in doubt", query, pxe.ModeProxy, agent, func(s *Server) {
			s.Owner = nil
			asked := 0
			s.Neighbour = func(netip.Addr) (net.HardwareAddr, bool) { asked++; return mac, asked > 2 }
		}, 200, secretTok, 1},
		{"proxy, the kernel knows no neighbour", query, pxe.ModeProxy, agent, func(s *Server) { s.Owner = nil }, 403, "not one of a neighbour", 0},
		{"listen", query, pxe.ModeListen, agent, nil, 404, "mode listen", 0},
		{"nothing for this machine", query, pxe.ModeServer, pxe.Situation{Machine: "m", Boot: pxe.BootNone}, nil, 404, "nothing", 0},
		{"no machine named", "/ipxe?arch=7", pxe.ModeServer, agent, nil, 403, "names no machine", 0},
		{"nonsense", "/ipxe?mac=zz", pxe.ModeServer, agent, nil, 400, "hardware address", 0},
		{"no ticket", query, pxe.ModeServer, agent, func(s *Server) { s.Tickets = &tickets{err: errors.New("database down, password hunter2")} }, 503, "the server's log", 0},
		{"no tickets at all", query, pxe.ModeServer, agent, func(s *Server) { s.Tickets = nil }, 503, "the server's log", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, tk := &book{mode: tc.mode, sit: tc.sit}, &tickets{}
			s, _ := site(t, b)
			s.Tickets = tk
			if tc.change != nil {
				tc.change(s)
			}
			addr := start(t, s)
			status, h, body := raw(t, addr, "GET "+tc.path+" HTTP/1.1\r\nHost: x")
			if status != tc.status || !strings.Contains(string(body), tc.has) || h.Get("Content-Length") != fmt.Sprint(len(body)) {
				t.Errorf("status %d, length %s\n%s", status, h.Get("Content-Length"), body)
			}
			if strings.Contains(string(body), "hunter2") || status != 200 && strings.Contains(string(body), secretTok) {
				t.Errorf("tells a secret: %s", body)
			}
			if tk.given != tc.minted {
				t.Errorf("%d tickets were minted", tk.given)
			}
			for _, e := range b.events {
				if strings.Contains(fmt.Sprint(e), secretTok) {
					t.Errorf("the timeline has the token: %+v", e)
				}
			}
		})
	}
}

func TestFindNeighbour(t *testing.T) {
	table := `IP address       HW type     Flags       HW address            Mask     Device
10.0.0.2         0x1         0x2         52:54:00:77:00:01     *        br0
10.0.0.3         0x1         0x0         00:00:00:00:00:00     *        br0
10.0.0.4         0x1         0x2         nonsense              *        br0
`
	for addr, want := range map[string]string{"10.0.0.2": "52:54:00:77:00:01", "10.0.0.3": "", "10.0.0.4": "", "10.0.0.22": ""} {
		got, ok := findNeighbour(table, netip.MustParseAddr(addr))
		if got.String() != want || ok != (want != "") {
			t.Errorf("%s: %v, %v", addr, got, ok)
		}
	}
}

// recorder is a connection's ResponseWriter as net/http has it: with ReadFrom.
type recorder struct {
	http.ResponseWriter
	fromFile int
	copied   int
}

func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	if l, ok := src.(*io.LimitedReader); ok {
		if _, ok := l.R.(*os.File); ok {
			r.fromFile++
		}
	}
	return io.Copy(struct{ io.Writer }{r.ResponseWriter}, src)
}

func (r *recorder) Write(p []byte) (int, error) {
	r.copied++
	return r.ResponseWriter.Write(p)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// What reaches net/http is the file itself, which it hands to sendfile.
func TestSendfileIsNotHidden(t *testing.T) {
	b := &book{mode: pxe.ModeServer}
	s, files := site(t, b)
	recorders := make(chan *recorder, 10)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w}
		s.ServeHTTP(rec, r)
		recorders <- rec
	})}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(ln) }()
	defer srv.Close()
	for path, want := range map[string]int{"/agent/amd64/vmlinuz": 4, "/image/d1/disk": 1} {
		_, _, body := raw(t, ln.Addr().String(), "GET "+path+" HTTP/1.1\r\nHost: x")
		if sha256.Sum256(body) != sha256.Sum256(files[path]) {
			t.Errorf("%s: wrong content", path)
		}
		if rec := <-recorders; rec.fromFile != want || rec.copied != 0 {
			t.Errorf("%s: %d strides from the file, %d copied writes", path, rec.fromFile, rec.copied)
		}
	}
	// The connection given to net/http must keep it too.
	var _ io.ReaderFrom = &held{}
}

// Connections beyond a client's share are closed at once and the places are
// free again when others end; idle ones do not lock out a machine that boots.
func TestIdleConnectionsAreBounded(t *testing.T) {
	b := &book{mode: pxe.ModeServer}
	s, files := site(t, b)
	s.MaxPerClient = 20
	addr := start(t, s)
	var idle []net.Conn
	for range 100 {
		c, err := net.Dial("tcp4", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "GET /loa")
		idle = append(idle, c)
	}
	open := 0
	for _, c := range idle {
		_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			open++
		}
	}
	if open != 20 {
		t.Errorf("%d idle connections are held", open)
	}
	// Another client, from another address, is served beside them.
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: 5 * time.Second}
	c, err := d.Dial("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET /loader/snponly.efi HTTP/1.0\r\n\r\n")
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if all, _ := io.ReadAll(c); !bytes.HasSuffix(all, files["/loader/snponly.efi"]) {
		t.Errorf("the other client got %d bytes", len(all))
	}
	for _, c := range idle {
		c.Close()
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp4", addr); err == nil {
			_, _ = io.WriteString(c, "GET /loader/snponly.efi HTTP/1.0\r\n\r\n")
			all, _ := io.ReadAll(c)
			c.Close()
			if len(all) > 0 {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatal("the places are never free again")
		}
	}
}

// A client that goes away in the middle is told of on the timeline.
func TestBrokenDownload(t *testing.T) {
	b := &book{mode: pxe.ModeServer}
	s, _ := site(t, b)
	big := filepath.Join(t.TempDir(), "big")
	f, err := os.Create(big)
	if err == nil {
		err = errors.Join(f.Truncate(1<<30), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Agent = Paths{"amd64/big": big}
	addr := start(t, s)
	c, err := net.Dial("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, "GET /agent/amd64/big HTTP/1.0\r\n\r\n")
	_, _ = io.ReadFull(c, make([]byte, 1000))
	c.Close()
	for end := time.Now().Add(10 * time.Second); !strings.Contains(b.kinds(), "fetch.failed"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timeline: %s", b.kinds())
		}
	}
}

func TestPortInUse(t *testing.T) {
	s, _ := site(t, &book{})
	addr := start(t, s)
	err := (&Server{Addr: addr}).Serve(t.Context())
	if err == nil || !strings.Contains(err.Error(), "another server listens there") {
		t.Errorf("used port: %v", err)
	}
	err = (&Server{Addr: "192.0.2.1:1"}).Serve(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no interface of this host has that address") {
		t.Errorf("foreign address: %v", err)
	}
}

// FuzzRequest: whatever path and headers, there is one answer, its length is
// true and nothing outside the tables is in it.
func FuzzRequest(f *testing.F) {
	s, files := site(f, &book{mode: pxe.ModeServer})
	for name := range files {
		f.Add(name, "", "")
	}
	f.Add("/ipxe", "arch=7&mac=52:54:00:77:00:01", "bytes=0-1")
	f.Add("//loader/../../x", "", "bytes=5-,7-")
	f.Add("/image/d1/disk", "", "bytes=9223372036854775807-")
	f.Fuzz(func(t *testing.T, path, query, rng string) {
		if !strings.HasPrefix(path, "/") {
			path = "/" + path
		}
		r, err := http.NewRequest(http.MethodGet, "http://x/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Path, r.URL.RawQuery, r.RemoteAddr = path, query, "127.0.0.1:5"
		r.Header.Set("Range", rng)
		w := &sink{header: http.Header{}}
		s.ServeHTTP(w, r)
		length := w.header.Get("Content-Length")
		if length == "" && w.code == http.StatusRequestedRangeNotSatisfiable {
			length = strconv.Itoa(w.n) // net/http counts its own short error texts
		}
		if w.code == 0 || length != strconv.Itoa(w.n) {
			t.Fatalf("%q %q %q: status %d, length %q, body %d", path, query, rng, w.code, w.header.Get("Content-Length"), w.n)
		}
		if w.code < 300 && files[squeeze(path)] == nil && squeeze(path) != "/agent/amd64/empty" && !strings.HasPrefix(squeeze(path), "/ipxe") {
			t.Fatalf("%q was served", path)
		}
	})
}

type sink struct {
	header http.Header
	code   int
	n      int
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(code int) {
	if s.code == 0 {
		s.code = code
	}
}
func (s *sink) Write(p []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	s.n += len(p)
	return len(p), nil
}
