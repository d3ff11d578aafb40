package bmctest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"berth/bmc"
)

// Subject is a driver in front of a machine that the suite may do anything to. The machine starts switched off, without
// an override.
type Subject struct {
	Open   bmc.Opener
	Target bmc.Target
	// Elsewhere is an address of the driver's kind at which nothing listens.
	Elsewhere string
	// Boots are the overrides this BMC can hold.
	Boots []bmc.Boot
	// Unsupported are overrides that it must refuse with ErrUnsupported.
	Unsupported []bmc.Boot
	// Serial and MACs are what the inventory must contain. Without a Serial the inventory is not looked at.
	Serial string
	MACs   []string
	// NoReset says that the machine behind the BMC cannot be reset.
	NoReset bool
	// Shutdown says that the machine obeys a soft shutdown.
	Shutdown bool
	// Inject makes a fault and takes it away again at the end of the test; it reports false for one it cannot make.
	Inject func(t *testing.T, f Fault) bool
	// Sessions counts the conversations that are open on the BMC; nil when it cannot be known.
	Sessions func() int
	// Commands has the timing for this subject; the zero value is made for real BMCs and takes its time.
	Commands bmc.Commands
	// Patience is how long a BMC that never answers is waited for; fifteen seconds when zero.
	Patience time.Duration
}

// limit bounds each story. It is far above what any takes, and far below for ever.
const limit = 2 * time.Minute

// Run takes a driver through the contract. It asks for a fresh subject for each story.
func Run(t *testing.T, fresh func(t *testing.T) Subject) {
	stories := []struct {
		name string
		tell func(*testing.T, context.Context, Subject)
	}{
		{"power on, off and on again", powerStory},
		{"a cycle and a reset leave the machine on", cycleStory},
		{"a shutdown stops the machine", shutdownStory},
		{"each override is read back", bootStory},
		{"a one-time override does not survive its removal", clearStory},
		{"what the BMC cannot do is an error value", unsupportedStory},
		{"the inventory names the machine", inventoryStory},
		{"a wrong password is ErrAuth", wrongPasswordStory},
		{"nobody there is ErrUnreachable", nobodyStory},
		{"a cancelled context ends a call", cancelStory},
		{"close gives the session back, twice", closeStory},
		{"faults", faultStories},
	}
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			s.tell(t, ctx, fresh(t))
		})
	}
}

// open opens the subject and closes it with the test.
func open(t *testing.T, ctx context.Context, s Subject) bmc.Driver {
	t.Helper()
	d, err := s.Open(ctx, s.Target)
	if err != nil {
		t.Fatalf("open %s: %v", s.Target, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := d.Close(ctx); err != nil {
			t.Logf("close: %v", err)
		}
	})
	return d
}

func powerStory(t *testing.T, ctx context.Context, s Subject) {
	d := open(t, ctx, s)
	expectPower(t, ctx, d, bmc.PowerOff)
	for _, step := range []struct {
		action bmc.PowerAction
		want   bmc.PowerState
	}{
		{bmc.ActionOff, bmc.PowerOff}, // off a machine that is off
		{bmc.ActionOn, bmc.PowerOn},
		{bmc.ActionOn, bmc.PowerOn}, // on a machine that is on
		{bmc.ActionOff, bmc.PowerOff},
		{bmc.ActionShutdown, bmc.PowerOff}, // shut down a machine that is off
	} {
		got, err := s.Commands.Power(ctx, d, step.action)
		if err != nil || got != step.want {
			t.Fatalf("power %s: %v, %v; want %v", step.action, got, err, step.want)
		}
		expectPower(t, ctx, d, step.want)
	}
	// The driver itself, without the read-back around it, is idempotent as well.
	for _, action := range []bmc.PowerAction{bmc.ActionOff, bmc.ActionShutdown} {
		if err := d.SetPower(ctx, action); err != nil {
			t.Errorf("the driver's own %s on a machine that is off: %v", action, err)
		}
	}
	expectPower(t, ctx, d, bmc.PowerOff)
	if err := d.SetPower(ctx, "dance"); !errors.Is(err, bmc.ErrUnsupported) {
		t.Errorf("an action that is none: %v, want ErrUnsupported", err)
	}
}

