package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"berth/api"
	"berth/inventory"
	"berth/inventory/blob"
)

// Documents are files of the record. They are handed out to be saved, never to be shown: the only thing of a file that a page shows is a
// thumbnail that berth drew itself.

var (
	documentNoun   = inventory.NounFor[inventory.Document]()
	attachmentNoun = inventory.NounFor[inventory.Attachment]()
)

// moneyPapers are the kinds of document that are about amounts, and are handed out to those alone who may see amounts.
var moneyPapers = []string{"invoice", "contract", "policy", "customs"}

// documentPages are the pages about documents, and the files themselves.
func (s *Server) documentPages() []route {
	return []route{
		{method: "GET", pattern: "/documents/new", need: documentNoun.Edit, handle: s.newDocumentPage},
		{method: "POST", pattern: "/documents/new", need: documentNoun.Edit, handle: s.uploadDocumentForm, stream: true},
		{method: "GET", pattern: "/documents/{ref}", need: "viewer", handle: s.documentPage},
		{method: "POST", pattern: "/documents/{ref}/delete", need: documentNoun.Edit, handle: s.deleteDocumentForm},
		{method: "POST", pattern: "/attachments/{ref}/delete", need: attachmentNoun.Edit, handle: s.detachForm},
		{method: "GET", pattern: "/documents/{ref}/content", need: "viewer", handle: s.documentContent, stream: true},
		{method: "GET", pattern: "/documents/{ref}/thumbnail", need: "viewer", handle: s.documentThumbnail},
	}
}

// documentRoutes are REST for what the general forms cannot do with a document.
func (s *Server) documentRoutes() []route {
	return []route{
		{method: "POST", pattern: "/api/v1/documents", need: documentNoun.Edit, surface: surfaceAPI, handle: s.uploadDocument, out: inventory.Document{}, status: http.StatusCreated, stream: true,
			query: documentNames, summary: "Upload a document; the body is the file, as application/octet-stream, and is streamed. attach is noun/name, such as shipment/S-1, and may be repeated"},
		{method: "DELETE", pattern: "/api/v1/documents/{ref}", need: documentNoun.Edit, surface: surfaceAPI, handle: s.deleteDocument, status: http.StatusNoContent,
			query: []string{"why"}, summary: "Delete one document and take it off what it is attached to; its bytes stay for an undo"},
		{method: "GET", pattern: "/api/v1/documents/{ref}/content", need: "viewer", surface: surfaceAPI, handle: s.documentContent, stream: true,
			summary: "The bytes of a document, as they were uploaded"},
	}
}

// documentNames are the fields of an upload, as a query and as the fields of a form.
var documentNames = []string{"name", "kind", "date", "description", "caption", "attach", "why"}

func documentOf(v url.Values) api.DocumentRequest {
	return api.DocumentRequest{Name: v.Get("name"), Kind: v.Get("kind"), Date: v.Get("date"), Description: v.Get("description"),
		Caption: v.Get("caption"), Attach: v["attach"], Why: v.Get("why")}
}

var errNoDocuments = &api.Problem{Status: http.StatusServiceUnavailable, Code: api.CodeUnavailable, Detail: "This server keeps no documents."}

func (s *Server) uploadDocument(w http.ResponseWriter, r *http.Request, who caller) error {
	doc, err := s.takeDocument(r, who, documentOf(r.URL.Query()), patient(w, r.Body))
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/documents/"+string(doc.UID))
	return writeObject(w, http.StatusCreated, documentNoun, doc, who)
}

// takeDocument keeps a file and puts it into the record. Its targets are looked up before a byte is read.
func (s *Server) takeDocument(r *http.Request, who caller, in api.DocumentRequest, body io.Reader) (*inventory.Document, error) {
	if s.Documents == nil {
		return nil, errNoDocuments
	}
	targets, err := s.targets(r.Context(), who, in)
	if err != nil {
		return nil, err
	}
	doc, err := s.Documents.Receive(body, in.Name)
	if err != nil {
		return nil, uploadError(err)
	}
	doc.Kind, doc.Date, doc.Description, doc.UploadedBy = in.Kind, inventory.Date(in.Date), in.Description, who.Actor.Name
	var kept *inventory.Document
	err = s.Record.Edit(r.Context(), edit(r, who, in.Why), func(tx inventory.Tx) error {
		fresh := *doc // the edit may run again
		kept = &fresh
		return blob.File(tx, kept, targets...)
	})
	return kept, err
}

func uploadError(err error) error {
	var large *blob.TooLarge
	if errors.As(err, &large) {
		return &api.Problem{Status: http.StatusRequestEntityTooLarge, Code: api.CodeTooLarge,
			Detail: fmt.Sprintf("The file is larger than the %s allowed here (--document-limit).", blob.Size(large.Limit))}
	}
	return err
}

