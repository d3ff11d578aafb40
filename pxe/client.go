package pxe

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Client is what one machine said about itself while it boots, as far as a
// server heard it. Every field but Interface and Addr is a claim made by
// whoever holds the wire: it may be a lie, and it may be hostile text.
type Client struct {
	MAC         net.HardwareAddr // 0 to 20 bytes; empty for clients that only have a ClientID (IPoIB, RFC 4390)
	UUID        UUID             // DHCP option 97 (RFC 4578 §2.3); zero when not sent
	ClientID    []byte           // DHCP option 61 (RFC 2132 §9.14), raw; nil when not sent
	Arch        Arch             // DHCP option 93 (RFC 4578 §2.1); ArchUnknown when not sent
	Stage       Stage
	UserClass   string // DHCP option 77, printable part
	VendorClass string // DHCP option 60, printable part
	Hostname    string // DHCP option 12, cleaned by CleanHostname; empty when nothing was left
	Addr        netip.Addr
	Interface   string // the server's own interface the packet came in by
	Relay       Relay
}

// Relay is what a DHCP relay agent added to a client's packet (RFC 3046).
type Relay struct {
	Addr      netip.Addr // giaddr; invalid when the client is on our own wire
	CircuitID []byte     // option 82 sub-option 1: the switch port, as the relay spells it
	RemoteID  []byte     // option 82 sub-option 2
}

// Key names the client for leases: its hardware address where it has one,
// otherwise its client identifier, otherwise "".
//
// RFC 2131 §4.2 prefers the client identifier, but one boot of one machine uses
// three of them (firmware, iPXE and the system each make up their own), which
// would take three addresses and lose sight of the machine in between.
func (c Client) Key() string {
	if len(c.MAC) > 0 {
		return c.MAC.String()
	}
	if len(c.ClientID) > 0 {
		return "id:" + hex.EncodeToString(c.ClientID)
	}
	return ""
}

// KeyMAC is the hardware address of a Client.Key, nil for a key without one.
func KeyMAC(key string) net.HardwareAddr {
	mac, err := parseMAC(key)
	if err != nil {
		return nil
	}
	return mac
}

// String names the client for a log line or a sentence.
func (c Client) String() string {
	switch {
	case len(c.MAC) > 0:
		return c.MAC.String()
	case len(c.ClientID) > 0:
		return "client " + hex.EncodeToString(c.ClientID)
	case c.Addr.IsValid():
		return c.Addr.String()
	}
	return "unnamed client"
}

// UUID is the machine identifier of DHCP option 97, in the order of the wire.
//
// Firmware does not agree on that order: some sends the SMBIOS bytes as they
// lie in memory (first three fields little-endian), some in network order.
// Whoever compares it with a system UUID must try Swapped as well.
type UUID [16]byte

// IsZero reports whether no identifier was sent, or one of only zeros.
func (u UUID) IsZero() bool { return u == UUID{} }

// Swapped returns the identifier with its first three fields in the other byte order.
func (u UUID) Swapped() UUID {
	u[0], u[1], u[2], u[3] = u[3], u[2], u[1], u[0]
	u[4], u[5] = u[5], u[4]
	u[6], u[7] = u[7], u[6]
	return u
}

func (u UUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// ParseUUID reads the form that String writes, in either letter case.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, fmt.Errorf("parse UUID %q: want 8-4-4-4-12 hexadecimal digits", clip(s, 40))
	}
	if _, err := hex.Decode(u[:], []byte(strings.ReplaceAll(s, "-", ""))); err != nil {
		return UUID{}, fmt.Errorf("parse UUID %q: %w", s, err)
	}
	return u, nil
}

// Stage is how far a machine has come on its way up, judged from what it asks with.
type Stage uint8

const (
	StageOS         Stage = iota // an operating system, or anything that does not ask for a boot file
	StageFirmware                // PXE in firmware: wants a loader by TFTP
	StageHTTPClient              // UEFI HTTP boot: wants a loader by URL
	StageIPXE                    // iPXE, from our loader or from the NIC's ROM: wants a script
	StageAgent                   // berth's agent in RAM
)

var stageNames = [...]string{"os", "firmware", "httpclient", "ipxe", "agent"}

func (s Stage) String() string {
	if int(s) < len(stageNames) {
		return stageNames[s]
	}
	return fmt.Sprintf("stage %d", uint8(s))
}

// ParseStage reads the form that String writes.
func ParseStage(s string) (Stage, error) {
	for i, name := range stageNames {
		if s == name {
			return Stage(i), nil
		}
	}
	return 0, fmt.Errorf("unknown boot stage %q", clip(s, 40))
}

// WantsBoot reports whether a client of this stage asks for something to boot.
func (s Stage) WantsBoot() bool {
	return s == StageFirmware || s == StageHTTPClient || s == StageIPXE
}

// AgentClass is the DHCP vendor class (option 60) of berth's agent.
const AgentClass = "berth-agent"

// JudgeStage tells the stage from the vendor class (option 60) and the user
// classes (option 77) of a DHCP packet.
//
// iPXE keeps the vendor class of the PXE client it replaces and is told apart
// by its user class alone. Some iPXE builds embed a script that sets another
// user class before it asks again ("Tinkerbell" is the one in wide use); a
// server that does not know it sends such a machine the loader for ever.
func JudgeStage(vendorClass string, userClasses ...string) Stage {
	for _, class := range userClasses {
		switch class {
		case "iPXE", "Tinkerbell":
			return StageIPXE
		case AgentClass:
			return StageAgent
		}
	}
	switch {
	case strings.HasPrefix(vendorClass, AgentClass):
		return StageAgent
	case strings.HasPrefix(vendorClass, "PXEClient"):
		return StageFirmware
	case strings.HasPrefix(vendorClass, "HTTPClient"):
		return StageHTTPClient
	}
	return StageOS
}

// CleanHostname makes a name a machine gave itself fit for records and replies:
// letters, digits, hyphens and dots, lower case, at most 63 bytes, no dot or
// hyphen at either end. What cannot be kept is dropped, so the result may be
// empty, and callers must be ready for that (a name of only odd characters
// has stopped a DHCP server before).
func CleanHostname(s string) string {
	out := make([]byte, 0, min(len(s), 63))
	for i := 0; i < len(s) && len(out) < 63; i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '.':
			out = append(out, c)
		case 'A' <= c && c <= 'Z':
			out = append(out, c+'a'-'A')
		}
	}
	return strings.Trim(string(out), "-.")
}

// Printable keeps the printable ASCII of s, at most limit bytes. Use it on any
// text from the wire that goes into a sentence.
func Printable(s string, limit int) string {
	out := make([]byte, 0, min(len(s), limit))
	for i := 0; i < len(s) && len(out) < limit; i++ {
		if ' ' <= s[i] && s[i] <= '~' {
			out = append(out, s[i])
		}
	}
	return string(out)
}

func clip(s string, limit int) string {
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}
