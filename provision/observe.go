package provision

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"berth/inventory"
	"berth/inventory/logistics"
	"berth/inventory/placement"
)

// observe stores what a source saw of a device, and what follows: the device's own facts, its identifiers, its deviations. The device
// that comes back is the one the facts belong to, which is another than d when an unknown machine turns out to be one on record.
func (s *Service) observe(tx inventory.Tx, d *inventory.Device, at *inventory.BootAttempt, f inventory.Facts) (*inventory.Device, error) {
	var err error
	if d.ProvisionState == inventory.StateUnknown && f.Source == inventory.SourceAgent {
		if d, err = s.recognise(tx, d, at, f); err != nil {
			return nil, err
		}
	}
	if err := keepObservation(tx, d.UID, f); err != nil {
		return nil, err
	}
	if err := learnIdentity(tx, d.UID, f); err != nil {
		return nil, err
	}
	// Before anything is taken from the look: a line of a packing list is held against what the record knew.
	if err := logistics.Observed(tx, d, f); err != nil {
		return nil, err
	}
	if err := s.compare(tx, d, f); err != nil {
		return nil, err
	}
	if f.Source == inventory.SourceAgent {
		if err := seen(tx, d, f); err != nil {
			return nil, err
		}
	}
	if err := tx.Update(d); err != nil || f.Source != inventory.SourceAgent {
		return d, err
	}
	return arrive(tx, d)
}

// arrive makes true the move of a machine that was taken out of its rack and has now come up: it stands where its plan wanted it. Where
// something else stands there on record, the move stays open for a person, and the look is kept all the same.
func arrive(tx inventory.Tx, d *inventory.Device) (*inventory.Device, error) {
	move, err := placement.Arrived(tx, d.UID)
	var conflict *inventory.Conflict
	var invalid *inventory.Invalid
	if errors.As(err, &conflict) || errors.As(err, &invalid) {
		return d, nil
	}
	if err != nil || move == nil {
		return d, err
	}
	return inventory.TxGet[inventory.Device](tx, string(d.UID))
}

// keepObservation updates the newest observation when nothing changed, and adds one when something did: the history holds each
// different sight of the machine once.
func keepObservation(tx inventory.Tx, device inventory.UID, f inventory.Facts) error {
	list, err := inventory.TxList[inventory.Observation](tx, lastSeen(device, f.Source))
	if err != nil {
		return err
	}
	if len(list) > 0 && sameFacts(list[0].Facts, f) {
		list[0].Facts = f
		return tx.Update(list[0])
	}
	return tx.Create(&inventory.Observation{Device: device, Source: f.Source, Facts: f})
}

// sameFacts compares what identifies and describes the parts, and leaves out what changes by the minute.
func sameFacts(a, b inventory.Facts) bool {
	return reflect.DeepEqual(still(a), still(b))
}

func still(f inventory.Facts) inventory.Facts {
	f.ObservedAt, f.Problems = time.Time{}, nil
	f.Disks = slices.Clone(f.Disks)
	for i := range f.Disks {
		f.Disks[i].SMART = nil
	}
	return f
}

// recognise asks whether an unknown machine that has reported is one on record: an expected one, or an old one with a new network card.
func (s *Service) recognise(tx inventory.Tx, d *inventory.Device, at *inventory.BootAttempt, f inventory.Facts) (*inventory.Device, error) {
	candidates, err := candidatesFor(tx, d.UID, f)
	if err != nil {
		return nil, err
	}
	if candidates, err = s.absorb(tx, d, candidates, f); err != nil {
		return nil, err
	}
	verdict := inventory.Match(inventory.Evidence(f), candidates)
	if verdict.Kind == inventory.MatchSame {
		known, err := inventory.TxGet[inventory.Device](tx, string(verdict.Device))
		if err != nil {
			return nil, err
		}
		sure := !known.ProvisionState.Accepted() || independent(inventory.Evidence(f), candidates, known.UID)
		elsewhere, err := s.elsewhere(tx, known)
		if err != nil {
			return nil, err
		}
		if sure && !elsewhere {
			if err := s.merge(tx, d, known, at, verdict.Sentence()); err != nil {
				return nil, err
			}
			return known, reappear(known, verdict.Sentence())
		}
		verdict.Kind = inventory.MatchQuestion
	}
	if verdict.Kind == inventory.MatchQuestion {
		if err := ask(tx, d, verdict); err != nil {
			return nil, err
		}
	}
	if err := d.Become(inventory.StateDiscovered, verdict.Sentence()); err != nil {
		return nil, err
	}
	if strings.HasPrefix(d.Name, unknownPrefix) {
		d.Name = proposeName(d, f)
	}
	return d, nil
}

