package inventory

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Identity is one piece of evidence for which machine this is. No piece is proof: serials are left blank or typed by hand, boards and
// network cards are swapped, whole batches leave a factory with one UUID. Match weighs them together.
type Identity struct {
	Kind  IdentifierKind
	Value string
}

// Bounds of what one look at a machine may bring as evidence; what a machine says of itself is hostile input.
const (
	maxEvidence      = 300
	maxEvidenceValue = 200
)

// Evidence is what facts say about identity, strongest first, each once, in one spelling and without the values that vendors leave in
// place of real ones.
func Evidence(f Facts) []Identity {
	e := evidence{seen: map[Identity]bool{}}
	if f.TPM != nil {
		e.add(IDTPM, f.TPM.EKHash)
	}
	e.add(IDSystemUUID, f.System.UUID)
	if f.BMC != nil {
		e.add(IDBMCMAC, f.BMC.MAC)
	}
	e.add(IDBoardSerial, f.Board.Serial)
	e.add(IDSystemSerial, f.System.Serial)
	e.add(IDChassisSerial, f.Chassis.Serial)
	for _, nic := range f.NICs {
		if !borrowedPort(nic) {
			e.add(IDNICMAC, nic.MAC)
		}
	}
	for _, disk := range f.Disks {
		if disk.Transport != "usb" && disk.Transport != "loop" {
			e.add(IDDiskWWN, disk.WWN)
			e.add(IDDiskSerial, disk.Serial)
		}
	}
	for _, dimm := range f.DIMMs {
		e.add(IDDIMMSerial, dimm.Serial)
	}
	slices.SortStableFunc(e.list, func(a, b Identity) int { return cmp.Compare(rankOf(a.Kind), rankOf(b.Kind)) })
	return e.list
}

// borrowedPort tells whether a port says nothing about the machine: USB adapters wander, and many BMCs show the host a USB network card
// with the same address on every machine.
func borrowedPort(nic NICFacts) bool {
	switch nic.Driver {
	case "cdc_ether", "cdc_eem", "cdc_ncm", "rndis_host", "ax88179_178a", "asix", "r8152":
		return true
	}
	return false
}

type evidence struct {
	list []Identity
	seen map[Identity]bool
}

func (e *evidence) add(kind IdentifierKind, value string) {
	id := Identity{kind, NormalIdentity(kind, value)}
	if len(e.list) == maxEvidence || len(id.Value) > maxEvidenceValue || e.seen[id] || Junk(kind, id.Value) {
		return
	}
	e.seen[id] = true
	e.list = append(e.list, id)
}

// NormalIdentity is the one spelling of a piece of evidence: what two tools print differently must compare equal. Serials are upper case
// without the dots, slashes and blanks that some vendors put around them.
func NormalIdentity(kind IdentifierKind, value string) string {
	value = clean(strings.TrimSpace(value), maxEvidenceValue+1, false)
	switch kind {
	case IDNICMAC, IDBMCMAC:
		if mac, err := CanonicalMAC(value); err == nil {
			return mac
		}
		return strings.ToLower(value)
	case IDSystemUUID, IDTPM, IDDiskWWN:
		return strings.ToLower(value)
	}
	return strings.Trim(strings.ToUpper(value), " ./\\-_")
}

// junkWords are what firmware shows where nobody wrote a serial.
var junkWords = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range []string{"none", "na", "null", "nil", "unknown", "unkown", "default", "defaultstring", "tobefilledbyoem", "tobefilled", "fillbyoem", "oem",
		"systemserialnumber", "baseboardserialnumber", "boardserialnumber", "chassisserialnumber", "serialnumber", "serial", "serno", "systemproductname",
		"notspecified", "notapplicable", "notavailable", "notpresent", "notdefined", "undefined", "unspecified", "invalid", "empty", "noserial", "noserialnumber",
		"noassettag", "noassetinformation", "nodimm", "nosn", "sn", "test", "sample", "example", "xyz", "abc", "huawei", "supermicro", "asus", "gigabyte", "intel",
		"123451234123", "1231234123", "pf000000", "virtual", "qemu"} {
		m[w] = true
	}
	return m
}()

