package provision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"berth/inventory"
)

// Engine runs operations. Several engines may run on one ledger: an operation belongs to whoever holds its lease, and only the holder
// of the newest lease can store anything about it.
//
// The life of an operation under one engine:
//
//	claim → (begin step → do → store the end of the step)* → end, or wait and give the lease back
//
// A server that is killed leaves its leases behind; the next start of the same server frees them, and another server takes over when
// they run out. What a step had done is then found by the step itself, which looks before it acts.
type Engine struct {
	Ledger Ledger
	// Holder names this server among others on the same ledger; it is the same after a restart.
	Holder    string
	Sequences map[string]*Sequence
	Log       *slog.Logger
	Now       func() time.Time
	// Lease is how long a silent server keeps an operation; 15 s when zero. It is renewed at a third of it.
	Lease time.Duration
	// Workers bounds the operations that are at work at once; 16 when zero. Waiting operations take no worker.
	Workers int
	// Pollers bounds the recurring operations that are at work at once, beside the workers; 64 when zero. A site whose BMC network is down
	// has a poll hanging at each of them, and no machine waits for that.
	Pollers int

	mu      sync.Mutex
	running map[inventory.UID]context.CancelCauseFunc
}

var errCancelled = errors.New("the operation was cancelled")

func (e *Engine) lease() time.Duration { return or(e.Lease, 15*time.Second) }

func or[T comparable](v, standard T) T {
	var zero T
	if v == zero {
		return standard
	}
	return v
}

// Serve runs operations until ctx ends, then waits for the steps at work to notice.
func (e *Engine) Serve(ctx context.Context) error {
	if err := e.Ledger.ReleaseHolder(ctx, e.Holder); err != nil {
		return fmt.Errorf("free the operations of an earlier run: %w", err)
	}
	wake := e.Ledger.Watch(ctx, inventory.NounFor[inventory.Operation]())
	workers, pollers := make(chan struct{}, or(e.Workers, 16)), make(chan struct{}, or(e.Pollers, 64))
	var work sync.WaitGroup
	defer e.handOver(ctx)
	defer work.Wait()
	for ctx.Err() == nil {
		workers <- struct{}{}
		op, err := e.Ledger.Claim(ctx, e.Holder, e.lease())
		if op != nil {
			slot := workers
			if e.recurring(op) {
				slot = e.change(workers, pollers)
			}
			if slot == nil {
				e.postpone(ctx, op)
				continue
			}
			work.Go(func() {
				defer func() { <-slot }()
				e.work(ctx, op)
			})
			continue
		}
		<-workers
		if err != nil && ctx.Err() == nil {
			e.Log.Error("operations cannot be claimed; trying again", "error", err)
		}
		e.sleep(ctx, wake)
	}
	return nil
}

// handOver frees what this server holds when it stops, so that another one need not wait for the leases to run out.
func (e *Engine) handOver(ctx context.Context) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	if err := e.Ledger.ReleaseHolder(ctx, e.Holder); err != nil {
		e.Log.Warn("operations could not be handed over; their leases run out by themselves", "error", err)
	}
}

func (e *Engine) recurring(op *inventory.Operation) bool {
	seq := e.Sequences[op.Kind]
	return seq != nil && seq.Recurring > 0
}

// change gives a worker's place back for a poller's; nil when no poller is free.
func (e *Engine) change(workers, pollers chan struct{}) chan struct{} {
	<-workers
	select {
	case pollers <- struct{}{}:
		return pollers
	default:
		return nil
	}
}

// busyPause is when a recurring operation asks again for a free poller.
const busyPause = 15 * time.Second

// postpone gives an operation back until a poller may be free. If that fails, its lease runs out.
func (e *Engine) postpone(ctx context.Context, op *inventory.Operation) {
	err := e.Ledger.Commit(ctx, op.UID, op.Fence, func(tx inventory.Tx) error {
		o, err := inventory.TxGet[inventory.Operation](tx, string(op.UID))
		if err != nil {
			return err
		}
		o.NextTryAt, o.LeaseHolder, o.LeaseUntil = tx.Now().Add(busyPause), "", time.Time{}
		return tx.Update(o)
	})
	if err != nil && ctx.Err() == nil {
		e.Log.Warn("an operation could not be postponed", "operation", op.UID, "error", err)
	}
}

