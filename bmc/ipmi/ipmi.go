// Package ipmi drives a BMC by IPMI 2.0 over LAN.
//
// Commands go through bmclib, which runs ipmitool, where ipmitool is installed (Debian: ipmitool). Everything that is read,
// and the commands too where it is not installed, goes over a session of our own: bmclib reads back no boot override and
// no serial number, and the Go client it could be taken from ends the whole process on one damaged packet.
// docs/decisions/ipmi-session.md has the measurements and the reasons.
//
// The session speaks cipher suites 17 and 3 and no other. IPMI gives a hash of the password to anybody who asks for it
// (CVE-2013-4786): every BMC needs a password of its own, twenty characters long, and Redfish is to be preferred.
package ipmi

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"berth/bmc"
)

// Open logs in. It is a bmc.Opener; the port is 623 unless the address names one.
func Open(ctx context.Context, t bmc.Target) (bmc.Driver, error) {
	return opener(findIpmitool())(ctx, t)
}

// opener is Open with a given ipmitool; empty for none.
func opener(ipmitool string) bmc.Opener {
	return func(ctx context.Context, t bmc.Target) (bmc.Driver, error) {
		l, err := dial(ctx, t)
		if err != nil {
			return nil, err
		}
		s, err := enter(ctx, l, t)
		if err != nil {
			_ = l.conn.Close()
			return nil, fmt.Errorf("log in: %w", err)
		}
		return &driver{target: t, session: s, ipmitool: ipmitool}, nil
	}
}

// enter asks what any BMC tells anybody, so that silence ends here, and logs in.
func enter(ctx context.Context, l *line, t bmc.Target) (*session, error) {
	p, err := capabilities(ctx, l)
	if err != nil {
		return nil, err
	}
	if !p.V20 {
		return nil, fmt.Errorf("%w: it speaks IPMI 1.5 only, which does not encrypt", bmc.ErrUnsupported)
	}
	return login(ctx, l, t, suitesFor(ctx, l))
}

// driver is one conversation.
type driver struct {
	target   bmc.Target
	session  *session
	ipmitool string // path, empty when it is not installed
	closed   bool
}

var _ interface {
	bmc.Driver
	bmc.EventLog
	bmc.Restarter
	bmc.Interrupter
	bmc.Accounts
	bmc.Auditor
} = (*driver)(nil)

// command sends one command and says what it was for.
func (d *driver) command(ctx context.Context, what string, netFn, cmd byte, data ...byte) ([]byte, error) {
	if d.closed {
		return nil, fmt.Errorf("%s: %w: the conversation is closed", what, bmc.ErrUnreachable)
	}
	out, err := d.session.command(ctx, request{netFn, cmd, data})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return out, nil
}

// needs checks the length of an answer.
func needs(n int, out []byte, err error, what string) ([]byte, error) {
	if err == nil && len(out) < n {
		return nil, fmt.Errorf("%s: %w: %d bytes of %d", what, bmc.ErrMalformed, len(out), n)
	}
	return out, err
}

// Power is Get Chassis Status (28.2).
func (d *driver) Power(ctx context.Context) (bmc.PowerState, error) {
	out, err := d.command(ctx, "read the chassis status", 0x00, 0x01)
	if out, err = needs(1, out, err, "read the chassis status"); err != nil {
		return bmc.PowerUnknown, err
	}
	if out[0]&1 != 0 {
		return bmc.PowerOn, nil
	}
	return bmc.PowerOff, nil
}

// control is the byte of Chassis Control (28.3) and ipmitool's word for it.
type control struct {
	code byte
	word string
}

var controls = map[bmc.PowerAction]control{
	bmc.ActionOff: {0, "off"}, bmc.ActionOn: {1, "on"}, bmc.ActionCycle: {2, "cycle"}, bmc.ActionReset: {3, "reset"}, bmc.ActionShutdown: {5, "soft"},
}

// SetPower sends one action. The state is read first, by ourselves: bmclib takes a machine whose state it could not read
// for one that is off, and reports success.
func (d *driver) SetPower(ctx context.Context, action bmc.PowerAction) error {
	c, ok := controls[action]
	if !ok {
		return fmt.Errorf("power %q: %w", action, bmc.ErrUnsupported)
	}
	state, err := d.Power(ctx)
	if err != nil {
		return err
	}
	switch {
	case action == bmc.ActionOn && state == bmc.PowerOn,
		(action == bmc.ActionOff || action == bmc.ActionShutdown) && state == bmc.PowerOff:
		return nil
	}
	if d.ipmitool != "" {
		return d.powerByTool(ctx, c.word)
	}
	_, err = d.command(ctx, "power "+string(action), 0x00, 0x02, c.code)
	return err
}

