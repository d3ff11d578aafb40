package qemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTime is how long QEMU may take until it listens to its monitor. It is
// generous: a busy machine with two cores needs seconds.
const startTime = time.Minute

// Process is a running QEMU.
type Process struct {
	cmd     *exec.Cmd
	monitor *monitor
	done    chan struct{} // closed when the process is gone and waited for
	stderr  *tail

	mu  sync.Mutex
	cpu time.Duration // valid once done is closed
}

// Start starts a server. The process is started by start, so that the caller
// chooses its namespace and what becomes of it when the caller dies.
func Start(ctx context.Context, l Launch, start func(*exec.Cmd) error) (*Process, error) {
	if err := l.prepare(); err != nil {
		return nil, fmt.Errorf("start %s: %w", l.Server.Name, err)
	}
	cmd := exec.Command(Binary, l.Args()...)
	p := &Process{cmd: cmd, done: make(chan struct{}), stderr: &tail{}}
	cmd.Stdout, cmd.Stderr = p.stderr, p.stderr
	if err := start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", l.Server.Name, err)
	}
	go p.wait()
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := p.connect(ctx, l.qmpSocket()); err != nil {
		p.Kill()
		return nil, fmt.Errorf("start %s: %w", l.Server.Name, err)
	}
	return p, nil
}

// prepare writes the memory tables and removes the sockets of the last start.
func (l Launch) prepare() error {
	for i, d := range l.Server.DIMMs {
		if err := os.WriteFile(l.memoryTable(i), memoryDevice(i, d), 0o600); err != nil {
			return fmt.Errorf("write SMBIOS table: %w", err)
		}
	}
	for _, socket := range []string{l.qmpSocket(), l.ConsoleSocket()} {
		if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove an old socket: %w", err)
		}
	}
	return nil
}

// connect waits for the monitor.
func (p *Process) connect(ctx context.Context, socket string) error {
	for {
		m, err := dialMonitor(ctx, socket)
		if err == nil {
			p.monitor = m
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("QEMU ended at once: %s", p.stderr)
		case <-ctx.Done():
			return fmt.Errorf("QEMU's monitor does not answer: %w", errors.Join(err, ctx.Err()))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// wait reaps the process and notes the CPU time it used.
func (p *Process) wait() {
	err := p.cmd.Wait()
	p.mu.Lock()
	if s := p.cmd.ProcessState; s != nil {
		p.cpu = s.UserTime() + s.SystemTime()
	}
	p.mu.Unlock()
	if err != nil {
		p.stderr.Write([]byte(err.Error()))
	}
	close(p.done)
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process is gone.
func (p *Process) Done() <-chan struct{} { return p.done }

// Events are what QEMU tells; the channel is closed when it ends.
func (p *Process) Events() <-chan Event { return p.monitor.events }

// Said is the end of what QEMU printed, for error messages.
func (p *Process) Said() string { return p.stderr.String() }

// CPUTime is user and system time used so far, or in all when it has ended.
func (p *Process) CPUTime() time.Duration {
	select {
	case <-p.done:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.cpu
	default:
		t, err := cpuTime(p.PID())
		if err != nil { // it ended just now
			<-p.done
			return p.CPUTime()
		}
		return t
	}
}

// Kill ends the process without a word, and waits for it.
func (p *Process) Kill() {
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return
	}
	<-p.done
}

// quitTime is how long QEMU may take to close its disks.
const quitTime = 20 * time.Second

// Quit lets QEMU write back what it holds and end, and kills it when it does not.
func (p *Process) Quit() {
	ctx, cancel := context.WithTimeout(context.Background(), quitTime)
	defer cancel()
	// The answer may be lost with the connection, which is as good.
	_ = p.monitor.do(ctx, "quit", nil)
	select {
	case <-p.done:
	case <-ctx.Done():
		p.Kill()
	}
}

// Powerdown presses the power button: an ACPI event, which the operating system
// may follow.
func (p *Process) Powerdown(ctx context.Context) error {
	return p.monitor.do(ctx, "system_powerdown", nil)
}

// NMI injects a non-maskable interrupt.
func (p *Process) NMI(ctx context.Context) error { return p.monitor.do(ctx, "inject-nmi", nil) }

// SetLink plugs or pulls the cable of a port.
func (p *Process) SetLink(ctx context.Context, nic string, up bool) error {
	return p.monitor.do(ctx, "set_link", map[string]any{"name": nic, "up": up})
}

// tail keeps the end of what was written to it.
type tail struct {
	mu   sync.Mutex
	data []byte
}

const tailSize = 4096

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, b...)
	if len(t.data) > tailSize {
		t.data = bytes.Clone(t.data[len(t.data)-tailSize:])
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.data))
}
