package tftp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/pxe"
)

// memory is a table of files in memory.
type memory map[string][]byte

type memFile struct{ *bytes.Reader }

func (memFile) Close() error { return nil }

func (m memory) Open(name string) (io.ReadSeekCloser, int64, error) {
	data, ok := m[name]
	if !ok {
		return nil, 0, os.ErrNotExist
	}
	return memFile{bytes.NewReader(data)}, int64(len(data)), nil
}

type events struct {
	mu  sync.Mutex
	all []pxe.Event
}

func (e *events) note(ev pxe.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

func (e *events) count(kind pxe.EventKind, word string) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.all {
		if ev.Kind == kind && strings.Contains(ev.Text, word) {
			n++
		}
	}
	return n
}

func (e *events) await(t *testing.T, kind pxe.EventKind, word string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if e.count(kind, word) > 0 {
			return
		}
	}
	t.Fatalf("no event %s with %q in %+v", kind, word, e.all)
}

// start serves on loopback and returns the address.
func start(t *testing.T, s *Server) *net.UDPAddr {
	t.Helper()
	s.Addr = "127.0.0.1:0"
	conn, err := s.listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.serve(ctx, conn) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error("serve:", err)
		}
	})
	return conn.LocalAddr().(*net.UDPAddr)
}

func random(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = r.Read(b)
	return b
}

func need(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal(tool + " is not installed; must not be skipped in CI")
	}
	t.Skip("SKIPPED: " + tool + " is not installed")
}

// Two clients that share no code with the server fetch files of awkward sizes.
func TestIndependentClients(t *testing.T) {
	need(t, "curl")
	need(t, "busybox")
	files := memory{}
	for _, n := range []int{0, 1, 511, 512, 513, 1468, 2 * 1468, 100_000, 1 << 20} {
		files[fmt.Sprintf("f%d", n)] = random(n)
	}
	ev := &events{}
	addr := start(t, &Server{Files: files, Note: ev.note})
	dir := t.TempDir()
	for name, want := range files {
		for client, args := range map[string][]string{
			"curl 512":  {"curl", "-s", "--max-time", "60", "--tftp-no-options", "-o", "OUT", "tftp://" + addr.String() + "/" + name},
			"curl 8192": {"curl", "-s", "--max-time", "60", "--tftp-blksize", "8192", "-o", "OUT", "tftp://" + addr.String() + "/" + name},
			"busybox":   {"busybox", "tftp", "-g", "-b", "1432", "-r", name, "-l", "OUT", "127.0.0.1", fmt.Sprint(addr.Port)},
		} {
			out := filepath.Join(dir, "out")
			_ = os.Remove(out)
			for i, a := range args {
				if a == "OUT" {
					args[i] = out
				}
			}
			if msg, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%s %s: %v %s", client, name, err, msg)
				continue
			}
			got, err := os.ReadFile(out)
			if errors.Is(err, os.ErrNotExist) && len(want) == 0 {
				err = nil // curl makes no file for no bytes
			}
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s %s: %d bytes, %v; want %d", client, name, len(got), err, len(want))
			}
		}
	}
	ev.await(t, pxe.EventFetched, "f1048576")
}

// wire is a relay that loses and doubles packets, for one client at a time.
func wire(t *testing.T, server *net.UDPAddr, loss, double int) *net.UDPAddr {
	t.Helper()
	near, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	far, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(1, 2))
	fate := func() int { // how often a packet arrives
		mu.Lock()
		defer mu.Unlock()
		switch n := rng.IntN(100); {
		case n < loss:
			return 0
		case n < loss+double:
			return 2
		}
		return 1
	}
	var client, peer *net.UDPAddr = nil, server
	pump := func(from, to *net.UDPConn, note func(*net.UDPAddr), dest func() *net.UDPAddr) {
		buf := make([]byte, 65536)
		for {
			n, addr, err := from.ReadFromUDP(buf)
			if err != nil {
				return
			}
			mu.Lock()
			note(addr)
			d := dest()
			mu.Unlock()
			for range fate() {
				_, _ = to.WriteToUDP(buf[:n], d)
			}
		}
	}
	go pump(near, far, func(a *net.UDPAddr) { client = a }, func() *net.UDPAddr { return peer })
	go pump(far, near, func(a *net.UDPAddr) { peer = a }, func() *net.UDPAddr { return client })
	return near.LocalAddr().(*net.UDPAddr)
}

