package devseed

import (
	"fmt"
	"strings"
	"time"

	"berth/inventory"
)

// bulk makes assets first to last of those that are no machines: two of five stand in a rack as a device, two lie on a shelf, and one is
// in a parcel; components of their own make up the number that is asked for. One shipment carries what a hundred have on the way.
func (m maker) bulk(g *ground, first, last int, parts func(asset int) int) error {
	var way *way
	for i := first; i < last; i++ {
		kind := pick(m, g.models)
		a := m.asset(g, kind, i)
		at := inventory.Component{Asset: a.UID}
		var err error
		switch (i - g.machines) % 5 {
		case 0, 1:
			err = m.installed(g, kind, a, &at, i)
		case 2, 3:
			room := pick(m, g.rooms)
			a.Custody, a.Site, a.Location = "storage", room.Site, room.UID
			at.Location, at.Box = room.UID, fmt.Sprintf("box %d", i/20)
			err = m.create(a)
		case 4:
			if way == nil {
				if way, err = m.ship(g, i); err != nil {
					return err
				}
			}
			err = m.pack(way, a, &at)
		}
		if err != nil {
			return fmt.Errorf("asset %d: %w", i, err)
		}
		if err := m.loose(kind, at, parts(i)); err != nil {
			return fmt.Errorf("parts of asset %d: %w", i, err)
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
func (m maker) installed(g *ground, kind *model, a *inventory.Asset, at *inventory.Component, i int) error {
	n := i - g.machines
	place := g.machines + n/5*2 + n%5
	rack, position := g.at(place)
	a.Custody, a.Site, a.Location = "installed", rack.Site, rack.Location
	d := &inventory.Device{Name: fmt.Sprintf("srv-%06d", i+1), Asset: a.UID, DeviceType: kind.kind.UID, Role: pick(m, []string{"web", "db", "render", "backup"}), Site: rack.Site, Location: rack.Location,
		Rack: rack.UID, Position: &position, Face: "front", Manufacturer: kind.maker, Product: kind.name, Serial: a.Serial}
	d.UID = m.uid()
	at.Device = d.UID
	return m.create(a, d, &inventory.Interface{Device: d.UID, Name: "eno1", MAC: m.mac(kind, place, 3), Enabled: true, MTU: 1500})
}

// way is a shipment on its way, with its parcels.
type way struct {
	shipment *inventory.Shipment
	parcels  []*inventory.Parcel
	items    int
}

// ship begins a shipment.
func (m maker) ship(g *ground, i int) (*way, error) {
	sent := m.past(40 * 24 * time.Hour)
	s := &inventory.Shipment{Reference: fmt.Sprintf("S-%06d", i+1), Title: "servers for " + pick(m, g.sites).Name, Direction: "inbound", Purpose: pick(m, []string{"purchase", "donation", "relocation"}),
		Phase: "handed_over", Status: pick(m, []string{"in_transit", "in_transit", "pre_transit", "out_for_delivery", "silent"}), Destination: pick(m, g.sites).UID, Carrier: pick(m, g.parties["carrier"]).UID,
		Mode: "road", TrackingCode: "JJD01" + m.digits(11), HandedOverAt: &sent, LastEventAt: &sent, PromisedOn: day(sent.Add(5 * 24 * time.Hour)), Currency: currency}
	if err := m.create(s); err != nil {
		return nil, err
	}
	w := &way{shipment: s}
	for n := range 3 {
		p := &inventory.Parcel{Shipment: s.UID, Label: fmt.Sprintf("%d of 3", n+1), TrackingCode: "00340" + m.digits(13), Status: s.Status, WeightGrams: int64(20_000 + m.random.IntN(60_000)), SealNo: "SE" + m.digits(7)}
		event := &inventory.TrackingEvent{Shipment: s.UID, OccurredAt: sent, Status: "in_transit", Description: "taken over by the carrier", TrackingCode: p.TrackingCode, City: "Leipzig", Country: "DE", Source: "manual"}
		if err := m.create(p); err != nil {
			return nil, err
		}
		event.Parcel = p.UID
		if err := m.create(event); err != nil {
			return nil, err
		}
		w.parcels = append(w.parcels, p)
	}
	return w, nil
}

// pack puts an asset into the next parcel.
func (m maker) pack(w *way, a *inventory.Asset, at *inventory.Component) error {
	a.Custody = "in_transit"
	parcel := w.parcels[w.items%len(w.parcels)]
	w.items++
	at.Parcel = parcel.UID
	return m.create(a, &inventory.ShipmentItem{Shipment: w.shipment.UID, Parcel: parcel.UID, Asset: a.UID, Acquisition: a.Acquisition, Description: a.Name, Serial: a.Serial, Quantity: 1, State: "sent",
		DeclaredValueAmount: a.CostAmount, Currency: currency, HSCode: "8471.50", CountryOfOrigin: "CN", WeightGrams: a.WeightGrams})
}

// loose makes so many parts of a server, without the facts that a machine would have reported.
func (m maker) loose(kind *model, at inventory.Component, count int) error {
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
		if err := m.create(&c); err != nil {
			return err
		}
	}
	return nil
}
