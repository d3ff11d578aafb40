package web

import (
	"encoding/json"
	"fmt"
	"time"

	"berth/inventory"
	"berth/provision"
)

// world is a small data centre with something in every state, for pages to show.
type world struct {
	Site     *inventory.Site
	Rack     *inventory.Rack
	Type     *inventory.DeviceType
	Image    *inventory.Image
	Profile  *inventory.Profile
	Machines map[string]*inventory.Device
	Working  *inventory.Operation // a reimage under way, of node-2
	Task     *inventory.Operation // one that waits for a person
	Failed   *inventory.Operation
}

// texter makes the texts that a machine says of itself; the XSS test gives a hostile one.
type texter func(plain string) string

func plainText(s string) string { return s }

func ptr[T any](v T) *T { return &v }

// world fills the record. Times are relative to now, so that pages look as they do in life.
func (g *rig) world(say texter) *world {
	g.Helper()
	now := time.Now().UTC()
	w := &world{Machines: map[string]*inventory.Device{}}
	w.Site = &inventory.Site{Name: "Frankfurt, Kleyerstraße", Slug: "fra1", Status: "active", Facility: "FRA-14"}
	w.Profile = &inventory.Profile{Name: "Kubernetes worker", Slug: "k8s-worker", Role: "k8s-node", HostnameTemplate: "{name}.fra1.example.org", SSHKeys: []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDemo anna@example.org"}, Network: "dhcp-boot"}
	maker := &inventory.Manufacturer{Name: "Supermicro", Slug: "supermicro"}
	w.Image = &inventory.Image{Name: "debian-12-20261101", OS: "debian", Version: "12.11", Arch: "amd64", Format: "qcow2", Digest: "sha256:6a3c7e1b0f9d4c52a8e4470b4c1d9f3be5a6170c2d8f4b9e0a1c3d5e7f90b2a4",
		SizeBytes: 2 << 30, StoredBytes: 412 << 20, State: "ready", Verified: true, Source: "upload by ada"}
	g.images.blobs[w.Image.Digest] = provision.Blob{Digest: w.Image.Digest, SizeBytes: w.Image.SizeBytes}
	g.create(w.Site, w.Profile, maker, w.Image, &inventory.Image{Name: "ubuntu-24.04-noble", OS: "ubuntu", Version: "24.04", Arch: "amd64", Format: "raw", Digest: "sha256:" + fmt.Sprintf("%064x", 7), SizeBytes: 3 << 30, State: "ready"})
	w.Rack = &inventory.Rack{Site: w.Site.UID, Name: "r12", FacilityID: "FRA-14-0312", Status: "active", UHeight: 24}
	w.Type = &inventory.DeviceType{Manufacturer: maker.UID, Model: "SYS-1029P-WTR", Slug: "sys-1029p", UHeight: 1, IsFullDepth: true}
	big := &inventory.DeviceType{Manufacturer: maker.UID, Model: "SSG-6049P-E1CR36H", Slug: "ssg-6049p", UHeight: 4, IsFullDepth: true}
	g.create(w.Rack, w.Type, big, &inventory.Subnet{Name: "boot-fra1", Prefix: "10.77.0.0/24", Site: w.Site.UID, Interface: "eno2", Mode: "server", Enrol: true, Pools: []string{"10.77.0.100-10.77.0.200"}})

	for i, m := range []struct {
		name  string
		state inventory.State
		power string
	}{
		{"node-1", inventory.StateDeployed, "on"}, {"node-2", inventory.StateDeployed, "on"}, {"node-3", inventory.StateReady, "off"},
		{"node-4", inventory.StateDiscovered, "on"}, {"node-5", inventory.StateQuarantined, "off"}, {"legacy-db", inventory.StateForeign, "on"}, {"store-1", inventory.StateDeployed, "on"},
		{"node-9", inventory.StateUnknown, ""}, {"node-0", inventory.StateRetired, ""},
	} {
		d := &inventory.Device{Name: m.name, DeviceType: w.Type.UID, Status: "active", Site: w.Site.UID, Rack: w.Rack.UID, ProvisionState: m.state, Power: m.power, Profile: w.Profile.UID, Role: "k8s-node",
			Manufacturer: say("Supermicro"), Product: say("SYS-1029P-WTR"), Serial: say(fmt.Sprintf("S316846X0A2870%d", i)), SystemUUID: fmt.Sprintf("00000000-0000-0000-0000-ac1f6b8d110%d", i),
			Arch: "amd64", BootMode: "uefi", CPUCores: 32, MemoryMiB: 262144, DiskBytes: 4_320_000_000_000, SeenAt: ptr(now.Add(-time.Duration(i*i*7) * time.Minute))}
		if i < 7 {
			d.Position, d.Face = ptr(float64(2+i)), "front"
		}
		switch m.name {
		case "node-5":
			d.StateReason = "the read-back of disk S3Z8NB0KA04512 differs from the image at byte 1,073,741,824: the disk returns other data than was written"
		case "store-1":
			d.DeviceType, d.Position, d.Role = big.UID, ptr(12.0), "ceph-host"
		case "node-1", "node-2":
			d.Image, d.Addresses, d.HostKeys = w.Image.UID, []string{"10.77.0.11/24", "2001:db8::11/64"}, []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHostKey root@node-1"}
		}
		w.Machines[m.name] = d
		g.create(d)
		g.create(&inventory.Observation{Device: d.UID, Source: inventory.SourceAgent, Facts: facts(say, i)})
	}
	g.parts(w, say)
	g.work(w, now, say)
	g.shipments(w, say)
	return w
}

func facts(say texter, i int) inventory.Facts {
	serial := func(n int) string { return fmt.Sprintf("S3Z8NB0KA04%02d%d", i, n) }
	return inventory.Facts{
		Source: inventory.SourceAgent, ObservedAt: time.Now().UTC(),
		System:   inventory.SystemFacts{Manufacturer: say("Supermicro"), Product: say("SYS-1029P-WTR"), Serial: say("S316846X0A28701"), UUID: "00000000-0000-0000-0000-ac1f6b8d1101", Arch: "amd64"},
		Board:    inventory.BoardFacts{Manufacturer: say("Supermicro"), Product: say("X11DDW-L"), Serial: say("WM18AS003214")},
		Chassis:  inventory.ChassisFacts{Serial: say("C1160LI08A50018")},
		BIOS:     inventory.BIOSFacts{Vendor: say("American Megatrends Inc."), Version: say("3.4"), Date: "10/30/2020"},
		Firmware: inventory.FirmwareFacts{BootMode: "uefi", SecureBoot: ptr(false)},
		CPUs: []inventory.CPUFacts{{Socket: say("CPU1"), Model: say("Intel(R) Xeon(R) Silver 4216 CPU @ 2.10GHz"), Cores: 16, Threads: 32, SpeedMHz: 2100},
			{Socket: "CPU2", Model: say("Intel(R) Xeon(R) Silver 4216 CPU @ 2.10GHz"), Cores: 16, Threads: 32, SpeedMHz: 2100}},
		DIMMs: []inventory.DIMMFacts{{Slot: say("P1-DIMMA1"), Manufacturer: say("Samsung"), PartNumber: say("M393A4K40CB2-CTD"), Serial: say("03C7A1F2"), SizeMiB: 32768, Type: "DDR4", SpeedMTs: 2400, ECC: ptr(true)},
			{Slot: "P1-DIMMB1", Manufacturer: "Samsung", PartNumber: "M393A4K40CB2-CTD", Serial: "03C7A1F3", SizeMiB: 32768, Type: "DDR4", SpeedMTs: 2400, ECC: ptr(true)}},
		MemoryMiB: 262144,
		Disks: []inventory.DiskFacts{
			{Name: "nvme0n1", Model: say("SAMSUNG MZ1LB960HAJQ-00007"), Serial: say(serial(1)), WWN: "eui.36314630" + fmt.Sprintf("%08d", i), SizeBytes: 960_197_124_096, Type: "NVME", Transport: "nvme", ContentRead: true,
				SMART:    &inventory.SMARTFacts{Passed: ptr(true), PowerOnHours: ptr(int64(31844)), PercentUsed: ptr(7), TemperatureCelsius: ptr(34)},
				Contents: []inventory.ContentFact{{Kind: "table", Type: "gpt", Partitions: 3, Sentence: say("a GPT partition table with 3 partitions")}, {Kind: "filesystem", Type: "ext4", Label: say("rootfs"), Partition: 1, Sentence: say("a filesystem of type ext4 in partition 1")}}},
			{Name: "sda", Model: say("ST4000NM0035-1V4"), Serial: say(serial(2)), WWN: "naa.5000c500a1b2c3" + fmt.Sprintf("%02d", i), SizeBytes: 4_000_787_030_016, Type: "HD", Transport: "sata", ContentRead: true,
				SMART:    &inventory.SMARTFacts{Passed: ptr(false), PowerOnHours: ptr(int64(52110)), ReallocatedSectors: ptr(int64(312))},
				Contents: []inventory.ContentFact{{Kind: "ceph", OSD: &inventory.OSDFact{FSID: "4d5e0b1c-8a3f-4a57-9d43-2f6f0f0a7b11", ID: ptr(3)}, Sentence: say("Ceph: osd.3 with fsid 4d5e0b1c")}}},
		},
		NICs: []inventory.NICFacts{
			{Name: say("eno1"), MAC: fmt.Sprintf("ac:1f:6b:8d:11:%02x", i), Manufacturer: say("Intel Corporation"), Model: say("X722 for 10GBASE-T"), Driver: "i40e", PCIAddress: "0000:60:00.0", Link: ptr(true), SpeedMbps: 10000, BootedFrom: true,
				LLDP: &inventory.NeighborFacts{ChassisID: "44:4c:a8:01:02:03", SystemName: say("sw-r12-a"), PortID: say("Ethernet12"), VLAN: 77}},
			{Name: "eno2", MAC: fmt.Sprintf("ac:1f:6b:8d:12:%02x", i), Model: "X722 for 10GBASE-T", Driver: "i40e", Link: ptr(false)}},
		PSUs:     []inventory.PSUFacts{{Slot: say("PSU1"), Manufacturer: "Supermicro", Model: say("PWS-751P-1R"), Serial: say("P751PCG48BT0241"), CapacityW: 750}},
		BMC:      &inventory.BMCFacts{Firmware: say("1.73.12"), MAC: "ac:1f:6b:90:00:01", Address: say("10.77.9.11")},
		Problems: []string{say("SMART of /dev/sdb could not be read: the bridge does not pass it on")},
	}
}

func (g *rig) parts(w *world, say texter) {
	g.Helper()
	for name, d := range w.Machines {
		i := len(name) + int(name[len(name)-1])%10
		g.create(&inventory.BMC{Device: d.UID, Kind: "redfish", Address: fmt.Sprintf("10.77.9.%d", i+10), Username: "berth", Password: inventory.PlainSecret("hunter2-" + name), State: "ok", Firmware: say("1.73.12"), SeenAt: d.SeenAt},
			&inventory.Interface{Device: d.UID, Name: "eno1", Kind: "physical", MAC: fmt.Sprintf("ac:1f:6b:00:%02x:%02x", i, name[0]), Enabled: true, BootFrom: true, Neighbor: say("sw-r12-a Ethernet12")})
	}
	d := w.Machines["node-2"]
	g.create(&inventory.Component{Device: d.UID, Kind: "disk", Slot: "0", Serial: "S3Z8NB0KA04011", SizeBytes: 960_197_124_096, DiskRole: "root", Model: say("MZ1LB960")},
		&inventory.Component{Device: d.UID, Kind: "disk", Slot: "1", Serial: "S3Z8NB0KA04012", SizeBytes: 4_000_787_030_016, DiskRole: "ceph-osd", Model: say("ST4000NM0035")},
		&inventory.Deviation{Device: d.UID, Part: say("memory P1-DIMMC1"), Field: say("size"), Intended: say("32 GiB"), Observed: say("absent"), Source: inventory.SourceAgent, Verdict: "open"},
		&inventory.Deviation{Device: d.UID, Part: say("disk S3Z8NB0KA04"), Field: say("firmware"), Intended: say("EDA7202Q"), Observed: say("EDA7602Q"), Source: inventory.SourceAgent, Verdict: "open"})
}

func (g *rig) work(w *world, now time.Time, say texter) {
	g.Helper()
	start := now.Add(-4 * time.Minute)
	w.Working = &inventory.Operation{Kind: "reimage", Device: w.Machines["node-2"].UID, State: inventory.OpRunning, Owner: "anna", OwnerLevel: inventory.LevelOperator, Why: say("kernel 6.12 for the new NICs"),
		Sentence: say("Writing debian-12-20261101 to disk S3Z8NB0KA04011; usually 2 to 5 minutes."), StepName: "write-image", StepIndex: 3, StepCount: 6, Deadline: now.Add(50 * time.Minute), NextTryAt: now.Add(time.Hour), StartedAt: &start}
	w.Task = &inventory.Operation{Kind: "deploy", Device: w.Machines["node-3"].UID, State: inventory.OpWaiting, Owner: "anna", Sentence: "Waiting for a person to press the button.", StepName: "power-on", StepIndex: 1, StepCount: 6, Deadline: now.Add(time.Hour), NextTryAt: now.Add(time.Hour), StartedAt: &start}
	ended := now.Add(-30 * time.Minute)
	w.Failed = &inventory.Operation{Kind: "deploy", Device: w.Machines["node-5"].UID, State: inventory.OpFailed, Owner: "otto", Problem: say("the read-back differs from the image at byte 1,073,741,824"), Deadline: now, NextTryAt: now, StartedAt: ptr(ended.Add(-9 * time.Minute)), EndedAt: &ended, StepCount: 6}
	g.create(w.Working, w.Task, w.Failed)
	for i, st := range []inventory.Step{
		{Name: "check-plan", State: inventory.StepDone}, {Name: "power-cycle", State: inventory.StepDone}, {Name: "boot-agent", State: inventory.StepDone, Attempt: 2},
		{Name: "write-image", State: inventory.StepRunning, Phase: say("write"), Done: 1_288_490_188, Total: 2 << 30, Sentence: say("1.3 GB of 2.1 GB, 214 MB/s")}, {Name: "boot-disk", State: inventory.StepPending}, {Name: "wait-for-report", State: inventory.StepPending},
	} {
		st.Operation, st.Position = w.Working.UID, i
		if st.State == inventory.StepDone {
			st.StartedAt, st.EndedAt = ptr(start.Add(time.Duration(i)*20*time.Second)), ptr(start.Add(time.Duration(i)*20*time.Second+7300*time.Millisecond))
		}
		if st.State == inventory.StepRunning {
			st.StartedAt = ptr(now.Add(-40 * time.Second))
		}
		st.Data = json.RawMessage(`{}`)
		g.create(&st)
	}
	g.create(&inventory.Step{Operation: w.Task.UID, Name: "power-on", State: inventory.StepWaiting, StartedAt: &start, Task: say("Press the power button of node-3, in rack r12, unit 4."), Data: json.RawMessage(`{}`)},
		&inventory.Step{Operation: w.Failed.UID, Name: "read-back", State: inventory.StepFailed, StartedAt: &start, EndedAt: &ended, Problem: say("the read-back differs"), Data: json.RawMessage(`{}`)})
	for _, pair := range []struct{ m, op string }{{"node-2", string(w.Working.UID)}, {"node-3", string(w.Task.UID)}} {
		d := w.Machines[pair.m]
		d.Operation = inventory.UID(pair.op)
		g.update(d)
	}
	for i, e := range []inventory.Event{
		{Source: "dhcp", Text: "DISCOVER from ac:1f:6b:8d:11:01, x86-64 UEFI; offered 10.77.0.101"}, {Source: "tftp", Text: "ipxe.efi, 1.1 MB in 0.4 s"}, {Source: "http", Text: "script: the agent, token …"},
		{Source: "agent", Text: say("registered; 2 disks, 2 ports, 256 GiB")}, {Source: "kernel", Level: "warn", Text: say("nvme nvme0: missing or invalid SUBNQN field.")}, {Source: "bmc", Text: "power on, read back: on"},
		{Source: "engine", Level: "error", Text: say("boot-agent: no word for 4 minutes; trying again")}, {Source: "engine", Text: "write-image began"},
	} {
		e.Device, e.Operation, e.At = w.Machines["node-2"].UID, w.Working.UID, start.Add(time.Duration(i)*9*time.Second)
		if e.Level == "" {
			e.Level = "info"
		}
		g.create(&e)
	}
	g.create(&inventory.BootAttempt{Device: w.Machines["node-2"].UID, MAC: "ac:1f:6b:8d:11:01", Arch: "x86-64 UEFI", Offered: "agent", Outcome: "agent", Sentence: say("The agent came up after 41 s."), TokenHash: "x"})
}
