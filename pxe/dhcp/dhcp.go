// Package dhcp is berth's DHCPv4 server (RFC 2131) with the boot options of PXE
// (Intel PXE 2.1, RFC 4578) and UEFI HTTP boot.
//
// On each subnet it does one of three things, as the record says: give
// addresses and boot files (server), add boot files to the answers of another
// server (proxy, PXE 2.1 §2.2), or only hear and report (listen).
//
// A packet passes four steps that know nothing of each other: parse decodes it
// in place, judge tells what it wants and from whom, decide chooses the answer,
// encode writes it. Only Serve touches the wire. Packets are taken from the
// kernel in batches; the leases of a batch are made durable by one Commit
// before any of its ACKs leaves.
//
// Whatever arrives, the server answers or stays silent; only a socket that
// cannot be opened ends it.
package dhcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"berth/pxe"
)

// Server answers DHCP on some interfaces. Its fields are set before Serve and
// not changed after.
type Server struct {
	Book       pxe.Book
	Leases     Leases   // nil: no subnet can be in mode server
	Interfaces []string // names; at least one

	Port       int // where DHCP is heard; 0 means 67
	ClientPort int // where clients listen; 0 means 68
	BootPort   int // the boot server of proxy mode; 0 means 4011

	Log *slog.Logger // nil for none
}

// Serve answers until ctx ends, and returns nil then. It returns an error when a
// socket cannot be opened; the sentence says which and what can be done.
func (s *Server) Serve(ctx context.Context) error {
	if len(s.Interfaces) == 0 {
		return errors.New("serve DHCP: no interface is named")
	}
	wires, err := s.open()
	if err != nil {
		return err
	}
	return runWires(ctx, wires)
}

// open opens the sockets of all interfaces, or none.
func (s *Server) open() ([]*wire, error) {
	sh := s.shared()
	var wires []*wire
	for _, name := range s.Interfaces {
		w, err := openWire(sh, name)
		if err != nil {
			for _, w := range wires {
				w.close()
			}
			return nil, err
		}
		wires = append(wires, w)
	}
	return wires, nil
}

// runWires answers on the wires until ctx ends, and closes them.
func runWires(ctx context.Context, wires []*wire) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, w := range wires {
		g.Go(func() error { return keep(ctx, w) })
	}
	return g.Wait()
}

// keep answers on a wire, and on the interface that takes its place when it is
// taken away and made again, as bridges are when a network is set up anew: a
// socket bound to the old one would be deaf without a word.
func keep(ctx context.Context, w *wire) error {
	for {
		if err := w.run(ctx); !errors.Is(err, errGone) {
			return err
		}
		w.log.Warn("the interface is gone; waiting for it to come back", "interface", w.name)
		next := reopen(ctx, w)
		if next == nil {
			return nil
		}
		w.log.Info("the interface is back", "interface", w.name)
		w = next
	}
}

// reopen tries until it can; nil means that ctx has ended.
func reopen(ctx context.Context, w *wire) *wire {
	for sleep(ctx, time.Second) {
		if next, err := openWire(w.shared, w.name); err == nil {
			return next
		}
	}
	return nil
}

// shared is what all interfaces have in common.
type shared struct {
	decider
	log    *slog.Logger
	limits *limiter
	others *others
}

func (s *Server) shared() *shared {
	port := func(n, def int) uint16 {
		if n == 0 {
			n = def
		}
		return uint16(n)
	}
	log := s.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &shared{
		decider: decider{
			book: s.Book, leases: s.Leases,
			ports: ports{server: port(s.Port, 67), client: port(s.ClientPort, 68), boot: port(s.BootPort, 4011)},
		},
		log:    log,
		limits: newLimiter(),
		others: &others{seen: map[other]time.Time{}},
	}
}

// interfaceAddrs lists the IPv4 addresses of an interface, and checks that it is there.
func interfaceAddrs(name string) (*net.Interface, []net.Addr, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, nil, fmt.Errorf("serve DHCP on %s: there is no such interface (ip link shows those there are): %w", name, err)
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return nil, nil, fmt.Errorf("serve DHCP on %s: read its addresses: %w", name, err)
	}
	return ifi, addrs, nil
}
