package logistics

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"berth/inventory"
)

// openStates are those of lines whose machine has not spoken yet.
var openStates = []string{"listed", "packed", "sent", "received", "missing", "damaged", "substituted", "not_expected"}

// maxExpected is how many announced things a newcomer is held against.
const maxExpected = 2000

// Propose ranks what was announced by how like it is to what a look at device d saw, the likeliest first. It changes nothing.
func Propose(r Reader, d *inventory.Device, f inventory.Facts) (inventory.ExpectedVerdict, error) {
	expected, err := expectedThings(r, d)
	if err != nil {
		return inventory.ExpectedVerdict{}, err
	}
	return inventory.MatchExpected(f, expected), nil
}

// expectedThings are the lines that no machine has spoken for, and the promised assets that stand on no line.
func expectedThings(r Reader, d *inventory.Device) ([]inventory.Expected, error) {
	items, err := all[inventory.ShipmentItem](r, maxExpected, "-created_at", inventory.Is("verified_by", ""),
		inventory.Filter{Field: "state", Op: inventory.OpIn, Value: strings.Join(openStates, ",")})
	if err != nil {
		return nil, err
	}
	gone, err := calledOff(r, items)
	if err != nil {
		return nil, err
	}
	assets, err := promised(r, items)
	if err != nil {
		return nil, err
	}
	taken, err := speaking(r, assets, d.UID)
	if err != nil {
		return nil, err
	}
	var out []inventory.Expected
	for _, i := range items {
		if !gone[i.Shipment] && !taken[i.Asset] {
			out = append(out, expectedOf(i, assets[i.Asset]))
		}
		delete(assets, i.Asset)
	}
	for uid, a := range assets {
		if !taken[uid] {
			out = append(out, expectedOf(nil, a))
		}
	}
	return out, nil
}

// expectedOf gathers what was written down of a thing: on the line, on its asset, or both.
func expectedOf(i *inventory.ShipmentItem, a *inventory.Asset) inventory.Expected {
	var e inventory.Expected
	add := func(serial string) {
		if serial != "" && !slices.Contains(e.Serials, serial) {
			e.Serials = append(e.Serials, serial)
		}
	}
	if i != nil {
		e.Item, e.Asset = i.UID, i.Asset
		add(i.Serial)
		e.Evidence = inventory.ManifestEvidence(i.Manifest)
	}
	if a != nil {
		e.Asset = a.UID
		add(a.Serial)
		if a.SystemUUID != "" {
			e.Evidence = append(e.Evidence, inventory.Identity{Kind: inventory.IDSystemUUID, Value: a.SystemUUID})
		}
	}
	return e
}

