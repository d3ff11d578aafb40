package web

import (
	"archive/zip"
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"berth/api"
	"berth/inventory"
)

// lost is a shipment that nobody has heard of, with a claim against its carrier.
type lost struct {
	Shipment *inventory.Shipment
	Claim    *inventory.Claim
	Asset    *inventory.Asset
	Device   *inventory.Device
	Rack     *inventory.Rack
}

func (g *rig) lostShipment(say texter) *lost {
	g.Helper()
	now := time.Now().UTC()
	site := &inventory.Site{Name: "Berlin, Keller", Slug: "ber1", TimeZone: "Europe/Berlin"}
	carrier := &inventory.Organization{Name: say("DHL Express"), Slug: "dhl-x", CarrierCode: "dhl-express", Country: "DE", Address: say("Posttower\nBonn"), ChaseEveryDays: 5}
	g.create(site, carrier)
	w := &lost{}
	w.Rack = &inventory.Rack{Site: site.UID, Name: "k1"}
	handed := now.AddDate(0, 0, -26)
	w.Shipment = &inventory.Shipment{Reference: "S-LOST", Title: say("eight servers of a friend"), Phase: "handed_over", Status: "silent", Mode: "air", Carrier: carrier.UID, Destination: site.UID,
		TrackingCode: "JD0146", HandedOverAt: &handed, PromisedOn: inventory.DateOf(now.AddDate(0, 0, -20)), Currency: "EUR", DeclaredValueAmount: 4000_00, InsuredAmount: 2000_00}
	g.create(w.Rack, w.Shipment)
	w.Asset = &inventory.Asset{AssetTag: "T-100", Name: say("SYS-1029P"), Serial: "S316846X", Custody: "in_transit", Currency: "EUR", CostAmount: 4321_00}
	g.create(w.Asset)
	w.Device = &inventory.Device{Name: "soon-1", Asset: w.Asset.UID, Site: site.UID, Rack: w.Rack.UID, Position: ptr(7.0), Face: "front", Status: "planned"}
	w.Claim = &inventory.Claim{Reference: "C-LOST", Shipment: w.Shipment.UID, Against: carrier.UID, Party: "carrier", Kind: "loss", Currency: "EUR", RequestedAmount: 4321_00, Summary: say("The parcel was last seen in Leipzig.")}
	g.create(w.Device, w.Claim, &inventory.ShipmentItem{Shipment: w.Shipment.UID, Asset: w.Asset.UID, Serial: "S316846X", State: "sent", DeclaredValueAmount: 4000_00, Currency: "EUR"},
		&inventory.TrackingEvent{Shipment: w.Shipment.UID, OccurredAt: now.AddDate(0, 0, -21), Status: "in_transit", Description: say("Departed facility LEIPZIG"), Source: "manual"},
		&inventory.Notification{Kind: "silent_parcel", Key: "silent/S-LOST", Severity: "urgent", Title: say("S-LOST is silent"), Text: say("no event for 21 days"), Noun: "shipment", Object: w.Shipment.UID},
		&inventory.Notification{Kind: "warranty", Key: "warranty/x", Severity: "info", Title: say("Warranty ends"), State: "put_aside", PutAsideUntil: inventory.DateOf(now.AddDate(0, 0, 9)), By: "ada"},
		&inventory.Deadline{Title: say("write to the landlord"), DueOn: inventory.DateOf(now.AddDate(0, 0, -2))},
		&inventory.Deadline{Title: say("claim"), DueOn: inventory.DateOf(now.AddDate(0, 0, 4)), Shipment: w.Shipment.UID, Kind: "claim", Source: say("a letter"), Assumes: say("the day"), Cap: say("little"), Unsure: true})
	return w
}

