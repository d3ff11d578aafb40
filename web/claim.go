package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"berth/api"
	"berth/inventory"
	"berth/inventory/blob"
	"berth/inventory/claims"
)

// Claims: their page, what was said to and by the other side, the letter and the dossier.

var claimNoun = inventory.NounFor[inventory.Claim]()

// claimRoutes are REST for what is done with a claim.
func (s *Server) claimRoutes() []route {
	rows := []route{
		{method: "POST", pattern: "/api/v1/claims/{ref}/say", need: claimNoun.Edit, handle: s.postWord, in: api.ClaimWord{}, out: api.ClaimWordResult{}, status: http.StatusCreated,
			summary: "Keep a word to or from the other side of a claim: what we send sets the day of the next chase, an answer ends their silence"},
		{method: "GET", pattern: "/api/v1/claims/{ref}/letter", need: "viewer", handle: s.claimLetter, query: []string{"format"},
			summary: "The letter to the other side, from what the record knows: text, or format=pdf"},
		{method: "GET", pattern: "/api/v1/claims/{ref}/dossier", need: "viewer", handle: s.claimDossier, query: []string{"format"},
			summary: "Everything that proves a claim: a zip, or format=pdf for the report alone"},
	}
	for i := range rows {
		rows[i].surface = surfaceAPI
	}
	return rows
}

func (s *Server) claimPages() []route {
	return []route{
		{method: "GET", pattern: "/claims/{ref}", need: "viewer", handle: s.claimPage},
		{method: "POST", pattern: "/claims/{ref}/say", need: claimNoun.Edit, handle: s.wordForm},
		{method: "GET", pattern: "/claims/{ref}/letter", need: "viewer", handle: s.claimLetter},
		{method: "GET", pattern: "/claims/{ref}/dossier", need: "viewer", handle: s.claimDossier},
	}
}

// reading is the record for what only looks, on behalf of a request.
func (s *Server) reading(ctx context.Context) claims.Reader { return claims.Reading(ctx, s.Record) }

// dossier gathers everything about the claim that a request names.
func (s *Server) dossier(r *http.Request, who caller) (*claims.Dossier, error) {
	claim, err := inventory.Get[inventory.Claim](r.Context(), s.Record, r.PathValue("ref"))
	if err != nil {
		return nil, err
	}
	d, err := claims.Gather(s.reading(r.Context()), s.rules(), claim, s.now().UTC(), who.SeesMoney())
	if err != nil {
		return nil, err
	}
	if !who.SeesMoney() { // an invoice says what the record does not show
		d.Documents = slices.DeleteFunc(d.Documents, func(p claims.Paper) bool { return slices.Contains(moneyPapers, p.Document.Kind) })
	}
	return d, nil
}

// download answers with a file to be saved.
func download(w http.ResponseWriter, name, mediaType string, data []byte) error {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Disposition", blob.Disposition(name))
	h.Set("Content-Security-Policy", filePolicy)
	_, _ = w.Write(data) // the browser has gone: nobody is left to tell
	return nil
}

func (s *Server) claimLetter(w http.ResponseWriter, r *http.Request, who caller) error {
	d, err := s.dossier(r, who)
	if err != nil {
		return err
	}
	name := "letter-" + d.Claim.Reference
	if r.URL.Query().Get("format") != "pdf" {
		return download(w, name+".txt", "text/plain; charset=utf-8", []byte(d.LetterText()))
	}
	data, err := d.LetterPDF()
	if err != nil {
		return err
	}
	return download(w, name+".pdf", "application/pdf", data)
}

func (s *Server) claimDossier(w http.ResponseWriter, r *http.Request, who caller) error {
	d, err := s.dossier(r, who)
	if err != nil {
		return err
	}
	name := "claim-" + d.Claim.Reference
	if r.URL.Query().Get("format") == "pdf" {
		data, err := d.PDF()
		if err != nil {
			return err
		}
		return download(w, name+".pdf", "application/pdf", data)
	}
	// What can fail without the documents fails here, before the answer has begun.
	if err := d.Zip(io.Discard, nil); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", blob.Disposition(name+".zip"))
	h.Set("Content-Security-Policy", filePolicy)
	_ = http.NewResponseController(w).SetWriteDeadline(s.now().Add(downloadTime))
	return d.Zip(w, s.documentBytes())
}

// documentBytes opens the files of documents; nil where this server keeps none.
func (s *Server) documentBytes() func(*inventory.Document) (io.ReadCloser, error) {
	if s.Documents == nil {
		return nil
	}
	return func(d *inventory.Document) (io.ReadCloser, error) { return s.Documents.Open(d.Digest) }
}

func (s *Server) postWord(w http.ResponseWriter, r *http.Request, who caller) error {
	return act(w, r, http.StatusCreated, func(in api.ClaimWord) (*api.ClaimWordResult, error) {
		return s.say(r, who, in)
	})
}

