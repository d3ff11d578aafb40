package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"berth/inventory"
)

// ShipmentStatus is a shipment with what a page about it needs.
type ShipmentStatus struct {
	Shipment inventory.Shipment        `json:"shipment"`
	Parcels  []inventory.Parcel        `json:"parcels"`
	Items    []inventory.ShipmentItem  `json:"items"`
	Events   []inventory.TrackingEvent `json:"events"` // newest first, at most 200
	// Deviations are the open ones of its lines: parts that are missing, extra, swapped or damaged.
	Deviations []inventory.Deviation `json:"deviations"`
	// Cover is left out for those who may not see amounts.
	Cover *Cover `json:"cover,omitempty"`
	// Lacks says why the shipment cannot be handed over as it is.
	Lacks []string `json:"lacks,omitempty"`
	// Names is what to call the objects referred to, by uid.
	Names map[inventory.UID]string `json:"names,omitempty"`
}

// Cover is what a loss of the whole shipment would cost, and who would pay. Amounts are in minor units of Currency.
type Cover struct {
	Currency string `json:"currency"`
	Value    int64  `json:"value"`
	Carrier  int64  `json:"carrier"` // by law, at most
	Insured  int64  `json:"insured"`
	Gap      int64  `json:"gap"` // what nobody would pay
	// Arithmetic shows how the carrier's part comes about, Regime the law, with its source and the day on which it was read there.
	Arithmetic string         `json:"arithmetic,omitempty"`
	Regime     string         `json:"regime,omitempty"`
	Source     string         `json:"source,omitempty"`
	CheckedOn  inventory.Date `json:"checked_on,omitempty"`
	RateSource string         `json:"rate_source,omitempty"`
	Notes      []string       `json:"notes,omitempty"`
}

// AddItemsRequest puts things on a packing list: the lines of a text, assets by tag or uid, or what an acquisition brought and no other
// shipment carries. With a text or assets, Acquisition says to which order they belong.
type AddItemsRequest struct {
	Text        string   `json:"text,omitempty"` // a thing on each line: serial; what it is; 1200 EUR; 20 kg; bmc d0:94:66:00:01:02
	Assets      []string `json:"assets,omitempty"`
	Acquisition string   `json:"acquisition,omitempty"`
	Parcel      string   `json:"parcel,omitempty"`
	Why         string   `json:"why,omitempty"`
}

// PackRequest closes the boxes.
type PackRequest struct {
	Parcels []inventory.Packed `json:"parcels,omitempty"`
	Why     string             `json:"why,omitempty"`
}

// HandOverRequest gives a packed shipment to the carrier. Without a photo, a seal, a weight and a value, or with a gap in cover, it is
// refused unless Override says why it goes all the same.
type HandOverRequest struct {
	Carrier      string `json:"carrier,omitempty"`
	Service      string `json:"service,omitempty"`
	TrackingCode string `json:"tracking_code,omitempty"`
	To           string `json:"to,omitempty"` // who took it
	Override     string `json:"override,omitempty"`
	Why          string `json:"why,omitempty"`
}

// ReceiveRequest is what came.
type ReceiveRequest struct {
	Parcel      string   `json:"parcel,omitempty"` // the box; alone it came whole
	Scans       []string `json:"scans,omitempty"`
	Damaged     []string `json:"damaged,omitempty"`
	Damage      string   `json:"damage,omitempty"`
	NotExpected bool     `json:"not_expected,omitempty"` // take in what stands on no list
	SignedBy    string   `json:"signed_by,omitempty"`
	Why         string   `json:"why,omitempty"`
}

// ReceiveResult is what a receipt came to.
type ReceiveResult struct {
	Items    []inventory.ShipmentItem `json:"items"`
	Doubtful []string                 `json:"doubtful,omitempty"` // taken for a line that differs as typing errors do
	Unknown  []string                 `json:"unknown,omitempty"`  // on no list, and not taken in
	Open     int                      `json:"open"`               // lines that have not come yet
}

// ReconcileRequest ends a receipt. With Missing, what did not come is missing; without, it is a reason to refuse.
type ReconcileRequest struct {
	Missing bool   `json:"missing,omitempty"`
	Why     string `json:"why,omitempty"`
}