// sleep waits until something changed, something is due, or five seconds have passed: the last for clocks that jump and for databases
// that lose a notification.
func (e *Engine) sleep(ctx context.Context, wake <-chan struct{}) {
	wait := 5 * time.Second
	if due, err := e.Ledger.NextDue(ctx); err == nil && !due.IsZero() {
		wait = min(wait, max(due.Sub(e.Now()), 10*time.Millisecond))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

// Interrupt makes the step of an operation that is at work here notice a cancel at once.
func (e *Engine) Interrupt(op inventory.UID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if cancel := e.running[op]; cancel != nil {
		cancel(errCancelled)
	}
}

// work walks an operation's list as far as it goes now.
func (e *Engine) work(serve context.Context, op *inventory.Operation) {
	ctx, cancel := context.WithCancelCause(serve)
	defer cancel(nil)
	e.enter(op.UID, cancel)
	defer e.leave(op.UID)
	var beat sync.WaitGroup
	uid, fence := op.UID, op.Fence // the steps change op while the heart beats
	beat.Go(func() { e.beat(ctx, uid, fence, cancel) })
	defer beat.Wait()
	defer cancel(nil)

	log := e.Log.With("operation", op.UID, "kind", op.Kind)
	// A defect in one operation must not take the others along. Its lease runs out, and it is tried again.
	defer func() {
		if defect := recover(); defect != nil {
			log.Error("an operation met a defect in berth; trying again when its lease is over", "defect", defect, "stack", string(debug.Stack()))
		}
	}()
	for {
		more, err := e.advance(ctx, op)
		switch {
		case err == nil && more:
			continue
		case err == nil, errors.Is(err, inventory.ErrFenced):
			return
		case serve.Err() != nil:
			return // the lease is freed at the next start
		}
		// The ledger itself failed (a full disk, a lost database): the lease runs out and the operation is claimed again.
		log.Error("an operation cannot be advanced; trying again when its lease is over", "error", err)
		return
	}
}

func (e *Engine) enter(op inventory.UID, cancel context.CancelCauseFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running == nil {
		e.running = map[inventory.UID]context.CancelCauseFunc{}
	}
	e.running[op] = cancel
}

func (e *Engine) leave(op inventory.UID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.running, op)
}

// beat renews the lease and notices a cancel that was asked of another server.
func (e *Engine) beat(ctx context.Context, op inventory.UID, fence int64, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(e.lease() / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := e.Ledger.Heartbeat(ctx, op, fence, e.lease())
		if errors.Is(err, inventory.ErrFenced) {
			cancel(inventory.ErrFenced)
			return
		}
		now, err := inventory.Get[inventory.Operation](ctx, e.Ledger, string(op))
		if err == nil && now.CancelBy != "" {
			cancel(errCancelled)
		}
	}
}

// advance does one step, or ends the operation. It reports whether there is more to do at once.
func (e *Engine) advance(ctx context.Context, op *inventory.Operation) (more bool, err error) {
	// A cancelled context must not keep the ending from being stored.
	store := context.WithoutCancel(ctx)
	seq := e.Sequences[op.Kind]
	steps, err := e.steps(store, op)
	if err != nil {
		return false, err
	}
	step := current(steps)
	now := e.Now()
	switch {
	case seq == nil:
		return false, e.end(store, op, nil, steps, inventory.OpFailed, fmt.Sprintf("this version of berth does not know operations of kind %q", op.Kind))
	case e.cancelled(store, op):
		return false, e.end(store, op, step, steps, inventory.OpCancelled, "")
	case step == nil:
		return false, e.end(store, op, nil, steps, inventory.OpDone, "")
	case now.After(op.Deadline):
		return false, e.end(store, op, step, steps, inventory.OpFailed, fmt.Sprintf("not done by its deadline, %s; it was at step %s", op.Deadline.UTC().Format(time.RFC3339), step.Name))
	}
	spec, ok := seq.step(step.Name)
	if !ok {
		return false, e.end(store, op, step, steps, inventory.OpFailed, fmt.Sprintf("this version of berth does not know step %q of %s", step.Name, op.Kind))
	}
	if step.Deadline != nil && now.After(*step.Deadline) {
		return false, e.end(store, op, step, steps, inventory.OpFailed, overdue(step, spec))
	}
	if err := e.begin(store, op, step, spec); err != nil {
		return false, err
	}
	run := &Run{Operation: op, Step: step, Steps: steps, Spec: spec, engine: e}
	doing, stop := context.WithDeadline(ctx, *step.Deadline)
	result := e.do(doing, run)
	stop()
	if ctx.Err() != nil && result != nil {
		cause := context.Cause(ctx)
		if errors.Is(cause, errCancelled) {
			return false, e.end(store, op, step, steps, inventory.OpCancelled, "")
		}
		return false, cause
	}
	return e.store(store, run, result)
}

// do runs a step. One that panics has failed for good: the same state would make it panic again, after each restart.
func (e *Engine) do(ctx context.Context, run *Run) (err error) {
	defer func() {
		if defect := recover(); defect != nil {
			e.Log.Error("a step met a defect in berth", "operation", run.Operation.UID, "step", run.Spec.Name, "defect", defect, "stack", string(debug.Stack()))
			err = permanentf("step %s met a defect in berth (%v); the log has the details", run.Spec.Name, defect)
		}
	}()
	return run.Spec.Do(ctx, run)
}

func (s *Sequence) step(name string) (StepSpec, bool) {
	for _, spec := range s.Steps {
		if spec.Name == name {
			return spec, true
		}
	}
	return StepSpec{}, false
}

func overdue(step *inventory.Step, spec StepSpec) string {
	text := fmt.Sprintf("step %s did not end within %s", step.Name, spec.Deadline)
	if step.Sentence != "" {
		text += "; it was " + step.Sentence
	}
	if step.Problem != "" {
		text += "; the last problem was: " + step.Problem
	}
	return text
}

func (e *Engine) steps(ctx context.Context, op *inventory.Operation) ([]*inventory.Step, error) {
	return inventory.List[inventory.Step](ctx, e.Ledger, stepsOf(op.UID))
}

func stepsOf(op inventory.UID) inventory.Query {
	return inventory.Query{Filters: []inventory.Filter{inventory.Is("operation", op)}, Sort: "position", Limit: inventory.MaxPage}
}

func current(steps []*inventory.Step) *inventory.Step {
	for _, s := range steps {
		if s.State != inventory.StepDone && s.State != inventory.StepSkipped {
			return s
		}
	}
	return nil
}

// cancelled asks the ledger, because op is as it was when it was claimed.
func (e *Engine) cancelled(ctx context.Context, op *inventory.Operation) bool {
	now, err := inventory.Get[inventory.Operation](ctx, e.Ledger, string(op.UID))
	if err == nil && now.CancelBy != "" {
		op.CancelBy = now.CancelBy
	}
	return op.CancelBy != ""
}

// begin stores that the step is at work, before it is. A step that waits is only looked at again: nothing begins.
func (e *Engine) begin(ctx context.Context, op *inventory.Operation, step *inventory.Step, spec StepSpec) error {
	if step.State == inventory.StepWaiting && step.Problem == "" && step.Deadline != nil {
		return nil
	}
	return e.Ledger.Commit(ctx, op.UID, op.Fence, func(tx inventory.Tx) error {
		now := tx.Now()
		s, o, err := pair(tx, op, step)
		if err != nil {
			return err
		}
		// A step found running was cut short by the end of a server, which is no new try.
		if s.State != inventory.StepRunning {
			s.Attempt++
		}
		if s.StartedAt == nil {
			s.StartedAt = &now
			until := now.Add(or(spec.Deadline, 10*time.Minute))
			s.Deadline = &until
			s.Sentence = usually(spec)
		}
		s.State = inventory.StepRunning
		o.State, o.StepName, o.StepIndex, o.Sentence = inventory.OpRunning, s.Name, s.Position, s.Sentence
		if o.StartedAt == nil {
			o.StartedAt = &now
		}
		return updatePair(tx, s, o, step, op)
	})
}

func usually(spec StepSpec) string {
	if spec.Usually == "" {
		return ""
	}
	return "this usually takes " + spec.Usually
}

func pair(tx inventory.Tx, op *inventory.Operation, step *inventory.Step) (*inventory.Step, *inventory.Operation, error) {
	s, err := inventory.TxGet[inventory.Step](tx, string(step.UID))
	if err != nil {
		return nil, nil, err
	}
	o, err := inventory.TxGet[inventory.Operation](tx, string(op.UID))
	return s, o, err
}

// updatePair stores both and refreshes the copies that the run works with.
func updatePair(tx inventory.Tx, s *inventory.Step, o *inventory.Operation, step *inventory.Step, op *inventory.Operation) error {
	if err := tx.Update(s); err != nil {
		return err
	}
	if err := tx.Update(o); err != nil {
		return err
	}
	*step, *op = *s, *o
	return nil
}

// store keeps what came of a step.
func (e *Engine) store(ctx context.Context, run *Run, result error) (more bool, err error) {
	var wait *Wait
	var skip *Skip
	var over *Over
	switch {
	case result == nil:
		return true, e.done(ctx, run, inventory.StepDone, "")
	case errors.As(result, &skip):
		return true, e.done(ctx, run, inventory.StepSkipped, skip.Why)
	case errors.As(result, &wait):
		return false, e.wait(ctx, run, *wait, "")
	case errors.As(result, &over):
		return false, e.finish(ctx, run.Operation, nil, run.Steps, inventory.OpDone, "")
	case errors.Is(result, inventory.ErrFenced):
		return false, result
	case errors.Is(result, errCancelled):
		return false, e.end(ctx, run.Operation, run.Step, run.Steps, inventory.OpCancelled, "")
	}
	problem := result.Error()
	exhausted := run.Step.Attempt >= max(run.Spec.Attempts, 1)
	late := run.Step.Deadline != nil && !e.Now().Before(*run.Step.Deadline)
	if late && errors.Is(result, context.DeadlineExceeded) {
		problem = fmt.Sprintf("step %s did not end within %s: %s", run.Step.Name, run.Spec.Deadline, problem)
	}
	if isPermanent(result) || exhausted || late {
		return false, e.end(ctx, run.Operation, run.Step, run.Steps, inventory.OpFailed, problem)
	}
	pause := or(run.Spec.Pause, 5*time.Second)
	w := Wait{Until: e.Now().Add(pause), Sentence: fmt.Sprintf("trying again (attempt %d of %d)", run.Step.Attempt+1, run.Spec.Attempts)}
	return false, e.wait(ctx, run, w, problem)
}

func (e *Engine) done(ctx context.Context, run *Run, state inventory.StepState, why string) error {
	return e.Ledger.Commit(ctx, run.Operation.UID, run.Operation.Fence, func(tx inventory.Tx) error {
		for _, fn := range run.finish {
			if err := fn(tx); err != nil {
				return fmt.Errorf("store what step %s did: %w", run.Step.Name, err)
			}
		}
		now := tx.Now()
		s, o, err := pair(tx, run.Operation, run.Step)
		if err != nil {
			return err
		}
		s.State, s.EndedAt, s.Problem, s.Task, s.Sentence, s.Assignment = state, &now, "", "", why, ""
		return updatePair(tx, s, o, run.Step, run.Operation)
	})
}

// wait stores that the step waits, and gives the lease back. If something happened to the operation while the step made up its mind,
// it is due again at once: a wake-up is never lost.
func (e *Engine) wait(ctx context.Context, run *Run, w Wait, problem string) error {
	return e.Ledger.Commit(ctx, run.Operation.UID, run.Operation.Fence, func(tx inventory.Tx) error {
		s, o, err := pair(tx, run.Operation, run.Step)
		if err != nil {
			return err
		}
		woken := o.Revision != run.Operation.Revision
		s.State, s.Sentence, s.Task, s.Problem = inventory.StepWaiting, w.Sentence, w.Task, clip(problem, 1000)
		o.State, o.Sentence = inventory.OpWaiting, w.Sentence
		if w.Task != "" {
			o.Sentence = w.Task
		}
		o.NextTryAt = *s.Deadline
		if !w.Until.IsZero() && w.Until.Before(o.NextTryAt) {
			o.NextTryAt = w.Until
		}
		if o.Deadline.Before(o.NextTryAt) {
			o.NextTryAt = o.Deadline
		}
		if woken {
			o.NextTryAt = tx.Now()
		}
		o.LeaseHolder, o.LeaseUntil = "", time.Time{}
		return updatePair(tx, s, o, run.Step, run.Operation)
	})
}

// end stores the end of an operation and what becomes of the machine, in one transaction.
func (e *Engine) end(ctx context.Context, op *inventory.Operation, step *inventory.Step, steps []*inventory.Step, state inventory.OperationState, problem string) error {
	seq := e.Sequences[op.Kind]
	if state == inventory.OpDone && seq != nil && seq.Recurring > 0 {
		return e.again(ctx, op, steps, seq)
	}
	return e.finish(ctx, op, step, steps, state, problem)
}

// finish is end for an operation that does not begin again.
func (e *Engine) finish(ctx context.Context, op *inventory.Operation, step *inventory.Step, steps []*inventory.Step, state inventory.OperationState, problem string) error {
	seq := e.Sequences[op.Kind]
	return e.Ledger.Commit(ctx, op.UID, op.Fence, func(tx inventory.Tx) error {
		steps, err := inventory.TxList[inventory.Step](tx, stepsOf(op.UID))
		if err != nil {
			return err
		}
		if err := closeSteps(tx, steps, step, state, problem); err != nil {
			return err
		}
		o, err := inventory.TxGet[inventory.Operation](tx, string(op.UID))
		if err != nil {
			return err
		}
		now := tx.Now()
		o.State, o.EndedAt, o.Problem, o.Sentence = state, &now, clip(problem, 1000), ""
		o.LeaseHolder, o.LeaseUntil = "", time.Time{}
		end := Ending{Operation: o, Step: step, Steps: steps, Problem: o.Problem}
		if err := release(tx, o); err != nil {
			return err
		}
		if after := seq.after(state); after != nil {
			if err := after(tx, end); err != nil {
				return err
			}
		}
		if err := note(tx, ending(o)); err != nil {
			return err
		}
		return tx.Update(o)
	})
}

func (s *Sequence) after(state inventory.OperationState) func(inventory.Tx, Ending) error {
	switch {
	case s == nil:
		return nil
	case state == inventory.OpFailed:
		return s.Failed
	case state == inventory.OpCancelled:
		return s.Cancelled
	}
	return nil
}

// closeSteps ends what an operation leaves open; no assignment of it stays good.
func closeSteps(tx inventory.Tx, steps []*inventory.Step, at *inventory.Step, state inventory.OperationState, problem string) error {
	now := tx.Now()
	for _, s := range steps {
		if s.State == inventory.StepDone || s.State == inventory.StepSkipped {
			continue
		}
		s.State = inventory.StepCancelled
		if at != nil && s.UID == at.UID {
			if state == inventory.OpFailed {
				s.State = inventory.StepFailed
			}
			s.Problem, s.EndedAt = clip(problem, 1000), &now
		}
		s.Assignment, s.Task = "", ""
		if err := tx.Update(s); err != nil {
			return err
		}
	}
	return nil
}

// release takes the operation off its machine, which is offered its local disk again.
func release(tx inventory.Tx, o *inventory.Operation) error {
	if o.Device == "" {
		return nil
	}
	d, err := inventory.TxGet[inventory.Device](tx, string(o.Device))
	if errors.Is(err, inventory.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if d.Operation != o.UID {
		return nil
	}
	d.Operation, d.NetbootOffer, d.OfferedUntil = "", false, nil
	return tx.Update(d)
}

func ending(o *inventory.Operation) inventory.Event {
	e := inventory.Event{Device: o.Device, Operation: o.UID, Source: "engine", Text: o.Kind + " is done"}
	switch o.State {
	case inventory.OpFailed:
		e.Level, e.Text = "error", fmt.Sprintf("%s failed at step %s: %s", o.Kind, o.StepName, o.Problem)
	case inventory.OpCancelled:
		e.Level, e.Text = "warn", fmt.Sprintf("%s was cancelled by %s at step %s", o.Kind, o.CancelBy, o.StepName)
	}
	return e
}

// again starts a recurring operation's list anew, after its pause.
func (e *Engine) again(ctx context.Context, op *inventory.Operation, steps []*inventory.Step, seq *Sequence) error {
	return e.Ledger.Commit(ctx, op.UID, op.Fence, func(tx inventory.Tx) error {
		for _, old := range steps {
			s, err := inventory.TxGet[inventory.Step](tx, string(old.UID))
			if err != nil {
				return err
			}
			s.State, s.Attempt, s.StartedAt, s.EndedAt, s.Deadline, s.Problem = inventory.StepPending, 0, nil, nil, nil, ""
			if err := tx.Update(s); err != nil {
				return err
			}
		}
		o, err := inventory.TxGet[inventory.Operation](tx, string(op.UID))
		if err != nil {
			return err
		}
		o.State, o.StepIndex, o.StepName = inventory.OpWaiting, 0, ""
		rest := seq.Recurring
		if seq.Rest != nil {
			if rest, err = seq.Rest(tx, o); err != nil {
				return err
			}
		}
		o.NextTryAt = tx.Now().Add(rest)
		o.Deadline = o.NextTryAt.Add(seq.Deadline)
		o.LeaseHolder, o.LeaseUntil = "", time.Time{}
		return tx.Update(o)
	})
}

// wake makes an operation due, in the transaction of what it waits for.
func wake(tx inventory.Tx, op inventory.UID) error {
	o, err := inventory.TxGet[inventory.Operation](tx, string(op))
	if err != nil {
		return err
	}
	if o.State.Ended() {
		return nil
	}
	o.NextTryAt = tx.Now()
	return tx.Update(o)
}
