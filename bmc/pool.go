package bmc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Pool is the one way to the BMCs of a site. It gives each BMC to one caller at a time, so polls wait behind commands and
// the other way; it leaves a pause between two conversations, because some BMCs stop answering after a burst; it ends a
// call that does not come back; and it does not present credentials again that were refused.
//
// A conversation is opened for each turn and closed after it: nothing is left on a BMC between two polls, and no
// goroutine outlives a call, except one that hangs inside a library; of those there is at most one for each BMC, and while
// it hangs the BMC's other callers are told ErrBusy at once.
//
// Two entries for one BMC, by Redfish and by IPMI, share a turn as long as they share the host.
type Pool struct {
	// Openers maps Target.Kind to the driver.
	Openers map[string]Opener
	// Pause is kept between two conversations with one BMC; half a second when zero.
	Pause time.Duration
	// Timeout bounds a turn whose context has no earlier end; ten minutes when zero, which is a verified power cycle
	// with a slow BMC and then some.
	Timeout time.Duration
	// Grace is how long a turn may take to notice that its time is up, before it is left hanging; five seconds when zero.
	Grace time.Duration
	// RetryAuth allows one more login with refused credentials after this long. Zero means never: somebody changes the
	// credentials, or calls Forgive.
	RetryAuth time.Duration
	// Log receives a line for each refused login and each hanging call; nothing when nil.
	Log *slog.Logger
	// Now and Sleep replace the clock in tests.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error

	mu      sync.Mutex
	holders map[string]*holder
}

// holder is the turnstile of one BMC.
type holder struct {
	turn chan struct{} // holds one token while somebody is inside

	mu      sync.Mutex
	ended   time.Time // when the last turn ended
	hanging time.Time // since when a call that was given up is still inside; zero when none
	refused map[string]*LockedError
}

// Do runs f inside a turn with the BMC of t, with an open driver that it closes afterwards. A result is returned by value,
// because f may still be running, and must not touch the caller's variables, when Do gives up on it.
//
// Errors of f come back unchanged, so that errors.Is and As work; those of Do itself are ErrBusy (no turn within ctx),
// ErrLocked, ErrUnreachable (time was up), and those of the opener.
func Do[T any](ctx context.Context, p *Pool, t Target, f func(context.Context, Driver) (T, error)) (T, error) {
	var none T
	wait, stop := context.WithTimeout(ctx, or(p.Timeout, 10*time.Minute))
	defer stop()
	h, err := p.enter(wait, t)
	if err != nil {
		return none, fmt.Errorf("%s: %w", t, err)
	}
	ctx, cancel := context.WithTimeout(ctx, or(p.Timeout, 10*time.Minute))
	defer cancel()

	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			// A library that panics on a BMC's odd answer must not take the server along.
			if r := recover(); r != nil {
				o.err = fmt.Errorf("%w: the driver failed on it: %v", ErrMalformed, r)
			}
			p.leave(h)
			done <- o
		}()
		o.err = p.converse(ctx, h, t, func(d Driver) (err error) {
			o.value, err = f(ctx, d)
			return err
		})
	}()

	select {
	case o := <-done:
		return o.value, wrapTarget(t, o.err)
	case <-ctx.Done():
	}
	timer := time.NewTimer(or(p.Grace, 5*time.Second))
	defer timer.Stop()
	select {
	case o := <-done:
		return o.value, wrapTarget(t, o.err)
	case <-timer.C:
		p.abandon(h, t)
		return none, fmt.Errorf("%s: %w: the call did not end in time: %w", t, ErrUnreachable, context.Cause(ctx))
	}
}

// Run is Do for an f without a result.
func (p *Pool) Run(ctx context.Context, t Target, f func(context.Context, Driver) error) error {
	_, err := Do(ctx, p, t, func(ctx context.Context, d Driver) (struct{}, error) { return struct{}{}, f(ctx, d) })
	return err
}

// Forgive allows one more login with credentials that were refused, after somebody put the account right on the BMC.
func (p *Pool) Forgive(t Target) {
	h := p.holder(t)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.refused, t.credentials())
}

