package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"berth/api"
	"berth/inventory"
)

// Bounds of what is changed together. All of it can be undone as one request, which has the same bound.
const (
	maxBulk   = 10_000
	bulkSlice = 1000 // objects of one transaction
)

// bulkJob is an edit of many objects.
type bulkJob struct {
	noun   *inventory.Noun
	refs   []string // uids or natural keys
	req    inventory.Request
	delete bool
	// set changes one object; it is not called when the objects are deleted.
	set func(tx inventory.Tx, obj inventory.Object) error
	// skip leaves out what cannot be changed; else one such object stops all.
	skip bool
	// expect is the digest of the objects as they were previewed; "" takes them as they are.
	expect string
}

// bulkRow is what happens to one object.
type bulkRow struct {
	Index         int
	Ref           string
	Before, After inventory.Object // nil where there is none
	Problem       *api.Problem     // why it cannot be changed
}

func (row bulkRow) changed(n *inventory.Noun) bool {
	return row.Problem == nil && (row.After == nil || len(n.Differing(row.Before, row.After)) > 0)
}

var (
	errTried   = errors.New("only tried")
	errChanged = &api.Problem{Status: http.StatusPreconditionFailed, Code: api.CodePrecondition, Detail: "Some of these were changed since the preview. Look again, then decide."}
)

// bulkTargets are the objects that a query's address shows, by uid.
func (s *Server) bulkTargets(ctx context.Context, n *inventory.Noun, query string) ([]string, error) {
	v, err := url.ParseQuery(query)
	if err != nil {
		return nil, malformed("The query of the list cannot be read.")
	}
	v = withoutEmpty(v)
	v.Del("cursor")
	v.Del("limit")
	q, err := s.parseQuery(ctx, n, v)
	if err != nil {
		return nil, err
	}
	q.Limit, q.Count, q.NoNames = inventory.MaxPage, false, true
	var refs []string
	for {
		page, err := s.Record.List(ctx, n, q)
		if err != nil {
			return nil, err
		}
		for _, obj := range page.Items {
			refs = append(refs, string(obj.Head().UID))
		}
		if len(refs) > maxBulk {
			return nil, invalid("query", "more than %d %s match, and no more are changed together, so that it can be undone together", maxBulk, spaced.Replace(n.Plural))
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return refs, nil
		}
	}
}

// try says what the job would do, and does nothing.
func (s *Server) try(ctx context.Context, job bulkJob) ([]bulkRow, error) {
	var rows []bulkRow
	for part := range slices.Chunk(job.refs, bulkSlice) {
		done, err := s.slice(ctx, job, len(rows), part, func([]bulkRow) error { return errTried })
		if err != nil {
			return nil, err
		}
		rows = append(rows, done...)
	}
	return rows, nil
}

// apply does the job, in slices under its one request id. Errors in objects are in the rows; unless the job skips them, one of them means
// that nothing is changed. More than one slice is tried as a whole before the first is done.
func (s *Server) apply(ctx context.Context, job bulkJob) (rows []bulkRow, applied bool, err error) {
	judge := func(rows []bulkRow) error {
		if job.expect != "" && digestOf(rows) != job.expect {
			return errChanged
		}
		if !job.skip && failed(rows) > 0 {
			return errTried
		}
		return nil
	}
	if len(job.refs) <= bulkSlice {
		rows, err = s.slice(ctx, job, 0, job.refs, judge)
		return rows, err == nil && (job.skip || failed(rows) == 0), err
	}
	rows, err = s.try(ctx, job)
	if err == nil {
		err = judge(rows)
	}
	if err != nil {
		if errors.Is(err, errTried) {
			err = nil
		}
		return rows, false, err
	}
	return s.applySlices(ctx, job)
}

func (s *Server) applySlices(ctx context.Context, job bulkJob) (rows []bulkRow, applied bool, err error) {
	for part := range slices.Chunk(job.refs, bulkSlice) {
		done, err := s.slice(ctx, job, len(rows), part, func(rows []bulkRow) error {
			if !job.skip && failed(rows) > 0 {
				return errTried
			}
			return nil
		})
		rows = append(rows, done...)
		if err == nil && !job.skip && failed(done) > 0 {
			err = errChanged
		}
		if p := problemOf(err); p != nil {
			half := *p
			half.Detail = fmt.Sprintf("%s The first %d of %d are done; undoing request %s turns them back.", p.Detail, len(rows)-len(done), len(job.refs), job.req.ID)
			return rows, false, &half
		}
		if err != nil {
			return rows, false, err
		}
	}
	return rows, true, nil
}

