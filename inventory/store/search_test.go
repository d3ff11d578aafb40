package store

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"berth/internal/pgtest"
	"berth/inventory"
)

// shown writes hits as noun, field, fit and text with the match in brackets.
func shown(hits inventory.Hits) []string {
	var out []string
	for _, h := range hits.Hits {
		out = append(out, fmt.Sprintf("%s.%s %s %s[%s]%s", h.Noun.Name, h.Field.Name, h.Fit, h.Text[:h.From], h.Text[h.From:h.To], h.Text[h.To:]))
	}
	return out
}

func lookFor(t *testing.T, s *Store, level inventory.Level, text string) inventory.Hits {
	t.Helper()
	hits, err := s.Search(context.Background(), inventory.SearchQuery{Text: text, Level: level})
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return hits
}

// searchable makes a few things with something in common.
func searchable(t *testing.T, s *Store) (site *inventory.Site, asset *inventory.Asset) {
	t.Helper()
	site = create(t, s, &inventory.Site{Name: "Kühlhaus SÜD", Slug: "cold"})
	asset = create(t, s, &inventory.Asset{AssetTag: "K-1", Serial: "79OH8D2", Name: "PowerEdge R640", PartNumber: "R640-79OH"})
	device := create(t, s, &inventory.Device{Name: "kube-0421", Asset: asset.UID, Site: site.UID, ProvisionState: inventory.StateReady, Serial: "79OH8D2", Product: "PowerEdge R640"})
	create(t, s, &inventory.Device{Name: "switch-1"})
	create(t, s, &inventory.Interface{Device: device.UID, Name: "eno1", MAC: "D0:94:66:0A:12:3F"})
	create(t, s, &inventory.Shipment{Reference: "S-3", TrackingCode: `JJD"01%4_60`})
	create(t, s, &inventory.Account{Name: "otto", FullName: "Otto Kühlhaus", Level: inventory.LevelOperator})
	return site, asset
}

// TestSearchFinds: any part of three characters, whatever the case; exact before prefix before part, serials before what describes.
func TestSearchFinds(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		site, _ := searchable(t, s)
		for text, want := range map[string][]string{
			"79oh8d2":           {"asset.serial exact [79OH8D2]", "machine.serial exact [79OH8D2]"},
			"79oh":              {"asset.serial prefix [79OH]8D2", "machine.serial prefix [79OH]8D2"},
			"h8d":               {"asset.serial part 79O[H8D]2", "machine.serial part 79O[H8D]2"},
			"poweredge r640":    {"asset.name exact [PowerEdge R640]", "machine.product exact [PowerEdge R640]"},
			"edge":              {"asset.name part Power[Edge] R640", "machine.product part Power[Edge] R640"},
			"ühlhaus s":         {"site.name part K[ühlhaus S]ÜD"},
			"d0:94:66:0a:12:3f": {"interface.mac exact [d0:94:66:0a:12:3f]"},
			"66:0A:1":           {"interface.mac part d0:94:[66:0a:1]2:3f"},
			`d"01%4_`:           {`shipment.tracking_code part JJ[D"01%4_]60`},
			"01x4":              nil,
			"ku":                {"machine.name prefix [ku]be-0421"},
			"s":                 {"shipment.reference prefix [S]-3", "device.name prefix [s]witch-1"},
			"ube":               {"machine.name part k[ube]-0421"},
			"be":                nil,
			"no such thing":     nil,
			"\x01":              nil,
			" ":                 nil,
		} {
			got := shown(lookFor(t, s, inventory.LevelViewer, text))
			slices.Sort(got)
			slices.Sort(want)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%q: got %q, want %q", text, got, want)
			}
		}
		hits := lookFor(t, s, inventory.LevelViewer, "kube-0421")
		if len(hits.Hits) != 1 || hits.More || hits.Names[site.UID] != "cold" {
			t.Errorf("%q, more %v, names %v", shown(hits), hits.More, hits.Names)
		}
		if _, err := s.Search(context.Background(), inventory.SearchQuery{Text: strings.Repeat("x", inventory.MaxSearch+1), Level: inventory.LevelViewer}); asInvalid(err) == nil {
			t.Errorf("a long text: %v", err)
		}
	})
}

