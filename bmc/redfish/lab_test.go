package redfish_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/bmc"
	"berth/bmc/bmctest"
	"berth/bmc/redfish"
	"berth/internal/lab/hardware"
	"berth/internal/lab/vbmc"
)

// brisk is timing for a BMC on the loopback interface.
func brisk() bmc.Commands {
	return bmc.Commands{
		PowerTimeout: 500 * time.Millisecond, ShutdownTimeout: 500 * time.Millisecond, BootTimeout: 500 * time.Millisecond,
		Interval: 20 * time.Millisecond, OffTime: time.Millisecond,
	}
}

// virtual starts a virtual BMC with a machine behind it.
func virtual(t *testing.T, cfg vbmc.Config, servers ...hardware.Server) (*vbmc.BMC, []*vbmc.Bare) {
	t.Helper()
	if len(servers) == 0 {
		servers = []hardware.Server{{Name: "n1", Firmware: hardware.UEFI}}
	}
	var bare []*vbmc.Bare
	var hosts []vbmc.Host
	for _, s := range servers {
		b := vbmc.NewBare(s)
		bare, hosts = append(bare, b), append(hosts, b)
	}
	cfg.Protocol = vbmc.Redfish
	b, err := vbmc.New(cfg, hosts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b, bare
}

func targetOf(b *vbmc.BMC) bmc.Target {
	user, password := b.Credentials()
	return bmc.Target{
		Kind: bmc.KindRedfish, Address: b.Endpoint(vbmc.Redfish).String(), Username: user, Password: bmc.NewSecret(password), Insecure: true,
	}
}

// nobody is an address where nothing listens: one that was just given back.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func injector(b *vbmc.BMC) func(*testing.T, bmctest.Fault) bool {
	kinds := map[bmctest.Fault]vbmc.FaultKind{
		bmctest.IgnorePower: vbmc.PowerIgnored, bmctest.IgnoreBoot: vbmc.OverrideIgnored, bmctest.Silent: vbmc.NoAnswer,
		bmctest.ServerError: vbmc.ServerError, bmctest.Busy: vbmc.SessionLimit, bmctest.RefuseLogin: vbmc.Unauthorized,
	}
	return func(t *testing.T, f bmctest.Fault) bool {
		kind, ok := kinds[f]
		if ok {
			t.Cleanup(b.Inject(vbmc.Fault{Kind: kind}))
		}
		return ok
	}
}

// TestContract takes the driver through the suite against virtual BMCs with the habits of several vendors.
func TestContract(t *testing.T) {
	for name, cfg := range map[string]vbmc.Config{
		"plain":                {},
		"Dell's ids":           {SystemIDs: []string{"System.Embedded.1"}, ManagerID: "iDRAC.Embedded.1"},
		"an id that is a UUID": {SystemIDs: []string{"4c4c4544-0033-3010-8057-b4c04f4d3732"}, ManagerID: "bmc"},
		"slashes at the end":   {SystemIDs: []string{"System_0"}, TrailingSlash: true},
		"If-Match wanted":      {SystemIDs: []string{"Self"}, StrictETag: true},
	} {
		t.Run(name, func(t *testing.T) {
			bmctest.Run(t, func(t *testing.T) bmctest.Subject {
				b, hosts := virtual(t, cfg)
				var macs []string
				for _, n := range hosts[0].Server().NICs {
					macs = append(macs, n.MAC.String())
				}
				return bmctest.Subject{
					Open: redfish.Open, Target: targetOf(b), Elsewhere: nobody(t),
					Boots: []bmc.Boot{
						bmc.Once(bmc.BootPXE, bmc.BootModeUEFI), bmc.Once(bmc.BootDisk, bmc.BootModeAny), {Device: bmc.BootDisk, Persistent: true},
						bmc.Once(bmc.BootPXE, bmc.BootModeAny),
					},
					Serial: hosts[0].Server().System.Serial, MACs: macs,
					Shutdown: true, Sessions: b.Sessions, Inject: injector(b), Commands: brisk(), Patience: time.Second,
				}
			})
		})
	}
}

func TestOverIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("SKIPPED: no IPv6 loopback: %v", err)
	}
	l.Close()
	b, _ := virtual(t, vbmc.Config{Addr: netip.IPv6Loopback()})
	ctx := context.Background()
	d, err := redfish.Open(ctx, targetOf(b))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	commands := brisk()
	if _, err := commands.Power(ctx, d, bmc.ActionCycle); err != nil {
		t.Fatal(err)
	}
}

