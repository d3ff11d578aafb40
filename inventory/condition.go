package inventory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Condition is one line of a webhook's conditions: what must hold of an object before or after a change.
//
//	status = failed
//	before.status != failed
//	cost_amount > 100000
//	name contains db
//	custody in missing, gone
//	rack empty
//	custody changed
type Condition struct {
	Before bool // of the object before the change; else after it
	Field  string
	Op     string   // =, !=, <, >, <=, >=, contains, in, empty, not empty, changed
	Values []string // one; several of "in"; none of empty and changed
}

// Conditions must all hold.
type Conditions []Condition

// Bounds of a text of conditions.
const (
	maxConditions = 50
	maxInValues   = 100
)

// ParseConditions reads one condition from each line; empty lines and those that begin with # are left out. The error names the line.
func ParseConditions(text string) (Conditions, error) {
	var out Conditions
	number := 0
	for line := range strings.Lines(text) {
		number++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		c, err := parseCondition(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if out = append(out, c); len(out) > maxConditions {
			return nil, fmt.Errorf("there are more than %d conditions", maxConditions)
		}
	}
	return out, nil
}

// comparisons in the order in which they are looked for: <= before <.
var comparisons = []string{"!=", "<=", ">=", "=", "<", ">"}

var errNoCondition = errors.New("this is no condition such as status = failed, before.status != failed, name contains db, custody in missing, gone, rack empty, custody changed")

func parseCondition(line string) (Condition, error) {
	var c Condition
	name, rest, _ := strings.Cut(line, " ")
	if at := strings.IndexAny(name, "=<>!"); at >= 0 { // status=failed, without blanks
		name, rest = line[:at], line[at:]
	}
	c.Field = name
	if field, ok := strings.CutPrefix(name, "before."); ok {
		c.Before, c.Field = true, field
	} else if field, ok := strings.CutPrefix(name, "after."); ok {
		c.Field = field
	}
	if c.Field == "" || strings.Trim(c.Field, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		return c, errNoCondition
	}
	rest = strings.TrimSpace(rest)
	for _, op := range comparisons {
		if value, ok := strings.CutPrefix(rest, op); ok {
			c.Op, c.Values = op, []string{unquote(value)}
			return c, nil
		}
	}
	return c.words(rest)
}

// words reads the operators that are words.
func (c Condition) words(rest string) (Condition, error) {
	word, value, _ := strings.Cut(rest, " ")
	switch {
	case rest == "changed" && c.Before:
		return c, errors.New("changed compares before with after, and takes neither in front")
	case rest == "changed", rest == "empty", rest == "not empty":
		c.Op = rest
	case word == "contains" && unquote(value) != "":
		c.Op, c.Values = word, []string{unquote(value)}
	case word == "in" && strings.TrimSpace(value) != "":
		c.Op = word
		for part := range strings.SplitSeq(value, ",") {
			c.Values = append(c.Values, unquote(part))
		}
		if len(c.Values) > maxInValues {
			return c, fmt.Errorf("more than %d values", maxInValues)
		}
	default:
		return c, errNoCondition
	}
	return c, nil
}

// unquote takes blanks and one pair of quotation marks from around a value, so that an empty one can be written.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// String writes a condition as ParseConditions reads it.
func (c Condition) String() string {
	text := c.Field + " " + c.Op
	if c.Before {
		text = "before." + text
	}
	for i, v := range c.Values {
		if i > 0 {
			text += ","
		}
		text += ` "` + v + `"`
	}
	return text
}

// Picture is an object as JSON has it: what the change log keeps of it. A nil Picture is that of an object which does not exist.
type Picture map[string]any

// ReadPicture reads what the change log kept; nothing is nil. Numbers stay as they are written.
func ReadPicture(data json.RawMessage) (Picture, error) {
	if len(data) == 0 || string(data) == "null" {
		return nil, nil
	}
	var p Picture
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&p); err != nil {
		return nil, fmt.Errorf("read a picture from the change log: %w", err)
	}
	return p, nil
}

// Hold tells whether every condition holds of a change. What a picture does not have is empty.
func (list Conditions) Hold(before, after Picture) bool {
	for _, c := range list {
		if !c.holds(before, after) {
			return false
		}
	}
	return true
}

func (c Condition) holds(before, after Picture) bool {
	p := after
	if c.Before {
		p = before
	}
	value := p.text(c.Field)
	switch c.Op {
	case "changed":
		return before.text(c.Field) != after.text(c.Field)
	case "empty":
		return value == ""
	case "not empty":
		return value != ""
	case "contains":
		return strings.Contains(strings.ToLower(value), strings.ToLower(c.Values[0]))
	case "in":
		return slices.Contains(c.Values, value)
	}
	return compareTexts(value, c.Op, c.Values[0])
}

// text is a field's value as one writes it in a condition: numbers, truth values and texts as they are, lists and maps as JSON. Absent,
// null, and empty lists are "".
func (p Picture) text(field string) string {
	switch v := p[field].(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case []any:
		if len(v) == 0 {
			return ""
		}
	}
	text, err := json.Marshal(p[field])
	if err != nil {
		return "" // what came out of JSON goes into it again
	}
	return string(text)
}

// compareTexts compares as numbers where both are, else as texts: dates and times order as texts do.
func compareTexts(value, op, with string) bool {
	order := strings.Compare(value, with)
	a, errA := strconv.ParseFloat(value, 64)
	b, errB := strconv.ParseFloat(with, 64)
	if errA == nil && errB == nil && a == a && b == b {
		order = 0
		if a < b {
			order = -1
		} else if a > b {
			order = 1
		}
	}
	switch op {
	case "=":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case ">":
		return order > 0
	case "<=":
		return order <= 0
	}
	return order >= 0
}
