package agent

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"berth/agent/agenttest"
	"berth/api"
	"berth/inventory"
	"berth/storage"
	"berth/storage/disk"
)

const (
	diskSize  = 14 << 20
	imageSize = 9<<20 + 4096
)

// writer is an agent for which only the given disks exist.
func writer(t *testing.T, s *agenttest.Server, disks ...*agenttest.Disk) *Agent {
	t.Helper()
	a := newAgent(t, s)
	a.Disks = &Disks{Only: []string{}}
	for _, d := range disks {
		a.Disks.Only = append(a.Disks.Only, d.Path)
	}
	return a
}

// holds asserts that a disk holds the image and nothing else matters after it.
func holds(t *testing.T, d *agenttest.Disk, i *agenttest.Image) {
	t.Helper()
	if !bytes.Equal(d.Bytes(t)[:len(i.Raw)], i.Raw) {
		t.Errorf("disk %s does not hold the image", d.Serial)
	}
}

// cannotBoot asserts that a disk has neither a boot sector nor a partition table at either end.
func cannotBoot(t *testing.T, d *agenttest.Disk) {
	t.Helper()
	raw := d.Bytes(t)
	if ends := append(raw[:1<<20:1<<20], raw[len(raw)-1<<20:]...); len(bytes.Trim(ends, "\x00")) > 0 {
		t.Errorf("disk %s is half written and has something at its ends", d.Serial)
	}
}

func TestWrite(t *testing.T) {
	server := agenttest.Start(t)
	target, other := agenttest.NewDisk(t, "TARGET", diskSize, nil), agenttest.NewDisk(t, "OTHER", diskSize, []byte("precious"))
	before := other.Bytes(t)
	img := agenttest.NewImage(t, imageSize, 1)
	assignment := img.Write("w-1", api.DiskRef{Serial: "TARGET", SizeBytes: diskSize})
	assignment.Write.Protect = []api.DiskRef{other.Ref()}
	server.Assign(assignment)
	start(t, writer(t, server, target, other))
	result := server.Result(t, "w-1", testLimit)
	if result.Error != "" || !result.Touched || result.Write == nil {
		t.Fatalf("result %+v", result)
	}
	w := *result.Write
	if w.Disk != (api.DiskRef{Serial: "TARGET", SizeBytes: diskSize}) || w.Digest != img.Manifest.Digest.String() ||
		w.WrittenBytes < imageSize-2<<20 || w.FetchedBytes == 0 || w.Seconds <= 0 {
		t.Errorf("proof %+v", w)
	}
	holds(t, target, img)
	if !bytes.Equal(other.Bytes(t), before) {
		t.Error("another disk was changed")
	}
}

// mkfs is the start of a disk with a filesystem on it.
func mkfs(t *testing.T) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fs")
	if out, err := exec.Command("mkfs.ext4", "-q", "-U", "11111111-2222-3333-4444-555555555555", "-L", "archive", file, "8M").CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v\n%s", err, out)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// contents are what a report of the disk says is on it.
func contents(t *testing.T, d *agenttest.Disk) (all []inventory.ContentFact) {
	t.Helper()
	device, err := disk.Open(d.Path, disk.Options{AllowLoop: true})
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	for _, f := range device.Probe(t.Context()).Findings {
		all = append(all, ContentFact(f))
	}
	return all
}

// osd is the start of a disk that belongs to Ceph.
var osd = []byte("bluestore block device\n0f8f0e6a-2b1e-4d6f-9a55-6f2f6a0b9c11\n")

