package vbmc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/types"

	"berth/internal/lab/hardware"
)

// The account's place in the user table. Slot 1 is the anonymous user by the
// standard, which is switched off here.
const (
	ipmiUser    = 2
	ipmiUsers   = 4
	ipmiChannel = 1
	ipmiMaxPass = 20 // bytes; IPMI 2.0 section 22.30
)

// ipmiServer is the IPMI side of a controller: go-ipmi carries the sessions and
// frames, the commands that matter here are our own.
type ipmiServer struct {
	bmc   *BMC
	host  Host
	state *bmc.BMC
	conn  *ipmiConn
	done  chan struct{}

	enables atomic.Uint32 // BMC global enables, of the system interface
}

// startIPMI listens on a UDP address.
func startIPMI(b *BMC, addr string) (*ipmiServer, error) {
	if len(b.password) > ipmiMaxPass {
		return nil, fmt.Errorf("an IPMI password has at most %d bytes", ipmiMaxPass)
	}
	socket, err := b.cfg.Network.ListenPacket("udp", addr)
	if err != nil {
		return nil, err
	}
	s, err := newIPMI(b, b.hosts[0], b.username, b.password)
	if err != nil {
		socket.Close()
		return nil, err
	}
	s.conn = &ipmiConn{PacketConn: socket, server: s, closed: make(chan struct{})}
	srv := server.NewServer(s.state, s.conn, server.WithHandlerRegistry(s.registry()))
	go func() {
		defer close(s.done)
		if err := srv.Serve(context.Background()); err != nil {
			b.log.Error("virtual BMC: IPMI ended", "err", err)
		}
		srv.Close()
	}()
	return s, nil
}

// newIPMI makes the commands for one host, without a way to reach them.
func newIPMI(b *BMC, host Host, username, password string) (*ipmiServer, error) {
	s := &ipmiServer{bmc: b, host: host, done: make(chan struct{})}
	s.state = bmc.New(deviceInfo(b.cfg.Firmware), ipmiGUID(host.Server().UUID), &ipmiHAL{b, host})
	s.state.Users = bmc.NewUserStore(bmc.WithMaxUsers(ipmiUsers))
	if err := s.addUser(username, password); err != nil {
		return nil, fmt.Errorf("IPMI account: %w", err)
	}
	return s, nil
}

func (s *ipmiServer) port() uint16 {
	return uint16(s.conn.LocalAddr().(*net.UDPAddr).Port)
}

func (s *ipmiServer) stop() {
	s.conn.Close()
	<-s.done
}

// deviceInfo is the answer to Get Device ID, IPMI 2.0 table 20-2.
func deviceInfo(firmware string) bmc.DeviceInfo {
	major, minor, _ := strings.Cut(firmware, ".")
	hi, _ := strconv.ParseUint(major, 10, 7)
	lo, _ := strconv.ParseUint(minor, 16, 8) // BCD: "17" is 17h
	return bmc.DeviceInfo{
		DeviceID:                0x20,
		DeviceRevision:          1,
		FirmwareMajor:           uint8(hi),
		FirmwareMinor:           uint8(lo),
		IPMIVersion:             0x02, // 2.0, the digits in this order
		ManufacturerID:          0x000157,
		ProductID:               0x0001,
		AdditionalDeviceSupport: 0x80 | 0x04 | 0x08, // chassis, SEL, FRU
	}
}

// ipmiGUID turns a UUID's text into the system GUID, which IPMI 2.0 section
// 20.8 sends with the last byte first.
func ipmiGUID(uuid string) (g [16]byte) {
	raw, err := hex.DecodeString(strings.ReplaceAll(uuid, "-", ""))
	if err != nil || len(raw) != len(g) {
		return g
	}
	slices.Reverse(raw)
	return [16]byte(raw)
}

func (s *ipmiServer) addUser(name, password string) error {
	if err := s.state.Users.Update(1, func(u *bmc.User) error { u.Enabled = false; return nil }); err != nil {
		return err
	}
	u, err := s.state.Users.Add(ipmiUser, name)
	if err != nil {
		return err
	}
	u.SetPassword([]byte(password))
	u.Enabled = true
	u.ChannelAccess[ipmiChannel] = bmc.UserChannelAccess{MaxPrivilege: bmc.PrivilegeLevelAdministrator, Enabled: true}
	return nil
}