// maxTargets bounds what one upload is attached to.
const maxTargets = 100

// targets finds the objects that an upload names.
func (s *Server) targets(ctx context.Context, who caller, in api.DocumentRequest) ([]blob.Target, error) {
	if len(in.Attach) > maxTargets {
		return nil, invalid("attach", "names more than %d objects", maxTargets)
	}
	var list []blob.Target
	for _, text := range in.Attach {
		if text == "" {
			continue
		}
		noun, ref, _ := strings.Cut(text, "/")
		n, ok := inventory.NounOf(noun)
		if !ok || ref == "" || n.Attached || n.Journal {
			return nil, invalid("attach", "%q is not noun/name, such as shipment/S-1", truncate(text, 60))
		}
		if !who.Can(n.Read) {
			return nil, forbidden(who.Actor.Level, n.Read)
		}
		obj, err := s.Record.Get(ctx, n, ref)
		if isNotFound(err) {
			return nil, invalid("attach", "there is no %s %q", strings.ToLower(n.Title), truncate(ref, 60))
		}
		if err != nil {
			return nil, err
		}
		list = append(list, blob.Target{Noun: tableNoun(n), Object: obj.Head().UID, Caption: in.Caption})
	}
	return list, nil
}

// tableNoun is the noun that a view is on: what is attached to a machine is attached to its device.
func tableNoun(n *inventory.Noun) *inventory.Noun { return inventory.Describe(n.New()) }

func (s *Server) deleteDocument(w http.ResponseWriter, r *http.Request, who caller) error {
	return noContent(w, s.discard(r, who, r.URL.Query().Get("why")))
}

func (s *Server) discard(r *http.Request, who caller, why string) error {
	return s.change(r, who, documentNoun, why, func(tx inventory.Tx, obj inventory.Object) error {
		return blob.Discard(tx, obj.(*inventory.Document))
	})
}

func (s *Server) deleteDocumentForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	if err := s.discard(r, who, v.Get("why")); err != nil {
		return err
	}
	flash(w, "The document was deleted. The change log keeps it; it can be undone there.")
	return seeOther(w, r, localPath(v.Get("back"), "/documents"))
}

func (s *Server) detachForm(w http.ResponseWriter, r *http.Request, who caller) error {
	v, err := form(r)
	if err != nil {
		return err
	}
	err = s.change(r, who, attachmentNoun, v.Get("why"), func(tx inventory.Tx, obj inventory.Object) error { return tx.Delete(obj) })
	if err != nil {
		return err
	}
	flash(w, "The document was taken off; it is still among the documents.")
	return seeOther(w, r, localPath(v.Get("back"), "/documents"))
}

// readable is the document that a request names, if its reader may have its contents.
func (s *Server) readable(r *http.Request, who caller) (*inventory.Document, error) {
	doc, err := inventory.Get[inventory.Document](r.Context(), s.Record, r.PathValue("ref"))
	if err != nil {
		return nil, err
	}
	if slices.Contains(moneyPapers, doc.Kind) && !who.SeesMoney() {
		return nil, forbiddenMoney(doc.Kind)
	}
	if s.Documents == nil {
		return nil, errNoDocuments
	}
	return doc, nil
}

// filePolicy forbids a file everything, should a browser show it in spite of all else.
const filePolicy = "default-src 'none'; sandbox"

// documentContent hands a file out to be saved, whatever it is.
func (s *Server) documentContent(w http.ResponseWriter, r *http.Request, who caller) error {
	doc, err := s.readable(r, who)
	if err != nil {
		return err
	}
	f, err := s.Documents.Open(doc.Digest)
	if errors.Is(err, blob.ErrNotFound) {
		return &api.Problem{Status: http.StatusNotFound, Code: api.CodeNotFound, Detail: "The record knows this document, but its bytes are not on this server."}
	}
	if err != nil {
		return err
	}
	defer f.Close()
	mediaType := doc.MediaType
	if mediaType == "" || mediaType == "text/plain" {
		mediaType = blob.Unknown // a browser that shows text would show this one
	}
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Disposition", blob.Disposition(doc.Name))
	h.Set("Content-Security-Policy", filePolicy)
	h.Set("ETag", `"`+doc.Digest+`"`)
	_ = http.NewResponseController(w).SetWriteDeadline(s.now().Add(downloadTime))
	http.ServeContent(w, r, "", doc.CreatedAt, f)
	return nil
}

// downloadTime is how long the handing out of a file may take: the default limit at a quarter of a megabit per second.
const downloadTime = 30 * writeTimeout

