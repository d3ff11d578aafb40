package claims

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"berth/inventory"
)

func at(t *testing.T, text string) *time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return &when
}

// line writes a day as the table below does.
func line(d Due) string {
	text := fmt.Sprintf("%s %s from %s", d.Rule.Name, d.DueOn, d.StartsOn)
	if d.NotBefore != "" {
		text += " not before " + string(d.NotBefore)
	}
	if len(d.Assumes) > 0 {
		text += fmt.Sprintf(" (%d assumed)", len(d.Assumes))
	}
	return text
}

// The days were counted by hand on a calendar.
func TestClock(t *testing.T) {
	dhl := &inventory.Organization{Name: "DHL Express", Slug: "dhl", CarrierCode: "DHL_Express", Roles: []string{"carrier"}}
	usps := &inventory.Organization{Name: "USPS", Slug: "usps"}
	abroad := func(f Facts) Facts { f.FromCountry, f.ToCountry = "us", "DE"; return f }
	for _, test := range []struct {
		name  string
		facts Facts
		want  string
	}{
		{"nothing is known", Facts{Shipment: &inventory.Shipment{}}, ""},
		{"by air, delivered late in the evening in New York, which is the next day in UTC",
			abroad(Facts{Shipment: &inventory.Shipment{Mode: "air", HandedOverAt: at(t, "2026-01-05T10:00:00Z"), DeliveredAt: at(t, "2026-02-15T03:30:00Z")}, OriginZone: "Europe/Berlin", DestinationZone: "America/New_York"}),
			"montreal-damage 2026-02-28 from 2026-02-14; montreal-delay 2026-03-07 from 2026-02-14; montreal-suit 2028-02-14 from 2026-02-14"},
		{"a leap day: two years from 29 February 2028 end on 28 February 2030, 14 days lead into March",
			abroad(Facts{Shipment: &inventory.Shipment{Mode: "air", DeliveredAt: at(t, "2028-02-29T12:00:00Z")}, DestinationZone: "Europe/Berlin"}),
			"montreal-damage 2028-03-14 from 2028-02-29; montreal-delay 2028-03-21 from 2028-02-29; montreal-suit 2030-02-28 from 2028-02-29"},
		{"by air, not arrived",
			abroad(Facts{Shipment: &inventory.Shipment{Mode: "air", HandedOverAt: at(t, "2026-10-01T10:00:00Z"), PromisedOn: "2026-10-09"}, OriginZone: "Europe/Berlin"}),
			"montreal-lost 2026-10-16 from 2026-10-09; montreal-suit 2028-10-09 from 2026-10-09 (1 assumed)"},
		{"by road: seven days without the Sunday, from a Thursday",
			abroad(Facts{Shipment: &inventory.Shipment{Mode: "road", DeliveredAt: at(t, "2026-11-12T09:00:00Z")}, DestinationZone: "Europe/Berlin"}),
			"cmr-hidden-damage 2026-11-20 from 2026-11-12 (1 assumed); cmr-delay 2026-12-03 from 2026-11-12; cmr-suit 2027-11-12 from 2026-11-12"},
		{"by road, no day agreed: lost after sixty days",
			abroad(Facts{Shipment: &inventory.Shipment{Mode: "road", HandedOverAt: at(t, "2026-12-15T09:00:00Z")}, OriginZone: "Europe/Berlin"}),
			"cmr-lost-no-limit 2027-02-13 from 2026-12-15; cmr-suit 2027-12-15 from 2026-12-15 (1 assumed)"},
		{"by road, a day agreed: lost after thirty",
			abroad(Facts{Shipment: &inventory.Shipment{Mode: "road", HandedOverAt: at(t, "2026-12-15T09:00:00Z"), PromisedOn: "2026-12-18"}, OriginZone: "Europe/Berlin"}),
			"cmr-lost 2027-01-17 from 2026-12-18; cmr-suit 2027-12-18 from 2026-12-18 (1 assumed)"},
		{"a carrier by its code, the countries not known, the zone neither",
			Facts{Shipment: &inventory.Shipment{HandedOverAt: at(t, "2026-10-20T23:30:00Z")}, Carrier: dhl},
			"dhl-express-claim 2026-11-19 from 2026-10-20 (1 assumed)"},
		{"the same handed over half an hour after midnight in Berlin",
			Facts{Shipment: &inventory.Shipment{HandedOverAt: at(t, "2026-10-20T23:30:00Z")}, Carrier: dhl, OriginZone: "Europe/Berlin"},
			"dhl-express-claim 2026-11-20 from 2026-10-21"},
		{"within a country: no convention, and USPS hears nothing before the fifteenth day",
			Facts{Shipment: &inventory.Shipment{Mode: "air", HandedOverAt: at(t, "2026-03-01T12:00:00Z")}, Carrier: usps, OriginZone: "America/New_York", FromCountry: "US", ToCountry: "US"},
			"usps-domestic 2026-04-30 from 2026-03-01 not before 2026-03-16"},
		{"the policy's own days, and what we received ourselves",
			Facts{Shipment: &inventory.Shipment{ReceivedAt: at(t, "2026-05-02T12:00:00Z")}, Policy: &inventory.InsurancePolicy{NoticeDays: 3}, DestinationZone: "Asia/Tokyo"},
			"policy-notice 2026-05-05 from 2026-05-02 (1 assumed)"},
		{"a policy without days is no deadline",
			Facts{Shipment: &inventory.Shipment{DeliveredAt: at(t, "2026-05-02T12:00:00Z")}, Policy: &inventory.InsurancePolicy{}}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, due := range Default().Clock(test.facts) {
				got = append(got, line(due))
			}
			if text := strings.Join(got, "; "); text != test.want {
				t.Errorf("got  %s\nwant %s", text, test.want)
			}
		})
	}
}

