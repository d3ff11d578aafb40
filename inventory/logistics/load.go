package logistics

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"berth/inventory"
)

// Reader is the part of a transaction that looks. A page reads through it without writing.
type Reader interface {
	Get(n *inventory.Noun, ref string) (inventory.Object, error)
	List(n *inventory.Noun, q inventory.Query) (inventory.Page, error)
}

// maxItems is how many lines a packing list may have.
const maxItems = 5000

// Load is a shipment with its boxes and lines.
type Load struct {
	Shipment *inventory.Shipment
	Parcels  []*inventory.Parcel
	Items    []*inventory.ShipmentItem
}

// Read finds a shipment by its reference or uid, with what belongs to it. Errors: inventory.ErrNotFound.
func Read(r Reader, ref string) (*Load, error) {
	obj, err := r.Get(inventory.NounFor[inventory.Shipment](), ref)
	if err != nil {
		return nil, err
	}
	l := &Load{Shipment: obj.(*inventory.Shipment)}
	of := inventory.Is("shipment", l.Shipment.UID)
	if l.Parcels, err = all[inventory.Parcel](r, maxItems, "created_at", of); err != nil {
		return nil, err
	}
	if l.Items, err = all[inventory.ShipmentItem](r, maxItems, "created_at", of); err != nil {
		return nil, err
	}
	// What was added in one go has one time: the list is in the order in which it was written.
	slices.SortStableFunc(l.Items, func(a, b *inventory.ShipmentItem) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.Line, b.Line))
	})
	slices.SortStableFunc(l.Parcels, func(a, b *inventory.Parcel) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.Label, b.Label))
	})
	return l, nil
}

// all lists what matches, page by page, up to limit.
func all[T any](r Reader, limit int, sort string, filters ...inventory.Filter) ([]*T, error) {
	return inventory.ListAll[T](r.List, inventory.Query{Filters: filters, Sort: sort}, limit)
}

// Parcel finds a box of the load by its label, tracking code or uid.
func (l *Load) Parcel(ref string) *inventory.Parcel {
	ref = strings.TrimSpace(ref)
	for _, p := range l.Parcels {
		if string(p.UID) == ref || strings.EqualFold(p.Label, ref) || p.TrackingCode != "" && p.TrackingCode == inventory.NormalTracking(ref) {
			return p
		}
	}
	return nil
}

// In lists the lines that lie in a box; of the empty uid, those that lie in none.
func (l *Load) In(parcel inventory.UID) []*inventory.ShipmentItem {
	var out []*inventory.ShipmentItem
	for _, i := range l.Items {
		if i.Parcel == parcel {
			out = append(out, i)
		}
	}
	return out
}

// Count tells how many lines are in each state.
func (l *Load) Count() map[inventory.ItemState]int {
	out := map[inventory.ItemState]int{}
	for _, i := range l.Items {
		out[inventory.ItemState(i.State)]++
	}
	return out
}

// find looks a line up by what a person types or scans: its serial, the tag of its asset, or its uid.
func (l *Load) find(tx inventory.Tx, ref string) (*inventory.ShipmentItem, error) {
	serial := inventory.NormalIdentity(inventory.IDSystemSerial, ref)
	for _, i := range l.Items {
		if string(i.UID) == ref || i.Serial != "" && inventory.NormalIdentity(inventory.IDSystemSerial, i.Serial) == serial {
			return i, nil
		}
	}
	a, err := inventory.TxGet[inventory.Asset](tx, ref)
	if errors.Is(err, inventory.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, i := range l.Items {
		if i.Asset == a.UID {
			return i, nil
		}
	}
	return nil, nil
}

// refuse is a conflict of a shipment.
func refuse(s *inventory.Shipment, format string, args ...any) error {
	return &inventory.Conflict{Noun: "shipment", UID: s.UID, Why: fmt.Sprintf(format, args...)}
}

// custody notes who answers for what from now on.
func custody(tx inventory.Tx, by string, e inventory.CustodyEvent) error {
	e.By = by
	if e.At.IsZero() {
		e.At = tx.Now()
	}
	return tx.Create(&e)
}

// moveAsset says where an asset is, unless its end is on record: what was sold or written off is not put back by a parcel.
func moveAsset(tx inventory.Tx, uid inventory.UID, to string, change func(a *inventory.Asset)) error {
	if uid == "" {
		return nil
	}
	a, err := inventory.TxGet[inventory.Asset](tx, string(uid))
	if errors.Is(err, inventory.ErrNotFound) {
		return nil
	}
	if err != nil || a.Disposition != "" {
		return err
	}
	a.Custody = to
	if change != nil {
		change(a)
	}
	return tx.Update(a)
}

// names are those of a few lines, for a sentence.
func names(items []*inventory.ShipmentItem) string {
	var out []string
	for _, i := range items {
		if len(out) == 5 {
			return strings.Join(out, ", ") + fmt.Sprintf(" and %d more", len(items)-5)
		}
		out = append(out, i.Name())
	}
	return strings.Join(out, ", ")
}

// inState lists the lines that are in one of the states.
func (l *Load) inState(states ...inventory.ItemState) []*inventory.ShipmentItem {
	return slices.DeleteFunc(slices.Clone(l.Items), func(i *inventory.ShipmentItem) bool {
		return !slices.Contains(states, inventory.ItemState(i.State))
	})
}
