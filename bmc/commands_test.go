package bmc_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"berth/bmc"
	"berth/bmc/bmctest"
)

// clock runs only when somebody sleeps, and does something before each step when told to.
type clock struct {
	at   time.Time
	tick func(slept int)
	n    int
}

func (c *clock) commands() bmc.Commands {
	return bmc.Commands{
		Now: func() time.Time { return c.at },
		Sleep: func(ctx context.Context, d time.Duration) error {
			c.at = c.at.Add(d)
			c.n++
			if c.tick != nil {
				c.tick(c.n)
			}
			return ctx.Err()
		},
	}
}

func openMachine(t *testing.T, m *bmctest.Machine) bmc.Driver {
	t.Helper()
	d, err := m.Open(context.Background(), m.Target())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// said is the part of the journal that reached the machine.
func said(m *bmctest.Machine) []string {
	return slices.DeleteFunc(m.Journal(), func(s string) bool { return s == "open" || s == "close" })
}

func TestPowerCommandsSendOnlyWhatIsNeeded(t *testing.T) {
	for _, c := range []struct {
		name   string
		from   bmc.PowerState
		action bmc.PowerAction
		want   bmc.PowerState
		sent   []string
		err    error
	}{
		{"on when on", bmc.PowerOn, bmc.ActionOn, bmc.PowerOn, nil, nil},
		{"on when off", bmc.PowerOff, bmc.ActionOn, bmc.PowerOn, []string{"power on"}, nil},
		{"off when off", bmc.PowerOff, bmc.ActionOff, bmc.PowerOff, nil, nil},
		{"off when on", bmc.PowerOn, bmc.ActionOff, bmc.PowerOff, []string{"power off"}, nil},
		{"shutdown when off", bmc.PowerOff, bmc.ActionShutdown, bmc.PowerOff, nil, nil},
		{"shutdown when on", bmc.PowerOn, bmc.ActionShutdown, bmc.PowerOff, []string{"power shutdown"}, nil},
		{"cycle when off is on", bmc.PowerOff, bmc.ActionCycle, bmc.PowerOn, []string{"power on"}, nil},
		{"cycle when on is off and on", bmc.PowerOn, bmc.ActionCycle, bmc.PowerOn, []string{"power off", "power on"}, nil},
		{"reset when off is on", bmc.PowerOff, bmc.ActionReset, bmc.PowerOn, []string{"power on"}, nil},
		{"reset when on", bmc.PowerOn, bmc.ActionReset, bmc.PowerOn, []string{"power reset"}, bmc.ErrUnconfirmed},
		{"nonsense", bmc.PowerOn, "dance", bmc.PowerOn, nil, bmc.ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := bmctest.NewMachine(bmc.Inventory{})
			m.PressPower(c.from)
			got, err := (&clock{}).commands().Power(context.Background(), openMachine(t, m), c.action)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("%v, %v; want %v, %v", got, err, c.want, c.err)
			}
			if sent := said(m); !slices.Equal(sent, c.sent) {
				t.Errorf("sent %v, want %v", sent, c.sent)
			}
		})
	}
}

func TestAcceptedAndIgnoredIsNoEffect(t *testing.T) {
	m := bmctest.NewMachine(bmc.Inventory{})
	m.Set(bmctest.IgnorePower, true)
	clock := &clock{}
	state, err := clock.commands().Power(context.Background(), openMachine(t, m), bmc.ActionOn)
	var none *bmc.NoEffectError
	if !errors.As(err, &none) || none.Seen != "off" || state != bmc.PowerOff {
		t.Fatalf("%v, %v; want NoEffectError that saw off", state, err)
	}
	if none.Waited < 2*time.Minute || none.Waited > 3*time.Minute {
		t.Errorf("waited %v, want the two minutes of the doc", none.Waited)
	}
	if sent := said(m); len(sent) != 1 {
		t.Errorf("sent %v, want one command", sent)
	}
}

