package pxe

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
)

// Answer is what to tell a client, and why.
type Answer struct {
	Boot       Boot       // what the machine ends up doing
	Address    bool       // DHCP: give it an address
	File       string     // DHCP: boot file, a TFTP name or a URL; "" for none
	NextServer netip.Addr // DHCP: TFTP server; invalid: the address the server answers from
	HTTP       bool       // DHCP: the client wants "HTTPClient" echoed before it believes the URL
	Arch       Arch
	BootURL    string // where kernel and initramfs are fetched
	MAC        string // the client's, for the agent; "" when it has none
	Reason     string // one sentence for the timeline
}

// Silent reports whether a DHCP server has nothing at all to say.
func (a Answer) Silent() bool { return !a.Address && a.File == "" }

// Decide says what a client is answered. It is a pure function of what the
// client said, what is on record about it, and the subnet it is on.
//
// The rules, in order:
//   - on a subnet in mode listen or off nothing is answered;
//   - in mode server every client gets an address;
//   - a boot file goes only to a client that asks for one, and only when its
//     machine is to run the agent; for an unknown machine the subnet must enrol
//     besides;
//   - firmware that is to start its own disk gets no boot file, and goes on to
//     its next boot entry when it has waited long enough;
//   - but UEFI firmware waits a minute for each network entry, and three minutes
//     in all, so where it is known to run our loader it gets that, whose script
//     leaves at once. Known to run it: with Secure Boot on, some firmware stops at
//     an unsigned loader until a key is pressed;
//   - iPXE that is to start its own disk gets a script, which leaves in the way
//     its firmware understands and says on the screen why.
func Decide(c Client, s Situation, n Subnet) Answer {
	a := Answer{Arch: c.Arch, BootURL: n.BootURL, NextServer: n.NextServer, MAC: c.MAC.String()}
	if n.Mode != ModeServer && n.Mode != ModeProxy {
		a.Boot, a.Reason = BootNone, fmt.Sprintf("subnet %v is in mode %v: nothing is answered", n.Prefix, n.Mode)
		return a
	}
	a.Address = n.Mode == ModeServer
	a.Boot, a.Reason = target(c, s, n)
	if !c.Stage.WantsBoot() || a.Boot == BootNone {
		return a
	}
	a.File, a.HTTP = bootFile(c, s, a.Boot, n)
	return a
}

// target is what the machine ends up booting, and why.
func target(c Client, s Situation, n Subnet) (Boot, string) {
	because := func(sentence string) string {
		if s.Reason != "" {
			return s.Reason
		}
		return sentence
	}
	switch {
	case s.Boot == BootNone:
		return BootNone, because("the record says to give this machine nothing")
	case s.Boot != BootAgent && s.Known():
		return BootLocal, because("a known machine boots its local disk")
	case s.Boot != BootAgent:
		return BootLocal, because("an unknown machine boots its local disk")
	case !s.Known() && !n.Enrol:
		return BootLocal, "an unknown machine, and this subnet does not enrol: local disk"
	case !c.Stage.WantsBoot():
		return BootAgent, because("the agent is wanted, but this client does not ask for a boot file")
	case n.BootURL == "":
		return BootLocal, "the agent is wanted, but this subnet has no boot URL: local disk"
	case c.Arch.Loader() == "":
		return BootLocal, fmt.Sprintf("the agent is wanted, but there is no loader for %v: local disk", c.Arch)
	case s.Known():
		return BootAgent, because("the record asks for the agent")
	}
	return BootAgent, because("an unknown machine on a subnet that enrols is offered the agent")
}

// bootFile is the file for a client that asks for one.
func bootFile(c Client, s Situation, b Boot, n Subnet) (file string, http bool) {
	leave := s.Known() && s.Chained && c.Arch.EFI()
	switch {
	case n.BootURL == "" || c.Arch.Loader() == "" && c.Stage != StageIPXE:
		return "", false
	case c.Stage == StageIPXE:
		return ScriptURL(n.BootURL, c), false
	case b != BootAgent && !leave:
		return "", false
	case c.Stage == StageHTTPClient:
		return n.BootURL + "/loader/" + c.Arch.Loader(), true
	case c.Stage == StageFirmware:
		return c.Arch.Loader(), false
	}
	return "", false
}

// ScriptURL is where a client at stage iPXE fetches its script.
func ScriptURL(bootURL string, c Client) string {
	q := "arch=" + strconv.Itoa(int(c.Arch))
	if len(c.MAC) > 0 {
		q += "&mac=" + c.MAC.String()
	}
	if !c.UUID.IsZero() {
		q += "&uuid=" + c.UUID.String()
	}
	return bootURL + "/ipxe?" + q
}

// ParseScriptQuery is the inverse of ScriptURL: the client that a script is
// asked for. Everything in it is a claim.
func ParseScriptQuery(q url.Values) (Client, error) {
	c := Client{Stage: StageIPXE, Arch: ArchUnknown}
	if s := q.Get("arch"); s != "" {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil {
			return c, fmt.Errorf("parse arch of a script request: %w", err)
		}
		c.Arch = Arch(n)
	}
	mac, err := parseMAC(q.Get("mac"))
	if err != nil {
		return c, err
	}
	c.MAC = mac
	if s := q.Get("uuid"); s != "" {
		if c.UUID, err = ParseUUID(s); err != nil {
			return c, err
		}
	}
	return c, nil
}
