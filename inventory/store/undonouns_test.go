package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/inventory"
)

// kept are the nouns that people keep: what they do to them can be undone.
func kept() []*inventory.Noun {
	return slices.DeleteFunc(slices.Clone(inventory.Nouns), func(n *inventory.Noun) bool { return n.Journal || n.Where != nil })
}

// refer gives an object something to refer to in every reference that it may have, and takes back those that the noun's rules do not want
// beside each other.
func refer(t *testing.T, s *Store, n *inventory.Noun, obj inventory.Object) {
	t.Helper()
	satisfy(t, s, n, obj)
	for _, f := range n.Fields {
		if f.Kind != inventory.KindRef || f.Value(obj) != inventory.UID("") || nounOf(f.Ref).Journal {
			continue
		}
		target := filled(nounOf(f.Ref), nextNumber())
		satisfy(t, s, nounOf(f.Ref), target)
		create(t, s, target)
		f.Set(obj, target.Head().UID)
	}
	agree(t, s, n, obj)
}

// agree empties the references that the rules refuse, until the object is taken.
func agree(t *testing.T, s *Store, n *inventory.Noun, obj inventory.Object) {
	t.Helper()
	if cable, ok := obj.(*inventory.Cable); ok { // it has one end each
		*cable = inventory.Cable{Meta: cable.Meta, Label: cable.Label, Type: cable.Type, Status: cable.Status, Color: cable.Color,
			LengthMM: cable.LengthMM, Description: cable.Description, AInterface: cable.AInterface, BInterface: cable.BInterface}
	}
	if item, ok := obj.(*inventory.ShipmentItem); ok {
		item.Asset = "" // a line with an asset has no number to change
	}
	if address, ok := obj.(*inventory.Address); ok {
		address.Subnet = "" // it would have to lie within it
	}
	stop := errors.New("enough")
	var err error
	for range 20 {
		trial := reflect.New(reflect.TypeOf(obj).Elem())
		trial.Elem().Set(reflect.ValueOf(obj).Elem())
		err = try(s, func(tx inventory.Tx) error {
			if err := tx.Create(trial.Interface().(inventory.Object)); err != nil {
				return err
			}
			return stop
		})
		if errors.Is(err, stop) {
			return
		}
		invalid := asInvalid(err)
		if invalid == nil {
			break
		}
		for name := range invalid.Fields {
			f, ok := n.Field(name)
			if !ok || f.Kind != inventory.KindRef || f.Required {
				t.Fatalf("%s: %v", n.Name, err)
			}
			f.Set(obj, inventory.UID(""))
		}
	}
	t.Fatalf("%s: %v", n.Name, err)
}

// TestUndoEveryNoun makes, changes and deletes an object of each noun, and takes each of it back.
func TestUndoEveryNoun(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		opt.Sealer = testKey(t)
		s := openTest(t, opt)
		for i, n := range kept() {
			t.Run(n.Name, func(t *testing.T) {
				number := 1000 + 10*i
				obj := filled(n, number)
				refer(t, s, n, obj)
				made := mustEdit(t, s, func(tx inventory.Tx) error { return tx.Create(obj) })
				if n.AppendOnly {
					undoEntry(t, s, n, obj, made)
					return
				}
				undoUpdate(t, s, n, obj, number)
				undoDelete(t, s, n, obj)
				made = mustEdit(t, s, func(tx inventory.Tx) error {
					if err := tx.Delete(read(t, s, n, obj)); err != nil {
						return err
					}
					*obj.Head() = inventory.Meta{}
					return tx.Create(obj)
				})
				if err := undo(s, made); err != nil {
					t.Fatalf("a request that replaced it: %v", err)
				}
				if _, err := s.Get(context.Background(), n, string(obj.Head().UID)); !errors.Is(err, inventory.ErrNotFound) {
					t.Errorf("after the undo of its creation: %v", err)
				}
			})
		}
	})
}

