package importer

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/internal/pgtest"
	"berth/inventory"
	"berth/inventory/importer/sample"
	"berth/inventory/store"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

var anna = inventory.Actor{Name: "anna", Level: inventory.LevelAdmin}

// both runs a test on both databases.
func both(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Helper()
	for name, opt := range map[string]func() store.Options{
		"sqlite":   func() store.Options { return store.Options{Dir: t.TempDir()} },
		"postgres": func() store.Options { return store.Options{DSN: pgtest.Database(t)} },
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t, opt())) })
	}
}

func open(t testing.TB, opt store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func sqlite(t testing.TB) *store.Store { return open(t, store.Options{Dir: t.TempDir()}) }

// check plans an import that can be read.
func check(t testing.TB, s *store.Store, src Source, opt Options) *Plan {
	t.Helper()
	p, err := Check(context.Background(), s, time.Now(), anna, src, opt)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// apply imports what must have no errors.
func apply(t testing.TB, s *store.Store, src Source, opt Options) Report {
	t.Helper()
	p := check(t, s, src, opt)
	for _, e := range p.report.Errors {
		t.Errorf("%s row %d, %s %q: %s", e.File, e.Row, e.Column, e.Value, e.Why)
	}
	if t.Failed() {
		t.FailNow()
	}
	im := &Importer{Record: s}
	report, err := im.Apply(context.Background(), inventory.NewRequest(anna, "moving in"), p, "")
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// again sees that a repeated import changes nothing.
func again(t testing.TB, s *store.Store, src Source, opt Options) {
	t.Helper()
	p := check(t, s, src, opt)
	if r := p.report; r.Created+r.Updated != 0 || r.Failed() {
		t.Errorf("the second run would create %d and change %d: %+v %+v", r.Created, r.Updated, r.Preview, r.Errors)
	}
}

// TestSamples imports what package sample makes, twice, on both databases.
func TestSamples(t *testing.T) {
	both(t, func(t *testing.T, s *store.Store) {
		var assets, devices bytes.Buffer
		if err := errors.Join(sample.Assets(&assets, 300, 1), sample.Devices(&devices, 120, 1)); err != nil {
			t.Fatal(err)
		}
		plain := Bytes("assets.csv", assets.Bytes())
		if r := apply(t, s, plain, Options{}); r.Created != 300 || r.Format != "csv" {
			t.Errorf("of 300 assets %d were created, as %s", r.Created, r.Format)
		}
		again(t, s, plain, Options{})
		src := Bytes("export.csv", devices.Bytes())
		r := apply(t, s, src, Options{})
		want := []NounCount{{"tag", 2, 0, 0}, {"site", 2, 0, 0}, {"manufacturer", 5, 0, 0}, {"rack", 3, 0, 0}, {"device-type", 17, 0, 0}, {"asset", 120, 0, 0}, {"device", 120, 0, 0}}
		if got := r.ByNoun[:len(want)]; !slices.Equal(got, want) || r.Format != "netbox" {
			t.Errorf("as %s: %v", r.Format, got)
		}
		again(t, s, src, Options{})
		d, err := inventory.Get[inventory.Device](t.Context(), s, "node-00043")
		if err != nil {
			t.Fatal(err)
		}
		if d.Position == nil || *d.Position != 1 || d.Rack == "" || d.Site == "" || d.Asset == "" || d.Face != "front" || !strings.Contains(d.Notes, "made-up, row 43") {
			t.Errorf("node-00043 is %+v", d)
		}
	})
}
