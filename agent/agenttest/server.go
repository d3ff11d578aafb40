// Package agenttest is a berth server for the tests of the agent: it speaks the agent protocol over real TLS, keeps what it hears, and
// misbehaves when told to. It shares no code with the real one, so that the two can disagree.
package agenttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/api"
	"berth/inventory"
)

// Fault is how the server treats one request.
type Fault int

// The faults.
const (
	None      Fault = iota
	CutBefore       // the connection ends before anything was done
	CutAfter        // everything was done, but the answer never comes
	Broken          // 500
	Garbage         // 200 with a body that is no JSON
	Endless         // 200 with a body that does not end
)

// Server is the fake. Its state survives Stop and Restart, as a real server's does kill -9.
type Server struct {
	Pin   string // for the agent
	Token string // the only good one

	// Fault is asked before each request with its number, from 0, and its path after /agent/v1/. Nil is no faults.
	Fault func(number int, path string) Fault
	// Poll is how long a request for work is held at most; zero is 200 ms, so that a test ends soon.
	Poll time.Duration

	cert     tls.Certificate
	address  string
	mu       sync.Mutex
	changed  chan struct{} // closed and replaced whenever something below changes
	http     *http.Server
	requests int
	state    State
	queue    []api.Assignment
	stopped  map[string]string
}

// State is what the server has heard.
type State struct {
	Registrations []api.Registration
	Refused       int    // registrations with a bad or a spent token
	Key           string // of the session, hex
	Facts         []inventory.Facts
	Handed        []string // ids of assignments, each time one was handed out
	Progress      []api.Progress
	Results       map[string]api.Result
	Deliveries    int // results, repeated ones included
	Log           []api.LogLine
}

// Start starts a server on the loopback. It ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// The dates are wrong on purpose: an agent must not care.
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(1, 0), NotAfter: time.Unix(2, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pin := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	s := &Server{
		Pin: hex.EncodeToString(pin[:]), Token: "token-of-this-boot", address: "127.0.0.1:0",
		cert:    tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		changed: make(chan struct{}), stopped: map[string]string{},
		state: State{Results: map[string]api.Result{}},
	}
	s.Restart(t)
	t.Cleanup(s.Stop)
	return s
}

// URL is where the agent finds the server.
func (s *Server) URL() string { return "https://" + s.address }

// Port is the TCP port.
func (s *Server) Port() string {
	_, port, _ := net.SplitHostPort(s.address)
	return port
}

// Restart listens again, on the same port.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	var listener net.Listener
	var err error
	for range 50 { // the port of a server that just ended may be taken for a moment
		if listener, err = net.Listen("tcp", s.address); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	config := &tls.Config{Certificates: []tls.Certificate{s.cert}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.http = &http.Server{Handler: http.HandlerFunc(s.serve), ErrorLog: log.New(io.Discard, "", 0)}
	go s.http.Serve(tls.NewListener(listener, config))
}

// Stop ends every connection at once, as kill -9 does.
func (s *Server) Stop() {
	s.mu.Lock()
	server := s.http
	s.mu.Unlock()
	server.Close()
}

// Forget loses the session, as a server restored from an old backup does. The token is good again.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Key = ""
}

// Assign queues work. It stays outstanding until a result or Withdraw.
func (s *Server) Assign(a api.Assignment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, a)
	s.change()
}

// StopAssignment makes the next progress of the assignment hear that it shall stop.
func (s *Server) StopAssignment(id, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped[id] = reason
}

// Withdraw makes the assignment one that is no longer outstanding.
func (s *Server) Withdraw(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(id)
}

// State is a copy of what was heard so far.
func (s *Server) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copyState()
}

func (s *Server) copyState() State {
	copied := s.state
	copied.Results = map[string]api.Result{}
	for id, r := range s.state.Results {
		copied.Results[id] = r
	}
	copied.Handed = append([]string(nil), s.state.Handed...)
	copied.Facts = append([]inventory.Facts(nil), s.state.Facts...)
	copied.Progress = append([]api.Progress(nil), s.state.Progress...)
	copied.Log = append([]api.LogLine(nil), s.state.Log...)
	return copied
}

// Wait waits until what was heard satisfies until, and fails the test when limit passes first.
func (s *Server) Wait(t testing.TB, what string, limit time.Duration, until func(State) bool) State {
	t.Helper()
	deadline := time.After(limit)
	for {
		s.mu.Lock()
		state, changed := s.copyState(), s.changed
		s.mu.Unlock()
		if until(state) {
			return state
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%s did not happen within %s; heard so far: %+v", what, limit, state)
		}
	}
}

// Result waits for the result of an assignment.
func (s *Server) Result(t testing.TB, id string, limit time.Duration) api.Result {
	t.Helper()
	state := s.Wait(t, "the result of "+id, limit, func(s State) bool { _, there := s.Results[id]; return there })
	return state.Results[id]
}

// change tells those who wait. The lock is held.
func (s *Server) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Server) drop(id string) {
	kept := s.queue[:0]
	for _, a := range s.queue {
		if a.ID != id {
			kept = append(kept, a)
		}
	}
	s.queue = kept
}

