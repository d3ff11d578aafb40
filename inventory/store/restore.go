package store

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"berth/inventory"

	"gorm.io/gorm"
)

const (
	maxLine  = 64 << 20 // bytes of a row
	maxSums  = 1 << 30  // bytes of SHA256SUMS
	maxEntry = 10_000_000
)

// Restore puts a backup in place of the record. The archive is read twice: first all of it is held against its digests, then its rows are
// stored in one transaction, so that the record is the old one or the backup, whatever happens. It works while the server serves; people
// have to log in again. A record that holds something is replaced only when replace says so. put keeps the bytes of documents; nil leaves
// them out.
//
// Work on machines that was going on when the backup was made does not go on: what its steps found then may be true no more.
//
// Errors: *inventory.Conflict for a record that is not empty; ErrNewerSchema; ErrKey; *inventory.Invalid for an archive that is not whole.
func (s *Store) Restore(ctx context.Context, archive io.ReadSeeker, replace bool, req inventory.Request, put func(io.Reader) (string, int64, error)) (inventory.Backup, error) {
	if err := checkRequest(req); err != nil {
		return inventory.Backup{}, err
	}
	made, err := checkBackup(archive)
	if err != nil {
		return made, err
	}
	if err := s.checkRestore(ctx, made, replace); err != nil {
		return made, err
	}
	err = s.transact(ctx, func(db *gorm.DB) error {
		if _, err := archive.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("read the backup again: %w", err)
		}
		r := restorer{store: s, db: db, put: put, made: &made}
		return r.run(archive, req)
	})
	if err != nil {
		return made, err
	}
	s.hub.publishAll()
	if err := s.fillSearch(ctx); err != nil {
		return made, fmt.Errorf("the backup is restored, but not all of it can be searched until the next start: %w", err)
	}
	return made, nil
}

func notBackup(why string, args ...any) error {
	return inventory.NotAllowed("backup", "", "the file is not a whole backup: "+why, args...)
}

// eachEntry walks over the files of a backup.
func eachEntry(archive io.Reader, do func(name string, r io.Reader) error) error {
	zip, err := gzip.NewReader(archive)
	if err != nil {
		return notBackup("%v", err)
	}
	in := tar.NewReader(zip)
	for range maxEntry {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return notBackup("%v", err)
		}
		if header.Typeflag != tar.TypeReg {
			return notBackup("%q is no ordinary file", header.Name)
		}
		if err := do(header.Name, in); err != nil {
			return err
		}
	}
	return notBackup("it has more than %d parts", maxEntry)
}

// checkBackup holds every part of a backup against its digest, and returns what the backup says about itself.
func checkBackup(archive io.Reader) (inventory.Backup, error) {
	var made inventory.Backup
	var sums strings.Builder
	whole := false
	err := eachEntry(archive, func(name string, r io.Reader) error {
		if whole {
			return notBackup("it goes on after its end")
		}
		h := sha256.New()
		switch name {
		case sumsName:
			want, err := io.ReadAll(io.LimitReader(r, maxSums))
			if err != nil {
				return notBackup("%v", err)
			}
			if whole = string(want) == sums.String(); !whole {
				return notBackup("its digests do not fit: it was damaged or changed")
			}
			return nil
		case manifestName:
			if err := json.NewDecoder(io.TeeReader(io.LimitReader(r, 1<<20), h)).Decode(&made); err != nil {
				return notBackup("%v", err)
			}
		}
		if _, err := io.Copy(h, r); err != nil {
			return notBackup("%v", err)
		}
		fmt.Fprintf(&sums, "%s  %s\n", hex.EncodeToString(h.Sum(nil)), name)
		return nil
	})
	switch {
	case err != nil:
		return made, err
	case !whole:
		return made, notBackup("its end is missing")
	case made.Format != backupFormat:
		return made, fmt.Errorf("%w: the format of the backup is %d, this berth knows %d", ErrNewerSchema, made.Format, backupFormat)
	}
	return made, nil
}

