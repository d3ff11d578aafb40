package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"berth/internal/lab/hardware"
	"berth/internal/lab/qemu"
	"berth/internal/lab/vbmc"
)

// cyclePause is how long the power is off in a cycle.
const cyclePause = time.Second

// rebootTime is how long after a polite request to reboot a shutdown still
// counts as the first half of it.
const rebootTime = 5 * time.Minute

// Machine is one virtual server. It is off or runs one QEMU process; a reboot
// is a new process, so that each boot obeys the boot order of its own moment.
type Machine struct {
	rack *Rack
	name string
	log  *slog.Logger
	dir  string // consoles and firmware variables
	run  string // sockets
	taps []string
	wol  bool
	bmc  *vbmc.BMC // nil without one

	inband string // socket of the controller's system interface

	op sync.Mutex // held through a power action; taken before mu

	mu       sync.Mutex // guards what follows
	server   hardware.Server
	override hardware.Override
	process  *qemu.Process // nil when off
	boots    []Boot
	cpu      time.Duration // of processes that have ended
	rebootBy time.Time     // a polite reboot was asked for, and is awaited until then
	unplug   map[string]bool
	changed  chan struct{} // closed and replaced at each change of power
	stopped  bool
	watchers sync.WaitGroup
}

var _ vbmc.Host = (*Machine)(nil)

// Boot is one start of a machine.
type Boot struct {
	Number  int // from 1, over the life of the rack's directory
	At      time.Time
	Device  hardware.Device // the override that was obeyed, or None for the standing order
	Console string          // file with the output of the serial port
}

// newMachine makes the ports, disks and firmware variables of machine i.
func (r *Rack) newMachine(i int, spec MachineSpec) (*Machine, error) {
	m := &Machine{
		rack: r, name: spec.Name, log: r.log.With("machine", spec.Name), server: spec.Server, wol: spec.WakeOnLAN,
		dir: filepath.Join(r.dir, "machines", spec.Name), run: filepath.Join(r.run, fmt.Sprint(i)),
		unplug: map[string]bool{}, changed: make(chan struct{}),
	}
	for _, d := range []string{m.dir, m.run} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("machine %s: %w", spec.Name, err)
		}
	}
	for j := range spec.NICs {
		tap := fmt.Sprintf("tap%d-%d", i+1, j+1)
		if err := r.ns.AddTap(tap, bridge); err != nil {
			return nil, fmt.Errorf("machine %s: %w", spec.Name, err)
		}
		m.taps = append(m.taps, tap)
	}
	for j := range m.server.Disks {
		if err := m.makeDisk(&m.server.Disks[j]); err != nil {
			return nil, fmt.Errorf("machine %s: %w", spec.Name, err)
		}
	}
	if spec.Firmware == hardware.UEFI {
		if err := copyOnce(m.vars(), qemu.OVMFVars); err != nil {
			return nil, fmt.Errorf("machine %s: UEFI variables: %w", spec.Name, err)
		}
	}
	return m, nil
}

// openInband gives the machine's operating system a way to its controller.
func (m *Machine) openInband() error {
	path := filepath.Join(m.run, "ipmi.sock")
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", path)
	if err != nil {
		return fmt.Errorf("system interface: %w", err)
	}
	m.inband = path
	if err := m.bmc.ServeInband(m, l); err != nil {
		return errors.Join(err, l.Close())
	}
	return nil
}

func (m *Machine) vars() string { return filepath.Join(m.dir, "vars.fd") }

// makeDisk makes a disk's file, unless it is there with its content.
func (m *Machine) makeDisk(d *hardware.Disk) error {
	if d.File == "" {
		d.File = filepath.Join(m.rack.dir, "disks", m.name+"-"+d.Slot+".raw")
	}
	f, err := os.OpenFile(d.File, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("disk in %s: %w", d.Slot, err)
	}
	if err := f.Truncate(d.Size); err != nil {
		return errors.Join(fmt.Errorf("disk in %s: %w", d.Slot, err), f.Close())
	}
	return f.Close()
}

