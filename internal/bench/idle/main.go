// Command idle measures what berth costs while nothing happens, and how soon it is there: the memory of `berth serve` a minute after it
// was ready, with two machines whose BMCs it asks, and the time from its start on an empty directory to its first answer to a machine.
//
//	make build agent
//	go run ./internal/bench/idle
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"berth/api"
	"berth/internal/bench"
	"berth/internal/lab"
	"berth/internal/lab/stand"
	"berth/inventory"
)

type options struct {
	build string
	runs  int
	after time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "idle:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var o options
	flags := flag.NewFlagSet("idle", flag.ContinueOnError)
	flags.StringVar(&o.build, "build", "build", "`directory` with berth and boot/")
	flags.IntVar(&o.runs, "runs", 5, "how often it is started on an empty directory")
	flags.DurationVar(&o.after, "after", time.Minute, "how long after it is ready its memory is read")
	err := flags.Parse(args)
	if err != nil {
		return err
	}
	if o.build, err = filepath.Abs(o.build); err != nil {
		return err
	}
	if err := o.firstAnswers(ctx, out); err != nil {
		return err
	}
	return o.memory(ctx, out)
}

// firstAnswers starts the server again and again on an empty directory.
func (o options) firstAnswers(ctx context.Context, out io.Writer) error {
	var rows [][]string
	var all []time.Duration
	for i := range o.runs {
		took, err := o.firstAnswer(ctx)
		if err != nil {
			return err
		}
		all = append(all, took)
		rows = append(rows, []string{strconv.Itoa(i + 1), bench.Millis(took), bench.Load()})
	}
	rows = append(rows, []string{"median", bench.Millis(bench.Median(all)), ""})
	fmt.Fprintln(out, "from the start of berth serve on an empty directory to its offer to a machine that asks by PXE")
	return bench.Table(out, "run | ms | load", rows...)
}

// memory reads how much the server holds when it is left alone.
func (o options) memory(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "berth-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	spec := lab.DefaultSpec()
	spec.Name = "bench"
	s, err := stand.Start(ctx, stand.Options{Spec: spec, Dir: dir, Berth: filepath.Join(o.build, "berth")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	for _, m := range s.Rack.Machines() {
		if err := adopt(ctx, s.Client, m); err != nil {
			return fmt.Errorf("%s: %w", m.Name(), err)
		}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(o.after):
	}
	if err := polled(ctx, s.Client, len(spec.Machines)); err != nil {
		return err
	}
	status, err := status(s.ServerPID())
	if err != nil {
		return err
	}
	var rows [][]string
	for _, key := range []string{"VmRSS", "VmHWM", "RssAnon", "RssFile", "Threads"} {
		rows = append(rows, []string{key, status[key]})
	}
	fmt.Fprintf(out, "\n%s after it was ready, two machines asked by IPMI and Redfish\n", o.after)
	return bench.Table(out, "of /proc/PID/status | ", rows...)
}

// adopt puts a machine on record with its BMC, which is asked from then on.
func adopt(ctx context.Context, client *api.Client, m *lab.Machine) error {
	username, password := m.BMC().Credentials()
	protocol := m.BMC().Protocol()
	_, err := client.Adopt(ctx, api.AdoptRequest{
		Name: m.Name(), MACs: []string{m.Server().NICs[0].MAC.String()}, SystemUUID: m.Server().UUID, Why: "a measurement",
		BMC: &api.AdoptBMC{Kind: string(protocol), Address: m.BMC().Endpoint(protocol).String(), Username: username, Password: inventory.PlainSecret(password)},
	})
	return err
}

// polled makes sure that the server did what it is measured with.
func polled(ctx context.Context, client *api.Client, want int) error {
	machines, err := api.List[inventory.Device](ctx, client, api.Query{})
	if err != nil {
		return err
	}
	asked := 0
	for _, d := range machines.Items {
		if d.Power != "" {
			asked++
		}
	}
	if asked != want {
		return fmt.Errorf("the power state of %d machines is known, and not of %d", asked, want)
	}
	return nil
}

// status is the kernel's word on a process (proc(5), /proc/pid/status).
func status(pid int) (map[string]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		all[key] = strings.TrimSpace(value)
	}
	return all, nil
}
