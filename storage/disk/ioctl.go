//go:build linux

package disk

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"berth/storage"
)

const (
	loopMajor = 7

	nvmeIoctlID    = 0x4e40     // _IO('N', 0x40)
	nvmeIoctlAdmin = 0xc0484e41 // _IOWR('N', 0x41, struct nvme_admin_cmd)
	nvmeIdentify   = 0x06

	sgIO            = 0x2285
	sgFromDevice    = -3
	sgTimeout       = 5000 // ms; a disk that is spinning up answers INQUIRY at once
	scsiInquiry     = 0x12
	scsiATA16       = 0x85
	ataIdentify     = 0xec
	ataPIOIn        = 4 << 1
	ataFromDevice   = 0x0e // ck_cond 0, from the device, length in blocks given by the sector count
	identifyTimeout = 5000 // ms
)

// nvmeCommand is struct nvme_admin_cmd of linux/nvme_ioctl.h.
type nvmeCommand struct {
	opcode, flags   uint8
	_               uint16
	nsid            uint32
	_, _            uint32
	metadata        uint64
	addr            uint64
	metadataLen     uint32
	dataLen         uint32
	cdw10           uint32
	_, _, _, _, _   uint32 // cdw11 to cdw15
	timeout, result uint32
}

// sgHeader is struct sg_io_hdr of scsi/sg.h on 64-bit machines.
type sgHeader struct {
	interfaceID int32
	direction   int32
	cmdLen      uint8
	senseLen    uint8
	_           uint16
	dataLen     uint32
	data        uintptr
	cmd         uintptr
	sense       uintptr
	timeout     uint32
	_           uint32 // flags
	_           int32  // pack_id
	_           uintptr
	status      uint8
	_, _, _     uint8
	hostStatus  uint16
	driver      uint16
	resid       int32
	_, _        uint32
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) error {
	_, err := ignoringEINTR(func() (uintptr, error) {
		r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
		if errno != 0 {
			return 0, errno
		}
		return r, nil
	})
	runtime.KeepAlive(arg)
	return err
}

// ioctlRange is for requests that take a range of bytes.
func ioctlRange(fd int, request uintptr, off, n int64) error {
	span := [2]uint64{uint64(off), uint64(n)}
	return ioctl(fd, request, unsafe.Pointer(&span))
}

// isNVMe asks for the namespace's number, which only an NVMe block device has.
func isNVMe(fd int) bool {
	_, err := unix.IoctlRetInt(fd, nvmeIoctlID)
	return err == nil
}

// identifyNVMe sends Identify commands. What the controller does not answer stays empty.
func identifyNVMe(fd int) identity {
	nsid, err := unix.IoctlRetInt(fd, nvmeIoctlID)
	if err != nil {
		return identity{}
	}
	var id identity
	if b, err := nvmeIdentifyData(fd, 0, 1); err == nil {
		id = id.or(decodeNVMeController(b))
	}
	if b, err := nvmeIdentifyData(fd, uint32(nsid), 3); err == nil {
		id = id.or(decodeNVMeDescriptors(b))
	}
	if b, err := nvmeIdentifyData(fd, uint32(nsid), 0); err == nil {
		id = id.or(decodeNVMeNamespace(b))
	}
	return id
}

func nvmeIdentifyData(fd int, nsid, cns uint32) ([]byte, error) {
	b := make([]byte, 4096)
	var pin runtime.Pinner
	pin.Pin(&b[0])
	defer pin.Unpin()
	cmd := &nvmeCommand{opcode: nvmeIdentify, nsid: nsid, addr: uint64(uintptr(unsafe.Pointer(&b[0]))), dataLen: uint32(len(b)), cdw10: cns, timeout: identifyTimeout}
	if err := ioctl(fd, nvmeIoctlAdmin, unsafe.Pointer(cmd)); err != nil {
		return nil, fmt.Errorf("NVMe identify %d: %w", cns, err)
	}
	return b, nil
}

// identifySCSI asks by INQUIRY, which the kernel also answers for SATA disks, and where that yields no serial by ATA
// IDENTIFY, which gets through most USB bridges.
func identifySCSI(fd int, transport storage.Transport) identity {
	inquiry, err := scsiRead(fd, []byte{scsiInquiry, 0, 0, 0, 96, 0}, 96)
	if err != nil {
		return identity{} // no SCSI device: virtio, MMC
	}
	id := decodeInquiry(inquiry)
	if b, err := scsiRead(fd, []byte{scsiInquiry, 1, 0x80, 1, 0, 0}, 256); err == nil {
		id = id.or(decodeVPDSerial(b))
	}
	if b, err := scsiRead(fd, []byte{scsiInquiry, 1, 0x83, 4, 0, 0}, 1024); err == nil {
		id = id.or(decodeVPDNames(b))
	}
	if id.serial != "" && id.wwn != "" || transport != storage.TransportSATA && transport != storage.TransportUSB {
		return id
	}
	cmd := make([]byte, 16)
	cmd[0], cmd[1], cmd[2], cmd[6], cmd[14] = scsiATA16, ataPIOIn, ataFromDevice, 1, ataIdentify
	if b, err := scsiRead(fd, cmd, 512); err == nil {
		id = id.or(decodeATAIdentify(b))
	}
	return id
}

