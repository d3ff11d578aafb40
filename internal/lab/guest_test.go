package lab

import (
	"os"
	"testing"
)

// guestSays is what the test guest prints when it starts.
const guestSays = "GUEST IS UP"

// The test guest's commands, typed on its console.
const (
	guestReset = "r"
	guestOff   = "o"
)

// guest is an operating system of one sector, in 16-bit code: it prints its
// greeting on the serial port, and then resets or switches off the machine when
// it is told to. It does not listen to the power button.
func guest() []byte {
	const greeting = 0x46
	code := []byte{
		0xfa,       // 00 cli
		0x31, 0xc0, // 01 xor ax, ax
		0x8e, 0xd8, // 03 mov ds, ax
		0xbe, greeting, 0x7c, // 05 mov si, greeting
		0xac,       // 08 print: lodsb
		0x84, 0xc0, // 09 test al, al
		0x74, 0x12, // 0b jz listen
		0x88, 0xc4, // 0d mov ah, al
		0xba, 0xfd, 0x03, // 0f mov dx, line status
		0xec,       // 12 busy: in al, dx
		0xa8, 0x20, // 13 test al, transmitter empty
		0x74, 0xfb, // 15 jz busy
		0x88, 0xe0, // 17 mov al, ah
		0xba, 0xf8, 0x03, // 19 mov dx, serial port
		0xee,       // 1c out dx, al
		0xeb, 0xe9, // 1d jmp print
		0xba, 0xfd, 0x03, // 1f listen: mov dx, line status
		0xec,       // 22 in al, dx
		0xa8, 0x01, // 23 test al, data ready
		0x74, 0xf8, // 25 jz listen
		0xba, 0xf8, 0x03, // 27 mov dx, serial port
		0xec,      // 2a in al, dx
		0x3c, 'r', // 2b cmp al, 'r'
		0x74, 0x06, // 2d je reset
		0x3c, 'o', // 2f cmp al, 'o'
		0x74, 0x0a, // 31 je off
		0xeb, 0xea, // 33 jmp listen
		0xba, 0xf9, 0x0c, // 35 reset: mov dx, reset control
		0xb0, 0x06, // 38 mov al, full reset
		0xee,       // 3a out dx, al
		0xeb, 0xe2, // 3b jmp listen
		0xba, 0x04, 0x06, // 3d off: mov dx, ACPI PM1 control
		0xb8, 0x00, 0x20, // 40 mov ax, sleep enable, type 0
		0xef,       // 43 out dx, ax
		0xeb, 0xd9, // 44 jmp listen
	}
	sector := make([]byte, 512)
	n := copy(sector, code)
	copy(sector[n:], guestSays+"\r\n")
	sector[510], sector[511] = 0x55, 0xaa
	return sector
}

// install writes the guest to a disk.
func install(t *testing.T, disk string) {
	t.Helper()
	f, err := os.OpenFile(disk, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(guest(), 0); err != nil {
		t.Fatal(err)
	}
}
