package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"berth/api"
	"berth/bmc"
	"berth/inventory"
)

// Config is what a Service works with. It is not changed after New.
type Config struct {
	Ledger Ledger
	BMC    *bmc.Pool
	// Commands sets how long a BMC is given to do what it said it would; the zero value is right for real ones.
	Commands bmc.Commands
	Images   ImageStore
	// AgentURL is where machines reach the agent API (https://address:port), and Pin the SHA-256 of its public key in hexadecimal.
	AgentURL string
	Pin      string
	// Certificate is the server's own, in PEM: an installed system that reports back trusts this and nothing else.
	Certificate string
	// Console is the kernel console of the agent, such as ttyS0,115200n8; the last one carries the sentences for people.
	Console []string
	// BootURL is where machines reach the boot listener when their subnet does not say.
	BootURL string
	// Routines are the server's own recurring work.
	Routines []Routine
	// Holder names this server; it stays the same after a restart.
	Holder string
	Logger *slog.Logger
	Now    func() time.Time
}

// Service is what people, programs and agents can ask of provision.
type Service struct {
	Config

	engine *Engine
	book   *Book
	hub    hub
	alive  alive
	// passwords holds the sealed password that each BMC (by UID) was spoken to with last.
	passwords sync.Map
}

// ImageStore keeps the bytes of images. storage/image carries it out; cmd joins them.
type ImageStore interface {
	// Import reads an image to its end, checks it, and keeps it under its digest.
	Import(ctx context.Context, r io.Reader, o BlobOptions) (Blob, error)
	// Stat tells whether a blob is here and whole.
	Stat(digest string) (Blob, error)
	// Path is where the boot listener serves it, relative to the boot URL.
	Path(digest string) string
	// Remove deletes a blob.
	Remove(digest string) error
}

// BlobOptions bound an import.
type BlobOptions struct {
	Format   string // raw or qcow2
	Expected string // sha256:…; empty when the giver did not know
	Progress func(done, total int64)
}

// Blob is an image as it is kept.
type Blob struct {
	Digest      string // sha256:… of the raw image
	TreeHash    string
	SizeBytes   int64
	StoredBytes int64
	Format      string
}

// New builds the parts that work together. The caller then runs Serve.
func New(c Config) *Service {
	svc := &Service{Config: c}
	if svc.Now == nil {
		svc.Now = time.Now
	}
	if svc.Logger == nil {
		svc.Logger = slog.New(slog.DiscardHandler)
	}
	svc.hub.init()
	svc.alive.init()
	svc.engine = &Engine{Ledger: svc.Ledger, Holder: svc.Holder, Log: svc.Logger, Now: svc.Now, Sequences: map[string]*Sequence{}}
	for _, seq := range svc.sequences() {
		svc.engine.Sequences[seq.Kind] = seq
	}
	svc.book = newBook(svc)
	return svc
}

// sequences lists every kind of operation there is.
func (s *Service) sequences() []*Sequence {
	list := []*Sequence{
		s.enrol(), s.inspect(), s.deploy(KindDeploy), s.deploy(KindReimage), s.release(), s.power(), s.pollBMC(), s.importURL(),
	}
	for _, r := range s.Routines {
		list = append(list, s.routine(r))
	}
	return list
}

// The kinds of operation.
const (
	KindEnrol   = "enrol"
	KindInspect = "inspect"
	KindDeploy  = "deploy"
	KindReimage = "reimage"
	KindRelease = "release"
	KindPower   = "power"
	KindPollBMC = "poll-bmc"
	KindImport  = "import-image"
)

// Book is what the PXE servers ask.
func (s *Service) Book() *Book { return s.book }

// Serve runs the engine and keeps the book until ctx ends.
func (s *Service) Serve(ctx context.Context) error {
	if err := s.forgetUploads(ctx); err != nil {
		// A full disk must not keep the server from answering; the entries are dealt with at a later start.
		s.Logger.Error("imports that were cut short could not be ended", "error", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.engine.Serve(ctx) })
	group.Go(func() error { return s.book.serve(ctx) })
	group.Go(func() error { return s.watchBMCs(ctx) })
	for _, r := range s.Routines {
		group.Go(func() error { return s.watchRoutine(ctx, r) })
	}
	return group.Wait()
}

