package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"berth/inventory"
)

const lease = 10 * time.Second

func claim(t testing.TB, s *Store, holder string) *inventory.Operation {
	t.Helper()
	op, err := s.Claim(context.Background(), holder, lease)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// work makes an edit under a fence.
func work(s *Store, op *inventory.Operation, fn func(op *inventory.Operation)) error {
	return s.Commit(context.Background(), op.UID, op.Fence, func(tx inventory.Tx) error {
		now, err := inventory.TxGet[inventory.Operation](tx, string(op.UID))
		if err != nil {
			return err
		}
		fn(now)
		return tx.Update(now)
	})
}

// TestClaim: an operation belongs to one holder until its lease is over, and the one due longest comes first.
func TestClaim(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		clock := newClock()
		opt.Now = clock.now
		s := openTest(t, opt)
		if op := claim(t, s, "a"); op != nil {
			t.Fatalf("claimed %v of nothing", op)
		}
		at := clock.now()
		for _, op := range []*inventory.Operation{
			{Kind: "later", NextTryAt: at.Add(time.Minute)},
			{Kind: "second", NextTryAt: at.Add(-time.Second), State: inventory.OpWaiting},
			{Kind: "first", NextTryAt: at.Add(-time.Minute)},
			{Kind: "ended", State: inventory.OpDone},
		} {
			create(t, s, op)
		}
		first := claim(t, s, "a")
		if first == nil || first.Kind != "first" || first.Fence != 1 || first.LeaseHolder != "a" || !first.LeaseUntil.Equal(at.Add(lease)) || first.Revision != 1 {
			t.Fatalf("claimed %+v", first)
		}
		clock.add(time.Second)
		if second := claim(t, s, "b"); second == nil || second.Kind != "second" {
			t.Fatalf("claimed %+v", second)
		}
		if third := claim(t, s, "b"); third != nil {
			t.Fatalf("claimed %+v, which is not due", third)
		}
		if due, err := s.NextDue(context.Background()); err != nil || !due.Equal(at.Add(lease)) {
			t.Errorf("next due at %v (%v), want the end of the lease", due, err)
		}
		clock.add(lease)
		if again := claim(t, s, "b"); again == nil || again.Kind != "first" || again.Fence != 2 {
			t.Errorf("after its lease: %+v", again)
		}
		if err := work(s, first, func(*inventory.Operation) {}); !errors.Is(err, inventory.ErrFenced) {
			t.Errorf("the old holder's commit: %v", err)
		}
		if err := s.Heartbeat(context.Background(), first.UID, first.Fence, lease); !errors.Is(err, inventory.ErrFenced) {
			t.Errorf("the old holder's heartbeat: %v", err)
		}
	})
}

// TestLease: a heartbeat prolongs, giving back frees at once, an end ends; none of it counts as a change but what is written.
func TestLease(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		ctx, clock := context.Background(), newClock()
		opt.Now = clock.now
		s := openTest(t, opt)
		create(t, s, &inventory.Operation{Kind: "deploy"})
		op := claim(t, s, "a")
		clock.add(lease - time.Second)
		if err := s.Heartbeat(ctx, op.UID, op.Fence, lease); err != nil {
			t.Fatal(err)
		}
		clock.add(lease - time.Second)
		if other := claim(t, s, "b"); other != nil {
			t.Fatalf("claimed %+v during its lease", other)
		}
		if got := find[inventory.Operation](t, s, string(op.UID)); got.Revision != 1 {
			t.Errorf("claims and heartbeats made revision %d", got.Revision)
		}
		if err := work(s, op, func(o *inventory.Operation) {
			o.State, o.NextTryAt, o.LeaseHolder, o.LeaseUntil = inventory.OpWaiting, clock.now().Add(time.Hour), "", time.Time{}
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.Heartbeat(ctx, op.UID, op.Fence, lease); !errors.Is(err, inventory.ErrFenced) {
			t.Errorf("a heartbeat for a lease that was given back: %v", err)
		}
		if due, err := s.NextDue(ctx); err != nil || !due.Equal(clock.now().Add(time.Hour)) {
			t.Errorf("next due %v, %v", due, err)
		}
		clock.add(time.Hour)
		again := claim(t, s, "b")
		if again == nil || again.Fence != 2 {
			t.Fatalf("claimed %+v", again)
		}
		if err := work(s, again, func(o *inventory.Operation) { o.State = inventory.OpDone }); err != nil {
			t.Fatal(err)
		}
		if err := work(s, again, func(o *inventory.Operation) { o.State = inventory.OpRunning }); !errors.Is(err, inventory.ErrFenced) {
			t.Errorf("a commit after the end: %v", err)
		}
		if due, err := s.NextDue(ctx); err != nil || !due.IsZero() {
			t.Errorf("next due %v, %v, of nothing", due, err)
		}
		failing := errors.New("stop")
		create(t, s, &inventory.Operation{Kind: "deploy"})
		op = claim(t, s, "a")
		if err := s.Commit(ctx, op.UID, op.Fence, func(inventory.Tx) error { return failing }); err != failing {
			t.Errorf("got %v", err)
		}
	})
}

