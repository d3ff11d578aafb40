package web

import (
	"bytes"
	"context"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"berth/api"
	"berth/inventory"
	"berth/inventory/importer"
)

// importPages are moving in with a browser: choose a source, look at what would happen, apply it, watch it.
func (s *Server) importPages() []route {
	return []route{
		{method: "GET", pattern: "/import", need: "operator", handle: s.movePage},
		{method: "POST", pattern: "/import", need: "operator", handle: s.moveUpload, stream: true},
		{method: "GET", pattern: "/import/{token}", need: "operator", handle: s.movePreview},
		{method: "POST", pattern: "/import/{token}", need: "operator", handle: s.moveCheck},
		{method: "POST", pattern: "/import/{token}/apply", need: "operator", handle: s.moveApply},
		{method: "GET", pattern: "/import-runs/{ref}", need: "viewer", handle: s.importRunPage},
		{method: "POST", pattern: "/import-runs/{ref}/undo", need: "operator", handle: s.importRunUndo},
	}
}

// pending is an upload between being looked at and being applied. The file lies on this server alone: after a restart it is chosen again.
type pending struct {
	reading sync.Mutex // held while its file is read
	token   inventory.UID
	owner   string
	file    *os.File
	src     importer.Source
	run     inventory.UID // what its ImportRun will be called
	since   time.Time

	mu     sync.Mutex
	fields url.Values // of the form
	report api.ImportReport
}

// last is what was looked at last, and with which options.
func (u *pending) last() (url.Values, api.ImportReport) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.fields, u.report
}

func (u *pending) keep(fields url.Values, report api.ImportReport) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.fields, u.report = fields, report
}

// pendings are the uploads that wait.
type pendings struct {
	mu   sync.Mutex
	list []*pending
}

// add keeps an upload, and lets go of those that are too old or too many.
func (p *pendings) add(u *pending, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, u)
	for len(p.list) > 0 && (len(p.list) > maxPending || now.Sub(p.list[0].since) > pendingLife) {
		go p.list[0].drop() // it may be at work
		p.list = p.list[1:]
	}
}

func (u *pending) drop() {
	u.reading.Lock()
	defer u.reading.Unlock()
	discardFile(u.file)
}

func (p *pendings) find(token, owner string) (*pending, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, u := range p.list {
		if string(u.token) == token && u.owner == owner {
			return u, true
		}
	}
	return nil, false
}

func (p *pendings) remove(u *pending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.list, u); i >= 0 {
		p.list = slices.Delete(p.list, i, i+1)
		go u.drop()
	}
}

// moveView is the form of an import.
type moveView struct {
	V       url.Values
	Formats []importer.Format
	Nouns   []*inventory.Noun
	Runs    []*inventory.ImportRun
	// Of a preview.
	Token  inventory.UID
	Name   string
	Report *api.ImportReport
	Run    *inventory.ImportRun
}

func (s *Server) importForm(v url.Values) moveView {
	view := moveView{V: v, Formats: importer.Formats}
	for _, n := range inventory.Nouns {
		if n.Edit != inventory.LevelNone && n.Where == nil {
			view.Nouns = append(view.Nouns, n)
		}
	}
	return view
}

func (s *Server) movePage(w http.ResponseWriter, r *http.Request, who caller) error {
	return s.drawMove(w, r, who, r.URL.Query(), nil)
}

func (s *Server) drawMove(w http.ResponseWriter, r *http.Request, who caller, v url.Values, problem *api.Problem) error {
	data := s.importForm(v)
	runs, err := inventory.List[inventory.ImportRun](r.Context(), s.Record, inventory.Query{Sort: "-created_at", Limit: 5})
	if err != nil {
		return err
	}
	data.Runs = runs
	return s.render(w, r, who, "movein", view{Title: "Import", Problem: problem, Live: "import-runs", Data: data})
}

