package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"berth/internal/lab/hardware"
	"berth/internal/lab/vbmc"
)

// Limits of the control socket.
const (
	controlBody = 64 << 10
	controlTime = 2 * time.Minute // of one request: a power action waits for QEMU
)

// Status is a rack as another process sees it.
type Status struct {
	Name      string
	Dir       string
	Namespace string
	Owner     int // process id
	Boot, BMC string
	Machines  []MachineStatus
}

// MachineStatus is one machine of a Status.
type MachineStatus struct {
	Name     string
	Firmware hardware.Firmware
	Serial   string
	MACs     []string
	Power    hardware.PowerState
	Override string
	Boots    int
	CPU      time.Duration
	Console  string // file of the last boot's serial output
	BMC      *BMCStatus
}

// BMCStatus is how to reach a machine's controller from inside the namespace.
type BMCStatus struct {
	Protocol           vbmc.Protocol
	Addr               string
	MAC                string
	Username, Password string
	Faults             []vbmc.Fault
}

// Status describes the rack now.
func (r *Rack) Status() Status {
	s := Status{
		Name: r.spec.Name, Dir: r.dir, Namespace: r.Namespace(), Owner: r.owner.PID,
		Boot: r.spec.BootNetwork.String(), BMC: r.spec.BMCNetwork.String(),
	}
	for _, m := range r.machines {
		s.Machines = append(s.Machines, m.status())
	}
	return s
}

func (m *Machine) status() MachineStatus {
	server := m.Server()
	s := MachineStatus{
		Name: m.name, Firmware: server.Firmware, Serial: server.System.Serial, Power: m.PowerState(),
		Override: m.Override().String(), Boots: len(m.Boots()), CPU: m.CPUTime(),
	}
	for _, n := range server.NICs {
		s.MACs = append(s.MACs, n.MAC.String())
	}
	if n := lastConsole(m.dir); n > 0 {
		s.Console = consolePath(m.dir, n)
	}
	if b := m.bmc; b != nil {
		p := b.Protocol()
		if p == vbmc.Both {
			p = vbmc.Redfish
		}
		user, password := b.Credentials()
		s.BMC = &BMCStatus{
			Protocol: b.Protocol(), Addr: b.Endpoint(p).String(), MAC: b.MAC().String(),
			Username: user, Password: password, Faults: b.Injected(),
		}
	}
	return s
}

// controlSocket is where a rack takes orders from other processes of its owner.
func controlSocket(run string) string { return filepath.Join(run, "control.sock") }

// serveControl answers on the control socket until ctx ends.
func (r *Rack) serveControl(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", controlSocket(r.run))
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { r.answer(w, r.Status(), nil) })
	mux.HandleFunc("POST /machines/{name}/power", r.orderPower)
	mux.HandleFunc("POST /machines/{name}/link", r.orderLink)
	mux.HandleFunc("POST /machines/{name}/fault", r.orderFault)
	mux.HandleFunc("DELETE /machines/{name}/fault", r.orderClear)
	srv := &http.Server{
		Handler:           http.MaxBytesHandler(mux, controlBody),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(r.log.Handler(), slog.LevelDebug),
	}
	r.work.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			r.log.Error("lab: control socket", "err", err)
		}
	})
	context.AfterFunc(ctx, func() { srv.Close() })
	return nil
}

// answer writes a value, or an error as a sentence.
func (r *Rack) answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		r.log.Debug("lab: control socket", "err", err)
	}
}

// order finds the machine that a request names and decodes its body.
func (r *Rack) order(req *http.Request, into any) (*Machine, error) {
	m := r.Machine(req.PathValue("name"))
	if m == nil {
		return nil, fmt.Errorf("the rack has no machine %q", req.PathValue("name"))
	}
	if into == nil {
		return m, nil
	}
	if err := json.NewDecoder(req.Body).Decode(into); err != nil {
		return nil, fmt.Errorf("read the order: %w", err)
	}
	return m, nil
}

