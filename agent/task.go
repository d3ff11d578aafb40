package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"berth/api"
)

const (
	// RightToWrite is how long one confirmation by the server is good for. A server that was killed comes back in seconds; one that
	// has been away for longer may be a server that does not know of this write any more.
	RightToWrite = 30 * time.Second
	// progressPace is how often progress is told and the confirmation renewed; progressTimeout is what one such exchange may take.
	progressPace    = time.Second
	progressTimeout = 5 * time.Second
	// stuckAfter is how long work that was told to end may take to do so. Work ends at the next chunk; more than this is a device that
	// does not answer, which no process can interrupt.
	stuckAfter = time.Minute
	// defaultDeadline ends an assignment that carries none.
	defaultDeadline = 6 * time.Hour
)

// errServerAway says that an assignment was stopped because nobody confirmed it. It is neither done nor failed.
var errServerAway = errors.New("the server has not confirmed this for " + RightToWrite.String())

// errStuck says that work did not end when it was told to. What it does when the device comes back is not known, but for one thing:
// it ends at the next chunk.
var errStuck = errors.New("it was told to stop and has not")

// refused says that the server, asked whether an assignment is still wanted, said no.
type refused struct{ reason string }

func (r *refused) Error() string { return "the server stopped it: " + r.reason }

// permanent marks an error that trying again cannot help.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// never makes an error permanent.
func never(format string, args ...any) error { return permanent{fmt.Errorf(format, args...)} }

// task is one assignment under way.
type task struct {
	agent *Agent
	api.Assignment

	mu       sync.Mutex
	progress api.Progress
	begins   bool
	touched  bool
}

// Progress notes how far the work is; the next exchange with the server tells it.
func (t *task) Progress(phase string, done, total int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.progress = api.Progress{Phase: phase, Done: done, Total: total}
}

// touch notes that from here on a byte of a disk may have been written.
func (t *task) touch() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.touched = true
}

func (t *task) hasTouched() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.touched
}

// verb is how one kind of assignment is carried out.
type verb struct {
	run func(*Agent, context.Context, *task) (*api.WriteResult, error)
	// confirmed verbs destroy data: they begin only after the server confirmed them, and end when it does not any more.
	confirmed bool
}

var verbs = map[api.Verb]verb{
	api.VerbInspect:  {run: (*Agent).inspect},
	api.VerbWrite:    {run: (*Agent).write, confirmed: true},
	api.VerbClear:    {run: (*Agent).clear, confirmed: true},
	api.VerbReboot:   {run: nothing},
	api.VerbPowerOff: {run: nothing},
}

// nothing is to be done but to deliver the result, after which the agent ends.
func nothing(*Agent, context.Context, *task) (*api.WriteResult, error) { return nil, nil }

// inspect looks again and reports.
func (a *Agent) inspect(ctx context.Context, _ *task) (*api.WriteResult, error) {
	facts := a.Look(ctx)
	a.report(ctx, facts)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, nil
}

// perform carries out one assignment. An error means that it came to no end; what failed is in the result.
func (a *Agent) perform(ctx context.Context, assignment api.Assignment) (api.Result, error) {
	t := &task{agent: a, Assignment: assignment}
	a.say("told to %s", Clean(string(assignment.Verb), 32))
	written, err := a.run(ctx, t)
	if errors.Is(err, errServerAway) {
		return api.Result{}, err
	}
	if ctx.Err() != nil {
		return api.Result{}, ctx.Err()
	}
	result := api.Result{Touched: t.hasTouched(), Write: written}
	if err != nil {
		var never permanent
		result.Error, result.Permanent = Clean(err.Error(), 1000), errors.As(err, &never)
		a.say("%s failed: %s", assignment.Verb, result.Error)
	}
	return result, nil
}

