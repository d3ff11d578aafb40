package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"berth/internal/lab/qemu"
	"berth/internal/lab/wire"
)

// stateFile, in a rack's directory, says what a rack has in the world outside
// it, so that what a killed process left can be found and taken away.
const stateFile = "lab.json"

// runPrefix begins the name of the directory of a rack's sockets. It is short
// and outside the rack's own, since a socket's path has at most 107 bytes.
const runPrefix = "berth-lab-"

type state struct {
	Name      string
	Namespace string
	Run       string // directory of sockets
	Owner     processID
	Machines  []processID // running QEMUs
}

// processID names a process for ever: ids are used again, but not with the same
// start time.
type processID struct {
	PID     int
	Started uint64 // clock ticks since the machine started
	Name    string
}

func newProcessID(pid int, name string) (processID, error) {
	started, err := qemu.StartTime(pid)
	if err != nil {
		return processID{}, fmt.Errorf("identify process %d: %w", pid, err)
	}
	return processID{PID: pid, Started: started, Name: name}, nil
}

// alive reports whether that very process is there.
func (p processID) alive() bool {
	started, err := qemu.StartTime(p.PID)
	return err == nil && started == p.Started && !zombie(p.PID)
}

// zombie reports whether a process has ended and only waits for its parent: its state in /proc/PID/stat, behind its name in parentheses, is Z
// or X (proc(5)). An empty command line is no sign of it: a process has none while it executes another program.
func zombie(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	end := bytes.LastIndexByte(data, ')')
	return err == nil && end > 0 && len(data) > end+2 && (data[end+2] == 'Z' || data[end+2] == 'X')
}

// runs reports whether its command line names a file below dir.
func (p processID) runs(dir string) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
	return err == nil && strings.Contains(string(data), dir+"/")
}

func readState(dir string) (state, error) {
	var s state
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("%s: %w", filepath.Join(dir, stateFile), err)
	}
	return s, nil
}

// write replaces the state file as a whole.
func (s state) write(dir string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the state of the lab: %w", err)
	}
	path := filepath.Join(dir, stateFile)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("write the state of the lab: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write the state of the lab: %w", err)
	}
	return nil
}

// ErrRunning says that a live process has a rack in this directory.
var ErrRunning = errors.New("a lab is running here")

// Clean takes away what a killed process left of a rack in dir: machines, the
// namespace, sockets. Disks and consoles stay. It returns ErrRunning when the
// process is alive, and nil when there is nothing.
func Clean(dir string) error {
	s, err := readState(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if s.Owner.alive() {
		return fmt.Errorf("%s: %w, process %d", dir, ErrRunning, s.Owner.PID)
	}
	var errs []error
	for _, p := range s.Machines {
		errs = append(errs, killLeft(p, s.Run))
	}
	if s.Namespace != "" {
		errs = append(errs, wire.Remove(s.Namespace))
	}
	errs = append(errs, removeRun(s.Run), os.Remove(filepath.Join(dir, stateFile)))
	return errors.Join(errs...)
}

// killTime is how long a killed process may take to be gone.
const killTime = 30 * time.Second

// killLeft kills a machine that outlived its lab, when it is still the one that
// the lab started.
func killLeft(p processID, run string) error {
	if !p.alive() || !p.runs(run) {
		return nil
	}
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill %s, process %d: %w", p.Name, p.PID, err)
	}
	for end := time.Now().Add(killTime); p.alive(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%s, process %d, does not die", p.Name, p.PID)
		}
	}
	return nil
}

// removeRun removes the directory of sockets, when it is one.
func removeRun(run string) error {
	if run == "" || filepath.Dir(run) != filepath.Clean(os.TempDir()) || !strings.HasPrefix(filepath.Base(run), runPrefix) {
		return nil
	}
	return os.RemoveAll(run)
}

// Down ends the rack in dir from another process: it asks the one that has it to
// end, waits until that is gone, and cleans up what is left.
func Down(ctx context.Context, dir string) error {
	s, err := readState(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if s.Owner.PID == os.Getpid() {
		return fmt.Errorf("take the lab in %s down: it is this process's own", dir)
	}
	if s.Owner.alive() {
		if err := syscall.Kill(s.Owner.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop process %d: %w", s.Owner.PID, err)
		}
	}
	for s.Owner.alive() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for process %d to end: %w", s.Owner.PID, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return Clean(dir)
}
