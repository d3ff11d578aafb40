package dhcp

import (
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"berth/pxe"
)

// The four steps of a DISCOVER and of a renewal, without the wire.
func BenchmarkSteps(b *testing.B) {
	for name, raw := range map[string][]byte{
		"discover": captures(b)["ovmf-pxe-discover.bin"],
		"renew":    ask(dhcpv4.MessageTypeRequest, ciaddr("10.9.0.110")),
	} {
		b.Run(name, func(b *testing.B) {
			d, _, l := testDecider(pxe.ModeServer)
			l.byAddr[testSubnet(0).Pools[0].From] = pxe.Lease{}
			buf := make([]byte, offOpts, maxMessage)
			in := onWire
			in.to = serverAddr
			var p packet
			b.ReportAllocs()
			for b.Loop() {
				if err := p.parse(raw); err != nil {
					b.Fatal(err)
				}
				m, err := judge(&p, "e0")
				if err != nil {
					b.Fatal(err)
				}
				r := d.decide(&m, in)
				if _, err := encode(buf, &m, &r); err != nil || r.kind == 0 {
					b.Fatal(r.text, err)
				}
			}
		})
	}
}
