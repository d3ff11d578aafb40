package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/insomniacslk/dhcp/iana"

	"berth/internal/lab"
)

// askEvery is how soon the machine asks again; real ones wait seconds, which would hide what is measured.
const askEvery = 10 * time.Millisecond

// port is the machine's end of a cable into the rack's switch.
const port = "bench0"

// firstAnswer starts the server beside a machine that asks all the time, and returns how long the machine was without an answer.
func (o options) firstAnswer(ctx context.Context) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "berth-bench-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	spec := lab.DefaultSpec()
	spec.Name = "bench"
	rack, err := lab.Start(ctx, spec, filepath.Join(dir, "rack"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rack.Stop()) }()
	machine, err := plugIn(ctx, rack)
	if err != nil {
		return 0, err
	}
	defer machine.Close()
	addr := rack.BootAddr().String()
	server := rack.Command(context.WithoutCancel(ctx), filepath.Join(o.build, "berth"), "serve", "--data", filepath.Join(dir, "state"),
		"--key", filepath.Join(dir, "state.key"), "--http", addr+":8443", "--boot", addr+":8081", "--interface", rack.Bridge(),
		"--dhcp", "server", "--pool", pool(rack), "--enrol")
	log, err := os.Create(filepath.Join(dir, "berth.log"))
	if err != nil {
		return 0, err
	}
	defer log.Close()
	server.Stdout, server.Stderr = log, log
	began := time.Now()
	if err := server.Start(); err != nil {
		return 0, err
	}
	_, err = machine.DiscoverOffer(ctx, askAsPXE)
	took = time.Since(began)
	if err != nil {
		text, _ := os.ReadFile(log.Name())
		err = fmt.Errorf("no answer: %w; the server says\n%s", err, text)
	}
	return took, errors.Join(err, server.Process.Signal(syscall.SIGTERM), server.Wait())
}

// plugIn puts one more port onto the rack's switch.
func plugIn(ctx context.Context, rack *lab.Rack) (client *nclient4.Client, err error) {
	for _, args := range [][]string{
		{"link", "add", port, "type", "veth", "peer", "name", port + "s"},
		{"link", "set", port + "s", "master", rack.Bridge(), "up"},
		{"link", "set", port, "up"},
	} {
		if out, err := rack.Run(ctx, "ip", args...); err != nil {
			return nil, fmt.Errorf("%w: %s", err, out)
		}
	}
	err = rack.Do(func() error {
		client, err = nclient4.New(port, nclient4.WithTimeout(askEvery), nclient4.WithRetry(int(2*time.Minute/askEvery)),
			nclient4.WithHWAddr(net.HardwareAddr{0x52, 0x54, 0, 0xbe, 0x9c, 1}))
		return err
	})
	return client, err
}

// askAsPXE is what a BIOS sends (Intel's PXE 2.1, 2.2.1, and RFC 4578).
func askAsPXE(d *dhcpv4.DHCPv4) {
	d.UpdateOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00000:UNDI:002001"))
	d.UpdateOption(dhcpv4.OptClientArch(iana.INTEL_X86PC))
	d.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionClientNetworkInterfaceIdentifier, []byte{1, 2, 1}))
	d.SetBroadcast()
}

// pool is the upper half of the boot network.
func pool(rack *lab.Rack) string {
	p := rack.Spec().BootNetwork.Masked().Addr().As4()
	return fmt.Sprintf("%d.%d.%d.100-%d.%d.%d.200", p[0], p[1], p[2], p[0], p[1], p[2])
}
