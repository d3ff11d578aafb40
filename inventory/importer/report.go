package importer

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"berth/inventory"
)

// Report is what an import would do, or did.
type Report struct {
	Format    string
	DryRun    bool
	Run       inventory.UID // of the ImportRun; empty for a dry run
	Request   inventory.UID // under which everything can be undone
	Digest    string
	Files     []FileReport
	Rows      int
	Created   int
	Updated   int
	Unchanged int
	ByNoun    []NounCount
	// Errors are all that is wrong, in the order of files and rows. With any of them nothing is applied.
	Errors     []RowError
	MoreErrors int // beyond those listed
	Warnings   []RowError
	Unknown    []UnknownColumn
	Preview    []Preview
}

// FileReport is one file that was read, and what it was taken for.
type FileReport struct {
	Name, Kind string
	Rows       int
}

// NounCount says what becomes of the objects of one noun.
type NounCount struct {
	Noun                        string
	Created, Updated, Unchanged int
}

// RowError is one thing that is wrong, or worth knowing. Row counts lines of text or rows of a sheet from 1; 0 is the file as a whole.
type RowError struct {
	File, Column, Value, Why string
	Row                      int
}

// UnknownColumn is a column of a file for which the format has no field.
type UnknownColumn struct {
	File, Column, Example string
	Rows                  int // that have something in it
	Kept                  string
}

// Preview is one object that is created or changed.
type Preview struct {
	Noun, Action, Label, File string
	Row                       int
	Fields                    []FieldChange
}

// FieldChange is one field of it.
type FieldChange struct{ Field, Before, After string }

func (r *Report) fail(e RowError) {
	if len(r.Errors) >= maxKept {
		r.MoreErrors++
		return
	}
	e.Value = shorten(e.Value)
	r.Errors = append(r.Errors, e)
}

func (r *Report) warn(e RowError) {
	if len(r.Warnings) < maxKept {
		e.Value = shorten(e.Value)
		r.Warnings = append(r.Warnings, e)
	}
}

// Failed tells whether anything is wrong.
func (r *Report) Failed() bool { return len(r.Errors) > 0 }

func (r *Report) sort() {
	order := func(a, b RowError) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Row, b.Row), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Why, b.Why))
	}
	slices.SortStableFunc(r.Errors, order)
	slices.SortStableFunc(r.Warnings, order)
}

func (r *Report) count(noun, action string) {
	i := slices.IndexFunc(r.ByNoun, func(c NounCount) bool { return c.Noun == noun })
	if i < 0 {
		r.ByNoun = append(r.ByNoun, NounCount{Noun: noun})
		i = len(r.ByNoun) - 1
	}
	switch action {
	case "create":
		r.Created++
		r.ByNoun[i].Created++
	case "update":
		r.Updated++
		r.ByNoun[i].Updated++
	default:
		r.Unchanged++
		r.ByNoun[i].Unchanged++
	}
}

// shorten makes a value fit for a line of a report: one line, no controls, at most 80 characters.
func shorten(s string) string {
	if len(s) > 4000 {
		s = strings.ToValidUTF8(s[:4000], "")
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > 80 {
		return string(runes[:79]) + "…"
	}
	return s
}
