package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"berth/inventory"
	"berth/migrations"

	"github.com/pressly/goose/v3"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// column is what a database says of one of its columns, in words that both databases share.
type column struct {
	Name, Type string
	Nullable   bool
}

// columnsOf asks the database's own catalogue.
func columnsOf(t *testing.T, s *Store, table string) []column {
	t.Helper()
	sql := `SELECT column_name AS name, data_type AS type, is_nullable = 'YES' AS nullable FROM information_schema.columns WHERE table_name = ?`
	if s.opt.DSN == "" {
		sql = `SELECT name, type, "notnull" = 0 AND pk = 0 AS nullable FROM pragma_table_info(?)`
	}
	var columns []column
	if err := s.read.Raw(sql, table).Scan(&columns).Error; err != nil {
		t.Fatal(err)
	}
	for i := range columns {
		columns[i].Type = strings.TrimSuffix(strings.ToLower(columns[i].Type), " without time zone")
	}
	slices.SortFunc(columns, func(a, b column) int { return strings.Compare(a.Name, b.Name) })
	return columns
}

func typeOf(f inventory.Field) string {
	switch f.Kind {
	case inventory.KindInt:
		return "bigint"
	case inventory.KindFloat:
		return "double precision"
	case inventory.KindBool:
		return "boolean"
	case inventory.KindTime:
		return "timestamp"
	}
	return "text"
}

// TestSchemaIsTheNouns holds the migrated schema against the descriptors: exactly their columns, with the type of their kind.
func TestSchemaIsTheNouns(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		for _, n := range inventory.Nouns {
			var want []column
			for _, f := range n.Fields {
				want = append(want, column{f.Name, typeOf(f), f.Nullable || f.Kind == inventory.KindData})
			}
			slices.SortFunc(want, func(a, b column) int { return strings.Compare(a.Name, b.Name) })
			if got := columnsOf(t, s, n.Table); !reflect.DeepEqual(got, want) {
				t.Errorf("table %s:\n got %v\nwant %v", n.Table, got, want)
			}
		}
	})
}

// TestColumnsAreJSONNames asks gorm itself what it calls the columns.
func TestColumnsAreJSONNames(t *testing.T) {
	var cache sync.Map
	for _, n := range inventory.Nouns {
		parsed, err := schema.Parse(n.New(), &cache, newNamer())
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, f := range n.Fields {
			want = append(want, f.Name)
		}
		if got := parsed.DBNames; parsed.Table != n.Table || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: gorm has table %s with %v\nwant %v", n.Name, parsed.Table, got, want)
		}
	}
}

// TestIndexes: what people name a thing by has a unique index, and what others refer to can be found without reading the table.
func TestIndexes(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir()})
	for _, n := range inventory.Nouns {
		var indexed []string
		err := s.read.Raw(`SELECT i.name || CASE WHEN l."unique" THEN ' unique' ELSE '' END FROM pragma_index_list(?) AS l, pragma_index_info(l.name) AS i WHERE i.seqno = 0`, n.Table).Scan(&indexed).Error
		if err != nil {
			t.Fatal(err)
		}
		if n.Natural != "" && !slices.Contains(indexed, n.Natural+" unique") {
			t.Errorf("%s.%s is a key without a unique index", n.Table, n.Natural)
		}
		for _, f := range n.Fields {
			if f.Kind == inventory.KindRef && !n.Journal && !slices.Contains(indexed, f.Name) {
				t.Errorf("%s.%s refers to a %s and has no index: deleting one would read the whole table", n.Table, f.Name, f.Ref)
			}
		}
	}
}

// TestUpgrade takes a record of the first schema, with a row in each table, to the newest: the rows are still there, and the schema is
// what a new record gets.
func TestUpgrade(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		rows := firstRecord(t, opt)
		s := openTest(t, opt)
		for table, uid := range rows {
			var found int64
			if err := s.read.Raw("SELECT COUNT(*) FROM "+quote(table)+` WHERE "uid" = ?`, uid).Scan(&found).Error; err != nil || found != 1 {
				t.Errorf("the row of %s: %d found, %v", table, found, err)
			}
		}
		fresh := opt
		if opt.Dir != "" {
			fresh.Dir = t.TempDir()
		}
		other := openTest(t, fresh)
		for table := range rows {
			if got, want := columnsOf(t, s, table), columnsOf(t, other, table); !reflect.DeepEqual(got, want) {
				t.Errorf("table %s:\nupgraded %v\nfresh    %v", table, got, want)
			}
		}
	})
}

