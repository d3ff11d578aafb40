package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// testRaw makes a raw image of this size in bytes: random, text-like and zero stretches, from a seed.
func testRaw(size int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, size)
	for at := 0; at < size; {
		n := min(size-at, 1+r.IntN(3<<20))
		switch r.IntN(3) {
		case 0:
			rand.NewChaCha8([32]byte{byte(r.Int())}).Read(b[at : at+n])
		case 1:
			for i := range n {
				b[at+i] = byte('a' + (i*i)%19)
			}
		}
		at += n
	}
	copy(b, "\xfa\xb8not a disguise")
	return b
}

// testImage has a frame of zeros in the middle and a short last frame.
func testImage() []byte {
	raw := testRaw(5*FrameSize+3*SectorSize, 7)
	clear(raw[2*FrameSize : 3*FrameSize])
	return raw
}

func sha(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest("sha256:" + hex.EncodeToString(sum[:]))
}

func mustImport(t testing.TB, raw []byte) (dir string, m Manifest) {
	t.Helper()
	dir = t.TempDir()
	m, err := Import(t.Context(), bytes.NewReader(raw), Options{Dir: dir, Format: FormatRaw, Expected: sha(raw)})
	if err != nil {
		t.Fatal(err)
	}
	return dir, m
}

// readAll takes all frames of a source and puts them together.
func readAll(ctx context.Context, src Source) ([]byte, error) {
	var raw []byte
	for {
		f, err := src.Next(ctx)
		if errors.Is(err, io.EOF) {
			return raw, nil
		}
		if err != nil {
			return raw, err
		}
		if f.Offset != int64(len(raw)) {
			return raw, fmt.Errorf("frame %d at %d follows %d bytes", f.Number, f.Offset, len(raw))
		}
		if f.Zero() {
			raw = append(raw, zeros[:f.Length]...)
		} else {
			raw = append(raw, f.Data...)
		}
		f.Release()
	}
}

func TestImportOpenVerify(t *testing.T) {
	raw := testImage()
	dir, m := mustImport(t, raw)
	want := Manifest{Version: 1, Digest: sha(raw), Tree: m.Tree, Size: int64(len(raw)), Stored: m.Stored, Frames: 6, ZeroFrames: m.ZeroFrames,
		Source: Provenance{Format: FormatRaw, Compression: CompressionNone, Digest: sha(raw), Size: int64(len(raw)), Matched: MatchedFile}}
	if !reflect.DeepEqual(m, want) || m.ZeroFrames < 1 {
		t.Fatalf("got %+v\nwant %+v", m, want)
	}
	s, err := Open(dir, m.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !reflect.DeepEqual(s.Manifest(), m) {
		t.Errorf("stored manifest %+v", s.Manifest())
	}
	if err := s.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
	for _, workers := range []int{1, 3} {
		src := s.Source(workers)
		got, err := readAll(t.Context(), src)
		if err != nil || !bytes.Equal(got, raw) {
			t.Errorf("%d workers: %d bytes, %v", workers, len(got), err)
		}
		src.Close()
	}
	if list, err := List(dir); err != nil || !reflect.DeepEqual(list, []Digest{m.Digest}) {
		t.Errorf("List: %v, %v", list, err)
	}
	onlyEntry(t, dir, m.Digest.Hex())
	if err := Remove(dir, m.Digest); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, m.Digest); !errors.Is(err, ErrNotFound) {
		t.Errorf("after Remove: %v", err)
	}
}

func onlyEntry(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !reflect.DeepEqual(got, names) {
		t.Errorf("the directory holds %q, want %q", got, names)
	}
}

