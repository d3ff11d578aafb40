// Package wol wakes machines that have no management controller, by the magic packet of wake-on-LAN (AMD, Magic Packet
// Technology, 1995).
//
// It can switch a machine on and nothing else, and it cannot see whether that worked: a packet that nobody heard looks the
// same as one that woke the machine. So it answers every question with bmc.ErrUnsupported, and bmc.Commands reports what
// it sends as bmc.ErrUnconfirmed; the confirmation is the machine's own boot.
package wol

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"berth/bmc"
)

// A packet may get lost, and network cards that sleep miss some; three copies a tenth of a second apart cost nothing.
const (
	copies = 3
	pause  = 100 * time.Millisecond
)

// Packet is six bytes of ones, the address sixteen times, and the SecureOn password of six bytes where one is set.
func Packet(mac net.HardwareAddr, secureOn []byte) ([]byte, error) {
	if len(mac) != 6 {
		return nil, fmt.Errorf("wake-on-LAN wakes Ethernet ports; %q is not the address of one", mac)
	}
	if len(secureOn) != 0 && len(secureOn) != 6 {
		return nil, fmt.Errorf("a SecureOn password has 6 bytes, not %d", len(secureOn))
	}
	p := bytes.Repeat([]byte{0xff}, 6)
	p = append(p, bytes.Repeat(mac, 16)...)
	return append(p, secureOn...), nil
}

// Open prepares to wake t.MAC. Address is where the packet goes: the broadcast address of the machine's subnet (the port is
// 9 unless given), because a machine that sleeps answers no ARP. Nothing is sent yet.
func Open(_ context.Context, t bmc.Target) (bmc.Driver, error) {
	host, port, err := t.HostPort(9)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bmc.ErrRefused, err)
	}
	password, err := secureOn(t.Password)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bmc.ErrRefused, err)
	}
	packet, err := Packet(t.MAC, password)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bmc.ErrRefused, err)
	}
	return &driver{packet: packet, to: net.JoinHostPort(host, strconv.Itoa(int(port)))}, nil
}

// secureOn reads the password: twelve hexadecimal digits, with or without colons or dashes. It is not repeated in errors.
func secureOn(s bmc.Secret) ([]byte, error) {
	digits := strings.NewReplacer(":", "", "-", "").Replace(s.Reveal())
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != 0 && len(b) != 6 {
		return nil, fmt.Errorf("the SecureOn password is not six bytes in hexadecimal")
	}
	return b, nil
}

type driver struct {
	packet []byte
	to     string
}

// SetPower sends the packet for ActionOn.
func (d *driver) SetPower(ctx context.Context, action bmc.PowerAction) error {
	if action != bmc.ActionOn {
		return unsupported("power " + string(action))
	}
	// Go sets SO_BROADCAST on every UDP socket.
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", d.to)
	if err != nil {
		return fmt.Errorf("wake by %s: %w: %w", d.to, bmc.ErrUnreachable, err)
	}
	defer conn.Close()
	for i := range copies {
		if i > 0 {
			if err := wait(ctx); err != nil {
				return fmt.Errorf("wake by %s: %w: %w", d.to, bmc.ErrUnreachable, err)
			}
		}
		if _, err := conn.Write(d.packet); err != nil {
			return fmt.Errorf("wake by %s: %w: %w", d.to, bmc.ErrUnreachable, err)
		}
	}
	return nil
}

func wait(ctx context.Context) error {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

func unsupported(what string) error {
	return fmt.Errorf("wake-on-LAN: %s: %w", what, bmc.ErrUnsupported)
}

// Power cannot be read.
func (d *driver) Power(context.Context) (bmc.PowerState, error) {
	return bmc.PowerUnknown, unsupported("read the power state")
}

// Boot cannot be read.
func (d *driver) Boot(context.Context) (bmc.Boot, error) {
	return bmc.Boot{}, unsupported("read the boot device")
}

// SetBoot is not possible; such a machine must have the network first in its own boot order.
func (d *driver) SetBoot(context.Context, bmc.Boot) error { return unsupported("set the boot device") }

// Inventory cannot be read.
func (d *driver) Inventory(context.Context) (bmc.Inventory, error) {
	return bmc.Inventory{}, unsupported("read the inventory")
}

// Close has nothing to give back.
func (d *driver) Close(context.Context) error { return nil }
