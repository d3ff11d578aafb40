package dhcp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"berth/pxe"
)

// Leases is where addresses come from; pxe/lease has one.
type Leases interface {
	// Offer chooses an address and holds it for a moment.
	Offer(pxe.LeaseRequest) (netip.Addr, error)
	// Bind gives the address r.Want. It may be told to the client after the next
	// Commit that returns nil.
	Bind(r pxe.LeaseRequest) (pxe.Lease, error)
	// Find is the lease of a client on a subnet, in any state.
	Find(key string, prefix netip.Prefix) (pxe.Lease, bool)
	// Release and Decline end a lease if it is the client's.
	Release(key string, addr netip.Addr) bool
	Decline(key string, addr netip.Addr) bool
	// Commit makes durable what was done since the last.
	Commit() error
}

// ingress is how a packet came in.
type ingress struct {
	iface string
	own   []netip.Addr   // the server's addresses on that interface
	from  netip.AddrPort // sender
	to    netip.Addr     // destination; a unicast address means the client knows us
	boot  bool           // came in by the boot server port (4011), not the DHCP port
}

// reply is what is to be sent, and to whom.
type reply struct {
	kind    messageType // 0: nothing is sent
	subnet  pxe.Subnet
	answer  pxe.Answer
	sit     pxe.Situation
	server  netip.Addr // option 54
	yiaddr  netip.Addr
	term    time.Duration // 0: no lease times
	message string        // option 56 of a NAK
	dest    dest
	durable bool // must not be sent before the leases are committed
	event   pxe.EventKind
	text    string // for the timeline; "" for none
	known   bool
}

// dest is where a reply goes (RFC 2131 §4.1).
type dest struct {
	how  delivery
	addr netip.AddrPort   // toAddr, and the address in a frame to a MAC
	mac  net.HardwareAddr // toMAC
}

type delivery byte

const (
	toBroadcast delivery = iota // everybody on the wire
	toAddr                      // an address that answers ARP
	toMAC                       // a client that has no address yet, by its MAC
)

// decider turns messages into replies. It does no I/O but what Leases does in memory.
type decider struct {
	book   pxe.Book
	leases Leases
	ports  ports
}

type ports struct{ server, client, boot uint16 }

// decide is the whole conduct of the server towards one message.
func (d *decider) decide(m *message, in ingress) reply {
	n, ok := d.book.Subnet(in.iface, m.link)
	if !ok || !n.Prefix.IsValid() || !n.Prefix.Addr().Is4() {
		return reply{event: pxe.EventIgnored, text: fmt.Sprintf("%v from %v: no subnet on record fits %s", m.kind, m.client, whence(m, in))}
	}
	if n.Mode == pxe.ModeOff {
		return reply{}
	}
	sit := d.book.Situation(m.client)
	r := reply{
		subnet: n, sit: sit, known: sit.Known(), answer: pxe.Decide(m.client, sit, n),
		server: identity(m, in, n),
	}
	switch {
	case !r.server.IsValid():
		r.event = pxe.EventIgnored
		r.text = fmt.Sprintf("%v from %v: interface %s has no IPv4 address to answer from", m.kind, m.client, in.iface)
	case n.Mode == pxe.ModeListen:
		d.heard(&r, m)
	case in.boot:
		d.bootServer(&r, m, in)
	case n.Mode == pxe.ModeProxy:
		d.proxy(&r, m)
	case d.leases == nil:
		d.silence(&r, m, "this server has no lease store")
	default:
		d.serve(&r, m, in)
	}
	return r
}

func whence(m *message, in ingress) string {
	if m.link.IsValid() {
		return "relay " + m.link.String()
	}
	return "interface " + in.iface
}

// identity is the address the server goes by towards this client (option 54):
// what the relay asks for, else the address the client wrote to, else our
// address in its subnet, else any.
func identity(m *message, in ingress, n pxe.Subnet) netip.Addr {
	if m.override.IsValid() {
		return m.override
	}
	if slices.Contains(in.own, in.to) {
		return in.to
	}
	for _, a := range in.own {
		if n.Prefix.Contains(a) {
			return a
		}
	}
	if len(in.own) > 0 {
		return in.own[0]
	}
	return netip.Addr{}
}

func (d *decider) heard(r *reply, m *message) {
	r.event = pxe.EventDiscover
	if m.kind == discover {
		r.text = fmt.Sprintf("heard %s ask for an address (%v, %v); %s", m.client, m.client.Stage, m.client.Arch, r.answer.Reason)
	}
}