// documentThumbnail shows the small picture that berth drew of a document. Its bytes are our own encoder's.
func (s *Server) documentThumbnail(w http.ResponseWriter, r *http.Request, who caller) error {
	doc, err := s.readable(r, who)
	if err != nil {
		return err
	}
	f, err := s.Documents.Open(doc.Thumbnail)
	if errors.Is(err, blob.ErrNotFound) {
		return inventory.ErrNotFound
	}
	if err != nil {
		return err
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", "image/jpeg")
	h.Set("Content-Security-Policy", filePolicy)
	h.Set("ETag", `"`+doc.Thumbnail+`"`)
	h.Set("Cache-Control", "private, max-age=86400")
	http.ServeContent(w, r, "", doc.CreatedAt, f)
	return nil
}

// documentsView is the block of the documents of an object, on its page.
type documentsView struct {
	Items  []attachedDocument
	Target string // noun/uid, for the form
	Back   string
	Kinds  []option
	Limit  string // of a file, for people
	CanAdd bool
}

// attachedDocument is a document and what ties it to an object.
type attachedDocument struct {
	Document   *inventory.Document
	Attachment inventory.UID
	Caption    string
	Size       string
	// CanOpen: whoever looks may have the file.
	CanOpen bool
}

// Thumbnail tells whether there is a small picture to show.
func (a attachedDocument) Thumbnail() bool { return a.CanOpen && a.Document.Thumbnail != "" }

// documentsOf gathers the documents of an object for its page, newest first; at most 200.
func (s *Server) documentsOf(r *http.Request, who caller, n *inventory.Noun, uid inventory.UID) (*documentsView, error) {
	if n.Attached || n.Journal || n.AppendOnly || s.Documents == nil {
		return nil, nil
	}
	noun := tableNoun(n).Name
	v := &documentsView{Target: noun + "/" + string(uid), Back: r.URL.Path, Kinds: documentKinds(""), Limit: blob.Size(s.Documents.Limit()), CanAdd: who.Can(documentNoun.Edit)}
	ties, err := inventory.List[inventory.Attachment](r.Context(), s.Record, inventory.Query{
		Filters: []inventory.Filter{inventory.Is("object", uid), inventory.Is("noun", noun)}, Sort: "-created_at", Limit: 200})
	if err != nil || len(ties) == 0 {
		return v, err
	}
	docs, err := s.byUID(r.Context(), documentNoun, documentUIDs(ties))
	if err != nil {
		return v, err
	}
	for _, tie := range ties {
		if doc, ok := docs[tie.Document].(*inventory.Document); ok {
			v.Items = append(v.Items, attached(doc, tie, who))
		}
	}
	return v, nil
}

func attached(doc *inventory.Document, tie *inventory.Attachment, who caller) attachedDocument {
	return attachedDocument{Document: doc, Attachment: tie.UID, Caption: tie.Caption, Size: blob.Size(doc.SizeBytes),
		CanOpen: who.SeesMoney() || !slices.Contains(moneyPapers, doc.Kind)}
}

func documentUIDs(ties []*inventory.Attachment) []inventory.UID {
	uids := make([]inventory.UID, len(ties))
	for i, tie := range ties {
		uids[i] = tie.Document
	}
	return uids
}

// byUID finds objects of a noun by their uids, in one statement for each thousand.
func (s *Server) byUID(ctx context.Context, n *inventory.Noun, uids []inventory.UID) (map[inventory.UID]inventory.Object, error) {
	found := make(map[inventory.UID]inventory.Object, len(uids))
	for chunk := range slices.Chunk(uids, inventory.MaxPage) {
		var text []string
		for _, uid := range chunk {
			if uid != "" {
				text = append(text, string(uid))
			}
		}
		if len(text) == 0 {
			continue
		}
		page, err := s.Record.List(ctx, n, inventory.Query{Filters: []inventory.Filter{{Field: "uid", Op: inventory.OpIn, Value: strings.Join(text, ",")}}, Limit: inventory.MaxPage, NoNames: true})
		if err != nil {
			return nil, err
		}
		for _, obj := range page.Items {
			found[obj.Head().UID] = obj
		}
	}
	return found, nil
}

func documentKinds(selected string) []option {
	f, _ := documentNoun.Field("kind")
	var list []option
	for _, kind := range f.Values {
		list = append(list, option{Value: kind, Text: firstUpper(spaced.Replace(kind)), Selected: kind == selected})
	}
	return list
}

// documentView is the page of one document.
type documentView struct {
	oneView
	Doc      attachedDocument
	On       []placeOfDocument
	Download bool
}

// placeOfDocument is an object that a document is attached to.
type placeOfDocument struct {
	Noun       *inventory.Noun
	Object     inventory.UID
	Name       string
	Attachment inventory.UID
	Caption    string
}

func (s *Server) documentPage(w http.ResponseWriter, r *http.Request, who caller) error {
	o, err := s.one(r, who, documentNoun)
	if err != nil {
		return err
	}
	doc := o.Object.(*inventory.Document)
	v := documentView{oneView: o, Doc: attached(doc, &inventory.Attachment{}, who)}
	v.CanDelete = who.Can(documentNoun.Edit)
	v.Download = v.Doc.CanOpen && s.Documents != nil && doc.Digest != ""
	ties, err := inventory.List[inventory.Attachment](r.Context(), s.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("document", doc.UID)}, Limit: 200})
	if err != nil {
		return err
	}
	if v.On, err = s.placesOf(r.Context(), who, ties); err != nil {
		return err
	}
	return s.render(w, r, who, "document", view{Title: doc.Name, Live: "documents,attachments", Data: v})
}

