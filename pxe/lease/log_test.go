package lease

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth/pxe"
)

func record(i int) Record {
	a := pxe.AddrV4(0x0a000000 + uint32(i))
	prefix, _ := a.Prefix(8)
	return Record{
		Lease: pxe.Lease{
			Addr: a, Key: fmt.Sprintf("02:00:00:%02x:%02x:%02x", i>>16&255, i>>8&255, i&255), Hostname: fmt.Sprintf("node-%d", i),
			Expires: time.Unix(1_790_000_000+int64(i), 0), State: pxe.LeaseState(2 * (1 - i%2)),
		},
		Prefix: prefix.Masked(), Term: time.Duration(i) * time.Second, Known: i%3 == 0,
	}
}

func writeLog(n int) []byte {
	buf := []byte(logMagic)
	for i := range n {
		buf = appendRecord(buf, record(i))
	}
	return buf
}

func TestRecordsComeBack(t *testing.T) {
	data := writeLog(100)
	got, good, rec := decode(data)
	if good != len(data) || rec != (Recovery{Records: 100}) {
		t.Fatalf("good %d of %d, %+v", good, len(data), rec)
	}
	for i, r := range got {
		if want := record(i); r != want {
			t.Fatalf("record %d: %+v, want %+v", i, r, want)
		}
	}
}

// A log cut anywhere gives the records before the cut and is not called damaged.
func TestCutAnywhere(t *testing.T) {
	data := writeLog(20)
	whole := []int{len(logMagic)}
	for i := range 20 {
		whole = append(whole, len(writeLog(i+1)))
	}
	for cut := len(logMagic); cut <= len(data); cut++ {
		got, good, rec := decode(data[:cut])
		n, _ := slices.BinarySearch(whole, cut+1)
		if len(got) != n-1 || good != whole[n-1] || rec.Damaged {
			t.Fatalf("cut at %d: %d records, good to %d, %+v", cut, len(got), good, rec)
		}
		// What the file system shows of blocks that were never written.
		got, _, rec = decode(append(bytes.Clone(data[:good]), make([]byte, 300)...))
		if len(got) != n-1 || rec.Damaged {
			t.Fatalf("zeros from %d: %d records, %+v", good, len(got), rec)
		}
	}
}

// A bit flipped anywhere loses at most the record it is in, and the log says
// that it is damaged: nobody is given an address on the strength of it.
func TestFlipAnywhere(t *testing.T) {
	data := writeLog(20)
	for at := range data {
		bad := bytes.Clone(data)
		bad[at] ^= 0x10
		got, _, rec := decode(bad)
		if len(got) < 19 || !rec.Damaged && len(got) != 20 {
			// A flipped length in the last record looks like a torn end, and may be one.
			if last := len(data) - len(writeLog(19)); at < len(data)-last {
				t.Fatalf("flip at %d: %d records, %+v", at, len(got), rec)
			}
		}
		for _, r := range got {
			i := int(pxe.V4(r.Addr) - 0x0a000000)
			if i < 0 || i >= 20 || r != record(i) {
				t.Fatalf("flip at %d: a record that was never written: %+v", at, r)
			}
		}
	}
}

// FuzzDecode: any bytes are read without trouble, and what is read and written
// again is read alike.
func FuzzDecode(f *testing.F) {
	f.Add(writeLog(3))
	f.Add([]byte(logMagic))
	f.Add([]byte{mark, 0, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, good, _ := decode(data)
		if good > len(data) {
			t.Fatal("good beyond the end")
		}
		buf := []byte(logMagic)
		for _, r := range got {
			buf = appendRecord(buf, r)
		}
		again, _, rec := decode(buf)
		if rec.Damaged || !slices.Equal(got, again) {
			t.Fatalf("%v became %v", got, again)
		}
	})
}

// After damage, an address without a record may have been given: new clients
// get none of those until the longest lease must have ended, but a client that
// names its own gets it back.
func TestDamagedLogIsCautious(t *testing.T) {
	c := newClock()
	path := filepath.Join(t.TempDir(), "leases")
	o := Options{Now: c.now}
	table := openTable(t, path, o)
	n := subnet("10.0.0.10-10.0.0.20")
	for _, key := range []string{"a", "b", "c"} {
		if _, err := dora(table, pxe.LeaseRequest{Key: key, Subnet: n}); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, table)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1 // b's record
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	table = openTable(t, path, o)
	defer mustClose(t, table)
	if !table.Recovery().Damaged {
		t.Fatal("the damage was not noticed")
	}
	if kept, err := os.ReadFile(path + ".damaged"); err != nil || !bytes.Equal(kept, data) {
		t.Errorf("the damaged log was not kept: %v", err)
	}
	if got, err := table.Offer(pxe.LeaseRequest{Key: "new", Subnet: n}); !errors.Is(err, pxe.ErrNoAddress) {
		t.Errorf("a new client was offered %v, %v", got, err)
	}
	wantDora(t, table, pxe.LeaseRequest{Key: "b", Subnet: n, Want: addr("10.0.0.11")}, "10.0.0.11")
	wantDora(t, table, pxe.LeaseRequest{Key: "a", Subnet: n}, "10.0.0.10")
	c.advance(pxe.DefaultLease + time.Second)
	wantDora(t, table, pxe.LeaseRequest{Key: "new", Subnet: n}, "10.0.0.13")
}

