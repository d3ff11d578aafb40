package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"berth/agent/agenttest"
	"berth/api"
	"berth/inventory"
)

// testLimit is how long a test waits for what must happen; nothing is measured by it.
const testLimit = 30 * time.Second

// sample is a machine to report.
func sample() inventory.Facts {
	return inventory.Facts{Source: inventory.SourceAgent, System: inventory.SystemFacts{Serial: "S-1"}}
}

func newAgent(t *testing.T, s *agenttest.Server) *Agent {
	t.Helper()
	client, err := NewClient(s.URL(), s.Pin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &Agent{
		Server: client, Token: s.Token, Version: "test", Log: slog.New(slog.DiscardHandler),
		Identify: func(context.Context) api.Registration {
			return api.Registration{UUID: "u-1", MACs: []string{"52:54:00:00:00:01"}}
		},
		Look: func(context.Context) inventory.Facts { return sample() },
	}
}

type outcome struct {
	ending Ending
	err    error
}

// start runs an agent until the test ends or it does.
func start(t *testing.T, a *Agent) <-chan outcome {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended, done := make(chan outcome, 1), make(chan struct{})
	go func() {
		defer close(done)
		ending, err := a.Run(ctx)
		ended <- outcome{ending, err}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return ended
}

func wait(t *testing.T, ended <-chan outcome, want Ending) {
	t.Helper()
	select {
	case got := <-ended:
		if got.err != nil || got.ending != want {
			t.Fatalf("ended with %q, %v; want %q", got.ending, got.err, want)
		}
	case <-time.After(testLimit):
		t.Fatalf("did not end within %s", testLimit)
	}
}

func TestAgentRegistersReportsAndObeys(t *testing.T) {
	for verb, want := range map[api.Verb]Ending{api.VerbReboot: EndReboot, api.VerbPowerOff: EndPowerOff} {
		t.Run(string(verb), func(t *testing.T) {
			server := agenttest.Start(t)
			a := newAgent(t, server)
			var mu sync.Mutex
			var said []string
			a.Say = func(s string) { mu.Lock(); defer mu.Unlock(); said = append(said, s) }
			var clock time.Time
			a.SetClock = func(now time.Time) error { clock = now; return nil }
			later := make(chan inventory.Facts, 1)
			a.Later = later
			ended := start(t, a)

			server.Wait(t, "the report", testLimit, func(s agenttest.State) bool { return len(s.Facts) == 1 })
			seen := sample()
			seen.NICs = []inventory.NICFacts{{Name: "eth0", LLDP: &inventory.NeighborFacts{SystemName: "leaf-1"}}}
			later <- seen
			state := server.Wait(t, "the later report", testLimit, func(s agenttest.State) bool { return len(s.Facts) == 2 })
			if got := state.Facts[1].NICs[0].LLDP.SystemName; got != "leaf-1" {
				t.Errorf("the later report has neighbour %q", got)
			}
			server.Assign(api.Assignment{ID: "a-1", Verb: api.VerbInspect})
			server.Assign(api.Assignment{ID: "a-2", Verb: verb})
			wait(t, ended, want)

			state = server.State()
			r := state.Registrations[0]
			if len(state.Registrations) != 1 || r.Token != server.Token || r.UUID != "u-1" || r.Version != "test" {
				t.Errorf("registrations %+v", state.Registrations)
			}
			if len(state.Facts) != 3 || state.Results["a-1"] != (api.Result{}) || state.Deliveries != 2 {
				t.Errorf("heard %+v", state)
			}
			if clock.IsZero() {
				t.Error("the clock was not set")
			}
			if !strings.Contains(strings.Join(said, "\n"), "registered: this is rack1-u7") {
				t.Errorf("said %q", said)
			}
		})
	}
}

func TestUnknownVerbIsRefusedForGood(t *testing.T) {
	server := agenttest.Start(t)
	server.Assign(api.Assignment{ID: "a-1", Verb: "levitate"})
	start(t, newAgent(t, server))
	if result := server.Result(t, "a-1", testLimit); !result.Permanent || result.Touched || !strings.Contains(result.Error, "levitate") {
		t.Errorf("result %+v", result)
	}
}

func TestPassedDeadlineIsToldInTheServersTime(t *testing.T) {
	server := agenttest.Start(t)
	server.Assign(api.Assignment{ID: "late", Verb: api.VerbInspect, Deadline: time.Now().Add(-time.Minute)})
	server.Assign(api.Assignment{ID: "good", Verb: api.VerbInspect, Deadline: time.Now().Add(time.Minute)})
	start(t, newAgent(t, server))
	if result := server.Result(t, "late", testLimit); result.Permanent || !strings.Contains(result.Error, "deadline") {
		t.Errorf("late: %+v", result)
	}
	if result := server.Result(t, "good", testLimit); result.Error != "" {
		t.Errorf("good: %+v", result)
	}
}

// Whatever becomes of any single exchange, each assignment is carried out once and its result delivered.
func TestEveryExchangeMayFail(t *testing.T) {
	faults := []agenttest.Fault{agenttest.CutBefore, agenttest.CutAfter, agenttest.Broken, agenttest.Garbage, agenttest.Endless}
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			server := agenttest.Start(t)
			var mu sync.Mutex
			server.Fault = func(int, string) agenttest.Fault {
				mu.Lock()
				defer mu.Unlock()
				if random.IntN(2) == 0 {
					return agenttest.None
				}
				return faults[random.IntN(len(faults))]
			}
			a := newAgent(t, server)
			var looks []time.Time
			a.Look = func(context.Context) inventory.Facts { looks = append(looks, time.Now()); return sample() }
			ended := start(t, a)
			for i := range 4 {
				server.Assign(api.Assignment{ID: fmt.Sprint("a-", i), Verb: api.VerbInspect})
			}
			server.Assign(api.Assignment{ID: "end", Verb: api.VerbReboot})
			wait(t, ended, EndReboot)
			state := server.State()
			if len(looks) != 5 { // the first, and once for each assignment, however often it was handed out
				t.Errorf("looked %d times", len(looks))
			}
			if len(state.Results) != 5 || state.Refused != 0 {
				t.Errorf("heard %+v", state)
			}
		})
	}
}

