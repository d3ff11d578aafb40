package dhcp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"

	"berth/pxe"
)

// start runs a server for the length of the test.
func start(t testing.TB, s *Server) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	wires, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	go func() { done <- runWires(ctx, wires) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error("Serve:", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Serve does not end with its context")
		}
	})
}

func (c *cable) client(t testing.TB, opts ...nclient4.ClientOpt) *nclient4.Client {
	t.Helper()
	var cl *nclient4.Client
	var err error
	opts = append([]nclient4.ClientOpt{nclient4.WithTimeout(2 * time.Second), nclient4.WithRetry(5)}, opts...)
	c.in(t, func() { cl, err = nclient4.New(c.cli, opts...) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })
	return cl
}

// An independent client goes through the whole life of a lease on a real wire.
func TestClientOnAWire(t *testing.T) {
	c := lay(t, "10.9.0.1/24")
	book := &testBook{subnets: map[string]pxe.Subnet{c.srv: testSubnet(pxe.ModeServer)}}
	book.machines = map[string]pxe.Situation{c.mac(t).String(): {Machine: "m", Name: "node-1", Boot: pxe.BootAgent, Reason: "deploy"}}
	leases := newMemLeases()
	start(t, &Server{Book: book, Leases: leases, Interfaces: []string{c.srv}})

	cl := c.client(t)
	lease, err := cl.Request(t.Context(), dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00007:UNDI:003016")),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClientSystemArchitectureType, []byte{0, 7})),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionHostName, dhcpv4.OptionNTPServers, dhcpv4.OptionBootfileName))
	if err != nil {
		t.Fatal(err)
	}
	a := lease.ACK
	if got := a.YourIPAddr.String(); got != "10.9.0.100" {
		t.Errorf("address %s", got)
	}
	for what, pair := range map[string][2]string{
		"mask":    {net.IP(a.SubnetMask()).String(), "255.255.255.0"},
		"router":  {a.Router()[0].String(), "10.9.0.1"},
		"dns":     {a.DNS()[0].String(), "10.9.0.53"},
		"ntp":     {a.NTPServers()[0].String(), "10.9.0.1"},
		"host":    {a.HostName(), "node-1"},
		"file":    {a.BootFileName, "snponly.efi"},
		"next":    {a.ServerIPAddr.String(), "10.9.0.1"},
		"server":  {a.ServerIdentifier().String(), "10.9.0.1"},
		"lease":   {a.IPAddressLeaseTime(0).String(), "1h0m0s"},
		"class":   {a.ClassIdentifier(), ""},
		"message": {a.MessageType().String(), "ACK"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %q, want %q", what, pair[0], pair[1])
		}
	}
	book.await(t, pxe.EventOffer, "10.9.0.100", "snponly.efi", "deploy")
	book.await(t, pxe.EventAck, "10.9.0.100")
	leases.mu.Lock()
	if leases.commits == 0 || leases.uncommit != 0 {
		t.Errorf("commits %d, uncommitted %d", leases.commits, leases.uncommit)
	}
	leases.mu.Unlock()

	// Unicast renewal, from the address it was given.
	c.run(t, "ip", "addr", "add", "10.9.0.100/24", "dev", c.cli)
	renewed, err := cl.Renew(t.Context(), lease)
	if err != nil || !renewed.ACK.YourIPAddr.Equal(a.YourIPAddr) {
		t.Fatalf("renew: %v, %v", renewed, err)
	}
}

// busybox's client is the one most installers and appliances carry.
func TestUdhcpc(t *testing.T) {
	if _, err := exec.LookPath("busybox"); err != nil {
		skip(t, "busybox is not installed")
	}
	c := lay(t, "10.9.0.1/24")
	book := &testBook{subnets: map[string]pxe.Subnet{c.srv: testSubnet(pxe.ModeServer)}}
	start(t, &Server{Book: book, Leases: newMemLeases(), Interfaces: []string{c.srv}})
	script := tempPath(t, "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho $1 >>$0.log\necho $1 ip=$ip mask=$subnet router=$router dns=$dns lease=$lease domain=$domain boot=$boot_file\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	out := c.run(t, "busybox", "udhcpc", "-f", "-q", "-n", "-t", "10", "-T", "1", "-i", c.cli, "-s", script)
	if want := "bound ip=10.9.0.100 mask=255.255.255.0 router=10.9.0.1 dns=10.9.0.53 lease=3600 domain=lab.example boot=\n"; !strings.Contains(out, want) {
		t.Errorf("udhcpc said\n%s\nwant %s", out, want)
	}

	// It gives the address back when it is told to end. Its script sets no
	// address, so the test does, or the release would have no sender.
	c.run(t, "ip", "addr", "add", "10.9.0.100/24", "dev", c.cli)
	cmd := exec.Command("nsenter", "-t", fmt.Sprint(c.pid), "-n", "busybox", "udhcpc", "-f", "-R", "-t", "10", "-T", "1", "-i", c.cli, "-s", script)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "udhcpc to use its lease", func() bool {
		log, _ := os.ReadFile(script + ".log")
		return strings.Count(string(log), "bound") == 2
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	book.await(t, pxe.EventRelease, "10.9.0.100")
	_ = cmd.Wait() // its exit status is that of the signal
}

// In mode listen the wire stays silent and the client is reported.
func TestListenIsSilent(t *testing.T) {
	c := lay(t, "10.9.0.1/24")
	book := &testBook{subnets: map[string]pxe.Subnet{c.srv: testSubnet(pxe.ModeListen)}}
	start(t, &Server{Book: book, Leases: newMemLeases(), Interfaces: []string{c.srv}})
	cl := c.client(t, nclient4.WithTimeout(300*time.Millisecond), nclient4.WithRetry(2))
	if o, err := cl.DiscoverOffer(t.Context()); err == nil {
		t.Fatalf("mode listen offered %v", o)
	}
	book.await(t, pxe.EventDiscover, c.mac(t).String())
}

// A second server on the wire is heard, by what it answers to others.
func TestOtherServerIsReported(t *testing.T) {
	c := lay(t, "10.9.0.1/24")
	book := &testBook{subnets: map[string]pxe.Subnet{c.srv: testSubnet(pxe.ModeServer)}}
	start(t, &Server{Book: book, Leases: newMemLeases(), Interfaces: []string{c.srv}})
	c.run(t, "ip", "addr", "add", "10.9.0.66/24", "dev", c.cli)
	rogue, err := dhcpv4.New(dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer), dhcpv4.WithYourIP(net.IPv4(10, 9, 0, 77)),
		dhcpv4.WithServerIP(net.IPv4(10, 9, 0, 66)), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 9, 0, 66))))
	if err != nil {
		t.Fatal(err)
	}
	rogue.OpCode = dhcpv4.OpcodeBootReply
	c.in(t, func() {
		var conn net.PacketConn
		conn, err = net.ListenPacket("udp4", "10.9.0.66:67")
		if err != nil {
			return
		}
		defer conn.Close()
		_, err = conn.WriteTo(rogue.ToBytes(), &net.UDPAddr{IP: net.IPv4(10, 9, 0, 1), Port: 68})
	})
	if err != nil {
		t.Fatal(err)
	}
	if e := book.await(t, pxe.EventOtherServer, "10.9.0.66"); e.Other != netip.MustParseAddr("10.9.0.66") {
		t.Errorf("other server %v", e.Other)
	}
}

