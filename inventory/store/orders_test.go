package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"berth/inventory"
)

// small are the nouns that an installation has few of: sorting all of them costs nothing that anybody feels.
var small = []string{"contact", "tag", "custom-field", "site", "location", "manufacturer", "rack-type", "rack", "rack-reservation", "power-panel", "power-feed", "device-type", "module-type",
	"acquisition", "organization", "image", "profile", "insurance-policy", "tracking-source", "subnet", "vlan", "prefix", "cost-line", "book", "disposition", "claim", "claim-entry",
	"customs-declaration", "deadline", "move-plan", "move", "stock-take", "webhook", "account", "saved-filter", "token", "session", "setting", "import-run"}

// ordersOf are the columns by which a list can be read from an index, for each field it can be sorted by.
func ordersOf(n *inventory.Noun) map[string][]string {
	out := map[string][]string{}
	for _, f := range n.Fields {
		if f.Hidden || f.Name == "uid" || f.Name == n.Natural || !(f.Filter || builtin(n, f.Name)) || !ordered(f) {
			continue
		}
		o, err := orderOf(n, inventory.Query{Sort: f.Name})
		if err != nil {
			panic(err)
		}
		out[f.Name] = append([]string{f.Name}, o.then...)
	}
	return out
}

// TestOrdersHaveIndexes: every order and every filter of a list that may be long has an index with the whole order in it.
func TestOrdersHaveIndexes(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir()})
	for _, n := range inventory.Nouns {
		if slices.Contains(small, n.Name) {
			continue
		}
		name, view := n.Table, ""
		if n.Where != nil {
			where, err := conditions(n, inventory.Query{}, "")
			if err != nil || len(where.args) > 0 {
				t.Fatal(where, err)
			}
			name, view = n.Plural, " WHERE "+where.sql()
		}
		var indexes []string
		err := s.read.Raw(`SELECT (SELECT group_concat("name") FROM (SELECT "name" FROM pragma_index_info(l."name") ORDER BY "seqno")) || CASE WHEN l."unique" THEN ' unique' ELSE '' END
			FROM pragma_index_list(?) AS l WHERE l."partial" = ?`, n.Table, n.Where != nil).Scan(&indexes).Error
		if err != nil {
			t.Fatal(err)
		}
		for field, columns := range ordersOf(n) {
			if !slices.Contains(indexes, strings.Join(columns, ",")) && !slices.Contains(indexes, field+" unique") {
				t.Errorf("a list of %s by %s needs: CREATE INDEX %s_%s ON %q (\"%s\")%s;", n.Plural, field, name, field, n.Table, strings.Join(columns, `", "`), view)
			}
		}
	}
}

// TestListsAreReadFromIndexes asks SQLite how it would read a long list in each order, forwards, backwards and from a cursor on, and in the usual
// order for each filter: never by sorting.
func TestListsAreReadFromIndexes(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir()})
	for _, n := range inventory.Nouns {
		if slices.Contains(small, n.Name) {
			continue
		}
		plan := func(q inventory.Query, where clause) {
			t.Helper()
			o, err := orderOf(n, q)
			if err != nil {
				t.Fatal(err)
			}
			obj := filled(n, 3)
			obj.Head().UID = inventory.NewUID()
			for _, cursor := range []string{"", o.cursor(n, obj)} {
				condition := where.clone()
				if err := o.after(n, cursor, &condition); err != nil {
					t.Fatalf("%s by %s: %v", n.Name, q.Sort, err)
				}
				var steps []struct{ Detail string }
				sql := fmt.Sprintf("EXPLAIN QUERY PLAN SELECT * FROM %s WHERE %s ORDER BY %s LIMIT 51", quote(n.Table), condition.sql(), o.sql())
				if err := s.read.Raw(sql, condition.args...).Scan(&steps).Error; err != nil {
					t.Fatal(err)
				}
				for _, step := range steps {
					if strings.Contains(step.Detail, "TEMP B-TREE") {
						t.Errorf("%s by %q where %s: %v", n.Plural, o.name, condition.sql(), steps)
					}
				}
			}
		}
		view, err := conditions(n, inventory.Query{}, "")
		if err != nil {
			t.Fatal(err)
		}
		for field := range ordersOf(n) {
			for _, sort := range []string{field, "-" + field} {
				plan(inventory.Query{Sort: sort}, view)
			}
			if f, _ := n.Field(field); f.Kind == inventory.KindTime {
				continue // few have the same instant, and sorting them is nothing
			}
			where := view.clone()
			where.add(quote(field)+" = ?", 1)
			plan(inventory.Query{}, where)
		}
	}
}
