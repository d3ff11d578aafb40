package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"
)

const (
	// bootPortLead is how long the port the machine booted from is asked alone; then every port is.
	bootPortLead = 20 * time.Second
	// discoverEvery and discoverTries pace the questions on one port. A switch that has just seen the link come up swallows the first.
	discoverEvery = time.Second
	discoverTries = 5
	// linkPoll is how often a port is looked at whose link is down.
	linkPoll = 50 * time.Millisecond
)

// Network brings the machine's ports up and keeps one lease.
type Network struct {
	Root    string           // "/"
	BootMAC net.HardwareAddr // nil asks every port
	Say     func(format string, args ...any)
}

// Lease is a lease that was taken, and the port it is good on.
type Lease struct {
	Port  string
	lease *nclient4.Lease
}

// Ports lists the network ports that hardware stands behind.
func (n *Network) Ports() []string {
	paths, _ := filepath.Glob(filepath.Join(n.Root, "sys/class/net/*/device")) // the pattern is good
	var names []string
	for _, path := range paths {
		names = append(names, filepath.Base(filepath.Dir(path)))
	}
	return names
}

// Up raises the loopback and every port. A link takes a second or three to come up, so this comes before anything that can be done
// meanwhile.
func (n *Network) Up() {
	for _, name := range append([]string{"lo"}, n.Ports()...) {
		link, err := netlink.LinkByName(name)
		if err != nil {
			continue // it went away
		}
		if link.Attrs().Flags&net.FlagUp != 0 {
			continue
		}
		if err := netlink.LinkSetUp(link); err != nil {
			n.Say("port %s cannot be brought up: %v", name, err)
		}
	}
}

// Acquire gets a lease and sets the machine's address, route and resolvers by it. Ports that appear late are asked too.
func (n *Network) Acquire(ctx context.Context) (*Lease, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type outcome struct {
		lease *Lease
		port  string
		err   error
	}
	outcomes := make(chan outcome)
	asking := map[string]bool{}
	started := time.Now()
	told := false
	for {
		if !told && time.Since(started) > 3*time.Second {
			told = true
			n.Say("%s", n.describeLinks())
		}
		for _, name := range n.askable(time.Since(started) > bootPortLead) {
			if asking[name] {
				continue
			}
			asking[name] = true
			go func() {
				lease, err := n.discover(ctx, name)
				select {
				case outcomes <- outcome{lease, name, err}:
				case <-ctx.Done():
				}
			}()
		}
		select {
		case o := <-outcomes:
			asking[o.port] = false
			if o.err == nil {
				if o.err = n.configure(o.lease, nil); o.err == nil {
					return o.lease, nil
				}
			}
			n.Say("no address on port %s yet: %v", o.port, o.err)
		case <-time.After(linkPoll):
			n.Up()
		case <-ctx.Done():
			return nil, fmt.Errorf("no DHCP server gave this machine an address: %w", context.Cause(ctx))
		}
	}
}

// askable lists the ports with a link that may be asked now: the boot port first, alone for a while.
func (n *Network) askable(all bool) []string {
	var linked, boot []string
	for _, name := range n.Ports() {
		if carrier, err := os.ReadFile(filepath.Join(n.Root, "sys/class/net", name, "carrier")); err != nil || !bytes.HasPrefix(carrier, []byte("1")) {
			continue
		}
		linked = append(linked, name)
		if port, err := net.InterfaceByName(name); err == nil && bytes.Equal(port.HardwareAddr, n.BootMAC) {
			boot = append(boot, name)
		}
	}
	if len(n.BootMAC) > 0 && !all {
		return boot
	}
	return linked
}

// describeLinks tells a person what the cables look like from here.
func (n *Network) describeLinks() string {
	var parts []string
	for _, name := range n.Ports() {
		state := "no link"
		if carrier, _ := os.ReadFile(filepath.Join(n.Root, "sys/class/net", name, "carrier")); bytes.HasPrefix(carrier, []byte("1")) {
			state = "link"
		}
		address := ""
		if port, err := net.InterfaceByName(name); err == nil {
			address = " " + port.HardwareAddr.String()
		}
		parts = append(parts, name+address+" "+state)
	}
	if len(parts) == 0 {
		return "no network port was found; if the machine has one, its driver is not in this image"
	}
	return "waiting for an address: " + strings.Join(parts, ", ")
}

// identity is what the DHCP server knows the machine by: the same client identifier that iPXE and PXE firmware send (RFC 2132, 9.14:
// the hardware type and address), so that the agent is given the address the loader had.
func identity(mac net.HardwareAddr) []dhcpv4.Modifier {
	return []dhcpv4.Modifier{
		dhcpv4.WithOption(dhcpv4.OptClientIdentifier(append([]byte{1}, mac...))),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("berth-agent")),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer),
	}
}