// TestReleaseHolder: a server that comes back frees what it held when it was killed, and its old self cannot go on.
func TestReleaseHolder(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		create(t, s, &inventory.Operation{Kind: "one"})
		create(t, s, &inventory.Operation{Kind: "two"})
		mine := claim(t, s, "a")
		other := claim(t, s, "b")
		if err := s.ReleaseHolder(context.Background(), "a"); err != nil {
			t.Fatal(err)
		}
		if err := work(s, mine, func(*inventory.Operation) {}); !errors.Is(err, inventory.ErrFenced) {
			t.Errorf("the old self's commit: %v", err)
		}
		if again := claim(t, s, "a"); again == nil || again.UID != mine.UID {
			t.Errorf("claimed %+v", again)
		}
		if err := work(s, other, func(o *inventory.Operation) { o.State = inventory.OpDone }); err != nil {
			t.Errorf("another's commit: %v", err)
		}
	})
}

// TestLeaseIsNotForEdits: whoever read an operation before it was claimed cannot turn its fence back or take its lease away.
func TestLeaseIsNotForEdits(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		stale := create(t, s, &inventory.Operation{Kind: "deploy"})
		op := claim(t, s, "a")
		stale.CancelBy, stale.Fence, stale.LeaseHolder = "anna", 7, "anna"
		mustEdit(t, s, func(tx inventory.Tx) error { return tx.Update(stale) })
		got := find[inventory.Operation](t, s, string(op.UID))
		if got.CancelBy != "anna" || got.Fence != op.Fence || got.LeaseHolder != "a" || !got.LeaseUntil.Equal(op.LeaseUntil) {
			t.Errorf("got %+v", got)
		}
		if err := work(s, op, func(o *inventory.Operation) { o.State = inventory.OpCancelled }); err != nil {
			t.Error(err)
		}
	})
}

// TestLeaseEndsDuringStep: the holder is slow, another takes over while it is at work, and of its late commit nothing is stored, not
// even what it wrote before it looked.
func TestLeaseEndsDuringStep(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		clock := newClock()
		opt.Now = clock.now
		s := openTest(t, opt)
		create(t, s, &inventory.Operation{Kind: "deploy"})
		slow := claim(t, s, "slow")
		clock.add(lease + time.Second)
		quick := claim(t, s, "quick")
		err := s.Commit(context.Background(), slow.UID, slow.Fence, func(tx inventory.Tx) error {
			return tx.Create(&inventory.Site{Name: "written late"})
		})
		if !errors.Is(err, inventory.ErrFenced) {
			t.Errorf("got %v", err)
		}
		if sites := all[inventory.Site](t, s); len(sites) != 0 {
			t.Error("something of it was stored")
		}
		if err := work(s, quick, func(o *inventory.Operation) { o.State = inventory.OpDone }); err != nil {
			t.Error(err)
		}
	})
}

// move is one successful act on an operation, in the order in which the ledger told of it.
type move struct {
	op     inventory.UID
	fence  int64
	commit bool
}

// TestHistory lets holders claim, work, dawdle beyond their leases and die, on one or two servers, and then reads the history: fences of
// an operation only grow, no fence was given out twice, each commit that was told to be stored is stored exactly once, and none was made
// under an older fence after one under a newer.
func TestHistory(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		clock := newClock()
		opt.Now = clock.now
		servers := []*Store{openTest(t, opt)}
		if opt.DSN != "" {
			servers = append(servers, openTest(t, opt))
		}
		const operations, steps = 6, 5
		mustEdit(t, servers[0], func(tx inventory.Tx) error {
			for i := range operations {
				if err := tx.Create(&inventory.Operation{Kind: fmt.Sprint("op-", i)}); err != nil {
					return err
				}
			}
			return nil
		})
		var mu sync.Mutex
		var history []move
		var wg sync.WaitGroup
		for worker := range 6 {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(7, uint64(worker)))
				s := servers[worker%len(servers)]
				for left(t, s) > 0 {
					op, err := s.Claim(context.Background(), fmt.Sprint("h", worker), lease)
					if err != nil {
						t.Errorf("claim: %v", err)
						return
					}
					if op == nil {
						clock.add(time.Second)
						continue
					}
					mu.Lock()
					history = append(history, move{op.UID, op.Fence, false})
					mu.Unlock()
					for _, m := range stepThrough(t, s, op, clock, random, steps) {
						mu.Lock()
						history = append(history, m)
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		checkHistory(t, servers[0], history, operations, steps)
	})
}

