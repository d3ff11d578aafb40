package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"berth/api"
	"berth/inventory"
)

func TestPasswordHashes(t *testing.T) {
	hash := hashPassword("correct horse")
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the hash is %s", hash)
	}
	if hashPassword("correct horse") == hash {
		t.Error("two hashes of one password are the same: there is no salt")
	}
	for password, want := range map[string]bool{"correct horse": true, "correct horsE": false, "": false, strings.Repeat("x", 300): false} {
		if got := checkPassword(hash, password); got != want {
			t.Errorf("%q: %v", password, got)
		}
	}
	// Whatever is not plainly a hash of ours lets nobody in.
	for _, broken := range []string{"", "$", "$argon2id$v=19$m=19456,t=2,p=1$$", "correct horse", strings.Replace(hash, "argon2id", "argon2i", 1), strings.Replace(hash, "v=19", "v=16", 1),
		strings.Replace(hash, "m=19456", "m=4194304", 1), strings.Replace(hash, "t=2", "t=0", 1), strings.Replace(hash, "p=1", "p=0", 1), hash[:len(hash)-30], strings.Replace(hash, "m=19456", "m=-1", 1)} {
		if checkPassword(broken, "correct horse") || checkPassword(broken, "") {
			t.Errorf("the hash %q lets somebody in", broken)
		}
	}
}

func TestLogin(t *testing.T) {
	g := newRig(t)
	b := g.browser("vera")
	resp, body := b.get("/machines")
	if resp.StatusCode != 200 || !strings.Contains(body, "vera") {
		t.Fatalf("after the login: %s", resp.Status)
	}
	resp, _ = b.post("/logout", nil)
	if resp.StatusCode != http.StatusSeeOther {
		t.Errorf("log out: %s", resp.Status)
	}
	if resp, _ := b.get("/machines"); resp.Header.Get("Location") != "/login?next=%2Fmachines" {
		t.Errorf("after the logout: %s to %q", resp.Status, resp.Header.Get("Location"))
	}
	cookies := g.browser("")
	resp, _ = cookies.post("/login", url.Values{"name": {"vera"}, "password": {viewerPassword}, "next": {"//evil.example/"}})
	if to := resp.Header.Get("Location"); to != "/" {
		t.Errorf("the login leads to %q", to)
	}
	set := resp.Header.Get("Set-Cookie")
	for _, word := range []string{"__Host-berth=", "Path=/", "HttpOnly", "Secure", "SameSite=Lax"} {
		if !strings.Contains(set, word) {
			t.Errorf("the cookie %q lacks %s", set, word)
		}
	}
	sessions, err := inventory.List[inventory.Session](g.ctx(), g.store, inventory.Query{})
	g.must(err)
	for _, s := range sessions {
		if strings.Contains(set, s.Hash) || s.Hash == "" {
			t.Error("the cookie itself is stored")
		}
	}
}

// TestFailClosed takes away what a login is checked against, one at a time: nobody comes in.
func TestFailClosed(t *testing.T) {
	g := newRig(t)
	in := func(b *browser) bool {
		resp, _ := b.get("/machines")
		return resp.StatusCode == 200
	}
	tryLogin := func(name, password string) int {
		resp, _ := g.browser("").post("/login", url.Values{"name": {name}, "password": {password}})
		return resp.StatusCode
	}
	change := func(fn func(a *inventory.Account)) {
		a, err := inventory.Get[inventory.Account](g.ctx(), g.store, "otto")
		g.must(err)
		fn(a)
		g.update(a)
	}
	b, token := g.browser("otto"), g.client("otto")
	good := hashes()["otto"]
	for name, fn := range map[string]func(a *inventory.Account){
		"no hash":       func(a *inventory.Account) { a.PasswordHash = "" },
		"a broken hash": func(a *inventory.Account) { a.PasswordHash = "-1" },
		"disabled":      func(a *inventory.Account) { a.Disabled = true },
	} {
		change(fn)
		for _, password := range []string{operatorPassword, "", "-1", "***"} {
			if status := tryLogin("otto", password); status == http.StatusSeeOther {
				t.Errorf("%s: %q lets in", name, password)
			}
		}
		if name == "disabled" {
			if _, err := token.WhoAmI(g.ctx()); err == nil || in(b) {
				t.Error("the token or session of a disabled account works")
			}
		}
		g.server.pause = pauses{}
		change(func(a *inventory.Account) { a.PasswordHash, a.Disabled = good, false })
	}
	for _, name := range []string{"", "nobody", "*", "otto'--", strings.Repeat("x", 5000)} {
		if status := tryLogin(name, ""); status == http.StatusSeeOther {
			t.Errorf("the account %.20q lets in", name)
		}
	}
	for _, where := range []func(*inventory.Session){
		func(s *inventory.Session) { s.Hash = "" }, func(s *inventory.Session) { s.ExpiresAt = time.Now().Add(-time.Second) },
	} {
		fresh := g.browser("vera")
		sessions, err := inventory.List[inventory.Session](g.ctx(), g.store, inventory.Query{Sort: "-created_at", Limit: 1})
		g.must(err)
		where(sessions[0])
		g.update(sessions[0])
		if in(fresh) {
			t.Error("a session without a hash, or past its end, is let in")
		}
	}
}

