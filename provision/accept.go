package provision

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"berth/api"
	"berth/inventory"
	"berth/inventory/finance"
	"berth/inventory/logistics"
)

// Accept says that a discovered machine is ours to work on: from here on it may be written to. It gets its name, its asset and its parts.
func (s *Service) Accept(ctx context.Context, req inventory.Request, machine string, o api.AcceptRequest) (d *inventory.Device, err error) {
	if o.Why != "" {
		req.Why = o.Why
	}
	err = s.Ledger.Edit(ctx, req, func(tx inventory.Tx) error {
		d, err = s.machine(tx, machine)
		if err != nil {
			return err
		}
		if err := inState(d, "accept", []inventory.State{inventory.StateDiscovered, inventory.StateRetired}); err != nil {
			return err
		}
		if err := place(tx, d, o); err != nil {
			return err
		}
		if err := d.Become(inventory.StateReady, ""); err != nil {
			return err
		}
		facts, err := newest(tx, d.UID, inventory.SourceAgent)
		if err != nil && !errors.Is(err, inventory.ErrNotFound) {
			return err
		}
		if err := s.ownAsset(tx, d, o, facts); err != nil {
			return err
		}
		// The line of the packing list first: it is held against what the record knew before this look.
		if err := logistics.Verify(tx, req.By.Name, d, facts); err != nil {
			return err
		}
		if err := s.compare(tx, d, facts); err != nil {
			return err
		}
		d.Status = "staged"
		if err := tx.Update(d); err != nil {
			return err
		}
		return note(tx, inventory.Event{Device: d.UID, Source: "person", Text: fmt.Sprintf("accepted by %s as %s", req.By.Name, d.Name)})
	})
	if err == nil {
		s.hub.poke(d.UID)
	}
	return d, err
}

// place gives a machine the name and the place a person chose.
func place(tx inventory.Tx, d *inventory.Device, o api.AcceptRequest) error {
	d.Name = orText(o.Name, d.Name)
	if o.Profile != "" {
		p, err := inventory.TxGet[inventory.Profile](tx, o.Profile)
		if errors.Is(err, inventory.ErrNotFound) {
			return inventory.NotAllowed("machine", "profile", "there is no profile %q", clip(o.Profile, 80))
		}
		if err != nil {
			return err
		}
		d.Profile = p.UID
	}
	if o.Rack == "" {
		return nil
	}
	rack, err := inventory.TxGet[inventory.Rack](tx, o.Rack)
	if errors.Is(err, inventory.ErrNotFound) {
		return inventory.NotAllowed("machine", "rack", "there is no rack %q", clip(o.Rack, 80))
	}
	if err != nil {
		return err
	}
	d.Rack, d.Site, d.Location, d.Position, d.Face = rack.UID, rack.Site, rack.Location, o.Position, o.Face
	return nil
}

// NewAsset stands for an asset in AcceptRequest where the machine is none of those on record, whatever is proposed.
const NewAsset = "-"

// ownAsset joins the machine to its asset: the one that was named, or a new one made from what the machine says of itself.
func (s *Service) ownAsset(tx inventory.Tx, d *inventory.Device, o api.AcceptRequest, f inventory.Facts) error {
	if o.Asset == NewAsset {
		d.Asset = ""
	} else if o.Asset != "" {
		a, err := inventory.TxGet[inventory.Asset](tx, o.Asset)
		if errors.Is(err, inventory.ErrNotFound) {
			return inventory.NotAllowed("machine", "asset", "there is no asset %q", clip(o.Asset, 80))
		}
		if err != nil {
			return err
		}
		d.Asset = a.UID
	}
	if o.Acquisition != "" {
		return takeIn(tx, d, o, f)
	}
	if d.Asset != "" {
		return nil
	}
	return newAsset(tx, d, f, nil)
}

