package boot

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// onOwnWire runs do on a thread with a network of its own, in which two ports, wire-a and wire-b, are the ends of one cable. What is
// opened on the thread stays in that network; the network ends with the thread.
func onOwnWire(t *testing.T, do func()) {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("networks need root")
		}
		t.Skip("SKIPPED: networks need root")
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("make a network: %w", err)
			}
			attrs := netlink.NewLinkAttrs()
			attrs.Name = "wire-a"
			if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "wire-b"}); err != nil {
				return fmt.Errorf("make a cable: %w", err)
			}
			for _, name := range []string{"lo", "wire-a", "wire-b"} {
				link, err := netlink.LinkByName(name)
				if err == nil {
					err = netlink.LinkSetUp(link)
				}
				if err != nil {
					return fmt.Errorf("bring %s up: %w", name, err)
				}
			}
			do()
			return nil
		}()
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(testLimit):
		t.Fatal("nothing ended within " + testLimit.String())
	}
}

// serveDHCP answers on wire-b: addresses from 10.77.9.100 on, a new one for each DISCOVER, and what is asked for in a REQUEST.
func serveDHCP(t *testing.T, heard chan<- *dhcpv4.DHCPv4) *server4.Server {
	link, err := netlink.LinkByName("wire-b")
	if err != nil {
		t.Error(err)
		return nil
	}
	own := &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 77, 9, 1).To4(), Mask: net.CIDRMask(24, 32)}}
	if err := netlink.AddrAdd(link, own); err != nil {
		t.Error(err)
		return nil
	}
	next := byte(100)
	answer := func(conn net.PacketConn, peer net.Addr, m *dhcpv4.DHCPv4) {
		heard <- m
		reply, err := dhcpv4.NewReplyFromRequest(m,
			dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithRouter(net.IPv4(10, 77, 9, 1)), dhcpv4.WithLeaseTime(3600),
			dhcpv4.WithServerIP(net.IPv4(10, 77, 9, 1)), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 77, 9, 1))),
			dhcpv4.WithOption(dhcpv4.OptDNS(net.IPv4(10, 77, 9, 53))))
		if err != nil {
			return
		}
		switch m.MessageType() {
		case dhcpv4.MessageTypeDiscover:
			reply.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeOffer))
			reply.YourIPAddr = net.IPv4(10, 77, 9, next)
			next++
		case dhcpv4.MessageTypeRequest:
			reply.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeAck))
			reply.YourIPAddr = m.RequestedIPAddress()
			if reply.YourIPAddr == nil {
				reply.YourIPAddr = m.ClientIPAddr
			}
		}
		conn.WriteTo(reply.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ClientPort})
	}
	server, err := server4.NewServer("wire-b", nil, answer)
	if err != nil {
		t.Error(err)
		return nil
	}
	go server.Serve()
	return server
}

// addresses are those of a port in the thread's network.
func addresses(t *testing.T, port string) []string {
	link, err := netlink.LinkByName(port)
	if err != nil {
		t.Error(err)
		return nil
	}
	list, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		t.Error(err)
	}
	var all []string
	for _, a := range list {
		all = append(all, a.IPNet.String())
	}
	return all
}

func TestLeaseOnAWire(t *testing.T) {
	onOwnWire(t, func() {
		heard := make(chan *dhcpv4.DHCPv4, 100)
		server := serveDHCP(t, heard)
		if server == nil {
			return
		}
		defer server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), testLimit)
		defer cancel()
		n := &Network{Root: t.TempDir(), Say: t.Logf}
		lease, err := n.discover(ctx, "wire-a")
		if err != nil {
			t.Errorf("discover: %v", err)
			return
		}
		first := <-heard
		id := first.Options.Get(dhcpv4.OptionClientIdentifier)
		if class := first.ClassIdentifier(); class != "berth-agent" || !slices.Equal(id, append([]byte{1}, first.ClientHWAddr...)) {
			t.Errorf("asked as class %q, client %x", class, id)
		}
		if err := n.configure(lease, nil); err != nil {
			t.Errorf("configure: %v", err)
		}
		if got := addresses(t, "wire-a"); len(got) != 1 || got[0] != "10.77.9.100/24" {
			t.Errorf("addresses %q", got)
		}
		routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
		if err != nil || !slices.ContainsFunc(routes, func(r netlink.Route) bool { return r.Gw.Equal(net.IPv4(10, 77, 9, 1)) }) {
			t.Errorf("routes %v, %v", routes, err)
		}

		again, err := n.renew(ctx, lease)
		if err != nil || again.String() != lease.String() {
			t.Errorf("renewed as %s, %v", again, err)
		}
		other, err := n.discover(ctx, "wire-a") // the pool has moved on: another address is given
		if err != nil {
			t.Errorf("discover again: %v", err)
			return
		}
		if err := n.configure(other, lease); err != nil {
			t.Errorf("configure again: %v", err)
		}
		if got := addresses(t, "wire-a"); len(got) != 1 || got[0] == "10.77.9.100/24" {
			t.Errorf("after a change of address %q", got)
		}
	})
}

func TestNobodyAnswers(t *testing.T) {
	onOwnWire(t, func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if lease, err := (&Network{Root: t.TempDir(), Say: t.Logf}).discover(ctx, "wire-a"); err == nil {
			t.Errorf("lease %s from nobody", lease)
		}
	})
}
