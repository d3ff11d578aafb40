// Package bmctest is the contract of bmc.Driver as code: [Run] is the suite that every driver passes, and [Machine] is a
// server in memory, with faults to inject, that other packages test with.
package bmctest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"berth/bmc"
)

// Fault is something a BMC does wrong.
type Fault string

// The faults the suite knows. A subject that cannot make one says so, and that story is skipped.
const (
	Unreachable    Fault = "unreachable"     // nothing answers
	Silent         Fault = "silent"          // the connection stands and no answer ever comes
	RefuseLogin    Fault = "refuse-login"    // right credentials are refused
	Busy           Fault = "busy"            // 503, or no free session
	ServerError    Fault = "server-error"    // 500 for every command
	IgnorePower    Fault = "ignore-power"    // power commands are accepted and nothing happens
	IgnoreBoot     Fault = "ignore-boot"     // boot overrides are accepted and nothing happens
	ForceLegacy    Fault = "force-legacy"    // an override in UEFI mode is kept as a legacy one
	IgnoreShutdown Fault = "ignore-shutdown" // the operating system does not stop when asked
	Hang           Fault = "hang"            // a call never returns, whatever its context says; in memory only
	NoInventory    Fault = "no-inventory"    // the inventory is empty and no error is given; in memory only
)

// Machine is a server with its BMC, in memory. Its Open is a bmc.Opener. It starts switched off, with user "admin",
// password "pw". It may be used by several goroutines.
type Machine struct {
	// OnBoot, when set, is told each start of the machine and what it boots from, under no lock. A one-time override has
	// been used up by then.
	OnBoot func(bmc.Boot)

	mu        sync.Mutex
	username  string
	password  string
	power     bmc.PowerState
	boot      bmc.Boot
	inventory bmc.Inventory
	faults    map[Fault]bool
	sessions  int
	logins    int
	journal   []string
	inside    int
	overlaps  int
	hang      chan struct{}
}

// NewMachine makes a machine with the given parts. The zero Inventory gives it a serial number, a processor and a port.
func NewMachine(inventory bmc.Inventory) *Machine {
	if inventory.Empty() {
		inventory.System = bmc.SystemInfo{Manufacturer: "Test", Model: "In Memory", Serial: "MEM0001"}
		inventory.CPUs = []bmc.CPU{{Socket: "CPU1", Model: "Test CPU", Cores: 4, Threads: 8}}
		inventory.NICs = []bmc.NIC{{Name: "1", MAC: "52:54:00:00:00:01"}}
	}
	return &Machine{
		username: "admin", password: "pw", power: bmc.PowerOff, boot: bmc.Boot{Device: bmc.BootNone},
		inventory: inventory, faults: map[Fault]bool{}, hang: make(chan struct{}),
	}
}

// Target is how to reach it, with the right credentials.
func (m *Machine) Target() bmc.Target {
	return bmc.Target{Kind: "memory", Address: "machine.test", Username: "admin", Password: bmc.NewSecret("pw")}
}

// Set switches a fault on or off. Switching Hang off lets the calls that hang return.
func (m *Machine) Set(f Fault, on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f == Hang && m.faults[Hang] && !on {
		close(m.hang)
		m.hang = make(chan struct{})
	}
	m.faults[f] = on
}

// SetPassword changes the password as somebody at the BMC would.
func (m *Machine) SetPassword(password string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.password = password
}

// PressPower presses the button on the front.
func (m *Machine) PressPower(state bmc.PowerState) {
	m.mu.Lock()
	started := m.switchTo(state)
	m.mu.Unlock()
	m.announce(started)
}

// Journal lists what was asked of the BMC, in order: "open", "power on", "boot pxe (uefi) once", "close".
func (m *Machine) Journal() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.journal)
}

// Sessions is the number of open conversations, Logins that of login attempts, Overlaps how often two calls were inside at
// the same time.
func (m *Machine) Sessions() int { m.mu.Lock(); defer m.mu.Unlock(); return m.sessions }

// Logins is the number of login attempts so far.
func (m *Machine) Logins() int { m.mu.Lock(); defer m.mu.Unlock(); return m.logins }

// Overlaps is how often a call came while another was inside.
func (m *Machine) Overlaps() int { m.mu.Lock(); defer m.mu.Unlock(); return m.overlaps }

// Open is a bmc.Opener.
func (m *Machine) Open(ctx context.Context, t bmc.Target) (bmc.Driver, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", bmc.ErrUnreachable, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.journal = append(m.journal, "open")
	switch {
	case t.Address != m.Target().Address || m.faults[Unreachable]:
		return nil, bmc.ErrUnreachable
	case m.faults[Busy]:
		return nil, bmc.ErrBusy
	}
	m.logins++
	if m.faults[RefuseLogin] || t.Username != m.username || t.Password.Reveal() != m.password {
		return nil, bmc.ErrAuth
	}
	m.sessions++
	return &driver{machine: m}, nil
}