func read(t *testing.T, s *Store, n *inventory.Noun, obj inventory.Object) inventory.Object {
	t.Helper()
	got, err := s.Get(context.Background(), n, string(obj.Head().UID))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func undoUpdate(t *testing.T, s *Store, n *inventory.Noun, obj inventory.Object, number int) {
	t.Helper()
	before := read(t, s, n, obj)
	other := filled(n, number+1)
	refer(t, s, n, other)
	*other.Head() = *before.Head()
	changed := n.Differing(before, other)
	request := mustEdit(t, s, func(tx inventory.Tx) error { return tx.Update(other) })
	for _, f := range n.Fields {
		if reflect.DeepEqual(f.Value(read(t, s, n, obj)), f.Value(before)) && hasField(changed, f.Name) && f.Kind != inventory.KindSecret {
			t.Errorf("%s was not changed, so its undo is not tried", f.Name)
		}
	}
	if err := undo(s, request); err != nil {
		t.Fatalf("undo the change of every field: %v", err)
	}
	after := read(t, s, n, obj)
	if left := undoable(n, n.Differing(before, after)); len(left) > 0 {
		t.Errorf("after the undo these differ: %v\n got %+v\nwant %+v", left, after, before)
	}
}

func undoDelete(t *testing.T, s *Store, n *inventory.Noun, obj inventory.Object) {
	t.Helper()
	before := read(t, s, n, obj)
	request := mustEdit(t, s, func(tx inventory.Tx) error { return tx.Delete(read(t, s, n, obj)) })
	if err := undo(s, request); err != nil {
		t.Fatalf("undo its deletion: %v", err)
	}
	for _, f := range n.Differing(before, read(t, s, n, obj)) {
		if !f.Hidden && f.Kind != inventory.KindSecret {
			t.Errorf("it came back with another %s", f.Name)
		}
	}
	if c := asConflict(undo(s, request)); c == nil || !strings.Contains(c.Why, "undone already, by anna") {
		t.Errorf("a second undo: %v", c)
	}
}

// undoEntry: an entry that is kept for ever stays, and another corrects it.
func undoEntry(t *testing.T, s *Store, n *inventory.Noun, obj inventory.Object, made inventory.UID) {
	t.Helper()
	if err := undo(s, made); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, n, obj); !reflect.DeepEqual(got, obj) {
		t.Errorf("the entry itself is now %+v, was %+v", got, obj)
	}
	page, err := s.List(context.Background(), n, inventory.Query{Filters: []inventory.Filter{inventory.Is("corrects", obj.Head().UID)}})
	if err != nil || len(page.Items) != 1 {
		t.Errorf("%d entries correct it: %v", len(page.Items), err)
	}
}

// TestUndoTellsConflicts: everything that stands in the way is named at once, with whose doing it is, and nothing is turned back.
func TestUndoTellsConflicts(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		site := create(t, s, &inventory.Site{Name: "Berlin"})
		rack := create(t, s, &inventory.Rack{Name: "R1", Site: site.UID})
		other := create(t, s, &inventory.Rack{Name: "R2", Site: site.UID})
		node := create(t, s, &inventory.Device{Name: "node-1", Rack: rack.UID})
		asset := create(t, s, &inventory.Asset{AssetTag: "A1", Serial: "OLD", Currency: "EUR", CostAmount: 5})
		moved := mustEdit(t, s, func(tx inventory.Tx) error {
			node.Rack, node.Role, asset.Serial, asset.CostAmount = other.UID, "router", "79OH8D2", 7
			if err := tx.Update(asset); err != nil {
				return err
			}
			return tx.Update(node)
		})
		ben := inventory.Actor{Name: "ben", Level: inventory.LevelAdmin}
		err := s.Edit(context.Background(), inventory.NewRequest(ben, ""), func(tx inventory.Tx) error {
			asset.Serial, asset.CostAmount, node.Role = "790H8D2", 8, ""
			if err := tx.Update(asset); err != nil {
				return err
			}
			if err := tx.Update(node); err != nil {
				return err
			}
			return tx.Delete(rack)
		})
		if err != nil {
			t.Fatal(err)
		}
		c := asConflict(undo(s, moved))
		if c == nil {
			t.Fatal("it was undone")
		}
		want := []string{
			"device node-1: role was changed to nothing meanwhile by ben",
			"device node-1: the rack it would have as its rack is gone: R1 was deleted by ben",
			`asset A1: serial was changed to "790H8D2" meanwhile by ben`,
			"asset A1: cost_amount was changed meanwhile by ben",
		}
		if !slices.Equal(c.Details, want) {
			t.Errorf("got %q\nwant %q", c.Details, want)
		}
		if got := find[inventory.Asset](t, s, "A1"); got.Serial != "790H8D2" {
			t.Errorf("half of it was turned back: %+v", got)
		}
		mustEdit(t, s, func(tx inventory.Tx) error { return tx.Delete(asset) })
		if c := asConflict(undo(s, moved)); c == nil || !strings.Contains(c.Why, "asset A1: it was deleted meanwhile by anna") {
			t.Errorf("got %v", c)
		}
	})
}

