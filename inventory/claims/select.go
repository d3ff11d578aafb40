package claims

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"berth/inventory"
)

// assets finds what a selection means, in the order of the tags.
func (s Selection) assets(tx inventory.Tx) ([]*inventory.Asset, error) {
	found := map[inventory.UID]*inventory.Asset{}
	for _, uid := range s.Assets {
		a, err := inventory.TxGet[inventory.Asset](tx, string(uid))
		if err != nil {
			return nil, fmt.Errorf("asset %s: %w", uid, err)
		}
		found[a.UID] = a
	}
	if err := s.ofShipment(tx, found); err != nil {
		return nil, err
	}
	if err := s.ofSite(tx, found); err != nil {
		return nil, err
	}
	if err := within(tx, found); err != nil {
		return nil, err
	}
	if len(found) > maxLost {
		return nil, inventory.NotAllowed("disposition", "", "this takes %d assets, and one act takes at most %d; do it by parcel, room or rack", len(found), maxLost)
	}
	return slices.SortedFunc(maps.Values(found), func(a, b *inventory.Asset) int { return strings.Compare(a.AssetTag, b.AssetTag) }), nil
}

// ofShipment adds the assets of a shipment's or a parcel's lines that have not arrived.
func (s Selection) ofShipment(tx inventory.Tx, found map[inventory.UID]*inventory.Asset) error {
	var filters []inventory.Filter
	switch {
	case s.Parcel != "":
		filters = append(filters, inventory.Is("parcel", s.Parcel))
	case s.Shipment != "":
		filters = append(filters, inventory.Is("shipment", s.Shipment))
	default:
		return nil
	}
	lines, err := all[inventory.ShipmentItem](tx, maxLost+1, "", filters...)
	if err != nil {
		return err
	}
	var uids []inventory.UID
	for _, line := range lines {
		if line.Asset != "" && !inventory.ItemState(line.State).Here() {
			uids = append(uids, line.Asset)
		}
	}
	return add(tx, found, "uid", uids, func(a *inventory.Asset) bool { return a.Disposition == "" })
}

// ofSite adds everything that is at a site, by its own word or by that of its device.
func (s Selection) ofSite(tx inventory.Tx, found map[inventory.UID]*inventory.Asset) error {
	if s.Site == "" {
		return nil
	}
	own, err := all[inventory.Asset](tx, maxLost+1, "asset_tag", inventory.Is("site", s.Site), inventory.Filter{Field: "disposition", Op: inventory.OpEmpty, Value: "true"})
	if err != nil {
		return err
	}
	for _, a := range own {
		found[a.UID] = a
	}
	devices, err := all[inventory.Device](tx, maxLost+1, "name", inventory.Is("site", s.Site))
	if err != nil {
		return err
	}
	var uids []inventory.UID
	for _, d := range devices {
		if d.Asset != "" && found[d.Asset] == nil {
			uids = append(uids, d.Asset)
		}
	}
	return add(tx, found, "uid", uids, func(a *inventory.Asset) bool { return a.Disposition == "" })
}

// within adds what stands in the assets found, and the parts of their devices that are assets of their own, level by level.
func within(tx inventory.Tx, found map[inventory.UID]*inventory.Asset) error {
	open := func(a *inventory.Asset) bool { return a.Disposition == "" && found[a.UID] == nil }
	frontier := slices.Sorted(maps.Keys(found))
	for depth := 0; len(frontier) > 0 && depth < 8 && len(found) <= maxLost; depth++ {
		before := maps.Clone(found)
		if err := add(tx, found, "parent", frontier, open); err != nil {
			return err
		}
		if err := partsOf(tx, found, frontier, open); err != nil {
			return err
		}
		frontier = frontier[:0]
		for uid := range found {
			if before[uid] == nil {
				frontier = append(frontier, uid)
			}
		}
	}
	return nil
}

func partsOf(tx inventory.Tx, found map[inventory.UID]*inventory.Asset, of []inventory.UID, want func(*inventory.Asset) bool) error {
	var devices, parts []inventory.UID
	for chunk := range slices.Chunk(of, inChunk) {
		list, err := all[inventory.Device](tx, maxLost, "", oneOf("asset", chunk))
		if err != nil {
			return err
		}
		for _, d := range list {
			devices = append(devices, d.UID)
		}
	}
	for chunk := range slices.Chunk(devices, inChunk) {
		list, err := all[inventory.Component](tx, 10*maxLost, "", oneOf("device", chunk), inventory.Filter{Field: "asset", Op: inventory.OpEmpty, Value: "false"})
		if err != nil {
			return err
		}
		for _, c := range list {
			parts = append(parts, c.Asset)
		}
	}
	return add(tx, found, "uid", parts, want)
}

