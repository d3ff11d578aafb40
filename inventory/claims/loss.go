package claims

import (
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"berth/inventory"
)

// Selection says which assets a loss takes. What is named by several of its fields is taken once. Parts that are assets of their own,
// and assets that stand in one of these, go with it.
type Selection struct {
	Shipment inventory.UID   // the assets of its lines that have not arrived
	Parcel   inventory.UID   // the same of one of its boxes
	Site     inventory.UID   // everything that is at a site: a data centre that died
	Assets   []inventory.UID // these
}

// Loss is what happened, and how it is to be counted.
type Loss struct {
	Selection
	Kind      string // of inventory.Disposition: lost, stolen, abandoned, …
	OnDate    inventory.Date
	Reason    string
	Book      inventory.UID // whose value stands on the schedule; empty takes the only book there is
	Recipient inventory.UID
}

// Value is what an asset is worth in a book.
type Value struct {
	BasisAmount, BookAmount int64 // minor units
	Currency                string
}

// Valuer says what an asset is worth in a book on a day; the book is nil where there is none.
type Valuer func(tx inventory.Tx, book *inventory.Book, asset *inventory.Asset, on inventory.Date) (Value, error)

// Cost is the Valuer of a record without books: the basis is what it cost to have it, or its fair value if it was given, and nothing
// is depreciated.
func Cost(_ inventory.Tx, _ *inventory.Book, a *inventory.Asset, _ inventory.Date) (Value, error) {
	amount := a.LandedCostAmount
	if amount == 0 {
		amount = a.CostAmount
	}
	if amount == 0 && a.FairValueAmount != nil {
		amount = *a.FairValueAmount
	}
	return Value{BasisAmount: amount, BookAmount: amount, Currency: a.Currency}, nil
}

// WrittenOff is what a loss took, or would take.
type WrittenOff struct {
	Disposition *inventory.Disposition
	Items       []WrittenItem
	// Notes are sentences a person should read before saying yes.
	Notes []string
}

// WrittenItem is one asset of it.
type WrittenItem struct {
	Item   *inventory.DispositionItem
	Asset  *inventory.Asset
	Device *inventory.Device // nil: it is in no role
	Stood  string            // where it was, in words
	Frees  []string          // what becomes free: "unit 4 of rack r12", "10.0.0.7"
}

// Totals sums the book values by currency.
func (l WrittenOff) Totals() []Value {
	sums := map[string]Value{}
	for _, item := range l.Items {
		v := sums[item.Item.Currency]
		v.Currency = item.Item.Currency
		v.BasisAmount += item.Item.BasisAmount
		v.BookAmount += item.Item.BookAmount
		sums[v.Currency] = v
	}
	var out []Value
	for _, code := range slices.Sorted(maps.Keys(sums)) {
		out = append(out, sums[code])
	}
	return out
}

// maxLost bounds the assets of one loss, all of which are written in one transaction.
const maxLost = 1000

// Lose writes off the assets of a selection, in the caller's transaction: it freezes their book values, takes their devices out of the
// racks and their addresses off the ports, and remembers where everything was for Reverse. by is who says so.
// Errors: *inventory.Invalid for a loss that is not told whole; *inventory.Conflict that names what stands in the way.
func Lose(tx inventory.Tx, loss Loss, value Valuer, by string) (*WrittenOff, error) {
	if err := loss.check(); err != nil {
		return nil, err
	}
	assets, err := loss.assets(tx)
	if err != nil {
		return nil, err
	}
	l := &loser{tx: tx, loss: loss, value: value, by: by, disposition: &inventory.Disposition{Kind: loss.Kind, State: "done", OnDate: loss.OnDate, Reason: loss.Reason,
		Shipment: loss.Shipment, Recipient: loss.Recipient, DoneBy: by}}
	l.disposition.UID = inventory.NewUID()
	if err := l.prepare(assets); err != nil {
		return nil, err
	}
	return l.run(assets)
}

func (l Loss) check() error {
	kind, _ := inventory.NounFor[inventory.Disposition]().Field("kind")
	bad := &inventory.Invalid{Noun: "disposition", Fields: map[string]string{}}
	if !slices.Contains(kind.Values, l.Kind) {
		bad.Fields["kind"] = "must be one of " + strings.Join(kind.Values, ", ")
	}
	if l.OnDate == "" {
		bad.Fields["on_date"] = "is required: the book values of that day are kept"
	}
	if _, err := inventory.ParseDate(string(l.OnDate)); err != nil {
		bad.Fields["on_date"] = err.Error()
	}
	if strings.TrimSpace(l.Reason) == "" {
		bad.Fields["reason"] = "is required: years later somebody will ask"
	}
	if l.Shipment == "" && l.Parcel == "" && l.Site == "" && len(l.Assets) == 0 {
		bad.Fields[""] = "Nothing was selected: name a shipment, a parcel, a site or assets."
	}
	if len(bad.Fields) > 0 {
		return bad
	}
	return nil
}

