// Package bmc is the contract for a management controller: the small computer beside a server that can switch it on and
// off, say what it boots from next, and list its parts while it is off.
//
// The package holds types and rules only; it opens no socket. Drivers stand below it (bmc/redfish, bmc/ipmi, bmc/wol), and
// bmc/bmctest is the same contract as code, which each of them passes.
//
// A caller needs three things from here:
//
//   - a [Pool], which lets one command at a time onto each BMC, bounds how long it may take, and stops trying a password
//     that was refused before the BMC locks the account;
//   - inside a turn, a [Driver];
//   - [Commands], which follow each command with a read-back, because a BMC that answers "200 OK" has not necessarily
//     done anything.
package bmc

import (
	"context"
	"fmt"
	"strings"
)

// Driver is one open conversation with the BMC of one machine. It is used by one goroutine at a time; [Pool] sees to that.
//
// The contract, which bmctest checks on every driver:
//
//   - Each method obeys ctx, and gives up by itself when the BMC does not answer: no call lasts for ever.
//   - SetPower and SetBoot return once the BMC has accepted the command, not once it is done. [Commands] waits for that.
//   - ActionOn on a machine that is on, and ActionOff or ActionShutdown on a machine that is off, do nothing and succeed.
//   - ActionCycle and ActionReset need a machine that is on; on one that is off they may fail or switch it on, and which
//     of the two is the BMC's business. [Commands] never asks for either of a machine that is off.
//   - Boot reports what the BMC holds at this moment. A one-time override is gone once the machine has used it.
//   - Inventory returns ErrEmptyInventory rather than a machine without parts.
//   - Errors satisfy errors.Is with the values of this package; [Permanent] tells which are not worth a retry.
//   - After Close no session is left on the BMC. Close may be called twice.
//
// What only some BMCs can do is a small interface of its own ([MediaMounter], [EventLog], [Restarter], [Interrupter],
// [Accounts], [Auditor]) that a driver may satisfy as well.
type Driver interface {
	Power(ctx context.Context) (PowerState, error)
	SetPower(ctx context.Context, action PowerAction) error
	Boot(ctx context.Context) (Boot, error)
	SetBoot(ctx context.Context, want Boot) error
	Inventory(ctx context.Context) (Inventory, error)
	Close(ctx context.Context) error
}

// Opener starts a conversation. It makes at most one login attempt, so that a wrong password costs one strike of the
// BMC's lock-out counter and no more.
type Opener func(ctx context.Context, t Target) (Driver, error)

// PowerState is what a BMC says of the machine's main power.
type PowerState string

// The power states. A machine on its way between two of them is PowerUnknown: neither command would be right for it.
const (
	PowerUnknown PowerState = "unknown"
	PowerOn      PowerState = "on"
	PowerOff     PowerState = "off"
)

// String returns the word the API uses.
func (s PowerState) String() string { return string(s) }

// ParsePowerState reads the word of any driver or API: "On", "Chassis Power is off\n", "off". Words that mean a
// transition ("PoweringOn", "Paused") and words it has never heard are PowerUnknown.
func ParsePowerState(s string) PowerState {
	word := strings.ToLower(strings.TrimSpace(s))
	word = strings.TrimPrefix(word, "chassis power is ")
	switch PowerState(word) {
	case PowerOn:
		return PowerOn
	case PowerOff:
		return PowerOff
	}
	return PowerUnknown
}

// PowerAction is a command to the machine's main power.
type PowerAction string

// The power commands.
const (
	ActionOn       PowerAction = "on"
	ActionOff      PowerAction = "off"      // at once, as by a four-second press
	ActionShutdown PowerAction = "shutdown" // the operating system is asked to stop (ACPI)
	ActionCycle    PowerAction = "cycle"    // off for a moment, then on
	ActionReset    PowerAction = "reset"    // the reset line; power stays
)

