package pxe_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"berth/pxe"
	"berth/pxe/dhcp"
	"berth/pxe/httpboot"
	"berth/pxe/lease"
	"berth/pxe/tftp"
)

// The servers together, against real clients on a wire of their own: as root the
// test binary starts itself again in a network namespace that ends with it.
const inNamespace = "BERTH_TEST_PXE_NETNS"

func TestMain(m *testing.M) {
	if os.Getenv(inNamespace) != "" || os.Geteuid() != 0 {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig is about the thread
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the tests in a network namespace:", err)
		os.Exit(1)
	}
}

// skip skips a test that cannot run here; in CI that is a failure.
func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal("must not be skipped in CI: " + why)
	}
	t.Skip("SKIPPED: " + why)
}

func run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// site is a boot network: a Book that says one thing of every machine, and the
// four servers on one interface.
type site struct {
	subnet pxe.Subnet
	agent  httpboot.Paths
	table  *lease.Table

	mu     sync.Mutex
	sit    pxe.Situation
	events []pxe.Event
	minted int
}

func (s *site) Situation(pxe.Client) pxe.Situation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sit
}

func (s *site) Subnet(iface string, a netip.Addr) (pxe.Subnet, bool) {
	return s.subnet, a.IsValid() && s.subnet.Prefix.Contains(a) || !a.IsValid() && iface == s.subnet.Interface
}

func (s *site) Reservation(pxe.Client, pxe.Subnet) (netip.Addr, bool) { return netip.Addr{}, false }
func (s *site) Reserved(pxe.Subnet, netip.Addr) bool                  { return false }

func (s *site) Note(e pxe.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

func (s *site) Ticket(context.Context, pxe.Client, pxe.Situation) (pxe.Ticket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.minted++
	return pxe.Ticket{Token: "one-time", AgentURL: "https://10.9.0.1:8443", Pin: "pin", Console: []string{"ttyS0"}}, nil
}

func (s *site) timeline() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, e := range s.events {
		fmt.Fprintf(&b, "%s %-18s %s\n", e.Time.Format("05.000"), e.Kind, e.Text)
	}
	return b.String()
}

// await waits for a line of the timeline with all words.
func (s *site) await(t *testing.T, limit time.Duration, words ...string) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		for line := range strings.Lines(s.timeline()) {
			ok := true
			for _, w := range words {
				ok = ok && strings.Contains(line, w)
			}
			if ok {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("no line with %q in the timeline:\n%s", words, s.timeline())
		}
	}
}

// open starts the servers on iface, which has 10.9.0.1/24.
func open(t *testing.T, iface, loaders string, mode pxe.Mode) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{agent: httpboot.Paths{}}
	s.subnet = pxe.Subnet{
		Prefix: netip.MustParsePrefix("10.9.0.0/24"), Interface: iface, Mode: mode, Enrol: true,
		Pools:   []pxe.Range{{From: netip.MustParseAddr("10.9.0.100"), To: netip.MustParseAddr("10.9.0.199")}},
		BootURL: "http://10.9.0.1:8081",
	}
	log, err := lease.OpenLog(filepath.Join(dir, "leases"))
	if err != nil {
		t.Fatal(err)
	}
	if s.table, err = lease.New(log, lease.Options{Reserved: s.Reserved}); err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, l := range pxe.Loaders() {
		names[l] = filepath.Join(loaders, l)
	}
	for _, f := range []string{pxe.AgentKernel, pxe.AgentInitrd} {
		s.agent["amd64/"+f] = filepath.Join(dir, f)
		if err := os.WriteFile(s.agent["amd64/"+f], []byte(strings.Repeat("not a "+f+"\n", 5000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return (&dhcp.Server{Book: s, Leases: s.table, Interfaces: []string{iface}}).Serve(ctx)
	})
	g.Go(func() error {
		return (&tftp.Server{Files: tftp.Paths(names), Interface: iface, Note: s.Note, Owner: s.table.Owner, Retries: 2}).Serve(ctx)
	})
	g.Go(func() error {
		return (&httpboot.Server{Book: s, Tickets: s, Loaders: httpboot.Paths(names), Agent: s.agent, Owner: s.table.Owner, Interface: iface}).Serve(ctx)
	})
	t.Cleanup(func() {
		cancel()
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
		if err := s.table.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log("timeline:\n" + s.timeline())
		}
	})
	return s
}

// vm is a virtual machine with one NIC on a tap device.
type vm struct {
	t   *testing.T
	dir string
	cmd *exec.Cmd
}

const (
	vmMAC  = "52:54:00:77:00:01"
	vmUUID = "00112233-4455-6677-8899-aabbccddeeff"
)

