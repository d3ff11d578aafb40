package inventory

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// allowed is the life of a machine once more, written independently of the table: for each state, which may follow.
const allowed = `
(none)      -> unknown foreign ready
unknown     -> discovered foreign ready retired
discovered  -> ready foreign retired
ready       -> deployed foreign quarantined retired
foreign     -> ready deployed quarantined retired
deployed    -> ready foreign quarantined retired
quarantined -> ready deployed foreign retired
retired     -> ready discovered
`

// TestStates walks every pair of states: what may follow does, with a reason in words, and everything else is refused with a sentence
// and changes nothing.
func TestStates(t *testing.T) {
	may := map[[2]State]bool{}
	for line := range strings.Lines(strings.TrimSpace(allowed)) {
		from, to, _ := strings.Cut(line, "->")
		for _, next := range strings.Fields(to) {
			may[[2]State{State(strings.TrimSpace(strings.Replace(from, "(none)", "", 1))), State(next)}] = true
		}
	}
	everything := append([]State{StateNone}, States...)
	for _, from := range everything {
		for _, to := range everything {
			d := &Device{Name: "node-1", ProvisionState: from, StateReason: "before"}
			err := d.Become(to, "because")
			by, ok := from.MayFollow(to)
			want := may[[2]State{from, to}]
			switch {
			case ok != want || (by != "") != want:
				t.Errorf("%q to %q: the table says %v (%q), want %v", from, to, ok, by, want)
			case (want || from == to) && (err != nil || d.ProvisionState != to || d.StateReason != "because"):
				t.Errorf("%q to %q: %v, %+v", from, to, err, d)
			case !want && from != to:
				var conflict *Conflict
				if !errors.As(err, &conflict) || d.ProvisionState != from || d.StateReason != "before" {
					t.Errorf("%q to %q: %v, %q because %q", from, to, err, d.ProvisionState, d.StateReason)
				}
			}
		}
	}
}

// TestQuarantineNeedsAReason, because a person must find out what to do.
func TestQuarantineNeedsAReason(t *testing.T) {
	d := &Device{Name: "node-1", ProvisionState: StateReady}
	if err := d.Become(StateQuarantined, ""); err == nil || d.ProvisionState != StateReady {
		t.Errorf("%v, %s", err, d.ProvisionState)
	}
}

// TestNoWritesWithoutAcceptance: an operation that writes needs a state that only acceptance leads to.
func TestNoWritesWithoutAcceptance(t *testing.T) {
	for _, s := range append([]State{StateNone}, States...) {
		want := s == StateReady || s == StateForeign || s == StateDeployed || s == StateQuarantined
		if s.Accepted() != want {
			t.Errorf("%q: accepted is %v", s, s.Accepted())
		}
	}
	for _, s := range []State{StateNone, StateUnknown, StateDiscovered, StateRetired} {
		if _, ok := s.MayFollow(StateDeployed); ok {
			t.Errorf("%q may become deployed without having been accepted", s)
		}
	}
}

// TestStatesAreTheEnum: the field's declared values are the states.
func TestStatesAreTheEnum(t *testing.T) {
	f, _ := NounFor[Device]().Field("provision_state")
	var want []string
	for _, s := range append([]State{StateNone}, States...) {
		want = append(want, string(s))
	}
	if !slices.Equal(f.Values, want) {
		t.Errorf("the field has %v, the states are %v", f.Values, want)
	}
}

// statesPage is docs/states.md: the table as a picture.
func statesPage() string {
	var b strings.Builder
	b.WriteString("# The life of a machine\n\nThis page is drawn from the table in `inventory/state.go`; `UPDATE_DOCS=1 go test ./inventory` draws it anew.\n")
	b.WriteString("What is being done to a machine is its current operation, never a state.\n\n```mermaid\nstateDiagram-v2\n")
	for _, from := range append([]State{StateNone}, States...) {
		name := string(from)
		if from == StateNone {
			name = "[*]"
		}
		for _, to := range slices.Sorted(maps.Keys(follows[from])) {
			fmt.Fprintf(&b, "    %s --> %s: %s\n", name, to, follows[from][to])
		}
	}
	b.WriteString("```\n\n| state | accepted | may become |\n| --- | --- | --- |\n")
	for _, s := range States {
		var next []string
		for _, to := range slices.Sorted(maps.Keys(follows[s])) {
			next = append(next, fmt.Sprintf("`%s` (%s)", to, follows[s][to]))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s, map[bool]string{true: "yes", false: "no"}[s.Accepted()], strings.Join(next, ", "))
	}
	return b.String()
}

// TestStatesPage: the picture in the docs is of this table.
func TestStatesPage(t *testing.T) {
	const path = "../docs/states.md"
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(path, []byte(statesPage()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != statesPage() {
		t.Errorf("docs/states.md is not drawn from today's table (%v); run UPDATE_DOCS=1 go test ./inventory", err)
	}
}
