package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	"berth/api"
	"berth/inventory"
)

// person is whoever stands in front of a machine: when an operation asks for a restart, it is restarted.
func (m *machine) person(op *api.OperationStatus, asked *time.Time) {
	for _, st := range op.Steps {
		if st.State == inventory.StepWaiting && st.Task != "" && time.Since(*asked) > 10*time.Second {
			m.note("a person is asked: %s", st.Task)
			*asked = time.Now()
			m.reset()
		}
	}
}

// enrolled leads a machine from its first packet to ready, under its name.
func (m *machine) enrolled() *inventory.Device {
	m.Helper()
	m.powerOn()
	m.discovered()
	return must(m.site, func(ctx context.Context) (*inventory.Device, error) {
		d := m.find(m.mac.String())
		if d.ProvisionState == inventory.StateReady {
			return d, nil // accepted, and the answer was lost
		}
		return m.client.Accept(ctx, string(d.UID), api.AcceptRequest{Name: m.name})
	})
}

func (m *machine) discovered() {
	m.Helper()
	eventually(m, m.name+" is discovered", patience, func() bool {
		d := m.find(m.mac.String())
		return d != nil && d.ProvisionState == inventory.StateDiscovered && d.Operation == ""
	})
}

// deploy asks for an image on the machine, by the operation that its state allows.
func (m *machine) deploy(img *diskImage) inventory.UID {
	m.Helper()
	return must(m.site, func(ctx context.Context) (*inventory.Operation, error) {
		d := m.machine(m.name)
		if d.Operation != "" {
			return &m.operation(d.Operation).Operation, nil // asked for, and the answer was lost
		}
		request := api.DeployRequest{Image: img.name, Why: "a test"}
		if d.ProvisionState == inventory.StateReady {
			return m.client.Deploy(ctx, m.name, request)
		}
		return m.client.Reimage(ctx, m.name, request)
	}).UID
}

// finish follows an operation to its end, and does what it asks of people. each is called with what is seen on the way; it may be nil.
func (m *machine) finish(uid inventory.UID, each func(*api.OperationStatus)) *api.OperationStatus {
	m.Helper()
	var op *api.OperationStatus
	var asked time.Time
	eventually(m, "the operation ends", patience, func() bool {
		op = m.operation(uid)
		if each != nil {
			each(op)
		}
		if op.Operation.State.Ended() {
			return true
		}
		m.person(op, &asked)
		return false
	})
	return op
}

// story is an operation as a line to read.
func story(op *api.OperationStatus) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", op.Operation.Kind, op.Operation.State, op.Operation.Problem)
	for _, st := range op.Steps {
		fmt.Fprintf(&b, "\n  %-16s %-9s attempt %d %s %s", st.Name, st.State, st.Attempt, st.Sentence, st.Problem)
		if st.StartedAt != nil && st.EndedAt != nil {
			fmt.Fprintf(&b, " (%.3f s)", st.EndedAt.Sub(*st.StartedAt).Seconds())
		}
	}
	return b.String()
}

// proofOf is the digest that the agent proved in an operation, as the machine's timeline tells it; empty when nothing was proved.
func (m *machine) proofOf(op *api.OperationStatus) string {
	m.Helper()
	page := must(m.site, func(ctx context.Context) (api.Page[inventory.Event], error) {
		return m.client.Timeline(ctx, m.name, api.Query{Filters: map[string]string{"operation": string(op.Operation.UID), "source": "engine"}, Limit: 100})
	})
	for _, e := range page.Items {
		if _, digest, ok := strings.Cut(e.Text, "read back: "); ok {
			_, digest, _ = strings.Cut(digest, "digest ")
			return digest
		}
	}
	return ""
}
