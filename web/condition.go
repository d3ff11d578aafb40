package web

import (
	"maps"
	"slices"
	"strings"

	"berth/inventory"
)

// condition is a row of the filter builder.
type condition struct {
	Field string // "" in the empty row
	Value string
	Ops   []option
	// Options are the values of a choice; nil for what is typed.
	Options []option
	Input   string // the type of the input otherwise
	Fields  []option
}

// fieldChoice is a field that can be compared, for the empty row's list, and for the script that knows its values.
type fieldChoice struct {
	Name, Title string
	Values      []string
	Selected    bool
}

// opWords are the operators as the builder offers them, in this order.
var opWords = []option{{Value: "is", Text: "is"}, {Value: "not", Text: "is not"}, {Value: "contains", Text: "contains"}, {Value: "starts", Text: "starts with"},
	{Value: "in", Text: "is one of (a,b,c)"}, {Value: "gt", Text: "is more than, after"}, {Value: "lt", Text: "is less than, before"}, {Value: "empty", Text: "is empty"}, {Value: "filled", Text: "is not empty"}}

// opsOf are the operators that make sense for a kind of field; all of them for the empty row, whose field is not chosen yet.
func opsOf(kind inventory.Kind, nullable bool) []string {
	switch kind {
	case inventory.KindBool:
		return []string{"is", "not"}
	case inventory.KindEnum:
		return []string{"is", "not", "in", "empty", "filled"}
	case inventory.KindRef:
		return []string{"is", "not", "empty", "filled"}
	case inventory.KindList:
		return []string{"contains", "empty", "filled"}
	case inventory.KindInt, inventory.KindFloat:
		return []string{"is", "not", "in", "gt", "lt", "empty", "filled"}
	case inventory.KindTime:
		if !nullable {
			return []string{"gt", "lt"}
		}
		return []string{"gt", "lt", "empty", "filled"}
	case inventory.KindDate:
		return []string{"is", "not", "gt", "lt", "empty", "filled"}
	case inventory.KindText:
		return []string{"is", "not", "contains", "starts", "in", "empty", "filled"}
	}
	return []string{"is", "not", "contains", "starts", "in", "gt", "lt", "empty", "filled"}
}

func opOptions(kind inventory.Kind, nullable bool, selected string) []option {
	allowed := opsOf(kind, nullable)
	var list []option
	for _, o := range opWords {
		if slices.Contains(allowed, o.Value) {
			o.Selected = o.Value == selected
			list = append(list, o)
		}
	}
	return list
}

// filterable are the fields that people compare by.
func filterable(n *inventory.Noun, who caller) []inventory.Field {
	return slices.DeleteFunc(visible(n, who), func(f inventory.Field) bool { return !f.Filter })
}

// conditions spreads the list's parameters over the controls: those of the fields' usual comparison, and rows for all others.
func (l *listView) conditions(who caller) {
	shown := map[string]bool{}
	for _, f := range filterable(l.Noun, who) {
		fv := filterOf(f, l.Query)
		if len(l.Query[fv.Name]) <= 1 {
			shown[fv.Name] = true
			l.Filters = append(l.Filters, fv)
		}
		l.Fields = append(l.Fields, fieldChoice{Name: f.Name, Title: f.Title, Values: f.Values})
	}
	for _, name := range slices.Sorted(maps.Keys(l.Query)) {
		if slices.Contains(reserved, name) || shown[name] {
			continue
		}
		for _, value := range l.Query[name] {
			l.Conditions = append(l.Conditions, l.row(name, value, who))
		}
	}
	if len(l.Fields) > 0 {
		l.Conditions = append(l.Conditions, condition{Ops: opOptions("", false, ""), Input: "text", Fields: fieldOptions(l.Noun, who, "")})
	}
}

// row draws one parameter as a row of the builder.
func (l *listView) row(name, value string, who caller) condition {
	field, op, _ := strings.Cut(name, "__")
	if op == "" {
		op = "is"
	}
	if op == "empty" && value == "false" {
		op = "filled"
	}
	f, _ := l.Noun.Field(field)
	c := condition{Field: field, Value: value, Ops: opOptions(f.Kind, f.Nullable, op), Input: inputOf(f), Fields: fieldOptions(l.Noun, who, field)}
	switch {
	case op == "empty" || op == "filled":
		c.Value = ""
	case f.Kind == inventory.KindEnum && op != "in":
		c.Options = enumOptions(f, value)
	case f.Kind == inventory.KindBool:
		c.Options = []option{{Value: "true", Text: "yes", Selected: value == "true"}, {Value: "false", Text: "no", Selected: value == "false"}}
	}
	return c
}

func inputOf(f inventory.Field) string {
	if f.Kind == inventory.KindDate {
		return "date"
	}
	return "text"
}

func fieldOptions(n *inventory.Noun, who caller, selected string) []option {
	list := []option{{Text: "…"}}
	for _, f := range filterable(n, who) {
		list = append(list, option{Value: f.Name, Text: f.Title, Selected: f.Name == selected})
	}
	return list
}

// filterOf is a field's control: a part of the text is looked for, everything else must be equal.
func filterOf(f inventory.Field, v map[string][]string) filterView {
	name := f.Name
	if f.Kind == inventory.KindText && len(v[name]) == 0 || f.Kind == inventory.KindList {
		name += "__contains"
	}
	if f.Kind == inventory.KindTime || f.Kind == inventory.KindDate {
		name += "__gt"
	}
	fv := filterView{Field: f, Name: name}
	if values := v[name]; len(values) > 0 {
		fv.Value = values[0]
	}
	return fv
}