// moveUpload takes a file or a pasted text, keeps it, and shows what it would do.
func (s *Server) moveUpload(w http.ResponseWriter, r *http.Request, who caller) error {
	r.Body = io.NopCloser(patient(w, r.Body))
	parts, err := r.MultipartReader()
	if err != nil {
		return malformed("The form cannot be read: %v.", err)
	}
	fields, file, name, size, err := readMove(parts)
	if err != nil {
		return err
	}
	if file == nil {
		return s.drawMove(w, r, who, fields, problemOf(invalid("file", "choose a file, or paste a table")))
	}
	u := &pending{token: inventory.NewUID(), owner: who.Actor.Name, file: file, src: importer.Source{Name: truncate(name, 200), Body: file, Size: size}, run: inventory.NewUID(), since: s.now()}
	if problem := s.look(r, who, u, fields); problem != nil {
		u.drop()
		if p, ok := again(problem); ok {
			return s.drawMove(w, r, who, fields, p)
		}
		return problem
	}
	s.pendings.add(u, s.now())
	return seeOther(w, r, "/import/"+string(u.token))
}

// readMove reads the form: fields first, then the file, if one was chosen.
func readMove(parts *multipart.Reader) (fields url.Values, file *os.File, name string, size int64, err error) {
	fields = url.Values{}
	for range 40 {
		part, err := parts.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fields, file, name, size, malformed("The form cannot be read: %v.", err)
		}
		switch {
		case part.FormName() == "file" && part.FileName() == "", file != nil:
		case part.FormName() == "file":
			if file, size, err = spool(part); err != nil {
				return fields, nil, "", 0, err
			}
			name = part.FileName()
		default:
			text, err := io.ReadAll(io.LimitReader(part, 16<<20))
			if err != nil {
				return fields, nil, "", 0, malformed("The form cannot be read: %v.", err)
			}
			fields.Set(part.FormName(), string(text))
		}
	}
	text := fields.Get("text")
	fields.Del("text")
	if file == nil && text != "" {
		name = "pasted table"
		file, size, err = spool(bytes.NewReader([]byte(text)))
	}
	return fields, file, name, size, err
}

// look plans the import of an upload and keeps the report.
func (s *Server) look(r *http.Request, who caller, u *pending, fields url.Values) error {
	opt, err := moveOptions(fields)
	if err != nil {
		return err
	}
	u.reading.Lock()
	defer u.reading.Unlock()
	plan, err := s.importer.Check(r.Context(), who.Actor, u.src, opt)
	if err != nil {
		return importProblem(err)
	}
	u.keep(fields, wireReport(plan.Report(), false))
	return nil
}

// found is the upload that the request is about. One that was let go is asked for again.
func (s *Server) found(r *http.Request, who caller) (*pending, error) {
	if u, ok := s.pendings.find(r.PathValue("token"), who.Actor.Name); ok {
		return u, nil
	}
	return nil, &api.Problem{Status: http.StatusNotFound, Code: api.CodeNotFound, Detail: "This upload is not here any more. Choose the file again."}
}

func (s *Server) movePreview(w http.ResponseWriter, r *http.Request, who caller) error {
	u, err := s.found(r, who)
	if err != nil {
		return err
	}
	return s.drawPreview(w, r, who, u, nil)
}

func (s *Server) drawPreview(w http.ResponseWriter, r *http.Request, who caller, u *pending, problem *api.Problem) error {
	fields, report := u.last()
	data := s.importForm(fields)
	data.Token, data.Name, data.Report = u.token, u.src.Name, &report
	run, err := inventory.Get[inventory.ImportRun](r.Context(), s.Record, string(u.run))
	if err != nil && !isNotFound(err) {
		return err
	}
	if err == nil {
		data.Run = run
	}
	return s.render(w, r, who, "movein", view{Title: "Import " + u.src.Name, Problem: problem, Live: "import-runs", Data: data})
}

