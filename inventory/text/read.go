package text

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"berth/inventory"

	"gopkg.in/yaml.v3"
)

// Bounds of what is read. They are generous for people and finite for everybody else.
const (
	maxFile     = 16 << 20  // bytes of one file
	maxTotal    = 512 << 20 // bytes of all files together
	maxEntries  = 2_000_000 // objects of a directory
	maxDepth    = 40        // nesting of a value
	maxProblems = 50        // faults that are told
)

// entry is one object as the files have it.
type entry struct {
	noun   *inventory.Noun
	obj    inventory.Object
	file   string
	line   int
	parent *entry      // the object in whose file it stands; nil is a file of its own
	refs   []ref       // references, still as they are written
	lines  []fieldLine // where each field stands
	named  bool        // its uid was written
	lost   bool        // one of its references leads nowhere, which is told already
}

// fieldLine says where a field stands. There are millions: a map for each entry would be most of the memory.
type fieldLine struct {
	name string
	line int
}

// at is the line of a field, 0 where the entry does not mention it.
func (e *entry) at(name string) int {
	for _, l := range e.lines {
		if l.name == name {
			return l.line
		}
	}
	return 0
}

// ref is a reference as it is written.
type ref struct {
	field inventory.Field
	name  string
	line  int
}

// Directory is what was read. It is made by NewDirectory and filled by Add.
type Directory struct {
	// Whole says that the directory has the file berth.yaml, and so claims to be the whole record.
	Whole bool

	entries  []*entry
	byUID    map[inventory.UID]*entry
	byName   map[string]map[string]*entry // by noun and natural key
	blobs    map[string]bool              // digests of the documents whose bytes came along
	problems map[string]string
	total    int64
	digest   map[string]string // by file
}

// NewDirectory is an empty directory.
func NewDirectory() *Directory {
	return &Directory{byUID: map[inventory.UID]*entry{}, byName: map[string]map[string]*entry{}, blobs: map[string]bool{},
		problems: map[string]string{}, digest: map[string]string{}}
}

// Read reads a directory from files, by name with slashes. Errors: those of Add and Err.
func Read(files map[string][]byte) (*Directory, error) {
	d := NewDirectory()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := d.Add(name, bytes.NewReader(files[name])); err != nil {
			return nil, err
		}
	}
	return d, d.Err()
}

// Add reads one file. What is wrong with it is gathered for Err, with file and line, so that all of it can be told at once; the errors
// returned here are those after which reading on makes no sense: too much, or a reader that fails.
func (d *Directory) Add(name string, r io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", cut(name), err)
	}
	if d.total += int64(len(data)); d.total > maxTotal {
		return inventory.NotAllowed("directory", "", "the files hold more than %d MiB", maxTotal>>20)
	}
	if len(data) > maxFile {
		d.fault(name, 0, "is larger than %d MiB", maxFile>>20)
		return nil
	}
	sum := sha256.Sum256(data)
	d.digest[name] = hex.EncodeToString(sum[:])
	if name == Marker {
		d.Whole = true
		return nil
	}
	folder, file, ok := strings.Cut(name, "/")
	n, known := inventory.NounOf(folder)
	switch {
	case !ok || strings.Contains(file, "/") || !strings.HasSuffix(file, ".yaml") || len(name) > 300:
		d.fault(name, 0, "is not the name of a file of the record: racks/r1.yaml is one")
	case !known || n.Plural != folder || !slices.Contains(exported, n) || n.Attached:
		d.fault(name, 0, "there is no kind of record %s with files of its own", cut(folder))
	default:
		d.parse(n, name, data)
	}
	if len(d.entries) > maxEntries {
		return inventory.NotAllowed("directory", "", "there are more than %d objects", maxEntries)
	}
	return nil
}

