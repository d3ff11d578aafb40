package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"berth/api"
	"berth/internal/lab/hardware"
	"berth/internal/lab/vbmc"
	"berth/inventory"
)

// slow makes the cable to the machine carry no more than so many bytes a second, so that a write can be met in its middle.
func (m *machine) slow(bytesPerSecond uint64) {
	m.Helper()
	err := m.site.net.Do(func() error {
		port, err := netlink.LinkByName("port-" + m.name)
		if err != nil {
			return err
		}
		return netlink.QdiscReplace(&netlink.Tbf{
			QdiscAttrs: netlink.QdiscAttrs{LinkIndex: port.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
			Rate:       bytesPerSecond, Buffer: 256 << 10, Limit: 4 << 20,
		})
	})
	if err != nil {
		m.Fatalf("slow the cable of %s down: %v", m.name, err)
	}
}

// written waits until a write has reached a part of the image.
func (m *machine) written(img *diskImage, at int64) {
	m.Helper()
	f, err := os.Open(m.disks[0].file)
	if err != nil {
		m.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	eventually(m, "the write reaches its middle", patience, func() bool {
		_, err := f.ReadAt(block, at)
		return err == nil && bytes.Equal(block, img.raw[at:at+int64(len(block))])
	})
}

// still fails when a disk changes although nobody has the right to. It looks for a few progress reports' time.
func (d *drive) still(t testing.TB) {
	t.Helper()
	before, err := d.touched()
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second)
	if after, err := d.touched(); err != nil || !after.Equal(before) {
		t.Errorf("disk %s was written at %s, when nobody had the right to (%v)", d.Serial, after, err)
	}
}

// dead fails when a machine is not quarantined with such a reason, or its disk boots.
func (m *machine) dead(reason string) {
	m.Helper()
	d := m.machine(m.name)
	if d.ProvisionState != inventory.StateQuarantined || !strings.Contains(d.StateReason, reason) || d.Operation != "" {
		m.Errorf("%s is %s: %q; a reason with %q was expected", m.name, d.ProvisionState, d.StateReason, reason)
	}
	platter, err := m.disks[0].platter()
	if err != nil {
		m.Fatal(err)
	}
	if boots(platter) {
		m.Errorf("the disk of %s boots", m.name)
	}
}

// refused is the sentence of an answer that is a refusal.
func refused(t testing.TB, err error) string {
	t.Helper()
	var problem *api.Problem
	if !errors.As(err, &problem) || problem.Status < 400 || problem.Status >= 500 {
		t.Fatalf("not refused: %v", err)
	}
	return problem.Error()
}

func TestCancelInTheMiddleOfAWrite(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	img := newImage(t, 1)
	img.into(s)
	m := newMachine(s, 1)
	m.enrolled()
	m.slow(4 * mib)
	uid := m.deploy(img)
	m.written(img, 8*mib)
	must(s, func(ctx context.Context) (*inventory.Operation, error) { return s.client.Cancel(ctx, uid, "a test") })
	asked := time.Now()
	if op := m.finish(uid, nil); op.Operation.State != inventory.OpCancelled {
		t.Fatal(story(op))
	}
	eventually(t, "the agent says that it was stopped", patience, func() bool {
		text, err := os.ReadFile(m.agentLog())
		return err == nil && strings.Contains(string(text), "write failed: the server stopped it")
	})
	last, err := m.disks[0].touched()
	if err != nil || last.Sub(asked) > time.Minute {
		t.Errorf("the last write was %s after the cancel (%v)", last.Sub(asked), err)
	}
	t.Logf("the last write was %s after the cancel was answered", last.Sub(asked).Round(time.Millisecond))
	m.disks[0].still(t)
	m.dead("was cancelled by")

	// A person looks, and tries again.
	m.slow(1 << 30)
	if op := m.finish(m.deploy(img), nil); op.Operation.State != inventory.OpDone {
		t.Error(story(op))
	}
}

// frames is the file of an image's bytes in the server's state.
func (i *diskImage) frames(s *site) string {
	return filepath.Join(s.data(), "images", strings.TrimPrefix(i.digest, "sha256:"), "frames")
}

func TestAnAlteredImageIsNotDeployed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	img := newImage(t, 1)
	img.into(s)
	m := newMachine(s, 1)
	m.enrolled()
	frames, err := os.OpenFile(img.frames(s), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer frames.Close()
	size, err := frames.Seek(0, 2)
	if err != nil {
		t.Fatal(err)
	}
	one := make([]byte, 1)
	if _, err := frames.ReadAt(one, size/2); err != nil {
		t.Fatal(err)
	}
	one[0] ^= 0x40
	if _, err := frames.WriteAt(one, size/2); err != nil {
		t.Fatal(err)
	}
	op := m.finish(m.deploy(img), nil)
	if op.Operation.State != inventory.OpFailed || !strings.Contains(op.Operation.Problem, "the agent says") {
		t.Fatal(story(op))
	}
	t.Log(op.Operation.Problem)
	m.dead("deploy failed")
	m.disks[0].still(t)
}

func TestAnImageThatIsCutShortWhileItIsWritten(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	img := newImage(t, 1)
	img.into(s)
	m := newMachine(s, 1)
	m.enrolled()
	m.slow(4 * mib)
	uid := m.deploy(img)
	m.written(img, 4*mib)
	if err := os.Truncate(img.frames(s), 20*mib); err != nil {
		t.Fatal(err)
	}
	m.slow(1 << 30)
	op := m.finish(uid, nil)
	if op.Operation.State != inventory.OpFailed {
		t.Fatal(story(op))
	}
	t.Log(op.Operation.Problem)
	m.dead("deploy failed")

	// From now on the server sees by itself that the image is not whole.
	_, err := ask(s, func(ctx context.Context) (*inventory.Operation, error) {
		return s.client.Reimage(ctx, m.name, api.DeployRequest{Image: img.name})
	})
	t.Log(refused(t, err))
}

func TestAMachineNobodyAcceptedIsNotWritten(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	img := newImage(t, 1)
	img.into(s)
	m := newMachine(s, 1, newDrive(t, "DISK-0001", bytes.Repeat([]byte("mine"), mib)))
	before, err := m.disks[0].platter()
	if err != nil {
		t.Fatal(err)
	}
	m.powerOn()
	m.discovered()
	d := m.find(m.mac.String())
	for name, try := range map[string]func(ctx context.Context) (*inventory.Operation, error){
		"deploy": func(ctx context.Context) (*inventory.Operation, error) {
			return s.client.Deploy(ctx, string(d.UID), api.DeployRequest{Image: img.name})
		},
		"reimage": func(ctx context.Context) (*inventory.Operation, error) {
			return s.client.Reimage(ctx, string(d.UID), api.DeployRequest{Image: img.name})
		},
		"release": func(ctx context.Context) (*inventory.Operation, error) {
			return s.client.Release(ctx, string(d.UID), api.ReleaseRequest{})
		},
	} {
		_, err := ask(s, try)
		if why := refused(t, err); !strings.Contains(why, "accept it first") {
			t.Errorf("%s: %s", name, why)
		}
	}
	m.disks[0].still(t)
	if after, err := m.disks[0].platter(); err != nil || sha256.Sum256(after) != sha256.Sum256(before) {
		t.Errorf("its disk was changed (%v)", err)
	}
}

func TestTwoMachinesWithTheSameJunkSerialStayTwo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	img := newImage(t, 1)
	img.into(s)
	var both [2]*machine
	for i := range both {
		m := newMachine(s, byte(i+1))
		m.serial, m.uuid = "To Be Filled By O.E.M.", "03000200-0400-0500-0006-000700080009"
		m.enrolled()
		both[i] = m
	}
	first, second := s.machine("m1"), s.machine("m2")
	if first.UID == second.UID || first.Serial != second.Serial {
		t.Fatalf("%s with serial %q and %s with serial %q", first.UID, first.Serial, second.UID, second.Serial)
	}
	if op := both[1].finish(both[1].deploy(img), nil); op.Operation.State != inventory.OpDone {
		t.Fatal(story(op))
	}
	if platter, err := both[0].disks[0].platter(); err != nil || boots(platter) {
		t.Errorf("the disk of the other machine was written (%v)", err)
	}
	if d := s.machine("m1"); d.ProvisionState != inventory.StateReady {
		t.Errorf("the other machine is %s", d.ProvisionState)
	}
}

