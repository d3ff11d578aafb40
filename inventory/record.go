package inventory

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Record is what can be done with the nouns; inventory/store carries it out on SQLite and PostgreSQL.
//
// Reads see the last commit. Every write goes through Edit, which is one transaction: either all of it, with its entries in the
// change log, or nothing.
type Record interface {
	// List returns one page. Errors: *Invalid for a field, operator or cursor that does not exist.
	List(ctx context.Context, n *Noun, q Query) (Page, error)
	// Get finds one object by uid or by its natural key. Errors: ErrNotFound.
	Get(ctx context.Context, n *Noun, ref string) (Object, error)
	// Edit runs fn in one transaction on behalf of req. It may run fn again when the database asks for a retry, so fn does nothing
	// but read and write through tx. An error from fn rolls everything back and is returned as it is.
	Edit(ctx context.Context, req Request, fn func(tx Tx) error) error
	// Undo makes the opposite edits of one change (by its uid) or of a whole request (by its id), with the same checks as any edit.
	// Errors: *Conflict, which says what changed since; ErrNotFound.
	Undo(ctx context.Context, req Request, changeOrRequest UID) error
	// Reveal opens a sealed secret.
	Reveal(s Secret) (string, error)
	// Search finds objects of any noun by a part of a text. Errors: *Invalid for a text that is too long.
	Search(ctx context.Context, q SearchQuery) (Hits, error)
	// Watch returns a channel that gets a value after commits that touched one of the nouns' tables, coalesced; it is closed when ctx ends.
	Watch(ctx context.Context, nouns ...*Noun) <-chan struct{}
}

// Tx is a transaction of Edit.
type Tx interface {
	Context() context.Context
	Now() time.Time
	Get(n *Noun, ref string) (Object, error)
	List(n *Noun, q Query) (Page, error)
	// Create stores a new object, giving it a uid if it has none, revision 1 and the time. Errors: *Invalid, *Conflict (a unique key).
	Create(obj Object) error
	// Update stores a changed object. If its Revision is not 0 it must be the stored one, else *Conflict. Errors: *Invalid, ErrNotFound.
	Update(obj Object) error
	// Delete removes an object. Errors: *Conflict naming what still refers to it.
	Delete(obj Object) error
}

// Recreator is a Tx that can store a new object under the time of creation that it brings along: one that comes back from a text was not
// made today.
type Recreator interface {
	Recreate(obj Object) error
}

// Snapshotter is a Record that can be read as it is at one moment, however long the reading takes and whoever edits meanwhile.
type Snapshotter interface {
	Snapshot(ctx context.Context, fn func(at Reader) error) error
}

// Reader is what a snapshot offers.
type Reader interface {
	List(ctx context.Context, n *Noun, q Query) (Page, error)
	Get(ctx context.Context, n *Noun, ref string) (Object, error)
}

// Backup is what a backup of the record says about itself.
type Backup struct {
	Format int       `json:"format"`
	Schema int64     `json:"schema"`
	MadeAt time.Time `json:"made_at"`
	// Rows by table; known when the backup is whole.
	Rows      map[string]int64 `json:"rows,omitempty"`
	Documents int              `json:"documents"`
	// MissingDocuments are those whose bytes are not on this server, so that they are no part of the backup.
	MissingDocuments int `json:"missing_documents,omitempty"`
}

// Request says on whose behalf an edit is made. ID groups the changes that one request caused.
type Request struct {
	ID  UID
	By  Actor
	Why string // at most 200 characters, may be empty
}

// NewRequest starts a request of actor by.
func NewRequest(by Actor, why string) Request {
	return Request{ID: NewUID(), By: by, Why: why}
}

// Actor is who does something: a person's account, a token, a machine's agent, or berth itself.
type Actor struct {
	Account UID    `json:"account,omitempty"` // empty for agents and berth itself
	Name    string `json:"name"`              // "anna", "agent of node-7", "berth"
	Level   Level  `json:"level"`
	Money   bool   `json:"money,omitempty"` // may see and change amounts; see SeesMoney
}

// SeesMoney tells whether the actor may see and change amounts of money: an admin always may, others by their account.
func (a Actor) SeesMoney() bool { return a.Money || a.Level.Includes(LevelAdmin) }

// Berth is the actor of what the server does by itself.
var Berth = Actor{Name: "berth", Level: LevelAdmin}

// Op compares a field with a value.
type Op string

// The operators of filters.
const (
	OpIs       Op = "is"
	OpNot      Op = "not"
	OpIn       Op = "in" // Value is separated by commas
	OpContains Op = "contains"
	OpStarts   Op = "starts"
	OpEmpty    Op = "empty" // Value "true" or "false"
	OpLess     Op = "lt"
	OpMore     Op = "gt"
)

// Filter is one condition. All of a query's filters must hold.
type Filter struct {
	Field string
	Op    Op
	Value string
}

