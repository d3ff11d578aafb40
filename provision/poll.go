package provision

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"berth/bmc"
	"berth/inventory"
)

// Each BMC is asked once a minute for the power state, and now and then for its inventory. The polls are operations like any other
// work, so they survive a restart, are shared out among servers, and stop at a BMC that somebody else holds.
//
// One that does not answer is asked less and less often, down to once an hour: a rack that is off for good must not keep the server
// busy. One of which the password is not on record is not asked at all. A change of its record wakes the poll.

const (
	pollEvery      = time.Minute
	pollSeldom     = time.Hour
	inventoryEvery = 6 * time.Hour
	pollDeadline   = 5 * time.Minute
)

type pollArgs struct {
	BMC inventory.UID `json:"bmc"`
}

func (s *Service) pollBMC() *Sequence {
	return &Sequence{Kind: KindPollBMC, Deadline: 30 * time.Minute, Recurring: pollEvery, Rest: restOfPoll, Steps: []StepSpec{
		{Name: "poll", Deadline: 20 * time.Minute, Do: s.poll},
	}}
}

// restOfPoll is how long a BMC is left alone: a minute, and of one that has not answered since some time a tenth of that time.
func restOfPoll(tx inventory.Tx, op *inventory.Operation) (time.Duration, error) {
	var args pollArgs
	if err := (&Run{Operation: op}).Args(&args); err != nil {
		return 0, err
	}
	b, err := inventory.TxGet[inventory.BMC](tx, string(args.BMC))
	switch {
	case errors.Is(err, inventory.ErrNotFound): // the next round sees that it is gone
		return pollEvery, nil
	case err != nil:
		return 0, err
	case b.State == "ok" || b.State == "":
		return pollEvery, nil
	}
	// Its state is stored once, when it changes.
	return min(max(tx.Now().Sub(b.UpdatedAt)/10, pollEvery), pollSeldom), nil
}

