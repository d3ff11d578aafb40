package bmc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// What can go wrong with a BMC. Drivers wrap these; callers test with errors.Is, or errors.As where a type carries more.
var (
	// ErrAuth: the BMC refused user name and password. Permanent until they change.
	ErrAuth = errors.New("the BMC refused the user name or password")
	// ErrDenied: the login is right, the account may not do this. Permanent.
	ErrDenied = errors.New("the BMC account lacks the privilege")
	// ErrLocked: no attempt was made, because the same credentials were refused before, or the BMC says that the account
	// is locked. Permanent until the credentials change or somebody calls Pool.Forgive.
	ErrLocked = errors.New("no further login is tried with these BMC credentials")
	// ErrUnreachable: nothing answered, or what answered broke off. Worth a retry.
	ErrUnreachable = errors.New("the BMC does not answer")
	// ErrBusy: the BMC answers that it cannot just now (503, no free session), or an earlier call to it has not come back.
	// Worth a retry after a pause.
	ErrBusy = errors.New("the BMC is busy")
	// ErrInternal: the BMC reports a failure of its own (500). Worth a retry after a pause.
	ErrInternal = errors.New("the BMC reports an internal error")
	// ErrUnsupported: this BMC or this driver cannot do that. Permanent.
	ErrUnsupported = errors.New("the BMC cannot do this")
	// ErrRefused: the BMC understood the command and refused it. Permanent: the same command gets the same answer.
	ErrRefused = errors.New("the BMC refused the command")
	// ErrMalformed: what came back is not what the protocol allows. Worth one retry; BMCs stammer after a reset.
	ErrMalformed = errors.New("the BMC's answer makes no sense")
	// ErrNoEffect: the command was accepted, and the read-back shows that nothing came of it. See NoEffectError.
	ErrNoEffect = errors.New("the BMC accepted the command and nothing came of it")
	// ErrUnconfirmed: the command was sent, and this driver cannot see whether it worked. Not a failure by itself: the
	// machine's own boot is the confirmation.
	ErrUnconfirmed = errors.New("the command was sent and cannot be confirmed")
	// ErrEmptyInventory: the BMC listed a machine without serial number, processor and network port. Permanent until the
	// BMC has seen the machine boot: some fill their inventory only then.
	ErrEmptyInventory = errors.New("the BMC's inventory is empty")
	// ErrChooseSystem: several systems, or none by the given id. See ChooseSystemError. Permanent until one is chosen.
	ErrChooseSystem = errors.New("the BMC has several systems; choose one")
	// ErrUntrusted: first contact with a certificate that no root of this system vouches for. See CertificateError.
	ErrUntrusted = errors.New("the BMC's certificate is not known")
	// ErrCertificateChanged: the BMC shows another key than the pinned one. See CertificateError. Permanent until the new
	// one is accepted: the password must not be sent to a stranger.
	ErrCertificateChanged = errors.New("the BMC's certificate has changed")
)

// NoEffectError says what was asked for and what was last seen. It is ErrNoEffect.
type NoEffectError struct {
	Asked, Seen string
	Waited      time.Duration
}

func (e *NoEffectError) Error() string {
	return fmt.Sprintf("%v: asked for %s, saw %s after %v", ErrNoEffect, e.Asked, e.Seen, e.Waited.Round(time.Second))
}

// Is makes it ErrNoEffect.
func (e *NoEffectError) Is(target error) bool { return target == ErrNoEffect }

// ChooseSystemError lists the systems there are. It is ErrChooseSystem.
type ChooseSystemError struct {
	Asked      string // the id that matched nothing, if one was given
	Candidates []System
}

func (e *ChooseSystemError) Error() string {
	ids := make([]string, len(e.Candidates))
	for i, c := range e.Candidates {
		ids[i] = fmt.Sprintf("%q", c.ID)
	}
	if e.Asked != "" {
		return fmt.Sprintf("the BMC has no system %q; it has %s", e.Asked, strings.Join(ids, ", "))
	}
	return fmt.Sprintf("%v: %s", ErrChooseSystem, strings.Join(ids, ", "))
}

// Is makes it ErrChooseSystem.
func (e *ChooseSystemError) Is(target error) bool { return target == ErrChooseSystem }

// CertificateError carries the pin that was wanted and the pin that was seen. It is ErrCertificateChanged where a pin was
// wanted, and ErrUntrusted on first contact; to trust the BMC from now on, store Got as Target.Pin.
type CertificateError struct{ Want, Got string }

func (e *CertificateError) Error() string {
	if e.Want == "" {
		return fmt.Sprintf("%v: it has the key %s", ErrUntrusted, e.Got)
	}
	return fmt.Sprintf("%v: wanted the key %s, saw %s", ErrCertificateChanged, e.Want, e.Got)
}

// Is makes it ErrCertificateChanged or ErrUntrusted.
func (e *CertificateError) Is(target error) bool {
	if e.Want == "" {
		return target == ErrUntrusted
	}
	return target == ErrCertificateChanged
}

// LockedError says since when credentials are not tried any more, and why. It is ErrLocked, and whatever the cause was.
type LockedError struct {
	Since time.Time
	Cause error
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("%v (since %s): %v", ErrLocked, e.Since.UTC().Format(time.RFC3339), e.Cause)
}

// Is makes it ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// Unwrap is the refusal that led to it.
func (e *LockedError) Unwrap() error { return e.Cause }

// Permanent reports whether the same call would fail again however long one waits, so that a person or another setting
// is needed. ErrNoEffect is not permanent: many BMCs obey the second time.
func Permanent(err error) bool {
	for _, p := range []error{
		ErrAuth, ErrDenied, ErrLocked, ErrUnsupported, ErrRefused, ErrEmptyInventory, ErrChooseSystem, ErrUntrusted,
		ErrCertificateChanged, context.Canceled,
	} {
		if errors.Is(err, p) {
			return true
		}
	}
	return false
}
