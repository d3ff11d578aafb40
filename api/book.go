package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"berth/inventory"
)

// Amounts are what a number of assets count as, in one currency. They are whole minor units.
type Amounts struct {
	Currency string `json:"currency"`
	Assets   int    `json:"assets"`
	Basis    int64  `json:"basis"`  // what depreciation started from
	Amount   int64  `json:"amount"` // what they count as on the day asked for
}

// BookValues is what a book holds at the end of a day. Currencies are never added up.
type BookValues struct {
	Book    inventory.UID  `json:"book"`
	Name    string         `json:"name"`
	AsOf    inventory.Date `json:"as_of"`
	Totals  []Amounts      `json:"totals"`
	BySite  []SiteAmounts  `json:"by_site"`
	ByKind  []KindAmounts  `json:"by_kind"`
	Foreign int            `json:"foreign"` // assets of somebody else, which are in no book
	Undated int            `json:"undated"` // assets counted at their basis, because nobody wrote down when they came
}

// SiteAmounts are the amounts of one site; an empty one is that of what stands at none.
type SiteAmounts struct {
	Site inventory.UID `json:"site"`
	Name string        `json:"name"`
	Amounts
}

// KindAmounts are the amounts of one kind of asset.
type KindAmounts struct {
	Kind string `json:"kind"`
	Amounts
}

// Roll is a fiscal year in one currency: opening + additions − disposals − depreciation = closing.
type Roll struct {
	Currency     string `json:"currency"`
	Opening      int64  `json:"opening"`
	Additions    int64  `json:"additions"`
	Disposals    int64  `json:"disposals"`
	Depreciation int64  `json:"depreciation"`
	Closing      int64  `json:"closing"`
}

// RollForward is a book's way through a fiscal year.
type RollForward struct {
	Book   inventory.UID  `json:"book"`
	Name   string         `json:"name"`
	Year   int            `json:"year"`
	From   inventory.Date `json:"from"`
	To     inventory.Date `json:"to"`
	Totals []Roll         `json:"totals"`
}

// LandRequest works out anew what the things of a shipment or an acquisition cost with their share of freight, duty and handling.
type LandRequest struct {
	Why string `json:"why,omitempty"`
}

// Landed is how many assets' landed cost changed.
type Landed struct {
	Changed int `json:"changed"`
}

func bookPath(book, what string) string { return "/api/v1/books/" + url.PathEscape(book) + "/" + what }

// BookValues asks what a book holds at the end of a day; "" is today.
func (c *Client) BookValues(ctx context.Context, book string, asOf string) (*BookValues, error) {
	out := new(BookValues)
	return out, c.Call(ctx, http.MethodGet, withQuery(bookPath(book, "values"), url.Values{"as_of": {asOf}}), nil, out)
}

// BookValuesCSV is BookValues with a line for each asset. The caller closes it.
func (c *Client) BookValuesCSV(ctx context.Context, book string, asOf string) (io.ReadCloser, error) {
	return c.Download(ctx, withQuery(bookPath(book, "values"), url.Values{"as_of": {asOf}, "format": {"csv"}}))
}

// RollForward asks for the sums of a book's fiscal year.
func (c *Client) RollForward(ctx context.Context, book string, year int) (*RollForward, error) {
	out := new(RollForward)
	return out, c.Call(ctx, http.MethodGet, withQuery(bookPath(book, "roll-forward"), url.Values{"year": {strconv.Itoa(year)}}), nil, out)
}

// RollForwardCSV is RollForward with a line for each asset. The caller closes it.
func (c *Client) RollForwardCSV(ctx context.Context, book string, year int) (io.ReadCloser, error) {
	return c.Download(ctx, withQuery(bookPath(book, "roll-forward"), url.Values{"year": {strconv.Itoa(year)}, "format": {"csv"}}))
}

// Land shares out the cost of a shipment or an acquisition; noun is their plural.
func (c *Client) Land(ctx context.Context, noun, ref string, in LandRequest) (*Landed, error) {
	return post[Landed](ctx, c, "/api/v1/"+noun+"/"+url.PathEscape(ref)+"/land", in)
}