// junkIDs are UUIDs and addresses that many machines share: defaults of firmware images and of network chips without a programmed address.
var junkIDs = map[string]bool{
	"03000200-0400-0500-0006-000700080009": true, // AMI's default, on boards of many makers
	"00020003-0004-0005-0006-000700080009": true, // the same in the other byte order
	"12345678-1234-5678-90ab-cddeefaabbcc": true,
	"11111111-2222-3333-4444-555555555555": true,
	"4c4c4544-0000-2010-8020-80c04f202020": true, // Dell, with a service tag of blanks
	"00:11:22:33:44:55":                    true,
	"11:22:33:44:55:66":                    true,
	"01:02:03:04:05:06":                    true,
	"12:34:56:78:9a:bc":                    true,
	"aa:bb:cc:dd:ee:ff":                    true,
	"88:88:88:88:87:88":                    true, // Realtek without an EEPROM
	"00:00:00:00:00:01":                    true,
}

var junkForms = []*regexp.Regexp{
	regexp.MustCompile(`^qm0000\d$`),                       // what QEMU calls disks that were given no serial
	regexp.MustCompile(`^(dimm|a|p|node)?\d*_?sernum\d*$`), // an empty SPD, by AMI
}

// Junk tells whether a value is no evidence: empty, a vendor's filler, a run of one character, a count from one upwards.
func Junk(kind IdentifierKind, value string) bool {
	value = NormalIdentity(kind, value)
	plain := strings.ToLower(notAlnum.ReplaceAllString(value, ""))
	switch {
	case len(plain) < 3, junkWords[plain], junkIDs[value], uniform(plain), counting(plain):
		return true
	case kind == IDNICMAC || kind == IDBMCMAC:
		return groupAddress(value)
	case kind == IDSystemUUID:
		return len(plain) != 32 || uniformPairs(plain)
	}
	if !strings.HasPrefix(plain, "qm") && !strings.Contains(plain, "sernum") {
		return false
	}
	for _, form := range junkForms {
		if form.MatchString(plain) {
			return true
		}
	}
	return false
}

var notAlnum = regexp.MustCompile(`[^A-Za-z0-9]+`)

// uniform tells whether s is one character over and over.
func uniform(s string) bool { return strings.Count(s, s[:1]) == len(s) }

// uniformPairs tells whether s is one byte in hexadecimal over and over: 2020…, fefe….
func uniformPairs(s string) bool { return strings.Count(s, s[:2])*2 == len(s) }

// counting tells whether s counts: 0123456789, 123456789, 1234567890, 0123456789abcdef, and starting over.
func counting(s string) bool {
	if len(s) < 5 {
		return false
	}
	for _, ring := range []string{"0123456789", "1234567890", "0123456789abcdef", "123456789abcdef", "123456789abcdefghijklmnopqrstuvwxyz"} {
		if strings.HasPrefix(strings.Repeat(ring, len(s)/len(ring)+1), s) {
			return true
		}
	}
	return false
}

// groupAddress tells whether a MAC address is one that no card has of its own (IEEE 802: the group bit), or none at all.
func groupAddress(mac string) bool {
	_, err := CanonicalMAC(mac)
	return err != nil || strings.ContainsAny(mac[1:2], "13579bdf")
}

// Candidate is a device on record with its evidence.
type Candidate struct {
	Device   UID
	Evidence []Identity
}

// MatchKind is what came of a match.
type MatchKind string

// The outcomes of a match. Between "the same" and "new" lies a question for a person: a wrong guess either way loses a machine's history
// or gives one machine's disks to another.
const (
	MatchSame     MatchKind = "same"
	MatchNew      MatchKind = "new"
	MatchQuestion MatchKind = "question"
)

// Verdict is the outcome of a match. Device is the machine, or the best candidate of a question; Ranked are all candidates that anything
// speaks for, best first.
type Verdict struct {
	Kind   MatchKind
	Device UID
	Ranked []Ranking
}

// Ranking is what speaks for and against a candidate.
type Ranking struct {
	Device UID
	// Score weighs For against Against; more is more likely.
	Score int
	// For and Against are reasons in words, strongest first: "system UUID", "2 network cards".
	For, Against []string

	families int  // how many independent kinds of evidence speak for it
	raw      int  // what speaks for it alone
	doubtful bool // something of weight speaks against it
}

