package finance

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"berth/inventory"
)

// maxLanded bounds what one shipment or acquisition shares its cost among.
const maxLanded = 20_000

// Land works out anew what the assets of a shipment or an acquisition cost with their share of freight, duty and handling
// (Asset.LandedCostAmount), and returns how many of them changed. Counted in are the cost lines of every acquisition they came by and of every inbound
// shipment they came in; what is recoverable is left out. A shipment's line is shared out over its items (one that also names an acquisition: over the items
// of that order), an acquisition's over its assets. The shares of loose items are nobody's. Errors: *inventory.Invalid for a cost in another currency than the
// asset's that nobody converted.
func Land(tx inventory.Tx, assets []inventory.UID) (int, error) {
	l := &landing{tx: tx, extra: map[inventory.UID]int64{}, assets: map[inventory.UID]*inventory.Asset{}}
	if err := l.load(assets); err != nil {
		return 0, err
	}
	shipments, orders, err := l.ways(assets)
	if err != nil {
		return 0, err
	}
	for _, uid := range shipments {
		if err := l.shareShipment(uid); err != nil {
			return 0, err
		}
	}
	for _, uid := range orders {
		if err := l.shareAcquisition(uid); err != nil {
			return 0, err
		}
	}
	return l.store(assets)
}

// AssetsOf lists the assets of a shipment, or of an acquisition (the other is empty).
func AssetsOf(tx inventory.Tx, shipment, acquisition inventory.UID) ([]inventory.UID, error) {
	var uids []inventory.UID
	if shipment != "" {
		items, err := txAll[inventory.ShipmentItem](tx, inventory.Is("shipment", shipment))
		for _, item := range items {
			if item.Asset != "" {
				uids = append(uids, item.Asset)
			}
		}
		return uids, err
	}
	assets, err := txAll[inventory.Asset](tx, inventory.Is("acquisition", acquisition))
	for _, a := range assets {
		uids = append(uids, a.UID)
	}
	return uids, err
}

// all lists what a filter lets through, up to maxLanded.
func all[T any](ctx context.Context, r Lister, filters ...inventory.Filter) ([]*T, error) {
	var out []*T
	err := pages(ctx, r, filters, func(list []*T) error {
		out = append(out, list...)
		if len(out) > maxLanded {
			return fmt.Errorf("these are more than %d %s", maxLanded, inventory.NounFor[T]().Plural)
		}
		return nil
	})
	return out, err
}

