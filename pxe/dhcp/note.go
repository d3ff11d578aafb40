package dhcp

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"berth/pxe"
)

// limiter bounds the events that go to the timeline. Strangers have a bound of
// their own, so that a flood of made-up addresses drowns no machine on record.
type limiter struct {
	known, strangers *rate.Limiter

	mu      sync.Mutex
	dropped int
}

func newLimiter() *limiter {
	return &limiter{known: rate.NewLimiter(1000, 5000), strangers: rate.NewLimiter(20, 200)}
}

// note sends an event to the timeline, or counts it when there are too many.
func (sh *shared) note(e pxe.Event, known bool) {
	l := sh.limits
	e.Time, e.Wire, e.Size = time.Now(), "dhcp", -1
	if known && l.known.Allow() {
		sh.book.Note(e)
		return
	}
	l.mu.Lock()
	dropped := l.dropped
	allowed := !known && l.strangers.Allow()
	if allowed {
		l.dropped = 0
	} else {
		l.dropped++
	}
	l.mu.Unlock()
	if !allowed {
		return
	}
	if dropped > 0 {
		sh.book.Note(pxe.Event{
			Time: e.Time, Kind: pxe.EventSuppressed, Wire: "dhcp", Size: -1, Count: dropped,
			Text: fmt.Sprintf("%d more events of unknown machines are not shown", dropped),
		})
	}
	sh.book.Note(e)
}

// others remembers which other DHCP servers have been reported, so that each is
// told once a minute while it answers.
type others struct {
	mu   sync.Mutex
	seen map[other]time.Time
}

type other struct {
	iface string
	addr  netip.Addr
}

// Bounds of what is remembered: an attacker can make up as many as he likes.
const (
	maxOthers   = 64
	othersPause = time.Minute
)

// fresh reports whether this server is to be told of now.
func (o *others) fresh(iface string, addr netip.Addr, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := other{iface, addr}
	if last, ok := o.seen[key]; ok && now.Sub(last) < othersPause {
		return false
	}
	if len(o.seen) >= maxOthers {
		for k, last := range o.seen {
			if now.Sub(last) >= othersPause {
				delete(o.seen, k)
			}
		}
		if len(o.seen) >= maxOthers {
			return false
		}
	}
	o.seen[key] = now
	return true
}
