package notify

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"berth/inventory"
)

// Item is one entry of a calendar or a feed.
type Item struct {
	Key     string // names it for ever: a calendar sees the same entry move, not a new one
	Title   string
	Text    string
	URL     string         // where to read more; may be empty
	Day     inventory.Date // of a calendar entry; entries without one are in no calendar
	Updated time.Time
	Kind    string
}

// Calendar writes items as iCalendar (RFC 5545), each a day of its own with a reminder three days before.
func Calendar(w io.Writer, name string, items []Item, now time.Time) error {
	c := &calendar{w: w}
	c.line("BEGIN", "VCALENDAR")
	c.line("VERSION", "2.0")
	c.line("PRODID", "-//berth//record//EN")
	c.line("CALSCALE", "GREGORIAN")
	c.line("METHOD", "PUBLISH")
	c.line("X-WR-CALNAME", escape(name))
	c.line("REFRESH-INTERVAL;VALUE=DURATION", "PT1H")
	for _, item := range items {
		if day := item.Day.Time(); !day.IsZero() {
			c.event(item, day, now)
		}
	}
	c.line("END", "VCALENDAR")
	return c.err
}

// calendar writes content lines; the first error is kept.
type calendar struct {
	w   io.Writer
	err error
}

func (c *calendar) event(item Item, day, now time.Time) {
	c.line("BEGIN", "VEVENT")
	c.line("UID", escape(item.Key)+"@berth")
	c.line("DTSTAMP", now.UTC().Format("20060102T150405Z"))
	c.line("DTSTART;VALUE=DATE", day.Format("20060102"))
	c.line("DTEND;VALUE=DATE", day.AddDate(0, 0, 1).Format("20060102"))
	c.line("SUMMARY", escape(item.Title))
	if item.Text != "" {
		c.line("DESCRIPTION", escape(item.Text))
	}
	if item.URL != "" {
		c.line("URL", oneLine(item.URL))
	}
	if item.Kind != "" {
		c.line("CATEGORIES", escape(item.Kind))
	}
	c.line("TRANSP", "TRANSPARENT")
	c.line("BEGIN", "VALARM")
	c.line("ACTION", "DISPLAY")
	c.line("DESCRIPTION", escape(item.Title))
	c.line("TRIGGER", "-P3D")
	c.line("END", "VALARM")
	c.line("END", "VEVENT")
}

// maxLine is how many octets of a line are written before it is folded (RFC 5545 §3.1).
const maxLine = 75

// line writes a content line, folded between characters and not within one.
func (c *calendar) line(name, value string) {
	text := name + ":" + value
	var b strings.Builder
	room := maxLine
	for _, r := range text {
		n := utf8.RuneLen(r)
		if n < 0 {
			r, n = utf8.RuneError, 3
		}
		if n > room {
			b.WriteString("\r\n ")
			room = maxLine - 1
		}
		b.WriteRune(r)
		room -= n
	}
	b.WriteString("\r\n")
	if c.err == nil {
		_, c.err = io.WriteString(c.w, b.String())
	}
}

// escape writes a TEXT value (RFC 5545 §3.3.11). Other controls than the line break have no place in one.
func escape(s string) string {
	s = strings.NewReplacer("\r\n", "\n", `\`, `\\`, ";", `\;`, ",", `\,`).Replace(s)
	s = strings.ReplaceAll(s, "\n", `\n`)
	return oneLine(s)
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// The elements of Atom (RFC 4287) that we write.
type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Author  string      `xml:"author>name"`
	Links   []atomLink  `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr,omitempty"`
	Href string `xml:"href,attr"`
}

type atomEntry struct {
	ID       string      `xml:"id"`
	Title    string      `xml:"title"`
	Updated  string      `xml:"updated"`
	Link     []atomLink  `xml:"link"`
	Category []atomTerm  `xml:"category"`
	Content  atomContent `xml:"content"`
}

type atomTerm struct {
	Term string `xml:"term,attr"`
}

type atomContent struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

// Feed writes items as Atom, which every reader of RSS takes. home is the address of the page they stand on.
func Feed(w io.Writer, name, home string, items []Item, now time.Time) error {
	feed := atomFeed{ID: "urn:berth:" + inventory.Slug(name), Title: name, Author: "berth", Updated: now.UTC().Format(time.RFC3339)}
	if home != "" {
		feed.Links = []atomLink{{Rel: "alternate", Href: home}}
	}
	newest := time.Time{}
	for _, item := range items {
		entry := atomEntry{ID: "urn:berth:" + item.Key, Title: oneLine(item.Title), Updated: item.Updated.UTC().Format(time.RFC3339), Content: atomContent{"text", item.Text}}
		if item.URL != "" {
			entry.Link = []atomLink{{Rel: "alternate", Href: item.URL}}
		}
		if item.Kind != "" {
			entry.Category = []atomTerm{{item.Kind}}
		}
		if item.Updated.After(newest) {
			newest = item.Updated
		}
		feed.Entries = append(feed.Entries, entry)
	}
	if !newest.IsZero() {
		feed.Updated = newest.UTC().Format(time.RFC3339)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", " ")
	if err := enc.Encode(feed); err != nil {
		return fmt.Errorf("write the feed %s: %w", name, err)
	}
	return enc.Close()
}
