package web

import (
	"bytes"
	"errors"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"berth/api"
	"berth/inventory"
)

const movedIn = "asset_tag,serial,name,notes\nI-1,79OH8D2,spare,\"<b>bold</b>\"\nI-2,790H8D3,other,\n"

// TestImportAPI looks at a table, brings it in, again, and takes it back.
func TestImportAPI(t *testing.T) {
	g := newRig(t)
	c := g.client("otto")
	opt := api.ImportOptions{Format: "csv", Noun: "asset", Name: "list.csv", DryRun: true, Why: "moving in"}
	report, err := c.Import(g.ctx(), opt, strings.NewReader(movedIn))
	g.must(err)
	if report.Created != 2 || report.Applied || !report.DryRun || report.Run != "" || len(report.Errors) != 0 || len(report.Changes) != 2 {
		t.Errorf("the dry run says %+v", report)
	}
	assets, err := inventory.List[inventory.Asset](g.ctx(), g.store, inventory.Query{})
	g.must(err)
	if len(assets) != 0 {
		t.Errorf("a dry run made %d assets", len(assets))
	}
	opt.DryRun, opt.Run = false, inventory.NewUID()
	report, err = c.Import(g.ctx(), opt, strings.NewReader(movedIn))
	g.must(err)
	if report.Created != 2 || !report.Applied || report.Run != opt.Run || !report.Request.Valid() {
		t.Errorf("the import says %+v", report)
	}
	run, err := c.GetObject(g.ctx(), inventory.NounFor[inventory.ImportRun](), string(opt.Run))
	g.must(err)
	if r := run.(*inventory.ImportRun); r.State != "done" || r.Done != 2 || r.By != "otto" || r.Why != "moving in" || r.Name != "list.csv" {
		t.Errorf("the run is %+v", r)
	}
	report, err = c.Import(g.ctx(), opt, strings.NewReader(movedIn))
	g.must(err)
	if report.Created != 0 || report.Unchanged != 2 || report.Run != "" {
		t.Errorf("the second import says %+v", report)
	}
	report, err = c.Import(g.ctx(), opt, strings.NewReader("asset_tag,kind\nI-3,device\nI-4,spaceship\n"))
	g.must(err)
	if report.Applied || len(report.Errors) != 1 || report.Errors[0].Row != 3 || report.Errors[0].Column != "kind" || report.Errors[0].Value != "spaceship" {
		t.Errorf("a table with an error: %+v", report)
	}
}

func TestImportRefusals(t *testing.T) {
	g := newRig(t)
	for _, c := range []struct {
		account string
		opt     api.ImportOptions
		body    string
		status  int
	}{
		{"vera", api.ImportOptions{Noun: "asset"}, movedIn, http.StatusForbidden},
		{"otto", api.ImportOptions{Format: "nonesuch"}, movedIn, http.StatusUnprocessableEntity},
		{"otto", api.ImportOptions{Noun: "change"}, movedIn, http.StatusUnprocessableEntity},
		{"otto", api.ImportOptions{Noun: "asset", Run: "x"}, movedIn, http.StatusUnprocessableEntity},
		{"otto", api.ImportOptions{Noun: "asset"}, "", http.StatusUnprocessableEntity},
		{"otto", api.ImportOptions{}, "foo,bar\n1,2\n", http.StatusUnprocessableEntity},
	} {
		_, err := g.client(c.account).Import(g.ctx(), c.opt, strings.NewReader(c.body))
		var p *api.Problem
		if !errors.As(err, &p) || p.Status != c.status {
			t.Errorf("%s, %+v: %v", c.account, c.opt, err)
		}
	}
}

