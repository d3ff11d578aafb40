package inventory

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Expected is a thing that somebody announced: a line of a packing list, or an asset that was promised, with what was written down of it
// before it came.
type Expected struct {
	Item, Asset UID
	// Serials are those of a label or a list. Nobody says whether the system, the chassis or the board is meant, and people mistype them.
	Serials []string
	// Evidence is what else is known: its UUID, addresses of its ports, serials of its parts.
	Evidence []Identity
}

// ExpectedRanking is what speaks for and against one expected thing.
type ExpectedRanking struct {
	Expected
	// Score weighs For against Against; more is more likely.
	Score int
	// For and Against are reasons in words.
	For, Against []string

	near bool // only a serial that differs in one character speaks for it
}

// ExpectedVerdict is the outcome of MatchExpected: MatchSame, when Ranked[0] is it; MatchQuestion, when a person must say, Ranked[0] being
// the likeliest; MatchNew, when nothing that was announced is like it.
type ExpectedVerdict struct {
	Kind   MatchKind
	Ranked []ExpectedRanking
}

// Sentence says the outcome and its reasons to a person; of what nobody expected there is nothing to say.
func (v ExpectedVerdict) Sentence() string {
	if v.Kind == MatchNew || len(v.Ranked) == 0 {
		return ""
	}
	return v.Ranked[0].Sentence()
}

// Sentence says what speaks for and against.
func (r ExpectedRanking) Sentence() string {
	text := strings.Join(r.For, ", ")
	if len(r.Against) > 0 {
		text += "; but " + strings.Join(r.Against, ", ")
	}
	return text
}

// What a serial of a list is worth, by how it differs from one that the machine tells.
const (
	serialExact = 60
	// serialSure: only O for 0 or I for 1. Makers leave out O and I because they are read as digits, so that this is no other machine.
	serialSure  = 56
	serialLooks = 40 // other characters that look alike: a B may be an 8, and may be the machine that is three further on
	serialTyped = 35 // two exchanged, one missing, one too many
	serialNear  = 15 // one other character: a misreading, or the next machine of the batch
	serialOther = -30
)

// The bars of MatchExpected.
const (
	expectedSure = 55 // it is this one, if nothing speaks against it
	expectedAsk  = 20 // worth a question
	expectedNext = 30 // a second one with as much makes it a question
)

// expectedWeights is how much a kind of evidence says of something that was written down before it came. Disks and DIMMs move for good
// reasons: that they differ is a deviation, and says little about which machine it is.
var expectedWeights = []weight{
	{IDTPM, "TPM", 100, 100, 60, ""},
	{IDSystemUUID, "system UUID", 60, 60, 40, ""},
	{IDBMCMAC, "BMC address", 60, 60, 30, ""},
	{IDNICMAC, "network address", 50, 80, 25, ""},
	{IDDiskWWN, "disk WWN", 25, 60, 0, ""},
	{IDDiskSerial, "disk serial", 25, 60, 0, ""},
	{IDDIMMSerial, "memory module", 10, 40, 0, ""},
}

// MatchExpected says which of the expected things a machine is, by what a look at it saw. It is for a first arrival: whether a machine
// is one that has been here before is Match's question.
func MatchExpected(f Facts, expected []Expected) ExpectedVerdict {
	look := newLook(f, expected)
	var v ExpectedVerdict
	for i, e := range expected {
		if r := look.rank(e, look.known[i], look.worth[i]); len(r.For) > 0 {
			v.Ranked = append(v.Ranked, r)
		}
	}
	slices.SortStableFunc(v.Ranked, func(a, b ExpectedRanking) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Item, b.Item), cmp.Compare(a.Asset, b.Asset))
	})
	v.Kind = judgeExpected(v.Ranked)
	return v
}

func judgeExpected(ranked []ExpectedRanking) MatchKind {
	if len(ranked) == 0 {
		return MatchNew
	}
	best := ranked[0]
	rival := len(ranked) > 1 && ranked[1].Score >= expectedNext
	alone := len(ranked) == 1 || !ranked[1].near
	switch {
	case best.Score >= expectedSure && len(best.Against) == 0 && !rival:
		return MatchSame
	case best.Score >= expectedAsk, best.near && alone && best.Score > 0:
		return MatchQuestion
	}
	// Something speaks for it and more against it. Where what speaks is more than one thing, a person may know better.
	if slices.ContainsFunc(ranked, func(r ExpectedRanking) bool { return len(r.For) > 1 }) {
		return MatchQuestion
	}
	return MatchNew
}

// ownSerials are what a machine may be called on a label.
func ownSerials(seen []Identity) []string {
	var out []string
	for _, id := range seen {
		if isSerial(id.Kind) && !slices.Contains(out, id.Value) {
			out = append(out, id.Value)
		}
	}
	return out
}

// look is one look at a machine, and what it is held against.
type look struct {
	serials []string
	seen    map[IdentifierKind][]string
	known   []map[IdentifierKind][]string // of each expected thing, in canonical form
	worth   []int                         // of each expected thing's serial
	shared  map[Identity]int              // how many expected things have a piece: what several have tells them apart less
	exact   bool                          // one of them has just the serial that the machine tells
}

