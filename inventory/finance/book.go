package finance

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"berth/inventory"
)

// Lister is what values are read with: a record, or a transaction through TxLister.
type Lister interface {
	List(ctx context.Context, n *inventory.Noun, q inventory.Query) (inventory.Page, error)
}

// TxLister reads within a transaction.
func TxLister(tx inventory.Tx) Lister { return txLister{tx} }

type txLister struct{ tx inventory.Tx }

func (l txLister) List(_ context.Context, n *inventory.Noun, q inventory.Query) (inventory.Page, error) {
	return l.tx.List(n, q)
}

// pages calls fn with each page of a noun, a thousand objects at a time, so that a hundred thousand are never held at once.
func pages[T any](ctx context.Context, r Lister, filters []inventory.Filter, fn func([]*T) error) error {
	q := inventory.Query{Filters: filters, Limit: inventory.MaxPage, NoNames: true, Sort: "uid"}
	for {
		page, err := r.List(ctx, inventory.NounFor[T](), q)
		if err != nil {
			return err
		}
		if err := fn(inventory.Items[T](page)); err != nil {
			return err
		}
		if page.Next == "" {
			return nil
		}
		q.Cursor = page.Next
	}
}

// Each calls fn with every asset and what the book knows of it, ordered by uid. It takes two statements for each thousand assets, and three of them
// for a book with dispositions. filters narrow the assets.
func Each(ctx context.Context, r Lister, book *inventory.Book, filters []inventory.Filter, fn func(Holding) error) error {
	gone, err := goneDays(ctx, r)
	if err != nil {
		return err
	}
	return pages(ctx, r, filters, func(assets []*inventory.Asset) error {
		entries, err := entriesOf(ctx, r, book, assets)
		if err != nil {
			return err
		}
		for _, a := range assets {
			if err := fn(Holding{Asset: a, Entry: entries[a.UID], GoneOn: gone[a.UID]}); err != nil {
				return err
			}
		}
		return nil
	})
}

// entriesOf finds what the book has of a page of assets, which are in the order of their uids.
func entriesOf(ctx context.Context, r Lister, book *inventory.Book, assets []*inventory.Asset) (map[inventory.UID]*inventory.BookEntry, error) {
	entries := map[inventory.UID]*inventory.BookEntry{}
	if len(assets) == 0 {
		return entries, nil
	}
	uids := make([]string, len(assets))
	for i, a := range assets {
		uids[i] = string(a.UID)
	}
	filters := []inventory.Filter{inventory.Is("book", book.UID), {Field: "asset", Op: inventory.OpIn, Value: strings.Join(uids, ",")}}
	err := pages(ctx, r, filters, func(list []*inventory.BookEntry) error {
		for _, e := range list {
			entries[e.Asset] = e
		}
		return nil
	})
	return entries, err
}

// goneDays is the day on which each asset was disposed of, of dispositions that stand.
func goneDays(ctx context.Context, r Lister) (map[inventory.UID]inventory.Date, error) {
	day := map[inventory.UID]inventory.Date{}
	err := pages(ctx, r, []inventory.Filter{inventory.Is("state", "done")}, func(list []*inventory.Disposition) error {
		for _, d := range list {
			day[d.UID] = d.OnDate
		}
		return nil
	})
	gone := map[inventory.UID]inventory.Date{}
	if err != nil || len(day) == 0 {
		return gone, err
	}
	err = pages(ctx, r, nil, func(list []*inventory.DispositionItem) error {
		for _, item := range list {
			if on := day[item.Disposition]; on != "" && on > gone[item.Asset] {
				gone[item.Asset] = on
			}
		}
		return nil
	})
	return gone, err
}

// Total is the sum of many values in one currency.
type Total struct {
	Currency string `json:"currency"`
	Assets   int    `json:"assets"`
	Basis    int64  `json:"basis"`
	Amount   int64  `json:"amount"`
}