// Through a real relay agent, from a network that the server has no interface on.
func TestRelayAgent(t *testing.T) {
	if _, err := exec.LookPath("dnsmasq"); err != nil {
		skip(t, "dnsmasq, the relay agent, is not installed")
	}
	near := lay(t, "10.9.0.1/24")
	near.run(t, "ip", "addr", "add", "10.9.0.2/24", "dev", near.cli) // the relay's side towards us
	far := &cable{srv: "rel0", cli: "far0", pid: holdNamespace(t)}
	near.run(t, "ip", "link", "add", far.srv, "type", "veth", "peer", "name", far.cli)
	near.run(t, "ip", "link", "set", far.cli, "netns", fmt.Sprint(far.pid))
	near.run(t, "ip", "addr", "add", "10.8.0.1/24", "dev", far.srv)
	near.run(t, "ip", "link", "set", far.srv, "up")
	far.run(t, "ip", "link", "set", far.cli, "up")
	run(t, "ip", "route", "add", "10.8.0.0/24", "via", "10.9.0.2")
	relay := exec.Command("nsenter", "-t", fmt.Sprint(near.pid), "-n", "dnsmasq", "--no-daemon", "--port=0", "--conf-file=/dev/null", "--user=root", "--dhcp-relay=10.8.0.1,10.9.0.1")
	if err := relay.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = relay.Process.Kill()
		_ = relay.Wait()
	})
	n := testSubnet(pxe.ModeServer)
	n.Prefix, n.Gateway = netip.MustParsePrefix("10.8.0.0/24"), netip.MustParseAddr("10.8.0.1")
	n.Pools = []pxe.Range{{From: netip.MustParseAddr("10.8.0.50"), To: netip.MustParseAddr("10.8.0.60")}}
	book := &testBook{subnets: map[string]pxe.Subnet{near.srv: testSubnet(pxe.ModeServer), "far": n}}
	start(t, &Server{Book: book, Leases: newMemLeases(), Interfaces: []string{near.srv}})
	lease, err := far.client(t, nclient4.WithRetry(15)).Request(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if a := lease.ACK; a.YourIPAddr.String() != "10.8.0.50" || a.Router()[0].String() != "10.8.0.1" {
		t.Errorf("through the relay: %v", a.Summary())
	}
}

