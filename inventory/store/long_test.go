package store

import (
	"fmt"
	"sync"
	"testing"

	"berth/inventory"
)

// TestLongEditsGetThrough: an edit of many objects, each of which it looks up first, is stored although others write all the time, and not
// by trying until they pause.
func TestLongEditsGetThrough(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		var assets []*inventory.Asset
		for i := range 6 {
			assets = append(assets, create(t, s, &inventory.Asset{AssetTag: fmt.Sprintf("W-%d", i)}))
		}
		done := make(chan struct{})
		var people sync.WaitGroup
		for _, a := range assets {
			people.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-done:
						return
					default:
					}
					mustEdit(t, s, func(tx inventory.Tx) error {
						now, err := inventory.TxGet[inventory.Asset](tx, string(a.UID))
						if err != nil {
							return err
						}
						now.Notes = fmt.Sprint(n)
						return tx.Update(now)
					})
				}
			})
		}
		runs := 0
		for slice := range 5 {
			before := runs
			mustEdit(t, s, func(tx inventory.Tx) error {
				runs++
				for i := range 150 {
					if _, err := tx.List(inventory.NounFor[inventory.Asset](), inventory.Query{Filters: []inventory.Filter{inventory.Is("serial", fmt.Sprintf("N%d", i))}, NoNames: true}); err != nil {
						return err
					}
					if err := tx.Create(&inventory.Asset{AssetTag: fmt.Sprintf("L-%d-%d", slice, i), Serial: fmt.Sprintf("N%d", i)}); err != nil {
						return err
					}
				}
				return nil
			})
			if runs-before > 3 {
				t.Errorf("slice %d ran %d times", slice, runs-before)
			}
		}
		close(done)
		people.Wait()
	})
}
