package provision

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"berth/api"
	"berth/bmc"
	"berth/inventory"
	"berth/pxe"
)

// The steps by which any operation gets an agent onto a machine, and the machine back to its own disk.

// bringUp is the list of steps that end with a fresh report of an agent on the machine.
func (s *Service) bringUp() []StepSpec {
	return []StepSpec{
		{Name: "offer-agent", Deadline: time.Minute, Attempts: 3, Do: s.offerAgent},
		{Name: "power-down", Usually: "10 to 60 s", Deadline: 15 * time.Minute, Attempts: 3, Pause: 15 * time.Second, Do: s.powerDown},
		{Name: "set-netboot", Usually: "5 s", Deadline: 5 * time.Minute, Attempts: 3, Pause: 10 * time.Second, Do: s.setNetboot},
		{Name: "power-up", Usually: "10 s", Deadline: 48 * time.Hour, Attempts: 3, Pause: 15 * time.Second, Do: s.powerUp},
		{Name: "await-agent", Usually: "2 to 5 minutes", Deadline: 30 * time.Minute, Do: s.awaitAgent},
	}
}

// offerAgent lets the machine have the agent at its next boot.
func (s *Service) offerAgent(_ context.Context, r *Run) error {
	r.Finish(func(tx inventory.Tx) error {
		d, err := inventory.TxGet[inventory.Device](tx, string(r.Operation.Device))
		if err != nil {
			return err
		}
		d.NetbootOffer, d.OfferedUntil = true, nil
		return tx.Update(d)
	})
	return nil
}

func (s *Service) device(ctx context.Context, r *Run) (*inventory.Device, error) {
	return inventory.Get[inventory.Device](ctx, s.Ledger, string(r.Operation.Device))
}

// present is the agent that is on the machine and needs no boot. An agent that never reported after the operation's need is asked to.
func (s *Service) present(r *Run) (key string, ok bool) {
	key = s.alive.agent(r.Operation.Device, s.Now())
	return key, key != ""
}

// shutdownTime is how long an operating system is given to stop before its power is cut. Disks that are kept are worth the wait.
const shutdownTime = 90 * time.Second

// powerDown stops the machine: some BMCs forget a one-time boot device when the power goes off, so it must be off before one is set.
func (s *Service) powerDown(ctx context.Context, r *Run) error {
	if _, ok := s.present(r); ok {
		return &Skip{Why: "the agent is already running on the machine"}
	}
	b, err := s.bmcRecord(ctx, r.Operation.Device)
	if err != nil {
		return err
	}
	if !controls(b) {
		return &Skip{Why: "the machine has no BMC"}
	}
	gently := s.Commands
	gently.ShutdownTimeout = or(gently.ShutdownTimeout, shutdownTime)
	state, err := withBMC(ctx, s, b, func(ctx context.Context, d bmc.Driver) (bmc.PowerState, error) {
		return gently.Power(ctx, d, bmc.ActionShutdown)
	})
	if err == nil && state == bmc.PowerOff {
		r.Finish(func(tx inventory.Tx) error { return setPower(tx, r.Operation.Device, state) })
		return nil
	}
	return s.commandPower(ctx, r, b, bmc.ActionOff)
}

// setNetboot tells the BMC to boot from the network once.
func (s *Service) setNetboot(ctx context.Context, r *Run) error {
	if _, ok := s.present(r); ok {
		return &Skip{Why: "the agent is already running on the machine"}
	}
	d, err := s.device(ctx, r)
	if err != nil {
		return err
	}
	b, err := s.bmcRecord(ctx, d.UID)
	if err != nil {
		return err
	}
	if !controls(b) {
		return &Skip{Why: "the machine has no BMC that sets a boot device; its own boot order must try the network"}
	}
	return s.setBoot(ctx, r, b, bmc.Once(bmc.BootPXE, bootMode(d)))
}

func bootMode(d *inventory.Device) bmc.BootMode {
	switch d.BootMode {
	case "uefi":
		return bmc.BootModeUEFI
	case "bios":
		return bmc.BootModeLegacy
	}
	return bmc.BootModeAny
}

func (s *Service) setBoot(ctx context.Context, r *Run, b *inventory.BMC, want bmc.Boot) error {
	seen, err := withBMC(ctx, s, b, func(ctx context.Context, d bmc.Driver) (bmc.Boot, error) {
		return s.Commands.Boot(ctx, d, want)
	})
	if errors.Is(err, bmc.ErrUnconfirmed) {
		r.Say("the BMC was told to boot from %s; it cannot be asked whether it will", want)
		return nil
	}
	if err != nil {
		return bmcProblem(fmt.Sprintf("set the boot device to %s", want), err)
	}
	r.Say("the BMC will boot from %s", seen)
	return nil
}

