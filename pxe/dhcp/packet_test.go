package dhcp

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"berth/pxe"
)

// What real firmware sends, recorded in the lab: SeaBIOS with QEMU's iPXE ROM,
// OVMF by PXE and by HTTP, and iPXE's UEFI loader.
func TestCaptures(t *testing.T) {
	swapped := pxe.UUID{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}.Swapped()
	type heard struct {
		kind  messageType
		stage pxe.Stage
		arch  pxe.Arch
		max   int
	}
	want := map[string]heard{
		"ipxe-rom-discover.bin":  {discover, pxe.StageIPXE, pxe.ArchBIOS, 1444},
		"ipxe-rom-request.bin":   {request, pxe.StageIPXE, pxe.ArchBIOS, 1444},
		"ovmf-pxe-discover.bin":  {discover, pxe.StageFirmware, pxe.ArchEFIX64, 1444},
		"ovmf-pxe-request.bin":   {request, pxe.StageFirmware, pxe.ArchEFIX64, 1472},
		"ipxe-efi-discover.bin":  {discover, pxe.StageIPXE, pxe.ArchEFIX64, 1444},
		"ipxe-efi-request.bin":   {request, pxe.StageIPXE, pxe.ArchEFIX64, 1444},
		"ovmf-http-discover.bin": {discover, pxe.StageHTTPClient, pxe.ArchEFIX64HTTP, 1444},
		"ovmf-http-request.bin":  {request, pxe.StageHTTPClient, pxe.ArchEFIX64HTTP, 1444},
	}
	for name, raw := range captures(t) {
		var p packet
		if err := p.parse(raw); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m, err := judge(&p, "e0")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := (heard{m.kind, m.client.Stage, m.client.Arch, m.max}); got != want[name] {
			t.Errorf("%s: %+v, want %+v", name, got, want[name])
		}
		if m.client.Key() != "52:54:00:77:00:01" || m.client.UUID != swapped {
			t.Errorf("%s: %v, UUID %v", name, m.client, m.client.UUID)
		}
	}
}

// What is sent to real firmware is as little as it needs, and stays that way: a
// change here is a change on every machine's wire.
func TestAnswersToCaptures(t *testing.T) {
	want := map[string]string{
		"ipxe-rom-discover.bin": `OFFER 10.9.0.100 next 10.9.0.1 file http://10.9.0.1:8081/ipxe?arch=0&mac=52:54:00:77:00:01&uuid=33221100-5544-7766-8899-aabbccddeeff
53=02 54=0a090001 51=00000e10 1=ffffff00 97=0033221100554477668899aabbccddeeff 175=b00101 3=0a090001 6=0a090035 58=00000708 59=00000c4e 12=6e6f646531 15=6c61622e6578616d706c65 61=01525400770001`,
		"ovmf-pxe-discover.bin": `OFFER 10.9.0.100 next 10.9.0.1 file snponly.efi
53=02 54=0a090001 51=00000e10 1=ffffff00 97=0033221100554477668899aabbccddeeff 3=0a090001 6=0a090035 58=00000708 59=00000c4e 12=6e6f646531 15=6c61622e6578616d706c65 42=0a090001 28=0a0900ff`,
		"ovmf-http-discover.bin": `OFFER 10.9.0.100 next 10.9.0.1 file http://10.9.0.1:8081/loader/snponly.efi
53=02 54=0a090001 51=00000e10 1=ffffff00 97=0033221100554477668899aabbccddeeff 60=48545450436c69656e74 3=0a090001 6=0a090035 58=00000708 59=00000c4e 12=6e6f646531 15=6c61622e6578616d706c65 42=0a090001 28=0a0900ff`,
	}
	for name, text := range want {
		d, _, _ := testDecider(pxe.ModeServer)
		var p packet
		if err := p.parse(captures(t)[name]); err != nil {
			t.Fatal(err)
		}
		m, err := judge(&p, "e0")
		if err != nil {
			t.Fatal(err)
		}
		r := d.decide(&m, onWire)
		out, err := encode(make([]byte, offOpts, maxMessage), &m, &r)
		if err != nil {
			t.Fatal(err)
		}
		var a packet
		if err := a.parse(out); err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%v %v next %v file %s\n%s", messageType(a.option(optType)[0]), a.yiaddr(), a.addrAt(offSIAddr),
			strings.TrimRight(string(out[offFile:offFile+lenFile]), "\x00"), listOptions(out))
		if got != text {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, text)
		}
	}
}

// listOptions writes the options in the order they are sent.
func listOptions(out []byte) string {
	var list []string
	for at := offOpts; out[at] != optEnd; at += 2 + int(out[at+1]) {
		list = append(list, fmt.Sprintf("%d=%x", out[at], out[at+2:at+2+int(out[at+1])]))
	}
	return strings.Join(list, " ")
}

