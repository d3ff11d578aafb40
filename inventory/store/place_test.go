package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/inventory"

	"golang.org/x/sys/unix"
)

// TestDirectoryIsOurs: a second process is told who holds the directory, and the lock ends with its holder.
func TestDirectoryIsOurs(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, Options{Dir: dir})
	_, err := Open(context.Background(), Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openTest(t, Options{Dir: dir})
}

// TestModes: nobody but the owner reads anything under a directory that the store made, whatever the umask.
func TestModes(t *testing.T) {
	old := unix.Umask(0)
	defer unix.Umask(old)
	dir := filepath.Join(t.TempDir(), "state")
	s := openTest(t, Options{Dir: dir})
	create(t, s, &inventory.Site{Name: "a"})
	seen := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		seen++
		return err
	})
	if err != nil || seen < 4 { // the directory, lock, database and its WAL
		t.Errorf("%d files seen, %v", seen, err)
	}
}

// TestNetworkFilesystems is what is refused and what is not, by the text of /proc/self/mountinfo.
func TestNetworkFilesystems(t *testing.T) {
	const mountinfo = `22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
40 22 0:50 / /mnt/a rw,nosuid,nodev,relatime shared:9 - fuse.sshfs anna@host:/srv rw,user_id=0
41 22 0:51 / /mnt/b rw,relatime - fuseblk /dev/sdb1 rw
42 22 0:52 / /mnt/c rw,relatime - fuse.fuse-overlayfs fuse-overlayfs rw
not a line
`
	for minor, want := range map[uint32]string{50: "fuse.sshfs", 51: "", 52: "", 99: ""} {
		if got := networkFUSE(mountinfo, 0, minor); got != want {
			t.Errorf("device 0:%d is on %q, want %q", minor, got, want)
		}
	}
	if err := checkFilesystem(t.TempDir()); err != nil {
		t.Errorf("the file system of the tests: %v", err)
	}
	if networkFilesystems[unix.NFS_SUPER_MAGIC] == "" {
		t.Error("NFS is not refused")
	}
}

// TestBadPlaces: what cannot be opened says why.
func TestBadPlaces(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "berth.db"), []byte(strings.Repeat("this is no database ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		opt  Options
		want string
	}{
		{Options{}, "needs a directory"},
		{Options{Dir: file}, "not a directory"},
		{Options{Dir: broken}, "damaged"},
		{Options{DSN: "postgres://user:canary@[broken"}, "not of the form"},
		{Options{DSN: "postgres://user:canary@/x?host=" + t.TempDir()}, "open the database"},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		_, err := Open(ctx, test.opt)
		cancel()
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%+v: got %v, want %q in it", test.opt, err, test.want)
		}
	}
}

// TestFullDisk fills a small file system: the edit that finds no room fails with a sentence and leaves nothing, reading goes on, and so
// does writing when there is room again.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16m,mode=0700"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mount a small file system: %v", err)
		}
		t.Skipf("SKIPPED, NOT TESTED: a full disk; mounting a small file system needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, Options{Dir: dir})
	write := func(i int) error {
		return try(s, func(tx inventory.Tx) error {
			return tx.Create(&inventory.Site{Name: fmt.Sprint("site ", i), Description: strings.Repeat("x", 60_000)})
		})
	}
	stored := 0
	var err error
	for err == nil && stored < 1000 {
		if err = write(stored); err == nil {
			stored++
		}
	}
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "no space") {
		t.Fatalf("after %d edits: %v", stored, err)
	}
	if health := s.Health(t.Context()); !errors.Is(health, ErrFull) {
		t.Errorf("the health of a full disk: %v", health)
	}
	if got := len(all[inventory.Site](t, s)); got != stored {
		t.Errorf("%d sites are there, %d were told to be stored", got, stored)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := write(stored); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if err := s.Health(t.Context()); err != nil {
		t.Errorf("the health with room again: %v", err)
	}
}

// TestWatch: a commit is told to those who watch its tables, once however many there are, and to no others; a channel ends with its context.
func TestWatch(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		s := openTest(t, opt)
		ctx, cancel := context.WithCancel(context.Background())
		site, rack := nounOf("site"), nounOf("rack")
		sites, racks, two := s.Watch(ctx, site), s.Watch(ctx, rack), s.Watch(ctx, site, rack)
		for range 3 {
			create(t, s, &inventory.Site{Name: string(inventory.NewUID().Short())})
		}
		if !waiting(sites) || waiting(sites) || !waiting(two) {
			t.Error("three commits were not told once")
		}
		if waiting(racks) {
			t.Error("a commit was told to who watches another table")
		}
		_ = try(s, func(tx inventory.Tx) error {
			if err := tx.Create(&inventory.Site{Name: "never"}); err != nil {
				return err
			}
			return errors.New("no")
		})
		if waiting(sites) {
			t.Error("what was not committed was told")
		}
		cancel()
		for range sites { // ends when it is closed
		}
	})
}

func waiting(ch <-chan struct{}) bool {
	select {
	case _, ok := <-ch:
		return ok
	default:
		return false
	}
}

// TestWatchAcrossServers: what one server commits, the other hears, also after its connection to the database was cut.
func TestWatchAcrossServers(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		if opt.DSN == "" {
			t.SkipNow() // a directory has one server
		}
		a, b := openTest(t, opt), openTest(t, opt)
		heard := b.Watch(t.Context(), nounOf("site"))
		hear := func(what string) {
			t.Helper()
			select {
			case <-heard:
			case <-time.After(20 * time.Second):
				t.Fatalf("%s: not heard", what)
			}
		}
		create(t, a, &inventory.Site{Name: "one"})
		hear("a commit")
		if err := a.write.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'").Error; err != nil {
			t.Fatal(err)
		}
		hear("that something may have been missed")
		create(t, a, &inventory.Site{Name: "two"})
		hear("a commit after the cut")
	})
}

// TestDurability: what a kill of the process cannot show, a power cut would: commits of SQLite are synced to the disk.
func TestDurability(t *testing.T) {
	s := openTest(t, Options{Dir: t.TempDir()})
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal"} {
		var got string
		if err := s.write.Raw("PRAGMA " + pragma).Scan(&got).Error; err != nil || got != want {
			t.Errorf("%s is %q, want %q (%v)", pragma, got, want, err)
		}
	}
}