func newLook(f Facts, expected []Expected) *look {
	seen := Evidence(f)
	l := &look{serials: ownSerials(seen), seen: map[IdentifierKind][]string{}, shared: map[Identity]int{}}
	for _, id := range seen {
		l.seen[id.Kind] = append(l.seen[id.Kind], id.Value)
	}
	// A list says "MAC" and means whichever port the label names.
	l.seen[IDNICMAC], l.seen[IDBMCMAC] = slices.Concat(l.seen[IDNICMAC], l.seen[IDBMCMAC]), slices.Concat(l.seen[IDBMCMAC], l.seen[IDNICMAC])
	for _, e := range expected {
		known := map[IdentifierKind][]string{}
		for id := range e.pieces() {
			l.shared[id]++
			known[id.Kind] = append(known[id.Kind], id.Value)
		}
		worth := likeness(l.serials, known[IDSystemSerial])
		l.known, l.worth, l.exact = append(l.known, known), append(l.worth, worth), l.exact || worth == serialExact
	}
	return l
}

// pieces are all that is known of e, in canonical form, each once and without junk. Serials of labels stand under the system's.
func (e Expected) pieces() map[Identity]bool {
	out := map[Identity]bool{}
	add := func(kind IdentifierKind, value string) {
		if value = NormalIdentity(kind, value); !Junk(kind, value) {
			out[Identity{kind, value}] = true
		}
	}
	for _, s := range e.Serials {
		add(IDSystemSerial, s)
	}
	for _, id := range e.Evidence {
		if isSerial(id.Kind) {
			add(IDSystemSerial, id.Value)
		} else {
			add(id.Kind, id.Value)
		}
	}
	return out
}

func (l *look) rank(e Expected, known map[IdentifierKind][]string, worth int) ExpectedRanking {
	r := ExpectedRanking{Expected: e}
	l.weighSerial(&r, known[IDSystemSerial], worth)
	parts, found := 0, 0
	for _, w := range expectedWeights {
		gain, hits := w.compare(l.seen[w.kind], known[w.kind], l.shared)
		if w.against == 0 && len(l.seen[w.kind]) > 0 {
			parts, found = parts+len(known[w.kind]), found+hits
		}
		switch {
		case gain > 0:
			r.Score += gain
			r.For = append(r.For, "the "+w.said(hits)+agreeWord(hits))
			r.near = false
		case len(l.seen[w.kind]) > 0 && len(known[w.kind]) > 0 && w.against > 0:
			r.Score -= w.against
			r.Against = append(r.Against, "the "+w.name+" differs")
		}
	}
	if parts >= fewParts && found == 0 {
		r.Score -= otherParts
		r.Against = append(r.Against, fmt.Sprintf("none of the %d parts that are listed is in it", parts))
	}
	return r
}

// One part may have been changed. Where at least fewParts are listed by their serials and none of them is there, it may be the neighbour.
const (
	fewParts   = 2
	otherParts = 20
)

func agreeWord(hits int) string {
	if hits > 1 {
		return " agree"
	}
	return " agrees"
}

// weighSerial compares the serials of a list with the machine's own. Where another expected thing has just this serial, one that is
// merely like it says nothing.
func (l *look) weighSerial(r *ExpectedRanking, listed []string, worth int) {
	switch {
	case worth == 0:
		return
	case worth == serialExact:
		sharers := 1
		for _, s := range listed {
			sharers = max(sharers, l.shared[Identity{IDSystemSerial, s}])
		}
		r.Score += worth / sharers
		r.For = append(r.For, "the serial agrees")
	case worth > 0 && !l.exact:
		r.Score += worth
		r.near = worth == serialNear
		mine, theirs := closest(l.serials, listed)
		r.For = append(r.For, fmt.Sprintf("the serial %s differs from %s only as typing errors do", theirs, mine))
	default:
		r.Score += serialOther
		r.Against = append(r.Against, "the serial differs")
	}
}

// closest is the pair of serials that are most alike.
func closest(mine, theirs []string) (a, b string) {
	best := serialOther - 1
	for _, x := range mine {
		for _, y := range theirs {
			if worth := serialWorth(x, y); worth > best {
				a, b, best = x, y, worth
			}
		}
	}
	return a, b
}

// likeness is what the most similar pair of serials is worth; 0 when one side has none. Both are in canonical form.
func likeness(mine, theirs []string) int {
	if len(mine) == 0 || len(theirs) == 0 {
		return 0
	}
	best := serialOther
	for _, b := range theirs {
		for _, a := range mine {
			best = max(best, serialWorth(a, b))
		}
	}
	return best
}

var unused = strings.NewReplacer("O", "0", "I", "1")

func serialWorth(a, b string) int {
	switch {
	case a == b, agree(IDBoardSerial, a, b):
		return serialExact
	case min(len(a), len(b)) < 5:
		return serialOther
	case unused.Replace(a) == unused.Replace(b):
		return serialSure
	case confusable.Replace(a) == confusable.Replace(b):
		return serialLooks
	case Similar(a, b), Similar(unused.Replace(a), unused.Replace(b)):
		return serialTyped
	case oneOther(a, b):
		return serialNear
	}
	return serialOther
}

// oneOther tells whether a and b differ in one character.
func oneOther(a, b string) bool {
	if len(a) != len(b) || len(a) < 6 {
		return false
	}
	n := 0
	for i := range len(a) {
		if a[i] != b[i] {
			n++
		}
	}
	return n == 1
}
