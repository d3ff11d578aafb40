package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"berth/api"
	"berth/inventory"
)

// A server that is killed at any moment of a deployment must come to the right ending: the machine is deployed and its disk carries the
// image, or it is quarantined with a reason and its disk does not boot half of it. On the way no machine has two owners, and nothing is
// written without an operation that is alive.

// victim is a machine that is deployed again and again, with two images in turn, while things are killed. Its second disk carries
// somebody's data, which must survive all of it.
type victim struct {
	*machine
	images  [2]*diskImage
	runs    int
	before  *diskImage // the image on the first disk when the last operation was asked for; nil when there was none, or not all of one
	after   *diskImage // the same as of now
	keep    [sha256.Size]byte
	settled time.Time // when the first disk was written last, as of the end of the run before
	traced  int64     // what of the server's trace was read
	endings map[string]int
}

func newVictim(t testing.TB) *victim {
	t.Helper()
	s := newSite(t)
	kept := slices.Concat([]byte("somebody's thesis, the only copy"), make([]byte, mib), slices.Repeat([]byte("data"), mib))
	m := newMachine(s, 1, newDrive(t, "ROOT-0001", nil), newDrive(t, "KEEP-0001", kept))
	v := &victim{machine: m, images: [2]*diskImage{newImage(t, 1), newImage(t, 2)}, endings: map[string]int{}}
	for _, img := range v.images {
		img.into(s)
	}
	platter, err := m.disks[1].platter()
	if err != nil {
		t.Fatal(err)
	}
	v.keep = sha256.Sum256(platter)
	m.enrolled()
	m.role("KEEP-0001", "keep")
	return v
}

// role binds a disk of the machine to what it is for.
func (m *machine) role(serial, role string) {
	m.Helper()
	noun := inventory.NounFor[inventory.Component]()
	must(m.site, func(ctx context.Context) (inventory.Object, error) {
		status, err := m.client.Machine(ctx, m.name)
		if err != nil {
			return nil, err
		}
		for _, c := range status.Components {
			if c.Serial == serial {
				return m.client.UpdateFields(ctx, noun, string(c.UID), 0, map[string]any{"disk_role": role})
			}
		}
		return nil, fmt.Errorf("no disk %s on record", serial)
	})
}

// run deploys once. harm is begun when the operation is on record, and ends when it has ended.
func (v *victim) run(what string, harm func(ctx context.Context)) *api.OperationStatus {
	v.Helper()
	img := v.images[v.runs%len(v.images)]
	v.runs++
	v.before, v.after = v.after, nil
	if at, err := v.disks[0].touched(); err != nil || v.runs > 1 && !at.Equal(v.settled) {
		v.Errorf("%s: before the operation was asked for the disk was written at %s; the one before had ended with %s (%v)", what, at, v.settled, err)
	}
	v.note("--- %s", what)
	began := time.Now()
	uid := v.deploy(img)
	ctx, cancel := context.WithCancel(v.ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		if harm != nil {
			harm(ctx)
		}
	}()
	op := v.finish(uid, nil)
	cancel()
	<-over
	if took := time.Since(began); took > 40*time.Second {
		v.Logf("%s: took %s\n%s\n%s", what, took, story(op), tail(filepath.Join(v.site.dir, "trace"), 120))
	}
	v.judge(what, img, op)
	return op
}

// judge holds the end of a run against what may be.
func (v *victim) judge(what string, img *diskImage, op *api.OperationStatus) {
	v.Helper()
	if err := v.ending(img, op); err != nil {
		v.Errorf("%s: %v\n%s", what, err, story(op))
	}
	points, end := v.trace(v.traced)
	v.traced = end
	for _, p := range points {
		if p.wrong {
			v.Errorf("%s: a machine had two owners, or one without an operation, at the commit of %s", what, p.name)
		}
	}
	kept, err := v.disks[1].platter()
	if err != nil || sha256.Sum256(kept) != v.keep {
		v.Fatalf("%s: the disk that is to be kept was changed (%v)", what, err)
	}
}