// among lists the objects of a noun whose field has one of the uids.
func among[T any](r Reader, field string, uids []inventory.UID, filters ...inventory.Filter) ([]*T, error) {
	var out []*T
	slices.Sort(uids)
	for chunk := range slices.Chunk(slices.Compact(uids), 200) {
		words := make([]string, len(chunk))
		for n, uid := range chunk {
			words[n] = string(uid)
		}
		list, err := all[T](r, inventory.MaxPage, "created_at", append(filters, inventory.Filter{Field: field, Op: inventory.OpIn, Value: strings.Join(words, ",")})...)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// calledOff are the shipments of items that do not take place.
func calledOff(r Reader, items []*inventory.ShipmentItem) (map[inventory.UID]bool, error) {
	var uids []inventory.UID
	for _, i := range items {
		uids = append(uids, i.Shipment)
	}
	list, err := among[inventory.Shipment](r, "uid", uids, inventory.Is("phase", inventory.PhaseCancelled))
	out := map[inventory.UID]bool{}
	for _, s := range list {
		out[s.UID] = true
	}
	return out, err
}

// promised are the assets of items, and those that are expected without a line.
func promised(r Reader, items []*inventory.ShipmentItem) (map[inventory.UID]*inventory.Asset, error) {
	list, err := all[inventory.Asset](r, maxExpected, "-created_at", inventory.Is("kind", "device"),
		inventory.Filter{Field: "custody", Op: inventory.OpIn, Value: "expected,in_transit,received"})
	if err != nil {
		return nil, err
	}
	var uids []inventory.UID
	for _, i := range items {
		if i.Asset != "" {
			uids = append(uids, i.Asset)
		}
	}
	named, err := among[inventory.Asset](r, "uid", uids)
	out := map[inventory.UID]*inventory.Asset{}
	for _, a := range append(list, named...) {
		out[a.UID] = a
	}
	return out, err
}

// speaking are the assets that another machine than self speaks for already.
func speaking(r Reader, assets map[inventory.UID]*inventory.Asset, self inventory.UID) (map[inventory.UID]bool, error) {
	var uids []inventory.UID
	for uid := range assets {
		uids = append(uids, uid)
	}
	devices, err := among[inventory.Device](r, "asset", uids)
	out := map[inventory.UID]bool{}
	for _, d := range devices {
		if d.UID != self && d.SeenAt != nil {
			out[d.Asset] = true
		}
	}
	return out, err
}

// Observed is called within the transaction that stores a look at device d, before anything is taken from the look. A machine that nobody
// accepted yet, and that is surely one that was announced, gets that asset proposed (d.Asset; the caller stores d); one that was accepted
// verifies its line.
func Observed(tx inventory.Tx, d *inventory.Device, f inventory.Facts) error {
	if d.ProvisionState.Accepted() {
		return Verify(tx, "berth", d, f)
	}
	if d.Asset != "" {
		return nil
	}
	v, err := Propose(tx, d, f)
	if err != nil || v.Kind != inventory.MatchSame {
		return err
	}
	d.Asset, err = assetFor(tx, v.Ranked[0].Expected, f)
	return err
}

// assetFor is the asset of an announced thing; a line that names none gets one.
func assetFor(tx inventory.Tx, e inventory.Expected, f inventory.Facts) (inventory.UID, error) {
	if e.Asset != "" {
		return e.Asset, nil
	}
	i, err := inventory.TxGet[inventory.ShipmentItem](tx, string(e.Item))
	if err != nil {
		return "", err
	}
	a := &inventory.Asset{Kind: "device", Name: i.Description, Serial: i.Serial, Custody: "expected", Acquisition: i.Acquisition}
	if a.Name == "" {
		a.Name = strings.TrimSpace(f.System.Manufacturer + " " + f.System.Product)
	}
	a.UID = inventory.NewUID()
	if err := tx.Create(a); err != nil {
		return "", err
	}
	i.Asset = a.UID
	return a.UID, tx.Update(i)
}

// Verify marks the line of the packing list that machine d is, if one waits for it, and holds the machine's parts against what was packed.
// Nothing happens to a machine that came by no shipment. by is who accepted it.
func Verify(tx inventory.Tx, by string, d *inventory.Device, f inventory.Facts) error {
	if f.Source == "" {
		return nil // nobody has looked at it
	}
	i, err := lineOf(tx, d, f)
	if err != nil || i == nil {
		return err
	}
	return verifyLine(tx, by, i, d, f)
}

// lineOf finds the newest line of the machine's asset that no machine has spoken for, or that its BMC alone has spoken for when now the
// machine itself does.
func lineOf(tx inventory.Tx, d *inventory.Device, f inventory.Facts) (*inventory.ShipmentItem, error) {
	if d.Asset == "" {
		return nil, nil
	}
	items, err := inventory.TxList[inventory.ShipmentItem](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("asset", d.Asset)}, Sort: "-created_at", Limit: 20})
	if err != nil {
		return nil, err
	}
	for _, i := range items {
		again := i.VerifiedBy == "bmc" && i.Device == d.UID && f.Source != inventory.SourceBMC
		if i.VerifiedAt != nil && !again {
			continue
		}
		s, err := inventory.TxGet[inventory.Shipment](tx, string(i.Shipment))
		if err != nil {
			return nil, err
		}
		if s.Phase != string(inventory.PhaseCancelled) && sentAnew(s, d) {
			return i, nil
		}
	}
	return nil, nil
}

