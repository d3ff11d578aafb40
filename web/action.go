package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"berth/api"
	"berth/inventory"
)

// actionRoutes are what the record's general forms cannot say.
func (s *Server) actionRoutes() []route {
	return []route{
		{method: "POST", pattern: "/api/v1/machines/adopt", need: "operator", handle: s.adopt, in: api.AdoptRequest{}, out: inventory.Device{}, status: 201,
			summary: "Take in a machine that already runs, without a boot"},
		{method: "GET", pattern: "/api/v1/machines/{ref}/status", need: "viewer", handle: s.machineStatus, out: api.MachineStatus{},
			summary: "A machine with its facts, parts, open deviations and current operation"},
		{method: "GET", pattern: "/api/v1/machines/{ref}/timeline", need: "viewer", handle: s.timeline, out: api.Page[inventory.Event]{}, query: []string{"q", "limit", "cursor"},
			summary: "What happened to a machine, newest first"},
		{method: "POST", pattern: "/api/v1/machines/{ref}/accept", need: "operator", handle: s.accept, in: api.AcceptRequest{}, out: inventory.Device{},
			summary: "Say that a discovered machine is ours to work on"},
		{method: "POST", pattern: "/api/v1/machines/{ref}/plan", need: "viewer", handle: s.plan, in: api.DeployRequest{}, out: api.DeployPlan{},
			summary: "What a deploy or reimage would do: what is destroyed, what is kept, why not"},
		{method: "POST", pattern: "/api/v1/machines/{ref}/deploy", need: "operator", handle: s.deploy, in: api.DeployRequest{}, out: inventory.Operation{}, status: 202,
			summary: "Write an image to a ready machine and start it"},
		{method: "POST", pattern: "/api/v1/machines/{ref}/reimage", need: "operator", handle: s.reimage, in: api.DeployRequest{}, out: inventory.Operation{}, status: 202,
			summary: "Write an image to a machine that has one"},
		{method: "POST", pattern: "/api/v1/machines/{ref}/release", need: "operator", handle: s.release, in: api.ReleaseRequest{}, out: inventory.Operation{}, status: 202,
			summary: "Take a machine out of service: what berth wrote boots no more, and the machine is ready again"},
		{method: "POST", pattern: "/api/v1/machines/{ref}/inspect", need: "operator", handle: s.inspect, in: api.WhyRequest{}, out: inventory.Operation{}, status: 202,
			summary: "Look at a machine again"},
		{method: "POST", pattern: "/api/v1/machines/{ref}/retire", need: "operator", handle: s.retire, in: api.WhyRequest{}, out: inventory.Device{},
			summary: "End a machine's life in the record; nothing about it is forgotten"},
		{method: "POST", pattern: "/api/v1/machines/{ref}/power", need: "operator", handle: s.power, in: api.PowerRequest{}, out: inventory.Operation{}, status: 202,
			summary: "Switch a machine: on, off, cycle, reset, soft"},
		{method: "POST", pattern: "/api/v1/machines/{ref}/clear", need: "operator", handle: s.clear, in: api.ClearRequest{}, out: inventory.Device{},
			summary: "Lead a machine out of quarantine"},
		{method: "GET", pattern: "/api/v1/operations/{ref}/status", need: "viewer", handle: s.operationStatus, out: api.OperationStatus{},
			summary: "An operation with its steps"},
		{method: "GET", pattern: "/api/v1/operations/{ref}/events", need: "viewer", handle: s.watchOperation, stream: true,
			summary: "An operation with its steps, now and after each change, as server-sent events named operation, until it has ended"},
		{method: "POST", pattern: "/api/v1/operations/{ref}/cancel", need: "operator", handle: s.cancel, in: api.WhyRequest{}, out: inventory.Operation{},
			summary: "Stop an operation: when this answers, nothing has the right to another write"},
		{method: "POST", pattern: "/api/v1/operations/{ref}/steps/{step}/done", need: "operator", handle: s.taskDone, in: api.TaskDone{}, status: 204,
			summary: "Say that a person did what the step asked for"},
		{method: "POST", pattern: "/api/v1/deviations/{ref}/verdict", need: "operator", handle: s.verdict, in: api.VerdictRequest{}, status: 204,
			summary: "Decide a deviation: take_observed, keep_intended, task, ignore"},
		{method: "PUT", pattern: "/api/v1/images/import", need: "operator", handle: s.uploadImage, out: inventory.Image{}, status: 201, stream: true,
			query: importNames, summary: "Upload an image; the body is the image, as application/octet-stream, and is streamed"},
		{method: "POST", pattern: "/api/v1/images/import", need: "operator", handle: s.importURL, in: api.ImportRequest{}, out: inventory.Operation{}, status: 202,
			summary: "Let the server fetch an image; without a digest it is marked unverified"},
		{method: "POST", pattern: "/api/v1/changes/{ref}/undo", need: "operator", handle: s.undo, in: api.UndoRequest{}, status: 204,
			summary: "Make the opposite edits of a change, or of its whole request; the id of a request stands for all of it. A conflict tells everything in the way, in details"},
		{method: "POST", pattern: "/api/v1/tokens", need: "viewer", handle: s.postToken, in: api.TokenRequest{}, out: api.TokenCreated{}, status: 201,
			summary: "Make an API token; the answer shows it, this once"},
		{method: "DELETE", pattern: "/api/v1/tokens/{ref}", need: "viewer", handle: s.revokeToken, status: 204,
			summary: "End a token: one's own, or as an admin anybody's"},
		{method: "POST", pattern: "/api/v1/accounts/{ref}/password", need: "viewer", handle: s.postPassword, in: api.PasswordRequest{}, status: 204,
			summary: "Set a password: one's own, or as an admin anybody's, which must then be changed at the next login"},
		{method: "GET", pattern: "/api/v1/whoami", need: "viewer", handle: s.whoAmI, out: api.WhoAmI{}, summary: "Who the server takes the asker for"},
		{method: "GET", pattern: "/api/v1/search", need: "viewer", handle: s.search, out: api.SearchResult{}, query: []string{"q"}, summary: "Look for a text in every noun"},
		{method: "GET", pattern: "/api/v1/watch", need: "viewer", handle: s.watchNouns, query: []string{"noun"}, stream: true,
			summary: "The plural of each noun named that was touched, as server-sent events named changed"},
	}
}

