package paper

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"testing"
)

// photo is a JPEG of 4 × 2 pixels whose first one is black, with an Exif block that says how the camera was held.
func photo(t *testing.T, turn uint16, order binary.AppendByteOrder) (image.Image, []byte) {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 4, 2))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	img.Pix[0] = 0
	var out bytes.Buffer
	if err := jpeg.Encode(&out, img, nil); err != nil {
		t.Fatal(err)
	}
	mark := "II"
	if order == binary.AppendByteOrder(binary.BigEndian) {
		mark = "MM"
	}
	block := append([]byte("Exif\x00\x00"), mark...)
	block = order.AppendUint16(block, 42)
	block = order.AppendUint32(block, 8)
	block = order.AppendUint16(block, 2)
	block = append(order.AppendUint16(order.AppendUint16(block, 0x0100), 3), 0, 0, 0, 1, 0, 4, 0, 0)
	block = order.AppendUint16(order.AppendUint16(block, 0x0112), 3)
	block = order.AppendUint16(order.AppendUint32(block, 1), turn)
	block = append(block, 0, 0)
	file := append([]byte{0xff, 0xd8, 0xff, 0xe1}, byte((len(block)+2)>>8), byte(len(block)+2))
	return img, append(append(file, block...), out.Bytes()[2:]...)
}

func TestUpright(t *testing.T) {
	// Where the pixel at the top left of the sensor is to be seen, and the size.
	cases := map[uint16]image.Rectangle{
		1: {Min: image.Pt(0, 0), Max: image.Pt(4, 2)}, 2: {Min: image.Pt(3, 0), Max: image.Pt(4, 2)},
		3: {Min: image.Pt(3, 1), Max: image.Pt(4, 2)}, 4: {Min: image.Pt(0, 1), Max: image.Pt(4, 2)},
		5: {Min: image.Pt(0, 0), Max: image.Pt(2, 4)}, 6: {Min: image.Pt(1, 0), Max: image.Pt(2, 4)},
		7: {Min: image.Pt(1, 3), Max: image.Pt(2, 4)}, 8: {Min: image.Pt(0, 3), Max: image.Pt(2, 4)},
		0: {Min: image.Pt(0, 0), Max: image.Pt(4, 2)}, 99: {Min: image.Pt(0, 0), Max: image.Pt(4, 2)},
	}
	for turn, want := range cases {
		for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
			img, file := photo(t, turn, order)
			if _, err := jpeg.Decode(bytes.NewReader(file)); err != nil {
				t.Fatalf("the test's own file is broken: %v", err)
			}
			got := Upright(img, file)
			if got.Bounds().Max != want.Max {
				t.Errorf("held as %d: size %v, not %v", turn, got.Bounds().Max, want.Max)
			}
			if c := color.GrayModel.Convert(got.At(want.Min.X, want.Min.Y)).(color.Gray); c.Y > 60 {
				t.Errorf("held as %d (%v): the first pixel is not at %v", turn, order, want.Min)
			}
		}
	}
}

func FuzzOrientation(f *testing.F) {
	f.Add([]byte{0xff, 0xd8, 0xff, 0xe1, 0, 20, 'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, file []byte) {
		Upright(image.NewGray(image.Rect(0, 0, 3, 2)), file)
	})
}
