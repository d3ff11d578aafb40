package boot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// consoleQueue is how many sentences wait for a slow serial line; more are dropped rather than waited for.
const consoleQueue = 256

// Console writes sentences to every console of the kernel, and to its log. A console that does not take them (a serial port with
// flow control and nobody behind it) holds up nobody.
type Console struct {
	fds   []int
	kmsg  string // the kernel's log, "" for none
	lines chan string
	idle  sync.WaitGroup // sentences not yet written
}

// NewConsole starts a console. It lives as long as the process.
func NewConsole() *Console {
	c := &Console{fds: openConsoles("/"), kmsg: "/dev/kmsg", lines: make(chan string, consoleQueue)}
	go c.write()
	return c
}

// Say writes a sentence, with the seconds since the kernel started before it.
func (c *Console) Say(format string, args ...any) {
	line := fmt.Sprintf("berth %7.2f  %s\n", uptime().Seconds(), fmt.Sprintf(format, args...))
	c.idle.Add(1)
	select {
	case c.lines <- line:
	default:
		c.idle.Done()
	}
}

// Flush waits until everything said is written, no longer than limit.
func (c *Console) Flush(limit time.Duration) {
	done := make(chan struct{})
	go func() { c.idle.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(limit):
	}
}

func (c *Console) write() {
	for line := range c.lines {
		for _, fd := range c.fds {
			writeSome(fd, strings.ReplaceAll(line, "\n", "\r\n"), time.Second)
		}
		c.logToKernel(line)
		c.idle.Done()
	}
}

// openConsoles opens what the kernel writes to, such as tty0 and ttyS0, never waiting for a line to be ready, and never becoming
// the session that a key combination interrupts.
func openConsoles(root string) []int {
	raw, _ := os.ReadFile(filepath.Join(root, "sys/class/tty/console/active"))
	names := strings.Fields(string(raw))
	if len(names) == 0 {
		names = []string{"console"}
	}
	var open []int
	for _, name := range names {
		fd, err := unix.Open(filepath.Join(root, "dev", name), unix.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == nil {
			open = append(open, fd)
		}
	}
	return open
}

// writeSome writes as much of text as the line takes within limit.
func writeSome(fd int, text string, limit time.Duration) {
	deadline := time.Now().Add(limit)
	for len(text) > 0 && time.Now().Before(deadline) {
		n, err := unix.Write(fd, []byte(text))
		switch {
		case n > 0:
			text = text[n:]
		case err == unix.EAGAIN:
			unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 100) // a timeout is as good as an answer
		case err != unix.EINTR:
			return
		}
	}
}

// logToKernel keeps a line in the kernel's own log, at the level of debugging so that it is not shown twice.
func (c *Console) logToKernel(line string) {
	fd, err := unix.Open(c.kmsg, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	unix.Write(fd, []byte("<7>"+line)) // there is nowhere left to complain to
}

// uptime is the age of the kernel.
func uptime() time.Duration {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return 0
	}
	return time.Duration(now.Nano())
}
