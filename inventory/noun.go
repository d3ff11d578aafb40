package inventory

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// UID is the random, permanent name of an object: 32 hexadecimal digits (128 bits from the operating system's random source).
// Names and slugs may change; a UID never does.
type UID string

// NewUID makes one.
func NewUID() UID {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return UID(hex.EncodeToString(b[:]))
}

// Valid tells whether u has the shape of a UID.
func (u UID) Valid() bool {
	if len(u) != 32 {
		return false
	}
	_, err := hex.DecodeString(string(u))
	return err == nil && string(u) == strings.ToLower(string(u))
}

// Short is the start of the uid, for where a few people's objects must be told apart.
func (u UID) Short() string { return string(u[:min(8, len(u))]) }

// Meta is embedded in every noun.
type Meta struct {
	UID       UID       `json:"uid" gorm:"primaryKey" berth:"readonly"`
	Revision  int64     `json:"revision" berth:"readonly"` // 1 at creation, one more at each edit; the ETag
	CreatedAt time.Time `json:"created_at" gorm:"autoCreateTime:false" berth:"readonly"`
	UpdatedAt time.Time `json:"updated_at" gorm:"autoUpdateTime:false" berth:"readonly"`
}

// Head gives the mechanism its handle on any noun.
func (m *Meta) Head() *Meta { return m }

// Object is a pointer to a noun.
type Object interface{ Head() *Meta }

// Checker is an Object with rules of its own. Check returns a *Invalid naming the fields, or nil; it may normalise the object
// (trim, lower-case) before it judges.
type Checker interface{ Check() error }

// TxChecker is an Object whose rules need other objects: a device must fit where it is put. CheckIn is called within the transaction
// that stores it; before is what is stored now, nil for a new object. Errors: *Invalid, *Conflict.
type TxChecker interface {
	CheckIn(tx Tx, before Object) error
}

// Corrector is an entry of an append-only noun. Correction is the entry that says that it no longer holds, with its reason; it is what an
// undo adds.
type Corrector interface {
	Correction(now time.Time, req Request) Object
}

// Level is what an account may do; each level includes those before it.
type Level string

// The access levels.
const (
	LevelNone     Level = ""
	LevelViewer   Level = "viewer"
	LevelOperator Level = "operator"
	LevelAdmin    Level = "admin"
)

// Includes tells whether an account of level l may do what needs the level want.
func (l Level) Includes(want Level) bool { return l.rank() >= want.rank() }

func (l Level) rank() int {
	switch l {
	case LevelViewer:
		return 1
	case LevelOperator:
		return 2
	case LevelAdmin:
		return 3
	}
	return 0
}

// Kind is how the value of a field behaves.
type Kind string

// The kinds of field.
const (
	KindText   Kind = "text"
	KindInt    Kind = "int"
	KindFloat  Kind = "float"
	KindBool   Kind = "bool"
	KindTime   Kind = "time" // an instant, UTC
	KindDate   Kind = "date" // a civil date
	KindEnum   Kind = "enum"
	KindRef    Kind = "ref"    // the UID of an object of noun Ref
	KindSecret Kind = "secret" // write-only, encrypted at rest
	KindList   Kind = "list"   // []string
	KindData   Kind = "data"   // a composite, stored as JSON
)

// Field describes one field of a noun. Name is its JSON name and its column.
type Field struct {
	Name, Title string
	Kind        Kind
	Ref         string   // for KindRef: the noun's name
	Values      []string // for KindEnum
	Unit, Help  string
	List        bool // a column of the list by default
	Filter      bool // may be filtered and sorted by; indexed
	Search      bool // quick search looks into it
	Required    bool
	ReadOnly    bool   // set by berth, not by people
	Nullable    bool   // a pointer: "unknown" and zero differ
	Hidden      bool   // never on a wire or a page (password hashes)
	Long        bool   // text of several lines
	Volatile    bool   // read-only, and different by itself from one minute to the next: it stays out of exports
	Owned       bool   // of a Journal noun's ref: deleted together with what it refers to
	Money       bool   // an amount in minor units; only those who may see money see it
	Currency    string // of Money: the field that holds its ISO 4217 code
	GoName      string

	index []int
}