// sentAnew tells whether a look at the machine can be its arrival: not while the shipment is only being prepared and the machine still runs
// where it was.
func sentAnew(s *inventory.Shipment, d *inventory.Device) bool {
	draft := s.Phase == string(inventory.PhaseDraft) || s.Phase == string(inventory.PhasePacked)
	return !draft || s.Direction == "inbound"
}

func verifyLine(tx inventory.Tx, by string, i *inventory.ShipmentItem, d *inventory.Device, f inventory.Facts) error {
	now := tx.Now()
	if state := inventory.ItemState(i.State); state.MayFollow(inventory.ItemVerified) && state != inventory.ItemDamaged && state != inventory.ItemSubstituted {
		i.State = string(inventory.ItemVerified)
	}
	first := i.VerifiedAt == nil
	i.VerifiedAt, i.VerifiedBy, i.Device = &now, how(f), d.UID
	if i.ReceivedAt == nil {
		i.ReceivedAt, i.ReceivedBy = &now, by
	}
	if len(i.Manifest) == 0 && first {
		// Nobody packed a list: what the record says of the machine from before is what was sent.
		parts, err := partsOf(tx, d.Asset)
		if err != nil {
			return err
		}
		i.Manifest = inventory.ManifestOf(parts)
	}
	if err := tx.Update(i); err != nil {
		return err
	}
	if err := settleAsset(tx, i, d, f); err != nil {
		return err
	}
	if err := compareLine(tx, i, d, f); err != nil {
		return err
	}
	if !first {
		return nil
	}
	if err := custody(tx, by, inventory.CustodyEvent{Kind: "placed", Asset: i.Asset, Parcel: i.Parcel, Shipment: i.Shipment, Site: d.Site,
		Note: fmt.Sprintf("%s has spoken as %s (%s)", i.Name(), d.Name, i.VerifiedBy)}); err != nil {
		return err
	}
	return arrivedWith(tx, i)
}

// how names what spoke for a machine.
func how(f inventory.Facts) string {
	if f.Source == inventory.SourceBMC {
		return "bmc"
	}
	return "boot"
}

// arrivedWith: where one machine of a shipment runs, the shipment has arrived, whatever the carrier says.
func arrivedWith(tx inventory.Tx, i *inventory.ShipmentItem) error {
	s, err := inventory.TxGet[inventory.Shipment](tx, string(i.Shipment))
	if err != nil {
		return err
	}
	if phase := inventory.Phase(s.Phase); !phase.UnderWay() && phase != inventory.PhaseLost && phase != inventory.PhaseWrittenOff {
		return nil
	}
	if err := s.Advance(inventory.PhaseReceived); err != nil {
		return err
	}
	if s.ReceivedAt == nil {
		now := tx.Now()
		s.ReceivedAt = &now
	}
	return tx.Update(s)
}

// settleAsset fills in what the machine knows of itself and the record does not, and moves the asset to where it runs.
func settleAsset(tx inventory.Tx, i *inventory.ShipmentItem, d *inventory.Device, f inventory.Facts) error {
	return moveAsset(tx, i.Asset, "installed", func(a *inventory.Asset) {
		if !inventory.Junk(inventory.IDSystemSerial, f.System.Serial) {
			keepEmpty(&a.Serial, f.System.Serial)
		}
		if !inventory.Junk(inventory.IDSystemUUID, f.System.UUID) {
			keepEmpty(&a.SystemUUID, inventory.NormalIdentity(inventory.IDSystemUUID, f.System.UUID))
		}
		keep(&a.Site, d.Site)
		keep(&a.Location, d.Location)
		now := tx.Now()
		if a.AcquiredAt == nil {
			a.AcquiredAt = &now
		}
	})
}

// keepEmpty fills in a value that is not known yet.
func keepEmpty(into *string, value string) {
	if *into == "" {
		*into = value
	}
}