// run calls the verb within its deadline and, where it destroys data, within the server's word.
func (a *Agent) run(ctx context.Context, t *task) (*api.WriteResult, error) {
	v, known := verbs[t.Verb]
	if !known {
		return nil, never("this agent does not know how to %q", Clean(string(t.Verb), 32))
	}
	limit := defaultDeadline
	if !t.Deadline.IsZero() {
		limit = t.Deadline.Sub(a.now())
	}
	if limit <= 0 {
		return nil, fmt.Errorf("the deadline %s had passed when it was handed out", t.Deadline.UTC().Format(time.RFC3339))
	}
	late := fmt.Errorf("not done within its deadline, %s after it began", limit.Round(time.Second))
	ctx, cancel := context.WithTimeoutCause(ctx, limit, late)
	defer cancel()
	if !v.confirmed {
		return a.bounded(ctx, t, v)
	}
	return a.runConfirmed(ctx, t, v)
}

// bounded calls the verb and waits for its end, but not longer than stuckAfter once ctx has ended.
func (a *Agent) bounded(ctx context.Context, t *task, v verb) (*api.WriteResult, error) {
	type outcome struct {
		written *api.WriteResult
		err     error
	}
	done := make(chan outcome, 1)
	go func() {
		written, err := v.run(a, ctx, t)
		done <- outcome{written, err}
	}()
	select {
	case o := <-done:
		return o.written, o.err
	case <-ctx.Done():
	}
	select {
	case o := <-done:
		return o.written, o.err
	case <-time.After(a.stuckAfter()):
		if v.confirmed {
			t.touch()
		}
		return nil, fmt.Errorf("a device does not answer: %w", errStuck)
	}
}

// stuckAfter is the constant, or less in a test.
func (a *Agent) stuckAfter() time.Duration {
	if a.rightToWrite > 0 {
		return a.rightToWrite
	}
	return stuckAfter
}

// runConfirmed begins when the server has confirmed the assignment and stops when it takes that back or falls silent.
func (a *Agent) runConfirmed(ctx context.Context, t *task, v verb) (*api.WriteResult, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	t.Progress("check", 0, 0)
	if err := t.confirm(ctx); err != nil {
		var no *refused
		if errors.As(err, &no) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %v", errServerAway, err)
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := t.watch(ctx); err != nil {
			stop(err)
		}
	})
	written, err := a.bounded(ctx, t, v)
	cause := context.Cause(ctx)
	stop(nil)
	watching.Wait()
	if err != nil && cause != nil && !errors.Is(err, errStuck) {
		// What ended the work is the reason, not the chunk it ended at.
		return written, cause
	}
	return written, err
}

// patience is RightToWrite, or less in a test.
func (a *Agent) patience() time.Duration {
	if a.rightToWrite > 0 {
		return a.rightToWrite
	}
	return RightToWrite
}

// watch renews the confirmation until ctx ends, which is no error.
func (t *task) watch(ctx context.Context) error {
	confirmed := time.Now()
	for sleep(ctx, progressPace) == nil {
		err := t.confirm(ctx)
		var no *refused
		switch {
		case errors.As(err, &no):
			return err
		case err == nil:
			confirmed = time.Now()
		case time.Since(confirmed) > t.agent.patience():
			return errServerAway
		}
	}
	return nil
}

// begin tells the server that the first byte is about to change, and comes back when it has heard that. A server that is away is asked
// for as long as a confirmation would last; until then nothing is changed.
func (t *task) begin(ctx context.Context) error {
	t.mu.Lock()
	t.begins = true
	t.mu.Unlock()
	for asked := time.Now(); ; {
		err := t.confirm(ctx)
		var no *refused
		if err == nil || errors.As(err, &no) {
			return err
		}
		if time.Since(asked) > t.agent.patience() {
			return errServerAway
		}
		if err := sleep(ctx, firstPause); err != nil {
			return context.Cause(ctx)
		}
	}
}

// confirm tells the progress and hears whether the assignment is still wanted. A refusal is a *refused; any other error is silence.
func (t *task) confirm(ctx context.Context) error {
	t.mu.Lock()
	progress := t.progress
	progress.Begins = t.begins
	t.mu.Unlock()
	answer, err := t.agent.Server.Progress(ctx, t.ID, progress)
	switch {
	case err != nil && final(err):
		return &refused{reason: sentence(err)}
	case err != nil:
		return err
	case answer.Stop:
		return &refused{reason: Clean(answer.Reason, 300)}
	}
	return nil
}
