package inventory

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Rooms is what one edit knows of racks. An edit that puts many devices into racks would read every rack once for each of them; with Rooms
// in its context it reads each once, and keeps in mind what it put there itself. That is sound because nobody else's writes are seen within
// an edit, and its own that matter, creating and moving devices, all pass Device.CheckIn. An edit that deletes devices, or changes racks,
// types or reservations after it put something there, is no place for it.
type Rooms struct {
	got     map[UID]Object
	lists   map[string][]Object
	devices map[UID][]*Device // by rack
}

type roomsKey struct{}

// WithRooms returns a context for one edit that puts many devices into racks, and what it will know. Since an edit may run again, its
// function begins with Forget.
func WithRooms(ctx context.Context) (context.Context, *Rooms) {
	r := &Rooms{}
	r.Forget()
	return context.WithValue(ctx, roomsKey{}, r), r
}

// Forget empties what is known.
func (r *Rooms) Forget() {
	r.got, r.lists, r.devices = map[UID]Object{}, map[string][]Object{}, map[UID][]*Device{}
}

func roomsOf(tx Tx) *Rooms {
	r, _ := tx.Context().Value(roomsKey{}).(*Rooms)
	return r
}

// CheckIn holds a device against the place it is put in: within the rack, where nothing else is, and where nothing is kept free unless it
// says why it may stand there. A device in a rack is where the rack is. Errors: *Invalid, *Conflict.
func (d *Device) CheckIn(tx Tx, before Object) error {
	rooms := roomsOf(tx)
	if rooms == nil {
		return d.checkPlaceIn(tx, before)
	}
	if err := d.checkPlaceIn(roomTx{tx, rooms}, before); err != nil {
		return err
	}
	if old, ok := before.(*Device); ok && old != nil {
		rooms.devices[old.Rack] = slices.DeleteFunc(rooms.devices[old.Rack], func(o *Device) bool { return o.UID == d.UID })
	}
	if known, ok := rooms.devices[d.Rack]; ok {
		stored := *d
		rooms.devices[d.Rack] = append(known, &stored)
	}
	return nil
}

// roomTx is a Tx that answers from Rooms what was asked before.
type roomTx struct {
	Tx
	*Rooms
}

func (t roomTx) Get(n *Noun, ref string) (Object, error) {
	if obj := t.got[UID(ref)]; obj != nil {
		return obj, nil
	}
	obj, err := t.Tx.Get(n, ref)
	if err == nil {
		t.got[obj.Head().UID] = obj
	}
	return obj, err
}

func (t roomTx) List(n *Noun, q Query) (Page, error) {
	if isDevice(n) && len(q.Filters) == 1 && q.Filters[0].Field == "rack" && q.Filters[0].Op == OpIs {
		return t.devicesIn(UID(q.Filters[0].Value), q)
	}
	if len(q.Filters) == 1 && q.Filters[0].Field == "uid" && q.Filters[0].Op == OpIn && !isDevice(n) {
		return t.byUID(n, q)
	}
	key := fmt.Sprint(n.Name, q)
	if items, ok := t.lists[key]; ok {
		return Page{Items: slices.Clone(items)}, nil
	}
	page, err := t.Tx.List(n, q)
	if err == nil && page.Next == "" && !isDevice(n) {
		t.lists[key] = slices.Clone(page.Items)
	}
	return page, err
}

// byUID asks only for what is not known yet.
func (t roomTx) byUID(n *Noun, q Query) (Page, error) {
	var page Page
	var missing []string
	for uid := range strings.SplitSeq(q.Filters[0].Value, ",") {
		if obj := t.got[UID(uid)]; obj != nil {
			page.Items = append(page.Items, obj)
			continue
		}
		missing = append(missing, uid)
	}
	if len(missing) == 0 {
		return page, nil
	}
	q.Filters = []Filter{{Field: "uid", Op: OpIn, Value: strings.Join(missing, ",")}}
	more, err := t.Tx.List(n, q)
	for _, obj := range more.Items {
		t.got[obj.Head().UID] = obj
	}
	page.Items = append(page.Items, more.Items...)
	return page, err
}

// isDevice tells the noun and its views.
func isDevice(n *Noun) bool { return n.Table == "devices" }

func (t roomTx) devicesIn(rack UID, q Query) (Page, error) {
	known, ok := t.devices[rack]
	if !ok {
		page, err := t.Tx.List(NounFor[Device](), q)
		if err != nil || page.Next != "" {
			return page, err
		}
		known = Items[Device](page)
		t.devices[rack] = known
	}
	page := Page{Items: make([]Object, len(known))}
	for i, d := range known {
		page.Items[i] = d
	}
	return page, nil
}