// switchTo sets the power and returns what the machine boots from if it starts. The caller holds the lock.
func (m *Machine) switchTo(state bmc.PowerState) *bmc.Boot {
	if m.power == state {
		return nil
	}
	m.power = state
	if state != bmc.PowerOn {
		return nil
	}
	used := m.boot
	if !m.boot.Persistent {
		m.boot = bmc.Boot{Device: bmc.BootNone}
	}
	return &used
}

func (m *Machine) announce(started *bmc.Boot) {
	if started != nil && m.OnBoot != nil {
		m.OnBoot(*started)
	}
}

// driver is one conversation.
type driver struct {
	machine *Machine
	closed  bool
}

// call does one thing to the machine, after the faults that any call can meet.
func (d *driver) call(ctx context.Context, entry string, do func(m *Machine) error) error {
	m := d.machine
	m.mu.Lock()
	defer m.mu.Unlock()
	if entry != "" {
		m.journal = append(m.journal, entry)
	}
	m.inside++
	if m.inside > 1 {
		m.overlaps++
	}
	defer func() { m.inside-- }()
	if err := d.outside(ctx); err != nil {
		return err
	}
	return do(m)
}

// outside waits, with the lock given back, where the BMC does not answer.
func (d *driver) outside(ctx context.Context) error {
	m := d.machine
	if m.faults[Hang] || m.faults[Silent] {
		forever, deaf := m.hang, m.faults[Hang]
		m.mu.Unlock()
		defer m.mu.Lock()
		if deaf {
			<-forever
			return bmc.ErrUnreachable
		}
		<-ctx.Done()
		return fmt.Errorf("%w: %w", bmc.ErrUnreachable, ctx.Err())
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", bmc.ErrUnreachable, ctx.Err())
	case d.closed:
		return fmt.Errorf("%w: the conversation is closed", bmc.ErrUnreachable)
	case m.faults[Unreachable]:
		return bmc.ErrUnreachable
	case m.faults[Busy]:
		return bmc.ErrBusy
	case m.faults[ServerError]:
		return bmc.ErrInternal
	}
	return nil
}

func (d *driver) Power(ctx context.Context) (state bmc.PowerState, err error) {
	err = d.call(ctx, "", func(m *Machine) error { state = m.power; return nil })
	return state, err
}

func (d *driver) SetPower(ctx context.Context, action bmc.PowerAction) error {
	var started *bmc.Boot
	err := d.call(ctx, "power "+string(action), func(m *Machine) error {
		if m.faults[IgnorePower] || action == bmc.ActionShutdown && m.faults[IgnoreShutdown] {
			return nil
		}
		switch action {
		case bmc.ActionOn:
			started = m.switchTo(bmc.PowerOn)
		case bmc.ActionOff, bmc.ActionShutdown:
			m.switchTo(bmc.PowerOff)
		case bmc.ActionCycle, bmc.ActionReset:
			m.switchTo(bmc.PowerOff)
			started = m.switchTo(bmc.PowerOn)
		default:
			return bmc.ErrUnsupported
		}
		return nil
	})
	d.machine.announce(started)
	return err
}

func (d *driver) Boot(ctx context.Context) (boot bmc.Boot, err error) {
	err = d.call(ctx, "", func(m *Machine) error { boot = m.boot; return nil })
	return boot, err
}

func (d *driver) SetBoot(ctx context.Context, want bmc.Boot) error {
	return d.call(ctx, "boot "+want.String(), func(m *Machine) error {
		if _, err := bmc.ParseBootDevice(string(want.Device)); err != nil {
			return fmt.Errorf("%w: %w", bmc.ErrUnsupported, err)
		}
		if m.faults[IgnoreBoot] {
			return nil
		}
		if m.faults[ForceLegacy] && want.Mode == bmc.BootModeUEFI {
			want.Mode = bmc.BootModeLegacy
		}
		if want.Device == bmc.BootNone {
			want = bmc.Boot{Device: bmc.BootNone}
		}
		m.boot = want
		return nil
	})
}

func (d *driver) Inventory(ctx context.Context) (inventory bmc.Inventory, err error) {
	err = d.call(ctx, "inventory", func(m *Machine) error {
		if m.faults[NoInventory] {
			return bmc.ErrEmptyInventory
		}
		inventory = m.inventory
		return nil
	})
	return inventory, err
}

func (d *driver) Close(context.Context) error {
	m := d.machine
	m.mu.Lock()
	defer m.mu.Unlock()
	if !d.closed {
		d.closed = true
		m.sessions--
		m.journal = append(m.journal, "close")
	}
	return nil
}