// elsewhere tells whether an agent speaks for a machine already, or holds a step of its work. A second one that claims to be the same
// machine is somebody's mistake, or worse, and takes nothing over.
func (s *Service) elsewhere(tx inventory.Tx, d *inventory.Device) (bool, error) {
	if s.alive.agent(d.UID, s.Now()) != "" {
		return true, nil
	}
	if d.Operation == "" {
		return false, nil
	}
	steps, err := inventory.TxList[inventory.Step](tx, stepsOf(d.Operation))
	return slices.ContainsFunc(steps, func(st *inventory.Step) bool { return st.Assignment != "" }), err
}

// reappear leads a machine on record that has just shown itself to where a person can accept it. One that is accepted stays what it is.
func reappear(d *inventory.Device, why string) error {
	switch d.ProvisionState {
	case inventory.StateNone: // it was expected
		if err := d.Become(inventory.StateUnknown, why); err != nil {
			return err
		}
		return d.Become(inventory.StateDiscovered, why)
	case inventory.StateUnknown, inventory.StateRetired:
		return d.Become(inventory.StateDiscovered, why)
	}
	return nil
}

// absorb takes in the records of this machine's other ports: firmware asks through one port after another, and each first sight made a
// record of which nothing but the port's address is known. The candidates that are left are returned.
func (s *Service) absorb(tx inventory.Tx, d *inventory.Device, candidates []inventory.Candidate, f inventory.Facts) ([]inventory.Candidate, error) {
	seen := inventory.Evidence(f)
	var rest []inventory.Candidate
	for _, c := range candidates {
		other, err := inventory.TxGet[inventory.Device](tx, string(c.Device))
		if err != nil {
			return nil, err
		}
		foreign := func(id inventory.Identity) bool { return !slices.Contains(seen, id) }
		if other.ProvisionState != inventory.StateUnknown || slices.ContainsFunc(c.Evidence, foreign) {
			rest = append(rest, c)
			continue
		}
		if err := s.merge(tx, other, d, nil, "another port of this machine asked the network as "+other.Name); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// families are the kinds of evidence that are independent of one another; unprinted are those that do not stand on a machine's label.
var (
	families = map[inventory.IdentifierKind]string{
		inventory.IDTPM: "board", inventory.IDBoardSerial: "board", inventory.IDSystemUUID: "uuid", inventory.IDBMCMAC: "bmc",
		inventory.IDSystemSerial: "serial", inventory.IDChassisSerial: "serial", inventory.IDNICMAC: "nic",
		inventory.IDDiskWWN: "disk", inventory.IDDiskSerial: "disk", inventory.IDDIMMSerial: "memory",
	}
	unprinted = []string{"board", "uuid", "disk", "memory"}
)

// independent tells whether two independent pieces of evidence speak for a candidate, one of which stands on no label. No rule gives a
// machine what is meant for an accepted one on less: what is printed on a box, anybody can say.
func independent(seen []inventory.Identity, candidates []inventory.Candidate, device inventory.UID) bool {
	agree := map[string]bool{}
	for _, c := range candidates {
		if c.Device != device {
			continue
		}
		for _, id := range c.Evidence {
			if slices.Contains(seen, id) {
				agree[families[id.Kind]] = true
			}
		}
	}
	return len(agree) > 1 && slices.ContainsFunc(unprinted, func(f string) bool { return agree[f] })
}

// candidatesFor collects the devices that share a piece of evidence with the facts, each with all of its evidence.
func candidatesFor(tx inventory.Tx, self inventory.UID, f inventory.Facts) ([]inventory.Candidate, error) {
	found := map[inventory.UID]bool{}
	for _, e := range inventory.Evidence(f) {
		hits, err := inventory.TxList[inventory.Identifier](tx, inventory.Query{
			Filters: []inventory.Filter{inventory.Is("kind", e.Kind), inventory.Is("value", e.Value)}, Limit: 20})
		if err != nil {
			return nil, err
		}
		for _, h := range hits {
			if h.Device != self {
				found[h.Device] = true
			}
		}
	}
	var out []inventory.Candidate
	for device := range found {
		all, err := inventory.TxList[inventory.Identifier](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("device", device)}, Limit: inventory.MaxPage})
		if err != nil {
			return nil, err
		}
		c := inventory.Candidate{Device: device}
		for _, id := range all {
			c.Evidence = append(c.Evidence, inventory.Identity{Kind: id.Kind, Value: id.Value})
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b inventory.Candidate) int { return strings.Compare(string(a.Device), string(b.Device)) })
	return out, nil
}

