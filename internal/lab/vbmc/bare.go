package vbmc

import (
	"context"
	"sync"

	"berth/internal/lab/hardware"
)

// Bare is a Host without a machine: a description and a power model in memory.
// It obeys every action at once and remembers what each start booted from.
type Bare struct {
	mu       sync.Mutex
	server   hardware.Server
	power    hardware.PowerState
	override hardware.Override
	boots    []hardware.Device
	deaf     bool
}

var _ Host = (*Bare)(nil)

// NewBare returns a server that is off. The description is filled.
func NewBare(s hardware.Server) *Bare {
	return &Bare{server: s.Fill(), power: hardware.Off}
}

// Server describes it.
func (h *Bare) Server() hardware.Server {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.server.Clone()
}

// Change edits the description, as a person with a screwdriver would.
func (h *Bare) Change(edit func(*hardware.Server)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	edit(&h.server)
}

// PowerState is whether it runs.
func (h *Bare) PowerState() hardware.PowerState {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.power
}

// SetDeaf makes its operating system ignore requests to shut down or reboot.
func (h *Bare) SetDeaf(deaf bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deaf = deaf
}

// Boots lists what each start booted from so far: the override's device, or
// hardware.None for the standing order.
func (h *Bare) Boots() []hardware.Device {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]hardware.Device(nil), h.boots...)
}

// Override is the boot override not yet used up.
func (h *Bare) Override() hardware.Override {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.override
}

// SetOverride sets the boot override.
func (h *Bare) SetOverride(o hardware.Override) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.override = o
}

// Act changes the power; see hardware.Action.
func (h *Bare) Act(_ context.Context, a hardware.Action) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a == hardware.PowerOn {
		if h.power == hardware.Off {
			h.boot()
		}
		return nil
	}
	if h.power == hardware.Off {
		if a == hardware.PowerOff {
			return nil
		}
		return hardware.ErrOff
	}
	switch a {
	case hardware.PowerOff:
		h.power = hardware.Off
	case hardware.Shutdown:
		if !h.deaf {
			h.power = hardware.Off
		}
	case hardware.Reboot:
		if !h.deaf {
			h.boot()
		}
	case hardware.Reset, hardware.Cycle:
		h.boot()
	case hardware.NMI:
	default:
		return hardware.ErrUnsupported
	}
	return nil
}

// boot starts the machine and uses up an override meant for one boot.
func (h *Bare) boot() {
	h.power = hardware.On
	device := hardware.None
	if h.override.Active() {
		device = h.override.Device
	}
	h.boots = append(h.boots, device)
	if !h.override.Persistent {
		h.override = hardware.Override{}
	}
}
