package importer

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// decode brings the text of a table into UTF-8: with or without a byte order mark, from UTF-16, else from Windows-1252, of which Latin-1
// is the printable part. Errors: *Unreadable for what is no text.
func decode(file string, data []byte) (string, error) {
	text := ""
	switch {
	case bytes.HasPrefix(data, []byte{0xEF, 0xBB, 0xBF}):
		text = string(data[3:])
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		text = decodeUTF16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		text = decodeUTF16(data[2:], binary.BigEndian)
	case looksUTF16(data, 1):
		text = decodeUTF16(data, binary.LittleEndian)
	case looksUTF16(data, 0):
		text = decodeUTF16(data, binary.BigEndian)
	case utf8.Valid(data):
		text = string(data)
	default:
		text = decode1252(data)
	}
	if strings.IndexByte(text, 0) >= 0 {
		return "", unreadable(file, "holds NUL bytes: it is no table of text")
	}
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	return text, nil
}

// looksUTF16 tells UTF-16 without a mark by the zeros that ASCII has there: nearly every second byte of the start, beginning at odd.
func looksUTF16(data []byte, odd int) bool {
	n := min(len(data), 200) &^ 1
	zeros := 0
	for i := odd; i < n; i += 2 {
		if data[i] == 0 {
			zeros++
		}
	}
	return n >= 4 && zeros*10 >= n/2*8
}

func decodeUTF16(data []byte, order binary.ByteOrder) string {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	return string(utf16.Decode(units))
}

// high1252 is what Windows-1252 has from 0x80 to 0x9F, where Latin-1 has controls; five of them are not assigned.
const high1252 = "€\uFFFD‚ƒ„…†‡ˆ‰Š‹Œ\uFFFDŽ\uFFFD\uFFFD‘’“”•–—˜™š›œ\uFFFDžŸ"

func decode1252(data []byte) string {
	table := []rune(high1252)
	var b strings.Builder
	b.Grow(len(data) + len(data)/8)
	for _, c := range data {
		if c >= 0x80 && c < 0xA0 {
			b.WriteRune(table[c-0x80])
			continue
		}
		b.WriteRune(rune(c))
	}
	return b.String()
}

// Delimiters that tables come with.
var delimiters = []byte{',', ';', '\t', '|'}

// sniff finds the delimiter: the one by which the first rows have most columns, all of them the same number. A first line "sep=;", as
// Excel writes it, is believed and taken off.
func sniff(text string) (delimiter byte, rest string) {
	line, after, _ := strings.Cut(text, "\n")
	if sep, ok := strings.CutPrefix(strings.ToLower(strings.TrimRight(line, "\r")), "sep="); ok && len(sep) == 1 {
		return sep[0], after
	}
	best, bestScore := delimiters[0], 0
	for _, d := range delimiters {
		s := &splitter{text: text, delimiter: d}
		columns, even := 0, 0
		for range 20 {
			record, ok, err := s.next()
			if !ok || err != nil {
				break
			}
			if columns == 0 {
				columns = len(record.cells)
			}
			if len(record.cells) == columns {
				even++
			}
		}
		// Evenness tells more than width: a comma is in many a description.
		if score := (columns - 1) * even; score > bestScore {
			best, bestScore = d, score
		}
	}
	return best, text
}

// record is one row of a table.
type record struct {
	line  int // where it begins, from 1; of a sheet the row's number
	cells []string
}

// empty tells a row that has no text.
func (r record) empty() bool {
	for _, c := range r.cells {
		if c != "" {
			return false
		}
	}
	return true
}

// splitter reads records as RFC 4180 has them, and as spreadsheets write them: quotes within an unquoted cell are kept, line breaks are
// CR, LF or both. Its bounds make a file of one endless line an error and not a server without memory.
type splitter struct {
	text      string
	delimiter byte
	at        int // of the next byte
	line      int // that were finished
}

type splitError struct {
	line int
	why  string
}

func (e *splitError) Error() string { return e.why }

// next reads one record; ok is false at the end. After an error there is no going on.
func (s *splitter) next() (record, bool, error) {
	if s.at >= len(s.text) {
		return record{}, false, nil
	}
	r := record{line: s.line + 1}
	start := s.at
	for {
		cell, last, err := s.cell(r.line)
		if err != nil {
			return r, false, err
		}
		r.cells = append(r.cells, strings.TrimSpace(cell))
		switch {
		case len(r.cells) > maxColumns:
			return r, false, &splitError{r.line, "has more than the allowed number of columns"}
		case s.at-start > maxRecord:
			return r, false, &splitError{r.line, "is longer than a row may be"}
		case last:
			return r, true, nil
		}
	}
}

// cell reads one cell and what ends it; last says that this was the end of the row.
func (s *splitter) cell(line int) (text string, last bool, err error) {
	rest := s.text[s.at:]
	if strings.HasPrefix(rest, `"`) {
		return s.quoted(line)
	}
	n := strings.IndexFunc(rest, func(r rune) bool { return r == rune(s.delimiter) || r == '\n' || r == '\r' })
	if n < 0 {
		n = len(rest)
	}
	if n > maxCell {
		return "", true, &splitError{line, "has a cell that is longer than 64 KiB"}
	}
	s.at += n
	return rest[:n], s.end(), nil
}

// end steps over the delimiter or the line break, and tells which of them it was.
func (s *splitter) end() (last bool) {
	if s.at >= len(s.text) {
		s.line++
		return true
	}
	c := s.text[s.at]
	s.at++
	if c == s.delimiter {
		return false
	}
	if c == '\r' && s.at < len(s.text) && s.text[s.at] == '\n' {
		s.at++
	}
	s.line++
	return true
}

func (s *splitter) quoted(line int) (string, bool, error) {
	var b strings.Builder
	s.at++
	for {
		rest := s.text[s.at:]
		n := strings.IndexByte(rest, '"')
		if n < 0 {
			return "", true, &splitError{line, "has a quoted cell that never ends"}
		}
		if b.Len()+n > maxCell {
			return "", true, &splitError{line, "has a cell that is longer than 64 KiB: is a quote missing?"}
		}
		b.WriteString(rest[:n])
		s.line += strings.Count(rest[:n], "\n")
		s.at += n + 1
		if strings.HasPrefix(s.text[s.at:], `"`) {
			b.WriteByte('"')
			s.at++
			continue
		}
		// What stands between the closing quote and the delimiter belongs to the cell, as spreadsheets have it.
		tail := s.text[s.at:]
		m := strings.IndexFunc(tail, func(r rune) bool { return r == rune(s.delimiter) || r == '\n' || r == '\r' })
		if m < 0 {
			m = len(tail)
		}
		if m > maxCell {
			return "", true, &splitError{line, "has a cell that is longer than 64 KiB"}
		}
		b.WriteString(tail[:m])
		s.at += m
		return b.String(), s.end(), nil
	}
}