// Totals sums values up by currency, and by whatever else is asked for.
type Totals map[string]*Total

// Add counts a value in.
func (t Totals) Add(v Value) {
	sum := t[v.Currency]
	if sum == nil {
		sum = &Total{Currency: v.Currency}
		t[v.Currency] = sum
	}
	sum.Assets++
	sum.Basis += v.Basis
	sum.Amount += v.Amount
}

// Sorted lists the totals by currency.
func (t Totals) Sorted() []Total {
	out := make([]Total, 0, len(t))
	for _, code := range slices.Sorted(maps.Keys(t)) {
		out = append(out, *t[code])
	}
	return out
}

// Summary is what a book holds on a day, in all and by site and kind.
type Summary struct {
	All     Totals
	BySite  map[inventory.UID]Totals // "" is at no site
	ByKind  map[string]Totals
	Foreign int // somebody else's, and in no book
	Undated int // counted at their basis, for want of a date
}

// Summarize values every asset of the record. Assets that are gone or not yet ours are left out.
func Summarize(ctx context.Context, r Lister, book *inventory.Book, asOf inventory.Date) (*Summary, error) {
	s := &Summary{All: Totals{}, BySite: map[inventory.UID]Totals{}, ByKind: map[string]Totals{}}
	err := Each(ctx, r, book, nil, func(h Holding) error {
		v := h.Value(book, asOf)
		switch v.State {
		case Foreign:
			s.Foreign++
			return nil
		case Gone, NotYet:
			return nil
		case Undated:
			s.Undated++
		}
		s.All.Add(v)
		sub(s.BySite, h.Asset.Site).Add(v)
		sub(s.ByKind, h.Asset.Kind).Add(v)
		return nil
	})
	return s, err
}

func sub[K comparable](m map[K]Totals, key K) Totals {
	if m[key] == nil {
		m[key] = Totals{}
	}
	return m[key]
}

// FiscalYear is the first and the last day of a book's year; it is called by the calendar year in which it begins.
func FiscalYear(book *inventory.Book, year int) (from, to inventory.Date) {
	month := time.Month(min(max(book.FiscalYearStart, 1), 12))
	first := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	return inventory.DateOf(first), inventory.DateOf(first.AddDate(1, 0, -1))
}

// Roll is one asset's way through a fiscal year: Opening + Additions − Disposals − Depreciation = Closing.
type Roll struct {
	Currency     string `json:"currency"`
	Opening      int64  `json:"opening"`
	Additions    int64  `json:"additions"`
	Disposals    int64  `json:"disposals"` // the value on the last day of what went
	Depreciation int64  `json:"depreciation"`
	Closing      int64  `json:"closing"`
}

func (r Roll) empty() bool {
	return r.Opening == 0 && r.Additions == 0 && r.Disposals == 0 && r.Depreciation == 0 && r.Closing == 0
}

func (r *Roll) add(o Roll) {
	r.Opening += o.Opening
	r.Additions += o.Additions
	r.Disposals += o.Disposals
	r.Depreciation += o.Depreciation
	r.Closing += o.Closing
}

// Roll follows a holding from the day before from to the day to.
func (h Holding) Roll(book *inventory.Book, from, to inventory.Date) Roll {
	before, after := h.Value(book, from.AddDays(-1)), h.Value(book, to)
	r := Roll{Currency: after.Currency, Opening: before.Amount, Closing: after.Amount}
	if after.State == Gone && h.goneOn() == "" {
		return r // nobody knows when: it is in no year
	}
	if before.State == NotYet && after.State != NotYet {
		r.Additions = after.Basis
	}
	if after.State == Gone && before.State != Gone {
		r.Disposals = h.lastValue(book)
	}
	// A value that was frozen above what its schedule says was written up, which shows as depreciation below zero.
	r.Depreciation = r.Opening + r.Additions - r.Disposals - r.Closing
	return r
}

