package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"berth/api"
	"berth/inventory"
)

// Server is the built program at work on one record, on loopback addresses.
type Server struct {
	Berth string          // the program
	Dir   string          // where its state, its key and its log are
	DSN   string          // of PostgreSQL; empty is SQLite
	Level inventory.Level // of the token that asks
	// Patience bounds how long it may take to be ready, and to answer.
	Patience time.Duration

	cmd   *exec.Cmd
	url   string
	token string
	http  *http.Client
}

// Run runs another command of the program on the same record, and returns how much memory that took at most, in bytes.
func (s *Server) Run(ctx context.Context, args ...string) (int64, error) {
	cmd := exec.CommandContext(ctx, s.Berth, append(args, s.record()...)...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("berth %s: %w\n%s", strings.Join(args, " "), err, text)
	}
	usage, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return usage.Maxrss << 10, nil
}

func (s *Server) record() []string {
	args := []string{"--data", filepath.Join(s.Dir, "state"), "--key", filepath.Join(s.Dir, "state.key")}
	if s.DSN != "" {
		args = append(args, "--database", s.DSN)
	}
	return args
}

// Start serves the record and waits until it is ready. Who starts it stops it.
func (s *Server) Start(ctx context.Context) error {
	people, err := freePort(ctx)
	if err != nil {
		return err
	}
	machines, err := freePort(ctx)
	if err != nil {
		return err
	}
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), s.Berth, append([]string{"serve", "--http", people, "--boot", machines, "--tftp", "off", "--dhcp", "off"}, s.record()...)...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	log, err := os.Create(filepath.Join(s.Dir, "berth.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.url = "https://" + people
	// It is our own child on a loopback address.
	s.http = &http.Client{Timeout: s.Patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 32}}
	if err := s.ready(ctx); err != nil {
		return errors.Join(err, s.Stop())
	}
	return nil
}

// freePort finds a port that nobody has right now.
func freePort(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.Patience)
	defer cancel()
	for {
		if _, _, err := s.Get(ctx, "/readyz"); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			text, _ := os.ReadFile(filepath.Join(s.Dir, "berth.log")) // what it said, if it said anything
			return fmt.Errorf("the server was not ready: %w\n%s", ctx.Err(), text)
		case <-time.After(100 * time.Millisecond):
		}
	}
	socket := &api.Client{URL: "http+unix://" + filepath.Join(s.Dir, "state", "berth.sock")}
	made, err := socket.CreateToken(ctx, api.TokenRequest{Name: "bench", Level: s.Level})
	if err == nil {
		s.token = made.Token
	}
	return err
}

// Stop ends the server and waits for its end.
func (s *Server) Stop() error {
	err := s.cmd.Process.Signal(syscall.SIGTERM)
	return errors.Join(err, s.cmd.Wait())
}

// StatusError is an answer that is not what was asked for.
type StatusError struct {
	What   string
	Status int
	Body   []byte
}

func (e *StatusError) Error() string { return fmt.Sprintf("%s: %d %.300s", e.What, e.Status, e.Body) }

// Get asks once and returns the answer and how long its last byte took.
func (s *Server) Get(ctx context.Context, path string) ([]byte, time.Duration, error) {
	return s.Send(ctx, http.MethodGet, path, "", nil)
}

// Send is Get for any method, with a body of a type. Errors: *StatusError for an answer above 299.
func (s *Server) Send(ctx context.Context, method, path, contentType string, body []byte) ([]byte, time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	began := time.Now()
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = &StatusError{method + " " + path, resp.StatusCode, answer}
	}
	return answer, time.Since(began), err
}

// Spent is the user and system time of the server (proc(5), /proc/pid/stat, fields 14 and 15, in hundredths of a second).
func (s *Server) Spent() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The second field is a name in parentheses, which may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", s.cmd.Process.Pid, len(fields))
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// Resident is the server's resident memory in MB (VmRSS of /proc/pid/status).
func (s *Server) Resident() (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			return kb >> 10, err
		}
	}
	return 0, errors.New("/proc has no VmRSS")
}
