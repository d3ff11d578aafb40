package stocktake

import (
	"fmt"
	"slices"
	"strings"

	"berth/inventory"
)

// Scan notes that a code was seen on a walk, and says what that means: expected here, unexpected (the record has it elsewhere) or new (the
// record does not know it). Scanning the same thing twice changes nothing. place is where exactly, in the scanner's words; by is who.
// Errors: *inventory.Conflict for a stock-take that is closed, *inventory.Invalid for what is no code.
func Scan(tx inventory.Tx, st *inventory.StockTake, code, place, by string) (*inventory.StockTakeItem, error) {
	if st.State == "closed" {
		return nil, &inventory.Conflict{Noun: "stock-take", UID: st.UID, Why: "it is closed; begin another one"}
	}
	code, err := Code(code)
	if err != nil {
		return nil, err
	}
	asset, err := assetByCode(tx, code)
	if err != nil {
		return nil, err
	}
	item, err := scanned(tx, st, asset, code)
	if err != nil || item != nil {
		return item, err
	}
	now := tx.Now()
	item = &inventory.StockTakeItem{StockTake: st.UID, Code: code, Result: "new", ScannedAt: &now, Place: place, By: by}
	if asset != nil {
		item.Asset, item.Result = asset.UID, "unexpected"
		inside, err := covers(tx, st, asset)
		if err != nil {
			return nil, err
		}
		if inside && here(asset) {
			item.Result = "expected"
		}
	}
	return item, tx.Create(item)
}

// assetByCode is the one asset a code means; nil when the record knows none, or cannot tell which.
func assetByCode(r Reader, code string) (*inventory.Asset, error) {
	hits, err := Resolve(r, code)
	if err != nil {
		return nil, err
	}
	var found *inventory.Asset
	for _, h := range hits {
		a, err := AssetOf(r, h)
		if err != nil {
			return nil, err
		}
		switch {
		case a == nil || found != nil && a.UID == found.UID:
		case found != nil:
			names := []string{found.AssetTag, a.AssetTag}
			slices.Sort(names)
			return nil, inventory.NotAllowed("scan", "code", "is the serial of several things (%s): scan the asset tag", strings.Join(names, ", "))
		default:
			found = a
		}
	}
	return found, nil
}

// scanned finds what was noted of the same thing before, on the same walk.
func scanned(r Reader, st *inventory.StockTake, asset *inventory.Asset, code string) (*inventory.StockTakeItem, error) {
	which := inventory.Is("code", code)
	if asset != nil {
		which = inventory.Is("asset", asset.UID)
	}
	items, err := list[inventory.StockTakeItem](r, inventory.Query{Filters: []inventory.Filter{inventory.Is("stock_take", st.UID), which}, Limit: 1})
	if err != nil || len(items) == 0 {
		return nil, err
	}
	return items[0], nil
}

// covers tells whether the record has an asset where the stock-take walks.
func covers(r Reader, st *inventory.StockTake, a *inventory.Asset) (bool, error) {
	site, location, rack := a.Site, a.Location, inventory.UID("")
	devices, err := list[inventory.Device](r, inventory.Query{Filters: []inventory.Filter{inventory.Is("asset", a.UID)}, Limit: 1})
	if err != nil {
		return false, fmt.Errorf("find the device of %s: %w", a.AssetTag, err)
	}
	if len(devices) > 0 {
		d := devices[0]
		site, location, rack = d.Site, d.Location, d.Rack
	}
	switch {
	case st.Rack != "":
		return rack == st.Rack, nil
	case st.Location != "":
		return location == st.Location || a.Location == st.Location, nil
	case st.Site != "":
		return site == st.Site || a.Site == st.Site, nil
	}
	return true, nil
}

// Report is what a walk found so far.
type Report struct {
	StockTake  *inventory.StockTake
	Expected   []*inventory.StockTakeItem // found where the record has them
	Unexpected []*inventory.StockTakeItem // found here, on record elsewhere
	New        []*inventory.StockTakeItem // found here, not on record
	Missing    []*inventory.Asset         // on record here, not found (yet)
}

// Total is how many assets the record has where the walk goes.
func (r *Report) Total() int { return len(r.Expected) + len(r.Missing) }

// Look sums up a stock-take. Once it is closed what was missing stays what it was on that day.
func Look(r Reader, st *inventory.StockTake) (*Report, error) {
	items, err := all[inventory.StockTakeItem](r, []inventory.Filter{inventory.Is("stock_take", st.UID)})
	if err != nil {
		return nil, err
	}
	out := &Report{StockTake: st}
	seen := map[inventory.UID]bool{}
	var missing []inventory.UID
	for _, item := range items {
		seen[item.Asset] = true
		switch item.Result {
		case "expected":
			out.Expected = append(out.Expected, item)
		case "unexpected":
			out.Unexpected = append(out.Unexpected, item)
		case "new":
			out.New = append(out.New, item)
		case "missing":
			missing = append(missing, item.Asset)
		}
	}
	if st.State == "closed" {
		out.Missing, err = assets(r, missing)
		return out, err
	}
	expected, err := Expected(r, st)
	if err != nil {
		return nil, err
	}
	out.Missing = slices.DeleteFunc(expected, func(a *inventory.Asset) bool { return seen[a.UID] })
	return out, nil
}

