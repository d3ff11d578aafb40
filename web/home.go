package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"berth/inventory"
)

// homeView is what needs a person, and what is going on. Everything in it is the head of a list, and links to the whole.
type homeView struct {
	Notifications inventory.Page
	Tasks         []task
	Deadlines     inventory.Page
	Claims        inventory.Page
	Shipments     inventory.Page // on their way; the silent ones first
	Donations     inventory.Page
	Discovered    inventory.Page
	Quarantined   inventory.Page
	Deviations    inventory.Page
	Running       inventory.Page
	Recent        inventory.Page
	Counts        []stateCount
	Today         inventory.Date
	// Machines and Enrolling tell an empty installation what to do next.
	Machines  int64
	Enrolling bool
	Images    bool
}

// Quiet tells whether nothing needs a person.
func (h homeView) Quiet() bool {
	return len(h.Discovered.Items)+len(h.Quarantined.Items)+len(h.Tasks)+len(h.Deviations.Items)+len(h.Notifications.Items)+len(h.Deadlines.Items)+len(h.Claims.Items)+len(h.Donations.Items) == 0
}

// Of is how many machines are in a state.
func (h homeView) Of(state string) int64 {
	for _, c := range h.Counts {
		if string(c.State) == state {
			return c.Count
		}
	}
	return 0
}

// task is a step that waits for a person.
type task struct {
	Step      *inventory.Step
	Operation *inventory.Operation
	Machine   string
}

type stateCount struct {
	State inventory.State
	Count int64
}

// Rows and days that the overview shows.
const (
	homeRows     = 8
	deadlineDays = 21
)

func (s *Server) home(w http.ResponseWriter, r *http.Request, who caller) error {
	h, err := s.overview(r.Context())
	if err != nil {
		return err
	}
	return s.render(w, r, who, "home", view{Title: "Overview", Live: "machines,operations,steps,deviations,notifications,shipments,deadlines", Data: h})
}

func inOf(field, values string) inventory.Filter {
	return inventory.Filter{Field: field, Op: inventory.OpIn, Value: values}
}

func notEmpty(field string) inventory.Filter {
	return inventory.Filter{Field: field, Op: inventory.OpEmpty, Value: "false"}
}

// overview asks a fixed number of questions, whatever the size of the fleet; all of them are answered by an index.
func (s *Server) overview(ctx context.Context) (h homeView, err error) {
	h.Today = inventory.DateOf(s.now().UTC())
	soon := string(h.Today.AddDays(deadlineDays))
	head := func(into *inventory.Page, noun, sort string, filters ...inventory.Filter) error {
		var err error
		*into, err = s.Record.List(ctx, nounNamed(noun), inventory.Query{Filters: filters, Limit: homeRows, Sort: sort})
		return err
	}
	var enrolling, images inventory.Page
	err = errors.Join(
		head(&h.Notifications, "notification", "-created_at", inventory.Is("state", "open")),
		head(&h.Deadlines, "deadline", "due_on", inventory.Is("state", "open"), inventory.Filter{Field: "due_on", Op: inventory.OpLess, Value: soon}),
		head(&h.Claims, "claim", "next_chase_on", inOf("status", "filed,acknowledged,unresponsive"), notEmpty("next_chase_on"), inventory.Filter{Field: "next_chase_on", Op: inventory.OpLess, Value: string(h.Today.AddDays(1))}),
		head(&h.Shipments, "shipment", "-created_at", inventory.Is("phase", "handed_over")),
		head(&h.Donations, "acquisition", "reference", inventory.Is("kind", "donation"), inOf("status", "offered,accepted")),
		head(&h.Discovered, "machine", "-created_at", inventory.Is("provision_state", inventory.StateDiscovered)),
		head(&h.Quarantined, "machine", "-created_at", inventory.Is("provision_state", inventory.StateQuarantined)),
		head(&h.Deviations, "deviation", "-created_at", inventory.Is("verdict", "open")),
		head(&h.Running, "operation", "-created_at", inOf("state", "queued,running,waiting"), notEmpty("device")),
		head(&h.Recent, "operation", "-created_at", inOf("state", "done,failed,cancelled"), notEmpty("device")),
		head(&enrolling, "subnet", "", inventory.Is("enrol", "true")),
		head(&images, "image", ""),
	)
	if err != nil {
		return h, err
	}
	h.Enrolling, h.Images = len(enrolling.Items) > 0, len(images.Items) > 0
	silentFirst(h.Shipments.Items)
	if h.Tasks, err = s.tasks(ctx); err != nil {
		return h, err
	}
	return h, s.countStates(ctx, &h)
}

func (s *Server) countStates(ctx context.Context, h *homeView) error {
	for _, state := range inventory.States {
		p, err := s.Record.List(ctx, machineNoun, inventory.Query{Filters: []inventory.Filter{inventory.Is("provision_state", state)}, Limit: 1, Count: true, NoNames: true})
		if err != nil {
			return err
		}
		h.Counts = append(h.Counts, stateCount{state, p.Total})
		h.Machines += p.Total
	}
	return nil
}

// silentFirst puts the shipments that nobody hears of before the others.
func silentFirst(items []inventory.Object) {
	rank := func(obj inventory.Object) int {
		if obj.(*inventory.Shipment).Status == "silent" {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(items, func(a, b inventory.Object) int { return rank(a) - rank(b) })
}

// daysLeft says when a day is, as a person counts.
func daysLeft(today, due inventory.Date) string {
	switch days := today.Until(due); {
	case due == "":
		return ""
	case days < -1:
		return plural(-days, "day", "days") + " ago"
	case days == -1:
		return "yesterday"
	case days == 0:
		return "today"
	case days == 1:
		return "tomorrow"
	default:
		return "in " + plural(days, "day", "days")
	}
}

// tasks lists the steps that wait for a person, with their operations.
func (s *Server) tasks(ctx context.Context) ([]task, error) {
	waiting, err := inventory.List[inventory.Step](ctx, s.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("state", inventory.StepWaiting)}, Limit: 200})
	if err != nil {
		return nil, err
	}
	var list []task
	var uids []string
	for _, step := range waiting {
		if step.Task != "" {
			list = append(list, task{Step: step})
			uids = append(uids, string(step.Operation))
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	page, err := s.Record.List(ctx, operationNoun, inventory.Query{Filters: []inventory.Filter{{Field: "uid", Op: inventory.OpIn, Value: strings.Join(uids, ",")}}, Limit: 200})
	if err != nil {
		return nil, err
	}
	for _, op := range inventory.Items[inventory.Operation](page) {
		for i := range list {
			if list[i].Step.Operation == op.UID {
				list[i].Operation, list[i].Machine = op, page.Names[op.Device]
			}
		}
	}
	return list, nil
}
