package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"time"

	"berth/api"
	"berth/inventory"
)

// liar speaks the agent protocol from a machine's address without being our agent. It shares no code with it.
type liar struct {
	*machine
	http  *http.Client
	token string
}

// newLiar makes a liar with a key of its own. It has no token yet.
func newLiar(m *machine) *liar {
	m.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		m.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		m.Fatal(err)
	}
	return &liar{machine: m, http: m.https(api.AgentServerName, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})}
}

// https speaks to the server from the machine's address.
func (m *machine) https(name string, certs ...tls.Certificate) *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext:     m.net.DialContext,
		TLSClientConfig: &tls.Config{ServerName: name, InsecureSkipVerify: true, Certificates: certs},
	}}
}

// booting goes through the firmware's part of a boot, and returns the token that the script holds.
func (m *machine) booting() (token string) {
	m.Helper()
	eventually(m, m.name+" is offered the agent", patience, func() bool {
		ctx, cancel := context.WithTimeout(m.ctx, 20*time.Second)
		defer cancel()
		url, err := m.address(ctx)
		if err != nil {
			m.note("the firmware: %v", err)
			return false
		}
		script, err := m.fetch(ctx, url)
		for _, arg := range kernelLine(script) {
			if value, ok := strings.CutPrefix(arg, "berth.token="); ok {
				token = value
			}
		}
		return err == nil && token != ""
	})
	return token
}

// post says something to the server, and returns how it was taken. text that is no []byte or string is sent as JSON.
func post(m *machine, client *http.Client, path string, text any) (status int, answer []byte) {
	m.Helper()
	var body []byte
	switch b := text.(type) {
	case []byte:
		body = b
	case string:
		body = []byte(b)
	default:
		var err error
		if body, err = json.Marshal(text); err != nil {
			m.Fatal(err)
		}
	}
	response, err := client.Post("https://"+httpAddr+"/agent/v1/"+path, "application/json", bytes.NewReader(body))
	if err != nil {
		// A server may hang up on whoever goes on talking after the answer.
		return 0, []byte(err.Error())
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, 1<<22))
	if err != nil {
		m.Fatal(err)
	}
	return response.StatusCode, answer
}

func (l *liar) post(path string, text any) (status int, answer []byte) {
	l.Helper()
	return post(l.machine, l.http, path, text)
}

// wants posts what must be taken in a certain way.
func (l *liar) wants(status int, path string, text any) []byte {
	l.Helper()
	got, answer := l.post(path, text)
	if got != status {
		l.Fatalf("%s: the server answered %d, not %d: %s", path, got, status, answer)
	}
	return answer
}

// register boots and registers.
func (l *liar) register() {
	l.Helper()
	l.token = l.booting()
	l.wants(http.StatusOK, "register", api.Registration{Token: l.token, Version: "a liar", UUID: l.uuid})
}

// report says what an honest agent would have seen, with one disk that only exists in its words.
func (l *liar) report() {
	l.Helper()
	l.wants(http.StatusNoContent, "report", inventory.Facts{
		System: inventory.SystemFacts{Manufacturer: "Liars", Serial: l.serial, UUID: l.uuid, Arch: "amd64"},
		Disks:  []inventory.DiskFacts{{Name: "sda", Serial: "SAID-" + l.name, SizeBytes: 8 << 30, LogicalBlockBytes: 512, ContentRead: true}},
	})
}

// ready leads the machine to where an operation may write to it.
func (l *liar) ready() {
	l.Helper()
	l.register()
	l.report()
	l.discovered()
	must(l.site, func(ctx context.Context) (*inventory.Device, error) {
		return l.client.Accept(ctx, string(l.find(l.mac.String()).UID), api.AcceptRequest{Name: l.name})
	})
}

// next asks for work until it is a certain one.
func (l *liar) next(verb api.Verb) api.Assignment {
	l.Helper()
	var a api.Assignment
	eventually(l, fmt.Sprintf("%s is told to %s", l.name, verb), patience, func() bool {
		if err := json.Unmarshal(l.wants(http.StatusOK, "next", api.NextRequest{WaitSeconds: 1}), &a); err != nil {
			l.Fatal(err)
		}
		return a.Verb == verb
	})
	return a
}
