package main

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
)

// server is the built program at work on one database.
type server struct {
	options
	dir   string
	dsn   string
	cmd   *exec.Cmd
	pid   int
	url   string
	token string
	http  *http.Client
}

func (s *server) record() []string {
	args := []string{"--data", filepath.Join(s.dir, "state"), "--key", filepath.Join(s.dir, "state.key")}
	if s.dsn != "" {
		args = append(args, "--database", s.dsn)
	}
	return args
}

// seed fills the record and says how long that took, and how much memory.
func (s *server) seed(ctx context.Context) (string, error) {
	if _, err := os.Stat(filepath.Join(s.dir, "state", "berth.db")); err == nil {
		return "before", nil
	}
	began := time.Now()
	cmd := exec.CommandContext(ctx, s.berth, append([]string{"dev", "seed", "--assets", strconv.Itoa(s.assets), "--components", strconv.Itoa(10 * s.assets)}, s.record()...)...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fill the record: %w\n%s", err, text)
	}
	usage, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return fmt.Sprintf("%.0f s, %d MB", time.Since(began).Seconds(), usage.Maxrss>>10), nil
}

// start serves the record on a loopback address.
func (s *server) start(ctx context.Context) error {
	people, err := freePort(ctx)
	if err != nil {
		return err
	}
	machines, err := freePort(ctx)
	if err != nil {
		return err
	}
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), s.berth, append([]string{"serve", "--http", people, "--boot", machines, "--tftp", "off", "--dhcp", "off"}, s.record()...)...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	log, err := os.Create(filepath.Join(s.dir, "berth.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.pid, s.url = s.cmd.Process.Pid, "https://"+people
	// It is our own child on a loopback address.
	s.http = &http.Client{Timeout: 15 * time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 32}}
	if err := s.ready(ctx); err != nil {
		return errors.Join(err, s.stop())
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

func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	for {
		if _, _, err := s.get(ctx, "/readyz"); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			text, _ := os.ReadFile(filepath.Join(s.dir, "berth.log"))
			return fmt.Errorf("the server was not ready: %w\n%s", ctx.Err(), text)
		case <-time.After(100 * time.Millisecond):
		}
	}
	socket := &api.Client{URL: "http+unix://" + filepath.Join(s.dir, "state", "berth.sock")}
	made, err := socket.CreateToken(ctx, api.TokenRequest{Name: "bench", Level: "admin"})
	if err == nil {
		s.token = made.Token
	}
	return err
}

func (s *server) stop() error {
	err := s.cmd.Process.Signal(syscall.SIGTERM)
	return errors.Join(err, s.cmd.Wait())
}

// statusError is an answer that is not what was asked for.
type statusError struct {
	what   string
	status int
	body   []byte
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s: %d %.300s", e.what, e.status, e.body)
}

// get asks once and returns the answer and how long its last byte took.
func (s *server) get(ctx context.Context, path string) ([]byte, time.Duration, error) {
	return s.send(ctx, http.MethodGet, path, "", nil)
}

func (s *server) send(ctx context.Context, method, path, contentType string, body []byte) ([]byte, time.Duration, error) {
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
		err = &statusError{method + " " + path, resp.StatusCode, answer}
	}
	return answer, time.Since(began), err
}

// spent is the user and system time of the server (proc(5), /proc/pid/stat, fields 14 and 15, in hundredths of a second).
func (s *server) spent() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		return 0, err
	}
	// The second field is a name in parentheses, which may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", s.pid, len(fields))
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

// resident is the server's resident memory in MB (VmRSS of /proc/pid/status).
func (s *server) resident() (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
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