// loser is a loss at work.
type loser struct {
	tx          inventory.Tx
	loss        Loss
	value       Valuer
	by          string
	disposition *inventory.Disposition
	books       []*inventory.Book
	book        *inventory.Book // whose value stands on the schedule
	devices     map[inventory.UID]*inventory.Device
	lines       map[inventory.UID]*inventory.ShipmentItem // by asset
	shipments   map[inventory.UID]*inventory.Shipment
	out         WrittenOff
}

// prepare reads what all assets need, and refuses what cannot be lost now.
func (l *loser) prepare(assets []*inventory.Asset) error {
	if len(assets) == 0 {
		return refuse(l.loss.Shipment, "there is nothing to write off: no asset of this selection is still ours and on its way")
	}
	var err error
	if l.books, err = all[inventory.Book](l.tx, 50, "slug"); err != nil {
		return err
	}
	if err := l.chooseBook(); err != nil {
		return err
	}
	if l.devices, err = devicesOf(l.tx, assets); err != nil {
		return err
	}
	if l.lines, l.shipments, err = linesOf(l.tx, l.loss, assets); err != nil {
		return err
	}
	var why []string
	for _, a := range assets {
		if a.Disposition != "" {
			why = append(why, fmt.Sprintf("%s is %s already", a.AssetTag, words(a.Disposition)))
		}
		if d := l.devices[a.UID]; d != nil && d.Operation != "" {
			why = append(why, fmt.Sprintf("%s is being worked on; cancel the operation on %s first, or wait for its end", a.AssetTag, d.Name))
		}
		if a.HoldUntil > l.loss.OnDate {
			l.out.Notes = append(l.out.Notes, fmt.Sprintf("%s is held until %s: ending it before has consequences for the donor or for us.", a.AssetTag, a.HoldUntil))
		}
	}
	if len(why) > 0 {
		return refuse("", "%s", strings.Join(limited(why, 10), "; "))
	}
	return nil
}

func (l *loser) chooseBook() error {
	for _, b := range l.books {
		if b.UID == l.loss.Book || l.loss.Book == "" && len(l.books) == 1 {
			l.book = b
		}
	}
	switch {
	case l.book != nil:
	case l.loss.Book != "":
		return inventory.NotAllowed("disposition", "book", "there is no such book")
	case len(l.books) > 1:
		l.book = l.books[0]
		l.out.Notes = append(l.out.Notes, fmt.Sprintf("There are %d books; the values shown are those of %s. They are frozen in all.", len(l.books), l.book.Name))
	default:
		l.out.Notes = append(l.out.Notes, "There is no book, so the value shown is what each thing cost.")
	}
	return nil
}

func (l *loser) run(assets []*inventory.Asset) (*WrittenOff, error) {
	if err := l.tx.Create(l.disposition); err != nil {
		return nil, err
	}
	insured := l.insured(assets)
	for i, a := range assets {
		item, err := l.lose(a, insured[i])
		if err != nil {
			return nil, err
		}
		l.out.Items = append(l.out.Items, item)
	}
	if err := l.closeShipments(); err != nil {
		return nil, err
	}
	l.out.Disposition = l.disposition
	return &l.out, nil
}

// lose takes one asset out of service.
func (l *loser) lose(a *inventory.Asset, insured int64) (WrittenItem, error) {
	out := WrittenItem{Asset: a, Device: l.devices[a.UID]}
	before := map[string]string{"custody": a.Custody, "site": string(a.Site), "location": string(a.Location)}
	item := &inventory.DispositionItem{Disposition: l.disposition.UID, Asset: a.UID, Serial: a.Serial, InsuredAmount: insured, Before: before}
	if err := l.freeze(a, item); err != nil {
		return out, err
	}
	if err := l.unplace(&out, before); err != nil {
		return out, err
	}
	if out.Stood == "" {
		out.Stood = l.placeOf(a)
	}
	before["stood"] = out.Stood
	a.Custody, a.Disposition, a.Site, a.Location = custodyAfter(l.loss.Kind), l.loss.Kind, "", ""
	if err := l.tx.Update(a); err != nil {
		return out, fmt.Errorf("write off %s: %w", a.AssetTag, err)
	}
	if err := l.loseLine(a, before); err != nil {
		return out, err
	}
	out.Item = item
	if err := l.tx.Create(item); err != nil {
		return out, err
	}
	return out, l.tx.Create(&inventory.CustodyEvent{At: l.tx.Now(), Asset: a.UID, Shipment: l.shipmentOf(a), Kind: lossEvent(l.loss.Kind), ToOrganization: l.loss.Recipient,
		Place: shorten(out.Stood, 200), Note: shorten(fmt.Sprintf("%s (%s): %s", l.disposition.Reference, l.loss.Kind, l.loss.Reason), 2000), By: l.by})
}

