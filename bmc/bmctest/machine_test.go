package bmctest_test

import (
	"context"
	"testing"
	"time"

	"berth/bmc"
	"berth/bmc/bmctest"
)

// quick is the clock of a machine whose every wait is over at once.
func quick() bmc.Commands {
	now := time.Unix(0, 0)
	return bmc.Commands{
		Now:   func() time.Time { return now },
		Sleep: func(ctx context.Context, d time.Duration) error { now = now.Add(d); return ctx.Err() },
	}
}

func TestMachineKeepsTheContract(t *testing.T) {
	bmctest.Run(t, func(t *testing.T) bmctest.Subject {
		m := bmctest.NewMachine(bmc.Inventory{})
		return bmctest.Subject{
			Open: m.Open, Target: m.Target(), Elsewhere: "elsewhere.test",
			Boots: []bmc.Boot{
				bmc.Once(bmc.BootPXE, bmc.BootModeUEFI), bmc.Once(bmc.BootDisk, bmc.BootModeLegacy),
				{Device: bmc.BootDisk, Persistent: true}, bmc.Once(bmc.BootHTTP, bmc.BootModeUEFI),
			},
			Serial: "MEM0001", MACs: []string{"52:54:00:00:00:01"},
			Shutdown: true, Sessions: m.Sessions, Commands: quick(), Patience: 50 * time.Millisecond,
			Inject: func(t *testing.T, f bmctest.Fault) bool {
				m.Set(f, true)
				t.Cleanup(func() { m.Set(f, false) })
				return true
			},
		}
	})
}

func TestOneTimeOverrideIsUsedUp(t *testing.T) {
	m := bmctest.NewMachine(bmc.Inventory{})
	var boots []bmc.Boot
	m.OnBoot = func(b bmc.Boot) { boots = append(boots, b) }
	ctx := context.Background()
	d, err := m.Open(ctx, m.Target())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.SetBoot(ctx, bmc.Once(bmc.BootPXE, bmc.BootModeUEFI)); err != nil {
		t.Fatal(err)
	}
	for _, action := range []bmc.PowerAction{bmc.ActionOn, bmc.ActionReset} {
		if err := d.SetPower(ctx, action); err != nil {
			t.Fatal(err)
		}
	}
	if len(boots) != 2 || boots[0].Device != bmc.BootPXE || boots[1].Device != bmc.BootNone {
		t.Errorf("booted from %v, want pxe once and then the standing order", boots)
	}
}
