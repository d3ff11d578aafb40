package hardware

import (
	"errors"
	"fmt"
	"regexp"
)

// Limits of a description: what the buses and QEMU's option syntax carry.
const (
	maxSerial  = 20 // bytes in an NVMe or ATA identify block
	maxModel   = 16 // bytes in a SCSI inquiry
	sectorSize = 512
)

var (
	nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)
	wwnForm  = regexp.MustCompile(`^([0-9a-fA-F]{16})?$`)
)

// Check reports every reason why a filled description cannot be built, as one
// joined error.
func (s Server) Check() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("server %q: "+format, append([]any{s.Name}, args...)...))
	}
	if !nameForm.MatchString(s.Name) {
		bad("the name needs 1 to 32 of a-z, 0-9 and dash")
	}
	if s.Firmware != BIOS && s.Firmware != UEFI {
		bad("firmware %q is neither %s nor %s", s.Firmware, BIOS, UEFI)
	}
	if s.HTTP && s.Firmware != UEFI {
		bad("HTTP boot needs UEFI")
	}
	if !uuidForm.MatchString(s.UUID) {
		bad("UUID %q is not one", s.UUID)
	}
	if s.Order != NetworkFirst && s.Order != DiskFirst {
		bad("boot order %q is neither %s nor %s", s.Order, NetworkFirst, DiskFirst)
	}
	if m := s.MemoryMiB(); m < 128 {
		bad("%d MiB of memory are too few, 128 is the least", m)
	}
	s.checkNICs(bad)
	s.checkDisks(bad)
	return errors.Join(errs...)
}

func (s Server) checkNICs(bad func(string, ...any)) {
	seen := map[string]bool{}
	for _, n := range s.NICs {
		if len(n.MAC) != 6 {
			bad("%s: %q is not a six-byte address", n.Name, n.MAC)
		}
		if n.Model != "virtio" && n.Model != "e1000" {
			bad("%s: model %q is neither virtio nor e1000", n.Name, n.Model)
		}
		if seen[n.Name] {
			bad("two ports are named %s", n.Name)
		}
		seen[n.Name] = true
	}
}

func (s Server) checkDisks(bad func(string, ...any)) {
	seen := map[string]bool{}
	for _, d := range s.Disks {
		if err := d.Check(); err != nil {
			bad("%w", err)
		}
		if seen[d.Slot] {
			bad("two disks sit in %s", d.Slot)
		}
		seen[d.Slot] = true
	}
}

// Check reports why a disk cannot be built.
func (d Disk) Check() error {
	switch {
	case !nameForm.MatchString(d.Slot):
		return fmt.Errorf("disk slot %q needs 1 to 32 of a-z, 0-9 and dash", d.Slot)
	case d.Kind != NVMe && d.Kind != SCSI && d.Kind != SATA && d.Kind != Virtio:
		return fmt.Errorf("%s: disk kind %q is none of nvme, scsi, sata, virtio", d.Slot, d.Kind)
	case d.Size <= 0 || d.Size%sectorSize != 0:
		return fmt.Errorf("%s: size %d is not a positive multiple of %d", d.Slot, d.Size, sectorSize)
	case len(d.Serial) > maxSerial:
		return fmt.Errorf("%s: serial %q is longer than %d bytes", d.Slot, d.Serial, maxSerial)
	case len(d.Model) > maxModel:
		return fmt.Errorf("%s: model %q is longer than %d bytes", d.Slot, d.Model, maxModel)
	case !wwnForm.MatchString(d.WWN):
		return fmt.Errorf("%s: WWN %q is not 16 hex digits", d.Slot, d.WWN)
	}
	return nil
}
