package dhcp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"berth/pxe"
)

// writer builds a reply. Room that mandatory options need later is reserved
// first, so that what is left out when the client takes only small messages is
// always the least important.
type writer struct {
	buf     []byte
	limit   int // bytes the options may reach, the end option included
	reserve int // bytes below the limit that are spoken for
}

// encode writes the reply to m into buf, which must have maxMessage bytes of
// capacity. The result is at most as long as the client takes. It fails only
// when the mandatory options alone do not fit.
func encode(buf []byte, m *message, r *reply) ([]byte, error) {
	w := writer{buf: buf[:offOpts], limit: min(m.max, maxMessage)}
	w.header(m, r)
	relay := m.option(optRelay)
	if len(relay) > 255 { // came in several parts: cannot be echoed in one
		relay = nil
	}
	if relay != nil {
		w.reserve = 2 + len(relay)
	}
	w.mandatory(r)
	if r.kind != nak {
		w.boot(m, r)
		w.network(m, r)
	} else {
		w.text(optMessage, r.message)
	}
	// RFC 6842 §3: the client identifier comes back, which lets a client on a
	// shared wire know its own answers.
	w.bytes(optClientID, m.option(optClientID))
	w.reserve = 0
	w.bytes(optRelay, relay) // RFC 3046 §2.2: verbatim, and last
	if len(w.buf)+1 > w.limit {
		return nil, fmt.Errorf("answer of %d bytes for a client that takes %d", len(w.buf)+1, w.limit)
	}
	w.buf = append(w.buf, optEnd)
	for len(w.buf) < minMessage {
		w.buf = append(w.buf, optPad)
	}
	return w.buf, nil
}

// header writes the fixed part. Whatever the buffer held is gone after it.
func (w *writer) header(m *message, r *reply) {
	clear(w.buf)
	b := w.buf
	b[0], b[1], b[2] = 2, m.raw[1], m.raw[2]
	copy(b[offXID:offXID+4], m.raw[offXID:])
	copy(b[offFlags:offFlags+2], m.raw[offFlags:])
	copy(b[offGIAddr:offGIAddr+4], m.raw[offGIAddr:])
	copy(b[offCHAddr:offCHAddr+lenCHAddr], m.raw[offCHAddr:])
	binary.BigEndian.PutUint32(b[offCookie:], cookie)
	if r.kind == nak {
		// A relay can deliver it only by broadcast (RFC 2131 §4.3.2).
		b[offFlags] |= 0x80
		return
	}
	if r.kind == ack {
		copy(b[offCIAddr:offCIAddr+4], m.raw[offCIAddr:])
	}
	putAddr(b[offYIAddr:], r.yiaddr)
	if r.answer.File != "" {
		putAddr(b[offSIAddr:], nextServer(r))
	}
}

func nextServer(r *reply) netip.Addr {
	if r.answer.NextServer.IsValid() {
		return r.answer.NextServer
	}
	return r.server
}

func (w *writer) mandatory(r *reply) {
	w.buf = append(w.buf, optType, 1, byte(r.kind))
	w.addr(optServerID, r.server)
	if r.term > 0 {
		w.seconds(optLease, r.term)
	}
	if r.kind != nak && r.answer.Address {
		w.bytes(optMask, mask(r.subnet.Prefix))
	}
}

// boot writes what a client needs to load its boot file.
func (w *writer) boot(m *message, r *reply) {
	stage := m.client.Stage
	if !stage.WantsBoot() {
		return
	}
	// RFC 4578 §2.3: the identifier comes back as it was sent. Clients that sent
	// one drop answers without it.
	w.bytes(optUUID, m.option(optUUID))
	if r.answer.File == "" {
		return
	}
	w.bootFile(r.answer.File)
	switch {
	case r.answer.HTTP:
		// UEFI HTTP boot believes a URL only beside this class (UEFI 2.10 §24.7.3).
		w.text(optVendorClass, "HTTPClient")
	case !r.answer.Address:
		// A proxy's answer is known by this class (PXE 2.1 §2.2.3).
		w.text(optVendorClass, "PXEClient")
		if m.client.Arch == pxe.ArchBIOS || stage == pxe.StageIPXE {
			// PXE_DISCOVERY_CONTROL 8: no search for boot servers and no menu, the
			// file named here is the one. UEFI gets no option 43: several
			// firmwares drop a proxy's offer that carries it, and all of them then
			// ask us again on port 4011, where they get the same file.
			w.bytes(optVendor, []byte{6, 1, 8, 255})
		}
	case stage == pxe.StageIPXE:
		// no-pxedhcp (175.176): there is no proxyDHCP here, so iPXE need not wait for one.
		w.bytes(optIPXE, []byte{176, 1, 1})
	}
}

// bootFile puts the file where every client looks: the fixed field. Only what
// does not fit there (127 bytes and a zero) goes to option 67, because some
// firmware mishandles the option when both are there.
func (w *writer) bootFile(name string) {
	if len(name) < lenFile {
		copy(w.buf[offFile:offFile+lenFile], name)
		return
	}
	w.text(optBootFile, name)
}

// network writes the settings of the network, the most needed first.
func (w *writer) network(m *message, r *reply) {
	n := &r.subnet
	if !r.answer.Address {
		return // a proxy has no say in them
	}
	if n.Gateway.IsValid() {
		w.addr(optRouter, n.Gateway)
	}
	w.addrs(optDNS, n.DNS)
	if r.term > 0 {
		w.seconds(optT1, r.term/2)
		w.seconds(optT2, r.term/8*7)
	}
	if name := pxe.CleanHostname(r.sit.Name); name != "" && m.wants(optHostname) {
		w.text(optHostname, name)
	}
	if n.Domain != "" && m.wants(optDomain) {
		w.text(optDomain, n.Domain)
	}
	if m.wants(optNTP) {
		w.addrs(optNTP, n.NTP)
	}
	if m.wants(optBroadcast) {
		w.addr(optBroadcast, n.Broadcast())
	}
}

// bytes appends an option if it is not empty and there is room.
func (w *writer) bytes(code byte, v []byte) {
	if len(v) == 0 || len(v) > 255 || len(w.buf)+2+len(v)+w.reserve+1 > w.limit {
		return
	}
	w.buf = append(append(w.buf, code, byte(len(v))), v...)
}

func (w *writer) text(code byte, s string) {
	if len(s) <= 255 && len(w.buf)+2+len(s)+w.reserve+1 <= w.limit && s != "" {
		w.buf = append(append(w.buf, code, byte(len(s))), s...)
	}
}

func (w *writer) seconds(code byte, d time.Duration) {
	w.bytes(code, binary.BigEndian.AppendUint32(nil, uint32(d/time.Second)))
}

func (w *writer) addr(code byte, a netip.Addr) {
	if a.Is4() {
		v := a.As4()
		w.bytes(code, v[:])
	}
}

// addrs appends a list of addresses, as many as an option holds.
func (w *writer) addrs(code byte, list []netip.Addr) {
	var v []byte
	for _, a := range list {
		if a.Is4() && len(v)+4 <= 255 {
			v = append(v, a.AsSlice()...)
		}
	}
	w.bytes(code, v)
}

func putAddr(b []byte, a netip.Addr) {
	if a.Is4() {
		v := a.As4()
		copy(b, v[:])
	}
}

func mask(p netip.Prefix) []byte {
	var v [4]byte
	binary.BigEndian.PutUint32(v[:], ^uint32(0)<<(32-p.Bits()))
	return v[:]
}
