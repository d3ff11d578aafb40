package provision_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"berth/api"
	"berth/bmc"
	"berth/bmc/bmctest"
	"berth/inventory"
	"berth/provision"
	"berth/pxe"
)

func (r *rig) create(objs ...inventory.Object) {
	r.Helper()
	err := r.store.Edit(ctx, admin(), func(tx inventory.Tx) error {
		for _, o := range objs {
			if err := tx.Create(o); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) named(name string) *inventory.Device {
	r.Helper()
	d, err := inventory.Get[inventory.Device](ctx, r.store, name)
	if err != nil {
		r.Fatalf("%s: %v", name, err)
	}
	return d
}

func (r *rig) step(op inventory.UID, name string) *inventory.Step {
	r.Helper()
	list, err := inventory.List[inventory.Step](ctx, r.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("operation", op), inventory.Is("name", name)}})
	if err != nil || len(list) != 1 {
		r.Fatalf("step %s: %v, %v", name, list, err)
	}
	return list[0]
}

func (r *rig) ends(op *inventory.Operation, as inventory.OperationState) *inventory.Operation {
	r.Helper()
	r.eventually("the operation ends", func() bool { return r.operation(op.UID).State.Ended() })
	got := r.operation(op.UID)
	if got.State != as {
		r.Fatalf("%s ended as %s (%s), want %s\n%s", got.Kind, got.State, got.Problem, as, r.dump())
	}
	return got
}

// foreign is a machine that was adopted, with no agent on it and no BMC.
func (r *rig) foreign(name string, bmc *api.AdoptBMC) *inventory.Device {
	r.Helper()
	d, err := r.service.Adopt(ctx, admin(), api.AdoptRequest{Name: name, MACs: []string{mac}, BMC: bmc})
	if err != nil {
		r.Fatalf("adopt: %v", err)
	}
	return d
}

func (r *rig) offered(mac string) bool {
	hw, _ := net.ParseMAC(mac)
	return r.service.Book().Situation(pxe.Client{MAC: hw}).Boot == pxe.BootAgent
}

// A machine that runs is taken in without a boot, and left alone until a person wants something of it. It has no BMC, so a person is asked
// to restart it, says that it was done, and the machine shows that it was.
func TestAdoptedInspectedByHandAndLeftToItsDisk(t *testing.T) {
	r := newRig(t)
	d := r.foreign("old-1", nil)
	if d.ProvisionState != inventory.StateForeign || d.NetbootOffer {
		t.Fatalf("adopted: %+v", d)
	}
	r.eventually("it is offered its local disk", func() bool {
		hw, _ := net.ParseMAC(mac)
		s := r.service.Book().Situation(pxe.Client{MAC: hw})
		return s.Known() && s.Boot == pxe.BootLocal
	})
	op, err := r.service.Inspect(ctx, admin(), "old-1")
	if err != nil {
		t.Fatal(err)
	}
	r.eventually("a person is asked", func() bool { return r.step(op.UID, "power-up").Task != "" })
	if task := r.step(op.UID, "power-up").Task; !strings.Contains(task, "old-1") {
		t.Errorf("the task does not name the machine: %s", task)
	}
	var conflict *inventory.Conflict
	if err := r.service.TaskDone(ctx, admin(), string(op.UID), "await-agent", ""); !errors.As(err, &conflict) {
		t.Errorf("a task that nobody has was done: %v", err)
	}
	if err := r.service.TaskDone(ctx, admin(), string(op.UID), "power-up", "pressed it"); err != nil {
		t.Fatal(err)
	}
	r.eventually("it waits for the agent", func() bool { return r.operation(op.UID).StepName == "await-agent" })
	r.boot("key-1")
	f := facts()
	f.System.UUID = "4c4c4544-0031-3410-8052-b4c04f4b3132"
	if err := r.service.Report(ctx, "key-1", f); err != nil {
		t.Fatal(err)
	}
	reboot := r.next("key-1", api.VerbReboot)
	if err := r.service.Result(ctx, "key-1", reboot.ID, api.Result{}); err != nil {
		t.Fatal(err)
	}
	r.ends(op, inventory.OpDone)
	r.eventually("it is left to its disk", func() bool { return !r.offered(mac) })
	d = r.named("old-1")
	if d.ProvisionState != inventory.StateForeign || d.Serial != "SN-0001" {
		t.Errorf("after the inspection: %s, serial %q", d.ProvisionState, d.Serial)
	}
	events, err := r.service.Timeline(ctx, "old-1", 50)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range events {
		lines = append(lines, e.Text)
	}
	if all := strings.Join(lines, "\n"); !strings.Contains(all, "anna says it is done: pressed it") {
		t.Errorf("the timeline:\n%s", all)
	}
	// Another machine in its place is not taken for it.
	if op, err = r.service.Inspect(ctx, admin(), "old-1"); err != nil {
		t.Fatal(err)
	}
	r.boot("key-2")
	f.System.UUID = "4c4c4544-0031-3410-8052-b4c04f4b3133"
	if err := r.service.Report(ctx, "key-2", f); err != nil {
		t.Fatal(err)
	}
	if got := r.ends(op, inventory.OpFailed); !strings.Contains(got.Problem, "not the one on record") {
		t.Errorf("the problem: %s", got.Problem)
	}
}

// Adopting again is refused while the machine is at work, finds the machine by its address, and changes its BMC rather than adding one.
func TestAdoptFindsWhatIsOnRecord(t *testing.T) {
	r := newRig(t)
	first := r.foreign("old-1", &api.AdoptBMC{Kind: bmc.KindWOL, Address: mac})
	again := r.foreign("renamed", &api.AdoptBMC{Kind: bmc.KindIPMI, Address: "192.0.2.3", Username: "admin", Password: inventory.PlainSecret("pw")})
	if again.UID != first.UID || again.Name != "renamed" {
		t.Fatalf("another record: %s %s, %s %s", first.UID, first.Name, again.UID, again.Name)
	}
	bmcs, err := inventory.List[inventory.BMC](ctx, r.store, inventory.Query{})
	if err != nil || len(bmcs) != 1 || bmcs[0].Kind != bmc.KindIPMI {
		t.Errorf("BMCs: %+v, %v", bmcs, err)
	}
	f := facts()
	f.NICs[0].MAC = "52:54:00:00:00:99"
	if err := r.store.Edit(ctx, admin(), func(tx inventory.Tx) error {
		return tx.Create(&inventory.Identifier{Device: first.UID, Kind: inventory.IDSystemSerial, Value: "SN-0001"})
	}); err != nil {
		t.Fatal(err)
	}
	var conflict *inventory.Conflict
	if _, err := r.service.Adopt(ctx, admin(), api.AdoptRequest{Name: "third", Facts: &f}); !errors.As(err, &conflict) || !strings.Contains(conflict.Why, "renamed") {
		t.Errorf("a doubtful match made a double: %v", err)
	}
}

func TestWakeOnLANThenAPerson(t *testing.T) {
	r := newRig(t)
	r.foreign("old-1", &api.AdoptBMC{Kind: bmc.KindWOL, Address: mac})
	power, err := r.service.Power(ctx, admin(), "old-1", "on")
	if err != nil {
		t.Fatal(err)
	}
	r.ends(power, inventory.OpDone)
	if n := r.packets.Load(); n != 1 {
		t.Errorf("%d magic packets for power on", n)
	}
	off, err := r.service.Power(ctx, admin(), "old-1", "off")
	if err != nil {
		t.Fatal(err)
	}
	r.eventually("a person is asked to switch it off", func() bool { return strings.Contains(r.step(off.UID, "power").Task, "power off for old-1") })
	if err := r.service.TaskDone(ctx, admin(), string(off.UID), "power", ""); err != nil {
		t.Fatal(err)
	}
	r.ends(off, inventory.OpDone)

	op, err := r.service.Inspect(ctx, admin(), "old-1")
	if err != nil {
		t.Fatal(err)
	}
	r.eventually("it is woken", func() bool { return r.packets.Load() == 2 && r.operation(op.UID).State == inventory.OpWaiting })
	r.boot("key-1") // it heard the packet
	if err := r.service.Report(ctx, "key-1", facts()); err != nil {
		t.Fatal(err)
	}
	reboot := r.next("key-1", api.VerbReboot)
	if err := r.service.Result(ctx, "key-1", reboot.ID, api.Result{}); err != nil {
		t.Fatal(err)
	}
	r.ends(op, inventory.OpDone)
	if n := r.packets.Load(); n != 2 {
		t.Errorf("%d magic packets in all", n)
	}
}

// deployed leads the rig's machine to deployed, with the agent "key-1" having gone.
func (r *rig) deployed() *inventory.Device {
	r.Helper()
	r.enrolled()
	op, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Image: r.image().Name})
	if err != nil {
		r.Fatal(err)
	}
	r.install(op, "key-1")
	r.ends(op, inventory.OpDone)
	return r.named("node-1")
}