// Boot device selectors (table 28-14, parameter 5, data 2), and ipmitool's words.
var selectors = map[bmc.BootDevice]control{
	bmc.BootNone: {0, "none"}, bmc.BootPXE: {1, "pxe"}, bmc.BootDisk: {2, "disk"}, bmc.BootCDROM: {5, "cdrom"}, bmc.BootBIOS: {6, "bios"},
}

const (
	flagsValid      = 0x80
	flagsPersistent = 0x40
	flagsEFI        = 0x20
)

// Boot is Get System Boot Options, parameter 5 (28.13).
func (d *driver) Boot(ctx context.Context) (bmc.Boot, error) {
	out, err := d.command(ctx, "read the boot flags", 0x00, 0x09, 5, 0, 0)
	if out, err = needs(4, out, err, "read the boot flags"); err != nil {
		return bmc.Boot{}, err
	}
	return bootOf(out[2:]), nil
}

// bootOf reads the flags from data 1 on.
func bootOf(flags []byte) bmc.Boot {
	selector := flags[1] >> 2 & 0x0f
	if flags[0]&flagsValid == 0 || selector == 0 {
		return bmc.Boot{Device: bmc.BootNone}
	}
	b := bmc.Boot{Device: bmc.BootDevice(fmt.Sprintf("ipmi-%d", selector)), Mode: bmc.BootModeLegacy, Persistent: flags[0]&flagsPersistent != 0}
	if flags[0]&flagsEFI != 0 {
		b.Mode = bmc.BootModeUEFI
	}
	for device, c := range selectors {
		if c.code == selector {
			b.Device = device
		}
	}
	return b
}

// SetBoot is Set System Boot Options. IPMI always writes a mode; where none is asked for it is legacy, the older meaning
// of the bit, and machines that boot by UEFI alone ignore it.
func (d *driver) SetBoot(ctx context.Context, want bmc.Boot) error {
	c, ok := selectors[want.Device]
	if !ok {
		return fmt.Errorf("boot from %s over IPMI: %w", want.Device, bmc.ErrUnsupported)
	}
	if d.ipmitool != "" {
		return d.bootByTool(ctx, c.word, want)
	}
	flags := []byte{flagsValid, c.code << 2, 0, 0, 0}
	if want.Persistent {
		flags[0] |= flagsPersistent
	}
	if want.Mode == bmc.BootModeUEFI {
		flags[0] |= flagsEFI
	}
	// Parameter 4 clears the acknowledgements of the last boot; many BMCs keep the flags to themselves without it. Some do
	// not have it, and then it is not missed.
	_, _ = d.command(ctx, "clear the boot acknowledge", 0x00, 0x08, 4, 0x01, 0x01)
	_, err := d.command(ctx, "set the boot flags", 0x00, 0x08, append([]byte{5}, flags...)...)
	return err
}

// SendNMI is Chassis Control, diagnostic interrupt.
func (d *driver) SendNMI(ctx context.Context) error {
	_, err := d.command(ctx, "send an NMI", 0x00, 0x02, 4)
	return err
}

// RestartBMC is Cold Reset (20.2). Many BMCs restart instead of answering.
func (d *driver) RestartBMC(ctx context.Context) error {
	_, err := d.command(ctx, "restart the BMC", 0x06, 0x02)
	if errors.Is(err, bmc.ErrUnreachable) && ctx.Err() == nil {
		return nil
	}
	return err
}

// maxUsers is the highest user id there can be (22.26).
const maxUsers = 63

// SetPassword finds the user by name and sets the password (22.29, 22.30).
func (d *driver) SetPassword(ctx context.Context, username string, password bmc.Secret) error {
	word := password.Reveal()
	if len(word) == 0 || len(word) > maxPassword {
		return fmt.Errorf("IPMI passwords have 1 to %d bytes: %w", maxPassword, bmc.ErrRefused)
	}
	id, err := d.user(ctx, username)
	if err != nil {
		return err
	}
	const set, twentyBytes = 0x02, 0x80
	data := append([]byte{id | twentyBytes, set}, make([]byte, maxPassword)...)
	copy(data[2:], word)
	_, err = d.command(ctx, "set the password of "+username, 0x06, 0x47, data...)
	return err
}

