package claims

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"berth/inventory"
)

// Returned is what came back by a reversal, or would.
type Returned struct {
	Disposition *inventory.Disposition
	Items       []ReturnedItem
}

// ReturnedItem is one asset that came back.
type ReturnedItem struct {
	Asset *inventory.Asset
	// To says where it is put again, in words.
	To string
	// Conflicts say what cannot be put back as it was, and why.
	Conflicts []string
}

// Conflicts gathers what cannot be put back, with the asset before each.
func (r Returned) Conflicts() []string {
	var out []string
	for _, item := range r.Items {
		for _, why := range item.Conflicts {
			out = append(out, item.Asset.AssetTag+": "+why)
		}
	}
	return out
}

// Reverse takes a disposition back, because the box turned up or the disposition was a mistake: custody, places in racks, addresses, lines
// of packing lists and book values are again as they were. What cannot be (a rack unit that was taken meanwhile) is a
// *inventory.Conflict that names all of it, and nothing is changed; with storage those things go to storage instead.
func Reverse(tx inventory.Tx, d *inventory.Disposition, why, by string, storage bool) (*Returned, error) {
	switch {
	case d.State == "reversed":
		return nil, refuse(d.UID, "%s was reversed already", d.Reference)
	case strings.TrimSpace(why) == "":
		return nil, inventory.NotAllowed("disposition", "why", "is required: how did it come back?")
	}
	items, err := all[inventory.DispositionItem](tx, maxLost, "created_at", inventory.Is("disposition", d.UID))
	if err != nil {
		return nil, err
	}
	out := &Returned{Disposition: d}
	for _, item := range items {
		b := &returner{tx: tx, disposition: d, before: item.Before, storage: storage, by: by, why: why}
		if err := b.bring(item); err != nil {
			return nil, err
		}
		out.Items = append(out.Items, b.out)
	}
	if conflicts := out.Conflicts(); len(conflicts) > 0 && !storage {
		return out, refuse(d.UID, "%s; with storage, these things go to storage instead", strings.Join(limited(conflicts, 20), "; "))
	}
	now := tx.Now()
	d.State, d.ReversedAt, d.ReversedBy, d.ReversedWhy = "reversed", &now, by, shorten(why, 1000)
	return out, tx.Update(d)
}

// returner brings one asset back.
type returner struct {
	tx          inventory.Tx
	disposition *inventory.Disposition
	before      map[string]string
	storage     bool
	by, why     string
	out         ReturnedItem
}

func (b *returner) conflict(format string, args ...any) {
	b.out.Conflicts = append(b.out.Conflicts, fmt.Sprintf(format, args...))
}

func (b *returner) bring(item *inventory.DispositionItem) error {
	a, err := inventory.TxGet[inventory.Asset](b.tx, string(item.Asset))
	if err != nil {
		return fmt.Errorf("bring back asset %s: %w", item.Asset, err)
	}
	b.out = ReturnedItem{Asset: a, To: words(b.before["custody"])}
	if a.Disposition != b.disposition.Kind {
		b.conflict("it is no longer %s but %s", words(b.disposition.Kind), orWord(words(a.Disposition), "in use"))
		return nil // somebody dealt with it meanwhile: nothing of it is touched
	}
	placed, err := b.place()
	if err != nil {
		return err
	}
	a.Custody, a.Disposition = b.before["custody"], ""
	a.Site, a.Location = b.uid("site"), b.uid("location")
	if !placed {
		a.Custody, b.out.To = "storage", "storage"
	}
	if err := b.storeAsset(a); err != nil {
		return err
	}
	if err := errors.Join(b.addresses(), b.line(), b.shipment(), b.books(a)); err != nil {
		return err
	}
	return b.tx.Create(&inventory.CustodyEvent{At: b.tx.Now(), Asset: a.UID, Kind: "found", Place: shorten(b.out.To, 200), By: b.by,
		Note: shorten(fmt.Sprintf("%s reversed: %s", b.disposition.Reference, b.why), 2000)})
}

