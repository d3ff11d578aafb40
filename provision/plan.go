package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"berth/api"
	"berth/inventory"
	"berth/storage"
)

// deployPlan is what a deploy or reimage would do.
type deployPlan struct {
	Machine *inventory.Device
	Image   *inventory.Image
	Profile *inventory.Profile // nil when there is none
	Disk    storage.Plan
	// TargetContents is what the target carries, as the agent reported it.
	TargetContents []inventory.ContentFact
}

// Plan tells what a deploy or reimage would do. A refusal of the disk plan is part of the answer; other errors are returned.
func (s *Service) Plan(ctx context.Context, machine string, o DeployOptions) (*api.DeployPlan, error) {
	var out *api.DeployPlan
	err := s.Ledger.Edit(ctx, inventory.NewRequest(inventory.Berth, ""), func(tx inventory.Tx) error {
		d, err := s.machine(tx, machine)
		if err != nil {
			return err
		}
		plan, err := s.plan(tx, d, o)
		var refusal *storage.Refusal
		if plan == nil || err != nil && !errors.As(err, &refusal) {
			return err
		}
		out = plan.show(refusal)
		return nil
	})
	return out, err
}

// show is the plan as people and programs are shown it.
func (p *deployPlan) show(refusal *storage.Refusal) *api.DeployPlan {
	out := &api.DeployPlan{
		Machine: p.Machine.Name, MachineUID: p.Machine.UID, Image: p.Image.Name, ImageUID: p.Image.UID, ImageDigest: p.Image.Digest,
		Kept: []api.KeptDisk{}, Destroyed: []string{}, NeedsConsent: []string{}, Refusals: []string{}, Serials: []string{},
	}
	if p.Profile != nil {
		out.Profile = p.Profile.Slug
	}
	if !p.Image.Verified {
		out.Notes = append(out.Notes, "the image was imported without a digest to check it by; only an admin may deploy it")
	}
	if refusal != nil {
		out.Refusals = append(out.Refusals, refusal.Sentence)
		return out
	}
	target := p.Disk.Target.Disk
	out.Disk, out.Digest, out.Serials = &target, p.Disk.Digest(), p.Disk.Serials()
	out.Destroyed = append(out.Destroyed, p.Disk.Destroyed...)
	out.NeedsConsent = append(out.NeedsConsent, p.Disk.ConsentReasons...)
	if p.Disk.Proposed {
		out.Notes = append(out.Notes, fmt.Sprintf("nobody bound the role root; %s is the only disk that could be meant", target.Name()))
	}
	if p.Disk.Ours {
		out.Notes = append(out.Notes, "berth wrote this disk before")
	}
	for _, k := range p.Disk.Kept {
		out.Kept = append(out.Kept, api.KeptDisk{Disk: k.Disk, Role: k.Role, Contents: k.Content.Sentences()})
	}
	return out
}

// plan makes the disk plan from the record and the newest report of an agent.
func (s *Service) plan(tx inventory.Tx, d *inventory.Device, o DeployOptions) (*deployPlan, error) {
	p := &deployPlan{Machine: d}
	var err error
	if p.Profile, err = s.profile(tx, d, o.Profile); err != nil {
		return nil, err
	}
	if p.Image, err = s.image(tx, o.Image, p.Profile); err != nil {
		return nil, err
	}
	if err := fits(p.Image, d); err != nil {
		return nil, err
	}
	facts, err := newest(tx, d.UID, inventory.SourceAgent)
	if errors.Is(err, inventory.ErrNotFound) {
		return nil, &inventory.Conflict{Noun: "machine", UID: d.UID, Why: fmt.Sprintf("no agent has looked at the disks of %s yet; inspect it first", d.Name)}
	}
	if err != nil {
		return nil, err
	}
	request, err := diskRequest(tx, d, p.Image, facts, o.Disk)
	if err != nil {
		return nil, err
	}
	p.Disk, err = storage.NewPlan(request)
	if err != nil {
		return p, err
	}
	p.TargetContents = contentsOf(facts, p.Disk.Target.Disk)
	return p, nil
}

