package finance

import (
	"math"
	"math/big"

	"berth/inventory"
)

// Value is what a book holds of an asset at the end of a day.
type Value struct {
	Currency string `json:"currency"`
	Basis    int64  `json:"basis"`   // what depreciation starts from
	Salvage  int64  `json:"salvage"` // what it ends at
	// Amount is what the asset counts as; 0 before it was acquired and once it is gone.
	Amount int64 `json:"amount"`
	State  State `json:"state"`
}

// State says why an asset counts as it does.
type State string

// The states of a value.
const (
	NotYet      State = "not_yet"     // it was not ours yet
	Waiting     State = "waiting"     // ours, and depreciation has not started
	Counted     State = "counted"     // being depreciated
	Depreciated State = "depreciated" // down at its salvage value
	Frozen      State = "frozen"      // its value stands still
	Gone        State = "gone"        // sold, given away, lost
	Foreign     State = "foreign"     // somebody else's: in no book
	Undated     State = "undated"     // nobody wrote down when it came: it counts at its basis
)

// Holding is an asset as a book knows it.
type Holding struct {
	Asset *inventory.Asset
	Entry *inventory.BookEntry // nil where the book has none of its own
	// GoneOn is the day of its disposition, where the entry has no frozen value of it; "" is not known.
	GoneOn inventory.Date
}

// BookValue is what book holds of an asset at the end of asOf, by the conventions of the package. entry may be nil.
func BookValue(book *inventory.Book, asset *inventory.Asset, entry *inventory.BookEntry, asOf inventory.Date) Value {
	return Holding{Asset: asset, Entry: entry}.Value(book, asOf)
}

// Value is BookValue of a holding.
func (h Holding) Value(book *inventory.Book, asOf inventory.Date) Value {
	v := h.basis(book)
	acquired, start := h.acquired(), h.start()
	switch {
	case h.Asset.Owner != "":
		return Value{Currency: v.Currency, State: Foreign}
	case acquired != "" && asOf < acquired:
		v.State = NotYet
		return v
	case h.goneBy(asOf):
		v.State = Gone
		return v
	case h.frozenBy(asOf):
		v.State, v.Amount = Frozen, *h.Entry.FrozenAmount
		return v
	case start == "":
		v.State, v.Amount = Undated, v.Basis
		return v
	case asOf < start:
		v.State, v.Amount = Waiting, v.Basis
		return v
	}
	v.Amount = depreciated(book, h.life(book), v.Basis, v.Salvage, monthsBooked(start, asOf))
	v.State = Counted
	if v.Amount <= v.Salvage && v.Basis > v.Salvage {
		v.State = Depreciated
	}
	return v
}

// lastValue is what a thing that is gone was worth on its last day.
func (h Holding) lastValue(book *inventory.Book) int64 {
	if h.Entry != nil && h.Entry.FrozenAmount != nil {
		return *h.Entry.FrozenAmount
	}
	still := *h.Asset
	still.Disposition = ""
	return Holding{Asset: &still, Entry: h.Entry}.Value(book, h.goneOn()).Amount
}

func (h Holding) goneOn() inventory.Date {
	if h.Entry != nil && h.Entry.FrozenOn != "" {
		return h.Entry.FrozenOn
	}
	return h.GoneOn
}

// goneBy tells whether the asset had left by the end of a day. One whose last day nobody wrote down has always been gone.
func (h Holding) goneBy(day inventory.Date) bool {
	return h.Asset.Disposition != "" && h.goneOn() <= day
}

func (h Holding) frozenBy(day inventory.Date) bool {
	return h.Entry != nil && h.Entry.FrozenAmount != nil && h.Entry.FrozenOn != "" && h.Entry.FrozenOn <= day
}

// acquired is the day the asset became ours; "" is not known.
func (h Holding) acquired() inventory.Date {
	var day inventory.Date
	if h.Asset.AcquiredAt != nil {
		day = inventory.DateOf(h.Asset.AcquiredAt.UTC())
	}
	// What was in use was ours, whatever the other date says.
	if start := h.start(); start != "" && (day == "" || start < day) {
		return start
	}
	return day
}

