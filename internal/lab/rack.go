package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"berth/internal/lab/hardware"
	"berth/internal/lab/vbmc"
	"berth/internal/lab/wire"
)

// The wire of a rack.
const (
	bridge       = "br0"
	switchName   = "lab-switch"
	firstBMC     = 11 // the last byte of the first controller's address
	lldpInterval = 5 * time.Second
	forwardIdle  = 15 * time.Minute
)

// Rack is a running rack. Stop ends it.
type Rack struct {
	spec     Spec
	dir      string
	run      string // sockets
	ns       *wire.Namespace
	log      *slog.Logger
	machines []*Machine
	cancel   context.CancelFunc
	work     sync.WaitGroup // announcers, wakers, the control socket

	mu         sync.Mutex // guards what follows, and the state file
	owner      processID
	processes  map[string]processID
	forwarders []*wire.Forwarder
	taps       []*wire.Tap
	stopped    bool
}

// Start builds a rack in dir, which keeps disks and consoles, and leaves every
// machine off with its management controller listening. What an earlier rack in
// dir left is cleaned up first; its disks are used again. The rack lives until
// Stop; ctx bounds only the start.
func Start(ctx context.Context, spec Spec, dir string) (*Rack, error) {
	spec, err := spec.fill()
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if err := spec.Missing(); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "disks"), 0o700); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if err := Clean(dir); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	r := &Rack{spec: spec, dir: dir, log: spec.Logger, processes: map[string]processID{}}
	if err := r.build(ctx); err != nil {
		return nil, fmt.Errorf("lab: %w", errors.Join(err, r.Stop()))
	}
	return r, nil
}

// build makes everything; what it made before it failed, Stop takes away.
func (r *Rack) build(ctx context.Context) error {
	background, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	if err := r.claim(); err != nil {
		return err
	}
	if err := r.ns.AddBridge(bridge, r.spec.BootNetwork, r.spec.BMCNetwork); err != nil {
		return err
	}
	for i, spec := range r.spec.Machines {
		m, err := r.newMachine(i, spec)
		if err != nil {
			return err
		}
		r.machines = append(r.machines, m)
	}
	for i := range r.spec.Machines {
		if err := r.addBMC(i); err != nil {
			return err
		}
	}
	if r.spec.LLDP {
		if err := r.announce(background); err != nil {
			return err
		}
	}
	if err := r.listenForWakeups(background); err != nil {
		return err
	}
	if err := r.serveControl(background); err != nil {
		return err
	}
	return ctx.Err()
}

// claim makes the namespace and the directory of sockets, and writes them down
// before anything else is made.
func (r *Rack) claim() error {
	owner, err := newProcessID(os.Getpid(), "lab")
	if err != nil {
		return err
	}
	r.owner = owner
	if r.run, err = os.MkdirTemp("", runPrefix); err != nil {
		return fmt.Errorf("make a directory for sockets: %w", err)
	}
	name := wire.Prefix + r.spec.Name + "-" + strings.ToLower(rand.Text()[:6])
	if err := r.save(name); err != nil {
		return err
	}
	r.ns, err = wire.NewNamespace(name)
	return err
}

// save writes the state file.
func (r *Rack) save(namespace string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.saveLocked(namespace)
}

func (r *Rack) saveLocked(namespace string) error {
	s := state{Name: r.spec.Name, Namespace: namespace, Run: r.run, Owner: r.owner}
	for _, p := range r.processes {
		s.Machines = append(s.Machines, p)
	}
	return s.write(r.dir)
}

// started notes a machine's process, and ended forgets it.
func (r *Rack) started(name string, pid int) error {
	id, err := newProcessID(pid, name)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.processes[name] = id
	return r.saveLocked(r.ns.Name())
}

func (r *Rack) ended(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.processes, name)
	if r.stopped {
		return
	}
	if err := r.saveLocked(r.ns.Name()); err != nil {
		r.log.Error("lab: state file", "err", err)
	}
}

