package bmc

import (
	"context"
	"time"
)

// MediaMounter is a driver that can show the machine a disc image from a URL.
type MediaMounter interface {
	// InsertMedia makes the image at url appear as a CD drive; another image in it is taken out first.
	InsertMedia(ctx context.Context, url string) error
	// EjectMedia takes it out. With none in, it succeeds.
	EjectMedia(ctx context.Context) error
	// Media returns the URL or name of the inserted image, empty when there is none.
	Media(ctx context.Context) (string, error)
}

// Event is an entry of the BMC's own log.
type Event struct {
	ID       string    `json:"id"`
	At       time.Time `json:"at,omitzero"` // by the BMC's clock, which is often wrong
	Severity string    `json:"severity,omitempty"`
	Message  string    `json:"message"`
}

// EventLog is a driver that can read the BMC's log, newest entries last.
type EventLog interface {
	Events(ctx context.Context) ([]Event, error)
}

// Restarter is a driver that can restart the BMC itself; the machine goes on. The BMC is unreachable for minutes after it,
// and the driver is no longer usable.
type Restarter interface {
	RestartBMC(ctx context.Context) error
}

// Interrupter is a driver that can send the machine a non-maskable interrupt, which makes most kernels dump and stop.
type Interrupter interface {
	SendNMI(ctx context.Context) error
}

// Accounts is a driver that can change the password of an account on the BMC.
type Accounts interface {
	// SetPassword changes it. The open conversation may or may not survive; the caller proves the new password by opening
	// another one before it forgets the old.
	SetPassword(ctx context.Context, username string, password Secret) error
}

// Auditor is a driver that can say what is unsafe about the BMC it talks to.
type Auditor interface {
	Audit(ctx context.Context) ([]Finding, error)
}

// Finding is something unsafe about a BMC, with the reason in a sentence for people.
type Finding struct {
	Code     string `json:"code"`
	Sentence string `json:"sentence"`
}
