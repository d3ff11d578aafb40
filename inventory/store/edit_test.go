package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"berth/inventory"
)

// try makes an edit of anna's and returns what came of it.
func try(s *Store, fn func(tx inventory.Tx) error) error {
	return s.Edit(context.Background(), inventory.NewRequest(anna, "test"), fn)
}

// TestEditIsOneTransaction: an error, or a panic, leaves nothing behind.
func TestEditIsOneTransaction(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		stop := errors.New("stop")
		err := try(s, func(tx inventory.Tx) error {
			if err := tx.Create(&inventory.Site{Name: "a"}); err != nil {
				return err
			}
			return stop
		})
		if err != stop {
			t.Errorf("got %v, want the edit's own error as it is", err)
		}
		func() {
			defer func() {
				if v := recover(); v != "oh" {
					t.Errorf("recovered %v", v)
				}
			}()
			_ = try(s, func(tx inventory.Tx) error {
				if err := tx.Create(&inventory.Site{Name: "a"}); err != nil {
					return err
				}
				panic("oh")
			})
		}()
		if sites := all[inventory.Site](t, s); len(sites) != 0 {
			t.Errorf("%d sites stayed", len(sites))
		}
		if changes := all[inventory.Change](t, s); len(changes) != 0 {
			t.Errorf("%d changes stayed", len(changes))
		}
		create(t, s, &inventory.Site{Name: "a"})
	})
}

// TestEditSeesItself: within an edit, what it wrote is read.
func TestEditSeesItself(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		mustEdit(t, s, func(tx inventory.Tx) error {
			site := &inventory.Site{Name: "Berlin"}
			if err := tx.Create(site); err != nil {
				return err
			}
			got, err := inventory.TxGet[inventory.Site](tx, "berlin")
			if err != nil || got.UID != site.UID {
				return fmt.Errorf("got %v, %w", got, err)
			}
			sites, err := inventory.TxList[inventory.Site](tx, inventory.Query{})
			if err != nil || len(sites) != 1 {
				return fmt.Errorf("got %v, %w", sites, err)
			}
			return nil
		})
	})
}

// TestRevisions: an edit of what somebody else changed is refused; without a revision it is not asked. What changes nothing is no edit.
func TestRevisions(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		clock := newClock()
		opt.Now = clock.now
		s := openTest(t, opt)
		site := create(t, s, &inventory.Site{Name: "Berlin"})
		stale := *site
		clock.add(1e9)
		site.Facility = "DC 1"
		mustEdit(t, s, func(tx inventory.Tx) error { return tx.Update(site) })
		if site.Revision != 2 || !site.UpdatedAt.After(site.CreatedAt) {
			t.Errorf("got %+v", site.Meta)
		}
		stale.Facility = "DC 2"
		for _, edit := range []func(tx inventory.Tx) error{
			func(tx inventory.Tx) error { return tx.Update(&stale) },
			func(tx inventory.Tx) error { return tx.Delete(&stale) },
		} {
			if c := asConflict(try(s, edit)); c == nil || c.UID != site.UID {
				t.Errorf("a stale object: got %v", c)
			}
		}
		before := find[inventory.Site](t, s, "berlin")
		mustEdit(t, s, func(tx inventory.Tx) error { same := *before; return tx.Update(&same) })
		if after := find[inventory.Site](t, s, "berlin"); *after != *before {
			t.Errorf("an edit without a change made %+v of %+v", after, before)
		}
		stale.Revision = 0
		mustEdit(t, s, func(tx inventory.Tx) error { return tx.Update(&stale) })
		if got := find[inventory.Site](t, s, "berlin"); got.Facility != "DC 2" || got.Revision != 3 || !got.CreatedAt.Equal(site.CreatedAt) {
			t.Errorf("got %+v", got)
		}
		gone := &inventory.Site{Meta: inventory.Meta{UID: inventory.NewUID()}, Name: "x"}
		if err := try(s, func(tx inventory.Tx) error { return tx.Update(gone) }); !errors.Is(err, inventory.ErrNotFound) {
			t.Errorf("an object that is not there: got %v", err)
		}
	})
}

