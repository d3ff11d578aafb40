package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"unicode/utf8"

	"berth/inventory"

	"gorm.io/gorm"
)

// The search index finds objects by any part of their texts without reading tables: trigrams, in an FTS5 table on SQLite and in a GIN
// index of the extension pg_trgm on PostgreSQL. It holds one document for each object of the nouns that people keep, written in the
// transaction that writes the object.
//
// It is derived from the record, so no migration holds it: the store makes it when it opens, and fills it again for a noun whose search
// fields are not those it was filled with.

// layout is the form of a document, see documentOf. Raising it fills every index anew.
const layout = "1"

// maxDocField is how many bytes of a field are looked into; more is prose that nobody finds by a part of a word.
const maxDocField = 4000

// document is what the index holds of one object.
type document struct {
	Object inventory.UID `gorm:"column:doc_object"`
	Noun   string        `gorm:"column:doc_noun"` // by its name; of a table that has a view, the noun itself
	Text   string        `gorm:"column:doc_text"`
}

// docChange is what an edit does to a document.
type docChange struct {
	document
	gone  bool
	fresh bool // the object was created by this edit: there is nothing to take out first
}

// indexed tells whether the noun is in the search index.
func indexed(n *inventory.Noun) bool {
	fields, _ := n.SearchFields()
	return !n.Journal && len(fields) > 0
}

// Marks in a document. None of them can be in a folded text, which has no control characters.
const (
	docNoun  = "\x01" // before the noun's mark
	docRank  = "\x02" // before the fields of the next rank
	docField = "\n\n" // around each field; two, so that a single character at a field's start is three with them
)

// documentOf writes an object's search fields, folded, most telling first:
//
//	\x01 k7 \n\n kube-0421 \n\n 79oh8d2 \n\n \x02 \n\n poweredge r640 \n\n
//
// Where a field begins and ends is thus part of the text, and "begins with kube" is the same kind of question as "holds kube".
func documentOf(n *inventory.Noun, obj inventory.Object) string {
	var b strings.Builder
	b.WriteString(docNoun + nounMark(n))
	fields, ranks := n.SearchFields()
	rank := 0
	for i, f := range fields {
		text := inventory.Fold(searchText(f, obj))
		if text == "" {
			continue
		}
		for ; rank < ranks[i]; rank++ {
			b.WriteString(docField + docRank)
		}
		b.WriteString(docField + cut(text, maxDocField))
	}
	b.WriteString(docField)
	return b.String()
}

// nounMark is two letters that narrow a search to a noun. Two nouns may share them: doc_noun decides.
func nounMark(n *inventory.Noun) string {
	const letters = "0123456789abcdefghijklmnopqrstuvwxyz"
	h := fnv.New32a()
	h.Write([]byte(n.Table))
	sum := h.Sum32()
	return string([]byte{letters[sum%36], letters[sum/36%36]})
}

// searchText is a field as people see it.
func searchText(f inventory.Field, obj inventory.Object) string {
	if list, ok := f.Value(obj).([]string); ok {
		return strings.Join(list, " ")
	}
	return fmt.Sprint(f.Value(obj))
}

func cut(text string, size int) string {
	if len(text) <= size {
		return text
	}
	for !utf8.RuneStart(text[size]) {
		size--
	}
	return strings.TrimSpace(text[:size])
}

// index notes what an edit did to an object; finish writes it.
func (t *tx) index(n *inventory.Noun, before, after inventory.Object) {
	if !indexed(n) {
		return
	}
	if after == nil {
		uid := before.Head().UID
		if known, ok := t.docs[uid]; ok && known.fresh {
			delete(t.docs, uid)
			return
		}
		t.docs[uid] = docChange{document: document{Object: uid}, gone: true}
		return
	}
	uid, text := after.Head().UID, documentOf(n, after)
	known, ok := t.docs[uid]
	if before != nil && !ok && documentOf(n, before) == text {
		return
	}
	t.docs[uid] = docChange{document: document{uid, n.Name, text}, fresh: before == nil && !ok || known.fresh}
}

// maxDocs bounds the documents of a statement.
const maxDocs = 500

// writeDocs brings the index up to what the edit did so far.
func (t *tx) writeDocs() error {
	var out []inventory.UID
	var in []document
	for uid, change := range t.docs {
		if !change.fresh {
			out = append(out, uid)
		}
		if !change.gone {
			in = append(in, change.document)
		}
	}
	clear(t.docs)
	slices.Sort(out)
	slices.SortFunc(in, func(a, b document) int { return strings.Compare(string(a.Object), string(b.Object)) })
	for part := range slices.Chunk(out, maxDocs) {
		if err := t.store.driver.removeDocs(t.db, part); err != nil {
			return fmt.Errorf("take objects out of the search index: %w", err)
		}
	}
	return t.store.addDocs(t.db, in)
}

