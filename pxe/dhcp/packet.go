package dhcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Layout of a DHCP message (RFC 2131 §2, figure 1).
const (
	offXID    = 4
	offSecs   = 8
	offFlags  = 10
	offCIAddr = 12
	offYIAddr = 16
	offSIAddr = 20
	offGIAddr = 24
	offCHAddr = 28
	offSName  = 44
	offFile   = 108
	offCookie = 236
	offOpts   = 240

	lenCHAddr = 16
	lenSName  = 64
	lenFile   = 128

	cookie = 0x63825363

	// maxPacket bounds what is read: a jumbo frame. No client sends more.
	maxPacket = 9000
	// maxJoined bounds the room for options sent in several parts (RFC 3396).
	maxJoined = 4096
)

// DHCP options that are read or written here. RFC 2132 unless noted.
const (
	optPad          = 0
	optMask         = 1
	optRouter       = 3
	optDNS          = 6
	optHostname     = 12
	optDomain       = 15
	optBroadcast    = 28
	optNTP          = 42
	optVendor       = 43
	optRequested    = 50
	optLease        = 51
	optOverload     = 52
	optType         = 53
	optServerID     = 54
	optParams       = 55
	optMessage      = 56
	optMaxSize      = 57
	optT1           = 58
	optT2           = 59
	optVendorClass  = 60
	optClientID     = 61
	optTFTPName     = 66
	optBootFile     = 67
	optUserClass    = 77  // RFC 3004
	optRelay        = 82  // RFC 3046
	optArch         = 93  // RFC 4578
	optUUID         = 97  // RFC 4578
	optSubnetSelect = 118 // RFC 3011
	optIPXE         = 175 // Etherboot, encapsulates its own options
	optEnd          = 255
)

// messageType is the value of option 53.
type messageType byte

const (
	discover messageType = 1 + iota
	offer
	request
	decline
	ack
	nak
	release
	inform
)

var typeNames = [...]string{"", "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE", "INFORM"}

func (t messageType) String() string {
	if int(t) < len(typeNames) && t > 0 {
		return typeNames[t]
	}
	return fmt.Sprintf("type %d", byte(t))
}

// packet is a DHCP message decoded in place: it points into the buffer it was
// read from and is good until the next parse into it. The zero value is ready.
type packet struct {
	raw    []byte
	opt    [256]span
	joined []byte
}

// span is where the value of an option lies, in raw or in joined.
type span struct {
	off, len uint16
	present  bool
	joined   bool
}

var (
	errShort  = errors.New("shorter than a DHCP message")
	errLong   = errors.New("longer than any DHCP message")
	errCookie = errors.New("no DHCP magic cookie")
	errHLen   = errors.New("hardware address longer than its field")
	errOption = errors.New("an option goes beyond the end")
	errJoined = errors.New("options repeated too often")
)

// parse decodes b into p.
func (p *packet) parse(b []byte) error {
	switch {
	case len(b) < offOpts:
		return errShort
	case len(b) > maxPacket:
		return errLong
	case binary.BigEndian.Uint32(b[offCookie:]) != cookie:
		return errCookie
	case b[2] > lenCHAddr:
		return errHLen
	}
	p.raw, p.joined = b, p.joined[:0]
	clear(p.opt[:])
	if err := p.options(offOpts, len(b)); err != nil {
		return err
	}
	// RFC 2131 §4.1: file and sname may carry options as well, file first. The
	// value must come from the options field itself, so it is read before them.
	overload := byte(0)
	if v := p.option(optOverload); len(v) == 1 {
		overload = v[0]
	}
	if overload&1 != 0 {
		if err := p.options(offFile, offFile+lenFile); err != nil {
			return err
		}
	}
	if overload&2 != 0 {
		return p.options(offSName, offSName+lenSName)
	}
	return nil
}

// options notes the options in raw[at:end]. A field without an end option is
// taken as it is: much firmware leaves it out.
func (p *packet) options(at, end int) error {
	for at < end {
		code := p.raw[at]
		if code == optEnd {
			return nil
		}
		if at++; code == optPad {
			continue
		}
		if at >= end || at+1+int(p.raw[at]) > end {
			return errOption
		}
		n := int(p.raw[at])
		if err := p.note(code, at+1, n); err != nil {
			return err
		}
		at += 1 + n
	}
	return nil
}

// note stores an option; a repeated one is joined with what came before (RFC 3396 §7).
func (p *packet) note(code byte, at, n int) error {
	s := &p.opt[code]
	if !s.present {
		*s = span{off: uint16(at), len: uint16(n), present: true}
		return nil
	}
	old := p.option(code)
	if len(p.joined)+len(old)+n > maxJoined {
		return errJoined
	}
	off := len(p.joined)
	p.joined = append(append(p.joined, old...), p.raw[at:at+n]...)
	*s = span{off: uint16(off), len: uint16(len(old) + n), present: true, joined: true}
	return nil
}

// option is the value of an option, nil when it is not there. It is not to be changed.
func (p *packet) option(code byte) []byte {
	s := p.opt[code]
	switch {
	case !s.present:
		return nil
	case s.joined:
		return p.joined[s.off : s.off+s.len : s.off+s.len]
	}
	return p.raw[s.off : s.off+s.len : s.off+s.len]
}

// addrOption is the value of an option that holds one IPv4 address.
func (p *packet) addrOption(code byte) netip.Addr {
	if v := p.option(code); len(v) == 4 {
		return someAddr(netip.AddrFrom4([4]byte(v)))
	}
	return netip.Addr{}
}

func (p *packet) op() byte           { return p.raw[0] }
func (p *packet) hlen() int          { return int(p.raw[2]) }
func (p *packet) broadcast() bool    { return p.raw[offFlags]&0x80 != 0 }
func (p *packet) chaddr() []byte     { return p.raw[offCHAddr : offCHAddr+p.hlen()] }
func (p *packet) ciaddr() netip.Addr { return p.addrAt(offCIAddr) }
func (p *packet) yiaddr() netip.Addr { return p.addrAt(offYIAddr) }
func (p *packet) giaddr() netip.Addr { return p.addrAt(offGIAddr) }

// addrAt is an address of the fixed part, invalid for 0.0.0.0.
func (p *packet) addrAt(off int) netip.Addr {
	return someAddr(netip.AddrFrom4([4]byte(p.raw[off : off+4])))
}

func someAddr(a netip.Addr) netip.Addr {
	if a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}
