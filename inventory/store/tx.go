package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"berth/inventory"

	"gorm.io/gorm"
)

// tx is one edit at work. It is used by one goroutine.
type tx struct {
	store   *Store
	ctx     context.Context
	db      *gorm.DB
	req     inventory.Request
	now     time.Time
	undoes  inventory.UID
	holds   inventory.UID // the operation whose fence this edit has shown
	changes []*inventory.Change
	touched map[string]bool             // tables
	known   map[inventory.UID]bool      // objects that were seen to exist within this edit
	pending []batch                     // created and not yet stored: before anything reads their table, or with many others of their noun
	docs    map[inventory.UID]docChange // of the search index, not yet written
	lost    error                       // why that failed: the edit cannot be stored any more, whatever its author makes of the error
}

// maxValues bounds the values of an INSERT of several rows. PostgreSQL takes 65,535 in one and SQLite 32,766, but SQLite's driver looks
// for each value among all the others: 600 are the cheapest for a row, and hardly dearer than more on PostgreSQL.
const maxValues = 600

// maxPending is how many objects of a noun are stored in one statement.
func maxPending(n *inventory.Noun) int { return max(1, maxValues/len(n.Fields)) }

// batch is objects of one noun that wait to be stored in one statement.
type batch struct {
	noun *inventory.Noun
	rows []inventory.Object
}

var errNoKey = errors.New("the record has no key to encrypt secrets with")

func (t *tx) Context() context.Context { return t.ctx }
func (t *tx) Now() time.Time           { return t.now }

func (t *tx) Get(n *inventory.Noun, ref string) (inventory.Object, error) {
	if err := t.ctx.Err(); err != nil {
		return nil, err
	}
	if err := t.flushTable(n.Table); err != nil {
		return nil, err
	}
	return get(t.db, n, ref)
}

func (t *tx) List(n *inventory.Noun, q inventory.Query) (inventory.Page, error) {
	if err := t.ctx.Err(); err != nil {
		return inventory.Page{}, err
	}
	if err := t.flushFor(n, q); err != nil {
		return inventory.Page{}, err
	}
	if err := t.writeDocs(); err != nil {
		return inventory.Page{}, err
	}
	return t.store.list(t.db, n, q)
}

// Create stores a new object. See inventory.Tx.
func (t *tx) Create(obj inventory.Object) error {
	head := obj.Head()
	head.Revision, head.CreatedAt = 1, t.now
	return t.create(obj)
}

func (t *tx) create(obj inventory.Object) error {
	n, head := inventory.Describe(obj), obj.Head()
	if err := t.ctx.Err(); err != nil {
		return err
	}
	if head.UID == "" {
		head.UID = inventory.NewUID()
	}
	if !head.UID.Valid() {
		return inventory.NotAllowed(n.Name, "uid", "is not 32 hexadecimal digits")
	}
	head.UpdatedAt = t.now
	if err := t.settle(n, obj, nil, n.Fields); err != nil {
		return err
	}
	// What is kept is a copy: the caller may go on with obj.
	row := reflect.New(reflect.TypeOf(obj).Elem())
	row.Elem().Set(reflect.ValueOf(obj).Elem())
	if err := t.wait(n, row.Interface().(inventory.Object)); err != nil {
		return err
	}
	t.known[head.UID] = true
	return t.log(n, "create", nil, obj)
}

// wait puts a new object beside others of its noun that are not stored yet, and stores them when they are many.
func (t *tx) wait(n *inventory.Noun, row inventory.Object) error {
	i := slices.IndexFunc(t.pending, func(b batch) bool { return b.noun == n })
	if i < 0 {
		i, t.pending = len(t.pending), append(t.pending, batch{noun: n})
	}
	t.pending[i].rows = append(t.pending[i].rows, row)
	if len(t.pending[i].rows) < maxPending(n) {
		return t.lost
	}
	return t.flushTable(n.Table)
}

