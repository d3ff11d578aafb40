// Command lists measures the lists of a large record, over the API and as pages, at one request at a time: the time the server takes by
// its own metrics, and the time a client waits, TLS and loopback included.
//
//	make build
//	go run ./internal/bench/lists -machines 10000
//	go run ./internal/bench/lists -machines 10000 -database postgres:///bench?host=/run/postgresql
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"berth/api"
	"berth/internal/bench"
)

type options struct {
	berth    string
	machines int
	requests int
	database string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lists:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	var o options
	flags := flag.NewFlagSet("lists", flag.ContinueOnError)
	flags.StringVar(&o.berth, "berth", "build/berth", "the `program`")
	flags.IntVar(&o.machines, "machines", 10000, "how many machines are on record")
	flags.IntVar(&o.requests, "requests", 200, "how often each list is asked for")
	flags.StringVar(&o.database, "database", "", "an empty PostgreSQL database (postgres://…) to use instead of SQLite")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.berth, err = filepath.Abs(o.berth); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "berth-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s := &subject{options: o, dir: dir}
	if err := s.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	return s.measure(ctx, out)
}

// subject is the server that is measured.
type subject struct {
	options
	dir    string
	server *exec.Cmd
	url    string
	token  string
	http   *http.Client
}

func (s *subject) record() []string {
	args := []string{"--data", filepath.Join(s.dir, "state"), "--key", filepath.Join(s.dir, "state.key")}
	if s.database != "" {
		args = append(args, "--database", s.database)
	}
	return args
}

// start fills a record and serves it on a loopback address.
func (s *subject) start(ctx context.Context) error {
	seed := exec.CommandContext(ctx, s.berth, append([]string{"dev", "seed", "--machines", strconv.Itoa(s.machines)}, s.record()...)...)
	if text, err := seed.CombinedOutput(); err != nil {
		return fmt.Errorf("fill the record: %w\n%s", err, text)
	}
	people, err := freePort(ctx)
	if err != nil {
		return err
	}
	machines, err := freePort(ctx)
	if err != nil {
		return err
	}
	s.server = exec.CommandContext(context.WithoutCancel(ctx), s.berth, append([]string{"serve", "--http", people, "--boot", machines, "--tftp", "off", "--dhcp", "off"}, s.record()...)...)
	s.server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	log, err := os.Create(filepath.Join(s.dir, "berth.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.server.Stdout, s.server.Stderr = log, log
	if err := s.server.Start(); err != nil {
		return err
	}
	s.url = "https://" + people
	// It is our own child on a loopback address.
	s.http = &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	if err := s.ready(ctx); err != nil {
		return errors.Join(err, s.stop())
	}
	return nil
}

// freePort finds a port that nobody has right now.
func freePort(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (s *subject) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if _, err := s.get(ctx, "/readyz"); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			text, _ := os.ReadFile(filepath.Join(s.dir, "berth.log"))
			return fmt.Errorf("the server was not ready: %w\n%s", ctx.Err(), text)
		case <-time.After(100 * time.Millisecond):
		}
	}
	socket := &api.Client{URL: "http+unix://" + filepath.Join(s.dir, "state", "berth.sock")}
	made, err := socket.CreateToken(ctx, api.TokenRequest{Name: "bench", Level: "viewer"})
	if err == nil {
		s.token = made.Token
	}
	return err
}

func (s *subject) stop() error {
	err := s.server.Process.Signal(syscall.SIGTERM)
	return errors.Join(err, s.server.Wait())
}

// open asks once.
func (s *subject) open(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return nil, err
	}
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return resp, nil
}

// get asks once and returns how long the last byte took.
func (s *subject) get(ctx context.Context, path string) (time.Duration, error) {
	began := time.Now()
	resp, err := s.open(ctx, path)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return time.Since(began), err
}

// lists are what people and programs look at most, and what could be slow.
var lists = []string{
	"/machines", "/machines?provision_state=deployed&sort=-seen_at", "/machines?q=node-0042", "/machines?limit=1000", "/",
	"/api/v1/machines", "/api/v1/machines?q=node-0042", "/api/v1/machines?limit=1000", "/api/v1/components",
}

// idleTime is how long the server is left alone first: it asks the BMCs on record, and that is not the lists' doing.
const idleTime = 10 * time.Second

// idle is the share of one processor that the server takes when nobody asks for anything.
func (s *subject) idle(ctx context.Context) (float64, error) {
	before, err := spent(s.server.Process.Pid)
	if err != nil {
		return 0, err
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(idleTime):
	}
	after, err := spent(s.server.Process.Pid)
	return (after - before).Seconds() / idleTime.Seconds(), err
}

func (s *subject) measure(ctx context.Context, out io.Writer) error {
	idle, err := s.idle(ctx)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, path := range lists {
		row, err := s.list(ctx, path)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	name := "SQLite"
	if s.database != "" {
		name = "PostgreSQL"
	}
	fmt.Fprintf(out, "%d machines on %s, one request at a time, %d of each; load %s, of which the server's own work was %.2f before\n",
		s.machines, name, s.requests, bench.Load(), idle)
	return bench.Table(out, "list | server mean ms | within 30 ms | client median ms | client p99 ms", rows...)
}

// list asks for one list again and again.
func (s *subject) list(ctx context.Context, path string) ([]string, error) {
	if _, err := s.get(ctx, path); err != nil { // the first one fills caches and is not counted
		return nil, err
	}
	before, err := s.served(ctx)
	if err != nil {
		return nil, err
	}
	var all []time.Duration
	for range s.requests {
		took, err := s.get(ctx, path)
		if err != nil {
			return nil, err
		}
		all = append(all, took)
	}
	after, err := s.served(ctx)
	if err != nil {
		return nil, err
	}
	n := after.count - before.count
	return []string{path, fmt.Sprintf("%.1f", 1000*(after.seconds-before.seconds)/n), fmt.Sprintf("%.0f %%", 100*(after.quick-before.quick)/n),
		bench.Millis(bench.Median(all)), bench.Millis(bench.Percentile(all, 99))}, nil
}

// spent is the user and system time of a process (proc(5), /proc/pid/stat, fields 14 and 15, in hundredths of a second).
func spent(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is a name in parentheses, which may hold anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