// start is the day from which depreciation counts; "" is not known.
func (h Holding) start() inventory.Date {
	switch {
	case h.Entry != nil && h.Entry.StartsOn != "":
		return h.Entry.StartsOn
	case h.Asset.InServiceOn != "":
		return h.Asset.InServiceOn
	case h.Asset.AcquiredAt != nil:
		return inventory.DateOf(h.Asset.AcquiredAt.UTC())
	}
	return ""
}

func (h Holding) life(book *inventory.Book) int {
	if h.Entry != nil && h.Entry.LifeMonths > 0 {
		return h.Entry.LifeMonths
	}
	return book.LifeMonths
}

// basis is what depreciation starts from and ends at, and in which currency.
func (h Holding) basis(book *inventory.Book) Value {
	v := Value{Currency: h.Asset.Currency, Basis: cost(book, h.Asset)}
	if v.Currency == "" && v.Basis == 0 {
		v.Currency = book.Currency
	}
	salvage := h.Asset.SalvageAmount
	if e := h.Entry; e != nil {
		if e.BasisAmount != nil {
			v.Basis = *e.BasisAmount
		}
		if e.Currency != "" && (e.BasisAmount != nil || e.FrozenAmount != nil) {
			v.Currency = e.Currency
		}
		if e.SalvageAmount != nil {
			salvage = e.SalvageAmount
		}
	}
	v.Salvage = part(v.Basis, perMillion(book.SalvagePercent), million)
	if salvage != nil {
		v.Salvage = *salvage
	}
	v.Salvage = min(max(v.Salvage, 0), v.Basis)
	return v
}

// cost is what a thing counts at when it comes: landed cost, or what a donated one counts at and its share of freight.
func cost(book *inventory.Book, a *inventory.Asset) int64 {
	landed := max(a.LandedCostAmount, a.CostAmount) // until it is worked out, what was paid
	if a.FairValueAmount == nil {
		return landed
	}
	extras := landed - a.CostAmount
	if book.DonatedAt == "nil" {
		return extras
	}
	return *a.FairValueAmount + extras
}

// monthsBooked is how many months have been taken off by the end of asOf, when depreciation starts on start: one at the end of each month,
// the first whole.
func monthsBooked(start, asOf inventory.Date) int {
	if asOf < start {
		return 0
	}
	from, to := start.Time(), asOf.Time()
	months := (to.Year()-from.Year())*12 + int(to.Month()) - int(from.Month())
	if to.AddDate(0, 0, 1).Day() == 1 {
		months++
	}
	return months
}

// depreciated is what is left of basis after a number of months of a life.
func depreciated(book *inventory.Book, life int, basis, salvage int64, months int) int64 {
	switch book.Method {
	case "none":
		return basis
	case "declining_balance":
		return declining(basis, salvage, life, months, book.RatePercent)
	}
	return straight(basis, salvage, life, months)
}

// straight takes the part months/life of basis less salvage off, rounded down.
func straight(basis, salvage int64, life, months int) int64 {
	if life <= 0 || months >= life {
		return salvage
	}
	return basis - part(basis-salvage, int64(max(months, 0)), int64(life))
}

// declining goes year by year; see the package's conventions.
func declining(basis, salvage int64, life, months int, percent float64) int64 {
	rate := perMillion(percent)
	left := basis
	for year := 0; months > 0; year++ {
		rest := life - 12*year // months of life at the beginning of this year
		if rest <= 0 {
			return salvage
		}
		yearly := part(left, rate, million)
		if even := part(left-salvage, int64(min(12, rest)), int64(rest)); even >= yearly {
			return straight(left, salvage, rest, months)
		}
		now := min(months, 12)
		left = max(salvage, left-part(yearly, int64(now), 12))
		months -= now
	}
	return left
}

const million = 1_000_000

// perMillion turns a percentage, which is no amount and may be a float, into a whole number that amounts are multiplied with.
func perMillion(percent float64) int64 { return int64(math.Round(percent * million / 100)) }

// part is amount × num / of, rounded towards zero, without overflow.
func part(amount, num, of int64) int64 {
	n := new(big.Int).Mul(big.NewInt(amount), big.NewInt(num))
	return n.Quo(n, big.NewInt(of)).Int64()
}