func (s *Service) profile(tx inventory.Tx, d *inventory.Device, ref string) (*inventory.Profile, error) {
	if ref == "" {
		ref = string(d.Profile)
	}
	if ref == "" && d.Site != "" {
		if site, err := inventory.TxGet[inventory.Site](tx, string(d.Site)); err == nil {
			ref = string(site.DefaultProfile)
		}
	}
	if ref == "" {
		return nil, nil
	}
	p, err := inventory.TxGet[inventory.Profile](tx, ref)
	if errors.Is(err, inventory.ErrNotFound) {
		return nil, inventory.NotAllowed("machine", "profile", "there is no profile %q", clip(ref, 80))
	}
	return p, err
}

func (s *Service) image(tx inventory.Tx, ref string, p *inventory.Profile) (*inventory.Image, error) {
	if ref == "" && p != nil {
		ref = string(p.Image)
	}
	if ref == "" {
		return nil, inventory.NotAllowed("machine", "image", "choose an image: neither the request nor the profile names one")
	}
	img, err := inventory.TxGet[inventory.Image](tx, ref)
	if errors.Is(err, inventory.ErrNotFound) {
		return nil, inventory.NotAllowed("machine", "image", "there is no image %q", clip(ref, 80))
	}
	if err != nil {
		return nil, err
	}
	if img.State != "ready" {
		return nil, &inventory.Conflict{Noun: "image", UID: img.UID, Why: fmt.Sprintf("%s is %s and cannot be deployed: %s", img.Name, img.State, img.Problem)}
	}
	if _, err := s.Images.Stat(img.Digest); err != nil {
		return nil, &inventory.Conflict{Noun: "image", UID: img.UID, Why: fmt.Sprintf("the bytes of %s are not here: %v", img.Name, err)}
	}
	return img, nil
}

// fits refuses an image that the machine's processor or firmware cannot start. What is not known is not held against it.
func fits(img *inventory.Image, d *inventory.Device) error {
	switch {
	case img.Arch != "" && d.Arch != "" && img.Arch != d.Arch:
		return &inventory.Conflict{Noun: "image", UID: img.UID, Why: fmt.Sprintf("%s is for %s, and %s is %s", img.Name, img.Arch, d.Name, d.Arch)}
	case len(img.BootModes) > 0 && d.BootMode != "" && !slices.Contains(img.BootModes, d.BootMode):
		return &inventory.Conflict{Noun: "image", UID: img.UID, Why: fmt.Sprintf("%s starts by %s, and %s by %s", img.Name, strings.Join(img.BootModes, " or "), d.Name, d.BootMode)}
	}
	return nil
}

// diskRequest brings together what was seen on the machine and what the record says its disks are for.
func diskRequest(tx inventory.Tx, d *inventory.Device, img *inventory.Image, f inventory.Facts, disk string) (storage.Request, error) {
	r := storage.Request{Machine: d.Name, Image: storage.Image{Digest: img.Digest, Size: img.SizeBytes}, Seed: true}
	for _, seen := range f.Disks {
		r.Disks = append(r.Disks, observedDisk(seen))
	}
	parts, err := disksOf(tx, d.UID)
	if err != nil {
		return r, err
	}
	for _, c := range parts {
		chosen := disk != "" && (storage.NormalizeSerial(disk) == storage.NormalizeSerial(c.Serial) || storage.NormalizeWWN(disk) == storage.NormalizeWWN(c.WWN))
		role := storage.Role(c.DiskRole)
		if disk != "" && role == storage.RoleRoot && !chosen {
			role = "" // another disk was chosen for this deploy
		}
		if role != "" {
			r.Bindings = append(r.Bindings, storage.Binding{Role: role, Serial: c.Serial, WWN: c.WWN})
		}
		if c.WrittenImage != "" {
			written := storage.Written{Serial: c.Serial, WWN: c.WWN, TableUUID: c.Attributes[tableUUID]}
			if writtenSince(c, f.ObservedAt) {
				// The table that was seen is the one from before our write. The next report is held against ours before anything is written.
				written.TableUUID = ""
			}
			r.Written = append(r.Written, written)
		}
	}
	if disk != "" {
		r.Bindings = append(r.Bindings, chosenDisk(disk))
	}
	return r, nil
}

