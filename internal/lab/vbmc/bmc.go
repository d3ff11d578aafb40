// Package vbmc is a virtual management controller: a small computer of its own
// that answers IPMI 2.0 and Redfish for a server, also while that is off.
//
// It is the independent opponent of berth's drivers. It shares no code with
// them, speaks the wire protocols to anybody (ipmitool, curl), describes its
// server truthfully from the same hardware.Server that builds the machine, and
// can be told at run time to misbehave in the ways that real controllers do;
// see Fault.
//
// A controller manages one Host, or several as in a multi-node chassis. The
// lab's QEMU machines are Hosts; Bare is one in memory, for tests that need a
// controller and no machine behind it.
package vbmc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"berth/internal/lab/hardware"
)

// Host is the server behind a controller.
type Host interface {
	// Server describes it as it is now; parts may be swapped while it is off.
	Server() hardware.Server
	PowerState() hardware.PowerState
	// Act returns once the action has been started, not when it is complete.
	// Its errors are hardware.ErrOff and hardware.ErrUnsupported, or a failure.
	Act(ctx context.Context, a hardware.Action) error
	// Override is the boot override not yet used up.
	Override() hardware.Override
	SetOverride(o hardware.Override)
}

// Network is where a controller listens. The zero use is the host's own
// network; the lab passes one that opens sockets in the rack's namespace.
type Network interface {
	Listen(network, address string) (net.Listener, error)
	ListenPacket(network, address string) (net.PacketConn, error)
}

// Protocol is what a controller speaks.
type Protocol string

// The protocols; Both is what most real controllers do.
const (
	IPMI    Protocol = "ipmi"
	Redfish Protocol = "redfish"
	Both    Protocol = "both"
)

// Config describes a controller. Only Protocol must be set.
type Config struct {
	Protocol Protocol
	Addr     netip.Addr // default 127.0.0.1
	// IPMIPort and RedfishPort default to a free port on a loopback address,
	// else to 623 and 443.
	IPMIPort, RedfishPort uint16
	Network               Network
	MAC                   net.HardwareAddr
	Mask                  net.IPMask // of Addr, default /24
	Gateway               netip.Addr

	Username, Password string // default admin, berth-lab
	Firmware           string // "major.minor", default 2.17

	// SystemIDs names the hosts in the Redfish tree, in their order. Default
	// "1", "2" and so on. A vendor's habits: "System.Embedded.1", a UUID, "Self".
	SystemIDs []string
	ManagerID string // default "BMC"
	// ChassisIDs names the chassis of each host, in their order. Default
	// "Chassis-1" and so on.
	ChassisIDs []string
	// TrailingSlash writes links to resources with a slash at the end, which
	// the standard allows and some vendors do.
	TrailingSlash bool
	// StrictETag refuses a PATCH without If-Match, as some vendors do.
	StrictETag bool
	// SessionLimit is how many Redfish sessions may be open. Default 8.
	SessionLimit int
	// SessionTimeout ends a session nobody used. Default 30 minutes.
	SessionTimeout time.Duration

	// Certificate is the one served; default a fresh self-signed one.
	Certificate *tls.Certificate
	Logger      *slog.Logger // default discards
}

// BMC is a running virtual management controller.
type BMC struct {
	cfg    Config
	hosts  []Host
	faults faultSet
	sel    *eventLog
	log    *slog.Logger
	start  time.Time

	mu       sync.Mutex // guards what follows
	username string
	password string
	cert     tls.Certificate
	requests []string
	up       []endpoint // the running protocol servers; none while it resets
	ports    map[Protocol]uint16
	closed   chan struct{}  // closed by Close
	work     sync.WaitGroup // resets, and servers of the system interface
}

// endpoint is one protocol server. Stop drops its connections and sessions and
// returns when nothing of it runs any more.
type endpoint interface {
	port() uint16
	stop()
}

// resetTime is how long the controller is away after a client restarted it.
const resetTime = 2 * time.Second

// requestsKept bounds the list that Requests returns.
const requestsKept = 4096

// New starts a controller for the hosts. Close ends it.
func New(cfg Config, hosts ...Host) (*BMC, error) {
	cfg, err := cfg.fill(hosts)
	if err != nil {
		return nil, fmt.Errorf("virtual BMC: %w", err)
	}
	b := &BMC{
		cfg:      cfg,
		hosts:    hosts,
		sel:      newEventLog(),
		log:      cfg.Logger,
		start:    time.Now(),
		username: cfg.Username,
		password: cfg.Password,
		cert:     *cfg.Certificate,
		ports:    map[Protocol]uint16{IPMI: cfg.IPMIPort, Redfish: cfg.RedfishPort},
		closed:   make(chan struct{}),
	}
	if err := b.startEndpoints(); err != nil {
		return nil, fmt.Errorf("virtual BMC: %w", err)
	}
	b.sel.add(eventBMCReady, "Management controller started")
	return b, nil
}