// bmcProblem keeps a step from knocking again at a door that stays shut.
func bmcProblem(what string, err error) error {
	err = fmt.Errorf("%s: %w", what, err)
	if bmc.Permanent(err) {
		return Permanent(err)
	}
	return err
}

// taskData is what a step remembers that may need a person.
type taskData struct {
	Asked  *time.Time `json:"asked,omitempty"`
	DoneAt *time.Time `json:"done_at,omitempty"`
	DoneBy string     `json:"done_by,omitempty"`
}

// powerUp makes the machine start anew: by its BMC, by a magic packet, or by a person.
func (s *Service) powerUp(ctx context.Context, r *Run) error {
	if _, ok := s.present(r); ok {
		return &Skip{Why: "the agent is already running on the machine"}
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
	case controls(b):
		return s.commandPower(ctx, r, b, startAction(r))
	case b != nil && b.Kind == bmc.KindWOL:
		return s.wakeUp(ctx, r, b)
	}
	return s.askPerson(ctx, r, fmt.Sprintf("Restart %s, or switch it on, and let it boot from the network.", d.Name))
}

// startAction is what starts a machine anew. One that was switched off is switched on, and left alone if it is on already: a server that
// was killed after it had given the order must not cut a boot short that has used up the one-time boot device. One that was left running
// for its agent's sake, which then fell silent, is power-cycled.
func startAction(r *Run) bmc.PowerAction {
	for _, st := range r.Steps {
		if st.Name == "power-down" && st.State == inventory.StepSkipped {
			return bmc.ActionCycle
		}
	}
	return bmc.ActionOn
}

// wakeUp sends a magic packet. A machine that is on does not hear it, so after two minutes a person is asked.
func (s *Service) wakeUp(ctx context.Context, r *Run, b *inventory.BMC) error {
	var data taskData
	if err := r.Data(&data); err != nil {
		return err
	}
	if data.Asked == nil {
		now := s.Now()
		if err := r.Remember(ctx, taskData{Asked: &now}); err != nil {
			return err
		}
		_, err := withBMC(ctx, s, b, func(ctx context.Context, d bmc.Driver) (struct{}, error) {
			return struct{}{}, d.SetPower(ctx, bmc.ActionOn)
		})
		if err != nil && !errors.Is(err, bmc.ErrUnconfirmed) {
			return bmcProblem("wake the machine", err)
		}
		return &Wait{Until: now.Add(2 * time.Minute), Sentence: "a magic packet was sent; waiting for the machine to ask the network, usually 1 to 3 minutes"}
	}
	if s.Now().Before(data.Asked.Add(2 * time.Minute)) {
		return &Wait{Until: data.Asked.Add(2 * time.Minute), Sentence: "waiting for the machine to ask the network"}
	}
	return s.askPerson(ctx, r, "The machine did not wake up. Restart it, or switch it on, and let it boot from the network.")
}

// askPerson waits until a person says that the task is done, or the agent shows that it was.
func (s *Service) askPerson(_ context.Context, r *Run, task string) error {
	var data taskData
	if err := r.Data(&data); err != nil {
		return err
	}
	if data.DoneAt != nil {
		return nil
	}
	return &Wait{Sentence: "waiting for a person", Task: task}
}

// awaitAgent waits for an agent that has registered, and has reported since the operation began.
func (s *Service) awaitAgent(ctx context.Context, r *Run) error {
	key, ok := s.present(r)
	if !ok {
		return &Wait{Until: s.Now().Add(30 * time.Second), Sentence: "waiting for the machine to boot the agent, usually 1 to 5 minutes"}
	}
	at, err := s.attempt(ctx, key)
	if err != nil {
		return fmt.Errorf("find the boot of the agent: %w", err)
	}
	seen, err := s.observation(ctx, r.Operation.Device, inventory.SourceAgent)
	if err != nil && !errors.Is(err, inventory.ErrNotFound) {
		return err
	}
	if seen == nil || seen.UpdatedAt.Before(at.CreatedAt) {
		return &Wait{Until: s.Now().Add(30 * time.Second), Sentence: "the agent is up; waiting for its report, usually 5 s"}
	}
	return s.checkIdentity(ctx, r, seen.Facts)
}

