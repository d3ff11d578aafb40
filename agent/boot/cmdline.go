package boot

import (
	"net"
	"strings"
)

// CommandLine is what the kernel's command line tells the agent.
type CommandLine struct {
	URL     string           // berth.url: https://host:port of the server
	Pin     string           // berth.pin: SHA-256 of the server's public key
	Token   string           // berth.token: one-time
	BootMAC net.HardwareAddr // berth.mac or BOOTIF: the port the machine booted from; nil when not told
}

// ParseCommandLine reads /proc/cmdline. What it does not know belongs to others.
func ParseCommandLine(line string) CommandLine {
	var c CommandLine
	for field := range strings.FieldsSeq(line) {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "berth.url":
			c.URL = value
		case "berth.pin":
			c.Pin = value
		case "berth.token":
			c.Token = value
		case "berth.mac":
			if mac, err := net.ParseMAC(value); err == nil {
				c.BootMAC = mac
			}
		case "BOOTIF":
			// As PXELINUX writes it: the hardware type, then the address, all with dashes.
			if mac, err := net.ParseMAC(strings.TrimPrefix(value, "01-")); err == nil && c.BootMAC == nil {
				c.BootMAC = mac
			}
		}
	}
	return c
}