func (d *driver) user(ctx context.Context, username string) (byte, error) {
	for id := byte(1); id <= maxUsers; id++ {
		out, err := d.command(ctx, "read the user list", 0x06, 0x46, id)
		if err != nil {
			if errors.Is(err, bmc.ErrRefused) { // past the last slot, or an empty one
				continue
			}
			return 0, err
		}
		if name := strings.TrimRight(string(out), "\x00"); name == username && name != "" {
			return id, nil
		}
	}
	return 0, fmt.Errorf("the BMC has no account %q: %w", username, bmc.ErrRefused)
}

// Inventory is what IPMI has of one: the FRU of the system, the BMC's own firmware and MAC, the system's UUID. It knows no
// processors, disks or network ports; those are Redfish's, or the agent's.
func (d *driver) Inventory(ctx context.Context) (bmc.Inventory, error) {
	var in bmc.Inventory
	note := func(err error) error {
		if err == nil {
			return nil
		}
		if errors.Is(err, bmc.ErrUnreachable) {
			return err
		}
		in.Problems = append(in.Problems, err.Error())
		return nil
	}
	for _, read := range []func(context.Context, *bmc.Inventory) error{d.readFRU, d.readDevice, d.readMAC, d.readUUID} {
		if err := note(read(ctx, &in)); err != nil {
			return bmc.Inventory{}, err
		}
	}
	if in.Empty() {
		return bmc.Inventory{}, fmt.Errorf("%w (problems: %q)", bmc.ErrEmptyInventory, in.Problems)
	}
	return in, nil
}

// readDevice is Get Device ID (20.1).
func (d *driver) readDevice(ctx context.Context, in *bmc.Inventory) error {
	out, err := d.command(ctx, "read the device id", 0x06, 0x01)
	if out, err = needs(11, out, err, "read the device id"); err != nil {
		return err
	}
	in.BMC.Firmware = fmt.Sprintf("%d.%02x", out[2]&0x7f, out[3])
	in.BMC.Protocol = fmt.Sprintf("IPMI %d.%d", out[4]&0x0f, out[4]>>4)
	maker := uint32(out[6]) | uint32(out[7])<<8 | uint32(out[8]&0x0f)<<16
	in.BMC.Manufacturer = makers[maker]
	return nil
}

// makers are the IANA enterprise numbers of those who make BMCs or their firmware.
var makers = map[uint32]string{
	2: "IBM", 11: "HPE", 343: "Intel", 674: "Dell", 2623: "ASUS", 5771: "Cisco", 7244: "Quanta", 10368: "Fujitsu", 10876: "Supermicro", 15370: "Gigabyte",
	19046: "Lenovo", 20974: "AMI", 6653: "Tyan", 42817: "OpenPOWER", 47196: "HPE", 48482: "OpenBMC", 49622: "ASRock Rack", 51974: "Quanta",
}

// readMAC is Get LAN Configuration Parameters, parameter 5 (23.2). 0Eh means "the channel this comes in on"; BMCs that do
// not know that have their LAN on channel 1.
func (d *driver) readMAC(ctx context.Context, in *bmc.Inventory) error {
	var err error
	for _, channel := range []byte{0x0e, 1} {
		var out []byte
		out, err = d.command(ctx, "read the BMC's MAC", 0x0c, 0x02, channel, 5, 0, 0)
		if out, err = needs(7, out, err, "read the BMC's MAC"); err == nil {
			if mac := out[1:7]; mac[0]&1 == 0 && string(mac) != "\x00\x00\x00\x00\x00\x00" {
				in.BMC.MAC = fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5])
			}
			return nil
		}
	}
	return err
}

// readUUID is Get System GUID (22.14), whose bytes come last first. Makers differ in which end they think is which, so a
// UUID from IPMI may be that of SMBIOS with the bytes of its first three groups, or of all, turned round.
func (d *driver) readUUID(ctx context.Context, in *bmc.Inventory) error {
	out, err := d.command(ctx, "read the system GUID", 0x06, 0x37)
	if errors.Is(err, bmc.ErrUnsupported) || errors.Is(err, bmc.ErrRefused) {
		return nil // optional
	}
	if out, err = needs(16, out, err, "read the system GUID"); err != nil {
		return err
	}
	var g [16]byte
	for i := range g {
		g[15-i] = out[i]
	}
	if g == [16]byte{} {
		return nil
	}
	s := hex.EncodeToString(g[:])
	in.System.UUID = s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
	return nil
}

// Close gives the session back.
func (d *driver) Close(ctx context.Context) error {
	if d.closed {
		return nil
	}
	d.closed = true
	if err := d.session.close(ctx); err != nil {
		return fmt.Errorf("close the session: %w", err)
	}
	return nil
}