// Digest is one for the whole directory: SHA-256, in hexadecimal digits, over the names and digests of its files.
func (d *Directory) Digest() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(d.digest)) {
		fmt.Fprintf(h, "%s  %s\n", d.digest[name], name)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Err is what was wrong with the files, by "file:line"; nil if nothing was. Errors: *inventory.Invalid.
func (d *Directory) Err() error {
	if len(d.problems) == 0 {
		return nil
	}
	return &inventory.Invalid{Noun: "directory", Fields: d.problems}
}

func (d *Directory) fault(file string, line int, why string, args ...any) {
	at := clean(file)
	if line > 0 {
		at += ":" + strconv.Itoa(line)
	}
	why = fmt.Sprintf(why, args...)
	if old := d.problems[at]; old != "" {
		why = old + "; " + why
	} else if len(d.problems) == maxProblems {
		d.problems["…"] = "there is more; these are the first"
		return
	}
	d.problems[at] = why
}

// clean makes a file's name printable.
func clean(name string) string {
	quoted := strconv.Quote(name)
	if quoted[1:len(quoted)-1] == name && len(name) <= 300 {
		return name
	}
	return cut(name)
}

func (d *Directory) parse(n *inventory.Noun, file string, data []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			d.fault(file, 0, "is empty")
			return
		}
		d.fault(file, 0, "cannot be read: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		return
	}
	var next yaml.Node
	if err := decoder.Decode(&next); !errors.Is(err, io.EOF) {
		d.fault(file, next.Line, "holds more than one document")
		return
	}
	if len(doc.Content) != 1 || !d.harmless(file, doc.Content[0], 0) {
		return
	}
	d.object(n, file, doc.Content[0], nil, 0)
}

// harmless refuses what a file of the record has no use for and an attacker has: aliases, which multiply, and tags, keys and depths that
// no export writes.
func (d *Directory) harmless(file string, n *yaml.Node, depth int) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.fault(file, n.Line, "anchors and aliases are not read: write the value out")
		return false
	case depth > maxDepth:
		d.fault(file, n.Line, "is nested deeper than %d", maxDepth)
		return false
	case n.Style&yaml.TaggedStyle != 0:
		d.fault(file, n.Line, "tags such as %s are not read", cut(n.Tag))
		return false
	}
	seen := map[string]bool{}
	for i, c := range n.Content {
		if !d.harmless(file, c, depth+1) {
			return false
		}
		if n.Kind != yaml.MappingNode || i%2 == 1 {
			continue
		}
		if c.Kind != yaml.ScalarNode || c.ShortTag() == "!!merge" || seen[c.Value] {
			d.fault(file, c.Line, "the key %s is no plain word, or stands there twice", cut(c.Value))
			return false
		}
		seen[c.Value] = true
	}
	return true
}

// object reads one mapping as an object of a noun, and what stands in it.
func (d *Directory) object(n *inventory.Noun, file string, node *yaml.Node, parent *entry, index int) {
	if node.Kind != yaml.MappingNode {
		d.fault(file, node.Line, "a %s is a mapping of its fields", n.Name)
		return
	}
	e := &entry{noun: n, obj: n.New(), file: file, line: node.Line, parent: parent}
	below := map[*inventory.Noun]*yaml.Node{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if child, ok := inventory.NounOf(key.Value); ok && child.Plural == key.Value && slices.Contains(inside(n), child) {
			below[child] = value
			continue
		}
		d.pair(e, key, value)
	}
	d.settle(e, index)
	d.entries = append(d.entries, e)
	for _, child := range inside(n) {
		d.children(child, below[child], e)
	}
}

func (d *Directory) children(child *inventory.Noun, value *yaml.Node, parent *entry) {
	if value == nil || value.Kind == yaml.ScalarNode && value.ShortTag() == "!!null" {
		return
	}
	if value.Kind != yaml.SequenceNode {
		d.fault(parent.file, value.Line, "%s are a list", child.Plural)
		return
	}
	for i, item := range value.Content {
		d.object(child, parent.file, item, parent, i)
	}
}

// pair reads one key and its value.
func (d *Directory) pair(e *entry, key, value *yaml.Node) {
	f, ok := e.noun.Field(key.Value)
	switch {
	case key.Value == "uid":
		uid := inventory.UID(value.Value)
		if value.Kind != yaml.ScalarNode || !uid.Valid() {
			d.fault(e.file, value.Line, "uid is not 32 hexadecimal digits")
			return
		}
		e.obj.Head().UID, e.named = uid, true
	case key.Value == noted:
		d.notes(e, value)
	case ok && e.parent != nil && slices.Contains(implied(e.noun, true), f.Name):
		d.fault(e.file, key.Line, "%s is said by the place where it stands", f.Name)
	case ok && mayState(f):
		d.field(e, f, value)
	default:
		d.fault(e.file, key.Line, "a %s has no field %s that can be set", e.noun.Name, cut(key.Value))
	}
}