// compareLine writes down as deviations of the line what differs from the packing list. What a person decided stays decided.
func compareLine(tx inventory.Tx, i *inventory.ShipmentItem, d *inventory.Device, f inventory.Facts) error {
	old, err := all[inventory.Deviation](tx, inventory.MaxPage, "created_at", inventory.Is("shipment_item", i.UID))
	if err != nil {
		return err
	}
	known := map[string]*inventory.Deviation{}
	for _, v := range old {
		known[v.Part+"\x00"+v.Field] = v
	}
	for _, v := range differences(i, d, f) {
		was := known[v.Part+"\x00"+v.Field]
		delete(known, v.Part+"\x00"+v.Field)
		if was == nil {
			if err := tx.Create(&v); err != nil {
				return err
			}
			continue
		}
		if was.Intended == v.Intended && was.Observed == v.Observed && was.Verdict != inventory.VerdictResolved {
			continue
		}
		was.Intended, was.Observed, was.Note, was.Verdict = v.Intended, v.Observed, v.Note, inventory.VerdictOpen
		if err := tx.Update(was); err != nil {
			return err
		}
	}
	for _, gone := range known {
		if gone.Verdict == inventory.VerdictResolved {
			continue
		}
		gone.Verdict = inventory.VerdictResolved
		if err := tx.Update(gone); err != nil {
			return err
		}
	}
	return nil
}

// differences are the deviations of a line: parts that are not as packed, and a serial that is not as listed.
func differences(i *inventory.ShipmentItem, d *inventory.Device, f inventory.Facts) []inventory.Deviation {
	var out []inventory.Deviation
	for _, p := range inventory.ComparePacked(inventory.ParseManifest(i.Manifest), f) {
		if p.Finding != inventory.PartMatched {
			out = append(out, inventory.Deviation{Part: p.Part, Field: p.Finding, Intended: p.Intended, Observed: p.Observed, Note: p.Note})
		}
	}
	told := f.System.Serial
	if i.Serial != "" && !inventory.Junk(inventory.IDSystemSerial, told) && !saysSerial(f, i.Serial) {
		note := "the packing list names another serial"
		if inventory.Similar(i.Serial, told) {
			note = "the packing list mistypes the serial"
		}
		out = append(out, inventory.Deviation{Part: "system", Field: "serial", Intended: i.Serial, Observed: told, Note: note})
	}
	for n := range out {
		out[n].Device, out[n].ShipmentItem, out[n].Source, out[n].Verdict = d.UID, i.UID, f.Source, inventory.VerdictOpen
	}
	return out
}

// saysSerial tells whether a machine has the serial anywhere on it: lists name that of the system, of the chassis or of the board.
func saysSerial(f inventory.Facts, serial string) bool {
	serial = inventory.NormalIdentity(inventory.IDSystemSerial, serial)
	for _, own := range []string{f.System.Serial, f.Chassis.Serial, f.Board.Serial} {
		if inventory.NormalIdentity(inventory.IDSystemSerial, own) == serial {
			return true
		}
	}
	return false
}

// TakeObserved makes the record what the machine says, for a deviation of a line: a serial is corrected on the list and on the asset. Of
// parts the record of the machine already has what was seen; the decision only ends the question.
func TakeObserved(tx inventory.Tx, v *inventory.Deviation) error {
	if v.Part != "system" || v.Field != "serial" {
		return nil
	}
	i, err := inventory.TxGet[inventory.ShipmentItem](tx, string(v.ShipmentItem))
	if err != nil {
		return err
	}
	i.Serial = v.Observed
	if err := tx.Update(i); err != nil || i.Asset == "" {
		return err
	}
	a, err := inventory.TxGet[inventory.Asset](tx, string(i.Asset))
	if err != nil {
		return err
	}
	a.Serial = v.Observed
	return tx.Update(a)
}