// firstRecord makes a record of schema version 1 with one row in each of its tables, by SQL alone, since today's structs may not fit it.
func firstRecord(t *testing.T, opt Options) map[string]inventory.UID {
	t.Helper()
	first, err := migrations.Files.ReadFile("0001_first.sql")
	if err != nil {
		t.Fatal(err)
	}
	opt.Now = time.Now
	s, dialect := &Store{opt: opt}, goose.DialectSQLite3
	if opt.DSN != "" {
		dialect = goose.DialectPostgres
		s.write, err = gorm.Open(postgres.Open(opt.DSN), s.gormConfig())
	} else {
		s.write, err = s.connectSQLite(filepath.Join(opt.Dir, "berth.db"), 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.read = s.write
	pool, err := s.write.DB()
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	provider, err := goose.NewProvider(dialect, pool, fstest.MapFS{"0001_first.sql": {Data: first}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows := map[string]inventory.UID{}
	for _, n := range inventory.Nouns {
		if rows[n.Table] == "" && len(columnsOf(t, s, n.Table)) > 0 { // a table of a later noun is not there yet
			rows[n.Table] = inventory.NewUID()
			insertDefaults(t, s, n.Table, rows[n.Table])
		}
	}
	return rows
}

// insertDefaults puts a row of empty values into a table, whatever columns it has.
func insertDefaults(t *testing.T, s *Store, table string, uid inventory.UID) {
	t.Helper()
	var names, values []string
	for _, c := range columnsOf(t, s, table) {
		value := map[string]string{"bigint": "1", "double precision": "1", "boolean": "TRUE", "timestamp": "'2026-01-01 00:00:00+00:00'", "text": "''"}[c.Type]
		if c.Name == "uid" {
			value = "'" + string(uid) + "'"
		}
		if c.Nullable {
			value = "NULL"
		}
		names, values = append(names, quote(c.Name)), append(values, value)
	}
	sql := fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", quote(table), strings.Join(names, ", "), strings.Join(values, ", "))
	if err := s.write.Exec(sql).Error; err != nil {
		t.Fatal(err)
	}
}

// TestNewerSchema: a binary that does not know the schema leaves it alone.
func TestNewerSchema(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		if err := s.write.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)").Error; err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := Open(context.Background(), opt)
		if !errors.Is(err, ErrNewerSchema) || !strings.Contains(err.Error(), "9999") {
			t.Errorf("got %v", err)
		}
	})
}

// TestRoundTrip stores an object of every noun with all its fields set, and finds it as it was.
func TestRoundTrip(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		for _, n := range inventory.Nouns {
			for number := range 3 {
				obj := filled(n, number+10*len(n.Name))
				satisfy(t, s, n, obj)
				if err := s.Edit(context.Background(), inventory.NewRequest(inventory.Berth, ""), func(tx inventory.Tx) error { return tx.Create(obj) }); err != nil {
					t.Fatalf("%s: %v", n.Name, err)
				}
				got, err := s.Get(context.Background(), n, string(obj.Head().UID))
				if err != nil {
					t.Fatalf("%s: %v", n.Name, err)
				}
				if !reflect.DeepEqual(got, obj) {
					t.Errorf("%s:\n got %+v\nwant %+v", n.Name, got, obj)
				}
			}
		}
	})
}

// satisfy gives an object what it must refer to.
func satisfy(t *testing.T, s *Store, n *inventory.Noun, obj inventory.Object) {
	t.Helper()
	for _, f := range n.Fields {
		if f.Kind == inventory.KindRef && f.Required {
			target := filled(nounOf(f.Ref), nextNumber())
			satisfy(t, s, nounOf(f.Ref), target)
			create(t, s, target)
			f.Set(obj, target.Head().UID)
		}
	}
	if n.Attached {
		site := filled(nounOf("site"), nextNumber())
		create(t, s, site)
		attach(n, obj, nounOf("site"), site.Head().UID)
	}
}

// attach ties an attached object to another.
func attach(n *inventory.Noun, obj inventory.Object, target *inventory.Noun, uid inventory.UID) {
	f, _ := n.Field("noun")
	f.Set(obj, target.Name)
	f, _ = n.Field("object")
	f.Set(obj, uid)
}

// nextNumber tells the objects that filled makes apart.
func nextNumber() int { return 10_000 + int(numbers.Add(1)) }

var numbers atomic.Int64 // above those that tests choose

// TestCopyBeforeMigration: before the schema of a record changes, a copy is kept that opens with the schema it had.
func TestCopyBeforeMigration(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir()})
	create(t, s, &inventory.Site{Name: "Berlin"})
	pool, err := s.write.DB()
	if err != nil {
		t.Fatal(err)
	}
	first, err := migrations.Files.ReadFile("0001_first.sql")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"0001_first.sql": {Data: first}, "9998_next.sql": {Data: []byte("-- +goose Up\nALTER TABLE sites ADD COLUMN next TEXT;\n")}}
	backup := func(version int64) error { return s.copyTo(t.Context(), fmt.Sprintf("before-%d.db", version)) }
	for range 2 { // the second time there is nothing to change
		if err := migrate(t.Context(), goose.DialectSQLite3, pool, files, backup); err != nil {
			t.Fatal(err)
		}
	}
	copies, err := filepath.Glob(filepath.Join(s.opt.Dir, "before-*"))
	if err != nil || len(copies) != 1 {
		t.Fatalf("copies: %v, %v", copies, err)
	}
	old := t.TempDir()
	if err := os.Rename(copies[0], filepath.Join(old, "berth.db")); err != nil {
		t.Fatal(err)
	}
	again := openTest(t, Options{Dir: old})
	if columns := columnsOf(t, again, "sites"); slices.ContainsFunc(columns, func(c column) bool { return c.Name == "next" }) {
		t.Error("the copy was made after the change")
	}
	find[inventory.Site](t, again, "berlin")
}
