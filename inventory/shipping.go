package inventory

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Phase is where a shipment stands in our own hands; between hand-over and receipt the carrier's status says more.
type Phase string

// The phases of a shipment, in the order of its life; the last three are ways out of it.
const (
	PhaseDraft      Phase = "draft"
	PhasePacked     Phase = "packed"
	PhaseHandedOver Phase = "handed_over"
	PhaseReceived   Phase = "received"
	PhaseReconciled Phase = "reconciled"
	PhaseClosed     Phase = "closed"
	PhaseCancelled  Phase = "cancelled"
	PhaseLost       Phase = "lost"
	PhaseWrittenOff Phase = "written_off"
)

// Phases lists them all.
var Phases = []Phase{PhaseDraft, PhasePacked, PhaseHandedOver, PhaseReceived, PhaseReconciled, PhaseClosed, PhaseCancelled, PhaseLost, PhaseWrittenOff}

// phaseFollows says which phase may follow which, and by what. A box that is lost or written off can still turn up.
var phaseFollows = map[Phase]map[Phase]string{
	PhaseDraft: {PhasePacked: "packed", PhaseHandedOver: "the carrier has it", PhaseReceived: "it arrived before anybody said that it was sent",
		PhaseCancelled: "cancelled", PhaseLost: "lost"},
	PhasePacked: {PhaseDraft: "unpacked", PhaseHandedOver: "handed over", PhaseReceived: "carried over by ourselves", PhaseCancelled: "cancelled", PhaseLost: "lost"},
	PhaseHandedOver: {PhasePacked: "taken back from the carrier", PhaseReceived: "received", PhaseCancelled: "stopped under way and given back",
		PhaseLost: "lost"},
	PhaseReceived:   {PhaseHandedOver: "it had not arrived after all", PhaseReconciled: "every line is accounted for", PhaseLost: "the rest is lost"},
	PhaseReconciled: {PhaseReceived: "another box came", PhaseClosed: "closed"},
	PhaseClosed:     {PhaseReconciled: "opened again"},
	PhaseCancelled:  {PhaseDraft: "taken up again"},
	PhaseLost:       {PhaseWrittenOff: "written off", PhaseHandedOver: "traced by the carrier", PhaseReceived: "it turned up"},
	PhaseWrittenOff: {PhaseLost: "the write-off was reversed", PhaseReceived: "it turned up"},
}

// MayFollow tells whether a shipment in phase p may go to next, and by what.
func (p Phase) MayFollow(next Phase) (by string, ok bool) {
	by, ok = phaseFollows[p][next]
	return by, ok
}

// UnderWay tells whether the goods are still to come.
func (p Phase) UnderWay() bool { return p == PhaseDraft || p == PhasePacked || p == PhaseHandedOver }

// Advance leads the shipment to the phase next; to the phase it is in, always. Errors: *Conflict.
func (s *Shipment) Advance(next Phase) error {
	if Phase(s.Phase) == next {
		return nil
	}
	if _, ok := Phase(s.Phase).MayFollow(next); !ok {
		return &Conflict{Noun: "shipment", UID: s.UID, Why: fmt.Sprintf("%s is %s and cannot become %s", s.Reference, words(s.Phase), words(string(next)))}
	}
	s.Phase = string(next)
	return nil
}

// ItemState is what is known of one line of a packing list.
type ItemState string

// The states of an item.
const (
	ItemListed      ItemState = "listed"
	ItemPacked      ItemState = "packed"
	ItemSent        ItemState = "sent"
	ItemReceived    ItemState = "received"
	ItemVerified    ItemState = "verified" // the thing itself has spoken: by a boot, a BMC, a scan or a person
	ItemMissing     ItemState = "missing"
	ItemDamaged     ItemState = "damaged"
	ItemSubstituted ItemState = "substituted"  // something else lay in its place
	ItemNotExpected ItemState = "not_expected" // it came and stood on no list
)

// ItemStates lists them all.
var ItemStates = []ItemState{ItemListed, ItemPacked, ItemSent, ItemReceived, ItemVerified, ItemMissing, ItemDamaged, ItemSubstituted, ItemNotExpected}

// itemFollows says which state may follow which. What came on no list stays that; it may be looked at and be verified.
var itemFollows = map[ItemState][]ItemState{
	ItemListed:      {ItemPacked, ItemSent, ItemReceived, ItemVerified, ItemMissing, ItemDamaged, ItemSubstituted},
	ItemPacked:      {ItemListed, ItemSent, ItemReceived, ItemVerified, ItemMissing, ItemDamaged, ItemSubstituted},
	ItemSent:        {ItemPacked, ItemReceived, ItemVerified, ItemMissing, ItemDamaged, ItemSubstituted},
	ItemReceived:    {ItemSent, ItemVerified, ItemMissing, ItemDamaged, ItemSubstituted},
	ItemVerified:    {ItemReceived, ItemDamaged, ItemSubstituted},
	ItemMissing:     {ItemSent, ItemReceived, ItemVerified, ItemDamaged, ItemSubstituted},
	ItemDamaged:     {ItemReceived, ItemVerified, ItemSubstituted, ItemMissing},
	ItemSubstituted: {ItemReceived, ItemVerified, ItemDamaged, ItemMissing},
	ItemNotExpected: {ItemReceived, ItemVerified, ItemDamaged},
}

