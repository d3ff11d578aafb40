//go:build linux

package disk

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"berth/storage"
	"berth/storage/image"
)

func TestOpenRefuses(t *testing.T) {
	path := attach(t, sparse(t, "a.img", 16<<20), 512)
	file := sparse(t, "b.img", 16<<20)
	for name, tt := range map[string]struct {
		path string
		o    Options
		err  error
	}{
		"loop device":    {path, Options{Write: true}, ErrNotDisk},
		"regular file":   {file, Options{AllowLoop: true}, ErrNotDisk},
		"directory":      {filepath.Dir(file), Options{}, ErrNotDisk},
		"character":      {"/dev/null", Options{Write: true}, ErrNotDisk},
		"nothing at all": {file + ".none", Options{}, os.ErrNotExist},
	} {
		d, err := Open(tt.path, tt.o)
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			d.Close()
		}
	}
}

// TestOpenIsExclusive holds that a disk in use cannot be opened for writing, and that one opened for writing cannot
// come into use.
func TestOpenIsExclusive(t *testing.T) {
	file := sparse(t, "a.img", 16<<20)
	run(t, "mkfs.ext4", "-q", file)
	path := attach(t, file, 512)
	dir := t.TempDir()
	if err := unix.Mount(path, dir, "ext4", 0, ""); err != nil {
		skip(t, fmt.Sprintf("mount: %v", err))
	}
	_, err := Open(path, Options{Write: true, AllowLoop: true})
	if err := unix.Unmount(dir, 0); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, ErrBusy) {
		t.Errorf("a mounted disk: %v", err)
	}
	d := open(t, path)
	if _, err := Open(path, Options{Write: true, AllowLoop: true}); !errors.Is(err, ErrBusy) {
		t.Errorf("a second writer: %v", err)
	}
	if err := unix.Mount(path, dir, "ext4", 0, ""); err == nil {
		unix.Unmount(dir, 0)
		t.Error("the disk was mounted while it was open for writing")
	}
	reader, err := Open(path, Options{AllowLoop: true})
	if err != nil {
		t.Fatalf("a reader beside the writer: %v", err)
	}
	reader.Close()
	if d.BlockSize() != 512 || d.Size() != 16<<20 || d.Path() != path {
		t.Errorf("block %d, size %d, path %s", d.BlockSize(), d.Size(), d.Path())
	}
}

// TestZero fills a disk with ones and zeroes parts of it by every way there is.
func TestZero(t *testing.T) {
	d := loopDisk(t, 16<<20)
	ones := bytes.Repeat([]byte{1}, 16<<20)
	if _, err := d.WriteAt(ones, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Zero(1<<20, 3<<20); err != nil {
		t.Fatal(err)
	}
	if err := writeZeros(d, 9<<20, 512*3); err != nil {
		t.Fatal(err)
	}
	clear(ones[1<<20 : 4<<20])
	clear(ones[9<<20 : 9<<20+512*3])
	got := make([]byte, len(ones))
	if _, err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got, ones) {
		t.Errorf("the disk does not hold what was written: %v", err)
	}
	if err := d.Zero(d.Size(), 512); err == nil {
		t.Error("zeroes were written behind the end")
	}
}

// TestDirect switches direct transfers on and off; off, any alignment is good.
func TestDirect(t *testing.T) {
	d := loopDisk(t, 16<<20)
	if !d.setDirect(true) {
		t.Skip("SKIPPED: the kernel refuses O_DIRECT on this loop device; the buffered path is what TestWriteBuffered tests")
	}
	b := image.Aligned(4096)
	b[0] = 'x'
	if _, err := d.WriteAt(b, 8192); err != nil {
		t.Fatal(err)
	}
	d.setDirect(false)
	one := make([]byte, 1)
	if _, err := d.ReadAt(one, 8192); err != nil || one[0] != 'x' {
		t.Errorf("%q, %v", one, err)
	}
}

// TestWriteBuffered writes as on a disk that refuses direct transfers.
func TestWriteBuffered(t *testing.T) {
	d := loopDisk(t, 64<<20)
	s := inMem(rawImage(t, "gpt", 512))
	result, err := write(t.Context(), d, source(t, s), WriteOptions{Seed: testSeed}, nothing)
	if err != nil || result.Tree != s.index.Tree() {
		t.Errorf("%+v, %v", result, err)
	}
}

// TestListLoop finds a loop device among the machine's disks, if and only if loop devices are asked for.
func TestListLoop(t *testing.T) {
	path := attach(t, sparse(t, "listed.img", 16<<20), 512)
	for _, loop := range []bool{true, false} {
		found, err := List(t.Context(), ListOptions{Loop: loop})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(found, func(f Found) bool { return f.Path == path })
		if (i >= 0) != loop {
			t.Fatalf("asked for loop devices: %v, found %+v", loop, found)
		}
		if loop && (found[i].Size != 16<<20 || found[i].BlockSize != 512 || found[i].Transport != storage.TransportLoop) {
			t.Errorf("found %+v", found[i])
		}
	}
}

func TestPhases(t *testing.T) {
	for _, p := range Phases() {
		if got, err := ParsePhase(p.String()); err != nil || got != p {
			t.Errorf("%q, %v", got, err)
		}
	}
	if _, err := ParsePhase("format"); err == nil {
		t.Error("an unknown phase was parsed")
	}
}
