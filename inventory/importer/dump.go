package importer

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxDumpRows bounds the rows kept of a dump, of all tables together.
const maxDumpRows = 2_000_000

// dumped is one table of a dump.
type dumped struct {
	columns []string
	rows    [][]string // NULL is the empty text
}

// get is a row's value by the column's name; "" where the dump has no such column.
func (t *dumped) get(row []string, column string) string {
	if i := slices.Index(t.columns, column); i >= 0 && i < len(row) {
		return row[i]
	}
	return ""
}

// parseDump reads the tables named in wanted out of what mysqldump writes: CREATE TABLE for the order of the columns, and INSERT INTO with
// one or many rows. All other statements are stepped over. It executes nothing and knows no SQL beyond that.
func parseDump(file string, data []byte, wanted []string) (map[string]*dumped, error) {
	p := &dumpParser{data: data, tables: map[string]*dumped{}, wanted: wanted}
	for p.skipBlank() {
		var err error
		switch {
		case p.keyword("CREATE TABLE"):
			err = p.create()
		case p.keyword("INSERT INTO"), p.keyword("INSERT IGNORE INTO"), p.keyword("REPLACE INTO"):
			err = p.insert()
		default:
			p.skipStatement()
		}
		if err != nil {
			return nil, unreadable(file, "line %d: %v", 1+bytes.Count(data[:min(p.at, len(data))], []byte("\n")), err)
		}
	}
	return p.tables, nil
}

type dumpParser struct {
	data   []byte
	at     int
	tables map[string]*dumped
	wanted []string
	kept   int
}

// skipBlank steps over blanks and comments; false at the end.
func (p *dumpParser) skipBlank() bool {
	for p.at < len(p.data) {
		rest := p.data[p.at:]
		switch {
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\n' || rest[0] == '\r' || rest[0] == ';':
			p.at++
		case bytes.HasPrefix(rest, []byte("--")) || rest[0] == '#':
			p.skipPast("\n")
		case bytes.HasPrefix(rest, []byte("/*")):
			p.skipPast("*/")
		default:
			return true
		}
	}
	return false
}

func (p *dumpParser) skipPast(end string) {
	i := bytes.Index(p.data[p.at:], []byte(end))
	if i < 0 {
		p.at = len(p.data)
		return
	}
	p.at += i + len(end)
}

// keyword steps over words if they come next, in any case.
func (p *dumpParser) keyword(words string) bool {
	rest := p.data[p.at:]
	if len(rest) < len(words) || !strings.EqualFold(string(rest[:len(words)]), words) {
		return false
	}
	p.at += len(words)
	return true
}

// skipStatement steps over everything up to the next semicolon that is not within quotes.
func (p *dumpParser) skipStatement() {
	for p.at < len(p.data) {
		switch c := p.data[p.at]; c {
		case ';':
			p.at++
			return
		case '\'', '"', '`':
			p.skipQuoted(c)
		default:
			p.at++
		}
	}
}

func (p *dumpParser) skipQuoted(quote byte) {
	for p.at++; p.at < len(p.data); p.at++ {
		switch p.data[p.at] {
		case '\\':
			if quote != '`' {
				p.at++
			}
		case quote:
			p.at++
			return
		}
	}
}

// name reads `name` or name.
func (p *dumpParser) name() (string, error) {
	p.skipBlank()
	rest := p.data[p.at:]
	if len(rest) > 0 && rest[0] == '`' {
		end := bytes.IndexByte(rest[1:], '`')
		if end < 0 || end > 200 {
			return "", fmt.Errorf("a name does not end")
		}
		p.at += end + 2
		return string(rest[1 : end+1]), nil
	}
	n := 0
	for n < len(rest) && n < 200 && (rest[n] == '_' || rest[n] >= '0' && rest[n] <= '9' || rest[n]|0x20 >= 'a' && rest[n]|0x20 <= 'z') {
		n++
	}
	if n == 0 {
		return "", fmt.Errorf("a name is missing")
	}
	p.at += n
	return string(rest[:n]), nil
}

// create keeps the names of a table's columns: the lines within its parentheses that begin with a name in backquotes.
func (p *dumpParser) create() error {
	p.skipBlank()
	if p.keyword("IF NOT EXISTS") {
		p.skipBlank()
	}
	name, err := p.name()
	if err != nil {
		return err
	}
	start := p.at
	p.skipStatement()
	if !slices.Contains(p.wanted, name) {
		return nil
	}
	t := p.table(name)
	t.columns = nil
	for line := range bytes.Lines(p.data[start:p.at]) {
		line = bytes.TrimLeft(line, " \t(")
		if len(line) > 1 && line[0] == '`' {
			if end := bytes.IndexByte(line[1:], '`'); end > 0 && len(t.columns) < maxColumns {
				t.columns = append(t.columns, string(line[1:end+1]))
			}
		}
	}
	return nil
}

func (p *dumpParser) table(name string) *dumped {
	t := p.tables[name]
	if t == nil {
		t = &dumped{}
		p.tables[name] = t
	}
	return t
}

