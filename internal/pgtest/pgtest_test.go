package pgtest_test

import (
	"context"
	"os"
	"testing"

	"berth/internal/pgtest"

	"github.com/jackc/pgx/v5"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// TestDatabase asks twice and gets two databases that are empty and apart.
func TestDatabase(t *testing.T) {
	ctx := context.Background()
	for range 2 {
		conn, err := pgx.Connect(ctx, pgtest.Database(t))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, "CREATE TABLE things (name TEXT)"); err != nil {
			t.Error(err)
		}
	}
}
