package provision_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"berth/internal/pgtest"
	"berth/inventory"
	"berth/inventory/store"
	"berth/provision"
)

// hangs is a ledger as a server sees it that is stopped for a moment now and then: its heartbeats do not arrive, so that its leases run
// out while it believes that it holds them.
type hangs struct {
	provision.Ledger
	mu  sync.Mutex
	rng *rand.Rand
}

func (h *hangs) Heartbeat(ctx context.Context, op inventory.UID, fence int64, lease time.Duration) error {
	h.mu.Lock()
	lost := h.rng.IntN(2) == 0
	h.mu.Unlock()
	if lost {
		return nil
	}
	return h.Ledger.Heartbeat(ctx, op, fence, lease)
}

// jobs makes the sequence of a history: three steps that take a while, wait, fail and are tried again, as chance will have it. What a step
// finished stands in the record as an event that names the step and the fence it was finished under.
func jobs(seed uint64) *provision.Sequence {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 2))
	dice := func(n int) int { mu.Lock(); defer mu.Unlock(); return rng.IntN(n) }
	seq := &provision.Sequence{Kind: "job", Deadline: 10 * time.Minute}
	for i := range 3 {
		name := fmt.Sprintf("step-%d", i)
		seq.Steps = append(seq.Steps, provision.StepSpec{Name: name, Deadline: 10 * time.Minute, Attempts: 1000, Pause: time.Millisecond, Do: func(ctx context.Context, r *provision.Run) error {
			fence := r.Operation.Fence
			r.Finish(func(tx inventory.Tx) error {
				return tx.Create(&inventory.Event{At: tx.Now(), Operation: r.Operation.UID, Text: fmt.Sprintf("%s under %d", name, fence)})
			})
			// Sometimes longer than the lease, and sometimes deaf to its context.
			pause := time.Duration(dice(200)) * time.Millisecond
			if dice(2) == 0 {
				time.Sleep(pause)
			} else {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(pause):
				}
			}
			switch dice(6) {
			case 0:
				return &provision.Wait{Until: time.Now().Add(time.Millisecond), Sentence: "waiting"}
			case 1:
				return errors.New("not this time")
			}
			return nil
		}})
	}
	return seq
}

// Several servers on one record, each of which loses its leases in the middle of steps, with cancels in between: what a step did is stored
// exactly once, in order, and never by a server that had lost the operation to another.
func TestHistoriesOfSeveralServers(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			history(t, opened(t, store.Options{Dir: filepath.Join(t.TempDir(), "data")}), seed)
		})
	}
	t.Run("postgres", func(t *testing.T) { history(t, opened(t, store.Options{DSN: pgtest.Database(t)}), 7) })
}

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func opened(t *testing.T, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func history(t *testing.T, s *store.Store, seed uint64) {
	const count = 12
	var ops []inventory.UID
	for range count {
		ops = append(ops, newJob(t, s))
	}
	serve, stop := context.WithCancel(t.Context())
	var servers sync.WaitGroup
	for _, holder := range []string{"anna", "berta", "cleo"} {
		e := &provision.Engine{Ledger: &hangs{Ledger: s, rng: rand.New(rand.NewPCG(seed, 1))}, Holder: holder, Log: slog.New(slog.DiscardHandler),
			Now: time.Now, Lease: 100 * time.Millisecond, Workers: 6, Sequences: map[string]*provision.Sequence{"job": jobs(seed)}}
		servers.Go(func() {
			if err := e.Serve(serve); err != nil {
				t.Errorf("%s: %v", holder, err)
			}
		})
	}
	rng := rand.New(rand.NewPCG(seed, 3))
	for _, op := range ops[:count/3] {
		time.Sleep(time.Duration(rng.IntN(50)) * time.Millisecond)
		cancelJob(t, s, op)
	}
	for deadline := time.Now().Add(5 * time.Minute); !allEnded(t, s, ops); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not all operations have ended")
		}
	}
	stop()
	servers.Wait()
	for _, op := range ops {
		judge(t, s, op)
	}
}

