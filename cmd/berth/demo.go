package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"berth/api"
	"berth/internal/lab"
	"berth/internal/lab/hardware"
	"berth/internal/lab/stand"
	"berth/inventory"
)

// demoOptions are the settings of `berth lab demo`.
type demoOptions struct {
	dir     string
	image   string
	listen  string
	once    bool
	keep    bool
	timeout time.Duration
}

func demoCommand() *cobra.Command {
	var o demoOptions
	c := &cobra.Command{
		Use:   "demo",
		Short: "Lead two virtual servers from the first packet to an installed system",
		Long: `Build a rack of two virtual servers in a network namespace, start a berth server in it, and lead both from the first packet to an
installed Debian that reports back: discovery, acceptance, deployment. The pages are then on 127.0.0.1 until Ctrl-C.

Nothing of this host's own network is used. Exit codes: 0 done, 1 something failed.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runDemo(c.Context(), o, c.OutOrStdout()) },
	}
	f := c.Flags()
	f.StringVar(&o.dir, "dir", "", "where disks, consoles and state are kept (default a new temporary directory)")
	f.StringVar(&o.image, "image", defaultImage(), "disk image to deploy")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8443", "address on this host for the web pages; a free port is taken when this one is used")
	f.BoolVar(&o.once, "once", false, "stop when both are deployed and have booted from their disks without berth")
	f.BoolVar(&o.keep, "keep", false, "leave the directory behind")
	f.DurationVar(&o.timeout, "timeout", 40*time.Minute, "give up after this long")
	return c
}

func defaultImage() string {
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	return filepath.Join(filepath.Dir(self), "image", "debian-12-demo.raw")
}

// demo is one showing.
type demo struct {
	demoOptions
	out   *journal
	stand *stand.Stand
}

// journal prints one line per step, with the time since the start.
type journal struct {
	mu    sync.Mutex
	w     io.Writer
	start time.Time
}

func (j *journal) say(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	d := time.Since(j.start).Round(time.Second)
	fmt.Fprintf(j.w, "%3d:%02d  %s\n", int(d.Minutes()), int(d.Seconds())%60, fmt.Sprintf(format, args...))
}

func runDemo(ctx context.Context, o demoOptions, w io.Writer) (err error) {
	if _, err := os.Stat(o.image); err != nil {
		return exitError{err: fmt.Errorf("the image to deploy is not there: %w", err), code: exitFailed, hint: "`make image` builds it."}
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "berth-demo-"); err != nil {
			return err
		}
	}
	d := &demo{demoOptions: o, out: &journal{w: w, start: time.Now()}}
	defer func() { err = errors.Join(err, d.cleanUp(err)) }()
	deploying, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if err := d.show(deploying); err != nil {
		return d.explain(ctx, err)
	}
	if o.once {
		if err := d.coldBoot(deploying); err != nil {
			return d.explain(ctx, err)
		}
		return nil
	}
	d.out.say("both are deployed. The rack stays up until Ctrl-C.")
	<-ctx.Done()
	return nil
}

// explain keeps a Ctrl-C from looking like a failure of the demo's.
func (d *demo) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return exitError{err: errors.New("stopped before it was done"), code: exitFailed}
	}
	if d.stand != nil {
		d.out.say("FAILED: %v", err)
		for _, m := range d.stand.Rack.Machines() {
			if text, cerr := m.Console(); cerr == nil {
				d.out.say("the last lines on the console of %s:\n%s", m.Name(), tail(text, 15))
			}
		}
	}
	return err
}

func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(text, "\r", "")), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return "    | " + strings.Join(lines, "\n    | ")
}

func (d *demo) cleanUp(failed error) error {
	var err error
	if d.stand != nil {
		err = d.stand.Stop()
		d.out.say("the rack is gone")
	}
	if d.keep || failed != nil && d.stand != nil {
		d.out.say("disks, consoles and logs are left in %s", d.dir)
		return err
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}

// show is the demo: rack, server, image, machines.
func (d *demo) show(ctx context.Context) error {
	if err := d.setUp(ctx); err != nil {
		return err
	}
	if err := d.importImage(ctx); err != nil {
		return err
	}
	if err := d.furnish(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, m := range d.stand.Rack.Machines() {
		group.Go(func() error {
			if err := d.lead(ctx, m); err != nil {
				return fmt.Errorf("%s: %w", m.Name(), err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (d *demo) setUp(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	o := stand.Options{Spec: demoSpec(), Dir: d.dir, Berth: self, Listen: d.listen}
	o.Spec.Logger = slog.New(slog.DiscardHandler)
	d.stand, err = stand.Start(ctx, o)
	if err != nil && d.listen != "127.0.0.1:0" && strings.Contains(err.Error(), "address already in use") {
		o.Listen = "127.0.0.1:0"
		d.stand, err = stand.Start(ctx, o)
	}
	if err != nil {
		return err
	}
	password, err := d.stand.FirstPassword()
	if err != nil {
		return err
	}
	for _, m := range d.stand.Rack.Machines() {
		d.out.say("in the rack: %s, %s firmware, BMC by %s at %s", m.Name(), m.Server().Firmware, m.BMC().Protocol(), m.BMC().Endpoint(m.BMC().Protocol()))
	}
	d.out.say("berth serves: open %s, log in as admin with %s", d.stand.URL, password)
	return nil
}

// demoSpec is the lab's own rack of two, with disks big enough for the image and no more.
func demoSpec() lab.Spec {
	spec := lab.DefaultSpec()
	spec.Cache = "unsafe" // the disks are thrown away
	return spec
}

func (d *demo) importImage(ctx context.Context) error {
	f, err := os.Open(d.image)
	if err != nil {
		return err
	}
	defer f.Close()
	img, err := d.stand.Client.ImportImage(ctx, api.ImportRequest{Name: demoImage, OS: "Debian", Version: "12", Arch: "amd64", Why: "the demo"}, f)
	if err != nil {
		return fmt.Errorf("import the image: %w", err)
	}
	d.out.say("image %s imported: %s", img.Name, img.Digest)
	return nil
}

const demoImage = "debian-12-demo"

// furnish gives the machines a place: a site and a rack.
func (d *demo) furnish(ctx context.Context) error {
	site, err := api.Create(ctx, d.stand.Client, &inventory.Site{Name: "Demo", Slug: "demo", Status: "active"})
	if err != nil {
		return err
	}
	_, err = api.Create(ctx, d.stand.Client, &inventory.Rack{Name: "rack-1", Site: site.UID, UHeight: 12, Status: "active"})
	return err
}

// lead is the way of one machine.
func (d *demo) lead(ctx context.Context, m *lab.Machine) error {
	if err := m.PressPowerButton(ctx); err != nil {
		return err
	}
	d.out.say("%s: switched on; it asks the network for help", m.Name())
	found, err := d.discovered(ctx, m)
	if err != nil {
		return err
	}
	d.out.say("%s: discovered as %s: %s %s, %d MiB, %d bytes of disk", m.Name(), found.Name, found.Manufacturer, found.Product, found.MemoryMiB, found.DiskBytes)
	if err := d.accept(ctx, m, found); err != nil {
		return err
	}
	op, err := d.stand.Client.Deploy(ctx, m.Name(), api.DeployRequest{Image: demoImage, Why: "the demo"})
	if err != nil {
		return fmt.Errorf("deploy: %w", err)
	}
	if err := d.follow(ctx, m.Name(), op.UID); err != nil {
		return err
	}
	now, err := d.stand.Client.Machine(ctx, m.Name())
	if err != nil {
		return err
	}
	d.out.say("%s: deployed and reporting from %s", m.Name(), strings.Join(now.Machine.Addresses, ", "))
	return nil
}

// discovered waits until berth has recognised the machine by its address and taken its report.
func (d *demo) discovered(ctx context.Context, m *lab.Machine) (*inventory.Device, error) {
	mac := m.Server().NICs[0].MAC.String()
	for {
		ports, err := api.List[inventory.Interface](ctx, d.stand.Client, api.Query{Filters: map[string]string{"mac": mac}})
		if err != nil {
			return nil, err
		}
		if len(ports.Items) > 0 {
			device, err := api.Get[inventory.Device](ctx, d.stand.Client, string(ports.Items[0].Device))
			if err != nil {
				return nil, err
			}
			if device.ProvisionState != inventory.StateUnknown && device.Operation == "" {
				return device, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("it was not discovered: %w", context.Cause(ctx))
		case <-time.After(time.Second):
		}
	}
}

func (d *demo) accept(ctx context.Context, m *lab.Machine, found *inventory.Device) error {
	position := 1.0
	if m.Server().Firmware == hardware.UEFI {
		position = 3
	}
	device, err := d.stand.Client.Accept(ctx, string(found.UID), api.AcceptRequest{Name: m.Name(), Rack: "rack-1", Position: &position, Face: "front", Why: "it is ours"})
	if err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	username, password := m.BMC().Credentials()
	protocol := m.BMC().Protocol()
	_, err = api.Create(ctx, d.stand.Client, &inventory.BMC{Device: device.UID, Kind: string(protocol), Address: m.BMC().Endpoint(protocol).String(),
		Username: username, Password: inventory.PlainSecret(password)})
	if err != nil {
		return fmt.Errorf("write down its BMC: %w", err)
	}
	d.out.say("%s: accepted; its BMC is known", m.Name())
	return nil
}

// follow prints the steps of an operation as they go by.
func (d *demo) follow(ctx context.Context, machine string, op inventory.UID) error {
	printed := map[string]string{}
	var last api.OperationStatus
	err := d.stand.Client.Watch(ctx, op, func(s api.OperationStatus) error {
		for _, step := range s.Steps {
			line := stepLine(step)
			if step.State == inventory.StepPending || step.State == inventory.StepRunning || printed[step.Name] == line {
				continue
			}
			printed[step.Name] = line
			d.out.say("%s: %s", machine, line)
		}
		last = s
		return nil
	})
	if err != nil {
		return err
	}
	if last.Operation.State != inventory.OpDone {
		return fmt.Errorf("%s %s at step %s: %s", last.Operation.Kind, last.Operation.State, last.Operation.StepName, last.Operation.Problem)
	}
	return nil
}

func stepLine(s inventory.Step) string {
	line := fmt.Sprintf("%-16s %s", s.Name, s.State)
	if s.Sentence != "" {
		line += ": " + s.Sentence
	}
	if s.Problem != "" {
		line += " (" + s.Problem + ")"
	}
	return line
}

// coldBoot proves that the machines need berth no more: it is stopped, their power is cut, and they boot from their disks. The boot order is
// overridden once, because firmware that tries the network first waits minutes for the DHCP server that is gone.
func (d *demo) coldBoot(ctx context.Context) error {
	if err := d.stand.StopServer(); err != nil {
		return err
	}
	d.out.say("berth is stopped; both machines lose power and start cold")
	group, ctx := errgroup.WithContext(ctx)
	for _, m := range d.stand.Rack.Machines() {
		group.Go(func() error {
			m.PowerCut()
			m.SetOverride(hardware.Override{Device: hardware.HDD})
			before := len(m.Boots()) // boots are counted from one
			if err := m.PressPowerButton(ctx); err != nil {
				return fmt.Errorf("%s: %w", m.Name(), err)
			}
			if _, err := m.WaitConsole(ctx, before+1, m.Name()+" login:"); err != nil {
				return fmt.Errorf("%s did not boot from its disk: %w", m.Name(), err)
			}
			d.out.say("%s: booted from its own disk, without berth", m.Name())
			return nil
		})
	}
	return group.Wait()
}
