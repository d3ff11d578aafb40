package web

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"berth/api"
	"berth/inventory"
)

// Hits of a search: what REST answers when nobody says, and what the page shows.
const (
	apiHits  = 20
	pageHits = 100
)

// search is GET /api/v1/search.
func (s *Server) search(w http.ResponseWriter, r *http.Request, who caller) error {
	limit := apiHits
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > inventory.MaxPage {
			return invalid("limit", "must be a number from 1 to %d", inventory.MaxPage)
		}
		limit = n
	}
	hits, err := s.searchAll(r, who, limit)
	if err != nil {
		return err
	}
	result := api.SearchResult{Hits: []api.SearchHit{}}
	for _, h := range hits.Hits {
		result.Hits = append(result.Hits, api.SearchHit{Noun: h.Noun.Name, UID: h.Object.Head().UID, Display: h.Noun.Display(h.Object), Detail: detail(h.Noun, h.Object, hits.Names, who),
			Field: h.Field.Name, Text: h.Text, From: h.From, To: h.To, Match: string(h.Fit)})
		if hits.More && !slices.Contains(result.More, h.Noun.Name) {
			result.More = append(result.More, h.Noun.Name)
		}
	}
	return writeJSON(w, http.StatusOK, result)
}

// searchAll looks into every noun that who may read.
func (s *Server) searchAll(r *http.Request, who caller, limit int) (inventory.Hits, error) {
	text := truncate(strings.TrimSpace(r.URL.Query().Get("q")), inventory.MaxSearch/4)
	return s.Record.Search(r.Context(), inventory.SearchQuery{Text: text, Level: who.Actor.Level, Limit: limit})
}

// searchView is what a search found, by noun; the noun of the best hit comes first.
type searchView struct {
	Text   string
	Groups []searchGroup
	Count  int
	More   bool
}

type searchGroup struct {
	Noun *inventory.Noun
	Hits []searchHit
}

// searchHit is a line of the page.
type searchHit struct {
	URL     string
	Display template.HTML
	// Found is the value that matched, where that is not what the object is called.
	Where  string
	Found  template.HTML
	Detail string
}

func (s *Server) searchPage(w http.ResponseWriter, r *http.Request, who caller) error {
	hits, err := s.searchAll(r, who, pageHits)
	if err != nil {
		return err
	}
	v := searchView{Text: strings.TrimSpace(r.URL.Query().Get("q")), Count: len(hits.Hits), More: hits.More}
	for _, h := range hits.Hits {
		i := slices.IndexFunc(v.Groups, func(g searchGroup) bool { return g.Noun == h.Noun })
		if i < 0 {
			i, v.Groups = len(v.Groups), append(v.Groups, searchGroup{Noun: h.Noun})
		}
		v.Groups[i].Hits = append(v.Groups[i].Hits, lineOf(h, hits.Names, who))
	}
	return s.render(w, r, who, "search", view{Title: "Search", Data: v})
}

// lineOf draws a hit with what matched marked in it.
func lineOf(h inventory.Hit, names map[inventory.UID]string, who caller) searchHit {
	line := searchHit{URL: pageOf(h.Noun, h.Object), Detail: detail(h.Noun, h.Object, names, who)}
	if to := attachedTo(h.Noun, h.Object); to != "" {
		line.URL = to
	}
	marked := highlight(h.Text, h.From, h.To)
	if h.Field.Name == h.Noun.Label() {
		line.Display = marked
		return line
	}
	line.Display = template.HTML(html(h.Noun.Display(h.Object)))
	line.Where, line.Found = h.Field.Title, marked
	return line
}

// attachedTo is the page of what an attached object is tied to; "" of others.
func attachedTo(n *inventory.Noun, obj inventory.Object) string {
	if !n.Attached {
		return ""
	}
	noun, _ := n.Field("noun")
	object, _ := n.Field("object")
	to, ok := inventory.NounOf(fmt.Sprint(noun.Value(obj)))
	if !ok {
		return ""
	}
	return "/" + to.Plural + "/" + url.PathEscape(fmt.Sprint(object.Value(obj)))
}

// Bounds of what is shown around a match, in bytes.
const (
	beforeMatch = 60
	afterMatch  = 120
)

// highlight marks text[from:to], and cuts what is far from it.
func highlight(text string, from, to int) template.HTML {
	if from < 0 || to > len(text) || from >= to {
		return template.HTML(html(truncate(text, beforeMatch+afterMatch)))
	}
	before, after := text[:from], text[to:]
	if len(before) > beforeMatch {
		before = "…" + strings.ToValidUTF8(before[len(before)-beforeMatch:], "")
	}
	if len(after) > afterMatch {
		after = strings.ToValidUTF8(after[:afterMatch], "") + "…"
	}
	return template.HTML(html(before) + "<mark>" + html(text[from:to]) + "</mark>" + html(after))
}

// detail is a line about an object: its list fields, without the one it is called by and those that who may not see.
func detail(n *inventory.Noun, obj inventory.Object, names map[inventory.UID]string, who caller) string {
	var parts []string
	for _, f := range visible(n, who) {
		if !f.List || f.Name == n.Label() {
			continue
		}
		text := fmt.Sprint(f.Value(obj))
		switch f.Kind {
		case inventory.KindRef:
			text = names[inventory.UID(text)]
		case inventory.KindTime, inventory.KindBool, inventory.KindData, inventory.KindInt, inventory.KindFloat:
			text = "" // numbers without a heading say nothing
		case inventory.KindList:
			text = strings.Join(f.Value(obj).([]string), ", ")
		}
		if text != "" && text != "<nil>" {
			parts = append(parts, truncate(text, listText))
		}
	}
	return strings.Join(parts[:min(len(parts), 4)], " · ")
}

func searchable(n *inventory.Noun) bool {
	return slices.ContainsFunc(n.Fields, func(f inventory.Field) bool { return f.Search })
}
