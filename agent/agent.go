package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"berth/api"
	"berth/inventory"
)

const (
	// DefaultGiveUp is how long an agent without work waits before it hands the machine back to its local disk, until a server
	// says otherwise.
	DefaultGiveUp = 15 * time.Minute
	minGiveUp     = 10 * time.Second
	maxGiveUp     = 24 * time.Hour

	// firstPause and longestPause bound the pause before something that failed is tried again; see backoff.
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
	refusedPause = time.Minute

	// lookLimit is how long the first look holds up the first question for work. A device that does not answer may keep a look for
	// ever; the machine can be told to reboot all the same.
	lookLimit = time.Minute

	// rememberedResults is how many finished assignments an agent can repeat the result of.
	rememberedResults = 64
)

// Ending is why Run returned without an error.
type Ending string

// The endings.
const (
	EndReboot   Ending = "reboot"    // told to reboot
	EndPowerOff Ending = "power off" // told to power off
	EndGaveUp   Ending = "gave up"   // no work, or no server, for too long: the machine goes back to its local disk
)

// Agent is one agent on one machine. Server, Token, Identify and Look are needed; the rest has good zero values.
type Agent struct {
	Server  *Client
	Token   string // one-time, from the kernel command line
	Version string

	// Identify yields what is known of the machine within milliseconds; Token and Version are filled in by Run.
	Identify func(ctx context.Context) api.Registration
	// Look inspects the hardware. It bounds itself and reports what it could not read among the facts.
	Look func(ctx context.Context) inventory.Facts
	// Later carries facts that arrive after the first look (a switch speaks LLDP every 30 s); each is reported. Nil is none.
	Later <-chan inventory.Facts

	// Disks reaches the disks that may be written. Nil refuses every write.
	Disks *Disks
	// SetClock sets the machine's clock by the server's. Nil leaves it, and deadlines are then counted in the server's time.
	SetClock func(time.Time) error
	// GiveUp is how long to look for a server; zero is DefaultGiveUp. A session brings its own.
	GiveUp time.Duration
	// Say tells a person in front of the machine, in a sentence. It is called by several goroutines. Nil is silence.
	Say func(sentence string)
	Log *slog.Logger

	// offset is the server's time minus ours, so that deadlines are right also where the clock may not be set.
	offset   atomic.Int64 // time.Duration
	timeline timeline
	finished results
	begun    begun
	// rightToWrite shortens RightToWrite; zero does not.
	rightToWrite time.Duration
}

