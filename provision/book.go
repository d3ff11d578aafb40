package provision

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"berth/inventory"
	"berth/pxe"
)

// Book is the answer to what the PXE servers ask. They read an immutable snapshot of the record, which is made anew a moment after the
// record changed; what they note goes to the timeline in batches. Nothing on the packet path waits for the database.
type Book struct {
	service  *Service
	snapshot atomic.Pointer[snapshot]
	notes    chan pxe.Event
	unkept   []pxe.Event // taken from notes and not stored yet: the database could not, and is asked again
	dropped  atomic.Int64
	built    chan struct{} // closed when the first snapshot is there
}

const (
	noteBuffer = 1024
	noteBatch  = 200
	notePause  = 200 * time.Millisecond
	// rebuildPause stands between two tries to read a record that cannot be read.
	rebuildPause = 2 * time.Second
)

func newBook(s *Service) *Book {
	b := &Book{service: s, notes: make(chan pxe.Event, noteBuffer), built: make(chan struct{})}
	b.snapshot.Store(&snapshot{})
	return b
}

// snapshot is the record as the wire needs it.
type snapshot struct {
	machines map[inventory.UID]*machineView
	byMAC    map[string]inventory.UID
	byUUID   map[string]inventory.UID
	subnets  []pxe.Subnet
	reserved map[netip.Addr]inventory.UID // address to interface
	byPort   map[inventory.UID][]netip.Addr
	ports    map[string]inventory.UID // MAC to interface
}

type machineView struct {
	uid   inventory.UID
	name  string
	state inventory.State
	offer bool
	until time.Time // zero: as long as offer is set
	// chained is set once our loader has run on the machine: then it may be sent through it again on its way to the disk.
	chained bool
	ported  bool // a MAC address of it is on record
}

// Situation says what is on record about a client.
func (b *Book) Situation(c pxe.Client) pxe.Situation {
	snap := b.snapshot.Load()
	m := snap.find(c)
	if m == nil {
		return pxe.Situation{Boot: pxe.BootAgent, Reason: "nobody knows this machine"}
	}
	out := pxe.Situation{Machine: string(m.uid), Name: m.name, Boot: pxe.BootLocal, Chained: m.chained}
	switch {
	case m.offer && (m.until.IsZero() || b.service.Now().Before(m.until)):
		out.Boot, out.Reason = pxe.BootAgent, "it is offered the agent"
	case m.offer:
		out.Reason = "nobody accepted it in time; it is left to its local disk until a person says otherwise"
	default:
		out.Reason = fmt.Sprintf("it is %s and nothing is to be done to it", m.state)
	}
	return out
}

// find knows a machine by the port it asks through. One of which no port is on record is known by its system UUID, in either byte order;
// for all others a UUID is a claim that anybody on the wire can make.
func (s *snapshot) find(c pxe.Client) *machineView {
	if len(c.MAC) > 0 {
		if uid, ok := s.byMAC[c.MAC.String()]; ok {
			return s.machines[uid]
		}
	}
	if c.UUID.IsZero() {
		return nil
	}
	for _, u := range []pxe.UUID{c.UUID, c.UUID.Swapped()} {
		if uid, ok := s.byUUID[u.String()]; ok && !s.machines[uid].ported {
			return s.machines[uid]
		}
	}
	return nil
}

// Subnet finds the subnet of a packet: by the relay's address, or by the interface.
func (b *Book) Subnet(iface string, giaddr netip.Addr) (pxe.Subnet, bool) {
	for _, s := range b.snapshot.Load().subnets {
		if giaddr.IsValid() {
			if s.Prefix.Contains(giaddr) {
				return s, true
			}
			continue
		}
		if s.Interface == iface {
			return s, true
		}
	}
	return pxe.Subnet{}, false
}

