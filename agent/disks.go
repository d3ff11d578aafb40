package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"berth/api"
	"berth/storage"
	"berth/storage/disk"
)

// Disks reaches the disks of the machine. Its zero value reaches every physical one.
type Disks struct {
	// Only are the paths of the disks that exist for the agent, loop devices among them; nil is every physical disk.
	Only []string
}

// candidate is a disk that may be the one that is meant.
type candidate struct {
	storage.Disk
	path string
}

// list asks every disk who it is. A disk that does not answer is known by what the kernel says of it: it cannot be written, but it
// may be the second of the name.
func (d *Disks) list(ctx context.Context) ([]candidate, error) {
	found, err := disk.List(ctx, disk.ListOptions{Loop: d.Only != nil})
	if err != nil {
		return nil, err
	}
	var all []candidate
	for _, f := range found {
		if d.Only != nil && !slices.Contains(d.Only, f.Path) {
			continue
		}
		c := candidate{Disk: f.Disk, path: f.Path}
		if identity, err := d.identify(f.Path); err == nil {
			c.Disk = identity
		}
		all = append(all, c)
	}
	return all, nil
}

func (d *Disks) identify(path string) (storage.Disk, error) {
	device, err := disk.Open(path, disk.Options{AllowLoop: d.Only != nil})
	if err != nil {
		return storage.Disk{}, err
	}
	defer device.Close()
	return device.Identity()
}

// open finds the one disk that ref names and opens it for writing, which fails while anything on the machine uses it.
func (d *Disks) open(ctx context.Context, ref api.DiskRef) (*disk.Device, error) {
	if !identifies(ref) {
		return nil, never("a disk without serial number and WWN cannot be told from others: nothing is written")
	}
	all, err := d.list(ctx)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, c := range all {
		if isMeant(ref, c.Disk) {
			paths = append(paths, c.path)
		}
	}
	switch len(paths) {
	case 0:
		return nil, never("this machine has no disk %s among its %d", describe(ref), len(all))
	case 1:
		return disk.Open(paths[0], disk.Options{Write: true, AllowLoop: d.Only != nil})
	}
	return nil, never("%d disks of this machine are %s (%s): nothing is written", len(paths), describe(ref), strings.Join(paths, ", "))
}

// identifies says that ref names a disk at all: a placeholder for a serial number does not.
func identifies(ref api.DiskRef) bool {
	return storage.NormalizeSerial(ref.Serial) != "" || storage.NormalizeWWN(ref.WWN) != ""
}

// isMeant says that a disk bears everything that ref says. What ref does not say is not compared.
func isMeant(ref api.DiskRef, d storage.Disk) bool {
	serial, wwn := storage.NormalizeSerial(ref.Serial), storage.NormalizeWWN(ref.WWN)
	return identifies(ref) &&
		(serial == "" || serial == storage.NormalizeSerial(d.Serial)) &&
		(wwn == "" || wwn == storage.NormalizeWWN(d.WWN)) &&
		(ref.SizeBytes == 0 || ref.SizeBytes == d.Size)
}

// isProtected says that a disk bears anything of what one of the protected ones is known by. Doubt protects.
func isProtected(protect []api.DiskRef, d storage.Disk) bool {
	return slices.ContainsFunc(protect, func(p api.DiskRef) bool {
		serial, wwn := storage.NormalizeSerial(p.Serial), storage.NormalizeWWN(p.WWN)
		return serial != "" && serial == storage.NormalizeSerial(d.Serial) || wwn != "" && wwn == storage.NormalizeWWN(d.WWN)
	})
}

// mayDestroy is the guard that stands right before the first byte: it asks the disk behind the descriptor once more who it is, and
// what it carries.
func mayDestroy(ctx context.Context, ref api.DiskRef, protect []api.DiskRef, allowed func(storage.Content) error) func(*disk.Device) error {
	return func(device *disk.Device) error {
		identity, err := device.Identity()
		if err != nil {
			return err
		}
		if !isMeant(ref, identity) {
			return fmt.Errorf("%s is behind %s, not %s: %w", identity, device.Path(), describe(ref), disk.ErrWrongDisk)
		}
		if isProtected(protect, identity) {
			return never("%s is protected: nothing is written", identity)
		}
		if err := allowed(device.Probe(ctx)); err != nil {
			return fmt.Errorf("%s: %w", identity, err)
		}
		return nil
	}
}

func describe(ref api.DiskRef) string {
	var parts []string
	if ref.Serial != "" {
		parts = append(parts, fmt.Sprintf("with serial %q", Clean(ref.Serial, 64)))
	}
	if ref.WWN != "" {
		parts = append(parts, fmt.Sprintf("with WWN %q", Clean(ref.WWN, 64)))
	}
	if ref.SizeBytes != 0 {
		parts = append(parts, "of "+storage.FormatSize(ref.SizeBytes))
	}
	return strings.Join(parts, " ")
}

// hopeless are errors of the disk's side that trying again cannot help.
var hopeless = []error{disk.ErrWrongDisk, disk.ErrChanged, disk.ErrNotDisk, disk.ErrTooSmall, disk.ErrTable, disk.ErrSeed, disk.ErrReadBack}

func isHopeless(err error) bool {
	return slices.ContainsFunc(hopeless, func(h error) bool { return errors.Is(err, h) })
}
