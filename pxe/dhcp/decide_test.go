package dhcp

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"pgregory.net/rapid"

	"berth/pxe"
)

var (
	testMAC    = net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 1}
	serverAddr = netip.MustParseAddr("10.9.0.1")
	testPorts  = ports{server: 67, client: 68, boot: 4011}
)

// ask makes a packet with the independent library.
func ask(kind dhcpv4.MessageType, mods ...dhcpv4.Modifier) []byte {
	p, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithMessageType(kind), dhcpv4.WithHwAddr(testMAC)}, mods...)...)
	if err != nil {
		panic(err)
	}
	return p.ToBytes()
}

func opt(code uint8, value string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), []byte(value)))
}

func optAddr(code uint8, addr string) dhcpv4.Modifier {
	return opt(code, string(netip.MustParseAddr(addr).AsSlice()))
}

func ciaddr(addr string) dhcpv4.Modifier {
	return func(d *dhcpv4.DHCPv4) { d.ClientIPAddr = net.ParseIP(addr) }
}

func giaddr(addr string) dhcpv4.Modifier {
	return func(d *dhcpv4.DHCPv4) { d.GatewayIPAddr = net.ParseIP(addr) }
}

func pxeClient(arch byte) []dhcpv4.Modifier {
	return []dhcpv4.Modifier{
		opt(optVendorClass, fmt.Sprintf("PXEClient:Arch:%05d:UNDI:003016", arch)),
		opt(optArch, string([]byte{0, arch})), opt(optUUID, "\x00"+strings.Repeat("u", 16)),
	}
}