// Orders for power that are not a hardware.Action.
const (
	Button = "button" // presses the power button
	Cut    = "cut"    // pulls the plug
)

type powerOrder struct{ Action string }

func (r *Rack) orderPower(w http.ResponseWriter, req *http.Request) {
	var o powerOrder
	m, err := r.order(req, &o)
	if err == nil {
		switch o.Action {
		case Button:
			err = m.PressPowerButton(req.Context())
		case Cut:
			m.PowerCut()
		case "on", "off": // as people say it
			err = m.Act(req.Context(), hardware.Action("power-"+o.Action))
		default:
			err = m.Act(req.Context(), hardware.Action(o.Action))
		}
	}
	r.answer(w, struct{}{}, err)
}

type linkOrder struct {
	NIC string
	Up  bool
}

func (r *Rack) orderLink(w http.ResponseWriter, req *http.Request) {
	var o linkOrder
	m, err := r.order(req, &o)
	if err == nil {
		err = m.SetLink(req.Context(), o.NIC, o.Up)
	}
	r.answer(w, struct{}{}, err)
}

func (r *Rack) orderFault(w http.ResponseWriter, req *http.Request) {
	var f vbmc.Fault
	m, err := r.order(req, &f)
	if err == nil {
		_, err = vbmc.ParseFault(string(f.Kind))
	}
	if err == nil && m.bmc == nil {
		err = fmt.Errorf("%s has no management controller", m.name)
	}
	if err == nil {
		m.bmc.Inject(f)
	}
	r.answer(w, struct{}{}, err)
}

func (r *Rack) orderClear(w http.ResponseWriter, req *http.Request) {
	m, err := r.order(req, nil)
	if err == nil && m.bmc != nil {
		m.bmc.Clear()
	}
	r.answer(w, struct{}{}, err)
}

// ErrNotRunning says that no rack runs in a directory.
var ErrNotRunning = errors.New("no lab is running here")

// Control gives orders to a rack that another process runs.
type Control struct{ http *http.Client }

// Connect finds the rack that runs in dir, or returns ErrNotRunning.
func Connect(dir string) (*Control, error) {
	s, err := readState(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && !s.Owner.alive() {
		return nil, fmt.Errorf("%s: %w", dir, ErrNotRunning)
	}
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", controlSocket(s.Run))
	}
	return &Control{http: &http.Client{Timeout: controlTime, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}, nil
}

// Status describes the rack.
func (c *Control) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.call(ctx, http.MethodGet, "/status", nil, &s)
	return s, err
}

// Power does a hardware.Action to a machine, or Button or Cut; "on" and "off" are
// short for PowerOn and PowerOff.
func (c *Control) Power(ctx context.Context, machine, action string) error {
	return c.call(ctx, http.MethodPost, "/machines/"+machine+"/power", powerOrder{action}, nil)
}

// SetLink plugs or pulls the cable of a port.
func (c *Control) SetLink(ctx context.Context, machine, nic string, up bool) error {
	return c.call(ctx, http.MethodPost, "/machines/"+machine+"/link", linkOrder{nic, up}, nil)
}

// Inject makes a machine's controller misbehave.
func (c *Control) Inject(ctx context.Context, machine string, f vbmc.Fault) error {
	return c.call(ctx, http.MethodPost, "/machines/"+machine+"/fault", f, nil)
}

// Clear ends the faults of a machine's controller.
func (c *Control) Clear(ctx context.Context, machine string) error {
	return c.call(ctx, http.MethodDelete, "/machines/"+machine+"/fault", nil, nil)
}

func (c *Control) call(ctx context.Context, method, path string, ask, answer any) error {
	body, err := json.Marshal(ask)
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://lab"+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("lab: %s", bytes.TrimSpace(data))
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("lab: read the answer: %w", err)
	}
	return nil
}