// flush stores everything that was created.
func (t *tx) flush() error { return t.flushTable("") }

// flushFor stores what a list may show: rows of its own table, and others where it names what they are called or looks into tags.
func (t *tx) flushFor(n *inventory.Noun, q inventory.Query) error {
	if q.NoNames && len(q.Tags) == 0 {
		return t.flushTable(n.Table)
	}
	return t.flush()
}

// flushTable stores what was created of a table; of all of them if it is "". Everything that reads or writes a table begins with it.
func (t *tx) flushTable(table string) error {
	for i := range t.pending {
		b := &t.pending[i]
		if t.lost != nil || len(b.rows) == 0 || table != "" && b.noun.Table != table {
			continue
		}
		rows := reflect.MakeSlice(reflect.SliceOf(reflect.TypeOf(b.rows[0])), 0, len(b.rows))
		for _, obj := range b.rows {
			rows = reflect.Append(rows, reflect.ValueOf(obj))
		}
		first := b.rows[0]
		b.rows = b.rows[:0]
		if err := t.db.Table(b.noun.Table).Create(rows.Interface()).Error; err != nil {
			t.lost = t.refused(b.noun, first, err)
		}
	}
	return t.lost
}

// Update stores a changed object. See inventory.Tx.
func (t *tx) Update(obj inventory.Object) error {
	n, head := inventory.Describe(obj), obj.Head()
	before, err := t.Get(n, string(head.UID))
	if err != nil {
		return err
	}
	was := before.Head()
	if err := t.mayChange(n, head, was); err != nil {
		return err
	}
	head.CreatedAt, head.Revision, head.UpdatedAt = was.CreatedAt, was.Revision+1, t.now
	t.keepLease(obj, before)
	if err := n.Accept(obj); err != nil {
		return err
	}
	changed := n.Differing(before, obj)
	if len(changed) == 0 {
		head.Revision, head.UpdatedAt = was.Revision, was.UpdatedAt
		return nil
	}
	if err := t.settle(n, obj, before, changed); err != nil {
		return err
	}
	if err := t.db.Table(n.Table).Select("*").Updates(obj).Error; err != nil {
		return t.refused(n, obj, err)
	}
	return t.log(n, "update", before, obj)
}

// Delete removes an object, what is attached to it, and what it owns in the journals. See inventory.Tx.
func (t *tx) Delete(obj inventory.Object) error {
	n, head := inventory.Describe(obj), obj.Head()
	before, err := t.Get(n, string(head.UID))
	if err != nil {
		return err
	}
	if err := t.mayChange(n, head, before.Head()); err != nil {
		return err
	}
	if err := t.flush(); err != nil {
		return err
	}
	if err := t.release(n, before); err != nil {
		return err
	}
	if err := t.detach(n, head.UID); err != nil {
		return err
	}
	if err := t.db.Exec("DELETE FROM "+quote(n.Table)+` WHERE "uid" = ?`, head.UID).Error; err != nil {
		return fmt.Errorf("delete %s %s: %w", n.Name, head.UID, err)
	}
	delete(t.known, head.UID)
	return t.log(n, "delete", before, nil)
}

// mayChange refuses to change what is append-only, or what somebody else changed meanwhile.
func (t *tx) mayChange(n *inventory.Noun, head, was *inventory.Meta) error {
	if n.AppendOnly {
		return &inventory.Conflict{Noun: n.Name, UID: was.UID, Why: "entries of this kind are never changed or deleted"}
	}
	if head.Revision != 0 && head.Revision != was.Revision {
		return &inventory.Conflict{Noun: n.Name, UID: was.UID, Why: fmt.Sprintf("it was changed meanwhile (revision %d, not %d)", was.Revision, head.Revision)}
	}
	return nil
}

