//go:build linux

package disk

import (
	"context"
	"fmt"
	"io"

	"berth/storage"
)

// span is a range of bytes.
type span struct{ off, n int64 }

// clearSpans returns what is to be zeroed for a disk to look unused. The ends of the whole disk come first, so that an
// interrupted clearing leaves a disk that does not boot, and the partitions were looked up before.
func clearSpans(ctx context.Context, r io.ReaderAt, size int64, sector int) []span {
	p := &prober{ctx: ctx, r: r, size: size, sector: sector}
	regions := append([]partition{{offset: 0, size: size}}, p.table()...)
	var spans []span
	for _, part := range regions {
		end := part.offset + part.size
		spans = append(spans, span{part.offset, min(storage.MiB, part.size)}, span{max(part.offset, end-storage.MiB), min(storage.MiB, part.size)})
		for _, at := range append([]int64{storage.MiB}, staleAt...) {
			if at+4096 <= part.size {
				spans = append(spans, span{part.offset + at, 4096})
			}
		}
	}
	for _, f := range probe(ctx, r, size, sector).Findings {
		at := f.Offset &^ 4095
		spans = append(spans, span{at, min(4096, size-at)})
	}
	return spans
}

// clearAll zeroes the spans in order.
func clearAll(ctx context.Context, t target, spans []span, progress func(done, total int)) error {
	for i, s := range spans {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := t.Zero(s.off, s.n); err != nil {
			return fmt.Errorf("clear %d bytes at %d: %w", s.n, s.off, err)
		}
		if progress != nil {
			progress(i+1, len(spans))
		}
	}
	return t.Sync()
}
