package lab

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"regexp"

	"berth/internal/lab/hardware"
	"berth/internal/lab/qemu"
	"berth/internal/lab/vbmc"
)

// Spec describes a rack. Machines is all that must be said.
type Spec struct {
	Name     string // default "rack"; letters, digits and dashes, at most 16
	Machines []MachineSpec
	// BootNetwork and BMCNetwork are the networks on the one bridge, each with the
	// address that belongs to the server under test. Default 10.77.0.1/24 and
	// 10.77.1.1/24. Controllers take the addresses from .11 on.
	BootNetwork, BMCNetwork netip.Prefix
	// LLDP announces the switch port on each machine's wire.
	LLDP bool
	// Cache is QEMU's cache mode for disks: "writeback" (default) honours the
	// guest's flushes, "unsafe" ignores them and is faster.
	Cache string
	// Accel is "tcg" (default) or "kvm".
	Accel string
	// CPU is QEMU's CPU model; the default suits TCG.
	CPU    string
	Logger *slog.Logger // default discards
}

// MachineSpec describes a machine of a rack and how it is managed.
type MachineSpec struct {
	hardware.Server
	// BMC is its controller; none when Protocol is empty. Address, hardware
	// address and network are given by the rack where they are empty.
	BMC vbmc.Config
	// SharesBMCOf names another machine whose controller manages this one too, as
	// in a multi-node chassis.
	SharesBMCOf string
	// WakeOnLAN powers the machine on when a magic packet for one of its ports is
	// on the wire while it is off.
	WakeOnLAN bool
}

// DefaultSpec is a rack of two servers that are as unlike as the lab can make
// them: one with BIOS, an NVMe disk and IPMI, one with UEFI, a SCSI disk and
// Redfish.
func DefaultSpec() Spec {
	return Spec{
		Name: "demo",
		LLDP: true,
		Machines: []MachineSpec{
			{
				Server: hardware.Server{Name: "anna", Firmware: hardware.BIOS,
					System: hardware.Identity{Manufacturer: "Lab Servers", Product: "LS-100 Legacy"}},
				BMC: vbmc.Config{Protocol: vbmc.IPMI},
			},
			{
				Server: hardware.Server{Name: "berta", Firmware: hardware.UEFI,
					System: hardware.Identity{Manufacturer: "Lab Servers", Product: "LS-200 Modern"},
					Disks:  []hardware.Disk{{Kind: hardware.SCSI}}},
				BMC: vbmc.Config{Protocol: vbmc.Redfish},
			},
		},
	}
}

var rackName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,15}$`)

// fill returns a copy with defaults, or says what cannot be built.
func (s Spec) fill() (Spec, error) {
	if s.Name == "" {
		s.Name = "rack"
	}
	if !s.BootNetwork.IsValid() {
		s.BootNetwork = netip.MustParsePrefix("10.77.0.1/24")
	}
	if !s.BMCNetwork.IsValid() {
		s.BMCNetwork = netip.MustParsePrefix("10.77.1.1/24")
	}
	if s.Cache == "" {
		s.Cache = "writeback"
	}
	if s.Accel == "" {
		s.Accel = "tcg"
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	machines := make([]MachineSpec, len(s.Machines))
	for i, m := range s.Machines {
		m.Server = m.Server.Fill()
		machines[i] = m
	}
	s.Machines = machines
	return s, s.check()
}

func (s Spec) check() error {
	var errs []error
	if !rackName.MatchString(s.Name) {
		errs = append(errs, fmt.Errorf("rack name %q needs 1 to 16 of a-z, 0-9 and dash", s.Name))
	}
	if len(s.Machines) == 0 {
		errs = append(errs, errors.New("the rack has no machines"))
	}
	if s.Cache != "writeback" && s.Cache != "unsafe" {
		errs = append(errs, fmt.Errorf("disk cache %q is neither writeback nor unsafe", s.Cache))
	}
	bmcs := map[string]bool{}
	names := map[string]bool{}
	macs := map[string]string{}
	for _, m := range s.Machines {
		errs = append(errs, m.Server.Check())
		if names[m.Name] {
			errs = append(errs, fmt.Errorf("two machines are named %s", m.Name))
		}
		names[m.Name] = true
		bmcs[m.Name] = m.BMC.Protocol != ""
		for _, n := range m.NICs {
			if other, taken := macs[n.MAC.String()]; taken {
				errs = append(errs, fmt.Errorf("%s and %s share the address %s", other, m.Name, n.MAC))
			}
			macs[n.MAC.String()] = m.Name
		}
	}
	for _, m := range s.Machines {
		if m.SharesBMCOf != "" && !bmcs[m.SharesBMCOf] {
			errs = append(errs, fmt.Errorf("%s shares the controller of %q, which has none", m.Name, m.SharesBMCOf))
		}
	}
	return errors.Join(errs...)
}

// Missing says what this host lacks to run a rack, or nil.
func (s Spec) Missing() error {
	var errs []error
	if os.Geteuid() != 0 {
		errs = append(errs, errors.New("network namespaces need root"))
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		errs = append(errs, fmt.Errorf("taps need /dev/net/tun: %w", err))
	}
	if _, err := exec.LookPath(qemu.Binary); err != nil {
		errs = append(errs, fmt.Errorf("install the package qemu-system-x86: %w", err))
	}
	for _, m := range s.Machines {
		if m.Firmware != hardware.UEFI {
			continue
		}
		if _, err := os.Stat(qemu.OVMFVars); err != nil {
			errs = append(errs, fmt.Errorf("install the package ovmf: %w", err))
			break
		}
	}
	return errors.Join(errs...)
}
