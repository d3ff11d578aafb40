// Command lists measures the lists of a large record, over the API and as pages, at one request at a time: the time the server takes by
// its own metrics, and the time a client waits, TLS and loopback included.
//
//	make build
//	go run ./internal/bench/lists -machines 10000
//	go run ./internal/bench/lists -machines 10000 -database postgres:///bench?host=/run/postgresql
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

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
	s := &subject{o, &bench.Server{Berth: o.berth, Dir: dir, DSN: o.database, Level: "viewer", Patience: time.Minute}}
	if _, err := s.Run(ctx, "dev", "seed", "--machines", strconv.Itoa(o.machines)); err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	return s.measure(ctx, out)
}

// subject is the server that is measured.
type subject struct {
	options
	*bench.Server
}

// get asks once and returns how long the last byte took.
func (s *subject) get(ctx context.Context, path string) (time.Duration, error) {
	_, took, err := s.Get(ctx, path)
	return took, err
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
	before, err := s.Spent()
	if err != nil {
		return 0, err
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(idleTime):
	}
	after, err := s.Spent()
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