func (d *decider) silence(r *reply, m *message, why string) {
	r.kind, r.event = 0, pxe.EventIgnored
	r.text = fmt.Sprintf("%v from %v is not answered: %s", m.kind, m.client, why)
}

// serve is mode server.
func (d *decider) serve(r *reply, m *message, in ingress) {
	switch m.kind {
	case discover:
		d.serveDiscover(r, m)
	case request:
		d.serveRequest(r, m, in)
	case decline:
		if m.server == r.server && d.leases.Decline(m.client.Key(), m.requested) {
			r.durable = true
			r.event, r.text = pxe.EventDecline, fmt.Sprintf("%v found %v in use by another machine; the address rests", m.client, m.requested)
		}
	case release:
		if d.leases.Release(m.client.Key(), m.ciaddr()) {
			r.durable = true
			r.event, r.text = pxe.EventRelease, fmt.Sprintf("%v gave back %v", m.client, m.ciaddr())
		}
	case inform:
		d.serveInform(r, m)
	}
}

func (d *decider) lease(r *reply, m *message, want netip.Addr) pxe.LeaseRequest {
	fixed, _ := d.book.Reservation(m.client, r.subnet)
	return pxe.LeaseRequest{
		Key: m.client.Key(), Hostname: m.client.Hostname, Subnet: r.subnet,
		Want: want, Fixed: fixed, Known: r.known,
	}
}

func (d *decider) serveDiscover(r *reply, m *message) {
	addr, err := d.leases.Offer(d.lease(r, m, m.requested))
	if err != nil {
		r.event, r.text = pxe.EventNoAddress, fmt.Sprintf("no address for %v: %v", m.client, err)
		return
	}
	r.kind, r.yiaddr, r.term = offer, addr, r.subnet.LeaseTime()
	r.dest = d.toClient(r, m)
	r.event = pxe.EventOffer
	r.text = fmt.Sprintf("offered %v to %v%s", addr, m.client, bootText(r.answer, m.client))
}

// bootText tells what the boot part of an answer is, for the timeline.
func bootText(a pxe.Answer, c pxe.Client) string {
	switch {
	case !c.Stage.WantsBoot():
		return ""
	case a.File == "":
		return fmt.Sprintf(" (%v, %v), without a boot file: %s", c.Stage, c.Arch, a.Reason)
	}
	return fmt.Sprintf(" (%v, %v), boot file %s: %s", c.Stage, c.Arch, a.File, a.Reason)
}

// serveRequest tells the states of RFC 2131 §4.3.2 apart.
func (d *decider) serveRequest(r *reply, m *message, in ingress) {
	switch {
	case m.server.IsValid() && m.server != r.server: // SELECTING, and it selected another
		d.leases.Release(m.client.Key(), m.requested)
		r.event = pxe.EventOtherServer
		r.text = fmt.Sprintf("%v takes its address from another DHCP server, %v", m.client, m.server)
	case m.server.IsValid(): // SELECTING
		d.bind(r, m, m.requested)
	case m.requested.IsValid() && !m.ciaddr().IsValid(): // INIT-REBOOT
		d.initReboot(r, m)
	case m.ciaddr().IsValid(): // RENEWING (unicast) or REBINDING (broadcast)
		d.renew(r, m, in)
	default:
		d.silence(r, m, "it names no address")
	}
}

// initReboot: a client back with an address it remembers. Who remembers one of
// another network is told so at once; who remembers one of which there is no
// record is left alone, because another server may know it (RFC 2131 §4.3.2).
func (d *decider) initReboot(r *reply, m *message) {
	if !r.subnet.Prefix.Contains(m.requested) {
		d.refuse(r, m, fmt.Sprintf("%v is not an address of this network", m.requested))
		return
	}
	l, ok := d.leases.Find(m.client.Key(), r.subnet.Prefix)
	switch {
	case !ok:
		d.silence(r, m, fmt.Sprintf("there is no record of its address %v", m.requested))
	case l.Addr != m.requested:
		d.refuse(r, m, fmt.Sprintf("your address is %v", l.Addr))
	default:
		d.bind(r, m, m.requested)
	}
}

// renew: a client that uses its address. By unicast it believes that we gave
// it, so it is told yes or no; by broadcast it asks anybody, and is left alone
// when we know nothing about it.
func (d *decider) renew(r *reply, m *message, in ingress) {
	addr := m.ciaddr()
	if _, ok := d.leases.Find(m.client.Key(), r.subnet.Prefix); !ok && !isUnicast(in.to) {
		d.silence(r, m, fmt.Sprintf("there is no record of its address %v", addr))
		return
	}
	d.bind(r, m, addr)
}