func TestImportWrapped(t *testing.T) {
	raw := testImage()
	wrap := map[Compression]func() []byte{
		CompressionGzip: func() []byte {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			z.Write(raw)
			z.Close()
			return b.Bytes()
		},
		CompressionZstd: func() []byte {
			z, _ := zstd.NewWriter(nil)
			return z.EncodeAll(raw, nil)
		},
	}
	for compression, make := range wrap {
		file := make()
		sum512 := sha512.Sum512(file)
		for _, tt := range []struct {
			expected Digest
			matched  Matched
			err      error
		}{
			{sha(file), MatchedFile, nil},
			{sha(raw), MatchedRaw, nil},
			{Digest("sha512:" + hex.EncodeToString(sum512[:])), MatchedFile, nil},
			{"", MatchedNothing, nil},
			{sha([]byte("another")), "", ErrDigest},
		} {
			dir := t.TempDir()
			m, err := Import(t.Context(), bytes.NewReader(file), Options{Dir: dir, Format: FormatRaw, Compression: compression, Expected: tt.expected})
			if !errors.Is(err, tt.err) {
				t.Fatalf("%s: %v", compression, err)
			}
			if err != nil {
				onlyEntry(t, dir)
				continue
			}
			if m.Digest != sha(raw) || m.Source.Digest != sha(file) || m.Source.Matched != tt.matched || m.Verified() != (tt.expected != "") {
				t.Errorf("%s: %+v", compression, m)
			}
		}
	}
}

func TestImportTwice(t *testing.T) {
	raw := testImage()
	dir, m := mustImport(t, raw)
	again, err := Import(t.Context(), bytes.NewReader(raw), Options{Dir: dir, Format: FormatRaw})
	if err != nil || again.Tree != m.Tree || again.Verified() {
		t.Fatalf("%+v, %v", again, err)
	}
	onlyEntry(t, dir, m.Digest.Hex())
}

func TestImportRefuses(t *testing.T) {
	iso := make([]byte, 64<<10)
	copy(iso[0x8001:], "CD001")
	vdi := make([]byte, 4096)
	copy(vdi, "<<< Oracle VM VirtualBox Disk Image >>>")
	copy(vdi[0x40:], "\x7f\x10\xda\xbe")
	tar := make([]byte, 4096)
	copy(tar[257:], "ustar")
	tests := []struct {
		name   string
		file   []byte
		opt    Options
		err    error
		saying string
	}{
		{"nothing", nil, Options{Format: FormatRaw}, ErrFormat, "sectors"},
		{"half a sector", make([]byte, 700), Options{Format: FormatRaw}, ErrFormat, "sectors"},
		{"too big", make([]byte, 3<<20), Options{Format: FormatRaw, MaxSize: 1 << 20}, ErrTooBig, "bytes"},
		{"a bomb", gzipOf(make([]byte, 64<<20)), Options{Format: FormatRaw, Compression: CompressionGzip, MaxSize: 8 << 20}, ErrTooBig, "raw image"},
		{"cut gzip", gzipOf(testImage())[:4000], Options{Format: FormatRaw, Compression: CompressionGzip}, io.ErrUnexpectedEOF, "read image"},
		{"no gzip", make([]byte, 4096), Options{Format: FormatRaw, Compression: CompressionGzip}, ErrFormat, "not gzip"},
		{"unknown format", make([]byte, 4096), Options{Format: "vmdk"}, ErrFormat, "only raw and qcow2"},
		{"unknown compression", make([]byte, 4096), Options{Format: FormatRaw, Compression: "xz"}, ErrFormat, "only gzip and zstd"},
		{"qcow2 as raw", append([]byte(qcow2Magic), make([]byte, 4092)...), Options{Format: FormatRaw}, ErrFormat, "import it as qcow2"},
		{"vmdk", append([]byte("KDMV"), make([]byte, 4092)...), Options{Format: FormatRaw}, ErrFormat, "VMDK"},
		{"vhdx", append([]byte("vhdxfile"), make([]byte, 4088)...), Options{Format: FormatRaw}, ErrFormat, "VHDX"},
		{"vdi", vdi, Options{Format: FormatRaw}, ErrFormat, "VDI"},
		{"iso", iso, Options{Format: FormatRaw}, ErrFormat, "ISO"},
		{"tar", tar, Options{Format: FormatRaw}, ErrFormat, "tar"},
		{"xz", append([]byte("\xfd7zXZ\x00"), make([]byte, 4090)...), Options{Format: FormatRaw}, ErrFormat, "xz"},
		{"gzip as raw", gzipOf(testImage()), Options{Format: FormatRaw}, ErrFormat, "gzip"},
		{"raw as qcow2", make([]byte, 4096), Options{Format: FormatQCOW2}, ErrFormat, "no qcow2 header"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.opt.Dir = t.TempDir()
			_, err := Import(t.Context(), bytes.NewReader(tt.file), tt.opt)
			if !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.saying) {
				t.Errorf("got %v", err)
			}
			onlyEntry(t, tt.opt.Dir)
		})
	}
}

