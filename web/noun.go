package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"berth/api"
	"berth/inventory"
)

// byHand lists what the general forms cannot do for a noun, and what does it instead.
var byHand = map[string]struct {
	create, remove string
	page           bool // there is a page of its own at /…/new
}{
	"machine": {create: "A machine appears by itself, or is adopted: POST /api/v1/machines/adopt.", remove: "A machine is retired, not deleted: nothing about it is forgotten."},
	"image":   {create: "An image is imported: PUT /api/v1/images/import uploads one, POST fetches one."},
	// A document is a file, which no form field holds; deleting one takes it off everything it is attached to.
	"document": {create: "A document is uploaded: POST /api/v1/documents with the file as the body.", remove: "See deleteDocument.", page: true},
}

// nounRoutes derives REST for every noun from its descriptor.
func (s *Server) nounRoutes() []route {
	var rows []route
	for _, n := range inventory.Nouns {
		list, one := "/api/v1/"+n.Plural, "/api/v1/"+n.Plural+"/{ref}"
		name := strings.ToLower(n.Title)
		add := func(method, pattern string, need inventory.Level, summary string, h handler) *route {
			rows = append(rows, route{method: method, pattern: pattern, need: need, surface: surfaceAPI, handle: h, summary: summary, noun: n})
			return &rows[len(rows)-1]
		}
		add(http.MethodGet, list, n.Read, "List "+n.Plural+": "+n.Help, s.listNoun(n))
		add(http.MethodGet, one, n.Read, "Get one "+name+" by uid"+orNatural(n), s.getNoun(n))
		if n.Edit == inventory.LevelNone {
			continue
		}
		if byHand[n.Name].create == "" {
			add(http.MethodPost, list, n.Edit, "Create a "+name, s.createNoun(n)).status = http.StatusCreated
		}
		if !n.AppendOnly {
			bulk := add(http.MethodPost, list+"/bulk", n.Edit, "Set fields of many "+n.Plural+", or delete them, under one request id", s.bulkNoun(n))
			bulk.in, bulk.out = api.BulkRequest{}, api.BulkResult{}
		}
		add(http.MethodPatch, one, n.Edit, "Change the fields named of one "+name, s.patchNoun(n))
		if byHand[n.Name].remove == "" {
			add(http.MethodDelete, one, n.Edit, "Delete one "+name, s.deleteNoun(n)).status = http.StatusNoContent
		}
	}
	return rows
}

func orNatural(n *inventory.Noun) string {
	if n.Natural == "" {
		return ""
	}
	return " or " + n.Natural
}

func (s *Server) listNoun(n *inventory.Noun) handler {
	export := s.nounCSV(n)
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		if r.URL.Query().Get("format") == "csv" {
			return export(w, r, who)
		}
		q, err := s.parseQuery(r.Context(), n, r.URL.Query())
		if err != nil {
			return err
		}
		page, err := s.Record.List(r.Context(), n, q)
		if err != nil {
			return err
		}
		redactAll(page.Items, who)
		items := make([]any, len(page.Items))
		for i, obj := range page.Items {
			if items[i], err = shown(n, obj, who); err != nil {
				return err
			}
		}
		return writeJSON(w, http.StatusOK, api.Page[any]{Items: items, Next: page.Next, Total: page.Total, Exact: page.Exact, Names: page.Names, Withheld: withheld(n, who)})
	}
}

func (s *Server) getNoun(n *inventory.Noun) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		obj, err := s.Record.Get(r.Context(), n, r.PathValue("ref"))
		if err != nil {
			return err
		}
		redact(obj, who)
		return writeObject(w, http.StatusOK, n, obj, who)
	}
}

// redact takes from an object what its reader may not see: the change log must not show what the noun itself would not.
func redact(obj inventory.Object, who caller) {
	change, ok := obj.(*inventory.Change)
	if !ok {
		return
	}
	if n, ok := inventory.NounOf(change.Noun); !ok || !who.Can(n.Read) {
		change.Before, change.After, change.Display = nil, nil, ""
	}
}

func redactAll(items []inventory.Object, who caller) {
	for _, obj := range items {
		redact(obj, who)
	}
}

func writeObject(w http.ResponseWriter, status int, n *inventory.Noun, obj inventory.Object, who caller) error {
	w.Header().Set("ETag", etag(obj.Head().Revision))
	fields, err := shown(n, obj, who)
	if err != nil {
		return err
	}
	return writeJSON(w, status, fields)
}

func etag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

func (s *Server) createNoun(n *inventory.Noun) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		fields, why, err := readFields(r)
		if err != nil {
			return err
		}
		var made inventory.Object
		err = s.Record.Edit(r.Context(), edit(r, who, why), func(tx inventory.Tx) error {
			made = n.New()
			if err := fill(tx, n, made, fields); err != nil {
				return err
			}
			return tx.Create(made)
		})
		if err != nil {
			return err
		}
		w.Header().Set("Location", "/api/v1/"+n.Plural+"/"+string(made.Head().UID))
		return writeObject(w, http.StatusCreated, n, made, who)
	}
}

