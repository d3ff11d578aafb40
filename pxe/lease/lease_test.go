package lease

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"berth/pxe"
)

// clock is a clock that stands still until it is moved.
type clock struct{ t time.Time }

func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }
func newClock() *clock                   { return &clock{time.Unix(1_790_000_000, 0)} }
func addr(s string) netip.Addr           { return netip.MustParseAddr(s) }
func subnet(pools ...string) pxe.Subnet {
	n := pxe.Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Mode: pxe.ModeServer, Gateway: addr("10.0.0.1")}
	for _, p := range pools {
		r, err := pxe.ParseRange(p)
		if err != nil {
			panic(err)
		}
		n.Pools = append(n.Pools, r)
	}
	return n
}

func openTable(t testing.TB, path string, o Options) *Table {
	t.Helper()
	l, err := OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	table, err := New(l, o)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func mustClose(t testing.TB, table *Table) {
	t.Helper()
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
}

// dora is what a client does: ask, take what is offered, have it committed.
func dora(table *Table, r pxe.LeaseRequest) (netip.Addr, error) {
	got, err := table.Offer(r)
	if err != nil {
		return got, err
	}
	r.Want = got
	if _, err := table.Bind(r); err != nil {
		return got, err
	}
	return got, table.Commit()
}

func wantDora(t *testing.T, table *Table, r pxe.LeaseRequest, want string) {
	t.Helper()
	got, err := dora(table, r)
	if err != nil || got != addr(want) {
		t.Fatalf("%s got %v, %v; want %s", r.Key, got, err, want)
	}
}

func TestALifeOfLeases(t *testing.T) {
	c := newClock()
	reserved := map[netip.Addr]bool{addr("10.0.0.12"): true}
	path := filepath.Join(t.TempDir(), "leases")
	o := Options{Now: c.now, Reserved: func(_ pxe.Subnet, a netip.Addr) bool { return reserved[a] }}
	table := openTable(t, path, o)
	n := subnet("10.0.0.10-10.0.0.14")
	ask := func(key string) pxe.LeaseRequest { return pxe.LeaseRequest{Key: key, Subnet: n, Known: true} }

	wantDora(t, table, ask("a"), "10.0.0.10")
	wantDora(t, table, ask("b"), "10.0.0.11")
	wantDora(t, table, ask("c"), "10.0.0.13") // .12 is kept by the record
	wantDora(t, table, ask("a"), "10.0.0.10") // the same again

	r := ask("r") // the record keeps .12 for r, and .50 outside every pool for s
	r.Fixed = addr("10.0.0.12")
	wantDora(t, table, r, "10.0.0.12")
	s := ask("s")
	s.Fixed = addr("10.0.0.50")
	wantDora(t, table, s, "10.0.0.50")

	wantDora(t, table, ask("d"), "10.0.0.14")
	if got, err := table.Offer(ask("e")); !errors.Is(err, pxe.ErrNoAddress) {
		t.Fatalf("a full pool offered %v, %v", got, err)
	}
	if !table.Release("b", addr("10.0.0.11")) || table.Release("b", addr("10.0.0.10")) || table.Release("x", addr("10.0.0.11")) {
		t.Fatal("only the holder releases")
	}
	wantDora(t, table, ask("e"), "10.0.0.11")
	if !table.Decline("e", addr("10.0.0.11")) {
		t.Fatal("decline")
	}
	if got, err := table.Offer(ask("e")); !errors.Is(err, pxe.ErrNoAddress) {
		t.Fatalf("a declined address was offered: %v, %v", got, err)
	}
	c.advance(10 * time.Minute)
	wantDora(t, table, ask("e"), "10.0.0.11")

	// The table forgets nothing when it is closed, and offers a returning
	// client what it had even after its lease has ended.
	mustClose(t, table)
	table = openTable(t, path, o)
	defer mustClose(t, table)
	c.advance(24 * time.Hour)
	wantDora(t, table, ask("c"), "10.0.0.13")
	if _, ok := table.Owner(addr("10.0.0.10")); ok {
		t.Fatal("an ended lease has an owner")
	}
	if key, ok := table.Owner(addr("10.0.0.13")); !ok || key != "c" {
		t.Fatalf("owner of .13: %q, %v", key, ok)
	}
}

func TestReservationConflicts(t *testing.T) {
	c := newClock()
	table := openTable(t, filepath.Join(t.TempDir(), "leases"), Options{Now: c.now})
	defer mustClose(t, table)
	n := subnet("10.0.0.10-10.0.0.20")
	wantDora(t, table, pxe.LeaseRequest{Key: "stranger", Subnet: n}, "10.0.0.10")

	// A reservation for an address another client has must wait for its end;
	// until then the machine gets a pool address.
	r := pxe.LeaseRequest{Key: "m", Subnet: n, Known: true, Fixed: addr("10.0.0.10")}
	wantDora(t, table, r, "10.0.0.11")
	c.advance(pxe.DefaultLease)
	again := r
	again.Want = addr("10.0.0.11")
	if _, err := table.Bind(again); !errors.Is(err, pxe.ErrTaken) {
		t.Fatalf("renewed beside its reservation: %v", err)
	}
	wantDora(t, table, r, "10.0.0.10")

	// Nobody takes an address by asking for it when another has it.
	thief := pxe.LeaseRequest{Key: "thief", Subnet: n, Want: addr("10.0.0.10")}
	if _, err := table.Bind(thief); !errors.Is(err, pxe.ErrTaken) {
		t.Fatalf("thief: %v", err)
	}
	for _, outside := range []string{"10.0.0.0", "10.0.0.1", "10.0.0.255", "10.0.0.99", "10.0.1.10", "::1"} {
		thief.Want = addr(outside)
		if _, err := table.Bind(thief); !errors.Is(err, pxe.ErrTaken) {
			t.Errorf("%s was given away: %v", outside, err)
		}
	}
}

// A flood of strangers leaves an eighth of the pool to machines on record, and
// their offers can be taken over by these.
func TestStarvation(t *testing.T) {
	c := newClock()
	table := openTable(t, filepath.Join(t.TempDir(), "leases"), Options{Now: c.now})
	defer mustClose(t, table)
	n := subnet("10.0.0.2-10.0.0.254")
	given := 0
	for i := range 2000 {
		if _, err := dora(table, pxe.LeaseRequest{Key: fmt.Sprintf("s%d", i), Subnet: n}); err == nil {
			given++
		}
	}
	if given != 253-253/8 {
		t.Errorf("strangers hold %d addresses", given)
	}
	for i := range 253 / 8 {
		if _, err := dora(table, pxe.LeaseRequest{Key: fmt.Sprintf("m%d", i), Subnet: n, Known: true}); err != nil {
			t.Fatalf("machine %d: %v", i, err)
		}
	}
	// Strangers get their own share back when it ends, though the machines'
	// leases ended as well and earlier.
	c.advance(2 * pxe.DefaultLease)
	if got, err := dora(table, pxe.LeaseRequest{Key: "late", Subnet: n}); err != nil {
		t.Fatalf("late stranger: %v, %v", got, err)
	}
}

func TestOffersOfStrangersAreTakenOver(t *testing.T) {
	c := newClock()
	table := openTable(t, filepath.Join(t.TempDir(), "leases"), Options{Now: c.now})
	defer mustClose(t, table)
	n := subnet("10.0.0.10-10.0.0.11")
	for i := range 2 {
		if _, err := table.Offer(pxe.LeaseRequest{Key: fmt.Sprint(i), Subnet: n}); err != nil {
			t.Fatal(err)
		}
	}
	wantDora(t, table, pxe.LeaseRequest{Key: "m", Subnet: n, Known: true}, "10.0.0.10")
}

// failing is a journal whose writes fail on demand.
type failing struct {
	Journal
	fail bool
}

var errFull = errors.New("disk full")

func (j *failing) Append(b []Record) error {
	if j.fail {
		return errFull
	}
	return j.Journal.Append(b)
}

func (j *failing) Rewrite(all iter.Seq[Record]) error {
	if j.fail {
		return errFull
	}
	return j.Journal.Rewrite(all)
}

// While the log cannot be written nothing is acknowledged, nothing is given
// twice, and when there is space again everything held is durable.
func TestFullDisk(t *testing.T) {
	c := newClock()
	path := filepath.Join(t.TempDir(), "leases")
	l, err := OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	j := &failing{Journal: l}
	table, err := New(j, Options{Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	n := subnet("10.0.0.10-10.0.0.20")
	j.fail = true
	for _, key := range []string{"a", "a"} {
		if got, err := dora(table, pxe.LeaseRequest{Key: key, Subnet: n}); err == nil {
			t.Fatalf("%v was acknowledged on a full disk", got)
		}
	}
	if got, err := table.Offer(pxe.LeaseRequest{Key: "b", Subnet: n}); err != nil || got != addr("10.0.0.11") {
		t.Fatalf("b was offered %v, %v", got, err)
	}
	j.fail = false
	c.advance(2 * time.Second)
	if err := table.Commit(); err != nil {
		t.Fatal(err)
	}
	mustClose(t, table)
	table = openTable(t, path, Options{Now: c.now})
	defer mustClose(t, table)
	if key, ok := table.Owner(addr("10.0.0.10")); !ok || key != "a" {
		t.Fatalf("after the disk came back: %q, %v", key, ok)
	}
}

func TestSecondServerIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	table := openTable(t, path, Options{})
	if l, err := OpenLog(path); err == nil {
		l.Close()
		t.Fatal("two servers opened one log")
	}
	mustClose(t, table)
	mustClose(t, openTable(t, path, Options{}))
}

// The model: whatever clients do in whatever order, over restarts, changes of
// the pools and jumps of time, no address is bound to two clients at once, and
// what was committed is still held by its client.
func TestNeverOneAddressToTwo(t *testing.T) {
	dir := t.TempDir()
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		path := filepath.Join(dir, fmt.Sprint(run))
		c := newClock()
		o := Options{Now: c.now}
		table := openTable(t, path, o)
		nets := []pxe.Subnet{subnet("10.0.0.10-10.0.0.14"), subnet("10.0.0.12-10.0.0.18", "10.0.0.30-10.0.0.30"), subnet()}
		type hold struct {
			key     string
			expires time.Time
		}
		acked := map[netip.Addr]hold{}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			r := pxe.LeaseRequest{
				Key:    rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"}).Draw(rt, "key"),
				Subnet: rapid.SampledFrom(nets).Draw(rt, "subnet"),
				Known:  rapid.Bool().Draw(rt, "known"),
				Want:   pxe.AddrV4(pxe.V4(addr("10.0.0.8")) + rapid.Uint32Range(0, 12).Draw(rt, "want")),
			}
			if rapid.IntRange(0, 5).Draw(rt, "fixed?") == 0 {
				r.Fixed = r.Want
			}
			switch rapid.SampledFrom([]string{"dora", "dora", "bind", "release", "decline", "time", "restart"}).Draw(rt, "op") {
			case "dora", "bind":
				if rapid.Bool().Draw(rt, "offer") {
					if got, err := table.Offer(r); err == nil {
						r.Want = got
					}
				}
				l, err := table.Bind(r)
				if err != nil || table.Commit() != nil {
					break
				}
				if h, ok := acked[l.Addr]; ok && h.key != r.Key && h.expires.After(c.t) {
					rt.Fatalf("%v is bound to %s and given to %s", l.Addr, h.key, r.Key)
				}
				for a, h := range acked { // a client has one lease on a subnet
					if h.key == r.Key {
						delete(acked, a)
					}
				}
				acked[l.Addr] = hold{r.Key, l.Expires}
			case "release":
				if table.Release(r.Key, r.Want) {
					delete(acked, r.Want)
				}
			case "decline":
				if table.Decline(r.Key, r.Want) {
					delete(acked, r.Want)
				}
			case "time":
				c.advance(time.Duration(rapid.IntRange(0, 4000).Draw(rt, "seconds")) * time.Second)
			case "restart":
				mustClose(t, table)
				table = openTable(t, path, o)
			}
			for a, h := range acked {
				if key, ok := table.Owner(a); h.expires.After(c.t) && (!ok || key != h.key) {
					rt.Fatalf("%v was acknowledged to %s, the table says %q %v", a, h.key, key, ok)
				}
			}
		}
		mustClose(t, table)
	})
}
