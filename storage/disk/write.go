//go:build linux

package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"berth/storage"
	"berth/storage/image"
)

// Phase is a part of a write. The set is closed.
type Phase string

// The phases, in their order.
const (
	// PhaseClear makes the disk unbootable.
	PhaseClear Phase = "clear"
	// PhaseWrite writes the image but for the ends of the disk.
	PhaseWrite Phase = "write"
	// PhaseReadBack reads it back and compares.
	PhaseReadBack Phase = "read back"
	// PhaseFinish writes the ends of the disk, with which it becomes bootable.
	PhaseFinish Phase = "finish"
)

// Phases returns every phase, in order.
func Phases() []Phase { return []Phase{PhaseClear, PhaseWrite, PhaseReadBack, PhaseFinish} }

// String returns the phase's name, which people read.
func (p Phase) String() string { return string(p) }

// ParsePhase returns the phase with this name.
func ParsePhase(s string) (Phase, error) {
	if slices.Contains(Phases(), Phase(s)) {
		return Phase(s), nil
	}
	return "", fmt.Errorf("%q is not a phase of a disk write", s)
}

// Progress is how far a phase is, in bytes of the raw image.
type Progress struct {
	Phase       Phase
	Done, Total int64
}

// WriteOptions say how an image is written.
type WriteOptions struct {
	// Guard is called right before the first byte of the disk is changed, and decides by its error whether that
	// happens. It is required: see [Expect].
	Guard func(*Device) error
	// Seed, if set, is put on a partition appended at the end of the disk.
	Seed *Seed
	// Progress, if set, is told after every frame. It must not block.
	Progress func(Progress)
	// Workers is how many frames are compared at once when reading back; 0 is one per processor, at most 8.
	Workers int
}

// Result says what was written and proved.
type Result struct {
	// Tree is the tree hash of the image. Each frame had its digest when it came, and its checksum when it was
	// read back from the disk, its partition table taken as the image has it; or Write fails.
	Tree image.Tree
	// Size of the raw image in bytes, of which Written were written as data and Zeroed made zero.
	Size, Written, Zeroed int64
	// TableUUID identifies the partition table that is on the disk now, as [storage.Written] wants it.
	TableUUID string
	// TableEdited is set when the table differs from the image's: the backup moved, or the seed was appended.
	TableEdited bool
	// SeedPartition is the number of the partition that carries the seed; 0 is none.
	SeedPartition int
	// Direct is set when the page cache was passed by.
	Direct bool
	// Reread is set when the kernel has taken notice of the new partitions.
	Reread bool
	// Took is how long each phase took.
	Took map[Phase]time.Duration
}

// WriteError is the error of a write or a clearing.
type WriteError struct {
	Phase Phase
	// Touched is set when bytes of the disk may have changed. The disk does not boot then, unless it was the flush
	// of the completely verified disk that failed.
	Touched bool
	Err     error
}

func (e *WriteError) Error() string { return fmt.Sprintf("disk write, phase %q: %v", e.Phase, e.Err) }

// Unwrap returns the cause.
func (e *WriteError) Unwrap() error { return e.Err }

// target is what a write needs of a disk.
type target interface {
	io.ReaderAt
	io.WriterAt
	// Zero makes a range, a multiple of the block in both ends, read as zeros.
	Zero(off, n int64) error
	// Sync makes durable what was written.
	Sync() error
	Size() int64
	BlockSize() int
}

// writeZeros writes zeros to a range, for disks that cannot zero it by themselves.
func writeZeros(w io.WriterAt, off, n int64) error {
	b := image.Aligned(int(min(n, storage.MiB)))
	for n > 0 {
		m := min(n, int64(len(b)))
		if _, err := w.WriteAt(b[:m], off); err != nil {
			return err
		}
		off, n = off+m, n-m
	}
	return nil
}

// writer is one write under way.
type writer struct {
	t        target
	src      image.Source
	o        WriteOptions
	index    *image.Index
	layout   *layout
	seed     []byte
	phase    Phase
	touched  bool
	total    int64
	progress func(Progress)

	// held are the ends of the disk as the image has them; final are they as they will be written.
	heldHead, heldTail   []byte
	finalHead, finalTail []byte

	result Result
	began  time.Time
}

