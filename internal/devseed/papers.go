package devseed

import (
	"fmt"
	"time"

	"berth/inventory"
)

// people are whom we deal with, by what they do for us.
var people = []struct{ name, role, country, carrierCode string }{
	{"DHL Express", "carrier", "DE", "dhl-express"}, {"UPS", "carrier", "US", "ups"}, {"GLS", "carrier", "NL", "gls"}, {"PostNL Pakketten", "carrier", "NL", "postnl"},
	{"Nordwind Transportversicherung", "insurer", "DE", ""}, {"Mutua do Norte", "insurer", "PT", ""},
	{"Renderfarm Köln", "donor", "DE", ""}, {"Stichting Rekenkracht", "donor", "NL", ""}, {"Ústav výpočtů", "donor", "CZ", ""},
	{"Refurb & Söhne", "supplier", "DE", ""}, {"Serverhandel Lage Weide", "supplier", "NL", ""},
	{"Hallen am Kanal", "landlord", "DE", ""}, {"Zollbüro Pfeiffer", "broker", "DE", ""},
}

const currency = "EUR"

// parties makes organizations, each with somebody to talk to.
func (m maker) parties(g *ground) error {
	for i, p := range people {
		o := &inventory.Organization{Name: p.name, Roles: []string{p.role}, Country: p.country, CarrierCode: p.carrierCode, Email: fmt.Sprintf("desk%d@example.org", i+1)}
		if err := m.create(o, &inventory.Contact{Name: pick(m, firstNames) + " " + pick(m, lastNames), Role: p.role + " desk", Email: fmt.Sprintf("person%d@example.org", i+1)}); err != nil {
			return err
		}
		g.parties[p.role] = append(g.parties[p.role], o)
	}
	return nil
}

var (
	firstNames = []string{"Anna", "Ben", "Chidi", "Dörte", "Emre", "Fatima", "Guus", "Hana"}
	lastNames  = []string{"Almeida", "Brandt", "Černý", "de Vries", "Eze", "Fischer", "Novák", "Öztürk"}
)

// acquire makes an acquisition for about every 200 assets; donations and purchases by turns.
func (m maker) acquire(g *ground, assets int) error {
	for i := range 2 + assets/200 {
		kind, from := "purchase", pick(m, g.parties["supplier"])
		if i%3 == 0 {
			kind, from = "donation", pick(m, g.parties["donor"])
		}
		received := m.past(3 * 365 * 24 * time.Hour)
		a := &inventory.Acquisition{Reference: fmt.Sprintf("A-%05d", i+1), Kind: kind, Status: "received", Organization: from.UID, Title: fmt.Sprintf("%s of %d servers", kind, 8+m.random.IntN(300)),
			ReceivedOn: day(received), OfferedOn: day(received.Add(-30 * 24 * time.Hour)), OrderNo: fmt.Sprintf("PO-%06d", 1000+i), Currency: currency}
		if err := m.create(a); err != nil {
			return err
		}
		g.acquisitions = append(g.acquisitions, a)
	}
	return nil
}

func day(at time.Time) inventory.Date { return inventory.Date(at.Format(time.DateOnly)) }

// papers makes at least one of every noun that the crowd itself does not bring.
func (m maker) papers(g *ground) error {
	for _, step := range []func(*ground) error{m.power, m.partTypes, m.wires, m.money, m.trouble, m.plans, m.notes} {
		if err := step(g); err != nil {
			return err
		}
	}
	return nil
}

