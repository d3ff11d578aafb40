package provision

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"berth/inventory"
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
	if err := s.compare(tx, d, f); err != nil {
		return nil, err
	}
	if f.Source == inventory.SourceAgent {
		if err := seen(tx, d, f); err != nil {
			return nil, err
		}
	}
	return d, tx.Update(d)
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
	verdict := inventory.Match(inventory.Evidence(f), candidates)
	switch verdict.Kind {
	case inventory.MatchSame:
		known, err := inventory.TxGet[inventory.Device](tx, string(verdict.Device))
		if err != nil {
			return nil, err
		}
		return known, s.merge(tx, d, known, at, verdict)
	case inventory.MatchQuestion:
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

// merge gives the network card and the boot of an unknown machine to the one it was recognised as, and drops the double.
func (s *Service) merge(tx inventory.Tx, double, known *inventory.Device, at *inventory.BootAttempt, v inventory.Verdict) error {
	ports, err := inventory.TxList[inventory.Interface](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("device", double.UID)}, Limit: inventory.MaxPage})
	if err != nil {
		return err
	}
	for _, p := range ports {
		p.Device = known.UID
		if err := tx.Update(p); err != nil {
			return err
		}
	}
	if at != nil {
		at.Device = known.UID
		if err := tx.Update(at); err != nil {
			return err
		}
	}
	if err := moveWork(tx, double, known); err != nil {
		return err
	}
	if err := note(tx, inventory.Event{Device: known.UID, Source: "engine", Text: "recognised: " + v.Sentence()}); err != nil {
		return err
	}
	ids, err := inventory.TxList[inventory.Identifier](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("device", double.UID)}, Limit: inventory.MaxPage})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := tx.Delete(id); err != nil {
			return err
		}
	}
	return tx.Delete(double)
}

// moveWork hands what refers to the double over to the known device. An enrolment goes on with the known one if that is idle.
func moveWork(tx inventory.Tx, double, known *inventory.Device) error {
	for _, noun := range []string{"events", "boot-attempts", "operations", "observations"} {
		n, _ := inventory.NounOf(noun)
		for {
			page, err := tx.List(n, inventory.Query{Filters: []inventory.Filter{inventory.Is("device", double.UID)}, Limit: inventory.MaxPage})
			if err != nil {
				return err
			}
			if len(page.Items) == 0 {
				break
			}
			field, _ := n.Field("device")
			for _, item := range page.Items {
				field.Set(item, known.UID)
				if err := tx.Update(item); err != nil {
					return err
				}
			}
		}
	}
	if known.Operation == "" {
		known.Operation = double.Operation
	}
	double.Operation = ""
	return nil
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
		if v.Part != "identity" && v.Verdict != "resolved" {
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
	if verdict == "take_observed" && v.Part != "identity" {
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
	parts, err := inventory.TxList[inventory.Component](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("device", v.Device)}, Limit: inventory.MaxPage})
	if err != nil {
		return err
	}
	return applyObserved(tx, v, parts, inventory.Components(v.Device, f))
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
		if merged.Serial != intended[i].Serial {
			// Another disk in the same bay is not the one that had the role.
			merged.DiskRole, merged.WrittenImage = "", ""
		}
		return tx.Update(&merged)
	case i >= 0:
		return tx.Delete(intended[i])
	case o >= 0:
		return tx.Create(&observed[o])
	}
	return &inventory.Conflict{Noun: "deviation", UID: v.UID, Why: "the part it is about is on neither side any more"}
}
