package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"
	"gopkg.in/yaml.v3"

	"berth/internal/lab/wire"
)

// machine is a server in the rack: the player of its firmware, and whatever that started.
type machine struct {
	*site
	name   string
	net    *wire.Namespace
	mac    net.HardwareAddr
	uuid   string
	serial string
	disks  []*drive // the first is the one the firmware boots
	dir    string

	mu   sync.Mutex
	off  context.CancelCauseFunc // ends the boot that is going on; nil when the machine is off
	gone chan struct{}           // closed when that boot is over
	// agent is the agent that runs now, and its command line; nil when none does.
	agent     *exec.Cmd
	agentArgs []string
	events    []string
}

// newMachine racks a machine with blank disks, and leaves it switched off. Its serial and UUID are made from n, which is its own.
func newMachine(s *site, n byte, disks ...*drive) *machine {
	s.Helper()
	m := &machine{site: s, name: fmt.Sprintf("m%d", n), mac: net.HardwareAddr{0x52, 0x54, 0, 0x88, 0, n},
		uuid: fmt.Sprintf("6f1d7a52-9a39-4c5e-8f0c-1a2b3c4d5e%02x", n), serial: fmt.Sprintf("SN-%04d", n), disks: disks}
	if len(disks) == 0 {
		m.disks = []*drive{newDrive(s.TB, fmt.Sprintf("DISK-%04d", n), nil)}
	}
	m.dir = filepath.Join(s.dir, m.name)
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		s.Fatal(err)
	}
	var err error
	if m.net, err = wire.NewNamespace(fmt.Sprintf("%s-%s", s.net.Name(), m.name)); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { m.net.Close() })
	if err := m.plug(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		m.powerOff()
		if s.Failed() {
			s.Logf("%s:\n%s\nthe end of its agents' log:\n%s", m.name, strings.Join(m.log(), "\n"), tail(m.agentLog(), 60))
		}
	})
	return m
}

// plug lays a cable from the machine's network card to the server's switch.
func (m *machine) plug() error {
	there, err := os.Open(m.net.Path())
	if err != nil {
		return err
	}
	defer there.Close()
	return m.site.net.Do(func() error {
		bridge, err := netlink.LinkByName("br0")
		if err != nil {
			return err
		}
		cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "port-" + m.name}, PeerName: "eth0",
			PeerHardwareAddr: m.mac, PeerNamespace: netlink.NsFd(int(there.Fd()))}
		if err := netlink.LinkAdd(cable); err != nil {
			return fmt.Errorf("plug %s in: %w", m.name, err)
		}
		if err := netlink.LinkSetMaster(cable, bridge); err != nil {
			return err
		}
		return netlink.LinkSetUp(cable)
	})
}

func (m *machine) note(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (m *machine) log() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.events...)
}

func (m *machine) agentLog() string { return filepath.Join(m.dir, "agent.log") }

var errPower = errors.New("the power was cut")

// powerOn starts the firmware of a machine that is off.
func (m *machine) powerOn() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.off != nil {
		return
	}
	ctx, off := context.WithCancelCause(m.ctx)
	m.off, m.gone = off, make(chan struct{})
	go m.run(ctx, m.gone)
}

// powerOff cuts the power: whatever ran on the machine is gone at once.
func (m *machine) powerOff() {
	m.mu.Lock()
	off, gone := m.off, m.gone
	m.off = nil
	m.mu.Unlock()
	if off == nil {
		return
	}
	off(errPower)
	<-gone
}

// reset is a power cut and the return of the power.
func (m *machine) reset() {
	m.powerOff()
	m.note("switched on")
	m.powerOn()
}

