package main

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A used port ends the start with a sentence that names it and says what to do, whichever listener wants it.
func TestUsedPorts(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for _, c := range []struct{ flag, addr string }{{"--http", tcp.Addr().String()}, {"--boot", tcp.Addr().String()}, {"--tftp", udp.LocalAddr().String()}} {
		args := []string{"serve", "--data", filepath.Join(t.TempDir(), "data"), "--http", "127.0.0.1:0", "--boot", "127.0.0.1:0", "--dhcp", "off", "--log-level", "error", c.flag, c.addr}
		ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
		out, code := typed(ctx, args...)
		stop()
		if code != exitFailed || !strings.Contains(out, c.addr) || !strings.Contains(out, "in use") && !strings.Contains(out, "another") {
			t.Errorf("%s %s: exit code %d: %s", c.flag, c.addr, code, out)
		}
	}
}

// Keys and certificates that cannot be read, or are another's, keep the server from starting, and nothing is put in their place.
func TestKeysThatCannotBeRead(t *testing.T) {
	serve := func(data string, more ...string) string {
		t.Helper()
		ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
		defer stop()
		out, code := typed(ctx, append([]string{"serve", "--data", data, "--http", "127.0.0.1:0", "--boot", "127.0.0.1:0", "--dhcp", "off", "--log-level", "error"}, more...)...)
		if code == exitOK {
			t.Errorf("it started with %s", strings.Join(more, " "))
		}
		return out
	}
	data := filepath.Join(t.TempDir(), "data")
	if out, code := typed(t.Context(), "dev", "seed", "--machines", "1", "--data", data); code != exitOK {
		t.Fatal(out)
	}
	key, err := os.ReadFile(data + ".key")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(data + ".key"); err != nil {
		t.Fatal(err)
	}
	if out := serve(data); !strings.Contains(out, "is gone") {
		t.Errorf("a key that is gone: %s", out)
	}
	if _, err := os.Stat(data + ".key"); err == nil {
		t.Error("another key was put in its place")
	}
	for name, text := range map[string]string{"empty": "", "nonsense": "nonsense\n", "cut": string(key[:len(key)/2])} {
		if err := os.WriteFile(data+".key", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out := serve(data); !strings.Contains(out, data+".key") {
			t.Errorf("%s key: %s", name, out)
		}
	}
	other := filepath.Join(t.TempDir(), "other")
	if out, code := typed(t.Context(), "dev", "seed", "--machines", "1", "--data", other); code != exitOK {
		t.Fatal(out)
	}
	if out := serve(data, "--key", other+".key"); !strings.Contains(out, "another key") {
		t.Errorf("another record's key: %s", out)
	}
	if out := serve(other, "--tls-cert", "/nonexistent.pem", "--tls-key", "/nonexistent.key"); !strings.Contains(out, "/nonexistent.pem") {
		t.Errorf("a certificate that is not there: %s", out)
	}
}

// Nothing in the state directory is for others, whatever the directory was before.
func TestStateIsPrivate(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	running(t, data)
	err := filepath.Walk(data, func(path string, info os.FileInfo, err error) error {
		if err == nil && path != data && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// On a full disk the server goes on answering, refuses what it cannot keep in a sentence, loses nothing that it has said yes to, and
// works again when there is room.
func TestAFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("a full disk needs root to be mounted")
		}
		t.Skip("SKIPPED: a full disk needs root to be mounted")
	}
	mount := t.TempDir()
	if err := syscall.Mount("berth-test", mount, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("SKIPPED: no tmpfs can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(mount, 0); err != nil {
			t.Error(err)
		}
	})
	data := filepath.Join(mount, "data")
	t.Setenv("BERTH_URL", "")
	running(t, data)
	ask := func(args ...string) (string, int) {
		return typed(t.Context(), append([]string{"--data", data}, args...)...)
	}
	if out, code := ask("site", "create", "name=Before", "slug=before"); code != exitOK {
		t.Fatal(out)
	}
	ballast := filepath.Join(mount, "ballast")
	fill(t, ballast)
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, noise(4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := ask("image", "import", big, "--name", "big-1"); code == exitOK || !strings.Contains(out, "disk") || !strings.Contains(out, "full") {
		t.Errorf("an image was taken onto a full disk: %s", out)
	}
	refused := false
	for i := range 200 { // what was laid out before it was full may hold some more
		slug := "s" + string(rune('a'+i%26)) + string(rune('a'+i/26))
		out, code := ask("device", "create", "name="+slug, "notes="+strings.Repeat("x", 60000))
		if refused = code != exitOK; refused {
			if code != exitFailed || !strings.Contains(out, "disk is full") {
				t.Errorf("a full disk is not said: exit code %d, %s", code, out)
			}
			if got, code := ask("device", "show", slug); code == exitOK {
				t.Errorf("what was refused is there: %s", got)
			}
			break
		}
		if got, code := ask("device", "show", slug); code != exitOK {
			t.Errorf("what was accepted is not there: %s", got)
		}
	}
	if !refused {
		t.Error("the disk never was full")
	}
	if out, code := ask("site", "show", "before"); code != exitOK {
		t.Errorf("the server does not answer on a full disk: %s", out)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		out, code := ask("site", "create", "name=After", "slug=after")
		if code == exitOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("there is room again, and the server says: %s", out)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if out, code := ask("image", "import", big, "--name", "big-1"); code != exitOK {
		t.Errorf("import with room: %s", out)
	}
}

// fill writes until nothing more fits.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, n := range []int{1 << 20, 4096, 1} {
		for {
			if _, err := f.Write(noise(n)); err != nil {
				break
			}
		}
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
