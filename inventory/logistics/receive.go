package logistics

import (
	"fmt"
	"slices"
	"strings"

	"berth/inventory"
)

// Receipt is what came, as somebody scans or types it at the door.
type Receipt struct {
	// Parcel is the box: its label, tracking code or uid. Alone it says that the box came with what its list says, unopened.
	Parcel string
	// Scans are serials and tags, one each; the label of a parcel among them receives that box.
	Scans []string
	// Damaged are those of the scans, or of the box's lines, that are broken; Damage says what is seen of it.
	Damaged []string
	Damage  string
	// NotExpected allows what stands on no list to be taken in as a line of its own.
	NotExpected bool
	SignedBy    string
}

// Received is what a receipt came to.
type Received struct {
	Items []*inventory.ShipmentItem `json:"items"`
	// Doubtful are scans that differ from the list as typing errors do, and were taken for that line: each says both.
	Doubtful []string `json:"doubtful,omitempty"`
	// Unknown are scans that stand on no list and were not taken in.
	Unknown []string `json:"unknown,omitempty"`
	// Open is how many lines have not come yet.
	Open int `json:"open"`
}

// Receive takes in what came. It may be called as often as boxes are opened, in any phase in which something can arrive, also before the
// carrier said anything, and after a loss. Errors: *inventory.Invalid, *inventory.Conflict.
func Receive(tx inventory.Tx, by, ref string, in Receipt) (*Received, error) {
	l, err := Read(tx, ref)
	if err != nil {
		return nil, err
	}
	r := receiver{tx: tx, by: by, load: l, in: in}
	if err := r.boxes(); err != nil {
		return nil, err
	}
	for _, scan := range r.in.Scans {
		if err := r.scan(scan); err != nil {
			return nil, err
		}
	}
	if len(r.out.Items) == 0 && len(r.touched) == 0 && len(r.out.Unknown) == 0 {
		return nil, inventory.NotAllowed("shipment", "scans", "say what came: scan or type serials, or name the parcel")
	}
	return &r.out, r.finish()
}

type receiver struct {
	tx      inventory.Tx
	by      string
	load    *Load
	in      Receipt
	parcel  *inventory.Parcel // the box that is open
	touched []*inventory.Parcel
	out     Received
}

// boxes finds the parcels that are named, alone or among the scans. A box that is named with no scan comes whole.
func (r *receiver) boxes() error {
	var scans []string
	for _, scan := range r.in.Scans {
		scan = strings.TrimSpace(scan)
		p := r.load.Parcel(scan)
		switch {
		case scan == "":
		case p != nil && len(scan) > 2: // "1" is no label that a scanner reads
			r.touch(p)
			for _, i := range r.load.In(p.UID) {
				if err := r.take(i, inventory.ItemReceived, ""); err != nil {
					return err
				}
			}
		default:
			scans = append(scans, scan)
		}
	}
	if len(scans) > maxLines {
		return inventory.NotAllowed("shipment", "scans", "at most %d at once", maxLines)
	}
	r.in.Scans = scans
	if r.in.Parcel == "" {
		return nil
	}
	if r.parcel = r.load.Parcel(r.in.Parcel); r.parcel == nil {
		return inventory.NotAllowed("shipment", "parcel", "the shipment has no parcel %q", r.in.Parcel)
	}
	r.touch(r.parcel)
	if len(scans) > 0 {
		return nil
	}
	for _, i := range r.load.In(r.parcel.UID) {
		if err := r.take(i, inventory.ItemReceived, ""); err != nil {
			return err
		}
	}
	return nil
}

func (r *receiver) touch(p *inventory.Parcel) {
	if !slices.Contains(r.touched, p) {
		r.touched = append(r.touched, p)
	}
}

// scan takes in one thing: the line with its serial or tag, else the one line that differs from it as typing errors do, else a new line.
func (r *receiver) scan(text string) error {
	i, err := r.load.find(r.tx, text)
	if err != nil {
		return err
	}
	if i != nil {
		return r.take(i, inventory.ItemReceived, "")
	}
	alike := r.load.alike(text)
	if len(alike) == 1 {
		note := fmt.Sprintf("the label reads %s, the list %s", text, alike[0].Serial)
		r.out.Doubtful = append(r.out.Doubtful, note)
		return r.take(alike[0], inventory.ItemReceived, note)
	}
	if !r.in.NotExpected {
		r.out.Unknown = append(r.out.Unknown, text)
		return nil
	}
	fresh := &inventory.ShipmentItem{Shipment: r.load.Shipment.UID, Line: len(r.load.Items) + 1, Serial: text, State: string(inventory.ItemNotExpected), Note: "it came, and stands on no list"}
	if r.parcel != nil {
		fresh.Parcel = r.parcel.UID
	}
	fresh.UID = inventory.NewUID()
	r.load.Items = append(r.load.Items, fresh)
	if err := r.tx.Create(fresh); err != nil {
		return err
	}
	return r.take(fresh, inventory.ItemNotExpected, "")
}

