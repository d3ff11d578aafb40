package image

import (
	"errors"
	"io"
	"unsafe"
)

// addressOf returns where b begins. Memory of this size is on the heap, where Go does not move it.
func addressOf(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// IsZero reports whether every byte is zero. It compares with a block of zeros, because that runs at the speed of
// memory and a loop over bytes does not.
func IsZero(b []byte) bool {
	for len(b) > len(zeros) {
		if !IsZero(b[:len(zeros)]) {
			return false
		}
		b = b[len(zeros):]
	}
	return string(b) == string(zeros[:len(b)])
}

// readFull fills p and returns io.EOF, with what there was, where r ended. Other than io.ReadFull it passes on an
// io.ErrUnexpectedEOF of r as it is: there a decompressor or a broken connection says that r should not have ended.
func readFull(r io.Reader, p []byte) (int, error) {
	n := 0
	for n < len(p) {
		m, err := r.Read(p[n:])
		n += m
		if err != nil && n < len(p) {
			return n, err
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
	}
	return n, nil
}
