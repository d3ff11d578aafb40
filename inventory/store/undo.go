package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"berth/inventory"

	"gorm.io/gorm"
)

const (
	// maxUndo bounds what one Undo turns back.
	maxUndo = 200_000
	// undoSlice bounds what one transaction of it turns back. A longer request is checked as a whole first and then turned back in
	// slices, so that others get their turn; what is turned back already is left out when it is asked for again.
	undoSlice = 1000
	// maxTold bounds how many things that stand in the way are named.
	maxTold = 20
)

// Undo makes the opposite edits of one change or of a whole request, newest first. See inventory.Record.
//
// Entries of append-only nouns are not taken back: an entry that corrects them is added. Secrets are not turned back, of which the log
// keeps only that they changed, and neither is what machines report about themselves (Noun.Observed) nor what lives in journals. Fields
// that others changed since are not overwritten: that is a *Conflict that names each of them, what it is now and whose doing that is.
func (s *Store) Undo(ctx context.Context, req inventory.Request, changeOrRequest inventory.UID) error {
	if err := checkRequest(req); err != nil {
		return err
	}
	heads, err := headsOf(s.read.WithContext(ctx), changeOrRequest)
	if err != nil {
		return s.driver.explain(err)
	}
	if len(heads) <= undoSlice {
		return s.edit(ctx, req, func(t *tx) error {
			// Read again: here nobody comes between the check and the edits.
			heads, err := headsOf(t.db, changeOrRequest)
			if err != nil {
				return err
			}
			if err := t.checkUndo(heads); err != nil {
				return err
			}
			return t.undoAll(heads)
		})
	}
	if err := s.edit(ctx, req, func(t *tx) error { return t.checkUndo(heads) }); err != nil {
		return err
	}
	for slice := range slices.Chunk(heads, undoSlice) {
		if err := s.edit(ctx, req, func(t *tx) error { return t.undoAll(slice) }); err != nil {
			return err
		}
	}
	return nil
}

// changeHead is a change without its pictures.
type changeHead struct {
	UID, Object inventory.UID
	Action      string
	Noun        string
	Display     string
	CreatedAt   time.Time
}

// headsOf finds the change, or all changes of the request, newest first, without those that were undone already.
func headsOf(db *gorm.DB, ref inventory.UID) ([]changeHead, error) {
	log := inventory.NounFor[inventory.Change]()
	if !ref.Valid() {
		return nil, notFound(log, string(ref))
	}
	var heads []changeHead
	err := db.Table(log.Table).Select(`"uid", "object", "action", "noun", "display", "created_at"`).
		Where(`"uid" = ? OR "request" = ?`, ref, ref).Order(`"created_at" DESC, "uid" DESC`).Limit(maxUndo + 1).Scan(&heads).Error
	switch {
	case err != nil:
		return nil, fmt.Errorf("find change %s: %w", ref, err)
	case len(heads) == 0:
		return nil, notFound(log, string(ref))
	case len(heads) > maxUndo:
		return nil, &inventory.Conflict{Noun: log.Name, UID: ref, Why: fmt.Sprintf("the request made more than %d changes; restore a backup instead", maxUndo)}
	}
	uids := make([]inventory.UID, len(heads))
	for i, h := range heads {
		uids[i] = h.UID
	}
	undone, err := undoneBy(db, uids)
	if err != nil {
		return nil, err
	}
	first := undone[heads[0].UID]
	heads = slices.DeleteFunc(heads, func(h changeHead) bool { return undone[h.UID] != nil })
	if len(heads) == 0 {
		return nil, &inventory.Conflict{Noun: log.Name, UID: ref, Why: fmt.Sprintf("it was undone already, by %s on %s", first.Actor, first.CreatedAt.Format(time.DateOnly))}
	}
	return heads, nil
}

// undoneBy finds which changes were undone, and by what: by an undo that was not undone itself.
func undoneBy(db *gorm.DB, uids []inventory.UID) (map[inventory.UID]*inventory.Change, error) {
	found := map[inventory.UID]*inventory.Change{}
	var undos []*inventory.Change
	for part := range slices.Chunk(uids, undoSlice) {
		var some []*inventory.Change
		err := db.Table("changes").Select(`"uid", "undoes", "actor", "created_at"`).Where(`"undoes" IN ?`, part).Find(&some).Error
		if err != nil {
			return nil, fmt.Errorf("find what was undone: %w", err)
		}
		undos = append(undos, some...)
	}
	if len(undos) == 0 {
		return found, nil
	}
	next := make([]inventory.UID, len(undos))
	for i, u := range undos {
		next[i] = u.UID
	}
	redone, err := undoneBy(db, next)
	for _, u := range undos {
		if redone[u.UID] == nil {
			found[u.Undoes] = u
		}
	}
	return found, err
}