// alike lists the lines still to come whose serial differs from text as typing errors do.
func (l *Load) alike(text string) []*inventory.ShipmentItem {
	var out []*inventory.ShipmentItem
	for _, i := range l.Items {
		if !inventory.ItemState(i.State).Here() && i.Serial != "" && inventory.Similar(i.Serial, text) {
			out = append(out, i)
		}
	}
	return out
}

// take notes that one line is here. What was received before stays so; a person may add that it is damaged.
func (r *receiver) take(i *inventory.ShipmentItem, state inventory.ItemState, note string) error {
	damaged := slices.ContainsFunc(r.in.Damaged, func(text string) bool {
		return string(i.UID) == text || i.Serial != "" && strings.EqualFold(strings.TrimSpace(text), i.Serial) || note != "" && strings.Contains(note, text)
	})
	was := inventory.ItemState(i.State)
	switch {
	case damaged:
		state = inventory.ItemDamaged
	case was.Here():
		state = was
	}
	if err := i.Become(state); err != nil {
		return err
	}
	now := r.tx.Now()
	if i.ReceivedAt == nil {
		i.ReceivedAt, i.ReceivedBy = &now, r.by
	}
	keep(&i.Note, note)
	if damaged {
		keep(&i.Note, r.in.Damage)
	}
	if i.Parcel == "" && r.parcel != nil {
		i.Parcel = r.parcel.UID
	}
	if err := r.tx.Update(i); err != nil {
		return err
	}
	r.out.Items = append(r.out.Items, i)
	if was.Here() && was != inventory.ItemNotExpected {
		return r.condition(i, damaged)
	}
	if err := custody(r.tx, r.by, inventory.CustodyEvent{Kind: "received", Asset: i.Asset, Parcel: i.Parcel, Shipment: i.Shipment,
		FromOrganization: r.load.Shipment.Carrier, Site: r.load.Shipment.Destination, Note: i.Name()}); err != nil {
		return err
	}
	return moveAsset(r.tx, i.Asset, "received", func(a *inventory.Asset) {
		keep(&a.Site, r.load.Shipment.Destination)
		if a.AcquiredAt == nil && r.load.Shipment.Direction == "inbound" {
			a.AcquiredAt = &now
		}
		if damaged {
			a.Condition = "damaged"
		}
	})
}

// condition notes damage that was seen later on something that is here.
func (r *receiver) condition(i *inventory.ShipmentItem, damaged bool) error {
	if !damaged || i.Asset == "" {
		return nil
	}
	a, err := inventory.TxGet[inventory.Asset](r.tx, string(i.Asset))
	if err != nil {
		return err
	}
	a.Condition = "damaged"
	return r.tx.Update(a)
}

// finish brings the boxes and the shipment up to date.
func (r *receiver) finish() error {
	now, s := r.tx.Now(), r.load.Shipment
	for _, i := range r.out.Items {
		for _, p := range r.load.Parcels {
			if p.UID == i.Parcel {
				r.touch(p)
			}
		}
	}
	for _, p := range r.touched {
		if p.ReceivedAt == nil {
			p.ReceivedAt, p.ReceivedBy = &now, r.by
		}
		if r.parcel == p || len(r.touched) == 1 {
			keep(&p.Damage, r.in.Damage)
		}
		if err := r.tx.Update(p); err != nil {
			return err
		}
	}
	for _, i := range r.load.Items {
		if !inventory.ItemState(i.State).Here() {
			r.out.Open++
		}
	}
	if len(r.out.Items)+len(r.touched) == 0 {
		return nil
	}
	if err := s.Advance(inventory.PhaseReceived); err != nil {
		return err
	}
	if s.ReceivedAt == nil {
		s.ReceivedAt = &now
	}
	keep(&s.SignedBy, r.in.SignedBy)
	return r.tx.Update(s)
}
