package store

import (
	"context"
	"encoding/base64"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"berth/inventory"
)

// rackful makes devices for the tests of lists: with equal and with empty values among them.
func rackful(t *testing.T, s *Store) {
	t.Helper()
	seen := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	states := []inventory.State{"", inventory.StateReady, inventory.StateDeployed}
	mustEdit(t, s, func(tx inventory.Tx) error {
		for i := range 30 {
			d := &inventory.Device{Name: fmt.Sprintf("node-%02d", i), Role: []string{"", "k8s-node", "Ceph_Host", "100%"}[i%4], ProvisionState: states[i%3]}
			if i%5 != 0 {
				at := seen.Add(time.Duration(i%7) * time.Hour)
				d.SeenAt = &at
			}
			if err := tx.Create(d); err != nil {
				return err
			}
			if i%3 == 0 {
				if err := tx.Create(&inventory.Interface{Device: d.UID, Name: "eno1", MAC: fmt.Sprintf("52:54:00:00:00:%02x", i)}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func namesOf(page inventory.Page) []string {
	var out []string
	for _, d := range inventory.Items[inventory.Device](page) {
		out = append(out, strings.TrimPrefix(d.Name, "node-"))
	}
	return out
}

// TestFilters is every operator over fields of every kind. "…" stands for "all others too".
func TestFilters(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		rackful(t, s)
		for _, test := range []struct {
			filter inventory.Filter
			want   func(i int) bool
		}{
			{inventory.Filter{Field: "name", Op: inventory.OpIs, Value: "node-07"}, func(i int) bool { return i == 7 }},
			{inventory.Filter{Field: "name", Op: inventory.OpNot, Value: "node-07"}, func(i int) bool { return i != 7 }},
			{inventory.Filter{Field: "name", Op: inventory.OpIn, Value: "node-07, node-09,nobody"}, func(i int) bool { return i == 7 || i == 9 }},
			{inventory.Filter{Field: "name", Op: inventory.OpStarts, Value: "NODE-1"}, func(i int) bool { return i >= 10 && i < 20 }},
			{inventory.Filter{Field: "name", Op: inventory.OpStarts, Value: "ode"}, func(int) bool { return false }},
			{inventory.Filter{Field: "role", Op: inventory.OpContains, Value: "h_h"}, func(i int) bool { return i%4 == 2 }},
			{inventory.Filter{Field: "role", Op: inventory.OpContains, Value: "%"}, func(i int) bool { return i%4 == 3 }},
			{inventory.Filter{Field: "role", Op: inventory.OpContains, Value: "!"}, func(int) bool { return false }},
			{inventory.Filter{Field: "role", Op: inventory.OpEmpty, Value: "true"}, func(i int) bool { return i%4 == 0 }},
			{inventory.Filter{Field: "role", Op: inventory.OpEmpty, Value: "false"}, func(i int) bool { return i%4 != 0 }},
			{inventory.Filter{Field: "provision_state", Op: inventory.OpIs, Value: "ready"}, func(i int) bool { return i%3 == 1 }},
			{inventory.Filter{Field: "provision_state", Op: inventory.OpIn, Value: "ready,deployed"}, func(i int) bool { return i%3 != 0 }},
			{inventory.Filter{Field: "seen_at", Op: inventory.OpEmpty, Value: "true"}, func(i int) bool { return i%5 == 0 }},
			{inventory.Filter{Field: "seen_at", Op: inventory.OpEmpty, Value: "false"}, func(i int) bool { return i%5 != 0 }},
			{inventory.Filter{Field: "seen_at", Op: inventory.OpLess, Value: "2026-05-01T14:00:00Z"}, func(i int) bool { return i%5 != 0 && i%7 < 2 }},
			{inventory.Filter{Field: "seen_at", Op: inventory.OpMore, Value: "2026-05-01T16:00:00+02:00"}, func(i int) bool { return i%5 != 0 && i%7 > 2 }},
			{inventory.Filter{Field: "seen_at", Op: inventory.OpMore, Value: "2026-05-01"}, func(i int) bool { return i%5 != 0 }},
			{inventory.Filter{Field: "seen_at", Op: inventory.OpNot, Value: "2026-05-01T12:00:00Z"}, func(i int) bool { return i%5 == 0 || i%7 != 0 }},
		} {
			page, err := s.List(context.Background(), inventory.NounFor[inventory.Device](), inventory.Query{Filters: []inventory.Filter{test.filter}, Count: true})
			if err != nil {
				t.Fatalf("%v: %v", test.filter, err)
			}
			var want []string
			for i := range 30 {
				if test.want(i) {
					want = append(want, fmt.Sprintf("%02d", i))
				}
			}
			if got := namesOf(page); !reflect.DeepEqual(got, want) || page.Total != int64(len(want)) || !page.Exact {
				t.Errorf("%v: got %v (of %d), want %v", test.filter, got, page.Total, want)
			}
		}
	})
}

// TestQueriesRefused: what a query asks for that a noun has not declared is refused with the field's name, and never reaches SQL.
func TestQueriesRefused(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir()})
	device, account, token := inventory.NounFor[inventory.Device](), inventory.NounFor[inventory.Account](), inventory.NounFor[inventory.Token]()
	filter := func(field string, op inventory.Op, value string) inventory.Query {
		return inventory.Query{Filters: []inventory.Filter{{Field: field, Op: op, Value: value}}}
	}
	for _, test := range []struct {
		noun  *inventory.Noun
		query inventory.Query
		field string
	}{
		{device, filter("nothing", inventory.OpIs, "x"), "nothing"},
		{device, filter(`name" = "x" OR "1`, inventory.OpIs, "x"), `name" = "x" OR "1`},
		{device, filter("notes", inventory.OpIs, "x"), "notes"},
		{account, filter("password_hash", inventory.OpIs, "x"), "password_hash"},
		{token, filter("hash", inventory.OpStarts, "a"), "hash"},
		{token, filter("hash", inventory.OpMore, "a"), "hash"},
		{device, filter("name", "like", "x"), "name"},
		{device, filter("name", inventory.OpIs, "a\x00b"), "name"},
		{device, filter("name", inventory.OpIs, "a\xffb"), "name"},
		{device, filter("name", inventory.OpIs, strings.Repeat("x", maxFilterText+1)), "name"},
		{device, filter("provision_state", inventory.OpIs, "broken"), "provision_state"},
		{device, filter("seen_at", inventory.OpLess, "yesterday"), "seen_at"},
		{device, filter("seen_at", inventory.OpContains, "2026"), "seen_at"},
		{device, filter("seen_at", inventory.OpEmpty, "perhaps"), "seen_at"},
		{device, filter("name", inventory.OpIn, strings.Repeat("x,", maxIn)), "name"},
		{device, inventory.Query{Filters: make([]inventory.Filter, maxFilters+1)}, ""},
		{device, inventory.Query{Sort: "notes"}, "notes"},
		{device, inventory.Query{Sort: "name; DROP TABLE devices"}, "name; DROP TABLE devices"},
		{token, inventory.Query{Sort: "hash"}, "hash"},
		{device, inventory.Query{Search: "a\x00"}, ""},
		{device, inventory.Query{Search: strings.Repeat("x", 201)}, ""},
		{inventory.NounFor[inventory.Step](), inventory.Query{Search: "x"}, ""},
	} {
		_, err := s.List(context.Background(), test.noun, test.query)
		invalid := asInvalid(err)
		if invalid == nil {
			t.Errorf("%s %.80v: got %v", test.noun.Name, test.query, err)
			continue
		}
		if _, named := invalid.Fields[test.field]; !named {
			t.Errorf("%s %.80v: %v does not name %q", test.noun.Name, test.query, err, test.field)
		}
	}
}

// TestSearch looks into every search field, whatever the case, and takes the signs of LIKE for what they are.
func TestSearch(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		rackful(t, s)
		for search, want := range map[string]int{"NODE-1": 10, "ceph_host": 7, "h_h": 7, "cephxhost": 0, "100%": 7, "%": 7, "_": 7, "'": 0, `\`: 0, "!": 0, "  node-03 ": 1} {
			page, err := s.List(context.Background(), inventory.NounFor[inventory.Device](), inventory.Query{Search: search, Count: true})
			if err != nil || len(page.Items) != want || page.Total != int64(want) {
				t.Errorf("%q: got %d of %d, want %d (%v)", search, len(page.Items), page.Total, want, err)
			}
		}
	})
}

// TestPaging walks lists of every noun in every order, both ways, page by page: each object comes once, in one order whatever the length
// of the page, though many have equal or unknown values.
func TestPaging(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		rackful(t, s)
		ctx := context.Background()
		for _, n := range inventory.Nouns {
			fields := []string{"created_at", "updated_at", "uid"}
			for _, f := range n.Fields {
				if f.Filter && ordered(f) {
					fields = append(fields, f.Name)
				}
			}
			for _, field := range fields {
				whole := walk(t, s, n, field, 1000)
				if got := walk(t, s, n, field, 4); !reflect.DeepEqual(got, whole) {
					t.Errorf("%s by %s: in pages of 4 %v, as a whole %v", n.Name, field, got, whole)
				}
				down := walk(t, s, n, "-"+field, 7)
				slices.Reverse(down)
				if !reflect.DeepEqual(down, whole) {
					t.Errorf("%s by %s: down %v, up %v", n.Name, field, down, whole)
				}
				page, err := s.List(ctx, n, inventory.Query{Count: true, Limit: 1})
				if err != nil || page.Total != int64(len(whole)) {
					t.Errorf("%s: %d counted, %d listed (%v)", n.Name, page.Total, len(whole), err)
				}
			}
		}
	})
}

func walk(t *testing.T, s *Store, n *inventory.Noun, sort string, limit int) []inventory.UID {
	t.Helper()
	var out []inventory.UID
	q := inventory.Query{Sort: sort, Limit: limit}
	for range 1000 {
		page, err := s.List(context.Background(), n, q)
		if err != nil {
			t.Fatalf("%s by %s: %v", n.Name, sort, err)
		}
		for _, item := range page.Items {
			out = append(out, item.Head().UID)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return out
		}
	}
	t.Fatalf("%s by %s: the pages do not end", n.Name, sort)
	return nil
}

// TestPagingUnderInserts: what is there when the walk begins comes once each, though others are inserted before and behind the cursor.
func TestPagingUnderInserts(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		rackful(t, s)
		device := inventory.NounFor[inventory.Device]()
		seen := map[string]int{}
		q := inventory.Query{Limit: 3}
		for i := 0; ; i++ {
			page, err := s.List(context.Background(), device, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range namesOf(page) {
				seen[name]++
			}
			for _, name := range []string{fmt.Sprintf("a-%d", i), fmt.Sprintf("node-%02d-b", i), fmt.Sprintf("z-%d", i)} {
				if i < 5 {
					create(t, s, &inventory.Device{Name: name})
				}
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
		for i := range 30 {
			if name := fmt.Sprintf("%02d", i); seen[name] != 1 {
				t.Errorf("node-%s came %d times", name, seen[name])
			}
		}
	})
}

// TestCursorsBelongToTheirList: a cursor of another list, in another order, or made up, is refused and never crashes.
func TestCursorsBelongToTheirList(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir()})
	rackful(t, s)
	device := inventory.NounFor[inventory.Device]()
	page, err := s.List(context.Background(), device, inventory.Query{Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	raw := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	uid := strings.Repeat("0", 32)
	for _, test := range []struct {
		noun   *inventory.Noun
		sort   string
		cursor string
	}{
		{device, "role", page.Next},
		{device, "-name", page.Next},
		{inventory.NounFor[inventory.Interface](), "name", page.Next},
		{device, "", "nonsense!"},
		{device, "", raw("nonsense")},
		{device, "", raw(`{"n":"devices","s":"name","v":"a","u":"not a uid"}`)},
		{device, "", raw(`{"n":"devices","s":"name","v":null,"u":"` + uid + `"}`)},
		{device, "seen_at", raw(`{"n":"devices","s":"seen_at","v":"never","u":"` + uid + `"}`)},
		{device, "", raw(`{"n":"devices","s":"name","v":"\u0000","u":"` + uid + `"}`)},
		{device, "", raw(`{"n":"devices","s":"name","v":"` + strings.Repeat("x", maxCursor) + `","u":"` + uid + `"}`)},
	} {
		if _, err := s.List(context.Background(), test.noun, inventory.Query{Sort: test.sort, Cursor: test.cursor}); asInvalid(err) == nil {
			t.Errorf("%s by %q with %.60s: got %v", test.noun.Name, test.sort, test.cursor, err)
		}
	}
}

// TestStatementsPerList: the number of SQL statements of a list does not grow with its rows, for any noun.
func TestStatementsPerList(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		var statements atomic.Int64
		opt.OnSQL = func(string) { statements.Add(1) }
		s := openTest(t, opt)
		rackful(t, s)
		for _, n := range inventory.Nouns {
			for _, limit := range []int{1, 2, 50} {
				statements.Store(0)
				if _, err := s.List(context.Background(), n, inventory.Query{Limit: limit, Count: true}); err != nil {
					t.Fatal(err)
				}
				if got := statements.Load(); got < 2 || got > 3 {
					t.Errorf("%s, %d rows: %d statements", n.Name, limit, got)
				}
			}
		}
	})
}

// TestNames: a page says what to call everything its objects refer to.
func TestNames(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		site := create(t, s, &inventory.Site{Name: "Kühlhaus Süd", Slug: "cold"})
		rack := create(t, s, &inventory.Rack{Name: "R1", Site: site.UID})
		device := create(t, s, &inventory.Device{Name: "node-1", Site: site.UID, Rack: rack.UID})
		port := create(t, s, &inventory.Interface{Name: "eno1", Device: device.UID})
		create(t, s, &inventory.Address{Address: "10.0.0.5", Interface: port.UID})
		for noun, want := range map[string]map[inventory.UID]string{
			"device":    {site.UID: "cold", rack.UID: "R1"},
			"rack":      {site.UID: "cold"},
			"interface": {device.UID: "node-1"},
			"address":   {port.UID: "eno1"},
			"site":      {},
		} {
			page, err := s.List(context.Background(), nounOf(noun), inventory.Query{})
			if err != nil || !reflect.DeepEqual(page.Names, want) {
				t.Errorf("%s: got %v, want %v (%v)", noun, page.Names, want, err)
			}
		}
	})
}

// TestView: a machine is a device with a state of provisioning, and nothing else is found under its name.
func TestView(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir()})
	create(t, s, &inventory.Device{Name: "router"})
	create(t, s, &inventory.Device{Name: "node", ProvisionState: inventory.StateReady})
	machine := nounOf("machine")
	page, err := s.List(context.Background(), machine, inventory.Query{Count: true})
	if err != nil || page.Total != 1 || len(page.Items) != 1 {
		t.Errorf("got %d of %d, %v", len(page.Items), page.Total, err)
	}
	if _, err := s.Get(context.Background(), machine, "router"); err == nil {
		t.Error("a router was found among the machines")
	}
	if _, err := s.Get(context.Background(), machine, "node"); err != nil {
		t.Error(err)
	}
}

// TestCountIsBounded: beyond 10,000 the number is "at least".
func TestCountIsBounded(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir()})
	sql := `INSERT INTO "identifiers" WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < ?)
		SELECT printf('%032x', n), 1, '2026-01-01 00:00:00+00:00', '2026-01-01 00:00:00+00:00', '', 'nic_mac', printf('%d', n) FROM i`
	for _, test := range []struct {
		rows, total int64
		exact       bool
	}{{exactUpTo, exactUpTo, true}, {exactUpTo + 1, exactUpTo, false}} {
		if err := s.write.Exec(`DELETE FROM "identifiers"`).Error; err != nil {
			t.Fatal(err)
		}
		if err := s.write.Exec(sql, test.rows).Error; err != nil {
			t.Fatal(err)
		}
		page, err := s.List(context.Background(), inventory.NounFor[inventory.Identifier](), inventory.Query{Count: true, Limit: 1})
		if err != nil || page.Total != test.total || page.Exact != test.exact {
			t.Errorf("%d rows: total %d, exact %v, %v", test.rows, page.Total, page.Exact, err)
		}
	}
}
