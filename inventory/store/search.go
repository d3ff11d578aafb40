package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"berth/inventory"

	"gorm.io/gorm"
)

const (
	// candidates is how many documents a search looks at to find the best ones. If there are more, those that fit exactly or from their
	// beginning are asked for besides, so that a text with a hundred thousand hits is not sorted.
	candidates = 200
	// fewEnough is how many objects a list is narrowed to by their uids; of more, it meets some wherever it begins to read.
	fewEnough = 2000
	// A long text is looked for by its end first: serials and addresses begin alike and end differently, and few trigrams that are rare
	// are found faster than many of which most are in every other document.
	longText, textEnd, endEnough = 9, 6, 500
)

// Search finds objects of every noun that q's reader may see. See inventory.Record.
func (s *Store) Search(ctx context.Context, q inventory.SearchQuery) (inventory.Hits, error) {
	var hits inventory.Hits
	if len(q.Text) > inventory.MaxSearch || badText(q.Text) {
		return hits, inventory.NotAllowed("search", "", "the text to search for is too long or not a text")
	}
	text := inventory.Fold(q.Text)
	if text == "" {
		return hits, nil
	}
	limit := q.Limit
	if limit <= 0 {
		limit = inventory.DefaultHits
	}
	db := s.read.WithContext(ctx)
	found, more, err := s.bestDocs(db, text, q.Level)
	if err != nil {
		return hits, fmt.Errorf("search: %w", s.driver.explain(err))
	}
	limit = min(limit, inventory.MaxPage)
	hits.More = more || len(found) > limit
	found = found[:min(len(found), limit)]
	hits.Hits, err = hitsOf(db, found, text)
	if err != nil {
		return hits, s.driver.explain(err)
	}
	objects := make([]inventory.Object, len(hits.Hits))
	for i, hit := range hits.Hits {
		objects[i] = hit.Object
	}
	hits.Names, err = names(db, objects)
	return hits, s.driver.explain(err)
}

// bestDocs finds documents that hold the text, best first, and tells whether there are more than it looked at.
func (s *Store) bestDocs(db *gorm.DB, text string, level inventory.Level) (docs []document, more bool, err error) {
	docs, err = s.holding(db, text, level)
	if err != nil {
		return nil, false, err
	}
	if more = len(docs) >= candidates; more {
		for _, better := range []struct {
			text string
			part func([]rune) []rune
		}{{"\n" + text + "\n", lastRunes}, {"\n" + text, firstRunes}} {
			found, err := s.narrowed(db, better.text, better.part, level, candidates/2)
			if err != nil {
				return nil, false, err
			}
			docs = append(docs, found...)
		}
	}
	seen := make(map[inventory.UID]bool, len(docs))
	docs = slices.DeleteFunc(docs, func(d document) bool {
		known := seen[d.Object]
		seen[d.Object] = true
		return known
	})
	slices.SortStableFunc(docs, func(a, b document) int { return cmp.Compare(worth(a.Text, text), worth(b.Text, text)) })
	return docs, more, nil
}

// worth is how well a document fits: how it matches, and then how telling the field is. Less is better.
func worth(doc, text string) int {
	for i, form := range []string{docField + text + docField, docField + text, text} {
		if at := strings.Index(doc, form); at >= 0 {
			return i<<8 | strings.Count(doc[:at], docRank)
		}
	}
	return 1 << 16
}

// holding finds up to a few hundred documents with the text.
func (s *Store) holding(db *gorm.DB, text string, level inventory.Level) ([]document, error) {
	if length := utf8.RuneCountInString(text); length < 3 { // too short for a trigram, but for one together with the beginning of a field
		return s.docs(db, docField[length-1:]+text, nil, level, candidates)
	}
	return s.narrowed(db, text, lastRunes, level, candidates)
}

func lastRunes(runes []rune) []rune  { return runes[len(runes)-textEnd:] }
func firstRunes(runes []rune) []rune { return runes[:textEnd] }

// narrowed finds up to limit documents with the text. If it is long, those that hold a part of it are looked through first, which is all
// there is to do where they are few.
func (s *Store) narrowed(db *gorm.DB, text string, part func([]rune) []rune, level inventory.Level, limit int) ([]document, error) {
	if runes := []rune(text); len(runes) >= longText {
		docs, err := s.docs(db, string(part(runes)), nil, level, endEnough)
		if err != nil || len(docs) < endEnough {
			return slices.DeleteFunc(docs, func(d document) bool { return !strings.Contains(d.Text, text) }), err
		}
	}
	return s.docs(db, text, nil, level, limit)
}

// docs finds documents that hold the text, which may have marks in it: of one noun, or of all that the level includes.
func (s *Store) docs(db *gorm.DB, text string, n *inventory.Noun, level inventory.Level, limit int) ([]document, error) {
	from, where, arg := s.driver.matching(text, n)
	sql, args := "SELECT doc_object, doc_noun, doc_text FROM "+from+" WHERE "+where, []any{arg}
	if n != nil {
		sql, args = sql+" AND doc_noun = ?", append(args, n.Name)
	} else if hidden := hiddenFrom(level); len(hidden) > 0 {
		sql, args = sql+" AND doc_noun NOT IN ?", append(args, hidden)
	}
	var docs []document
	err := db.Raw(sql+" LIMIT ?", append(args, limit)...).Scan(&docs).Error
	return docs, err
}

