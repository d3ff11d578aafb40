package text

import (
	"context"
	"log/slog"
	"time"

	"berth/inventory"
)

// driftPause is the least time between two looks: a busy hour of edits is looked at now and then, not edit by edit.
const driftPause = 20 * time.Second

// WatchDrift keeps the deviations from the text up to date until ctx ends: it looks after changes of the record, at most every twenty
// seconds. What goes wrong is logged, and tried again with the next change.
func WatchDrift(ctx context.Context, record inventory.Record, log *slog.Logger) error {
	changed := record.Watch(ctx, inventory.NounFor[inventory.Change](), inventory.NounFor[inventory.ImportRun]())
	for {
		if _, err := Drift(ctx, record); err != nil && ctx.Err() == nil {
			log.Warn("the record could not be compared with its text", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(driftPause):
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}