// machine finds a machine by name or uid.
func (s *Service) machine(tx inventory.Tx, ref string) (*inventory.Device, error) {
	d, err := inventory.TxGet[inventory.Device](tx, ref)
	if errors.Is(err, inventory.ErrNotFound) {
		return nil, fmt.Errorf("machine %q: %w", clip(ref, 80), inventory.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	if d.ProvisionState == inventory.StateNone {
		return nil, &inventory.Conflict{Noun: "machine", UID: d.UID, Why: d.Name + " is a device that berth does not boot; adopt it first"}
	}
	return d, nil
}

// start creates an operation with its steps, in the transaction of what caused it. A machine has at most one.
func (s *Service) start(tx inventory.Tx, req inventory.Request, d *inventory.Device, kind string, args any) (*inventory.Operation, error) {
	text, err := json.Marshal(args)
	if err != nil {
		return nil, fmt.Errorf("store the arguments of %s: %w", kind, err)
	}
	seq := s.engine.Sequences[kind]
	now := tx.Now()
	op := &inventory.Operation{
		Kind: kind, State: inventory.OpQueued, Owner: req.By.Name, OwnerLevel: req.By.Level, Why: req.Why,
		Args: text, StepCount: len(seq.Steps), Deadline: now.Add(seq.Deadline), NextTryAt: now,
	}
	op.UID = inventory.NewUID()
	if d != nil {
		if d.Operation != "" {
			return nil, s.busy(tx, d)
		}
		op.Device, d.Operation = d.UID, op.UID
	}
	if err := tx.Create(op); err != nil {
		return nil, err
	}
	for i, spec := range seq.Steps {
		if err := tx.Create(&inventory.Step{Operation: op.UID, Position: i, Name: spec.Name, State: inventory.StepPending}); err != nil {
			return nil, err
		}
	}
	if d == nil {
		return op, nil
	}
	if err := tx.Update(d); err != nil {
		return nil, err
	}
	text2 := fmt.Sprintf("%s was asked for by %s", kind, req.By.Name)
	if req.Why != "" {
		text2 += ": " + req.Why
	}
	return op, note(tx, inventory.Event{Device: d.UID, Operation: op.UID, Source: "engine", Text: text2})
}

func (s *Service) busy(tx inventory.Tx, d *inventory.Device) error {
	what := "an operation"
	if op, err := inventory.TxGet[inventory.Operation](tx, string(d.Operation)); err == nil {
		what = fmt.Sprintf("%s (since %s, by %s)", op.Kind, op.CreatedAt.UTC().Format(time.RFC3339), op.Owner)
	}
	return &inventory.Conflict{Noun: "machine", UID: d.UID, Why: fmt.Sprintf("%s is busy with %s; cancel that first, or wait", d.Name, what)}
}

// begin starts an operation on a machine that must be in one of the states.
func (s *Service) begin(ctx context.Context, req inventory.Request, ref, kind string, args any, states ...inventory.State) (op *inventory.Operation, err error) {
	err = s.Ledger.Edit(ctx, req, func(tx inventory.Tx) error {
		d, err := s.machine(tx, ref)
		if err != nil {
			return err
		}
		if err := inState(d, kind, states); err != nil {
			return err
		}
		op, err = s.start(tx, req, d, kind, args)
		return err
	})
	return op, err
}

func inState(d *inventory.Device, what string, states []inventory.State) error {
	for _, st := range states {
		if d.ProvisionState == st {
			return nil
		}
	}
	why := fmt.Sprintf("%s is %s, and %s needs it to be %s", d.Name, d.ProvisionState, what, orList(states))
	if !d.ProvisionState.Accepted() {
		why += "; accept it first"
	}
	return &inventory.Conflict{Noun: "machine", UID: d.UID, Why: why}
}

func orList(states []inventory.State) string {
	text := ""
	for i, st := range states {
		switch {
		case i > 0 && i == len(states)-1:
			text += " or "
		case i > 0:
			text += ", "
		}
		text += string(st)
	}
	return text
}

// Inspect boots the agent, takes its report, and leaves the machine to its local disk.
func (s *Service) Inspect(ctx context.Context, req inventory.Request, machine string) (*inventory.Operation, error) {
	return s.begin(ctx, req, machine, KindInspect, struct{}{},
		inventory.StateUnknown, inventory.StateDiscovered, inventory.StateReady, inventory.StateForeign, inventory.StateDeployed, inventory.StateQuarantined)
}

// PowerArgs are the arguments of a power operation.
type PowerArgs struct {
	Action bmc.PowerAction `json:"action"`
}

// Power switches a machine through its BMC, wakes it, or asks a person. Errors: *inventory.Invalid for an action that does not exist.
func (s *Service) Power(ctx context.Context, req inventory.Request, machine, action string) (*inventory.Operation, error) {
	if action == "soft" {
		action = string(bmc.ActionShutdown)
	}
	a, err := bmc.ParsePowerAction(action)
	if err != nil {
		return nil, inventory.NotAllowed("machine", "action", "%v", err)
	}
	return s.begin(ctx, req, machine, KindPower, PowerArgs{Action: a},
		inventory.StateUnknown, inventory.StateDiscovered, inventory.StateReady, inventory.StateForeign, inventory.StateDeployed, inventory.StateQuarantined)
}

// Release takes a machine out of service: what berth wrote is cleared so that it boots no more, and the machine is ready again.
func (s *Service) Release(ctx context.Context, req inventory.Request, machine string, o api.ReleaseRequest) (*inventory.Operation, error) {
	if o.Why != "" {
		req.Why = o.Why
	}
	return s.begin(ctx, req, machine, KindRelease, o, inventory.StateDeployed, inventory.StateQuarantined, inventory.StateReady)
}

// Cancel ends an operation: from the moment it returns, no agent and no step has the right to another write. What was done stays done;
// a machine with a half-written disk is quarantined. Cancelling what has ended does nothing.
func (s *Service) Cancel(ctx context.Context, req inventory.Request, operation string) (op *inventory.Operation, err error) {
	err = s.Ledger.Edit(ctx, req, func(tx inventory.Tx) error {
		op, err = inventory.TxGet[inventory.Operation](tx, operation)
		if err != nil || op.State.Ended() || op.CancelBy != "" {
			return err
		}
		op.CancelBy, op.NextTryAt = req.By.Name, tx.Now()
		if err := revoke(tx, op.UID); err != nil {
			return err
		}
		return tx.Update(op)
	})
	if err != nil {
		return nil, err
	}
	s.engine.Interrupt(op.UID)
	s.hub.poke(op.Device)
	return op, nil
}

// revoke takes every outstanding assignment of an operation back.
func revoke(tx inventory.Tx, op inventory.UID) error {
	steps, err := inventory.TxList[inventory.Step](tx, stepsOf(op))
	if err != nil {
		return err
	}
	for _, st := range steps {
		if st.Assignment == "" {
			continue
		}
		st.Assignment = ""
		if err := tx.Update(st); err != nil {
			return err
		}
	}
	return nil
}

// TaskDone says that a person did what a step asked for. Errors: *inventory.Conflict when the step waits for nobody.
func (s *Service) TaskDone(ctx context.Context, req inventory.Request, operation, step, remark string) error {
	return s.Ledger.Edit(ctx, req, func(tx inventory.Tx) error {
		op, err := inventory.TxGet[inventory.Operation](tx, operation)
		if err != nil {
			return err
		}
		steps, err := inventory.TxList[inventory.Step](tx, stepsOf(op.UID))
		if err != nil {
			return err
		}
		for _, st := range steps {
			if st.Name != step && string(st.UID) != step {
				continue
			}
			if st.Task == "" || st.State != inventory.StepWaiting {
				return &inventory.Conflict{Noun: "step", UID: st.UID, Why: fmt.Sprintf("step %s does not wait for a person", st.Name)}
			}
			return s.taskDone(tx, req, op, st, remark)
		}
		return fmt.Errorf("step %q of operation %s: %w", clip(step, 60), op.UID, inventory.ErrNotFound)
	})
}

func (s *Service) taskDone(tx inventory.Tx, req inventory.Request, op *inventory.Operation, st *inventory.Step, remark string) error {
	var data taskData
	if err := readData(st, &data); err != nil {
		return err
	}
	now := tx.Now()
	data.DoneBy, data.DoneAt = req.By.Name, &now
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	st.Data, st.Task = text, ""
	if err := tx.Update(st); err != nil {
		return err
	}
	line := fmt.Sprintf("%s says it is done", req.By.Name)
	if remark != "" {
		line += ": " + clip(remark, 200)
	}
	if err := note(tx, inventory.Event{Device: op.Device, Operation: op.UID, Source: "person", Text: line}); err != nil {
		return err
	}
	return wake(tx, op.UID)
}

// Timeline is a machine's events, newest first.
func (s *Service) Timeline(ctx context.Context, machine string, limit int) ([]*inventory.Event, error) {
	d, err := inventory.Get[inventory.Device](ctx, s.Ledger, machine)
	if err != nil {
		return nil, err
	}
	return inventory.List[inventory.Event](ctx, s.Ledger, inventory.Query{
		Filters: []inventory.Filter{inventory.Is("device", d.UID)}, Sort: "-at", Limit: limit,
	})
}

// addrOf strips the zone and the mapping of an IPv4 address in IPv6.
func addrOf(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