// holder finds the turnstile for a BMC: by host alone, since one box answers on 443 and 623. Addresses of this machine
// itself are told apart by port as well: there, each port is another virtual BMC.
func (p *Pool) holder(t Target) *holder {
	key := strings.ToLower(t.Address)
	if host, port, err := t.HostPort(1); err == nil {
		key = strings.ToLower(host)
		if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() || key == "localhost" {
			key += ":" + strconv.Itoa(int(port))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holders == nil {
		p.holders = map[string]*holder{}
	}
	h := p.holders[key]
	if h == nil {
		h = &holder{turn: make(chan struct{}, 1), refused: map[string]*LockedError{}}
		p.holders[key] = h
	}
	return h
}

// enter waits for the turn and the pause before it.
func (p *Pool) enter(ctx context.Context, t Target) (*holder, error) {
	h := p.holder(t)
	if err := h.stuck(); err != nil {
		return nil, err
	}
	if err := p.locked(h, t); err != nil {
		return nil, err
	}
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: no turn came: %w", ErrBusy, context.Cause(ctx))
	}
	h.mu.Lock()
	wait := or(p.Pause, 500*time.Millisecond) - p.now().Sub(h.ended)
	h.mu.Unlock()
	if wait > 0 {
		if err := p.sleep(ctx, wait); err != nil {
			<-h.turn
			return nil, fmt.Errorf("%w: no turn came: %w", ErrBusy, err)
		}
	}
	// Somebody who was served while we waited may have had the same credentials refused.
	if err := p.locked(h, t); err != nil {
		<-h.turn
		return nil, err
	}
	return h, nil
}

func (p *Pool) leave(h *holder) {
	h.mu.Lock()
	h.ended, h.hanging = p.now(), time.Time{}
	h.mu.Unlock()
	<-h.turn
}

func (p *Pool) abandon(h *holder, t Target) {
	h.mu.Lock()
	defer h.mu.Unlock()
	// The call may have ended between the timer and here; then the turnstile is free and nothing hangs.
	if len(h.turn) == 0 {
		return
	}
	h.hanging = p.now()
	p.log(slog.LevelWarn, "a BMC call does not end; the BMC is left alone until it does", t, nil)
}

func (h *holder) stuck() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.hanging.IsZero() {
		return nil
	}
	return fmt.Errorf("%w: a call given up at %s has not ended", ErrBusy, h.hanging.UTC().Format(time.RFC3339))
}

func (p *Pool) locked(h *holder, t Target) error {
	key := t.credentials()
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.refused[key]
	if l == nil {
		return nil
	}
	if p.RetryAuth > 0 && p.now().Sub(l.Since) >= p.RetryAuth {
		delete(h.refused, key)
		return nil
	}
	return l
}

// converse opens a driver, runs f with it, and remembers a refused login.
func (p *Pool) converse(ctx context.Context, h *holder, t Target, f func(Driver) error) error {
	open := p.Openers[t.Kind]
	if open == nil {
		return fmt.Errorf("no driver %q: %w", t.Kind, ErrUnsupported)
	}
	d, err := open(ctx, t)
	if err == nil {
		defer func() {
			// The session is given back even when the caller has gone; the driver bounds the time by itself as well.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			_ = d.Close(ctx)
		}()
		err = f(d)
	}
	if errors.Is(err, ErrAuth) {
		h.mu.Lock()
		if len(h.refused) >= maxRefused {
			clear(h.refused) // somebody is guessing; the BMC counts that by itself
		}
		h.refused[t.credentials()] = &LockedError{Since: p.now(), Cause: err}
		h.mu.Unlock()
		p.log(slog.LevelWarn, "BMC login refused; not tried again until the credentials change", t, err)
	}
	return err
}

// maxRefused bounds what is remembered of one BMC's refused credentials.
const maxRefused = 64

func wrapTarget(t Target, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", t, err)
}

func (p *Pool) log(level slog.Level, msg string, t Target, err error) {
	if p.Log == nil {
		return
	}
	attrs := []slog.Attr{slog.Any("bmc", t)}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	p.Log.LogAttrs(context.Background(), level, msg, attrs...)
}

func (p *Pool) now() time.Time {
	if p.Now != nil {
		return p.Now()
	}
	return time.Now()
}

func (p *Pool) sleep(ctx context.Context, d time.Duration) error {
	if p.Sleep != nil {
		return p.Sleep(ctx, d)
	}
	return sleep(ctx, d)
}