func orWord(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (b *returner) uid(key string) inventory.UID { return inventory.UID(b.before[key]) }

// storeAsset puts the asset where it was; a site or location that is gone meanwhile is left out and said.
func (b *returner) storeAsset(a *inventory.Asset) error {
	var site *inventory.Site
	var location *inventory.Location
	if err := errors.Join(find(b.tx, a.Site, &site), find(b.tx, a.Location, &location)); err != nil {
		return err
	}
	if site == nil && a.Site != "" || location == nil && a.Location != "" {
		b.conflict("the place where it was is no longer on record")
		a.Site, a.Location = "", ""
	}
	return b.tx.Update(a)
}

// place puts the device back; false says that it could not be.
func (b *returner) place() (bool, error) {
	if b.before["device"] == "" {
		return true, nil
	}
	d, err := inventory.TxGet[inventory.Device](b.tx, b.before["device"])
	if errors.Is(err, inventory.ErrNotFound) {
		b.conflict("its device is no longer on record")
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if d.Rack != "" || d.Operation != "" {
		b.conflict("its device %s was put elsewhere meanwhile", d.Name)
		return true, nil
	}
	d.Status = orWord(b.before["device.status"], d.Status)
	if err := b.fill(d); err != nil {
		return false, err
	}
	why, err := wouldFit(b.tx, d)
	if err != nil {
		return false, err
	}
	if why != "" {
		b.conflict("%s", why)
		d.Rack, d.Position, d.Face, d.Slot, d.Side = "", nil, "", 0, ""
		d.Status = "offline"
	} else if d.Rack != "" {
		if b.out.To, err = rackName(b.tx, d); err != nil {
			return false, err
		}
	}
	return why == "", b.tx.Update(d)
}

// fill sets a device's place from what was remembered. What was stored by ourselves is well formed.
func (b *returner) fill(d *inventory.Device) error {
	d.Rack, d.Face, d.Side, d.Site, d.Location = b.uid("device.rack"), b.before["device.face"], b.before["device.side"], b.uid("device.site"), b.uid("device.location")
	if text := b.before["device.slot"]; text != "" {
		slot, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("the slot that %s remembers: %w", b.disposition.Reference, err)
		}
		d.Slot = slot
	}
	if text := b.before["device.position"]; text != "" {
		position, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("the position that %s remembers: %w", b.disposition.Reference, err)
		}
		d.Position = &position
	}
	return nil
}

// wouldFit asks a device's own rules whether it may stand where it is put, and returns their sentence if not.
func wouldFit(tx inventory.Tx, d *inventory.Device) (string, error) {
	var rack *inventory.Rack
	var site *inventory.Site
	var location *inventory.Location
	if err := errors.Join(find(tx, d.Rack, &rack), find(tx, d.Site, &site), find(tx, d.Location, &location)); err != nil {
		return "", err
	}
	if location == nil {
		d.Location = ""
	}
	if site == nil {
		d.Site = ""
	}
	if rack == nil {
		if d.Rack != "" {
			return "the rack it stood in is no longer on record", nil
		}
		return "", nil
	}
	err := d.CheckIn(tx, nil)
	var conflict *inventory.Conflict
	var invalid *inventory.Invalid
	switch {
	case errors.As(err, &conflict):
		return conflict.Why, nil
	case errors.As(err, &invalid):
		return invalid.Error(), nil
	}
	return "", err
}

// addresses gives the ports their addresses again, where nobody else has them.
func (b *returner) addresses() error {
	for _, key := range sortedKeys(b.before) {
		uid, ok := strings.CutPrefix(key, "address.")
		if !ok {
			continue
		}
		address, err := inventory.TxGet[inventory.Address](b.tx, uid)
		if errors.Is(err, inventory.ErrNotFound) {
			b.conflict("one of its addresses is no longer on record")
			continue
		}
		if err != nil {
			return err
		}
		var port *inventory.Interface
		if err := find(b.tx, b.uid(key), &port); err != nil {
			return err
		}
		switch {
		case port == nil:
			b.conflict("the port of its address %s is no longer on record", address.Address)
			continue
		case address.Interface != "" && address.Interface != port.UID:
			b.conflict("its address %s was given to another port meanwhile", address.Address)
			continue
		}
		address.Interface = port.UID
		if err := b.tx.Update(address); err != nil {
			return err
		}
	}
	return nil
}

func sortedKeys(m map[string]string) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// line sets the packing list's line back to what it was.
func (b *returner) line() error {
	line, err := gone[inventory.ShipmentItem](b.tx, b.before["item"])
	if line == nil || err != nil {
		return err
	}
	if line.State != string(inventory.ItemMissing) {
		return nil // it was received meanwhile
	}
	line.State = b.before["item.state"]
	return b.tx.Update(line)
}

// shipment takes the write-off of the whole shipment back.
func (b *returner) shipment() error {
	s, err := gone[inventory.Shipment](b.tx, b.before["shipment"])
	if s == nil || err != nil || s.Phase != string(inventory.PhaseWrittenOff) {
		return err
	}
	s.Phase = b.before["shipment.phase"]
	return b.tx.Update(s)
}

// gone reads an object that may be gone meanwhile.
func gone[T any](tx inventory.Tx, ref string) (*T, error) {
	if ref == "" {
		return nil, nil
	}
	obj, err := inventory.TxGet[T](tx, ref)
	if errors.Is(err, inventory.ErrNotFound) {
		return nil, nil
	}
	return obj, err
}

// books thaws what the disposition froze.
func (b *returner) books(a *inventory.Asset) error {
	for _, key := range sortedKeys(b.before) {
		book, ok := strings.CutPrefix(key, "book_entry.")
		if !ok {
			continue
		}
		entries, err := all[inventory.BookEntry](b.tx, 1, "", inventory.Is("asset", a.UID), inventory.Is("book", book))
		if err != nil {
			return err
		}
		if len(entries) == 0 || entries[0].FrozenOn != b.disposition.OnDate {
			continue
		}
		if b.before[key] == "new" && entries[0].Revision == 1 {
			if err := b.tx.Delete(entries[0]); err != nil {
				return err
			}
			continue
		}
		entries[0].FrozenOn, entries[0].FrozenAmount = "", nil
		if err := b.tx.Update(entries[0]); err != nil {
			return err
		}
	}
	return nil
}
