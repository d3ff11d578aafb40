package devseed

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"berth/inventory"
)

// states are how many of a hundred machines are in which state.
var states = []struct {
	state   inventory.State
	percent int
}{
	{inventory.StateDeployed, 58}, {inventory.StateReady, 15}, {inventory.StateForeign, 12}, {inventory.StateRetired, 5},
	{inventory.StateDiscovered, 4}, {inventory.StateQuarantined, 4}, {inventory.StateUnknown, 2},
}

// state gives the first machines one of each state, so that a small seeding shows all of them, and the others one by chance.
func (m maker) state(i int) inventory.State {
	n := m.random.IntN(100)
	if i < len(states) {
		return states[i].state
	}
	for _, s := range states {
		if n -= s.percent; n < 0 {
			return s.state
		}
	}
	return states[0].state
}

var prefixes = map[string]string{"k8s-node": "kube", "ceph-host": "ceph", "libvirt": "virt"}

// machine makes machine i with its asset, parts, ports, controller, sights and history.
func (m maker) machine(g *ground, i int) error {
	kind, profile, state := pick(m, g.models), pick(m, g.profiles), m.state(i)
	facts := m.facts(kind, i)
	d := m.device(g, kind, profile, state, facts, i)
	if state == inventory.StateUnknown {
		return m.unknown(d, facts)
	}
	if state.Accepted() || state == inventory.StateRetired {
		if err := m.place(g, d, kind, facts, i); err != nil {
			return err
		}
	}
	if err := m.create(d); err != nil {
		return err
	}
	if err := m.reach(g, d, facts, i); err != nil {
		return err
	}
	if err := m.parts(d, facts, state); err != nil {
		return err
	}
	return m.history(g, d, state)
}

func (m maker) device(g *ground, kind *model, profile *inventory.Profile, state inventory.State, f inventory.Facts, i int) *inventory.Device {
	seen := m.past(72 * time.Hour)
	d := &inventory.Device{
		Name: fmt.Sprintf("%s-%04d", prefixes[profile.Role], i+1), DeviceType: kind.kind.UID, Role: profile.Role, Profile: profile.UID, ProvisionState: state,
		Manufacturer: f.System.Manufacturer, Product: f.System.Product, Serial: f.System.Serial, SystemUUID: f.System.UUID, Arch: f.System.Arch, BootMode: kind.boot,
		CPUCores: kind.sockets * kind.cores, MemoryMiB: f.MemoryMiB, DiskBytes: int64(kind.disks) * kind.diskBytes, SeenAt: &seen, Power: "on",
	}
	d.UID = m.uid()
	switch state {
	case inventory.StateDiscovered:
		d.Name, d.Role, d.Profile, d.DeviceType = "machine-"+strings.ToLower(f.System.Serial), "", "", ""
	case inventory.StateDeployed:
		d.Image = pick(m, g.images).UID
		d.Addresses = []string{m.address(g, i)}
	case inventory.StateQuarantined:
		d.Status, d.StateReason = "failed", pick(m, []string{"the image could not be read back from the disk: 3 frames differ", "the agent was not heard for 2 minutes while the image was written", "a disk with the role root is missing"})
	case inventory.StateRetired:
		d.Status, d.Power = "decommissioning", "off"
	case inventory.StateReady:
		d.Power = pick(m, []string{"on", "off", "off"})
	}
	return d
}

// address is where machine i's first port is on its site's boot network.
func (m maker) address(g *ground, i int) string {
	rack, _ := g.at(i)
	site := slices.IndexFunc(g.sites, func(s *inventory.Site) bool { return s.UID == rack.Site })
	n := i/perRack/len(g.sites)*perRack + i%perRack // the machine's number within its site
	return fmt.Sprintf("10.%d.%d.%d", 80+site, 1+n/250%250, 2+n%250)
}

