package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"berth/api"
	"berth/inventory"
	"berth/storage"
)

// Errors of the desk, for web to turn into statuses.
var (
	// ErrToken: the one-time token is wrong, too old, or used.
	ErrToken = errors.New("the token is not valid")
	// ErrAgent: no agent of a living boot has this key.
	ErrAgent = errors.New("no agent is registered with this key")
	// ErrRevoked: the assignment is not outstanding any more.
	ErrRevoked = errors.New("the assignment is no longer yours")
)

const (
	// tokenLife is how long a boot may take from its script to the agent's first word. Slow firmware and TFTP come before the script.
	tokenLife = 30 * time.Minute
	// giveUpAfter is how long an agent without work waits before it reboots to the local disk.
	giveUpAfter = 15 * time.Minute
	// agentAlive is how long after its last word an agent counts as being there. It polls at least every half minute.
	agentAlive = 45 * time.Second
	// agentSilent is when an agent at work is given up. A machine that lost power is back, with a new agent, before that.
	agentSilent = 6 * time.Minute
	maxPoll     = 30 * time.Second
	maxLogLines = 200
	// maxBootLines is how many lines of one boot are kept: what a machine says of itself must not fill the record.
	maxBootLines = 5000
)

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Register burns a boot's one-time token and binds the session to the agent's key. The same key may repeat it (a lost answer). Another
// key with a used token is somebody who read the wire: the operation is stopped, and a person is told.
func (s *Service) Register(ctx context.Context, reg api.Registration, key string, remote netip.Addr) (api.Session, error) {
	var session api.Session
	var stranger *inventory.BootAttempt
	err := s.Ledger.Edit(ctx, agentRequest("agent"), func(tx inventory.Tx) error {
		stranger = nil
		at, err := one[inventory.BootAttempt](tx, inventory.Is("token_hash", hashOf(reg.Token)))
		if errors.Is(err, inventory.ErrNotFound) || err == nil && at.Offered != "agent" {
			return ErrToken
		}
		if err != nil {
			return err
		}
		if at.TokenUsedAt != nil && at.AgentKey != key {
			stranger = at
			return s.alarm(tx, at, addrOf(remote))
		}
		if at.EndedAt != nil {
			return fmt.Errorf("%w: that boot is over", ErrToken)
		}
		if at.TokenUsedAt == nil && tx.Now().Sub(at.CreatedAt) > tokenLife {
			return fmt.Errorf("%w: it is older than %s", ErrToken, tokenLife)
		}
		d, err := inventory.TxGet[inventory.Device](tx, string(at.Device))
		if err != nil {
			return err
		}
		session = api.Session{Machine: string(d.UID), Name: d.Name, Now: tx.Now(), Accepted: d.ProvisionState.Accepted(), GiveUpAfterSeconds: int(giveUpAfter.Seconds())}
		if at.TokenUsedAt != nil {
			return nil
		}
		return s.admit(tx, d, at, reg, key, remote)
	})
	switch {
	case err != nil:
		return api.Session{}, err
	case stranger != nil:
		s.disturb(stranger)
		return api.Session{}, fmt.Errorf("%w: it was used before, by another key", ErrToken)
	}
	s.alive.see(inventory.UID(session.Machine), key, s.Now())
	s.hub.poke(inventory.UID(session.Machine))
	return session, nil
}

// disturb makes a step at work, and an agent that waits, notice an alarm at once.
func (s *Service) disturb(at *inventory.BootAttempt) {
	s.alive.forget(at.Device)
	if at.Operation != "" {
		s.engine.Interrupt(at.Operation)
	}
	s.hub.poke(at.Device)
}

// admit takes an agent in. Whatever an earlier agent of this machine held is taken back, and it is not heard any more: that boot is over.
func (s *Service) admit(tx inventory.Tx, d *inventory.Device, at *inventory.BootAttempt, reg api.Registration, key string, remote netip.Addr) error {
	now := tx.Now()
	at.TokenUsedAt, at.AgentKey, at.Outcome, at.Operation = &now, key, "agent", d.Operation
	at.Sentence = fmt.Sprintf("the agent registered from %s", addrOf(remote))
	if err := dismiss(tx, d.UID, "a newer boot's agent took over"); err != nil {
		return err
	}
	if err := tx.Update(at); err != nil {
		return err
	}
	line := fmt.Sprintf("the agent is up (%s, %.0f s after its kernel started)", clip(reg.Version, 60), reg.UptimeSeconds)
	if err := note(tx, inventory.Event{Device: d.UID, Attempt: at.UID, Operation: d.Operation, Source: "agent", Text: line}); err != nil {
		return err
	}
	if d.Operation == "" {
		return nil
	}
	if err := revoke(tx, d.Operation); err != nil {
		return err
	}
	return wake(tx, d.Operation)
}