// A server that is killed and started again, at every request of the story in turn, changes nothing but how long it takes.
func TestServerKilledAtEveryRequest(t *testing.T) {
	for at := range 8 {
		for _, fault := range []agenttest.Fault{agenttest.CutBefore, agenttest.CutAfter} {
			t.Run(fmt.Sprint("request ", at, " fault ", fault), func(t *testing.T) {
				t.Parallel()
				server := agenttest.Start(t)
				killed := make(chan struct{})
				server.Fault = func(number int, _ string) agenttest.Fault {
					if number != at {
						return agenttest.None
					}
					go func() { server.Stop(); time.Sleep(100 * time.Millisecond); server.Restart(t); close(killed) }()
					return fault
				}
				ended := start(t, newAgent(t, server))
				server.Assign(api.Assignment{ID: "a-1", Verb: api.VerbInspect})
				server.Assign(api.Assignment{ID: "a-2", Verb: api.VerbInspect})
				server.Assign(api.Assignment{ID: "a-3", Verb: api.VerbReboot})
				wait(t, ended, EndReboot)
				if at < 6 {
					<-killed
				}
				if state := server.State(); len(state.Results) != 3 || state.Refused != 0 {
					t.Errorf("heard %+v", state)
				}
			})
		}
	}
}

func TestForgottenSessionIsRegisteredAgain(t *testing.T) {
	server := agenttest.Start(t)
	ended := start(t, newAgent(t, server))
	server.Wait(t, "the report", testLimit, func(s agenttest.State) bool { return len(s.Facts) == 1 })
	server.Forget()
	server.Assign(api.Assignment{ID: "a-1", Verb: api.VerbReboot})
	wait(t, ended, EndReboot)
	if state := server.State(); len(state.Registrations) != 2 {
		t.Errorf("registrations %+v", state.Registrations)
	}
}

func TestAgentGivesUp(t *testing.T) {
	t.Run("without a server", func(t *testing.T) {
		server := agenttest.Start(t)
		a := newAgent(t, server)
		server.Stop()
		_, err := a.register(context.Background(), 300*time.Millisecond)
		if !errors.Is(err, errGaveUp) {
			t.Errorf("register: %v", err)
		}
	})
	t.Run("without work", func(t *testing.T) {
		server := agenttest.Start(t)
		a := newAgent(t, server)
		if _, err := a.register(context.Background(), testLimit); err != nil {
			t.Fatal(err)
		}
		if _, err := a.work(context.Background(), 300*time.Millisecond); !errors.Is(err, errGaveUp) {
			t.Errorf("work: %v", err)
		}
	})
	t.Run("with a bad token", func(t *testing.T) {
		server := agenttest.Start(t)
		a := newAgent(t, server)
		a.Token = "another"
		if _, err := a.register(context.Background(), 300*time.Millisecond); !errors.Is(err, errGaveUp) {
			t.Errorf("register: %v", err)
		}
		if state := server.State(); state.Refused == 0 || len(state.Registrations) != 0 {
			t.Errorf("heard %+v", state)
		}
	})
}

func TestGiveUpIsBounded(t *testing.T) {
	a := &Agent{}
	for asked, want := range map[time.Duration]time.Duration{
		0: DefaultGiveUp, -time.Hour: minGiveUp, time.Minute: time.Minute, 1000 * time.Hour: maxGiveUp,
	} {
		if got := a.giveUpAfter(asked); got != want {
			t.Errorf("giveUpAfter(%s) = %s, want %s", asked, got, want)
		}
	}
}

func TestTimelineKeepsTheNewest(t *testing.T) {
	var line timeline
	for i := range timelineLines + 50 {
		line.add(api.LogLine{Text: fmt.Sprint("line ", i)})
	}
	got := line.take()
	if len(got) != timelineLines || got[0].Text != "(51 lines before this were lost)" || got[timelineLines-1].Text != "line 249" {
		t.Errorf("%d lines, first %q, last %q", len(got), got[0].Text, got[len(got)-1].Text)
	}
	line.add(api.LogLine{Text: "newer"})
	line.giveBack(got[:10])
	if got := line.take(); len(got) != 11 || got[10].Text != "newer" {
		t.Errorf("after giving back: %+v", got)
	}
}

// A device that never answers keeps a look for ever. The deadline ends the assignment, and the machine can be told to reboot.
func TestLookThatNeverEnds(t *testing.T) {
	server := agenttest.Start(t)
	a := newAgent(t, server)
	a.rightToWrite = 100 * time.Millisecond
	var looks atomic.Int32
	forever := make(chan struct{})
	a.Look = func(context.Context) inventory.Facts {
		if looks.Add(1) > 1 {
			<-forever
		}
		return sample()
	}
	t.Cleanup(func() { close(forever) })
	ended := start(t, a)
	server.Assign(api.Assignment{ID: "a-1", Verb: api.VerbInspect, Deadline: time.Now().Add(time.Second)})
	server.Assign(api.Assignment{ID: "a-2", Verb: api.VerbReboot})
	if result := server.Result(t, "a-1", testLimit); !strings.Contains(result.Error, "does not answer") || result.Permanent || result.Touched {
		t.Errorf("result %+v", result)
	}
	wait(t, ended, EndReboot)
}