// bootVM starts a machine that boots from the network first, then from its disk.
func bootVM(t *testing.T, tap string, uefi bool, extra ...string) *vm {
	t.Helper()
	v := &vm{t: t, dir: t.TempDir()}
	disk := filepath.Join(v.dir, "disk")
	if err := os.WriteFile(disk, bootSector(), 0o600); err != nil {
		t.Fatal(err)
	}
	nic := "virtio-net-pci,netdev=n0,mac=" + vmMAC + ",bootindex=1"
	args := []string{
		"-accel", "tcg,thread=multi", "-machine", "q35,graphics=off", "-m", "512", "-nodefaults", "-display", "none",
		"-uuid", vmUUID, "-serial", "file:" + filepath.Join(v.dir, "serial"), "-action", "reboot=shutdown", "-no-shutdown",
		"-device", "virtio-rng-pci", "-netdev", "tap,id=n0,ifname=" + tap + ",script=no,downscript=no",
		"-drive", "if=none,id=d0,format=raw,file=" + disk, "-device", "virtio-blk-pci,drive=d0,bootindex=2",
	}
	if uefi {
		vars := filepath.Join(v.dir, "vars")
		run(t, "cp", "/usr/share/OVMF/OVMF_VARS_4M.fd", vars)
		nic += ",romfile="
		args = append(args,
			"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
			"-drive", "if=pflash,format=raw,unit=1,file="+vars)
	}
	args = append(append(args, "-device", nic), extra...)
	v.cmd = exec.Command("qemu-system-x86_64", args...)
	v.cmd.Stderr = os.Stderr
	// The machine ends with us even when the test is killed. The kernel's promise
	// is about the thread that started it, so that one waits for its end.
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		err := v.cmd.Start()
		started <- err
		if err == nil {
			_ = v.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = v.cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Log("serial console:\n" + v.serial())
		}
	})
	return v
}

func (v *vm) serial() string {
	b, _ := os.ReadFile(filepath.Join(v.dir, "serial"))
	return pxe.Printable(string(b), 1<<16)
}

func (v *vm) awaitSerial(limit time.Duration, word string) {
	v.t.Helper()
	for end := time.Now().Add(limit); !strings.Contains(v.serial(), word); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			v.t.Fatalf("the console does not say %q", word)
		}
	}
}

// bootSector is a disk whose boot sector says "DISK" on the serial port and stops.
func bootSector() []byte {
	disk := make([]byte, 1<<20)
	code := []byte{0xba, 0xf8, 0x03} // mov dx, 0x3f8
	for _, c := range []byte("DISK!\n") {
		code = append(code, 0xb0, c, 0xee) // mov al, c; out dx, al
	}
	code = append(code, 0xf4, 0xeb, 0xfd) // hlt; jmp -1
	copy(disk, code)
	disk[510], disk[511] = 0x55, 0xaa
	return disk
}