// dismiss ends the boots whose agents are still heard.
func dismiss(tx inventory.Tx, device inventory.UID, why string) error {
	boots, err := inventory.TxList[inventory.BootAttempt](tx, inventory.Query{
		Filters: []inventory.Filter{inventory.Is("device", device), inventory.Is("outcome", "agent")}, Sort: "-created_at", Limit: 50})
	if err != nil {
		return err
	}
	now := tx.Now()
	for _, b := range boots {
		if b.EndedAt != nil {
			continue
		}
		b.EndedAt, b.Sentence = &now, b.Sentence+"; "+why
		if err := tx.Update(b); err != nil {
			return err
		}
	}
	return nil
}

// alarm stops the operation of a machine whose token was shown twice. Which of the two keys is the machine's cannot be told, so neither
// is heard any more: the next operation boots an agent of its own.
func (s *Service) alarm(tx inventory.Tx, at *inventory.BootAttempt, from netip.Addr) error {
	text := fmt.Sprintf("a second registration with a used token came from %s: somebody may have read this machine's boot script from the wire. What was being done to it is stopped", from)
	if err := note(tx, inventory.Event{Device: at.Device, Attempt: at.UID, Source: "agent", Level: "error", Text: text}); err != nil {
		return err
	}
	if err := dismiss(tx, at.Device, "its token was used by two keys"); err != nil {
		return err
	}
	d, err := inventory.TxGet[inventory.Device](tx, string(at.Device))
	if err != nil || d.Operation == "" {
		return err
	}
	at.Operation = d.Operation
	op, err := inventory.TxGet[inventory.Operation](tx, string(d.Operation))
	if err != nil || op.State.Ended() {
		return err
	}
	if err := revoke(tx, op.UID); err != nil {
		return err
	}
	op.CancelBy, op.NextTryAt = "berth (a token was used twice)", tx.Now()
	return tx.Update(op)
}

func agentRequest(name string) inventory.Request {
	return inventory.NewRequest(inventory.Actor{Name: name, Level: inventory.LevelNone}, "")
}

// one finds the only object that the filters fit. Errors: inventory.ErrNotFound.
func one[T any](tx inventory.Tx, filters ...inventory.Filter) (*T, error) {
	items, err := inventory.TxList[T](tx, inventory.Query{Filters: filters, Limit: 2})
	if err != nil {
		return nil, err
	}
	if len(items) != 1 {
		return nil, inventory.ErrNotFound
	}
	return items[0], nil
}

// agentOf finds the boot that a key speaks for. Only the newest agent of a machine is heard: a boot that another one followed has ended.
func agentOf(tx inventory.Tx, key string) (*inventory.BootAttempt, *inventory.Device, error) {
	if key == "" {
		return nil, nil, ErrAgent
	}
	at, err := one[inventory.BootAttempt](tx, inventory.Is("agent_key", key))
	if errors.Is(err, inventory.ErrNotFound) || err == nil && at.EndedAt != nil {
		return nil, nil, ErrAgent
	}
	if err != nil {
		return nil, nil, err
	}
	d, err := inventory.TxGet[inventory.Device](tx, string(at.Device))
	if errors.Is(err, inventory.ErrNotFound) {
		return nil, nil, ErrAgent
	}
	return at, d, err
}

// Report takes what an agent saw.
func (s *Service) Report(ctx context.Context, key string, facts inventory.Facts) error {
	facts.Source = inventory.SourceAgent
	var device inventory.UID
	err := s.Ledger.Edit(ctx, agentRequest("agent"), func(tx inventory.Tx) error {
		at, d, err := agentOf(tx, key)
		if err != nil {
			return err
		}
		facts.ObservedAt = tx.Now()
		d, err = s.observe(tx, d, at, facts)
		if err != nil {
			return err
		}
		device = d.UID
		if d.Operation == "" {
			return nil
		}
		return wake(tx, d.Operation)
	})
	if err == nil {
		s.alive.report(device, key, s.Now())
		s.hub.poke(device)
	}
	return err
}

