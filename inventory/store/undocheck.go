package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"berth/inventory"
)

// undoCheck looks for what stands in the way of an undo, before anything is edited: all of it, so that a person meets one answer and not
// one after the other. What an object went through within the request counts as one change, from before the first to after the last.
type undoCheck struct {
	t       *tx
	back    map[inventory.UID]bool   // what the undo brings back
	gone    map[inventory.UID]bool   // what the undo takes away
	exists  map[inventory.UID]string // why an object that is referred to cannot be, or ""
	told    []string
	first   *inventory.Conflict
	more    int
	useless int // objects of which nothing can be turned back
}

// span is what a request did to one object.
type span struct{ first, last changeHead }

func (t *tx) checkUndo(heads []changeHead) error {
	spans, order := spansOf(heads)
	check := undoCheck{t: t, back: map[inventory.UID]bool{}, gone: map[inventory.UID]bool{}, exists: map[inventory.UID]string{}}
	for uid, s := range spans {
		check.back[uid] = s.last.Action == "delete" && s.first.Action != "create"
		check.gone[uid] = s.first.Action == "create"
	}
	for _, uid := range order {
		if err := check.object(spans[uid]); err != nil {
			return err
		}
	}
	return check.verdict(len(order))
}

// spansOf groups changes, which come newest first, by object.
func spansOf(heads []changeHead) (spans map[inventory.UID]span, order []inventory.UID) {
	spans = map[inventory.UID]span{}
	for _, h := range heads {
		s, known := spans[h.Object]
		if !known {
			order = append(order, h.Object)
			s.last = h
		}
		s.first = h
		spans[h.Object] = s
	}
	return spans, order
}

func (c *undoCheck) object(s span) error {
	n, err := c.t.mayUndo(s.last.Noun, s.last.UID)
	if err != nil {
		return fmt.Errorf("undo the %s of %s %s: %w", s.last.Action, s.last.Noun, s.last.Display, err)
	}
	var changes []*inventory.Change
	if err := c.t.db.Where(`"uid" IN ?`, []inventory.UID{s.first.UID, s.last.UID}).Order(`"created_at", "uid"`).Find(&changes).Error; err != nil {
		return fmt.Errorf("read the change log: %w", err)
	}
	before, after, err := pictures(n, changes[0].Before, changes[len(changes)-1].After)
	if err != nil {
		return err
	}
	now, err := c.t.Get(n, string(s.last.Object))
	if err != nil && !errors.Is(err, inventory.ErrNotFound) {
		return err
	}
	return c.compare(n, changes[len(changes)-1], before, after, now)
}

// compare holds what the undo would do against what there is now.
func (c *undoCheck) compare(n *inventory.Noun, last *inventory.Change, before, after, now inventory.Object) error {
	switch {
	case before == nil && after == nil: // made and deleted by the same request: it comes and goes again
		return nil
	case after == nil && now != nil:
		c.tell(n, last, "it is there again")
		return nil
	case after == nil:
		return c.references(n, last, before, n.Fields)
	case now == nil:
		return c.deleted(n, last)
	case isForgotten(now):
		c.tell(n, last, "the person was forgotten, and what the log knew of them too")
		return nil
	case n.AppendOnly:
		return nil
	}
	back := n.Fields
	if before != nil {
		back = undoable(n, n.Differing(before, after))
		if len(back) == 0 {
			c.useless++
			return nil
		}
	}
	for _, f := range undoable(n, n.Differing(after, now)) {
		if hasField(back, f.Name) {
			if err := c.changed(n, last, f, now); err != nil {
				return err
			}
		}
	}
	if before == nil {
		return nil
	}
	return c.references(n, last, before, back)
}

// isForgotten tells whether obj is a contact that was blanked. A deleted one comes back blank by itself.
func isForgotten(obj inventory.Object) bool {
	contact, ok := obj.(*inventory.Contact)
	return ok && contact.Forgotten
}

// changed tells that a field was changed after the request, to what and by whom.
func (c *undoCheck) changed(n *inventory.Noun, last *inventory.Change, f inventory.Field, now inventory.Object) error {
	var later []*inventory.Change
	err := c.t.db.Where(`"object" = ? AND "created_at" > ?`, last.Object, last.CreatedAt).Order(`"created_at" DESC`).Limit(200).Find(&later).Error
	if err != nil {
		return fmt.Errorf("look for who changed %s %s: %w", n.Name, last.Display, err)
	}
	by := ""
	for _, l := range later {
		if fieldText(l.Before, f.Name) != fieldText(l.After, f.Name) {
			by = " by " + l.Actor
			break
		}
	}
	value, err := c.valueText(f, now)
	if err != nil {
		return err
	}
	c.tell(n, last, f.Name+" was changed"+value+" meanwhile"+by)
	return nil
}