func TestFirstAdmin(t *testing.T) {
	g := newRig(t)
	if password, err := FirstAdmin(g.ctx(), g.store, time.Now()); err != nil || password != "" {
		t.Fatalf("with accounts there: %q, %v", password, err)
	}
	for name := range testAccounts {
		a, err := inventory.Get[inventory.Account](g.ctx(), g.store, name)
		g.must(err)
		g.must(g.store.Edit(g.ctx(), inventory.NewRequest(inventory.Berth, ""), func(tx inventory.Tx) error { return tx.Delete(a) }))
	}
	now := time.Now()
	password, err := FirstAdmin(g.ctx(), g.store, now)
	g.must(err)
	if len(password) != 23 {
		t.Errorf("the password is %q", password)
	}
	if again, err := FirstAdmin(g.ctx(), g.store, now); err != nil || again != "" {
		t.Errorf("a second start makes another: %q, %v", again, err)
	}
	later, err := FirstAdmin(g.ctx(), g.store, now.Add(2*time.Hour))
	g.must(err)
	if later == "" || later == password {
		t.Error("a first password that nobody used in time is not replaced")
	}

	// The new one is good from two hours on; here it is logged in at once, and must be changed before anything else.
	b := g.browser("")
	log := func(password string) *http.Response {
		resp, _ := b.post("/login", url.Values{"name": {"admin"}, "password": {password}})
		return resp
	}
	if resp := log(password); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the replaced password: %s", resp.Status)
	}
	if resp := log(later); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("the first login: %s", resp.Status)
	}
	if resp, _ := b.get("/machines"); resp.Header.Get("Location") != "/me/password" {
		t.Errorf("before the change, /machines leads to %q (%s)", resp.Header.Get("Location"), resp.Status)
	}
	if resp, body := b.get("/api/v1/machines"); resp.StatusCode != http.StatusForbidden || decode[api.Problem](t, body).Code != api.CodePassword {
		t.Errorf("before the change, REST answers %s", resp.Status)
	}
	if resp, _ := b.post("/me/password", url.Values{"current": {later}, "new": {"short"}, "repeat": {"short"}}); resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a short password: %s", resp.Status)
	}
	if resp, body := b.post("/me/password", url.Values{"current": {later}, "new": {"a much better one"}, "repeat": {"a much better one"}}); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("the change: %s %.300s", resp.Status, body)
	}
	if resp, _ := b.get("/machines"); resp.StatusCode != 200 {
		t.Errorf("after the change: %s", resp.Status)
	}
}

func TestFirstPasswordEnds(t *testing.T) {
	g := newRig(t)
	a, err := inventory.Get[inventory.Account](g.ctx(), g.store, "otto")
	g.must(err)
	past := time.Now().Add(-time.Minute)
	a.PasswordUntil = &past
	g.update(a)
	resp, body := g.browser("").post("/login", url.Values{"name": {"otto"}, "password": {operatorPassword}})
	if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "limited time") {
		t.Errorf("a first password after its hour: %s", resp.Status)
	}
}

// TestPauses is the rule alone, on a clock of its own.
func TestPauses(t *testing.T) {
	var p pauses
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for i := range 3 {
		if wait := p.wait(now, "otto", "10.0.0.1"); wait > 0 {
			t.Fatalf("try %d must wait %s", i, wait)
		}
		p.failed(now, "otto", "10.0.0.1")
	}
	if wait := p.wait(now, "otto", "10.0.0.1"); wait != time.Second {
		t.Errorf("after three failures the wait is %s", wait)
	}
	if wait := p.wait(now, "otto", "10.0.0.2"); wait > 0 {
		t.Errorf("another address must wait %s: that is a lock-out", wait)
	}
	for range 20 {
		p.failed(now, "otto", "10.0.0.1")
	}
	if wait := p.wait(now, "otto", "10.0.0.1"); wait != pauseMax {
		t.Errorf("after many failures the wait is %s", wait)
	}
	if wait := p.wait(now, "vera", "10.0.0.1"); wait <= 0 {
		t.Error("one guess at each of many accounts goes unnoticed")
	}
	if wait := p.wait(now.Add(time.Minute), "otto", "10.0.0.1"); wait > 0 {
		t.Errorf("after a minute the wait is still %s", wait)
	}
	p.passed("otto", "10.0.0.1")
	for i := range 3 * pausesRemembers {
		p.failed(now, "", strings.Repeat("x", i%7)+string(rune('a'+i%26))+time.Duration(i).String())
	}
	if n := len(p.seen); n > pausesRemembers+2 {
		t.Errorf("%d failures are remembered", n)
	}
}

