package importer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"berth/inventory"
)

// Reader is what a plan reads; both a Record and a Tx are one in effect.
type Reader interface {
	List(ctx context.Context, n *inventory.Noun, q inventory.Query) (inventory.Page, error)
	Get(ctx context.Context, n *inventory.Noun, ref string) (inventory.Object, error)
}

// Plan is an import that was checked whole: what it would create and change, in the order in which that can be done.
type Plan struct {
	report Report
	steps  []step
	digest string
	name   string
}

// step is one write.
type step struct {
	noun   *inventory.Noun
	update bool
	obj    inventory.Object
}

// Report says what the plan would do. With errors in it the plan is not applied.
func (p *Plan) Report() Report { return p.report }

// Steps is how many objects the plan creates or changes.
func (p *Plan) Steps() int { return len(p.steps) }

// planner turns drafts into a plan.
type planner struct {
	ctx    context.Context
	look   *lookup
	view   *view
	report *Report
	by     inventory.Actor
	owner  map[inventory.UID]*draft     // which draft an existing object was found for
	taken  map[string]map[string]*draft // natural keys of this import, by noun
	tables map[string][]*draft
}

// plan resolves, checks and orders the drafts.
func plan(ctx context.Context, rec Reader, now time.Time, by inventory.Actor, b *builder) (*Plan, error) {
	look := &lookup{ctx: ctx, rec: rec, index: map[string]map[string][]inventory.Object{}, byUID: map[inventory.UID]inventory.Object{}}
	p := &planner{ctx: ctx, look: look, view: newView(ctx, look, now), report: b.report, by: by,
		owner: map[inventory.UID]*draft{}, taken: map[string]map[string]*draft{}, tables: map[string][]*draft{}}
	b.link()
	for _, d := range b.drafts {
		b.readAmounts(d)
		p.tables[d.noun.Name] = append(p.tables[d.noun.Name], d)
	}
	for _, n := range inventory.Nouns {
		if drafts := p.tables[n.Name]; len(drafts) > 0 {
			if err := p.resolve(n, drafts); err != nil {
				return nil, err
			}
		}
	}
	out := &Plan{}
	if err := p.equip(b); err != nil {
		return nil, err
	}
	for _, d := range b.drafts {
		if !d.failed {
			p.view.plan(d.noun, d.after)
		}
	}
	for _, n := range inventory.Nouns {
		if err := p.judge(n, out); err != nil {
			return nil, err
		}
	}
	out.report = *b.report
	out.report.sort()
	return out, nil
}

// resolve finds the drafts of one noun in the record and builds what they would become.
func (p *planner) resolve(n *inventory.Noun, drafts []*draft) error {
	if !p.by.Level.Includes(n.Edit) || n.Edit == inventory.LevelNone {
		p.report.fail(RowError{File: drafts[0].file, Why: fmt.Sprintf("would write a %s, which needs the access level %s", n.Name, orNobody(n.Edit))})
		for _, d := range drafts {
			d.failed = true
		}
	}
	if err := p.lookUpRefs(drafts); err != nil {
		return err
	}
	if err := p.identify(drafts); err != nil {
		return err
	}
	for _, d := range drafts {
		if d.uid == "" {
			d.uid = cmp.Or(d.wantUID, inventory.NewUID())
		}
	}
	for _, d := range drafts {
		p.build(d)
	}
	return p.settleKeys(n, drafts)
}

// equip adds the parts that the types of new devices list, but for those that the import itself brings.
func (p *planner) equip(b *builder) error {
	for _, device := range b.withParts {
		kind := device.find("device_type")
		if device.failed || device.before != nil || kind == nil || kind.target == nil {
			continue
		}
		t, ok := kind.target.after.(*inventory.DeviceType)
		if !ok {
			continue
		}
		parts, err := Parts(t, device.uid, map[string]bool{})
		if err != nil {
			return err
		}
		for _, obj := range parts {
			n := inventory.Describe(obj)
			key := device.key + "/" + n.Display(obj)
			if b.byKey[n.Name+":"+key] != nil {
				continue
			}
			d := &draft{noun: n, key: key, file: device.file, row: device.row, uid: obj.Head().UID, after: obj}
			if err := n.Accept(obj); err != nil {
				b.report.warn(RowError{File: d.file, Row: d.row, Value: n.Display(obj), Why: "a part of its type was left out: " + err.Error()})
				continue
			}
			b.byKey[n.Name+":"+key] = d
			b.drafts = append(b.drafts, d)
			p.tables[n.Name] = append(p.tables[n.Name], d)
		}
	}
	return nil
}