// takeIn joins a machine to the acquisition it came by: as the asset it has, as the one that was announced, or as a new one.
func takeIn(tx inventory.Tx, d *inventory.Device, o api.AcceptRequest, f inventory.Facts) error {
	acquisition, err := inventory.TxGet[inventory.Acquisition](tx, o.Acquisition)
	if errors.Is(err, inventory.ErrNotFound) {
		return inventory.NotAllowed("machine", "acquisition", "there is no acquisition %q", clip(o.Acquisition, 80))
	}
	if err != nil {
		return err
	}
	var a *inventory.Asset
	switch {
	case d.Asset != "":
		a, err = inventory.TxGet[inventory.Asset](tx, string(d.Asset))
	case o.Asset != NewAsset:
		a, err = finance.TakeIn(tx, acquisition, f.System.Serial, f.System.Product)
	}
	if err != nil {
		return err
	}
	if a == nil {
		return newAsset(tx, d, f, acquisition)
	}
	d.Asset = a.UID
	a.Serial, a.SystemUUID = orText(a.Serial, clip(f.System.Serial, 100)), orText(a.SystemUUID, clip(f.System.UUID, 60))
	finance.Arrived(a, acquisition)
	a.Custody, a.Site, a.Location = "installed", d.Site, d.Location
	return tx.Update(a)
}

// newAsset makes an asset of what the machine says of itself; acquisition is how it came, nil when nobody said.
func newAsset(tx inventory.Tx, d *inventory.Device, f inventory.Facts, acquisition *inventory.Acquisition) error {
	a := &inventory.Asset{AssetTag: logistics.MadeTag(d.UID), Kind: "device", Name: d.Name, Serial: clip(f.System.Serial, 100),
		SystemUUID: clip(f.System.UUID, 60), Custody: "installed", Condition: "unknown", Site: d.Site, Location: d.Location}
	if acquisition != nil {
		finance.Arrived(a, acquisition)
	}
	if err := tx.Create(a); err != nil {
		return err
	}
	d.Asset = a.UID
	return nil
}

// Adopt takes in a machine that already runs, without a boot: it is foreign, and only ever offered its local disk. Adopting a machine
// on record leaves it what it is but for that.
func (s *Service) Adopt(ctx context.Context, req inventory.Request, o api.AdoptRequest) (d *inventory.Device, err error) {
	if o.Why != "" {
		req.Why = o.Why
	}
	err = s.Ledger.Edit(ctx, req, func(tx inventory.Tx) error {
		d, err = s.adoptee(tx, o)
		if err != nil {
			return err
		}
		if d.Operation != "" {
			return s.busy(tx, d)
		}
		d.SystemUUID = orText(inventory.NormalIdentity(inventory.IDSystemUUID, o.SystemUUID), d.SystemUUID)
		if err := d.Become(inventory.StateForeign, "it ran before berth came"); err != nil {
			return err
		}
		d.NetbootOffer, d.OfferedUntil = false, nil
		if err := adoptEvidence(tx, d, o); err != nil {
			return err
		}
		if o.Facts != nil {
			facts := *o.Facts
			facts.Source, facts.ObservedAt = inventory.SourceSystem, tx.Now()
			if d, err = s.observe(tx, d, nil, facts); err != nil {
				return err
			}
			if err := seen(tx, d, facts); err != nil {
				return err
			}
		}
		if err := tx.Update(d); err != nil {
			return err
		}
		return note(tx, inventory.Event{Device: d.UID, Source: "person", Text: fmt.Sprintf("adopted by %s: it runs what berth did not write", req.By.Name)})
	})
	return d, err
}

// adoptee finds the device on record by its name, by its addresses, or by what was seen on it, or makes one. What is called by another
// name on record gets the new one.
func (s *Service) adoptee(tx inventory.Tx, o api.AdoptRequest) (*inventory.Device, error) {
	d, err := inventory.TxGet[inventory.Device](tx, o.Name)
	if err == nil || !errors.Is(err, inventory.ErrNotFound) {
		return d, err
	}
	uid, err := s.recordOf(tx, o)
	if err != nil {
		return nil, err
	}
	if uid != "" {
		d, err := inventory.TxGet[inventory.Device](tx, string(uid))
		if err == nil {
			d.Name = orText(o.Name, d.Name)
		}
		return d, err
	}
	if o.Name == "" {
		return nil, inventory.NotAllowed("machine", "name", "a machine that berth has not seen needs a name")
	}
	d = &inventory.Device{Name: o.Name, Status: "active"}
	return d, tx.Create(d)
}

