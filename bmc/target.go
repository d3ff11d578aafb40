package bmc

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
)

// The kinds of driver there are. A machine's kind is recorded, not guessed at each call.
const (
	KindRedfish = "redfish"
	KindIPMI    = "ipmi"
	KindWOL     = "wol"
)

// Target says which BMC, and how to get in.
type Target struct {
	// Kind is one of the Kind constants and chooses the driver.
	Kind string
	// Address is host or host:port. Without a port the driver's own is meant: 443, 623, or 9 for wake-on-LAN, where the
	// host is the broadcast address of the subnet the machine stands in.
	Address  string
	Username string
	Password Secret
	// Pin is the SHA-256 of the TLS certificate's public key (SPKI) as "sha256:<64 hex digits>", kept from first contact.
	// With a Pin nothing else is asked of the certificate: BMCs sign their own.
	Pin string
	// Insecure accepts any certificate when there is no Pin. Without either, the certificate must chain to a root of the
	// system, and the error carries the pin to store.
	Insecure bool
	// SystemID is the id, UUID or path of one system where a BMC has several.
	SystemID string
	// MAC is the network port to wake; wake-on-LAN only. The SecureOn password, if any, goes into Password as a MAC
	// address or six bytes in hex.
	MAC net.HardwareAddr
}

// HostPort returns host and port, with the given port where the address has none. An IPv6 address may stand with or
// without brackets.
func (t Target) HostPort(port uint16) (string, uint16, error) {
	if t.Address == "" {
		return "", 0, fmt.Errorf("the BMC has no address")
	}
	if ip, err := netip.ParseAddr(t.Address); err == nil {
		return ip.String(), port, nil
	}
	host, service, err := net.SplitHostPort(t.Address)
	if err != nil {
		return checkHost(t.Address, port)
	}
	n, err := strconv.ParseUint(service, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("the BMC address %q has no valid port", t.Address)
	}
	return checkHost(host, uint16(n))
}

// checkHost keeps anything but a host name or address out of URLs and argument lists: a "user@host" or "host/path" in an
// imported spreadsheet must not change where the password is sent, nor may "-x" become an option of a tool.
func checkHost(host string, port uint16) (string, uint16, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String(), port, nil
	}
	for i, r := range host {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && (i == 0 || r != '-' && r != '.' && r != '_') {
			return "", 0, fmt.Errorf("the BMC address %q is no host name", host)
		}
	}
	if host == "" || len(host) > 253 {
		return "", 0, fmt.Errorf("the BMC address %q is no host name", host)
	}
	return host, port, nil
}

// LogValue names the BMC in a log line without its password.
func (t Target) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kind", t.Kind), slog.String("address", t.Address), slog.String("user", t.Username))
}

// String is "kind user@address".
func (t Target) String() string { return fmt.Sprintf("%s %s@%s", t.Kind, t.Username, t.Address) }

// credentials identifies what would be presented at login, for telling "the same again" without keeping the password.
func (t Target) credentials() string {
	h := sha256.New()
	for _, part := range []string{t.Kind, t.Username, t.Password.Reveal()} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}
