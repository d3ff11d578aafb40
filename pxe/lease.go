package pxe

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Lease is an address given to a client.
type Lease struct {
	Addr     netip.Addr
	Key      string // Client.Key of the holder
	Hostname string // as the client named itself, cleaned; may be empty
	Expires  time.Time
	State    LeaseState
}

// LeaseRequest asks for an address.
type LeaseRequest struct {
	Key      string     // Client.Key, not empty
	Hostname string     // cleaned
	Subnet   Subnet     // where the client is
	Want     netip.Addr // the address it asks for; invalid when it asks for any
	Fixed    netip.Addr // the address the record keeps for it; invalid when none
	Known    bool       // it belongs to a machine on record
}

// Why no lease is given. Stores return these, wrapped; servers tell them apart.
var (
	ErrNoAddress = errors.New("no address is free")         // the pools are used up for this client
	ErrTaken     = errors.New("the address is not for you") // another client has it, or the record says another one
)

// LeaseState is what an address is used for.
type LeaseState uint8

const (
	LeaseFree     LeaseState = iota // nobody's; Key names the last holder
	LeaseOffered                    // promised for a few seconds, in memory only
	LeaseBound                      // given, and on disk
	LeaseDeclined                   // a client found somebody else on it: given to nobody for a while
)

var leaseStateNames = [...]string{"free", "offered", "bound", "declined"}

func (s LeaseState) String() string {
	if int(s) < len(leaseStateNames) {
		return leaseStateNames[s]
	}
	return fmt.Sprintf("lease state %d", uint8(s))
}