// ending says why an operation did not end as it may.
func (v *victim) ending(img *diskImage, op *api.OperationStatus) error {
	if op.Operation.State == inventory.OpCancelled {
		v.settles()
	}
	platter, err := v.disks[0].platter()
	if err != nil {
		return err
	}
	if v.settled, err = v.disks[0].touched(); err != nil {
		return err
	}
	d := v.machine.site.machine(v.name)
	v.endings[string(d.ProvisionState)]++
	return errors.Join(v.tidy(op), v.outcome(img, platter, d, op))
}

// settles waits until an agent that was told to stop has: it hears of it within a minute at the latest.
func (v *victim) settles() {
	v.Helper()
	var last time.Time
	var since time.Time
	eventually(v, "the disk is left alone", time.Minute, func() bool {
		at, err := v.disks[0].touched()
		if err != nil || !at.Equal(last) {
			last, since = at, time.Now()
		}
		return time.Since(since) > 3*time.Second
	})
}

// tidy says what an operation left behind that it should not have.
func (v *victim) tidy(op *api.OperationStatus) error {
	var errs []error
	if busy := v.machine.site.machine(v.name).Operation; busy != "" {
		errs = append(errs, fmt.Errorf("the machine is still busy with %s", busy))
	}
	for _, st := range op.Steps {
		if !st.State.Ended() {
			errs = append(errs, fmt.Errorf("step %s is left %s", st.Name, st.State))
		}
	}
	if end := op.Operation.EndedAt; end == nil || op.Operation.State != inventory.OpCancelled && v.settled.After(*end) {
		errs = append(errs, fmt.Errorf("the disk was written at %s, after the operation had ended", v.settled))
	}
	return errors.Join(errs...)
}

// outcome says what is wrong with the machine and its disk.
func (v *victim) outcome(img *diskImage, platter []byte, d *inventory.Device, op *api.OperationStatus) error {
	same := img.same(platter, v.disks[0].file)
	if same == nil {
		v.after = img
	}
	switch {
	case d.ProvisionState == inventory.StateDeployed && op.Operation.State == inventory.OpCancelled:
		if v.before == nil {
			return errors.New("a machine without an image is called deployed")
		}
		v.after = v.before
		return v.before.same(platter, v.disks[0].file)
	case d.ProvisionState == inventory.StateDeployed:
		if op.Operation.State != inventory.OpDone || v.proofOf(op) != img.digest {
			return fmt.Errorf("deployed by an operation that is %s, with the proof %q", op.Operation.State, v.proofOf(op))
		}
		return same
	case d.ProvisionState == inventory.StateQuarantined:
		v.Logf("quarantined: %s", d.StateReason)
		if d.StateReason == "" || op.Operation.State == inventory.OpDone {
			return fmt.Errorf("quarantined with the reason %q by an operation that is %s", d.StateReason, op.Operation.State)
		}
		if v.before != nil && v.before.same(platter, v.disks[0].file) == nil {
			v.after = v.before
			return nil // stopped between the last word and the first byte
		}
		if boots(platter) && same != nil {
			return fmt.Errorf("quarantined, and the disk boots although %w", same)
		}
		return nil
	}
	return fmt.Errorf("the machine is %s", d.ProvisionState)
}

// TestDeployWithoutKills is the control: the same machine and the same images, and nobody dies.
func TestDeployWithoutKills(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	for i := range 4 {
		op := v.run(fmt.Sprintf("run %d", i), nil)
		if op.Operation.State != inventory.OpDone {
			t.Fatal(story(op))
		}
		t.Log(story(op))
	}
	if v.started() != 1 {
		t.Errorf("the server was started %d times", v.started())
	}
}

// boundaries runs once without harm and returns every commit of a reimage, each once, in their order.
func (v *victim) boundaries() (points []killPoint, took time.Duration) {
	v.Helper()
	v.run("the first deploy", nil)
	from := v.traced
	began := time.Now()
	v.run("the control", nil)
	took = time.Since(began)
	all, _ := v.trace(from)
	for _, p := range all {
		if !slices.Contains(points, p) {
			points = append(points, p)
		}
	}
	return points, took
}

