package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"berth/api"
	"berth/inventory"
)

// operators are how a filter's operator is spelled behind the field's name: name__contains=node.
var operators = map[string]inventory.Op{
	"": inventory.OpIs, "not": inventory.OpNot, "in": inventory.OpIn, "contains": inventory.OpContains, "starts": inventory.OpStarts,
	"empty": inventory.OpEmpty, "lt": inventory.OpLess, "gt": inventory.OpMore,
}

// parseQuery reads a list's query from an address. Unknown names are errors: a filter with a slip in it must not show everything.
func (s *Server) parseQuery(ctx context.Context, n *inventory.Noun, v url.Values) (inventory.Query, error) {
	q := inventory.Query{Search: truncate(strings.TrimSpace(v.Get("q")), 200), Sort: v.Get("sort"), Cursor: v.Get("cursor"), Count: true}
	for name, values := range v {
		if _, own := n.Field(name); name == "tag" && !own {
			q.Tags = tagsOf(values)
			continue
		}
		switch name {
		case "q", "sort", "cursor", "columns":
		case "limit":
			limit, err := strconv.Atoi(v.Get("limit"))
			if err != nil || limit < 1 || limit > inventory.MaxPage {
				return q, invalid("limit", "must be a number from 1 to %d", inventory.MaxPage)
			}
			q.Limit = limit
		default:
			f, err := s.parseFilter(ctx, n, name, values)
			if err != nil {
				return q, err
			}
			if f.Value != "" {
				q.Filters = append(q.Filters, f)
			}
		}
	}
	return q, nil
}

// tagsOf are slugs of tags, one in each value or with commas between.
func tagsOf(values []string) []string {
	return strings.FieldsFunc(strings.Join(values, ","), func(r rune) bool { return r == ',' || r == ' ' })
}

func (s *Server) parseFilter(ctx context.Context, n *inventory.Noun, name string, values []string) (inventory.Filter, error) {
	field, suffix, _ := strings.Cut(name, "__")
	op, ok := operators[suffix]
	f, found := n.Field(field)
	if !ok || !found || f.Hidden || !f.Filter && field != "uid" {
		return inventory.Filter{}, &api.Problem{Status: http.StatusUnprocessableEntity, Code: api.CodeInvalid,
			Detail: "A list cannot be filtered by " + strconv.Quote(truncate(name, 60)) + ".", Fields: map[string]string{truncate(name, 60): "is not a filter of " + n.Plural}}
	}
	if len(values) > 1 && op == inventory.OpIs {
		op = inventory.OpIn
	}
	value := strings.Join(values, ",")
	if f.Kind == inventory.KindRef && (op == inventory.OpIs || op == inventory.OpNot) && value != "" {
		uid, err := resolve(func(n *inventory.Noun, ref string) (inventory.Object, error) { return s.Record.Get(ctx, n, ref) }, f, value)
		if err != nil {
			return inventory.Filter{}, err
		}
		value = string(uid)
	}
	return inventory.Filter{Field: field, Op: op, Value: value}, nil
}

// resolve turns what a person calls an object into its uid.
func resolve(get func(*inventory.Noun, string) (inventory.Object, error), f inventory.Field, ref string) (inventory.UID, error) {
	if ref == "" || inventory.UID(ref).Valid() {
		return inventory.UID(ref), nil
	}
	noun, ok := inventory.NounOf(f.Ref)
	if !ok {
		return "", invalid(f.Name, "cannot be looked up")
	}
	obj, err := get(noun, ref)
	if err != nil {
		if problemOf(err) == nil {
			return "", err
		}
		return "", invalid(f.Name, "there is no %s %q", strings.ToLower(noun.Title), truncate(ref, 80))
	}
	return obj.Head().UID, nil
}

// isJSON tells whether a Content-Type is JSON.
func isJSON(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "application/json" || kind == "application/merge-patch+json"
}
