package finance

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"berth/inventory"
)

func amount(minor int64) *int64 { return &minor }

func day(text string) *time.Time {
	t := inventory.Date(text).Time()
	return &t
}

func TestMonthsBooked(t *testing.T) {
	cases := []struct {
		start, asOf inventory.Date
		want        int
	}{
		{"2026-01-10", "2026-01-09", 0}, {"2026-01-10", "2026-01-10", 0}, {"2026-01-10", "2026-01-30", 0}, {"2026-01-10", "2026-01-31", 1},
		{"2026-01-31", "2026-01-31", 1}, {"2026-01-10", "2026-02-10", 1}, {"2026-01-10", "2026-02-28", 2}, {"2028-02-01", "2028-02-28", 0},
		{"2028-02-01", "2028-02-29", 1}, {"2026-01-10", "2028-12-31", 36}, {"2026-12-01", "2027-01-01", 1},
	}
	for _, c := range cases {
		if got := monthsBooked(c.start, c.asOf); got != c.want {
			t.Errorf("from %s to %s: %d months, not %d", c.start, c.asOf, got, c.want)
		}
	}
}

func TestBookValue(t *testing.T) {
	straightly := inventory.Book{Method: "straight_line", LifeMonths: 36, Currency: "EUR"}
	falling := inventory.Book{Method: "declining_balance", LifeMonths: 60, RatePercent: 40, Currency: "EUR"}
	bought := inventory.Asset{Currency: "EUR", CostAmount: 360_000, LandedCostAmount: 396_000, AcquiredAt: day("2026-01-10")}
	donated := inventory.Asset{Currency: "EUR", FairValueAmount: amount(72_000), LandedCostAmount: 3_600, AcquiredAt: day("2026-01-10")}
	with := func(a inventory.Asset, fn func(*inventory.Asset)) inventory.Asset { fn(&a); return a }
	cases := []struct {
		name  string
		book  inventory.Book
		asset inventory.Asset
		entry *inventory.BookEntry
		asOf  inventory.Date
		want  int64
		state State
	}{
		{"before it came", straightly, bought, nil, "2026-01-09", 0, NotYet},
		{"on its day", straightly, bought, nil, "2026-01-10", 396_000, Counted},
		{"first month", straightly, bought, nil, "2026-01-31", 385_000, Counted},
		{"end of the year", straightly, bought, nil, "2026-12-31", 264_000, Counted},
		{"future", straightly, bought, nil, "2028-11-30", 11_000, Counted},
		{"at its end", straightly, bought, nil, "2028-12-31", 0, Depreciated},
		{"long after", straightly, bought, nil, "2050-01-01", 0, Depreciated},
		{"salvage by the book", inventory.Book{LifeMonths: 36, SalvagePercent: 10, Currency: "EUR"}, bought, nil, "2050-01-01", 39_600, Depreciated},
		{"salvage of the asset", straightly, with(bought, func(a *inventory.Asset) { a.SalvageAmount = amount(36_000) }), nil, "2026-12-31", 276_000, Counted},
		{"salvage above the basis", straightly, with(bought, func(a *inventory.Asset) { a.SalvageAmount = amount(999_000) }), nil, "2027-12-31", 396_000, Counted},
		{"no depreciation", inventory.Book{Method: "none", LifeMonths: 36}, bought, nil, "2050-01-01", 396_000, Counted},
		{"in service later", straightly, with(bought, func(a *inventory.Asset) { a.InServiceOn = "2026-03-15" }), nil, "2026-02-28", 396_000, Waiting},
		{"in service later, then", straightly, with(bought, func(a *inventory.Asset) { a.InServiceOn = "2026-03-15" }), nil, "2026-03-31", 385_000, Counted},
		// 396,000 × 0.6 = 237,600; × 0.6 = 142,560; then 36 months are left, of which the straight line takes 47,520 a year and 40 % 57,024: × 0.6 = 85,536;
		// with 24 months left the straight line takes 42,768, more than 34,214.40.
		{"declining, first year", falling, bought, nil, "2026-12-31", 237_600, Counted},
		{"declining, in the second", falling, bought, nil, "2027-06-30", 190_080, Counted},
		{"declining, third year", falling, bought, nil, "2028-12-31", 85_536, Counted},
		{"declining, straight from here", falling, bought, nil, "2029-12-31", 42_768, Counted},
		{"declining, at its end", falling, bought, nil, "2030-12-31", 0, Depreciated},
		{"donated at fair value", straightly, donated, nil, "2026-01-31", 73_500, Counted},
		{"donated at nil", inventory.Book{LifeMonths: 36, DonatedAt: "nil"}, donated, nil, "2026-01-31", 3_500, Counted},
		{"entry with a basis", straightly, bought, &inventory.BookEntry{BasisAmount: amount(100_000), Currency: "USD", LifeMonths: 10, StartsOn: "2026-06-01"}, "2026-06-30", 90_000, Counted},
		{"entry with a basis of nothing", straightly, bought, &inventory.BookEntry{BasisAmount: amount(0), Currency: "EUR"}, "2026-06-30", 0, Counted},
		{"frozen", straightly, bought, &inventory.BookEntry{FrozenOn: "2026-06-15", FrozenAmount: amount(341_000), Currency: "EUR"}, "2027-06-30", 341_000, Frozen},
		{"before it was frozen", straightly, bought, &inventory.BookEntry{FrozenOn: "2026-06-15", FrozenAmount: amount(341_000), Currency: "EUR"}, "2026-06-14", 341_000, Counted},
		{"lost", straightly, with(bought, func(a *inventory.Asset) { a.Disposition = "lost" }), &inventory.BookEntry{FrozenOn: "2026-06-15", FrozenAmount: amount(341_000), Currency: "EUR"}, "2026-06-15", 0, Gone},
		{"the day before it was lost", straightly, with(bought, func(a *inventory.Asset) { a.Disposition = "lost" }), &inventory.BookEntry{FrozenOn: "2026-06-15", FrozenAmount: amount(341_000), Currency: "EUR"}, "2026-06-14", 341_000, Counted},
		{"leased", straightly, with(bought, func(a *inventory.Asset) { a.Owner = inventory.NewUID() }), nil, "2026-12-31", 0, Foreign},
		{"undated", straightly, inventory.Asset{Currency: "EUR", CostAmount: 500}, nil, "2026-12-31", 500, Undated},
	}
	for _, c := range cases {
		got := BookValue(&c.book, &c.asset, c.entry, c.asOf)
		if got.Amount != c.want || got.State != c.state {
			t.Errorf("%s: %d (%s), not %d (%s)", c.name, got.Amount, got.State, c.want, c.state)
		}
	}
}

