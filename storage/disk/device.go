//go:build linux

package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"berth/storage"
	"berth/storage/image"
)

// Options say how a disk is opened. The zero value opens it for reading.
type Options struct {
	// Write opens the disk for writing, and exclusively: it fails with ErrBusy while anything on the machine uses the
	// disk or one of its partitions, and while it is open nothing can begin to.
	Write bool
	// AllowLoop takes loop devices as well, which are disks only in tests.
	AllowLoop bool
	// Sys is where sysfs is mounted; empty is /sys.
	Sys string
}

func (o Options) sys() string {
	if o.Sys == "" {
		return "/sys"
	}
	return o.Sys
}

// Device is an open disk. Its methods may be called from several goroutines, but for Close.
type Device struct {
	f      *os.File
	path   string
	size   int64
	block  int
	direct bool
	node   sysNode
	loop   bool
}

// Open opens a whole disk. Partitions, other block devices and, unless they are allowed, loop devices are ErrNotDisk.
func Open(path string, o Options) (*Device, error) {
	flags := unix.O_RDONLY | unix.O_CLOEXEC
	if o.Write {
		flags = unix.O_RDWR | unix.O_EXCL | unix.O_CLOEXEC
	}
	fd, err := ignoringEINTR(func() (int, error) { return unix.Open(path, flags, 0) })
	if errors.Is(err, unix.EBUSY) {
		return nil, fmt.Errorf("open %s: %w", path, ErrBusy)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	d := &Device{f: os.NewFile(uintptr(fd), path), path: path}
	if err := d.examine(o); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), d.f.Close())
	}
	return d, nil
}

// examine finds out what kind of device it is, and its size.
func (d *Device) examine(o Options) error {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd(), &st); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return fmt.Errorf("it is no block device: %w", ErrNotDisk)
	}
	d.node = sysNode{filepath.Join(o.sys(), "dev", "block", fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)))}
	d.loop = unix.Major(st.Rdev) == loopMajor
	if d.node.exists("partition") {
		return fmt.Errorf("it is a partition: %w", ErrNotDisk)
	}
	if d.loop && !o.AllowLoop {
		return fmt.Errorf("it is a loop device: %w", ErrNotDisk)
	}
	var err error
	if d.block, err = unix.IoctlGetInt(d.fd(), unix.BLKSSZGET); err != nil {
		return fmt.Errorf("ask for the block size: %w", err)
	}
	if d.size, err = d.f.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("ask for the size: %w", err)
	}
	if d.block < 512 || d.block > 4096 || d.block&(d.block-1) != 0 {
		return fmt.Errorf("logical blocks of %d bytes: %w", d.block, ErrNotDisk)
	}
	return nil
}

func (d *Device) fd() int { return int(d.f.Fd()) }

// Close closes the disk.
func (d *Device) Close() error { return d.f.Close() }

// Path returns the path the disk was opened by. It says nothing about which disk it is.
func (d *Device) Path() string { return d.path }

// Size returns the size in bytes.
func (d *Device) Size() int64 { return d.size }

// BlockSize returns the logical block size in bytes.
func (d *Device) BlockSize() int { return d.block }

// ReadAt implements io.ReaderAt.
func (d *Device) ReadAt(p []byte, off int64) (int, error) { return d.f.ReadAt(p, off) }

// WriteAt implements io.WriterAt.
func (d *Device) WriteAt(p []byte, off int64) (int, error) { return d.f.WriteAt(p, off) }

// Sync makes everything written durable, the disk's own cache included.
func (d *Device) Sync() error {
	if err := d.f.Sync(); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}

// Zero makes a range read as zeros, by the disk's own means where it has any. The kernel does the same by writing
// where it has none, but answers some devices with an error; then zeros are written from here.
func (d *Device) Zero(off, n int64) error {
	err := ioctlRange(d.fd(), unix.BLKZEROOUT, off, n)
	if err == nil {
		return nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTTY) {
		return err
	}
	return writeZeros(d, off, n)
}

