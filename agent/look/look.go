package look

import (
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"berth/inventory"
)

// Facts looks at a machine once. The boot port is the one whose address is bootMAC, which may be empty. The disks and the BMC take
// their time to answer, so they are asked beside the rest.
func Facts(s Source, now time.Time, bootMAC string) inventory.Facts {
	f := inventory.Facts{Source: inventory.SourceAgent, ObservedAt: now.UTC()}
	var p, ofDisks, ofBMC problems
	var slow sync.WaitGroup
	slow.Go(func() { f.Disks = disks(s, &ofDisks) })
	slow.Go(func() { f.BMC = controller(s, &ofBMC) })
	tables(s, &f, &p)
	processors(s, &f)
	f.MemoryMiB = memoryMiB(s)
	firmware(s, &f)
	f.PCI = pciDevices(s, &p)
	f.NICs = ports(s, f.PCI, bootMAC, &p)
	f.TPM = tpm(s)
	slow.Wait()
	bound(&f)
	p = append(append(p, ofDisks...), ofBMC...)
	f.Problems = p[:min(len(p), problemLimit)]
	return f
}

// tables reads SMBIOS. Where there is none (many ARM boards) the kernel's own copy of a few fields may still be there.
func tables(s Source, f *inventory.Facts, p *problems) {
	table, err := s.ReadFile("sys/firmware/dmi/tables/DMI")
	p.note("read SMBIOS", err)
	entry, _ := s.ReadFile("sys/firmware/dmi/tables/smbios_entry_point")
	all, err := parseSMBIOS(table)
	p.note("read SMBIOS", err)
	judgeSMBIOS(all, smbiosVersion(entry), f)
	if f.System.UUID == "" {
		f.System.UUID = strings.ToLower(word(s, "sys/class/dmi/id/product_uuid"))
	}
	if f.System.AssetTag == "" {
		f.System.AssetTag = f.Chassis.AssetTag
	}
}

// processors falls back to what the kernel counts when SMBIOS tells of no socket.
func processors(s Source, f *inventory.Facts) {
	f.System.Arch = word(s, archFile)
	if f.System.Arch == "" {
		f.System.Arch = runtime.GOARCH
	}
	counted := cpuinfo(s)
	if len(f.CPUs) == 0 {
		f.CPUs = counted
		return
	}
	// Virtual machines and some old boards leave the count of cores out.
	for i := range f.CPUs {
		if i < len(counted) && len(counted) == len(f.CPUs) {
			f.CPUs[i].Cores = or(f.CPUs[i].Cores, counted[i].Cores)
			f.CPUs[i].Threads = or(f.CPUs[i].Threads, counted[i].Threads)
			f.CPUs[i].Model = or(f.CPUs[i].Model, counted[i].Model)
		}
	}
}

func or[T comparable](a, b T) T {
	var zero T
	if a == zero {
		return b
	}
	return a
}

// cpuinfo groups the processors of /proc/cpuinfo by socket. Kernels of other architectures than x86 name no sockets there: then
// all of them count as one.
func cpuinfo(s Source) []inventory.CPUFacts {
	raw, err := s.ReadFile("proc/cpuinfo")
	if err != nil {
		return nil
	}
	sockets := map[string]*inventory.CPUFacts{}
	cores := map[string]map[string]bool{}
	var order []string
	for block := range strings.SplitSeq(string(raw), "\n\n") {
		fields := colonFields(block)
		if _, is := fields["processor"]; !is {
			continue
		}
		id := fields["physical id"]
		cpu := sockets[id]
		if cpu == nil {
			cpu = &inventory.CPUFacts{Model: text(fields["model name"]), Manufacturer: text(fields["vendor_id"])}
			sockets[id], cores[id] = cpu, map[string]bool{}
			order = append(order, id)
		}
		cpu.Threads++
		cores[id][or(fields["core id"], "thread "+fields["processor"])] = true
	}
	var all []inventory.CPUFacts
	for _, id := range order {
		sockets[id].Cores = len(cores[id])
		all = append(all, *sockets[id])
	}
	return all
}

// colonFields reads lines of "key : value".
func colonFields(block string) map[string]string {
	fields := map[string]string{}
	for line := range strings.SplitSeq(block, "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok {
			fields[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return fields
}

func memoryMiB(s Source) int64 {
	raw, err := s.ReadFile("proc/meminfo")
	if err != nil {
		return 0
	}
	kib, err := strconv.ParseInt(strings.TrimSuffix(colonFields(string(raw))["MemTotal"], " kB"), 10, 64)
	if err != nil || kib < 0 {
		return 0
	}
	return kib / 1024
}

// secureBootVariable is SecureBoot of the EFI global variables (UEFI 2.10, 3.3): four bytes of attributes, then the value.
const secureBootVariable = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

func firmware(s Source, f *inventory.Facts) {
	if _, err := s.ReadDir("sys/firmware/efi"); err != nil {
		f.Firmware.BootMode = "bios"
		if f.System.Arch != "amd64" {
			f.Firmware.BootMode = "" // a device tree boot is neither
		}
		return
	}
	f.Firmware.BootMode = "uefi"
	if value, err := s.ReadFile(secureBootVariable); err == nil && len(value) >= 5 {
		on := value[4] == 1
		f.Firmware.SecureBoot = &on
	}
}

// The most of each kind of part that is reported. A machine that has more is lying, or worth a word with its owner.
const (
	cpuLimit  = 256
	dimmLimit = 1024
	diskLimit = 1024
	nicLimit  = 256
	pciLimit  = 2048
	psuLimit  = 64
)

func bound(f *inventory.Facts) {
	f.CPUs = f.CPUs[:min(len(f.CPUs), cpuLimit)]
	f.DIMMs = f.DIMMs[:min(len(f.DIMMs), dimmLimit)]
	f.Disks = f.Disks[:min(len(f.Disks), diskLimit)]
	f.NICs = f.NICs[:min(len(f.NICs), nicLimit)]
	f.PCI = f.PCI[:min(len(f.PCI), pciLimit)]
	f.PSUs = f.PSUs[:min(len(f.PSUs), psuLimit)]
}

// Again looks once more at what changes by itself, the network ports and their neighbours, and keeps the rest of an earlier look.
func Again(s Source, f inventory.Facts, now time.Time, bootMAC string) inventory.Facts {
	f.ObservedAt = now.UTC()
	f.NICs = ports(s, f.PCI, bootMAC, &problems{})
	bound(&f)
	return f
}
