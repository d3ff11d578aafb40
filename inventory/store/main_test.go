package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/internal/pgtest"
	"berth/inventory"
	"berth/provision"
)

// The store is what the engine wants.
var _ provision.Ledger = (*Store)(nil)

func TestMain(m *testing.M) {
	if dir := os.Getenv(editorEnv); dir != "" {
		runEditor(dir) // the child of TestKill
		return
	}
	os.Exit(pgtest.Run(m))
}

// both runs a test on SQLite and on PostgreSQL. The options name an empty record, which may be opened again and again.
func both(t *testing.T, test func(t *testing.T, opt Options)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, Options{Dir: t.TempDir()}) })
	t.Run("postgres", func(t *testing.T) { test(t, Options{DSN: pgtest.Database(t)}) })
}

func openTest(t testing.TB, opt Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), opt)
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

// anna is a person, who may do everything.
var anna = inventory.Actor{Name: "anna", Level: inventory.LevelAdmin}

// mustEdit makes an edit of anna's that must work.
func mustEdit(t testing.TB, s *Store, fn func(tx inventory.Tx) error) inventory.UID {
	t.Helper()
	req := inventory.NewRequest(anna, "test")
	if err := s.Edit(context.Background(), req, fn); err != nil {
		t.Fatal(err)
	}
	return req.ID
}

func create[T inventory.Object](t testing.TB, s *Store, obj T) T {
	t.Helper()
	mustEdit(t, s, func(tx inventory.Tx) error { return tx.Create(obj) })
	return obj
}

func find[T any](t testing.TB, s *Store, ref string) *T {
	t.Helper()
	obj, err := inventory.Get[T](context.Background(), s, ref)
	if err != nil {
		t.Fatal(err)
	}
	return obj
}

// clock is a clock that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// filled makes an object of a noun with a value in every field that a person or machine may set; number makes it differ from others.
// References are left empty.
func filled(n *inventory.Noun, number int) inventory.Object {
	obj := n.New()
	for _, f := range n.Fields {
		if p := f.Pointer(obj); f.Kind != inventory.KindRef && f.Kind != inventory.KindSecret {
			fill(f, reflect.ValueOf(p).Elem(), number)
		}
	}
	*obj.Head() = inventory.Meta{}
	switch o := obj.(type) {
	case *inventory.Subnet:
		o.Prefix, o.Pools, o.Gateway = "10.77.0.0/16", []string{"10.77.0.100-10.77.0.200"}, "10.77.0.1"
	case *inventory.Device:
		o.Position, o.Face, o.Slot, o.Side = nil, "", 0, ""
	case *inventory.Component:
		o.Kind = "disk"
	case *inventory.Rack:
		o.Width = 19
	case *inventory.RackType:
		o.Width = 19
	case *inventory.RackReservation:
		o.FromUnit = 110 // within every rack that is made here
	case *inventory.PowerFeed:
		o.Phase = "single-phase"
	case *inventory.Cable:
		o.Status = "planned" // one without ends
	case *inventory.Move:
		o.ToPosition, o.ToFace, o.ToSlot = nil, "", 0
	case *inventory.BMC:
		o.Kind = "redfish"
	case *inventory.Contact:
		o.Forgotten = false // nothing of a person who was forgotten can be undone
	case *inventory.CustodyEvent:
		o.Sequence, o.PreviousHash, o.Hash = 0, "", "" // the chain is not ours to write
	}
	return obj
}

