package agent

import (
	"fmt"
	"strings"

	"berth/inventory"
)

// Summary says in a line what a look found, for a person in front of the machine.
func Summary(f inventory.Facts) string {
	var memory int64
	for _, d := range f.DIMMs {
		memory += d.SizeMiB
	}
	if memory == 0 {
		memory = f.MemoryMiB
	}
	parts := []string{
		count(len(f.CPUs), "processor"),
		fmt.Sprintf("%d MiB of memory in %s", memory, count(len(f.DIMMs), "module")),
		count(len(f.Disks), "disk"),
		count(len(f.NICs), "network port"),
	}
	if f.BMC != nil {
		parts = append(parts, "a BMC")
	}
	if n := len(f.Problems); n > 0 {
		parts = append(parts, count(n, "thing")+" that could not be read")
	}
	return strings.Join(parts, ", ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Describe is what a look found in some lines, one part each, for a console.
func Describe(f inventory.Facts) []string {
	lines := []string{
		line("system", f.System.Manufacturer, f.System.Product, label("serial", f.System.Serial), label("uuid", f.System.UUID)),
		line("board", f.Board.Manufacturer, f.Board.Product, label("serial", f.Board.Serial)),
		line("firmware", f.BIOS.Vendor, f.BIOS.Version, f.BIOS.Date, label("booted by", f.Firmware.BootMode)),
	}
	for _, c := range f.CPUs {
		lines = append(lines, line("processor "+c.Socket, c.Model, count(c.Cores, "core"), count(c.Threads, "thread")))
	}
	for _, d := range f.DIMMs {
		lines = append(lines, line("memory "+d.Slot, fmt.Sprintf("%d MiB", d.SizeMiB), d.Type, d.Manufacturer, d.PartNumber, label("serial", d.Serial)))
	}
	for _, d := range f.Disks {
		lines = append(lines, line("disk "+d.Name, d.Model, fmt.Sprintf("%d MB", d.SizeBytes/1e6), label("serial", d.Serial), d.WWN, health(d.SMART)))
	}
	for _, n := range f.NICs {
		lines = append(lines, line("port "+n.Name, n.MAC, n.Model, n.Driver, link(n), neighbor(n.LLDP)))
	}
	for _, p := range f.PSUs {
		lines = append(lines, line("power supply "+p.Slot, p.Manufacturer, p.Model, label("serial", p.Serial)))
	}
	if f.BMC != nil {
		lines = append(lines, line("BMC", f.BMC.Manufacturer, label("firmware", f.BMC.Firmware), f.BMC.MAC, f.BMC.Address))
	}
	for _, p := range f.Problems {
		lines = append(lines, line("could not be read", p))
	}
	return lines
}

// line joins what is known, bounded and printable whatever the machine claims.
func line(name string, parts ...string) string {
	var known []string
	for _, p := range parts {
		if p = Clean(p, 80); p != "" {
			known = append(known, p)
		}
	}
	if len(known) == 0 {
		known = []string{"unknown"}
	}
	return Clean(name, 60) + ": " + strings.Join(known, ", ")
}

func label(name, value string) string {
	if value == "" {
		return ""
	}
	return name + " " + value
}

func health(s *inventory.SMARTFacts) string {
	switch {
	case s == nil || s.Passed == nil:
		return ""
	case *s.Passed:
		return "healthy by its own word"
	}
	return "FAILING by its own word"
}

func link(n inventory.NICFacts) string {
	switch {
	case n.Link == nil:
		return ""
	case !*n.Link:
		return "no link"
	case n.SpeedMbps > 0:
		return fmt.Sprintf("link at %d Mbit/s", n.SpeedMbps)
	}
	return "link"
}

func neighbor(l *inventory.NeighborFacts) string {
	if l == nil {
		return ""
	}
	return "to " + or(l.SystemName, l.ChassisID) + " " + l.PortID
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