// Sentence says the outcome and its reasons to a person; of a new machine there is nothing to say.
func (v Verdict) Sentence() string {
	if v.Kind == MatchNew || len(v.Ranked) == 0 {
		return ""
	}
	best := v.Ranked[0]
	text := "it is the machine on record: "
	if v.Kind == MatchQuestion {
		text = "it may be a machine on record: "
	}
	text += strings.Join(best.For, ", ") + " agree"
	if len(best.Against) > 0 {
		text += "; but " + strings.Join(best.Against, ", ") + " differ"
	}
	if v.Kind == MatchQuestion && len(v.Ranked) > 1 {
		text += fmt.Sprintf("; %d others are less like it", len(v.Ranked)-1)
	}
	return text
}

// weight is how much a kind of evidence says. each is for every match, up to most; against is taken off when both sides have values of
// the kind and none agrees. Disks and DIMMs move between machines for good reasons, so that their absence says nothing.
type weight struct {
	kind                IdentifierKind
	name                string
	each, most, against int
	family              string
}

var weights = []weight{
	{IDTPM, "TPM", 100, 100, 60, "board"},
	{IDSystemUUID, "system UUID", 60, 60, 40, "uuid"},
	{IDBMCMAC, "BMC address", 60, 60, 30, "bmc"},
	{IDBoardSerial, "board serial", 50, 50, 30, "board"},
	{IDSystemSerial, "system serial", 45, 45, 30, "serial"},
	{IDChassisSerial, "chassis serial", 30, 30, 20, "serial"},
	{IDNICMAC, "network card", 35, 60, 20, "nic"},
	{IDDiskWWN, "disk WWN", 15, 30, 0, "disk"},
	{IDDiskSerial, "disk serial", 12, 30, 0, "disk"},
	{IDDIMMSerial, "memory module", 8, 24, 0, "memory"},
}

func rankOf(kind IdentifierKind) int {
	return slices.IndexFunc(weights, func(w weight) bool { return w.kind == kind })
}

// The bars of a match, in the points of weights.
const (
	sureScore   = 60 // enough to be the same, if nothing speaks against it
	rivalScore  = 30 // a second candidate with as much makes it a question
	doubtScore  = 40 // worth a question, from two families of evidence, whatever speaks against it
	similarGain = 25 // a serial that differs as typing errors do
)

// Match says which candidate the evidence belongs to. It is MatchSame when enough speaks for one candidate and nothing against it;
// MatchNew when nothing of weight speaks for any; else MatchQuestion.
func Match(seen []Identity, candidates []Candidate) Verdict {
	shared := holders(candidates)
	var v Verdict
	for _, c := range candidates {
		if r := rank(seen, c, shared); r.raw > 0 {
			v.Ranked = append(v.Ranked, r)
		}
	}
	slices.SortStableFunc(v.Ranked, func(a, b Ranking) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(b.raw, a.raw), cmp.Compare(a.Device, b.Device))
	})
	v.Kind = judgeMatch(v.Ranked)
	if v.Kind != MatchNew {
		v.Device = v.Ranked[0].Device
	}
	return v
}

func judgeMatch(ranked []Ranking) MatchKind {
	if len(ranked) == 0 {
		return MatchNew
	}
	best := ranked[0]
	rival := len(ranked) > 1 && ranked[1].Score >= rivalScore
	if best.Score >= sureScore && !best.doubtful && !rival {
		return MatchSame
	}
	for _, r := range ranked {
		if r.Score > 0 || (r.raw >= doubtScore && r.families > 1) {
			return MatchQuestion
		}
	}
	return MatchNew
}

// holders counts how many candidates have each piece: what several machines have tells them apart less.
func holders(candidates []Candidate) map[Identity]int {
	count := map[Identity]int{}
	for _, c := range candidates {
		own := map[Identity]bool{}
		for _, id := range c.Evidence {
			own[Identity{id.Kind, NormalIdentity(id.Kind, id.Value)}] = true
		}
		for id := range own {
			count[id]++
		}
	}
	return count
}

// rank weighs one candidate.
func rank(seen []Identity, c Candidate, shared map[Identity]int) Ranking {
	mine, theirs := byKind(seen), byKind(c.Evidence)
	r := Ranking{Device: c.Device}
	families := map[string]int{}
	for _, w := range weights {
		gain, hits := w.compare(mine[w.kind], theirs[w.kind], shared)
		// Two kinds of one family are two readings of the same part: together they count for no more than the better one's limit.
		limit := max(0, w.most-families[w.family])
		switch {
		case gain > 0:
			r.For = append(r.For, w.said(hits))
			families[w.family] += gain
			r.raw += min(gain, limit)
		case len(mine[w.kind]) > 0 && len(theirs[w.kind]) > 0 && w.against > 0 && !crossMatch(w.kind, mine, theirs):
			r.Against = append(r.Against, w.name)
			r.Score -= w.against
			r.doubtful = true
		}
	}
	r.Score += r.raw
	r.families = len(families)
	return r
}