// custodyAfter is where a thing is after it ended: what is lost or stolen may come back, the rest is gone.
func custodyAfter(kind string) string {
	if kind == "lost" || kind == "stolen" {
		return "missing"
	}
	return "gone"
}

func lossEvent(kind string) string {
	if kind == "lost" || kind == "stolen" || kind == "abandoned" || kind == "destroyed" {
		return "lost"
	}
	return "disposed"
}

// freeze keeps the book values of the day, in every book.
func (l *loser) freeze(a *inventory.Asset, item *inventory.DispositionItem) error {
	if l.book == nil {
		v, err := l.value(l.tx, nil, a, l.loss.OnDate)
		item.BasisAmount, item.BookAmount, item.Currency = v.BasisAmount, v.BookAmount, v.Currency
		return err
	}
	for _, b := range l.books {
		v, err := l.value(l.tx, b, a, l.loss.OnDate)
		if err != nil {
			return fmt.Errorf("value %s in book %s: %w", a.AssetTag, b.Name, err)
		}
		if b == l.book {
			item.Book, item.BasisAmount, item.BookAmount, item.Currency = b.UID, v.BasisAmount, v.BookAmount, v.Currency
		}
		if err := l.freezeIn(b, a, v, item.Before); err != nil {
			return err
		}
	}
	return nil
}

func (l *loser) freezeIn(b *inventory.Book, a *inventory.Asset, v Value, before map[string]string) error {
	entries, err := all[inventory.BookEntry](l.tx, 1, "", inventory.Is("asset", a.UID), inventory.Is("book", b.UID))
	if err != nil {
		return err
	}
	amount, key := v.BookAmount, "book_entry."+string(b.UID)
	if len(entries) == 0 {
		before[key] = "new"
		return l.tx.Create(&inventory.BookEntry{Book: b.UID, Asset: a.UID, Currency: v.Currency, FrozenOn: l.loss.OnDate, FrozenAmount: &amount})
	}
	if entries[0].FrozenOn != "" {
		return nil // frozen by hand before: that day counts
	}
	before[key] = "open"
	entries[0].FrozenOn, entries[0].FrozenAmount = l.loss.OnDate, &amount
	return l.tx.Update(entries[0])
}

// unplace takes the asset's device out of its rack, and the addresses off its ports.
func (l *loser) unplace(out *WrittenItem, before map[string]string) error {
	d := out.Device
	if d == nil {
		return nil
	}
	names, err := rackName(l.tx, d)
	if err != nil {
		return err
	}
	out.Stood = names
	if d.Rack != "" && d.Position != nil {
		out.Frees = append(out.Frees, names)
	}
	maps.Copy(before, placeFields(d))
	before["device"] = string(d.UID)
	if err := l.freeAddresses(d, out, before); err != nil {
		return err
	}
	d.Rack, d.Position, d.Face, d.Slot, d.Side, d.Site, d.Location, d.Status = "", nil, "", 0, "", "", "", "offline"
	d.NetbootOffer, d.OfferedUntil = false, nil
	if err := l.tx.Update(d); err != nil {
		return fmt.Errorf("take %s out of its place: %w", d.Name, err)
	}
	return nil
}

// placeFields are what Reverse sets again. The keys are the fields' names behind "device.".
func placeFields(d *inventory.Device) map[string]string {
	m := map[string]string{"device.rack": string(d.Rack), "device.face": d.Face, "device.slot": strconv.Itoa(d.Slot), "device.side": d.Side,
		"device.site": string(d.Site), "device.location": string(d.Location), "device.status": d.Status}
	if d.Position != nil {
		m["device.position"] = strconv.FormatFloat(*d.Position, 'f', -1, 64)
	}
	return m
}

// maxAddresses bounds what one machine remembers, because a map of the record holds 200 entries.
const maxAddresses = 100

func (l *loser) freeAddresses(d *inventory.Device, out *WrittenItem, before map[string]string) error {
	ports, err := all[inventory.Interface](l.tx, inventory.MaxPage, "name", inventory.Is("device", d.UID))
	if err != nil || len(ports) == 0 {
		return err
	}
	uids := make([]string, len(ports))
	for i, p := range ports {
		uids[i] = string(p.UID)
	}
	addresses, err := all[inventory.Address](l.tx, maxAddresses+1, "address", inventory.Filter{Field: "interface", Op: inventory.OpIn, Value: strings.Join(uids, ",")})
	if err != nil {
		return err
	}
	if len(addresses) > maxAddresses {
		return refuse(d.UID, "%s has more than %d addresses; take some off by hand first", d.Name, maxAddresses)
	}
	for _, address := range addresses {
		before["address."+string(address.UID)] = string(address.Interface)
		out.Frees = append(out.Frees, address.Address)
		address.Interface = ""
		if err := l.tx.Update(address); err != nil {
			return fmt.Errorf("free the address %s: %w", address.Address, err)
		}
	}
	return nil
}

