package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// qemuImg runs qemu-img, which makes the files and is never part of the product.
func qemuImg(t testing.TB, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("qemu-img"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("qemu-img is missing (Debian package qemu-utils)")
		}
		t.Skip("SKIPPED: qemu-img is missing (Debian package qemu-utils)")
	}
	if out, err := exec.Command("qemu-img", args...).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img %v: %v\n%s", args, err, out)
	}
}

func qcow2Of(t testing.TB, raw []byte, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.raw"), filepath.Join(dir, "out.qcow2")
	if err := os.WriteFile(in, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	qemuImg(t, append(append([]string{"convert", "-f", "raw", "-O", "qcow2"}, args...), in, out)...)
	return out
}

func importFile(t testing.TB, name string, o Options) (Manifest, error) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o.Dir = t.TempDir()
	return Import(t.Context(), f, o)
}

func TestQCOW2(t *testing.T) {
	raw := testImage()
	for name, args := range map[string][]string{
		"version 2":      {"-o", "compat=0.10"},
		"version 3":      {"-o", "compat=1.1"},
		"small clusters": {"-o", "cluster_size=512"},
		"big clusters":   {"-o", "cluster_size=2M"},
		"deflate":        {"-c"},
		"zstd":           {"-c", "-o", "compression_type=zstd"},
		"preallocated":   {"-o", "preallocation=full"},
		"lazy refcounts": {"-o", "lazy_refcounts=on"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := importFile(t, qcow2Of(t, raw, args...), Options{Format: FormatQCOW2, Expected: sha(raw)})
			if err != nil {
				t.Fatal(err)
			}
			if m.Digest != sha(raw) || m.Source.Matched != MatchedRaw || m.Source.Format != FormatQCOW2 {
				t.Errorf("%+v", m)
			}
		})
	}
}

func TestQCOW2Snapshot(t *testing.T) {
	raw := testImage()
	file := qcow2Of(t, raw)
	qemuImg(t, "snapshot", "-c", "before", file)
	if m, err := importFile(t, file, Options{Format: FormatQCOW2}); err != nil || m.Digest != sha(raw) {
		t.Errorf("%v, %v", m.Digest, err)
	}
}