// allOf lists the objects whose field is one of uids, a thousand at a time.
func allOf[T any](ctx context.Context, r Lister, field string, uids []inventory.UID) ([]*T, error) {
	var out []*T
	for chunk := range slices.Chunk(uids, inventory.MaxPage) {
		texts := make([]string, 0, len(chunk))
		for _, uid := range chunk {
			if uid != "" {
				texts = append(texts, string(uid))
			}
		}
		if len(texts) == 0 {
			continue
		}
		list, err := all[T](ctx, r, inventory.Filter{Field: field, Op: inventory.OpIn, Value: strings.Join(texts, ",")})
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// txAll and txAllOf are all and allOf within a transaction.
func txAll[T any](tx inventory.Tx, filters ...inventory.Filter) ([]*T, error) {
	return all[T](tx.Context(), TxLister(tx), filters...)
}

func txAllOf[T any](tx inventory.Tx, field string, uids []inventory.UID) ([]*T, error) {
	return allOf[T](tx.Context(), TxLister(tx), field, uids)
}

// landing is the working out of landed costs.
type landing struct {
	tx     inventory.Tx
	assets map[inventory.UID]*inventory.Asset // those that are known
	extra  map[inventory.UID]int64            // what is added to their cost
}

// load brings assets in that are not here yet.
func (l *landing) load(uids []inventory.UID) error {
	var missing []inventory.UID
	for _, uid := range uids {
		if l.assets[uid] == nil && !slices.Contains(missing, uid) {
			missing = append(missing, uid)
		}
	}
	list, err := txAllOf[inventory.Asset](l.tx, "uid", missing)
	for _, a := range list {
		l.assets[a.UID] = a
	}
	return err
}

// ways finds the inbound shipments and the acquisitions by which assets came, in a fixed order.
func (l *landing) ways(uids []inventory.UID) (shipments, orders []inventory.UID, err error) {
	items, err := txAllOf[inventory.ShipmentItem](l.tx, "asset", uids)
	if err != nil {
		return nil, nil, err
	}
	var candidates []inventory.UID
	for _, item := range items {
		candidates = append(candidates, item.Shipment)
	}
	slices.Sort(candidates)
	list, err := txAllOf[inventory.Shipment](l.tx, "uid", slices.Compact(candidates))
	for _, s := range list {
		if s.Direction == "inbound" && s.Phase != "cancelled" {
			shipments = append(shipments, s.UID)
		}
	}
	for _, uid := range uids {
		if a := l.assets[uid]; a != nil && a.Acquisition != "" {
			orders = append(orders, a.Acquisition)
		}
	}
	slices.Sort(orders)
	slices.Sort(shipments)
	return shipments, slices.Compact(orders), err
}

// part of a cost: who has one, and what it weighs by each way of sharing.
type sharer struct {
	asset       *inventory.Asset // nil for a loose thing
	acquisition inventory.UID
	value       int64
	weight      int64
	count       int64
}

func (l *landing) shareShipment(shipment inventory.UID) error {
	lines, err := txAll[inventory.CostLine](l.tx, inventory.Is("shipment", shipment))
	if err != nil || len(lines) == 0 {
		return err
	}
	items, err := txAll[inventory.ShipmentItem](l.tx, inventory.Is("shipment", shipment))
	if err != nil {
		return err
	}
	var uids []inventory.UID
	for _, item := range items {
		if item.Asset != "" {
			uids = append(uids, item.Asset)
		}
	}
	if err := l.load(uids); err != nil {
		return err
	}
	sharers := make([]sharer, len(items))
	for i, item := range items {
		sharers[i] = itemSharer(item, l.assets[item.Asset])
	}
	return l.share(lines, sharers)
}

func itemSharer(item *inventory.ShipmentItem, a *inventory.Asset) sharer {
	s := sharer{asset: a, acquisition: item.Acquisition, value: item.DeclaredValueAmount, weight: item.WeightGrams, count: int64(max(item.Quantity, 1))}
	if a == nil {
		return s
	}
	of := assetSharer(a)
	if s.value == 0 {
		s.value = of.value
	}
	if s.weight == 0 {
		s.weight = of.weight
	}
	if s.acquisition == "" {
		s.acquisition = a.Acquisition
	}
	return s
}

func assetSharer(a *inventory.Asset) sharer {
	s := sharer{asset: a, acquisition: a.Acquisition, value: a.CostAmount, weight: a.WeightGrams, count: 1}
	if a.FairValueAmount != nil && s.value == 0 {
		s.value = *a.FairValueAmount
	}
	return s
}

func (l *landing) shareAcquisition(order inventory.UID) error {
	lines, err := txAll[inventory.CostLine](l.tx, inventory.Is("acquisition", order))
	lines = slices.DeleteFunc(lines, func(c *inventory.CostLine) bool { return c.Shipment != "" }) // shared out with its shipment
	if err != nil || len(lines) == 0 {
		return err
	}
	assets, err := txAll[inventory.Asset](l.tx, inventory.Is("acquisition", order))
	if err != nil {
		return err
	}
	sharers := make([]sharer, len(assets))
	for i, a := range assets {
		if l.assets[a.UID] == nil {
			l.assets[a.UID] = a
		}
		sharers[i] = assetSharer(l.assets[a.UID])
	}
	return l.share(lines, sharers)
}

// share adds each line's shares to what its assets cost besides.
func (l *landing) share(lines []*inventory.CostLine, sharers []sharer) error {
	for _, line := range lines {
		if line.Recoverable {
			continue
		}
		among := sharers
		if line.Shipment != "" && line.Acquisition != "" {
			among = slices.DeleteFunc(slices.Clone(sharers), func(s sharer) bool { return s.acquisition != line.Acquisition })
		}
		weights := make([]int64, len(among))
		for i, s := range among {
			weights[i] = map[string]int64{"value": s.value, "weight": s.weight, "count": s.count}[line.ShareBy]
		}
		own := Shares(line.Amount, weights)
		var converted []int64
		if line.ConvertedAmount != nil {
			converted = Shares(*line.ConvertedAmount, weights)
		}
		for i, s := range among {
			if s.asset == nil {
				continue
			}
			if s.asset.Currency == "" {
				s.asset.Currency = line.Currency
			}
			switch {
			case s.asset.Currency == line.Currency:
				l.extra[s.asset.UID] += own[i]
			case converted != nil && s.asset.Currency == line.ConvertedCurrency:
				l.extra[s.asset.UID] += converted[i]
			default:
				return otherCurrency(line, s.asset)
			}
		}
	}
	return nil
}

// otherCurrency refuses to add up what is in different currencies.
func otherCurrency(line *inventory.CostLine, a *inventory.Asset) error {
	return inventory.NotAllowed("cost-line", "converted_amount", "the %s of %s is in %s and asset %s in %s: say on the cost line what it was in %s", line.Kind,
		inventory.FormatMoney(line.Amount, line.Currency), line.Currency, a.AssetTag, a.Currency, a.Currency)
}

// store writes the landed costs of the assets that were asked for.
func (l *landing) store(uids []inventory.UID) (int, error) {
	changed := 0
	for _, uid := range uids {
		a := l.assets[uid]
		if a == nil || a.LandedCostAmount == a.CostAmount+l.extra[uid] {
			continue
		}
		a.LandedCostAmount = a.CostAmount + l.extra[uid]
		if err := l.tx.Update(a); err != nil {
			return changed, err
		}
		changed++
	}
	return changed, nil
}
