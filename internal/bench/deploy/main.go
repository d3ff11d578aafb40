// Command deploy measures what berth costs a machine that is deployed: it lets a virtual server be discovered, accepted and deployed
// by berth, and the same server boot the same kernel and write the same bytes without berth, by turns, and compares the processor time
// of QEMU up to the installed system's login prompt. Of the runs with berth it tells how long the machine waited for the server.
//
//	make build agent image
//	go run ./internal/bench/deploy -pairs 5 -firmware bios
//
// Processor time is compared and not the time on the clock, because machines that run benchmarks do other things as well.
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
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"berth/internal/bench"
	"berth/internal/lab"
	"berth/internal/lab/hardware"
)

type options struct {
	pairs    int
	firmware string
	build    string
	image    string
	dir      string
	verbose  bool
	limit    time.Duration
	only     string
	short    bool
	lonely   bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "deploy:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	var o options
	flags := flag.NewFlagSet("deploy", flag.ContinueOnError)
	flags.IntVar(&o.pairs, "pairs", 5, "how often each way is walked, by turns")
	flags.StringVar(&o.firmware, "firmware", "bios", "bios or uefi")
	flags.StringVar(&o.build, "build", "build", "`directory` with berth, berth-agent and boot/")
	flags.StringVar(&o.image, "image", "build/image/debian-12-demo.raw", "disk image to deploy")
	flags.StringVar(&o.dir, "dir", "", "`directory` for disks and logs, which is kept (default a temporary one, which is not)")
	flags.BoolVar(&o.verbose, "v", false, "print each wait and each line of the timeline")
	flags.DurationVar(&o.limit, "timeout", 20*time.Minute, "give up a run after this long")
	flags.StringVar(&o.only, "only", "", "walk one way alone: with (berth) or without")
	flags.BoolVar(&o.lonely, "lonely", false, "without berth, let iPXE wait for an IPv6 router as it does where none is (with berth it never waits)")
	flags.BoolVar(&o.short, "short", false, "end each run when the machine restarts: the part in which the ways differ")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "berth-bench-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	}
	b := &comparison{options: o, out: out}
	return b.run(ctx)
}

// comparison is the whole measurement.
type comparison struct {
	options
	out     io.Writer
	content string // what an early deploy put on the disk
	with    []outcome
	without []outcome
}

func (b *comparison) run(ctx context.Context) error {
	if err := b.prepare(); err != nil {
		return err
	}
	for i := range b.pairs {
		if b.only != "without" {
			if err := b.one(ctx, i, "with berth", &b.with, b.deploy); err != nil {
				return err
			}
		}
		if b.only != "with" {
			if err := b.one(ctx, i, "without", &b.without, b.bare); err != nil {
				return err
			}
		}
	}
	return b.print()
}

// prepare makes what all runs share.
func (b *comparison) prepare() error {
	var err error
	for _, path := range []*string{&b.dir, &b.build, &b.image} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	if b.firmware != string(hardware.BIOS) && b.firmware != string(hardware.UEFI) {
		return fmt.Errorf("firmware %q is neither bios nor uefi", b.firmware)
	}
	b.content = filepath.Join(b.dir, "content.raw")
	return nil
}

// one walks one way once.
func (b *comparison) one(ctx context.Context, i int, name string, list *[]outcome, walk func(context.Context, string) (outcome, error)) error {
	ctx, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	dir := filepath.Join(b.dir, fmt.Sprintf("%d-%s", i+1, strings.ReplaceAll(name, " ", "-")))
	if err := os.RemoveAll(dir); err != nil { // an earlier measurement's
		return err
	}
	got, err := walk(ctx, dir)
	if err != nil {
		return fmt.Errorf("pair %d, %s: %w", i+1, name, err)
	}
	*list = append(*list, got)
	fmt.Fprintf(b.out, "pair %d, %-10s  cpu %6s s  wall %6s s  load %s\n", i+1, name, bench.Seconds(got.cpu()), bench.Seconds(got.wall()), bench.Load())
	// Disks are big, and the next run has its own.
	return os.RemoveAll(filepath.Join(dir, "disks"))
}

// part is the marks of a run, without the installed system where that is not wanted.
func (b *comparison) part(marks []mark) []mark {
	if b.short {
		return marks[:len(marks)-1]
	}
	return marks
}

// spec is the rack: one of the lab's own two servers, with a disk that has room for the image and the seed and no more.
func (b *comparison) spec() (lab.Spec, error) {
	image, err := os.Stat(b.image)
	if err != nil {
		return lab.Spec{}, fmt.Errorf("the image to deploy is not there (`make image` builds it): %w", err)
	}
	spec := lab.DefaultSpec()
	spec.Name, spec.Cache = "bench", "unsafe"
	for _, m := range spec.Machines {
		if string(m.Firmware) != b.firmware {
			continue
		}
		if len(m.Disks) == 0 {
			m.Disks = []hardware.Disk{{Kind: hardware.NVMe}}
		}
		const room = 32 << 20
		m.Disks[0].Size = image.Size() + room
		spec.Machines = []lab.MachineSpec{m}
	}
	return spec, nil
}