// Next gives an agent its assignment, or lets it wait. It holds the request for as long as the agent asked, at most half a minute.
func (s *Service) Next(ctx context.Context, key string, ask api.NextRequest) (api.Assignment, error) {
	wait := min(max(time.Duration(ask.WaitSeconds)*time.Second, 0), maxPoll)
	ctx, stop := context.WithTimeout(ctx, wait+time.Second)
	defer stop()
	device, a, err := s.look(ctx, key)
	if err != nil || a.Verb != api.VerbWait {
		return a, err
	}
	// Subscribe first, then look again: what happens in between is not missed.
	poke, unsubscribe := s.hub.subscribe(device)
	defer unsubscribe()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	// Another server on the same database may hand out the assignment; no poke comes from there.
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		_, a, err := s.look(ctx, key)
		if err != nil || a.Verb != api.VerbWait {
			return a, err
		}
		select {
		case <-timer.C:
			return a, nil
		case <-ctx.Done():
			return a, ctx.Err()
		case <-poke:
		case <-tick.C:
		}
	}
}

// look finds what the agent has to do now.
func (s *Service) look(ctx context.Context, key string) (inventory.UID, api.Assignment, error) {
	nothing := api.Assignment{Verb: api.VerbWait}
	at, err := s.attempt(ctx, key)
	if err != nil {
		return "", nothing, err
	}
	d, err := inventory.Get[inventory.Device](ctx, s.Ledger, string(at.Device))
	if err != nil {
		return "", nothing, ErrAgent
	}
	if s.alive.see(d.UID, key, s.Now()) && d.Operation != "" {
		// The agent came back after a silence: a step may be waiting for just that.
		err := s.Ledger.Edit(ctx, agentRequest("agent"), func(tx inventory.Tx) error { return wake(tx, d.Operation) })
		if err != nil {
			return d.UID, nothing, err
		}
	}
	if d.Operation == "" || !d.ProvisionState.Accepted() {
		return d.UID, nothing, nil
	}
	steps, err := inventory.List[inventory.Step](ctx, s.Ledger, stepsOf(d.Operation))
	if err != nil {
		return d.UID, nothing, err
	}
	for _, st := range steps {
		if st.Assignment == "" {
			continue
		}
		var data agentData
		if err := readData(st, &data); err != nil || data.Assignment == nil || data.Key != key {
			return d.UID, nothing, err
		}
		return d.UID, *data.Assignment, nil
	}
	return d.UID, nothing, nil
}

func (s *Service) attempt(ctx context.Context, key string) (*inventory.BootAttempt, error) {
	if key == "" {
		return nil, ErrAgent
	}
	items, err := inventory.List[inventory.BootAttempt](ctx, s.Ledger, inventory.Query{Filters: []inventory.Filter{inventory.Is("agent_key", key)}, Limit: 2})
	if err != nil {
		return nil, err
	}
	if len(items) != 1 || items[0].EndedAt != nil {
		return nil, ErrAgent
	}
	return items[0], nil
}

// held finds the step that an agent holds under an assignment's id, within the machine it speaks for.
func held(tx inventory.Tx, key, id string) (*inventory.Step, agentData, error) {
	var data agentData
	_, d, err := agentOf(tx, key)
	if err != nil {
		return nil, data, err
	}
	st, err := one[inventory.Step](tx, inventory.Is("assignment", id))
	if err != nil && !errors.Is(err, inventory.ErrNotFound) {
		return nil, data, err
	}
	if id == "" || err != nil || st.Operation != d.Operation || d.Operation == "" {
		return nil, data, ErrRevoked
	}
	if err := readData(st, &data); err != nil {
		return nil, data, err
	}
	if data.Key != key {
		return nil, data, ErrRevoked
	}
	return st, data, nil
}

