package blob

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif" // decoders of what gets a thumbnail
	"image/jpeg"
	_ "image/png"
	"sync"

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp"

	"berth/inventory/paper"
)

// ThumbnailSize is the longest side of a thumbnail, in pixels.
const ThumbnailSize = 320

// maxDecoded is how much memory the decoding of a picture may take, in bytes: a photo of 40 million pixels, or a screenshot of any
// screen there is.
const maxDecoded = 160 << 20

// ErrNoPicture is returned for what gets no thumbnail: another kind of file, a broken picture, or one that is too large to decode.
var ErrNoPicture = errors.New("no thumbnail can be made of this")

// decoding lets one picture be decoded at a time, so that many uploads do not take many times the memory.
var decoding sync.Mutex

// Thumbnail makes a small JPEG of a JPEG, PNG, GIF (its first picture) or WebP. Only what was decoded gets into it: no metadata, no text, nothing
// that stands behind the picture in the file. Errors: ErrNoPicture.
func Thumbnail(file []byte) ([]byte, error) {
	config, format, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrNoPicture, err)
	}
	if cost := memory(config, format, file); cost < 0 || cost > maxDecoded {
		return nil, fmt.Errorf("%w: %d × %d pixels are too many", ErrNoPicture, config.Width, config.Height)
	}
	decoding.Lock()
	defer decoding.Unlock()
	img, err := decode(file)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrNoPicture, err)
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, paper.Upright(shrink(img), file), &jpeg.Options{Quality: 80}); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrNoPicture, err)
	}
	return out.Bytes(), nil
}

// decode turns a decoder's panic into an error: a file that finds a fault in one must not end the server.
func decode(file []byte) (img image.Image, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the decoder failed: %v", fault)
		}
	}()
	img, _, err = image.Decode(bytes.NewReader(file))
	if err == nil && img.Bounds().Empty() {
		err = errors.New("it is empty")
	}
	return img, err
}

// memory estimates what decoding takes, in bytes; -1 for a picture without a size.
func memory(c image.Config, format string, file []byte) int64 {
	const side = 1 << 16
	if c.Width <= 0 || c.Height <= 0 || c.Width > side || c.Height > side {
		return -1
	}
	return int64(c.Width) * int64(c.Height) * bytesPerPixel(c, format, file)
}

func bytesPerPixel(c image.Config, format string, file []byte) int64 {
	if format == "jpeg" && progressive(file) {
		return 15 // the coefficients of all components are held until the last scan, 4 bytes each
	}
	if format == "webp" {
		return 8 // the lossless kind keeps its transforms beside the pixels
	}
	if _, ok := c.ColorModel.(color.Palette); ok {
		return 1
	}
	switch c.ColorModel {
	case color.GrayModel:
		return 1
	case color.Gray16Model:
		return 2
	case color.YCbCrModel:
		return 3
	case color.RGBA64Model, color.NRGBA64Model:
		return 8
	}
	return 4
}

// progressive tells whether a JPEG is of the kind that is decoded in many scans (SOF2; ITU T.81, table B.1).
func progressive(file []byte) bool {
	for at := 2; at+4 <= len(file) && file[at] == 0xff; {
		switch marker := file[at+1]; {
		case marker == 0xff: // fill
			at++
			continue
		case marker == 0xc2:
			return true
		case marker == 0xc0, marker == 0xc1, marker == 0xda:
			return false
		}
		at += 2 + int(file[at+2])<<8 + int(file[at+3])
	}
	return true // not understood: taken for the dear kind
}

// shrink draws img on white, no larger than a thumbnail.
func shrink(img image.Image) image.Image {
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	if longest := max(w, h); longest > ThumbnailSize {
		w, h = max(1, w*ThumbnailSize/longest), max(1, h*ThumbnailSize/longest)
	}
	small := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(small, small.Bounds(), image.White, image.Point{}, draw.Src)
	draw.ApproxBiLinear.Scale(small, small.Bounds(), img, b, draw.Over, nil)
	return small
}
