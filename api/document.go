package api

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"berth/inventory"
)

// DocumentRequest says what a file is that is uploaded, and to what it belongs.
type DocumentRequest struct {
	Name        string   `json:"name"`                  // of the file; its last part counts
	Kind        string   `json:"kind,omitempty"`        // invoice, photo, …; other when empty
	Date        string   `json:"date,omitempty"`        // the date on it, 2026-03-19
	Description string   `json:"description,omitempty"` //
	Caption     string   `json:"caption,omitempty"`     // what it shows of what it is attached to
	Attach      []string `json:"attach,omitempty"`      // noun/name, such as shipment/S-1
	Why         string   `json:"why,omitempty"`
}

// UploadDocument keeps a file in the record. It is streamed: r is read once, and never held in memory.
func (c *Client) UploadDocument(ctx context.Context, in DocumentRequest, r io.Reader) (*inventory.Document, error) {
	v := url.Values{"attach": in.Attach}
	for name, value := range map[string]string{"name": in.Name, "kind": in.Kind, "date": in.Date, "description": in.Description, "caption": in.Caption, "why": in.Why} {
		if value != "" {
			v.Set(name, value)
		}
	}
	out := new(inventory.Document)
	return out, c.send(ctx, http.MethodPost, withQuery("/api/v1/documents", v), nil, "application/octet-stream", r, out)
}

// Download gives what an address of the API answers with that is no JSON: a document's bytes, a PDF, a CSV. The caller closes it.
func (c *Client) Download(ctx context.Context, path string) (io.ReadCloser, error) {
	resp, err := c.open(ctx, http.MethodGet, path, http.Header{"Accept": {"*/*"}}, "", nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}