func (s *Server) patchNoun(n *inventory.Noun) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		fields, why, err := readFields(r)
		if err != nil {
			return err
		}
		var stored inventory.Object
		err = s.change(r, who, n, why, func(tx inventory.Tx, obj inventory.Object) error {
			stored = obj
			if err := fill(tx, n, obj, fields); err != nil {
				return err
			}
			return correct(tx, obj)
		})
		if err != nil {
			return err
		}
		return writeObject(w, http.StatusOK, n, stored, who)
	}
}

func (s *Server) deleteNoun(n *inventory.Noun) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		err := s.change(r, who, n, r.URL.Query().Get("why"), func(tx inventory.Tx, obj inventory.Object) error {
			return remove(tx, n, obj)
		})
		return noContent(w, err)
	}
}

// change runs fn on the object the request names, as it is stored, if it is still the revision that If-Match names.
func (s *Server) change(r *http.Request, who caller, n *inventory.Noun, why string, fn func(inventory.Tx, inventory.Object) error) error {
	want, err := ifMatch(r)
	if err != nil {
		return err
	}
	return s.Record.Edit(r.Context(), edit(r, who, why), func(tx inventory.Tx) error {
		obj, err := tx.Get(n, r.PathValue("ref"))
		if err != nil {
			return err
		}
		if want != 0 && obj.Head().Revision != want {
			return &api.Problem{Status: http.StatusPreconditionFailed, Code: api.CodePrecondition, Detail: "Somebody else changed this since it was read. Look at it again, then decide."}
		}
		return fn(tx, obj)
	})
}

// ifMatch is the revision that the request insists on; 0 is any.
func ifMatch(r *http.Request) (int64, error) {
	header := r.Header.Get("If-Match")
	if header == "" || header == "*" {
		return 0, nil
	}
	revision, err := strconv.ParseInt(strings.Trim(strings.TrimPrefix(header, "W/"), `"`), 10, 64)
	if err != nil || revision < 1 {
		return 0, malformed("If-Match must be the ETag of the object as it was read.")
	}
	return revision, nil
}

// readFields reads the body of a create or a patch: a JSON object, in which "why" is the reason for the change log.
func readFields(r *http.Request) (fields map[string]json.RawMessage, why string, err error) {
	if err := readJSON(r, &fields); err != nil {
		return nil, "", err
	}
	if text, ok := fields["why"]; ok {
		if err := json.Unmarshal(text, &why); err != nil {
			return nil, "", invalid("why", "must be a text")
		}
		delete(fields, "why")
	}
	return fields, why, nil
}

// fill sets the fields named in obj. References may be given by uid or by natural key. All that is wrong is said at once.
func fill(tx inventory.Tx, n *inventory.Noun, obj inventory.Object, fields map[string]json.RawMessage) error {
	wrong := make(map[string]string)
	for name, text := range fields {
		f, ok := n.Field(name)
		switch {
		case !ok || f.Hidden:
			wrong[truncate(name, 60)] = "is not a field of " + n.Plural
		case f.ReadOnly:
			wrong[name] = "is set by berth and cannot be changed"
		case f.Money && !readerOf(tx.Context()).seesMoney:
			if !noAmount(text) {
				return forbiddenMoney(n.Name)
			}
		default:
			if err := fillField(tx, f, obj, text, wrong); err != nil {
				return err
			}
		}
	}
	if len(wrong) > 0 {
		return &inventory.Invalid{Noun: strings.ToLower(n.Title), Fields: wrong}
	}
	return nil
}

func fillField(tx inventory.Tx, f inventory.Field, obj inventory.Object, text json.RawMessage, wrong map[string]string) error {
	if f.Kind == inventory.KindRef {
		var ref string
		if err := json.Unmarshal(text, &ref); err != nil {
			wrong[f.Name] = "must be the uid or name of a " + f.Ref
			return nil
		}
		uid, err := resolve(tx.Get, f, ref)
		var problem *api.Problem
		if errors.As(err, &problem) {
			wrong[f.Name] = problem.Fields[f.Name]
			return nil
		}
		if err != nil {
			return err
		}
		f.Set(obj, uid)
		return nil
	}
	// Emptied first: a decoder would merge what is said into a map or a list that is there.
	reflect.ValueOf(f.Pointer(obj)).Elem().SetZero()
	if err := json.Unmarshal(text, f.Pointer(obj)); err != nil {
		wrong[f.Name] = "must be " + kindWords[f.Kind]
		return nil
	}
	if s, ok := f.Pointer(obj).(*string); ok && f.Kind == inventory.KindEnum && *s != "" && !slices.Contains(f.Values, *s) {
		wrong[f.Name] = "must be one of " + strings.Join(f.Values, ", ")
	}
	return nil
}

var kindWords = map[inventory.Kind]string{
	inventory.KindText: "a text", inventory.KindInt: "a whole number", inventory.KindFloat: "a number", inventory.KindBool: "true or false",
	inventory.KindTime: "an instant such as 2026-11-22T08:00:00Z", inventory.KindDate: "a date such as 2026-11-22", inventory.KindEnum: "a text", inventory.KindSecret: "a text",
	inventory.KindList: "a list of texts", inventory.KindData: "of the type the schema says",
}
