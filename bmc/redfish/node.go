package redfish

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"berth/bmc"
)

// node is one resource, or an object within one. It is read leniently: gofish's own structs refuse a whole resource for
// one property of another type than the schema's ("TotalCores": "8"), and such BMCs are many. A property that is absent,
// null or of no use is the zero value.
type node map[string]any

// decode reads one JSON object. Nesting is bounded by encoding/json, size by the wire.
func decode(r io.Reader) (node, error) {
	dec := json.NewDecoder(r)
	dec.UseNumber() // capacities in bytes exceed what a float64 holds exactly
	var n node
	if err := dec.Decode(&n); err != nil {
		return nil, fmt.Errorf("%w: %w", bmc.ErrMalformed, err)
	}
	if n == nil {
		return nil, fmt.Errorf("%w: null where an object belongs", bmc.ErrMalformed)
	}
	return n, nil
}

// at walks down to a value.
func (n node) at(path ...string) any {
	for i, key := range path {
		v, ok := n[key]
		if !ok {
			return nil
		}
		if i == len(path)-1 {
			return v
		}
		next, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		n = next
	}
	return nil
}

// str is a cleaned string; numbers are taken as their digits.
func (n node) str(path ...string) string {
	switch v := n.at(path...).(type) {
	case string:
		return bmc.Clean(clip(v, 512))
	case json.Number:
		return v.String()
	}
	return ""
}

// first is the first of several properties that says anything.
func (n node) first(keys ...string) string {
	for _, k := range keys {
		if s := n.str(k); s != "" {
			return s
		}
	}
	return ""
}

// num is a whole number; a string of digits is taken, and a fraction is cut off. Negative numbers and those beyond int64
// are zero.
func (n node) num(path ...string) int64 {
	var text string
	switch v := n.at(path...).(type) {
	case json.Number:
		text = v.String()
	case string:
		text = strings.TrimSpace(v)
	}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return max(i, 0)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || f < 0 || f >= math.MaxInt64 {
		return 0
	}
	return int64(f)
}

// small is num for counts, speeds and the like.
func (n node) small(path ...string) int {
	v := n.num(path...)
	if v > math.MaxInt32 {
		return 0
	}
	return int(v)
}

// truth is a boolean, nil when absent.
func (n node) truth(path ...string) *bool {
	switch v := n.at(path...).(type) {
	case bool:
		return &v
	case string:
		if b, err := strconv.ParseBool(strings.ToLower(v)); err == nil {
			return &b
		}
	}
	return nil
}

// obj is an object within.
func (n node) obj(path ...string) node {
	m, _ := n.at(path...).(map[string]any)
	return m
}

// list is the objects of an array.
func (n node) list(path ...string) []node {
	items, _ := n.at(path...).([]any)
	var out []node
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// words is the strings of an array.
func (n node) words(path ...string) []string {
	items, _ := n.at(path...).([]any)
	var out []string
	for _, item := range items {
		if s, ok := item.(string); ok {
			out = append(out, clip(s, 512))
		}
	}
	return out
}

// link is the path an object refers to; "href" is iLO 4's form of it.
func (n node) link(path ...string) string {
	o := n.obj(path...)
	if s, ok := o["@odata.id"].(string); ok {
		return s
	}
	s, _ := o["href"].(string)
	return s
}

// links is the paths of an array of references.
func (n node) links(path ...string) []string {
	var out []string
	for _, o := range n.list(path...) {
		if s := (node{"l": map[string]any(o)}).link("l"); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// absent reports whether a part's place is empty.
func (n node) absent() bool {
	state := n.str("Status", "State")
	return strings.EqualFold(state, "Absent")
}

func (n node) health() string { return n.str("Status", "Health") }

// slot is the label a person finds on the machine; else one of the given properties, name or id.
func (n node) slot(more ...string) string {
	for _, place := range []string{"Location", "PhysicalLocation"} {
		part := n.obj(place, "PartLocation")
		if label := part.str("ServiceLabel"); label != "" {
			return label
		}
		if kind, number := part.str("LocationType"), part.str("LocationOrdinalValue"); kind != "" && number != "" {
			return kind + " " + number
		}
	}
	return n.first(append(more, "Id", "Name")...)
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return string(bytes.ToValidUTF8([]byte(s[:n]), nil))
}

// same reports whether two paths mean one resource: some BMCs put a slash at the end of half of their links.
func same(a, b string) bool { return strings.TrimRight(a, "/") == strings.TrimRight(b, "/") }