// Over a wire that loses and doubles packets the file arrives whole, and a
// doubled acknowledgement does not double every block that follows.
func TestLossyWire(t *testing.T) {
	need(t, "curl")
	want := random(60_000)
	ev := &events{}
	addr := start(t, &Server{Files: memory{"f": want}, Note: ev.note, Timeout: 50 * time.Millisecond, Retries: 20})
	relay := wire(t, addr, 5, 20)
	out := filepath.Join(t.TempDir(), "out")
	if msg, err := exec.Command("curl", "-sS", "--max-time", "120", "--tftp-blksize", "1432", "-o", out, "tftp://"+relay.String()+"/f").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, msg)
	}
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// ask sends one datagram and returns the first answer.
func ask(t *testing.T, addr *net.UDPAddr, packet []byte) []byte {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.WriteToUDP(packet, addr); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 2048)
	n, _, err := c.ReadFromUDP(buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}

func rrq(name string, opts ...string) []byte {
	return []byte("\x00\x01" + strings.Join(append([]string{name, "octet"}, opts...), "\x00") + "\x00")
}

// A block never makes a datagram larger than an Ethernet frame, whatever is asked for.
func TestBlockSizeFitsAFrame(t *testing.T) {
	addr := start(t, &Server{Files: memory{"f": random(100)}, Timeout: 20 * time.Millisecond, Retries: 1})
	got := string(ask(t, addr, rrq("f", "blksize", "65464", "tsize", "0")))
	if !strings.HasPrefix(got, "\x00\x06") || !strings.Contains(got, "blksize\x001468\x00") || !strings.Contains(got, "tsize\x00100\x00") {
		t.Errorf("options acknowledged: %q", got)
	}
}