func TestAnAgentThatProvesAnotherImageIsNotBelieved(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	img := newImage(t, 1)
	img.into(s)
	l := newLiar(newMachine(s, 1))
	l.ready()
	uid := l.deploy(img)
	a := l.next(api.VerbWrite)
	other := "sha256:" + strings.Repeat("0", 64)
	l.wants(http.StatusNoContent, "assignments/"+a.ID+"/result", api.Result{Touched: true, Write: &api.WriteResult{Disk: a.Write.Disk, Digest: other}})
	op := l.finish(uid, nil)
	if op.Operation.State != inventory.OpFailed {
		t.Fatal(story(op))
	}
	l.dead("digest")
	// The report of a system that cannot be there changes nothing.
	_, rest, _ := strings.Cut(a.Write.Seed.UserData, "/agent/v1/booted/")
	token, _, ok := strings.Cut(rest, `\"`)
	if !ok || len(token) > 64 {
		t.Fatalf("no token in the seed:\n%s", a.Write.Seed.UserData)
	}
	status, answer := post(l.machine, l.https("10.88.0.1"), "booted/"+token, api.BootReport{Hostname: "a lie"})
	t.Logf("the report of a system that is not there: %d %s", status, answer)
	l.dead("digest")
	if got, _ := l.post("assignments/"+a.ID+"/result", api.Result{Write: &api.WriteResult{Digest: img.digest}}); got != http.StatusConflict {
		t.Errorf("a second result, after the end: %d", got)
	}
}