// discover asks for an address on one port, some times.
func (n *Network) discover(ctx context.Context, port string) (*Lease, error) {
	client, err := nclient4.New(port, nclient4.WithTimeout(discoverEvery), nclient4.WithRetry(discoverTries))
	if err != nil {
		return nil, fmt.Errorf("open port %s: %w", port, err)
	}
	defer client.Close()
	lease, err := client.Request(ctx, identity(client.InterfaceAddr())...)
	if err != nil {
		return nil, err
	}
	return &Lease{Port: port, lease: lease}, nil
}

// configure makes the machine use a lease. What an earlier one set and this one does not is taken away.
func (n *Network) configure(l, old *Lease) error {
	link, err := netlink.LinkByName(l.Port)
	if err != nil {
		return fmt.Errorf("find port %s: %w", l.Port, err)
	}
	address, err := l.address()
	if err != nil {
		return err
	}
	if old != nil {
		if before, err := old.address(); err == nil && !before.IP.Equal(address.IP) {
			// First, because with the first address of a subnet the kernel takes away the others of that subnet.
			netlink.AddrDel(link, before) // the server has taken it back; if it stays, it is only unused
		}
	}
	if err := netlink.AddrReplace(link, address); err != nil {
		return fmt.Errorf("set address %s on %s: %w", address.IPNet, l.Port, err)
	}
	if router := l.lease.ACK.Router(); len(router) > 0 {
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: router[0]}
		if err := netlink.RouteReplace(route); err != nil {
			n.Say("the router %s cannot be used: %v", router[0], err)
		}
	}
	return n.writeResolvers(l.lease.ACK.DNS())
}

// address is the leased address with its mask. Servers that send none mean the class of the address; nobody has had classes for
// thirty years, so it is refused rather than guessed.
func (l *Lease) address() (*netlink.Addr, error) {
	ip, mask := l.lease.ACK.YourIPAddr.To4(), l.lease.ACK.SubnetMask()
	if ones, bits := mask.Size(); ip == nil || ip.IsUnspecified() || bits != 32 || ones == 0 {
		return nil, errors.New("the DHCP server sent no usable address and mask")
	}
	return &netlink.Addr{IPNet: &net.IPNet{IP: ip, Mask: mask}}, nil
}

// String is the address, its mask and its port.
func (l *Lease) String() string {
	address, err := l.address()
	if err != nil {
		return l.Port
	}
	return fmt.Sprintf("%s on %s", address.IPNet, l.Port)
}

// MAC is the address of the port, or nil.
func (l *Lease) MAC() net.HardwareAddr {
	port, err := net.InterfaceByName(l.Port)
	if err != nil {
		return nil
	}
	return port.HardwareAddr
}

// writeResolvers tells the Go resolver whom to ask; it reads at most three (resolv.conf(5)).
func (n *Network) writeResolvers(servers []net.IP) error {
	var text strings.Builder
	for _, server := range servers[:min(len(servers), 3)] {
		fmt.Fprintf(&text, "nameserver %s\n", server)
	}
	dir := filepath.Join(n.Root, "etc")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("set the resolvers: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("set the resolvers: %w", err)
	}
	return nil
}

// Keep renews a lease until ctx ends. When the server does not renew it the address is used until another is given: the agent's
// life is short, and a machine without an address can report nothing.
func (n *Network) Keep(ctx context.Context, l *Lease) {
	for {
		if sleep(ctx, renewAfter(l.lease)) != nil {
			return
		}
		fresh, err := n.renew(ctx, l)
		if err == nil {
			err = n.configure(fresh, l)
		}
		if err != nil {
			n.Say("the address %s could not be renewed: %v", l, err)
			if sleep(ctx, renewPause) != nil {
				return
			}
			continue
		}
		l = fresh
	}
}

const (
	renewPause   = 10 * time.Second
	shortestHold = 10 * time.Second
	longestHold  = 12 * time.Hour
)

// renewAfter is T1 of RFC 2131, 4.4.5: half of the lease, unless the server says otherwise.
func renewAfter(l *nclient4.Lease) time.Duration {
	t1 := l.ACK.IPAddressRenewalTime(l.ACK.IPAddressLeaseTime(time.Hour) / 2)
	left := t1 - time.Since(l.CreationTime)
	return min(max(left, shortestHold), longestHold)
}

// renew asks the server that gave the lease, then anybody (RFC 2131, 4.4.5: renewing, rebinding).
func (n *Network) renew(ctx context.Context, l *Lease) (*Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	client, err := nclient4.New(l.Port, nclient4.WithTimeout(discoverEvery), nclient4.WithRetry(discoverTries))
	if err != nil {
		return nil, fmt.Errorf("open port %s: %w", l.Port, err)
	}
	defer client.Close()
	fresh, err := client.Renew(ctx, l.lease, identity(client.InterfaceAddr())...)
	if err != nil {
		if fresh, err = client.Request(ctx, identity(client.InterfaceAddr())...); err != nil {
			return nil, err
		}
	}
	return &Lease{Port: l.Port, lease: fresh}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
