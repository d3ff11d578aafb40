package vbmc

import (
	"context"
	"fmt"

	"berth/internal/lab/hardware"
)

// This file is what both protocols ask of a host: the same question gets the
// same answer over either, and faults of the machine's side are injected here.

// powerState is what the controller believes.
func (b *BMC) powerState(h Host) hardware.PowerState {
	if _, bad := b.faults.strikes(StuckOn, ""); bad {
		return hardware.On
	}
	return h.PowerState()
}

// act starts a power action.
func (b *BMC) act(ctx context.Context, h Host, a hardware.Action) error {
	if _, bad := b.faults.strikes(PowerIgnored, ""); bad {
		return nil
	}
	if a == hardware.PowerOff || a == hardware.Shutdown {
		if _, bad := b.faults.strikes(StuckOn, ""); bad {
			return nil
		}
	}
	if _, bad := b.faults.strikes(OverrideReverted, ""); bad {
		h.SetOverride(hardware.Override{})
	}
	if err := h.Act(ctx, a); err != nil {
		return fmt.Errorf("%s of %s: %w", a, h.Server().Name, err)
	}
	b.sel.add(eventOf(a), fmt.Sprintf("Power action %s was carried out", a))
	return nil
}

// setOverride sets the boot override.
func (b *BMC) setOverride(h Host, o hardware.Override) {
	if _, bad := b.faults.strikes(OverrideIgnored, ""); bad {
		return
	}
	h.SetOverride(o)
}

// hardwareOf describes the host, or nothing of it when the controller has
// forgotten its hardware.
func (b *BMC) hardwareOf(h Host) hardware.Server {
	s := h.Server()
	if _, bad := b.faults.strikes(EmptyInventory, ""); bad {
		return hardware.Server{Name: s.Name, Firmware: s.Firmware, UUID: ""}
	}
	return s
}
