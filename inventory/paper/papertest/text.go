// Package papertest reads back what package paper printed, so that tests can say what must stand on a paper and what must not.
package papertest

import (
	"bytes"
	"compress/zlib"
	"io"
	"regexp"
	"strings"
	"unicode/utf16"
)

var pageCount = regexp.MustCompile(`/Type /Page\n`)

// Pages counts the pages of a file.
func Pages(pdf []byte) int { return len(pageCount.FindAll(pdf, -1)) }

// Text is what stands on the pages of a file, line by line as it was set. It reads files of package paper only: compressed
// streams, and text as UTF-16 in Tj operators.
func Text(pdf []byte) string {
	var out strings.Builder
	for rest := pdf; ; {
		_, after, ok := bytes.Cut(rest, []byte("\nstream\n"))
		if !ok {
			return out.String()
		}
		stream, next, _ := bytes.Cut(after, []byte("\nendstream"))
		rest = next
		r, err := zlib.NewReader(bytes.NewReader(stream))
		if err != nil {
			continue // a picture
		}
		page, err := io.ReadAll(r)
		if err != nil {
			continue
		}
		shown(&out, page)
	}
}

// shown writes the strings of the Tj operators of a page.
func shown(out *strings.Builder, page []byte) {
	for i := 0; i < len(page); i++ {
		if page[i] != '(' {
			continue
		}
		text, n := literal(page[i+1:])
		i += n
		if bytes.HasPrefix(page[min(i+1, len(page)):], []byte(")Tj")) || bytes.HasPrefix(page[min(i, len(page)):], []byte(")Tj")) {
			out.WriteString(utf16be(text))
			out.WriteByte('\n')
		}
	}
}

// literal reads a PDF string up to its closing parenthesis, and says how many bytes it was (ISO 32000-1, 7.3.4.2).
func literal(data []byte) (text []byte, n int) {
	for n < len(data) && data[n] != ')' {
		if data[n] == '\\' && n+1 < len(data) {
			n++
			if data[n] == 'r' {
				text = append(text, '\r')
				n++
				continue
			}
		}
		text = append(text, data[n])
		n++
	}
	return text, n
}

func utf16be(data []byte) string {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = uint16(data[2*i])<<8 | uint16(data[2*i+1])
	}
	return string(utf16.Decode(units))
}
