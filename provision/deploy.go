package provision

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"berth/api"
	"berth/inventory"
	"berth/storage"
)

// DeployOptions choose what is written, and where.
type DeployOptions = api.DeployRequest

// deployArgs is what a deploy is bound to from its first moment.
type deployArgs struct {
	Image    inventory.UID    `json:"image"`
	Profile  inventory.UID    `json:"profile,omitempty"`
	Digest   string           `json:"digest"`
	Serial   string           `json:"serial,omitempty"`
	WWN      string           `json:"wwn,omitempty"`
	Consent  *storage.Consent `json:"consent,omitempty"`
	NoReport bool             `json:"no_report,omitempty"`
}

// Deploy writes an image to a machine that has nothing of ours on it.
func (s *Service) Deploy(ctx context.Context, req inventory.Request, machine string, o DeployOptions) (*inventory.Operation, error) {
	return s.install(ctx, req, machine, KindDeploy, o, inventory.StateReady)
}

// Reimage writes an image to a machine that is in service, or was.
func (s *Service) Reimage(ctx context.Context, req inventory.Request, machine string, o DeployOptions) (*inventory.Operation, error) {
	return s.install(ctx, req, machine, KindReimage, o,
		inventory.StateDeployed, inventory.StateForeign, inventory.StateQuarantined, inventory.StateReady)
}

func (s *Service) install(ctx context.Context, req inventory.Request, machine, kind string, o DeployOptions, states ...inventory.State) (op *inventory.Operation, err error) {
	if o.Why != "" {
		req.Why = o.Why
	}
	err = s.Ledger.Edit(ctx, req, func(tx inventory.Tx) error {
		d, err := s.machine(tx, machine)
		if err != nil {
			return err
		}
		if err := inState(d, kind, states); err != nil {
			return err
		}
		plan, err := s.plan(tx, d, o)
		if err != nil {
			return err
		}
		if !plan.Image.Verified && !req.By.Level.Includes(inventory.LevelAdmin) {
			return &inventory.Conflict{Noun: "image", UID: plan.Image.UID, Why: plan.Image.Name + " was imported without a digest to check it by; only an admin may deploy it"}
		}
		if err := plan.Disk.Authorize(o.Consent); err != nil {
			return err
		}
		// What cannot be rendered is refused now, and not when the machine has been shut down for it.
		if _, err := s.seed(tx, d, plan, "", ""); err != nil {
			return err
		}
		if err := bindRoot(tx, d.UID, plan.Disk.Target.Disk); err != nil {
			return err
		}
		args := deployArgs{Image: plan.Image.UID, Digest: plan.Image.Digest, Serial: plan.Disk.Target.Serial, WWN: plan.Disk.Target.WWN, Consent: o.Consent, NoReport: o.NoReport}
		if plan.Profile != nil {
			args.Profile = plan.Profile.UID
		}
		op, err = s.start(tx, req, d, kind, args)
		return err
	})
	return op, err
}

// bindRoot writes down which disk the role root is bound to: by deploying, a person confirms the choice.
func bindRoot(tx inventory.Tx, device inventory.UID, disk storage.Disk) error {
	parts, err := disksOf(tx, device)
	if err != nil {
		return err
	}
	for _, c := range parts {
		role, root := c.DiskRole, string(storage.RoleRoot)
		switch {
		case disk.Same(storage.Disk{Serial: c.Serial, WWN: c.WWN}):
			c.DiskRole = root
		case c.DiskRole == root:
			c.DiskRole = "" // another disk was chosen; nothing is written to one without a role
		}
		if c.DiskRole == role {
			continue
		}
		if err := tx.Update(c); err != nil {
			return err
		}
	}
	return nil
}