// unknown is a machine of which one packet was seen.
func (m maker) unknown(d *inventory.Device, f inventory.Facts) error {
	mac := f.NICs[0].MAC
	u := &inventory.Device{Name: "unknown-" + strings.ReplaceAll(mac, ":", ""), ProvisionState: inventory.StateUnknown, SeenAt: d.SeenAt}
	u.UID = d.UID
	return m.create(u,
		&inventory.Interface{Device: u.UID, Name: "port-1", MAC: mac, BootFrom: true, Enabled: true},
		&inventory.Identifier{Device: u.UID, Kind: inventory.IDNICMAC, Value: mac},
		&inventory.Event{At: *d.SeenAt, Device: u.UID, Source: "dhcp", Text: "it asked the network for help; it is not known here"})
}

// place gives the machine an asset and a place in a rack.
func (m maker) place(g *ground, d *inventory.Device, kind *model, f inventory.Facts, i int) error {
	rack, position := g.at(i)
	bought := m.past(4 * 365 * 24 * time.Hour)
	asset := &inventory.Asset{AssetTag: fmt.Sprintf("B-%06d", i+1), Kind: "device", Name: kind.name, Manufacturer: kind.manufacturer.UID, DeviceType: kind.kind.UID, PartNumber: kind.part,
		Serial: f.System.Serial, SystemUUID: f.System.UUID, Custody: "installed", Condition: pick(m, []string{"new", "used_good", "used_good", "degraded"}), AcquiredAt: &bought,
		Site: rack.Site, Location: rack.Location}
	d.Site, d.Location = rack.Site, rack.Location
	if d.ProvisionState == inventory.StateRetired {
		asset.Custody = "storage"
	} else {
		d.Rack, d.Position, d.Face = rack.UID, &position, "front"
	}
	if err := m.create(asset); err != nil {
		return err
	}
	d.Asset = asset.UID
	return nil
}

// reach makes the ports, the address and the controller.
func (m maker) reach(g *ground, d *inventory.Device, f inventory.Facts, i int) error {
	var first inventory.UID
	for n, nic := range f.NICs {
		port := &inventory.Interface{Device: d.UID, Name: nic.Name, MAC: nic.MAC, Enabled: true, BootFrom: n == 0, MTU: 1500, Neighbor: nic.LLDP.SystemName + " " + nic.LLDP.PortID}
		if err := m.create(port); err != nil {
			return err
		}
		if n == 0 {
			first = port.UID
		}
	}
	if len(d.Addresses) > 0 {
		rack, _ := g.at(i)
		subnet := g.subnets[slices.IndexFunc(g.subnets, func(s *inventory.Subnet) bool { return s.Site == rack.Site })]
		if err := m.create(&inventory.Address{Address: d.Addresses[0], Subnet: subnet.UID, Interface: first, DNSName: d.Name + ".example.org"}); err != nil {
			return err
		}
	}
	kind, state := pick(m, []string{"redfish", "redfish", "redfish", "ipmi"}), "ok"
	if m.chance(5) {
		state = "unreachable"
	}
	bmc := &inventory.BMC{Device: d.UID, Kind: kind, Address: fmt.Sprintf("[2001:db8:b::%x]", i+1), Username: "berth", MAC: f.BMC.MAC, Firmware: f.BMC.Firmware, State: state, SeenAt: d.SeenAt}
	if state == "unreachable" {
		bmc.Problem = "no answer within 10 s"
	}
	return m.create(bmc)
}

