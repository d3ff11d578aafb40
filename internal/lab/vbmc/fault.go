package vbmc

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// FaultKind is one way in which a controller misbehaves.
type FaultKind string

// The faults. Each says what a client sees over Redfish and over IPMI.
const (
	// PowerIgnored: power actions are answered with success and nothing happens.
	PowerIgnored FaultKind = "power-ignored"
	// StuckOn: the power state reads "on" whatever is; switching off succeeds
	// and does nothing.
	StuckOn FaultKind = "stuck-on"
	// Unauthorized: every credential is wrong: 401, or a failed RAKP exchange.
	Unauthorized FaultKind = "unauthorized"
	// ServerError: 500 for everything, or completion code FFh.
	ServerError FaultKind = "server-error"
	// NoAnswer: connections are taken and requests read, but never answered.
	NoAnswer FaultKind = "no-answer"
	// Slow: each answer comes Delay late.
	Slow FaultKind = "slow"
	// SessionLimit: no new session: 503, or "insufficient resources" on opening.
	SessionLimit FaultKind = "session-limit"
	// OverrideIgnored: a boot override is answered with success and not taken.
	OverrideIgnored FaultKind = "override-ignored"
	// OverrideReverted: a boot override is taken and reads back, and is gone at
	// the next power action, before the server could obey it.
	OverrideReverted FaultKind = "override-reverted"
	// Resetting: the next request makes the controller restart in the middle:
	// the connection is dropped, and it is back after Delay. Ends by itself.
	Resetting FaultKind = "resetting"
	// EmptyInventory: the controller has forgotten the hardware: collections
	// without members, no serial numbers, no FRU. The power still works.
	EmptyInventory FaultKind = "empty-inventory"
	// Malformed: answers are cut in half: JSON that does not parse, or a
	// response shorter than its command's.
	Malformed FaultKind = "malformed"
)

// Faults lists every kind, for help texts.
func Faults() []FaultKind {
	return []FaultKind{
		PowerIgnored, StuckOn, Unauthorized, ServerError, NoAnswer, Slow, SessionLimit,
		OverrideIgnored, OverrideReverted, Resetting, EmptyInventory, Malformed,
	}
}

// ParseFault finds a kind by its name.
func ParseFault(name string) (FaultKind, error) {
	if k := FaultKind(name); slices.Contains(Faults(), k) {
		return k, nil
	}
	return "", fmt.Errorf("no fault is named %q; there are %v", name, Faults())
}

// Fault is a misbehaviour to inject.
type Fault struct {
	Kind FaultKind
	// Times is how often it strikes before it ends by itself; 0 is without end.
	Times int
	// Delay belongs to Slow and Resetting; 0 is one second.
	Delay time.Duration
	// Only limits the faults of the controller as a whole (Unauthorized,
	// ServerError, NoAnswer, Slow, Resetting, Malformed) to requests that
	// contain it: a Redfish line such as "GET /redfish/v1/Systems/1", or the
	// name of an IPMI command for ServerError and Malformed. "" is all.
	Only string
}

// delay is Delay or its default.
func (f Fault) delay() time.Duration {
	if f.Delay <= 0 {
		return time.Second
	}
	return f.Delay
}

// Inject makes the controller misbehave until remove is called, Clear is, or
// the fault has struck often enough. A second fault of the same kind replaces
// the first.
func (b *BMC) Inject(f Fault) (remove func()) {
	if f.Kind == Resetting && f.Times == 0 {
		f.Times = 1 // a controller that restarts at each request is NoAnswer
	}
	return b.faults.inject(f)
}

// Clear ends every fault.
func (b *BMC) Clear() { b.faults.clear() }

// Injected lists the faults that are in force.
func (b *BMC) Injected() []Fault { return b.faults.list() }

// faultSet holds the faults in force.
type faultSet struct {
	mu     sync.Mutex
	active []*Fault
}

func (s *faultSet) inject(f Fault) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = slices.DeleteFunc(s.active, func(o *Fault) bool { return o.Kind == f.Kind })
	held := &f
	s.active = append(s.active, held)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.active = slices.DeleteFunc(s.active, func(o *Fault) bool { return o == held })
	}
}

func (s *faultSet) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = nil
}

func (s *faultSet) list() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Fault, 0, len(s.active))
	for _, f := range s.active {
		list = append(list, *f)
	}
	return list
}

// strikes reports whether a fault of this kind is in force for a request, and
// counts it.
func (s *faultSet) strikes(kind FaultKind, request string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.active {
		if f.Kind != kind || !strings.Contains(request, f.Only) {
			continue
		}
		struck := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.active = slices.Delete(s.active, i, i+1)
			}
		}
		return struck, true
	}
	return Fault{}, false
}
