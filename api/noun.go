package api

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"berth/inventory"
)

// Query narrows a list. Filters are the URL's own form: a field's name, or with an operator behind two underscores
// (name__contains, state__in, cpu_cores__gt).
type Query struct {
	Filters map[string]string
	Search  string
	Sort    string // a field, "-" in front descends
	Limit   int    // rows of a page, at most 1,000; 0 is 50
	Cursor  string // Next of the page before
}

func (q Query) values() url.Values {
	v := url.Values{}
	for name, value := range q.Filters {
		v.Set(name, value)
	}
	for name, value := range map[string]string{"q": q.Search, "sort": q.Sort, "cursor": q.Cursor} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// Page is one page of a list.
type Page[T any] struct {
	Items []T `json:"items"`
	// Next is the cursor of the next page; empty on the last.
	Next string `json:"next,omitempty"`
	// Total is how many match; not Exact means "at least".
	Total int64 `json:"total"`
	Exact bool  `json:"exact"`
	// Names is what to call the objects that the items refer to, by uid.
	Names map[inventory.UID]string `json:"names,omitempty"`
	// Withheld names the fields that the items have and the asker may not see: amounts of money.
	Withheld []string `json:"withheld,omitempty"`
}

func nounPath(n *inventory.Noun, ref string) string {
	path := "/api/v1/" + n.Plural
	if ref != "" {
		path += "/" + url.PathEscape(ref)
	}
	return path
}

func withQuery(path string, v url.Values) string {
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

// ListObjects returns one page of a noun that is known only when the program runs. The items have the noun's own type.
func (c *Client) ListObjects(ctx context.Context, n *inventory.Noun, q Query) (Page[inventory.Object], error) {
	var raw Page[json.RawMessage]
	if err := c.Call(ctx, http.MethodGet, withQuery(nounPath(n, ""), q.values()), nil, &raw); err != nil {
		return Page[inventory.Object]{}, err
	}
	page := Page[inventory.Object]{Next: raw.Next, Total: raw.Total, Exact: raw.Exact, Names: raw.Names, Withheld: raw.Withheld}
	for _, text := range raw.Items {
		obj := n.New()
		if err := json.Unmarshal(text, obj); err != nil {
			return page, err
		}
		page.Items = append(page.Items, obj)
	}
	return page, nil
}

// ExportCSV is every object of a list as CSV, with the fields named as columns: none is the list's own, "all" is all of them. The caller
// closes it.
func (c *Client) ExportCSV(ctx context.Context, n *inventory.Noun, q Query, columns []string) (io.ReadCloser, error) {
	v := q.values()
	v.Set("format", "csv")
	if len(columns) > 0 {
		v.Set("columns", strings.Join(columns, ","))
	}
	return c.Download(ctx, withQuery(nounPath(n, ""), v))
}

// GetObject finds one object by uid or natural key.
func (c *Client) GetObject(ctx context.Context, n *inventory.Noun, ref string) (inventory.Object, error) {
	obj := n.New()
	return obj, c.Call(ctx, http.MethodGet, nounPath(n, ref), nil, obj)
}

// UpdateFields changes the fields named in fields and no others. A revision that is not 0 must be the stored one, else the answer is
// a *Problem with CodePrecondition.
func (c *Client) UpdateFields(ctx context.Context, n *inventory.Noun, ref string, revision int64, fields map[string]any) (inventory.Object, error) {
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	obj := n.New()
	return obj, c.send(ctx, http.MethodPatch, nounPath(n, ref), ifMatch(revision), "application/json", newReader(text), obj)
}

// DeleteObject removes one object; revision as in UpdateFields.
func (c *Client) DeleteObject(ctx context.Context, n *inventory.Noun, ref string, revision int64) error {
	return c.send(ctx, http.MethodDelete, nounPath(n, ref), ifMatch(revision), "", nil, nil)
}

func ifMatch(revision int64) http.Header {
	if revision == 0 {
		return nil
	}
	return http.Header{"If-Match": {`"` + strconv.FormatInt(revision, 10) + `"`}}
}

// List returns one page of a noun.
func List[T any](ctx context.Context, c *Client, q Query) (Page[T], error) {
	var page Page[T]
	return page, c.Call(ctx, http.MethodGet, withQuery(nounPath(inventory.NounFor[T](), ""), q.values()), nil, &page)
}

// All walks over every object that matches, page by page.
func All[T any](ctx context.Context, c *Client, q Query) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			page, err := List[T](ctx, c, q)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if q.Cursor = page.Next; page.Next == "" {
				return
			}
		}
	}
}

// Get finds one object by uid or natural key.
func Get[T any](ctx context.Context, c *Client, ref string) (*T, error) {
	obj := new(T)
	return obj, c.Call(ctx, http.MethodGet, nounPath(inventory.NounFor[T](), ref), nil, obj)
}

// Create stores a new object and returns it as stored.
func Create[T any](ctx context.Context, c *Client, obj *T) (*T, error) {
	noun := inventory.NounFor[T]()
	stored := new(T)
	return stored, c.Call(ctx, http.MethodPost, nounPath(noun, ""), settable(noun, any(obj).(inventory.Object)), stored)
}

// Update stores a changed object, unless somebody else changed it since it was read (CodePrecondition).
func Update[T any](ctx context.Context, c *Client, obj *T) (*T, error) {
	noun, head := inventory.NounFor[T](), any(obj).(inventory.Object).Head()
	stored, err := c.UpdateFields(ctx, noun, string(head.UID), head.Revision, settable(noun, any(obj).(inventory.Object)))
	if err != nil {
		return nil, err
	}
	return any(stored).(*T), nil
}

// Delete removes one object, unless it was changed since.
func Delete[T any](ctx context.Context, c *Client, ref string, revision int64) error {
	return c.DeleteObject(ctx, inventory.NounFor[T](), ref, revision)
}

// settable is what a program may say about an object: the fields that people set.
func settable(n *inventory.Noun, obj inventory.Object) map[string]any {
	out := make(map[string]any)
	for _, f := range n.Fields {
		if f.ReadOnly || f.Hidden {
			continue
		}
		value := f.Value(obj)
		if secret, ok := value.(inventory.Secret); ok {
			if secret.IsPlain() {
				out[f.Name] = secret.Reveal()
			}
			continue
		}
		out[f.Name] = value
	}
	return out
}
