package bmc

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Commands carries out commands and reads back what came of them. The zero value is ready and uses the real clock.
//
// Each command is idempotent: repeated after a crash it asks first and does only what is still to do. Nothing is sent
// twice within one call; a second try after [ErrNoEffect] is the caller's decision.
type Commands struct {
	// PowerTimeout bounds the wait for a power state after a command; two minutes when zero.
	PowerTimeout time.Duration
	// ShutdownTimeout bounds the wait for an operating system to stop by itself; five minutes when zero.
	ShutdownTimeout time.Duration
	// BootTimeout bounds the wait for a boot override to be read back; thirty seconds when zero.
	BootTimeout time.Duration
	// Interval is the pause between two read-backs; two seconds when zero.
	Interval time.Duration
	// OffTime is how long a machine stays off within a cycle, so that its supplies really fall; five seconds when zero.
	OffTime time.Duration
	// Now and Sleep replace the clock in tests. Sleep returns ctx's error when it ends first.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
}

// Power carries out a power action and returns the state that was seen last.
//
//   - on, off: done at once if the machine is so already; else the command, and the state is awaited.
//   - shutdown: like off, by asking the operating system; ErrNoEffect when it has not stopped in time.
//   - cycle: off, seen off, a pause, on, seen on. A cycle by the BMC's own command cannot be told from one that it
//     swallowed. A machine that is off is switched on.
//   - reset: sent as it is and cannot be confirmed: ErrUnconfirmed comes with the state. A machine that is off is
//     switched on, and that is confirmed.
//
// With a driver that cannot read the state (wake-on-LAN) the command is sent and ErrUnconfirmed returned.
func (c Commands) Power(ctx context.Context, d Driver, action PowerAction) (PowerState, error) {
	state, err := d.Power(ctx)
	if errors.Is(err, ErrUnsupported) {
		return PowerUnknown, c.powerBlind(ctx, d, action)
	}
	if err != nil {
		return PowerUnknown, fmt.Errorf("read the power state before %s: %w", action, err)
	}
	switch action {
	case ActionOn:
		return c.reach(ctx, d, state, PowerOn, action, c.powerTimeout())
	case ActionOff:
		return c.reach(ctx, d, state, PowerOff, action, c.powerTimeout())
	case ActionShutdown:
		return c.reach(ctx, d, state, PowerOff, action, or(c.ShutdownTimeout, 5*time.Minute))
	case ActionCycle:
		return c.cycle(ctx, d, state)
	case ActionReset:
		return c.reset(ctx, d, state)
	}
	return state, fmt.Errorf("power action %q: %w", action, ErrUnsupported)
}

func (c Commands) powerBlind(ctx context.Context, d Driver, action PowerAction) error {
	if err := d.SetPower(ctx, action); err != nil {
		return fmt.Errorf("power %s: %w", action, err)
	}
	return fmt.Errorf("power %s: %w", action, ErrUnconfirmed)
}

// reach brings the machine from state to want by one command.
func (c Commands) reach(ctx context.Context, d Driver, state, want PowerState, action PowerAction, limit time.Duration) (PowerState, error) {
	if state == want {
		return state, nil
	}
	if err := d.SetPower(ctx, action); err != nil {
		return state, fmt.Errorf("power %s: %w", action, err)
	}
	err := c.await(ctx, "power "+string(want), limit, func(ctx context.Context) (string, bool, error) {
		var err error
		state, err = d.Power(ctx)
		return string(state), state == want, err
	})
	return state, err
}

func (c Commands) cycle(ctx context.Context, d Driver, state PowerState) (PowerState, error) {
	if state != PowerOff {
		seen, err := c.reach(ctx, d, state, PowerOff, ActionOff, c.powerTimeout())
		if err != nil {
			return seen, fmt.Errorf("power cycle, first half: %w", err)
		}
		if err := c.sleep(ctx, or(c.OffTime, 5*time.Second)); err != nil {
			return seen, fmt.Errorf("power cycle: the machine is off and was not switched on again: %w", err)
		}
	}
	// A machine may have come up by itself meanwhile (some return to "always on"); ask again, then command.
	state, err := d.Power(ctx)
	if err != nil {
		return PowerUnknown, fmt.Errorf("power cycle, second half: %w", err)
	}
	return c.reach(ctx, d, state, PowerOn, ActionOn, c.powerTimeout())
}

func (c Commands) reset(ctx context.Context, d Driver, state PowerState) (PowerState, error) {
	if state == PowerOff {
		return c.reach(ctx, d, state, PowerOn, ActionOn, c.powerTimeout())
	}
	return state, c.powerBlind(ctx, d, ActionReset)
}

// Boot sets an override and waits until the BMC reports it. It is sent even when the BMC reports it already: IPMI drops
// an override 60 seconds after it was set (IPMI 2.0, table 28-14, parameter 3), and sending it again starts the clock anew.
//
// The override that was seen is returned; with ErrNoEffect it is what the BMC holds instead.
func (c Commands) Boot(ctx context.Context, d Driver, want Boot) (Boot, error) {
	err := d.SetBoot(ctx, want)
	if err != nil {
		return Boot{}, fmt.Errorf("set the boot device to %s: %w", want, err)
	}
	var seen Boot
	err = c.await(ctx, "boot device "+want.String(), or(c.BootTimeout, 30*time.Second), func(ctx context.Context) (string, bool, error) {
		var err error
		seen, err = d.Boot(ctx)
		return seen.String(), seen.Satisfies(want), err
	})
	if errors.Is(err, ErrUnsupported) {
		return seen, fmt.Errorf("boot device %s: %w", want, ErrUnconfirmed)
	}
	return seen, err
}

// await reads until the wish is fulfilled, a permanent error comes, or the time is up. A BMC that is silent for a moment
// after a command is normal, so passing errors are waited out.
func (c Commands) await(ctx context.Context, wish string, limit time.Duration, read func(context.Context) (string, bool, error)) error {
	start := c.now()
	var seen string
	for {
		last, done, err := read(ctx)
		switch {
		case err == nil && done:
			return nil
		case err == nil:
			seen = last
		case ctx.Err() != nil:
			return fmt.Errorf("read back %s: %w: %w", wish, err, context.Cause(ctx))
		case Permanent(err):
			return fmt.Errorf("read back %s: %w", wish, err)
		}
		if waited := c.now().Sub(start); waited >= limit {
			if seen == "" {
				return fmt.Errorf("read back %s: %w", wish, err)
			}
			return &NoEffectError{Asked: wish, Seen: seen, Waited: waited}
		}
		if err := c.sleep(ctx, or(c.Interval, 2*time.Second)); err != nil {
			return fmt.Errorf("read back %s: %w", wish, err)
		}
	}
}

func (c Commands) powerTimeout() time.Duration { return or(c.PowerTimeout, 2*time.Minute) }

func (c Commands) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func (c Commands) sleep(ctx context.Context, d time.Duration) error {
	if c.Sleep != nil {
		return c.Sleep(ctx, d)
	}
	return sleep(ctx, d)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

func or(d, standard time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return standard
}
