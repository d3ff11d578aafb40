package provision_test

import (
	"strings"
	"testing"

	"berth/api"
	"berth/bmc"
	"berth/inventory"
)

const otherMAC = "52:54:00:00:00:02"

// report has a machine boot from a port and report.
func (r *rig) report(mac, key string, f inventory.Facts) {
	r.Helper()
	r.bootFrom(mac, key)
	if err := r.service.Report(ctx, key, f); err != nil {
		r.Fatalf("report of %s: %v", key, err)
	}
	r.eventually("the work on the machine ends", func() bool {
		list, err := inventory.List[inventory.Operation](ctx, r.store, inventory.Query{Filters: []inventory.Filter{{Field: "state", Op: inventory.OpIn, Value: "queued,running"}}})
		return err == nil && len(list) == 0
	})
}

func (r *rig) machines() []*inventory.Device {
	r.Helper()
	n, _ := inventory.NounOf("machine")
	page, err := r.store.List(ctx, n, inventory.Query{})
	if err != nil {
		r.Fatal(err)
	}
	return inventory.Items[inventory.Device](page)
}

// box is a machine with a real UUID and serials.
func box(n, mac string) inventory.Facts {
	return inventory.Facts{
		System: inventory.SystemFacts{Serial: "CZ3407AB" + n, UUID: "4c4c4544-0031-3410-8052-b4c04f4b313" + n, Arch: "amd64"},
		NICs:   []inventory.NICFacts{{Name: "eth0", MAC: mac, BootedFrom: true}},
		Disks:  []inventory.DiskFacts{{Name: "sda", Serial: "S3Z8NB0K" + n, SizeBytes: 8 << 30, ContentRead: true}},
	}
}

func TestTwoMachinesWithTheSameJunkStayTwo(t *testing.T) {
	r := newRig(t)
	junk := func(mac string) inventory.Facts {
		return inventory.Facts{
			System: inventory.SystemFacts{Serial: "To be filled by O.E.M.", UUID: "03000200-0400-0500-0006-000700080009", Arch: "amd64"},
			Board:  inventory.BoardFacts{Serial: "Default string"},
			NICs:   []inventory.NICFacts{{Name: "eth0", MAC: mac}},
			Disks:  []inventory.DiskFacts{{Name: "sda", Serial: "QM00001", SizeBytes: 8 << 30}},
		}
	}
	r.report(mac, "key-1", junk(mac))
	r.report(otherMAC, "key-2", junk(otherMAC))
	if list := r.machines(); len(list) != 2 || list[0].ProvisionState != inventory.StateDiscovered || list[1].ProvisionState != inventory.StateDiscovered {
		t.Errorf("machines: %v", list)
	}
}

// Firmware asks through one port after the other; both records of ports are one machine's.
func TestAMachineThatAsksThroughTwoPortsIsOne(t *testing.T) {
	r := newRig(t)
	f := box("1", otherMAC)
	f.NICs = append(f.NICs, inventory.NICFacts{Name: "eth1", MAC: mac})
	r.bootFrom(mac, "key-1") // then the cable was in the other port
	r.report(otherMAC, "key-2", f)
	list := r.machines()
	if len(list) != 1 || list[0].ProvisionState != inventory.StateDiscovered || list[0].Operation != "" {
		t.Fatalf("machines: %+v", list)
	}
	ports, err := inventory.List[inventory.Interface](ctx, r.store, inventory.Query{})
	if err != nil || len(ports) != 2 || ports[0].Device != list[0].UID || ports[1].Device != list[0].UID {
		t.Errorf("ports: %+v, %v", ports, err)
	}
}

