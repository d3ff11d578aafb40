//go:build linux

package disk

import (
	"context"
	"errors"
	"fmt"

	"berth/storage/image"
)

// Write writes an image to a disk that was opened for writing, and proves it.
//
// The order is: take the first frame and plan the partition table; ask the guard; clear the first and the last MiB;
// write every frame but for these two; write the seed; read everything back and compare it with the digests; write the
// last and the first MiB, with the table edited for this disk; read these back too. A frame is checked before it is
// written. An error, a cancelled ctx (obeyed at every frame, 4 MiB at most), a crash or a power cut at any moment
// before the end leaves a disk that does not boot. Errors are a *[WriteError].
//
// Memory is that of the source, and one frame for each worker.
func Write(ctx context.Context, d *Device, src image.Source, o WriteOptions) (Result, error) {
	if o.Guard == nil {
		return Result{}, &WriteError{Phase: PhaseClear, Err: errors.New("a write without a guard is refused")}
	}
	direct := false
	result, err := write(ctx, d, src, o, func() error {
		if err := o.Guard(d); err != nil { // the guard reads what it likes, at any alignment
			return err
		}
		direct = d.setDirect(true)
		return nil
	})
	d.setDirect(false)
	result.Direct = direct
	if err != nil {
		return result, err
	}
	result.Reread = d.reread() == nil
	return result, nil
}

// ClearOptions say how a disk is cleared.
type ClearOptions struct {
	// Guard is as in [WriteOptions], and required.
	Guard func(*Device) error
	// Progress, if set, is told how many of the places have been cleared.
	Progress func(done, total int)
}

// Clear makes a disk look unused: it zeroes the first and the last MiB of the disk and of each of its partitions, and
// every further place where a signature was found or could be. It is no erasure: the data in between stays. Errors are
// a *[WriteError]. When it succeeds the disk is examined once more, and must be empty.
func Clear(ctx context.Context, d *Device, o ClearOptions) error {
	if o.Guard == nil {
		return &WriteError{Phase: PhaseClear, Err: errors.New("clearing without a guard is refused")}
	}
	spans := clearSpans(ctx, d, d.size, d.block)
	if err := o.Guard(d); err != nil {
		return &WriteError{Phase: PhaseClear, Err: err}
	}
	if err := clearAll(ctx, d, spans, o.Progress); err != nil {
		return &WriteError{Phase: PhaseClear, Touched: true, Err: err}
	}
	// Who asks again must be told by the disk and not by the cache.
	if err := d.dropCache(); err != nil {
		return &WriteError{Phase: PhaseClear, Touched: true, Err: fmt.Errorf("drop the page cache: %w", err)}
	}
	if c := d.Probe(ctx); !c.Empty() {
		return &WriteError{Phase: PhaseClear, Touched: true, Err: fmt.Errorf("the cleared disk still shows %q: %w", c.Sentences(), ErrReadBack)}
	}
	if err := d.reread(); err != nil && !d.loop { // loop devices have no partitions unless they were made so
		return &WriteError{Phase: PhaseClear, Touched: true, Err: fmt.Errorf("tell the kernel that the partitions are gone: %w", err)}
	}
	return nil
}

var _ target = (*Device)(nil)
