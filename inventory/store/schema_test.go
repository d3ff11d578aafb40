package store

import (
	"context"
	"testing"

	"berth/inventory"
)

func openTest(t *testing.T, opt Options) *Store {
	t.Helper()
	if opt.Dir == "" && opt.DSN == "" {
		opt.Dir = t.TempDir()
	}
	s, err := Open(context.Background(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestFirstSteps is the shortest story: two objects, one refers to the other, both are found again.
func TestFirstSteps(t *testing.T) {
	s := openTest(t, Options{})
	ctx := context.Background()
	anna := inventory.Actor{Name: "anna", Level: inventory.LevelAdmin}
	err := s.Edit(ctx, inventory.NewRequest(anna, "moving in"), func(tx inventory.Tx) error {
		site := &inventory.Site{Name: "Berlin"}
		if err := tx.Create(site); err != nil {
			return err
		}
		return tx.Create(&inventory.Device{Name: "node-1", Site: site.UID})
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := s.List(ctx, inventory.NounFor[inventory.Device](), inventory.Query{Count: true})
	if err != nil {
		t.Fatal(err)
	}
	device := inventory.Items[inventory.Device](page)[0]
	if page.Total != 1 || !page.Exact || device.Name != "node-1" || page.Names[device.Site] != "berlin" {
		t.Errorf("got %+v", page)
	}
}
