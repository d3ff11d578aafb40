package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"berth/internal/lab"
)

// spareWait tells a machine that there is no IPv6 router until its kernel runs. iPXE sets up IPv4 and IPv6 at once and would wait
// sixteen seconds for one, turning round all the while; berth spares it that, and the way without berth shall not be slower for it.
func spareWait(ctx context.Context, rack *lab.Rack, m *lab.Machine, console *watcher) error {
	tap, err := rack.Capture(m.Taps()[0])
	if err != nil {
		return err
	}
	defer tap.Close()
	frame := routerAdvertisement(net.HardwareAddr{0x02, 0x00, 0x00, 0xbe, 0x9c, 0x02})
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the loader did not end: %w", context.Cause(ctx))
		case <-console.reached: // the first mark
			return nil
		case <-tick.C:
			_, _ = tap.Write(frame) // while the firmware has not set its port up there is no carrier
		}
	}
}

// routerAdvertisement is a frame to all nodes that announces no router, no prefix and no DHCPv6 (RFC 4861, 4.2).
func routerAdvertisement(from net.HardwareAddr) []byte {
	const lenEthernet, lenIPv6, lenRA = 14, 40, 16
	f := make([]byte, lenEthernet+lenIPv6+lenRA)
	copy(f, []byte{0x33, 0x33, 0, 0, 0, 1})
	copy(f[6:], from)
	binary.BigEndian.PutUint16(f[12:], 0x86dd)
	ip := f[lenEthernet:]
	ip[0], ip[6], ip[7] = 0x60, 58, 255 // version 6; ICMPv6; of this very link
	binary.BigEndian.PutUint16(ip[4:], lenRA)
	copy(ip[8:], []byte{0xfe, 0x80, 0, 0, 0, 0, 0, 0, from[0] ^ 2, from[1], from[2], 0xff, 0xfe, from[3], from[4], from[5]})
	copy(ip[24:], []byte{0xff, 0x02, 15: 1})
	ra := ip[lenIPv6:]
	ra[0], ra[4] = 134, 64
	binary.BigEndian.PutUint16(ra[2:], checksum(ip[8:lenIPv6], ra))
	return f
}

// checksum is that of ICMPv6: over the addresses, the length, the protocol and the message (RFC 8200, 8.1).
func checksum(addresses, message []byte) uint16 {
	sum := uint32(len(message)) + 58
	for _, part := range [][]byte{addresses, message} {
		for i := 0; i+1 < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
