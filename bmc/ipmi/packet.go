package ipmi

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Packets of IPMI over LAN (IPMI 2.0, chapter 13). Nothing here trusts a length that came in.

// Payload types (table 13-16).
const (
	payloadIPMI         = 0x00
	payloadOpenRequest  = 0x10
	payloadOpenResponse = 0x11
	payloadRAKP1        = 0x12
	payloadRAKP2        = 0x13
	payloadRAKP3        = 0x14
	payloadRAKP4        = 0x15

	payloadEncrypted     = 0x80
	payloadAuthenticated = 0x40
	payloadTypeMask      = 0x3f
)

const (
	classASF  = 0x06
	classIPMI = 0x07

	authNone = 0x00
	authPlus = 0x06 // the session header is RMCP+

	consoleAddress = 0x81 // remote console software id
	bmcAddress     = 0x20
)

// maxPacket is far above what a BMC sends; most stay under 300 bytes.
const maxPacket = 1024

var errShort = errors.New("a packet that ends too early")

// rmcpHeader is version 1.0, no acknowledge wanted (table 13-2).
func rmcpHeader(class byte) []byte { return []byte{0x06, 0x00, 0xff, class} }

// request is one IPMI command.
type request struct {
	netFn, command byte
	data           []byte
}

// message lays a request out as on the IPMB (table 13-8), with its two checksums.
func (r request) message(seq byte) []byte {
	m := []byte{bmcAddress, r.netFn << 2, 0, consoleAddress, seq << 2, r.command}
	m[2] = checksum(m[:2])
	m = append(m, r.data...)
	return append(m, checksum(m[3:]))
}

func checksum(b []byte) byte {
	var sum byte
	for _, x := range b {
		sum += x
	}
	return -sum
}

// response is the answer to one.
type response struct {
	netFn, command, seq, code byte
	data                      []byte
}

func parseMessage(m []byte) (response, error) {
	if len(m) < 8 {
		return response{}, errShort
	}
	if checksum(m[:2]) != m[2] || checksum(m[3:len(m)-1]) != m[len(m)-1] {
		return response{}, errors.New("a message with a wrong checksum")
	}
	return response{netFn: m[1] >> 2, seq: m[4] >> 2, command: m[5], code: m[6], data: m[7 : len(m)-1]}, nil
}

// answers reports whether a response belongs to a request.
func (r response) answers(q request, seq byte) bool {
	return r.netFn == q.netFn|1 && r.command == q.command && r.seq == seq
}

// plain wraps a message in the session header of IPMI 1.5 without a session, as all that comes before one is sent.
func plain(message []byte) []byte {
	p := append(rmcpHeader(classIPMI), authNone)
	p = append(p, make([]byte, 8)...) // sequence number and session id
	p = append(p, byte(len(message)))
	return append(p, message...)
}

func parsePlain(p []byte) ([]byte, error) {
	if len(p) < 14 {
		return nil, errShort
	}
	if p[0] != 0x06 || p[3] != classIPMI || p[4] != authNone {
		return nil, errors.New("no packet of IPMI 1.5 without a session")
	}
	n := int(p[13])
	if len(p) < 14+n {
		return nil, errShort
	}
	return p[14 : 14+n], nil
}

// plus is a packet of RMCP+ before the signature is looked at.
type plus struct {
	kind     byte // payload type and its two flags
	session  uint32
	sequence uint32
	payload  []byte
	signed   []byte // what the signature covers
	trailer  []byte // pad, pad length, next header, signature
}

func parsePlus(p []byte) (plus, error) {
	if len(p) < 16 {
		return plus{}, errShort
	}
	if p[0] != 0x06 || p[3] != classIPMI || p[4] != authPlus {
		return plus{}, errors.New("no packet of RMCP+")
	}
	if p[5]&payloadTypeMask == 0x02 {
		return plus{}, errors.New("an OEM payload")
	}
	n := int(binary.LittleEndian.Uint16(p[14:16]))
	if len(p) < 16+n {
		return plus{}, errShort
	}
	return plus{
		kind: p[5], session: binary.LittleEndian.Uint32(p[6:10]), sequence: binary.LittleEndian.Uint32(p[10:14]),
		payload: p[16 : 16+n], signed: p[4:], trailer: p[16+n:],
	}, nil
}

// header is RMCP and RMCP+ header up to the payload.
func (h plus) header() []byte {
	p := append(rmcpHeader(classIPMI), authPlus, h.kind)
	p = binary.LittleEndian.AppendUint32(p, h.session)
	p = binary.LittleEndian.AppendUint32(p, h.sequence)
	return binary.LittleEndian.AppendUint16(p, uint16(len(h.payload)))
}

// statusError is a refusal during the handshake (table 13-15).
type statusError byte

func (s statusError) Error() string {
	words := map[statusError]string{
		0x01: "insufficient resources to create a session", 0x02: "invalid session id", 0x08: "inactive session id",
		0x09: "invalid role", 0x0a: "unauthorized role", 0x0b: "insufficient resources at the requested role",
		0x0c: "invalid name length", 0x0d: "unauthorized name", 0x0f: "invalid integrity check value",
		0x11: "no cipher suite match", 0x12: "illegal parameter",
	}
	if w, ok := words[s]; ok {
		return w
	}
	return fmt.Sprintf("RMCP+ status %02xh", byte(s))
}

// noCipher are the statuses that say "not with these algorithms".
func (s statusError) noCipher() bool { return s >= 0x03 && s <= 0x07 || s == 0x10 || s == 0x11 }

// codeError is a completion code that is not zero (table 5-2).
type codeError struct{ command, code byte }

func (e codeError) Error() string {
	words := map[byte]string{
		0xc0: "node busy", 0xc1: "invalid command", 0xc2: "invalid for this LUN", 0xc3: "timeout", 0xc4: "out of space", 0xc7: "wrong request length",
		0xc8: "request too long", 0xc9: "parameter out of range", 0xca: "too many bytes asked for", 0xcb: "not present", 0xcc: "invalid data field",
		0xce: "no response could be given", 0xd0: "repository is being updated", 0xd1: "firmware is being updated", 0xd2: "the BMC is starting",
		0xd3: "destination unavailable", 0xd4: "insufficient privilege", 0xd5: "not in the present state", 0xd6: "switched off", 0xff: "unspecified error",
	}
	w := words[e.code]
	if w == "" {
		w = "unknown"
	}
	return fmt.Sprintf("command %02xh: completion code %02xh (%s)", e.command, e.code, w)
}
