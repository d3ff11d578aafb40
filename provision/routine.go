package provision

import (
	"context"
	"time"

	"berth/inventory"
)

// Routine is work of the server itself that comes again and again: looking for silent parcels, telling people, delivering messages. It is
// an operation like any other, so it survives a restart and is done by one server of several. What is done is handed in, because provision
// knows machines and not letters.
type Routine struct {
	// Kind names its operation, and is never reused for another meaning.
	Kind  string
	Every time.Duration
	// Chores are its steps, in their order. One that fails is noted and does not keep the next from being done.
	Chores []Chore
	// Due tells whether there is something to do before its time; nil is never. It is asked after changes of Wakes and twice a minute.
	Due   func(ctx context.Context) bool
	Wakes []*inventory.Noun
}

// Chore is one step of a routine. Do looks before it acts, so that doing it twice is harmless, and bounds what it does at once.
type Chore struct {
	Name string
	Do   func(ctx context.Context) error
}

const (
	choreDeadline = 10 * time.Minute
	routineLook   = 30 * time.Second
)

func (s *Service) routine(r Routine) *Sequence {
	// The deadline counts from the next turn on; a server that was off for longer ends the old operation, and a new one is begun.
	seq := &Sequence{Kind: r.Kind, Deadline: time.Hour, Recurring: r.Every}
	for _, c := range r.Chores {
		seq.Steps = append(seq.Steps, StepSpec{Name: c.Name, Deadline: choreDeadline, Do: func(ctx context.Context, _ *Run) error { return s.chore(ctx, r.Kind, c) }})
	}
	return seq
}

// chore does one step. Its failure is told in the log and on the step, and tried again at the routine's next turn.
func (s *Service) chore(ctx context.Context, kind string, c Chore) error {
	err := c.Do(ctx)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.Logger.Error("a chore failed; it is tried again at its next turn", "routine", kind, "chore", c.Name, "error", err)
	return &Skip{Why: "failed, and is tried again at the next turn: " + clip(err.Error(), 500)}
}

// watchRoutine keeps one living operation of a routine, and makes it due when there is something to do before its time.
func (s *Service) watchRoutine(ctx context.Context, r Routine) error {
	changed := make(<-chan struct{})
	if len(r.Wakes) > 0 {
		changed = s.Ledger.Watch(ctx, r.Wakes...)
	}
	for {
		if err := s.ensureRoutine(ctx, r); err != nil && ctx.Err() == nil {
			s.Logger.Error("a routine cannot be started; trying again", "routine", r.Kind, "error", err)
		}
		timer := time.NewTimer(routineLook)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// ensureRoutine begins the routine's operation if there is none, and wakes it if it is due.
func (s *Service) ensureRoutine(ctx context.Context, r Routine) error {
	living := inventory.Query{Filters: []inventory.Filter{inventory.Is("kind", r.Kind), {Field: "state", Op: inventory.OpIn, Value: "queued,running,waiting"}}, Limit: 1}
	ops, err := inventory.List[inventory.Operation](ctx, s.Ledger, living)
	if err != nil {
		return err
	}
	soon := len(ops) == 1 && ops[0].State == inventory.OpWaiting && ops[0].NextTryAt.After(s.Now()) && r.Due != nil && r.Due(ctx)
	if len(ops) == 1 && !soon {
		return nil
	}
	req := inventory.NewRequest(inventory.Berth, r.Kind)
	return s.Ledger.Edit(ctx, req, func(tx inventory.Tx) error {
		ops, err := inventory.TxList[inventory.Operation](tx, living)
		if err != nil {
			return err
		}
		if len(ops) == 0 {
			_, err = s.start(tx, req, nil, r.Kind, struct{}{})
			return err
		}
		return wake(tx, ops[0].UID)
	})
}
