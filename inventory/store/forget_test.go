package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"berth/inventory"
)

// everything is each row of each table as text, but for keys.
func everything(t *testing.T, s *Store) string {
	t.Helper()
	var b strings.Builder
	for _, n := range backedUp {
		for _, row := range rowsOf(t, s, n) {
			b.WriteString(row + "\n")
		}
	}
	return b.String()
}

// TestForget: of a person who is forgotten nothing is left in any table, but that there was one; what they signed for stays signed for,
// and the chain of custody stays whole.
func TestForget(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		org := create(t, s, &inventory.Organization{Name: "Acme"})
		ben := create(t, s, &inventory.Contact{Name: "Ben Canary", Organization: org.UID, Email: "canary@example.org", Phone: "+49 30 5550100", Notes: "canary canary"})
		mustEdit(t, s, func(tx inventory.Tx) error { ben.Address = "Canary Street 1"; return tx.Update(ben) })
		signed := create(t, s, &inventory.CustodyEvent{At: newClock().now(), Kind: "received", Contact: ben.UID, ToOrganization: org.UID})
		rack := create(t, s, &inventory.Site{Name: "Berlin", AccessProcedure: "write to canary@example.org"})
		mustEdit(t, s, func(tx inventory.Tx) error { rack.AccessProcedure = "ring the bell"; return tx.Update(rack) })
		if !strings.Contains(strings.ToLower(everything(t, s)), "canary") {
			t.Fatal("the test looks for nothing")
		}
		req := inventory.NewRequest(anna, "they asked for it")
		got, err := s.Forget(context.Background(), req, string(ben.UID))
		if err != nil || !got.Forgotten || got.Organization != org.UID {
			t.Fatalf("got %+v, %v", got, err)
		}
		rest := strings.ToLower(everything(t, s))
		for _, word := range []string{"canary", "5550100"} {
			if i := strings.Index(rest, word); i >= 0 {
				t.Errorf("%q is still there: …%s…", word, rest[max(0, i-200):min(len(rest), i+100)])
			}
		}
		if e := find[inventory.CustodyEvent](t, s, string(signed.UID)); e.Contact != ben.UID {
			t.Error("it is no longer known that somebody signed")
		}
		report, err := inventory.VerifyCustody(context.Background(), s)
		if err != nil || report.Links != 1 || report.Problem != "" {
			t.Errorf("the chain: %+v, %v", report, err)
		}
		if n := len(all[inventory.Change](t, s, inventory.Is("object", ben.UID))); n != 3 {
			t.Errorf("%d entries of the log are left of 3", n)
		}
		found, err := s.List(context.Background(), inventory.NounFor[inventory.Contact](), inventory.Query{Search: "canary"})
		if err != nil || len(found.Items) != 0 {
			t.Errorf("the search still finds %v, %v", found.Items, err)
		}
		if c := asConflict(undo(s, req.ID)); c == nil {
			t.Error("a person was remembered again")
		}
		if _, err := s.Forget(context.Background(), req, "nobody"); !errors.Is(err, inventory.ErrNotFound) {
			t.Errorf("nobody: %v", err)
		}
	})
}

// TestCustodyChain: many who write at once, on one server or two, make one chain; what is altered, taken out or slipped in past berth is
// found, at the first link that does not hold.
func TestCustodyChain(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		servers := []*Store{s, s}
		if opt.DSN != "" {
			servers[1] = openTest(t, opt)
		}
		asset := create(t, s, &inventory.Asset{AssetTag: "A1"})
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 5 {
					event := &inventory.CustodyEvent{At: newClock().now(), Kind: "moved", Asset: asset.UID, Place: fmt.Sprint(i, ".", j)}
					if err := try(servers[i%2], func(tx inventory.Tx) error { again := *event; return tx.Create(&again) }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		verify := func() inventory.CustodyReport {
			t.Helper()
			report, err := inventory.VerifyCustody(context.Background(), s)
			if err != nil {
				t.Fatal(err)
			}
			return report
		}
		if report := verify(); report.Links != 40 || report.Problem != "" || report.Hash == "" {
			t.Fatalf("got %+v", report)
		}
		links := all[inventory.CustodyEvent](t, s, inventory.Filter{Field: "sequence", Op: inventory.OpLess, Value: "5"})
		third := links[0]
		for _, l := range links {
			if l.Sequence == 3 {
				third = l
			}
		}
		for what, test := range map[string]struct{ sql, back, says string }{
			"altered":    {`UPDATE custody_events SET place = 'elsewhere' WHERE sequence = 3`, `UPDATE custody_events SET place = '` + third.Place + `' WHERE sequence = 3`, "link 3 says something else"},
			"rehashed":   {`UPDATE custody_events SET hash = 'forged' WHERE sequence = 3`, `UPDATE custody_events SET hash = '` + third.Hash + `' WHERE sequence = 3`, "link 3 says something else"},
			"renumbered": {`UPDATE custody_events SET sequence = 900 WHERE sequence = 3`, `UPDATE custody_events SET sequence = 3 WHERE sequence = 900`, "link 4 follows link 2"},
			"relinked":   {`UPDATE custody_events SET previous_hash = '' WHERE sequence = 3`, `UPDATE custody_events SET previous_hash = '` + third.PreviousHash + `' WHERE sequence = 3`, "does not carry the hash of link 2"},
		} {
			if err := s.write.Exec(test.sql).Error; err != nil {
				t.Fatal(err)
			}
			if report := verify(); !strings.Contains(report.Problem, test.says) || report.Links != 2 || what != "renumbered" && report.Broken != third.UID {
				t.Errorf("%s: got %+v", what, report)
			}
			if err := s.write.Exec(test.back).Error; err != nil {
				t.Fatal(err)
			}
		}
		if report := verify(); report.Problem != "" {
			t.Errorf("put right again: %+v", report)
		}
		if c := asConflict(try(s, func(tx inventory.Tx) error { third.Place = "x"; return tx.Update(third) })); c == nil {
			t.Error("a link was changed through the front door")
		}
		forged := &inventory.CustodyEvent{At: newClock().now(), Kind: "moved", Sequence: 41, PreviousHash: third.Hash}
		if asInvalid(try(s, func(tx inventory.Tx) error { return tx.Create(forged) })) == nil {
			t.Error("a link that does not fit was taken")
		}
	})
}