// TestSearchObeysLevels: nobody finds by search what the noun's own list would not show.
func TestSearchObeysLevels(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		searchable(t, s)
		for level, want := range map[inventory.Level]int{inventory.LevelNone: 0, inventory.LevelViewer: 1, inventory.LevelOperator: 1, inventory.LevelAdmin: 2} {
			if got := lookFor(t, s, level, "kühlhaus"); len(got.Hits) != want {
				t.Errorf("%s finds %q", level, shown(got))
			}
		}
	})
}

// TestSearchFollowsEdits: what an edit changes is found when it is stored, and only then; also what an undo brings back.
func TestSearchFollowsEdits(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		finds := func(text string, want int) {
			t.Helper()
			if got := lookFor(t, s, inventory.LevelAdmin, text); len(got.Hits) != want {
				t.Errorf("%q: got %q, want %d", text, shown(got), want)
			}
		}
		asset := create(t, s, &inventory.Asset{AssetTag: "first-tag"})
		finds("first-tag", 1)
		asset.AssetTag = "second-tag"
		mustEdit(t, s, func(tx inventory.Tx) error { return tx.Update(asset) })
		finds("first-tag", 0)
		finds("second-tag", 1)
		gone := mustEdit(t, s, func(tx inventory.Tx) error { return tx.Delete(asset) })
		finds("second-tag", 0)
		if err := s.Undo(context.Background(), inventory.NewRequest(anna, ""), gone); err != nil {
			t.Fatal(err)
		}
		finds("second-tag", 1)
		err := s.Edit(context.Background(), inventory.NewRequest(anna, ""), func(tx inventory.Tx) error {
			if err := tx.Create(&inventory.Asset{AssetTag: "third-tag"}); err != nil {
				return err
			}
			return context.Canceled
		})
		if err != context.Canceled {
			t.Fatal(err)
		}
		finds("third-tag", 0)
		mustEdit(t, s, func(tx inventory.Tx) error { // all of it within one edit
			fourth := &inventory.Asset{AssetTag: "fourth-tag"}
			if err := tx.Create(fourth); err != nil {
				return err
			}
			page, err := tx.List(inventory.NounFor[inventory.Asset](), inventory.Query{Search: "fourth"})
			if err != nil || len(page.Items) != 1 {
				t.Errorf("within its edit: %d found, %v", len(page.Items), err)
			}
			fourth.AssetTag = "fifth-tag"
			if err := tx.Update(fourth); err != nil {
				return err
			}
			sixth := &inventory.Asset{AssetTag: "sixth-tag"}
			if err := tx.Create(sixth); err != nil {
				return err
			}
			return tx.Delete(sixth)
		})
		finds("fourth-tag", 0)
		finds("fifth-tag", 1)
		finds("sixth-tag", 0)
	})
}

// TestSearchOfManyHits: a text that more objects hold than a search looks at still shows the exact one first, and lists that are searched
// count and page to the end.
func TestSearchOfManyHits(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		const count = fewEnough + 300
		for from := 0; from < count; from += 500 {
			mustEdit(t, s, func(tx inventory.Tx) error {
				for i := from; i < min(from+500, count); i++ {
					if err := tx.Create(&inventory.Tag{Name: fmt.Sprintf("box common-%05d", i), Slug: fmt.Sprintf("x%05d-common", i)}); err != nil {
						return err
					}
				}
				return nil
			})
		}
		create(t, s, &inventory.Tag{Name: "common", Slug: "the-one"})
		create(t, s, &inventory.Tag{Name: "common ground", Slug: "the-other"})
		hits := lookFor(t, s, inventory.LevelViewer, "common")
		if got := shown(hits); len(got) != inventory.DefaultHits || !hits.More || got[0] != "tag.name exact [common]" || got[1] != "tag.name prefix [common] ground" {
			t.Errorf("got %q, more %v", got, hits.More)
		}
		tag := inventory.NounFor[inventory.Tag]()
		for search, want := range map[string]int64{"common": count + 2, "common-0001": 10, "x00017-common": 1} {
			seen := map[inventory.UID]bool{}
			q := inventory.Query{Search: search, Count: true, Limit: 900}
			for {
				page, err := s.List(context.Background(), tag, q)
				if err != nil {
					t.Fatal(err)
				}
				for _, item := range page.Items {
					seen[item.Head().UID] = true
				}
				if page.Total != want || !page.Exact {
					t.Errorf("%q: total %d, want %d", search, page.Total, want)
				}
				if q.Cursor = page.Next; q.Cursor == "" {
					break
				}
			}
			if int64(len(seen)) != want {
				t.Errorf("%q: %d in the list, want %d", search, len(seen), want)
			}
		}
		// Together with a filter the count is of both.
		page, err := s.List(context.Background(), tag, inventory.Query{Search: "common", Count: true, Limit: 1, Filters: []inventory.Filter{{Field: "slug", Op: inventory.OpStarts, Value: "x0001"}}})
		if err != nil || page.Total != 10 {
			t.Errorf("search and filter: %d, %v", page.Total, err)
		}
	})
}