// settle makes obj fit to be stored: its own rules, secrets sealed, references that exist, a key that is free, and the rules that need
// other objects. changed are the fields that are new.
func (t *tx) settle(n *inventory.Noun, obj, before inventory.Object, changed []inventory.Field) error {
	if before == nil {
		if err := n.Accept(obj); err != nil {
			return err
		}
	}
	for _, f := range changed {
		if f.Kind == inventory.KindSecret {
			if err := t.seal(n, f, obj, before); err != nil {
				return err
			}
		}
	}
	if checker, ok := obj.(inventory.TxChecker); ok {
		if err := checker.CheckIn(t, before); err != nil {
			return err
		}
	}
	if err := t.checkRefs(n, obj, changed); err != nil {
		return err
	}
	if err := t.checkAttached(n, obj, changed); err != nil {
		return err
	}
	return t.checkKeyFree(n, obj, changed)
}

// seal puts the sealed form of a secret in place of the plain one, or the stored one in place of stars.
func (t *tx) seal(n *inventory.Noun, f inventory.Field, obj, before inventory.Object) error {
	secret := f.Value(obj).(inventory.Secret)
	switch {
	case secret.Kept() && before != nil:
		f.Set(obj, f.Value(before))
	case secret.Kept():
		f.Set(obj, inventory.Secret{})
	case secret.IsPlain() && t.store.opt.Sealer == nil:
		return inventory.NotAllowed(n.Name, f.Name, "cannot be kept: %v", errNoKey)
	case secret.IsPlain():
		sealed, err := t.store.opt.Sealer.Seal(secret.Reveal())
		if err != nil {
			return fmt.Errorf("seal the %s of %s %s: %v", f.Name, n.Name, obj.Head().UID, err)
		}
		f.Set(obj, inventory.SealedSecret(sealed))
	}
	return nil
}

// checkRefs sees in one statement that what obj newly refers to exists.
func (t *tx) checkRefs(n *inventory.Noun, obj inventory.Object, changed []inventory.Field) error {
	var parts []string
	var args []any
	wanted := map[inventory.UID]inventory.Field{}
	for _, f := range changed {
		if f.Kind != inventory.KindRef {
			continue
		}
		uid := f.Value(obj).(inventory.UID)
		if uid == "" || t.known[uid] || (uid == obj.Head().UID && f.Ref == n.Name) {
			continue
		}
		wanted[uid] = f
		parts = append(parts, `SELECT "uid" FROM `+quote(nounOf(f.Ref).Table)+` WHERE "uid" = ?`)
		args = append(args, uid)
	}
	if len(parts) == 0 {
		return nil
	}
	var found []inventory.UID
	if err := t.db.Raw(strings.Join(parts, " UNION ALL "), args...).Scan(&found).Error; err != nil {
		return fmt.Errorf("find what a %s refers to: %w", n.Name, err)
	}
	for _, uid := range found {
		t.known[uid] = true
		delete(wanted, uid)
	}
	bad := &inventory.Invalid{Noun: n.Name, Fields: map[string]string{}}
	for _, f := range wanted {
		bad.Fields[f.Name] = fmt.Sprintf("there is no such %s", f.Ref)
	}
	if len(bad.Fields) > 0 {
		return bad
	}
	return nil
}

// checkKeyFree sees that no other object has the natural key of obj.
func (t *tx) checkKeyFree(n *inventory.Noun, obj inventory.Object, changed []inventory.Field) error {
	i := slices.IndexFunc(changed, func(f inventory.Field) bool { return f.Name == n.Natural })
	if i < 0 {
		return nil
	}
	if holder, taken := t.pendingKey(n, changed[i], obj); taken {
		return takenKey(n, holder, changed[i].Value(obj))
	}
	var other []inventory.UID
	err := t.db.Raw(`SELECT "uid" FROM `+quote(n.Table)+" WHERE "+quote(n.Natural)+` = ? AND "uid" <> ?`, changed[i].Value(obj), obj.Head().UID).Scan(&other).Error
	if err != nil {
		return fmt.Errorf("look for another %s with the same %s: %w", n.Name, n.Natural, err)
	}
	if len(other) > 0 {
		return takenKey(n, other[0], changed[i].Value(obj))
	}
	return nil
}