// power is a panel with two feeds, and a PDU on one of them.
func (m maker) power(g *ground) error {
	rack := g.racks[0]
	maker := g.models[0].manufacturer.UID
	panel := &inventory.PowerPanel{Site: rack.Site, Location: rack.Location, Name: "panel 1"}
	kind := &inventory.DeviceType{Manufacturer: maker, Model: "PDU 0U", Slug: "pdu-0u", PartNumber: "PDU0U"}
	if err := m.create(panel, kind, &inventory.RackType{Manufacturer: maker, Model: "Cabinet 42", Slug: "cabinet-42", FormFactor: "4-post-cabinet", Width: 19, UHeight: 42, StartingUnit: 1}); err != nil {
		return err
	}
	asset := &inventory.Asset{AssetTag: "PDU-0001", Kind: "pdu", Name: "PDU 0U", DeviceType: kind.UID, Serial: m.code(10), Custody: "installed", Site: rack.Site}
	if err := m.create(asset); err != nil {
		return err
	}
	pdu := &inventory.Device{Name: "pdu-1", Asset: asset.UID, DeviceType: kind.UID, Site: rack.Site, Location: rack.Location, Rack: rack.UID, Side: "left", Role: "pdu"}
	if err := m.create(pdu); err != nil {
		return err
	}
	inlet := &inventory.PowerPort{Device: pdu.UID, Name: "inlet", Type: "iec-60309-p-n-e-6h", MaximumDrawW: 3000}
	feed := &inventory.PowerFeed{PowerPanel: panel.UID, Rack: rack.UID, Name: "feed A", Type: "primary"}
	if err := m.create(inlet, feed, &inventory.PowerFeed{PowerPanel: panel.UID, Rack: rack.UID, Name: "feed B", Type: "redundant"}); err != nil {
		return err
	}
	g.spare = asset
	g.pdu = pdu
	return m.create(&inventory.PowerOutlet{Device: pdu.UID, Name: "outlet 1", Type: "iec-60320-c13", PowerPort: inlet.UID, FeedLeg: "A"},
		&inventory.Cable{Label: "feed A to PDU 1", Type: "power", Status: "connected", LengthMM: 2000, APowerFeed: feed.UID, BPowerPort: inlet.UID})
}

// partTypes are models of parts and a bay for one.
func (m maker) partTypes(g *ground) error {
	return m.create(&inventory.ModuleType{Manufacturer: g.models[0].manufacturer.UID, Model: "M393A4K40CB2-CTD", Slug: "m393a4k40cb2-ctd", Kind: "memory", PartNumber: "M393A4K40CB2-CTD"},
		&inventory.ModuleBay{Device: g.pdu.UID, Name: "controller", Kind: "controller"})
}

// wires are networks by their number.
func (m maker) wires(g *ground) error {
	vlan := &inventory.VLAN{Site: g.sites[0].UID, VID: 80, Name: "boot", Role: "provisioning"}
	if err := m.create(vlan); err != nil {
		return err
	}
	return m.create(&inventory.Prefix{Prefix: "10.80.0.0/16", Site: g.sites[0].UID, VLAN: vlan.UID, Status: "active", Role: "boot"})
}

// money is a book, an entry in it, and what freight cost.
func (m maker) money(g *ground) error {
	book := &inventory.Book{Name: "Management", Method: "straight_line", LifeMonths: 36, Currency: currency, FiscalYearStart: 1}
	if err := m.create(book); err != nil {
		return err
	}
	basis := int64(120_000)
	return m.create(&inventory.BookEntry{Book: book.UID, Asset: g.spare.UID, BasisAmount: &basis, Currency: currency},
		&inventory.CostLine{Acquisition: g.acquisitions[0].UID, Kind: "freight", Description: "pallet to the hall", Amount: 38_000, Currency: currency, ShareBy: "weight", OnDate: "2026-03-02"})
}