// Noun describes one kind of record. The zero values of its flags are the common case: kept for ever, logged, exported.
type Noun struct {
	Name, Plural string // "rack", "racks": Plural is the REST path, the table and the folder in an export
	Title        string // "Rack"
	New          func() Object
	Natural      string   // the field by which people name one, unique: "slug" or "name"; empty is uid only
	Table        string   // the table, where it is not Plural (a view on another noun)
	Where        []Filter // a view's fixed filter
	Read, Edit   Level    // lowest level that may see it (viewer if empty), and change it through the general forms; Edit empty is nobody
	Journal      bool     // written by the machine's work: not in the change log, not undone, not exported
	AppendOnly   bool     // never changed or deleted, only corrected by another entry
	Observed     bool     // its read-only fields are what machines report and berth works out: an undo leaves them as they are
	Attached     bool     // ties something to an object of any noun, which it names by noun and object; deleted with it
	InFile       string   // the field whose object's file it stands in, in an export: a device's interfaces; empty is a file of its own
	Group        string   // the heading it stands under where nouns are listed
	Sort         string   // default order of the list; "-created_at" descends
	Help         string   // one sentence for the empty list and the docs
	Fields       []Field
}

// Field finds a field by its JSON name.
func (n *Noun) Field(name string) (Field, bool) {
	for _, f := range n.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// Value returns the value of field f in obj, as the Go type declared.
func (f Field) Value(obj Object) any {
	return reflect.ValueOf(obj).Elem().FieldByIndex(f.index).Interface()
}

// Set gives field f of obj a value of the Go type declared; it panics on another type, as reflect does.
func (f Field) Set(obj Object, value any) {
	reflect.ValueOf(obj).Elem().FieldByIndex(f.index).Set(reflect.ValueOf(value))
}

// Pointer returns a pointer to field f in obj, for a decoder to fill.
func (f Field) Pointer(obj Object) any {
	return reflect.ValueOf(obj).Elem().FieldByIndex(f.index).Addr().Interface()
}

// Display is how people call obj: its label, or the start of its uid.
func (n *Noun) Display(obj Object) string {
	if f, ok := n.Field(n.Label()); ok {
		if s := fmt.Sprint(f.Value(obj)); s != "" {
			return s
		}
	}
	return obj.Head().UID.Short()
}

// Label is the field to show where an object is referred to: the natural key, else a name or kind that need not be unique, else "".
func (n *Noun) Label() string {
	for _, name := range []string{n.Natural, "reference", "name", "title", "label", "kind"} {
		if _, ok := n.Field(name); ok {
			return name
		}
	}
	return ""
}

// describe fills in what the struct says. It panics on a bad declaration, which the first test run meets.
func describe(n Noun) *Noun {
	t := reflect.TypeOf(n.New()).Elem()
	n.Fields = appendFields(nil, t, nil)
	if n.Table == "" {
		n.Table = n.Plural
	}
	if n.Read == LevelNone {
		n.Read = LevelViewer
	}
	if n.Sort == "" {
		n.Sort = "created_at"
		if n.Natural != "" {
			n.Sort = n.Natural
		}
	}
	return &n
}

func appendFields(fields []Field, t reflect.Type, prefix []int) []Field {
	for i := range t.NumField() {
		sf := t.Field(i)
		index := append(append([]int{}, prefix...), i)
		if sf.Anonymous {
			fields = appendFields(fields, sf.Type, index)
			continue
		}
		if f, ok := describeField(sf, index); ok {
			fields = append(fields, f)
		}
	}
	return fields
}

func describeField(sf reflect.StructField, index []int) (Field, bool) {
	name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
	hidden := name == "-"
	if hidden {
		name = sf.Tag.Get("column")
	}
	if name == "" || !sf.IsExported() {
		return Field{}, false
	}
	f := Field{Name: name, Title: title(name), GoName: sf.Name, Hidden: hidden, index: index, Nullable: sf.Type.Kind() == reflect.Pointer}
	f.Kind = kindOf(sf.Type)
	for _, word := range strings.Split(sf.Tag.Get("berth"), ",") {
		f.mark(strings.TrimSpace(word), sf)
	}
	f.Help = sf.Tag.Get("help")
	return f, true
}

func (f *Field) mark(word string, sf reflect.StructField) {
	key, value, _ := strings.Cut(word, "=")
	switch key {
	case "":
	case "list":
		f.List = true
	case "filter":
		f.Filter = true
	case "search":
		f.Search = true
	case "required":
		f.Required = true
	case "readonly":
		f.ReadOnly = true
	case "long":
		f.Long = true
	case "volatile":
		f.Volatile, f.ReadOnly = true, true
	case "owned":
		f.Owned = true
	case "unit":
		f.Unit = value
	case "title":
		f.Title = value
	case "money":
		f.Money, f.Currency = true, value
	case "ref":
		f.Kind, f.Ref = KindRef, value
	case "enum":
		f.Kind, f.Values = KindEnum, strings.Split(value, "|")
	default:
		panic(fmt.Sprintf("inventory: field %s has the unknown berth tag %q", sf.Name, word))
	}
}

var (
	timeType   = reflect.TypeFor[time.Time]()
	secretType = reflect.TypeFor[Secret]()
	listType   = reflect.TypeFor[[]string]()
	dateType   = reflect.TypeFor[Date]()
)

func kindOf(t reflect.Type) Kind {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == timeType:
		return KindTime
	case t == dateType:
		return KindDate
	case t == secretType:
		return KindSecret
	case t == listType:
		return KindList
	}
	switch t.Kind() {
	case reflect.String:
		return KindText
	case reflect.Int, reflect.Int64:
		return KindInt
	case reflect.Float64:
		return KindFloat
	case reflect.Bool:
		return KindBool
	}
	return KindData
}

