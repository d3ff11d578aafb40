package text

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"berth/inventory"
)

// Source is where objects are read from; inventory.Record and a snapshot of it are.
type Source interface {
	List(ctx context.Context, n *inventory.Noun, q inventory.Query) (inventory.Page, error)
	Get(ctx context.Context, n *inventory.Noun, ref string) (inventory.Object, error)
}

// Summary says what Export wrote.
type Summary struct {
	Files   int            `json:"files"`
	Objects map[string]int `json:"objects"` // by the noun's plural
}

// Export hands every file of the directory to write, in a fixed order. Names have slashes and never lead outside.
func Export(ctx context.Context, src Source, write func(name string, data []byte) error) (Summary, error) {
	e := &exporter{ctx: ctx, src: src, write: write, names: map[inventory.UID]string{}, sum: Summary{Objects: map[string]int{}}}
	if err := e.learnNames(); err != nil {
		return e.sum, err
	}
	for _, n := range exported {
		if !n.Attached {
			if err := e.folder(n); err != nil {
				return e.sum, fmt.Errorf("export %s: %w", n.Plural, err)
			}
		}
	}
	// Last, so that who has it has all.
	return e.sum, e.file(Marker, []byte(markerText))
}

type exporter struct {
	ctx   context.Context
	src   Source
	write func(string, []byte) error
	names map[inventory.UID]string // natural keys of everything that has one
	sum   Summary
}

func (e *exporter) file(name string, data []byte) error {
	e.sum.Files++
	return e.write(name, data)
}

// each walks over the objects of a noun that a filter leaves, in the order of their uids, a page at a time.
func each(ctx context.Context, src Source, n *inventory.Noun, filters []inventory.Filter, do func([]inventory.Object) error) error {
	q := inventory.Query{Filters: filters, Sort: "uid", Limit: inventory.MaxPage, NoNames: true}
	for {
		page, err := src.List(ctx, n, q)
		if err != nil {
			return err
		}
		if len(page.Items) > 0 {
			if err := do(page.Items); err != nil {
				return err
			}
		}
		if q.Cursor = page.Next; page.Next == "" {
			return nil
		}
	}
}

