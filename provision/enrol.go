package provision

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"berth/inventory"
	"berth/pxe"
)

const (
	// maxUnknown bounds the machines that nobody has looked at: a thousand made-up addresses must not fill the record.
	maxUnknown = 500
	// enrolOffer is how long an unknown machine is offered the agent again after it asked first.
	enrolOffer = 30 * time.Minute
)

// enrol waits for the report of a machine that asked the network for help. What the report means is decided when it comes (observe.go).
func (s *Service) enrol() *Sequence {
	return &Sequence{Kind: KindEnrol, Deadline: time.Hour, Steps: []StepSpec{
		{Name: "await-report", Usually: "1 to 3 minutes", Deadline: enrolOffer, Do: s.awaitReport},
	}, Failed: s.enrolFailed}
}

func (s *Service) awaitReport(ctx context.Context, r *Run) error {
	d, err := s.device(ctx, r)
	if err != nil {
		return err
	}
	if d.ProvisionState == inventory.StateUnknown {
		return &Wait{Sentence: "waiting for the agent's report, usually 1 to 3 minutes"}
	}
	r.Say("%s has reported", d.Name)
	return nil
}

// enrolFailed leaves the machine unknown; it is not offered the agent again until a person says so.
func (s *Service) enrolFailed(tx inventory.Tx, end Ending) error {
	d, err := inventory.TxGet[inventory.Device](tx, string(end.Operation.Device))
	if err != nil {
		return err
	}
	d.StateReason = "it asked for help and then did not report: " + end.Problem
	return tx.Update(d)
}

// Ticket mints the one-time token of a boot script. An unknown machine is written down here: asking for the agent, and not a single
// packet, is what makes a record of it.
func (s *Service) Ticket(ctx context.Context, c pxe.Client, situation pxe.Situation) (pxe.Ticket, error) {
	if s.AgentURL == "" || s.Pin == "" {
		return pxe.Ticket{}, errors.New("machines cannot reach the agent API: --http listens on loopback only, or its address is not known")
	}
	token := newToken()
	mac := inventory.NormalIdentity(inventory.IDNICMAC, c.MAC.String())
	err := s.Ledger.Edit(ctx, inventory.NewRequest(inventory.Berth, "a machine asked the network for help"), func(tx inventory.Tx) error {
		d, err := s.whoAsks(tx, c, mac, situation)
		if err != nil {
			return err
		}
		return tx.Create(&inventory.BootAttempt{Device: d.UID, Operation: d.Operation, MAC: mac, Arch: c.Arch.String(), Offered: "agent",
			TokenHash: hashOf(token), Sentence: "it was given the agent's boot script"})
	})
	if err != nil {
		return pxe.Ticket{}, fmt.Errorf("prepare the boot of %s: %w", c, err)
	}
	return pxe.Ticket{Token: token, AgentURL: s.AgentURL, Pin: s.Pin, Console: s.Console}, nil
}

func (s *Service) whoAsks(tx inventory.Tx, c pxe.Client, mac string, situation pxe.Situation) (*inventory.Device, error) {
	if situation.Known() {
		d, err := inventory.TxGet[inventory.Device](tx, situation.Machine)
		if err != nil {
			return nil, err
		}
		if !d.NetbootOffer {
			return nil, fmt.Errorf("%s is not offered the agent any more", d.Name)
		}
		return d, nil
	}
	if mac == "" {
		return nil, errors.New("it has no hardware address to be known by")
	}
	// The snapshot that the packet path reads may be a moment old.
	if port, err := one[inventory.Interface](tx, inventory.Is("mac", mac)); err == nil {
		d, err := inventory.TxGet[inventory.Device](tx, string(port.Device))
		switch {
		case err != nil:
			return nil, err
		case d.ProvisionState == inventory.StateNone && port.Kind != "bmc":
			return d, s.arrived(tx, d)
		case !d.NetbootOffer:
			return nil, fmt.Errorf("%s is not offered the agent", d.Name)
		}
		return d, nil
	}
	return s.firstSight(tx, c, mac)
}

// arrived starts the enrolment of a device that somebody wrote down before it came, with the address of its port.
func (s *Service) arrived(tx inventory.Tx, d *inventory.Device) error {
	until := tx.Now().Add(enrolOffer)
	if err := d.Become(inventory.StateUnknown, "it was expected, and asked the network for help"); err != nil {
		return err
	}
	d.NetbootOffer, d.OfferedUntil = true, &until
	_, err := s.start(tx, inventory.NewRequest(inventory.Berth, ""), d, KindEnrol, struct{}{})
	return err
}

// firstSight writes an unknown machine down and starts its enrolment.
func (s *Service) firstSight(tx inventory.Tx, c pxe.Client, mac string) (*inventory.Device, error) {
	n, _ := inventory.NounOf("machine")
	page, err := tx.List(n, inventory.Query{Filters: []inventory.Filter{inventory.Is("provision_state", inventory.StateUnknown)}, Limit: 1, Count: true})
	if err != nil {
		return nil, err
	}
	if page.Total >= maxUnknown {
		return nil, fmt.Errorf("%d unknown machines are waiting already; look at those first", page.Total)
	}
	until := tx.Now().Add(enrolOffer)
	d := &inventory.Device{Name: unknownPrefix + strings.ReplaceAll(mac, ":", ""), ProvisionState: inventory.StateUnknown,
		NetbootOffer: true, OfferedUntil: &until, Arch: c.Arch.CPU()}
	d.UID = inventory.NewUID()
	if err := tx.Create(d); err != nil {
		return nil, err
	}
	port := &inventory.Interface{Device: d.UID, Name: provisionalPort + strings.ReplaceAll(mac, ":", ""), Kind: "physical", MAC: mac, Enabled: true, BootFrom: true}
	if err := tx.Create(port); err != nil {
		return nil, err
	}
	if err := tx.Create(&inventory.Identifier{Device: d.UID, Kind: inventory.IDNICMAC, Value: mac}); err != nil {
		return nil, err
	}
	_, err = s.start(tx, inventory.NewRequest(inventory.Berth, ""), d, KindEnrol, struct{}{})
	return d, err
}
