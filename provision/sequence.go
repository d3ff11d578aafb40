package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"berth/inventory"
)

// Sequence is a kind of operation: a list of steps, and what it means when the list is not walked to its end.
type Sequence struct {
	Kind string
	// Deadline bounds the whole operation from its creation.
	Deadline time.Duration
	Steps    []StepSpec
	// Failed and Cancelled decide what becomes of the machine; they run in the transaction that ends the operation. Nil leaves it.
	Failed    func(tx inventory.Tx, end Ending) error
	Cancelled func(tx inventory.Tx, end Ending) error
	// Recurring operations begin again when their list is done, and are not shown among the work on machines.
	Recurring time.Duration
	// Rest is the pause before it begins again where that is not always Recurring; it runs in the transaction that ends a round.
	Rest func(tx inventory.Tx, op *inventory.Operation) (time.Duration, error)
}

// Ending is an operation that stops before its list is done.
type Ending struct {
	Operation *inventory.Operation
	Step      *inventory.Step
	Steps     []*inventory.Step
	Problem   string
}

// Step finds a step of the ending operation by name.
func (e Ending) find(name string) *inventory.Step {
	for _, s := range e.Steps {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// StepSpec is one step of a sequence. Its name is stored and never reused for another meaning.
type StepSpec struct {
	Name string
	// Usually completes "this usually takes …".
	Usually string
	// Deadline bounds the step from its first start, waits and retries included.
	Deadline time.Duration
	// Attempts is how often it is tried before the operation fails; 0 is once. Pause stands between two tries.
	Attempts int
	Pause    time.Duration
	// Do looks before it acts, so that running it twice is harmless. See Wait, Skip and Permanent for what it may return.
	Do func(ctx context.Context, r *Run) error
}

// Wait is returned by a step that must come back: when it is woken by something that happens to the operation, at Until at the
// latest, or at its deadline.
type Wait struct {
	Until    time.Time // zero: only when woken, or at the deadline
	Sentence string    // what is awaited
	Task     string    // what a person is asked to do, if it is a person that is awaited
}

func (w *Wait) Error() string { return "waiting: " + w.Sentence }

// Skip is returned by a step that looked and found nothing to do.
type Skip struct{ Why string }

func (s *Skip) Error() string { return s.Why }

// Over is returned by a step of a recurring operation whose reason is gone: the operation is done, and does not begin again.
type Over struct{ Why string }

func (o *Over) Error() string { return o.Why }

type permanentError struct{ err error }

func (p *permanentError) Error() string { return p.err.Error() }
func (p *permanentError) Unwrap() error { return p.err }

// Permanent marks an error that no retry mends.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

func permanentf(format string, args ...any) error { return Permanent(fmt.Errorf(format, args...)) }

func isPermanent(err error) bool {
	var p *permanentError
	return errors.As(err, &p)
}

// Run is one attempt at one step: what Do works with.
type Run struct {
	Operation *inventory.Operation
	Step      *inventory.Step
	Steps     []*inventory.Step
	Spec      StepSpec

	engine *Engine
	finish []func(tx inventory.Tx) error
}

// Args reads the operation's arguments.
func (r *Run) Args(into any) error {
	if err := json.Unmarshal(r.Operation.Args, into); err != nil {
		return permanentf("the operation's arguments cannot be read: %v", err)
	}
	return nil
}

// Data reads what this step remembered at an earlier attempt; nothing at the first.
func (r *Run) Data(into any) error { return readData(r.Step, into) }

func readData(s *inventory.Step, into any) error {
	if len(s.Data) == 0 {
		return nil
	}
	if err := json.Unmarshal(s.Data, into); err != nil {
		return permanentf("what step %s remembered cannot be read: %v", s.Name, err)
	}
	return nil
}

// Other reads what another step of the same operation remembered.
func (r *Run) Other(step string, into any) error {
	for _, s := range r.Steps {
		if s.Name == step {
			return readData(s, into)
		}
	}
	return permanentf("the operation has no step %s", step)
}

// Commit stores fn's changes at once, if the operation is still ours and nobody has cancelled it: what a cancel took back must not be
// given anew by a step that has not noticed yet.
func (r *Run) Commit(ctx context.Context, fn func(tx inventory.Tx) error) error {
	return r.engine.Ledger.Commit(ctx, r.Operation.UID, r.Operation.Fence, func(tx inventory.Tx) error {
		now, err := inventory.TxGet[inventory.Operation](tx, string(r.Operation.UID))
		if err != nil {
			return err
		}
		if now.CancelBy != "" {
			return errCancelled
		}
		return fn(tx)
	})
}

// Remember stores data with the step at once.
func (r *Run) Remember(ctx context.Context, data any, more ...func(s *inventory.Step)) error {
	text, err := json.Marshal(data)
	if err != nil {
		return permanentf("step %s cannot remember: %v", r.Step.Name, err)
	}
	return r.Commit(ctx, func(tx inventory.Tx) error {
		s, err := inventory.TxGet[inventory.Step](tx, string(r.Step.UID))
		if err != nil {
			return err
		}
		s.Data = text
		for _, m := range more {
			m(s)
		}
		if err := tx.Update(s); err != nil {
			return err
		}
		*r.Step = *s
		return nil
	})
}

// Finish adds to the transaction in which the step is done: what it did and that it was done are stored together, or not at all.
func (r *Run) Finish(fn func(tx inventory.Tx) error) { r.finish = append(r.finish, fn) }

// Say puts a line on the machine's timeline together with the end of the step.
func (r *Run) Say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.Finish(func(tx inventory.Tx) error {
		return note(tx, inventory.Event{Device: r.Operation.Device, Operation: r.Operation.UID, Source: "engine", Text: text})
	})
}

// note writes a line of the timeline.
func note(tx inventory.Tx, e inventory.Event) error {
	if e.At.IsZero() {
		e.At = tx.Now()
	}
	if e.Level == "" {
		e.Level = "info"
	}
	e.Text = clip(e.Text, 2000)
	return tx.Create(&e)
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}