// An accepted machine that boots from a card that was added is recognised; its work, its parts and its history stay its own.
func TestAKnownMachineWithANewCardIsRecognised(t *testing.T) {
	r := newRig(t)
	r.report(mac, "key-1", box("1", mac))
	known, err := r.service.Accept(ctx, admin(), string(r.device().UID), api.AcceptRequest{Name: "node-1"})
	if err != nil {
		t.Fatal(err)
	}
	img := r.image()
	r.stop()
	r.start() // the agent's time is up: nobody has heard it since
	op, err := r.service.Deploy(ctx, admin(), "node-1", api.DeployRequest{Image: img.Name})
	if err != nil {
		t.Fatal(err)
	}
	r.eventually("a person is asked", func() bool { return r.step(op.UID, "power-up").Task != "" })
	// The machine comes back with another card.
	r.bootFrom(otherMAC, "key-2")
	var stranger *inventory.Device
	for _, d := range r.machines() {
		if d.UID != known.UID {
			stranger = d
		}
	}
	if stranger == nil {
		t.Fatal("the new card made no record")
	}
	r.create(&inventory.BMC{Device: known.UID, Kind: bmc.KindWOL, Address: mac}, &inventory.BMC{Device: stranger.UID, Kind: bmc.KindWOL, Address: otherMAC})
	f := box("1", otherMAC)
	f.NICs = append(f.NICs, inventory.NICFacts{Name: "eth1", MAC: mac})
	if err := r.service.Report(ctx, "key-2", f); err != nil {
		t.Fatal(err)
	}
	list := r.machines()
	if len(list) != 1 || list[0].UID != known.UID || list[0].Operation != op.UID || list[0].ProvisionState != inventory.StateReady {
		t.Fatalf("after the merge: %+v", list)
	}
	if bmcs, err := inventory.List[inventory.BMC](ctx, r.store, inventory.Query{}); err != nil || len(bmcs) != 1 || bmcs[0].Address != mac {
		t.Errorf("BMCs: %+v, %v", bmcs, err)
	}
	changes, err := inventory.List[inventory.Change](ctx, r.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("object", stranger.UID)}})
	if err != nil || len(changes) == 0 {
		t.Errorf("the change log forgot the double: %v, %v", changes, err)
	}
	events, err := r.service.Timeline(ctx, "node-1", 50)
	if err != nil {
		t.Fatal(err)
	}
	said := false
	for _, e := range events {
		said = said || strings.Contains(e.Text, "recognised") && strings.Contains(e.Text, string(stranger.UID))
	}
	if !said {
		t.Error("the timeline does not say where the double went")
	}
	// Its new agent goes on with the work. One more that claims to be the machine takes nothing over while that one holds it.
	a := r.next("key-2", api.VerbWrite)
	f.NICs = append(f.NICs, inventory.NICFacts{Name: "eth2", MAC: "52:54:00:00:00:03"})
	r.bootFrom("52:54:00:00:00:03", "key-3")
	if err := r.service.Report(ctx, "key-3", f); err != nil {
		t.Fatal(err)
	}
	if list := r.machines(); len(list) != 2 {
		t.Errorf("a second claimant was taken for the machine: %+v", list)
	}
	if b, err := r.service.Next(ctx, "key-3", api.NextRequest{}); err != nil || b.Verb != api.VerbWait {
		t.Errorf("the second claimant is told %+v, %v", b, err)
	}
	if answer, err := r.service.Progress(ctx, "key-2", a.ID, api.Progress{Done: 1}); err != nil || answer.Stop {
		t.Errorf("the machine was stopped by it: %+v, %v", answer, err)
	}
}

