package storage

import (
	"fmt"
	"strings"
)

// Transport is how a disk is attached. The set is closed; the zero value means unknown.
type Transport string

// The transports.
const (
	TransportNVMe   Transport = "nvme"
	TransportSATA   Transport = "sata"
	TransportSAS    Transport = "sas"
	TransportSCSI   Transport = "scsi"
	TransportVirtio Transport = "virtio"
	TransportUSB    Transport = "usb"
	TransportMMC    Transport = "mmc"
	TransportLoop   Transport = "loop"
)

// Transports returns every known transport.
func Transports() []Transport {
	return []Transport{TransportNVMe, TransportSATA, TransportSAS, TransportSCSI, TransportVirtio, TransportUSB, TransportMMC, TransportLoop}
}

// String returns the transport's name, or "unknown".
func (t Transport) String() string {
	if t == "" {
		return "unknown"
	}
	return string(t)
}

// ParseTransport returns the transport with this name; "unknown" and the empty string are the zero value.
func ParseTransport(s string) (Transport, error) {
	if s == "" || s == "unknown" {
		return "", nil
	}
	for _, t := range Transports() {
		if s == string(t) {
			return t, nil
		}
	}
	return "", fmt.Errorf("%q is not a disk transport", s)
}

// UnmarshalText refuses names that are not transports.
func (t *Transport) UnmarshalText(text []byte) error {
	parsed, err := ParseTransport(string(text))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}

// Disk is the identity of one physical disk, as the disk itself tells it.
type Disk struct {
	Serial string `json:"serial,omitempty"`
	// WWN is the name that is unique in the world, with its kind in front: naa.5000c500a1b2c3d4, eui.0025385b71b00a3c,
	// or uuid.…; see [NormalizeWWN].
	WWN string `json:"wwn,omitempty"`
	// Size in bytes.
	Size int64 `json:"size"`
	// BlockSize is the logical block size in bytes, 512 or 4096; 0 is unknown.
	BlockSize int       `json:"block_size,omitempty"`
	Model     string    `json:"model,omitempty"`
	Transport Transport `json:"transport,omitempty"`
	// Rotational is nil where the kernel did not say.
	Rotational *bool `json:"rotational,omitempty"`
	// Path is where the disk was last seen, such as /dev/sda. It is a hint for people: nothing is decided by it.
	Path string `json:"path,omitempty"`
}

// Observed is a disk that was looked at, with what was found on it.
type Observed struct {
	Disk
	Content   Content `json:"content"`
	ReadOnly  bool    `json:"read_only,omitempty"`
	Removable bool    `json:"removable,omitempty"`
}

// Name returns what people and consents call the disk: its serial, else its WWN, else "(no serial)".
func (d Disk) Name() string {
	if s := d.serial(); s != "" {
		return s
	}
	if w := d.wwn(); w != "" {
		return w
	}
	return "(no serial)"
}

// Identified reports whether the disk has a serial or a WWN to be known by.
func (d Disk) Identified() bool { return d.serial() != "" || d.wwn() != "" }

// Same reports whether both are the same disk by the identifiers both have: at least one equal, none different.
// Disks without an identifier are never the same.
func (d Disk) Same(o Disk) bool {
	b := Binding{Serial: o.Serial, WWN: o.WWN}
	return b.touches(d) && !b.contradicts(d)
}

// String describes the disk in a line: model, size, serial and the path it was last seen at.
func (d Disk) String() string {
	parts := []string{"disk " + d.Name()}
	if d.Model != "" {
		parts = append(parts, fmt.Sprintf("%q", d.Model))
	}
	parts = append(parts, FormatSize(d.Size))
	if d.Path != "" {
		parts = append(parts, "last seen as "+d.Path)
	}
	return strings.Join(parts, ", ")
}

func (d Disk) serial() string { return NormalizeSerial(d.Serial) }
func (d Disk) wwn() string    { return NormalizeWWN(d.WWN) }

// junkSerials are what firmware and bridges say when they have no serial number to tell.
var junkSerials = map[string]bool{
	"0": true, "none": true, "unknown": true, "n/a": true, "na": true, "null": true, "default string": true,
	"to be filled by o.e.m.": true, "serial number": true, "123456789": true, "0123456789abcdef": true,
}

// NormalizeSerial trims what disks pad their serial with and returns "" for values that identify nothing: placeholder
// words, and one character over and over.
func NormalizeSerial(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r == '\uFFFD' {
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	repeated := len(s) > 1 && strings.Trim(s, s[:1]) == ""
	if repeated || junkSerials[strings.ToLower(s)] {
		return ""
	}
	return s
}

// NormalizeWWN brings the spellings of a world wide name to one: lower case, with its kind (naa., eui., uuid.) in
// front of the hexadecimal digits. Bare digits, as lsblk and vendors print them, are taken for NAA when they are 16 or
// 32 digits beginning with an NAA format digit (2, 3, 5 or 6), else for EUI. Names that are all zero are "".
func NormalizeWWN(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	kind, digits, found := strings.Cut(s, ".")
	if !found {
		kind, digits = "", strings.TrimPrefix(s, "0x")
	}
	if strings.Trim(digits, "0-") == "" {
		return ""
	}
	if kind != "" {
		return kind + "." + digits
	}
	if (len(digits) == 16 || len(digits) == 32) && strings.ContainsRune("2356", rune(digits[0])) {
		return "naa." + digits
	}
	return "eui." + digits
}

// FormatSize writes a number of bytes as disk vendors do, in powers of ten.
func FormatSize(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	f, u := float64(n), 0
	for f >= 1000 && u < len(units)-1 {
		f, u = f/1000, u+1
	}
	if u == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[u])
}
