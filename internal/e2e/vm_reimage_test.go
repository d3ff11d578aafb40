package e2e

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/api"
	"berth/internal/lab"
	"berth/internal/lab/hardware"
	"berth/internal/lab/stand"
	"berth/inventory"
)

// kills is how often the server is killed on virtual machines: none where that was not asked for.
func kills() int {
	switch {
	case os.Getenv("BERTH_TEST_SOAK") != "":
		return 20
	case os.Getenv("BERTH_TEST_FULL") != "":
		return 3
	}
	return 0
}

// TestReimageThroughTheBMCWhileTheServerIsKilled deploys a UEFI machine, and reimages it from the command line by way of its BMC, with
// the server killed at seeded moments of both.
func TestReimageThroughTheBMCWhileTheServerIsKilled(t *testing.T) {
	build := needMachines(t)
	if kills() == 0 {
		t.Skip("SKIPPED: takes a quarter of an hour; BERTH_TEST_FULL=1 runs it, as `make test-full` does")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(30+5*kills())*time.Minute)
	defer cancel()
	s := newVMSite(ctx, t, build)
	s.enrol(ctx, t)
	deployed := s.killing(ctx, t, rand.New(rand.NewPCG(seed, 1)), kills()/2, func() error {
		return s.berth(ctx, "deploy", s.machine.Name(), "--image", "debian", "--wait")
	})
	if deployed.Machine.ProvisionState != inventory.StateDeployed {
		t.Fatalf("after the deploy: %s, %s", deployed.Machine.ProvisionState, deployed.Machine.StateReason)
	}
	boots := len(s.machine.Boots())
	again := s.killing(ctx, t, rand.New(rand.NewPCG(seed, 2)), kills()-kills()/2, func() error {
		return s.berth(ctx, "reimage", s.machine.Name(), "--image", "debian", "--wait", "--why", "the test")
	})
	if again.Machine.ProvisionState != inventory.StateDeployed {
		t.Fatalf("after the reimage: %s, %s", again.Machine.ProvisionState, again.Machine.StateReason)
	}
	if got := len(s.machine.Boots()) - boots; got < 2 {
		t.Errorf("the reimage started the machine %d times; the agent and the system are two", got)
	}
}

// vmSite is a stand with one machine.
type vmSite struct {
	*stand.Stand
	machine *lab.Machine
	build   string
}

func newVMSite(ctx context.Context, t *testing.T, build string) *vmSite {
	t.Helper()
	spec := lab.DefaultSpec()
	spec.Name, spec.Cache = "e2e", "unsafe"
	for _, m := range spec.Machines {
		if m.Firmware == hardware.UEFI {
			spec.Machines = []lab.MachineSpec{m}
		}
	}
	s, err := stand.Start(ctx, stand.Options{Spec: spec, Dir: t.TempDir(), Berth: filepath.Join(build, "berth")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			if text, err := s.Rack.Machines()[0].Console(); err == nil {
				t.Logf("the console:\n%s", text[max(0, len(text)-4000):])
			}
		}
		if err := s.Stop(); err != nil {
			t.Errorf("take the stand down: %v", err)
		}
	})
	return &vmSite{Stand: s, machine: s.Rack.Machines()[0], build: build}
}

// berth runs the command line as a person does.
func (s *vmSite) berth(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.build, "berth"), args...)
	cmd.Env = append(os.Environ(), "BERTH_URL="+s.URL, "BERTH_TOKEN="+s.Token(), "BERTH_PIN="+s.Pin())
	out, err := cmd.CombinedOutput()
	if err != nil {
		return &commandError{args: args, out: string(out), err: err}
	}
	return nil
}

type commandError struct {
	args []string
	out  string
	err  error
}

func (e *commandError) Error() string {
	return "berth " + strings.Join(e.args, " ") + ": " + e.err.Error() + "\n" + e.out
}

// enrol leads the machine to ready, its image and its BMC on record.
func (s *vmSite) enrol(ctx context.Context, t *testing.T) {
	t.Helper()
	if err := s.berth(ctx, "image", "import", filepath.Join(s.build, "image", "debian-12-demo.raw"), "--name", "debian"); err != nil {
		t.Fatal(err)
	}
	if err := s.machine.PressPowerButton(ctx); err != nil {
		t.Fatal(err)
	}
	var found inventory.Device
	s.eventually(ctx, t, "the machine is discovered", func() bool {
		page, err := s.Client.Machines(ctx, api.Query{})
		if err != nil || len(page.Items) != 1 {
			return false
		}
		found = page.Items[0]
		return found.ProvisionState == inventory.StateDiscovered && found.Operation == ""
	})
	if err := s.berth(ctx, "machine", "accept", string(found.UID), "--name", s.machine.Name()); err != nil {
		t.Fatal(err)
	}
	username, password := s.machine.BMC().Credentials()
	protocol := s.machine.BMC().Protocol()
	_, err := api.Create(ctx, s.Client, &inventory.BMC{Device: found.UID, Kind: string(protocol), Address: s.machine.BMC().Endpoint(protocol).String(),
		Username: username, Password: inventory.PlainSecret(password)})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *vmSite) eventually(ctx context.Context, t *testing.T, what string, ok func() bool) {
	t.Helper()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-time.After(time.Second):
		}
	}
}

// killing runs work while the server is killed n times at moments from rng, and started again after a short while.
func (s *vmSite) killing(ctx context.Context, t *testing.T, rng *rand.Rand, n int, work func() error) *api.MachineStatus {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- work() }()
	for range n {
		select {
		case err := <-done:
			done <- err
		case <-time.After(time.Duration(5+rng.IntN(60)) * time.Second):
			if err := s.Kill(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rng.IntN(5000)) * time.Millisecond)
			if err := s.StartServer(ctx); err != nil {
				t.Fatal(err)
			}
			t.Log("the server was killed and started again")
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	status, err := s.Client.Machine(ctx, s.machine.Name())
	if err != nil {
		t.Fatal(err)
	}
	return status
}