func TestASlowMachineIsWaitedFor(t *testing.T) {
	m := bmctest.NewMachine(bmc.Inventory{})
	m.Set(bmctest.IgnorePower, true)
	clock := &clock{tick: func(n int) {
		if n == 20 {
			m.PressPower(bmc.PowerOn)
		}
	}}
	state, err := clock.commands().Power(context.Background(), openMachine(t, m), bmc.ActionOn)
	if state != bmc.PowerOn || err != nil {
		t.Fatalf("%v, %v", state, err)
	}
}

func TestABMCThatIsSilentForAMomentIsWaitedFor(t *testing.T) {
	m := bmctest.NewMachine(bmc.Inventory{})
	clock := &clock{}
	commands := clock.commands()
	commands.PowerTimeout = time.Minute
	driver := &flaky{Driver: openMachine(t, m)}
	if state, err := commands.Power(context.Background(), driver, bmc.ActionOn); state != bmc.PowerOn || err != nil {
		t.Fatalf("%v, %v", state, err)
	}
	// The same, and it never comes back: the last word is that it does not answer, not that nothing happened.
	m.PressPower(bmc.PowerOff)
	driver = &flaky{Driver: openMachine(t, m), forever: true}
	_, err := commands.Power(context.Background(), driver, bmc.ActionOn)
	if !errors.Is(err, bmc.ErrUnreachable) || errors.Is(err, bmc.ErrNoEffect) {
		t.Fatalf("%v, want ErrUnreachable", err)
	}
}

// flaky answers the first question, then is silent for five or for ever.
type flaky struct {
	bmc.Driver
	asked   int
	forever bool
}

func (f *flaky) Power(ctx context.Context) (bmc.PowerState, error) {
	f.asked++
	if f.asked > 1 && (f.forever || f.asked < 7) {
		return bmc.PowerUnknown, bmc.ErrUnreachable
	}
	return f.Driver.Power(ctx)
}

func TestBootIsReadBack(t *testing.T) {
	m := bmctest.NewMachine(bmc.Inventory{})
	want := bmc.Once(bmc.BootPXE, bmc.BootModeUEFI)
	commands := (&clock{}).commands()
	got, err := commands.Boot(context.Background(), openMachine(t, m), want)
	if got != want || err != nil {
		t.Fatalf("%v, %v", got, err)
	}
	m.Set(bmctest.ForceLegacy, true)
	got, err = commands.Boot(context.Background(), openMachine(t, m), want)
	if got.Mode != bmc.BootModeLegacy || !errors.Is(err, bmc.ErrNoEffect) {
		t.Fatalf("%v, %v; want what the BMC holds instead, and ErrNoEffect", got, err)
	}
}

func TestCancelEndsTheWait(t *testing.T) {
	m := bmctest.NewMachine(bmc.Inventory{})
	m.Set(bmctest.IgnorePower, true)
	ctx, cancel := context.WithCancel(context.Background())
	clock := &clock{tick: func(n int) {
		if n == 3 {
			cancel()
		}
	}}
	if _, err := clock.commands().Power(ctx, openMachine(t, m), bmc.ActionOn); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, want context.Canceled", err)
	}
}

// blind is a driver that can send and not see, as wake-on-LAN.
type blind struct{ bmc.Driver }

func (blind) Power(context.Context) (bmc.PowerState, error) {
	return bmc.PowerUnknown, bmc.ErrUnsupported
}
func (blind) Boot(context.Context) (bmc.Boot, error) { return bmc.Boot{}, bmc.ErrUnsupported }

func TestABlindDriverIsUnconfirmed(t *testing.T) {
	m := bmctest.NewMachine(bmc.Inventory{})
	d := blind{openMachine(t, m)}
	commands := (&clock{}).commands()
	if _, err := commands.Power(context.Background(), d, bmc.ActionOn); !errors.Is(err, bmc.ErrUnconfirmed) {
		t.Errorf("power: %v, want ErrUnconfirmed", err)
	}
	if _, err := commands.Boot(context.Background(), d, bmc.Once(bmc.BootPXE, "")); !errors.Is(err, bmc.ErrUnconfirmed) {
		t.Errorf("boot: %v, want ErrUnconfirmed", err)
	}
	if sent := said(m); !slices.Equal(sent, []string{"power on", "boot pxe once"}) {
		t.Errorf("sent %v", sent)
	}
}