func gzipOf(raw []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(raw)
	z.Close()
	return b.Bytes()
}

func TestImportCancelled(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	endless := &endlessReader{stopAt: 9 << 20, stop: cancel}
	if _, err := Import(ctx, endless, Options{Dir: dir, Format: FormatRaw}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	onlyEntry(t, dir)
}

// endlessReader never ends, and calls stop on its way.
type endlessReader struct {
	n, stopAt int64
	stop      func()
}

func (e *endlessReader) Read(p []byte) (int, error) {
	if e.n += int64(len(p)); e.n > e.stopAt {
		e.stop()
	}
	p[0] = 'x'
	return len(p), nil
}

func TestSweep(t *testing.T) {
	dir, m := mustImport(t, testImage())
	if err := os.MkdirAll(filepath.Join(dir, tempPrefix+"dead", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	onlyEntry(t, dir, m.Digest.Hex())
}

// TestVerifyFindsDamage flips one byte in each file of a stored image.
func TestVerifyFindsDamage(t *testing.T) {
	raw := testImage()
	for _, name := range []string{manifestName, indexName, framesName} {
		dir, m := mustImport(t, raw)
		path := filepath.Join(dir, m.Digest.Hex(), name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := len(b) / 2
		if name == manifestName {
			at = bytes.Index(b, []byte(`"tree1:`)) + 9
		}
		if b[at]++; b[at] == 'g' || b[at] == ':' {
			b[at] = '0'
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, m.Digest)
		if err == nil {
			err = s.Verify(t.Context(), nil)
			s.Close()
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("damage in %s: %v", name, err)
		}
	}
}

func TestDigests(t *testing.T) {
	d := sha(nil)
	for _, s := range []string{string(d), d.Hex(), strings.ToUpper(d.Hex()), " " + string(d) + "\n"} {
		if got, err := ParseDigest(s); err != nil || got != d {
			t.Errorf("ParseDigest(%q) = %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "sha256:", "sha256:zz", "md5:d41d8cd98f00b204e9800998ecf8427e", d.Hex()[1:], "../../etc/passwd"} {
		if got, err := ParseDigest(s); err == nil {
			t.Errorf("ParseDigest(%q) = %q", s, got)
		}
	}
	tree := (&Index{Size: 512, Entries: make([]Entry, 1)}).Tree()
	if got, err := ParseTree(tree.String()); err != nil || got != tree {
		t.Errorf("ParseTree: %v, %v", got, err)
	}
	// The hash is a promise to every stored image: these values never change.
	if got := tree.String(); got != "tree1:e7cf5ec56c9d32f28b5b6d25af357f00050fa6e06b7c476e44456021d4c01e2f" {
		t.Errorf("the tree hash of one sector of zeros is %s", got)
	}
	two := &Index{Size: FrameSize + 512, Entries: []Entry{{}, {Stored: 4, Check: 5, Digest: FrameDigest{1, 2, 3}}}}
	if got := two.Tree().String(); got != "tree1:e2e23ba5a0a4722ea65ec83c17bda0ba695101bf5d824840b86db39551d0ac1a" {
		t.Errorf("the tree hash of two frames is %s", got)
	}
	for _, s := range []string{"", "tree1:", "tree2:" + d.Hex(), "tree1:" + d.Hex() + "0", d.Hex()} {
		if got, err := ParseTree(s); err == nil {
			t.Errorf("ParseTree(%q) = %v", s, got)
		}
	}
}

func TestClosedSets(t *testing.T) {
	for _, f := range Formats() {
		if got, err := ParseFormat(f.String()); err != nil || got != f {
			t.Errorf("%q, %v", got, err)
		}
	}
	for _, c := range Compressions() {
		if got, err := ParseCompression(c.String()); err != nil || got != c {
			t.Errorf("%q, %v", got, err)
		}
	}
}

func TestHandler(t *testing.T) {
	dir, m := mustImport(t, testImage())
	srv := httptest.NewServer(Handler(dir))
	defer srv.Close()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	hexa := m.Digest.Hex()
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/" + hexa + "/frames", 200}, {"HEAD", "/" + hexa + "/index", 200}, {"GET", "/" + hexa + "/manifest.json", 200},
		{"POST", "/" + hexa + "/frames", 405}, {"GET", "/" + hexa, 404}, {"GET", "/" + hexa + "/", 404}, {"GET", "/secret", 404},
		{"GET", "/../secret", 404}, {"GET", "/" + hexa + "/../../secret", 404}, {"GET", "/" + hexa + "/%2e%2e%2fsecret", 404},
		{"GET", "/" + strings.Repeat("0", 64) + "/frames", 404}, {"GET", "/", 404},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, srv.URL+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tt.status || resp.StatusCode == 200 && tt.method == "GET" && n != resp.ContentLength {
			t.Errorf("%s %s: %s, %d bytes of %d", tt.method, tt.path, resp.Status, n, resp.ContentLength)
		}
	}
}

func quick(url string, tree Tree) Fetch {
	return Fetch{URL: url, Tree: tree, Workers: 2, Pause: time.Millisecond, Stall: 5 * time.Second, Attempts: 3}
}

func fetchAll(ctx context.Context, f Fetch) ([]byte, error) {
	s, err := f.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return readAll(ctx, s)
}

func TestFetch(t *testing.T) {
	raw := testImage()
	dir, m := mustImport(t, raw)
	srv := httptest.NewServer(Handler(dir))
	defer srv.Close()
	f := quick(srv.URL+"/"+m.Digest.Hex(), m.Tree)
	f.Size = m.Size
	s, err := f.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAll(t.Context(), s)
	if err != nil || !bytes.Equal(got, raw) || s.Fetched() != m.Stored {
		t.Errorf("%d bytes, fetched %d, %v", len(got), s.Fetched(), err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	f.Tree[3]++
	if _, err := fetchAll(t.Context(), f); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another tree hash: %v", err)
	}
	f = quick(srv.URL+"/"+m.Digest.Hex(), m.Tree)
	f.Size = m.Size + 512
	if _, err := fetchAll(t.Context(), f); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another size: %v", err)
	}
	if _, err := fetchAll(t.Context(), quick(srv.URL+"/"+strings.Repeat("0", 64), m.Tree)); err == nil {
		t.Error("an image that is not there was fetched")
	}
}

// breaker cuts each answer after a number of bytes that the test chooses.
func breaker(h http.Handler, limit func() int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&limitedWriter{ResponseWriter: w, left: limit()}, r)
	})
}

type limitedWriter struct {
	http.ResponseWriter
	left int64
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if l.left -= int64(len(p)); l.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return l.ResponseWriter.Write(p)
}

func TestFetchResumes(t *testing.T) {
	raw := testImage()
	dir, m := mustImport(t, raw)
	var requests atomic.Int64
	srv := httptest.NewServer(breaker(Handler(dir), func() int64 { requests.Add(1); return 1 << 20 }))
	defer srv.Close()
	got, err := fetchAll(t.Context(), quick(srv.URL+"/"+m.Digest.Hex(), m.Tree))
	if err != nil || !bytes.Equal(got, raw) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if requests.Load() < 5 {
		t.Errorf("%d requests: the connection did not break often enough to prove anything", requests.Load())
	}
}

func TestFetchGivesUp(t *testing.T) {
	dir, m := mustImport(t, testImage())
	var requests atomic.Int64
	srv := httptest.NewServer(breaker(Handler(dir), func() int64 {
		if requests.Add(1) == 1 {
			return 1 << 20 // the index
		}
		return 0
	}))
	defer srv.Close()
	_, err := fetchAll(t.Context(), quick(srv.URL+"/"+m.Digest.Hex(), m.Tree))
	// The index, three attempts, and what net/http repeats of its own accord on a connection that was kept.
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "given up") || requests.Load() > 8 {
		t.Errorf("after %d requests: %v", requests.Load(), err)
	}
}

// TestFetchStalls serves an image that stops in the middle without closing the connection.
func TestFetchStalls(t *testing.T) {
	dir, m := mustImport(t, testImage())
	var frames atomic.Int64
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, framesName) && frames.Add(1) == 1 {
			w.Header().Set("Content-Length", fmt.Sprint(m.Stored))
			w.Write(make([]byte, 0))
			w.(http.Flusher).Flush()
			<-release
			return
		}
		Handler(dir).ServeHTTP(w, r)
	}))
	defer srv.Close()
	defer close(release)
	f := quick(srv.URL+"/"+m.Digest.Hex(), m.Tree)
	f.Stall = 50 * time.Millisecond
	f.Attempts = 20
	if _, err := fetchAll(t.Context(), f); err != nil || frames.Load() < 2 {
		t.Errorf("%d requests: %v", frames.Load(), err)
	}
}

