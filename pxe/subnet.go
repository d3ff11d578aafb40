package pxe

import (
	"fmt"
	"net/netip"
	"time"
)

// Mode is what berth does on a subnet.
type Mode uint8

const (
	ModeListen Mode = iota // hears and reports, answers nothing: the default
	ModeOff                // not even that
	ModeProxy              // another DHCP server gives addresses, berth adds the boot file (PXE 2.1 proxyDHCP)
	ModeServer             // berth is the DHCP server
)

var modeNames = [...]string{"listen", "off", "proxy", "server"}

func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

// ParseMode reads the form that String writes.
func ParseMode(s string) (Mode, error) {
	for i, name := range modeNames {
		if s == name {
			return Mode(i), nil
		}
	}
	return ModeListen, fmt.Errorf("unknown DHCP mode %q: want server, proxy, listen or off", clip(s, 40))
}

// Subnet is a network on which machines boot, as the record has it. A Subnet
// handed out by a Book is shared and must not be changed.
type Subnet struct {
	ID         string // uid of the record; "" for one made from flags
	Prefix     netip.Prefix
	Interface  string // the server's interface on it; "" when it is reached by a relay only
	Mode       Mode
	Enrol      bool // offer the agent to unknown machines
	Pools      []Range
	Gateway    netip.Addr // invalid: none is announced
	DNS        []netip.Addr
	NTP        []netip.Addr
	Lease      time.Duration // 0 means DefaultLease; held between MinLease and MaxLease
	Domain     string
	BootURL    string     // "http://addr:port" of the boot listener, no slash at the end; "" means nothing is booted here
	NextServer netip.Addr // TFTP server; invalid: the address the DHCP server answers from
}

// Bounds of a lease.
const (
	DefaultLease = time.Hour
	MinLease     = time.Minute
	MaxLease     = 30 * 24 * time.Hour
)

// LeaseTime is the duration of a lease on this subnet, within its bounds.
func (s Subnet) LeaseTime() time.Duration {
	if s.Lease == 0 {
		return DefaultLease
	}
	return min(max(s.Lease, MinLease), MaxLease).Truncate(time.Second)
}

// InPool reports whether addr may be given to clients without a reservation:
// it lies in a pool and in the prefix, and is not the prefix's first or last
// address, nor the gateway.
func (s Subnet) InPool(addr netip.Addr) bool {
	if !s.Usable(addr) {
		return false
	}
	for _, r := range s.Pools {
		if r.Contains(addr) {
			return true
		}
	}
	return false
}

// Usable reports whether addr may be a client's address on this subnet at all.
func (s Subnet) Usable(addr netip.Addr) bool {
	if !addr.Is4() || !s.Prefix.IsValid() || !s.Prefix.Contains(addr) || addr == s.Gateway {
		return false
	}
	if s.Prefix.Bits() >= 31 { // RFC 3021: both addresses of a /31 are hosts
		return true
	}
	return addr != s.Prefix.Masked().Addr() && addr != lastAddr(s.Prefix)
}

// Broadcast is the last IPv4 address of the prefix.
func (s Subnet) Broadcast() netip.Addr { return lastAddr(s.Prefix) }

func lastAddr(p netip.Prefix) netip.Addr {
	if !p.Addr().Is4() {
		return netip.Addr{}
	}
	a := p.Masked().Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		a[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(a)
}

// Range is a pool of IPv4 addresses, both ends included.
type Range struct{ From, To netip.Addr }

// ParseRange reads "10.0.0.100-10.0.0.200".
func ParseRange(s string) (Range, error) {
	for i := range len(s) {
		if s[i] != '-' {
			continue
		}
		from, err := netip.ParseAddr(s[:i])
		if err != nil {
			return Range{}, fmt.Errorf("parse pool %q: %w", clip(s, 60), err)
		}
		to, err := netip.ParseAddr(s[i+1:])
		if err != nil {
			return Range{}, fmt.Errorf("parse pool %q: %w", clip(s, 60), err)
		}
		r := Range{from, to}
		if r.Size() == 0 {
			return Range{}, fmt.Errorf("parse pool %q: want two IPv4 addresses, the lower first", s)
		}
		return r, nil
	}
	return Range{}, fmt.Errorf("parse pool %q: want FROM-TO, as in 10.0.0.100-10.0.0.200", clip(s, 60))
}

func (r Range) String() string { return r.From.String() + "-" + r.To.String() }

// Contains reports whether addr lies in the range.
func (r Range) Contains(addr netip.Addr) bool {
	return r.Size() > 0 && addr.Is4() && r.From.Compare(addr) <= 0 && addr.Compare(r.To) <= 0
}

// Size is the number of addresses, 0 for a range that is empty, reversed or not IPv4.
func (r Range) Size() uint64 {
	if !r.From.Is4() || !r.To.Is4() || r.To.Less(r.From) {
		return 0
	}
	return uint64(V4(r.To)) - uint64(V4(r.From)) + 1
}

// V4 is an IPv4 address as a number; 0 for anything else.
func V4(a netip.Addr) uint32 {
	if !a.Is4() {
		return 0
	}
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// AddrV4 is the address of a number.
func AddrV4(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}
