package lease

import (
	"container/heap"
	"net/netip"
	"slices"
	"time"

	"berth/pxe"
)

// pool is the state of one subnet. Giving an address costs a step of the
// cursor, each of which is paid once in the life of an address, or one heap
// operation: it does not grow with the addresses in use but by their logarithm.
type pool struct {
	ranges  []pxe.Range // as the cursor knows them
	size    uint64      // addresses in ranges
	in      int         // range the cursor is in
	next    uint32      // next address of that range to look at; 0 means its first
	rewound time.Time   // when the cursor last started over

	// Entries by whether they are only offered and whether their client is
	// known, the first to end on top. Strangers have heaps of their own, so that
	// looking for one of theirs that has ended never walks over others.
	entries [2][2]expiry
	unknown uint64 // entries of clients that belong to no machine on record
}

// keep is the part of a pool that only machines on record may use: an eighth.
// However many strangers ask, a known machine still gets a lease.
func (p *pool) keep() uint64 { return p.size / 8 }

// available reports whether the client may have this very address now.
func (t *Table) available(r pxe.LeaseRequest, addr netip.Addr, now time.Time) bool {
	if !r.Subnet.Usable(addr) {
		return false
	}
	if addr != r.Fixed && (!r.Subnet.InPool(addr) || t.reserved(r.Subnet, addr)) {
		return false
	}
	e := t.byAddr[addr]
	switch {
	case e == nil:
		return true
	case e.Key == r.Key:
		return true
	case !e.Expires.After(now):
		return true
	}
	// The record's word is worth more than a promise of a few seconds.
	return addr == r.Fixed && e.State == pxe.LeaseOffered
}

func (t *Table) reserved(n pxe.Subnet, addr netip.Addr) bool {
	return t.opt.Reserved != nil && t.opt.Reserved(n, addr)
}

// mayGrow reports whether a stranger may take an address that is not his yet.
func (t *Table) mayGrow(r pxe.LeaseRequest, addr netip.Addr) bool {
	if r.Known || addr == r.Fixed {
		return true
	}
	if e := t.byAddr[addr]; e != nil && (e.Key == r.Key || !e.Known) {
		return true
	}
	p := t.pool(r.Subnet)
	return p.unknown < p.size-p.keep()
}

// allocate finds an address that the client did not name.
func (t *Table) allocate(r pxe.LeaseRequest, now time.Time) (netip.Addr, bool) {
	p := t.pool(r.Subnet)
	if r.Known || p.unknown < p.size-p.keep() {
		if addr, ok := t.fresh(r, p, now); ok {
			return addr, true
		}
	}
	for _, known := range []bool{false, true} {
		for _, offered := range []bool{true, false} {
			if addr, ok := t.recycle(r, p.heap(offered, known), now); ok {
				return addr, true
			}
		}
	}
	if r.Known {
		return t.stealOffer(r, p)
	}
	return netip.Addr{}, false
}