func (s *Server) fault(path string) Fault {
	s.mu.Lock()
	number := s.requests
	s.requests++
	fault := s.Fault
	s.mu.Unlock()
	if fault == nil {
		return None
	}
	return fault(number, path)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/agent/v1/")
	fault := s.fault(path)
	if fault == CutBefore {
		cut(w)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, api.AgentBodyLimit+1))
	if err != nil || len(body) > api.AgentBodyLimit || r.TLS.ServerName != api.AgentServerName || r.Method != http.MethodPost {
		http.Error(w, "not what the protocol says", http.StatusBadRequest)
		return
	}
	if fault == Broken {
		http.Error(w, "out of order", http.StatusInternalServerError)
		return
	}
	key := sha256.Sum256(r.TLS.PeerCertificates[0].RawSubjectPublicKeyInfo)
	code, answer := s.handle(r, path, hex.EncodeToString(key[:]), body)
	switch fault {
	case CutAfter:
		cut(w)
	case Garbage:
		io.WriteString(w, "<html>it works</html>")
	case Endless:
		for chunk := strings.Repeat("{", 64<<10); ; {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
	default:
		w.WriteHeader(code)
		if answer != nil {
			json.NewEncoder(w).Encode(answer)
		}
	}
}

// cut ends the connection without a word.
func cut(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
}

func (s *Server) handle(r *http.Request, path, key string, body []byte) (int, any) {
	if path == "register" {
		return s.register(key, body)
	}
	s.mu.Lock()
	known := s.state.Key == key
	s.mu.Unlock()
	if !known {
		return http.StatusUnauthorized, nil
	}
	switch parts := strings.Split(path, "/"); {
	case path == "report":
		return s.heard(body, func(f inventory.Facts) { s.state.Facts = append(s.state.Facts, f) })
	case path == "log":
		return s.heardLog(body)
	case path == "next":
		return http.StatusOK, s.next(r)
	case len(parts) == 3 && parts[2] == "progress":
		return s.progress(parts[1], body)
	case len(parts) == 3 && parts[2] == "result":
		return s.result(parts[1], body)
	}
	return http.StatusNotFound, nil
}

func (s *Server) register(key string, body []byte) (int, any) {
	var request api.Registration
	if err := json.Unmarshal(body, &request); err != nil {
		return http.StatusBadRequest, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.change()
	if request.Token != s.Token || s.state.Key != "" && s.state.Key != key {
		s.state.Refused++
		return http.StatusForbidden, map[string]string{"detail": "the token is not good, or no longer"}
	}
	s.state.Key = key
	s.state.Registrations = append(s.state.Registrations, request)
	return http.StatusOK, api.Session{Machine: "m-1", Name: "rack1-u7", Now: time.Now(), Accepted: true, GiveUpAfterSeconds: 60}
}

// heard decodes one message and notes it.
func (s *Server) heard(body []byte, note func(inventory.Facts)) (int, any) {
	var facts inventory.Facts
	if err := json.Unmarshal(body, &facts); err != nil {
		return http.StatusBadRequest, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	note(facts)
	s.change()
	return http.StatusNoContent, nil
}

func (s *Server) heardLog(body []byte) (int, any) {
	var lines api.LogLines
	if err := json.Unmarshal(body, &lines); err != nil || len(lines.Lines) > 200 {
		return http.StatusBadRequest, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Log = append(s.state.Log, lines.Lines...)
	s.change()
	return http.StatusNoContent, nil
}

// next hands out the first assignment that is outstanding, as often as it is asked.
func (s *Server) next(r *http.Request) api.Assignment {
	hold := s.Poll
	if hold == 0 {
		hold = 200 * time.Millisecond
	}
	deadline := time.After(hold)
	for {
		s.mu.Lock()
		if len(s.queue) > 0 {
			first := s.queue[0]
			s.state.Handed = append(s.state.Handed, first.ID)
			s.change()
			s.mu.Unlock()
			return first
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-deadline:
			return api.Assignment{Verb: api.VerbWait}
		case <-r.Context().Done():
			return api.Assignment{Verb: api.VerbWait}
		}
	}
}

func (s *Server) outstanding(id string) bool {
	for _, a := range s.queue {
		if a.ID == id {
			return true
		}
	}
	return false
}

func (s *Server) progress(id string, body []byte) (int, any) {
	var p api.Progress
	if err := json.Unmarshal(body, &p); err != nil {
		return http.StatusBadRequest, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.outstanding(id) {
		return http.StatusConflict, map[string]string{"detail": "that assignment is over"}
	}
	s.state.Progress = append(s.state.Progress, p)
	s.change()
	reason, stop := s.stopped[id]
	return http.StatusOK, api.ProgressAnswer{Stop: stop, Reason: reason}
}

func (s *Server) result(id string, body []byte) (int, any) {
	var result api.Result
	if err := json.Unmarshal(body, &result); err != nil {
		return http.StatusBadRequest, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.change()
	s.state.Deliveries++
	if before, there := s.state.Results[id]; there {
		if fmt.Sprint(before) != fmt.Sprint(result) {
			return http.StatusConflict, map[string]string{"detail": "there is another result already"}
		}
		return http.StatusNoContent, nil
	}
	if !s.outstanding(id) {
		return http.StatusConflict, map[string]string{"detail": "that assignment is over"}
	}
	s.state.Results[id] = result
	s.drop(id)
	return http.StatusNoContent, nil
}
