package dhcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"berth/pxe"
)

// batchSize is how many packets are taken from the kernel at once, and thereby
// how many leases one fdatasync can serve.
const batchSize = 64

// wire is one interface and its sockets.
type wire struct {
	*shared
	name   string
	index  int
	mac    net.HardwareAddr
	own    atomic.Pointer[[]netip.Addr]
	dhcp   *port      // where clients and relays send
	boot   *port      // port 4011
	frames *frameConn // to reach clients without an address; nil when not permitted
	sniff  *frameConn // hears other servers; nil when not permitted
}

// port is a UDP socket and the buffers of its loop.
type port struct {
	conn *net.UDPConn
	p4   *ipv4.PacketConn
	boot bool
}

func openWire(sh *shared, name string) (*wire, error) {
	ifi, _, err := interfaceAddrs(name)
	if err != nil {
		return nil, err
	}
	w := &wire{shared: sh, name: name, index: ifi.Index, mac: ifi.HardwareAddr}
	w.refresh()
	if w.dhcp, err = openPort(name, sh.ports.server, false); err != nil {
		return nil, err
	}
	if w.boot, err = openPort(name, sh.ports.boot, true); err != nil {
		w.close()
		return nil, err
	}
	w.openFrames()
	return w, nil
}

// openFrames opens the packet sockets. They need CAP_NET_RAW; without it the
// server works by broadcast and hears no other servers.
func (w *wire) openFrames() {
	var err error
	if w.frames, err = openFrameConn(w.index, nil); err != nil {
		w.log.Warn("no packet socket: clients without an address are answered by broadcast", "interface", w.name, "err", err)
		return
	}
	if w.sniff, err = openFrameConn(w.index, fromServerPort(w.ports.server)); err != nil {
		w.log.Warn("no packet socket: other DHCP servers are not noticed", "interface", w.name, "err", err)
	}
}

func (w *wire) close() {
	for _, p := range []*port{w.dhcp, w.boot} {
		if p != nil {
			p.conn.Close()
		}
	}
	for _, f := range []*frameConn{w.frames, w.sniff} {
		if f != nil {
			f.Close()
		}
	}
}

// openPort binds a UDP port to one interface. Several interfaces have the same
// port each; what comes in by another interface is not seen. SO_REUSEADDR is not
// set: with it a second server could start beside a running one unnoticed, and
// both would answer.
func openPort(iface string, number uint16, boot bool) (*port, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c rawConn) error {
		return control(c, func(fd int) error {
			for _, set := range []func() error{
				func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1) },
				func() error { return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_PKTINFO, 1) },
				func() error { return unix.BindToDevice(fd, iface) },
			} {
				if err := set(); err != nil {
					return err
				}
			}
			// A burst of machines that boot at once must fit; the kernel may cut this.
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20)
			return nil
		})
	}}
	conn, err := lc.ListenPacket(context.Background(), "udp4", fmt.Sprintf("0.0.0.0:%d", number))
	if err != nil {
		return nil, openError(iface, number, err)
	}
	udp := conn.(*net.UDPConn)
	return &port{conn: udp, p4: ipv4.NewPacketConn(udp), boot: boot}, nil
}

func openError(iface string, number uint16, err error) error {
	hint := ""
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		hint = ": another DHCP server runs on this host (ss -ulpn shows it); stop it, or use another interface"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		hint = ": start berth as root, or give it CAP_NET_BIND_SERVICE and CAP_NET_RAW"
	}
	return fmt.Errorf("open UDP port %d on %s%s: %w", number, iface, hint, err)
}

// run answers until ctx ends, which is no error, or the interface is gone, which
// is errGone. The sockets are closed then.
func (w *wire) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		<-ctx.Done()
		w.close()
		return nil
	})
	g.Go(func() error { return w.watch(ctx) })
	g.Go(func() error { return w.serve(ctx, w.dhcp) })
	g.Go(func() error { return w.serve(ctx, w.boot) })
	if w.sniff != nil {
		g.Go(func() error { return w.listen(ctx) })
	}
	return g.Wait()
}

// errGone means that the interface was taken away, or is another one by now.
var errGone = errors.New("the interface is gone")