func TestParseRefuses(t *testing.T) {
	good := ask(dhcpv4.MessageTypeDiscover)
	change := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	for _, tc := range []struct {
		name string
		raw  []byte
		want error
	}{
		{"nothing", nil, errShort},
		{"BOOTP without options", good[:offCookie], errShort},
		{"too long", make([]byte, maxPacket+1), errLong},
		{"no cookie", change(func(b []byte) []byte { b[offCookie] = 0; return b }), errCookie},
		{"hardware address beyond its field", change(func(b []byte) []byte { b[2] = 17; return b }), errHLen},
		{"option beyond the end", change(func(b []byte) []byte { return append(b[:offOpts], 12, 9, 'a') }), errOption},
		{"option without a length", change(func(b []byte) []byte { return append(b[:offOpts], 12) }), errOption},
		{"endless repetition", change(func(b []byte) []byte {
			return append(b[:offOpts], bytes.Repeat(append([]byte{12, 255}, make([]byte, 255)...), 30)...)
		}), errJoined},
	} {
		var p packet
		if err := p.parse(tc.raw); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

func TestJudgeRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"a reply", func() []byte { b := ask(dhcpv4.MessageTypeDiscover); b[0] = 2; return b }(), "not a request"},
		{"an offer", ask(dhcpv4.MessageTypeOffer), "only servers send"},
		{"a message of later", ask(dhcpv4.MessageType(13)), "not spoken here"},
		{"BOOTP", append(ask(dhcpv4.MessageTypeDiscover)[:offOpts], 255), "BOOTP"},
		{"a group address", func() []byte { b := ask(dhcpv4.MessageTypeDiscover); b[offCHAddr] = 0xff; return b }(), "multicast"},
		{"no name at all", func() []byte { b := ask(dhcpv4.MessageTypeDiscover); clear(b[offCHAddr : offCHAddr+16]); return b }(), "neither"},
	} {
		var p packet
		if err := p.parse(tc.raw); err != nil {
			t.Fatal(tc.name, err)
		}
		if _, err := judge(&p, "e0"); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// Options in the file and sname fields (RFC 2131 §4.1), and options in several
// parts (RFC 3396).
func TestOverloadAndLongOptions(t *testing.T) {
	raw := ask(dhcpv4.MessageTypeDiscover)[:offOpts]
	raw = append(raw, optType, 1, 1, optOverload, 1, 3, optUserClass, 2, 'i', 'P', optEnd)
	copy(raw[offFile:], []byte{optPad, optUserClass, 1, 'X', optHostname, 3, 'n', '-', '1', optEnd, 12, 200})
	copy(raw[offSName:], []byte{optUserClass, 1, 'E', optVendorClass, 2, 'P', 'C'})
	var p packet
	for range 2 { // a packet is used again
		if err := p.parse(raw); err != nil {
			t.Fatal(err)
		}
	}
	for code, want := range map[byte]string{optUserClass: "iPXE", optHostname: "n-1", optVendorClass: "PC"} {
		if got := string(p.option(code)); got != want {
			t.Errorf("option %d is %q, want %q", code, got, want)
		}
	}
	if p.option(optServerID) != nil {
		t.Error("an option that is not there")
	}
}

func TestUserClasses(t *testing.T) {
	for in, want := range map[string]string{
		"iPXE":                     "iPXE",
		"\x04iPXE":                 "iPXE",
		"\x04iPXE\x03abc":          "iPXE abc",
		"\x09iPXE":                 "\x09iPXE", // a length beyond the end: one bare string
		"":                         "",
		"\x00":                     "\x00",
		strings.Repeat("\x01a", 9): strings.TrimSpace(strings.Repeat("a ", 8)),
	} {
		if got := strings.Join(userClasses([]byte(in)), " "); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// FuzzParse: what both decoders take, they read alike.
func FuzzParse(f *testing.F) {
	for _, raw := range captures(f) {
		f.Add(raw)
	}
	f.Add(append(ask(dhcpv4.MessageTypeDiscover), 12, 1, 'a', 12, 1, 'b'))
	var p packet
	f.Fuzz(func(t *testing.T, raw []byte) {
		if p.parse(raw) != nil {
			return
		}
		if v := p.option(optOverload); v != nil {
			return // the library does not read options of other fields
		}
		other, err := dhcpv4.FromBytes(raw)
		if err != nil {
			return
		}
		if !other.ClientIPAddr.Equal(raw[offCIAddr:offCIAddr+4]) || byte(other.OpCode) != p.op() {
			t.Fatal("the fixed part is read differently")
		}
		for code := 1; code < 255; code++ {
			want, ok := other.Options[uint8(code)]
			got := p.option(byte(code))
			if (got != nil) != ok || !bytes.Equal(got, want) {
				t.Fatalf("option %d: %x, the library reads %x", code, got, want)
			}
		}
	})
}
