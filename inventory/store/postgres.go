package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"berth/inventory"
	"berth/migrations"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

// postgresDriver runs every edit in a serializable transaction: what an edit has read is still so when it commits, on any server, as it
// is with SQLite's single writer. The database ends some of two edits that meet with SQLSTATE 40001; those are run again.
type postgresDriver struct {
	db *gorm.DB
	// server tells our own notifications from those of others.
	server inventory.UID
	again  chan struct{} // held by whoever tries again
	// alone is shared by all edits of this server, and held by one that must be alone.
	alone sync.RWMutex
}

const (
	postgresConnections = 16
	maxRetry            = time.Minute
	// longEdit is how long an edit runs that is not lightly done twice.
	longEdit = 50 * time.Millisecond
	channel  = "berth_changed"
)

func (s *Store) openPostgres(ctx, background context.Context) error {
	config, err := pgx.ParseConfig(s.opt.DSN)
	if err != nil {
		return errors.New("the address of the database is not of the form postgres://user:password@host/name") // err would show the password
	}
	// A plan that serves any value is wrong for a value that half of the rows have; planning takes a tenth of a millisecond.
	config.RuntimeParams["plan_cache_mode"] = "force_custom_plan"
	s.write, err = gorm.Open(postgres.New(postgres.Config{Conn: stdlib.OpenDB(*config)}), s.gormConfig())
	if err != nil {
		return fmt.Errorf("open the database on %s: %w", config.Host, explainPostgres(err))
	}
	pool, err := s.write.DB()
	if err != nil {
		return err
	}
	s.close = append(s.close, pool.Close)
	pool.SetMaxOpenConns(postgresConnections)
	pool.SetMaxIdleConns(postgresConnections / 2)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	if err := pool.PingContext(ctx); err != nil {
		return fmt.Errorf("open the database on %s: %w", config.Host, explainPostgres(err))
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return fmt.Errorf("prepare the lock around migrations: %w", err)
	}
	if err := migrate(ctx, goose.DialectPostgres, pool, migrations.Files, noBackup, goose.WithSessionLocker(locker)); err != nil {
		return explainPostgres(err)
	}
	if err := s.makeSearchPostgres(ctx); err != nil {
		return explainPostgres(err)
	}
	d := &postgresDriver{db: s.write, server: inventory.NewUID(), again: make(chan struct{}, 1)}
	s.read, s.driver = s.write, d
	conn, err := listenOn(ctx, config)
	if err != nil {
		return fmt.Errorf("listen for other servers: %w", explainPostgres(err))
	}
	var listener sync.WaitGroup
	listener.Go(func() { s.listen(background, conn, config, d.server) })
	s.close = append(s.close, func() error { listener.Wait(); return nil })
	return nil
}

// noBackup leaves copies of PostgreSQL to its owner's own means: each migration is one transaction, and a server that berth does not run
// is not ours to dump.
func noBackup(int64) error { return nil }

func (d *postgresDriver) transact(ctx context.Context, work func(*gorm.DB) error) error {
	giveUp := time.Now().Add(maxRetry)
	long := false
	for attempt := 0; ; attempt++ {
		began := time.Now()
		err := d.attempt(ctx, attempt, attempt > 1 || long, work)
		long = long || time.Since(began) > longEdit
		switch {
		case !retriable(err, attempt):
			return rethrow(err)
		case time.Now().After(giveUp):
			return fmt.Errorf("the record is too busy: an edit met others %d times: %w", attempt+1, err)
		}
		// The pause grows to about 50 ms and is random, so that two servers that met do not meet again.
		pause := time.Duration(rand.Int64N(int64(time.Millisecond) * int64(min(2+2*attempt, 50))))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// attempt runs the work once. Second attempts of this server go one at a time: the first ones of others are then all they can
// meet, and however many want the same row, one gets it at each round. Third attempts, and second ones of long edits, run alone: an edit
// of hundreds of objects, such as a slice of an import, meets somebody each time where twenty people write.
func (d *postgresDriver) attempt(ctx context.Context, attempt int, alone bool, work func(*gorm.DB) error) error {
	if alone {
		d.alone.Lock()
		defer d.alone.Unlock()
	} else {
		d.alone.RLock()
		defer d.alone.RUnlock()
	}
	if attempt > 0 && !alone {
		select {
		case d.again <- struct{}{}:
			defer func() { <-d.again }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return d.db.WithContext(ctx).Transaction(func(db *gorm.DB) error {
		// Reading a small table as a whole would tie this transaction to every row of it, and to everybody who writes one.
		if err := db.Exec("SET LOCAL enable_seqscan = off").Error; err != nil {
			return err
		}
		return guarded(work, db)
	}, &sql.TxOptions{Isolation: sql.LevelSerializable})
}

// retriable tells whether another try may end otherwise: after a serialization failure or a deadlock, and after a duplicate key, which
// PostgreSQL also reports when two transactions race for it (chapter 13.5). The second look at a duplicate sees who won.
func retriable(err error, attempt int) bool {
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return attempt == 0
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

func (d *postgresDriver) announce(db *gorm.DB, tables []string) error {
	if err := db.Exec("SELECT pg_notify(?, ?)", channel, string(d.server)+":"+strings.Join(tables, ",")).Error; err != nil {
		return fmt.Errorf("tell other servers: %w", err)
	}
	return nil
}

func (d *postgresDriver) plus() string              { return "" }
func (d *postgresDriver) lock(option string) string { return " FOR UPDATE " + option }
func (d *postgresDriver) explain(err error) error   { return explainPostgres(err) }

func explainPostgres(err error) error {
	var pg *pgconn.PgError
	var unreachable *pgconn.ConnectError
	switch {
	case errors.As(err, &pg) && pg.Code == "53100": // disk_full
		return &illness{ErrFull.Error(), err}
	case errors.As(err, &pg) && (pg.Code == "28P01" || pg.Code == "28000"): // invalid_password, invalid_authorization_specification
		return &illness{"the database does not let berth in", err}
	case errors.As(err, &pg) && strings.HasPrefix(pg.Code, "57P"): // admin_shutdown and its like
		return &illness{"the database is shutting down", err}
	case errors.As(err, &unreachable):
		return &illness{"the database cannot be reached", err}
	}
	return err
}

// listen passes on what other servers changed. While its connection is gone notifications are lost, so everybody is told to look again
// when it is back.
func (s *Store) listen(ctx context.Context, conn *pgx.Conn, config *pgx.ConnConfig, own inventory.UID) {
	for {
		err := s.pass(ctx, conn, own)
		for err != nil {
			if ctx.Err() != nil {
				return
			}
			s.opt.Log.Warn("notifications of the database are lost; connecting again", "error", err)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return
			}
			conn, err = listenOn(ctx, config)
		}
		s.hub.publishAll()
	}
}

func listenOn(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}

// pass hears notifications until the connection ends.
func (s *Store) pass(ctx context.Context, conn *pgx.Conn, own inventory.UID) error {
	// The connection may be dead; closing it is a courtesy that must not take long.
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	for {
		note, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		server, tables, _ := strings.Cut(note.Payload, ":")
		if server != string(own) {
			s.hub.publish(strings.Split(tables, ","))
		}
	}
}