// deploy is the sequence of both, since a reimage is a deploy that knows what was there.
func (s *Service) deploy(kind string) *Sequence {
	steps := s.bringUp()
	steps = append(steps,
		StepSpec{Name: "write-image", Usually: "1 to 10 minutes", Deadline: 3 * time.Hour, Attempts: 3, Pause: 10 * time.Second,
			Do: s.agentStep("the agent writes the image and reads it back", s.writeAssignment, s.imageWritten)},
		StepSpec{Name: "set-local-boot", Usually: "5 s", Deadline: 10 * time.Minute, Attempts: 5, Pause: 10 * time.Second, Do: s.toLocalDisk},
		StepSpec{Name: "reboot", Usually: "5 s", Deadline: 10 * time.Minute, Attempts: 2, Do: s.rebootIntoSystem},
		StepSpec{Name: "await-system", Usually: "2 to 5 minutes", Deadline: 40 * time.Minute, Do: s.awaitSystem},
		StepSpec{Name: "record-deployed", Deadline: 10 * time.Minute, Attempts: 5, Do: s.recordDeployed},
	)
	return &Sequence{Kind: kind, Deadline: 72 * time.Hour, Steps: steps, Failed: s.quarantine, Cancelled: s.cancelledDeploy}
}

// writeAssignment makes the plan again from what the agent has just reported: the second of the three times it is checked.
func (s *Service) writeAssignment(ctx context.Context, r *Run) (a api.Assignment, data agentData, err error) {
	var args deployArgs
	if err := r.Args(&args); err != nil {
		return a, data, err
	}
	token := newToken()
	err = r.Commit(ctx, func(tx inventory.Tx) error {
		d, err := inventory.TxGet[inventory.Device](tx, string(r.Operation.Device))
		if err != nil {
			return err
		}
		plan, err := s.plan(tx, d, DeployOptions{Image: string(args.Image), Profile: string(args.Profile)})
		if err != nil {
			return planProblem(err)
		}
		if !plan.Disk.Target.Same(storage.Disk{Serial: args.Serial, WWN: args.WWN}) && (args.Serial != "" || args.WWN != "") {
			return permanentf("the plan would now write %s, and not the disk that was agreed on (%s)", plan.Disk.Target.Disk, orText(args.Serial, args.WWN))
		}
		if plan.Image.Digest != args.Digest {
			return permanentf("image %s has changed since the operation was asked for", plan.Image.Name)
		}
		if err := plan.Disk.Authorize(args.Consent); err != nil {
			return planProblem(err)
		}
		seed, err := s.seed(tx, d, plan, r.Operation.UID, token)
		if err != nil {
			return Permanent(err)
		}
		a.Verb, a.Write = api.VerbWrite, s.writeArgs(plan, seed)
		data.BootToken = hashOf(token)
		return expectBoot(tx, d.UID, r.Operation.UID, data.BootToken)
	})
	return a, data, err
}

func orText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// planProblem makes a refusal final: the same plan is refused again.
func planProblem(err error) error {
	var refusal *storage.Refusal
	if errors.As(err, &refusal) {
		return Permanent(err)
	}
	return err
}

// expectBoot opens a boot attempt for the system that will report with this token. An older one of the same operation is closed.
func expectBoot(tx inventory.Tx, device, op inventory.UID, token string) error {
	old, err := inventory.TxList[inventory.BootAttempt](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("operation", op)}, Limit: inventory.MaxPage})
	if err != nil {
		return err
	}
	for _, at := range old {
		if at.Offered != "local" || at.TokenHash == "" {
			continue
		}
		at.TokenHash, at.Sentence = "", "the image was written once more before this boot"
		if err := tx.Update(at); err != nil {
			return err
		}
	}
	return tx.Create(&inventory.BootAttempt{Device: device, Operation: op, Offered: "local", TokenHash: token,
		Sentence: "waiting for the installed system to report"})
}

// newToken makes a one-time token of 160 bits.
func newToken() string {
	b := make([]byte, 20)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}

func (s *Service) writeArgs(p *deployPlan, seed *api.Seed) *api.WriteArgs {
	w := &api.WriteArgs{
		Disk:     diskRef(p.Disk.Target.Disk),
		Ours:     p.Disk.Ours,
		ImageURL: strings.TrimSuffix(s.bootURL(), "/") + "/" + strings.TrimPrefix(s.Images.Path(p.Image.Digest), "/"),
		TreeHash: p.Image.TreeHash, Digest: p.Image.Digest, SizeBytes: p.Image.SizeBytes, Seed: seed,
	}
	for _, k := range p.Disk.Kept {
		w.Protect = append(w.Protect, diskRef(k.Disk))
	}
	if p.Disk.NeedsConsent() {
		w.Consent = p.TargetContents
	}
	return w
}