// roundTrip takes a packet through the four steps and reads the answer with the
// independent library. It is nil when the server stays silent.
func roundTrip(t testing.TB, d *decider, raw []byte, in ingress) (*dhcpv4.DHCPv4, reply) {
	t.Helper()
	var p packet
	if err := p.parse(raw); err != nil {
		t.Fatal(err)
	}
	m, err := judge(&p, in.iface)
	if err != nil {
		t.Fatal(err)
	}
	r := d.decide(&m, in)
	if r.kind == 0 {
		return nil, r
	}
	out, err := encode(make([]byte, offOpts, maxMessage), &m, &r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := dhcpv4.FromBytes(out)
	if err != nil {
		t.Fatalf("the answer is not a DHCP message: %v", err)
	}
	return got, r
}

func testDecider(mode pxe.Mode) (*decider, *testBook, *memLeases) {
	b := &testBook{
		subnets:  map[string]pxe.Subnet{"e0": testSubnet(mode)},
		machines: map[string]pxe.Situation{testMAC.String(): {Machine: "m", Name: "Node 1", Boot: pxe.BootAgent, Reason: "deploy"}},
		fixed:    map[string]netip.Addr{},
	}
	l := newMemLeases()
	return &decider{book: b, leases: l, ports: testPorts}, b, l
}

var onWire = ingress{iface: "e0", own: []netip.Addr{netip.MustParseAddr("10.77.0.1"), serverAddr}, to: netip.MustParseAddr("255.255.255.255")}

// The states of a REQUEST (RFC 2131 §4.3.2), and the other messages.
func TestConduct(t *testing.T) {
	mine := pxe.Lease{Addr: netip.MustParseAddr("10.9.0.110"), Key: testMAC.String(), State: pxe.LeaseBound}
	unicast := onWire
	unicast.to = serverAddr
	for _, tc := range []struct {
		name  string
		raw   []byte
		in    ingress
		lease bool // the client has .110
		want  string
	}{
		{"discover", ask(dhcpv4.MessageTypeDiscover), onWire, false, "OFFER 10.9.0.100"},
		{"discover, has a lease", ask(dhcpv4.MessageTypeDiscover), onWire, true, "OFFER 10.9.0.110"},
		{"selecting us", ask(dhcpv4.MessageTypeRequest, optAddr(54, "10.9.0.1"), optAddr(50, "10.9.0.105")), onWire, false, "ACK 10.9.0.105"},
		{"selecting us, address outside", ask(dhcpv4.MessageTypeRequest, optAddr(54, "10.9.0.1"), optAddr(50, "10.9.0.5")), onWire, false, "NAK"},
		{"selecting us, no address", ask(dhcpv4.MessageTypeRequest, optAddr(54, "10.9.0.1")), onWire, false, "NAK"},
		{"selecting another", ask(dhcpv4.MessageTypeRequest, optAddr(54, "10.9.0.66"), optAddr(50, "10.9.0.105")), onWire, false, "dhcp.other-server"},
		{"init-reboot, right", ask(dhcpv4.MessageTypeRequest, optAddr(50, "10.9.0.110")), onWire, true, "ACK 10.9.0.110"},
		{"init-reboot, wrong address", ask(dhcpv4.MessageTypeRequest, optAddr(50, "10.9.0.111")), onWire, true, "NAK"},
		{"init-reboot, wrong network", ask(dhcpv4.MessageTypeRequest, optAddr(50, "192.168.1.9")), onWire, false, "NAK"},
		{"init-reboot, no record", ask(dhcpv4.MessageTypeRequest, optAddr(50, "10.9.0.110")), onWire, false, "dhcp.ignored"},
		{"renewing", ask(dhcpv4.MessageTypeRequest, ciaddr("10.9.0.110")), unicast, true, "ACK 10.9.0.110"},
		{"renewing, no record, free", ask(dhcpv4.MessageTypeRequest, ciaddr("10.9.0.120")), unicast, false, "ACK 10.9.0.120"},
		{"renewing, outside", ask(dhcpv4.MessageTypeRequest, ciaddr("10.9.0.9")), unicast, false, "NAK"},
		{"rebinding", ask(dhcpv4.MessageTypeRequest, ciaddr("10.9.0.110")), onWire, true, "ACK 10.9.0.110"},
		{"rebinding, no record", ask(dhcpv4.MessageTypeRequest, ciaddr("10.9.0.110")), onWire, false, "dhcp.ignored"},
		{"request of nothing", ask(dhcpv4.MessageTypeRequest), onWire, true, "dhcp.ignored"},
		{"decline", ask(dhcpv4.MessageTypeDecline, optAddr(54, "10.9.0.1"), optAddr(50, "10.9.0.110")), onWire, true, "dhcp.decline"},
		{"decline of another's", ask(dhcpv4.MessageTypeDecline, optAddr(54, "10.9.0.1"), optAddr(50, "10.9.0.111")), onWire, true, ""},
		{"decline, meant for another server", ask(dhcpv4.MessageTypeDecline, optAddr(54, "10.9.0.66"), optAddr(50, "10.9.0.110")), onWire, true, ""},
		{"release", ask(dhcpv4.MessageTypeRelease, ciaddr("10.9.0.110")), unicast, true, "dhcp.release"},
		{"inform", ask(dhcpv4.MessageTypeInform, ciaddr("10.9.0.30")), onWire, false, "ACK"},
		{"inform of nothing", ask(dhcpv4.MessageTypeInform), onWire, false, "dhcp.ignored"},
		{"by relay", ask(dhcpv4.MessageTypeDiscover, giaddr("10.9.0.254")), unicast, false, "OFFER 10.9.0.100"},
		{"by relay, unknown network", ask(dhcpv4.MessageTypeDiscover, giaddr("10.8.0.254")), unicast, false, "dhcp.ignored"},
		{"by relay, link selection", ask(dhcpv4.MessageTypeDiscover, giaddr("10.8.0.254"), opt(optRelay, "\x05\x04\x0a\x09\x00\x00")), unicast, false, "OFFER 10.9.0.100"},
		{"subnet selection", ask(dhcpv4.MessageTypeDiscover, optAddr(optSubnetSelect, "10.8.0.0")), onWire, false, "dhcp.ignored"},
	} {
		d, _, l := testDecider(pxe.ModeServer)
		if tc.lease {
			l.byAddr[mine.Addr] = mine
		}
		a, r := roundTrip(t, d, tc.raw, tc.in)
		got := string(r.event)
		if a != nil {
			got = strings.TrimSuffix(a.MessageType().String()+" "+a.YourIPAddr.String(), " 0.0.0.0")
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q (%s)", tc.name, got, tc.want, r.text)
		}
		if r.kind == ack && m53(tc.raw) == dhcpv4.MessageTypeRequest && !r.durable {
			t.Errorf("%s: an ACK that does not wait for the disk", tc.name)
		}
	}
}

func m53(raw []byte) dhcpv4.MessageType {
	p, err := dhcpv4.FromBytes(raw)
	if err != nil {
		panic(err)
	}
	return p.MessageType()
}

// Where an answer goes (RFC 2131 §4.1).
func TestDestinations(t *testing.T) {
	broadcast := func(d *dhcpv4.DHCPv4) { d.SetBroadcast() }
	for _, tc := range []struct {
		name string
		raw  []byte
		how  delivery
		addr string
	}{
		{"no address yet", ask(dhcpv4.MessageTypeDiscover), toMAC, "10.9.0.100:68"},
		{"asks for broadcast", ask(dhcpv4.MessageTypeDiscover, broadcast), toBroadcast, "invalid AddrPort"},
		{"by relay", ask(dhcpv4.MessageTypeDiscover, giaddr("10.9.0.254"), broadcast), toAddr, "10.9.0.254:67"},
		{"has an address", ask(dhcpv4.MessageTypeInform, ciaddr("10.9.0.30")), toAddr, "10.9.0.30:68"},
		{"NAK", ask(dhcpv4.MessageTypeRequest, optAddr(50, "1.2.3.4")), toBroadcast, "invalid AddrPort"},
		{"NAK by relay", ask(dhcpv4.MessageTypeRequest, optAddr(50, "1.2.3.4"), giaddr("10.9.0.254")), toAddr, "10.9.0.254:67"},
	} {
		d, _, _ := testDecider(pxe.ModeServer)
		a, r := roundTrip(t, d, tc.raw, onWire)
		if r.dest.how != tc.how || r.dest.addr.String() != tc.addr {
			t.Errorf("%s: to %v %v", tc.name, r.dest.how, r.dest.addr)
		}
		if strings.HasPrefix(tc.name, "NAK") && !a.IsBroadcast() {
			t.Errorf("%s: without the broadcast flag", tc.name)
		}
	}
}

// What a booting machine is sent, by its stage and the mode.
func TestBootAnswers(t *testing.T) {
	ipxe := append(pxeClient(7), opt(optUserClass, "iPXE"))
	rfc3004 := append(pxeClient(7), opt(optUserClass, "\x04iPXE"))
	http := []dhcpv4.Modifier{opt(optVendorClass, "HTTPClient:Arch:00016:UNDI:003001"), opt(optArch, "\x00\x10"), opt(optUUID, "\x00"+strings.Repeat("u", 16))}
	script := "http://10.9.0.1:8081/ipxe?arch=7&mac=52:54:00:77:00:01&uuid=75757575-7575-7575-7575-757575757575"
	for _, tc := range []struct {
		name  string
		mods  []dhcpv4.Modifier
		mode  pxe.Mode
		file  string
		class string
		opt43 string
		opt   string // 175
	}{
		{"bios", pxeClient(0), pxe.ModeServer, "undionly.kpxe", "", "", ""},
		{"uefi", pxeClient(7), pxe.ModeServer, "snponly.efi", "", "", ""},
		{"ipxe", ipxe, pxe.ModeServer, script, "", "", "\xb0\x01\x01"},
		{"ipxe, RFC 3004", rfc3004, pxe.ModeServer, script, "", "", "\xb0\x01\x01"},
		{"http", http, pxe.ModeServer, "http://10.9.0.1:8081/loader/snponly.efi", "HTTPClient", "", ""},
		{"bios, no option 93", []dhcpv4.Modifier{opt(optVendorClass, "PXEClient")}, pxe.ModeServer, "undionly.kpxe", "", "", ""},
		{"uefi, arch in the class only", []dhcpv4.Modifier{opt(optVendorClass, "PXEClient:Arch:00007:UNDI:003016")}, pxe.ModeServer, "snponly.efi", "", "", ""},
		{"os", nil, pxe.ModeServer, "", "", "", ""},
		{"bios beside another server", pxeClient(0), pxe.ModeProxy, "undionly.kpxe", "PXEClient", "\x06\x01\x08\xff", ""},
		{"uefi beside another server", pxeClient(7), pxe.ModeProxy, "snponly.efi", "PXEClient", "", ""},
		{"ipxe beside another server", ipxe, pxe.ModeProxy, script, "PXEClient", "\x06\x01\x08\xff", ""},
		{"http beside another server", http, pxe.ModeProxy, "http://10.9.0.1:8081/loader/snponly.efi", "HTTPClient", "", ""},
	} {
		d, _, _ := testDecider(tc.mode)
		a, r := roundTrip(t, d, ask(dhcpv4.MessageTypeDiscover, tc.mods...), onWire)
		if a == nil {
			t.Errorf("%s: silent: %s", tc.name, r.text)
			continue
		}
		get := func(code uint8) string { return string(a.Options.Get(dhcpv4.GenericOptionCode(code))) }
		if a.BootFileName != tc.file || get(optVendorClass) != tc.class || get(optVendor) != tc.opt43 || get(optIPXE) != tc.opt {
			t.Errorf("%s: file %q class %q 43 %q 175 %q", tc.name, a.BootFileName, get(optVendorClass), get(optVendor), get(optIPXE))
		}
		if tc.file != "" && a.ServerIPAddr.String() != "10.9.0.1" {
			t.Errorf("%s: next server %v", tc.name, a.ServerIPAddr)
		}
		if want := a.YourIPAddr.IsUnspecified(); want != (tc.mode == pxe.ModeProxy) {
			t.Errorf("%s: address %v", tc.name, a.YourIPAddr)
		}
		if len(tc.mods) > 2 && get(optUUID) != "\x00"+strings.Repeat("u", 16) {
			t.Errorf("%s: option 97 is not echoed: %q", tc.name, get(optUUID))
		}
	}
}

// A proxy is silent to everybody who asks for no boot file, to who shall boot
// its disk, and to REQUESTs on the DHCP port; port 4011 tells the file again.
func TestProxy(t *testing.T) {
	d, book, _ := testDecider(pxe.ModeProxy)
	for name, raw := range map[string][]byte{
		"os":      ask(dhcpv4.MessageTypeDiscover),
		"request": ask(dhcpv4.MessageTypeRequest, append(pxeClient(7), optAddr(54, "10.9.0.2"))...),
	} {
		if a, _ := roundTrip(t, d, raw, onWire); a != nil {
			t.Errorf("%s was answered: %v", name, a)
		}
	}
	boot := onWire
	boot.boot, boot.from, boot.to = true, netip.MustParseAddrPort("10.9.0.50:68"), serverAddr
	a, r := roundTrip(t, d, ask(dhcpv4.MessageTypeRequest, append(pxeClient(7), ciaddr("10.9.0.50"))...), boot)
	if a == nil || a.MessageType() != dhcpv4.MessageTypeAck || a.BootFileName != "snponly.efi" || a.ClassIdentifier() != "PXEClient" || r.dest.addr != boot.from {
		t.Errorf("port 4011: %v, to %v", a, r.dest.addr)
	}
	book.machines[testMAC.String()] = pxe.Situation{Machine: "m"}
	for _, in := range []ingress{onWire, boot} {
		if a, _ := roundTrip(t, d, ask(dhcpv4.MessageTypeDiscover, pxeClient(7)...), in); a != nil {
			t.Errorf("a machine that boots its disk was answered: %v", a)
		}
	}
}

// Option 82 and the client identifier come back, option 82 last; a relay that
// asks for it becomes the server (RFC 5107).
func TestRelayOptions(t *testing.T) {
	d, _, _ := testDecider(pxe.ModeServer)
	relay := "\x01\x04ge-1\x02\x03abc\x0b\x04\x0a\x09\x00\xfe"
	raw := ask(dhcpv4.MessageTypeDiscover, opt(optRelay, relay), opt(optClientID, "\x01id"), giaddr("10.9.0.254"))
	a, r := roundTrip(t, d, raw, onWire)
	if got := string(a.Options.Get(dhcpv4.OptionRelayAgentInformation)); got != relay {
		t.Errorf("option 82 %q", got)
	}
	if got := string(a.Options.Get(dhcpv4.OptionClientIdentifier)); got != "\x01id" {
		t.Errorf("option 61 %q", got)
	}
	if a.ServerIdentifier().String() != "10.9.0.254" {
		t.Errorf("server %v", a.ServerIdentifier())
	}
	if a.GatewayIPAddr.String() != "10.9.0.254" {
		t.Errorf("giaddr %v", a.GatewayIPAddr)
	}
	if r.dest.how != toAddr {
		t.Errorf("to %v", r.dest.how)
	}
	var p packet
	if err := p.parse(raw); err != nil {
		t.Fatal(err)
	}
	m, err := judge(&p, "e0")
	if err != nil || string(m.client.Relay.CircuitID) != "ge-1" || string(m.client.Relay.RemoteID) != "abc" {
		t.Errorf("relay %+v, %v", m.client.Relay, err)
	}
}

// What cannot be stored is not promised.
func TestStorageFailure(t *testing.T) {
	d, book, l := testDecider(pxe.ModeServer)
	l.fail = errors.New("disk full")
	w := &wire{shared: (&Server{Book: book, Leases: d.leases}).shared()}
	replies := []reply{{kind: ack, durable: true, event: pxe.EventAck, text: "x"}, {kind: offer, event: pxe.EventOffer}}
	w.unsafe(replies, l.Commit())
	if replies[0].kind != 0 || replies[0].text != "" || replies[1].kind != offer {
		t.Errorf("after a failed commit: %+v", replies)
	}
	book.await(t, pxe.EventStorage, "disk full")
}

// A flood of strangers is counted, and a machine on record is still told of.
func TestNotesAreBounded(t *testing.T) {
	book := &testBook{}
	sh := (&Server{Book: book}).shared()
	for i := range 100_000 {
		sh.note(pxe.Event{Kind: pxe.EventOffer, Text: fmt.Sprint(i)}, false)
	}
	sh.note(pxe.Event{Kind: pxe.EventAck, Text: "known"}, true)
	if n := len(book.events); n > 1000 {
		t.Errorf("%d events", n)
	}
	if _, ok := book.find(pxe.EventAck, "known"); !ok {
		t.Error("the machine on record was drowned")
	}
	o := &others{seen: map[other]time.Time{}}
	now := time.Now()
	told := 0
	for i := range uint32(10_000) {
		if o.fresh("e0", pxe.AddrV4(i), now) {
			told++
		}
	}
	if told != maxOthers || len(o.seen) != maxOthers || !o.fresh("e0", serverAddr, now.Add(2*othersPause)) {
		t.Errorf("%d other servers told", told)
	}
}

// captures are the real packets of testdata, the UDP payload of one a file.
func captures(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*.bin")
	if err != nil || len(files) == 0 {
		t.Fatal("no captures in testdata", err)
	}
	all := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(f)] = b
	}
	return all
}

