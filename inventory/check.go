package inventory

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a field holds. They are generous for people and finite for everybody else.
const (
	maxText     = 1000     // characters of a line
	maxLong     = 64 << 10 // bytes of a text of several lines
	maxList     = 500      // entries of a list
	maxData     = 4 << 20  // bytes of a raw JSON document
	maxMap      = 200      // entries of a map
	timeQuantum = time.Microsecond
)

// findings gathers what is wrong with an object, by field.
type findings struct {
	noun   string
	fields map[string]string
}

func (f *findings) add(field, why string, args ...any) {
	if f.fields == nil {
		f.fields = map[string]string{}
	}
	if _, told := f.fields[field]; !told {
		f.fields[field] = fmt.Sprintf(why, args...)
	}
}

func (f *findings) merge(err error) error {
	if err == nil {
		return nil
	}
	invalid, ok := err.(*Invalid)
	if !ok {
		return err
	}
	for field, why := range invalid.Fields {
		f.add(field, "%s", why)
	}
	return nil
}

func (f *findings) err() error {
	if len(f.fields) == 0 {
		return nil
	}
	return &Invalid{Noun: f.noun, Fields: f.fields}
}

// Accept brings obj into the form that is stored (times in UTC and in microseconds, no blanks around texts, no nil lists), asks its own
// Check, gives a choice that is still open the first of its values, and holds every field against its declaration. What people type is refused when it is wrong; what machines say (journals and
// read-only fields) is cleaned and cut instead, because refusing it would stop the work on the machine. Errors: *Invalid.
func (n *Noun) Accept(obj Object) error {
	bad := &findings{noun: n.Name}
	n.Tidy(obj)
	if checker, ok := obj.(Checker); ok {
		if err := bad.merge(checker.Check()); err != nil {
			return err
		}
	}
	for _, f := range n.Fields {
		v := f.of(obj)
		if f.Kind == KindEnum && !n.Journal && !f.Required && v.IsZero() && !slices.Contains(f.Values, "") {
			v.SetString(f.Values[0]) // a choice left open is the first
		}
		n.judge(f, v, bad)
	}
	n.judgeMoney(obj, bad)
	if f, ok := n.Field(n.Natural); ok && UID(f.of(obj).String()).Valid() {
		bad.add(f.Name, "32 hexadecimal digits would be taken for a uid")
	}
	return bad.err()
}

// Tidy brings the values of obj into the form that is stored, without judging them.
func (n *Noun) Tidy(obj Object) {
	for _, f := range n.Fields {
		n.tidy(f, f.of(obj))
	}
}

func (f Field) of(obj Object) reflect.Value {
	return reflect.ValueOf(obj).Elem().FieldByIndex(f.index)
}

// machineWords tells whether the field is filled by machines, so that it is cleaned and not refused.
func (n *Noun) machineWords(f Field) bool { return !f.Hidden && (n.Journal || f.ReadOnly) }

func (n *Noun) tidy(f Field, v reflect.Value) {
	switch f.Kind {
	case KindText, KindEnum, KindRef, KindDate:
		if f.Nullable || f.Hidden {
			return
		}
		s := v.String()
		if n.machineWords(f) {
			s = clean(s, f.limit(), f.Long)
		}
		v.SetString(strings.TrimSpace(s))
	case KindTime:
		tidyTime(v)
	case KindList:
		list := make([]string, 0, v.Len())
		for _, s := range v.Interface().([]string) {
			if n.machineWords(f) {
				s = clean(s, f.limit(), f.Long)
			}
			if s = strings.TrimSpace(s); s != "" {
				list = append(list, s)
			}
		}
		v.Set(reflect.ValueOf(list))
	case KindData:
		if v.Kind() == reflect.Map && v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
	}
}

func tidyTime(v reflect.Value) {
	switch t := v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(t.UTC().Truncate(timeQuantum)))
	case *time.Time:
		if t != nil {
			u := t.UTC().Truncate(timeQuantum)
			v.Set(reflect.ValueOf(&u))
		}
	}
}