func (s *Server) say(r *http.Request, who caller, in api.ClaimWord) (out *api.ClaimWordResult, err error) {
	word := claims.Word{Direction: in.Direction, Channel: in.Channel, Text: in.Text, Contact: in.Contact, Document: in.Document}
	if in.At != nil {
		word.At = *in.At
	}
	err = s.Record.Edit(r.Context(), edit(r, who, ""), func(tx inventory.Tx) error {
		claim, err := inventory.TxGet[inventory.Claim](tx, r.PathValue("ref"))
		if err != nil {
			return err
		}
		entry, err := claims.Say(tx, claim, word, who.Actor.Name)
		if err != nil {
			return err
		}
		out = &api.ClaimWordResult{Entry: *entry, Claim: *claim}
		return nil
	})
	if out != nil && !who.SeesMoney() {
		claimNoun.HideMoney(&out.Claim)
	}
	return out, err
}

// claimView is the page of a claim.
type claimView struct {
	oneView
	Claim      *inventory.Claim
	Dossier    *claims.Dossier
	Letter     string
	Unanswered bool
	ChaseIn    int // days until the next chase; negative: overdue
	Typed      url.Values
	Channels   []option
	Directions []option
}

var directionWords = map[string]string{"out": "we told them", "in": "they told us", "note": "a note of our own"}

// Words are those of the chase log, newest first.
func (v claimView) Words() []*inventory.ClaimEntry {
	list := slices.Clone(v.Dossier.Chase)
	slices.Reverse(list)
	return list
}

func (s *Server) claimPage(w http.ResponseWriter, r *http.Request, who caller) error {
	return s.drawClaim(w, r, who, url.Values{"direction": {"out"}, "channel": {"email"}}, nil)
}

func (s *Server) drawClaim(w http.ResponseWriter, r *http.Request, who caller, typed url.Values, problem *api.Problem) error {
	o, err := s.one(r, who, claimNoun)
	if err != nil {
		return err
	}
	d, err := s.dossier(r, who)
	if err != nil {
		return err
	}
	claim := o.Object.(*inventory.Claim)
	v := claimView{oneView: o, Claim: claim, Dossier: d, Letter: d.LetterText(), Typed: typed, Unanswered: claims.Unanswered(claim, s.today()), ChaseIn: s.today().Until(claim.NextChaseOn)}
	entry := inventory.NounFor[inventory.ClaimEntry]()
	channel, _ := entry.Field("channel")
	direction, _ := entry.Field("direction")
	v.Channels, v.Directions = enumOptions(channel, typed.Get("channel")), enumOptions(direction, typed.Get("direction"))
	for i, o := range v.Directions {
		v.Directions[i].Text = directionWords[o.Value]
	}
	return s.render(w, r, who, "claim", view{Title: "Claim " + claim.Reference, Live: "claims,claim-entries,deadlines", Problem: problem, Data: v})
}

func (s *Server) wordForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	in := api.ClaimWord{Direction: v.Get("direction"), Channel: v.Get("channel"), Text: strings.TrimSpace(strings.ReplaceAll(v.Get("text"), "\r\n", "\n"))}
	if text := v.Get("at"); text != "" {
		at, err := time.Parse(formTime, text)
		if err != nil {
			p, _ := again(invalid("at", "must be a date and time (UTC)"))
			return s.drawClaim(w, r, who, v, p)
		}
		in.At = &at
	}
	out, err := s.say(r, who, in)
	if p, ok := again(err); ok {
		return s.drawClaim(w, r, who, v, p)
	}
	if err != nil {
		return err
	}
	flash(w, "Kept. The claim is %s.", strings.ReplaceAll(out.Claim.Status, "_", " "))
	return seeOther(w, r, pageOf(claimNoun, &out.Claim))
}

// refOfNoun turns what a person calls an object of a noun into its uid.
func (s *Server) refOfNoun(ctx context.Context, noun, field, ref string) (inventory.UID, error) {
	ref = strings.TrimSpace(ref)
	if ref == "" {
		return "", nil
	}
	obj, err := s.Record.Get(ctx, nounNamed(noun), ref)
	if errors.Is(err, inventory.ErrNotFound) {
		return "", invalid(field, "there is no %s %q", strings.ToLower(nounNamed(noun).Title), truncate(ref, 80))
	}
	if err != nil {
		return "", err
	}
	return obj.Head().UID, nil
}

// schedule answers with what a disposition took, as CSV.
func (s *Server) schedule(w http.ResponseWriter, r *http.Request, who caller) error {
	d, err := inventory.Get[inventory.Disposition](r.Context(), s.Record, r.PathValue("ref"))
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := claims.Schedule(&out, s.reading(r.Context()), d, who.SeesMoney()); err != nil {
		return fmt.Errorf("write the schedule of %s: %w", d.Reference, err)
	}
	return download(w, "schedule-"+d.Reference+".csv", "text/csv; charset=utf-8; header=present", out.Bytes())
}
