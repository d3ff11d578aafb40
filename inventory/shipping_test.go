package inventory

import (
	"slices"
	"testing"
	"time"
)

// TestPhasesFollow walks every pair of phases. What is allowed is written out once more, as people would say it.
func TestPhasesFollow(t *testing.T) {
	allowed := []string{
		"draft packed", "draft handed_over", "draft received", "draft cancelled", "draft lost",
		"packed draft", "packed handed_over", "packed received", "packed cancelled", "packed lost",
		"handed_over packed", "handed_over received", "handed_over cancelled", "handed_over lost",
		"received handed_over", "received reconciled", "received lost",
		"reconciled received", "reconciled closed",
		"closed reconciled",
		"cancelled draft",
		"lost written_off", "lost handed_over", "lost received",
		"written_off lost", "written_off received",
	}
	for _, from := range Phases {
		for _, to := range Phases {
			s := Shipment{Reference: "S-1", Phase: string(from)}
			want := from == to || slices.Contains(allowed, string(from)+" "+string(to))
			err := s.Advance(to)
			if (err == nil) != want {
				t.Errorf("%s to %s: %v, allowed %v", from, to, err, want)
			}
			if err == nil && s.Phase != string(to) || err != nil && s.Phase != string(from) {
				t.Errorf("%s to %s leaves it %s", from, to, s.Phase)
			}
			if by, ok := from.MayFollow(to); ok && by == "" {
				t.Errorf("%s to %s says nothing of why", from, to)
			}
		}
	}
	field, _ := NounFor[Shipment]().Field("phase")
	if len(field.Values) != len(Phases) {
		t.Errorf("the field has %v, the table %v", field.Values, Phases)
	}
	for _, p := range Phases {
		if !slices.Contains(field.Values, string(p)) {
			t.Errorf("the field does not know %s", p)
		}
	}
}

// TestItemStatesFollow walks every pair of item states by rules, not by the table: what is here cannot be packed, what came on no list
// never stands on one, and so on.
func TestItemStatesFollow(t *testing.T) {
	order := map[ItemState]int{ItemListed: 0, ItemPacked: 1, ItemSent: 2}
	for _, from := range ItemStates {
		for _, to := range ItemStates {
			if from == to {
				continue
			}
			_, onTheWay := order[from]
			var want bool
			switch to {
			case ItemListed:
				want = from == ItemPacked
			case ItemPacked:
				want = from == ItemListed || from == ItemSent
			case ItemSent:
				want = from == ItemListed || from == ItemPacked || from == ItemReceived || from == ItemMissing
			case ItemMissing:
				want = onTheWay || from == ItemReceived || from == ItemDamaged || from == ItemSubstituted
			case ItemSubstituted:
				want = from != ItemNotExpected
			case ItemNotExpected:
				want = false
			default: // received, verified, damaged: anything may arrive
				want = true
			}
			i := ShipmentItem{Serial: "X", State: string(from)}
			if err := i.Become(to); (err == nil) != want {
				t.Errorf("%s to %s: %v, want allowed %v", from, to, err, want)
			}
		}
	}
	field, _ := NounFor[ShipmentItem]().Field("state")
	var values []string
	for _, s := range ItemStates {
		values = append(values, string(s))
	}
	if !slices.Equal(field.Values, values) {
		t.Errorf("the field has %v, the table %v", field.Values, values)
	}
}

func TestTrackingStatusesAreTheFields(t *testing.T) {
	field, _ := NounFor[TrackingEvent]().Field("status")
	for _, value := range field.Values {
		if !slices.Contains(TrackingStatuses, value) {
			t.Errorf("%s has no place in the order", value)
		}
	}
	if len(field.Values) != len(TrackingStatuses) {
		t.Errorf("the order has %v", TrackingStatuses)
	}
}

func TestTrackingKey(t *testing.T) {
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	same := TrackingKey("1Z 999-AA1", at, "D", "delivered")
	for name, other := range map[string]string{
		"another spelling": TrackingKey("1z999aa1", at, "D", "delivered"),
		"another zone":     TrackingKey("1Z999AA1", at.In(time.FixedZone("", 3600)), "D", "delivered"),
		"another status":   TrackingKey("1Z999AA1", at, "D", "in_transit"), // the carrier's code decides
	} {
		if other != same {
			t.Errorf("%s makes another event: %s, %s", name, same, other)
		}
	}
	for name, other := range map[string]string{
		"another code":    TrackingKey("1Z999AA2", at, "D", "delivered"),
		"another instant": TrackingKey("1Z999AA1", at.Add(time.Second), "D", "delivered"),
		"another kind":    TrackingKey("1Z999AA1", at, "I", "delivered"),
		"no code":         TrackingKey("1Z999AA1", at, "", "delivered"),
	} {
		if other == same {
			t.Errorf("%s is the same event: %s", name, same)
		}
	}
}

func TestShippingChecks(t *testing.T) {
	for name, test := range map[string]struct {
		obj   Checker
		field string
	}{
		"currency":       {&Shipment{Currency: "EURO"}, "currency"},
		"negative value": {&Shipment{DeclaredValueAmount: -1}, "declared_value_amount"},
		"silent days":    {&Shipment{SilentAfterDays: 400}, "silent_after_days"},
		"script link":    {&Shipment{TrackingURL: "javascript:alert(1)"}, "tracking_url"},
		"too long":       {&Parcel{LengthMM: 20_001}, "length_mm"},
		"too heavy":      {&Parcel{WeightGrams: 50_000_001}, "weight_grams"},
		"no thing":       {&ShipmentItem{}, "description"},
		"two of one":     {&ShipmentItem{Asset: NewUID(), Quantity: 2}, "quantity"},
		"no place":       {&TrackingSource{Kind: "poll", URL: "https://example.org/"}, "url"},
		"file":           {&TrackingSource{Kind: "poll", URL: "file:///{tracking_code}"}, "url"},
		"header":         {&TrackingSource{Header: "X: y\r\nZ"}, "header"},
		"path":           {&TrackingSource{Name: "a/b"}, "name"},
	} {
		err, _ := test.obj.Check().(*Invalid)
		if err == nil || err.Fields[test.field] == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := Shipment{Meta: Meta{UID: NewUID()}, Currency: "eur", TrackingCode: " 1z 999 "}
	if err := s.Check(); err != nil || s.Currency != "EUR" || s.TrackingCode != "1Z999" || s.Reference == "" || s.SilentAfter() != 5*24*time.Hour || s.Phase != "draft" {
		t.Errorf("%+v, %v", s, err)
	}
}