// ask puts the doubt before a person, once.
func ask(tx inventory.Tx, d *inventory.Device, v inventory.Verdict) error {
	return tx.Create(&inventory.Deviation{Device: d.UID, Part: "identity", Field: "device", Intended: string(v.Device), Observed: string(d.UID),
		Source: inventory.SourceAgent, Verdict: "open", Note: clip(v.Sentence(), 500)})
}

// merge gives what belongs to a double to the machine that it was recognised as, and drops the double. The change log keeps what was said
// about the double; the timeline says where it went.
func (s *Service) merge(tx inventory.Tx, double, known *inventory.Device, at *inventory.BootAttempt, why string) error {
	if err := dropSecondBMC(tx, double, known); err != nil {
		return err
	}
	if at != nil {
		if err := dismiss(tx, known.UID, "a newer boot's agent took over"); err != nil {
			return err
		}
	}
	for _, noun := range []string{"interfaces", "components", "bmcs", "events", "boot-attempts", "operations", "observations"} {
		if err := moveAll(tx, noun, double.UID, known.UID); err != nil {
			return err
		}
	}
	if at != nil {
		now, err := inventory.TxGet[inventory.BootAttempt](tx, string(at.UID))
		if err != nil {
			return err
		}
		*at = *now
	}
	if err := moveWork(tx, double, known); err != nil {
		return err
	}
	text := fmt.Sprintf("recognised: %s (it had been written down as %s, %s)", why, double.Name, double.UID)
	if err := note(tx, inventory.Event{Device: known.UID, Source: "engine", Text: text}); err != nil {
		return err
	}
	if err := tx.Update(double); err != nil {
		return err
	}
	return tx.Delete(double)
}

// dropSecondBMC keeps the record of the BMC of the known machine where both have one.
func dropSecondBMC(tx inventory.Tx, double, known *inventory.Device) error {
	of := func(d *inventory.Device) ([]*inventory.BMC, error) {
		return inventory.TxList[inventory.BMC](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("device", d.UID)}, Limit: inventory.MaxPage})
	}
	have, err := of(known)
	if err != nil || len(have) == 0 {
		return err
	}
	second, err := of(double)
	if err != nil {
		return err
	}
	for _, b := range second {
		if err := tx.Delete(b); err != nil {
			return err
		}
	}
	return nil
}

// moveAll hands what refers to one device over to another.
func moveAll(tx inventory.Tx, noun string, from, to inventory.UID) error {
	n, ok := inventory.NounOf(noun)
	if !ok {
		return fmt.Errorf("there is no noun %s", noun)
	}
	field, _ := n.Field("device")
	for {
		page, err := tx.List(n, inventory.Query{Filters: []inventory.Filter{inventory.Is("device", from)}, Limit: inventory.MaxPage})
		if err != nil || len(page.Items) == 0 {
			return err
		}
		for _, item := range page.Items {
			field.Set(item, to)
			if err := tx.Update(item); err != nil {
				return err
			}
		}
	}
}

// moveWork decides what becomes of the double's operation. The known machine goes on with it if it is idle. If it is not, an enrolment
// ends by itself, and all else is cancelled: two operations must not work on one machine.
func moveWork(tx inventory.Tx, double, known *inventory.Device) error {
	work := double.Operation
	double.Operation = ""
	if work == "" || known.Operation == "" {
		known.Operation = orUID(known.Operation, work)
		return nil
	}
	op, err := inventory.TxGet[inventory.Operation](tx, string(work))
	if err != nil {
		return err
	}
	if op.Kind == KindEnrol || op.State.Ended() {
		return nil
	}
	if err := revoke(tx, op.UID); err != nil {
		return err
	}
	op.CancelBy, op.NextTryAt = fmt.Sprintf("berth (its machine was recognised as %s, which is at work)", known.Name), tx.Now()
	return tx.Update(op)
}

