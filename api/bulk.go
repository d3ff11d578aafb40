package api

import (
	"context"
	"encoding/json"
	"net/http"

	"berth/inventory"
)

// BulkRequest changes or deletes many objects of one noun under one request id.
type BulkRequest struct {
	// UIDs are the objects, by uid or natural key; at most 10,000. Or Query says which.
	UIDs []string `json:"uids,omitempty"`
	// Query chooses every object that a list with this address would show: "status=active&tag=old". The empty text with All is all there are.
	Query string `json:"query,omitempty"`
	All   bool   `json:"all,omitempty"`
	// Set are the fields to set, the same for each object.
	Set map[string]json.RawMessage `json:"set,omitempty"`
	// Delete removes the objects instead.
	Delete bool `json:"delete,omitempty"`
	// DryRun says what would happen and changes nothing.
	DryRun bool `json:"dry_run,omitempty"`
	// Skip leaves out the objects that cannot be changed; without it one of them stops all.
	Skip bool   `json:"skip,omitempty"`
	Why  string `json:"why,omitempty"`
}

// BulkResult says what a BulkRequest did, or would do.
type BulkResult struct {
	// Request is the id under which the change log has it; undoing it turns all of it back.
	Request inventory.UID `json:"request"`
	DryRun  bool          `json:"dry_run"`
	// Applied is false when nothing was changed: of a dry run, or because of errors.
	Applied   bool        `json:"applied"`
	Matched   int         `json:"matched"`
	Changed   int         `json:"changed"`
	Unchanged int         `json:"unchanged"`
	Errors    []BulkError `json:"errors"`
}

// BulkError is why one object cannot be changed.
type BulkError struct {
	Index  int               `json:"index"` // in uids, or in the order of the list
	UID    inventory.UID     `json:"uid,omitempty"`
	Name   string            `json:"name,omitempty"`
	Detail string            `json:"detail"`
	Fields map[string]string `json:"fields,omitempty"`
}

// Bulk changes or deletes many objects of noun n. Errors in single objects are in the result, and the answer to them is a *Problem
// only where the request itself is wrong.
func (c *Client) Bulk(ctx context.Context, n *inventory.Noun, in BulkRequest) (*BulkResult, error) {
	out := new(BulkResult)
	return out, c.Call(ctx, http.MethodPost, nounPath(n, "")+"/bulk", in, out)
}
