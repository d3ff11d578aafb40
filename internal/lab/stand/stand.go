// Package stand puts a berth server into a rack of virtual servers: the real program, in the rack's network, on a state directory of
// its own. `berth lab demo` and the end-to-end tests are written on it.
package stand

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"crypto/tls"

	"berth/api"
	"berth/internal/lab"
)

// Options say what is put up.
type Options struct {
	Spec lab.Spec
	// Dir keeps everything: disks, consoles, state, the server's log.
	Dir string
	// Berth is the program, BootFiles its directory of loaders and agent; empty is the one beside it.
	Berth, BootFiles string
	// Args are further settings of `berth serve`.
	Args []string
	// Listen is the address on the host for the web pages; empty is a free port of 127.0.0.1.
	Listen string
	// Ready bounds the wait for the server, each time it is started; 2 minutes when zero.
	Ready time.Duration
}

// Stand is a rack with a server in it.
type Stand struct {
	Rack *lab.Rack
	// Client is an administrator's.
	Client *api.Client
	// URL is where a browser on this host finds the pages.
	URL string

	o      Options
	token  string
	pinned string
	log    *os.File
	mu     sync.Mutex
	server *exec.Cmd
	ended  chan error
}

// Ports of the server inside the rack.
const (
	httpPort = "8443"
	bootPort = "8081"
)

// Start builds the rack and starts the server. On an error everything is taken away again.
func Start(ctx context.Context, o Options) (*Stand, error) {
	if err := o.Spec.Missing(); err != nil {
		return nil, fmt.Errorf("this host cannot run a rack: %w", err)
	}
	s := &Stand{o: o}
	var err error
	if s.Rack, err = lab.Start(ctx, o.Spec, o.Dir); err != nil {
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Stand) begin(ctx context.Context) error {
	var err error
	if s.log, err = os.OpenFile(filepath.Join(s.o.Dir, "berth.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	if err := s.StartServer(ctx); err != nil {
		return err
	}
	listen := s.o.Listen
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	forward, err := s.Rack.Forward(listen, net.JoinHostPort(s.Rack.BootAddr().String(), httpPort))
	if err != nil {
		return err
	}
	s.URL = "https://" + forward.Addr()
	return s.connect(ctx)
}

// connect makes the client: a token by way of the server's socket, and the key that the server shows pinned.
func (s *Stand) connect(ctx context.Context) error {
	socket := &api.Client{URL: "http+unix://" + filepath.Join(s.State(), "berth.sock")}
	made, err := socket.CreateToken(ctx, api.TokenRequest{Name: "lab", Level: "admin"})
	if err != nil {
		return fmt.Errorf("make a token: %w", err)
	}
	s.token = made.Token
	pin, err := s.seenKey(ctx)
	if err != nil {
		return err
	}
	s.pinned = pin
	s.Client = &api.Client{URL: s.URL, Token: s.token, TLS: api.Pinned(pin), UserAgent: "berth-lab"}
	return nil
}

// seenKey looks at the key that the server shows. The way there is this host's own.
func (s *Stand) seenKey(ctx context.Context) (string, error) {
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(ctx, "tcp", strings.TrimPrefix(s.URL, "https://"))
	if err != nil {
		return "", fmt.Errorf("look at the server's key: %w", err)
	}
	defer conn.Close()
	return api.PinOf(conn.(*tls.Conn).ConnectionState().PeerCertificates[0]), nil
}

// State is the server's state directory.
func (s *Stand) State() string { return filepath.Join(s.o.Dir, "state") }

// Token is the administrator's, for other clients.
func (s *Stand) Token() string { return s.token }

// Pin is the server's key, for other clients.
func (s *Stand) Pin() string { return s.pinned }

// FirstPassword is the one the server wrote down at its first run.
func (s *Stand) FirstPassword() (string, error) {
	text, err := os.ReadFile(filepath.Join(s.State(), "first-password"))
	return strings.TrimSpace(string(text)), err
}

// StartServer starts the server and waits until it is ready. It does nothing when it runs.
func (s *Stand) StartServer(ctx context.Context) error {
	s.mu.Lock()
	if s.server != nil {
		s.mu.Unlock()
		return nil
	}
	addr := s.Rack.BootAddr().String()
	args := []string{"serve", "--data", s.State(), "--key", filepath.Join(s.o.Dir, "state.key"),
		"--http", net.JoinHostPort(addr, httpPort), "--boot", net.JoinHostPort(addr, bootPort),
		"--interface", s.Rack.Bridge(), "--dhcp", "server", "--pool", s.pool(), "--enrol", "--console", "ttyS0,115200n8"}
	if s.o.BootFiles != "" {
		args = append(args, "--boot-files", s.o.BootFiles)
	}
	cmd := s.Rack.Command(context.WithoutCancel(ctx), s.o.Berth, append(args, s.o.Args...)...)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	ended := make(chan error, 1)
	if err := cmd.Start(); err != nil {
		s.mu.Unlock()
		return fmt.Errorf("start the server: %w", err)
	}
	go func() { ended <- cmd.Wait() }()
	s.server, s.ended = cmd, ended
	s.mu.Unlock()
	return s.await(ctx, ended)
}

// pool is the upper half of the boot network.
func (s *Stand) pool() string {
	p := s.Rack.Spec().BootNetwork.Masked().Addr().As4()
	return fmt.Sprintf("%d.%d.%d.100-%d.%d.%d.200", p[0], p[1], p[2], p[0], p[1], p[2])
}

// await asks /readyz until it says yes.
func (s *Stand) await(ctx context.Context, ended chan error) error {
	limit := s.o.Ready
	if limit == 0 {
		limit = 2 * time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DialContext: s.Rack.Dial}}
	url := "https://" + net.JoinHostPort(s.Rack.BootAddr().String(), httpPort) + "/readyz"
	for {
		resp, err := client.Get(url)
		if err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-ended:
			ended <- err
			return fmt.Errorf("the server ended at once (%v); its log is %s", err, s.log.Name())
		case <-ctx.Done():
			return fmt.Errorf("the server was not ready in %s; its log is %s", limit, s.log.Name())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Kill ends the server as a power cut would: no signal it could catch.
func (s *Stand) Kill() error { return s.endServer(syscall.SIGKILL) }

// StopServer asks the server to end, and kills it after half a minute.
func (s *Stand) StopServer() error { return s.endServer(syscall.SIGTERM) }

func (s *Stand) endServer(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		return nil
	}
	if err := s.server.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end the server: %w", err)
	}
	var late error
	select {
	case <-s.ended:
	case <-time.After(30 * time.Second):
		late = errors.Join(errors.New("the server did not end within 30 s and was killed"), s.server.Process.Kill())
		<-s.ended
	}
	s.server = nil
	return late
}

// ServerPID is the process id of the running server; 0 when none runs.
func (s *Stand) ServerPID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		return 0
	}
	return s.server.Process.Pid
}

// Stop ends the server and takes the rack away. Disks, consoles and logs stay in the directory.
func (s *Stand) Stop() error {
	err := s.StopServer()
	if s.Rack != nil {
		err = errors.Join(err, s.Rack.Stop())
	}
	if s.log != nil {
		err = errors.Join(err, s.log.Close())
	}
	return err
}
