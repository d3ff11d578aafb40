package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"berth/api"
	"berth/inventory"
)

func (s *Server) machineStatus(w http.ResponseWriter, r *http.Request, _ caller) error {
	status, err := s.machine(r.Context(), r.PathValue("ref"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, status)
}

// machine reads a machine with what a page about it needs: a dozen statements, whatever the size of the fleet.
func (s *Server) machine(ctx context.Context, ref string) (*api.MachineStatus, error) {
	obj, err := s.Record.Get(ctx, machineNoun, ref)
	if err != nil {
		return nil, err
	}
	device := obj.(*inventory.Device)
	m := &api.MachineStatus{Machine: *device, Names: map[inventory.UID]string{}}
	of := []inventory.Filter{inventory.Is("device", device.UID)}
	all := inventory.Query{Filters: of, Limit: inventory.MaxPage}
	open := inventory.Query{Filters: append(of[:1:1], inventory.Is("verdict", "open")), Limit: 200}
	var bmcs []inventory.BMC
	err = errors.Join(
		s.newestFacts(ctx, m, of[0]),
		collect(ctx, s.Record, all, &m.Components, m.Names),
		collect(ctx, s.Record, all, &m.Interfaces, m.Names),
		collect(ctx, s.Record, open, &m.Deviations, m.Names),
		collect(ctx, s.Record, all, &bmcs, m.Names),
		s.nameRefs(ctx, device, m.Names),
	)
	if err != nil {
		return nil, err
	}
	if len(bmcs) > 0 {
		m.BMC = &bmcs[0]
	}
	if device.Operation != "" {
		m.Operation, err = s.operation(ctx, string(device.Operation))
		if errors.Is(err, inventory.ErrNotFound) {
			return m, nil
		}
	}
	return m, err
}

// collect appends what a query finds, and the names of what that refers to.
func collect[T any](ctx context.Context, record inventory.Record, q inventory.Query, into *[]T, names map[inventory.UID]string) error {
	page, err := record.List(ctx, inventory.NounFor[T](), q)
	if err != nil {
		return err
	}
	*into = make([]T, 0, len(page.Items))
	for _, item := range inventory.Items[T](page) {
		*into = append(*into, *item)
	}
	for uid, name := range page.Names {
		names[uid] = name
	}
	return nil
}

// newestFacts reads the last observation of each source.
func (s *Server) newestFacts(ctx context.Context, m *api.MachineStatus, of inventory.Filter) error {
	m.Facts = []inventory.Facts{}
	for _, source := range []inventory.FactSource{inventory.SourceAgent, inventory.SourceBMC, inventory.SourceSystem, inventory.SourcePerson} {
		list, err := inventory.List[inventory.Observation](ctx, s.Record, inventory.Query{
			Filters: []inventory.Filter{of, inventory.Is("source", source)}, Sort: "-created_at", Limit: 1})
		if err != nil {
			return err
		}
		for _, o := range list {
			facts := o.Facts
			facts.Source, facts.ObservedAt = source, o.CreatedAt
			m.Facts = append(m.Facts, facts)
		}
	}
	return nil
}

// nameRefs finds out what the objects that obj refers to are called.
func (s *Server) nameRefs(ctx context.Context, device *inventory.Device, names map[inventory.UID]string) error {
	page, err := s.Record.List(ctx, deviceNoun, inventory.Query{Filters: []inventory.Filter{inventory.Is("name", device.Name)}, Limit: 1})
	if err != nil {
		return err
	}
	for uid, name := range page.Names {
		names[uid] = name
	}
	return nil
}

func (s *Server) timeline(w http.ResponseWriter, r *http.Request, _ caller) error {
	page, err := s.machineEvents(r.Context(), r.PathValue("ref"), r.URL.Query())
	if err != nil {
		return err
	}
	events := []inventory.Event{}
	for _, e := range inventory.Items[inventory.Event](page) {
		events = append(events, *e)
	}
	return writeJSON(w, http.StatusOK, api.Page[inventory.Event]{Items: events, Next: page.Next, Total: page.Total, Exact: page.Exact, Names: page.Names})
}

// machineEvents is a page of a machine's timeline, newest first.
func (s *Server) machineEvents(ctx context.Context, ref string, v url.Values) (inventory.Page, error) {
	obj, err := s.Record.Get(ctx, deviceNoun, ref)
	if err != nil {
		return inventory.Page{}, err
	}
	q, err := s.parseQuery(ctx, eventNoun, v)
	if err != nil {
		return inventory.Page{}, err
	}
	q.Filters = append(q.Filters, inventory.Is("device", obj.Head().UID))
	q.Sort = "-at"
	return s.Record.List(ctx, eventNoun, q)
}