// moveIn posts the form of the import page.
func (b *browser) moveIn(path string, fields url.Values, name, content string) (*http.Response, string) {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for field, values := range fields {
		if err := w.WriteField(field, values[0]); err != nil {
			b.Fatal(err)
		}
	}
	if name != "" {
		part, err := w.CreateFormFile("file", name)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := part.Write([]byte(content)); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	req := b.request("POST", path, &body)
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.Header.Set("Origin", "https://"+b.addr)
	return b.do(req)
}

// TestImportPage walks the page: a table with an error, the same put right by a mapping, applied, looked at, taken back.
func TestImportPage(t *testing.T) {
	g := newRig(t)
	b := g.browser("otto")
	if _, page := b.get("/import"); !strings.Contains(page, "Look at it") || !strings.Contains(page, "NetBox") {
		t.Error("the page offers nothing")
	}
	const german = "Inventarnummer;Seriennummer;Art\nI-1;79OH8D2;device\nI-2;<script>alert(1)</script>;spaceship\n"
	resp, _ := b.moveIn("/import", url.Values{"noun": {"asset"}, "map": {"Inventarnummer = asset_tag\nSeriennummer = serial\nArt = kind"}}, "liste.csv", german)
	preview := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(preview, "/import/") {
		t.Fatalf("the upload was answered %s, %s", resp.Status, preview)
	}
	_, page := b.get(preview)
	if !strings.Contains(page, "1 thing is wrong") || !strings.Contains(page, "spaceship") || strings.Contains(page, "<script>alert") || strings.Contains(page, "/apply") {
		t.Errorf("the page with the error:\n%s", page)
	}
	if resp, _ := g.browser("ada").get(preview); resp.StatusCode != http.StatusNotFound {
		t.Errorf("another person sees the upload: %s", resp.Status)
	}
	if resp, _ := b.post(preview+"/apply", nil); resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("applying it all the same: %s", resp.Status)
	}
	resp, _ = b.post(preview, url.Values{"noun": {"asset"}, "map": {"Inventarnummer = asset_tag\nSeriennummer = serial"}, "keep_unknown": {"notes"}})
	if resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("looking again: %s", resp.Status)
	}
	if _, page = b.get(preview); !strings.Contains(page, "Apply: create 2, change 0") || !strings.Contains(page, "kept in the notes") {
		t.Errorf("the page without it:\n%s", page)
	}
	resp, _ = b.post(preview+"/apply", url.Values{"why": {"moving in"}})
	done := resp.Header.Get("Location")
	if !strings.HasPrefix(done, "/import-runs/") {
		t.Fatalf("applying was answered %s, %s", resp.Status, done)
	}
	if _, page = b.get(done); !strings.Contains(page, "Take all of it back") || !strings.Contains(page, "liste.csv") || !strings.Contains(page, "moving in") {
		t.Errorf("the page of the import:\n%s", page)
	}
	if resp, _ := b.get(preview); resp.StatusCode != http.StatusNotFound {
		t.Errorf("the upload is still there: %s", resp.Status)
	}
	if resp, _ := b.post(done+"/undo", nil); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("taking it back: %s", resp.Status)
	}
	assets, err := inventory.List[inventory.Asset](g.ctx(), g.store, inventory.Query{})
	g.must(err)
	if len(assets) != 0 {
		t.Errorf("%d assets are left", len(assets))
	}
	if _, page = b.get(done); !strings.Contains(page, "undone") {
		t.Error("the run does not say that it was taken back")
	}
}

// TestImportPasted takes a table from the text field, and keeps what was typed when it is refused.
func TestImportPasted(t *testing.T) {
	g := newRig(t)
	b := g.browser("otto")
	resp, page := b.moveIn("/import", url.Values{"noun": {"asset"}, "currency": {"euros"}, "text": {movedIn}}, "", "")
	if resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(page, `value="euros"`) {
		t.Errorf("a bad currency: %s", resp.Status)
	}
	resp, _ = b.moveIn("/import", url.Values{"noun": {"asset"}, "text": {movedIn}}, "", "")
	if resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("pasting: %s", resp.Status)
	}
	if _, page = b.get(resp.Header.Get("Location")); !strings.Contains(page, "create 2") || strings.Contains(page, "<b>bold") {
		t.Errorf("the preview:\n%s", page)
	}
	if resp, _ := b.moveIn("/import", nil, "", ""); resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("nothing at all: %s", resp.Status)
	}
}

// TestPendings keeps few uploads, and none for ever.
func TestPendings(t *testing.T) {
	g := newRig(t)
	b := g.browser("otto")
	var first string
	for i := range maxPending + 1 {
		resp, _ := b.moveIn("/import", url.Values{"noun": {"asset"}, "text": {movedIn}}, "", "")
		if i == 0 {
			first = resp.Header.Get("Location")
		}
	}
	if resp, _ := b.get(first); resp.StatusCode != http.StatusNotFound {
		t.Errorf("the oldest upload is still there: %s", resp.Status)
	}
}

// TestExportComesBack reads berth's own CSV again: nothing changes; and with a cell changed, that cell does.
func TestExportComesBack(t *testing.T) {
	g := newRig(t)
	g.world(plainText)
	g.create(&inventory.Asset{AssetTag: "=1+1", Name: "-dash", Serial: "'quoted", Notes: "two\nlines, \"quoted\"", Currency: "EUR", CostAmount: 123450})
	c := g.client("ada")
	for _, noun := range []string{"asset", "device", "site", "rack", "interface", "component", "manufacturer", "device-type"} {
		n := nounNamed(noun)
		_, text := g.browser("ada").get("/" + n.Plural + ".csv")
		if !strings.HasPrefix(text, "uid,") {
			t.Fatalf("no CSV of %s: %.200s", noun, text)
		}
		report, err := c.Import(g.ctx(), api.ImportOptions{Name: n.Plural + ".csv"}, strings.NewReader(text))
		g.must(err)
		if report.Format != "csv" || report.Created+report.Updated != 0 || len(report.Errors) != 0 {
			t.Errorf("%s: %d created, %d changed, errors %v, changes %+v", noun, report.Created, report.Updated, report.Errors, report.Changes)
		}
	}
}