// run boots again and again, as long as there is power.
func (m *machine) run(ctx context.Context, gone chan struct{}) {
	defer close(gone)
	for ctx.Err() == nil {
		again, err := m.boot(ctx)
		// A machine takes longer to start than this; but it must not hammer.
		pause := 100 * time.Millisecond
		if err != nil && ctx.Err() == nil {
			m.note("the firmware: %v", err)
			pause = time.Second
		}
		if !again {
			break
		}
		sleep(ctx, pause)
	}
	<-ctx.Done()
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// boot is one way through the firmware and what it started. It tells whether the machine starts anew.
func (m *machine) boot(ctx context.Context) (again bool, err error) {
	scriptURL, err := m.address(ctx)
	if err != nil {
		return true, err
	}
	script, err := m.fetch(ctx, scriptURL)
	if err != nil {
		return true, err
	}
	line := kernelLine(script)
	if line == nil {
		return m.bootDisk(ctx)
	}
	return m.bootAgent(ctx, line)
}

// address gets a lease as iPXE does, configures it, and returns where the boot script is.
func (m *machine) address(ctx context.Context) (script string, err error) {
	var client *nclient4.Client
	err = m.net.Do(func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return err
		}
		client, err = nclient4.New("eth0", nclient4.WithTimeout(500*time.Millisecond), nclient4.WithRetry(4))
		return err
	})
	if err != nil {
		return "", err
	}
	defer client.Close()
	id, err := hex.DecodeString(strings.ReplaceAll(m.uuid, "-", ""))
	if err != nil {
		return "", err
	}
	lease, err := client.Request(ctx,
		dhcpv4.WithOption(dhcpv4.OptUserClass("iPXE")),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00000:UNDI:002001")),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClientSystemArchitectureType, []byte{0, 0})),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, append([]byte{0}, id...))),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionBootfileName))
	if err != nil {
		return "", fmt.Errorf("no address: %w", err)
	}
	script = lease.ACK.BootFileNameOption()
	if script == "" {
		script = lease.ACK.BootFileName
	}
	addr, ok := netip.AddrFromSlice(lease.ACK.YourIPAddr.To4())
	if !ok || !strings.HasPrefix(script, "http://") {
		return "", fmt.Errorf("leased %v, told to boot %q", lease.ACK.YourIPAddr, script)
	}
	return script, m.configure(netip.PrefixFrom(addr, 24))
}

// configure gives the card the address it was leased, and no other.
func (m *machine) configure(want netip.Prefix) error {
	return m.net.Do(func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		addr, err := netlink.ParseAddr(want.String())
		if err != nil {
			return err
		}
		have, err := netlink.AddrList(link, netlink.FAMILY_V4)
		if err != nil {
			return err
		}
		for _, a := range have {
			if a.Equal(*addr) {
				return nil
			}
			if err := netlink.AddrDel(link, &a); err != nil {
				return err
			}
		}
		return netlink.AddrAdd(link, addr)
	})
}

// fetch asks for a boot script from the machine's own address.
func (m *machine) fetch(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DialContext: m.net.DialContext, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
	if err != nil {
		return "", err
	}
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("no script: %s: %s", answer.Status, bytes.TrimSpace(body))
	}
	return string(body), nil
}

// kernelLine is the agent's command line in a script; nil when the script sends the machine to its disk.
func kernelLine(script string) []string {
	for line := range strings.Lines(script) {
		if rest, ok := strings.CutPrefix(line, "kernel "); ok {
			rest, _, _ = strings.Cut(rest, "||")
			return strings.Fields(rest)
		}
	}
	return nil
}

// agentCommand is the agent as the command line of a kernel would start it.
func (m *machine) agentCommand(line []string) []string {
	args := []string{programs.agent}
	for _, arg := range line {
		for _, name := range []string{"url", "pin", "token"} {
			if value, ok := strings.CutPrefix(arg, "berth."+name+"="); ok {
				args = append(args, "--"+name, value)
			}
		}
	}
	var paths []string
	for _, d := range m.disks {
		paths = append(paths, d.Path)
	}
	return append(args, "--disks", strings.Join(paths, ","))
}

// bootAgent runs the agent until it ends or the power does.
func (m *machine) bootAgent(ctx context.Context, line []string) (again bool, err error) {
	m.note("boots the agent")
	args := m.agentCommand(line)
	cmd, done, err := m.start(args...)
	if err != nil {
		return true, err
	}
	m.running(cmd, args)
	defer m.running(nil, nil)
	select {
	case err = <-done:
	case <-ctx.Done():
		_ = cmd.Process.Kill()
		<-done
		return false, context.Cause(ctx)
	}
	code := cmd.ProcessState.ExitCode()
	m.note("the agent ended with %d", code)
	if code == 10 {
		return false, nil // told to power off
	}
	if code != 0 && code != 11 && cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		m.Errorf("the agent of %s ended with %d: %v", m.name, code, err)
	}
	return true, nil
}