func hiddenFrom(level inventory.Level) []string {
	var list []string
	for _, n := range inventory.Nouns {
		if indexed(n) && !level.Includes(n.Read) {
			list = append(list, n.Name)
		}
	}
	return list
}

// hitsOf reads the objects of documents, in one statement for each noun, and finds the text in them again.
func hitsOf(db *gorm.DB, docs []document, text string) ([]inventory.Hit, error) {
	wanted := map[string][]inventory.UID{}
	for _, d := range docs {
		wanted[d.Noun] = append(wanted[d.Noun], d.Object)
	}
	objects := map[inventory.UID]inventory.Object{}
	for name, uids := range wanted {
		n, ok := inventory.NounOf(name)
		if !ok {
			continue
		}
		found, err := fetch(db.Where(`"uid" IN ?`, uids), n)
		if err != nil {
			return nil, err
		}
		for _, obj := range found {
			objects[obj.Head().UID] = obj
		}
	}
	var hits []inventory.Hit
	for _, d := range docs {
		if obj := objects[d.Object]; obj != nil {
			if hit, ok := hitIn(obj, text); ok {
				hits = append(hits, hit)
			}
		}
	}
	return hits, nil
}

// hitIn finds the field in which an object fits best.
func hitIn(obj inventory.Object, text string) (best inventory.Hit, ok bool) {
	ways := []inventory.Fit{inventory.FitExact, inventory.FitPrefix, inventory.FitPart}
	fits := func(value string, way inventory.Fit) bool {
		switch way {
		case inventory.FitExact:
			return value == text
		case inventory.FitPrefix:
			return strings.HasPrefix(value, text)
		}
		return strings.Contains(value, text)
	}
	fields, _ := inventory.Describe(obj).SearchFields()
	for _, way := range ways {
		for _, f := range fields {
			value := searchText(f, obj)
			if !fits(inventory.Fold(value), way) {
				continue
			}
			from, to := inventory.FindFolded(value, text)
			if from < 0 {
				continue
			}
			return inventory.Hit{Noun: inventory.ViewOf(obj), Object: obj, Field: f, Text: value, From: from, To: to, Fit: way}, true
		}
	}
	return best, false
}

// found is what the index says of a list that is searched.
type found struct {
	text string // folded
	uids string // a JSON list of them, if they are few
	many bool
}

// find asks the index for the objects of a noun that hold a text; nil when it cannot help, because the noun is not in it or the text is
// too short for it.
func (s *Store) find(db *gorm.DB, n *inventory.Noun, text string) (*found, error) {
	text = inventory.Fold(text)
	n = indexNoun(n)
	if !indexed(n) || utf8.RuneCountInString(text) < 3 {
		return nil, nil
	}
	docs, err := s.docs(db, text, n, inventory.LevelNone, fewEnough+1)
	if err != nil {
		return nil, fmt.Errorf("search %s: %w", n.Plural, err)
	}
	if len(docs) > fewEnough {
		return &found{text: text, many: true}, nil
	}
	uids := make([]inventory.UID, len(docs))
	for i, d := range docs {
		uids[i] = d.Object
	}
	list, err := json.Marshal(uids)
	return &found{text: text, uids: string(list)}, err
}

// indexNoun is the noun under which a view's objects are indexed.
func indexNoun(n *inventory.Noun) *inventory.Noun {
	if n.Where == nil {
		return n
	}
	return inventory.Describe(n.New())
}

// narrow adds to a list's conditions what the index knows of its search and of its filters by a part of a text.
func (s *Store) narrow(db *gorm.DB, n *inventory.Noun, q inventory.Query, where *clause) (searched *found, err error) {
	for _, filter := range q.Filters {
		f, _ := n.Field(filter.Field)
		if filter.Op != inventory.OpContains && filter.Op != inventory.OpStarts || !f.Search {
			continue
		}
		found, err := s.find(db, n, filter.Value)
		if err != nil {
			return nil, err
		}
		if found != nil && !found.many {
			where.add(`"uid" IN `+s.driver.inList(), found.uids)
		}
	}
	text := strings.TrimSpace(q.Search)
	if text == "" {
		return nil, nil
	}
	if err := checkSearch(n, text); err != nil {
		return nil, err
	}
	if searched, err = s.find(db, n, text); err != nil {
		return nil, err
	}
	if searched == nil || searched.many {
		search(n, text, where)
		return searched, nil
	}
	where.add(`"uid" IN `+s.driver.inList(), searched.uids)
	return searched, nil
}

// countFound counts the rows of a list that has many hits, by the index: the rest of its conditions are looked at row by row.
func (s *Store) countFound(db *gorm.DB, n *inventory.Noun, text string, rest clause) (total int64, err error) {
	from, where, arg := s.driver.matching(text, indexNoun(n))
	if len(rest.parts) > 0 {
		from += " JOIN " + quote(n.Table) + ` ON "uid" = "doc_object"`
	}
	sql := fmt.Sprintf("SELECT COUNT(*) FROM (SELECT 1 FROM %s WHERE %s AND doc_noun = ? AND %s LIMIT %d) AS matches", from, where, rest.sql(), exactUpTo+1)
	if err := db.Raw(sql, append([]any{arg, indexNoun(n).Name}, rest.args...)...).Scan(&total).Error; err != nil {
		return 0, fmt.Errorf("count %s: %w", n.Plural, err)
	}
	return total, nil
}
