package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"berth/api"
	"berth/internal/lab/wire"
	"berth/inventory"
)

const (
	serverAddr = "10.88.0.1"
	httpAddr   = serverAddr + ":8443"
	bootAddr   = serverAddr + ":8081"
	// patience is what anything is given that an idle host does in a few seconds.
	patience = 2 * time.Minute
)

// site is one berth server with its wire. The server is kept running: whenever it dies by SIGKILL it is started again, as a service
// manager would. If it ends in any other way before the end of the test, the test fails.
type site struct {
	testing.TB
	ctx    context.Context
	dir    string
	net    *wire.Namespace
	client *api.Client
	// pause is how long the server stays away when it was killed.
	pause atomic.Int64

	mu       sync.Mutex
	server   *exec.Cmd
	starts   int
	stopping bool
	idle     chan struct{} // closed when nobody keeps the server running any more
}

var sites atomic.Int32

// newSite starts a server that enrols whoever asks. args are further settings.
func newSite(t testing.TB, args ...string) *site {
	t.Helper()
	return newSiteOn(t, nil, args...)
}

// newSiteOn is newSite on a state directory that prepare has made.
func newSiteOn(t testing.TB, prepare func(state string), args ...string) *site {
	t.Helper()
	need(t)
	// Not t.TempDir: the path of a socket has at most 107 bytes.
	dir, err := os.MkdirTemp("", "berth-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{TB: t, dir: dir, idle: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	s.ctx = ctx
	t.Cleanup(func() { cancel(); os.RemoveAll(dir) })
	s.net, err = wire.NewNamespace(fmt.Sprintf("%se2e-%d-%d", wire.Prefix, os.Getpid(), sites.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.net.Close() })
	if err := s.net.AddBridge("br0", netip.MustParsePrefix(serverAddr+"/24")); err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(s.data())
	}
	s.client = &api.Client{URL: "http+unix://" + filepath.Join(s.data(), "berth.sock"), UserAgent: "berth-e2e"}
	go s.keepRunning(args)
	t.Cleanup(s.stop)
	s.ready()
	return s
}

func (s *site) data() string { return filepath.Join(s.dir, "state") }

// keepRunning starts the server until the test ends.
func (s *site) keepRunning(args []string) {
	defer close(s.idle)
	args = append([]string{"serve", "--data", s.data(), "--http", httpAddr, "--boot", bootAddr, "--tftp", "off",
		"--interface", "br0", "--dhcp", "server", "--pool", "10.88.0.100-10.88.0.200", "--enrol", "--log-level", "debug"}, args...)
	for s.once(args) {
		time.Sleep(time.Duration(s.pause.Load()))
	}
}

// once runs the server until it dies, and tells whether it is to be started again.
func (s *site) once(args []string) (again bool) {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.Error(err)
		return false
	}
	defer log.Close()
	cmd := exec.Command(programs.berth, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "BERTH_KILLPOINTS="+s.dir)
	if !s.begin(cmd) {
		return false
	}
	err = cmd.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server = nil
	var exit *exec.ExitError
	killed := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
	if !s.stopping && !killed {
		s.Errorf("the server ended by itself: %v", err)
	}
	return !s.stopping && killed
}

func (s *site) begin(cmd *exec.Cmd) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	if err := s.net.Start(cmd); err != nil {
		s.Error(err)
		return false
	}
	s.server = cmd
	s.starts++
	return true
}

func (s *site) logFile() string { return filepath.Join(s.dir, "berth.log") }

// started counts the starts of the server.
func (s *site) started() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.starts
}

// kill ends the server as a power cut would, and tells whether one was running. It is started again after pause.
func (s *site) kill(pause time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		return false
	}
	s.pause.Store(int64(pause))
	return s.server.Process.Kill() == nil
}

// stop ends the server for good, and shows its log if the test failed.
func (s *site) stop() {
	s.mu.Lock()
	s.stopping = true
	if s.server != nil {
		_ = s.server.Process.Signal(syscall.SIGTERM)
	}
	s.mu.Unlock()
	select {
	case <-s.idle:
	case <-time.After(30 * time.Second):
		s.Error("the server did not end within 30 s of SIGTERM")
		s.mu.Lock()
		if s.server != nil {
			_ = s.server.Process.Kill()
		}
		s.mu.Unlock()
		<-s.idle
	}
	if s.Failed() {
		s.Logf("the end of the server's log:\n%s", tail(s.logFile(), 80))
	}
	if text, err := os.ReadFile(s.logFile()); err == nil && strings.Contains(string(text), "panic:") {
		s.Errorf("the server panicked:\n%s", tail(s.logFile(), 80))
	}
}

