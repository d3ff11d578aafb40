package web

import (
	"slices"

	"berth/inventory"
)

// navGroup is a heading of the menu and what stands under it.
type navGroup struct {
	Name  string
	Nouns []*inventory.Noun
}

// groupOrder are the headings, in the order of a thing's life: machines first, since they are why people come.
var groupOrder = []string{"Machines", "Things", "Places", "Shipments", "Papers", "Money", "Power", "Network", "People", "Types", "What happened", "Administration"}

// groupOf is the heading of a noun. Journals have none of their own: what people read of them is what happened.
func groupOf(n *inventory.Noun) string {
	switch {
	case slices.Contains(groupOrder, n.Group):
		return n.Group
	case n.Read == inventory.LevelAdmin || n.Group != "":
		return "Administration"
	}
	return "What happened"
}

// inMenu tells the nouns that people look for by themselves. Parts are found on the page of what they belong to, and all of them in the
// index of everything.
func inMenu(n *inventory.Noun) bool {
	switch n.Name {
	case "component", "interface", "bmc", "parcel", "custody-event": // parts, but searched for by their serial or address
		return true
	case "step", "identifier", "observation", "setting":
		return false
	}
	return n.InFile == "" && !n.Attached
}

// groupsFor are the headings with the nouns that who may read: those of the menu, or all.
func groupsFor(who caller, all bool) []navGroup {
	var groups []navGroup
	for _, name := range groupOrder {
		g := navGroup{Name: name}
		for _, n := range inventory.Nouns {
			if groupOf(n) == name && (all || inMenu(n)) && who.Can(n.Read) {
				g.Nouns = append(g.Nouns, n)
			}
		}
		if len(g.Nouns) > 0 {
			groups = append(groups, g)
		}
	}
	return groups
}