// notes reads what berth noted.
func (d *Directory) notes(e *entry, value *yaml.Node) {
	if value.Kind != yaml.MappingNode {
		d.fault(e.file, value.Line, "noted is a mapping")
		return
	}
	for i := 0; i+1 < len(value.Content); i += 2 {
		f, ok := e.noun.Field(value.Content[i].Value)
		if !ok || !mayNote(f) {
			d.fault(e.file, value.Content[i].Line, "berth notes no %s of a %s", cut(value.Content[i].Value), e.noun.Name)
			continue
		}
		d.field(e, f, value.Content[i+1])
	}
}

func (d *Directory) field(e *entry, f inventory.Field, value *yaml.Node) {
	e.lines = append(e.lines, fieldLine{f.Name, value.Line})
	if f.Kind == inventory.KindRef {
		name, null, err := scalarOf(value)
		if err != nil {
			d.fault(e.file, value.Line, "%s %v", f.Name, err)
		} else if name != "" && !null {
			e.refs = append(e.refs, ref{f, name, value.Line})
		}
		return
	}
	if err := set(f, e.obj, value); err != nil {
		d.fault(e.file, value.Line, "%s %v", f.Name, err)
	}
}

// settle gives an entry that has no uid one made of what it is called and where it stands, so that it is the same object when the
// directory is brought in again; and enters it where others find it.
func (d *Directory) settle(e *entry, index int) {
	e.noun.Tidy(e.obj)
	if checker, ok := e.obj.(inventory.Checker); ok {
		_ = checker.Check() // it makes a slug of a name; what it finds wrong is told by the plan
	}
	head, key := e.obj.Head(), natural(e.noun, e.obj)
	if !e.named {
		head.UID = derived(e, key, index)
	}
	if d.byName[e.noun.Name] == nil {
		d.byName[e.noun.Name] = map[string]*entry{}
	}
	if other := d.byName[e.noun.Name][key]; other != nil && key != "" {
		d.fault(e.file, e.line, "the %s %s stands in %s:%d too", e.noun.Natural, cut(key), clean(other.file), other.line)
		return
	}
	if other := d.byUID[head.UID]; other != nil {
		d.fault(e.file, e.line, "the same uid stands in %s:%d", clean(other.file), other.line)
		return
	}
	d.byUID[head.UID] = e
	d.byName[e.noun.Name][key] = e
	if e.parent != nil && e.noun.Attached {
		e.tie()
	} else if f, ok := e.noun.Field(e.noun.InFile); ok && e.parent != nil {
		f.Set(e.obj, e.parent.obj.Head().UID)
	}
}

// tie names the object whose file an attached one stands in.
func (e *entry) tie() {
	f, _ := e.noun.Field("noun")
	f.Set(e.obj, e.parent.noun.Name)
	f, _ = e.noun.Field("object")
	f.Set(e.obj, e.parent.obj.Head().UID)
}

// derived is the uid of an object whose author left it out.
func derived(e *entry, key string, index int) inventory.UID {
	place := ""
	if e.parent != nil {
		place = string(e.parent.obj.Head().UID)
	}
	if f, ok := e.noun.Field(e.noun.Label()); ok && key == "" && f.Kind != inventory.KindRef {
		key = fmt.Sprint(f.Value(e.obj))
	}
	if key == "" {
		key = strconv.Itoa(index)
	}
	if place == "" && e.noun.Natural == "" {
		key = e.file
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{"berth text", e.noun.Name, place, key}, "\x00")))
	return inventory.UID(hex.EncodeToString(sum[:16]))
}

// refuse tells what the rules of a noun find in an entry, at the lines where it stands.
func (d *Directory) refuse(e *entry, err error) error {
	var invalid *inventory.Invalid
	var conflict *inventory.Conflict
	switch {
	case errors.As(err, &invalid):
		for field, why := range invalid.Fields {
			d.fault(e.file, cmp.Or(e.at(field), e.line), "%s", strings.TrimSpace(field+" "+why))
		}
	case errors.As(err, &conflict):
		d.fault(e.file, e.line, "%s", conflict.Why)
	default:
		return err
	}
	return nil
}