// Run registers, reports, and works until the server or its absence ends it. It returns an error only when ctx ends or an Agent is
// not usable; what goes wrong on the wire is tried again until it is time to give up.
func (a *Agent) Run(ctx context.Context) (Ending, error) {
	if a.Server == nil || a.Look == nil || a.Identify == nil {
		return "", errors.New("an agent needs a server, and ways to identify and look at its machine")
	}
	if a.Log == nil {
		a.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()

	seen := make(chan inventory.Facts, 1)
	go func() { seen <- a.Look(ctx) }() // not waited for at the end: see lookLimit

	giveUp, err := a.register(ctx, a.giveUpAfter(a.GiveUp))
	if err != nil {
		return a.ended(ctx, err)
	}
	background.Go(func() { a.sendTimeline(ctx) })
	background.Go(func() { a.reportLater(ctx) })

	reported := make(chan struct{})
	background.Go(func() { defer close(reported); a.reportFirst(ctx, seen) })
	select {
	case <-reported:
	case <-time.After(lookLimit):
		a.say("looking at this machine takes longer than %s; going on without", lookLimit)
	case <-ctx.Done():
		return "", ctx.Err()
	}
	ending, err := a.work(ctx, giveUp)
	if err != nil {
		return a.ended(ctx, err)
	}
	a.flushTimeline(ctx)
	return ending, nil
}

// errGaveUp ends the loop for want of a server or of work.
var errGaveUp = errors.New("nothing to do")

func (a *Agent) ended(ctx context.Context, err error) (Ending, error) {
	if errors.Is(err, errGaveUp) && ctx.Err() == nil {
		return EndGaveUp, nil
	}
	return "", err
}

// giveUpAfter bounds what a server or a flag asks for.
func (a *Agent) giveUpAfter(d time.Duration) time.Duration {
	if d == 0 {
		d = DefaultGiveUp
	}
	return min(max(d, minGiveUp), maxGiveUp)
}

// register tries until it has a session or limit has passed. It returns the session's own limit.
func (a *Agent) register(ctx context.Context, limit time.Duration) (time.Duration, error) {
	request := a.Identify(ctx)
	request.Token, request.Version = a.Token, a.Version
	a.say("waiting for the berth server, usually 2 s")
	tries := retry{until: time.Now().Add(limit)}
	for {
		session, err := a.Server.Register(ctx, request)
		if err == nil {
			a.welcome(session)
			return a.giveUpAfter(time.Duration(session.GiveUpAfterSeconds) * time.Second), nil
		}
		if tries.failed(err) {
			a.say("the server does not take this machine yet: %s", sentence(err))
		}
		if final(err) {
			tries.next = refusedPause // a token that was refused is not better for being shown more often, and each time may alarm
		}
		if err := tries.pause(ctx); err != nil {
			a.say("no server answered for %s", limit)
			return 0, err
		}
	}
}

// welcome takes the server's time and says who the server takes this machine for.
func (a *Agent) welcome(s api.Session) {
	now := time.Now()
	if !s.Now.IsZero() {
		offset := s.Now.Sub(now)
		if a.SetClock != nil {
			if err := a.SetClock(s.Now); err != nil {
				a.Log.Warn("set the clock", "error", err)
			} else {
				offset = 0
			}
		}
		a.offset.Store(int64(offset))
	}
	name := Clean(s.Name, 64)
	if name == "" {
		name = "a machine without a name yet"
	}
	if s.Accepted {
		a.say("registered: this is %s", name)
	} else {
		a.say("registered: this is %s; nobody has accepted it yet, so it only reports and waits", name)
	}
}

// report delivers facts. A server that refuses them is not asked again with the same.
func (a *Agent) report(ctx context.Context, facts inventory.Facts) {
	tries := retry{until: time.Now().Add(DefaultGiveUp)}
	for {
		err := a.Server.Report(ctx, facts)
		if err == nil {
			a.say("reported what was found: %s", Summary(facts))
			return
		}
		if final(err) {
			a.say("the server refused the report: %s", sentence(err))
			return
		}
		tries.failed(err)
		if tries.pause(ctx) != nil {
			return
		}
	}
}

// reportFirst reports the first look when it is done.
func (a *Agent) reportFirst(ctx context.Context, seen <-chan inventory.Facts) {
	select {
	case facts := <-seen:
		a.report(ctx, facts)
	case <-ctx.Done():
	}
}

// reportLater reports each of a.Later as it comes.
func (a *Agent) reportLater(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case facts, open := <-a.Later:
			if !open {
				return
			}
			a.report(ctx, facts)
		}
	}
}

// work asks for assignments and carries them out until one of them, or giveUp without any, ends the agent.
func (a *Agent) work(ctx context.Context, giveUp time.Duration) (Ending, error) {
	tries := retry{until: time.Now().Add(giveUp)}
	done := ""
	for {
		asked := time.Now()
		assignment, err := a.Server.Next(ctx, done)
		switch {
		case unknownHere(err):
			// The server lost this session, or never durably had it: only the token can bring it back.
			if giveUp, err = a.register(ctx, time.Until(tries.until)); err != nil {
				return "", err
			}
		case err != nil:
			if tries.failed(err) {
				a.say("the server is away: %s; asking again", sentence(err))
			}
		case assignment.Verb == api.VerbWait:
			tries.succeeded()
			if time.Since(asked) > time.Second {
				continueSoon(&tries)
			}
		default:
			tries.succeeded()
			ending, delivered, err := a.obey(ctx, assignment, giveUp)
			if err != nil || ending != "" {
				return ending, err
			}
			if delivered {
				done = assignment.ID
			}
			tries = retry{until: time.Now().Add(giveUp)}
			continue
		}
		if err := tries.pause(ctx); err != nil {
			a.say("no work for %s: going back to the local disk", giveUp)
			return "", err
		}
	}
}

// continueSoon is for an answer that took its time: asking again needs no pause, unlike an answer "wait" that came at once.
func continueSoon(r *retry) { r.next = 0 }

