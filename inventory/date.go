package inventory

import (
	"fmt"
	"time"
)

// Date is a civil date, YYYY-MM-DD: the day of a deadline or of an invoice, in the zone of the place it is about. "" is not known.
// Dates compare as texts do.
type Date string

// DateOf is the day of t in t's own zone.
func DateOf(t time.Time) Date { return Date(t.Format(time.DateOnly)) }

// ParseDate reads YYYY-MM-DD; "" is "".
func ParseDate(s string) (Date, error) {
	if s == "" {
		return "", nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1900 {
		return "", fmt.Errorf("%q is not a date such as 2026-11-22", abbreviate(s, 40))
	}
	return DateOf(t), nil
}

// Time is the date's first instant, in UTC; the zero time for "" and for what is no date.
func (d Date) Time() time.Time {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return time.Time{}
	}
	return t
}

// AddDays is the date n days later; "" stays "".
func (d Date) AddDays(n int) Date {
	if d == "" {
		return ""
	}
	return DateOf(d.Time().AddDate(0, 0, n))
}

// AddMonths is the same day n months later, or that month's last day where it is shorter: a year from 29 February ends on the 28th.
func (d Date) AddMonths(n int) Date {
	if d == "" {
		return ""
	}
	t := d.Time()
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return DateOf(first.AddDate(0, 0, min(t.Day(), last)-1))
}

// Until is the number of days from d to other: negative when other is earlier, 0 when either is not known.
func (d Date) Until(other Date) int {
	if d == "" || other == "" {
		return 0
	}
	return int(other.Time().Sub(d.Time()).Hours() / 24)
}