func TestCommandsGoThroughBMCLibInOneSession(t *testing.T) {
	b, hosts := virtual(t, vbmc.Config{})
	ctx := context.Background()
	d, err := redfish.Open(ctx, targetOf(b))
	if err != nil {
		t.Fatal(err)
	}
	commands := brisk()
	for _, action := range []bmc.PowerAction{bmc.ActionOn, bmc.ActionShutdown, bmc.ActionOn, bmc.ActionOff} {
		if _, err := commands.Power(ctx, d, action); err != nil {
			t.Fatalf("%s: %v", action, err)
		}
	}
	if err := d.Close(ctx); err != nil {
		t.Fatal(err)
	}
	var logins, posts, roots int
	for _, r := range b.Requests() {
		switch {
		case r == "redfish GET /redfish/v1/":
			roots++
		case r == "redfish POST /redfish/v1/SessionService/Sessions":
			logins++
		case strings.Contains(r, "POST") && strings.Contains(r, "Reset"):
			posts++
		}
	}
	// Two readings of the root are Open's; the third is bmclib's own, which shows that it was there.
	if logins != 1 || posts != 4 || roots != 3 || b.Sessions() != 0 {
		t.Errorf("%d logins, %d commands, %d roots, %d sessions left; want 1, 4, 3, 0:\n%s", logins, posts, roots, b.Sessions(), strings.Join(b.Requests(), "\n"))
	}
	if got := hosts[0].Boots(); len(got) != 2 {
		t.Errorf("%d starts, want 2", len(got))
	}
}