// TestQCOW2Gate holds every door through which a qcow2 file could reach another file, and the limits.
func TestQCOW2Gate(t *testing.T) {
	raw := make([]byte, 1<<20)
	dir := t.TempDir()
	base := filepath.Join(dir, "base.raw")
	if err := os.WriteFile(base, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	qemuImg(t, "create", "-f", "qcow2", "-b", base, "-F", "raw", at("backing"))
	qemuImg(t, "create", "-f", "qcow2", "-o", "data_file="+at("data"), at("datafile"), "1M")
	qemuImg(t, "create", "-f", "qcow2", "-o", "extended_l2=on,cluster_size=128k", at("extended"), "1M")
	qemuImg(t, "create", "-f", "qcow2", at("huge"), "100T")
	qemuImg(t, "create", "-f", "qcow2", at("big"), "2G")
	for name, want := range map[string]struct {
		err    error
		saying string
	}{
		"backing": {ErrFormat, "backing file"}, "datafile": {ErrFormat, "another file"}, "extended": {ErrFormat, "extended L2"}, "huge": {ErrFormat, "a disk of"}, "big": {ErrTooBig, "2147483648 bytes"},
	} {
		_, err := importFile(t, at(name), Options{Format: FormatQCOW2, MaxSize: 1 << 30})
		if !errors.Is(err, want.err) || !strings.Contains(err.Error(), want.saying) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// smallQCOW2 is a version 3 image of two clusters of 512 bytes, made by hand: one with data, one not allocated.
func smallQCOW2() []byte {
	const cluster = 512
	b := make([]byte, 5*cluster)
	copy(b, qcow2Magic)
	be := binary.BigEndian
	be.PutUint32(b[4:], 3)
	be.PutUint32(b[20:], 9)
	be.PutUint64(b[24:], 2*cluster) // size
	be.PutUint32(b[36:], 1)         // L1 entries
	be.PutUint64(b[40:], cluster)   // L1
	be.PutUint64(b[48:], 2*cluster) // refcount table
	be.PutUint32(b[56:], 1)
	be.PutUint32(b[96:], 4)
	be.PutUint32(b[100:], 104)
	be.PutUint64(b[cluster:], 3*cluster)   // L2
	be.PutUint64(b[3*cluster:], 4*cluster) // data
	for i := range cluster {
		b[4*cluster+i] = 0xaa
	}
	return b
}

func TestQCOW2Damaged(t *testing.T) {
	good := smallQCOW2()
	read := func(b []byte) ([]byte, error) {
		q, err := newQCOW2(bytes.NewReader(b), int64(len(b)), 1<<20)
		if err != nil {
			return nil, err
		}
		defer q.Close()
		return io.ReadAll(q)
	}
	if got, err := read(good); err != nil || !bytes.Equal(got, append(bytes.Repeat([]byte{0xaa}, 512), make([]byte, 512)...)) {
		t.Fatalf("the undamaged image: %v", err)
	}
	be := binary.BigEndian
	for name, damage := range map[string]func(b []byte) []byte{
		"version":                  func(b []byte) []byte { b[7] = 4; return b },
		"cluster bits":             func(b []byte) []byte { b[23] = 30; return b },
		"backing size only":        func(b []byte) []byte { b[19] = 9; return b },
		"encrypted by AES":         func(b []byte) []byte { b[35] = 1; return b },
		"encrypted by LUKS":        func(b []byte) []byte { b[35] = 2; return b },
		"encryption header":        func(b []byte) []byte { be.PutUint32(b[104:], qcow2ExtEncryption); return b },
		"unknown feature":          func(b []byte) []byte { b[72] = 0x80; return b },
		"corrupt":                  func(b []byte) []byte { b[79] = 2; return b },
		"size zero":                func(b []byte) []byte { be.PutUint64(b[24:], 0); return b },
		"size odd":                 func(b []byte) []byte { be.PutUint64(b[24:], 1000); return b },
		"L1 too short":             func(b []byte) []byte { be.PutUint64(b[24:], 1<<19); return b },
		"L1 outside":               func(b []byte) []byte { be.PutUint64(b[40:], 1<<40); return b },
		"L1 not aligned":           func(b []byte) []byte { be.PutUint64(b[40:], 520); return b },
		"L1 wraps around":          func(b []byte) []byte { be.PutUint64(b[40:], 1<<64-512); return b },
		"refcounts outside":        func(b []byte) []byte { be.PutUint64(b[48:], 1<<40); return b },
		"L2 outside":               func(b []byte) []byte { be.PutUint64(b[512:], 1<<40); return b },
		"data outside":             func(b []byte) []byte { be.PutUint64(b[3*512:], 1<<40); return b },
		"compressed outside":       func(b []byte) []byte { be.PutUint64(b[3*512:], qcow2Compressed|1<<40); return b },
		"compressed header":        func(b []byte) []byte { be.PutUint64(b[3*512:], qcow2Compressed|8); return b },
		"compressed garbage":       func(b []byte) []byte { be.PutUint64(b[3*512:], qcow2Compressed|4*512); return b },
		"header length":            func(b []byte) []byte { be.PutUint32(b[100:], 1<<20); return b },
		"unknown compression type": func(b []byte) []byte { b[79], b[103], b[104] = 8, 112, 7; return b },
		"external data file name":  func(b []byte) []byte { be.PutUint32(b[104:], qcow2ExtDataFile); return b },
		"cut header":               func(b []byte) []byte { return b[:90] },
		"cut tables":               func(b []byte) []byte { return b[:3*512] },
	} {
		if got, err := read(damage(bytes.Clone(good))); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func FuzzQCOW2(f *testing.F) {
	f.Add(smallQCOW2())
	b := smallQCOW2()
	binary.BigEndian.PutUint64(b[3*512:], qcow2Compressed|4*512)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1 << 20
		q, err := newQCOW2(bytes.NewReader(b), int64(len(b)), limit)
		if err != nil {
			return
		}
		defer q.Close()
		n, err := io.Copy(io.Discard, q)
		if n > limit || err == nil && n != q.head.size {
			t.Errorf("read %d bytes of a disk of %d: %v", n, q.head.size, err)
		}
	})
}