func orUID(a, b inventory.UID) inventory.UID {
	if a != "" {
		return a
	}
	return b
}

// sameMachine is a person's answer to the question of recognise: the machine is the one on record.
func (s *Service) sameMachine(tx inventory.Tx, req inventory.Request, v *inventory.Deviation, remark string) error {
	double, err := inventory.TxGet[inventory.Device](tx, string(v.Device))
	if err != nil {
		return err
	}
	known, err := inventory.TxGet[inventory.Device](tx, v.Intended)
	if errors.Is(err, inventory.ErrNotFound) {
		return &inventory.Conflict{Noun: "deviation", UID: v.UID, Why: "the machine it may have been is not on record any more"}
	}
	if err != nil {
		return err
	}
	if double.ProvisionState.Accepted() {
		return &inventory.Conflict{Noun: "machine", UID: double.UID, Why: fmt.Sprintf("%s was accepted as a machine of its own; retire one of the two", double.Name)}
	}
	facts, err := newest(tx, double.UID, inventory.SourceAgent)
	if err != nil && !errors.Is(err, inventory.ErrNotFound) {
		return err
	}
	reported := err == nil
	why := fmt.Sprintf("%s says that it is %s", req.By.Name, known.Name)
	if remark != "" {
		why += ": " + clip(remark, 200)
	}
	if err := s.merge(tx, double, known, nil, why); err != nil {
		return err
	}
	if err := reappear(known, why); err != nil {
		return err
	}
	if reported {
		if err := learnIdentity(tx, known.UID, facts); err != nil {
			return err
		}
		if err := logistics.Observed(tx, known, facts); err != nil {
			return err
		}
		if err := s.compare(tx, known, facts); err != nil {
			return err
		}
		if err := seen(tx, known, facts); err != nil {
			return err
		}
	}
	return tx.Update(known)
}

// learnIdentity adds the evidence that is new. Evidence is never taken away by an observation: a board that is out for repair may return.
func learnIdentity(tx inventory.Tx, device inventory.UID, f inventory.Facts) error {
	known, err := inventory.TxList[inventory.Identifier](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("device", device)}, Limit: inventory.MaxPage})
	if err != nil {
		return err
	}
	have := map[inventory.Identity]bool{}
	for _, id := range known {
		have[inventory.Identity{Kind: id.Kind, Value: id.Value}] = true
	}
	for _, e := range inventory.Evidence(f) {
		if have[e] {
			continue
		}
		have[e] = true
		if err := tx.Create(&inventory.Identifier{Device: device, Kind: e.Kind, Value: e.Value}); err != nil {
			return err
		}
	}
	return nil
}

// compare brings the deviations up to date. Only machines that were accepted have an intention to deviate from.
func (s *Service) compare(tx inventory.Tx, d *inventory.Device, f inventory.Facts) error {
	if !d.ProvisionState.Accepted() {
		return nil
	}
	parts, err := inventory.TxList[inventory.Component](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("device", d.UID)}, Limit: inventory.MaxPage})
	if err != nil {
		return err
	}
	parts, err = adoptKinds(tx, d.UID, parts, f)
	if err != nil || len(parts) == 0 {
		return err
	}
	intended := make([]inventory.Component, len(parts))
	for i, p := range parts {
		intended[i] = *p
	}
	return s.updateDeviations(tx, d, f.Source, inventory.Differences(intended, d, f))
}

// adoptKinds takes what was seen as what is intended, of each kind of part that the record lists none of: nobody has said anything about
// them yet, and what nobody said cannot be deviated from. What the agent sees of a kind goes before what the BMC does, because a BMC sees less.
func adoptKinds(tx inventory.Tx, device inventory.UID, parts []*inventory.Component, f inventory.Facts) ([]*inventory.Component, error) {
	if len(parts) == 0 && f.Source == inventory.SourceBMC {
		return nil, nil
	}
	listed := map[string]bool{}
	for _, c := range parts {
		listed[c.Kind] = true
	}
	for _, c := range inventory.Components(device, f) {
		if listed[c.Kind] {
			continue
		}
		if err := tx.Create(&c); err != nil {
			return nil, err
		}
		parts = append(parts, &c)
	}
	return parts, nil
}