// chosenDisk binds the role root to what a person wrote: a WWN has its kind in front, all else is a serial.
func chosenDisk(disk string) storage.Binding {
	for _, kind := range []string{"naa.", "eui.", "uuid.", "nvme."} {
		if len(disk) > len(kind) && disk[:len(kind)] == kind {
			return storage.Binding{Role: storage.RoleRoot, WWN: disk}
		}
	}
	return storage.Binding{Role: storage.RoleRoot, Serial: disk}
}

// disksOf lists the disks that the record says are in a device.
func disksOf(tx inventory.Tx, device inventory.UID) ([]*inventory.Component, error) {
	return inventory.TxList[inventory.Component](tx, inventory.Query{
		Filters: []inventory.Filter{inventory.Is("device", device), inventory.Is("kind", "disk")}, Limit: inventory.MaxPage,
	})
}

// observedDisk turns what an agent reported into what a plan is made from. Nothing may be lost on the way that protects a disk.
func observedDisk(f inventory.DiskFacts) storage.Observed {
	transport, err := storage.ParseTransport(f.Transport)
	if err != nil {
		transport = ""
	}
	o := storage.Observed{
		Disk: storage.Disk{Serial: f.Serial, WWN: f.WWN, Size: f.SizeBytes, BlockSize: f.LogicalBlockBytes, Model: f.Model,
			Transport: transport, Rotational: f.Rotational, Path: f.Name},
		ReadOnly: f.ReadOnly, Removable: f.Removable,
	}
	if !f.ContentRead {
		o.Content.Incomplete = "the disk was not looked at to the end"
	}
	for _, c := range f.Contents {
		kind, err := storage.ParseKind(c.Kind)
		if err != nil {
			kind = storage.KindUnknown // a kind that this version does not know is somebody's data
		}
		finding := storage.Finding{Kind: kind, Type: c.Type, Label: c.Label, UUID: c.UUID, Partition: c.Partition, Partitions: c.Partitions, Offset: c.Offset}
		if c.OSD != nil {
			finding.OSD = &storage.OSD{FSID: c.OSD.FSID, ID: c.OSD.ID, Cluster: c.OSD.Cluster}
		}
		o.Content.Findings = append(o.Content.Findings, finding)
	}
	return o
}

func contentsOf(f inventory.Facts, d storage.Disk) []inventory.ContentFact {
	for _, seen := range f.Disks {
		if d.Same(storage.Disk{Serial: seen.Serial, WWN: seen.WWN}) || len(f.Disks) == 1 {
			return seen.Contents
		}
	}
	return nil
}

// newest is what a source saw last of a device. Errors: inventory.ErrNotFound.
func newest(tx inventory.Tx, device inventory.UID, source inventory.FactSource) (inventory.Facts, error) {
	list, err := inventory.TxList[inventory.Observation](tx, lastSeen(device, source))
	if err != nil {
		return inventory.Facts{}, err
	}
	if len(list) == 0 {
		return inventory.Facts{}, inventory.ErrNotFound
	}
	return list[0].Facts, nil
}

func lastSeen(device inventory.UID, source inventory.FactSource) inventory.Query {
	return inventory.Query{Filters: []inventory.Filter{inventory.Is("device", device), inventory.Is("source", source)}, Sort: "-created_at", Limit: 1}
}

func (s *Service) observation(ctx context.Context, device inventory.UID, source inventory.FactSource) (*inventory.Observation, error) {
	list, err := inventory.List[inventory.Observation](ctx, s.Ledger, lastSeen(device, source))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, inventory.ErrNotFound
	}
	return list[0], nil
}