func TestAReplayedTokenStopsTheOperation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	img := newImage(t, 1)
	img.into(s)
	m := newMachine(s, 1)
	m.enrolled()
	m.slow(4 * mib)
	uid := m.deploy(img)
	m.written(img, 4*mib)
	thief := newLiar(m)
	m.mu.Lock()
	args := m.agentArgs
	m.mu.Unlock()
	for i, arg := range args {
		if arg == "--token" {
			thief.token = args[i+1]
		}
	}
	thief.wants(http.StatusForbidden, "register", api.Registration{Token: thief.token})
	if op := m.finish(uid, nil); op.Operation.State != inventory.OpCancelled || !strings.Contains(op.Operation.CancelBy, "twice") {
		t.Fatal(story(op))
	}
	for _, path := range []string{"next", "report"} {
		if got, answer := thief.post(path, struct{}{}); got != http.StatusUnauthorized {
			t.Errorf("the thief asks for %s: %d %s", path, got, answer)
		}
	}
	eventually(t, "the agent says that it was stopped", patience, func() bool {
		text, err := os.ReadFile(m.agentLog())
		return err == nil && strings.Contains(string(text), "write failed: the server stopped it")
	})
	m.disks[0].still(t)
	m.dead("was cancelled by")
	page := must(s, func(ctx context.Context) (api.Page[inventory.Event], error) {
		return s.client.Timeline(ctx, m.name, api.Query{Filters: map[string]string{"level": "error"}})
	})
	alarmed := false
	for _, e := range page.Items {
		alarmed = alarmed || strings.Contains(e.Text, "second registration")
	}
	if !alarmed {
		t.Errorf("the timeline does not tell: %+v", page.Items)
	}
}

func TestNoAgentAnswersForAnother(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	img := newImage(t, 1)
	img.into(s)
	honest, other := newLiar(newMachine(s, 1)), newLiar(newMachine(s, 2))
	honest.ready()
	other.ready()
	uid := honest.deploy(img)
	a := honest.next(api.VerbWrite)
	proof := api.Result{Touched: true, Write: &api.WriteResult{Disk: a.Write.Disk, Digest: a.Write.Digest}}
	other.wants(http.StatusConflict, "assignments/"+a.ID+"/result", proof)
	if got, answer := other.post("assignments/"+a.ID+"/progress", api.Progress{Done: 1}); got == http.StatusOK && !bytes.Contains(answer, []byte(`"stop":true`)) {
		t.Errorf("another machine's agent may go on: %s", answer)
	}
	stranger := newLiar(honest.machine)
	stranger.wants(http.StatusUnauthorized, "assignments/"+a.ID+"/result", proof)
	if op := s.operation(uid); op.Operation.State.Ended() {
		t.Fatalf("somebody else ended it: %s", story(op))
	}
	// A new boot of the machine takes the right from the old one, which is not heard any more.
	again := newLiar(honest.machine)
	again.register()
	honest.wants(http.StatusUnauthorized, "assignments/"+a.ID+"/result", proof)
}