// link points references by text at what this import itself brings.
func (b *builder) link() {
	for _, d := range b.drafts {
		for i := range d.values {
			v := &d.values[i]
			if v.ref == "" {
				continue
			}
			n := mustNoun(v.field.Ref)
			if target := b.byKey[n.Name+":"+naturalText(n, v.ref)]; target != nil && target != d {
				v.target = target
			}
		}
	}
}

func orNobody(l inventory.Level) string {
	if l == inventory.LevelNone {
		return "of nobody: berth writes it itself"
	}
	return string(l)
}

// identify finds each draft by the first of its ways that leads to something.
func (p *planner) identify(drafts []*draft) error {
	most := 0
	for _, d := range drafts {
		most = max(most, len(d.finds))
	}
	for way := range most {
		wanted := map[string][]string{}
		for _, d := range drafts {
			if text, ok := p.lookFor(d, way); ok {
				field := d.finds[way][0].field
				wanted[field] = append(wanted[field], text)
			}
		}
		for field, texts := range wanted {
			if err := p.look.load(drafts[0].noun, field, texts); err != nil {
				return err
			}
		}
		for _, d := range drafts {
			if text, ok := p.lookFor(d, way); ok {
				p.match(d, d.finds[way], p.look.get(d.noun, d.finds[way][0].field, text))
			}
		}
	}
	return nil
}

// lookFor is the text to look up for a way, if the draft is still looked for and the way can lead anywhere.
func (p *planner) lookFor(d *draft, way int) (string, bool) {
	if d.before != nil || d.failed || way >= len(d.finds) || len(d.finds[way]) == 0 {
		return "", false
	}
	return p.textOf(d.finds[way][0])
}

// textOf is what a clue looks for; false where that cannot be in the record, because what it refers to is new or not known.
func (p *planner) textOf(c clue) (string, bool) {
	target := c.target
	if c.of != nil {
		v := c.of.find(c.field)
		if target = v.target; target == nil {
			uid, _ := p.refer(mustNoun(v.field.Ref), v.ref)
			return string(uid), uid != ""
		}
	}
	if target != nil {
		return string(target.uid), target.before != nil
	}
	return c.text, c.text != ""
}

// match takes the one candidate that all clues fit.
func (p *planner) match(d *draft, clues []clue, candidates []inventory.Object) {
	var fits []inventory.Object
	for _, obj := range candidates {
		if !slices.ContainsFunc(clues[1:], func(c clue) bool { return !p.fits(c, d.noun, obj) }) {
			fits = append(fits, obj)
		}
	}
	if len(fits) > 1 {
		d.failed = true
		p.fail(d, clues[0].field, fmt.Sprintf("fits %d objects of the record: %s", len(fits), names(d.noun, fits)))
		return
	}
	if len(fits) == 0 {
		return
	}
	uid := fits[0].Head().UID
	if other := p.owner[uid]; other != nil {
		if d.implied && other.implied {
			d.before, d.uid = fits[0], uid
			return
		}
		d.failed = true
		p.fail(d, clues[0].field, fmt.Sprintf("is the same %s as row %d of %s: %s", d.noun.Name, other.row, other.file, d.noun.Display(fits[0])))
		return
	}
	p.owner[uid] = d
	d.before, d.uid = fits[0], uid
}

func names(n *inventory.Noun, objs []inventory.Object) string {
	var out []string
	for _, obj := range objs[:min(3, len(objs))] {
		out = append(out, n.Display(obj))
	}
	return strings.Join(out, ", ")
}