func newJob(t *testing.T, s *store.Store) inventory.UID {
	t.Helper()
	op := &inventory.Operation{Kind: "job", Owner: "test", StepCount: 3}
	op.UID = inventory.NewUID()
	err := s.Edit(t.Context(), inventory.NewRequest(inventory.Berth, ""), func(tx inventory.Tx) error {
		op.Deadline, op.NextTryAt = tx.Now().Add(10*time.Minute), tx.Now()
		if err := tx.Create(op); err != nil {
			return err
		}
		for i := range 3 {
			if err := tx.Create(&inventory.Step{Operation: op.UID, Position: i, Name: fmt.Sprintf("step-%d", i)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return op.UID
}

func cancelJob(t *testing.T, s *store.Store, uid inventory.UID) {
	t.Helper()
	err := s.Edit(t.Context(), inventory.NewRequest(inventory.Berth, ""), func(tx inventory.Tx) error {
		op, err := inventory.TxGet[inventory.Operation](tx, string(uid))
		if err != nil || op.State.Ended() {
			return err
		}
		op.CancelBy, op.NextTryAt = "anna", tx.Now()
		return tx.Update(op)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func allEnded(t *testing.T, s *store.Store, ops []inventory.UID) bool {
	t.Helper()
	for _, uid := range ops {
		op, err := inventory.Get[inventory.Operation](t.Context(), s, string(uid))
		if err != nil {
			t.Fatal(err)
		}
		if !op.State.Ended() {
			return false
		}
	}
	return true
}

// judge reads one operation's history.
func judge(t *testing.T, s *store.Store, uid inventory.UID) {
	t.Helper()
	op, err := inventory.Get[inventory.Operation](t.Context(), s, string(uid))
	if err != nil {
		t.Fatal(err)
	}
	events, err := inventory.List[inventory.Event](t.Context(), s, inventory.Query{Filters: []inventory.Filter{inventory.Is("operation", uid)}, Sort: "created_at"})
	if err != nil {
		t.Fatal(err)
	}
	var step, last int64
	for _, e := range events {
		var number, fence int64
		if n, _ := fmt.Sscanf(e.Text, "step-%d under %d", &number, &fence); n != 2 {
			continue // the engine's own line at the end
		}
		if number != step {
			t.Errorf("%s (%s): step %d was finished when step %d was to be", uid, op.State, number, step)
		}
		if fence < last {
			t.Errorf("%s: step %d was finished under the fence %d, after %d was out", uid, number, fence, last)
		}
		step, last = step+1, fence
	}
	steps, err := inventory.List[inventory.Step](t.Context(), s, inventory.Query{Filters: []inventory.Filter{inventory.Is("operation", uid)}, Sort: "position"})
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range steps {
		done := int64(st.Position) < step
		if done != (st.State == inventory.StepDone) {
			t.Errorf("%s: step %s is %s, and %d steps were finished", uid, st.Name, st.State, step)
		}
	}
	done, cancelled := op.State == inventory.OpDone && step == 3, op.State == inventory.OpCancelled && op.CancelBy != ""
	if !done && !cancelled {
		t.Errorf("%s is %s (%s) after %d steps", uid, op.State, op.Problem, step)
	}
}

// A defect in one step fails its operation in a sentence, and the server lives. Polls that hang take no worker from the others.
func TestADefectiveStepFailsAloneAndHangingPollsHoldNobodyUp(t *testing.T) {
	s := opened(t, store.Options{Dir: filepath.Join(t.TempDir(), "data")})
	serve, stop := context.WithCancel(t.Context())
	defer stop()
	one := func(kind string, recurring time.Duration, do func(context.Context, *provision.Run) error) *provision.Sequence {
		return &provision.Sequence{Kind: kind, Deadline: time.Hour, Recurring: recurring, Steps: []provision.StepSpec{{Name: "only", Deadline: time.Hour, Do: do}}}
	}
	var hanging sync.WaitGroup
	hanging.Add(2)
	e := &provision.Engine{Ledger: s, Holder: "anna", Log: slog.New(slog.DiscardHandler), Now: time.Now, Workers: 1, Pollers: 2, Sequences: map[string]*provision.Sequence{
		"defect": one("defect", 0, func(context.Context, *provision.Run) error { panic("a defect") }),
		"poll": one("poll", time.Hour, func(ctx context.Context, _ *provision.Run) error {
			hanging.Done()
			<-ctx.Done()
			return ctx.Err()
		}),
		"over": one("over", time.Millisecond, func(context.Context, *provision.Run) error { return &provision.Over{Why: "nothing to ask"} }),
		"work": one("work", 0, func(context.Context, *provision.Run) error { return nil }),
	}}
	start := func(kind string) inventory.UID {
		op := &inventory.Operation{Kind: kind, Owner: "test", StepCount: 1}
		op.UID = inventory.NewUID()
		err := s.Edit(t.Context(), inventory.NewRequest(inventory.Berth, ""), func(tx inventory.Tx) error {
			op.Deadline, op.NextTryAt = tx.Now().Add(time.Hour), tx.Now()
			if err := tx.Create(op); err != nil {
				return err
			}
			return tx.Create(&inventory.Step{Operation: op.UID, Name: "only"})
		})
		if err != nil {
			t.Fatal(err)
		}
		return op.UID
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Serve(serve) }()
	for _, kind := range []string{"over", "poll", "work", "defect"} {
		if kind == "poll" {
			for range 4 { // two more than there are pollers
				start("poll")
			}
			hanging.Wait()
			continue
		}
		want := map[string]inventory.OperationState{"work": inventory.OpDone, "defect": inventory.OpFailed, "over": inventory.OpDone}[kind]
		op := start(kind)
		for deadline := time.Now().Add(2 * time.Minute); !allEnded(t, s, []inventory.UID{op}); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s has not ended while polls hang", kind)
			}
		}
		got, err := inventory.Get[inventory.Operation](t.Context(), s, string(op))
		if err != nil || got.State != want {
			t.Errorf("%s ended as %s (%s), %v", kind, got.State, got.Problem, err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
