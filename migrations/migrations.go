// Package migrations holds the schema of the record as numbered SQL files, in the order in which they were merged. A merged file is never
// edited: a change of the schema is one more file. One text serves SQLite and PostgreSQL; where a change cannot be said the same way on
// both, its file is kept in a folder per dialect.
package migrations

import "embed"

// Files are the migrations, in the form that goose reads.
//
//go:embed *.sql
var Files embed.FS
