package boot

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

type mount struct {
	kind, dir, options string
	flags              uintptr
}

// mounts are the kernel's own file systems, in order.
var mounts = []mount{
	{"proc", "/proc", "", unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NODEV},
	{"sysfs", "/sys", "", unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NODEV},
	{"devtmpfs", "/dev", "mode=0755", unix.MS_NOSUID | unix.MS_NOEXEC},
	{"tmpfs", "/run", "mode=0755,size=16m", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
	{"tmpfs", "/tmp", "mode=1777,size=64m", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
}

// mountAll mounts what is not mounted yet. It tries all, for a machine without one may still tell about it.
func mountAll() error {
	var faults []error
	for _, m := range mounts {
		faults = append(faults, m.mount())
	}
	return errors.Join(faults...)
}

func (m mount) mount() error {
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", m.dir, err)
	}
	err := unix.Mount(m.kind, m.dir, m.kind, m.flags, m.options)
	if err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("mount %s: %w", m.dir, err)
	}
	return nil
}

// mountEFI shows the variables of the firmware, read-only: nothing the agent does may change what a machine boots. Machines without
// UEFI have none.
func mountEFI() {
	const dir = "/sys/firmware/efi/efivars"
	if _, err := os.Stat(dir); err != nil {
		return
	}
	unix.Mount("efivarfs", dir, "efivarfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NOEXEC|unix.MS_NODEV, "") // facts only
}