// TestKillAtEveryStep kills the server before and after each commit that a reimage makes: when the end of a step is not stored yet, and
// when it is and nobody knows. In the short form several commits share an operation; in the long form each has its own.
func TestKillAtEveryStep(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	points, _ := v.boundaries()
	share := 10
	if full() {
		share = 1
	}
	left := points
	// What the order of things kept from happening in one operation may happen in another.
	for round := 0; round < 4 && len(left) > 0; round++ {
		left = v.killAt(left, share)
		share = 4
	}
	t.Logf("%d kill points, %d operations, %d starts of the server, endings %v; never reached: %v", len(points), v.runs, v.started(), v.endings, left)
	v.everyStepDied(points, left)
}

// killAt kills the server at each of the points, at so many of them in one operation, and returns those that were not reached.
func (v *victim) killAt(points []killPoint, share int) (left []killPoint) {
	v.Helper()
	runs := (len(points) + share - 1) / share
	for i := range runs {
		var mine []killPoint
		for at := i; at < len(points); at += runs {
			mine = append(mine, points[at])
		}
		v.arm(pauseFor(i), mine...)
		v.run(fmt.Sprintf("killed at %v", mine), nil)
		missed := v.disarm()
		for _, p := range mine {
			if slices.Contains(missed, p.String()) {
				left = append(left, p)
			}
		}
	}
	return left
}

// pauseFor is how long the server stays away in a run: from no time to a few agents' retries.
func pauseFor(i int) time.Duration {
	return []time.Duration{0, 50 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second}[i%4]
}

// everyStepDied fails when the beginning or the end of some step was not killed at, on both sides of its commit.
func (v *victim) everyStepDied(points, left []killPoint) {
	v.Helper()
	died := map[string]bool{}
	for _, p := range points {
		if slices.Contains(left, p) {
			continue
		}
		for part := range strings.SplitSeq(p.name, ", ") {
			died[p.when+" "+part] = true
		}
	}
	for _, step := range []string{"offer-agent", "set-netboot", "power-up", "await-agent", "write-image", "set-local-boot", "reboot", "await-system", "record-deployed"} {
		for _, when := range []string{"before", "after"} {
			if !died[when+" step "+step+": running"] {
				v.Errorf("the server was never killed %s the beginning of %s was stored", when, step)
			}
			if !died[when+" step "+step+": done"] && !died[when+" step "+step+": skipped"] {
				v.Errorf("the server was never killed %s the end of %s was stored", when, step)
			}
		}
	}
}

// chance is where a test draws from. BERTH_TEST_SEED repeats an earlier run; parts of a test that run side by side draw from streams
// of their own.
func chance(t testing.TB, stream uint64) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("BERTH_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("BERTH_TEST_SEED: %v", err)
		}
	}
	t.Logf("BERTH_TEST_SEED=%d repeats this", seed)
	return rand.New(rand.NewPCG(seed, stream))
}

// TestKillAtRandomMoments kills the server at moments that nobody chose: once, or again soon after it came back; and now and then the
// machine as well.
func TestKillAtRandomMoments(t *testing.T) {
	t.Parallel()
	moments := 20
	if full() {
		moments = 200
	}
	const victims = 2 // a victim waits most of the time
	for i := range victims {
		t.Run(fmt.Sprintf("victim %d", i+1), func(t *testing.T) {
			t.Parallel()
			v := newVictim(t)
			v.slow(12 * mib) // so that the write is not over before the first kill
			random := chance(t, uint64(i))
			_, took := v.boundaries()
			for range moments / victims {
				v.moment(random, took)
			}
			t.Logf("%d moments, %d starts of the server, endings %v", moments/victims, v.started(), v.endings)
		})
	}
}

