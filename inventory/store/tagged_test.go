package store

import (
	"slices"
	"testing"

	"berth/inventory"
)

func TestTaggedObjects(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		device := func(name string, state inventory.State) *inventory.Device {
			return &inventory.Device{Name: name, ProvisionState: state}
		}
		a, b, c := device("a", inventory.StateReady), device("b", inventory.StateReady), device("c", "")
		old, loud := &inventory.Tag{Name: "Old", Slug: "old"}, &inventory.Tag{Name: "Loud", Slug: "loud"}
		mustEdit(t, s, func(tx inventory.Tx) error {
			for _, obj := range []inventory.Object{a, b, c, old, loud} {
				if err := tx.Create(obj); err != nil {
					return err
				}
			}
			for _, tie := range []inventory.Tagging{{Tag: old.UID, Object: a.UID}, {Tag: loud.UID, Object: a.UID}, {Tag: old.UID, Object: b.UID}, {Tag: old.UID, Object: c.UID}} {
				tie.Noun = "device"
				if err := tx.Create(&tie); err != nil {
					return err
				}
			}
			return nil
		})
		for _, q := range []struct {
			noun string
			tags []string
			want []string
		}{
			{"device", nil, []string{"a", "b", "c"}}, {"device", []string{"old"}, []string{"a", "b", "c"}}, {"machine", []string{"old"}, []string{"a", "b"}},
			{"device", []string{"old", "loud"}, []string{"a"}}, {"device", []string{"none"}, nil}, {"device", []string{"' OR 1=1 --"}, nil},
		} {
			n, _ := inventory.NounOf(q.noun)
			page, err := s.List(t.Context(), n, inventory.Query{Tags: q.tags, Sort: "name", Count: true})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range inventory.Items[inventory.Device](page) {
				got = append(got, d.Name)
			}
			if !slices.Equal(got, q.want) || int(page.Total) != len(q.want) {
				t.Errorf("%s with %v: %v (%d), want %v", q.noun, q.tags, got, page.Total, q.want)
			}
		}
	})
}
