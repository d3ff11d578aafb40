package logistics

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"berth/inventory"
)

// Adding is what to put on a packing list: the lines of a text, assets by tag or uid, and everything of an acquisition that is on no other
// list. Several shipments may bring one order, and one shipment several.
type Adding struct {
	// Text has a thing on each line: its serial, then, behind commas, semicolons or tabs, what it is, what it is worth and addresses of its
	// ports, in any order: "790H8D2; Dell R640; 1200 EUR; d0:94:66:00:01:02".
	Text        string
	Assets      []string
	Acquisition string
	Parcel      string
}

// maxLines is how many things one text may name.
const maxLines = 1000

// Add puts things on the packing list of a shipment that has not arrived. A serial that the record does not know becomes an asset: an
// expected one, if the shipment comes to us. Errors: *inventory.Invalid, *inventory.Conflict.
func Add(tx inventory.Tx, ref string, in Adding) ([]*inventory.ShipmentItem, error) {
	l, err := Read(tx, ref)
	if err != nil {
		return nil, err
	}
	if !inventory.Phase(l.Shipment.Phase).UnderWay() {
		return nil, refuse(l.Shipment, "%s is %s; what came beside its list is added when it is received", l.Shipment.Reference, l.Shipment.Phase)
	}
	a := adder{tx: tx, load: l}
	if in.Acquisition != "" {
		if a.acquisition, err = inventory.TxGet[inventory.Acquisition](tx, in.Acquisition); errors.Is(err, inventory.ErrNotFound) {
			return nil, inventory.NotAllowed("shipment", "acquisition", "there is no acquisition %q", in.Acquisition)
		} else if err != nil {
			return nil, err
		}
	}
	if in.Parcel != "" {
		p := l.Parcel(in.Parcel)
		if p == nil {
			return nil, inventory.NotAllowed("shipment", "parcel", "the shipment has no parcel %q", in.Parcel)
		}
		a.parcel = p.UID
	}
	return a.run(in)
}

type adder struct {
	tx          inventory.Tx
	load        *Load
	acquisition *inventory.Acquisition
	parcel      inventory.UID
	added       []*inventory.ShipmentItem
}

func (a *adder) run(in Adding) ([]*inventory.ShipmentItem, error) {
	lines := strings.Split(strings.TrimSpace(in.Text), "\n")
	if len(lines)+len(in.Assets) > maxLines || len(a.load.Items)+len(lines) > maxItems {
		return nil, inventory.NotAllowed("shipment", "text", "at most %d things at once, and %d on a list", maxLines, maxItems)
	}
	for n, line := range lines {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := a.line(line); err != nil {
			return nil, atLine(err, n+1)
		}
	}
	for _, ref := range in.Assets {
		asset, err := inventory.TxGet[inventory.Asset](a.tx, ref)
		if errors.Is(err, inventory.ErrNotFound) {
			return nil, inventory.NotAllowed("shipment", "assets", "there is no asset %q", ref)
		}
		if err != nil {
			return nil, err
		}
		if err := a.asset(asset, inventory.ShipmentItem{}); err != nil {
			return nil, err
		}
	}
	if a.acquisition != nil && strings.TrimSpace(in.Text) == "" && len(in.Assets) == 0 {
		if err := a.order(); err != nil {
			return nil, err
		}
	}
	if len(a.added) == 0 {
		return nil, inventory.NotAllowed("shipment", "text", "nothing was named that is not on the list already")
	}
	return a.added, nil
}

// atLine says in which line of a text the fault is.
func atLine(err error, line int) error {
	var invalid *inventory.Invalid
	if !errors.As(err, &invalid) {
		return err
	}
	return inventory.NotAllowed("shipment", "text", "line %d: %v", line, invalid)
}

// order adds what an acquisition brought and no other shipment carries.
func (a *adder) order() error {
	assets, err := all[inventory.Asset](a.tx, maxLines, "asset_tag", inventory.Is("acquisition", a.acquisition.UID))
	if err != nil {
		return err
	}
	for _, asset := range assets {
		on, err := inventory.TxList[inventory.ShipmentItem](a.tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("asset", asset.UID)}, Limit: 1})
		if err != nil {
			return err
		}
		if len(on) == 0 && asset.Disposition == "" {
			if err := a.asset(asset, inventory.ShipmentItem{}); err != nil {
				return err
			}
		}
	}
	return nil
}

// asset adds a line for an asset, taking from it what the line does not say.
func (a *adder) asset(asset *inventory.Asset, item inventory.ShipmentItem) error {
	for _, i := range a.load.Items {
		if i.Asset == asset.UID {
			return nil
		}
	}
	item.Asset, item.Serial = asset.UID, asset.Serial
	if item.Description == "" {
		item.Description = asset.Name
	}
	if item.WeightGrams == 0 {
		item.WeightGrams = asset.WeightGrams
	}
	if item.DeclaredValueAmount == 0 {
		item.DeclaredValueAmount, item.Currency = worth(asset)
	}
	if item.Acquisition == "" {
		item.Acquisition = asset.Acquisition
	}
	return a.create(item)
}