// MayFollow tells whether an item in state s may become next.
func (s ItemState) MayFollow(next ItemState) bool { return slices.Contains(itemFollows[s], next) }

// Here tells whether the thing has arrived, in whatever condition.
func (s ItemState) Here() bool {
	switch s {
	case ItemReceived, ItemVerified, ItemDamaged, ItemSubstituted, ItemNotExpected:
		return true
	}
	return false
}

// Become leads the item to the state next; to the state it is in, always. Errors: *Conflict.
func (i *ShipmentItem) Become(next ItemState) error {
	if ItemState(i.State) == next {
		return nil
	}
	if !ItemState(i.State).MayFollow(next) {
		return &Conflict{Noun: "shipment-item", UID: i.UID, Why: fmt.Sprintf("%s is %s and cannot become %s", i.Name(), words(i.State), words(string(next)))}
	}
	i.State = string(next)
	return nil
}

// Name is how people call the line: by its serial, else by its description.
func (i *ShipmentItem) Name() string {
	for _, text := range []string{i.Serial, i.Description} {
		if text != "" {
			return abbreviate(text, 80)
		}
	}
	return "line " + i.UID.Short()
}

// words turns a value such as handed_over into what people read.
func words(value string) string { return strings.ReplaceAll(value, "_", " ") }

// TrackingKey tells repeats of an event apart from new ones: carriers and their hosts send the same event twice, late and out of order.
// Where a carrier gives no code of its own for what happened, our status stands for it.
func TrackingKey(code string, at time.Time, carrierCode, status string) string {
	if carrierCode == "" {
		carrierCode = "=" + status
	}
	return NormalTracking(code) + "|" + at.UTC().Truncate(timeQuantum).Format(time.RFC3339Nano) + "|" + abbreviate(carrierCode, 100)
}

// NormalTracking is a tracking code as it is compared: people and labels group its characters with blanks and hyphens.
func NormalTracking(code string) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", "-", "", ".", "", "\u00a0", "").Replace(strings.TrimSpace(code)))
}

// TrackingStatuses are the statuses of a parcel (EasyPost's words, and silent, which is ours), in the order in which they ask for a
// person: of several parcels the first in this order speaks for the shipment.
var TrackingStatuses = []string{"failure", "error", "return_to_sender", "silent", "cancelled", "unknown", "pre_transit", "available_for_pickup", "in_transit", "out_for_delivery", "delivered"}

// The most that fits in a parcel, so that a slip of the keyboard is noticed.
const (
	maxParcelMM    = 20_000     // 20 m
	maxParcelGrams = 50_000_000 // 50 t
	maxSilentDays  = 365
	maxQuantity    = 100_000
)

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (s *Shipment) Check() error {
	bad := &findings{noun: "shipment"}
	settleReference(&s.Reference, "S", s.UID)
	s.TrackingCode = NormalTracking(s.TrackingCode)
	settleCurrency(&s.Currency, bad)
	if s.TrackingURL != "" {
		if why := urlProblem(s.TrackingURL, "https", "http"); why != "" {
			bad.add("tracking_url", "%s", why)
		}
	}
	if s.SilentAfterDays < 0 || s.SilentAfterDays > maxSilentDays {
		bad.add("silent_after_days", "is from 1 to %d days, or empty", maxSilentDays)
	}
	notNegative(bad, map[string]int64{"declared_value_amount": s.DeclaredValueAmount, "insured_amount": s.InsuredAmount, "gross_weight_grams": s.GrossWeightGrams})
	if s.Phase == "" {
		s.Phase = string(PhaseDraft)
	}
	return bad.err()
}

// silentDays is after how long without a word a parcel counts as silent, where the shipment says nothing else.
const silentDays = 5

// SilentAfter is how long the carrier may say nothing before that is news.
func (s *Shipment) SilentAfter() time.Duration {
	days := s.SilentAfterDays
	if days == 0 {
		days = silentDays
	}
	return time.Duration(days) * 24 * time.Hour
}

// Check judges the measures of a box. Errors: *Invalid.
func (p *Parcel) Check() error {
	bad := &findings{noun: "parcel"}
	p.TrackingCode = NormalTracking(p.TrackingCode)
	for field, mm := range map[string]int{"length_mm": p.LengthMM, "width_mm": p.WidthMM, "height_mm": p.HeightMM} {
		if mm < 0 || mm > maxParcelMM {
			bad.add(field, "is from 1 mm to %d mm, or empty", maxParcelMM)
		}
	}
	if p.WeightGrams < 0 || p.WeightGrams > maxParcelGrams {
		bad.add("weight_grams", "is from 1 g to %d kg, or empty", maxParcelGrams/1000)
	}
	return bad.err()
}