// TestKeysAndReferences: keys are unique, what is referred to exists, and stays while it is referred to.
func TestKeysAndReferences(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		site := create(t, s, &inventory.Site{Name: "Berlin"})
		device := create(t, s, &inventory.Device{Name: "node-1", Site: site.UID})
		create(t, s, &inventory.Identifier{Device: device.UID, Kind: inventory.IDNICMAC, Value: "52:54:00:00:00:01"})
		create(t, s, &inventory.Event{Device: device.UID, Text: "it was seen"})

		err := try(s, func(tx inventory.Tx) error { return tx.Create(&inventory.Site{Name: "Another", Slug: "Berlin"}) })
		if c := asConflict(err); c == nil || c.UID != site.UID || !strings.Contains(c.Why, `"berlin"`) {
			t.Errorf("a taken slug: %v", err)
		}
		err = try(s, func(tx inventory.Tx) error {
			return tx.Create(&inventory.Device{Name: "node-2", Site: device.UID, Rack: inventory.NewUID(), Image: "x"})
		})
		if i := asInvalid(err); i == nil || i.Fields["image"] == "" {
			t.Errorf("a reference that is none: %v", err)
		}
		err = try(s, func(tx inventory.Tx) error {
			return tx.Create(&inventory.Device{Name: "node-2", Site: device.UID, Location: inventory.NewUID()})
		})
		if i := asInvalid(err); i == nil || i.Fields["site"] == "" || i.Fields["location"] == "" || len(i.Fields) != 2 {
			t.Errorf("references to nothing: %v", err)
		}
		err = try(s, func(tx inventory.Tx) error { return tx.Delete(site) })
		if c := asConflict(err); c == nil || !strings.Contains(c.Why, "1 × device") {
			t.Errorf("deleting what is referred to: %v", err)
		}
		op := create(t, s, &inventory.Operation{Kind: "deploy", Device: device.UID})
		err = try(s, func(tx inventory.Tx) error { return tx.Delete(device) })
		if c := asConflict(err); c == nil || !strings.Contains(c.Why, "operation at work") {
			t.Errorf("deleting what is worked on: %v", err)
		}
		op.State = inventory.OpDone
		mustEdit(t, s, func(tx inventory.Tx) error { return tx.Update(op) })
		mustEdit(t, s, func(tx inventory.Tx) error {
			if err := tx.Delete(device); err != nil {
				return err
			}
			return tx.Delete(site)
		})
		if left := all[inventory.Identifier](t, s); len(left) != 0 {
			t.Errorf("the identifiers of a deleted device stayed: %v", left)
		}
		if left := all[inventory.Event](t, s); len(left) != 1 {
			t.Errorf("the history of a deleted device went: %v", left)
		}
	})
}

// TestRefused: what an object's rules refuse is refused with its fields, and the log of changes is never edited.
func TestRefused(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir()})
	for field, obj := range map[string]inventory.Object{
		"name":   &inventory.Device{},
		"status": &inventory.Device{Name: "a", Status: "broken"},
		"mac":    &inventory.Interface{Name: "eth0", MAC: "nonsense"},
		"notes":  &inventory.Device{Name: "a", Notes: "a\x00b"},
		"uid":    &inventory.Device{Meta: inventory.Meta{UID: "1"}, Name: "a"},
	} {
		err := try(s, func(tx inventory.Tx) error { return tx.Create(obj) })
		if i := asInvalid(err); i == nil || i.Fields[field] == "" {
			t.Errorf("%s: got %v", field, err)
		}
	}
	create(t, s, &inventory.Site{Name: "a"})
	change := all[inventory.Change](t, s)[0]
	for _, edit := range []func(tx inventory.Tx) error{
		func(tx inventory.Tx) error { change.Why = "another"; return tx.Update(change) },
		func(tx inventory.Tx) error { return tx.Delete(change) },
	} {
		if asConflict(try(s, edit)) == nil {
			t.Error("an entry of the change log was edited")
		}
	}
	for _, req := range []inventory.Request{
		{By: anna},
		{ID: inventory.NewUID()},
		inventory.NewRequest(anna, strings.Repeat("x", 201)),
	} {
		if err := s.Edit(context.Background(), req, func(inventory.Tx) error { return nil }); asInvalid(err) == nil {
			t.Errorf("%+v: got %v", req, err)
		}
	}
}

