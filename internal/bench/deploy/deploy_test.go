package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"

	"berth/inventory"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func after(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }

// story is a short way of writing packets down: who, when, ports, bytes.
func story(rows ...[5]int) []packet {
	var all []packet
	for _, r := range rows {
		all = append(all, packet{at: after(r[1]), fromMachine: r[0]&1 == 1, udp: r[0]&2 == 2, client: uint16(r[2]), server: uint16(r[3]), payload: r[4]})
	}
	return all
}

// The kinds of a row of a story.
const (
	serverTCP, machineTCP, serverUDP, machineUDP = 0, 1, 2, 3
)

func TestWaits(t *testing.T) {
	for _, c := range []struct {
		name   string
		seen   []packet
		person span
		boots  []time.Time
		want   []gap
	}{
		{name: "nothing"},
		{
			name: "a question asked twice over UDP is as old as the first",
			seen: story([5]int{machineUDP, 10, 68, 67, 300}, [5]int{machineUDP, 500, 68, 67, 300}, [5]int{serverUDP, 520, 68, 67, 300}, [5]int{serverUDP, 530, 68, 67, 300}),
			want: []gap{{"DHCP", after(10), 510 * time.Millisecond}},
		},
		{
			name: "TFTP answers from a port of its own",
			seen: story([5]int{machineUDP, 0, 2000, 69, 30}, [5]int{serverUDP, 4, 2000, 40000, 512}, [5]int{machineUDP, 5, 2000, 40000, 4}, [5]int{serverUDP, 7, 2000, 40000, 512}),
			want: []gap{{"TFTP", after(0), 4 * time.Millisecond}, {"TFTP", after(5), 2 * time.Millisecond}},
		},
		{
			name: "a file's answer begins with its first packet, and bare acknowledgements are no questions",
			seen: story([5]int{machineTCP, 0, 99, 8081, 0}, [5]int{serverTCP, 1, 99, 8081, 0}, [5]int{machineTCP, 2, 99, 8081, 100}, [5]int{serverTCP, 5, 99, 8081, 1448},
				[5]int{machineTCP, 6, 99, 8081, 0}, [5]int{serverTCP, 900, 99, 8081, 1448}),
			want: []gap{{"boot files and image", after(2), 3 * time.Millisecond}},
		},
		{
			name: "an agent's answer ends with its last packet",
			seen: story([5]int{machineTCP, 0, 99, 8443, 200}, [5]int{machineTCP, 2, 99, 8443, 100}, [5]int{serverTCP, 3, 99, 8443, 90}, [5]int{serverTCP, 50, 99, 8443, 90},
				[5]int{machineTCP, 60, 99, 8443, 10}),
			want: []gap{{"agent and report", after(2), 48 * time.Millisecond}},
		},
		{
			name:   "a person's time is not the server's",
			seen:   story([5]int{machineTCP, 0, 99, 8443, 200}, [5]int{serverTCP, 1000, 99, 8443, 90}),
			person: span{after(100), after(990)},
			want:   []gap{{"agent and report", after(0), 110 * time.Millisecond}},
		},
		{
			name:  "a machine that started anew waits for nothing from before",
			seen:  story([5]int{machineTCP, 0, 99, 8443, 200}, [5]int{serverTCP, 1000, 99, 8443, 90}),
			boots: []time.Time{after(500)},
		},
	} {
		if got := waits(c.seen, c.person, c.boots); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\ngot  %v\nwant %v", c.name, got, c.want)
		}
	}
}

func TestPassed(t *testing.T) {
	timeline := []inventory.Event{
		{At: after(0), Text: "deploy was asked for by admin"}, {At: after(40), Text: "told to write"},
		{At: after(900), Text: "disk /dev/sda is written and read back: 1 GB in 1s"}, {At: after(950), Text: "image written to disk X"},
	}
	want := []gap{
		{"deploy asked for, agent has its order", after(0), 40 * time.Millisecond},
		{"disk written, result taken", after(900), 50 * time.Millisecond},
	}
	if got := passed(timeline); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestParse(t *testing.T) {
	machine := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	// 60 bytes of IPv4: 20 of header, 8 of UDP, 32 of payload. Only the headers were kept.
	frame := make([]byte, 14+20+8+8)
	copy(frame[6:], machine)
	binary.BigEndian.PutUint16(frame[12:], 0x0800)
	ip := frame[14:]
	ip[0], ip[9] = 0x45, 17
	binary.BigEndian.PutUint16(ip[2:], 60)
	binary.BigEndian.PutUint16(ip[20:], 68)
	binary.BigEndian.PutUint16(ip[22:], 67)
	want := packet{fromMachine: true, udp: true, client: 68, server: 67, payload: 32}
	if got, ok := parse(frame, machine); !ok || got != want {
		t.Errorf("got %+v, %v", got, ok)
	}
	for cut := range len(frame) {
		parse(frame[:cut], machine) // must not panic
	}
	ip[0] = 0x4f // a header longer than the frame
	if _, ok := parse(frame, machine); ok {
		t.Error("a header that is not there was read")
	}
}

// A sum over the message with its checksum in place is all ones, or the receiver drops it.
func TestRouterAdvertisement(t *testing.T) {
	f := routerAdvertisement(net.HardwareAddr{2, 0, 0, 0xbe, 0x9c, 2})
	if len(f) != 70 {
		t.Fatalf("%d bytes", len(f))
	}
	if got := checksum(f[14+8:14+40], f[14+40:]); got != 0 {
		t.Errorf("the sum with the checksum is %04x", got)
	}
}

func TestBusybox(t *testing.T) {
	packed, err := busybox()
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("SKIPPED: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(plain)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range records {
		names = append(names, r.Name)
	}
	if want := []string{"bin", "bin/busybox", "bin/sh"}; !reflect.DeepEqual(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}
