package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"berth/api"
	"berth/inventory"
	"berth/inventory/importer"
)

// importRoutes are moving in over REST.
func (s *Server) importRoutes() []route {
	return []route{
		{method: "POST", pattern: "/api/v1/imports", need: "operator", surface: surfaceAPI, handle: s.postImport, out: api.ImportReport{}, stream: true, query: moveNames,
			summary: "Bring in a file or an archive of files; the body is the file, as application/octet-stream, and is streamed. With errors in its rows nothing is changed"},
		{method: "POST", pattern: "/api/v1/devices/{ref}/parts", need: "operator", surface: surfaceAPI, handle: s.equip, in: api.WhyRequest{}, out: api.PartsCreated{}, status: http.StatusCreated,
			summary: "Give a device the interfaces, ports and bays that its type lists and that it lacks"},
	}
}

// moveNames are the options of an import, as query parameters and as fields of a form.
var moveNames = []string{"format", "name", "noun", "map", "keep_unknown", "currency", "site", "dates", "parts", "dry_run", "run", "why"}

// moveOptions reads the options of an import.
func moveOptions(v url.Values) (importer.Options, error) {
	o := importer.Options{Format: v.Get("format"), Noun: v.Get("noun"), KeepUnknown: v.Get("keep_unknown"), Currency: strings.ToUpper(v.Get("currency")),
		Site: v.Get("site"), Dates: v.Get("dates"), Map: map[string]string{}}
	if o.Format == "auto" {
		o.Format = ""
	}
	var err error
	if o.Parts, err = boolParam(v, "parts"); err != nil {
		return o, err
	}
	for _, text := range v["map"] {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			from, to, ok := strings.Cut(line, "=")
			if !ok || len(o.Map) >= 500 {
				return o, invalid("map", "%q is not title = field", truncate(line, 60))
			}
			o.Map[strings.TrimSpace(from)] = strings.TrimSpace(to)
		}
	}
	return o, nil
}

func boolParam(v url.Values, name string) (bool, error) {
	if v.Get(name) == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(v.Get(name))
	if err != nil {
		return false, invalid(name, "must be true or false")
	}
	return b, nil
}

func (s *Server) postImport(w http.ResponseWriter, r *http.Request, who caller) error {
	v := r.URL.Query()
	opt, err := moveOptions(v)
	if err != nil {
		return err
	}
	dry, err := boolParam(v, "dry_run")
	if err != nil {
		return err
	}
	run := inventory.UID(v.Get("run"))
	if run != "" && !run.Valid() {
		return invalid("run", "is not a uid")
	}
	file, size, err := spool(patient(w, r.Body))
	if err != nil {
		return err
	}
	defer discardFile(file)
	src := importer.Source{Name: truncate(v.Get("name"), 200), Body: file, Size: size}
	report, err := s.runImport(r, who, src, opt, v.Get("why"), run, dry)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, report)
}

// runImport looks at a source, and applies it where that is asked for and nothing is wrong with it. What was begun is carried on when the
// client goes away: half an import helps nobody. It ends with the server, and the same import again goes on.
func (s *Server) runImport(r *http.Request, who caller, src importer.Source, opt importer.Options, why string, run inventory.UID, dry bool) (api.ImportReport, error) {
	plan, err := s.importer.Check(r.Context(), who.Actor, src, opt)
	if err != nil {
		return api.ImportReport{}, importProblem(err)
	}
	report := plan.Report()
	if dry || report.Failed() {
		return wireReport(report, false), nil
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	go func() {
		select {
		case <-s.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	report, err = s.importer.Apply(ctx, edit(r, who, why), plan, run)
	// A plan holds every object it makes. A server that idles for weeks after it was moved into shall not keep that memory.
	debug.FreeOSMemory()
	return wireReport(report, true), importProblem(err)
}

// importProblem gives what cannot be read a status of its own.
func importProblem(err error) error {
	var unreadable *importer.Unreadable
	if errors.As(err, &unreadable) {
		return &api.Problem{Status: http.StatusUnprocessableEntity, Code: api.CodeInvalid, Detail: firstUpper(unreadable.Error()) + ".", Fields: map[string]string{"file": unreadable.Error()}}
	}
	return err
}

// spool keeps a body in a temporary file, because an archive is read from its end.
func spool(body io.Reader) (*os.File, int64, error) {
	file, err := os.CreateTemp("", "berth-import-*")
	if err != nil {
		return nil, 0, fmt.Errorf("keep the upload: %w", err)
	}
	size, err := io.Copy(file, io.LimitReader(body, importer.MaxUpload+1))
	if err == nil && size > importer.MaxUpload {
		err = &api.Problem{Status: http.StatusRequestEntityTooLarge, Code: api.CodeTooLarge, Detail: fmt.Sprintf("An import may have %d MiB at most.", importer.MaxUpload>>20)}
	}
	if err != nil {
		discardFile(file)
		return nil, 0, err
	}
	return file, size, nil
}

// discardFile removes a temporary file. What is left behind is swept with the system's temporary files.
func discardFile(f *os.File) { _ = errors.Join(f.Close(), os.Remove(f.Name())) }

func (s *Server) equip(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusCreated, func(in api.WhyRequest) (api.PartsCreated, error) {
		var out api.PartsCreated
		err := s.Record.Edit(r.Context(), edit(r, who, in.Why), func(tx inventory.Tx) (err error) {
			out.Created, err = importer.Equip(tx, r.PathValue("ref"))
			return err
		})
		return out, err
	})
}

// wireReport is a report as it goes over the wire.
func wireReport(r importer.Report, applied bool) api.ImportReport {
	out := api.ImportReport{Format: r.Format, DryRun: !applied, Applied: applied, Run: r.Run, Request: r.Request, Rows: r.Rows, Created: r.Created, Updated: r.Updated, Unchanged: r.Unchanged,
		MoreErrors: r.MoreErrors, Files: []api.ImportFile{}, Nouns: []api.ImportCount{}, Errors: wireErrors(r.Errors), Warnings: wireErrors(r.Warnings), Unknown: []api.ImportColumn{}, Changes: []api.ImportChange{}}
	for _, f := range r.Files {
		out.Files = append(out.Files, api.ImportFile(f))
	}
	for _, n := range r.ByNoun {
		out.Nouns = append(out.Nouns, api.ImportCount(n))
	}
	for _, u := range r.Unknown {
		out.Unknown = append(out.Unknown, api.ImportColumn{File: u.File, Column: u.Column, Rows: u.Rows, Example: u.Example, Kept: u.Kept})
	}
	for _, p := range r.Preview {
		c := api.ImportChange{Noun: p.Noun, Action: p.Action, Label: p.Label, File: p.File, Row: p.Row, Fields: []api.FieldChange{}}
		for _, f := range p.Fields {
			c.Fields = append(c.Fields, api.FieldChange(f))
		}
		out.Changes = append(out.Changes, c)
	}
	return out
}

func wireErrors(list []importer.RowError) []api.ImportError {
	out := []api.ImportError{}
	for _, e := range list {
		out = append(out, api.ImportError{File: e.File, Row: e.Row, Column: e.Column, Value: e.Value, Why: e.Why})
	}
	return out
}

// pendingLife is how long an upload that was looked at and not applied is kept.
const (
	pendingLife = time.Hour
	maxPending  = 8
)