// A weekend is two days, for rules that people write.
func TestWorkingDays(t *testing.T) {
	for _, test := range []struct {
		except string
		from   inventory.Date
		days   int
		want   inventory.Date
	}{
		{"weekends", "2026-11-20", 1, "2026-11-23"}, // from a Friday to Monday
		{"weekends", "2026-11-22", 5, "2026-11-27"}, // from a Sunday
		{"sundays", "2026-11-20", 2, "2026-11-23"},  // Saturday counts
		{"weekends", "2027-12-30", 2, "2028-01-03"}, // Friday, then Monday of the new year
		{"sundays", "2026-11-20", 0, "2026-11-20"},
	} {
		r := Rule{Except: test.except, Days: test.days}
		if got := r.after(Facts{}, test.from); got != test.want {
			t.Errorf("%d days without %s after %s: %s, want %s", test.days, test.except, test.from, got, test.want)
		}
	}
}

func TestRulesFileIsJudged(t *testing.T) {
	row := func(lines string) string {
		return "version: 1\nrules:\n  - rule: mine\n    what: claim\n    about: loss\n    from: [handed_over]\n    source: a letter\n" + lines
	}
	for _, test := range []struct{ text, want string }{
		{row("    days: 10\n"), ""},
		{row("    days: 10\n    dayz: 3\n"), "dayz"},
		{row(""), "one of days, months and years"},
		{row("    days: 10\n    years: 1\n"), "one of days, months and years"},
		{row("    days: -1\n"), "negative"},
		{row("    days: 99999999\n"), "too long"},
		{row("    days: 1\n    modes: [rocket]\n"), "modes are"},
		{row("    days: 1\n    scope: lunar\n"), "scope is"},
		{row("    days: 1\n    checked_on: yesterday\n"), "checked_on"},
		{row("    days: 1\n    unless: never\n"), "unless"},
		{row("    days: 1\n    except: mondays\n"), "except"},
		{row("    days_from: policy\n    days: 1\n"), "stands alone"},
		{row("    days: 1\n  - rule: mine\n    what: suit\n    from: [promised]\n    days: 1\n    source: x\n"), "two rules"},
		{"version: 1\nrules:\n  - rule: Bad Name\n    what: suit\n    from: [promised]\n    days: 1\n    source: x\n", "row 1"},
		{"version: 1\nrules:\n  - rule: unsourced\n    what: suit\n    from: [promised]\n    days: 1\n", "source is missing"},
		{"version: 2\nrules: []\n", "version 2"},
		{"rules: {", "read the deadline rules"},
		{strings.Repeat("# a long file\n", 100_000), "more than"},
	} {
		_, err := ReadRules(strings.NewReader(test.text))
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%.80q: %v", test.text, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%.200q: got %v, want something about %q", test.text, err, test.want)
		}
	}
}

// Every rule that comes with berth names its source, and one that was never looked up says so.
func TestDefaultRulesAreSourced(t *testing.T) {
	for _, r := range Default().Rows {
		if r.CheckedOn == "" && !r.Unsure && r.DaysFrom == "" {
			t.Errorf("%s was never looked up and is not marked unsure", r.Name)
		}
		if r.Unsure && r.CheckedOn != "" {
			t.Errorf("%s is marked unsure and yet looked up", r.Name)
		}
	}
}

// FuzzRules holds that no file makes the reader or the clock panic, and that every day found is a date.
func FuzzRules(f *testing.F) {
	f.Add(string(defaultRules), "2026-11-22", "air")
	f.Add("version: 1\nrules: [{rule: a, what: suit, from: [promised], years: 50, source: x, except: weekends}]", "9999-12-31", "sea")
	f.Fuzz(func(t *testing.T, text, promised, mode string) {
		rules, err := ReadRules(strings.NewReader(text))
		if err != nil {
			return
		}
		date, err := inventory.ParseDate(promised)
		if err != nil || date > "9000" {
			return
		}
		when := date.Time()
		for _, due := range rules.Clock(Facts{Shipment: &inventory.Shipment{Mode: mode, PromisedOn: date, HandedOverAt: &when}}) {
			if _, err := inventory.ParseDate(string(due.DueOn)); err != nil {
				t.Errorf("%s: %v", due.Rule.Name, err)
			}
		}
	})
}