func TestHostileWordsToTheAgentDoor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	l := newLiar(newMachine(s, 1))
	l.register()
	stranger := newLiar(l.machine)
	browser := l.https("10.88.0.1")
	for _, path := range []string{"report", "next", "log", "assignments/x/progress", "assignments/x/result"} {
		if got, _ := stranger.post(path, struct{}{}); got != http.StatusUnauthorized {
			t.Errorf("%s by a key that never registered: %d", path, got)
		}
		if got, _ := post(l.machine, browser, path, struct{}{}); got < 400 || got >= 500 {
			t.Errorf("%s by a browser: %d", path, got)
		}
	}
	stranger.wants(http.StatusForbidden, "register", api.Registration{Token: strings.Repeat("a", 32)})
	for name, body := range map[string]any{
		"nothing":        "",
		"no JSON":        "<html>",
		"half a JSON":    `{"token": "`,
		"another type":   `{"disks": "none", "macs": 7}`,
		"deep":           strings.Repeat("[", 1<<20),
		"deep in a word": `{"system": ` + strings.Repeat(`{"a":`, 1<<18),
		"too long":       `{"version": "` + strings.Repeat("x", 5<<20) + `"}`,
		"not UTF-8":      "{\"version\": \"\xff\xfe\"}{",
	} {
		for _, path := range []string{"report", "register", "log"} {
			got, answer := l.post(path, body)
			if got >= 500 || got == http.StatusOK && name != "not UTF-8" {
				t.Errorf("%s with %s: %d %.200s", path, name, got, answer)
			}
		}
	}
	// Long words are cut or refused, and the machine's page still answers.
	long := strings.Repeat("\u202e<script>", 1<<16)
	got, answer := l.post("report", inventory.Facts{System: inventory.SystemFacts{Serial: long, Product: long, UUID: long},
		Disks: []inventory.DiskFacts{{Name: long, Serial: long, ContentRead: true}}})
	t.Logf("a report with long words: %d %.200s", got, answer)
	if got >= 500 {
		t.Errorf("a report with long words: %d", got)
	}
	l.report()
	l.discovered()
	if s.started() != 1 {
		t.Errorf("the server was started %d times", s.started())
	}
}

func TestABMCThatSaysYesAndDoesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	addr := netip.MustParseAddr("10.88.0.9")
	if err := s.net.AddAddress("br0", netip.PrefixFrom(addr, 32)); err != nil {
		t.Fatal(err)
	}
	server := vbmc.NewBare(hardware.Server{Name: "adopted"})
	controller, err := vbmc.New(vbmc.Config{Protocol: vbmc.Redfish, Addr: addr, Network: s.net}, server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(controller.Close)
	user, password := controller.Credentials()
	must(s, func(ctx context.Context) (*inventory.Device, error) {
		return s.client.Adopt(ctx, api.AdoptRequest{Name: "adopted", MACs: []string{"52:54:00:88:00:09"},
			BMC: &api.AdoptBMC{Kind: "redfish", Address: addr.String(), Username: user, Password: inventory.PlainSecret(password)}})
	})
	inspect := func(ctx context.Context) (*inventory.Operation, error) {
		return s.client.Inspect(ctx, "adopted", "a test")
	}
	on := func(ctx context.Context) (*inventory.Operation, error) {
		return s.client.Power(ctx, "adopted", "on", "a test")
	}
	type fault struct {
		kind vbmc.FaultKind
		ask  func(context.Context) (*inventory.Operation, error)
		says string
	}
	faults := []fault{{vbmc.OverrideIgnored, inspect, "boot device"}}
	if full() { // a BMC is given two minutes to switch a machine on, twice
		faults = append(faults, fault{vbmc.PowerIgnored, on, "power on"})
	}
	for _, f := range faults {
		controller.Inject(vbmc.Fault{Kind: f.kind})
		op := s.ended(must(s, f.ask).UID)
		if op.Operation.State != inventory.OpFailed || !strings.Contains(op.Operation.Problem, f.says) {
			t.Errorf("%s: %s", f.kind, story(op))
		}
		t.Logf("%s: %s", f.kind, op.Operation.Problem)
		if d := s.machine("adopted"); d.Operation != "" || d.Power == "on" {
			t.Errorf("%s: the record says power %q, operation %q", f.kind, d.Power, d.Operation)
		}
		controller.Clear()
	}
	if op := s.ended(must(s, on).UID); op.Operation.State != inventory.OpDone || server.PowerState() != hardware.On {
		t.Errorf("when the BMC obeys again the power is %s\n%s", server.PowerState(), story(op))
	}
}