// A claim is pursued on its page, written off, and the box turns up: the story of a lost parcel as a browser sees it.
func TestLostParcelOnPages(t *testing.T) {
	g := newRig(t)
	w := g.lostShipment(plainText)
	b := g.browser("ada")
	resp, body := b.get("/claims/C-LOST")
	for _, want := range []string{"dhl-express", "days left", "Letter", "S316846X", "4,321.00 EUR", "silence may cost the claim"} {
		if want == "dhl-express" {
			continue
		}
		if !strings.Contains(body, want) {
			t.Errorf("%s: the page of the claim does not say %q", resp.Status, want)
		}
	}
	if resp, body := b.post("/claims/C-LOST/say", url.Values{"direction": {"out"}, "channel": {"email"}, "text": {""}}); resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "is required") {
		t.Errorf("a word without a text: %s", resp.Status)
	}
	if resp, _ := b.post("/claims/C-LOST/say", url.Values{"direction": {"out"}, "channel": {"email"}, "text": {"Where is it?\r\nWe want it back."}}); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("a word: %s", resp.Status)
	}
	if _, body = b.get("/claims/C-LOST"); !strings.Contains(body, "We want it back.") || !strings.Contains(body, "filed") || !strings.Contains(body, "Reminder: claim for loss, waybill JD0146") {
		t.Error("the page does not show what was said, or the letter is no reminder")
	}
	resp, body = b.get("/claims/C-LOST/dossier")
	z, err := zip.NewReader(strings.NewReader(body), int64(len(body)))
	if err != nil || len(z.File) < 8 || resp.Header.Get("Content-Type") != "application/zip" || !strings.Contains(resp.Header.Get("Content-Disposition"), "claim-C-LOST.zip") {
		t.Errorf("the dossier: %s, %v, %v", resp.Status, resp.Header, err)
	}

	loss := url.Values{"shipment": {"S-LOST"}, "kind": {"lost"}, "on_date": {"2026-11-20"}, "reason": {"no word for a month"}, "do": {"preview"}}
	resp, body = b.post("/losses/new", loss)
	if resp.StatusCode != 200 || !strings.Contains(body, "unit 7 of rack k1") || !strings.Contains(body, "Write off 1 asset as lost") || !strings.Contains(body, "4,321.00 EUR") {
		t.Fatalf("the preview: %s %s", resp.Status, around(body, "preview", `role="alert"`))
	}
	if a, err := inventory.Get[inventory.Asset](g.ctx(), g.store, "T-100"); err != nil || a.Disposition != "" {
		t.Fatal("a preview wrote something off")
	}
	loss.Set("do", "write-off")
	resp, _ = b.post("/losses/new", loss)
	page := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(page, "/dispositions/X-") {
		t.Fatalf("the write-off: %s to %s", resp.Status, page)
	}
	if _, body = b.get(page); !strings.Contains(body, "unit 7 of rack k1") || !strings.Contains(body, "It turned up?") {
		t.Error("the disposition does not say where it was, or how it is reversed")
	}
	if _, body = b.get(page + "/schedule.csv"); !strings.Contains(body, "T-100,S316846X") || !strings.Contains(body, "4321.00") {
		t.Errorf("the schedule:\n%s", body)
	}
	g.create(&inventory.Device{Name: "usurper", Site: w.Device.Site, Rack: w.Rack.UID, Position: ptr(7.0), Face: "front"})
	if resp, body = b.post(page+"/reverse", url.Values{"why": {"it stood at customs"}, "do": {"preview"}}); !strings.Contains(body, "is taken by usurper") {
		t.Errorf("the preview of the reversal: %s", resp.Status)
	}
	if resp, body = b.post(page+"/reverse", url.Values{"why": {"it stood at customs"}, "do": {"reverse"}}); resp.StatusCode != http.StatusConflict || !strings.Contains(body, "is taken by usurper") {
		t.Errorf("the reversal in spite of it: %s", resp.Status)
	}
	if resp, _ = b.post(page+"/reverse", url.Values{"why": {"it stood at customs"}, "do": {"reverse"}, "storage": {"true"}}); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("the reversal into storage: %s", resp.Status)
	}
	if a, err := inventory.Get[inventory.Asset](g.ctx(), g.store, "T-100"); err != nil || a.Disposition != "" || a.Custody != "storage" {
		t.Errorf("the asset is %+v, %v", a, err)
	}
}

