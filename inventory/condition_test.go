package inventory

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestConditions(t *testing.T) {
	const before = `{"status":"active","custody":"installed","u":2,"tags":[],"name":"DB-1","rack":"","on":"2026-11-02","cost":9007199254740993}`
	const after = `{"status":"failed","custody":"installed","u":10,"tags":["x"],"name":"db-1","rack":null,"on":"2026-11-22","cost":9007199254740993,"ok":true}`
	for _, test := range []struct {
		text string
		want bool
	}{
		{"", true},
		{"# only words\n\n", true},
		{"status = failed", true},
		{"status=failed", true},
		{`status = "failed"`, true},
		{"after.status = failed", true},
		{"before.status != failed", true},
		{"status = failed\nbefore.status = failed", false},
		{"status changed", true},
		{"custody changed", false},
		{"tags changed", true},
		{"u > 9", true}, // as numbers: as texts, 10 is less than 9
		{"u <= 10", true},
		{"before.u < 2", false},
		{"on > 2026-11-21", true},
		{"before.on >= 2026-11-02", true},
		{"name contains DB", true},
		{"custody in missing, installed", true},
		{"custody in missing,gone", false},
		{"rack empty", true},
		{"tags not empty", true},
		{"before.tags empty", true},
		{"nothing empty", true},
		{`rack = ""`, true},
		{"ok = true", true},
		{"cost = 9007199254740993", true},
	} {
		list, err := ParseConditions(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		b, err1 := ReadPicture(json.RawMessage(before))
		a, err2 := ReadPicture(json.RawMessage(after))
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if got := list.Hold(b, a); got != test.want {
			t.Errorf("%q: %v, want %v", test.text, got, test.want)
		}
	}
	for _, text := range []string{"status", "= failed", "status ~ x", "Status = x", "before.custody changed", "name contains", "custody in", "x; DROP = 1", strings.Repeat("a = b\n", 51)} {
		if _, err := ParseConditions(text); err == nil {
			t.Errorf("%q was taken for a condition", text)
		}
	}
	if _, err := ParseConditions("status = x\n\nnonsense"); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("the line is not named: %v", err)
	}
}

// FuzzConditions holds that what was read means the same when it is written and read again, and that nothing makes the comparison panic.
func FuzzConditions(f *testing.F) {
	f.Add("status = failed\nbefore.status != failed\ncustody changed", `{"status":"failed"}`)
	f.Add(`a in "x, y", z`, `{"a":[1,{"b":null}]}`)
	f.Add("u>=1e400\nv<NaN", `{"u":1e999,"v":"NaN"}`)
	f.Fuzz(func(t *testing.T, text, object string) {
		list, err := ParseConditions(text)
		if err != nil {
			return
		}
		after, err := ReadPicture(json.RawMessage(object))
		if err != nil {
			return
		}
		var lines []string
		for _, c := range list {
			lines = append(lines, c.String())
		}
		again, err := ParseConditions(strings.Join(lines, "\n"))
		if err != nil {
			t.Fatalf("%q was written as %q: %v", text, lines, err)
		}
		if list.Hold(nil, after) != again.Hold(nil, after) {
			t.Errorf("%q and %q do not mean the same", text, lines)
		}
	})
}
