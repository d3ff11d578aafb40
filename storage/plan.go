package storage

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Image is what the plan needs to know about the image to be written.
type Image struct {
	// Digest of the raw image, sha256:….
	Digest string `json:"digest"`
	// Size of the raw image in bytes.
	Size int64 `json:"size"`
}

// Written is the record of a disk that berth wrote before, and therefore owns.
type Written struct {
	Serial string `json:"serial,omitempty"`
	WWN    string `json:"wwn,omitempty"`
	// TableUUID is the identifier of the partition table that was written. If the disk shows another one today,
	// somebody else has written it since and it is not ours any more. Empty makes no such check.
	TableUUID string `json:"table_uuid,omitempty"`
}

// Request is all that a disk plan is made from.
type Request struct {
	// Machine is the name of the machine as people know it; a consent repeats it.
	Machine string
	Image   Image
	// Seed is set when a seed partition is to be appended, which needs [SeedReserve] bytes more.
	Seed     bool
	Disks    []Observed
	Bindings []Binding
	Written  []Written
}

func (r Request) need() int64 {
	if r.Seed {
		return r.Image.Size + SeedReserve
	}
	return r.Image.Size
}

// Kept is a disk the plan leaves alone.
type Kept struct {
	Disk Disk `json:"disk"`
	// Role is empty where nobody bound the disk.
	Role    Role    `json:"role,omitempty"`
	Content Content `json:"content"`
}

// Plan is a disk plan: the disk that will be written, those that will be kept, and what is lost.
type Plan struct {
	Machine string `json:"machine"`
	Image   Image  `json:"image"`
	// Target is the disk that will be written, with what it carries now.
	Target Observed `json:"target"`
	// Proposed is set when nobody bound the target and it is the only disk that could be meant.
	Proposed bool `json:"proposed,omitempty"`
	// Ours is set when berth wrote the target before.
	Ours bool   `json:"ours,omitempty"`
	Kept []Kept `json:"kept,omitempty"`
	// Destroyed says in sentences what will be lost.
	Destroyed []string `json:"destroyed,omitempty"`
	// ConsentReasons says why a person must consent; empty when nobody must.
	ConsentReasons []string `json:"consent_reasons,omitempty"`
}

// NewPlan decides which disk of the machine is written. It never picks a disk that carries another role, never
// chooses between candidates, and does not depend on the names or the order of the disks. What it refuses is a
// *[Refusal]. A plan that is returned may still need consent: see [Plan.Authorize].
func NewPlan(r Request) (Plan, error) {
	target, proposed, err := r.target()
	if err != nil {
		return Plan{}, err
	}
	d := r.Disks[target]
	p := Plan{Machine: r.Machine, Image: r.Image, Target: d, Proposed: proposed, Ours: r.ours(d)}
	p.ConsentReasons, err = r.consentReasons(target)
	if err != nil {
		return Plan{}, err
	}
	p.Destroyed = destroyed(d)
	for i, k := range r.Disks {
		if i != target {
			p.Kept = append(p.Kept, Kept{Disk: k.Disk, Role: r.roleOf(k), Content: k.Content})
		}
	}
	slices.SortFunc(p.Kept, compareKept)
	return p, nil
}

// target returns the index of the disk to be written, and whether it is a proposal.
func (r Request) target() (index int, proposed bool, err error) {
	if len(r.Disks) == 0 {
		return 0, false, refuse(NoDisk, nil, "the machine has no disk that berth can see")
	}
	roots := r.rootBindings()
	if len(roots) > 1 {
		return 0, false, refuse(BindingConflict, nil, "%d disks are bound to the role root; exactly one can be", len(roots))
	}
	if len(roots) == 1 {
		index, err = r.bound(roots[0])
		return index, false, err
	}
	index, err = r.propose()
	return index, true, err
}

func (r Request) rootBindings() []Binding {
	var roots []Binding
	for _, b := range r.Bindings {
		if b.Role == RoleRoot && !slices.ContainsFunc(roots, func(o Binding) bool { return o.Serial == b.Serial && o.WWN == b.WWN }) {
			roots = append(roots, b)
		}
	}
	return roots
}

