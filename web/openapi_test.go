package web

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

const goldenFile = "testdata/openapi.json"

// TestOpenAPIOnlyGrows holds the document against the golden one: what is there stays there, with its meaning. Additions are taken over
// with -update.
func TestOpenAPIOnlyGrows(t *testing.T) {
	now := (&Server{}).handlerForTest().openapi
	if *update {
		if err := os.WriteFile(goldenFile, now, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range missing("", parse(t, golden), parse(t, now)) {
		t.Errorf("%s: the promise is additions only", line)
	}
	if len(missing("", parse(t, now), parse(t, golden))) > 0 && !t.Failed() {
		t.Error("the interface has grown: run go test ./web -run OpenAPI -update, and look at the difference")
	}
}

func parse(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// words of a document that may be said differently without breaking anybody.
var wording = []string{"summary", "description", "x-access", "info"}

// missing lists what old has and new has not, or has otherwise.
func missing(path string, old, now any) []string {
	switch old := old.(type) {
	case map[string]any:
		now, ok := now.(map[string]any)
		if !ok {
			return []string{path + " is no object any more"}
		}
		var lines []string
		for key, value := range old {
			if slices.Contains(wording, key) && !strings.HasSuffix(path, "/properties") {
				continue
			}
			if _, ok := now[key]; !ok {
				lines = append(lines, path+"/"+key+" is gone")
				continue
			}
			lines = append(lines, missing(path+"/"+key, value, now[key])...)
		}
		return lines
	case []any:
		return missingFromList(path, old, now)
	}
	if spelled(old) != spelled(now) {
		return []string{fmt.Sprintf("%s was %v and is %v", path, old, now)}
	}
	return nil
}

// missingFromList takes lists for sets: parameters and choices may be added anywhere. A field that was optional must not become required.
func missingFromList(path string, old []any, now any) []string {
	list, _ := now.([]any)
	have := map[string]bool{}
	for _, item := range list {
		have[spelled(item)] = true
	}
	var lines []string
	for _, item := range old {
		if !have[spelled(item)] {
			lines = append(lines, path+" has lost "+spelled(item))
		}
	}
	if strings.HasSuffix(path, "/required") && len(list) > len(old) {
		lines = append(lines, path+" requires more than before")
	}
	return lines
}

func spelled(v any) string {
	if m, ok := v.(map[string]any); ok {
		if name, ok := m["name"]; ok {
			return fmt.Sprint(name, m["in"])
		}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestMissingIsSeen(t *testing.T) {
	old := map[string]any{"a": map[string]any{"properties": map[string]any{"summary": "x", "b": 1.0}}, "required": []any{"a"}, "summary": "old words"}
	for name, now := range map[string]any{
		"a path gone":   map[string]any{"required": []any{"a"}},
		"a field gone":  map[string]any{"a": map[string]any{"properties": map[string]any{"b": 1.0}}, "required": []any{"a"}},
		"a type other":  map[string]any{"a": map[string]any{"properties": map[string]any{"summary": "x", "b": "1"}}, "required": []any{"a"}},
		"more required": map[string]any{"a": map[string]any{"properties": map[string]any{"summary": "x", "b": 1.0}}, "required": []any{"a", "b"}},
	} {
		if len(missing("", old, now)) == 0 {
			t.Errorf("%s goes unseen", name)
		}
	}
	if lines := missing("", old, map[string]any{"a": old["a"], "required": old["required"], "summary": "new words", "c": 1}); len(lines) > 0 {
		t.Errorf("an addition is taken for a loss: %v", lines)
	}
}

// TestOpenAPIIsWhole: every reference leads somewhere, every operation has a name of its own and an answer.
func TestOpenAPIIsWhole(t *testing.T) {
	doc := parse(t, (&Server{}).handlerForTest().openapi).(map[string]any)
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok && schemas[strings.TrimPrefix(ref, "#/components/schemas/")] == nil {
				t.Errorf("%s refers to %s, which is nothing", path, ref)
			}
			for key, value := range v {
				walk(path+"/"+key, value)
			}
		case []any:
			for _, item := range v {
				walk(path, item)
			}
		}
	}
	walk("", doc)
	names := map[string]string{}
	for path, item := range doc["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			id := op.(map[string]any)["operationId"].(string)
			if other := names[id]; other != "" {
				t.Errorf("%s %s and %s are both called %s", method, path, other, id)
			}
			names[id] = method + " " + path
		}
	}
	if len(names) < 100 {
		t.Errorf("only %d operations", len(names))
	}
}
