// Command init is what the test boots in the agent's place: it looks at the
// initramfs from inside, loads one driver, says what it saw on the console, and
// powers the machine off.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"
)

func main() {
	if err := look(); err != nil {
		fmt.Println("INIT FAILED:", err)
	} else {
		fmt.Println("INIT DONE")
	}
	syscall.Sync()
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
}

func look() error {
	if err := errors.Join(
		syscall.Mount("proc", "/proc", "proc", 0, ""),
		syscall.Mount("sysfs", "/sys", "sysfs", 0, ""),
	); err != nil {
		return err
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	tree := filepath.Join("/lib/modules", strings.TrimSpace(string(release)))
	deps, err := os.ReadFile(filepath.Join(tree, "modules.dep"))
	if err != nil {
		return err
	}
	modules := strings.Split(strings.TrimSpace(string(deps)), "\n")
	for _, line := range modules {
		name, _, _ := strings.Cut(line, ":")
		if _, err := os.Stat(filepath.Join(tree, name)); err != nil {
			return err
		}
	}
	fmt.Printf("INIT MODULES %d\n", len(modules))
	if info, err := os.Stat("/usr/share/misc/pci.ids"); err != nil || info.Size() < 100_000 {
		return fmt.Errorf("pci.ids: %v", err)
	}
	for _, name := range []string{"virtio_pci", "virtio_net", "e1000e"} {
		if err := load(tree, modules, name); err != nil {
			return err
		}
	}
	links, err := filepath.Glob("/sys/class/net/eth*")
	fmt.Printf("INIT LINKS %d\n", len(links))
	return err
}

// load inserts a module and before it what it needs; modules.dep names the first
// to load last.
func load(tree string, modules []string, name string) error {
	for _, line := range modules {
		file, needs, _ := strings.Cut(line, ":")
		if strings.TrimSuffix(filepath.Base(file), ".ko") != name {
			continue
		}
		order := append([]string{file}, strings.Fields(needs)...)
		for i := len(order) - 1; i >= 0; i-- {
			if err := insert(filepath.Join(tree, order[i])); err != nil {
				return fmt.Errorf("load %s: %w", order[i], err)
			}
		}
		return nil
	}
	return fmt.Errorf("no module %s", name)
}

func insert(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var none byte
	const finitModule = 313 // linux/amd64
	_, _, errno := syscall.Syscall(finitModule, f.Fd(), uintptr(unsafe.Pointer(&none)), 0)
	if errno != 0 && errno != syscall.EEXIST {
		return errno
	}
	return nil
}
