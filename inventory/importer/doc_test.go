package importer

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of statuses into docs/moving-in.md")

const page = "../../docs/moving-in.md"

// statusTable is a table of words as the page shows it.
func statusTable(words map[string]axes) string {
	var b strings.Builder
	for _, word := range slices.Sorted(maps.Keys(words)) {
		a := words[word]
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", word, a.status, a.custody, a.condition, a.disposition)
	}
	return strings.ReplaceAll(b.String(), "|  ", "| ")
}

var statusTables = map[string]map[string]axes{"netboxDevice": netboxDevice, "netboxAsset": netboxAsset, "snipe": snipe, "ralph": ralph, "opendcim": opendcim}

// TestStatusPage holds the page against the tables.
func TestStatusPage(t *testing.T) {
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for name, words := range statusTables {
		table := statusTable(words)
		if *update {
			text = strings.Replace(text, "@"+name+"@\n", table, 1)
		}
		if !strings.Contains(text, table) {
			t.Errorf("docs/moving-in.md does not show the table %s:\n%s", name, table)
		}
	}
	for _, f := range Formats {
		if !strings.Contains(text, "`"+f.Name+"`") {
			t.Errorf("docs/moving-in.md does not speak of %s", f.Name)
		}
	}
	if *update {
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStatusWords sees that every word leads to values that the fields can have.
func TestStatusWords(t *testing.T) {
	allowed := func(noun, field, v string) bool {
		return v == "" || slices.Contains(mustField(mustNoun(noun), field).Values, v)
	}
	for name, words := range statusTables {
		for word, a := range words {
			if normal(word) != word {
				t.Errorf("%s: %q is not in the form that words are compared in", name, word)
			}
			if !allowed("device", "status", a.status) || !allowed("asset", "custody", a.custody) || !allowed("asset", "condition", a.condition) || !allowed("asset", "disposition", a.disposition) {
				t.Errorf("%s: %q leads to %+v", name, word, a)
			}
		}
	}
}
