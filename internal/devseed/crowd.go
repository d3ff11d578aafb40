package devseed

import (
	"fmt"
	"strings"
	"time"

	"berth/inventory"
)

// load is what a batch makes, by noun: rules that look at what is there already then meet few small statements.
type load struct {
	way                      *way
	assets, things, contents []inventory.Object // things refer to assets, and contents to both
}

// bulk makes assets first to last of those that are no machines: two of five stand in a rack as a device, two lie on a shelf, and one is
// in a parcel; components of their own make up the number that is asked for. One shipment carries what a hundred have on the way.
func (m maker) bulk(g *ground, first, last int, parts func(asset int) int) error {
	var l load
	for i := first; i < last; i++ {
		kind := pick(m, g.models)
		a := m.asset(g, kind, i)
		at := inventory.Component{Asset: a.UID}
		switch (i - g.machines) % 5 {
		case 0, 1:
			m.installed(g, &l, kind, a, &at, i)
		case 2, 3:
			room := pick(m, g.rooms)
			a.Custody, a.Site, a.Location = "storage", room.Site, room.UID
			at.Location, at.Box = room.UID, fmt.Sprintf("box %d", i/20)
		case 4:
			if l.way == nil || l.way.items == 20 {
				l.way = m.ship(g, &l, i)
			}
			m.pack(&l, a, &at)
		}
		l.assets = append(l.assets, a)
		m.loose(&l, kind, at, parts(i))
	}
	for _, objects := range [][]inventory.Object{l.assets, l.things, l.contents} {
		if err := m.create(objects...); err != nil {
			return fmt.Errorf("assets %d to %d: %w", first, last, err)
		}
	}
	return nil
}

func (m maker) asset(g *ground, kind *model, i int) *inventory.Asset {
	bought := m.past(4 * 365 * 24 * time.Hour)
	cost := int64(20_000 + m.random.IntN(300_000))
	a := &inventory.Asset{AssetTag: fmt.Sprintf("B-%06d", i+1), Kind: "device", Name: kind.name, Manufacturer: kind.manufacturer.UID, DeviceType: kind.kind.UID, PartNumber: kind.part,
		Serial: m.code(7), Condition: pick(m, []string{"new", "used_good", "used_good", "degraded"}), AcquiredAt: &bought, Acquisition: pick(m, g.acquisitions).UID,
		Currency: currency, CostAmount: cost, LandedCostAmount: cost + cost/20, InServiceOn: day(bought), WeightGrams: kind.grams}
	a.UID = m.uid()
	return a
}

// installed puts an asset into a rack as a device that berth does not boot.
func (m maker) installed(g *ground, l *load, kind *model, a *inventory.Asset, at *inventory.Component, i int) {
	n := i - g.machines
	place := g.machines + n/5*2 + n%5
	rack, position := g.at(place)
	a.Custody, a.Site, a.Location = "installed", rack.Site, rack.Location
	d := &inventory.Device{Name: fmt.Sprintf("srv-%06d", i+1), Asset: a.UID, DeviceType: kind.kind.UID, Role: pick(m, []string{"web", "db", "render", "backup"}), Site: rack.Site, Location: rack.Location,
		Rack: rack.UID, Position: &position, Face: "front", Manufacturer: kind.maker, Product: kind.name, Serial: a.Serial}
	d.UID = m.uid()
	at.Device = d.UID
	l.things = append(l.things, d)
	l.contents = append(l.contents, &inventory.Interface{Device: d.UID, Name: "eno1", MAC: m.mac(kind, place, 3), Enabled: true, MTU: 1500})
}

// way is a shipment on its way, with its parcels.
type way struct {
	shipment *inventory.Shipment
	parcels  []*inventory.Parcel
	items    int
}

// ship begins a shipment.
func (m maker) ship(g *ground, l *load, i int) *way {
	sent := m.past(40 * 24 * time.Hour)
	s := &inventory.Shipment{Reference: fmt.Sprintf("S-%06d", i+1), Title: "servers for " + pick(m, g.sites).Name, Direction: "inbound", Purpose: pick(m, []string{"purchase", "donation", "relocation"}),
		Phase: "handed_over", Status: pick(m, []string{"in_transit", "in_transit", "pre_transit", "out_for_delivery", "silent"}), Destination: pick(m, g.sites).UID, Carrier: pick(m, g.parties["carrier"]).UID,
		Mode: "road", TrackingCode: "JJD01" + m.digits(11), HandedOverAt: &sent, LastEventAt: &sent, PromisedOn: day(sent.Add(5 * 24 * time.Hour)), Currency: currency}
	s.UID = m.uid()
	l.things = append(l.things, s)
	w := &way{shipment: s}
	for n := range 3 {
		p := &inventory.Parcel{Shipment: s.UID, Label: fmt.Sprintf("%d of 3", n+1), TrackingCode: "00340" + m.digits(13), Status: s.Status, WeightGrams: int64(20_000 + m.random.IntN(60_000)), SealNo: "SE" + m.digits(7)}
		p.UID = m.uid()
		w.parcels = append(w.parcels, p)
		l.things = append(l.things, p)
		l.contents = append(l.contents, &inventory.TrackingEvent{Shipment: s.UID, Parcel: p.UID, OccurredAt: sent, Status: "in_transit", Description: "taken over by the carrier", TrackingCode: p.TrackingCode,
			City: "Leipzig", Country: "DE", Source: "manual"})
	}
	return w
}

// pack puts an asset into the next parcel.
func (m maker) pack(l *load, a *inventory.Asset, at *inventory.Component) {
	a.Custody = "in_transit"
	parcel := l.way.parcels[l.way.items%len(l.way.parcels)]
	l.way.items++
	at.Parcel = parcel.UID
	l.contents = append(l.contents, &inventory.ShipmentItem{Shipment: l.way.shipment.UID, Parcel: parcel.UID, Asset: a.UID, Acquisition: a.Acquisition, Description: a.Name, Serial: a.Serial, Quantity: 1,
		State: "sent", DeclaredValueAmount: a.CostAmount, Currency: currency, HSCode: "8471.50", CountryOfOrigin: "CN", WeightGrams: a.WeightGrams})
}

// loose makes so many parts of a server, without the facts that a machine would have reported.
func (m maker) loose(l *load, kind *model, at inventory.Component, count int) {
	for n := range count {
		c := at
		switch n % 10 {
		case 0, 1:
			c.Kind, c.Slot, c.Manufacturer, c.Model = "cpu", fmt.Sprintf("CPU%d", n%10+1), strings.Fields(kind.cpu)[0], kind.cpu
		case 2, 3, 4, 5:
			c.Kind, c.Slot, c.Manufacturer, c.Model, c.PartNumber = "memory", fmt.Sprintf("DIMM_%c1", 'A'+n%10-2), "Samsung", "DDR4", "M393A4K40CB2-CTD"
			c.Serial, c.SizeBytes = strings.ToUpper(m.hex()[:8]), kind.dimmGiB<<30
		case 6, 7:
			c.Kind, c.Slot, c.Model, c.Serial, c.SizeBytes = "disk", fmt.Sprintf("Bay %d", n%10-6), kind.diskModel, m.code(14), kind.diskBytes
			c.WWN = "naa.5000c500" + m.hex()[:8]
		default:
			c.Kind, c.Slot, c.Manufacturer, c.Model, c.Serial = "psu", fmt.Sprintf("PSU%d", n%10-7), "Delta", "DPS-750AB", "PS"+m.code(10)
		}
		l.contents = append(l.contents, &c)
	}
}
