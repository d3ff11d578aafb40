package provision_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"berth/api"
	"berth/bmc"
	"berth/bmc/bmctest"
	"berth/inventory"
	"berth/inventory/store"
	"berth/provision"
	"berth/pxe"
)

// rig is a provision service on a real store, with an agent that the test plays by hand.
type rig struct {
	*testing.T
	store   *store.Store
	service *provision.Service
	stop    func()
	dir     string
	images  *fakeImages
	machine *bmctest.Machine
	token   string       // of the last boot
	packets atomic.Int64 // magic ones
}

// woken is wake-on-LAN as far as its sender can see: a packet goes out, and nothing comes back.
func (r *rig) woken(t bmc.Target) (bmc.Driver, error) {
	if len(t.MAC) != 6 {
		return nil, fmt.Errorf("no address to wake: %v", t.MAC)
	}
	return wakeDriver{r}, nil
}

type wakeDriver struct{ r *rig }

func (w wakeDriver) Power(context.Context) (bmc.PowerState, error)   { return "", bmc.ErrUnsupported }
func (w wakeDriver) SetPower(context.Context, bmc.PowerAction) error { w.r.packets.Add(1); return nil }
func (w wakeDriver) Boot(context.Context) (bmc.Boot, error)          { return bmc.Boot{}, bmc.ErrUnsupported }
func (w wakeDriver) SetBoot(context.Context, bmc.Boot) error         { return bmc.ErrUnsupported }
func (w wakeDriver) Inventory(context.Context) (bmc.Inventory, error) {
	return bmc.Inventory{}, bmc.ErrUnsupported
}
func (w wakeDriver) Close(context.Context) error { return nil }

// fakeImages stands for the image store: these tests are about operations, not about bytes.
type fakeImages struct{ blobs map[string]provision.Blob }

func (f *fakeImages) Import(_ context.Context, r io.Reader, _ provision.BlobOptions) (provision.Blob, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return provision.Blob{}, err
	}
	b := provision.Blob{Digest: "sha256:" + strings.Repeat("ab", 32), TreeHash: "tree", SizeBytes: int64(len(text)), StoredBytes: 1, Format: "raw"}
	f.blobs[b.Digest] = b
	return b, nil
}

func (f *fakeImages) Stat(digest string) (provision.Blob, error) {
	b, ok := f.blobs[digest]
	if !ok {
		return b, errors.New("not here")
	}
	return b, nil
}

func (f *fakeImages) Path(digest string) string { return "image/" + digest }
func (f *fakeImages) Remove(digest string) error {
	delete(f.blobs, digest)
	return nil
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, dir: t.TempDir(), images: &fakeImages{blobs: map[string]provision.Blob{}}}
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