// inChunk is how many values one comparison takes.
const inChunk = 100

func oneOf(field string, uids []inventory.UID) inventory.Filter {
	texts := make([]string, len(uids))
	for i, uid := range uids {
		texts[i] = string(uid)
	}
	return inventory.Filter{Field: field, Op: inventory.OpIn, Value: strings.Join(texts, ",")}
}

// add reads the assets of which field is one of uids, and keeps those that are wanted.
func add(tx inventory.Tx, found map[inventory.UID]*inventory.Asset, field string, uids []inventory.UID, want func(*inventory.Asset) bool) error {
	for chunk := range slices.Chunk(uids, inChunk) {
		list, err := all[inventory.Asset](tx, maxLost+1, "", oneOf(field, chunk))
		if err != nil {
			return err
		}
		for _, a := range list {
			if want(a) {
				found[a.UID] = a
			}
		}
	}
	return nil
}

// devicesOf finds the device of each asset.
func devicesOf(tx inventory.Tx, assets []*inventory.Asset) (map[inventory.UID]*inventory.Device, error) {
	out := map[inventory.UID]*inventory.Device{}
	for chunk := range slices.Chunk(uidsOf(assets), inChunk) {
		list, err := all[inventory.Device](tx, maxLost, "", oneOf("asset", chunk))
		if err != nil {
			return nil, err
		}
		for _, d := range list {
			out[d.Asset] = d
		}
	}
	return out, nil
}

func uidsOf(assets []*inventory.Asset) []inventory.UID {
	uids := make([]inventory.UID, len(assets))
	for i, a := range assets {
		uids[i] = a.UID
	}
	return uids
}

// linesOf finds the lines on which the assets are under way, and the shipments of those.
func linesOf(tx inventory.Tx, loss Loss, assets []*inventory.Asset) (map[inventory.UID]*inventory.ShipmentItem, map[inventory.UID]*inventory.Shipment, error) {
	lines, shipments := map[inventory.UID]*inventory.ShipmentItem{}, map[inventory.UID]*inventory.Shipment{}
	for chunk := range slices.Chunk(uidsOf(assets), inChunk) {
		list, err := all[inventory.ShipmentItem](tx, 10*maxLost, "", oneOf("asset", chunk))
		if err != nil {
			return nil, nil, err
		}
		for _, line := range list {
			if inventory.ItemState(line.State).Here() || line.State == string(inventory.ItemMissing) && line.Shipment != loss.Shipment {
				continue
			}
			if shipments[line.Shipment] == nil {
				s, err := inventory.TxGet[inventory.Shipment](tx, string(line.Shipment))
				if err != nil {
					return nil, nil, err
				}
				shipments[s.UID] = s
			}
			if phase := inventory.Phase(shipments[line.Shipment].Phase); phase.UnderWay() || phase == inventory.PhaseLost || line.Shipment == loss.Shipment {
				lines[line.Asset] = line
			}
		}
	}
	return lines, shipments, nil
}

// rackName says where a device stands: "unit 4 of rack r12".
func rackName(r Reader, d *inventory.Device) (string, error) {
	if d.Rack == "" {
		return "", nil
	}
	var rack *inventory.Rack
	if err := find(r, d.Rack, &rack); err != nil || rack == nil {
		return "", err
	}
	if d.Position == nil {
		return "rack " + rack.Name, nil
	}
	return fmt.Sprintf("unit %g of rack %s", *d.Position, rack.Name), nil
}

// placeOf says where an asset without a place in a rack was.
func (l *loser) placeOf(a *inventory.Asset) string {
	if line := l.lines[a.UID]; line != nil {
		return "under way with " + l.shipments[line.Shipment].Reference
	}
	var site *inventory.Site
	if err := find(l.tx, a.Site, &site); err == nil && site != nil {
		return "site " + site.Name
	}
	return words(a.Custody)
}
