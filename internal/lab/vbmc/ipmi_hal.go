package vbmc

import (
	"context"
	"net"

	"github.com/bougou/go-ipmi/pkg/hal"
	"github.com/bougou/go-ipmi/pkg/types"

	"berth/internal/lab/hardware"
)

// ipmiHAL shows the library the parts of the server that its own commands
// need: boot flags and power state, the FRU, the controller's network port.
type ipmiHAL struct {
	bmc  *BMC
	host Host
}

var _ hal.HAL = (*ipmiHAL)(nil)

func (h *ipmiHAL) Chassis() hal.ChassisHAL { return ipmiChassis(*h) }
func (h *ipmiHAL) Storage() hal.StorageHAL { return ipmiStorage(*h) }
func (h *ipmiHAL) Network() hal.NetworkHAL { return ipmiNetwork(*h) }
func (h *ipmiHAL) Sensors() hal.SensorHAL  { return nil }
func (h *ipmiHAL) GPIO() hal.GPIOHAL       { return nil }
func (h *ipmiHAL) I2C() hal.I2CHAL         { return nil }
func (h *ipmiHAL) Console() hal.ConsoleHAL { return nil }
func (h *ipmiHAL) Close() error            { return nil }

// ipmiChassis is power state and boot flags. Power actions have a handler of
// their own, ipmiServer.chassisControl; the library's are never called.
type ipmiChassis ipmiHAL

func (c ipmiChassis) PowerState(context.Context) (bool, error) {
	return c.bmc.powerState(c.host) == hardware.On, nil
}

func (c ipmiChassis) SetPower(context.Context, bool) error         { return hal.ErrNotSupported }
func (c ipmiChassis) PowerCycle(context.Context) error             { return hal.ErrNotSupported }
func (c ipmiChassis) ColdReset(context.Context) error              { return hal.ErrNotSupported }
func (c ipmiChassis) WarmReset(context.Context) error              { return hal.ErrNotSupported }
func (c ipmiChassis) Identify(context.Context, uint8) error        { return nil }
func (c ipmiChassis) IntrusionState(context.Context) (bool, error) { return false, hal.ErrNotSupported }

// bootDevices is the boot device selector of boot flags, IPMI 2.0 table 28-14,
// parameter 5.
var bootDevices = map[types.BootDeviceSelector]hardware.Device{
	0x0: hardware.None,
	0x1: hardware.PXE,
	0x2: hardware.HDD,
	0x5: hardware.CD,
	0x6: hardware.Setup,
}

func (c ipmiChassis) SetBootFlags(_ context.Context, f *types.BootOptionParam_BootFlags) error {
	device, ok := bootDevices[f.BootDeviceSelector]
	if !ok {
		return types.CodeRequestDataFieldInvalid
	}
	o := hardware.Override{Device: device, Mode: hardware.ModeLegacy, Persistent: f.Persist}
	if f.BIOSBootType {
		o.Mode = hardware.ModeUEFI
	}
	if !f.BootFlagsValid || device == hardware.None {
		o = hardware.Override{}
	}
	c.bmc.setOverride(c.host, o)
	return nil
}

func (c ipmiChassis) GetBootFlags(context.Context) (*types.BootOptionParam_BootFlags, error) {
	o := c.host.Override()
	f := &types.BootOptionParam_BootFlags{
		BootFlagsValid: o.Active(),
		Persist:        o.Persistent,
		BIOSBootType:   types.BIOSBootType(o.Mode == hardware.ModeUEFI),
	}
	for selector, device := range bootDevices {
		if o.Active() && device == o.Device {
			f.BootDeviceSelector = selector
		}
	}
	return f, nil
}

// Boot info acknowledge is written by most drivers before the boot flags, and
// has no meaning here.
func (c ipmiChassis) SetBootInfoAcknowledge(context.Context, *types.BootOptionParam_BootInfoAcknowledge) error {
	return nil
}

func (c ipmiChassis) GetBootInfoAcknowledge(context.Context) (*types.BootOptionParam_BootInfoAcknowledge, error) {
	return nil, hal.ErrNotSupported
}

// ipmiNetwork is the controller's own network port.
type ipmiNetwork ipmiHAL

func (n ipmiNetwork) GetConfig(context.Context) (*hal.IPConfig, error) {
	cfg := n.bmc.cfg
	c := &hal.IPConfig{Port: n.bmc.Endpoint(IPMI).Port()}
	if cfg.Addr.Is4() {
		c.IP = cfg.Addr.As4()
	}
	if cfg.Gateway.Is4() {
		c.Gateway = cfg.Gateway.As4()
	}
	copy(c.Mask[:], net.IP(cfg.Mask))
	copy(c.MAC[:], cfg.MAC)
	return c, nil
}

func (n ipmiNetwork) SetConfig(context.Context, *hal.IPConfig) error { return hal.ErrNotSupported }

// ipmiStorage is the FRU of the server; there is no sensor repository.
type ipmiStorage ipmiHAL

func (s ipmiStorage) FRU() hal.FRUStore { return ipmiFRU(s) }
func (s ipmiStorage) SDR() hal.SDRStore { return locatorOnly{} }

// ipmiFRU answers reads of FRU device 0, the server itself.
type ipmiFRU ipmiHAL

func (f ipmiFRU) Read(_ context.Context, id uint8) ([]byte, error) {
	s := f.bmc.hardwareOf(f.host)
	if id != 0 || s.UUID == "" {
		return nil, hal.ErrNotFound
	}
	return encodeFRU(s), nil
}

func (f ipmiFRU) Write(context.Context, uint8, []byte) error       { return hal.ErrNotSupported }
func (f ipmiFRU) Delete(context.Context, uint8) error              { return hal.ErrNotSupported }
func (f ipmiFRU) DeviceIDs(context.Context) (ids []uint8, _ error) { return []uint8{0}, nil }

// locatorOnly is a sensor repository without sensors. Its one record says where
// the controller itself is: a repository with no record at all makes ipmitool
// try to erase and rebuild it.
type locatorOnly struct{}

const locatorID = 1

func (locatorOnly) Read(_ context.Context, id uint16) ([]byte, error) {
	if id != locatorID {
		return nil, hal.ErrNotFound
	}
	// A management controller device locator, IPMI 2.0 table 43-8.
	const version, kind, address, capabilities, systemBoard, text8 = 0x51, 0x12, 0x20, 0x0c, 0x07, 0xc0
	name := "BMC"
	body := []byte{address, 0, 0, capabilities, 0, 0, 0, systemBoard, 1, 0, text8 | byte(len(name))}
	body = append(body, name...)
	return append([]byte{locatorID, 0, version, kind, byte(len(body))}, body...), nil
}

func (locatorOnly) Write(context.Context, uint16, []byte) error { return hal.ErrNotSupported }
func (locatorOnly) Delete(context.Context, uint16) error        { return hal.ErrNotSupported }
func (locatorOnly) RecordIDs(context.Context) ([]uint16, error) { return []uint16{locatorID}, nil }
