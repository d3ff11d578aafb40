package pxe

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

var (
	testMAC  = net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 1}
	testURL  = "http://10.77.0.1:8081"
	stages   = []Stage{StageOS, StageFirmware, StageHTTPClient, StageIPXE, StageAgent}
	modes    = []Mode{ModeListen, ModeOff, ModeProxy, ModeServer}
	boots    = []Boot{BootLocal, BootAgent, BootNone}
	machines = []string{"", "m-1"}
)

// everyCase calls f with every architecture, stage, state and subnet there is.
func everyCase(f func(c Client, s Situation, n Subnet)) {
	var all []Arch
	for _, a := range archs {
		all = append(all, a.arch)
	}
	all = append(all, 4711)
	for _, chained := range []bool{false, true} {
		for _, arch := range all {
			for _, stage := range stages {
				for _, boot := range boots {
					for _, machine := range machines {
						for _, mode := range modes {
							for _, enrol := range []bool{false, true} {
								for _, bootURL := range []string{"", testURL} {
									f(Client{MAC: testMAC, Arch: arch, Stage: stage},
										Situation{Machine: machine, Boot: boot, Chained: chained},
										Subnet{Prefix: netip.MustParsePrefix("10.77.0.0/24"), Mode: mode, Enrol: enrol, BootURL: bootURL})
								}
							}
						}
					}
				}
			}
		}
	}
}

// What must hold of every answer, whatever the case: the promises of the
// package doc, each told without the code's own words.
func TestDecideEveryCase(t *testing.T) {
	cases := 0
	everyCase(func(c Client, s Situation, n Subnet) {
		cases++
		a := Decide(c, s, n)
		name := fmt.Sprintf("%v/%v/known=%v/%v/%v/enrol=%v/url=%v", c.Arch, c.Stage, s.Known(), s.Boot, n.Mode, n.Enrol, n.BootURL != "")
		check := func(ok bool, promise string) {
			if !ok {
				t.Errorf("%s: %s; answer %+v", name, promise, a)
			}
		}
		answers := n.Mode == ModeServer || n.Mode == ModeProxy
		agentAllowed := s.Boot == BootAgent && (s.Machine != "" || n.Enrol)
		check(a.Reason != "", "every answer has a reason")
		check(answers || a.Silent(), "listen and off say nothing")
		check(a.Address == (n.Mode == ModeServer), "an address in mode server only, and always there")
		check(a.File == "" || c.Stage.WantsBoot(), "no boot file for who does not ask")
		check(a.File == "" || s.Boot != BootNone, "nothing for BootNone")
		check(a.File == "" || c.Stage == StageIPXE || agentAllowed || s.Known() && s.Chained && c.Arch.EFI(), "firmware gets a loader on its way to the agent, or to leave by a way it went before")
		check(a.Boot != BootAgent || answers && agentAllowed, "the agent only where it is allowed")
		check(a.HTTP == (c.Stage == StageHTTPClient && a.File != ""), "HTTPClient is echoed with a URL and only then")
		if c.Stage == StageFirmware && a.File != "" {
			check(a.File == c.Arch.Loader() && !strings.Contains(a.File, "/"), "firmware gets a TFTP name")
		}
		if c.Stage == StageIPXE && a.File != "" {
			check(strings.HasPrefix(a.File, testURL+"/ipxe?"), "iPXE gets its script")
		}
		if a.File == "" && a.Boot == BootAgent {
			check(!c.Stage.WantsBoot(), "who is to run the agent and asks gets a file")
		}
	})
	if cases != 2*16*5*3*2*4*2*2 {
		t.Errorf("walked %d cases", cases)
	}
}

func TestDecideExamples(t *testing.T) {
	server := Subnet{Prefix: netip.MustParsePrefix("10.77.0.0/24"), Mode: ModeServer, Enrol: true, BootURL: testURL}
	agent := Situation{Machine: "m-1", Boot: BootAgent, Reason: "deploy: the machine is to be imaged"}
	for _, tc := range []struct {
		name   string
		c      Client
		s      Situation
		file   string
		reason string
	}{
		{"bios firmware to agent", Client{Stage: StageFirmware, Arch: ArchBIOS}, agent, "undionly.kpxe", agent.Reason},
		{"uefi firmware to agent", Client{Stage: StageFirmware, Arch: ArchEFIX64}, agent, "snponly.efi", agent.Reason},
		{"arm64 firmware to agent", Client{Stage: StageFirmware, Arch: ArchEFIARM64}, agent, "ipxe-arm64.efi", agent.Reason},
		{"http boot to agent", Client{Stage: StageHTTPClient, Arch: ArchEFIX64HTTP}, agent, testURL + "/loader/snponly.efi", agent.Reason},
		{"ipxe", Client{Stage: StageIPXE, Arch: ArchEFIX64, MAC: testMAC}, agent, testURL + "/ipxe?arch=7&mac=52:54:00:77:00:01", agent.Reason},
		{"ia32 has no loader", Client{Stage: StageFirmware, Arch: ArchEFIIA32}, agent, "", "the agent is wanted, but there is no loader for efi-ia32: local disk"},
		{"known, local, by the loader", Client{Stage: StageFirmware, Arch: ArchEFIX64}, Situation{Machine: "m-1", Chained: true}, "snponly.efi", "a known machine boots its local disk"},
		{"known, local, BIOS", Client{Stage: StageFirmware}, Situation{Machine: "m-1", Chained: true}, "", "a known machine boots its local disk"},
		{"known, local", Client{Stage: StageFirmware}, Situation{Machine: "m-1"}, "", "a known machine boots its local disk"},
		{"unknown, offered", Client{Stage: StageFirmware}, Situation{Boot: BootAgent}, "undionly.kpxe", "an unknown machine on a subnet that enrols is offered the agent"},
	} {
		a := Decide(tc.c, tc.s, server)
		if a.File != tc.file || a.Reason != tc.reason {
			t.Errorf("%s: file %q reason %q, want %q and %q", tc.name, a.File, a.Reason, tc.file, tc.reason)
		}
	}
}

