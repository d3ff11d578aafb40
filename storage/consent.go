package storage

import (
	"fmt"
	"slices"
)

// Consent is a person's agreement to one disk plan. It names the machine, the disks that are written and the digest
// of the plan that was shown, so that it is worth nothing for any other machine, disk or state of the disks.
type Consent struct {
	Machine    string   `json:"machine"`
	Serials    []string `json:"serials"`
	PlanDigest string   `json:"plan_digest"`
}

// Authorize returns nil when the plan may be carried out: it needs no consent, or c is a consent to exactly this plan.
// A consent that is given is checked even where none is needed, because its giver had another plan in mind.
func (p Plan) Authorize(c *Consent) error {
	if c == nil {
		if p.NeedsConsent() {
			return refuse(NeedsConsent, []Disk{p.Target.Disk}, "writing %s needs consent: %s", p.Target.Disk, joinSentences(p.ConsentReasons))
		}
		return nil
	}
	switch {
	case c.Machine != p.Machine:
		return refuse(WrongConsent, nil, "the consent is for machine %q, not for %q", c.Machine, p.Machine)
	case !sameSet(c.Serials, p.Serials()):
		return refuse(WrongConsent, []Disk{p.Target.Disk}, "the consent names the disks %q; the plan writes %q", c.Serials, p.Serials())
	case c.PlanDigest != p.Digest():
		return refuse(WrongConsent, []Disk{p.Target.Disk}, "the disks or the image have changed since the plan was consented to; look at the new plan")
	}
	return nil
}

func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

func joinSentences(reasons []string) string {
	s := ""
	for i, r := range reasons {
		if i > 0 {
			s += "; "
		}
		s += r
	}
	return s
}

// Reason is why a plan was refused. The set is closed. A Reason is an error so that callers can say
// errors.Is(err, storage.NeedsConsent).
type Reason string

// The reasons.
const (
	// NoDisk: there is no disk that may carry the operating system.
	NoDisk Reason = "no-disk"
	// Ambiguous: several disks could be meant, and a person has to say which.
	Ambiguous Reason = "ambiguous"
	// BoundMissing: the disk that was bound is not in the machine.
	BoundMissing Reason = "bound-missing"
	// BindingConflict: the bindings contradict each other or the disks.
	BindingConflict Reason = "binding-conflict"
	// Protected: the disk carries another role.
	Protected Reason = "protected"
	// TooSmall: the disk cannot hold the image.
	TooSmall Reason = "too-small"
	// Unusable: the disk cannot be written at all.
	Unusable Reason = "unusable"
	// Unidentified: the disk has no identifier of its own.
	Unidentified Reason = "unidentified"
	// NeedsConsent: a person must agree first.
	NeedsConsent Reason = "needs-consent"
	// WrongConsent: the consent is for something else.
	WrongConsent Reason = "wrong-consent"
)

// Reasons returns every reason.
func Reasons() []Reason {
	return []Reason{NoDisk, Ambiguous, BoundMissing, BindingConflict, Protected, TooSmall, Unusable, Unidentified, NeedsConsent, WrongConsent}
}

// String returns the reason's name on the wire.
func (r Reason) String() string { return string(r) }

// Error makes a Reason comparable by errors.Is.
func (r Reason) Error() string { return string(r) }

// ParseReason returns the reason with this name.
func ParseReason(s string) (Reason, error) {
	if slices.Contains(Reasons(), Reason(s)) {
		return Reason(s), nil
	}
	return "", fmt.Errorf("%q is not a reason to refuse a disk plan", s)
}

// Refusal is the error of a plan that must not be carried out. It wraps its Reason.
type Refusal struct {
	Reason Reason
	// Disks are those the reason is about; for Ambiguous the candidates.
	Disks []Disk
	// Sentence tells a person.
	Sentence string
}

// Error returns the sentence.
func (r *Refusal) Error() string { return r.Sentence }

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.Reason }

func refuse(reason Reason, disks []Disk, format string, args ...any) error {
	return &Refusal{Reason: reason, Disks: disks, Sentence: fmt.Sprintf(format, args...)}
}