func (s *Store) addDocs(db *gorm.DB, docs []document) error {
	for part := range slices.Chunk(docs, maxDocs) {
		rows := make([][3]string, len(part))
		for i, d := range part {
			rows[i] = [3]string{string(d.Object), d.Noun, d.Text}
		}
		list, err := json.Marshal(rows)
		if err != nil {
			return err
		}
		if err := s.driver.addDocs(db, string(list)); err != nil {
			return fmt.Errorf("put objects into the search index: %w", err)
		}
	}
	return nil
}

// searchTables is the SQL that both databases need besides their index of trigrams.
const searchState = `CREATE TABLE IF NOT EXISTS "search_state" ("noun" TEXT PRIMARY KEY, "layout" TEXT NOT NULL)`

// layoutOf says what the documents of a noun are made of.
func layoutOf(n *inventory.Noun) string {
	fields, ranks := n.SearchFields()
	parts := []string{layout, nounMark(n)}
	for i, f := range fields {
		parts = append(parts, fmt.Sprintf("%s:%d", f.Name, ranks[i]))
	}
	return strings.Join(parts, " ")
}

// fillSearch makes documents for the nouns of which the index has none, or other ones: after an upgrade. It takes some seconds for each
// hundred thousand objects, in slices, and begins again with a noun where it was interrupted.
func (s *Store) fillSearch(ctx context.Context) error {
	stale, err := s.staleNouns(ctx)
	if err != nil {
		return err
	}
	for _, n := range stale {
		total := 0
		for cursor := ""; ; {
			var done int
			err := s.transact(ctx, func(db *gorm.DB) (err error) {
				done, err = s.fillSlice(db, n, &cursor)
				return err
			})
			if err != nil {
				return fmt.Errorf("fill the search index with %s: %w", n.Plural, err)
			}
			total += done
			if cursor == "" {
				break
			}
		}
		if total > 0 {
			s.opt.Log.Info("the search index was filled", "with", n.Plural, "objects", total)
		}
	}
	return nil
}

// fillSlice makes the documents of a page of a noun and moves the cursor on. With the last one it notes that the noun is done.
func (s *Store) fillSlice(db *gorm.DB, n *inventory.Noun, cursor *string) (int, error) {
	page, err := s.list(db, n, inventory.Query{Sort: "uid", Limit: inventory.MaxPage, Cursor: *cursor, NoNames: true})
	if err != nil {
		return 0, err
	}
	docs := make([]document, len(page.Items))
	uids := make([]inventory.UID, len(page.Items))
	for i, obj := range page.Items {
		uids[i] = obj.Head().UID
		docs[i] = document{uids[i], n.Name, documentOf(n, obj)}
	}
	for part := range slices.Chunk(uids, maxDocs) {
		if err := s.driver.removeDocs(db, part); err != nil {
			return 0, err
		}
	}
	if err := s.addDocs(db, docs); err != nil {
		return 0, err
	}
	next := page.Next
	if next == "" {
		err = db.Exec(`INSERT INTO "search_state" ("noun", "layout") VALUES (?, ?) ON CONFLICT ("noun") DO UPDATE SET "layout" = excluded."layout"`, n.Name, layoutOf(n)).Error
	}
	if err == nil {
		*cursor = next
	}
	return len(docs), err
}

func (s *Store) staleNouns(ctx context.Context) ([]*inventory.Noun, error) {
	var rows []struct{ Noun, Layout string }
	if err := s.read.WithContext(ctx).Raw(`SELECT "noun", "layout" FROM "search_state"`).Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("read what the search index holds: %w", err)
	}
	have := map[string]string{}
	for _, row := range rows {
		have[row.Noun] = row.Layout
	}
	var stale []*inventory.Noun
	for _, n := range inventory.Nouns {
		if n.Where == nil && indexed(n) && have[n.Name] != layoutOf(n) {
			stale = append(stale, n)
		}
	}
	return stale, nil
}

// SQLite.

func (s *Store) makeSearchSQLite() error {
	return errors.Join(
		s.write.Exec(searchState).Error,
		s.write.Exec(`CREATE TABLE IF NOT EXISTS "search_docs" ("doc_id" INTEGER PRIMARY KEY, "doc_object" TEXT NOT NULL UNIQUE, "doc_noun" TEXT NOT NULL, "doc_text" TEXT NOT NULL)`).Error,
		// The texts are in search_docs: the index keeps nothing but trigrams.
		s.write.Exec(`CREATE VIRTUAL TABLE IF NOT EXISTS "search_index" USING fts5("words", tokenize='trigram', content='', contentless_delete=1)`).Error)
}