// install plays an agent and the installed system through an operation that writes.
func (r *rig) install(op *inventory.Operation, key string) api.Assignment {
	r.Helper()
	a := r.next(key, api.VerbWrite)
	w := written(a)
	w.Write.TableUUID = "table-1"
	if err := r.service.Result(ctx, key, a.ID, w); err != nil {
		r.Fatal(err)
	}
	reboot := r.next(key, api.VerbReboot)
	if err := r.service.Result(ctx, key, reboot.ID, api.Result{}); err != nil {
		r.Fatal(err)
	}
	r.eventually("it waits for the system", func() bool { return r.operation(op.UID).StepName == "await-system" })
	if err := r.service.Booted(ctx, bootToken(r.T, a.Write.Seed.UserData), api.BootReport{Hostname: "node-1"}); err != nil {
		r.Fatal(err)
	}
	return a
}

// come plays the machine's way to an agent when a person has restarted it.
func (r *rig) come(op *inventory.Operation, key string) {
	r.Helper()
	r.eventually("a person is asked", func() bool { return r.step(op.UID, "power-up").Task != "" })
	r.boot(key)
	if err := r.service.Report(ctx, key, facts()); err != nil {
		r.Fatal(err)
	}
}

// Release clears what berth wrote and nothing else, switches the machine off, and makes it ready.
func TestReleaseClearsWhatBerthWrote(t *testing.T) {
	r := newRig(t)
	d := r.deployed()
	r.create(&inventory.Component{Device: d.UID, Kind: "disk", Serial: "DATA-1", SizeBytes: 1 << 40, DiskRole: "keep"})
	op, err := r.service.Release(ctx, admin(), "node-1", api.ReleaseRequest{Why: "no longer needed"})
	if err != nil {
		t.Fatal(err)
	}
	if op.Why != "no longer needed" {
		t.Errorf("the reason was lost: %q", op.Why)
	}
	r.come(op, "key-2")
	a := r.next("key-2", api.VerbClear)
	if len(a.Clear.Disks) != 1 || a.Clear.Disks[0].Serial != "DISK-1" || len(a.Clear.Protect) != 1 || a.Clear.Protect[0].Serial != "DATA-1" {
		t.Fatalf("to be cleared: %+v", a.Clear)
	}
	if err := r.service.Result(ctx, "key-2", a.ID, api.Result{Touched: true}); err != nil {
		t.Fatal(err)
	}
	off := r.next("key-2", api.VerbPowerOff)
	if err := r.service.Result(ctx, "key-2", off.ID, api.Result{}); err != nil {
		t.Fatal(err)
	}
	r.ends(op, inventory.OpDone)
	if d = r.named("node-1"); d.ProvisionState != inventory.StateReady || d.Image != "" {
		t.Errorf("released: %s, image %s", d.ProvisionState, d.Image)
	}
	keep, err := r.service.Release(ctx, admin(), "node-1", api.ReleaseRequest{KeepDisks: true})
	if err != nil {
		t.Fatal(err)
	}
	r.ends(keep, inventory.OpDone)
	if s := r.step(keep.UID, "clear-disks"); s.State != inventory.StepSkipped {
		t.Errorf("disks that were to stay: %s", s.State)
	}
}

