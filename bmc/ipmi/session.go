package ipmi

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"berth/bmc"
)

// Retransmission: as many tries, with this wait before each next one. BMCs lose packets while they are busy.
var waits = [...]time.Duration{time.Second, time.Second, 2 * time.Second, 3 * time.Second}

// limits of the standard on credentials (22.28, 22.30).
const (
	maxUsername = 16
	maxPassword = 20
)

// line is a UDP socket to one BMC.
type line struct {
	conn net.Conn
	buf  [maxPacket]byte
}

func dial(ctx context.Context, t bmc.Target) (*line, error) {
	host, port, err := t.HostPort(623)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bmc.ErrRefused, err)
	}
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "udp", net.JoinHostPort(host, strconv.Itoa(int(port))))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bmc.ErrUnreachable, err)
	}
	return &line{conn: conn}, nil
}

// exchange sends a packet until take accepts one that comes back. What take refuses is dropped: on UDP anybody may send
// anything, so only time ends the wait, and a BMC that answered nonsense to the end is told from one that was silent.
func (l *line) exchange(ctx context.Context, packet func() ([]byte, error), take func([]byte) error) error {
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetReadDeadline(time.Now()) })
	defer stop()
	var last error
	for _, wait := range waits {
		p, err := packet()
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			break
		}
		if _, err := l.conn.Write(p); err != nil {
			last = fmt.Errorf("%w: %w", bmc.ErrUnreachable, err)
			continue
		}
		done, err := l.listen(ctx, wait, take)
		if done {
			return err
		}
		if err != nil {
			last = err
		}
		if refused(err) && sleep(ctx, wait) != nil {
			break
		}
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", bmc.ErrUnreachable, context.Cause(ctx))
	case last != nil:
		return last
	}
	return bmc.ErrUnreachable
}

// errNotMine is a packet that is none of this exchange's business.
var errNotMine = errors.New("somebody else's packet")

// final is an error of take that ends the exchange: the answer came, and says no.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// listen reads until take accepts, or the time is up.
func (l *line) listen(ctx context.Context, wait time.Duration, take func([]byte) error) (done bool, last error) {
	if err := l.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return true, err
	}
	if ctx.Err() != nil { // it may have ended between its hook and the deadline just set
		return false, nil
	}
	for {
		n, err := l.conn.Read(l.buf[:])
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				return false, last
			}
			return false, fmt.Errorf("%w: %w", bmc.ErrUnreachable, err)
		}
		err = take(l.buf[:n])
		var end final
		switch {
		case err == nil:
			return true, nil
		case errors.As(err, &end):
			return true, end.error
		case !errors.Is(err, errNotMine):
			last = fmt.Errorf("%w: %w", bmc.ErrMalformed, err)
		}
	}
}

// refused reports an ICMP "port unreachable": nothing listens, and nothing is waited for either.
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(min(d, 200*time.Millisecond))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// ask sends a command outside any session, in the form of IPMI 1.5 (13.15: what precedes a session is sent so).
func (l *line) ask(ctx context.Context, q request) ([]byte, error) {
	const seq = 1
	var out []byte
	err := l.exchange(ctx, func() ([]byte, error) { return plain(q.message(seq)), nil }, func(p []byte) error {
		m, err := parsePlain(p)
		if err != nil {
			return err
		}
		r, err := parseMessage(m)
		switch {
		case err != nil:
			return err
		case !r.answers(q, seq):
			return errNotMine
		case r.code != 0:
			return final{explain(codeError{q.command, r.code})}
		}
		out = append([]byte(nil), r.data...)
		return nil
	})
	return out, err
}

// session is an authenticated, encrypted session (RMCP+).
type session struct {
	*line
	keys     sealed
	console  uint32 // our id of the session
	bmc      uint32 // the BMC's
	sequence uint32 // of our last packet
	heard    uint32 // the highest sequence number of the BMC's packets
	seq      byte   // of our last message, six bits
	guid     [16]byte
}

// handshake is the state of 13.17 to 13.24.
type handshake struct {
	*line
	suite
	username, password []byte
	console, bmc       uint32
	consoleRandom      [16]byte
	bmcRandom          [16]byte
	guid               [16]byte
}

// role asks for Administrator, and for the name to be looked up without regard to the privilege (13.20).
const role = 0x10 | 0x04