// addDocs takes a JSON list of [object, noun, text]. There is one writer, so what it adds are the highest ids.
func (d *sqliteDriver) addDocs(db *gorm.DB, list string) error {
	var last int64
	if err := db.Raw(`SELECT COALESCE(MAX("doc_id"), 0) FROM "search_docs"`).Scan(&last).Error; err != nil {
		return err
	}
	err := db.Exec(`INSERT INTO "search_docs" ("doc_object", "doc_noun", "doc_text")
		SELECT json_extract("value", '$[0]'), json_extract("value", '$[1]'), json_extract("value", '$[2]') FROM json_each(?)`, list).Error
	if err != nil {
		return err
	}
	return db.Exec(`INSERT INTO "search_index" (rowid, "words") SELECT "doc_id", "doc_text" FROM "search_docs" WHERE "doc_id" > ?`, last).Error
}

func (d *sqliteDriver) removeDocs(db *gorm.DB, objects []inventory.UID) error {
	if err := db.Exec(`DELETE FROM "search_index" WHERE rowid IN (SELECT "doc_id" FROM "search_docs" WHERE "doc_object" IN ?)`, objects).Error; err != nil {
		return err
	}
	return db.Exec(`DELETE FROM "search_docs" WHERE "doc_object" IN ?`, objects).Error
}

// matching joins so that the index leads: the database stops at the first hits that are enough.
func (d *sqliteDriver) matching(text string, n *inventory.Noun) (from, where string, arg any) {
	match := ftsPhrase(text)
	if n != nil {
		match = ftsPhrase(docNoun+nounMark(n)) + " AND " + match
	}
	return `"search_index" CROSS JOIN "search_docs" ON "doc_id" = "search_index".rowid`, `"search_index" MATCH ?`, match
}

// ftsPhrase is text as a phrase of FTS5's query language (https://sqlite.org/fts5.html#fts5_strings).
func ftsPhrase(text string) string { return `"` + strings.ReplaceAll(text, `"`, `""`) + `"` }

func (d *sqliteDriver) inList() string { return `(SELECT "value" FROM json_each(?))` }

// PostgreSQL.

// makeSearchPostgres makes the table, and the index if the server has the extension pg_trgm. The extension is trusted: the owner of a
// database may create it. Without it searches read the table of texts from end to end.
func (s *Store) makeSearchPostgres(ctx context.Context) error {
	db := s.write.WithContext(ctx)
	err := db.Transaction(func(db *gorm.DB) error {
		// Two servers that start at the same time take turns. The number is nobody else's.
		return errors.Join(
			db.Exec(`SELECT pg_advisory_xact_lock(620142)`).Error,
			db.Exec(searchState).Error,
			db.Exec(`CREATE TABLE IF NOT EXISTS "search_docs" ("doc_object" TEXT PRIMARY KEY, "doc_noun" TEXT NOT NULL, "doc_text" TEXT NOT NULL)`).Error,
			db.Exec(`CREATE INDEX IF NOT EXISTS search_docs_noun ON "search_docs" ("doc_noun")`).Error)
	})
	if err != nil {
		return fmt.Errorf("make the table of the search index: %w", err)
	}
	err = db.Transaction(func(db *gorm.DB) error {
		if err := db.Exec(`SELECT pg_advisory_xact_lock(620142)`).Error; err != nil {
			return err
		}
		if err := db.Exec(`CREATE EXTENSION IF NOT EXISTS pg_trgm`).Error; err != nil {
			return err
		}
		// New entries wait in a list that is sorted in when it is full. A short one keeps that from being felt (PostgreSQL manual, 70.4).
		return db.Exec(`CREATE INDEX IF NOT EXISTS search_docs_text ON "search_docs" USING gin ("doc_text" gin_trgm_ops) WITH (gin_pending_list_limit = 1024)`).Error
	})
	if err != nil {
		s.opt.Log.Warn("the extension pg_trgm cannot be used: searches will read whole tables; install PostgreSQL's contrib modules, or have an administrator run CREATE EXTENSION pg_trgm, and restart", "error", err)
	}
	return nil
}

func (d *postgresDriver) addDocs(db *gorm.DB, list string) error {
	return db.Exec(`INSERT INTO "search_docs" ("doc_object", "doc_noun", "doc_text") SELECT "e"->>0, "e"->>1, "e"->>2 FROM json_array_elements(?::json) AS "e"`, list).Error
}

func (d *postgresDriver) removeDocs(db *gorm.DB, objects []inventory.UID) error {
	return db.Exec(`DELETE FROM "search_docs" WHERE "doc_object" IN ?`, objects).Error
}

func (d *postgresDriver) matching(text string, n *inventory.Noun) (from, where string, arg any) {
	return `"search_docs"`, `"doc_text" LIKE ? ESCAPE '!'`, "%" + likeEscape(text) + "%"
}

func (d *postgresDriver) inList() string { return `(SELECT json_array_elements_text(?::json))` }
