package text

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"berth/inventory"
)

// Action is what a step does.
type Action string

// The actions of a plan.
const (
	Create Action = "create"
	Change Action = "change"
	Delete Action = "delete"
)

// FieldChange is one field as it is and as it shall be, as it would stand in a file. Secrets are stars.
type FieldChange struct {
	Field, From, To string
}

// Step is one object that the plan creates, changes or deletes.
type Step struct {
	Action Action
	Noun   *inventory.Noun
	UID    inventory.UID
	Name   string // what people call it
	File   string // where it stands; empty of what is deleted
	Line   int
	Fields []FieldChange

	obj      inventory.Object // as it shall be, or of a deletion as it is
	postpone []ref            // references to what is made later, which are set when it is there
}

// Plan is what it takes to make the record what a directory says.
type Plan struct {
	// Steps in the order in which they are done.
	Steps     []*Step
	Unchanged int
	// Whole says that the directory claims to be the whole record.
	Whole bool
	// Extra counts what the record has and the directory lacks, by the noun's plural: it stays, unless deletion was asked for.
	Extra map[string]int
	// Notices are what a person should know before they go on.
	Notices []string
}

// Empty tells whether there is nothing to do.
func (p *Plan) Empty() bool { return len(p.Steps) == 0 }

// Count is how many steps do a.
func (p *Plan) Count(a Action) (n int) {
	for _, s := range p.Steps {
		if s.Action == a {
			n++
		}
	}
	return n
}

// ErrNotWhole is returned when deletion is asked for with a directory that does not claim to be the whole record.
var ErrNotWhole = errors.New("the directory has no " + Marker + ", so it is not the whole record, and what it lacks cannot be told from what was never in it")

// Options of a plan.
type Options struct {
	// Delete removes what the record has and the directory lacks.
	Delete bool
	// CanOpen tells whether a secret's ciphertext was made for this server's key; nil takes all.
	CanOpen func(inventory.Secret) (string, error)
}

// Plan compares the directory with the record. Everything that can be known without editing is checked: references, keys that are taken,
// the rules of each object. Errors: *inventory.Invalid with every fault by file and line; ErrNotWhole.
func (d *Directory) Plan(ctx context.Context, src Source, opt Options) (*Plan, error) {
	if err := d.Err(); err != nil {
		return nil, err
	}
	if opt.Delete && !d.Whole {
		return nil, fmt.Errorf("%w; export anew, or leave out --delete", ErrNotWhole)
	}
	p := &planner{ctx: ctx, src: src, d: d, opt: opt, names: map[string]inventory.UID{}, display: map[inventory.UID]string{},
		plan: &Plan{Whole: d.Whole, Extra: map[string]int{}}, now: map[inventory.UID]inventory.Object{}}
	for _, step := range []func() error{p.adopt, p.resolve, p.load, p.compare, p.extra} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if err := d.Err(); err != nil {
		return nil, err
	}
	p.order()
	return p.plan, nil
}

type planner struct {
	ctx     context.Context
	src     Source
	d       *Directory
	opt     Options
	names   map[string]inventory.UID // what the record calls by a noun and natural key
	display map[inventory.UID]string // natural keys of what the record holds, by uid
	now     map[inventory.UID]inventory.Object
	plan    *Plan
}

// lookup finds an object of the record by its natural key; "" if there is none.
func (p *planner) lookup(n *inventory.Noun, key string) (inventory.UID, error) {
	at := n.Name + "\x00" + key
	if uid, known := p.names[at]; known {
		return uid, nil
	}
	obj, err := p.src.Get(p.ctx, n, key)
	switch {
	case errors.Is(err, inventory.ErrNotFound):
		p.names[at] = ""
	case err != nil:
		return "", fmt.Errorf("look for %s %q: %w", n.Name, key, err)
	default:
		p.names[at] = obj.Head().UID
	}
	return p.names[at], nil
}

// adopt gives entries that came without a uid that of the object which the record knows by their name.
func (p *planner) adopt() error {
	for _, e := range p.d.entries {
		key := natural(e.noun, e.obj)
		if e.named || key == "" {
			continue
		}
		uid, err := p.lookup(e.noun, key)
		if err != nil || uid == "" || uid == e.obj.Head().UID {
			if err != nil {
				return err
			}
			continue
		}
		if other := p.d.byUID[uid]; other != nil {
			p.d.fault(e.file, e.line, "the record calls another %s %s, which stands in %s:%d", e.noun.Name, cut(key), clean(other.file), other.line)
			continue
		}
		delete(p.d.byUID, e.obj.Head().UID)
		e.obj.Head().UID = uid
		p.d.byUID[uid] = e
	}
	// What stands in the file of an adopted object belongs to it.
	for _, e := range p.d.entries {
		if e.parent == nil {
			continue
		}
		if e.noun.Attached {
			e.tie()
		} else if f, ok := e.noun.Field(e.noun.InFile); ok {
			f.Set(e.obj, e.parent.obj.Head().UID)
		}
	}
	return nil
}

