package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"berth/inventory"
)

// savedView is a saved filter as its list offers it.
type savedView struct {
	Filter  *inventory.SavedFilter
	URL     string
	Current bool
	Mine    bool
}

var savedNoun = nounNamed("saved-filter")

// savedViews are the views of a list that who may use: shared ones, and their own.
func (s *Server) savedViews(ctx context.Context, who caller, n *inventory.Noun, current url.Values) ([]savedView, error) {
	all, err := inventory.List[inventory.SavedFilter](ctx, s.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("noun", n.Name)}, Sort: "name", Limit: maxOptions})
	if err != nil {
		return nil, err
	}
	var list []savedView
	for _, f := range all {
		mine := f.Account != "" && f.Account == who.Actor.Account
		query, err := url.ParseQuery(f.Query)
		if err != nil || !f.Shared && !mine {
			continue
		}
		list = append(list, savedView{Filter: f, URL: "/" + n.Plural + "?" + query.Encode(), Current: sameView(query, current), Mine: mine || who.Can(savedNoun.Edit)})
	}
	return list, nil
}

// sameView compares two addresses of a list, but for the place in it.
func sameView(a, b url.Values) bool {
	clean := func(v url.Values) string {
		out := withoutEmpty(v)
		out.Del("cursor")
		return out.Encode()
	}
	return clean(a) == clean(b)
}

// saveView keeps the view of a list under a name. What it means is what stands in its address, nothing else.
func (s *Server) saveView(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	n, ok := inventory.NounOf(r.PathValue("noun"))
	if !ok || !who.Can(n.Read) {
		return inventory.ErrNotFound
	}
	query, err := url.ParseQuery(v.Get("query"))
	if err != nil {
		return malformed("The view's address cannot be read.")
	}
	query.Del("cursor")
	if _, err := s.parseQuery(r.Context(), n, query); err != nil {
		return err
	}
	saved := &inventory.SavedFilter{Name: strings.TrimSpace(v.Get("name")), Noun: n.Name, Query: query.Encode(), Account: who.Actor.Account}
	// A shared view is everybody's: it needs the level that changes the record.
	saved.Shared = who.Can(savedNoun.Edit) && v.Get("shared") == "true"
	if saved.Query == "" {
		return invalid("query", "choose something first: this view is the list as it always is")
	}
	if err := s.storeView(r, who, saved); err != nil {
		return err
	}
	flash(w, "The view was saved as %s.", saved.Name)
	return seeOther(w, r, "/"+n.Plural+"?"+saved.Query)
}

// storeView stores a view under a slug that is free.
func (s *Server) storeView(r *http.Request, who caller, saved *inventory.SavedFilter) error {
	base := saved.Noun + "-" + slugOf(saved.Name)
	var err error
	for _, suffix := range []string{"", "-2", "-3", "-" + inventory.NewUID().Short()} {
		saved.Slug = truncateSlug(base) + suffix
		err = s.Record.Edit(r.Context(), edit(r, who, ""), func(tx inventory.Tx) error {
			copied := *saved
			return tx.Create(&copied)
		})
		var conflict *inventory.Conflict
		if !errors.As(err, &conflict) {
			return err
		}
	}
	return err
}

// slugOf makes of a name what a slug may hold.
func slugOf(name string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			b.WriteRune(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String(), "-")
}

func truncateSlug(slug string) string { return strings.Trim(slug[:min(60, len(slug))], "-") }

// dropView removes a saved view: one's own, or as an operator any.
func (s *Server) dropView(w http.ResponseWriter, r *http.Request, who caller) error {
	var was *inventory.SavedFilter
	err := s.change(r, who, savedNoun, "", func(tx inventory.Tx, obj inventory.Object) error {
		was = obj.(*inventory.SavedFilter)
		if (was.Account == "" || was.Account != who.Actor.Account) && !who.Can(savedNoun.Edit) {
			return forbidden(who.Actor.Level, savedNoun.Edit)
		}
		return tx.Delete(obj)
	})
	if err != nil {
		return err
	}
	flash(w, "The view %s was removed.", was.Name)
	if n, ok := inventory.NounOf(was.Noun); ok {
		return seeOther(w, r, "/"+n.Plural)
	}
	return seeOther(w, r, "/saved-filters")
}