// Progress notes how far an agent is, and tells it whether it may go on.
func (s *Service) Progress(ctx context.Context, key, id string, p api.Progress) (api.ProgressAnswer, error) {
	var device inventory.UID
	err := s.Ledger.Edit(ctx, agentRequest("agent"), func(tx inventory.Tx) error {
		st, data, err := held(tx, key, id)
		if err != nil {
			return err
		}
		device = data.Device
		st.Phase, st.Done, st.Total = clip(p.Phase, 40), max(p.Done, 0), max(p.Total, 0)
		if w := data.Assignment.Write; w != nil && (p.Begins || p.Done > 0) && !data.Touched {
			// Told before the first byte changes. From here on what is on the disk is ours, whichever agent finds it, and however much of it.
			data.Touched = true
			if st.Data, err = json.Marshal(data); err != nil {
				return err
			}
			if err := writtenDisk(tx, data.Device, storage.Disk{Serial: w.Disk.Serial, WWN: w.Disk.WWN}, halfWritten, ""); err != nil {
				return err
			}
		}
		return tx.Update(st)
	})
	if errors.Is(err, ErrRevoked) {
		return api.ProgressAnswer{Stop: true, Reason: "the operation was cancelled, or the step was given to a newer agent"}, nil
	}
	if err == nil {
		s.alive.see(device, key, s.Now())
	}
	return api.ProgressAnswer{}, err
}

// Result takes the end of an assignment. The same result may be delivered again.
func (s *Service) Result(ctx context.Context, key, id string, result api.Result) error {
	return s.Ledger.Edit(ctx, agentRequest("agent"), func(tx inventory.Tx) error {
		st, data, err := held(tx, key, id)
		if errors.Is(err, ErrRevoked) && s.delivered(tx, key, id) {
			return nil
		}
		if err != nil {
			return err
		}
		result.Error = clip(result.Error, 1000)
		data.Result, data.Touched = &result, data.Touched || result.Touched
		if st.Data, err = json.Marshal(data); err != nil {
			return err
		}
		st.Assignment = ""
		if err := tx.Update(st); err != nil {
			return err
		}
		return wake(tx, st.Operation)
	})
}

// delivered tells whether the result of an assignment is already here.
func (s *Service) delivered(tx inventory.Tx, key, id string) bool {
	_, d, err := agentOf(tx, key)
	if err != nil || d.Operation == "" {
		return false
	}
	steps, err := inventory.TxList[inventory.Step](tx, stepsOf(d.Operation))
	if err != nil {
		return false
	}
	for _, st := range steps {
		var data agentData
		if readData(st, &data) == nil && data.Assignment != nil && data.Assignment.ID == id && data.Result != nil {
			return true
		}
	}
	return false
}

// logRoom is how many more lines of an attempt may be kept.
func logRoom(tx inventory.Tx, attempt inventory.UID) (int, error) {
	page, err := tx.List(inventory.NounFor[inventory.Event](), inventory.Query{Filters: []inventory.Filter{inventory.Is("attempt", attempt), inventory.Is("source", "agent")},
		Limit: 1, Count: true, NoNames: true})
	if err != nil {
		return 0, err
	}
	return max(0, maxBootLines-int(page.Total)), nil
}

