package logistics

import (
	"berth/inventory"
)

// Reconcile ends a receipt: every line is accounted for. Lines that did not come are refused, or become missing where a person says so.
// Errors: *inventory.Conflict naming them.
func Reconcile(tx inventory.Tx, by, ref string, missing bool) (*Load, error) {
	l, err := Read(tx, ref)
	if err != nil {
		return nil, err
	}
	rest := l.inState(inventory.ItemListed, inventory.ItemPacked, inventory.ItemSent)
	if len(rest) > 0 && !missing {
		return nil, refuse(l.Shipment, "%s did not come. Receive the rest, or say that it is missing", names(rest))
	}
	if err := l.Shipment.Advance(inventory.PhaseReconciled); err != nil {
		return nil, err
	}
	if err := l.miss(tx, by, rest, "it was not in the shipment"); err != nil {
		return nil, err
	}
	return l, tx.Update(l.Shipment)
}

// miss notes that lines are missing, and their assets with them.
func (l *Load) miss(tx inventory.Tx, by string, items []*inventory.ShipmentItem, why string) error {
	for _, i := range items {
		if err := i.Become(inventory.ItemMissing); err != nil {
			return err
		}
		if err := tx.Update(i); err != nil {
			return err
		}
		if err := moveAsset(tx, i.Asset, "missing", nil); err != nil {
			return err
		}
		if err := custody(tx, by, inventory.CustodyEvent{Kind: "lost", Asset: i.Asset, Parcel: i.Parcel, Shipment: l.Shipment.UID,
			FromOrganization: l.Shipment.Carrier, Note: i.Name() + ": " + why}); err != nil {
			return err
		}
	}
	return nil
}

// Close ends a reconciled shipment. What is still in dispute stays open: claims and deviations have an end of their own.
func Close(tx inventory.Tx, ref string) (*Load, error) {
	l, err := Read(tx, ref)
	if err != nil {
		return nil, err
	}
	if err := l.Shipment.Advance(inventory.PhaseClosed); err != nil {
		return nil, err
	}
	return l, tx.Update(l.Shipment)
}

// Cancel ends a shipment that does not take place. What was expected with it is expected no more by this way: the assets stay, their
// custody goes back to what it was before they were sent.
func Cancel(tx inventory.Tx, by, ref, why string) (*Load, error) {
	if why == "" {
		return nil, inventory.NotAllowed("shipment", "why", "say why it is cancelled, so that the next one knows")
	}
	l, err := Read(tx, ref)
	if err != nil {
		return nil, err
	}
	if err := l.Shipment.Advance(inventory.PhaseCancelled); err != nil {
		return nil, err
	}
	back := "storage"
	if l.Shipment.Direction == "inbound" {
		back = "expected"
	}
	for _, i := range l.inState(inventory.ItemSent) {
		if err := moveAsset(tx, i.Asset, back, nil); err != nil {
			return nil, err
		}
		if err := custody(tx, by, inventory.CustodyEvent{Kind: "returned", Asset: i.Asset, Parcel: i.Parcel, Shipment: l.Shipment.UID,
			FromOrganization: l.Shipment.Carrier, Note: i.Name() + ": " + why}); err != nil {
			return nil, err
		}
	}
	return l, tx.Update(l.Shipment)
}

// Lose says that a shipment, or what is left of it, is lost: its lines that are not here are missing. Writing it off, and what that is
// worth, is a disposition; claims are made before. Errors: *inventory.Conflict.
func Lose(tx inventory.Tx, by, ref, why string) (*Load, error) {
	l, err := Read(tx, ref)
	if err != nil {
		return nil, err
	}
	if err := l.Shipment.Advance(inventory.PhaseLost); err != nil {
		return nil, err
	}
	rest := l.inState(inventory.ItemListed, inventory.ItemPacked, inventory.ItemSent)
	if err := l.miss(tx, by, rest, "the shipment is lost: "+why); err != nil {
		return nil, err
	}
	return l, tx.Update(l.Shipment)
}

// Reopen takes a shipment one step back, where somebody was too quick: unpacks it, takes up a cancelled one, opens a closed one again,
// or has a lost one traced by its carrier. Errors: *inventory.Conflict.
func Reopen(tx inventory.Tx, by, ref string) (*Load, error) {
	l, err := Read(tx, ref)
	if err != nil {
		return nil, err
	}
	back := map[inventory.Phase]inventory.Phase{inventory.PhasePacked: inventory.PhaseDraft, inventory.PhaseCancelled: inventory.PhaseDraft,
		inventory.PhaseReconciled: inventory.PhaseReceived, inventory.PhaseClosed: inventory.PhaseReconciled, inventory.PhaseLost: inventory.PhaseHandedOver}
	from := inventory.Phase(l.Shipment.Phase)
	to, ok := back[from]
	if !ok {
		return nil, refuse(l.Shipment, "%s is %s; there is no step back from there. The change log can undo a single change", l.Shipment.Reference, from)
	}
	if to == inventory.PhaseHandedOver {
		now := tx.Now()
		if l.Shipment.HandedOverAt == nil {
			l.Shipment.HandedOverAt = &now
		}
		return l, l.send(tx, by, "")
	}
	if err := l.Shipment.Advance(to); err != nil {
		return nil, err
	}
	if to == inventory.PhaseDraft {
		for _, i := range l.inState(inventory.ItemPacked, inventory.ItemSent) {
			i.State = string(inventory.ItemListed)
			i.PackedAt, i.PackedBy = nil, ""
			if err := tx.Update(i); err != nil {
				return nil, err
			}
		}
	}
	return l, tx.Update(l.Shipment)
}
