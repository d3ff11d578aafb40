package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"berth/migrations"

	"github.com/glebarez/sqlite"
	"github.com/pressly/goose/v3"
	"golang.org/x/sys/unix"
	"gorm.io/gorm"
)

// sqliteDriver has one connection that writes and a few that read. All edits go through one goroutine, the writer, which puts those
// that wait at the same time into one transaction: SQLite then syncs the disk once for all of them (group commit). Since nobody else
// holds the directory and readers of a WAL never block, no caller meets a locked database.
type sqliteDriver struct {
	db     *gorm.DB
	queue  chan *edit
	closed chan struct{} // closed when the writer has ended
}

// edit is one piece of work that waits for the writer.
type edit struct {
	ctx  context.Context
	work func(*gorm.DB) error
	err  error
	done chan struct{}
}

const (
	readers  = 4
	maxBatch = 64
	// maxHold bounds how long an edit may wait for others of its batch.
	maxHold = 10 * time.Millisecond
)

func (s *Store) openSQLite(ctx, background context.Context) error {
	if s.opt.Dir == "" {
		return errors.New("the record needs a directory or the address of a database")
	}
	if err := s.takeDirectory(); err != nil {
		return err
	}
	path, err := createFile(s.opt.Dir, "berth.db")
	if err != nil {
		return err
	}
	if s.write, err = s.connectSQLite(path, 1, "synchronous(FULL)", "cache_size(-16000)", "wal_autocheckpoint(4000)"); err != nil {
		return err
	}
	pool, err := s.write.DB()
	if err != nil {
		return err
	}
	backup := func(version int64) error { return s.copyTo(ctx, fmt.Sprintf("before-schema-%d.db", version+1)) }
	if err := migrate(ctx, goose.DialectSQLite3, pool, migrations.Files, backup); err != nil {
		return explainSQLite(err)
	}
	if err := s.makeSearchSQLite(); err != nil {
		return fmt.Errorf("make the search index: %w", explainSQLite(err))
	}
	if s.read, err = s.connectSQLite(path, readers, "query_only(1)"); err != nil {
		return err
	}
	d := &sqliteDriver{db: s.write, queue: make(chan *edit), closed: make(chan struct{})}
	s.driver = d
	var writer sync.WaitGroup
	writer.Go(func() { d.serve(background) })
	s.close = append(s.close, func() error { writer.Wait(); return nil })
	return nil
}

// copyTo writes a whole copy of the database beside it, in place of an older one of that name.
func (s *Store) copyTo(ctx context.Context, name string) error {
	if err := os.Remove(filepath.Join(s.opt.Dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	path, err := createFile(s.opt.Dir, name) // VACUUM INTO takes an empty file, and keeps its mode
	if err != nil {
		return err
	}
	return s.write.WithContext(ctx).Exec("VACUUM INTO ?", path).Error
}

func (s *Store) connectSQLite(path string, connections int, pragmas ...string) (*gorm.DB, error) {
	values := url.Values{"_txlock": {"immediate"}, "_pragma": append([]string{"busy_timeout(10000)", "journal_mode(WAL)", "foreign_keys(1)"}, pragmas...)}
	dsn := (&url.URL{Scheme: "file", Path: path, RawQuery: values.Encode()}).String()
	db, err := gorm.Open(sqlite.Open(dsn), s.gormConfig())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, explainSQLite(err))
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	s.close = append(s.close, pool.Close)
	return db, nil
}

// transact hands the work to the writer and waits for its commit. The wait is not given up when ctx ends, because the work may touch
// what the caller owns; work that was not begun is then skipped.
func (d *sqliteDriver) transact(ctx context.Context, work func(*gorm.DB) error) error {
	e := &edit{ctx: ctx, work: work, done: make(chan struct{})}
	select {
	case d.queue <- e:
	case <-d.closed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Minute):
		return errors.New("the record is too busy: an edit waited a minute for its turn")
	}
	<-e.done
	return rethrow(e.err)
}

