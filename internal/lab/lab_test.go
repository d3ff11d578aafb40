package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/internal/lab/hardware"
	"berth/internal/lab/vbmc"
)

func TestNewBMC(t *testing.T) {
	b, host, err := NewBMC(hardware.Server{Name: "alone"}, vbmc.Both)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Endpoint(vbmc.IPMI).Port() == 0 || b.Endpoint(vbmc.Redfish).Port() == 0 {
		t.Errorf("it listens on %v and %v", b.Endpoint(vbmc.IPMI), b.Endpoint(vbmc.Redfish))
	}
	if host.PowerState() != hardware.Off {
		t.Errorf("the server is %s, want off", host.PowerState())
	}
	if _, _, err := NewBMC(hardware.Server{Name: "no good"}, vbmc.Both); err == nil {
		t.Error("a server with a blank in its name was built")
	}
}

func TestSpecRefuses(t *testing.T) {
	one := MachineSpec{Server: hardware.Server{Name: "one"}}
	two := MachineSpec{Server: hardware.Server{Name: "two"}}
	twin := two
	twin.NICs = one.Server.Fill().NICs
	lodger := two
	lodger.SharesBMCOf = "one"
	cases := map[string]Spec{
		"no machines":       {},
		"rack name":         {Name: "../x", Machines: []MachineSpec{one}},
		"two machines":      {Machines: []MachineSpec{one, one}},
		"share the address": {Machines: []MachineSpec{one, twin}},
		"neither writeback": {Cache: "none", Machines: []MachineSpec{one}},
		"which has none":    {Machines: []MachineSpec{one, lodger}},
		"firmware":          {Machines: []MachineSpec{{Server: hardware.Server{Name: "x", Firmware: "open"}}}},
		"1 to 32 of a-z":    {Machines: []MachineSpec{{}}},
	}
	for want, spec := range cases {
		if _, err := spec.fill(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := DefaultSpec().fill(); err != nil {
		t.Errorf("the default rack cannot be built: %v", err)
	}
}

// TestRackWithoutPower looks at a rack in which every machine is off.
func TestRackWithoutPower(t *testing.T) {
	spec := DefaultSpec()
	spec.Machines = append(spec.Machines,
		MachineSpec{Server: hardware.Server{Name: "lodger"}, SharesBMCOf: "berta"},
		MachineSpec{Server: hardware.Server{Name: "naked", Disks: []hardware.Disk{}}})
	r := startRack(t, spec)
	berta := r.Machine("berta")
	if got, want := berta.BMC().Endpoint(vbmc.Redfish), netip.MustParseAddrPort("10.77.1.12:443"); got != want {
		t.Errorf("the second controller is at %s, want %s", got, want)
	}
	if r.Machine("lodger").BMC() != berta.BMC() || r.Machine("naked").BMC() != nil || r.Machine("x") != nil {
		t.Error("controllers are not where they were ordered")
	}
	if r.BootAddr().String() != "10.77.0.1" || r.BMCAddr().String() != "10.77.1.1" {
		t.Errorf("the server's addresses are %s and %s", r.BootAddr(), r.BMCAddr())
	}
	info, err := os.Stat(berta.Server().Disks[0].File)
	if err != nil || info.Size() != 4<<30 {
		t.Errorf("the disk: %v, %v", info, err)
	}
	c, err := r.Dial(t.Context(), "tcp", "10.77.1.12:443")
	if err != nil {
		t.Fatalf("the controller does not listen: %v", err)
	}
	c.Close()
	if out, err := r.Run(t.Context(), "ip", "-o", "addr"); err != nil || !strings.Contains(out, "10.77.1.11") {
		t.Errorf("addresses inside: %v\n%s", err, out)
	}
	if out, err := r.Run(t.Context(), "false"); err == nil {
		t.Errorf("a failing program succeeded: %s", out)
	}
	if f, err := r.Forward("127.0.0.1:0", "10.77.1.12:443"); err != nil {
		t.Error(err)
	} else if _, _, ok := strings.Cut(f.Addr(), "127.0.0.1:"); !ok {
		t.Errorf("it forwards from %s", f.Addr())
	}
	if _, err := Start(t.Context(), spec, r.Dir()); !errors.Is(err, ErrRunning) {
		t.Errorf("a second rack in the same directory: %v", err)
	}
	if err := berta.Change(func(s *hardware.Server) { s.DIMMs[1] = hardware.DIMM{Slot: "DIMM_A2", SizeMiB: 512} }); err != nil || berta.Server().MemoryMiB() != 1536 {
		t.Errorf("memory is %d MiB, %v", berta.Server().MemoryMiB(), err)
	}
	if err := berta.Change(func(s *hardware.Server) { s.DIMMs = nil }); err == nil {
		t.Error("a server without memory was accepted")
	}
	for _, slot := range []string{"bay10", "bay2"} {
		if err := berta.Plug(hardware.Disk{Slot: slot, Size: 4096}); err != nil {
			t.Fatal(err)
		}
	}
	if disks := berta.Server().Disks; len(disks) != 3 || disks[1].Slot != "bay2" || disks[2].Slot != "bay10" {
		t.Errorf("disks are %+v", disks)
	}
}

// TestRackIsTheSameAgain starts a rack twice in one directory.
func TestRackIsTheSameAgain(t *testing.T) {
	needRack(t, DefaultSpec())
	dir := t.TempDir()
	var disk, cert []byte
	for round := range 2 {
		r, err := Start(t.Context(), DefaultSpec(), dir)
		if err != nil {
			t.Fatal(err)
		}
		file := r.Machine("anna").Server().Disks[0].File
		if round == 0 {
			install(t, file)
		}
		gotDisk := readStart(t, file)
		gotCert := readStart(t, filepath.Join(dir, "machines", "berta", "bmc.pem"))
		if round == 0 {
			disk, cert = gotDisk, gotCert
		} else if string(gotDisk) != string(disk) || string(gotCert) != string(cert) {
			t.Error("disk or certificate changed between two starts")
		}
		if err := errors.Join(r.Stop(), r.Stop()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Connect(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after the end: %v", err)
	}
	if err := errors.Join(Clean(dir), Down(t.Context(), dir)); err != nil {
		t.Errorf("cleaning what is clean: %v", err)
	}
}

func readStart(t *testing.T, file string) []byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 1024)
	n, err := f.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// childDir makes this test binary a lab of its own in a directory; see
// TestMain and startChild.
const childDir = "BERTH_LAB_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := runChild(dir); err != nil {
			slog.Error("child", "err", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runChild runs a rack until SIGTERM, as berth lab up does.
func runChild(dir string) error {
	spec := Spec{Machines: []MachineSpec{{
		Server: hardware.Server{Name: "one", Disks: []hardware.Disk{{Size: 1 << 20}}},
		BMC:    vbmc.Config{Protocol: vbmc.Both},
	}}}
	r, err := Start(context.Background(), spec, dir)
	if err != nil {
		return err
	}
	fmt.Println(r.Namespace())
	done := make(chan os.Signal, 1)
	signal.Notify(done, syscall.SIGTERM)
	<-done
	return r.Stop()
}

// startChild starts a rack in another process and returns its namespace.
func startChild(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	needRack(t, DefaultSpec())
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the child did not start: %v", err)
	}
	return cmd, strings.TrimSpace(line)
}

// TestOrdersFromAnotherProcess asks a rack for its state and lets it do things,
// and ends it.
func TestOrdersFromAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	_, ns := startChild(t, dir)
	c, err := Connect(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Status(t.Context())
	if err != nil || len(s.Machines) != 1 || s.Namespace != ns || s.Machines[0].Power != hardware.Off || s.Machines[0].BMC.Addr != "10.77.1.11:443" {
		t.Fatalf("status: %+v, %v", s, err)
	}
	if err := c.Inject(t.Context(), "one", vbmc.Fault{Kind: vbmc.StuckOn, Times: 3}); err != nil {
		t.Fatal(err)
	}
	s, err = c.Status(t.Context())
	if err != nil || len(s.Machines[0].BMC.Faults) != 1 || s.Machines[0].BMC.Faults[0].Times != 3 {
		t.Errorf("faults: %+v, %v", s.Machines, err)
	}
	if err := errors.Join(c.Clear(t.Context(), "one"), c.SetLink(t.Context(), "one", "nic1", false)); err != nil {
		t.Error(err)
	}
	if err := c.Power(t.Context(), "one", "off"); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"an unknown machine": c.Power(t.Context(), "two", Button),
		"an unknown action":  c.Power(t.Context(), "one", "explode"),
		"an unknown port":    c.SetLink(t.Context(), "one", "nic9", true),
		"an unknown fault":   c.Inject(t.Context(), "one", vbmc.Fault{Kind: "fire"}),
	} {
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if err := Clean(dir); !errors.Is(err, ErrRunning) {
		t.Errorf("cleaning under a running lab: %v", err)
	}
	if err := Down(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	gone(t, "/run/netns/"+ns)
	gone(t, filepath.Join(dir, stateFile))
}

func gone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", path, err)
	}
}

// TestVMKilledLabIsCleanedUp kills a lab with a running machine.
func TestVMKilledLabIsCleanedUp(t *testing.T) {
	needVM(t)
	dir := t.TempDir()
	child, ns := startChild(t, dir)
	c, err := Connect(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Power(t.Context(), "one", string(hardware.PowerOn)); err != nil {
		t.Fatal(err)
	}
	left, err := readState(dir)
	if err != nil || len(left.Machines) != 1 || !left.Machines[0].alive() || !left.Machines[0].runs(left.Run) {
		t.Fatalf("the state is %+v, %v", left, err)
	}
	if err := child.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	for end := time.Now().Add(time.Minute); left.Machines[0].alive(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the machine outlives its lab")
		}
	}
	if _, err := os.Stat("/run/netns/" + ns); err != nil {
		t.Fatalf("the kill left nothing to clean: %v", err)
	}
	if err := Clean(dir); err != nil {
		t.Fatal(err)
	}
	gone(t, "/run/netns/"+ns)
	gone(t, left.Run)
	gone(t, filepath.Join(dir, stateFile))
}

// TestCleanSparesStrangers cleans after a lab whose process ids now belong to
// others.
func TestCleanSparesStrangers(t *testing.T) {
	stranger := exec.Command("sleep", "300")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { stranger.Process.Kill(); stranger.Wait() }()
	id, err := newProcessID(stranger.Process.Pid, "stranger")
	if err != nil {
		t.Fatal(err)
	}
	recycled := id
	recycled.Started--
	dir := t.TempDir()
	dead := processID{PID: id.PID, Started: id.Started - 1}
	s := state{Owner: dead, Run: "/tmp/not-ours", Machines: []processID{id, recycled}}
	if err := s.write(dir); err != nil {
		t.Fatal(err)
	}
	if err := Clean(dir); err != nil {
		t.Fatal(err)
	}
	if !id.alive() {
		t.Error("a stranger was killed")
	}
}

// TestCleanKillsLeftMachines finds a machine that outlived its lab.
func TestCleanKillsLeftMachines(t *testing.T) {
	run, err := os.MkdirTemp("", runPrefix)
	if err != nil {
		t.Fatal(err)
	}
	left := exec.Command("sh", "-c", "while :; do sleep 1; done # "+run+"/0")
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	go left.Wait()
	id, err := newProcessID(left.Process.Pid, "left")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := state{Owner: processID{PID: id.PID, Started: 1}, Run: run, Machines: []processID{id}}
	if err := s.write(dir); err != nil {
		t.Fatal(err)
	}
	if err := Clean(dir); err != nil {
		t.Fatal(err)
	}
	if id.alive() {
		t.Error("the machine lives")
	}
	gone(t, run)
}

func TestBrokenStateIsAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, stateFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Clean(dir); err == nil {
		t.Error("Clean took it for nothing")
	}
	if _, err := Connect(dir); err == nil {
		t.Error("Connect took it for a lab")
	}
}

// TestConsoleIsFollowedOverBoots writes the files of three boots by hand.
func TestConsoleIsFollowedOverBoots(t *testing.T) {
	m := &Machine{name: "one", dir: t.TempDir()}
	write := func(boot int, text string) {
		t.Helper()
		if err := os.WriteFile(consolePath(m.dir, boot), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(1, "firmware\nloader\n")
	write(2, "firmware\n")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if n, err := m.WaitConsole(ctx, 1, "ware\nload"); err != nil || n != 1 {
		t.Errorf("found in boot %d, %v", n, err)
	}
	go func() {
		time.Sleep(10 * time.Millisecond)
		os.WriteFile(consolePath(m.dir, 3), []byte(strings.Repeat("x", 100_000)+"login:"), 0o600)
	}()
	if n, err := m.WaitConsole(ctx, 0, "login:"); err != nil || n != 3 {
		t.Errorf("found in boot %d, %v", n, err)
	}
	short, cancelShort := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancelShort()
	if _, err := m.WaitConsole(short, 1, "never"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting in vain: %v", err)
	}
	var all strings.Builder
	again, cancelAgain := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancelAgain()
	if err := m.Follow(again, &all); err != nil || !strings.HasSuffix(all.String(), "login:") {
		t.Errorf("followed %d bytes, %v", all.Len(), err)
	}
	if text, err := m.Console(); err != nil || !strings.HasSuffix(text, "login:") {
		t.Errorf("the console has %d bytes, %v", len(text), err)
	}
}