func expectPower(t *testing.T, ctx context.Context, d bmc.Driver, want bmc.PowerState) {
	t.Helper()
	got, err := d.Power(ctx)
	if err != nil || got != want {
		t.Fatalf("power state %v, %v; want %v", got, err, want)
	}
}

func cycleStory(t *testing.T, ctx context.Context, s Subject) {
	d := open(t, ctx, s)
	for i, want := range []string{"from off", "from on"} {
		if got, err := s.Commands.Power(ctx, d, bmc.ActionCycle); err != nil || got != bmc.PowerOn {
			t.Fatalf("cycle %d %s: %v, %v", i, want, got, err)
		}
	}
	if s.NoReset {
		return
	}
	if got, err := s.Commands.Power(ctx, d, bmc.ActionReset); got != bmc.PowerOn || !errors.Is(err, bmc.ErrUnconfirmed) {
		t.Fatalf("reset: %v, %v; want on, and ErrUnconfirmed", got, err)
	}
	if _, err := s.Commands.Power(ctx, d, bmc.ActionOn); err != nil {
		t.Fatalf("on after a reset: %v", err)
	}
}

func shutdownStory(t *testing.T, ctx context.Context, s Subject) {
	if !s.Shutdown {
		t.Skip("the machine behind this BMC has no operating system to ask")
	}
	d := open(t, ctx, s)
	for _, action := range []bmc.PowerAction{bmc.ActionOn, bmc.ActionShutdown} {
		if _, err := s.Commands.Power(ctx, d, action); err != nil {
			t.Fatal(err)
		}
	}
	expectPower(t, ctx, d, bmc.PowerOff)
}

func bootStory(t *testing.T, ctx context.Context, s Subject) {
	if len(s.Boots) == 0 {
		t.Skip("this BMC holds no override")
	}
	d := open(t, ctx, s)
	for _, want := range s.Boots {
		got, err := s.Commands.Boot(ctx, d, want)
		if err != nil {
			t.Fatalf("boot %s: %v", want, err)
		}
		if !got.Satisfies(want) {
			t.Errorf("boot %s: read back %s", want, got)
		}
	}
}

func clearStory(t *testing.T, ctx context.Context, s Subject) {
	if len(s.Boots) == 0 {
		t.Skip("this BMC holds no override")
	}
	d := open(t, ctx, s)
	for _, want := range []bmc.Boot{s.Boots[0], {Device: bmc.BootNone}} {
		got, err := s.Commands.Boot(ctx, d, want)
		if err != nil || got.Device != want.Device {
			t.Fatalf("boot %s: %v, %v", want, got, err)
		}
	}
}

func unsupportedStory(t *testing.T, ctx context.Context, s Subject) {
	d := open(t, ctx, s)
	for _, want := range append(slices.Clone(s.Unsupported), bmc.Boot{Device: "floppy-of-my-youth"}) {
		err := d.SetBoot(ctx, want)
		if !errors.Is(err, bmc.ErrUnsupported) || !bmc.Permanent(err) {
			t.Errorf("boot %s: %v, want ErrUnsupported", want, err)
		}
	}
}

