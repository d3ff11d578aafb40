package vbmc

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/vmproto"

	"berth/internal/lab/hardware"
)

// TestInband asks a controller from inside its server, where there is no login.
func TestInband(t *testing.T) {
	b, host := newBMC(t, Config{Protocol: Redfish})
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.ServeInband(host, l); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := vmproto.NewClient(conn, time.Minute)
	const getLAN, transport, macParameter = 0x02, 0x0c, 5
	code, resp, err := c.Command(transport, getLAN, 1, macParameter, 0, 0)
	if err != nil || code != 0 || net.HardwareAddr(resp[1:]).String() != b.MAC().String() {
		t.Errorf("its own address: %x %x, %v; want %s", code, resp, err, b.MAC())
	}
	const app, setEnables, getEnables = 0x06, 0x2e, 0x2f
	if _, _, err := c.Command(app, setEnables, 0x09); err != nil {
		t.Error(err)
	}
	if code, resp, err := c.Command(app, getEnables); err != nil || code != 0 || resp[0] != 0x09 {
		t.Errorf("enables: %x %x, %v", code, resp, err)
	}
	const chassis, control, powerUp = 0x00, 0x02, 0x01
	if code, _, err := c.Command(chassis, control, powerUp); err != nil || code != 0 || host.PowerState() != hardware.On {
		t.Errorf("power on: %x, %v, and the server is %s", code, err, host.PowerState())
	}
	b.Close()
	if _, _, err := c.Command(chassis, control, powerUp); err == nil {
		t.Error("it answers after its end")
	}
	if err := b.ServeInband(host, l); err == nil {
		t.Error("a closed controller took a listener")
	}
}
