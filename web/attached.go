package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"berth/inventory"
)

// attachedView is what can be tied to an object of any noun: tags, fields of one's own, comments. (Documents are in document.go.) A page drawn by hand shows it
// with {{template "attached" .Attached}} when its handler got one from Server.attached.
type attachedView struct {
	Noun     *inventory.Noun // the noun itself, for a view of it
	UID      inventory.UID
	Back     string // the page it stands on
	CanEdit  bool
	Tags     []tagView
	AllTags  []*inventory.Tag
	Custom   []customView
	Comments []*inventory.Comment
}

// tagView is a tag on the object.
type tagView struct {
	*inventory.Tag
	Tagging inventory.UID
}

// Dot is the tag's colour for the attribute of a drawing; a style would be against the policy.
func (t tagView) Dot() string {
	if len(t.Color) == 6 && strings.Trim(strings.ToLower(t.Color), "0123456789abcdef") == "" {
		return "#" + t.Color
	}
	return ""
}

// customView is a field of one's own and its value.
type customView struct {
	Field *inventory.CustomField
	Value string
	uid   inventory.UID // of the stored value
}

// Title is the field's label, or its name.
func (c customView) Title() string {
	if c.Field.Label != "" {
		return c.Field.Label
	}
	return firstUpper(spaced.Replace(c.Field.Name))
}

// Link is the value where it is an address that a browser may follow.
func (c customView) Link() string {
	if u, err := url.Parse(c.Value); c.Field.Kind == "url" && err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		return c.Value
	}
	return ""
}

// Input is the type of the value's control.
func (c customView) Input() string {
	switch c.Field.Kind {
	case "int", "float":
		return "number"
	case "date", "url":
		return c.Field.Kind
	}
	return "text"
}

// Options are the values of a choice or a truth value; nil for others.
func (c customView) Options() []option {
	values := c.Field.Choices
	switch c.Field.Kind {
	case "bool":
		values = []string{"true", "false"}
	case "choice":
	default:
		return nil
	}
	list := []option{{Text: "–", Selected: c.Value == ""}}
	for _, v := range values {
		list = append(list, option{Value: v, Text: v, Selected: v == c.Value})
	}
	return list
}

// maxComments is how many of an object's comments its page shows.
const maxComments = 50

// attachable tells whether things can be tied to objects of a noun.
func attachable(n *inventory.Noun) bool { return !n.Journal && !n.Attached }

// attached reads what is tied to an object; nil where nothing can be. back is the page it is shown on.
func (s *Server) attached(ctx context.Context, who caller, obj inventory.Object, back string) (*attachedView, error) {
	n := inventory.Describe(obj)
	if !attachable(n) {
		return nil, nil
	}
	a := &attachedView{Noun: n, UID: obj.Head().UID, Back: back, CanEdit: who.Can(inventory.LevelOperator) && who.Can(n.Read)}
	for _, read := range []func(context.Context) error{a.readTags(s), a.readCustom(s, who), a.readComments(s)} {
		if err := read(ctx); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *attachedView) mine() []inventory.Filter {
	return []inventory.Filter{inventory.Is("object", a.UID)}
}

func (a *attachedView) readTags(s *Server) func(context.Context) error {
	return func(ctx context.Context) error {
		ties, err := inventory.List[inventory.Tagging](ctx, s.Record, inventory.Query{Filters: a.mine(), Limit: maxOptions})
		if err != nil {
			return err
		}
		if a.AllTags, err = inventory.List[inventory.Tag](ctx, s.Record, inventory.Query{Limit: inventory.MaxPage}); err != nil {
			return err
		}
		for _, tie := range ties {
			for _, tag := range a.AllTags {
				if tag.UID == tie.Tag {
					a.Tags = append(a.Tags, tagView{tag, tie.UID})
				}
			}
		}
		slices.SortFunc(a.Tags, func(x, y tagView) int { return strings.Compare(x.Slug, y.Slug) })
		return nil
	}
}

func (a *attachedView) readCustom(s *Server, who caller) func(context.Context) error {
	return func(ctx context.Context) error {
		fields, err := inventory.List[inventory.CustomField](ctx, s.Record, inventory.Query{Filters: []inventory.Filter{inventory.Is("noun", a.Noun.Name)}, Sort: "name", Limit: maxOptions})
		if err != nil || len(fields) == 0 {
			return err
		}
		values, err := inventory.List[inventory.CustomValue](ctx, s.Record, inventory.Query{Filters: a.mine(), Limit: inventory.MaxPage})
		if err != nil {
			return err
		}
		for _, f := range fields {
			if f.Money && !who.SeesMoney() {
				continue
			}
			c := customView{Field: f}
			for _, v := range values {
				if v.CustomField == f.UID {
					c.Value, c.uid = v.Value, v.UID
				}
			}
			a.Custom = append(a.Custom, c)
		}
		return nil
	}
}

func (a *attachedView) readComments(s *Server) func(context.Context) error {
	return func(ctx context.Context) (err error) {
		a.Comments, err = inventory.List[inventory.Comment](ctx, s.Record, inventory.Query{Filters: a.mine(), Sort: "-created_at", Limit: maxComments})
		return err
	}
}

// attachedPages are the forms of the block.
func (s *Server) attachedPages() []route {
	return []route{
		{method: "POST", pattern: "/attached/{noun}/{ref}/tags", need: "operator", handle: s.attach(s.tagForm)},
		{method: "POST", pattern: "/attached/{noun}/{ref}/custom", need: "operator", handle: s.attach(s.customForm)},
		{method: "POST", pattern: "/attached/{noun}/{ref}/comments", need: "operator", handle: s.attach(s.commentForm)},
	}
}

// attach finds the object of a form of the block, lets the form do its work, and leads back.
func (s *Server) attach(do func(r *http.Request, who caller, a *attachedView, v url.Values) error) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		v, err := form(r)
		if err != nil {
			return err
		}
		n, ok := inventory.NounOf(r.PathValue("noun"))
		if !ok || !attachable(n) {
			return inventory.ErrNotFound
		}
		if !who.Can(n.Read) {
			return forbidden(who.Actor.Level, n.Read)
		}
		obj, err := s.Record.Get(r.Context(), n, r.PathValue("ref"))
		if err != nil {
			return err
		}
		a, err := s.attached(r.Context(), who, obj, localPath(v.Get("back"), pageOf(n, obj)))
		if err != nil {
			return err
		}
		if err := do(r, who, a, v); err != nil {
			return err
		}
		return seeOther(w, r, a.Back+"#attached")
	}
}