// tail is the end of a text file.
func tail(path string, lines int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// ready waits until the server says that it is.
func (s *site) ready() {
	s.Helper()
	eventually(s, "the server is ready", patience, func() bool {
		return s.client.Call(s.ctx, http.MethodGet, "/readyz", nil, nil) == nil
	})
}

// ask repeats a question until a server is there to answer it. What the server then says is the answer.
func ask[T any](s *site, question func(ctx context.Context) (T, error)) (T, error) {
	s.Helper()
	var answer T
	var err error
	eventually(s, "the server answers", patience, func() bool {
		ctx, cancel := context.WithTimeout(s.ctx, 10*time.Second)
		defer cancel()
		answer, err = question(ctx)
		var problem *api.Problem
		return err == nil || errors.As(err, &problem) && problem.Status != http.StatusServiceUnavailable
	})
	return answer, err
}

// must is ask for what may not be refused.
func must[T any](s *site, question func(ctx context.Context) (T, error)) T {
	s.Helper()
	answer, err := ask(s, question)
	if err != nil {
		s.Fatalf("the server refused: %v", err)
	}
	return answer
}

func (s *site) operation(uid inventory.UID) *api.OperationStatus {
	s.Helper()
	return must(s, func(ctx context.Context) (*api.OperationStatus, error) { return s.client.Operation(ctx, uid) })
}

func (s *site) machine(ref string) *inventory.Device {
	s.Helper()
	return must(s, func(ctx context.Context) (*inventory.Device, error) {
		status, err := s.client.Machine(ctx, ref)
		if err != nil {
			return nil, err
		}
		return &status.Machine, nil
	})
}

// find is the machine on record that has a network card; nil when there is none.
func (s *site) find(mac string) *inventory.Device {
	s.Helper()
	page := must(s, func(ctx context.Context) (api.Page[inventory.Interface], error) {
		return api.List[inventory.Interface](ctx, s.client, api.Query{Filters: map[string]string{"mac": mac}})
	})
	if len(page.Items) == 0 {
		return nil
	}
	return s.machine(string(page.Items[0].Device))
}

// killPoint is one line of the server's trace of its commits.
type killPoint struct {
	when, name string
	wrong      bool
}

func (k killPoint) String() string { return k.when + " " + k.name }

// trace reads what the server noted at its commits, from a byte of the file on, and tells where it ends.
func (s *site) trace(from int64) (points []killPoint, end int64) {
	s.Helper()
	f, err := os.Open(filepath.Join(s.dir, "trace"))
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Seek(from, 0); err != nil {
		s.Fatal(err)
	}
	end = from
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		end += int64(len(lines.Bytes())) + 1
		fields := strings.SplitN(lines.Text(), " ", 5)
		if len(fields) != 5 {
			continue // cut by a kill
		}
		points = append(points, killPoint{when: fields[2], name: fields[4], wrong: fields[3] != "0"})
	}
	return points, end
}

// arm tells the server at which commits to die, at each of them once.
func (s *site) arm(pause time.Duration, points ...killPoint) {
	s.Helper()
	s.pause.Store(int64(pause))
	var lines []string
	for _, k := range points {
		lines = append(lines, k.String())
	}
	file := filepath.Join(s.dir, "kill")
	if err := errors.Join(os.WriteFile(file+".new", []byte(strings.Join(lines, "\n")), 0o600), os.Rename(file+".new", file)); err != nil {
		s.Fatal(err)
	}
}

// disarm takes that back, and returns the points that were not reached.
func (s *site) disarm() (left []string) {
	s.Helper()
	file := filepath.Join(s.dir, "kill")
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.Remove(file)
	}
	if err != nil {
		s.Fatal(err)
	}
	if len(text) == 0 {
		return nil
	}
	return strings.Split(string(text), "\n")
}