// configs are Books from the empty one to one full of nonsense.
func configs() map[string]*decider {
	all := map[string]*decider{"empty": {book: &testBook{}, ports: testPorts}}
	add := func(name string, n pxe.Subnet, l Leases) {
		b := &testBook{subnets: map[string]pxe.Subnet{"e0": n}, machines: map[string]pxe.Situation{}}
		for i, boot := range []pxe.Boot{pxe.BootLocal, pxe.BootAgent, pxe.BootNone} {
			mac := bytes.Clone(testMAC)
			mac[5] = byte(i)
			b.machines[net.HardwareAddr(mac).String()] = pxe.Situation{Machine: "m", Boot: boot, Name: strings.Repeat("näme", 90)}
		}
		all[name] = &decider{book: b, leases: l, ports: testPorts}
	}
	for _, mode := range []pxe.Mode{pxe.ModeListen, pxe.ModeOff, pxe.ModeProxy, pxe.ModeServer} {
		add(mode.String(), testSubnet(mode), newMemLeases())
		add(mode.String()+", no leases", testSubnet(mode), nil)
	}
	for name, change := range map[string]func(*pxe.Subnet){
		"zero":        func(n *pxe.Subnet) { *n = pxe.Subnet{Mode: pxe.ModeServer} },
		"v6":          func(n *pxe.Subnet) { n.Prefix = netip.MustParsePrefix("fd00::/64") },
		"whole world": func(n *pxe.Subnet) { n.Prefix = netip.MustParsePrefix("0.0.0.0/0") },
		"one address": func(n *pxe.Subnet) { n.Prefix = netip.MustParsePrefix("10.9.0.100/32") },
		"no pools":    func(n *pxe.Subnet) { n.Pools = nil },
		"no boot":     func(n *pxe.Subnet) { n.BootURL = "" },
		"long texts": func(n *pxe.Subnet) {
			n.Domain, n.BootURL = strings.Repeat("d", 255), "http://"+strings.Repeat("b", 180)
		},
		"too long": func(n *pxe.Subnet) { n.Domain, n.BootURL = strings.Repeat("d", 300), strings.Repeat("b", 5000) },
		"many servers": func(n *pxe.Subnet) {
			for i := range uint32(200) {
				n.DNS, n.NTP = append(n.DNS, pxe.AddrV4(i)), append(n.NTP, netip.MustParseAddr("::1"), pxe.AddrV4(i))
			}
		},
	} {
		n := testSubnet(pxe.ModeServer)
		change(&n)
		add(name, n, newMemLeases())
	}
	return all
}