func left(t *testing.T, s *Store) int {
	return len(all[inventory.Operation](t, s, inventory.Filter{Field: "state", Op: inventory.OpIn, Value: "queued,running,waiting"}))
}

// stepThrough works on an operation until it ends, is fenced, or the holder dies. Each commit notes its fence in the steps.
func stepThrough(t *testing.T, s *Store, op *inventory.Operation, clock *clock, random *rand.Rand, steps int) (made []move) {
	for {
		switch random.IntN(6) {
		case 0:
			clock.add(lease / 2)
		case 1:
			clock.add(2 * lease) // it dawdles: its lease is over
		case 2:
			return made // it dies
		}
		ended := false
		err := s.Commit(context.Background(), op.UID, op.Fence, func(tx inventory.Tx) error {
			now, err := inventory.TxGet[inventory.Operation](tx, string(op.UID))
			if err != nil {
				return err
			}
			now.StepIndex++
			if now.State, ended = inventory.OpRunning, now.StepIndex == steps; ended {
				now.State = inventory.OpDone
			}
			if err := tx.Create(&inventory.Step{Operation: op.UID, Position: now.StepIndex, Name: "step", Total: op.Fence}); err != nil {
				return err
			}
			return tx.Update(now)
		})
		if errors.Is(err, inventory.ErrFenced) {
			return made
		}
		if err != nil {
			t.Errorf("commit: %v", err)
			return made
		}
		made = append(made, move{op.UID, op.Fence, true})
		if ended {
			return made
		}
	}
}

func checkHistory(t *testing.T, s *Store, history []move, operations, steps int) {
	t.Helper()
	claims, commits := map[move]int{}, map[inventory.UID]map[int64]int{}
	for _, m := range history {
		if !m.commit {
			claims[m]++
			continue
		}
		if commits[m.op] == nil {
			commits[m.op] = map[int64]int{}
		}
		commits[m.op][m.fence]++
	}
	for m, n := range claims {
		if n > 1 {
			t.Errorf("fence %d of %s was given out %d times", m.fence, m.op, n)
		}
	}
	total := 0
	for _, op := range all[inventory.Operation](t, s) {
		stored := map[int64]int{}
		var last int64
		page, err := s.List(context.Background(), inventory.NounFor[inventory.Step](), inventory.Query{Sort: "position", Limit: inventory.MaxPage, Filters: []inventory.Filter{inventory.Is("operation", op.UID)}})
		if err != nil {
			t.Fatal(err)
		}
		for i, step := range inventory.Items[inventory.Step](page) {
			if step.Position != i+1 || step.Total < last {
				t.Errorf("%s: step %d was made under fence %d, after %d", op.Kind, step.Position, step.Total, last)
			}
			last = step.Total
			stored[step.Total]++
			total++
		}
		for fence, n := range stored {
			if commits[op.UID][fence] != n {
				t.Errorf("%s: %d commits under fence %d were told, %d are stored", op.Kind, commits[op.UID][fence], fence, n)
			}
		}
		if op.State != inventory.OpDone || op.StepIndex != steps || op.Fence < last {
			t.Errorf("%s ended as %s after %d steps, fence %d", op.Kind, op.State, op.StepIndex, op.Fence)
		}
	}
	if total != operations*steps {
		t.Errorf("%d steps are stored, want %d", total, operations*steps)
	}
}

// TestConcurrentClaims: of many that ask at once, each operation goes to one.
func TestConcurrentClaims(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		const operations = 40
		mustEdit(t, s, func(tx inventory.Tx) error {
			for range operations {
				if err := tx.Create(&inventory.Operation{Kind: "poll"}); err != nil {
					return err
				}
			}
			return nil
		})
		var mu sync.Mutex
		taken := map[inventory.UID]int{}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for {
					op, err := s.Claim(context.Background(), fmt.Sprint("h", i), time.Hour)
					if err != nil {
						t.Errorf("claim: %v", err)
						return
					}
					if op == nil {
						return
					}
					mu.Lock()
					taken[op.UID]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		// A holder that meets only rows others are taking goes home early (SKIP LOCKED); what is left is taken now.
		for op := claim(t, s, "last"); op != nil; op = claim(t, s, "last") {
			taken[op.UID]++
		}
		for uid, n := range taken {
			if n != 1 {
				t.Errorf("%s was taken %d times", uid, n)
			}
		}
		if len(taken) != operations {
			t.Errorf("%d of %d were taken", len(taken), operations)
		}
	})
}
