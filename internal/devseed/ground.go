package devseed

import (
	"fmt"

	"berth/inventory"
)

// ground is what machines stand on: made first, and referred to by all of them.
type ground struct {
	sites        []*inventory.Site
	rooms        []*inventory.Location
	racks        []*inventory.Rack
	models       []*model
	images       []*inventory.Image
	profiles     []*inventory.Profile
	subnets      []*inventory.Subnet
	parties      map[string][]*inventory.Organization // by what they do for us
	acquisitions []*inventory.Acquisition
	pdu          *inventory.Device // the first one, and the asset it is
	spare        *inventory.Asset
	machines     int
	// at is where machine i stands: racks are filled from below, two units to a machine.
	at func(thing int) (rack *inventory.Rack, position float64)
}

// model is a device type and what is usually in it.
type model struct {
	maker, name, part   string
	units               float64
	grams               int64
	oui                 string
	cpu                 string
	sockets, cores      int
	dimms               int
	dimmGiB             int64
	dimmType            string
	disks               int
	diskBytes           int64
	diskModel, diskKind string
	bios                string
	boot                string

	kind         *inventory.DeviceType
	manufacturer *inventory.Manufacturer
}

func models() []*model {
	return []*model{
		{maker: "Dell", name: "PowerEdge R640", part: "R640", units: 1, grams: 21900, oui: "d0:94:66", cpu: "Intel(R) Xeon(R) Gold 6130", sockets: 2, cores: 16, dimms: 4, dimmGiB: 32, dimmType: "DDR4", disks: 4, diskBytes: 960197124096, diskModel: "MZ7LH960HAJR0D3", diskKind: "SSD", bios: "2.19.1", boot: "uefi"},
		{maker: "Dell", name: "PowerEdge R720", part: "R720", units: 2, grams: 32500, oui: "b8:ca:3a", cpu: "Intel(R) Xeon(R) E5-2670 v2", sockets: 2, cores: 10, dimms: 4, dimmGiB: 16, dimmType: "DDR3", disks: 4, diskBytes: 4000787030016, diskModel: "ST4000NM0033", diskKind: "HD", bios: "2.9.0", boot: "bios"},
		{maker: "HPE", name: "ProLiant DL360 Gen10", part: "867959-B21", units: 1, grams: 16270, oui: "94:40:c9", cpu: "Intel(R) Xeon(R) Silver 4114", sockets: 2, cores: 10, dimms: 4, dimmGiB: 32, dimmType: "DDR4", disks: 2, diskBytes: 480103981056, diskModel: "MK000480GWXFF", diskKind: "SSD", bios: "U32 v2.80", boot: "uefi"},
		{maker: "Supermicro", name: "SYS-6029P-TR", part: "SYS-6029P-TR", units: 2, grams: 23600, oui: "ac:1f:6b", cpu: "Intel(R) Xeon(R) Gold 5118", sockets: 2, cores: 12, dimms: 4, dimmGiB: 32, dimmType: "DDR4", disks: 4, diskBytes: 12000138625024, diskModel: "HUH721212ALE604", diskKind: "HD", bios: "3.6", boot: "uefi"},
		{maker: "Supermicro", name: "AS-1014S-WTRT", part: "AS-1014S-WTRT", units: 1, grams: 15900, oui: "3c:ec:ef", cpu: "AMD EPYC 7302P 16-Core Processor", sockets: 1, cores: 16, dimms: 4, dimmGiB: 32, dimmType: "DDR4", disks: 2, diskBytes: 1920383410176, diskModel: "SAMSUNG MZQL21T9HCJR", diskKind: "NVME", bios: "2.5", boot: "uefi"},
		{maker: "Lenovo", name: "ThinkSystem SR650", part: "7X06", units: 2, grams: 32000, oui: "08:94:ef", cpu: "Intel(R) Xeon(R) Gold 6226", sockets: 2, cores: 12, dimms: 4, dimmGiB: 64, dimmType: "DDR4", disks: 4, diskBytes: 1920383410176, diskModel: "MTFDDAK1T9TDT", diskKind: "SSD", bios: "3.40", boot: "uefi"},
	}
}

var places = []struct{ name, slug, address, zone string }{
	{"Berlin Wedding", "ber1", "Gerichtstraße 12, 13347 Berlin, Germany", "Europe/Berlin"},
	{"Praha Holešovice", "prg1", "Jankovcova 2, 170 00 Praha 7, Czechia", "Europe/Prague"},
	{"Utrecht Lage Weide", "utr1", "Atoomweg 50, 3542 AB Utrecht, Netherlands", "Europe/Amsterdam"},
	{"Porto Campanhã", "opo1", "Rua do Freixo 900, 4300-217 Porto, Portugal", "Europe/Lisbon"},
	{"Leipzig Plagwitz", "lej1", "Naumburger Straße 28, 04229 Leipzig, Germany", "Europe/Berlin"},
}

