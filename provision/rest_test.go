package provision

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"berth/inventory"
	"berth/inventory/store"
)

// TestRestOfPoll is the pause by how long a BMC has been silent.
func TestRestOfPoll(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	req := inventory.NewRequest(inventory.Berth, "")
	edit := func(fn func(tx inventory.Tx) error) {
		t.Helper()
		if err := s.Edit(context.Background(), req, fn); err != nil {
			t.Fatal(err)
		}
	}
	device := &inventory.Device{Name: "node-1"}
	b := &inventory.BMC{Kind: "ipmi", Address: "192.0.2.1"}
	edit(func(tx inventory.Tx) error {
		if err := tx.Create(device); err != nil {
			return err
		}
		b.Device = device.UID
		return tx.Create(b)
	})
	args, err := json.Marshal(pollArgs{BMC: b.UID})
	if err != nil {
		t.Fatal(err)
	}
	begin := now
	for _, c := range []struct {
		state  string
		silent time.Duration
		want   time.Duration
	}{
		{"ok", 5 * time.Hour, time.Minute},
		{"unreachable", 0, time.Minute},
		{"unreachable", 5 * time.Minute, time.Minute},
		{"refused", time.Hour, 6 * time.Minute},
		{"changed", 9 * time.Hour, 54 * time.Minute},
		{"unreachable", 400 * 24 * time.Hour, time.Hour},
	} {
		now = begin
		edit(func(tx inventory.Tx) error {
			x, err := inventory.TxGet[inventory.BMC](tx, string(b.UID))
			if err != nil {
				return err
			}
			x.State, x.Problem = c.state, c.state+c.silent.String()
			return tx.Update(x)
		})
		now = begin.Add(c.silent)
		edit(func(tx inventory.Tx) error {
			if got, err := restOfPoll(tx, &inventory.Operation{Args: args}); got != c.want || err != nil {
				t.Errorf("%s for %v: %v, %v; want %v", c.state, c.silent, got, err, c.want)
			}
			return nil
		})
	}
}