// conduct checks what must hold of every answer to every packet.
func conduct(t interface{ Fatalf(string, ...any) }, name string, d *decider, raw []byte, in ingress) {
	var p packet
	if p.parse(raw) != nil {
		return
	}
	before := bytes.Clone(raw)
	m, err := judge(&p, in.iface)
	if err != nil {
		return
	}
	r := d.decide(&m, in)
	if r.kind != 0 {
		buf := make([]byte, offOpts, maxMessage)
		for i := range buf {
			buf[i] = 0xaa // an answer must not leak what the buffer held
		}
		if out, err := encode(buf, &m, &r); err == nil {
			checkAnswer(t, name, &m, &r, raw, out)
		}
	}
	if !bytes.Equal(before, raw) {
		t.Fatalf("%s: the packet was changed", name)
	}
}

func checkAnswer(t interface{ Fatalf(string, ...any) }, name string, m *message, r *reply, raw, out []byte) {
	limit := max(m.max, minMessage)
	a, err := dhcpv4.FromBytes(out)
	switch {
	case err != nil:
		t.Fatalf("%s: the answer is not DHCP: %v", name, err)
	case len(out) > limit || len(out) < minMessage || len(out)+headers > 1500:
		t.Fatalf("%s: answer of %d bytes to a client that takes %d", name, len(out), m.max)
	case !bytes.Equal(out[offXID:offXID+4], raw[offXID:offXID+4]) || !bytes.Equal(out[offCHAddr:offCHAddr+16], raw[offCHAddr:offCHAddr+16]):
		t.Fatalf("%s: the answer is for another", name)
	case bytes.Count(out[:offOpts], []byte{0xaa}) > bytes.Count(raw[:offOpts], []byte{0xaa}):
		t.Fatalf("%s: the answer has bytes of an earlier one", name)
	case a.MessageType() == dhcpv4.MessageTypeNone || a.ServerIdentifier() == nil:
		t.Fatalf("%s: type %v, server %v", name, a.MessageType(), a.ServerIdentifier())
	case r.subnet.Mode != pxe.ModeServer && !a.YourIPAddr.IsUnspecified():
		t.Fatalf("%s: an address in mode %v", name, r.subnet.Mode)
	case r.dest.how == toAddr && !r.dest.addr.IsValid():
		t.Fatalf("%s: to nowhere", name)
	}
}

