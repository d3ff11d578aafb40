package boot

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// kernelError is the priority from which the kernel's words are worth a line on the timeline (syslog(2): 3 is an error).
	kernelError = 3
	// kernelLines bounds them for one boot: a dying disk alone can say thousands.
	kernelLines = 500
)

// HearKernel passes on what the kernel calls errors, from its start until ctx ends.
func HearKernel(ctx context.Context, tell func(text string)) error {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	record := make([]byte, 8192)
	for told := 0; told < kernelLines && ctx.Err() == nil; {
		size, err := unix.Read(fd, record) // one record each
		switch {
		case errors.Is(err, unix.EAGAIN):
			if sleep(ctx, time.Second) != nil {
				return nil
			}
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.EINTR): // records were overwritten before they were read
		case err != nil:
			return err
		default:
			if text, bad := parseKernelRecord(string(record[:size])); bad {
				told++
				tell("kernel: " + text)
			}
		}
	}
	return nil
}

// parseKernelRecord reads "priority,sequence,microseconds,flags;text", followed by lines of properties, as Documentation/ABI/testing/dev-kmsg
// of the kernel has it. It says whether the kernel itself (facility 0) calls it an error.
func parseKernelRecord(record string) (string, bool) {
	head, rest, ok := strings.Cut(record, ";")
	first, _, _ := strings.Cut(head, ",")
	priority, err := strconv.Atoi(first)
	if !ok || err != nil || priority < 0 || priority > kernelError {
		return "", false
	}
	text, _, _ := strings.Cut(rest, "\n")
	return text, text != ""
}
