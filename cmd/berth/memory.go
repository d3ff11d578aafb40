package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"time"
)

// spareHeap is by how many bytes the heap may grow before it is asked what of it is still needed.
const spareHeap = 8 << 20

// giveBack returns spare memory to the kernel three times a minute: a start, a migration or an import needs much that is not needed again, and
// berth shares small machines with others. Go's own scavenger gives back only what exceeds the next collection's goal.
func giveBack(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Second)
	defer tick.Stop()
	var needed uint64 // after the last look
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if held() > needed+spareHeap {
				debug.FreeOSMemory()
				needed = held()
			}
		}
	}
}

// held is how much memory the heap has of the kernel, in bytes.
func held() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapSys - m.HeapReleased
}