// setDirect tries to go past the page cache, which halves the processor time and makes reading back honest. It
// reports whether the kernel agreed.
func (d *Device) setDirect(on bool) bool {
	flags, err := unix.FcntlInt(uintptr(d.fd()), unix.F_GETFL, 0)
	if err != nil {
		return false
	}
	flags &^= unix.O_DIRECT
	if on {
		flags |= unix.O_DIRECT
	}
	if _, err := unix.FcntlInt(uintptr(d.fd()), unix.F_SETFL, flags); err != nil {
		return false
	}
	if on && !d.directWorks() {
		return d.setDirect(false) && false
	}
	d.direct = on
	return on
}

// directWorks reads one block: some devices accept the flag and refuse the transfer.
func (d *Device) directWorks() bool {
	_, err := d.f.ReadAt(image.Aligned(4096), 0)
	return err == nil
}

// dropCache makes the next reads come from the disk where they would not anyway.
func (d *Device) dropCache() error {
	if d.direct {
		return nil
	}
	return unix.IoctlSetInt(d.fd(), unix.BLKFLSBUF, 0)
}

// reread makes the kernel look at the partition table again. Devices without partitions refuse, which is no failure.
func (d *Device) reread() error { return unix.IoctlSetInt(d.fd(), unix.BLKRRPART, 0) }

// Identity asks the disk who it is, through the descriptor. What only the kernel knows (transport, rotation, and a
// serial where the disk cannot be asked) is looked up by the device number of the descriptor, never by name.
func (d *Device) Identity() (storage.Disk, error) {
	disk := storage.Disk{Size: d.size, BlockSize: d.block, Path: d.path, Transport: d.node.transport(), Rotational: d.node.rotational()}
	var id identity
	switch {
	case d.loop:
		name, err := loopBacking(d.fd(), d.node)
		if err != nil {
			return disk, fmt.Errorf("identify %s: %w", d.path, err)
		}
		id = identity{serial: name, model: "loop device"}
		disk.Transport = storage.TransportLoop
	case isNVMe(d.fd()):
		id = identifyNVMe(d.fd())
	default:
		id = identifySCSI(d.fd(), disk.Transport)
	}
	id = id.or(d.node.identity())
	disk.Serial, disk.WWN, disk.Model = id.serial, id.wwn, id.model
	return disk, nil
}

// Probe says what is on the disk, reading through its descriptor: partition tables, and in the whole disk and in each
// partition the signatures of filesystems, volume managers, RAID, encryption and Ceph. A disk that cannot be read to
// the end is reported as such in the content, which then counts as carrying data. Reads are bounded: about 1 MiB, and
// 512 KiB for each partition.
func (d *Device) Probe(ctx context.Context) storage.Content {
	return probe(ctx, d, d.size, d.block)
}

// Expect returns a guard for [Write] and [Clear]: the disk behind the descriptor must be the wanted one by its serial
// or WWN, have its size, and carry what content allows. Content may be nil. If the wanted disk has neither serial nor
// WWN, only its size is compared, and the caller must know that it is the only disk.
func Expect(ctx context.Context, want storage.Disk, content func(storage.Content) error) func(*Device) error {
	return func(d *Device) error {
		have, err := d.Identity()
		if err != nil {
			return err
		}
		if want.Identified() && !want.Same(have) || want.Size != 0 && want.Size != have.Size {
			return fmt.Errorf("%s is behind %s, not %s: %w", have, d.path, want, ErrWrongDisk)
		}
		if content == nil {
			return nil
		}
		return content(d.Probe(ctx))
	}
}

// SameContent returns a content check for [Expect]: exactly what was planned for is found again.
func SameContent(want storage.Content) func(storage.Content) error {
	return func(have storage.Content) error {
		if strings.Join(want.Sentences(), "\n") == strings.Join(have.Sentences(), "\n") {
			return nil
		}
		return fmt.Errorf("planned for %q, found %q: %w", want.Sentences(), have.Sentences(), ErrChanged)
	}
}

func ignoringEINTR[T any](f func() (T, error)) (T, error) {
	for {
		v, err := f()
		if !errors.Is(err, unix.EINTR) {
			return v, err
		}
	}
}
