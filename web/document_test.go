package web

import (
	"bytes"
	"image"
	"image/jpeg"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"berth/api"
	"berth/inventory"
	"berth/inventory/blob"
)

func jpegFile(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := jpeg.Encode(&out, image.NewGray(image.Rect(0, 0, 600, 400)), nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// upload posts a file as the form of a page does.
func (b *browser) upload(fields url.Values, name string, data []byte) (*http.Response, string) {
	b.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for key, values := range fields {
		for _, value := range values {
			b.must(form.WriteField(key, value))
		}
	}
	part, err := form.CreateFormFile("file", name)
	b.must(err)
	_, err = part.Write(data)
	b.must(err)
	b.must(form.Close())
	req := b.request("POST", "/documents/new", &body)
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Origin", "https://"+b.addr)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(req)
}

// The story of a photo: uploaded on the page of a site, seen there, downloaded, taken off, deleted and brought back.
func TestPhotoOfASite(t *testing.T) {
	g := newRig(t)
	site := &inventory.Site{Name: "Cellar", Slug: "cellar"}
	g.create(site)
	otto := g.browser("otto")
	photo := jpegFile(t)
	resp, _ := otto.upload(url.Values{"kind": {"photo"}, "caption": {"<b>the box</b>"}, "attach": {"site/cellar"}, "back": {"/sites/cellar"}}, "../../etc/<i>box</i>.jpg", photo)
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/sites/cellar" {
		t.Fatalf("%s to %s", resp.Status, resp.Header.Get("Location"))
	}
	docs, err := inventory.List[inventory.Document](t.Context(), g.store, inventory.Query{})
	if err != nil || len(docs) != 1 || docs[0].Name != "i>.jpg" || docs[0].UploadedBy != "otto" || docs[0].Thumbnail == "" || docs[0].SizeBytes != int64(len(photo)) {
		t.Fatalf("%+v, %v", docs, err)
	}
	doc := docs[0]
	_, page := otto.get("/sites/cellar")
	for _, want := range []string{"/documents/" + string(doc.UID) + "/thumbnail", "&lt;b&gt;the box&lt;/b&gt;", "Take off"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q does not stand on the page of the site", want)
		}
	}
	resp, body := otto.get("/documents/" + string(doc.UID) + "/content")
	if body != string(photo) || resp.Header.Get("Content-Disposition") != `attachment; filename="i>.jpg"` || resp.Header.Get("X-Content-Type-Options") != "nosniff" ||
		resp.Header.Get("Content-Security-Policy") != filePolicy || resp.Header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("%s, %v, %d bytes", resp.Status, resp.Header, len(body))
	}
	resp, body = otto.get("/documents/" + string(doc.UID) + "/thumbnail")
	if config, kind, err := image.DecodeConfig(strings.NewReader(body)); err != nil || kind != "jpeg" || config.Width != 320 || resp.Header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("the thumbnail: %s, %v, %v", resp.Status, config, err)
	}
	resp, page = otto.get("/documents/" + string(doc.UID))
	if resp.StatusCode != http.StatusOK || !strings.Contains(page, "Site cellar") {
		t.Errorf("the page of the document: %s", resp.Status)
	}
	if resp, _ := otto.post("/documents/"+string(doc.UID)+"/delete", url.Values{"why": {"blurred"}}); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("delete: %s", resp.Status)
	}
	if resp, _ := otto.get("/documents/" + string(doc.UID) + "/content"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("of a deleted document: %s", resp.Status)
	}
	changes, err := inventory.List[inventory.Change](t.Context(), g.store, inventory.Query{Filters: []inventory.Filter{inventory.Is("object", doc.UID), inventory.Is("action", "delete")}})
	if err != nil || len(changes) != 1 {
		t.Fatalf("%d changes, %v", len(changes), err)
	}
	g.must(g.client("ada").Undo(t.Context(), changes[0].UID, api.UndoRequest{Request: true}))
	if _, page = otto.get("/sites/cellar"); !strings.Contains(page, "/documents/"+string(doc.UID)+"/thumbnail") {
		t.Error("the photo did not come back to the site's page")
	}
}