// aBook and aHolding are any that the rules accept.
func aBook(t *rapid.T) *inventory.Book {
	return &inventory.Book{Method: rapid.SampledFrom([]string{"straight_line", "declining_balance", "none"}).Draw(t, "method"), LifeMonths: rapid.IntRange(1, 130).Draw(t, "life"),
		RatePercent: rapid.Float64Range(0.1, 100).Draw(t, "rate"), SalvagePercent: rapid.Float64Range(0, 100).Draw(t, "salvage"),
		DonatedAt: rapid.SampledFrom([]string{"fair_value", "nil"}).Draw(t, "donated"), FiscalYearStart: rapid.IntRange(1, 12).Draw(t, "fiscal year"), Currency: "EUR"}
}

func aHolding(t *rapid.T, book *inventory.Book) Holding {
	a := &inventory.Asset{Currency: "EUR", CostAmount: rapid.Int64Range(0, 1_000_000_000_000).Draw(t, "cost")}
	a.LandedCostAmount = a.CostAmount + rapid.Int64Range(0, 1_000_000).Draw(t, "freight")
	came := inventory.Date("2024-01-01").AddDays(rapid.IntRange(0, 1500).Draw(t, "came"))
	a.AcquiredAt = day(string(came))
	if rapid.Bool().Draw(t, "donated") {
		a.FairValueAmount, a.CostAmount = amount(a.CostAmount), 0
		a.LandedCostAmount = 77
	}
	if rapid.Bool().Draw(t, "in service later") {
		a.InServiceOn = came.AddDays(rapid.IntRange(0, 400).Draw(t, "service"))
	}
	h := Holding{Asset: a}
	if rapid.IntRange(0, 2).Draw(t, "fate") == 0 {
		gone := came.AddDays(rapid.IntRange(0, 1500).Draw(t, "gone"))
		value := h.Value(book, gone).Amount
		a.Disposition = "lost"
		if rapid.Bool().Draw(t, "frozen") {
			h.Entry = &inventory.BookEntry{FrozenOn: gone, FrozenAmount: &value, Currency: "EUR"}
		} else {
			h.GoneOn = gone
		}
	}
	return h
}

func TestValuesFallFromBasisToSalvage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		book := aBook(t)
		h := aHolding(t, book)
		h.Asset.Disposition, h.Entry = "", nil
		last := int64(-1)
		for i := range 80 {
			v := h.Value(book, h.acquired().AddMonths(2*i).AddDays(i%9))
			if v.Amount < v.Salvage || v.Amount > v.Basis {
				t.Fatalf("month %d: %d is not between %d and %d", 2*i, v.Amount, v.Salvage, v.Basis)
			}
			if last >= 0 && v.Amount > last {
				t.Fatalf("month %d: the value rose from %d to %d", 2*i, last, v.Amount)
			}
			last = v.Amount
		}
		if book.Method != "none" && h.Value(book, "2090-12-31").Amount != h.Value(book, "2090-12-31").Salvage {
			t.Fatal("it never reached its salvage value")
		}
	})
}

func TestRollForwardAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		book := aBook(t)
		h := aHolding(t, book)
		var all Roll
		closing := int64(0)
		for year := 2022; year < 2042; year++ {
			from, to := FiscalYear(book, year)
			roll := h.Roll(book, from, to)
			if roll.Opening+roll.Additions-roll.Disposals-roll.Depreciation != roll.Closing {
				t.Fatalf("%d does not add up: %+v", year, roll)
			}
			if roll.Opening != closing {
				t.Fatalf("%d opens with %d, and the year before closed with %d", year, roll.Opening, closing)
			}
			if roll.Depreciation < 0 || roll.Additions < 0 || roll.Disposals < 0 {
				t.Fatalf("%d has an amount below zero: %+v", year, roll)
			}
			closing = roll.Closing
			all.add(roll)
		}
		if basis := h.basis(book).Basis; all.Additions != basis || all.Depreciation+all.Disposals+closing != basis {
			t.Fatalf("of a basis of %d: %+v, and %d at the end", basis, all, closing)
		}
	})
}

func TestFiscalYear(t *testing.T) {
	for start, want := range map[int][2]inventory.Date{1: {"2026-01-01", "2026-12-31"}, 4: {"2026-04-01", "2027-03-31"}, 12: {"2026-12-01", "2027-11-30"}, 0: {"2026-01-01", "2026-12-31"}} {
		from, to := FiscalYear(&inventory.Book{FiscalYearStart: start}, 2026)
		if from != want[0] || to != want[1] {
			t.Errorf("a year from month %d: %s to %s", start, from, to)
		}
	}
}