// updateDeviations opens what is new, and resolves what is not there any more. A verdict that a person gave stays.
func (s *Service) updateDeviations(tx inventory.Tx, d *inventory.Device, source inventory.FactSource, now []inventory.Deviation) error {
	old, err := inventory.TxList[inventory.Deviation](tx, inventory.Query{
		Filters: []inventory.Filter{inventory.Is("device", d.UID), inventory.Is("source", source)}, Limit: inventory.MaxPage})
	if err != nil {
		return err
	}
	key := func(v inventory.Deviation) string { return v.Part + "\x00" + v.Field }
	open := map[string]*inventory.Deviation{}
	for _, v := range old {
		if v.Part != "identity" && v.ShipmentItem == "" && v.Verdict != "resolved" {
			open[key(*v)] = v
		}
	}
	for _, v := range now {
		was := open[key(v)]
		delete(open, key(v))
		switch {
		case was == nil:
			v.Device, v.Source, v.Verdict = d.UID, source, "open"
			if err := tx.Create(&v); err != nil {
				return err
			}
		case was.Observed != v.Observed || was.Intended != v.Intended:
			was.Observed, was.Intended, was.Verdict = v.Observed, v.Intended, "open"
			if err := tx.Update(was); err != nil {
				return err
			}
		}
	}
	for _, gone := range open {
		gone.Verdict = "resolved"
		if err := tx.Update(gone); err != nil {
			return err
		}
	}
	return nil
}

// seen copies the facts that lists show, and learns the machine's ports.
func seen(tx inventory.Tx, d *inventory.Device, f inventory.Facts) error {
	at := tx.Now()
	d.Manufacturer, d.Product, d.Serial = clip(f.System.Manufacturer, 100), clip(f.System.Product, 100), clip(f.System.Serial, 100)
	d.SystemUUID = orText(d.SystemUUID, clip(f.System.UUID, 60))
	d.Arch, d.BootMode, d.MemoryMiB, d.SeenAt = f.System.Arch, f.Firmware.BootMode, f.MemoryMiB, &at
	d.CPUCores, d.DiskBytes = 0, 0
	for _, c := range f.CPUs {
		d.CPUCores += c.Cores
	}
	for _, disk := range f.Disks {
		d.DiskBytes += disk.SizeBytes
	}
	return learnPorts(tx, d.UID, f.NICs)
}

func learnPorts(tx inventory.Tx, device inventory.UID, nics []inventory.NICFacts) error {
	ports, err := inventory.TxList[inventory.Interface](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("device", device)}, Limit: inventory.MaxPage})
	if err != nil {
		return err
	}
	for _, nic := range nics {
		if nic.MAC == "" {
			continue
		}
		if err := learnPort(tx, device, ports, nic); err != nil {
			return err
		}
	}
	return nil
}

func learnPort(tx inventory.Tx, device inventory.UID, ports []*inventory.Interface, nic inventory.NICFacts) error {
	for _, p := range ports {
		if p.MAC != nic.MAC {
			continue
		}
		before := *p
		if strings.HasPrefix(p.Name, provisionalPort) && nic.Name != "" {
			p.Name = nic.Name
		}
		p.Neighbor = orText(neighbor(nic.LLDP), p.Neighbor)
		p.BootFrom = p.BootFrom || nic.BootedFrom
		if *p == before {
			return nil
		}
		return tx.Update(p)
	}
	name := orText(nic.Name, provisionalPort+strings.ReplaceAll(nic.MAC, ":", ""))
	return tx.Create(&inventory.Interface{Device: device, Name: name, Kind: "physical", MAC: nic.MAC, Enabled: true, BootFrom: nic.BootedFrom, Neighbor: neighbor(nic.LLDP)})
}

func neighbor(n *inventory.NeighborFacts) string {
	if n == nil {
		return ""
	}
	return clip(fmt.Sprintf("%s %s", orText(n.SystemName, n.ChassisID), orText(n.PortID, n.PortDescription)), 200)
}

const (
	unknownPrefix   = "unknown-"
	provisionalPort = "port-"
)

