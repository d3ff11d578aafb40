//go:build linux

package disk

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// skip skips loudly, or fails where CI promises that nothing is missing.
func skip(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("CI must not skip: %s", what)
	}
	t.Skipf("SKIPPED: %s", what)
}

// tool skips the test unless the program is there.
func tool(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		skip(t, name+" is not installed")
	}
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	tool(t, name)
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// sparse makes a file of this size in bytes that takes no room.
func sparse(t testing.TB, name string, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return path
}

// attach makes a file a loop device with this logical block size, until the test ends.
func attach(t testing.TB, file string, block int) (path string) {
	t.Helper()
	if os.Getuid() != 0 {
		skip(t, "loop devices need root")
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		skip(t, fmt.Sprintf("no loop devices: %v", err))
	}
	defer control.Close()
	for range 100 { // another process may take the device that was just free
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			t.Fatal(err)
		}
		path = fmt.Sprintf("/dev/loop%d", n)
		loop, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		config := unix.LoopConfig{Fd: uint32(f.Fd()), Size: uint32(block)}
		err = ioctl(int(loop.Fd()), unix.LOOP_CONFIGURE, unsafe.Pointer(&config))
		loop.Close()
		if errors.Is(err, unix.EBUSY) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { detach(t, path) })
		return path
	}
	t.Fatal("no free loop device in 100 attempts")
	return ""
}

func detach(t testing.TB, path string) {
	loop, err := os.Open(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer loop.Close()
	if err := unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_CLR_FD, 0); err != nil {
		t.Errorf("detach %s: %v", path, err)
	}
}

// open opens a loop device for writing.
func open(t testing.TB, path string) *Device {
	t.Helper()
	d, err := Open(path, Options{Write: true, AllowLoop: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// loopDisk is a blank loop device of this size, open for writing.
func loopDisk(t testing.TB, size int64) *Device {
	t.Helper()
	return open(t, attach(t, sparse(t, "target.img", size), 512))
}
