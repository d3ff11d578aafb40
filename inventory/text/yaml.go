package text

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The writer of YAML is our own, because its output must not change with the version of a library: what is written here is compared by
// git, byte by byte, for years. It writes the part of YAML 1.2 that is needed, in block style; any reader of YAML takes it.

// node is a value to write: a scalar, a list or a mapping.
type node interface{ empty() bool }

type (
	// text is a string; it is quoted where another reader could take it for something else.
	text string
	// literal is a number, a truth value or a time, written as it is.
	literal string
	list    []node
	mapping []pair
)

type pair struct {
	key   string
	value node
}

func (t text) empty() bool    { return t == "" }
func (l literal) empty() bool { return l == "" }
func (l list) empty() bool    { return len(l) == 0 }
func (m mapping) empty() bool { return len(m) == 0 }

// add appends a pair, but for an empty value: what is not there is empty.
func (m *mapping) add(key string, value node) {
	if value != nil && !value.empty() {
		*m = append(*m, pair{key, value})
	}
}

// encode writes a mapping as a document.
func encode(m mapping) []byte {
	var b bytes.Buffer
	writeMapping(&b, m, 0, false)
	return b.Bytes()
}

// maxKey is how long a key may be to stand before its colon (YAML 1.2.2, section 7.4.2: 1024 characters); a longer one needs a mark.
const maxKey = 1000

// writeMapping writes the pairs, each on its own line; inline says that the first begins on a line that is there already.
func writeMapping(b *bytes.Buffer, m mapping, indent int, inline bool) {
	for i, p := range m {
		if i > 0 || !inline {
			pad(b, indent)
		}
		key := scalar(p.key)
		if len(key) > maxKey {
			b.WriteString("? " + key + "\n")
			pad(b, indent)
			key = ""
		}
		b.WriteString(key)
		b.WriteByte(':')
		writeValue(b, p.value, indent)
	}
}

// writeValue writes what stands behind "key:".
func writeValue(b *bytes.Buffer, v node, indent int) {
	switch v := v.(type) {
	case mapping:
		if len(v) == 0 {
			b.WriteString(" {}\n")
			return
		}
		b.WriteByte('\n')
		writeMapping(b, v, indent+2, false)
	case list:
		if len(v) == 0 {
			b.WriteString(" []\n")
			return
		}
		b.WriteByte('\n')
		writeList(b, v, indent, false)
	case text:
		writeText(b, string(v), indent+2)
	case literal:
		b.WriteString(" " + string(v) + "\n")
	}
}

func writeList(b *bytes.Buffer, l list, indent int, inline bool) {
	for i, item := range l {
		if i > 0 || !inline {
			pad(b, indent)
		}
		b.WriteByte('-')
		switch item := item.(type) {
		case mapping:
			if len(item) > 0 {
				b.WriteByte(' ')
				writeMapping(b, item, indent+2, true)
				continue
			}
		case list:
			if len(item) > 0 {
				b.WriteByte(' ')
				writeList(b, item, indent+2, true)
				continue
			}
		}
		writeValue(b, item, indent)
	}
}

func writeText(b *bytes.Buffer, s string, indent int) {
	if !blockable(s) {
		b.WriteString(" " + scalar(s) + "\n")
		return
	}
	// "|" ends in one line break, "|-" in none.
	lines, ok := strings.CutSuffix(s, "\n")
	b.WriteString(" |")
	if !ok {
		b.WriteByte('-')
	}
	b.WriteByte('\n')
	for line := range strings.SplitSeq(lines, "\n") {
		if line != "" {
			pad(b, indent)
		}
		b.WriteString(line + "\n")
	}
}

// blockable tells whether a text of several lines comes back as it is from a literal block. What begins with a blank would be taken for
// indentation, and what ends in several breaks needs a mark that editors like to lose.
func blockable(s string) bool {
	if !strings.Contains(s, "\n") || s[0] == '\n' || s[0] == ' ' || s[0] == '\t' || strings.HasSuffix(s, "\n\n") || !plainRunes(s) {
		return false
	}
	for line := range strings.SplitSeq(s, "\n") {
		if strings.HasSuffix(line, " ") || strings.HasSuffix(line, "\t") {
			return false
		}
	}
	return true
}

// plainRunes tells whether all of s can stand in a file as it is.
func plainRunes(s string) bool {
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
		case r == utf8.RuneError, r == '\uFEFF', r == '\u2028', r == '\u2029', r == '\u0085', unicode.IsControl(r), !unicode.IsPrint(r):
			return false
		}
	}
	return true
}

var (
	// bareForm is what needs no quotes in any YAML: it begins with a letter and holds nothing that means something there.
	bareForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./@+-]*( [A-Za-z0-9_./@+(][A-Za-z0-9_./@+()-]*)*$`)
	// keywords are words that some reader of YAML takes for a truth value or for nothing.
	keywords = []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
)

// scalar writes a string on one line.
func scalar(s string) string {
	if bareForm.MatchString(s) && len(s) <= 200 && !slices.Contains(keywords, strings.ToLower(s)) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		writeRune(&b, r)
	}
	b.WriteByte('"')
	return b.String()
}

// writeRune escapes as YAML and JSON both read it.
func writeRune(b *strings.Builder, r rune) {
	switch {
	case r == '"' || r == '\\':
		b.WriteByte('\\')
		b.WriteRune(r)
	case r == '\n':
		b.WriteString(`\n`)
	case r == '\t':
		b.WriteString(`\t`)
	case r == '\r':
		b.WriteString(`\r`)
	case r > 0xFFFF && !unicode.IsPrint(r):
		fmt.Fprintf(b, `\U%08X`, r)
	case !unicode.IsPrint(r) || r == '\uFEFF':
		fmt.Fprintf(b, `\u%04X`, r)
	default:
		b.WriteRune(r)
	}
}

func pad(b *bytes.Buffer, n int) {
	for range n {
		b.WriteByte(' ')
	}
}

// fromJSON turns a JSON document into nodes. Keys are sorted; numbers keep their spelling.
func fromJSON(data []byte) (node, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	return fromValue(v), nil
}

func fromValue(v any) node {
	switch v := v.(type) {
	case nil:
		return literal("null")
	case bool:
		return literal(fmt.Sprint(v))
	case json.Number:
		return literal(v)
	case string:
		return jsonText(v)
	case []any:
		out := make(list, len(v))
		for i, item := range v {
			out[i] = fromValue(item)
		}
		return out
	case map[string]any:
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		out := make(mapping, len(keys))
		for i, key := range keys {
			out[i] = pair{key, fromValue(v[key])}
		}
		return out
	}
	panic(fmt.Sprintf("text: JSON cannot hold a %T", v))
}

// jsonText is a string within JSON: the empty one is written too.
func jsonText(s string) node { return text(s) }