func diskRef(d storage.Disk) api.DiskRef {
	return api.DiskRef{Serial: d.Serial, WWN: d.WWN, SizeBytes: d.Size}
}

// imageWritten keeps the proof of the write. From here on the disk is ours.
func (s *Service) imageWritten(r *Run, data agentData) error {
	w := data.Result.Write
	var args deployArgs
	if err := r.Args(&args); err != nil {
		return err
	}
	if w == nil || w.Digest != args.Digest {
		return permanentf("the agent's proof of the write does not name the image's digest")
	}
	r.Say("image written to disk %s and read back: %s in %.0f s, digest %s", orText(w.Disk.Serial, w.Disk.WWN), storage.FormatSize(w.WrittenBytes), w.Seconds, w.Digest)
	r.Finish(func(tx inventory.Tx) error {
		return writtenDisk(tx, r.Operation.Device, storage.Disk{Serial: w.Disk.Serial, WWN: w.Disk.WWN}, w.Digest, w.TableUUID)
	})
	return nil
}

// The attributes of a disk that berth wrote: by what it is known again, and since when. What an agent saw before then is of no account.
const (
	tableUUID = "table_uuid"
	writtenAt = "written_at"
)

// writtenSince tells whether berth wrote a disk after an agent had looked at it.
func writtenSince(c *inventory.Component, seen time.Time) bool {
	at, err := time.Parse(time.RFC3339Nano, c.Attributes[writtenAt])
	return err == nil && at.After(seen)
}

func writtenDisk(tx inventory.Tx, device inventory.UID, disk storage.Disk, digest, table string) error {
	parts, err := disksOf(tx, device)
	if err != nil {
		return err
	}
	for _, c := range parts {
		if len(parts) > 1 && !disk.Same(storage.Disk{Serial: c.Serial, WWN: c.WWN}) {
			continue
		}
		c.WrittenImage = digest
		if c.Attributes == nil {
			c.Attributes = map[string]string{}
		}
		c.Attributes[tableUUID], c.Attributes[writtenAt] = table, tx.Now().UTC().Format(time.RFC3339Nano)
		if err := tx.Update(c); err != nil {
			return err
		}
	}
	return nil
}

// left notes that the machine went down by our own order: its agent is gone.
func (s *Service) left(r *Run) { s.alive.forget(r.Operation.Device) }

// rebootIntoSystem has the agent restart the machine, unless it restarted by itself: a machine that lost power now comes back as the
// installed system, and no agent will ever answer.
func (s *Service) rebootIntoSystem(ctx context.Context, r *Run) error {
	up, err := s.systemReported(ctx, r)
	if err != nil {
		return err
	}
	if up {
		s.left(r)
		return &Skip{Why: "the machine has restarted: the installed system has reported"}
	}
	return s.order(api.VerbReboot, "the agent restarts the machine", s.left)(ctx, r)
}

// awaitSystem waits for the one report of the system that was installed.
func (s *Service) awaitSystem(ctx context.Context, r *Run) error {
	var args deployArgs
	if err := r.Args(&args); err != nil {
		return err
	}
	if args.NoReport {
		return &Skip{Why: "this image does not report; look at the console"}
	}
	up, err := s.systemReported(ctx, r)
	if err == nil && !up {
		err = &Wait{Sentence: "waiting for the installed system to report, usually 2 to 5 minutes"}
	}
	return err
}

// systemReported tells whether the system that this operation wrote has come up.
func (s *Service) systemReported(ctx context.Context, r *Run) (bool, error) {
	var write agentData
	if err := r.Other("write-image", &write); err != nil {
		return false, err
	}
	list, err := inventory.List[inventory.BootAttempt](ctx, s.Ledger, inventory.Query{Filters: []inventory.Filter{inventory.Is("token_hash", write.BootToken)}, Limit: 1})
	if err != nil {
		return false, err
	}
	if len(list) == 0 || write.BootToken == "" {
		return false, permanentf("no boot of the installed system is expected any more")
	}
	return list[0].TokenUsedAt != nil, nil
}