// pendingKey looks for the natural key of obj among what was created and is not stored yet.
func (t *tx) pendingKey(n *inventory.Noun, key inventory.Field, obj inventory.Object) (holder inventory.UID, taken bool) {
	for _, b := range t.pending {
		for _, row := range b.rows {
			if b.noun.Table == n.Table && key.Value(row) == key.Value(obj) && row.Head().UID != obj.Head().UID {
				return row.Head().UID, true
			}
		}
	}
	return "", false
}

func takenKey(n *inventory.Noun, holder inventory.UID, value any) error {
	return &inventory.Conflict{Noun: n.Name, UID: holder, Why: fmt.Sprintf("there is a %s with the %s %q already", n.Name, n.Natural, fmt.Sprint(value))}
}

// refused explains why the database did not take obj. A duplicate gets here only when two servers race for the same key.
func (t *tx) refused(n *inventory.Noun, obj inventory.Object, err error) error {
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return fmt.Errorf("%w (%w)", &inventory.Conflict{Noun: n.Name, UID: obj.Head().UID, Why: "there is one with the same uid or key already"}, err)
	}
	return fmt.Errorf("store %s %s: %w", n.Name, obj.Head().UID, err)
}

// log writes the change log. Journals are their own log; and of what berth itself notes down about a thing (power, last seen) only what
// also changes a field of people's gets an entry, else the log would be nothing but heartbeats.
func (t *tx) log(n *inventory.Noun, action string, before, after inventory.Object) error {
	t.touched[n.Table] = true
	t.index(n, before, after)
	obj := after
	if obj == nil {
		obj = before
	}
	if n.Journal || (action == "update" && t.req.By.Account == "" && !slices.ContainsFunc(n.Differing(before, after), peoples)) {
		return nil
	}
	c := &inventory.Change{
		Request: t.req.ID, Actor: t.req.By.Name, Account: t.req.By.Account, Why: t.req.Why,
		Action: action, Noun: n.Name, Object: obj.Head().UID, Display: n.Display(obj), Undoes: t.undoes,
	}
	// The changes of an edit are a microsecond apart, which keeps their order.
	at := t.now.Add(time.Duration(len(t.changes)) * time.Microsecond)
	// Those of a request lie together in the table's index, which spares a large edit most of its writes.
	uid := t.req.ID[:4] + inventory.NewUID()[4:]
	c.Meta = inventory.Meta{UID: uid, Revision: 1, CreatedAt: at, UpdatedAt: at}
	var err error
	if c.Before, err = picture(n, before, nil); err != nil {
		return err
	}
	if c.After, err = picture(n, after, before); err != nil {
		return err
	}
	t.changes = append(t.changes, c)
	return nil
}

func peoples(f inventory.Field) bool { return !f.ReadOnly }

// newSecret stands in the log for a secret that was given anew.
const newSecret = "*** (new)"