// What fails is quarantined with the reason, and only a person who says what was found leads the machine out.
func TestQuarantineIsLeftByAPersonWithAReason(t *testing.T) {
	r := newRig(t)
	r.enrolled()
	op, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Image: r.image().Name})
	if err != nil {
		t.Fatal(err)
	}
	a := r.next("key-1", api.VerbWrite)
	if err := r.service.Result(ctx, "key-1", a.ID, api.Result{Error: "the image's tree hash is wrong", Permanent: true, Touched: true}); err != nil {
		t.Fatal(err)
	}
	r.ends(op, inventory.OpFailed)
	d := r.named("node-1")
	if d.ProvisionState != inventory.StateQuarantined || !strings.Contains(d.StateReason, "tree hash is wrong") || !strings.Contains(d.StateReason, "does not boot") {
		t.Fatalf("%s: %s", d.ProvisionState, d.StateReason)
	}
	parts, err := inventory.List[inventory.Component](ctx, r.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("kind", "disk")}})
	if err != nil || len(parts) != 1 || parts[0].WrittenImage != "incomplete" {
		t.Errorf("the record says of the disk: %+v, %v", parts, err)
	}
	if _, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Image: "debian-12"}); err == nil {
		t.Error("a quarantined machine was deployed")
	}
	var invalid *inventory.Invalid
	if _, err := r.service.Clear(ctx, admin(), "node-1", inventory.StateReady, ""); !errors.As(err, &invalid) {
		t.Errorf("cleared without a reason: %v", err)
	}
	var conflict *inventory.Conflict
	if _, err := r.service.Clear(ctx, admin(), "node-1", inventory.StateUnknown, "x"); !errors.As(err, &conflict) {
		t.Errorf("cleared into unknown: %v", err)
	}
	if d, err = r.service.Clear(ctx, admin(), "node-1", inventory.StateReady, "another image was meant"); err != nil || d.ProvisionState != inventory.StateReady {
		t.Errorf("cleared: %+v, %v", d, err)
	}
}

