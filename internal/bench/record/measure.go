package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"berth/internal/bench"
	"berth/inventory"
)

// measurement asks one server for everything.
type measurement struct {
	*bench.Server
	options
	out     io.Writer
	figures map[string]string
}

func (m *measurement) all(ctx context.Context) error {
	for _, step := range []func(context.Context) error{m.lists, m.orders, m.deep, m.search, m.drawings, m.memory} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	// What was measured so far is worth printing even if nothing can be imported.
	if err := m.imports(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		fmt.Fprintf(m.out, "the imports were given up: %v\n", err)
	}
	return m.memoryLater(ctx)
}

// cost is what a request takes.
type cost struct {
	what        string
	cpu         time.Duration // of the server, mean
	median, p95 time.Duration // of the client's wait
}

// worst keeps the dearest of several.
type worst struct{ cpu, p95, median cost }

func (w *worst) add(c cost) {
	if c.cpu > w.cpu.cpu {
		w.cpu = c
	}
	if c.p95 > w.p95.p95 {
		w.p95 = c
	}
	if c.median > w.median.median {
		w.median = c
	}
}

func figure(d time.Duration, what string) string { return bench.Millis(d) + " " + what }

// ask asks for a path again and again.
func (m *measurement) ask(ctx context.Context, path string, times int) (cost, error) {
	if _, _, err := m.Get(ctx, path); err != nil { // the first one fills caches and is not counted
		return cost{}, err
	}
	before, err := m.Spent()
	if err != nil {
		return cost{}, err
	}
	all := make([]time.Duration, times)
	for i := range all {
		if _, all[i], err = m.Get(ctx, path); err != nil {
			return cost{}, err
		}
	}
	after, err := m.Spent()
	c := cost{path, (after - before) / time.Duration(times), bench.Median(all), bench.Percentile(all, 95)}
	if m.verbose {
		fmt.Fprintf(m.out, "%s: CPU %s, median %s, p95 %s\n", path, bench.Millis(c.cpu), bench.Millis(c.median), bench.Millis(c.p95))
	}
	return c, err
}

// lists asks for the first page of every noun.
func (m *measurement) lists(ctx context.Context) error {
	var pages, lists worst
	for _, n := range inventory.Nouns {
		c, err := m.ask(ctx, "/"+n.Plural, m.requests)
		if err != nil {
			return err
		}
		pages.add(c)
		if c, err = m.ask(ctx, "/api/v1/"+n.Plural+"?limit=50", m.requests); err != nil {
			return err
		}
		lists.add(c)
	}
	overview, err := m.ask(ctx, "/", m.requests)
	if err != nil {
		return err
	}
	m.figures["overview, CPU (ms)"] = bench.Millis(overview.cpu)
	m.figures["list pages, CPU, worst noun (ms)"] = figure(pages.cpu.cpu, pages.cpu.what)
	m.figures["list pages, p95, worst noun (ms)"] = figure(pages.p95.p95, pages.p95.what)
	m.figures["API lists, CPU, worst noun (ms)"] = figure(lists.cpu.cpu, lists.cpu.what)
	m.figures["API lists, p95, worst noun (ms)"] = figure(lists.p95.p95, lists.p95.what)
	return nil
}

// large are the nouns that a crowd has most of.
var large = []string{"assets", "components", "devices", "machines", "interfaces", "changes"}

// orders asks for the large lists in every order that they can have.
func (m *measurement) orders(ctx context.Context) error {
	var pages, lists worst
	for _, plural := range large {
		n, _ := inventory.NounOf(plural)
		for _, f := range n.Fields {
			if !f.Filter || f.Hidden || f.Kind == inventory.KindList {
				continue
			}
			for _, sort := range []string{f.Name, "-" + f.Name} {
				c, err := m.ask(ctx, "/api/v1/"+plural+"?limit=50&sort="+sort, m.requests/2)
				if err != nil {
					return err
				}
				lists.add(c)
				if c, err = m.ask(ctx, "/"+plural+"?sort="+sort, m.requests/2); err != nil {
					return err
				}
				pages.add(c)
			}
		}
	}
	m.figures["list pages in every order, CPU, worst (ms)"] = figure(pages.cpu.cpu, pages.cpu.what)
	m.figures["API lists in every order, CPU, worst (ms)"] = figure(lists.cpu.cpu, lists.cpu.what)
	return nil
}

// deep asks for the page that follows 1000 pages of 50.
func (m *measurement) deep(ctx context.Context) error {
	var pages, lists worst
	for _, plural := range large {
		cursor, err := m.cursorAt(ctx, plural, 50)
		if err != nil {
			return err
		}
		if cursor == "" {
			continue // it has no thousand pages
		}
		c, err := m.ask(ctx, "/api/v1/"+plural+"?limit=50&cursor="+cursor, m.requests)
		if err != nil {
			return err
		}
		c.what = plural
		lists.add(c)
		if c, err = m.ask(ctx, "/"+plural+"?cursor="+cursor, m.requests); err != nil {
			return err
		}
		c.what = plural
		pages.add(c)
	}
	if lists.cpu.what == "" {
		return nil
	}
	m.figures["API lists 1000 pages on, CPU, worst (ms)"] = figure(lists.cpu.cpu, lists.cpu.what)
	m.figures["API lists 1000 pages on, p95, worst (ms)"] = figure(lists.p95.p95, lists.p95.what)
	m.figures["list pages 1000 pages on, CPU, worst (ms)"] = figure(pages.cpu.cpu, pages.cpu.what)
	return nil
}

