package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// ErrNewerSchema is returned for a record that a newer berth has written to.
var ErrNewerSchema error = refusal("this record was written by a newer version of berth")

// refusal is an error in a sentence that may be shown to whoever asked.
type refusal string

func (r refusal) Error() string { return string(r) }

// Refused tells those who do not know this package that it is no fault of the server's.
func (refusal) Refused() bool { return true }

// migrate brings the schema up to date. An older binary refuses a newer schema: it would not know what the new columns mean, and would
// store rows without them. backup is called before a record that holds something is changed.
func migrate(ctx context.Context, dialect goose.Dialect, db *sql.DB, files fs.FS, backup func(version int64) error, options ...goose.ProviderOption) error {
	provider, err := goose.NewProvider(dialect, db, files, options...)
	if err != nil {
		return fmt.Errorf("read the schema's migrations: %w", err)
	}
	sources := provider.ListSources()
	newest := sources[len(sources)-1].Version
	current, err := provider.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the version of the schema: %w", err)
	}
	if current > newest {
		return fmt.Errorf("%w: its schema is version %d, this berth knows up to %d; use the newer berth, or restore a backup from before the upgrade", ErrNewerSchema, current, newest)
	}
	if current > 0 && current < newest {
		if err := backup(current); err != nil {
			return fmt.Errorf("keep a copy of the record before its schema is changed: %w", err)
		}
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bring the schema from version %d to %d: %w", current, newest, err)
	}
	return nil
}