var errClosed = errors.New("the record is closed")

// serve is the writer.
func (d *sqliteDriver) serve(ctx context.Context) {
	defer close(d.closed)
	for {
		select {
		case first := <-d.queue:
			d.commit(first)
		case <-ctx.Done():
			return
		}
	}
}

func (e *edit) finish(err error) {
	e.err = err
	close(e.done)
}

// commit runs an edit, and those that wait meanwhile, in one transaction. Each has a savepoint of its own, so that one that fails takes
// nothing with it. If the transaction as a whole is lost (a full disk ends it), those that had succeeded in it are run again alone, and
// each then gets its own answer.
func (d *sqliteDriver) commit(first *edit) {
	var good []*edit
	var failed []*edit
	err := d.db.Transaction(func(db *gorm.DB) error {
		hold := time.Now()
		for e := first; e != nil; e = d.next(hold, len(good)+len(failed)) {
			ran, err := e.run(db)
			if err != nil {
				good = append(good, e)
				return err
			}
			if ran {
				good = append(good, e)
			} else {
				failed = append(failed, e)
			}
		}
		return nil
	})
	for _, e := range failed {
		e.finish(e.err)
	}
	for _, e := range good {
		switch {
		case err == nil:
			e.finish(nil)
		case len(good) == 1 && len(failed) == 0:
			e.finish(err)
		default:
			d.alone(e)
		}
	}
}

// next is an edit that waits for the writer now, if the batch may grow.
func (d *sqliteDriver) next(since time.Time, size int) *edit {
	if size >= maxBatch || time.Since(since) > maxHold {
		return nil
	}
	select {
	case e := <-d.queue:
		return e
	default:
		return nil
	}
}

// run does the work under a savepoint. ran is false when the work itself failed and was undone; err means that the transaction is lost.
func (e *edit) run(db *gorm.DB) (ran bool, err error) {
	if e.err = e.ctx.Err(); e.err != nil {
		return false, nil
	}
	if err := db.Exec("SAVEPOINT edit").Error; err != nil {
		return false, err
	}
	if e.err = guarded(e.work, db); e.err == nil {
		return true, db.Exec("RELEASE edit").Error
	}
	if err := db.Exec("ROLLBACK TO edit").Error; err != nil {
		return false, e.err // the transaction is gone, and this is why
	}
	return false, db.Exec("RELEASE edit").Error
}

func (d *sqliteDriver) alone(e *edit) {
	if err := e.ctx.Err(); err != nil {
		e.finish(err)
		return
	}
	e.finish(d.db.Transaction(func(db *gorm.DB) error { return guarded(e.work, db) }))
}

func (d *sqliteDriver) announce(*gorm.DB, []string) error { return nil }
func (d *sqliteDriver) plus() string                      { return "+" }
func (d *sqliteDriver) lock(string) string                { return "" } // there is one writer
func (d *sqliteDriver) explain(err error) error           { return explainSQLite(err) }

// Result codes of SQLite (https://www.sqlite.org/rescode.html). The upper bits say more, and are not looked at.
const (
	sqlitePerm     = 3
	sqliteReadonly = 8
	sqliteIOErr    = 10
	sqliteCorrupt  = 11
	sqliteFull     = 13
	sqliteCantOpen = 14
	sqliteNotADB   = 26
)

func explainSQLite(err error) error {
	var coded interface {
		error
		Code() int
	}
	if !errors.As(err, &coded) {
		return err
	}
	switch coded.Code() & 0xff {
	case sqliteFull:
		return &illness{ErrFull.Error(), err}
	case sqliteCorrupt, sqliteNotADB:
		return &illness{"the database file is damaged; restore a backup", err}
	case sqliteIOErr:
		return &illness{"the disk of the database does not work as it should", err}
	case sqliteReadonly, sqliteCantOpen, sqlitePerm:
		return &illness{"the database file cannot be written; look at its owner and at the file system", err}
	}
	return err
}

