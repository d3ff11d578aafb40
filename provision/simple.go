package provision

import (
	"context"
	"fmt"
	"time"

	"berth/api"
	"berth/bmc"
	"berth/inventory"
	"berth/storage"
)

// The short sequences: inspect, release, power.

func (s *Service) inspect() *Sequence {
	steps := append(s.bringUp(),
		StepSpec{Name: "set-local-boot", Usually: "5 s", Deadline: 10 * time.Minute, Attempts: 5, Pause: 10 * time.Second, Do: s.toLocalDisk},
		StepSpec{Name: "reboot", Usually: "5 s", Deadline: 10 * time.Minute, Attempts: 2, Do: s.rebootIfAccepted},
	)
	return &Sequence{Kind: KindInspect, Deadline: 72 * time.Hour, Steps: steps}
}

// rebootIfAccepted sends an accepted machine back to its disk. One that nobody accepted takes no orders: its agent waits for a person,
// and reboots by itself.
func (s *Service) rebootIfAccepted(ctx context.Context, r *Run) error {
	d, err := s.device(ctx, r)
	if err != nil {
		return err
	}
	if !d.ProvisionState.Accepted() {
		return &Skip{Why: "the machine is not accepted; its agent waits for that, and reboots by itself after " + giveUpAfter.String()}
	}
	return s.order(api.VerbReboot, "the agent restarts the machine", s.left)(ctx, r)
}

func (s *Service) release() *Sequence {
	steps := append(s.bringUp(),
		StepSpec{Name: "clear-disks", Usually: "5 s", Deadline: 30 * time.Minute, Attempts: 3, Pause: 10 * time.Second,
			Do: s.agentStep("the agent clears the disks that berth wrote", s.clearAssignment, s.cleared)},
		StepSpec{Name: "set-local-boot", Usually: "5 s", Deadline: 10 * time.Minute, Attempts: 5, Pause: 10 * time.Second, Do: s.toLocalDisk},
		StepSpec{Name: "power-off", Usually: "10 s", Deadline: 10 * time.Minute, Attempts: 2, Do: s.order(api.VerbPowerOff, "the agent switches the machine off", s.left)},
		StepSpec{Name: "record-released", Deadline: 10 * time.Minute, Attempts: 5, Do: s.recordReleased},
	)
	for i := range steps {
		steps[i].Do = unlessKept(steps[i].Name, steps[i].Do)
	}
	return &Sequence{Kind: KindRelease, Deadline: 72 * time.Hour, Steps: steps, Failed: s.quarantine, Cancelled: s.cancelledDeploy}
}

// unlessKept skips everything but the record when the disks are to stay as they are.
func unlessKept(name string, do func(context.Context, *Run) error) func(context.Context, *Run) error {
	return func(ctx context.Context, r *Run) error {
		var o api.ReleaseRequest
		if err := r.Args(&o); err != nil {
			return err
		}
		if o.KeepDisks && name != "record-released" {
			return &Skip{Why: "the disks stay as they are"}
		}
		return do(ctx, r)
	}
}

// clearAssignment names the disks that berth wrote, and no others.
func (s *Service) clearAssignment(ctx context.Context, r *Run) (a api.Assignment, data agentData, err error) {
	a = api.Assignment{Verb: api.VerbClear, Clear: &api.ClearArgs{}}
	err = r.Commit(ctx, func(tx inventory.Tx) error {
		parts, err := disksOf(tx, r.Operation.Device)
		if err != nil {
			return err
		}
		a.Clear.Disks, a.Clear.Protect = nil, nil
		for _, c := range parts {
			ref := api.DiskRef{Serial: c.Serial, WWN: c.WWN, SizeBytes: c.SizeBytes}
			if c.WrittenImage == "" || c.DiskRole != string(storage.RoleRoot) {
				a.Clear.Protect = append(a.Clear.Protect, ref)
				continue
			}
			a.Clear.Disks = append(a.Clear.Disks, ref)
		}
		return nil
	})
	if err == nil && len(a.Clear.Disks) == 0 {
		err = &Skip{Why: "berth wrote no disk of this machine"}
	}
	return a, data, err
}

func (s *Service) cleared(r *Run, data agentData) error {
	refs := data.Assignment.Clear.Disks
	r.Say("%d disk(s) cleared", len(refs))
	r.Finish(func(tx inventory.Tx) error {
		parts, err := disksOf(tx, r.Operation.Device)
		if err != nil {
			return err
		}
		for _, c := range parts {
			for _, ref := range refs {
				if !(storage.Disk{Serial: ref.Serial, WWN: ref.WWN}).Same(storage.Disk{Serial: c.Serial, WWN: c.WWN}) {
					continue
				}
				c.WrittenImage = ""
				delete(c.Attributes, tableUUID)
				delete(c.Attributes, writtenAt)
				if err := tx.Update(c); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return nil
}

func (s *Service) recordReleased(_ context.Context, r *Run) error {
	r.Finish(func(tx inventory.Tx) error {
		d, err := inventory.TxGet[inventory.Device](tx, string(r.Operation.Device))
		if err != nil {
			return err
		}
		if err := d.Become(inventory.StateReady, ""); err != nil {
			return err
		}
		d.Image, d.HostKeys, d.Addresses = "", nil, nil
		return tx.Update(d)
	})
	return nil
}

func (s *Service) power() *Sequence {
	return &Sequence{Kind: KindPower, Deadline: 24 * time.Hour, Steps: []StepSpec{
		{Name: "power", Usually: "10 s", Deadline: 24 * time.Hour, Attempts: 2, Pause: 5 * time.Second, Do: s.switchPower},
	}}
}

func (s *Service) switchPower(ctx context.Context, r *Run) error {
	var args PowerArgs
	if err := r.Args(&args); err != nil {
		return err
	}
	d, err := s.device(ctx, r)
	if err != nil {
		return err
	}
	b, err := s.bmcRecord(ctx, d.UID)
	if err != nil {
		return err
	}
	switch {
	case controls(b), b != nil && b.Kind == bmc.KindWOL && args.Action == bmc.ActionOn:
		return s.commandPower(ctx, r, b, args.Action)
	}
	return s.askPerson(ctx, r, fmt.Sprintf("Press the button: power %s for %s.", args.Action, d.Name))
}