// addBMC starts the controller of machine i, with every machine that shares it.
func (r *Rack) addBMC(i int) error {
	spec := r.spec.Machines[i]
	if spec.BMC.Protocol == "" {
		return nil
	}
	cfg := spec.BMC
	if !cfg.Addr.IsValid() {
		cfg.Addr = r.bmcAddr(i)
	}
	at := netip.PrefixFrom(cfg.Addr, cfg.Addr.BitLen())
	if err := r.ns.AddAddress(bridge, at); err != nil {
		return err
	}
	cfg.Network = r.ns
	cfg.Mask = net.CIDRMask(r.spec.BMCNetwork.Bits(), r.spec.BMCNetwork.Addr().BitLen())
	if cfg.Logger == nil {
		cfg.Logger = r.log.With("machine", spec.Name)
	}
	if cfg.Certificate == nil {
		cert, err := vbmc.KeptCertificate(filepath.Join(r.machines[i].dir, "bmc.pem"), cfg.Addr)
		if err != nil {
			return err
		}
		cfg.Certificate = &cert
	}
	hosts := []vbmc.Host{r.machines[i]}
	members := []*Machine{r.machines[i]}
	for j, other := range r.spec.Machines {
		if other.SharesBMCOf == spec.Name {
			hosts, members = append(hosts, r.machines[j]), append(members, r.machines[j])
		}
	}
	b, err := vbmc.New(cfg, hosts...)
	if err != nil {
		return fmt.Errorf("controller of %s: %w", spec.Name, err)
	}
	for _, m := range members {
		m.bmc = b
		if err := m.openInband(); err != nil {
			return fmt.Errorf("controller of %s: %w", m.name, err)
		}
	}
	return nil
}

// bmcAddr is the address of machine i's controller.
func (r *Rack) bmcAddr(i int) netip.Addr {
	a := r.spec.BMCNetwork.Masked().Addr()
	for range firstBMC + i {
		a = a.Next()
	}
	return a
}

// announce sends LLDP to every port.
func (r *Rack) announce(ctx context.Context) error {
	chassis := net.HardwareAddr{0x02, 0x00, 0x00, 0x77, 0x00, 0x01}
	port := 0
	for _, m := range r.machines {
		for i, link := range m.taps {
			port++
			tap, err := r.openTap(link)
			if err != nil {
				return err
			}
			frame := wire.LLDP{
				Switch: switchName, ChassisMAC: chassis, Port: fmt.Sprintf("port%d", port),
				Description: m.Name() + " " + m.Server().NICs[i].Name, TTL: 120 * time.Second,
			}.Frame()
			r.work.Go(func() { r.repeat(ctx, tap, frame) })
		}
	}
	return nil
}

