package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// AddBridge makes a switch and gives it addresses. Spanning tree and multicast
// snooping are off: a port forwards from the moment it is up.
func (n *Namespace) AddBridge(name string, addrs ...netip.Prefix) error {
	return n.Do(func() error {
		off := false
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}, MulticastSnooping: &off}
		if err := netlink.LinkAdd(br); err != nil {
			return fmt.Errorf("add bridge %s: %w", name, err)
		}
		if err := netlink.LinkSetUp(br); err != nil {
			return fmt.Errorf("set bridge %s up: %w", name, err)
		}
		return addAddresses(br, addrs)
	})
}

// AddAddress gives a link one more address.
func (n *Namespace) AddAddress(link string, addr netip.Prefix) error {
	return n.Do(func() error {
		l, err := netlink.LinkByName(link)
		if err != nil {
			return fmt.Errorf("find %s: %w", link, err)
		}
		return addAddresses(l, []netip.Prefix{addr})
	})
}

func addAddresses(l netlink.Link, addrs []netip.Prefix) error {
	for _, a := range addrs {
		ipnet := &net.IPNet{IP: a.Addr().AsSlice(), Mask: net.CIDRMask(a.Bits(), a.Addr().BitLen())}
		if err := netlink.AddrAdd(l, &netlink.Addr{IPNet: ipnet}); err != nil {
			return fmt.Errorf("add address %s to %s: %w", a, l.Attrs().Name, err)
		}
	}
	return nil
}

// AddTap makes a port of the bridge for a machine. It stays when the machine
// goes, as a port of a switch does.
func (n *Namespace) AddTap(name, bridge string) error {
	return n.Do(func() error {
		br, err := netlink.LinkByName(bridge)
		if err != nil {
			return fmt.Errorf("find bridge %s: %w", bridge, err)
		}
		attrs := netlink.LinkAttrs{Name: name, MasterIndex: br.Attrs().Index}
		tap := &netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP}
		if err := netlink.LinkAdd(tap); err != nil {
			return fmt.Errorf("add tap %s: %w", name, err)
		}
		// LinkAdd leaves the master to the caller for a tap made by ioctl.
		if err := errors.Join(netlink.LinkSetMaster(tap, br), netlink.LinkSetUp(tap)); err != nil {
			return fmt.Errorf("plug tap %s into %s: %w", name, bridge, err)
		}
		for _, fd := range tap.Fds { // the device is persistent, its queue is QEMU's
			fd.Close()
		}
		return nil
	})
}