// moveCheck looks again, with other options.
func (s *Server) moveCheck(w http.ResponseWriter, r *http.Request, who caller) error {
	u, err := s.found(r, who)
	if err != nil {
		return err
	}
	v, err := form(r)
	if err != nil {
		return err
	}
	if err := s.look(r, who, u, v); err != nil {
		if p, ok := again(err); ok {
			return s.drawPreview(w, r, who, u, p)
		}
		return err
	}
	return seeOther(w, r, "/import/"+string(u.token))
}

// applyTimeout is how long an import may take that a browser waits for.
const applyTimeout = time.Hour

func (s *Server) moveApply(w http.ResponseWriter, r *http.Request, who caller) error {
	u, err := s.found(r, who)
	if err != nil {
		return err
	}
	v, err := form(r)
	if err != nil {
		return err
	}
	rc := http.NewResponseController(w)
	deadline := time.Now().Add(applyTimeout)
	_, _ = rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(deadline) // unsupported by a test's recorder
	fields, _ := u.last()
	opt, err := moveOptions(fields)
	if err != nil {
		return err
	}
	u.reading.Lock()
	report, err := s.runImport(r, who, u.src, opt, v.Get("why"), u.run, false)
	u.reading.Unlock()
	if err != nil {
		if p, ok := again(err); ok {
			return s.drawPreview(w, r, who, u, p)
		}
		return err
	}
	u.keep(fields, report)
	if !report.Applied {
		return s.drawPreview(w, r, who, u, &api.Problem{Status: http.StatusUnprocessableEntity, Detail: "Something is wrong with it now; nothing was changed."})
	}
	s.pendings.remove(u)
	if report.Run == "" {
		flash(w, "There was nothing to do: all %d objects are as the source has them.", report.Unchanged)
		return seeOther(w, r, "/import")
	}
	flash(w, "%d created, %d changed, %d as they were.", report.Created, report.Updated, report.Unchanged)
	return seeOther(w, r, "/import-runs/"+string(report.Run))
}

// importRunPage shows an import: how far it is, what it changed, and the way back.
func (s *Server) importRunPage(w http.ResponseWriter, r *http.Request, who caller) error {
	run, err := inventory.Get[inventory.ImportRun](r.Context(), s.Record, r.PathValue("ref"))
	if err != nil {
		return err
	}
	page, err := s.Record.List(r.Context(), changeNoun, inventory.Query{Filters: []inventory.Filter{inventory.Is("request", run.Request)}, Sort: "-created_at", Limit: 50, Count: true})
	if err != nil {
		return err
	}
	redactAll(page.Items, who)
	return s.render(w, r, who, "importrun", view{Title: "Import " + run.Name, Live: "import-runs", Data: struct {
		Run     *inventory.ImportRun
		Changes inventory.Page
	}{run, page}})
}

// importRunUndo takes an import back, and says so in its run.
func (s *Server) importRunUndo(w http.ResponseWriter, r *http.Request, who caller) error {
	run, err := inventory.Get[inventory.ImportRun](r.Context(), s.Record, r.PathValue("ref"))
	if err != nil {
		return err
	}
	if run.State == "running" {
		return &api.Problem{Status: http.StatusConflict, Code: api.CodeConflict, Detail: "This import is under way. Wait until it has ended."}
	}
	v, err := form(r)
	if err != nil {
		return err
	}
	why := v.Get("why")
	if why == "" {
		why = "undo the import of " + run.Name
	}
	if err := s.undoChange(r, who, string(run.Request), true, why); err != nil {
		return err
	}
	err = s.Record.Edit(context.WithoutCancel(r.Context()), edit(r, who, why), func(tx inventory.Tx) error {
		now, err := inventory.TxGet[inventory.ImportRun](tx, string(run.UID))
		if err != nil {
			return err
		}
		now.State = "undone"
		return tx.Update(now)
	})
	if err != nil {
		return err
	}
	flash(w, "The import was taken back.")
	return seeOther(w, r, "/import-runs/"+string(run.UID))
}