// Half-made and foreign files.
func TestOddFiles(t *testing.T) {
	for name, tc := range map[string]struct {
		data    string
		damaged bool
	}{
		"empty":           {"", false},
		"half a header":   {logMagic[:3], false},
		"only a header":   {logMagic, false},
		"something else":  {"#!/bin/sh\nexit 0\n", true},
		"header and junk": {logMagic + "junk", true},
	} {
		path := filepath.Join(t.TempDir(), "leases")
		if err := os.WriteFile(path, []byte(tc.data), 0o600); err != nil {
			t.Fatal(err)
		}
		table := openTable(t, path, Options{})
		if table.Recovery().Damaged != tc.damaged {
			t.Errorf("%s: %+v", name, table.Recovery())
		}
		mustClose(t, table)
		table = openTable(t, path, Options{})
		if table.Recovery() != (Recovery{}) {
			t.Errorf("%s, opened again: %+v", name, table.Recovery())
		}
		mustClose(t, table)
	}
	if table, err := OpenLog(filepath.Join(t.TempDir(), "no", "such", "directory")); err == nil {
		table.Close()
		t.Error("a log without a directory was opened")
	}
}

// The log does not grow without end, is readable only by its owner, and what it
// says after rewriting is what the table says.
func TestCompaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	table := openTable(t, path, Options{})
	n := subnet("10.0.0.10-10.0.0.200")
	for range 300 {
		for k := range 100 {
			r := pxe.LeaseRequest{Key: fmt.Sprint(k), Subnet: n, Known: true}
			got, err := table.Offer(r)
			if err != nil {
				t.Fatal(err)
			}
			r.Want = got
			if _, err := table.Bind(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := table.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	st, err := os.Stat(path)
	if err != nil || st.Size() > 1<<20+3*100*64 || st.Mode().Perm() != 0o600 {
		t.Errorf("after 30000 leases the log has %d bytes, mode %v, %v", st.Size(), st.Mode(), err)
	}
	before := table.All()
	mustClose(t, table)
	table = openTable(t, path, Options{})
	defer mustClose(t, table)
	if after := table.All(); len(after) != len(before) || len(after) != 100 {
		t.Errorf("%d leases before, %d after", len(before), len(after))
	}
	if _, err := os.Stat(path + ".new"); !errors.Is(err, os.ErrNotExist) {
		t.Error("the temporary file is left:", err)
	}
}

// A real disk without space: nothing is acknowledged, and when there is space
// again everything goes on.
func TestFullFilesystem(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("berth-test", dir, "tmpfs", 0, "size=64k"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("must not be skipped in CI: mount a tmpfs:", err)
		}
		t.Skip("SKIPPED: mounting a tmpfs needs root:", err)
	}
	defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
	c := newClock()
	table := openTable(t, filepath.Join(dir, "leases"), Options{Now: c.now})
	n := pxe.Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/16"), Pools: []pxe.Range{{From: addr("10.0.1.0"), To: addr("10.0.250.0")}}}
	acked := map[netip.Addr]string{}
	var failed error
	for i := 0; failed == nil && i < 5000; i++ {
		key := fmt.Sprintf("client-%d", i)
		got, err := dora(table, pxe.LeaseRequest{Key: key, Subnet: n, Known: true})
		if failed = err; err == nil {
			acked[got] = key
		}
	}
	if !errors.Is(failed, unix.ENOSPC) {
		t.Fatalf("after %d leases: %v", len(acked), failed)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=1m"); err != nil {
		t.Fatal(err)
	}
	c.advance(2 * time.Second)
	got, err := dora(table, pxe.LeaseRequest{Key: "after", Subnet: n, Known: true})
	if err != nil {
		t.Fatal("with space again:", err)
	}
	acked[got] = "after"
	mustClose(t, table)
	table = openTable(t, filepath.Join(dir, "leases"), Options{Now: c.now})
	defer mustClose(t, table)
	for a, key := range acked {
		if owner, _ := table.Owner(a); owner != key {
			t.Errorf("%v was acknowledged to %s and is %q's", a, key, owner)
		}
	}
	if table.Recovery().Damaged {
		t.Error("the log is damaged")
	}
}

const crashChild = "BERTH_TEST_LEASE_CRASH"

// TestCrashChild is the server of TestKill: it gives leases for ever. What it is
// about to commit it says before, and "ok" after, which is its acknowledgement.
func TestCrashChild(t *testing.T) {
	path := os.Getenv(crashChild)
	if path == "" {
		return
	}
	table := openTable(t, path, Options{})
	n := subnet("10.0.0.10-10.0.0.60")
	rng := rand.New(rand.NewPCG(uint64(os.Getpid()), 1))
	for {
		var say bytes.Buffer
		for range 1 + rng.IntN(8) {
			key := fmt.Sprintf("c%d", rng.IntN(40))
			if l, ok := table.Find(key, n.Prefix); ok && rng.IntN(4) == 0 {
				if table.Release(key, l.Addr) {
					fmt.Fprintf(&say, "released %s %s\n", key, l.Addr)
				}
				continue
			}
			r := pxe.LeaseRequest{Key: key, Subnet: n, Known: true}
			var err error
			if r.Want, err = table.Offer(r); err == nil {
				_, err = table.Bind(r)
			}
			if err == nil {
				fmt.Fprintf(&say, "bound %s %s\n", key, r.Want)
			}
		}
		_, err1 := os.Stdout.Write(say.Bytes())
		if err := table.Commit(); err != nil {
			t.Fatal(err)
		}
		_, err2 := os.Stdout.WriteString("ok\n")
		if err1 != nil || err2 != nil {
			os.Exit(0)
		}
	}
}

// The server is killed at random moments, many times over one log. Whatever it
// had acknowledged before it died is still so when it comes back.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	rounds := 40
	if testing.Short() {
		rounds = 5
	}
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	acknowledged := 0
	for range rounds {
		holds := readHolds(t, path)
		told := runAndKill(t, path, time.Duration(rng.IntN(60))*time.Millisecond)
		doubt := map[string]bool{} // clients and addresses of the batch that was under way
		var batch [][]string
		for _, line := range told {
			f := strings.Fields(line)
			if f[0] != "ok" {
				batch = append(batch, f)
				continue
			}
			for _, f := range batch {
				if f[0] == "bound" {
					holds[f[2]] = f[1]
				} else {
					delete(holds, f[2])
				}
			}
			acknowledged += len(batch)
			batch = nil
		}
		for _, f := range batch {
			doubt[f[1]], doubt[f[2]] = true, true
		}
		after := readHolds(t, path)
		for a, key := range holds {
			if !doubt[a] && !doubt[key] && after[a] != key {
				t.Fatalf("%s was acknowledged to %s and is %q's; the last lines were %q", a, key, after[a], told[max(0, len(told)-20):])
			}
		}
	}
	if acknowledged == 0 {
		t.Error("nothing was acknowledged: the test says nothing")
	}
	t.Log("acknowledged:", acknowledged)
}