// Reservation is the address the record keeps for a client on a subnet.
func (b *Book) Reservation(c pxe.Client, s pxe.Subnet) (netip.Addr, bool) {
	snap := b.snapshot.Load()
	port, ok := snap.ports[c.MAC.String()]
	if !ok {
		return netip.Addr{}, false
	}
	for _, addr := range snap.byPort[port] {
		if s.Prefix.Contains(addr) {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// Reserved tells whether the record keeps an address for somebody.
func (b *Book) Reserved(_ pxe.Subnet, addr netip.Addr) bool {
	_, ok := b.snapshot.Load().reserved[addr]
	return ok
}

// Note takes an event for the timeline. When more come than can be kept, they are counted and dropped.
func (b *Book) Note(e pxe.Event) {
	select {
	case b.notes <- e:
	default:
		b.dropped.Add(1)
	}
}

// Ready is closed when the first snapshot is there. Before that the book knows nobody, and no server should answer.
func (b *Book) Ready() <-chan struct{} { return b.built }

// serve keeps the snapshot and writes the notes down.
func (b *Book) serve(ctx context.Context) error {
	noun := func(name string) *inventory.Noun { n, _ := inventory.NounOf(name); return n }
	changed := b.service.Ledger.Watch(ctx, noun("device"), noun("interface"), noun("subnet"), noun("address"), noun("identifier"))
	if err := b.rebuild(ctx); err != nil {
		return fmt.Errorf("read the record for the boot servers: %w", err)
	}
	close(b.built)
	tick := time.NewTicker(notePause)
	defer tick.Stop()
	var stale <-chan time.Time // fires when the record is to be read again
	var took time.Duration
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			// A record of ten thousand machines takes a while to read; at most a fifth of the time is spent on it. With a few hundred the
			// snapshot is a few milliseconds behind.
			if stale == nil {
				stale = time.After(4 * took)
			}
		case <-stale:
			stale = nil
			start := time.Now()
			if err := b.rebuild(ctx); err != nil && ctx.Err() == nil {
				b.service.Logger.Error("the boot servers work with an old copy of the record; reading it again in a moment", "error", err)
				stale = time.After(rebuildPause)
			}
			took = time.Since(start)
		case <-tick.C:
			if err := b.write(ctx); err != nil && ctx.Err() == nil {
				b.service.Logger.Error("boot events could not be written to the timeline", "error", err)
			}
		}
	}
}

// rebuild reads the record into a new snapshot.
func (b *Book) rebuild(ctx context.Context) error {
	l := b.service.Ledger
	snap := &snapshot{machines: map[inventory.UID]*machineView{}, byMAC: map[string]inventory.UID{}, byUUID: map[string]inventory.UID{},
		reserved: map[netip.Addr]inventory.UID{}, byPort: map[inventory.UID][]netip.Addr{}, ports: map[string]inventory.UID{}}
	err := each(ctx, l, "machine", nil, func(d *inventory.Device) {
		m := &machineView{uid: d.UID, name: d.Name, state: d.ProvisionState, offer: d.NetbootOffer, chained: d.SeenAt != nil && d.ProvisionState != inventory.StateForeign}
		if d.OfferedUntil != nil {
			m.until = *d.OfferedUntil
		}
		snap.machines[d.UID] = m
	})
	if err != nil {
		return err
	}
	err = each(ctx, l, "interface", nil, func(p *inventory.Interface) {
		if p.MAC == "" {
			return
		}
		snap.ports[p.MAC] = p.UID
		if m := snap.machines[p.Device]; m != nil && p.Kind != "bmc" {
			snap.byMAC[p.MAC], m.ported = p.Device, true
		}
	})
	if err != nil {
		return err
	}
	shared := map[string]bool{}
	err = each(ctx, l, "identifier", []inventory.Filter{inventory.Is("kind", inventory.IDSystemUUID)}, func(id *inventory.Identifier) {
		if other, ok := snap.byUUID[id.Value]; ok && other != id.Device {
			shared[id.Value] = true // a UUID that two machines have names neither
		}
		if snap.machines[id.Device] != nil {
			snap.byUUID[id.Value] = id.Device
		}
	})
	if err != nil {
		return err
	}
	for value := range shared {
		delete(snap.byUUID, value)
	}
	if err := b.addresses(ctx, snap); err != nil {
		return err
	}
	b.snapshot.Store(snap)
	return nil
}

func (b *Book) addresses(ctx context.Context, snap *snapshot) error {
	err := each(ctx, b.service.Ledger, "subnet", nil, func(s *inventory.Subnet) {
		view, err := subnetOf(s, b.service.BootURL)
		if err != nil {
			b.service.Logger.Error("a subnet on record cannot be served", "subnet", s.Name, "error", err)
			return
		}
		snap.subnets = append(snap.subnets, view)
	})
	if err != nil {
		return err
	}
	return each(ctx, b.service.Ledger, "address", nil, func(a *inventory.Address) {
		text, _, _ := strings.Cut(a.Address, "/")
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return
		}
		snap.reserved[addr] = a.Interface
		if a.Interface != "" {
			snap.byPort[a.Interface] = append(snap.byPort[a.Interface], addr)
		}
	})
}

