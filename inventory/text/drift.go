package text

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"berth/inventory"
)

// Drift is what became different between the record and the directory that was applied last. It needs no directory: right after an apply
// the record is what the text says, so what the change log holds since then is the difference. Only a directory that is the whole record
// is watched so; of a part one cannot say what is missing in it.

const (
	// SourceText is the source of deviations between record and text.
	SourceText inventory.FactSource = "text"
	// whole and part are the sources of runs.
	sourceWhole, sourcePart = "text", "text-part"

	presence  = "presence" // the field of a deviation about an object that came or went
	inText    = "in the text"
	notInText = "not in the text"
	onRecord  = "on record"
	notOnIt   = "deleted"
	// maxDrift bounds the changes that are looked at; after that many it is time to export.
	maxDrift = 20_000
)

// Drift compares the record with what was applied last, and keeps a deviation for each field that differs, of each object. Those that
// are no more are resolved. It returns how many are open.
func Drift(ctx context.Context, record inventory.Record) (open int, err error) {
	run, err := lastRun(ctx, record)
	if err != nil {
		return 0, err
	}
	var found []inventory.Deviation
	if run != nil {
		if found, err = driftSince(ctx, record, run); err != nil {
			return 0, err
		}
	}
	return len(found), settleDeviations(ctx, record, found)
}

// lastRun is the newest apply of a whole directory, or nil.
func lastRun(ctx context.Context, src Source) (*inventory.ImportRun, error) {
	page, err := src.List(ctx, inventory.NounFor[inventory.ImportRun](), inventory.Query{Sort: "-created_at", Limit: 1, NoNames: true,
		Filters: []inventory.Filter{inventory.Is("source", sourceWhole), inventory.Is("state", "done")}})
	if err != nil || len(page.Items) == 0 {
		return nil, err
	}
	return page.Items[0].(*inventory.ImportRun), nil
}