// moment is one run with one or two kills of the server, and perhaps one of the machine. took is what a run without kills takes.
func (v *victim) moment(random *rand.Rand, took time.Duration) {
	v.Helper()
	first := time.Duration(random.Int64N(int64(took)))
	if random.IntN(2) == 0 { // half of them in the first half, where the write is
		first /= 2
	}
	second, machine := random.IntN(3) == 0, random.IntN(5) == 0
	pause := time.Duration(random.Int64N(int64(1500 * time.Millisecond)))
	gap := time.Duration(random.Int64N(int64(took)))
	what := fmt.Sprintf("moment %d: killed after %s, away for %s, again %v, the machine too %v", v.runs, first, pause, second, machine)
	v.run(what, func(ctx context.Context) {
		sleep(ctx, first)
		v.kill(pause)
		if machine {
			sleep(ctx, gap/3)
			v.killAgent()
		}
		if second {
			sleep(ctx, pause+gap)
			v.kill(pause / 2)
		}
	})
}

// TestPowerCutsOfTheMachine cuts the machine's power, and not the server's, when the write has reached a certain part of the disk: right
// after the ends were cleared, at MiBs that nobody chose, and when the disk is complete and nobody knows yet.
func TestPowerCutsOfTheMachine(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	random := chance(t, 0)
	// The first of them is a disk that the record knows nothing of yet.
	cuts := []int{-1, 0, imageSize/mib - 2, -1}
	for len(cuts) < 7 || full() && len(cuts) < 40 {
		cuts = append(cuts, 1+random.IntN(imageSize/mib-1))
	}
	for _, at := range cuts {
		cut := false
		op := v.run(fmt.Sprintf("cut at MiB %d", at), func(ctx context.Context) {
			cut = v.reaches(ctx, at) && v.killAgent()
		})
		if !cut {
			t.Logf("nothing was cut at MiB %d: the write was quicker", at)
		}
		if op.Operation.State == inventory.OpDone && at > 0 && cut {
			for _, st := range op.Steps {
				if st.Name == "write-image" && st.Attempt != 1 {
					t.Errorf("cut at MiB %d: a power cut is no failed attempt\n%s", at, story(op))
				}
			}
		}
	}
	t.Logf("%d cuts, endings %v", len(cuts), v.endings)
	if v.started() != 1 {
		t.Errorf("the server was started %d times", v.started())
	}
}

// reaches waits until the write that is under way has reached a MiB of the disk; 0 is the clearing, and -1 the end.
func (v *victim) reaches(ctx context.Context, at int) bool {
	f, err := os.Open(v.disks[0].file)
	if err != nil {
		v.Error(err)
		return false
	}
	defer f.Close()
	img := v.images[(v.runs-1)%len(v.images)] // run has counted already
	zeros := make([]byte, 4096)
	block := make([]byte, 4096)
	look := func(off int64) []byte {
		if _, err := f.ReadAt(block, off); err != nil {
			return nil
		}
		return block
	}
	cleared := false
	for ctx.Err() == nil {
		cleared = cleared || bytes.Equal(look(0), zeros)
		switch {
		case !cleared:
		case at == 0:
			return true
		case at < 0 && !bytes.Equal(look(0), zeros):
			return true
		case at > 0 && bytes.Equal(look(int64(at)*mib+mib/2), img.raw[at*mib+mib/2:at*mib+mib/2+4096]):
			return true
		}
		sleep(ctx, 200*time.Microsecond)
	}
	return false
}

// TestCancelAtRandomMoments cancels at moments that nobody chose, and kills the server as soon as it has answered, or before.
func TestCancelAtRandomMoments(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	v.slow(12 * mib)
	random := chance(t, 0)
	_, took := v.boundaries()
	moments := 5
	if full() {
		moments = 40
	}
	for range moments {
		wait, killed := time.Duration(random.Int64N(int64(took)*2/3)), random.IntN(3)
		v.run(fmt.Sprintf("cancelled after %s, the server killed %s", wait, []string{"before", "after", "not at all"}[killed]), func(ctx context.Context) {
			sleep(ctx, wait)
			if killed == 0 {
				v.kill(0)
			}
			uid := v.machine.site.machine(v.name).Operation
			if uid == "" {
				return // it was over
			}
			must(v.site, func(ctx context.Context) (*inventory.Operation, error) { return v.client.Cancel(ctx, uid, "a test") })
			if killed == 1 {
				v.kill(100 * time.Millisecond)
			}
		})
	}
	t.Logf("%d cancels, endings %v", moments, v.endings)
}
