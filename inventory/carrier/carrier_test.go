package carrier

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/inventory"
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// brief is an event in one line.
func brief(e inventory.TrackingEvent) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s/%s %s [%s] %s %s", e.TrackingCode, e.OccurredAt.Format("02T15:04"), e.Status, e.StatusDetail, e.Reason, e.CarrierCode, e.City, e.Country))
}

// TestDecode reads a message of each shape that is known.
func TestDecode(t *testing.T) {
	for _, test := range []struct {
		file, kind string
		want       []string
	}{
		{"easypost.json", "easypost", []string{"1Z999AA10123456784 02T09:12 pre_transit/status_update  [MP]", "1Z999AA10123456784 03T02:40 in_transit/arrived_at_facility  [AR] KOELN DE", "1Z999AA10123456784 05T14:55 delivered/arrived_at_destination  [FS] FRANKFURT DE"}},
		{"aftership.json", "aftership", []string{"LX123456785DE 02T17:03 in_transit/picked_up  [PU] Hamburg DEU", "LX123456785DE 04T10:00 in_transit/attempt_failed  [NH] Paris FRA", "LX123456785DE 19T07:30 failure/lost carrier_parcel_lost [LO]"}},
		{"shippo.json", "shippo", []string{"9205590164917312751089 03T01:24 pre_transit/  [information_received] San Francisco US", "9205590164917312751089 04T01:24 in_transit/on_hold customs_inspection [package_held]", "9205590164917312751089 06T13:15 out_for_delivery/  [out_for_delivery] Chicago US"}},
		{"dhl.json", "poll", []string{"7777777770 04T09:41 delivered/  [delivered] LYON FR", "7777777770 03T04:11 in_transit/  [transit] LEIPZIG DE", "7777777770 02T16:00 pre_transit/  [pre-transit]"}},
		{"ups.json", "poll", []string{"1Z5338FF0107231059 04T10:15 failure/ consignee_not_home [48] BERLIN DE", "1Z5338FF0107231059 03T03:42 in_transit/  [DP] Koeln DE", "1Z5338FF0107231059 02T12:00 pre_transit/  [MP]  DE"}},
		{"karrio.json", "poll", []string{"1234567890 03T08:15 in_transit/on_hold customs_documentation [OH] Zurich", "1234567890 02T18:00 in_transit/picked_up  [PU] Bonn"}},
		{"plain.json", "poll", []string{"TT2026/1 02T10:00 in_transit/  [T7] Ulm DE"}},
		{"easypost.json", "poll", []string{"1Z999AA10123456784 02T09:12 pre_transit/status_update  [MP]", "1Z999AA10123456784 03T02:40 in_transit/arrived_at_facility  [AR] KOELN DE", "1Z999AA10123456784 05T14:55 delivered/arrived_at_destination  [FS] FRANKFURT DE"}},
	} {
		body := file(t, test.file)
		events, err := Decode(test.kind, body)
		var got []string
		for _, e := range events {
			got = append(got, brief(e))
		}
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s as %s: %v\n got %q\nwant %q", test.file, test.kind, err, got, test.want)
		}
		if len(events) > 0 && events[0].Raw != string(body) {
			t.Errorf("%s: the message is not kept as it came", test.file)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	many := `{"tracking_code":"X12345678","events":[` + strings.TrimSuffix(strings.Repeat(`{"occurred_at":"2026-11-02T10:00:00Z","status":"delivered"},`, maxEvents+1), ",") + `]}`
	for name, test := range map[string]struct{ kind, body string }{
		"no JSON": {"easypost", "hello"}, "another shape": {"easypost", `{"msg":{}}`}, "nothing": {"aftership", `{}`}, "no code": {"shippo", `{"data":{}}`}, "unknown keys": {"poll", `{"a":1}`},
		"a list": {"poll", `[]`}, "another kind": {"fedex", `{}`}, "too large": {"poll", strings.Repeat(" ", MaxBody+1)}, "too many": {"poll", many[:min(len(many), MaxBody)]},
	} {
		if events, err := Decode(test.kind, []byte(test.body)); err == nil {
			t.Errorf("%s: %v", name, events)
		}
	}
}

// TestStatusTables holds the tables against the words that the carriers' lists have, and against the field they fill.
func TestStatusTables(t *testing.T) {
	field, _ := inventory.NounFor[inventory.TrackingEvent]().Field("status")
	for name, table := range map[string]map[string]status{"easypost": easypost, "aftership": aftership, "aftership subtags": aftershipSubtags, "shippo": shippo, "shippo substatuses": shippoSubstatuses, "karrio": karrio, "dhl": dhl, "ups": ups} {
		for word, s := range table {
			if !slices.Contains(field.Values, s.status) || s.status == "silent" {
				t.Errorf("%s %s becomes %q", name, word, s.status)
			}
			if word != strings.ToLower(word) {
				t.Errorf("%s %s is never found", name, word)
			}
		}
	}
	for _, row := range []struct {
		table map[string]status
		word  string
		want  status
	}{
		{aftership, "AttemptFail", status{"in_transit", "attempt_failed"}}, {aftership, "Expired", status{"unknown", "expired"}}, {aftership, "Pending", status{"unknown", ""}}, {shippo, "RETURNED", status{"return_to_sender", ""}},
		{karrio, "delivery_delayed", status{"in_transit", "delayed"}}, {karrio, "ready_for_pickup", status{"available_for_pickup", ""}}, {dhl, "pre-transit", status{"pre_transit", ""}}, {ups, "OT", status{"out_for_delivery", ""}}, {ups, "VD", status{"cancelled", ""}}, {ups, "ZZ", status{"unknown", ""}},
	} {
		if got := of(row.table, row.word); got != row.want {
			t.Errorf("%s: %v, want %v", row.word, got, row.want)
		}
	}
}

// TestSigned signs as the senders do, by their documents, and then changes one thing after the other.
func TestSigned(t *testing.T) {
	body, now := []byte(`{"a":1}`), time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	mac := func(key, text string) []byte {
		m := hmac.New(sha256.New, []byte(key))
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	stamp := fmt.Sprint(now.Unix())
	header := func(name, value string) http.Header { h := http.Header{}; h.Set(name, value); return h }
	// The secret has an ä as one character; EasyPost's form NFKD has it as two.
	easypost := header("X-Hmac-Signature", "hmac-sha256-hex="+hex.EncodeToString(mac("pa\u0308ss", string(body))))
	aftership := header("aftership-hmac-sha256", base64.StdEncoding.EncodeToString(mac("pass", string(body))))
	shippo := header("Shippo-Auth-Signature", "t="+stamp+",v1="+hex.EncodeToString(mac("pass", stamp+"."+string(body))))
	for name, test := range map[string]struct {
		kind   string
		header http.Header
		token  string
		body   string
		secret string
		now    time.Time
		want   bool
	}{
		"EasyPost":                          {"easypost", easypost, "", string(body), "p\u00e4ss", now, true},
		"EasyPost, other body":              {"easypost", easypost, "", `{"a":2}`, "p\u00e4ss", now, false},
		"EasyPost, other secret":            {"easypost", easypost, "", string(body), "pass", now, false},
		"EasyPost, no prefix":               {"easypost", header("X-Hmac-Signature", hex.EncodeToString(mac("pass", string(body)))), "", string(body), "pass", now, false},
		"AfterShip":                         {"aftership", aftership, "", string(body), "pass", now, true},
		"AfterShip, other body":             {"aftership", aftership, "", " " + string(body), "pass", now, false},
		"AfterShip, no base64":              {"aftership", header("aftership-hmac-sha256", "%%%"), "", string(body), "pass", now, false},
		"Shippo":                            {"shippo", shippo, "", string(body), "pass", now, true},
		"Shippo, days later":                {"shippo", shippo, "", string(body), "pass", now.Add(48 * time.Hour), false},
		"Shippo, other time":                {"shippo", header("Shippo-Auth-Signature", strings.Replace(shippo.Get("Shippo-Auth-Signature"), "t=1", "t=2", 1)), "", string(body), "pass", now, false},
		"Shippo, token":                     {"shippo", http.Header{}, "pass", string(body), "pass", now, true},
		"Shippo, wrong token":               {"shippo", http.Header{}, "pas", string(body), "pass", now, false},
		"Shippo, token and a bad signature": {"shippo", header("Shippo-Auth-Signature", "t=1,v1=00"), "pass", string(body), "pass", now, false},
		"nothing":                           {"easypost", http.Header{}, "", string(body), "pass", now, false},
		"no secret":                         {"easypost", header("X-Hmac-Signature", "hmac-sha256-hex="+hex.EncodeToString(mac("", string(body)))), "", string(body), "", now, false},
		"no secret, no token":               {"shippo", http.Header{}, "", string(body), "", now, false},
		"a poll signs nothing":              {"poll", easypost, "pass", string(body), "pass", now, false},
	} {
		if got := Signed(test.kind, test.header, test.token, []byte(test.body), test.secret, test.now); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestPoll(t *testing.T) {
	var asked *http.Request
	status, body := 200, string(file(t, "dhl.json"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	defer server.Close()
	source := &inventory.TrackingSource{Name: "dhl", Kind: "poll", URL: server.URL + "/track?code={tracking_code}&key=hush", Header: "DHL-API-Key"}
	source.UID = inventory.NewUID()
	events, err := Poll(context.Background(), server.Client(), source, "secret", "7777 777770")
	if err != nil || len(events) != 3 || events[0].Source != "carrier_poll" || events[0].TrackingSource != source.UID {
		t.Errorf("%+v, %v", events, err)
	}
	if asked.URL.Query().Get("code") != "7777 777770" || asked.Header.Get("DHL-API-Key") != "secret" || asked.Header.Get("Authorization") != "" {
		t.Errorf("it asked %s with %v", asked.URL, asked.Header)
	}
	if events, err := Poll(context.Background(), server.Client(), source, "secret", "8888"); err != nil || len(events) != 0 {
		t.Errorf("what was told of another parcel: %v, %v", events, err)
	}
	source.Header = ""
	if _, err := Poll(context.Background(), server.Client(), source, "secret", "7777777770"); err != nil || asked.Header.Get("Authorization") != "Bearer secret" {
		t.Errorf("%v, %v", asked.Header, err)
	}
	for _, test := range []struct {
		status int
		body   string
		fails  bool
	}{{404, "", false}, {500, "", true}, {200, "hello", true}, {200, strings.Repeat(" ", MaxBody+1), true}} {
		status, body = test.status, test.body
		if events, err := Poll(context.Background(), server.Client(), source, "", "7777777770"); (err != nil) != test.fails || len(events) > 0 {
			t.Errorf("%d %.10q: %v, %v", test.status, test.body, events, err)
		}
	}
	server.Close()
	if _, err := Poll(context.Background(), server.Client(), source, "", "1"); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("a key stands in the error: %v", err)
	}
}

// FuzzDecode: no message of any kind makes it panic, and what comes out can be stored.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"easypost.json", "aftership.json", "shippo.json", "dhl.json", "ups.json", "karrio.json", "plain.json"} {
		f.Add(file(f, name))
	}
	f.Add([]byte(`{"tracking_code":1,"events":[{"occurred_at":null,"status":{},"city":["x"]}]}`))
	noun := inventory.NounFor[inventory.TrackingEvent]()
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, kind := range []string{"easypost", "aftership", "shippo", "poll"} {
			events, _ := Decode(kind, body)
			for _, e := range events {
				e.Source = "carrier_webhook"
				if err := noun.Accept(&e); err != nil {
					t.Fatalf("%s: %v in %+v", kind, err, e)
				}
			}
		}
	})
}

var pastedAt = time.Date(2026, 11, 6, 10, 0, 0, 0, time.UTC)

// TestRead is a table of what carriers write, in three languages.
func TestRead(t *testing.T) {
	for name, test := range map[string]struct {
		text     string
		carrier  string
		codes    []string
		events   []string
		promised inventory.Date
	}{
		"German e-mail": {string(file(t, "paste-dhl-de.eml")), "DHL Paket", []string{"00340434161094042557"}, []string{"02T18:04 in_transit/", "04T09:12 in_transit/attempt_failed", "05T15:58 delivered/"}, ""},
		"English table": {"UPS tracking number: 1Z999AA10123456784\n11/02/2026 9:12 P.M. Label created\n11/03/2026 4:40 A.M. Departed from Facility\tKoeln, Germany\n11/05/2026 2:55 P.M. Delivered, signed for by KELLER",
			"UPS", []string{"1Z999AA10123456784"}, []string{"02T21:12 pre_transit/", "03T04:40 in_transit/", "05T14:55 delivered/"}, ""},
		"French table": {"Votre colis Colissimo n° 6A12345678901\n02/11/2026 à 17h03 Votre colis est pris en charge\n04/11/2026 10h15 Votre colis n'a pas pu être livré : destinataire absent\n05/11/2026 11h02 Votre colis est disponible en point de retrait",
			"Colissimo", []string{"6A12345678901"}, []string{"02T17:03 in_transit/picked_up", "04T10:15 in_transit/attempt_failed", "05T11:02 available_for_pickup/"}, ""},
		"a promise":              {"Your DHL Express shipment with waybill number 12 3456 7890 is on its way.\nEstimated delivery: Thursday, November 12, 2026\n2 November 2026 18:00 Shipment picked up", "DHL Express", []string{"1234567890"}, []string{"02T18:00 in_transit/picked_up"}, "2026-11-12"},
		"one sentence":           {"Hallo, das Paket mit der Sendungsnummer JJD000390007827541234 ist gestern leider beschädigt angekommen.", "DHL", []string{"JJD000390007827541234"}, []string{"06T10:00 failure/damaged"}, ""},
		"a lost one":             {"From: claims@example.org\nSubject: Your parcel\nDate: Wed, 04 Nov 2026 12:00:00 +0000\n\nWe are sorry to inform you that consignment 9876543210 has been lost.", "", []string{"9876543210"}, []string{"04T12:00 failure/lost"}, ""},
		"words on the next line": {"2026-11-03T04:11:00+01:00\nProcessed at LEIPZIG\n2026-11-04 09:41\nDelivered - Signed for by: MARTIN", "", nil, []string{"03T03:11 in_transit/", "04T09:41 delivered/"}, ""},
		"a day that is none":     {"31.02.2026 zugestellt", "", nil, []string{"06T10:00 delivered/"}, ""},
		"nothing":                {"Hello, how are you?", "", nil, nil, ""},
		"empty":                  {"", "", nil, nil, ""},
		"a post's number":        {"RR123456785DE and RR123456789DE", "", []string{"RR123456785DE"}, nil, ""},
	} {
		r, err := Read(test.text, pastedAt)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, e := range r.Events {
			got = append(got, fmt.Sprintf("%s %s/%s", e.OccurredAt.Format("02T15:04"), e.Status, e.StatusDetail))
			if len(test.codes) > 0 && e.TrackingCode != test.codes[0] {
				t.Errorf("%s: an event of %q", name, e.TrackingCode)
			}
		}
		if r.Carrier != test.carrier || !slices.Equal(r.Codes, test.codes) || !slices.Equal(got, test.events) || r.Promised != test.promised {
			text, _ := json.Marshal(r)
			t.Errorf("%s: %s", name, text)
		}
		if len(r.Events) > 0 && r.Events[0].Raw != test.text {
			t.Errorf("%s: the text is not kept", name)
		}
	}
	for _, long := range []string{strings.Repeat("x", maxPasted+1), strings.Repeat("\n", maxPastedLines+1)} {
		if _, err := Read(long, pastedAt); err == nil {
			t.Error("a text that is too long is read")
		}
	}
}

// TestEveryPhraseMeansWhatItSays: none is hidden by a more general one before it.
func TestEveryPhraseMeansWhatItSays(t *testing.T) {
	for _, p := range phrases {
		for _, phrase := range p.list {
			got, ok := statusOf("The parcel: " + strings.ToUpper(phrase) + ".")
			if !ok || got.status != p.status || got.promise != p.promise {
				t.Errorf("%q means %v, want %v", phrase, got, p.status)
			}
			if phrase != strings.ToLower(phrase) {
				t.Errorf("%q is never found", phrase)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(string(file(f, "paste-dhl-de.eml")))
	f.Add("11/02/2026 9:12 P.M. Label created\n2026-11-03T04:11:00+99:99\nProcessed")
	f.Add("Subject: x\nContent-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=a\n\n--a\n")
	noun := inventory.NounFor[inventory.TrackingEvent]()
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Read(text, pastedAt)
		if err != nil {
			return
		}
		for _, e := range r.Events {
			if err := noun.Accept(&e); err != nil {
				t.Fatalf("%v in %+v", err, e)
			}
		}
	})
}
