package hardware

import (
	"errors"
	"fmt"
)

// PowerState is whether a server runs.
type PowerState string

// The power states.
const (
	On  PowerState = "on"
	Off PowerState = "off"
)

// Action is what can be done to a server's power.
type Action string

// The actions. PowerOn of a server that is on and PowerOff of one that is off
// change nothing and are no errors; the others need a server that is on.
const (
	PowerOn  Action = "power-on"
	PowerOff Action = "power-off" // at once, as a pulled plug
	Shutdown Action = "shutdown"  // asks the operating system; it may not listen
	Reset    Action = "reset"     // the reset line; the power stays on
	Reboot   Action = "reboot"    // asks the operating system, then powers on again
	Cycle    Action = "cycle"     // off, a pause, on
	NMI      Action = "nmi"
)

// Device is what a server boots from.
type Device string

// The boot devices. None is the standing order.
const (
	None  Device = "none"
	PXE   Device = "pxe"
	HDD   Device = "disk"
	CD    Device = "cdrom"
	Setup Device = "setup" // the firmware's setup screen
	HTTP  Device = "http"  // UEFI HTTP boot
)

// Mode is the firmware mode asked for with a boot device.
type Mode string

// The modes. ModeUnset leaves it to the firmware.
const (
	ModeUnset  Mode = ""
	ModeLegacy Mode = "legacy"
	ModeUEFI   Mode = "uefi"
)

// Override replaces the standing boot order: for the next boot, or for all.
// The zero value is no override.
type Override struct {
	Device     Device
	Mode       Mode
	Persistent bool
}

// Active reports whether the override asks for anything.
func (o Override) Active() bool { return o.Device != "" && o.Device != None }

// String is "none", or such as "pxe once (uefi)".
func (o Override) String() string {
	if !o.Active() {
		return string(None)
	}
	text := string(o.Device) + " once"
	if o.Persistent {
		text = string(o.Device) + " always"
	}
	if o.Mode != ModeUnset {
		text += fmt.Sprintf(" (%s)", o.Mode)
	}
	return text
}

// Errors of power actions, for errors.Is.
var (
	// ErrOff says that the action needs a server that is on.
	ErrOff = errors.New("the server is off")
	// ErrUnsupported says that this server cannot do it at all.
	ErrUnsupported = errors.New("not supported by this server")
)
