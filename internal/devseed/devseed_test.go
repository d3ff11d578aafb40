package devseed

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"berth/internal/pgtest"
	"berth/inventory"
	"berth/inventory/store"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func open(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), store.Options{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
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

// contents writes everything in a record, but for what a store adds itself.
func contents(t *testing.T, s *store.Store) map[inventory.UID]string {
	t.Helper()
	out := map[inventory.UID]string{}
	for _, n := range inventory.Nouns {
		if n.Name == "change" {
			continue
		}
		q := inventory.Query{Limit: inventory.MaxPage}
		for {
			page, err := s.List(context.Background(), n, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range page.Items {
				head := item.Head()
				head.CreatedAt, head.UpdatedAt = time.Time{}, time.Time{}
				data, err := json.Marshal(item)
				if err != nil {
					t.Fatal(err)
				}
				out[head.UID] = n.Name + " " + string(data)
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
	}
	return out
}

// TestSameSeedSameRecord: the seed decides everything; another seed makes another record.
func TestSameSeedSameRecord(t *testing.T) {
	var records []map[inventory.UID]string
	for _, seed := range []int64{7, 7, 8} {
		s := open(t)
		if err := Seed(context.Background(), s, 120, seed); err != nil {
			t.Fatal(err)
		}
		records = append(records, contents(t, s))
	}
	for uid, text := range records[0] {
		if records[1][uid] != text {
			t.Fatalf("the same seed made\n%s\nand\n%s", text, records[1][uid])
		}
		if _, ok := records[2][uid]; ok {
			t.Fatalf("another seed made the same %s", text)
		}
	}
	if len(records[0]) != len(records[1]) || len(records[0]) < 120*20 {
		t.Errorf("%d and %d objects", len(records[0]), len(records[1]))
	}
}

// TestSeedIsWhole: there is something of every noun a page shows, machines in every state, and nothing that would make a server act.
func TestSeedIsWhole(t *testing.T) {
	s := open(t)
	if err := Seed(context.Background(), s, 300, 1); err != nil {
		t.Fatal(err)
	}
	for _, n := range inventory.Nouns {
		page, err := s.List(context.Background(), n, inventory.Query{Limit: 1, Count: true})
		if err != nil {
			t.Fatal(err)
		}
		switch n.Name {
		case "account", "token", "session", "setting", "boot-attempt", "webhook", "webhook-delivery", "notification", "import-run":
		case "machine":
			if page.Total != 300 {
				t.Errorf("%d machines", page.Total)
			}
		default:
			if page.Total == 0 {
				t.Errorf("there is no %s", n.Name)
			}
		}
	}
	for _, state := range inventory.States {
		machines, err := inventory.List[inventory.Device](context.Background(), s, inventory.Query{Filters: []inventory.Filter{inventory.Is("provision_state", state)}})
		if err != nil || len(machines) == 0 {
			t.Errorf("no machine is %s (%v)", state, err)
		}
	}
	if op, err := s.Claim(context.Background(), "a server", time.Minute); err != nil || op != nil {
		t.Errorf("a server would begin to work: %+v, %v", op, err)
	}
	if err := Seed(context.Background(), s, 10, 1); err == nil {
		t.Error("a second seeding was laid over the first")
	}
	if err := Seed(context.Background(), s, -1, 1); err == nil {
		t.Error("minus one machine")
	}
}

// TestSeedMakesTheNumbersAskedFor: a crowd of assets that are not all machines, each part of which lies somewhere.
func TestSeedMakesTheNumbersAskedFor(t *testing.T) {
	s := open(t)
	size := Size{Machines: 30, Assets: 500, Components: 3000}
	if err := SeedAll(context.Background(), s, size, 1); err != nil {
		t.Fatal(err)
	}
	count := func(noun string, filters ...inventory.Filter) int64 {
		t.Helper()
		n, _ := inventory.NounOf(noun)
		page, err := s.List(context.Background(), n, inventory.Query{Limit: 1, Count: true, Filters: filters})
		if err != nil {
			t.Fatal(err)
		}
		return page.Total
	}
	empty := func(field string) inventory.Filter {
		return inventory.Filter{Field: field, Op: inventory.OpEmpty, Value: "true"}
	}
	for what, got := range map[string][2]int64{
		"machines": {count("machine"), 30}, "assets": {count("asset"), 500}, "components": {count("component"), 3000},
		"components that are nowhere": {count("component", empty("device"), empty("parcel"), empty("location")), 0},
		"assets in shipments":         {count("shipment-item"), 95},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %d, want %d", what, got[0], got[1])
		}
	}
	if shipments := count("shipment"); shipments < 5 || shipments > 8 {
		t.Errorf("%d shipments", shipments)
	}
	if err := SeedAll(context.Background(), s, Size{Assets: most + 1}, 1); err == nil {
		t.Error("too large a crowd")
	}
}

// BenchmarkSeed is how long a crowd takes: go test -bench Seed -benchtime 1x.
func BenchmarkSeed(b *testing.B) {
	for b.Loop() {
		if err := Seed(context.Background(), open(b), 1000, 1); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkList is what pages of 50 out of 10,000 machines cost, on both databases: wall time, and processor time of this process alone.
func BenchmarkList(b *testing.B) {
	databases := map[string]func(b *testing.B) *store.Store{
		"sqlite": func(b *testing.B) *store.Store { return open(b) },
		"postgres": func(b *testing.B) *store.Store {
			s, err := store.Open(context.Background(), store.Options{DSN: pgtest.Database(b)})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = s.Close() })
			return s
		},
	}
	queries := map[string]inventory.Query{
		"page":   {},
		"count":  {Count: true},
		"state":  {Filters: []inventory.Filter{inventory.Is("provision_state", inventory.StateReady)}},
		"search": {Search: "kube-09"},
	}
	machine, _ := inventory.NounOf("machine")
	for name, open := range databases {
		b.Run(name, func(b *testing.B) {
			s := open(b)
			start := time.Now()
			if err := Seed(context.Background(), s, 10_000, 1); err != nil {
				b.Fatal(err)
			}
			b.Logf("10,000 machines were seeded in %v", time.Since(start).Round(time.Second))
			for what, q := range queries {
				b.Run(what, func(b *testing.B) { benchmarkList(b, s, machine, q) })
			}
		})
	}
}

func benchmarkList(b *testing.B, s *store.Store, n *inventory.Noun, q inventory.Query) {
	before := processorTime(b)
	for b.Loop() {
		if _, err := s.List(context.Background(), n, q); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
}

func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