// A profile comes from the request, else from the machine, else from its site.
func TestProfilesAreInherited(t *testing.T) {
	r := newRig(t)
	d := r.enrolled()
	img := r.image()
	profile := func(slug string) *inventory.Profile {
		p := &inventory.Profile{Name: slug, Slug: slug, Image: img.UID, HostnameTemplate: "{name}." + slug + ".example.org"}
		r.create(p)
		return p
	}
	ofSite, ofMachine := profile("of-site"), profile("of-machine")
	profile("of-request")
	site := &inventory.Site{Name: "Here", Slug: "here", DefaultProfile: ofSite.UID}
	r.create(site)
	edit := func(change func(d *inventory.Device)) {
		if err := r.store.Edit(ctx, admin(), func(tx inventory.Tx) error {
			now, err := inventory.TxGet[inventory.Device](tx, string(d.UID))
			if err != nil {
				return err
			}
			change(now)
			return tx.Update(now)
		}); err != nil {
			t.Fatal(err)
		}
	}
	plan := func(want string, o api.DeployRequest) {
		p, err := r.service.Plan(ctx, "node-1", o)
		if err != nil || p.Profile != want || want != "" && p.ImageUID != img.UID {
			t.Errorf("want profile %q: %+v, %v", want, p, err)
		}
	}
	plan("", api.DeployRequest{Image: img.Name})
	edit(func(d *inventory.Device) { d.Site = site.UID })
	plan("of-site", api.DeployRequest{})
	edit(func(d *inventory.Device) { d.Profile = ofMachine.UID })
	plan("of-machine", api.DeployRequest{})
	plan("of-request", api.DeployRequest{Profile: "of-request"})

	op, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{})
	if err != nil {
		t.Fatal(err)
	}
	a := r.install(op, "key-1")
	if !strings.Contains(a.Write.Seed.MetaData, "local-hostname: node-1.of-machine.example.org") {
		t.Errorf("meta-data:\n%s", a.Write.Seed.MetaData)
	}
	r.ends(op, inventory.OpDone)
}

