package agenttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth/api"
	"berth/storage/image"
)

// Disk is a loop device over a file. The name of the file is its serial number.
type Disk struct {
	Path   string // of the device
	Serial string
	file   string
}

// NewDisk makes a disk of size bytes, filled by content from the start. Disks of one serial can be made as often as a test likes. It
// needs root: without, the test is skipped aloud, and fails in CI.
func NewDisk(t testing.TB, serial string, size int64, content []byte) *Disk {
	t.Helper()
	d := &Disk{Serial: serial, file: filepath.Join(t.TempDir(), serial)}
	if err := os.WriteFile(d.file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.file, size); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(d.file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for range 100 { // another process may take the device that was just free
		if d.Path, err = attach(file); err == nil {
			t.Cleanup(func() { detach(t, d.Path) })
			return d
		}
		if !errors.Is(err, unix.EBUSY) {
			break
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("no loop device: %v", err)
	}
	t.Skipf("SKIPPED: no loop device, which needs root: %v", err)
	return nil
}

func attach(file *os.File) (string, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer control.Close()
	n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return "", err
	}
	path := fmt.Sprintf("/dev/loop%d", n)
	loop, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer loop.Close()
	return path, unix.IoctlLoopConfigure(int(loop.Fd()), &unix.LoopConfig{Fd: uint32(file.Fd())})
}

func detach(t testing.TB, path string) {
	loop, err := os.Open(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer loop.Close()
	if err := unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_CLR_FD, 0); err != nil {
		t.Errorf("detach %s: %v", path, err)
	}
}

// Bytes is what the disk holds, the kernel's cache included.
func (d *Disk) Bytes(t testing.TB) []byte {
	t.Helper()
	raw, err := os.ReadFile(d.Path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Ref names the disk as an assignment does.
func (d *Disk) Ref() api.DiskRef { return api.DiskRef{Serial: d.Serial} }

// Image is a stored image and the server that it is fetched from.
type Image struct {
	Raw      []byte
	Manifest image.Manifest
	URL      string

	gate    chan struct{}
	gateAt  int64
	served  atomic.Int64
	reached chan struct{}
}

// NewImage stores an image of size bytes, some of it zero, and serves it. Equal seeds make equal images.
func NewImage(t testing.TB, size int, seed uint64) *Image {
	t.Helper()
	raw := make([]byte, size)
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 7})
	for at := 0; at < size; at += 1 << 20 {
		if at>>20%5 != 3 { // a megabyte of zeros here and there
			random.Read(raw[at:min(at+1<<20, size)])
		}
	}
	dir := t.TempDir()
	manifest, err := image.Import(context.Background(), bytes.NewReader(raw), image.Options{Dir: dir, Format: image.FormatRaw})
	if err != nil {
		t.Fatal(err)
	}
	i := &Image{Raw: raw, Manifest: manifest, reached: make(chan struct{})}
	server := httptest.NewServer(i.gated(image.Handler(dir)))
	t.Cleanup(func() { i.Open(); server.CloseClientConnections(); server.Close() })
	i.URL = server.URL + "/" + manifest.Digest.Hex()
	return i
}

// Gate makes the server stop after that many bytes, until Open.
func (i *Image) Gate(after int64) { i.gate, i.gateAt = make(chan struct{}), after }

// Reached waits until the gate holds the transfer.
func (i *Image) Reached(t testing.TB) {
	t.Helper()
	select {
	case <-i.reached:
	case <-time.After(30 * time.Second):
		t.Fatal("the transfer did not reach the gate")
	}
}

// Open lets the transfer go on. It may be called again.
func (i *Image) Open() {
	if i.gate == nil {
		return
	}
	select {
	case <-i.gate:
	default:
		close(i.gate)
	}
}

func (i *Image) gated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&gateWriter{ResponseWriter: w, image: i, ended: r.Context().Done()}, r)
	})
}

type gateWriter struct {
	http.ResponseWriter
	image *Image
	ended <-chan struct{}
}

func (g *gateWriter) Write(p []byte) (int, error) {
	i := g.image
	if i.gate != nil && i.served.Add(int64(len(p))) > i.gateAt {
		if f, ok := g.ResponseWriter.(http.Flusher); ok {
			f.Flush()
		}
		select {
		case <-i.reached:
		default:
			close(i.reached)
		}
		select {
		case <-i.gate:
		case <-g.ended:
			return 0, errors.New("nobody is listening any more")
		}
	}
	return g.ResponseWriter.Write(p)
}

// Write is an assignment to put the image on a disk.
func (i *Image) Write(id string, disk api.DiskRef) api.Assignment {
	return api.Assignment{ID: id, Verb: api.VerbWrite, Deadline: time.Now().Add(5 * time.Minute), Write: &api.WriteArgs{
		Disk: disk, ImageURL: i.URL, TreeHash: i.Manifest.Tree.String(), Digest: i.Manifest.Digest.String(), SizeBytes: int64(len(i.Raw)),
	}}
}