func TestScriptQueryRoundTrip(t *testing.T) {
	for _, c := range []Client{
		{Stage: StageIPXE, Arch: ArchEFIX64, MAC: testMAC},
		{Stage: StageIPXE, Arch: ArchBIOS, MAC: make(net.HardwareAddr, 20), UUID: UUID{1, 2, 3}},
		{Stage: StageIPXE, Arch: ArchUnknown},
	} {
		u, err := url.Parse(ScriptURL(testURL, c))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseScriptQuery(u.Query())
		if err != nil || got.MAC.String() != c.MAC.String() || got.Arch != c.Arch || got.UUID != c.UUID || got.Stage != c.Stage {
			t.Errorf("%v came back as %v, %v", c, got, err)
		}
	}
	for _, bad := range []string{"arch=x", "arch=70000", "mac=zz", "mac=" + strings.Repeat("00", 21), "uuid=1"} {
		q, _ := url.ParseQuery(bad)
		if c, err := ParseScriptQuery(q); err == nil {
			t.Errorf("%q was read as %v", bad, c)
		}
	}
}

func TestJudgeStage(t *testing.T) {
	for _, tc := range []struct {
		vendor string
		user   []string
		want   Stage
	}{
		{"PXEClient:Arch:00000:UNDI:002001", nil, StageFirmware},
		{"PXEClient:Arch:00007:UNDI:003016", []string{"iPXE"}, StageIPXE},
		{"PXEClient:Arch:00007:UNDI:003016", []string{"Tinkerbell"}, StageIPXE},
		{"HTTPClient:Arch:00016:UNDI:003001", nil, StageHTTPClient},
		{"berth-agent", nil, StageAgent},
		{"udhcp 1.35.0", nil, StageOS},
		{"", []string{"iPX"}, StageOS},
		{"", nil, StageOS},
	} {
		if got := JudgeStage(tc.vendor, tc.user...); got != tc.want {
			t.Errorf("%q %q: %v, want %v", tc.vendor, tc.user, got, tc.want)
		}
	}
}

// Each closed set of values prints and reads the same.
func TestParsersAgree(t *testing.T) {
	for _, a := range archs {
		if got, err := ParseArch(a.arch.String()); err != nil || got != a.arch {
			t.Errorf("%v: %v, %v", a.arch, got, err)
		}
	}
	if got, err := ParseArch("arch-4711"); err != nil || got != 4711 {
		t.Errorf("arch-4711: %v, %v", got, err)
	}
	for _, s := range stages {
		if got, err := ParseStage(s.String()); err != nil || got != s {
			t.Errorf("%v: %v, %v", s, got, err)
		}
	}
	for _, m := range modes {
		if got, err := ParseMode(m.String()); err != nil || got != m {
			t.Errorf("%v: %v, %v", m, got, err)
		}
	}
	for _, b := range boots {
		if got, err := ParseBoot(b.String()); err != nil || got != b {
			t.Errorf("%v: %v, %v", b, got, err)
		}
	}
	for _, bad := range []func() error{
		func() error { _, err := ParseArch("x"); return err },
		func() error { _, err := ParseStage("x"); return err },
		func() error { _, err := ParseMode("x"); return err },
		func() error { _, err := ParseBoot("x"); return err },
	} {
		if bad() == nil {
			t.Error("nonsense was accepted")
		}
	}
	u := UUID{0x12, 0x34, 0x56, 0x78, 0x9a}
	if got, err := ParseUUID(u.String()); err != nil || got != u || u.Swapped().Swapped() != u || u.Swapped() == u {
		t.Errorf("%v: %v, %v", u, got, err)
	}
}

func TestSubnetAddresses(t *testing.T) {
	r, err := ParseRange("10.0.0.0-10.0.0.255")
	if err != nil {
		t.Fatal(err)
	}
	n := Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1"), Pools: []Range{r}}
	for addr, want := range map[string]bool{"10.0.0.0": false, "10.0.0.1": false, "10.0.0.2": true, "10.0.0.255": false, "10.0.1.2": false, "::1": false} {
		if got := n.InPool(netip.MustParseAddr(addr)); got != want {
			t.Errorf("InPool(%s) = %v", addr, got)
		}
	}
	for _, bad := range []string{"", "10.0.0.2", "10.0.0.9-10.0.0.2", "::1-::2", "a-b", "10.0.0.1-b"} {
		if r, err := ParseRange(bad); err == nil {
			t.Errorf("%q was read as %v", bad, r)
		}
	}
	if (Subnet{}).Usable(netip.MustParseAddr("10.0.0.2")) {
		t.Error("an empty subnet has a usable address")
	}
}

func TestCleanHostname(t *testing.T) {
	for in, want := range map[string]string{
		"Node-1":                  "node-1",
		"-.x.-":                   "x",
		"$(reboot)":               "reboot",
		"<script>":                "script",
		"\x00\xff":                "",
		strings.Repeat("a", 300):  strings.Repeat("a", 63),
		"...":                     "",
		"a\r\nSet-Cookie: b":      "aset-cookieb",
		strings.Repeat("é", 10):   "",
		"localhost.localdomain.":  "localhost.localdomain",
		"${net0/mac} || shutdown": "net0macshutdown",
	} {
		if got := CleanHostname(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