// act is a handler that reads an In, does something, and answers with what came of it.
func act[In, Out any](w http.ResponseWriter, r *http.Request, status int, do func(In) (Out, error)) error {
	var in In
	if err := readJSON(r, &in); err != nil {
		return err
	}
	out, err := do(in)
	if err != nil {
		return err
	}
	return writeJSON(w, status, out)
}

func (s *Server) accept(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusOK, func(in api.AcceptRequest) (*inventory.Device, error) {
		return s.Machines.Accept(r.Context(), edit(r, who, in.Why), r.PathValue("ref"), in)
	})
}

func (s *Server) adopt(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusCreated, func(in api.AdoptRequest) (*inventory.Device, error) {
		return s.Machines.Adopt(r.Context(), edit(r, who, in.Why), in)
	})
}

func (s *Server) plan(w http.ResponseWriter, r *http.Request, _ caller) error {
	return act(w, r, http.StatusOK, func(in api.DeployRequest) (*api.DeployPlan, error) {
		return s.Machines.Plan(r.Context(), r.PathValue("ref"), in)
	})
}

func (s *Server) deploy(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusAccepted, func(in api.DeployRequest) (*inventory.Operation, error) {
		return s.Machines.Deploy(r.Context(), edit(r, who, in.Why), r.PathValue("ref"), in)
	})
}

func (s *Server) reimage(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusAccepted, func(in api.DeployRequest) (*inventory.Operation, error) {
		return s.Machines.Reimage(r.Context(), edit(r, who, in.Why), r.PathValue("ref"), in)
	})
}

func (s *Server) release(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusAccepted, func(in api.ReleaseRequest) (*inventory.Operation, error) {
		return s.Machines.Release(r.Context(), edit(r, who, in.Why), r.PathValue("ref"), in)
	})
}

func (s *Server) inspect(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusAccepted, func(in api.WhyRequest) (*inventory.Operation, error) {
		return s.Machines.Inspect(r.Context(), edit(r, who, in.Why), r.PathValue("ref"))
	})
}

func (s *Server) retire(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusOK, func(in api.WhyRequest) (*inventory.Device, error) {
		return s.Machines.Retire(r.Context(), edit(r, who, in.Why), r.PathValue("ref"))
	})
}

func (s *Server) power(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusAccepted, func(in api.PowerRequest) (*inventory.Operation, error) {
		return s.Machines.Power(r.Context(), edit(r, who, in.Why), r.PathValue("ref"), in.Action)
	})
}

func (s *Server) clear(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusOK, func(in api.ClearRequest) (*inventory.Device, error) {
		return s.Machines.Clear(r.Context(), edit(r, who, in.Why), r.PathValue("ref"), in.To, in.Why)
	})
}

func (s *Server) cancel(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusOK, func(in api.WhyRequest) (*inventory.Operation, error) {
		return s.Machines.Cancel(r.Context(), edit(r, who, in.Why), r.PathValue("ref"))
	})
}

func (s *Server) taskDone(w http.ResponseWriter, r *http.Request, who caller) error {
	var in api.TaskDone
	if err := readJSON(r, &in); err != nil {
		return err
	}
	return noContent(w, s.Machines.TaskDone(r.Context(), edit(r, who, in.Note), r.PathValue("ref"), r.PathValue("step"), in.Note))
}