// A machine's own network reaches the installed system: addresses, gateways and name servers of the record, in a bond with a VLAN and a bridge.
func TestStaticNetworkSeed(t *testing.T) {
	r := newRig(t)
	d := r.enrolled()
	img := r.image()
	r.create(&inventory.Profile{Name: "static", Slug: "static", Image: img.UID, Network: "static",
		UserData: "#cloud-config\nusers: default\nruncmd:\n  - [echo, yes]\nhostname: other\n", User: "ops", SSHKeys: []string{"ssh-ed25519 AAAAC3Nza ops"}})
	var conflict *inventory.Conflict
	if _, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Profile: "static"}); !errors.As(err, &conflict) || !strings.Contains(conflict.Why, "addresses") {
		t.Fatalf("a machine without an address would have been deployed out of reach: %v", err)
	}
	ports, err := inventory.List[inventory.Interface](ctx, r.store, inventory.Query{})
	if err != nil || len(ports) != 1 {
		t.Fatal(ports, err)
	}
	v4 := &inventory.Subnet{Name: "prod", Prefix: "10.1.0.0/22", Gateway: "10.1.0.1", DNS: []string{"10.1.0.53"}}
	v6 := &inventory.Subnet{Name: "prod6", Prefix: "2001:db8::/64", Gateway: "fe80::1"}
	bond := &inventory.Interface{Device: d.UID, Name: "bond0", Kind: "bond"}
	r.create(v4, v6, bond)
	second := &inventory.Interface{Device: d.UID, Name: "port-525400000002", MAC: "52:54:00:00:00:02", Parent: bond.UID}
	third := &inventory.Interface{Device: d.UID, Name: "port-525400000003", MAC: "52:54:00:00:00:03"}
	bridge := &inventory.Interface{Device: d.UID, Name: "br0", Kind: "bridge"}
	vlan := &inventory.Interface{Device: d.UID, Name: "bond0.7", Kind: "vlan", VLAN: 7, Parent: bond.UID}
	r.create(second, third, bridge, vlan)
	if err := r.store.Edit(ctx, admin(), func(tx inventory.Tx) error {
		p, err := inventory.TxGet[inventory.Interface](tx, string(ports[0].UID))
		if err != nil {
			return err
		}
		p.Parent = bond.UID
		if err := tx.Update(p); err != nil {
			return err
		}
		b, err := inventory.TxGet[inventory.Interface](tx, string(third.UID))
		if err != nil {
			return err
		}
		b.Parent = bridge.UID
		return tx.Update(b)
	}); err != nil {
		t.Fatal(err)
	}
	r.create(&inventory.Address{Address: "10.1.1.5", Interface: bond.UID}, &inventory.Address{Address: "10.1.1.6", Interface: bond.UID, Subnet: v4.UID},
		&inventory.Address{Address: "2001:db8::5", Interface: vlan.UID, Subnet: v6.UID})
	op, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Profile: "static"})
	if err != nil {
		t.Fatal(err)
	}
	a := r.install(op, "key-1")
	var got map[string]any
	if err := yaml.Unmarshal([]byte(a.Write.Seed.NetworkConfig), &got); err != nil {
		t.Fatal(err)
	}
	want := `bonds:
    bond0:
        addresses:
            - 10.1.1.5/22
            - 10.1.1.6/22
        interfaces:
            - eth0
            - p525400000002
        nameservers:
            addresses:
                - 10.1.0.53
        parameters:
            mii-monitor-interval: 100
            mode: 802.3ad
        routes:
            - to: 0.0.0.0/0
              via: 10.1.0.1
bridges:
    br0:
        interfaces:
            - p525400000003
ethernets:
    eth0:
        match:
            macaddress: "52:54:00:00:00:01"
        optional: true
        set-name: eth0
    p525400000002:
        match:
            macaddress: "52:54:00:00:00:02"
        optional: true
        set-name: p525400000002
    p525400000003:
        match:
            macaddress: "52:54:00:00:00:03"
        optional: true
        set-name: p525400000003
version: 2
vlans:
    bond0.7:
        addresses:
            - 2001:db8::5/64
        id: 7
        link: bond0
        routes:
            - to: ::/0
              via: fe80::1
`
	if a.Write.Seed.NetworkConfig != want {
		t.Errorf("network-config:\n%s", a.Write.Seed.NetworkConfig)
	}
	var user struct {
		Hostname string
		Users    []any
		Runcmd   [][]string
	}
	if err := yaml.Unmarshal([]byte(a.Write.Seed.UserData), &user); err != nil {
		t.Fatalf("user-data: %v\n%s", err, a.Write.Seed.UserData)
	}
	if user.Hostname != "node-1" || len(user.Users) != 2 || user.Users[0] != "default" || len(user.Runcmd) != 2 || user.Runcmd[0][1] != "yes" {
		t.Errorf("user-data: %+v", user)
	}
	r.ends(op, inventory.OpDone)
}

// User data that is no mapping is refused when the deploy is asked for, with the machine untouched; an empty document is none.
func TestUserDataThatIsNoMapping(t *testing.T) {
	r := newRig(t)
	r.enrolled()
	img := r.image()
	for slug, text := range map[string]string{"script": "#cloud-config\necho hello", "list": "#cloud-config\n- a\n- b", "broken": "#cloud-config\na: [1", "tab": "#cloud-config\n\tx: 1"} {
		r.create(&inventory.Profile{Name: slug, Slug: slug, Image: img.UID, UserData: text})
		var invalid *inventory.Invalid
		if _, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Profile: slug}); !errors.As(err, &invalid) {
			t.Errorf("%s: %v", slug, err)
		}
	}
	if d := r.named("node-1"); d.Operation != "" || d.ProvisionState != inventory.StateReady {
		t.Errorf("the machine was touched: %+v", d)
	}
	r.create(&inventory.Profile{Name: "null", Slug: "null-doc", Image: img.UID, UserData: "#cloud-config\nnull"})
	op, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Profile: "null-doc"})
	if err != nil {
		t.Fatal(err)
	}
	r.install(op, "key-1")
	r.ends(op, inventory.OpDone)
}