const perRack = 20

func (m maker) ground(size Size) (*ground, error) {
	g := &ground{parties: map[string][]*inventory.Organization{}, machines: size.Machines}
	// Two of five assets that are no machines stand in racks too.
	placed := size.Machines + size.Assets*2/5 + perRack
	for _, step := range []func() error{
		func() error { return m.sites(g, placed) },
		func() error { return m.models(g) },
		func() error { return m.images(g) },
		func() error { return m.networks(g) },
		func() error { return m.parties(g) },
		func() error { return m.acquire(g, max(size.Assets, size.Machines)) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// sites makes a site for about every 400 things in racks, with a room and as many racks as are needed.
func (m maker) sites(g *ground, placed int) error {
	count := min(len(places), 1+placed/400)
	racks := (placed + perRack - 1) / perRack
	for i, place := range places[:count] {
		site := &inventory.Site{Name: place.name, Slug: place.slug, PhysicalAddress: place.address, TimeZone: place.zone, Facility: fmt.Sprintf("DC %d", i+1), SupplyVoltageV: 230}
		if err := m.create(site); err != nil {
			return err
		}
		room := &inventory.Location{Site: site.UID, Name: "Hall A", Slug: place.slug + "-hall-a"}
		if err := m.create(room); err != nil {
			return err
		}
		g.sites, g.rooms = append(g.sites, site), append(g.rooms, room)
	}
	for i := range racks {
		site := i % count
		rack := &inventory.Rack{Site: g.sites[site].UID, Location: g.rooms[site].UID, Name: fmt.Sprintf("%s-r%02d", g.sites[site].Slug, i/count+1), UHeight: 42}
		if err := m.create(rack); err != nil {
			return err
		}
		g.racks = append(g.racks, rack)
	}
	g.at = func(thing int) (*inventory.Rack, float64) {
		return g.racks[thing/perRack], float64(1 + 2*(thing%perRack))
	}
	return nil
}

func (m maker) models(g *ground) error {
	makers := map[string]*inventory.Manufacturer{}
	for _, kind := range models() {
		if makers[kind.maker] == nil {
			makers[kind.maker] = &inventory.Manufacturer{Name: kind.maker}
			if err := m.create(makers[kind.maker]); err != nil {
				return err
			}
		}
		kind.manufacturer = makers[kind.maker]
		kind.kind = &inventory.DeviceType{Manufacturer: kind.manufacturer.UID, Model: kind.name, PartNumber: kind.part, UHeight: kind.units, IsFullDepth: true, WeightGrams: kind.grams,
			Slug: inventory.Slug(kind.maker + " " + kind.name)}
		if err := m.create(kind.kind); err != nil {
			return err
		}
		g.models = append(g.models, kind)
	}
	return nil
}

func (m maker) images(g *ground) error {
	for _, image := range []struct{ name, os, version string }{
		{"debian-12-20261015", "Debian", "12"}, {"debian-13-20261015", "Debian", "13"}, {"ubuntu-24.04-20260930", "Ubuntu", "24.04"}, {"rocky-9.6-20260901", "Rocky Linux", "9.6"},
	} {
		digest := "sha256:" + m.hex() + m.hex()
		g.images = append(g.images, &inventory.Image{Name: image.name, OS: image.os, Version: image.version, Arch: "amd64", Digest: digest, SizeBytes: 3 << 30, Verified: true,
			State: "missing", Problem: "it came with a seeding, which brings no bytes", Source: "berth dev seed"})
	}
	for i, role := range []string{"k8s-node", "ceph-host", "libvirt"} {
		g.profiles = append(g.profiles, &inventory.Profile{Name: role, Role: role, HostnameTemplate: "{name}.example.org", Network: "dhcp-boot"})
		image := g.images[i]
		if err := m.create(image); err != nil {
			return err
		}
		g.profiles[i].Image = image.UID
		if err := m.create(g.profiles[i]); err != nil {
			return err
		}
	}
	return m.create(g.images[3])
}

func (m maker) networks(g *ground) error {
	for i, site := range g.sites {
		subnet := &inventory.Subnet{Name: site.Slug + "-boot", Prefix: fmt.Sprintf("10.%d.0.0/16", 80+i), Site: site.UID, Mode: "off", Gateway: fmt.Sprintf("10.%d.0.1", 80+i),
			Pools: []string{fmt.Sprintf("10.%d.255.10-10.%d.255.250", 80+i, 80+i)}, Description: "made by berth dev seed"}
		if err := m.create(subnet); err != nil {
			return err
		}
		g.subnets = append(g.subnets, subnet)
	}
	return nil
}
