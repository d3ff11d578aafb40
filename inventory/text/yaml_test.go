package text

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// readBack is what another reader of YAML makes of a document.
func readBack(t *testing.T, data []byte) map[string]any {
	t.Helper()
	var got map[string]any
	if err := yaml.Unmarshal(data, &got); err != nil {
		t.Fatalf("%v in:\n%s", err, data)
	}
	return got
}

// TestTextsComeBack: whatever a text is, a reader of YAML finds that same text, and not a number, a truth value or a date.
func TestTextsComeBack(t *testing.T) {
	for _, s := range []string{
		"plain", "two words", "yes", "NO", "null", "~", "007", "1e3", "0x10", "2026-11-22", "12:30", "- a", "a: b", "a #b", "#a", "'", `"`, `\`, " a", "a ",
		"a\nb", "a\nb\n", "a\n\n", "\na", " a\nb", "a\n b", "a \nb", "a\tb\nc", "a\r\nb", "\u2028", "\u0085", "\ufeffa", "{}", "[]", "*a", "&a", "!a", "%a", "@a", "`a",
		"漢字", "\U0001F600", "a\u00a0b", "---", "...", "key:", "? a", "| a", "> a", strings.Repeat("long ", 100), "=", "<<", "a, b", strings.Repeat("ключ", 400), "x\x7f", "\u200b",
	} {
		got := readBack(t, encode(mapping{{"a", text(s)}, {"l", list{text(s), mapping{{"b", text(s)}}, list{text(s)}}}, {"m", mapping{{s, text(s)}}}, {"z", literal("1")}}))
		items := got["l"].([]any)
		for where, v := range map[string]any{"value": got["a"], "item": items[0], "item's value": items[1].(map[string]any)["b"], "nested item": items[2].([]any)[0], "key": got["m"].(map[string]any)[s]} {
			if v != s {
				t.Errorf("%q as %s came back as %#v", s, where, v)
			}
		}
		if got["z"] != 1 {
			t.Errorf("behind %q stands %#v", s, got["z"])
		}
	}
}

// FuzzText: no text breaks out of its place.
func FuzzText(f *testing.F) {
	f.Add("a\n  b: c\n", "k")
	f.Add("|\n", "- ")
	f.Fuzz(func(t *testing.T, s, key string) {
		if !utf8.ValidString(s) || !utf8.ValidString(key) || len(key) > 5000 {
			t.Skip()
		}
		got := readBack(t, encode(mapping{{"m", mapping{{key, text(s)}}}, {"after", literal("1")}}))
		if m, ok := got["m"].(map[string]any); !ok || m[key] != s || got["after"] != 1 || len(got) != 2 {
			t.Errorf("%q: %q came back as %#v", key, s, got)
		}
	})
}

// FuzzJSON: a JSON document that went through a file is written the same the next time.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,"ä",{},[],null,true,1.50,"1"]}`, `[[1],[[]]]`, `"x"`, `{"":"", "b": {"c": []}}`, `-0`, `1e400`, `{"<<": 1}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !json.Valid([]byte(s)) || !utf8.ValidString(s) || strings.Contains(s, `\u0000`) || len(s) > 10_000 {
			t.Skip()
		}
		n, err := fromJSON([]byte(s))
		if err != nil {
			t.Skip() // deeper than the decoder goes
		}
		first := encode(mapping{{"v", n}})
		var doc yaml.Node
		if err := yaml.Unmarshal(first, &doc); err != nil {
			t.Fatalf("%v in:\n%s", err, first)
		}
		var b strings.Builder
		if err := toJSON(&b, doc.Content[0].Content[1], 0); err != nil {
			if strings.Contains(err.Error(), "nested") {
				t.Skip()
			}
			t.Fatalf("%v in:\n%s", err, first)
		}
		again, err := fromJSON([]byte(b.String()))
		if err != nil {
			t.Fatalf("%v in %s", err, b.String())
		}
		if second := encode(mapping{{"v", again}}); string(second) != string(first) {
			t.Errorf("first\n%s\nthen\n%s", first, second)
		}
	})
}