// bound returns the one disk that the binding names, if it may be written at all.
func (r Request) bound(b Binding) (int, error) {
	var found []int
	for i, d := range r.Disks {
		if b.touches(d.Disk) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 0:
		return 0, refuse(BoundMissing, nil, "the disk bound as %s is not in the machine", b)
	case len(found) > 1:
		return 0, refuse(Ambiguous, r.pick(found), "%d disks answer to the binding %s; berth does not choose between them", len(found), b)
	}
	d := r.Disks[found[0]]
	if b.contradicts(d.Disk) {
		return 0, refuse(BindingConflict, []Disk{d.Disk}, "the binding %s matches %s in one identifier and contradicts it in the other", b, d.Disk)
	}
	if role := r.protection(d); role != "" {
		return 0, refuse(Protected, []Disk{d.Disk}, "%s is bound as root and as %s; lower its protection first", d.Disk, role)
	}
	return found[0], r.usable(d)
}

// usable refuses disks that cannot carry the image, with the reason.
func (r Request) usable(d Observed) error {
	switch {
	case d.ReadOnly:
		return refuse(Unusable, []Disk{d.Disk}, "%s is read-only", d.Disk)
	case d.Size < r.need():
		return refuse(TooSmall, []Disk{d.Disk}, "%s is too small: the image needs %s (%d bytes)", d.Disk, FormatSize(r.need()), r.need())
	}
	return nil
}

// propose returns the only disk that could be meant when nobody bound one: the only clean one, else the only one at
// all. A disk that carries an OSD is never proposed; somebody has to bind it.
func (r Request) propose() (int, error) {
	var clean, foreign []int
	for i, d := range r.Disks {
		switch {
		case r.roleOf(d) != "" || d.Removable || r.usable(d) != nil:
		case !r.foreign(d):
			clean = append(clean, i)
		case len(d.Content.OSDs()) == 0:
			foreign = append(foreign, i)
		}
	}
	candidates := clean
	if len(candidates) == 0 {
		candidates = foreign
	}
	switch len(candidates) {
	case 0:
		return 0, r.noCandidate()
	case 1:
		return candidates[0], nil
	}
	return 0, refuse(Ambiguous, r.pick(candidates), "%d disks could carry the operating system; bind the role root to one of them: %s",
		len(candidates), names(r.pick(candidates)))
}

func (r Request) noCandidate() error {
	if len(r.Disks) == 1 {
		if err := r.usable(r.Disks[0]); err != nil {
			return err
		}
	}
	var why []string
	for _, d := range r.Disks {
		why = append(why, d.Name()+" "+r.whyNot(d))
	}
	slices.Sort(why)
	return refuse(NoDisk, r.pick(nil), "no disk may carry the operating system: %s", strings.Join(why, "; "))
}

func (r Request) whyNot(d Observed) string {
	switch {
	case r.roleOf(d) != "":
		return "has the role " + string(r.roleOf(d))
	case d.Removable:
		return "is removable"
	case d.ReadOnly:
		return "is read-only"
	case d.Size < r.need():
		return "is too small"
	}
	return "carries an OSD and nobody bound it"
}

// protection returns the role, other than root, that a binding gives the disk. One matching identifier is enough, and
// so is the fsid of the OSD on it: an OSD stays itself when a controller hides the serial of its disk.
func (r Request) protection(d Observed) Role {
	for _, b := range r.Bindings {
		if b.Role != RoleRoot && (b.touches(d.Disk) || b.holds(d.Content)) {
			return b.Role
		}
	}
	return ""
}

// roleOf returns the role of the disk, where protection comes before root.
func (r Request) roleOf(d Observed) Role {
	if role := r.protection(d); role != "" {
		return role
	}
	for _, b := range r.Bindings {
		if b.touches(d.Disk) {
			return b.Role
		}
	}
	return ""
}

// ours reports whether berth wrote the disk and nobody else has since.
func (r Request) ours(d Observed) bool {
	for _, w := range r.Written {
		if !d.Same(Disk{Serial: w.Serial, WWN: w.WWN}) {
			continue
		}
		now := d.Content.TableUUID()
		return w.TableUUID == "" || now == "" || strings.EqualFold(now, w.TableUUID)
	}
	return false
}

// foreign reports whether writing the disk would destroy what nobody claimed. An OSD is never ours: berth writes
// root disks, and whoever made an OSD on one of them meant to keep it.
func (r Request) foreign(d Observed) bool {
	if len(d.Content.OSDs()) > 0 {
		return true
	}
	return d.Content.Foreign() && !r.ours(d)
}

