package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"berth/api"
	"berth/internal/lab"
	"berth/internal/lab/stand"
	"berth/inventory"
)

// lastPhase is the boot of what was written.
const lastPhase = "restart, installed system"

// marksWith are the phases of a machine that berth deploys.
func marksWith(name string) []mark {
	return []mark{
		{"Linux version", "firmware and loader"},
		{"berth agent: this machine started", "kernel"},
		{"registered: this is", "agent to registered"},
		{"reported what was found", "look and report"},
		{"is written and read back", "write and read back"},
		{"restarting", "orders"},
		{name + " login:", lastPhase},
	}
}

const (
	reportedAt = 4 // marks seen when the report was sent
	writtenAt  = 5
)

// deploy is a run with berth.
func (b *comparison) deploy(ctx context.Context, dir string) (out outcome, err error) {
	spec, err := b.spec()
	if err != nil {
		return out, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return out, err
	}
	s, err := stand.Start(ctx, stand.Options{Spec: spec, Dir: dir, Berth: filepath.Join(b.build, "berth")})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err := b.importImage(ctx, s); err != nil {
		return out, err
	}
	m := s.Rack.Machines()[0]
	r := &deployRun{Stand: s, machine: m, marks: b.part(marksWith(m.Name()))}
	return r.walk(ctx, b.content)
}

const imageName = "bench"

func (b *comparison) importImage(ctx context.Context, s *stand.Stand) error {
	f, err := os.Open(b.image)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = s.Client.ImportImage(ctx, api.ImportRequest{Name: imageName, OS: "Debian", Version: "12", Arch: "amd64", Why: "a measurement"}, f)
	return err
}

// deployRun leads one machine through berth.
type deployRun struct {
	*stand.Stand
	machine *lab.Machine
	marks   []mark
	found   *inventory.Device
	op      *inventory.Operation
	person  span
}

func (r *deployRun) walk(ctx context.Context, content string) (out outcome, err error) {
	wire, err := sniff(r.machine, r.Rack)
	if err != nil {
		return out, err
	}
	defer wire.file.Close()
	out.began = time.Now()
	console := watch(ctx, r.machine, r.marks)
	defer console.done()
	if err := r.machine.PressPowerButton(ctx); err != nil {
		return out, err
	}
	if err := console.await(ctx, reportedAt); err != nil {
		return out, err
	}
	if err := r.decide(ctx); err != nil {
		return out, err
	}
	if err := r.keepContent(ctx, console, content); err != nil {
		return out, err
	}
	if err := console.await(ctx, len(console.marks)); err != nil {
		return out, err
	}
	out.phases = console.phases
	if err := r.ended(ctx, &out); err != nil {
		return out, fmt.Errorf("after the login prompt: %w", err)
	}
	seen, err := wire.stop(ctx)
	var boots []time.Time
	for _, boot := range r.machine.Boots() {
		boots = append(boots, boot.At)
	}
	out.waits = waits(seen, r.person, boots)
	return out, err
}

// decide is what a person does: accept the machine, tell its BMC, and order the deploy.
func (r *deployRun) decide(ctx context.Context) error {
	mac := r.machine.Server().NICs[0].MAC.String()
	for r.found == nil {
		ports, err := api.List[inventory.Interface](ctx, r.Client, api.Query{Filters: map[string]string{"mac": mac}})
		if err != nil {
			return err
		}
		if len(ports.Items) > 0 {
			d, err := api.Get[inventory.Device](ctx, r.Client, string(ports.Items[0].Device))
			if err != nil {
				return err
			}
			if d.ProvisionState == inventory.StateDiscovered && d.Operation == "" {
				r.found = d
				break
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it was not discovered: %w", context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
	r.person.from = time.Now()
	if _, err := r.Client.Accept(ctx, string(r.found.UID), api.AcceptRequest{Name: r.machine.Name(), Why: "a measurement"}); err != nil {
		return err
	}
	username, password := r.machine.BMC().Credentials()
	protocol := r.machine.BMC().Protocol()
	_, err := api.Create(ctx, r.Client, &inventory.BMC{Device: r.found.UID, Kind: string(protocol), Address: r.machine.BMC().Endpoint(protocol).String(),
		Username: username, Password: inventory.PlainSecret(password)})
	if err != nil {
		return err
	}
	r.op, err = r.Client.Deploy(ctx, r.machine.Name(), api.DeployRequest{Image: imageName, Why: "a measurement"})
	r.person.to = time.Now()
	return err
}

// keepContent copies what was written, before the installed system changes it, unless an earlier run has.
func (r *deployRun) keepContent(ctx context.Context, console *watcher, content string) error {
	if _, err := os.Stat(content); err == nil {
		return nil
	}
	boots := len(r.machine.Boots())
	if err := console.await(ctx, writtenAt); err != nil {
		return err
	}
	if err := copyFile(content, r.machine.Server().Disks[0].File); err != nil {
		return err
	}
	if len(r.machine.Boots()) > boots {
		text, err := r.machine.Console()
		if err != nil || strings.Contains(text, "Linux version") {
			return errors.Join(err, os.Remove(content), errors.New("the installed system was up before its disk could be copied; this host is too busy to measure on"))
		}
	}
	return nil
}

func copyFile(to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

// reported waits for the end of the deploy, if the run goes that far.
func (r *deployRun) reported(ctx context.Context) error {
	if r.marks[len(r.marks)-1].phase != lastPhase {
		return nil
	}
	var last api.OperationStatus
	if err := r.Client.Watch(ctx, r.op.UID, func(s api.OperationStatus) error { last = s; return nil }); err != nil {
		return err
	}
	if last.Operation.State != inventory.OpDone {
		return fmt.Errorf("the deploy %s at step %s: %s", last.Operation.State, last.Operation.StepName, last.Operation.Problem)
	}
	return nil
}

// ended waits for the report of the installed system and keeps the timeline.
func (r *deployRun) ended(ctx context.Context, out *outcome) error {
	if err := r.reported(ctx); err != nil {
		return err
	}
	last, err := r.Client.Operation(ctx, r.op.UID)
	if err != nil {
		return err
	}
	out.steps = last.Steps
	for e, err := range api.All[inventory.Event](ctx, r.Client, api.Query{Filters: map[string]string{"device": string(r.found.UID)}}) {
		if err != nil {
			return err
		}
		out.timeline = append(out.timeline, e)
	}
	slices.SortStableFunc(out.timeline, func(x, y inventory.Event) int { return x.At.Compare(y.At) })
	return nil
}
