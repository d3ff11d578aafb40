package web

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"berth/inventory"
	"berth/inventory/label"
)

// labelPages are where stickers are chosen, and where their codes lead.
func (s *Server) labelPages() []route {
	return []route{
		{method: "GET", pattern: "/labels", need: "viewer", handle: s.labelPage},
		{method: "GET", pattern: "/q/{code}", need: "viewer", handle: s.codePage},
		{method: "GET", pattern: "/Q/{code}", need: "viewer", handle: s.codePage},
	}
}

var labelQuery = []string{"noun", "uid", "format", "start", "page"}

func (s *Server) labelRoutes() []route {
	return []route{
		{method: "GET", pattern: "/api/v1/labels.pdf", need: "viewer", handle: s.labelPDF, query: labelQuery,
			summary: "Labels of the things named (uid, repeated) or of those that match the noun's filters, as a PDF that is true to the millimetre"},
		{method: "GET", pattern: "/api/v1/labels.svg", need: "viewer", handle: s.labelSVG, query: labelQuery,
			summary: "One page of the same as SVG"},
	}
}

// labelNouns are what gets stickers.
var labelNouns = []string{"asset", "machine", "device", "rack", "parcel", "component", "location"}

// labelRequest is what an address asks for.
type labelRequest struct {
	Noun    *inventory.Noun
	Format  label.Format
	Start   int
	Page    int
	Objects []inventory.Object
	More    bool
}

func (s *Server) labelRequest(r *http.Request) (labelRequest, error) {
	v := r.URL.Query()
	req := labelRequest{Start: 1, Page: 1}
	name := v.Get("noun")
	if name == "" {
		name = "asset"
	}
	n, ok := inventory.NounOf(name)
	if !ok || !slices.Contains(labelNouns, n.Name) {
		return req, invalid("noun", "is one of %s", strings.Join(labelNouns, ", "))
	}
	req.Noun = n
	format := v.Get("format")
	if format == "" {
		format = label.Formats[0].Name
	}
	var err error
	if req.Format, err = label.FormatOf(format); err != nil {
		return req, err
	}
	for field, into := range map[string]*int{"start": &req.Start, "page": &req.Page} {
		if text := v.Get(field); text != "" {
			if *into, err = strconv.Atoi(text); err != nil {
				return req, invalid(field, "is a number")
			}
		}
	}
	return req, s.labelObjects(r, v, &req)
}

// labelObjects finds what is named by uid or natural key, or what matches the filters of the noun's list.
func (s *Server) labelObjects(r *http.Request, v url.Values, req *labelRequest) error {
	if refs := v["uid"]; len(refs) > 0 {
		if len(refs) > label.MaxItems {
			return invalid("uid", "names more than %d things", label.MaxItems)
		}
		for _, ref := range refs {
			obj, err := s.Record.Get(r.Context(), req.Noun, ref)
			if isNotFound(err) {
				return invalid("uid", "there is no %s %q", strings.ToLower(req.Noun.Title), truncate(ref, 80))
			}
			if err != nil {
				return err
			}
			req.Objects = append(req.Objects, obj)
		}
		return nil
	}
	for _, name := range slices.Concat(labelQuery, listOnly) {
		v.Del(name)
	}
	for name, values := range v {
		if strings.Join(values, "") == "" {
			v.Del(name)
		}
	}
	if len(v) == 0 {
		return nil // nobody wants a sticker for everything there is
	}
	q, err := s.parseQuery(r.Context(), req.Noun, v)
	if err != nil {
		return err
	}
	q.Limit, q.NoNames = inventory.MaxPage, true
	page, err := s.Record.List(r.Context(), req.Noun, q)
	req.Objects, req.More = page.Items, page.Next != ""
	return err
}

// listOnly are what a list's address holds beside its filters.
var listOnly = []string{"query", "step", "all", "column", "sort", "limit", "cursor"}

// LabelsURL is where the labels of all that a list shows are printed; "" for what has none.
func (l listView) LabelsURL() string {
	if !slices.Contains(labelNouns, l.Noun.Name) {
		return ""
	}
	v := maps.Clone(l.Query)
	for _, name := range listOnly {
		v.Del(name)
	}
	v.Set("noun", l.Noun.Name)
	return "/labels?" + v.Encode()
}