// readHolds is who holds which address, by the log.
func readHolds(t *testing.T, path string) map[string]string {
	t.Helper()
	table := openTable(t, path, Options{})
	defer mustClose(t, table)
	if table.Recovery().Damaged {
		t.Fatal("a kill damaged the log")
	}
	holds := map[string]string{}
	for _, l := range table.All() {
		if l.State == pxe.LeaseBound {
			holds[l.Addr.String()] = l.Key
		}
	}
	return holds
}

// runAndKill starts the child, kills it after a while of work, and returns the
// whole lines it said.
func runAndKill(t *testing.T, path string, work time.Duration) []string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestCrashChild$")
	cmd.Env = append(os.Environ(), crashChild+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	first, err := r.ReadString('\n')
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Fatal("the child said nothing:", err)
	}
	timer := time.AfterFunc(work, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	told := []string{first}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			break
		}
		told = append(told, line)
	}
	_ = cmd.Wait()
	return told
}

func BenchmarkRecovery100k(b *testing.B) {
	path := filepath.Join(b.TempDir(), "leases")
	if err := os.WriteFile(path, writeLog(100_000), 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		table := openTable(b, path, Options{})
		if table.Recovery().Records != 100_000 {
			b.Fatal(table.Recovery())
		}
		mustClose(b, table)
	}
}

func BenchmarkOfferBind(b *testing.B) {
	table := openTable(b, filepath.Join(b.TempDir(), "leases"), Options{})
	defer mustClose(b, table)
	n := pxe.Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Pools: []pxe.Range{{From: addr("10.0.0.1"), To: addr("10.15.255.255")}}}
	i := 0
	for b.Loop() {
		r := pxe.LeaseRequest{Key: fmt.Sprint(i), Subnet: n, Known: true}
		i++
		var err error
		if r.Want, err = table.Offer(r); err != nil {
			b.Fatal(err)
		}
		if _, err = table.Bind(r); err != nil {
			b.Fatal(err)
		}
		if i%64 == 0 {
			if err := table.Commit(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