// copyOnce copies a file to a place where there is none.
func copyOnce(to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		return errors.Join(err, dst.Close(), os.Remove(to))
	}
	return dst.Close()
}

// Name is its name.
func (m *Machine) Name() string { return m.name }

// Server describes it as it is now.
func (m *Machine) Server() hardware.Server {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.server.Clone()
}

// BMC is its management controller, or nil.
func (m *Machine) BMC() *vbmc.BMC { return m.bmc }

// Taps are the links of its ports inside the namespace, in their order.
func (m *Machine) Taps() []string { return append([]string(nil), m.taps...) }

// PowerState is whether it runs.
func (m *Machine) PowerState() hardware.PowerState {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process != nil {
		return hardware.On
	}
	return hardware.Off
}

// Override is the boot override not yet used up.
func (m *Machine) Override() hardware.Override {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.override
}

// SetOverride sets the boot override for the next start.
func (m *Machine) SetOverride(o hardware.Override) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.override = o
}

// Boots lists the starts of this rack, oldest first.
func (m *Machine) Boots() []Boot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.boots)
}

// CPUTime is user and system time of all its QEMU processes in this rack.
func (m *Machine) CPUTime() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process != nil {
		return m.cpu + m.process.CPUTime()
	}
	return m.cpu
}

// Act changes the power; see hardware.Action. It returns when QEMU has started
// or ended; what an operating system was asked to do may come later or never.
func (m *Machine) Act(ctx context.Context, a hardware.Action) error {
	m.op.Lock()
	defer m.op.Unlock()
	p := m.current()
	if p == nil {
		switch a {
		case hardware.PowerOn:
			return m.start(ctx)
		case hardware.PowerOff:
			return nil
		default:
			return hardware.ErrOff
		}
	}
	switch a {
	case hardware.PowerOn:
		return nil
	case hardware.PowerOff:
		m.end(p, (*qemu.Process).Quit)
		return nil
	case hardware.Reset:
		m.end(p, (*qemu.Process).Quit)
		return m.start(ctx)
	case hardware.Cycle:
		m.end(p, (*qemu.Process).Quit)
		time.Sleep(cyclePause)
		return m.start(ctx)
	case hardware.Shutdown:
		m.expectReboot(time.Time{})
		return p.Powerdown(ctx)
	case hardware.Reboot:
		m.expectReboot(time.Now().Add(rebootTime))
		return p.Powerdown(ctx)
	case hardware.NMI:
		return p.NMI(ctx)
	default:
		return hardware.ErrUnsupported
	}
}

// PressPowerButton does what a person at the rack can do: it switches the
// machine on, or asks its operating system to shut down.
func (m *Machine) PressPowerButton(ctx context.Context) error {
	if m.PowerState() == hardware.Off {
		return m.Act(ctx, hardware.PowerOn)
	}
	return m.Act(ctx, hardware.Shutdown)
}

// PowerCut pulls the plug: QEMU is killed in the middle of whatever it does.
// What the guest did not see completed may be lost or half there.
func (m *Machine) PowerCut() {
	m.op.Lock()
	defer m.op.Unlock()
	if p := m.current(); p != nil {
		m.end(p, (*qemu.Process).Kill)
	}
}

func (m *Machine) current() *qemu.Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.process
}

func (m *Machine) expectReboot(by time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rebootBy = by
}

// start runs a new QEMU. Its callers hold op, and the machine is off.
func (m *Machine) start(ctx context.Context) error {
	launch, boot, err := m.nextBoot()
	if err != nil {
		return err
	}
	p, err := qemu.Start(ctx, launch, m.rack.ns.Start)
	if err != nil {
		return err
	}
	if err := m.rack.started(m.Name(), p.PID()); err != nil {
		p.Kill()
		return err
	}
	m.mu.Lock()
	m.process = p
	m.boots = append(m.boots, boot)
	m.rebootBy = time.Time{}
	if !m.override.Persistent {
		m.override = hardware.Override{}
	}
	down := slices.Sorted(maps.Keys(m.unplug))
	m.signal()
	m.watchers.Go(func() { m.watch(p) })
	m.mu.Unlock()
	for _, nic := range down {
		if err := p.SetLink(ctx, nic, false); err != nil {
			return err
		}
	}
	m.log.Info("lab: power on", "boot", boot.Number, "device", boot.Device)
	return nil
}

