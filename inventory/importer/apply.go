package importer

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"berth/inventory"
)

// Record is what an import works on.
type Record interface {
	Reader
	Edit(ctx context.Context, req inventory.Request, fn func(tx inventory.Tx) error) error
}

// Importer applies plans. An import is many edits under one request id: each takes so few objects that others who write meanwhile wait a
// fraction of a second, and each carries the progress of the ImportRun in the same transaction. What a crash leaves is therefore whole
// slices: the same import begun again goes on under the same request id, and undoing that request takes all of it back.
type Importer struct {
	Record Record
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Slice is how long one edit may take, about: 100 ms when 0. Everybody else who writes waits about that long at most.
	Slice time.Duration
	// Silent is after how long without progress a run counts as cut off: 20 s when 0.
	Silent time.Duration

	mu      sync.Mutex
	running map[inventory.UID]bool // runs of this process
}

// Objects in a slice: the first, the least and the most. Fewer than the least would spend more on commits than on objects.
const (
	firstSlice = 50
	minSlice   = 25
	maxSlice   = 500
)

var runNoun = inventory.NounFor[inventory.ImportRun]()

// Check is the package's Check at the importer's clock.
func (im *Importer) Check(ctx context.Context, by inventory.Actor, src Source, opt Options) (*Plan, error) {
	return Check(ctx, im.Record, im.now(), by, src, opt)
}

func (im *Importer) now() time.Time {
	if im.Now != nil {
		return im.Now()
	}
	return time.Now()
}

// Apply carries out a plan on behalf of req, as the ImportRun with the uid run (a new one when empty), and returns the report with run and
// request filled in. A plan with errors is refused (*inventory.Invalid). A plan with nothing to do leaves no run behind.
//
// An error leaves whole slices applied and the run failed, with its problem; the same import again goes on where it ended.
func (im *Importer) Apply(ctx context.Context, req inventory.Request, p *Plan, run inventory.UID) (Report, error) {
	report := p.report
	if report.Failed() {
		return report, inventory.NotAllowed("import", "", "%d rows have errors; nothing was changed", len(report.Errors)+report.MoreErrors)
	}
	report.DryRun = false
	if len(p.steps) == 0 {
		return report, nil
	}
	r, err := im.begin(ctx, req, p, run)
	if err != nil {
		return report, err
	}
	defer im.end(r.UID)
	req.ID = r.Request
	report.Run, report.Request = r.UID, r.Request
	err = im.slices(ctx, req, p, r)
	return report, im.finish(ctx, req, r, err)
}

// begin makes the run, or takes up the one that the same import left behind.
func (im *Importer) begin(ctx context.Context, req inventory.Request, p *Plan, uid inventory.UID) (*inventory.ImportRun, error) {
	left, err := im.leftBehind(ctx, p.digest)
	if err != nil {
		return nil, err
	}
	r := &inventory.ImportRun{Source: p.report.Format, Name: shorten(p.name), Digest: p.digest, Request: req.ID, Why: req.Why}
	r.UID = uid
	if left != nil {
		r = left
	}
	r.State, r.Problem, r.By = "running", "", req.By.Name
	r.Total, r.Unchanged = r.Done+len(p.steps), p.report.Unchanged
	err = im.Record.Edit(ctx, req, func(tx inventory.Tx) error {
		if left != nil {
			return tx.Update(r)
		}
		r.Revision = 0
		return tx.Create(r)
	})
	if err != nil {
		return nil, fmt.Errorf("note the import down: %w", err)
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	if im.running == nil {
		im.running = map[inventory.UID]bool{}
	}
	im.running[r.UID] = true
	return r, nil
}

// leftBehind finds the run of the same import that failed or was cut off. One that is still at work, here or on another server, is waited
// for until it has been silent for long enough.
func (im *Importer) leftBehind(ctx context.Context, digest string) (*inventory.ImportRun, error) {
	silent := im.Silent
	if silent == 0 {
		silent = 20 * time.Second
	}
	for {
		runs, err := inventory.List[inventory.ImportRun](ctx, im.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("digest", digest)}, Sort: "-created_at", Limit: 1})
		if err != nil || len(runs) == 0 {
			return nil, err
		}
		r := runs[0]
		switch age := im.now().Sub(r.UpdatedAt); {
		case r.State == "failed":
			return r, nil
		case r.State != "running":
			return nil, nil
		case im.isRunning(r.UID):
			return nil, &inventory.Conflict{Noun: runNoun.Name, UID: r.UID, Why: "the same import is under way"}
		case age >= silent:
			return r, nil
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (im *Importer) isRunning(uid inventory.UID) bool {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.running[uid]
}

func (im *Importer) end(uid inventory.UID) {
	im.mu.Lock()
	defer im.mu.Unlock()
	delete(im.running, uid)
}

// slices applies the steps, so many at a time as fit the time of a slice.
func (im *Importer) slices(ctx context.Context, req inventory.Request, p *Plan, r *inventory.ImportRun) error {
	aim := im.Slice
	if aim == 0 {
		aim = 100 * time.Millisecond
	}
	size := firstSlice
	for rest := p.steps; len(rest) > 0; {
		n := min(size, len(rest))
		start := im.now()
		if err := im.slice(ctx, req, rest[:n], r); err != nil {
			return err
		}
		rest = rest[n:]
		size = nextSize(size, im.now().Sub(start), aim)
	}
	return nil
}

// nextSize follows what the last slice took, in moderate steps.
func nextSize(size int, took, aim time.Duration) int {
	switch {
	case took > aim:
		size = size * 2 / 3
	case took < aim/2:
		size = size * 3 / 2
	}
	return min(max(size, minSlice), maxSlice)
}

// slice applies some steps and the run's progress in one edit.
func (im *Importer) slice(ctx context.Context, req inventory.Request, steps []step, r *inventory.ImportRun) error {
	next := *r
	ctx, rooms := inventory.WithRooms(ctx)
	err := im.Record.Edit(ctx, req, func(tx inventory.Tx) error {
		next = *r
		rooms.Forget()
		for _, s := range steps {
			if err := s.write(tx); err != nil {
				return fmt.Errorf("%s %s: %w", s.noun.Name, s.noun.Display(s.obj), err)
			}
			if next.Done++; s.update {
				next.Updated++
			} else {
				next.Created++
			}
		}
		return tx.Update(&next)
	})
	if err == nil {
		*r = next
	}
	return err
}

// write stores a copy: an edit may run again, and storing changes what is stored.
func (s step) write(tx inventory.Tx) error {
	obj := reflect.New(reflect.TypeOf(s.obj).Elem())
	obj.Elem().Set(reflect.ValueOf(s.obj).Elem())
	if s.update {
		return tx.Update(obj.Interface().(inventory.Object))
	}
	return tx.Create(obj.Interface().(inventory.Object))
}

// finish notes how the run ended. It does so even where the import itself was told to stop.
func (im *Importer) finish(ctx context.Context, req inventory.Request, r *inventory.ImportRun, failed error) error {
	r.State = "done"
	if failed != nil {
		r.State, r.Problem = "failed", fmt.Sprintf("It stopped after %d of %d: %v. The same import again goes on from there.", r.Done, r.Total, failed)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := im.Record.Edit(ctx, req, func(tx inventory.Tx) error {
		last := *r
		return tx.Update(&last)
	})
	if err != nil {
		err = fmt.Errorf("note down how the import ended: %w", err)
	}
	return errors.Join(failed, err)
}
