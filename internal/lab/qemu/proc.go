package qemu

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the kernel's USER_HZ, which is 100 on every Linux that Go knows.
const clockTick = 10 * time.Millisecond

// The fields of /proc/PID/stat counted from the state, which is the third: the
// first two are the id and the name.
const (
	statUser  = 14 - 3
	statSys   = 15 - 3
	statStart = 22 - 3
)

func stat(pid int) ([]string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	// The name in brackets may hold blanks and brackets, the rest holds neither.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) <= statStart {
		return nil, fmt.Errorf("/proc/%d/stat is not understood: %q", pid, data)
	}
	return fields, nil
}

// cpuTime is the user and system time that a process has used.
func cpuTime(pid int) (time.Duration, error) {
	fields, err := stat(pid)
	if err != nil {
		return 0, err
	}
	user, err := strconv.ParseInt(fields[statUser], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("user time of process %d: %w", pid, err)
	}
	sys, err := strconv.ParseInt(fields[statSys], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("system time of process %d: %w", pid, err)
	}
	return time.Duration(user+sys) * clockTick, nil
}

// StartTime is when a process was started, in clock ticks since the machine
// was. With the process id it names a process for ever, as ids are used again.
func StartTime(pid int) (uint64, error) {
	fields, err := stat(pid)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(fields[statStart], 10, 64)
}
