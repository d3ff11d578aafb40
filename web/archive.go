package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"berth/api"
	"berth/inventory"
)

// Archive is the record as a whole: read at one moment, secrets and amounts included. What asks for it is for administrators alone, but
// for the question whether the chain of custody holds.
type Archive interface {
	inventory.Record
	inventory.Snapshotter
	// Backup writes the record to w; open gives the bytes of documents, nil leaves them out.
	Backup(ctx context.Context, w io.Writer, open func(digest string) (*os.File, error)) (inventory.Backup, error)
	// Restore puts a backup in place of the record; one that is not empty only if replace says so. put keeps the bytes of documents.
	Restore(ctx context.Context, archive io.ReadSeeker, replace bool, req inventory.Request, put func(io.Reader) (string, int64, error)) (inventory.Backup, error)
	// Forget blanks a person in the record and in its log.
	Forget(ctx context.Context, req inventory.Request, ref string) (*inventory.Contact, error)
}

func (s *Server) archiveRoutes() []route {
	rows := []route{
		{method: "GET", pattern: "/api/v1/backup", need: "admin", handle: s.backup, stream: true, query: []string{"documents"},
			summary: "The whole record in a gzipped tar archive, secrets sealed, checked by digests; documents=false leaves out the bytes of documents"},
		{method: "POST", pattern: "/api/v1/restore", need: "admin", handle: s.restore, stream: true, out: inventory.Backup{}, query: []string{"replace", "why"},
			summary: "Put a backup in place of the record; the body is the archive. replace=true loses a record that is not empty"},
		{method: "POST", pattern: "/api/v1/contacts/{ref}/forget", need: "admin", handle: s.forget, in: api.WhyRequest{}, out: inventory.Contact{},
			summary: "Blank a person in the record and in its change log; it cannot be undone"},
		{method: "GET", pattern: "/api/v1/custody/verify", need: "viewer", handle: s.verifyCustody, out: inventory.CustodyReport{},
			summary: "Walk along the chain of custody; names the first link that does not hold"},
	}
	return s.onArchive(rows)
}

// onArchive makes rows answer that there is no archive where the server was built without one.
func (s *Server) onArchive(rows []route) []route {
	for i := range rows {
		handle := rows[i].handle
		rows[i].surface = surfaceAPI
		rows[i].handle = func(w http.ResponseWriter, r *http.Request, who caller) error {
			if s.Archive == nil {
				return &api.Problem{Status: http.StatusServiceUnavailable, Code: api.CodeUnavailable, Detail: "This server keeps no archive."}
			}
			return handle(w, r, who)
		}
	}
	return rows
}

func queryFlag(r *http.Request, name string, standard bool) (bool, error) {
	v := r.URL.Query().Get(name)
	if v == "" {
		return standard, nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return false, malformed("%s is true or false.", name)
	}
	return b, nil
}

func (s *Server) backup(w http.ResponseWriter, r *http.Request, _ caller) error {
	documents, err := queryFlag(r, "documents", true)
	if err != nil {
		return err
	}
	var open func(string) (*os.File, error)
	if documents && s.Documents != nil {
		open = s.Documents.Open
	}
	w.Header().Set("Content-Type", "application/gzip")
	w.Header().Set("Content-Disposition", `attachment; filename="berth-backup.tar.gz"`)
	out := lasting(w)
	made, err := s.Archive.Backup(r.Context(), out, open)
	if err != nil {
		s.log().Error("a backup failed", "error", err)
	}
	if made.MissingDocuments > 0 {
		s.log().Warn("a backup lacks documents whose bytes are not on this server", "documents", made.MissingDocuments)
	}
	return out.end(err)
}

// restore keeps the archive in a file until all of it has come: a slow line would otherwise hold the record up.
func (s *Server) restore(w http.ResponseWriter, r *http.Request, who caller) error {
	replace, err := queryFlag(r, "replace", false)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp("", "berth-restore-*.tar.gz")
	if err != nil {
		return fmt.Errorf("keep the backup while it is read: %w", err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := io.Copy(file, patient(w, r.Body)); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	var put func(io.Reader) (string, int64, error)
	if s.Documents != nil {
		put = s.Documents.Put
	}
	made, err := s.Archive.Restore(context.WithoutCancel(r.Context()), file, replace, edit(r, who, r.URL.Query().Get("why")), put)
	if err != nil {
		return asRefusal(err)
	}
	return writeJSON(w, http.StatusOK, made)
}

// refused is what a store says by its own errors, in a sentence: too new a schema, another key.
type refused interface {
	error
	Refused() bool
}

// asRefusal shows the sentence of an error that is the backup's fault and not ours.
func asRefusal(err error) error {
	var r refused
	if errors.As(err, &r) && r.Refused() {
		return &api.Problem{Status: http.StatusConflict, Code: api.CodeRefused, Detail: err.Error()}
	}
	return err
}

func (s *Server) forget(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusOK, func(in api.WhyRequest) (*inventory.Contact, error) {
		return s.Archive.Forget(r.Context(), edit(r, who, in.Why), r.PathValue("ref"))
	})
}

func (s *Server) verifyCustody(w http.ResponseWriter, r *http.Request, _ caller) error {
	report, err := inventory.VerifyCustody(r.Context(), s.Record)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, report)
}

// lasting writes an answer that takes longer than ordinary ones may: the deadline moves on for as long as the client takes it in.
func lasting(w http.ResponseWriter) *lastingWriter {
	rc := http.NewResponseController(w)
	// There is nothing more to read, and a deadline for it that passed would cancel the request. Unsupported under a test's recorder.
	_ = rc.SetReadDeadline(time.Time{})
	return &lastingWriter{w: w, rc: rc}
}

// end ends an answer. If it failed after its beginning, the connection is cut, so that the client does not take a part for the whole.
func (l *lastingWriter) end(err error) error {
	if err != nil && l.sent > 0 {
		panic(http.ErrAbortHandler)
	}
	return err
}

type lastingWriter struct {
	w    io.Writer
	rc   *http.ResponseController
	sent int64
	next int64
}

func (l *lastingWriter) Write(b []byte) (int, error) {
	if l.sent >= l.next {
		l.next = l.sent + renewEvery
		_ = l.rc.SetWriteDeadline(time.Now().Add(patience)) // unsupported under a test's recorder, where there is nothing to wait for
	}
	n, err := l.w.Write(b)
	l.sent += int64(n)
	return n, err
}