// watchBMCs keeps one poll for each BMC that can be asked.
func (s *Service) watchBMCs(ctx context.Context) error {
	changed := s.Ledger.Watch(ctx, inventory.NounFor[inventory.BMC]())
	for {
		if err := s.ensurePolls(ctx); err != nil && ctx.Err() == nil {
			s.Logger.Error("BMC polls cannot be started; trying again in a minute", "error", err)
		}
		timer := time.NewTimer(time.Minute)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (s *Service) ensurePolls(ctx context.Context) error {
	polled, err := s.polled(ctx)
	if err != nil {
		return err
	}
	cursor := ""
	for {
		page, err := s.Ledger.List(ctx, inventory.NounFor[inventory.BMC](), inventory.Query{Limit: inventory.MaxPage, Cursor: cursor})
		if err != nil {
			return err
		}
		for _, b := range inventory.Items[inventory.BMC](page) {
			if !controls(b) || b.Password.IsZero() {
				continue
			}
			if op := polled[b.UID]; op != nil {
				if err := s.wakePoll(ctx, b, op); err != nil {
					return err
				}
				continue
			}
			err := s.Ledger.Edit(ctx, inventory.NewRequest(inventory.Berth, ""), func(tx inventory.Tx) error {
				_, err := s.start(tx, inventory.NewRequest(inventory.Berth, ""), nil, KindPollBMC, pollArgs{BMC: b.UID})
				return err
			})
			if err != nil {
				return err
			}
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}

// wakePoll asks a BMC that is left alone for long as soon as its record has changed: the password may be the right one now.
func (s *Service) wakePoll(ctx context.Context, b *inventory.BMC, op *restingPoll) error {
	if b.UpdatedAt.Before(op.since) || op.until.Sub(s.Now()) <= pollEvery {
		return nil
	}
	return s.Ledger.Edit(ctx, inventory.NewRequest(inventory.Berth, ""), func(tx inventory.Tx) error { return wake(tx, op.uid) })
}

// restingPoll is what is known of a living poll.
type restingPoll struct {
	uid          inventory.UID
	since, until time.Time
}

// polled lists the BMCs that have a living poll.
func (s *Service) polled(ctx context.Context) (map[inventory.UID]*restingPoll, error) {
	out := map[inventory.UID]*restingPoll{}
	cursor := ""
	for {
		page, err := s.Ledger.List(ctx, inventory.NounFor[inventory.Operation](), inventory.Query{
			Filters: []inventory.Filter{inventory.Is("kind", KindPollBMC), {Field: "state", Op: inventory.OpIn, Value: "queued,running,waiting"}},
			Limit:   inventory.MaxPage, Cursor: cursor,
		})
		if err != nil {
			return nil, err
		}
		for _, op := range inventory.Items[inventory.Operation](page) {
			var args pollArgs
			if err := (&Run{Operation: op}).Args(&args); err == nil {
				out[args.BMC] = &restingPoll{op.UID, op.UpdatedAt, op.NextTryAt}
			}
		}
		if cursor = page.Next; cursor == "" {
			return out, nil
		}
	}
}

// polled is what one conversation with a BMC yields.
type pollResult struct {
	power bmc.PowerState
	parts *bmc.Inventory
}

// poll asks a BMC. What it answers, and whether it answers, is stored; no answer is not a failure of the poll.
func (s *Service) poll(ctx context.Context, r *Run) error {
	var args pollArgs
	if err := r.Args(&args); err != nil {
		return err
	}
	b, err := inventory.Get[inventory.BMC](ctx, s.Ledger, string(args.BMC))
	if errors.Is(err, inventory.ErrNotFound) {
		return &Over{Why: "the BMC is gone from the record"}
	}
	if err != nil {
		return err
	}
	if !controls(b) {
		return &Over{Why: "there is nothing to ask at a BMC of kind " + b.Kind}
	}
	if b.Password.IsZero() {
		return &Over{Why: "the BMC's password is not on record"}
	}
	old, err := s.observation(ctx, b.Device, inventory.SourceBMC)
	if err != nil && !errors.Is(err, inventory.ErrNotFound) {
		return err
	}
	want := old == nil || s.Now().Sub(old.UpdatedAt) > inventoryEvery
	asked, stop := context.WithTimeout(ctx, pollDeadline)
	defer stop()
	result, err := withBMC(asked, s, b, func(ctx context.Context, d bmc.Driver) (pollResult, error) {
		var p pollResult
		var err error
		if p.power, err = d.Power(ctx); err != nil || !want {
			return p, err
		}
		parts, err := d.Inventory(ctx)
		if err == nil {
			p.parts = &parts
		}
		if errors.Is(err, bmc.ErrUnsupported) || errors.Is(err, bmc.ErrEmptyInventory) {
			err = nil
		}
		return p, err
	})
	if errors.Is(err, bmc.ErrBusy) {
		return nil // somebody works on it: that is more news than a poll
	}
	if err != nil {
		return s.polledBadly(ctx, b, err)
	}
	return s.polledWell(ctx, b, result)
}

// polledBadly keeps the problem, once.
func (s *Service) polledBadly(ctx context.Context, b *inventory.BMC, problem error) error {
	state := "unreachable"
	switch {
	case errors.Is(problem, bmc.ErrCertificateChanged):
		state = "changed"
	case errors.Is(problem, bmc.ErrAuth), errors.Is(problem, bmc.ErrLocked), errors.Is(problem, bmc.ErrDenied):
		state = "refused"
	}
	text := clip(problem.Error(), 500)
	if b.State == state {
		return nil
	}
	return s.Ledger.Edit(ctx, inventory.NewRequest(inventory.Berth, "poll"), func(tx inventory.Tx) error {
		now, err := inventory.TxGet[inventory.BMC](tx, string(b.UID))
		if err != nil {
			return err
		}
		now.State, now.Problem = state, text
		if err := tx.Update(now); err != nil {
			return err
		}
		if err := setPower(tx, b.Device, bmc.PowerUnknown); err != nil {
			return err
		}
		return note(tx, inventory.Event{Device: b.Device, Source: "bmc", Level: "warn", Text: fmt.Sprintf("the BMC at %s is %s: %s", b.Address, state, text)})
	})
}

// polledWell keeps the answer. Nothing is stored when nothing changed: with a hundred machines that is most of the time.
func (s *Service) polledWell(ctx context.Context, b *inventory.BMC, p pollResult) error {
	d, err := inventory.Get[inventory.Device](ctx, s.Ledger, string(b.Device))
	if err != nil {
		return err
	}
	if b.State == "ok" && p.parts == nil && d.Power == string(p.power) {
		return nil
	}
	return s.Ledger.Edit(ctx, inventory.NewRequest(inventory.Berth, "poll"), func(tx inventory.Tx) error {
		now, err := inventory.TxGet[inventory.BMC](tx, string(b.UID))
		if err != nil {
			return err
		}
		at := tx.Now()
		now.State, now.Problem, now.SeenAt = "ok", "", &at
		if p.parts != nil {
			now.Firmware, now.MAC = orText(p.parts.BMC.Firmware, now.Firmware), orText(strings.ToLower(p.parts.BMC.MAC), now.MAC)
		}
		if err := tx.Update(now); err != nil {
			return err
		}
		if err := setPower(tx, b.Device, p.power); err != nil {
			return err
		}
		if p.parts == nil {
			return nil
		}
		d, err := inventory.TxGet[inventory.Device](tx, string(b.Device))
		if err != nil {
			return err
		}
		facts := factsOf(*p.parts)
		facts.ObservedAt = at
		_, err = s.observe(tx, d, nil, facts)
		return err
	})
}