// learnNames reads how references are written.
func (e *exporter) learnNames() error {
	for _, n := range exported {
		if n.Natural == "" {
			continue
		}
		err := each(e.ctx, e.src, n, nil, func(items []inventory.Object) error {
			for _, obj := range items {
				e.names[obj.Head().UID] = natural(n, obj)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("read the names of %s: %w", n.Plural, err)
		}
	}
	return nil
}

func (e *exporter) refer(_ string, uid inventory.UID) string {
	return cmp.Or(e.names[uid], string(uid))
}

// folder writes the files of one noun: all of its objects, but for those that stand in the file of another.
func (e *exporter) folder(n *inventory.Noun) error {
	var filters []inventory.Filter
	if f, ok := n.Field(n.InFile); ok {
		if f.Required {
			return nil
		}
		filters = []inventory.Filter{{Field: f.Name, Op: inventory.OpEmpty, Value: "true"}}
	}
	names, err := e.fileNames(n, filters)
	if err != nil {
		return err
	}
	return each(e.ctx, e.src, n, filters, func(items []inventory.Object) error {
		below, err := e.below(n, items)
		if err != nil {
			return err
		}
		for _, obj := range items {
			m, err := e.object(n, obj, below, false)
			if err != nil {
				return fmt.Errorf("%s %s: %w", n.Name, obj.Head().UID, err)
			}
			name := cmp.Or(names[obj.Head().UID], fileName(natural(n, obj), obj.Head().UID))
			if err := e.file(n.Plural+"/"+name+".yaml", encode(m)); err != nil {
				return err
			}
		}
		return nil
	})
}

// fileNames are the names that need care: of objects whose names differ only in case, which some file systems hold for one.
func (e *exporter) fileNames(n *inventory.Noun, filters []inventory.Filter) (map[inventory.UID]string, error) {
	if n.Natural == "" {
		return nil, nil
	}
	folded := map[string][]inventory.UID{}
	err := each(e.ctx, e.src, n, filters, func(items []inventory.Object) error {
		for _, obj := range items {
			uid := obj.Head().UID
			name := strings.ToLower(fileName(e.names[uid], uid))
			folded[name] = append(folded[name], uid)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := map[inventory.UID]string{}
	for _, uids := range folded {
		if len(uids) > 1 {
			for _, uid := range uids {
				out[uid] = fileName(e.names[uid], uid) + "~" + uid.Short()
			}
		}
	}
	return out, nil
}

// within is what stands in the files of some objects: by the uid of the object that it is in, and by noun.
type within map[inventory.UID]map[*inventory.Noun][]inventory.Object

// below reads what stands in the files of some objects of a noun, down to what is attached to their parts.
func (e *exporter) below(n *inventory.Noun, parents []inventory.Object) (within, error) {
	out := within{}
	for part := range slices.Chunk(parents, 500) {
		uids := make([]string, len(part))
		for i, p := range part {
			uids[i] = string(p.Head().UID)
		}
		for _, child := range inside(n) {
			if err := e.gather(child, n, strings.Join(uids, ","), out); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// gather reads the children of one noun, and what stands below them.
func (e *exporter) gather(child, parent *inventory.Noun, uids string, out within) error {
	key, filters := child.InFile, []inventory.Filter{}
	if child.Attached {
		key, filters = "object", append(filters, inventory.Is("noun", parent.Name))
	}
	f, _ := child.Field(key)
	filters = append(filters, inventory.Filter{Field: key, Op: inventory.OpIn, Value: uids})
	return each(e.ctx, e.src, child, filters, func(items []inventory.Object) error {
		for _, obj := range items {
			in := f.Value(obj).(inventory.UID)
			if out[in] == nil {
				out[in] = map[*inventory.Noun][]inventory.Object{}
			}
			out[in][child] = append(out[in][child], obj)
		}
		deeper, err := e.below(child, items)
		for uid, some := range deeper {
			out[uid] = some
		}
		return err
	})
}

// object writes one object with what stands in it.
func (e *exporter) object(n *inventory.Noun, obj inventory.Object, below within, inFile bool) (mapping, error) {
	e.sum.Objects[n.Plural]++
	var m, notes mapping
	m.add("uid", text(obj.Head().UID))
	for _, f := range n.Fields {
		into := &m
		switch {
		case slices.Contains(implied(n, inFile), f.Name):
			continue
		case mayNote(f):
			into = &notes
		case !mayState(f):
			continue
		}
		value, err := render(f, obj, e.refer)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		into.add(f.Name, value)
	}
	m.add(noted, notes)
	for _, child := range inside(n) {
		items := below[obj.Head().UID][child]
		sortForReaders(child, items)
		var l list
		for _, item := range items {
			entry, err := e.object(child, item, below, true)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", child.Name, item.Head().UID, err)
			}
			l = append(l, entry)
		}
		m.add(child.Plural, l)
	}
	return m, nil
}

// sortForReaders gives what stands in a file an order that people expect and that every database agrees on: by time where there is one,
// by name, by uid.
func sortForReaders(n *inventory.Noun, items []inventory.Object) {
	label, _ := n.Field(n.Label())
	key := func(obj inventory.Object) string {
		for _, name := range []string{"position", "slot", label.Name} {
			if f, ok := n.Field(name); ok && f.Kind != inventory.KindRef {
				return fmt.Sprint(f.Value(obj))
			}
		}
		return ""
	}
	slices.SortFunc(items, func(a, b inventory.Object) int {
		return cmp.Or(strings.Compare(key(a), key(b)), a.Head().CreatedAt.Compare(b.Head().CreatedAt), strings.Compare(string(a.Head().UID), string(b.Head().UID)))
	})
}