// start opens the store and runs the service, as a server that starts does.
func (r *rig) start() {
	r.Helper()
	key, err := store.LoadKey(filepath.Join(r.dir, "key"))
	if err != nil {
		if key, err = store.CreateKey(filepath.Join(r.dir, "key")); err != nil {
			r.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.store, err = store.Open(ctx, store.Options{Dir: filepath.Join(r.dir, "data"), Sealer: key})
	if err != nil {
		r.Fatal(err)
	}
	r.service = provision.New(provision.Config{
		Ledger: r.store, Images: r.images, AgentURL: "https://192.0.2.1:8443", Pin: "00", BootURL: "http://192.0.2.1:8081", Holder: "test",
		Certificate: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
		Logger:      slog.New(slog.NewTextHandler(r.Output(), &slog.HandlerOptions{Level: slog.LevelInfo})),
		BMC: &bmc.Pool{Pause: time.Millisecond, Timeout: 3 * time.Second, Grace: 100 * time.Millisecond, Openers: map[string]bmc.Opener{
			bmc.KindIPMI: func(ctx context.Context, t bmc.Target) (bmc.Driver, error) { return r.machine.Open(ctx, t) },
			bmc.KindWOL:  func(_ context.Context, t bmc.Target) (bmc.Driver, error) { return r.woken(t) },
		}},
		Commands: bmc.Commands{Interval: time.Millisecond, OffTime: time.Millisecond, PowerTimeout: 100 * time.Millisecond, BootTimeout: 100 * time.Millisecond, ShutdownTimeout: 50 * time.Millisecond},
	})
	done := make(chan error, 1)
	go func() { done <- r.service.Serve(ctx) }()
	<-r.service.Book().Ready()
	r.stop = func() {
		cancel()
		if err := <-done; err != nil {
			r.Errorf("the service ended with: %v", err)
		}
		if err := r.store.Close(); err != nil {
			r.Errorf("close the store: %v", err)
		}
		r.stop = func() {}
	}
}

func admin() inventory.Request {
	return inventory.NewRequest(inventory.Actor{Name: "anna", Level: inventory.LevelAdmin}, "test")
}

var ctx = context.Background()

const mac = "52:54:00:00:00:01"

// boot plays a machine's way from its first packet to the agent's registration, and returns the agent's key.
func (r *rig) boot(key string) string { return r.bootFrom(mac, key) }

func (r *rig) bootFrom(mac, key string) string {
	r.Helper()
	hw, _ := net.ParseMAC(mac)
	c := pxe.Client{MAC: hw, Arch: pxe.ArchBIOS, Stage: pxe.StageIPXE}
	var ticket pxe.Ticket
	r.eventually("the machine is offered the agent", func() bool {
		situation := r.service.Book().Situation(c)
		if situation.Boot != pxe.BootAgent {
			return false
		}
		var err error
		ticket, err = r.service.Ticket(ctx, c, situation)
		return err == nil
	})
	r.token = ticket.Token
	if _, err := r.service.Register(ctx, api.Registration{Token: ticket.Token, MACs: []string{mac}}, key, netip.MustParseAddr("192.0.2.9")); err != nil {
		r.Fatalf("register: %v", err)
	}
	return ticket.Token
}

func facts() inventory.Facts {
	return inventory.Facts{
		System: inventory.SystemFacts{Manufacturer: "Acme", Product: "Box", Serial: "SN-0001", UUID: "4c4c4544-0042-3510-8054-b7c04f4d5131", Arch: "amd64"},
		NICs:   []inventory.NICFacts{{Name: "eth0", MAC: mac, BootedFrom: true}},
		DIMMs:  []inventory.DIMMFacts{{Slot: "A1", Serial: "DIMM-1", SizeMiB: 1024}},
		Disks:  []inventory.DiskFacts{{Name: "sda", Serial: "DISK-1", SizeBytes: 8 << 30, ContentRead: true}},
	}
}

func (r *rig) eventually(what string, ok func() bool) {
	r.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	r.Fatalf("not within two minutes: %s\n%s", what, r.dump())
}

// dump shows the operations and their steps, for a failed test.
func (r *rig) dump() string {
	var b strings.Builder
	ops, err := inventory.List[inventory.Operation](ctx, r.store, inventory.Query{})
	if err != nil {
		return err.Error()
	}
	for _, op := range ops {
		steps, _ := inventory.List[inventory.Step](ctx, r.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("operation", op.UID)}, Sort: "position"})
		b.WriteString(op.Kind + " " + string(op.State) + " " + op.Problem + "\n")
		for _, s := range steps {
			b.WriteString("  " + s.Name + " " + string(s.State) + " " + s.Sentence + " " + s.Problem + "\n")
		}
	}
	return b.String()
}

func (r *rig) device() *inventory.Device {
	r.Helper()
	n, _ := inventory.NounOf("machine")
	page, err := r.store.List(ctx, n, inventory.Query{})
	if err != nil || len(page.Items) != 1 {
		r.Fatalf("machines: %v, %v", page.Items, err)
	}
	return page.Items[0].(*inventory.Device)
}

func (r *rig) operation(uid inventory.UID) *inventory.Operation {
	r.Helper()
	op, err := inventory.Get[inventory.Operation](ctx, r.store, string(uid))
	if err != nil {
		r.Fatal(err)
	}
	return op
}

// enrolled leads a machine to ready, with its agent in RAM under the key "key-1".
func (r *rig) enrolled() *inventory.Device {
	r.Helper()
	r.boot("key-1")
	if err := r.service.Report(ctx, "key-1", facts()); err != nil {
		r.Fatalf("report: %v", err)
	}
	r.eventually("the enrolment ends", func() bool {
		d := r.device()
		return d.ProvisionState == inventory.StateDiscovered && d.Operation == ""
	})
	d, err := r.service.Accept(ctx, admin(), r.device().Name, api.AcceptRequest{Name: "node-1"})
	if err != nil {
		r.Fatalf("accept: %v", err)
	}
	return d
}