func TestSeveralSystemsAskForAChoice(t *testing.T) {
	b, hosts := virtual(t, vbmc.Config{SystemIDs: []string{"Node1", "Node2"}}, hardware.Server{Name: "left"}, hardware.Server{Name: "right"})
	ctx := context.Background()
	target := targetOf(b)
	d, err := redfish.Open(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Power(ctx)
	var choose *bmc.ChooseSystemError
	if !errors.As(err, &choose) || len(choose.Candidates) != 2 || !bmc.Permanent(err) {
		t.Fatalf("%v, want a choice of two", err)
	}
	if err := d.SetPower(ctx, bmc.ActionOn); !errors.Is(err, bmc.ErrChooseSystem) {
		t.Fatalf("a command without a choice: %v", err)
	}
	if choose.Candidates[1].Serial != hosts[1].Server().System.Serial {
		t.Errorf("the candidates do not tell the machines apart: %+v", choose.Candidates)
	}
	_ = d.Close(ctx)

	right := hosts[1].Server()
	for _, id := range []string{"Node2", strings.ToUpper(right.UUID), "/redfish/v1/Systems/Node2/"} {
		target.SystemID = id
		d, err := redfish.Open(ctx, target)
		if err != nil {
			t.Fatal(err)
		}
		// Both are called "System", which is all that bmclib by itself would tell them apart by.
		commands := brisk()
		if _, err := commands.Power(ctx, d, bmc.ActionCycle); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		inventory, err := d.Inventory(ctx)
		if err != nil || inventory.System.Serial != right.System.Serial {
			t.Errorf("%s: inventory of %q, %v; want %q", id, inventory.System.Serial, err, right.System.Serial)
		}
		if err := d.Close(ctx); err != nil {
			t.Error(err)
		}
	}
	if hosts[0].PowerState() != hardware.Off || hosts[1].PowerState() != hardware.On {
		t.Errorf("left %v, right %v: want the right one alone on", hosts[0].PowerState(), hosts[1].PowerState())
	}
	target.SystemID = "Node3"
	d, err = redfish.Open(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	if _, err := d.Power(ctx); !errors.As(err, &choose) || choose.Asked != "Node3" {
		t.Errorf("an id that is none: %v", err)
	}
}

func TestInventoryAgainstTheHardware(t *testing.T) {
	b, hosts := virtual(t, vbmc.Config{SystemIDs: []string{"0eafe4d2-11d0-4f3c-8c1d-3b2b0b6f9a11"}})
	want := hosts[0].Server()
	d, err := redfish.Open(context.Background(), targetOf(b))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(context.Background())
	got, err := d.Inventory(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got.System.Manufacturer != want.System.Manufacturer || got.System.UUID != strings.ToLower(want.UUID) || got.BIOS.Version != want.BIOS.Version {
		t.Errorf("system %+v, bios %+v; want %+v", got.System, got.BIOS, want.System)
	}
	if len(got.CPUs) != 1 || got.CPUs[0].Cores != want.CPU.Cores {
		t.Errorf("processors %+v", got.CPUs)
	}
	var full, empty []string
	for _, m := range want.DIMMs {
		if m.SizeMiB > 0 {
			full = append(full, m.Serial)
		} else {
			empty = append(empty, m.Slot)
		}
	}
	var serials []string
	for _, m := range got.DIMMs {
		serials = append(serials, m.Serial)
	}
	if !slices.Equal(serials, full) || !slices.Equal(got.EmptySlots, empty) {
		t.Errorf("modules %v and empty slots %v, want %v and %v", serials, got.EmptySlots, full, empty)
	}
	for _, disk := range want.Disks {
		i := slices.IndexFunc(got.Disks, func(d bmc.Disk) bool { return d.Serial == disk.Serial })
		if i < 0 || got.Disks[i].SizeBytes != disk.Size || disk.WWN != "" && !strings.HasSuffix(got.Disks[i].WWN, strings.ToLower(disk.WWN)) {
			t.Errorf("disk %+v is not among %+v", disk, got.Disks)
		}
	}
	if len(got.Disks) != len(want.Disks) {
		t.Errorf("%d disks, want %d", len(got.Disks), len(want.Disks))
	}
	if got.BMC.MAC != b.MAC().String() || got.BMC.Firmware == "" {
		t.Errorf("BMC %+v, want the MAC %s", got.BMC, b.MAC())
	}
	present := slices.DeleteFunc(slices.Clone(want.PSUs), func(p hardware.PSU) bool { return p.Absent })
	if len(got.PSUs) != len(present) {
		t.Errorf("supplies %+v, want %d", got.PSUs, len(present))
	}
}

func TestAnEmptyInventoryIsAnError(t *testing.T) {
	b, _ := virtual(t, vbmc.Config{})
	d, err := redfish.Open(context.Background(), targetOf(b))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(context.Background())
	b.Inject(vbmc.Fault{Kind: vbmc.EmptyInventory})
	if got, err := d.Inventory(context.Background()); !errors.Is(err, bmc.ErrEmptyInventory) {
		t.Errorf("%+v, %v; want ErrEmptyInventory", got, err)
	}
}

func TestHalfAnAnswerIsMalformed(t *testing.T) {
	b, _ := virtual(t, vbmc.Config{})
	d, err := redfish.Open(context.Background(), targetOf(b))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(context.Background())
	remove := b.Inject(vbmc.Fault{Kind: vbmc.Malformed})
	if _, err := d.Power(context.Background()); !errors.Is(err, bmc.ErrMalformed) {
		t.Errorf("%v, want ErrMalformed", err)
	}
	remove()
	// One branch that is broken leaves the rest of the inventory standing, and is named.
	b.Inject(vbmc.Fault{Kind: vbmc.Malformed, Only: "GET /redfish/v1/Systems/1/Memory"})
	got, err := d.Inventory(context.Background())
	if err != nil || len(got.DIMMs) != 0 || len(got.CPUs) == 0 || len(got.Problems) == 0 {
		t.Errorf("%+v, %v; want processors, no memory and a problem", got, err)
	}
}

func TestADroppedSessionIsNotAWrongPassword(t *testing.T) {
	b, _ := virtual(t, vbmc.Config{})
	d, err := redfish.Open(context.Background(), targetOf(b))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(context.Background())
	b.Inject(vbmc.Fault{Kind: vbmc.Unauthorized})
	_, err = d.Power(context.Background())
	if errors.Is(err, bmc.ErrAuth) || !errors.Is(err, bmc.ErrUnreachable) {
		t.Errorf("%v: a pool would stop trying a password that is right", err)
	}
}

func TestABMCThatRestartsInTheMiddleComesBack(t *testing.T) {
	b, _ := virtual(t, vbmc.Config{})
	pool := &bmc.Pool{Openers: map[string]bmc.Opener{bmc.KindRedfish: redfish.Open}, Pause: time.Millisecond}
	b.Inject(vbmc.Fault{Kind: vbmc.Resetting, Only: "Systems", Delay: 100 * time.Millisecond})
	power := func() (bmc.PowerState, error) {
		return bmc.Do(context.Background(), pool, targetOf(b), func(ctx context.Context, d bmc.Driver) (bmc.PowerState, error) { return d.Power(ctx) })
	}
	_, err := power()
	if !errors.Is(err, bmc.ErrUnreachable) || bmc.Permanent(err) {
		t.Fatalf("%v, want ErrUnreachable", err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		state, err := power()
		if err == nil && state == bmc.PowerOff {
			return
		}
		if !errors.Is(err, bmc.ErrUnreachable) || time.Now().After(deadline) {
			t.Fatalf("it does not come back: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestPinning(t *testing.T) {
	b, _ := virtual(t, vbmc.Config{})
	ctx := context.Background()
	target := targetOf(b)
	target.Insecure = false

	_, err := redfish.Open(ctx, target)
	var cert *bmc.CertificateError
	if !errors.As(err, &cert) || !errors.Is(err, bmc.ErrUntrusted) || !bmc.Permanent(err) {
		t.Fatalf("first contact: %v, want ErrUntrusted with the pin", err)
	}
	found, err := redfish.Detect(ctx, target.Address)
	if err != nil || found.Pin != cert.Got || found.Trusted || found.Version == "" || found.Vendor != "Lab" {
		t.Fatalf("detect: %+v, %v; want the pin %s", found, err, cert.Got)
	}
	target.Pin = found.Pin
	d, err := redfish.Open(ctx, target)
	if err != nil {
		t.Fatalf("with the pin: %v", err)
	}
	defer d.Close(ctx)

	other, err := vbmc.NewCertificate(b.Endpoint(vbmc.Redfish).Addr())
	if err != nil {
		t.Fatal(err)
	}
	b.SetCertificate(other)
	b.ForgetRequests()
	target.Insecure = true // a pin counts even so
	_, err = redfish.Open(ctx, target)
	if !errors.As(err, &cert) || !errors.Is(err, bmc.ErrCertificateChanged) || cert.Want != target.Pin || cert.Got == target.Pin {
		t.Fatalf("a changed certificate: %v", err)
	}
	if sent := b.Requests(); len(sent) > 0 {
		t.Errorf("requests to a stranger: %v", sent)
	}
}

func TestDetectPresentsNoCredentials(t *testing.T) {
	b, _ := virtual(t, vbmc.Config{})
	if _, err := redfish.Detect(context.Background(), b.Endpoint(vbmc.Redfish).String()); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.Requests() {
		if r != "redfish GET /redfish/v1/" {
			t.Errorf("detection asked for %s", r)
		}
	}
	if _, err := redfish.Detect(context.Background(), nobody(t)); !errors.Is(err, bmc.ErrUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
}

func TestPasswordRotation(t *testing.T) {
	b, _ := virtual(t, vbmc.Config{})
	ctx := context.Background()
	target := targetOf(b)
	d, err := redfish.Open(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	accounts := d.(bmc.Accounts)
	fresh := bmc.NewSecret("n3w-c4n4ry-pw")
	if err := accounts.SetPassword(ctx, "nobody", fresh); !errors.Is(err, bmc.ErrRefused) || strings.Contains(err.Error(), "c4n4ry") {
		t.Errorf("an account that is none: %v", err)
	}
	if err := accounts.SetPassword(ctx, target.Username, fresh); err != nil {
		t.Fatal(err)
	}
	if _, err := redfish.Open(ctx, target); !errors.Is(err, bmc.ErrAuth) {
		t.Errorf("the old password: %v", err)
	}
	target.Password = fresh
	again, err := redfish.Open(ctx, target)
	if err != nil {
		t.Fatalf("the new password: %v", err)
	}
	_ = again.Close(ctx)
}

func TestRareAbilities(t *testing.T) {
	b, _ := virtual(t, vbmc.Config{})
	ctx := context.Background()
	d, err := redfish.Open(ctx, targetOf(b))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	commands := brisk()
	if _, err := commands.Power(ctx, d, bmc.ActionOn); err != nil {
		t.Fatal(err)
	}
	events, err := d.(bmc.EventLog).Events(ctx)
	if err != nil || !slices.ContainsFunc(events, func(e bmc.Event) bool { return strings.Contains(e.Message, "ower") && !e.At.IsZero() }) {
		t.Errorf("events %+v, %v; want one about the power", events, err)
	}
	if _, err := d.(bmc.MediaMounter).Media(ctx); !errors.Is(err, bmc.ErrUnsupported) {
		t.Errorf("a BMC without virtual media: %v, want ErrUnsupported", err)
	}
	if err := d.(bmc.Restarter).RestartBMC(ctx); err != nil {
		t.Errorf("restart the BMC: %v", err)
	}
}