// Choosing another disk moves the role root, so that the plan that is made again before the write names the same disk.
func TestChoosingAnotherDiskMovesTheRole(t *testing.T) {
	r := newRig(t)
	r.boot("key-1")
	f := facts()
	f.Disks = append(f.Disks, inventory.DiskFacts{Name: "sdb", Serial: "DISK-2", SizeBytes: 8 << 30, ContentRead: true})
	if err := r.service.Report(ctx, "key-1", f); err != nil {
		t.Fatal(err)
	}
	r.eventually("the enrolment ends", func() bool { return r.device().Operation == "" })
	if _, err := r.service.Accept(ctx, admin(), string(r.device().UID), api.AcceptRequest{Name: "node-1"}); err != nil {
		t.Fatal(err)
	}
	img := r.image()
	op, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Image: img.Name, Disk: "DISK-1"})
	if err != nil {
		t.Fatal(err)
	}
	r.next("key-1", api.VerbWrite)
	if _, err := r.service.Cancel(ctx, admin(), string(op.UID)); err != nil {
		t.Fatal(err)
	}
	r.ends(op, inventory.OpCancelled)
	if _, err = r.service.Reimage(ctx, admin(), "node-1", api.DeployRequest{Image: img.Name, Disk: "DISK-2"}); err != nil {
		t.Fatal(err)
	}
	a := r.next("key-1", api.VerbWrite)
	if a.Write.Disk.Serial != "DISK-2" || len(a.Write.Protect) != 1 || a.Write.Protect[0].Serial != "DISK-1" {
		t.Errorf("assignment: %+v", a.Write)
	}
}

// An image for another processor or firmware is refused before anything happens.
func TestImagesThatTheMachineCannotStart(t *testing.T) {
	r := newRig(t)
	r.enrolled()
	img := r.image()
	if err := r.store.Edit(ctx, admin(), func(tx inventory.Tx) error {
		i, err := inventory.TxGet[inventory.Image](tx, string(img.UID))
		if err != nil {
			return err
		}
		i.Arch = "arm64"
		return tx.Update(i)
	}); err != nil {
		t.Fatal(err)
	}
	var conflict *inventory.Conflict
	if _, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Image: img.Name}); !errors.As(err, &conflict) || !strings.Contains(conflict.Why, "arm64") {
		t.Errorf("deploy: %v", err)
	}
}

// A new boot's agent takes over; the one before it is not heard any more, whatever it held.
func TestOnlyTheNewestAgentIsHeard(t *testing.T) {
	r := newRig(t)
	r.enrolled()
	op, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Image: r.image().Name})
	if err != nil {
		t.Fatal(err)
	}
	a := r.next("key-1", api.VerbWrite)
	if answer, err := r.service.Progress(ctx, "key-1", a.ID, api.Progress{Begins: true}); err != nil || answer.Stop {
		t.Fatalf("the first byte: %+v, %v", answer, err)
	}
	r.boot("key-2") // the power failed for a moment
	if err := r.service.Report(ctx, "key-2", facts()); err != nil {
		t.Fatal(err)
	}
	if answer, err := r.service.Progress(ctx, "key-1", a.ID, api.Progress{Done: 1}); err == nil && !answer.Stop {
		t.Error("the old agent may go on")
	}
	if err := r.service.Result(ctx, "key-1", a.ID, written(a)); err == nil {
		t.Error("the old agent's result was taken")
	}
	if err := r.service.Report(ctx, "key-1", facts()); !errors.Is(err, provision.ErrAgent) {
		t.Errorf("the old agent is believed: %v", err)
	}
	if _, err := r.service.Register(ctx, api.Registration{Token: "made-up"}, "key-3", netip.MustParseAddr("192.0.2.9")); !errors.Is(err, provision.ErrToken) {
		t.Errorf("a made-up token: %v", err)
	}
	b := r.next("key-2", api.VerbWrite)
	if b.ID == a.ID {
		t.Fatal("the new agent was given the old one's assignment")
	}
	// The new agent says that it touched nothing; the old one did.
	if err := r.service.Result(ctx, "key-2", b.ID, api.Result{Error: "the disk is busy", Permanent: true}); err != nil {
		t.Fatal(err)
	}
	r.ends(op, inventory.OpFailed)
	if d := r.named("node-1"); !strings.Contains(d.StateReason, "does not boot") {
		t.Errorf("the first agent's write was forgotten: %s", d.StateReason)
	}
}

