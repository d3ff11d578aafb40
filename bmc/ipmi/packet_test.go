package ipmi

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/bmc"
	"berth/internal/lab/hardware"
	"berth/internal/lab/vbmc"
)

func TestMessageLayout(t *testing.T) {
	// Get Channel Authentication Capabilities as ipmitool 1.8.19 sends it, byte for byte.
	want, _ := hex.DecodeString("0600ff0700000000000000000009" + "2018c8810438" + "8e04b1")
	if got := plain(request{0x06, 0x38, []byte{0x8e, 0x04}}.message(1)); !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

func keysFor(s suite) sealed { return s.derive(bytes.Repeat([]byte{7}, 20)) }

func TestSealedPacketsOpenAgain(t *testing.T) {
	for _, s := range []suite{suite3, suite17} {
		k := keysFor(s)
		for n := range 70 {
			message := bytes.Repeat([]byte{byte(n)}, n)
			p, err := k.seal(0x01020304, uint32(n), message)
			if err != nil {
				t.Fatal(err)
			}
			if len(p[4:len(p)-k.signature])%4 != 0 {
				t.Fatalf("suite %d, %d bytes: the signed part is not a multiple of four", s.id, n)
			}
			in, err := parsePlus(p)
			if err != nil {
				t.Fatal(err)
			}
			got, err := k.open(in)
			if err != nil || !bytes.Equal(got, message) || in.session != 0x01020304 || in.sequence != uint32(n) {
				t.Fatalf("suite %d, %d bytes: %x, %v", s.id, n, got, err)
			}
			for i := range p[4:] { // no bit of what is signed may change unnoticed
				bent := bytes.Clone(p)
				bent[4+i] ^= 0x10
				if in, err := parsePlus(bent); err == nil {
					if _, err := k.open(in); err == nil {
						t.Fatalf("suite %d, %d bytes: byte %d was changed and nobody noticed", s.id, n, 4+i)
					}
				}
			}
		}
	}
}

func TestBootFlags(t *testing.T) {
	for flags, want := range map[string]bmc.Boot{
		"0000000000": {Device: bmc.BootNone},
		"8000000000": {Device: bmc.BootNone},
		"0004000000": {Device: bmc.BootNone}, // a device, and not valid
		"8004000000": {Device: bmc.BootPXE, Mode: bmc.BootModeLegacy},
		"a004000000": {Device: bmc.BootPXE, Mode: bmc.BootModeUEFI},
		"e008000000": {Device: bmc.BootDisk, Mode: bmc.BootModeUEFI, Persistent: true},
		"a014000000": {Device: bmc.BootCDROM, Mode: bmc.BootModeUEFI},
		"8018000000": {Device: bmc.BootBIOS, Mode: bmc.BootModeLegacy},
		"803c000000": {Device: "ipmi-15", Mode: bmc.BootModeLegacy}, // floppy: not one of ours
	} {
		raw, _ := hex.DecodeString(flags)
		if got := bootOf(raw); got != want {
			t.Errorf("%s: %+v, want %+v", flags, got, want)
		}
	}
}

func TestCipherSuiteRecords(t *testing.T) {
	raw, _ := hex.DecodeString("c000004080" + "c003014181" + "c1aa010203" + "c011034481")
	raw = append(raw, 0xc0) // cut off
	if got := parseSuites(raw); !slices.Contains(got, 0) || !slices.Contains(got, 3) || !slices.Contains(got, 17) || slices.Contains(got, 0xaa) {
		t.Errorf("%v", got)
	}
}

func TestFindings(t *testing.T) {
	codes := func(p Presence) (out []string) {
		for _, f := range p.Findings() {
			out = append(out, f.Code)
		}
		return out
	}
	if got := codes(Presence{V20: true, CipherSuites: []int{3, 17}}); !slices.Equal(got, []string{"ipmi-on"}) {
		t.Errorf("a decent BMC: %v", got)
	}
	bad := Presence{V20: true, V15: true, CipherSuites: []int{0, 3}, Anonymous: true, NoAuth: true}
	if got := codes(bad); !slices.Equal(got, []string{"ipmi-on", "ipmi-cipher-0", "ipmi-null-user", "ipmi-no-auth"}) {
		t.Errorf("an open one: %v", got)
	}
}

// buildFRU makes an inventory of the three areas.
func buildFRU(chassis, board, product []string) []byte {
	area := func(head []byte, values []string) []byte {
		a := append([]byte{1, 0}, head...)
		for _, v := range values {
			a = append(append(a, 0xc0|byte(len(v))), v...)
		}
		a = append(a, 0xc1)
		for (len(a)+1)%8 != 0 {
			a = append(a, 0)
		}
		a[1] = byte((len(a) + 1) / 8)
		return append(a, checksum(a))
	}
	parts := [][]byte{area([]byte{0x17}, chassis), area([]byte{0x19, 1, 2, 3}, board), area([]byte{0x19}, product)}
	raw := []byte{1, 0, 0, 0, 0, 0, 0, 0}
	for i, p := range parts {
		raw[2+i] = byte(len(raw) / 8)
		raw = append(raw, p...)
	}
	raw[7] = checksum(raw[:7])
	return raw
}

func TestFRU(t *testing.T) {
	raw := buildFRU([]string{"CSE-819", "C1234"}, []string{"Supermicro", "X10DRW", "OM15AS000001", "X10DRW-i"},
		[]string{"Supermicro", "SYS-1018R", "SYS-1018R-WC0R", "0123456789", "S1234567X", "To Be Filled By O.E.M."})
	got, err := parseFRU(raw)
	want := fru{
		chassisType: "RackMount", chassis: [2]string{"CSE-819", "C1234"}, board: [4]string{"Supermicro", "X10DRW", "OM15AS000001", "X10DRW-i"},
		product: [6]string{"Supermicro", "SYS-1018R", "SYS-1018R-WC0R", "0123456789", "S1234567X", ""},
	}
	if err != nil || got != want {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	// One damaged area does not take the others along.
	raw[int(raw[3])*8+10] ^= 0xff
	got, err = parseFRU(raw)
	if err != nil || got.board != [4]string{} || got.product != want.product {
		t.Errorf("with a damaged board area: %+v, %v", got, err)
	}
	for _, bad := range [][]byte{nil, {1}, make([]byte, 8), bytes.Repeat([]byte{0xff}, 256)} {
		if _, err := parseFRU(bad); err == nil {
			t.Errorf("%x was taken for a FRU", bad)
		}
	}
}

func TestFRUTextTypes(t *testing.T) {
	for _, c := range []struct {
		kind byte
		in   string
		want string
	}{{0, "0aff", "0aff"}, {1, "1234ab", "1234 -"}, {2, "29dca6", "IPMI"}, {3, "4142001b43", "ABC"}} {
		raw, _ := hex.DecodeString(c.in)
		if got := text(c.kind, raw); got != c.want {
			t.Errorf("type %d of %s: %q, want %q", c.kind, c.in, got, c.want)
		}
	}
}

// TestDamagedPackets puts a relay in the way that cuts, bends, stretches, repeats and swallows packets. The driver may
// fail, never fall over, and what it says it has read is right.
func TestDamagedPackets(t *testing.T) {
	host := vbmc.NewBare(hardware.Server{Name: "n1"})
	b, err := vbmc.New(vbmc.Config{Protocol: vbmc.IPMI}, host)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	relay := newRelay(t, b.Endpoint(vbmc.IPMI).String())
	target := bmc.Target{Kind: bmc.KindIPMI, Address: relay, Username: "admin", Password: bmc.NewSecret("berth-lab")}
	var opened, read int
	for range 60 {
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		d, err := opener("")(ctx, target)
		if err != nil {
			if !known(err) {
				t.Errorf("open: %v", err)
			}
			cancel()
			continue
		}
		opened++
		if state, err := d.Power(ctx); err == nil {
			read++
			if state != bmc.PowerOff {
				t.Errorf("the machine is off, and reads %v", state)
			}
		} else if !known(err) {
			t.Errorf("power: %v", err)
		}
		if in, err := d.Inventory(ctx); err == nil && in.System.Serial != "" && in.System.Serial != host.Server().System.Serial {
			t.Errorf("serial %q, want %q", in.System.Serial, host.Server().System.Serial)
		} else if err != nil && !known(err) {
			t.Errorf("inventory: %v", err)
		}
		_ = d.Close(ctx)
		cancel()
	}
	if opened == 0 || read == 0 {
		t.Errorf("%d sessions, %d reads: the relay lets nothing through, so this proves nothing", opened, read)
	}
}

// known reports that an error is one that callers can test for.
func known(err error) bool {
	for _, k := range []error{bmc.ErrUnreachable, bmc.ErrMalformed, bmc.ErrAuth, bmc.ErrBusy, bmc.ErrDenied, bmc.ErrUnsupported, bmc.ErrRefused, bmc.ErrInternal, bmc.ErrEmptyInventory} {
		if errors.Is(err, k) {
			return true
		}
	}
	return false
}

func newRelay(t *testing.T, to string) string {
	t.Helper()
	up, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	down, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var client net.Addr
	done := make(chan struct{}, 2)
	clients := make(chan net.Addr, 1)
	go func() {
		defer func() { done <- struct{}{} }()
		buf := make([]byte, maxPacket)
		for {
			n, from, err := down.ReadFrom(buf)
			if err != nil {
				return
			}
			select {
			case clients <- from:
			case <-clients:
				clients <- from
			}
			_, _ = up.Write(buf[:n])
		}
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		r := rand.New(rand.NewPCG(1, 2))
		buf := make([]byte, maxPacket)
		for {
			n, err := up.Read(buf)
			if err != nil {
				return
			}
			select {
			case client = <-clients:
			default:
			}
			for _, p := range damage(r, bytes.Clone(buf[:n])) {
				_, _ = down.WriteTo(p, client)
			}
		}
	}()
	t.Cleanup(func() {
		up.Close()
		down.Close()
		<-done
		<-done
	})
	return down.LocalAddr().String()
}

// damage leaves most packets whole. Each bad one is followed by the good one two times in three.
func damage(r *rand.Rand, p []byte) [][]byte {
	if r.IntN(4) > 0 || len(p) == 0 {
		return [][]byte{p}
	}
	bent := bytes.Clone(p)
	switch r.IntN(4) {
	case 0:
		bent = bent[:r.IntN(len(bent))]
	case 1:
		for range 1 + r.IntN(4) {
			bent[r.IntN(len(bent))] = byte(r.IntN(256))
		}
	case 2:
		bent = append(bent, make([]byte, r.IntN(64))...)
	case 3:
		return [][]byte{p, p}
	}
	if r.IntN(3) == 0 {
		return [][]byte{bent}
	}
	return [][]byte{bent, p}
}

func FuzzPacket(f *testing.F) {
	good, _ := keysFor(suite17).seal(1, 1, request{0x06, 0x01, nil}.message(1))
	f.Add(good)
	f.Add(plain(request{0x06, 0x38, []byte{0x8e, 4}}.message(1)))
	f.Add([]byte("\x06\x00\xff\x07\x06\xc0\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		if m, err := parsePlain(p); err == nil {
			_, _ = parseMessage(m)
		}
		_, _ = parseMessage(p)
		in, err := parsePlus(p)
		if err != nil {
			return
		}
		for _, s := range []suite{suite3, suite17} {
			_, _ = keysFor(s).open(in)
			_, _ = keysFor(s).decrypt(in.payload) // as if the signature were right
		}
	})
}

func FuzzFRU(f *testing.F) {
	f.Add(buildFRU([]string{"a"}, []string{"b", "c"}, []string{"d", "e", "f", "g", "h"}))
	f.Add([]byte{1, 0, 1, 1, 1, 0, 0, 0xfc})
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := parseFRU(raw)
		if err != nil {
			return
		}
		for _, s := range slices.Concat(got.chassis[:], got.board[:], got.product[:]) {
			if strings.ContainsAny(s, "\x1b\n\r\x00") || len(s) > 200 {
				t.Errorf("a field holds %q", s)
			}
		}
		_ = parseSuites(raw)
		if len(raw) >= 2 {
			_ = bootOf(raw)
		}
	})
}
