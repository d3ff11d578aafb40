package inventory

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

// TestNouns holds every declaration against what the mechanism takes for granted.
func TestNouns(t *testing.T) {
	position := map[string]int{}
	for i, n := range Nouns {
		if n.Where == nil {
			position[n.Name] = i
		}
		if got, _ := NounOf(n.Name); got != n {
			t.Errorf("%s is not found by its name", n.Name)
		}
		if got, _ := NounOf(n.Plural); got != n {
			t.Errorf("%s is not found by its plural", n.Name)
		}
		if n.Where == nil && Describe(n.New()) != n {
			t.Errorf("%s is not found by its struct", n.Name)
		}
		if n.Help == "" || n.Title == "" {
			t.Errorf("%s has no help or title", n.Name)
		}
		if n.Natural != "" {
			if f, ok := n.Field(n.Natural); !ok || !f.Required {
				t.Errorf("%s: its key %q is no required field", n.Name, n.Natural)
			}
		}
		if f, ok := n.Field(strings.TrimPrefix(n.Sort, "-")); !ok || f.Hidden {
			t.Errorf("%s: it cannot be sorted by %q", n.Name, n.Sort)
		}
		if n.Journal && n.Edit != LevelNone {
			t.Errorf("%s is a journal that people may edit", n.Name)
		}
		if !slices.ContainsFunc(n.Fields, func(f Field) bool { return f.List || f.Hidden }) {
			t.Errorf("%s has no column for its list", n.Name)
		}
	}
	for _, n := range Nouns {
		for _, f := range n.Fields {
			target, ok := NounOf(f.Ref)
			switch {
			case f.Kind == KindRef && !ok:
				t.Errorf("%s.%s refers to the unknown %q", n.Name, f.Name, f.Ref)
			case f.Kind == KindRef && f.Required && position[target.Name] > position[n.Name]:
				t.Errorf("%s must refer to a %s, and stands before it in the order of an import", n.Name, target.Name)
			case f.Owned && (!n.Journal || f.Kind != KindRef):
				t.Errorf("%s.%s is owned, and is no reference of a journal", n.Name, f.Name)
			case f.Kind == KindEnum && len(f.Values) == 0:
				t.Errorf("%s.%s has no values", n.Name, f.Name)
			case f.Kind == KindSecret && (f.Filter || f.Search || f.List):
				t.Errorf("%s.%s is a secret in a list", n.Name, f.Name)
			case f.Hidden && (f.Search || f.List):
				t.Errorf("%s.%s is hidden and in a list", n.Name, f.Name)
			}
		}
	}
}

// TestHiddenFieldsStayHidden: neither a hash nor a secret is in the JSON of any noun.
func TestHiddenFieldsStayHidden(t *testing.T) {
	for _, n := range Nouns {
		obj := n.New()
		for _, f := range n.Fields {
			switch p := f.Pointer(obj).(type) {
			case *string:
				*p = "canary"
				if !f.Hidden {
					*p = ""
				}
			case *Secret:
				*p = PlainSecret("canary")
			}
		}
		data, err := json.Marshal(obj)
		if err != nil || strings.Contains(string(data), "canary") {
			t.Errorf("%s: %s, %v", n.Name, data, err)
		}
	}
}

// TestSecretsDoNotPrint, whatever way they are printed.
func TestSecretsDoNotPrint(t *testing.T) {
	for _, s := range []Secret{PlainSecret("canary"), SealedSecret("canary")} {
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s, "bmc", BMC{Password: s})
		data, err := json.Marshal(BMC{Password: s})
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, s) + fmt.Sprintf("%v %+v %#v", BMC{Password: s}, &BMC{Password: s}, BMC{Password: s}) + log.String() + string(data)
		if strings.Contains(text, "canary") || strings.Contains(text, "63616e617279") {
			t.Errorf("it prints: %s", text)
		}
	}
	if _, err := PlainSecret("canary").Value(); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("a plain secret went to the database: %v", err)
	}
}

// TestLevels: each level includes those below it, and nobody includes none of them.
func TestLevels(t *testing.T) {
	levels := []Level{LevelNone, LevelViewer, LevelOperator, LevelAdmin}
	for i, have := range levels {
		for j, want := range levels {
			if have.Includes(want) != (i >= j) {
				t.Errorf("%q includes %q: %v", have, want, have.Includes(want))
			}
		}
	}
	if Level("root").Includes(LevelViewer) {
		t.Error("an unknown level may see")
	}
}

// TestUIDs are valid, and never the same.
func TestUIDs(t *testing.T) {
	seen := map[UID]bool{}
	for range 1000 {
		u := NewUID()
		if !u.Valid() || seen[u] {
			t.Fatalf("%q", u)
		}
		seen[u] = true
	}
	for _, bad := range []UID{"", "x", UID(strings.Repeat("g", 32)), UID(strings.Repeat("A", 32)), UID(strings.Repeat("a", 33))} {
		if bad.Valid() {
			t.Errorf("%q is valid", bad)
		}
	}
}

// TestMACs is a table of the usual spellings.
func TestMACs(t *testing.T) {
	for text, want := range map[string]string{
		"aa:bb:cc:dd:ee:0f": "aa:bb:cc:dd:ee:0f", "AA-BB-CC-DD-EE-0F": "aa:bb:cc:dd:ee:0f", "aabb.ccdd.ee0f": "aa:bb:cc:dd:ee:0f", " AABBCCDDEE0F ": "aa:bb:cc:dd:ee:0f",
		"00:00:00:00:fe:80:00:00:00:00:00:00:02:00:5e:10:00:00:00:01": "00:00:00:00:fe:80:00:00:00:00:00:00:02:00:5e:10:00:00:00:01",
		"": "", "aa:bb": "", "aabbccddeeff0": "", "zz:bb:cc:dd:ee:0f": "", "aa:bb:cc:dd:ee:0f:aa": "", "päß:cc:dd:ee": "",
	} {
		got, err := CanonicalMAC(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}
