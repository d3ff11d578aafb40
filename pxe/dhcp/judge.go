package dhcp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"berth/pxe"
)

// message is a packet from a client, judged: what it wants and who it is. Its
// slices point into the packet.
type message struct {
	*packet
	kind      messageType
	client    pxe.Client
	requested netip.Addr // option 50
	server    netip.Addr // option 54; invalid when not sent
	link      netip.Addr // where to look for the subnet when not on the wire it came by
	override  netip.Addr // RFC 5107: the address to answer as
	max       int        // bytes the answer may have, without IP and UDP headers
}

// Bounds of an answer. RFC 2131 §2: every client takes 576 bytes of IP datagram;
// option 57 says how many more. A message never has less than the 300 bytes of a
// BOOTP message, which old relays and firmware insist on (RFC 1542 §2.1).
const (
	headers    = 20 + 8
	minMaxSize = 576
	minMessage = 300
	// Answers stay within one Ethernet frame: firmware drops IP fragments.
	maxMessage = 1500 - headers
)

var (
	errNotRequest = errors.New("not a request of a client")
	errNoType     = errors.New("no DHCP message type: a BOOTP client")
	errFromServer = errors.New("a message that only servers send")
	errNameless   = errors.New("neither a hardware address nor a client identifier")
	errBadMAC     = errors.New("a multicast or broadcast address as hardware address")
)

// judge tells what a packet that came in by iface wants.
func judge(p *packet, iface string) (message, error) {
	m := message{packet: p}
	if p.op() != 1 {
		return m, errNotRequest
	}
	t := p.option(optType)
	if len(t) != 1 {
		return m, errNoType
	}
	m.kind = messageType(t[0])
	switch m.kind {
	case discover, request, decline, release, inform:
	case offer, ack, nak:
		return m, errFromServer
	default:
		return m, fmt.Errorf("message %v is not spoken here", m.kind)
	}
	if err := m.judgeClient(iface); err != nil {
		return m, err
	}
	m.requested, m.server = p.addrOption(optRequested), p.addrOption(optServerID)
	m.link = p.giaddr()
	if a := p.addrOption(optSubnetSelect); a.IsValid() {
		m.link = a
	}
	m.judgeRelay()
	m.max = maxSize(p.option(optMaxSize))
	return m, nil
}

func (m *message) judgeClient(iface string) error {
	c := &m.client
	c.Interface = iface
	c.ClientID = m.option(optClientID)
	if mac := m.chaddr(); len(bytes.Trim(mac, "\x00")) > 0 {
		c.MAC = net.HardwareAddr(mac)
	}
	// The answer may be sent to this address as it stands. One that means
	// "everybody" would make us shout at the whole wire in a stranger's name.
	if len(c.MAC) == 6 && m.raw[1] == 1 && c.MAC[0]&1 != 0 {
		return errBadMAC
	}
	if c.Key() == "" {
		return errNameless
	}
	vendor, user := m.option(optVendorClass), m.option(optUserClass)
	classes := userClasses(user)
	c.Stage = pxe.JudgeStage(string(vendor), classes...)
	c.VendorClass = pxe.Printable(string(vendor), 64)
	c.UserClass = pxe.Printable(classes[0], 64)
	c.Hostname = pxe.CleanHostname(string(m.option(optHostname)))
	c.Arch = arch(m.option(optArch), c.Stage, c.VendorClass)
	c.UUID = uuid(m.option(optUUID))
	c.Addr = m.ciaddr()
	return nil
}

// userClasses reads option 77, which exists in two forms: a list of strings with
// a length each (RFC 3004 §4), and one bare string, which is what iPXE, Windows
// and nearly everybody else send. Both are returned when both can be meant.
func userClasses(v []byte) []string {
	classes := []string{string(v)}
	for rest := v; len(rest) > 0 && len(classes) < 9; {
		n := int(rest[0])
		if n == 0 || n+1 > len(rest) {
			return classes[:1]
		}
		classes = append(classes, string(rest[1:1+n]))
		rest = rest[1+n:]
	}
	if len(classes) > 1 {
		return classes[1:]
	}
	return classes
}

// arch reads option 93: a list of numbers, of which the first is the one in use.
// A PXE client without it (RFC 4578 requires it, some old ROMs do not send it)
// says the same in its vendor class, "PXEClient:Arch:00007:UNDI:003016".
func arch(v []byte, s pxe.Stage, vendor string) pxe.Arch {
	if len(v) >= 2 {
		return pxe.Arch(binary.BigEndian.Uint16(v))
	}
	var n uint16
	if _, after, ok := bytes.Cut([]byte(vendor), []byte(":Arch:")); ok {
		if _, err := fmt.Sscanf(string(after), "%05d", &n); err == nil {
			return pxe.Arch(n)
		}
	}
	if s == pxe.StageFirmware {
		return pxe.ArchBIOS // PXE before RFC 4578 knew nothing else
	}
	return pxe.ArchUnknown
}

// uuid reads option 97: a type, which is 0, and 16 bytes. All ones and all
// zeros are what firmware sends that has none.
func uuid(v []byte) pxe.UUID {
	if len(v) != 17 || len(bytes.Trim(v[1:], "\xff")) == 0 {
		return pxe.UUID{}
	}
	return pxe.UUID(v[1:])
}

// judgeRelay reads the parts of option 82 that are used here.
func (m *message) judgeRelay() {
	r := &m.client.Relay
	r.Addr = m.giaddr()
	for rest := m.option(optRelay); len(rest) >= 2; {
		n := int(rest[1])
		if n+2 > len(rest) {
			return
		}
		v := rest[2 : 2+n]
		switch {
		case rest[0] == 1:
			r.CircuitID = v
		case rest[0] == 2:
			r.RemoteID = v
		case rest[0] == 5 && n == 4: // RFC 3527: the subnet is that of another link
			m.link = someAddr(netip.AddrFrom4([4]byte(v)))
		case rest[0] == 11 && n == 4: // RFC 5107: the relay wants to be taken for the server
			m.override = someAddr(netip.AddrFrom4([4]byte(v)))
		}
		rest = rest[2+n:]
	}
}

func maxSize(v []byte) int {
	n := minMaxSize
	if len(v) == 2 {
		n = max(n, int(binary.BigEndian.Uint16(v)))
	}
	return min(n-headers, maxMessage)
}

// wants reports whether the client asked for an option (option 55). A client
// that sends no list takes what it gets.
func (m *message) wants(code byte) bool {
	list := m.option(optParams)
	return list == nil || bytes.IndexByte(list, code) >= 0
}

// detached is the client with memory of its own, for those who keep it longer
// than the packet.
func (m *message) detached() pxe.Client {
	c := m.client
	c.MAC = bytes.Clone(c.MAC)
	c.ClientID = bytes.Clone(c.ClientID)
	c.Relay.CircuitID = bytes.Clone(c.Relay.CircuitID)
	c.Relay.RemoteID = bytes.Clone(c.Relay.RemoteID)
	return c
}