// watch keeps the interface's own addresses current, which may be set or changed
// while the server runs, and notices when it is gone.
func (w *wire) watch(ctx context.Context) error {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if w.refresh() != w.index {
				return errGone
			}
		}
	}
}

// refresh reads the interface's addresses, and returns the index that its name
// has now, 0 for none.
func (w *wire) refresh() int {
	ifi, addrs, err := interfaceAddrs(w.name)
	if err != nil {
		return 0
	}
	own := []netip.Addr{}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			own = append(own, p.Addr())
		}
	}
	w.own.Store(&own)
	return ifi.Index
}

// batch is the memory of one loop; nothing in it is allocated per packet.
type batch struct {
	in      []ipv4.Message
	packets []packet
	msgs    []message
	replies []reply
	bufs    [][]byte
}

func newBatch() *batch {
	b := &batch{
		in: make([]ipv4.Message, batchSize), packets: make([]packet, batchSize),
		msgs: make([]message, batchSize), replies: make([]reply, batchSize), bufs: make([][]byte, batchSize),
	}
	for i := range b.in {
		// One byte more than is read tells a packet that was cut.
		b.in[i].Buffers = [][]byte{make([]byte, maxPacket+1)}
		b.in[i].OOB = make([]byte, 64)
		b.bufs[i] = make([]byte, offOpts, maxMessage)
	}
	return b
}

// serve is the loop of one port.
func (w *wire) serve(ctx context.Context, p *port) error {
	b := newBatch()
	for {
		n, err := p.p4.ReadBatch(b.in, 0)
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			// An interface that goes down says so once; it may come back.
			w.log.Warn("read DHCP", "interface", w.name, "err", err)
			if !sleep(ctx, time.Second) {
				return nil
			}
			continue
		}
		w.handle(p, b, n)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// handle takes a batch of n packets from reading to answering.
func (w *wire) handle(p *port, b *batch, n int) {
	durable := false
	for i := range n {
		b.replies[i] = reply{}
		in, ok := w.ingress(p, &b.in[i])
		if !ok {
			continue
		}
		if err := b.packets[i].parse(b.in[i].Buffers[0][:b.in[i].N]); err != nil {
			w.bad(in, err)
			continue
		}
		m, err := judge(&b.packets[i], w.name)
		if err != nil {
			w.bad(in, err)
			continue
		}
		b.msgs[i] = m
		b.replies[i] = w.decide(&b.msgs[i], in)
		durable = durable || b.replies[i].durable
	}
	if durable {
		if err := w.leases.Commit(); err != nil {
			w.unsafe(b.replies[:n], err)
		}
	}
	for i := range n {
		w.answer(p, &b.msgs[i], &b.replies[i], b.bufs[i])
	}
}

// unsafe holds back what must not be said while the leases are not durable.
func (w *wire) unsafe(replies []reply, err error) {
	w.log.Error("leases cannot be stored; answers are held back", "err", err)
	w.note(pxe.Event{Kind: pxe.EventStorage, Text: "leases cannot be stored, so none are given: " + err.Error()}, true)
	for i := range replies {
		if replies[i].durable {
			replies[i] = reply{}
		}
	}
}

// bad notes a packet that is no request of a client.
func (w *wire) bad(in ingress, err error) {
	w.log.Debug("drop packet", "interface", w.name, "from", in.from, "err", err)
	w.note(pxe.Event{
		Kind: pxe.EventBadPacket, Client: pxe.Client{Addr: in.from.Addr(), Interface: w.name},
		Text: fmt.Sprintf("dropped a packet from %v on %s: %v", in.from, w.name, err),
	}, false)
}

func (w *wire) answer(p *port, m *message, r *reply, buf []byte) {
	if r.kind != 0 {
		out, err := encode(buf, m, r)
		if err == nil {
			err = w.send(p, r, out)
		}
		if err != nil {
			w.log.Warn("answer DHCP", "interface", w.name, "client", m.client.String(), "err", err)
			r.event, r.text = pxe.EventIgnored, fmt.Sprintf("the answer to %v could not be sent: %v", m.client, err)
		}
	}
	w.hint(m, r)
	if r.event == pxe.EventOtherServer && !w.others.fresh(w.name, m.server, time.Now()) {
		return
	}
	if r.text != "" {
		c := m.detached()
		if r.yiaddr.IsValid() {
			c.Addr = r.yiaddr
		}
		w.note(pxe.Event{Kind: r.event, Client: c, Text: r.text, File: r.answer.File, Other: otherOf(m, r)}, r.known)
	}
}

// hint spares iPXE its wait for IPv6; see noRouter. It is a courtesy, so that
// it fails in silence.
func (w *wire) hint(m *message, r *reply) {
	onWire := !m.giaddr().IsValid() && len(m.client.MAC) == 6 && len(w.mac) == 6 && w.frames != nil
	if onWire && r.kind == ack && r.answer.Address && m.client.Stage == pxe.StageIPXE {
		_ = w.frames.send(m.client.MAC, unix.ETH_P_IPV6, noRouter(w.mac, m.client.MAC))
	}
}

func otherOf(m *message, r *reply) netip.Addr {
	if r.event == pxe.EventOtherServer {
		return m.server
	}
	return netip.Addr{}
}

// send puts a reply on the wire.
func (w *wire) send(p *port, r *reply, out []byte) error {
	to := r.dest.addr
	if r.dest.how == toMAC && w.frames != nil {
		from := netip.AddrPortFrom(r.server, w.ports.server)
		return w.frames.sendUDP(r.dest.mac, from, to, out)
	}
	if r.dest.how != toAddr {
		to = netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), w.ports.client)
	}
	// The address we go by need not be the interface's first, which the kernel
	// would write into the packet.
	cm := ipv4.ControlMessage{IfIndex: w.index}
	if own := *w.own.Load(); r.server.IsValid() && contains(own, r.server) {
		cm.Src = r.server.AsSlice()
	}
	_, err := p.p4.WriteTo(out, &cm, net.UDPAddrFromAddrPort(to))
	return err
}

