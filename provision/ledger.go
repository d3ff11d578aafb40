package provision

import (
	"context"
	"time"

	"berth/inventory"
)

// Ledger is the record with what an engine needs besides: leases on operations, and commits that a holder who lost its lease cannot
// make. inventory/store satisfies it on SQLite and PostgreSQL.
//
// An operation is due when its state is queued, running or waiting, its NextTryAt is not in the future, and its lease is over.
type Ledger interface {
	inventory.Record

	// Claim takes the operation that has been due longest for holder, until lease has passed: it raises the fence by one, sets
	// LeaseHolder and LeaseUntil (Revision stays), and returns the operation; nil when none is due. Several servers may ask at once (SKIP LOCKED).
	Claim(ctx context.Context, holder string, lease time.Duration) (*inventory.Operation, error)
	// Heartbeat prolongs the lease, and does not count as a change of the operation (its Revision stays). Errors: inventory.ErrFenced.
	Heartbeat(ctx context.Context, operation inventory.UID, fence int64, lease time.Duration) error
	// Commit runs fn in one transaction, which commits only if the operation still has this fence and has not ended; fn may update
	// the operation itself. Errors: inventory.ErrFenced.
	Commit(ctx context.Context, operation inventory.UID, fence int64, fn func(tx inventory.Tx) error) error
	// ReleaseHolder ends all leases of holder: at its start, a server frees what it held when it was killed.
	ReleaseHolder(ctx context.Context, holder string) error
	// NextDue is when the next operation becomes due that is not due yet; the zero time when there is none.
	NextDue(ctx context.Context) (time.Time, error)
}