func (p *planner) fits(c clue, n *inventory.Noun, obj inventory.Object) bool {
	have := fmt.Sprint(mustField(n, c.field).Value(obj))
	want, _ := p.textOf(c)
	return have == want || c.soft && (have == "" || want == "")
}

// lookUpRefs loads what references by text may mean: uid, natural key or name.
func (p *planner) lookUpRefs(drafts []*draft) error {
	wanted := map[string][]string{}
	for _, d := range drafts {
		for _, v := range d.values {
			if v.ref != "" && v.target == nil {
				wanted[v.field.Ref] = append(wanted[v.field.Ref], v.ref)
			}
		}
	}
	for noun, texts := range wanted {
		if err := p.look.loadRefs(mustNoun(noun), texts); err != nil {
			return err
		}
	}
	return nil
}

// build makes the object that the draft describes, over what is stored now.
func (p *planner) build(d *draft) {
	obj := d.noun.New()
	if d.before != nil {
		reflect.ValueOf(obj).Elem().Set(reflect.ValueOf(d.before).Elem())
		p.look.byUID[d.uid] = d.before
	} else {
		obj.Head().UID = d.uid
	}
	d.after = obj
	if d.before != nil && d.implied {
		return
	}
	for i := range d.values {
		v := &d.values[i]
		if v.onNew && d.before != nil {
			continue
		}
		if v.field.ReadOnly {
			continue
		}
		if why := p.apply(d, v); why != "" {
			d.failed = true
			p.fail(d, v.field.Name, why)
		}
	}
	d.takeNotes()
	d.takeAttributes()
	if why := lowered(d.before, obj); why != "" {
		d.failed = true
		p.fail(d, "disk_role", why)
	}
	var invalid *inventory.Invalid
	switch err := d.noun.Accept(obj); {
	case errors.As(err, &invalid):
		p.reject(d, invalid)
	case err != nil:
		d.failed = true
		p.fail(d, "", err.Error())
	}
}

// apply puts one value into the object and says why that cannot be.
func (p *planner) apply(d *draft, v *value) string {
	switch {
	case v.target != nil:
		if v.target.uid == "" {
			v.target.uid = inventory.NewUID() // of the same noun, further down: a parent
		}
		v.field.Set(d.after, v.target.uid)
	case v.ref != "":
		uid, why := p.refer(mustNoun(v.field.Ref), v.ref)
		if why != "" {
			return why
		}
		v.field.Set(d.after, uid)
	default:
		v.field.Set(d.after, v.v)
	}
	return ""
}

// refer finds in the record what a text refers to.
func (p *planner) refer(n *inventory.Noun, text string) (inventory.UID, string) {
	found := p.look.refs(n, text)
	switch len(found) {
	case 0:
		return "", fmt.Sprintf("there is no such %s", n.Name)
	case 1:
		return found[0].Head().UID, ""
	}
	return "", fmt.Sprintf("may be any of %d %s", len(found), n.Plural)
}

// naturalText is a text as the natural key of n would be stored.
func naturalText(n *inventory.Noun, text string) string {
	switch {
	case n.Natural == "slug":
		return inventory.Slug(text)
	case n.Name == "device":
		return strings.ToLower(text)
	}
	return text
}

// takeNotes adds the lines that the notes lack; what people wrote there stays.
func (d *draft) takeNotes() {
	f, ok := notesField(d.noun)
	if !ok || len(d.notes) == 0 {
		return
	}
	text := fmt.Sprint(f.Value(d.after))
	have := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for _, line := range d.notes {
		for part := range strings.SplitSeq(line, "\n") {
			if part = strings.TrimSpace(part); part == "" || slices.Contains(have, part) {
				continue
			}
			have = append(have, part)
			if text != "" {
				text += "\n"
			}
			text += part
		}
	}
	f.Set(d.after, text)
}

// takeAttributes adds to a component's attributes; those that it has otherwise stay.
func (d *draft) takeAttributes() {
	if len(d.merge) == 0 {
		return
	}
	f := d.field("attributes")
	all := maps.Clone(f.Value(d.after).(map[string]string))
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, d.merge)
	f.Set(d.after, all)
}

