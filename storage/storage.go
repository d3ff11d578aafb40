// Package storage says what a machine's disks are for and what may be done to them.
//
// It is the contract and the rules, and touches no disk itself: disk roles and how they are bound to a serial number
// or a WWN, what was found on a disk, and the disk plan, which names the one disk that will be written, the disks that
// will be kept, and in plain sentences what will be destroyed. Its sub-folders carry it out: image holds the stored
// form of an operating system image, disk reads and writes block devices on Linux.
//
// The rule the package exists for: nothing destroys data on a guess. A disk is written because a person bound it, or
// because it is the only one that could be meant; a disk that carries anything nobody claimed is written only with a
// [Consent] that names the machine, the disks and the digest of the plan that was shown.
package storage

// Sizes in bytes.
const (
	KiB int64 = 1 << 10
	MiB int64 = 1 << 20
	GiB int64 = 1 << 30
)

// SeedSize is the size in bytes of the partition that carries the NoCloud seed.
const SeedSize = 4 * MiB

// SeedReserve is the room in bytes a disk must have beyond the image when a seed partition is appended: the partition,
// the last MiB of the disk (backup table), and up to one MiB lost to alignment.
const SeedReserve = SeedSize + 2*MiB