// LabelURL is where the label of an object is printed; "" for what has none.
func (o oneView) LabelURL() string {
	if !slices.Contains(labelNouns, o.Noun.Name) {
		return ""
	}
	return "/labels?" + url.Values{"noun": {o.Noun.Name}, "uid": {refOf(o.Noun, o.Object)}}.Encode()
}

func (req labelRequest) layout(r *http.Request) ([]label.Page, error) {
	items := make([]label.Item, len(req.Objects))
	for i, obj := range req.Objects {
		var err error
		if items[i], err = label.Of(obj, "https://"+r.Host); err != nil {
			return nil, err
		}
	}
	return label.Layout(req.Format, items, req.Start)
}

func (s *Server) labelPDF(w http.ResponseWriter, r *http.Request, _ caller) error {
	req, err := s.labelRequest(r)
	if err != nil {
		return err
	}
	pages, err := req.layout(r)
	if err != nil {
		return err
	}
	pdf, err := label.PDF(pages, s.now().UTC())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/pdf")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="labels-%s.pdf"`, req.Format.Name))
	_, _ = w.Write(pdf) // the client has gone: nobody is left to tell
	return nil
}

func (s *Server) labelSVG(w http.ResponseWriter, r *http.Request, _ caller) error {
	req, err := s.labelRequest(r)
	if err != nil {
		return err
	}
	pages, err := req.layout(r)
	if err != nil {
		return err
	}
	svg, err := label.SVG(pages, req.Page)
	if err != nil {
		return err
	}
	w.Header().Set("Berth-Pages", strconv.Itoa(len(pages)))
	return writeSVG(w, svg)
}

// labelView is the page on which stickers are chosen.
type labelView struct {
	labelRequest
	Nouns   []option
	Formats []label.Format
	Refs    []string // what is typed or chosen, a name or uid each
	Query   url.Values
	Pages   int
	Preview string
	PDF     string
}

func (s *Server) labelPage(w http.ResponseWriter, r *http.Request, who caller) error {
	query := r.URL.Query()
	refs := namesTyped(query["uid"])
	query["uid"] = refs
	asked := r.Clone(r.Context())
	asked.URL.RawQuery = query.Encode()
	v := labelView{Formats: label.Formats, Refs: refs, Query: maps.Clone(query)}
	for _, name := range slices.Concat(labelQuery, listOnly) {
		v.Query.Del(name)
	}
	req, err := s.labelRequest(asked)
	v.labelRequest = req
	problem, told := again(err)
	if err != nil && !told {
		return err
	}
	if err == nil && len(req.Objects) > 0 {
		pages, layoutErr := req.layout(r)
		if problem, told = again(layoutErr); layoutErr != nil && !told {
			return layoutErr
		}
		v.Pages = len(pages)
		v.Preview, v.PDF = "/api/v1/labels.svg?"+query.Encode(), "/api/v1/labels.pdf?"+query.Encode()
	}
	for _, name := range labelNouns {
		v.Nouns = append(v.Nouns, option{Value: name, Text: name, Selected: req.Noun != nil && req.Noun.Name == name})
	}
	return s.render(w, r, who, "labels", view{Title: "Labels", Problem: problem, Data: v})
}

// namesTyped takes names apart that were pasted in lines or with commas.
func namesTyped(fields []string) []string {
	var names []string
	for _, field := range fields {
		for _, name := range strings.FieldsFunc(field, func(r rune) bool { return r == '\n' || r == '\r' || r == ',' || r == ';' || r == '\t' }) {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// codePage leads from the code on a sticker to the page of the thing.
func (s *Server) codePage(w http.ResponseWriter, r *http.Request, who caller) error {
	uid := strings.ToLower(r.PathValue("code"))
	if !inventory.UID(uid).Valid() {
		return inventory.ErrNotFound
	}
	for _, name := range labelNouns {
		n := nounNamed(name)
		if !who.Can(n.Read) {
			continue
		}
		obj, err := s.Record.Get(r.Context(), n, uid)
		if err == nil {
			return seeOther(w, r, pageOf(n, obj))
		}
		if !isNotFound(err) {
			return err
		}
	}
	return inventory.ErrNotFound
}