// protection orders disk roles by how much they keep from being written.
var protection = map[string]int{"root": 0, "": 1, "scratch": 2, "ceph-osd": 3, "keep": 4}

// lowered says why a disk's role may not become what an import says. Protection is raised by any path and lowered only by consent, which a
// table cannot give.
func lowered(before, after inventory.Object) string {
	old, ok := before.(*inventory.Component)
	if !ok || old == nil {
		return ""
	}
	role := after.(*inventory.Component).DiskRole
	if protection[role] >= protection[old.DiskRole] {
		return ""
	}
	was := old.DiskRole
	if was == "" {
		was = "a disk that nobody said may be written"
	}
	return "an import never lowers the protection of a disk: the record has it as " + was
}

// settleKeys sees that natural keys are free, in the record and in this import, and takes the fallback of those that have one.
func (p *planner) settleKeys(n *inventory.Noun, drafts []*draft) error {
	if n.Natural == "" {
		return nil
	}
	key := mustField(n, n.Natural)
	var texts []string
	for _, d := range drafts {
		texts = append(texts, fmt.Sprint(key.Value(d.after)))
	}
	if err := p.look.load(n, n.Natural, texts); err != nil {
		return err
	}
	taken := p.taken[n.Table]
	if taken == nil {
		taken = map[string]*draft{}
		p.taken[n.Table] = taken
	}
	for _, d := range drafts {
		text := fmt.Sprint(key.Value(d.after))
		why := p.occupied(d, text, taken)
		if why != "" && d.fallback != "" && d.before == nil {
			p.report.warn(RowError{File: d.file, Row: d.row, Column: d.column(n.Natural), Value: text, Why: why + "; it is called " + d.fallback + " here"})
			text = d.fallback
			key.Set(d.after, text)
			if err := p.look.load(n, n.Natural, []string{text}); err != nil {
				return err
			}
			why = p.occupied(d, text, taken)
		}
		if why != "" && !d.failed {
			d.failed = true
			p.fail(d, n.Natural, why)
			continue
		}
		if text != "" {
			taken[text] = d
		}
	}
	return nil
}

func (p *planner) occupied(d *draft, text string, taken map[string]*draft) string {
	if text == "" {
		return ""
	}
	if other := taken[text]; other != nil && other.uid != d.uid {
		return fmt.Sprintf("row %d of %s has it too", other.row, other.file)
	}
	for _, obj := range p.look.get(d.noun, d.noun.Natural, text) {
		if holder := p.owner[obj.Head().UID]; obj.Head().UID != d.uid && (holder == nil || fmt.Sprint(mustField(d.noun, d.noun.Natural).Value(holder.after)) == text) {
			return fmt.Sprintf("there is a %s with it already", d.noun.Name)
		}
	}
	return ""
}

// judge compares each draft of n with what is stored, holds it against the rules that need other objects, and puts it into the plan.
func (p *planner) judge(n *inventory.Noun, out *Plan) error {
	for _, d := range inOrder(p.tables[n.Name]) {
		if d.failed {
			continue
		}
		action := "create"
		if d.before != nil {
			if action = "update"; len(n.Differing(d.before, d.after)) == 0 {
				action = ""
			}
		}
		if action != "" {
			if ok, err := p.checkIn(d); !ok || err != nil {
				if err != nil {
					return err
				}
				continue
			}
			out.steps = append(out.steps, step{noun: n, update: d.before != nil, obj: d.after})
			p.preview(d, action)
		}
		p.report.count(n.Name, action)
	}
	return nil
}

// inOrder puts parents of the same noun before their children.
func inOrder(drafts []*draft) []*draft {
	out := make([]*draft, 0, len(drafts))
	state := map[*draft]int{}
	var visit func(d *draft, depth int)
	visit = func(d *draft, depth int) {
		if state[d] != 0 || depth > 1000 {
			return
		}
		state[d] = 1
		for _, v := range d.values {
			if v.target != nil && v.target.noun == d.noun {
				visit(v.target, depth+1)
			}
		}
		out = append(out, d)
	}
	for _, d := range drafts {
		visit(d, 0)
	}
	return out
}

