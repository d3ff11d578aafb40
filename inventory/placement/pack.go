package placement

import (
	"context"
	"fmt"

	"berth/inventory"
)

// readParcels joins the plan's devices with the packing list of its shipment.
func (p *Plan) readParcels(ctx context.Context, r Reader, _ []*inventory.Move) error {
	if p.Plan.Shipment == "" {
		return nil
	}
	of := inventory.Query{Filters: []inventory.Filter{inventory.Is("shipment", p.Plan.Shipment)}}
	items, err := all[inventory.ShipmentItem](ctx, r, of)
	if err != nil {
		return fmt.Errorf("read the packing list of plan %s: %w", p.Plan.Name, err)
	}
	parcels, err := all[inventory.Parcel](ctx, r, of)
	if err != nil {
		return fmt.Errorf("read the parcels of plan %s: %w", p.Plan.Name, err)
	}
	boxes := byUID(parcels)
	byAsset := map[inventory.UID]*inventory.ShipmentItem{}
	for _, i := range items {
		byAsset[i.Asset] = i
	}
	for _, l := range p.Lines {
		row := ParcelLine{Device: l.Device.Name, Asset: l.AssetTag, Weight: l.Weight, State: "not on the packing list"}
		if l.asset == nil {
			row.State = "has no asset"
		} else if item := byAsset[l.asset.UID]; item != nil {
			row.Item, row.State = item.UID, item.State
			if box := boxes[item.Parcel]; box != nil {
				row.Parcel = box.Label
			}
		}
		p.Parcels = append(p.Parcels, row)
	}
	return nil
}

// Pack puts what the plan moves, and is not yet there, on the packing list of the plan's shipment; it answers how many lines were added.
// Errors: *inventory.Conflict when the plan has no shipment.
func Pack(tx inventory.Tx, plan *inventory.MovePlan, today inventory.Date) (int, error) {
	if plan.Shipment == "" {
		return 0, &inventory.Conflict{Noun: "move-plan", UID: plan.UID, Why: "the plan has no shipment: name one, then pack"}
	}
	p, err := Read(tx.Context(), In(tx), plan, today)
	if err != nil {
		return 0, err
	}
	added := 0
	for i, l := range p.Lines {
		if l.asset == nil || p.Parcels[i].Item != "" || !l.Move.Open() {
			continue
		}
		item := &inventory.ShipmentItem{Shipment: plan.Shipment, Asset: l.asset.UID, Description: l.Type, Serial: l.Serial, Quantity: 1, WeightGrams: l.Weight}
		if l.kind != nil {
			item.HSCode, item.CountryOfOrigin = l.kind.HSCode, l.kind.CountryOfOrigin
		}
		if err := tx.Create(item); err != nil {
			return added, err
		}
		added++
	}
	return added, nil
}