// placesOf names the objects that a document is attached to, noun by noun.
func (s *Server) placesOf(ctx context.Context, who caller, ties []*inventory.Attachment) ([]placeOfDocument, error) {
	of := map[string][]inventory.UID{}
	for _, tie := range ties {
		of[tie.Noun] = append(of[tie.Noun], tie.Object)
	}
	names := map[inventory.UID]string{}
	for noun, uids := range of {
		n, ok := inventory.NounOf(noun)
		if !ok || !who.Can(n.Read) {
			continue
		}
		found, err := s.byUID(ctx, n, uids)
		if err != nil {
			return nil, err
		}
		for uid, obj := range found {
			names[uid] = n.Display(obj)
		}
	}
	var places []placeOfDocument
	for _, tie := range ties {
		if n, ok := inventory.NounOf(tie.Noun); ok && names[tie.Object] != "" {
			places = append(places, placeOfDocument{Noun: n, Object: tie.Object, Name: names[tie.Object], Attachment: tie.UID, Caption: tie.Caption})
		}
	}
	return places, nil
}

// uploadView is the form for a document.
type uploadView struct {
	In    api.DocumentRequest
	Kinds []option
	Limit string
	Back  string
}

func (s *Server) newDocumentPage(w http.ResponseWriter, r *http.Request, who caller) error {
	return s.drawUpload(w, r, who, documentOf(r.URL.Query()), r.URL.Query().Get("back"), nil)
}

func (s *Server) drawUpload(w http.ResponseWriter, r *http.Request, who caller, in api.DocumentRequest, back string, p *api.Problem) error {
	if s.Documents == nil {
		return errNoDocuments
	}
	v := uploadView{In: in, Kinds: documentKinds(in.Kind), Limit: blob.Size(s.Documents.Limit()), Back: localPath(back, "")}
	return s.render(w, r, who, "upload", view{Title: "Upload a document", Problem: p, Data: v})
}

// Bounds of the fields of a form that brings a file.
const (
	maxPartFields = 30
	maxPartText   = 8 << 10
)

// uploadDocumentForm reads a document out of a posted form while it arrives: the fields stand before the file, which goes straight on.
func (s *Server) uploadDocumentForm(w http.ResponseWriter, r *http.Request, who caller) error {
	r.Body = io.NopCloser(patient(w, r.Body))
	parts, err := r.MultipartReader()
	if err != nil {
		return malformed("The form cannot be read: %v.", err)
	}
	fields := url.Values{}
	for range maxPartFields {
		part, err := parts.NextPart()
		if err != nil {
			return s.drawUpload(w, r, who, documentOf(fields), fields.Get("back"), problemOf(invalid("file", "choose a file")))
		}
		if part.FormName() == "file" {
			return s.storeDocument(w, r, who, fields, part)
		}
		text, err := io.ReadAll(io.LimitReader(part, maxPartText))
		if err != nil {
			return malformed("The form cannot be read: %v.", err)
		}
		fields.Add(part.FormName(), string(text))
	}
	return malformed("The form has too many fields.")
}

func (s *Server) storeDocument(w http.ResponseWriter, r *http.Request, who caller, fields url.Values, part *multipart.Part) error {
	in := documentOf(fields)
	if strings.TrimSpace(in.Name) == "" {
		in.Name = part.FileName()
	}
	doc, err := s.takeDocument(r, who, in, part)
	if p := problemOf(err); p != nil && (p.Status == http.StatusUnprocessableEntity || p.Status == http.StatusRequestEntityTooLarge) {
		if p.Status == http.StatusRequestEntityTooLarge {
			w.Header().Set("Connection", "close") // the rest of the file is not read
		}
		return s.drawUpload(w, r, who, in, fields.Get("back"), p)
	}
	if err != nil {
		return err
	}
	flash(w, "%s was kept.", doc.Name)
	return seeOther(w, r, localPath(fields.Get("back"), pageOf(documentNoun, doc)))
}