// checkRestore refuses what must not be replaced, and what this version cannot read.
func (s *Store) checkRestore(ctx context.Context, made inventory.Backup, replace bool) error {
	var schema int64
	if err := s.read.WithContext(ctx).Raw(`SELECT MAX(version_id) FROM goose_db_version`).Scan(&schema).Error; err != nil {
		return fmt.Errorf("read the version of the schema: %w", err)
	}
	if made.Schema > schema {
		return fmt.Errorf("%w: the schema of the backup is version %d, this berth knows up to %d", ErrNewerSchema, made.Schema, schema)
	}
	if replace {
		return nil
	}
	for _, n := range backedUp {
		if n.Journal || n.Name == "account" || n.Name == "subnet" {
			continue // a server that just started has these
		}
		items, err := fetch(s.read.WithContext(ctx).Limit(1), n)
		if err != nil {
			return err
		}
		if len(items) > 0 {
			return &inventory.Conflict{Noun: n.Name, UID: items[0].Head().UID, Why: fmt.Sprintf("the record is not empty: it holds %s, for example %s; say --replace to lose it", strings.ReplaceAll(n.Plural, "-", " "), n.Display(items[0]))}
		}
	}
	return nil
}

// restorer stores a backup within one transaction.
type restorer struct {
	store *Store
	db    *gorm.DB
	put   func(io.Reader) (string, int64, error)
	made  *inventory.Backup
}

func (r *restorer) run(archive io.Reader, req inventory.Request) error {
	canary, err := fetch(r.db.Where(`"name" = ?`, canaryName), inventory.NounFor[inventory.Setting]())
	if err != nil {
		return err
	}
	for _, n := range inventory.Nouns {
		if n.Where == nil {
			if err := r.db.Exec("DELETE FROM " + quote(n.Table)).Error; err != nil {
				return fmt.Errorf("empty %s: %w", n.Table, err)
			}
		}
	}
	if err := r.clearSearch(); err != nil {
		return err
	}
	r.made.Rows, r.made.Documents = map[string]int64{}, 0
	if err := eachEntry(archive, r.entry); err != nil {
		return err
	}
	if err := r.checkKey(canary); err != nil {
		return err
	}
	if err := r.endWork(); err != nil {
		return err
	}
	return r.log(req)
}

// clearSearch empties the search index, which is derived from the record and filled again afterwards.
func (r *restorer) clearSearch() error {
	statements := []string{`DELETE FROM "search_state"`, `DELETE FROM "search_docs"`}
	if r.store.opt.DSN == "" {
		statements = append([]string{`DELETE FROM "search_index" WHERE rowid IN (SELECT "doc_id" FROM "search_docs")`}, statements...)
	}
	for _, sql := range statements {
		if err := r.db.Exec(sql).Error; err != nil {
			return fmt.Errorf("empty the search index: %w", err)
		}
	}
	return nil
}

func (r *restorer) entry(name string, data io.Reader) error {
	if digest, ok := strings.CutPrefix(name, blobPrefix); ok && r.put != nil {
		got, _, err := r.put(data)
		if err != nil {
			return fmt.Errorf("keep document %s: %w", digest, err)
		}
		if got != digest {
			return notBackup("document %q holds other bytes", digest)
		}
		r.made.Documents++
	}
	table, ok := strings.CutPrefix(name, rowPrefix)
	if !ok {
		return nil
	}
	table, _, _ = strings.Cut(table, "/")
	for _, n := range backedUp {
		if n.Table == table {
			return r.rows(n, data)
		}
	}
	return fmt.Errorf("%w: it has a table %q", ErrNewerSchema, table)
}

