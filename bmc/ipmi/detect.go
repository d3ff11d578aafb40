package ipmi

import (
	"context"
	"fmt"
	"slices"
	"time"

	"berth/bmc"
)

// Presence is what a BMC says of its IPMI to anybody, without a login.
type Presence struct {
	V20 bool `json:"v2_0"`
	V15 bool `json:"v1_5"`
	// CipherSuites are the ids it lists; empty when it lists none.
	CipherSuites []int `json:"cipher_suites,omitempty"`
	// NullUser, Anonymous and NoAuth are doors without a name, without name and password, and without either.
	NullUser  bool `json:"null_user"`
	Anonymous bool `json:"anonymous"`
	NoAuth    bool `json:"no_auth"`
}

// Detect asks address (host or host:port) for Get Channel Authentication Capabilities and Get Channel Cipher Suites. It
// presents no credentials.
func Detect(ctx context.Context, address string) (Presence, error) {
	l, err := dial(ctx, bmc.Target{Kind: bmc.KindIPMI, Address: address})
	if err != nil {
		return Presence{}, err
	}
	defer l.conn.Close()
	p, err := capabilities(ctx, l)
	if err != nil {
		return p, fmt.Errorf("look for IPMI at %s: %w", address, err)
	}
	p.CipherSuites, err = cipherSuites(ctx, l)
	if err != nil && ctx.Err() != nil {
		return p, fmt.Errorf("list the cipher suites of %s: %w", address, err)
	}
	return p, nil // some BMCs do not list them; that is no less a BMC
}

// capabilities is Get Channel Authentication Capabilities (22.13) for this channel, at Administrator.
func capabilities(ctx context.Context, l *line) (Presence, error) {
	out, err := l.ask(ctx, request{0x06, 0x38, []byte{0x0e | 0x80, 0x04}})
	if out, err = needs(8, out, err, "read the authentication capabilities"); err != nil {
		return Presence{}, err
	}
	extended := out[1]&0x80 != 0
	return Presence{
		V20: extended && out[3]&0x02 != 0, V15: !extended || out[3]&0x01 != 0,
		NoAuth: out[1]&0x01 != 0, NullUser: out[2]&0x02 != 0, Anonymous: out[2]&0x01 != 0,
	}, nil
}

// cipherSuites is Get Channel Cipher Suites (22.15), read to its end sixteen bytes at a time.
func cipherSuites(ctx context.Context, l *line) ([]int, error) {
	var raw []byte
	for index := byte(0); index < 64; index++ {
		out, err := l.ask(ctx, request{0x06, 0x54, []byte{0x0e, 0x00, 0x80 | index}})
		if out, err = needs(1, out, err, "list the cipher suites"); err != nil {
			return nil, err
		}
		raw = append(raw, out[1:]...)
		if len(out)-1 < 16 {
			break
		}
	}
	return parseSuites(raw), nil
}

// parseSuites reads records (22.15.1): C0h and an id, or C1h, an id and three bytes of OEM number; then algorithms, whose
// two highest bits are never both set.
func parseSuites(raw []byte) []int {
	var ids []int
	for i := 0; i < len(raw); {
		switch {
		case raw[i] == 0xc0 && i+1 < len(raw):
			if id := int(raw[i+1]); !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
			i += 2
		case raw[i] == 0xc1:
			i += 5
		default:
			i++
		}
	}
	return ids
}

// suitesFor chooses what to try, best first. Which suites there are is asked once and briefly: the answer saves a BMC that
// has only the old one a refusal, and some BMCs (and OpenIPMI's) do not give it.
func suitesFor(ctx context.Context, l *line) []suite {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	ids, err := cipherSuites(ctx, l)
	if err == nil && slices.Contains(ids, int(suite3.id)) && !slices.Contains(ids, int(suite17.id)) {
		return []suite{suite3, suite17}
	}
	return []suite{suite17, suite3}
}

// Findings says what is unsafe about a BMC that answers so.
func (p Presence) Findings() []bmc.Finding {
	f := []bmc.Finding{{
		Code:     "ipmi-on",
		Sentence: "IPMI over LAN is on. It gives anybody who asks a hash of the password to guess at (CVE-2013-4786): prefer Redfish, and a password of 20 random characters for this BMC alone.",
	}}
	if slices.Contains(p.CipherSuites, 0) {
		f = append(f, bmc.Finding{
			Code:     "ipmi-cipher-0",
			Sentence: "Cipher suite 0 is offered: on many BMCs it lets anybody in as administrator without a password (CVE-2013-4782). Switch it off.",
		})
	}
	if p.NullUser || p.Anonymous {
		f = append(f, bmc.Finding{Code: "ipmi-null-user", Sentence: "A user without a name is enabled. Give it a name and a password, or switch it off."})
	}
	if p.NoAuth {
		f = append(f, bmc.Finding{Code: "ipmi-no-auth", Sentence: "IPMI 1.5 sessions without any authentication are allowed. Switch the authentication type \"none\" off."})
	}
	return f
}

// Audit is Detect and its findings, for an open driver.
func (d *driver) Audit(ctx context.Context) ([]bmc.Finding, error) {
	p, err := Detect(ctx, d.target.Address)
	if err != nil {
		return nil, err
	}
	return p.Findings(), nil
}
