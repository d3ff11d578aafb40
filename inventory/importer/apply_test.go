package importer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"berth/inventory"
	"berth/inventory/importer/sample"
	"berth/inventory/store"
)

// failing is a record that stops working after so many edits: what a crash leaves behind is the same.
type failing struct {
	*store.Store
	left int
}

var errCrash = errors.New("the power is gone")

func (f *failing) Edit(ctx context.Context, req inventory.Request, fn func(tx inventory.Tx) error) error {
	if f.left--; f.left < 0 {
		return errCrash
	}
	return f.Store.Edit(ctx, req, fn)
}

func sampleAssets(t testing.TB, rows int) Source {
	t.Helper()
	var buf bytes.Buffer
	if err := sample.Assets(&buf, rows, 1); err != nil {
		t.Fatal(err)
	}
	return Bytes("assets.csv", buf.Bytes())
}

// TestCrashBetweenSlices ends an import at every slice: what is there is whole slices and the run's own count, the same import goes on
// under the same request, and undoing the request takes everything back.
func TestCrashBetweenSlices(t *testing.T) {
	both(t, func(t *testing.T, s *store.Store) {
		src, opt := sampleAssets(t, 200), Options{Noun: "asset"}
		var request inventory.UID
		for edits := 1; edits <= 3; edits++ { // the run itself, then so many slices
			im := &Importer{Record: &failing{s, edits}, Silent: time.Nanosecond}
			report, err := im.Apply(t.Context(), inventory.NewRequest(anna, "moving in"), check(t, s, src, opt), "")
			if !errors.Is(err, errCrash) {
				t.Fatalf("after %d edits: %v", edits, err)
			}
			run := all[inventory.ImportRun](t, s)
			if len(run) != 1 {
				t.Fatalf("%d runs", len(run))
			}
			if n := len(all[inventory.Asset](t, s)); n != run[0].Done || run[0].State != "running" || run[0].Created != n {
				t.Errorf("%d assets are there, and the run says %+v", n, run[0])
			}
			if request == "" {
				request = report.Request
			}
			if report.Request != request {
				t.Errorf("it went on under the request %s, not %s", report.Request, request)
			}
		}
		im := &Importer{Record: s, Silent: time.Nanosecond}
		report, err := im.Apply(t.Context(), inventory.NewRequest(anna, "moving in"), check(t, s, src, opt), "")
		if err != nil {
			t.Fatal(err)
		}
		run := all[inventory.ImportRun](t, s)[0]
		if run.State != "done" || run.Done != 200 || run.Total != 200 || run.Created != 200 || report.Request != request {
			t.Errorf("at the end the run says %+v", run)
		}
		again(t, s, src, opt)
		if err := s.Undo(t.Context(), inventory.NewRequest(anna, ""), request); err != nil {
			t.Fatal(err)
		}
		if n := len(all[inventory.Asset](t, s)); n != 0 {
			t.Errorf("%d assets are left after the undo", n)
		}
	})
}

// TestStopped stops an import as a shutdown does; the run says so.
func TestStopped(t *testing.T) {
	s := sqlite(t)
	ctx, cancel := context.WithCancel(t.Context())
	im := &Importer{Record: s}
	p := check(t, s, sampleAssets(t, 200), Options{Noun: "asset"})
	im.Now = func() time.Time { // asked after each slice
		if len(all[inventory.Asset](t, s)) > 0 {
			cancel()
		}
		return time.Now()
	}
	if _, err := im.Apply(ctx, inventory.NewRequest(anna, ""), p, ""); !errors.Is(err, context.Canceled) {
		t.Fatalf("the import ended with %v", err)
	}
	if run := all[inventory.ImportRun](t, s)[0]; run.State != "failed" || run.Problem == "" || run.Done == 0 || run.Done == 200 {
		t.Errorf("the run says %+v", run)
	}
}

// TestUnderWay refuses the same import while it is at work.
func TestUnderWay(t *testing.T) {
	s := sqlite(t)
	src, opt := sampleAssets(t, 60), Options{Noun: "asset"}
	p := check(t, s, src, opt)
	im := &Importer{Record: s}
	run, err := im.begin(t.Context(), inventory.NewRequest(anna, ""), p, "")
	if err != nil {
		t.Fatal(err)
	}
	var conflict *inventory.Conflict
	if _, err := im.Apply(t.Context(), inventory.NewRequest(anna, ""), p, ""); !errors.As(err, &conflict) || conflict.UID != run.UID {
		t.Errorf("a second one at the same time: %v", err)
	}
}

