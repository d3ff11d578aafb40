package store

import (
	"errors"
	"fmt"
	"strings"

	"berth/inventory"
)

// attachedTo is the object that an attached one names. ok is false where it names no kind of record.
func attachedTo(n *inventory.Noun, obj inventory.Object) (target *inventory.Noun, uid inventory.UID, ok bool) {
	nounField, _ := n.Field("noun")
	objectField, _ := n.Field("object")
	named, ok := inventory.NounOf(nounField.Value(obj).(string))
	if !ok {
		return nil, "", false
	}
	// A view is another name for the noun of its table: what is tied to a machine is tied to the device.
	return inventory.Describe(named.New()), objectField.Value(obj).(inventory.UID), true
}

// checkAttached sees that what obj is newly tied to exists, and writes its noun in the one way that is kept.
func (t *tx) checkAttached(n *inventory.Noun, obj inventory.Object, changed []inventory.Field) error {
	if !n.Attached || !hasField(changed, "noun") && !hasField(changed, "object") {
		return nil
	}
	target, uid, ok := attachedTo(n, obj)
	if !ok || target.Journal || target.Attached {
		return inventory.NotAllowed(n.Name, "noun", "is not a kind of record that something can be attached to")
	}
	nounField, _ := n.Field("noun")
	nounField.Set(obj, target.Name)
	if t.known[uid] {
		return nil
	}
	_, err := t.Get(target, string(uid))
	switch {
	case errors.Is(err, inventory.ErrNotFound) || !uid.Valid():
		return inventory.NotAllowed(n.Name, "object", "there is no such %s", target.Name)
	case err != nil:
		return fmt.Errorf("look for the %s that a %s is attached to: %w", target.Name, n.Name, err)
	}
	t.known[uid] = true
	return nil
}

// detach deletes what is attached to an object that goes, each with its entry in the change log, so that an undo brings it back.
func (t *tx) detach(n *inventory.Noun, uid inventory.UID) error {
	if n.Journal || n.Attached {
		return nil
	}
	var parts []string
	var args []any
	for _, other := range inventory.Nouns {
		if other.Attached {
			parts = append(parts, fmt.Sprintf(`SELECT '%s' AS "noun", "uid" FROM %s WHERE "object" = ?`, other.Name, quote(other.Table)))
			args = append(args, uid)
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	var rows []struct {
		Noun string
		UID  inventory.UID
	}
	if err := t.db.Raw(strings.Join(parts, " UNION ALL ")+" ORDER BY 1, 2", args...).Scan(&rows).Error; err != nil {
		return fmt.Errorf("look for what is attached to %s %s: %w", n.Name, uid, err)
	}
	for _, row := range rows {
		obj := nounOf(row.Noun).New()
		obj.Head().UID = row.UID
		if err := t.Delete(obj); err != nil {
			return fmt.Errorf("delete what is attached to %s %s: %w", n.Name, uid, err)
		}
	}
	return nil
}