// recordDeployed is the end of the line.
func (s *Service) recordDeployed(_ context.Context, r *Run) error {
	var args deployArgs
	if err := r.Args(&args); err != nil {
		return err
	}
	r.Finish(func(tx inventory.Tx) error {
		d, err := inventory.TxGet[inventory.Device](tx, string(r.Operation.Device))
		if err != nil {
			return err
		}
		if err := d.Become(inventory.StateDeployed, ""); err != nil {
			return err
		}
		d.Image, d.Status = args.Image, "active"
		if args.Profile != "" {
			d.Profile = args.Profile
			if p, err := inventory.TxGet[inventory.Profile](tx, string(args.Profile)); err == nil && p.Role != "" {
				d.Role = p.Role
			}
		}
		return tx.Update(d)
	})
	return nil
}

// touched tells whether a byte of a disk may have been written under this operation.
func touched(end Ending, step string) bool {
	st := end.find(step)
	if st == nil || st.StartedAt == nil {
		return false
	}
	var data agentData
	if err := readData(st, &data); err != nil {
		return true // what cannot be read may have been anything
	}
	if data.Touched {
		return true
	}
	return data.unknown()
}

// quarantine is what becomes of a machine whose operation failed: a person looks before anything else happens to it.
func (s *Service) quarantine(tx inventory.Tx, end Ending) error {
	return setAside(tx, end, fmt.Sprintf("%s failed: %s", end.Operation.Kind, end.Problem))
}

// setAside quarantines the machine of an operation.
func setAside(tx inventory.Tx, end Ending, why string) error {
	d, err := inventory.TxGet[inventory.Device](tx, string(end.Operation.Device))
	if err != nil {
		return err
	}
	for _, step := range []string{"write-image", "clear-disks"} {
		if !touched(end, step) {
			continue
		}
		switch st := end.find(step); {
		case st.State == inventory.StepDone:
		case finished(st) != nil:
			why += ". The image had just been written whole"
		default:
			why += ". Its disk was being written when this happened and does not boot; deploy it again"
		}
		if err := disown(tx, d.UID, end); err != nil {
			return err
		}
	}
	if err := d.Become(inventory.StateQuarantined, why); err != nil {
		return err
	}
	return tx.Update(d)
}

// disown keeps the record true about a disk whose write did not end: what is on it is not an image of ours, but nobody else's data
// either, so it needs no consent to write it again.
func disown(tx inventory.Tx, device inventory.UID, end Ending) error {
	st := end.find("write-image")
	if st == nil || st.State == inventory.StepDone {
		return nil
	}
	var data agentData
	if err := readData(st, &data); err != nil || data.Disk == nil {
		return nil
	}
	ref := *data.Disk
	if w := finished(st); w != nil {
		return writtenDisk(tx, device, storage.Disk{Serial: ref.Serial, WWN: ref.WWN}, w.Digest, w.TableUUID)
	}
	return writtenDisk(tx, device, storage.Disk{Serial: ref.Serial, WWN: ref.WWN}, halfWritten, "")
}

// finished is the result of a write that ended well just before its operation was stopped; nil when there is none.
func finished(st *inventory.Step) *api.WriteResult {
	var data agentData
	if err := readData(st, &data); err != nil || data.Result == nil || data.Result.Error != "" || data.Assignment == nil || data.Assignment.Write == nil {
		return nil
	}
	if w := data.Result.Write; w != nil && w.Digest == data.Assignment.Write.Digest {
		return w
	}
	return nil
}

// halfWritten stands for the digest of an image on a disk whose write did not end.
const halfWritten = "incomplete"

// cancelledDeploy leaves a machine that nothing was written to as it was.
func (s *Service) cancelledDeploy(tx inventory.Tx, end Ending) error {
	if !touched(end, "write-image") && !touched(end, "clear-disks") {
		return nil
	}
	return setAside(tx, end, fmt.Sprintf("%s was cancelled by %s", end.Operation.Kind, end.Operation.CancelBy))
}