// loseLine notes on the packing list that the thing did not come.
func (l *loser) loseLine(a *inventory.Asset, before map[string]string) error {
	line := l.lines[a.UID]
	if line == nil {
		return nil
	}
	before["item"], before["item.state"] = string(line.UID), line.State
	if err := line.Become(inventory.ItemMissing); err != nil {
		return err
	}
	return l.tx.Update(line)
}

func (l *loser) shipmentOf(a *inventory.Asset) inventory.UID {
	if line := l.lines[a.UID]; line != nil {
		return line.Shipment
	}
	return l.loss.Shipment
}

// closeShipments leads shipments of which nothing is still to come to written off.
func (l *loser) closeShipments() error {
	for _, uid := range slices.Sorted(maps.Keys(l.shipments)) {
		s := l.shipments[uid]
		lines, err := all[inventory.ShipmentItem](l.tx, 10*inventory.MaxPage, "", inventory.Is("shipment", uid))
		if err != nil {
			return err
		}
		if slices.ContainsFunc(lines, func(line *inventory.ShipmentItem) bool { return line.State != string(inventory.ItemMissing) }) {
			continue
		}
		if err := l.writeOff(s); err != nil {
			return err
		}
	}
	return nil
}

func (l *loser) writeOff(s *inventory.Shipment) error {
	was := s.Phase
	if inventory.Phase(was) != inventory.PhaseLost {
		if _, ok := inventory.Phase(was).MayFollow(inventory.PhaseLost); !ok {
			return nil // closed or cancelled: its phase says enough
		}
		s.Phase = string(inventory.PhaseLost)
	}
	s.Phase = string(inventory.PhaseWrittenOff)
	for _, item := range l.out.Items {
		if line := l.lines[item.Asset.UID]; line != nil && line.Shipment == s.UID {
			item.Item.Before["shipment"], item.Item.Before["shipment.phase"] = string(s.UID), was
			if err := l.tx.Update(item.Item); err != nil {
				return err
			}
		}
	}
	return l.tx.Update(s)
}

// insured shares what the policy covers of the shipment out over the assets by their declared values, so that the shares add up.
func (l *loser) insured(assets []*inventory.Asset) []int64 {
	out := make([]int64, len(assets))
	weights := make([]int64, len(assets))
	var total, sum int64
	if s := l.shipments[l.loss.Shipment]; s != nil {
		total = s.InsuredAmount
	}
	for i, a := range assets {
		if line := l.lines[a.UID]; line != nil && line.Shipment == l.loss.Shipment {
			weights[i] = line.DeclaredValueAmount
		}
		sum += weights[i]
	}
	if total <= 0 || sum <= 0 || slices.Min(weights) < 0 {
		return out
	}
	var given, seen int64
	for i, w := range weights {
		// What was given so far is always the share of what was seen so far, rounded down: nothing is lost to rounding.
		seen += w
		share := mulDiv(total, seen, sum)
		out[i], given = share-given, share
	}
	return out
}

// mulDiv is a×b/c, rounded down, with 128 bits on the way. None is negative and b is at most c, so that the quotient fits.
func mulDiv(a, b, c int64) int64 {
	high, low := bits.Mul64(uint64(a), uint64(b))
	quotient, _ := bits.Div64(high, low, uint64(c))
	return int64(quotient)
}

func refuse(uid inventory.UID, format string, args ...any) error {
	return &inventory.Conflict{Noun: "disposition", UID: uid, Why: fmt.Sprintf(format, args...)}
}

func words(s string) string { return strings.ReplaceAll(s, "_", " ") }

// limited cuts a list for a sentence.
func limited(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	return append(slices.Clone(list[:n]), fmt.Sprintf("and %d more", len(list)-n))
}

func shorten(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return s
}

// errLooked ends an edit that was made to be looked at.
var errLooked = errors.New("only looked at")

// Look runs an act in a transaction that is taken back: what it shows is what would happen, down to each refusal.
func Look(edit func(func(tx inventory.Tx) error) error, act func(tx inventory.Tx) error) error {
	err := edit(func(tx inventory.Tx) error {
		if err := act(tx); err != nil {
			return err
		}
		return errLooked
	})
	if errors.Is(err, errLooked) {
		return nil
	}
	return err
}
