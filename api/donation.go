package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"berth/inventory"
)

// ExpectRequest announces what is to come with an acquisition: on each line a serial, "SERIAL, MODEL", or "8 x MODEL".
type ExpectRequest struct {
	Items string `json:"items"`
	Why   string `json:"why,omitempty"`
}

// AdvanceRequest leads an acquisition on: accepted, ordered, received, closed, declined or cancelled.
type AdvanceRequest struct {
	Status string `json:"status"`
	On     string `json:"on,omitempty"` // of received: the day; today when empty
	Why    string `json:"why,omitempty"`
}

// AcknowledgedRequest notes that the letter of thanks was sent, and keeps it among the documents.
type AcknowledgedRequest struct {
	On  string `json:"on,omitempty"` // the day; today when empty
	Why string `json:"why,omitempty"`
}

// Donation is one donation in a report.
type Donation struct {
	Donor          string         `json:"donor"`
	Organization   inventory.UID  `json:"organization"`
	Acquisition    inventory.UID  `json:"acquisition"`
	Reference      string         `json:"reference"`
	Title          string         `json:"title"`
	ReceivedOn     inventory.Date `json:"received_on"`
	Things         int            `json:"things"`
	AcknowledgedOn inventory.Date `json:"acknowledged_on"`
	HoldUntil      inventory.Date `json:"hold_until"`
}

func acquisitionPath(ref, what string) string {
	return "/api/v1/acquisitions/" + url.PathEscape(ref) + "/" + what
}

// Expect announces what is to come with an acquisition, and returns the assets made for it.
func (c *Client) Expect(ctx context.Context, ref string, in ExpectRequest) (*Page[*inventory.Asset], error) {
	return post[Page[*inventory.Asset]](ctx, c, acquisitionPath(ref, "expect"), in)
}

// Advance leads an acquisition on.
func (c *Client) Advance(ctx context.Context, ref string, in AdvanceRequest) (*inventory.Acquisition, error) {
	return post[inventory.Acquisition](ctx, c, acquisitionPath(ref, "advance"), in)
}

// Acknowledged notes that the letter of thanks was sent.
func (c *Client) Acknowledged(ctx context.Context, ref string, in AcknowledgedRequest) (*inventory.Acquisition, error) {
	return post[inventory.Acquisition](ctx, c, acquisitionPath(ref, "acknowledged"), in)
}

// DonationsPath is the address of the report of a year (0 is all), of one donor or all; format is json, csv or pdf.
func DonationsPath(year int, donor, format string) string {
	v := url.Values{"format": {format}}
	if year != 0 {
		v.Set("year", strconv.Itoa(year))
	}
	if donor != "" {
		v.Set("donor", donor)
	}
	return withQuery("/api/v1/donations", v)
}

// Donations reports what was donated in a year (0 is all), by one donor or all.
func (c *Client) Donations(ctx context.Context, year int, donor string) (*Page[Donation], error) {
	out := new(Page[Donation])
	return out, c.Call(ctx, http.MethodGet, DonationsPath(year, donor, "json"), nil, out)
}

// Acknowledgement is the letter of thanks for a donation, as PDF. The caller closes it.
func (c *Client) Acknowledgement(ctx context.Context, ref string) (io.ReadCloser, error) {
	return c.Download(ctx, acquisitionPath(ref, "acknowledgement"))
}
