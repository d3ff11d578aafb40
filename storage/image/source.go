package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Source hands out the frames of an image in order, each checked against its digest before it is seen.
type Source interface {
	// Index describes the frames. It has been checked against the tree hash.
	Index() *Index
	// Next returns the next frame, or io.EOF after the last. The frame is the caller's until Release. Any error ends
	// the source; one that wraps [ErrCorrupt] will come again however often it is tried.
	Next(ctx context.Context) (*Frame, error)
	// Close stops the source and waits for its goroutines.
	Close() error
}

// Frame is one verified frame.
type Frame struct {
	// Number counts from 0; Offset is where the frame begins in the raw image, in bytes.
	Number int
	Offset int64
	// Length is the number of raw bytes.
	Length int
	// Data is nil for a frame of zeros. It begins at an aligned address; see [Aligned].
	Data []byte

	slot  *slot
	slots chan *slot
}

// Zero reports whether the frame is all zero.
func (f *Frame) Zero() bool { return f.Data == nil }

// Release gives the frame's memory back. The frame must not be used afterwards.
func (f *Frame) Release() {
	if f.slot != nil {
		f.slots <- f.slot
		f.slot, f.Data = nil, nil
	}
}

// slot is the memory for one frame on its way: compressed and raw.
type slot struct {
	stored []byte
	raw    []byte
}

// job is one frame on its way; ready is closed when frame or err is set.
type job struct {
	number int
	slot   *slot
	stored []byte
	frame  *Frame
	err    error
	ready  chan struct{}
}

// decoder is the Source over a stream of stored frames: one goroutine reads, a few decode and check, the caller takes
// them in order. At most workers+2 frames are in memory.
type decoder struct {
	index  *Index
	stream io.ReadCloser
	slots  chan *slot
	work   chan *job
	order  chan *job
	stop   context.CancelFunc
	done   sync.WaitGroup
	err    error
}

// newDecoder starts decoding stream, which must hold exactly the stored frames of the index, one after the other.
// The stream must give up reading when its own context ends; Close closes it.
func newDecoder(index *Index, stream io.ReadCloser, workers int) *decoder {
	workers = max(1, workers)
	ctx, stop := context.WithCancel(context.Background())
	d := &decoder{index: index, stream: stream, stop: stop,
		slots: make(chan *slot, workers+2), work: make(chan *job, workers), order: make(chan *job, workers+2)}
	for range workers + 2 {
		d.slots <- &slot{}
	}
	d.done.Add(workers + 1)
	go d.read(ctx)
	for range workers {
		go d.decode()
	}
	return d
}

// Index implements Source.
func (d *decoder) Index() *Index { return d.index }

// Next implements Source.
func (d *decoder) Next(ctx context.Context) (*Frame, error) {
	if d.err != nil {
		return nil, d.err
	}
	frame, err := d.next(ctx)
	if err != nil {
		d.err = err
		d.stop()
	}
	return frame, err
}