// TestRace lets somebody else take a name and a place between the look and the import.
func TestRace(t *testing.T) {
	s := sqlite(t)
	head := "name,role,manufacturer,device_type,site,rack,position,face,status\n"
	apply(t, s, Bytes("d.csv", []byte(head+"first,x,Dell,R640,fra1,r1,1,front,active\n")), Options{})
	for what, text := range map[string]string{"place": "other,x,Dell,R640,fra1,r1,3,front,active\n", "name": "late,x,Dell,R640,fra1,r1,7,front,active\n"} {
		p := check(t, s, Bytes("d.csv", []byte(head+"late,x,Dell,R640,fra1,r1,3,front,active\n")), Options{})
		other := apply(t, s, Bytes("d.csv", []byte(head+text)), Options{})
		im := &Importer{Record: s}
		report, err := im.Apply(t.Context(), inventory.NewRequest(anna, ""), p, "")
		var conflict *inventory.Conflict
		if !errors.As(err, &conflict) {
			t.Errorf("the %s was taken, and the import said %v", what, err)
		}
		if run, err := inventory.Get[inventory.ImportRun](t.Context(), s, string(report.Run)); err != nil || run.State != "failed" {
			t.Errorf("the run says %+v, %v", run, err)
		}
		if err := s.Undo(t.Context(), inventory.NewRequest(anna, ""), other.Request); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRooms lets one edit move devices about: each step sees those before it.
func TestRooms(t *testing.T) {
	both(t, func(t *testing.T, s *store.Store) {
		head := "name,role,manufacturer,device_type,site,rack,position,face,status\n"
		apply(t, s, Bytes("d.csv", []byte(head+"a,x,Dell,R640,fra1,r1,1,front,active\nb,x,Dell,R640,fra1,r2,1,front,active\n")), Options{})
		ctx, rooms := inventory.WithRooms(t.Context())
		move := func(tx inventory.Tx, name string, rack inventory.UID, position float64) error {
			d, err := inventory.TxGet[inventory.Device](tx, name)
			if err != nil {
				return err
			}
			d.Rack, d.Position = rack, &position
			return tx.Update(d)
		}
		a, err := inventory.Get[inventory.Device](t.Context(), s, "a")
		if err != nil {
			t.Fatal(err)
		}
		b, err := inventory.Get[inventory.Device](t.Context(), s, "b")
		if err != nil {
			t.Fatal(err)
		}
		err = s.Edit(ctx, inventory.NewRequest(anna, ""), func(tx inventory.Tx) error {
			rooms.Forget()
			var conflict *inventory.Conflict
			if err := move(tx, "a", b.Rack, 1); !errors.As(err, &conflict) {
				return fmt.Errorf("a was put onto b: %w", err)
			}
			if err := move(tx, "a", b.Rack, 2); err != nil {
				return err
			}
			if err := move(tx, "b", b.Rack, 2); !errors.As(err, &conflict) {
				return fmt.Errorf("b was put onto a: %w", err)
			}
			if err := move(tx, "b", a.Rack, 1); err != nil {
				return fmt.Errorf("the place that a left is not free: %w", err)
			}
			return move(tx, "a", b.Rack, 1)
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// TestWritersMeanwhile lets others write while an import is at work. Nobody is refused.
func TestWritersMeanwhile(t *testing.T) {
	both(t, func(t *testing.T, s *store.Store) {
		p := check(t, s, sampleAssets(t, 150), Options{Noun: "asset"})
		ctx, cancel := context.WithCancel(t.Context())
		var writers sync.WaitGroup
		for i := range 20 {
			writers.Go(func() {
				for j := 0; ctx.Err() == nil && j < 15; j++ {
					err := s.Edit(context.WithoutCancel(ctx), inventory.NewRequest(anna, ""), func(tx inventory.Tx) error {
						return tx.Create(&inventory.Asset{AssetTag: fmt.Sprintf("W%d-%d", i, j)})
					})
					if err != nil {
						t.Errorf("writer %d: %v", i, err)
					}
				}
			})
		}
		_, err := (&Importer{Record: s, Slice: 5 * time.Millisecond}).Apply(t.Context(), inventory.NewRequest(anna, ""), p, "")
		cancel()
		writers.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if run := all[inventory.ImportRun](t, s)[0]; run.State != "done" || run.Done != 150 {
			t.Errorf("the run says %+v", run)
		}
	})
}

func TestNextSize(t *testing.T) {
	size, sizes := firstSlice, []int{}
	for _, took := range []time.Duration{1, 1, 1, 1, 1, 1, 1, 300, 300, 300, 300, 300, 300, 300, 300} {
		size = nextSize(size, took*time.Millisecond, 100*time.Millisecond)
		sizes = append(sizes, size)
	}
	if want := []int{75, 112, 168, 252, 378, 500, 500, 333, 222, 148, 98, 65, 43, 28, 25}; !slices.Equal(sizes, want) {
		t.Errorf("%v", sizes)
	}
}
