package logistics

import (
	"errors"
	"fmt"

	"berth/inventory"
)

// Packing is what went into which box.
type Packing struct {
	Parcels []inventory.Packed
}

// Pack closes the boxes of a shipment. A box that is on record already, by its label, is changed; every line ends in a box: with one box
// all of them are in it. What each machine holds is written down from the record, part by part, where nobody wrote a list: that is what
// the first boot at the other end is held against. Errors: *inventory.Invalid, *inventory.Conflict.
func Pack(tx inventory.Tx, by, ref string, in Packing) (*Load, error) {
	l, err := Read(tx, ref)
	if err != nil {
		return nil, err
	}
	if err := l.Shipment.Advance(inventory.PhasePacked); err != nil {
		return nil, err
	}
	if len(l.Items) == 0 {
		return nil, refuse(l.Shipment, "there is nothing on the packing list of %s", l.Shipment.Reference)
	}
	if len(in.Parcels) == 0 && len(l.Parcels) == 0 {
		in.Parcels = []inventory.Packed{{Label: "1 of 1"}}
	}
	for n, p := range in.Parcels {
		if p.Label == "" {
			p.Label = fmt.Sprintf("%d of %d", n+1, max(len(in.Parcels), len(l.Parcels)))
		}
		if err := l.box(tx, p); err != nil {
			return nil, err
		}
	}
	if loose := l.In(""); len(loose) > 0 && len(l.Parcels) > 1 {
		return nil, refuse(l.Shipment, "say in which parcel they are: %s", names(loose))
	}
	for _, i := range l.Items {
		if err := l.packItem(tx, by, i); err != nil {
			return nil, err
		}
	}
	return l, tx.Update(l.Shipment)
}

// box stores one box and puts what it names into it.
func (l *Load) box(tx inventory.Tx, in inventory.Packed) error {
	p := l.Parcel(in.Label)
	fresh := p == nil
	if fresh {
		p = &inventory.Parcel{Shipment: l.Shipment.UID, Label: in.Label}
		p.UID = inventory.NewUID()
	}
	keep(&p.TrackingCode, in.TrackingCode)
	keep(&p.SealNo, in.SealNo)
	keep(&p.Contents, in.Contents)
	keep(&p.WeightGrams, in.WeightGrams)
	keep(&p.LengthMM, in.LengthMM)
	keep(&p.WidthMM, in.WidthMM)
	keep(&p.HeightMM, in.HeightMM)
	if in.Photo != "" {
		doc, err := inventory.TxGet[inventory.Document](tx, in.Photo)
		if errors.Is(err, inventory.ErrNotFound) {
			return inventory.NotAllowed("parcel", "photo", "there is no document %q", in.Photo)
		}
		if err != nil {
			return err
		}
		p.Photo = doc.UID
	}
	if fresh {
		if err := tx.Create(p); err != nil {
			return err
		}
		l.Parcels = append(l.Parcels, p)
	} else if err := tx.Update(p); err != nil {
		return err
	}
	for _, ref := range in.Items {
		i, err := l.find(tx, ref)
		if err != nil {
			return err
		}
		if i == nil {
			return inventory.NotAllowed("parcel", "items", "%q is not on the packing list", ref)
		}
		i.Parcel = p.UID
	}
	return nil
}

// keep takes a value that was given and leaves what is there when none was.
func keep[T comparable](into *T, value T) {
	var zero T
	if value != zero {
		*into = value
	}
}

func (l *Load) packItem(tx inventory.Tx, by string, i *inventory.ShipmentItem) error {
	if i.Parcel == "" && len(l.Parcels) == 1 {
		i.Parcel = l.Parcels[0].UID
	}
	if err := i.Become(inventory.ItemPacked); err != nil {
		return err
	}
	now := tx.Now()
	i.PackedAt, i.PackedBy = &now, by
	if len(i.Manifest) == 0 && i.Asset != "" {
		parts, err := partsOf(tx, i.Asset)
		if err != nil {
			return err
		}
		i.Manifest = inventory.ManifestOf(parts)
	}
	if err := tx.Update(i); err != nil {
		return err
	}
	return custody(tx, by, inventory.CustodyEvent{Kind: "packed", Asset: i.Asset, Parcel: i.Parcel, Shipment: l.Shipment.UID, Site: l.Shipment.Origin, Note: i.Name()})
}