func (c Config) fill(hosts []Host) (Config, error) {
	if c.Protocol != IPMI && c.Protocol != Redfish && c.Protocol != Both {
		return c, fmt.Errorf("protocol %q is none of ipmi, redfish, both", c.Protocol)
	}
	if len(hosts) == 0 {
		return c, errors.New("no host to manage")
	}
	if c.Protocol != Redfish && len(hosts) > 1 {
		return c, errors.New("IPMI manages one host, not several")
	}
	if !c.Addr.IsValid() {
		c.Addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if !c.Addr.IsLoopback() {
		defPort(&c.IPMIPort, 623)
		defPort(&c.RedfishPort, 443)
	}
	if c.Network == nil {
		c.Network = hostNetwork{}
	}
	if c.MAC == nil {
		c.MAC = hosts[0].Server().MAC("bmc")
	}
	if c.Mask == nil {
		c.Mask = net.CIDRMask(24, 32)
	}
	def(&c.Username, "admin")
	def(&c.Password, "berth-lab")
	def(&c.Firmware, "2.17")
	def(&c.ManagerID, "BMC")
	for i := len(c.SystemIDs); i < len(hosts); i++ {
		c.SystemIDs = append(c.SystemIDs, strconv.Itoa(i+1))
	}
	for i := len(c.ChassisIDs); i < len(hosts); i++ {
		c.ChassisIDs = append(c.ChassisIDs, fmt.Sprintf("Chassis-%d", i+1))
	}
	if c.SessionLimit <= 0 {
		c.SessionLimit = 8
	}
	if c.SessionTimeout <= 0 {
		c.SessionTimeout = 30 * time.Minute
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Certificate == nil {
		cert, err := NewCertificate(c.Addr)
		if err != nil {
			return c, err
		}
		c.Certificate = &cert
	}
	return c, nil
}

// startEndpoints opens the servers of the configured protocols, each on the
// port it had before, and holds b.mu while it does.
func (b *BMC) startEndpoints() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range []Protocol{IPMI, Redfish} {
		if b.cfg.Protocol != p && b.cfg.Protocol != Both {
			continue
		}
		var e endpoint
		var err error
		addr := netip.AddrPortFrom(b.cfg.Addr, b.ports[p]).String()
		if p == IPMI {
			e, err = startIPMI(b, addr)
		} else {
			e, err = startRedfish(b, addr)
		}
		if err != nil {
			return err
		}
		b.ports[p] = e.port()
		b.up = append(b.up, e)
	}
	return nil
}

// stopEndpoints closes every server. Its callers do not hold b.mu: the servers
// end their requests first, and those take it.
func (b *BMC) stopEndpoints() {
	b.mu.Lock()
	up := b.up
	b.up = nil
	b.mu.Unlock()
	for _, e := range up {
		e.stop()
	}
}

// Close ends the controller and waits until nothing of it runs.
func (b *BMC) Close() {
	b.mu.Lock()
	select {
	case <-b.closed:
		b.mu.Unlock()
		return
	default:
	}
	close(b.closed)
	b.mu.Unlock()
	b.work.Wait()
	b.stopEndpoints()
}

// Reset restarts the controller as a cold reset does: connections and sessions
// are gone at once, and it is back after the given time, on the same ports and
// with the same certificate. The server it manages is not touched. Reset
// returns at once.
func (b *BMC) Reset(away time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.closed:
		return
	default:
	}
	b.work.Go(func() { b.reset(away) })
}

func (b *BMC) reset(away time.Duration) {
	b.stopEndpoints()
	select {
	case <-b.closed:
		return
	case <-time.After(away):
	}
	if err := b.startEndpoints(); err != nil {
		b.log.Error("virtual BMC did not come back after its reset", "err", err)
		return
	}
	b.sel.add(eventBMCReady, "Management controller restarted")
}

// Endpoint is the address of one protocol, such as "127.0.0.1:40321"; the port
// is zero for a protocol that it does not speak.
func (b *BMC) Endpoint(p Protocol) netip.AddrPort {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cfg.Protocol != p && b.cfg.Protocol != Both {
		return netip.AddrPortFrom(b.cfg.Addr, 0)
	}
	return netip.AddrPortFrom(b.cfg.Addr, b.ports[p])
}

// URL is the root of its Redfish service, such as "https://127.0.0.1:40321".
func (b *BMC) URL() string { return "https://" + b.Endpoint(Redfish).String() }

// MAC is the hardware address of its own network port.
func (b *BMC) MAC() net.HardwareAddr { return b.cfg.MAC }

// Protocol is what it speaks.
func (b *BMC) Protocol() Protocol { return b.cfg.Protocol }

// Credentials are the account that may do everything.
func (b *BMC) Credentials() (username, password string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.username, b.password
}

// SetCredentials changes the account, as a colleague at the controller's own
// page would: open sessions stay, new logins need the new password.
func (b *BMC) SetCredentials(username, password string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.username, b.password = username, password
}

// SetCertificate changes the TLS certificate for new connections.
func (b *BMC) SetCertificate(c tls.Certificate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cert = c
}

func (b *BMC) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.cert
	return &c, nil
}

// Requests returns what was asked of it, oldest first and at most the last few
// thousand, such as "redfish GET /redfish/v1/Systems" or
// "ipmi Chassis Control 01".
func (b *BMC) Requests() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.requests...)
}

// ForgetRequests empties the list that Requests returns.
func (b *BMC) ForgetRequests() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests = nil
}

func (b *BMC) record(request string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.requests) == requestsKept {
		b.requests = append(b.requests[:0:0], b.requests[requestsKept/2:]...)
	}
	b.requests = append(b.requests, request)
}

// Sessions is how many Redfish sessions are open; a driver that leaks them
// shows here.
func (b *BMC) Sessions() int {
	b.mu.Lock()
	up := b.up
	b.mu.Unlock()
	for _, e := range up {
		if r, ok := e.(*redfishServer); ok {
			return r.sessions.count()
		}
	}
	return 0
}

// hostNetwork listens on the machine's own network.
type hostNetwork struct{}

func (hostNetwork) Listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s %s: %w", network, address, err)
	}
	return l, nil
}

func (hostNetwork) ListenPacket(network, address string) (net.PacketConn, error) {
	c, err := net.ListenPacket(network, address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s %s: %w", network, address, err)
	}
	return c, nil
}

func def(field *string, value string) {
	if *field == "" {
		*field = value
	}
}

func defPort(field *uint16, value uint16) {
	if *field == 0 {
		*field = value
	}
}
