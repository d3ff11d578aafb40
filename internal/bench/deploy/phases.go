package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"berth/internal/lab"
	"berth/inventory"
)

// mark is a text that the console shows when a phase is over. Marks come in their order.
type mark struct{ text, phase string }

// phase is a part of a run and what it took.
type phase struct {
	name      string
	cpu, wall time.Duration
}

// outcome is one run.
type outcome struct {
	began    time.Time
	phases   []phase
	waits    []gap
	timeline []inventory.Event
	steps    []inventory.Step
}

func (o outcome) cpu() (sum time.Duration) {
	for _, p := range o.phases {
		sum += p.cpu
	}
	return sum
}

func (o outcome) wall() (sum time.Duration) {
	for _, p := range o.phases {
		sum += p.wall
	}
	return sum
}

// watcher follows a machine's console and takes its processor time at each mark.
type watcher struct {
	machine *lab.Machine
	marks   []mark
	reached chan int // how many marks were seen
	phases  []phase
	window  []byte
	cpu     time.Duration
	at      time.Time
	done    context.CancelFunc
}

// watch begins before the machine is switched on. The channel it returns gets the outcome's phases when the last mark was seen.
func watch(ctx context.Context, m *lab.Machine, marks []mark) *watcher {
	ctx, done := context.WithCancel(ctx)
	w := &watcher{machine: m, marks: marks, reached: make(chan int, len(marks)), at: time.Now(), done: done}
	go func() {
		_ = m.Follow(ctx, w) // it ends with ctx, or when all marks were seen
		close(w.reached)
	}()
	return w
}

// Write takes console output.
func (w *watcher) Write(part []byte) (int, error) {
	w.window = append(w.window, part...)
	for len(w.phases) < len(w.marks) {
		next := w.marks[len(w.phases)]
		i := bytes.Index(w.window, []byte(next.text))
		if i < 0 {
			break
		}
		w.window = w.window[i+len(next.text):]
		now, cpu := time.Now(), w.spent()
		w.phases = append(w.phases, phase{name: next.phase, cpu: cpu - w.cpu, wall: now.Sub(w.at)})
		w.at, w.cpu = now, cpu
		w.reached <- len(w.phases)
	}
	if len(w.phases) == len(w.marks) {
		w.done()
	}
	const keep = 256 // more than any mark
	if len(w.window) > keep {
		w.window = append(w.window[:0:0], w.window[len(w.window)-keep:]...)
	}
	return len(part), nil
}

// spent is the machine's processor time. The lab counts a QEMU that ends only once it is gone, so that for a moment the time of a
// machine that restarts seems to shrink.
func (w *watcher) spent() time.Duration {
	for range 100 {
		if cpu := w.machine.CPUTime(); cpu >= w.cpu {
			return cpu
		}
		time.Sleep(20 * time.Millisecond)
	}
	return w.cpu
}

// await returns when the given count of marks was seen.
func (w *watcher) await(ctx context.Context, count int) error {
	for {
		select {
		case n, more := <-w.reached:
			if n >= count {
				return nil
			}
			if !more {
				return fmt.Errorf("the console did not show %q: %w", w.marks[min(count, len(w.marks))-1].text, context.Cause(ctx))
			}
		case <-ctx.Done():
			text, _ := w.machine.Console()
			return fmt.Errorf("the console did not show %q: %w; it ends with\n%s", w.marks[count-1].text, context.Cause(ctx), text[max(len(text)-1500, 0):])
		}
	}
}