// tagForm puts a tag on an object, making it if it is new, or takes one off.
func (s *Server) tagForm(r *http.Request, who caller, a *attachedView, v url.Values) error {
	return s.Record.Edit(r.Context(), edit(r, who, v.Get("why")), func(tx inventory.Tx) error {
		if gone := v.Get("remove"); gone != "" {
			tie, err := inventory.TxGet[inventory.Tagging](tx, gone)
			if err != nil {
				return err
			}
			if tie.Object != a.UID {
				return inventory.ErrNotFound
			}
			return tx.Delete(tie)
		}
		tag, err := tagNamed(tx, strings.TrimSpace(v.Get("tag")))
		if err != nil {
			return err
		}
		if slices.ContainsFunc(a.Tags, func(t tagView) bool { return t.UID == tag.UID }) {
			return nil
		}
		return tx.Create(&inventory.Tagging{Tag: tag.UID, Noun: a.Noun.Name, Object: a.UID})
	})
}

// tagNamed finds a tag by slug or name, or makes it.
func tagNamed(tx inventory.Tx, name string) (*inventory.Tag, error) {
	slug := slugOf(name)
	if slug == "" {
		return nil, invalid("tag", "give the tag a name")
	}
	tag, err := inventory.TxGet[inventory.Tag](tx, slug)
	if err == nil || !isNotFound(err) {
		return tag, err
	}
	tag = &inventory.Tag{Name: name, Slug: slug}
	return tag, tx.Create(tag)
}

// customForm sets the values of an object's own fields.
func (s *Server) customForm(r *http.Request, who caller, a *attachedView, v url.Values) error {
	wrong := map[string]string{}
	for i, c := range a.Custom {
		if v.Has(c.Field.Name) {
			a.Custom[i].Value = strings.TrimSpace(v.Get(c.Field.Name))
		}
		if why := customProblem(c.Field, a.Custom[i].Value); why != "" {
			wrong[c.Field.Name] = why
		}
	}
	if len(wrong) > 0 {
		return &inventory.Invalid{Noun: a.Noun.Title, Fields: wrong}
	}
	return s.Record.Edit(r.Context(), edit(r, who, v.Get("why")), func(tx inventory.Tx) error {
		for _, c := range a.Custom {
			if err := storeCustom(tx, a, c); err != nil {
				return err
			}
		}
		return nil
	})
}

func storeCustom(tx inventory.Tx, a *attachedView, c customView) error {
	if c.uid == "" {
		if c.Value == "" {
			return nil
		}
		return tx.Create(&inventory.CustomValue{CustomField: c.Field.UID, Noun: a.Noun.Name, Object: a.UID, Value: c.Value})
	}
	stored, err := inventory.TxGet[inventory.CustomValue](tx, string(c.uid))
	if err != nil {
		return err
	}
	if c.Value == "" {
		return tx.Delete(stored)
	}
	stored.Value = c.Value
	return tx.Update(stored)
}

// customProblem says what is wrong with a value of a field, or "".
func customProblem(f *inventory.CustomField, value string) string {
	if value == "" {
		if f.Required {
			return "is required"
		}
		return ""
	}
	var err error
	switch f.Kind {
	case "int":
		_, err = strconv.ParseInt(value, 10, 64)
	case "float":
		_, err = strconv.ParseFloat(value, 64)
	case "bool":
		_, err = strconv.ParseBool(value)
	case "date":
		_, err = inventory.ParseDate(value)
	case "url":
		if u, parse := url.Parse(value); parse != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return "must begin with https:// or http://"
		}
	case "choice":
		if !slices.Contains(f.Choices, value) {
			return "must be one of " + strings.Join(f.Choices, ", ")
		}
	}
	if err != nil {
		return fmt.Sprintf("%q is no %s", truncate(value, 40), f.Kind)
	}
	return ""
}

// commentForm writes a comment, or takes one back.
func (s *Server) commentForm(r *http.Request, who caller, a *attachedView, v url.Values) error {
	return s.Record.Edit(r.Context(), edit(r, who, ""), func(tx inventory.Tx) error {
		if gone := v.Get("remove"); gone != "" {
			c, err := inventory.TxGet[inventory.Comment](tx, gone)
			if err != nil {
				return err
			}
			if c.Object != a.UID {
				return inventory.ErrNotFound
			}
			return tx.Delete(c)
		}
		text := strings.TrimSpace(strings.ReplaceAll(v.Get("text"), "\r\n", "\n"))
		return tx.Create(&inventory.Comment{Noun: a.Noun.Name, Object: a.UID, Kind: v.Get("kind"), Text: text, By: who.Actor.Name})
	})
}