func isUnicast(a netip.Addr) bool {
	return a.IsValid() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255}) && !a.IsMulticast() && !a.IsUnspecified()
}

func (d *decider) bind(r *reply, m *message, addr netip.Addr) {
	if !addr.IsValid() {
		d.refuse(r, m, "you named no address")
		return
	}
	l, err := d.leases.Bind(d.lease(r, m, addr))
	if err != nil {
		why := "the address is not yours"
		if !errors.Is(err, pxe.ErrTaken) {
			why = "no address is free"
		}
		d.refuse(r, m, why)
		return
	}
	r.kind, r.yiaddr, r.term, r.durable = ack, l.Addr, r.subnet.LeaseTime(), true
	r.dest = d.toClient(r, m)
	r.event = pxe.EventAck
	r.text = fmt.Sprintf("%v has %v%s", m.client, l.Addr, bootText(r.answer, m.client))
}

// refuse sends a NAK, which makes the client start over. It is broadcast, since
// the client may hold an address that does not work here.
func (d *decider) refuse(r *reply, m *message, why string) {
	r.kind, r.message, r.term, r.yiaddr = nak, why, 0, netip.Addr{}
	r.event, r.text = pxe.EventNak, fmt.Sprintf("told %v to ask again: %s", m.client, why)
	r.dest = dest{how: toBroadcast}
	if gi := m.giaddr(); gi.IsValid() {
		r.dest = dest{how: toAddr, addr: netip.AddrPortFrom(gi, d.ports.server)}
	}
}

// serveInform: a client that has an address and wants the rest (RFC 2131 §4.3.5).
func (d *decider) serveInform(r *reply, m *message) {
	if !m.ciaddr().IsValid() {
		d.silence(r, m, "it names no address")
		return
	}
	r.kind = ack
	r.dest = dest{how: toAddr, addr: netip.AddrPortFrom(m.ciaddr(), d.ports.client)}
	r.event, r.text = pxe.EventAck, fmt.Sprintf("told %v the settings of the network%s", m.client, bootText(r.answer, m.client))
}

// proxy is mode proxy on the DHCP port: the boot file is offered to who asks for
// one, beside another server's offer of an address (PXE 2.1 §2.2.3).
func (d *decider) proxy(r *reply, m *message) {
	if !m.client.Stage.WantsBoot() {
		return
	}
	if r.answer.File == "" {
		d.silence(r, m, r.answer.Reason)
		return
	}
	// A REQUEST on this port is for the server that gives addresses; ours has
	// port 4011.
	if m.kind != discover {
		return
	}
	r.kind = offer
	r.dest = d.toClient(r, m)
	r.event, r.text = pxe.EventOffer, fmt.Sprintf("offered %v a boot file beside the other server's address%s", m.client, bootText(r.answer, m.client))
}

// bootServer answers on port 4011: a client that has its address from another
// server and asks for its boot file (PXE 2.1 §2.2.5). The answer goes back the
// way it came.
func (d *decider) bootServer(r *reply, m *message, in ingress) {
	if m.kind != request && m.kind != inform && m.kind != discover {
		return
	}
	if r.answer.File == "" {
		d.silence(r, m, r.answer.Reason)
		return
	}
	r.kind = ack
	r.dest = dest{how: toAddr, addr: in.from}
	if !in.from.Addr().IsValid() || in.from.Addr().IsUnspecified() {
		r.dest = dest{how: toBroadcast}
	}
	r.event, r.text = pxe.EventAck, fmt.Sprintf("told %v its boot file%s", m.client, bootText(r.answer, m.client))
}

// toClient is where an OFFER or ACK goes.
func (d *decider) toClient(r *reply, m *message) dest {
	switch {
	case m.giaddr().IsValid():
		return dest{how: toAddr, addr: netip.AddrPortFrom(m.giaddr(), d.ports.server)}
	case m.ciaddr().IsValid():
		return dest{how: toAddr, addr: netip.AddrPortFrom(m.ciaddr(), d.ports.client)}
	case m.broadcast() || len(m.client.MAC) == 0 || !r.yiaddr.IsValid():
		return dest{how: toBroadcast}
	}
	return dest{how: toMAC, addr: netip.AddrPortFrom(r.yiaddr, d.ports.client), mac: m.client.MAC}
}
