//go:build linux

package disk

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"berth/storage"
	"berth/storage/image"
)

// benchRaw is a disk image of which 35 % is zero, 20 % random and 45 % like text.
func benchRaw(size int) []byte {
	raw, r := make([]byte, size), rand.New(rand.NewPCG(1, 2))
	words := make([]byte, 1<<20)
	for i := 0; i < len(words); {
		i += copy(words[i:], fmt.Sprintf("%x the word %d of a text ", r.IntN(1<<16), r.IntN(5000)))
	}
	const stripe = 1 << 20
	for at := 0; at+stripe <= size; at += stripe {
		switch p := at / stripe % 20; {
		case p < 9:
			copy(raw[at:at+stripe], words[r.IntN(1<<10):])
		case p < 13:
			rand.NewChaCha8([32]byte{byte(at >> 20), byte(at >> 28)}).Read(raw[at : at+stripe])
		}
	}
	return raw
}

// bench is one image in both forms behind one server, and a disk.
type bench struct {
	raw      []byte
	manifest image.Manifest
	zst      string // URL of the whole image as one zstd stream
	frames   string // URL of the image as berth stores it
	path     string // of the disk
}

func newBench(b *testing.B) *bench {
	mibs, err := strconv.Atoi(os.Getenv("BERTH_BENCH_MIB"))
	if err != nil {
		mibs = 64
	}
	x := &bench{raw: benchRaw(mibs << 20)}
	dir := b.TempDir()
	x.manifest, err = image.Import(b.Context(), bytes.NewReader(x.raw), image.Options{Dir: dir, Format: image.FormatRaw})
	if err != nil {
		b.Fatal(err)
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		b.Fatal(err)
	}
	whole := filepath.Join(b.TempDir(), "image.zst")
	if err := os.WriteFile(whole, z.EncodeAll(x.raw, nil), 0o600); err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/image/", http.StripPrefix("/image", image.Handler(dir)))
	mux.HandleFunc("/image.zst", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, whole) })
	srv := httptest.NewServer(mux)
	b.Cleanup(srv.Close)
	x.zst, x.frames = srv.URL+"/image.zst", srv.URL+"/image/"+x.manifest.Digest.Hex()
	x.path = attach(b, sparse(b, "target.img", int64(mibs)<<20+16*storage.MiB), 512)
	return x
}

// measure runs one way of writing, and reports processor time per 10^9 raw bytes of everything that took part, server
// and child processes included.
func (x *bench) measure(b *testing.B, way func(b *testing.B) error) {
	b.SetBytes(int64(len(x.raw)))
	before := cpu(b)
	for b.Loop() {
		if err := way(b); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpu(b)-before).Seconds()/float64(b.N)/float64(len(x.raw))*1e9, "cpu-s/GB")
}

func cpu(b *testing.B) time.Duration {
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

// BenchmarkWrite compares Write with how others write an image, over HTTP to a loop device:
//
//	BERTH_BENCH_MIB=1024 go test ./storage/disk -run '^$' -bench Write -benchtime 1x -count 3
func BenchmarkWrite(b *testing.B) {
	x := newBench(b)
	b.Run("berth, read back", func(b *testing.B) {
		x.measure(b, func(b *testing.B) error {
			result, err := x.berth(b)
			b.ReportMetric(result.Took[PhaseReadBack].Seconds(), "readback-s")
			b.ReportMetric(float64(b2i(result.Direct)), "direct")
			return err
		})
	})
	b.Run("serial io.Copy, sha256 in the stream, no read back", func(b *testing.B) {
		x.measure(b, func(b *testing.B) error { return x.serial(b) })
	})
	b.Run("curl zstd dd direct, no check", func(b *testing.B) {
		x.measure(b, func(b *testing.B) error { return x.shell(b) })
	})
}

func b2i(v bool) int {
	if v {
		return 1
	}
	return 0
}

func (x *bench) berth(b *testing.B) (Result, error) {
	d, err := Open(x.path, Options{Write: true, AllowLoop: true})
	if err != nil {
		return Result{}, err
	}
	defer d.Close()
	src, err := image.Fetch{URL: x.frames, Tree: x.manifest.Tree}.Open(b.Context())
	if err != nil {
		return Result{}, err
	}
	defer src.Close()
	return Write(b.Context(), d, src, WriteOptions{Guard: allow})
}

func (x *bench) serial(b *testing.B) error {
	d, err := Open(x.path, Options{Write: true, AllowLoop: true})
	if err != nil {
		return err
	}
	defer d.Close()
	resp, err := http.Get(x.zst)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	z, err := zstd.NewReader(resp.Body, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer z.Close()
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(io.NewOffsetWriter(d, 0), h), z); err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != x.manifest.Digest.Hex() {
		b.Errorf("the digest is %s", got)
	}
	return nil
}

func (x *bench) shell(b *testing.B) error {
	for _, name := range []string{"curl", "zstd", "dd"} {
		tool(b, name)
	}
	script := `set -o pipefail; curl -s "$0" | zstd -dc | dd of="$1" bs=4M iflag=fullblock oflag=direct conv=fsync status=none`
	out, err := exec.Command("bash", "-c", script, x.zst, x.path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
