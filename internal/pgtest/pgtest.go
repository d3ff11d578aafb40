// Package pgtest gives tests, and programs that measure, a real PostgreSQL: a cluster of its own in a temporary directory, reached by a Unix socket alone, and a fresh
// database for every test that asks. Where PostgreSQL is not installed the test is skipped aloud, and fails when the environment variable
// CI is set.
package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// cluster is the one of this test binary. It is started when the first test asks for it.
type cluster struct {
	bin  string // where initdb, postgres and psql are
	dir  string
	cred *syscall.Credential // nil when we are not root
	made atomic.Int64

	stopping chan struct{}
	stopped  chan error
}

var (
	start  sync.Once
	shared *cluster
	failed error
	inRun  atomic.Bool
)

// Run runs the tests of a package and then stops the cluster, if one of them had it started. It is called from TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }
func Run(m *testing.M) int {
	inRun.Store(true)
	code := m.Run()
	if shared != nil {
		if err := shared.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			return max(code, 1)
		}
	}
	return code
}

// Database returns the address of an empty database.
func Database(t testing.TB) string {
	t.Helper()
	if !inRun.Load() {
		t.Fatal("pgtest: the package's TestMain must call pgtest.Run, which stops the cluster at the end")
	}
	start.Do(func() { shared, failed = launch() })
	if failed != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no PostgreSQL to test with: %v", failed)
		}
		t.Skipf("SKIPPED, NOT TESTED: no PostgreSQL to test with: %v", failed)
	}
	dsn, err := shared.database()
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

// Cluster is a PostgreSQL for a program that is no test. Its owner stops it.
type Cluster struct{ c *cluster }

// Start makes a cluster and starts its server, which ends with this process at the latest.
func Start() (*Cluster, error) {
	c, err := launch()
	return &Cluster{c}, err
}

// Database makes an empty database and returns its address.
func (p *Cluster) Database() (string, error) { return p.c.database() }

// Stop ends the server and removes everything.
func (p *Cluster) Stop() error { return p.c.stop() }

// database makes one.
func (c *cluster) database() (string, error) {
	name := fmt.Sprintf("t%d", c.made.Add(1))
	if out, err := c.command("psql", "-h", c.dir, "-U", "berth", "-d", "postgres", "-qc", "CREATE DATABASE "+name).CombinedOutput(); err != nil {
		return "", fmt.Errorf("make a database: %w: %s", err, out)
	}
	return fmt.Sprintf("postgres://berth@/%s?host=%s", name, c.dir), nil
}

// launch makes a cluster and starts its server.
func launch() (*cluster, error) {
	c := &cluster{stopping: make(chan struct{}), stopped: make(chan error, 1)}
	var err error
	if c.bin, err = findBin(); err != nil {
		return nil, err
	}
	if c.cred, err = unprivileged(); err != nil {
		return nil, err
	}
	sweep()
	if c.dir, err = os.MkdirTemp("", fmt.Sprintf("pgtest-%d-", os.Getpid())); err != nil {
		return nil, err
	}
	if err := c.init(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.dir))
	}
	started := make(chan error)
	go c.serve(started)
	if err := <-started; err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.dir))
	}
	if err := c.awaitReady(); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

// sweep removes what test binaries left that were killed, or ended by their time limit, before they could stop their cluster. The server
// itself ended with them.
func sweep() {
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "pgtest-*"))
	if err != nil {
		return
	}
	for _, dir := range left {
		var pid int
		if _, err := fmt.Sscanf(filepath.Base(dir), "pgtest-%d-", &pid); err != nil {
			continue
		}
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			_ = os.RemoveAll(dir) // another may be sweeping too
		}
	}
}

// findBin finds the newest PostgreSQL of Debian's packages, whose programs are not in PATH, or any in PATH.
func findBin() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	newest, version := "", -1
	for _, path := range found {
		if v, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))); err == nil && v > version {
			newest, version = filepath.Dir(path), v
		}
	}
	if newest != "" {
		return newest, nil
	}
	path, err := exec.LookPath("postgres")
	if err != nil {
		return "", errors.New("the package postgresql is not installed")
	}
	return filepath.Dir(path), nil
}

// unprivileged is whom the server runs as: it refuses to run as root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
			gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
			if err := errors.Join(err1, err2); err != nil {
				return nil, err
			}
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("root cannot run PostgreSQL, and there is neither a user postgres nor nobody")
}

func (c *cluster) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, program), args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.cred}
	return cmd
}

// init makes the cluster. It sorts as English readers do, not by bytes, because that is the harder case for code that pages through
// sorted lists, and the usual one.
func (c *cluster) init() error {
	if c.cred != nil {
		if err := os.Chown(c.dir, int(c.cred.Uid), int(c.cred.Gid)); err != nil {
			return err
		}
	}
	out, err := c.command("initdb", "-D", c.dir+"/data", "-U", "berth", "--auth=trust", "--no-sync",
		"--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

// serve runs the server until stop. The thread is locked because the kernel ends the server with the thread that started it, which is
// what keeps a server from outliving a test that was killed.
func (c *cluster) serve(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	log, err := os.Create(c.dir + "/log")
	if err != nil {
		started <- err
		return
	}
	defer log.Close()
	cmd := c.command("postgres", "-D", c.dir+"/data", "-k", c.dir, "-c", "listen_addresses=",
		"-c", "max_connections=200", "-c", "shared_buffers=64MB", "-c", "max_wal_size=256MB")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT // an immediate shutdown, children included
	cmd.SysProcAttr.Setpgid = true              // Ctrl-C on the test is for us to handle
	err = cmd.Start()
	started <- err
	if err != nil {
		return
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		c.stopped <- fmt.Errorf("PostgreSQL ended by itself: %w", err)
		return
	case <-c.stopping:
	}
	// Its exit status tells only that it was told to stop.
	_ = cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-ended:
		c.stopped <- nil
	case <-time.After(20 * time.Second):
		c.stopped <- errors.Join(errors.New("PostgreSQL did not stop and was killed"), cmd.Process.Kill())
	}
}

func (c *cluster) awaitReady() error {
	var out []byte
	var err error
	for range 300 {
		if out, err = c.command("pg_isready", "-h", c.dir, "-q").CombinedOutput(); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	log, _ := os.ReadFile(c.dir + "/log")
	return fmt.Errorf("PostgreSQL did not start: %w: %s %s", err, out, log)
}

func (c *cluster) stop() error {
	close(c.stopping)
	err := <-c.stopped
	return errors.Join(err, os.RemoveAll(c.dir))
}