// TestChangeLog tells who changed what, when and why, and what it was before; secrets and hashes are not in it.
func TestChangeLog(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		clock := newClock()
		opt.Now, opt.Sealer = clock.now, testKey(t)
		s := openTest(t, opt)
		account := create(t, s, &inventory.Account{Name: "ben", Level: inventory.LevelViewer, PasswordHash: "$argon2id$canary"})
		device := create(t, s, &inventory.Device{Name: "node-1"})
		bmc := create(t, s, &inventory.BMC{Device: device.UID, Kind: "redfish", Password: inventory.PlainSecret("canary")})
		req := inventory.Request{ID: inventory.NewUID(), By: inventory.Actor{Account: account.UID, Name: "ben"}, Why: "moved"}
		err := s.Edit(context.Background(), req, func(tx inventory.Tx) error {
			device.Role, bmc.Password = "router", inventory.PlainSecret("canary 2")
			if err := tx.Update(device); err != nil {
				return err
			}
			return tx.Update(bmc)
		})
		if err != nil {
			t.Fatal(err)
		}
		changes := all[inventory.Change](t, s, inventory.Is("request", req.ID))
		if len(changes) != 2 {
			t.Fatalf("got %d changes", len(changes))
		}
		slicesByTime(changes)
		got := changes[0]
		want := inventory.Change{Meta: got.Meta, Request: req.ID, Actor: "ben", Account: account.UID, Why: "moved", Action: "update", Noun: "device", Object: device.UID, Display: "node-1", Before: got.Before, After: got.After}
		if fmt.Sprint(*got) != fmt.Sprint(want) || !got.CreatedAt.Equal(clock.now()) {
			t.Errorf("got %+v", *got)
		}
		if before, after := jsonField(t, got.Before, "role"), jsonField(t, got.After, "role"); before != "" || after != "router" {
			t.Errorf("role from %q to %q", before, after)
		}
		if before, after := jsonField(t, changes[1].Before, "password"), jsonField(t, changes[1].After, "password"); before != "***" || after != newSecret {
			t.Errorf("password from %q to %q", before, after)
		}
		for _, c := range all[inventory.Change](t, s) {
			if text := string(c.Before) + string(c.After); strings.Contains(text, "canary") || strings.Contains(text, sealedPrefix) || strings.Contains(text, "argon2") {
				t.Errorf("a secret is in the change log: %s", text)
			}
		}
	})
}

func slicesByTime(changes []*inventory.Change) {
	for i := range changes {
		for j := i; j > 0 && changes[j].CreatedAt.Before(changes[j-1].CreatedAt); j-- {
			changes[j], changes[j-1] = changes[j-1], changes[j]
		}
	}
}

func jsonField(t *testing.T, data json.RawMessage, field string) string {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return fmt.Sprint(fields[field])
}

// TestWhatIsLogged: journals are not logged, nor what berth alone notes down about a thing; a person's doing is, whatever it is.
func TestWhatIsLogged(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir()})
	device := create(t, s, &inventory.Device{Name: "node-1"})
	account := create(t, s, &inventory.Account{Name: "ben", Level: inventory.LevelOperator})
	ben := inventory.Actor{Account: account.UID, Name: "ben", Level: inventory.LevelOperator}
	count := func() int { return len(all[inventory.Change](t, s)) }
	for _, test := range []struct {
		what   string
		by     inventory.Actor
		edit   func(tx inventory.Tx) error
		logged int
	}{
		{"a journal", ben, func(tx inventory.Tx) error { return tx.Create(&inventory.Event{Device: device.UID, Text: "x"}) }, 0},
		{"the power, seen by berth", inventory.Berth, func(tx inventory.Tx) error { device.Power = "on"; return tx.Update(device) }, 0},
		{"the state, by a person", ben, func(tx inventory.Tx) error { device.ProvisionState = "foreign"; return tx.Update(device) }, 1},
		{"a role, by berth", inventory.Berth, func(tx inventory.Tx) error { device.Role = "router"; return tx.Update(device) }, 1},
		{"nothing", ben, func(tx inventory.Tx) error { return tx.Update(device) }, 0},
	} {
		before := count()
		if err := s.Edit(context.Background(), inventory.NewRequest(test.by, ""), test.edit); err != nil {
			t.Fatalf("%s: %v", test.what, err)
		}
		if got := count() - before; got != test.logged {
			t.Errorf("%s: %d entries, want %d", test.what, got, test.logged)
		}
	}
}

// TestManyEditors: many goroutines change one number, and others read; none is turned away, and no change is lost.
func TestManyEditors(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		rack := create(t, s, &inventory.Site{Name: "counter"})
		const editors, rounds = 12, 15
		var wg sync.WaitGroup
		for range editors {
			wg.Go(func() {
				for range rounds {
					err := try(s, func(tx inventory.Tx) error {
						site, err := inventory.TxGet[inventory.Site](tx, string(rack.UID))
						if err != nil {
							return err
						}
						site.SupplyVoltageV++
						return tx.Update(site)
					})
					if err != nil {
						t.Errorf("an edit was turned away: %v", err)
						return
					}
				}
			})
			wg.Go(func() {
				for range rounds {
					if _, err := inventory.List[inventory.Change](context.Background(), s, inventory.Query{Count: true}); err != nil {
						t.Errorf("a reader was turned away: %v", err)
						return
					}
				}
			})
		}
		wg.Wait()
		if got := find[inventory.Site](t, s, "counter"); got.SupplyVoltageV != editors*rounds || got.Revision != editors*rounds+1 {
			t.Errorf("got %d at revision %d", got.SupplyVoltageV, got.Revision)
		}
	})
}