func TestWhatMayBeWritten(t *testing.T) {
	filesystem := mkfs(t)
	found := contents(t, agenttest.NewDisk(t, "SAMPLE", diskSize, filesystem))
	if len(found) != 1 || found[0].Label != "archive" {
		t.Fatalf("the filesystem is found as %+v", found)
	}
	another := slices.Clone(found)
	another[0].Label = "another"
	img := agenttest.NewImage(t, imageSize, 2)
	for name, c := range map[string]struct {
		content []byte
		change  func(*api.Assignment)
		refused string // part of the sentence; "" is a write
	}{
		"a blank disk":                {change: func(*api.Assignment) {}},
		"no such serial":              {change: func(a *api.Assignment) { a.Write.Disk.Serial = "TARGE" }, refused: "has no disk"},
		"no such WWN":                 {change: func(a *api.Assignment) { a.Write.Disk.WWN = "naa.5000c500a1b2c3d4" }, refused: "has no disk"},
		"another size":                {change: func(a *api.Assignment) { a.Write.Disk.SizeBytes = diskSize + 512 }, refused: "has no disk"},
		"no name":                     {change: func(a *api.Assignment) { a.Write.Disk = api.DiskRef{SizeBytes: diskSize} }, refused: "cannot be told from others"},
		"a junk name":                 {change: func(a *api.Assignment) { a.Write.Disk = api.DiskRef{Serial: "0000000"} }, refused: "cannot be told from others"},
		"a name of two disks":         {change: func(a *api.Assignment) { a.Write.Disk.Serial = "TWIN" }, refused: "2 disks of this machine"},
		"a protected disk":            {change: func(a *api.Assignment) { a.Write.Protect = []api.DiskRef{{Serial: "TARGET"}} }, refused: "protected"},
		"protected in part":           {change: func(a *api.Assignment) { a.Write.Protect = []api.DiskRef{{Serial: "TARGET", WWN: "eui.1"}} }, refused: "protected"},
		"a filesystem":                {content: filesystem, change: func(*api.Assignment) {}, refused: "nobody consented"},
		"a filesystem, consented":     {content: filesystem, change: func(a *api.Assignment) { a.Write.Consent = found }},
		"a filesystem, another's":     {content: filesystem, change: func(a *api.Assignment) { a.Write.Consent = another }, refused: "nobody consented"},
		"a filesystem of ours":        {content: filesystem, change: func(a *api.Assignment) { a.Write.Ours = true }},
		"an OSD":                      {content: osd, change: func(*api.Assignment) {}, refused: "nobody consented"},
		"an OSD on a disk of ours":    {content: osd, change: func(a *api.Assignment) { a.Write.Ours = true }, refused: "nobody consented"},
		"no tree hash":                {change: func(a *api.Assignment) { a.Write.TreeHash = "" }, refused: "tree hash"},
		"no digest":                   {change: func(a *api.Assignment) { a.Write.Digest = "md5:1" }, refused: "digest"},
		"a file":                      {change: func(a *api.Assignment) { a.Write.ImageURL = "file:///etc/passwd" }, refused: "no HTTP URL"},
		"no image":                    {change: func(a *api.Assignment) { a.Write.SizeBytes = 0 }, refused: "is none"},
		"another image's hash":        {change: func(a *api.Assignment) { a.Write.TreeHash = "tree1:" + strings.Repeat("ab", 32) }, refused: "tree hash"},
		"an image of another size":    {change: func(a *api.Assignment) { a.Write.SizeBytes++ }, refused: "bytes"},
		"nothing said":                {change: func(a *api.Assignment) { a.Write = nil }, refused: "neither which disk"},
		"a seed for an image without": {change: func(a *api.Assignment) { a.Write.Seed = &api.Seed{MetaData: "{}", UserData: "#"} }, refused: "the disk is too small"},
	} {
		t.Run(name, func(t *testing.T) {
			server := agenttest.Start(t)
			disks := []*agenttest.Disk{
				agenttest.NewDisk(t, "TARGET", diskSize, c.content),
				agenttest.NewDisk(t, "TWIN", 5<<20, nil), agenttest.NewDisk(t, "TWIN", 5<<20, nil),
			}
			assignment := img.Write("w-1", disks[0].Ref())
			c.change(&assignment)
			server.Assign(assignment)
			before := make([][]byte, len(disks))
			for i, d := range disks {
				before[i] = d.Bytes(t)
			}
			start(t, writer(t, server, disks...))
			result := server.Result(t, "w-1", testLimit)
			for i, d := range disks[1:] {
				if !bytes.Equal(d.Bytes(t), before[i+1]) {
					t.Errorf("disk %d was changed", i+1)
				}
			}
			if c.refused == "" {
				if result.Error != "" {
					t.Errorf("result %+v", result)
				}
				holds(t, disks[0], img)
				return
			}
			if !strings.Contains(result.Error, c.refused) || !result.Permanent || result.Touched {
				t.Errorf("result %+v, want a refusal with %q", result, c.refused)
			}
			if !bytes.Equal(disks[0].Bytes(t), before[0]) {
				t.Error("the disk was changed")
			}
		})
	}
}

