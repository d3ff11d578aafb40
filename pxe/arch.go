package pxe

import "fmt"

// Arch is a processor architecture type of DHCP option 93: RFC 4578 §2.1 and
// the IANA registry "Processor Architecture Types". The numbers are the wire's.
type Arch uint16

const (
	ArchBIOS         Arch = 0  // x86 BIOS
	ArchEFIIA32      Arch = 6  // x86 UEFI
	ArchEFIX64       Arch = 7  // x64 UEFI
	ArchEFIBC        Arch = 9  // EFI byte code; x64 firmware that reads RFC 4578 literally sends this one
	ArchEFIARM32     Arch = 10 // ARM 32-bit UEFI
	ArchEFIARM64     Arch = 11 // ARM 64-bit UEFI
	ArchEFIIA32HTTP  Arch = 15 // x86 UEFI, boot from HTTP
	ArchEFIX64HTTP   Arch = 16 // x64 UEFI, boot from HTTP
	ArchEFIBCHTTP    Arch = 17 // EFI byte code, boot from HTTP
	ArchEFIARM32HTTP Arch = 18 // ARM 32-bit UEFI, boot from HTTP
	ArchEFIARM64HTTP Arch = 19 // ARM 64-bit UEFI, boot from HTTP
	ArchBIOSHTTP     Arch = 20 // x86 BIOS, boot from HTTP
	ArchRISCV64      Arch = 27 // RISC-V 64-bit UEFI
	ArchRISCV64HTTP  Arch = 28 // RISC-V 64-bit UEFI, boot from HTTP
	ArchUnknown      Arch = 0xffff
)

// archInfo is what berth knows of an architecture: its name, the loader it runs
// and the architecture of the agent behind that loader. An empty loader means
// that berth cannot boot it.
type archInfo struct {
	arch   Arch
	name   string
	loader string
	cpu    string
}

// Names of the loaders, as TFTP and HTTP serve them.
const (
	LoaderBIOS     = "undionly.kpxe"
	LoaderEFIX64   = "snponly.efi"
	LoaderEFIARM64 = "ipxe-arm64.efi"
)

var archs = [...]archInfo{
	{ArchBIOS, "bios", LoaderBIOS, "amd64"},
	{ArchEFIIA32, "efi-ia32", "", ""},
	{ArchEFIX64, "efi-x64", LoaderEFIX64, "amd64"},
	{ArchEFIBC, "efi-bc", LoaderEFIX64, "amd64"},
	{ArchEFIARM32, "efi-arm32", "", ""},
	{ArchEFIARM64, "efi-arm64", LoaderEFIARM64, "arm64"},
	{ArchEFIIA32HTTP, "efi-ia32-http", "", ""},
	{ArchEFIX64HTTP, "efi-x64-http", LoaderEFIX64, "amd64"},
	{ArchEFIBCHTTP, "efi-bc-http", LoaderEFIX64, "amd64"},
	{ArchEFIARM32HTTP, "efi-arm32-http", "", ""},
	{ArchEFIARM64HTTP, "efi-arm64-http", LoaderEFIARM64, "arm64"},
	{ArchBIOSHTTP, "bios-http", "", ""},
	{ArchRISCV64, "efi-riscv64", "", ""},
	{ArchRISCV64HTTP, "efi-riscv64-http", "", ""},
	{ArchUnknown, "unknown", "", ""},
}

func (a Arch) info() archInfo {
	for _, i := range archs {
		if i.arch == a {
			return i
		}
	}
	return archInfo{arch: a, name: fmt.Sprintf("arch-%d", uint16(a))}
}

func (a Arch) String() string { return a.info().name }

// ParseArch reads the form that String writes.
func ParseArch(s string) (Arch, error) {
	for _, i := range archs {
		if i.name == s {
			return i.arch, nil
		}
	}
	var n uint16
	if _, err := fmt.Sscanf(s, "arch-%d", &n); err == nil && Arch(n).String() == s {
		return Arch(n), nil
	}
	return ArchUnknown, fmt.Errorf("unknown architecture %q", clip(s, 40))
}

// Loader is the file name of the network boot loader for this architecture, or
// "" where berth has none.
func (a Arch) Loader() string { return a.info().loader }

// CPU is the architecture of the agent that runs on it, in Go's spelling
// ("amd64", "arm64"), or "" where berth has none.
func (a Arch) CPU() string { return a.info().cpu }

// EFI reports whether the firmware is UEFI.
func (a Arch) EFI() bool { return a != ArchBIOS && a != ArchBIOSHTTP && a != ArchUnknown }

// Loaders lists the loader files berth serves, each once.
func Loaders() []string { return []string{LoaderBIOS, LoaderEFIX64, LoaderEFIARM64} }