// valueText writes " to" and the value of a field, where whoever undoes may know it: amounts are for those who may see money.
func (c *undoCheck) valueText(f inventory.Field, now inventory.Object) (string, error) {
	if f.Money {
		return "", nil
	}
	if uid, ok := f.Value(now).(inventory.UID); ok && f.Kind == inventory.KindRef && uid != "" {
		target, err := c.t.Get(nounOf(f.Ref), string(uid))
		switch {
		case errors.Is(err, inventory.ErrNotFound):
			return " to " + uid.Short(), nil
		case err != nil:
			return "", err
		}
		return " to " + nounOf(f.Ref).Display(target), nil
	}
	data, err := json.Marshal(f.Value(now))
	if err != nil {
		return "", fmt.Errorf("write the %s: %w", f.Name, err)
	}
	text := string(data)
	if text == `""` || text == "null" {
		return " to nothing", nil
	}
	if utf8.RuneCountInString(text) > 80 {
		text = string([]rune(text)[:79]) + "…"
	}
	return " to " + text, nil
}

// fieldText is a field of a picture, as it stands there.
func fieldText(picture json.RawMessage, name string) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(picture, &fields) != nil {
		return ""
	}
	return string(fields[name])
}

// references tells of what the undo would refer to and what is gone.
func (c *undoCheck) references(n *inventory.Noun, last *inventory.Change, before inventory.Object, fields []inventory.Field) error {
	for _, f := range fields {
		if f.Kind != inventory.KindRef || f.ReadOnly && n.Observed {
			continue
		}
		uid := f.Value(before).(inventory.UID)
		if uid == "" || uid == before.Head().UID {
			continue
		}
		why, err := c.missing(nounOf(f.Ref), uid)
		if err != nil {
			return err
		}
		if why != "" {
			c.tell(n, last, fmt.Sprintf("the %s it would have as its %s %s", f.Ref, f.Name, why))
		}
	}
	if !n.Attached {
		return nil
	}
	target, uid, ok := attachedTo(n, before)
	if !ok {
		return nil
	}
	why, err := c.missing(target, uid)
	if why != "" {
		c.tell(n, last, fmt.Sprintf("the %s it is attached to %s", target.Name, why))
	}
	return err
}

// missing says why an object cannot be referred to, or "".
func (c *undoCheck) missing(n *inventory.Noun, uid inventory.UID) (string, error) {
	if c.back[uid] {
		return "", nil
	}
	if why, known := c.exists[uid]; known {
		return why, nil
	}
	obj, err := c.t.Get(n, string(uid))
	switch {
	case err == nil && c.gone[uid]:
		c.exists[uid] = "(" + n.Display(obj) + ") was made by the same request, and goes with it"
	case err == nil:
		c.exists[uid] = ""
	case !errors.Is(err, inventory.ErrNotFound):
		return "", err
	default:
		gone, err := c.deletion(uid)
		if err != nil {
			return "", err
		}
		c.exists[uid] = "is gone"
		if gone != nil {
			c.exists[uid] = fmt.Sprintf("is gone: %s was deleted by %s", gone.Display, gone.Actor)
		}
	}
	return c.exists[uid], nil
}

// deletion is the newest entry of the change log that says that an object was deleted, or nil.
func (c *undoCheck) deletion(uid inventory.UID) (*inventory.Change, error) {
	var found []*inventory.Change
	err := c.t.db.Where(`"object" = ? AND "action" = 'delete'`, uid).Order(`"created_at" DESC`).Limit(1).Find(&found).Error
	if err != nil {
		return nil, fmt.Errorf("look for who deleted %s: %w", uid, err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found[0], nil
}

func (c *undoCheck) deleted(n *inventory.Noun, last *inventory.Change) error {
	gone, err := c.deletion(last.Object)
	if err != nil {
		return err
	}
	by := ""
	if gone != nil {
		by = " by " + gone.Actor
	}
	c.tell(n, last, "it was deleted meanwhile"+by)
	return nil
}

func (c *undoCheck) tell(n *inventory.Noun, last *inventory.Change, why string) {
	if c.first == nil {
		c.first = &inventory.Conflict{Noun: n.Name, UID: last.Object}
	}
	if len(c.told) == maxTold {
		c.more++
		return
	}
	c.told = append(c.told, fmt.Sprintf("%s %s: %s", strings.ReplaceAll(n.Name, "-", " "), last.Display, why))
}

// verdict makes one answer of what was found about so many objects.
func (c *undoCheck) verdict(objects int) error {
	if c.first == nil && c.useless == objects {
		return &inventory.Conflict{Noun: "change", Why: "nothing of this can be turned back: it changed what machines report, or a secret"}
	}
	if c.first == nil {
		return nil
	}
	c.first.Details = slices.Clone(c.told)
	if c.more > 0 {
		c.first.Details = append(c.first.Details, fmt.Sprintf("and %d more", c.more))
	}
	c.first.Why = strings.Join(c.first.Details, "; ")
	return c.first
}