// An agent tells before it changes the first byte. One that was given its assignment and has not told has changed nothing.
// TestAnAgentThatNeverStopsTalking: the record keeps a bounded part of it, and says that there was more.
func TestAnAgentThatNeverStopsTalking(t *testing.T) {
	r := newRig(t)
	r.enrolled()
	lines := api.LogLines{Lines: make([]api.LogLine, 200)}
	for i := range lines.Lines {
		lines.Lines[i].Text = fmt.Sprintf("line %d", i)
	}
	count := func(search string) int64 {
		page, err := r.store.List(ctx, inventory.NounFor[inventory.Event](), inventory.Query{Filters: []inventory.Filter{inventory.Is("source", "agent")}, Search: search, Count: true, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		return page.Total
	}
	for range 30 {
		if err := r.service.Log(ctx, "key-1", lines); err != nil {
			t.Fatal(err)
		}
	}
	if kept, said := count(""), count("the rest is not kept"); kept != 5000 || said != 1 {
		t.Errorf("%d lines are kept, and it is said %d times that there were more", kept, said)
	}
}

func TestACancelBeforeTheFirstByteLeavesTheMachine(t *testing.T) {
	r := newRig(t)
	r.enrolled()
	op, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Image: r.image().Name})
	if err != nil {
		t.Fatal(err)
	}
	a := r.next("key-1", api.VerbWrite)
	if answer, err := r.service.Progress(ctx, "key-1", a.ID, api.Progress{Phase: "check"}); err != nil || answer.Stop {
		t.Fatalf("the check: %+v, %v", answer, err)
	}
	if _, err := r.service.Cancel(ctx, admin(), string(op.UID)); err != nil {
		t.Fatal(err)
	}
	if answer, err := r.service.Progress(ctx, "key-1", a.ID, api.Progress{Begins: true}); err != nil || !answer.Stop {
		t.Errorf("the first byte after the cancel: %+v, %v", answer, err)
	}
	r.ends(op, inventory.OpCancelled)
	if d := r.named("node-1"); d.ProvisionState != inventory.StateReady {
		t.Errorf("the machine is %s: %s", d.ProvisionState, d.StateReason)
	}
}

// A machine that lost power after its last byte and before its agent could say so is known by what was announced: it is written again.
func TestAnAnnouncedWriteIsOursWhateverIsFound(t *testing.T) {
	r := newRig(t)
	r.enrolled()
	op, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Image: r.image().Name})
	if err != nil {
		t.Fatal(err)
	}
	a := r.next("key-1", api.VerbWrite)
	if _, err := r.service.Progress(ctx, "key-1", a.ID, api.Progress{Begins: true}); err != nil {
		t.Fatal(err)
	}
	r.boot("key-2")
	f := facts()
	f.Disks[0].Contents = []inventory.ContentFact{{Kind: "table", Type: "gpt", UUID: "6f1d7a52-9a39-4c5e-8f0c-000000000001", Partitions: 3}}
	if err := r.service.Report(ctx, "key-2", f); err != nil {
		t.Fatal(err)
	}
	b := r.next("key-2", api.VerbWrite)
	if !b.Write.Ours {
		t.Error("the new agent is not told that what it finds is ours")
	}
	if err := r.service.Result(ctx, "key-2", b.ID, written(b)); err != nil {
		t.Fatal(err)
	}
	// The machine restarts by itself, before it is told to: the report of its system is enough.
	r.next("key-2", api.VerbReboot)
	if err := r.service.Booted(ctx, bootToken(t, b.Write.Seed.UserData), api.BootReport{Hostname: "node-1"}); err != nil {
		t.Fatal(err)
	}
	r.ends(op, inventory.OpDone)
}

// A result that arrives just before a cancel is kept: the disk is what the agent proved it to be.
func TestACancelAfterTheWriteKeepsTheProof(t *testing.T) {
	r := newRig(t)
	r.enrolled()
	img := r.image()
	op, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Image: img.Name})
	if err != nil {
		t.Fatal(err)
	}
	a := r.next("key-1", api.VerbWrite)
	if err := r.service.Result(ctx, "key-1", a.ID, written(a)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.service.Cancel(ctx, admin(), string(op.UID)); err != nil {
		t.Fatal(err)
	}
	r.ends(op, inventory.OpCancelled)
	if a, err := r.service.Next(ctx, "key-1", api.NextRequest{}); err != nil || a.Verb != api.VerbWait {
		t.Errorf("after the cancel the agent is told %+v, %v", a, err)
	}
	d := r.named("node-1")
	parts, err := inventory.List[inventory.Component](ctx, r.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("kind", "disk")}})
	if err != nil || len(parts) != 1 || parts[0].WrittenImage != img.Digest {
		t.Errorf("the record says of the disk: %+v, %v", parts, err)
	}
	if d.ProvisionState != inventory.StateQuarantined || strings.Contains(d.StateReason, "does not boot") {
		t.Errorf("%s: %s", d.ProvisionState, d.StateReason)
	}
}

// withBMC is an accepted machine with an IPMI BMC in memory and no agent on it.
func (r *rig) withBMC() *inventory.Device {
	r.Helper()
	r.machine = bmctest.NewMachine(bmc.Inventory{})
	return r.foreign("node-1", &api.AdoptBMC{Kind: bmc.KindIPMI, Address: "machine.test", Username: "admin", Password: inventory.PlainSecret("pw")})
}