func TestAgentWithoutDisksWritesNothing(t *testing.T) {
	server := agenttest.Start(t)
	img := agenttest.NewImage(t, 1<<20, 3)
	server.Assign(img.Write("w-1", api.DiskRef{Serial: "TARGET"}))
	server.Assign(api.Assignment{ID: "c-1", Verb: api.VerbClear, Clear: &api.ClearArgs{Disks: []api.DiskRef{{Serial: "TARGET"}}}})
	start(t, newAgent(t, server))
	for _, id := range []string{"w-1", "c-1"} {
		if result := server.Result(t, id, testLimit); !result.Permanent || result.Touched || !strings.Contains(result.Error, "may not write") {
			t.Errorf("%s: %+v", id, result)
		}
	}
}

// midway starts a write and returns when some of it is on the disk and the rest is held back.
func midway(t *testing.T, a *Agent, server *agenttest.Server, d *agenttest.Disk, img *agenttest.Image) {
	t.Helper()
	img.Gate(5 << 20)
	server.Assign(img.Write("w-1", d.Ref()))
	start(t, a)
	img.Reached(t)
	server.Wait(t, "progress of the write", testLimit, func(s agenttest.State) bool {
		n := len(s.Progress)
		return n > 0 && s.Progress[n-1].Phase == "write" && s.Progress[n-1].Done > 0
	})
}

func TestStoppedInTheMiddle(t *testing.T) {
	for name, stop := range map[string]func(*agenttest.Server){
		"told to stop":          func(s *agenttest.Server) { s.StopAssignment("w-1", "cancelled by ada") },
		"no longer outstanding": func(s *agenttest.Server) { s.Withdraw("w-1") },
	} {
		t.Run(name, func(t *testing.T) {
			server := agenttest.Start(t)
			d, img := agenttest.NewDisk(t, "TARGET", diskSize, nil), agenttest.NewImage(t, imageSize, 4)
			midway(t, writer(t, server, d), server, d, img)
			stop(server)
			server.Wait(t, "the next question for work", testLimit, func(s agenttest.State) bool { return s.Deliveries == 1 })
			result, heard := server.State().Results["w-1"]
			if heard && (!result.Touched || result.Permanent || !strings.Contains(result.Error, "cancelled by ada")) {
				t.Errorf("result %+v", result)
			}
			cannotBoot(t, d)
		})
	}
}

// Between the last check and the first byte the server is told, and may still say no.
func TestTheServerHearsOfTheFirstByteBefore(t *testing.T) {
	for name, stopped := range map[string]bool{"wanted": false, "not wanted any more": true} {
		t.Run(name, func(t *testing.T) {
			server := agenttest.Start(t)
			d, img := agenttest.NewDisk(t, "TARGET", diskSize, []byte("old")), agenttest.NewImage(t, imageSize, 11)
			before := d.Bytes(t)
			img.Gate(1)
			assignment := img.Write("w-1", d.Ref())
			assignment.Write.Ours = true
			server.Assign(assignment)
			start(t, writer(t, server, d))
			img.Reached(t)
			for _, p := range server.State().Progress {
				if p.Begins {
					t.Error("it says that it begins before it has a byte to write")
				}
			}
			if stopped {
				server.StopAssignment("w-1", "cancelled by ada")
			}
			img.Open()
			if !stopped {
				if result := server.Result(t, "w-1", testLimit); result.Error != "" {
					t.Errorf("result %+v", result)
				}
				begins := func(p api.Progress) bool { return p.Begins }
				if !slices.ContainsFunc(server.State().Progress, begins) {
					t.Error("the server was never told that the write begins")
				}
				return
			}
			server.Wait(t, "the next question for work", testLimit, func(s agenttest.State) bool { return s.Deliveries == 1 })
			if result, heard := server.State().Results["w-1"]; heard && result.Touched {
				t.Errorf("result %+v", result)
			}
			if !bytes.Equal(d.Bytes(t), before) {
				t.Error("the disk was changed although the server had said no")
			}
		})
	}
}

