package importer

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"unicode"

	"github.com/xuri/excelize/v2"
)

// table is rows under a header.
type table struct {
	file   string
	header []string // as written
	names  []string // normal form of the header, after the mapping of the user
	column map[string]int
	known  []bool // columns that the format asked for
	filled []int  // rows that have something in a column
	sample []string
	rows   []record
}

// newTable makes a table of a header and applies the user's mapping of columns.
func newTable(file string, header []string, mapping map[string]string) *table {
	t := &table{file: file, header: header, column: map[string]int{}, known: make([]bool, len(header)), filled: make([]int, len(header)), sample: make([]string, len(header))}
	for i, h := range header {
		name := normal(h)
		if to, ok := mapping[name]; ok {
			name = to
		}
		t.names = append(t.names, name)
		if _, twice := t.column[name]; !twice && name != "" {
			t.column[name] = i
		}
	}
	return t
}

// normal is the form in which headers, choices and names are compared: lower case, and one blank for everything that is no letter or digit.
func normal(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), " ")
}

// has tells whether one of the columns is there.
func (t *table) has(names ...string) bool {
	for _, name := range names {
		if _, ok := t.column[name]; ok {
			return true
		}
	}
	return false
}

// readTable reads the table of a file: a workbook's first sheet, or delimited text.
func readTable(f File, opt Options, report *Report) (*table, error) {
	if bytes.HasPrefix(f.Data, []byte("PK\x03\x04")) {
		return readSheet(f, opt.mapping(), report)
	}
	text, err := decode(f.Name, f.Data)
	if err != nil {
		return nil, err
	}
	return readText(f.Name, text, opt.mapping(), report)
}

func readText(file, text string, mapping map[string]string, report *Report) (*table, error) {
	delimiter, text := sniff(text)
	if strings.HasSuffix(strings.ToLower(file), ".tsv") {
		delimiter = '\t'
	}
	s := &splitter{text: text, delimiter: delimiter}
	var t *table
	for {
		r, ok, err := s.next()
		if err != nil && t == nil {
			return nil, unreadable(file, "line %d %v", r.line, err)
		}
		if err != nil {
			report.fail(RowError{File: file, Row: r.line, Why: err.Error() + "; what follows was not read"})
			return t, nil
		}
		if !ok {
			break
		}
		if r.empty() {
			continue
		}
		if t == nil {
			t = newTable(file, r.cells, mapping)
			continue
		}
		if err := t.add(r, report); err != nil {
			return nil, err
		}
	}
	if t == nil {
		return nil, unreadable(file, "is empty")
	}
	return t, nil
}

// add takes a row. One that is longer than the header is an error of its own; a shorter one lacks its last cells.
func (t *table) add(r record, report *Report) error {
	if len(t.rows) >= maxRows {
		return unreadable(t.file, "has more than %d rows; split it", maxRows)
	}
	for len(r.cells) > len(t.header) && r.cells[len(r.cells)-1] == "" {
		r.cells = r.cells[:len(r.cells)-1]
	}
	if len(r.cells) > len(t.header) {
		report.fail(RowError{File: t.file, Row: r.line, Why: fmt.Sprintf("has %d cells where the header has %d: is a quote or a delimiter missing?", len(r.cells), len(t.header))})
		return nil
	}
	for i, c := range r.cells {
		if c == "" {
			continue
		}
		if t.filled[i]++; t.sample[i] == "" {
			t.sample[i] = c
		}
	}
	t.rows = append(t.rows, r)
	return nil
}

// readSheet reads the first sheet of a workbook.
func readSheet(f File, mapping map[string]string, report *Report) (*table, error) {
	book, err := excelize.OpenReader(bytes.NewReader(f.Data), excelize.Options{UnzipSizeLimit: maxTable, UnzipXMLSizeLimit: 16 << 20, RawCellValue: false})
	if err != nil {
		return nil, unreadable(f.Name, "is no workbook that can be read: %v", err)
	}
	defer book.Close() // it was only read
	sheets := book.GetSheetList()
	if len(sheets) == 0 {
		return nil, unreadable(f.Name, "has no sheet")
	}
	rows, err := book.Rows(sheets[0])
	if err != nil {
		return nil, unreadable(f.Name, "its first sheet cannot be read: %v", err)
	}
	defer rows.Close()
	var t *table
	for line := 1; rows.Next(); line++ {
		if line > 2*maxRows {
			return nil, unreadable(f.Name, "has more than %d rows; split it", maxRows)
		}
		cells, err := rows.Columns()
		if err != nil {
			return nil, unreadable(f.Name, "row %d cannot be read: %v", line, err)
		}
		r := record{line: line, cells: cells}
		if why := tidyCells(cells); why != "" {
			return nil, unreadable(f.Name, "row %d %s", line, why)
		}
		if r.empty() {
			continue
		}
		if t == nil {
			t = newTable(f.Name, cells, mapping)
			continue
		}
		if err := t.add(r, report); err != nil {
			return nil, err
		}
	}
	if err := rows.Error(); err != nil {
		return nil, unreadable(f.Name, "cannot be read to its end: %v", err)
	}
	if t == nil {
		return nil, unreadable(f.Name, "is empty")
	}
	return t, nil
}

func tidyCells(cells []string) string {
	if len(cells) > maxColumns {
		return fmt.Sprintf("has more than %d columns", maxColumns)
	}
	for i, c := range cells {
		if len(c) > maxCell {
			return "has a cell that is longer than 64 KiB"
		}
		cells[i] = strings.TrimSpace(c)
	}
	return ""
}

// unknown lists the columns nobody asked for and that hold something.
func (t *table) unknown() []UnknownColumn {
	var out []UnknownColumn
	for i, h := range t.header {
		if !t.known[i] && t.filled[i] > 0 {
			out = append(out, UnknownColumn{File: t.file, Column: h, Rows: t.filled[i], Example: shorten(t.sample[i])})
		}
	}
	return out
}

// stem is what a file's name says about its kind: "exports/netbox_power panels.csv" is "netbox power panels".
func stem(file string) string {
	base := path.Base(file)
	return normal(strings.TrimSuffix(base, path.Ext(base)))
}
