package web

import (
	"net/http"
	"sync"
	"time"

	"berth/api"
)

// pauses slows down whoever guesses passwords. Nobody is locked out: from another address, or after the pause, the right password works.
// Failures are counted by account and address, and by address alone so that one guess at each of many accounts is noticed too.
type pauses struct {
	mu   sync.Mutex
	seen map[string]*failures
}

type failures struct {
	count int
	until time.Time // no try before
	last  time.Time
}

const (
	freeTries       = 3  // of one account from one address
	freeTriesOfAll  = 20 // of any account from one address
	pauseMax        = 30 * time.Second
	forgetAfter     = 15 * time.Minute
	pausesRemembers = 10_000
)

// wait tells how long the next try has to wait; 0 when it may go ahead.
func (p *pauses) wait(now time.Time, account, address string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	var longest time.Duration
	for _, key := range []string{account + "\x00" + address, address} {
		if f := p.seen[key]; f != nil {
			longest = max(longest, f.until.Sub(now))
		}
	}
	return longest
}

// failed counts a wrong password; each further one doubles the pause.
func (p *pauses) failed(now time.Time, account, address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		p.seen = make(map[string]*failures)
	}
	p.forget(now)
	p.count(now, account+"\x00"+address, freeTries)
	p.count(now, address, freeTriesOfAll)
}

func (p *pauses) count(now time.Time, key string, free int) {
	f := p.seen[key]
	if f == nil {
		f = &failures{}
		p.seen[key] = f
	}
	f.count++
	f.last = now
	if over := f.count - free; over >= 0 {
		f.until = now.Add(min(time.Second<<min(over, 10), pauseMax))
	}
}

// passed forgets the failures of an account from an address.
func (p *pauses) passed(account, address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.seen, account+"\x00"+address)
}

// forget makes room when there is too much: it drops what is old, and everything if that is not enough. Memory is bounded, a flood of
// names locks nobody out, and most failures cost no look at the others.
func (p *pauses) forget(now time.Time) {
	if len(p.seen) < pausesRemembers {
		return
	}
	for key, f := range p.seen {
		if now.Sub(f.last) > forgetAfter {
			delete(p.seen, key)
		}
	}
	if len(p.seen) > pausesRemembers/2 {
		clear(p.seen)
	}
}

func slowDown(wait time.Duration) error {
	seconds := int(wait/time.Second) + 1
	return &api.Problem{Status: http.StatusTooManyRequests, Code: api.CodeSlowDown, RetryAfterSeconds: seconds,
		Detail: "Too many wrong passwords from here. Wait a moment, then try again."}
}
