package pxe

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// Boot is what a machine should do when it boots.
type Boot uint8

const (
	BootLocal Boot = iota // its own disk: the default
	BootAgent             // berth's agent in RAM
	BootNone              // no boot file and no script at any stage: whatever its firmware does without us
)

var bootNames = [...]string{"local", "agent", "none"}

func (b Boot) String() string {
	if int(b) < len(bootNames) {
		return bootNames[b]
	}
	return fmt.Sprintf("boot %d", uint8(b))
}

// ParseBoot reads the form that String writes.
func ParseBoot(s string) (Boot, error) {
	for i, name := range bootNames {
		if s == name {
			return Boot(i), nil
		}
	}
	return BootLocal, fmt.Errorf("unknown boot target %q: want local, agent or none", clip(s, 40))
}

// Situation is what the record says about a client at this moment.
type Situation struct {
	Machine string // uid of the machine; "" when the client is unknown
	Name    string // what people call it; may be empty, and is not trusted to be clean
	Boot    Boot   // what the machine's state asks for
	Reason  string // why, in one sentence for the timeline
	Chained bool   // its firmware has run our loader before, so that it may be given it again
}

// Known reports whether the client belongs to a machine on record.
func (s Situation) Known() bool { return s.Machine != "" }

// Book is what the servers ask. All its methods are called while a packet
// waits, by several goroutines at once: they read an immutable snapshot of the
// records and never touch a disk, a database or a lock that is held across
// either. The byte slices of a Client they are given are good only during the
// call; those of an Event may be kept.
type Book interface {
	// Situation says what is on record about a client. A client nobody knows
	// gets a Situation without Machine, whose Boot says whether the agent may be
	// offered to it if its subnet enrols.
	Situation(Client) Situation

	// Subnet finds the subnet of a packet: by the relay's address when giaddr
	// is valid, otherwise by the interface it came in by.
	Subnet(iface string, giaddr netip.Addr) (Subnet, bool)

	// Reservation is the address the record keeps for this client on this subnet.
	Reservation(Client, Subnet) (netip.Addr, bool)

	// Reserved reports whether the record keeps this address for somebody or
	// something, so that no pool may give it away.
	Reserved(Subnet, netip.Addr) bool

	// Note takes an event for the timeline. It never blocks; it may drop.
	Note(Event)
}

// EventKind says what happened, in words a program can sort by.
type EventKind string

const (
	EventDiscover    EventKind = "dhcp.discover"      // a client asked for an address
	EventOffer       EventKind = "dhcp.offer"         // it was offered one, or a boot file
	EventAck         EventKind = "dhcp.ack"           // it has it
	EventNak         EventKind = "dhcp.nak"           // it was told to ask again
	EventDecline     EventKind = "dhcp.decline"       // it found its address in use
	EventRelease     EventKind = "dhcp.release"       // it gave it back
	EventNoAddress   EventKind = "dhcp.no-address"    // no address was left for it
	EventIgnored     EventKind = "dhcp.ignored"       // heard, and not answered
	EventOtherServer EventKind = "dhcp.other-server"  // somebody else answers DHCP on this wire
	EventBadPacket   EventKind = "dhcp.bad-packet"    // not a DHCP message
	EventStorage     EventKind = "dhcp.storage"       // the lease log could not be written: answers are held back
	EventFetch       EventKind = "fetch.start"        // TFTP or HTTP: a file was asked for
	EventFetched     EventKind = "fetch.end"          // it was sent to its end
	EventFetchFailed EventKind = "fetch.failed"       // it was not
	EventScript      EventKind = "script"             // a boot script was given out
	EventRefused     EventKind = "refused"            // something was asked for that is not given
	EventSuppressed  EventKind = "timeline.truncated" // too many events from unknown machines; Count were dropped
)

// Event is one line of a machine's boot timeline.
type Event struct {
	Time   time.Time
	Kind   EventKind
	Client Client
	Text   string // one sentence; no secret is ever in it
	Wire   string // "dhcp", "tftp" or "http"
	File   string // name or URL path that was asked for, cleaned; "" where there is none
	Bytes  int64  // sent so far
	Size   int64  // of the whole file; -1 when unknown
	Took   time.Duration
	Count  int        // for EventSuppressed
	Other  netip.Addr // for EventOtherServer: the other server
}

// Ticket lets one boot of the agent speak to berth.
type Ticket struct {
	Token    string   // one-time; the only secret of a boot script
	AgentURL string   // https URL of the agent API
	Pin      string   // digest of the server's key
	Console  []string // kernel consoles, as "ttyS0,115200n8"; the last one is /dev/console
	Extra    []string // more kernel arguments, one each
}

// Tickets mints tickets. It is asked once for each script that starts the agent
// and may use the disk and the database, within the deadline of ctx.
type Tickets interface {
	Ticket(ctx context.Context, c Client, s Situation) (Ticket, error)
}
