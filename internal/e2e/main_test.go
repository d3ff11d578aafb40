package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"berth/internal/lab/wire"
)

// programs are the binaries under test, built once for all stories.
var programs struct{ berth, agent string }

func TestMain(m *testing.M) {
	flag.Parse()
	// The stories wait most of their time, for a machine or for a BMC's deadline: twice as many as there are processors are no more work.
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "internal/e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "berth-e2e-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	sweep()
	programs.berth, programs.agent = filepath.Join(dir, "berth"), filepath.Join(dir, "berth-agent")
	if err := build(programs.berth, "./cmd/berth", "-tags", "killpoint"); err != nil {
		return 1, err
	}
	if err := build(programs.agent, "./cmd/berth-agent"); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// sweep removes the namespaces of an earlier run that was killed. Those of a run that lives are left alone.
func sweep() {
	names, _ := filepath.Glob("/run/netns/" + wire.Prefix + "e2e-*")
	for _, path := range names {
		name := filepath.Base(path)
		pid, _, _ := strings.Cut(strings.TrimPrefix(name, wire.Prefix+"e2e-"), "-")
		if _, err := strconv.Atoi(pid); err != nil {
			continue // a rack of the lab
		}
		if _, err := os.Stat("/proc/" + pid); os.IsNotExist(err) {
			_ = wire.Remove(name)
		}
	}
}

// build makes a program as the Makefile does, but for the symbols. The go command keeps what it built before.
func build(out, pkg string, more ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	args := append([]string{"build", "-trimpath", "-buildvcs=false"}, more...)
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", out, pkg)...)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, text)
	}
	return nil
}

// need skips a story aloud on a host that cannot tell it, and fails in CI.
func need(t testing.TB) {
	t.Helper()
	skip := t.Skipf
	if os.Getenv("CI") != "" {
		skip = t.Fatalf
	}
	if os.Getenv("BERTH_TEST_VM") != "" && os.Getenv("BERTH_TEST_FULL") == "" {
		t.Skip("this run is for machines; the stories without run with the other tests")
	}
	if os.Geteuid() != 0 {
		skip("SKIPPED: network namespaces and loop devices need root")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		skip("SKIPPED: no loop devices: %v", err)
	}
	var missing []string
	for _, program := range []string{"unshare", "sfdisk", "mcopy", "python3"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if len(missing) > 0 {
		skip("SKIPPED: not installed: %s", strings.Join(missing, ", "))
	}
}

// full tells whether the long forms of the tests were asked for.
func full() bool { return os.Getenv("BERTH_TEST_FULL") != "" }

// eventually waits for what must come. The limit is for a host on which everything stands still now and then.
func eventually(t testing.TB, what string, limit time.Duration, done func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, limit)
		}
	}
}