// obey carries out one assignment and delivers its result. It says whether the result was delivered, and how the agent ends if it does.
func (a *Agent) obey(ctx context.Context, assignment api.Assignment, limit time.Duration) (Ending, bool, error) {
	result, known := a.finished.get(assignment.ID)
	if !known {
		var err error
		if result, err = a.perform(ctx, assignment); err != nil {
			// Not finished and not failed: the server went away. What it hands out next decides.
			a.say("stopped %s: %s", assignment.Verb, sentence(err))
			return "", false, ctx.Err()
		}
		a.finished.put(assignment.ID, result)
	}
	if err := a.deliver(ctx, assignment.ID, result, limit); err != nil {
		return "", false, err
	}
	if result.Error != "" {
		return "", true, nil
	}
	switch assignment.Verb {
	case api.VerbReboot:
		return EndReboot, true, nil
	case api.VerbPowerOff:
		return EndPowerOff, true, nil
	}
	return "", true, nil
}

// deliver brings a result home, however often the server is away, until limit. An answer that the assignment is not wanted any
// more ends it as well: there is nobody left to tell.
func (a *Agent) deliver(ctx context.Context, id string, result api.Result, limit time.Duration) error {
	tries := retry{until: time.Now().Add(limit)}
	for {
		err := a.Server.Result(ctx, id, result)
		switch {
		case err == nil:
			return nil
		case unknownHere(err):
			if _, err := a.register(ctx, time.Until(tries.until)); err != nil {
				return err
			}
		case final(err):
			a.say("the server did not want the result of %s: %s", Clean(id, 64), sentence(err))
			return nil
		default:
			tries.failed(err)
		}
		if err := tries.pause(ctx); err != nil {
			return err
		}
	}
}

// final says that the server was there, understood, and will not say otherwise when asked again.
func final(err error) bool {
	var status *StatusError
	if !errors.As(err, &status) {
		return false
	}
	switch status.Code {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status.Code >= 400 && status.Code < 500
}

// unknownHere says that the server does not know this agent's key.
func unknownHere(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Code == http.StatusUnauthorized
}

// now is the server's time.
func (a *Agent) now() time.Time { return time.Now().Add(time.Duration(a.offset.Load())) }

// say tells the person at the machine and the timeline.
func (a *Agent) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if a.Say != nil {
		a.Say(text)
	}
	a.Log.Info(text)
	a.Note(text)
}

// Note puts a line on the timeline of this boot that need not be said aloud, such as one of the kernel's log.
func (a *Agent) Note(text string) {
	a.timeline.add(api.LogLine{At: a.now().UTC(), Text: text})
}

// sentence is an error for a person: bounded and printable, for parts of it came over the wire.
func sentence(err error) string { return Clean(err.Error(), 300) }

// retry paces what is tried again: soon at first, never more often than every firstPause, and no longer than until.
type retry struct {
	until time.Time
	next  time.Duration
	last  string
}

// failed notes err and says whether it is news, so that the same complaint is told once.
func (r *retry) failed(err error) bool {
	text := err.Error()
	news := text != r.last
	r.last = text
	return news
}

func (r *retry) succeeded() { r.next, r.last = firstPause, "" }

// pause waits a little longer each time. It fails when until has passed, and when ctx ends.
func (r *retry) pause(ctx context.Context) error {
	if !time.Now().Before(r.until) {
		return errGaveUp
	}
	// Half of the pause is fixed and half is drawn, so that a rack that lost its server does not come back as one.
	wait := r.next/2 + rand.N(r.next/2+1)
	r.next = min(max(2*r.next, firstPause), longestPause)
	return sleep(ctx, min(wait, time.Until(r.until)))
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// results remembers what came of the last assignments.
type results struct {
	byID  map[string]api.Result
	order []string
}

func (r *results) get(id string) (api.Result, bool) {
	result, known := r.byID[id]
	return result, known
}

func (r *results) put(id string, result api.Result) {
	if r.byID == nil {
		r.byID = map[string]api.Result{}
	}
	r.byID[id] = result
	r.order = append(r.order, id)
	if len(r.order) > rememberedResults {
		delete(r.byID, r.order[0])
		r.order = r.order[1:]
	}
}
