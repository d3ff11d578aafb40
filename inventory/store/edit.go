package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"berth/inventory"

	"gorm.io/gorm"
)

// Edit runs fn in one transaction on behalf of req. See inventory.Record.
func (s *Store) Edit(ctx context.Context, req inventory.Request, fn func(tx inventory.Tx) error) error {
	return s.edit(ctx, req, func(t *tx) error { return fn(t) })
}

// edit is the one place where the record is written: it runs fn, stores the change log with it, and tells who watches after the commit.
func (s *Store) edit(ctx context.Context, req inventory.Request, fn func(t *tx) error) error {
	if err := checkRequest(req); err != nil {
		return err
	}
	var touched []string
	err := s.transact(ctx, func(db *gorm.DB) error {
		t := &tx{store: s, ctx: ctx, db: db, req: req, now: s.now(), touched: map[string]bool{}, known: map[inventory.UID]bool{}, docs: map[inventory.UID]docChange{}}
		err := fn(t)
		if err == nil {
			err = t.finish()
		}
		touched = slices.Sorted(maps.Keys(t.touched))
		return err
	})
	if err != nil {
		return err
	}
	s.hub.publish(touched)
	return nil
}

func checkRequest(req inventory.Request) error {
	switch {
	case !req.ID.Valid():
		return inventory.NotAllowed("request", "id", "is not a uid")
	case req.By.Name == "":
		return inventory.NotAllowed("request", "by", "is required: every change has somebody who makes it")
	case len([]rune(req.Why)) > 200:
		return inventory.NotAllowed("request", "why", "is longer than 200 characters")
	}
	return nil
}

// panicked carries a panic of an edit from the goroutine that ran it to the one that asked for it.
type panicked struct{ value any }

func (p *panicked) Error() string { return fmt.Sprintf("an edit panicked: %v", p.value) }

// guarded runs work and turns a panic into an error, so that a writer shared by everybody outlives it.
func guarded(work func(*gorm.DB) error, db *gorm.DB) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{v}
		}
	}()
	return work(db)
}

// rethrow lets a panic continue where it belongs.
func rethrow(err error) error {
	var p *panicked
	if errors.As(err, &p) {
		panic(p.value)
	}
	return err
}