// insert reads the rows of one INSERT.
func (p *dumpParser) insert() error {
	name, err := p.name()
	if err != nil {
		return err
	}
	if !slices.Contains(p.wanted, name) {
		p.skipStatement()
		return nil
	}
	t := p.table(name)
	p.skipBlank()
	if p.at < len(p.data) && p.data[p.at] == '(' {
		if t.columns, err = p.columnList(); err != nil {
			return err
		}
		p.skipBlank()
	}
	if !p.keyword("VALUES") && !p.keyword("VALUE") {
		p.skipStatement() // INSERT ... SELECT brings no rows with it
		return nil
	}
	for {
		row, err := p.row()
		if err != nil {
			return err
		}
		if p.kept++; p.kept > maxDumpRows {
			return fmt.Errorf("the dump has more than %d rows", maxDumpRows)
		}
		t.rows = append(t.rows, row)
		p.skipSpace()
		if p.at >= len(p.data) || p.data[p.at] != ',' {
			p.skipStatement()
			return nil
		}
		p.at++
	}
}

func (p *dumpParser) skipSpace() {
	for p.at < len(p.data) && (p.data[p.at] == ' ' || p.data[p.at] == '\n' || p.data[p.at] == '\r' || p.data[p.at] == '\t') {
		p.at++
	}
}

func (p *dumpParser) columnList() ([]string, error) {
	var columns []string
	for p.at++; ; p.at++ {
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		if columns = append(columns, name); len(columns) > maxColumns {
			return nil, fmt.Errorf("a table has more than %d columns", maxColumns)
		}
		p.skipSpace()
		if p.at >= len(p.data) {
			return nil, fmt.Errorf("a list of columns does not end")
		}
		if p.data[p.at] == ')' {
			p.at++
			return columns, nil
		}
		if p.data[p.at] != ',' {
			return nil, fmt.Errorf("a list of columns is damaged")
		}
	}
}

// row reads one parenthesis of values.
func (p *dumpParser) row() ([]string, error) {
	p.skipSpace()
	if p.at >= len(p.data) || p.data[p.at] != '(' {
		return nil, fmt.Errorf("a row does not begin with a parenthesis")
	}
	var row []string
	for {
		p.at++ // the parenthesis, or the comma
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		if row = append(row, v); len(row) > maxColumns {
			return nil, fmt.Errorf("a row has more than %d values", maxColumns)
		}
		p.skipSpace()
		switch {
		case p.at >= len(p.data):
			return nil, fmt.Errorf("a row does not end")
		case p.data[p.at] == ')':
			p.at++
			return row, nil
		case p.data[p.at] != ',':
			return nil, fmt.Errorf("a row is damaged")
		}
	}
}

// value reads a literal: a text, a number, NULL, 0x... or any of them behind a character set such as _binary.
func (p *dumpParser) value() (string, error) {
	p.skipSpace()
	if p.at < len(p.data) && p.data[p.at] == '_' {
		if i := bytes.IndexAny(p.data[p.at:min(len(p.data), p.at+40)], " '"); i > 0 {
			p.at += i
			p.skipSpace()
		}
	}
	if p.at < len(p.data) && (p.data[p.at] == '\'' || p.data[p.at] == '"') {
		return p.quoted(p.data[p.at])
	}
	rest := p.data[p.at:]
	n := bytes.IndexAny(rest[:min(len(rest), maxCell)], ",)")
	if n < 0 {
		return "", fmt.Errorf("a value does not end")
	}
	p.at += n
	word := strings.TrimSpace(string(rest[:n]))
	if strings.EqualFold(word, "NULL") {
		return "", nil
	}
	if digits, ok := strings.CutPrefix(word, "0x"); ok {
		if raw, err := hex.DecodeString(digits); err == nil {
			return textOf(raw), nil
		}
	}
	return word, nil
}

// escapes are MySQL's (Reference Manual, "String Literals"); any other character stands for itself.
var escapes = map[byte]byte{'0': 0, 'b': '\b', 'n': '\n', 'r': '\r', 't': '\t', 'Z': 26}

func (p *dumpParser) quoted(quote byte) (string, error) {
	var out []byte
	for p.at++; p.at < len(p.data); p.at++ {
		c := p.data[p.at]
		switch {
		case c == '\\' && p.at+1 < len(p.data):
			p.at++
			if e, ok := escapes[p.data[p.at]]; ok {
				out = append(out, e)
				continue
			}
			out = append(out, p.data[p.at])
		case c == quote && p.at+1 < len(p.data) && p.data[p.at+1] == quote:
			p.at++
			out = append(out, quote)
		case c == quote:
			p.at++
			return textOf(out), nil
		default:
			out = append(out, c)
		}
		if len(out) > maxCell {
			return "", fmt.Errorf("a value is longer than 64 KiB")
		}
	}
	return "", fmt.Errorf("a text does not end")
}

// textOf makes a text of bytes: old installations keep Latin-1.
func textOf(raw []byte) string {
	raw = bytes.ReplaceAll(raw, []byte{0}, nil)
	if utf8.Valid(raw) {
		return string(raw)
	}
	return decode1252(raw)
}
