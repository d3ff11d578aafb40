package vbmc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Limits of the Redfish service.
const (
	redfishBody       = 64 << 10 // bytes of a request's body
	redfishHeaderTime = 10 * time.Second
	redfishIdleTime   = 2 * time.Minute
)

// redfishRoot is the root of the service; everything below it but the root
// itself needs a credential.
const redfishRoot = "/redfish/v1"

// redfishServer is the Redfish side of a controller: DSP0266 over TLS.
type redfishServer struct {
	bmc      *BMC
	http     *http.Server
	listener net.Listener
	sessions *sessions
	work     sync.WaitGroup // requests being answered, and the listener
	gone     chan struct{}  // closed by stop
}

// startRedfish listens on a TCP address.
func startRedfish(b *BMC, addr string) (*redfishServer, error) {
	l, err := b.cfg.Network.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	r := &redfishServer{
		bmc:      b,
		listener: l,
		sessions: newSessions(b.cfg.SessionLimit, b.cfg.SessionTimeout),
		gone:     make(chan struct{}),
	}
	r.http = &http.Server{
		Handler:           r.guard(r.routes()),
		ReadHeaderTimeout: redfishHeaderTime,
		IdleTimeout:       redfishIdleTime,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(b.log.Handler(), slog.LevelDebug),
	}
	secure := tls.NewListener(l, &tls.Config{GetCertificate: b.certificate, MinVersion: tls.VersionTLS12})
	r.work.Go(func() {
		if err := r.http.Serve(secure); !errors.Is(err, http.ErrServerClosed) {
			b.log.Error("virtual BMC: Redfish ended", "err", err)
		}
	})
	return r, nil
}

func (r *redfishServer) port() uint16 {
	return uint16(r.listener.Addr().(*net.TCPAddr).Port)
}

func (r *redfishServer) stop() {
	close(r.gone)
	if err := r.http.Close(); err != nil {
		r.bmc.log.Debug("virtual BMC: close Redfish", "err", err)
	}
	r.work.Wait()
}

// guard is what every request passes: it is recorded, struck by faults of the
// controller as a whole, bounded, and asked for its credential.
func (r *redfishServer) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.work.Add(1)
		defer r.work.Done()
		line := req.Method + " " + req.URL.Path
		r.bmc.record("redfish " + line)
		if !r.survives(w, req, line) {
			return
		}
		req.Body = http.MaxBytesReader(w, req.Body, redfishBody)
		// The standard lets a client add or leave the last slash.
		req.URL.Path = "/" + strings.Trim(req.URL.Path, "/")
		w.Header().Set("OData-Version", "4.0")
		w.Header().Set("Cache-Control", "no-cache")
		if !open(req) && !r.known(req, line) {
			w.Header().Set("WWW-Authenticate", `Basic realm="Virtual BMC"`)
			r.fail(w, req, http.StatusUnauthorized, "NoValidSession", "There is no valid session or credential.")
			return
		}
		next.ServeHTTP(w, req)
	})
}

// survives injects the faults that keep a request from being answered at all.
func (r *redfishServer) survives(w http.ResponseWriter, req *http.Request, line string) bool {
	if f, bad := r.bmc.faults.strikes(Resetting, line); bad {
		r.bmc.Reset(f.delay())
		panic(http.ErrAbortHandler) // drops the connection without an answer
	}
	if _, bad := r.bmc.faults.strikes(NoAnswer, line); bad {
		select {
		case <-req.Context().Done():
		case <-r.gone:
		}
		panic(http.ErrAbortHandler)
	}
	if f, bad := r.bmc.faults.strikes(Slow, line); bad {
		select {
		case <-time.After(f.delay()):
		case <-req.Context().Done():
			return false
		case <-r.gone:
			return false
		}
	}
	if _, bad := r.bmc.faults.strikes(ServerError, line); bad {
		r.fail(w, req, http.StatusInternalServerError, "InternalError", "The request failed due to an internal service error.")
		return false
	}
	return true
}

// open reports whether a request needs no credential: DSP0266 section 13.3.
func open(req *http.Request) bool {
	switch req.URL.Path {
	case "/redfish", redfishRoot, redfishRoot + "/odata":
		return req.Method == http.MethodGet || req.Method == http.MethodHead
	case redfishRoot + "/SessionService/Sessions":
		return req.Method == http.MethodPost
	}
	return false
}

// known reports whether a request carries a session's token or the account's
// name and password.
func (r *redfishServer) known(req *http.Request, line string) bool {
	if _, bad := r.bmc.faults.strikes(Unauthorized, line); bad {
		return false
	}
	if token := req.Header.Get("X-Auth-Token"); token != "" {
		return r.sessions.use(token)
	}
	user, password, ok := req.BasicAuth()
	return ok && r.bmc.check(user, password)
}

// check compares a name and a password with the account's.
func (b *BMC) check(username, password string) bool {
	user, pass := b.Credentials()
	a := sha256.Sum256([]byte(user + "\x00" + pass))
	c := sha256.Sum256([]byte(username + "\x00" + password))
	return subtle.ConstantTimeCompare(a[:], c[:]) == 1
}

// object is a Redfish resource on its way to JSON.
type object = map[string]any

// reply writes a resource with its ETag, or 304 when the client has it already.
func (r *redfishServer) reply(w http.ResponseWriter, req *http.Request, status int, body object) {
	data, err := json.MarshalIndent(body, "", "  ")
	if err != nil {
		r.bmc.log.Error("virtual BMC: encode a resource", "path", req.URL.Path, "err", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if status == http.StatusOK {
		tag := etag(body)
		w.Header().Set("ETag", tag)
		if req.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if _, bad := r.bmc.faults.strikes(Malformed, req.Method+" "+req.URL.Path); bad {
		data = data[:len(data)/2]
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if _, err := w.Write(data); err != nil {
		r.bmc.log.Debug("virtual BMC: send a resource", "path", req.URL.Path, "err", err)
	}
}

// etag is a weak tag of a resource's content, without the tag inside it.
func etag(body object) string {
	plain := object{}
	for k, v := range body {
		if k != "@odata.etag" {
			plain[k] = v
		}
	}
	data, err := json.Marshal(plain)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return fmt.Sprintf(`W/"%x"`, sum[:8])
}

// fail writes an error: DSP0266 section 8.6, with a message of the Base registry.
func (r *redfishServer) fail(w http.ResponseWriter, req *http.Request, status int, id, text string) {
	message := object{
		"@odata.type": "#Message.v1_1_1.Message",
		"MessageId":   "Base.1.12." + id,
		"Message":     text,
		"Severity":    "Critical",
		"Resolution":  "None.",
	}
	r.reply(w, req, status, object{"error": object{
		"code": "Base.1.12." + id, "message": text, "@Message.ExtendedInfo": []any{message},
	}})
}

// decode reads a request's body as one JSON object.
func (r *redfishServer) decode(w http.ResponseWriter, req *http.Request, into any) bool {
	d := json.NewDecoder(req.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		r.fail(w, req, http.StatusBadRequest, "MalformedJSON", "The body is not the JSON that is expected here: "+err.Error())
		return false
	}
	return true
}

// lasting is a context for work that goes on when the client hangs up, as it
// does on a real controller.
func lasting(req *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(req.Context()), time.Minute)
}
