//go:build linux

package disk

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"berth/storage"
)

// ListOptions say where to look for disks. The zero value looks at the machine.
type ListOptions struct {
	// Sys is where sysfs is mounted, Dev where device nodes are; empty are /sys and /dev.
	Sys, Dev string
	// Loop lists loop devices with a file behind them as well, which are disks only in tests.
	Loop bool
}

func (o ListOptions) withDefaults() ListOptions {
	o.Sys, o.Dev = cmp.Or(o.Sys, "/sys"), cmp.Or(o.Dev, "/dev")
	return o
}

// Found is a disk as the kernel describes it. What matters is asked again of the disk itself by [Device.Identity].
type Found struct {
	storage.Disk
	// Name is the kernel's name of the moment: sda.
	Name      string
	ReadOnly  bool
	Removable bool
}

// noDisk matches kernel names of block devices that are no disks of the machine: memory, optical and floppy drives,
// mapped and assembled devices, network devices, and the boot and replay-protected areas of MMC chips.
var noDisk = regexp.MustCompile(`^(ram|zram|sr|fd|dm-|md|nbd|rbd|drbd|mtdblock|pmem|bcache|mmcblk\d+(boot\d|rpmb|gp\d)|nvme\d+c\d+n\d+$)`)

// List returns the machine's disks in the order of their names.
func List(ctx context.Context, o ListOptions) ([]Found, error) {
	o = o.withDefaults()
	entries, err := os.ReadDir(filepath.Join(o.Sys, "block"))
	if err != nil {
		return nil, fmt.Errorf("list disks: %w", err)
	}
	var found []Found
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if f, ok := o.look(e.Name()); ok {
			found = append(found, f)
		}
	}
	return found, nil
}

func (o ListOptions) look(name string) (Found, bool) {
	isLoop := strings.HasPrefix(name, "loop")
	node := sysNode{filepath.Join(o.Sys, "block", name)}
	sectors, err := strconv.ParseInt(node.text("size"), 10, 64)
	switch {
	case noDisk.MatchString(name), isLoop && !o.Loop, node.text("hidden") == "1":
		return Found{}, false
	case err != nil, sectors <= 0, isLoop && node.text("loop/backing_file") == "": // a card reader, a free loop device
		return Found{}, false
	}
	id := node.identity()
	block, _ := strconv.Atoi(node.text("queue/logical_block_size"))
	// In names a slash stands as an exclamation mark: cciss!c0d0.
	path := filepath.Join(o.Dev, strings.ReplaceAll(name, "!", "/"))
	return Found{
		Disk: storage.Disk{Serial: id.serial, WWN: id.wwn, Model: id.model, Size: sectors * 512, BlockSize: block, Path: path,
			Transport: node.transport(), Rotational: node.rotational()},
		Name: name, ReadOnly: node.text("ro") == "1", Removable: node.text("removable") == "1",
	}, true
}

// Inspect lists the machine's disks and asks and examines each through its own descriptor. A disk that cannot be
// opened or identified is there all the same: its content is reported as incomplete, which protects it.
func Inspect(ctx context.Context, o ListOptions) ([]storage.Observed, error) {
	found, err := List(ctx, o)
	if err != nil {
		return nil, err
	}
	observed := make([]storage.Observed, 0, len(found))
	for _, f := range found {
		observed = append(observed, inspect(ctx, f, o))
	}
	return observed, ctx.Err()
}

func inspect(ctx context.Context, f Found, o ListOptions) storage.Observed {
	seen := storage.Observed{Disk: f.Disk, ReadOnly: f.ReadOnly, Removable: f.Removable}
	d, err := Open(f.Path, Options{AllowLoop: o.Loop, Sys: o.Sys})
	if err != nil {
		seen.Content.Incomplete = err.Error()
		return seen
	}
	defer d.Close()
	if id, err := d.Identity(); err == nil {
		seen.Disk = id
	} else {
		seen.Content.Incomplete = err.Error()
		return seen
	}
	seen.Content = d.Probe(ctx)
	return seen
}

// Find opens the disk that is the wanted one by its serial or WWN, asking each disk itself. None and several are
// errors, several because berth does not choose. A wanted disk without serial and WWN is found only if the machine
// has no other disk.
func Find(ctx context.Context, want storage.Disk, lo ListOptions, o Options) (*Device, error) {
	found, err := List(ctx, lo)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, f := range found {
		if !want.Identified() && len(found) == 1 || isDisk(f.Path, want, lo) {
			paths = append(paths, f.Path)
		}
	}
	if len(paths) != 1 {
		slices.Sort(paths)
		return nil, fmt.Errorf("%d of the machine's %d disks are %s %q: %w", len(paths), len(found), want, paths, ErrWrongDisk)
	}
	d, err := Open(paths[0], o)
	if err != nil {
		return nil, err
	}
	if err := Expect(ctx, want, nil)(d); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func isDisk(path string, want storage.Disk, o ListOptions) bool {
	d, err := Open(path, Options{AllowLoop: o.Loop, Sys: o.Sys})
	if err != nil {
		return false
	}
	defer d.Close()
	id, err := d.Identity()
	return err == nil && want.Same(id)
}