// proposeName is what a machine is called until a person names it: by its serial if that says something, else by its address.
func proposeName(d *inventory.Device, f inventory.Facts) string {
	serial := strings.ToLower(f.System.Serial)
	if serial == "" || inventory.Junk(inventory.IDSystemSerial, f.System.Serial) {
		return "machine-" + strings.TrimPrefix(d.Name, unknownPrefix)
	}
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, serial)
	name = strings.Trim(clip(name, 40), "-…")
	if name == "" {
		return "machine-" + strings.TrimPrefix(d.Name, unknownPrefix)
	}
	return "machine-" + name + "-" + string(d.UID[:4])
}

// Verdict closes a deviation with a person's decision. take_observed changes the record to what was seen.
func (s *Service) verdict(tx inventory.Tx, req inventory.Request, v *inventory.Deviation, verdict, remark string) error {
	if v.Verdict == "resolved" {
		return &inventory.Conflict{Noun: "deviation", UID: v.UID, Why: "it is resolved already"}
	}
	if verdict == "keep_intended" && v.Part == "identity" {
		return s.sameMachine(tx, req, v, remark) // the question goes with the double
	}
	if verdict == "take_observed" && v.ShipmentItem != "" {
		if err := logistics.TakeObserved(tx, v); err != nil {
			return err
		}
	} else if verdict == "take_observed" && v.Part != "identity" {
		if err := s.takeObserved(tx, v); err != nil {
			return err
		}
	}
	v.Verdict, v.Note, v.By = verdict, clip(remark, 500), req.By.Name
	return tx.Update(v)
}

// takeObserved makes the record's parts of the kind concerned what was seen last.
func (s *Service) takeObserved(tx inventory.Tx, v *inventory.Deviation) error {
	f, err := newest(tx, v.Device, v.Source)
	if errors.Is(err, inventory.ErrNotFound) {
		return &inventory.Conflict{Noun: "deviation", UID: v.UID, Why: "what was observed is not there any more"}
	}
	if err != nil {
		return err
	}
	if v.Part == "system" {
		return takeSystem(tx, v, f)
	}
	parts, err := inventory.TxList[inventory.Component](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("device", v.Device)}, Limit: inventory.MaxPage})
	if err != nil {
		return err
	}
	return applyObserved(tx, v, parts, inventory.Components(v.Device, f))
}

// takeSystem accepts a new board as this machine's: until then nothing is written to a machine with another system UUID.
func takeSystem(tx inventory.Tx, v *inventory.Deviation, f inventory.Facts) error {
	d, err := inventory.TxGet[inventory.Device](tx, string(v.Device))
	if err != nil {
		return err
	}
	d.SystemUUID = inventory.NormalIdentity(inventory.IDSystemUUID, f.System.UUID)
	return tx.Update(d)
}

// applyObserved finds the part that the deviation is about on both sides: by serial, else by kind and slot.
func applyObserved(tx inventory.Tx, v *inventory.Deviation, intended []*inventory.Component, observed []inventory.Component) error {
	mine := func(c *inventory.Component) bool { return inventory.PartName(*c) == v.Part }
	i := slices.IndexFunc(intended, mine)
	o := slices.IndexFunc(observed, func(c inventory.Component) bool { return mine(&c) })
	switch {
	case i >= 0 && o >= 0:
		merged := observed[o]
		merged.Meta, merged.Asset, merged.DiskRole, merged.WrittenImage = intended[i].Meta, intended[i].Asset, intended[i].DiskRole, intended[i].WrittenImage
		// By what a disk that berth wrote is known again, and since when, is the record's own word.
		for _, own := range []string{tableUUID, writtenAt} {
			if text, ok := intended[i].Attributes[own]; ok {
				if merged.Attributes == nil {
					merged.Attributes = map[string]string{}
				}
				merged.Attributes[own] = text
			}
		}
		if merged.Serial != intended[i].Serial {
			// Another disk in the same bay is not the one that had the role.
			merged.DiskRole, merged.WrittenImage = "", ""
			delete(merged.Attributes, tableUUID)
			delete(merged.Attributes, writtenAt)
		}
		return tx.Update(&merged)
	case i >= 0:
		return tx.Delete(intended[i])
	case o >= 0:
		return tx.Create(&observed[o])
	}
	return &inventory.Conflict{Noun: "deviation", UID: v.UID, Why: "the part it is about is on neither side any more"}
}