// BMCs that answer 500, refuse the login, never answer, or say yes and do nothing: the operation fails in a sentence, the machine is left
// as it was, and other machines go on.
func TestBMCsThatMisbehave(t *testing.T) {
	for _, c := range []struct {
		fault    bmctest.Fault
		sentence string
	}{
		{bmctest.ServerError, "internal error"},
		{bmctest.RefuseLogin, "refused"},
		{bmctest.Silent, "does not answer"},
		{bmctest.Hang, "has not ended"},
		{bmctest.Unreachable, "does not answer"},
		{bmctest.IgnorePower, "nothing came of it"},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.withBMC()
			r.eventually("the BMC answers", func() bool { return r.named("node-1").Power != "" })
			r.machine.Set(c.fault, true)
			t.Cleanup(func() { r.machine.Set(c.fault, false) })
			op, err := r.service.Power(ctx, admin(), "node-1", "on")
			if err != nil {
				t.Fatal(err)
			}
			// Another machine, by another way, is served meanwhile.
			other, err := r.service.Adopt(ctx, admin(), api.AdoptRequest{Name: "other", MACs: []string{"52:54:00:00:00:42"}, BMC: &api.AdoptBMC{Kind: bmc.KindWOL, Address: "52:54:00:00:00:42"}})
			if err != nil {
				t.Fatal(err)
			}
			wake, err := r.service.Power(ctx, admin(), other.Name, "on")
			if err != nil {
				t.Fatal(err)
			}
			r.ends(wake, inventory.OpDone)
			got := r.ends(op, inventory.OpFailed)
			t.Log(got.Problem)
			if !strings.Contains(strings.ToLower(got.Problem), c.sentence) {
				t.Errorf("the problem is not said: %s", got.Problem)
			}
			if d := r.named("node-1"); d.ProvisionState != inventory.StateForeign || d.Operation != "" {
				t.Errorf("the machine is %s", d.ProvisionState)
			}
		})
	}
}

// A refused password is not tried again and again; one that is typed again is.
func TestAPasswordThatIsTypedAgainIsTriedAgain(t *testing.T) {
	r := newRig(t)
	r.withBMC()
	r.eventually("the BMC answers", func() bool { return r.named("node-1").Power != "" })
	r.machine.SetPassword("another")
	power := func(want inventory.OperationState) {
		t.Helper()
		op, err := r.service.Power(ctx, admin(), "node-1", "on")
		if err != nil {
			t.Fatal(err)
		}
		r.ends(op, want)
	}
	power(inventory.OpFailed)
	logins := r.machine.Logins()
	power(inventory.OpFailed)
	if n := r.machine.Logins(); n != logins {
		t.Errorf("a refused password was tried %d times more", n-logins)
	}
	r.machine.SetPassword("pw") // somebody put the account right on the BMC, and types the same password again
	bmcs, err := inventory.List[inventory.BMC](ctx, r.store, inventory.Query{})
	if err != nil || len(bmcs) != 1 {
		t.Fatal(bmcs, err)
	}
	if err := r.store.Edit(ctx, admin(), func(tx inventory.Tx) error {
		b, err := inventory.TxGet[inventory.BMC](tx, string(bmcs[0].UID))
		if err != nil {
			return err
		}
		b.Password = inventory.PlainSecret("pw")
		return tx.Update(b)
	}); err != nil {
		t.Fatal(err)
	}
	power(inventory.OpDone)
}

// A BMC that is taken off the record ends its poll in silence.
func TestThePollEndsWithItsBMC(t *testing.T) {
	r := newRig(t)
	r.withBMC()
	r.eventually("the BMC answers", func() bool { return r.named("node-1").Power != "" })
	poll := func() *inventory.Operation {
		list, err := inventory.List[inventory.Operation](ctx, r.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("kind", "poll-bmc")}})
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		return list[0]
	}
	uid := poll().UID
	r.eventually("the poll rests", func() bool { return poll().State == inventory.OpWaiting })
	err := r.store.Edit(ctx, admin(), func(tx inventory.Tx) error {
		bmcs, err := inventory.TxList[inventory.BMC](tx, inventory.Query{})
		if err != nil {
			return err
		}
		op, err := inventory.TxGet[inventory.Operation](tx, string(uid))
		if err != nil {
			return err
		}
		op.NextTryAt = time.Time{}
		if err := tx.Update(op); err != nil {
			return err
		}
		return tx.Delete(bmcs[0])
	})
	if err != nil {
		t.Fatal(err)
	}
	r.ends(&inventory.Operation{Meta: inventory.Meta{UID: uid}}, inventory.OpDone)
}
