package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"berth/api"
	"berth/inventory"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets/*
var assetFiles embed.FS

// pages holds what is parsed once: a template for each page, with the layout and the shared pieces, and the assets by name.
type pages struct {
	templates map[string]*template.Template
	assets    map[string]asset
}

type asset struct {
	body              []byte
	contentType, hash string
}

// loadPages parses the embedded files. They are part of the program: a broken one is a panic, which the first test meets.
func loadPages(s *Server) *pages {
	p := &pages{templates: map[string]*template.Template{}, assets: loadAssets()}
	shared := template.Must(template.New("").Funcs(s.funcs(p)).ParseFS(templateFiles, "templates/_*.html"))
	files, err := fs.Glob(templateFiles, "templates/[a-z]*.html")
	if err != nil {
		panic(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".html")
		p.templates[name] = template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, file))
	}
	return p
}

var assetTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

func loadAssets() map[string]asset {
	assets := map[string]asset{}
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		body, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(body)
		assets[e.Name()] = asset{body: body, contentType: assetTypes[path.Ext(e.Name())], hash: hex.EncodeToString(sum[:6])}
	}
	return assets
}

// serveAsset answers with a file of the program. Its address carries its hash, so browsers keep it for a year.
func (s *Server) serveAsset(w http.ResponseWriter, r *http.Request, _ caller) error {
	a, ok := s.pages.assets[r.PathValue("name")]
	if !ok {
		return inventory.ErrNotFound
	}
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("ETag", `"`+a.hash+`"`)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
	return nil
}

// view is what the layout needs besides the page's own Data.
type view struct {
	Title string
	Path  string // of this request, to mark where we are
	Who   caller
	// Live names the nouns whose changes refresh the page's live regions, or is the address of a stream of its own.
	Live    string
	Flash   string
	Version string
	Now     time.Time
	// Problem is shown above a form that was not accepted.
	Problem *api.Problem
	Data    any
}

// render draws a page. It is drawn to memory first, so that a failure is a clean error page.
func (s *Server) render(w http.ResponseWriter, r *http.Request, who caller, name string, v view) error {
	t := s.pages.templates[name]
	if t == nil {
		return fmt.Errorf("there is no page template %q", name)
	}
	v.Path, v.Who, v.Version, v.Now = r.URL.Path, who, s.Version, s.now()
	if v.Problem == nil {
		v.Flash = takeFlash(w, r)
	}
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, "layout", v); err != nil {
		return fmt.Errorf("draw the page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	status := http.StatusOK
	if v.Problem != nil {
		status = v.Problem.Status
		retryAfter(w, *v.Problem)
	}
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // the browser has gone: nobody is left to tell
	return nil
}

// again reports whether an error is one that a form shows beside what was typed, and not a page of its own.
func again(err error) (*api.Problem, bool) {
	p := problemOf(err)
	if p == nil {
		return nil, false
	}
	switch p.Status {
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity, http.StatusTooManyRequests:
		shown := *p
		return &shown, true
	}
	return nil, false
}

const flashCookie = "__Host-flash"

// flash shows a sentence on the next page.
func flash(w http.ResponseWriter, format string, args ...any) {
	text := truncate(fmt.Sprintf(format, args...), 300)
	http.SetCookie(w, &http.Cookie{Name: flashCookie, Value: base64.RawURLEncoding.EncodeToString([]byte(text)), Path: "/", MaxAge: 60,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

func takeFlash(w http.ResponseWriter, r *http.Request) string {
	cookie, err := r.Cookie(flashCookie)
	if err != nil || r.Header.Get("X-Live") != "" {
		return ""
	}
	http.SetCookie(w, &http.Cookie{Name: flashCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	text, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return ""
	}
	return string(text)
}

// seeOther sends the browser to another page of ours after a form.
func seeOther(w http.ResponseWriter, r *http.Request, to string) error {
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// localPath is to if it is an address on this server, else fallback: a link must not lead a login elsewhere.
func localPath(to, fallback string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n") {
		return fallback
	}
	return to
}

// failPage shows what went wrong, or leads to where it can be put right.
func (s *Server) failPage(w http.ResponseWriter, r *http.Request, who caller, p api.Problem) {
	switch {
	case p.Code == api.CodeUnauthorized && r.Method == http.MethodGet && r.Header.Get("X-Live") == "":
		http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return
	case p.Code == api.CodeUnauthorized && r.URL.Path != "/login" && r.Header.Get("X-Live") == "":
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	case p.Code == api.CodePassword:
		http.Redirect(w, r, "/me/password", http.StatusSeeOther)
		return
	}
	err := s.render(w, r, who, "error", view{Title: p.Title, Problem: &p})
	if err != nil {
		s.log().Error("the error page cannot be drawn", "error", err)
		http.Error(w, p.Detail, p.Status)
	}
}

// form reads the fields of a posted form of ordinary size.
func form(r *http.Request) (url.Values, error) {
	if err := r.ParseForm(); err != nil {
		if p := problemOf(err); p != nil {
			return nil, p
		}
		return nil, malformed("The form cannot be read.")
	}
	return r.PostForm, nil
}

// refOf is how an object is named in addresses: its natural key where it has one, else its uid.
func refOf(n *inventory.Noun, obj inventory.Object) string {
	if n.Natural != "" {
		if name := n.Display(obj); name != "" && !inventory.UID(name).Valid() && name != "new" {
			return name
		}
	}
	return string(obj.Head().UID)
}

// pageOf is the address of an object's page.
func pageOf(n *inventory.Noun, obj inventory.Object) string {
	return "/" + n.Plural + "/" + url.PathEscape(refOf(n, obj))
}

func isNotFound(err error) bool { return errors.Is(err, inventory.ErrNotFound) }