// parts makes what is intended, what was seen, what differs, and the evidence of identity.
func (m maker) parts(d *inventory.Device, f inventory.Facts, state inventory.State) error {
	seen := f
	if state.Accepted() {
		intended := inventory.Components(d.UID, f)
		roles := []string{"root", "keep", "ceph-osd"}
		disks := 0
		for i := range intended {
			c := &intended[i]
			if c.Kind == "disk" {
				c.DiskRole = roles[min(disks, len(roles)-1)]
				disks++
			}
			if err := m.create(c); err != nil {
				return err
			}
		}
		if m.chance(6) {
			seen = m.altered(f)
			for _, v := range inventory.Differences(intended, d, seen) {
				if err := m.create(&v); err != nil {
					return err
				}
			}
		}
	}
	if err := m.create(&inventory.Observation{Device: d.UID, Source: inventory.SourceAgent, Facts: seen}); err != nil {
		return err
	}
	for _, e := range inventory.Evidence(f) {
		if e.Kind == inventory.IDDIMMSerial || e.Kind == inventory.IDDiskWWN || e.Kind == inventory.IDDiskSerial {
			continue // what stays with the board is enough for looking at
		}
		if err := m.create(&inventory.Identifier{Device: d.UID, Kind: e.Kind, Value: e.Value}); err != nil {
			return err
		}
	}
	return nil
}

// altered is the machine after somebody was at it.
func (m maker) altered(f inventory.Facts) inventory.Facts {
	f.DIMMs, f.Disks = slices.Clone(f.DIMMs), slices.Clone(f.Disks)
	switch m.random.IntN(3) {
	case 0:
		f.DIMMs = f.DIMMs[:len(f.DIMMs)-1]
	case 1:
		f.Disks[0].Serial, f.Disks[0].WWN = m.code(12), "naa.5000c500"+strings.ToLower(m.hex()[:8])
	default:
		f.DIMMs[0].Serial, f.DIMMs[0].SizeMiB = m.hex()[:8], 8192
	}
	return f
}

// history is how the machine came to its state.
func (m maker) history(g *ground, d *inventory.Device, state inventory.State) error {
	at := m.past(90 * 24 * time.Hour)
	say := func(source, level, text string) error {
		at = at.Add(time.Duration(1+m.random.IntN(300)) * time.Second)
		return m.create(&inventory.Event{At: at, Device: d.UID, Source: source, Level: level, Text: text})
	}
	if err := say("dhcp", "info", "it asked the network for help"); err != nil {
		return err
	}
	if err := say("agent", "info", "the agent reported "+d.Manufacturer+" "+d.Product); err != nil {
		return err
	}
	if state == inventory.StateQuarantined || state == inventory.StateDeployed && m.chance(40) {
		return m.operation(d, at, state)
	}
	return say("person", "info", "looked at, nothing done")
}

var deploySteps = []string{"take-lease", "arm-netboot", "power-cycle", "await-agent", "write-image", "verify-image", "boot-disk", "await-system"}

// operation is a deployment that ended: well, or at a step.
func (m maker) operation(d *inventory.Device, at time.Time, state inventory.State) error {
	op := &inventory.Operation{Kind: "deploy", Device: d.UID, State: inventory.OpDone, Owner: pick(m, []string{"anna", "ben", "chidi"}), OwnerLevel: inventory.LevelOperator,
		Why: "new node", StepCount: len(deploySteps), Sentence: "deployed", Deadline: at.Add(2 * time.Hour), StartedAt: &at}
	op.UID = m.uid()
	ends := len(deploySteps)
	if state == inventory.StateQuarantined {
		ends = 4 + m.random.IntN(3)
		op.State, op.Problem, op.Sentence = inventory.OpFailed, d.StateReason, d.StateReason
	}
	op.StepIndex, op.StepName = min(ends, len(deploySteps)-1), deploySteps[min(ends, len(deploySteps)-1)]
	var steps []inventory.Object
	for n, name := range deploySteps[:min(ends+1, len(deploySteps))] {
		from := at
		at = at.Add(time.Duration(2+m.random.IntN(90)) * time.Second)
		to := at
		step := &inventory.Step{Operation: op.UID, Position: n, Name: name, State: inventory.StepDone, Attempt: 1, StartedAt: &from, EndedAt: &to}
		if n == ends {
			step.State, step.Problem = inventory.StepFailed, d.StateReason
		}
		steps = append(steps, step)
	}
	end := at
	op.EndedAt = &end
	if err := m.create(op); err != nil {
		return err
	}
	return m.create(steps...)
}