func (s *Server) verdict(w http.ResponseWriter, r *http.Request, who caller) error {
	var in api.VerdictRequest
	if err := readJSON(r, &in); err != nil {
		return err
	}
	return noContent(w, s.decide(r, who, in))
}

// importNames are the fields of an import, as the query of an upload and as the fields of a form.
var importNames = []string{"name", "format", "os", "version", "arch", "digest", "why"}

func importOf(v url.Values) api.ImportRequest {
	return api.ImportRequest{Name: v.Get("name"), Format: v.Get("format"), OS: v.Get("os"), Version: v.Get("version"), Arch: v.Get("arch"),
		Digest: v.Get("digest"), URL: v.Get("url"), Why: v.Get("why")}
}

func (s *Server) uploadImage(w http.ResponseWriter, r *http.Request, who caller) error {
	in := importOf(r.URL.Query())
	image, err := s.Machines.ImportImage(r.Context(), edit(r, who, in.Why), in, patient(w, r.Body))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, image)
}

// patience is how long an upload may pause. It is renewed at each block, so that an upload may take hours, but not stand still.
const patience = time.Minute

// patient reads a body that is longer than the limits of ordinary requests allow.
func patient(w http.ResponseWriter, body io.Reader) io.Reader {
	return &patientReader{body: body, rc: http.NewResponseController(w)}
}

type patientReader struct {
	body io.Reader
	rc   *http.ResponseController
	got  int64
	next int64 // the deadline is renewed when this many bytes have come
}

// settleTimeout is how long an image that has arrived may take to be checked and put away.
const settleTimeout = time.Hour

// renewEvery is the least that must come in each minute of patience: 64 KiB.
const renewEvery = 64 << 10

func (p *patientReader) Read(b []byte) (int, error) {
	if p.got >= p.next {
		p.next = p.got + renewEvery
		deadline := time.Now().Add(patience)
		// Unsupported under a test's recorder, where there is nothing to wait for.
		_ = errors.Join(p.rc.SetReadDeadline(deadline), p.rc.SetWriteDeadline(deadline.Add(writeTimeout)))
	}
	n, err := p.body.Read(b)
	p.got += int64(n)
	if err == io.EOF {
		// All has come. What follows is our own work; a deadline for reading that passed meanwhile would cancel it.
		_ = errors.Join(p.rc.SetReadDeadline(time.Time{}), p.rc.SetWriteDeadline(time.Now().Add(settleTimeout)))
	}
	return n, err
}

func (s *Server) importURL(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusAccepted, func(in api.ImportRequest) (*inventory.Operation, error) {
		return s.Machines.ImportURL(r.Context(), edit(r, who, in.Why), in)
	})
}

func (s *Server) undo(w http.ResponseWriter, r *http.Request, who caller) error {
	var in api.UndoRequest
	if err := readJSON(r, &in); err != nil {
		return err
	}
	return noContent(w, s.undoChange(r, who, r.PathValue("ref"), in.Request, in.Why))
}

// undoChange asks for the rights that the edits themselves would need.
func (s *Server) undoChange(r *http.Request, who caller, ref string, whole bool, why string) error {
	change, err := inventory.Get[inventory.Change](r.Context(), s.Record, ref)
	if errors.Is(err, inventory.ErrNotFound) && inventory.UID(ref).Valid() {
		whole = true // it may be the id of a request
		change, err = s.changeOfRequest(r.Context(), ref, err)
	}
	if err != nil {
		return err
	}
	what, changes := change.UID, []*inventory.Change{change}
	if whole && change.Request != "" {
		what = change.Request
		changes, err = inventory.List[inventory.Change](r.Context(), s.Record, inventory.Query{
			Filters: []inventory.Filter{inventory.Is("request", change.Request)}, Limit: inventory.MaxPage})
		if err != nil {
			return err
		}
	}
	for _, c := range changes {
		if err := mayUndo(who, c); err != nil {
			return err
		}
	}
	if why == "" {
		why = "undo"
	}
	return s.Record.Undo(r.Context(), edit(r, who, why), what)
}

// changeOfRequest is one of the changes that a request made, else the error none.
func (s *Server) changeOfRequest(ctx context.Context, ref string, none error) (*inventory.Change, error) {
	changes, err := inventory.List[inventory.Change](ctx, s.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("request", ref)}, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(changes) == 0 {
		return nil, none
	}
	return changes[0], nil
}