// login opens a session with the best suite that the BMC has. The password is tried once: whether it is right shows in the
// BMC's second message, before we have sent any proof that it could count as a failed attempt.
func login(ctx context.Context, l *line, t bmc.Target, suites []suite) (*session, error) {
	username, password := []byte(t.Username), []byte(t.Password.Reveal())
	switch {
	case len(password) == 0:
		return nil, fmt.Errorf("%w: none is given", bmc.ErrAuth)
	case len(username) > maxUsername || len(password) > maxPassword:
		return nil, fmt.Errorf("%w: IPMI takes names of %d and passwords of %d bytes at most", bmc.ErrAuth, maxUsername, maxPassword)
	}
	var err error
	for _, s := range suites {
		h := &handshake{line: l, suite: s, username: username, password: password}
		if err = h.open(ctx); err == nil {
			return h.prove(ctx)
		}
		var status statusError
		if !errors.As(err, &status) || !status.noCipher() {
			break
		}
	}
	return nil, err
}

// talk sends one payload of the handshake and takes the answer of the next type.
func (h *handshake) talk(ctx context.Context, kind byte, payload []byte, take func([]byte) error) error {
	p := append(plus{kind: kind, payload: payload}.header(), payload...)
	return h.exchange(ctx, func() ([]byte, error) { return p, nil }, func(in []byte) error {
		answer, err := parsePlus(in)
		if err != nil {
			return err
		}
		if answer.kind != kind+1 {
			return errNotMine
		}
		b := answer.payload
		if len(b) < 8 {
			return errShort
		}
		// Tag and our session id come back in each (13.18, 13.21, 13.23).
		if b[0] != payload[0] || binary.LittleEndian.Uint32(b[4:8]) != h.console {
			return errNotMine
		}
		if b[1] != 0 {
			return final{h.refusal(statusError(b[1]))}
		}
		return take(b)
	})
}

// refusal sorts the statuses of the handshake.
func (h *handshake) refusal(s statusError) error {
	switch s {
	case 0x01, 0x0b:
		return fmt.Errorf("%w: %w", bmc.ErrBusy, s)
	case 0x09, 0x0a:
		return fmt.Errorf("%w: %w", bmc.ErrDenied, s)
	case 0x0c, 0x0d, 0x0f:
		return fmt.Errorf("%w: %w", bmc.ErrAuth, s)
	case 0x02, 0x08:
		return fmt.Errorf("%w: %w", bmc.ErrUnreachable, s) // it has restarted in the middle
	}
	return fmt.Errorf("%w: %w", bmc.ErrUnsupported, s)
}

// open is the Open Session Request and its answer.
func (h *handshake) open(ctx context.Context) error {
	var id [4]byte
	if _, err := rand.Read(id[:]); err != nil {
		return err
	}
	h.console = binary.LittleEndian.Uint32(id[:]) | 1 // zero means no session
	tag := id[1]
	body := []byte{tag, 0, 0, 0}
	body = binary.LittleEndian.AppendUint32(body, h.console)
	for kind, algorithm := range []byte{h.auth, h.integrity, h.encryption} {
		body = append(body, byte(kind), 0, 0, 8, algorithm, 0, 0, 0)
	}
	return h.talk(ctx, payloadOpenRequest, body, func(b []byte) error {
		if len(b) < 36 {
			return errShort
		}
		if b[16]&0x3f != h.auth || b[24]&0x3f != h.integrity || b[32]&0x3f != h.encryption {
			return final{fmt.Errorf("%w: it answers with weaker algorithms than asked for", bmc.ErrMalformed)}
		}
		h.bmc = binary.LittleEndian.Uint32(b[8:12])
		return nil
	})
}

// prove runs the RAKP exchange: the BMC shows that it knows the password, then we do.
func (h *handshake) prove(ctx context.Context) (*session, error) {
	if err := h.rakp1(ctx); err != nil {
		return nil, err
	}
	// With no BMC key set, the user's key takes its place (13.33: one-key login).
	sik := h.sum(h.password, h.consoleRandom[:], h.bmcRandom[:], h.name())
	if err := h.rakp3(ctx, sik); err != nil {
		return nil, err
	}
	s := &session{line: h.line, keys: h.derive(sik), console: h.console, bmc: h.bmc, guid: h.guid}
	// Set Session Privilege Level; a session starts at User (22.18).
	if _, err := s.command(ctx, request{0x06, 0x3b, []byte{0x04}}); err != nil {
		_ = s.close(ctx)
		return nil, fmt.Errorf("become administrator: %w", err)
	}
	return s, nil
}

