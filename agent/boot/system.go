package boot

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// seedLimit is how long the kernel may take to have randomness.
	seedLimit = 2 * time.Minute
	// networkLimit is how long an address is waited for. Spanning tree alone can take 50 s on a switch that was not set up for servers.
	networkLimit = 15 * time.Minute
	// holdUntil is the age of the kernel until which a reason stays on the screen, so that there is time to read it; it stays for
	// failureFloor at least. Then the machine goes back to its local disk.
	holdUntil    = 15 * time.Minute
	failureFloor = time.Minute
)

// System is the small system around process 1.
type System struct {
	Console     *Console
	CommandLine CommandLine
	Network     *Network
	Lease       *Lease

	modules *Modules
	found   chan struct{}
	known   map[string]bool // aliases of devices whose drivers were looked for
}

// New mounts the kernel's file systems and opens the consoles: from here on there is somebody to talk to.
func New() *System {
	fault := mountAll()
	s := &System{Console: NewConsole(), found: make(chan struct{})}
	s.Console.Say("berth agent: this machine started from the network and is being looked at")
	if fault != nil {
		s.Console.Say("%v", fault)
	}
	rebootOnPanic()
	return s
}

// Start goes on up to and including an address. Disks are still being found when it returns: see Found.
func (s *System) Start(ctx context.Context) error {
	go reap(ctx)
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return fmt.Errorf("read the kernel's command line: %w", err)
	}
	s.CommandLine = ParseCommandLine(string(line))
	s.Network = &Network{Root: "/", BootMAC: s.CommandLine.BootMAC, Say: s.Console.Say}
	if s.modules, err = OpenModules("/"); err != nil {
		return err
	}
	if err := s.seed(ctx); err != nil {
		return err
	}
	s.known = map[string]bool{}
	s.complain(s.modules.plug("/", isNetwork, s.known))
	s.Network.Up()
	go s.findRest()
	ctx, cancel := context.WithTimeout(ctx, networkLimit)
	defer cancel()
	if s.Lease, err = s.Network.Acquire(ctx); err != nil {
		return err
	}
	s.Console.Say("address %s", s.Lease)
	return nil
}

// Found is closed when the drivers of everything that was there at the start are loaded and disks have settled.
func (s *System) Found() <-chan struct{} { return s.found }

// seed loads the sources of randomness, then waits for it: in a goroutine, because the kernel only gathers it from the clock's
// jitter while somebody waits, and says so, because nothing else would.
func (s *System) seed(ctx context.Context) error {
	s.complain(s.modules.loadPlain(seedModules))
	drawn := make(chan struct{})
	go func() { rand.Read(make([]byte, 16)); close(drawn) }() // documented never to fail
	limit := time.After(seedLimit)
	for told := false; ; told = true {
		select {
		case <-drawn:
			return nil
		case <-limit:
			return fmt.Errorf("the kernel has had no randomness for %s: the machine needs a virtio-rng device, RDRAND with random.trust_cpu=on, or a TPM", seedLimit)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Second):
			if !told {
				s.Console.Say("waiting for randomness; without a hardware source this takes a minute or two")
			}
		}
	}
}

// findRest loads what is not needed for the first word to the server.
func (s *System) findRest() {
	defer close(s.found)
	var plain sync.WaitGroup
	plain.Go(func() { s.complain(s.modules.loadPlain(plainModules)) })
	s.findNew()
	plain.Wait()
	mountEFI()
	s.settle()
}

// findNew loads the drivers of devices that were not there the last time.
func (s *System) findNew() {
	s.complain(s.modules.plug("/", func(string) bool { return true }, s.known))
}

// FindAgain waits for what was there at the start, then looks for what was plugged in since. Its callers take turns.
func (s *System) FindAgain(ctx context.Context) {
	select {
	case <-s.found:
	case <-ctx.Done():
		return
	}
	s.findNew()
	s.Network.Up()
}

const (
	settleQuiet = 200 * time.Millisecond
	settleLimit = 20 * time.Second
	settlePoll  = 50 * time.Millisecond
)

// settle waits until no device has appeared for a moment: controllers find their disks after their driver is loaded.
func (s *System) settle() {
	limit := time.Now().Add(settleLimit)
	count, quiet := countDevices(), time.Now()
	for time.Since(quiet) < settleQuiet && time.Now().Before(limit) {
		time.Sleep(settlePoll)
		if now := countDevices(); now != count {
			s.findNew()
			count, quiet = now, time.Now()
		}
	}
}

// countDevices counts where controllers show what they found. Going through all devices each time would cost more than waiting.
func countDevices() int {
	count := 0
	for _, dir := range []string{"/sys/class/block", "/sys/bus/scsi/devices", "/sys/bus/pci/devices", "/sys/bus/usb/devices"} {
		names, _ := os.ReadDir(dir) // a bus that is not there has no devices
		count += len(names)
	}
	return count
}

func (s *System) complain(faults []error) {
	for _, err := range faults {
		s.Console.Say("%v", err)
	}
}

// reap takes the ends of processes that lost their parents; process 1 inherits them.
func reap(ctx context.Context) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	defer signal.Stop(ended)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ended:
		}
		for {
			if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}

// Fail tells why and hands the machine back to its local disk a while later. It returns only if the kernel does not even restart.
func (s *System) Fail(reason error) error {
	hold := max(holdUntil-uptime(), failureFloor).Round(time.Second)
	s.Console.Say("this cannot go on: %v", reason)
	s.Console.Say("the machine restarts from its local disk in %s", hold)
	time.Sleep(hold)
	return s.End(false)
}

// rebootOnPanic makes a kernel that panics, as it does when process 1 breaks, restart after half a minute and not stand there for
// ever, unless the command line already says what it shall do.
func rebootOnPanic() {
	const knob = "/proc/sys/kernel/panic"
	if now, err := os.ReadFile(knob); err == nil && string(now) == "0\n" {
		os.WriteFile(knob, []byte("30"), 0) // without it there is still the person at the machine
	}
}

// End restarts the machine or powers it off.
func (s *System) End(off bool) error {
	if off {
		s.Console.Say("powering off")
	} else {
		s.Console.Say("restarting")
	}
	s.Console.Flush(2 * time.Second)
	return Power(off)
}