func TestUploadsAreNeverShown(t *testing.T) {
	g := newRig(t)
	c := g.client("otto")
	for name, text := range map[string]string{"x.html": "<script>alert(1)</script>", "x.svg": `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`, "x.jpg": "\xff\xd8\xff<script>alert(1)</script>", "x.js": "alert(1)"} {
		doc, err := c.UploadDocument(t.Context(), api.DocumentRequest{Name: name}, strings.NewReader(text))
		g.must(err)
		resp, body := g.browser("vera").get("/documents/" + string(doc.UID) + "/content")
		if body != text || !strings.HasPrefix(resp.Header.Get("Content-Disposition"), "attachment;") || strings.HasPrefix(resp.Header.Get("Content-Type"), "text/") || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: %v", name, resp.Header)
		}
		if resp, _ := g.browser("vera").get("/documents/" + string(doc.UID) + "/thumbnail"); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s has a thumbnail: %s", name, resp.Status)
		}
	}
}

func TestUploadsThatAreRefused(t *testing.T) {
	g := newRig(t, func(s *Server) {
		var err error
		if s.Documents, err = blob.Open(t.TempDir(), 1000); err != nil {
			t.Fatal(err)
		}
	})
	c := g.client("otto")
	send := func(in api.DocumentRequest, text string) error {
		_, err := c.UploadDocument(t.Context(), in, strings.NewReader(text))
		return err
	}
	wantProblem(t, send(api.DocumentRequest{Name: "x"}, strings.Repeat("x", 1001)), http.StatusRequestEntityTooLarge, api.CodeTooLarge)
	wantProblem(t, send(api.DocumentRequest{Name: "x"}, ""), http.StatusUnprocessableEntity, api.CodeInvalid)
	wantProblem(t, send(api.DocumentRequest{Name: "x", Kind: "virus"}, "x"), http.StatusUnprocessableEntity, api.CodeInvalid)
	for _, attach := range []string{"site/none", "spaceship/S-1", "site", "attachment/x", "/etc/passwd"} {
		wantProblem(t, send(api.DocumentRequest{Name: "x", Attach: []string{attach}}, "x"), http.StatusUnprocessableEntity, api.CodeInvalid)
	}
	_, err := g.client("vera").UploadDocument(t.Context(), api.DocumentRequest{Name: "x"}, strings.NewReader("x"))
	wantProblem(t, err, http.StatusForbidden, api.CodeForbidden)
	_, err = g.client("").UploadDocument(t.Context(), api.DocumentRequest{Name: "x"}, strings.NewReader("x"))
	wantProblem(t, err, http.StatusUnauthorized, api.CodeUnauthorized)

	resp, page := g.browser("otto").upload(url.Values{"kind": {"photo"}, "description": {"what I typed"}}, "big.jpg", bytes.Repeat([]byte("x"), 2000))
	if resp.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(page, "what I typed") || !strings.Contains(page, "larger than the 1000 B") {
		t.Errorf("%s\n%s", resp.Status, page)
	}
	docs, err := inventory.List[inventory.Document](t.Context(), g.store, inventory.Query{})
	if err != nil || len(docs) != 0 {
		t.Errorf("%d documents were kept, %v", len(docs), err)
	}
}

func TestInvoicesAreForThoseWhoSeeMoney(t *testing.T) {
	g := newRig(t)
	doc, err := g.client("ada").UploadDocument(t.Context(), api.DocumentRequest{Name: "invoice.pdf", Kind: "invoice"}, strings.NewReader("%PDF-1.7 9,999.00 EUR"))
	g.must(err)
	body, err := g.client("ada").Download(t.Context(), "/api/v1/documents/"+string(doc.UID)+"/content")
	g.must(err)
	defer body.Close()
	if text, err := io.ReadAll(body); err != nil || !strings.Contains(string(text), "9,999.00") {
		t.Errorf("%q, %v", text, err)
	}
	_, err = g.client("otto").Download(t.Context(), "/api/v1/documents/"+string(doc.UID)+"/content")
	wantProblem(t, err, http.StatusForbidden, api.CodeForbidden)
	if resp, page := g.browser("otto").get("/documents/" + string(doc.UID)); resp.StatusCode != http.StatusOK || strings.Contains(page, "/content") {
		t.Errorf("its page offers a download: %s", resp.Status)
	}
}
