package paper

import (
	"bytes"
	"encoding/binary"
	"image"
)

// Upright turns a picture the way its camera was held, which a JPEG's Exif block says (file is the JPEG). A phone stores every photo as its sensor lies and only
// notes how it was held. Without a block that can be read the picture stays as it is.
func Upright(img image.Image, file []byte) image.Image {
	turn := orientation(file)
	if turn <= 1 || turn > 8 {
		return img
	}
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	size := image.Rect(0, 0, w, h)
	if turn >= 5 {
		size = image.Rect(0, 0, h, w)
	}
	out := image.NewRGBA(size)
	for y := range h {
		for x := range w {
			tx, ty := turned(turn, x, y, w, h)
			out.Set(tx, ty, img.At(b.Min.X+x, b.Min.Y+y))
		}
	}
	return out
}

// turned is where a pixel goes (Exif 2.32, tag 0x0112: the values say where row 0 and column 0 of the stored picture are to be seen).
func turned(turn, x, y, w, h int) (int, int) {
	switch turn {
	case 2:
		return w - 1 - x, y
	case 3:
		return w - 1 - x, h - 1 - y
	case 4:
		return x, h - 1 - y
	case 5:
		return y, x
	case 6:
		return h - 1 - y, x
	case 7:
		return h - 1 - y, w - 1 - x
	case 8:
		return y, w - 1 - x
	}
	return x, y
}

// orientation reads the tag 0x0112 of the first directory in a JPEG's Exif block; 1, which is upright, where there is none.
func orientation(file []byte) int {
	block := exif(file)
	if len(block) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.LittleEndian
	if string(block[:2]) == "MM" {
		order = binary.BigEndian
	}
	at := int(order.Uint32(block[4:]))
	if at < 8 || at+2 > len(block) {
		return 1
	}
	entries := int(order.Uint16(block[at:]))
	for i := range entries {
		entry := at + 2 + 12*i
		if entry+12 > len(block) {
			return 1
		}
		if order.Uint16(block[entry:]) == 0x0112 {
			return int(order.Uint16(block[entry+8:]))
		}
	}
	return 1
}

// exif finds the TIFF structure in a JPEG's APP1 segment.
func exif(file []byte) []byte {
	if !bytes.HasPrefix(file, []byte{0xff, 0xd8}) {
		return nil
	}
	for at := 2; at+4 <= len(file) && file[at] == 0xff && file[at+1] != 0xda; {
		n := int(binary.BigEndian.Uint16(file[at+2:]))
		if n < 2 || at+2+n > len(file) {
			return nil
		}
		if segment := file[at+4 : at+2+n]; file[at+1] == 0xe1 && bytes.HasPrefix(segment, []byte("Exif\x00\x00")) {
			return segment[6:]
		}
		at += 2 + n
	}
	return nil
}