// Names that try to leave the table find nothing; so do writes and rubbish.
func TestHostileRequests(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	good := filepath.Join(dir, "good.efi")
	for _, p := range []string{secret, good} {
		if err := os.WriteFile(p, []byte("content of "+filepath.Base(p)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ev := &events{}
	addr := start(t, &Server{Files: Paths{"good.efi": good}, Note: ev.note, Timeout: 20 * time.Millisecond, Retries: 1})
	for _, name := range []string{"../secret", "..\\secret", "....//secret", secret, "good.efi/../secret", "./good.efi", "good.efi\n", "GOOD.EFI", "", "%2e%2e/secret", strings.Repeat("a", 400)} {
		if got := ask(t, addr, rrq(name)); !bytes.HasPrefix(got, []byte{0, 5}) {
			t.Errorf("%q was answered %q", name, got)
		}
	}
	for _, name := range []string{"good.efi", "/good.efi", "good.efi\xff"} {
		if got := ask(t, addr, rrq(name)); string(got) != "\x00\x03\x00\x01content of good.efi" {
			t.Errorf("%q was answered %q", name, got)
		}
	}
	if got := ask(t, addr, []byte("\x00\x02good.efi\x00octet\x00")); !bytes.HasPrefix(got, []byte{0, 5}) {
		t.Errorf("a write was answered %q", got)
	}
	ev.await(t, pxe.EventRefused, "../secret")
	if got := ask(t, addr, rrq("good.efi")); len(got) == 0 {
		t.Error("the server is gone")
	}
}

// A hundred thousand names made of the pieces that traversal is made of: only
// those of the table open anything.
func TestMutatedNames(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "a.efi")
	if err := os.WriteFile(good, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	pieces := []string{"a.efi", "..", ".", "/", "\\", "//", "....//", "%2e", "%2f", "\x00", "\xff", dir, "etc/passwd", "C:", "~", " ", "A.EFI", "\xc0\xae", "file://"}
	files := Paths{"a.efi": good}
	rng := rand.New(rand.NewPCG(7, 7))
	hits := 0
	for range 100_000 {
		name := ""
		for range 1 + rng.IntN(6) {
			name += pieces[rng.IntN(len(pieces))]
		}
		f, _, err := files.Open(key(name))
		if err != nil {
			continue
		}
		f.Close()
		hits++
		if strings.ReplaceAll(strings.TrimLeft(name, "/"), "\xff", "") != "a.efi" {
			t.Fatalf("%q opened a file", name)
		}
	}
	if hits == 0 {
		t.Error("no name hit the table: the test says nothing")
	}
}

// FuzzName: no name but those of the table opens anything.
func FuzzName(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "a.efi")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		f.Fatal(err)
	}
	table := Paths{"a.efi": path}
	for _, s := range []string{"a.efi", "/a.efi", "../a.efi", "..\\a.efi", "....//a.efi", path, "a.efi\x00/../b", "//a.efi", "a.efi\xff\xff"} {
		f.Add(s)
	}
	h := &handler{Server: &Server{Files: table}, ctx: f.Context(), active: nil}
	f.Fuzz(func(t *testing.T, name string) {
		file, _, err := h.Files.Open(key(name))
		if err != nil {
			return
		}
		file.Close()
		if strings.ReplaceAll(strings.Trim(name, "/"), "\xff", "") != "a.efi" {
			t.Fatalf("%q opened a file", name)
		}
	})
}

// One client cannot take all transfers, and what it holds ends by itself.
func TestTransferLimits(t *testing.T) {
	ev := &events{}
	addr := start(t, &Server{Files: memory{"f": random(10_000)}, Note: ev.note, MaxPerClient: 2, Timeout: 200 * time.Millisecond, Retries: 2})
	for range 2 {
		if got := ask(t, addr, rrq("f")); !bytes.HasPrefix(got, []byte{0, 3, 0, 1}) {
			t.Fatalf("first block: %q", got)
		}
	}
	if got := ask(t, addr, rrq("f")); string(got) != "\x00\x05\x00\x01server is busy, try again\x00" {
		t.Errorf("third transfer: %q", got)
	}
	ev.await(t, pxe.EventRefused, "too many")
	ev.await(t, pxe.EventFetchFailed, "f")
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if got := ask(t, addr, rrq("f")); bytes.HasPrefix(got, []byte{0, 3}) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the places of dead clients are never free again")
		}
	}
}

// Addresses nobody has are easily made up; they leave half of the places to
// machines with a lease.
func TestStrangersLeavePlaces(t *testing.T) {
	owner := func(a netip.Addr) (string, bool) { return "52:54:00:77:00:01", a.String() == "127.0.0.9" }
	h := &handler{Server: &Server{MaxTransfers: 10, MaxPerClient: 10, Owner: owner}, active: map[netip.Addr]int{}}
	stranger, machine := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.9")
	got := map[netip.Addr]int{}
	for _, a := range []netip.Addr{stranger, machine} {
		for h.enter(a, len(h.client(a).MAC) > 0) {
			got[a]++
		}
	}
	if got[stranger] != 5 || got[machine] != 5 {
		t.Errorf("places: %v", got)
	}
	for a, n := range got {
		for range n {
			h.leave(a, len(h.client(a).MAC) > 0)
		}
	}
	if h.total != 0 || h.strangers != 0 || len(h.active) != 0 {
		t.Errorf("after the end: %d, %d, %v", h.total, h.strangers, h.active)
	}
}

func TestPortInUse(t *testing.T) {
	addr := start(t, &Server{Files: memory{}})
	err := (&Server{Files: memory{}, Addr: addr.String()}).Serve(t.Context())
	if err == nil || !strings.Contains(err.Error(), "another TFTP server") || !strings.Contains(err.Error(), addr.String()) {
		t.Errorf("used port: %v", err)
	}
}