// write does all of Write that is not about a real device.
func write(ctx context.Context, t target, src image.Source, o WriteOptions, guard func() error) (Result, error) {
	w := &writer{t: t, src: src, o: o, index: src.Index(), progress: o.Progress, phase: PhaseClear, began: time.Now()}
	w.total = w.index.Size
	w.result.Took = make(map[Phase]time.Duration)
	if err := w.run(ctx, guard); err != nil {
		return w.result, &WriteError{Phase: w.phase, Touched: w.touched, Err: err}
	}
	return w.result, nil
}

// run is the order of things, which is what makes a half-written disk harmless.
func (w *writer) run(ctx context.Context, guard func() error) error {
	first, err := w.prepare(ctx)
	if err != nil {
		return err
	}
	if err := guard(); err != nil {
		first.Release()
		return err
	}
	w.touched = true
	if err := w.clear(ctx); err != nil {
		first.Release()
		return err
	}
	w.enter(PhaseWrite)
	if err := w.frames(ctx, first); err != nil {
		return err
	}
	if err := w.writeSeed(); err != nil {
		return err
	}
	w.enter(PhaseReadBack)
	if err := w.readBack(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.enter(PhaseFinish)
	err = w.finish()
	w.enter("")
	return err
}

// enter begins a phase and notes how long the last one took.
func (w *writer) enter(p Phase) {
	now := time.Now()
	w.result.Took[w.phase] = now.Sub(w.began)
	w.began = now
	if p == "" {
		return
	}
	w.phase = p
	w.report(0)
}

func (w *writer) report(done int64) {
	if w.progress != nil {
		w.progress(Progress{Phase: w.phase, Done: done, Total: w.total})
	}
}

// prepare takes the first frame, which holds the partition table, and plans everything that can be planned. Nothing
// is written until all of it is known to fit.
func (w *writer) prepare(ctx context.Context) (*image.Frame, error) {
	first, err := w.src.Next(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the image: %w", notEnd(err))
	}
	head := make([]byte, min(mib, first.Length))
	copy(head, first.Data)
	w.layout, err = newLayout(head, w.index.Size, w.t.Size(), w.t.BlockSize(), w.o.Seed != nil)
	if err == nil && w.o.Seed != nil {
		w.seed, err = w.o.Seed.image(w.t.BlockSize())
	}
	if err != nil {
		first.Release()
		return nil, err
	}
	w.heldHead, w.heldTail = image.Aligned(mib), image.Aligned(mib)
	return first, nil
}

// notEnd keeps an image that ends too early from looking like one that ends.
func notEnd(err error) error {
	if err == io.EOF {
		return image.ErrCorrupt
	}
	return err
}

// tailAt returns where the last MiB of the disk begins.
func (w *writer) tailAt() int64 { return w.t.Size() - storage.MiB }

// staleAt are places where old data outside of the image's reach could still be taken for a filesystem or an OSD:
// copies of superblocks that btrfs and BlueStore keep.
var staleAt = []int64{64 * storage.MiB, 1 * storage.GiB, 10 * storage.GiB, 100 * storage.GiB, 256 * storage.GiB, 1000 * storage.GiB}

// clear makes sure that nothing boots from the disk from here until finish: the first MiB holds boot sector, partition
// table and boot loader, the last one the backup of the table.
func (w *writer) clear(ctx context.Context) error {
	w.report(0)
	if err := w.clearEnds(); err != nil {
		return err
	}
	end := w.tailAt()
	if w.seed != nil {
		end = w.layout.seedOffset
	}
	for _, at := range staleAt {
		if at < w.index.Size || at+4096 > end {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := w.t.Zero(at, 4096); err != nil {
			return fmt.Errorf("clear an old superblock: %w", err)
		}
	}
	return nil
}

func (w *writer) clearEnds() error {
	for _, at := range []int64{0, w.tailAt()} {
		if err := writeZeros(w.t, at, storage.MiB); err != nil {
			return fmt.Errorf("clear the ends of the disk: %w", err)
		}
	}
	return w.t.Sync()
}

// frames writes every frame as it comes, beginning with f.
func (w *writer) frames(ctx context.Context, f *image.Frame) error {
	for n := 0; ; n++ {
		if f.Number != n || n >= len(w.index.Entries) {
			f.Release()
			return fmt.Errorf("frame %d came where %d was expected: %w", f.Number, n, image.ErrCorrupt)
		}
		err := w.frame(f)
		f.Release()
		if err != nil {
			return err
		}
		w.report(f.Offset + int64(f.Length))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		f, err = w.src.Next(ctx)
		if err == io.EOF && n == len(w.index.Entries)-1 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the image: %w", notEnd(err))
		}
	}
}

// frame writes one frame, but for what of it lies in the ends of the disk, which is held back.
func (w *writer) frame(f *image.Frame) error {
	from, to := w.middle(f.Offset, f.Length)
	if !f.Zero() {
		w.hold(f)
	}
	if from >= to {
		return nil
	}
	if f.Zero() {
		w.result.Zeroed += to - from
		if err := w.t.Zero(from, w.wholeBlocks(to-from)); err != nil {
			return fmt.Errorf("zero %d bytes at %d: %w", to-from, from, err)
		}
		return nil
	}
	w.result.Written += to - from
	data := f.Data[from-f.Offset : to-f.Offset]
	if n := w.wholeBlocks(to - from); n > to-from {
		padded := image.Aligned(int(n))
		copy(padded, data)
		data = padded
	}
	if _, err := w.t.WriteAt(data, from); err != nil {
		return fmt.Errorf("write %d bytes at %d: %w", len(data), from, err)
	}
	return nil
}

// wholeBlocks rounds the length of the image's last part up to the disk's block.
func (w *writer) wholeBlocks(n int64) int64 {
	block := int64(w.t.BlockSize())
	return (n + block - 1) / block * block
}

// middle returns the part of a range that lies in neither end of the disk.
func (w *writer) middle(off int64, n int) (from, to int64) {
	return max(off, storage.MiB), min(off+int64(n), w.tailAt())
}

// hold keeps what of a frame lies in the ends of the disk.
func (w *writer) hold(f *image.Frame) {
	overlay(w.heldHead, 0, f.Data, f.Offset)
	overlay(w.heldTail, w.tailAt(), f.Data, f.Offset)
}

// overlay copies into dst, which stands at dstAt, what of src, which stands at srcAt, it covers.
func overlay(dst []byte, dstAt int64, src []byte, srcAt int64) {
	from, to := max(dstAt, srcAt), min(dstAt+int64(len(dst)), srcAt+int64(len(src)))
	if from < to {
		copy(dst[from-dstAt:to-dstAt], src[from-srcAt:to-srcAt])
	}
}

// writeSeed writes the seed's filesystem and makes everything so far durable.
func (w *writer) writeSeed() error {
	if w.seed != nil {
		aligned := image.Aligned(len(w.seed))
		copy(aligned, w.seed)
		if _, err := w.t.WriteAt(aligned, w.layout.seedOffset); err != nil {
			return fmt.Errorf("write the seed: %w", err)
		}
	}
	return w.t.Sync()
}

// readBack reads every frame from the disk, in order, and compares it with its checksum in the index; several are
// compared at once. The frame's digest was compared on its way here, against everybody who could alter it, and its
// checksum after it was decoded. What is left to fear is the disk, which makes errors and has no intentions, so that the
// 64 bits of [image.CheckFrame] are enough; they cost next to nothing, where a digest would be the most expensive part
// of the whole write.
func (w *writer) readBack(ctx context.Context) error {
	workers := w.o.Workers
	if workers <= 0 {
		workers = min(8, runtime.GOMAXPROCS(0))
	}
	if d, ok := w.t.(interface{ dropCache() error }); ok {
		if err := d.dropCache(); err != nil {
			return fmt.Errorf("drop the page cache: %w", err)
		}
	}
	r := &reader{w: w}
	g, ctx := errgroup.WithContext(ctx)
	for range workers {
		g.Go(func() error { return r.work(ctx) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	w.result.Tree = w.index.Tree()
	return w.compare(w.layout.seedOffset, w.seed, "the seed")
}

// reader hands frames to be compared to the workers. Reading is done by one at a time, because a disk with a moving
// head reads one stream fastest and the others are no slower for it.
type reader struct {
	w    *writer
	mu   sync.Mutex
	next int
	done int64
}

func (r *reader) work(ctx context.Context) error {
	buf := image.Aligned(image.FrameSize)
	for {
		i, data, err := r.read(ctx, buf)
		if data == nil || err != nil {
			return err
		}
		if !r.same(i, data) {
			return fmt.Errorf("frame %d, at byte %d: %w", i, int64(i)*image.FrameSize, ErrReadBack)
		}
		r.mu.Lock()
		r.done += int64(len(data))
		r.w.report(r.done)
		r.mu.Unlock()
	}
}

// same reports whether data is frame i of the image.
func (r *reader) same(i int, data []byte) bool {
	e := &r.w.index.Entries[i]
	if e.Stored == 0 {
		return image.IsZero(data)
	}
	return image.CheckFrame(data) == e.Check
}

// read returns the next frame as the disk has it, with the held ends in their place.
func (r *reader) read(ctx context.Context, buf []byte) (i int, data []byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i = r.next; i >= len(r.w.index.Entries) {
		return i, nil, nil
	}
	if ctx.Err() != nil {
		return i, nil, context.Cause(ctx)
	}
	r.next++
	off, n := int64(i)*image.FrameSize, r.w.index.RawLen(i)
	data = buf[:n]
	if from, to := r.w.middle(off, n); from < to {
		if _, err := r.w.t.ReadAt(buf[from-off:from-off+r.w.wholeBlocks(to-from)], from); err != nil {
			return i, nil, fmt.Errorf("read back %d bytes at %d: %w", to-from, from, err)
		}
	}
	overlay(data, off, r.w.heldHead, 0)
	overlay(data, off, r.w.heldTail, r.w.tailAt())
	return i, data, nil
}

// compare reads bytes back and wants exactly those.
func (w *writer) compare(at int64, want []byte, what string) error {
	if len(want) == 0 {
		return nil
	}
	got := image.Aligned(len(want))
	if _, err := w.t.ReadAt(got, at); err != nil {
		return fmt.Errorf("read back %s: %w", what, err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s: %w", what, ErrReadBack)
	}
	return nil
}

// finish writes the ends of the disk. The first MiB comes last: until it is there, no firmware looks further. It is
// not interrupted, since it is 2 MiB and everything else is proved.
func (w *writer) finish() error {
	w.finalHead, w.finalTail = image.Aligned(mib), image.Aligned(mib)
	copy(w.finalHead, w.heldHead)
	copy(w.finalTail, w.heldTail)
	w.layout.apply(w.finalHead, w.finalTail)
	if err := w.writeEnds(); err != nil {
		// What is there now is not known. Better nothing than something.
		return errors.Join(err, w.clearEnds())
	}
	r := &w.result
	r.Size, r.TableUUID, r.TableEdited, r.SeedPartition = w.index.Size, w.layout.uuid, w.layout.edited, w.layout.seedNumber
	w.report(w.total)
	return nil
}

func (w *writer) writeEnds() error {
	for _, end := range []struct {
		at   int64
		data []byte
	}{{w.tailAt(), w.finalTail}, {0, w.finalHead}} {
		if _, err := w.t.WriteAt(end.data, end.at); err != nil {
			return fmt.Errorf("write the ends of the disk: %w", err)
		}
		if err := w.t.Sync(); err != nil {
			return err
		}
	}
	if d, ok := w.t.(interface{ dropCache() error }); ok {
		if err := d.dropCache(); err != nil {
			return fmt.Errorf("drop the page cache: %w", err)
		}
	}
	return errors.Join(w.compare(w.tailAt(), w.finalTail, "the last MiB"), w.compare(0, w.finalHead, "the first MiB"))
}