// TestFailuresAmongOthers: edits that fail within the transaction that many share take nothing with them.
func TestFailuresAmongOthers(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				err := try(s, func(tx inventory.Tx) error {
					if err := tx.Create(&inventory.Site{Name: fmt.Sprint("site ", i)}); err != nil {
						return err
					}
					if i%3 == 0 {
						return tx.Create(&inventory.Site{Name: fmt.Sprint("site ", i)}) // its own slug again
					}
					return nil
				})
				if failed := asConflict(err) != nil; failed != (i%3 == 0) || (!failed && err != nil) {
					t.Errorf("edit %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if got := len(all[inventory.Site](t, s)); got != 40 {
			t.Errorf("%d sites, want 40", got)
		}
	})
}

// TestCancelled: an edit whose caller is gone is not made.
func TestCancelled(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		ctx, cancel := context.WithCancel(context.Background())
		err := s.Edit(ctx, inventory.NewRequest(anna, ""), func(tx inventory.Tx) error {
			if err := tx.Create(&inventory.Site{Name: "a"}); err != nil {
				return err
			}
			cancel()
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if sites := all[inventory.Site](t, s); len(sites) != 0 {
			t.Error("the edit was made")
		}
	})
}

// TestClosed: after Close, an edit is an error and not a wait.
func TestClosed(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := try(s, func(tx inventory.Tx) error { return tx.Create(&inventory.Site{Name: "a"}) }); err == nil {
			t.Error("an edit of a closed record")
		}
	})
}

// TestPlaces: a device fits into its rack where nothing else is; what is in the way is named.
func TestPlaces(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		berlin, ulm := create(t, s, &inventory.Site{Name: "Berlin"}), create(t, s, &inventory.Site{Name: "Ulm"})
		room := create(t, s, &inventory.Location{Name: "Room", Site: berlin.UID})
		rack := create(t, s, &inventory.Rack{Name: "R1", Site: berlin.UID, Location: room.UID, UHeight: 10})
		dell := create(t, s, &inventory.Manufacturer{Name: "Dell"})
		kind := create(t, s, &inventory.DeviceType{Manufacturer: dell.UID, Model: "R740", UHeight: 2, IsFullDepth: true})
		put := func(name string, position float64) (*inventory.Device, error) {
			d := &inventory.Device{Name: name, Rack: rack.UID, DeviceType: kind.UID, Position: &position}
			return d, try(s, func(tx inventory.Tx) error { return tx.Create(d) })
		}
		low, err := put("low", 1)
		if err != nil || low.Site != berlin.UID || low.Location != room.UID {
			t.Fatalf("%+v, %v", low, err)
		}
		if _, err := put("in the way", 2); asConflict(err) == nil && asInvalid(err) == nil {
			t.Errorf("a blank in a name, and no room: %v", err)
		}
		if _, err := put("way", 2); asConflict(err) == nil || asConflict(err).UID != low.UID || !strings.Contains(err.Error(), "units 1 to 2 of rack R1 are taken by low") {
			t.Errorf("no room: %v", err)
		}
		if _, err := put("high", 10); asInvalid(err) == nil || asInvalid(err).Fields["position"] == "" {
			t.Errorf("above the rack: %v", err)
		}
		if _, err := put("top", 9); err != nil {
			t.Error(err)
		}
		for what, test := range map[string]struct {
			obj   inventory.Object
			field string
		}{
			"a device at another site than its rack":     {&inventory.Device{Name: "a", Rack: rack.UID, Site: ulm.UID}, "site"},
			"a rack at another site than its location":   {&inventory.Rack{Name: "R2", Site: ulm.UID, Location: room.UID}, "location"},
			"a location at another site than its parent": {&inventory.Location{Name: "Cage", Site: ulm.UID, Parent: room.UID}, "parent"},
			"a rack that is not there":                   {&inventory.Device{Name: "a", Rack: inventory.NewUID()}, "rack"},
			"an address in a subnet that is not there":   {&inventory.Address{Address: "10.0.0.1", Subnet: inventory.NewUID()}, "subnet"},
		} {
			err := try(s, func(tx inventory.Tx) error { return tx.Create(test.obj) })
			if i := asInvalid(err); i == nil || i.Fields[test.field] == "" {
				t.Errorf("%s: %v", what, err)
			}
		}
		cage := create(t, s, &inventory.Location{Name: "Cage", Site: berlin.UID, Parent: room.UID})
		room.Parent = cage.UID
		if err := try(s, func(tx inventory.Tx) error { return tx.Update(room) }); asInvalid(err) == nil {
			t.Errorf("a location within itself: %v", err)
		}
		subnet := create(t, s, &inventory.Subnet{Name: "lan", Prefix: "10.0.0.0/24"})
		err = try(s, func(tx inventory.Tx) error {
			return tx.Create(&inventory.Address{Address: "10.0.1.1", Subnet: subnet.UID})
		})
		if i := asInvalid(err); i == nil || i.Fields["address"] == "" {
			t.Errorf("an address outside its subnet: %v", err)
		}
	})
}
