package claims

import (
	"context"
	"os"
	"testing"
	"time"

	"berth/internal/pgtest"
	"berth/inventory"
	"berth/inventory/store"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// bench is a record on which a story is played, with a clock that stands still.
type bench struct {
	*testing.T
	*store.Store
	now time.Time
}

// both plays a story on SQLite and on PostgreSQL.
func both(t *testing.T, story func(b *bench)) {
	t.Helper()
	play := func(t *testing.T, opt store.Options) {
		b := &bench{T: t, now: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)}
		opt.Now = func() time.Time { return b.now }
		var err error
		if b.Store, err = store.Open(context.Background(), opt); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := b.Store.Close(); err != nil {
				t.Error(err)
			}
		})
		story(b)
	}
	t.Run("sqlite", func(t *testing.T) { play(t, store.Options{Dir: t.TempDir()}) })
	t.Run("postgres", func(t *testing.T) { play(t, store.Options{DSN: pgtest.Database(t)}) })
}

var anna = inventory.Actor{Name: "anna", Account: "0123456789abcdef0123456789abcdef", Level: inventory.LevelOperator}

func (b *bench) edit(fn func(tx inventory.Tx) error) error {
	return b.Store.Edit(context.Background(), inventory.NewRequest(anna, "test"), fn)
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) create(objects ...inventory.Object) {
	b.Helper()
	b.must(b.edit(func(tx inventory.Tx) error {
		for _, obj := range objects {
			if err := tx.Create(obj); err != nil {
				return err
			}
		}
		return nil
	}))
}

func (b *bench) update(obj inventory.Object) {
	b.Helper()
	b.must(b.edit(func(tx inventory.Tx) error { return tx.Update(obj) }))
}

// get reads an object anew.
func get[T any](b *bench, ref inventory.UID) *T {
	b.Helper()
	obj, err := inventory.Get[T](context.Background(), b.Store, string(ref))
	b.must(err)
	return obj
}

func ptr[T any](v T) *T { return &v }