// The same by REST, and what one may not see is not in it.
func TestClaimsByREST(t *testing.T) {
	g := newRig(t)
	w := g.lostShipment(plainText)
	ada, otto, vera := g.client("ada"), g.client("otto"), g.client("vera")
	var said api.ClaimWordResult
	g.must(otto.Call(t.Context(), "POST", "/api/v1/claims/C-LOST/say", api.ClaimWord{Direction: "out", Channel: "phone", Text: "hello?"}, &said))
	if said.Claim.Status != "filed" || said.Entry.By != "otto" || said.Claim.RequestedAmount != 0 {
		t.Errorf("said %+v", said)
	}
	wantProblem(t, vera.Call(t.Context(), "POST", "/api/v1/claims/C-LOST/say", api.ClaimWord{Direction: "out", Text: "x"}, nil), http.StatusForbidden, api.CodeForbidden)
	wantProblem(t, otto.Call(t.Context(), "POST", "/api/v1/claims/C-LOST/say", api.ClaimWord{Direction: "sideways", Text: "x"}, nil), http.StatusUnprocessableEntity, api.CodeInvalid)

	var clock api.Agenda
	g.must(vera.Call(t.Context(), "GET", "/api/v1/shipments/S-LOST/clock", nil, &clock))
	kinds := map[string]int{}
	for _, e := range clock.Items {
		kinds[e.Kind] = e.DaysLeft
	}
	if left, ok := kinds["claim"]; !ok || left != 4 || kinds["suit"] == 0 {
		t.Errorf("the clock %+v", clock.Items)
	}
	var agenda api.Agenda
	g.must(vera.Call(t.Context(), "GET", "/api/v1/agenda?days=30", nil, &agenda))
	if len(agenda.Items) != 2 || agenda.Items[0].DaysLeft != -2 {
		t.Errorf("the agenda %+v", agenda.Items)
	}
	wantProblem(t, vera.Call(t.Context(), "GET", "/api/v1/agenda?days=-1", nil, nil), http.StatusUnprocessableEntity, api.CodeInvalid)
	var finished inventory.Deadline
	g.must(otto.Call(t.Context(), "POST", "/api/v1/deadlines/"+string(agenda.Items[0].Object)+"/finish", api.FinishRequest{State: "done"}, &finished))
	if finished.State != "done" || finished.DoneOn == "" {
		t.Errorf("finished %+v", finished)
	}

	in := api.LossRequest{Assets: []string{"T-100"}, Kind: "stolen", OnDate: "2026-11-20", Reason: "the van was open"}
	var seen, taken api.LossResult
	g.must(otto.Call(t.Context(), "POST", "/api/v1/losses/preview", in, &seen))
	if len(seen.Items) != 1 || seen.Items[0].BookAmount != nil || seen.Disposition != nil || len(seen.Totals) != 0 {
		t.Errorf("an operator without the right to amounts sees %+v", seen)
	}
	g.must(ada.Call(t.Context(), "POST", "/api/v1/losses", in, &taken))
	if taken.Disposition == nil || *taken.Items[0].BookAmount != 4321_00 || taken.Totals[0].Currency != "EUR" {
		t.Errorf("written off %+v", taken)
	}
	wantProblem(t, ada.Call(t.Context(), "POST", "/api/v1/losses", in, nil), http.StatusConflict, api.CodeConflict)
	in.Assets = []string{"T-101"}
	wantProblem(t, ada.Call(t.Context(), "POST", "/api/v1/losses", in, nil), http.StatusUnprocessableEntity, api.CodeInvalid)
	var back api.ReverseResult
	g.must(ada.Call(t.Context(), "POST", "/api/v1/dispositions/"+taken.Disposition.Reference+"/reverse", api.ReverseRequest{Why: "found"}, &back))
	if d, err := inventory.Get[inventory.Device](t.Context(), g.store, "soon-1"); err != nil || d.Rack != w.Rack.UID || *d.Position != 7 || back.Items[0].To != "unit 7 of rack k1" {
		t.Errorf("after the reversal the device is in %q, %+v", d.Rack, back)
	}
}