// each calls fn for every object of a noun that fits.
func each[T any](ctx context.Context, l Ledger, noun string, filters []inventory.Filter, fn func(*T)) error {
	n, _ := inventory.NounOf(noun)
	cursor := ""
	for {
		page, err := l.List(ctx, n, inventory.Query{Filters: filters, Limit: inventory.MaxPage, Cursor: cursor})
		if err != nil {
			return err
		}
		for _, item := range inventory.Items[T](page) {
			fn(item)
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}

// subnetOf turns a subnet of the record into the servers' own.
func subnetOf(s *inventory.Subnet, bootURL string) (pxe.Subnet, error) {
	out := pxe.Subnet{ID: string(s.UID), Interface: s.Interface, Enrol: s.Enrol, Domain: s.Domain,
		Lease: time.Duration(s.LeaseSeconds) * time.Second, BootURL: strings.TrimSuffix(orText(s.BootURL, bootURL), "/")}
	var err error
	if out.Prefix, err = netip.ParsePrefix(s.Prefix); err != nil {
		return out, err
	}
	if out.Mode, err = pxe.ParseMode(orText(s.Mode, "listen")); err != nil {
		return out, err
	}
	for _, pool := range s.Pools {
		r, err := pxe.ParseRange(pool)
		if err != nil {
			return out, err
		}
		out.Pools = append(out.Pools, r)
	}
	if s.Gateway != "" {
		if out.Gateway, err = netip.ParseAddr(s.Gateway); err != nil {
			return out, err
		}
	}
	if out.DNS, err = addrs(s.DNS); err != nil {
		return out, err
	}
	out.NTP, err = addrs(s.NTP)
	return out, err
}

func addrs(list []string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, text := range list {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// write puts what was noted on the timelines of the machines it is about. Events about machines that nobody knows stay in the log.
func (b *Book) write(ctx context.Context) error {
	b.take()
	batch := b.unkept
	if n := b.dropped.Swap(0); n > 0 {
		b.service.Logger.Warn("boot events were dropped: more came than can be written", "count", n)
	}
	var events []inventory.Event
	for _, e := range batch {
		m := b.snapshot.Load().find(e.Client)
		if m == nil {
			b.service.Logger.Info(e.Text, "kind", string(e.Kind), "client", e.Client.String())
			continue // once more in the log, should the rest of the batch have to be tried again
		}
		level := "info"
		switch e.Kind {
		case pxe.EventFetchFailed, pxe.EventRefused, pxe.EventBadPacket, pxe.EventNoAddress, pxe.EventNak, pxe.EventDecline, pxe.EventOtherServer, pxe.EventStorage:
			level = "warn"
		}
		events = append(events, inventory.Event{At: e.Time, Device: m.uid, Source: e.Wire, Level: level, Text: e.Text})
	}
	if len(events) > 0 {
		if err := b.keep(ctx, events); err != nil {
			return err
		}
	}
	b.unkept = b.unkept[:0]
	return nil
}

func (b *Book) keep(ctx context.Context, events []inventory.Event) error {
	return b.service.Ledger.Edit(ctx, inventory.NewRequest(inventory.Berth, ""), func(tx inventory.Tx) error {
		for _, e := range events {
			// The snapshot may be a moment old, and the machine gone: merged into another, or deleted.
			if _, err := inventory.TxGet[inventory.Device](tx, string(e.Device)); errors.Is(err, inventory.ErrNotFound) {
				continue
			}
			if err := note(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// take fills the batch from the notes.
func (b *Book) take() {
	for len(b.unkept) < noteBatch {
		select {
		case e := <-b.notes:
			b.unkept = append(b.unkept, e)
		default:
			return
		}
	}
}

// bootURL is where the machine reaches the boot listener. With one subnet that is the subnet's; machines of several subnets are given
// the address that --boot listens on, which a router must reach.
func (s *Service) bootURL() string {
	subnets := s.book.snapshot.Load().subnets
	if len(subnets) == 1 && subnets[0].BootURL != "" {
		return subnets[0].BootURL
	}
	return s.BootURL
}
