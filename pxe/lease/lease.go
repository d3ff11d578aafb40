// Package lease keeps the addresses that the DHCP server has given away.
//
// A [Table] decides, in memory, which address a client gets; a [Journal] makes
// those decisions durable. The promise is: when Commit returns nil, every
// address bound before the call is on stable storage, and no crash makes the
// table give it to another client before it expires. The server sends its ACKs
// only after that. One Commit serves a whole batch of packets.
//
// Offers are not durable. An offer that a crash forgets costs the client one
// more question; it can never cost two clients one address, because only a
// bound address is used.
package lease

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"berth/pxe"
)

// Record is one lease as the journal stores it.
type Record struct {
	pxe.Lease
	Prefix netip.Prefix  // the subnet it was given on
	Term   time.Duration // how long it was given for; whole seconds
	Known  bool          // the holder belongs to a machine on record
}

// Journal stores records. A Table calls its methods one at a time.
type Journal interface {
	// Load calls f for each stored record, oldest first; a later record of an
	// address replaces an earlier one. It is called once, before anything else.
	Load(f func(Record)) (Recovery, error)

	// Append stores the records; they are on stable storage when it returns nil.
	// After an error, none, some or all of them may be stored.
	Append([]Record) error

	// Grown reports whether Rewrite is worth while when live records matter.
	Grown(live int) bool

	// Rewrite replaces the whole store by the given records, which are on
	// stable storage when it returns nil. After an error the store is in doubt.
	Rewrite(all iter.Seq[Record]) error

	Close() error
}

// Recovery tells what Load found.
type Recovery struct {
	Records int  // read
	Torn    int  // bytes at the end that were never acknowledged, cut off
	Damaged bool // acknowledged records may be missing
}

// Options of a Table. The zero value is good.
type Options struct {
	// Reserved reports addresses that no pool may give away; nil for none.
	Reserved func(pxe.Subnet, netip.Addr) bool
	// Now is the clock; nil for time.Now. Times with a monotonic reading are
	// compared by it, so that a clock that is set does not end leases early.
	Now func() time.Time
	// Quarantine is how long a declined address rests; 0 means 10 minutes.
	Quarantine time.Duration
	Log        *slog.Logger // nil for none
}

// How long an address is kept for a client that was offered it. A client
// answers an offer within seconds; the second bound keeps clients that only
// ever ask (a flood of made-up addresses) from holding the pool.
const (
	holdKnown   = 60 * time.Second
	holdUnknown = 15 * time.Second
)

// Table is the set of leases of one server. It is safe for use by several
// goroutines.
type Table struct {
	opt     Options
	journal Journal
	rec     Recovery

	commit sync.Mutex // held while the journal works; taken before mu
	broken bool       // the last write failed: what the journal holds is in doubt. Under commit
	retry  time.Time  // when to try to mend it. Under commit

	mu       sync.Mutex
	byAddr   map[netip.Addr]*entry
	byKey    map[slot]*entry
	pools    map[netip.Prefix]*pool
	pending  []Record
	cautious time.Time // until then, addresses without a record are not given to who did not ask for them
}

// slot: a client has one lease on each subnet.
type slot struct {
	key    string
	prefix netip.Prefix
}

type entry struct {
	Record
	at int // index in its heap
}

// New returns a table with what the journal holds. The table owns the journal
// from then on, also when New fails.
func New(j Journal, o Options) (*Table, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Quarantine == 0 {
		o.Quarantine = 10 * time.Minute
	}
	t := &Table{
		opt: o, journal: j,
		byAddr: map[netip.Addr]*entry{}, byKey: map[slot]*entry{}, pools: map[netip.Prefix]*pool{},
	}
	if err := t.load(); err != nil {
		j.Close()
		return nil, err
	}
	return t, nil
}

// load reads the journal. Only then is it known what the wall clock of the
// stored instants is worth now: a lease never has more left than its term, which
// bounds the harm of a clock that was set back while the server was down.
func (t *Table) load() error {
	now := t.opt.Now()
	longest := pxe.DefaultLease
	rec, err := t.journal.Load(func(r Record) {
		longest = max(longest, r.Term)
		left := min(r.Expires.Sub(now), r.Term)
		r.Expires = now.Add(left)
		t.put(r)
	})
	if err != nil {
		return err
	}
	t.rec = rec
	if rec.Damaged {
		t.cautious = now.Add(longest)
	}
	return nil
}

// Recovery tells what was found when the table was opened.
func (t *Table) Recovery() Recovery { return t.rec }

// Offer chooses an address for a client and holds it for some seconds.
//
// It is, in this order: the one the record keeps for the client; the one it has
// or last had; the one it asks for; one that nobody ever had; the one that has
// been free for the longest time. The error wraps ErrNoAddress when there is none.
func (t *Table) Offer(r pxe.LeaseRequest) (netip.Addr, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.opt.Now()
	mine := t.byKey[slot{r.Key, r.Subnet.Prefix.Masked()}]
	switch {
	case r.Fixed.IsValid() && t.available(r, r.Fixed, now):
		return t.hold(r, r.Fixed, now), nil
	case mine != nil && t.available(r, mine.Addr, now):
		return t.hold(r, mine.Addr, now), nil
	case r.Want.IsValid() && t.available(r, r.Want, now) && t.mayGrow(r, r.Want):
		return t.hold(r, r.Want, now), nil
	}
	addr, ok := t.allocate(r, now)
	if !ok {
		return netip.Addr{}, fmt.Errorf("offer an address of %v to %s: %w", r.Subnet.Prefix, r.Key, pxe.ErrNoAddress)
	}
	return t.hold(r, addr, now), nil
}

