package pxe

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
)

// Limits of a rendered script. The kernel of x86 takes 2048 bytes of command
// line including the final zero; no loader has trouble with a script of 4 KiB.
const (
	MaxScript      = 4096
	MaxCommandLine = 2047
)

// Names of the agent's files under /agent/<cpu>/ of the boot listener.
const (
	AgentKernel = "vmlinuz"
	AgentInitrd = "initrd.img"
)

// Script renders the iPXE script for an answer. The ticket is used only when
// the answer is to boot the agent.
//
// A script is made of values that are checked, never quoted: each URL and each
// kernel argument must consist of a short list of characters that mean nothing
// to iPXE or to a shell, and an answer that does not is an error, not a script.
// Free text (the reason) has every other character replaced.
func Script(a Answer, t Ticket) ([]byte, error) {
	var (
		body string
		err  error
	)
	switch {
	case a.Boot == BootAgent:
		body, err = agentScript(a, t)
	case a.Arch.EFI():
		body = localEFI
	default:
		body = localBIOS
	}
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "#!ipxe\necho berth: %s\n%s", screenText(a.Reason), body)
	if b.Len() > MaxScript {
		return nil, fmt.Errorf("render script: %d bytes, at most %d are allowed", b.Len(), MaxScript)
	}
	return b.Bytes(), nil
}

// UEFI's boot manager goes on with the next boot entry only when an application
// returns an error; after a success it opens its menu, where an unattended
// machine stays for ever (EDK II's BDS, seen with OVMF).
const localEFI = "exit 1\n"

// Some BIOSes start over, or stop, when a boot ROM returns. Starting the first
// disk by INT 13h goes round the BIOS; when that fails (no disk, no boot
// sector) leaving is the second best. --no-describe keeps iPXE from writing a
// table about the drive where an old system would trip over it.
const localBIOS = "sanboot --no-describe --drive 0x80 || exit 1\n"

func agentScript(a Answer, t Ticket) (string, error) {
	cpu := a.Arch.CPU()
	if cpu == "" {
		return "", fmt.Errorf("render script: there is no agent for %v", a.Arch)
	}
	if err := checkURL("boot URL", a.BootURL); err != nil {
		return "", err
	}
	args, err := kernelArgs(a, t)
	if err != nil {
		return "", err
	}
	base := a.BootURL + "/agent/" + cpu + "/"
	// A failed download leaves the script, so that the machine goes on to its
	// disk instead of hanging at a prompt in an empty hall.
	return "kernel " + base + AgentKernel + " " + args + " || goto failed\n" +
		"initrd " + base + AgentInitrd + " || goto failed\n" +
		"boot || goto failed\n" +
		":failed\n" +
		"echo berth: the agent could not be started, going on to the local disk\n" +
		"sleep 5\n" +
		"exit 1\n", nil
}

// kernelArgs is the agent's command line.
func kernelArgs(a Answer, t Ticket) (string, error) {
	if t.Token == "" || t.AgentURL == "" {
		return "", fmt.Errorf("render script: the ticket has no token or no agent URL")
	}
	if err := checkURL("agent URL", t.AgentURL); err != nil {
		return "", err
	}
	args := []string{
		// Kernels with an EFI stub look the initramfs up by this name.
		"initrd=" + AgentInitrd,
		// Without a seed from firmware and without this, getrandom blocks for
		// minutes on machines that have no other source, and so does DHCP.
		"random.trust_cpu=on",
		// A kernel that dies must not leave the machine dead: 30 s, then reboot.
		"panic=30",
		"berth.url=" + t.AgentURL,
		"berth.pin=" + t.Pin,
		"berth.token=" + t.Token,
	}
	if a.MAC != "" {
		args = append(args, "berth.mac="+a.MAC)
	}
	for _, c := range t.Console {
		args = append(args, "console="+c)
	}
	args = append(args, t.Extra...)
	for _, arg := range args {
		if !clean(arg, argChars) {
			// The argument may be the token: only its name is told.
			name, _, _ := strings.Cut(arg, "=")
			return "", fmt.Errorf("render script: kernel argument %q has a character that is not allowed", Printable(name, 40))
		}
	}
	line := strings.Join(args, " ")
	if len(line) > MaxCommandLine {
		return "", fmt.Errorf("render script: the kernel command line has %d bytes, at most %d are allowed", len(line), MaxCommandLine)
	}
	return line, nil
}

const (
	alnum    = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	argChars = alnum + "=,.:/_@+%~[]-"
	urlChars = alnum + ":/._~%[]-"
)

// clean reports whether s is not empty and has only characters of set.
func clean(s, set string) bool {
	return s != "" && strings.Trim(s, set) == ""
}

func checkURL(what, s string) error {
	if !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") {
		return fmt.Errorf("render script: %s %q does not begin with http:// or https://", what, Printable(s, 80))
	}
	if !clean(s, urlChars) {
		return fmt.Errorf("render script: %s %q has a character that is not allowed", what, Printable(s, 80))
	}
	return nil
}

// screenText makes a sentence safe to print by an iPXE script: iPXE expands
// ${...}, splits at || and && and ends a line at a line feed.
func screenText(s string) string {
	const keep = alnum + " .,:/_@+()-"
	out := []byte(Printable(s, 160))
	for i, c := range out {
		if strings.IndexByte(keep, c) < 0 {
			out[i] = '_'
		}
	}
	return strings.TrimSpace(string(out))
}

// parseMAC reads a hardware address of 1 to 20 bytes in hexadecimal with colons
// or hyphens; "" is no address. net.ParseMAC takes only four lengths.
func parseMAC(s string) (net.HardwareAddr, error) {
	if s == "" {
		return nil, nil
	}
	raw, err := hex.DecodeString(strings.NewReplacer(":", "", "-", "").Replace(clip(s, 64)))
	if err != nil || len(raw) == 0 || len(raw) > 20 {
		return nil, fmt.Errorf("parse hardware address %q: want 1 to 20 bytes as aa:bb:cc", Printable(s, 64))
	}
	return raw, nil
}
