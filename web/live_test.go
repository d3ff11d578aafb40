package web

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/api"
	"berth/inventory"
)

// TestWatch follows an operation to its end through the Go client.
func TestWatch(t *testing.T) {
	g := newRig(t)
	w := g.world(plainText)
	ctx, cancel := context.WithTimeout(g.ctx(), 30*time.Second)
	defer cancel()
	var seen []string
	err := g.client("vera").Watch(ctx, w.Working.UID, func(s api.OperationStatus) error {
		seen = append(seen, string(s.Operation.State))
		if len(seen) == 1 {
			if len(s.Steps) != 6 || s.Steps[3].Name != "write-image" {
				t.Errorf("the steps are %+v", s.Steps)
			}
			w.Working.State = inventory.OpWaiting
			g.update(w.Working)
		}
		if len(seen) == 2 {
			w.Working.State = inventory.OpDone
			g.update(w.Working)
		}
		return nil
	})
	if err != nil || strings.Join(seen, " ") != "running waiting done" {
		t.Errorf("watched %v, ended with %v", seen, err)
	}
	enough := errors.New("enough")
	if err := g.client("vera").Watch(ctx, w.Task.UID, func(api.OperationStatus) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("the watcher's own error comes back as %v", err)
	}
	wantProblem(t, g.client("vera").Watch(ctx, inventory.NewUID(), func(api.OperationStatus) error { return nil }), http.StatusNotFound, api.CodeNotFound)
}

// TestChanges: each noun that was touched is named.
func TestChanges(t *testing.T) {
	g := newRig(t)
	ctx, cancel := context.WithCancel(g.ctx())
	defer cancel()
	got := make(chan string, 10)
	ready := make(chan struct{})
	go func() {
		close(ready)
		_ = g.client("vera").Changes(ctx, func(noun string) { got <- noun }, "sites", "rack") // ends with ctx
	}()
	<-ready
	site := &inventory.Site{Name: "a", Slug: "a", Status: "active"}
	g.create(site)
	want := map[string]bool{"sites": true, "racks": true}
	number := 0
	for len(want) > 0 {
		select {
		case noun := <-got:
			delete(want, noun)
		case <-time.After(300 * time.Millisecond): // the stream may have begun after the change
			number++
			site.Name += "x"
			g.update(site)
			g.create(&inventory.Rack{Name: strings.Repeat("r", number), Site: site.UID, Status: "active"})
			if number > 50 {
				t.Fatalf("nothing was said about %v", want)
			}
		}
	}
	wantProblem(t, g.client("vera").Changes(ctx, nil, "accounts"), http.StatusUnprocessableEntity, api.CodeInvalid)
	wantProblem(t, g.client("vera").Changes(ctx, nil, strings.Split(strings.Repeat("sites,", 20)+"sites", ",")...), http.StatusUnprocessableEntity, api.CodeInvalid)
}

// TestStreamsAreBounded: more than the limit are told to come later, and a place that is left is free again.
func TestStreamsAreBounded(t *testing.T) {
	g := newRig(t, func(s *Server) { s.MaxStreams = 2 })
	b, token := g.browser(""), g.client("vera").Token
	open := func() (*http.Response, context.CancelFunc) {
		ctx, cancel := context.WithCancel(g.ctx())
		req := b.request("GET", "/api/v1/watch?noun=sites", nil).WithContext(ctx)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := b.http.Do(req)
		g.must(err)
		return resp, func() { cancel(); resp.Body.Close() }
	}
	first, closeFirst := open()
	_, closeSecond := open()
	defer closeSecond()
	if text, err := bufio.NewReader(first.Body).ReadString('\n'); err != nil || !strings.HasPrefix(text, ":") {
		t.Errorf("a stream begins with %q, %v", text, err)
	}
	third, closeThird := open()
	closeThird()
	if third.StatusCode != http.StatusServiceUnavailable || third.Header.Get("Retry-After") == "" {
		t.Errorf("one stream too many: %s", third.Status)
	}
	closeFirst()
	for range 200 {
		again, closeAgain := open()
		closeAgain()
		if again.StatusCode == 200 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the place of a stream that was closed is not free again")
}

// TestShutdownEndsStreams: a server that is told to end does not wait for its streams.
func TestShutdownEndsStreams(t *testing.T) {
	g := newRig(t)
	token := g.client("vera").Token
	second := &Server{Record: g.store, Machines: g.service, Agents: g.service, Certificate: g.cert.TLS}
	second.Handler() // made here, so that its streams may be counted below
	l, err := net.Listen("tcp", "127.0.0.1:0")
	g.must(err)
	ctx, stop := context.WithCancel(g.ctx())
	done := make(chan error, 1)
	go func() { done <- second.Serve(ctx, l) }()
	c := &api.Client{URL: "https://" + l.Addr().String(), Token: token, TLS: api.Pinned(g.cert.Pin)}
	var opened sync.WaitGroup
	ended := make(chan error, 1)
	opened.Add(1)
	go func() {
		ended <- c.Changes(g.ctx(), func(string) {}, "sites")
	}()
	go func() {
		defer opened.Done()
		for range 500 {
			if len(second.streams) == 1 {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	opened.Wait()
	stop()
	if err := <-done; err != nil {
		t.Errorf("the server ended with %v", err)
	}
	<-ended // whatever it says, it ended
}