// Bind gives the client the address it wants. The lease must not be told to the
// client before a Commit that began later has returned nil. The error wraps
// ErrTaken when the client must ask for another one.
func (t *Table) Bind(r pxe.LeaseRequest) (pxe.Lease, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.opt.Now()
	if r.Fixed.IsValid() && r.Want != r.Fixed && t.available(r, r.Fixed, now) {
		return pxe.Lease{}, fmt.Errorf("give %v to %s, for which %v is kept: %w", r.Want, r.Key, r.Fixed, pxe.ErrTaken)
	}
	if !t.available(r, r.Want, now) || !t.mayGrow(r, r.Want) {
		return pxe.Lease{}, fmt.Errorf("give %v to %s: %w", r.Want, r.Key, pxe.ErrTaken)
	}
	t.leave(r, now)
	term := r.Subnet.LeaseTime()
	e := t.put(Record{
		Lease:  pxe.Lease{Addr: r.Want, Key: r.Key, Hostname: r.Hostname, Expires: now.Add(term), State: pxe.LeaseBound},
		Prefix: r.Subnet.Prefix.Masked(), Term: term, Known: r.Known,
	})
	t.pending = append(t.pending, e.Record)
	return e.Lease, nil
}

// Release takes back an address from its holder and reports whether it was his.
// The client is remembered, and gets the same address when it returns and it is
// still free.
func (t *Table) Release(key string, addr netip.Addr) bool {
	return t.end(key, addr, func(r *Record, now time.Time) { r.State, r.Expires = pxe.LeaseFree, now })
}

// Decline puts an address to rest that its holder found in use by another
// machine, and reports whether it was his to decline.
func (t *Table) Decline(key string, addr netip.Addr) bool {
	return t.end(key, addr, func(r *Record, now time.Time) {
		r.State, r.Key, r.Hostname = pxe.LeaseDeclined, "", ""
		r.Term, r.Expires = t.opt.Quarantine, now.Add(t.opt.Quarantine)
	})
}

func (t *Table) end(key string, addr netip.Addr, change func(*Record, time.Time)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byAddr[addr]
	if e == nil || key == "" || e.Key != key || e.State == pxe.LeaseFree {
		return false
	}
	r := e.Record
	change(&r, t.opt.Now())
	t.pending = append(t.pending, t.put(r).Record)
	return true
}

// Commit makes everything that was bound, released or declined before the call
// durable. After an error nothing that was bound since the last good Commit may
// be told to a client; it stays held, and the next Commit tries again.
func (t *Table) Commit() error {
	t.commit.Lock()
	defer t.commit.Unlock()
	t.mu.Lock()
	batch := t.pending
	t.pending = nil
	t.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	if err := t.store(batch); err != nil {
		t.mu.Lock()
		t.pending = append(batch, t.pending...)
		t.mu.Unlock()
		return fmt.Errorf("store %d leases: %w", len(batch), err)
	}
	return nil
}

// store appends the batch. After a write that failed nobody can say what is on
// the disk (a failed fsync may have dropped the pages and forgotten it), so the
// way back is not to try again but to write everything anew, from memory, which
// includes the batch. A full disk is asked about once a second at most.
func (t *Table) store(batch []Record) error {
	if now := t.opt.Now(); t.broken && now.Before(t.retry) {
		return errors.New("an earlier write failed, the next try is in a second")
	} else if t.broken {
		t.retry = now.Add(time.Second)
		if err := t.journal.Rewrite(t.durable()); err != nil {
			return err
		}
		t.broken = false
		return nil
	}
	if err := t.journal.Append(batch); err != nil {
		t.broken = true
		return err
	}
	t.mu.Lock()
	live := len(t.byAddr)
	t.mu.Unlock()
	if t.journal.Grown(live) {
		// The batch is safe already, but the next one would not be.
		if err := t.journal.Rewrite(t.durable()); err != nil {
			t.broken = true
			t.warn("compact the lease log", err)
		}
	}
	return nil
}

func (t *Table) warn(what string, err error) {
	if t.opt.Log != nil {
		t.opt.Log.Warn(what, "err", err)
	}
}

// durable lists what must survive. An address that is on offer now may carry a
// lease of before; that has ended, so it is not listed.
func (t *Table) durable() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		t.mu.Lock()
		all := make([]Record, 0, len(t.byAddr))
		for _, e := range t.byAddr {
			if e.State != pxe.LeaseOffered {
				all = append(all, e.Record)
			}
		}
		t.mu.Unlock()
		for _, r := range all {
			if !yield(r) {
				return
			}
		}
	}
}

// Find is the lease that a client has on a subnet, in any state.
func (t *Table) Find(key string, prefix netip.Prefix) (pxe.Lease, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.byKey[slot{key, prefix.Masked()}]; e != nil {
		return e.Lease, true
	}
	return pxe.Lease{}, false
}

// Owner is the client that holds addr now: the Key of a lease that is bound and
// has not ended.
func (t *Table) Owner(addr netip.Addr) (key string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byAddr[addr]
	if e == nil || e.State != pxe.LeaseBound || !e.Expires.After(t.opt.Now()) {
		return "", false
	}
	return e.Key, true
}

// All is a copy of the leases that are bound or declined, in no order.
func (t *Table) All() []pxe.Lease {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]pxe.Lease, 0, len(t.byAddr))
	for _, e := range t.byAddr {
		if e.State == pxe.LeaseBound || e.State == pxe.LeaseDeclined {
			all = append(all, e.Lease)
		}
	}
	return all
}

// Close commits what is pending and closes the journal.
func (t *Table) Close() error {
	err := t.Commit()
	t.commit.Lock()
	defer t.commit.Unlock()
	if cerr := t.journal.Close(); err == nil {
		err = cerr
	}
	return err
}