// Confirm is a person's word on a line: that it is the machine device, or, with no device, that somebody looked at the thing itself. how is
// person or scan. Errors: *inventory.Invalid, *inventory.Conflict.
func Confirm(tx inventory.Tx, by, ref, line, device, how string) (*inventory.ShipmentItem, error) {
	l, err := Read(tx, ref)
	if err != nil {
		return nil, err
	}
	i, err := l.find(tx, line)
	if err != nil {
		return nil, err
	}
	if i == nil {
		return nil, inventory.NotAllowed("shipment", "item", "%q is not on the packing list", line)
	}
	if device == "" {
		return i, confirmSeen(tx, by, l, i, how)
	}
	d, err := inventory.TxGet[inventory.Device](tx, device)
	if errors.Is(err, inventory.ErrNotFound) {
		return nil, inventory.NotAllowed("shipment", "device", "there is no machine %q", device)
	}
	if err != nil {
		return nil, err
	}
	f, err := newestFacts(tx, d.UID)
	if err != nil {
		return nil, err
	}
	return i, join(tx, by, i, d, f)
}

// confirmSeen marks a line as looked at by a person.
func confirmSeen(tx inventory.Tx, by string, l *Load, i *inventory.ShipmentItem, how string) error {
	if err := i.Become(inventory.ItemVerified); err != nil {
		return err
	}
	now := tx.Now()
	i.VerifiedAt, i.VerifiedBy = &now, how
	if how != "scan" {
		i.VerifiedBy = "person"
	}
	if i.ReceivedAt == nil {
		i.ReceivedAt, i.ReceivedBy = &now, by
	}
	if err := tx.Update(i); err != nil {
		return err
	}
	if err := moveAsset(tx, i.Asset, "received", func(a *inventory.Asset) { keep(&a.Site, l.Shipment.Destination) }); err != nil {
		return err
	}
	return arrivedWith(tx, i)
}

// join makes device d the asset of line i. An asset that berth had made for the machine, because nobody knew what it was, gives way.
func join(tx inventory.Tx, by string, i *inventory.ShipmentItem, d *inventory.Device, f inventory.Facts) error {
	made := d.Asset
	switch {
	case i.Asset == "" && made != "":
		i.Asset = made
		if err := tx.Update(i); err != nil {
			return err
		}
	case i.Asset == "":
		asset, err := assetFor(tx, inventory.Expected{Item: i.UID}, f)
		if err != nil {
			return err
		}
		if i, err = inventory.TxGet[inventory.ShipmentItem](tx, string(i.UID)); err != nil {
			return err
		}
		d.Asset = asset
	default:
		d.Asset = i.Asset
	}
	if d.Asset != made {
		if err := tx.Update(d); err != nil {
			return err
		}
		if err := dropMade(tx, made, d); err != nil {
			return err
		}
	}
	if !d.ProvisionState.Accepted() {
		return nil // the proposal stands; accepting the machine verifies the line
	}
	return verifyLine(tx, by, i, d, f)
}

// dropMade deletes an asset that berth made up for d and that nothing else refers to.
func dropMade(tx inventory.Tx, made inventory.UID, d *inventory.Device) error {
	if made == "" {
		return nil
	}
	a, err := inventory.TxGet[inventory.Asset](tx, string(made))
	if err != nil || a.AssetTag != MadeTag(d.UID) {
		return err
	}
	var conflict *inventory.Conflict
	if err := tx.Delete(a); err != nil && !errors.As(err, &conflict) {
		return err
	}
	return nil
}

// MadeTag is the tag of the asset that berth makes for a machine of which nobody said what it is.
func MadeTag(device inventory.UID) string { return "berth-" + string(device[:8]) }

// newestFacts is what was seen of a device last, by the agent if it ever looked; empty facts when nobody did.
func newestFacts(r Reader, device inventory.UID) (inventory.Facts, error) {
	for _, source := range []inventory.FactSource{inventory.SourceAgent, inventory.SourceSystem, inventory.SourceBMC} {
		list, err := all[inventory.Observation](r, 1, "-created_at", inventory.Is("device", device), inventory.Is("source", source))
		if err != nil || len(list) > 0 {
			if err != nil {
				return inventory.Facts{}, err
			}
			return list[0].Facts, nil
		}
	}
	return inventory.Facts{}, nil
}