// title turns "asset_tag" into "Asset tag", and keeps what the field writes in capitals.
func title(name string) string {
	words := strings.Split(name, "_")
	for i, w := range words {
		switch w {
		case "uid", "uuid", "bmc", "mac", "dns", "ntp", "url", "os", "wwn", "ssh", "dhcp", "ip", "id", "eol", "bios", "vlan":
			words[i] = strings.ToUpper(w)
		}
	}
	s := strings.Join(words, " ")
	return strings.ToUpper(s[:1]) + s[1:]
}

// NounOf finds a noun by its name or plural.
func NounOf(name string) (*Noun, bool) {
	n, ok := byName[name]
	return n, ok
}

var byName = func() map[string]*Noun {
	m := make(map[string]*Noun, 2*len(Nouns))
	for _, n := range Nouns {
		m[n.Name], m[n.Plural] = n, n
	}
	return m
}()

// NounFor finds the noun whose struct T is; it panics if T is no noun. Of a struct that has a view besides, it is the noun and not the view.
func NounFor[T any]() *Noun { return nounOfType(reflect.TypeFor[T]()) }

// Describe finds the noun of an object, as NounFor does.
func Describe(obj Object) *Noun { return nounOfType(reflect.TypeOf(obj).Elem()) }

func nounOfType(t reflect.Type) *Noun {
	if n := byType[t]; n != nil {
		return n
	}
	panic(fmt.Sprintf("inventory: %s is no noun", t))
}

var byType = func() map[reflect.Type]*Noun {
	m := make(map[reflect.Type]*Noun, len(Nouns))
	for _, n := range Nouns {
		if n.Where == nil {
			m[reflect.TypeOf(n.New()).Elem()] = n
		}
	}
	return m
}()
