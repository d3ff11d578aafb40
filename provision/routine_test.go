package provision_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"berth/inventory"
	"berth/inventory/store"
	"berth/provision"
)

// serveRoutine runs a service with one routine until the returned function is called.
func serveRoutine(t *testing.T, s *store.Store, r provision.Routine) (stop func()) {
	t.Helper()
	svc := provision.New(provision.Config{Ledger: s, Holder: "test", Logger: slog.New(slog.DiscardHandler), Routines: []provision.Routine{r}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- svc.Serve(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// await waits for a value of a chore.
func await[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("%s did not happen", what)
		panic("unreachable")
	}
}

func operations(t *testing.T, s *store.Store, kind string) []*inventory.Operation {
	t.Helper()
	ops, err := inventory.List[inventory.Operation](t.Context(), s, inventory.Query{Filters: []inventory.Filter{inventory.Is("kind", kind)}})
	if err != nil {
		t.Fatal(err)
	}
	return ops
}

// A chore that fails does not keep the next from being done, a change brings the next turn on before its time, and a server that is stopped within a
// chore begins with it when it is back, in the same operation.
func TestRoutine(t *testing.T) {
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	second, hanging := make(chan string, 10), make(chan struct{}, 10)
	due := make(chan bool, 1)
	routine := provision.Routine{Kind: "upkeep", Every: time.Hour, Wakes: []*inventory.Noun{inventory.NounFor[inventory.Site]()},
		Due: func(context.Context) bool {
			select {
			case v := <-due:
				return v
			default:
				return false
			}
		},
		Chores: []provision.Chore{
			{Name: "first", Do: func(context.Context) error { return errors.New("no") }},
			{Name: "second", Do: func(ctx context.Context) error {
				select {
				case <-hanging:
					second <- "hangs"
					<-ctx.Done()
					return ctx.Err()
				default:
				}
				second <- "done"
				return nil
			}},
		}}
	stop := serveRoutine(t, s, routine)
	await(t, second, "the first turn")

	touch := func(name string) {
		t.Helper()
		// The operation rests before it can be woken.
		for deadline := time.Now().Add(30 * time.Second); operations(t, s, "upkeep")[0].State != inventory.OpWaiting; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the operation does not come to rest")
			}
		}
		due <- true
		err := s.Edit(t.Context(), inventory.NewRequest(inventory.Berth, ""), func(tx inventory.Tx) error { return tx.Create(&inventory.Site{Name: name, Slug: name}) })
		if err != nil {
			t.Fatal(err)
		}
	}
	touch("fra")
	await(t, second, "a turn before its time")

	hanging <- struct{}{}
	touch("ber")
	if got := await(t, second, "a turn that hangs"); got != "hangs" {
		t.Fatalf("the third turn is %s", got)
	}
	stop()
	stop = serveRoutine(t, s, routine)
	await(t, second, "the turn that was cut short")
	stop()
	ops := operations(t, s, "upkeep")
	if len(ops) != 1 || ops[0].State.Ended() {
		t.Fatalf("%d operations, the first %+v", len(ops), ops[0])
	}
	steps, err := inventory.List[inventory.Step](t.Context(), s, inventory.Query{Filters: []inventory.Filter{inventory.Is("operation", ops[0].UID)}, Sort: "position"})
	if err != nil || len(steps) != 2 || steps[0].Name != "first" || steps[1].Name != "second" {
		t.Errorf("the steps %+v, %v", steps, err)
	}
}
