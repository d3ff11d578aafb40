package bench

import (
	"strings"
	"testing"
	"time"
)

func TestRanks(t *testing.T) {
	for _, c := range []struct {
		list        []float64
		median, p99 float64
	}{
		{nil, 0, 0},
		{[]float64{3}, 3, 3},
		{[]float64{4, 1}, 2.5, 4},
		{[]float64{9, 1, 5}, 5, 9},
	} {
		if got := Median(c.list); got != c.median {
			t.Errorf("median of %v is %v, want %v", c.list, got, c.median)
		}
		if got := Percentile(c.list, 99); got != c.p99 {
			t.Errorf("p99 of %v is %v, want %v", c.list, got, c.p99)
		}
	}
	var hundred []time.Duration
	for i := range 200 {
		hundred = append(hundred, time.Duration(i+1))
	}
	if got := Percentile(hundred, 99); got != 198 {
		t.Errorf("p99 of 1 to 200 is %d, want 198", got)
	}
	if got := Percentile(hundred, 50); got != 100 {
		t.Errorf("p50 of 1 to 200 is %d, want 100", got)
	}
	if got := Sum(hundred); got != 20100 {
		t.Errorf("sum is %d", got)
	}
}

func TestTable(t *testing.T) {
	var out strings.Builder
	if err := Table(&out, "pair | with", []string{"1", Seconds(1250 * time.Millisecond)}, []string{"median", Millis(1500 * time.Microsecond)}); err != nil {
		t.Fatal(err)
	}
	want := "pair    with\n1       1.2\nmedian  1.5\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