func TestWrongPasswordsPause(t *testing.T) {
	g := newRig(t)
	b := g.browser("")
	var last *http.Response
	for range freeTries + 1 {
		last, _ = b.post("/login", url.Values{"name": {"otto"}, "password": {"wrong"}})
	}
	b.post("/login", url.Values{"name": {"my-secret-in-the-wrong-field"}, "password": {"x"}})
	if log := g.log.String(); strings.Contains(log, "wrong-field") || !strings.Contains(log, "account=otto") {
		t.Error("the log does not name the account, or holds what may be a password")
	}
	if last.StatusCode != http.StatusTooManyRequests || last.Header.Get("Retry-After") == "" {
		t.Errorf("after %d wrong passwords: %s", freeTries+1, last.Status)
	}
}

func TestTokens(t *testing.T) {
	g := newRig(t)
	ctx := g.ctx()
	otto := g.client("otto")
	created, err := otto.CreateToken(ctx, api.TokenRequest{Name: "ci", Level: inventory.LevelViewer})
	g.must(err)
	if !strings.HasPrefix(created.Token, "berth_") || len(created.Token) < 50 {
		t.Errorf("the token is %q", created.Token)
	}
	weak := g.client("")
	weak.Token = created.Token
	who, err := weak.WhoAmI(ctx)
	g.must(err)
	if who.Level != inventory.LevelViewer || who.Name != "otto" || who.Via != "token" {
		t.Errorf("the token is %+v", who)
	}
	_, err = weak.CreateToken(ctx, api.TokenRequest{Name: "stronger", Level: inventory.LevelOperator})
	wantProblem(t, err, http.StatusUnprocessableEntity, api.CodeInvalid)
	_, err = otto.CreateToken(ctx, api.TokenRequest{Name: "too strong", Level: inventory.LevelAdmin})
	wantProblem(t, err, http.StatusUnprocessableEntity, api.CodeInvalid)
	_, err = otto.CreateToken(ctx, api.TokenRequest{Name: "of another", Account: "ada"})
	wantProblem(t, err, http.StatusForbidden, api.CodeForbidden)
	_, err = otto.CreateToken(ctx, api.TokenRequest{Name: "for ever", ExpiresAt: ptr(time.Now().AddDate(10, 0, 0))})
	wantProblem(t, err, http.StatusUnprocessableEntity, api.CodeInvalid)
	wantProblem(t, g.client("vera").RevokeToken(ctx, created.Record.UID), http.StatusNotFound, api.CodeNotFound)
	g.must(otto.RevokeToken(ctx, created.Record.UID))
	_, err = weak.WhoAmI(ctx)
	wantProblem(t, err, http.StatusUnauthorized, api.CodeUnauthorized)
}

func TestPasswordsOverREST(t *testing.T) {
	g := newRig(t)
	ctx := g.ctx()
	err := g.client("otto").SetPassword(ctx, "otto", api.PasswordRequest{Current: "wrong", New: "something else"})
	wantProblem(t, err, http.StatusUnprocessableEntity, api.CodeInvalid)
	wantProblem(t, g.client("otto").SetPassword(ctx, "vera", api.PasswordRequest{New: "something else"}), http.StatusForbidden, api.CodeForbidden)
	other := g.browser("vera")
	g.must(g.client("ada").SetPassword(ctx, "vera", api.PasswordRequest{New: "given by ada 1"}))
	if resp, _ := other.get("/machines"); resp.StatusCode == 200 {
		t.Error("a session outlives the password it was opened with")
	}
	b := g.browser("")
	b.post("/login", url.Values{"name": {"vera"}, "password": {"given by ada 1"}})
	if resp, _ := b.get("/machines"); resp.Header.Get("Location") != "/me/password" {
		t.Error("a password that an admin gave need not be changed")
	}
}
