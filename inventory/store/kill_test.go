package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/inventory"
)

// editorEnv tells the test binary to be the child of TestKill, and where the record is: a directory or a postgres:// address.
const editorEnv = "BERTH_TEST_EDITOR"

// runEditor edits without end from several goroutines, and writes a line for each edit that was committed.
func runEditor(where string) {
	opt := Options{Dir: where}
	if strings.HasPrefix(where, "postgres://") {
		opt = Options{DSN: where}
	}
	s, err := Open(context.Background(), opt)
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	var lines sync.Mutex
	for worker := range 4 {
		go func() {
			for {
				name, err := editOnce(s, worker)
				if err != nil {
					fmt.Println("edit:", err)
					os.Exit(1)
				}
				lines.Lock()
				fmt.Println(name)
				lines.Unlock()
			}
		}()
	}
	select {}
}

// editOnce makes a device with an interface in one edit, and says its name.
func editOnce(s *Store, worker int) (string, error) {
	device := &inventory.Device{Name: fmt.Sprintf("w%d-%s", worker, inventory.NewUID().Short())}
	return device.Name, s.Edit(context.Background(), inventory.NewRequest(anna, "kill"), func(tx inventory.Tx) error {
		if err := tx.Create(device); err != nil {
			return err
		}
		return tx.Create(&inventory.Interface{Device: device.UID, Name: "eno1"})
	})
}

// TestKill ends a process with SIGKILL in the middle of its edits, again and again on the same record: what it was told is stored is
// there, with its entry in the change log, nothing is there by halves, and the record opens.
func TestKill(t *testing.T) {
	both(t, func(t *testing.T, opt Options) {
		reported := map[string]bool{}
		for range 5 {
			for _, name := range killedEditor(t, opt) {
				reported[name] = true
			}
			s := openTest(t, opt)
			checkWhole(t, s, reported)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if len(reported) == 0 {
			t.Error("no edit was made: nothing was tested")
		}
	})
}

// killedEditor runs a child, kills it at a random moment after its first edits, and returns what it reported as stored.
func killedEditor(t *testing.T, opt Options) []string {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), editorEnv+"="+opt.Dir+opt.DSN)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var names []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), ": ") {
			t.Fatalf("the child: %s", lines.Text())
		}
		if len(names) == 0 {
			time.AfterFunc(time.Duration(rand.IntN(300))*time.Millisecond, func() { _ = child.Process.Kill() })
		}
		names = append(names, lines.Text())
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	// The last line may have been cut by the kill; a name of full length was reported.
	if last := len(names) - 1; last >= 0 && len(names[last]) < len("w0-12345678") {
		names = names[:last]
	}
	return names
}

func checkWhole(t *testing.T, s *Store, reported map[string]bool) {
	t.Helper()
	stored := map[string]inventory.UID{}
	for _, d := range all[inventory.Device](t, s) {
		stored[d.Name] = d.UID
	}
	for name := range reported {
		if stored[name] == "" {
			t.Errorf("%s was reported as stored and is lost", name)
		}
	}
	ports := map[inventory.UID]int{}
	for _, i := range all[inventory.Interface](t, s) {
		ports[i.Device]++
	}
	logged := map[inventory.UID]int{}
	for _, c := range all[inventory.Change](t, s) {
		logged[c.Object]++
	}
	for name, uid := range stored {
		if ports[uid] != 1 || logged[uid] != 1 {
			t.Errorf("%s is stored by halves: %d interfaces, %d entries in the change log", name, ports[uid], logged[uid])
		}
	}
}

// all reads every object of a noun, page by page.
func all[T any](t testing.TB, s *Store, filters ...inventory.Filter) []*T {
	t.Helper()
	var out []*T
	q := inventory.Query{Limit: inventory.MaxPage, Filters: filters}
	for {
		page, err := s.List(context.Background(), inventory.NounFor[T](), q)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, inventory.Items[T](page)...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return out
		}
	}
}
