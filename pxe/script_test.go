package pxe

import (
	"strings"
	"testing"
)

func goodTicket() Ticket {
	return Ticket{
		Token: "tok-123", AgentURL: "https://10.77.0.1:8443", Pin: "sha256:abcdef",
		Console: []string{"tty0", "ttyS0,115200n8"}, Extra: []string{"quiet"},
	}
}

func agentAnswer() Answer {
	return Answer{Boot: BootAgent, Arch: ArchEFIX64, BootURL: testURL, MAC: testMAC.String(), Reason: "deploy n1"}
}

func TestScripts(t *testing.T) {
	for _, tc := range []struct {
		name string
		a    Answer
		want string
	}{
		{"agent", agentAnswer(), `#!ipxe
echo berth: deploy n1
kernel http://10.77.0.1:8081/agent/amd64/vmlinuz initrd=initrd.img random.trust_cpu=on panic=30 berth.url=https://10.77.0.1:8443 berth.pin=sha256:abcdef berth.token=tok-123 berth.mac=52:54:00:77:00:01 console=tty0 console=ttyS0,115200n8 quiet || goto failed
initrd http://10.77.0.1:8081/agent/amd64/initrd.img || goto failed
boot || goto failed
:failed
echo berth: the agent could not be started, going on to the local disk
sleep 5
exit 1
`},
		{"local, UEFI", Answer{Arch: ArchEFIX64, Reason: "known"}, "#!ipxe\necho berth: known\nexit 1\n"},
		{"local, BIOS", Answer{Arch: ArchBIOS, Reason: "known"}, "#!ipxe\necho berth: known\nsanboot --no-describe --drive 0x80 || exit 1\n"},
	} {
		got, err := Script(tc.a, goodTicket())
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: %v\n%s", tc.name, err, got)
		}
	}
}

func TestScriptRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Answer, *Ticket)
	}{
		{"no token", func(_ *Answer, t *Ticket) { t.Token = "" }},
		{"no agent URL", func(_ *Answer, t *Ticket) { t.AgentURL = "" }},
		{"no agent for the CPU", func(a *Answer, _ *Ticket) { a.Arch = ArchEFIIA32 }},
		{"token with a line feed", func(_ *Answer, t *Ticket) { t.Token = "a\nshell" }},
		{"console with a blank", func(_ *Answer, t *Ticket) { t.Console = []string{"tty0 init=/bin/sh"} }},
		{"expansion", func(_ *Answer, t *Ticket) { t.Extra = []string{"x=${net0/mac}"} }},
		{"empty argument", func(_ *Answer, t *Ticket) { t.Extra = []string{""} }},
		{"URL of another scheme", func(_ *Answer, t *Ticket) { t.AgentURL = "file:///etc/shadow" }},
		{"URL with a blank", func(a *Answer, _ *Ticket) { a.BootURL = "http://h/ && shell" }},
		{"command line too long", func(_ *Answer, t *Ticket) { t.Pin = strings.Repeat("a", MaxCommandLine) }},
	} {
		a, ticket := agentAnswer(), goodTicket()
		tc.change(&a, &ticket)
		got, err := Script(a, ticket)
		if err == nil {
			t.Errorf("%s: rendered\n%s", tc.name, got)
			continue
		}
		if ticket.Token != "" && strings.Contains(err.Error(), ticket.Token) {
			t.Errorf("%s: the error tells the token: %v", tc.name, err)
		}
	}
}

// Whatever the texts, a script has the lines of the template and no other, is
// bounded, and is plain printable ASCII.
func FuzzScript(f *testing.F) {
	f.Add("reason", "token", "https://a:1", "pin", "ttyS0", testURL, uint16(7))
	f.Add("x\nshell", "a b", "https://a\nb", "'\"$(x)", "${x}", "http://h || shell", uint16(0))
	f.Fuzz(func(t *testing.T, reason, token, agentURL, pin, console, bootURL string, arch uint16) {
		a := agentAnswer()
		a.Reason, a.BootURL, a.Arch = reason, bootURL, Arch(arch)
		for _, boot := range boots {
			a.Boot = boot
			got, err := Script(a, Ticket{Token: token, AgentURL: agentURL, Pin: pin, Console: []string{console}})
			if err != nil {
				continue
			}
			lines := strings.Count(string(got), "\n")
			if want := map[bool]int{true: 9, false: 3}[boot == BootAgent]; lines != want {
				t.Fatalf("%d lines, want %d:\n%s", lines, want, got)
			}
			if len(got) > MaxScript || strings.ContainsAny(string(got), "${}`\"';<>\\\x00\r") {
				t.Fatalf("unsafe script:\n%s", got)
			}
			if Printable(strings.ReplaceAll(string(got), "\n", ""), MaxScript) != strings.ReplaceAll(string(got), "\n", "") {
				t.Fatalf("not printable: %q", got)
			}
		}
	})
}

func FuzzCleanHostname(f *testing.F) {
	f.Add("node-1")
	f.Add("\x00..--")
	f.Fuzz(func(t *testing.T, s string) {
		got := CleanHostname(s)
		if got != CleanHostname(got) || len(got) > 63 || strings.Trim(got, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
			t.Fatalf("%q became %q", s, got)
		}
	})
}
