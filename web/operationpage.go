package web

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"berth/api"
	"berth/inventory"
)

// operationsView is the list of operations, with the steps that those under way are at.
type operationsView struct {
	listView
	Rows []operationRow
}

type operationRow struct {
	*inventory.Operation
	Step *inventory.Step
}

func (s *Server) operationsPage(w http.ResponseWriter, r *http.Request, who caller) error {
	l, err := s.listOf(r, who, operationNoun)
	if err != nil {
		return err
	}
	v := operationsView{listView: l}
	var open []string
	for _, op := range inventory.Items[inventory.Operation](l.Page) {
		v.Rows = append(v.Rows, operationRow{Operation: op})
		if !op.State.Ended() {
			open = append(open, string(op.UID))
		}
	}
	if len(open) > 0 {
		steps, err := inventory.List[inventory.Step](r.Context(), s.Record, inventory.Query{Limit: inventory.MaxPage, Filters: []inventory.Filter{
			{Field: "operation", Op: inventory.OpIn, Value: strings.Join(open, ",")}, {Field: "state", Op: inventory.OpIn, Value: "running,waiting"}}})
		if err != nil {
			return err
		}
		for _, step := range steps {
			i := slices.IndexFunc(v.Rows, func(row operationRow) bool { return row.UID == step.Operation })
			v.Rows[i].Step = step
		}
	}
	return s.render(w, r, who, "operations", view{Title: "Operations", Live: "operations,steps", Data: v})
}

// operationView is one operation.
type operationView struct {
	*api.OperationStatus
	Machine *inventory.Device // nil for work of the server itself
	Events  []*inventory.Event
}

func (s *Server) operationPage(w http.ResponseWriter, r *http.Request, who caller) error {
	status, err := s.operation(r.Context(), r.PathValue("ref"))
	if err != nil {
		return err
	}
	v := operationView{OperationStatus: status}
	if status.Operation.Device != "" {
		v.Machine, err = inventory.Get[inventory.Device](r.Context(), s.Record, string(status.Operation.Device))
		if err != nil && !isNotFound(err) {
			return err
		}
	}
	if v.Events, err = inventory.List[inventory.Event](r.Context(), s.Record, inventory.Query{
		Filters: []inventory.Filter{inventory.Is("operation", status.Operation.UID)}, Sort: "-at", Limit: 200}); err != nil {
		return err
	}
	title := firstUpper(status.Operation.Kind)
	if v.Machine != nil {
		title += " " + v.Machine.Name
	}
	live := ""
	if !status.Operation.State.Ended() {
		live = "operations,steps,events"
	}
	return s.render(w, r, who, "operation", view{Title: title, Live: live, Data: v})
}

func (s *Server) cancelForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	op, err := s.Machines.Cancel(r.Context(), edit(r, who, v.Get("why")), r.PathValue("ref"))
	if err != nil {
		return err
	}
	flash(w, "Cancelling: from now on nothing is written any more.")
	return seeOther(w, r, back(r, v, "/operations/"+string(op.UID)))
}

func (s *Server) taskDoneForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	ref := r.PathValue("ref")
	if err := s.Machines.TaskDone(r.Context(), edit(r, who, v.Get("note")), ref, r.PathValue("step"), v.Get("note")); err != nil {
		return err
	}
	flash(w, "Thank you. berth goes on.")
	return seeOther(w, r, back(r, v, joinPath("/operations", ref)))
}

func (s *Server) importPage(w http.ResponseWriter, r *http.Request, who caller) error {
	return s.drawImport(w, r, who, api.ImportRequest{}, nil)
}

func (s *Server) drawImport(w http.ResponseWriter, r *http.Request, who caller, in api.ImportRequest, problem *api.Problem) error {
	return s.render(w, r, who, "import", view{Title: "Import an image", Problem: problem, Data: in})
}

func (s *Server) fetchForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	in := importOf(v)
	op, err := s.Machines.ImportURL(r.Context(), edit(r, who, in.Why), in)
	if p, ok := again(err); ok {
		return s.drawImport(w, r, who, in, p)
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/operations/"+string(op.UID))
}