// Log puts an agent's lines on the timeline.
func (s *Service) Log(ctx context.Context, key string, lines api.LogLines) error {
	return s.Ledger.Edit(ctx, agentRequest("agent"), func(tx inventory.Tx) error {
		at, d, err := agentOf(tx, key)
		if err != nil {
			return err
		}
		room, err := logRoom(tx, at.UID)
		if err != nil {
			return err
		}
		for i, l := range lines.Lines {
			if i == min(maxLogLines, room) {
				break
			}
			if i == room-1 {
				l.Text = fmt.Sprintf("the agent said more than %d lines in this boot: the rest is not kept", maxBootLines)
			}
			e := inventory.Event{Device: d.UID, Attempt: at.UID, Operation: d.Operation, Source: "agent", Text: l.Text}
			// An agent's clock is right only after it registered; a line from another day would sink out of sight.
			if now := tx.Now(); l.At.After(now.Add(-time.Hour)) && l.At.Before(now.Add(time.Minute)) {
				e.At = l.At
			}
			if err := note(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// Booted takes the one report of an installed system.
func (s *Service) Booted(ctx context.Context, token string, report api.BootReport) error {
	return s.Ledger.Edit(ctx, agentRequest("installed system"), func(tx inventory.Tx) error {
		at, err := one[inventory.BootAttempt](tx, inventory.Is("token_hash", hashOf(token)))
		if errors.Is(err, inventory.ErrNotFound) || err == nil && at.Offered != "local" {
			return ErrToken
		}
		if err != nil {
			return err
		}
		if at.TokenUsedAt != nil {
			return nil // the answer to the first one was lost
		}
		now := tx.Now()
		at.TokenUsedAt, at.EndedAt, at.Outcome = &now, &now, "local"
		at.Sentence = fmt.Sprintf("%s is up: %s, kernel %s", clip(report.Hostname, 100), clip(report.OS, 100), clip(report.Kernel, 100))
		if err := tx.Update(at); err != nil {
			return err
		}
		d, err := inventory.TxGet[inventory.Device](tx, string(at.Device))
		if err != nil {
			return err
		}
		d.HostKeys, d.Addresses, d.SeenAt = clipList(report.HostKeys, 20, 1000), clipList(report.Addresses, 50, 60), &now
		if err := tx.Update(d); err != nil {
			return err
		}
		if err := note(tx, inventory.Event{Device: d.UID, Attempt: at.UID, Operation: at.Operation, Source: "system", Text: at.Sentence}); err != nil {
			return err
		}
		return wake(tx, at.Operation)
	})
}

func clipList(list []string, n, each int) []string {
	if len(list) > n {
		list = list[:n]
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = clip(s, each)
	}
	return out
}

// agentData is what a step remembers that an agent carries out.
type agentData struct {
	Device     inventory.UID   `json:"device,omitempty"`
	Key        string          `json:"key,omitempty"` // the agent it was handed to
	Assignment *api.Assignment `json:"assignment,omitempty"`
	Result     *api.Result     `json:"result,omitempty"`
	// Touched is set as soon as a byte of a disk may have changed, and never cleared.
	Touched bool `json:"touched,omitempty"`
	// Disk is what a write was to be made to, kept when the assignment itself is gone.
	Disk *api.DiskRef `json:"disk,omitempty"`
	// BootToken is the hash of the token in the seed that was written.
	BootToken string `json:"boot_token,omitempty"`
}

// unknown tells whether an assignment that was not answered may have changed a disk without our knowledge. A write cannot: its agent
// says that it begins before it does.
func (d agentData) unknown() bool {
	return d.Assignment != nil && d.Assignment.Write == nil && d.Result == nil
}

// hub wakes the long polls of machines.
type hub struct {
	mu      sync.Mutex
	waiting map[inventory.UID]map[chan struct{}]bool
}

func (h *hub) init() { h.waiting = map[inventory.UID]map[chan struct{}]bool{} }

func (h *hub) subscribe(d inventory.UID) (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting[d] == nil {
		h.waiting[d] = map[chan struct{}]bool{}
	}
	h.waiting[d][ch] = true
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.waiting[d], ch)
		if len(h.waiting[d]) == 0 {
			delete(h.waiting, d)
		}
	}
}

func (h *hub) poke(d inventory.UID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.waiting[d] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// alive remembers which agents were heard lately. It is in memory only: after a restart an agent is there again as soon as it asks.
type alive struct {
	mu    sync.Mutex
	seen  map[inventory.UID]lastWord
	since time.Time
}

type lastWord struct {
	key      string
	at       time.Time
	reported time.Time
}

func (a *alive) init() { a.seen = map[inventory.UID]lastWord{} }

// see notes that an agent spoke, and tells whether that is news: it is another one, or it was silent.
func (a *alive) see(d inventory.UID, key string, now time.Time) (news bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	last := a.seen[d]
	news = last.key != key || now.Sub(last.at) > agentAlive
	if last.key != key {
		last = lastWord{key: key}
	}
	last.at = now
	a.seen[d] = last
	return news
}

func (a *alive) report(d inventory.UID, key string, now time.Time) {
	a.see(d, key, now)
	a.mu.Lock()
	defer a.mu.Unlock()
	last := a.seen[d]
	last.reported = now
	a.seen[d] = last
}

// agent gives the key of the agent that is there now; empty when none is.
func (a *alive) agent(d inventory.UID, now time.Time) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if last := a.seen[d]; now.Sub(last.at) <= agentAlive {
		return last.key
	}
	return ""
}

// silence is how long the machine's agent has not been heard; since the server's start at most.
func (a *alive) silence(d inventory.UID, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.since.IsZero() {
		a.since = now
	}
	last := a.seen[d].at
	if last.Before(a.since) {
		last = a.since
	}
	return now.Sub(last)
}

func (a *alive) forget(d inventory.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.seen, d)
}
