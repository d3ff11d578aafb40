//go:build killpoint

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"berth/inventory"
	"berth/provision"
)

// A server built with the tag killpoint can be told to die at a commit. That is how the tests in internal/e2e end it at exactly the
// boundaries at which its durability is decided; nothing of it is in the program that is shipped.
//
// The environment variable BERTH_KILLPOINTS names a directory. There the server
//
//   - appends a line to the file "trace" before and after each commit that provision makes: the time in nanoseconds, the process,
//     before or after, how many machines have two live assignments or one without a live operation, and the commit's name;
//   - reads the file "kill", whose lines are "before NAME" or "after NAME". At such a commit it takes the line out and ends itself by
//     SIGKILL: within the open transaction, or when the transaction is committed and nobody has been told yet.
//
// A commit is named by what it stores about operations, steps and boots: "step write-image: running, operation deploy: running".
const killpointEnv = "BERTH_KILLPOINTS"

// watched is the ledger that provision works with.
func watched(l provision.Ledger) provision.Ledger {
	dir := os.Getenv(killpointEnv)
	if dir == "" {
		return l
	}
	return &killLedger{Ledger: l, dir: dir}
}

type killLedger struct {
	provision.Ledger
	dir string
	mu  sync.Mutex
}

func (k *killLedger) Edit(ctx context.Context, req inventory.Request, fn func(inventory.Tx) error) error {
	return k.around(fn, func(fn func(inventory.Tx) error) error { return k.Ledger.Edit(ctx, req, fn) })
}

func (k *killLedger) Commit(ctx context.Context, op inventory.UID, fence int64, fn func(inventory.Tx) error) error {
	return k.around(fn, func(fn func(inventory.Tx) error) error { return k.Ledger.Commit(ctx, op, fence, fn) })
}

// Claim is a commit with no transaction to be killed in: only its end is a kill point.
func (k *killLedger) Claim(ctx context.Context, holder string, lease time.Duration) (*inventory.Operation, error) {
	op, err := k.Ledger.Claim(ctx, holder, lease)
	if op != nil {
		k.reached("after", "claim "+op.Kind, 0)
	}
	return op, err
}

func (k *killLedger) around(fn func(inventory.Tx) error, commit func(func(inventory.Tx) error) error) error {
	name, wrong := "", 0
	err := commit(func(tx inventory.Tx) error {
		spy := &spyTx{Tx: tx}
		err := fn(spy)
		if name, wrong = spy.name(), 0; err != nil || name == "" {
			return err
		}
		if wrong, err = twoOwners(tx); err != nil {
			return err
		}
		k.reached("before", name, wrong)
		return nil
	})
	if err == nil && name != "" {
		k.reached("after", name, wrong)
	}
	return err
}

// reached notes a kill point, and ends the process if it is the one.
func (k *killLedger) reached(when, name string, wrong int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	line := fmt.Sprintf("%d %d %s %d %s\n", time.Now().UnixNano(), os.Getpid(), when, wrong, name)
	if err := appendLine(k.dir+"/trace", line); err != nil {
		panic(err)
	}
	if k.isWanted(when + " " + name) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal has been sent; nothing more may happen
	}
}

// isWanted tells whether the process is to end here, and takes the line out that says so.
func (k *killLedger) isWanted(point string) bool {
	text, err := os.ReadFile(k.dir + "/kill")
	if err != nil {
		return false
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	i := slices.Index(lines, point)
	if i < 0 {
		return false
	}
	rest := strings.Join(slices.Delete(lines, i, i+1), "\n")
	if err := os.WriteFile(k.dir+"/kill.new", []byte(rest), 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename(k.dir+"/kill.new", k.dir+"/kill"); err != nil {
		panic(err)
	}
	return true
}

func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(line)
	return err
}

// twoOwners counts what must never be committed: a machine on which two agents have the right to work, or one agent has it without an
// operation that is alive and the machine's own.
func twoOwners(tx inventory.Tx) (wrong int, err error) {
	// The newest steps are those of the last dozen operations.
	steps, err := inventory.TxList[inventory.Step](tx, inventory.Query{Sort: "-created_at", Limit: 100})
	if err != nil {
		return 0, err
	}
	owners := map[inventory.UID]int{}
	for _, st := range steps {
		if st.Assignment == "" {
			continue
		}
		op, err := inventory.TxGet[inventory.Operation](tx, string(st.Operation))
		if err != nil {
			return 0, err
		}
		d, err := inventory.TxGet[inventory.Device](tx, string(op.Device))
		if err != nil {
			return 0, err
		}
		owners[d.UID]++
		if op.State.Ended() || d.Operation != op.UID || owners[d.UID] > 1 {
			wrong++
		}
	}
	return wrong, nil
}

// spyTx notes what is stored about the course of work.
type spyTx struct {
	inventory.Tx
	seen []string
}

func (s *spyTx) Create(obj inventory.Object) error {
	s.note(obj, "new ")
	return s.Tx.Create(obj)
}

func (s *spyTx) Update(obj inventory.Object) error {
	s.note(obj, "")
	return s.Tx.Update(obj)
}

func (s *spyTx) note(obj inventory.Object, is string) {
	switch o := obj.(type) {
	case *inventory.Operation:
		s.seen = append(s.seen, is+"operation "+o.Kind+": "+string(o.State))
	case *inventory.Step:
		text := is + "step " + o.Name + ": " + string(o.State)
		if o.Assignment != "" {
			text += " by an agent"
		}
		if o.Task != "" {
			text += " by a person"
		}
		s.seen = append(s.seen, text)
	case *inventory.BootAttempt:
		s.seen = append(s.seen, is+"boot from "+o.Offered)
	case *inventory.Device:
		s.seen = append(s.seen, is+"machine "+string(o.ProvisionState))
	}
}

// name says each thing once, in the order in which it was stored. Steps that are only listed in a new operation are not told.
func (s *spyTx) name() string {
	var names []string
	for _, n := range s.seen {
		if !slices.Contains(names, n) && !strings.HasPrefix(n, "new step") {
			names = append(names, n)
		}
	}
	return strings.Join(names, ", ")
}