// trouble is a parcel that was lost, and what followed.
func (m maker) trouble(g *ground) error {
	insurer, carrier := g.parties["insurer"][0], g.parties["carrier"][0]
	policy := &inventory.InsurancePolicy{PolicyNo: "TV-2026-114", Insurer: insurer.UID, Covers: "transport", StartsOn: "2026-01-01", EndsOn: "2026-12-31", Currency: currency, LimitAmount: 2_000_000, NoticeDays: 7}
	shipment := &inventory.Shipment{Reference: "S-LOST-1", Title: "five servers that never came", Direction: "inbound", Purpose: "donation", Phase: "lost", Status: "silent", Destination: g.sites[0].UID,
		Carrier: carrier.UID, TrackingCode: "JJD0100" + m.digits(9), Currency: currency, DeclaredValueAmount: 500_000}
	lost := &inventory.Asset{AssetTag: "LOST-0001", Name: "PowerEdge R640", Serial: m.code(7), Custody: "missing"}
	if err := m.create(policy, shipment, lost); err != nil {
		return err
	}
	parcel := &inventory.Parcel{Shipment: shipment.UID, Label: "1 of 1", TrackingCode: shipment.TrackingCode, Status: "silent", WeightGrams: 96_000, SealNo: "SE" + m.digits(6)}
	claim := &inventory.Claim{Reference: "C-1", Shipment: shipment.UID, Against: carrier.UID, Party: "carrier", Kind: "loss", Status: "unresponsive", Currency: currency, RequestedAmount: 500_000, FiledOn: "2026-10-01"}
	gone := &inventory.Disposition{Reference: "D-1", Kind: "lost", State: "draft", OnDate: "2026-10-02", Reason: "lost with its parcel", Shipment: shipment.UID}
	if err := m.create(parcel, claim, gone); err != nil {
		return err
	}
	at := time.Date(2026, 9, 20, 14, 30, 0, 0, time.UTC)
	return m.create(&inventory.ShipmentItem{Shipment: shipment.UID, Parcel: parcel.UID, Asset: lost.UID, Serial: lost.Serial, Description: lost.Name, Quantity: 1, State: "sent", DeclaredValueAmount: 100_000, Currency: currency},
		&inventory.TrackingEvent{Shipment: shipment.UID, Parcel: parcel.UID, OccurredAt: at, Status: "in_transit", Description: "left the depot", TrackingCode: shipment.TrackingCode, City: "Leipzig", Country: "DE", Source: "manual"},
		&inventory.TrackingSource{Name: "aftership", Kind: "aftership"},
		&inventory.ClaimEntry{Claim: claim.UID, At: at, Direction: "out", Channel: "email", Text: "asked for the whereabouts"},
		&inventory.Deadline{Title: "claim the loss in writing", DueOn: "2026-12-19", Kind: "claim", Shipment: shipment.UID},
		&inventory.CustomsDeclaration{Reference: "MRN-1", Shipment: shipment.UID, Kind: "import", DeclaredOn: "2026-09-22", Country: "DE", ContentsType: "gift", Currency: currency},
		&inventory.CustodyEvent{At: at, Asset: lost.UID, Shipment: shipment.UID, Kind: "handed_over", ToOrganization: carrier.UID, Place: "ramp 2"},
		&inventory.DispositionItem{Disposition: gone.UID, Asset: lost.UID, Serial: lost.Serial, BookAmount: 80_000, Currency: currency})
}

// plans are units kept free, moves and a walk along the shelves.
func (m maker) plans(g *ground) error {
	rack, position := g.racks[len(g.racks)-1], 41.0
	plan := &inventory.MovePlan{Name: "clear the last rack", Status: "draft", FromSite: rack.Site, ToSite: rack.Site}
	walk := &inventory.StockTake{Name: "autumn walk", State: "open", Site: rack.Site}
	shelf := &inventory.Device{Name: "shelf-1", Site: rack.Site, Location: rack.Location, Role: "shelf"}
	if err := m.create(plan, walk, shelf); err != nil {
		return err
	}
	return m.create(&inventory.RackReservation{Rack: rack.UID, FromUnit: 42, Height: 1, Description: "patch panel"},
		&inventory.Move{MovePlan: plan.UID, Device: shelf.UID, State: "planned", ToSite: rack.Site, ToRack: rack.UID, ToPosition: &position, ToFace: "front"},
		&inventory.StockTakeItem{StockTake: walk.UID, Asset: g.spare.UID, Code: g.spare.AssetTag, Result: "expected"})
}

// notes are what is tied to objects of any kind.
func (m maker) notes(g *ground) error {
	digest := m.hex() + m.hex()
	paper := &inventory.Document{Name: "waybill.pdf", Kind: "waybill", MediaType: "application/pdf", Digest: "sha256:" + digest, SizeBytes: 48_211, Date: "2026-09-19", UploadedBy: "anna"}
	tag := &inventory.Tag{Name: "second hand", Color: "aa1409"}
	field := &inventory.CustomField{Name: "support_contract", Label: "Support contract", Noun: "asset", Kind: "text"}
	if err := m.create(paper, tag, field); err != nil {
		return err
	}
	on := g.spare.UID
	return m.create(&inventory.Attachment{Document: paper.UID, Noun: "asset", Object: on, Caption: "as it came"},
		&inventory.Tagging{Tag: tag.UID, Noun: "asset", Object: on},
		&inventory.CustomValue{CustomField: field.UID, Noun: "asset", Object: on, Value: "until 2027"},
		&inventory.Comment{Noun: "asset", Object: on, Kind: "info", Text: "one outlet hums"},
		&inventory.SavedFilter{Name: "Installed", Noun: "asset", Query: "custody=installed", Shared: true})
}

// digits is a number of so many digits.
func (m maker) digits(length int) string {
	b := make([]byte, length)
	for i := range b {
		b[i] = '0' + byte(m.random.IntN(10))
	}
	return string(b)
}