// checkIdentity holds the machine that answered against the one the operation is for. The cable may have been moved, or the board.
func (s *Service) checkIdentity(ctx context.Context, r *Run, f inventory.Facts) error {
	d, err := s.device(ctx, r)
	if err != nil {
		return err
	}
	if !sameUUID(d.SystemUUID, f.System.UUID) {
		return permanentf("the machine that booted is not the one on record: its system UUID is %s, the record says %s. Look at its deviations before anything is written to it",
			clip(f.System.UUID, 60), d.SystemUUID)
	}
	return nil
}

// sameUUID tells whether two system UUIDs may be one machine's: unknown ones and vendors' fillers say nothing, and the first three fields
// are written in either byte order (SMBIOS 2.6 §7.2.1 changed it).
func sameUUID(a, b string) bool {
	a, b = inventory.NormalIdentity(inventory.IDSystemUUID, a), inventory.NormalIdentity(inventory.IDSystemUUID, b)
	if inventory.Junk(inventory.IDSystemUUID, a) || inventory.Junk(inventory.IDSystemUUID, b) {
		return true
	}
	u, err := pxe.ParseUUID(a)
	return a == b || err == nil && u.Swapped().String() == b
}

// agentStep makes a step that the agent carries out: build says what is to be done, accept judges what came of it.
func (s *Service) agentStep(sentence string, build func(ctx context.Context, r *Run) (api.Assignment, agentData, error), accept func(r *Run, data agentData) error) func(context.Context, *Run) error {
	return func(ctx context.Context, r *Run) error {
		var data agentData
		if err := r.Data(&data); err != nil {
			return err
		}
		switch {
		case data.Result != nil && data.Result.Error == "":
			return accept(r, data)
		case data.Result != nil:
			return s.agentFailed(ctx, r, data)
		case r.Step.Assignment != "" && s.alive.silence(r.Operation.Device, s.Now()) > agentSilent:
			return permanentf("the agent has not been heard for %s; the machine may have lost power or network", agentSilent)
		case r.Step.Assignment != "":
			return &Wait{Until: s.Now().Add(time.Minute), Sentence: sentence}
		}
		return s.handOut(ctx, r, data, sentence, build)
	}
}

// agentFailed turns an agent's error into the step's, and clears the way for another try.
func (s *Service) agentFailed(ctx context.Context, r *Run, data agentData) error {
	problem := fmt.Errorf("the agent says: %s", data.Result.Error)
	if data.Result.Permanent {
		return Permanent(problem)
	}
	if err := r.Remember(ctx, agentData{Touched: data.Touched, Disk: data.Disk}); err != nil {
		return err
	}
	return problem
}

func (s *Service) handOut(ctx context.Context, r *Run, old agentData, sentence string, build func(ctx context.Context, r *Run) (api.Assignment, agentData, error)) error {
	key, ok := s.present(r)
	if !ok {
		if s.alive.silence(r.Operation.Device, s.Now()) > agentSilent {
			return permanentf("the agent has not been heard for %s; the machine may have lost power or network", agentSilent)
		}
		return &Wait{Until: s.Now().Add(15 * time.Second), Sentence: "waiting for the agent to ask for its next step"}
	}
	a, data, err := build(ctx, r)
	if err != nil {
		return err
	}
	a.ID, a.Deadline = string(inventory.NewUID()), *r.Step.Deadline
	data.Device, data.Key, data.Assignment, data.Touched = r.Operation.Device, key, &a, old.Touched || old.unknown()
	if a.Write != nil {
		data.Disk = &a.Write.Disk
	}
	err = r.Remember(ctx, data, func(st *inventory.Step) { st.Assignment, st.Done, st.Total, st.Phase = a.ID, 0, 0, "" })
	if err != nil {
		return err
	}
	s.hub.poke(r.Operation.Device)
	return &Wait{Until: s.Now().Add(time.Minute), Sentence: sentence}
}

// order is an agentStep without arguments.
func (s *Service) order(verb api.Verb, sentence string, done func(r *Run)) func(context.Context, *Run) error {
	return s.agentStep(sentence,
		func(context.Context, *Run) (api.Assignment, agentData, error) {
			return api.Assignment{Verb: verb}, agentData{}, nil
		},
		func(r *Run, _ agentData) error {
			if done != nil {
				done(r)
			}
			return nil
		})
}

// toLocalDisk takes the offer back and clears the way to the machine's own disk.
func (s *Service) toLocalDisk(ctx context.Context, r *Run) error {
	d, err := s.device(ctx, r)
	if err != nil {
		return err
	}
	r.Finish(func(tx inventory.Tx) error {
		d, err := inventory.TxGet[inventory.Device](tx, string(r.Operation.Device))
		if err != nil {
			return err
		}
		d.NetbootOffer = false
		return tx.Update(d)
	})
	b, err := s.bmcRecord(ctx, d.UID)
	if err != nil {
		return err
	}
	if !controls(b) {
		return nil
	}
	return s.setBoot(ctx, r, b, bmc.Once(bmc.BootDisk, bootMode(d)))
}