// Check fills in what is left empty and judges the rest. Errors: *Invalid.
func (i *ShipmentItem) Check() error {
	bad := &findings{noun: "shipment item"}
	setDefault(&i.Quantity, 1)
	settleCurrency(&i.Currency, bad)
	i.CountryOfOrigin = strings.ToUpper(i.CountryOfOrigin)
	if i.Quantity < 0 || i.Quantity > maxQuantity {
		bad.add("quantity", "is from 1 to %d", maxQuantity)
	}
	if i.Asset != "" && i.Quantity > 1 {
		bad.add("quantity", "of a line that names an asset is 1")
	}
	if i.Asset == "" && i.Serial == "" && i.Description == "" {
		bad.add("description", "name an asset, a serial or at least what it is")
	}
	notNegative(bad, map[string]int64{"declared_value_amount": i.DeclaredValueAmount, "weight_grams": i.WeightGrams})
	return bad.err()
}

// CheckIn holds the line against its neighbours: its parcel is one of the same shipment, its asset stands on the list once. It takes the
// serial of its asset where it has none. Errors: *Invalid.
func (i *ShipmentItem) CheckIn(tx Tx, before Object) error {
	was, _ := before.(*ShipmentItem)
	if i.Parcel != "" && (was == nil || was.Parcel != i.Parcel || was.Shipment != i.Shipment) {
		p, err := TxGet[Parcel](tx, string(i.Parcel))
		if err == nil && p.Shipment != i.Shipment {
			return NotAllowed("shipment item", "parcel", "%s belongs to another shipment", p.Label)
		}
	}
	if i.Asset == "" || was != nil && was.Asset == i.Asset && was.Shipment == i.Shipment {
		return nil
	}
	twice, err := TxList[ShipmentItem](tx, Query{Filters: []Filter{Is("shipment", i.Shipment), Is("asset", i.Asset)}, Limit: 2})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(twice, func(other *ShipmentItem) bool { return other.UID != i.UID }) {
		return NotAllowed("shipment item", "asset", "stands on this packing list already")
	}
	if a, err := TxGet[Asset](tx, string(i.Asset)); err == nil {
		setDefault(&i.Serial, a.Serial)
	}
	return nil
}

// Check gives the event its key, by which a repeat is known. Errors: *Invalid.
func (e *TrackingEvent) Check() error {
	e.TrackingCode = NormalTracking(e.TrackingCode)
	e.Country = strings.ToUpper(e.Country)
	setDefault(&e.Status, "unknown")
	e.Key = TrackingKey(e.TrackingCode, e.OccurredAt, e.CarrierCode, e.Status)
	return nil
}

// Check judges a source: its name, which is part of an address, and where and how often it is asked. One that has no secret is let in by
// nobody: see the webhook. Errors: *Invalid.
func (s *TrackingSource) Check() error {
	bad := &findings{noun: "tracking source"}
	s.Name = strings.ToLower(s.Name)
	if s.Name != "" && (len(s.Name) > 100 || !slugForm.MatchString(s.Name)) {
		bad.add("name", "stands in an address: lower-case letters, digits, - and _ only")
	}
	if s.URL != "" {
		if why := urlProblem(strings.ReplaceAll(s.URL, "{tracking_code}", "1"), "https", "http"); why != "" {
			bad.add("url", "%s", why)
		}
	}
	if s.Kind == "poll" && !strings.Contains(s.URL, "{tracking_code}") {
		bad.add("url", "is the address to ask, with {tracking_code} where the code belongs")
	}
	if s.EveryMinutes < 0 || s.EveryMinutes > 7*24*60 {
		bad.add("every_minutes", "is from 1 min to a week (10080 min), or empty for 60 min")
	}
	if !headerForm(s.Header) {
		bad.add("header", "is the name of an HTTP header, such as DHL-API-Key")
	}
	return bad.err()
}

// headerForm tells whether name may be the name of a header (RFC 9110, section 5.1), or is empty.
func headerForm(name string) bool {
	return strings.IndexFunc(name, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_'
	}) < 0 && len(name) <= 100
}

// settleCurrency writes a currency in capitals and judges its form.
func settleCurrency(currency *string, bad *findings) {
	*currency = strings.ToUpper(*currency)
	if c := *currency; c != "" && (len(c) != 3 || strings.Trim(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
		bad.add("currency", "is three letters, such as EUR (ISO 4217)")
	}
}

func notNegative(bad *findings, amounts map[string]int64) {
	for field, n := range amounts {
		if n < 0 {
			bad.add(field, "cannot be negative")
		}
	}
}

// Packed is one box as it was closed: what pack is told. What is left empty stays as it is on record.
type Packed struct {
	Label        string `json:"label,omitempty"` // 1 of 3; numbered if left empty
	TrackingCode string `json:"tracking_code,omitempty"`
	LengthMM     int    `json:"length_mm,omitempty"`
	WidthMM      int    `json:"width_mm,omitempty"`
	HeightMM     int    `json:"height_mm,omitempty"`
	WeightGrams  int64  `json:"weight_grams,omitempty"`
	SealNo       string `json:"seal_no,omitempty"`
	Photo        string `json:"photo,omitempty"` // uid of a document
	Contents     string `json:"contents,omitempty"`
	// Items are the serials, asset tags or uids of the lines that lie in it.
	Items []string `json:"items,omitempty"`
}