// driftSince looks through the change log since a run.
func driftSince(ctx context.Context, src Source, run *inventory.ImportRun) ([]inventory.Deviation, error) {
	first, order, err := firstChanges(ctx, src, run)
	if err != nil {
		return nil, err
	}
	var out []inventory.Deviation
	for _, uid := range order {
		some, err := driftOf(ctx, src, first[uid])
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// firstChanges finds the first change of each object since a run: what it was before is what the text says.
func firstChanges(ctx context.Context, src Source, run *inventory.ImportRun) (map[inventory.UID]*inventory.Change, []inventory.UID, error) {
	first, order, seen := map[inventory.UID]*inventory.Change{}, []inventory.UID{}, 0
	q := inventory.Query{Sort: "created_at", Limit: 200, NoNames: true,
		Filters: []inventory.Filter{{Field: "created_at", Op: inventory.OpMore, Value: run.CreatedAt.Format(time.RFC3339Nano)}, {Field: "request", Op: inventory.OpNot, Value: string(run.Request)}}}
	for {
		page, err := src.List(ctx, inventory.NounFor[inventory.Change](), q)
		if err != nil {
			return nil, nil, fmt.Errorf("look through the change log: %w", err)
		}
		for _, c := range inventory.Items[inventory.Change](page) {
			if n, ok := inventory.NounOf(c.Noun); ok && !n.Journal && first[c.Object] == nil {
				first[c.Object] = c
				order = append(order, c.Object)
			}
		}
		seen += len(page.Items)
		if q.Cursor = page.Next; page.Next == "" || seen >= maxDrift {
			return first, order, nil
		}
	}
}

// driftOf says in what one object differs from the text.
func driftOf(ctx context.Context, src Source, first *inventory.Change) ([]inventory.Deviation, error) {
	n, was, err := baseline(first)
	if err != nil {
		return nil, err
	}
	now, err := src.Get(ctx, n, string(first.Object))
	if err != nil && !errors.Is(err, inventory.ErrNotFound) {
		return nil, err
	}
	deviation := inventory.Deviation{Noun: n.Name, Object: first.Object, Part: n.Name + " " + first.Display, Source: SourceText, Verdict: "open"}
	switch {
	case was == nil && now == nil:
		return nil, nil
	case was == nil:
		deviation.Field, deviation.Intended, deviation.Observed = presence, notInText, onRecord
		return []inventory.Deviation{deviation}, nil
	case now == nil:
		deviation.Field, deviation.Intended, deviation.Observed = presence, inText, notOnIt
		return []inventory.Deviation{deviation}, nil
	}
	names := planner{ctx: ctx, src: src, d: NewDirectory(), display: map[inventory.UID]string{}}
	var out []inventory.Deviation
	for _, f := range n.Fields {
		if !mayState(f) || f.Kind == inventory.KindSecret {
			continue
		}
		a, err := render(f, was, names.refer)
		if err != nil {
			return nil, err
		}
		b, err := render(f, now, names.refer)
		if err != nil {
			return nil, err
		}
		if from, to := shown(a), shown(b); from != to {
			d := deviation
			d.Field, d.Intended, d.Observed = f.Name, clip(from), clip(to)
			if f.Money {
				d.Intended, d.Observed = "an amount", "another amount" // for those alone who may see money, on the object's own page
			}
			out = append(out, d)
		}
	}
	return out, nil
}

// clip keeps a value within what a deviation holds.
func clip(s string) string {
	if r := []rune(s); len(r) > 500 {
		return string(r[:499]) + "…"
	}
	return s
}

// baseline is the object as it was before its first change since the text was applied; nil if it was not there.
func baseline(c *inventory.Change) (*inventory.Noun, inventory.Object, error) {
	n, ok := inventory.NounOf(c.Noun)
	if !ok {
		return nil, nil, fmt.Errorf("the change log speaks of the unknown noun %q", c.Noun)
	}
	if len(c.Before) == 0 || string(c.Before) == "null" {
		return n, nil, nil
	}
	obj := n.New()
	if err := json.Unmarshal(c.Before, obj); err != nil {
		return nil, nil, fmt.Errorf("read a %s from the change log: %w", n.Name, err)
	}
	n.Tidy(obj)
	return n, obj, nil
}

type deviationKey struct {
	object inventory.UID
	field  string
}

// settleDeviations makes the stored deviations those that were found. A verdict stands for as long as the difference is the same.
func settleDeviations(ctx context.Context, record inventory.Record, found []inventory.Deviation) error {
	return record.Edit(ctx, inventory.NewRequest(inventory.Berth, "drift from the text"), func(tx inventory.Tx) error {
		wanted := map[deviationKey]inventory.Deviation{}
		for _, d := range found {
			wanted[deviationKey{d.Object, d.Field}] = d
		}
		stored, err := textDeviations(tx)
		if err != nil {
			return err
		}
		for _, old := range stored {
			key := deviationKey{old.Object, old.Field}
			now, still := wanted[key]
			delete(wanted, key)
			switch {
			case !still && old.Verdict != "resolved":
				old.Verdict = "resolved"
			case still && (now.Intended != old.Intended || now.Observed != old.Observed || old.Verdict == "resolved"):
				old.Intended, old.Observed, old.Verdict, old.Part = now.Intended, now.Observed, "open", now.Part
			default:
				continue
			}
			if err := tx.Update(old); err != nil {
				return err
			}
		}
		for _, d := range found {
			if _, fresh := wanted[deviationKey{d.Object, d.Field}]; fresh {
				if err := tx.Create(&d); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// textDeviations are all deviations from the text that are stored.
func textDeviations(tx inventory.Tx) ([]*inventory.Deviation, error) {
	q := inventory.Query{Filters: []inventory.Filter{inventory.Is("source", SourceText)}, Sort: "created_at", Limit: inventory.MaxPage, NoNames: true}
	var out []*inventory.Deviation
	for {
		page, err := tx.List(inventory.NounFor[inventory.Deviation](), q)
		if err != nil {
			return nil, err
		}
		out = append(out, inventory.Items[inventory.Deviation](page)...)
		if q.Cursor = page.Next; page.Next == "" {
			return out, nil
		}
	}
}

// Decide closes a deviation from the text with a person's verdict. keep_intended makes the record what the text says again; take_observed
// leaves it as it is, and the next export brings the text after it; task and ignore leave both.
func Decide(ctx context.Context, record inventory.Record, req inventory.Request, v *inventory.Deviation, verdict, remark string) error {
	switch verdict {
	case "take_observed", "keep_intended", "task", "ignore":
	default:
		return inventory.NotAllowed("deviation", "verdict", "it is one of take_observed, keep_intended, task, ignore")
	}
	var first *inventory.Change
	if verdict == "keep_intended" {
		run, err := lastRun(ctx, record)
		if err != nil {
			return err
		}
		if run != nil {
			changes, _, err := firstChanges(ctx, record, run)
			if err != nil {
				return err
			}
			first = changes[v.Object]
		}
		if first == nil {
			return &inventory.Conflict{Noun: "deviation", UID: v.UID, Why: "the text was applied anew since; look at what differs now"}
		}
	}
	return record.Edit(ctx, req, func(tx inventory.Tx) error {
		now, err := inventory.TxGet[inventory.Deviation](tx, string(v.UID))
		if err != nil {
			return err
		}
		if now.Verdict == "resolved" {
			return &inventory.Conflict{Noun: "deviation", UID: v.UID, Why: "it is resolved already"}
		}
		if first != nil {
			if err := restoreText(tx, req, now, first); err != nil {
				return err
			}
		}
		now.Verdict, now.Note, now.By = verdict, clip(remark), req.By.Name
		return tx.Update(now)
	})
}

// restoreText makes one field, or the whole object, what the text says.
func restoreText(tx inventory.Tx, req inventory.Request, v *inventory.Deviation, first *inventory.Change) error {
	n, was, err := baseline(first)
	if err != nil {
		return err
	}
	if !req.By.Level.Includes(n.Edit) {
		return fmt.Errorf("%w: it needs the level %s", inventory.ErrForbidden, n.Edit)
	}
	if v.Field == presence && was != nil {
		for _, f := range n.Fields {
			if f.Kind == inventory.KindSecret {
				f.Set(was, inventory.Secret{})
			}
		}
		return tx.Create(was)
	}
	now, err := tx.Get(n, string(v.Object))
	if err != nil {
		return err
	}
	if v.Field == presence {
		return tx.Delete(now)
	}
	f, ok := n.Field(v.Field)
	if !ok || was == nil || !mayState(f) {
		return &inventory.Conflict{Noun: "deviation", UID: v.UID, Why: "the text has no such field"}
	}
	f.Set(now, f.Value(was))
	return tx.Update(now)
}