// undoAll turns the changes back, one after the other.
func (t *tx) undoAll(heads []changeHead) error {
	for part := range slices.Chunk(heads, 200) {
		uids := make([]inventory.UID, len(part))
		for i, h := range part {
			uids[i] = h.UID
		}
		var changes []*inventory.Change
		if err := t.db.Where(`"uid" IN ?`, uids).Order(`"created_at" DESC, "uid" DESC`).Find(&changes).Error; err != nil {
			return fmt.Errorf("read the change log: %w", err)
		}
		for _, c := range changes {
			if err := t.undo(c); err != nil {
				return fmt.Errorf("undo the %s of %s %s: %w", c.Action, c.Noun, c.Display, err)
			}
		}
	}
	return nil
}

func (t *tx) undo(c *inventory.Change) error {
	n, err := t.mayUndo(c.Noun, c.UID)
	if err != nil {
		return err
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

// mayUndo asks for the right that the opposite edit needs.
func (t *tx) mayUndo(noun string, change inventory.UID) (*inventory.Noun, error) {
	n, ok := inventory.NounOf(noun)
	if !ok || n.Journal {
		return nil, &inventory.Conflict{Noun: "change", UID: change, Why: fmt.Sprintf("this version of berth cannot edit a %q", noun)}
	}
	if n.Edit == inventory.LevelNone || !t.req.By.Level.Includes(n.Edit) {
		return nil, fmt.Errorf("%w: it needs the level %s", inventory.ErrForbidden, n.Edit)
	}
	return n, nil
}

// undoCreate deletes what was created, if it is still as it was; of an append-only noun it adds the entry that corrects it.
func (t *tx) undoCreate(n *inventory.Noun, c *inventory.Change) error {
	now, err := t.Get(n, string(c.Object))
	if err != nil {
		return err
	}
	if n.AppendOnly {
		return t.correct(n, now)
	}
	after, err := decode(n, c.After)
	if err != nil {
		return err
	}
	if since := undoable(n, n.Differing(after, now)); len(since) > 0 {
		return changedSince(n, c, since)
	}
	return t.Delete(now)
}

// correct adds the entry that says that entry no longer holds.
func (t *tx) correct(n *inventory.Noun, entry inventory.Object) error {
	corrector, ok := entry.(inventory.Corrector)
	if !ok {
		return &inventory.Conflict{Noun: n.Name, UID: entry.Head().UID, Why: "entries of this kind are never changed or deleted"}
	}
	return t.Create(corrector.Correction(t.now, t.req))
}

// undoUpdate puts the fields that the change changed back to what they were. One that changed nothing which could be turned back is
// left: checkUndo has seen that the rest of its request is worth it.
func (t *tx) undoUpdate(n *inventory.Noun, c *inventory.Change) error {
	now, err := t.Get(n, string(c.Object))
	if err != nil {
		return err
	}
	before, after, err := pictures(n, c.Before, c.After)
	if err != nil {
		return err
	}
	back := undoable(n, n.Differing(before, after))
	if len(back) == 0 {
		return nil
	}
	since := slices.DeleteFunc(n.Differing(after, now), func(f inventory.Field) bool { return !hasField(back, f.Name) })
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

// undoable are the fields that an undo may set: what people and their actions put there. What machines report stays true, whatever
// people take back.
func undoable(n *inventory.Noun, fields []inventory.Field) []inventory.Field {
	return slices.DeleteFunc(slices.Clone(fields), func(f inventory.Field) bool {
		return f.ReadOnly && n.Observed || f.Hidden || f.Kind == inventory.KindSecret
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

// pictures reads an object before and after a change; what was not there is nil.
func pictures(n *inventory.Noun, before, after json.RawMessage) (b, a inventory.Object, err error) {
	if len(before) > 0 && string(before) != "null" {
		if b, err = decode(n, before); err != nil {
			return nil, nil, err
		}
	}
	if len(after) > 0 && string(after) != "null" {
		a, err = decode(n, after)
	}
	return b, a, err
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
