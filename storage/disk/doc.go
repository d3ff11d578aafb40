// Package disk finds, identifies, examines and writes the disks of the machine it runs on. It is linked into the
// agent: Linux on amd64 and arm64, no cgo, no other program.
//
// Everything that decides about a disk goes through one open descriptor. [Open] takes the disk exclusively, so that
// nothing has it mounted; [Device.Identity] asks the disk itself for its serial number and WWN, [Device.Probe] reads
// what is on it, and [Write] writes through the same descriptor after a guard has compared both once more. A kernel
// name that moved to another disk in between changes nothing.
//
// [Write] puts an image on a disk so that a disk which is not completely and verifiably written does not boot: the
// first and the last MiB are cleared first and written last, after everything else was read back and compared.
package disk

import (
	"errors"

	"berth/storage"
)

const mib = int(storage.MiB)

// The errors that callers tell apart.
var (
	// ErrBusy means that something on the machine uses the disk: a mounted filesystem, swap, RAID or LVM.
	ErrBusy = errors.New("the disk is in use")
	// ErrNotDisk means that a path is no whole disk.
	ErrNotDisk = errors.New("not a whole disk")
	// ErrWrongDisk means that the disk behind the descriptor is not the one that was meant.
	ErrWrongDisk = errors.New("not the disk that was meant")
	// ErrChanged means that the disk carries something else than the plan was made for.
	ErrChanged = errors.New("the content of the disk is not what the plan was made for")
	// ErrReadBack means that the disk gave back other bytes than were written to it.
	ErrReadBack = errors.New("the disk does not give back what was written")
	// ErrTooSmall means that the disk cannot hold the image, or the image and the seed.
	ErrTooSmall = errors.New("the disk is too small")
	// ErrTable means that the image's partition table cannot be used, or cannot carry the seed.
	ErrTable = errors.New("the image's partition table does not fit")
	// ErrSeed means that the seed cannot be made.
	ErrSeed = errors.New("the seed cannot be made")
)