// What each firmware does with what it is answered, from the first packet to the
// script and on to the disk.
func TestFirmware(t *testing.T) {
	if os.Getenv("BERTH_TEST_VM") == "" {
		t.Skip("SKIPPED: needs BERTH_TEST_VM=1, and minutes")
	}
	if os.Getenv(inNamespace) == "" {
		skip(t, "a namespace with a tap device needs root")
	}
	loaders := os.Getenv("BERTH_TEST_LOADERS")
	if loaders == "" {
		loaders = "/usr/lib/ipxe"
	}
	run(t, "ip", "link", "set", "lo", "up")
	off := func(names ...string) (args []string) {
		for _, n := range names {
			args = append(args, "-fw_cfg", "name=opt/org.tianocore/"+n+",string=n")
		}
		return args
	}
	noIPv6 := off("IPv6PXESupport", "IPv6Support")
	httpBoot := off("IPv4PXESupport", "IPv6PXESupport", "IPv6Support")
	agent := pxe.Situation{Machine: "m", Boot: pxe.BootAgent, Reason: "deploy"}
	local := pxe.Situation{Machine: "m", Boot: pxe.BootLocal}
	again := pxe.Situation{Machine: "m", Boot: pxe.BootLocal, Chained: true}
	const patient = 3 * time.Minute
	for _, tc := range []struct {
		name  string
		uefi  bool
		extra []string
		sit   pxe.Situation
		lines [][]string // of the timeline, in any order
		says  string     // on the console, at the end; "" for nothing
	}{
		// The kernel is no kernel, which BIOS iPXE does not notice: it starts it.
		{"bios rom agent", false, nil, agent, [][]string{{"script", "told to boot agent"}, {"has /agent/amd64/vmlinuz"}, {"has /agent/amd64/initrd.img"}}, ""},
		{"bios rom missing kernel", false, nil, agent, [][]string{{"script", "told to boot agent"}, {"not a file of ours"}}, "DISK!"},
		{"bios rom local", false, nil, local, [][]string{{"script", "told to boot local"}}, "DISK!"},
		{"uefi pxe agent", true, nil, agent, [][]string{{"has snponly.efi"}, {"script", "told to boot agent"}, {"has /agent/amd64/vmlinuz"}}, "could not be started"},
		// Then OVMF goes on: HTTP boot, and at last the disk.
		{"uefi pxe local", true, noIPv6, again, [][]string{{"has snponly.efi"}, {"script", "told to boot local"}}, "Misc Device"},
		{"uefi pxe local without a loader", true, nil, local, [][]string{{"dhcp.offer", "without a boot file"}}, "No valid offer"},
		{"uefi http agent", true, httpBoot, agent, [][]string{{"has /loader/snponly.efi"}, {"script", "told to boot agent"}, {"has /agent/amd64/vmlinuz"}}, "could not be started"},
		{"uefi http local", true, httpBoot, again, [][]string{{"has /loader/snponly.efi"}, {"script", "told to boot local"}}, "Misc Device"},
		// Another server (dnsmasq) gives the addresses, and knows of no boot files.
		{"bios rom beside another server", false, nil, agent, [][]string{{"boot file beside", "ipxe?arch=0"}, {"script", "told to boot agent"}}, ""},
		{"uefi pxe beside another server", true, noIPv6, agent, [][]string{{"boot file beside", "snponly.efi"}, {"has snponly.efi"}, {"script", "told to boot agent"}}, "could not be started"},
		{"uefi http beside another server", true, httpBoot, agent, [][]string{{"boot file beside", "/loader/snponly.efi"}, {"has /loader/snponly.efi"}, {"script", "told to boot agent"}}, "could not be started"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tap := "tap0"
			run(t, "ip", "tuntap", "add", tap, "mode", "tap")
			defer run(t, "ip", "link", "del", tap)
			run(t, "ip", "addr", "add", "10.9.0.1/24", "dev", tap)
			run(t, "ip", "link", "set", tap, "up")
			capture(t, tap, tc.name)
			mode, iface := pxe.ModeServer, tap
			if strings.Contains(tc.name, "beside") {
				mode = pxe.ModeProxy
				otherServer(t, tap)
				iface = "br9"
			}
			s := open(t, iface, loaders, mode)
			s.sit = tc.sit
			if strings.Contains(tc.name, "missing") {
				delete(s.agent, "amd64/"+pxe.AgentKernel)
			}
			began := time.Now()
			v := bootVM(t, tap, tc.uefi, tc.extra...)
			for _, words := range tc.lines {
				s.await(t, patient, words...)
			}
			if tc.says != "" {
				v.awaitSerial(patient, tc.says)
			}
			t.Logf("%v to %q\n%s%s", time.Since(began).Round(time.Second), tc.says, s.timeline(), v.serial())
		})
	}
}

// otherServer is somebody else's DHCP server, on a host of its own that is
// plugged into the same wire as iface.
func otherServer(t *testing.T, iface string) {
	t.Helper()
	if _, err := exec.LookPath("dnsmasq"); err != nil {
		skip(t, "dnsmasq is not installed")
	}
	h := newHost(t, "veth9", "other0")
	run(t, "ip", "link", "add", "br9", "type", "bridge", "stp_state", "0", "forward_delay", "0")
	t.Cleanup(func() { run(t, "ip", "link", "del", "br9") })
	for _, port := range []string{iface, "veth9"} {
		run(t, "ip", "link", "set", port, "master", "br9")
	}
	run(t, "ip", "link", "set", "br9", "up")
	run(t, "ip", "addr", "del", "10.9.0.1/24", "dev", iface)
	run(t, "ip", "addr", "add", "10.9.0.1/24", "dev", "br9")
	h.run(t, "ip", "addr", "add", "10.9.0.2/24", "dev", "other0")
	cmd := exec.Command("nsenter", "-t", fmt.Sprint(h.pid), "-n", "dnsmasq", "--no-daemon", "--port=0", "--conf-file=/dev/null", "--user=root",
		"--interface=other0", "--bind-interfaces", "--dhcp-range=10.9.0.100,10.9.0.199,255.255.255.0,1h", "--dhcp-leasefile="+filepath.Join(t.TempDir(), "leases"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// capture records the wire to $BERTH_TEST_PCAP, if that is set.
func capture(t *testing.T, iface, name string) {
	dir := os.Getenv("BERTH_TEST_PCAP")
	if dir == "" {
		return
	}
	cmd := exec.Command("tcpdump", "-U", "-i", iface, "-w", filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".pcap"), "udp port 67 or udp port 68 or udp port 4011")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
}
