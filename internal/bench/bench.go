// Package bench has what the measurements below it share: medians, percentiles, and tables of them. Each folder below is a program
// that runs the built binaries against real machines, packets or databases, and prints a table; docs/performance.md tells what
// they printed and on what.
package bench

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Number is what can be ranked here.
type Number interface{ ~int64 | ~float64 }

// Median is the middle of a list, the mean of the two middles where the count is even; 0 of none.
func Median[N Number](list []N) N {
	s := slices.Sorted(slices.Values(list))
	n := len(s)
	switch {
	case n == 0:
		return 0
	case n%2 == 0:
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[n/2]
}

// Percentile is the smallest value of a list that at least p in a hundred do not exceed (the nearest rank); 0 of none.
func Percentile[N Number](list []N, p float64) N {
	s := slices.Sorted(slices.Values(list))
	if len(s) == 0 {
		return 0
	}
	rank := int(p/100*float64(len(s)) + 0.999999)
	return s[min(max(rank, 1), len(s))-1]
}

// Sum adds a list up.
func Sum[N Number](list []N) N {
	var sum N
	for _, v := range list {
		sum += v
	}
	return sum
}

// Seconds writes a duration as seconds with one digit behind the point.
func Seconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }

// Millis writes a duration as milliseconds with one digit behind the point.
func Millis(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }

// Table prints rows below a head, in columns.
func Table(w io.Writer, head string, rows ...[]string) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, strings.ReplaceAll(head, " | ", "\t"))
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// Load is the machine's load average of the last minute, for a line above a table: figures of a busy machine say so.
func Load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