func TestFetchCancelled(t *testing.T) {
	dir, m := mustImport(t, testImage())
	hold := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, framesName) {
			<-hold
			return
		}
		Handler(dir).ServeHTTP(w, r)
	}))
	defer srv.Close()
	defer close(hold)
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("the operation was cancelled")
	s, err := quick(srv.URL+"/"+m.Digest.Hex(), m.Tree).Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, func() { cancel(reason) })
	if _, err := readAll(ctx, s); !errors.Is(err, reason) {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestMutations alters an image on its way in thousands of ways. None may be accepted.
func TestMutations(t *testing.T) {
	raw := make([]byte, 2*FrameSize+5*SectorSize) // a frame of zeros, a full one, and a short one
	rand.NewChaCha8([32]byte{3}).Read(raw[FrameSize : FrameSize+200<<10])
	rand.NewChaCha8([32]byte{4}).Read(raw[2*FrameSize:])
	dir, m := mustImport(t, raw)
	base := filepath.Join(dir, m.Digest.Hex())
	index, err1 := os.ReadFile(filepath.Join(base, indexName))
	frames, err2 := os.ReadFile(filepath.Join(base, framesName))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	serve := func(index, frames []byte) error {
		x, err := readIndex(bytes.NewReader(index), m.Tree)
		if err != nil {
			return err
		}
		d := newDecoder(x, io.NopCloser(bytes.NewReader(frames)), 1)
		defer d.Close()
		for {
			f, err := d.Next(t.Context())
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if !f.Zero() && !bytes.Equal(f.Data, raw[f.Offset:f.Offset+int64(f.Length)]) || f.Zero() != (f.Number == 0) {
				t.Errorf("frame %d with other content was handed out", f.Number)
			}
			f.Release()
		}
	}
	if err := serve(index, frames); err != nil {
		t.Fatalf("unaltered: %v", err)
	}
	r := rand.New(rand.NewPCG(20, 26))
	x, _ := DecodeIndex(index)
	n := 2500
	if testing.Short() {
		n = 500
	}
	for i := range n {
		what, mi, mf := mutate(r, x, bytes.Clone(index), bytes.Clone(frames))
		if bytes.Equal(mi, index) && bytes.Equal(mf, frames) {
			continue
		}
		if err := serve(mi, mf); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("mutation %d (%s): %v", i, what, err)
		}
	}
}