// maxIn is how many uids one list is asked for.
const maxIn = 500

// assets reads assets by uid. One that was deleted since is left out; the change log tells of it.
func assets(r Reader, uids []inventory.UID) ([]*inventory.Asset, error) {
	var out []*inventory.Asset
	for chunk := range slices.Chunk(uids, maxIn) {
		texts := make([]string, len(chunk))
		for i, uid := range chunk {
			texts[i] = string(uid)
		}
		some, err := all[inventory.Asset](r, []inventory.Filter{{Field: "uid", Op: inventory.OpIn, Value: strings.Join(texts, ",")}})
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// Close ends a walk: what was not found is written down as missing, and with mark also gets the custody "missing"; what was missing and was
// found is in storage again, or installed. One edit, so that it can be undone as one.
// Errors: *inventory.Conflict for one that is closed already.
func Close(tx inventory.Tx, st *inventory.StockTake, mark bool) (*Report, error) {
	if st.State == "closed" {
		return nil, &inventory.Conflict{Noun: "stock-take", UID: st.UID, Why: "it is closed already"}
	}
	r, err := Look(tx, st)
	if err != nil {
		return nil, err
	}
	for _, a := range r.Missing {
		if err := tx.Create(&inventory.StockTakeItem{StockTake: st.UID, Asset: a.UID, Code: a.AssetTag, Result: "missing"}); err != nil {
			return nil, err
		}
		if mark && a.Custody != "missing" {
			a.Custody = "missing"
			if err := tx.Update(a); err != nil {
				return nil, fmt.Errorf("mark %s as missing: %w", a.AssetTag, err)
			}
		}
	}
	if err := foundAgain(tx, slices.Concat(r.Expected, r.Unexpected)); err != nil {
		return nil, err
	}
	now := tx.Now()
	st.State, st.ClosedAt = "closed", &now
	return r, tx.Update(st)
}

// foundAgain takes the word "missing" from what was seen.
func foundAgain(tx inventory.Tx, items []*inventory.StockTakeItem) error {
	uids := make([]inventory.UID, len(items))
	for i, item := range items {
		uids[i] = item.Asset
	}
	seen, err := assets(tx, uids)
	if err != nil {
		return err
	}
	for _, a := range seen {
		if a.Custody != "missing" {
			continue
		}
		a.Custody = "storage"
		devices, err := inventory.TxList[inventory.Device](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("asset", a.UID)}, Limit: 1})
		if err != nil {
			return err
		}
		if len(devices) > 0 && devices[0].Rack != "" {
			a.Custody = "installed"
		}
		if err := tx.Update(a); err != nil {
			return fmt.Errorf("note that %s was found: %w", a.AssetTag, err)
		}
	}
	return nil
}

// Place puts what a code means to a site, location or rack: an asset lies there, a device stands there. position is nil for "in the rack,
// not mounted". Errors: *inventory.Invalid for what cannot be placed, or does not fit.
func Place(tx inventory.Tx, h Hit, site, location, rack inventory.UID, position *float64, face string) error {
	asset, err := AssetOf(tx, h)
	if err != nil {
		return err
	}
	device, err := deviceOf(tx, h, asset)
	if err != nil {
		return err
	}
	if device == nil && asset == nil {
		return inventory.NotAllowed("scan", "code", "%s cannot be put in a place", strings.ToLower(h.Noun.Title))
	}
	if device != nil {
		device.Site, device.Location, device.Rack, device.Position, device.Face = site, location, rack, position, face
		if err := tx.Update(device); err != nil {
			return fmt.Errorf("place %s: %w", device.Name, err)
		}
	}
	if asset == nil {
		return nil
	}
	asset.Site, asset.Location, asset.Custody = site, location, "storage"
	if device != nil && rack != "" {
		asset.Custody = "installed"
	}
	return tx.Update(asset)
}

func deviceOf(r Reader, h Hit, asset *inventory.Asset) (*inventory.Device, error) {
	if d, ok := h.Object.(*inventory.Device); ok {
		return d, nil
	}
	if asset == nil {
		return nil, nil
	}
	devices, err := list[inventory.Device](r, inventory.Query{Filters: []inventory.Filter{inventory.Is("asset", asset.UID)}, Limit: 1})
	if err != nil || len(devices) == 0 {
		return nil, err
	}
	return devices[0], nil
}
