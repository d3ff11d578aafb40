package bmc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/bmc"
	"berth/bmc/bmctest"
)

func newPool(m *bmctest.Machine) *bmc.Pool {
	return &bmc.Pool{Openers: map[string]bmc.Opener{"memory": m.Open}, Pause: time.Nanosecond}
}

func readPower(ctx context.Context, p *bmc.Pool, t bmc.Target) (bmc.PowerState, error) {
	return bmc.Do(ctx, p, t, func(ctx context.Context, d bmc.Driver) (bmc.PowerState, error) { return d.Power(ctx) })
}

func TestOneCallAtATimeOnABMC(t *testing.T) {
	m := bmctest.NewMachine(bmc.Inventory{})
	p := newPool(m)
	var inside, worst int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			err := p.Run(context.Background(), m.Target(), func(ctx context.Context, d bmc.Driver) error {
				mu.Lock()
				inside++
				worst = max(worst, inside)
				mu.Unlock()
				time.Sleep(time.Millisecond) // room for somebody else to come in, if the door were open
				defer func() { mu.Lock(); inside--; mu.Unlock() }()
				return d.SetPower(ctx, bmc.ActionCycle)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if worst != 1 || m.Overlaps() != 0 || m.Sessions() != 0 || m.Logins() != 40 {
		t.Errorf("at most %d inside, %d overlaps, %d sessions left, %d logins", worst, m.Overlaps(), m.Sessions(), m.Logins())
	}
}

func TestBMCsDoNotWaitForEachOther(t *testing.T) {
	slow, quick := bmctest.NewMachine(bmc.Inventory{}), bmctest.NewMachine(bmc.Inventory{})
	p := &bmc.Pool{Pause: time.Nanosecond, Openers: map[string]bmc.Opener{"memory": slow.Open, "quick": quick.Open}}
	other := quick.Target()
	other.Kind = "quick"
	// The quick machine is asked from within a turn with the slow one: with one lock for all this would never end.
	other.Address = "machine.test"
	err := p.Run(context.Background(), slow.Target(), func(ctx context.Context, _ bmc.Driver) error {
		far := other
		far.Address = "another.test"
		_, err := readPower(ctx, p, far)
		if !errors.Is(err, bmc.ErrUnreachable) { // the machine does not know itself by that name
			return fmt.Errorf("another BMC: %w", err)
		}
		// The same host by another protocol is the same BMC: no turn while we are inside.
		brief, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		if _, err := readPower(brief, p, other); !errors.Is(err, bmc.ErrBusy) {
			return fmt.Errorf("the same BMC by another driver: %w", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestThereIsAPauseBetweenTurns(t *testing.T) {
	m := bmctest.NewMachine(bmc.Inventory{})
	p := newPool(m)
	p.Pause = 3 * time.Second
	now := time.Unix(1000, 0)
	var slept []time.Duration
	p.Now = func() time.Time { return now }
	p.Sleep = func(_ context.Context, d time.Duration) error { slept = append(slept, d); now = now.Add(d); return nil }
	for range 3 {
		if _, err := readPower(context.Background(), p, m.Target()); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
	}
	if want := []time.Duration{2 * time.Second, 2 * time.Second}; !slices.Equal(slept, want) {
		t.Errorf("slept %v, want %v: the rest of the pause after one second", slept, want)
	}
}

func TestARefusedPasswordIsNotTriedAgain(t *testing.T) {
	m := bmctest.NewMachine(bmc.Inventory{})
	p := newPool(m)
	var log bytes.Buffer
	p.Log = slog.New(slog.NewTextHandler(&log, nil))
	now := time.Unix(1000, 0)
	p.Now = func() time.Time { return now }
	p.Sleep = func(_ context.Context, d time.Duration) error { return nil }
	wrong := m.Target()
	wrong.Password = bmc.NewSecret("stale-c4n4ry")

	for i := range 10 {
		_, err := readPower(context.Background(), p, wrong)
		if !errors.Is(err, bmc.ErrAuth) || i > 0 && !errors.Is(err, bmc.ErrLocked) {
			t.Fatalf("try %d: %v", i, err)
		}
	}
	if m.Logins() != 1 {
		t.Fatalf("%d logins with a refused password, want 1", m.Logins())
	}
	if _, err := readPower(context.Background(), p, m.Target()); err != nil {
		t.Fatalf("the right password after it: %v", err)
	}

	// Somebody sets the account on the BMC to what berth has: one word from a person and it is tried again.
	m.SetPassword("stale-c4n4ry")
	if _, err := readPower(context.Background(), p, wrong); !errors.Is(err, bmc.ErrLocked) {
		t.Fatalf("before forgiving: %v", err)
	}
	p.Forgive(wrong)
	if _, err := readPower(context.Background(), p, wrong); err != nil {
		t.Fatalf("after forgiving: %v", err)
	}

	// With RetryAuth there is one more attempt after that long.
	m.SetPassword("pw")
	p.RetryAuth = time.Hour
	for range 5 {
		_, _ = readPower(context.Background(), p, wrong)
	}
	before := m.Logins()
	now = now.Add(time.Hour)
	for range 5 {
		_, _ = readPower(context.Background(), p, wrong)
	}
	if got := m.Logins() - before; got != 1 {
		t.Errorf("%d logins in the second hour, want 1", got)
	}
	if s := log.String(); strings.Contains(s, "c4n4ry") || !strings.Contains(s, "machine.test") {
		t.Errorf("the log should name the BMC and not the password:\n%s", s)
	}
}

func TestACallThatNeverReturnsHoldsNobody(t *testing.T) {
	m := bmctest.NewMachine(bmc.Inventory{})
	p := newPool(m)
	p.Grace = time.Millisecond
	p.Timeout = 10 * time.Millisecond
	m.Set(bmctest.Hang, true)
	if _, err := readPower(context.Background(), p, m.Target()); !errors.Is(err, bmc.ErrUnreachable) {
		t.Fatalf("a call that hangs: %v, want ErrUnreachable", err)
	}
	for range 100 {
		if _, err := readPower(context.Background(), p, m.Target()); !errors.Is(err, bmc.ErrBusy) {
			t.Fatalf("while it hangs: %v, want ErrBusy", err)
		}
	}
	if m.Logins() != 1 {
		t.Errorf("%d logins while one call hangs, want 1", m.Logins())
	}
	m.Set(bmctest.Hang, false)
	p.Timeout = time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		_, err := readPower(ctx, p, m.Target())
		if err == nil {
			break
		}
		if !errors.Is(err, bmc.ErrBusy) || ctx.Err() != nil {
			t.Fatalf("after it came back: %v", err)
		}
		time.Sleep(time.Millisecond)
	}
	if m.Sessions() != 0 && m.Overlaps() != 0 {
		t.Errorf("%d sessions, %d overlaps", m.Sessions(), m.Overlaps())
	}
}

func TestAPanicInADriverIsAnError(t *testing.T) {
	m := bmctest.NewMachine(bmc.Inventory{})
	p := newPool(m)
	err := p.Run(context.Background(), m.Target(), func(context.Context, bmc.Driver) error { panic("index out of range") })
	if !errors.Is(err, bmc.ErrMalformed) {
		t.Errorf("%v, want ErrMalformed", err)
	}
	if _, err := readPower(context.Background(), p, m.Target()); err != nil || m.Sessions() != 0 {
		t.Errorf("afterwards: %v, %d sessions", err, m.Sessions())
	}
}

func TestAnUnknownKindIsUnsupported(t *testing.T) {
	p := &bmc.Pool{}
	err := p.Run(context.Background(), bmc.Target{Kind: "carrier-pigeon", Address: "loft"}, nil)
	if !errors.Is(err, bmc.ErrUnsupported) {
		t.Errorf("%v, want ErrUnsupported", err)
	}
}