// worth is what an asset is worth as far as the record says: its fair value, else what it cost. What was written down once is better than
// nothing on a waybill; a person corrects it.
func worth(a *inventory.Asset) (int64, string) {
	switch {
	case a.FairValueAmount != nil && *a.FairValueAmount > 0:
		return *a.FairValueAmount, a.Currency
	case a.LandedCostAmount > 0:
		return a.LandedCostAmount, a.Currency
	}
	return a.CostAmount, a.Currency
}

func (a *adder) create(item inventory.ShipmentItem) error {
	item.Shipment, item.Parcel = a.load.Shipment.UID, a.parcel
	if a.acquisition != nil {
		item.Acquisition = a.acquisition.UID
	}
	if item.Currency == "" {
		item.Currency = a.load.Shipment.Currency
	}
	item.State, item.Line = string(inventory.ItemListed), len(a.load.Items)+1
	if err := a.tx.Create(&item); err != nil {
		return err
	}
	a.load.Items, a.added = append(a.load.Items, &item), append(a.added, &item)
	return nil
}

// line adds what one line of a text names.
func (a *adder) line(text string) error {
	item, err := parseLine(text)
	if err != nil {
		return err
	}
	if item.Serial == "" {
		return a.create(item)
	}
	asset, err := a.assetOf(item)
	if err != nil {
		return err
	}
	return a.asset(asset, item)
}

// assetOf finds the asset that a serial or tag names, or makes one.
func (a *adder) assetOf(item inventory.ShipmentItem) (*inventory.Asset, error) {
	asset, err := inventory.TxGet[inventory.Asset](a.tx, item.Serial)
	if err == nil || !errors.Is(err, inventory.ErrNotFound) {
		return asset, err
	}
	found, err := inventory.TxList[inventory.Asset](a.tx, inventory.Query{Filters: []inventory.Filter{
		{Field: "serial", Op: inventory.OpIn, Value: item.Serial + "," + strings.ToUpper(item.Serial)}}, Limit: 2})
	if err != nil {
		return nil, err
	}
	if len(found) > 0 {
		return found[0], nil
	}
	custody := "storage"
	if d := a.load.Shipment.Direction; d == "inbound" || d == "" {
		custody = "expected"
	}
	asset = &inventory.Asset{Kind: "device", Name: item.Description, Serial: item.Serial, Custody: custody, Currency: item.Currency}
	asset.UID = inventory.NewUID()
	if a.acquisition != nil {
		asset.Acquisition = a.acquisition.UID
	}
	return asset, a.tx.Create(asset)
}

var (
	separators = regexp.MustCompile(`[\t;]|,\s`)
	valueForm  = regexp.MustCompile(`^(\d{1,9})(?:[.,](\d{2}))?\s*([A-Z]{3})$`)
	macForm    = regexp.MustCompile(`(?i)^(?:(bmc|ipmi|idrac|ilo)\s*)?(?:mac\s*)?((?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2})$`)
	weightForm = regexp.MustCompile(`(?i)^(\d{1,4})(?:[.,](\d{1,3}))?\s*kg$`)
)

// parseLine reads a line of a text. What comes first and has no blank is a serial or tag; a line of nothing but words describes something
// loose.
func parseLine(text string) (inventory.ShipmentItem, error) {
	item := inventory.ShipmentItem{Manifest: map[string]string{}}
	if len(text) > 1000 {
		return item, inventory.NotAllowed("shipment item", "text", "is longer than 1000 characters")
	}
	var words []string
	for n, part := range separators.Split(text, -1) {
		part = strings.TrimSpace(part)
		value, mac, weight := valueForm.FindStringSubmatch(part), macForm.FindStringSubmatch(part), weightForm.FindStringSubmatch(part)
		switch {
		case part == "":
		case mac != nil && mac[1] != "":
			item.Manifest["bmc "+mac[2]] = "the BMC's address"
		case mac != nil:
			item.Manifest["mac "+mac[2]] = ""
		case weight != nil:
			item.WeightGrams = thousandths(weight[1], weight[2])
		case value != nil:
			amount, _ := strconv.ParseInt(value[1]+fmt.Sprintf("%02s", value[2]), 10, 64) // at most eleven digits
			item.DeclaredValueAmount, item.Currency = amount, value[3]
		case n == 0 && !strings.Contains(part, " "):
			item.Serial = part
		default:
			words = append(words, part)
		}
	}
	item.Description = strings.Join(words, ", ")
	return item, nil
}

// thousandths makes grams of "1" and "5": the digits behind a decimal mark count to three places.
func thousandths(whole, part string) int64 {
	n, _ := strconv.ParseInt(whole+(part + "000")[:3], 10, 64) // digits only, by its form
	return n
}
