package inventory

import "fmt"

// State is where a machine stands between the first packet and its end. What is being done to it is its current Operation,
// never a state.
type State string

// The states of a machine.
const (
	StateNone        State = ""            // not a machine: a device that berth does not boot
	StateUnknown     State = "unknown"     // a packet was seen
	StateDiscovered  State = "discovered"  // it reported; nobody accepted it
	StateReady       State = "ready"       // accepted; nothing of ours on it
	StateForeign     State = "foreign"     // accepted; runs what berth did not write, and is only ever offered its local disk
	StateDeployed    State = "deployed"    // runs an image that berth wrote and checked
	StateQuarantined State = "quarantined" // something went wrong half way; the reason says what, a person decides
	StateRetired     State = "retired"
)

// States lists them in the order of a machine's life.
var States = []State{StateUnknown, StateDiscovered, StateReady, StateForeign, StateDeployed, StateQuarantined, StateRetired}

// Accepted tells whether a person or a rule has said that the machine is ours to work on.
func (s State) Accepted() bool {
	switch s {
	case StateReady, StateForeign, StateDeployed, StateQuarantined:
		return true
	}
	return false
}

// follows says which state may follow which, and by what.
var follows = map[State]map[State]string{
	StateNone:        {StateUnknown: "a packet was seen", StateForeign: "adopted", StateReady: "accepted by hand"},
	StateUnknown:     {StateDiscovered: "the agent or a BMC reported", StateForeign: "adopted", StateReady: "accepted by hand", StateRetired: "retired"},
	StateDiscovered:  {StateReady: "accepted", StateForeign: "adopted", StateRetired: "retired"},
	StateReady:       {StateDeployed: "deployed", StateForeign: "adopted", StateQuarantined: "an operation failed half way", StateRetired: "retired"},
	StateForeign:     {StateReady: "released to berth by a person", StateDeployed: "reimaged with consent", StateQuarantined: "an operation failed half way", StateRetired: "retired"},
	StateDeployed:    {StateReady: "released", StateForeign: "somebody else installed it", StateQuarantined: "an operation failed half way", StateRetired: "retired"},
	StateQuarantined: {StateReady: "cleared by a person", StateDeployed: "reimaged, or found well by a person", StateForeign: "adopted", StateRetired: "retired"},
	StateRetired:     {StateReady: "brought back by a person", StateDiscovered: "it asked the network again"},
}

// MayFollow tells whether a machine in state s may become next, and by what.
func (s State) MayFollow(next State) (by string, ok bool) {
	by, ok = follows[s][next]
	return by, ok
}

// Become moves a machine to the state next. Quarantine needs a reason. Errors: *Conflict.
func (d *Device) Become(next State, reason string) error {
	if d.ProvisionState == next {
		d.StateReason = reason
		return nil
	}
	if _, ok := d.ProvisionState.MayFollow(next); !ok {
		return &Conflict{Noun: "machine", UID: d.UID, Why: fmt.Sprintf("%s is %s and cannot become %s", d.Name, d.ProvisionState, next)}
	}
	if next == StateQuarantined && reason == "" {
		return &Conflict{Noun: "machine", UID: d.UID, Why: "a quarantined machine needs a reason"}
	}
	d.ProvisionState, d.StateReason = next, reason
	return nil
}