// resolve turns references into uids: what the directory holds comes before what the record does.
func (p *planner) resolve() error {
	for _, e := range p.d.entries {
		for _, r := range e.refs {
			uid, err := p.target(r)
			if err != nil {
				return err
			}
			if uid == "" {
				e.lost = true
				p.d.fault(e.file, r.line, "%s: there is no %s %s, in the directory or on record", r.field.Name, r.field.Ref, cut(r.name))
				continue
			}
			r.field.Set(e.obj, uid)
		}
	}
	return nil
}

func (p *planner) target(r ref) (inventory.UID, error) {
	n, _ := inventory.NounOf(r.field.Ref)
	n = inventory.Describe(n.New())
	if uid := inventory.UID(r.name); uid.Valid() {
		if e := p.d.byUID[uid]; e != nil {
			if e.noun != n {
				return "", nil
			}
			return uid, nil
		}
	} else if e := p.d.byName[n.Name][r.name]; e != nil {
		return e.obj.Head().UID, nil
	}
	return p.lookup(n, r.name)
}

// load reads the objects of the record that the directory speaks about.
func (p *planner) load() error {
	wanted := map[*inventory.Noun][]string{}
	for _, e := range p.d.entries {
		wanted[e.noun] = append(wanted[e.noun], string(e.obj.Head().UID))
	}
	for _, n := range exported {
		for part := range slices.Chunk(wanted[n], 500) {
			filter := inventory.Filter{Field: "uid", Op: inventory.OpIn, Value: strings.Join(part, ",")}
			err := each(p.ctx, p.src, n, []inventory.Filter{filter}, func(items []inventory.Object) error {
				for _, obj := range items {
					p.now[obj.Head().UID] = obj
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("read %s: %w", n.Plural, err)
			}
		}
	}
	return nil
}

// compare makes the steps that create and change.
func (p *planner) compare() error {
	for _, e := range p.d.entries {
		if e.lost {
			continue
		}
		now := p.now[e.obj.Head().UID]
		delete(p.now, e.obj.Head().UID) // of a large record, two copies are enough
		step, err := p.step(e, now)
		if err != nil {
			if err := p.d.refuse(e, err); err != nil {
				return fmt.Errorf("%s:%d: %w", e.file, e.line, err)
			}
			continue
		}
		if step == nil {
			p.plan.Unchanged++
			continue
		}
		p.plan.Steps = append(p.plan.Steps, step)
	}
	return nil
}

// step compares one entry with what the record has, which is nil if it has nothing.
func (p *planner) step(e *entry, now inventory.Object) (*Step, error) {
	if now == nil {
		return p.creation(e)
	}
	// What berth noted stays as it is, and so does what stands in no file. A file with a uid, as an export writes it, states the whole
	// object; one without, as people write it, states what it says.
	place := implied(e.noun, e.parent != nil)
	for _, f := range e.noun.Fields {
		if !mayState(f) || !e.named && e.at(f.Name) == 0 && !slices.Contains(place, f.Name) {
			f.Set(e.obj, f.Value(now))
		}
	}
	if err := p.secrets(e, now); err != nil {
		return nil, err
	}
	if err := e.noun.Accept(e.obj); err != nil {
		return nil, err
	}
	changes, err := p.differences(e, now)
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	if e.noun.AppendOnly {
		return nil, inventory.NotAllowed(e.noun.Name, changes[0].Field, "entries of this kind are never changed; add one that corrects it")
	}
	return p.made(e, Change, changes), nil
}

func (p *planner) creation(e *entry) (*Step, error) {
	if err := p.secrets(e, nil); err != nil {
		return nil, err
	}
	if err := e.noun.Accept(e.obj); err != nil {
		return nil, err
	}
	if key := natural(e.noun, e.obj); key != "" {
		holder, err := p.lookup(e.noun, key)
		if err != nil {
			return nil, err
		}
		if holder != "" && holder != e.obj.Head().UID && p.d.byUID[holder] == nil {
			return nil, inventory.NotAllowed(e.noun.Name, e.noun.Natural, "%s is that of another %s on record, with the uid %s", cut(key), e.noun.Name, holder)
		}
	}
	changes, err := p.differences(e, e.noun.New())
	if err != nil {
		return nil, err
	}
	return p.made(e, Create, changes), nil
}

func (p *planner) made(e *entry, a Action, changes []FieldChange) *Step {
	return &Step{Action: a, Noun: e.noun, UID: e.obj.Head().UID, Name: e.noun.Display(e.obj), File: e.file, Line: e.line, Fields: changes, obj: e.obj}
}

// secrets sees that ciphertext can be opened here, and takes a secret that says the same as the stored one for the same: sealing twice
// never gives the same ciphertext.
func (p *planner) secrets(e *entry, now inventory.Object) error {
	for _, f := range e.noun.Fields {
		if f.Kind != inventory.KindSecret || p.opt.CanOpen == nil {
			continue
		}
		given := f.Value(e.obj).(inventory.Secret)
		if given.IsZero() {
			continue
		}
		var stored inventory.Secret
		if now != nil {
			stored = f.Value(now).(inventory.Secret)
		}
		if given.Sealed() != "" && given.Sealed() == stored.Sealed() {
			continue
		}
		plain, err := p.opt.CanOpen(given)
		if err != nil {
			return inventory.NotAllowed(e.noun.Name, f.Name, "was sealed to another server's key; start the server with that key, or write the secret itself, which is sealed when it is brought in")
		}
		if same, err := p.opt.CanOpen(stored); err == nil && !stored.IsZero() && same == plain {
			f.Set(e.obj, stored)
		}
	}
	return nil
}

// differences compares what would stand in the file of both objects.
func (p *planner) differences(e *entry, now inventory.Object) ([]FieldChange, error) {
	var out []FieldChange
	var skip []string
	if now.Head().UID == "" {
		skip = implied(e.noun, e.parent != nil) // of a new object the file says where it is
	}
	for _, f := range e.noun.Fields {
		if !mayState(f) || slices.Contains(skip, f.Name) {
			continue
		}
		was, err := render(f, now, p.refer)
		if err != nil {
			return nil, err
		}
		is, err := render(f, e.obj, p.refer)
		if err != nil {
			return nil, err
		}
		from, to := shown(was), shown(is)
		if from == to {
			f.Set(e.obj, f.Value(now)) // the same, whatever it looks like inside
			continue
		}
		if f.Kind == inventory.KindSecret {
			from, to = stars(was, ""), stars(is, " (new)")
		}
		out = append(out, FieldChange{f.Name, from, to})
	}
	return out, nil
}

// refer writes a reference by its name where the directory or what was looked up knows one. Both sides of a comparison come from here.
func (p *planner) refer(noun string, uid inventory.UID) string {
	if e := p.d.byUID[uid]; e != nil {
		return cmp.Or(natural(e.noun, e.obj), string(uid))
	}
	if name, known := p.display[uid]; known {
		return name
	}
	n, _ := inventory.NounOf(noun)
	name := string(uid)
	if obj, err := p.src.Get(p.ctx, n, string(uid)); err == nil {
		name = cmp.Or(natural(n, obj), name)
	}
	p.display[uid] = name
	return name
}

// shown is a value as it stands in a file, without the key.
func shown(n node) string {
	if n == nil {
		return ""
	}
	var b bytes.Buffer
	writeValue(&b, n, 0)
	return strings.TrimSpace(b.String())
}

func stars(n node, mark string) string {
	if n == nil || n.empty() {
		return ""
	}
	return "***" + mark
}

// extra finds what the record has and the directory lacks, where the directory claims to be the whole of it.
func (p *planner) extra() error {
	if !p.d.Whole {
		return nil
	}
	for _, n := range exported {
		err := each(p.ctx, p.src, n, nil, func(items []inventory.Object) error {
			for _, obj := range items {
				if p.d.byUID[obj.Head().UID] != nil {
					continue
				}
				p.plan.Extra[n.Plural]++
				if p.opt.Delete && !n.AppendOnly {
					p.plan.Steps = append(p.plan.Steps, &Step{Action: Delete, Noun: n, UID: obj.Head().UID, Name: n.Display(obj), obj: obj})
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("look for %s that the directory lacks: %w", n.Plural, err)
		}
		if n.AppendOnly && p.opt.Delete && p.plan.Extra[n.Plural] > 0 {
			p.plan.Notices = append(p.plan.Notices, fmt.Sprintf("%d %s that the directory lacks stay: entries of this kind are never deleted.", p.plan.Extra[n.Plural], strings.ReplaceAll(n.Plural, "-", " ")))
		}
	}
	return nil
}
