package dhcp

import (
	"encoding/binary"
	"net"

	"golang.org/x/sys/unix"
)

// iPXE configures IPv4 and IPv6 at once and goes on only when both have ended.
// Where no router speaks IPv6 that takes 16 seconds of every boot, four router
// solicitations long (seen with the iPXE of 2019 and of 2025; net/ndp.c and
// usr/ifmgmt.c of iPXE say so too). One router advertisement ends the wait. So
// an iPXE that has just got its IPv4 address from us is sent one, by unicast to
// its MAC and its link-local address, which says that there is no router
// (lifetime 0), no prefix and no DHCPv6. Nobody else on the wire sees it, and by
// RFC 4861 §6.3.4 a host that did would change nothing.
//
// A network with IPv6 answers iPXE by itself, and its own advertisement counts
// as before if it comes first.

const (
	lenIPv6 = 40
	lenRA   = 16
)

// noRouter is the IPv6 packet of such an advertisement.
func noRouter(from, to net.HardwareAddr) []byte {
	b := make([]byte, lenIPv6+lenRA)
	b[0] = 0x60
	binary.BigEndian.PutUint16(b[4:], lenRA)
	b[6], b[7] = unix.IPPROTO_ICMPV6, 255 // RFC 4861 §6.1.2: from this very link
	copy(b[8:24], linkLocal(from))
	copy(b[24:40], linkLocal(to))
	ra := b[lenIPv6:]
	ra[0] = 134 // router advertisement; flags, lifetime and timers stay 0
	ra[4] = 64  // hop limit, which every system has anyway
	pseudo := uint32(lenRA) + unix.IPPROTO_ICMPV6
	check := ^sum(uint32(sum(pseudo, b[8:40])), ra)
	binary.BigEndian.PutUint16(ra[2:], check)
	return b
}

// linkLocal is the address that a station makes of its MAC (RFC 4291 appendix A).
func linkLocal(mac net.HardwareAddr) []byte {
	return []byte{0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]}
}