// An interface that is made anew is served again.
func TestInterfaceComesBack(t *testing.T) {
	c := lay(t, "10.9.0.1/24")
	book := &testBook{subnets: map[string]pxe.Subnet{c.srv: testSubnet(pxe.ModeServer)}}
	start(t, &Server{Book: book, Leases: newMemLeases(), Interfaces: []string{c.srv}})
	run(t, "ip", "link", "del", c.srv)
	run(t, "ip", "link", "add", c.srv, "type", "veth", "peer", "name", c.cli)
	run(t, "ip", "link", "set", c.cli, "netns", fmt.Sprint(c.pid))
	run(t, "ip", "addr", "add", "10.9.0.1/24", "dev", c.srv)
	run(t, "ip", "link", "set", c.srv, "up")
	c.run(t, "ip", "link", "set", c.cli, "up")
	if _, err := c.client(t, nclient4.WithRetry(15)).Request(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A flood of clients that do not exist, each asking and taking, leaves a machine
// on record its address.
func TestFlood(t *testing.T) {
	c := lay(t, "10.9.0.1/24")
	n := testSubnet(pxe.ModeServer)
	book := &testBook{subnets: map[string]pxe.Subnet{c.srv: n}, fixed: map[string]netip.Addr{}}
	mac := c.mac(t).String()
	book.machines = map[string]pxe.Situation{mac: {Machine: "m"}}
	book.fixed[mac] = netip.MustParseAddr("10.9.0.20")
	start(t, &Server{Book: book, Leases: newMemLeases(), Interfaces: []string{c.srv}})
	var flood net.Conn
	var err error
	c.run(t, "ip", "addr", "add", "10.9.0.2/24", "dev", c.cli)
	c.in(t, func() { flood, err = net.Dial("udp4", "10.9.0.1:67") })
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	flooded := make(chan int)
	go func() {
		defer flood.Close()
		raw := ask(dhcpv4.MessageTypeDiscover, giaddr("10.9.0.2"))
		for i := 0; ; i++ {
			select {
			case <-stop:
				flooded <- i
				return
			default:
			}
			// A flood that fills the socket's buffer loses everybody's packets alike;
			// this one leaves the server busy and the buffer not full.
			if i%50 == 0 {
				time.Sleep(5 * time.Millisecond)
			}
			raw[offCHAddr+2], raw[offCHAddr+3], raw[offCHAddr+4], raw[offCHAddr+5] = byte(i>>24), byte(i>>16), byte(i>>8), byte(i)
			_, _ = flood.Write(raw)
		}
	}()
	book.await(t, pxe.EventSuppressed, "unknown machines")
	lease, err := c.client(t, nclient4.WithRetry(10)).Request(t.Context())
	close(stop)
	t.Log("packets of strangers:", <-flooded)
	if err != nil || lease.ACK.YourIPAddr.String() != "10.9.0.20" {
		t.Fatalf("the machine on record got %v, %v", lease, err)
	}
	book.mu.Lock()
	defer book.mu.Unlock()
	if len(book.events) > 5000 {
		t.Errorf("%d events on the timeline", len(book.events))
	}
}

func TestPortInUse(t *testing.T) {
	c := lay(t, "10.9.0.1/24")
	s := &Server{Book: &testBook{}, Interfaces: []string{c.srv}}
	start(t, s)
	err := s.Serve(t.Context())
	if err == nil || !strings.Contains(err.Error(), "another DHCP server runs on this host") {
		t.Errorf("second server: %v", err)
	}
	if err := (&Server{Book: &testBook{}, Interfaces: []string{"nosuch"}}).Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "no such interface") {
		t.Errorf("missing interface: %v", err)
	}
	if err := (&Server{Book: &testBook{}}).Serve(t.Context()); err == nil {
		t.Error("no interface was accepted")
	}
}
