package api

import (
	"context"
	"io"
	"net/http"

	"berth/inventory"
)

// PlaceDeviceRequest says where a device shall stand. Without a rack it stands in none; without a position it lies in the rack, or hangs at a
// side.
type PlaceDeviceRequest struct {
	Rack     string   `json:"rack"`               // name or uid
	Position *float64 `json:"position,omitempty"` // the lowest unit it takes, in steps of 0.5
	Face     string   `json:"face,omitempty"`     // front or rear; empty is front
	Slot     int      `json:"slot,omitempty"`     // of what takes a part of a unit's width: which, from 0 at the left as seen from the front
	Side     string   `json:"side,omitempty"`     // left or right, of what takes no unit
	// OverReservation is why it may stand in reserved units.
	OverReservation string `json:"over_reservation,omitempty"`
	Why             string `json:"why,omitempty"`
}

// MoveRequest makes a line of a move plan true. State is removed (it was taken out), done (it stands where the plan wants it), planned
// (it was put back) or cancelled; By is person or scan.
type MoveRequest struct {
	State string `json:"state"`
	By    string `json:"by,omitempty"`
	Why   string `json:"why,omitempty"`
}

// Packed is how many lines were added to a packing list.
type Packed struct {
	Added int `json:"added"`
}

// Place stands a device somewhere else.
func (c *Client) Place(ctx context.Context, device string, in PlaceDeviceRequest) (*inventory.Device, error) {
	return post[inventory.Device](ctx, c, nounPath(mustNoun("device"), device)+"/place", in)
}

// ApplyMove makes a line of a move plan true.
func (c *Client) ApplyMove(ctx context.Context, move string, in MoveRequest) (*inventory.Move, error) {
	return post[inventory.Move](ctx, c, nounPath(mustNoun("move"), move)+"/apply", in)
}

// File fetches what is no JSON, such as a picture or a PDF; at most 64 MiB of it.
func (c *Client) File(ctx context.Context, path string) ([]byte, error) {
	resp, err := c.open(ctx, http.MethodGet, path, nil, "", nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, 64<<20))
}
