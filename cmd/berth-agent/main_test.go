//go:build linux

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/agent/agenttest"
	"berth/agent/look"
	"berth/api"
	"berth/inventory"
)

// TestMain lets the test binary be the agent, so that it can be killed as a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("BERTH_TEST_AGENT") != "" {
		os.Unsetenv("BERTH_TEST_AGENT")
		main()
	}
	os.Exit(m.Run())
}

const testLimit = time.Minute

// process is the agent as a process of its own.
type process struct {
	*exec.Cmd
	stdout, stderr bytes.Buffer
	done           chan struct{}
}

func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], args...), done: make(chan struct{})}
	p.Env = append(os.Environ(), "BERTH_TEST_AGENT=1")
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("stderr of %q:\n%s", args, &p.stderr)
		}
	})
	return p
}

// code waits for the end and returns the exit code.
func (p *process) code(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
		return p.ProcessState.ExitCode()
	case <-time.After(testLimit):
		t.Fatalf("the agent did not end within %s", testLimit)
		return -1
	}
}

func flags(s *agenttest.Server, disks ...*agenttest.Disk) []string {
	args := []string{"--url", s.URL(), "--pin", s.Pin, "--token", s.Token, "--state", "none"}
	var paths []string
	for _, d := range disks {
		paths = append(paths, d.Path)
	}
	if len(paths) > 0 {
		args = append(args, "--disks", strings.Join(paths, ","))
	}
	return args
}

func TestExitCodes(t *testing.T) {
	for verb, want := range map[api.Verb]int{api.VerbReboot: 0, api.VerbPowerOff: 10} {
		server := agenttest.Start(t)
		server.Assign(api.Assignment{ID: "a-1", Verb: verb})
		if got := startProcess(t, flags(server)...).code(t); got != want {
			t.Errorf("%s ends with %d, want %d", verb, got, want)
		}
	}
	for name, c := range map[string]struct {
		args []string
		want int
		says string
	}{
		"nothing":          {nil, 2, "--url, --pin and --token"},
		"a bad pin":        {[]string{"--url", "https://127.0.0.1:1", "--pin", "x", "--token", "t"}, 2, "pin"},
		"state":            {[]string{"--state", "/tmp", "--inspect"}, 2, "only none"},
		"a word":           {[]string{"inspect"}, 2, "not a flag"},
		"help":             {[]string{"--help"}, 0, "Exit codes"},
		"a file to refuse": {[]string{"--record", "/no/such/directory/x"}, 1, "record"},
	} {
		p := startProcess(t, c.args...)
		if got := p.code(t); got != c.want || !strings.Contains(p.stderr.String(), c.says) {
			t.Errorf("%s ends with %d and says %q; want %d and %q", name, got, &p.stderr, c.want, c.says)
		}
	}
}

func TestTerminatedAgentEnds(t *testing.T) {
	server := agenttest.Start(t)
	p := startProcess(t, flags(server)...)
	server.Wait(t, "the report", testLimit, func(s agenttest.State) bool { return len(s.Facts) > 0 })
	p.Process.Signal(syscall.SIGTERM)
	if got := p.code(t); got != 1 {
		t.Errorf("ended with %d", got)
	}
}

func TestInspectAndRecordAgree(t *testing.T) {
	d := agenttest.NewDisk(t, "NAMED-DISK", 8<<20, nil)
	file := filepath.Join(t.TempDir(), "machine.tar.gz")
	p := startProcess(t, "--inspect", "--record", file, "--disks", d.Path)
	if got := p.code(t); got != 0 {
		t.Fatalf("ended with %d", got)
	}
	var printed inventory.Facts
	if err := json.Unmarshal(p.stdout.Bytes(), &printed); err != nil {
		t.Fatal(err)
	}
	if len(printed.Disks) != 1 || printed.Disks[0].Serial != "NAMED-DISK" || !printed.Disks[0].ContentRead || printed.MemoryMiB == 0 || len(printed.CPUs) == 0 {
		t.Errorf("disks %+v, memory %d, CPUs %+v", printed.Disks, printed.MemoryMiB, printed.CPUs)
	}
	raw, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	recording, err := look.ReadRecording(raw)
	if err != nil {
		t.Fatal(err)
	}
	again := look.Facts(recording, printed.ObservedAt, "")
	// The list of PCI names is not in a recording.
	for i := range printed.PCI {
		printed.PCI[i].Name = ""
	}
	for i := range printed.NICs {
		printed.NICs[i].Model = ""
	}
	want, _ := json.Marshal(printed)
	if got, _ := json.Marshal(again); !bytes.Equal(got, want) {
		t.Errorf("the recording says\n%s\nthe machine said\n%s", got, want)
	}
}