// uploadForm reads an image out of a posted form while it arrives: the fields stand before the file, which goes straight on.
func (s *Server) uploadForm(w http.ResponseWriter, r *http.Request, who caller) error {
	r.Body = io.NopCloser(patient(w, r.Body))
	parts, err := r.MultipartReader()
	if err != nil {
		return malformed("The form cannot be read: %v.", err)
	}
	fields := url.Values{}
	for {
		part, err := parts.NextPart()
		if err != nil {
			return s.drawImport(w, r, who, importOf(fields), problemOf(invalid("file", "choose the file of the image")))
		}
		if part.FileName() != "" {
			return s.storeUpload(w, r, who, importOf(fields), part)
		}
		text, err := io.ReadAll(io.LimitReader(part, 4096))
		if err != nil {
			return malformed("The form cannot be read: %v.", err)
		}
		fields.Set(part.FormName(), string(text))
		if len(fields) > 20 {
			return malformed("The form has too many fields.")
		}
	}
}

func (s *Server) storeUpload(w http.ResponseWriter, r *http.Request, who caller, in api.ImportRequest, part *multipart.Part) error {
	in.URL = ""
	if in.Name == "" {
		in.Name = imageName(part.FileName())
	}
	image, err := s.Machines.ImportImage(r.Context(), edit(r, who, in.Why), in, part)
	if p, ok := again(err); ok {
		return s.drawImport(w, r, who, in, p)
	}
	if err != nil {
		return err
	}
	flash(w, "%s was imported.", image.Name)
	return seeOther(w, r, pageOf(nounNamed("image"), image))
}

// imageName makes a name of a file's: debian-12.qcow2 is debian-12.
func imageName(file string) string {
	name := file[strings.LastIndexAny(file, `/\`)+1:]
	for _, suffix := range []string{".img", ".raw", ".qcow2"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}

// changeView is an entry of the change log, field by field.
type changeView struct {
	Change  *inventory.Change
	Rows    []changeRow
	CanUndo bool
	// Others were made by the same request.
	Others []*inventory.Change
}

type changeRow struct{ Field, Before, After string }

func (s *Server) changePage(w http.ResponseWriter, r *http.Request, who caller) error {
	c, err := inventory.Get[inventory.Change](r.Context(), s.Record, r.PathValue("ref"))
	if err != nil {
		return err
	}
	redact(c, who)
	v := changeView{Change: c, Rows: differences(c.Before, c.After), CanUndo: mayUndo(who, c) == nil}
	if c.Request != "" {
		page, err := s.Record.List(r.Context(), changeNoun, inventory.Query{Filters: []inventory.Filter{inventory.Is("request", c.Request)}, Limit: 50})
		if err != nil {
			return err
		}
		redactAll(page.Items, who)
		v.Others = slices.DeleteFunc(inventory.Items[inventory.Change](page), func(o *inventory.Change) bool { return o.UID == c.UID })
	}
	return s.render(w, r, who, "change", view{Title: "Change", Data: v})
}

// differences lists the fields that are not the same before and after.
func differences(before, after json.RawMessage) []changeRow {
	a, b := fieldTexts(before), fieldTexts(after)
	names := map[string]bool{}
	for name := range a {
		names[name] = true
	}
	for name := range b {
		names[name] = true
	}
	var rows []changeRow
	for name := range names {
		if a[name] != b[name] && name != "revision" && name != "updated_at" {
			rows = append(rows, changeRow{name, a[name], b[name]})
		}
	}
	slices.SortFunc(rows, func(x, y changeRow) int { return strings.Compare(x.Field, y.Field) })
	return rows
}

func fieldTexts(text json.RawMessage) map[string]string {
	var fields map[string]json.RawMessage
	if len(text) == 0 || json.Unmarshal(text, &fields) != nil {
		return nil
	}
	out := map[string]string{}
	for name, value := range fields {
		var s string
		if json.Unmarshal(value, &s) != nil {
			s = string(bytes.TrimSpace(value))
		}
		out[name] = s
	}
	return out
}

func (s *Server) undoForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	if err := s.undoChange(r, who, r.PathValue("ref"), v.Get("whole") == "true", v.Get("why")); err != nil {
		return err
	}
	flash(w, "It was undone.")
	return seeOther(w, r, "/changes")
}

func (s *Server) accountPasswordForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	ref := r.PathValue("ref")
	if err := s.givePassword(r, who, ref, v.Get("new")); err != nil {
		return err
	}
	flash(w, "The password was set. It must be changed at the next login, within three days.")
	return seeOther(w, r, joinPath("/accounts", ref))
}
