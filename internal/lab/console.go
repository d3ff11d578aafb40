package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"berth/internal/lab/qemu"
)

// consolePoll is how often a follower of a console looks for more.
const consolePoll = 100 * time.Millisecond

// consolePath is the file of one boot's serial output.
func consolePath(dir string, boot int) string {
	return filepath.Join(dir, fmt.Sprintf("console-%04d.log", boot))
}

// lastConsole is the number of the newest boot of which there is output, or 0.
func lastConsole(dir string) int {
	files, err := filepath.Glob(filepath.Join(dir, "console-*.log"))
	if err != nil || len(files) == 0 {
		return 0
	}
	last := 0
	for _, f := range files {
		n := 0
		if _, err := fmt.Sscanf(filepath.Base(f), "console-%d.log", &n); err == nil {
			last = max(last, n)
		}
	}
	return last
}

// Console is the serial output of the current or last boot so far, at most its
// last part of 1 MiB.
func (m *Machine) Console() (string, error) {
	n := lastConsole(m.dir)
	if n == 0 {
		return "", nil
	}
	f, err := os.Open(consolePath(m.dir, n))
	if err != nil {
		return "", fmt.Errorf("console of %s: %w", m.Name(), err)
	}
	defer f.Close()
	const most = 1 << 20
	if info, err := f.Stat(); err == nil && info.Size() > most {
		if _, err := f.Seek(-most, io.SeekEnd); err != nil {
			return "", fmt.Errorf("console of %s: %w", m.Name(), err)
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, most))
	return string(data), err
}

// Follow copies the serial output to w as it comes, over reboots, from the
// beginning of the current or next boot until ctx ends, which is no error.
func (m *Machine) Follow(ctx context.Context, w io.Writer) error {
	return m.follow(ctx, max(lastConsole(m.dir), 1), func(_ int, part []byte) (bool, error) {
		_, err := w.Write(part)
		return false, err
	})
}

// WaitConsole waits until the serial output of any boot from number first on
// holds a text, and returns the number of that boot. first 0 is the current one.
func (m *Machine) WaitConsole(ctx context.Context, first int, text string) (boot int, err error) {
	if first == 0 {
		first = max(lastConsole(m.dir), 1)
	}
	var window []byte
	at, found := 0, false
	err = m.follow(ctx, first, func(n int, part []byte) (bool, error) {
		if n != at {
			at, window = n, nil
		}
		window = append(window, part...)
		if found = bytes.Contains(window, []byte(text)); found {
			return true, nil
		}
		if keep := len(text); len(window) > keep {
			window = append(window[:0:0], window[len(window)-keep:]...)
		}
		return false, nil
	})
	if err == nil && !found {
		err = ctx.Err()
	}
	if err != nil {
		return at, fmt.Errorf("wait for %q on the console of %s: %w", text, m.Name(), err)
	}
	return at, nil
}

// follow hands the output of boot n and the ones after it to see, in order,
// until see is done or ctx ends.
func (m *Machine) follow(ctx context.Context, n int, see func(boot int, part []byte) (done bool, err error)) error {
	var f *os.File
	defer func() { f.Close() }()
	buf := make([]byte, 32<<10)
	for {
		if f == nil {
			var err error
			if f, err = os.Open(consolePath(m.dir, n)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("follow the console of %s: %w", m.Name(), err)
			}
		}
		// Asked before the read: what a boot wrote before the next one began is
		// then read before the file is left.
		newer := lastConsole(m.dir) > n
		got, err := f.Read(buf) // of a nil file: an error and no bytes
		if got > 0 {
			if done, err := see(n, buf[:got]); done || err != nil {
				return err
			}
			continue
		}
		if newer && err != nil {
			f.Close()
			f, n = nil, n+1
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(consolePoll):
		}
	}
}

// AttachConsole connects to the serial port of the running machine, to read and
// to type. One client at a time; the log goes on being written.
func (m *Machine) AttachConsole(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", qemu.Launch{Dir: m.run}.ConsoleSocket())
	if err != nil {
		return nil, fmt.Errorf("attach to the console of %s: %w", m.Name(), err)
	}
	return conn, nil
}
