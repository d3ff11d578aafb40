package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// newNamespace makes one for a test, or skips without root.
func newNamespace(t *testing.T) *Namespace {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("not root, and CI never skips")
		}
		t.Skip("SKIPPED: not root; the lab's network is NOT tested")
	}
	n, err := NewNamespace(fmt.Sprintf("%st%d", Prefix, os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(n.Path()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the namespace is left: %v", err)
		}
	})
	return n
}

func TestNamespaceIsApart(t *testing.T) {
	n := newNamespace(t)
	if err := n.AddBridge("br0", netip.MustParsePrefix("10.77.0.1/24"), netip.MustParsePrefix("10.77.1.1/24")); err != nil {
		t.Fatal(err)
	}
	if err := n.AddTap("tap0", "br0"); err != nil {
		t.Fatal(err)
	}
	if _, err := net.InterfaceByName("tap0"); err == nil {
		t.Error("the tap is on the host")
	}
	out, err := n.Command(t.Context(), "ip", "-o", "link").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "tap0") || !strings.Contains(string(out), "master br0") {
		t.Errorf("inside there is: %v\n%s", err, out)
	}
	l, err := n.Listen("tcp", "10.77.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := n.DialContext(t.Context(), "tcp", "10.77.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := n.DialContext(t.Context(), "tcp", "localhost:80"); err == nil {
		t.Error("a name was dialled")
	}
	p, err := n.ListenPacket("udp", "10.77.1.1:623")
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
}

func TestStartedProcessIsInside(t *testing.T) {
	n := newNamespace(t)
	var out bytes.Buffer
	cmd := n.Command(t.Context(), "true") // for its shape only
	cmd.Path, cmd.Args = "/usr/bin/readlink", []string{"readlink", "/proc/self/ns/net"}
	cmd.Stdout = &out
	if err := n.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(out.String()); got == home || !strings.HasPrefix(got, "net:") {
		t.Errorf("it ran in %q, the host's is %q", got, home)
	}
}

func TestForeignNamesAreRefused(t *testing.T) {
	for _, name := range []string{"mine", Prefix + "a/../../etc", ""} {
		if _, err := NewNamespace(name); err == nil {
			t.Errorf("namespace %q was made", name)
		}
		if err := Remove(name); err == nil {
			t.Errorf("namespace %q was removed", name)
		}
	}
}

func TestForward(t *testing.T) {
	n := newNamespace(t)
	l, err := n.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	})}
	go srv.Serve(l)
	defer srv.Close()
	f, err := n.Forward("127.0.0.1:0", "127.0.0.1:8080", time.Minute, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := strings.Repeat("through the wall ", 100_000)
	resp, err := http.Post("http://"+f.Addr(), "text/plain", strings.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != want {
		t.Errorf("%d bytes came back of %d, %v", len(got), len(want), err)
	}
	if _, err := n.Forward("0.0.0.0:0", "127.0.0.1:8080", time.Minute, slog.Default()); err == nil {
		t.Error("it listens on every address of the host")
	}
}

func TestForwardClosesIdleAndOpenConnections(t *testing.T) {
	n := newNamespace(t)
	l, err := n.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, idle := range []time.Duration{50 * time.Millisecond, time.Hour} {
		f, err := n.Forward("127.0.0.1:0", "127.0.0.1:8080", idle, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", f.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if idle == time.Hour {
			f.Close()
		}
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) || err == nil {
			t.Errorf("idle %s: the connection lives, %v", idle, err)
		}
		c.Close()
		f.Close()
	}
}

func TestRawSocketSeesFrames(t *testing.T) {
	n := newNamespace(t)
	if err := n.AddBridge("br0", netip.MustParsePrefix("10.77.0.1/24")); err != nil {
		t.Fatal(err)
	}
	see, err := n.OpenTap("br0")
	if err != nil {
		t.Fatal(err)
	}
	send, err := n.OpenTap("br0")
	if err != nil {
		t.Fatal(err)
	}
	defer send.Close()
	mac := net.HardwareAddr{0x52, 0x54, 0, 1, 2, 3}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			send.Write(magicFrame(mac))
			time.Sleep(10 * time.Millisecond)
		}
	}()
	err = see.Frames(ctx, func(frame []byte) bool {
		got, ok := WakeTarget(frame)
		return !ok || got.String() != mac.String()
	})
	if err != nil {
		t.Errorf("the frame was not seen: %v", err)
	}
}

// magicFrame is a magic packet of Ethernet type 0842h.
func magicFrame(mac net.HardwareAddr) []byte {
	f := append(bytes.Repeat([]byte{0xff}, 6), 0x52, 0x54, 0, 9, 9, 9, 0x08, 0x42)
	return append(append(f, bytes.Repeat([]byte{0xff}, 6)...), bytes.Repeat(mac, 16)...)
}

func TestWakeTarget(t *testing.T) {
	mac := net.HardwareAddr{0x52, 0x54, 0, 1, 2, 3}
	whole := magicFrame(mac)
	broken := magicFrame(mac)
	broken[len(broken)-1]++
	cases := map[string]struct {
		frame []byte
		found bool
	}{
		"magic":        {whole, true},
		"with a tail":  {append(bytes.Clone(whole), 1, 2, 3, 4), true},
		"more ones":    {append([]byte{0xff, 0xff, 0xff}, whole...), true},
		"cut":          {whole[:len(whole)-1], false},
		"broken":       {broken, false},
		"only ones":    {bytes.Repeat([]byte{0xff}, 300), false},
		"empty":        {nil, false},
		"begins late":  {append(bytes.Repeat([]byte{0}, 42), whole[14:]...), true},
		"ones in mac":  {magicFrame(net.HardwareAddr{0xff, 0xff, 0, 1, 2, 3}), true},
		"ones and mac": {append(bytes.Repeat([]byte{0xff}, 5), bytes.Repeat(mac, 16)...), false},
	}
	for name, c := range cases {
		if got, ok := WakeTarget(c.frame); ok != c.found || (ok && name == "magic" && got.String() != mac.String()) {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
}

func FuzzWakeTarget(f *testing.F) {
	f.Add(magicFrame(net.HardwareAddr{0x52, 0x54, 0, 1, 2, 3}))
	f.Add(bytes.Repeat([]byte{0xff}, 120))
	f.Fuzz(func(t *testing.T, frame []byte) {
		mac, ok := WakeTarget(frame)
		if ok && !bytes.Contains(frame, append(bytes.Repeat([]byte{0xff}, 6), bytes.Repeat(mac, 16)...)) {
			t.Errorf("%v is not in the frame", mac)
		}
	})
}

func TestLLDPFrame(t *testing.T) {
	l := LLDP{Switch: "lab-switch", ChassisMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Port: "port1", Description: "to one", TTL: 120 * time.Second}
	got := l.Frame()
	want := "\x01\x80\xc2\x00\x00\x0e\x02\x00\x00\x00\x00\x01\x88\xcc" +
		"\x02\x07\x04\x02\x00\x00\x00\x00\x01" +
		"\x04\x06\x05port1" +
		"\x06\x02\x00\x78" +
		"\x08\x06to one" +
		"\x0a\x0alab-switch" +
		"\x0c\x18berth lab virtual switch" +
		"\x00\x00"
	if string(got) != want {
		t.Errorf("the frame is\n%x, want\n%x", got, want)
	}
	if n := len(LLDP{ChassisMAC: l.ChassisMAC}.Frame()); n < minFrame {
		t.Errorf("a short frame has %d bytes", n)
	}
}
