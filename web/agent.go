package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"berth/api"
	"berth/inventory"
)

// agentWaitMax is the longest a request for work is held, in seconds.
const agentWaitMax = 60

func (s *Server) agentRoutes() []route {
	rows := []route{
		{pattern: "/agent/v1/register", handle: s.agentRegister},
		{pattern: "/agent/v1/report", handle: s.agentReport},
		{pattern: "/agent/v1/next", handle: s.agentNext},
		{pattern: "/agent/v1/assignments/{id}/progress", handle: s.agentProgress},
		{pattern: "/agent/v1/assignments/{id}/result", handle: s.agentResult},
		{pattern: "/agent/v1/log", handle: s.agentLog},
	}
	for i := range rows {
		rows[i].method, rows[i].need, rows[i].surface = http.MethodPost, accessAgent, surfaceAgent
	}
	// An installed system has no key of its own: the one-time token in the address is its credential.
	return append(rows, route{method: http.MethodPost, pattern: "/agent/v1/booted/{token}", need: accessOpen, surface: surfaceAgent, handle: s.agentBooted})
}

// agentKey is the SHA-256 of the public key whose possession this connection proved.
func agentKey(r *http.Request) (string, error) {
	if r.TLS == nil || r.TLS.ServerName != api.AgentServerName || len(r.TLS.PeerCertificates) == 0 {
		return "", &api.Problem{Status: http.StatusUnauthorized, Code: api.CodeUnauthorized,
			Detail: "Agents speak to " + api.AgentServerName + " and show the certificate they made for this boot."}
	}
	return api.PinOf(r.TLS.PeerCertificates[0]), nil
}

// readAgent decodes an agent's body. Fields that this server does not know are passed over: an agent may be newer.
func readAgent(r *http.Request, into any) (key string, err error) {
	if key, err = agentKey(r); err != nil {
		return "", err
	}
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		return "", jsonProblem(err)
	}
	return key, nil
}

func remoteAddr(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

func (s *Server) agentRegister(w http.ResponseWriter, r *http.Request, _ caller) error {
	var in api.Registration
	key, err := readAgent(r, &in)
	if err != nil {
		return err
	}
	session, err := s.Agents.Register(r.Context(), in, key, remoteAddr(r))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, session)
}

func (s *Server) agentReport(w http.ResponseWriter, r *http.Request, _ caller) error {
	var in inventory.Facts
	key, err := readAgent(r, &in)
	if err == nil {
		err = s.Agents.Report(r.Context(), key, in)
	}
	return noContent(w, err)
}

func (s *Server) agentNext(w http.ResponseWriter, r *http.Request, _ caller) error {
	var in api.NextRequest
	key, err := readAgent(r, &in)
	if err != nil {
		return err
	}
	in.WaitSeconds = min(max(in.WaitSeconds, 0), agentWaitMax)
	wait := time.Duration(in.WaitSeconds) * time.Second
	rc := http.NewResponseController(w)
	deadline := time.Now().Add(wait + readTimeout)
	if err := errors.Join(rc.SetReadDeadline(deadline), rc.SetWriteDeadline(deadline)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	work, err := s.Agents.Next(r.Context(), key, in)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, work)
}

func (s *Server) agentProgress(w http.ResponseWriter, r *http.Request, _ caller) error {
	var in api.Progress
	key, err := readAgent(r, &in)
	if err != nil {
		return err
	}
	answer, err := s.Agents.Progress(r.Context(), key, r.PathValue("id"), in)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, answer)
}

func (s *Server) agentResult(w http.ResponseWriter, r *http.Request, _ caller) error {
	var in api.Result
	key, err := readAgent(r, &in)
	if err == nil {
		err = s.Agents.Result(r.Context(), key, r.PathValue("id"), in)
	}
	return noContent(w, err)
}

func (s *Server) agentLog(w http.ResponseWriter, r *http.Request, _ caller) error {
	var in api.LogLines
	key, err := readAgent(r, &in)
	if err == nil {
		err = s.Agents.Log(r.Context(), key, in)
	}
	return noContent(w, err)
}

func (s *Server) agentBooted(w http.ResponseWriter, r *http.Request, _ caller) error {
	var in api.BootReport
	err := json.NewDecoder(r.Body).Decode(&in)
	if err != nil {
		return jsonProblem(err)
	}
	return noContent(w, s.Agents.Booted(r.Context(), r.PathValue("token"), in))
}

func noContent(w http.ResponseWriter, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}