// fresh is the next address nobody has. Once the cursor has come to the end it
// starts over at most once a minute, for addresses that have been left since
// (a reservation that was lifted); a full pool thus costs nothing to ask.
func (t *Table) fresh(r pxe.LeaseRequest, p *pool, now time.Time) (netip.Addr, bool) {
	if now.Before(t.cautious) {
		return netip.Addr{}, false
	}
	if p.in >= len(p.ranges) && now.Sub(p.rewound) >= time.Minute {
		p.in, p.next, p.rewound = 0, 0, now
	}
	for p.in < len(p.ranges) {
		addr, ok := p.step()
		if ok && t.byAddr[addr] == nil && r.Subnet.InPool(addr) && !t.reserved(r.Subnet, addr) {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// step moves the cursor over one address.
func (p *pool) step() (netip.Addr, bool) {
	rg := p.ranges[p.in]
	if rg.Size() == 0 {
		p.in, p.next = p.in+1, 0
		return netip.Addr{}, false
	}
	at := max(p.next, pxe.V4(rg.From))
	if at == pxe.V4(rg.To) {
		p.in, p.next = p.in+1, 0
	} else {
		p.next = at + 1
	}
	return pxe.AddrV4(at), true
}

// recycle is the address of the entry that ended first, if any has ended.
// Entries whose address may not be given any more (another pool, a reservation)
// are dropped on the way; a stranger does not take over what a known machine had.
func (t *Table) recycle(r pxe.LeaseRequest, h *expiry, now time.Time) (netip.Addr, bool) {
	for len(*h) > 0 && !(*h)[0].Expires.After(now) {
		e := (*h)[0]
		usable := r.Subnet.InPool(e.Addr) && !t.reserved(r.Subnet, e.Addr)
		if usable && !t.mayGrow(r, e.Addr) {
			return netip.Addr{}, false
		}
		t.drop(e)
		if usable {
			return e.Addr, true
		}
	}
	return netip.Addr{}, false
}

// stealOffer takes, for a known machine, the oldest offer of a stranger.
func (t *Table) stealOffer(r pxe.LeaseRequest, p *pool) (netip.Addr, bool) {
	h := *p.heap(true, false)
	if len(h) == 0 {
		return netip.Addr{}, false
	}
	e := h[0]
	if !r.Subnet.InPool(e.Addr) || t.reserved(r.Subnet, e.Addr) {
		return netip.Addr{}, false
	}
	t.drop(e)
	return e.Addr, true
}

// hold notes an offer. A lease that the client has already is left as it is:
// asking again does not shorten it.
func (t *Table) hold(r pxe.LeaseRequest, addr netip.Addr, now time.Time) netip.Addr {
	if e := t.byAddr[addr]; e != nil && e.Key == r.Key && e.State == pxe.LeaseBound && e.Expires.After(now) {
		return addr
	}
	term := holdUnknown
	if r.Known {
		term = holdKnown
	}
	t.put(Record{
		Lease:  pxe.Lease{Addr: addr, Key: r.Key, Hostname: r.Hostname, Expires: now.Add(term), State: pxe.LeaseOffered},
		Prefix: r.Subnet.Prefix.Masked(), Term: term, Known: r.Known,
	})
	return addr
}

// leave ends the lease the client has on another address of the same subnet.
func (t *Table) leave(r pxe.LeaseRequest, now time.Time) {
	old := t.byKey[slot{r.Key, r.Subnet.Prefix.Masked()}]
	if old == nil || old.Addr == r.Want {
		return
	}
	if old.State == pxe.LeaseOffered {
		t.drop(old)
		return
	}
	rec := old.Record
	rec.State, rec.Expires = pxe.LeaseFree, now
	t.pending = append(t.pending, t.put(rec).Record)
}

// put stores the record of an address in place of what was there.
func (t *Table) put(r Record) *entry {
	if old := t.byAddr[r.Addr]; old != nil {
		t.drop(old)
	}
	e := &entry{Record: r}
	p := t.poolOf(r.Prefix)
	t.byAddr[r.Addr] = e
	if r.Key != "" {
		t.byKey[slot{r.Key, r.Prefix}] = e
	}
	if !r.Known {
		p.unknown++
	}
	heap.Push(p.heapOf(e), e)
	return e
}

func (t *Table) drop(e *entry) {
	p := t.poolOf(e.Prefix)
	heap.Remove(p.heapOf(e), e.at)
	delete(t.byAddr, e.Addr)
	if s := (slot{e.Key, e.Prefix}); t.byKey[s] == e {
		delete(t.byKey, s)
	}
	if !e.Known {
		p.unknown--
	}
}

func (p *pool) heap(offered, known bool) *expiry {
	i, j := 0, 0
	if offered {
		i = 1
	}
	if known {
		j = 1
	}
	return &p.entries[i][j]
}

func (p *pool) heapOf(e *entry) *expiry { return p.heap(e.State == pxe.LeaseOffered, e.Known) }

func (t *Table) poolOf(prefix netip.Prefix) *pool {
	p := t.pools[prefix]
	if p == nil {
		p = &pool{}
		t.pools[prefix] = p
	}
	return p
}

// pool is the pool of a subnet; the cursor starts over when the record has
// changed its ranges.
func (t *Table) pool(n pxe.Subnet) *pool {
	p := t.poolOf(n.Prefix.Masked())
	if slices.Equal(p.ranges, n.Pools) {
		return p
	}
	p.ranges, p.in, p.next, p.size = slices.Clone(n.Pools), 0, 0, 0
	for _, rg := range p.ranges {
		p.size += rg.Size()
	}
	return p
}

// expiry is a heap of entries, the first to end on top.
type expiry []*entry

func (h expiry) Len() int           { return len(h) }
func (h expiry) Less(i, j int) bool { return h[i].Expires.Before(h[j].Expires) }
func (h expiry) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}
func (h *expiry) Push(x any) {
	e := x.(*entry)
	e.at = len(*h)
	*h = append(*h, e)
}
func (h *expiry) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
