package paper

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"strconv"

	"golang.org/x/image/draw"
)

// Limits of a picture that comes as a file. It is measured before it is decoded.
const (
	maxPixels   = 40_000_000
	maxDotsInch = 200 // a picture with more is made smaller: nobody sees the difference, and everybody mails the file
)

// Image sets a JPEG or PNG of at most widthMM millimetres, with a caption below it (empty is none). It is scaled to the page, and decoded and
// encoded again, so that nothing of the file gets into the paper but its picture. Errors: a file that is neither, is broken, or has more than 40
// million pixels; the paper goes on without it.
func (d *Document) Image(data []byte, widthMM float64, caption string) error {
	config, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("the picture cannot be read: %w", err)
	}
	if format != "jpeg" && format != "png" {
		return fmt.Errorf("a %s is not printed, only JPEG and PNG", format)
	}
	if config.Width <= 0 || config.Height <= 0 || config.Width > maxPixels/config.Height {
		return fmt.Errorf("a picture of %d × %d pixels is too large to print", config.Width, config.Height)
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("the picture cannot be read: %w", err)
	}
	// Made smaller first: turning every pixel of a photo takes long.
	d.Picture(Upright(flatten(img, dots(max(d.width, d.foot))), data), widthMM, caption)
	return nil
}

// Picture sets a picture of at most widthMM millimetres, or as wide and high as the page allows.
func (d *Document) Picture(img image.Image, widthMM float64, caption string) {
	b := img.Bounds()
	if d.err != nil || b.Empty() {
		return
	}
	w := min(widthMM, d.width)
	h := w * float64(b.Dy()) / float64(b.Dx())
	if most := d.foot - marginTop - 10; h > most {
		w, h = w*most/h, most
	}
	data, kind, err := encode(img, w)
	if err != nil {
		d.fail(fmt.Errorf("a picture of the paper %q: %w", d.title, err))
		return
	}
	d.room(h + 8)
	d.images++
	name := "picture-" + strconv.Itoa(d.images)
	d.pdf.RegisterImageReader(name, kind, bytes.NewReader(data))
	y := d.pdf.GetY()
	d.pdf.Image(name, margin, y, w, h, false, kind, 0, "")
	d.pdf.SetXY(margin, y+h+1)
	if caption != "" {
		d.Small(caption)
		return
	}
	d.Space(gap)
}

// encode writes img for w millimetres of paper, on white: two colours as PNG, because a QR code must stay sharp, everything else as JPEG.
func encode(img image.Image, w float64) ([]byte, string, error) {
	var out bytes.Buffer
	if p, ok := img.(*image.Paletted); ok && len(p.Palette) <= 2 && opaque(p.Palette) {
		// A grey picture of eight bits is the plainest PNG there is; the PDF library reads few kinds.
		grey := image.NewGray(p.Bounds())
		draw.Draw(grey, grey.Bounds(), p, p.Bounds().Min, draw.Src)
		err := png.Encode(&out, grey)
		return out.Bytes(), "png", err
	}
	err := jpeg.Encode(&out, flatten(img, dots(w)), &jpeg.Options{Quality: 85})
	return out.Bytes(), "jpg", err
}

// dots is how many pixels of width mm millimetres of paper get at most.
func dots(mm float64) int { return max(1, int(mm/25.4*maxDotsInch)) }

// flatten draws img on white, at most width pixels wide.
func flatten(img image.Image, width int) image.Image {
	b := img.Bounds()
	size := image.Rect(0, 0, b.Dx(), b.Dy())
	if b.Dx() > width {
		size = image.Rect(0, 0, width, max(1, b.Dy()*width/b.Dx()))
	}
	flat := image.NewRGBA(size)
	draw.Draw(flat, size, image.White, image.Point{}, draw.Src)
	draw.BiLinear.Scale(flat, size, img, b, draw.Over, nil)
	return flat
}

func opaque(p color.Palette) bool {
	for _, c := range p {
		if _, _, _, a := c.RGBA(); a != 0xffff {
			return false
		}
	}
	return true
}
