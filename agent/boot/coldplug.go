package boot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// seedModules give the kernel randomness. Without it nothing that makes a key or draws a transaction number goes on, on a machine
// whose firmware and processor gave none; so they come before everything.
var seedModules = []string{"virtio_pci", "virtio_mmio", "virtio_rng", "tpm_tis", "tpm_crb"}

// plainModules are not found by any device's alias: interfaces on top of others.
var plainModules = []string{"af_packet", "sd_mod", "nvme", "ipmi_si", "ipmi_devintf", "efivarfs"}

// busDirs are where devices announce what they are.
const busDirs = "sys/bus/*/devices/*/modalias"

// Devices lists the aliases of all devices, each once.
func Devices(root string) []string {
	files, _ := filepath.Glob(filepath.Join(root, busDirs)) // the pattern is good
	seen := map[string]bool{}
	var all []string
	for _, file := range files {
		raw, err := os.ReadFile(file)
		alias := strings.TrimSpace(string(raw))
		if err != nil || alias == "" || seen[alias] {
			continue
		}
		seen[alias] = true
		all = append(all, alias)
	}
	return all
}

// isNetwork knows the aliases of network ports (PCI base class 02) and of what they sit on (virtio).
func isNetwork(alias string) bool {
	return strings.HasPrefix(alias, "virtio:") || strings.HasPrefix(alias, "pci:") && strings.Contains(alias, "bc02")
}

// useless are drivers that a machine in the agent's hands has no use for, and whose loading only costs time.
var useless = map[string]bool{
	"snd_hda_intel": true, "pcspkr": true, "bochs": true, "cirrus": true, "qxl": true, "nouveau": true, "radeon": true, "amdgpu": true,
	"i915": true, "ast": true, "mgag200": true, "joydev": true, "psmouse": true, "iTCO_wdt": true, "i2c_i801": true,
}

// plug loads the drivers of the devices that want picks, those of different devices side by side. It is done when a pass finds no
// device it does not know: a driver may bring devices of its own (virtio_pci a bus, an HBA disks).
func (m *Modules) plug(root string, want func(alias string) bool, done map[string]bool) []error {
	var mu sync.Mutex
	var faults []error
	for range passes {
		var loading sync.WaitGroup
		room := make(chan struct{}, lanes)
		news := false
		for _, alias := range Devices(root) {
			if done[alias] || !want(alias) {
				continue
			}
			done[alias], news = true, true
			room <- struct{}{}
			loading.Go(func() {
				defer func() { <-room }()
				errs := m.drive(alias)
				mu.Lock()
				defer mu.Unlock()
				faults = append(faults, errs...)
			})
		}
		loading.Wait()
		if !news {
			break
		}
	}
	return faults
}

const (
	passes = 8 // no device is that far behind others
	lanes  = 4 // drivers wait for hardware more than they work
)

// drive loads every driver for one device, as udev does: the kernel decides which of them binds.
func (m *Modules) drive(alias string) []error {
	var faults []error
	for _, module := range m.Catalog.Match(alias) {
		if useless[module] {
			continue
		}
		if err := m.Load(module); !harmless(err) {
			faults = append(faults, err)
		}
	}
	return faults
}

// loadPlain loads modules by name.
func (m *Modules) loadPlain(names []string) []error {
	var faults []error
	for _, name := range names {
		if err := m.Load(name); !harmless(err) {
			faults = append(faults, err)
		}
	}
	return faults
}

// harmless knows the ends of an attempt that mean no fault: the driver looked and its device is not there, or the image was built
// without the driver.
func harmless(err error) bool {
	return err == nil || errors.Is(err, unix.ENODEV) || errors.Is(err, fs.ErrNotExist)
}
