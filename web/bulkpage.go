package web

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"

	"berth/api"
	"berth/inventory"
)

// maxShownRows bounds a preview; the errors and the numbers are of all rows.
const maxShownRows = 200

// bulkView is a page of the bulk edit: what to set, or what would become of it.
type bulkView struct {
	Noun     *inventory.Noun
	Back     string
	UIDs     []string // the selection, unless it is All of Query
	All      bool
	Query    string
	Count    int
	Delete   bool
	Fields   []formField
	Set      map[string]bool // the fields that are ticked
	Why      string
	Skip     bool
	Previews []previewRow // nil while the fields are chosen
	Preview  bool
	Changed  int
	Same     int
	Failed   int
	Hidden   int // rows that are not shown
	Digest   string
	Typed    []option // what the form said, for the next step
}

// previewRow is one object of a preview.
type previewRow struct {
	Name, URL string
	Problem   string
	Changes   []previewChange
}

type previewChange struct {
	Title         string
	Before, After template.HTML
}

// bulkPage leads through an edit of many objects: which fields, what would become of each object, and then doing it. Each step is a form
// that carries the selection on, so it needs no script and nothing is kept on the server between them.
func (s *Server) bulkPage(n *inventory.Noun) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		v, err := form(r)
		if err != nil {
			return err
		}
		b := bulkView{Noun: n, UIDs: v["uid"], All: v.Get("all") == "true", Query: v.Get("query"), Why: v.Get("why"), Skip: v.Get("skip") == "true", Set: map[string]bool{},
			Delete: v.Get("step") == "delete" || v.Get("step") == "delete-now", Back: "/" + n.Plural + "?" + safeQuery(v.Get("query"))}
		refs := b.UIDs
		if b.All {
			b.UIDs = nil
			if refs, err = s.bulkTargets(r.Context(), n, b.Query); err != nil {
				return err
			}
		}
		if len(refs) == 0 {
			flash(w, "Nothing was chosen. Tick the rows first.")
			return seeOther(w, r, b.Back)
		}
		b.Count = len(refs)
		for _, name := range v["set"] {
			b.Set[name] = true
		}
		job := bulkJob{noun: n, refs: refs, req: edit(r, who, b.Why), delete: b.Delete, skip: b.Skip, set: setByForm(n, b.Set, v)}
		switch v.Get("step") {
		case "preview", "delete":
			return s.bulkPreview(w, r, who, b, job, v, nil)
		case "apply", "delete-now":
			job.expect = v.Get("digest")
			return s.bulkApply(w, r, who, b, job, v)
		}
		return s.bulkChoose(w, r, who, b, nil, nil)
	}
}

// safeQuery is a query that can stand in a link.
func safeQuery(text string) string {
	v, err := url.ParseQuery(text)
	if err != nil {
		return ""
	}
	v.Del("cursor")
	return v.Encode()
}

// setByForm changes an object by the ticked fields of a form.
func setByForm(n *inventory.Noun, set map[string]bool, v url.Values) func(inventory.Tx, inventory.Object) error {
	return func(tx inventory.Tx, obj inventory.Object) error {
		var fields []inventory.Field
		for _, f := range settable(n, readerOf(tx.Context()).seesMoney) {
			if set[f.Name] && f.Kind != inventory.KindSecret {
				fields = append(fields, f)
			}
		}
		patch, err := formFields(n, obj, fields, v)
		if err != nil {
			return err
		}
		return fill(tx, n, obj, patch)
	}
}

// bulkChoose shows the fields that can be set for all.
func (s *Server) bulkChoose(w http.ResponseWriter, r *http.Request, who caller, b bulkView, typed url.Values, problem *api.Problem) error {
	fv, err := s.formOf(r, b.Noun, b.Noun.New(), typed, problem)
	if err != nil {
		return err
	}
	for _, f := range fv.Fields {
		// There is one of each key, and a secret would travel through the preview's page.
		if f.Field.Name == b.Noun.Natural || f.Field.Kind == inventory.KindSecret {
			continue
		}
		f.Field.Required = false // only what is ticked is set
		b.Fields = append(b.Fields, f)
	}
	return s.render(w, r, who, "bulk", view{Title: "Edit " + plural(b.Count, lowerTitle(b.Noun), lowerPlural(b.Noun)), Problem: problem, Data: b})
}