// nextBoot is how the machine starts now.
func (m *Machine) nextBoot() (qemu.Launch, Boot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		return qemu.Launch{}, Boot{}, fmt.Errorf("start %s: the rack is stopped", m.name)
	}
	number := lastConsole(m.dir) + 1
	boot := Boot{Number: number, At: time.Now(), Device: hardware.None, Console: consolePath(m.dir, number)}
	if m.override.Active() {
		boot.Device = m.override.Device
	}
	launch := qemu.Launch{
		Server: m.server.Clone(), Boot: boot.Device, Dir: m.run, Taps: m.taps, Vars: m.vars(), Console: boot.Console,
		Inband: m.inband, Cache: m.rack.spec.Cache, Accel: m.rack.spec.Accel, CPU: m.rack.spec.CPU,
	}
	for _, d := range m.server.Disks {
		launch.Disks = append(launch.Disks, d.File)
	}
	return launch, boot, nil
}

// end ends a process in the way given. Its callers hold op.
func (m *Machine) end(p *qemu.Process, how func(*qemu.Process)) {
	m.mu.Lock()
	if m.process != p {
		m.mu.Unlock()
		return
	}
	m.process = nil // before it dies, so that watch does not take it for a crash
	m.rebootBy = time.Time{}
	m.mu.Unlock()
	how(p)
	m.mu.Lock()
	m.cpu += p.CPUTime()
	m.signal()
	m.mu.Unlock()
	m.rack.ended(m.Name())
	m.log.Info("lab: power off")
}

// signal wakes those who wait for a change of power. Its callers hold mu.
func (m *Machine) signal() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// watch follows what the guest does to its own power.
func (m *Machine) watch(p *qemu.Process) {
	for e := range p.Events() {
		if e.Name == "SHUTDOWN" && e.Data.Guest {
			m.guestEnded(p, e.Data.Reason)
		}
	}
	<-p.Done()
	m.op.Lock()
	defer m.op.Unlock()
	if m.current() == p {
		m.log.Error("lab: QEMU ended by itself", "said", p.Said())
		m.end(p, func(*qemu.Process) {})
	}
}

// guestEnded finishes what the guest began: a reset is a new start, which obeys
// the boot order of this moment; a shutdown is the end, or the first half of a
// polite reboot.
func (m *Machine) guestEnded(p *qemu.Process, reason string) {
	m.op.Lock()
	defer m.op.Unlock()
	if m.current() != p {
		return
	}
	m.mu.Lock()
	again := reason == "guest-reset" || time.Now().Before(m.rebootBy)
	m.mu.Unlock()
	m.log.Info("lab: the guest ended", "reason", reason)
	m.end(p, (*qemu.Process).Quit)
	if !again {
		return
	}
	if err := m.start(context.Background()); err != nil && !m.isStopped() {
		m.log.Error("lab: start after a reset", "err", err)
	}
}

func (m *Machine) isStopped() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stopped
}

// stop ends the machine and its controller for good.
func (m *Machine) stop() {
	if m.bmc != nil {
		m.bmc.Close() // once for each machine that shares it, which is fine
	}
	m.mu.Lock()
	m.stopped = true
	m.mu.Unlock()
	m.op.Lock()
	if p := m.current(); p != nil {
		m.end(p, (*qemu.Process).Quit)
	}
	m.op.Unlock()
	m.watchers.Wait()
}