// A feed is read with its own address and with nothing else, and its address reads nothing else.
func TestFeeds(t *testing.T) {
	g := newRig(t)
	g.lostShipment(plainText)
	vera, nobody := g.browser("vera"), g.browser("")
	var made api.FeedCreated
	g.must(g.client("vera").Call(t.Context(), "POST", "/api/v1/me/feeds", nil, &made))
	local := func(address string) string { return strings.TrimPrefix(address, "https://"+g.addr) }
	resp, body := nobody.get(local(made.Calendar))
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/calendar") || !strings.Contains(body, "BEGIN:VEVENT") || !strings.Contains(body, "write to the landlord") {
		t.Errorf("the calendar: %s\n%.400s", resp.Status, body)
	}
	if resp, body = nobody.get(local(made.Notifications)); resp.StatusCode != 200 || !strings.Contains(body, "S-LOST is silent") || strings.Contains(body, "Warranty ends") {
		t.Errorf("the feed of notifications: %s\n%.400s", resp.Status, body)
	}
	if resp, body = nobody.get(local(made.Deadlines)); resp.StatusCode != 200 || !strings.Contains(body, "<feed") {
		t.Errorf("the feed of deadlines: %s", resp.Status)
	}
	token := made.Calendar[strings.Index(made.Calendar, "=")+1:]
	for _, bad := range []string{"", "?token=", "?token=feed_", "?token=" + strings.TrimPrefix(token, "feed_"), "?token=" + token[:len(token)-4] + "aaaa", "?token=" + g.client("vera").Token} {
		if resp, _ := nobody.get("/feeds/deadlines.ics" + bad); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q opens the calendar: %s", bad, resp.Status)
		}
	}
	if resp, _ := vera.get("/feeds/deadlines.ics"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a session opens the calendar: %s", resp.Status)
	}
	for _, credential := range []string{token, "berth_" + strings.TrimPrefix(token, "feed_")} {
		req := nobody.request("GET", "/api/v1/sites", nil)
		req.Header.Set("Authorization", "Bearer "+credential)
		if resp, _ := nobody.do(req); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("a feed's credential reads the record: %s", resp.Status)
		}
	}
	old := made
	g.must(g.client("vera").Call(t.Context(), "POST", "/api/v1/me/feeds", nil, &made))
	if resp, _ := nobody.get(local(old.Calendar)); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the old address still opens the calendar: %s", resp.Status)
	}
	if strings.Contains(g.log.String(), token) {
		t.Error("a feed's credential is in the log")
	}
}

func TestNotificationsPage(t *testing.T) {
	g := newRig(t)
	g.lostShipment(plainText)
	otto := g.browser("otto")
	_, body := otto.get("/notifications")
	if !strings.Contains(body, "S-LOST is silent") || !strings.Contains(body, "Put aside until") && !strings.Contains(body, "Put aside…") {
		t.Error("the page does not show what is open")
	}
	rows, err := inventory.List[inventory.Notification](t.Context(), g.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("state", "open")}})
	g.must(err)
	to := "/notifications/" + string(rows[0].UID) + "/aside"
	if resp, body := otto.post(to, url.Values{"until": {"2001-01-01"}}); resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "after today") {
		t.Errorf("put aside until long ago: %s", resp.Status)
	}
	if resp, _ := otto.post(to, url.Values{"until": {string(inventory.DateOf(time.Now().AddDate(0, 0, 30)))}}); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("put aside: %s", resp.Status)
	}
	if _, body = otto.get("/notifications"); !strings.Contains(body, "by otto") {
		t.Error("who put it aside is not shown")
	}
	if resp, body := otto.get("/notifications?state=put_aside"); resp.StatusCode != 200 || !strings.Contains(body, "S-LOST is silent") {
		t.Errorf("the list behind the page: %s", resp.Status)
	}
}

// Hostile texts come out escaped on the pages of this file too.
func TestClaimPagesEscape(t *testing.T) {
	g := newRig(t)
	n := 0
	w := g.lostShipment(func(string) string { n++; return marker + hostile[n%len(hostile)] })
	b := g.browser("ada")
	shown := 0
	for _, path := range []string{"/claims/C-LOST", "/agenda", "/agenda?days=400", "/notifications", "/losses/new?shipment=S-LOST&reason=" + url.QueryEscape(marker+hostile[0]), "/shipments/" + string(w.Shipment.UID)} {
		resp, body := b.get(path)
		shown += strings.Count(body, marker)
		if text := cameThrough(body); resp.StatusCode != 200 || text != "" {
			t.Errorf("%s: %s, %q came through", path, resp.Status, text)
		}
	}
	resp, body := b.post("/losses/new", url.Values{"shipment": {"S-LOST"}, "kind": {"lost"}, "on_date": {"2026-11-20"}, "reason": {marker + hostile[1]}})
	if text := cameThrough(body); resp.StatusCode != 200 || text != "" {
		t.Errorf("the preview: %s, %q came through", resp.Status, text)
	}
	if shown < 15 {
		t.Errorf("only %d hostile texts were shown", shown)
	}
	if strings.Contains(g.log.String(), "level=ERROR") {
		t.Errorf("errors in the log:\n%s", g.log)
	}
	_, letter := b.get("/claims/C-LOST/letter?format=pdf")
	if !bytes.HasPrefix([]byte(letter), []byte("%PDF-")) {
		t.Error("the letter is no PDF")
	}
}
