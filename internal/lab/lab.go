// Package lab builds racks of virtual servers on a virtual wire.
//
// A Rack is a network namespace with a bridge, on which QEMU machines boot with
// real firmware, each with a virtual management controller that speaks real
// IPMI or Redfish. Nothing of the host's own network is touched. It is how
// people try berth (berth lab, make demo), and what the end-to-end tests stand
// on.
//
// The parts are packages below: hardware describes a server, vbmc is the
// management controller, wire the network, qemu the machine. NewBMC gives a
// controller alone, without machine, root or network, for tests of drivers.
package lab

import (
	"fmt"

	"berth/internal/lab/hardware"
	"berth/internal/lab/vbmc"
)

// NewBMC starts a management controller on a free port of 127.0.0.1, with an
// in-memory server behind it that obeys at once. Close ends it.
func NewBMC(server hardware.Server, protocol vbmc.Protocol) (*vbmc.BMC, *vbmc.Bare, error) {
	host := vbmc.NewBare(server)
	if err := host.Server().Check(); err != nil {
		return nil, nil, err
	}
	b, err := vbmc.New(vbmc.Config{Protocol: protocol}, host)
	if err != nil {
		return nil, nil, fmt.Errorf("lab: %w", err)
	}
	return b, host, nil
}