func (r *rig) image() *inventory.Image {
	r.Helper()
	img, err := r.service.ImportImage(ctx, admin(), api.ImportRequest{Name: "debian-12", Format: "raw"}, strings.NewReader("an image"))
	if err != nil {
		r.Fatalf("import: %v", err)
	}
	return img
}

// next asks for the agent's next assignment, as an agent does.
func (r *rig) next(key string, verb api.Verb) api.Assignment {
	r.Helper()
	var a api.Assignment
	r.eventually("the agent is told to "+string(verb), func() bool {
		var err error
		a, err = r.service.Next(ctx, key, api.NextRequest{})
		if err != nil {
			r.Fatalf("next: %v", err)
		}
		return a.Verb == verb
	})
	return a
}

// written is the result an honest agent delivers.
func written(a api.Assignment) api.Result {
	return api.Result{Touched: true, Write: &api.WriteResult{Disk: a.Write.Disk, Digest: a.Write.Digest, WrittenBytes: a.Write.SizeBytes}}
}

func TestTheLineFromTheFirstPacketToTheInstalledSystem(t *testing.T) {
	r := newRig(t)
	d := r.enrolled()
	if d.ProvisionState != inventory.StateReady || d.Name != "node-1" {
		t.Fatalf("accepted as %s, %s", d.Name, d.ProvisionState)
	}
	img := r.image()
	op, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Image: img.Name})
	if err != nil {
		t.Fatalf("deploy: %v", err)
	}
	a := r.next("key-1", api.VerbWrite)
	if a.Write.Disk.Serial != "DISK-1" || a.Write.Digest != img.Digest || a.Write.Seed == nil {
		t.Fatalf("assignment: %+v", a.Write)
	}
	if answer, err := r.service.Progress(ctx, "key-1", a.ID, api.Progress{Phase: "write", Done: 1, Total: 2}); err != nil || answer.Stop {
		t.Fatalf("progress: %+v, %v", answer, err)
	}
	if err := r.service.Result(ctx, "key-1", a.ID, written(a)); err != nil {
		t.Fatalf("result: %v", err)
	}
	if err := r.service.Result(ctx, "key-1", a.ID, written(a)); err != nil {
		t.Errorf("the same result again: %v", err)
	}
	reboot := r.next("key-1", api.VerbReboot)
	if err := r.service.Result(ctx, "key-1", reboot.ID, api.Result{}); err != nil {
		t.Fatalf("result of reboot: %v", err)
	}
	r.eventually("it waits for the system", func() bool { return r.operation(op.UID).StepName == "await-system" })
	hw, _ := net.ParseMAC(mac)
	r.eventually("it is offered its local disk", func() bool {
		return r.service.Book().Situation(pxe.Client{MAC: hw}).Boot == pxe.BootLocal
	})
	token := bootToken(t, a.Write.Seed.UserData)
	if err := r.service.Booted(ctx, token, api.BootReport{Hostname: "node-1", HostKeys: []string{"ssh-ed25519 AAAA"}}); err != nil {
		t.Fatalf("booted: %v", err)
	}
	r.eventually("the operation is done", func() bool { return r.operation(op.UID).State == inventory.OpDone })
	d = r.device()
	if d.ProvisionState != inventory.StateDeployed || d.Image != img.UID || d.Operation != "" || d.NetbootOffer || len(d.HostKeys) != 1 {
		t.Errorf("at the end: %+v", d)
	}
	if err := r.service.Booted(ctx, "nonsense", api.BootReport{}); !errors.Is(err, provision.ErrToken) {
		t.Errorf("a made-up token: %v", err)
	}
}

// bootToken finds the one-time token in what cloud-init is told.
func bootToken(t *testing.T, userData string) string {
	t.Helper()
	_, rest, ok := strings.Cut(userData, "/agent/v1/booted/")
	if !ok {
		t.Fatalf("no report in the user data:\n%s", userData)
	}
	i := strings.IndexFunc(rest, func(c rune) bool { return !(c >= 'a' && c <= 'z' || c >= '2' && c <= '7') })
	return rest[:i]
}