// checkIn asks the rules that need other objects, before the record that would be.
func (p *planner) checkIn(d *draft) (bool, error) {
	checker, ok := d.after.(inventory.TxChecker)
	if !ok {
		return true, nil
	}
	err := checker.CheckIn(p.view, d.before)
	var invalid *inventory.Invalid
	var conflict *inventory.Conflict
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &invalid):
		p.reject(d, invalid)
	case errors.As(err, &conflict):
		d.failed = true
		p.fail(d, conflictField(d), conflict.Why)
	default:
		return false, fmt.Errorf("check row %d of %s: %w", d.row, d.file, err)
	}
	return false, nil
}

// conflictField is the column that a conflict is most likely about.
func conflictField(d *draft) string {
	if d.noun.Name == "device" {
		return "position"
	}
	return ""
}

func (p *planner) reject(d *draft, invalid *inventory.Invalid) {
	d.failed = true
	for _, field := range slices.Sorted(maps.Keys(invalid.Fields)) {
		p.fail(d, field, invalid.Fields[field])
	}
}

// column is where a field of the draft stands; the field's own name where the source has no column for it.
func (d *draft) column(field string) string {
	if v := d.find(field); v != nil && v.column != "" {
		return v.column
	}
	return ""
}

func (p *planner) fail(d *draft, field, why string) {
	e := RowError{File: d.file, Row: d.row, Why: why}
	v := d.find(field)
	if v != nil {
		e.Column, e.Value = v.column, v.text
		if e.Value == "" && v.ref != "" {
			e.Value = v.ref
		}
		if v.field.Kind == inventory.KindSecret {
			e.Value = "***"
		}
	}
	if e.Column == "" && field != "" {
		e.Why = d.noun.Name + " " + field + ": " + why
	}
	p.report.fail(e)
}

func (p *planner) preview(d *draft, action string) {
	if len(p.report.Preview) >= maxPreview {
		return
	}
	shown := Preview{Noun: d.noun.Name, Action: action, Label: shorten(d.noun.Display(d.after)), File: d.file, Row: d.row}
	before := d.before
	if before == nil {
		before = d.noun.New()
	}
	for _, f := range d.noun.Differing(before, d.after) {
		if f.Hidden || f.Kind == inventory.KindData && action == "create" {
			continue
		}
		shown.Fields = append(shown.Fields, FieldChange{Field: f.Name, Before: p.show(d.noun, f, before), After: p.show(d.noun, f, d.after)})
	}
	p.report.Preview = append(p.report.Preview, shown)
}

// show is a value as people read it in a preview.
func (p *planner) show(n *inventory.Noun, f inventory.Field, obj inventory.Object) string {
	v := f.Value(obj)
	switch {
	case f.Kind == inventory.KindSecret:
		return "***"
	case f.Money:
		if minor, known := f.AmountOf(obj); known {
			return inventory.FormatMoney(minor, n.CurrencyOf(f, obj))
		}
		return ""
	case f.Kind == inventory.KindRef:
		return p.nameOf(mustNoun(f.Ref), v.(inventory.UID))
	case n.Attached && f.Name == "object":
		uid := v.(inventory.UID)
		if to := p.view.planned[uid]; to != nil {
			return p.nameOf(inventory.Describe(to), uid)
		}
	}
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer {
		if rv.IsNil() {
			return ""
		}
		v = rv.Elem().Interface()
	}
	switch t := v.(type) {
	case time.Time:
		return t.UTC().Format(time.RFC3339)
	case []string:
		return shorten(strings.Join(t, ", "))
	case []byte:
		return shorten(string(t))
	}
	return shorten(fmt.Sprint(v))
}

func (p *planner) nameOf(n *inventory.Noun, uid inventory.UID) string {
	if uid == "" {
		return ""
	}
	if obj := p.view.planned[uid]; obj != nil {
		return shorten(n.Display(obj))
	}
	if obj := p.look.byUID[uid]; obj != nil {
		return shorten(n.Display(obj))
	}
	return uid.Short()
}
