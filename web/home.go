package web

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"berth/api"
	"berth/inventory"
)

// homeView is what needs a person, and what is going on.
type homeView struct {
	Discovered  inventory.Page
	Quarantined inventory.Page
	Tasks       []task
	Deviations  inventory.Page
	Running     inventory.Page
	Recent      inventory.Page
	Counts      []stateCount
	// Machines and Enrolling tell an empty installation what to do next.
	Machines  int64
	Enrolling bool
	Images    int64
}

// Quiet tells whether nothing needs a person.
func (h homeView) Quiet() bool {
	return len(h.Discovered.Items)+len(h.Quarantined.Items)+len(h.Tasks)+len(h.Deviations.Items) == 0
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

func (s *Server) home(w http.ResponseWriter, r *http.Request, who caller) error {
	h, err := s.overview(r.Context())
	if err != nil {
		return err
	}
	return s.render(w, r, who, "home", view{Title: "Overview", Live: "machines,operations,steps,deviations", Data: h})
}

// overview asks a fixed number of questions, whatever the size of the fleet.
func (s *Server) overview(ctx context.Context) (h homeView, err error) {
	page := func(into *inventory.Page, noun *inventory.Noun, limit int, sort string, filters ...inventory.Filter) error {
		var err error
		*into, err = s.Record.List(ctx, noun, inventory.Query{Filters: filters, Limit: limit, Sort: sort, Count: true})
		return err
	}
	var enrolling, images inventory.Page
	err = errors.Join(
		page(&h.Discovered, machineNoun, 10, "-created_at", inventory.Is("provision_state", inventory.StateDiscovered)),
		page(&h.Quarantined, machineNoun, 10, "-created_at", inventory.Is("provision_state", inventory.StateQuarantined)),
		page(&h.Deviations, deviationNoun, 8, "-created_at", inventory.Is("verdict", "open")),
		page(&h.Running, operationNoun, 10, "-created_at", inventory.Filter{Field: "state", Op: inventory.OpIn, Value: "queued,running,waiting"}, inventory.Filter{Field: "device", Op: inventory.OpEmpty, Value: "false"}),
		page(&h.Recent, operationNoun, 8, "-created_at", inventory.Filter{Field: "state", Op: inventory.OpIn, Value: "done,failed,cancelled"}, inventory.Filter{Field: "device", Op: inventory.OpEmpty, Value: "false"}),
		page(&enrolling, nounNamed("subnet"), 1, "", inventory.Is("enrol", "true")),
		page(&images, nounNamed("image"), 1, ""),
	)
	if err != nil {
		return h, err
	}
	h.Enrolling, h.Images = enrolling.Total > 0, images.Total
	if h.Tasks, err = s.tasks(ctx); err != nil {
		return h, err
	}
	for _, state := range inventory.States {
		var p inventory.Page
		if err := page(&p, machineNoun, 1, "", inventory.Is("provision_state", state)); err != nil {
			return h, err
		}
		h.Counts = append(h.Counts, stateCount{state, p.Total})
		h.Machines += p.Total
	}
	return h, nil
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

// searchView is what a search found, by noun.
type searchView struct {
	Text   string
	Groups []searchGroup
}

type searchGroup struct {
	Noun *inventory.Noun
	Hits []api.SearchHit
	More bool
}

func (s *Server) searchPage(w http.ResponseWriter, r *http.Request, who caller) error {
	text := strings.TrimSpace(r.URL.Query().Get("q"))
	result, err := s.searchAll(r, who, text)
	if err != nil {
		return err
	}
	v := searchView{Text: text}
	for _, hit := range result.Hits {
		if n := len(v.Groups); n == 0 || v.Groups[n-1].Noun.Name != hit.Noun {
			v.Groups = append(v.Groups, searchGroup{Noun: nounNamed(hit.Noun)})
		}
		g := &v.Groups[len(v.Groups)-1]
		g.Hits = append(g.Hits, hit)
	}
	for i := range v.Groups {
		for _, name := range result.More {
			v.Groups[i].More = v.Groups[i].More || name == v.Groups[i].Noun.Name
		}
	}
	return s.render(w, r, who, "search", view{Title: "Search", Data: v})
}