func TestASecondRegistrationStopsTheOperation(t *testing.T) {
	r := newRig(t)
	r.enrolled()
	img := r.image()
	op, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Image: img.Name})
	if err != nil {
		t.Fatal(err)
	}
	a := r.next("key-1", api.VerbWrite)
	// Somebody read the boot script from the wire.
	if _, err := r.service.Register(ctx, api.Registration{Token: r.token}, "thief", netip.MustParseAddr("192.0.2.66")); !errors.Is(err, provision.ErrToken) {
		t.Fatalf("the thief was answered: %v", err)
	}
	r.eventually("the operation is stopped", func() bool { return r.operation(op.UID).State == inventory.OpCancelled })
	// Which of the two is the machine's cannot be told, so neither is heard any more.
	for _, key := range []string{"key-1", "thief"} {
		if answer, err := r.service.Progress(ctx, key, a.ID, api.Progress{}); !errors.Is(err, provision.ErrAgent) && !answer.Stop {
			t.Errorf("%s may go on: %+v, %v", key, answer, err)
		}
		if _, err := r.service.Next(ctx, key, api.NextRequest{}); !errors.Is(err, provision.ErrAgent) {
			t.Errorf("%s gets work: %v", key, err)
		}
		if err := r.service.Report(ctx, key, facts()); !errors.Is(err, provision.ErrAgent) {
			t.Errorf("%s is believed: %v", key, err)
		}
	}
}

func TestCancelEndsTheRightToWriteAtOnce(t *testing.T) {
	r := newRig(t)
	r.enrolled()
	img := r.image()
	op, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Image: img.Name})
	if err != nil {
		t.Fatal(err)
	}
	a := r.next("key-1", api.VerbWrite)
	if _, err := r.service.Progress(ctx, "key-1", a.ID, api.Progress{Done: 4096, Total: 8192}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.service.Cancel(ctx, admin(), string(op.UID)); err != nil {
		t.Fatalf("cancel: %v", err)
	}
	if answer, err := r.service.Progress(ctx, "key-1", a.ID, api.Progress{Done: 8192}); err != nil || !answer.Stop {
		t.Errorf("after the cancel the agent is told %+v, %v", answer, err)
	}
	r.eventually("the operation has ended", func() bool { return r.operation(op.UID).State == inventory.OpCancelled })
	d := r.device()
	if d.ProvisionState != inventory.StateQuarantined || !strings.Contains(d.StateReason, "does not boot") {
		t.Errorf("the machine is %s: %s", d.ProvisionState, d.StateReason)
	}
	if err := r.service.Result(ctx, "key-1", a.ID, written(a)); !errors.Is(err, provision.ErrRevoked) {
		t.Errorf("a late result: %v", err)
	}
}

func TestARestartResumesAtEveryStep(t *testing.T) {
	r := newRig(t)
	r.enrolled()
	img := r.image()
	op, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Image: img.Name})
	if err != nil {
		t.Fatal(err)
	}
	restart := func() { r.stop(); r.start() }
	restart()
	// After a restart nobody knows that the agent is there until it asks; it does so within its poll.
	a := r.next("key-1", api.VerbWrite)
	restart()
	if again := r.next("key-1", api.VerbWrite); again.ID != a.ID {
		t.Fatalf("the restart made another assignment: %s, %s", again.ID, a.ID)
	}
	if err := r.service.Result(ctx, "key-1", a.ID, written(a)); err != nil {
		t.Fatal(err)
	}
	restart()
	reboot := r.next("key-1", api.VerbReboot)
	if err := r.service.Result(ctx, "key-1", reboot.ID, api.Result{}); err != nil {
		t.Fatal(err)
	}
	restart()
	r.eventually("it waits for the system", func() bool { return r.operation(op.UID).StepName == "await-system" })
	if err := r.service.Booted(ctx, bootToken(t, a.Write.Seed.UserData), api.BootReport{}); err != nil {
		t.Fatal(err)
	}
	restart()
	r.eventually("the operation is done", func() bool { return r.operation(op.UID).State == inventory.OpDone })
}

func TestNothingIsWrittenToAMachineNobodyAccepted(t *testing.T) {
	r := newRig(t)
	r.boot("key-1")
	if err := r.service.Report(ctx, "key-1", facts()); err != nil {
		t.Fatal(err)
	}
	r.eventually("the enrolment ends", func() bool { return r.device().Operation == "" })
	img := r.image()
	_, err := r.service.Deploy(ctx, admin(), string(r.device().UID), api.DeployRequest{Image: img.Name})
	var conflict *inventory.Conflict
	if !errors.As(err, &conflict) || !strings.Contains(conflict.Why, "accept it first") {
		t.Errorf("deploy: %v", err)
	}
	if a, err := r.service.Next(ctx, "key-1", api.NextRequest{}); err != nil || a.Verb != api.VerbWait {
		t.Errorf("the agent is told %+v, %v", a, err)
	}
}

