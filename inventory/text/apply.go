package text

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"berth/inventory"
)

const (
	// atOnce is how many steps are done in one transaction, so that they are all done or none.
	atOnce = 1000
	// slice is how many are done in one transaction where there are more: others get their turn between two.
	slice = 250
)

// Run says who applies what.
type Run struct {
	Request inventory.Request
	// Name is what people call the directory, Commit the git commit it is at, empty where it is none.
	Name, Commit string
	Digest       string
}

// Apply carries a plan out under one request, and keeps an inventory.ImportRun of it. Up to a thousand steps are one transaction; more
// are done in slices, and what a crash or a conflict leaves undone is done by applying the directory again, or taken back with the undo
// of the request. Errors: *inventory.Invalid and *inventory.Conflict, which name the file.
func Apply(ctx context.Context, record inventory.Record, plan *Plan, run Run) (*inventory.ImportRun, error) {
	source := sourcePart
	if plan.Whole {
		source = sourceWhole
	}
	row := &inventory.ImportRun{Source: source, Name: cmp.Or(run.Name, "text"), Digest: run.Digest, Commit: run.Commit, State: "running",
		Request: run.Request.ID, Total: len(plan.Steps), By: run.Request.By.Name}
	a := &applier{ctx: ctx, record: record, run: run, row: row}
	if len(plan.Steps) <= atOnce {
		return row, a.whole(plan.Steps)
	}
	if err := a.note(func(tx inventory.Tx) error { return tx.Create(row) }); err != nil {
		return nil, err
	}
	if err := a.slices(plan.Steps); err != nil {
		row.State, row.Problem = "failed", err.Error()
		return row, errors.Join(err, a.note(func(tx inventory.Tx) error { return tx.Update(a.copyRow()) }))
	}
	return row, nil
}

type applier struct {
	ctx    context.Context
	record inventory.Record
	run    Run
	row    *inventory.ImportRun
}

// note writes the run down on behalf of berth.
func (a *applier) note(fn func(tx inventory.Tx) error) error {
	if err := a.record.Edit(context.WithoutCancel(a.ctx), inventory.NewRequest(inventory.Berth, ""), fn); err != nil {
		return fmt.Errorf("note how far the directory was brought in: %w", err)
	}
	return nil
}

func (a *applier) copyRow() *inventory.ImportRun {
	row := *a.row
	row.Revision = 0
	return &row
}

// whole does all steps in one transaction.
func (a *applier) whole(steps []*Step) error {
	return a.record.Edit(a.ctx, a.run.Request, func(tx inventory.Tx) error {
		w := worker{tx: tx, row: *a.row}
		if err := w.do(steps, true); err != nil {
			return err
		}
		w.row.State = "done"
		if err := tx.Create(&w.row); err != nil {
			return err
		}
		*a.row = w.row
		return nil
	})
}

// slices does the steps a slice at a time. What is in the way of something else waits for the next slice.
func (a *applier) slices(steps []*Step) error {
	for len(steps) > 0 {
		n := min(slice, len(steps))
		var left []*Step
		err := a.record.Edit(a.ctx, a.run.Request, func(tx inventory.Tx) error {
			w := worker{tx: tx, row: *a.copyRow()}
			err := w.do(steps[:n], n == len(steps))
			if err != nil {
				return err
			}
			left = w.left
			if w.row.State = "running"; n == len(steps) {
				w.row.State = "done"
			}
			if err := tx.Update(&w.row); err != nil {
				return err
			}
			*a.row = w.row
			return nil
		})
		if err != nil {
			return err
		}
		steps = append(slices.Clone(left), steps[n:]...)
		if len(left) == n {
			// Nothing of the slice could be done: let what comes later go first, with these among it.
			steps = append(slices.Clone(steps[n:]), left...)
			if len(steps) == n {
				return fmt.Errorf("%d steps are in each other's way", n)
			}
		}
	}
	return nil
}

// worker does steps within one transaction.
type worker struct {
	tx   inventory.Tx
	row  inventory.ImportRun
	left []*Step // what was in the way of something
	late []*Step // what refers to objects that were not made yet
}

// do does the steps; those that meet a conflict are tried again after the others, for as long as that helps. last says that nothing comes
// after them that could help.
func (w *worker) do(steps []*Step, last bool) error {
	var conflict error
	for len(steps) > 0 {
		var again []*Step
		for _, s := range steps {
			err := w.step(s)
			var c *inventory.Conflict
			if errors.As(err, &c) {
				again, conflict = append(again, s), s.blame(err)
				continue
			}
			if err != nil {
				return s.blame(err)
			}
			w.row.Done++
		}
		if len(again) == len(steps) {
			if last {
				return conflict
			}
			w.left = again
			break
		}
		steps = again
	}
	return w.close()
}

// close sets the references that waited.
func (w *worker) close() error {
	for _, s := range w.late {
		obj, err := w.tx.Get(s.Noun, string(s.UID))
		if err != nil {
			return s.blame(err)
		}
		for _, r := range s.postpone {
			r.field.Set(obj, inventory.UID(r.name))
		}
		if err := w.tx.Update(obj); err != nil {
			return s.blame(err)
		}
	}
	return nil
}

func (w *worker) step(s *Step) error {
	// The transaction may be run again: the plan's own object stays as it is.
	obj := reflect.New(reflect.TypeOf(s.obj).Elem()).Interface().(inventory.Object)
	reflect.ValueOf(obj).Elem().Set(reflect.ValueOf(s.obj).Elem())
	switch s.Action {
	case Delete:
		return w.delete(s, obj)
	case Change:
		w.row.Updated++
		return w.tx.Update(obj)
	}
	for _, r := range s.postpone {
		r.field.Set(obj, inventory.UID(""))
	}
	if err := w.create(obj); err != nil {
		return err
	}
	w.row.Created++
	if len(s.postpone) > 0 {
		w.late = append(w.late, s)
	}
	return nil
}

// create keeps the time at which an object came to be, where the transaction can do that.
func (w *worker) create(obj inventory.Object) error {
	if again, ok := w.tx.(inventory.Recreator); ok && !obj.Head().CreatedAt.IsZero() {
		return again.Recreate(obj)
	}
	return w.tx.Create(obj)
}

// delete removes what is still there: an object that was attached to another went with it.
func (w *worker) delete(s *Step, obj inventory.Object) error {
	if _, err := w.tx.Get(s.Noun, string(s.UID)); errors.Is(err, inventory.ErrNotFound) {
		return nil
	}
	return w.tx.Delete(obj)
}

// blame says where what could not be done stands.
func (s *Step) blame(err error) error {
	at := fmt.Sprintf("%s %s", s.Noun.Name, s.Name)
	if s.File != "" {
		at = fmt.Sprintf("%s:%d", s.File, s.Line)
	}
	var invalid *inventory.Invalid
	var conflict *inventory.Conflict
	switch {
	case errors.As(err, &invalid):
		told := &inventory.Invalid{Noun: "directory", Fields: map[string]string{}}
		for field, why := range invalid.Fields {
			told.Fields[at+" "+field] = why
		}
		return told
	case errors.As(err, &conflict):
		return &inventory.Conflict{Noun: conflict.Noun, UID: conflict.UID, Why: at + ": " + conflict.Why}
	}
	return fmt.Errorf("%s: %w", at, err)
}