func inventoryStory(t *testing.T, ctx context.Context, s Subject) {
	if s.Serial == "" {
		t.Skip("this BMC keeps no inventory")
	}
	d := open(t, ctx, s)
	got, err := d.Inventory(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got.System.Serial != s.Serial {
		t.Errorf("serial %q, want %q", got.System.Serial, s.Serial)
	}
	var macs []string
	for _, n := range got.NICs {
		macs = append(macs, n.MAC)
	}
	if !slices.Equal(macs, s.MACs) {
		t.Errorf("ports %v, want %v", macs, s.MACs)
	}
	if len(got.Problems) > 0 {
		t.Errorf("problems: %q", got.Problems)
	}
}

func wrongPasswordStory(t *testing.T, ctx context.Context, s Subject) {
	for name, change := range map[string]func(*bmc.Target){
		"password": func(t *bmc.Target) { t.Password = bmc.NewSecret("not-it") },
		"user":     func(t *bmc.Target) { t.Username = "nobody" },
		"nothing":  func(t *bmc.Target) { t.Password = bmc.Secret{} },
	} {
		target := s.Target
		change(&target)
		d, err := s.Open(ctx, target)
		if err == nil {
			_ = d.Close(ctx)
			t.Errorf("wrong %s: the door is open", name)
			continue
		}
		if !errors.Is(err, bmc.ErrAuth) || !bmc.Permanent(err) {
			t.Errorf("wrong %s: %v, want ErrAuth", name, err)
		}
	}
	// Nobody is locked out by three strikes, and the right password still works.
	open(t, ctx, s)
}

func nobodyStory(t *testing.T, ctx context.Context, s Subject) {
	target := s.Target
	target.Address = s.Elsewhere
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := s.Open(ctx, target)
	if !errors.Is(err, bmc.ErrUnreachable) || bmc.Permanent(err) {
		t.Errorf("open %s: %v, want ErrUnreachable", target, err)
	}
}

func cancelStory(t *testing.T, ctx context.Context, s Subject) {
	d := open(t, ctx, s)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := d.Power(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("power with a cancelled context: %v", err)
	}
	if err := d.SetPower(gone, bmc.ActionOn); !errors.Is(err, context.Canceled) {
		t.Errorf("power on with a cancelled context: %v", err)
	}
	// A call that was cancelled takes the conversation at most with it, never the machine.
	expectPower(t, ctx, open(t, ctx, s), bmc.PowerOff)
}

func closeStory(t *testing.T, ctx context.Context, s Subject) {
	d, err := s.Open(ctx, s.Target)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Power(ctx); err != nil {
		t.Fatal(err)
	}
	if s.Sessions != nil && s.Sessions() == 0 {
		t.Error("no session is open while there is one: the count proves nothing")
	}
	for range 2 {
		if err := d.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if s.Sessions != nil && s.Sessions() != 0 {
		t.Errorf("%d sessions are left on the BMC", s.Sessions())
	}
}

func faultStories(t *testing.T, ctx context.Context, s Subject) {
	if s.Inject == nil {
		t.Skip("this subject has no faults to inject")
	}
	power := func(ctx context.Context, d bmc.Driver) error {
		_, err := s.Commands.Power(ctx, d, bmc.ActionOn)
		return err
	}
	boot := func(want bmc.Boot) func(context.Context, bmc.Driver) error {
		return func(ctx context.Context, d bmc.Driver) error {
			_, err := s.Commands.Boot(ctx, d, want)
			return err
		}
	}
	type story struct {
		fault Fault
		do    func(context.Context, bmc.Driver) error
		want  error
	}
	stories := []story{
		{IgnorePower, power, bmc.ErrNoEffect},
		{Silent, power, bmc.ErrUnreachable},
		{ServerError, power, bmc.ErrInternal},
	}
	if len(s.Boots) > 0 {
		stories = append(stories, story{IgnoreBoot, boot(s.Boots[0]), bmc.ErrNoEffect})
	}
	if i := slices.IndexFunc(s.Boots, func(b bmc.Boot) bool { return b.Mode == bmc.BootModeUEFI }); i >= 0 {
		stories = append(stories, story{ForceLegacy, boot(s.Boots[i]), bmc.ErrNoEffect})
	}
	for _, story := range stories {
		t.Run(fmt.Sprintf("%s is %v", story.fault, story.want), func(t *testing.T) {
			d := open(t, ctx, s)
			if !s.Inject(t, story.fault) {
				t.Skip("this subject cannot make it")
			}
			// Only a BMC that never answers is given up early; on a busy host all else may take its time.
			patience := time.Minute
			if story.fault == Silent {
				patience = cmp.Or(s.Patience, 15*time.Second)
			}
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			if err := story.do(ctx, d); !errors.Is(err, story.want) {
				t.Errorf("got %v, want %v", err, story.want)
			}
		})
	}
	for fault, want := range map[Fault]error{RefuseLogin: bmc.ErrAuth, Busy: bmc.ErrBusy} {
		t.Run(fmt.Sprintf("%s at the door is %v", fault, want), func(t *testing.T) {
			if !s.Inject(t, fault) {
				t.Skip("this subject cannot make it")
			}
			d, err := s.Open(ctx, s.Target)
			if !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
			if err == nil {
				_ = d.Close(ctx)
			}
		})
	}
}