// VerifyItemRequest is a person's word on a line: it is the machine Device, or, with none, somebody looked at the thing.
type VerifyItemRequest struct {
	Item   string `json:"item"`
	Device string `json:"device,omitempty"`
	How    string `json:"how,omitempty"` // person or scan
	Why    string `json:"why,omitempty"`
}

// TrackRequest tells where a shipment is: by one event, or by a pasted e-mail or text. With Preview the text is only read.
type TrackRequest struct {
	Text    string `json:"text,omitempty"`
	Preview bool   `json:"preview,omitempty"`

	OccurredAt   *time.Time `json:"occurred_at,omitempty"` // nil is now
	Status       string     `json:"status,omitempty"`
	Description  string     `json:"description,omitempty"`
	City         string     `json:"city,omitempty"`
	Country      string     `json:"country,omitempty"`
	Parcel       string     `json:"parcel,omitempty"`
	TrackingCode string     `json:"tracking_code,omitempty"`
	Why          string     `json:"why,omitempty"`
}

// TrackResult is what was understood, and what came of it.
type TrackResult struct {
	Carrier  string                    `json:"carrier,omitempty"`
	Codes    []string                  `json:"codes,omitempty"`
	Events   []inventory.TrackingEvent `json:"events"`
	Promised inventory.Date            `json:"promised,omitempty"`
	Notes    []string                  `json:"notes,omitempty"`
	New      int                       `json:"new"`
	Repeats  int                       `json:"repeats"`
}

// WebhookResult is the answer to a carrier's webhook.
type WebhookResult struct {
	New       int      `json:"new"`
	Repeats   int      `json:"repeats"`
	Unclaimed []string `json:"unclaimed,omitempty"` // codes that stand on no shipment
}

func shipmentPath(shipment, action string) string {
	return "/api/v1/shipments/" + url.PathEscape(shipment) + "/" + action
}

// ShipmentStatus returns a shipment with its boxes, lines, events and deviations.
func (c *Client) ShipmentStatus(ctx context.Context, shipment string) (*ShipmentStatus, error) {
	out := &ShipmentStatus{}
	return out, c.Call(ctx, http.MethodGet, shipmentPath(shipment, "status"), nil, out)
}

// AddItems puts things on a packing list.
func (c *Client) AddItems(ctx context.Context, shipment string, in AddItemsRequest) (*ShipmentStatus, error) {
	return post[ShipmentStatus](ctx, c, shipmentPath(shipment, "items"), in)
}

// Pack closes the boxes of a shipment.
func (c *Client) Pack(ctx context.Context, shipment string, in PackRequest) (*ShipmentStatus, error) {
	return post[ShipmentStatus](ctx, c, shipmentPath(shipment, "pack"), in)
}

// HandOver gives a shipment to its carrier.
func (c *Client) HandOver(ctx context.Context, shipment string, in HandOverRequest) (*ShipmentStatus, error) {
	return post[ShipmentStatus](ctx, c, shipmentPath(shipment, "hand-over"), in)
}

// Receive takes in what came.
func (c *Client) Receive(ctx context.Context, shipment string, in ReceiveRequest) (*ReceiveResult, error) {
	return post[ReceiveResult](ctx, c, shipmentPath(shipment, "receive"), in)
}

// Reconcile says that every line is accounted for.
func (c *Client) Reconcile(ctx context.Context, shipment string, in ReconcileRequest) (*ShipmentStatus, error) {
	return post[ShipmentStatus](ctx, c, shipmentPath(shipment, "reconcile"), in)
}

// Track tells where a shipment is.
func (c *Client) Track(ctx context.Context, shipment string, in TrackRequest) (*TrackResult, error) {
	return post[TrackResult](ctx, c, shipmentPath(shipment, "track"), in)
}

// VerifyItem says that a line is there.
func (c *Client) VerifyItem(ctx context.Context, shipment string, in VerifyItemRequest) (*ShipmentStatus, error) {
	return post[ShipmentStatus](ctx, c, shipmentPath(shipment, "verify"), in)
}

// EndShipment is one of close, cancel, lose and reopen, which need nothing but a reason.
func (c *Client) EndShipment(ctx context.Context, shipment, action, why string) (*ShipmentStatus, error) {
	return post[ShipmentStatus](ctx, c, shipmentPath(shipment, action), WhyRequest{Why: why})
}
