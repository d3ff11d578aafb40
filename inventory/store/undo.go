package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"berth/inventory"
)

// maxUndo bounds what one Undo turns back in its transaction.
const maxUndo = 10_000

// Undo makes the opposite edits of one change or of a whole request, newest first, in one transaction. See inventory.Record.
//
// What berth notes down itself (read-only fields) and what lives in journals is never turned back, and neither are secrets, of which the
// log keeps only that they changed. Fields that others changed since are not overwritten: that is a *Conflict that names them.
func (s *Store) Undo(ctx context.Context, req inventory.Request, changeOrRequest inventory.UID) error {
	return s.edit(ctx, req, func(t *tx) error {
		changes, err := changesOf(t, changeOrRequest)
		if err != nil {
			return err
		}
		for _, c := range changes {
			if err := t.undo(c); err != nil {
				return fmt.Errorf("undo the %s of %s %s: %w", c.Action, c.Noun, c.Display, err)
			}
		}
		return nil
	})
}

// changesOf finds the change, or all changes of the request, newest first.
func changesOf(t *tx, ref inventory.UID) ([]*inventory.Change, error) {
	log := inventory.NounFor[inventory.Change]()
	if !ref.Valid() {
		return nil, notFound(log, string(ref))
	}
	var changes []*inventory.Change
	err := t.db.Where(`"uid" = ? OR "request" = ?`, ref, ref).Order(`"created_at" DESC`).Limit(maxUndo + 1).Find(&changes).Error
	switch {
	case err != nil:
		return nil, fmt.Errorf("find change %s: %w", ref, err)
	case len(changes) == 0:
		return nil, notFound(log, string(ref))
	case len(changes) > maxUndo:
		return nil, &inventory.Conflict{Noun: log.Name, UID: ref, Why: fmt.Sprintf("the request made more than %d changes; restore a backup instead", maxUndo)}
	}
	return changes, nil
}

func (t *tx) undo(c *inventory.Change) error {
	n, ok := inventory.NounOf(c.Noun)
	if !ok || n.Journal {
		return &inventory.Conflict{Noun: "change", UID: c.UID, Why: fmt.Sprintf("this version of berth cannot edit a %q", c.Noun)}
	}
	if n.Edit == inventory.LevelNone || !t.req.By.Level.Includes(n.Edit) {
		return fmt.Errorf("%w: it needs the level %s", inventory.ErrForbidden, n.Edit)
	}
	t.undoes = c.UID
	defer func() { t.undoes = "" }()
	switch c.Action {
	case "create":
		return t.undoCreate(n, c)
	case "delete":
		return t.undoDelete(n, c)
	}
	return t.undoUpdate(n, c)
}

// undoCreate deletes what was created, if people left it as it was.
func (t *tx) undoCreate(n *inventory.Noun, c *inventory.Change) error {
	now, err := t.Get(n, string(c.Object))
	if err != nil {
		return err
	}
	after, err := decode(n, c.After)
	if err != nil {
		return err
	}
	if since := undoable(n.Differing(after, now)); len(since) > 0 {
		return changedSince(n, c, since)
	}
	return t.Delete(now)
}

// undoUpdate puts the fields that the change changed back to what they were.
func (t *tx) undoUpdate(n *inventory.Noun, c *inventory.Change) error {
	now, err := t.Get(n, string(c.Object))
	if err != nil {
		return err
	}
	before, err := decode(n, c.Before)
	if err != nil {
		return err
	}
	after, err := decode(n, c.After)
	if err != nil {
		return err
	}
	back := undoable(n.Differing(before, after))
	if len(back) == 0 {
		return &inventory.Conflict{Noun: n.Name, UID: c.Object, Why: "nothing of this change can be turned back: it changed what berth notes down by itself, or a secret"}
	}
	since := slices.DeleteFunc(undoable(n.Differing(after, now)), func(f inventory.Field) bool { return !hasField(back, f.Name) })
	if len(since) > 0 {
		return changedSince(n, c, since)
	}
	for _, f := range back {
		f.Set(now, f.Value(before))
	}
	return t.Update(now)
}

// undoDelete brings back what was deleted, under the uid it had. Its secrets are gone.
func (t *tx) undoDelete(n *inventory.Noun, c *inventory.Change) error {
	obj, err := decode(n, c.Before)
	if err != nil {
		return err
	}
	for _, f := range n.Fields {
		if f.Kind == inventory.KindSecret {
			f.Set(obj, inventory.Secret{})
		}
	}
	// The revision goes on where it ended, so that no ETag of the old object fits the new.
	obj.Head().Revision++
	return t.create(obj)
}

// undoable are the fields that an undo may set.
func undoable(fields []inventory.Field) []inventory.Field {
	return slices.DeleteFunc(fields, func(f inventory.Field) bool {
		return f.ReadOnly || f.Hidden || f.Kind == inventory.KindSecret
	})
}

func hasField(fields []inventory.Field, name string) bool {
	return slices.ContainsFunc(fields, func(f inventory.Field) bool { return f.Name == name })
}

func changedSince(n *inventory.Noun, c *inventory.Change, fields []inventory.Field) error {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return &inventory.Conflict{Noun: n.Name, UID: c.Object, Why: "changed since: " + strings.Join(names, ", ")}
}

// decode reads an object from the change log.
func decode(n *inventory.Noun, data json.RawMessage) (inventory.Object, error) {
	obj := n.New()
	if err := json.Unmarshal(data, obj); err != nil {
		return nil, fmt.Errorf("read a %s from the change log: %w", n.Name, err)
	}
	n.Tidy(obj)
	return obj, nil
}