func contains(list []netip.Addr, a netip.Addr) bool {
	for _, b := range list {
		if a == b {
			return true
		}
	}
	return false
}

// ingress tells how a packet came in; false for one of our own broadcasts.
func (w *wire) ingress(p *port, m *ipv4.Message) (ingress, bool) {
	from, ok := m.Addr.(*net.UDPAddr)
	if !ok {
		return ingress{}, false
	}
	in := ingress{iface: w.name, own: *w.own.Load(), boot: p.boot}
	in.from = netip.AddrPortFrom(from.AddrPort().Addr().Unmap(), uint16(from.Port))
	var cm ipv4.ControlMessage
	if cm.Parse(m.OOB[:m.NN]) == nil {
		if a, ok := netip.AddrFromSlice(cm.Dst.To4()); ok {
			in.to = a
		}
	}
	return in, true
}

// listen hears what other DHCP servers answer on this wire.
func (w *wire) listen(ctx context.Context) error {
	buf := make([]byte, maxPacket)
	var p packet
	for {
		n, err := w.sniff.Read(buf)
		if ctx.Err() != nil || errors.Is(err, os.ErrClosed) || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			if !sleep(ctx, time.Second) {
				return nil
			}
			continue
		}
		from, payload, ok := udpPayload(buf[:n])
		if !ok || contains(*w.own.Load(), from) || p.parse(payload) != nil || p.op() != 2 {
			continue
		}
		w.heardServer(&p, from)
	}
}

// heardServer reports another server, once a minute. On a subnet where berth is
// only the proxy the other server is the one that gives addresses.
func (w *wire) heardServer(p *packet, from netip.Addr) {
	id := p.addrOption(optServerID)
	if !id.IsValid() {
		id = from
	}
	n, ok := w.book.Subnet(w.name, netip.Addr{})
	if ok && (n.Mode == pxe.ModeProxy || n.Mode == pxe.ModeOff) || contains(*w.own.Load(), id) || !w.others.fresh(w.name, id, time.Now()) {
		return
	}
	w.note(pxe.Event{
		Kind: pxe.EventOtherServer, Other: id, Client: pxe.Client{Interface: w.name, Addr: p.yiaddr()},
		Text: fmt.Sprintf("another DHCP server, %v, answers on %s", id, w.name),
	}, true)
}