func byKind(list []Identity) map[IdentifierKind][]string {
	out := map[IdentifierKind][]string{}
	for _, id := range list {
		if value := NormalIdentity(id.Kind, id.Value); !Junk(id.Kind, value) {
			out[id.Kind] = append(out[id.Kind], value)
		}
	}
	return out
}

// compare says what the values that agree are worth, and how many they are.
func (w weight) compare(mine, theirs []string, shared map[Identity]int) (gain, hits int) {
	for _, a := range mine {
		best := 0
		for _, b := range theirs {
			switch {
			case agree(w.kind, a, b):
				best = max(best, w.each/max(1, shared[Identity{w.kind, b}]))
			case isSerial(w.kind) && Similar(a, b):
				best = max(best, min(similarGain, w.each/2))
			}
		}
		if best > 0 {
			gain, hits = gain+best, hits+1
		}
	}
	return min(gain, w.most), hits
}

func (w weight) said(hits int) string {
	if hits > 1 {
		return fmt.Sprintf("%d × %s", hits, w.name)
	}
	return w.name
}

func isSerial(kind IdentifierKind) bool {
	return kind == IDBoardSerial || kind == IDSystemSerial || kind == IDChassisSerial
}

// agree compares two values of a kind in canonical form. UUIDs also agree in the byte order of SMBIOS before 2.6, which some BMCs still
// print; board serials when one holds the other, as Dell's SMBIOS wraps the part's serial in the service tag and the plant.
func agree(kind IdentifierKind, a, b string) bool {
	switch {
	case a == b:
		return true
	case kind == IDSystemUUID:
		return swapUUID(a) == b
	case kind == IDBoardSerial:
		return min(len(a), len(b)) >= 8 && (strings.Contains(a, b) || strings.Contains(b, a))
	}
	return false
}

// swapUUID turns the first three groups of a UUID from little to big endian, or back (SMBIOS 7.2.1).
func swapUUID(s string) string {
	if len(s) != 36 {
		return s
	}
	b := s
	return b[6:8] + b[4:6] + b[2:4] + b[0:2] + "-" + b[11:13] + b[9:11] + "-" + b[16:18] + b[14:16] + b[18:]
}

// crossMatch tells whether a serial that differs from the other side's of its kind is there under another kind: what SMBIOS calls the
// system's serial is the chassis' in some Redfish trees.
func crossMatch(kind IdentifierKind, mine, theirs map[IdentifierKind][]string) bool {
	if !isSerial(kind) {
		return false
	}
	for _, other := range []IdentifierKind{IDBoardSerial, IDSystemSerial, IDChassisSerial} {
		for _, a := range mine[kind] {
			if slices.Contains(theirs[other], a) {
				return true
			}
		}
		for _, b := range theirs[kind] {
			if slices.Contains(mine[other], b) {
				return true
			}
		}
	}
	return false
}

// confusable are the characters that are read for one another on labels.
var confusable = strings.NewReplacer("O", "0", "Q", "0", "D", "0", "I", "1", "L", "1", "Z", "2", "S", "5", "B", "8", "G", "6", "U", "V")

// Similar tells whether two serials differ only as typing errors do: by characters that look alike, by one character wrong, missing or
// too many, or by two neighbours exchanged. Short serials and long ones that merely count on (…001, …002) are not similar: the last
// character of two real serials often differs by one.
func Similar(a, b string) bool {
	a, b = NormalIdentity(IDSystemSerial, a), NormalIdentity(IDSystemSerial, b)
	if a == b {
		return true
	}
	if min(len(a), len(b)) < 5 {
		return false
	}
	if confusable.Replace(a) == confusable.Replace(b) {
		return true
	}
	if len(a) == len(b) {
		return exchanged(a, b)
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	return len(b)-len(a) == 1 && oneMissing(a, b)
}

// exchanged tells whether two neighbours changed places.
func exchanged(a, b string) bool {
	i := 0
	for a[i] == b[i] {
		i++
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

// oneMissing tells whether short is long without one character.
func oneMissing(short, long string) bool {
	for i := range long {
		if long[:i]+long[i+1:] == short {
			return true
		}
	}
	return false
}
