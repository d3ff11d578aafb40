//go:build linux

package disk

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
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
