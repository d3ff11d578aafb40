package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// typed runs a command line in this process, and returns what it printed and its exit code.
func typed(ctx context.Context, args ...string) (out string, code int) {
	root := command()
	var b bytes.Buffer
	root.SetOut(&b)
	root.SetErr(&b)
	root.SetArgs(args)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return b.String(), exitOK
	}
	b.WriteString(told(c, err))
	var coded exitError
	if errors.As(err, &coded) {
		b.WriteString("\n" + coded.hint)
		return b.String(), coded.code
	}
	return b.String(), exitFailed
}

// running starts `berth serve` in this process on a state directory, and returns when it answers.
func running(t *testing.T, data string, more ...string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan string, 1)
	args := append([]string{"serve", "--data", data, "--http", "127.0.0.1:0", "--boot", "127.0.0.1:0", "--dhcp", "off", "--log-level", "error"}, more...)
	go func() {
		out, code := typed(ctx, args...)
		if code != exitOK {
			ended <- out
		}
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		if out, failed := <-ended; failed {
			t.Errorf("the server ended: %s", out)
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if out, code := typed(ctx, "--data", data, "site", "list"); code == exitOK {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("the server does not answer: %s", out)
		}
	}
}

// The command tree against a real server, as a transcript.
func TestCommands(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	t.Setenv("BERTH_URL", "")
	if out, code := typed(t.Context(), "dev", "seed", "--machines", "12", "--seed", "1", "--data", data); code != exitOK {
		t.Fatalf("seed: %s", out)
	}
	running(t, data)
	script, err := os.ReadFile("testdata/commands.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(script), "\n\n") {
		line, want, ok := strings.Cut(strings.TrimSpace(block), "\n")
		if !ok || !strings.HasPrefix(line, "$ ") {
			if ok && !strings.HasPrefix(line, "#") {
				t.Fatalf("not a command: %s", line)
			}
			continue
		}
		out, code := typed(t.Context(), append([]string{"--data", data}, words(line[2:])...)...)
		wanted := exitOK
		for _, w := range strings.Split(want, "\n") {
			if len(w) > 2 && w[0] == '[' && w[2] == ']' {
				wanted, w = int(w[1]-'0'), strings.TrimSpace(w[3:])
			}
			if !strings.Contains(out, w) {
				t.Errorf("%s\nlacks %q:\n%s", line, w, out)
			}
		}
		if code != wanted {
			t.Errorf("%s\nexit code %d, want %d:\n%s", line, code, wanted, out)
		}
	}
}

// words splits a line at blanks, but for those within double quotes.
func words(line string) []string {
	var out []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}

func TestEveryCommandHasHelp(t *testing.T) {
	root := command()
	for _, c := range root.Commands() {
		if c.Short == "" {
			t.Errorf("%s has no help", c.CommandPath())
		}
		if c.GroupID == "" && !c.Hidden {
			t.Errorf("%s stands in no group", c.CommandPath())
		}
	}
	if out, code := typed(t.Context(), "--help"); code != exitOK || !strings.Contains(out, "Work on machines:") {
		t.Errorf("%d: %s", code, out)
	}
}