// PowerActions lists every action, in the order a menu shows them.
func PowerActions() []PowerAction {
	return []PowerAction{ActionOn, ActionShutdown, ActionOff, ActionCycle, ActionReset}
}

// String returns the word the API uses.
func (a PowerAction) String() string { return string(a) }

// ParsePowerAction reads one of the words of PowerActions.
func ParsePowerAction(s string) (PowerAction, error) {
	return parse(PowerActions(), s, "power action")
}

// BootDevice is what a machine boots from when its standing order is overridden.
type BootDevice string

// The boot devices. BootNone takes an override away.
const (
	BootNone  BootDevice = "none"
	BootPXE   BootDevice = "pxe"
	BootHTTP  BootDevice = "http" // UEFI HTTP boot
	BootDisk  BootDevice = "disk"
	BootCDROM BootDevice = "cdrom"
	BootBIOS  BootDevice = "bios" // the setup screen
)

// BootDevices lists every device.
func BootDevices() []BootDevice {
	return []BootDevice{BootNone, BootPXE, BootHTTP, BootDisk, BootCDROM, BootBIOS}
}

// String returns the word the API uses.
func (d BootDevice) String() string { return string(d) }

// ParseBootDevice reads one of the words of BootDevices.
func ParseBootDevice(s string) (BootDevice, error) {
	return parse(BootDevices(), s, "boot device")
}

// BootMode is how the firmware boots: a machine that is set to UEFI does not see a legacy override, and the other way.
type BootMode string

// The boot modes. BootModeAny in a request leaves the machine's mode as it is; in an answer it means the BMC did not say.
const (
	BootModeAny    BootMode = ""
	BootModeUEFI   BootMode = "uefi"
	BootModeLegacy BootMode = "legacy"
)

// BootModes lists every mode.
func BootModes() []BootMode { return []BootMode{BootModeAny, BootModeUEFI, BootModeLegacy} }

// String returns the word the API uses.
func (m BootMode) String() string { return string(m) }

// ParseBootMode reads one of the words of BootModes; the empty word is BootModeAny.
func ParseBootMode(s string) (BootMode, error) { return parse(BootModes(), s, "boot mode") }

func parse[T ~string](known []T, s, kind string) (T, error) {
	for _, k := range known {
		if string(k) == s {
			return k, nil
		}
	}
	return "", fmt.Errorf("%q is no %s; the known ones are %q", s, kind, known)
}

// Boot is an override of the boot order.
type Boot struct {
	Device     BootDevice `json:"device"`
	Mode       BootMode   `json:"mode,omitempty"`
	Persistent bool       `json:"persistent,omitempty"` // otherwise for the next boot only
}

// Once is the override that reimaging needs: this device, in this mode, for the next boot.
func Once(device BootDevice, mode BootMode) Boot { return Boot{Device: device, Mode: mode} }

// String is a phrase for a log or a person: "pxe (uefi) once".
func (b Boot) String() string {
	if b.Device == BootNone || b.Device == "" {
		return "no override"
	}
	s := string(b.Device)
	if b.Mode != BootModeAny {
		s += " (" + string(b.Mode) + ")"
	}
	if b.Persistent {
		return s + " until changed"
	}
	return s + " once"
}

// Satisfies reports whether an override that was read back fulfils the one that was asked for. A mode that was not asked
// for, or that the BMC does not tell, is not held against it.
func (b Boot) Satisfies(want Boot) bool {
	if want.Device == BootNone {
		return b.Device == BootNone
	}
	if b.Device != want.Device || b.Persistent != want.Persistent {
		return false
	}
	return want.Mode == BootModeAny || b.Mode == BootModeAny || b.Mode == want.Mode
}

// System is one computer behind a BMC. Most BMCs have one; blade chassis and composed systems have several, and then a
// person chooses.
type System struct {
	ID           string `json:"id"`
	Name         string `json:"name,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Serial       string `json:"serial,omitempty"`
	UUID         string `json:"uuid,omitempty"`
}
