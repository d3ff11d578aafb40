package api

import (
	"context"
	"net/http"
	"net/url"

	"berth/inventory"
)

// ScanHit is one meaning of a code that was scanned.
type ScanHit struct {
	Noun    string        `json:"noun"`
	UID     inventory.UID `json:"uid"`
	Display string        `json:"display"`
	Field   string        `json:"field"` // what of it the code is
}

// ScanRequest notes that a code was seen: POST /api/v1/stock-takes/{ref}/scan.
type ScanRequest struct {
	Code  string `json:"code"`
	Place string `json:"place,omitempty"`
}

// CloseRequest ends a stock-take: POST /api/v1/stock-takes/{ref}/close. With MarkMissing what was not found gets the custody "missing".
type CloseRequest struct {
	MarkMissing bool   `json:"mark_missing,omitempty"`
	Why         string `json:"why,omitempty"`
}

// StockTakeReport is what a stock-take found: GET /api/v1/stock-takes/{ref}/report.
type StockTakeReport struct {
	StockTake  *inventory.StockTake       `json:"stock_take"`
	Expected   []*inventory.StockTakeItem `json:"expected"`
	Unexpected []*inventory.StockTakeItem `json:"unexpected"`
	New        []*inventory.StockTakeItem `json:"new"`
	Missing    []*inventory.Asset         `json:"missing"`
}

// PlaceRequest puts what a code means in a place: POST /api/v1/scan/place. Site, Location and Rack are uids or names; the site of a rack or
// location need not be said.
type PlaceRequest struct {
	Code     string   `json:"code"`
	Site     string   `json:"site,omitempty"`
	Location string   `json:"location,omitempty"`
	Rack     string   `json:"rack,omitempty"`
	Position *float64 `json:"position,omitempty"`
	Face     string   `json:"face,omitempty"`
	Why      string   `json:"why,omitempty"`
}

var stockTakes = mustNoun("stock-take")

// Scan says what a code means.
func (c *Client) Scan(ctx context.Context, code string) ([]ScanHit, error) {
	var hits []ScanHit
	return hits, c.Call(ctx, http.MethodGet, "/api/v1/scan?code="+url.QueryEscape(code), nil, &hits)
}

// PlaceByCode puts what a code means in a place.
func (c *Client) PlaceByCode(ctx context.Context, in PlaceRequest) error {
	return c.Call(ctx, http.MethodPost, "/api/v1/scan/place", in, nil)
}

// StockTakeScan notes on a stock-take that a code was seen.
func (c *Client) StockTakeScan(ctx context.Context, stockTake string, in ScanRequest) (*inventory.StockTakeItem, error) {
	return post[inventory.StockTakeItem](ctx, c, nounPath(stockTakes, stockTake)+"/scan", in)
}

// StockTakeReport returns what a stock-take found so far.
func (c *Client) StockTakeReport(ctx context.Context, stockTake string) (*StockTakeReport, error) {
	out := new(StockTakeReport)
	return out, c.Call(ctx, http.MethodGet, nounPath(stockTakes, stockTake)+"/report", nil, out)
}

// CloseStockTake ends one.
func (c *Client) CloseStockTake(ctx context.Context, stockTake string, in CloseRequest) (*StockTakeReport, error) {
	return post[StockTakeReport](ctx, c, nounPath(stockTakes, stockTake)+"/close", in)
}
