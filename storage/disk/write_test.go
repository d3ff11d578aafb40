//go:build linux

package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/storage"
	"berth/storage/image"
)

const imageSize = 20*storage.MiB + 512*9

// rawImage makes a disk image with sfdisk: a table, two partitions full of data, and a gap of zeros between them.
func rawImage(t testing.TB, label string, sector int) []byte {
	t.Helper()
	size := imageSize
	if sector != 512 {
		size = 20 * storage.MiB
	}
	file := sparse(t, "image.raw", size)
	script := fmt.Sprintf("label: %s\nstart=1MiB, size=3MiB\nstart=13MiB, size=6MiB\n", label)
	if label == "gpt" {
		script = strings.Replace(script, "\n", "\nlabel-id: 6D2A1B9C-1111-4222-8333-444455556666\n", 1)
	}
	where := file
	if sector != 512 { // sfdisk takes the block size from the device
		where = attach(t, file, sector)
	}
	tool(t, "sfdisk")
	cmd := exec.Command("sfdisk", "--no-tell-kernel", "--no-reread", "-q", where)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rand.NewChaCha8([32]byte{1}).Read(raw[1<<20 : 4<<20])
	rand.NewChaCha8([32]byte{2}).Read(raw[13<<20 : 19<<20])
	copy(raw, "\xeb\x63\x90boot code")
	return raw
}