// Limits of a page.
const (
	DefaultPage = 50
	MaxPage     = 1000
)

// Query asks for a page of a noun.
type Query struct {
	Filters []Filter
	Search  string   // looks for a part of the text in every search field
	Tags    []string // slugs of tags; the objects have all of them
	Sort    string   // a filter field, or created_at; "-" in front descends
	Limit   int      // 0 is DefaultPage; at most MaxPage
	Cursor  string   // Next of the page before
	Count   bool     // ask for Total
	NoNames bool     // leave Names out
	// Only names the fields to read, for who draws many objects of which little is seen; uid and the order's field come too, and all others
	// stay empty. Such an object is looked at, never stored.
	Only []string
}

// Page is the answer to a Query.
type Page struct {
	Items []Object
	Next  string // empty on the last page
	// Total is how many match; exact up to 10,000, beyond that "at least" (Exact false).
	Total int64
	Exact bool
	// Names is what to call the objects that the items refer to, by uid.
	Names map[UID]string
}

// ErrNotFound is returned for an object that does not exist, or not for this reader.
var ErrNotFound = errors.New("not found")

// ErrForbidden is returned to an actor whose access level is too low for an edit.
var ErrForbidden = errors.New("not allowed at this access level")

// ErrFenced is returned to a holder of an operation's lease whose time is over: another claimed it, or it ended. What it was about
// to store is not stored.
var ErrFenced = errors.New("the operation is no longer ours")

// Invalid says which fields of an object or a query cannot be accepted, and why.
type Invalid struct {
	Noun   string
	Fields map[string]string // by JSON name; "" is the object as a whole
}

func (e *Invalid) Error() string {
	var parts []string
	for name, why := range e.Fields {
		if name == "" {
			parts = append(parts, why)
			continue
		}
		parts = append(parts, name+": "+why)
	}
	slices.Sort(parts)
	return fmt.Sprintf("%s cannot be accepted: %s", e.Noun, strings.Join(parts, "; "))
}

// NotAllowed is Invalid for one field.
func NotAllowed(noun, field, why string, args ...any) *Invalid {
	return &Invalid{Noun: noun, Fields: map[string]string{field: fmt.Sprintf(why, args...)}}
}

// Conflict says that the record is not as the editor thought it was.
type Conflict struct {
	Noun string
	UID  UID
	Why  string
	// Details are the sentences of Why, one for each thing that stands in the way, where there can be several.
	Details []string
}

func (e *Conflict) Error() string { return fmt.Sprintf("%s %s: %s", e.Noun, e.UID, e.Why) }

// List is Record.List for a noun known when the code is written.
func List[T any](ctx context.Context, r interface {
	List(context.Context, *Noun, Query) (Page, error)
}, q Query) ([]*T, error) {
	q.NoNames = true
	page, err := r.List(ctx, NounFor[T](), q)
	if err != nil {
		return nil, err
	}
	return Items[T](page), nil
}

// ListAll reads what matches q page by page, in q's order, until limit objects are read; 0 is no limit. list is the List of a record or of a
// transaction, on whose behalf it reads.
func ListAll[T any](list func(*Noun, Query) (Page, error), q Query, limit int) ([]*T, error) {
	if limit <= 0 {
		limit = math.MaxInt
	}
	q.Limit, q.NoNames = min(limit, MaxPage), true
	var out []*T
	for {
		page, err := list(NounFor[T](), q)
		if err != nil {
			return nil, err
		}
		out = append(out, Items[T](page)...)
		if q.Cursor = page.Next; q.Cursor == "" || len(out) >= limit {
			return out[:min(len(out), limit)], nil
		}
	}
}

// Get is Record.Get for a noun known when the code is written.
func Get[T any](ctx context.Context, r interface {
	Get(context.Context, *Noun, string) (Object, error)
}, ref string) (*T, error) {
	obj, err := r.Get(ctx, NounFor[T](), ref)
	if err != nil {
		return nil, err
	}
	return any(obj).(*T), nil
}

// Items gives a page's items their type.
func Items[T any](p Page) []*T {
	out := make([]*T, len(p.Items))
	for i, item := range p.Items {
		out[i] = any(item).(*T)
	}
	return out
}

// Is is the commonest filter.
func Is[V ~string](field string, value V) Filter {
	return Filter{Field: field, Op: OpIs, Value: string(value)}
}

// TxList is Tx.List for a noun known when the code is written.
func TxList[T any](tx Tx, q Query) ([]*T, error) {
	q.NoNames = true
	page, err := tx.List(NounFor[T](), q)
	if err != nil {
		return nil, err
	}
	return Items[T](page), nil
}

// TxGet is Tx.Get for a noun known when the code is written.
func TxGet[T any](tx Tx, ref string) (*T, error) {
	obj, err := tx.Get(NounFor[T](), ref)
	if err != nil {
		return nil, err
	}
	return any(obj).(*T), nil
}
