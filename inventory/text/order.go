package text

import (
	"cmp"
	"slices"

	"berth/inventory"
)

// order puts the steps in the order in which they can be done: what is referred to is made before what refers to it, then changes, then
// deletions with what refers first. Where objects refer to each other in a circle, one of the references is left for later.
func (p *planner) order() {
	o := orderer{byUID: map[inventory.UID]*Step{}, state: map[*Step]int{}}
	var changes, deletions []*Step
	for _, s := range p.plan.Steps {
		switch s.Action {
		case Create:
			o.byUID[s.UID] = s
			o.creations = append(o.creations, s)
		case Change:
			changes = append(changes, s)
		case Delete:
			deletions = append(deletions, s)
		}
	}
	rank := map[*inventory.Noun]int{}
	for i, n := range exported {
		rank[n] = i
	}
	slices.SortStableFunc(o.creations, func(a, b *Step) int {
		return cmp.Or(rank[a.Noun]-rank[b.Noun], cmp.Compare(link(a), link(b)))
	})
	for _, s := range o.creations {
		if o.state[s] == 0 {
			o.visit(s)
		}
	}
	p.plan.Steps = append(append(o.sorted, changes...), backwards(deletions, rank)...)
}

// link is the place of an event in the chain of custody, where each must follow the one before it; 0 for everything else.
func link(s *Step) int64 {
	if e, ok := s.obj.(*inventory.CustodyEvent); ok {
		return e.Sequence
	}
	return 0
}

type orderer struct {
	creations []*Step
	byUID     map[inventory.UID]*Step
	state     map[*Step]int // 1 while what it refers to is visited, 2 when it is in its place
	sorted    []*Step
}

func (o *orderer) visit(s *Step) {
	o.state[s] = 1
	for _, f := range s.Noun.Fields {
		if f.Kind != inventory.KindRef && !(s.Noun.Attached && f.Name == "object") {
			continue
		}
		uid, _ := f.Value(s.obj).(inventory.UID)
		target := o.byUID[uid]
		if target == nil || target == s {
			continue
		}
		switch o.state[target] {
		case 0:
			o.visit(target)
		case 1:
			if !f.Required {
				s.postpone = append(s.postpone, ref{field: f, name: string(uid)})
			}
		}
	}
	o.state[s] = 2
	o.sorted = append(o.sorted, s)
}

// backwards sorts deletions so that what refers goes before what it refers to, as far as the order of nouns tells; Apply tries again what
// is still in somebody's way.
func backwards(steps []*Step, rank map[*inventory.Noun]int) []*Step {
	slices.SortStableFunc(steps, func(a, b *Step) int { return rank[b.Noun] - rank[a.Noun] })
	return steps
}