// What stands on a label, anybody can say: it makes a question, and no machine is taken for an accepted one. A person answers.
func TestALabelAloneMakesAQuestion(t *testing.T) {
	r := newRig(t)
	r.report(mac, "key-1", box("1", mac))
	known, err := r.service.Accept(ctx, admin(), string(r.device().UID), api.AcceptRequest{Name: "node-1"})
	if err != nil {
		t.Fatal(err)
	}
	f := inventory.Facts{System: inventory.SystemFacts{UUID: "4c4c4544-0031-3410-8052-b4c04f4b3131", Arch: "amd64"}, NICs: []inventory.NICFacts{{Name: "eth0", MAC: otherMAC}}}
	r.report(otherMAC, "key-2", f)
	if list := r.machines(); len(list) != 2 {
		t.Fatalf("a UUID from the wire was enough to be taken for %s: %v", known.Name, list)
	}
	if a, err := r.service.Next(ctx, "key-2", api.NextRequest{}); err != nil || a.Verb != api.VerbWait {
		t.Errorf("the stranger is told %+v, %v", a, err)
	}
	open, err := inventory.List[inventory.Deviation](ctx, r.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("verdict", "open")}})
	if err != nil || len(open) != 1 || open[0].Part != "identity" || open[0].Intended != string(known.UID) {
		t.Fatalf("questions: %+v, %v", open, err)
	}
	if err := r.service.Verdict(ctx, admin(), string(open[0].UID), "keep_intended", "I changed the card"); err != nil {
		t.Fatal(err)
	}
	list := r.machines()
	if len(list) != 1 || list[0].UID != known.UID || list[0].ProvisionState != inventory.StateReady {
		t.Errorf("after the answer: %+v", list)
	}
}

// A device that was written down before it came is enrolled under its own record: by its port, or by what it reports.
func TestAnExpectedMachineArrives(t *testing.T) {
	r := newRig(t)
	byPort, byUUID := &inventory.Device{Name: "promised-1"}, &inventory.Device{Name: "promised-2"}
	r.create(byPort, byUUID)
	r.create(&inventory.Interface{Device: byPort.UID, Name: "eth0", MAC: mac},
		&inventory.Identifier{Device: byUUID.UID, Kind: inventory.IDSystemUUID, Value: "4c4c4544-0031-3410-8052-b4c04f4b3132"})
	r.report(mac, "key-1", box("1", mac))
	r.report(otherMAC, "key-2", box("2", otherMAC))
	for _, want := range []*inventory.Device{byPort, byUUID} {
		d := r.named(want.Name)
		if d.UID != want.UID || d.ProvisionState != inventory.StateDiscovered || d.Operation != "" || d.NetbootOffer {
			t.Errorf("%s: %+v", want.Name, d)
		}
		if d, err := r.service.Accept(ctx, admin(), want.Name, api.AcceptRequest{}); err != nil || d.ProvisionState != inventory.StateReady {
			t.Errorf("accept %s: %v", want.Name, err)
		}
	}
	if list := r.machines(); len(list) != 2 {
		t.Errorf("machines: %v", list)
	}
}

// What berth knows of a disk it wrote outlives a verdict about another field of it.
func TestTakingWhatWasObservedKeepsWhatBerthWrote(t *testing.T) {
	r := newRig(t)
	r.deployed()
	op, err := r.service.Inspect(ctx, admin(), "node-1")
	if err != nil {
		t.Fatal(err)
	}
	r.eventually("a person is asked", func() bool { return r.step(op.UID, "power-up").Task != "" })
	r.boot("key-2")
	f := facts()
	f.Disks[0].SizeBytes = 9 << 30
	if err := r.service.Report(ctx, "key-2", f); err != nil {
		t.Fatal(err)
	}
	open, err := inventory.List[inventory.Deviation](ctx, r.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("verdict", "open")}})
	if err != nil || len(open) == 0 {
		t.Fatalf("deviations: %v, %v", open, err)
	}
	for _, v := range open {
		if err := r.service.Verdict(ctx, admin(), string(v.UID), "take_observed", ""); err != nil {
			t.Fatal(err)
		}
	}
	parts, err := inventory.List[inventory.Component](ctx, r.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("kind", "disk")}})
	if err != nil || len(parts) != 1 {
		t.Fatal(parts, err)
	}
	if c := parts[0]; c.SizeBytes != 9<<30 || c.WrittenImage == "" || c.Attributes["table_uuid"] != "table-1" || c.DiskRole != "root" {
		t.Errorf("the disk on record: %+v", c)
	}
}