// mutate flips, cuts, extends, swaps or exchanges bytes of the index or the frames.
func mutate(r *rand.Rand, x *Index, index, frames []byte) (what string, mi, mf []byte) {
	b := &frames
	if r.IntN(3) == 0 {
		b = &index
	}
	switch kind := r.IntN(6); kind {
	case 0:
		(*b)[r.IntN(len(*b))] ^= 1 << r.IntN(8)
		return "flip", index, frames
	case 1:
		*b = (*b)[:r.IntN(len(*b))]
		return "cut", index, frames
	case 2:
		*b = append(*b, make([]byte, 1+r.IntN(5000))...)
		return "extend", index, frames
	case 3:
		i, j, n := r.IntN(len(*b)), r.IntN(len(*b)), 1+r.IntN(500)
		n = min(n, len(*b)-max(i, j))
		tmp := bytes.Clone((*b)[i : i+n])
		copy((*b)[i:i+n], (*b)[j:j+n])
		copy((*b)[j:j+n], tmp)
		return "swap", index, frames
	case 4:
		n := int(x.Entries[1].Stored)
		return "frames in another order", index, append(bytes.Clone(frames[n:]), frames[:n]...)
	default:
		i, n := r.IntN(len(*b)), 1+r.IntN(100)
		for k := i; k < min(len(*b), i+n); k++ {
			(*b)[k] = byte(r.Int())
		}
		return "overwrite", index, frames
	}
}