func TestForeignDataNeedsConsent(t *testing.T) {
	r := newRig(t)
	r.boot("key-1")
	f := facts()
	f.Disks[0].Contents = []inventory.ContentFact{{Kind: "lvm", UUID: "abc"}}
	if err := r.service.Report(ctx, "key-1", f); err != nil {
		t.Fatal(err)
	}
	r.eventually("the enrolment ends", func() bool { return r.device().Operation == "" })
	if _, err := r.service.Accept(ctx, admin(), string(r.device().UID), api.AcceptRequest{Name: "node-1"}); err != nil {
		t.Fatal(err)
	}
	img := r.image()
	if _, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Image: img.Name}); err == nil {
		t.Fatal("deployed over somebody's volume group")
	}
	plan, err := r.service.Plan(ctx, "node-1", api.DeployRequest{Image: img.Name})
	if err != nil || len(plan.NeedsConsent) == 0 || len(plan.Destroyed) == 0 {
		t.Fatalf("plan: %+v, %v", plan, err)
	}
	consent := consentTo(plan)
	if _, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Image: img.Name, Consent: consent}); err != nil {
		t.Fatalf("deploy with consent: %v", err)
	}
	a := r.next("key-1", api.VerbWrite)
	if len(a.Write.Consent) != 1 || a.Write.Ours {
		text, _ := json.Marshal(a.Write)
		t.Errorf("the agent is told: %s", text)
	}
}

// What a source sees of a kind that nobody listed is the record's first word on it; what it sees otherwise than listed is a deviation.
func TestTheFirstSightOfAKindIsNoDeviation(t *testing.T) {
	r := newRig(t)
	d := r.enrolled()
	parts := func() (kinds []string) {
		list, err := inventory.List[inventory.Component](ctx, r.store, inventory.Query{Sort: "kind"})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			kinds = append(kinds, c.Kind+" "+c.Serial)
		}
		slices.Sort(kinds)
		return kinds
	}
	deviations := func() []*inventory.Deviation {
		list, err := inventory.List[inventory.Deviation](ctx, r.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("verdict", "open")}})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	f := facts()
	f.PSUs = []inventory.PSUFacts{{Slot: "PSU1", Serial: "PSU-1"}}
	if err := r.service.Report(ctx, "key-1", f); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(parts(), ", "), "disk DISK-1, memory DIMM-1, nic "+mac+", psu PSU-1"; got != want || len(deviations()) != 0 {
		t.Fatalf("parts of %s: %s; deviations %v", d.Name, got, deviations())
	}
	f.DIMMs = nil // not reported: unknown, and no deviation
	f.PSUs = append(f.PSUs, inventory.PSUFacts{Slot: "PSU2", Serial: "PSU-2"})
	if err := r.service.Report(ctx, "key-1", f); err != nil {
		t.Fatal(err)
	}
	open := deviations()
	if len(open) != 1 || !strings.Contains(open[0].Observed, "PSU-2") {
		t.Fatalf("deviations: %+v", open)
	}
	if err := r.service.Verdict(ctx, admin(), string(open[0].UID), "take_observed", "it was added"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(parts(), ", "); !strings.HasSuffix(got, "psu PSU-1, psu PSU-2") {
		t.Errorf("after the verdict: %s", got)
	}
}

// A machine with a new board is written again only after a person took the new board as this machine's.
func TestANewBoardIsTakenByAPerson(t *testing.T) {
	r := newRig(t)
	r.enrolled()
	f := facts()
	f.System.UUID = "7d1f0b2a-93c4-4e1d-a6f0-2b9d8c7e6f51"
	if err := r.service.Report(ctx, "key-1", f); err != nil {
		t.Fatal(err)
	}
	open, err := inventory.List[inventory.Deviation](ctx, r.store, inventory.Query{})
	if err != nil || len(open) != 1 || open[0].Part != "system" {
		t.Fatalf("deviations: %+v, %v", open, err)
	}
	if err := r.service.Verdict(ctx, admin(), string(open[0].UID), "take_observed", "the board was changed"); err != nil {
		t.Fatal(err)
	}
	if d := r.device(); d.SystemUUID != f.System.UUID {
		t.Errorf("the record says %s", d.SystemUUID)
	}
}