// takeDirectory makes the state directory if need be, refuses one on a network, and locks it.
func (s *Store) takeDirectory() error {
	dir := s.opt.Dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the state directory: %w", err)
	}
	if err := checkFilesystem(dir); err != nil {
		return err
	}
	path, err := createFile(dir, "lock")
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open the lock of the state directory: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("%s is in use by %s; one berth at a time may use a state directory", dir, holderOf(file))
		}
		return fmt.Errorf("lock the state directory %s: %w", dir, err)
	}
	// The lock ends with the process, however it ends; the pid in the file is for people only.
	s.close = append(s.close, file.Close)
	if err := file.Truncate(0); err != nil {
		return fmt.Errorf("write the lock of the state directory: %w", explainFull(err))
	}
	if _, err := file.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err != nil {
		return fmt.Errorf("write the lock of the state directory: %w", explainFull(err))
	}
	return nil
}

func explainFull(err error) error {
	if errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

func holderOf(file *os.File) string {
	var text [32]byte
	n, _ := file.ReadAt(text[:], 0)
	if pid := strings.TrimSpace(string(text[:n])); pid != "" {
		return "process " + pid
	}
	return "another process"
}

// createFile makes a file that only its owner reads, if it is not there. SQLite gives its other files the mode of the first.
func createFile(dir, name string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", path, explainFull(err))
	}
	return path, file.Close()
}

// Magic numbers of statfs(2) for file systems that live on other machines. SQLite's WAL needs memory shared between the processes that
// use a file, and locks that hold; neither is sure there.
var networkFilesystems = map[int64]string{
	unix.NFS_SUPER_MAGIC:  "NFS",
	unix.SMB_SUPER_MAGIC:  "SMB",
	unix.CIFS_SUPER_MAGIC: "CIFS",
	unix.SMB2_SUPER_MAGIC: "SMB",
	unix.V9FS_MAGIC:       "9p",
	unix.AFS_SUPER_MAGIC:  "AFS",
	unix.CODA_SUPER_MAGIC: "Coda",
	unix.CEPH_SUPER_MAGIC: "CephFS",
	0x47504653:            "GPFS",
	0x01161970:            "GFS2",
	0x0bd00bd0:            "Lustre",
}

func checkFilesystem(dir string) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return fmt.Errorf("look at the file system of %s: %w", dir, err)
	}
	kind := networkFilesystems[int64(stat.Type)]
	if stat.Type == unix.FUSE_SUPER_MAGIC {
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			return fmt.Errorf("look at the file system of %s: %w", dir, err)
		}
		var at unix.Stat_t
		if err := unix.Stat(dir, &at); err != nil {
			return fmt.Errorf("look at the file system of %s: %w", dir, err)
		}
		kind = networkFUSE(string(mounts), unix.Major(at.Dev), unix.Minor(at.Dev))
	}
	if kind != "" {
		return fmt.Errorf("the state directory %s is on %s, a network file system, where an embedded database loses data; use a local disk, or PostgreSQL", dir, kind)
	}
	return nil
}

// networkFUSE finds in the text of /proc/self/mountinfo (proc(5)) whether a FUSE mount reaches over a network. Some do not: ntfs-3g and
// fuse-overlayfs are local, and allowed.
func networkFUSE(mountinfo string, major, minor uint32) string {
	device := fmt.Sprintf("%d:%d", major, minor)
	for line := range strings.Lines(mountinfo) {
		left, right, ok := strings.Cut(line, " - ")
		fields, kinds := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 3 || fields[2] != device || len(kinds) == 0 {
			continue
		}
		switch kind := kinds[0]; kind {
		case "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.s3fs", "fuse.rclone", "fuse.davfs", "fuse.curlftpfs", "fuse.juicefs", "fuse.seaweedfs", "fuse.mfs":
			return kind
		}
	}
	return ""
}
