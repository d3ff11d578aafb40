package vbmc

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bmc-toolbox/bmclib/v2"
	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/redfish"

	"berth/internal/lab/hardware"
)

// client is a plain HTTP client that knows nothing of Redfish.
func client() *http.Client {
	return &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
			DisableKeepAlives: true,
		},
	}
}

// call asks with the account's credential and returns status, headers, body.
func call(t *testing.T, b *BMC, method, path, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	status, header, text, err := try(t, b, method, path, body, headers...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return status, header, text
}

func try(t *testing.T, b *BMC, method, path, body string, headers ...string) (int, http.Header, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(b.Credentials())
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client().Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(data), err
}

// get decodes a resource.
func get(t *testing.T, b *BMC, path string) map[string]any {
	t.Helper()
	status, _, body := call(t, b, http.MethodGet, path, "")
	if status != http.StatusOK {
		t.Fatalf("GET %s: %d\n%s", path, status, body)
	}
	var o map[string]any
	if err := json.Unmarshal([]byte(body), &o); err != nil {
		t.Fatalf("GET %s: %v\n%s", path, err, body)
	}
	return o
}

// TestRedfishTreeHasNoDeadLinks walks every link from the root, for each of the
// id habits of vendors.
func TestRedfishTreeHasNoDeadLinks(t *testing.T) {
	configs := map[string]Config{
		"plain":    {},
		"uuid":     {SystemIDs: []string{"4c4c4544-0042-3510-8052-b4c04f4d3733"}, ManagerID: "bmc"},
		"slash":    {SystemIDs: []string{"System_0"}, TrailingSlash: true},
		"embedded": {SystemIDs: []string{"System.Embedded.1"}, ManagerID: "iDRAC.Embedded.1", ChassisIDs: []string{"System.Embedded.1"}},
	}
	for name, cfg := range configs {
		t.Run(name, func(t *testing.T) {
			cfg.Protocol = Redfish
			b, _ := newBMC(t, cfg)
			seen := map[string]bool{}
			todo := []string{"/redfish/v1/"}
			for len(todo) > 0 {
				path := todo[0]
				todo = todo[1:]
				if seen[path] {
					continue
				}
				seen[path] = true
				o := get(t, b, path)
				if id := o["@odata.id"]; id != path {
					t.Errorf("%s calls itself %v", path, id)
				}
				todo = append(todo, links(o)...)
			}
			if len(seen) < 30 {
				t.Errorf("only %d resources were found: %v", len(seen), seen)
			}
		})
	}
}

// links collects every @odata.id below a value that is a resource of its own.
func links(v any) (found []string) {
	switch v := v.(type) {
	case map[string]any:
		for k, below := range v {
			if s, ok := below.(string); ok && k == "@odata.id" && !strings.Contains(s, "#") {
				found = append(found, s)
			}
			found = append(found, links(below)...)
		}
	case []any:
		for _, below := range v {
			found = append(found, links(below)...)
		}
	}
	return found
}

func TestRedfishAuthentication(t *testing.T) {
	b, _ := newBMC(t, Config{Protocol: Redfish, SessionLimit: 2})
	const systems, sessions = "/redfish/v1/Systems", "/redfish/v1/SessionService/Sessions"
	if status, _, _ := call(t, b, "GET", systems, "", "Authorization", ""); status != http.StatusUnauthorized {
		t.Errorf("without a credential: %d, want 401", status)
	}
	if status, _, _ := call(t, b, "GET", "/redfish/v1/", "", "Authorization", ""); status != http.StatusOK {
		t.Errorf("the root without a credential: %d, want 200", status)
	}
	login := `{"UserName":"admin","Password":"berth-lab"}`
	status, header, _ := call(t, b, "POST", sessions, login, "Authorization", "")
	token, at := header.Get("X-Auth-Token"), header.Get("Location")
	if status != http.StatusCreated || token == "" || at == "" {
		t.Fatalf("login: %d, token %q, location %q", status, token, at)
	}
	if status, _, _ := call(t, b, "GET", systems, "", "Authorization", "", "X-Auth-Token", token); status != http.StatusOK {
		t.Errorf("with a token: %d, want 200", status)
	}
	if status, _, _ := call(t, b, "POST", sessions, `{"UserName":"admin","Password":"wrong"}`); status != http.StatusUnauthorized {
		t.Errorf("login with a wrong password: %d, want 401", status)
	}
	call(t, b, "POST", sessions, login)
	if status, _, body := call(t, b, "POST", sessions, login); status != http.StatusServiceUnavailable || !strings.Contains(body, "SessionLimitExceeded") {
		t.Errorf("a third session of two: %d, want 503\n%s", status, body)
	}
	if b.Sessions() != 2 {
		t.Errorf("%d sessions are open, want 2", b.Sessions())
	}
	if status, _, _ := call(t, b, "DELETE", at, ""); status != http.StatusNoContent {
		t.Errorf("logout: %d, want 204", status)
	}
	if status, _, _ := call(t, b, "GET", systems, "", "Authorization", "", "X-Auth-Token", token); status != http.StatusUnauthorized {
		t.Errorf("with the token of an ended session: %d, want 401", status)
	}
	if status, _, _ := call(t, b, "PATCH", "/redfish/v1/AccountService/Accounts/1", `{"Password":"rotated"}`); status != http.StatusNoContent {
		t.Errorf("password change: %d, want 204", status)
	}
	if status, _, _ := call(t, b, "GET", systems, "", "Authorization", "Basic YWRtaW46YmVydGgtbGFi"); status != http.StatusUnauthorized {
		t.Errorf("with the old password: %d, want 401", status)
	}
	if status, _, _ := call(t, b, "GET", systems, ""); status != http.StatusOK {
		t.Errorf("with the new password: %d, want 200", status)
	}
}

func TestRedfishIdleSessionsEnd(t *testing.T) {
	s := newSessions(1, time.Millisecond)
	first, err := s.create("admin")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the session to end", func() bool { return !s.use(first.token) })
	if _, err := s.create("admin"); err != nil {
		t.Fatalf("the place of an ended session is not free: %v", err)
	}
}

func TestRedfishPower(t *testing.T) {
	b, host := newBMC(t, Config{Protocol: Redfish})
	const reset = "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"
	cases := []struct {
		reset  string
		status int
		power  hardware.PowerState
		boots  int
	}{
		{"ForceRestart", http.StatusConflict, hardware.Off, 0},
		{"ForceOff", http.StatusNoContent, hardware.Off, 0},
		{"On", http.StatusNoContent, hardware.On, 1},
		{"On", http.StatusNoContent, hardware.On, 1},
		{"ForceRestart", http.StatusNoContent, hardware.On, 2},
		{"GracefulRestart", http.StatusNoContent, hardware.On, 3},
		{"PowerCycle", http.StatusNoContent, hardware.On, 4},
		{"Nmi", http.StatusNoContent, hardware.On, 4},
		{"Explode", http.StatusBadRequest, hardware.On, 4},
		{"GracefulShutdown", http.StatusNoContent, hardware.Off, 4},
		{"PushPowerButton", http.StatusNoContent, hardware.On, 5},
		{"PushPowerButton", http.StatusNoContent, hardware.Off, 5},
	}
	for _, c := range cases {
		status, _, body := call(t, b, "POST", reset, `{"ResetType":"`+c.reset+`"}`)
		if status != c.status || host.PowerState() != c.power || len(host.Boots()) != c.boots {
			t.Errorf("%s: status %d, power %s, %d boots; want %d, %s, %d\n%s",
				c.reset, status, host.PowerState(), len(host.Boots()), c.status, c.power, c.boots, body)
		}
	}
}

func TestRedfishBootOverride(t *testing.T) {
	const system = "/redfish/v1/Systems/1"
	cases := []struct {
		name     string
		firmware hardware.Firmware
		patch    string
		status   int
		want     hardware.Override
	}{
		{"once", hardware.UEFI, `{"Boot":{"BootSourceOverrideTarget":"Pxe","BootSourceOverrideEnabled":"Once","BootSourceOverrideMode":"UEFI"}}`,
			204, hardware.Override{Device: hardware.PXE, Mode: hardware.ModeUEFI}},
		{"always", hardware.BIOS, `{"Boot":{"BootSourceOverrideTarget":"Hdd","BootSourceOverrideEnabled":"Continuous"}}`,
			204, hardware.Override{Device: hardware.HDD, Persistent: true}},
		{"http", hardware.UEFI, `{"Boot":{"BootSourceOverrideTarget":"UefiHttp"}}`, 204, hardware.Override{Device: hardware.HTTP}},
		{"http on bios", hardware.BIOS, `{"Boot":{"BootSourceOverrideTarget":"UefiHttp"}}`, 400, hardware.Override{}},
		{"wrong mode", hardware.BIOS, `{"Boot":{"BootSourceOverrideTarget":"Pxe","BootSourceOverrideMode":"UEFI"}}`, 400, hardware.Override{}},
		{"unknown target", hardware.BIOS, `{"Boot":{"BootSourceOverrideTarget":"Floppy"}}`, 400, hardware.Override{}},
		{"unknown enabled", hardware.BIOS, `{"Boot":{"BootSourceOverrideEnabled":"Twice"}}`, 400, hardware.Override{}},
		{"unknown property", hardware.BIOS, `{"Colour":"red"}`, 400, hardware.Override{}},
		{"nothing", hardware.BIOS, `{}`, 400, hardware.Override{}},
		{"no json", hardware.BIOS, `{`, 400, hardware.Override{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, host := newBMC(t, Config{Protocol: Redfish})
			host.Change(func(s *hardware.Server) { s.Firmware = c.firmware })
			status, _, body := call(t, b, "PATCH", system, c.patch)
			if status != c.status || host.Override() != c.want {
				t.Errorf("status %d, override %v; want %d, %v\n%s", status, host.Override(), c.status, c.want, body)
			}
		})
	}
	t.Run("used up", func(t *testing.T) {
		b, host := newBMC(t, Config{Protocol: Redfish})
		call(t, b, "PATCH", system, `{"Boot":{"BootSourceOverrideTarget":"Pxe","BootSourceOverrideEnabled":"Once"}}`)
		boot := get(t, b, system)["Boot"].(map[string]any)
		if boot["BootSourceOverrideTarget"] != "Pxe" || boot["BootSourceOverrideEnabled"] != "Once" {
			t.Errorf("it reads back as %v", boot)
		}
		call(t, b, "POST", system+"/Actions/ComputerSystem.Reset", `{"ResetType":"On"}`)
		if got := host.Boots(); !slices.Equal(got, []hardware.Device{hardware.PXE}) {
			t.Errorf("booted from %v", got)
		}
		boot = get(t, b, system)["Boot"].(map[string]any)
		if boot["BootSourceOverrideTarget"] != "None" || boot["BootSourceOverrideEnabled"] != "Disabled" {
			t.Errorf("after the boot it reads %v", boot)
		}
	})
}

func TestRedfishETag(t *testing.T) {
	b, host := newBMC(t, Config{Protocol: Redfish, StrictETag: true})
	const system = "/redfish/v1/Systems/1"
	const patch = `{"Boot":{"BootSourceOverrideTarget":"Pxe"}}`
	_, header, _ := call(t, b, "GET", system, "")
	tag := header.Get("ETag")
	if tag == "" || get(t, b, system)["@odata.etag"] != tag {
		t.Fatalf("ETag %q is not the resource's own %v", tag, get(t, b, system)["@odata.etag"])
	}
	if status, _, _ := call(t, b, "GET", system, "", "If-None-Match", tag); status != http.StatusNotModified {
		t.Errorf("unchanged: %d, want 304", status)
	}
	if status, _, _ := call(t, b, "PATCH", system, patch); status != http.StatusPreconditionRequired {
		t.Errorf("without If-Match: %d, want 428", status)
	}
	host.SetOverride(hardware.Override{Device: hardware.HDD})
	if status, _, _ := call(t, b, "PATCH", system, patch, "If-Match", tag); status != http.StatusPreconditionFailed {
		t.Errorf("with an old tag: %d, want 412", status)
	}
	_, header, _ = call(t, b, "GET", system, "")
	if status, _, _ := call(t, b, "PATCH", system, patch, "If-Match", header.Get("ETag")); status != http.StatusNoContent {
		t.Errorf("with the tag: %d, want 204", status)
	}
}

// TestRedfishInventoryByGofish reads the whole tree with the library that most
// Go programs use.
func TestRedfishInventoryByGofish(t *testing.T) {
	b, host := newBMC(t, Config{Protocol: Redfish, SystemIDs: []string{"4c4c4544-0042"}})
	host.Change(func(s *hardware.Server) {
		s.Disks = append(s.Disks,
			s.FillDisk(hardware.Disk{Slot: "bay2", Kind: hardware.SCSI}),
			s.FillDisk(hardware.Disk{Slot: "bay3", Kind: hardware.SATA}))
	})
	c := connect(t, b)
	systems, err := c.Service.Systems()
	if err != nil || len(systems) != 1 {
		t.Fatalf("systems: %v, %v", systems, err)
	}
	system, spec := systems[0], host.Server()
	if system.SerialNumber != spec.System.Serial || system.UUID != spec.UUID || system.Manufacturer != spec.System.Manufacturer {
		t.Errorf("system is %s %s %s", system.SerialNumber, system.UUID, system.Manufacturer)
	}
	dimms, err := system.Memory()
	if err != nil || len(dimms) != 2 {
		t.Fatalf("memory: %d slots, %v", len(dimms), err)
	}
	// gofish asks for the members at once and returns them as they come.
	slices.SortFunc(dimms, func(a, b *redfish.Memory) int { return strings.Compare(a.ID, b.ID) })
	if dimms[0].SerialNumber != spec.DIMMs[0].Serial || dimms[0].CapacityMiB != 1024 || dimms[1].Status.State != "Absent" {
		t.Errorf("memory is %s %d and %s", dimms[0].SerialNumber, dimms[0].CapacityMiB, dimms[1].Status.State)
	}
	storages, err := system.Storage()
	if err != nil || len(storages) != 3 {
		t.Fatalf("storage: %d, %v", len(storages), err)
	}
	var serials []string
	for _, s := range storages {
		drives, err := s.Drives()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range drives {
			serials = append(serials, d.SerialNumber)
		}
	}
	if len(serials) != 3 || !slices.Contains(serials, spec.Disks[0].Serial) {
		t.Errorf("drives are %v", serials)
	}
	nics, err := system.EthernetInterfaces()
	if err != nil || len(nics) != 1 || !strings.EqualFold(nics[0].MACAddress, spec.NICs[0].MAC.String()) {
		t.Errorf("ports are %v, %v", nics, err)
	}
	cpus, err := system.Processors()
	if err != nil || len(cpus) != 1 || cpus[0].TotalCores != 1 {
		t.Errorf("processors are %v, %v", cpus, err)
	}
	chassis, err := c.Service.Chassis()
	if err != nil || len(chassis) != 1 || chassis[0].SerialNumber != spec.Chassis.Serial {
		t.Fatalf("chassis: %v, %v", chassis, err)
	}
	power, err := chassis[0].Power()
	if err != nil || len(power.PowerSupplies) != 2 || power.PowerSupplies[0].SerialNumber != spec.PSUs[0].Serial {
		t.Errorf("power: %+v, %v", power, err)
	}
	managers, err := c.Service.Managers()
	if err != nil || len(managers) != 1 || managers[0].FirmwareVersion != "2.17" {
		t.Fatalf("managers: %v, %v", managers, err)
	}
	ports, err := managers[0].EthernetInterfaces()
	if err != nil || len(ports) != 1 || !strings.EqualFold(ports[0].MACAddress, b.MAC().String()) {
		t.Errorf("management port: %v, %v", ports, err)
	}
	update, err := c.Service.UpdateService()
	if err != nil {
		t.Fatal(err)
	}
	if fw, err := update.FirmwareInventories(); err != nil || len(fw) != 2 {
		t.Errorf("firmware: %v, %v", fw, err)
	}
}

func TestRedfishPowerAndLogByGofish(t *testing.T) {
	b, host := newBMC(t, Config{Protocol: Redfish})
	systems, err := connect(t, b).Service.Systems()
	if err != nil {
		t.Fatal(err)
	}
	boot := redfish.Boot{BootSourceOverrideTarget: redfish.PxeBootSourceOverrideTarget, BootSourceOverrideEnabled: redfish.OnceBootSourceOverrideEnabled}
	if err := systems[0].SetBoot(boot); err != nil {
		t.Fatal(err)
	}
	if err := systems[0].Reset(redfish.OnResetType); err != nil {
		t.Fatal(err)
	}
	if host.PowerState() != hardware.On || host.Boots()[0] != hardware.PXE {
		t.Errorf("the server is %s and booted from %v", host.PowerState(), host.Boots())
	}
	logs, err := systems[0].LogServices()
	if err != nil || len(logs) != 1 {
		t.Fatalf("logs: %v, %v", logs, err)
	}
	entries, err := logs[0].Entries()
	powerOn := func(e *redfish.LogEntry) bool { return strings.Contains(e.Message, "power-on") }
	if err != nil || len(entries) != 2 || !slices.ContainsFunc(entries, powerOn) {
		t.Fatalf("entries: %v, %v", entries, err)
	}
	if err := logs[0].ClearLog(); err != nil {
		t.Fatal(err)
	}
	if entries, err := logs[0].Entries(); err != nil || len(entries) != 0 {
		t.Errorf("after clearing: %v, %v", entries, err)
	}
}

func connect(t *testing.T, b *BMC) *gofish.APIClient {
	t.Helper()
	user, password := b.Credentials()
	c, err := gofish.Connect(gofish.ClientConfig{Endpoint: b.URL(), Username: user, Password: password, Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Logout)
	return c
}

// TestRedfishByBMClib drives the controller as the drivers' library does.
func TestRedfishByBMClib(t *testing.T) {
	b, host := newBMC(t, Config{Protocol: Redfish, ManagerID: "1", ChassisIDs: []string{"1"}})
	host.Change(func(s *hardware.Server) { s.Firmware = hardware.UEFI })
	at := b.Endpoint(Redfish)
	user, password := b.Credentials()
	c := bmclib.NewClient(at.Addr().String(), user, password, bmclib.WithRedfishPort(portText(at)))
	c.Registry.Drivers = c.Registry.For("gofish")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.Open(ctx); err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if ok, err := c.SetBootDevice(ctx, "pxe", false, true); err != nil || !ok {
		t.Fatalf("boot device: %v, %v", ok, err)
	}
	if ok, err := c.SetPowerState(ctx, "on"); err != nil || !ok {
		t.Fatalf("power on: %v, %v", ok, err)
	}
	if state, err := c.GetPowerState(ctx); err != nil || !strings.EqualFold(state, "on") {
		t.Errorf("power state: %s, %v", state, err)
	}
	if got := host.Boots(); !slices.Equal(got, []hardware.Device{hardware.PXE}) {
		t.Errorf("booted from %v", got)
	}
	device, err := c.Inventory(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if device.Serial != host.Server().System.Serial || len(device.CPUs) != 1 || len(device.Drives) != 1 {
		t.Errorf("inventory: serial %s, %d CPUs, %d drives", device.Serial, len(device.CPUs), len(device.Drives))
	}
}

func portText(a netip.AddrPort) string {
	_, port, _ := strings.Cut(a.String(), ":")
	return port
}

func TestRedfishSeveralSystems(t *testing.T) {
	one := NewBare(hardware.Server{Name: "node-a"})
	two := NewBare(hardware.Server{Name: "node-b"})
	b, err := New(Config{Protocol: Redfish, SystemIDs: []string{"node-a", "node-b"}}, one, two)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if n := get(t, b, "/redfish/v1/Systems")["Members@odata.count"]; n != 2.0 {
		t.Errorf("%v systems, want 2", n)
	}
	call(t, b, "POST", "/redfish/v1/Systems/node-b/Actions/ComputerSystem.Reset", `{"ResetType":"On"}`)
	if one.PowerState() != hardware.Off || two.PowerState() != hardware.On {
		t.Errorf("power is %s and %s, want off and on", one.PowerState(), two.PowerState())
	}
	if _, err := New(Config{Protocol: IPMI}, one, two); err == nil {
		t.Error("an IPMI controller took two hosts")
	}
}

func TestRedfishFaults(t *testing.T) {
	const system = "/redfish/v1/Systems/1"
	const reset = system + "/Actions/ComputerSystem.Reset"
	const on = `{"ResetType":"On"}`
	b, host := newBMC(t, Config{Protocol: Redfish})
	t.Run("statuses", func(t *testing.T) {
		for kind, want := range map[FaultKind]int{Unauthorized: 401, ServerError: 500} {
			remove := b.Inject(Fault{Kind: kind})
			if status, _, _ := call(t, b, "GET", system, ""); status != want {
				t.Errorf("%s: %d, want %d", kind, status, want)
			}
			remove()
			if status, _, _ := call(t, b, "GET", system, ""); status != http.StatusOK {
				t.Errorf("after %s: %d, want 200", kind, status)
			}
		}
	})
	t.Run("times and only", func(t *testing.T) {
		b.Inject(Fault{Kind: ServerError, Times: 2, Only: "/Memory"})
		var got []int
		for _, path := range []string{system, system + "/Memory", system + "/Memory", system + "/Memory"} {
			status, _, _ := call(t, b, "GET", path, "")
			got = append(got, status)
		}
		if !slices.Equal(got, []int{200, 500, 500, 200}) {
			t.Errorf("statuses are %v", got)
		}
	})
	t.Run("no answer", func(t *testing.T) {
		defer b.Inject(Fault{Kind: NoAnswer})()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "GET", b.URL()+"/redfish/v1/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := client().Do(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it answered %v, %v", resp, err)
		}
	})
	t.Run("slow", func(t *testing.T) {
		defer b.Inject(Fault{Kind: Slow, Delay: 50 * time.Millisecond})()
		if status, _, _ := call(t, b, "GET", system, ""); status != http.StatusOK {
			t.Errorf("%d, want 200", status)
		}
	})
	t.Run("session limit", func(t *testing.T) {
		defer b.Inject(Fault{Kind: SessionLimit})()
		if status, _, _ := call(t, b, "POST", "/redfish/v1/SessionService/Sessions", `{"UserName":"admin","Password":"berth-lab"}`); status != http.StatusServiceUnavailable {
			t.Errorf("%d, want 503", status)
		}
		if b.Sessions() != 0 {
			t.Errorf("%d sessions are open", b.Sessions())
		}
	})
	t.Run("power ignored", func(t *testing.T) {
		defer b.Inject(Fault{Kind: PowerIgnored})()
		if status, _, _ := call(t, b, "POST", reset, on); status != http.StatusNoContent || host.PowerState() != hardware.Off {
			t.Errorf("%d, and the server is %s", status, host.PowerState())
		}
	})
	t.Run("stuck on", func(t *testing.T) {
		defer b.Inject(Fault{Kind: StuckOn})()
		if state := get(t, b, system)["PowerState"]; state != "On" {
			t.Errorf("it reads %v", state)
		}
	})
	t.Run("override ignored and reverted", func(t *testing.T) {
		const patch = `{"Boot":{"BootSourceOverrideTarget":"Pxe","BootSourceOverrideEnabled":"Once"}}`
		remove := b.Inject(Fault{Kind: OverrideIgnored})
		if status, _, _ := call(t, b, "PATCH", system, patch); status != 204 || host.Override().Active() {
			t.Errorf("ignored: %d, override %v", status, host.Override())
		}
		remove()
		defer b.Inject(Fault{Kind: OverrideReverted})()
		if status, _, _ := call(t, b, "PATCH", system, patch); status != 204 || !host.Override().Active() {
			t.Errorf("reverted: %d, override %v", status, host.Override())
		}
		call(t, b, "POST", reset, on)
		if got := host.Boots(); !slices.Equal(got, []hardware.Device{hardware.None}) {
			t.Errorf("booted from %v, want the standing order", got)
		}
	})
	t.Run("empty inventory", func(t *testing.T) {
		defer b.Inject(Fault{Kind: EmptyInventory})()
		o := get(t, b, system)
		if o["SerialNumber"] != nil || o["PowerState"] != "On" {
			t.Errorf("system is %v", o)
		}
		for _, c := range []string{"/Memory", "/Storage", "/Processors", "/EthernetInterfaces"} {
			if n := get(t, b, system+c)["Members@odata.count"]; n != 0.0 {
				t.Errorf("%s has %v members", c, n)
			}
		}
	})
	t.Run("malformed", func(t *testing.T) {
		defer b.Inject(Fault{Kind: Malformed})()
		status, _, body := call(t, b, "GET", system, "")
		if status != 200 || json.Valid([]byte(body)) {
			t.Errorf("%d, valid JSON:\n%s", status, body)
		}
	})
	t.Run("resetting", func(t *testing.T) {
		at := b.URL()
		_, header, _ := call(t, b, "POST", "/redfish/v1/SessionService/Sessions", `{"UserName":"admin","Password":"berth-lab"}`)
		b.Inject(Fault{Kind: Resetting, Delay: time.Millisecond})
		if status, _, _, err := try(t, b, "GET", system, ""); err == nil {
			t.Errorf("the request was answered with %d", status)
		}
		eventually(t, "the restart", func() bool { _, _, _, err := try(t, b, "GET", system, ""); return err == nil })
		if b.URL() != at {
			t.Errorf("it came back as %s, want %s", b.URL(), at)
		}
		token := header.Get("X-Auth-Token")
		if status, _, _ := call(t, b, "GET", system, "", "Authorization", "", "X-Auth-Token", token); status != 401 {
			t.Errorf("a session outlived the restart: %d", status)
		}
		if host.PowerState() != hardware.On {
			t.Error("the restart of the controller switched the server off")
		}
	})
}

func TestRedfishManagerReset(t *testing.T) {
	b, _ := newBMC(t, Config{Protocol: Redfish})
	if status, _, _ := call(t, b, "POST", "/redfish/v1/Managers/BMC/Actions/Manager.Reset", `{"ResetType":"ForceRestart"}`); status != 204 {
		t.Fatalf("%d, want 204", status)
	}
	eventually(t, "the restart", func() bool { return b.sel.count(eventBMCReady) == 2 })
}

func TestRedfishBoundsItsInput(t *testing.T) {
	b, _ := newBMC(t, Config{Protocol: Redfish})
	big := `{"ResetType":"` + string(bytes.Repeat([]byte("x"), redfishBody)) + `"}`
	status, _, _ := call(t, b, "POST", "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset", big)
	if status != http.StatusBadRequest {
		t.Errorf("a body of %d bytes: %d, want 400", len(big), status)
	}
	for _, path := range []string{"/", "/redfish/v1/Systems/2", "/redfish/v1/Systems/1/Memory/x", "/redfish/v1/Chassis/x/Power", "/redfish/v1/Systems/x/Storage/NVMe"} {
		if status, _, _ := call(t, b, "GET", path, ""); status != http.StatusNotFound {
			t.Errorf("GET %s: %d, want 404", path, status)
		}
	}
}

func TestCertificateOutlivesResetAndCanChange(t *testing.T) {
	b, _ := newBMC(t, Config{Protocol: Redfish})
	seen := func() []byte {
		c, err := tls.Dial("tcp", b.Endpoint(Redfish).String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return nil
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].Raw
	}
	first := seen()
	b.Reset(time.Millisecond)
	eventually(t, "the restart", func() bool { return b.sel.count(eventBMCReady) == 2 })
	if !bytes.Equal(first, seen()) {
		t.Error("the restart changed the certificate")
	}
	fresh, err := NewCertificate(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	b.SetCertificate(fresh)
	if bytes.Equal(first, seen()) {
		t.Error("the certificate did not change")
	}
}

func TestConfigRefuses(t *testing.T) {
	host := NewBare(hardware.Server{Name: "one"})
	for name, cfg := range map[string]Config{
		"protocol": {Protocol: "telnet"},
		"password": {Protocol: IPMI, Password: strings.Repeat("x", 21)},
		"address":  {Protocol: Redfish, Addr: netip.MustParseAddr("192.0.2.1")},
	} {
		if b, err := New(cfg, host); err == nil {
			b.Close()
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := New(Config{Protocol: Redfish}); err == nil {
		t.Error("a controller without a host was made")
	}
}

func TestParseFault(t *testing.T) {
	for _, k := range Faults() {
		if got, err := ParseFault(string(k)); err != nil || got != k {
			t.Errorf("%s: %s, %v", k, got, err)
		}
	}
	if _, err := ParseFault("fire"); err == nil {
		t.Error("fire is a fault")
	}
}
