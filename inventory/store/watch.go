package store

import (
	"context"
	"sync"

	"berth/inventory"
)

// hub tells who watches that tables changed. A watcher that is slow misses nothing but repetitions: its channel holds one value.
type hub struct {
	mu       sync.Mutex
	watchers map[chan struct{}]map[string]bool // the tables each wants; all when nil
}

// Watch returns a channel that gets a value after commits that touched one of the nouns' tables. See inventory.Record.
func (s *Store) Watch(ctx context.Context, nouns ...*inventory.Noun) <-chan struct{} {
	tables := map[string]bool{}
	for _, n := range nouns {
		tables[n.Table] = true
	}
	ch := make(chan struct{}, 1)
	s.hub.add(ch, tables)
	context.AfterFunc(ctx, func() { s.hub.remove(ch) })
	return ch
}

func (h *hub) add(ch chan struct{}, tables map[string]bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers == nil {
		h.watchers = map[chan struct{}]map[string]bool{}
	}
	h.watchers[ch] = tables
}

func (h *hub) remove(ch chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.watchers[ch]; ok {
		delete(h.watchers, ch)
		close(ch)
	}
}

func (h *hub) publish(tables []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch, wanted := range h.watchers {
		for _, table := range tables {
			if wanted[table] {
				nudge(ch)
				break
			}
		}
	}
}

// publishAll is for when notifications may have been lost.
func (h *hub) publishAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.watchers {
		nudge(ch)
	}
}

func nudge(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // one is waiting already
	}
}
