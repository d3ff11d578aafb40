package web

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"berth/inventory"
)

// openRoutes is the whole list of what is answered without a credential. It is written out here, so that nobody opens a route by the way.
var openRoutes = []string{
	"GET /healthz", "GET /readyz", "GET /openapi.json",
	"GET /static/{name}", "GET /login", "POST /login",
	"POST /agent/v1/booted/{token}",
	"POST /webhooks/{name}",                                                                  // its guard is the signature, made with the secret of the tracking source
	"GET /feeds/deadlines.ics", "GET /feeds/deadlines.atom", "GET /feeds/notifications.atom", // the address holds the credential
}

func TestOpenRoutesAreTheseAlone(t *testing.T) {
	want := map[string]bool{}
	for _, row := range openRoutes {
		want[row] = true
	}
	for _, rt := range (&Server{}).handlerForTest().routes() {
		row := rt.method + " " + rt.pattern
		switch rt.need {
		case accessOpen:
			if !want[row] {
				t.Errorf("%s is open to everybody", row)
			}
			delete(want, row)
		case accessAgent:
			if !strings.HasPrefix(rt.pattern, "/agent/v1/") {
				t.Errorf("%s is for agents, but not under /agent/v1", row)
			}
		case inventory.LevelViewer, inventory.LevelOperator, inventory.LevelAdmin:
			if rt.method != "GET" && rt.need == inventory.LevelViewer && !ownBusiness[row] {
				t.Errorf("%s changes something, and a viewer may use it", row)
			}
		default:
			t.Errorf("%s needs %q, which is no access", row, rt.need)
		}
	}
	for row := range want {
		t.Errorf("%s is not open", row)
	}
}

// ownBusiness are routes by which a viewer changes nothing but their own account, or nothing at all.
var ownBusiness = map[string]bool{
	"POST /me/feeds": true, "POST /api/v1/me/feeds": true,
	"POST /logout": true, "POST /me/password": true, "POST /me/tokens": true, "POST /me/tokens/{ref}/revoke": true, "POST /me/sessions/{ref}/end": true,
	"POST /api/v1/tokens": true, "DELETE /api/v1/tokens/{ref}": true, "POST /api/v1/accounts/{ref}/password": true,
	"POST /api/v1/machines/{ref}/plan": true, "POST /views/{noun}/save": true, "POST /views/{ref}/drop": true,
}

// handlerForTest prepares a server whose routes are only looked at.
func (s *Server) handlerForTest() *Server {
	s.Handler()
	return s
}

var wildcards = regexp.MustCompile(`\{[a-z]+\}`)

// TestAccess asks every route in the table with no credential, a wrong one, and too low a level.
func TestAccess(t *testing.T) {
	g := newRig(t)
	nobody := g.browser("")
	tokens := map[inventory.Level]string{inventory.LevelViewer: g.client("vera").Token, inventory.LevelOperator: g.client("otto").Token}
	ended := g.client("vera").Token
	stale := strings.Replace(ended, ended[len(ended)-4:], "aaaa", 1)
	for _, rt := range g.server.routes() {
		if rt.need == accessOpen {
			continue
		}
		path := strings.ReplaceAll(wildcards.ReplaceAllString(rt.pattern, "nothing"), "{$}", "")
		ask := func(header, value string) *http.Response {
			req := nobody.request(rt.method, path, strings.NewReader("{}"))
			req.Header.Set("Content-Type", "application/json")
			if header != "" {
				req.Header.Set(header, value)
			}
			resp, _ := nobody.do(req)
			return resp
		}
		refused := func(what string, resp *http.Response, statuses ...int) {
			t.Helper()
			for _, status := range statuses {
				if resp.StatusCode == status {
					return
				}
			}
			t.Errorf("%s %s with %s: %s, want %v", rt.method, rt.pattern, what, resp.Status, statuses)
		}
		unauthorized := http.StatusUnauthorized
		if rt.surface == surfacePage {
			unauthorized = http.StatusSeeOther // to the login
		}
		if resp := ask("", ""); unauthorized == http.StatusSeeOther && !strings.HasPrefix(resp.Header.Get("Location"), "/login") {
			t.Errorf("%s %s without a credential leads to %q (%s)", rt.method, rt.pattern, resp.Header.Get("Location"), resp.Status)
		} else {
			refused("no credential", resp, unauthorized)
		}
		refused("a wrong token", ask("Authorization", "Bearer "+stale), unauthorized)
		refused("a token that is none", ask("Authorization", "Bearer berth_x"), unauthorized)
		refused("another scheme", ask("Authorization", "Basic YWRhOmFkYQ=="), unauthorized)
		refused("a wrong cookie", ask("Cookie", sessionCookie+"="+strings.TrimPrefix(stale, tokenPrefix)), unauthorized)
		for level, token := range tokens {
			if rt.need != accessAgent && !level.Includes(rt.need) {
				refused("the level "+string(level), ask("Authorization", "Bearer "+token), http.StatusForbidden)
			}
		}
	}
}

func TestTokensEnd(t *testing.T) {
	g := newRig(t)
	c := g.client("otto")
	if _, err := c.WhoAmI(t.Context()); err != nil {
		t.Fatal(err)
	}
	account, err := inventory.Get[inventory.Account](t.Context(), g.store, "otto")
	g.must(err)
	account.Level = inventory.LevelViewer
	g.update(account)
	who, err := c.WhoAmI(t.Context())
	g.must(err)
	if who.Level != inventory.LevelViewer {
		t.Errorf("the token of a lowered account still has the level %s", who.Level)
	}
	account, err = inventory.Get[inventory.Account](t.Context(), g.store, "otto")
	g.must(err)
	account.Disabled = true
	g.update(account)
	_, err = c.WhoAmI(t.Context())
	wantProblem(t, err, 401, "unauthorized")
}

func (g *rig) update(objects ...inventory.Object) {
	g.Helper()
	g.must(g.store.Edit(g.ctx(), inventory.NewRequest(inventory.Berth, "test"), func(tx inventory.Tx) error {
		for _, obj := range objects {
			if err := tx.Update(obj); err != nil {
				return err
			}
		}
		return nil
	}))
}