// syncUser brings the account up to date before a login, and makes it wrong
// while the controller refuses everybody.
func (s *ipmiServer) syncUser() {
	name, password := s.bmc.Credentials()
	if _, bad := s.bmc.faults.strikes(Unauthorized, ""); bad {
		password = rand.Text()[:ipmiMaxPass]
	}
	err := s.state.Users.Update(ipmiUser, func(u *bmc.User) error {
		u.Name = name
		u.SetPassword([]byte(password))
		return nil
	})
	if err != nil {
		s.bmc.log.Error("virtual BMC: IPMI account", "err", err)
	}
}

// registry is the command table: the library's, with ours in their place.
func (s *ipmiServer) registry() *handlers.Registry {
	r := handlers.NewRegistry()
	r.Use(s.watch) // before the registrations, which it wraps
	handlers.RegisterAllHandlers(r)
	r.RegisterFunc(types.CommandChassisControl, s.chassisControl)
	r.RegisterFunc(types.CommandColdReset, s.bmcReset)
	r.RegisterFunc(types.CommandWarmReset, s.bmcReset)
	r.RegisterFunc(types.CommandGetSystemGUID, s.systemGUID)
	r.RegisterFunc(types.CommandSetBMCGlobalEnables, s.setEnables)
	r.RegisterFunc(types.CommandGetBMCGlobalEnables, s.getEnables)
	r.RegisterFunc(types.CommandClearMessageFlags, s.accept)
	r.RegisterFunc(types.CommandGetMessageFlags, s.messageFlags)
	r.RegisterFunc(types.CommandGetSELInfo, s.selInfo)
	r.RegisterFunc(types.CommandReserveSEL, s.selReserve)
	r.RegisterFunc(types.CommandGetSELEntry, s.selEntry)
	r.RegisterFunc(types.CommandClearSEL, s.selClear)
	r.RegisterFunc(types.CommandGetSELTime, s.selTime)
	return r
}

// watch records each command, injects what goes wrong with it, and takes over
// a password changed by it.
func (s *ipmiServer) watch(next handlers.Handler) handlers.Handler {
	return handlers.HandlerFunc(func(ctx context.Context, h *handlers.HandlerContext, req []byte) ([]byte, types.CompletionCode, error) {
		password := h.Command.Key() == types.CommandSetUserPassword.Key()
		line := "ipmi " + h.Command.Name
		if len(req) > 0 && !password {
			line += " " + hex.EncodeToString(req)
		}
		s.bmc.record(line)
		if h.Session != nil {
			if _, bad := s.bmc.faults.strikes(ServerError, h.Command.Name); bad {
				return nil, types.CodeUnspecifiedError, nil
			}
		}
		resp, code, err := next.Handle(ctx, h, req)
		if password && code == types.CodeOK {
			s.adoptPassword()
		}
		if h.Session != nil && len(resp) > 0 {
			if _, bad := s.bmc.faults.strikes(Malformed, h.Command.Name); bad {
				resp = resp[:1]
			}
		}
		return resp, code, err
	})
}

// adoptPassword makes a password set by IPMI the controller's own.
func (s *ipmiServer) adoptPassword() {
	if u, err := s.state.Users.Get(ipmiUser); err == nil {
		s.bmc.SetCredentials(u.Name, strings.TrimRight(string(u.Password[:]), "\x00"))
	}
}

// chassisActions is the first byte of Chassis Control, IPMI 2.0 table 28-4.
var chassisActions = map[byte]hardware.Action{
	0x00: hardware.PowerOff,
	0x01: hardware.PowerOn,
	0x02: hardware.Cycle,
	0x03: hardware.Reset,
	0x04: hardware.NMI,
	0x05: hardware.Shutdown,
}