// EachRoll calls fn with the roll of every asset that was in the book during a fiscal year, ordered by uid, and returns the sums by currency.
func EachRoll(ctx context.Context, r Lister, book *inventory.Book, year int, fn func(Holding, Roll) error) ([]Roll, error) {
	from, to := FiscalYear(book, year)
	sums := map[string]*Roll{}
	err := Each(ctx, r, book, nil, func(h Holding) error {
		roll := h.Roll(book, from, to)
		if roll.empty() {
			return nil
		}
		if sums[roll.Currency] == nil {
			sums[roll.Currency] = &Roll{Currency: roll.Currency}
		}
		sums[roll.Currency].add(roll)
		return fn(h, roll)
	})
	var list []Roll
	for _, sum := range sums {
		list = append(list, *sum)
	}
	slices.SortFunc(list, func(a, b Roll) int { return cmp.Compare(a.Currency, b.Currency) })
	return list, err
}

// WriteRolls writes the roll-forward of a fiscal year as CSV: a line for each asset, and at the end one for each currency. Amounts are plain decimals.
func WriteRolls(ctx context.Context, w io.Writer, r Lister, book *inventory.Book, year int) error {
	out := csv.NewWriter(w)
	from, to := FiscalYear(book, year)
	head := []string{"asset_tag", "kind", "name", "serial", "acquired_on", "in_service_on", "book", "from", "to", "currency", "opening", "additions", "disposals", "depreciation", "closing"}
	if err := out.Write(head); err != nil {
		return err
	}
	amounts := func(r Roll) []string {
		f := func(minor int64) string { return inventory.FormatAmount(minor, r.Currency) }
		return []string{r.Currency, f(r.Opening), f(r.Additions), f(r.Disposals), f(r.Depreciation), f(r.Closing)}
	}
	span := []string{inventory.NeutralCell(book.Slug), string(from), string(to)}
	sums, err := EachRoll(ctx, r, book, year, func(h Holding, roll Roll) error {
		a := h.Asset
		line := []string{inventory.NeutralCell(a.AssetTag), a.Kind, inventory.NeutralCell(a.Name), inventory.NeutralCell(a.Serial), string(h.acquired()), string(h.start())}
		return out.Write(slices.Concat(line, span, amounts(roll)))
	})
	if err != nil {
		return fmt.Errorf("roll book %s forward: %w", book.Slug, err)
	}
	for _, sum := range sums {
		if err := out.Write(slices.Concat([]string{"total", "", "", "", "", ""}, span, amounts(sum))); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// WriteValues writes what a book holds on a day as CSV: a line for each asset that is in it, and at the end one for each currency.
func WriteValues(ctx context.Context, w io.Writer, r Lister, book *inventory.Book, asOf inventory.Date) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"asset_tag", "kind", "name", "serial", "book", "as_of", "state", "currency", "basis", "value"}); err != nil {
		return err
	}
	sums := Totals{}
	err := Each(ctx, r, book, nil, func(h Holding) error {
		v := h.Value(book, asOf)
		if v.State == NotYet || v.State == Gone || v.State == Foreign {
			return nil
		}
		sums.Add(v)
		a := h.Asset
		return out.Write([]string{inventory.NeutralCell(a.AssetTag), a.Kind, inventory.NeutralCell(a.Name), inventory.NeutralCell(a.Serial), inventory.NeutralCell(book.Slug), string(asOf),
			string(v.State), v.Currency, inventory.FormatAmount(v.Basis, v.Currency), inventory.FormatAmount(v.Amount, v.Currency)})
	})
	if err != nil {
		return fmt.Errorf("value book %s: %w", book.Slug, err)
	}
	for _, sum := range sums.Sorted() {
		if err := out.Write([]string{"total", "", "", "", inventory.NeutralCell(book.Slug), string(asOf), "", sum.Currency,
			inventory.FormatAmount(sum.Basis, sum.Currency), inventory.FormatAmount(sum.Amount, sum.Currency)}); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
