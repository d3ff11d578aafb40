package store

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"berth/inventory"
)

// TestCreatesGatherByNoun: objects of several nouns that are created by turns are stored in few statements, and everything that reads
// within the edit sees them.
func TestCreatesGatherByNoun(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		var inserts atomic.Int64
		opt.OnSQL = func(sql string) {
			sql = strings.ReplaceAll(sql, "`", `"`) // gorm quotes as each database has it
			if strings.HasPrefix(sql, `INSERT INTO "assets"`) || strings.HasPrefix(sql, `INSERT INTO "components"`) {
				inserts.Add(1)
			}
		}
		s := openTest(t, opt)
		count := maxPending(inventory.NounFor[inventory.Component]())/2 + 1
		mustEdit(t, s, func(tx inventory.Tx) error {
			for i := range count {
				asset := &inventory.Asset{AssetTag: fmt.Sprintf("A-%03d", i)}
				if err := tx.Create(asset); err != nil {
					return err
				}
				for range 2 {
					if err := tx.Create(&inventory.Component{Asset: asset.UID, Kind: "disk"}); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if got := inserts.Load(); got != 3 { // the assets, as many components as go into one, and the others
			t.Errorf("%d statements", got)
		}
		mustEdit(t, s, func(tx inventory.Tx) error {
			asset := &inventory.Asset{AssetTag: "last"}
			disk := &inventory.Component{Kind: "disk", Serial: "Z1"}
			if err := tx.Create(asset); err != nil {
				return err
			}
			disk.Asset = asset.UID
			if err := tx.Create(disk); err != nil {
				return err
			}
			if err := tx.Create(&inventory.Asset{AssetTag: "last"}); asConflict(err) == nil || asConflict(err).UID != asset.UID {
				t.Errorf("the same tag twice in an edit: %v", err)
			}
			if _, err := tx.Get(inventory.NounFor[inventory.Asset](), "last"); err != nil {
				return err
			}
			page, err := tx.List(inventory.NounFor[inventory.Component](), inventory.Query{Filters: []inventory.Filter{inventory.Is("serial", "Z1")}})
			if err != nil || len(page.Items) != 1 || page.Names[asset.UID] != "last" {
				t.Errorf("the list within the edit: %+v, %v", page, err)
			}
			if err := tx.Delete(asset); asConflict(err) == nil {
				t.Errorf("what a new disk refers to was deleted: %v", err)
			}
			return nil
		})
		if _, err := inventory.Get[inventory.Asset](context.Background(), s, "last"); err != nil {
			t.Error(err)
		}
	})
}