func (r *restorer) rows(n *inventory.Noun, data io.Reader) error {
	lines := bufio.NewScanner(data)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	batch := r.newBatch(n)
	for lines.Scan() {
		obj, err := objectOf(n, lines.Bytes())
		if err != nil {
			return fmt.Errorf("read a row of %s: %w", n.Table, err)
		}
		batch = reflect.Append(batch, reflect.ValueOf(obj))
		r.made.Rows[n.Table]++
		if batch.Len() == maxPending(n) {
			if err := r.insert(n, batch); err != nil {
				return err
			}
			batch = r.newBatch(n)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the rows of %s: %w", n.Table, err)
	}
	return r.insert(n, batch)
}

func (r *restorer) newBatch(n *inventory.Noun) reflect.Value {
	return reflect.MakeSlice(reflect.SliceOf(reflect.TypeOf(n.New())), 0, maxPending(n))
}

func (r *restorer) insert(n *inventory.Noun, batch reflect.Value) error {
	if batch.Len() == 0 {
		return nil
	}
	if err := r.db.Table(n.Table).Create(batch.Interface()).Error; err != nil {
		return fmt.Errorf("store rows of %s: %w", n.Table, err)
	}
	return nil
}

// checkKey refuses a backup whose secrets this server's key does not open. One without secrets gets this server's canary back.
func (r *restorer) checkKey(own []inventory.Object) error {
	setting := inventory.NounFor[inventory.Setting]()
	found, err := fetch(r.db.Where(`"name" = ?`, canaryName), setting)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		for _, obj := range own {
			if err := r.db.Table(setting.Table).Create(obj).Error; err != nil {
				return fmt.Errorf("keep the canary of the key: %w", err)
			}
		}
		return nil
	}
	if r.store.opt.Sealer == nil {
		return fmt.Errorf("%w, and none was given", ErrKey)
	}
	plain, err := r.store.opt.Sealer.Open(found[0].(*inventory.Setting).Value)
	if err != nil || plain != canaryText {
		return fmt.Errorf("%w than this server has: start it with the key that belongs to the backup", ErrKey)
	}
	return nil
}

// endWork ends what was at work on machines when the backup was made. Nobody knows what happened to them since.
func (r *restorer) endWork() error {
	const why = "The record was restored from a backup while this was at work. Look at the machine before anything else is done to it."
	now := r.store.now()
	for _, step := range []struct {
		sql  string
		args []any
	}{
		{`UPDATE "operations" SET "state" = 'cancelled', "sentence" = '', "problem" = ?, "ended_at" = ?, "lease_holder" = '', "fence" = "fence" + 1
			WHERE "state" IN ('queued', 'running', 'waiting') AND "device" <> '' AND "kind" NOT LIKE 'poll-%'`, []any{why, now}},
		{`UPDATE "steps" SET "state" = 'cancelled', "assignment" = '' WHERE "state" IN ('pending', 'running', 'waiting')
			AND "operation" IN (SELECT "uid" FROM "operations" WHERE "state" = 'cancelled')`, nil},
		{`UPDATE "devices" SET "netboot_offer" = ?, "offered_until" = NULL`, []any{false}},
		{`UPDATE "devices" SET "operation" = '' WHERE "operation" NOT IN (SELECT "uid" FROM "operations" WHERE "state" IN ('queued', 'running', 'waiting'))`, nil},
	} {
		if err := r.db.Exec(step.sql, step.args...).Error; err != nil {
			return fmt.Errorf("end the work of the backup: %w", err)
		}
	}
	return nil
}

// log enters the restore into the change log that it restored.
func (r *restorer) log(req inventory.Request) error {
	now := r.store.now()
	c := &inventory.Change{Request: req.ID, Actor: req.By.Name, Why: req.Why, Action: "update", Noun: "record", Object: req.ID,
		Display: "restored from the backup of " + r.made.MadeAt.UTC().Format("2006-01-02 15:04:05 UTC")}
	c.Meta = inventory.Meta{UID: inventory.NewUID(), Revision: 1, CreatedAt: now, UpdatedAt: now}
	if err := r.db.Create(c).Error; err != nil {
		return fmt.Errorf("log the restore: %w", err)
	}
	return nil
}