// recordOf finds the device that a machine to be adopted is on record as; empty when it is new. Errors: *inventory.Conflict in doubt.
func (s *Service) recordOf(tx inventory.Tx, o api.AdoptRequest) (inventory.UID, error) {
	for _, mac := range o.MACs {
		port, err := one[inventory.Interface](tx, inventory.Is("mac", inventory.NormalIdentity(inventory.IDNICMAC, mac)))
		if err == nil {
			return port.Device, nil
		}
		if !errors.Is(err, inventory.ErrNotFound) {
			return "", err
		}
	}
	if o.Facts == nil {
		return "", nil
	}
	candidates, err := candidatesFor(tx, "", *o.Facts)
	if err != nil {
		return "", err
	}
	verdict := inventory.Match(inventory.Evidence(*o.Facts), candidates)
	if verdict.Kind != inventory.MatchQuestion {
		return verdict.Device, nil
	}
	best := "a machine on record"
	if d, err := inventory.TxGet[inventory.Device](tx, string(verdict.Device)); err == nil {
		best = d.Name
	}
	return "", &inventory.Conflict{Noun: "machine", UID: verdict.Device,
		Why: fmt.Sprintf("%s (%s). Adopt it under that name if it is, or without the facts if it is not", verdict.Sentence(), best)}
}

func adoptEvidence(tx inventory.Tx, d *inventory.Device, o api.AdoptRequest) error {
	f := inventory.Facts{}
	f.System.UUID = o.SystemUUID
	for _, mac := range o.MACs {
		f.NICs = append(f.NICs, inventory.NICFacts{MAC: inventory.NormalIdentity(inventory.IDNICMAC, mac)})
	}
	if err := learnPorts(tx, d.UID, f.NICs); err != nil {
		return err
	}
	if err := learnIdentity(tx, d.UID, f); err != nil {
		return err
	}
	if o.BMC == nil {
		return nil
	}
	b := &inventory.BMC{Device: d.UID}
	have, err := inventory.TxList[inventory.BMC](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("device", d.UID)}, Limit: 1})
	if err != nil {
		return err
	}
	if len(have) > 0 {
		b = have[0]
	}
	b.Kind, b.Address, b.Username, b.Password = o.BMC.Kind, o.BMC.Address, o.BMC.Username, o.BMC.Password
	if len(have) > 0 {
		return tx.Update(b)
	}
	return tx.Create(b)
}

// Clear leads a machine out of quarantine, into the state in which a person found it.
func (s *Service) Clear(ctx context.Context, req inventory.Request, machine string, to inventory.State, why string) (*inventory.Device, error) {
	if why == "" {
		return nil, inventory.NotAllowed("machine", "why", "say what was found, so that the next one knows")
	}
	return s.become(ctx, req, machine, "clear", to, why, inventory.StateQuarantined)
}

// Retire ends a machine's service. Its record stays for ever.
func (s *Service) Retire(ctx context.Context, req inventory.Request, machine string) (*inventory.Device, error) {
	return s.become(ctx, req, machine, "retire", inventory.StateRetired, req.Why, inventory.States...)
}

func (s *Service) become(ctx context.Context, req inventory.Request, machine, what string, to inventory.State, why string, from ...inventory.State) (d *inventory.Device, err error) {
	req.Why = why
	err = s.Ledger.Edit(ctx, req, func(tx inventory.Tx) error {
		if d, err = s.machine(tx, machine); err != nil {
			return err
		}
		if err := inState(d, what, from); err != nil {
			return err
		}
		if d.Operation != "" {
			return s.busy(tx, d)
		}
		if err := d.Become(to, why); err != nil {
			return err
		}
		if to == inventory.StateRetired {
			d.Status = "decommissioning"
		}
		if err := tx.Update(d); err != nil {
			return err
		}
		text := strings.TrimSuffix(fmt.Sprintf("%s by %s: now %s; %s", what, req.By.Name, to, why), "; ")
		return note(tx, inventory.Event{Device: d.UID, Source: "person", Text: text})
	})
	return d, err
}

// Verdict decides a deviation: take_observed, keep_intended, task or ignore.
func (s *Service) Verdict(ctx context.Context, req inventory.Request, deviation, verdict, remark string) error {
	switch verdict {
	case "take_observed", "keep_intended", "task", "ignore":
	default:
		return inventory.NotAllowed("deviation", "verdict", "it is one of take_observed, keep_intended, task, ignore")
	}
	return s.Ledger.Edit(ctx, req, func(tx inventory.Tx) error {
		v, err := inventory.TxGet[inventory.Deviation](tx, deviation)
		if err != nil {
			return err
		}
		return s.verdict(tx, req, v, verdict, remark)
	})
}