func mayUndo(who caller, c *inventory.Change) error {
	n, ok := inventory.NounOf(c.Noun)
	if !ok || n.Edit == inventory.LevelNone {
		return &api.Problem{Status: http.StatusConflict, Code: api.CodeRefused, Detail: fmt.Sprintf("A change of a %s is not undone by hand.", c.Noun)}
	}
	if !who.Can(n.Edit) {
		return forbidden(who.Actor.Level, n.Edit)
	}
	return nil
}

func (s *Server) postToken(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusCreated, func(in api.TokenRequest) (*api.TokenCreated, error) {
		account, err := s.tokenAccount(r, who, in.Account)
		if err != nil {
			return nil, err
		}
		// A token may not make a stronger one than itself, whatever its account may do.
		if account.UID == who.Actor.Account {
			account.Level = lower(account.Level, who.Actor.Level)
		}
		return s.createToken(r.Context(), edit(r, who, ""), account, in)
	})
}

// tokenAccount is the account a new token is for: one's own, or as an admin anybody's. Whoever sits at the server and names nobody
// makes it for the first admin.
func (s *Server) tokenAccount(r *http.Request, who caller, ref string) (*inventory.Account, error) {
	if ref == "" && who.account != nil {
		own := *who.account
		return &own, nil
	}
	if ref == "" {
		ref = "admin"
	}
	if !who.Can(inventory.LevelAdmin) && ref != who.Actor.Name && ref != string(who.Actor.Account) {
		return nil, forbidden(who.Actor.Level, inventory.LevelAdmin)
	}
	account, err := inventory.Get[inventory.Account](r.Context(), s.Record, ref)
	if errors.Is(err, inventory.ErrNotFound) {
		return nil, invalid("account", "there is no account %q", truncate(ref, 80))
	}
	if err == nil && account.Disabled {
		return nil, invalid("account", "%s is disabled", account.Name)
	}
	return account, err
}

func (s *Server) revokeToken(w http.ResponseWriter, r *http.Request, who caller) error {
	return noContent(w, s.endToken(r, who, r.PathValue("ref")))
}

func (s *Server) endToken(r *http.Request, who caller, ref string) error {
	return s.Record.Edit(r.Context(), edit(r, who, ""), func(tx inventory.Tx) error {
		token, err := inventory.TxGet[inventory.Token](tx, ref)
		if err != nil {
			return err
		}
		if token.Account != who.Actor.Account && !who.Can(inventory.LevelAdmin) {
			return inventory.ErrNotFound
		}
		return tx.Delete(token)
	})
}

func (s *Server) postPassword(w http.ResponseWriter, r *http.Request, who caller) error {
	var in api.PasswordRequest
	if err := readJSON(r, &in); err != nil {
		return err
	}
	ref := r.PathValue("ref")
	if who.account != nil && (ref == who.account.Name || ref == string(who.account.UID)) {
		return noContent(w, s.changeOwnPassword(r, who, in.Current, in.New))
	}
	if !who.Can(inventory.LevelAdmin) {
		return forbidden(who.Actor.Level, inventory.LevelAdmin)
	}
	return noContent(w, s.givePassword(r, who, ref, in.New))
}

// changeOwnPassword asks for the current one, so that an unattended browser or a stolen token does not become an account.
func (s *Server) changeOwnPassword(r *http.Request, who caller, current, next string) error {
	if wait := s.pause.wait(s.now(), who.Actor.Name, remoteIP(r)); wait > 0 {
		return slowDown(wait)
	}
	if _, err := s.verify(r.Context(), who.account.Name, current); err != nil {
		if errors.Is(err, errWrongPassword) {
			s.pause.failed(s.now(), who.Actor.Name, remoteIP(r))
			return invalid("current", "is not the current password")
		}
		return err
	}
	if next == current {
		return invalid("new", "is the old one")
	}
	if err := checkNewPassword(next); err != nil {
		return err
	}
	var keep inventory.UID
	if who.session != nil {
		keep = who.session.UID
	}
	return s.setPassword(r.Context(), edit(r, who, "password changed"), who.account.UID, next, nil, keep)
}

// givePassword sets another's password; they must change it.
func (s *Server) givePassword(r *http.Request, who caller, ref, next string) error {
	account, err := inventory.Get[inventory.Account](r.Context(), s.Record, ref)
	if err != nil {
		return err
	}
	if err := checkNewPassword(next); err != nil {
		return err
	}
	until := s.now().UTC().Add(givenPasswordLife)
	return s.setPassword(r.Context(), edit(r, who, "password given by "+who.Actor.Name), account.UID, next, &until, "")
}

func (s *Server) whoAmI(w http.ResponseWriter, _ *http.Request, who caller) error {
	return writeJSON(w, http.StatusOK, api.WhoAmI{Name: who.Actor.Name, Account: who.Actor.Account, Level: who.Actor.Level, Money: who.Actor.SeesMoney(), Via: who.via, MustChangePassword: who.MustChange})
}
