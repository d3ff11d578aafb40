package look

import (
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Live is the machine this process runs on.
type Live struct {
	files
	// Only are the paths of the disks that exist for this look, loop devices among them; nil is every physical disk.
	Only []string
	// LLDP holds the frames heard so far. Nil hears nothing.
	LLDP *Listener
}

// NewLive returns the machine this process runs on.
func NewLive() *Live { return &Live{files: files{root: "/"}} }

// ReadFile also answers for what is not a file: the architecture, so that a recording carries it.
func (l *Live) ReadFile(name string) ([]byte, error) {
	if name == archFile {
		return []byte(runtime.GOARCH), nil
	}
	return l.files.ReadFile(name)
}

// Ask puts a question to a device. Each has a limit of its own, of a few seconds.
func (l *Live) Ask(q Question, device string) ([]byte, error) {
	switch q {
	case AskDisks:
		return l.listDisks()
	case AskPermanentAddress:
		return permanentAddressOf(device)
	case AskDriverInfo:
		return driverInfoOf(device)
	case AskLLDP:
		if l.LLDP != nil {
			return l.LLDP.frame(device)
		}
	case AskBMCDevice:
		return askIPMI(device, ipmiRequest{function: 0x06, command: 0x01})
	case AskBMCAddress:
		return askLAN(device, 3)
	case AskBMCMAC:
		return askLAN(device, 5)
	case AskTPMKey:
		return askTPM(device, readEK)
	case AskNVMeHealth:
		return nvmeLog(device, 0x02, 512)
	}
	if ask, known := scsiQuestions[q]; known {
		return ask(device)
	}
	return nil, errNotAsked
}

// ioctl calls the kernel with a structure it may write to.
func ioctl(fd uintptr, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// ethtool puts the question that data begins with to a port (SIOCETHTOOL of linux/sockios.h).
func ethtool(port string, data []byte) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket: %w", err)
	}
	defer unix.Close(socket)
	var request struct { // struct ifreq of linux/if.h
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	if copy(request.name[:unix.IFNAMSIZ-1], port) != len(port) {
		return fmt.Errorf("port name %q is too long", port)
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&data[0])
	request.data = unsafe.Pointer(&data[0])
	return ioctl(uintptr(socket), unix.SIOCETHTOOL, unsafe.Pointer(&request))
}

// permanentAddressOf reads struct ethtool_perm_addr: the question, the room there is, then the address.
func permanentAddressOf(port string) ([]byte, error) {
	const room = 32
	data := make([]byte, 8+room)
	*(*uint32)(unsafe.Pointer(&data[0])) = unix.ETHTOOL_GPERMADDR
	*(*uint32)(unsafe.Pointer(&data[4])) = room
	if err := ethtool(port, data); err != nil {
		return nil, err
	}
	size := *(*uint32)(unsafe.Pointer(&data[4]))
	return data[8 : 8+min(size, room)], nil
}

// driverInfoOf reads struct ethtool_drvinfo, 196 bytes.
func driverInfoOf(port string) ([]byte, error) {
	data := make([]byte, unsafe.Sizeof(unix.EthtoolDrvinfo{}))
	*(*uint32)(unsafe.Pointer(&data[0])) = unix.ETHTOOL_GDRVINFO
	if err := ethtool(port, data); err != nil {
		return nil, err
	}
	return data, nil
}

// openDevice opens a node of /dev for questions only. O_NONBLOCK keeps a drive without a medium from being waited for.
func openDevice(name string) (*os.File, error) {
	if !fs.ValidPath(name) {
		return nil, fmt.Errorf("device name %q: %w", name, fs.ErrInvalid)
	}
	fd, err := unix.Open("/dev/"+name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/%s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// askTPM sends one command. The kernel's resource manager takes a command by one write and gives the reply by one read, which waits.
func askTPM(device string, command []byte) ([]byte, error) {
	fd, err := unix.Open("/dev/"+device, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/%s: %w", device, err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, command); err != nil {
		return nil, fmt.Errorf("send the TPM a command: %w", err)
	}
	if err := waitReadable(fd, deviceTimeout); err != nil {
		return nil, fmt.Errorf("wait for the TPM's reply: %w", err)
	}
	reply := make([]byte, 4096)
	size, err := unix.Read(fd, reply)
	if err != nil {
		return nil, fmt.Errorf("read the TPM's reply: %w", err)
	}
	return reply[:max(size, 0)], nil
}

// deviceTimeout is what a device is given to answer one question.
const deviceTimeout = 5 * time.Second
