package inventory

import (
	"fmt"
	"sort"
	"strings"
)

// Identity is one piece of evidence: a kind and a value in its normal spelling.
type Identity struct {
	Kind  IdentifierKind
	Value string
}

// Candidate is a device on record with the evidence it is known by.
type Candidate struct {
	Device   UID
	Evidence []Identity
}

// MatchKind is how sure a match is.
type MatchKind string

// The kinds of match.
const (
	MatchNew      MatchKind = "new"      // nothing on record speaks for it
	MatchSame     MatchKind = "same"     // it is that device
	MatchQuestion MatchKind = "question" // it may be that device: a person decides
)

// Verdict is what the evidence says. Device is the best candidate; empty for MatchNew.
type Verdict struct {
	Kind    MatchKind
	Device  UID
	Score   int
	Reasons []string
}

// Sentence says the verdict to a person; empty for MatchNew.
func (v Verdict) Sentence() string {
	if v.Kind == MatchNew {
		return ""
	}
	return strings.Join(v.Reasons, "; ")
}

// weight is how much a kind of evidence says when it agrees. A system UUID alone is enough to ask, not to be sure: some makers ship one
// UUID with every board.
var weight = map[IdentifierKind]int{
	IDTPM: 60, IDSystemUUID: 50, IDBMCMAC: 40, IDBoardSerial: 40, IDSystemSerial: 40, IDChassisSerial: 25,
	IDNICMAC: 30, IDDiskWWN: 10, IDDiskSerial: 10, IDDIMMSerial: 5,
}

// sure and doubt are the scores from which a match is certain, and from which it is a question.
const (
	sure  = 70
	doubt = 25
)

// Match holds evidence against the devices on record.
func Match(evidence []Identity, candidates []Candidate) Verdict {
	verdicts := make([]Verdict, 0, len(candidates))
	for _, c := range candidates {
		if v := score(evidence, c); v.Score > 0 {
			verdicts = append(verdicts, v)
		}
	}
	if len(verdicts) == 0 {
		return Verdict{Kind: MatchNew}
	}
	sort.SliceStable(verdicts, func(i, j int) bool { return verdicts[i].Score > verdicts[j].Score })
	best := verdicts[0]
	contested := len(verdicts) > 1 && verdicts[1].Score >= doubt
	switch {
	case best.Score >= sure && !contested:
		best.Kind = MatchSame
	case best.Score >= doubt:
		best.Kind = MatchQuestion
	default:
		return Verdict{Kind: MatchNew}
	}
	return best
}

func score(evidence []Identity, c Candidate) Verdict {
	v := Verdict{Device: c.Device}
	have := map[Identity]bool{}
	kinds := map[IdentifierKind]bool{}
	for _, e := range c.Evidence {
		have[e], kinds[e.Kind] = true, true
	}
	counted := map[IdentifierKind]int{}
	for _, e := range evidence {
		switch {
		case have[e] && counted[e.Kind] < 3:
			counted[e.Kind]++
			v.Score += weight[e.Kind]
			v.Reasons = append(v.Reasons, fmt.Sprintf("same %s %s", strings.ReplaceAll(string(e.Kind), "_", " "), e.Value))
		case !have[e] && kinds[e.Kind] && e.Kind == IDSystemUUID:
			v.Score -= 40
			v.Reasons = append(v.Reasons, "another system UUID")
		}
	}
	return v
}

// Evidence is what facts say for a machine's identity, without junk.
func Evidence(f Facts) []Identity {
	var out []Identity
	add := func(kind IdentifierKind, value string) {
		value = NormalIdentity(kind, value)
		id := Identity{kind, value}
		for _, have := range out {
			if have == id {
				return
			}
		}
		if value != "" && !Junk(kind, value) {
			out = append(out, id)
		}
	}
	if f.TPM != nil {
		add(IDTPM, f.TPM.EKHash)
	}
	add(IDSystemUUID, f.System.UUID)
	add(IDSystemSerial, f.System.Serial)
	add(IDBoardSerial, f.Board.Serial)
	add(IDChassisSerial, f.Chassis.Serial)
	if f.BMC != nil {
		add(IDBMCMAC, f.BMC.MAC)
	}
	for _, n := range f.NICs {
		add(IDNICMAC, n.MAC)
	}
	for _, d := range f.Disks {
		add(IDDiskWWN, d.WWN)
		add(IDDiskSerial, d.Serial)
	}
	for _, d := range f.DIMMs {
		add(IDDIMMSerial, d.Serial)
	}
	return out
}

// NormalIdentity spells a value as it is compared: addresses and UUIDs in lower case, serials in upper case without spaces around.
func NormalIdentity(kind IdentifierKind, value string) string {
	value = strings.TrimSpace(value)
	switch kind {
	case IDSystemUUID, IDNICMAC, IDBMCMAC, IDDiskWWN, IDTPM:
		return strings.ToLower(value)
	}
	return strings.ToUpper(value)
}

// junk are values that makers leave in firmware, in lower case.
var junk = map[string]bool{
	"to be filled by o.e.m.": true, "default string": true, "system serial number": true, "base board serial number": true,
	"chassis serial number": true, "not specified": true, "not applicable": true, "none": true, "n/a": true, "unknown": true, "empty": true,
	"no dimm": true, "0123456789": true, "123456789": true, "1234567890": true, "serial": true, "o.e.m.": true, "oem": true, "invalid": true,
	"03000200-0400-0500-0006-000700080009": true, "system product name": true, "00:00:00:00:00:00": true, "ff:ff:ff:ff:ff:ff": true,
}

// Junk tells whether a value says nothing about which machine this is.
func Junk(_ IdentifierKind, value string) bool {
	value = strings.ToLower(strings.TrimSpace(value))
	plain := strings.NewReplacer("-", "", ":", "", " ", "", ".", "").Replace(value)
	if junk[value] || len(plain) < 3 {
		return true
	}
	return strings.Trim(plain, plain[:1]) == ""
}