// TestUndoBringsBackWhatWentAlong: a device that was deleted with its parts and what was tied to them comes back with all of it.
func TestUndoBringsBackWhatWentAlong(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		device := create(t, s, &inventory.Device{Name: "node-1"})
		disk := create(t, s, &inventory.Component{Device: device.UID, Kind: "disk", Serial: "S1"})
		port := create(t, s, &inventory.Interface{Device: device.UID, Name: "eth0"})
		tag := create(t, s, &inventory.Tag{Name: "Blue"})
		create(t, s, &inventory.Tagging{Tag: tag.UID, Noun: "machine", Object: device.UID})
		create(t, s, &inventory.Comment{Noun: "components", Object: disk.UID, Text: "clicks"})
		request := mustEdit(t, s, func(tx inventory.Tx) error {
			for _, obj := range []inventory.Object{disk, port, device} {
				if err := tx.Delete(obj); err != nil {
					return err
				}
			}
			return nil
		})
		if n := len(all[inventory.Tagging](t, s)) + len(all[inventory.Comment](t, s)); n != 0 {
			t.Fatalf("%d attached objects outlived what they were attached to", n)
		}
		if err := undo(s, request); err != nil {
			t.Fatal(err)
		}
		tags, words := all[inventory.Tagging](t, s), all[inventory.Comment](t, s)
		if len(tags) != 1 || tags[0].Noun != "device" || tags[0].Object != device.UID || len(words) != 1 || words[0].Object != disk.UID {
			t.Errorf("came back: %v, %v", tags, words)
		}
		if got := find[inventory.Component](t, s, string(disk.UID)); got.Serial != "S1" || find[inventory.Interface](t, s, string(port.UID)).Device != device.UID {
			t.Errorf("came back: %+v", got)
		}
	})
}

// TestAttachedToNothing: what is tied to an object names one that is there.
func TestAttachedToNothing(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir()})
	site := create(t, s, &inventory.Site{Name: "Berlin"})
	event := create(t, s, &inventory.Event{Text: "seen"})
	for field, obj := range map[string]*inventory.Comment{
		"object": {Noun: "site", Object: inventory.NewUID(), Text: "x"},
		"noun":   {Noun: "event", Object: event.UID, Text: "x"},
	} {
		if i := asInvalid(try(s, func(tx inventory.Tx) error { return tx.Create(obj) })); i == nil || i.Fields[field] == "" {
			t.Errorf("%+v: got %v", obj, i)
		}
	}
	for _, obj := range []*inventory.Comment{{Noun: "sites; DROP", Object: site.UID, Text: "x"}, {Noun: "rack", Object: site.UID, Text: "x"}, {Noun: "site", Object: "berlin", Text: "x"}} {
		if asInvalid(try(s, func(tx inventory.Tx) error { return tx.Create(obj) })) == nil {
			t.Errorf("%+v was taken", obj)
		}
	}
}

// TestUndoInSlices: a long request is turned back as a whole, also when it is asked again after half of it.
func TestUndoInSlices(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir()})
	req := inventory.NewRequest(anna, "import")
	for slice := range 3 {
		if err := s.Edit(context.Background(), req, func(tx inventory.Tx) error {
			for i := range 500 {
				if err := tx.Create(&inventory.Tag{Name: fmt.Sprintf("tag %d", 500*slice+i)}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // the entries of an edit are a microsecond apart
	}
	half := all[inventory.Change](t, s, inventory.Is("request", req.ID))
	for _, c := range half[:3] {
		if err := undo(s, c.UID); err != nil {
			t.Fatal(err)
		}
	}
	if err := undo(s, req.ID); err != nil {
		t.Fatal(err)
	}
	if left := all[inventory.Tag](t, s); len(left) != 0 {
		t.Errorf("%d tags stayed", len(left))
	}
	if c := asConflict(undo(s, req.ID)); c == nil {
		t.Error("it was undone twice")
	}
}