// cursorAt goes over so many pages of 1000, which is where twenty times as many of 50 end.
func (m *measurement) cursorAt(ctx context.Context, plural string, pages int) (string, error) {
	cursor := ""
	for range pages {
		body, _, err := m.Get(ctx, "/api/v1/"+plural+"?limit=1000&cursor="+cursor)
		if err != nil {
			return "", err
		}
		var page struct{ Next string }
		if err := json.Unmarshal(body, &page); err != nil {
			return "", err
		}
		if cursor = page.Next; cursor == "" {
			return "", nil
		}
	}
	return cursor, nil
}

// texts are what people look for; those of a component and an interface are taken from the record.
func (m *measurement) texts(ctx context.Context) ([]string, error) {
	list := []string{"B-0", "000", "PowerEdge R640", "naa.5000c500", "edge", "no such thing", "JJD01", "b-0421"}
	for path, fields := range map[string][]string{"/api/v1/components?limit=1&kind=disk": {"serial", "wwn"}, "/api/v1/interfaces?limit=1": {"mac"}, "/api/v1/assets?limit=1": {"serial", "asset_tag"}} {
		body, _, err := m.Get(ctx, path)
		if err != nil {
			return nil, err
		}
		var page struct{ Items []map[string]any }
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, err
		}
		for _, name := range fields {
			if len(page.Items) > 0 {
				text, _ := page.Items[0][name].(string)
				list = append(list, text, text[len(text)/3:])
			}
		}
	}
	return list, nil
}

// search looks for texts that few and that many objects have.
func (m *measurement) search(ctx context.Context) error {
	texts, err := m.texts(ctx)
	if err != nil {
		return err
	}
	var hits, pages worst
	for _, text := range texts {
		if len(text) < 3 {
			continue
		}
		c, err := m.ask(ctx, "/api/v1/search?q="+url.QueryEscape(text), m.requests)
		if err != nil {
			return err
		}
		c.what = fmt.Sprintf("%q", text)
		hits.add(c)
		if text == "B-0" {
			m.figures["first 20 hits of the commonest text, median (ms)"] = figure(c.median, c.what)
		}
		if c, err = m.ask(ctx, "/search?q="+url.QueryEscape(text), m.requests); err != nil {
			return err
		}
		c.what = fmt.Sprintf("%q", text)
		pages.add(c)
	}
	m.figures["first 20 search hits, median, worst text (ms)"] = figure(hits.median.median, hits.median.what)
	m.figures["search page, median, worst text (ms)"] = figure(pages.median.median, pages.median.what)
	return nil
}

// drawings asks for a rack of 48 units and for twenty racks.
func (m *measurement) drawings(ctx context.Context) error {
	rack, err := m.fullRack(ctx)
	if err != nil {
		return err
	}
	for bar, path := range map[string]string{
		"elevation of 48 U as SVG, CPU (ms)": "/racks/" + rack + "/elevation.svg",
		"wall of 20 racks as SVG, CPU (ms)":  "/api/v1/sites/bench-20-racks/wall.svg",
	} {
		c, err := m.ask(ctx, path, m.requests)
		var missing *bench.StatusError
		switch {
		case errors.As(err, &missing) && missing.Status == http.StatusNotFound:
		case err != nil:
			return err
		default:
			m.figures[bar] = bench.Millis(c.cpu)
		}
	}
	return nil
}

// fullRack makes a site of twenty racks, one of 48 units with something in each, the others with twenty things.
func (m *measurement) fullRack(ctx context.Context) (string, error) {
	const site = "bench-20-racks"
	if _, _, err := m.Get(ctx, "/api/v1/racks/bench-0"); err == nil {
		return "bench-0", nil
	}
	if err := m.create(ctx, "sites", map[string]any{"name": "Bench", "slug": site}); err != nil {
		return "", err
	}
	kind := map[string]any{"manufacturer": "dell", "model": "bench 1U", "slug": "bench-1u", "u_height": 1, "is_full_depth": true}
	if err := m.create(ctx, "device-types", kind); err != nil {
		return "", err
	}
	for r := range 20 {
		rack, height, things := fmt.Sprintf("bench-%d", r), 42, 20
		if r == 0 {
			height, things = 48, 48
		}
		if err := m.create(ctx, "racks", map[string]any{"name": rack, "site": site, "u_height": height}); err != nil {
			return "", err
		}
		for i := range things {
			device := map[string]any{"name": fmt.Sprintf("%s-%d", rack, i), "device_type": "bench-1u", "site": site, "rack": rack, "position": 1 + i, "face": "front"}
			if err := m.create(ctx, "devices", device); err != nil {
				return "", err
			}
		}
	}
	return "bench-0", nil
}

func (m *measurement) create(ctx context.Context, plural string, fields map[string]any) error {
	body, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	_, _, err = m.Send(ctx, http.MethodPost, "/api/v1/"+plural, "application/json", body)
	return err
}

func (m *measurement) memory(context.Context) error {
	mb, err := m.Resident()
	m.figures["server's RSS after lists, search and drawings (MB)"] = fmt.Sprint(mb)
	return err
}

// memoryLater looks again when the collector had time to give back what the imports took.
func (m *measurement) memoryLater(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Minute):
	}
	mb, err := m.Resident()
	m.figures["a minute after the imports (MB)"] = fmt.Sprint(mb)
	return err
}