func (n *Noun) judge(f Field, v reflect.Value, bad *findings) {
	if f.Required && v.IsZero() {
		bad.add(f.Name, "is required")
		return
	}
	switch f.Kind {
	case KindText:
		if why := textProblem(v.String(), f.limit(), f.Long); why != "" {
			bad.add(f.Name, "%s", why)
		}
	case KindEnum:
		if !slices.Contains(f.Values, v.String()) {
			bad.add(f.Name, "must be one of %s", strings.Join(f.Values, ", "))
		}
	case KindRef:
		if u := UID(v.String()); u != "" && !u.Valid() {
			bad.add(f.Name, "is not the uid of a %s", f.Ref)
		}
	case KindDate:
		if _, err := ParseDate(v.String()); err != nil {
			bad.add(f.Name, "%v", err)
		}
	case KindFloat:
		judgeFloat(f, v, bad)
	case KindSecret:
		if s := v.Interface().(Secret); len(s.Reveal()) > maxText {
			bad.add(f.Name, "is longer than %d bytes", maxText)
		}
	case KindList:
		judgeList(f, v.Interface().([]string), bad)
	case KindData:
		judgeData(f, v.Interface(), bad)
	}
}

func judgeFloat(f Field, v reflect.Value, bad *findings) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	if x := v.Float(); math.IsNaN(x) || math.IsInf(x, 0) {
		bad.add(f.Name, "is not a number")
	}
}

func judgeList(f Field, list []string, bad *findings) {
	if len(list) > maxList {
		bad.add(f.Name, "has more than %d entries", maxList)
		return
	}
	for _, s := range list {
		if why := textProblem(s, maxLong, f.Long); why != "" {
			bad.add(f.Name, "%q %s", abbreviate(s, 40), why)
		}
	}
}

func judgeData(f Field, value any, bad *findings) {
	switch data := value.(type) {
	case json.RawMessage:
		if len(data) > maxData {
			bad.add(f.Name, "is larger than %d bytes", maxData)
		} else if len(data) > 0 && !json.Valid(data) {
			bad.add(f.Name, "is not JSON")
		}
	case map[string]string:
		if len(data) > maxMap {
			bad.add(f.Name, "has more than %d entries", maxMap)
		}
		for k, v := range data {
			if why := textProblem(k, maxText, false) + textProblem(v, maxText, false); why != "" {
				bad.add(f.Name, "%q %s", abbreviate(k, 40), why)
			}
		}
	}
}

func (f Field) limit() int {
	if f.Long || f.Kind == KindList {
		return maxLong
	}
	return maxText
}

// textProblem says what is wrong with a text that a person gave, or "". A NUL or broken UTF-8 would also be refused by PostgreSQL, with
// a sentence nobody understands.
func textProblem(s string, limit int, long bool) string {
	switch {
	case len(s) > limit && utf8.RuneCountInString(s) > limit:
		return fmt.Sprintf("is longer than %d characters", limit)
	case !utf8.ValidString(s):
		return "is not valid UTF-8"
	case strings.IndexFunc(s, func(r rune) bool { return forbidden(r, long) }) >= 0:
		return "contains control characters"
	}
	return ""
}

// forbidden characters are controls, and the marks that turn the direction of writing: with those a name can be made to read as another.
func forbidden(r rune, long bool) bool {
	if long && (r == '\n' || r == '\t' || r == '\r') {
		return false
	}
	return unicode.IsControl(r) || (r >= 0x202A && r <= 0x202E) || (r >= 0x2066 && r <= 0x2069)
}

// clean makes a machine's words storable: controls become blanks, broken UTF-8 a replacement mark, and the rest is cut.
func clean(s string, limit int, long bool) string {
	if textProblem(s, limit, long) == "" {
		return s
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if forbidden(r, long) {
			return ' '
		}
		return r
	}, s)
	return abbreviate(s, limit)
}

// abbreviate cuts s to at most limit characters, the last of which is then an ellipsis.
func abbreviate(s string, limit int) string {
	if len(s) <= limit || utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}

// Differing lists the fields, but for Meta's, in which a and b (of noun n) differ. Times are compared as instants.
func (n *Noun) Differing(a, b Object) []Field {
	var out []Field
	for _, f := range n.Fields {
		switch f.Name {
		case "uid", "revision", "created_at", "updated_at":
			continue
		}
		if !sameValue(f.of(a), f.of(b)) {
			out = append(out, f)
		}
	}
	return out
}

func sameValue(a, b reflect.Value) bool {
	switch x := a.Interface().(type) {
	case time.Time:
		return x.Equal(b.Interface().(time.Time))
	case *time.Time:
		y := b.Interface().(*time.Time)
		return x == y || (x != nil && y != nil && x.Equal(*y))
	case string:
		return x == b.Interface().(string)
	case json.RawMessage:
		return string(x) == string(b.Interface().(json.RawMessage))
	}
	if a.Comparable() && a.Kind() != reflect.Pointer && a.Kind() != reflect.Interface && a.Kind() != reflect.Struct {
		return a.Equal(b)
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}