// Corrected is called after a person changed an object, in the same transaction. A line or an asset with another serial or list than before
// is held anew against the machines that have reported.
func Corrected(tx inventory.Tx, obj inventory.Object) error {
	switch o := obj.(type) {
	case *inventory.ShipmentItem:
		return correctLine(tx, o)
	case *inventory.Asset:
		items, err := inventory.TxList[inventory.ShipmentItem](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("asset", o.UID)}, Limit: 20})
		if err != nil {
			return err
		}
		for _, i := range items {
			if err := correctLine(tx, i); err != nil {
				return err
			}
		}
		if len(items) == 0 {
			return correctMachine(tx, o)
		}
	}
	return nil
}

func correctLine(tx inventory.Tx, i *inventory.ShipmentItem) error {
	if i.VerifiedAt != nil && i.Device != "" {
		d, err := inventory.TxGet[inventory.Device](tx, string(i.Device))
		if errors.Is(err, inventory.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		f, err := newestFacts(tx, d.UID)
		if err != nil {
			return err
		}
		return compareLine(tx, i, d, f)
	}
	if i.VerifiedAt != nil || !slices.Contains(openStates, i.State) {
		return nil
	}
	devices, err := reported(tx, i)
	if err != nil {
		return err
	}
	for _, d := range devices {
		done, err := tryJoin(tx, d, func(e inventory.Expected) bool { return e.Item == i.UID }, "")
		if err != nil || done {
			return err
		}
	}
	return nil
}

// correctMachine: the asset that was corrected is a machine's own, and the serial now says which line it is.
func correctMachine(tx inventory.Tx, a *inventory.Asset) error {
	if a.Serial == "" {
		return nil
	}
	devices, err := inventory.TxList[inventory.Device](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("asset", a.UID)}, Limit: 2})
	if err != nil || len(devices) != 1 || devices[0].SeenAt == nil {
		return err
	}
	_, err = tryJoin(tx, devices[0], func(e inventory.Expected) bool { return e.Item != "" }, a.Serial)
	return err
}

// tryJoin holds a machine that has reported against what was announced, and joins it to the line if it surely is one that ok allows. serial
// is one that a person says it has.
func tryJoin(tx inventory.Tx, d *inventory.Device, ok func(inventory.Expected) bool, serial string) (bool, error) {
	f, err := newestFacts(tx, d.UID)
	if err != nil {
		return false, err
	}
	if serial != "" {
		f.System.Serial = serial
	}
	v, err := Propose(tx, d, f)
	if err != nil || v.Kind != inventory.MatchSame || !ok(v.Ranked[0].Expected) || v.Ranked[0].Item == "" {
		return false, err
	}
	i, err := inventory.TxGet[inventory.ShipmentItem](tx, string(v.Ranked[0].Item))
	if err != nil {
		return false, err
	}
	return true, join(tx, "berth", i, d, f)
}

// reported are the machines whose evidence has the serials or addresses of a line, and that no line has yet.
func reported(tx inventory.Tx, i *inventory.ShipmentItem) ([]*inventory.Device, error) {
	var values []string
	var asset *inventory.Asset // a line need not name one
	if i.Asset != "" {
		var err error
		if asset, err = inventory.TxGet[inventory.Asset](tx, string(i.Asset)); err != nil && !errors.Is(err, inventory.ErrNotFound) {
			return nil, err
		}
	}
	e := expectedOf(i, asset)
	for _, s := range e.Serials {
		values = append(values, inventory.NormalIdentity(inventory.IDSystemSerial, s))
	}
	for _, id := range e.Evidence {
		values = append(values, id.Value)
	}
	if len(values) == 0 {
		return nil, nil
	}
	ids, err := inventory.TxList[inventory.Identifier](tx, inventory.Query{Filters: []inventory.Filter{
		{Field: "value", Op: inventory.OpIn, Value: strings.Join(values[:min(len(values), 100)], ",")}}, Limit: 50})
	if err != nil {
		return nil, err
	}
	var uids []inventory.UID
	for _, id := range ids {
		uids = append(uids, id.Device)
	}
	devices, err := among[inventory.Device](tx, "uid", uids)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(devices, func(d *inventory.Device) bool { return d.SeenAt == nil }), nil
}