// chassisControl carries out a power command. A cycle or reset of a server
// that is off answers D5h, "not supported in present state": section 28.3.
func (s *ipmiServer) chassisControl(ctx context.Context, _ *handlers.HandlerContext, req []byte) ([]byte, types.CompletionCode, error) {
	if len(req) < 1 {
		return nil, types.CodeRequestDataTruncated, nil
	}
	action, ok := chassisActions[req[0]&0x0f]
	if !ok {
		return nil, types.CodeRequestDataFieldInvalid, nil
	}
	err := s.bmc.act(ctx, s.host, action)
	switch {
	case err == nil:
		return nil, types.CodeOK, nil
	case errors.Is(err, hardware.ErrOff), errors.Is(err, hardware.ErrUnsupported):
		return nil, types.CodeNotSupported, nil
	default:
		s.bmc.log.Warn("virtual BMC: chassis control", "err", err)
		return nil, types.CodeUnspecifiedError, nil
	}
}

// bmcReset restarts the controller after its answer had time to leave, which
// is what a driver sees of most real ones.
func (s *ipmiServer) bmcReset(context.Context, *handlers.HandlerContext, []byte) ([]byte, types.CompletionCode, error) {
	time.AfterFunc(100*time.Millisecond, func() { s.bmc.Reset(resetTime) })
	return nil, types.CodeOK, nil
}

func (s *ipmiServer) systemGUID(context.Context, *handlers.HandlerContext, []byte) ([]byte, types.CompletionCode, error) {
	g := ipmiGUID(s.bmc.hardwareOf(s.host).UUID)
	return g[:], types.CodeOK, nil
}

// ipmiConn is the socket below the library, where faults of the network and of
// the session handshake are injected.
type ipmiConn struct {
	net.PacketConn
	server *ipmiServer
	once   sync.Once
	closed chan struct{}
}

// ReadFrom returns the next packet that the controller is willing to hear.
func (c *ipmiConn) ReadFrom(buf []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.PacketConn.ReadFrom(buf)
		if err != nil {
			select {
			case <-c.closed:
				return 0, nil, net.ErrClosed
			case <-time.After(10 * time.Millisecond): // an ICMP error; the caller asks again at once
				return 0, nil, err
			}
		}
		if c.hears(buf[:n], from) {
			return n, from, nil
		}
	}
}

// hears injects what happens to a packet on its way in.
func (c *ipmiConn) hears(packet []byte, from net.Addr) bool {
	b := c.server.bmc
	if _, bad := b.faults.strikes(NoAnswer, ""); bad {
		return false
	}
	if f, bad := b.faults.strikes(Resetting, ""); bad {
		b.Reset(f.delay())
		return false
	}
	_, _, kind, _, payload, ok := protocol.ParseRMCPPlusHeader(packet)
	if !ok || packet[4] != 0x06 { // not RMCP+
		return true
	}
	switch types.PayloadType(kind) {
	case types.PayloadTypeRmcpOpenSessionRequest:
		if _, bad := b.faults.strikes(SessionLimit, ""); bad {
			c.refuseSession(payload, from)
			return false
		}
	case types.PayloadTypeRAKPMessage1:
		c.server.syncUser()
	}
	return true
}

// refuseSession answers an Open Session Request with status 01h, "insufficient
// resources to create a session": IPMI 2.0 section 13.18 and table 13-15.
func (c *ipmiConn) refuseSession(request []byte, to net.Addr) {
	if len(request) < 8 {
		return
	}
	answer := make([]byte, 8)
	answer[0] = request[0] // message tag
	answer[1] = 0x01
	copy(answer[4:8], request[4:8]) // the console's session id
	packet := protocol.BuildRMCPPlusPacket(uint8(types.PayloadTypeRmcpOpenSessionResponse), 0, 0, 0, answer)
	if _, err := c.WriteTo(packet, to); err != nil {
		c.server.bmc.log.Debug("virtual BMC: refuse a session", "err", err)
	}
}

// WriteTo sends an answer, late when the controller is slow.
func (c *ipmiConn) WriteTo(packet []byte, to net.Addr) (int, error) {
	if f, bad := c.server.bmc.faults.strikes(Slow, ""); bad {
		select {
		case <-c.closed:
			return 0, net.ErrClosed
		case <-time.After(f.delay()):
		}
	}
	return c.PacketConn.WriteTo(packet, to)
}

// Close ends the socket; more than once is fine.
func (c *ipmiConn) Close() error {
	var err error
	c.once.Do(func() {
		close(c.closed)
		err = c.PacketConn.Close()
	})
	return err
}
