package dhcp

import (
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/pxe"
)

// testBook is a Book of plain maps, filled before the server starts.
type testBook struct {
	subnets  map[string]pxe.Subnet // by interface, or "relay"
	machines map[string]pxe.Situation
	fixed    map[string]netip.Addr

	mu     sync.Mutex
	events []pxe.Event
}

func (b *testBook) Situation(c pxe.Client) pxe.Situation {
	if s, ok := b.machines[c.Key()]; ok {
		return s
	}
	return pxe.Situation{Boot: pxe.BootAgent}
}

func (b *testBook) Subnet(iface string, giaddr netip.Addr) (pxe.Subnet, bool) {
	if giaddr.IsValid() {
		for _, n := range b.subnets {
			if n.Prefix.Contains(giaddr) {
				return n, true
			}
		}
		return pxe.Subnet{}, false
	}
	n, ok := b.subnets[iface]
	return n, ok
}

func (b *testBook) Reservation(c pxe.Client, _ pxe.Subnet) (netip.Addr, bool) {
	a, ok := b.fixed[c.Key()]
	return a, ok
}

func (b *testBook) Reserved(_ pxe.Subnet, a netip.Addr) bool {
	for _, f := range b.fixed {
		if f == a {
			return true
		}
	}
	return false
}

func (b *testBook) Note(e pxe.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.events) < 100_000 {
		b.events = append(b.events, e)
	}
}

// find is the first event of a kind whose text contains all words.
func (b *testBook) find(kind pxe.EventKind, words ...string) (pxe.Event, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
next:
	for _, e := range b.events {
		if e.Kind != kind {
			continue
		}
		for _, w := range words {
			if !strings.Contains(e.Text, w) {
				continue next
			}
		}
		return e, true
	}
	return pxe.Event{}, false
}

// await waits for an event, for at most ten seconds.
func (b *testBook) await(t *testing.T, kind pxe.EventKind, words ...string) pxe.Event {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if e, ok := b.find(kind, words...); ok {
			return e
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		t.Log(e.Kind, e.Text)
	}
	t.Fatalf("no event %s with %q", kind, words)
	return pxe.Event{}
}

// waitFor waits until ok, for at most ten seconds.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("waited in vain for", what)
}

// memLeases are leases in a map. Which address a client should get is the
// lease package's matter and tested there; siblings do not import each other.
type memLeases struct {
	mu       sync.Mutex
	byAddr   map[netip.Addr]pxe.Lease
	commits  int
	fail     error
	uncommit int
}

func newMemLeases() *memLeases { return &memLeases{byAddr: map[netip.Addr]pxe.Lease{}} }

func (l *memLeases) Offer(r pxe.LeaseRequest) (netip.Addr, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Fixed.IsValid() {
		return r.Fixed, nil
	}
	for a, e := range l.byAddr {
		if e.Key == r.Key && r.Subnet.InPool(a) {
			return a, nil
		}
	}
	for _, p := range r.Subnet.Pools {
		for a := p.From; p.Contains(a); a = a.Next() {
			if _, used := l.byAddr[a]; !used && r.Subnet.InPool(a) {
				return a, nil
			}
		}
	}
	return netip.Addr{}, pxe.ErrNoAddress
}

func (l *memLeases) Bind(r pxe.LeaseRequest) (pxe.Lease, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, used := l.byAddr[r.Want]; !r.Want.IsValid() || used && e.Key != r.Key || !(r.Want == r.Fixed || r.Subnet.InPool(r.Want)) {
		return pxe.Lease{}, pxe.ErrTaken
	}
	e := pxe.Lease{Addr: r.Want, Key: r.Key, State: pxe.LeaseBound, Hostname: r.Hostname}
	l.byAddr[r.Want] = e
	l.uncommit++
	return e, nil
}

func (l *memLeases) Find(key string, _ netip.Prefix) (pxe.Lease, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.byAddr {
		if e.Key == key {
			return e, true
		}
	}
	return pxe.Lease{}, false
}

func (l *memLeases) end(key string, a netip.Addr, then func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.byAddr[a]; !ok || e.Key != key {
		return false
	}
	then()
	l.uncommit++
	return true
}

func (l *memLeases) Release(key string, a netip.Addr) bool {
	return l.end(key, a, func() { delete(l.byAddr, a) })
}

func (l *memLeases) Decline(key string, a netip.Addr) bool {
	return l.end(key, a, func() { l.byAddr[a] = pxe.Lease{Addr: a, State: pxe.LeaseDeclined} })
}

func (l *memLeases) Commit() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	l.commits, l.uncommit = l.commits+1, 0
	return nil
}

func testSubnet(mode pxe.Mode) pxe.Subnet {
	return pxe.Subnet{
		Prefix: netip.MustParsePrefix("10.9.0.0/24"), Mode: mode, Enrol: true,
		Pools:   []pxe.Range{{From: netip.MustParseAddr("10.9.0.100"), To: netip.MustParseAddr("10.9.0.200")}},
		Gateway: netip.MustParseAddr("10.9.0.1"), DNS: []netip.Addr{netip.MustParseAddr("10.9.0.53")},
		NTP: []netip.Addr{netip.MustParseAddr("10.9.0.1")}, Domain: "lab.example", BootURL: "http://10.9.0.1:8081",
	}
}

func tempPath(t *testing.T, name string) string { return filepath.Join(t.TempDir(), name) }
