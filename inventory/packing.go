package inventory

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// PartFinding is what became of one part between the packing list and the first look.
type PartFinding struct {
	Part     string // as PartName calls it
	Finding  string
	Intended string // what was packed
	Observed string // what is there
	Note     string
}

// What can have become of a part.
const (
	PartMatched = "matched"
	PartMissing = "missing"
	PartExtra   = "extra"
	PartSwapped = "swapped" // another one lies in its place
	PartDamaged = "damaged" // it is there and says of itself that it is broken
)

// maxManifest bounds the parts of a manifest: "999999 × 16 GiB" is nobody's machine.
const maxManifest = 256

// ManifestOf writes parts down as a packing list does, for people to read and for ParseManifest: "memory P1-A1" = "16 GiB M393A2K43,
// serial 03C7A1F2".
func ManifestOf(parts []Component) map[string]string {
	out := map[string]string{}
	for _, p := range parts {
		if len(out) == maxMap {
			break
		}
		name := PartName(p)
		for n := 2; out[name] != ""; n++ {
			name = fmt.Sprintf("%s #%d", PartName(p), n)
		}
		out[clean(name, maxText, false)] = clean(summary(p), maxText, false)
	}
	return out
}

// partKinds are the words by which a manifest calls kinds of parts.
var partKinds = map[string]string{
	"cpu": "cpu", "processor": "cpu", "memory": "memory", "dimm": "memory", "ram": "memory", "disk": "disk", "ssd": "disk", "hdd": "disk", "nvme": "disk",
	"drive": "disk", "nic": "nic", "mac": "nic", "port": "nic", "psu": "psu", "gpu": "gpu", "tpm": "tpm",
}

var (
	countForm  = regexp.MustCompile(`^(\d{1,6})\s*[×xX*]\s*`)
	sizeForm   = regexp.MustCompile(`(?i)^(\d{1,7}(?:[.,]\d{1,3})?)\s*([KMGT]i?B)\b\s*`)
	numberForm = regexp.MustCompile(` #\d+$`)
)

// ParseManifest reads what a packing list says of the parts of a box. Each entry is a kind of part, with its serial, address or slot where
// it is known, and what it is: "disk S3Z8NB0K" = "960 GB", "memory" = "12 × 16 GiB", "mac ac:1f:6b:00:00:01" = "". What is no part (a note)
// is left out.
func ParseManifest(manifest map[string]string) []Component {
	var out []Component
	keys := make([]string, 0, len(manifest))
	for key := range manifest {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		word, name, _ := strings.Cut(strings.TrimSpace(key), " ")
		kind := partKinds[strings.ToLower(strings.TrimRight(word, ":"))]
		if kind == "" {
			continue
		}
		part, count := parsePart(kind, strings.TrimSpace(numberForm.ReplaceAllString(" "+name, "")), manifest[key])
		for range min(count, maxManifest-len(out)) {
			out = append(out, part)
		}
	}
	return out
}

// parsePart reads one entry: name is what stands behind the kind.
func parsePart(kind, name, text string) (part Component, count int) {
	part, count = Component{Kind: kind}, 1
	text = strings.TrimSpace(text)
	if m := countForm.FindStringSubmatch(text); m != nil {
		count, _ = strconv.Atoi(m[1]) // at most six digits
		text = text[len(m[0]):]
	}
	for segment := range strings.SplitSeq(text, ", ") {
		segment = strings.TrimSpace(segment)
		switch {
		case strings.HasPrefix(segment, "serial "):
			part.Serial = strings.TrimPrefix(segment, "serial ")
		case strings.HasPrefix(segment, "in "):
			part.Slot = strings.TrimPrefix(segment, "in ")
		case part.Model == "" && part.SizeBytes == 0:
			part.SizeBytes, part.Model = parseSize(kind, segment)
		}
	}
	if part.Model == kind {
		part.Model = ""
	}
	known := name != "" && (kind == "disk" || kind == "nic" || kind == "tpm")
	switch {
	case known && strings.Contains(name, ".") && len(name) > 16 && kind == "disk":
		part.WWN = strings.ToLower(name)
	case known && part.Serial == "" && name != part.Slot && name != part.Model:
		part.Serial = name
	case name != "" && part.Slot == "" && name != part.Serial && name != part.Model:
		part.Slot = name
	}
	if kind == "nic" {
		part.Serial = NormalIdentity(IDNICMAC, part.Serial)
	}
	if part.Serial != "" {
		count = 1
	}
	return part, count
}

// parseSize reads a size and what follows it. Of memory, GB means GiB: nobody sells any other.
func parseSize(kind, text string) (bytes int64, rest string) {
	m := sizeForm.FindStringSubmatch(text)
	if m == nil {
		return 0, text
	}
	n, err := strconv.ParseFloat(strings.ReplaceAll(m[1], ",", "."), 64)
	if err != nil {
		return 0, text
	}
	unit, power := 1000.0, strings.IndexByte("KMGT", strings.ToUpper(m[2])[0])+1
	if kind == "memory" || len(m[2]) == 3 {
		unit = 1024
	}
	for range power {
		n *= unit
	}
	return int64(n), text[len(m[0]):]
}