// commandPower carries out a power action through a BMC and keeps the state that was seen.
func (s *Service) commandPower(ctx context.Context, r *Run, b *inventory.BMC, action bmc.PowerAction) error {
	state, err := withBMC(ctx, s, b, func(ctx context.Context, d bmc.Driver) (bmc.PowerState, error) {
		return s.Commands.Power(ctx, d, action)
	})
	if errors.Is(err, bmc.ErrUnconfirmed) {
		r.Say("power %s was sent; it cannot be confirmed", action)
		return nil
	}
	if err != nil {
		return bmcProblem(fmt.Sprintf("power %s", action), err)
	}
	s.alive.forget(r.Operation.Device)
	r.Say("the BMC reports: power is %s", state)
	r.Finish(func(tx inventory.Tx) error { return setPower(tx, r.Operation.Device, state) })
	return nil
}

func setPower(tx inventory.Tx, device inventory.UID, state bmc.PowerState) error {
	d, err := inventory.TxGet[inventory.Device](tx, string(device))
	if err != nil {
		return err
	}
	power := ""
	if state != bmc.PowerUnknown {
		power = string(state)
	}
	if d.Power == power {
		return nil
	}
	d.Power = power
	return tx.Update(d)
}

// controls tells whether a BMC record stands for something that can be asked and told.
func controls(b *inventory.BMC) bool {
	return b != nil && (b.Kind == bmc.KindRedfish || b.Kind == bmc.KindIPMI)
}

// bmcRecord finds the BMC of a machine; nil when it has none.
func (s *Service) bmcRecord(ctx context.Context, device inventory.UID) (*inventory.BMC, error) {
	list, err := inventory.List[inventory.BMC](ctx, s.Ledger, inventory.Query{Filters: []inventory.Filter{inventory.Is("device", device)}, Limit: 2})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

// withBMC holds the BMC's turn while f works with an open driver. At the first contact with a Redfish service its key is pinned.
func withBMC[T any](ctx context.Context, s *Service, b *inventory.BMC, f func(context.Context, bmc.Driver) (T, error)) (T, error) {
	out, err := converse(ctx, s, b, f)
	var seen *bmc.CertificateError
	if b.Pin != "" || !errors.Is(err, bmc.ErrUntrusted) || !errors.As(err, &seen) {
		return out, err
	}
	if err := s.pin(ctx, b, seen.Got); err != nil {
		return out, err
	}
	return converse(ctx, s, b, f)
}

func converse[T any](ctx context.Context, s *Service, b *inventory.BMC, f func(context.Context, bmc.Driver) (T, error)) (T, error) {
	t, err := s.target(b)
	if err != nil {
		var none T
		return none, err
	}
	return bmc.Do(ctx, s.BMC, t, f)
}

// pin keeps the key that a BMC showed first. Later another one is a problem for a person.
func (s *Service) pin(ctx context.Context, b *inventory.BMC, key string) error {
	return s.Ledger.Edit(ctx, inventory.NewRequest(inventory.Berth, "first contact with the BMC"), func(tx inventory.Tx) error {
		now, err := inventory.TxGet[inventory.BMC](tx, string(b.UID))
		if err != nil {
			return err
		}
		if now.Pin == "" {
			now.Pin = key
			if err := tx.Update(now); err != nil {
				return err
			}
		}
		*b = *now
		return nil
	})
}

func (s *Service) target(b *inventory.BMC) (bmc.Target, error) {
	password, err := s.Ledger.Reveal(b.Password)
	if err != nil {
		return bmc.Target{}, Permanent(fmt.Errorf("open the BMC's password: %w", err))
	}
	t := bmc.Target{Kind: b.Kind, Address: b.Address, Username: b.Username, Password: bmc.NewSecret(password), Pin: b.Pin, SystemID: b.SystemID}
	// A password that was typed again, even the same one, is tried again: somebody may have put the account right on the BMC.
	if last, known := s.passwords.Swap(b.UID, b.Password); known && last != b.Password {
		s.BMC.Forgive(t)
	}
	if b.Kind == bmc.KindWOL {
		mac, err := net.ParseMAC(orText(b.Address, b.MAC))
		if err != nil {
			return t, permanentf("wake-on-LAN needs the MAC address to wake: %v", err)
		}
		t.MAC = mac
	}
	return t, nil
}