// WaitPower waits until the machine is on or off.
func (m *Machine) WaitPower(ctx context.Context, want hardware.PowerState) error {
	for {
		m.mu.Lock()
		changed, on := m.changed, m.process != nil
		m.mu.Unlock()
		if on == (want == hardware.On) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s to be %s: %w", m.Name(), want, ctx.Err())
		}
	}
}

// wakes reports whether a magic packet for mac wakes this machine now: it is
// off, it listens, and the port's cable is in.
func (m *Machine) wakes(mac net.HardwareAddr) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.wol || m.process != nil {
		return false
	}
	return slices.ContainsFunc(m.server.NICs, func(n hardware.NIC) bool {
		return slices.Equal(n.MAC, mac) && !m.unplug[n.Name]
	})
}

// SetLink plugs or pulls the cable of a port. It stays so over reboots.
func (m *Machine) SetLink(ctx context.Context, nic string, up bool) error {
	m.op.Lock()
	defer m.op.Unlock()
	m.mu.Lock()
	known := slices.ContainsFunc(m.server.NICs, func(n hardware.NIC) bool { return n.Name == nic })
	if known {
		delete(m.unplug, nic)
		if !up {
			m.unplug[nic] = true
		}
	}
	p := m.process
	m.mu.Unlock()
	if !known {
		return fmt.Errorf("%s has no port %q", m.Name(), nic)
	}
	if p == nil {
		return nil
	}
	return p.SetLink(ctx, nic, up)
}

// errOn says that a screwdriver is for machines that are off.
var errOn = errors.New("the machine is on")

// Unplug takes a disk out, with its content. The machine must be off.
func (m *Machine) Unplug(slot string) (hardware.Disk, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process != nil {
		return hardware.Disk{}, fmt.Errorf("take a disk out of %s: %w", m.name, errOn)
	}
	i := slices.IndexFunc(m.server.Disks, func(d hardware.Disk) bool { return d.Slot == slot })
	if i < 0 {
		return hardware.Disk{}, fmt.Errorf("%s has no disk in %q", m.name, slot)
	}
	d := m.server.Disks[i]
	m.server.Disks = slices.Delete(m.server.Disks, i, i+1)
	return d, nil
}

// Plug puts a disk into the slot it names: one that was taken out elsewhere,
// with its content, or a new one. The machine must be off.
func (m *Machine) Plug(d hardware.Disk) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d = m.server.FillDisk(d)
	if m.process != nil {
		return fmt.Errorf("put a disk into %s: %w", m.name, errOn)
	}
	if err := d.Check(); err != nil {
		return fmt.Errorf("put a disk into %s: %w", m.name, err)
	}
	if slices.ContainsFunc(m.server.Disks, func(o hardware.Disk) bool { return o.Slot == d.Slot }) {
		return fmt.Errorf("put a disk into %s: %s is taken", m.name, d.Slot)
	}
	if d.File == "" {
		// The default name may belong to a disk that sat here before.
		d.File = filepath.Join(m.rack.dir, "disks", fmt.Sprintf("%s-%s-%d.raw", m.name, d.Slot, time.Now().UnixNano()))
	}
	if err := m.makeDisk(&d); err != nil {
		return err
	}
	m.server.Disks = append(m.server.Disks, d)
	slices.SortFunc(m.server.Disks, func(a, b hardware.Disk) int { return compareSlots(a.Slot, b.Slot) })
	return nil
}

// compareSlots sorts bay2 before bay10.
func compareSlots(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

// Change edits the description while the machine is off: a memory module, a
// label, the firmware's boot order. Disks have Plug and Unplug; names and ports
// stay as they are.
func (m *Machine) Change(edit func(*hardware.Server)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process != nil {
		return fmt.Errorf("change %s: %w", m.name, errOn)
	}
	next := m.server.Clone()
	edit(&next)
	if err := next.Check(); err != nil {
		return err
	}
	next.Name, next.Firmware, next.NICs, next.Disks = m.name, m.server.Firmware, m.server.NICs, m.server.Disks
	m.server = next
	return nil
}