// consentReasons lists why a person must agree to this target, and refuses one that cannot be told from others.
func (r Request) consentReasons(target int) ([]string, error) {
	d := r.Disks[target]
	var reasons []string
	if !r.identifying(target) {
		if len(r.Disks) > 1 {
			return nil, refuse(Unidentified, []Disk{d.Disk},
				"%s has no serial number or WWN of its own, so it cannot be told from the machine's other disks when it is written", d.Disk)
		}
		reasons = append(reasons, "the disk has no serial number and no WWN: berth can only know it as the one disk of the machine")
	}
	if r.foreign(d) {
		reasons = append(reasons, "the disk carries data that nobody claimed")
	}
	return reasons, nil
}

// identifying reports whether the disk has an identifier that no other disk of the machine shares.
func (r Request) identifying(target int) bool {
	d := r.Disks[target]
	serial, wwn := d.serial() != "", d.wwn() != ""
	for i, o := range r.Disks {
		if i == target {
			continue
		}
		serial = serial && o.serial() != d.serial()
		wwn = wwn && o.wwn() != d.wwn()
	}
	return serial || wwn
}

func (r Request) pick(indexes []int) []Disk {
	var disks []Disk
	for _, i := range indexes {
		disks = append(disks, r.Disks[i].Disk)
	}
	slices.SortFunc(disks, compareDisks)
	return disks
}

func destroyed(d Observed) []string {
	var out []string
	for _, s := range d.Content.Sentences() {
		out = append(out, fmt.Sprintf("%s on %s is lost", s, d.Name()))
	}
	return out
}

// canonicalPlan is what the digest covers: everything that matters, nothing that changes from boot to boot.
type canonicalPlan struct {
	Machine string          `json:"machine"`
	Image   Image           `json:"image"`
	Target  canonicalDisk   `json:"target"`
	Kept    []canonicalDisk `json:"kept"`
	Consent []string        `json:"consent"`
}

type canonicalDisk struct {
	Serial  string  `json:"serial"`
	WWN     string  `json:"wwn"`
	Size    int64   `json:"size"`
	Role    Role    `json:"role"`
	Content Content `json:"content"`
}

func canonical(d Disk, role Role, c Content) canonicalDisk {
	return canonicalDisk{Serial: d.serial(), WWN: d.wwn(), Size: d.Size, Role: role, Content: c}
}

// Digest names the plan: SHA-256 over its canonical JSON, in the form sha256:…. It does not depend on kernel names or
// on the order in which disks were found; it changes when the content of any disk does.
func (p Plan) Digest() string {
	c := canonicalPlan{Machine: p.Machine, Image: p.Image, Target: canonical(p.Target.Disk, RoleRoot, p.Target.Content), Consent: p.ConsentReasons}
	for _, k := range p.Kept {
		c.Kept = append(c.Kept, canonical(k.Disk, k.Role, k.Content))
	}
	text, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("storage: plan is not JSON: %v", err)) // only strings and numbers: cannot be
	}
	sum := sha256.Sum256(append([]byte("berth disk plan v1\n"), text...))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Serials returns the names of the disks that are written, as a consent must repeat them.
func (p Plan) Serials() []string { return []string{p.Target.Name()} }

// NeedsConsent reports whether a person must consent before the plan is carried out.
func (p Plan) NeedsConsent() bool { return len(p.ConsentReasons) > 0 }

// compareDisks orders disks by what they are, never by where they were seen.
func compareDisks(a, b Disk) int {
	return cmp.Or(cmp.Compare(a.serial(), b.serial()), cmp.Compare(a.wwn(), b.wwn()), cmp.Compare(a.Size, b.Size), cmp.Compare(a.Model, b.Model))
}

// compareKept orders kept disks, even those that have no identifier, by nothing that changes from boot to boot.
func compareKept(a, b Kept) int {
	return cmp.Or(compareDisks(a.Disk, b.Disk), cmp.Compare(fmt.Sprint(a.Content.Sentences()), fmt.Sprint(b.Content.Sentences())))
}

func names(disks []Disk) string {
	var out []string
	for _, d := range disks {
		out = append(out, d.Name())
	}
	return strings.Join(out, ", ")
}
