package agent

import (
	"context"
	"fmt"
	"sync"
	"time"

	"berth/api"
)

const (
	timelineLines = 200  // what one message may hold (api.LogLines), and what is kept while the server is away
	timelineWidth = 2000 // bytes
	timelinePace  = time.Second
)

// timeline is the queue of lines that the server has not got yet. When it is full the oldest go: what happened last explains most.
type timeline struct {
	mu      sync.Mutex
	lines   []api.LogLine
	dropped int
}

func (t *timeline) add(line api.LogLine) {
	line.Text = Clean(line.Text, timelineWidth)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == timelineLines {
		t.lines = t.lines[1:]
		t.dropped++
	}
	t.lines = append(t.lines, line)
}

// take empties the queue. A gap is told of by a line in its place.
func (t *timeline) take() []api.LogLine {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := t.lines
	if t.dropped > 0 {
		lines[0].Text = fmt.Sprintf("(%d lines before this were lost)", t.dropped+1)
	}
	t.lines, t.dropped = nil, 0
	return lines
}

// giveBack puts lines that could not be sent before those that came since.
func (t *timeline) giveBack(lines []api.LogLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := append(lines, t.lines...)
	if over := len(all) - timelineLines; over > 0 {
		all = all[over:]
		t.dropped += over
	}
	t.lines = all
}

// sendTimeline delivers lines until ctx ends.
func (a *Agent) sendTimeline(ctx context.Context) {
	for sleep(ctx, timelinePace) == nil {
		a.flushTimeline(ctx)
	}
}

// flushTimeline tries once. Lines are worth less than work, so a failure is only kept for the next time.
func (a *Agent) flushTimeline(ctx context.Context) {
	lines := a.timeline.take()
	if len(lines) == 0 {
		return
	}
	if err := a.Server.Log(ctx, lines); err != nil && !final(err) {
		a.timeline.giveBack(lines)
	}
}