// slice works on a part in one transaction; judge, which sees the rows, lets it be stored or not.
func (s *Server) slice(ctx context.Context, job bulkJob, first int, refs []string, judge func([]bulkRow) error) (rows []bulkRow, err error) {
	err = s.Record.Edit(ctx, job.req, func(tx inventory.Tx) error {
		rows = rows[:0]
		for i, ref := range refs {
			row, err := job.one(tx, first+i, ref)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return judge(rows)
	})
	if errors.Is(err, errTried) {
		err = nil
	}
	return rows, err
}

// one changes one object within tx. What is wrong with the object is in the row; an error is what is wrong with the record, or the asker.
func (job bulkJob) one(tx inventory.Tx, index int, ref string) (bulkRow, error) {
	row := bulkRow{Index: index, Ref: ref}
	obj, err := tx.Get(job.noun, ref)
	if err == nil {
		row.Before = job.copyOf(obj)
		if job.delete {
			err = remove(tx, job.noun, obj)
		} else if err = job.set(tx, obj); err == nil {
			err = correct(tx, obj)
			row.After = obj
		}
	}
	if err == nil {
		return row, nil
	}
	p := problemOf(err)
	if p == nil || !slices.Contains([]int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity}, p.Status) {
		return row, err
	}
	shown := *p
	row.Problem, row.After = &shown, nil
	return row, nil
}

func (job bulkJob) copyOf(obj inventory.Object) inventory.Object {
	copied := job.noun.New()
	for _, f := range job.noun.Fields {
		f.Set(copied, f.Value(obj))
	}
	return copied
}

// remove deletes an object, unless it is one that is retired instead.
func remove(tx inventory.Tx, n *inventory.Noun, obj inventory.Object) error {
	if d, ok := obj.(*inventory.Device); ok && d.ProvisionState != inventory.StateNone {
		return &inventory.Conflict{Noun: n.Name, UID: d.UID, Why: byHand["machine"].remove}
	}
	return tx.Delete(obj)
}

func failed(rows []bulkRow) (n int) {
	for _, row := range rows {
		if row.Problem != nil {
			n++
		}
	}
	return n
}

// digestOf names the objects and how they stand: what is applied must be what was looked at.
func digestOf(rows []bulkRow) string {
	sum := sha256.New()
	for _, row := range rows {
		var revision int64
		if row.Before != nil {
			revision = row.Before.Head().Revision
		}
		fmt.Fprintf(sum, "%s %d %t\n", row.Ref, revision, row.Problem != nil)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// bulkNoun is POST /api/v1/{plural}/bulk.
func (s *Server) bulkNoun(n *inventory.Noun) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		var in api.BulkRequest
		if err := readJSON(r, &in); err != nil {
			return err
		}
		job, err := s.bulkJobOf(r, who, n, in)
		if err != nil {
			return err
		}
		result := api.BulkResult{Request: job.req.ID, DryRun: in.DryRun}
		var rows []bulkRow
		if in.DryRun {
			rows, err = s.try(r.Context(), job)
		} else {
			rows, result.Applied, err = s.apply(r.Context(), job)
		}
		if err != nil {
			return err
		}
		result.Matched, result.Errors = len(rows), bulkErrors(n, rows)
		for _, row := range rows {
			if row.changed(n) {
				result.Changed++
			}
		}
		result.Unchanged = result.Matched - result.Changed - len(result.Errors)
		if !in.DryRun && !result.Applied {
			return &api.Problem{Status: http.StatusUnprocessableEntity, Code: api.CodeInvalid,
				Detail: fmt.Sprintf("Nothing was changed: %d of %d cannot be. With skip the others are.", len(result.Errors), result.Matched), Objects: result.Errors}
		}
		return writeJSON(w, http.StatusOK, result)
	}
}

// bulkJobOf reads a request for many objects.
func (s *Server) bulkJobOf(r *http.Request, who caller, n *inventory.Noun, in api.BulkRequest) (bulkJob, error) {
	job := bulkJob{noun: n, refs: in.UIDs, req: edit(r, who, in.Why), delete: in.Delete, skip: in.Skip}
	chosen := in.Query != "" || in.All
	switch {
	case chosen == (len(in.UIDs) > 0):
		return job, invalid("uids", "say which objects: uids, or query, or all")
	case in.Delete == (len(in.Set) > 0):
		return job, invalid("set", "say what to do: set fields, or delete")
	case in.Delete && byHand[n.Name].remove != "":
		return job, invalid("delete", "%s", byHand[n.Name].remove)
	case len(in.UIDs) > maxBulk:
		return job, invalid("uids", "at most %d objects are changed together", maxBulk)
	}
	if chosen {
		var err error
		if job.refs, err = s.bulkTargets(r.Context(), n, in.Query); err != nil {
			return job, err
		}
	}
	job.set = func(tx inventory.Tx, obj inventory.Object) error { return fill(tx, n, obj, in.Set) }
	return job, nil
}

func bulkErrors(n *inventory.Noun, rows []bulkRow) []api.BulkError {
	list := []api.BulkError{}
	for _, row := range rows {
		if row.Problem == nil {
			continue
		}
		e := api.BulkError{Index: row.Index, Name: row.Ref, Detail: row.Problem.Detail, Fields: row.Problem.Fields}
		if row.Before != nil {
			e.UID, e.Name = row.Before.Head().UID, n.Display(row.Before)
		}
		list = append(list, e)
	}
	return list
}

// problemText is a problem in one sentence, for a row of a table.
func problemText(p *api.Problem) string {
	if p == nil {
		return ""
	}
	var parts []string
	for name, why := range p.Fields {
		if name != "" {
			parts = append(parts, name+": "+why)
		}
	}
	if len(parts) == 0 {
		return p.Detail
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}
