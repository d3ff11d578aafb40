package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth/api"
	"berth/inventory"
)

// What the host can do to a server: a disk that is full, a port that is taken, a directory that another server uses.

// another runs a second server on the site's wire until it ends, which it must, and returns what it says.
func (s *site) another(args ...string) (code int, says string) {
	s.Helper()
	cmd := exec.Command(programs.berth, append([]string{"serve", "--tftp", "off"}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := s.net.Start(cmd); err != nil {
		s.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		<-done
		s.Errorf("serve %v did not end: %s", args, &out)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

func TestWhatIsTakenIsSaid(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	free := filepath.Join(s.dir, "other")
	for name, c := range map[string]struct {
		args []string
		says []string
	}{
		"the port for people":   {[]string{"--data", free, "--http", httpAddr, "--boot", serverAddr + ":9081"}, []string{httpAddr, "--http"}},
		"the port for machines": {[]string{"--data", free, "--http", serverAddr + ":9443", "--boot", bootAddr}, []string{bootAddr, "port"}},
		"the state directory":   {[]string{"--data", s.data(), "--http", serverAddr + ":9443", "--boot", serverAddr + ":9081"}, []string{s.data(), "in use"}},
		"an address of nobody":  {[]string{"--data", free, "--http", "192.0.2.7:9443", "--boot", serverAddr + ":9081"}, []string{"192.0.2.7:9443"}},
	} {
		code, says := s.another(c.args...)
		if code != 1 {
			t.Errorf("%s is taken, and the second server ends with %d: %s", name, code, says)
		}
		for _, want := range c.says {
			if !strings.Contains(says, want) {
				t.Errorf("%s is taken: no word of %q in\n%s", name, want, says)
			}
		}
		if strings.Contains(says, "goroutine ") {
			t.Errorf("%s is taken: %s", name, says)
		}
	}
	s.machines() // the first server has noticed nothing
	if s.started() != 1 {
		t.Errorf("the server was started %d times", s.started())
	}
}

// machines lists the machines on record.
func (s *site) machines() []inventory.Device {
	s.Helper()
	return must(s, func(ctx context.Context) (api.Page[inventory.Device], error) {
		return s.client.Machines(ctx, api.Query{})
	}).Items
}

// A full disk refuses edits in a sentence and loses none; when there is room again, work goes on without a restart.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	s := newSiteOn(t, func(state string) {
		if err := os.MkdirAll(state, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", state, "tmpfs", 0, "size=40m"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(state, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	})
	image := newImage(t, 1)
	m := newMachine(s, 1)
	m.enrolled()
	ballast := filepath.Join(s.data(), "ballast")
	s.fill(ballast)

	site := func(name string) func(ctx context.Context) (*inventory.Site, error) {
		return func(ctx context.Context) (*inventory.Site, error) {
			return api.Create(ctx, s.client, &inventory.Site{Name: name, Slug: name})
		}
	}
	_, err := s.try(func(ctx context.Context) error { _, err := site("full")(ctx); return err })
	var problem *api.Problem
	if !errors.As(err, &problem) || !strings.Contains(problem.Detail, "disk is full") {
		t.Errorf("an edit on a full disk: %v", err)
	}
	_, err = s.try(func(ctx context.Context) error {
		_, err := s.client.ImportImage(ctx, api.ImportRequest{Name: image.name, Format: "raw"}, bytes.NewReader(image.raw))
		return err
	})
	if err == nil {
		t.Error("an image was imported onto a full disk")
	}
	t.Logf("an import onto a full disk: %v", err)
	if got := s.machines(); len(got) != 1 {
		t.Errorf("%d machines are listed", len(got))
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, "edits work again", patience, func() bool {
		ok, _ := s.try(func(ctx context.Context) error { _, err := site("room")(ctx); return err })
		return ok
	})
	image.into(s)
	if op := m.finish(m.deploy(image), nil); op.Operation.State != inventory.OpDone {
		t.Error(story(op))
	}
	if s.started() != 1 {
		t.Errorf("the server was started %d times", s.started())
	}
}

// try asks once.
func (s *site) try(question func(ctx context.Context) error) (ok bool, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	err = question(ctx)
	return err == nil, err
}

// fill writes a file until there is no room left for a byte more.
func (s *site) fill(path string) {
	s.Helper()
	f, err := os.Create(path)
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	for _, chunk := range []int{mib, 4096, 1} {
		for block := make([]byte, chunk); err == nil; {
			_, err = f.Write(block)
		}
		if !errors.Is(err, unix.ENOSPC) {
			s.Fatal(err)
		}
		err = nil
	}
}