// ManifestEvidence is what a manifest says about which machine it is: the addresses and serials of its parts.
func ManifestEvidence(manifest map[string]string) []Identity {
	e := evidence{seen: map[Identity]bool{}}
	for key := range manifest {
		word, name, _ := strings.Cut(strings.TrimSpace(key), " ")
		switch strings.ToLower(strings.TrimRight(word, ":")) {
		case "bmc", "bmc_mac", "ipmi", "idrac", "ilo":
			e.add(IDBMCMAC, cmp.Or(name, manifest[key]))
		case "uuid", "system_uuid":
			e.add(IDSystemUUID, cmp.Or(name, manifest[key]))
		case "mac":
			e.add(IDNICMAC, cmp.Or(name, manifest[key]))
		}
	}
	for _, p := range ParseManifest(manifest) {
		switch p.Kind {
		case "nic":
			e.add(IDNICMAC, p.Serial)
		case "disk":
			e.add(IDDiskSerial, p.Serial)
			e.add(IDDiskWWN, p.WWN)
		case "memory":
			e.add(IDDIMMSerial, p.Serial)
		case "tpm":
			e.add(IDTPM, p.Serial)
		}
	}
	return e.list
}

// ComparePacked holds what was packed against what the first look saw, part by part. Of kinds of which the packing list says nothing, or
// which the source does not show, nothing is said: an absent fact is unknown.
func ComparePacked(packed []Component, f Facts) []PartFinding {
	var out []PartFinding
	seen := Components("", f)
	broken := brokenDisks(f)
	for _, kind := range []string{"cpu", "memory", "disk", "nic", "psu", "gpu", "tpm"} {
		listed, there := ofKind(packed, kind), ofKind(seen, kind)
		// The agent lists the disks and ports that the kernel has: there, none means none.
		looked := len(there) > 0 || f.Source == SourceAgent && (kind == "disk" || kind == "nic")
		if len(listed) == 0 || !looked {
			continue
		}
		partial := f.Source == SourceBMC && (!allSerials(listed) || !allSerials(there) || kind == "disk" || kind == "nic")
		out = append(out, compareKind(listed, there, partial, broken)...)
	}
	return out
}

// compareKind compares the parts of one kind. A source that shows a part of them (partial) proves what is there, not what is missing.
func compareKind(listed, there []*Component, partial bool, broken map[string]string) []PartFinding {
	pairs := pairUp(listed, there)
	taken := map[*Component]bool{}
	for _, q := range pairs {
		taken[q] = true
	}
	swapLeftovers(listed, there, pairs, taken)
	var out []PartFinding
	for _, p := range listed {
		if q := pairs[p]; q != nil {
			out = append(out, judgePart(p, q, broken))
		} else if !partial {
			out = append(out, PartFinding{Part: PartName(*p), Finding: PartMissing, Intended: summary(*p), Observed: "missing"})
		}
	}
	for _, q := range there {
		if !taken[q] && !partial {
			out = append(out, PartFinding{Part: PartName(*q), Finding: PartExtra, Intended: "not on the packing list", Observed: summary(*q)})
		}
	}
	return out
}

// swapLeftovers pairs a part that is missing with one that nobody packed, where they are of one size or in one place: somebody changed them.
func swapLeftovers(listed, there []*Component, pairs map[*Component]*Component, taken map[*Component]bool) {
	for _, p := range listed {
		if pairs[p] != nil {
			continue
		}
		i := slices.IndexFunc(there, func(q *Component) bool {
			return !taken[q] && (p.Slot != "" && strings.EqualFold(p.Slot, q.Slot) || p.SizeBytes > 0 && q.SizeBytes > 0 && !sizesDiffer(p.SizeBytes, q.SizeBytes))
		})
		if i >= 0 {
			pairs[p], taken[there[i]] = there[i], true
		}
	}
}

func judgePart(p, q *Component, broken map[string]string) PartFinding {
	f := PartFinding{Part: PartName(*p), Finding: PartMatched, Intended: summary(*p), Observed: summary(*q)}
	known := p.Serial != "" && q.Serial != ""
	switch {
	case q.Serial != "" && broken[q.Serial] != "":
		f.Finding, f.Note = PartDamaged, broken[q.Serial]
	case known && !sameSerial(p.Serial, q.Serial) && Similar(p.Serial, q.Serial):
		f.Note = "the serial looks mistyped"
	case known && !sameSerial(p.Serial, q.Serial):
		f.Finding, f.Note = PartSwapped, "another part is in its place"
	case sizesDiffer(p.SizeBytes, q.SizeBytes):
		f.Finding, f.Note = PartSwapped, "it is of another size"
	}
	return f
}

// brokenDisks are the serials of disks that report of themselves that they fail, with what they say.
func brokenDisks(f Facts) map[string]string {
	out := map[string]string{}
	for _, d := range f.Disks {
		if d.SMART == nil || d.Serial == "" {
			continue
		}
		switch {
		case d.SMART.Passed != nil && !*d.SMART.Passed:
			out[d.Serial] = "its own health report (SMART) says that it is failing"
		case d.SMART.PendingSectors != nil && *d.SMART.PendingSectors > 0:
			out[d.Serial] = fmt.Sprintf("%d sectors cannot be read", *d.SMART.PendingSectors)
		}
	}
	return out
}