// store imports a raw image and opens it.
func store(t testing.TB, raw []byte) *image.Stored {
	t.Helper()
	dir := t.TempDir()
	m, err := image.Import(t.Context(), bytes.NewReader(raw), image.Options{Dir: dir, Format: image.FormatRaw})
	if err != nil {
		t.Fatal(err)
	}
	s, err := image.Open(dir, m.Digest)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func source(t testing.TB, s interface{ Source(int) image.Source }) image.Source {
	src := s.Source(2)
	t.Cleanup(func() { src.Close() })
	return src
}

// inMemory is an image whose frames come from memory, for tests that are about the disk.
type inMemory struct {
	raw   []byte
	index image.Index
}

func inMem(raw []byte) *inMemory {
	m := &inMemory{raw: raw, index: image.Index{Size: int64(len(raw))}}
	for at := 0; at < len(raw); at += image.FrameSize {
		frame := raw[at:min(len(raw), at+image.FrameSize)]
		var e image.Entry
		if !image.IsZero(frame) {
			e = image.Entry{Stored: uint32(len(frame)), Check: image.CheckFrame(frame), Digest: image.DigestFrame(frame)}
		}
		m.index.Entries = append(m.index.Entries, e)
	}
	return m
}

func (m *inMemory) Index() *image.Index     { return &m.index }
func (m *inMemory) Source(int) image.Source { return &memorySource{inMemory: m} }

type memorySource struct {
	*inMemory
	next int
}

func (s *memorySource) Next(context.Context) (*image.Frame, error) {
	if s.next >= len(s.index.Entries) {
		return nil, io.EOF
	}
	f := &image.Frame{Number: s.next, Offset: int64(s.next) * image.FrameSize, Length: s.index.RawLen(s.next)}
	if s.index.Entries[s.next].Stored != 0 {
		f.Data = image.Aligned(f.Length)
		copy(f.Data, s.raw[f.Offset:])
	}
	s.next++
	return f, nil
}

func (s *memorySource) Close() error { return nil }

func allow(*Device) error { return nil }

var testSeed = &Seed{
	MetaData:      []byte("instance-id: i-1\nlocal-hostname: node1\n"),
	UserData:      append([]byte("#cloud-config\n"), bytes.Repeat([]byte("# a long line of user data\n"), 4000)...),
	NetworkConfig: []byte("version: 2\n"),
}

// TestWrite writes images with each kind of table, with and without a seed, on disks of both block sizes, and lets
// the tools of the system judge the outcome.
func TestWrite(t *testing.T) {
	for _, tt := range []struct {
		label  string
		sector int
		seed   *Seed
	}{
		{"gpt", 512, nil}, {"gpt", 512, testSeed}, {"dos", 512, nil}, {"dos", 512, testSeed}, {"gpt", 4096, testSeed}, {"gpt", 4096, nil},
	} {
		t.Run(fmt.Sprintf("%s %d seed %v", tt.label, tt.sector, tt.seed != nil), func(t *testing.T) {
			raw := rawImage(t, tt.label, tt.sector)
			file := sparse(t, "target.img", 48*storage.MiB+512*8)
			fill(t, file, 0x5a)
			path := attach(t, file, tt.sector)
			d := open(t, path)
			s := store(t, raw)
			var phases []Phase
			result, err := Write(t.Context(), d, source(t, s), WriteOptions{Guard: allow, Seed: tt.seed, Progress: func(p Progress) {
				if len(phases) == 0 || phases[len(phases)-1] != p.Phase {
					phases = append(phases, p.Phase)
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			if result.Tree != s.Manifest().Tree || result.Size != int64(len(raw)) || !reflect.DeepEqual(phases, Phases()) {
				t.Errorf("result %+v, phases %v", result, phases)
			}
			if c := d.Probe(t.Context()); c.TableUUID() != result.TableUUID || result.TableUUID == "" {
				t.Errorf("table %q on the disk, %q in the result", c.TableUUID(), result.TableUUID)
			}
			d.Close()
			judge(t, path, raw, tt.label, tt.sector, tt.seed, result)
		})
	}
}

// fill writes a pattern to a file's ends and some places between, as an old system would have left them.
func fill(t testing.TB, file string, with byte) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.Repeat([]byte{with}, mib)
	for _, at := range []int64{0, 8 << 20, 15 << 20, 30 << 20, info.Size() - int64(mib)} {
		if _, err := f.WriteAt(b, at); err != nil {
			t.Fatal(err)
		}
	}
}

// judge compares the disk with the image, and asks sfdisk, fsck.vfat and blkid.
func judge(t *testing.T, path string, raw []byte, label string, sector int, seed *Seed, result Result) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range [][2]int{{1 << 20, 4 << 20}, {13 << 20, 19 << 20}} {
		if !bytes.Equal(got[part[0]:part[1]], raw[part[0]:part[1]]) {
			t.Errorf("partition at %d differs from the image", part[0])
		}
	}
	if !bytes.Equal(got[:440], raw[:440]) || len(bytes.Trim(got[4<<20:13<<20], "\x00")) != 0 {
		t.Error("boot code or the zeros between the partitions differ")
	}
	out := run(t, "sfdisk", "--verify", path)
	if !strings.Contains(out, "No errors detected") {
		t.Errorf("sfdisk --verify: %s", out)
	}
	if seed == nil {
		if result.SeedPartition != 0 || result.TableEdited != (label == "gpt") {
			t.Errorf("result %+v", result)
		}
		return
	}
	if result.SeedPartition != 3 || !result.TableEdited {
		t.Errorf("result %+v", result)
	}
	judgeSeed(t, path, sector, seed)
}

func judgeSeed(t *testing.T, path string, sector int, seed *Seed) {
	t.Helper()
	dump := run(t, "sfdisk", "--dump", path)
	var start int64
	for line := range strings.Lines(dump) {
		if strings.HasPrefix(line, path+"p3") {
			if _, err := fmt.Sscanf(line[strings.Index(line, "start=")+6:], "%d", &start); err != nil {
				t.Fatal(err)
			}
		}
	}
	start *= int64(sector)
	if start%storage.MiB != 0 || start < 40*storage.MiB {
		t.Fatalf("the seed is at %d:\n%s", start, dump)
	}
	id := run(t, "blkid", "--probe", "--offset", fmt.Sprint(start), "--size", fmt.Sprint(storage.SeedSize), "-o", "export", path)
	if !strings.Contains(id, "LABEL=CIDATA\n") || !strings.Contains(id, "TYPE=vfat\n") || !strings.Contains(id, "LABEL_FATBOOT=CIDATA\n") {
		t.Errorf("blkid: %s", id)
	}
	if sector != 512 {
		return // fsck.vfat and mount want the block size of the device
	}
	part := filepath.Join(t.TempDir(), "seed.img")
	run(t, "dd", "if="+path, "of="+part, "bs=1M", fmt.Sprintf("skip=%d", start>>20), "count=4", "status=none")
	run(t, "fsck.vfat", "-n", part)
	for name, want := range map[string][]byte{"meta-data": seed.MetaData, "user-data": seed.UserData, "network-config": seed.NetworkConfig} {
		if got := run(t, "mtype", "-i", part, "::"+name); got != string(want) {
			t.Errorf("%s on the seed has %d bytes instead of %d", name, len(got), len(want))
		}
	}
}

// TestWriteWholeDisk writes an image exactly as large as the disk: it is then on it byte for byte.
func TestWriteWholeDisk(t *testing.T) {
	raw := rawImage(t, "gpt", 512)
	file := sparse(t, "target.img", int64(len(raw)))
	d := open(t, attach(t, file, 512))
	result, err := Write(t.Context(), d, source(t, inMem(raw)), WriteOptions{Guard: allow})
	if err != nil || result.TableEdited {
		t.Fatalf("%+v, %v", result, err)
	}
	d.Close()
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, raw) {
		t.Errorf("the disk is not the image: %v", err)
	}
}

// TestWriteTwice reimages: the outcome does not depend on what was there.
func TestWriteTwice(t *testing.T) {
	raw := rawImage(t, "gpt", 512)
	file := sparse(t, "target.img", 40*storage.MiB)
	d := open(t, attach(t, file, 512))
	s := inMem(raw)
	var disks [2][]byte
	for i := range disks {
		if _, err := Write(t.Context(), d, source(t, s), WriteOptions{Guard: allow, Seed: testSeed}); err != nil {
			t.Fatal(err)
		}
		disks[i] = make([]byte, d.Size())
		if _, err := d.ReadAt(disks[i], 0); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(disks[0], disks[1]) {
		t.Error("the same image written twice gave two disks")
	}
}

// TestWriteRefuses holds that nothing is touched when something is known to be wrong beforehand.
func TestWriteRefuses(t *testing.T) {
	gptRaw, dosRaw := rawImage(t, "gpt", 512), rawImage(t, "dos", 512)
	full := bytes.Clone(dosRaw)
	for i := range 4 {
		copy(full[mbrEntries+16*i:], full[mbrEntries:mbrEntries+16])
	}
	damaged := bytes.Clone(gptRaw)
	damaged[512+20]++
	none := bytes.Clone(dosRaw)
	clear(none[510:512])
	refusal := errors.New("the guard said no")
	for _, tt := range []struct {
		name string
		raw  []byte
		size int64
		o    WriteOptions
		err  error
	}{
		{"no guard", gptRaw, 40 << 20, WriteOptions{}, nil},
		{"the guard", gptRaw, 40 << 20, WriteOptions{Guard: func(*Device) error { return refusal }}, refusal},
		{"disk too small", gptRaw, 20 << 20, WriteOptions{Guard: allow}, ErrTooSmall},
		{"no room for the seed", gptRaw, 24 << 20, WriteOptions{Guard: allow, Seed: testSeed}, ErrTooSmall},
		{"no free entry", full, 40 << 20, WriteOptions{Guard: allow, Seed: testSeed}, ErrTable},
		{"damaged table", damaged, 40 << 20, WriteOptions{Guard: allow}, ErrTable},
		{"no table for the seed", none, 40 << 20, WriteOptions{Guard: allow, Seed: testSeed}, ErrTable},
		{"made for other blocks", rawImage(t, "gpt", 4096), 40 << 20, WriteOptions{Guard: allow}, ErrTable},
		{"seed too big", gptRaw, 40 << 20, WriteOptions{Guard: allow, Seed: &Seed{UserData: make([]byte, 5<<20)}}, ErrSeed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := loopDisk(t, tt.size)
			before := []byte("an old boot sector")
			if _, err := d.WriteAt(before, 0); err != nil {
				t.Fatal(err)
			}
			_, err := Write(t.Context(), d, source(t, inMem(tt.raw)), tt.o)
			var we *WriteError
			if !errors.As(err, &we) || we.Touched || tt.err != nil && !errors.Is(err, tt.err) {
				t.Fatalf("got %v", err)
			}
			after := make([]byte, len(before))
			if _, err := d.ReadAt(after, 0); err != nil || !bytes.Equal(after, before) {
				t.Errorf("the disk was touched: %q, %v", after, err)
			}
		})
	}
}

// memory is a disk in memory that can be made to fail.
type memory struct {
	b    []byte
	fail func(op string, off int64, n int) error
	lie  func(off int64, p []byte) // alters what is read
}

func (m *memory) try(op string, off int64, n int) error {
	if m.fail != nil {
		return m.fail(op, off, n)
	}
	return nil
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	if err := m.try("read", off, len(p)); err != nil {
		return 0, err
	}
	n, err := bytes.NewReader(m.b).ReadAt(p, off)
	if m.lie != nil {
		m.lie(off, p)
	}
	return n, err
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if err := m.try("write", off, len(p)); err != nil {
		return 0, err
	}
	return copy(m.b[off:], p), nil
}

func (m *memory) Zero(off, n int64) error {
	if err := m.try("zero", off, int(n)); err != nil {
		return err
	}
	clear(m.b[off : off+n])
	return nil
}

func (m *memory) Sync() error    { return m.try("sync", 0, 0) }
func (m *memory) Size() int64    { return int64(len(m.b)) }
func (m *memory) BlockSize() int { return 512 }

func nothing() error { return nil }

// oldDisk is a disk with a bootable system on it.
func oldDisk(t testing.TB) *memory {
	raw := rawImage(t, "gpt", 512)
	b := append(raw, make([]byte, 10<<20)...)
	l, err := newLayout(b[:mib], int64(len(raw)), int64(len(b)), 512, false)
	if err != nil {
		t.Fatal(err)
	}
	l.apply(b[:mib], b[len(b)-mib:])
	m := &memory{b: b}
	if !bootable(m.b) {
		t.Fatal("the old disk does not boot: the test would prove nothing")
	}
	return m
}

// bootable reports whether firmware could find anything: a boot sector's mark, or either copy of a GPT.
func bootable(b []byte) bool {
	r := bytes.NewReader(b)
	_, err1 := readGPT(r, int64(len(b)), 512, 1)
	_, err2 := readGPT(r, int64(len(b)), 512, uint64(len(b)/512-1))
	return b[510] == 0x55 && b[511] == 0xaa || err1 == nil || err2 == nil
}

// TestWriteFails makes every single operation on the disk fail once. The disk must not boot afterwards, unless nothing
// was touched at all.
func TestWriteFails(t *testing.T) {
	s := inMem(rawImage(t, "gpt", 512))
	broken := errors.New("input/output error")
	old := oldDisk(t)
	ops := 0
	count := &memory{b: bytes.Clone(old.b), fail: func(string, int64, int) error { ops++; return nil }}
	if _, err := write(t.Context(), count, source(t, s), WriteOptions{Seed: testSeed, Workers: 1}, nothing); err != nil {
		t.Fatal(err)
	}
	if !bootable(count.b) || ops < 20 {
		t.Fatalf("after %d operations bootable is %v", ops, bootable(count.b))
	}
	for fail := range ops {
		n, touched := 0, false
		m := &memory{b: bytes.Clone(old.b)}
		m.fail = func(op string, off int64, _ int) error {
			n++
			if n == fail+1 {
				return broken
			}
			touched = touched || op != "read"
			return nil
		}
		_, err := write(t.Context(), m, source(t, s), WriteOptions{Seed: testSeed, Workers: 1}, nothing)
		var we *WriteError
		if !errors.Is(err, broken) || !errors.As(err, &we) || !we.Touched {
			t.Fatalf("operation %d of %d failed: %v", fail, ops, err)
		}
		if touched && fail > 2 && bootable(m.b) {
			t.Fatalf("operation %d of %d failed in phase %q, and the disk boots", fail, ops, we.Phase)
		}
	}
}

// TestReadBackFinds alters one byte of what is read back, anywhere in the image or the seed.
func TestReadBackFinds(t *testing.T) {
	s := inMem(rawImage(t, "gpt", 512))
	r := rand.New(rand.NewPCG(3, 4))
	size := int64(40 << 20)
	seedAt := size - 1<<20 - storage.SeedSize
	for i := range 36 {
		at := r.Int64N(imageSize)
		switch i % 6 {
		case 1:
			at = seedAt + r.Int64N(16<<10)
		case 2:
			at = r.Int64N(34 * 512)
		case 3:
			at = size - 1 - r.Int64N(33*512)
		}
		m := &memory{b: make([]byte, size)}
		m.lie = func(off int64, p []byte) {
			if at >= off && at < off+int64(len(p)) {
				p[at-off] ^= 0x10
			}
		}
		_, err := write(t.Context(), m, source(t, s), WriteOptions{Seed: testSeed}, nothing)
		if !errors.Is(err, ErrReadBack) || bootable(m.b) {
			t.Fatalf("byte %d altered: %v, bootable %v", at, err, bootable(m.b))
		}
	}
}

// cutSource ends with an error after some frames, as a broken or altered transfer does.
type cutSource struct {
	image.Source
	left int
	err  error
}

func (c *cutSource) Next(ctx context.Context) (*image.Frame, error) {
	if c.left--; c.left < 0 {
		return nil, c.err
	}
	return c.Source.Next(ctx)
}

func TestWriteSourceFails(t *testing.T) {
	s := inMem(rawImage(t, "gpt", 512))
	for n := range len(s.index.Entries) {
		m := oldDisk(t)
		before := bytes.Clone(m.b)
		_, err := write(t.Context(), m, &cutSource{source(t, s), n, image.ErrCorrupt}, WriteOptions{}, nothing)
		var we *WriteError
		if !errors.Is(err, image.ErrCorrupt) || !errors.As(err, &we) {
			t.Fatalf("after %d frames: %v", n, err)
		}
		if n == 0 && (we.Touched || !bytes.Equal(before, m.b)) {
			t.Error("an image without a first frame touched the disk")
		}
		if n > 0 && bootable(m.b) {
			t.Errorf("after %d frames the disk boots", n)
		}
	}
}

func TestWriteShortSource(t *testing.T) {
	s := inMem(rawImage(t, "gpt", 512))
	m := oldDisk(t)
	_, err := write(t.Context(), m, &cutSource{source(t, s), 3, io.EOF}, WriteOptions{}, nothing)
	if !errors.Is(err, image.ErrCorrupt) || bootable(m.b) {
		t.Errorf("a source that ends early: %v", err)
	}
}

// TestWriteCancelled cancels in each phase.
func TestWriteCancelled(t *testing.T) {
	s := inMem(rawImage(t, "gpt", 512))
	reason := errors.New("the operation was cancelled")
	for _, phase := range []Phase{PhaseClear, PhaseWrite, PhaseReadBack} {
		d := loopDisk(t, 40<<20)
		if _, err := d.WriteAt(oldDisk(t).b[:mib], 0); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		_, err := Write(ctx, d, source(t, s), WriteOptions{Guard: allow, Progress: func(p Progress) {
			if p.Phase == phase && (p.Done > 5<<20 || phase == PhaseClear) {
				cancel(reason)
			}
		}})
		cancel(nil)
		var we *WriteError
		if !errors.Is(err, reason) || !errors.As(err, &we) {
			t.Fatalf("%s: %v", phase, err)
		}
		b := make([]byte, d.Size())
		if _, err := d.ReadAt(b, 0); err != nil {
			t.Fatal(err)
		}
		if bootable(b) {
			t.Errorf("cancelled in phase %q, the disk boots", phase)
		}
	}
}

// TestMain lets the test binary be its own victim: see TestWriteKilled.
func TestMain(m *testing.M) {
	if path := os.Getenv("BERTH_TEST_VICTIM"); path != "" {
		victim(path)
		return
	}
	os.Exit(m.Run())
}

// victim writes an image to a disk until it is killed, and says how far it is.
func victim(path string) {
	dir, digest, _ := strings.Cut(os.Getenv("BERTH_TEST_IMAGE"), " ")
	fail := func(err error) {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	s, err := image.Open(dir, image.Digest(digest))
	if err != nil {
		fail(err)
	}
	d, err := Open(path, Options{Write: true, AllowLoop: true})
	if err != nil {
		fail(err)
	}
	_, err = Write(context.Background(), d, s.Source(1), WriteOptions{Guard: allow, Seed: testSeed, Progress: func(p Progress) {
		fmt.Printf("%s %d\n", strings.ReplaceAll(string(p.Phase), " ", "-"), p.Done)
		time.Sleep(2 * time.Millisecond)
	}})
	if err != nil {
		fail(err)
	}
	fmt.Println("done 0")
}

// TestWriteKilled kills the process that writes at many moments, by a signal it cannot catch. Unless it had begun to
// write the ends, by which time everything is proved, the disk must not boot.
func TestWriteKilled(t *testing.T) {
	raw := rawImage(t, "gpt", 512)
	dir := t.TempDir()
	m, err := image.Import(t.Context(), bytes.NewReader(raw), image.Options{Dir: dir, Format: image.FormatRaw})
	if err != nil {
		t.Fatal(err)
	}
	path := attach(t, sparse(t, "target.img", 40<<20), 512)
	old := oldDisk(t).b
	r := rand.New(rand.NewPCG(9, 9))
	killed := map[string]int{}
	for range 20 {
		d := open(t, path)
		if _, err := d.WriteAt(old[:mib], 0); err != nil {
			t.Fatal(err)
		}
		if _, err := d.WriteAt(old[len(old)-mib:], d.Size()-int64(mib)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.Sync(), d.Close()); err != nil {
			t.Fatal(err)
		}
		phase := kill(t, path, dir+" "+string(m.Digest), 1+r.IntN(18))
		killed[phase]++
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if phase != "finish" && phase != "done" && bootable(b) {
			t.Fatalf("killed in phase %q, the disk boots", phase)
		}
	}
	if killed["write"] < 3 || killed["read-back"] < 3 {
		t.Errorf("killed in phases %v: too few to prove anything", killed)
	}
}

// kill starts a victim and kills it after it has said so many lines. It returns the last phase the victim told of.
func kill(t *testing.T, path, stored string, lines int) (phase string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BERTH_TEST_VICTIM="+path, "BERTH_TEST_IMAGE="+stored)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text []byte
	buf := make([]byte, 1)
	for lines > 0 {
		if _, err := out.Read(buf); err != nil {
			break
		}
		text = append(text, buf...)
		if buf[0] == '\n' {
			lines--
		}
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(out) // what it said before it died
	cmd.Wait()
	said := strings.Split(strings.TrimSpace(string(append(text, rest...))), "\n")
	last := said[len(said)-1]
	if strings.HasPrefix(last, "error:") {
		t.Fatal(last)
	}
	phase, _, _ = strings.Cut(last, " ")
	return phase
}

func TestClear(t *testing.T) {
	file := sparse(t, "target.img", 100<<20)
	d := open(t, attach(t, file, 512))
	raw := rawImage(t, "gpt", 512)
	copy(raw[13<<20:], "LUKS\xba\xbe\x00\x02")
	if _, err := Write(t.Context(), d, source(t, inMem(raw)), WriteOptions{Guard: allow, Seed: testSeed}); err != nil {
		t.Fatal(err)
	}
	if d.Probe(t.Context()).Empty() {
		t.Fatal("nothing to clear")
	}
	if err := Clear(t.Context(), d, ClearOptions{}); err == nil {
		t.Error("cleared without a guard")
	}
	refusal := errors.New("no")
	if err := Clear(t.Context(), d, ClearOptions{Guard: func(*Device) error { return refusal }}); !errors.Is(err, refusal) || d.Probe(t.Context()).Empty() {
		t.Errorf("the guard was not obeyed: %v", err)
	}
	if err := Clear(t.Context(), d, ClearOptions{Guard: allow}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 512)
	if _, err := d.ReadAt(b, 13<<20); err != nil || bytes.HasPrefix(b, []byte("LUKS")) {
		t.Errorf("the signature in a partition survived: %v", err)
	}
}

func TestExpect(t *testing.T) {
	d := loopDisk(t, 8<<20)
	have, err := d.Identity()
	if err != nil || have.Serial != "target.img" || have.Size != 8<<20 || have.Transport != storage.TransportLoop {
		t.Fatalf("%+v, %v", have, err)
	}
	changed := storage.Content{Findings: []storage.Finding{{Kind: storage.KindCeph}}}
	for _, tt := range []struct {
		name    string
		want    storage.Disk
		content func(storage.Content) error
		err     error
	}{
		{"the disk", have, SameContent(storage.Content{}), nil},
		{"by serial", storage.Disk{Serial: "target.img"}, nil, nil},
		{"another serial", storage.Disk{Serial: "other.img"}, nil, ErrWrongDisk},
		{"another WWN", storage.Disk{WWN: "naa.5000000000000001"}, nil, ErrWrongDisk},
		{"another size", storage.Disk{Serial: "target.img", Size: 9 << 20}, nil, ErrWrongDisk},
		{"other content", have, SameContent(changed), ErrChanged},
	} {
		if err := Expect(t.Context(), tt.want, tt.content)(d); !errors.Is(err, tt.err) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func FuzzLayout(f *testing.F) {
	for _, label := range []string{"gpt", "dos"} {
		f.Add(rawImage(f, label, 512)[:64<<10], int64(40<<20), int64(80<<20), true)
	}
	f.Fuzz(func(t *testing.T, head []byte, imageSize, diskSize int64, seed bool) {
		if diskSize < 0 || diskSize > 1<<44 || imageSize < 512 || imageSize > 1<<42 || len(head) > mib {
			return
		}
		diskSize &^= 511
		if int64(len(head)) > imageSize {
			head = head[:imageSize]
		}
		l, err := newLayout(head, imageSize, diskSize, 512, seed)
		if err != nil {
			return
		}
		before := make([]byte, mib)
		copy(before, head)
		newHead, tail := bytes.Clone(before), make([]byte, mib)
		l.apply(newHead, tail)
		if l.kind != "gpt" || !l.edited {
			return
		}
		disk := &ends{newHead, tail, diskSize}
		for _, lba := range []uint64{1, uint64(diskSize/512) - 1} {
			g, err := readGPT(disk, diskSize, 512, lba)
			if err != nil {
				t.Fatalf("the table written at %d is not valid: %v", lba, err)
			}
			old, err := readGPT(bytes.NewReader(before), int64(mib), 512, 1)
			if err != nil {
				t.Fatal(err)
			}
			for i := range old.count() {
				if old.used(i) && !bytes.Equal(old.entry(i), g.entry(i)) {
					t.Fatalf("partition %d of the image was changed", i+1)
				}
			}
		}
		if seed && (l.seedOffset < imageSize || l.seedOffset+storage.SeedSize > diskSize-storage.MiB+storage.MiB) {
			t.Fatalf("the seed is at %d", l.seedOffset)
		}
	})
}

// ends is a disk of which only the first and the last MiB exist.
type ends struct {
	head, tail []byte
	size       int64
}

func (e *ends) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	overlay(p, off, e.head, 0)
	overlay(p, off, e.tail, e.size-int64(len(e.tail)))
	return len(p), nil
}
