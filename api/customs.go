package api

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"berth/inventory"
)

// CustomsPack says how far the papers of a shipment are.
type CustomsPack struct {
	Shipment inventory.UID `json:"shipment"`
	// Papers can be printed: invoice, packing-list, returned-goods.
	Papers  []string `json:"papers"`
	Missing []string `json:"missing"` // what customs would ask for, in sentences
	// LastReturn is the last day on which exported goods come back without duty; empty where the shipment does not claim that.
	LastReturn inventory.Date `json:"last_return"`
}

func customsPath(shipment string) string {
	return "/api/v1/shipments/" + url.PathEscape(shipment) + "/customs"
}

// Customs asks what is missing for customs, and which papers can be printed.
func (c *Client) Customs(ctx context.Context, shipment string) (*CustomsPack, error) {
	out := new(CustomsPack)
	return out, c.Call(ctx, http.MethodGet, customsPath(shipment), nil, out)
}

// CustomsPaper is one of the papers, as PDF. The caller closes it.
func (c *Client) CustomsPaper(ctx context.Context, shipment, paper string) (io.ReadCloser, error) {
	return c.Download(ctx, customsPath(shipment)+"/"+url.PathEscape(paper))
}
