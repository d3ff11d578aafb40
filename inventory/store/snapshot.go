package store

import (
	"context"
	"fmt"

	"berth/inventory"

	"gorm.io/gorm"
)

// Recreate stores a new object as Create does, but leaves it the time at which it was made.
func (t *tx) Recreate(obj inventory.Object) error {
	head := obj.Head()
	head.Revision = 1
	if head.CreatedAt.IsZero() || head.CreatedAt.After(t.now) {
		head.CreatedAt = t.now
	}
	return t.create(obj)
}

// Snapshot reads the record as it is at one moment. It holds up nobody: on SQLite the reader of a WAL sees the file as it was when it
// began, on PostgreSQL a repeatable read does. See inventory.Snapshotter.
func (s *Store) Snapshot(ctx context.Context, fn func(at inventory.Reader) error) error {
	return s.snapshot(ctx, func(db *gorm.DB) error { return fn(reader{s, db}) })
}

func (s *Store) snapshot(ctx context.Context, fn func(db *gorm.DB) error) error {
	begin := "BEGIN DEFERRED"
	if s.opt.DSN != "" {
		begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	}
	return s.driver.explain(s.read.WithContext(ctx).Connection(func(db *gorm.DB) error {
		db = db.Session(&gorm.Session{NewDB: true, Context: ctx}) // else the conditions of one statement would stay for the next
		if err := db.Exec(begin).Error; err != nil {
			return fmt.Errorf("begin to read: %w", err)
		}
		// There is nothing to commit; the statement must run even when ctx is over, or the connection would keep its old view.
		defer db.WithContext(context.WithoutCancel(ctx)).Exec("ROLLBACK")
		return fn(db)
	}))
}

// reader is the record within a snapshot.
type reader struct {
	store *Store
	db    *gorm.DB
}

func (r reader) List(ctx context.Context, n *inventory.Noun, q inventory.Query) (inventory.Page, error) {
	page, err := r.store.list(r.db.WithContext(ctx), n, q)
	return page, r.store.driver.explain(err)
}

func (r reader) Get(ctx context.Context, n *inventory.Noun, ref string) (inventory.Object, error) {
	obj, err := get(r.db.WithContext(ctx), n, ref)
	return obj, r.store.driver.explain(err)
}