// TestFrameChecks tells the two checks of a frame apart: that of what came, before it is decoded, and that of what it became.
func TestFrameChecks(t *testing.T) {
	raw := testRaw(8192, 1)
	w, _ := zstd.NewWriter(nil)
	stored := w.EncodeAll(raw, nil)
	z, err := newZstdReader()
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	good := Entry{Stored: uint32(len(stored)), Check: CheckFrame(raw), Digest: DigestFrame(stored)}
	other := w.EncodeAll(testRaw(8192, 2), nil)
	decoded := good
	decoded.Check++
	for _, c := range []struct {
		name   string
		entry  Entry
		stored []byte
		says   string
	}{
		{"the right frame", good, stored, ""},
		{"another frame", good, other, "digest"},
		{"a decoder that errs", decoded, stored, "decodes to something else"},
		{"another length", Entry{Check: good.Check, Digest: DigestFrame(w.EncodeAll(raw[:512], nil))}, w.EncodeAll(raw[:512], nil), "decodes to something else"},
	} {
		got, err := decodeFrame(z, &Index{Size: 8192, Entries: []Entry{c.entry}}, 0, c.stored, Aligned(FrameSize))
		switch {
		case c.says == "" && (err != nil || !bytes.Equal(got, raw)):
			t.Errorf("%s: %v", c.name, err)
		case c.says != "" && (!errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func FuzzDecodeIndex(f *testing.F) {
	x := Index{Size: 2*FrameSize + 512, Entries: []Entry{{Stored: 9, Digest: FrameDigest{1}}, {}, {Stored: 3, Check: 5}}}
	f.Add(x.Encode())
	f.Add([]byte(indexMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := DecodeIndex(b)
		if err != nil {
			return
		}
		if !bytes.Equal(x.Encode(), b) {
			t.Error("an index was accepted that Encode does not make")
		}
		if x.Stored() < 0 || len(x.Entries) != frameCount(x.Size) {
			t.Errorf("%d bytes, %d frames for %d", x.Stored(), len(x.Entries), x.Size)
		}
	})
}

func FuzzDecodeFrame(f *testing.F) {
	z, err := newZstdReader()
	if err != nil {
		f.Fatal(err)
	}
	w, _ := zstd.NewWriter(nil)
	f.Add(w.EncodeAll(make([]byte, 4096), nil))
	f.Add(w.EncodeAll(testRaw(8192, 1), nil))
	buf := Aligned(FrameSize)
	f.Fuzz(func(t *testing.T, b []byte) {
		raw, err := z.DecodeAll(b, buf[:0:8192])
		if err == nil && len(raw) > 8192 {
			t.Errorf("%d bytes in a frame of 8192", len(raw))
		}
	})
}