func digestOf(b []byte) [32]byte { return sha256.Sum256(b) }

// An agent that is killed at any moment of a write leaves a disk that does not boot, or one that is completely written; and the next
// agent, on the next boot, brings it to an end.
func TestAgentKilledWhileItWrites(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 11))
			server := agenttest.Start(t)
			d, other := agenttest.NewDisk(t, "TARGET", 40<<20, nil), agenttest.NewDisk(t, "OTHER", 8<<20, []byte("precious"))
			before := digestOf(other.Bytes(t))
			img := agenttest.NewImage(t, 32<<20, seed)
			assignment := img.Write("w-1", d.Ref())
			assignment.Write.Ours = true // berth's record says so once it has handed out a write
			server.Assign(assignment)
			first := startProcess(t, flags(server, d, other)...)
			server.Wait(t, "the beginning of the write", testLimit, func(s agenttest.State) bool { return len(s.Progress) > 0 })
			time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
			first.Process.Kill()
			<-first.done
			raw := d.Bytes(t)
			if whole := bytes.Equal(raw[:len(img.Raw)], img.Raw); !whole && len(bytes.Trim(raw[:1<<20], "\x00")) > 0 {
				t.Error("a half-written disk has a boot sector")
			}
			server.Forget() // the next boot has a token and a key of its own
			second := startProcess(t, flags(server, d, other)...)
			if result := server.Result(t, "w-1", testLimit); result.Error != "" {
				t.Errorf("result %+v", result)
			}
			server.Assign(api.Assignment{ID: "end", Verb: api.VerbReboot})
			if got := second.code(t); got != 0 {
				t.Errorf("ended with %d", got)
			}
			if !bytes.Equal(d.Bytes(t)[:len(img.Raw)], img.Raw) {
				t.Error("the disk does not hold the image")
			}
			if digestOf(other.Bytes(t)) != before {
				t.Error("another disk was changed")
			}
		})
	}
}

// A server that is killed again and again while the agent writes is ridden out, and the write happens once.
func TestServerKilledWhileTheAgentWrites(t *testing.T) {
	server := agenttest.Start(t)
	d := agenttest.NewDisk(t, "TARGET", 40<<20, nil)
	img := agenttest.NewImage(t, 32<<20, 99)
	img.Gate(20 << 20)
	server.Assign(img.Write("w-1", d.Ref()))
	p := startProcess(t, flags(server, d)...)
	img.Reached(t)
	for range 3 {
		server.Stop()
		time.Sleep(300 * time.Millisecond)
		server.Restart(t)
		time.Sleep(1200 * time.Millisecond)
	}
	img.Open()
	if result := server.Result(t, "w-1", testLimit); result.Error != "" || result.Write.Digest != img.Manifest.Digest.String() {
		t.Errorf("result %+v", result)
	}
	server.Assign(api.Assignment{ID: "end", Verb: api.VerbReboot})
	if got := p.code(t); got != 0 {
		t.Errorf("ended with %d", got)
	}
	if state := server.State(); len(state.Registrations) != 1 || state.Handed[0] != "w-1" || state.Handed[len(state.Handed)-1] != "end" {
		t.Errorf("%d registrations, handed out %q", len(state.Registrations), state.Handed)
	}
	if !bytes.Equal(d.Bytes(t)[:len(img.Raw)], img.Raw) {
		t.Error("the disk does not hold the image")
	}
}

func TestWithoutDisksNoLoopDeviceExists(t *testing.T) {
	d := agenttest.NewDisk(t, "UNNAMED", 8<<20, nil)
	server := agenttest.Start(t)
	img := agenttest.NewImage(t, 1<<20, 1)
	server.Assign(img.Write("w-1", d.Ref()))
	startProcess(t, flags(server)...)
	if result := server.Result(t, "w-1", testLimit); !strings.Contains(result.Error, "has no disk") || result.Touched {
		t.Errorf("result %+v", result)
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"--url", "u", "--pin", "p", "--token", "t", "--disks", "/dev/loop0,/dev/loop1"}, &bytes.Buffer{})
	if err != nil || len(o.only()) != 2 || o.only()[1] != "/dev/loop1" {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err = parse([]string{"--inspect"}, &bytes.Buffer{}); err != nil || o.only() != nil {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := parse([]string{"--nonsense"}, &bytes.Buffer{}); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("an unknown flag: %v", err)
	}
}