// TestSearchIsFilled: a record from before the index, or with another form of it, is searchable once it is open.
func TestSearchIsFilled(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		searchable(t, s)
		clear := []string{`DELETE FROM "search_docs"`, `UPDATE "search_state" SET "layout" = 'old'`}
		if opt.DSN == "" {
			clear = append(clear, `DELETE FROM "search_index"`)
		}
		for _, sql := range clear {
			if err := s.write.Exec(sql).Error; err != nil {
				t.Fatal(err)
			}
		}
		if got := lookFor(t, s, inventory.LevelAdmin, "79oh8d2"); len(got.Hits) != 0 {
			t.Fatalf("the index was not emptied: %q", shown(got))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time nothing is left to do
			s = openTest(t, opt)
			if got := lookFor(t, s, inventory.LevelAdmin, "79oh8d2"); len(got.Hits) != 2 {
				t.Errorf("got %q", shown(got))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestEveryNounIsFound makes an object of each noun that people keep and finds it by each of its search fields.
func TestEveryNounIsFound(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		for i, n := range inventory.Nouns {
			if n.Where != nil || !indexed(n) {
				continue
			}
			obj := filled(n, 1000+i)
			satisfy(t, s, n, obj)
			create(t, s, obj)
			fields, _ := n.SearchFields()
			for _, f := range fields {
				value := searchText(f, obj)
				hits := lookFor(t, s, inventory.LevelAdmin, cut(value, inventory.MaxSearch))
				if !slices.ContainsFunc(hits.Hits, func(h inventory.Hit) bool { return h.Object.Head().UID == obj.Head().UID }) {
					t.Errorf("%s is not found by its %s %q: %q", n.Name, f.Name, value, shown(hits))
				}
			}
		}
	})
}

// TestSearchWithoutExtension: where pg_trgm cannot be made, everything is found all the same.
func TestSearchWithoutExtension(t *testing.T) {
	s := openTest(t, Options{DSN: pgtest.Database(t)})
	searchable(t, s)
	if err := s.write.Exec("DROP EXTENSION pg_trgm CASCADE").Error; err != nil {
		t.Fatal(err)
	}
	if got := lookFor(t, s, inventory.LevelViewer, "h8d"); len(got.Hits) != 2 {
		t.Errorf("got %q", shown(got))
	}
}

// FuzzSearch: no text breaks the query languages below, and what is found holds the text.
func FuzzSearch(f *testing.F) {
	s := openTest(f, Options{Dir: f.TempDir()})
	create(f, s, &inventory.Asset{AssetTag: `a"b*c(d)e'f AND g:h^i`, Name: "İstanbul ǅ ß Straße"})
	for _, text := range []string{`"b*c`, "a\"b", "AND", "a:b", "(d)", "İst", "ß s", "*", "^i", "NEAR(", "\xff", "é\x00", "-", strings.Repeat("x", 300)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		hits, err := s.Search(context.Background(), inventory.SearchQuery{Text: text, Level: inventory.LevelAdmin})
		if err != nil && asInvalid(err) == nil {
			t.Fatalf("%q: %v", text, err)
		}
		for _, h := range hits.Hits {
			if inventory.Fold(h.Text[h.From:h.To]) != inventory.Fold(text) {
				t.Errorf("%q: the match is %q", text, h.Text[h.From:h.To])
			}
		}
	})
}