func TestDeadlineInTheMiddle(t *testing.T) {
	server := agenttest.Start(t)
	d, img := agenttest.NewDisk(t, "TARGET", diskSize, nil), agenttest.NewImage(t, imageSize, 5)
	img.Gate(5 << 20)
	assignment := img.Write("w-1", d.Ref())
	assignment.Deadline = time.Now().Add(2 * time.Second)
	server.Assign(assignment)
	start(t, writer(t, server, d))
	result := server.Result(t, "w-1", testLimit)
	if !strings.Contains(result.Error, "deadline") || !result.Touched || result.Permanent {
		t.Errorf("result %+v", result)
	}
	cannotBoot(t, d)
}

func TestServerAwayForAMoment(t *testing.T) {
	server := agenttest.Start(t)
	d, img := agenttest.NewDisk(t, "TARGET", diskSize, nil), agenttest.NewImage(t, imageSize, 6)
	midway(t, writer(t, server, d), server, d, img)
	server.Stop()
	img.Open()
	time.Sleep(2 * time.Second)
	server.Restart(t)
	if result := server.Result(t, "w-1", testLimit); result.Error != "" {
		t.Errorf("result %+v", result)
	}
	holds(t, d, img)
	if handed := server.State().Handed; len(handed) != 1 {
		t.Errorf("handed out %q: a server that is away for a moment is ridden out", handed)
	}
}

func TestServerAwayForLong(t *testing.T) {
	server := agenttest.Start(t)
	d, img := agenttest.NewDisk(t, "TARGET", diskSize, nil), agenttest.NewImage(t, imageSize, 7)
	a := writer(t, server, d)
	a.rightToWrite = 2 * time.Second
	stopped := make(chan struct{})
	a.Say = func(s string) {
		if strings.HasPrefix(s, "stopped write") {
			close(stopped)
		}
	}
	midway(t, a, server, d, img)
	server.Stop()
	select {
	case <-stopped:
	case <-time.After(testLimit):
		t.Fatal("the write goes on without a server")
	}
	cannotBoot(t, d)
	img.Open()
	server.Restart(t)
	// It is not over: the server hands it out again, and what is on the disk now is nobody's data.
	if result := server.Result(t, "w-1", testLimit); result.Error != "" {
		t.Errorf("result %+v", result)
	}
	holds(t, d, img)
	if state := server.State(); len(state.Handed) != 2 || state.Deliveries != 1 {
		t.Errorf("handed out %q, %d deliveries", state.Handed, state.Deliveries)
	}
}

func TestWriteIsNotDoneTwice(t *testing.T) {
	server := agenttest.Start(t)
	d, img := agenttest.NewDisk(t, "TARGET", diskSize, nil), agenttest.NewImage(t, imageSize, 8)
	lost := false
	server.Fault = func(_ int, path string) agenttest.Fault {
		if strings.HasSuffix(path, "/result") && !lost { // the first result is heard, but the agent is not told
			lost = true
			return agenttest.CutAfter
		}
		return agenttest.None
	}
	server.Assign(img.Write("w-1", d.Ref()))
	a := writer(t, server, d)
	var begun atomic.Int32
	a.Say = func(s string) {
		if s == "told to write" {
			begun.Add(1)
		}
	}
	start(t, a)
	server.Wait(t, "the second delivery", testLimit, func(s agenttest.State) bool { return s.Deliveries == 2 })
	server.Assign(img.Write("w-1", d.Ref())) // a replay
	server.Wait(t, "the third delivery", testLimit, func(s agenttest.State) bool { return s.Deliveries == 3 })
	if n := begun.Load(); n != 1 {
		t.Errorf("begun %d times", n)
	}
}