// bulkPreview shows what would become of each object.
func (s *Server) bulkPreview(w http.ResponseWriter, r *http.Request, who caller, b bulkView, job bulkJob, v url.Values, problem *api.Problem) error {
	if !b.Delete && len(b.Set) == 0 {
		return s.bulkChoose(w, r, who, b, v, &api.Problem{Status: http.StatusUnprocessableEntity, Code: api.CodeInvalid, Detail: "Tick the fields to set first."})
	}
	rows, err := s.try(r.Context(), job)
	if err != nil {
		return err
	}
	b.Preview, b.Digest, b.Failed = true, digestOf(rows), failed(rows)
	for _, row := range rows {
		if row.changed(b.Noun) {
			b.Changed++
		}
	}
	b.Same = len(rows) - b.Changed - b.Failed
	if err := s.previews(r, who, &b, rows); err != nil {
		return err
	}
	for _, f := range settable(b.Noun, who.SeesMoney()) {
		if b.Set[f.Name] {
			b.Typed = append(b.Typed, option{Value: v.Get(f.Name), Text: f.Name})
		}
	}
	title := "Preview: edit "
	if b.Delete {
		title = "Preview: delete "
	}
	return s.render(w, r, who, "bulk", view{Title: title + plural(b.Count, lowerTitle(b.Noun), lowerPlural(b.Noun)), Problem: problem, Data: b})
}

// previews draws the rows: those with errors first, since they want a person.
func (s *Server) previews(r *http.Request, who caller, b *bulkView, rows []bulkRow) error {
	var order []bulkRow
	for _, wrong := range []bool{true, false} {
		for _, row := range rows {
			if (row.Problem != nil) == wrong {
				order = append(order, row)
			}
		}
	}
	b.Hidden = max(0, len(order)-maxShownRows)
	order = order[:min(len(order), maxShownRows)]
	names, err := s.namesOf(r, b.Noun, order)
	if err != nil {
		return err
	}
	for _, row := range order {
		p := previewRow{Name: row.Ref, Problem: problemText(row.Problem)}
		if row.Before != nil {
			p.Name, p.URL = b.Noun.Display(row.Before), pageOf(b.Noun, row.Before)
		}
		if row.Before != nil && row.After != nil {
			p.Changes = changesOf(b.Noun, who, row, names, s)
		}
		b.Previews = append(b.Previews, p)
	}
	return nil
}

func changesOf(n *inventory.Noun, who caller, row bulkRow, names map[inventory.UID]string, s *Server) []previewChange {
	var list []previewChange
	for _, f := range n.Differing(row.Before, row.After) {
		if f.Hidden || f.Money && !who.SeesMoney() {
			continue
		}
		list = append(list, previewChange{f.Title, plainCell(n, f, row.Before, names, s), plainCell(n, f, row.After, names, s)})
	}
	return list
}

// plainCell is a cell, and stars for a secret.
func plainCell(n *inventory.Noun, f inventory.Field, obj inventory.Object, names map[inventory.UID]string, s *Server) template.HTML {
	if f.Kind == inventory.KindSecret {
		return "***"
	}
	return cell(n, f, obj, names, s.now())
}

// namesOf is what to call all that the rows refer to, before and after.
func (s *Server) namesOf(r *http.Request, n *inventory.Noun, rows []bulkRow) (map[inventory.UID]string, error) {
	names := map[inventory.UID]string{}
	for _, f := range n.Fields {
		if f.Kind != inventory.KindRef {
			continue
		}
		to := nounNamed(f.Ref)
		for _, row := range rows {
			for _, obj := range []inventory.Object{row.Before, row.After} {
				if obj == nil {
					continue
				}
				uid := f.Value(obj).(inventory.UID)
				if _, known := names[uid]; uid == "" || known {
					continue
				}
				found, err := s.Record.Get(r.Context(), to, string(uid))
				if err != nil && !errors.Is(err, inventory.ErrNotFound) {
					return nil, err
				}
				if err == nil {
					names[uid] = to.Display(found)
				}
			}
		}
	}
	return names, nil
}

// bulkApply does what was previewed.
func (s *Server) bulkApply(w http.ResponseWriter, r *http.Request, who caller, b bulkView, job bulkJob, v url.Values) error {
	rows, applied, err := s.apply(r.Context(), job)
	if p, ok := again(err); ok {
		job.expect = ""
		return s.bulkPreview(w, r, who, b, job, v, p)
	}
	if err != nil {
		return err
	}
	if !applied {
		return s.bulkPreview(w, r, who, b, job, v, &api.Problem{Status: http.StatusUnprocessableEntity, Code: api.CodeInvalid, Detail: "Nothing was changed, because some cannot be."})
	}
	did := map[bool]string{true: "deleted", false: "changed"}[b.Delete]
	count := len(rows) - failed(rows)
	flash(w, "%s were %s. The change log has it as one request, which can be undone as one.", plural(count, lowerTitle(b.Noun), lowerPlural(b.Noun)), did)
	return seeOther(w, r, "/changes?request="+string(job.req.ID))
}
