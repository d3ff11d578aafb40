package look

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"berth/agent"
)

const (
	// fileLimit bounds each file that is read. SMBIOS tables of large machines have some 20 KiB, pci.ids 1.4 MB.
	fileLimit = 4 << 20
	// dirLimit bounds the names taken from one directory.
	dirLimit = 4096
)

// Source is what a look reads. Names are slash-separated and relative to the root of the machine, without a leading slash.
type Source interface {
	// ReadFile returns the start of a file, at most 4 MiB.
	ReadFile(name string) ([]byte, error)
	// ReadDir returns the sorted names in a directory, at most 4096.
	ReadDir(name string) ([]string, error)
	// ReadLink returns what a symbolic link says, unresolved.
	ReadLink(name string) (string, error)
	// Ask puts a question to a device and returns its raw reply. Device is a kernel name such as eth0 or nvme0n1.
	Ask(q Question, device string) ([]byte, error)
}

// Question is something that no file of /sys answers. The set is closed.
type Question string

// The questions. What a reply holds is told where it is decoded.
const (
	AskDisks            Question = "disks"             // JSON of []Disk
	AskPermanentAddress Question = "permanent-address" // of a port: six or more bytes
	AskDriverInfo       Question = "driver-info"       // of a port: struct ethtool_drvinfo
	AskNVMeHealth       Question = "nvme-health"       // NVMe log page 0x02, 512 bytes
	AskATASmartData     Question = "ata-smart-data"    // ATA SMART READ DATA, 512 bytes
	AskATASmartStatus   Question = "ata-smart-status"  // ATA SMART RETURN STATUS, one byte: 1 passed, 0 failed
	AskSCSIHealth       Question = "scsi-health"       // SCSI log page 0x2f
	AskSCSITemperature  Question = "scsi-temperature"  // SCSI log page 0x0d
	AskSCSICycles       Question = "scsi-cycles"       // SCSI log page 0x0e
	AskSCSIBackground   Question = "scsi-background"   // SCSI log page 0x15
	AskSCSIWear         Question = "scsi-wear"         // SCSI log page 0x11
	AskSCSIReads        Question = "scsi-reads"        // SCSI log page 0x03
	AskSCSIWrites       Question = "scsi-writes"       // SCSI log page 0x02
	AskBMCDevice        Question = "bmc-device"        // IPMI Get Device ID, without the completion code
	AskBMCAddress       Question = "bmc-address"       // IPMI LAN parameter 3
	AskBMCMAC           Question = "bmc-mac"           // IPMI LAN parameter 5
	AskTPMKey           Question = "tpm-key"           // TPM2_ReadPublic of the endorsement key, with its header
	AskLLDP             Question = "lldp"              // of a port: the last LLDP frame heard, with its Ethernet header
)

// errNotAsked is the reply to a question that a source has no way to put.
var errNotAsked = errors.New("cannot be asked here")

// files reads below a root directory.
type files struct{ root string }

func (f files) path(name string) string { return filepath.Join(f.root, filepath.FromSlash(name)) }

func (f files) ReadFile(name string) ([]byte, error) {
	file, err := os.Open(f.path(name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, fileLimit))
}

func (f files) ReadDir(name string) ([]string, error) {
	dir, err := os.Open(f.path(name))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(dirLimit)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}

func (f files) ReadLink(name string) (string, error) { return os.Readlink(f.path(name)) }

// word reads a file of /sys that holds one value; "" stands for every reason not to have it.
func word(s Source, name string) string {
	raw, err := s.ReadFile(name)
	if err != nil {
		return ""
	}
	return text(string(raw))
}

// linkBase is the last element of what a link of /sys points to, such as the name of a driver.
func linkBase(s Source, name string) string {
	target, err := s.ReadLink(name)
	if err != nil {
		return ""
	}
	return text(target[strings.LastIndexByte(target, '/')+1:])
}

// textLimit is the most bytes of any string a look reports.
const textLimit = 256

// text bounds a string that a machine says.
func text(s string) string { return agent.Clean(s, textLimit) }

// problems collects what could not be read.
type problems []string

const problemLimit = 100

// note adds a sentence, unless the reason is that there is nothing to read.
func (p *problems) note(what string, err error) {
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotAsked) || len(*p) >= problemLimit {
		return
	}
	*p = append(*p, text(fmt.Sprintf("%s: %v", what, err)))
}

// archFile stands in a recording for what the binary knows: the architecture it was built for.
const archFile = "berth/arch"