// name is role, length and user name, as they enter each hash.
func (h *handshake) name() []byte {
	return append([]byte{role, byte(len(h.username))}, h.username...)
}

func word(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }

func (h *handshake) rakp1(ctx context.Context) error {
	if _, err := rand.Read(h.consoleRandom[:]); err != nil {
		return err
	}
	body := append([]byte{0x01, 0, 0, 0}, word(h.bmc)...)
	body = append(body, h.consoleRandom[:]...)
	body = append(body, role, 0, 0, byte(len(h.username)))
	body = append(body, h.username...)
	return h.talk(ctx, payloadRAKP1, body, func(b []byte) error {
		if len(b) < 40 {
			return errShort
		}
		h.bmcRandom, h.guid = [16]byte(b[8:24]), [16]byte(b[24:40])
		want := h.sum(h.password, word(h.console), word(h.bmc), h.consoleRandom[:], h.bmcRandom[:], h.guid[:], h.name())
		if !hmac.Equal(b[40:], want) {
			// Ours, or the BMC does not know it: either way this is not the password.
			return final{fmt.Errorf("%w: the BMC's proof does not fit the password", bmc.ErrAuth)}
		}
		return nil
	})
}

func (h *handshake) rakp3(ctx context.Context, sik []byte) error {
	body := append([]byte{0x02, 0, 0, 0}, word(h.bmc)...)
	body = append(body, h.sum(h.password, h.bmcRandom[:], word(h.console), h.name())...)
	return h.talk(ctx, payloadRAKP3, body, func(b []byte) error {
		want := h.sum(sik, h.consoleRandom[:], word(h.bmc), h.guid[:])[:h.signature]
		if !hmac.Equal(b[8:], want) {
			return final{fmt.Errorf("%w: the BMC's last proof is wrong", bmc.ErrMalformed)}
		}
		return nil
	})
}

// command sends one command within the session.
func (s *session) command(ctx context.Context, q request) ([]byte, error) {
	s.seq = (s.seq + 1) & 0x3f
	seq := s.seq // a retransmission keeps it, so that the BMC can tell (IPMI 2.0, 6.12.2)
	var out []byte
	err := s.exchange(ctx, func() ([]byte, error) {
		s.sequence++
		return s.keys.seal(s.bmc, s.sequence, q.message(seq))
	}, func(p []byte) error {
		r, err := s.read(p)
		switch {
		case err != nil:
			return err
		case !r.answers(q, seq):
			return errNotMine
		case r.code != 0:
			return final{explain(codeError{q.command, r.code})}
		}
		out = append([]byte(nil), r.data...)
		return nil
	})
	return out, err
}

// read opens one packet of the session.
func (s *session) read(p []byte) (response, error) {
	in, err := parsePlus(p)
	if err != nil {
		return response{}, err
	}
	if in.session != s.console || in.kind&payloadTypeMask != payloadIPMI {
		return response{}, errNotMine
	}
	message, err := s.keys.open(in)
	if err != nil {
		return response{}, err
	}
	if in.sequence <= s.heard { // signed, and seen before: a replay or a duplicate
		return response{}, errNotMine
	}
	s.heard = in.sequence
	return parseMessage(message)
}

// close gives the session back and closes the socket, whatever the BMC says to it.
func (s *session) close(ctx context.Context) error {
	defer s.conn.Close()
	_, err := s.command(ctx, request{0x06, 0x3c, word(s.bmc)})
	return err
}

// explain sorts completion codes into the errors of the contract.
func explain(e codeError) error {
	switch e.code {
	case 0xc0, 0xc3, 0xce, 0xd0, 0xd1, 0xd2, 0xc4:
		return fmt.Errorf("%w: %w", bmc.ErrBusy, e)
	case 0xc1, 0xc2:
		return fmt.Errorf("%w: %w", bmc.ErrUnsupported, e)
	case 0xd4:
		return fmt.Errorf("%w: %w", bmc.ErrDenied, e)
	case 0xff:
		return fmt.Errorf("%w: %w", bmc.ErrInternal, e)
	}
	return fmt.Errorf("%w: %w", bmc.ErrRefused, e)
}
