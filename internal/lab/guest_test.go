package lab

import (
	"os"
	"testing"
)

// guestSays is what the test guest prints when it starts.
const guestSays = "GUEST IS UP"

// The test guest's commands, typed on its console.
const (
	guestReset  = "r"
	guestOff    = "o"
	guestListen = "p" // from now on it obeys the power button; it greets again
)

// guest is an operating system of one sector, in 16-bit code: it prints its
// greeting on the serial port, and then resets or switches off the machine when
// it is told to.
func guest() []byte {
	const greeting = 0x5d
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
		0xba, 0x00, 0x06, // 1f listen: mov dx, ACPI PM1 status
		0xed,             // 22 in ax, dx
		0xf6, 0xc4, 0x01, // 23 test ah, power button
		0x75, 0x2c, // 26 jnz off
		0xba, 0xfd, 0x03, // 28 mov dx, line status
		0xec,       // 2b in al, dx
		0xa8, 0x01, // 2c test al, data ready
		0x74, 0xef, // 2e jz listen
		0xba, 0xf8, 0x03, // 30 mov dx, serial port
		0xec,      // 33 in al, dx
		0x3c, 'r', // 34 cmp al, 'r'
		0x74, 0x14, // 36 je reset
		0x3c, 'o', // 38 cmp al, 'o'
		0x74, 0x18, // 3a je off
		0x3c, 'p', // 3c cmp al, 'p'
		0x75, 0xdf, // 3e jne listen
		0xba, 0x02, 0x06, // 40 mov dx, ACPI PM1 enable
		0xb8, 0x00, 0x01, // 43 mov ax, power button
		0xef,                 // 46 out dx, ax
		0xbe, greeting, 0x7c, // 47 mov si, greeting
		0xeb, 0xbc, // 4a jmp print
		0xba, 0xf9, 0x0c, // 4c reset: mov dx, reset control
		0xb0, 0x06, // 4f mov al, full reset
		0xee,       // 51 out dx, al
		0xeb, 0xcb, // 52 jmp listen
		0xba, 0x04, 0x06, // 54 off: mov dx, ACPI PM1 control
		0xb8, 0x00, 0x20, // 57 mov ax, sleep enable, type 0
		0xef,       // 5a out dx, ax
		0xeb, 0xc2, // 5b jmp listen
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