func (d *decoder) next(ctx context.Context) (*Frame, error) {
	var j *job
	select {
	case next, more := <-d.order:
		if !more {
			return nil, io.EOF
		}
		j = next
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	select {
	case <-j.ready:
		return j.frame, j.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Close implements Source.
func (d *decoder) Close() error {
	if d.err == nil {
		d.err = errors.New("image source is closed")
	}
	d.stop()
	err := d.stream.Close()
	d.done.Wait()
	return err
}

// read is the first stage: it takes the stored frames from the stream, in order, as memory for them comes free.
func (d *decoder) read(ctx context.Context) {
	defer d.done.Done()
	defer close(d.order)
	defer close(d.work)
	for i := range d.index.Entries {
		j := &job{number: i, ready: make(chan struct{})}
		err := d.fill(ctx, j)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			d.fail(ctx, fmt.Errorf("read frame %d of the image: %w", i, truncated(err)))
			return
		}
		select {
		case d.order <- j:
		case <-ctx.Done():
			return
		}
	}
	d.readEnd(ctx)
}

// fail lets err follow the frames that are already in order.
func (d *decoder) fail(ctx context.Context, err error) {
	j := &job{err: err, ready: make(chan struct{})}
	close(j.ready)
	select {
	case d.order <- j:
	case <-ctx.Done():
	}
}

// fill reads one stored frame and passes it to the second stage, to which the job belongs from then on.
func (d *decoder) fill(ctx context.Context, j *job) error {
	e := &d.index.Entries[j.number]
	if e.Stored == 0 {
		j.frame = d.frame(j.number)
		close(j.ready)
		return nil
	}
	select {
	case j.slot = <-d.slots:
	case <-ctx.Done():
		return ctx.Err()
	}
	if cap(j.slot.stored) < int(e.Stored) {
		j.slot.stored = make([]byte, e.Stored)
	}
	j.stored = j.slot.stored[:e.Stored]
	if _, err := readFull(d.stream, j.stored); err != nil {
		return err
	}
	select {
	case d.work <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// readEnd makes sure that the stream ends where the index says. A stream that goes on is not this image.
func (d *decoder) readEnd(ctx context.Context) {
	var one [1]byte
	n, err := readFull(d.stream, one[:])
	if n == 0 && err == io.EOF {
		return
	}
	if n == 0 {
		d.fail(ctx, fmt.Errorf("read the end of the image: %w", truncated(err)))
		return
	}
	d.fail(ctx, fmt.Errorf("the image goes on after its last frame: %w", ErrCorrupt))
}

// truncated makes an end of the stream where there should be none an error of its own. No error of a source may wrap
// io.EOF, since callers take that for the end of the image.
func truncated(err error) error {
	if err == io.EOF {
		return fmt.Errorf("the image ends too early: %w", ErrCorrupt)
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%v", err)
	}
	return err
}

func (d *decoder) frame(i int) *Frame {
	return &Frame{Number: i, Offset: int64(i) * FrameSize, Length: d.index.RawLen(i), slots: d.slots}
}

// decode is the second stage.
func (d *decoder) decode() {
	defer d.done.Done()
	z, err := newZstdReader()
	if err != nil {
		err = fmt.Errorf("start zstd decoder: %w", err)
	} else {
		defer z.Close()
	}
	for j := range d.work {
		if j.err = err; err == nil {
			j.err = d.check(z, j)
		}
		close(j.ready)
	}
}

// check decodes one frame and compares its digest; only then is the frame set.
func (d *decoder) check(z *zstd.Decoder, j *job) error {
	if j.slot.raw == nil {
		j.slot.raw = Aligned(FrameSize)
	}
	raw, err := decodeFrame(z, d.index, j.number, j.stored, j.slot.raw)
	if err != nil {
		return err
	}
	j.frame = d.frame(j.number)
	j.frame.Data, j.frame.slot = raw, j.slot
	return nil
}

// newZstdReader returns a decoder that never writes more than the buffer it is given can hold: the length of a frame
// is a stored fact, and what the compressed bytes say about it is not believed.
func newZstdReader() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxWindow(FrameSize*2), zstd.WithDecoderLowmem(true))
}

// decodeFrame checks the stored bytes of frame i against the index, decodes them into buf, and checks what came out. The
// decoder sees no byte that nobody vouches for.
func decodeFrame(z *zstd.Decoder, x *Index, i int, stored, buf []byte) ([]byte, error) {
	e := &x.Entries[i]
	if DigestFrame(stored) != e.Digest {
		return nil, fmt.Errorf("frame %d of the image does not have its digest: %w", i, ErrCorrupt)
	}
	n := x.RawLen(i)
	raw, err := z.DecodeAll(stored, buf[:0:n])
	if err != nil {
		return nil, fmt.Errorf("frame %d of the image: zstd: %v: %w", i, err, ErrCorrupt)
	}
	if len(raw) != n || CheckFrame(raw) != e.Check {
		return nil, fmt.Errorf("frame %d of the image decodes to something else than was imported: %w", i, ErrCorrupt)
	}
	return raw, nil
}
