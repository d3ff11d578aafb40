package pxe_test

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sync/errgroup"

	"berth/pxe"
	"berth/pxe/dhcp"
	"berth/pxe/lease"
)

// BenchmarkLeases is the whole exchange of a new client (DISCOVER, OFFER,
// REQUEST, ACK) through the relay path, 64 of them in flight, each ACK after its
// lease is on disk. The load shares the machine with the server.
func BenchmarkLeases(b *testing.B) {
	h := plugIn(b, "srvb", "clib")
	h.run(b, "ip", "addr", "add", "10.9.0.2/24", "dev", h.iface)
	s := &site{}
	s.subnet = pxe.Subnet{
		Prefix: netip.MustParsePrefix("10.0.0.0/8"), Interface: "srvb", Mode: pxe.ModeServer,
		Pools: []pxe.Range{{From: netip.MustParseAddr("10.32.0.0"), To: netip.MustParseAddr("10.63.255.255")}},
	}
	log, err := lease.OpenLog(filepath.Join(b.TempDir(), "leases"))
	if err != nil {
		b.Fatal(err)
	}
	table, err := lease.New(log, lease.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return (&dhcp.Server{Book: s, Leases: table, Interfaces: []string{"srvb"}}).Serve(ctx) })
	defer func() {
		cancel()
		if err := g.Wait(); err != nil {
			b.Error(err)
		}
		if err := table.Close(); err != nil {
			b.Error(err)
		}
	}()
	var conn net.PacketConn
	h.in(b, func() (err error) {
		conn, err = net.ListenPacket("udp4", "10.9.0.2:67")
		return err
	})
	defer conn.Close()
	server := &net.UDPAddr{IP: net.IPv4(10, 9, 0, 1), Port: 67}
	template, err := dhcpv4.New(dhcpv4.WithMessageType(dhcpv4.MessageTypeDiscover), dhcpv4.WithHwAddr(net.HardwareAddr{2, 0, 0, 0, 0, 0}), dhcpv4.WithGatewayIP(net.IPv4(10, 9, 0, 2)))
	if err != nil {
		b.Fatal(err)
	}
	raw := template.ToBytes()
	next := uint32(0)
	discover := func() {
		next++
		binary.BigEndian.PutUint32(raw[4:], next)
		binary.BigEndian.PutUint32(raw[30:], next)
		_, _ = conn.WriteTo(raw, server)
	}
	buf := make([]byte, 1500)
	for range 64 {
		discover()
	}
	done, lost := 0, 0
	b.ResetTimer()
	for done < b.N {
		_ = conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			if lost++; lost > 100 {
				b.Fatal("no answers:", err)
			}
			for range 64 {
				discover()
			}
			continue
		}
		switch dhcpv4.MessageType(buf[242]) {
		case dhcpv4.MessageTypeOffer:
			_, _ = conn.WriteTo(requestOf(buf[:n]), server)
		case dhcpv4.MessageTypeAck:
			done++
			discover()
		}
	}
	b.ReportMetric(float64(done)/b.Elapsed().Seconds(), "leases/s")
	b.ReportMetric(float64(lost), "timeouts")
}

// requestOf makes the REQUEST that takes an offer, from its bytes.
func requestOf(offer []byte) []byte {
	r := append([]byte(nil), offer[:240]...)
	r[0] = 1
	r = append(r, 53, 1, 3, 50, 4)
	r = append(r, offer[16:20]...)
	r = append(r, 54, 4, 10, 9, 0, 1, 255)
	clear(r[16:24])
	return r
}
