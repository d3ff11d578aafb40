package web

import (
	"slices"
	"strings"

	"berth/inventory"
)

// allColumns in an address asks for every column there is.
const allColumns = "all"

// columnChoice is a box of the form that chooses columns.
type columnChoice struct {
	Field  inventory.Field
	Chosen bool
}

// columns are a list's when nobody chose others: when it happened comes first where the order is that of time, and no other column says it.
func columns(n *inventory.Noun, who caller) []inventory.Field {
	var list []inventory.Field
	if f, ok := n.Field("created_at"); ok && n.Sort == "-created_at" {
		f.Title = "When"
		list = append(list, f)
	}
	for _, f := range visible(n, who) {
		if f.List {
			list = append(list, f)
		}
	}
	return list
}

// choosable are the fields that a list or an export can show. A secret is no column.
func choosable(n *inventory.Noun, who caller) []inventory.Field {
	return slices.DeleteFunc(visible(n, who), func(f inventory.Field) bool { return f.Kind == inventory.KindSecret })
}

// chosenColumns are those that an address names, in its order.
func chosenColumns(n *inventory.Noun, who caller, names string) ([]inventory.Field, error) {
	switch names {
	case "":
		return columns(n, who), nil
	case allColumns:
		return choosable(n, who), nil
	}
	var list []inventory.Field
	for name := range strings.SplitSeq(names, ",") {
		f, ok := n.Field(strings.TrimSpace(name))
		if ok && f.Money && !who.SeesMoney() {
			return nil, forbiddenMoney(n.Name)
		}
		if !ok || f.Hidden || f.Kind == inventory.KindSecret {
			return nil, invalid("columns", "%s have no column %q", n.Plural, truncate(name, 60))
		}
		if !slices.ContainsFunc(list, func(have inventory.Field) bool { return have.Name == f.Name }) {
			list = append(list, f)
		}
	}
	return list, nil
}

// columnChoices are the boxes: the chosen ones first, in their order, so that ticking another puts it at the end.
func columnChoices(n *inventory.Noun, who caller, chosen []inventory.Field) []columnChoice {
	var list []columnChoice
	for _, f := range chosen {
		list = append(list, columnChoice{f, true})
	}
	for _, f := range choosable(n, who) {
		if !slices.ContainsFunc(chosen, func(have inventory.Field) bool { return have.Name == f.Name }) {
			list = append(list, columnChoice{f, false})
		}
	}
	return list
}
