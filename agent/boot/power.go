package boot

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Power ends this system: a restart, or off. It returns only when the kernel refuses.
func Power(off bool) error {
	synced := make(chan struct{})
	go func() { unix.Sync(); close(synced) }()
	select {
	case <-synced:
	case <-time.After(30 * time.Second): // a disk that does not answer must not keep the machine
	}
	command := unix.LINUX_REBOOT_CMD_RESTART
	if off {
		command = unix.LINUX_REBOOT_CMD_POWER_OFF
	}
	if err := unix.Reboot(command); err != nil {
		return fmt.Errorf("ask the kernel to end: %w", err)
	}
	return nil
}

// SetClock sets the system's clock. The hardware clock is left to the installed system.
func SetClock(t time.Time) error {
	value := unix.NsecToTimeval(t.UnixNano())
	if err := unix.Settimeofday(&value); err != nil {
		return fmt.Errorf("set the clock to %s: %w", t.Format(time.RFC3339), err)
	}
	return nil
}
