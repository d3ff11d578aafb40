package web

import (
	"context"
	"errors"
	"io"
	"net/http"

	"berth/api"
	"berth/inventory"
	"berth/inventory/text"
)

// maxSteps bounds the steps that a plan lists in its answer.
const maxSteps = 10_000

// textRoutes bring the record out as text and text into the record. They are for administrators: an export holds amounts and the
// ciphertext of secrets, and what is applied may be of any noun.
func (s *Server) textRoutes() []route {
	options := []string{"delete", "name", "commit", "why"}
	return s.onArchive([]route{
		{method: "GET", pattern: "/api/v1/export", need: "admin", handle: s.exportText, stream: true, query: []string{"documents"},
			summary: "The record as a directory of YAML files, in a tar archive; with documents=true the bytes of documents come along"},
		{method: "POST", pattern: "/api/v1/plan", need: "admin", handle: s.planText, stream: true, out: api.TextPlan{}, query: options[:1],
			summary: "Compare a directory of YAML files with the record; the body is a tar archive, as application/x-tar. delete=true plans the removal of what it lacks"},
		{method: "POST", pattern: "/api/v1/apply", need: "admin", handle: s.applyText, stream: true, out: api.TextApplied{}, query: options,
			summary: "Make the record what a directory of YAML files says; the body is a tar archive, as application/x-tar"},
	})
}

func (s *Server) exportText(w http.ResponseWriter, r *http.Request, _ caller) error {
	documents, err := queryFlag(r, "documents", false)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Disposition", `attachment; filename="berth.tar"`)
	out := lasting(w)
	err = s.Archive.Snapshot(r.Context(), func(at inventory.Reader) error {
		_, err := text.WriteTar(r.Context(), at, s.blobs(documents), out)
		return err
	})
	if err != nil {
		s.log().Error("an export failed", "error", err)
	}
	return out.end(err)
}

// blobs is the store of documents, or nil: a nil pointer in an interface would not be nil.
func (s *Server) blobs(wanted bool) text.Blobs {
	if !wanted || s.Documents == nil {
		return nil
	}
	return s.Documents
}

func (s *Server) planText(w http.ResponseWriter, r *http.Request, _ caller) error {
	dir, err := text.ReadTar(patient(w, r.Body), nil)
	if err != nil {
		return err
	}
	plan, err := s.textPlan(r, dir)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, planOf(plan))
}

func (s *Server) applyText(w http.ResponseWriter, r *http.Request, who caller) error {
	q := r.URL.Query()
	if len(q.Get("name")) > 300 || len(q.Get("commit")) > 100 {
		return malformed("name has at most 300 characters, commit 100.")
	}
	var keep func(io.Reader) (string, int64, error)
	if s.Documents != nil {
		keep = s.Documents.Put
	}
	dir, err := text.ReadTar(patient(w, r.Body), keep)
	if err != nil {
		return err
	}
	plan, err := s.textPlan(r, dir)
	if err != nil {
		return err
	}
	why := q.Get("why")
	if why == "" && q.Get("commit") != "" {
		why = "apply of " + q.Get("commit")
	}
	req := edit(r, who, why)
	// Whoever began it may go: what was checked as a whole is not left half done for a lost connection.
	ctx := context.WithoutCancel(r.Context())
	run, err := text.Apply(ctx, s.Archive, plan, text.Run{Request: req, Name: q.Get("name"), Commit: q.Get("commit"), Digest: dir.Digest()})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, api.TextApplied{Plan: planOf(plan), Run: *run, Request: req.ID})
}

func (s *Server) textPlan(r *http.Request, dir *text.Directory) (*text.Plan, error) {
	var plan *text.Plan
	remove, err := queryFlag(r, "delete", false)
	if err != nil {
		return nil, err
	}
	err = s.Archive.Snapshot(r.Context(), func(at inventory.Reader) (err error) {
		plan, err = dir.Plan(r.Context(), at, text.Options{Delete: remove, CanOpen: s.Archive.Reveal})
		return err
	})
	if errors.Is(err, text.ErrNotWhole) {
		return nil, &api.Problem{Status: http.StatusConflict, Code: api.CodeRefused, Detail: err.Error()}
	}
	return plan, err
}

func planOf(p *text.Plan) api.TextPlan {
	out := api.TextPlan{Steps: []api.TextStep{}, Creates: p.Count(text.Create), Changes: p.Count(text.Change), Deletes: p.Count(text.Delete),
		Unchanged: p.Unchanged, Extra: p.Extra, Notices: p.Notices}
	for i, step := range p.Steps {
		if i == maxSteps {
			out.More = len(p.Steps) - maxSteps
			break
		}
		s := api.TextStep{Action: string(step.Action), Noun: step.Noun.Name, UID: step.UID, Name: step.Name, File: step.File, Line: step.Line}
		for _, f := range step.Fields {
			s.Fields = append(s.Fields, api.TextField{Field: f.Field, From: f.From, To: f.To})
		}
		out.Steps = append(out.Steps, s)
	}
	return out
}

// decide hands a verdict to whom the deviation belongs: the text, or the machines.
func (s *Server) decide(r *http.Request, who caller, in api.VerdictRequest) error {
	ref, req := r.PathValue("ref"), edit(r, who, in.Note)
	v, err := inventory.Get[inventory.Deviation](r.Context(), s.Record, ref)
	if err != nil {
		return err
	}
	if v.Source == text.SourceText {
		return text.Decide(r.Context(), s.Record, req, v, in.Verdict, in.Note)
	}
	return s.Machines.Verdict(r.Context(), req, ref, in.Verdict, in.Note)
}