func TestClear(t *testing.T) {
	server := agenttest.Start(t)
	filesystem := mkfs(t)
	first, second, kept := agenttest.NewDisk(t, "FIRST", diskSize, filesystem), agenttest.NewDisk(t, "SECOND", diskSize, osd), agenttest.NewDisk(t, "KEPT", diskSize, osd)
	before := kept.Bytes(t)
	server.Assign(api.Assignment{ID: "c-1", Verb: api.VerbClear, Clear: &api.ClearArgs{Disks: []api.DiskRef{first.Ref(), kept.Ref()}, Protect: []api.DiskRef{kept.Ref()}}})
	server.Assign(api.Assignment{ID: "c-2", Verb: api.VerbClear, Clear: &api.ClearArgs{Disks: []api.DiskRef{first.Ref(), second.Ref()}, Protect: []api.DiskRef{kept.Ref()}}})
	start(t, writer(t, server, first, second, kept))
	if result := server.Result(t, "c-1", testLimit); !result.Permanent || result.Touched || !strings.Contains(result.Error, "protected") {
		t.Errorf("with a protected disk: %+v", result)
	}
	if result := server.Result(t, "c-2", testLimit); result.Error != "" || !result.Touched {
		t.Errorf("clear: %+v", result)
	}
	cannotBoot(t, first)
	cannotBoot(t, second)
	if !bytes.Equal(kept.Bytes(t), before) {
		t.Error("the protected disk was changed")
	}
}

// Whatever is asked for, a disk that is not exactly what the assignment names is never changed.
func TestOnlyTheNamedDiskIsEverWritten(t *testing.T) {
	names := []string{"A1", "A2", "A2", "B1", "b1"}
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 9))
		pick := func() string { return append(names, "", "none", "A")[random.IntN(len(names)+3)] }
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			server := agenttest.Start(t)
			var disks []*agenttest.Disk
			for i, name := range names {
				disks = append(disks, agenttest.NewDisk(t, name, int64(8+i)<<20, []byte(fmt.Sprint("disk ", i))))
			}
			img := agenttest.NewImage(t, 6<<20, seed)
			ref := api.DiskRef{Serial: pick()}
			if random.IntN(3) == 0 {
				ref.SizeBytes = int64(8+random.IntN(len(names))) << 20
			}
			assignment := img.Write("w-1", ref)
			assignment.Write.Ours = true
			if random.IntN(3) == 0 {
				assignment.Write.Protect = []api.DiskRef{{Serial: pick()}}
			}
			server.Assign(assignment)
			start(t, writer(t, server, disks...))
			result := server.Result(t, "w-1", testLimit)
			for i, d := range disks {
				changed := !bytes.HasPrefix(d.Bytes(t), []byte(fmt.Sprint("disk ", i)))
				named := d.Serial == ref.Serial && (ref.SizeBytes == 0 || ref.SizeBytes == int64(8+i)<<20)
				protected := len(assignment.Write.Protect) > 0 && assignment.Write.Protect[0].Serial == d.Serial
				if changed && (!named || protected || result.Error != "") {
					t.Errorf("%s (disk %d) was changed by %+v, protected %+v: %+v", d.Serial, i, ref, assignment.Write.Protect, result)
				}
			}
		})
	}
}

func TestSameFinding(t *testing.T) {
	three, four := 3, 4
	finding := storage.Finding{Kind: storage.KindCeph, UUID: "u", OSD: &storage.OSD{FSID: "f", ID: &three}}
	given := ContentFact(finding)
	if !sameFinding(given, finding) {
		t.Error("a finding is not the same as itself")
	}
	given.Sentence = "worded anew"
	given.OSD = &inventory.OSDFact{FSID: "f", ID: &four}
	if !sameFinding(given, finding) {
		t.Error("the OSD is known by its fsid")
	}
	given.OSD = &inventory.OSDFact{FSID: "g"}
	if sameFinding(given, finding) {
		t.Error("another OSD is the same")
	}
	given.OSD = nil
	if sameFinding(given, finding) {
		t.Error("no OSD is the same")
	}
}