// print tells the comparison, then what the machines did with their time, then what they waited for.
func (b *comparison) print() error {
	var rows [][]string
	var ratios []float64
	for i := range min(len(b.with), len(b.without)) {
		with, without := b.with[i], b.without[i]
		ratio := with.cpu().Seconds() / without.cpu().Seconds()
		ratios = append(ratios, ratio)
		rows = append(rows, []string{strconv.Itoa(i + 1), bench.Seconds(with.cpu()), bench.Seconds(without.cpu()), fmt.Sprintf("%.3f", ratio),
			bench.Seconds(with.wall()), bench.Seconds(without.wall())})
	}
	if len(ratios) > 0 {
		rows = append(rows, []string{"median", bench.Seconds(bench.Median(cpus(b.with))), bench.Seconds(bench.Median(cpus(b.without))),
			fmt.Sprintf("%.3f", bench.Median(ratios)), "", ""})
		fmt.Fprintf(b.out, "\n%s: processor time of QEMU from power on to %s, s\n", b.firmware, map[bool]string{false: "the login prompt", true: "the restart"}[b.short])
		if err := bench.Table(b.out, "pair | with berth | without | ratio | wall with | wall without", rows...); err != nil {
			return err
		}
	}
	for _, way := range []struct {
		name string
		list []outcome
	}{{"with berth", b.with}, {"without", b.without}} {
		if err := b.printPhases(way.name, way.list); err != nil {
			return err
		}
	}
	return b.printWaits()
}

func cpus(list []outcome) []time.Duration {
	var all []time.Duration
	for _, o := range list {
		all = append(all, o.cpu())
	}
	return all
}

func (b *comparison) printPhases(name string, list []outcome) error {
	if len(list) == 0 {
		return nil
	}
	var rows [][]string
	for i, p := range list[0].phases {
		var cpu, wall []time.Duration
		for _, o := range list {
			cpu, wall = append(cpu, o.phases[i].cpu), append(wall, o.phases[i].wall)
		}
		rows = append(rows, []string{p.name, bench.Seconds(bench.Median(cpu)), bench.Seconds(bench.Median(wall))})
	}
	fmt.Fprintf(b.out, "\n%s: medians of the phases, s\n", name)
	return bench.Table(b.out, "phase | cpu | wall", rows...)
}

func (b *comparison) printWaits() error {
	if len(b.with) == 0 {
		return nil
	}
	var rows [][]string
	for i, o := range b.with {
		took := lengths(o.waits)
		rows = append(rows, []string{strconv.Itoa(i + 1), strconv.Itoa(len(took)), bench.Millis(bench.Median(took)), bench.Millis(bench.Percentile(took, 99)),
			bench.Millis(bench.Percentile(took, 100)), bench.Seconds(bench.Sum(took))})
	}
	fmt.Fprintln(b.out, "\nthe machine waited for berth (questions on its wire; person's time left out)")
	if err := bench.Table(b.out, "pair | questions | median ms | p99 ms | longest ms | sum s", rows...); err != nil {
		return err
	}
	if err := b.printKinds(); err != nil {
		return err
	}
	if err := b.printHandovers(); err != nil || !b.verbose {
		return err
	}
	return b.printTimelines()
}

// printKinds tells the waits of all runs by what was asked.
func (b *comparison) printKinds() error {
	kinds := map[string][]time.Duration{}
	for _, o := range b.with {
		for _, g := range o.waits {
			kinds[g.what] = append(kinds[g.what], g.took)
		}
	}
	var rows [][]string
	for what, took := range kinds {
		rows = append(rows, []string{what, strconv.Itoa(len(took)), bench.Millis(bench.Median(took)), bench.Millis(bench.Percentile(took, 99)), bench.Millis(bench.Percentile(took, 100))})
	}
	slices.SortFunc(rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	fmt.Fprintln(b.out)
	return bench.Table(b.out, "asked for | questions | median ms | p99 ms | longest ms", rows...)
}

// printHandovers tells what the timelines say of the same.
func (b *comparison) printHandovers() error {
	var rows [][]string
	for _, h := range handovers {
		var took []time.Duration
		for _, o := range b.with {
			for _, g := range passed(o.timeline) {
				if g.what == h.what {
					took = append(took, g.took)
				}
			}
		}
		if len(took) > 0 {
			rows = append(rows, []string{h.what, strconv.Itoa(len(took)), bench.Millis(bench.Median(took)), bench.Millis(bench.Percentile(took, 100))})
		}
	}
	fmt.Fprintln(b.out)
	return bench.Table(b.out, "on the timeline | times | median ms | longest ms", rows...)
}

func lengths(gaps []gap) []time.Duration {
	var all []time.Duration
	for _, g := range gaps {
		all = append(all, g.took)
	}
	return all
}

func (b *comparison) printTimelines() error {
	for i, o := range b.with {
		fmt.Fprintf(b.out, "\npair %d, waits over 100 ms\n", i+1)
		for _, g := range o.waits {
			if g.took > 100*time.Millisecond {
				fmt.Fprintf(b.out, "%8.3f  %8.1f ms  %s\n", g.at.Sub(o.began).Seconds(), float64(g.took)/1e6, g.what)
			}
		}
		fmt.Fprintf(b.out, "\npair %d, timeline\n", i+1)
		for _, e := range o.timeline {
			fmt.Fprintf(b.out, "%8.3f  %-7s %s\n", e.At.Sub(o.began).Seconds(), e.Source, e.Text)
		}
		for _, s := range o.steps {
			if s.StartedAt != nil && s.EndedAt != nil {
				fmt.Fprintf(b.out, "%8.3f  %8.3f  step %s\n", s.StartedAt.Sub(o.began).Seconds(), s.EndedAt.Sub(o.began).Seconds(), s.Name)
			}
		}
	}
	return nil
}