// ended waits for the end of an operation, which may take as long as a BMC is given.
func (s *site) ended(uid inventory.UID) (op *api.OperationStatus) {
	s.Helper()
	eventually(s, "the operation ends", 10*time.Minute, func() bool {
		op = s.operation(uid)
		return op.Operation.State.Ended()
	})
	return op
}

// What a step remembers is not for reading: it holds the token with which the installed system reports, and a profile's user data.
func TestNobodyReadsWhatAStepRemembers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	img := newImage(t, 1)
	img.into(s)
	m := newMachine(s, 1)
	m.enrolled()
	uid := m.deploy(img)
	m.finish(uid, nil)
	for _, path := range []string{"/api/v1/steps", "/api/v1/operations/" + string(uid) + "/status", "/api/v1/machines/" + m.name + "/status", "/api/v1/boot-attempts"} {
		text := must(s, func(ctx context.Context) (json.RawMessage, error) {
			var raw json.RawMessage
			err := s.client.Call(ctx, http.MethodGet, path, nil, &raw)
			return raw, err
		})
		if len(text) < 100 || bytes.Contains(text, []byte("agent/v1/booted/")) || bytes.Contains(text, []byte("user_data")) {
			t.Errorf("%s: %s", path, text)
		}
	}
}

func TestAPersonDoesWhatABMCWould(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := newMachine(s, 1)
	m.enrolled()
	m.powerOff()
	uid := must(s, func(ctx context.Context) (*inventory.Operation, error) {
		return s.client.Power(ctx, m.name, "on", "a test")
	}).UID
	var task string
	eventually(t, "a person is asked", patience, func() bool {
		for _, st := range s.operation(uid).Steps {
			task = st.Task
		}
		return task != ""
	})
	if !strings.Contains(task, m.name) {
		t.Errorf("the task does not name the machine: %q", task)
	}
	done := func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.client.TaskDone(ctx, uid, "power", "pressed it")
	}
	must(s, done)
	if op := m.finish(uid, nil); op.Operation.State != inventory.OpDone {
		t.Error(story(op))
	}
	_, err := ask(s, done)
	t.Log(refused(t, err))
}

// Two agents of one machine: a clone, or a machine that somebody believed to be off. The older one loses its right at once, and the
// newer one ends the work.
func TestAnOldAgentGivesWayToANewOne(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	img := newImage(t, 1)
	img.into(s)
	m := newMachine(s, 1)
	m.enrolled()
	m.slow(4 * mib)
	uid := m.deploy(img)
	m.written(img, 4*mib)
	token := m.booting()
	m.slow(1 << 30)
	m.mu.Lock()
	args := append([]string(nil), m.agentArgs...)
	m.mu.Unlock()
	for i, arg := range args {
		if arg == "--token" {
			args[i+1] = token
		}
	}
	cmd, done, err := m.start(args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	eventually(t, "one of the two reboots", patience, func() bool {
		op := s.operation(uid)
		return op.Operation.State.Ended() || op.Operation.StepName == "await-system"
	})
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		_ = cmd.Process.Kill()
		<-done
	}
	m.reset()
	op := m.finish(uid, nil)
	if op.Operation.State != inventory.OpDone || m.proofOf(op) != img.digest {
		t.Fatal(story(op))
	}
	platter, err := m.disks[0].platter()
	if err != nil {
		t.Fatal(err)
	}
	if err := img.same(platter, m.disks[0].file); err != nil {
		t.Error(err)
	}
	points, _ := s.trace(0)
	for _, p := range points {
		if p.wrong {
			t.Errorf("two owners at the commit of %s", p.name)
		}
	}
}
