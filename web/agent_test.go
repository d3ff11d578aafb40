package web

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"berth/api"
	"berth/inventory"
	"berth/provision"
)

// agent is a client as a booted agent is one: a key made for this boot, a pin, and the name under which the server asks for a certificate.
type agent struct {
	*rig
	key  string
	http *http.Client
}

func (g *rig) agent(serverName string, certificate bool) *agent {
	g.Helper()
	config := api.Pinned(g.cert.Pin)
	config.ServerName = serverName
	a := &agent{rig: g}
	if certificate {
		pair := bootCertificate(g)
		config.Certificates = []tls.Certificate{pair}
		a.key = api.PinOf(pair.Leaf)
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	g.Cleanup(transport.CloseIdleConnections)
	a.http = &http.Client{Transport: transport}
	return a
}

func bootCertificate(g *rig) tls.Certificate {
	g.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	g.must(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "agent"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	g.must(err)
	leaf, err := x509.ParseCertificate(der)
	g.must(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *agent) post(path string, in, out any) int {
	a.Helper()
	text, err := json.Marshal(in)
	a.must(err)
	resp, err := a.http.Post("https://"+a.addr+path, "application/json", bytes.NewReader(text))
	if err != nil {
		a.Logf("%s: %v", path, err)
		return 0
	}
	defer resp.Body.Close()
	if out != nil && resp.StatusCode == 200 {
		a.must(json.NewDecoder(resp.Body).Decode(out))
	}
	return resp.StatusCode
}

// TestAgentSpeaks leads an agent through registration, report and the question for work, against the real service.
func TestAgentSpeaks(t *testing.T) {
	g := newRig(t)
	device := &inventory.Device{Name: "found-1", ProvisionState: inventory.StateUnknown}
	g.create(device)
	const token = "one-time"
	g.create(&inventory.BootAttempt{Device: device.UID, MAC: "52:54:00:00:00:01", Offered: "agent", TokenHash: hashCredential(token)})
	a := g.agent(api.AgentServerName, true)

	var session api.Session
	if status := a.post("/agent/v1/register", api.Registration{Token: token, MACs: []string{"52:54:00:00:00:01"}}, &session); status != 200 || session.Machine != string(device.UID) {
		t.Fatalf("register: %d %+v", status, session)
	}
	if status := a.post("/agent/v1/report", inventory.Facts{System: inventory.SystemFacts{Serial: "S1"}}, nil); status != http.StatusNoContent {
		t.Errorf("report: %d", status)
	}
	if status := a.post("/agent/v1/log", api.LogLines{Lines: []api.LogLine{{At: time.Now(), Text: "hello"}}}, nil); status != http.StatusNoContent {
		t.Errorf("log: %d", status)
	}
	var work api.Assignment
	if status := a.post("/agent/v1/next", api.NextRequest{WaitSeconds: 0}, &work); status != 200 || work.Verb != api.VerbWait {
		t.Errorf("next: %d %+v", status, work)
	}
	if status := a.post("/agent/v1/assignments/none/result", api.Result{}, nil); status != http.StatusConflict && status != http.StatusNotFound {
		t.Errorf("the result of an assignment that is none: %d", status)
	}

	// Another key with the same token is an alarm, not an agent; and no key but the registered one may say anything.
	thief := g.agent(api.AgentServerName, true)
	if status := thief.post("/agent/v1/register", api.Registration{Token: token}, nil); status != http.StatusForbidden {
		t.Errorf("a second key registers: %d", status)
	}
	for _, path := range []string{"/agent/v1/report", "/agent/v1/next", "/agent/v1/log", "/agent/v1/assignments/x/progress", "/agent/v1/assignments/x/result"} {
		if status := thief.post(path, map[string]any{}, nil); status != http.StatusUnauthorized {
			t.Errorf("%s with a key that is not registered: %d", path, status)
		}
		if status := g.agent("localhost", true).post(path, map[string]any{}, nil); status != http.StatusUnauthorized {
			t.Errorf("%s under another name: %d", path, status)
		}
	}
	if status := a.post("/agent/v1/booted/wrong-token", api.BootReport{}, nil); status != http.StatusForbidden {
		t.Errorf("booted with a wrong token: %d", status)
	}
}

// TestCertificateRequest: the server asks for a client certificate under the agent's name and under no other.
func TestCertificateRequest(t *testing.T) {
	g := newRig(t)
	for name, want := range map[string]bool{api.AgentServerName: true, "localhost": false, "": false, "berth.example": false} {
		asked := false
		config := insecure(name)
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			pair := bootCertificate(g)
			return &pair, nil
		}
		conn, err := tls.Dial("tcp", g.addr, config)
		g.must(err)
		g.must(conn.Handshake())
		conn.Close()
		if asked != want {
			t.Errorf("under the name %q the server asked for a certificate: %v", name, asked)
		}
	}
	if status := g.agent(api.AgentServerName, false).post("/agent/v1/register", api.Registration{}, nil); status != 0 {
		t.Errorf("without a certificate the handshake went through: %d", status)
	}
}

// TestLongPollIsHeld: the wait an agent asks for is bounded by the server.
func TestLongPollIsHeld(t *testing.T) {
	asked := make(chan int, 1)
	g := newRig(t, func(s *Server) { s.Agents = waitRecorder{nil, asked} })
	g.agent(api.AgentServerName, true).post("/agent/v1/next", api.NextRequest{WaitSeconds: 1 << 30}, nil)
	if wait := <-asked; wait != agentWaitMax {
		t.Errorf("the service is asked to wait %d s", wait)
	}
}

type waitRecorder struct {
	*provision.Service
	asked chan int
}

func (r waitRecorder) Next(_ context.Context, _ string, in api.NextRequest) (api.Assignment, error) {
	r.asked <- in.WaitSeconds
	return api.Assignment{Verb: api.VerbWait}, nil
}

func TestAgentBodies(t *testing.T) {
	g := newRig(t)
	a := g.agent(api.AgentServerName, true)
	for name, body := range map[string]string{"no JSON": "{", "deep": strings.Repeat(`{"a":`, 20000), "empty": ""} {
		resp, err := a.http.Post("https://"+g.addr+"/agent/v1/report", "application/json", strings.NewReader(body))
		g.must(err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	resp, err := a.http.Post("https://"+g.addr+"/agent/v1/report", "application/json", strings.NewReader(`{"problems":["`+strings.Repeat("x", api.AgentBodyLimit)+`"]}`))
	g.must(err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a body over the limit: %s", resp.Status)
	}
}
