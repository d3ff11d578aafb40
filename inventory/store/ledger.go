package store

import (
	"context"
	"fmt"
	"time"

	"berth/inventory"

	"gorm.io/gorm"
)

// The ledger: leases on operations, and commits that a holder without a lease cannot make. The statements are the same on both databases
// but for one clause. Leases are measured with the clock of the server that takes them: a clock that is wrong makes an operation change
// hands early or late, and never lets two servers store something about it, because that hangs on the fence alone.

const operationAtWork = `"state" IN ('queued', 'running', 'waiting')`

// Claim takes the operation that has been due longest. See provision.Ledger.
func (s *Store) Claim(ctx context.Context, holder string, lease time.Duration) (*inventory.Operation, error) {
	if holder == "" || lease <= 0 {
		return nil, inventory.NotAllowed("operation", "lease", "needs a holder and a length")
	}
	// Most of the time nothing is due; a reader finds that out without waiting for the writer.
	if due, err := s.anyDue(ctx); err != nil || !due {
		return nil, s.driver.explain(err)
	}
	var claimed []*inventory.Operation
	now := s.now()
	err := s.transact(ctx, func(db *gorm.DB) error {
		claimed = nil
		sql := `UPDATE "operations" SET "fence" = "fence" + 1, "lease_holder" = ?, "lease_until" = ? WHERE "uid" = (
			SELECT "uid" FROM "operations" WHERE ` + operationAtWork + ` AND "next_try_at" <= ? AND "lease_until" <= ?
			ORDER BY CASE WHEN "lease_until" > "next_try_at" THEN "lease_until" ELSE "next_try_at" END, "uid" LIMIT 1` + s.driver.lock("SKIP LOCKED") + `) RETURNING *`
		return db.Raw(sql, holder, now.Add(lease), now, now).Scan(&claimed).Error
	})
	if err != nil {
		return nil, fmt.Errorf("claim an operation: %w", err)
	}
	if len(claimed) == 0 {
		return nil, nil
	}
	return claimed[0], nil
}

func (s *Store) anyDue(ctx context.Context) (bool, error) {
	now := s.now()
	var due []int
	err := s.read.WithContext(ctx).Raw(`SELECT 1 FROM "operations" WHERE `+operationAtWork+` AND "next_try_at" <= ? AND "lease_until" <= ? LIMIT 1`, now, now).Scan(&due).Error
	return len(due) > 0, err
}

// Heartbeat prolongs a lease. See provision.Ledger.
func (s *Store) Heartbeat(ctx context.Context, operation inventory.UID, fence int64, lease time.Duration) error {
	until := s.now().Add(lease)
	err := s.transact(ctx, func(db *gorm.DB) error {
		result := db.Exec(`UPDATE "operations" SET "lease_until" = ? WHERE "uid" = ? AND "fence" = ? AND "lease_holder" <> '' AND `+operationAtWork, until, operation, fence)
		if result.Error == nil && result.RowsAffected == 0 {
			return inventory.ErrFenced
		}
		return result.Error
	})
	if err != nil {
		return fmt.Errorf("prolong the lease on operation %s: %w", operation, err)
	}
	return nil
}

// Commit runs fn in a transaction that only the holder of the newest lease can make. See provision.Ledger. Its edits are berth's own.
func (s *Store) Commit(ctx context.Context, operation inventory.UID, fence int64, fn func(tx inventory.Tx) error) error {
	req := inventory.Request{ID: operation, By: inventory.Berth}
	return s.edit(ctx, req, func(t *tx) error {
		var held []int
		err := t.db.Raw(`SELECT 1 FROM "operations" WHERE "uid" = ? AND "fence" = ? AND `+operationAtWork+s.driver.lock(""), operation, fence).Scan(&held).Error
		if err != nil {
			return fmt.Errorf("look at the fence of operation %s: %w", operation, err)
		}
		if len(held) == 0 {
			return fmt.Errorf("operation %s: %w", operation, inventory.ErrFenced)
		}
		t.holds = operation
		return fn(t)
	})
}

// keepLease keeps an update from touching the lease of an operation by accident: obj may have been read before the last claim. The fence
// is never set by an update, and the lease can only be given back, by its holder.
func (t *tx) keepLease(obj, before inventory.Object) {
	op, ok := obj.(*inventory.Operation)
	if !ok {
		return
	}
	was := before.(*inventory.Operation)
	givenBack := t.holds == was.UID && op.LeaseHolder == "" && was.LeaseHolder != ""
	op.Fence = was.Fence
	if !givenBack {
		op.LeaseHolder, op.LeaseUntil = was.LeaseHolder, was.LeaseUntil
	}
}

// ReleaseHolder ends all leases of a holder. See provision.Ledger.
func (s *Store) ReleaseHolder(ctx context.Context, holder string) error {
	if holder == "" {
		return inventory.NotAllowed("operation", "lease", "needs a holder")
	}
	err := s.transact(ctx, func(db *gorm.DB) error {
		return db.Exec(`UPDATE "operations" SET "lease_holder" = '', "lease_until" = ?, "fence" = "fence" + 1 WHERE "lease_holder" = ? AND `+operationAtWork, time.Time{}, holder).Error
	})
	if err != nil {
		return fmt.Errorf("free the operations of %s: %w", holder, err)
	}
	return nil
}

// NextDue is when the next operation becomes due that is not due yet. See provision.Ledger.
func (s *Store) NextDue(ctx context.Context) (time.Time, error) {
	now := s.now()
	var rows []struct{ NextTryAt, LeaseUntil time.Time }
	sql := `SELECT "next_try_at", "lease_until" FROM "operations" WHERE ` + operationAtWork + ` AND ("next_try_at" > ? OR "lease_until" > ?)
		ORDER BY CASE WHEN "lease_until" > "next_try_at" THEN "lease_until" ELSE "next_try_at" END LIMIT 1`
	if err := s.read.WithContext(ctx).Raw(sql, now, now).Scan(&rows).Error; err != nil {
		return time.Time{}, fmt.Errorf("find the next due operation: %w", s.driver.explain(err))
	}
	if len(rows) == 0 {
		return time.Time{}, nil
	}
	if rows[0].LeaseUntil.After(rows[0].NextTryAt) {
		return rows[0].LeaseUntil, nil
	}
	return rows[0].NextTryAt, nil
}