// picture is obj as the change log keeps it: what goes over a wire, with stars for secrets.
func picture(n *inventory.Noun, obj, before inventory.Object) (json.RawMessage, error) {
	if obj == nil {
		return nil, nil
	}
	data, err := json.Marshal(obj)
	if err != nil {
		return nil, fmt.Errorf("write %s %s into the change log: %w", n.Name, obj.Head().UID, err)
	}
	for _, f := range n.Fields {
		if f.Kind != inventory.KindSecret || before == nil || f.Value(obj) == f.Value(before) || f.Value(obj).(inventory.Secret).IsZero() {
			continue
		}
		var fields map[string]any
		if err := json.Unmarshal(data, &fields); err != nil {
			return nil, err
		}
		fields[f.Name] = newSecret
		if data, err = json.Marshal(fields); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// finish stores what the edit gathered.
func (t *tx) finish() error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	if err := t.flush(); err != nil {
		return err
	}
	if err := t.writeDocs(); err != nil {
		return err
	}
	if err := t.tellChanged(); err != nil {
		return err
	}
	if len(t.changes) > 0 {
		t.touched["changes"] = true
		if err := t.db.CreateInBatches(t.changes, maxPending(inventory.NounFor[inventory.Change]())).Error; err != nil {
			return fmt.Errorf("write the change log: %w", err)
		}
	}
	if len(t.touched) == 0 {
		return nil
	}
	return t.store.driver.announce(t.db, slices.Sorted(maps.Keys(t.touched)))
}

// tellChanged lets whoever sends messages about changes store them with the changes themselves.
func (t *tx) tellChanged() error {
	if t.store.opt.OnChange == nil || len(t.changes) == 0 {
		return nil
	}
	if err := t.store.opt.OnChange(t, t.changes); err != nil {
		return err
	}
	return t.flush()
}

// release refuses to delete what others refer to, deletes what the object owns in the journals, and leaves history as it is.
func (t *tx) release(n *inventory.Noun, obj inventory.Object) error {
	uid := obj.Head().UID
	var refs, owned []string
	seen := map[string]bool{n.Table: false}
	for _, other := range inventory.Nouns {
		if other.Where != nil || seen[other.Table] {
			continue
		}
		seen[other.Table] = true
		for _, f := range other.Fields {
			switch {
			case f.Kind != inventory.KindRef || nounOf(f.Ref).Table != n.Table:
			case f.Owned:
				owned = append(owned, "DELETE FROM "+quote(other.Table)+" WHERE "+quote(f.Name)+" = ?")
				t.touched[other.Table] = true
			case !other.Journal:
				refs = append(refs, fmt.Sprintf(`SELECT '%s' AS "noun", COUNT(*) AS "count" FROM %s WHERE %s = ? AND "uid" <> ?`, other.Name, quote(other.Table), quote(f.Name)))
			case other.Name == "operation":
				refs = append(refs, fmt.Sprintf(`SELECT 'operation at work' AS "noun", COUNT(*) AS "count" FROM %s WHERE %s = ? AND "uid" <> ? AND "state" IN ('queued', 'running', 'waiting')`, quote(other.Table), quote(f.Name)))
			}
		}
	}
	if err := t.checkUnreferred(n, uid, refs); err != nil {
		return err
	}
	for _, sql := range owned {
		if err := t.db.Exec(sql, uid).Error; err != nil {
			return fmt.Errorf("delete what belongs to %s %s: %w", n.Name, uid, err)
		}
	}
	return nil
}

func (t *tx) checkUnreferred(n *inventory.Noun, uid inventory.UID, queries []string) error {
	if len(queries) == 0 {
		return nil
	}
	args := make([]any, 0, 2*len(queries))
	for range queries {
		args = append(args, uid, uid)
	}
	var rows []struct {
		Noun  string
		Count int64
	}
	if err := t.db.Raw(strings.Join(queries, " UNION ALL "), args...).Scan(&rows).Error; err != nil {
		return fmt.Errorf("look for what refers to %s %s: %w", n.Name, uid, err)
	}
	var parts []string
	for _, row := range rows {
		if row.Count > 0 {
			parts = append(parts, fmt.Sprintf("%d × %s", row.Count, row.Noun))
		}
	}
	if len(parts) > 0 {
		return &inventory.Conflict{Noun: n.Name, UID: uid, Why: "still referred to by " + strings.Join(parts, ", ")}
	}
	return nil
}

// nounOf finds a noun that a descriptor names.
func nounOf(name string) *inventory.Noun {
	n, ok := inventory.NounOf(name)
	if !ok {
		panic("store: a field refers to the unknown noun " + name)
	}
	return n
}