// wellFormed are values for the fields whose rules ask for a form.
var wellFormed = map[string]func(number int) any{
	"name":              func(i int) any { return fmt.Sprintf("name-%d", i) },
	"slug":              func(i int) any { return fmt.Sprintf("slug-%d", i) },
	"system_uuid":       func(i int) any { return fmt.Sprintf("4c4c4544-0031-3410-8052-%012x", i) },
	"wwn":               func(i int) any { return fmt.Sprintf("naa.5000c500%08x", i) },
	"mac":               func(i int) any { return fmt.Sprintf("52:54:00:%02x:%02x:%02x", i>>16&255, i>>8&255, i&255) },
	"address":           func(i int) any { return fmt.Sprintf("10.1.%d.%d", i>>8&255, i&255) },
	"prefix":            func(i int) any { return fmt.Sprintf("10.%d.%d.0/24", i>>8&255, i&255) },
	"color":             func(int) any { return "aa1409" },
	"time_zone":         func(int) any { return "Europe/Berlin" },
	"pin":               func(i int) any { return fmt.Sprintf("sha256:%064x", i) },
	"dns":               func(int) any { return []string{"9.9.9.9", "2620:fe::fe"} },
	"ntp":               func(int) any { return []string{"pool.ntp.org"} },
	"domain":            func(int) any { return "example.org" },
	"boot_url":          func(int) any { return "http://10.77.0.1:8080" },
	"digest":            func(int) any { return "sha256:" + strings.Repeat("cd", 32) },
	"boot_modes":        func(int) any { return []string{"uefi"} },
	"hostname_template": func(int) any { return "{name}.example.org" },
	"user":              func(int) any { return "debian" },
	"ssh_keys":          func(int) any { return []string{"ssh-ed25519 AAAAC3Nza anna"} },
	"user_data":         func(i int) any { return fmt.Sprintf("#cloud-config\npackages: [vim%d]\n", i) },
	"email":             func(int) any { return "anna@example.org" },
	"dns_name":          func(int) any { return "node.example.org" },
	"noun_names":        func(int) any { return []string{"device", "asset"} },
	"actions":           func(int) any { return []string{"create", "update"} },
	"conditions":        func(int) any { return "status = failed\nbefore.status != failed" },
	"currency":          func(int) any { return "EUR" },

	"converted_currency": func(int) any { return "USD" },
	"country":            func(int) any { return "DE" },
	"fiscal_year_start":  func(int) any { return 4 },
	"roles":              func(int) any { return []string{"donor", "carrier"} },
	"url":                func(int) any { return "https://example.org/{tracking_code}" },
	"tracking_url":       func(int) any { return "https://example.org/track" },
	"header":             func(int) any { return "DHL-API-Key" },
}

func fill(f inventory.Field, v reflect.Value, number int) {
	if form, ok := wellFormed[f.Name]; ok {
		if x := reflect.ValueOf(form(number)); x.CanConvert(v.Type()) {
			v.Set(x.Convert(v.Type()))
			return
		}
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch f.Kind {
	case inventory.KindText:
		v.SetString(fmt.Sprintf("%s ä'\"%%_\\ 漢字 %d", f.Name, number))
	case inventory.KindEnum:
		v.SetString(f.Values[(number+len(f.Values)-1)%len(f.Values)])
	case inventory.KindInt:
		v.SetInt(int64(80 + number%20))
	case inventory.KindFloat:
		v.SetFloat(2.5)
	case inventory.KindBool:
		v.SetBool(number%2 == 1)
	case inventory.KindTime:
		v.Set(reflect.ValueOf(time.Date(2026, 3, 29, 1, 59, 59, 123456000, time.UTC).Add(time.Duration(number) * time.Millisecond)))
	case inventory.KindDate:
		v.SetString(string(inventory.Date("2026-02-27").AddDays(number % 1000)))
	case inventory.KindList:
		v.Set(reflect.ValueOf([]string{"one, two", "drei ä"}))
	case inventory.KindData:
		fillData(v)
	}
}

func fillData(v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *map[string]string:
		*p = map[string]string{"cores": "8", "ä": "ö"}
	case *inventory.Facts:
		yes := true
		*p = inventory.Facts{Source: inventory.SourceAgent, ObservedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
			System: inventory.SystemFacts{Serial: "X\x00Y"}, NICs: []inventory.NICFacts{{MAC: "52:54:00:00:00:01", Link: &yes}}}
	default:
		v.SetBytes([]byte(`{"a":[1,"ä"]}`))
	}
}

// asConflict and asInvalid tell what kind of refusal an error is.
func asConflict(err error) *inventory.Conflict {
	var c *inventory.Conflict
	if errors.As(err, &c) {
		return c
	}
	return nil
}

func asInvalid(err error) *inventory.Invalid {
	var i *inventory.Invalid
	if errors.As(err, &i) {
		return i
	}
	return nil
}