// repeat sends a frame until ctx ends. A port without a machine behind it is
// down, which is no error here.
func (r *Rack) repeat(ctx context.Context, tap *wire.Tap, frame []byte) {
	tick := time.NewTicker(lldpInterval)
	defer tick.Stop()
	for {
		if _, err := tap.Write(frame); err != nil {
			r.log.Debug("lab: LLDP", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// listenForWakeups watches the switch for magic packets.
func (r *Rack) listenForWakeups(ctx context.Context) error {
	tap, err := r.openTap(bridge)
	if err != nil {
		return err
	}
	r.work.Go(func() {
		err := tap.Frames(ctx, func(frame []byte) bool {
			if mac, ok := wire.WakeTarget(frame); ok {
				r.wake(ctx, mac)
			}
			return true
		})
		if err != nil && ctx.Err() == nil {
			r.log.Error("lab: wake-on-LAN", "err", err)
		}
	})
	return nil
}

func (r *Rack) wake(ctx context.Context, mac net.HardwareAddr) {
	for _, m := range r.machines {
		if !m.wakes(mac) {
			continue
		}
		r.log.Info("lab: magic packet", "machine", m.Name())
		if err := m.Act(ctx, hardware.PowerOn); err != nil {
			r.log.Error("lab: wake-on-LAN", "machine", m.Name(), "err", err)
		}
	}
}

// openTap opens a raw socket that Stop closes.
func (r *Rack) openTap(link string) (*wire.Tap, error) {
	t, err := r.ns.OpenTap(link)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taps = append(r.taps, t)
	return t, nil
}

// Stop switches every machine off and takes the rack away: controllers,
// forwarders, namespace, sockets. Disks and consoles stay in the directory.
// More than once is fine.
func (r *Rack) Stop() error {
	r.mu.Lock()
	if r.stopped {
		r.mu.Unlock()
		return nil
	}
	r.stopped = true
	forwarders, taps := r.forwarders, r.taps
	r.mu.Unlock()

	r.cancel()
	var errs []error
	for _, f := range forwarders {
		errs = append(errs, f.Close())
	}
	for _, m := range r.machines {
		m.stop()
	}
	for _, t := range taps {
		t.Close() // it may be closed already, by the end of its reader
	}
	r.work.Wait()
	if r.ns != nil {
		errs = append(errs, r.ns.Close())
	}
	if r.run == "" {
		return errors.Join(errs...)
	}
	errs = append(errs, removeRun(r.run))
	if err := os.Remove(filepath.Join(r.dir, stateFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Dir is where disks and consoles are.
func (r *Rack) Dir() string { return r.dir }

// Spec is the description the rack was built from, filled.
func (r *Rack) Spec() Spec { return r.spec }

// Namespace is the network namespace, for ip netns exec.
func (r *Rack) Namespace() string { return r.ns.Name() }

// Bridge is the interface inside the namespace that has the server's addresses.
func (r *Rack) Bridge() string { return bridge }

// BootAddr and BMCAddr are the addresses of the server under test on the two
// networks.
func (r *Rack) BootAddr() netip.Addr { return r.spec.BootNetwork.Addr() }

// BMCAddr is the server's address on the controllers' network.
func (r *Rack) BMCAddr() netip.Addr { return r.spec.BMCNetwork.Addr() }

// Machines lists the machines in the order of the Spec.
func (r *Rack) Machines() []*Machine { return append([]*Machine(nil), r.machines...) }

// Machine finds one by its name, or nil.
func (r *Rack) Machine(name string) *Machine {
	for _, m := range r.machines {
		if m.Name() == name {
			return m
		}
	}
	return nil
}

// Command is exec.CommandContext for a program inside the rack's network. It
// gets SIGTERM when this process dies.
func (r *Rack) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return r.ns.Command(ctx, name, args...)
}

// Run runs a program inside the rack's network and returns what it printed.
func (r *Rack) Run(ctx context.Context, name string, args ...string) (string, error) {
	out, err := r.Command(ctx, name, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s in %s: %w", name, r.ns.Name(), err)
	}
	return string(out), err
}

// Listen opens a stream listener inside; addresses are literals.
func (r *Rack) Listen(network, address string) (net.Listener, error) {
	return r.ns.Listen(network, address)
}

// ListenPacket opens a packet socket inside; addresses are literals.
func (r *Rack) ListenPacket(network, address string) (net.PacketConn, error) {
	return r.ns.ListenPacket(network, address)
}

// Dial connects from inside; addresses are literals. It has the shape of
// http.Transport.DialContext.
func (r *Rack) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return r.ns.DialContext(ctx, network, address)
}

// Do runs f on a thread inside the namespace; goroutines that f starts are
// outside.
func (r *Rack) Do(f func() error) error { return r.ns.Do(f) }

// Forward carries TCP from a loopback address of the host, such as
// "127.0.0.1:0", to an address inside, until it is closed or the rack stops.
func (r *Rack) Forward(listen, target string) (*wire.Forwarder, error) {
	f, err := r.ns.Forward(listen, target, forwardIdle, r.log)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return nil, errors.Join(errors.New("the rack is stopped"), f.Close())
	}
	r.forwarders = append(r.forwarders, f)
	return f, nil
}

// Capture opens a raw socket on a link inside: Bridge, or one of a machine's
// Taps. The rack's Stop closes it, too.
func (r *Rack) Capture(link string) (*wire.Tap, error) { return r.openTap(link) }
