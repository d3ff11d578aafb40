package blob

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"
)

// colourful is a picture of red at the left and blue at the right.
func colourful(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{255, 0, 0, 255}
			if x >= w/2 {
				c = color.RGBA{0, 0, 255, 255}
			}
			img.Set(x, y, c)
		}
	}
	return img
}

func encoded(t testing.TB, format string, img image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	var err error
	switch format {
	case "png":
		err = png.Encode(&out, img)
	case "jpeg":
		err = jpeg.Encode(&out, img, nil)
	case "gif":
		err = gif.Encode(&out, img, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// tinyWebP is one lossless pixel.
var tinyWebP, _ = base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")

func TestThumbnail(t *testing.T) {
	files := map[string][]byte{"webp": tinyWebP}
	for _, format := range []string{"png", "jpeg", "gif"} {
		files[format] = encoded(t, format, colourful(900, 600))
	}
	for format, file := range files {
		small, err := Thumbnail(file)
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		img, kind, err := image.Decode(bytes.NewReader(small))
		if err != nil || kind != "jpeg" {
			t.Errorf("%s: the thumbnail is a %s: %v", format, kind, err)
			continue
		}
		if format == "webp" {
			continue
		}
		if img.Bounds().Size() != image.Pt(320, 213) {
			t.Errorf("%s: the thumbnail is %v", format, img.Bounds())
		}
		if r, _, b, _ := img.At(10, 100).RGBA(); r < 0xd000 || b > 0x3000 {
			t.Errorf("%s: the left of the thumbnail is not red", format)
		}
	}
}

// bomb is a PNG that says it is w × h pixels and holds next to nothing.
func bomb(w, h uint32) []byte {
	var idat bytes.Buffer
	z := zlib.NewWriter(&idat)
	z.Write(make([]byte, 1<<20))
	z.Close()
	file := []byte("\x89PNG\r\n\x1a\n")
	chunk := func(name string, data []byte) {
		file = binary.BigEndian.AppendUint32(file, uint32(len(data)))
		body := append([]byte(name), data...)
		file = binary.BigEndian.AppendUint32(append(file, body...), crc32.ChecksumIEEE(body))
	}
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
	chunk("IHDR", append(head, 16, 6, 0, 0, 0))
	chunk("IDAT", idat.Bytes())
	chunk("IEND", nil)
	return file
}

func TestHostilePictures(t *testing.T) {
	good := encoded(t, "png", colourful(40, 30))
	cases := map[string][]byte{
		"nothing":         nil,
		"svg":             []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`),
		"html":            []byte(`<!doctype html><script>alert(1)</script>`),
		"bomb":            bomb(50_000, 50_000),
		"bomb past int32": bomb(1<<31-1, 1<<31-1),
		"wide bomb":       bomb(1<<30, 1),
		"cut png":         good[:len(good)/2],
		"png head":        good[:20],
		"gif head":        []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00"),
		"webp head":       []byte("RIFF\xff\xff\xff\xffWEBPVP8X"),
	}
	for name, file := range cases {
		if small, err := Thumbnail(file); !errors.Is(err, ErrNoPicture) {
			t.Errorf("%s: %d bytes, %v", name, len(small), err)
		}
	}
}

// A polyglot is a picture and something else in one file: only the picture gets into the thumbnail.
func TestPolyglot(t *testing.T) {
	script := []byte("<script>alert(document.cookie)</script>")
	file := append(encoded(t, "jpeg", colourful(60, 40)), script...)
	commented := append([]byte{0xff, 0xd8, 0xff, 0xfe, 0, byte(len(script) + 2)}, append(script, file[2:]...)...)
	for _, f := range [][]byte{file, commented} {
		small, err := Thumbnail(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(small, []byte("script")) {
			t.Error("the script got into the thumbnail")
		}
	}
}

func TestMemory(t *testing.T) {
	progressive := []byte{0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0, 0xff, 0xff, 0xc2, 0, 8}
	baseline := []byte{0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0, 0xff, 0xc0, 0, 8}
	cases := []struct {
		name   string
		config image.Config
		format string
		file   []byte
		fits   bool
	}{
		{"photo of 40 MP", image.Config{Width: 7680, Height: 5200, ColorModel: color.YCbCrModel}, "jpeg", baseline, true},
		{"progressive photo of 40 MP", image.Config{Width: 7680, Height: 5200, ColorModel: color.YCbCrModel}, "jpeg", progressive, false},
		{"progressive photo of 8 MP", image.Config{Width: 3264, Height: 2448, ColorModel: color.YCbCrModel}, "jpeg", progressive, true},
		{"8K screenshot", image.Config{Width: 7680, Height: 4320, ColorModel: color.NRGBAModel}, "png", nil, true},
		{"16-bit scan of 40 MP", image.Config{Width: 7680, Height: 5200, ColorModel: color.RGBA64Model}, "png", nil, false},
		{"fax", image.Config{Width: 10_000, Height: 14_000, ColorModel: color.Palette{color.Black, color.White}}, "png", nil, true},
	}
	for _, c := range cases {
		cost := memory(c.config, c.format, c.file)
		if fits := cost >= 0 && cost <= maxDecoded; fits != c.fits {
			t.Errorf("%s: %s", c.name, Size(cost))
		}
	}
}

func FuzzThumbnail(f *testing.F) {
	for _, format := range []string{"png", "jpeg", "gif"} {
		f.Add(encoded(f, format, colourful(20, 10)))
	}
	f.Add(tinyWebP)
	f.Add(bomb(40_000, 40_000))
	f.Fuzz(func(t *testing.T, file []byte) {
		small, err := Thumbnail(file)
		if err != nil {
			if !errors.Is(err, ErrNoPicture) {
				t.Fatal(err)
			}
			return
		}
		config, _, err := image.DecodeConfig(bytes.NewReader(small))
		if err != nil || config.Width > ThumbnailSize || config.Height > ThumbnailSize {
			t.Fatalf("the thumbnail is %d × %d: %v", config.Width, config.Height, err)
		}
	})
}
