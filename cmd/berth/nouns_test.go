package main

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"berth/inventory"
)

// The commands of a noun do what its pages do: make, show, list with columns and filters, change, export, delete; with dates and amounts
// as people write them.
func TestCommandsOfANoun(t *testing.T) {
	data := t.TempDir()
	running(t, data)
	run := func(want int, args ...string) string {
		t.Helper()
		out, code := typed(t.Context(), append([]string{"--data", data}, args...)...)
		if code != want {
			t.Fatalf("berth %s exits with %d: %s", strings.Join(args, " "), code, out)
		}
		return out
	}
	run(exitOK, "acquisition", "create", "reference=P-1", "kind=purchase", "currency=KWD", "total_amount=1,234.567", "ordered_on=2026-11-22", "title=Two switches")
	run(exitOK, "acquisition", "create", "reference=P-2", "kind=donation", "title=Eight servers")
	if out := run(exitOK, "acquisition", "show", "P-1"); !strings.Contains(out, "1,234.567 KWD") || !strings.Contains(out, "2026-11-22") {
		t.Errorf("show prints %s", out)
	}
	run(exitOK, "acquisition", "edit", "P-1", "total_amount=5", "story=It came by bike")
	var shown inventory.Acquisition
	if err := json.Unmarshal([]byte(run(exitOK, "acquisition", "show", "P-1", "--json")), &shown); err != nil || shown.TotalAmount != 5000 || shown.Story != "It came by bike" {
		t.Errorf("after an edit in the stored currency: %+v, %v", shown, err)
	}
	out := run(exitOK, "acquisition", "list", "--filter", "kind=purchase", "--columns", "reference,total_amount", "--sort", "-reference")
	if !strings.Contains(out, "5.000 KWD") || strings.Contains(out, "P-2") || strings.Contains(out, "STATUS") {
		t.Errorf("list prints %s", out)
	}
	rows, err := csv.NewReader(strings.NewReader(run(exitOK, "acquisition", "list", "--csv", "--columns", "reference,total_amount", "--filter", "reference__starts=P-1"))).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][1] != "P-1" || rows[1][2] != "5.000" {
		t.Errorf("the export is %q, %v", rows, err)
	}
	run(exitUsage, "acquisition", "list", "--columns", "nonsense")
	run(exitUsage, "acquisition", "edit", "P-1", "total_amount=1,50")
	run(exitUsage, "acquisition", "edit", "P-1", "ordered_on=22.11.2026")
	run(exitOK, "acquisition", "delete", "P-2")
	run(exitRefused, "acquisition", "show", "P-2")
}
