package inventory

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Global search: finding objects of any noun by a part of a text.
//
// The texts it looks into are the fields that a descriptor marks "search", of the nouns that people keep: journals are searched in their
// own lists only.

// DefaultHits is how many hits a search shows when nobody says.
const DefaultHits = 20

// MaxSearch is how many bytes of a text are looked for at most.
const MaxSearch = 200

// SearchQuery asks for objects of any noun. From three characters on, Text is found anywhere in a field; one or two characters are found
// where a field begins with them.
type SearchQuery struct {
	Text  string
	Level Level // of the reader: nouns that it does not include are not looked into
	Limit int   // 0 is DefaultHits; at most MaxPage
}

// Fit is how well a hit fits.
type Fit string

// The ways to fit, best first.
const (
	FitExact  Fit = "exact"
	FitPrefix Fit = "prefix"
	FitPart   Fit = "part"
)

// Hit is one object that holds the text.
type Hit struct {
	Noun   *Noun // of an object that a view shows (a machine), the view
	Object Object
	Field  Field  // where it was found
	Text   string // the value of that field
	From   int    // Text[From:To] is what matches
	To     int
	Fit    Fit
}

// Hits is what a search found: exact before prefix before part, and in each of them serials, tags and names before other fields, and
// these before notes.
type Hits struct {
	Hits []Hit
	More bool // there are others
	// Names is what to call the objects that the hits refer to, by uid.
	Names map[UID]string
}

// identities are the fields by which people look for a thing.
var identities = []string{"name", "slug", "asset_tag", "serial", "reference", "mac", "wwn", "system_uuid", "tracking_code", "label", "value", "code", "address", "prefix", "title", "dns_name"}

// SearchFields are the fields that a search looks into, the most telling ones first, and how telling each is: 0 names or identifies the
// object, 1 describes it, 2 is prose.
func (n *Noun) SearchFields() (fields []Field, ranks []int) {
	for rank := range 3 {
		for _, f := range n.Fields {
			if f.Search && !f.Hidden && n.searchRank(f) == rank {
				fields, ranks = append(fields, f), append(ranks, rank)
			}
		}
	}
	return fields, ranks
}

func (n *Noun) searchRank(f Field) int {
	switch {
	case f.Name == n.Natural || slices.Contains(identities, f.Name):
		return 0
	case f.Long:
		return 2
	}
	return 1
}

// Fold is the form in which texts are compared by a search: in lower case, without control characters, trimmed.
func Fold(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return unicode.ToLower(r)
	}, text))
}

// FindFolded finds what matches folded in text: text[from:to], whose folded form it is. from is -1 when nothing does. It is not
// strings.Index of the folded text, because the lower case of a letter may have another length.
func FindFolded(text, folded string) (from, to int) {
	if folded == "" {
		return -1, -1
	}
	for i := range text {
		if n, ok := foldedPrefix(text[i:], folded); ok {
			return i, i + n
		}
	}
	return -1, -1
}

// foldedPrefix tells how many bytes of text fold to the whole of folded.
func foldedPrefix(text, folded string) (int, bool) {
	at := 0
	for _, want := range folded {
		r, size := utf8.DecodeRuneInString(text[at:])
		if size == 0 {
			return 0, false
		}
		if unicode.IsControl(r) {
			r = ' '
		}
		if unicode.ToLower(r) != want {
			return 0, false
		}
		at += size
	}
	return at, true
}

// ViewOf is the noun as which an object is best shown: the view that it belongs to, where there is one, else its own.
func ViewOf(obj Object) *Noun {
	own := Describe(obj)
	for _, n := range Nouns {
		if n.Where != nil && n.Table == own.Table && n.holds(obj) {
			return n
		}
	}
	return own
}

// holds tells whether obj is in the view n. Views are made of the two conditions named here.
func (n *Noun) holds(obj Object) bool {
	for _, filter := range n.Where {
		f, _ := n.Field(filter.Field)
		value := f.of(obj)
		switch filter.Op {
		case OpEmpty:
			if value.IsZero() != (filter.Value == "true") {
				return false
			}
		case OpIs:
			if value.String() != filter.Value {
				return false
			}
		}
	}
	return true
}