// partsOf lists the parts of the device that an asset is.
func partsOf(r Reader, asset inventory.UID) ([]inventory.Component, error) {
	devices, err := all[inventory.Device](r, 1, "name", inventory.Is("asset", asset))
	if err != nil || len(devices) == 0 {
		return nil, err
	}
	list, err := all[inventory.Component](r, inventory.MaxPage, "slot", inventory.Is("device", devices[0].UID))
	out := make([]inventory.Component, len(list))
	for n, c := range list {
		out[n] = *c
	}
	return out, err
}

// Handing is how a shipment goes to the carrier. What is left empty stays as it is on record.
type Handing struct {
	Carrier      string // an organization
	Service      string
	TrackingCode string
	To           string // the name of the driver or clerk who took it
	// Override is why it goes although something is missing or not covered; it is kept with the shipment.
	Override string
	// Amounts tells whether a refusal may name them.
	Amounts bool
}

// HandOver gives a packed shipment to the carrier. It is refused while anything is missing that a claim would need, or while a loss would
// not be paid for, unless a person says why it goes all the same. Errors: *inventory.Conflict naming what is missing.
func HandOver(tx inventory.Tx, by, ref string, in Handing) (*Load, error) {
	l, err := Read(tx, ref)
	if err != nil {
		return nil, err
	}
	s := l.Shipment
	if inventory.Phase(s.Phase) != inventory.PhasePacked {
		return nil, refuse(s, "%s is %s; what is handed over has been packed", s.Reference, s.Phase)
	}
	if in.Carrier != "" {
		carrier, err := inventory.TxGet[inventory.Organization](tx, in.Carrier)
		if errors.Is(err, inventory.ErrNotFound) {
			return nil, inventory.NotAllowed("shipment", "carrier", "there is no organization %q", in.Carrier)
		}
		if err != nil {
			return nil, err
		}
		s.Carrier = carrier.UID
	}
	keep(&s.Service, in.Service)
	keep(&s.TrackingCode, in.TrackingCode)
	cover, err := CoverOf(tx, l)
	if err != nil {
		return nil, err
	}
	if lacks := Lacks(l, cover, in.Amounts); len(lacks) > 0 && in.Override == "" {
		return nil, refuse(s, "%s is not ready to be handed over: %s. Put it right, or say why it goes all the same", s.Reference, sentences(lacks))
	}
	s.OverrideReason = in.Override
	now := tx.Now()
	s.HandedOverAt, s.HandedOverBy = &now, by
	if err := l.send(tx, by, in.To); err != nil {
		return nil, err
	}
	return l, adopt(tx, l)
}

// send makes everything on the list be under way.
func (l *Load) send(tx inventory.Tx, by, to string) error {
	s := l.Shipment
	if err := s.Advance(inventory.PhaseHandedOver); err != nil {
		return err
	}
	for _, i := range l.inState(inventory.ItemListed, inventory.ItemPacked, inventory.ItemMissing) {
		if err := i.Become(inventory.ItemSent); err != nil {
			return err
		}
		if err := tx.Update(i); err != nil {
			return err
		}
		if err := moveAsset(tx, i.Asset, "in_transit", nil); err != nil {
			return err
		}
		if err := custody(tx, by, inventory.CustodyEvent{Kind: "handed_over", Asset: i.Asset, Parcel: i.Parcel, Shipment: s.UID, Site: s.Origin,
			At: *s.HandedOverAt, ToOrganization: s.Carrier, Place: to, Note: i.Name()}); err != nil {
			return err
		}
	}
	return tx.Update(s)
}