// Every packet in every configuration: an answer that is right, or silence.
func TestEveryPacketEveryConfig(t *testing.T) {
	var seeds [][]byte
	for _, raw := range captures(t) {
		seeds = append(seeds, raw)
	}
	all := configs()
	in := onWire
	in.from = netip.MustParseAddrPort("0.0.0.0:68")
	rapid.Check(t, func(rt *rapid.T) {
		raw := bytes.Clone(rapid.SampledFrom(seeds).Draw(rt, "seed"))
		for range rapid.IntRange(0, 8).Draw(rt, "changes") {
			i := rapid.IntRange(0, len(raw)-1).Draw(rt, "at")
			raw[i] = rapid.Byte().Draw(rt, "byte")
		}
		if rapid.Bool().Draw(rt, "retype") {
			// 53 is the first option of every capture.
			raw[offOpts+2] = rapid.ByteRange(0, 20).Draw(rt, "type")
		}
		raw = raw[:rapid.IntRange(len(raw)/2, len(raw)).Draw(rt, "length")]
		in.boot = rapid.Bool().Draw(rt, "port 4011")
		for name, d := range all {
			conduct(rt, name, d, raw, in)
		}
	})
}

func FuzzConduct(f *testing.F) {
	for _, raw := range captures(f) {
		f.Add(raw, false)
		f.Add(raw, true)
	}
	all := configs()
	f.Fuzz(func(t *testing.T, raw []byte, boot bool) {
		in := onWire
		in.boot, in.from = boot, netip.MustParseAddrPort("10.9.0.50:68")
		for name, d := range all {
			conduct(t, name, d, raw, in)
		}
	})
}
