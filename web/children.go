package web

import (
	"net/http"
	"net/url"
	"slices"

	"berth/inventory"
)

// childList is the objects of one noun that refer to the object of a page by one field.
type childList struct {
	Noun    *inventory.Noun
	Field   inventory.Field
	Columns []inventory.Field
	Page    inventory.Page
	// Part: they belong to the object, as parcels do to a shipment. Others only point to it.
	Part   bool
	AddURL string // "" where none can be added
	AllURL string
}

// Bounds of what an object's page shows of those that refer to it.
const (
	maxParts    = 50
	maxPointing = 8
	partColumns = 8
)

// children lists what refers to an object: first its parts, then what only points to it. Each is asked for by an index.
func (s *Server) children(r *http.Request, who caller, n *inventory.Noun, obj inventory.Object) ([]childList, error) {
	var parts, others []childList
	for _, other := range inventory.Nouns {
		if other.Journal || other.Attached || other.Where != nil || !who.Can(other.Read) {
			continue
		}
		for _, f := range other.Fields {
			if f.Kind != inventory.KindRef || !f.Filter || nounNamed(f.Ref).Table != n.Table {
				continue
			}
			c, err := s.childrenBy(r, who, other, f, obj)
			switch {
			case err != nil:
				return nil, err
			case c.Part:
				parts = append(parts, c)
			case len(c.Page.Items) > 0:
				others = append(others, c)
			}
		}
	}
	return append(parts, others...), nil
}

func (s *Server) childrenBy(r *http.Request, who caller, n *inventory.Noun, f inventory.Field, obj inventory.Object) (childList, error) {
	uid := obj.Head().UID
	c := childList{Noun: n, Field: f, Part: n.InFile == f.Name, AllURL: "/" + n.Plural + "?" + url.Values{f.Name: {string(uid)}}.Encode()}
	q := inventory.Query{Filters: []inventory.Filter{inventory.Is(f.Name, uid)}, Limit: maxPointing, NoNames: true}
	if c.Part {
		q.Limit, q.NoNames = maxParts, false
		c.Columns = slices.DeleteFunc(columns(n, who), func(col inventory.Field) bool { return col.Name == f.Name })
		c.Columns = c.Columns[:min(len(c.Columns), partColumns)]
	}
	if n.Edit != inventory.LevelNone && who.Can(n.Edit) && byHand[n.Name].create == "" && c.Part {
		c.AddURL = "/" + n.Plural + "/new?" + url.Values{f.Name: {string(uid)}, "back": {r.URL.Path}}.Encode()
	}
	var err error
	if c.Page, err = s.Record.List(r.Context(), n, q); err != nil {
		return c, err
	}
	redactAll(c.Page.Items, who)
	return c, nil
}

// everythingPage lists every kind of record with what it is.
func (s *Server) everythingPage(w http.ResponseWriter, r *http.Request, who caller) error {
	return s.render(w, r, who, "everything", view{Title: "Everything berth keeps", Data: groupsFor(who, true)})
}
