// Package store keeps the record of berth in SQL: SQLite under one directory by default, PostgreSQL where several servers share it. It
// satisfies inventory.Record, and the ledger that the engine of package provision declares.
//
// Everything about a noun is derived from its descriptor: there is no code here for racks or images. Reading order: store.go (opening),
// edit.go (transactions), tx.go (what an edit does to one object), query.go (lists), searchindex.go and search.go (finding by a part of a
// text), undo.go (the change log read backwards), ledger.go (leases on operations), seal.go (secrets).
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync/atomic"
	"syscall"
	"time"

	"berth/inventory"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/schema"
)

// Options say where the record is.
type Options struct {
	// Dir is the directory of SQLite's file, berth.db; it is made if it does not exist, and belongs to one process at a time.
	Dir string
	// DSN is a postgres:// URL; when it is set, Dir is not used.
	DSN string
	// Sealer encrypts secrets. Without one, a secret is refused, and a record that holds some does not open.
	Sealer inventory.Sealer
	Log    *slog.Logger
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// OnChange is called at the end of each edit that people will find in the change log, with its entries, and may store more through tx;
	// nil does nothing. What it stores is committed with the edit, and an error of it refuses the edit.
	OnChange func(tx inventory.Tx, changes []*inventory.Change) error
	// OnSQL is told each statement, for tests and counters. Its text may hold values.
	OnSQL func(sql string)
}

// Store is the record in a database. Its methods may be called at once from many goroutines.
type Store struct {
	opt    Options
	read   *gorm.DB
	write  *gorm.DB
	driver driver
	hub    hub
	stop   context.CancelFunc
	close  []func() error          // in the order of opening
	sick   atomic.Pointer[illness] // why the database took no edit last; nil when it did
}

// driver is in what the two databases differ.
type driver interface {
	// transact runs work in one transaction, or again in another when the database asks for it. It wraps no error of work's.
	transact(ctx context.Context, work func(db *gorm.DB) error) error
	// announce tells other servers, within a transaction, which tables it touches.
	announce(db *gorm.DB, tables []string) error
	// lock is the clause that keeps rows of a SELECT for this transaction; option says what of rows that others keep.
	lock(option string) string
	// addDocs puts documents into the search index: a JSON list of [object, noun, text], none of which is in it.
	addDocs(db *gorm.DB, list string) error
	// removeDocs takes out of it what it has of the objects.
	removeDocs(db *gorm.DB, objects []inventory.UID) error
	// matching is the SQL, with its one value, that yields the documents that hold a text; n may be nil, and helps to find them.
	matching(text string, n *inventory.Noun) (from, where string, arg any)
	// plus goes before a column that no index shall be used for; empty where the database judges better itself.
	plus() string
	// inList is the right side of an IN whose value is a JSON list of texts.
	inList() string
	// explain gives an error of the database a sentence.
	explain(err error) error
}

