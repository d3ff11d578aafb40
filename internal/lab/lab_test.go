package lab

import (
	"testing"

	"berth/internal/lab/hardware"
	"berth/internal/lab/vbmc"
)

func TestNewBMC(t *testing.T) {
	b, host, err := NewBMC(hardware.Server{Name: "alone"}, vbmc.Both)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Endpoint(vbmc.IPMI).Port() == 0 || b.Endpoint(vbmc.Redfish).Port() == 0 {
		t.Errorf("it listens on %v and %v", b.Endpoint(vbmc.IPMI), b.Endpoint(vbmc.Redfish))
	}
	if host.PowerState() != hardware.Off {
		t.Errorf("the server is %s, want off", host.PowerState())
	}
	if _, _, err := NewBMC(hardware.Server{Name: "no good"}, vbmc.Both); err == nil {
		t.Error("a server with a blank in its name was built")
	}
}
