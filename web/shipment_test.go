package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"berth/api"
	"berth/inventory"
)

const trackerSays = `{"object":"Event","description":"tracker.updated","result":{"tracking_code":"1Z999AA10123456784","status":"delivered","tracking_details":[
 {"message":"Label","status":"pre_transit","datetime":"2026-11-02T09:12:00Z","carrier_code":"MP"},{"message":"<b>Delivered</b>","status":"delivered","datetime":"2026-11-05T14:55:00Z","carrier_code":"D","tracking_location":{"city":"Ulm","country":"DE"}}]}}`

// hook posts a message as EasyPost does, signed with secret.
func (b *browser) hook(path, secret, body string) (*http.Response, string) {
	b.Helper()
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	req := b.request("POST", path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Hmac-Signature", "hmac-sha256-hex="+hex.EncodeToString(mac.Sum(nil)))
	return b.do(req)
}

// TestCarrierWebhook: a signed message moves the shipment, twice the same does nothing more, and nothing else is let in.
func TestCarrierWebhook(t *testing.T) {
	g := newRig(t)
	b := g.browser("")
	source := &inventory.TrackingSource{Name: "easy", Kind: "easypost", Secret: inventory.PlainSecret("wink"), Enabled: true}
	g.create(source, &inventory.TrackingSource{Name: "bare", Kind: "easypost", Enabled: true}, &inventory.TrackingSource{Name: "asleep", Kind: "easypost", Secret: inventory.PlainSecret("wink")},
		&inventory.Shipment{Reference: "S-1", TrackingCode: "1Z999AA10123456784"})
	for name, test := range map[string]struct{ path, secret, body string }{
		"another secret": {"/webhooks/easy", "guess", trackerSays}, "no such source": {"/webhooks/none", "wink", trackerSays}, "a source without secret": {"/webhooks/bare", "", trackerSays},
		"a source that is off": {"/webhooks/asleep", "wink", trackerSays},
	} {
		if resp, body := b.hook(test.path, test.secret, test.body); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s %s", name, resp.Status, body)
		}
	}
	if resp, _ := b.hook("/webhooks/easy", "wink", "hello"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("no JSON: %s", resp.Status)
	}
	if resp, _ := b.hook("/webhooks/easy", "wink", strings.Repeat(" ", 65<<10)); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %s", resp.Status)
	}
	resp, body := b.hook("/webhooks/easy", "wink", trackerSays)
	if first := decode[api.WebhookResult](t, body); resp.StatusCode != 200 || first.New != 2 {
		t.Fatalf("%s %s", resp.Status, body)
	}
	if _, body := b.hook("/webhooks/easy", "wink", trackerSays); decode[api.WebhookResult](t, body).Repeats != 2 {
		t.Errorf("the same again: %s", body)
	}
	status, err := g.client("ada").ShipmentStatus(t.Context(), "S-1")
	g.must(err)
	if status.Shipment.Status != "delivered" || status.Shipment.Phase != "handed_over" || len(status.Events) != 2 || status.Events[0].City != "Ulm" || status.Events[0].TrackingSource != source.UID {
		t.Errorf("the shipment: %+v, %+v", status.Shipment, status.Events)
	}
	if raw := status.Events[1].Raw; raw != trackerSays {
		t.Errorf("the message is not kept as it came: %q", raw)
	}
	for range hooksPerMinute {
		resp, _ = b.hook("/webhooks/easy", "guess", "{}")
	}
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("after many: %s", resp.Status)
	}
}

// TestShipmentByREST walks a shipment through the API.
func TestShipmentByREST(t *testing.T) {
	g := newRig(t)
	c, ctx := g.client("otto"), t.Context()
	g.create(&inventory.Shipment{Reference: "S-1", Mode: "air", Currency: "EUR"})
	status, err := c.AddItems(ctx, "S-1", api.AddItemsRequest{Text: "SN-1111; R640; 5000 EUR\nSN-2222; R640; 5000 EUR", Why: "a gift"})
	g.must(err)
	if len(status.Items) != 2 || status.Items[0].DeclaredValueAmount != 0 || status.Cover != nil {
		t.Errorf("an operator who may not see amounts sees %+v, %+v", status.Items, status.Cover)
	}
	status, err = g.client("ada").Pack(ctx, "S-1", api.PackRequest{Parcels: []inventory.Packed{{Label: "1 of 1", WeightGrams: 20000, SealNo: "9"}}})
	g.must(err)
	if status.Cover == nil || status.Cover.Gap != 1000000-65520 || status.Cover.Source == "" || len(status.Lacks) != 2 {
		t.Errorf("cover: %+v, lacks %q", status.Cover, status.Lacks)
	}
	_, err = c.HandOver(ctx, "S-1", api.HandOverRequest{})
	if p := wantProblem(t, err, 409, api.CodeConflict); !strings.Contains(p.Detail, "no photo") || strings.Contains(p.Detail, "EUR") {
		t.Errorf("the refusal: %s", p.Detail)
	}
	status, err = c.HandOver(ctx, "S-1", api.HandOverRequest{TrackingCode: "1Z 999", Override: "we drive it ourselves"})
	g.must(err)
	if status.Shipment.OverrideReason != "we drive it ourselves" || status.Shipment.Phase != "handed_over" {
		t.Errorf("handed over: %+v", status.Shipment)
	}
	text := "UPS 11/02/2026 9:12 P.M. Label created\n11/05/2026 2:55 P.M. Delivered"
	preview, err := c.Track(ctx, "S-1", api.TrackRequest{Text: text, Preview: true})
	g.must(err)
	if len(preview.Events) != 2 || preview.New != 0 || preview.Carrier != "UPS" {
		t.Errorf("preview: %+v", preview)
	}
	tracked, err := c.Track(ctx, "S-1", api.TrackRequest{Text: text})
	g.must(err)
	if tracked.New != 2 {
		t.Errorf("tracked: %+v", tracked)
	}
	at := time.Date(2026, 11, 6, 10, 0, 0, 0, time.UTC)
	_, err = c.Track(ctx, "S-1", api.TrackRequest{OccurredAt: &at, Status: "teleported"})
	wantProblem(t, err, 422, api.CodeInvalid)
	got, err := c.Receive(ctx, "S-1", api.ReceiveRequest{Scans: []string{"SN-1111", "SN-9999999"}})
	g.must(err)
	if len(got.Items) != 1 || got.Items[0].DeclaredValueAmount != 0 || len(got.Unknown) != 1 || got.Open != 1 {
		t.Errorf("received: %+v", got)
	}
	_, err = c.Reconcile(ctx, "S-1", api.ReconcileRequest{})
	wantProblem(t, err, 409, api.CodeConflict)
	_, err = c.Reconcile(ctx, "S-1", api.ReconcileRequest{Missing: true})
	g.must(err)
	status, err = c.EndShipment(ctx, "S-1", "close", "")
	g.must(err)
	if status.Shipment.Phase != "closed" || status.Items[1].State != "missing" {
		t.Errorf("closed: %+v", status)
	}
}