// Open opens the record, brings its schema up to date, and checks that the key is the one its secrets were sealed with.
func Open(ctx context.Context, opt Options) (*Store, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &Store{opt: opt, stop: stop}
	open := s.openSQLite
	if opt.DSN != "" {
		open = s.openPostgres
	}
	err := open(ctx, background)
	if err == nil {
		err = s.checkKey(ctx)
	}
	if err == nil {
		err = s.fillSearch(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close ends the store's work and gives the directory free. Edits at work are finished first.
func (s *Store) Close() error {
	s.stop()
	var errs []error
	for i := len(s.close) - 1; i >= 0; i-- {
		errs = append(errs, s.close[i]())
	}
	s.close = nil
	return errors.Join(errs...)
}

// Health says what is wrong with the database, or nil: that it cannot be read now, or that it could not be written the last time it was
// asked to, as on a full disk. It is well again after the next edit that it takes.
func (s *Store) Health(ctx context.Context) error {
	if sick := s.sick.Load(); sick != nil {
		return sick
	}
	_, err := s.List(ctx, inventory.NounFor[inventory.Setting](), inventory.Query{Limit: 1})
	return err
}

// transact runs work in one transaction, and keeps an eye on whether the database takes it.
func (s *Store) transact(ctx context.Context, work func(db *gorm.DB) error) error {
	err := s.driver.explain(s.driver.transact(ctx, work))
	var ill *illness
	switch {
	case err == nil:
		s.sick.Store(nil)
	case errors.As(err, &ill):
		s.sick.Store(ill)
	}
	return err
}

// illness is an error of the database itself, in contrast to one of the edit.
type illness struct {
	sentence string
	err      error
}

func (e *illness) Error() string { return e.sentence + ": " + e.err.Error() }

func (e *illness) Unwrap() error { return e.err }

// Is lets callers test for a full disk.
func (e *illness) Is(target error) bool {
	return e.sentence == ErrFull.Error() && errors.Is(ErrFull, target)
}

func (s *Store) now() time.Time { return s.opt.Now().UTC().Truncate(time.Microsecond) }

// gormConfig is the same for every connection: columns are named by the descriptors, and nothing happens that is not asked for.
func (s *Store) gormConfig() *gorm.Config {
	return &gorm.Config{
		NamingStrategy:         newNamer(),
		NowFunc:                s.now,
		Logger:                 sqlLogger{s.opt.OnSQL},
		SkipDefaultTransaction: true,
		TranslateError:         true,
		DisableAutomaticPing:   true,
	}
}

// Reveal opens a sealed secret.
func (s *Store) Reveal(secret inventory.Secret) (string, error) {
	switch {
	case secret.IsPlain():
		return secret.Reveal(), nil
	case secret.Sealed() == "":
		return "", nil
	case s.opt.Sealer == nil:
		return "", errNoKey
	}
	return s.opt.Sealer.Open(secret.Sealed())
}

// namer names tables and columns by the descriptors: the column is the JSON name of the field.
type namer struct {
	schema.NamingStrategy
	tables  map[string]string    // by the name of the struct
	columns map[[2]string]string // by table and Go field
}

func newNamer() namer {
	n := namer{tables: map[string]string{}, columns: map[[2]string]string{}}
	for _, noun := range inventory.Nouns {
		n.tables[reflect.TypeOf(noun.New()).Elem().Name()] = noun.Table
		for _, f := range noun.Fields {
			n.columns[[2]string{noun.Table, f.GoName}] = f.Name
		}
	}
	return n
}

// TableName implements schema.Namer.
func (n namer) TableName(str string) string { return n.tables[str] }

// ColumnName implements schema.Namer.
func (n namer) ColumnName(table, field string) string {
	if column, ok := n.columns[[2]string{table, field}]; ok {
		return column
	}
	return n.NamingStrategy.ColumnName(table, field)
}

// sqlLogger passes on the text of statements and logs nothing by itself: errors are returned, and values may be secret.
type sqlLogger struct{ onSQL func(string) }

func (l sqlLogger) LogMode(logger.LogLevel) logger.Interface { return l }
func (sqlLogger) Info(context.Context, string, ...any)       {}
func (sqlLogger) Warn(context.Context, string, ...any)       {}
func (sqlLogger) Error(context.Context, string, ...any)      {}

// ParamsFilter keeps values out of the text.
func (sqlLogger) ParamsFilter(_ context.Context, sql string, _ ...any) (string, []any) {
	return sql, nil
}

func (l sqlLogger) Trace(_ context.Context, _ time.Time, text func() (string, int64), _ error) {
	if l.onSQL != nil {
		sql, _ := text()
		l.onSQL(sql)
	}
}

// quote writes a column or table name of a descriptor; both databases take double quotes.
func quote(name string) string { return `"` + name + `"` }

// ErrFull is wrapped by errors that come from a full disk: nothing of the edit was stored.
// Where this package is not known it is found as syscall.ENOSPC.
var ErrFull error = fullDisk{}

type fullDisk struct{}

func (fullDisk) Error() string        { return "there is no space left for the database" }
func (fullDisk) Is(target error) bool { return target == syscall.ENOSPC }

func notFound(n *inventory.Noun, ref string) error {
	return fmt.Errorf("%s %q: %w", n.Name, ref, inventory.ErrNotFound)
}