func (m *machine) running(cmd *exec.Cmd, args []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.agent = cmd
	if args != nil {
		m.agentArgs = args
	}
}

// killAgent is a power cut of the machine when its agent runs; it starts again at once. It tells whether one ran.
func (m *machine) killAgent() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.agent != nil && m.agent.Process.Kill() == nil
}

// chassis puts the machine's own network cards and SMBIOS tables in place of the host's, and then becomes the program.
const chassis = `mount -t sysfs sysfs /sys && mount -t tmpfs tmpfs /sys/firmware && mkdir -p /sys/firmware/dmi/tables &&
cp "$0"/DMI "$0"/smbios_entry_point /sys/firmware/dmi/tables/ && exec "$@"`

// start runs a program on the machine.
func (m *machine) start(args ...string) (*exec.Cmd, <-chan error, error) {
	if err := m.writeSMBIOS(); err != nil {
		return nil, nil, err
	}
	log, err := os.OpenFile(m.agentLog(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	cmd := exec.Command("unshare", append([]string{"--mount", "sh", "-ec", chassis, m.dir}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := m.net.Start(cmd); err != nil {
		return nil, nil, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	return cmd, done, nil
}

// writeSMBIOS writes a system with its serial and UUID, as DSP0134 has it: a structure of type 1, the end, and an entry point.
func (m *machine) writeSMBIOS() error {
	id, err := hex.DecodeString(strings.ReplaceAll(m.uuid, "-", ""))
	if err != nil {
		return err
	}
	// The first three groups of a UUID are little-endian on the wire (7.2.1).
	le := []byte{id[3], id[2], id[1], id[0], id[5], id[4], id[7], id[6]}
	table := append([]byte{1, 27, 1, 0, 1, 2, 0, 3}, append(le, id[8:]...)...)
	table = append(table, 6, 0, 0)
	table = append(table, "Berth Tests\x00Player\x00"+m.serial+"\x00\x00"...)
	table = append(table, 127, 4, 2, 0, 0, 0)
	entry := append([]byte("_SM3_\x00\x18\x03\x02\x00\x01\x00"), make([]byte, 12)...)
	binary.LittleEndian.PutUint32(entry[12:], uint32(len(table)))
	sum := byte(0)
	for _, b := range entry {
		sum += b
	}
	entry[5] = -sum
	return errors.Join(os.WriteFile(filepath.Join(m.dir, "DMI"), table, 0o600),
		os.WriteFile(filepath.Join(m.dir, "smbios_entry_point"), entry, 0o600))
}

// bootDisk starts what is on the first disk. A system that came up stays up until the power goes.
func (m *machine) bootDisk(ctx context.Context) (again bool, err error) {
	platter, err := m.disks[0].platter()
	if err != nil {
		return true, err
	}
	if !boots(platter) {
		m.note("no bootable device")
		return false, nil
	}
	m.note("boots its disk")
	script, err := m.reportScript()
	if err != nil {
		return false, fmt.Errorf("a system without a seed: %w", err)
	}
	cmd, done, err := m.start("python3", script)
	if err != nil {
		return false, err
	}
	select {
	case err := <-done:
		m.note("the system has reported: %v", err)
		return false, err
	case <-ctx.Done():
		_ = cmd.Process.Kill()
		<-done
		return false, context.Cause(ctx)
	}
}

// reportScript is what the seed on the disk has cloud-init write down and run, in a file.
func (m *machine) reportScript() (string, error) {
	text, err := m.disks[0].seed("user-data")
	if err != nil {
		return "", err
	}
	var doc struct {
		Files []struct{ Path, Content string } `yaml:"write_files"`
		Run   [][]string                       `yaml:"runcmd"`
	}
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return "", err
	}
	for _, f := range doc.Files {
		for _, command := range doc.Run {
			if len(command) == 2 && command[0] == "python3" && command[1] == f.Path {
				path := filepath.Join(m.dir, "report.py")
				return path, os.WriteFile(path, []byte(f.Content), 0o600)
			}
		}
	}
	return "", fmt.Errorf("the seed reports to nobody:\n%s", text)
}
