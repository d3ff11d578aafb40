// Command record measures the bars of a large record, 100,000 assets with 1,000,000 components, on SQLite and on PostgreSQL: lists, pages
// a thousand pages on, search, drawings, imports with people writing meanwhile, and memory. It seeds both databases, starts the built
// server on each, and prints one table.
//
//	make build
//	go run ./internal/bench/record
//	go run ./internal/bench/record -assets 10000 -only sqlite    # a quick look
//
// PostgreSQL is a cluster of its own in a temporary directory.
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
	"berth/internal/pgtest"
)

type options struct {
	berth    string
	assets   int
	requests int
	only     string
	keep     string
	verbose  bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	var o options
	flags := flag.NewFlagSet("record", flag.ContinueOnError)
	flags.StringVar(&o.berth, "berth", "build/berth", "the `program`")
	flags.IntVar(&o.assets, "assets", 100_000, "how many assets are on record; components are ten times as many")
	flags.IntVar(&o.requests, "requests", 40, "how often each thing is asked for")
	flags.StringVar(&o.only, "only", "", "sqlite or postgres: measure this one alone")
	flags.StringVar(&o.keep, "keep", "", "keep SQLite's state in this `directory`, and use what is there instead of seeding")
	flags.BoolVar(&o.verbose, "v", false, "print each list that was measured")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.berth, err = filepath.Abs(o.berth); err != nil {
		return err
	}
	var columns []column
	for _, database := range []string{"sqlite", "postgres"} {
		if o.only != "" && o.only != database {
			continue
		}
		c, err := o.column(ctx, out, database)
		if err != nil {
			return fmt.Errorf("on %s: %w", database, err)
		}
		columns = append(columns, c)
	}
	if len(columns) == 0 {
		return fmt.Errorf("there is no database %q", o.only)
	}
	fmt.Fprintf(out, "\n%d assets with %d components, %d requests of each kind one at a time; load %s\n\n", o.assets, 10*o.assets, o.requests, bench.Load())
	return table(out, columns)
}

// column is what was measured on one database, by the name of the bar.
type column struct {
	database string
	figures  map[string]string
}

// notMeasured stands where this build cannot do what would be measured.
const notMeasured = "not measured"

// bars are the rows of the table: what is measured and what it may be at most.
var bars = []struct{ name, limit string }{
	{"seeding", ""},
	{"list pages, CPU, worst noun (ms)", "10"},
	{"list pages, p95, worst noun (ms)", "50"},
	{"overview, CPU (ms)", ""},
	{"list pages in every order, CPU, worst (ms)", "10"},
	{"API lists, CPU, worst noun (ms)", "10"},
	{"API lists, p95, worst noun (ms)", "50"},
	{"API lists in every order, CPU, worst (ms)", "10"},
	{"API lists 1000 pages on, CPU, worst (ms)", "10"},
	{"API lists 1000 pages on, p95, worst (ms)", "50"},
	{"list pages 1000 pages on, CPU, worst (ms)", "10"},
	{"first 20 search hits, median, worst text (ms)", "30"},
	{"first 20 hits of the commonest text, median (ms)", "30"},
	{"search page, median, worst text (ms)", ""},
	{"elevation of 48 U as SVG, CPU (ms)", "3"},
	{"wall of 20 racks as SVG, CPU (ms)", "30"},
	{"server's RSS after lists, search and drawings (MB)", "150"},
	{"import of 10,000 rows of CSV (s)", "10"},
	{"its dry run (s)", "3"},
	{"3,000 device types (s)", "10"},
	{"the same again (s)", "2"},
	{"20 writers meanwhile, p99 (ms)", "500"},
	{"writers' errors", "0"},
	{"a minute after the imports (MB)", ""},
}

func table(out io.Writer, columns []column) error {
	head := "measured | at most"
	for _, c := range columns {
		head += " | " + c.database
	}
	var rows [][]string
	for _, bar := range bars {
		row := []string{bar.name, bar.limit}
		for _, c := range columns {
			figure, ok := c.figures[bar.name]
			if !ok {
				figure = notMeasured
			}
			row = append(row, figure)
		}
		rows = append(rows, row)
	}
	return bench.Table(out, head, rows...)
}

// column seeds a database, serves it and measures everything.
func (o options) column(ctx context.Context, out io.Writer, database string) (c column, err error) {
	c = column{database, map[string]string{}}
	dir := o.keep
	if dir == "" || database != "sqlite" {
		if dir, err = os.MkdirTemp("", "berth-record-"); err != nil {
			return c, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	s := &bench.Server{Berth: o.berth, Dir: dir, Level: "admin", Patience: 15 * time.Minute}
	if database == "postgres" {
		cluster, err := pgtest.Start()
		if err != nil {
			return c, err
		}
		defer func() { err = errors.Join(err, cluster.Stop()) }()
		if s.DSN, err = cluster.Database(); err != nil {
			return c, err
		}
	}
	took, err := o.seed(ctx, s)
	if err != nil {
		return c, err
	}
	c.figures["seeding"] = took
	fmt.Fprintf(out, "%s: seeded in %s\n", database, took)
	if err := s.Start(ctx); err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	m := &measurement{Server: s, options: o, out: out, figures: c.figures}
	return c, m.all(ctx)
}

// seed fills the record and says how long that took, and how much memory.
func (o options) seed(ctx context.Context, s *bench.Server) (string, error) {
	if _, err := os.Stat(filepath.Join(s.Dir, "state", "berth.db")); err == nil {
		return "before", nil
	}
	began := time.Now()
	memory, err := s.Run(ctx, "dev", "seed", "--assets", strconv.Itoa(o.assets), "--components", strconv.Itoa(10*o.assets))
	return fmt.Sprintf("%.0f s, %d MB", time.Since(began).Seconds(), memory>>20), err
}
