package notify

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"berth/inventory"
)

// parseCalendar is a reader of iCalendar (RFC 5545 §3.1), strict about lines, folds and nesting. It returns the events' properties.
func parseCalendar(text string) ([]map[string]string, error) {
	if !strings.HasSuffix(text, "\r\n") {
		return nil, errors.New("the last line does not end with CRLF")
	}
	var lines []string
	for _, line := range strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n") {
		switch {
		case len(line) > 75:
			return nil, fmt.Errorf("a line of %d octets: %q", len(line), line)
		case strings.ContainsAny(line, "\r\n"):
			return nil, fmt.Errorf("a bare line break in %q", line)
		case !utf8.ValidString(line):
			return nil, fmt.Errorf("a character is cut in two in %q", line)
		case strings.HasPrefix(line, " ") && len(lines) > 0:
			lines[len(lines)-1] += line[1:]
		default:
			lines = append(lines, line)
		}
	}
	var events []map[string]string
	var open []string
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("no property: %q", line)
		}
		name, _, _ = strings.Cut(name, ";")
		switch {
		case name == "BEGIN":
			open = append(open, value)
			if value == "VEVENT" {
				events = append(events, map[string]string{})
			}
		case name == "END":
			if len(open) == 0 || open[len(open)-1] != value {
				return nil, fmt.Errorf("END:%s closes %v", value, open)
			}
			open = open[:len(open)-1]
		case len(open) == 2 && open[1] == "VEVENT":
			events[len(events)-1][name] = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\;`, ";", `\,`, ",").Replace(value)
		}
	}
	if len(open) > 0 {
		return nil, fmt.Errorf("%v is never closed", open)
	}
	return events, nil
}

var feedNow = time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)

func TestCalendar(t *testing.T) {
	long := strings.Repeat("Frankfurt, Kleyerstraße; 漢字 \\ ", 20)
	items := []Item{
		{Key: "deadline/1", Title: "Claim, or lose; it", Text: "first\r\nsecond\nEND:VCALENDAR", URL: "https://b/shipments/1", Day: "2028-02-29", Kind: "claim", Updated: feedNow},
		{Key: "no day", Title: "in no calendar"},
		{Key: "long", Title: long, Day: "2026-12-31", Updated: feedNow},
	}
	var out bytes.Buffer
	if err := Calendar(&out, "berth: deadlines", items, feedNow); err != nil {
		t.Fatal(err)
	}
	events, err := parseCalendar(out.String())
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if len(events) != 2 {
		t.Fatalf("%d events", len(events))
	}
	first := events[0]
	for name, want := range map[string]string{"UID": "deadline/1@berth", "DTSTAMP": "20261122T093000Z", "DTSTART": "20280229", "DTEND": "20280301", "SUMMARY": "Claim, or lose; it",
		"DESCRIPTION": "first\nsecond\nEND:VCALENDAR", "URL": "https://b/shipments/1"} {
		if first[name] != want {
			t.Errorf("%s is %q, want %q", name, first[name], want)
		}
	}
	if events[1]["SUMMARY"] != long || events[1]["DTEND"] != "20270101" {
		t.Errorf("the long one is %q until %s", events[1]["SUMMARY"], events[1]["DTEND"])
	}
}

// FuzzCalendar holds that no text breaks the lines of a calendar or slips an event in.
func FuzzCalendar(f *testing.F) {
	f.Add("a\r\nBEGIN:VEVENT\r\n", "b\x00\\n;,", "https://x\r\nX:1")
	f.Add(strings.Repeat("ä", 100), "\xff", "")
	f.Fuzz(func(t *testing.T, title, text, url string) {
		var out bytes.Buffer
		if err := Calendar(&out, title, []Item{{Key: title, Title: title, Text: text, URL: url, Day: "2026-12-31"}}, feedNow); err != nil {
			t.Fatal(err)
		}
		if events, err := parseCalendar(out.String()); err != nil || len(events) != 1 {
			t.Errorf("%d events, %v", len(events), err)
		}
	})
}

func TestFeed(t *testing.T) {
	items := []Item{{Key: "n/1", Title: "<b>S-1</b> is silent\n", Text: "no word & nothing", URL: "https://b/shipments/1?a=1&b=2", Kind: "silent_parcel", Updated: feedNow.Add(-time.Hour)}, {Key: "n/2", Title: "x", Updated: feedNow.Add(-2 * time.Hour)}}
	var out bytes.Buffer
	if err := Feed(&out, "berth: notifications", "https://b/notifications", items, feedNow); err != nil {
		t.Fatal(err)
	}
	var feed atomFeed
	if err := xml.Unmarshal(out.Bytes(), &feed); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if feed.ID != "urn:berth:berth-notifications" || feed.Updated != "2026-11-22T08:30:00Z" || len(feed.Entries) != 2 {
		t.Errorf("the feed %+v", feed)
	}
	if e := feed.Entries[0]; e.Title != "<b>S-1</b> is silent " || e.Content.Text != "no word & nothing" || e.Link[0].Href != items[0].URL || e.Content.Type != "text" {
		t.Errorf("the entry %+v", e)
	}
}

func TestWorst(t *testing.T) {
	rows := []*inventory.Notification{{Title: "d", Severity: Info, DueOn: "2026-01-01"}, {Title: "c", Severity: Warning}, {Title: "b", Severity: Warning, DueOn: "2026-12-01"}, {Title: "a", Severity: Urgent}}
	Worst(rows)
	got := ""
	for _, r := range rows {
		got += r.Title
	}
	if got != "abcd" {
		t.Errorf("sorted %s", got)
	}
}