// scsiRead sends one command that reads up to n bytes, and returns those that came.
func scsiRead(fd int, cmd []byte, n int) ([]byte, error) {
	data, sense := make([]byte, n), make([]byte, 32)
	var pin runtime.Pinner
	pin.Pin(&data[0])
	pin.Pin(&sense[0])
	pin.Pin(&cmd[0])
	defer pin.Unpin()
	h := &sgHeader{
		interfaceID: 'S', direction: sgFromDevice, cmdLen: uint8(len(cmd)), senseLen: uint8(len(sense)), dataLen: uint32(n), timeout: sgTimeout,
		data: uintptr(unsafe.Pointer(&data[0])), cmd: uintptr(unsafe.Pointer(&cmd[0])), sense: uintptr(unsafe.Pointer(&sense[0])),
	}
	if err := ioctl(fd, sgIO, unsafe.Pointer(h)); err != nil {
		return nil, fmt.Errorf("SCSI command %#x: %w", cmd[0], err)
	}
	if h.status != 0 || h.hostStatus != 0 {
		return nil, fmt.Errorf("SCSI command %#x: status %#x, host status %#x", cmd[0], h.status, h.hostStatus)
	}
	return data[:n-min(n, max(0, int(h.resid)))], nil
}

// loopBacking returns the base name of the file behind a loop device. The kernel's own record of the name is cut at
// 63 bytes, so the whole one comes from sysfs, by the device number of the descriptor, and must be the file that the
// descriptor says by its inode.
func loopBacking(fd int, node sysNode) (string, error) {
	info := make([]byte, 232) // struct loop_info64
	if err := ioctl(fd, unix.LOOP_GET_STATUS64, unsafe.Pointer(&info[0])); err != nil {
		return "", fmt.Errorf("ask for the file behind the loop device: %w", err)
	}
	device, inode := binary.NativeEndian.Uint64(info), binary.NativeEndian.Uint64(info[8:])
	path := node.text("loop/backing_file")
	var st unix.Stat_t
	if path != "" && unix.Stat(path, &st) == nil && st.Ino == inode && st.Dev == device {
		return filepath.Base(path), nil
	}
	name := cstring(info[56 : 56+64])
	if name == "" || len(name) >= 63 {
		return "", fmt.Errorf("the file behind the loop device cannot be named: %w", ErrWrongDisk)
	}
	return filepath.Base(name), nil
}

// sysNode is the directory of one block device in sysfs.
type sysNode struct{ dir string }

func (n sysNode) exists(name string) bool {
	_, err := os.Lstat(filepath.Join(n.dir, name))
	return err == nil
}

// text returns a file's content without the newline, "" if there is none. Files in sysfs have at most a page.
func (n sysNode) text(name string) string {
	b, err := os.ReadFile(filepath.Join(n.dir, name))
	if err != nil || len(b) > 4096 {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (n sysNode) rotational() *bool {
	v := n.text("queue/rotational")
	if v == "" {
		return nil
	}
	is := v == "1"
	return &is
}

// transports are told by the names of the buses a device hangs on, the innermost deciding.
var transports = []struct {
	part      string
	transport storage.Transport
}{
	{"/usb", storage.TransportUSB}, {"/nvme", storage.TransportNVMe}, {"/mmc_host/", storage.TransportMMC},
	{"/end_device-", storage.TransportSAS}, {"/ata", storage.TransportSATA}, {"/host", storage.TransportSCSI},
	{"/virtio", storage.TransportVirtio}, {"/virtual/block/loop", storage.TransportLoop},
}

func (n sysNode) transport() storage.Transport {
	path, err := filepath.EvalSymlinks(n.dir)
	if err != nil {
		return ""
	}
	for _, t := range transports {
		if !strings.Contains(path, t.part) {
			continue
		}
		if t.transport == storage.TransportSAS && n.text("device/vendor") == "ATA" {
			return storage.TransportSATA // behind a SAS controller
		}
		return t.transport
	}
	return ""
}

// identity is what the kernel remembers of the disk's own words.
func (n sysNode) identity() identity {
	first := func(names ...string) string {
		for _, name := range names {
			if v := n.text(name); v != "" {
				return v
			}
		}
		return ""
	}
	id := identity{
		serial: storage.NormalizeSerial(text([]byte(first("serial", "device/serial")))),
		model:  text([]byte(first("device/model", "device/name"))),
	}
	// Other kinds than these (t10., nvme.) are made up from model and serial and name nothing by themselves.
	wwid := storage.NormalizeWWN(first("wwid", "device/wwid"))
	for _, kind := range []string{"naa.", "eui.", "uuid."} {
		if strings.HasPrefix(wwid, kind) && !strings.Contains(wwid, " ") {
			id.wwn = wwid
		}
	}
	return id
}
