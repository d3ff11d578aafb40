// Package finance counts what things cost and what they are worth, takes in what is given, and prints the papers about both.
//
// Amounts are whole minor units of a currency, never floats, and amounts of different currencies are never added: totals are by currency. A rate
// of exchange is never guessed; where one is needed somebody states the amount in the other currency (CostLine.ConvertedAmount).
//
// # What a book says
//
// Value is what one book holds of one asset at the end of a day, past or future. The conventions:
//
//   - Depreciation is by whole months and is booked on the last day of each. The month in which it starts counts as a whole, whatever day
//     it was; so a thing that starts on 10 January with a life of 36 months loses the first thirty-sixth on 31 January and the last on
//     31 December two years later.
//   - It starts on the entry's StartsOn, else on the day the asset went into service, else on the day it was acquired. From its acquisition
//     until then a thing counts at its basis; before its acquisition it counts as nothing.
//   - Straight line: after m of n months, the part m/n of basis less salvage is gone, rounded down to the minor unit; after the last month all
//     of it is.
//   - Declining balance: each year, counted from the start, takes off the book's rate of what was left at its beginning, in twelve equal
//     parts; as soon as the straight line over what is left of the life takes off more in a year, that is taken to the end. It never falls
//     below salvage.
//   - The basis is the entry's, else what was paid with its share of freight, duty and handling (landed cost). Of a donated thing it is the fair
//     value on the day it came, or nothing, as the book says, and its share of freight in both cases.
//   - A thing that is gone (sold, lost) counts at the value that was frozen on its last day until then, and as nothing from that day on.
//     A frozen value without a disposition stands still.
//   - What belongs to somebody else (leased, lent to us) is in no book.
//
// Nothing here is tax advice: a book is what its owner says it is.
package finance
